"""The blocks of a report: plain data that the template typesets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scalefit.plots.marks import marked
from scalefit.plots.style import svg_bytes
from scalefit.report.points import points_of
from scalefit.report.text import PageRuns, runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Block",
    "Drawing",
    "align_decimals",
    "align_errors",
    "answers",
    "cards",
    "drawing",
    "equations",
    "heading",
    "name_files",
    "note",
    "paragraph",
    "picture",
    "references",
    "table",
]

Block = dict[str, Any]

FIGURE_SPACE: Final = "\u2007"  # as wide as a digit
POINT_SPACE: Final = "\u2008"  # as wide as a decimal point
NO_BREAK: Final = "\u00a0"


def heading(text: str) -> Block:
    """Return a section heading."""
    return {"kind": "heading", "text": text}


def paragraph(*sentences: str) -> Block:
    """Return a paragraph of the sentences that are not empty."""
    return {"kind": "paragraph", "runs": runs(" ".join(filter(None, sentences)))}


def note(*sentences: str) -> Block:
    """Return a highlighted paragraph: what to know before reading on."""
    return {"kind": "note", "runs": runs(" ".join(filter(None, sentences)))}


def answers(items: Sequence[PageRuns], verdict: str = "") -> Block:
    """Return the answers of page one, below the verdict in large letters where there is one."""
    return {"kind": "answer", "items": list(items), "verdict": runs(verdict)}


def references(texts: Sequence[str]) -> Block:
    """Return a bibliography in small type."""
    return {"kind": "references", "items": [runs(text) for text in texts]}


def cards(items: Sequence[tuple[str, str, str]]) -> Block:
    """Return large numbers with a title above and a line below each."""
    return {
        "kind": "cards",
        "items": [{"title": runs(a), "value": _hold(b), "detail": runs(c)} for a, b, c in items],
    }


def equations(items: Sequence[dict[str, str]]) -> Block:
    """Return display equations."""
    return {"kind": "equations", "items": list(items)}


class Drawing(NamedTuple):
    """A figure with its caption and its alternative text.

    Parameters
    ----------
    figure : Figure
        Of matplotlib.
    caption : str
        Printed below it.
    alt : str
        For screen readers.
    """

    figure: Figure
    caption: str
    alt: str


def drawing(axes: Axes, caption: str, alt: str) -> Drawing:
    """Return the figure that axes belong to, with its caption and alternative text.

    Parameters
    ----------
    axes : Axes
        Any of the figure.
    caption, alt : str
        As for :class:`Drawing`.

    Returns
    -------
    Drawing
        The figure.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    return Drawing(figure, caption, alt)


def picture(drawn: Drawing, *, floating: bool = False) -> Block:
    """Return the block of a figure, which contains the picture until :func:`name_files` gives it a file.

    Parameters
    ----------
    drawn : Drawing
        The figure.
    floating : bool
        Whether it may move to the top or the bottom of a page.

    Returns
    -------
    Block
        For the template.
    """
    marks = marked(drawn.figure)  # which names them in the SVG
    svg = svg_bytes(drawn.figure).decode()
    block = {"kind": "figure", "svg": svg, "alt": drawn.alt, "caption": runs(drawn.caption), "floating": floating}
    return block | ({"points": points_of(marks)} if marks else {})


def name_files(blocks: Sequence[Block], prefix: str) -> tuple[list[Block], dict[str, bytes]]:
    """Move the pictures out of blocks into files.

    Parameters
    ----------
    blocks : sequence of Block
        As written.
    prefix : str
        What the names of the files begin with.

    Returns
    -------
    blocks : list of Block
        Each figure with the name of its file.
    files : dict
        SVG by file name.
    """
    named: list[Block] = []
    files: dict[str, bytes] = {}
    for block in blocks:
        rest = dict(block)
        if "svg" in rest:
            rest["file"] = f"{prefix}-{len(files) + 1}.svg"
            files[rest["file"]] = rest.pop("svg").encode()
        named.append(rest)
    return named, files


def table(
    caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, align: str, fill: int | None = None
) -> Block:
    """Return a table.

    Parameters
    ----------
    caption : str
        Printed above it.
    header : sequence of str
        Column heads.
    rows : sequence of sequence of str
        Cells, already aligned within their columns where needed.
    align : str
        One letter per column, ``l`` or ``r``.
    fill : int, optional
        The column that takes up the rest of the text width; the table is as wide as its cells without one.

    Returns
    -------
    Block
        For the template.
    """
    return {
        "kind": "table",
        "caption": runs(caption),
        "header": [runs(cell) for cell in header],
        "rows": [[runs(_hold(cell)) for cell in row] for row in rows],
        "align": ["right" if letter == "r" else "left" for letter in align],
        "fill": fill,
    }


def align_decimals(texts: Sequence[str]) -> list[str]:
    """Pad numbers so that, set flush right in tabular figures, their decimal points are aligned.

    ``value ± error`` is aligned in both parts.

    Parameters
    ----------
    texts : sequence of str
        A column of numbers; empty cells stay empty.

    Returns
    -------
    list of str
        Padded with spaces of the width of a digit and of a point.
    """
    values, errors = _split(texts)
    return _joined(_decimals(values), _decimals(errors))


def align_errors(texts: Sequence[str]) -> list[str]:
    """Pad ``value ± error`` of unequal magnitudes so that, set flush right, the signs are aligned.

    Parameters
    ----------
    texts : sequence of str
        A column of numbers, with or without an error; empty cells stay empty.

    Returns
    -------
    list of str
        Padded with spaces of the width of a digit and of a point.
    """
    values, errors = _split(texts)
    digits = max(sum(map(str.isdigit, error)) for error in errors)
    points = max(error.count(".") for error in errors)
    padded = [
        error + FIGURE_SPACE * (digits - sum(map(str.isdigit, error))) + POINT_SPACE * (points - error.count("."))
        for error in errors
    ]
    return _joined(values, padded)


def _split(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    pairs = [text.partition(" ± ") for text in texts]
    return [pair[0] for pair in pairs], [pair[2] for pair in pairs]


def _joined(values: Sequence[str], errors: Sequence[str]) -> list[str]:
    """Put values and errors together; a value without an error keeps its place."""
    if not any(error.strip() for error in errors):
        return list(values)
    gap = f"{NO_BREAK}{FIGURE_SPACE}{NO_BREAK}"
    return [
        (f"{value} ± {error}" if error.strip() else f"{value}{gap}{error}") if value else ""
        for value, error in zip(values, errors, strict=True)
    ]


def _decimals(texts: Sequence[str]) -> list[str]:
    """Fill up decimals on the right to equal width."""
    parts = [text.partition(".") for text in texts]
    most = max(len(part[2]) for part in parts)
    return [
        text + FIGURE_SPACE * (most - len(rest)) + ("" if point or not most else POINT_SPACE)
        for text, (_, point, rest) in zip(texts, parts, strict=True)
    ]


def _hold(text: str) -> str:
    """Keep the pieces of a number on one line."""
    return text.replace(" ± ", f"{NO_BREAK}±{NO_BREAK}")
