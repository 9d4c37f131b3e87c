"""What limits the fit of a law of any form: nothing certifies its optimum, and its data may not identify it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalefit.closed.identify import Loose, identify
from scalefit.closed_problem import ClosedProblem
from scalefit.leastsq.covariance import chi_square_unit
from scalefit.numbers import exact, percent, rounded, two_digits
from scalefit.problem import Parameter
from scalefit.quantiles import f_quantile
from scalefit.records import NOT_CONVERGED, NOT_IDENTIFIED, Finding
from scalefit.solver.curvature import Curvature
from scalefit.solver.search import Minimum
from scalefit.verdicts import Runs, listed, runs_of

__all__ = ["closed_findings"]

Array = NDArray[np.float64]

LEVEL: Final = 0.95  # of the likelihood ratio that another point must stay within
SHOWN: Final = 3  # parameters that a message names with their values


def closed_findings(
    problem: ClosedProblem, optima: Sequence[Minimum], point: Array, shape: Curvature, delta: float
) -> Iterator[Finding]:
    """Say what is wrong with a fit of a law of any form.

    Parameters
    ----------
    problem : ClosedProblem
        The problem.
    optima : sequence of Minimum
        Distinct optima, the best first.
    point : array, shape (P,)
        The best.
    shape : Curvature
        The misfit there.
    delta : float
        Where Huber's loss turns linear; inf for least squares.

    Yields
    ------
    Finding
        Each limit once.
    """
    limits = [*_bounds(problem, point), *_loose(problem, optima, shape, delta)]
    yield from _convergence(optima, loose=any(limit.severity == NOT_IDENTIFIED for limit in limits))
    yield from limits


def _convergence(optima: Sequence[Minimum], *, loose: bool) -> Iterator[Finding]:
    """Say how far to trust the search. Where the data leave the law loose, a descent that does not end follows."""
    best = optima[0]
    starts = sum(optimum.hits for optimum in optima)
    if not best.converged and loose:
        yield Finding.of(
            "still_falling",
            "warning",
            "The objective still falls, ever more slowly, along what the data leave open, so a best fit does not "
            "exist. The numbers are those where the search stopped.",
        )
    elif not best.converged:
        yield Finding.of(
            "not_converged",
            NOT_CONVERGED,
            "The best point found does not meet the stopping rule: another point may fit better, and the numbers are "
            "not those of the best fit. Fit a law with fewer parameters, or fix one (with NAME = VALUE).",
        )
    elif best.hits == 1 and starts > 1:
        yield Finding.of(
            "lonely_optimum",
            "warning",
            f"Only 1 of {exact(starts)} starts ended at the best point, so there may be a better one that none "
            "reached. Compare another --seed, or fit a law with fewer parameters.",
            starts=starts,
        )


def _names(parameters: Sequence[Parameter]) -> Runs:
    return listed([parameter.named for parameter in parameters], last=", ")


def _bounds(problem: ClosedProblem, point: Array) -> Iterator[Finding]:
    """Parameters at a bound: that of the law's author is a result, an assumed one may be too narrow."""
    assumed = {declaration.name for declaration in problem.law.assumed}
    at_zero: list[Parameter] = []
    for i, (parameter, value) in enumerate(zip(problem.parameters, point, strict=True)):
        lower, upper = problem.law.bounds(parameter.coef.name)
        natural = float(np.exp(value)) if parameter.is_log else float(value)
        bound = lower if value <= problem.lowest[i] else upper if value >= problem.highest[i] else None
        if bound is None:
            continue
        if parameter.is_log and (bound == 0 or not np.isfinite(bound)):
            yield Finding.of(
                "runs_off",
                NOT_IDENTIFIED,
                parameter.named,
                f" runs off to {two_digits(natural)}: the data do not identify it. Fix it (with "
                f"{parameter.coef.name} = VALUE), or fit a law without it.",
                value=natural,
            )
        elif bound == 0:
            at_zero.append(parameter)
        else:
            yield Finding.of(
                "at_declared_bound",
                "warning",
                parameter.named,
                f" is at its declared bound {exact(bound)}; without it the best fit would lie beyond. The other "
                "numbers are those of the law with this bound.",
                threshold=bound,
            )
    if at_zero:
        free = [parameter.coef.name for parameter in at_zero if parameter.coef.name in assumed]
        remedy = f" If it may be negative, say so: with {free[0]} free." if free else ""
        yield Finding.of(
            "at_zero",
            NOT_IDENTIFIED,
            "The best fit has ",
            _names(at_zero),
            f" = 0, its {'assumed' if free else 'declared'} bound: these data do not identify it. Read it as a limit, "
            f"and the other numbers as those of a law without it.{remedy}",
        )


