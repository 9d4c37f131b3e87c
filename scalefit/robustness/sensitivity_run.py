"""Ask one question under many choices: the function behind ``scalefit sensitivity``."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from scalefit.errors import DataError, closest
from scalefit.jobs import JobResult, job_key, pack_frame, run_jobs, unpack_frame
from scalefit.law import Law
from scalefit.leastsq.fit import fit
from scalefit.limits import MOST_REPLICATES, check_count, check_seed
from scalefit.names import Key, printed_name, read_name
from scalefit.posterior.defaults import extra_parameters, resolve_priors
from scalefit.posterior.fit import bayes, draw_bytes
from scalefit.posterior.pooling import apply_pool
from scalefit.posterior.priors import Prior
from scalefit.prepare import prepare_rows
from scalefit.problem import build_problem
from scalefit.records import NOT_CONVERGED
from scalefit.results import Fit
from scalefit.robustness.sensitivity_result import BOOTSTRAP, FAILED, POSTERIOR, Answer, Sensitivity
from scalefit.robustness.variations import LOSSES, Choice, default_vary, expand, read_vary
from scalefit.tables import Table, read_table
from scalefit.version import __version__

__all__ = ["fit_choice", "sensitivity"]

Report = Callable[[str, int, int], None]


def sensitivity(
    data: str | os.PathLike[str] | pd.DataFrame,
    law: str | Law,
    *,
    param: str | Key,
    reference: float | None = None,
    region: tuple[float, float] | None = None,
    vary: Mapping[str, Any] | None = None,
    design: str = "one",
    likelihood: str = "student_t",
    cluster: str | None = None,
    priors: Mapping[str, str | Prior] | None = None,
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
    folder: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: Report | None = None,
) -> Sensitivity:
    """Ask for one parameter under other cuts, likelihoods, clusters, priors and conventions.

    Parameters
    ----------
    data, law
        As for :func:`scalefit.bayes`.
    param : str or (str, tuple of str)
        The parameter in question, such as ``a_m`` or ``alpha[OPT]``, or coefficient and level.
    reference : float, optional
        A hypothesis about it.
    region : tuple of float, optional
        What counts as equal to it, such as ``(0.9, 1.1)``.
    vary : mapping, optional
        Dimension to values: ``drop_highest_loss, ties, where, mapping, derive, weights, likelihood, cluster, prior,
        exponents``. A likelihood ``squared`` or ``huber`` is a least-squares fit with a bootstrap, which is no
        posterior. ``prior`` is that of ``param``. Chosen from what data and law allow when omitted; see
        :func:`scalefit.robustness.variations.default_vary`.
    design : {"one", "grid"}
        Change one choice of the base at a time, or try every combination.
    likelihood, cluster, priors, pool, path, draws, seed, level, exponents
        The base, as for :func:`scalefit.bayes`; a bootstrap has as many replicates as a posterior has draws.
    where, drop_highest_loss, ties, mapping, derive, drop_invalid, weights
        Rows and columns of the base, as for :func:`scalefit.fit`.
    folder : path, optional
        Where finished rows are kept; the same call with the same folder goes on from there, and one with more values
        computes what is new.
    workers, scheduler, retry_failed
        As for :func:`scalefit.jobs.run_jobs`.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Sensitivity
        ``print(result)``; ``result.table``, ``result.plot()``. A row that could not be fitted has its reason.

    Raises
    ------
    LawError, DataError
        When the base cannot be used; nothing was computed.
    Interrupted
        On Ctrl-C; finished rows are kept in the folder.
    """
    law = law if isinstance(law, Law) else Law.parse(law)
    _check_question(reference, region)
    key = _read_param(param)
    name = printed_name(*key)
    check_count("draws", draws, least=100, most=MOST_REPLICATES, such_as=4000)
    check_seed(seed)
    base = {
        "drop_highest_loss": drop_highest_loss, "ties": ties, "where": where, "mapping": dict(mapping or {}),
        "derive": list(derive), "weights": weights, "likelihood": likelihood, "cluster": cluster, "prior": None,
        "exponents": exponents,
    }  # fmt: skip
    source, table = _read(data, law, base, drop_invalid)
    prior, standard = _settle(law, table, base, pool, priors, key, draws)
    wanted = read_vary(standard if vary is None else vary)
    wanted = {kind: [one for one in values if one != prior] for kind, values in wanted.items()}  # the base has it
    choices = expand(base, {kind: values for kind, values in wanted.items() if values}, design)
    shared = {
        "table": pack_frame(source.frame), "law": str(law), "param": name, "pool": dict(pool or {}), "path": path,
        "priors": {one: str(prior) for one, prior in (priors or {}).items()}, "draws": draws, "seed": seed,
        "level": level, "drop_invalid": drop_invalid,
    }  # fmt: skip
    about = {"shared": job_key(shared)}  # in the key, so that another table or law makes other files
    keys = [job_key(one.options | about, "choice" if one.changed else "base") for one in choices]
    cells = run_jobs(
        fit_choice, {key: {"options": one.options} for key, one in zip(keys, choices, strict=True)}, shared=shared,
        folder=folder, workers=workers, scheduler=scheduler, retry_failed=retry_failed, stage="fitting each choice",
        progress=progress,
    )  # fmt: skip
    answers = tuple(_answer(one, cells[key]) for key, one in zip(keys, choices, strict=True))
    return Sensitivity(
        str(law), name, table.name, table.sha256, reference, region, level, design, prior, answers, seed, __version__
    )


def _settle(
    law: Law, table: Table, base: dict[str, Any], pool: Mapping[str, str] | None,
    priors: Mapping[str, str | Prior] | None, param: Key, draws: int,
) -> tuple[str, dict[str, list[Any]]]:  # fmt: skip
    """Check the base and the parameter; return its prior in words and what to vary by default."""
    pooled_law, partial = apply_pool(law, pool)
    problem = build_problem(
        pooled_law, table.frame, weights=base["weights"], cluster=base["cluster"],
        free_sign=base["exponents"] == "free",
    )  # fmt: skip
    check_count("draws", draws, least=100, each=draw_bytes(problem), such_as=4000)
    extras = extra_parameters(base["likelihood"] == "student_t", base["cluster"] is not None, partial)
    parameters = (*problem.parameters, *extras)
    if all(one.key != param for one in parameters):
        name, names = printed_name(*param), [one.name for one in parameters]
        raise DataError(f"there is no parameter {name!r} in {law}; {closest(name, names)}")
    known = resolve_priors(problem, extras, priors)
    cut = sum(one.rows for one in table.dropped if one.kind == "drop_highest_loss")
    standard = default_vary(table.frame, law, problem, base, param, cut=cut, pooled=bool(partial))
    return str(known[param]) if param in known else "none of its own", standard


def _read_param(param: str | Key) -> Key:
    try:
        return read_name(param)
    except ValueError as error:
        raise DataError(f"param: {error}") from None


def _check_question(reference: float | None, region: tuple[float, float] | None) -> None:
    if reference is not None and not math.isfinite(reference):
        raise DataError(f"reference is {reference}; it must be a number, such as 1")
    if region is not None and not (len(region) == 2 and region[0] < region[1]):
        raise DataError(f"region is {region}; it needs two numbers, the smaller first, such as 0.9,1.1")
    if region is not None and reference is not None and not region[0] <= reference <= region[1]:
        raise DataError(f"the reference {reference:g} lies outside the region {region[0]:g} to {region[1]:g}")


def _read(
    data: str | os.PathLike[str] | pd.DataFrame, law: Law, base: dict[str, Any], drop_invalid: bool
) -> tuple[Table, Table]:
    """Read the table as it is, for every row to choose from, and the base's rows of it."""
    source = read_table(data, typed=False)
    names = ("mapping", "derive", "where", "drop_highest_loss", "ties", "weights", "cluster")
    chosen = prepare_rows(source.frame, law, drop_invalid=drop_invalid, **{name: base[name] for name in names})
    chosen = replace(
        chosen, sha256=source.sha256, rows_read=source.rows_read, dropped=(*source.dropped, *chosen.dropped)
    )
    return source, chosen


