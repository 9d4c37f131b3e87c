"""Residuals and Jacobian of a closed-form law at a point, in the form that every standard error is made of."""

from __future__ import annotations

import numpy as np

from scalefit.closed.descent import Misfit
from scalefit.closed.design import Array, ClosedDesign
from scalefit.solver.curvature import Curvature

__all__ = ["closed_curvature", "closed_misfit"]


def closed_misfit(design: ClosedDesign, theta: Array, delta: float) -> float:
    """Return F at a vector, shape (P,)."""
    return float(Misfit(design.plain).value(theta[None], delta)[0])


def closed_curvature(design: ClosedDesign, theta: Array, delta: float) -> Curvature:
    """Evaluate the local shape of the misfit.

    Parameters
    ----------
    design : ClosedDesign
        The problem.
    theta : array, shape (P,)
        A vector.
    delta : float
        Where Huber's loss turns linear; inf for least squares.

    Returns
    -------
    Curvature
        With the Jacobian by the entries of the vector, and no terms. A logarithm so low that the prediction does not
        depend on it any more counts as at a bound.
    """
    misfit = Misfit(design.plain)
    residual = misfit.residual(theta[None])[0]
    jacobian = misfit.jacobian(theta[None])[0].T
    lower, upper = design.box
    free = (theta > lower) & (theta < upper)
    return Curvature(
        residual,
        np.clip(residual, -delta, delta),
        (np.abs(residual) <= delta).astype(float),
        jacobian,
        np.zeros((len(residual), 0)),
        free,
    )
