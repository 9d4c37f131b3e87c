"""Leave-one-out prediction from one posterior, and laws against each other by it.

The log density of a unit (a row, or all rows of a cluster) given all others is estimated from the draws by Pareto
smoothed importance sampling (Vehtari, Gelman, Gabry 2017). Where the weights' tail shape k-hat says that this fails,
the law is sampled again without the unit: then the number is exact up to Monte Carlo error.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from scalefit.comparison.refit import posterior_draws, refit, sampled_of
from scalefit.errors import DataError, closest
from scalefit.names import printed_level
from scalefit.numbers import exact
from scalefit.posterior.density import Density
from scalefit.posterior.importance import pareto_smooth
from scalefit.posterior.rebuild import density_of
from scalefit.problem import label_codes
from scalefit.progress import Progress
from scalefit.records import NOT_CONVERGED
from scalefit.results import Fit
from scalefit.thresholds import GOOD_KHAT

__all__ = ["CrossValidation", "LawScore", "leave_one_out", "rank_laws"]

Array = NDArray[np.float64]

REFIT_DRAWS = 1000


class CrossValidation(NamedTuple):
    """Log predictive density of each unit given all others.

    Parameters
    ----------
    label : str
        The source's name.
    by : str
        ``row``, or the column whose equal values make a unit.
    units : tuple of str
        Names of the units.
    elpd : array, shape (U,)
        Log predictive densities, of log responses; NaN for units in ``unsure``.
    khat : array, shape (U,)
        Tail shape of the importance weights.
    refitted : tuple of str
        Units whose density comes from an exact refit.
    unsure : tuple of str
        Units that needed one and could not have it, such as a level's last rows.
    """

    label: str
    by: str
    units: tuple[str, ...]
    elpd: Array
    khat: Array
    refitted: tuple[str, ...]
    unsure: tuple[str, ...]

    @property
    def total(self) -> float:
        """Sum of the units' log densities, without the unsure ones."""
        return float(np.nansum(self.elpd))

    @property
    def se(self) -> float:
        """Standard error of the sum, from the scatter between units."""
        known = self.elpd[np.isfinite(self.elpd)]
        return float(math.sqrt(len(known)) * known.std(ddof=1))


class LawScore(NamedTuple):
    """A law's place among laws of the same rows.

    Parameters
    ----------
    label : str
        The source's name.
    elpd, se : float
        Sum of log predictive densities, and its standard error.
    behind, behind_se : float
        How far below the best, and the standard error of that difference from the units' paired scatter.
    units : int
        Units counted: those that every law has a score for.
    """

    label: str
    elpd: float
    se: float
    behind: float
    behind_se: float
    units: int


def leave_one_out(
    fit: Fit, *, by: str = "row", label: str = "", exact: bool = True, progress: Progress | None = None
) -> CrossValidation:
    """Score a posterior by what it says of each unit from all others.

    Parameters
    ----------
    fit : Fit
        From :func:`scalefit.bayes`.
    by : str
        ``row``, or a column. Under a shift per cluster a row is predicted from the others of its cluster too, and a
        column other than the cluster's is refused.
    label : str
        The source's name.
    exact : bool
        Refit without the units whose k-hat is above 0.7.
    progress : callable, optional
        ``progress(stage, done, total)``.

    Returns
    -------
    CrossValidation
        A log density per unit.

    Raises
    ------
    DataError
        For a column that the rows lack, that has one value, or that crosses the clusters.
    """
    label = label or fit.label or fit.source.name
    density = density_of(sampled_of(fit))
    code, units = _units(fit, density, by, label)
    draws = posterior_draws(fit)
    values = _unit_likelihoods(density, draws, code, by)
    elpd, khat = np.empty(len(units)), np.empty(len(units))
    for u in range(len(units)):
        weight, khat[u] = pareto_smooth(-values[:, u])
        elpd[u] = special.logsumexp(values[:, u], b=weight)
    refitted: list[str] = []
    unsure: list[str] = []
    poor = np.flatnonzero(~(khat <= GOOD_KHAT)) if exact else np.empty(0, int)
    for done, u in enumerate(map(int, poor)):
        if progress is not None:
            progress(f"{label}: refitting without {units[u]}", done, len(poor))
        score = _without(fit, density, code, by, u)
        (unsure if score is None else refitted).append(units[u])
        elpd[u] = math.nan if score is None else score
    return CrossValidation(label, by, units, elpd, khat, tuple(refitted), tuple(unsure))


