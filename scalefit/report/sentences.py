"""Sentences written from the numbers, each by one rule that also says when the data leave a question open.

A rule takes fits and returns one string, empty when it does not apply. Symbols are written as ``$a_m$``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from scalefit.comparison.differences import agreement
from scalefit.comparison.sources import compared_of
from scalefit.data.tables import Dropped
from scalefit.data.where import parse_where
from scalefit.escape import literal
from scalefit.estimate import Estimate
from scalefit.law.additive import Coef
from scalefit.names import Key, read_name, spread_name
from scalefit.numbers import (
    amount,
    as_input,
    chance,
    counted,
    exact,
    percent,
    percent_size,
    plus_minus,
    rounded,
    rounded_interval,
)
from scalefit.records import CONVERGED
from scalefit.report.published import PublishedPoint, objective_at
from scalefit.report.text import capital, join, marked, name_words
from scalefit.results import Fit, PosteriorFit
from scalefit.summary import explained, scatter_text
from scalefit.thresholds import CLUSTERING, COMPATIBLE, DISAGREE, NEARER, UNEQUAL_SCATTER
from scalefit.verdicts import interval_verdict

__all__ = [
    "alternatives_sentence",
    "cluster_sentence",
    "disagreement_sentence",
    "evidence_between",
    "law_sentence",
    "method",
    "name_in",
    "nearest_sentence",
    "nested_sentence",
    "optima_sentence",
    "other_fits_sentence",
    "pooled_sentence",
    "published_sentence",
    "reference_sentence",
    "residual_sentence",
    "role",
    "rounding_sentence",
    "rounds_to",
    "rows_sentence",
    "scatter_sentence",
    "status_sentence",
    "words",
]

_TIMES: Final = 10  # from which on an objective is given as so many times another one rather than in percent above it

WORDS = {"params": "parameters", "flops": "compute"}
EXTRAS = {"sigma": "scatter of a row", "nu": "degrees of freedom", "tau": "spread of the shifts"}


def role(fit: Fit, name: str | Key) -> str:
    """Name a parameter's role: ``exponent of width``, ``coefficient of tokens``, ``floor``, ``scatter of a row``."""
    coef = read_name(name)[0]
    if coef in EXTRAS and isinstance(fit, PosteriorFit):
        return EXTRAS[coef]
    pooled = {
        spread_name(parameter.coef.name): parameter.coef.name
        for parameter in fit.parameters
        if parameter.kind == "common"
    }
    if coef in pooled:
        return f"spread of the {role(fit, pooled[coef])} between groups"
    for term in fit.law.terms:
        for part, kind in ((term.exponent, "exponent"), (term.coefficient, "coefficient")):
            if isinstance(part, Coef) and part.name == coef:
                return f"{kind} of {words(term.variable)}"
    return f"${coef}$" if not fit.law.terms and coef.isidentifier() else "floor"


def name_in(fit: Fit, names: Sequence[str]) -> str:
    """Return the first of several names that a fit has, of a single parameter or of one with levels."""
    known = {parameter.key for parameter in fit.parameters} | {
        (parameter.coef.name, ()) for parameter in fit.parameters
    }
    return next((name for name in names if read_name(name) in known), names[0])


def words(column: str) -> str:
    """Write a column as a word: ``parameters`` for params, ``flops per token`` for flops_per_token."""
    return WORDS.get(column) or literal(column.replace("_", " "))


def status_sentence(fit: Fit) -> str:
    """State whether a fit gives an answer, and what limits it."""
    if fit.status != CONVERGED:
        return f"No answer: the fit is {fit.status}. {literal(fit.message)}"
    return " ".join(literal(capital(finding.message)) for finding in fit.findings if finding.severity == "warning")


def law_sentence(fit: Fit) -> str:
    """State the exponents and the floor of a fit."""
    if fit.status != CONVERGED:
        return f"{capital(_label(fit))}: no answer. The fit is {fit.status}: {literal(fit.message)}"
    single = [estimate for estimate in fit.estimates if not estimate.level]
    if not fit.law.terms:
        known = [
            f"{name_words(estimate.key)} is {_number(estimate)}"
            for estimate in single
            if estimate.coefficient not in EXTRAS
        ]
        parts = join(known or [f"the law has {exact(len(fit.estimates))} parameters, one for each level"])
        return f"On {exact(fit.n_rows)} rows of {_table(fit)} {parts}."
    exponents = [
        f"{role(fit, estimate.key)} is {_number(estimate)}" for estimate in single if estimate.kind == "exponent"
    ]
    floors = [f"the floor is {_number(estimate)}" for estimate in single if estimate.kind == "floor"]
    if not exponents:
        count = sum(estimate.kind == "exponent" for estimate in fit.estimates)
        exponents = [f"law has {count} exponents, one for each level" if count else "exponents are fixed"]
    parts = join([f"the {exponents[0]}", *(f"the {exponent}" for exponent in exponents[1:]), *floors])
    mean = " (posterior mean ± standard deviation)" if isinstance(fit, PosteriorFit) else ""
    return f"On {exact(fit.n_rows)} rows of {_table(fit)} {parts}{mean}."


