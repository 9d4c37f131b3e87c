"""The same problem for lmfit: bounds, ties between parameters, other minimisers, and a second opinion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scalefit.names import distinct
from scalefit.problem import predict_law
from scalefit.results import Fit

if TYPE_CHECKING:
    import lmfit

__all__ = ["to_lmfit"]


def to_lmfit(fit: Fit) -> lmfit.Minimizer:
    """Hand a fit to lmfit, started at its optimum.

    Use it for what the law language leaves out: other bounds, ``expr`` constraints between parameters,
    ``lmfit.conf_interval``. The parameters are floors, logs of coefficients (``log_A``) and exponents, in the order of
    the fit, with underscores for what a name of lmfit cannot hold and behind names that would be alike; the residuals
    are those of the fit, so that half their sum of squares is the objective, also for Huber's loss.

    Parameters
    ----------
    fit : Fit
        A fit of this package.

    Returns
    -------
    lmfit.Minimizer
        ``to_lmfit(fit).minimize()`` returns an ``lmfit`` result.
    """
    import lmfit

    plain = [f"log_{one.name}" if one.is_log else one.name for one in fit.parameters]
    names = distinct(re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") for name in plain)
    parameters = lmfit.Parameters()
    for name, parameter, value in zip(names, fit.parameters, fit.point, strict=True):
        bounded = parameter.kind == "floor" or (parameter.kind == "exponent" and fit.objective.exponents != "free")
        parameters.add(name, value=float(value), min=0.0 if bounded else -np.inf)
    observed = fit.rows[fit.law.response].to_numpy(float)
    column = fit.objective.weights
    root = np.ones(len(observed)) if column is None else np.sqrt(fit.rows[column].to_numpy(float))

    def residual(trial: lmfit.Parameters) -> NDArray[np.float64]:
        values = {key: float(trial[name].value) for name, key in zip(names, fit.keys, strict=True)}
        fitted = predict_law(fit.law, values, fit.rows)
        gap = np.log(observed / fitted) if fit.objective.space == "log" else observed - fitted
        return root * _pseudo_residual(gap, fit.objective.delta)

    return lmfit.Minimizer(residual, parameters, nan_policy="raise")


def _pseudo_residual(gap: NDArray[np.float64], delta: float | None) -> NDArray[np.float64]:
    """Return the signed root of twice Huber's loss, whose square is what the fit minimises."""
    if delta is None:
        return gap
    size = np.abs(gap)
    return np.sign(gap) * np.sqrt(np.where(size <= delta, size**2, 2 * delta * size - delta**2))
