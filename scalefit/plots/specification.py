"""One parameter under many sets of choices: the base in blue, variations in teal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from scalefit.data.columns import parse_mapping
from scalefit.data.where import parse_where
from scalefit.numbers import exact, fixed, percent, plus_minus
from scalefit.plots.draws import parameter_label
from scalefit.plots.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    PANEL,
    RED,
    TEAL,
    as_label,
    house_style,
    new_axes,
    reference_line,
)

__all__ = ["Bar", "choice_words", "specification"]

_WORDS: Final = {
    "likelihood=student_t": "Student-t errors",
    "likelihood=normal": "normal errors",
    "likelihood=squared": "least squares",
    "likelihood=huber": "Huber's loss",
    "drop_highest_loss=0": "no losses dropped",
    "drop_highest_loss=1": "highest loss dropped",
    "ties=drop": "rows tied with the cut dropped",
    "ties=keep": "rows tied with the cut kept",
    "cluster=none": "independent rows",
    "where=none": "all rows",
    "mapping=none": "columns as named",
    "weights=none": "no weights",
    "exponents=free": "exponents of either sign",
}
_LABEL: Final = 40  # letters of a line of a label
_MORE: Final = 0.3  # of the height of a row, for each further line of a label
_LETTER: Final = 0.054  # inches of a letter of a reason
_FORMS: Final = {
    "drop_highest_loss": "{} highest losses dropped",
    "cluster": "one shift for each {}",
    "prior": "prior {}",
    "weights": "weighted by {}",
    "derive": "computed: {}",
}


class Bar(NamedTuple):
    """One row of the figure.

    Parameters
    ----------
    changed : tuple of (str, str)
        Options and values in which it differs from the base; empty for the base.
    value, lo, hi, sd : float
        Estimate, interval and error; NaN where there is none.
    bootstrap : bool
        Whether the interval is that of a bootstrap, which is not a posterior.
    inside : float or None
        Probability of the region; None without a region, NaN where there is none.
    n_rows : int or None
        Rows used.
    reason : str
        Why there are no numbers.
    """

    changed: tuple[tuple[str, str], ...]
    value: float
    lo: float
    hi: float
    sd: float
    bootstrap: bool
    inside: float | None
    n_rows: int | None
    reason: str


@house_style()
def specification(
    bars: Sequence[Bar],
    param: str,
    *,
    reference: float | None = None,
    region: tuple[float, float] | None = None,
    words: str = "",
    level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw one parameter under many sets of choices, row by row.

    The base is blue with a dashed line through all rows, other posteriors are teal; a bootstrap is a hollow square on
    a dotted line. At the right are numbers: rows used, estimate and error, probability of the region.

    Parameters
    ----------
    bars : sequence of Bar
        The base first.
    param : str
        The parameter.
    reference : float, optional
        A hypothesis, drawn in red.
    region : tuple of float, optional
        The values that count as equal to it, shaded.
    words : str
        Label of the hypothesis; its value when empty.
    level : float
        Probability of the intervals.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.
    """
    labels = [textwrap.wrap(as_label(describe(bar)), _LABEL) for bar in bars]
    places = _places(bars, [len(lines) for lines in labels])
    ax = new_axes(ax, width=FULL_WIDTH, height=19 + 3.4 * len(bars) + 2 * sum(len(lines) - 1 for lines in labels))
    left, right = _span(bars, reference, region)
    ax.set_xlim(left, right)
    if region is not None:
        ax.axvspan(*region, color=PANEL, zorder=0)
    for place, bar in zip(places, bars, strict=True):
        if np.isfinite(bar.value):
            _draw(ax, bar, place, BLUE if not bar.changed else TEAL)
    if np.isfinite(bars[0].value):
        ax.axvline(bars[0].value, color=BLUE, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    if reference is not None:
        reference_line(ax, reference, as_label(words) or f"{parameter_label(param)} = {exact(reference)}")
    _write_numbers(ax, bars, places)
    ax.set_yticks(places, ["\n".join(lines) for lines in labels], linespacing=0.95)
    ax.get_yticklabels()[0].set_color(BLUE)
    ax.set_ylim(max(places) + 0.7, -1.6)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    hollow = "; hollow: bootstrap, not a posterior" if any(bar.bootstrap for bar in bars) else ""
    ax.set_xlabel(f"{parameter_label(param)}, {percent(level)} intervals{hollow}")
    _write_reasons(ax, bars, places)
    return ax


def describe(bar: Bar) -> str:
    """Return the differences of a row from the base, in words."""
    return choice_words(bar.changed)


def choice_words(changed: Sequence[tuple[str, str]]) -> str:
    """Write choices as words: ``normal errors, width ≤ 2600``; ``base`` without any."""
    return ", ".join(_words(name, value) for name, value in changed) or "base"


def _words(name: str, value: str) -> str:
    if known := _WORDS.get(f"{name}={value}"):
        return known
    if name == "where":
        return parse_where(value).in_words()
    if name == "mapping":
        pairs = parse_mapping(value).items()
        return ", ".join(f"{quantity} = {column}".replace("_", " ") for quantity, column in pairs)
    return _FORMS.get(name, "{}").format(value)


def _places(bars: Sequence[Bar], lines: Sequence[int]) -> list[float]:
    """Return the heights of the rows, with a small gap where another option begins and room for labels of two lines."""
    places: list[float] = []
    height, before, above = 0.0, None, 1
    for bar, own in zip(bars, lines, strict=True):
        kind = bar.changed[0][0] if bar.changed else None
        if places:
            height += (1.0 if kind == before else 1.45) + _MORE * (own + above - 2)
        places.append(height)
        before, above = kind, own
    return places


def _draw(ax: Axes, bar: Bar, place: float, colour: str) -> None:
    style: dict[str, Any] = {"linestyle": (0, (1, 1.2))} if bar.bootstrap else {"solid_capstyle": "butt"}
    ax.plot([bar.lo, bar.hi], [place, place], color=colour, linewidth=1.8, zorder=3, **style)
    face = "white" if bar.bootstrap else colour
    mark = "s" if bar.bootstrap else "o"
    ax.plot(bar.value, place, marker=mark, color=colour, markerfacecolor=face, markersize=5, zorder=4)


def _write_numbers(ax: Axes, bars: Sequence[Bar], places: Sequence[float]) -> None:
    """Write rows, estimate and probability to the right of the axes, in columns with headings."""
    columns: list[tuple[float, str, list[str]]] = [
        (24, "rows", ["" if bar.n_rows is None else str(bar.n_rows) for bar in bars]),
        (86, "estimate", [plus_minus(bar.value, bar.sd) if np.isfinite(bar.value) else "none" for bar in bars]),
    ]
    if bars[0].inside is not None:
        shares = ["" if bar.inside is None or np.isnan(bar.inside) else fixed(bar.inside, 2) for bar in bars]
        columns.append((130, "P(region)", shares))
    for at, heading, texts in columns:
        for place, text in zip([-1.1, *places], [heading, *texts], strict=True):
            ax.annotate(
                text, (1, place), xycoords=("axes fraction", "data"), xytext=(at, 0), textcoords="offset points",
                ha="right", va="center", fontsize=7.5,
                color=GREY if text == heading else RED if text == "none" else None, annotation_clip=False,
            )  # fmt: skip


def _write_reasons(ax: Axes, bars: Sequence[Bar], places: Sequence[float]) -> None:
    """Write why a row has no numbers, as much as the axes have room for, in front of the lines through all rows."""
    reasons = [(place, bar.reason) for place, bar in zip(places, bars, strict=True) if not np.isfinite(bar.value)]
    figure = ax.get_figure(root=True)
    if not reasons or figure is None:
        return
    figure.draw_without_rendering()  # so that the axes have their width
    most = max(10, int(ax.get_window_extent().width / figure.dpi / _LETTER))
    for place, reason in reasons:
        text = reason if len(reason) <= most else f"{reason[: most - 1]}…"
        ax.annotate(
            as_label(text, most), (0.01, place), xycoords=("axes fraction", "data"), color=GREY, va="center",
            fontsize=7.5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6}, zorder=5,
        )  # fmt: skip


def _span(bars: Sequence[Bar], reference: float | None, region: tuple[float, float] | None) -> tuple[float, float]:
    ends = [end for bar in bars for end in (bar.lo, bar.hi, bar.value) if np.isfinite(end)]
    ends += [] if reference is None else [reference]
    ends += list(region or ())
    if not ends:
        return 0.0, 1.0
    room = 0.05 * (max(ends) - min(ends)) or 0.1
    return min(ends) - room, max(ends) + room
