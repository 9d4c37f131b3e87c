"""The style of every figure: one meaning per colour, one typeface, printed size.

A figure is drawn at the width at which it is printed, so 8 pt is 8 pt. Colours mean the same on every page:
blue is the main estimate, teal an alternative, red a hypothesis or reference, gold excluded rows.
"""

from __future__ import annotations

import io
import os
import re
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib import style as mpl_style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.escape import mathtext, one_line, shortened
from scalefit.law.additive import Coef, Law
from scalefit.law.typeset import GREEK_LETTERS, SYMBOLS, to_mathtext
from scalefit.names import Level, parse_name, printed_label
from scalefit.numbers import short_number
from scalefit.plots.fonts import FAMILY, drawable, font_folder, in_typeface, register

__all__ = [
    "BLUE",
    "FULL_WIDTH",
    "GOLD",
    "GREY",
    "HAIRLINE",
    "INK",
    "PANEL",
    "RED",
    "TEAL",
    "as_label",
    "column_label",
    "font_folder",
    "house_style",
    "log_axis",
    "mixed",
    "new_axes",
    "new_figure",
    "new_panels",
    "panel_title",
    "reference_line",
    "save_figure",
    "svg_bytes",
    "symbol",
    "write_key",
]

BLUE: Final = "#1f5a8c"
TEAL: Final = "#2a8c82"
RED: Final = "#c8492f"
GOLD: Final = "#d9a036"
INK: Final = "#1b2430"
GREY: Final = "#6b7684"
HAIRLINE: Final = "#d4dae1"
PANEL: Final = "#f4f6f9"

FULL_WIDTH: Final = 170.0  # mm, the text width of the report
_MM: Final = 1 / 25.4
_LETTER: Final = 1.25  # mm, the mean width of a letter of 8 pt
_LONGEST: Final = 72  # letters of a label from outside; longer ones are cut in the middle
_FORMULA: Final = re.compile(r"(?<!\\)\$(.+?)(?<!\\)\$")
_HALO: Final = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
_STYLE: Final[dict[str, Any]] = {
    "axes.edgecolor": GREY,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 8,
    "axes.titlepad": 5,
    "axes.unicode_minus": True,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.size": 8,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "scalefit",
    "text.color": INK,
    "text.parse_math": True,
    "text.usetex": False,
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "xtick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 7.5,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.6,
}


def _typeface() -> dict[str, Any]:
    """Return the settings that use the fonts."""
    families = list(register())
    if families[0] != FAMILY:
        return {"font.family": families, "mathtext.fontset": "dejavusans"}
    return {
        "font.family": families,
        "mathtext.fontset": "custom",
        "mathtext.cal": FAMILY,
        "mathtext.rm": FAMILY,
        "mathtext.it": f"{FAMILY}:italic",
        "mathtext.bf": f"{FAMILY}:semibold",
    }


