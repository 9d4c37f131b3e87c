"""What limits a fit, in words: each rule looks at one way in which a number can mislead."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.binding import AnyProblem
from scalefit.closed_problem import ClosedProblem
from scalefit.leastsq.closed_findings import closed_findings
from scalefit.leastsq.covariance import chi_square_unit, row_influence
from scalefit.misfit import (
    carriers_message,
    carriers_of,
    checkpoints_message,
    mixture_message,
    mixture_of,
    named_rows,
    repeats_message,
    repeats_of,
)
from scalefit.numbers import exact, fixed, percent, rounded, rounded_interval, to_digits
from scalefit.problem import Parameter, Problem
from scalefit.quantiles import normal_quantile
from scalefit.records import NOT_CONVERGED, NOT_IDENTIFIED, Finding, Uncertainty
from scalefit.solver.curvature import Curvature
from scalefit.solver.design import LEAST_LOG_SIZE, MAX_EXPONENT
from scalefit.solver.search import Minimum
from scalefit.thresholds import (
    CARRIER_SHARE,
    FEW_CLUSTERS,
    FEW_ROWS,
    FEWEST_RESAMPLED,
    FLAT_DIRECTION,
    INVOLVED,
    LONELY_START,
    MANY_TIMES,
    MOST_FAILED,
    OPEN_DECADES,
    RARE_LEVEL,
    RIVAL_OPTIMUM,
    SHORT_RANGE,
    STEEP_EXPONENT,
    TRADE_OFF,
    UNEQUAL_SCATTER,
    VANISHED_TERM,
    WIDE_EXPONENT,
)
from scalefit.verdicts import listed, runs_of

__all__ = ["FitState", "diagnose"]

Array = NDArray[np.float64]


class FitState(NamedTuple):
    """All that the rules look at.

    Parameters
    ----------
    problem : Problem or ClosedProblem
        The problem.
    optima : tuple of Minimum
        Local optima, best first.
    point : array, shape (P,)
        The optimum in natural parameters.
    shape : Curvature
        The misfit there.
    spread : Uncertainty
        Errors.
    frame : DataFrame
        The rows used, with all columns of the table, in its order.
    cluster : str or None
        The column of clusters.
    delta : float
        Where Huber's loss turns linear; inf for least squares.
    """

    problem: AnyProblem
    optima: tuple[Minimum, ...]
    point: Array
    shape: Curvature
    spread: Uncertainty
    frame: pd.DataFrame
    cluster: str | None = None
    delta: float = np.inf

    @property
    def terms_problem(self) -> Problem:
        """The problem of a sum of power terms; TypeError for another, whose rules do not ask."""
        if not isinstance(self.problem, Problem):
            raise TypeError("a law of this form has no terms")
        return self.problem

    @property
    def residuals(self) -> Array:
        """Residuals in the order of the frame, shape (n,)."""
        return self.in_table(self.shape.residual)

    @property
    def weights(self) -> Array:
        """Row weights in the order of the frame, shape (n,)."""
        return self.in_table(self.problem.weight)

    def in_table(self, values: Array) -> Array:
        """Bring values of the sorted rows into the order of the frame."""
        out = np.empty_like(values)
        out[self.problem.order] = values
        return out

    def rows(self, places: NDArray[np.int64]) -> tuple[int, ...]:
        """Row numbers in the table of rows of the design."""
        return tuple(int(self.frame.index[self.problem.order[i]]) for i in places)


def diagnose(evidence: FitState) -> tuple[Finding, ...]:
    """Run every rule.

    Parameters
    ----------
    evidence : FitState
        The fit.

    Returns
    -------
    tuple of Finding
        What breaks the result first, then warnings, then notes.
    """
    if isinstance(evidence.problem, ClosedProblem):
        return _ordered([*_of_closed(evidence, evidence.problem)])
    rules = (
        _convergence,
        _numbers,
        _resamples,
        _bounds,
        _vanished,
        _flat,
        _widths,
        _repeats,
        _carriers,
        _rivals,
        _trade_off,
        _ranges,
        _few,
        _missing_levels,
        _bounds_of_resamples,
        _leverage,
        _clusters,
        _checkpoints,
        _shared,
    )
    findings = [finding for rule in rules for finding in rule(evidence)]
    findings += [
        Finding.of("collinear_columns", "warning", f"{text} Add runs in which they differ, or leave one out.")
        for text in evidence.problem.remarks
    ]
    findings += _starts(evidence, findings)
    return _ordered(findings)


def _of_closed(evidence: FitState, problem: ClosedProblem) -> Iterator[Finding]:
    """Run the rules for a law of any form: its own, and those that do not look at terms."""
    yield from closed_findings(problem, evidence.optima, evidence.point, evidence.shape, evidence.delta)
    for rule in (_numbers, _resamples, _repeats, _carriers, _few, _missing_levels, _leverage, _clusters, _checkpoints):
        yield from rule(evidence)


def _ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """Put what breaks the result first, then warnings, then notes."""
    order = {NOT_CONVERGED: 0, NOT_IDENTIFIED: 1, "warning": 2, "note": 3}
    return tuple(sorted(findings, key=lambda finding: order[finding.severity]))


def _convergence(evidence: FitState) -> Iterator[Finding]:
    best = evidence.optima[0]
    starts = sum(optimum.hits for optimum in evidence.optima)
    quadratic = int(evidence.shape.curved.sum())
    kinked = quadratic <= len(evidence.point) and quadratic < evidence.problem.n_rows
    if not best.converged:
        yield Finding.of(
            "not_converged",
            NOT_CONVERGED,
            "The best point found does not meet the stopping rule: another point may fit better, and the numbers are "
            "not those of the best fit. Fit a law with fewer parameters, leave out one of two columns that nearly "
            "coincide, or fix an exponent.",
        )
    elif kinked and _lonely(evidence):
        yield Finding.of(
            "kinks",
            NOT_CONVERGED,
            f"The threshold delta of the Huber loss is far below the scatter: {quadratic} rows lie within it, so that "
            f"the objective has a kink wherever the fit passes a row, and only 1 of {starts} starts reached the best "
            "point. Another point may fit better; use a larger delta.",
            rows_within=quadratic,
            starts=starts,
        )


def _lonely(evidence: FitState) -> bool:
    """Whether one start reached the best point and another stopped just above it."""
    best, *others = evidence.optima
    return best.hits == 1 and len(others) > 0 and others[0].value <= best.value * (1 + LONELY_START)


def _starts(evidence: FitState, findings: list[Finding]) -> Iterator[Finding]:
    """Where starts disagree about a fit that is not identified, or one alone reached it, a better point may exist."""
    hits = [optimum.hits for optimum in evidence.optima]
    bad = {finding.severity for finding in findings}
    doubtful = (NOT_IDENTIFIED in bad and hits[0] < sum(hits) / 2) or _lonely(evidence)
    if doubtful and NOT_CONVERGED not in bad and len(hits) > 1:
        yield Finding.of(
            "starts_disagree",
            "warning",
            f"Only {hits[0]} of {sum(hits)} starts ended at the best point; the others ended at {len(hits) - 1} worse "
            "ones. So there may be a better point that none reached, and the numbers need not be those of the best "
            "fit. Fit a law with fewer parameters, or compare another --seed.",
            ended_here=hits[0],
            starts=sum(hits),
        )


def _numbers(evidence: FitState) -> Iterator[Finding]:
    """Numbers that are not finite: never a result."""
    spread = evidence.spread
    values = [evidence.point] if spread.withheld else [evidence.point, spread.se, spread.lo, spread.hi]
    bad: NDArray[np.bool_] = np.logical_not(np.isfinite(values).all(axis=0))
    if bad.any():
        open_ones = [p.named for p, is_bad in zip(evidence.problem.parameters, bad, strict=True) if is_bad]
        yield Finding.of(
            "not_finite",
            NOT_IDENTIFIED,
            "The estimate or interval of ",
            listed(open_ones, last=", "),
            " is not finite: the data leave it open. Fit a law without it, or add runs that differ in its column.",
        )


def _widths(evidence: FitState) -> Iterator[Finding]:
    """Parameters that the interval does not identify, whatever the optimum looks like."""
    problem, spread = evidence.problem, evidence.spread
    if spread.withheld:
        return
    wide = [
        (parameter, lo, hi)
        for i, parameter in enumerate(problem.parameters)
        if parameter.kind == "exponent"
        for lo, hi in [_interval(spread, i)]
        if np.isfinite(hi - lo) and hi - lo > WIDE_EXPONENT
    ]
    if wide:
        shown = [runs_of(p.named, f" {rounded_interval(lo, hi)}") for p, lo, hi in wide]
        yield Finding.of(
            "wide_exponent",
            NOT_IDENTIFIED,
            f"An exponent is not identified when its 95% interval is wider than {exact(WIDE_EXPONENT)}: ",
            listed(shown, last=", "),
            ". Fix it, fit the law without its term, or add runs over a wider range of its column.",
            threshold=WIDE_EXPONENT,
            widths=[hi - lo for _, lo, hi in wide],
        )
    sizes = tuple(_open_sizes(evidence))
    if sizes:
        shown = [runs_of(parameter.named, f" ({_decades(decades)})") for parameter, decades in sizes]
        yield Finding.of(
            "open_coefficient",
            NOT_IDENTIFIED,
            f"A coefficient is not identified when the size of its term is open by more than {exact(OPEN_DECADES)} "
            "decades even at the centre of the data: ",
            listed(shown, last=", "),
            ". Fit the law without this term, or add runs in which it is large.",
            threshold=OPEN_DECADES,
            decades=[decades for _, decades in sizes],
        )


def _decades(number: float) -> str:
    return f"more than {fixed(MANY_TIMES, 0)} decades" if number > MANY_TIMES else f"{fixed(number, 1)} decades"


def _interval(spread: Uncertainty, i: int) -> tuple[float, float]:
    """Return the 95% interval of a parameter, whatever the level of those printed."""
    if spread.draws is not None:
        seen = spread.draws[~np.isnan(spread.draws[:, i]), i]
        lo, hi = np.quantile(seen, [0.025, 0.975]) if len(seen) else (np.nan, np.nan)
    else:
        if not np.isfinite([spread.lo[i], spread.hi[i]]).all():
            return float(spread.lo[i]), float(spread.hi[i])
        scale = normal_quantile(0.975) / normal_quantile((1 + spread.level) / 2)
        centre = 0.5 * (spread.lo[i] + spread.hi[i])
        lo, hi = centre + scale * (spread.lo[i] - centre), centre + scale * (spread.hi[i] - centre)
    return float(lo), float(hi)


def _open_sizes(evidence: FitState) -> Iterator[tuple[Parameter, float]]:
    """Coefficients whose term is open at the centre of the data, and by how many decades."""
    problem, spread = evidence.terms_problem, evidence.spread
    design = problem.design
    if spread.draws is not None:
        sizes = design.from_natural(spread.draws)
        widths = np.array(
            [
                np.ptp(np.quantile(size[~np.isnan(size)], [0.025, 0.975])) if not np.isnan(size).all() else np.nan
                for size in sizes.T
            ]
        )
    else:
        centred = np.linalg.inv(design.natural_matrix())
        variance = np.einsum("ij,jk,ik->i", centred, spread.covariance, centred)
        widths = 2 * normal_quantile(0.975) * np.sqrt(np.maximum(variance, 0.0))
    for parameter, width in zip(problem.parameters, widths, strict=True):
        if parameter.kind == "coefficient" and width > OPEN_DECADES * np.log(10) and np.isfinite(width):
            yield parameter, float(width / np.log(10))


def _repeats(evidence: FitState) -> Iterator[Finding]:
    """Rows of one setting whose responses differ far beyond the scatter, and the column that separates them."""
    problem, frame = evidence.problem, evidence.frame
    logs = problem.design.log_space
    repeats = repeats_of(problem.law, frame, evidence.residuals, parameters=len(problem.parameters), log_space=logs)
    if repeats is not None:
        text = repeats_message(problem.law, frame, repeats, log_space=logs)
        yield Finding.of("repeats_differ", "warning", text, rows=repeats.rows, gap=repeats.gap, scatter=repeats.rest)
        if repeats.column is not None:
            return
    tangent = evidence.in_table(evidence.shape.jacobian[:, evidence.shape.free])
    mixture = mixture_of(problem.law, frame, evidence.residuals, tangent, leave_out=evidence.cluster)
    if mixture is not None:
        text = mixture_message(problem.law, frame, mixture, log_space=logs)
        yield Finding.of("mixed_rows", "warning", text, gap=mixture.gap, explained=mixture.explained)


def _carriers(evidence: FitState) -> Iterator[Finding]:
    """Name the few rows that carry the misfit; Huber's loss limits what they can do."""
    problem, frame = evidence.problem, evidence.frame
    psi, residual = evidence.in_table(evidence.shape.psi), evidence.residuals
    share = evidence.weights * psi * (residual - 0.5 * psi)
    carriers = carriers_of(np.sqrt(evidence.weights) * residual, share, frame.index.to_numpy())
    if carriers is None:
        return
    robust = not evidence.shape.curved.all()
    text = carriers_message(
        problem.law, frame, carriers, residual, log_space=problem.design.log_space, robust=robust
    )  # fmt: skip
    severity = "note" if robust else "warning"
    yield Finding.of("rows_carry_misfit", severity, text, rows=carriers.rows, share=carriers.share)


