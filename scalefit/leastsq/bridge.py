"""The same problem for lmfit: bounds, ties between parameters, other minimisers, and a second opinion."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.law.declared import Declared
from scalefit.law.general import GeneralLaw
from scalefit.law.syntax import Expression, NameToken, as_python, names_in
from scalefit.law.tree import evaluate
from scalefit.names import Key, distinct
from scalefit.problem import Parameter, predict_law
from scalefit.results import Fit

if TYPE_CHECKING:
    import lmfit

__all__ = ["to_lmfit"]


def to_lmfit(fit: Fit) -> lmfit.Minimizer:
    """Hand a fit of any law to lmfit, started at its optimum.

    Use it for what the law language leaves out: other bounds, ``expr`` constraints between parameters,
    ``lmfit.conf_interval``. The parameters are those of the fit in its order, logs under names such as ``log_A``,
    with underscores for what a name of lmfit cannot hold and behind names that would be alike; the residuals are those
    of the fit, so that half their sum of squares is the objective, also for Huber's loss. Of a law in closed form they
    have its bounds; its fixed parameters do not vary until you let them, and its ties are lmfit's ``expr``.

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

    plain = [f"log_{parameter.name}" if parameter.is_log else parameter.name for parameter in fit.parameters]
    names = distinct(re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") for name in plain)
    parameters = lmfit.Parameters()
    for name, parameter, value in zip(names, fit.parameters, fit.point, strict=True):
        lower, upper = _bounds(fit, parameter)
        parameters.add(name, value=float(value), min=lower, max=upper)
    general = fit.law if isinstance(fit.law, GeneralLaw) and not fit.law.groups else None  # others hold nothing
    held = {} if general is None else _add_held(parameters, general, names)
    observed = fit.rows[fit.law.response].to_numpy(float)
    column = fit.objective.weights
    root = np.ones(len(observed)) if column is None else np.sqrt(fit.rows[column].to_numpy(float))

    def residual(trial: lmfit.Parameters) -> NDArray[np.float64]:
        values = {key: float(trial[name].value) for name, key in zip(names, fit.keys, strict=True)}
        if general is not None and held:
            fitted = _loose(general, values, {name: float(trial[own].value) for name, own in held.items()}, fit.rows)
        else:
            fitted = predict_law(fit.law, values, fit.rows)
        gap = np.log(observed / fitted) if fit.objective.space == "log" else observed - fitted
        return root * _pseudo_residual(gap, fit.objective.delta)

    return lmfit.Minimizer(residual, parameters, nan_policy="raise")


def _bounds(fit: Fit, parameter: Parameter) -> tuple[float, float]:
    """Return the bounds of an entry of the fit's vector."""
    if parameter.kind == "exponent" and fit.objective.exponents == "free":
        return -np.inf, np.inf
    lower, upper = fit.law.bounds(parameter.coef.name)
    if not parameter.is_log:
        return lower, upper
    with np.errstate(divide="ignore"):
        return float(np.log(lower)), float(np.log(upper))


def _add_held(parameters: lmfit.Parameters, law: GeneralLaw, names: Sequence[str]) -> dict[str, str]:
    """Add fixed and tied parameters of a law without groups, by their names in the law and here."""
    held = [declaration for declaration in law.declared if declaration.value is not None]
    own = dict(zip((tie.name for tie in held), distinct((f"{tie.name}" for tie in held), names), strict=True))
    spelled = {
        coef.name: f"exp({name})" if law.is_log(coef.name) else name
        for coef, name in zip(law.parameters, names, strict=True)
    } | own
    waiting = list(held)
    while waiting:  # a tie to another tie comes after it
        ready = [tie for tie in waiting if not any(inner.name in {w.name for w in waiting} for inner in _inner(tie))]
        for tie in ready:
            if any(True for _ in _inner(tie)):
                parameters.add(own[tie.name], expr=as_python(cast("Expression", tie.value), spelled))
            else:
                parameters.add(own[tie.name], value=float(evaluate(law.value_of(tie.name), {}, {})), vary=False)
        waiting = [tie for tie in waiting if tie not in ready]
    return own


def _inner(declaration: Declared) -> Iterator[NameToken]:
    return names_in(declaration.value) if declaration.value is not None else iter(())


def _loose(
    law: GeneralLaw, values: Mapping[Key, float], held: Mapping[str, float], rows: pd.DataFrame
) -> NDArray[np.float64]:
    """Predict with fixed and tied parameters at the values that lmfit gives them."""
    natural = {name: np.exp(value) if law.is_log(name) else value for (name, _), value in values.items()}
    columns = {name: rows[name].to_numpy(float) for name in law.variables}
    at = {name: np.asarray(value) for name, value in (natural | dict(held)).items()}
    return np.asarray(evaluate(law.loose_body, columns, at) + np.zeros(len(rows)))


def _pseudo_residual(gap: NDArray[np.float64], delta: float | None) -> NDArray[np.float64]:
    """Return the signed root of twice Huber's loss, whose square is what the fit minimises."""
    if delta is None:
        return gap
    size = np.abs(gap)
    return np.sign(gap) * np.sqrt(np.where(size <= delta, size**2, 2 * delta * size - delta**2))