_inside = False  # whether house_style is active: a global, because matplotlib's settings are


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the style of the report; also usable as a decorator.

    Fira Sans is used when its package is installed, else the default sans of matplotlib. The user's matplotlibrc and
    rcParams are ignored meanwhile and restored afterwards; the backend is not changed.
    """
    global _inside
    if _inside:
        yield
        return
    with mpl.rc_context():
        mpl_style.use("default")
        settings: Any = {**_STYLE, **_typeface()}
        mpl.rcParams.update(settings)
        _inside = True
        try:
            yield
        finally:
            _inside = False


class _HouseFigure(Figure):
    """A figure that is drawn in the house style even later: matplotlib makes ticks only when it draws."""

    @house_style()
    def draw(self, renderer: Any) -> None:
        super().draw(renderer)


def new_figure(*, height: float, width: float = FULL_WIDTH) -> Figure:
    """Return an empty figure of the printed size.

    Parameters
    ----------
    height, width : float
        Size, mm.

    Returns
    -------
    Figure
        Not registered with pyplot, so it need not be closed.
    """
    with house_style():
        return _HouseFigure(figsize=(width * _MM, height * _MM))


def new_panels(rows: int, columns: int, *, height: float, width: float = FULL_WIDTH, **options: Any) -> list[Axes]:
    """Return the Axes of a new figure, row by row.

    Parameters
    ----------
    rows, columns : int
        Number of panels.
    height, width : float
        Size of the figure, mm.
    **options
        Passed to ``Figure.subplots``, such as ``sharey=True``.

    Returns
    -------
    list of Axes
        Of length rows times columns.
    """
    with house_style():
        figure = new_figure(height=height, width=width)
        return list(figure.subplots(rows, columns, squeeze=False, **options).ravel())


def new_axes(ax: Axes | None, *, width: float = 85.0, height: float = 62.0) -> Axes:
    """Return the given Axes, or those of a new figure of half the text width.

    Parameters
    ----------
    ax : Axes or None
        Axes to draw on.
    width, height : float
        Size of a new figure, mm.

    Returns
    -------
    Axes
        ``ax``, or new ones.
    """
    return new_panels(1, 1, width=width, height=height)[0] if ax is None else ax


def svg_bytes(figure: Figure) -> bytes:
    """Write a figure as SVG, for a report; the same figure gives the same bytes.

    Text is stored as text, unless some of it is in a script whose letters change shape or join: PDF/A does not allow
    such glyphs in a figure, because they do not correspond to single letters. Then all text is drawn as outlines.

    Parameters
    ----------
    figure : Figure
        A figure of :func:`new_figure`.

    Returns
    -------
    bytes
        SVG.
    """
    drawn = _svg(figure)
    return _svg(figure, text="path") if _joins(drawn.decode()) else drawn


def _svg(figure: Figure, *, text: str = "none") -> bytes:
    with house_style(), mpl.rc_context({"svg.fonttype": text}):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _short_families(buffer.getvalue())


def _joins(text: str) -> bool:
    """Whether a text has Arabic letters, marks above or below letters, or joiners."""
    return not text.isascii() and any(
        unicodedata.bidirectional(character) == "AL" or unicodedata.category(character) in ("Cf", "Mc", "Me", "Mn")
        for character in set(text)
    )


def _short_families(svg: bytes) -> bytes:
    """Name two font families instead of all: viewers find missing letters in other fonts by themselves."""
    families = [f"'{name}'" for name in register()]
    return svg.replace(", ".join(families).encode(), ", ".join(families[:2]).encode())


def save_figure(axes: Axes | Sequence[Axes], path: str | os.PathLike[str]) -> None:
    """Write the figure of some Axes to a file, in the format of its suffix.

    Parameters
    ----------
    axes : Axes or sequence of Axes
        The return value of a plot function.
    path : path
        Such as ``residuals.png``; svg, pdf and other formats of matplotlib.

    Raises
    ------
    DataError
        For an unknown suffix or a path that cannot be written.
    """
    figure = (axes if isinstance(axes, Axes) else axes[0]).get_figure(root=True)
    path = Path(path)
    suffix = path.suffix.lower().lstrip(".")
    known = figure.canvas.get_supported_filetypes() if figure else {}
    if figure is None or suffix not in known:
        raise DataError(f"cannot draw to {path.name!r}; end the name with one of: {', '.join(sorted(known))}")
    with house_style():
        buffer = io.BytesIO()
        dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        figure.savefig(buffer, format=suffix, dpi=200, metadata=dated.get(suffix))
    drawn = _short_families(buffer.getvalue()) if suffix == "svg" else buffer.getvalue()
    try:
        path.write_bytes(drawn)
    except OSError as error:
        raise DataError(f"cannot write {str(path)!r}: {error.strerror}; give a path that you can write") from None


def as_label(text: str, most: int = _LONGEST) -> str:
    """Return text from outside for use in a figure: literally, on one line, shortened when it is very long.

    Parameters
    ----------
    text : str
        A label, a name of a column or a file, words of a study.
    most : int
        The largest number of letters.

    Returns
    -------
    str
        For any text of matplotlib, with code points in place of characters that no font has.
    """
    return mathtext(drawable(shortened(one_line(text), most)))


def symbol(name: str, level: Level | None = None) -> str:
    """Typeset a parameter's name: ``a_m`` with a subscript, ``alpha`` as Greek; its level follows after a comma.

    Formulas are set in the typeface alone, so a name or a level with other letters makes all of it plain text.

    Parameters
    ----------
    name : str
        A coefficient, or the printed name of a parameter.
    level : tuple of str, optional
        Labels; those of the printed name when omitted.

    Returns
    -------
    str
        For any text of matplotlib.
    """
    try:
        coefficient, level = parse_name(name) if level is None else (name, level)
    except ValueError:  # not a parameter's name
        return as_label(name)
    letter = as_label(coefficient)
    if coefficient.isascii() and coefficient.isidentifier():
        letter = f"${to_mathtext(Law('loss', Coef(coefficient), ())).strip('$').partition(' = ')[2]}$"
    return without_formulas(", ".join([letter, *(as_label(printed_label(label)) for label in level)]))


def without_formulas(text: str) -> str:
    """Replace the formulas of a label by plain text if the rest of it needs letters that the typeface lacks.

    Parameters
    ----------
    text : str
        With formulas as :func:`symbol` and :func:`column_label` write them.

    Returns
    -------
    str
        The same text where the typeface has all letters.
    """
    return text if in_typeface(text) else _FORMULA.sub(lambda formula: _spelled(formula[1]), text)


def _spelled(formula: str) -> str:
    words = re.sub(r"\\mathrm\{([^{}]*)\}", r"\1", formula)
    words = re.sub(r"\\([A-Za-z]+)", lambda name: GREEK_LETTERS.get(name[1], name[1]), words)
    return re.sub(r"[{}]", "", words)


def column_label(name: str) -> str:
    """Label an axis that shows a column: the word, and the usual letter of the quantity if there is one."""
    words = "parameters" if name == "params" else as_label(name.replace("_", " "))
    return f"{words} ${SYMBOLS[name]}$" if name in SYMBOLS else words


@house_style()
def panel_title(ax: Axes, text: str) -> None:
    """Set a short heading flush left above a panel."""
    ax.set_title(as_label(text))


def reference_line(ax: Axes, at: float, words: str, *, axis: str = "x", place: float = 1.0) -> None:
    """Draw a hypothesis in red with its label.

    Parameters
    ----------
    ax : Axes
        Where.
    at : float
        The hypothesis, in data units.
    words : str
        The label.
    axis : {"x", "y"}
        The axis on which ``at`` lies.
    place : float
        Position of the label along the line, as a fraction of the axes.
    """
    draw = ax.axvline if axis == "x" else ax.axhline
    draw(at, color=RED, linewidth=1.1, zorder=1.5)
    spot = (at, place) if axis == "x" else (place, at)
    transform = ax.get_xaxis_transform() if axis == "x" else ax.get_yaxis_transform()
    offset = (3, -2) if axis == "x" else (0, 2)
    ax.annotate(
        words, spot, xycoords=transform, xytext=offset, textcoords="offset points", color=RED, fontsize=7.5,
        ha="left" if axis == "x" else "right", va="top" if axis == "x" else "bottom", bbox=_HALO, zorder=4,
    )  # fmt: skip


def mixed(text: str) -> str:
    r"""Return a text of formulas and numbers in the form that mathtext needs.

    A text with a formula is typeset by mathtext as a whole, and its fonts lack the narrow space between thousands,
    which is replaced by the space of mathtext.

    Parameters
    ----------
    text : str
        Words, numbers and formulas between dollar signs.

    Returns
    -------
    str
        Looks the same; unchanged without a formula.

    Examples
    --------
    >>> print(mixed("$m$ of 151\u202f936 rows"))
    $m$ of 151$\,$936 rows
    """
    return text.replace("\u202f", r"$\,$") if _FORMULA.search(text) else text


def write_key(ax: Axes, name: str, key: str) -> None:
    """Label the x axis with a quantity and, after or below it, the meaning of the marks.

    Parameters
    ----------
    ax : Axes
        Where.
    name : str
        The quantity.
    key : str
        Words, broken into lines of the axes' width.
    """
    name = without_formulas(name)
    figure = ax.get_figure(root=True)
    width = ax.get_position().width * (figure.get_figwidth() / _MM if figure else FULL_WIDTH)
    most = int(width / _LETTER)
    together = f"{name}     {key}"
    plain = re.sub(r"[$\\{}]", "", together)
    ax.set_xlabel(mixed(together if len(plain) <= most else "\n".join([name, *textwrap.wrap(key, most)])))


def log_axis(axis: Axis, values: Sequence[float] | NDArray[np.float64], *, most: int = 5, pad: float = 0.06) -> None:
    """Make an axis logarithmic with few round ticks, all labelled, none between them.

    Parameters
    ----------
    axis : Axis
        ``ax.xaxis`` or ``ax.yaxis``.
    values : array
        Values that the axis must show; positive.
    most : int
        At most this many ticks.
    pad : float
        Margin at both ends, as a fraction of the range in logs.
    """
    logs = np.log10(np.asarray(values, float))
    lo, hi = float(logs.min()), float(logs.max())
    room = max(hi - lo, 0.1) * pad
    lo, hi = lo - room, hi + room
    is_x = axis is axis.axes.xaxis
    ax = axis.axes
    (ax.set_xscale if is_x else ax.set_yscale)("log")
    (ax.set_xlim if is_x else ax.set_ylim)(10**lo, 10**hi)
    axis.set_major_locator(FixedLocator(_round_ticks(lo, hi, most)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))


def _round_ticks(lo: float, hi: float, most: int) -> list[float]:
    """Return the finest of a few round series that has two to ``most`` values in 10^[lo, hi]."""
    decades = range(int(np.floor(lo)), int(np.ceil(hi)) + 1)
    series: list[list[float]] = [
        [m * 10.0**d for d in decades for m in mantissas]
        for mantissas in ((1, 1.5, 2, 3, 4, 5, 7), (1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
    ] + [[10.0**d for d in decades if d % step == 0] for step in (2, 3, 4, 6)]
    even = MaxNLocator(nbins=most, steps=[1, 2, 5, 10]).tick_values(10**lo, 10**hi)  # for less than an octave
    inside = [[tick for tick in ticks if tick > 0 and lo <= np.log10(tick) <= hi] for ticks in (*series, list(even))]
    return next((ticks for ticks in inside if 2 <= len(ticks) <= most), inside[-1])
