"""Fit a law to a table: the one function behind ``scalefit fit`` and ``scalefit.fit``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from scalefit.errors import DataError, FitFailed, closest
from scalefit.law import Coef, Law
from scalefit.leastsq.covariance import gauss_newton, sandwich
from scalefit.leastsq.diagnose import Evidence, diagnose
from scalefit.leastsq.profile import profile_intervals
from scalefit.leastsq.resample import jackknife, pairs_bootstrap
from scalefit.limits import MOST_REPLICATES, check_count, check_seed
from scalefit.prepare import prepare_rows, used_columns
from scalefit.problem import Problem, build_problem
from scalefit.records import NOT_CONVERGED, LocalOptimum, Objective, Source, Uncertainty
from scalefit.results import Fit
from scalefit.solver.compiled import cache_is_cold
from scalefit.solver.curvature import Curvature, curvature_at
from scalefit.solver.search import Optimum, search
from scalefit.version import __version__

__all__ = ["METHODS", "Progress", "fit"]

Array = NDArray[np.float64]

METHODS = ("pairs", "jackknife", "gauss-newton", "hc3", "cluster", "profile")


class Progress(Protocol):
    """Told what is being done: ``progress(stage, done, total)``; total 0 when it is not known."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note."""


def fit(
    data: str | os.PathLike[str] | pd.DataFrame,
    law: str | Law,
    *,
    loss: str = "squared",
    delta: float = 1e-3,
    space: str = "log",
    exponents: str = "nonnegative",
    where: str | None = None,
    drop_highest_loss: int = 0,
    ties: str = "drop",
    mapping: Mapping[str, str] | None = None,
    derive: Iterable[str] = (),
    drop_invalid: bool = False,
    weights: str | None = None,
    cluster: str | None = None,
    uncertainty: str = "pairs",
    bootstrap: int = 4000,
    level: float = 0.95,
    seed: int = 0,
    throw: bool = True,
    progress: Progress | None = None,
    label: str = "",
) -> Fit:
    """Fit a scaling law by least squares or Huber's loss, globally, with honest errors.

    Parameters
    ----------
    data : str, path or DataFrame
        Name of a shipped data set, a file (CSV, TSV, Parquet, JSON lines), ``-`` for standard input, or rows.
    law : str or Law
        Such as ``"loss ~ E + A/params^alpha + B/tokens^beta"``, or a preset's name.
    loss : {"squared", "huber"}
        Loss of a residual.
    delta : float
        Where Huber's loss turns linear; 1e-3 is Hoffmann et al.'s choice.
    space : {"log", "linear"}
        Residuals of the log response or of the response itself.
    exponents : {"nonnegative", "free"}
        Whether exponents may be negative.
    where : str, optional
        Rows to use, such as ``'subset == "hot_100b+" and tokens > 1e9'``.
    drop_highest_loss : int
        Leave out the rows with the K highest losses.
    ties : {"drop", "keep"}
        ``drop`` keeps rows strictly below the K-th highest loss, ``keep`` drops exactly K rows.
    mapping : mapping, optional
        Law's column to table's column, such as ``{"params": "N", "tokens": "D_B*1e9"}``.
    derive : iterable of str
        Columns that may be computed: ``params`` as 12 depth width^2, ``flops`` as 6 params tokens.
    drop_invalid : bool
        Leave out (and count) rows with missing, infinite or non-positive values instead of refusing them.
    weights, cluster : str, optional
        Columns of row weights, and of clusters whose rows share an error.
    uncertainty : {"pairs", "jackknife", "gauss-newton", "hc3", "cluster", "profile"}
        Method of the intervals. ``pairs`` resamples clusters when there is a cluster column.
    bootstrap : int
        Resamples of ``pairs``; 0 falls back on ``hc3`` (or ``cluster``) and says so.
    level : float
        Probability of the intervals.
    seed : int
        Seed of restarts and resamples.
    throw : bool
        Raise when the optimum is not certified; False returns the fit with its status.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    label : str
        A name for plots and comparisons.

    Returns
    -------
    Fit
        The result; ``print(fit)``.

    Raises
    ------
    LawError, DataError
        When the law or the table cannot be used; nothing was computed.
    FitFailed
        When no point meets the stopping rule and ``throw`` is True; carries the fit.
    """
    _check_options(loss, delta, space, exponents, uncertainty, bootstrap, level, seed)
    law = law if isinstance(law, Law) else Law.parse(law)
    table = prepare_rows(
        data, law, mapping=mapping, derive=derive, where=where, drop_invalid=drop_invalid,
        drop_highest_loss=drop_highest_loss, ties=ties, weights=weights, cluster=cluster,
    )  # fmt: skip
    problem = build_problem(
        law, table.frame, space=space, weights=weights, cluster=cluster, free_sign=exponents == "free"
    )
    # a replicate is held as coordinates, in the units of the law, and with its value, status and steps
    check_count("bootstrap", bootstrap, least=0, each=8 * (4 * len(problem.parameters) + 4), such_as=4000)
    report = progress or (lambda *_: None)
    threshold = delta if loss == "huber" else np.inf
    optima = _optima(problem, threshold, seed, report)
    shape = curvature_at(problem.design, optima[0].theta, threshold)
    method = uncertainty if uncertainty != "pairs" or bootstrap else "cluster" if cluster else "hc3"
    spread = _spread(problem, optima, shape, threshold, method, cluster, bootstrap, level, seed, report)
    point = problem.design.to_natural(optima[0].theta)
    result = Fit(
        law=law,
        engine="least squares",
        objective=Objective(loss, delta if loss == "huber" else None, space, weights, exponents),
        value=_reported(optima[0].value, loss),
        parameters=problem.parameters,
        point=point,
        findings=diagnose(Evidence(problem, optima, point, shape, spread, table.frame, cluster)),
        source=Source(table.name, table.sha256, table.rows_read, table.dropped, table.remarks, cluster),
        rows=used_columns(table.frame, law, weights, cluster),
        uncertainty=spread,
        optima=tuple(_local(problem, one, loss) for one in optima),
        seed=seed,
        version=__version__,
        label=label,
    )
    if throw and result.status == NOT_CONVERGED:
        raise FitFailed(result.message, result)
    return result


