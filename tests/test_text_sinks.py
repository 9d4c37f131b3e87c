"""Hostile and foreign labels in every place that shows them: terminal, figures, PDF and HTML."""

from __future__ import annotations

import datetime
import io
import os
import re
import subprocess
import sys
import textwrap
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from pypdf import PdfReader

from scalefit.errors import ScalefitError
from scalefit.escape import literal, one_line
from scalefit.law.additive import Law
from scalefit.plots import fonts
from scalefit.plots.draws import axis_name
from scalefit.plots.fit import residuals
from scalefit.plots.style import (
    as_label,
    log_axis,
    new_panels,
    panel_title,
    save_figure,
    svg_bytes,
    symbol,
    without_formulas,
)
from scalefit.report import build_report
from scalefit.report.blocks import equations, heading, note, paragraph, table
from scalefit.report.compile import typeset_report
from scalefit.report.html import html_report
from scalefit.report.text import equation, runs
from scalefit.results import Fit
from scalefit.storage import load_fit
from scalefit.terminal import print_table, safe_streams

MARKS = [
    "50% code", "#let x = 1", '"quoted"', "}{", "a_b*c", "$x$ and $y$", "$", "`raw`", "<b>bold</b>", "&amp; &", "@ref",
    "// comment", "[x]", "= heading", "**strong**", "\\frac{1}{2}", "~ ^ '", "- item",
]  # fmt: skip
SCRIPTS = ["通义 悟道", "日本語", "한국어", "Ελληνικά", "Русский", "ไทย", "नमस्ते", "🚀 fast 😀", "👩‍👧", "é"]
RIGHT_TO_LEFT = ["שלום עולם", "مرحبا بالعالم"]
UNSEEN = ["\x1b[31mred", "two\nlines", "tab\there", "abc\u202edef", "bad\udcff", "zero\u200bwidth", "\ue000"]
UNDRAWN = ["\U00012000"]  # cuneiform
HOSTILE = [*MARKS, *SCRIPTS, *RIGHT_TO_LEFT, *UNSEEN, *UNDRAWN]


def printed(label: str) -> str:
    """What a label looks like where it is drawn with fonts."""
    return fonts.drawable(one_line(label))


def figure_of(labels: list[str]) -> Axes:
    ax = new_panels(1, 1, height=12 + 4.5 * len(labels))[0]
    ax.barh(range(len(labels)), range(1, len(labels) + 1))
    ax.set_yticks(range(len(labels)), [as_label(label) for label in labels])
    panel_title(ax, labels[0])
    return ax


def picture(file: str, alt: str, caption: str) -> dict[str, Any]:
    """A figure as it stands in a document, once its file has a name."""
    return {"kind": "figure", "file": file, "alt": alt, "caption": runs(caption), "floating": True}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    long = "L" * 300
    return {
        "title": f"Title {'; '.join(HOSTILE[:6])}",
        "subtitle": HOSTILE[20],
        "short_title": "通义",
        "date": "2026-01-02",
        "author": HOSTILE[6],
        "made": "3 fits",
        "paper": "a4",
        "footer": "模型.csv",
        "draft": "",
        "blocks": [
            *(paragraph(f"**So** the level {literal(label)} is **one**.") for label in HOSTILE),
            heading(HOSTILE[1]),
            equations([equation(Law.parse("损失 ~ E[家族] + 通/参数^alpha"))]),
            table("Labels.", ["label", literal(HOSTILE[5])], [[literal(label), "1"] for label in HOSTILE], align="lr"),
            table("Filled.", ["n", "label"], [["1", literal(long)]], align="ll", fill=1),
            note(literal("通" * 300)),
            picture("one.svg", f"Alt {HOSTILE[-4]}", f"Caption {literal(HOSTILE[5])}"),
            *(paragraph(literal(f"file {name}")) for name in ("ل.csv", "模型.csv")),
        ],
    }


@pytest.fixture(scope="module")
def figures() -> dict[str, bytes]:
    return {"one.svg": svg_bytes(figure_of(HOSTILE).get_figure(root=True))}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pdf(document: dict[str, Any], figures: dict[str, bytes]) -> bytes:
    return typeset_report(document, figures, datetime.date(2026, 1, 2))


def words_of(pdf: bytes) -> str:
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    return re.sub(r"\s+", " ", text)


def test_every_label_can_be_read_back_from_the_pdf(pdf: bytes) -> None:
    text = words_of(pdf)
    for label in (*MARKS, *UNSEEN, *UNDRAWN, *SCRIPTS):
        assert text.count(unicodedata.normalize("NFC", printed(label))) >= 2, label
    for label in RIGHT_TO_LEFT:
        for word in label.split():  # the reader of the test puts right-to-left words in the order of the page
            assert word in text, label
    assert text.count("L") > 300
    assert text.count("通") >= 300


