"""A table as a value: heads, cells and alignment, rendered as text, Markdown, LaTeX or HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from scalefit.escape import latex, markdown, markup, typst_string
from scalefit.numbers import exact

__all__ = ["PrintedTable", "page_of"]

_WIDTH: ContextVar[int] = ContextVar("width of the page", default=0)


@contextmanager
def page_of(width: int) -> Iterator[None]:
    """Print tables on a page of this width.

    Parameters
    ----------
    width : int
        In characters; 0 for a page without end, such as a file.

    Examples
    --------
    >>> table = PrintedTable(("law", "error", "origins"), (("coupled", "0.3%", "4"), ("shared", "0.2%", "3")))
    >>> with page_of(16):
    ...     print(table.text())
    law      error
    coupled  0.3%
    shared   0.2%
    <BLANKLINE>
    law      origins
    coupled  4
    shared   3
    """
    before = _WIDTH.set(width)
    try:
        yield
    finally:
        _WIDTH.reset(before)


@dataclass(frozen=True)
class PrintedTable:
    """A table of printed cells under column heads.

    Parameters
    ----------
    header : tuple of str, length k
        Column heads.
    rows : tuple of tuple of str, each of length k
        Cells. Every renderer omits a column whose cells are all empty.
    align : str
        One letter per column, ``l`` or ``r``; all to the left when empty.

    Examples
    --------
    >>> table = PrintedTable(("parameter", "estimate"), (("alpha", "0.35 ± 0.02"), ("E", "1.8")))
    >>> print(table.text())
    parameter  estimate
    alpha      0.35 ± 0.02
    E          1.8
    >>> print(table.markdown())
    | parameter | estimate |
    | :-- | :-- |
    | alpha | 0.35 ± 0.02 |
    | E | 1.8 |
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: str = ""

    @classmethod
    def of(cls, header: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> PrintedTable:
        """Make a table from any sequences.

        Raises
        ------
        ValueError
            When the length of a row or of the alignment differs from that of the header.
        """
        made = cls(tuple(header), tuple(map(tuple, rows)), align or "l" * len(header))
        if any(len(row) != len(made.header) for row in (*made.rows, made.align)):
            raise ValueError(f"a row has another number of cells than the {len(made.header)} heads")
        return made

    def shown(self) -> PrintedTable:
        """Return the table without its empty columns."""
        kept = [i for i in range(len(self.header)) if any(row[i] for row in self.rows)]
        align = self.align or "l" * len(self.header)
        return PrintedTable(
            tuple(self.header[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in self.rows),
            "".join(align[i] for i in kept),
        )  # fmt: skip

    def text(self, indent: str = "") -> str:
        """Return the table as lines of text, columns two spaces apart.

        Columns for which the page (:func:`page_of`) is too narrow follow below, again with the first columns, as many
        as tell the rows apart.
        """
        table = self.shown()
        lines = [table.header, *table.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        pads = [str.rjust if letter == "r" else str.ljust for letter in table.align]
        return "\n\n".join(
            "\n".join(indent + "  ".join(pads[i](row[i], widths[i]) for i in part).rstrip() for row in lines)
            for part in _parts(widths, len(indent), _heads(table.rows))
        )

    def markdown(self) -> str:
        """Return the table in Markdown."""
        table = self.shown()
        rule = ["--:" if letter == "r" else ":--" for letter in table.align]
        rows = [[markdown(cell) for cell in row] for row in (table.header, *table.rows)]
        return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))

    def latex(self) -> str:
        """Return the table as a LaTeX tabular, for the package booktabs."""
        table = self.shown()
        rows = [" & ".join(map(latex, row)) + r" \\" for row in (table.header, *table.rows)]
        lines = [rf"\begin{{tabular}}{{{table.align}}}", r"\toprule", rows[0], r"\midrule", *rows[1:], r"\bottomrule"]
        return "\n".join([*lines, r"\end{tabular}"])

    def typst(self) -> str:
        """Return the table as a typst table."""
        table = self.shown()
        align = ", ".join("right" if letter == "r" else "left" for letter in table.align)
        rows = [", ".join(typst_string(cell) for cell in row) for row in table.rows]
        head = ", ".join(typst_string(cell) for cell in table.header)
        lines = [f"  columns: {exact(len(table.header))}, align: ({align},),", f"  table.header({head}),"]
        return "\n".join(["#table(", *lines, *(f"  {row}," for row in rows), ")"])

    def html(self) -> str:
        """Return the table as HTML."""
        table = self.shown()
        head = "".join(f"<th>{markup(cell)}</th>" for cell in table.header)
        body = "".join(f"<tr>{''.join(f'<td>{markup(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
        return f"<table><tr>{head}</tr>{body}</table>"


def _heads(rows: Sequence[Sequence[str]]) -> int:
    """Count the first columns that tell the rows apart; one where none do."""
    columns = len(rows[0]) if rows else 0
    return next((k for k in range(1, columns) if len({tuple(row[:k]) for row in rows}) == len(rows)), 1)


def _parts(widths: Sequence[int], indent: int, heads: int) -> list[list[int]]:
    """Divide columns into parts that fit the page, each with the heads where these leave room."""
    room = _WIDTH.get() - indent
    heads = heads if sum(widths[:heads]) + 2 * heads < room / 2 else min(1, len(widths))
    parts = [list(range(heads))]
    for column in range(heads, len(widths)):
        whole = sum(widths[i] + 2 for i in parts[-1]) + widths[column]
        if _WIDTH.get() and whole > room and len(parts[-1]) > heads:
            parts.append(list(range(heads)))
        parts[-1].append(column)
    return parts
