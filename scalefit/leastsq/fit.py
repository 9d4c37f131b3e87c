"""Fit a law to a table: the one function behind ``scalefit fit`` and ``scalefit.fit``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.binding import AnyProblem, bind_law
from scalefit.closed_problem import ClosedProblem
from scalefit.data.rows import used_columns
from scalefit.errors import DataError, FitFailed
from scalefit.law.protocol import AnyLaw
from scalefit.leastsq.choosing import Candidates, draw_candidates
from scalefit.leastsq.closed import closed_optima, shape_at
from scalefit.leastsq.covariance import gauss_newton, sandwich
from scalefit.leastsq.diagnose import FitState, diagnose
from scalefit.leastsq.profile import profile_intervals
from scalefit.leastsq.resample import jackknife, pairs_bootstrap, within_bounds
from scalefit.limits import check_count
from scalefit.numbers import exact
from scalefit.options import FIT, LeastSquares, Rows, gather, takes
from scalefit.problem import Problem
from scalefit.progress import Progress, SlowStage
from scalefit.quantiles import student_quantile
from scalefit.records import NOT_CONVERGED, LocalOptimum, Source, Uncertainty
from scalefit.results import LeastSquaresFit
from scalefit.solver.compiled import cache_is_cold
from scalefit.solver.curvature import Curvature
from scalefit.solver.search import Minimum, search
from scalefit.thresholds import FEWEST_RESAMPLED
from scalefit.version import __version__

if TYPE_CHECKING:
    from scalefit.options.verbs import TableSource

__all__ = ["fit"]

MANY_REFITTED: Final = 2 * 10**9  # rows times resamples that take a minute or more, 40 ns each on two cores

Array = NDArray[np.float64]


@takes(*FIT)
def fit(
    data: TableSource,
    law: str | AnyLaw,
    *options: Rows | LeastSquares,
    throw: bool = True,
    progress: Progress | None = None,
    label: str = "",
    **keywords: Any,
) -> LeastSquaresFit:
    """Fit a scaling law by least squares or Huber's loss, with honest errors.

    The optimum of a sum of power terms is certified. For a law of another form (see :mod:`scalefit.law.general`) it is
    the best of many starts, and the fit says how many of them ended there.

    Parameters
    ----------
    data : str, path or DataFrame
        Name of a shipped data set, a file (CSV, TSV, Parquet, JSON lines), ``-`` for standard input, or rows.
    law : str, Law or GeneralLaw
        Such as ``"loss ~ E + A/params^alpha + B/tokens^beta"``, a law of any other closed form, or a preset's name.
    *options : Rows, LeastSquares
        Options as values, such as those of another fit: ``fit(data, law, other.selection, other.options)``.
    throw : bool
        Raise when the optimum is not certified; False returns the fit with its status.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    label : str
        A name for plots and comparisons.
    **keywords
        Fields of :class:`scalefit.options.Rows` and :class:`scalefit.options.LeastSquares`, which are listed there;
        they change the options that are given.

    Returns
    -------
    LeastSquaresFit
        The result; ``print(fit)``.

    Raises
    ------
    LawError, DataError
        When the law or the table cannot be used; nothing was computed.
    TypeError
        For a keyword that is not an option.
    FitFailed
        When no point meets the stopping rule and ``throw`` is True; carries the fit.

    Examples
    --------
    >>> result = fit("chinchilla", "chinchilla", drop_highest_loss=5, uncertainty="hc3")
    >>> result.status, round(result["alpha"].value, 2)
    ('converged', 0.36)
    """
    rows, how = gather(FIT, options, keywords)
    bound, table = rows.bind(data, law, space=how.space)
    problem = _problem(bound, table.frame, rows, how)
    # a replicate is held as coordinates, in the units of the law, and with its value, status and steps
    check_count("bootstrap", how.bootstrap, least=0, each=8 * (4 * len(problem.parameters) + 4), such_as=4000)
    report = progress or (lambda *_: None)
    optima = _optima(problem, how, report)
    shape = shape_at(problem, optima[0].theta, how.threshold)
    candidates = None
    if table.choice is not None and how.uncertainty == "pairs" and how.bootstrap:
        alone = replace(rows, cluster=None)
        candidates = draw_candidates(table.choice, problem, how, lambda frame: _problem(bound, frame, alone, how))
    spread = _spread(problem, optima, shape, rows.cluster, how, report, candidates)
    point = problem.to_natural(optima[0].theta)
    result = LeastSquaresFit(
        law=bound,
        options=how,
        selection=rows,
        value=_reported(optima[0].value, how.loss),
        parameters=problem.parameters,
        point=point,
        findings=diagnose(FitState(problem, optima, point, shape, spread, table.frame, rows.cluster, how.threshold)),
        source=Source.of(table),
        rows=used_columns(table.frame, bound, rows.weights, rows.cluster),
        uncertainty=spread,
        optima=tuple(_local(problem, optimum, how.loss) for optimum in optima),
        version=__version__,
        label=label,
    )
    if throw and result.status == NOT_CONVERGED:
        raise FitFailed(result.message, result)
    return result


def _problem(law: AnyLaw, frame: pd.DataFrame, rows: Rows, how: LeastSquares) -> AnyProblem:
    """Bind a law to rows."""
    free = how.exponents == "free"
    return bind_law(law, frame, space=how.space, weights=rows.weights, cluster=rows.cluster, free_sign=free)


def _optima(problem: AnyProblem, how: LeastSquares, report: Progress) -> tuple[Minimum, ...]:
    """Search, and put the best optimum in the order that its names promise."""
    if isinstance(problem, ClosedProblem):
        return closed_optima(problem, delta=how.threshold, seed=how.seed, report=report)
    if cache_is_cold():
        report(SlowStage("compiling, once"), 0, 0)
    report("searching for the optimum", 0, 0)
    first, *others = search(problem.design, delta=how.threshold, free_sign=problem.free_sign, seed=how.seed)
    return first._replace(theta=_ordered(problem, first.theta)), *others


def _spread(
    problem: AnyProblem, optima: tuple[Minimum, ...], shape: Curvature, cluster: str | None, how: LeastSquares,
    report: Progress, candidates: Candidates | None,
) -> Uncertainty:  # fmt: skip
    """Return the errors of the estimates."""
    method = _method(problem, cluster, how)
    simple = gauss_newton(shape, problem.weight)
    plain = np.sqrt(np.diag(simple))
    if method in ("pairs", "jackknife"):
        return _by_refits(method, problem, optima, plain, how, report, candidates)
    if method == "profile":
        report("profiling", 0, 0)
        lo, hi = profile_intervals(problem, optima[0].theta, delta=how.threshold, level=how.level, scale=plain)
        name = "profile of the objective, equal and independent scatter assumed"
        return Uncertainty(name, how.level, plain, lo, hi, simple, plain)
    covariance, name = simple, "Gauss-Newton, equal and independent scatter assumed"
    if method != "gauss-newton":
        covariance = sandwich(shape, problem.weight, problem.cluster if method == "cluster" else None)
        name = f"cluster sandwich over {exact(problem.n_cluster)} clusters" if method == "cluster" else "HC3"
    point = problem.to_natural(optima[0].theta)
    degrees = problem.n_cluster - 1 if method == "cluster" else problem.n_rows - len(point)
    spread = _normal(name, how.level, point, covariance, plain, problem, degrees)
    at_zero = np.array([p.kind in ("floor", "real") for p in problem.parameters]) & (point == 0) & (problem.lowest == 0)
    if not at_zero.any():
        return spread
    # the normal approximation has no width at a bound; the profile gives the upper limit that is left
    _, limits = profile_intervals(
        problem, optima[0].theta, delta=how.threshold, level=how.level, scale=plain, only=at_zero
    )
    return replace(spread, hi=np.where(at_zero, limits, spread.hi))


def _method(problem: AnyProblem, cluster: str | None, how: LeastSquares) -> str:
    """Return the kind of errors: as asked for, or what takes the place of resampling where that has too little."""
    method = how.uncertainty if how.uncertainty != "pairs" or how.bootstrap else "cluster" if cluster else "hc3"
    clustered = problem.n_cluster < problem.n_rows
    if method == "pairs" and clustered and problem.n_cluster < FEWEST_RESAMPLED:
        return "jackknife"
    if method == "cluster" and cluster is None:
        raise DataError("uncertainty 'cluster' needs a cluster column; name it with cluster (--cluster COLUMN)")
    if method == "cluster" and not clustered:
        raise DataError(
            f"cluster column {cluster!r} has a different value in every row, so no two rows share an error; name a "
            "column whose values repeat, or leave the cluster out (errors by row: --uncertainty hc3)"
        )
    return method


def _by_refits(
    method: str, problem: AnyProblem, optima: tuple[Minimum, ...], plain: Array, how: LeastSquares, report: Progress,
    candidates: Candidates | None,
) -> Uncertainty:  # fmt: skip
    """Resample rows or clusters, or leave out one at a time; say before it how long many rows take."""
    total = how.bootstrap if method == "pairs" else problem.n_cluster
    done = [0]
    stage = "refitting resamples"
    if total * problem.n_rows >= MANY_REFITTED:
        plainer = "cluster" if problem.n_cluster < problem.n_rows else "hc3"
        fewer = "fewer with --bootstrap 200, " if method == "pairs" else ""
        stage = SlowStage(
            f"refitting resamples of {exact(problem.n_rows)} rows, for minutes: {fewer}"
            f"none with --uncertainty {plainer}"
        )
        report(stage, 0, total)

    def count(more: int) -> None:
        done[0] += more
        report(stage, done[0], total)

    if method == "jackknife":
        return jackknife(problem, optima, delta=how.threshold, level=how.level, plain=plain, progress=count)
    return pairs_bootstrap(problem, optima, how, plain=plain, candidates=candidates, progress=count)


def _normal(
    name: str, level: float, point: Array, covariance: Array, plain: Array, problem: AnyProblem, degrees: int
) -> Uncertainty:
    """Intervals from Student's t (by clusters: one degree less than there are), cut at the bounds of the law."""
    se = np.sqrt(np.diag(covariance))
    reach = student_quantile((1 + level) / 2, degrees) * se
    lo, hi = within_bounds(problem, point - reach, point + reach)
    return Uncertainty(name, level, se, lo, hi, covariance, plain)


def _ordered(problem: Problem, theta: Array) -> Array:
    """Put twin terms (powers of one column) in the order of their exponents, so that names mean one thing."""
    natural = problem.design.to_natural(theta)
    place = {parameter.coef: i for i, parameter in enumerate(problem.parameters)}
    for twins in problem.law.twins:
        c, a, d, b = (place[coef] for coef in twins)
        if natural[a] > natural[b]:
            natural[[a, b, c, d]] = natural[[b, a, d, c]]
    return np.clip(problem.design.from_natural(natural), *problem.design.link.box)


def _reported(value: float, loss: str) -> float:
    """Return the objective as the literature writes it: the sum of squares, without the 1/2 used inside."""
    return 2 * value if loss == "squared" else value


def _local(problem: AnyProblem, optimum: Minimum, loss: str) -> LocalOptimum:
    natural = problem.to_natural(optimum.theta)
    return LocalOptimum(_reported(optimum.value, loss), tuple(map(float, natural)), optimum.hits, optimum.converged)
