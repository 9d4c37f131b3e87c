"""Residuals and Jacobian of a closed-form law at a point, in the form that every standard error is made of."""

from __future__ import annotations

import numpy as np

from scalefit.closed.descent import Misfit
from scalefit.closed.design import Array, ClosedDesign
from scalefit.solver.curvature import Curvature

__all__ = ["closed_curvature"]


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
        With the Jacobian by the entries of the vector, and no terms. What is at 0, or at a logarithm so low that the
        prediction does not depend on it any more, counts as known. What is at another declared bound does not: the data
        hardly know it better than those in which it is not, and intervals that hold it there do not cover the others.
    """
    misfit = Misfit(design.plain)
    residual = misfit.residual(theta[None])[0]
    jacobian = misfit.jacobian(theta[None])[0].T
    lower, upper = design.box
    inside = (theta > lower) & (theta < upper)
    declared = np.where(theta >= upper, design.upper, design.lower)  # the bound where it is not inside
    free = inside | (np.isfinite(declared) & (declared != 0))
    return Curvature(
        residual,
        np.clip(residual, -delta, delta),
        (np.abs(residual) <= delta).astype(float),
        jacobian,
        np.zeros((len(residual), 0)),
        free,
    )
