"""Forecasts in pictures: runs and forecasts with their bands, coverage and error of a backtest, and a plan of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scalefit.allocation import Cost
from scalefit.forecasting import BacktestResult, Forecast, LevelForecasts, Plan
from scalefit.forecasting.rule import SHAPE
from scalefit.forecasting.scores import NAMES, ScoreTable
from scalefit.law.typeset import SYMBOLS
from scalefit.names import printed_label
from scalefit.numbers import exact, short_number, to_digits
from scalefit.plots import _show_in_notebook
from scalefit.plots.style import (
    BLUE,
    FULL_WIDTH,
    GOLD,
    GREY,
    INK,
    PANEL,
    RED,
    TEAL,
    as_label,
    column_label,
    house_style,
    log_axis,
    new_axes,
    new_panels,
    panel_title,
    reference_line,
    write_key,
)
from scalefit.plots.toy_curves import label_ends

__all__ = ["draw_coverage", "draw_forecast", "draw_level_forecasts", "draw_plan", "shown"]

_BANDS: Final = ((0.9, 0.14), (0.8, 0.16), (0.5, 0.24))  # probability and opacity
_MOST: Final = 6  # targets with a line of their own
_METHODS: Final = {
    "forecast": (BLUE, "-"), "huber": (TEAL, "-"), "posterior": (TEAL, "--"), "curve_fit": (GOLD, "-"),
    "slope": (GREY, ":"),
}  # fmt: skip


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
    ends: list[tuple[float, str, str]] = []
    for i in range(min(len(found), _MOST)):
        target = found.target(i)
        if target.ratio > 1:
            along, predicted = found.along(i)
            median = np.exp(predicted.mu)
            for probability, opacity in _BANDS:
                reach = np.exp(predicted.reach(probability, run=not found.mean))
                axes.fill_between(along, median / reach, median * reach, color=BLUE, alpha=opacity, lw=0)
            axes.plot(along, median, color=BLUE)
        words = _place(target.columns)
        ends.append((target.estimate.value, words, INK))
    value = np.exp(found.predicted.mu)
    lo, hi = found.interval(found.prob)
    axes.errorbar(
        found.targets["compute"], value, [value - lo, hi - value], fmt="D", ms=4, color=BLUE, lw=1, zorder=5,
    )  # fmt: skip
    log_axis(axes.xaxis, [*compute, *found.targets["compute"]])
    log_axis(axes.yaxis, [*np.exp(learned.runs.y), *lo, *hi])
    write_key(axes, _compute_label(learned.cost), "dots: runs; diamonds: forecasts; bands: intervals of 50, 80 and 90%")
    axes.set_ylabel(column_label(learned.response))
    label_ends(axes, ends, at=[found.target(i).compute for i in range(len(ends))])
    return axes


@house_style()
def draw_level_forecasts(found: LevelForecasts, *, ax: Axes | None = None) -> Axes:
    """Draw the forecasts of levels below each other, each with its intervals of 50, 80 and 90%.

    Parameters
    ----------
    found : LevelForecasts
        The forecasts; of each level the first six targets, with where they are when there are several.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes
        The axes.
    """
    rows = [
        (level, forecast, i) for level, forecast in found.forecasts.items() for i in range(min(len(forecast), _MOST))
    ]  # fmt: skip
    axes = new_axes(ax, width=FULL_WIDTH, height=20 + 4.6 * len(rows))
    axes.use_sticky_edges = False  # so that the longest bar does not touch the frame
    words = []
    for place, (level, forecast, i) in enumerate(rows):
        target = forecast.target(i)
        for probability, opacity in _BANDS:
            lo, hi = target.intervals[probability]
            axes.barh(place, hi - lo, left=lo, height=0.6, color=BLUE, alpha=opacity, lw=0)
        axes.plot(target.estimate.value, place, "D", ms=4, color=BLUE)
        at = f": {_place(target.columns)}" if len(forecast) > 1 else ""
        words.append(f"{as_label(printed_label(level))}{at}")
    axes.set_yticks(range(len(rows)), words)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    response = next(iter(found.forecasts.values())).learning.response
    write_key(axes, column_label(response), "diamonds: medians of the forecasts; bars: intervals of 50, 80 and 90%")
    return axes


def _place(columns: Mapping[str, float]) -> str:
    """Write where a target is; with the shape, params and tokens are letters, so that all is one short line."""
    numbers = {name: short_number(to_digits(value, 3)) for name, value in columns.items()}
    if SHAPE in numbers:
        return ", ".join(
            f"{f'${SYMBOLS[name]}$' if name in SYMBOLS else name} {text}" for name, text in numbers.items()
        )
    return ", ".join(f"{text} {_column(name)}" for name, text in numbers.items())


def _column(name: str) -> str:
    """Write a column as a word."""
    return "parameters" if name == "params" else as_label(name.replace("_", " "))


def _compute_label(cost: Cost | None) -> str:
    """Label the axis of compute by how it is counted: ``compute 6ND in FLOPs``."""
    if cost is None:
        return "compute $C$ in FLOPs"
    factor = "" if cost.factor == 1 else exact(cost.factor)
    if not all(name in SYMBOLS for name in cost.columns):
        return f"compute, {' × '.join([*filter(None, [factor]), *map(_column, cost.columns)])}, in FLOPs"
    letters = "".join(f"{SYMBOLS[name]}{'' if power == 1 else f'^{{{power}}}'}" for name, power in cost.powers)
    return f"compute ${factor}{letters}$ in FLOPs"


@house_style()
def draw_coverage(found: BacktestResult | ScoreTable, *, height: float = 72.0) -> tuple[Axes, Axes]:
    """Draw how often 90% intervals held, and the median error, against the distance from the data.

    Parameters
    ----------
    found : BacktestResult or ScoreTable
        A backtest, or its scores: :func:`scalefit.forecasting.public_backtest` are those that the package ships.
    height : float
        Height, mm.

    Returns
    -------
    tuple of Axes
        Coverage, with the nominal 90% as a red line, and error.
    """
    left, right = new_panels(1, 2, height=height)
    every = found.table()
    every = every[every["tables"] == "all"]
    bins = every[["least", "most"]].drop_duplicates().sort_values("least")
    places = {least: place for place, least in enumerate(bins["least"])}
    reference_line(left, 90, "90% promised", axis="y", place=1.0)
    ends: list[list[tuple[float, str, str]]] = [[], []]
    for method in found.methods:
        own, style = every[every["method"] == method], _METHODS[method]
        at = [places[i] for i in own["least"]]
        for ax, name, labels in ((left, "share90", ends[0]), (right, "error", ends[1])):
            values = 100 * own[name].to_numpy(float)
            ax.plot(at, values, "o", ls=style[1], ms=4, color=style[0], lw=2.0 if method == "forecast" else 1.2)
            labels.append((float(values[-1]), NAMES[method], style[0]))
    ticks = [f"over {exact(a)}" if np.isinf(b) else f"{exact(a)}–{exact(b)}" for a, b in bins.to_numpy()]
    for ax, title in ((left, "90% intervals that held, %"), (right, "median error, % of the loss")):
        ax.set_xticks(range(len(ticks)), ticks)
        ax.set_xlabel("compute, in units of the largest run learned from")
        panel_title(ax, title)
    left.set_ylim(0, 103)
    log_axis(right.yaxis, 100 * every["error"].replace(np.inf, np.nan).dropna().to_numpy(float))
    for ax, labels in ((left, ends[0]), (right, ends[1])):
        label_ends(ax, labels)
    return left, right


@house_style()
def draw_plan(found: Plan, *, ax: Axes | None = None) -> Axes:
    """Draw where the runs are, what could be trained, what is chosen, and the target.

    Parameters
    ----------
    found : Plan
        A plan. Of one column, the other axis is the cost.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes
        The axes.
    """
    axes = new_axes(ax, width=120, height=85)
    names = [*found.learning.columns, "compute"][:2]
    runs = pd.DataFrame(np.exp(found.learning.runs.x), columns=list(found.learning.columns))
    runs["compute"] = found.learning.compute
    x, y = names
    axes.plot(found.candidates[x], found.candidates[y], "+", ms=4, color=GREY, alpha=0.5, mew=0.7)
    axes.plot(runs[x], runs[y], "o", ms=3, color=GREY, mew=0)
    chosen = found.candidates.iloc[[choice.candidate for choice in found.choices]]
    axes.plot(chosen[x], chosen[y], "o", ms=8, color=BLUE, mec="white", mew=0.8, zorder=4)
    for step, (first, other) in enumerate(zip(chosen[x], chosen[y], strict=True), 1):
        axes.text(first, other, exact(step), color="white", fontsize=6, ha="center", va="center", zorder=5)
    axes.plot(found.targets[x], found.targets[y], "*", ms=11, color=RED, mew=0, zorder=4)
    everything = pd.concat([runs[names], found.candidates[names], found.targets[names]])
    log_axis(axes.xaxis, everything[x].to_numpy(float))
    log_axis(axes.yaxis, everything[y].to_numpy(float))
    write_key(axes, column_label(x), "dots: runs; crosses: candidates; numbers: chosen, in order; star: target")
    axes.set_ylabel(column_label(y))
    return axes


def shown(axes: Any) -> Any:
    """Show a figure where a notebook runs, and return its axes as they came."""
    _show_in_notebook(axes if isinstance(axes, Axes) else axes[0])
    return axes
