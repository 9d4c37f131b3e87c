"""Search for the global optimum of a problem, and tabulate the local optima that were found.

Least squares first, from the exponent grid. A Huber fit then starts from every distinct least-squares optimum, from
the cells themselves, and from a grid reweighted by the robust weights of the best fit so far. Wherever two
candidates disagree, a second round of random restarts follows.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.solver.batch import Minima, evaluate_at, minimise_batch
from scalefit.solver.components import Component, split
from scalefit.solver.design import LEAST_LOG_SIZE, Array, Design, DesignRows, build_design
from scalefit.solver.newton import CONVERGED, MAX_ITERATIONS
from scalefit.solver.objective import RESIDUAL
from scalefit.solver.starts import (
    ExponentGrid,
    balanced_starts,
    exponent_grid,
    grid_starts,
    hop_starts,
    random_starts,
    shares_coefficients,
    sweep_starts,
)

__all__ = ["ROUNDING", "SAME", "Minimum", "distinct", "misfit", "search"]

ROUNDING = 1e-27  # F of data without noise is a rounding error
SAME = 1e-9  # relative difference of F below which optima count as the same
SPRINT = 25  # Newton steps of every start
LEADERS = 10  # number of unfinished starts that are continued
SWEEPS = 8  # most rounds in which exponents are moved one by one through their range, while that lowers F
HOPS, IDLE = 40, 5  # rounds of random changes: at most, and at most in a row without success
ABSOLUTE = 0.02  # median of psi(r) / r below which Huber's loss counts as the absolute residual
FINISH = 5  # most continuations of a best point that has not converged
CLOSE = 1.05  # ratio of F below which a second optimum makes the first doubtful
MARGIN = 1.3  # ratio of squares up to which a sweep keeps starts, where the best point is not doubtful otherwise
FLAT, STEEP = 0.02, 4.0  # smallest and largest exponent that the grid covers
FEW = 4  # rows per parameter below which a problem counts as intricate
SUBSAMPLE = 20_000  # rows for the search; the best points are refined on all rows


class Minimum(NamedTuple):
    """A local minimum.

    Parameters
    ----------
    theta : array, shape (P,)
        The point.
    value : float
        F there.
    converged : bool
        Whether Newton's stopping rule was met.
    hits : int
        Number of starts that ended here.
    """

    theta: Array
    value: float
    converged: bool
    hits: int


def misfit(design: Design, theta: Array, delta: float) -> float:
    """Return F at ``theta``, shape (P,).

    Parameters
    ----------
    design : Design
        The problem.
    theta : array, shape (P,)
        Centred parameters.
    delta : float
        Where the Huber loss turns linear; inf for least squares.

    Returns
    -------
    float
        Sum over rows.
    """
    return evaluate_at(design, theta, delta=delta)[0]


def search(
    design: Design, *, delta: float = np.inf, free_sign: bool = False, seed: int = 0, workers: int = 1
) -> tuple[Minimum, ...]:
    """Find the global optimum.

    Parameters
    ----------
    design : Design
        The problem.
    delta : float
        Where the Huber loss turns linear; inf for least squares.
    free_sign : bool
        Exponents may be negative.
    seed : int
        Seed of the second round.
    workers : int
        Threads.

    Returns
    -------
    tuple of Minimum
        Distinct local optima, the global one first.
    """
    parts = split(design.law)
    if len(parts) > 1:
        return _search_parts(design, parts, delta, free_sign, seed, workers)
    grid = exponent_grid(design, free_sign)
    every = -(-design.rows.data.shape[1] // SUBSAMPLE)  # rounded up
    small = design if every == 1 else _thin(design, every)
    minima = _first_round(small, grid, delta, workers)
    if grid.n_axes and (
        len(minima) > 1 or minima[0].hits == 1 or np.isfinite(delta) or _doubtful(small, minima[0], delta)
    ):
        minima = _second_round(small, grid, minima, delta, seed, workers)
    if grid.n_axes:
        minima = _sweeps(small, minima, delta, workers)
        minima = _hops(small, minima, delta, seed, workers)
    for _ in range(FINISH):
        if minima[0].converged:
            break
        best = np.array([minimum.theta for minimum in minima[:3]])
        minima = _joined(_sprint(small, best, delta, MAX_ITERATIONS, workers), minima)
    if every > 1:
        starts = np.array([optimum.theta for optimum in minima[:3]])
        minima = _joined(_minimise(design, starts, delta, workers), ())
    return minima


def _second_round(
    design: Design, grid: ExponentGrid, minima: tuple[Minimum, ...], delta: float, seed: int, workers: int
) -> tuple[Minimum, ...]:
    emphasis = _robust_weights(design, minima[0].theta, delta)
    number = 12 * (1 + grid.n_axes)
    starts = random_starts(design, grid, minima[0].theta, number=number, seed=seed, emphasis=emphasis)
    if np.isfinite(delta) and grid.n_axes <= 3:  # with more axes the grid takes long and rarely finds a better start
        starts = np.vstack([starts, grid_starts(design, grid, emphasis=emphasis, most=12)])
    return _joined(_minimise(design, starts, delta, workers), minima)


def _sweeps(design: Design, minima: tuple[Minimum, ...], delta: float, workers: int) -> tuple[Minimum, ...]:
    """Move exponents one by one through their range, as long as that lowers F."""
    for _ in range(SWEEPS):
        doubtful = _doubtful(design, minima[0], delta)
        if not doubtful and (len(minima) == 1 or minima[1].value > CLOSE * minima[0].value):
            break
        margin, before = np.inf if doubtful else MARGIN, minima[0].value
        starts = []
        for minimum in minima[: 2 if doubtful else 1]:
            emphasis = _robust_weights(design, minimum.theta, delta)
            starts.append(sweep_starts(design, minimum.theta, emphasis=emphasis, margin=margin))
            if _intricate(design, minimum, delta):
                starts.append(_switched_off(design, minimum.theta))
        minima = _joined(_minimise(design, np.vstack(starts), delta, workers), minima)
        if minima[0].value > before * (1 - SAME):
            break
    return minima


def _switched_off(design: Design, theta: Array) -> Array:
    """Return one start without each coefficient, because a descent needs many steps to shrink a term to nothing."""
    law = design.law
    coef = law.n_floor + np.arange(law.n_coef)
    starts = np.tile(theta, (law.n_coef, 1))
    starts[np.arange(law.n_coef), coef] -= LEAST_LOG_SIZE
    return starts


def _hops(
    design: Design,
    minima: tuple[Minimum, ...],
    delta: float,
    seed: int,
    workers: int,
) -> tuple[Minimum, ...]:
    """Change some exponents of the best point at random and minimise again, until several rounds fail to lower F."""
    idle = round_ = 0
    while idle < IDLE and round_ < HOPS and _intricate(design, minima[0], delta):
        before = minima[0].value
        emphasis = _robust_weights(design, minima[0].theta, delta)
        starts = hop_starts(design, minima[0].theta, number=16, seed=seed + round_, emphasis=emphasis)
        minima = _joined(_minimise(design, starts, delta, workers), minima)
        round_ += 1
        if minima[0].value < before * (1 - SAME):
            minima, idle = _sweeps(design, minima, delta, workers), 0
        else:
            idle += 1
    return minima


def _doubtful(design: Design, best: Minimum, delta: float) -> bool:
    """Whether a longer search has improved such points in tests: intricate ones, or exponents outside the grid."""
    exponents = np.abs(best.theta[design.law.n_floor + design.law.n_coef :])
    return _intricate(design, best, delta) or bool(((exponents < FLAT) | (exponents > STEEP)).any())


def _intricate(design: Design, best: Minimum, delta: float) -> bool:
    """Whether few starts reached the best point, or the grid does not represent the law or the loss well.

    The latter are exponents by group, coefficients that several terms share, two powers of one column, many parameters
    for the number of rows, and a Huber loss that is nearly the sum of absolute residuals, while the grid minimises
    squares.
    """
    law = design.law
    twins = any(np.array_equal(first, other) for first, other in combinations(law.log_x, 2))
    many = len(law.response) < FEW * design.n_parameters
    if not best.converged or best.hits <= 2 or many or twins or law.n_expo > len(law.log_x) or shares_coefficients(law):
        return True
    weight = _robust_weights(design, best.theta, delta)
    return weight is not None and float(np.median(weight)) < ABSOLUTE


def _search_parts(
    design: Design, parts: tuple[Component, ...], delta: float, free_sign: bool, seed: int, workers: int
) -> tuple[Minimum, ...]:
    """Search independent parts one by one, and combine their optima."""
    parts = tuple(part for part in parts if len(part.parameters))
    best, rivals = np.zeros(design.n_parameters), []
    hits, converged = 0, True
    for part in parts:
        own = build_design(part.law, log_space=design.log_space, free_sign=free_sign)
        first, *others = search(own, delta=delta, free_sign=free_sign, seed=seed, workers=workers)
        best[part.parameters] = own.to_natural(first.theta)
        rivals += [(part.parameters, own.to_natural(rival.theta), rival) for rival in others]
        hits, converged = hits + first.hits, converged and first.converged

    def whole(natural: Array, converged: bool, hits: int) -> Minimum:
        theta = np.clip(design.from_natural(natural), design.link.box[0], design.link.box[1])
        return Minimum(theta, misfit(design, theta, delta), converged, hits)

    minima = [whole(best, converged, hits)]
    for place, own_point, rival in rivals:  # a local optimum of one part with the best of all others
        natural = best.copy()
        natural[place] = own_point
        minima.append(whole(natural, converged and rival.converged, rival.hits))
    return tuple(sorted(minima, key=lambda minimum: minimum.value))


def _first_round(design: Design, grid: ExponentGrid, delta: float, workers: int) -> tuple[Minimum, ...]:
    cells = np.vstack([grid_starts(design, grid), balanced_starts(design)])
    minima = _joined(_minimise(design, cells, np.inf, workers), ())
    if not np.isfinite(delta):
        return minima
    squares = np.array([optimum.theta for optimum in minima])
    starts = [squares, cells]
    for wide in (100.0, 10.0):  # from nearly least squares to the requested delta, step by step
        squares = _sprint(design, squares, wide * delta, SPRINT, workers).theta
    return _joined(_minimise(design, np.vstack([*starts, squares]), delta, workers), ())


def _sprint(design: Design, starts: Array, delta: float, limit: int, workers: int) -> Minima:
    return minimise_batch(design, starts, delta=delta, limit=limit, workers=workers)


def _minimise(design: Design, starts: Array, delta: float, workers: int) -> Minima:
    """Minimise from every start; of those that have not converged after SPRINT steps only the best are continued."""
    first = _sprint(design, starts, delta, SPRINT, workers)
    unfinished = np.flatnonzero(first.status != CONVERGED)
    if unfinished.size == 0:
        return first
    order = unfinished[np.argsort(first.value[unfinished], kind="stable")]
    # one start for each value of F (to five digits of its log), because equal values are the same point on its way
    leaders = order[np.unique(np.round(np.log(first.value[order] + 1e-300), 5), return_index=True)[1]][:LEADERS]
    rest = _sprint(design, first.theta[leaders], delta, MAX_ITERATIONS, workers)
    done = np.flatnonzero(first.status == CONVERGED)
    return Minima(*(np.concatenate([a[done], b]) for a, b in zip(first, rest, strict=True)))


def _joined(minima: Minima, known: tuple[Minimum, ...]) -> tuple[Minimum, ...]:
    """Add the ends of a batch to known minima."""
    new = [
        Minimum(theta, float(value), bool(status == CONVERGED), 1)
        for theta, value, status in zip(minima.theta, minima.value, minima.status, strict=True)
        if np.isfinite(value)
    ]
    return distinct([*known, *new])


def distinct(minima: Iterable[Minimum]) -> tuple[Minimum, ...]:
    """Merge minima of equal value.

    Parameters
    ----------
    minima : iterable of Minimum
        In any order.

    Returns
    -------
    tuple of Minimum
        The best first. A merged one has the hits of all, and is converged where one of them is.
    """
    merged: list[Minimum] = []
    for minimum in sorted(minima, key=lambda minimum: minimum.value):
        if merged and minimum.value - merged[-1].value <= SAME * minimum.value + ROUNDING:
            last = merged[-1]
            better = last if last.converged or not minimum.converged else minimum
            merged[-1] = better._replace(hits=last.hits + minimum.hits)
        else:
            merged.append(minimum)
    return tuple(merged)


def _robust_weights(design: Design, theta: Array, delta: float) -> Array | None:
    """Return psi(r) / r at a fit: the weights under which least squares has the same optimum as Huber's loss."""
    if not np.isfinite(delta):
        return None
    _, work = evaluate_at(design, theta, delta=delta)
    residual: NDArray[np.float64] = np.abs(work.vector[RESIDUAL])
    return delta / np.maximum(residual, delta)


def _thin(design: Design, every: int) -> Design:
    """Every k-th row of each segment, at least one."""
    law = design.law
    kept = [np.arange(lo, hi, every) for lo, hi in zip(law.bounds[:-1], law.bounds[1:], strict=True)]
    rows = np.concatenate(kept)
    bounds = np.concatenate([[0], np.cumsum([len(part) for part in kept])]).astype(np.int64)
    thin = law._replace(response=law.response[rows], log_x=law.log_x[:, rows], weight=law.weight[rows], bounds=bounds)
    return design._replace(law=thin, rows=DesignRows(np.ascontiguousarray(design.rows.data[:, rows]), bounds))