def _bounds(evidence: FitState) -> Iterator[Finding]:
    """Parameters at an end of their range: a floor at 0, a term too small to see, an exponent at either end."""
    problem = evidence.terms_problem
    lowest, highest = problem.design.link.box
    negligible = float(np.log(np.average(problem.design.law.response))) - LEAST_LOG_SIZE
    at_zero = [p for p, v in zip(problem.parameters, evidence.point, strict=True) if p.kind == "floor" and v <= 0]
    if at_zero:
        names = listed([parameter.named for parameter in at_zero], last=", ")
        yield Finding.of(
            "floor_at_zero",
            NOT_IDENTIFIED,
            "The best fit has ",
            names,
            " = 0, its lower bound: these data do not identify a floor. Read ",
            names,
            " as an upper limit, and the other numbers as those of a law without a floor.",
        )
    for i, (parameter, value) in enumerate(zip(problem.parameters, evidence.optima[0].theta, strict=True)):
        if parameter.kind == "coefficient" and not negligible < value < highest[i]:
            yield Finding.of(
                "size_at_bound",
                NOT_IDENTIFIED,
                "The term of ",
                parameter.named,
                " is negligible at the centre of the data, as small as the search allows, and describes only rows at "
                "the edge; fit the law without it.",
            )
        elif parameter.kind == "exponent":
            yield from _extreme_exponent(parameter, value, lowest[i], highest[i])


