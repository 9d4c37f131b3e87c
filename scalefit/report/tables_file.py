"""The tables of a report as a file of its own, in Markdown or LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from scalefit.escape import latex, markdown
from scalefit.report.blocks import Block
from scalefit.report.text import PageRuns

__all__ = ["SUFFIXES", "tables_text"]

SUFFIXES: Mapping[str, str] = MappingProxyType({"markdown": ".md", "latex": ".tex"})


def tables_text(blocks: Sequence[Block], form: Literal["markdown", "latex"]) -> str:
    """Write every table of a report with its heading and its caption.

    Parameters
    ----------
    blocks : sequence of Block
        The report.
    form : {"markdown", "latex"}
        The language; LaTeX needs the package booktabs, and an engine that reads UTF-8.

    Returns
    -------
    str
        Tables under the headings of their sections, numbered as in the report.
    """
    parts: list[str] = []
    number = 0
    section = ""
    for block in blocks:
        if block["kind"] == "heading":
            section = block["text"]
        if block["kind"] == "table":
            number += 1
            if section:
                parts.append(_HEADINGS[form](section))
                section = ""
            parts.append(_TABLES[form](block, number))
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block, number: int) -> str:
    rows = [[_cell(cell, markdown) for cell in row] for row in (block["header"], *block["rows"])]
    rule = ["--:" if side == "right" else ":--" for side in block["align"]]
    lines = [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]
    return "\n".join([f"Table {number}. {_cell(block['caption'], markdown)}", "", *lines])


def _latex(block: Block, number: int) -> str:
    rows = [" & ".join(_cell(cell, latex) for cell in row) + r" \\" for row in (block["header"], *block["rows"])]
    align = "".join("r" if side == "right" else "l" for side in block["align"])
    lines = [
        r"\begin{table}",
        rf"\caption{{{_cell(block['caption'], latex)}}}",
        rf"\label{{tab:report-{number}}}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        rows[0],
        r"\midrule",
        *rows[1:],
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _cell(runs: PageRuns, escape: Callable[[str], str]) -> str:
    """Write runs of text and symbols on one line; blanks that only align digits are dropped."""
    return "".join(_run(run, escape) for run in runs).strip()


def _run(run: str | dict[str, str], escape: Callable[[str], str]) -> str:
    if isinstance(run, str):
        text = run.replace("\u2007", "").replace("\u2008", "").replace("\u00a0", " ").replace("\u2002", " ")
        return escape(text.replace("\n", " "))
    if "strong" in run:
        return escape(run["strong"])
    return f"${run['latex']}$"


_HEADINGS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"markdown": lambda text: f"## {markdown(text)}", "latex": lambda text: rf"\section*{{{latex(text)}}}"}
)
_TABLES: Mapping[str, Callable[[Block, int], str]] = MappingProxyType({"markdown": _markdown, "latex": _latex})
