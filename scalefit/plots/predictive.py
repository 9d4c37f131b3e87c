"""Posterior predictive checks: observed rows against rows replicated from the posterior."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from scalefit.data.quantities import as_numbers
from scalefit.errors import DataError, closest
from scalefit.plots.draws import need_posterior
from scalefit.plots.style import BLUE, GREY, INK, column_label, house_style, log_axis, new_panels, panel_title
from scalefit.problem import label_codes, predict_law
from scalefit.results import Fit

__all__ = ["posterior_predictive", "replicate"]

Array = NDArray[np.float64]

_DARK, _LIGHT = "#92b4d2", "#d3e0ec"  # 50% and 95% of the replicated data
_REPLICATES: Final = 500
_BARS: Final = 21
_GROUPS: Final = 7
_LEAST: Final = 3  # fewest rows of a group of equal values
_OUTER: Final = (0.025, 0.975)
_INNER: Final = (0.25, 0.75)


def replicate(fit: Fit, size: int = _REPLICATES, *, seed: int | None = None) -> Array:
    """Draw data sets from the posterior predictive distribution.

    Each uses one draw of the parameters, a new shift for every cluster and new scatter for every row:
    ``log loss = log law + tau z + sigma t_nu``, with a normal in place of t under a normal likelihood.

    Parameters
    ----------
    fit : Fit
        A posterior.
    size : int
        Number of data sets.
    seed : int, optional
        The seed of the fit when omitted.

    Returns
    -------
    array, shape (size, n)
        Log responses of the fitted rows.

    Raises
    ------
    DataError
        When the fit is not a posterior.
    """
    need_posterior(fit, "replicated data")
    rng = np.random.default_rng(fit.seed if seed is None else seed)
    chosen = _some_draws(fit, size, rng)
    return _scattered(fit, chosen, _log_law(fit, chosen), rng)


@house_style()
def posterior_predictive(fit: Fit, *, against: str | None = None, seed: int | None = None) -> tuple[Axes, ...]:
    """Draw observed rows against rows replicated from the posterior: three checks of the error model.

    Left, the distribution of the residuals; in the middle, their dependence on a column; right, the number of rows
    below each quantile that the model predicts for them. Bands contain 50% and 95% of the replicated data sets: data
    from the model would mostly stay inside.

    Parameters
    ----------
    fit : Fit
        A posterior.
    against : str, optional
        A column of numbers in ``fit.rows``; the first variable of the law when omitted.
    seed : int, optional
        Seed of the replicates; that of the fit when omitted.

    Returns
    -------
    tuple of Axes
        The three panels, in a new figure.

    Raises
    ------
    DataError
        When the fit is not a posterior, or there is no such column of numbers.
    """
    need_posterior(fit, "a posterior predictive check")
    against = against or fit.law.variables[0]
    place = _numbers(fit, against)
    rng = np.random.default_rng(fit.seed if seed is None else seed)
    chosen = _some_draws(fit, _REPLICATES, rng)
    law = _log_law(fit, chosen)
    made = 100 * (_scattered(fit, chosen, law, rng) - law.mean(axis=0))
    seen = 100 * (np.log(fit.rows[fit.law.response].to_numpy(float)) - law.mean(axis=0))
    axes = new_panels(1, 3, height=66)
    _histogram(axes[0], seen, made)
    _along(axes[1], place, seen, made, against)
    _calibration(axes[2], seen, made)
    for ax, title in zip(axes, ("residuals", "residuals along a column", "rows below each quantile"), strict=True):
        panel_title(ax, title)
    shifts = ", with new shifts of clusters" if "tau" in fit else ""
    axes[0].figure.supxlabel(
        f"bands: 50% and 95% of {len(made)} data sets replicated from the posterior{shifts}\n"
        "rings: medians of groups of rows; bars: 95% of the replicated medians", fontsize=7.5, color=GREY,
    )  # fmt: skip
    return tuple(axes)


def _some_draws(fit: Fit, size: int, rng: np.random.Generator) -> Array:
    draws: Array = np.asarray(fit.uncertainty.draws)
    return draws[rng.choice(len(draws), size, replace=size > len(draws))]


def _log_law(fit: Fit, draws: Array) -> Array:
    """Evaluate the log of the law under each draw, shape (R, n)."""
    return np.log(predict_law(fit.law, dict(zip(fit.keys, draws.T, strict=True)), fit.rows))


def _scattered(fit: Fit, draws: Array, law: Array, rng: np.random.Generator) -> Array:
    """Add scatter and shifts to the law of each draw, shape (R, n)."""
    column = dict(zip(fit.keys, draws.T, strict=True))
    student = fit.objective.loss == "student_t"
    noise = rng.standard_t(column["nu", ()][:, None], law.shape) if student else rng.standard_normal(law.shape)
    made: Array = law + column["sigma", ()][:, None] * noise
    if ("tau", ()) in column and fit.selection.cluster is not None:
        codes, labels = label_codes(fit.rows, (fit.selection.cluster,))
        made += column["tau", ()][:, None] * rng.standard_normal((len(draws), len(labels)))[:, codes]
    return made


def _numbers(fit: Fit, name: str) -> Array:
    if name not in fit.rows.columns:
        raise DataError(f"the fitted rows have no column {name!r}; {closest(name, map(str, fit.rows.columns))}")
    numbers = as_numbers(fit.rows[name])
    if numbers is None:
        numeric = [str(column) for column in fit.rows.columns if as_numbers(fit.rows[column]) is not None]
        raise DataError(f"column {name!r} has labels; choose a column of numbers: {', '.join(numeric)}")
    return numbers


def _histogram(ax: Axes, seen: Array, made: Array) -> None:
    """Count residuals in bars, with the counts of the replicates as bands."""
    reach = 1.05 * max(float(np.abs(seen).max()), float(np.quantile(np.abs(made), 0.995)))
    edges = np.linspace(-reach, reach, _BARS + 1)
    counts = np.array([np.histogram(row, edges)[0] for row in made])
    for (low, high), colour in ((_OUTER, _LIGHT), (_INNER, _DARK)):
        ends = np.quantile(counts, [low, high], axis=0)
        ax.stairs(ends[1], edges, baseline=ends[0], fill=True, color=colour, linewidth=0)
    ax.stairs(np.histogram(seen, edges)[0], edges, color=BLUE, linewidth=1.3)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("residual, %")
    ax.set_ylabel("rows")


def _along(ax: Axes, place: Array, seen: Array, made: Array, name: str) -> None:
    """Draw residuals with the band of replicated rows, and the medians of groups with those of replicates."""
    ranks = pd.Series(place).rank(method="average").to_numpy()
    most = max(1, min(_GROUPS, len(place) // _LEAST))
    code = np.minimum((ranks - 1) * most / len(place), most - 1).astype(int)
    groups = [code == i for i in range(most) if np.count_nonzero(code == i) >= min(_LEAST, len(place))]
    middle = np.array([np.median(place[group]) for group in groups])
    starts, ends = (np.array([pick(place[group]) for group in groups]) for pick in (np.min, np.max))
    edges = np.concatenate([starts[:1], (starts[1:] + ends[:-1]) / 2, ends[-1:]])
    for (low, high), colour in ((_OUTER, _LIGHT), (_INNER, _DARK)):
        band = np.array([np.quantile(made[:, group], [low, high]) for group in groups])
        ax.stairs(band[:, 1], edges, baseline=band[:, 0], fill=True, color=colour, linewidth=0, zorder=1)
    ax.scatter(place, seen, s=5, color=BLUE, alpha=0.6, linewidths=0, zorder=3)
    medians = np.array([np.quantile(np.median(made[:, group], axis=1), _OUTER) for group in groups])
    ax.vlines(middle, medians[:, 0], medians[:, 1], color=INK, linewidth=2.4, zorder=4)
    own = [float(np.median(seen[group])) for group in groups]
    ax.plot(middle, own, linestyle="", marker="o", markersize=4, color=INK, markerfacecolor="white", zorder=5)
    if place.min() > 0 and place.max() / place.min() > 3:
        log_axis(ax.xaxis, place, most=4)
    ax.set_xlabel(column_label(name))
    ax.set_ylabel("residual, %")


def _calibration(ax: Axes, seen: Array, made: Array) -> None:
    """Draw the share of rows below each predicted quantile, minus that quantile (Säilynoja et al. 2022, section 2)."""
    ranks = (np.argsort(np.argsort(made, axis=0), axis=0) + 0.5) / len(made)
    own = (made < seen).mean(axis=0)
    grid = np.linspace(0, 1, 101)
    replicated = np.array([_below(row, grid) for row in ranks]) - grid
    for (low, high), colour in ((_OUTER, _LIGHT), (_INNER, _DARK)):
        ends = 100 * np.quantile(replicated, [low, high], axis=0)
        ax.fill_between(100 * grid, ends[0], ends[1], color=colour, linewidth=0)
    ax.plot(100 * grid, 100 * (_below(own, grid) - grid), color=BLUE, linewidth=1.3)
    ax.axhline(0, color=GREY, linewidth=0.6, zorder=1)
    ax.set_xlim(0, 100)
    ax.set_xlabel("predicted quantile, %")
    ax.set_ylabel("excess of rows, %")


def _below(values: Array, grid: Array) -> Array:
    share: Array = np.searchsorted(np.sort(values), grid, side="right") / len(values)
    return share
