"""Compose a report: from a study and its fits to the blocks that the template sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from scalefit.errors import StudyError, closest
from scalefit.records import CONVERGED
from scalefit.report import sentences as say
from scalefit.report.blocks import Block, cards, code, equations, heading, note, paragraph
from scalefit.report.figures import FIGURES, Gallery
from scalefit.report.provenance import command, data_files, versions
from scalefit.report.published import published_point
from scalefit.report.study import Answer, Card, Figure, Section, Study
from scalefit.report.tables import (
    alternatives_table,
    estimates_table,
    files_table,
    level_tables,
    models_table,
    optima_table,
)
from scalefit.report.text import equation, fill, join
from scalefit.results import Fit
from scalefit.rounding import plus_minus, rounded_interval

__all__ = ["ANSWERS", "SECTIONS", "check_kinds", "compose"]

Fits = Mapping[str, Fit]


def compose(study: Study, fits: Fits, gallery: Gallery) -> list[Block]:
    """Write the whole report.

    Parameters
    ----------
    study : Study
        With its defaults filled in.
    fits : mapping
        The results by name.
    gallery : Gallery
        Draws the figures and keeps their files.

    Returns
    -------
    list of Block
        In order; the first ones make page one.
    """
    blocks = _front(study, fits, gallery)
    for section in study.section:
        blocks += [{"kind": "new page"}] if section.new_page else []
        blocks += [heading(section.title), *SECTIONS[section.kind](section, fits, gallery)]
    return blocks + _method(study, fits, gallery)


def check_kinds(study: Study) -> None:
    """Refuse an unknown kind of section or rule of answer, before anything is computed.

    Raises
    ------
    StudyError
        Naming the nearest kind.
    """
    for word, known, what in (
        *((one.kind, SECTIONS, "kind of section") for one in study.section),
        *((one.rule, ANSWERS, "rule for an answer") for one in study.answer),
        *((figure.kind, FIGURES, "figure") for one in study.section for figure in one.figures),
    ):
        if word not in known:
            raise StudyError(f"{study.path.name}: there is no {what} {word!r}; {closest(word, known)}")
    for answer in study.answer:
        if answer.rule != "law" and not answer.parameter:
            raise StudyError(f"{study.path.name}: an answer by rule {answer.rule!r} needs a parameter")
        if answer.rule == "reference" and answer.reference is None:
            raise StudyError(f"{study.path.name}: an answer by rule 'reference' needs a reference, such as 1")


def _front(study: Study, fits: Fits, gallery: Gallery) -> list[Block]:
    shown = {gallery.labels[name]: fits[name] for name in study.front.fits}
    blocks: list[Block] = [
        {"kind": "answer", "items": [paragraph(*_answer(one, fits, gallery))["runs"] for one in study.answer]}
    ]
    if study.card:
        blocks.append(cards([_card(one, fits) for one in study.card]))
    laws = dict.fromkeys(fit.law for fit in shown.values())
    blocks.append(equations([equation(law) for law in laws]))
    blocks.append(models_table(shown))
    if study.front.figure is not None:
        blocks.append(gallery.draw(study.front.figure, study.fit[0].name) | {"floating": False})
    return blocks


def _card(card: Card, fits: Fits) -> tuple[str, str, str]:
    fit = fits[card.fit]
    if fit.status != CONVERGED:
        return card.title, "no answer", f"the fit is {fit.status}"
    found = [fit[name] for name in card.parameters]
    level = f"{fit.uncertainty.level:.0%}"
    if len(found) == 1:
        one = found[0]
        return (
            card.title,
            plus_minus(one.value, one.se),
            f"{level} interval {rounded_interval(one.lo, one.hi, one.se)}",
        )
    value = "\u2003".join(plus_minus(one.value, one.se).partition(" ± ")[0] for one in found)
    detail = join([rounded_interval(one.lo, one.hi, one.se) for one in found])
    return card.title, value, f"{level} intervals {detail}"


def _answer(answer: Answer, fits: Fits, gallery: Gallery) -> tuple[str, str]:
    lead = answer.title if answer.title.endswith(("?", "!", ".")) else f"{answer.title}."
    return f"**{lead}**" if answer.title else "", ANSWERS[answer.rule](answer, fits, gallery)


def _answer_law(answer: Answer, fits: Fits, _: Gallery) -> str:
    fit = fits[answer.fit]
    told = [say.published_sentence(fit, published_point(fit, paper)) for paper in answer.published]
    return " ".join([say.law_sentence(fit), *told])


def _answer_reference(answer: Answer, fits: Fits, gallery: Gallery) -> str:
    also = {gallery.labels[name]: fits[name] for name in answer.also}
    reference = 1.0 if answer.reference is None else answer.reference
    return say.reference_sentence(fits[answer.fit], answer.parameter, reference, also)


def _answer_pooled(answer: Answer, fits: Fits, gallery: Gallery) -> str:
    among = {gallery.labels[name]: fits[name] for name in answer.among}
    return say.pooled_sentence(fits[answer.fit], answer.parameter, among, answer.reference)


ANSWERS: Mapping[str, Callable[[Answer, Fits, Gallery], str]] = MappingProxyType(
    {"law": _answer_law, "pooled": _answer_pooled, "reference": _answer_reference}
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
    blocks += [note(*fit.source.remarks)] if fit.source.remarks else []
    blocks.append(estimates_table(fit, clustered=clustered, published=points))
    blocks += [paragraph(told)] if told else []
    blocks += [paragraph(fill(text, fits)) for text in section.text]
    if clustered is not None and exponent:
        blocks.append(paragraph(say.scatter_sentence(fit), say.cluster_sentence(fit, clustered, exponent)))
    if others:
        blocks.append(paragraph(say.alternatives_sentence(fit, exponent, others), say.nested_sentence(fit, others)))
        blocks.append(alternatives_table(family, section.parameters))
    figures = section.figures or (Figure("terms"), Figure("residuals"))
    return blocks + level_tables(fit) + [gallery.draw(figure, section.fit) for figure in figures]


SECTIONS: Mapping[str, Callable[[Section, Fits, Gallery], list[Block]]] = MappingProxyType({"law": _law_section})


def _method(study: Study, fits: Fits, gallery: Gallery) -> list[Block]:
    """Write where everything came from and how to repeat it."""
    named = {gallery.labels[one.name]: fits[one.name] for one in study.fit}
    first = next(iter(fits.values()))
    seeds = ", ".join(map(str, sorted({fit.seed for fit in fits.values()})))
    return [
        heading("Data and method"),
        paragraph(
            "Every fit minimises its objective globally: a grid of exponents, each cell solved exactly for floor and "
            "coefficients, then damped Newton steps from the best cells until no step promises a gain.",
            f"Intervals are {first.uncertainty.level:.0%} percentile intervals of refits to resampled rows, or to "
            "resampled clusters where a cluster is named; a bootstrap distribution is no posterior. "
            f"Seed {seeds}. Computed with {versions()}.",
        ),
        files_table(data_files(study)),
        optima_table(named),
        code([command(one) for one in study.fit], "The command of each fit."),
    ]
