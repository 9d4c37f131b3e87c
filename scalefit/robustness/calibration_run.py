"""Simulate, fit, compare with the truth, many times: the function behind ``scalefit calibrate``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scalefit.binding import AnyProblem, bind_law
from scalefit.closed_problem import ClosedProblem
from scalefit.data.tables import Table
from scalefit.errors import DataError
from scalefit.files import plain_json
from scalefit.jobs import FAILED, JobResult, job_key, pack_frame, run_jobs, unpack_frame
from scalefit.law.general import parse_law
from scalefit.law.protocol import AnyLaw
from scalefit.leastsq.fit import fit
from scalefit.limits import check_count
from scalefit.names import printed_name
from scalefit.options import CALIBRATE, Bayes, Jobs, LeastSquares, Rows, Simulation, gather, plain, restore, takes
from scalefit.options.verbs import SAME
from scalefit.posterior.closed import resolve_closed_priors
from scalefit.posterior.defaults import SCALES, extra_parameters, resolve_priors
from scalefit.posterior.fit import bayes, draw_bytes
from scalefit.posterior.priors import Prior, parse_prior
from scalefit.progress import Progress
from scalefit.records import NOT_CONVERGED
from scalefit.results import Fit, PosteriorFit
from scalefit.robustness.calibration_result import RANKS, Calibration, Replicate
from scalefit.robustness.simulate import draw_from_prior, simulate
from scalefit.version import __version__

__all__ = ["calibrate", "fit_replicate"]

ENOUGH = 4000  # draws of the posterior that truths are taken from
LONGER = 4  # times the draws, where the chains of NUTS disagree after those asked for


@takes(*CALIBRATE)
def calibrate(
    data: str | os.PathLike[str] | pd.DataFrame,
    law: str | AnyLaw,
    *options: Rows | Bayes | Simulation | Jobs,
    progress: Progress | None = None,
    **keywords: Any,
) -> Calibration:
    """Measure whether intervals reach their nominal coverage, on a design of your own.

    Truths are drawn, losses are simulated on the rows of the table, and each data set is fitted. With truths from the
    prior and the same model fitted, the rank of the truth among draws of its posterior is uniform and intervals cover
    at their level (Cook, Gelman and Rubin 2006; Talts et al. 2018). The priors are those of the table, and stay fixed.

    Parameters
    ----------
    data, law
        As for :func:`scalefit.bayes`; of the table only the columns on the right-hand side matter, and with
        ``truth="posterior"`` or default priors of floors its losses.
    *options : Rows, Bayes, Simulation, Jobs
        Options as values.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.Rows` and :class:`scalefit.options.Bayes` (the model that makes the data),
        :class:`scalefit.options.Simulation` and :class:`scalefit.options.Jobs`, which are listed there. A bootstrap has
        as many replicates as a posterior has draws. With the path ``auto``, a posterior that importance sampling cannot
        represent is sampled by NUTS, with four times the draws where its chains disagree; leaving it out would bias the
        result. Data set number i depends on the seed and on i alone.

    Returns
    -------
    Calibration
        ``print(result)``; ``result.table``, ``result.plot()``.

    Raises
    ------
    LawError, DataError
        When law, table or options cannot be used; nothing was computed.
    TypeError
        For a keyword that is not an option.
    FitFailed
        When the posterior that truths are to come from cannot be sampled.
    Interrupted
        On Ctrl-C; finished data sets are kept in the folder.
    """
    rows, how, made, where = gather(CALIBRATE, options, keywords)
    fitting = replace(how, likelihood=how.likelihood if made.fit_likelihood == SAME else made.fit_likelihood)
    fit_cluster = rows.cluster if made.fit_cluster == SAME else made.fit_cluster
    law, table, design = _design(data, law, rows, fit_cluster)
    model = _build(law, design, how, rows.cluster)
    fitted = _build(law, design, fitting, fit_cluster)
    check_count("draws", how.draws, least=2, each=draw_bytes(fitted.problem), such_as=2000)
    truths = _truths(made.truth, model, design, made.n, how)
    priors = {name: str(prior) for name, prior in fitted.priors.items()}
    engine: Bayes | LeastSquares = replace(fitting, priors=priors)
    if made.engine == "leastsq":
        engine = LeastSquares(
            loss=made.loss, bootstrap=how.draws, exponents=how.exponents, level=how.level, seed=how.seed
        )
    shared: dict[str, Any] = {
        "design": pack_frame(design), "law": str(law), "cluster": rows.cluster, "fit_cluster": fit_cluster,
        "engine": engine.engine, "options": plain(engine), "seed": how.seed,
    }  # fmt: skip
    about = {"shared": job_key(shared)}
    cells = {
        job_key(about | {"truth": truth}, f"{i:05d}"): {"number": i, "truth": truth} for i, truth in enumerate(truths)
    }
    results = run_jobs(fit_replicate, cells, where, shared=shared, stage="fitting simulated data", progress=progress)
    same = (how.likelihood, rows.cluster) == (fitting.likelihood, fit_cluster)
    words = fitted.words if made.engine == "bayes" else _bootstrap_words(made.loss, fit_cluster)
    return Calibration(
        str(law), table.name, len(design), made.truth, made.engine, model.words, words, same, how.level, priors,
        _replicates(results), how.seed, __version__,
    )  # fmt: skip


def _design(
    data: str | os.PathLike[str] | pd.DataFrame, law: str | AnyLaw, rows: Rows, fit_cluster: str | None
) -> tuple[AnyLaw, Table, pd.DataFrame]:
    """Read law and table, and keep of it what simulated data need."""
    clusters = [column for column in (rows.cluster, fit_cluster) if column]
    law, table = rows.bind(data, law, labels=clusters)
    return law, table, table.frame[list(dict.fromkeys([law.response, *law.variables, *law.groups, *clusters]))]


class _Model(NamedTuple):
    """A law on a design with a likelihood; its priors are fixed from here on."""

    problem: AnyProblem
    scales: tuple[str, ...]
    priors: dict[str, Prior]  # by printed name, as JSON of a cell keeps it
    likelihood: str
    cluster: str | None

    @property
    def words(self) -> str:
        """``normal errors and one shift for each shape``."""
        errors = "Student-t errors" if self.likelihood == "student_t" else "normal errors"
        return errors + (f" and one shift for each {self.cluster}" if self.cluster else "")


def _build(law: AnyLaw, design: pd.DataFrame, how: Bayes, cluster: str | None) -> _Model:
    """Resolve the priors on the table once: on simulated data their defaults would follow the data."""
    problem = bind_law(law, design, cluster=cluster, free_sign=how.exponents == "free")
    if cluster is not None and problem.n_cluster == problem.n_rows:
        raise DataError(f"cluster column {cluster!r} has a different value in every row; name one whose values repeat")
    extras = extra_parameters(how.likelihood == "student_t", cluster is not None, ())
    scales = {extra.coef.name for extra in extras}
    given = {name: prior for name, prior in (how.priors or {}).items() if name not in SCALES or name in scales}
    if isinstance(problem, ClosedProblem):
        resolved = resolve_closed_priors(problem, extras, given)
    else:
        resolved = resolve_priors(problem, extras, given)
    # to the digits that are printed
    fixed = {printed_name(*key): parse_prior(str(prior)) for key, prior in resolved.items()}
    return _Model(problem, tuple(extra.name for extra in extras), fixed, how.likelihood, cluster)


def _bootstrap_words(loss: str, cluster: str | None) -> str:
    unit = f"each {cluster}" if cluster else "rows"
    name = "least squares" if loss == "squared" else "Huber's loss"
    return f"{name} and a bootstrap of {unit}"


def _truths(origin: str, model: _Model, design: pd.DataFrame, n: int, how: Bayes) -> list[dict[str, float]]:
    """Draw truths, so that more of them begin with the same ones."""
    if origin == "prior":
        return [draw_from_prior(model.problem, model.scales, model.priors, how.seed, i) for i in range(n)]
    source = replace(how, priors=model.priors, draws=max(ENOUGH, n), level=0.95)
    posterior = bayes(design, model.problem.law, Rows(cluster=model.cluster), source)
    draws = np.asarray(posterior.uncertainty.draws)
    chosen = draws[np.random.default_rng([how.seed, len(draws)]).permutation(len(draws))[:n]]
    return [dict(zip(posterior.names, map(float, draw), strict=True)) for draw in chosen]


def fit_replicate(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Simulate and fit one data set; the job of :func:`calibrate`.

    Parameters
    ----------
    cell : mapping
        ``design, law, cluster, fit_cluster, engine, options, seed, number, truth``; options as
        :func:`scalefit.options.plain` writes them.

    Returns
    -------
    dict
        ``status, message, path, khat, rank, lo, hi, mean, sd``.
    """
    number, design = cell["number"], unpack_frame(cell["design"])
    law = parse_law(cell["law"]).decided(list(map(str, design.columns)))
    data = simulate(law, design, cell["truth"], cluster=cell["cluster"], seed=cell["seed"], number=number)
    rows, seed = Rows(cluster=cell["fit_cluster"]), cell["seed"] + number
    fitted: Fit
    if cell["engine"] == LeastSquares.engine:
        fitted = fit(data, law, rows, replace(restore(LeastSquares, cell["options"]), seed=seed), throw=False)
    else:
        fitted = _sampled(data, law, rows, replace(restore(Bayes, cell["options"]), seed=seed))
    if any(finding.code == "interrupted" for finding in fitted.findings):
        raise KeyboardInterrupt
    return _measure(fitted, cell["truth"], seed)


def _sampled(data: pd.DataFrame, law: AnyLaw, rows: Rows, how: Bayes) -> PosteriorFit:
    """Sample a posterior, for longer where the chains of NUTS disagree."""
    sampled = bayes(data, law, rows, how, throw=False)
    if sampled.status == NOT_CONVERGED and sampled.posterior.path == "full":
        return bayes(data, law, rows, replace(how, path="full", draws=LONGER * how.draws), throw=False)
    return sampled


def _measure(fitted: Fit, truth: Mapping[str, float], seed: int) -> dict[str, Any]:
    """Compare a fit with the truth, coefficients as logs."""
    spread = fitted.uncertainty
    names = [name for name in truth if name in fitted]
    places = [fitted.place(name) for name in names]
    columns = {"lo": spread.lo, "hi": spread.hi, "mean": fitted.point, "sd": spread.se}
    record: dict[str, Any] = {
        name: dict(zip(names, map(float, column[places]), strict=True)) for name, column in columns.items()
    }
    record["rank"] = {}
    path, khat = "", None
    if isinstance(fitted, PosteriorFit):
        path, khat = fitted.posterior.path, fitted.posterior.khat
        draws = np.asarray(spread.draws)
        chosen = draws[np.random.default_rng(seed).choice(len(draws), RANKS, replace=False)][:, places]
        below = (chosen < np.array([truth[name] for name in names])).sum(axis=0)
        record["rank"] = dict(zip(names, map(int, below), strict=True))
    return record | {
        "status": fitted.status,
        "message": fitted.message,
        "path": path,
        "khat": plain_json(khat),
    }


def _replicates(cells: Mapping[str, JobResult]) -> tuple[Replicate, ...]:
    if all(cell.status == FAILED for cell in cells.values()):
        reason = next(iter(cells.values())).reason
        raise DataError(f"none of the {len(cells)} simulated data sets could be fitted; the first: {reason}")
    return tuple(_replicate(cell) for cell in cells.values())


def _replicate(cell: JobResult) -> Replicate:
    empty: dict[str, Any] = {name: {} for name in ("rank", "lo", "hi", "mean", "sd")}
    value = cell.value or empty | {"status": FAILED, "message": cell.reason, "path": "", "khat": None}
    return Replicate(
        cell.arguments["number"], cell.arguments["truth"], value["status"], value["message"], value["path"],
        value["khat"], value["rank"], value["lo"], value["hi"], value["mean"], value["sd"],
    )  # fmt: skip
