"""What limits a fit, in words: each rule looks at one way in which a number can mislead."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.leastsq.covariance import chi_square_unit, row_influence
from scalefit.problem import Problem
from scalefit.records import NOT_CONVERGED, NOT_IDENTIFIED, Finding, Uncertainty
from scalefit.rounding import rounded
from scalefit.solver.curvature import Curvature
from scalefit.solver.design import MAX_EXPONENT
from scalefit.solver.search import Optimum

__all__ = ["Evidence", "diagnose"]

Array = NDArray[np.float64]

TRADE_OFF = 0.95  # |correlation| of two exponents
FLAT = 1e-10  # smallest eigenvalue of the scaled normal matrix
STEEP = 4.0
GONE = 1e-6  # a term's largest part of any prediction
SHORT = 10.0  # range of a column, as a factor
RIVAL = 3.84  # chi-square units (95%, one degree of freedom) within which another optimum competes
LEVERAGE = 1.5


class Evidence(NamedTuple):
    """All that the rules look at.

    Parameters
    ----------
    problem : Problem
        The problem.
    optima : tuple of Optimum
        Local optima, best first.
    point : array, shape (P,)
        The optimum in natural parameters.
    shape : Curvature
        The misfit there.
    spread : Uncertainty
        Errors.
    """

    problem: Problem
    optima: tuple[Optimum, ...]
    point: Array
    shape: Curvature
    spread: Uncertainty


def diagnose(evidence: Evidence) -> tuple[Finding, ...]:
    """Run every rule.

    Parameters
    ----------
    evidence : Evidence
        The fit.

    Returns
    -------
    tuple of Finding
        What breaks the result first, then warnings, then notes.
    """
    rules = (
        _convergence,
        _bounds,
        _vanished,
        _flat,
        _rivals,
        _trade_off,
        _ranges,
        _resamples,
        _leverage,
        _shared,
    )
    found = [finding for rule in rules for finding in rule(evidence)]
    found += [Finding("collinear_columns", "warning", text) for text in evidence.problem.remarks]
    order = {NOT_CONVERGED: 0, NOT_IDENTIFIED: 1, "warning": 2, "note": 3}
    return tuple(sorted(found, key=lambda finding: order[finding.severity]))


def _convergence(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.optima[0].converged:
        yield Finding(
            "not_converged",
            NOT_CONVERGED,
            "The best point found does not meet the stopping rule, so it is no certified optimum; "
            "simplify the law or look for columns that nearly coincide.",
        )


def _bounds(evidence: Evidence) -> Iterator[Finding]:
    problem = evidence.problem
    box = problem.design.link.box
    at_zero = [p for p, v in zip(problem.parameters, evidence.point, strict=True) if p.kind == "floor" and v <= 0]
    if at_zero:
        names = ", ".join(one.name for one in at_zero)
        yield Finding(
            "floor_at_zero",
            NOT_IDENTIFIED,
            f"The best fit has {names} = 0, its lower bound: these data do not identify a floor. "
            f"Read {names} as an upper limit, and the other numbers as those of a law without a floor.",
            tuple(one.key for one in at_zero),
        )
    for i, (parameter, value) in enumerate(zip(problem.parameters, evidence.optima[0].theta, strict=True)):
        if parameter.kind == "coefficient" and not box[0, i] < value < box[1, i]:
            yield Finding(
                "size_at_bound",
                NOT_IDENTIFIED,
                f"{parameter.name} is at a bound of the search: its term is negligible at the centre of the data and "
                "describes only rows at the edge; fit the law without it.",
                (parameter.key,),
            )
        if parameter.kind != "exponent":
            continue
        if value <= box[0, i]:
            yield Finding(
                "exponent_at_bound",
                NOT_IDENTIFIED,
                f"The exponent {parameter.name} is at its lower bound {rounded(value)}: the data show no fall along "
                "its column, and its term cannot be told from the floor.",
                (parameter.key,),
            )
        elif value >= box[1, i]:
            yield Finding(
                "exponent_at_bound",
                NOT_IDENTIFIED,
                f"The exponent {parameter.name} ran to its upper bound {MAX_EXPONENT:g}: its term only describes the "
                "rows with the extreme value of its column.",
                (parameter.key,),
            )
        elif abs(value) > STEEP:
            yield Finding(
                "steep_exponent",
                "warning",
                f"The exponent {parameter.name} = {rounded(value)} is steeper than {STEEP:g}; look for single rows "
                "that make it so.",
                (parameter.key,),
            )


def _vanished(evidence: Evidence) -> Iterator[Finding]:
    for term, share in zip(evidence.problem.law.terms, evidence.shape.share.T, strict=True):
        if share.max() < GONE:
            yield Finding(
                "term_vanished",
                NOT_IDENTIFIED,
                f"The term {term} vanished: it is at most {share.max():.0e} of any prediction, so its exponent means "
                "nothing; fit the law without it.",
                tuple(one.key for one in evidence.problem.parameters if one.coef in (term.coefficient, term.exponent)),
            )


def _flat(evidence: Evidence) -> Iterator[Finding]:
    jacobian = evidence.shape.jacobian[:, evidence.shape.free]
    size = np.sqrt((jacobian**2).sum(axis=0))
    if jacobian.shape[1] == 0 or not size.all():
        return
    values, vectors = np.linalg.eigh((jacobian / size).T @ (jacobian / size))
    if values[0] < FLAT * values[-1]:
        free = [one for one, is_free in zip(evidence.problem.parameters, evidence.shape.free, strict=True) if is_free]
        involved = [one for one, part in zip(free, vectors[:, 0], strict=True) if abs(part) > 0.1]
        names = ", ".join(one.name for one in involved)
        yield Finding(
            "flat_direction",
            NOT_IDENTIFIED,
            f"The data leave a combination of {names} open: it can change without any change of the "
            "predictions. Fix one of them, or use a smaller law.",
            tuple(one.key for one in involved),
        )


def _rivals(evidence: Evidence) -> Iterator[Finding]:
    """Another optimum that the data hardly reject, and that says something else."""
    best = evidence.optima[0]
    unit = chi_square_unit(evidence.shape, evidence.problem.design.rows.weight)
    for other in evidence.optima[1:]:
        if unit <= 0 or 2 * (other.value - best.value) / unit > RIVAL:
            return
        there = evidence.problem.design.to_natural(other.theta)
        far = np.abs(there - evidence.point) > evidence.spread.gauss_newton
        exponents = [i for i, p in enumerate(evidence.problem.parameters) if p.kind == "exponent" and far[i]]
        if exponents:
            moves = ", ".join(
                f"{evidence.problem.names[i]} = {rounded(there[i])} instead of {rounded(evidence.point[i])}"
                for i in exponents[:3]
            )
            yield Finding(
                "optima_disagree",
                "warning",
                f"Another local optimum fits nearly as well (objective {other.value / best.value - 1:.2%} higher) "
                f"with {moves}.",
            )
            return


def _trade_off(evidence: Evidence) -> Iterator[Finding]:
    covariance = evidence.spread.covariance
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(scale, scale)
    exponents = [i for i, parameter in enumerate(evidence.problem.parameters) if parameter.kind == "exponent"]
    for i, j in combinations(exponents, 2):
        if abs(correlation[i, j]) > TRADE_OFF:
            names = evidence.problem.names
            yield Finding(
                "exponents_trade_off",
                "warning",
                f"{names[i]} and {names[j]} trade off (correlation {rounded(correlation[i, j], 0.05)}): the data fix a "
                "combination of them better than either.",
            )


def _ranges(evidence: Evidence) -> Iterator[Finding]:
    problem = evidence.problem
    for k, term in enumerate(problem.law.terms):
        free = (problem.design.law.expo[:, k] >= 0).any()
        span = float(np.exp(np.ptp(problem.design.law.log_x[k])))
        if free and span < SHORT:
            yield Finding(
                "short_range",
                "warning",
                f"{term.variable} spans only a factor of {rounded(span, span / 10)}; an exponent from less than a "
                "decade leans on the assumed form of the law.",
            )


def _resamples(evidence: Evidence) -> Iterator[Finding]:
    spread, problem = evidence.spread, evidence.problem
    if spread.requested and spread.failed > 0:
        severity = "warning" if spread.failed > 0.01 * spread.requested else "note"
        yield Finding(
            "failed_resamples",
            severity,
            f"{spread.failed} of {spread.requested} refits did not converge and are left out.",
        )
    if problem.n_cluster < problem.n_rows and problem.n_cluster < 20:
        yield Finding(
            "few_clusters",
            "warning",
            f"There are only {problem.n_cluster} clusters; errors by cluster tend to be too small below about 20.",
        )
    elif problem.n_rows < 20:
        yield Finding(
            "few_rows",
            "warning",
            f"{problem.n_rows} rows are few: below about 20, errors and intervals are rough.",
        )
    if spread.draws is None:
        return
    seen = np.isfinite(spread.draws).mean(axis=0)
    if seen.min() < 1:
        rarest = int(np.argmin(seen))
        yield Finding(
            "level_missing_in_resamples",
            "warning" if seen.min() < 0.9 else "note",
            f"{1 - seen.min():.0%} of the resamples hold no row of {problem.names[rarest]}, whose errors come from the "
            "others.",
        )
    for i, parameter in enumerate(problem.parameters):
        share = float(np.mean(spread.draws[:, i] <= 0.0)) if parameter.kind == "floor" else 0.0
        if share > (1 - spread.level) / 2 and evidence.point[i] > 0:
            yield Finding(
                "floor_reaches_zero",
                "warning",
                f"{parameter.name} is 0 in {share:.0%} of the resamples: its interval is one-sided, and the "
                "data may not need a floor.",
            )


def _leverage(evidence: Evidence) -> Iterator[Finding]:
    plain = evidence.spread.gauss_newton
    if not evidence.shape.free.any():
        return
    ratio = np.divide(evidence.spread.se, plain, out=np.zeros_like(plain), where=plain > 0)
    worst = int(np.argmax(ratio))
    if not ratio[worst] > LEVERAGE:
        return
    problem = evidence.problem
    times = f"The standard error of {problem.names[worst]} is {rounded(float(ratio[worst]), 0.5)} times Gauss-Newton's"
    if problem.n_cluster < problem.n_rows:
        yield Finding("dependent_rows", "note", f"{times}: rows of one cluster share their error.")
        return
    influence = row_influence(evidence.shape, problem.design.rows.weight, worst)
    order = np.argsort(-influence)
    few = min(5, len(order))
    carried = float(influence[order[:few]].sum())
    yield Finding(
        "unequal_scatter",
        "note",
        f"{times}: rows scatter unequally or are not independent. {few} of {problem.n_rows} rows carry {carried:.0%} "
        "of its variance.",
    )


def _shared(evidence: Evidence) -> Iterator[Finding]:
    law = evidence.problem.law
    for coef in law.parameters:
        terms = [str(term) for term in law.terms if coef in (term.coefficient, term.exponent)]
        if len(terms) > 1:
            yield Finding("shared_parameter", "note", f"{coef} is one parameter, shared by {' and '.join(terms)}.")
    variables = [term.variable for term in law.terms]
    for name in dict.fromkeys(variables):
        if variables.count(name) > 1:
            yield Finding(
                "repeated_column",
                "note",
                f"{variables.count(name)} terms are powers of {name}; which of them comes first is a convention: here "
                "the one with the smaller exponent.",
            )
