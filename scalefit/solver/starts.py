"""Where to begin: a grid of exponents, with everything else solved exactly in each cell.

Given the exponents, floors and coefficients enter the law linearly. One product gives the Gram matrix of all
powers on the grid (rows weighted by 1/y^2, which turns residuals of y into residuals of log y); each cell then
needs a non-negative least squares of a few unknowns. The cells also show where the local minima are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scalefit.solver.compiled import kernel
from scalefit.solver.design import Array, Design
from scalefit.solver.newton import RHS, ZERO, Newton, cholesky_solve, new_newton

__all__ = ["ExponentGrid", "exponent_grid", "grid_starts", "random_starts"]

MAX_CELLS = 22_000  # 12 values on each of four axes: 14 took a third longer and missed as many optima
MAX_ROWS = 100_000  # beyond, the grid sees every k-th row
SMALL = 1e-3  # a term that the cell switched off starts at this part of the mean response


class ExponentGrid(NamedTuple):
    """Which exponents move together on the grid, and through which values.

    Parameters
    ----------
    axis : array of int, shape (K,)
        Grid axis of each term's exponent; -1 where it is fixed.
    axis_of_exponent : array of int, shape (n_expo,)
        The same for each exponent parameter: all levels of a group share an axis.
    values : array, shape (G,)
        Grid values.
    n_axes : int
        Number of axes.
    """

    axis: NDArray[np.int64]
    axis_of_exponent: NDArray[np.int64]
    values: Array
    n_axes: int


def exponent_grid(design: Design, free_sign: bool) -> ExponentGrid:
    """Choose the grid: 14 values from 0.03 to 4 on each axis, fewer from four axes on.

    Parameters
    ----------
    design : Design
        The problem.
    free_sign : bool
        Add negative exponents.

    Returns
    -------
    ExponentGrid
        Axes and values.
    """
    law = design.law
    axis_of_exponent = np.full(law.n_expo, -1, dtype=np.int64)
    axis = np.full(len(law.log_x), -1, dtype=np.int64)
    n_axes = 0
    for k in range(len(axis)):
        used = np.unique(law.expo[:, k])
        used = used[used >= 0]
        if used.size == 0:
            continue
        known = axis_of_exponent[used]
        axis[k] = known.max() if known.max() >= 0 else n_axes
        n_axes += int(known.max() < 0)
        axis_of_exponent[used] = axis[k]
    points = 14
    while n_axes > 0 and (points * (2 if free_sign else 1)) ** n_axes > MAX_CELLS and points > 3:
        points -= 1
    values = np.geomspace(0.03, 4.0, points)
    if free_sign:
        values = np.concatenate([-values[::-1], values])
    return ExponentGrid(axis, axis_of_exponent, values, n_axes)


@kernel()
def _solve_cells(
    gram: Array, moment: Array, chosen: NDArray[np.int64], scratch: Newton, explained: Array, solution: Array
) -> None:
    """Non-negative least squares on the chosen features of every cell.

    The full solution first; while one coefficient is negative, the most negative is left out and the rest solved
    again. That is not always the exact optimum, and need not be: these are starting points.
    """
    m, matrix, alive, x = chosen.shape[1], scratch.small, scratch.place, scratch.vector[RHS]
    for c in range(chosen.shape[0]):
        size = m
        for i in range(m):
            alive[i] = i
        while size > 0:
            for i in range(size):
                x[i] = moment[chosen[c, alive[i]]]
                for j in range(size):
                    matrix[i, j] = gram[chosen[c, alive[i]], chosen[c, alive[j]]]
            worst = size - 1  # of a singular system, the last is left out
            if cholesky_solve(matrix, x, size, ZERO, scratch.factor):
                for i in range(size):
                    if x[i] < x[worst]:
                        worst = i
                if x[worst] >= 0.0:
                    break
            size -= 1
            for i in range(worst, size):
                alive[i] = alive[i + 1]
        explained[c] = 0.0
        for i in range(size):
            solution[c, alive[i]] = x[i]
            explained[c] += x[i] * moment[chosen[c, alive[i]]]


class _Linear(NamedTuple):
    """The linear part of a law: one column per floor, then per coefficient of each term."""

    term: NDArray[np.int64]  # of each column, -1 for floors
    level: NDArray[np.int64]  # floor or coefficient number, -1 for fixed ones
    member: Array  # shape (columns, n): 1 where the row uses it


def _linear_part(design: Design, rows: slice) -> _Linear:
    law = design.law
    segment = np.repeat(np.arange(len(law.bounds) - 1), np.diff(law.bounds))[rows]
    terms, levels, members = [], [], []
    for k, codes in [(-1, law.floor), *((k, law.coef[:, k]) for k in range(len(law.log_x)))]:
        for level in np.unique(codes):
            if k < 0 and level < 0:
                continue
            terms.append(k)
            levels.append(level)
            members.append((codes[segment] == level).astype(float))
    return _Linear(np.array(terms), np.array(levels), np.array(members))


def _row_weights(design: Design, rows: slice, emphasis: Array | None) -> Array:
    weight = design.law.weight[rows].copy()
    if design.log_space:
        weight /= design.law.response[rows] ** 2
    return weight if emphasis is None else weight * emphasis[rows]


def _to_theta(design: Design, grid: ExponentGrid, linear: _Linear, exponents: Array, solution: Array) -> Array:
    """Assemble theta from the axes' exponents, shape (B, axes), and the columns' values, shape (B, columns)."""
    law = design.law
    mean = float(np.average(law.response))
    theta = np.zeros((len(exponents), design.n_parameters))
    first_expo = law.n_floor + law.n_coef
    if law.n_expo:
        theta[:, first_expo:] = exponents[:, grid.axis_of_exponent]
    for column in reversed(range(len(linear.term))):
        level, k = linear.level[column], linear.term[column]
        if k < 0:
            theta[:, level] = solution[:, column]
        elif level >= 0:
            theta[:, law.n_floor + level] = np.log(np.maximum(solution[:, column], SMALL * mean))
    return theta


def grid_starts(
    design: Design, grid: ExponentGrid, *, emphasis: Array | None = None, best: int = 8, most: int = 32
) -> Array:
    """Return the grid's local minima and its best cells as starting points.

    Parameters
    ----------
    design : Design
        The problem.
    grid : ExponentGrid
        From :func:`exponent_grid`.
    emphasis : array, shape (n,), optional
        Extra row weights, such as the robust weights of an earlier fit.
    best, most : int
        How many of the best cells to keep besides the local minima, and how many starts at most.

    Returns
    -------
    array, shape (B, P)
        Starts, best first.
    """
    n_axes, n_values = grid.n_axes, len(grid.values)
    rows = slice(None, None, max(1, design.rows.data.shape[1] // MAX_ROWS))
    shape = (n_values,) * n_axes
    cells = np.indices(shape).reshape(n_axes, -1).T if n_axes else np.zeros((1, 0), dtype=np.int64)
    cells = cells[_ordered(design, grid, cells)]
    linear = _linear_part(design, rows)
    gram, moment, offset = _gram(design, grid, linear, rows, emphasis)
    axis = np.where(linear.term >= 0, grid.axis[linear.term], -1)
    chosen = offset[None, :] + np.where(axis >= 0, cells[:, axis] if n_axes else 0, 0)
    explained, solution = np.zeros(len(cells)), np.zeros(chosen.shape)
    _solve_cells(gram, moment, np.ascontiguousarray(chosen), new_newton(chosen.shape[1]), explained, solution)
    keep = _promising(cells, explained, shape, best, most)
    return _to_theta(design, grid, linear, grid.values[cells[keep]], solution[keep])


def _ordered(design: Design, grid: ExponentGrid, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Keep one of the mirror images when two terms have the same variable."""
    law = design.law
    keep = np.ones(len(cells), dtype=bool)
    for k in range(len(law.log_x)):
        for other in range(k):
            a, b = grid.axis[other], grid.axis[k]
            if a >= 0 and b >= 0 and a != b and np.array_equal(law.log_x[k], law.log_x[other]):
                keep &= cells[:, a] < cells[:, b]
    return keep if keep.any() else np.ones(len(cells), dtype=bool)


