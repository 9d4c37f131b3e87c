"""Residuals and Jacobian at an optimum, in natural parameters: the input of every standard error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.solver.batch import evaluate_at
from scalefit.solver.design import Array, Design
from scalefit.solver.objective import RESIDUAL, TOTAL

__all__ = ["Curvature", "curvature_at"]


class Curvature(NamedTuple):
    """Residuals, derivatives of the loss and the Jacobian at one point.

    Parameters
    ----------
    residual : array, shape (n,)
        Target minus prediction (logs in log space).
    psi : array, shape (n,)
        Derivative of the loss at each residual.
    curved : array, shape (n,)
        Second derivative of the loss: 1 in the quadratic part, 0 beyond.
    jacobian : array, shape (n, P)
        Derivative of the (log) prediction with respect to floors, log coefficients and exponents.
    share : array, shape (n, K)
        Each term as a share of the prediction.
    free : array of bool, shape (P,)
        Parameters that are not at a bound.
    """

    residual: Array
    psi: Array
    curved: Array
    jacobian: Array
    share: Array
    free: NDArray[np.bool_]


def curvature_at(design: Design, theta: Array, delta: float) -> Curvature:
    """Evaluate residuals, derivatives of the loss and the Jacobian.

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
    Curvature
        In natural parameters.
    """
    rows, link = design.rows, design.link
    n, n_terms = rows.data.shape[1], len(rows.u)
    _, work = evaluate_at(design, theta, delta=delta)
    segment = np.repeat(np.arange(len(rows.bounds) - 1), np.diff(rows.bounds))
    centred = np.zeros((n, len(theta)))
    for part in range(1 + 2 * n_terms):
        for slot in range(3):
            index, factor = link.position[segment, part, slot], link.factor[segment, part, slot]
            used = np.flatnonzero(index >= 0)
            centred[used, index[used]] += factor[used] * work.jacobian[part, used]
    residual = work.vector[RESIDUAL]
    return Curvature(
        residual,
        np.clip(residual, -delta, delta),
        (np.abs(residual) <= delta).astype(float),
        # d theta / d natural is the inverse of I + N, which is I - N, because N^2 = 0: only coefficients are shifted
        centred @ (2 * np.eye(len(theta)) - design.natural_matrix()),
        (work.size.reshape(n_terms, n) / work.vector[TOTAL]).T,
        (theta > link.box[0]) & (theta < link.box[1]),
    )
