"""Sentences written from the numbers, each by one rule that also says when the data settle nothing.

A rule takes fits and returns one string, empty when it has nothing to say. Symbols stand as ``$a_m$``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scalefit.escape import literal
from scalefit.estimate import Estimate
from scalefit.law.additive import Coef
from scalefit.names import Key, read_name, spread_name
from scalefit.numbers import exact, percent, percent_size, plus_minus, rounded, rounded_interval
from scalefit.records import CONVERGED
from scalefit.report.published import PublishedPoint, objective_at
from scalefit.report.text import join, name_words
from scalefit.results import Fit, PosteriorFit
from scalefit.summary import explained
from scalefit.thresholds import CLUSTERING, COMPATIBLE, NEARER, UNEQUAL_SCATTER, WIDE_INTERVAL

__all__ = [
    "alternatives_sentence",
    "capital",
    "cluster_sentence",
    "disagreement_sentence",
    "law_sentence",
    "method",
    "nearest_sentence",
    "nested_sentence",
    "optima_sentence",
    "own_name",
    "pooled_sentence",
    "published_sentence",
    "reference_sentence",
    "residual_sentence",
    "role",
    "rows_sentence",
    "scatter_sentence",
    "status_sentence",
    "words",
]

WORDS = {"params": "parameters", "flops": "compute"}
EXTRAS = {"sigma": "scatter of a row", "nu": "degrees of freedom", "tau": "spread of the shifts"}


def role(fit: Fit, name: str | Key) -> str:
    """Say what a parameter is: ``exponent of width``, ``coefficient of tokens``, ``floor``, ``scatter of a row``."""
    coef = read_name(name)[0]
    if coef in EXTRAS and isinstance(fit, PosteriorFit):
        return EXTRAS[coef]
    pooled = {spread_name(one.coef.name): one.coef.name for one in fit.parameters if one.kind == "common"}
    if coef in pooled:
        return f"spread of the {role(fit, pooled[coef])} between groups"
    for term in fit.law.terms:
        for part, kind in ((term.exponent, "exponent"), (term.coefficient, "coefficient")):
            if isinstance(part, Coef) and part.name == coef:
                return f"{kind} of {words(term.variable)}"
    return "floor"


def own_name(fit: Fit, names: Sequence[str]) -> str:
    """Return the first of several names that a fit has, as a parameter or as the name of one with levels."""
    known = {one.key for one in fit.parameters} | {(one.coef.name, ()) for one in fit.parameters}
    return next((name for name in names if read_name(name) in known), names[0])


def words(column: str) -> str:
    """Write a column as a word: ``parameters`` for params, ``flops per token`` for flops_per_token."""
    return WORDS.get(column) or literal(column.replace("_", " "))


def status_sentence(fit: Fit) -> str:
    """Say first when a fit gives no answer, or what limits it."""
    if fit.status != CONVERGED:
        return f"No answer: the fit is {fit.status}. {literal(fit.message)}"
    return " ".join(literal(capital(one.message)) for one in fit.findings if one.severity == "warning")


def law_sentence(fit: Fit) -> str:
    """Give the exponents and the floor of a fit."""
    if fit.status != CONVERGED:
        return f"{capital(_label(fit))}: no answer. The fit is {fit.status}: {literal(fit.message)}"
    single = [one for one in fit.estimates if not one.level]
    exponents = [f"{role(fit, one.key)} is {_number(one)}" for one in single if one.kind == "exponent"]
    floors = [f"the floor is {_number(one)}" for one in single if one.kind == "floor"]
    if not exponents:
        count = sum(one.kind == "exponent" for one in fit.estimates)
        exponents = [f"law has {count} exponents, one for each level" if count else "exponents are held fixed"]
    said = join([f"the {exponents[0]}", *(f"the {one}" for one in exponents[1:]), *floors])
    mean = " (posterior mean ± standard deviation)" if isinstance(fit, PosteriorFit) else ""
    return f"On {exact(fit.n_rows)} rows of {_table(fit)} {said}{mean}."


def method(fit: Fit) -> str:
    """Name what was minimised or sampled: ``Huber’s loss``."""
    if isinstance(fit, PosteriorFit):
        return "the posterior with Student’s t" if fit.objective.loss == "student_t" else "the posterior"
    return "Huber’s loss" if fit.objective.loss == "huber" else "least squares"


def disagreement_sentence(fit: Fit, others: Sequence[Fit]) -> str:
    """Say that an exponent depends on the loss: two fits of the same rows, each outside the other's interval."""
    for other in others:
        for one in (one for one in fit.estimates if one.kind == "exponent" and one.name in other.names):
            there = other[one.name]
            if not _contains(one, there.value) and not _contains(there, one.value):
                return (
                    f"This depends on the loss: by {method(other)}, the {role(fit, one.name)} is {_number(there)}. "
                    "Rows that the law does not describe make such a difference; look at the residuals."
                )
    return ""


