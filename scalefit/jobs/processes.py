"""Cells on the cores of this machine, in fresh processes that end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from typing import Any

from scalefit.errors import DataError
from scalefit.jobs.job import JobResult, Task, call_job, lost_job

__all__ = ["count_cores", "run_on_processes"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def count_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_on_processes(task: Task, todo: Mapping[str, dict[str, Any]], workers: int) -> Iterator[JobResult]:
    """Distribute cells over processes; those running when a process dies are run again, each in a separate process.

    Parameters
    ----------
    task : Task
        The function.
    todo : mapping of str to dict
        Key to arguments.
    workers : int
        Number of processes.

    Yields
    ------
    JobResult
        As each finishes.

    Raises
    ------
    DataError
        When no worker can start.
    """
    waiting, suspects = list(todo)[::-1], list[str]()
    with _single_threaded():
        while waiting:
            running: dict[Future[JobResult], str] = {}
            with _pool(workers) as pool:
                try:
                    while waiting or running:
                        while waiting and len(running) < workers:
                            key = waiting[-1]
                            running[_submit(pool, call_job, task, key, todo[key])] = key
                            waiting.pop()
                        for future in wait(running, return_when=FIRST_COMPLETED).done:
                            yield future.result()
                            del running[future]
                except BrokenProcessPool:
                    suspects += running.values()
        for key in dict.fromkeys(suspects):
            with _pool(1) as pool:
                try:
                    result = _submit(pool, call_job, task, key, todo[key]).result()
                except BrokenProcessPool:
                    result = lost_job(task, key, todo[key])
            yield result


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of fresh processes, which end at once after an error or Ctrl-C."""
    others = set(multiprocessing.active_children())
    fresh = multiprocessing.get_context("spawn")  # forks would copy threads and CUDA contexts
    pool = ProcessPoolExecutor(workers, mp_context=fresh, initializer=_begin_worker)
    try:
        _submit(pool, _ready).result()
    except RuntimeError:  # BrokenProcessPool, too
        pool.shutdown(wait=False, cancel_futures=True)
        raise DataError(
            "worker processes cannot start: in a script, put the call under if __name__ == '__main__':, "
            "or use one worker (--workers 1)"
        ) from None
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown()


def _submit(pool: ProcessPoolExecutor, *call: Any) -> Future[Any]:
    """Submit a call; a worker that this starts never sees Ctrl-C, not even while it imports."""
    if not hasattr(signal, "pthread_sigmask"):
        return pool.submit(*call)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # workers inherit it
    try:
        return pool.submit(*call)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ready() -> None:
    """Return, to show that workers start."""


def _begin_worker() -> None:
    """Ignore Ctrl-C, which the parent handles, and end when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Let processes started here use one thread each for linear algebra, unless the environment sets another number."""
    mine = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(mine, "1"))
    try:
        yield
    finally:
        for name in mine:
            del os.environ[name]
