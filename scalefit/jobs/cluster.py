"""Cells on the workers of a dask.distributed scheduler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from scalefit.errors import DataError, MissingExtra
from scalefit.jobs.job import JobResult, Task, call_job, lost_job

__all__ = ["run_on_scheduler"]

PATIENCE = "20s"  # timeout of the connection to a scheduler


def run_on_scheduler(task: Task, todo: Mapping[str, dict[str, Any]], address: str) -> Iterator[JobResult]:
    """Distribute cells over the workers of a dask scheduler; those whose worker was killed are sent again, one by one.

    Parameters
    ----------
    task : Task
        The function; the workers must be able to import it.
    todo : mapping of str to dict
        Key to arguments.
    address : str
        Address of the scheduler.

    Yields
    ------
    JobResult
        Each as it finishes.

    Raises
    ------
    MissingExtra
        When ``distributed`` is not installed.
    DataError
        When no scheduler answers.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise MissingExtra("Running on a dask scheduler", "cluster") from None
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"no dask scheduler answers at {address!r} ({error}); start one with: dask scheduler, "
            "and workers with: dask worker ADDRESS --nthreads 1"
        ) from None
    with client:

        def submit(key: str) -> Any:
            return client.submit(call_job, task, key, todo[key], pure=False)

        suspects = []
        futures = {submit(key): key for key in todo}
        try:
            for future in distributed.as_completed(futures, loop=client.loop):
                try:
                    yield future.result()
                except distributed.KilledWorker:
                    suspects.append(futures[future])
            for key in suspects:
                futures[future := submit(key)] = key
                try:
                    yield future.result()
                except distributed.KilledWorker:
                    yield lost_job(task, key, todo[key])
        finally:
            client.cancel([future for future in futures if not future.done()])
