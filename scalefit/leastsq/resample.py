"""Errors from refitting: pairs bootstrap and jackknife, by row or by cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.binding import AnyProblem
from scalefit.closed.resample import refit_resamples
from scalefit.closed_problem import ClosedProblem
from scalefit.leastsq.choosing import Candidates, refit_choices
from scalefit.numbers import exact
from scalefit.options import LeastSquares
from scalefit.problem import Problem
from scalefit.quantiles import student_quantile
from scalefit.records import Uncertainty
from scalefit.solver.batch import BOOTSTRAP, DELETE_ONE, Minima, Resampling, minimise_resamples
from scalefit.solver.newton import CONVERGED, MAX_ITERATIONS
from scalefit.solver.search import Minimum

__all__ = ["jackknife", "pairs_bootstrap", "within_bounds"]

Array = NDArray[np.float64]
GONE, REVIVED = 1e-6, 1e-3  # size of a term, as part of the mean response, that vanished and that begins anew
RIVAL = 1.2  # local optima within this factor of the best are starts of every replicate, too


def _refit(
    problem: AnyProblem,
    starts: Array,
    delta: float,
    kind: int,
    replicates: int,
    seed: int,
    progress: Callable[[int], None] | None,
) -> Minima:
    resampling = Resampling(kind, problem.cluster, problem.n_cluster, seed, len(problem.parameters) + 1)
    if isinstance(problem, ClosedProblem):
        return refit_resamples(
            problem.design, starts, resampling, replicates=range(replicates), delta=delta, progress=progress
        )
    return minimise_resamples(
        problem.design, starts, resampling, replicates=range(replicates), delta=delta,
        workers=min(8, os.cpu_count() or 1), progress=progress,
    )  # fmt: skip


def _starts(problem: AnyProblem, optima: tuple[Minimum, ...]) -> Array:
    """Return where every refit begins: the optimum, its rivals, and the optimum with vanished terms back."""
    rivals = [optimum.theta for optimum in optima[:3] if optimum.value <= RIVAL * optima[0].value]
    return np.array([*rivals, *(_revived(problem, optima[0].theta) if isinstance(problem, Problem) else ())])


def _revived(problem: Problem, theta: Array) -> list[Array]:
    """Give refits a start in which terms that vanished from the fit are back.

    A resample may need them, but at sizes of 1e-17 a term gains nothing by growing an e-fold, and stays.
    """
    law = problem.design.law
    small = np.log(REVIVED * np.average(law.response))
    back = theta.copy()
    sizes = back[law.n_floor : law.n_floor + law.n_coef]
    np.maximum(sizes, small, out=sizes, where=sizes < small + np.log(GONE / REVIVED))
    return [] if np.array_equal(back, theta) else [back]


def pairs_bootstrap(
    problem: AnyProblem,
    optima: tuple[Minimum, ...],
    how: LeastSquares,
    *,
    plain: Array,
    candidates: Candidates | None = None,
    progress: Callable[[int], None] | None = None,
) -> Uncertainty:
    """Resample rows (or clusters) with replacement, refit, and take percentiles (Efron 1979; Freedman 1981).

    Parameters
    ----------
    problem : Problem
        The problem.
    optima : tuple of Minimum
        The full fit and its local optima; competing ones are starts of every replicate.
    how : LeastSquares
        Loss, number of resamples, probability of the intervals, and the seed: a replicate depends on it and on its
        number alone.
    plain : array, shape (P,)
        Gauss-Newton standard errors.
    candidates : Candidates, optional
        The rows among which those of the problem were chosen; every resample then chooses anew.
    progress : callable, optional
        Called with the number of replicates just finished.

    Returns
    -------
    Uncertainty
        With the draws, of which those on a bound are part; without intervals and draws when more than
        ``MOST_FAILED`` (``scalefit/thresholds.py``) of the refits have no answer.
    """
    level, replicates = how.level, how.bootstrap
    starts = _starts(problem, optima)
    by = "" if problem.n_cluster == problem.n_rows else f" over {exact(problem.n_cluster)} clusters"
    if candidates is None:
        minima = _refit(problem, starts, how.threshold, BOOTSTRAP, replicates, how.seed, progress)
        draws, failures = _answers(problem, minima)
    else:
        natural = np.array([problem.to_natural(start) for start in starts])
        minima = refit_choices(candidates, natural, delta=how.threshold, progress=progress)
        draws, failures = _answers(candidates.problem, minima)
        by = (by or f" over {exact(problem.n_rows)} groups") + " that repeats the choice of rows"
    name = f"pairs bootstrap{by}"
    spread = Uncertainty(
        method=f"{name}, {exact(len(draws))} resamples, percentile",
        level=level, se=plain, lo=plain, hi=plain,
        covariance=np.diag(plain**2), gauss_newton=plain, requested=replicates,
        failed=sum(count for _, count in failures), failures=failures,
    )  # fmt: skip
    if spread.withheld:
        return _without_intervals(spread, name)
    lo, hi = np.array([_ends(column, level) for column in draws.T]).T
    covariance = pd.DataFrame(draws).cov().to_numpy()
    return replace(spread, se=np.sqrt(np.diag(covariance)), lo=lo, hi=hi, covariance=covariance, draws=draws)


def _answers(problem: AnyProblem, minima: Minima) -> tuple[Array, tuple[tuple[str, int], ...]]:
    """Part refits into those with an answer, also where that lies on a bound, and counts of the others by reason."""
    finite = np.isfinite(minima.value)
    stopped = minima.status == CONVERGED
    reasons = (
        (f"still moving after {MAX_ITERATIONS} steps", int(np.count_nonzero(finite & ~stopped))),
        ("misfit not a finite number", int(np.count_nonzero(~finite))),
    )
    return problem.to_natural(minima.theta[finite & stopped]), tuple(reason for reason in reasons if reason[1])


def _without_intervals(spread: Uncertainty, method: str) -> Uncertainty:
    """Leave out what too few refits say; what is left are Gauss-Newton's errors, under their own name."""
    none = np.full(len(spread.gauss_newton), np.nan)
    return replace(spread, method=method, se=none, lo=none, hi=none, covariance=np.diag(none), draws=None)


