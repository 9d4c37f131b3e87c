"""Published values compared with a fit: converted to its units, and evaluated with its objective."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from scalefit.data.datasets import PublishedValue, published_value
from scalefit.errors import DataError, StudyError, closest
from scalefit.law.additive import Coef
from scalefit.names import printed_level
from scalefit.problem import Parameter, predict_law
from scalefit.report.spec import Published
from scalefit.results import Fit

__all__ = ["PublishedPoint", "objective_at", "printed_number", "published_point"]

_UNIT: Final = re.compile(r"\bat (?P<size>[0-9.e+-]+) (?P<column>\w+)")


@dataclass(frozen=True)
class PublishedPoint:
    """The values of a paper for the parameters of one law.

    Parameters
    ----------
    label : str
        The name of the paper.
    values : mapping
        Value by the parameter's printed name, in the units of the table.
    errors : mapping
        Printed standard error by name, where there is one.
    complete : bool
        Whether every parameter of the law has a value.
    converted : tuple of str
        Parameters whose printed unit was a different one.
    """

    label: str
    values: Mapping[str, float]
    errors: Mapping[str, float]
    complete: bool
    converted: tuple[str, ...] = ()

    def number(self, name: str) -> tuple[float, float | None]:
        """Return a value and its printed error."""
        return self.values[name], self.errors.get(name)


def published_point(fit: Fit, paper: Published) -> PublishedPoint:
    """Collect a paper's numbers for the parameters of a fit.

    A coefficient printed for a variable counted in other units, such as hundredths of a layer, is converted:
    ``c / (x/u)^a = (c u^a) / x^a``.

    Parameters
    ----------
    fit : Fit
        The fit.
    paper : Published
        The paper; its key begins the keys of its values.

    Returns
    -------
    PublishedPoint
        Its numbers in the fit's units.

    Raises
    ------
    StudyError
        When the paper has no value for any parameter of the fit.
    """
    matched = {
        parameter.name: value for parameter in fit.parameters if (value := _lookup(paper.key, parameter)) is not None
    }
    if not matched:
        names = ", ".join(fit.names[:4])
        raise StudyError(f"no published value begins with {paper.key!r} and ends with a parameter of the fit ({names})")
    values = {name: number.value for name, number in matched.items()}
    errors = {name: number.uncertainty for name, number in matched.items() if number.uncertainty is not None}
    converted = []
    for name, number in matched.items():
        factor = _unit_factor(fit, name, number, values)
        if factor is not None:
            values[name] *= factor
            errors.pop(name, None)  # an error of the exponent would enter too
            converted.append(name)
    return PublishedPoint(paper.label, values, errors, len(matched) == len(fit.parameters), tuple(converted))


def printed_number(paper: Published, names: Sequence[str]) -> PublishedValue:
    """Return a paper's number for a parameter.

    Parameters
    ----------
    paper : Published
        The paper.
    names : sequence of str
        Possible names of the parameter; the first with a value is used.

    Returns
    -------
    PublishedValue
        As printed.

    Raises
    ------
    StudyError
        When it has no value for it.
    """
    for name in names:
        try:
            return published_value(f"{paper.key}.{name}")
        except DataError:
            continue
    words = " or ".join(f"{paper.key}.{name}" for name in names)
    raise StudyError(
        f"there is no published value {words} for {paper.label!r}; the shipped table published_values has them all"
    )


def objective_at(fit: Fit, values: Mapping[str, float], *, absolute: bool = False) -> float:
    """Evaluate the objective of a fit at other parameter values.

    Parameters
    ----------
    fit : Fit
        The fit whose rows and loss are used.
    values : mapping
        A value for every parameter, in the units of the table.
    absolute : bool
        Return the sum of absolute residuals in place of the loss of the fit.

    Returns
    -------
    float
        The sum over rows, comparable with ``fit.value``.
    """
    observed = fit.rows[fit.law.response].to_numpy(float)
    logs = {
        parameter.key: np.log(values[parameter.name]) if parameter.is_log else values[parameter.name]
        for parameter in fit.parameters
    }
    predicted = predict_law(fit.law, logs, fit.rows)
    r = np.abs(np.log(observed / predicted) if fit.objective.space == "log" else observed - predicted)
    weights = fit.objective.weights
    w = np.ones(len(r)) if weights is None else fit.rows[weights].to_numpy(float)
    if absolute:
        return float(w @ r)
    if fit.objective.loss == "squared":
        return float(w @ r**2)
    delta = float(fit.objective.delta or np.inf)
    return float(w @ np.where(r <= delta, r**2 / 2, delta * (r - delta / 2)))


def _lookup(key: str, parameter: Parameter) -> PublishedValue | None:
    """Find a parameter's value; levels are written ``E[OPT, wikitext]`` in the table."""
    level = f"[{printed_level(parameter.level, ', ')}]" if parameter.level else ""
    try:
        return published_value(f"{key}.{parameter.coef.name}{level}")
    except DataError:
        return None


def _unit_factor(fit: Fit, name: str, printed: PublishedValue, values: Mapping[str, float]) -> float | None:
    """Return the factor that converts a coefficient to the units of the table; None when it has them already."""
    unit = _UNIT.search(printed.unit)
    if unit is None:
        return None
    for term in fit.law.terms:
        if isinstance(term.coefficient, Coef) and term.coefficient.name == name:
            power = values[term.exponent.name] if isinstance(term.exponent, Coef) else float(term.exponent)
            return math.pow(float(unit["size"]), -power if term.grows else power)
    raise StudyError(
        f"{printed.key} has unit {printed.unit!r}, but {fit.law} has no such term; {closest(name, fit.names)}"
    )