def _check_options(
    loss: str, delta: float, space: str, exponents: str, uncertainty: str, bootstrap: int, level: float, seed: int
) -> None:
    choices = {
        "loss": (loss, ("squared", "huber")),
        "space": (space, ("log", "linear")),
        "exponents": (exponents, ("nonnegative", "free")),
        "uncertainty": (uncertainty, METHODS),
    }
    for name, (value, valid) in choices.items():
        if value not in valid:
            raise DataError(f"{name} is {value!r}; {closest(str(value), valid)}")
    if loss == "huber" and not 0 < delta < np.inf:
        raise DataError(f"delta is {delta}; it must be positive and finite, such as 1e-3")
    if not 0 < level < 1:
        raise DataError(f"level is {level}; it must lie between 0 and 1, such as 0.95")
    if check_count("bootstrap", bootstrap, least=0, most=MOST_REPLICATES, such_as=4000) == 1:
        raise DataError(f"bootstrap is {bootstrap}; it must be 0 (none) or at least 2, such as 4000")
    check_seed(seed)


def _optima(problem: Problem, delta: float, seed: int, report: Progress) -> tuple[Optimum, ...]:
    """Search, and put the best optimum in the order that its names promise."""
    if cache_is_cold():
        report("compiling, once", 0, 0)
    report("searching for the optimum", 0, 0)
    first, *others = search(problem.design, delta=delta, free_sign=problem.free_sign, seed=seed)
    return first._replace(theta=_ordered(problem, first.theta)), *others


