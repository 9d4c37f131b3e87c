"""The posterior of a law: the function behind ``scalefit bayes`` and ``scalefit.bayes``."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scalefit.closed.curvature import closed_curvature
from scalefit.closed.search import search_closed
from scalefit.closed_problem import ClosedProblem, build_closed
from scalefit.data.rows import used_columns
from scalefit.data.tables import Table
from scalefit.errors import DataError, FitFailed, how_to_install
from scalefit.law.additive import Coef, Law
from scalefit.law.general import GeneralLaw
from scalefit.law.protocol import AnyLaw
from scalefit.limits import check_count
from scalefit.names import printed_level
from scalefit.numbers import fixed
from scalefit.options import BAYES, Bayes, Rows, gather, takes
from scalefit.posterior.closed import build_closed_density
from scalefit.posterior.density import Density, build_density
from scalefit.posterior.importance import Weighted, sample_by_importance
from scalefit.posterior.mode import Mode
from scalefit.posterior.nuts import sample_by_nuts
from scalefit.posterior.pooling import apply_pool
from scalefit.posterior.result import Sampled, find_limits, from_chains, from_weights, with_choices
from scalefit.posterior.starts import find_modes
from scalefit.problem import Problem, build_problem
from scalefit.progress import Progress, SlowStage
from scalefit.records import NOT_CONVERGED, Finding, LocalOptimum, Source
from scalefit.results import PosteriorFit
from scalefit.solver.curvature import curvature_at
from scalefit.solver.search import Minimum, search
from scalefit.thresholds import GOOD_DRAWS, GOOD_KHAT
from scalefit.version import __version__

if TYPE_CHECKING:
    from scalefit.options.verbs import TableSource

__all__ = ["bayes", "draw_bytes"]

PROPOSALS = 5  # weighted draws for each equally weighted draw
# With many rows a posterior is nearly normal, so that a fitted proposal is efficient and fewer draws are enough; each
# draw takes 10 ns per row. If it is not nearly normal, k-hat and the effective draws show it, as for small tables.
MANY_ROWS, FEWER = 20_000, 2
COVERED = 0.3  # k-hat up to which the tails count as covered
DRAWN = 8  # arrays of all proposals that importance sampling keeps in memory at a time
ENOUGH = 5  # effective draws per coordinate with which their covariance is better than that at the mode
Array = NDArray[np.float64]


@takes(*BAYES)
def bayes(
    data: TableSource,
    law: str | AnyLaw,
    *options: Rows | Bayes,
    throw: bool = True,
    progress: Progress | None = None,
    label: str = "",
    **keywords: Any,
) -> PosteriorFit:
    """Sample the posterior of a scaling law.

    The model is ``log loss = log law + shift of the cluster + sigma e`` with ``e`` normal or Student's t; the shift is
    present when a column of clusters is named, and has standard deviation ``tau``. A row of weight w counts as w
    identical rows.

    Parameters
    ----------
    data : str, path or DataFrame
        Name of a shipped data set, a file (CSV, TSV, Parquet, JSON lines), ``-`` for standard input, or rows.
    law : str, Law or GeneralLaw
        Such as ``"loss ~ E + A/params^alpha + B/tokens^beta"``, or a preset's name.
    *options : Rows, Bayes
        Options as values, such as those of another fit: ``bayes(data, law, other.selection, other.options)``.
    throw : bool
        Raise when the draws do not represent the posterior; False returns the fit with its status.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    label : str
        A name for plots and comparisons.
    **keywords
        Fields of :class:`scalefit.options.Rows` and :class:`scalefit.options.Bayes`, which are listed there; they
        override the options passed as values.

    Returns
    -------
    PosteriorFit
        Its draws represent the posterior; ``fit.posterior`` has their diagnostics.

    Raises
    ------
    LawError, DataError
        When law, table or priors cannot be used; nothing has been computed.
    TypeError
        For a keyword that is not an option.
    MissingExtra
        When the full path is requested and PyMC is not installed.
    FitFailed
        When the draws do not represent the posterior and ``throw`` is True; has the fit.

    Examples
    --------
    >>> result = bayes("chinchilla", "chinchilla", drop_highest_loss=5, path="fast", draws=500)
    >>> result.status, round(result["alpha"].value, 2)
    ('converged', 0.35)
    """
    rows, how = gather(BAYES, options, keywords)
    parsed, table = rows.bind(data, law)
    report = progress or (lambda *_: None)
    density: Density
    if isinstance(parsed, GeneralLaw):
        density, optima = _of_any_law(parsed, table, rows, how, report)
    else:
        density, optima = _of_powers(parsed, table, rows, how, report)
    problem = density.problem
    bound = problem.law
    modes = find_modes(density, optima, seed=how.seed)
    sampled = _sample(density, modes, how, report)
    result = PosteriorFit(
        law=bound,
        options=how,
        selection=rows,
        value=float(density.log_likelihood(sampled.mean[None]).sum()),
        parameters=density.parameters,
        point=sampled.mean,
        findings=find_limits(density, sampled, table.frame, _residuals(problem, optima[0].theta), rows.cluster),
        source=Source.of(table),
        rows=used_columns(table.frame, bound, rows.weights, rows.cluster),
        uncertainty=sampled.spread,
        optima=tuple(_local(problem, optimum) for optimum in optima[:10]),
        version=__version__,
        label=label,
        posterior=with_choices(sampled.posterior, density, dict(how.pool or {})),
    )
    if throw and result.status == NOT_CONVERGED:
        raise FitFailed(result.message, result)
    return result


def _of_powers(law: Law, table: Table, rows: Rows, how: Bayes, report: Progress) -> tuple[Density, tuple[Minimum, ...]]:
    """Set up the posterior of a sum of power terms; its law loses the groups of fully pooled parameters."""
    law, partial = apply_pool(law, how.pool)
    problem = build_problem(
        law, table.frame, weights=rows.weights, cluster=rows.cluster, free_sign=how.exponents == "free"
    )
    _check_groups(problem, rows.cluster, partial)
    check_count("draws", how.draws, least=100, each=draw_bytes(problem), such_as=4000)
    report("searching for the modes", 0, 0)
    optima = search(problem.design, free_sign=problem.free_sign, seed=how.seed)
    density = build_density(
        problem, likelihood=how.likelihood, theta=optima[0].theta, priors=how.priors, partial=partial
    )
    return density, optima


def _of_any_law(
    law: GeneralLaw, table: Table, rows: Rows, how: Bayes, report: Progress
) -> tuple[Density, tuple[Minimum, ...]]:
    """Set up the posterior of a law of any form."""
    if how.pool:
        raise DataError(
            f"pool={dict(how.pool)} is for sums of power terms; in a law of another form, write the groups that share "
            "a value without brackets"
        )
    if how.exponents == "free":
        raise DataError(
            "exponents='free' (--exponents free) is for sums of power terms; in a law of another form, name the "
            "parameters that may be negative behind it: with alpha free"
        )
    problem = build_closed(law, table.frame, weights=rows.weights, cluster=rows.cluster)
    _check_groups(problem, rows.cluster, ())
    check_count("draws", how.draws, least=100, each=draw_bytes(problem), such_as=4000)
    report("searching for the modes", 0, 0)
    optima = search_closed(problem.design, seed=how.seed)
    return build_closed_density(problem, likelihood=how.likelihood, theta=optima[0].theta, priors=how.priors), optima


def draw_bytes(problem: Problem | ClosedProblem) -> int:
    """Return the memory that each draw takes: proposals are held as drawn, placed, and in the units of the law."""
    return 8 * PROPOSALS * DRAWN * (len(problem.parameters) + 3)


def _check_groups(problem: Problem | ClosedProblem, cluster: str | None, partial: tuple[Coef, ...]) -> None:
    if cluster is not None and problem.n_cluster == problem.n_rows:
        raise DataError(
            f"cluster column {cluster!r} has a different value in every row, so shift and scatter cannot be separated; "
            "name a column whose values repeat, or none"
        )
    for coef in partial:
        levels = [parameter.level for parameter in problem.parameters if parameter.coef == coef]
        if len(levels) < 2:
            raise DataError(
                f"{coef} has one level, {printed_level(levels[0], ', ')}; partial pooling needs at least 2 "
                "(and hardly determines the spread below 4)"
            )


def _sample(density: Density, modes: tuple[Mode, ...], how: Bayes, report: Progress) -> Sampled:
    """Sample by the fast path, the full path, or the full path if the fast one fails its diagnostics."""
    path, draws, level, seed = how.path, how.draws, how.level, how.seed
    weighted = sample_by_importance(
        density,
        np.array([mode.x for mode in modes]),
        np.array([mode.frame for mode in modes]),
        np.array([mode.log_mass for mode in modes]),
        draws=(FEWER if density.problem.n_rows > MANY_ROWS else PROPOSALS) * draws,
        seed=seed,
        covered=COVERED,
        progress=lambda done: report("importance sampling, round", done, 0),
    )
    good = weighted.khat <= GOOD_KHAT and weighted.ess >= GOOD_DRAWS
    if path == "fast" or (path == "auto" and (good or find_spec("pymc") is None)):
        fast = from_weights(density, weighted, draws=draws, level=level, seed=seed)
        if path == "fast" or good:
            return fast
        advice = f"To continue, install the full path {how_to_install('bayes')}."
        return fast._replace(findings=(*fast.findings, Finding.of("no_full_path", "warning", advice)))
    report(SlowStage("compiling the model and sampling"), 0, 0)
    chains = sample_by_nuts(density, _frame(modes[0], weighted), draws=draws, seed=seed, sampler=how.sampler)
    full = from_chains(density, chains, level=level)
    if good:  # the evidence is that of importance sampling, because NUTS gives none
        value, error = weighted.log_evidence, weighted.log_evidence_se
        return full._replace(posterior=replace(full.posterior, log_evidence=value, log_evidence_se=error))
    share = f"k-hat {fixed(weighted.khat, 2)}, {fixed(weighted.ess, 0)} effective draws"
    text = f"Importance sampling cannot represent this posterior ({share}); the draws are from NUTS."
    return full._replace(findings=(*full.findings, Finding.of("handed_over", "note", text)))


def _frame(mode: Mode, weighted: Weighted) -> Mode:
    """Whiten NUTS by the covariance of the weighted draws if enough of them are effective, else by that at the mode."""
    d = len(mode.x)
    if weighted.ess < ENOUGH * d:
        return mode
    mean = weighted.weight @ weighted.x
    gap = weighted.x - mean
    covariance: NDArray[np.float64] = (gap * weighted.weight[:, None]).T @ gap
    return mode._replace(x=mean, frame=np.asarray(np.linalg.cholesky(covariance)))


def _residuals(problem: Problem | ClosedProblem, theta: Array) -> Array:
    """Log residuals at a point, in the order of the table."""
    if isinstance(problem, ClosedProblem):
        shape = closed_curvature(problem.design, theta, np.inf)
    else:
        shape = curvature_at(problem.design, theta, np.inf)
    out = np.empty(problem.n_rows)
    out[problem.order] = shape.residual
    return out


def _local(problem: Problem | ClosedProblem, optimum: Minimum) -> LocalOptimum:
    natural = problem.to_natural(optimum.theta)
    return LocalOptimum(2 * optimum.value, tuple(map(float, natural)), optimum.hits, optimum.converged)
