"""The section on one law fitted to one table."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from scalefit.escape import literal
from scalefit.report import sentences as say
from scalefit.report.blocks import Block, note, paragraph, picture
from scalefit.report.figures import draw
from scalefit.report.published import published_point
from scalefit.report.results import Results
from scalefit.report.spec import LawSection, ResidualsFigure, TermsFigure
from scalefit.report.standin import stand_in
from scalefit.report.tables import alternatives_table, estimates_table, level_tables
from scalefit.report.text import fill
from scalefit.results import PosteriorFit

__all__ = ["law_section"]

MOST_EXPONENTS: Final = 3  # whose largest changes are written out


def law_section(section: LawSection, results: Results) -> list[Block]:
    """Write one law fitted to one table: estimates and published values, other choices, figures, limitations."""
    fits, labels = results.fits, results.labels
    answering = stand_in(section.fit, fits, results.specs)
    replaced = bool(answering.reason) and not isinstance(fits[answering.name], PosteriorFit)
    if replaced:  # the table shows numbers that can be used
        rest = tuple(
            alternative for alternative in (section.fit, *section.alternatives) if alternative != answering.name
        )
        section = replace(section, fit=answering.name, alternatives=rest, clustered="")
    fit = fits[section.fit]
    clustered = fits[section.clustered] if section.clustered else None
    points = [published_point(fit, paper) for paper in section.published]
    others = results.by_label(section.alternatives)
    family = {labels[section.fit]: fit, **others}
    exponents = [estimate.name for estimate in fit.estimates if estimate.kind == "exponent"]
    exponent = next(iter(exponents), "")
    sentences = " ".join(
        f"{say.published_sentence(fit, point)} {say.nearest_sentence(point, family)}".strip()
        for point in points
        if not any(say.rounds_to(other, point) for other in points)
    )
    sentences = f"{sentences} {say.rounding_sentence(fit, points)}".strip()
    status = say.status_sentence(fit)
    blocks = [paragraph(say.rows_sentence(fit), say.optima_sentence(fit), say.residual_sentence(fit))]
    blocks += [note(f"This is the fit “{labels[section.fit]}”. {answering.reason}")] if replaced else []
    blocks += [note(status)] if status else []
    blocks += [note(*map(literal, fit.source.remarks))] if fit.source.remarks else []
    blocks.append(estimates_table(fit, clustered=clustered, published=points))
    blocks += [paragraph(sentences)] if sentences else []
    blocks += [paragraph(fill(text, fits)) for text in section.text]
    if clustered is not None and exponent:
        blocks.append(paragraph(say.scatter_sentence(fit), say.cluster_sentence(fit, clustered, exponent)))
    if others:
        blocks.append(
            paragraph(
                say.alternatives_sentence(fit, exponents[:MOST_EXPONENTS], others), say.nested_sentence(fit, others)
            )
        )
        blocks.append(alternatives_table(family, section.parameters))
    figures = section.figures or (TermsFigure(), ResidualsFigure())
    drawn = [picture(draw(figure, results, section.fit), floating=True) for figure in figures]
    return blocks + (level_tables(fit) if section.levels else []) + drawn
