"""Standard errors from the local shape of the misfit: Gauss-Newton, HC3, cluster sandwich.

At a least-squares optimum the fit is a linear regression of the residual on the Jacobian, with coefficient zero, and
statsmodels supplies the robust covariances (MacKinnon and White 1985; Liang and Zeger 1986). Huber's loss needs
its own.
"""

from __future__ import annotations

import math
import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalefit.quantiles import normal_quantile
from scalefit.solver.curvature import Curvature

__all__ = ["chi_square_unit", "gauss_newton", "row_influence", "sandwich"]

Array = NDArray[np.float64]
SINGULAR: Final = 1e-12  # eigenvalues of the scaled normal matrix below this part of the largest are flat


def _pseudo(shape: Curvature, weight: Array) -> tuple[Array, Array]:
    """Pseudo-residual and Jacobian of the free parameters, both times the root of the weight."""
    root = np.sqrt(weight)
    scale = np.average(shape.curved, weights=weight)
    return root * shape.psi / max(scale, 1e-12), root[:, None] * shape.jacobian[:, shape.free]


def _expand(covariance: Array, free: NDArray[np.bool_]) -> Array:
    """Put the free block back among parameters at a bound, which get no error."""
    full = np.zeros((len(free), len(free)))
    full[np.ix_(free, free)] = covariance
    return full


def _inverse(normal: Array) -> Array:
    size = np.sqrt(np.diag(normal))
    size[size == 0] = 1.0
    scale = np.outer(size, size)
    inverse: Array = np.linalg.pinv(normal / scale, rcond=SINGULAR, hermitian=True) / scale
    return inverse


def chi_square_unit(shape: Curvature, weight: Array) -> float:
    """Return by how much F grows per unit of chi-square of a hypothesis.

    ``F(hypothesis) - F_min`` over half of this is the likelihood ratio for normal errors, and its robust analogue
    for Huber's loss (Schrader and Hettmansperger 1980).

    Parameters
    ----------
    shape : Curvature
        The misfit at the optimum.
    weight : array, shape (n,)
        Row weights.

    Returns
    -------
    float
        ``sum w psi^2 / (n - p) / mean psi'``.
    """
    degrees: int = max(1, len(weight) - shape.jacobian.shape[1])
    share = max(float(np.average(shape.curved, weights=weight)), 1e-12)

    return float(weight @ shape.psi**2) / (degrees * share)


def gauss_newton(shape: Curvature, weight: Array) -> Array:
    """Covariance for independent rows of equal scatter.

    Parameters
    ----------
    shape : Curvature
        The misfit at the optimum.
    weight : array, shape (n,)
        Row weights.

    Returns
    -------
    array, shape (P, P)
        ``k^2 s^2 (J^T W J)^-1`` with ``s^2 = sum w (psi / mean psi')^2 / (n - p)`` and the small-sample factor
        ``k = 1 + p/n var(psi') / mean(psi')^2`` (Huber 1981, equation 7.6.8; k = 1 for squares); zero for
        parameters at a bound.
    """
    response, design = _pseudo(shape, weight)
    rows, columns = int(np.count_nonzero(weight)), design.shape[1]
    share = max(float(np.average(shape.curved, weights=weight)), 1e-12)
    factor = 1 + columns / rows * (1 - share) / share
    variance = factor**2 * (response @ response) / max(1, rows - columns)
    return _expand(variance * _inverse(design.T @ design), shape.free)


def sandwich(shape: Curvature, weight: Array, cluster: NDArray[np.int64] | None = None) -> Array:
    """Robust covariance: HC3 for independent rows, cluster sandwich otherwise.

    Parameters
    ----------
    shape : Curvature
        The misfit at the optimum.
    weight : array, shape (n,)
        Row weights.
    cluster : array of int, shape (n,), optional
        Clusters.

    Returns
    -------
    array, shape (P, P)
        The covariance; zero for parameters at a bound.
    """
    free = shape.jacobian[:, shape.free]
    size = np.sqrt((free**2).sum(axis=0))
    size[size == 0] = 1.0
    scaled = shape._replace(jacobian=free / size)
    covariance = _regression(scaled, weight, cluster) if shape.curved.all() else _powell(scaled, weight, cluster)
    return _expand(covariance / np.outer(size, size), shape.free)


def _regression(shape: Curvature, weight: Array, cluster: NDArray[np.int64] | None) -> Array:
    """Every residual in the quadratic part: statsmodels' covariances of a linear regression."""
    from statsmodels.regression.linear_model import OLS

    root = np.sqrt(weight)
    model = OLS(root * shape.psi, root[:, None] * shape.jacobian)
    with warnings.catch_warnings():  # statsmodels warns of an ill-conditioned design; the status says it better
        warnings.simplefilter("ignore")
        if cluster is None:
            fitted = model.fit(cov_type="HC3")
        else:
            fitted = model.fit(cov_type="cluster", cov_kwds={"groups": cluster})
        return np.asarray(fitted.cov_params())


def _powell(shape: Curvature, weight: Array, cluster: NDArray[np.int64] | None) -> Array:
    """Huber's loss: the density of each row's residual near 0 takes the place of the second derivative.

    With a delta far below the scatter the loss is nearly L1, and ``mean(psi')`` would assume equal scatter; a
    uniform kernel of bandwidth h does not (Powell 1991; bandwidth of Hall and Sheather 1988).
    """
    n, delta = len(weight), float(np.abs(shape.psi).max())
    bandwidth = max(delta, _hall_sheather(shape.residual))
    density = weight * np.where(np.abs(shape.residual) <= bandwidth, delta / bandwidth, 0.0)
    jacobian = shape.jacobian
    bread = _inverse(jacobian.T @ (density[:, None] * jacobian))
    scores = (weight * shape.psi)[:, None] * jacobian
    if cluster is None:
        leverage = density * ((jacobian @ bread) * jacobian).sum(axis=1)
        scores = scores / (1 - np.minimum(leverage, 0.99))[:, None]
        factor = 1.0
    else:
        groups = int(cluster.max()) + 1
        scores = np.array([np.bincount(cluster, column, groups) for column in scores.T]).T
        factor = groups / (groups - 1) * (n - 1) / max(1, n - jacobian.shape[1])
    return factor * bread @ (scores.T @ scores) @ bread


def _hall_sheather(residual: Array) -> float:
    """Half-width of the kernel that estimates the residuals' density at the median."""
    n, z = len(residual), normal_quantile(0.975)
    reach = n ** (-1 / 3) * z ** (2 / 3) * (1.5 / (2 * math.pi)) ** (1 / 3)
    spread = min(float(np.std(residual)), float(np.subtract(*np.quantile(residual, [0.75, 0.25]))) / 1.34)
    return spread * (normal_quantile(min(0.5 + reach, 0.99)) - normal_quantile(max(0.5 - reach, 0.01)))


def row_influence(shape: Curvature, weight: Array, parameter: int) -> Array:
    """Each row's part of one parameter's sandwich variance, shape (n,), summing to 1."""
    response, design = _pseudo(shape, weight)
    column = int(np.count_nonzero(shape.free[:parameter]))
    pull = (design @ _inverse(design.T @ design))[:, column] * response
    total = float(pull @ pull)
    return pull**2 / total if total > 0 else np.zeros(len(pull))
