"""The lowest points of many surfaces on a budget of several columns: from the best of many places, Newton's method.

A place is the logarithms of all columns but the last, which follows from the budget. Every surface (a law under one
draw of its parameters) is first looked at in the same places and then at places of its own, with derivatives by
differences whose step shrinks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["last_column", "lowest"]

Array = NDArray[np.float64]
Values = Callable[[Array], Array]

PLACES: Final = 3000  # at which every surface is looked at
AT_ONCE: Final = 2_000_000  # values of one evaluation
HALVINGS: Final = 80  # of the bracket of the last column
FIRST, SHRINK, LAST = 0.3, 0.7, 1e-3  # step of the differences, in logarithms
ROUNDS: Final = 60
LONGEST: Final = 1.0  # step of Newton's method in one logarithm
EDGE: Final = 0.02  # distance from an end of the range within which a lowest point is not inside


def last_column(
    cost: Callable[[Array, Array], Array], others: Array, budget: float, span: tuple[float, float]
) -> Array:
    """Return the log of the column that spends the rest of a budget.

    Parameters
    ----------
    cost : callable
        Cost at logarithms of the other columns, shape (..., d), and of the last, shape (...); it rises with the last.
    others : array, shape (..., d)
        Places.
    budget : float
        What is spent.
    span : tuple of float
        Range of the logarithm.

    Returns
    -------
    array, shape (...)
        NaN where none in the range does.
    """
    lo, hi = (np.full(others.shape[:-1], end) for end in span)
    possible = (cost(others, lo) <= budget) & (cost(others, hi) >= budget)
    for _ in range(HALVINGS):
        middle = 0.5 * (lo + hi)
        below = cost(others, middle) < budget
        lo, hi = np.where(below, middle, lo), np.where(below, hi, middle)
    return np.where(possible, 0.5 * (lo + hi), np.nan)


def lowest(values: Values, spans: Sequence[tuple[float, float]], surfaces: int) -> tuple[Array, Array]:
    """Find the lowest point of every surface.

    Parameters
    ----------
    values : callable
        Takes places, shape (R, m, d) or (1, m, d), and returns the value of each of the R surfaces there, shape (R, m);
        infinite where there is none.
    spans : sequence of tuple of float, length d
        Range of each coordinate.
    surfaces : int
        Their number, R.

    Returns
    -------
    array, shape (R, d)
        The places; NaN for a surface without a lowest point inside of the range.
    array, shape (R,)
        The values there.
    """
    low, high = np.array(spans).T
    shared = low + (high - low) * _even(PLACES, len(low))
    at, best = np.zeros((surfaces, len(low))), np.full(surfaces, np.inf)
    each = max(1, AT_ONCE // surfaces)
    for start in range(0, PLACES, each):
        some = shared[start : start + each]
        height = values(some[None])
        place = height.argmin(axis=1)
        value = height[np.arange(surfaces), place]
        at[value < best], best = some[place[value < best]], np.minimum(best, value)
    step = FIRST
    for _ in range(ROUNDS):
        at, best, bowl = _improved(values, at, best, step)
        step = max(LAST, SHRINK * step)
    inside = (at > low + EDGE).all(axis=1) & (at < high - EDGE).all(axis=1) & np.isfinite(best) & bowl
    return np.where(inside[:, None], at, np.nan), np.where(inside, best, np.nan)


def _even(count: int, dimensions: int) -> Array:
    """Points that fill the unit cube evenly (Kronecker's sequence), without random numbers."""
    ratio = 2.0
    for _ in range(60):  # the root of x^(d + 1) = x + 1
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = ratio ** -np.arange(1.0, dimensions + 1)
    points: Array = np.arange(1, count + 1)[:, None] * steps % 1.0
    return points


def _improved(values: Values, at: Array, best: Array, step: float) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Take one step of Newton's method from each place, or move to the lowest place of the differences.

    Also return which surfaces bend upwards in every direction.
    """
    d = at.shape[1]
    unit = step * np.eye(d)
    pairs = [(i, j) for i in range(d) for j in range(i)]
    moves = np.array([*unit, *-unit, *(unit[i] + unit[j] for i, j in pairs)])
    around = values(at[:, None] + moves)
    with np.errstate(invalid="ignore", over="ignore"):
        up, down = around[:, :d], around[:, d : 2 * d]
        slope = (up - down) / (2 * step)
        bend = np.zeros((len(at), d, d))
        bend[:, range(d), range(d)] = (up - 2 * best[:, None] + down) / step**2
        for k, (i, j) in enumerate(pairs):
            mixed = (around[:, 2 * d + k] - up[:, i] - up[:, j] + best) / step**2
            bend[:, i, j] = bend[:, j, i] = mixed
    # Steps divide by the size of the curvature: where the surface bends downwards they still lead down.
    usable = np.isfinite(around).all(axis=1) & np.isfinite(best)
    curvature, axes = np.linalg.eigh(np.where(usable[:, None, None], bend, np.eye(d)))
    floor = 1e-9 * np.abs(curvature).max(axis=1, keepdims=True)
    along = np.einsum("rij,ri->rj", axes, np.where(usable[:, None], slope, 0.0))
    newton = -np.einsum("rij,rj->ri", axes, along / np.maximum(np.abs(curvature), np.maximum(floor, 1e-300)))
    newton *= np.minimum(1.0, LONGEST / np.maximum(np.abs(newton).max(axis=1, keepdims=True), 1e-300))
    tried = np.concatenate([at[:, None] + moves, (at + newton)[:, None]], axis=1)
    heights = np.concatenate([around, values((at + newton)[:, None])], axis=1)
    place = heights.argmin(axis=1)
    value = heights[np.arange(len(at)), place]
    better = value < best
    bowl: NDArray[np.bool_] = usable & (curvature > 0).all(axis=1)
    return np.where(better[:, None], tried[np.arange(len(at)), place], at), np.where(better, value, best), bowl
