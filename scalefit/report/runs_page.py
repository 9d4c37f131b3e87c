"""Page one of a report on a user's runs: the verdict, how well the law fits, the best run at a budget."""

from __future__ import annotations

import math
from typing import Final

from scalefit.allocation import optimum_lines
from scalefit.allocation.result import EXCESS, LOSS, Optimum, amount_interval, amount_of, decimal_interval, spread
from scalefit.allocation.run import natural_cost
from scalefit.errors import DataError, LawError
from scalefit.escape import literal
from scalefit.estimate import Estimate
from scalefit.law.general import sum_of_powers
from scalefit.misfit import named_rows
from scalefit.names import printed_level
from scalefit.numbers import amount, counted, exact, percent, percent_size, plus_minus, rounded
from scalefit.records import CONVERGED
from scalefit.report import sentences as say
from scalefit.report.results import Results
from scalefit.report.spec import ComputeAnswer, RunsAnswer
from scalefit.report.standin import StandIn, stand_in
from scalefit.report.text import capital, join
from scalefit.results import Fit
from scalefit.summary import estimate_text
from scalefit.thresholds import LOOSE_EXPONENT, OPEN_DECADES

FEW: Final = 1  # warnings on page one; the section on the fit has all
MINOR: Final = 5  # a row with a share that is this many times smaller than the largest is not named

__all__ = ["budget_sentence", "misfit_sentence", "runs_sentence"]


def runs_sentence(answer: RunsAnswer, results: Results) -> str:
    """Say whether the runs determine the law, its exponents, and whether these depend on the loss.

    Parameters
    ----------
    answer : RunsAnswer
        Which fit to ask.
    results : Results
        Of the study.

    Returns
    -------
    str
        The verdict first, then why another fit than squares answers, then what the others say.
    """
    answering = stand_in(answer.fit, results.fits, results.specs)
    fit = results.fits[answering.name]
    if fit.status != CONVERGED:
        return (
            f"**These {_runs(fit)} do not determine the law** (the fit is {fit.status}). {_reason(fit)} The curves "
            "below describe the runs, and say nothing about larger ones."
        )
    by = f" by {say.method(fit)}" if answering.reason else ""
    beyond = join([f"${estimate.coefficient}$" for estimate in fit.estimates if _is_open(estimate)])
    loose = any(_is_loose(estimate) for estimate in fit.estimates)
    by += " only loosely" if loose else ""
    rest = f",** and hardly {beyond}:" if loose else f",** except for {beyond}:"
    lead = f"**These {_runs(fit)} determine the law{by}{rest if beyond else ':**'}"
    if not answering.identified:
        lead = f"**These {_runs(fit)} alone do not determine the law.** With the help of priors,"
    verdict = f"{lead} {_numbers(fit)}; runs scatter about it by {percent_size(fit.goodness.robust_share)}."
    return " ".join(filter(None, [verdict, answering.reason, _others(answer.fit, answering, fit, results)]))


def misfit_sentence(answer: RunsAnswer, results: Results) -> str:
    """Say how well the law fits, which rows make up most of the misfit, and what limits the result.

    Parameters
    ----------
    answer : RunsAnswer
        Which fit to ask.
    results : Results
        Of the study.

    Returns
    -------
    str
        A few sentences.
    """
    answering = stand_in(answer.fit, results.fits, results.specs)
    fit = results.fits[answering.name]
    largest = "" if answering.reason and answering.identified else _largest(fit)  # the verdict has named such rows
    warnings = [capital(finding.message) for finding in fit.findings if finding.severity == "warning"][:FEW]
    return " ".join(filter(None, [say.residual_sentence(fit), largest, *map(literal, warnings)]))


def budget_sentence(answer: ComputeAnswer, results: Results) -> str:
    """Say which run is best at a budget, what it should reach, and how far that lies from the runs.

    Parameters
    ----------
    answer : ComputeAnswer
        The fit and the budget.
    results : Results
        Of the study.

    Returns
    -------
    str
        Two or three sentences, or why there is no answer.
    """
    answering = stand_in(answer.fit, results.fits, results.specs)
    fit = results.fits[answering.name]
    if fit.status != CONVERGED:
        return f"No answer: the fit is {fit.status}."
    if not answering.identified:
        return "No answer: these runs alone do not determine the law, and a best run would be that of the priors."
    try:
        law = sum_of_powers(fit.law, "the best use of compute on page one")
        best = optimum_lines(fit, compute=[answer.compute], cost=natural_cost(law))
    except (DataError, LawError) as error:
        return f"No answer: {literal(str(error))}."
    if best.reason:
        return f"No answer: {literal(best.reason)}"
    return " ".join([_best_run(best, answer.compute), _distance(best, answer.compute)])