def method(fit: Fit) -> str:
    """Name what was minimised or sampled: ``Huber’s loss``."""
    if isinstance(fit, PosteriorFit):
        return "the posterior with Student’s t" if fit.objective.loss == "student_t" else "the posterior"
    return "Huber’s loss" if fit.objective.loss == "huber" else "least squares"


def disagreement_sentence(fit: Fit, others: Sequence[Fit]) -> str:
    """State whether an exponent depends on the loss: two fits of the same rows, each outside the other's interval."""
    for other in others:
        shared = [
            estimate for estimate in fit.estimates if estimate.kind == "exponent" and estimate.name in other.names
        ]
        for exponent in shared:
            there = other[exponent.name]
            if not exponent.holds(there.value) and not there.holds(exponent.value):
                return (
                    f"This depends on the loss: by {method(other)}, the {role(fit, exponent.name)} is "
                    f"{_number(there)}. Rows that do not follow the law can cause such a difference; look at the "
                    "residuals."
                )
    return ""


def reference_sentence(fit: Fit, name: str, reference: float, also: Mapping[str, Fit] | None = None) -> str:
    """State whether a parameter can be a certain number, and which other fits disagree.

    Parameters
    ----------
    fit : Fit
        The main fit.
    name : str
        The parameter.
    reference : float
        The number in question.
    also : mapping, optional
        Fits that answer the same question another way, by label.

    Returns
    -------
    str
        One or two sentences; see :func:`scalefit.verdicts.interval_verdict`.
    """
    if fit.status != CONVERGED:
        question = f"{name_words(name)} is {exact(reference)}"
        return f"Whether {question} cannot be answered: the fit is {fit.status}. {literal(fit.message)}"
    others = {label: other[name] for label, other in (also or {}).items()}
    return marked(interval_verdict(f"the {role(fit, name)} is", fit[name], reference, others))


def pooled_sentence(pooled: Fit, name: str, among: Mapping[str, Fit], reference: float | None = None) -> str:
    """State whether groups that share a parameter also agree when fitted separately.

    Parameters
    ----------
    pooled : Fit
        The fit with the shared parameter.
    name : str
        The parameter.
    among : mapping
        Fits of single groups, by label.
    reference : float, optional
        A number in question.

    Returns
    -------
    str
        Two or three sentences.
    """
    pooling = pooled[name]
    level = percent(pooled.uncertainty.level)
    text = f"The {role(pooled, name)} is {_number(pooling)}, {level} {_interval(pooling)}, pooled"
    if not among:
        return f"{text}."
    alone = {label: fit[name] for label, fit in among.items()}
    order = sorted(alone, key=lambda label: alone[label].value)
    least, most = alone[order[0]], alone[order[-1]]
    text += f"; fitted separately from {_number(least)} ({order[0]}) to {_number(most)} ({order[-1]})"
    test = agreement([source for label, fit in among.items() for source in compared_of(fit, [name], label)])
    if test is None:
        text += "."
    elif test.p < DISAGREE:
        text += f", which differ beyond their errors (p {chance(test.p)}): the pooled value is an average."
    else:
        text += f", no farther apart than by chance (p {chance(test.p)})."
    if reference is None:
        return text
    out = [label for label in order if not alone[label].holds(reference)]
    verb = "exclude" if len(out) > 1 else "excludes"
    return f"{text} {len(out) or 'None'} of {len(alone)} {verb} {exact(reference)}{f' ({join(out)})' if out else ''}."


def other_fits_sentence(others: Mapping[str, Fit], name: str, reference: float | None = None) -> str:
    """List a parameter of other fits to the same groups, and say whose interval excludes a number.

    Parameters
    ----------
    others : mapping
        Fits by label.
    name : str
        The parameter.
    reference : float, optional
        A number in question.

    Returns
    -------
    str
        One sentence.
    """
    listed = join([f"{_number(fit[name])} ({label})" for label, fit in others.items()])
    text = f"Other analyses of the same groups give {listed}"
    if reference is None:
        return f"{text}."
    out = [label for label, fit in others.items() if not fit[name].holds(reference)]
    if not out:
        return f"{text}, none of which excludes {exact(reference)}."
    return f"{text}; {exact(reference)} is outside the {'intervals' if len(out) > 1 else 'interval'} of {join(out)}."


