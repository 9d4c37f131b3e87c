"""Damped exact Newton inside a box, for one start or for a batch of starts or resamples.

Each step solves ``(H + lambda diag(majoriser)) d = -g`` on the coordinates that are free to move. The damping lambda
follows the ratio of the actual to the predicted decrease (Levenberg 1944, Marquardt 1963, with the thresholds of
Fletcher 1971). The Hessian has no entries between different floors, so floors come first and the Cholesky factor skips
their zeros. A coordinate that a step would move out of the box is set to its bound, and the others are solved again.
Undamped Newton fails on four of ten Huber resamples; this method on none of 4,000.

A start that has not converged after ``PATIENCE`` steps is in a curved valley: where the exponent is small, the law is
nearly ``floor + c + s u`` with the level ``c = exp(b)`` and the slope ``s = c a`` of each term at the centre, and the
data determine only floor + c and s. In ``(floor, b, a)`` that valley is curved, and steps along it are short (after
hundreds of them most refits of data without a visible floor had not converged). In ``(floor, c, s)`` it is straight.
So from then on ``PATIENCE`` steps in these coordinates alternate with ``PATIENCE`` steps in the original ones. This
needs only a change of variables in the derivatives and in the step; the original coordinates are better for steep and
vanishing terms, which converge slowly in levels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.solver.compiled import kernel
from scalefit.solver.design import Array, DesignRows, Link
from scalefit.solver.objective import Scratch, derivatives, evaluate

__all__ = ["CONVERGED", "MAX_ITERATIONS", "STALLED", "Newton", "cholesky_solve", "minimise", "new_newton"]

CONVERGED, STALLED = 0, 1
MAX_ITERATIONS = 300
ZERO = np.int64(0)  # for numba a literal 0 has a separate type, for which callees would be compiled again
TOLERANCE = 1e-14  # predicted gain relative to F
SLIGHT = 1e-3  # damping with which a step is still nearly that of Newton
QUIET = 3  # damped steps in a row that predict no gain before damping is reset, or the point is accepted
MAX_STEP = 8.0  # e-folds that any term may change by in one step
GROWTH = 3000.0  # about exp(MAX_STEP): the most by which a term grows in one step
PATIENCE = 12  # steps in (size, exponent) before those in (level, slope); most refits need 5 to 12
POINT, TRIAL, STEP, RHS, REACH, HELD, FIXED, MOVED = range(8)  # rows of Newton.vector


class Newton(NamedTuple):
    """Scratch arrays of one thread.

    Parameters
    ----------
    vector : array, shape (8, P)
        Point, trial point, step, right-hand side, reach of each coordinate, which coordinates are fixed by the
        caller and which by this step (1.0 for fixed), which exponents are replaced by slopes.
    small, factor : array, shape (P, P)
        The reduced matrix and its Cholesky factor.
    pair : array, shape (P, P)
        1.0 in row e and column j when exponent e and coefficient j meet in a term, and on the diagonal of each
        coefficient.
    mix : array, shape (P, P)
        Weights, sum 1, of the coefficients whose geometric mean turns exponent e into a slope.
    bent : array, shape (P + 2, P)
        Hessian, gradient and majoriser in levels and slopes.
    place : array of int, shape (P,)
        Position in theta of each row of ``small``.
    """

    vector: Array
    small: Array
    factor: Array
    place: NDArray[np.int64]
    pair: Array
    mix: Array
    bent: Array


def new_newton(n: int) -> Newton:
    """Allocate the scratch arrays for n parameters."""
    square = np.zeros((4, n, n))
    return Newton(
        np.zeros((8, n)), square[0], square[1], np.zeros(n, np.int64), square[2], square[3], np.zeros((n + 2, n))
    )


@kernel(inner=True)
def cholesky_solve(matrix: Array, rhs: Array, n: int, n_diagonal: int, factor: Array) -> bool:
    """Solve ``matrix x = rhs`` for the leading n rows, in place; False when not positive definite.

    Only the lower triangle is read. The leading ``n_diagonal`` rows and columns form a diagonal block, in the matrix
    and therefore in its factor. A pivot that cancellation has reduced to rounding error counts as not positive.

    Parameters
    ----------
    matrix : array, shape (m, m), m at least n
        Symmetric.
    rhs : array, shape (m,)
        Right-hand side; becomes the solution.
    n, n_diagonal : int
        Size of the system and of its diagonal block.
    factor : array, shape (m, m)
        Scratch for the Cholesky factor.

    Returns
    -------
    bool
        Whether the matrix is positive definite; else ``rhs`` is undefined.
    """
    for i in range(n):
        for j in range(i if i < n_diagonal else 0, i + 1):
            total = matrix[i, j]
            for k in range(j if j < n_diagonal else 0, j):
                total -= factor[i, k] * factor[j, k]
            if i > j:
                factor[i, j] = total / factor[j, j]
            elif total > 1e-13 * abs(matrix[i, i]):
                factor[i, i] = np.sqrt(total)
            else:
                return False
    for i in range(n):
        for k in range(i if i < n_diagonal else 0, i):
            rhs[i] -= factor[i, k] * rhs[k]
        rhs[i] /= factor[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(max(i + 1, n_diagonal), n):
            rhs[i] -= factor[k, i] * rhs[k]
        rhs[i] /= factor[i, i]
    return True


@kernel(inner=True, inline="always")
def _free_step(derivative: Array, damping: float, n_floor: int, scratch: Newton) -> bool:
    """Solve for the coordinates that are not fixed; the known steps of fixed ones move to the right-hand side."""
    n, place, small = derivative.shape[1], scratch.place, scratch.small
    step, rhs, fixed = scratch.vector[STEP], scratch.vector[RHS], scratch.vector[FIXED]
    n_free = n_free_floor = ZERO
    for i in range(n):
        if fixed[i] == 0.0:
            place[n_free] = i
            n_free += 1
            n_free_floor += i < n_floor
    for p in range(n_free):
        i = place[p]
        rhs[p] = -derivative[n, i]
        for j in range(n):
            rhs[p] -= fixed[j] * step[j] * derivative[i, j]
        for q in range(p + 1):
            small[p, q] = derivative[i, place[q]]
        small[p, p] += damping * derivative[n + 1, i] + 1e-300  # a diagonal that has underflowed to 0 stays positive
    if not cholesky_solve(small, rhs, n_free, n_free_floor, scratch.factor):
        return False
    for p in range(n_free):
        step[place[p]] = rhs[p]
    return True


@kernel(inner=True)
def _hold_concave(derivative: Array) -> None:
    """Add the size of negative diagonal entries of the Hessian to the majoriser, so that damping can outweigh them.

    The Hessian of a vanishing term is of first order in its size, and J^2 of second order: for a small enough term no
    usual multiple of J^2 would outweigh it.
    """
    n = derivative.shape[1]
    for i in range(n):
        derivative[n + 1, i] += max(0.0, -derivative[i, i])


@kernel(inner=True)
def _bend(theta: Array, derivative: Array, link: Link, scratch: Newton) -> None:
    """Rewrite the derivatives in levels and slopes: ``beta = dc / c`` and ``sigma = ds / c`` at ``theta``.

    To second order ``b = b0 + beta - beta^2 / 2`` and ``a = a0 + sigma - a0 beta - sigma beta + a0 beta^2``. With the
    Jacobian M of this map at 0 the Hessian becomes ``M^T H M + sum_k g_k d2(theta_k)``. For an exponent that several
    coefficients share, the level is their geometric mean. Exponents at a bound are not transformed.
    """
    n, bent, pair, mix, moved = theta.size, scratch.bent, scratch.pair, scratch.mix, scratch.vector[MOVED]
    lower, upper, held = link.box[0], link.box[1], scratch.vector[HELD]
    for i in range(n + 2):
        for j in range(n):
            bent[i, j] = derivative[i, j]
    for e in range(n):
        total = 0.0
        for j in range(n):
            mix[e, j] = pair[e, j] if j != e and derivative[n + 1, j] > 0.0 else 0.0
            total += mix[e, j]
        moved[e] = 1.0 if total > 0.0 and held[e] == 0.0 and lower[e] < theta[e] < upper[e] else 0.0
        for j in range(n):
            mix[e, j] *= moved[e] / max(total, 1.0)
    for e in range(n):
        if moved[e] == 0.0:
            continue
        for j in range(n):
            pull = theta[e] * mix[e, j]
            if pull != 0.0:
                for i in range(n + 1):  # H M, and the gradient, which is row n
                    bent[i, j] -= pull * derivative[i, e]
                bent[n + 1, j] += pull * pull * derivative[n + 1, e]
    for e in range(n):  # M^T (H M)
        for j in range(n):
            pull = moved[e] * theta[e] * mix[e, j]
            if pull != 0.0:
                for i in range(n):
                    bent[j, i] -= pull * bent[e, i]
    for e in range(n):  # the gradient times the second derivatives of the exponents; after the products above
        slope = moved[e] * derivative[n, e]
        for j in range(n):
            if slope * mix[e, j] != 0.0:
                bent[e, j] -= slope * mix[e, j]
                bent[j, e] -= slope * mix[e, j]
                bent[j, j] += slope * theta[e] * mix[e, j]
                for i in range(n):
                    bent[j, i] += slope * theta[e] * mix[e, j] * mix[e, i]
    for j in range(n):  # and of the sizes: d2(b) = -1
        if pair[j, j] != 0.0:
            bent[j, j] -= derivative[n, j]
    _hold_concave(bent)


@kernel(inner=True)
def _log_level(change: float) -> float:
    """Change of log c for a relative change of c; below -1/2 its tangent, so that no step asks for a negative level."""
    return np.log1p(change) if change > -0.5 else 2.0 * change + 1.0 - np.log(2.0)


@kernel(inner=True)
def _level(change: float) -> float:
    """Inverse of :func:`_log_level`."""
    return np.expm1(change) if change > -np.log(2.0) else 0.5 * (change + np.log(2.0)) - 0.5


@kernel(inner=True)
def _unbend(theta: Array, link: Link, scratch: Newton) -> None:
    """Turn the step in levels and slopes into a trial point."""
    n, step, trial, mix = theta.size, scratch.vector[STEP], scratch.vector[TRIAL], scratch.mix
    for i in range(n):
        trial[i] = theta[i] + (_log_level(step[i]) if scratch.pair[i, i] != 0.0 else step[i])
    for e in range(n):
        if scratch.vector[MOVED, e] != 0.0:
            change = 0.0
            for j in range(n):
                change += mix[e, j] * (trial[j] - theta[j])
            trial[e] *= np.exp(-change)
    for i in range(n):
        trial[i] = min(max(trial[i], link.box[0, i]), link.box[1, i])


@kernel(inner=True)
def _boxed_step(
    theta: Array, derivative: Array, value: float, damping: float, link: Link, bent: bool, scratch: Newton
) -> bool:
    """Damped Newton step that ends inside the box; False when the model is not convex at this damping."""
    n, lower, upper = theta.size, link.box[0], link.box[1]
    step, fixed, held = scratch.vector[STEP], scratch.vector[FIXED], scratch.vector[HELD]
    for i in range(n):
        slope = derivative[n, i]
        outward = (theta[i] <= lower[i] and slope >= 0.0) or (theta[i] >= upper[i] and slope <= 0.0)
        unseen = derivative[n + 1, i] == 0.0  # a level without rows in this resample
        # A coordinate that cannot lower F in one step, such as those of a vanished term: its curvature is a rounding
        # error of either sign, and no damping would make it positive.
        gone = i >= link.n_floor and abs(slope) * GROWTH < TOLERANCE * value
        fixed[i] = 1.0 if outward or unseen or gone or held[i] != 0.0 else 0.0
        step[i] = 0.0
    for _ in range(n + 1):  # an active set that only grows, so at most n + 1 rounds
        if not _free_step(derivative, damping, link.n_floor, scratch):
            return False
        clipped = False
        for i in range(n):
            level = bent and scratch.pair[i, i] != 0.0
            change = _log_level(step[i]) if level else step[i]
            if fixed[i] == 0.0 and not lower[i] <= theta[i] + change <= upper[i]:
                change = (lower[i] if theta[i] + change < lower[i] else upper[i]) - theta[i]
                step[i] = _level(change) if level else change
                fixed[i] = 1.0
                clipped = True
        if not clipped:
            break
    return True


@kernel(inner=True)
def _shorten_and_gain(derivative: Array, damping: float, n_floor: int, scratch: Newton) -> float:
    """Shorten the step so that no term changes by more than exp(MAX_STEP); return the decrease of the damped model."""
    step, reach = scratch.vector[STEP], scratch.vector[REACH]
    n, longest, gain = derivative.shape[1], MAX_STEP, 0.0
    for i in range(n_floor, n):
        longest = max(longest, abs(step[i]) * reach[i])
    for i in range(n):
        step[i] *= MAX_STEP / longest
    for i in range(n):
        curve = damping * derivative[n + 1, i] * step[i]
        for j in range(n):
            curve += derivative[i, j] * step[j]
        gain -= step[i] * (derivative[n, i] + 0.5 * curve)
    return gain


@kernel(inner=True, inline="always")
def minimise(
    theta: Array,
    rows: DesignRows,
    link: Link,
    delta: float,
    log_space: bool,
    limit: int,
    work: Scratch,
    scratch: Newton,
) -> tuple[float, int, int]:
    """Minimise F from ``theta`` in place; return F, the status and the steps tried.

    Parameters
    ----------
    theta : array, shape (P,)
        Starting point inside the box; becomes the minimum.
    rows, link : DesignRows, Link
        The problem.
    delta : float
        Where the Huber loss turns linear; inf for least squares.
    log_space : bool
        Whether the target is the log of the response.
    limit : int
        Largest number of steps.
    work, scratch : Scratch, Newton
        Scratch arrays; ``scratch`` also has the fixed coordinates, the reach and the pairs.

    Returns
    -------
    value : float
        F at the minimum.
    status : int
        ``CONVERGED`` or ``STALLED``.
    iterations : int
        Steps tried.
    """
    trial, step = scratch.vector[TRIAL], scratch.vector[STEP]
    value, anchor, damping, quiet, fresh = np.inf, np.inf, 0.0, 0, True
    for i in range(theta.size):
        trial[i] = theta[i]
        step[i] = 0.0
    predicted, quiet_step = np.inf, False
    for iteration in range(limit):
        new = evaluate(trial, rows, link, delta, log_space, work)
        # near the optimum a step changes F by less than its rounding error, and still improves theta: accept it
        if new <= value or (quiet_step and damping <= SLIGHT and new <= value * (1.0 + 1e-12)):
            ratio = (value - new) / predicted if predicted > 0.0 else 1.0
            for i in range(theta.size):
                theta[i] = trial[i]
            value = new
            if ratio > 0.75:
                damping = damping / 10.0 if damping > 1e-9 else 0.0
            elif ratio < 0.25:
                damping = max(1e-4, damping * 3.0)
            fresh = True
        else:
            damping = max(1e-4, damping * 4.0)
        quiet = quiet + 1 if quiet_step else 0
        if quiet_step and damping <= SLIGHT:
            return value, CONVERGED, iteration
        if quiet >= QUIET:  # at a kink of the Huber loss or in a narrow valley damping can hide a possible gain
            if not value < anchor * (1.0 - 1e-12):
                return value, CONVERGED, iteration
            anchor, damping, quiet = value, 0.0, 0
        bent = iteration // PATIENCE % 2 == 1
        if fresh:
            derivatives(rows, link, delta, log_space, work)
            _hold_concave(work.derivative)
        if bent and (fresh or iteration % PATIENCE == 0):
            _bend(theta, work.derivative, link, scratch)
        fresh = False
        derivative = scratch.bent if bent else work.derivative
        while not _boxed_step(theta, derivative, value, damping, link, bent, scratch):
            damping = max(1e-4, damping * 2.0)
            if damping > 1e12:
                return value, STALLED, iteration
        predicted = _shorten_and_gain(derivative, damping, link.n_floor, scratch)
        # a step cut at the box can raise the model: a sign of too little damping, not of an optimum
        quiet_step = not abs(predicted) > TOLERANCE * value + 1e-300
        if quiet_step and 0.0 < damping <= SLIGHT:  # in a narrow valley even slight damping can hide a possible gain
            if _boxed_step(theta, derivative, value, 0.0, link, bent, scratch):
                predicted = _shorten_and_gain(derivative, 0.0, link.n_floor, scratch)
                quiet_step = not abs(predicted) > TOLERANCE * value + 1e-300
            else:
                _boxed_step(theta, derivative, value, damping, link, bent, scratch)
                _shorten_and_gain(derivative, damping, link.n_floor, scratch)
        if bent:
            _unbend(theta, link, scratch)
        else:
            for i in range(theta.size):
                trial[i] = theta[i] + step[i]
    return value, STALLED, limit
