"""Answers of page one that take several fits, a budget or a step."""

from __future__ import annotations

import math
from collections.abc import Iterable

from scalefit.allocation import optimum_lines
from scalefit.allocation.result import RATIO, amount_interval, amount_of, decimal_interval, spread
from scalefit.allocation.run import natural_cost
from scalefit.allocation.sweeps import PARABOLA, Approach
from scalefit.comparison import LevelFits
from scalefit.errors import DataError, LawError
from scalefit.escape import literal
from scalefit.estimate import Estimate
from scalefit.forecasting import Forecast
from scalefit.forecasting.coverage import HeldShare, public_table
from scalefit.law.general import sum_of_powers
from scalefit.models.theory import RAW, Superposition
from scalefit.names import read_name, split_names
from scalefit.numbers import amount, exact, percent, plus_minus, rounded, two_digits
from scalefit.records import CONVERGED
from scalefit.report.forecast_section import forecast_sentence
from scalefit.report.results import Results
from scalefit.report.sentences import evidence_between, name_in, role, words
from scalefit.report.spec import ComputeAnswer, PredictionAnswer, RobustAnswer, StepAnswer, ValuesAnswer
from scalefit.report.standin import stand_in
from scalefit.report.steps import HeadsResult, IsoFlopResult, StepFailed, ToyResult
from scalefit.report.text import capital, join, marked
from scalefit.results import Fit
from scalefit.verdicts import robust_verdicts

__all__ = ["compute_sentence", "prediction_sentence", "robust_sentences", "step_sentence", "values_sentence"]


def robust_sentences(answer: RobustAnswer, results: Results) -> tuple[str, str]:
    """Say whether a parameter is a given number whatever the analysis, the range and the data.

    Parameters
    ----------
    answer : RobustAnswer
        Which fits to ask.
    results : Results
        Of the study.

    Returns
    -------
    tuple of str
        The verdict in one sentence, and what it rests on.
    """
    main = results.fits[stand_in(answer.fit, results.fits, results.specs).name]
    names = split_names(answer.parameter)
    name = name_in(main, names)
    if main.status != CONVERGED:
        return f"No answer: the fit is {main.status}.", literal(main.message)

    def asked(fits: Iterable[str]) -> dict[str, Estimate]:
        """Estimates of the fits that have an answer, by label."""
        converged = {fit: results.fits[fit] for fit in fits if results.fits[fit].status == CONVERGED}
        return {results.labels[name]: fit[name_in(fit, names)] for name, fit in converged.items()}

    lead = f"the {role(main, read_name(name))} is"
    verdicts = robust_verdicts(
        lead, main[name], answer.reference, asked(answer.also), asked(answer.ranges), asked(answer.elsewhere)
    )
    verdict, basis = map(marked, verdicts)
    cluster = main.selection.cluster
    shared = f"Rows of one {words(cluster)} share an error{_shared(answer, main, name, results)}." if cluster else ""
    return verdict, " ".join(filter(None, [shared, basis]))


def _shared(answer: RobustAnswer, main: Fit, name: str, results: Results) -> str:
    """Say how much better shared errors describe the data than independent rows, and what rows alone would give."""
    if not answer.by_row:
        return ""
    rows = results.fits[answer.by_row]
    gain = evidence_between(main, rows)
    if gain is None:
        return ""
    better = "better" if gain > 0 else "worse"
    factor = f"{two_digits(math.exp(abs(gain)))} times {better}"
    value = plus_minus(rows[name].value, rows[name].se)
    return f", which describes the data {factor} (evidence) than independent rows ({value})"


def compute_sentence(answer: ComputeAnswer, results: Results) -> str:
    """Say how a budget is used best by a fit, or why it has no optimum."""
    fit = results.fits[stand_in(answer.fit, results.fits, results.specs).name]
    try:
        law = sum_of_powers(fit.law, "the best use of compute on page one")
        best = optimum_lines(fit, compute=[answer.compute], cost=natural_cost(law))
    except (DataError, LawError) as error:
        return literal(f"No answer: {error}.")
    if best.reason:
        return literal(f"No answer: {best.reason}")
    columns: list[str] = [name for name in ("params", "tokens") if name in best.exponents] or [*best.exponents]
    powers = [
        f"{rounded(exponent.value, spread(exponent))} {decimal_interval(exponent)} for {words(name)}"
        for name, exponent in ((name, best.exponents[name]) for name in columns)
    ]
    text = f"The best values grow with compute to the power {join(powers)}."
    (allocation,) = best.allocations
    if RATIO in allocation.quantities:
        ratio = allocation.quantities[RATIO]
        text += f" At {amount(answer.compute, 3)} FLOP {amount_of(ratio)} tokens per parameter are best "
        text += f"{amount_interval(ratio)}"
    if allocation.beyond > 1:
        text += f", an extrapolation to {amount(allocation.beyond)} times the largest run"
    return f"{text}."