def alternatives_sentence(fit: Fit, names: Sequence[str], others: Mapping[str, Fit]) -> str:
    """State how far parameters move under other choices, in units of their standard errors.

    Parameters
    ----------
    fit : Fit
        The main fit.
    names : sequence of str
        The parameters.
    others : mapping
        Fits with other choices, by label.

    Returns
    -------
    str
        A sentence on the largest change of each; empty without one.
    """
    unit = "standard errors" if not isinstance(fit, PosteriorFit) else "posterior standard deviations"
    largest = []
    for name in names:
        moves = {
            label: abs(other[name].value - fit[name].value) / fit[name].se
            for label, other in others.items()
            if name in other and fit[name].se > 0
        }
        if moves:
            worst = max(moves, key=moves.__getitem__)
            largest.append(f"{name_words(name)} by at most {rounded(moves[worst], 1)} {unit} (“{worst}”)")
    return f"Other choices move {join(largest)}." if largest else ""


def evidence_between(fit: Fit, other: Fit) -> float | None:
    """Return the log Bayes factor for one posterior over another of the same rows; None where it is not known."""
    if not (isinstance(fit, PosteriorFit) and isinstance(other, PosteriorFit)):
        return None
    first, second = fit.posterior.log_evidence, other.posterior.log_evidence
    if first is None or second is None or not fit.rows.index.equals(other.rows.index):
        return None
    return first - second


def nested_sentence(fit: Fit, others: Mapping[str, Fit]) -> str:
    """State the cost of fixing parameters, for alternatives on the same rows with the same objective."""
    sentences = [
        f"“{label}” has {counted(len(fit.names) - len(other.names), 'parameter fewer', 'parameters fewer')} and an "
        f"objective {percent_size(other.value / fit.value - 1)} higher."
        for label, other in others.items()
        if other.objective == fit.objective and other.rows.index.equals(fit.rows.index)
        and len(other.names) < len(fit.names) and other.value > fit.value
    ]  # fmt: skip
    return " ".join(sentences)


def cluster_sentence(fit: Fit, clustered: Fit, name: str) -> str:
    """State how an interval changes when clusters are resampled in place of rows.

    Parameters
    ----------
    fit, clustered : Fit
        The same fit with rows and with clusters resampled.
    name : str
        The parameter.

    Returns
    -------
    str
        One sentence.
    """
    column = literal(str(clustered.selection.cluster))
    ratio = clustered[name].se / fit[name].se
    change = "widens" if ratio > 1 + CLUSTERING else "narrows" if ratio < 1 - CLUSTERING else "hardly changes"
    by = "" if change == "hardly changes" else f" by a factor of {rounded(max(ratio, 1 / ratio), 0.5)}"
    return (
        f"Rows of one {column} may share an error; resampling whole levels of {column} {change} the error of "
        f"{name_words(name)}{by}, to the interval {_interval(clustered[name])}."
    )


def published_sentence(fit: Fit, point: PublishedPoint) -> str:
    """State how far published values are from the optimum, in standard errors and in the objective."""
    gaps = {
        name: (value - fit[name].value) / fit[name].se
        for name, value in point.values.items()
        if fit[name].se > 0 and fit[name].kind == "exponent"
    }
    if not gaps:
        return ""
    worst = max(gaps, key=lambda name: abs(gaps[name]))
    size = abs(gaps[worst])
    start = f"The printed exponents of {literal(point.label)}"
    if size > COMPATIBLE:
        text = f"{start} differ from this optimum: {name_words(worst)} by {rounded(size, 1)} standard errors"
    else:
        text = f"{start} are within {rounded(max(size, 0.1), 0.1)} standard errors of this optimum"
    if not point.complete:
        return f"{text}."
    excess = objective_at(fit, point.values) / fit.value - 1
    return f"{text}; at the printed point the objective is {percent_size(excess)} above the optimum."


def nearest_sentence(point: PublishedPoint, fits: Mapping[str, Fit]) -> str:
    """Name the fit whose optimum is nearest to the published values, when it is not the first."""
    first, *_ = fits
    distance = {
        label: max(abs(np.log(value / fit[name].value)) for name, value in point.values.items())
        for label, fit in fits.items()
        if all(name in fit and fit[name].value > 0 and value > 0 for name, value in point.values.items())
    }
    if first not in distance:
        return ""
    best = min(distance, key=lambda label: distance[label])
    if best == first or distance[best] > NEARER * distance[first]:
        return ""
    return (
        f"They are nearer to the optimum of “{best}” (largest relative difference {percent_size(distance[best])}) "
        f"than to the one fitted here ({percent_size(distance[first])})."
    )


