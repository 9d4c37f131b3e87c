"""The likelihood of many draws at once, compiled.

With residuals ``r = log observed - log predicted`` of the rows of one cluster, their common shift ``s`` is
integrated out: ``integral of N(s; 0, tau) prod_i p(r_i - s; sigma) ds``. For normal errors that is a closed form; for
Student's t it is a trapezoid sum, which converges exponentially for a smooth integrand (Trefethen and Weideman 2014).
A row of weight w counts as w identical rows: its density enters to the power w.

All compiled functions of this package are in this file, because a cached function notices changes of its file only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.solver.compiled import kernel
from scalefit.solver.design import Array, DesignRows, Link
from scalefit.solver.objective import RESIDUAL, Scratch, evaluate, new_work
from scalefit.solver.vectormath import exp_inplace, log_into

__all__ = ["Blocks", "block_likelihoods", "build_blocks", "residual_blocks", "residual_rows"]

Index = NDArray[np.int64]

DEPTH = 20.0  # parts of an integrand below exp(-DEPTH) of its largest known value are omitted
STEP = 0.8  # trapezoid spacing in units of the narrowest possible peak
POLE = 0.5  # and at most in units of the distance of the integrand's poles from the real line, sigma sqrt(nu)
MOST_NODES = 2000  # reached only far from the posterior, where sigma is tiny
TALL = 1e150  # the logarithm of a product of row factors is taken before it exceeds this


class Blocks(NamedTuple):
    """DesignRows in the order of their clusters.

    Parameters
    ----------
    order : array of int, shape (n,)
        DesignRows, cluster by cluster.
    bounds : array of int, shape (C + 1,)
        Cluster c is ``order[bounds[c]:bounds[c + 1]]``.
    shifted : bool
        Whether the rows of a cluster share a shift; False for independent rows, which are all in one block.
    """

    order: Index
    bounds: Index
    shifted: bool


def build_blocks(cluster: Index | None, n: int) -> Blocks:
    """Order rows by cluster.

    Parameters
    ----------
    cluster : array of int, shape (n,), or None
        Cluster of each row, counted from 0; None for independent rows.
    n : int
        Number of rows.

    Returns
    -------
    Blocks
        The order.
    """
    if cluster is None:
        return Blocks(np.arange(n), np.array([0, n]), False)
    order = np.argsort(cluster, kind="stable")
    return Blocks(order, np.searchsorted(cluster[order], np.arange(cluster.max() + 2)), True)


@kernel(inner=True)
def _tail_sum(residual: Array, weight: Array, order: Index, lo: int, hi: int, shift: float, inverse: float) -> float:
    """Return the sum of ``w log(1 + (r - shift)^2 inverse)``; one logarithm is taken of the product of many rows."""
    product, total = 1.0, 0.0
    for place in range(lo, hi):
        i = order[place]
        factor = 1.0 + (residual[i] - shift) ** 2 * inverse
        if weight[i] == 1.0:
            product *= factor
            if product > TALL:
                total += np.log(product)
                product = 1.0
        elif weight[i] != 0.0:
            total += weight[i] * np.log(factor)
    return total + np.log(product)


@kernel()
def _shift_range(
    residual: Array, weight: Array, order: Index, lo: int, hi: int, sigma: float, nu: float, tau: float
) -> tuple[float, float, int, float]:
    """Return first node, spacing and number of nodes of a cluster's trapezoid sum, and a value of the log integrand."""
    mass, low, high = 0.0, np.inf, -np.inf
    for place in range(lo, hi):
        i = order[place]
        if weight[i] != 0.0:
            mass += weight[i]
            low, high = min(low, residual[i]), max(high, residual[i])
    inverse, power, middle = 1.0 / (nu * sigma * sigma), 0.5 * (nu + 1.0), 0.5 * (low + high)
    if mass == 0.0:
        low, high, middle = 0.0, 0.0, 0.0
    known = -power * _tail_sum(residual, weight, order, lo, hi, 0.0, inverse)
    other = -power * _tail_sum(residual, weight, order, lo, hi, middle, inverse) - 0.5 * (middle / tau) ** 2
    known = max(known, other)
    # beyond ``reach`` the prior, and further than ``far`` from all residuals the likelihood, is below exp(-DEPTH) known
    reach = tau * np.sqrt(2.0 * (DEPTH - known))
    far = np.sqrt(np.expm1(min(600.0, (DEPTH - known) / max(power * mass, 1e-300))) / inverse)
    start, stop = max(-reach, low - far), min(reach, high + far)
    # the largest second derivative of minus the log integrand is that at a shift equal to all residuals
    step = STEP / np.sqrt(1.0 / (tau * tau) + 2.0 * power * mass * inverse)
    step = min(step, POLE / np.sqrt(inverse))
    count = min(int((stop - start) / step) + 2, MOST_NODES)
    return start, (stop - start) / (count - 1), count, known