def _reason(fit: Fit) -> str:
    """Return the first reason why a fit has no answer, and how many more there are."""
    first, *rest = [finding.message for finding in fit.findings if finding.severity == fit.status]
    more = f" The section on the fit has {counted(len(rest), 'more reason')}." if rest else ""
    return literal(capital(first)) + more


def _runs(fit: Fit) -> str:
    """Count runs: the rows, or the levels of their cluster with the rows."""
    cluster = fit.selection.cluster
    if cluster is None:
        return f"{exact(fit.n_rows)} rows"
    return f"{exact(fit.n_rows)} rows of {exact(fit.rows[cluster].nunique())} levels of {literal(cluster)}"


def _is_loose(estimate: Estimate) -> bool:
    """Whether an exponent is known only up to a large part of it."""
    return estimate.kind == "exponent" and estimate.se > LOOSE_EXPONENT * abs(estimate.value)


def _is_open(estimate: Estimate) -> bool:
    """Whether the interval of a positive parameter without levels spans more decades than a law may leave open."""
    known = estimate.kind not in ("exponent", "floor") and not estimate.level and estimate.coefficient not in say.EXTRAS
    return known and estimate.lo > 0 and math.log10(estimate.hi / estimate.lo) > OPEN_DECADES


def _numbers(fit: Fit) -> str:
    """Return exponents and floor, or all parameters of a law of another form; levels as a range."""
    wanted = [estimate for estimate in fit.estimates if estimate.kind in ("exponent", "floor")] or [
        estimate for estimate in fit.estimates if estimate.coefficient not in say.EXTRAS
    ]
    by_name: dict[str, list[Estimate]] = {}
    for estimate in sorted(wanted, key=lambda estimate: estimate.kind != "exponent"):
        by_name.setdefault(estimate.coefficient, []).append(estimate)
    return join([_number(fit, several) for several in by_name.values()])


def _number(fit: Fit, several: list[Estimate]) -> str:
    first = several[0]
    name = f"the {say.role(fit, first.key)}" if first.kind in ("exponent", "floor") else f"${first.coefficient}$"
    if len(several) == 1:
        return f"{name} is {estimate_text(first)}"
    low, high = (end(several, key=lambda estimate: estimate.value) for end in (min, max))
    return (
        f"{name} lies between {plus_minus(low.value, low.se)} ({literal(printed_level(low.level, ', '))}) and "
        f"{plus_minus(high.value, high.se)} ({literal(printed_level(high.level, ', '))})"
    )


def _others(asked: str, answering: StandIn, fit: Fit, results: Results) -> str:
    """Say whether the same law with another loss agrees."""
    others = [results.fits[name] for name in results.specs[asked].instead if name != answering.name]
    usable = [other for other in others if other.status == CONVERGED]
    apart = say.disagreement_sentence(fit, usable)
    if apart or not usable:
        return apart
    agreeing = join([say.method(other) for other in usable])
    return f"{capital(agreeing)} agree{'s' if len(usable) == 1 else ''} within the intervals."


def _largest(fit: Fit) -> str:
    """Name the rows that make up most of the objective."""
    first, *rest = fit.goodness.largest
    largest = [first, *(row for row in rest if row.share > first.share / MINOR)]
    named = literal(named_rows(fit.rows, fit.law, [row.row for row in largest]))
    shares = join([percent(row.share, 0) for row in largest])
    return f"Most of the misfit comes from {named}: {shares} of it."


def _best_run(best: Optimum, compute: float) -> str:
    quantities = best.allocation(compute).quantities
    columns = [name for name in quantities if name not in (LOSS, EXCESS)]
    named = [f"{amount_of(quantities[name])} {_unit(name)}{_interval(quantities[name])}" for name in columns]
    text = f"With {amount(compute, 3)}\u00a0FLOP, {join(named)} are best"
    loss = quantities.get(LOSS)
    if loss is None:
        return f"{text} ({percent(best.level)} intervals)."
    reached = f"{rounded(loss.value, spread(loss))} {decimal_interval(loss)}".strip()
    return (
        f"{text}, for a {literal(best.law.response.replace('_', ' '))} of {reached} ({percent(best.level)} intervals)."
    )


def _unit(name: str) -> str:
    return {"tokens_per_param": "tokens per parameter"}.get(name, say.words(name))


def _interval(number: Estimate) -> str:
    written = amount_interval(number)
    return f" {written}" if written else ""


def _distance(best: Optimum, compute: float) -> str:
    far = best.allocation(compute).beyond
    if far == 1:
        return "The budget lies among those of the runs."
    word = "times the compute of the largest run" if far > 1 else "of the compute of the smallest run"
    return f"That is {amount(far)} {word}, so the law is extrapolated."