def _units(fit: Fit, density: Density, by: str, label: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the unit of each row of the design, and the units' names."""
    order = density.problem.order
    if by == "row":
        return order, tuple(f"row {row}" for row in fit.rows.index)
    if by not in fit.rows.columns:
        raise DataError(f"{label} has no column {by!r} to leave out; {closest(by, map(str, fit.rows.columns))}")
    if density.blocks.shifted and by != fit.selection.cluster:
        raise DataError(
            f"{label} shares a shift within each {fit.selection.cluster!r}; leave out that column, or single rows"
        )
    if (missing := fit.rows.index[fit.rows[by].isna()]).size:
        raise DataError(f"row {missing[0]} of {label} has no {by!r}; leave out a column without gaps")
    codes, levels = label_codes(fit.rows.iloc[order], (by,))
    if len(levels) < 2:
        raise DataError(f"column {by!r} of {label} has one value; leaving it out leaves no rows")
    return codes, tuple(f"{by} {printed_level(level)}" for level in levels)


def _unit_likelihoods(density: Density, draws: Array, code: NDArray[np.int64], by: str) -> Array:
    """Log likelihood of each unit given the parameters (and the rest of its cluster), shape (R, U)."""
    if by == "row":
        out = np.empty((len(draws), len(code)))
        out[:, code] = density.row_log_likelihood(draws)
        return out
    values = density.log_likelihood(draws)
    if density.blocks.shifted:  # columns are clusters already, in the order of the problem's codes
        first = np.unique(density.problem.cluster, return_index=True)[1]
        out = np.empty_like(values)
        out[:, code[first]] = values
        return out
    return np.stack([values[:, code == u].sum(axis=1) for u in range(code.max() + 1)], axis=1)


def _without(fit: Fit, density: Density, code: NDArray[np.int64], by: str, u: int) -> float | None:
    """Log density of a unit under a posterior sampled without it; None when the law needs the unit."""
    kept = np.ones(len(fit.rows), dtype=bool)
    kept[density.problem.order[code == u]] = False
    try:
        other = refit(fit, fit.rows[kept], chosen=True, draws=REFIT_DRAWS, path="auto")
    except DataError:
        return None
    if other.keys != fit.keys or other.status == NOT_CONVERGED:
        return None
    draws = posterior_draws(other)
    values = _unit_likelihoods(density, draws, code, by)[:, u]
    return float(special.logsumexp(values) - math.log(len(values)))


def rank_laws(scores: tuple[CrossValidation, ...]) -> tuple[LawScore, ...]:
    """Order laws by their leave-one-out score over the units that all of them have one for.

    Parameters
    ----------
    scores : tuple of CrossValidation
        Of the same units.

    Returns
    -------
    tuple of LawScore
        The best first.

    Raises
    ------
    DataError
        When the units differ, or fewer than two have a score for every law.
    """
    for score in scores:
        if score.units != scores[0].units:
            raise DataError(f"{score.label} and {scores[0].label} have other units, so their scores cannot be compared")
    known = np.isfinite(np.stack([score.elpd for score in scores])).all(axis=0)
    if known.sum() < 2:
        raise DataError(
            f"leaving out one {scores[0].by} of {exact(known.size)} has a score for {exact(known.sum())} of them only: "
            "the laws cannot be fitted without the others"
        )
    cut = [score._replace(elpd=score.elpd[known]) for score in scores]
    best = max(cut, key=lambda score: score.total)
    rows = []
    for score in sorted(cut, key=lambda score: -score.total):
        gap = best.elpd - score.elpd
        error = math.sqrt(len(gap)) * float(gap.std(ddof=1)) if score is not best else 0.0
        rows.append(LawScore(score.label, score.total, score.se, float(gap.sum()), error, len(gap)))
    return tuple(rows)