@kernel(inner=True, fastmath={"contract"})
def _student_block(
    residual: Array, weight: Array, order: Index, lo: int, hi: int, sigma: float, nu: float, tau: float, scratch: Array
) -> float:
    """Return the log of the integral over the shift of one cluster, for Student's t without its constant."""
    start, step, count, known = _shift_range(residual, weight, order, lo, hi, sigma, nu, tau)
    inverse, tails, product, logs = 1.0 / (nu * sigma * sigma), scratch[0], scratch[1], scratch[2]
    for node in range(count):
        tails[node] = 0.0
        product[node] = 1.0
    tallest = 1.0
    for place in range(lo, hi):
        r, w = residual[order[place]], weight[order[place]]
        factor = 1.0 + max(abs(start - r), abs(start + (count - 1) * step - r)) ** 2 * inverse
        if w != 1.0 or tallest * factor > TALL:
            log_into(product, count, logs)
            for node in range(count):
                tails[node] += logs[node]
                product[node] = 1.0
            tallest = 1.0
        for node in range(count):
            product[node] *= 1.0 + (r - (start + node * step)) ** 2 * inverse
        tallest *= factor
        if w != 1.0:
            log_into(product, count, logs)
            for node in range(count):
                tails[node] += w * logs[node]
                product[node] = 1.0
            tallest = 1.0
    log_into(product, count, logs)
    peak = known
    for node in range(count):
        shift = start + node * step
        tails[node] = -0.5 * (nu + 1.0) * (tails[node] + logs[node]) - 0.5 * (shift / tau) ** 2
        peak = max(peak, tails[node])
    for node in range(count):
        tails[node] -= peak
    exp_inplace(tails, count)
    total = 0.0
    for node in range(count):
        total += tails[node]
    return peak + np.log(total * step / (tau * np.sqrt(2.0 * np.pi)))


@kernel(inner=True)
def _normal_block(residual: Array, weight: Array, order: Index, lo: int, hi: int, sigma: float, tau: float) -> float:
    """Return the log of the integral over the shift of one cluster, for normal errors without their constant.

    The covariance of the rows is ``sigma^2 I + tau^2 1 1^T``, whose inverse and determinant are known (Sherman and
    Morrison 1950). Without a shift tau is 0.
    """
    mass, linear, square = 0.0, 0.0, 0.0
    for place in range(lo, hi):
        i = order[place]
        mass += weight[i]
        linear += weight[i] * residual[i]
        square += weight[i] * residual[i] ** 2
    gain = (tau / sigma) ** 2
    spread = 1.0 + gain * mass
    return -0.5 * (square - gain / spread * linear * linear) / (sigma * sigma) - 0.5 * np.log(spread)