def _extreme_exponent(parameter: Parameter, value: float, lowest: float, highest: float) -> Iterator[Finding]:
    if value <= lowest:
        yield Finding.of(
            "exponent_at_bound",
            NOT_IDENTIFIED,
            "The exponent ",
            parameter.named,
            f" is at its lower bound {rounded(value)}: the data show no fall along its column, and its term cannot "
            "be distinguished from the floor. Fit the law without this term.",
            threshold=lowest,
            value=value,
        )
    elif value >= highest:
        yield Finding.of(
            "exponent_at_bound",
            NOT_IDENTIFIED,
            "The exponent ",
            parameter.named,
            f" ran to its upper bound {exact(MAX_EXPONENT)}: its term only describes the rows with the extreme "
            "value of its column. Fit the law without this term, or look at those rows.",
            threshold=MAX_EXPONENT,
            value=value,
        )
    elif abs(value) > STEEP_EXPONENT:
        yield Finding.of(
            "steep_exponent",
            "warning",
            "The exponent ",
            parameter.named,
            f" = {rounded(value)} is steeper than {exact(STEEP_EXPONENT)}; look for single rows that make it so.",
            threshold=STEEP_EXPONENT,
            value=value,
        )


def _vanished(evidence: FitState) -> Iterator[Finding]:
    for term, share in zip(evidence.terms_problem.law.terms, evidence.shape.share.T, strict=True):
        if share.max() < VANISHED_TERM:
            parameters = evidence.terms_problem.parameters
            yield Finding.of(
                "term_vanished",
                NOT_IDENTIFIED,
                f"The term {term} vanished: it is at most {exact(to_digits(share.max(), 1))} of any prediction, so "
                "its exponent means nothing; fit the law without it.",
                also=[parameter.key for parameter in parameters if parameter.coef in (term.coefficient, term.exponent)],
                threshold=VANISHED_TERM,
                share=share.max(),
            )


