"""Printed results, as a reader sees them. Golden texts: rerun with SCALEFIT_GOLDEN=1 to accept a change."""

import os
from pathlib import Path

import pytest

from scalefit.leastsq import fit

GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "chinchilla-huber": ("chinchilla", "chinchilla", {"loss": "huber", "drop_highest_loss": 5, "bootstrap": 0}),
    "chinchilla-width-depth": (
        "chinchilla", "width_depth", {"drop_highest_loss": 40, "uncertainty": "gauss-newton"},
    ),
    "gemstones-huber": (
        "gemstones", "width_depth",
        {"loss": "huber", "where": 'subset == "hot_100b+"', "uncertainty": "jackknife", "cluster": "run"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_summary_text(name):
    data, law, options = CASES[name]
    text = fit(data, law, **options).summary() + "\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("SCALEFIT_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_html_escapes_and_shows_the_status():
    html = fit("chinchilla", "chinchilla", bootstrap=0)._repr_html_()
    assert html.startswith("<div><b>converged</b>")
    assert "<td>alpha</td>" in html


def test_table_has_the_columns_that_every_engine_fills():
    table = fit("llm_families", "family_width", bootstrap=0).table()
    assert list(table.columns)[:6] == ["param", "level", "estimate", "se", "lo", "hi"]
    assert table.loc[0, "level"] == "GPT-2,bookcorpus"
