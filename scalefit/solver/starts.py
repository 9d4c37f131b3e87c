"""Starting points: a grid of exponents, with floors and coefficients solved in each cell.

For fixed exponents, floors and coefficients enter the law linearly (variable projection, Golub and Pereyra 1973). One
product gives the Gram matrix of all powers on the grid, with rows weighted by 1/y^2, which to first order turns
residuals of y into residuals of log y. Each cell then needs a non-negative least squares of a few unknowns. The cells
also show where the local minima are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scalefit.solver.compiled import kernel
from scalefit.solver.design import MAX_EXPONENT, Array, Design, SegmentedLaw
from scalefit.solver.newton import RHS, ZERO, Newton, cholesky_solve, new_newton

__all__ = [
    "ExponentGrid",
    "LinearFit",
    "balanced_starts",
    "exponent_grid",
    "grid_starts",
    "hop_starts",
    "random_starts",
    "shares_coefficients",
    "solve_linear",
    "sweep_starts",
]

MAX_CELLS = 22_000  # 12 values on each of four axes: 14 took a third longer and missed as many optima
BEST_CELLS = 8  # that are starts in addition to the grid's local minima
MAX_ROWS = 100_000  # with more rows the grid uses every k-th row
SMALL = 1e-3  # start of a term with a coefficient of 0, as a part of the mean response: its log must be finite


class ExponentGrid(NamedTuple):
    """The axes of the grid and the values of exponents on them.

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
    gram: Array,
    moment: Array,
    chosen: NDArray[np.int64],
    shift: NDArray[np.int64],
    scratch: Newton,
    explained: Array,
    solution: Array,
) -> None:
    """Non-negative least squares on the chosen features of every cell.

    Row ``i`` and column ``j - shift[c]`` of ``gram`` is the product of features ``i`` and ``j`` of cell ``c``.

    All coefficients are solved first; as long as one is negative, the most negative is dropped and the others are
    solved again. This is not always the exact non-negative optimum, which starting points do not need. ``explained`` is
    the reduction of the weighted squares of the response, x . X^T y at a least-squares solution x.
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
                    matrix[i, j] = gram[chosen[c, alive[i]], chosen[c, alive[j]] - shift[c]]
            worst = size - 1  # of a singular system the last coefficient is dropped
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
    """Assemble theta from the exponents of the axes, shape (B, axes), and the values of the columns, (B, columns)."""
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


def grid_starts(design: Design, grid: ExponentGrid, *, emphasis: Array | None = None, most: int = 32) -> Array:
    """Return the grid's local minima and its best cells as starting points.

    Parameters
    ----------
    design : Design
        The problem.
    grid : ExponentGrid
        From :func:`exponent_grid`.
    emphasis : array, shape (n,), optional
        Extra row weights, such as the robust weights of an earlier fit.
    most : int
        The largest number of starts.

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
    matrix, scratch = np.zeros(len(cells), dtype=np.int64), new_newton(chosen.shape[1])  # one matrix for all cells
    _solve_cells(gram, moment, np.ascontiguousarray(chosen), matrix, scratch, explained, solution)
    keep = _promising(cells, explained, shape, BEST_CELLS, most)
    return _to_theta(design, grid, linear, grid.values[cells[keep]], solution[keep])


