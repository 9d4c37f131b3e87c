"""Run cells, and save each as it finishes."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import sys
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scalefit.errors import DataError, Interrupted
from scalefit.files import LOG, read_kept, write_atomically
from scalefit.jobs.cluster import run_on_scheduler
from scalefit.jobs.job import DONE, Function, JobResult, Plain, Task, call_job, job_key, read_job, through_json
from scalefit.jobs.processes import count_cores, run_on_processes
from scalefit.options import JOBS, Jobs, gather, takes
from scalefit.progress import Progress

__all__ = ["run_jobs"]

KEY = re.compile(r"[A-Za-z0-9][\w.,=+-]{0,150}")  # valid as a file name on every system


@takes(*JOBS)
def run_jobs(
    function: Function,
    cells: Mapping[str, Plain],
    *options: Jobs,
    shared: Plain | None = None,
    stage: str = "computing",
    progress: Progress | None = None,
    **keywords: Any,
) -> dict[str, JobResult]:
    """Call a function for every cell, except for those that the folder already has.

    Parameters
    ----------
    function : callable
        Defined at the top of a module. Takes one mapping of plain JSON and returns one; numbers must be finite.
    cells : mapping of str to mapping
        Key to arguments; :func:`job_key` makes keys.
    *options : Jobs
        Where they run and are saved.
    shared : mapping, optional
        Arguments that all cells share, such as a table: each call gets them in addition to those of its cell, but only
        their digest is stored.
    stage : str
        Name of the stage for progress reports.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.Jobs`.

    Returns
    -------
    dict of str to JobResult
        In the order of ``cells``.

    Raises
    ------
    DataError
        For keys, arguments or options that cannot be used, and when a stored cell belongs to other arguments. One that
        cannot be read is computed again.
    MissingExtra
        When a scheduler is named and ``distributed`` is not installed.
    Interrupted
        On Ctrl-C; finished cells are kept.
    """
    (where,) = gather(JOBS, options, keywords)
    if where.workers is not None and where.scheduler is not None:
        raise DataError(
            f"workers = {where.workers} has no effect with a scheduler, which has its own; leave one of them out"
        )
    if where.retry_failed and where.folder is None:
        raise DataError("retry_failed has no effect without a folder that keeps failures; name one, or leave it out")
    common = through_json(shared or {})
    task = Task(_name_of(function), common, job_key(common) if common else "")
    wanted = {_checked_key(key): through_json(arguments) for key, arguments in cells.items()}
    shelf = None if where.folder is None else _open_folder(Path(where.folder))
    results = {} if shelf is None else _stored(shelf, wanted, task, where.retry_failed)
    todo = {key: arguments for key, arguments in wanted.items() if key not in results}
    report = progress or (lambda *_: None)
    report(stage, len(results), len(wanted))
    try:
        with closing(_results(function, task, todo, where.workers, where.scheduler)) as running:
            for result in running:
                if shelf is not None:
                    write_atomically(shelf / f"{result.key}.json", json.dumps(asdict(result), indent=1).encode())
                results[result.key] = result
                report(stage, len(results), len(wanted))
    except KeyboardInterrupt:
        kept = f"are kept in {str(shelf)!r}, and the same call resumes from there" if shelf else "are lost"
        raise Interrupted(f"interrupted; {len(results)} of {len(wanted)} cells are finished and {kept}") from None
    return {key: results[key] for key in wanted}


def _name_of(function: Function) -> str:
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if getattr(sys.modules.get(module), name, None) is not function:
        raise DataError(f"{name or function!r} cannot be imported by a worker; define it at the top of a module")
    return f"{module}:{name}"


def _checked_key(key: str) -> str:
    if not KEY.fullmatch(key):
        raise DataError(f"{key!r} cannot name a cell's file; use letters, digits and . , = + - _, or job_key()")
    return key


def _open_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {str(folder)!r}: {error.strerror}; name one you can write") from None
    if not os.access(folder, os.W_OK):
        raise DataError(f"cannot write into the folder {str(folder)!r}; name one you can write")
    return folder


def _stored(folder: Path, wanted: Mapping[str, dict[str, Any]], task: Task, retry_failed: bool) -> dict[str, JobResult]:
    """Read the cells that need not run again."""
    results = {}
    for key, arguments in wanted.items():
        path = folder / f"{key}.json"
        result = read_kept(path, read_job)
        if result is None:
            continue
        if (result.arguments, result.function, result.shared) != (arguments, task.name, task.digest):
            changed = [name for name in {**arguments, **result.arguments} if _differ(name, arguments, result.arguments)]
            other = "what all cells share" if result.function == task.name else f"the function, now {task.name},"
            what = ", ".join(changed) or other
            raise DataError(f"{str(path)!r} was computed for something else: {what} differs. Name another folder")
        if result.status == DONE or not retry_failed:
            results[key] = result
    return results


def _differ(name: str, first: Plain, other: Plain) -> bool:
    return name not in first or name not in other or first[name] != other[name]


def _results(
    function: Function, task: Task, todo: Mapping[str, dict[str, Any]], workers: int | None, scheduler: str | None
) -> Generator[JobResult]:
    """Run cells as the options say; each is yielded as it finishes."""
    if scheduler is not None:
        yield from run_on_scheduler(task, todo, scheduler) if todo else ()
        return
    count = min(workers or count_cores(), len(todo))
    if count > 1 and multiprocessing.current_process().daemon:
        LOG.warning("a daemonic process cannot start others, so the %d cells are computed one after another", len(todo))
        count = 1
    if count > 1:
        yield from run_on_processes(task, todo, count)
    else:
        for key, arguments in todo.items():
            yield call_job(task._replace(function=function), key, arguments)
