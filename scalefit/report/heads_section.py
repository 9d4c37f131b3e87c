"""The section on output heads of real models, and whether they are in strong superposition."""

from __future__ import annotations

from collections.abc import Sequence

from scalefit.data.datasets import load_dataset
from scalefit.escape import literal
from scalefit.models import HeadMeasurement
from scalefit.models.words import is_superposed, regime
from scalefit.numbers import fixed, rounded
from scalefit.plots.heads import norms, overlaps, spectra
from scalefit.plots.style import new_panels
from scalefit.report.blocks import Block, align_decimals, drawing, paragraph, picture, table
from scalefit.report.results import Results
from scalefit.report.spec import HeadsSection
from scalefit.report.step_results import begin_section
from scalefit.report.steps import HeadsResult
from scalefit.report.text import capital, marked

__all__ = ["heads_section"]

_HEIGHT = 48.0  # mm
PUBLISHED = "llm_heads"


def heads_section(section: HeadsSection, results: Results) -> list[Block]:
    """Write what tables of output heads show about superposition.

    Parameters
    ----------
    section : HeadsSection
        What to write.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        For each step its verdict, overlaps against width, norms and eigenvalues where they were measured, a table.
    """
    steps, blocks = begin_section(section, results, HeadsResult)
    for label, result in steps.items():
        blocks.append(paragraph(f"**{capital(label)}.** {marked(*result.test.verdict)}"))
        blocks += [_overlaps(result)]
        blocks += [_norms(result.heads), _measured(result.heads)] if result.heads else []
    return blocks


def _overlaps(result: HeadsResult) -> Block:
    """Draw overlaps against width: measured heads as arrows, with the published points behind them."""
    test = result.test
    if result.heads:
        ax = overlaps(result.heads, published=load_dataset(PUBLISHED))
        caption = (
            "Mean squared overlap of the rows of output heads against their width. Arrows: measured heads, from the "
            "raw overlap (hollow) to the effective one (filled), after removing what predictions do not depend on. "
            "Hollow grey: raw overlaps as published. "
        )
    elif test.name != PUBLISHED:
        ax = overlaps(own=test.rows, column=test.overlap)
        caption = "Mean squared overlap of the rows of output heads against their width. "
    else:
        ax = overlaps(published=test.rows, column=test.overlap, ax=new_panels(1, 1, height=_HEIGHT)[0])
        caption = "Mean squared overlap of the rows of output heads against their width, raw, as published. "
    caption += "Red: random directions (dashed), and the Welch bound, the least possible overlap."
    times = test.rows[test.overlap] * test.rows[test.dimension]
    alt = f"{len(times)} heads, {rounded(times.min(), 0.1)} to {rounded(times.max(), 1.0)} times above the line of 1/m."
    return picture(drawing(ax, caption, alt))


def _norms(heads: Sequence[HeadMeasurement]) -> Block:
    """Draw the norms of the rows, and eigenvalues where they were computed."""
    with_spectrum = any(head.spectrum for head in heads)
    panels = new_panels(1, 1 + with_spectrum, height=58.0)
    norms(heads, ax=panels[0])
    if with_spectrum:
        spectra(heads, ax=panels[1])
    caption = "Norms of the rows of each head over their mean, the widest head darkest"
    caption += "; right: eigenvalues of the effective directions." if with_spectrum else "."
    alt = "; ".join(f"{literal(head.run)}: norms vary by {fixed(head.norm_cv, 2)} of their mean" for head in heads)
    return picture(drawing(panels[0], caption, alt))


def _measured(heads: Sequence[HeadMeasurement]) -> Block:
    """Return one row per head."""
    times = [
        align_decimals([rounded(getattr(head, name) * getattr(head, width), 0.1) for head in heads])
        for name, width in (
            ("overlap_ms", "width"),
            ("overlap_ms_centred", "width"),
            ("overlap_ms_effective", "effective_width"),
        )
    ]
    rows = [
        [
            literal(head.run), str(head.width), raw, centred, effective, rounded(head.participation_ratio, 1.0),
            fixed(head.norm_cv_effective, 2),
            regime(
                head.overlap_ms_effective * head.effective_width, head.norm_cv_effective, crowded=is_superposed(head)
            ),
        ]
        for head, raw, centred, effective in zip(heads, *times, strict=True)
    ]  # fmt: skip
    caption = (
        "Measured heads: overlap over that of random directions (raw, without the mean row, effective), dimensions "
        "that the effective directions fill, spread of their norms over the mean, and the regime of the toy model that "
        "they resemble."
    )
    header = ["model", "m", "raw", "centred", "effective", "dimensions", "norms", "like"]
    return table(caption, header, rows, align="lrrrrrrl", fill=0)