def fit_choice(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Fit one set of choices; the cell of :func:`sensitivity`.

    Parameters
    ----------
    cell : mapping
        ``table, law, param, pool, path, priors, draws, seed, level, drop_invalid, options``.

    Returns
    -------
    dict
        ``n_rows, status, message``, and where the fit can be trusted ``mean, sd, lo, hi, khat, path, draws``.
    """
    options, param = cell["options"], cell["param"]
    frame = unpack_frame(cell["table"])
    names = ("mapping", "derive", "where", "drop_highest_loss", "ties", "weights", "cluster", "exponents")
    common: dict[str, Any] = {name: options[name] for name in names}
    common |= {"drop_invalid": cell["drop_invalid"], "level": cell["level"], "seed": cell["seed"], "throw": False}
    if options["likelihood"] in LOSSES:
        result = _minimise(frame, cell, common)
    else:
        priors = cell["priors"] | ({} if options["prior"] is None else {param: options["prior"]})
        result = bayes(
            frame, cell["law"], likelihood=options["likelihood"], priors=priors, pool=cell["pool"], path=cell["path"],
            draws=cell["draws"], **common,
        )  # fmt: skip
    if any(finding.code == "interrupted" for finding in result.findings):
        raise KeyboardInterrupt
    return _answer_record(result, param)


def _minimise(frame: pd.DataFrame, cell: Mapping[str, Any], common: dict[str, Any]) -> Fit:
    law, partial = apply_pool(Law.parse(cell["law"]), cell["pool"])
    if partial:
        raise DataError("least squares knows no partial pooling; pool fully, or not at all")
    return fit(frame, law, loss=cell["options"]["likelihood"], bootstrap=cell["draws"], **common)


def _answer_record(result: Fit, param: str) -> dict[str, Any]:
    record = {"n_rows": result.n_rows, "status": result.status, "message": result.message}
    if result.status == NOT_CONVERGED:
        return record
    if param not in result:
        raise DataError(f"this fit has no {param}; {closest(param, result.names)}")
    found, draws = result[param], result.draws(param)
    posterior = result.posterior
    return record | {
        "mean": found.value, "sd": found.se, "lo": found.lo, "hi": found.hi,
        "khat": posterior.khat if posterior else None, "path": posterior.path if posterior else "",
        "draws": [float(f"{value:.6g}") for value in draws[np.isfinite(draws)]],
    }  # fmt: skip


def _answer(choice: Choice, cell: JobResult) -> Answer:
    engine = BOOTSTRAP if choice.options["likelihood"] in LOSSES else POSTERIOR
    found = cell.value or {"status": FAILED, "message": cell.reason}
    quiet = found["status"] == "converged"
    mean, sd, lo, hi = (float(found.get(name, np.nan)) for name in ("mean", "sd", "lo", "hi"))
    return Answer(
        choice, engine, found["status"], "" if quiet else found["message"], found.get("n_rows"), mean, sd, lo, hi,
        found.get("khat"), found.get("path", ""), np.array(found.get("draws", []), dtype=float),
    )  # fmt: skip
