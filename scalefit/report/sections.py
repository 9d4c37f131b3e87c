"""Compose a report: from a study and its fits to the blocks that the template sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scalefit.escape import literal
from scalefit.records import CONVERGED
from scalefit.report import sentences as say
from scalefit.report.blocks import Block, cards, equations, heading, note, paragraph
from scalefit.report.checks import check_kinds
from scalefit.report.claims import claims_section
from scalefit.report.figures import draw_figure
from scalefit.report.gallery import Gallery
from scalefit.report.heads_section import heads_section
from scalefit.report.method import method_blocks
from scalefit.report.optimum_section import optimum_section
from scalefit.report.posterior_sections import comparison_section, posterior_section
from scalefit.report.posterior_words import Question, agreement_sentence, probability_sentence, sources_of
from scalefit.report.published import published_point
from scalefit.report.spec import Answer, Card, Figure, Section
from scalefit.report.standin import stand_in
from scalefit.report.step_sections import calibration_section, sensitivity_section, toy_section
from scalefit.report.study import Study
from scalefit.report.tables import alternatives_table, estimates_table, level_tables, models_table
from scalefit.report.text import equation, fill, join
from scalefit.report.work import Work
from scalefit.results import Fit, PosteriorFit
from scalefit.rounding import plus_minus, rounded_interval

__all__ = ["ANSWERS", "SECTIONS", "check_study", "compose"]

Fits = Mapping[str, Fit]


def compose(study: Study, work: Work) -> tuple[list[Block], dict[str, bytes]]:
    """Write the whole report; a part whose study, fits and code are those of the last time comes from the cache.

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
    specs = {one.name: one for one in study.fit}
    labels = {name: literal(label) for name, label in study.labels.items()}

    def part(prefix: str, about: Any, write: Callable[[Gallery], list[Block]]) -> list[Block]:
        def written() -> tuple[list[Block], dict[str, bytes]]:
            gallery = Gallery(work.fits, labels, specs, study.path.parent, work.steps, prefix)
            return write(gallery), gallery.files

        blocks, content = work.part(about, written)
        files.update(content)
        return blocks

    files: dict[str, bytes] = {}
    page_one = {"answer": study.answer, "card": study.card, "front": study.front, "first": study.fit[0].name}
    blocks = part("front", page_one, lambda gallery: _front(study, work.fits, gallery))
    for place, section in enumerate(study.section, start=1):
        blocks += [{"kind": "new page"}] if section.new_page else []
        about = [place, section, study.fit[0].name]  # figures may fall back on the first fit
        blocks += part(f"section-{place}", about, partial(_section, section, work.fits))
    if study.left_out:
        blocks += [heading("What this report does not have"), *(paragraph(literal(one)) for one in study.left_out)]
    whole = replace(study, path=Path())
    return blocks + part("method", whole, lambda gallery: method_blocks(study, work.fits, gallery)), files


def check_study(study: Study) -> None:
    """Refuse what a study asks for in vain, before anything is computed.

    Raises
    ------
    StudyError
        Naming the nearest kind, or what is lacking.
    """
    check_kinds(study, SECTIONS, ANSWERS)


def _section(section: Section, fits: Fits, gallery: Gallery) -> list[Block]:
    return [heading(section.title), *SECTIONS[section.kind](section, fits, gallery)]


def _front(study: Study, fits: Fits, gallery: Gallery) -> list[Block]:
    shown = {gallery.labels[name]: fits[name] for name in study.front.fits}
    blocks: list[Block] = [
        {"kind": "answer", "items": [paragraph(*_answer(one, fits, gallery))["runs"] for one in study.answer]}
    ]
    if study.card:
        blocks.append(cards([_card(one, fits, gallery) for one in study.card]))
    laws = dict.fromkeys(fit.law for fit in shown.values())
    blocks.append(equations([equation(law) for law in laws]))
    blocks.append(models_table(shown))
    if study.front.figure is not None:
        figure = study.front.figure
        drawn = stand_in(figure.fit or study.fit[0].name, fits, gallery.specs).name
        blocks.append(draw_figure(gallery, replace(figure, fit=drawn), drawn) | {"floating": False})
    return blocks


def _card(card: Card, fits: Fits, gallery: Gallery) -> tuple[str, str, str]:
    found = stand_in(card.fit, fits, gallery.specs)
    fit = fits[found.name]
    if fit.status != CONVERGED:
        return card.title, "no answer", f"the fit is {fit.status}"
    numbers = [fit[name] for name in card.parameters]
    level = f"{fit.uncertainty.level:.0%}"
    by = "" if not found.reason else ", posterior" if isinstance(fit, PosteriorFit) else f", {say.method(fit)}"
    if len(numbers) == 1:
        one = numbers[0]
        interval = rounded_interval(one.lo, one.hi, one.se)
        return card.title, plus_minus(one.value, one.se), f"{level} interval {interval}{by}"
    value = "\u2003".join(plus_minus(one.value, one.se).partition(" ± ")[0] for one in numbers)
    detail = join([rounded_interval(one.lo, one.hi, one.se) for one in numbers])
    return card.title, value, f"{level} intervals {detail}{by}"


