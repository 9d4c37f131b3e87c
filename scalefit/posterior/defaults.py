"""The prior of each parameter: weakly informative by default, replaceable by name.

A prior is on the number that the name means in the law, with one exception: a coefficient's prior is on the *size of
its term at the centre of the data*, ``A / x0^alpha`` with ``x0`` the geometric mean of the column. That number is a
part of the loss and does not depend on the units of the table; a raw coefficient is 10^2 or 10^20 depending on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from scalefit.errors import DataError, closest
from scalefit.law.additive import Coef
from scalefit.names import Key, printed_name, read_name, spread_name
from scalefit.numbers import as_input, to_digits
from scalefit.posterior.priors import (
    Gamma,
    HalfNormal,
    Normal,
    Prior,
    Uniform,
    parse_prior,
    positive,
)
from scalefit.problem import Parameter, Problem

__all__ = [
    "COMMON",
    "LARGE_LOSS",
    "SCALES",
    "SCALE_PRIORS",
    "SPREAD",
    "any_sign",
    "extra_parameters",
    "priors_by_key",
    "resolve_priors",
]

SCALES = (
    "sigma",
    "nu",
    "tau",
)  # scatter of a row, degrees of freedom, standard deviation of a cluster's shift
SCALE_PRIORS: Mapping[str, Prior] = MappingProxyType(
    {"sigma": HalfNormal(0.1), "nu": Gamma(2.0, 0.1), "tau": HalfNormal(0.02)}
)
COMMON, SPREAD = "common", "spread"
LARGE_LOSS = 10.0  # a geometric-mean response above this widens the prior of the terms' sizes


def extra_parameters(student: bool, shifted: bool, pooled: tuple[Coef, ...]) -> tuple[Parameter, ...]:
    """Return the parameters of a posterior that are not in the law.

    Parameters
    ----------
    student : bool
        Whether the likelihood is Student's t.
    shifted : bool
        Whether clusters share a shift.
    pooled : tuple of Coef
        Partly pooled parameters.

    Returns
    -------
    tuple of Parameter
        ``sigma, nu, tau`` as needed, the common value of each pooled parameter, then the spreads.
    """
    used = [name for name, have in zip(SCALES, (True, student, shifted), strict=True) if have]
    scales = [Parameter(Coef(name), (), "scale") for name in used]
    commons = [Parameter(Coef(coef.name), (), COMMON) for coef in pooled]
    spreads = [Parameter(Coef(spread_name(coef.name)), (), SPREAD) for coef in pooled]
    return (*scales, *commons, *spreads)


def any_sign(parameter: Parameter, problem: Problem) -> bool:
    """Whether a parameter may be negative: an exponent, or the common value of exponents, if the fit allows it."""
    own = {other.kind for other in problem.parameters if other.coef.name == parameter.coef.name}
    return problem.free_sign and parameter.kind in ("exponent", COMMON) and "exponent" in own


def resolve_priors(
    problem: Problem, extras: tuple[Parameter, ...], given: Mapping[str, str | Prior] | Mapping[Key, str] | None
) -> dict[Key, Prior]:
    """Assign a prior to every parameter.

    Parameters
    ----------
    problem : Problem
        Law and data.
    extras : tuple of Parameter
        From :func:`extra_parameters`.
    given : mapping, optional
        Name to prior: ``alpha`` for all levels, or ``alpha[OPT]`` or ``("alpha", ("OPT",))`` for one.

    Returns
    -------
    dict of (str, tuple of str) to Prior
        By coefficient and level; members of a partly pooled parameter have no separate priors.

    Raises
    ------
    DataError
        For a name that has no prior, a prior that contradicts the parameter, or one that excludes the data.
    """
    pooled = {extra.coef.name for extra in extras if extra.kind == COMMON}
    own = [parameter for parameter in problem.parameters if parameter.coef.name not in pooled]
    parameters = [*own, *extras]
    known = {parameter.key for parameter in parameters} | {(parameter.coef.name, ()) for parameter in parameters}
    _check_collisions(problem)
    chosen = priors_by_key(given or {}, known)
    resolved: dict[Key, Prior] = {}
    for parameter in parameters:
        text = chosen.get(parameter.key, chosen.get((parameter.coef.name, ())))
        prior = _default(parameter, problem) if text is None else parse_prior(text)
        if not any_sign(parameter, problem):
            prior = positive(prior, parameter.name)
        if parameter.kind == "floor":
            _check_floor(parameter, prior, problem)
        resolved[parameter.key] = prior
    return resolved


def priors_by_key(given: Mapping[Any, str | Prior], known: set[Key]) -> dict[Key, str | Prior]:
    """Read the names that priors are given for, and refuse those that are not known."""
    chosen: dict[Key, str | Prior] = {}
    for name, prior in given.items():
        printed = name if isinstance(name, str) else printed_name(*name)
        try:
            key = read_name(name)
        except ValueError as error:
            raise DataError(f"cannot give a prior to {error}") from None
        if key not in known:
            names = [printed_name(*key) for key in known]
            raise DataError(f"there is no parameter {printed!r} to give a prior; {closest(printed, names)}")
        chosen[key] = prior
    return chosen


def _default(parameter: Parameter, problem: Problem) -> Prior:
    """Return the default prior of a parameter."""
    if parameter.kind == "floor":
        return Uniform(0.0, _lowest(parameter, problem))
    if parameter.kind == "coefficient":
        size = float(np.exp(np.mean(np.log(problem.design.law.response))))
        return HalfNormal(1.0 if size <= LARGE_LOSS else to_digits(size, 1))
    if parameter.kind == "exponent":
        return Normal(0.0, 1.0) if problem.free_sign else HalfNormal(1.0)
    if parameter.kind == COMMON:
        members = [member for member in problem.parameters if member.coef.name == parameter.coef.name]
        if members[0].kind == "exponent":
            return _default(members[0], problem)
        return Uniform(0.0, max(_lowest(member, problem) for member in members))
    if parameter.kind == SPREAD:
        return HalfNormal(0.5)
    return SCALE_PRIORS[parameter.coef.name]


def _lowest(parameter: Parameter, problem: Problem) -> float:
    """Return the lowest observed response among the rows of a floor."""
    law = problem.design.law
    code = problem.parameters.index(parameter)
    used = np.repeat(law.floor, np.diff(law.bounds)) == code
    return float(law.response[used].min())


def _check_collisions(problem: Problem) -> None:
    for parameter in problem.law.parameters:
        if parameter.name in SCALES:
            raise DataError(
                f"the law's parameter {parameter.name!r} has the name of a scale of the likelihood; "
                "rename it in the law"
            )


def _check_floor(parameter: Parameter, prior: Prior, problem: Problem) -> None:
    lowest = _lowest(parameter, problem)
    if prior.support[0] >= lowest:
        raise DataError(
            f"the prior {prior} of {parameter.name} excludes the data: it starts at {as_input(prior.support[0])}, "
            f"but the lowest {problem.law.response} is {as_input(lowest)} and a floor lies below it"
        )
