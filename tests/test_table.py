"""One table, four renderers: text, Markdown, LaTeX, HTML."""

from __future__ import annotations

import pytest

import scalefit
from scalefit.table import PrintedTable, page_of

TABLE = PrintedTable.of(["name", "nothing", "value"], [["a_m", "", "−0.3 ± 0.1"], ["50% of x|y", "", "12 345"]], "llr")


def test_empty_columns_are_left_out_and_numbers_stand_to_the_right() -> None:
    assert TABLE.text("  ").split("\n") == [
        "  name             value",
        "  a_m         −0.3 ± 0.1",
        "  50% of x|y      12 345",
    ]


def test_markdown_keeps_what_has_a_meaning_there() -> None:
    assert TABLE.markdown().split("\n") == [
        "| name | value |", "| :-- | --: |", r"| a\_m | −0.3 ± 0.1 |", r"| 50% of x\|y | 12 345 |",
    ]  # fmt: skip


def test_latex_sets_signs_as_mathematics() -> None:
    assert TABLE.latex().split("\n") == [
        r"\begin{tabular}{lr}", r"\toprule", r"name & value \\", r"\midrule", r"a\_m & $-$0.3 $\pm$ 0.1 \\",
        r"50\% of x|y & 12 345 \\", r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip


def test_html_shows_every_cell_literally() -> None:
    table = PrintedTable.of(["a"], [["<b>&"]])
    assert table.html() == "<table><tr><th>a</th></tr><tr><td>&lt;b&gt;&amp;</td></tr></table>"


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="another number of cells than the 2 heads"):
        PrintedTable.of(["a", "b"], [["1"]])


def test_a_fit_gives_its_table_in_every_form() -> None:
    fit = scalefit.fit("chinchilla", "chinchilla", drop_highest_loss=5, loss="huber", uncertainty="hc3")
    markdown, latex = fit.to_markdown(), fit.to_latex()
    assert markdown.startswith("| parameter | estimate | interval |")
    assert latex.count(r"\\") == 1 + len(fit.names)
    for name in fit.names:
        assert name in markdown
        assert name in latex
    numbers = [line.split("|")[2].strip() for line in markdown.split("\n")[2:]]
    assert all(number in fit.summary() for number in numbers)


@pytest.mark.parametrize("width", [24, 30, 47, 80])
def test_a_page_is_not_wider_than_it_is_and_keeps_every_cell(width: int) -> None:
    header = ["gamma", "steps", *(f"column {k}" for k in range(6))]
    rows = [[gamma, steps, *(f"{gamma}{steps}{k}" for k in range(6))] for gamma in "ab" for steps in ("10", "20")]
    table = PrintedTable.of(header, rows)
    with page_of(width):
        text = table.text()
    assert max(map(len, text.split("\n"))) <= width
    parts = [part.split("\n") for part in text.split("\n\n")]
    assert all(len(part) == 5 for part in parts)
    heads = [part[1].split()[:2] for part in parts]
    assert heads == [["a", "10"]] * len(parts) if width >= 30 else all(head[0] == "a" for head in heads)
    assert {cell for row in rows for cell in row[2:]} <= set(text.split())
    assert "\n\n" not in table.text()  # a file has no width
