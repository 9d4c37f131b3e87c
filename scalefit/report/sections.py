"""Compose a report: from a study and its fits to the blocks that the template sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from scalefit.errors import StudyError, closest
from scalefit.records import CONVERGED
from scalefit.report import sentences as say
from scalefit.report.blocks import Block, cards, equations, heading, note, paragraph
from scalefit.report.figures import FIGURES, POSTERIOR_FIGURES
from scalefit.report.gallery import Gallery
from scalefit.report.method import method_blocks
from scalefit.report.posterior_sections import comparison_section, posterior_section
from scalefit.report.posterior_words import Question, agreement_sentence, probability_sentence, sources_of
from scalefit.report.published import published_point
from scalefit.report.study import BAYES, LEAST_SQUARES, Answer, Card, Figure, Section, Study
from scalefit.report.tables import alternatives_table, estimates_table, level_tables, models_table
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
    return blocks + method_blocks(study, fits, gallery)


def check_kinds(study: Study) -> None:
    """Refuse an unknown kind, one that lacks what it needs, or one for another engine, before anything is computed.

    Raises
    ------
    StudyError
        Naming the nearest kind.
    """
    figures = [(figure, one.fit) for one in study.section for figure in one.figures]
    figures += [(study.front.figure, study.fit[0].name)] if study.front.figure else []
    for word, known, what in (
        *((one.kind, SECTIONS, "kind of section") for one in study.section),
        *((one.rule, ANSWERS, "rule for an answer") for one in study.answer),
        *((figure.kind, FIGURES, "figure") for figure, _ in figures),
    ):
        if word not in known:
            raise StudyError(f"{study.path.name}: there is no {what} {word!r}; {closest(word, known)}")
    for answer in study.answer:
        _check_answer(study, answer)
    for section in study.section:
        _check_section(study, section)
    for figure, default in figures:
        name = figure.fit or default
        if figure.kind in POSTERIOR_FIGURES:
            _check_engine(study, f"a figure of kind {figure.kind!r}", BAYES, [name])
        if figure.kind == "pooling" and "partial" not in study.spec(name).options.get("pool", {}).values():
            text = f"{study.path.name}: a figure of kind 'pooling' needs pool = {{ alpha = \"partial\" }}; "
            raise StudyError(f"{text}fit {name!r} pools nothing in part")


def _check_answer(study: Study, answer: Answer) -> None:
    what = f"an answer by rule {answer.rule!r}"
    if answer.rule != "law" and not answer.parameter:
        raise StudyError(f"{study.path.name}: {what} needs a parameter")
    if answer.rule in ("reference", "posterior") and answer.reference is None:
        raise StudyError(f"{study.path.name}: {what} needs a reference, such as 1")
    if answer.rule == "posterior":
        _check_within(study, what, answer)
        _check_engine(study, what, BAYES, [answer.fit, *answer.also])


def _check_section(study: Study, section: Section) -> None:
    what = f"section {section.title!r} of kind {section.kind!r}"
    if section.kind == "comparison":
        if not section.fits or not section.parameter:
            raise StudyError(f"{study.path.name}: {what} needs fits and a parameter")
    elif not section.fit:
        raise StudyError(f"{study.path.name}: {what} needs a fit")
    else:
        engine = BAYES if section.kind == "posterior" else LEAST_SQUARES
        clustered = [section.clustered] if section.clustered else []
        _check_engine(study, what, engine, [section.fit, *clustered, *section.alternatives])
        _check_engine(study, f"the ranking of laws in {what}", BAYES, section.laws)
    if section.reference is not None:
        _check_within(study, what, section)


def _check_engine(study: Study, what: str, engine: str, names: Sequence[str]) -> None:
    for name in names:
        if study.spec(name).engine != engine:
            raise StudyError(f"{study.path.name}: {what} needs fits with engine = {engine!r}; {name!r} has another")


def _check_within(study: Study, what: str, asked: Answer | Section) -> None:
    if asked.within < 0 or (asked.reference == 0 and not asked.within):
        raise StudyError(f"{study.path.name}: {what} needs within, how near to {asked.reference:g} counts, such as 0.1")


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


SECTIONS: Mapping[str, Callable[[Section, Fits, Gallery], list[Block]]] = MappingProxyType(
    {"comparison": comparison_section, "law": _law_section, "posterior": posterior_section}
)