def _flat(evidence: FitState) -> Iterator[Finding]:
    jacobian = evidence.shape.jacobian[:, evidence.shape.free]
    size = np.sqrt((jacobian**2).sum(axis=0))
    if jacobian.shape[1] == 0 or not size.all():
        return
    values, vectors = np.linalg.eigh((jacobian / size).T @ (jacobian / size))
    if values[0] < FLAT_DIRECTION * values[-1]:
        parameters = evidence.problem.parameters
        free = [parameter for parameter, is_free in zip(parameters, evidence.shape.free, strict=True) if is_free]
        involved = [parameter for parameter, part in zip(free, vectors[:, 0], strict=True) if abs(part) > INVOLVED]
        yield Finding.of(
            "flat_direction",
            NOT_IDENTIFIED,
            "The data leave a combination of ",
            listed([parameter.named for parameter in involved], last=", "),
            " open: it can change without any change of the predictions. Fix one of them, or use a smaller law.",
            threshold=FLAT_DIRECTION,
            ratio=values[0] / values[-1],
        )


def _rivals(evidence: FitState) -> Iterator[Finding]:
    """Another optimum that the data hardly reject, and that says something else."""
    best = evidence.optima[0]
    unit = chi_square_unit(evidence.shape, evidence.terms_problem.design.rows.weight)
    for other in evidence.optima[1:]:
        rise = 2 * (other.value - best.value) / unit if unit > 0 else np.inf
        if rise > RIVAL_OPTIMUM:
            return
        there = evidence.terms_problem.design.to_natural(other.theta)
        far = np.abs(there - evidence.point) > evidence.spread.gauss_newton
        exponents = [i for i, p in enumerate(evidence.terms_problem.parameters) if p.kind == "exponent" and far[i]]
        if exponents:
            parameters = evidence.terms_problem.parameters
            moves = [
                runs_of(parameters[i].named, f" = {rounded(there[i])} instead of {rounded(evidence.point[i])}")
                for i in exponents[:3]
            ]
            yield Finding.of(
                "optima_disagree",
                "warning",
                f"Another local optimum fits nearly as well (objective {percent(other.value / best.value - 1, 2)} "
                "higher) with ",
                listed(moves, last=", "),
                ". Report both, or add runs that tell them apart.",
                also=[parameters[i].key for i in exponents],
                threshold=RIVAL_OPTIMUM,
                rise=rise,
            )
            return