def _loose(problem: ClosedProblem, optima: Sequence[Minimum], shape: Curvature, delta: float) -> Iterator[Finding]:
    """Say why the data do not determine the law: each kind of reason once."""
    quantile = f_quantile(LEVEL, 1, max(1, problem.n_rows - len(problem.parameters)))
    allowed = 0.5 * quantile * chi_square_unit(shape, problem.weight)
    reasons = identify(problem.design, tuple(optima), delta=delta, allowed=allowed)
    best, least = optima[0].theta, optima[0].value
    limit = allowed / least if least > 0 else None  # relative to the least, as the excess of another point
    for loose in reasons:
        if loose.reason == "singular":
            yield _flat(problem, loose)
    far = [loose for loose in reasons if loose.reason == "runs off"]
    if far:
        yield _far(problem, far, best, limit)
    moved = {loose.places[0] for loose in far}
    rival = next((loose for loose in reasons if loose.reason == "rival" and not set(loose.places) <= moved), None)
    if rival is not None:
        yield _rival(problem, rival, best, limit)


def _flat(problem: ClosedProblem, loose: Loose) -> Finding:
    involved = [problem.parameters[i] for i in loose.places]
    alone = len(involved) == 1
    return Finding.of(
        "flat_direction",
        NOT_IDENTIFIED,
        f"The data leave {'' if alone else 'a combination of '}",
        _names(involved),
        " open: it can change without any change of the predictions. Fix "
        f"{'it' if alone else 'one of them'} (with {involved[0].coef.name} = VALUE), or use a smaller law.",
    )


def _far(problem: ClosedProblem, far: Sequence[Loose], best: Array, limit: float | None) -> Finding:
    """Name the parameters that can go far, in one direction or in both."""
    ends: dict[int, list[str]] = {}
    for loose in far:
        place = loose.places[0]
        text = f"{_shown(problem.parameters[place], loose.theta[place])} (objective {_higher(loose.excess)})"
        ends.setdefault(place, []).append(text)
    about = {i: problem.parameters[i] for i in ends}
    others = [
        runs_of(parameter.named, f" = {_shown(parameter, best[i])} could as well be {' or '.join(ends[i])}")
        for i, parameter in about.items()
    ]
    return Finding.of(
        "runs_off",
        NOT_IDENTIFIED,
        "A parameter is not identified when it can go far at a cost within the scatter: ",
        listed(others, between="; ", last="; "),
        f". Fix it (with {next(iter(about.values())).coef.name} = VALUE), or add runs that depend on it."
        f"{_may_be_negative(problem, far, best)}",
        threshold=limit,
        excess=[loose.excess for loose in far],
    )


def _rival(problem: ClosedProblem, rival: Loose, best: Array, limit: float | None) -> Finding:
    order = sorted(rival.places, key=lambda i: -abs(float(rival.theta[i] - best[i])))[:SHOWN]
    moves = [
        runs_of(parameter.named, f" = {_shown(parameter, rival.theta[i])} instead of {_shown(parameter, best[i])}")
        for i, parameter in ((i, problem.parameters[i]) for i in order)
    ]
    return Finding.of(
        "optima_disagree",
        NOT_IDENTIFIED,
        f"Another optimum fits as well within the scatter (objective {_higher(rival.excess)}) with ",
        listed(moves, last=", "),
        ": these data do not identify the law. Fix a parameter, or add runs that tell the two apart.",
        also=[problem.parameters[i].key for i in rival.places],
        threshold=limit,
        excess=rival.excess,
    )


def _may_be_negative(problem: ClosedProblem, far: Sequence[Loose], best: Array) -> str:
    """Name a parameter that goes to 0 and was taken as positive without being declared so; empty without one."""
    assumed = {declaration.name for declaration in problem.law.assumed}
    for loose in far:
        parameter = problem.parameters[loose.places[0]]
        to_zero = parameter.is_log and loose.theta[loose.places[0]] < best[loose.places[0]]
        if to_zero and parameter.coef.name in assumed:
            name = parameter.coef.name
            return f" If {parameter.name} may be 0 or negative, say so: with {name} free."
    return ""


def _higher(excess: float) -> str:
    return f"{percent(max(excess, 0.0), 2)} higher"


def _shown(parameter: Parameter, value: float) -> str:
    return rounded(float(np.exp(value)) if parameter.is_log else float(value), digits=3)
