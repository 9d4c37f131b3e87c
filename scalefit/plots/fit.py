"""Figures of one fit: observed against predicted, residuals, single terms, local optima."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from numpy.typing import NDArray

from scalefit.data.quantities import as_numbers, read_numbers
from scalefit.errors import DataError, closest
from scalefit.law.additive import Law, Term, format_value
from scalefit.law.protocol import AnyLaw
from scalefit.names import Level
from scalefit.numbers import counted, exact, rounded, short_number
from scalefit.plots.marks import mark_rows
from scalefit.plots.style import (
    BLUE,
    GOLD,
    GREY,
    HAIRLINE,
    INK,
    as_label,
    column_label,
    house_style,
    log_axis,
    new_axes,
    symbol,
)
from scalefit.problem import label_codes, label_texts, rows_at
from scalefit.results import Fit

__all__ = ["MEDIANS", "effect", "observed_predicted", "optima", "residuals", "term"]

Array = NDArray[np.float64]

POINT: Final[dict[str, Any]] = {"s": 9, "linewidths": 0, "alpha": 0.75}
_LEFT_OUT: Final[dict[str, Any]] = {"s": 11, "linewidths": 0, "color": GOLD, "zorder": 2}
_MOST_LEVELS: Final = 40
_BINS: Final = 8
MEDIANS: Final = 24  # rows, three for each bin, from which on medians are drawn over a cloud
_END: Final = 0.05  # share of the rows in the bin at each end
_LEVEL: Final = 40  # letters of a level next to its strip
_SHORT: Final = 24  # letters of the values at which a partial effect is drawn


@house_style()
def observed_predicted(fit: Fit, *, left_out: pd.DataFrame | None = None, ax: Axes | None = None) -> Axes:
    """Draw the observed against the predicted response, with the line of equality.

    Parameters
    ----------
    fit : Fit
        The fit.
    left_out : DataFrame, optional
        Rows that the fit did not use, drawn in gold.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.
    """
    ax = new_axes(ax)
    observed = fit.rows[fit.law.response].to_numpy(float)
    predicted = fit.mean_law(fit.rows)
    shown = [observed, predicted]
    if left_out is not None and len(left_out):
        outside = left_out[fit.law.response].to_numpy(float), fit.mean_law(left_out)
        ax.scatter(outside[1], outside[0], **_LEFT_OUT)
        shown += [*outside]
    mark_rows(ax.scatter(predicted, observed, color=BLUE, zorder=3, **POINT), fit, fit.rows.index)
    ends = np.array([min(map(np.min, shown)), max(map(np.max, shown))])
    if ends[0] > 0:
        log_axis(ax.xaxis, ends)
        log_axis(ax.yaxis, ends)
    ax.plot(ends, ends, color=INK, linewidth=0.8, zorder=1)
    ax.set_xlabel(f"predicted {column_label(fit.law.response)}")
    ax.set_ylabel("observed")
    return ax


@house_style()
def residuals(
    fit: Fit, *, against: str | None = None, left_out: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """Draw residuals against a column: a cloud for a number, strips for labels.

    Residuals of a fit in log space are shown in percent of the prediction. Rings are medians, of bins of
    equal count or of each label: where they deviate from the zero line, the law fits badly. Bins need 24 rows.

    Parameters
    ----------
    fit : Fit
        The fit.
    against : str, optional
        A column of ``fit.rows``; the first variable of the law when omitted.
    left_out : DataFrame, optional
        Rows that the fit did not use, drawn in gold; those beyond the axis as triangles at its edge.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    DataError
        When there is no such column, or it has too many labels.
    """
    ax = new_axes(ax)
    against = against or fit.law.variables[0]
    column = _column(fit, against)
    scale = 100.0 if fit.objective.space == "log" else 1.0
    unit = "residual, %" if fit.objective.space == "log" else "residual"
    values = scale * residuals_of(fit, fit.rows)
    x = as_numbers(column)
    if x is None:
        points = _strips(ax, against, *label_codes(fit.rows, (against,)), values, unit)
        mark_rows(points, fit, fit.rows.index)
        return ax
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    mark_rows(ax.scatter(x, values, color=BLUE, zorder=3, **POINT), fit, fit.rows.index)
    edge = 1.08 * float(np.abs(values).max())
    shown = x
    if left_out is not None and len(left_out):
        outside = scale * residuals_of(fit, left_out)
        place = read_numbers(left_out[against]).floats
        beyond = np.abs(outside) > edge
        ax.scatter(place[~beyond], outside[~beyond], **_LEFT_OUT)
        ax.scatter(place[beyond], 0.97 * np.clip(outside[beyond], -edge, edge), marker="^", **_LEFT_OUT)
        shown = np.concatenate([x, place])
    _bin_medians(ax, x, values)
    ax.set_ylim(-edge, edge)
    number_axis(ax, shown)
    ax.set_xlabel(column_label(against))
    ax.set_ylabel(unit)
    return ax


@house_style()
def term(
    fit: Fit,
    *,
    variable: str | None = None,
    only: Mapping[str, str] | None = None,
    left_out: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss along one variable with the floor and the other terms removed, on log axes.

    On these axes a power law is a straight line, and its slope is the exponent. Any other law than a sum of powers has
    no term to show: its partial effect is drawn, see :func:`effect`.

    Parameters
    ----------
    fit : Fit
        The fit.
    variable : str, optional
        A variable of the law; the first when omitted.
    only : mapping, optional
        Column and level of the rows to draw, such as ``{"family": "OPT"}``.
    left_out : DataFrame, optional
        Rows that the fit did not use, drawn in gold.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on. Rows at or below the removed part cannot be shown on a log axis and are counted.

    Raises
    ------
    DataError
        When the law has no such variable or the level no rows.
    """
    if not fit.law.terms:
        return effect(fit, variable=variable, only=only, left_out=left_out, ax=ax)
    ax = new_axes(ax)
    chosen = _term_of(fit.law, variable)
    rows = _rows_at(fit.rows, only)
    x, y = rows[chosen.variable].to_numpy(float), _share(fit, rows, chosen)
    above = y > 0
    spans = [y[above], _power(fit, chosen, rows)]
    if left_out is not None and len(left_out):
        outside = _rows_at(left_out, only, empty=True)
        ox, oy = outside[chosen.variable].to_numpy(float), _share(fit, outside, chosen)
        ax.scatter(ox[oy > 0], oy[oy > 0], **_LEFT_OUT)
        x_all = np.concatenate([x, ox])
        spans.append(oy[oy > 0])
    else:
        x_all = x
    mark_rows(ax.scatter(x[above], y[above], color=BLUE, zorder=3, **POINT), fit, rows.index[above])
    order = np.argsort(x)
    ax.plot(x[order], _power(fit, chosen, rows)[order], color=INK, linewidth=1.2, zorder=4)
    log_axis(ax.xaxis, x_all)
    log_axis(ax.yaxis, np.concatenate(spans))
    ax.set_xlabel(column_label(chosen.variable))
    ax.set_ylabel(f"{as_label(fit.law.response)} minus other terms")
    _write_slope(ax, fit, chosen, rows)
    if not above.all():
        words = f"{np.count_nonzero(~above)} of {exact(len(y))} not above 0"
        ax.text(0.03, 0.03, words, transform=ax.transAxes, color=GREY, fontsize=7)
    return ax