def _trade_off(evidence: FitState) -> Iterator[Finding]:
    covariance = evidence.spread.covariance
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(scale, scale)
    exponents = [i for i, parameter in enumerate(evidence.problem.parameters) if parameter.kind == "exponent"]
    for i, j in combinations(exponents, 2):
        if abs(correlation[i, j]) > TRADE_OFF:
            yield Finding.of(
                "exponents_trade_off",
                "warning",
                listed([evidence.problem.parameters[place].named for place in (i, j)]),
                f" trade off (correlation {rounded(correlation[i, j], 0.05)}): the data fix a combination of them "
                "better than either. Report them together, or fix one.",
                threshold=TRADE_OFF,
                correlation=correlation[i, j],
            )


def _ranges(evidence: FitState) -> Iterator[Finding]:
    problem = evidence.terms_problem
    for k, term in enumerate(problem.law.terms):
        free = (problem.design.law.expo[:, k] >= 0).any()
        span = float(np.exp(np.ptp(problem.design.law.log_x[k])))
        if free and span < SHORT_RANGE:
            yield Finding.of(
                "short_range",
                "warning",
                f"{term.variable} spans only a factor of {rounded(span, span / 10)}; an exponent from less than a "
                "decade leans on the assumed form of the law. Add runs over a wider range, or fix the exponent.",
                threshold=SHORT_RANGE,
                factor=span,
            )


