"""The section on predictions: what coverage and what error forecasts reached in the public backtest."""

from __future__ import annotations

from scalefit.forecasting import public_backtest
from scalefit.forecasting.coverage import public_table
from scalefit.forecasting.scores import NAMES
from scalefit.numbers import exact, percent, percent_size
from scalefit.plots.forecasts import draw_coverage
from scalefit.report.blocks import Block, drawing, paragraph, picture
from scalefit.report.results import Results
from scalefit.report.spec import PredictionSection
from scalefit.report.text import fill, join
from scalefit.thresholds import SHORT_COVERAGE

__all__ = ["prediction_section"]

_HEIGHT = 50.0  # mm
_NOMINAL = 0.9


def prediction_section(section: PredictionSection, results: Results) -> list[Block]:
    """Write how forecasts of larger runs did where the outcome is known.

    Parameters
    ----------
    section : PredictionSection
        What to write.
    results : Results
        Of the study, for numbers in its text.

    Returns
    -------
    list of Block
        Coverage and error by distance, in sentences and in one figure.
    """
    backtest = public_backtest()
    blocks = [paragraph(fill(text, results.fits)) for text in section.text]
    rule = public_table("forecast")
    reached = join([percent(share.share90, 0) for share in rule])
    errors = join([percent_size(share.error) for share in rule])
    short = [share for share in rule if share.share90 < _NOMINAL - SHORT_COVERAGE]
    verdict = (
        f"In {exact(len(short))} of {exact(len(rule))} ranges they cover too few"
        if short
        else f"No range is more than {exact(round(100 * SHORT_COVERAGE))} points below {percent(_NOMINAL, 0)}"
    )
    others = [(NAMES[name], public_table(name)) for name in backtest.methods if name != "forecast"]
    far = join([f"{percent(table[-1].share90, 0)} ({name.replace('_', ' ')})" for name, table in others])
    text = (
        "Farther from the known runs (2 to 5, 5 to 20, 20 to 100 and over 100 times the largest known compute) the 90% "
        f"intervals of the forecasts cover {reached} of the held-out losses; median errors are {errors}. {verdict}. "
        f"Over 100 times, the intervals of other methods cover {far}: a law extrapolated with the errors of its "
        "parameters alone is too sure of itself."
    )
    blocks.append(paragraph(text))
    left, _ = draw_coverage(backtest, height=_HEIGHT)
    cells = exact(sum(share.cells for share in rule))
    caption = (
        f"The public backtest, {cells} cells of table, cut and range. Left: share of 90% intervals that cover the "
        "held-out loss; red: the nominal share. Right: median error."
    )
    alt = "; ".join(
        f"{NAMES[name]} {', '.join(percent(share.share90, 0) for share in public_table(name))}"
        for name in backtest.methods
    )
    return [*blocks, picture(drawing(left, caption, f"Coverage of 90% intervals by range: {alt}."), floating=True)]
