"""The section on levels: one fit for each label of a column, and whether the labels share the parameters."""

from __future__ import annotations

from collections.abc import Sequence

from scalefit.comparison import LevelFits
from scalefit.errors import DataError, closest
from scalefit.escape import literal
from scalefit.names import printed_label
from scalefit.numbers import exact
from scalefit.plots.style import new_panels
from scalefit.records import CONVERGED
from scalefit.report.blocks import Block, align_errors, drawing, note, paragraph, picture, table
from scalefit.report.results import Results
from scalefit.report.sentences import words
from scalefit.report.spec import LevelsSection
from scalefit.report.step_results import begin_section
from scalefit.report.tables import transpose
from scalefit.report.text import capital
from scalefit.summary import estimate_text, scatter_text

__all__ = ["levels_section"]

ROW: float = 6.0  # mm of a figure for each level
CLOSE_ROW: float = 4.6  # the same of many levels, so that the figure leaves room on its page
MANY: int = 12  # levels
PLUS_MINUS = "±"
EDGE: float = 18.0  # mm above and below


def levels_section(section: LevelsSection, results: Results) -> list[Block]:
    """Write the fits of each level: a table, the tests of shared parameters, and one parameter as a figure.

    Parameters
    ----------
    section : LevelsSection
        What to write.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        For each step.

    Raises
    ------
    DataError
        When no level has the parameter to draw.
    """
    steps, blocks = begin_section(section, results, LevelFits)
    for found in steps.values():
        blocks += _shown(found, section.parameter)
    return blocks


def _shown(found: LevelFits, parameter: str) -> list[Block]:
    by = words(found.by)
    text = (
        f"The law is fitted to the rows of each level of {literal(by)} by itself; Cochran’s Q tests whether the levels "
        f"share a parameter. {'. '.join(literal(capital(verdict)) for verdict in found.verdicts())}."
    )
    lacking = [f"{by} = {printed_label(level)} is not fitted: {why}." for level, why in found.failed.items()]
    lacking += [
        f"{by} = {printed_label(level)}: {fit.message}" for level, fit in found.fits.items() if fit.status != CONVERGED
    ]
    remarks = [literal(capital(remark)) for remark in [*lacking, *found.remarks]]
    return [paragraph(text), *([note(*remarks)] if remarks else []), _table(found), _figure(found, parameter)]


def _table(found: LevelFits) -> Block:
    """Return a row for each parameter and a column for each level, or the other way round where levels are many."""
    names = ["rows", "scatter", *(literal(name) for name in found.names)]
    levels = [literal(printed_label(level)) for level in found.fits]
    cells: list[Sequence[str]] = []
    for fit in found.fits.values():
        numbers = [estimate_text(fit[name]) if name in fit else "" for name in found.names]
        cells.append([exact(fit.n_rows), scatter_text(fit.goodness, fit.goodness.rms), *numbers])
    caption = f"Fits by {literal(words(found.by))}: estimates ± standard errors."
    down, across, columns = names, levels, cells
    if len(levels) > len(names):
        down, across, columns = levels, names, [_aligned(column) for column in transpose(cells)]
    return table(caption, ["", *across], transpose([down, *columns]), align="l" + "r" * len(across))


def _aligned(texts: Sequence[str]) -> list[str]:
    """Align the signs of ``value ± error``; a cell with an interval stays as it is."""
    padded = iter(align_errors([text for text in texts if PLUS_MINUS in text] or [""]))
    return [next(padded) if PLUS_MINUS in text else text for text in texts]


def _figure(found: LevelFits, parameter: str) -> Block:
    exponents = [
        estimate.name for fit in found.fits.values() for estimate in fit.estimates if estimate.kind == "exponent"
    ]
    name = parameter or next(iter(exponents), found.names[0])
    if name not in found.names:
        raise DataError(f"no level has a parameter {name!r} to draw; {closest(name, found.names)}")
    count = len(found.fits)
    axes = new_panels(1, 1, height=EDGE + (ROW if count <= MANY else CLOSE_ROW) * count)[0]
    drawn = found.plot(name, ax=axes)
    values = [f"{printed_label(level)} {estimate_text(fit[name])}" for level, fit in found.fits.items() if name in fit]
    caption = f"{literal(capital(name))} by {literal(words(found.by))}, with intervals."
    return picture(drawing(drawn, caption, f"{name} by {words(found.by)}: {'; '.join(values)}."))