def _resamples(evidence: FitState) -> Iterator[Finding]:
    """Refits without an answer; those on a bound have one."""
    spread = evidence.spread
    if not spread.failed:
        return
    why = "; ".join(f"{reason}: {percent(count / spread.requested, 1)}" for reason, count in spread.failures)
    text = f"{exact(spread.failed)} of {exact(spread.requested)} refits have no answer ({why})"
    if spread.withheld:
        text += (
            ". Those that have one are not a random sample of all, so no interval is given. Fit a law with fewer "
            "parameters, or use --uncertainty hc3."
        )
    else:
        text += " and are left out."
    severity = NOT_IDENTIFIED if spread.withheld else "note"
    share = spread.failed / spread.requested
    yield Finding.of("failed_resamples", severity, text, threshold=MOST_FAILED, share=share)


def _few(evidence: FitState) -> Iterator[Finding]:
    problem = evidence.problem
    if problem.n_cluster < problem.n_rows and problem.n_cluster < FEW_CLUSTERS:
        text = (
            f"There are only {exact(problem.n_cluster)} clusters; errors by cluster tend to be too small below about "
            f"{FEW_CLUSTERS}. Read the intervals as the least that is not known."
        )
        if problem.n_cluster < FEWEST_RESAMPLED:
            text += f" Below {FEWEST_RESAMPLED} a bootstrap covers too rarely, and pairs is the jackknife."
        yield Finding.of("few_clusters", "warning", text, threshold=FEW_CLUSTERS, clusters=problem.n_cluster)
    elif problem.n_rows < FEW_ROWS:
        yield Finding.of(
            "few_rows",
            "warning",
            f"{exact(problem.n_rows)} rows are few: below about {FEW_ROWS}, errors and intervals are rough. Add runs, "
            "or fix an exponent.",
            threshold=FEW_ROWS,
            n_rows=problem.n_rows,
        )


def _missing_levels(evidence: FitState) -> Iterator[Finding]:
    spread, problem = evidence.spread, evidence.problem
    if spread.draws is None:
        return
    seen = np.isfinite(spread.draws).mean(axis=0)
    if seen.min() < 1:
        rarest = int(np.argmin(seen))
        yield Finding.of(
            "level_missing_in_resamples",
            "warning" if seen.min() < RARE_LEVEL else "note",
            f"{percent(1 - seen.min(), 0)} of the resamples hold no row of ",
            problem.parameters[rarest].named,
            ", whose errors come from the others. Add rows of this level for better ones.",
            threshold=RARE_LEVEL,
            share=seen.min(),
        )


