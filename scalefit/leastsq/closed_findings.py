"""What limits the fit of a law of any form: nothing certifies its optimum, and its data may not identify it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalefit.closed_problem import ClosedProblem
from scalefit.leastsq.covariance import chi_square_unit
from scalefit.names import Key
from scalefit.numbers import exact, fixed, percent, rounded, two_digits
from scalefit.problem import Parameter
from scalefit.records import NOT_CONVERGED, NOT_IDENTIFIED, Finding, Uncertainty
from scalefit.solver.curvature import Curvature
from scalefit.solver.search import Minimum

__all__ = ["closed_findings"]

Array = NDArray[np.float64]

FLAT: Final = 1e-10  # smallest eigenvalue of the scaled normal matrix, relative to the largest
IDLE: Final = 1e-9  # of the largest change of any prediction by a unit of a logarithm: it has run off
RIVAL: Final = 3.84  # chi-square units (95%, one degree of freedom) within which another optimum competes
FAR: Final = 2.0  # Gauss-Newton errors beyond which it says something else
WIDEST: Final = 2.0  # 95% interval of an exponent, as for sums of power terms
DECADES: Final = 2.0  # 95% interval of a positive parameter at the centre of the data
SOME: Final = 500  # draws that the widths are taken from
SHOWN: Final = 3  # parameters that a message names with their values


def closed_findings(
    problem: ClosedProblem, optima: Sequence[Minimum], point: Array, shape: Curvature, spread: Uncertainty, seed: int
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
    spread : Uncertainty
        Errors.
    seed : int
        Of the draws that stand for errors without replicates.

    Yields
    ------
    Finding
        Each limit once.
    """
    yield from _convergence(optima)
    at_bound = yield from _bounds(problem, point)
    gone = yield from _idle(problem, shape, at_bound)
    yield from _flat(problem, shape, gone)
    yield from _rivals(problem, optima, shape, spread)
    yield from _widths(problem, point, spread, {*at_bound, *gone}, seed)


def _convergence(optima: Sequence[Minimum]) -> Iterator[Finding]:
    best = optima[0]
    starts = sum(one.hits for one in optima)
    if not best.converged:
        yield Finding(
            "not_converged",
            NOT_CONVERGED,
            "The best point found does not meet the stopping rule: another point may fit better, and the numbers are "
            "not those of the best fit. Fit a law with fewer parameters, or fix one (with NAME = VALUE).",
        )
    elif best.hits == 1 and starts > 1:
        yield Finding(
            "lonely_optimum",
            "warning",
            f"Only 1 of {exact(starts)} starts ended at the best point, so there may be a better one that none "
            "reached. Compare another --seed, or fit a law with fewer parameters.",
        )


def _keys(parameters: Sequence[Parameter]) -> tuple[Key, ...]:
    return tuple(one.key for one in parameters)


def _names(parameters: Sequence[Parameter]) -> str:
    return ", ".join(one.name for one in parameters)


def _bounds(problem: ClosedProblem, point: Array) -> Generator[Finding, None, set[int]]:
    """Parameters at a bound: that of the law's author is a result, an assumed one may be too narrow."""
    assumed = {one.name for one in problem.law.assumed}
    at_zero: list[Parameter] = []
    found: set[int] = set()
    for i, (parameter, value) in enumerate(zip(problem.parameters, point, strict=True)):
        lower, upper = problem.law.bounds(parameter.coef.name)
        natural = float(np.exp(value)) if parameter.is_log else float(value)
        bound = lower if value <= problem.lowest[i] else upper if value >= problem.highest[i] else None
        if bound is None:
            continue
        found.add(i)
        if parameter.is_log and (bound == 0 or not np.isfinite(bound)):
            yield Finding(
                "runs_off",
                NOT_IDENTIFIED,
                f"{parameter.name} runs off to {two_digits(natural)}: the data do not identify it. Fix it (with "
                f"{parameter.coef.name} = VALUE), or fit a law without it.",
                (parameter.key,),
            )
        elif bound == 0:
            at_zero.append(parameter)
        else:
            yield Finding(
                "at_declared_bound",
                "warning",
                f"{parameter.name} is at its declared bound {exact(bound)}; without it the best fit would lie beyond. "
                "The other numbers are those of the law with this bound.",
                (parameter.key,),
            )
    if at_zero:
        free = [one.coef.name for one in at_zero if one.coef.name in assumed]
        remedy = f" If it may be negative, say so: with {free[0]} free." if free else ""
        yield Finding(
            "at_zero",
            NOT_IDENTIFIED,
            f"The best fit has {_names(at_zero)} = 0, its {'assumed' if free else 'declared'} bound: these data do not "
            f"identify it. Read it as a limit, and the other numbers as those of a law without it.{remedy}",
            _keys(at_zero),
        )
    return found