def test_the_pdf_is_reproducible_archivable_and_small(
    pdf: bytes, document: dict[str, Any], figures: dict[str, bytes]
) -> None:
    assert pdf == typeset_report(document, figures, datetime.date(2026, 1, 2))
    assert b"pdfaid" in pdf
    assert b"pdfuaid" in pdf
    assert len(pdf) < 600_000  # the fonts have 25 MB


def test_a_report_in_plain_letters_needs_no_other_fonts(
    document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = document | {
        "title": "Plain",
        "subtitle": "",
        "short_title": "Plain",
        "author": "",
        "footer": "",
        "blocks": [paragraph("So.")],
    }
    before = typeset_report(plain, {}, None)
    only_matplotlib(monkeypatch)
    assert typeset_report(plain, {}, None) == before


def test_the_page_shows_every_label(document: dict[str, Any], figures: dict[str, bytes]) -> None:
    page = html_report(document, figures).decode()
    root = ElementTree.fromstring(page)
    assert [element.tag for element in root.iter("b") if element.text == "bold"] == []
    cells = ["".join(element.itertext()) for element in root.iter() if element.tag in ("td", "th")]
    for label in HOSTILE:
        assert one_line(label) in cells, label
    faces = re.findall(r'font-family: "Report Letters"[^}]*unicode-range: ([^;]*);', page)
    assert any("U+901A" in codes for codes in faces)
    assert "\ufdd0" not in page


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_figures_show_every_label(kind: str, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / f"labels.{kind}"
    save_figure(figure_of(HOSTILE), path)
    assert path.stat().st_size > 1000
    assert [str(warning.message) for warning in recwarn if "lyph" in str(warning.message)] == []
    if kind == "svg":
        shown = {
            "".join(element.itertext())
            for element in ElementTree.parse(path).getroot().iter()
            if element.tag.endswith("text")
        }
        assert {printed(label) for label in HOSTILE} <= {" ".join(character.split()) for character in shown} | shown


def test_a_font_of_formulas_is_not_asked_for_other_letters(caplog: pytest.LogCaptureFixture) -> None:
    assert symbol("E", ("50% $x$",)) == "$E$, 50% \\$x\\$"
    assert symbol("alpha_m", ("通义",)) == "α_m, 通义"
    assert symbol("E[OPT,wiki text]") == "$E$, OPT, wiki text"
    assert symbol("损失") == "损失"
    assert without_formulas("ln $\\mathrm{bias}_{m}$ or 通") == "ln bias_m or 通"
    ax = new_panels(1, 1, height=30)[0]
    ax.set_xlabel(symbol("alpha", ("通义",)))
    ax.figure.canvas.draw()
    assert "glyph" not in caplog.text


def test_long_labels_are_shortened_in_figures() -> None:
    ax = figure_of(["x" * 300])
    assert len(ax.get_yticklabels()[0].get_text()) < 80
    assert "…" in ax.get_yticklabels()[0].get_text()


def only_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the extra were not installed; the typeface stays."""
    first = fonts.fallback_faces()[:1]
    monkeypatch.setattr(fonts, "fallback_faces", lambda: first)


def test_without_the_fonts_letters_become_code_points(monkeypatch: pytest.MonkeyPatch) -> None:
    only_matplotlib(monkeypatch)
    assert as_label("通 ok") == "‹U+901A› ok"
    assert as_label("\x1b") == "‹ESC›"


def test_levels_of_a_fit_in_its_figures(huber: Fit) -> None:
    levels = [label for label in HOSTILE if "\udcff" not in label]  # a table cannot hold it, only the name of a file
    rows = huber.rows.assign(lab=[levels[i % len(levels)] for i in range(len(huber.rows))])
    ax = residuals(replace(huber, rows=rows), against="lab")
    assert {label.get_text() for label in ax.get_yticklabels()} == {as_label(label, 40) for label in levels}
    assert svg_bytes(ax.get_figure(root=True))  # type: ignore[arg-type]
    assert axis_name(huber, "A") == "ln $A$"


# The terminal


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_printed_rules_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = _Terminal(), _Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with safe_streams():
        for label in HOSTILE:
            print(label)
            print(label, file=sys.stderr)
        sys.stdout.writelines(["\x07", "\x1b]0;title\x07"])
        print_table(["name", "\x1b[2J"], [[label, "1"] for label in HOSTILE])
    for text in (re.sub(r"\x1b\[[\d;]*m", "", out.getvalue()), err.getvalue()):  # colours are rich's
        assert {character for character in text if unicodedata.category(character) == "Cc"} <= {"\n"}
        assert "␛[31mred" in text
    assert "\x1b[31m" not in err.getvalue()
    assert sys.stdout is out


def test_who_keeps_a_wrapped_stream_learns_that_it_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    out = _Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    with safe_streams():
        kept = sys.stdout
    assert not kept.closed
    out.close()
    assert kept.closed  # colorama asks at exit, before it asks for a terminal


@pytest.mark.parametrize(
    "arguments",
    [("fit", "no\x1b[31mfile.csv", "chinchilla"), ("fit", "x.csv", "--\x1b[31m"), ("\x1b[31m",), ("show", "\x9b.fit")],
)
def test_errors_of_the_command_line_show_what_was_given(run: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    status, out, err = run(*arguments)
    assert status == 2
    assert "\x1b" not in out + err
    assert "\x9b" not in out + err


def test_a_file_name_of_any_bytes(run: Callable[..., Any], my_csv: Path) -> None:
    name = "\x1b[31m通\udcff.csv"
    try:
        my_csv.rename(my_csv.with_name(name))
    except (OSError, UnicodeError):
        pytest.skip("this system has no such file names")
    status, out, _ = run("fit", name, "chinchilla", "--map", "params=N,tokens=D,loss=val_loss", "--bootstrap", 0)
    assert status == 0
    assert "␛[31m通‹0xFF›" in out or "␛[31m通�" in out  # the name of a table holds no halves of letters


# The environment

SETTINGS = """
text.usetex: True
font.family: Nowhere
font.size: 30
savefig.bbox: tight
savefig.facecolor: red
axes.grid: True
svg.fonttype: path
"""


def test_the_command_line_draws_in_its_own_style(tmp_path: Path) -> None:
    saved = Path(__file__).parent / "saved" / "fit-0.1.0.fit"
    (tmp_path / "matplotlibrc").write_text(SETTINGS, encoding="utf-8")
    command = [sys.executable, "-m", "scalefit", "show", str(saved), "--plot", "optima", "--out", "drawn.svg"]
    environment = os.environ | {"MPLBACKEND": "module://not_installed"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (tmp_path / "drawn.svg").is_file(), done.stderr
    save_figure(load_fit(saved).plot("optima"), tmp_path / "here.svg")
    assert (tmp_path / "drawn.svg").read_bytes() == (tmp_path / "here.svg").read_bytes()


def test_figures_leave_the_settings_of_a_session_alone() -> None:
    with mpl.rc_context({"text.usetex": True, "font.size": 30, "axes.grid": True}):
        before = dict.copy(mpl.rcParams)
        ax = new_panels(1, 1, height=40)[0]
        ax.plot([1, 10], [1, 10])
        log_axis(ax.xaxis, [1, 10])
        buffer = io.BytesIO()
        figure = ax.get_figure(root=True)
        assert figure is not None
        figure.savefig(buffer, format="png")  # among the user's settings, where ticks are made
        assert not any(text.get_usetex() for text in figure.findobj(Text))  # type: ignore[attr-defined]
        assert dict.copy(mpl.rcParams) == before
    assert buffer.getvalue().startswith(b"\x89PNG")


# A whole report


@pytest.mark.slow
def test_a_report_with_labels_of_four_scripts(tmp_path: Path) -> None:
    levels = ["通义 悟道", "שלום", "مرحبا", "🚀 50% $x$ **b** <b>"]
    lines = ["params,loss,family"]
    for i in range(32):
        size, level = 1e7 * 1.3**i, levels[i % 4]
        loss = (1.5 + 0.1 * (i % 4) + 400 / size**0.35) * (1 + 0.001 * ((7 * i) % 5 - 2))
        lines.append(f"{size:.6g},{loss:.6f},{level}")
    (tmp_path / "模型 שלום 🚀.csv").write_text("\n".join(lines), encoding="utf-8")
    study = """
        title = "标题 שלום مرحبا 🚀 $a$ #x"
        answer = [{ title = "Size", rule = "law", fit = "one" }]
        [[fit]]
        name = "one"
        label = "通 $x$"
        data = "模型 שלום 🚀.csv"
        law = "loss ~ E[family] + A/params^alpha"
        bootstrap = 100
        [[section]]
        title = "节 = #"
        fit = "one"
    """
    path = tmp_path / "study.toml"
    path.write_text(textwrap.dedent(study), encoding="utf-8")
    first = build_report(path, html=True)
    text = words_of(first.read_bytes())
    for word in ("标题", "通义 悟道", "שלום", "مرحبا", "🚀 50% $x$ **b** <b>", "通 $x$", "节 = #", "$a$ #x", "模型"):
        assert word in text, word
    page = first.with_suffix(".html").read_text(encoding="utf-8")
    ElementTree.fromstring(page)
    assert "&lt;b&gt;" in page


def test_refusals_are_errors_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ScalefitError, match="cannot draw to"):
        save_figure(figure_of(["通"]), tmp_path / "x.通")
