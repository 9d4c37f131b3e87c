"""The certified search for a law of any form that is a sum of powers in parameters of its own."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.closed.descent import Misfit, descend
from scalefit.closed_problem import ClosedProblem
from scalefit.law.additive import Coef, Law, Term
from scalefit.law.powers import PowerForm
from scalefit.problem import Problem, build_problem
from scalefit.solver.search import Minimum, search

__all__ = ["certified_optima"]

Array = NDArray[np.float64]

STEPS: Final = 60  # of Newton from the certified optimum, which differs by rounding
TINY: Final = 1e-300  # in place of an exponent 0, whose logarithm is held


def certified_optima(problem: ClosedProblem, *, delta: float, seed: int) -> tuple[Minimum, ...]:
    """Search for the optimum as of a sum of powers, with a computed column for each product of columns.

    Parameters
    ----------
    problem : ClosedProblem
        A problem for which :func:`scalefit.problem.is_certified` is true.
    delta : float
        Where Huber's loss turns linear; inf for least squares.
    seed : int
        Seed of the search.

    Returns
    -------
    tuple of Minimum
        Distinct optima, the best first, in vectors of the problem.

    Raises
    ------
    DataError
        When the rows cannot identify the law, naming the product or the level.
    """
    form = problem.law.powers
    assert form is not None
    powers = _sum_of_powers(problem, form)
    minima = search(powers.design, delta=delta, seed=seed)
    theta = np.array([_back(problem, form, powers, minimum.theta) for minimum in minima])
    # the law's parameters have rounding errors of the conversion, which a few exact steps take out
    system = problem.design.centred
    ends = descend(
        Misfit(system), system.from_vector(np.clip(theta, *problem.design.box)), delta=delta, exact=True, limit=STEPS
    )
    theta = np.clip(system.to_vector(ends.z), *problem.design.box)
    optima = [
        Minimum(point, float(value), minimum.converged, minimum.hits)
        for point, value, minimum in zip(theta, ends.value, minima, strict=True)
    ]
    optima.sort(key=lambda optimum: optimum.value)
    return tuple(optima)


def _sum_of_powers(problem: ClosedProblem, form: PowerForm) -> Problem:
    """Bind the sum of powers to the rows, with labels in place of levels."""
    design = problem.design
    columns = {
        str(term): np.exp(sum(power * np.log(design.columns[name]) for name, power in term.product))
        for term in form.terms
    }
    response, weight, level = (f"{what} of the law {problem.law}" for what in ("response", "weight", "level"))
    columns |= {response: design.response, weight: design.weight}
    for name, codes in design.codes.items():
        columns[f"{level} {name}"] = np.array([f"{code:09d}" for code in codes], dtype=object)

    def coef(name: str) -> Coef:
        return Coef(name, (f"{level} {name}",) if name in design.codes else ())

    floor = coef(form.floor) if isinstance(form.floor, str) else form.floor
    terms = [
        Term(
            coef(term.coefficient) if term.coefficient else Fraction(np.exp(term.offset)),
            str(term),
            coef(term.exponent) if term.exponent else Fraction(1),
        )
        for term in form.terms
    ]
    law = Law(response, Fraction(floor) if isinstance(floor, float) else floor, tuple(terms))
    return build_problem(law, pd.DataFrame(columns), space="log" if design.log_space else "linear", weights=weight)


def _back(problem: ClosedProblem, form: PowerForm, powers: Problem, theta: Array) -> Array:
    """Return the vector of the law's parameters from one of the sum of powers, which has logs of coefficients."""
    solved: dict[str, list[float]] = {}
    for parameter, value in zip(powers.parameters, powers.to_natural(theta), strict=True):
        solved.setdefault(parameter.coef.name, []).append(float(value))
    values = {name: np.array(levels) for name, levels in solved.items()}
    vector = {name: np.log(np.maximum(values[name], TINY)) for name in {term.exponent for term in form.terms} - {""}}
    if isinstance(form.floor, str):
        vector[form.floor] = values[form.floor]
    for term in form.terms:
        if term.coefficient:
            exponent = values.get(term.exponent, np.ones(1))
            moved = values[term.coefficient] - term.offset
            if term.shift:
                moved = moved - term.shift * exponent
            vector[term.coefficient] = moved / (term.power * (exponent if term.inside else 1.0))
    return np.concatenate([vector[name] for name in problem.design.parameters])