def _idle(
    problem: ClosedProblem, shape: Curvature, at_bound: set[int]
) -> Generator[Finding, None, set[int]]:
    """Parameters on which no prediction depends."""
    reach = np.abs(shape.jacobian).max(axis=0)
    scale = max(float(reach.max()), 1e-300)
    gone = {i for i, one in enumerate(problem.parameters) if reach[i] < IDLE * scale and i not in at_bound}
    if gone:
        idle = [problem.parameters[i] for i in sorted(gone)]
        yield Finding(
            "no_effect",
            NOT_IDENTIFIED,
            f"At the best fit no prediction depends on {_names(idle)}: the data do not identify "
            f"{'it' if len(idle) == 1 else 'them'}. Fit a law without, or fix {idle[0].name} (with "
            f"{idle[0].coef.name} = VALUE).",
            _keys(idle),
        )
    return gone


def _flat(problem: ClosedProblem, shape: Curvature, gone: set[int]) -> Iterator[Finding]:
    """A combination of parameters along which the scaled Hessian is singular."""
    free = [i for i in np.flatnonzero(shape.free) if i not in gone]
    jacobian = np.sqrt(problem.weight)[:, None] * shape.jacobian[:, free]
    size = np.sqrt((jacobian**2).sum(axis=0))
    if not free or not size.all() or not np.isfinite(size).all():
        return
    values, vectors = np.linalg.eigh((jacobian / size).T @ (jacobian / size))
    if values[0] < FLAT * values[-1]:
        involved = [problem.parameters[i] for i, part in zip(free, vectors[:, 0], strict=True) if abs(part) > 0.1]
        yield Finding(
            "flat_direction",
            NOT_IDENTIFIED,
            f"The data leave a combination of {_names(involved)} open: it can change without any change of the "
            f"predictions. Fix one of them (with {involved[0].coef.name} = VALUE), or use a smaller law.",
            _keys(involved),
        )


def _rivals(
    problem: ClosedProblem, optima: Sequence[Minimum], shape: Curvature, spread: Uncertainty
) -> Iterator[Finding]:
    """Another optimum that the likelihood ratio does not reject, and that says something else."""
    best = optima[0]
    unit = chi_square_unit(shape, problem.weight)
    for other in optima[1:]:
        if unit <= 0 or 2 * (other.value - best.value) / unit > RIVAL:
            return
        far = np.abs(other.theta - best.theta) > FAR * np.maximum(spread.gauss_newton, 1e-9)
        if not far.any():
            continue
        order = [int(i) for i in np.argsort(-np.abs(other.theta - best.theta) * far)[: min(SHOWN, far.sum())]]
        moves = ", ".join(
            f"{problem.names[i]} = {_shown(problem.parameters[i], other.theta[i])} instead of "
            f"{_shown(problem.parameters[i], best.theta[i])}"
            for i in order
        )
        yield Finding(
            "optima_disagree",
            NOT_IDENTIFIED,
            f"Another optimum fits as well within the scatter (objective {percent(other.value / best.value - 1, 2)} "
            f"higher) with {moves}: these data do not identify the law. Fix a parameter, or add runs that tell them "
            "apart.",
            _keys([problem.parameters[i] for i in np.flatnonzero(far)]),
        )
        return


def _shown(parameter: Parameter, value: float) -> str:
    return rounded(float(np.exp(value)) if parameter.is_log else float(value), digits=3)


def _widths(
    problem: ClosedProblem, point: Array, spread: Uncertainty, known: set[int], seed: int
) -> Iterator[Finding]:
    """Parameters whose interval leaves them open, whatever the optimum looks like."""
    draws = spread.draws
    if spread.withheld or (draws is None and not np.isfinite(spread.covariance).all()):
        return
    if draws is None:
        rng = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(spread.covariance)
        draws = point + rng.standard_normal((SOME, len(point))) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    draws = np.clip(draws[:: max(1, len(draws) // SOME)], problem.lowest, problem.highest)
    draws = draws[np.isfinite(draws).all(axis=1)]
    if len(draws) < SOME // 10:
        return
    centred = problem.design.centred.from_vector(draws)
    wide, unbounded = [], []
    for i, parameter in enumerate(problem.parameters):
        if i in known or not parameter.is_log:
            continue
        if parameter.coef.name in problem.law.exponents:
            lo, hi = np.exp(np.quantile(draws[:, i], [0.025, 0.975]))
            if hi - lo > WIDEST:
                wide.append((parameter, f"{parameter.name} [{two_digits(lo)}, {two_digits(hi)}]"))
            continue
        decades = float(np.ptp(np.quantile(centred[:, i], [0.025, 0.975]))) / np.log(10)
        if decades > DECADES:
            unbounded.append((parameter, f"{parameter.name} ({fixed(min(decades, 99.0), 1)} decades)"))
    if wide:
        yield Finding(
            "wide_exponent",
            NOT_IDENTIFIED,
            f"An exponent is not identified when its 95% interval is wider than {exact(WIDEST)}: "
            f"{', '.join(text for _, text in wide)}. Fix it (with {wide[0][0].coef.name} = VALUE), or add runs over a "
            "wider range.",
            _keys([one for one, _ in wide]),
        )
    if unbounded:
        yield Finding(
            "open_parameter",
            NOT_IDENTIFIED,
            f"A positive parameter is not identified when it is open by more than {exact(DECADES)} decades at the "
            f"centre of the data: {', '.join(text for _, text in unbounded)}. Fix it (with "
            f"{unbounded[0][0].coef.name} = VALUE), or add runs that depend on it.",
            _keys([one for one, _ in unbounded]),
        )
