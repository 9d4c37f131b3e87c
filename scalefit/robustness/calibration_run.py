"""Simulate, fit, compare with the truth, many times: the function behind ``scalefit calibrate``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scalefit.errors import DataError, closest
from scalefit.jobs import FAILED, JobResult, job_key, pack_frame, run_jobs, unpack_frame
from scalefit.law import Law
from scalefit.leastsq.fit import fit
from scalefit.limits import MOST_REPLICATES, check_count, check_seed
from scalefit.names import printed_name
from scalefit.posterior.defaults import SCALES, extra_parameters, resolve_priors
from scalefit.posterior.density import LIKELIHOODS
from scalefit.posterior.fit import bayes, draw_bytes
from scalefit.posterior.priors import Prior, parse_prior
from scalefit.prepare import prepare_rows
from scalefit.problem import Problem, build_problem
from scalefit.records import NOT_CONVERGED
from scalefit.results import Fit
from scalefit.robustness.calibration_result import RANKS, Calibration, Replicate
from scalefit.robustness.simulate import draw_from_prior, simulate
from scalefit.tables import Table
from scalefit.version import __version__

__all__ = ["ENGINES", "SAME", "TRUTHS", "calibrate", "fit_replicate"]

TRUTHS = ("prior", "posterior")
ENGINES = ("bayes", "leastsq")
SAME = "same"
ENOUGH = 4000  # draws of the posterior that truths are taken from
FEWEST, MOST = 10, 1_000_000
LONGER = 4  # times the draws, where the chains of NUTS disagree after those asked for
Report = Callable[[str, int, int], None]


def calibrate(
    data: str | os.PathLike[str] | pd.DataFrame,
    law: str | Law,
    *,
    likelihood: str = "student_t",
    cluster: str | None = None,
    fit_likelihood: str = SAME,
    fit_cluster: str | None = SAME,
    truth: str = "prior",
    engine: str = "bayes",
    loss: str = "squared",
    n: int = 100,
    draws: int = 2000,
    level: float = 0.95,
    path: str = "auto",
    priors: Mapping[str, str | Prior] | None = None,
    exponents: str = "nonnegative",
    where: str | None = None,
    drop_highest_loss: int = 0,
    ties: str = "drop",
    mapping: Mapping[str, str] | None = None,
    derive: Iterable[str] = (),
    drop_invalid: bool = False,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: Report | None = None,
) -> Calibration:
    """Measure whether intervals hold what they promise, on a design of your own.

    Truths are drawn, losses are simulated on the rows of the table, and each data set is fitted. With truths from the
    prior and the same model fitted, the rank of the truth among draws of its posterior is uniform and intervals cover
    at their level (Cook, Gelman and Rubin 2006; Talts et al. 2018). The priors are those of the table, and stay fixed.

    Parameters
    ----------
    data, law
        As for :func:`scalefit.bayes`; of the table only the columns on the right-hand side matter, and with
        ``truth="posterior"`` or default priors of floors its losses.
    likelihood, cluster
        The model that makes the data.
    fit_likelihood, fit_cluster : str or None
        The model that is fitted to them; ``same`` by default, and None for a fit that ignores the clusters.
    truth : {"prior", "posterior"}
        Draw truths from the prior, or from the posterior of the table, which shows how intervals do near these data.
    engine : {"bayes", "leastsq"}
        Fit by :func:`scalefit.bayes`, or by :func:`scalefit.fit` with a bootstrap.
    loss : {"squared", "huber"}
        Of least squares.
    n : int
        Data sets. A folder of fewer is continued.
    draws : int
        Draws of each posterior, or replicates of each bootstrap.
    level : float
        Probability of the intervals.
    path : {"auto", "fast", "full"}
        As for :func:`scalefit.bayes`. With ``auto`` a posterior that importance sampling cannot represent is
        sampled by NUTS, with four times the draws where its chains disagree; leaving it out would bias the result.
    priors, exponents
        As for :func:`scalefit.bayes`.
    where, drop_highest_loss, ties, mapping, derive, drop_invalid
        Rows and columns, as for :func:`scalefit.fit`.
    seed : int
        Seed; data set number i depends on it and on i alone.
    folder : path, optional
        Where finished data sets are kept.
    workers, scheduler, retry_failed
        As for :func:`scalefit.jobs.run_jobs`.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Calibration
        ``print(result)``; ``result.table``, ``result.plot()``.

    Raises
    ------
    LawError, DataError
        When law, table or options cannot be used; nothing was computed.
    FitFailed
        When the posterior that truths are to come from cannot be sampled.
    Interrupted
        On Ctrl-C; finished data sets are kept in the folder.
    """
    law = law if isinstance(law, Law) else Law.parse(law)
    _check_options(likelihood, fit_likelihood, truth, engine, n, draws, seed)
    fit_likelihood = likelihood if fit_likelihood == SAME else fit_likelihood
    fit_cluster = cluster if fit_cluster == SAME else fit_cluster
    rows: dict[str, Any] = {
        "mapping": dict(mapping or {}), "derive": tuple(derive), "where": where, "drop_highest_loss": drop_highest_loss,
        "ties": ties, "drop_invalid": drop_invalid,
    }  # fmt: skip
    table, design = _design(data, law, cluster, fit_cluster, rows)
    model = _build(law, design, likelihood, cluster, exponents, priors)
    fitted = _build(law, design, fit_likelihood, fit_cluster, exponents, priors)
    check_count("draws", draws, least=2, each=draw_bytes(fitted.problem), such_as=2000)
    truths = _truths(truth, model, design, n, path, exponents, seed)
    shared: dict[str, Any] = {
        "design": pack_frame(design), "law": str(law), "cluster": cluster, "fit_likelihood": fit_likelihood,
        "fit_cluster": fit_cluster, "engine": engine, "loss": loss, "draws": draws, "level": level, "path": path,
        "priors": {name: str(prior) for name, prior in fitted.priors.items()}, "exponents": exponents, "seed": seed,
    }  # fmt: skip
    about = {"shared": job_key(shared)}
    cells = {job_key(about | {"truth": one}, f"{i:05d}"): {"number": i, "truth": one} for i, one in enumerate(truths)}
    found = run_jobs(
        fit_replicate, cells, shared=shared, folder=folder, workers=workers, scheduler=scheduler,
        retry_failed=retry_failed, stage="fitting simulated data", progress=progress,
    )  # fmt: skip
    same = (likelihood, cluster) == (fit_likelihood, fit_cluster)
    words = fitted.words if engine == "bayes" else _bootstrap_words(loss, fit_cluster)
    return Calibration(
        str(law), table.name, len(design), truth, engine, model.words, words, same, level, shared["priors"],
        _replicates(found), seed, __version__,
    )  # fmt: skip


def _design(
    data: str | os.PathLike[str] | pd.DataFrame, law: Law, cluster: str | None, fit_cluster: str | None,
    rows: dict[str, Any],
) -> tuple[Table, pd.DataFrame]:  # fmt: skip
    """Read the table, and keep of it what simulated data need."""
    clusters = [one for one in (cluster, fit_cluster) if one]
    table = prepare_rows(data, law, labels=clusters, **rows)
    return table, table.frame[list(dict.fromkeys([law.response, *law.variables, *law.groups, *clusters]))]


def _check_options(
    likelihood: str, fit_likelihood: str, truth: str, engine: str, n: int, draws: int, seed: int
) -> None:
    choices = {
        "likelihood": (likelihood, LIKELIHOODS),
        "fit_likelihood": (fit_likelihood, (*LIKELIHOODS, SAME)),
        "truth": (truth, TRUTHS),
        "engine": (engine, ENGINES),
    }
    for name, (value, valid) in choices.items():
        if value not in valid:
            raise DataError(f"{name} is {value!r}; {closest(str(value), valid)}")
    if n < FEWEST:
        raise DataError(f"n is {n}; at least {FEWEST} data sets are needed to say anything, such as 100")
    check_count("n", n, least=FEWEST, most=MOST, such_as=100)
    check_count("draws", draws, least=2, most=MOST_REPLICATES, such_as=2000)
    check_seed(seed)


class _Model(NamedTuple):
    """A law on a design with a likelihood; its priors are fixed from here on."""

    problem: Problem
    scales: tuple[str, ...]
    priors: dict[str, Prior]  # by printed name, as JSON of a cell keeps it
    likelihood: str
    cluster: str | None

    @property
    def words(self) -> str:
        """``normal errors and one shift for each shape``."""
        errors = "Student-t errors" if self.likelihood == "student_t" else "normal errors"
        return errors + (f" and one shift for each {self.cluster}" if self.cluster else "")


def _build(
    law: Law, design: pd.DataFrame, likelihood: str, cluster: str | None, exponents: str,
    priors: Mapping[str, str | Prior] | None,
) -> _Model:  # fmt: skip
    """Resolve the priors on the table once: on simulated data their defaults would follow the data."""
    problem = build_problem(law, design, cluster=cluster, free_sign=exponents == "free")
    if cluster is not None and problem.n_cluster == problem.n_rows:
        raise DataError(f"cluster column {cluster!r} has another value in every row; name one whose values repeat")
    extras = extra_parameters(likelihood == "student_t", cluster is not None, ())
    scales = {one.coef.name for one in extras}
    given = {name: prior for name, prior in (priors or {}).items() if name not in SCALES or name in scales}
    resolved = resolve_priors(problem, extras, given)
    # to the digits that are printed
    fixed = {printed_name(*key): parse_prior(str(prior)) for key, prior in resolved.items()}
    return _Model(problem, tuple(one.name for one in extras), fixed, likelihood, cluster)


def _bootstrap_words(loss: str, cluster: str | None) -> str:
    unit = f"each {cluster}" if cluster else "rows"
    name = "least squares" if loss == "squared" else "Huber's loss"
    return f"{name} and a bootstrap of {unit}"


def _truths(
    origin: str, model: _Model, design: pd.DataFrame, n: int, path: str, exponents: str, seed: int
) -> list[dict[str, float]]:
    """Draw truths, so that more of them begin with the same ones."""
    if origin == "prior":
        return [draw_from_prior(model.problem, model.scales, model.priors, seed, i) for i in range(n)]
    found = bayes(
        design, model.problem.law, likelihood=model.likelihood, cluster=model.cluster, priors=model.priors, path=path,
        draws=max(ENOUGH, n), exponents=exponents, seed=seed,
    )  # fmt: skip
    draws = np.asarray(found.uncertainty.draws)
    chosen = draws[np.random.default_rng([seed, len(draws)]).permutation(len(draws))[:n]]
    return [dict(zip(found.names, map(float, one), strict=True)) for one in chosen]


def fit_replicate(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Simulate and fit one data set; the cell of :func:`calibrate`.

    Parameters
    ----------
    cell : mapping
        ``design, law, cluster, fit_likelihood, fit_cluster, engine, loss, draws, level, path, priors, exponents, seed,
        number, truth``.

    Returns
    -------
    dict
        ``status, message, path, khat, rank, lo, hi, mean, sd``.
    """
    law, number = Law.parse(cell["law"]), cell["number"]
    data = simulate(
        law, unpack_frame(cell["design"]), cell["truth"], cluster=cell["cluster"], seed=cell["seed"], number=number
    )
    common: dict[str, Any] = {
        "cluster": cell["fit_cluster"], "exponents": cell["exponents"], "level": cell["level"], "throw": False,
        "seed": cell["seed"] + number,
    }  # fmt: skip
    if cell["engine"] == "leastsq":
        found = fit(data, law, loss=cell["loss"], bootstrap=cell["draws"], **common)
    else:
        common |= {"likelihood": cell["fit_likelihood"], "priors": cell["priors"]}
        found = bayes(data, law, path=cell["path"], draws=cell["draws"], **common)
        if found.status == NOT_CONVERGED and found.posterior is not None and found.posterior.path == "full":
            found = bayes(data, law, path="full", draws=LONGER * cell["draws"], **common)
    if any(finding.code == "interrupted" for finding in found.findings):
        raise KeyboardInterrupt
    return _measure(found, cell["truth"], common["seed"])


def _measure(found: Fit, truth: Mapping[str, float], seed: int) -> dict[str, Any]:
    """Compare a fit with the truth, coefficients as logs."""
    spread, posterior = found.uncertainty, found.posterior
    names = [name for name in truth if name in found]
    places = [found.place(name) for name in names]
    columns = {"lo": spread.lo, "hi": spread.hi, "mean": found.point, "sd": spread.se}
    record: dict[str, Any] = {
        name: dict(zip(names, map(float, column[places]), strict=True)) for name, column in columns.items()
    }
    record["rank"] = {}
    if posterior is not None:
        draws = np.asarray(spread.draws)
        chosen = draws[np.random.default_rng(seed).choice(len(draws), RANKS, replace=False)][:, places]
        below = (chosen < np.array([truth[name] for name in names])).sum(axis=0)
        record["rank"] = dict(zip(names, map(int, below), strict=True))
    return record | {
        "status": found.status,
        "message": found.message,
        "path": posterior.path if posterior else "",
        "khat": posterior.khat if posterior and posterior.khat is not None and np.isfinite(posterior.khat) else None,
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