def reference_sentence(fit: Fit, name: str, reference: float, also: Mapping[str, Fit] | None = None) -> str:
    """Say whether a parameter is a given number, how much the interval allows, and who disagrees.

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
        Two or three sentences.
    """
    if fit.status != CONVERGED:
        asked = f"{name_words(name)} is {exact(reference)}"
        return f"Whether {asked} has no answer here: the fit is {fit.status}. {literal(fit.message)}"
    one = fit[name]
    inside = _contains(one, reference)
    text = (
        f"The {role(fit, name)} is {_number(one)}; its {percent(fit.uncertainty.level)} interval {_interval(one)} "
        f"{'contains' if inside else 'excludes'} {exact(reference)}."
    )
    verdicts = {label: _contains(other[name], reference) for label, other in (also or {}).items()}
    against = [label for label, verdict in verdicts.items() if verdict != inside]
    if against:
        verb = "exclude" if inside else "contain"
        verb += "s" if len(against) == 1 else ""
        others = f"{join([f'“{label}”' for label in against])} {verb} it"
        return f"{text} The verdict depends on choices: {others}, so these runs do not settle it."
    if inside and (one.hi - one.lo) / 2 > WIDE_INTERVAL * abs(reference):
        reach = rounded_interval(
            min(x[name].lo for x in (fit, *(also or {}).values())),
            max(x[name].hi for x in (fit, *(also or {}).values())), one.se,
        )  # fmt: skip
        return f"{text} The runs allow {exact(reference)} without establishing it: they allow all of {reach}."
    return text + (" Every other analysis of the same runs agrees." if verdicts else "")


