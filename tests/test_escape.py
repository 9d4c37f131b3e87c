"""Text from outside, made safe for each kind of place that shows it."""

from __future__ import annotations

import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalefit.escape import literal, markup, mathtext, one_line, shortened, typst_string, visible
from scalefit.report.text import runs

ANY = st.lists(st.integers(0, 0x10FFFF).map(chr), max_size=12).map("".join)  # lone surrogates too

SHOWN = {
    "\x1b[31mred\x1b[0m": "␛[31mred␛[0m",
    "bell\x07 back\x08": "bell␇ back␈",
    "tab\there": "tab␉here",
    "del\x7f": "del␡",
    "csi\x9b1m": "csi‹U+009B›1m",
    "abc\u202edef\u202c": "abc‹U+202E›def‹U+202C›",
    "\u200elrm": "‹U+200E›lrm",
    "zero\u200bwidth": "zero‹U+200B›width",
    "soft\u00adhyphen": "soft‹U+00AD›hyphen",
    "line\u2028end": "line‹U+2028›end",
    "hidden\u200dplain": "hidden‹U+200D›plain",
    "filler\u3164": "filler‹U+3164›",
    "file\udcff.csv": "file‹0xFF›.csv",
    "lone\ud800": "lone‹U+D800›",
    "private\ue000": "private‹U+E000›",
    "tag\U000e0041": "tag‹U+E0041›",
    "\ufeffbom": "‹U+FEFF›bom",
}
LEFT_ALONE = [
    "plain",
    "通义 悟道",
    "שלום",
    "مرحبا",
    "می\u200cخواهم",
    "👩\u200d👧",
    "☀\ufe0f",
    "e\u0301",
    "नमस्ते",
    "a\u00a0b",
    "\u0600",
]


@pytest.mark.parametrize(("text", "shown"), SHOWN.items(), ids=[ascii(label) for label in SHOWN])
def test_what_is_invisible_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_writing_is_left_alone(text: str) -> None:
    assert visible(text) == text


def test_line_breaks_stay_or_become_symbols() -> None:
    assert visible("two\nlines\r\n") == "two\nlines␍\n"
    assert one_line("two\nlines") == "two␊lines"


@given(ANY)
def test_visible_text_rules_nothing(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown
    assert not {unicodedata.category(character) for character in shown.replace("\n", "")} & {
        "Cc",
        "Cs",
        "Co",
        "Cn",
        "Zl",
        "Zp",
    }
    assert not any(
        unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI"} for character in shown
    )
    shown.encode("utf-8")


@given(ANY)
def test_markup_is_read_back_as_the_visible_text(text: str) -> None:
    root = ElementTree.fromstring(f'<a b="{markup(text)}">{markup(text, quote=False)}</a>')
    assert (root.text or "") == visible(text)
    assert root.attrib["b"] == visible(text).replace("\n", " ")  # XML reads line breaks of an attribute as blanks


@given(ANY)
def test_literal_text_has_no_marks_of_prose(text: str) -> None:
    assert all(isinstance(run, str) for run in runs(f"level {literal(text)}, end"))
    assert literal(literal(text)) == literal(text)


def test_marks_of_prose_in_a_label() -> None:
    assert runs(f"$a_m$ of {literal('$x$ **b**')}")[1:] == [" of $x$ **b**"]


def test_dollars_are_escaped_for_matplotlib() -> None:
    assert mathtext("50% of $x_1$ \\$") == "50% of \\$x_1\\$ \\\\$"


def test_strings_of_typst() -> None:
    assert typst_string('#let x = "\\n"') == '"#let x = \\"\\\\n\\""'
    assert typst_string("a\nb") == '"a\\nb"'


@pytest.mark.parametrize(("text", "wide"), [("x" * 300, 1), ("通" * 300, 2), ("ab", 1)])
def test_long_labels_lose_their_middle(text: str, wide: int) -> None:
    short = shortened(text, 40)
    assert len(short.replace("…", "")) * wide <= 40
    assert short[0] == text[0]
    assert short[-1] == text[-1]
    assert ("…" in short) is (len(text) * wide > 40)
