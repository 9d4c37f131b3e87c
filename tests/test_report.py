"""The PDF: what stands in it, that it is accessible and repeatable, and that it refuses early."""

from __future__ import annotations

import importlib.util
import json
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pypdf import PdfReader

from scalefit.errors import DataError, MissingExtra, StudyError
from scalefit.options import LeastSquares, Rows
from scalefit.report import build, build_report, work
from scalefit.report import compile as setting
from scalefit.report.blocks import align_decimals, align_errors, paragraph
from scalefit.report.runners import command
from scalefit.report.sections import _figures_early
from scalefit.report.study import FitSpec

SMALL = """
title = "A small study"
date = 2026-01-02

[defaults]
bootstrap = 60

[[fit]]
name = "main"
label = "203 runs"
data = "chinchilla"
law = "width_depth"
drop_highest_loss = 40

[[fit]]
name = "shapes"
data = "chinchilla"
law = "width_depth"
drop_highest_loss = 40
cluster = "shape"

[[fit]]
name = "fixed"
data = "chinchilla"
law = "width_depth_fixed"
drop_highest_loss = 40

[[answer]]
title = "One over width?"
rule = "reference"
fit = "main"
parameter = "a_m"
reference = 1
also = ["shapes"]

[[section]]
title = "Width and depth"
fit = "main"
clustered = "shapes"
alternatives = ["fixed"]
published = [{ label = "Liu et al. 2026", key = "liu2026_depth.notebook" }]
text = ["The exponent is {main.a_m:value}, $a_m$ in print {liu2026_depth.a_m}."]
figures = [{ kind = "terms" }, { kind = "residuals" }, { kind = "observed" }, { kind = "optima" }]
"""


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small study, built once."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "study.toml").write_text(SMALL, encoding="utf-8")
    return build_report(folder / "study.toml")


def text_of(pdf: Path) -> str:
    """All text, with every run of blanks as one space."""
    pages = PdfReader(pdf).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_report_is_named_after_its_folder(small: Path) -> None:
    assert small.name == f"{small.parent.name}.pdf"


def test_report_says_what_was_found(small: Path) -> None:
    text = text_of(small)
    for words in (
        "A small study",
        "2 January 2026",
        "One over width?",
        "The exponent of width is 0.945",
        "42 with the highest losses (40 and those tied with them)",
        "at the printed point the objective is 1.01% above the optimum",
        "has 2 parameters fewer and an objective 1.50% higher",
        "in print 0.977",
        "3029ea183e18",
    ):
        assert words in text
    numbers = json.loads(small.with_suffix(".numbers.json").read_text(encoding="utf-8"))
    first = next(iter(numbers.values()))
    assert (first["n_rows"], f"{first['objective']:.8g}") == (203, "0.0061455614")


def test_report_is_accessible(small: Path) -> None:
    """Compiling to PDF/UA-1 already proves that pictures and equations have words; here they are looked at."""
    reader = PdfReader(small)
    assert reader.trailer["/Root"]["/Lang"] == "en"
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert reader.metadata is not None
    assert reader.metadata.title == "A small study"
    assert set(setting.STANDARDS) == {"a-2a", "ua-1"}


def test_same_input_same_bytes_with_and_without_the_cache(small: Path, tmp_path: Path) -> None:
    content = small.read_bytes()
    study = small.parent / "study.toml"
    assert list((small.parent / work.CACHE).glob("*.fit"))
    assert build_report(study, out=tmp_path / "again.pdf").read_bytes() == content
    fresh = tmp_path / "study.toml"
    fresh.write_text(study.read_text(encoding="utf-8"), encoding="utf-8")
    assert build_report(fresh, out=tmp_path / "fresh.pdf").read_bytes() == content


def test_a_users_table_needs_five_lines(my_csv: Path) -> None:
    study = my_csv.with_name("mine.toml")
    study.write_text(
        'title = "My runs"\n[[fit]]\nname = "mine"\ndata = "my.csv"\nlaw = "chinchilla"\nbootstrap = 60\n',
        encoding="utf-8",
    )
    stages: list[str] = []
    pdf = build_report(study, progress=lambda stage, *_: stages.append(stage))
    text = text_of(pdf)
    assert pdf.name == "mine.pdf"
    assert "My runs" in text
    assert "All 42 rows of my are used" in text
    assert "printed" not in text
    assert stages[-1] == "writing the report"
    assert any(stage.startswith("mine: ") for stage in stages)


