"""Refits of resampled rows, all at once, from the full fit.

The counts are those of the additive solver's compiled loop, so that a replicate is the same resample in both.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalefit.closed.descent import Ends, Misfit, descend
from scalefit.closed.design import Array, ClosedDesign
from scalefit.solver.batch import DELETE_ONE, Minima, Resampling
from scalefit.solver.newton import CONVERGED, STALLED

__all__ = ["refit_resamples", "refit_weighted", "replicate_counts"]

BLOCK: Final = 2_000_000  # replicates times rows of one block of work
ATTEMPTS: Final = 100
SPRINT: Final = 12  # steps that replicates get together
LONG: Final = 300  # and those that have not arrived then
WIDER: Final = 30.0  # times delta: where a stalled Huber refit begins anew

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Output function of splitmix64 (Steele, Lea, Flood 2014), as in the compiled solver."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def replicate_counts(resampling: Resampling, replicate: int) -> Array:
    """Return how often each cluster enters a replicate, shape (n_cluster,); it depends on seed and number alone."""
    n = resampling.n_cluster
    if resampling.kind == DELETE_ONE:
        return np.asarray(np.arange(n) != replicate, dtype=float)
    counts = np.zeros(n)
    with np.errstate(over="ignore"):
        seed = _mixed(np.array([resampling.seed], dtype=np.uint64) + _GOLDEN)
        for attempt in range(ATTEMPTS):
            state = _mixed(seed ^ np.uint64(replicate * 128 + attempt)) + _GOLDEN * np.arange(1, n + 1, dtype=np.uint64)
            chosen = ((_mixed(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32)
            counts = np.bincount(chosen.astype(np.int64), minlength=n).astype(float)
            if np.count_nonzero(counts[resampling.cluster]) >= resampling.min_rows:
                break
    return counts


def refit_weighted(design: ClosedDesign, starts: Array, weight: Array, *, delta: float) -> Minima:
    """Refit under many sets of row weights.

    Parameters
    ----------
    design : ClosedDesign
        The problem.
    starts : array, shape (K, P)
        Vectors from which every refit starts; the best end counts.
    weight : array, shape (B, n)
        Row weights of each refit.
    delta : float
        Where Huber's loss turns linear; inf for least squares.

    Returns
    -------
    Minima
        One row for each set of weights; NaN for a level whose rows all have weight 0.
    """
    misfit = Misfit(design.centred)
    best = _refit(misfit, np.repeat(design.centred.from_vector(starts[:1]), len(weight), axis=0), weight, delta)
    for start in starts[1:]:
        other = _refit(misfit, np.repeat(design.centred.from_vector(start[None]), len(weight), axis=0), weight, delta)
        better = other.value < best.value
        for part, new in zip(best, other, strict=True):
            part[better] = new[better]
    theta = np.clip(design.centred.to_vector(best.z), *design.box)
    for name, codes in design.codes.items():
        block = design.blocks[name]
        seen = (weight @ (codes[:, None] == np.arange(block.stop - block.start))) > 0
        theta[:, block] = np.where(seen, theta[:, block], np.nan)
    status = np.where(best.converged, CONVERGED, STALLED).astype(np.int64)
    return Minima(theta, best.value, status, np.zeros(len(weight), dtype=np.int64))


def _refit(misfit: Misfit, starts: Array, weight: Array, delta: float) -> Ends:
    """Descend from the full fit; where Huber's kinks stop that, through wider deltas."""
    ends = descend(misfit, starts, delta=delta, exact=True, limit=SPRINT, weight=weight)
    late = np.flatnonzero(~ends.converged)
    if len(late):
        more = descend(misfit, ends.z[late], delta=delta, exact=True, limit=LONG, weight=weight[late])
        _replace(ends, late, more)
    late = np.flatnonzero(~ends.converged)
    if len(late) and np.isfinite(delta):
        wide = descend(misfit, starts[late], delta=WIDER * delta, exact=True, limit=LONG, weight=weight[late])
        more = descend(misfit, wide.z, delta=delta, exact=True, limit=LONG, weight=weight[late])
        better = more.value <= ends.value[late]
        _replace(ends, late[better], Ends(more.z[better], more.value[better], more.converged[better]))
    return ends


def _replace(ends: Ends, which: NDArray[np.int64], new: Ends) -> None:
    for part, values in zip(ends, new, strict=True):
        part[which] = values


def refit_resamples(
    design: ClosedDesign,
    starts: Array,
    resampling: Resampling,
    *,
    replicates: range,
    delta: float,
    progress: Callable[[int], None] | None = None,
) -> Minima:
    """Refit resampled rows from the full fit and its rivals.

    Parameters
    ----------
    design : ClosedDesign
        The problem.
    starts : array, shape (K, P)
        Vectors: the full fit, and competing optima where there are some.
    resampling : Resampling
        How a replicate is drawn.
    replicates : range
        Which replicates.
    delta : float
        Where Huber's loss turns linear; inf for least squares.
    progress : callable, optional
        Called with the number of replicates just finished.

    Returns
    -------
    Minima
        One row for each replicate.
    """
    workers = min(8, os.cpu_count() or 1)
    each = max(1, min(BLOCK // max(1, len(design.response)), -(-len(replicates) // workers)))
    blocks = [replicates[i : i + each] for i in range(0, len(replicates), each)]
    design.centred.second  # noqa: B018  prepared once, before the threads begin

    def run(block: range) -> Minima:
        counts = np.array([replicate_counts(resampling, b) for b in block])
        minima = refit_weighted(design, starts, design.weight * counts[:, resampling.cluster], delta=delta)
        if progress is not None:
            progress(len(block))
        return minima

    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(run, blocks))
    return Minima(*(np.concatenate(piece) for piece in zip(*parts, strict=True)))