def optima_sentence(fit: Fit) -> str:
    """Say how the starts ended, and what other optima there are."""
    best, *others = fit.optima
    text = literal(fit.search_message)
    if not others:
        return text
    ratio = others[0].objective / best.objective
    above = f"{percent_size(ratio - 1)} above it" if ratio < _TIMES else f"at {amount(ratio, 2)} times its objective"
    many = "One other local optimum was" if len(others) == 1 else f"{len(others)} other local optima were"
    return f"{text} {many} found, the lowest {above}."


def rows_sentence(fit: Fit) -> str:
    """State which rows were used and which rule dropped the others."""
    source = fit.source
    if not source.dropped:
        return f"All {exact(source.rows_read)} rows of {_table(fit)} are used."
    rules = join([_dropped_words(rule, fit.selection.drop_highest_loss) for rule in source.dropped])
    return f"{exact(fit.n_rows)} of the {exact(source.rows_read)} rows of {_table(fit)} are used; dropped are {rules}."


def _dropped_words(rule: Dropped, highest: int) -> str:
    """Say which rows a rule dropped: ``42 with the highest losses (40 and those tied with them)``."""
    count = exact(rule.rows)
    if rule.kind == "where":
        return f"{count} outside the condition {literal(parse_where(rule.setting).in_words())}"
    if rule.kind == "drop_highest_loss":
        tied = f" ({exact(highest)} and those tied with them)" if rule.rows != highest else ""
        return f"{count} with the highest losses{tied}"
    return f"{count} because {literal(rule.reason)}"


def rounding_sentence(fit: Fit, points: Sequence[PublishedPoint]) -> str:
    """Say how much of a printed point's distance from the optimum is rounding, where both forms are known."""
    sentences = []
    for full in points:
        for short in points:
            if short is full or not (short.complete and full.complete) or not rounds_to(full, short):
                continue
            excess = [objective_at(fit, printed.values) / fit.value - 1 for printed in (full, short)]
            text = (
                f"Rounding is a source of difference of its own: the values of {literal(full.label)} in full are "
                f"{percent_size(excess[0])} above the optimum, rounded as printed {percent_size(excess[1])}"
            )
            if excess[1] > excess[0] >= 0:
                text += f", so that {percent(1 - excess[0] / excess[1], 0)} of the excess is rounding"
            sentences.append(f"{text}.")
    return " ".join(sentences)


def rounds_to(full: PublishedPoint, short: PublishedPoint) -> bool:
    """Whether one printed point is the other with fewer digits."""
    if full.values.keys() != short.values.keys() or full.values == short.values:
        return False
    places = {name: len(as_input(value).partition(".")[2]) for name, value in short.values.items()}
    return all(round(value, places[name]) == short.values[name] for name, value in full.values.items())


def scatter_sentence(fit: Fit) -> str:
    """Warn when rows scatter unequally, so that plain standard errors would be too small."""
    ratios = {
        estimate.key: estimate.se / estimate.gauss_newton
        for estimate in fit.estimates
        if estimate.gauss_newton > 0 and estimate.kind == "exponent"
    }
    if not ratios or max(ratios.values()) < UNEQUAL_SCATTER:
        return ""
    worst = max(ratios, key=lambda name: ratios[name])
    return (
        f"Errors that assume equal, independent scatter would be too small: by a factor of "
        f"{rounded(ratios[worst], 0.5)} for {name_words(worst)}."
    )


def residual_sentence(fit: Fit) -> str:
    """Give the typical and the largest residual, and how much of the response the law explains."""
    size, goodness = np.abs(fit.residuals()), fit.goodness
    show = percent_size if goodness.space == "log" else rounded
    of = "log response" if goodness.space == "log" else "response"
    return (
        f"Half of the residuals are below {show(float(np.median(size)))}; the largest is {show(float(size.max()))}. "
        f"Rows scatter by {scatter_text(goodness, goodness.rms)} (root mean square; "
        f"{scatter_text(goodness, goodness.robust)} by the median), and the law explains {explained(goodness.r2)} of "
        f"the variance of the {of}."
    )


def _number(estimate: Estimate) -> str:
    return plus_minus(estimate.value, estimate.se)


def _interval(estimate: Estimate) -> str:
    return rounded_interval(estimate.lo, estimate.hi, estimate.se)


def _label(fit: Fit) -> str:
    return literal(fit.label or str(fit.law))


def _table(fit: Fit) -> str:
    return literal(fit.source.name.replace("_", " "))
