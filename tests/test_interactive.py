"""Pages whose figures answer: data of the points, the script, and the page in a browser at two widths."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from scalefit.leastsq import fit
from scalefit.plots.curves import curves
from scalefit.plots.fit import residuals
from scalefit.plots.style import new_panels
from scalefit.report.blocks import Drawing, heading, name_files, picture
from scalefit.report.html import html_report
from tests.chromium import browser

DOCUMENT = {
    "title": "Runs", "subtitle": "", "short_title": "Runs", "date": "", "author": "", "made": "1 fit", "paper": "a4",
    "footer": "runs", "draft": "",
}  # fmt: skip


def runs() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n, d = (axis_values.ravel() for axis_values in np.meshgrid([1e8, 3e8, 1e9, 3e9], [2e9, 6e9, 2e10, 6e10]))
    loss = (1.8 + 400 / n**0.34 + 900 / d**0.31) * np.exp(rng.normal(0, 0.01, n.size))
    names = [f"run-{i} <&" for i in range(n.size)]
    return pd.DataFrame({"run": names, "family": ["a", "b </script>"] * 8, "params": n, "tokens": d, "loss": loss})


@pytest.fixture(scope="module")
def written() -> tuple[dict[str, Any], dict[str, bytes], Any]:
    """A document of one figure with three panels: two of curves, one of residuals by family."""
    result = fit(runs(), "chinchilla", bootstrap=50)
    axes = new_panels(1, 3, height=60)
    curves(result, variable="params", ax=axes[0])
    curves(result, variable="tokens", ax=axes[1])
    residuals(result, against="family", ax=axes[2])
    drawn = Drawing(axes[0].get_figure(root=True), "Runs and curves.", "Points around curves.")
    blocks, files = name_files([heading("The runs"), picture(drawn)], "x")
    return DOCUMENT | {"blocks": blocks}, files, result


@pytest.fixture(scope="module")
def page(written: Any) -> str:
    document, files, _ = written
    return html_report(document, files, interactive=True).decode()


def test_every_marker_is_a_row_of_the_table_with_its_residual(written: Any, page: str) -> None:
    _, _, result = written
    root = ElementTree.fromstring(page)
    places = [int(element.attrib["data-row"]) for element in root.iter() if "data-row" in element.attrib]
    assert sorted(places) == sorted(3 * list(range(16)))
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    table = json.loads(data)
    assert table["columns"] == ["row", "run", "params", "tokens", "loss", "fitted", "residual"]
    assert table["group"] == "family"
    assert table["levels"][:2] == ["a", "b </script>"]
    first = dict(zip(table["columns"], table["rows"][0], strict=True))
    assert (first["row"], first["run"], first["params"], first["tokens"]) == (
        str(result.rows.index[0]), "run-0 <&", "100M", "2B"
    )  # fmt: skip
    residual = np.log(runs()["loss"][0] / result.predict(runs().iloc[[0]])["predicted"].iloc[0])
    assert float(first["residual"].strip("+−%")) == pytest.approx(100 * abs(residual), rel=0.02)
    assert first["residual"][0] == ("−" if residual < 0 else "+")


def test_the_static_page_has_no_script_and_the_same_figure(written: Any, page: str) -> None:
    document, files, _ = written
    static = html_report(document, files).decode()
    assert "<script" not in static
    assert "data-row" not in static
    assert 'aria-label="Points around curves."' in static
    assert 'aria-label="Points around curves."' in page
    assert "script-src 'sha256-" in page
    assert len(re.sub(r"<svg.*?</svg>", "", page)) - len(re.sub(r"<svg.*?</svg>", "", static)) < 15_000


@pytest.mark.parametrize("width", [375, 1280])
def test_in_a_browser_points_answer_to_pointer_and_keys(page: str, width: int, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    with browser(tmp_path) as view:
        view.open(path, width)
        assert view.value("document.documentElement.scrollWidth") <= width
        view.value("document.querySelector('.scroll').scrollIntoView()")
        x, y = view.value(
            "(() => { const r = document.querySelector('[data-row=\"3\"]').getBoundingClientRect();"
            " return [r.left + r.width / 2, r.top + r.height / 2] })()"
        )
        view.move(x, y)
        tip = "document.querySelector('.tip.shown')?.textContent ?? ''"
        assert "run run-3 <&, params 3B, tokens 2B" in view.value(tip)
        assert view.value("document.querySelectorAll('.on').length") == 3  # the same run in each panel
        right = view.value("document.querySelector('.tip').getBoundingClientRect().right")
        assert right <= width
        view.picture(tmp_path / "hover.png")
        view.value("document.querySelector('.scroll').focus()")
        view.press("Escape")
        assert view.value(tip) == ""
        view.press("ArrowRight")
        assert "run run-" in view.value(tip)
        view.value("document.querySelector('.tools button').click()")
        assert view.value("document.querySelectorAll('.off').length") == 3 * 8
        assert view.value("document.querySelector('.tools button').getAttribute('aria-pressed')") == "false"
        view.value("document.querySelector('summary').click()")
        view.call("Runtime.evaluate", expression="new Promise(r => setTimeout(r, 50))", awaitPromise=True)
        assert view.value("document.querySelectorAll('.values tbody tr').length") == 16
        assert view.errors == []
        assert [request for request in view.requests if not request.startswith(("file:", "data:"))] == []
    assert (tmp_path / "hover.png").stat().st_size > 10_000