@kernel(inner=True)
def _block(
    residual: Array, weight: Array, blocks: Blocks, c: int, scale: Array, student: bool, scratch: Array
) -> float:
    """Return the log likelihood of one block of rows, without the constants of the rows."""
    lo, hi = blocks.bounds[c], blocks.bounds[c + 1]
    if not student:
        return _normal_block(residual, weight, blocks.order, lo, hi, scale[0], scale[2])
    if blocks.shifted:
        return _student_block(residual, weight, blocks.order, lo, hi, scale[0], scale[1], scale[2], scratch)
    inverse = 1.0 / (scale[1] * scale[0] * scale[0])
    return -0.5 * (scale[1] + 1.0) * _tail_sum(residual, weight, blocks.order, lo, hi, 0.0, inverse)


@kernel()
def _fill_likelihoods(
    theta: Array,
    scale: Array,
    rows: DesignRows,
    link: Link,
    blocks: Blocks,
    student: bool,
    work: Scratch,
    scratch: Array,
    out: Array,
) -> None:
    for draw in range(theta.shape[0]):
        evaluate(theta[draw], rows, link, np.inf, True, work)
        for c in range(blocks.bounds.size - 1):
            value = _block(work.vector[RESIDUAL], rows.data[1], blocks, c, scale[draw], student, scratch)
            if out.shape[1] == 1:
                out[draw, 0] += value
            else:
                out[draw, c] = value


def block_likelihoods(
    theta: Array, scale: Array, rows: DesignRows, link: Link, blocks: Blocks, student: bool, out: Array
) -> None:
    """Fill ``out``, shape (R, C) or (R, 1) for the sum, with the log likelihoods of the blocks, without constants.

    Parameters
    ----------
    theta : array, shape (R, P)
        Centred parameters of the draws.
    scale : array, shape (R, 3)
        ``sigma``, ``nu`` and ``tau`` of the draws; 0 where the likelihood lacks one.
    rows, link : DesignRows, Link
        The problem.
    blocks : Blocks
        Rows by cluster.
    student : bool
        Student's t, else normal.
    out : array, shape (R, C) or (R, 1)
        Zeros, which are overwritten, or to which the blocks are added.
    """
    work = new_work(rows.data.shape[1], len(rows.u), theta.shape[1])
    _fill_likelihoods(theta, scale, rows, link, blocks, student, work, np.empty((3, MOST_NODES)), out)


@kernel()
def _fill_from_residuals(
    residual: Array, scale: Array, weight: Array, blocks: Blocks, student: bool, scratch: Array, out: Array
) -> None:
    for draw in range(residual.shape[0]):
        for c in range(blocks.bounds.size - 1):
            value = _block(residual[draw], weight, blocks, c, scale[draw], student, scratch)
            if out.shape[1] == 1:
                out[draw, 0] += value
            else:
                out[draw, c] = value


def residual_blocks(residual: Array, scale: Array, weight: Array, blocks: Blocks, student: bool, out: Array) -> None:
    """Fill ``out`` as :func:`block_likelihoods` does, from residuals, shape (R, n), of any law."""
    scratch = np.empty((3, MOST_NODES))
    _fill_from_residuals(np.ascontiguousarray(residual), scale, weight, blocks, student, scratch, out)


@kernel()
def _fill_residuals(theta: Array, rows: DesignRows, link: Link, work: Scratch, out: Array) -> None:
    for draw in range(theta.shape[0]):
        evaluate(theta[draw], rows, link, np.inf, True, work)
        for i in range(out.shape[1]):
            out[draw, i] = work.vector[RESIDUAL, i]


def residual_rows(theta: Array, rows: DesignRows, link: Link, out: Array) -> None:
    """Fill ``out``, shape (R, n), with log observed minus log predicted.

    Parameters
    ----------
    theta : array, shape (R, P)
        Centred parameters of the draws.
    rows, link : DesignRows, Link
        The problem.
    out : array, shape (R, n)
        Overwritten.
    """
    _fill_residuals(theta, rows, link, new_work(rows.data.shape[1], len(rows.u), theta.shape[1]), out)
