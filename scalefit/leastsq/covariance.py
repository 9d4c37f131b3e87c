"""Standard errors from the local shape of the misfit: Gauss-Newton, HC3, cluster sandwich.

At the optimum the fit is a linear regression of the pseudo-residual ``psi / mean(psi')`` on the Jacobian, with
coefficient zero. statsmodels then supplies the robust covariances (MacKinnon and White 1985; Liang and Zeger 1986).
"""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalefit.solver.curvature import Curvature

__all__ = ["gauss_newton", "row_influence", "sandwich"]

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
    return np.linalg.pinv(normal / np.outer(size, size), rcond=SINGULAR, hermitian=True) / np.outer(size, size)


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
    from statsmodels.regression.linear_model import OLS

    response, design = _pseudo(shape, weight)
    size = np.sqrt((design**2).sum(axis=0))
    size[size == 0] = 1.0
    model = OLS(response, design / size)
    with warnings.catch_warnings():  # statsmodels warns of an ill-conditioned design; the status says it better
        warnings.simplefilter("ignore")
        if cluster is None:
            fitted = model.fit(cov_type="HC3")
        else:
            fitted = model.fit(cov_type="cluster", cov_kwds={"groups": cluster})
        covariance = np.asarray(fitted.cov_params())
    return _expand(covariance / np.outer(size, size), shape.free)


def row_influence(shape: Curvature, weight: Array, parameter: int) -> Array:
    """Each row's part of one parameter's sandwich variance, shape (n,), summing to 1."""
    response, design = _pseudo(shape, weight)
    column = int(np.count_nonzero(shape.free[:parameter]))
    pull = (design @ _inverse(design.T @ design))[:, column] * response
    total = float(pull @ pull)
    return pull**2 / total if total > 0 else np.zeros(len(pull))