def _ends(column: Array, level: float) -> tuple[float, float]:
    """Percentile interval of one parameter over the replicates that have it; NaN when none does."""
    seen = column[~np.isnan(column)]
    if seen.size == 0:
        return np.nan, np.nan
    lo, hi = np.quantile(seen, [(1 - level) / 2, (1 + level) / 2])
    return float(lo), float(hi)


def jackknife(
    problem: AnyProblem, optima: tuple[Minimum, ...], *, delta: float, level: float, plain: Array,
    progress: Callable[[int], None] | None = None,
) -> Uncertainty:  # fmt: skip
    """Leave out one row (or cluster) at a time (Efron and Tibshirani 1993, chapter 11).

    Parameters
    ----------
    problem, optima, plain, progress
        As in :func:`pairs_bootstrap`.
    delta : float
        Where the Huber loss turns linear; inf for least squares.
    level : float
        Probability of the intervals.

    Returns
    -------
    Uncertainty
        Intervals from Student's t with one degree of freedom less than there are rows or clusters; none when too many
        of the refits have no answer.
    """
    count = problem.n_cluster
    values, failures = _answers(
        problem, _refit(problem, _starts(problem, optima), delta, DELETE_ONE, count, 0, progress)
    )
    unit = "row" if count == problem.n_rows else "cluster"
    spread = Uncertainty(
        f"jackknife, one {unit} left out at a time", level, plain, plain, plain, np.diag(plain**2), plain,
        requested=count, failed=sum(number for _, number in failures), failures=failures,
    )  # fmt: skip
    if spread.withheld:
        return _without_intervals(spread, "jackknife")
    # a level that loses its only cluster has no value there: each covariance uses the replicates that have both
    covariance = (count - 1) ** 2 / count * pd.DataFrame(values).cov().to_numpy()
    se = np.sqrt(np.diag(covariance))
    point = problem.to_natural(optima[0].theta)
    reach = student_quantile((1 + level) / 2, count - 1) * se
    lo, hi = within_bounds(problem, point - reach, point + reach)
    return replace(spread, se=se, lo=lo, hi=hi, covariance=covariance)


def within_bounds(problem: AnyProblem, lo: Array, hi: Array) -> tuple[Array, Array]:
    """Cut intervals at the bounds of parameters that are not held as logarithms; in a sum of terms the lower ones."""
    bounded = np.array([not parameter.is_log for parameter in problem.parameters])
    lo = np.where(bounded, np.maximum(lo, problem.lowest), lo)
    return lo, np.where(bounded, np.minimum(hi, problem.highest), hi) if isinstance(problem, ClosedProblem) else hi
