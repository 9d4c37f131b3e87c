"""Whether intervals reach their nominal coverage: ranks of known truths, and how often intervals cover them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray
from scipy import stats

from scalefit.numbers import percent
from scalefit.plots.draws import parameter_label
from scalefit.plots.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    HAIRLINE,
    RED,
    house_style,
    new_axes,
    new_figure,
)

__all__ = ["coverage", "rank_histograms"]

_PER_ROW: Final = 4
_BAND: Final = 0.95  # probability of the band of counts of one bin under uniform ranks
Covered = Mapping[str, tuple[float, float, float]]


@house_style()
def rank_histograms(
    counts: Mapping[str, NDArray[np.int64]], covered: Covered, *, level: float = 0.95
) -> tuple[Axes, ...]:
    """Draw a histogram of ranks for each parameter, and the coverage of all parameters below.

    Uniform ranks stay in the grey band in 95% of the bins. A peak means that intervals are too wide, a valley that they
    are too narrow, a slope that they are biased.

    Parameters
    ----------
    counts : mapping of str to array, shape (bins,)
        Parameter to ranks counted in bins.
    covered : mapping of str to (float, float, float)
        Parameter to the share of intervals that cover the truth, and its confidence limits.
    level : float
        Nominal coverage of the intervals.

    Returns
    -------
    tuple of Axes
        One per histogram, then that of the coverage.
    """
    rows = -(-len(counts) // _PER_ROW)
    figure = new_figure(height=26 * rows + 24 + 4.3 * len(covered), width=FULL_WIDTH)
    grid = figure.add_gridspec(rows + 1, _PER_ROW, height_ratios=[26.0] * rows + [24 + 4.3 * len(covered)])
    panels = []
    for place, (name, count) in enumerate(counts.items()):
        ax = figure.add_subplot(grid[place // _PER_ROW, place % _PER_ROW])
        _histogram(ax, count)
        ax.set_title(parameter_label(name) if name not in ("sigma", "nu", "tau") else f"$\\{name}$")
        if place % _PER_ROW == 0:
            ax.set_ylabel("data sets")
        if place + _PER_ROW >= len(counts):
            ax.set_xlabel("rank of the truth")
        panels.append(ax)
    last = figure.add_subplot(grid[rows, :])
    coverage(covered, level=level, ax=last)
    return (*panels, last)


def _histogram(ax: Axes, count: NDArray[np.int64]) -> None:
    n, bins = int(count.sum()), len(count)
    lo, hi = stats.binom.interval(_BAND, n, 1 / bins)
    ax.axhspan(lo, hi, color=HAIRLINE, alpha=0.6, linewidth=0, zorder=0)
    ax.axhline(n / bins, color=GREY, linewidth=0.7, zorder=1)
    left = np.arange(bins) / bins
    outside = (count < lo) | (count > hi)
    ax.bar(left, count, 0.86 / bins, align="edge", color=np.where(outside, RED, BLUE), zorder=2)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(0, 1.1 * max(count.max(), hi))
    ax.set_xticks([0, 0.5, 1], ["lowest", "", "highest"])
    ax.locator_params(axis="y", nbins=4, integer=True)


@house_style()
def coverage(covered: Covered, *, level: float = 0.95, ax: Axes | None = None) -> Axes:
    """Draw how often intervals cover the truth, with 95% confidence limits; red where they exclude the level.

    Parameters
    ----------
    covered : mapping of str to (float, float, float)
        Parameter to the share and its confidence limits.
    level : float
        Nominal coverage of the intervals.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.
    """
    ax = new_axes(ax, width=FULL_WIDTH, height=18 + 4.3 * len(covered))
    for i, (share, lo, hi) in enumerate(covered.values()):
        colour = BLUE if lo <= level <= hi else RED
        ax.plot([lo, hi], [i, i], color=colour, linewidth=1.8, solid_capstyle="butt", zorder=3)
        ax.plot(share, i, marker="o", color=colour, markersize=5, zorder=4)
        ax.annotate(
            percent(share, 1), (1, i), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=7.5, annotation_clip=False,
        )  # fmt: skip
    ax.axvline(level, color=GREY, linewidth=0.9, zorder=1)
    lowest = min(lo for _, lo, _ in covered.values())
    ax.set_xlim(min(lowest, level) - 0.03, 1.003)
    ax.set_yticks(range(len(covered)), [parameter_label(name) for name in covered])
    ax.set_ylim(len(covered) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MultipleLocator(_step(min(lowest, level))))
    ax.xaxis.set_major_formatter(lambda value, _: percent(value, 0))
    ax.set_xlabel(f"share of {percent(level)} intervals that cover the truth, with 95% confidence limits")
    return ax


def _step(lowest: float) -> float:
    """Round steps in per cent, about six of them."""
    return next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if step == 0.2 or (1 - lowest) / step <= 8)