def test_a_fit_without_an_answer_is_reported_as_such(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    width, tokens = np.geomspace(100, 3000, 20), rng.permutation(np.geomspace(1e9, 1e11, 20))
    loss = 2 + 50 / width * np.exp(rng.normal(0, 0.01, 20))  # nothing falls with tokens
    lines = [f"{w},{t},{y}" for w, t, y in zip(width, tokens, loss, strict=True)]
    (tmp_path / "flat.csv").write_text("\n".join(["width,tokens,loss", *lines]), encoding="utf-8")
    study = tmp_path / "study.toml"
    law = "loss ~ E + A/width^a + B/tokens^b"
    study.write_text(
        f'title = "Flat"\n[[fit]]\nname = "flat"\ndata = "flat.csv"\nlaw = "{law}"\nbootstrap = 20\n', encoding="utf-8"
    )
    text = text_of(build_report(study))
    assert "Flat: no answer. The fit is not identified" in text
    # the best fit has b = 1.27, a little below the one with b = 0; neither end of its interval says anything
    assert "An exponent is not identified when its 95% interval is wider than" in text
    assert "no answer the fit is not identified" in text


def test_paths_are_refused_before_the_computing(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **options: object) -> None:
        raise AssertionError("computed all the same")

    monkeypatch.setattr(build.Work, "run", never)
    study = small.parent / "study.toml"
    with pytest.raises(DataError, match="there is no folder"):
        build_report(study, out=tmp_path / "missing" / "a.pdf")
    with pytest.raises(DataError, match="it is a folder"):
        build_report(study, out=tmp_path)
    with pytest.raises(DataError, match=r"cannot write .* there is no folder"):
        build_report(study, out=study / "a.pdf")


def test_missing_packages_are_named(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(MissingExtra, match=r"pip install \"\.\[report\]\""):
        build_report(small.parent / "study.toml")
    monkeypatch.undo()
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(MissingExtra, match="The PDF report needs packages"):
        setting.check_extra()


def test_what_cannot_be_typeset_is_an_error() -> None:
    page = {
        "title": "x",
        "subtitle": "",
        "short_title": "x",
        "date": "",
        "author": "",
        "made": "",
        "paper": "a4",
        "footer": "",
    }
    with pytest.raises(StudyError, match=r"could not be typeset: .*unknown kind of block: poem"):
        setting.typeset_report({**page, "blocks": [{"kind": "poem"}]}, {}, None)


def test_a_nearly_empty_last_page_is_saved_by_less_space(monkeypatch: pytest.MonkeyPatch) -> None:
    page = dict.fromkeys(("title", "subtitle", "short_title", "date", "author", "made", "footer", "draft"), "")
    text = paragraph("The loss falls as a power of the width. " * 12)

    def pages(number: int) -> int:
        document = {**page, "title": "x", "paper": "a4", "blocks": [text] * number}
        return len(PdfReader(BytesIO(setting.typeset_report(document, {}, None))).pages)

    with monkeypatch.context() as plain:
        plain.setattr(setting, "SPARSE", 0.0)
        full = next(number for number in range(20, 60) if pages(number + 1) > 2)  # paragraphs on two pages
    assert [pages(full), pages(full + 1), pages(2 * full)] == [2, 2, 4]


def test_figures_at_the_end_of_a_section_follow_its_first_paragraph() -> None:
    def block(kind: str, **more: object) -> dict[str, object]:
        return {"kind": kind, **more}

    head, text, fixed, free = (
        block("note"),
        block("paragraph"),
        block("figure", floating=False),
        block("figure", floating=True),
    )
    assert _figures_early([head, text, fixed, text, free, free]) == [head, text, free, free, fixed, text]
    assert _figures_early([text, free, text]) == [text, free, text]  # between two paragraphs, one of which is about it
    assert _figures_early([head, free]) == [head, free]
    assert _figures_early([]) == []


def test_command_repeats_the_fit() -> None:
    rows = Rows(
        drop_highest_loss=5, ties="drop", drop_invalid=True, mapping={"params": "N", "tokens": "D*1e9"},
        derive=("params",), where="tokens > 1e9",
    )  # fmt: skip
    huber = LeastSquares(loss="huber", delta=1e-3)
    assert command(FitSpec("a", "my runs.csv", "params", selection=rows, options=huber)) == (
        "scalefit fit 'my runs.csv' \"loss ~ E + A/params^alpha\" --map 'params=N,tokens=D*1e9' "
        "--derive params --where 'tokens > 1e9' --drop-invalid --drop-highest-loss 5 --loss huber"
    )


def test_numbers_are_aligned() -> None:
    assert align_decimals(["1.25", "10", ""]) == ["1.25", "10\u2007\u2007\u2008", "\u2007\u2007\u2008"]
    assert align_decimals(["0.5 ± 0.1", "0.25 ± 0.01"]) == ["0.5\u2007 ± 0.1\u2007", "0.25 ± 0.01"]
    assert align_errors(["1.8 ± 0.2", "480 ± 120"]) == ["1.8 ± 0.2\u2007", "480 ± 120\u2008"]
    assert align_errors(["1", "2"]) == ["1", "2"]
