"""One cell: its call, its result and its key."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from scalefit.errors import DataError, ScalefitError
from scalefit.files import parse_json
from scalefit.version import __version__

__all__ = ["DONE", "FAILED", "JobResult", "Task", "call_job", "job_key", "lost_job", "read_job", "through_json"]

DONE, FAILED = "done", "failed"
LOST = "its worker ended without an answer, twice: out of memory, killed, or crashed"

Plain = Mapping[str, Any]
Function = Callable[[Any], Plain]


@dataclass(frozen=True)
class JobResult:
    """One finished cell.

    Parameters
    ----------
    key : str
        Name of the cell and of its file.
    function : str
        The function, as ``module:name``.
    arguments : dict
        Its arguments.
    status : {"done", "failed"}
        Whether there is a value.
    value : dict or None
        Its return value; None when it failed.
    reason : str
        Why it failed; empty when it did not.
    seconds : float
        Wall time of the call.
    versions : dict
        Versions of scalefit and Python where the cell ran.
    shared : str
        Digest of the arguments that all cells of the run share, empty without any.
    """

    key: str
    function: str
    arguments: dict[str, Any]
    status: str
    value: dict[str, Any] | None
    reason: str
    seconds: float
    versions: dict[str, str]
    shared: str = ""


_TYPES = (str, str, dict, str, dict | None, str, int | float, dict, str)  # of the fields above, in their order


def read_job(path: Path) -> JobResult:
    """Read a stored cell.

    Parameters
    ----------
    path : Path
        Its file.

    Returns
    -------
    JobResult
        As written.

    Raises
    ------
    OSError, ValueError
        When there is no such file, or it was not written by a run.
    """
    record = parse_json(path.read_bytes())
    if not isinstance(record, dict) or not record.keys() <= {field.name for field in fields(JobResult)}:
        raise ValueError("it is not a record of a cell")
    try:
        cell = JobResult(**record)
    except TypeError:
        raise ValueError("its record is not complete") from None
    values = [getattr(cell, field.name) for field in fields(JobResult)]
    if not all(isinstance(value, kind) for value, kind in zip(values, _TYPES, strict=True)):
        raise ValueError("its record has a field of another type")
    if cell.key != path.stem or cell.status != (FAILED if cell.value is None else DONE):
        raise ValueError("its name or its status does not match its content")
    return cell


class Task(NamedTuple):
    """The common part of all cells of a run.

    Parameters
    ----------
    name : str
        ``module:name`` of the function.
    shared : dict
        Arguments that all cells have.
    digest : str
        Digest of these, empty when there are none.
    function : callable or None
        The function; None in a worker, which imports it.
    """

    name: str
    shared: dict[str, Any]
    digest: str
    function: Function | None = None


def job_key(arguments: Plain, prefix: str = "") -> str:
    """Return a key from the arguments of a cell, so that cells of a changed grid never collide with old ones.

    Parameters
    ----------
    arguments : mapping
        Plain JSON.
    prefix : str
        Readable start of the name.

    Returns
    -------
    str
        The prefix and 16 hexadecimal digits.

    Raises
    ------
    DataError
        When the arguments are not plain JSON.
    """
    digest = hashlib.sha256(json.dumps(through_json(arguments), sort_keys=True).encode()).hexdigest()[:16]
    return f"{prefix}-{digest}" if prefix else digest


def through_json(arguments: Plain) -> dict[str, Any]:
    """Return arguments as they are after a round trip through JSON: tuples as lists, keys as text.

    Parameters
    ----------
    arguments : mapping
        Arguments or return value of a cell.

    Returns
    -------
    dict
        A copy.

    Raises
    ------
    DataError
        When they contain anything other than text, finite numbers, lists and mappings.
    """
    try:
        plain = json.loads(json.dumps(dict(arguments), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"arguments of a cell must be plain JSON (text, finite numbers, lists, mappings): {error}"
        ) from None
    return dict(plain)


def call_job(task: Task, key: str, arguments: dict[str, Any]) -> JobResult:
    """Run one cell in this process; an exception becomes the reason of its failure.

    Parameters
    ----------
    task : Task
        The function, which is imported if only its name is given.
    key : str
        Name of the cell.
    arguments : dict
        Its arguments.

    Returns
    -------
    JobResult
        Done or failed.
    """
    start, value, reason = time.perf_counter(), None, ""
    try:
        function = task.function
        if function is None:
            module, _, attribute = task.name.partition(":")
            function = getattr(import_module(module), attribute)
        value = through_json(function({**task.shared, **arguments}))
    except ScalefitError as error:
        reason = str(error)
    except Exception as error:  # a failure of one cell must not stop the others
        reason = f"{type(error).__name__}: {error} ({_place(error)})"
    versions = {"scalefit": __version__, "python": platform.python_version()}
    status = FAILED if reason else DONE
    return JobResult(
        key, task.name, arguments, status, value, reason, time.perf_counter() - start, versions, task.digest
    )


def _place(error: Exception) -> str:
    """Return where an error was raised, so that a stored failure can be investigated."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}" if trace else "no place known"


def lost_job(task: Task, key: str, arguments: dict[str, Any]) -> JobResult:
    """Return the failure of a cell whose worker never answered; the parameters are those of :func:`call_job`.

    Parameters
    ----------
    task, key, arguments
        As for :func:`call_job`.

    Returns
    -------
    JobResult
        Failed, with the reason.
    """
    return JobResult(key, task.name, arguments, FAILED, None, LOST, 0.0, {"scalefit": __version__}, task.digest)
