"""Answers of page one that take several fits, a budget or a step."""

from __future__ import annotations

from collections.abc import Iterable

from scalefit.allocation import optimum_lines
from scalefit.allocation.run import natural_cost
from scalefit.errors import DataError, LawError
from scalefit.escape import literal
from scalefit.estimate import Estimate
from scalefit.forecasting import Forecast
from scalefit.law.general import sum_of_powers
from scalefit.names import read_name
from scalefit.records import CONVERGED
from scalefit.report.forecast_section import forecast_sentence
from scalefit.report.results import Results
from scalefit.report.sentences import own_name, role
from scalefit.report.spec import ComputeAnswer, RobustAnswer, StepAnswer
from scalefit.report.standin import stand_in
from scalefit.report.steps import HeadsResult, StepFailed, ToyResult
from scalefit.report.text import capital, marked
from scalefit.verdicts import robust_verdict

__all__ = ["compute_sentence", "robust_sentence", "step_sentence"]


def robust_sentence(answer: RobustAnswer, results: Results) -> str:
    """Say whether a parameter is a given number whatever the analysis, the range and the data.

    Parameters
    ----------
    answer : RobustAnswer
        Which fits to ask.
    results : Results
        Of the study.

    Returns
    -------
    str
        Two or three sentences.
    """
    main = results.fits[stand_in(answer.fit, results.fits, results.specs).name]
    names = [name.strip() for name in answer.parameter.split(",")]
    name = own_name(main, names)
    if main.status != CONVERGED:
        return f"No answer: the fit is {main.status}. {literal(main.message)}"

    def asked(fits: Iterable[str]) -> dict[str, Estimate]:
        """Estimates of the fits that have an answer, by label."""
        converged = {one: results.fits[one] for one in fits if results.fits[one].status == CONVERGED}
        return {results.labels[one]: fit[own_name(fit, names)] for one, fit in converged.items()}

    cluster = main.selection.cluster
    shared = f"with errors shared within a {literal(cluster)}, " if cluster else ""
    lead = f"{shared}the {role(main, read_name(name))} is"
    return marked(
        robust_verdict(
            capital(lead),
            main[name],
            answer.reference,
            asked(answer.also),
            asked(answer.ranges),
            asked(answer.elsewhere),
        )
    )


def compute_sentence(answer: ComputeAnswer, results: Results) -> str:
    """Say how a budget is used best by a fit, or why it has no optimum."""
    fit = results.fits[stand_in(answer.fit, results.fits, results.specs).name]
    try:
        law = sum_of_powers(fit.law, "the best use of compute on page one")
        best = optimum_lines(fit, compute=[answer.compute], cost=natural_cost(law))
    except (DataError, LawError) as error:
        return literal(f"No answer: {error}.")
    return marked(*best.verdict)


def step_sentence(answer: StepAnswer, results: Results) -> str:
    """Say what a step found, or why it has no answer."""
    match results.steps[answer.step]:
        case StepFailed(reason):
            return f"No answer: {literal(reason)}"
        case HeadsResult(test):
            return marked(*test.verdict[:2])
        case Forecast() as forecast:
            return forecast_sentence(forecast)
        case ToyResult(_, check):
            return marked(check.verdict[-1])
        case found:
            return marked(found.verdict[0])
