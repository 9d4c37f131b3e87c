"""The misfit ``F = sum_i w_i rho(residual_i)`` and its exact first and second derivatives.

``rho(r) = r^2/2`` for ``|r| <= delta`` and ``delta |r| - delta^2/2`` beyond (Huber 1964); ``delta = inf`` is least
squares. With ``psi = rho'``, the residual ``r = t - g(theta)`` and ``J = dg/dtheta``::

    F'  = - sum w psi J
    F'' =   sum w (psi' J J^T - psi g'')        log space: g = log f, g'' = f''/f - J J^T

The Hessian is exact; its majoriser's diagonal ``sum w (psi/r) J^2`` scales the damping in :mod:`newton`.
The loops are explicit because they are compiled: each is one pass over contiguous rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scalefit.solver.compiled import kernel
from scalefit.solver.design import Array, DesignRows, Link
from scalefit.solver.vectormath import exp_inplace, log_into

__all__ = ["Scratch", "derivatives", "evaluate", "new_work"]

SUMS = {"reassoc", "contract", "nsz"}  # allow sums to be reordered for vector instructions, but keep NaN and inf
TOTAL, RESIDUAL, PSI, QUAD, LIN, STEEP, UNIT = range(7)  # rows of Scratch.vector


class Scratch(NamedTuple):
    """Scratch arrays of one thread.

    Parameters
    ----------
    size : array, shape (K n,)
        The terms, one after the other.
    vector : array, shape (7, n)
        Prediction, residual, rho', row factors of the Hessian's parts and of the majoriser, ones.
    jacobian : array, shape (1 + 2 K, n)
        Derivative of the (log) prediction with respect to the local parameters.
    derivative : array, shape (P + 2, P)
        Hessian, then gradient, then majoriser with respect to theta.
    local : array, shape (1 + 2 K, 3 + 2 K)
        Hessian, gradient and majoriser of one segment.
    """

    size: Array
    vector: Array
    jacobian: Array
    derivative: Array
    local: Array


def new_work(n: int, n_terms: int, n_parameters: int) -> Scratch:
    """Allocate the scratch arrays for n rows.

    Parameters
    ----------
    n, n_terms, n_parameters : int
        Rows, terms and parameters of the problem.

    Returns
    -------
    Scratch
        Zeros.
    """
    n_local = 1 + 2 * n_terms
    vector = np.zeros((7, n))
    vector[UNIT] = 1.0
    return Scratch(
        np.zeros(n_terms * n),
        vector,
        np.zeros((n_local, n)),
        np.zeros((n_parameters + 2, n_parameters)),
        np.zeros((n_local, n_local + 2)),
    )


@kernel(inner=True, fastmath=SUMS)
def _misfit(target: Array, weight: Array, fitted: Array, delta: float, residual: Array, psi: Array, n: int) -> float:
    total = 0.0
    for i in range(n):
        residual[i] = target[i] - fitted[i]
        psi[i] = min(max(residual[i], -delta), delta)
        total += weight[i] * psi[i] * (residual[i] - 0.5 * psi[i])  # both branches of rho in one expression
    return total


@kernel(inner=True)
def evaluate(theta: Array, rows: DesignRows, link: Link, delta: float, log_space: bool, work: Scratch) -> float:
    """Return F at theta; fill the terms, the prediction, residuals and psi in ``work``.

    Parameters
    ----------
    theta : array, shape (P,)
        Centred parameters.
    rows, link : DesignRows, Link
        The problem.
    delta : float
        Where the Huber loss turns linear; inf for least squares.
    log_space : bool
        Whether the target is the log of the response.
    work : Scratch
        Scratch arrays.

    Returns
    -------
    float
        The sum over rows.
    """
    data, bounds, position, factor = rows.data, rows.bounds, link.position, link.factor
    n, n_terms = bounds[-1], data.shape[0] - 2
    size, total, fitted = work.size, work.vector[TOTAL], work.vector[TOTAL]
    local = work.local[0]  # unused until the derivatives are computed
    for s in range(bounds.size - 1):
        lo, hi = bounds[s], bounds[s + 1]
        if lo < 0:  # never; see _dot3
            continue
        for part in range(1 + 2 * n_terms):
            local[part] = link.constant[s, part]
            for slot in range(3):
                j = position[s, part, slot]
                if j >= 0:
                    local[part] += factor[s, part, slot] * theta[j]
        floor = local[0]
        for i in range(hi - lo):
            total[lo + i] = floor
        for k in range(n_terms):
            b, a = local[1 + 2 * k], local[2 + 2 * k]
            u, start = data[2 + k], k * n + lo
            for i in range(hi - lo):
                size[start + i] = b + a * u[lo + i]
    exp_inplace(size, n_terms * n)
    for k in range(n_terms):
        for i in range(n):
            total[i] += size[k * n + i]
    if log_space:
        fitted = work.vector[LIN]
        log_into(total, n, fitted)
    return _misfit(data[0], data[1], fitted, delta, work.vector[RESIDUAL], work.vector[PSI], n)


@kernel(inner=True, inline="always")
def _row_factors(rows: DesignRows, delta: float, log_space: bool, work: Scratch) -> None:
    """Fill the row factors of the derivatives and the local Jacobian."""
    n, data, size, jacobian, vector = rows.bounds[-1], rows.data, work.size, work.jacobian, work.vector
    total, residual, psi, flat = vector[TOTAL], vector[RESIDUAL], vector[PSI], jacobian[0]
    lin, quad, steep = vector[LIN], vector[QUAD], vector[STEEP]
    for i in range(n):
        distance, weight = abs(residual[i]), data[1, i]
        flat[i] = 1.0 / total[i] if log_space else 1.0
        lin[i] = weight * psi[i]
        quad[i] = (weight if distance <= delta else 0.0) + (lin[i] if log_space else 0.0)
        # psi / r is the weight of iteratively reweighted least squares; 1 for |r| <= delta
        steep[i] = weight if distance <= delta else weight * delta / distance
    for k in range(data.shape[0] - 2):
        share, slope = jacobian[1 + 2 * k], jacobian[2 + 2 * k]
        for i in range(n):
            share[i] = size[k * n + i] * flat[i]
            slope[i] = share[i] * data[2 + k, i]


@kernel(inner=True, fastmath=SUMS)
def _dot3(x: Array, y: Array, z: Array, lo: int, hi: int) -> float:
    total = 0.0
    if lo < 0:  # never true, but it tells the compiler that no index wraps around, so that it vectorises the loop:
        return total  # together with a loop from 0 this is 25 times faster
    for i in range(hi - lo):
        total += x[lo + i] * y[lo + i] * z[lo + i]
    return total


@kernel(inner=True, inline="always")
def _segment_sums(rows: DesignRows, work: Scratch, lo: int, hi: int) -> None:
    """Fill ``work.local`` with one segment's Hessian, gradient and majoriser."""
    local, jac, vector = work.local, work.jacobian, work.vector
    lin, quad, steep, unit = vector[LIN], vector[QUAD], vector[STEEP], vector[UNIT]
    n_local = jac.shape[0]
    for p in range(n_local):
        for q in range(p, n_local):
            local[p, q] = _dot3(quad, jac[p], jac[q], lo, hi)
            local[q, p] = local[p, q]
        local[p, n_local] = -_dot3(lin, jac[p], unit, lo, hi)
        local[p, n_local + 1] = _dot3(steep, jac[p], jac[p], lo, hi)
    for b in range(1, n_local, 2):  # -psi f'' of a term t = exp(b + a u): t_bb = t, t_ba = t u, t_aa = t u^2
        a = b + 1
        local[b, b] += local[b, n_local]
        local[b, a] += local[a, n_local]
        local[a, b] += local[a, n_local]
        local[a, a] -= _dot3(lin, jac[a], rows.data[2 + b // 2], lo, hi)


@kernel(inner=True)
def derivatives(rows: DesignRows, link: Link, delta: float, log_space: bool, work: Scratch) -> None:
    """Fill ``work.derivative`` for the theta of the last :func:`evaluate`.

    Parameters
    ----------
    rows, link, delta, log_space
        As for :func:`evaluate`.
    work : Scratch
        As :func:`evaluate` filled it.
    """
    _row_factors(rows, delta, log_space, work)
    out, local, n_local = work.derivative, work.local, work.jacobian.shape[0]
    n, bounds, position, factors = out.shape[1], rows.bounds, link.position, link.factor
    for i in range(n + 2):
        for j in range(n):
            out[i, j] = 0.0
    for s in range(bounds.size - 1):
        if bounds[s] == bounds[s + 1]:
            continue
        _segment_sums(rows, work, bounds[s], bounds[s + 1])
        for p in range(n_local):
            for slot in range(3):
                i = position[s, p, slot]
                if i < 0:
                    break
                factor = factors[s, p, slot]
                out[n, i] += factor * local[p, n_local]
                out[n + 1, i] += factor * factor * local[p, n_local + 1]
                for q in range(n_local):
                    for other in range(3):
                        j = position[s, q, other]
                        if j < 0:
                            break
                        out[i, j] += factor * factors[s, q, other] * local[p, q]
