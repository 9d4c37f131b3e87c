"""Compose a report: from a study and its fits to the blocks that the template typesets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from scalefit.escape import literal
from scalefit.numbers import percent, plus_minus, rounded_interval
from scalefit.records import CONVERGED
from scalefit.report import sentences as say
from scalefit.report.blocks import Block, Drawing, answers, cards, equations, heading, name_files, paragraph, picture
from scalefit.report.claims import claims_section
from scalefit.report.figures import draw
from scalefit.report.forecast_section import forecast_section
from scalefit.report.heads_section import heads_section
from scalefit.report.law_section import law_section
from scalefit.report.levels_section import levels_section
from scalefit.report.method import method_blocks
from scalefit.report.optimum_section import optimum_section
from scalefit.report.page_one import (
    compute_sentence,
    prediction_sentence,
    robust_sentences,
    step_sentence,
    values_sentence,
)
from scalefit.report.posterior_sections import comparison_section, posterior_section
from scalefit.report.posterior_words import Hypothesis, agreement_sentence, probability_sentence, sources_of
from scalefit.report.prediction_section import prediction_section
from scalefit.report.published import published_point
from scalefit.report.results import Results
from scalefit.report.runs_page import budget_sentence, misfit_sentence, runs_sentence
from scalefit.report.spec import (
    AgreementAnswer,
    Answer,
    CalibrationSection,
    Card,
    ClaimsSection,
    ComparisonSection,
    ComputeAnswer,
    ConvergenceFigure,
    Figure,
    ForecastSection,
    HeadsSection,
    LawAnswer,
    LawSection,
    LevelsSection,
    OptimumSection,
    PooledAnswer,
    PosteriorAnswer,
    PosteriorSection,
    PredictionAnswer,
    PredictionSection,
    ReferenceAnswer,
    RobustAnswer,
    RunsAnswer,
    Section,
    SensitivitySection,
    StepAnswer,
    SweepFigure,
    ToySection,
    ValuesAnswer,
    WidthTermsFigure,
)
from scalefit.report.standin import stand_in
from scalefit.report.step_sections import calibration_section, sensitivity_section, toy_section
from scalefit.report.study import Study
from scalefit.report.tables import models_table
from scalefit.report.text import equation, join
from scalefit.report.work import Work
from scalefit.results import PosteriorFit

__all__ = ["compose", "write_section"]


def compose(study: Study, work: Work) -> tuple[list[Block], dict[str, bytes]]:
    """Write the whole report; parts with unchanged study, fits and code come from the cache.

    Parameters
    ----------
    study : Study
        With its defaults filled in.
    work : Work
        Its results.

    Returns
    -------
    blocks : list of Block
        In order; the first ones make page one.
    files : dict
        SVG by file name.
    """
    labels = {name: literal(label) for name, label in study.labels.items()}
    specs = {spec.name: spec for spec in study.fit}
    results = Results(work.fits, labels, specs, study.path.parent, work.steps)
    files: dict[str, bytes] = {}

    def part(prefix: str, about: Any, write: Callable[[], list[Block]]) -> list[Block]:
        blocks, pictures = work.part(about, lambda: name_files(write(), prefix))
        files.update(pictures)
        return blocks

    page_one = {"answer": study.answer, "card": study.card, "front": study.front, "first": study.fit[0].name}
    blocks = part("front", page_one, lambda: _front(study, results))
    for place, section in enumerate(study.section, start=1):
        blocks += [{"kind": "new page"}] if section.new_page else []
        about = [place, section, study.fit[0].name]  # figures may fall back on the first fit
        blocks += part(f"section-{place}", about, partial(write_section, section, results))
    if study.left_out:
        blocks += [heading("What this report does not include"), paragraph(*map(literal, study.left_out))]
    whole = replace(study, path=Path())
    return blocks + part("method", whole, lambda: method_blocks(study, results)), files


def write_section(section: Section, results: Results) -> list[Block]:
    """Write a section.

    Parameters
    ----------
    section : Section
        Of any kind.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        Its heading and its content.
    """
    return [heading(section.title), *_figures_early(_below_heading(section, results))]


def _figures_early(blocks: list[Block]) -> list[Block]:
    """Move the floating figures at the end of a section behind its first paragraph, so that they stay near its text."""
    end = len(blocks)
    while end and blocks[end - 1].get("floating", False):
        end -= 1
    first = next((i for i, block in enumerate(blocks[:end]) if block["kind"] == "paragraph"), end - 1)
    return [*blocks[: first + 1], *blocks[end:], *blocks[first + 1 : end]]


def _below_heading(section: Section, results: Results) -> list[Block]:
    match section:
        case LawSection():
            return law_section(section, results)
        case PosteriorSection():
            return posterior_section(section, results)
        case ComparisonSection():
            return comparison_section(section, results)
        case ClaimsSection():
            return claims_section(section, results)
        case OptimumSection():
            return optimum_section(section, results)
        case SensitivitySection():
            return sensitivity_section(section, results)
        case CalibrationSection():
            return calibration_section(section, results)
        case ToySection():
            return toy_section(section, results)
        case LevelsSection():
            return levels_section(section, results)
        case ForecastSection():
            return forecast_section(section, results)
        case HeadsSection():
            return heads_section(section, results)
        case PredictionSection():
            return prediction_section(section, results)


def _front(study: Study, results: Results) -> list[Block]:
    shown = results.by_label(study.front.fits)
    verdict, items = "", [_answer(answer, results) for answer in study.answer]
    if study.answer and isinstance(study.answer[0], RobustAnswer):  # its verdict leads in large letters
        verdict, basis = robust_sentences(study.answer[0], results)
        items[0] = (items[0][0], basis)
    blocks = [answers([paragraph(*item)["runs"] for item in items], verdict)]
    if study.card:
        blocks.append(cards([_card(card, results) for card in study.card]))
    laws = dict.fromkeys(fit.law for fit in shown.values())
    blocks.append(equations([equation(law) for law in laws]))
    if study.front.table:
        blocks.append(models_table(shown))
    if study.front.figure is not None:
        blocks.append(picture(_front_figure(study.front.figure, study.fit[0].name, results)))
    return blocks


def _front_figure(figure: Figure, first: str, results: Results) -> Drawing:
    """Draw the figure of page one, with the replacement where the fit that it names has no answer."""
    if isinstance(figure, SweepFigure | ConvergenceFigure | WidthTermsFigure):
        return draw(figure, results, first)
    name = stand_in(figure.fit or first, results.fits, results.specs).name
    return draw(replace(figure, fit=name), results, name)


def _card(card: Card, results: Results) -> tuple[str, str, str]:
    answering = stand_in(card.fit, results.fits, results.specs)
    fit = results.fits[answering.name]
    if fit.status != CONVERGED:
        return card.title, "no answer", f"the fit is {fit.status}"
    numbers = [fit[name] for name in card.parameters]
    level = percent(fit.uncertainty.level)
    by = "" if not answering.reason else ", posterior" if isinstance(fit, PosteriorFit) else f", {say.method(fit)}"
    if len(numbers) == 1:
        number = numbers[0]
        interval = rounded_interval(number.lo, number.hi, number.se)
        return card.title, plus_minus(number.value, number.se), f"{level} interval {interval}{by}"
    value = "\u2003".join(plus_minus(number.value, number.se).partition(" ± ")[0] for number in numbers)
    detail = join([rounded_interval(number.lo, number.hi, number.se) for number in numbers])
    return card.title, value, f"{level} intervals {detail}{by}"


def _answer(answer: Answer, results: Results) -> tuple[str, str]:
    lead = answer.title if answer.title.endswith(("?", "!", ".")) else f"{answer.title}."
    return f"**{lead}**" if answer.title else "", _answer_words(answer, results)


def _answer_words(answer: Answer, results: Results) -> str:
    match answer:
        case LawAnswer():
            return _answer_law(answer, results)
        case ReferenceAnswer():
            return _answer_reference(answer, results)
        case PooledAnswer():
            among, also = results.by_label(answer.among), results.by_label(answer.also)
            pooled = results.fits[answer.fit]
            sentences = [say.pooled_sentence(pooled, answer.parameter, among, answer.reference)]
            sentences += [say.other_fits_sentence(also, answer.parameter, answer.reference)] if also else []
            return " ".join(sentences)
        case PosteriorAnswer():
            question = Hypothesis.ask(answer.parameter, answer.reference, answer.within)
            return probability_sentence(results.by_label((answer.fit, *answer.also)), question)
        case AgreementAnswer():
            question = Hypothesis.ask(answer.parameter, None, 0.0)
            return agreement_sentence(sources_of(results.by_label((answer.fit, *answer.also)), question))
        case RobustAnswer():
            return " ".join(robust_sentences(answer, results))
        case ValuesAnswer():
            return values_sentence(answer, results)
        case PredictionAnswer():
            return prediction_sentence(answer, results)
        case ComputeAnswer():
            return (budget_sentence if answer.rule == "budget" else compute_sentence)(answer, results)
        case RunsAnswer():
            return (runs_sentence if answer.rule == "runs" else misfit_sentence)(answer, results)
        case StepAnswer():
            return step_sentence(answer, results)


def _answer_law(answer: LawAnswer, results: Results) -> str:
    fits = results.fits
    answering = stand_in(answer.fit, fits, results.specs)
    fit = fits[answering.name]
    published = [say.published_sentence(fit, published_point(fit, paper)) for paper in answer.published]
    lead = f"By {say.method(fit)}, " if answering.reason else ""
    law = say.law_sentence(fit)
    law = lead + law[:1].lower() + law[1:] if lead else law
    others = [fits[name] for name in results.specs[answer.fit].instead if name != answering.name]
    apart = say.disagreement_sentence(fit, [other for other in others if other.status == CONVERGED])
    return " ".join(filter(None, [law, answering.reason, apart, *published]))


def _answer_reference(answer: ReferenceAnswer, results: Results) -> str:
    fits = results.fits
    main = stand_in(answer.fit, fits, results.specs).name
    # a fit without an answer neither agrees nor disagrees
    also = results.by_label(name for name in answer.also if fits[name].status == CONVERGED and name != main)
    return say.reference_sentence(fits[main], answer.parameter, answer.reference, also)
