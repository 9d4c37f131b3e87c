"""Sections on posteriors: one of a law with its alternatives and rivals, and one parameter in several fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from scalefit.comparison import Comparison, compare
from scalefit.escape import literal
from scalefit.records import CONVERGED, NOT_CONVERGED
from scalefit.report import posterior_tables as tables
from scalefit.report import posterior_words as say
from scalefit.report.blocks import Block, note, paragraph, picture
from scalefit.report.figures import draw
from scalefit.report.posterior_words import Hypothesis
from scalefit.report.published import printed_number
from scalefit.report.results import Results
from scalefit.report.sentences import alternatives_sentence, name_in, residual_sentence, rows_sentence
from scalefit.report.spec import (
    ComparisonSection,
    PosteriorSection,
    PredictiveFigure,
    with_words,
)
from scalefit.report.text import capital, fill, marked
from scalefit.results import Fit

__all__ = ["comparison_section", "posterior_section"]

Fits = Mapping[str, Fit]


def posterior_section(section: PosteriorSection, results: Results) -> list[Block]:
    """Write a posterior: how good its draws are, its numbers with their priors, what they show, rival laws.

    Parameters
    ----------
    section : PosteriorSection
        What to write.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        Without numbers when the draws do not represent the posterior.
    """
    fits, labels = results.fits, results.labels
    fit = fits[section.fit]
    text = [paragraph(fill(words, fits)) for words in section.text]
    status = say.posterior_status(fit)
    blocks = [paragraph(rows_sentence(fit), say.model_sentence(fit), say.sampling_sentence(fit), _residuals(fit))]
    blocks += [note(status)] if status else []
    blocks += [note(*map(literal, fit.source.remarks))] if fit.source.remarks else []
    if fit.status == NOT_CONVERGED:
        return blocks + text
    question = Hypothesis.ask(section.parameter, section.reference, section.within)
    blocks += [tables.posterior_table(fit), *text]
    blocks += _tested(labels[section.fit], fit, question, tabled=section.evidence_table)
    if section.alternatives:
        family = results.by_label((section.fit, *section.alternatives))
        others = {label: other for label, other in list(family.items())[1:] if other.status != NOT_CONVERGED}
        name = (
            name_in(fit, question.names) if question.names else fit.law.exponents[0].name if fit.law.exponents else ""
        )
        blocks.append(paragraph(alternatives_sentence(fit, [name], others) if name in fit else ""))
        blocks.append(tables.posteriors_table(family, section.parameters, question))
    if section.laws:
        blocks += _ranked(results.ranked(section.laws, section.leave_out, section.hold_out))
    figures = [with_words(figure, section.words) for figure in section.figures or (PredictiveFigure(),)]
    return blocks + [picture(draw(figure, results, section.fit), floating=True) for figure in figures]


def comparison_section(section: ComparisonSection, results: Results) -> list[Block]:
    """Compare several fits and published values of one parameter, and state whether they agree.

    Parameters
    ----------
    section : ComparisonSection
        What to write.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        A sentence on the agreement, then the sources.
    """
    question = Hypothesis.ask(section.parameter, section.reference, section.within)
    fits, chosen = results.fits, results.by_label(section.fits)
    usable = {label: fit for label, fit in chosen.items() if fit.status != NOT_CONVERGED}
    failed = [
        f"“{label}” has no answer: {literal(fit.message)}" for label, fit in chosen.items() if label not in usable
    ]
    blocks = [note(*failed)] if failed else []
    if not usable:
        return blocks
    printed = {literal(paper.label): printed_number(paper, question.names) for paper in section.published}
    comparison = say.sources_of(usable, question, printed)
    counted = say.intervals_sentence(comparison.sources, question.reference) if question.reference is not None else ""
    blocks.append(paragraph(say.agreement_sentence(comparison), counted))
    comparable = say.comparable_sentence(usable, question)
    blocks += [paragraph(comparable)] if comparable else []
    blocks += [paragraph(fill(words, fits)) for words in section.text]
    first = next(name for name in section.fits if fits[name].status != NOT_CONVERGED)
    blocks += [
        picture(draw(with_words(figure, section.words), results, first), floating=True) for figure in section.figures
    ]
    measured = {label: say.estimand(fit, question.names) for label, fit in usable.items()}
    return [*blocks, tables.sources_table(comparison, measured)]


def _residuals(fit: Fit) -> str:
    if fit.status == NOT_CONVERGED:
        return ""
    return residual_sentence(fit) + (" The shifts are part of them." if fit.selection.cluster is not None else "")


def _tested(label: str, fit: Fit, question: Hypothesis, *, tabled: bool) -> list[Block]:
    """Say where one posterior is relative to the reference, with the evidence under several priors."""
    if not question.names or question.reference is None:
        return []
    if fit.status == CONVERGED:
        names = ",".join(question.names)
        comparison = compare({label: fit}, names, reference=question.reference, region=question.region)
    else:
        comparison = say.sources_of({label: fit}, question)  # a Bayes factor would say more than is known
    blocks = [paragraph(marked(*comparison.verdict))]
    for evidence in comparison.evidence:
        blocks += [tables.evidence_table(evidence)] if evidence.priors and tabled else []
        blocks += [paragraph(literal(" ".join(evidence.notes)))] if evidence.notes else []
    return blocks


def _ranked(comparison: Comparison) -> list[Block]:
    """Write how laws rank by their predictions: of left-out rows, and of larger runs from smaller ones."""
    of_laws = replace(comparison, sources=(), agreement=None)
    blocks = [paragraph(marked(*of_laws.verdict), *(capital(literal(note)) for note in comparison.notes))]
    blocks += [tables.laws_table(comparison.laws)] if comparison.laws else []
    if comparison.held_out and comparison.split:
        blocks.append(tables.held_out_table(comparison.held_out, comparison.split))
    return blocks