def _bounds_of_resamples(evidence: FitState) -> Iterator[Finding]:
    """Parameters that many refits put on a bound: these refits count, and the interval ends there."""
    spread, problem = evidence.spread, evidence.terms_problem
    if spread.draws is None:
        return
    box, theta = problem.design.link.box, evidence.optima[0].theta
    for i, parameter in enumerate(problem.parameters):
        if parameter.is_log or not box[0, i] < theta[i] < box[1, i]:
            continue
        for bound in box[:, i]:
            share = float(np.mean(spread.draws[:, i] == bound))
            outside = (1 - spread.level) / 2
            if not share > outside:
                continue
            floor = parameter.kind == "floor"
            yield Finding.of(
                "floor_reaches_zero" if floor else "exponent_reaches_bound",
                "warning",
                parameter.named,
                f" is {exact(bound)} in {percent(share, 0)} of the resamples: its interval ends at this bound, and the "
                "data may not need ",
                "a floor. Compare the law without it." if floor else "its term. Compare the law without this term.",
                threshold=outside,
                share=share,
            )


def _leverage(evidence: FitState) -> Iterator[Finding]:
    plain = evidence.spread.gauss_newton
    if not evidence.shape.free.any():
        return
    ratio = np.divide(evidence.spread.se, plain, out=np.zeros_like(plain), where=plain > 0)
    worst = int(np.argmax(ratio))
    if not ratio[worst] > UNEQUAL_SCATTER:
        return
    problem = evidence.problem
    many = ratio[worst] > MANY_TIMES
    factor = f"more than {fixed(MANY_TIMES, 0)}" if many else rounded(float(ratio[worst]), 0.5)
    times = runs_of("The standard error of ", problem.parameters[worst].named, f" is {factor} times Gauss-Newton's: ")
    if problem.n_cluster < problem.n_rows:
        yield Finding.of(
            "dependent_rows",
            "note",
            times,
            "rows of one cluster share their error.",
            threshold=UNEQUAL_SCATTER,
            ratio=ratio[worst],
        )
        return
    influence = row_influence(evidence.shape, problem.weight, worst)
    order = np.argsort(-influence)[:5]
    carried = float(influence[order].sum())
    rows = evidence.rows(order) if carried > CARRIER_SHARE else ()
    which = f" ({named_rows(evidence.frame, problem.law, rows)})" if rows else ""
    yield Finding.of(
        "unequal_scatter",
        "note",
        times,
        f"rows scatter unequally or are not independent. {exact(len(order))} of {exact(problem.n_rows)} rows{which} "
        f"carry {percent(carried, 0)} of its variance.",
        rows=rows,
        threshold=UNEQUAL_SCATTER,
        ratio=ratio[worst],
    )


def _clusters(evidence: FitState) -> Iterator[Finding]:
    """Report a column of clusters that has no effect."""
    if evidence.cluster is not None and evidence.problem.n_cluster == evidence.problem.n_rows:
        yield Finding.of(
            "single_row_clusters",
            "warning",
            f"Every row has its own value of the cluster column {evidence.cluster!r}, so that errors by cluster are "
            "errors by row. Name a column whose values repeat, or leave --cluster out.",
        )


def _checkpoints(evidence: FitState) -> Iterator[Finding]:
    """Hint at rows that are checkpoints of one run and are taken for independent."""
    message = None if evidence.cluster is not None else checkpoints_message(evidence.problem.law, evidence.frame)
    if message is not None:
        yield Finding.of("checkpoints", "note", message)


def _shared(evidence: FitState) -> Iterator[Finding]:
    law = evidence.terms_problem.law
    for coef in law.parameters:
        terms = [str(term) for term in law.terms if coef in (term.coefficient, term.exponent)]
        if len(terms) > 1:
            text = f"{coef} is one parameter, shared by {' and '.join(terms)}."
            about = [p.key for p in evidence.terms_problem.parameters if p.coef == coef]
            yield Finding.of("shared_parameter", "note", text, also=about)
    variables = [term.variable for term in law.terms]
    for name in dict.fromkeys(variables):
        if variables.count(name) > 1:
            yield Finding.of(
                "repeated_column",
                "note",
                f"{variables.count(name)} terms are powers of {name}; which of them comes first is a convention: here "
                "the one with the smaller exponent.",
            )
