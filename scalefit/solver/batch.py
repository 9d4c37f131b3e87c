"""Many minimisations at once: from many starts, or of many resamples of the rows.

Members of a batch are independent, so threads process the batch in pieces, and the result of a member does not depend
on the batch that it is part of. Resamples are drawn inside the compiled loop, which takes less time than the fit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.solver.compiled import kernel
from scalefit.solver.design import Array, Design, DesignRows, Link
from scalefit.solver.newton import (
    CONVERGED,
    HELD,
    MAX_ITERATIONS,
    PATIENCE,
    POINT,
    REACH,
    STALLED,
    Newton,
    minimise,
    new_newton,
)
from scalefit.solver.objective import RESIDUAL, Scratch, new_work

__all__ = [
    "BOOTSTRAP",
    "DELETE_ONE",
    "Minima",
    "Resampling",
    "evaluate_at",
    "minimise_batch",
    "minimise_resamples",
    "resample_weights",
]

WHOLE, BOOTSTRAP, DELETE_ONE = 0, 1, 2
AGAIN = 20  # most restarts of a fit that took many steps, as long as each lowers F
STEPS_DOWN = 4.0  # factor by which the width of the Huber loss shrinks, down to delta, after a fit has stalled


class Minima(NamedTuple):
    """The outcome of a batch.

    Parameters
    ----------
    theta : array, shape (B, P)
        Minimisers; NaN for a parameter whose level has no rows in the resample.
    value : array, shape (B,)
        F there.
    status : array of int, shape (B,)
        ``newton.CONVERGED`` or ``newton.STALLED``.
    iterations : array of int, shape (B,)
        Newton steps tried.
    """

    theta: Array
    value: Array
    status: NDArray[np.int64]
    iterations: NDArray[np.int64]


class Resampling(NamedTuple):
    """How the weights of each replicate are drawn.

    Parameters
    ----------
    kind : int
        ``BOOTSTRAP`` or ``DELETE_ONE`` (jackknife: replicate b omits cluster b).
    cluster : array of int, shape (n,)
        Cluster of each row; the number of the row for independent rows.
    n_cluster : int
        Number of clusters.
    seed : int
        Replicate b depends only on (seed, b).
    min_rows : int
        A resample with fewer distinct rows is drawn again.
    """

    kind: int
    cluster: NDArray[np.int64]
    n_cluster: int
    seed: int
    min_rows: int


_WHOLE = Resampling(WHOLE, np.zeros(0, dtype=np.int64), 0, 0, 0)


@kernel(inner=True)
def _mix(state: np.uint64) -> np.uint64:
    """Output function of splitmix64 (Steele, Lea, Flood 2014)."""
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel(inner=True)
def _draw_counts(replicate: int, resampling: Resampling, counts: Array) -> None:
    """Fill in how often each cluster occurs in this replicate.

    The generator is splitmix64 with a state hashed from (seed, replicate, attempt), so that a replicate does not depend
    on the number of threads or on the other replicates. At most 100 attempts per replicate: the factor 128 keeps their
    states apart.
    """
    n, cluster, golden = resampling.n_cluster, resampling.cluster, np.uint64(0x9E3779B97F4A7C15)
    if resampling.kind == DELETE_ONE:
        for j in range(n):
            counts[j] = 0.0 if j == replicate else 1.0
        return
    for attempt in range(100):
        for j in range(n):
            counts[j] = 0.0
        state = _mix(_mix(np.uint64(resampling.seed) + golden) ^ np.uint64(replicate * 128 + attempt))
        for _ in range(n):
            state += golden
            # an integer below n from the high 32 bits by multiplication (Lemire 2019); the bias is below n / 2^32
            counts[((_mix(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32)] += 1.0
        present = 0
        for row in range(cluster.size):
            present += counts[cluster[row]] > 0.0
        if present >= resampling.min_rows:
            return


@kernel(inner=True)
def _compress(rows: DesignRows, resampling: Resampling, counts: Array, out: DesignRows) -> None:
    """Copy the rows of positive weight to the front of ``out``, so that the fit does not visit the others."""
    data, bounds, cluster, kept, n = rows.data, rows.bounds, resampling.cluster, out.data, 0
    for s in range(bounds.size - 1):
        out.bounds[s] = n
        for i in range(bounds[s], bounds[s + 1]):
            weight = data[1, i] * counts[cluster[i]]
            if weight > 0.0:
                for part in range(data.shape[0]):
                    kept[part, n] = data[part, i]
                kept[1, n] = weight
                n += 1
    out.bounds[bounds.size - 1] = n


@kernel()
def _run(
    lo: int,
    hi: int,
    rows: DesignRows,
    out: DesignRows,
    link: Link,
    delta: float,
    log_space: bool,
    limit: int,
    resampling: Resampling,
    starts: Array,
    counts: Array,
    work: Scratch,
    scratch: Newton,
    theta: Array,
    record: Array,
) -> None:
    """Minimise members lo to hi; fill ``theta``, and value, status and iterations in ``record``."""
    n_parameters, attempt, derivative = theta.shape[1], scratch.vector[POINT], work.derivative
    for b in range(lo, hi):
        if resampling.kind != WHOLE:
            _draw_counts(b, resampling, counts)
            _compress(rows, resampling, counts, out)
        recorded = False
        for start in range(starts.shape[1]):
            for i in range(n_parameters):  # a batch of starts has its own set for each member, replicates share one
                attempt[i] = starts[b % starts.shape[0], start, i]
            width, ladder, again, before = delta, False, 0, np.inf
            while True:
                value, status, steps = minimise(attempt, out, link, width, log_space, limit, work, scratch)
                record[b, 2] += steps
                far = steps > PATIENCE or again > 0
                if width == delta and status == CONVERGED and far and value < before * (1.0 - 1e-12):
                    if again < AGAIN:  # many steps, perhaps along a kink: accepted only when a restart does not gain
                        again, before = again + 1, value
                        continue
                    status = STALLED
                if width == delta and (value < record[b, 0] or not recorded):  # the best of all starts of the member
                    recorded = True
                    record[b, 0] = value
                    record[b, 1] = status
                    for i in range(n_parameters):
                        seen = derivative[n_parameters + 1, i] > 0.0  # the majoriser is 0 where no row has the level
                        theta[b, i] = attempt[i] if seen else np.nan
                if not ladder:
                    if status == CONVERGED or delta == np.inf or limit < MAX_ITERATIONS:
                        break
                    ladder = True  # stalled at a kink: minimise nearly squares first, then narrower and narrower losses
                    for i in range(out.bounds[-1]):
                        width = max(width, abs(work.vector[RESIDUAL, i]))
                elif width == delta:
                    break
                else:
                    width = max(delta, width / STEPS_DOWN)


def minimise_batch(
    design: Design,
    starts: Array,
    *,
    delta: float,
    held: NDArray[np.bool_] | None = None,
    limit: int = MAX_ITERATIONS,
    workers: int = 1,
) -> Minima:
    """Minimise F from each of many starts.

    Parameters
    ----------
    design : Design
        The problem.
    starts : array, shape (B, P)
        Starting points; clipped to the box.
    delta : float
        Where the Huber loss turns linear; inf for least squares.
    held : array of bool, shape (P,), optional
        Coordinates that are fixed at their starting values (for profiles).
    limit : int
        Newton steps per start.
    workers : int
        Threads.

    Returns
    -------
    Minima
        One row per start.
    """
    members = range(len(starts))
    return _dispatch(design, starts[:, None, :], _WHOLE, members, delta, held=held, limit=limit, workers=workers)


def minimise_resamples(
    design: Design,
    starts: Array,
    resampling: Resampling,
    *,
    replicates: range,
    delta: float,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
) -> Minima:
    """Refit resampled rows, each from all starts, and keep the best.

    Parameters
    ----------
    design : Design
        The problem.
    starts : array, shape (B, P)
        The full fit, and competing local optima where there are some.
    resampling : Resampling
        How a replicate is drawn.
    replicates : range
        Which replicates to compute; a batch of one equals the same member of a larger batch.
    delta, workers
        As in :func:`minimise_batch`.
    progress : callable, optional
        Called with the number of replicates that a thread has just finished.

    Returns
    -------
    Minima
        One row per replicate.
    """
    return _dispatch(design, starts[None], resampling, replicates, delta, workers=workers, progress=progress)


@kernel()
def _counts(replicate: int, resampling: Resampling, counts: Array) -> None:
    """Call :func:`_draw_counts` from Python."""
    _draw_counts(replicate, resampling, counts)


def resample_weights(rows: DesignRows, resampling: Resampling, replicate: int) -> Array:
    """Return the row weights of one replicate, shape (n,), as the batch draws them.

    Parameters
    ----------
    rows : DesignRows
        The rows.
    resampling : Resampling
        How replicates are drawn.
    replicate : int
        Number of the replicate.

    Returns
    -------
    array, shape (n,)
        Weights; 0 for rows that it lacks.
    """
    counts = np.zeros(resampling.n_cluster)
    _counts(replicate, resampling, counts)
    return rows.weight * counts[resampling.cluster]


def evaluate_at(design: Design, theta: Array, *, delta: float) -> tuple[float, Scratch]:
    """Evaluate F and its derivatives at one point.

    This is a minimisation that ends before its first step: a separate entry point to the compiled code would have to
    be compiled too.

    Parameters
    ----------
    design : Design
        The problem.
    theta : array, shape (P,)
        The point.
    delta : float
        As in :func:`minimise_batch`.

    Returns
    -------
    value : float
        F.
    work : Scratch
        The terms, residuals and derivatives.
    """
    rows, link, log_space = design.rows, design.link, design.log_space
    work, scratch = new_work(rows.data.shape[1], len(rows.u), len(theta)), new_newton(len(theta))
    start = np.ascontiguousarray(theta, dtype=float)[None, None]
    end, record = np.zeros((1, len(theta))), np.zeros((1, 3))
    _run(0, 1, rows, rows, link, float(delta), log_space, 1, _WHOLE, start, np.zeros(0), work, scratch, end, record)
    return float(record[0, 0]), work


def _dispatch(
    design: Design,
    starts: Array,
    resampling: Resampling,
    members: range,
    delta: float,
    *,
    held: NDArray[np.bool_] | None = None,
    limit: int = MAX_ITERATIONS,
    workers: int,
    progress: Callable[[int], None] | None = None,
) -> Minima:
    """Minimise the members of a batch in pieces, each in a thread with scratch arrays of its own."""
    rows, link = design.rows, design.link
    n_parameters = starts.shape[2]
    theta, record = np.zeros((members.stop, n_parameters)), np.zeros((members.stop, 3))
    starts = np.clip(np.ascontiguousarray(starts, dtype=float), link.box[0], link.box[1])
    reach, pair = _reach(rows, link), _pairs(link)

    def run(piece: tuple[int, int]) -> int:
        out = rows if resampling.kind == WHOLE else DesignRows(np.empty_like(rows.data), np.empty_like(rows.bounds))
        scratch = new_newton(n_parameters)
        scratch.vector[HELD] = 0.0 if held is None else held
        scratch.vector[REACH] = reach
        scratch.pair[:] = pair
        _run(
            *piece,
            rows,
            out,
            link,
            float(delta),
            bool(design.log_space),
            limit,
            resampling,
            starts,
            np.zeros(resampling.n_cluster),
            new_work(rows.data.shape[1], len(rows.u), n_parameters),
            scratch,
            theta,
            record,
        )
        return piece[1] - piece[0]

    _in_threads(run, _pieces(members, rows.data.shape[1]), workers, progress)
    kept = slice(members.start, members.stop)
    value, status, iterations = record[kept].T
    return Minima(theta[kept], value.copy(), status.astype(np.int64), iterations.astype(np.int64))


def _pieces(members: range, n_rows: int) -> list[tuple[int, int]]:
    """Cut the batch into pieces of some milliseconds: worth starting a thread for, and short enough for Ctrl-C."""
    each = max(1, 200_000 // max(n_rows, 1))
    edges = [*range(members.start, members.stop, each), members.stop]
    return list(pairwise(edges))


def _in_threads(
    run: Callable[[tuple[int, int]], int],
    pieces: list[tuple[int, int]],
    workers: int,
    progress: Callable[[int], None] | None,
) -> None:
    report = progress or (lambda _: None)
    if len(pieces) == 1 or workers == 1:
        for piece in pieces:
            report(run(piece))
        return
    pool = ThreadPoolExecutor(workers)
    try:
        for done in as_completed([pool.submit(run, piece) for piece in pieces]):
            report(done.result())
    finally:  # on Ctrl-C, do not wait for the pieces that have not started
        pool.shutdown(wait=True, cancel_futures=True)


def _reach(rows: DesignRows, link: Link) -> Array:
    """Return the largest change of any log term per unit of each coordinate: max |u| for an exponent, 1 for a size."""
    reach = np.ones(link.box.shape[1])
    for k, distance in enumerate(np.abs(rows.u).max(axis=1, initial=1e-3)):
        used = link.position[:, 2 + 2 * k, 0]
        reach[used[used >= 0]] = distance
    return reach


def _pairs(link: Link) -> Array:
    """Mark exponents (rows) and coefficients (columns) that occur in one term, and coefficients on the diagonal."""
    pair = np.zeros((link.box.shape[1],) * 2)
    for k in range(1, link.position.shape[1], 2):
        coef, expo = link.position[:, k, 0], link.position[:, k + 1, 0]
        pair[coef[coef >= 0], coef[coef >= 0]] = 1.0
        both = (coef >= 0) & (expo >= 0)
        pair[expo[both], coef[both]] = 1.0
    return pair
