"""Forecasts in pictures: runs and forecasts with their bands, coverage and error of a backtest, and a plan of runs."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes

from scalefit.forecasting import Forecast
from scalefit.numbers import short_number, to_digits
from scalefit.plots.style import (
    BLUE,
    GREY,
    INK,
    PANEL,
    as_label,
    column_label,
    house_style,
    log_axis,
    new_axes,
    write_key,
)
from scalefit.quantiles import student_quantile

__all__ = ["draw_forecast"]

_BANDS: Final = ((0.9, 0.14), (0.8, 0.16), (0.5, 0.24))  # probability and opacity
_MOST: Final = 6  # targets with a line of their own


@house_style()
def draw_forecast(found: Forecast, *, ax: Axes | None = None) -> Axes:
    """Draw runs and forecasts against compute.

    Parameters
    ----------
    found : Forecast
        The forecast. Each of the first six targets has a line from the largest run, with bands of 50, 80 and 90%;
        others are points with the interval asked for. The tinted ground marks the compute of the runs.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes
        The axes.
    """
    axes = new_axes(ax, width=120, height=75)
    learned, compute = found.learning, found.learning.compute
    axes.axvspan(compute.min(), compute.max(), color=PANEL, zorder=0, lw=0)
    axes.plot(compute, np.exp(learned.runs.y), "o", ms=3, color=GREY, alpha=0.7, mew=0)
    degrees = found.rule.constants.degrees
    for i in range(min(len(found), _MOST)):
        one = found.target(i)
        if one.ratio > 1:
            along, median, scale, _ = found.along(i)
            for probability, opacity in _BANDS:
                reach = np.exp(student_quantile((1 + probability) / 2, degrees) * scale)
                axes.fill_between(along, median / reach, median * reach, color=BLUE, alpha=opacity, lw=0)
            axes.plot(along, median, color=BLUE)
        words = ", ".join(f"{short_number(to_digits(value, 3))} {name}" for name, value in one.columns.items())
        axes.annotate(
            as_label(words), (one.compute, one.estimate.hi), xytext=(4, 3), textcoords="offset points", ha="right",
            color=INK, fontsize=7.5,
        )  # fmt: skip
    value = np.exp(found.predicted.mu)
    lo, hi = found.interval(found.prob)
    axes.errorbar(
        found.targets["compute"], value, [value - lo, hi - value], fmt="D", ms=4, color=BLUE, lw=1, zorder=5,
    )  # fmt: skip
    log_axis(axes.xaxis, [*compute, *found.targets["compute"]])
    log_axis(axes.yaxis, [*np.exp(learned.runs.y), *lo, *hi])
    basis = "FLOP" if learned.cost is None else str(learned.cost)
    write_key(axes, f"compute ({basis})", "dots: runs; line and diamonds: forecast with intervals of 50, 80 and 90%")
    axes.set_ylabel(column_label(learned.response))
    return axes