def pooled_sentence(pooled: Fit, name: str, among: Mapping[str, Fit], reference: float | None = None) -> str:
    """Say whether groups that share a parameter would have the same one alone.

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
    one = pooled[name]
    text = f"Pooled, the {role(pooled, name)} is {_number(one)}, {percent(pooled.uncertainty.level)} {_interval(one)}."
    if not among:
        return text
    alone = {label: fit[name] for label, fit in among.items()}
    order = sorted(alone, key=lambda label: alone[label].value)
    spread = f"Alone the groups range from {_number(alone[order[0]])} ({order[0]}) to {_number(alone[order[-1]])}"
    apart = max(alone[label].lo for label in alone) > min(alone[label].hi for label in alone)
    verdict = (
        f"{spread} ({order[-1]}), and their intervals do not overlap: the groups do not share one exponent, "
        "and the pooled value is an average over them."
        if apart
        else f"{spread} ({order[-1]}); their intervals overlap, so the runs do not tell them apart."
    )
    if reference is None:
        return f"{text} {verdict}"
    out = [label for label in order if not _contains(alone[label], reference)]
    verb = "exclude" if len(out) > 1 else "excludes"
    count = f"Of the {len(alone)} intervals {len(out) or 'none'} {verb} {exact(reference)}"
    return f"{text} {verdict} {count}{f' ({join(out)})' if out else ''}."


def alternatives_sentence(fit: Fit, name: str, others: Mapping[str, Fit]) -> str:
    """Say how far a parameter moves under other choices, in its own standard errors."""
    moves = {
        label: (other[name].value - fit[name].value) / fit[name].se
        for label, other in others.items()
        if name in other and fit[name].se > 0
    }
    if not moves:
        return ""
    worst = max(moves, key=lambda label: abs(moves[label]))
    size = rounded(abs(moves[worst]), 1)
    unit = "standard errors" if not isinstance(fit, PosteriorFit) else "posterior standard deviations"
    return f"The choice that moves {name_words(name)} most is “{worst}”: by {size} of its {unit}."


def nested_sentence(fit: Fit, others: Mapping[str, Fit]) -> str:
    """Say what holding parameters fixed costs, for alternatives on the same rows with the same objective."""

    def fewer(count: int) -> str:
        return "1 parameter fewer" if count == 1 else f"{count} parameters fewer"

    said = [
        f"“{label}” has {fewer(len(fit.names) - len(other.names))} and an objective "
        f"{percent_size(other.value / fit.value - 1)} higher."
        for label, other in others.items()
        if other.objective == fit.objective and other.rows.index.equals(fit.rows.index)
        and len(other.names) < len(fit.names) and other.value > fit.value
    ]  # fmt: skip
    return " ".join(said)


def cluster_sentence(fit: Fit, clustered: Fit, name: str) -> str:
    """Say what resampling clusters in place of rows does to an interval."""
    column = literal(str(clustered.selection.cluster))
    ratio = clustered[name].se / fit[name].se
    change = "widens" if ratio > 1 + CLUSTERING else "narrows" if ratio < 1 - CLUSTERING else "hardly changes"
    by = "" if change == "hardly changes" else f" by a factor of {rounded(max(ratio, 1 / ratio), 0.5)}"
    return (
        f"Rows of one {column} may share an error; resampling whole levels of {column} {change} the error of "
        f"{name_words(name)}{by}, to the interval {_interval(clustered[name])}."
    )


def published_sentence(fit: Fit, point: PublishedPoint) -> str:
    """Say how far printed numbers lie from the optimum, in standard errors and in the objective."""
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
        text = f"{start} are not those of this optimum: {name_words(worst)} is {rounded(size, 1)} standard errors away"
    else:
        text = f"{start} lie within {rounded(size, 0.1)} standard errors of this optimum"
    if not point.complete:
        return f"{text}."
    excess = objective_at(fit, point.values) / fit.value - 1
    return f"{text}; at the printed point the objective is {percent_size(excess)} above the optimum."


def nearest_sentence(point: PublishedPoint, fits: Mapping[str, Fit]) -> str:
    """Name the fit whose optimum a paper's numbers are, when it is another one than the first."""
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
    """Say how the starts ended."""
    best, *others = fit.optima
    total = sum(one.hits for one in fit.optima)
    if not others:
        return f"All {total} starts followed to their end reached this optimum."
    excess = percent_size(others[0].objective / best.objective - 1)
    many = "one other local optimum was" if len(others) == 1 else f"{len(others)} other local optima were"
    reached = f"Of {total} starts followed to their end {best.hits} reached this optimum"
    return f"{reached}; {many} found, the lowest {excess} above it."


def rows_sentence(fit: Fit) -> str:
    """Say which rows were used and which rule dropped the others."""
    source = fit.source
    if not source.dropped:
        return f"All {exact(source.rows_read)} rows of {_table(fit)} are used."
    rules = join(
        [
            f"{exact(one.rows)} outside the condition {literal(one.setting)}"
            if one.kind == "where"
            else f"{exact(one.rows)} by the rule {literal(one.rule)}"
            for one in source.dropped
        ]
    )
    return f"{exact(fit.n_rows)} of the {exact(source.rows_read)} rows of {_table(fit)} are used; dropped are {rules}."


def scatter_sentence(fit: Fit) -> str:
    """Warn when rows scatter unequally, so that plain standard errors would be too small."""
    ratios = {
        one.key: one.se / one.gauss_newton for one in fit.estimates if one.gauss_newton > 0 and one.kind == "exponent"
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
    size, found = np.abs(fit.residuals()), fit.goodness
    show = percent_size if found.space == "log" else rounded
    of = "log response" if found.space == "log" else "response"
    return (
        f"Half of the residuals are below {show(float(np.median(size)))}; the largest is {show(float(size.max()))}. "
        f"Rows scatter by {percent_size(found.rms_share)} (root mean square; {percent_size(found.robust_share)} by the "
        f"median), and the law explains {explained(found.r2)} of the variance of the {of}."
    )


def _contains(one: Estimate, reference: float) -> bool:
    return one.lo <= reference <= one.hi


def _number(one: Estimate) -> str:
    return plus_minus(one.value, one.se)


def _interval(one: Estimate) -> str:
    return rounded_interval(one.lo, one.hi, one.se)


def _label(fit: Fit) -> str:
    return literal(fit.label or str(fit.law))


def _table(fit: Fit) -> str:
    return literal(fit.source.name.replace("_", " "))


def capital(text: str) -> str:
    """Begin a sentence with a capital letter."""
    return text[:1].upper() + text[1:]
