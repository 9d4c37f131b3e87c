"""A bootstrap that chooses the best row of each group anew in every resample.

The best learning rate of a size is itself an estimate: the least of some noisy losses. Resampling the chosen rows alone
would take it for known. Here a replicate draws the groups (or clusters of them) with replacement, then the rows of each
group with replacement, chooses again, and refits the rows chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.binding import AnyProblem
from scalefit.closed.resample import refit_weighted
from scalefit.closed_problem import ClosedProblem
from scalefit.data.choice import RowChoice
from scalefit.options import LeastSquares
from scalefit.solver.batch import Minima, minimise_batch
from scalefit.solver.design import Design, DesignRows

__all__ = ["Candidates", "draw_candidates", "refit_choices"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

ATTEMPTS: Final = 100  # draws of a resample until it has rows enough, as in the resamples of rows
REPORTED: Final = 50  # replicates between two reports of progress
BLOCK: Final = 2_000_000  # replicates times rows of one block of a law of any form


class Candidates(NamedTuple):
    """The rows that some resample chooses, bound to the law.

    Parameters
    ----------
    problem : Problem or ClosedProblem
        The law on them.
    drawn : list of array of int, length R
        For each replicate the rows of the problem's design that it fits, with repeats.
    """

    problem: AnyProblem
    drawn: list[Ints]


def draw_candidates(
    choice: RowChoice, problem: AnyProblem, how: LeastSquares, build: Callable[[pd.DataFrame], AnyProblem]
) -> Candidates:
    """Draw all resamples.

    Parameters
    ----------
    choice : RowChoice
        The rows by group, groups in the order of the fitted table.
    problem : Problem or ClosedProblem
        The law on the chosen rows; its clusters are resampled.
    how : LeastSquares
        Number of resamples and seed: replicate b depends on (seed, b) alone.
    build : callable
        Binds the law to rows.

    Returns
    -------
    Candidates
        With those rows only that a resample uses: of large groups they are few.
    """
    cluster = problem.cluster[np.argsort(problem.order)]  # of each group
    least = len(problem.parameters) + 1
    drawn = [_drawn(choice, cluster, problem.n_cluster, least, [how.seed, b]) for b in range(how.bootstrap)]
    used = np.unique(np.concatenate([*drawn, choice.bounds[:-1]]))
    whole = build(choice.frame.iloc[used])
    place = np.argsort(whole.order)  # of each used row in the design
    return Candidates(whole, [place[np.searchsorted(used, rows)] for rows in drawn])


def _drawn(choice: RowChoice, cluster: Ints, n_cluster: int, least: int, seed: list[int]) -> Ints:
    """Draw groups and choose a row for each; positions in the frame of the choice, with repeats."""
    generator = np.random.default_rng(seed)
    for _ in range(ATTEMPTS):
        counts = np.bincount(generator.integers(n_cluster, size=n_cluster), minlength=n_cluster)
        drawn = choice.draw(np.repeat(np.arange(len(cluster)), counts[cluster]), generator)
        if len(np.unique(drawn)) >= least:
            break
    return drawn


def refit_choices(
    candidates: Candidates,
    starts: Array,
    *,
    delta: float,
    progress: Callable[[int], None] | None = None,
) -> Minima:
    """Refit the rows that each resample chooses.

    Parameters
    ----------
    candidates : Candidates
        The resamples.
    starts : array, shape (k, P)
        Where refits begin, in the units of the law.
    delta : float
        Where Huber's loss turns linear; inf for least squares.
    progress : callable, optional
        Called with the number of replicates just finished.

    Returns
    -------
    Minima
        One row per replicate, in the coordinates of the candidates' problem.
    """
    problem, drawn = candidates
    report = progress or (lambda _: None)
    begin = np.clip([problem.from_natural(start) for start in starts], problem.lowest, problem.highest)
    size = REPORTED if not isinstance(problem, ClosedProblem) else max(1, BLOCK // problem.n_rows)
    parts = []
    for first in range(0, len(drawn), size):
        some = drawn[first : first + size]
        if isinstance(problem, ClosedProblem):
            counts = np.array([np.bincount(rows, minlength=problem.n_rows) for rows in some])
            parts.append(refit_weighted(problem.design, begin, counts * problem.weight, delta=delta))
        else:
            ends = [minimise_batch(_of_rows(problem.design, rows), begin, delta=delta) for rows in some]
            best = [int(np.argmin(end.value)) for end in ends]
            parts.append(Minima(*(np.array([end[i][b] for end, b in zip(ends, best, strict=True)]) for i in range(4))))
        report(len(some))
    return Minima(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _of_rows(design: Design, places: Ints) -> Design:
    """Return the problem of the rows at some places, each with its weight times the number of its draws."""
    rows = design.rows
    kept, counts = np.unique(places, return_counts=True)
    data = np.ascontiguousarray(rows.data[:, kept])
    data[1] *= counts
    return design._replace(rows=DesignRows(data, np.searchsorted(kept, rows.bounds).astype(np.int64)))