def _ordered(design: Design, grid: ExponentGrid, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark one of each pair of cells that differ only by swapping two terms of the same variable."""
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
    """Return the Gram matrix and moments of every column at every grid value, and each column's first feature."""
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
    # in strips: small products do not start the threads of BLAS, which would then spin for longer than the whole fit
    gram = np.vstack([strip @ matrix.T for strip in strips])
    moment = np.concatenate([strip @ target for strip in strips])
    return gram, moment, np.cumsum([0, *(len(strip) for strip in strips[:-1])])


def _promising(
    cells: NDArray[np.int64], explained: Array, shape: tuple[int, ...], best: int, most: int
) -> NDArray[np.int64]:
    """Return the cells that explain more than their neighbours along every axis, then the best of the others."""
    order = np.argsort(-explained, kind="stable")
    if not shape:
        return order[:1]
    table = np.full(shape, -np.inf)
    table[tuple(cells.T)] = explained
    cross = ndimage.generate_binary_structure(len(shape), 1)
    peak = table >= ndimage.maximum_filter(table, footprint=cross, mode="nearest")
    is_peak = peak[tuple(cells.T)]
    return np.concatenate([order[is_peak[order]], order[~is_peak[order]][:best]])[:most]


class LinearFit(NamedTuple):
    """The best floors and coefficients under given exponents.

    Parameters
    ----------
    theta : array, shape (B, P)
        Starts.
    misfit : array, shape (B,)
        Their weighted squares.
    """

    theta: Array
    misfit: Array


def solve_linear(design: Design, exponents: Array, *, emphasis: Array | None = None) -> LinearFit:
    """Solve floors and coefficients for fixed exponents, with a shared coefficient as one unknown.

    A coefficient under several terms multiplies the sum of their powers, in the units of the table, and a fixed term
    is subtracted from the response. The grid of :func:`grid_starts` handles neither.

    Parameters
    ----------
    design : Design
        The problem.
    exponents : array, shape (B, n_expo)
        A value for each exponent.
    emphasis : array, shape (n,), optional
        Extra row weights.

    Returns
    -------
    LinearFit
        One start for each row of ``exponents``.
    """
    law, link = design.law, design.link
    rows = slice(None, None, max(1, design.rows.data.shape[1] // 5_000))
    segment = np.repeat(np.arange(len(law.bounds) - 1), np.diff(law.bounds))[rows]
    count, first = law.n_floor + law.n_coef, law.n_floor + law.n_coef
    mean = float(np.average(law.response))
    weight = np.sqrt(_row_weights(design, rows, emphasis))
    weight /= weight.max()
    theta = np.zeros((len(exponents), design.n_parameters))
    theta[:, first:] = exponents
    misfit = np.zeros(len(exponents))
    padded = np.hstack([theta, np.zeros((len(exponents), 1))])  # position -1 of the link reads this zero
    each = max(1, 400_000 // (len(segment) * count + 1))
    for lo in range(0, len(exponents), min(each, 32)):
        block = padded[lo : lo + min(each, 32)]
        features = np.zeros((count, len(block), len(segment)))
        for j in range(law.n_floor):
            features[j] = law.floor[segment] == j
        known = np.tile(np.where(law.floor < 0, law.fixed_floor, 0.0)[segment] / mean, (len(block), 1))
        for k in range(len(law.log_x)):
            b, a = 1 + 2 * k, 2 + 2 * k
            log_size = (
                link.constant[segment, b]
                + (block[:, link.position[:, a, 0]] * link.factor[:, a, 0] + link.constant[:, a])[:, segment]
                * design.rows.u[k][rows]
            )
            for slot in (1, 2):
                log_size += (block[:, link.position[:, b, slot]] * link.factor[:, b, slot])[:, segment]
            coef = law.coef[segment, k]
            for j in np.unique(coef):
                mine = coef == j
                if j < 0:
                    known[:, mine] += np.exp(np.clip(log_size[:, mine] - np.log(mean), -300, 300))
                else:
                    features[law.n_floor + j][:, mine] += np.exp(np.clip(log_size[:, mine], -300, 300))
        target = (law.response[rows] / mean - known) * weight
        features *= weight
        # columns of unit length, because powers of large numbers differ by orders of magnitude
        norm = np.sqrt(np.einsum("jbi,jbi->bj", features, features)) + 1e-300
        matrix = features.transpose(1, 0, 2) / norm[:, :, None]
        # matrix by matrix: one large product would start the threads of BLAS, which spin for longer than this takes
        gram = np.matmul(matrix, matrix.transpose(0, 2, 1)).reshape(-1, count)
        moment = np.einsum("bji,bi->bj", matrix, target).ravel()
        chosen = np.arange(len(gram), dtype=np.int64).reshape(len(block), count)
        explained, solution = np.zeros(len(block)), np.zeros(chosen.shape)
        _solve_cells(gram, moment, chosen, chosen[:, 0].copy(), new_newton(count), explained, solution)
        misfit[lo : lo + len(block)] = (target**2).sum(axis=1) - explained
        solution *= mean / norm
        size = SMALL * mean * np.sqrt((weight**2).sum()) / norm[:, law.n_floor :]
        theta[lo : lo + len(block), : law.n_floor] = solution[:, : law.n_floor]
        theta[lo : lo + len(block), law.n_floor : first] = np.log(np.maximum(solution[:, law.n_floor :], size))
    return LinearFit(theta, misfit)


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
        Number of starts.
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
    law = design.law
    near = centre[law.n_floor + law.n_coef :]
    shape = (number, law.n_expo)
    spread = rng.choice(grid.values, size=shape) * rng.uniform(0.7, 1.4, shape)
    around = near * np.exp(rng.normal(0.0, 0.5, shape))
    exponents = np.where((np.arange(number) % 2 == 0)[:, None], around, spread)
    together = (np.arange(number) % 4 == 1)[:, None]  # half of those over the whole range: equal levels of a group
    representative = np.array([np.argmax(grid.axis_of_exponent == axis) for axis in grid.axis_of_exponent])
    exponents = np.where(together, exponents[:, representative], exponents)
    return solve_linear(design, exponents, emphasis=emphasis).theta


def sweep_starts(design: Design, centre: Array, *, emphasis: Array | None = None, margin: float = np.inf) -> Array:
    """Move one exponent at a time through its whole range, solving the linear part each time.

    Parameters
    ----------
    design, centre, emphasis
        As in :func:`random_starts`.
    margin : float
        Drop starts whose weighted squares exceed those of the best of the sweep by more than this factor.

    Returns
    -------
    array, shape (B, P)
        Local minima of each exponent's profile, other than the one in which ``centre`` lies.
    """
    law = design.law
    first = law.n_floor + law.n_coef
    span = np.concatenate([[0.0], np.geomspace(0.01, MAX_EXPONENT, 22)])
    if design.link.box[0, first:].min(initial=0.0) < 0:
        span = np.concatenate([-span[:0:-1], span])
    exponents = np.tile(centre[first:], (law.n_expo * len(span), 1))
    for e in range(law.n_expo):
        exponents[e * len(span) : (e + 1) * len(span), e] = span
    profile = solve_linear(design, exponents, emphasis=emphasis)
    enough = margin * profile.misfit.min() if margin < np.inf else np.inf
    kept: list[int] = []
    for e in range(law.n_expo):
        misfit = profile.misfit[e * len(span) : (e + 1) * len(span)]
        padded = np.concatenate([[np.inf], misfit, [np.inf]])
        lowest = np.flatnonzero((misfit <= padded[:-2]) & (misfit <= padded[2:]) & (misfit <= enough))
        if margin < np.inf:  # without the minimum at which the sweep started
            own = np.searchsorted(span, centre[first + e])
            lowest = lowest[(lowest < own - 1) | (lowest > own)]
        kept += list(e * len(span) + lowest[np.argsort(misfit[lowest], kind="stable")][:3])
    return profile.theta[kept]


def _slides(law: SegmentedLaw, number: int, rng: np.random.Generator) -> Array:
    """Draw changes of all exponents under one coefficient that keep the sizes of their terms when it changes.

    With ``log c`` shifted by s, ``log c + a log x`` at the mean of log x is the same if a moves by -s / mean(log x).
    """
    change = np.zeros((number, law.n_expo))
    scale = rng.normal(0.0, 4.0, (number, law.n_coef)) * (rng.uniform(size=(number, law.n_coef)) < 0.5)
    for s in range(len(law.bounds) - 1):
        mean = law.log_x[:, law.bounds[s] : law.bounds[s + 1]].mean(axis=1)
        for k in range(len(mean)):
            j, e = law.coef[s, k], law.expo[s, k]
            if j >= 0 and e >= 0 and abs(mean[k]) > 1e-9 and len(np.unique(law.expo[law.coef == j])) > 1:
                change[:, e] = -scale[:, j] / mean[k]
    return change


def hop_starts(design: Design, centre: Array, *, number: int, seed: int, emphasis: Array | None = None) -> Array:
    """Change some exponents of a fit at random, by a factor or to a new value, and solve the linear part again.

    Parameters
    ----------
    design, centre, number, seed, emphasis
        As in :func:`random_starts`.

    Returns
    -------
    array, shape (number, P)
        Starts.
    """
    law = design.law
    first = law.n_floor + law.n_coef
    rng = np.random.default_rng([seed, 1])
    shape = (number, law.n_expo)
    changed = rng.uniform(size=shape) < rng.uniform(0.1, 0.6, (number, 1))
    changed[np.arange(number), rng.integers(0, law.n_expo, number)] = True
    anew = np.exp(rng.uniform(np.log(0.03), np.log(4.0), shape))
    if design.link.box[0, first:].min() < 0:
        anew *= rng.choice([-1.0, 1.0], shape)
    near = centre[first:] * np.exp(rng.normal(0.0, 0.5, shape)) + rng.normal(0.0, 0.02, shape)
    moved = np.where(rng.uniform(size=shape) < 0.5, anew, near)
    exponents = np.where(changed, moved, centre[first:]) + _slides(law, number, rng)
    exponents = np.clip(exponents, *design.link.box[:, first:])
    return solve_linear(design, exponents, emphasis=emphasis).theta


def shares_coefficients(law: SegmentedLaw) -> bool:
    """Return True when one coefficient scales several terms of a row."""
    return any(len(set(row[row >= 0])) < (row >= 0).sum() for row in law.coef)


def balanced_starts(design: Design) -> Array:
    """Return starts in which terms that share a coefficient have comparable sizes, whatever their units.

    With ``log c + a log x`` the same for both terms up to a few e-folds, one exponent determines the other; a grid of
    both contains such pairs only by chance.

    Parameters
    ----------
    design : Design
        The problem.

    Returns
    -------
    array, shape (24, P)
        The best of 600 random starts; empty when no coefficient is shared.
    """
    law = design.law
    if not shares_coefficients(law):
        return np.zeros((0, design.n_parameters))
    rng = np.random.default_rng(0)
    number = 600
    exponents = rng.choice(np.geomspace(0.02, 6.0, 24), (number, law.n_expo)) * rng.uniform(
        0.8, 1.25, (number, law.n_expo)
    )
    lowest = design.link.box[0, law.n_floor + law.n_coef :]
    exponents *= np.where((lowest < 0) & (rng.uniform(size=exponents.shape) < 0.3), -1.0, 1.0)
    for s in range(len(law.bounds) - 1):
        mean = law.log_x[:, law.bounds[s] : law.bounds[s + 1]].mean(axis=1)
        for j in set(law.coef[s]) - {-1}:
            terms = np.flatnonzero(law.coef[s] == j)
            free = terms[(law.expo[s, terms] >= 0) & (np.abs(mean[terms]) > 1e-9)]
            if len(terms) < 2 or len(free) == 0:
                continue
            leader = rng.choice(terms, number)
            slope = np.where(law.expo[s] >= 0, exponents[:, law.expo[s]], law.fixed_expo)
            size = slope[np.arange(number), leader] * mean[leader]
            for k in free:
                wanted = (size + rng.normal(0.0, 3.0, number)) / mean[k]
                e = law.expo[s, k]
                fits = (leader != k) & (wanted >= lowest[e]) & (wanted < MAX_EXPONENT)
                exponents[:, e] = np.where(fits, wanted, exponents[:, e])
    profile = solve_linear(design, exponents)
    return profile.theta[np.argsort(profile.misfit, kind="stable")[:24]]