@house_style()
def effect(
    fit: Fit,
    *,
    variable: str | None = None,
    only: Mapping[str, str] | None = None,
    left_out: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the partial effect of one variable: the law along it with all other columns at their medians.

    The points are the rows, moved along the law to the same medians: each keeps its residual. So they show whether the
    law bends where the data do.

    Parameters
    ----------
    fit : Fit
        A fit of any law.
    variable : str, optional
        A variable of the law; the first when omitted.
    only : mapping, optional
        Column and level of the rows to draw, such as ``{"family": "OPT"}``; of labels that are left open, the most
        frequent level is drawn.
    left_out : DataFrame, optional
        Rows that the fit did not use, drawn in gold.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    DataError
        When the law has no such variable or the level no rows.
    """
    ax = new_axes(ax)
    variable = variable or fit.law.variables[0]
    if variable not in fit.law.variables:
        raise DataError(f"{fit.law} has no column {variable!r}; {closest(variable, fit.law.variables)}")
    rows = _rows_at(fit.rows, only)
    others = {name: float(rows[name].median()) for name in fit.law.variables if name != variable}
    labels = {name: str(label_texts(rows, name)[_most_frequent(rows, name)]) for name in fit.law.groups}
    x = rows[variable].to_numpy(float)
    observed = _at_medians(fit, rows, variable, others, labels)
    shown_x, shown_y = [x], [observed]
    if left_out is not None and len(left_out):
        outside = _rows_at(left_out, only, empty=True)
        shown_x.append(outside[variable].to_numpy(float))
        shown_y.append(_at_medians(fit, outside, variable, others, labels))
        ax.scatter(shown_x[1], shown_y[1], **_LEFT_OUT)
    mark_rows(ax.scatter(x, observed, color=BLUE, zorder=3, **POINT), fit, rows.index)
    ends = np.concatenate(shown_x)
    along = between(float(ends.min()), float(ends.max()))
    line = fit.mean_law(pd.DataFrame({variable: along, **others, **labels}))
    ax.plot(along, line, color=INK, linewidth=1.2, zorder=4)
    number_axis(ax, ends)
    heights = np.concatenate([*shown_y, line])
    if fit.objective.space == "log" and heights.min() > 0:
        log_axis(ax.yaxis, heights)
    ax.set_xlabel(column_label(variable))
    at = ", ".join([*(f"{as_label(name)} {short_number(value)}" for name, value in others.items()),
                    *(as_label(label) for label in labels.values())])  # fmt: skip
    ax.set_ylabel(as_label(fit.law.response) + (f" at {at}" if 0 < len(at) <= _SHORT else " at medians" if at else ""))
    return ax


@house_style()
def optima(fit: Fit, *, ax: Axes | None = None) -> Axes:
    """Draw the table of local optima: how far each lies above the best, and how many starts ended there.

    Parameters
    ----------
    fit : Fit
        The fit.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.
    """
    ax = new_axes(ax, height=12 + 5.5 * len(fit.optima))
    best = fit.optima[0].objective
    excess = np.array([100 * (optimum.objective / best - 1) for optimum in fit.optima])
    place = np.arange(len(excess))
    ax.hlines(place, 0, excess, color=HAIRLINE, linewidth=1.0, zorder=1)
    ax.scatter(excess, place, color=[BLUE] + [GREY] * (len(excess) - 1), s=22, linewidths=0, zorder=3)
    for i, optimum in enumerate(fit.optima):
        ax.annotate(
            counted(optimum.hits, "start"), (float(excess[i]), i), xytext=(6, 0), textcoords="offset points",
            fontsize=7.5, va="center", color=INK,
        )  # fmt: skip
    reach = max(float(excess.max()), 1.0)
    ax.set_xlim(-0.03 * reach, 1.2 * reach)
    ax.set_ylim(len(excess) - 0.4, -0.6)
    ax.set_yticks(place, ["best", *(f"{i}." for i in range(2, len(excess) + 1))])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("objective above the best optimum, %")
    return ax


def _most_frequent(rows: pd.DataFrame, column: str) -> int:
    """Return a row that has the most frequent label of a column."""
    codes, _ = label_codes(rows, (column,))
    return int(np.argmax(codes == np.argmax(np.bincount(codes))))


def between(lo: float, hi: float) -> Array:
    """Return places on an axis from one end to the other, evenly spread as they will be drawn."""
    return np.geomspace(lo, hi, 200) if lo > 0 and hi / lo > 3 else np.linspace(lo, hi, 200)


def _at_medians(
    fit: Fit, rows: pd.DataFrame, variable: str, others: Mapping[str, float], labels: Mapping[str, str]
) -> Array:
    """Move rows along the law to common values of everything but one variable; each keeps its residual."""
    moved = fit.mean_law(rows[[variable]].assign(**others, **labels))
    residual = residuals_of(fit, rows)
    return np.asarray(moved * np.exp(residual) if fit.objective.space == "log" else moved + residual)


def _column(fit: Fit, name: str) -> pd.Series[Any]:
    if name not in fit.rows.columns:
        raise DataError(f"the fitted rows have no column {name!r}; {closest(name, map(str, fit.rows.columns))}")
    return fit.rows[name]


def residuals_of(fit: Fit, rows: pd.DataFrame) -> Array:
    observed = rows[fit.law.response].to_numpy(float)
    predicted = fit.mean_law(rows)
    return np.log(observed / predicted) if fit.objective.space == "log" else observed - predicted


def number_axis(ax: Axes, values: Array) -> None:
    """Log scale for positive values that span more than a factor of 3, linear otherwise."""
    finite = values[np.isfinite(values)]
    if finite.min() > 0 and finite.max() / finite.min() > 3:
        log_axis(ax.xaxis, finite)


def _bin_medians(ax: Axes, x: Array, values: Array) -> None:
    """Mark the median residual in bins of equal count, with a bin of its own for each end, where laws fail first."""
    if len(x) < MEDIANS:
        return
    ranks = pd.Series(x).rank(method="average").to_numpy()
    inner = np.linspace(_END, 1 - _END, _BINS - 1)
    bins = np.searchsorted(inner, (ranks - 0.5) / len(x), side="right")
    groups = [bins == i for i in range(_BINS) if np.count_nonzero(bins == i) >= 3]
    middle = [float(np.median(x[group])) for group in groups]
    level = [float(np.median(values[group])) for group in groups]
    ax.plot(middle, level, color=INK, linewidth=0.8, marker="o", markersize=3.6, markerfacecolor="white", zorder=5)


def _strips(
    ax: Axes, column: str, codes: NDArray[np.int64], levels: list[Level], values: Array, unit: str
) -> PathCollection:
    """Draw one strip of residuals per label, ordered by their medians."""
    if len(levels) > _MOST_LEVELS:
        raise DataError(
            f"column {column!r} has {len(levels)} different labels, too many for strips; "
            f"choose a column with at most {_MOST_LEVELS}"
        )
    medians = np.array([np.median(values[codes == code]) for code in range(len(levels))])
    order = np.argsort(medians, kind="stable")
    rng = np.random.default_rng(0)
    y = np.argsort(order)[codes] + rng.uniform(-0.18, 0.18, len(values))
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    points = ax.scatter(values, y, color=BLUE, zorder=3, **POINT)
    ax.scatter(medians[order], range(len(medians)), s=16, facecolor="white", edgecolor=INK, linewidths=0.8, zorder=5)
    ax.set_yticks(range(len(medians)), [as_label(levels[code][0], _LEVEL) for code in order])
    ax.set_ylim(-0.6, len(medians) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(unit)
    return points


def _term_of(law: AnyLaw, variable: str | None) -> Term:
    variable = variable or law.variables[0]
    for term in law.terms:
        if term.variable == variable:
            return term
    raise DataError(f"{law} has no term in {variable!r}; {closest(variable, law.variables)}")


def _rows_at(rows: pd.DataFrame, only: Mapping[str, str] | None, *, empty: bool = False) -> pd.DataFrame:
    for column, level in (only or {}).items():
        known = set(label_texts(rows, column))
        rows = rows[rows_at(rows, (column,), (level,))]
        if rows.empty and not empty:
            raise DataError(f"no fitted row has {column} = {level!r}; {closest(level, known)}")
    return rows


def _power(fit: Fit, chosen: Term, rows: pd.DataFrame) -> Array:
    """Return the chosen term alone, shape (n,)."""
    return fit.mean_law(rows, Law(fit.law.response, None, (chosen,)))


def observed_term(fit: Fit, variable: str) -> tuple[Array, Array]:
    """Return a variable of a law and the observed response minus everything but its term, each of shape (n,)."""
    return fit.rows[variable].to_numpy(float), _share(fit, fit.rows, _term_of(fit.law, variable))


def _share(fit: Fit, rows: pd.DataFrame, chosen: Term) -> Array:
    """Return the observed response minus everything but the chosen term, shape (n,)."""
    rest = fit.mean_law(rows) - _power(fit, chosen, rows)
    return rows[fit.law.response].to_numpy(float) - rest


def _write_slope(ax: Axes, fit: Fit, chosen: Term, rows: pd.DataFrame) -> None:
    """Write the exponent in the empty corner above a falling line (below a rising one)."""
    expo = chosen.exponent
    if isinstance(expo, Fraction):
        words = f"exponent {format_value(expo)}, fixed"
    else:
        levels = label_codes(rows, expo.groups)[1]
        if len(levels) != 1:
            return
        estimate = fit[expo.name, levels[0]]
        words = f"{symbol(expo.name, ())} = {rounded(estimate.value, estimate.se)}"
    ax.text(0.97, 0.95, words, transform=ax.transAxes, ha="right", va="top", color=INK, fontsize=8)