def _spread(
    problem: Problem, optima: tuple[Optimum, ...], shape: Curvature, delta: float, method: str, cluster: str | None,
    bootstrap: int, level: float, seed: int, report: Progress,
) -> Uncertainty:  # fmt: skip
    weight = problem.design.rows.weight
    simple = gauss_newton(shape, weight)
    plain = np.sqrt(np.diag(simple))
    clustered = problem.n_cluster < problem.n_rows
    if method == "cluster" and cluster is None:
        raise DataError("uncertainty 'cluster' needs a cluster column; name it with cluster (--cluster COLUMN)")
    if method == "cluster" and not clustered:
        raise DataError(
            f"cluster column {cluster!r} has another value in every row, so no two rows share an error; name a column "
            "whose values repeat, or leave the cluster out (errors by row: --uncertainty hc3)"
        )
    if method in ("pairs", "jackknife"):
        total = bootstrap if method == "pairs" else problem.n_cluster
        done = [0]

        def count(more: int) -> None:
            done[0] += more
            report("refitting resamples", done[0], total)

        if method == "jackknife":
            return jackknife(problem, optima, delta=delta, level=level, plain=plain, progress=count)
        return pairs_bootstrap(
            problem,
            optima,
            delta=delta,
            replicates=bootstrap,
            level=level,
            seed=seed,
            plain=plain,
            progress=count,
        )
    point = problem.design.to_natural(optima[0].theta)
    if method == "profile":
        report("profiling", 0, 0)
        lo, hi = profile_intervals(problem, optima[0].theta, delta=delta, level=level, scale=plain)
        name = "profile of the objective, equal and independent scatter assumed"
        return Uncertainty(name, level, plain, lo, hi, simple, plain)
    if method == "gauss-newton":
        covariance, name = simple, "Gauss-Newton, equal and independent scatter assumed"
    else:
        covariance = sandwich(shape, weight, problem.cluster if method == "cluster" else None)
        name = f"cluster sandwich over {problem.n_cluster} clusters" if method == "cluster" else "HC3"
    spread = _normal(name, level, point, covariance, plain, problem)
    at_zero = np.array([p.kind == "floor" for p in problem.parameters]) & (point <= 0)
    if not at_zero.any():
        return spread
    # the normal approximation has no width at a bound; the profile gives the upper limit that is left
    limits = profile_intervals(problem, optima[0].theta, delta=delta, level=level, scale=plain, only=at_zero)
    return replace(spread, hi=np.where(at_zero, limits[1], spread.hi))


def _normal(name: str, level: float, point: Array, covariance: Array, plain: Array, problem: Problem) -> Uncertainty:
    """Intervals from Student's t (by clusters: one degree less than there are), cut at the bounds of the law."""
    se = np.sqrt(np.diag(covariance))
    degrees = problem.n_cluster - 1 if name.startswith("cluster") else problem.n_rows - len(point)
    reach = float(stats.t.ppf((1 + level) / 2, degrees)) * se
    bounded = np.array([not parameter.is_log for parameter in problem.parameters])
    lo = np.where(bounded, np.maximum(point - reach, problem.design.link.box[0]), point - reach)
    return Uncertainty(name, level, se, lo, point + reach, covariance, plain)


def _ordered(problem: Problem, theta: Array) -> Array:
    """Put twin terms (powers of one column) in the order of their exponents, so that names mean one thing."""
    law, natural = problem.law, problem.design.to_natural(theta)
    place = {parameter.coef: i for i, parameter in enumerate(problem.parameters)}
    parts = [part for term in law.terms for part in (term.coefficient, term.exponent)]
    for first, second in combinations(law.terms, 2):
        own = (first.coefficient, first.exponent, second.coefficient, second.exponent)
        swappable = all(isinstance(part, Coef) and not part.groups and parts.count(part) == 1 for part in own)
        if not swappable or (first.variable, first.grows) != (second.variable, second.grows):
            continue
        c, a, d, b = (place[part] for part in own if isinstance(part, Coef))
        if natural[a] > natural[b]:
            natural[[a, b, c, d]] = natural[[b, a, d, c]]
    return np.clip(problem.design.from_natural(natural), *problem.design.link.box)


def _reported(value: float, loss: str) -> float:
    """Return the objective as the literature writes it: the sum of squares, without the 1/2 used inside."""
    return 2 * value if loss == "squared" else value


def _local(problem: Problem, optimum: Optimum, loss: str) -> LocalOptimum:
    natural = problem.design.to_natural(optimum.theta)
    return LocalOptimum(_reported(optimum.value, loss), tuple(map(float, natural)), optimum.hits, optimum.converged)
