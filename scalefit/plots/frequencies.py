"""Figures of token frequencies: counts against rank, with the power laws of some ranges.

Counts are black; each fitted law is a line over its range of ranks only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from scalefit.models.frequencies import Exponent, Frequencies
from scalefit.numbers import exact, plus_minus
from scalefit.plots.style import (
    BLUE,
    GOLD,
    GREY,
    INK,
    TEAL,
    as_label,
    house_style,
    log_axis,
    new_axes,
    write_key,
)

__all__ = ["draw_frequencies"]

_COLOURS: Final = (BLUE, TEAL, GOLD, INK)
_MOST: Final = 150  # ranks that are drawn, evenly on the axis, because a large vocabulary would make a large file
_ABOVE: Final = 1.6  # how far a line lies above the counts, so that both can be seen


@house_style()
def draw_frequencies(counted: Frequencies, fitted: Sequence[Exponent] = (), *, ax: Axes | None = None) -> Axes:
    """Draw counts against rank on log axes, with fitted power laws.

    Parameters
    ----------
    counted : Frequencies
        The counts.
    fitted : sequence of Exponent
        Laws of ranges of ranks, each drawn a little above the counts.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        With the counts and a line for each law.
    """
    ax = new_axes(ax, width=110.0, height=78.0)
    n = len(counted.counts)
    ranks = np.unique(np.round(np.geomspace(1, n, _MOST)).astype(int))
    ax.plot(ranks, counted.counts[ranks - 1], color=GREY, marker=".", markersize=3.0, linewidth=0.8, label="counts")
    highest = float(counted.counts[0])
    for place, law in enumerate(fitted):
        within = np.arange(law.lo, law.hi + 1, dtype=float)
        size = law.tokens / (within**-law.alpha).sum()  # the count that the law predicts at rank 1
        ends = np.array([law.lo, law.hi], dtype=float)
        heights = _ABOVE * size * ends**-law.alpha
        label = f"ranks {law.lo}–{law.hi}: exponent {plus_minus(law.alpha, law.error)}"
        ax.plot(ends, heights, color=_COLOURS[place % len(_COLOURS)], linewidth=1.6, label=label)
        highest = max(highest, float(heights[0]))
    ax.legend(loc="lower left")
    log_axis(ax.xaxis, [1, max(n, 2)])
    log_axis(ax.yaxis, [max(1.0, float(counted.counts[-1])), highest])
    write_key(ax, "rank of the token", f"lines lie {exact(_ABOVE)} times above the counts")
    ax.set_ylabel(f"tokens of {as_label(counted.name, 40)}" if counted.name else "tokens")
    return ax
