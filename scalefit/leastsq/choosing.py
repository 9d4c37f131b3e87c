"""A bootstrap that chooses the best row of each group anew in every resample.

The best learning rate of a size is itself an estimate: the least of some noisy losses. Resampling the chosen rows alone
would take it for known. Here a replicate draws the groups (or clusters of them) with replacement, then the rows of each
group with replacement, chooses again, and refits the rows chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.data.choice import Choice
from scalefit.problem import Problem
from scalefit.solver.batch import Minima, minimise_batch
from scalefit.solver.design import DesignRows

__all__ = ["Candidates", "refit_choices"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
ATTEMPTS = 100  # draws of a resample until it has rows enough, as in the resamples of rows
REPORTED = 50  # replicates between two reports of progress


class Candidates(NamedTuple):
    """The rows among which the fitted ones were chosen, bound to the law.

    Parameters
    ----------
    choice : Choice
        The rows by group, in the order of the fitted table.
    problem : Problem
        The law on all of them.
    """

    choice: Choice
    problem: Problem


def refit_choices(
    problem: Problem,
    candidates: Candidates,
    starts: Array,
    *,
    replicates: int,
    seed: int,
    delta: float,
    progress: Callable[[int], None] | None = None,
) -> Minima:
    """Refit rows that are chosen anew in each resample.

    Parameters
    ----------
    problem : Problem
        The law on the chosen rows; its clusters are resampled.
    candidates : Candidates
        All rows of its groups.
    starts : array, shape (k, P)
        Where refits begin, in the units of the law.
    replicates : int
        How many.
    seed : int
        Replicate b depends on (seed, b) alone.
    delta : float
        Where Huber's loss turns linear; inf for least squares.
    progress : callable, optional
        Called with the number of replicates just finished.

    Returns
    -------
    Minima
        One row per replicate, in the coordinates of the candidates' design.
    """
    choice, whole = candidates
    design = whole.design
    place = np.argsort(whole.order)  # of a row of the choice's frame in the design
    cluster = problem.cluster[np.argsort(problem.order)]  # of each group
    begin = np.clip([design.from_natural(one) for one in starts], *design.link.box)
    theta = np.full((replicates, begin.shape[1]), np.nan)
    value, status, steps = np.full(replicates, np.inf), np.zeros(replicates, np.int64), np.zeros(replicates, np.int64)
    least = len(problem.parameters) + 1
    for b in range(replicates):
        rows = _drawn(design.rows, place[_chosen(choice, cluster, problem.n_cluster, least, [seed, b])])
        minima = minimise_batch(rows, design.link, begin, delta=delta, log_space=design.log_space)
        best = int(np.argmin(minima.value))
        theta[b], value[b], status[b] = minima.theta[best], minima.value[best], minima.status[best]
        steps[b] = minima.iterations.sum()
        if progress is not None and ((b + 1) % REPORTED == 0 or b + 1 == replicates):
            progress((b % REPORTED) + 1)
    return Minima(theta, value, status, steps)


def _chosen(choice: Choice, cluster: Ints, n_cluster: int, least: int, seed: list[int]) -> Ints:
    """Draw groups and choose a row for each; positions in the frame of the choice, with repeats."""
    generator = np.random.default_rng(seed)
    for _ in range(ATTEMPTS):
        counts = np.bincount(generator.integers(n_cluster, size=n_cluster), minlength=n_cluster)
        drawn = choice.draw(np.repeat(np.arange(len(cluster)), counts[cluster]), generator)
        if len(np.unique(drawn)) >= least:
            break
    return drawn


def _drawn(rows: DesignRows, places: Ints) -> DesignRows:
    """Copy the rows at some places, each with its weight times the number of its draws."""
    kept, counts = np.unique(places, return_counts=True)
    data = np.ascontiguousarray(rows.data[:, kept])
    data[1] *= counts
    return DesignRows(data, np.searchsorted(kept, rows.bounds).astype(np.int64))