def step_sentence(answer: StepAnswer, results: Results) -> str:
    """Say what a step found, or why it has no answer."""
    match results.steps[answer.step]:
        case StepFailed(reason):
            return f"No answer: {literal(reason)}"
        case HeadsResult(test):
            return _heads_words(test)
        case Forecast() as forecast:
            return forecast_sentence(forecast)
        case LevelFits() as levels:
            return " ".join(f"{literal(capital(verdict))}." for verdict in levels.verdicts())
        case IsoFlopResult(levels):
            lines = {level: sweep.approach(PARABOLA) for level, sweep in levels.items()}
            powers = [f"{_power(line)}{f' ({level})' if level else ''}" for level, line in lines.items() if line.found]
            return literal(f"With compute the best parameters grow to the power {join(powers)}.") if powers else (
                "No answer: the budgets show no line of best sizes."
            )  # fmt: skip
        case ToyResult(_, check):
            return " ".join(marked(claim) for claim in check.claims)
        case step:
            return marked(step.verdict[0])


def _power(line: Approach) -> str:
    """Write a power of compute with its interval."""
    return f"{rounded(line.exponent.value, spread(line.exponent))} {decimal_interval(line.exponent)}"


def _heads_words(test: Superposition) -> str:
    """Say in one sentence how overlaps fall with the width, and how far they lie above those of random directions."""
    a = test.exponent
    factors = [estimate.value for estimate in test.random.estimates if estimate.coefficient == "A"]
    least, most = (two_digits(pick(factors)) for pick in (min, max))
    by = "" if len(factors) == 1 else f" to {most} (by family)"
    raw = "Raw overlaps" if test.overlap == RAW else "Overlaps"
    text = (
        f"{raw} of {exact(len(test.rows))} heads fall as width to the power {plus_minus(-a.value, a.se)} and are "
        f"{least}{by} times as large as those of random directions"
    )
    if a.holds(1) and min(factors) > 1:
        return f"{text}: 1/width is inside the error of the slope, but not the size."
    return f"{text}; {'1/width is inside the error of the slope' if a.holds(1) else 'the slope is another'}."


def values_sentence(answer: ValuesAnswer, results: Results) -> str:
    """List one parameter of several fits, and say which intervals hold a number."""
    names = split_names(answer.parameter)
    known = {results.labels[fit]: results.fits[fit] for fit in answer.fits if results.fits[fit].status == CONVERGED}
    if not known:
        return "No answer: no fit has one."
    estimates = {label: fit[name_in(fit, names)] for label, fit in known.items()}
    first = next(iter(known.values()))
    listed = join([f"{plus_minus(estimate.value, estimate.se)} ({label})" for label, estimate in estimates.items()])
    text = f"The {role(first, name_in(first, names))} is {listed}"
    out = [label for label, estimate in estimates.items() if not estimate.holds(answer.reference)]
    asked = exact(answer.reference)
    if len(out) == len(estimates):
        return f"{text}: no interval contains {asked}." if len(estimates) > 1 else f"{text}, which excludes {asked}."
    if not out:
        return f"{text}: every interval contains {asked}."
    return f"{text}: {asked} is outside for {join(out)}."


def prediction_sentence(answer: PredictionAnswer, results: Results) -> str:
    """Say what coverage and what error forecasts reach in the public backtest, nearest and farthest from the runs."""
    shares = {name: public_table(name) for name in ("forecast", "huber")}
    rule, plain = shares["forecast"], shares["huber"]
    near, far = rule[0], rule[-1]
    text = (
        f"In {exact(sum(share.cells for share in rule))} tests on public tables, in which small runs predict larger "
        f"ones, the 90% intervals of scalefit’s forecasts cover {percent(near.share90, 0)} of runs {_reach(near)} "
        f"times larger than any known and {percent(far.share90, 0)} {_reach(far)} times larger; those of one Huber fit "
        f"cover {percent(plain[0].share90, 0)} and {percent(plain[-1].share90, 0)}."
    )
    return f"{text} {_ranking_words(answer, results)}".strip()


def _ranking_words(answer: PredictionAnswer, results: Results) -> str:
    """Say which law predicts left-out rows best, by how much, and what its intervals for held-out rows cover."""
    if not answer.laws:
        return ""
    comparison = results.ranked(answer.laws, answer.leave_out, answer.hold_out)
    (best, _), *others = comparison.laws
    behind = [f"“{score.label}” is {plus_minus(score.behind, score.behind_se)} behind" for score, _ in others]
    left = "rows" if answer.leave_out == "row" else f"{words(answer.leave_out)}s"
    text = f"Here “{best.label}” predicts left-out {left} best; in log score {literal(join(behind))}"
    covered = [score.coverage for score in comparison.held_out if math.isfinite(score.coverage)]
    if covered:
        column = comparison.split.column if comparison.split is not None else ""
        text += f"; 90% predictions of the rows {f'of largest {words(column)}' if column else 'held out'} "
        text += f"cover {percent(min(covered), 0)} to {percent(max(covered), 0)}"
    return f"{text}."


def _reach(share: HeldShare) -> str:
    """Write a bin of ratios: ``2 to 5``, or ``over 100``."""
    return f"over {exact(share.least)}" if math.isinf(share.most) else f"{exact(share.least)} to {exact(share.most)}"
