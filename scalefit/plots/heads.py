"""Figures of output heads: overlaps against width, norms, and eigenvalues.

Measured heads are blue, published points hollow grey; random directions and the Welch bound are red.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from scalefit.errors import DataError
from scalefit.models.heads import HeadMeasurement
from scalefit.numbers import exact
from scalefit.plots.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    INK,
    RED,
    as_label,
    house_style,
    log_axis,
    new_axes,
    new_panels,
    write_key,
)
from scalefit.plots.toy_curves import shades

__all__ = ["draw_heads", "norms", "overlaps", "spectra"]

_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHED: Final = (0, (4, 2.5))
_LABELLED: Final = 8  # models whose names fit at the end of their curves
_REACH: Final = 1.12  # how far the lines of theory are longer than the data


@house_style()
def draw_heads(heads: Sequence[HeadMeasurement]) -> tuple[Axes, ...]:
    """Draw all measurements: overlaps, norms, and eigenvalues where there are any.

    Parameters
    ----------
    heads : sequence of HeadMeasurement
        At least one.

    Returns
    -------
    tuple of Axes
        Two or three panels.

    Raises
    ------
    DataError
        Without any head.
    """
    if not heads:
        raise DataError("there is no head to draw; measure one")
    with_spectrum = any(head.spectrum for head in heads)
    panels = new_panels(1, 2 + with_spectrum, height=72.0, width=FULL_WIDTH)
    overlaps(heads, ax=panels[0])
    norms(heads, ax=panels[1])
    if with_spectrum:
        spectra(heads, ax=panels[2])
    return tuple(panels)


@house_style()
def overlaps(
    heads: Sequence[HeadMeasurement] = (),
    *,
    published: pd.DataFrame | None = None,
    own: pd.DataFrame | None = None,
    column: str = "overlap_ms",
    ax: Axes | None = None,
) -> Axes:
    """Draw mean squared overlaps against the width, with random directions (1/m) and the Welch bound.

    Parameters
    ----------
    heads : sequence of HeadMeasurement
        Drawn as arrows from the raw to the effective overlap.
    published : DataFrame, optional
        Points with columns ``width``, an overlap and perhaps ``family`` and ``rows`` or ``vocab``, drawn hollow, a
        marker for each family.
    own : DataFrame, optional
        Points of the user's heads, drawn as ``heads`` are; with arrows only if both overlaps are columns.
    column : str
        The column of their overlap.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    DataError
        With nothing to draw.
    """
    points = [(float(head.width), value) for head in heads for value in (head.overlap_ms, head.overlap_ms_effective)]
    sizes = [head.rows for head in heads]
    arrows = [(head.width, head.overlap_ms, head.overlap_ms_effective) for head in heads]
    lone: list[tuple[float, float]] = []
    if own is not None:
        both = "overlap_ms" in own and "overlap_ms_effective" in own
        columns = ["width", "overlap_ms", "overlap_ms_effective"] if both else ["width", column]
        rows = own[columns].apply(pd.to_numeric, errors="coerce").dropna().to_numpy(float).tolist()
        if both:
            arrows += [(m, raw, effective) for m, raw, effective in rows]
        else:
            lone = [(m, value) for m, value in rows]
        points += [(m, value) for m, *values in rows for value in values]
        sizes = sizes or _sizes(own)
    if published is not None:
        points += [(float(m), float(value)) for m, value in published[["width", column]].itertuples(index=False)]
        sizes = sizes or _sizes(published)
    if not points:
        raise DataError("there is no overlap to draw; pass measured heads or published points")
    ax = new_axes(ax, width=125.0 if published is None else FULL_WIDTH, height=80.0)
    keys = [] if published is None else _published(ax, published, column)
    for m, value in lone:
        ax.plot(m, value, marker="o", color=BLUE, markersize=3.6, zorder=4)
    for m, raw, effective in arrows:
        ax.annotate(
            "", (m, effective), (m, raw), zorder=3,
            arrowprops={"arrowstyle": "-|>", "color": BLUE, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 2.2,
                        "mutation_scale": 6},
        )  # fmt: skip
        ax.plot(m, raw, marker="o", color="white", markeredgecolor=BLUE, markersize=3.6, zorder=4)
        ax.plot(m, effective, marker="o", color=BLUE, markersize=3.6, zorder=4)
    widths, values = np.array(points).T
    line = np.geomspace(widths.min() / _REACH, widths.max() * _REACH, 80)
    ax.plot(line, 1 / line, color=RED, linewidth=1.0, linestyle=_DASHED, zorder=1)
    words = "red: random directions, 1/m (dashed)"
    shown = np.concatenate([values, 1 / line])
    if sizes:
        n = int(np.median(sizes))
        inside = line[line < n / 2]  # beyond, the bound falls to 0 and is not informative
        ax.plot(inside, (n - inside) / (inside * (n - 1)), color=RED, linewidth=1.0, zorder=1)
        words += f", and the Welch bound of {exact(n)} rows"
    if arrows:
        words += "; arrows: raw to effective"
    log_axis(ax.xaxis, line)
    log_axis(ax.yaxis, shown)
    if keys:
        ax.legend(handles=keys, loc="upper left", bbox_to_anchor=(1.01, 1.0), handlelength=1.4, labelspacing=0.4)
    ax.set_ylabel("mean squared overlap")
    write_key(ax, "width $m$ of the head", words)
    return ax


def _sizes(table: pd.DataFrame) -> list[int]:
    """Return the number of rows of each head, as measured where that is known; empty without."""
    size = next((name for name in ("rows", "vocab") if name in table), None)
    return [] if size is None else [int(number) for number in table[size]]


def _published(ax: Axes, table: pd.DataFrame, column: str) -> list[Line2D]:
    """Draw points of a table, and return their key; one without families has none."""
    keys = []
    families = table["family"] if "family" in table else pd.Series("", table.index)
    for number, family in enumerate(sorted(set(families))):
        own, marker = table[families == family], _MARKERS[number % len(_MARKERS)]
        ax.plot(
            own["width"], own[column], linestyle="none", marker=marker, markersize=4, markerfacecolor="none",
            markeredgecolor=GREY, markeredgewidth=0.9, zorder=2,
        )  # fmt: skip
        label = as_label(str(family))
        keys.append(
            Line2D([], [], color="none", marker=marker, markerfacecolor="none", markeredgecolor=GREY, label=label)
        )
    return keys if "family" in table else []


@house_style()
def norms(heads: Sequence[HeadMeasurement], *, ax: Axes | None = None) -> Axes:
    """Draw the distribution of the norms of the rows of each head, divided by their mean.

    Parameters
    ----------
    heads : sequence of HeadMeasurement
        A line each, the widest darkest.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.
    """
    ax = new_axes(ax)
    top, reach = 0.0, 2.0
    for head, colour in _shaded(heads):
        edges, counts = np.array(head.norms.edges) / head.norm_mean, np.array(head.norms.counts, float)
        density = counts / counts.sum() / np.diff(edges)
        ax.stairs(density, edges, color=colour, linewidth=1.0)
        top, reach = max(top, float(density.max())), max(reach, head.norm_quantiles[-1] / head.norm_mean)
    ax.set_xlim(0, min(reach * 1.05, 6))
    ax.set_ylim(0, 1.08 * top)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    _names(ax, heads)
    write_key(ax, "norm of a row over their mean", "raw rows; height: density")
    return ax


@house_style()
def spectra(heads: Sequence[HeadMeasurement], *, ax: Axes | None = None) -> Axes:
    """Draw the eigenvalues of the effective directions over their mean, the largest left.

    Parameters
    ----------
    heads : sequence of HeadMeasurement
        Those without eigenvalues are omitted.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    DataError
        When none has eigenvalues.
    """
    drawn = [head for head in heads if head.spectrum]
    if not drawn:
        raise DataError("no head has eigenvalues; measure them by --spectrum yes")
    ax = new_axes(ax)
    for head, colour in _shaded(drawn):
        rank, value = np.array(head.spectrum).T
        positive = value > 1e-6
        ax.plot(rank[positive] / head.width, value[positive], color=colour, linewidth=1.1)
    ax.axhline(1, color=RED, linewidth=1.0, zorder=1)
    log_axis(ax.xaxis, np.array([min(1 / head.width for head in drawn), 1.0]), most=4)
    values = [value for head in drawn for _, value in head.spectrum if value > 1e-3]
    log_axis(ax.yaxis, np.array([*values, 1.0]), most=4)
    ax.set_ylabel("eigenvalue over their mean")
    write_key(ax, "rank over $m$", "red: all dimensions used equally")
    return ax


def _shaded(heads: Sequence[HeadMeasurement]) -> list[tuple[HeadMeasurement, Any]]:
    order = sorted(heads, key=lambda head: head.width)
    return list(zip(order, shades(BLUE, len(order)), strict=True))


def _names(ax: Axes, heads: Sequence[HeadMeasurement]) -> None:
    """Name the models in a key, or write their number."""
    if len(heads) > _LABELLED:
        ax.set_title(f"{len(heads)} heads, the widest darkest", color=INK)
        return
    keys = [
        Line2D([], [], color=colour, linewidth=1.4, label=as_label(head.run, 24)) for head, colour in _shaded(heads)
    ]
    ax.legend(handles=keys, loc="upper right", handlelength=1.2, labelspacing=0.3, borderaxespad=0.1)
