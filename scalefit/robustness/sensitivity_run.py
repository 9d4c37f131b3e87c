"""Ask one question under many choices: the function behind ``scalefit sensitivity``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit.binding import bind_law
from scalefit.closed_problem import ClosedProblem
from scalefit.data.tables import Table
from scalefit.errors import DataError, closest
from scalefit.estimate import Estimate, Spread
from scalefit.jobs import JobResult, job_key, pack_frame, run_jobs, unpack_frame
from scalefit.law.general import parse_law, sum_of_powers
from scalefit.law.protocol import AnyLaw
from scalefit.leastsq.fit import fit
from scalefit.limits import check_count
from scalefit.names import Key, printed_name
from scalefit.numbers import to_digits
from scalefit.options import SENSITIVITY, Bayes, Jobs, LeastSquares, Question, Rows, gather, plain, restore, takes
from scalefit.posterior.closed import resolve_closed_priors
from scalefit.posterior.defaults import extra_parameters, resolve_priors
from scalefit.posterior.fit import bayes, draw_bytes
from scalefit.posterior.pooling import apply_pool
from scalefit.progress import Progress
from scalefit.records import NOT_CONVERGED
from scalefit.results import Fit, PosteriorFit
from scalefit.robustness.sensitivity_result import FAILED, Sensitivity, VariedAnswer
from scalefit.robustness.variations import (
    LOSSES,
    Choice,
    as_options,
    default_vary,
    dimensions,
    expand,
    read_vary,
)
from scalefit.version import __version__

if TYPE_CHECKING:
    from scalefit.options.verbs import TableSource

__all__ = ["fit_choice", "sensitivity"]


@takes(*SENSITIVITY)
def sensitivity(
    data: TableSource,
    law: str | AnyLaw,
    *options: Rows | Bayes | Question | Jobs,
    progress: Progress | None = None,
    **keywords: Any,
) -> Sensitivity:
    """Ask for one parameter under other cuts, likelihoods, clusters, priors and conventions.

    Parameters
    ----------
    data, law
        As for :func:`scalefit.bayes`.
    *options : Rows, Bayes, Question, Jobs
        Options as values.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.Rows` and :class:`scalefit.options.Bayes` (the base),
        :class:`scalefit.options.Question` and :class:`scalefit.options.Jobs`, which are listed there. A
        bootstrap has as many replicates as a posterior has draws; the same call with the same folder goes on from
        there, and one with more values computes what is new.

    Returns
    -------
    Sensitivity
        ``print(result)``; ``result.table``, ``result.plot()``. A row that could not be fitted has its reason.

    Raises
    ------
    LawError, DataError
        When the base cannot be used; nothing was computed.
    TypeError
        For a keyword that is not an option.
    Interrupted
        On Ctrl-C; finished rows are kept in the folder.
    """
    rows, how, asked, where = gather(SENSITIVITY, options, keywords)
    key = asked.key
    name = printed_name(*key)
    source, rows = rows.load(data), rows.loaded
    bound, table = rows.bind(source, law)
    prior, standard = _base(bound, table, rows, how, key)
    wanted = read_vary(standard if asked.vary is None else asked.vary)
    wanted = {kind: [value for value in values if value != prior] for kind, values in wanted.items()}  # the base has it
    choices = expand(dimensions(rows, how), {kind: values for kind, values in wanted.items() if values}, asked.design)
    shared = {"table": pack_frame(source.frame), "law": str(bound), "param": name, "pool": dict(how.pool or {})}
    about = {"shared": job_key(shared)}  # in the key, so that another table or law makes other files
    arguments = [_arguments(*as_options(choice.options, rows, how, name)) for choice in choices]
    kinds = ["choice" if choice.changed else "base" for choice in choices]
    keys = [job_key(own | about, kind) for own, kind in zip(arguments, kinds, strict=True)]
    cells = run_jobs(
        fit_choice, dict(zip(keys, arguments, strict=True)), where, shared=shared, stage="fitting each choice",
        progress=progress,
    )  # fmt: skip
    answers = tuple(
        _answer(choice, cells[key], asked.key, how.level) for key, choice in zip(keys, choices, strict=True)
    )
    region = None if asked.region is None else (asked.region[0], asked.region[1])
    return Sensitivity(
        str(bound), name, table.name, table.sha256, asked.reference, region, how.level, asked.design, prior, answers,
        how.seed, __version__,
    )  # fmt: skip


def _base(law: AnyLaw, table: Table, rows: Rows, how: Bayes, param: Key) -> tuple[str, dict[str, list[Any]]]:
    """Check the base and the parameter; return its prior in words and what to vary by default."""
    pooled_law, partial = apply_pool(sum_of_powers(law, "pool"), how.pool) if how.pool else (law, ())
    problem = bind_law(
        pooled_law, table.frame, weights=rows.weights, cluster=rows.cluster, free_sign=how.exponents == "free"
    )
    check_count("draws", how.draws, least=100, each=draw_bytes(problem), such_as=4000)
    extras = extra_parameters(how.likelihood == "student_t", rows.cluster is not None, partial)
    parameters = (*problem.parameters, *extras)
    if all(parameter.key != param for parameter in parameters):
        name, names = printed_name(*param), [parameter.name for parameter in parameters]
        raise DataError(f"there is no parameter {name!r} in {law}; {closest(name, names)}")
    if isinstance(problem, ClosedProblem):
        known = resolve_closed_priors(problem, extras, how.priors)
    else:
        known = resolve_priors(problem, extras, how.priors)
    cut = sum(rule.rows for rule in table.dropped if rule.kind == "drop_highest_loss")
    standard = default_vary(table.frame, law, problem, dimensions(rows, how), param, cut=cut, pooled=bool(partial))
    return str(known[param]) if param in known else "none of its own", standard


def _arguments(rows: Rows, how: Bayes | LeastSquares) -> dict[str, Any]:
    """Write options as the arguments of a job."""
    return {"engine": how.engine, "rows": plain(rows), "options": plain(how)}


def fit_choice(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Fit one set of choices; the job of :func:`sensitivity`.

    Parameters
    ----------
    cell : mapping
        ``table, law, param, pool, engine, rows, options``; options as :func:`scalefit.options.plain` writes them.

    Returns
    -------
    dict
        ``n_rows, status, message``, and where the fit can be trusted ``estimate`` (value, error, ends of the interval),
        ``kind, khat, path, draws``.
    """
    frame, rows = unpack_frame(cell["table"]), restore(Rows, cell["rows"])
    result: Fit
    if cell["engine"] == Bayes.engine:
        result = bayes(frame, cell["law"], rows, restore(Bayes, cell["options"]), throw=False)
    else:
        law = parse_law(cell["law"])
        if cell["pool"]:
            law, partial = apply_pool(sum_of_powers(law, "pool"), cell["pool"])
            if partial:
                raise DataError("least squares knows no partial pooling; pool fully, or not at all")
        result = fit(frame, law, rows, restore(LeastSquares, cell["options"]), throw=False)
    if any(finding.code == "interrupted" for finding in result.findings):
        raise KeyboardInterrupt
    return _answer_record(result, cell["param"])


def _answer_record(result: Fit, param: str) -> dict[str, Any]:
    record: dict[str, Any] = {"n_rows": result.n_rows, "status": result.status, "message": result.message}
    if result.status == NOT_CONVERGED:
        return record
    if param not in result:
        raise DataError(f"this fit has no {param}; {closest(param, result.names)}")
    estimate, draws = result[param], result.draws(param)
    posterior = result.posterior if isinstance(result, PosteriorFit) else None
    return record | {
        "estimate": [estimate.value, estimate.se, estimate.lo, estimate.hi], "kind": estimate.kind,
        "khat": posterior.khat if posterior else None, "path": posterior.path if posterior else "",
        "draws": [to_digits(value, 6) for value in draws[np.isfinite(draws)]],
    }  # fmt: skip


def _answer(choice: Choice, cell: JobResult, param: Key, level: float) -> VariedAnswer:
    """Make a row of what a job returned; a job that failed leaves no number."""
    record = cell.value or {"status": FAILED, "message": cell.reason}
    quiet = record["status"] == "converged"
    spread: Spread = "bootstrap" if choice.options["likelihood"] in LOSSES else "posterior"
    value, se, lo, hi = map(float, record.get("estimate", [np.nan] * 4))
    draws = np.array(record["draws"], dtype=float) if "draws" in record else None
    estimate = Estimate(param[0], record.get("kind", ""), value, se, lo, hi, param[1], spread, level, draws)
    return VariedAnswer(
        choice, record["status"], "" if quiet else record["message"], record.get("n_rows"), estimate,
        record.get("khat"), record.get("path", ""),
    )  # fmt: skip
