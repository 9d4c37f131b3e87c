"""A posterior for a law: the one function behind ``scalefit bayes`` and ``scalefit.bayes``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.errors import DataError, FitFailed, closest
from scalefit.law import Coef, Law
from scalefit.limits import MOST_REPLICATES, check_count, check_seed
from scalefit.names import Key, printed_level
from scalefit.posterior.density import LIKELIHOODS, Density, build_density
from scalefit.posterior.importance import GOOD_ESS, GOOD_KHAT, Weighted, sample_by_importance
from scalefit.posterior.mode import Mode
from scalefit.posterior.nuts import SAMPLERS, sample_by_nuts
from scalefit.posterior.pooling import apply_pool
from scalefit.posterior.priors import Prior
from scalefit.posterior.result import Sampled, find_limits, from_chains, from_weights, with_choices
from scalefit.posterior.starts import find_modes
from scalefit.prepare import prepare_rows, used_columns
from scalefit.problem import Problem, build_problem
from scalefit.records import NOT_CONVERGED, Finding, LocalOptimum, Objective, Source
from scalefit.results import Fit
from scalefit.solver.curvature import curvature_at
from scalefit.solver.search import Optimum, search
from scalefit.version import __version__

__all__ = ["PATHS", "bayes", "draw_bytes"]

PATHS = ("auto", "fast", "full")
PROPOSALS = 5  # weighted draws for each equally weighted one that is kept
DRAWN = 8  # arrays of all proposals that importance sampling holds at a time
ENOUGH = 5  # effective draws per coordinate from which their covariance is better than that at the mode
Array = NDArray[np.float64]
Report = Callable[[str, int, int], None]


def bayes(
    data: str | os.PathLike[str] | pd.DataFrame,
    law: str | Law,
    *,
    likelihood: str = "student_t",
    cluster: str | None = None,
    priors: Mapping[str, str | Prior] | Mapping[Key, str] | None = None,
    pool: Mapping[str, str] | None = None,
    path: str = "auto",
    draws: int = 4000,
    seed: int = 0,
    level: float = 0.95,
    exponents: str = "nonnegative",
    where: str | None = None,
    drop_highest_loss: int = 0,
    ties: str = "drop",
    mapping: Mapping[str, str] | None = None,
    derive: Iterable[str] = (),
    drop_invalid: bool = False,
    weights: str | None = None,
    sampler: str = "nutpie",
    throw: bool = True,
    progress: Report | None = None,
    label: str = "",
) -> Fit:
    """Sample the posterior of a scaling law.

    The model is ``log loss = log law + shift of the cluster + sigma e`` with ``e`` normal or Student's t.

    Parameters
    ----------
    data : str, path or DataFrame
        Name of a shipped data set, a file (CSV, TSV, Parquet, JSON lines), ``-`` for standard input, or rows.
    law : str or Law
        Such as ``"loss ~ E + A/params^alpha + B/tokens^beta"``, or a preset's name.
    likelihood : {"student_t", "normal"}
        Distribution of a row's residual; the degrees of freedom ``nu`` are estimated.
    cluster : str, optional
        Column whose rows share a shift, of standard deviation ``tau``.
    priors : mapping, optional
        Name to prior, such as ``{"alpha": "HalfNormal(2)"}``, or ``("alpha", ("OPT",))`` for one level; see
        :mod:`scalefit.posterior.defaults`. That of a coefficient is on the size of its term at the geometric mean of
        its column.
    pool : mapping, optional
        Name to ``none``, ``partial`` or ``full``, for exponents and floors with levels.
    path : {"auto", "fast", "full"}
        Importance sampling, NUTS, or NUTS where importance sampling says that it cannot (k-hat above 0.7, or fewer
        than 400 effective draws).
    draws : int
        Draws to keep; NUTS splits them over 4 chains.
    seed : int
        Seed.
    level : float
        Probability of the intervals.
    exponents : {"nonnegative", "free"}
        Whether exponents may be negative.
    where, drop_highest_loss, ties, mapping, derive, drop_invalid
        Rows and columns, as for :func:`scalefit.fit`.
    weights : str, optional
        Column of weights: a row of weight w counts as w identical rows.
    sampler : {"nutpie", "pymc"}
        NUTS of the full path.
    throw : bool
        Raise when the draws do not represent the posterior; False returns the fit with its status.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    label : str
        A name for plots and comparisons.

    Returns
    -------
    Fit
        Its draws are the posterior; ``fit.posterior`` says how good they are.

    Raises
    ------
    LawError, DataError
        When law, table or priors cannot be used; nothing was computed.
    MissingExtra
        When the full path is asked for and PyMC is not installed.
    FitFailed
        When the draws do not represent the posterior and ``throw`` is True; carries the fit.
    """
    _check_options(likelihood, path, draws, seed, level, exponents, sampler)
    law, partial = apply_pool(law if isinstance(law, Law) else Law.parse(law), pool)
    table = prepare_rows(
        data, law, mapping=mapping, derive=derive, where=where, drop_invalid=drop_invalid,
        drop_highest_loss=drop_highest_loss, ties=ties, weights=weights, cluster=cluster,
    )  # fmt: skip
    problem = build_problem(law, table.frame, weights=weights, cluster=cluster, free_sign=exponents == "free")
    _check_groups(problem, cluster, partial)
    check_count("draws", draws, least=100, each=draw_bytes(problem), such_as=4000)
    report = progress or (lambda *_: None)
    report("searching for the modes", 0, 0)
    optima = search(problem.design, free_sign=problem.free_sign, seed=seed)
    density = build_density(problem, likelihood=likelihood, theta=optima[0].theta, priors=priors, partial=partial)
    modes = find_modes(density, optima, seed=seed)
    sampled = _sample(density, modes, path, draws, level, seed, sampler, report)
    result = Fit(
        law=law,
        engine="bayes",
        objective=Objective(likelihood, None, "log", weights, exponents),
        value=float(density.log_likelihood(sampled.mean[None]).sum()),
        parameters=density.parameters,
        point=sampled.mean,
        findings=find_limits(density, sampled, table.frame, _residuals(problem, optima[0].theta), cluster),
        source=Source(table.name, table.sha256, table.rows_read, table.dropped, table.remarks, cluster),
        rows=used_columns(table.frame, law, weights, cluster),
        uncertainty=sampled.spread,
        optima=tuple(_local(problem, one) for one in optima[:10]),
        seed=seed,
        version=__version__,
        label=label,
        posterior=with_choices(sampled.posterior, density, dict(pool or {})),
    )
    if throw and result.status == NOT_CONVERGED:
        raise FitFailed(result.message, result)
    return result


def draw_bytes(problem: Problem) -> int:
    """Return the memory that each draw takes: proposals are held as drawn, placed, and in the units of the law."""
    return 8 * PROPOSALS * DRAWN * (len(problem.parameters) + 3)


def _check_options(
    likelihood: str, path: str, draws: int, seed: int, level: float, exponents: str, sampler: str
) -> None:
    choices = {
        "likelihood": (likelihood, LIKELIHOODS),
        "path": (path, PATHS),
        "exponents": (exponents, ("nonnegative", "free")),
        "sampler": (sampler, SAMPLERS),
    }
    for name, (value, valid) in choices.items():
        if value not in valid:
            raise DataError(f"{name} is {value!r}; {closest(str(value), valid)}")
    if not 0 < level < 1:
        raise DataError(f"level is {level}; it must lie between 0 and 1, such as 0.95")
    check_count("draws", draws, least=100, most=MOST_REPLICATES, such_as=4000)
    check_seed(seed)


def _check_groups(problem: Problem, cluster: str | None, partial: tuple[Coef, ...]) -> None:
    if cluster is not None and problem.n_cluster == problem.n_rows:
        raise DataError(
            f"cluster column {cluster!r} has another value in every row, so a shift cannot be told from the scatter; "
            "name a column whose values repeat, or none"
        )
    for coef in partial:
        levels = [one.level for one in problem.parameters if one.coef == coef]
        if len(levels) < 2:
            raise DataError(
                f"{coef} has one level, {printed_level(levels[0], ', ')}; partial pooling needs at least 2 "
                "(and says little about the spread below 4)"
            )


def _sample(
    density: Density, modes: tuple[Mode, ...], path: str, draws: int, level: float, seed: int, sampler: str,
    report: Report,
) -> Sampled:  # fmt: skip
    """Take the fast path, the full one, or the full one where the fast one says that it cannot."""
    weighted = sample_by_importance(
        density,
        np.array([mode.x for mode in modes]),
        np.array([mode.frame for mode in modes]),
        np.array([mode.log_mass for mode in modes]),
        draws=PROPOSALS * draws,
        seed=seed,
        progress=lambda done: report("importance sampling, round", done, 0),
    )
    good = weighted.khat <= GOOD_KHAT and weighted.ess >= GOOD_ESS
    if path == "fast" or (path == "auto" and (good or find_spec("pymc") is None)):
        fast = from_weights(density, weighted, draws=draws, level=level, seed=seed)
        if path == "fast" or good:
            return fast
        advice = 'To go on, install the full path with: pip install "scalefit-reanalysis[bayes]".'
        return fast._replace(findings=(*fast.findings, Finding("no_full_path", "warning", advice)))
    report("compiling the model and sampling", 0, 0)
    chains = sample_by_nuts(density, _frame(modes[0], weighted), draws=draws, seed=seed, sampler=sampler)
    full = from_chains(density, chains, level=level)
    if good:  # the evidence comes from importance sampling, which the full path has none of
        value, error = weighted.log_evidence, weighted.log_evidence_se
        return full._replace(posterior=replace(full.posterior, log_evidence=value, log_evidence_se=error))
    share = f"k-hat {weighted.khat:.2f}, {weighted.ess:.0f} effective draws"
    text = f"Importance sampling cannot represent this posterior ({share}); the draws are from NUTS."
    return full._replace(findings=(*full.findings, Finding("handed_over", "note", text)))


def _frame(mode: Mode, weighted: Weighted) -> Mode:
    """Whiten NUTS by the covariance of the weighted draws where enough of them count, else at the mode."""
    d = len(mode.x)
    if weighted.ess < ENOUGH * d:
        return mode
    mean = weighted.weight @ weighted.x
    gap = weighted.x - mean
    covariance: NDArray[np.float64] = (gap * weighted.weight[:, None]).T @ gap
    return mode._replace(x=mean, frame=np.asarray(np.linalg.cholesky(covariance)))


def _residuals(problem: Problem, theta: Array) -> Array:
    """Log residuals at a point, in the order of the table."""
    out = np.empty(problem.n_rows)
    out[problem.order] = curvature_at(problem.design, theta, np.inf).residual
    return out


def _local(problem: Problem, optimum: Optimum) -> LocalOptimum:
    natural = problem.design.to_natural(optimum.theta)
    return LocalOptimum(2 * optimum.value, tuple(map(float, natural)), optimum.hits, optimum.converged)