def _answer(answer: Answer, fits: Fits, gallery: Gallery) -> tuple[str, str]:
    lead = answer.title if answer.title.endswith(("?", "!", ".")) else f"{answer.title}."
    return f"**{lead}**" if answer.title else "", ANSWERS[answer.rule](answer, fits, gallery)


def _answer_law(answer: Answer, fits: Fits, gallery: Gallery) -> str:
    found = stand_in(answer.fit, fits, gallery.specs)
    fit = fits[found.name]
    told = [say.published_sentence(fit, published_point(fit, paper)) for paper in answer.published]
    lead = f"By {say.method(fit)}, " if found.reason else ""
    law = say.law_sentence(fit)
    law = lead + law[:1].lower() + law[1:] if lead else law
    others = [fits[name] for name in gallery.specs[answer.fit].instead if name != found.name]
    apart = say.disagreement_sentence(fit, [one for one in others if one.status == CONVERGED])
    return " ".join(filter(None, [law, found.reason, apart, *told]))


def _answer_reference(answer: Answer, fits: Fits, gallery: Gallery) -> str:
    main = stand_in(answer.fit, fits, gallery.specs).name
    fit = fits[main]
    # a fit without an answer neither agrees nor disagrees
    also = {gallery.labels[name]: fits[name] for name in answer.also if fits[name].status == CONVERGED and name != main}
    reference = 1.0 if answer.reference is None else answer.reference
    return say.reference_sentence(fit, answer.parameter, reference, also)


def _answer_pooled(answer: Answer, fits: Fits, gallery: Gallery) -> str:
    among = {gallery.labels[name]: fits[name] for name in answer.among}
    return say.pooled_sentence(fits[answer.fit], answer.parameter, among, answer.reference)


def _answer_posterior(answer: Answer, fits: Fits, gallery: Gallery) -> str:
    asked = {gallery.labels[name]: fits[name] for name in (answer.fit, *answer.also)}
    return probability_sentence(asked, Question.ask(answer.parameter, answer.reference, answer.within))


def _answer_agreement(answer: Answer, fits: Fits, gallery: Gallery) -> str:
    asked = {gallery.labels[name]: fits[name] for name in (answer.fit, *answer.also)}
    return agreement_sentence(sources_of(asked, Question.ask(answer.parameter, answer.reference, answer.within)))


ANSWERS: Mapping[str, Callable[[Answer, Fits, Gallery], str]] = MappingProxyType(
    {
        "agreement": _answer_agreement,
        "law": _answer_law,
        "pooled": _answer_pooled,
        "posterior": _answer_posterior,
        "reference": _answer_reference,
    }
)


def _law_section(section: Section, fits: Fits, gallery: Gallery) -> list[Block]:
    """Write one law fitted to one table: estimates beside print, other choices, figures, what limits it."""
    fit = fits[section.fit]
    clustered = fits[section.clustered] if section.clustered else None
    points = [published_point(fit, paper) for paper in section.published]
    others = {gallery.labels[name]: fits[name] for name in section.alternatives}
    family = {gallery.labels[section.fit]: fit, **others}
    exponent = next((one.name for one in fit.estimates if one.kind == "exponent"), "")
    told = " ".join(
        f"{say.published_sentence(fit, point)} {say.nearest_sentence(point, family)}".strip() for point in points
    )
    status = say.status_sentence(fit)
    blocks = [paragraph(say.rows_sentence(fit), say.optima_sentence(fit), say.residual_sentence(fit))]
    blocks += [note(status)] if status else []
    blocks += [note(*map(literal, fit.source.remarks))] if fit.source.remarks else []
    blocks.append(estimates_table(fit, clustered=clustered, published=points))
    blocks += [paragraph(told)] if told else []
    blocks += [paragraph(fill(text, fits)) for text in section.text]
    if clustered is not None and exponent:
        blocks.append(paragraph(say.scatter_sentence(fit), say.cluster_sentence(fit, clustered, exponent)))
    if others:
        blocks.append(paragraph(say.alternatives_sentence(fit, exponent, others), say.nested_sentence(fit, others)))
        blocks.append(alternatives_table(family, section.parameters))
    figures = section.figures or (Figure("terms"), Figure("residuals"))
    return blocks + level_tables(fit) + [draw_figure(gallery, figure, section.fit) for figure in figures]


SECTIONS: Mapping[str, Callable[[Section, Fits, Gallery], list[Block]]] = MappingProxyType(
    {
        "calibration": calibration_section,
        "claims": claims_section,
        "comparison": comparison_section,
        "heads": heads_section,
        "law": _law_section,
        "optimum": optimum_section,
        "posterior": posterior_section,
        "sensitivity": sensitivity_section,
        "toy": toy_section,
    }
)