def _gram(
    design: Design, grid: ExponentGrid, linear: _Linear, rows: slice, emphasis: Array | None
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Gram matrix and moments of every column at every grid value, and each column's first feature."""
    weight = np.sqrt(_row_weights(design, rows, emphasis))
    strips: list[Array] = []
    for term, member in zip(linear.term, linear.member, strict=True):
        if term < 0:
            strips.append((member * weight)[None])
            continue
        values = grid.values if grid.axis[term] >= 0 else design.law.fixed_expo[term : term + 1]
        strips.append(member * weight * np.exp(np.clip(values[:, None] * design.rows.u[term][rows], -300, 300)))
    matrix = np.vstack(strips)
    target = (design.law.response[rows] - (0.0 if design.law.n_floor else design.law.fixed_floor)) * weight
    # by strips: small products do not wake the threads of BLAS, which would then spin for longer than the whole fit
    gram = np.vstack([strip @ matrix.T for strip in strips])
    moment = np.concatenate([strip @ target for strip in strips])
    return gram, moment, np.cumsum([0, *(len(strip) for strip in strips[:-1])])


def _promising(
    cells: NDArray[np.int64], explained: Array, shape: tuple[int, ...], best: int, most: int
) -> NDArray[np.int64]:
    order = np.argsort(-explained, kind="stable")
    if not shape:
        return order[:1]
    table = np.full(shape, -np.inf)
    table[tuple(cells.T)] = explained
    cross = ndimage.generate_binary_structure(len(shape), 1)
    peak = table >= ndimage.maximum_filter(table, footprint=cross, mode="nearest")
    is_peak = peak[tuple(cells.T)]
    return np.concatenate([order[is_peak[order]], order[~is_peak[order]][:best]])[:most]


def random_starts(
    design: Design,
    grid: ExponentGrid,
    centre: Array,
    *,
    number: int,
    seed: int,
    emphasis: Array | None = None,
) -> Array:
    """Draw exponents around a fit and over the whole range, and solve the linear part for each.

    Parameters
    ----------
    design, grid
        The problem and its grid.
    centre : array, shape (P,)
        The best fit so far; half of the starts are drawn around its exponents.
    number : int
        How many starts.
    seed : int
        Seed of the draws.
    emphasis : array, shape (n,), optional
        Extra row weights.

    Returns
    -------
    array, shape (number, P)
        Starts.
    """
    rng = np.random.default_rng(seed)
    rows = slice(None, None, max(1, design.rows.data.shape[1] // 5_000))
    linear = _linear_part(design, rows)
    law = design.law
    near = np.zeros(grid.n_axes)
    near[grid.axis_of_exponent] = centre[law.n_floor + law.n_coef :]
    spread = rng.choice(grid.values, size=(number, grid.n_axes)) * rng.uniform(0.7, 1.4, (number, grid.n_axes))
    around = near * np.exp(rng.normal(0.0, 0.5, (number, grid.n_axes)))
    exponents = np.where((np.arange(number) % 2 == 0)[:, None], around, spread)
    weight = np.sqrt(_row_weights(design, rows, emphasis))
    target = (law.response[rows] - (0.0 if law.n_floor else law.fixed_floor)) * weight
    solution = np.zeros((number, len(linear.term)))
    chosen = np.arange(len(linear.term), dtype=np.int64)[None]
    scratch = new_newton(len(linear.term))
    for b in range(number):
        features = linear.member * weight
        for column, term in enumerate(linear.term):
            if term >= 0:
                a = exponents[b, grid.axis[term]] if grid.axis[term] >= 0 else law.fixed_expo[term]
                features[column] *= np.exp(np.clip(a * design.rows.u[term][rows], -300, 300))
        gram, moment = features @ features.T, features @ target
        _solve_cells(gram, moment, chosen, scratch, np.zeros(1), solution[b : b + 1])
    return _to_theta(design, grid, linear, exponents, solution)
