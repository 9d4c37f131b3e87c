"""The section on forecasts: runs that do not exist yet, with intervals, and where their error comes from."""

from __future__ import annotations

from scalefit.escape import literal
from scalefit.forecasting import Forecast, TargetForecast
from scalefit.forecasting.limits import far_words
from scalefit.forecasting.result import INTERVALS, PARTS, held_words, largest_words
from scalefit.forecasting.rule import SHAPE
from scalefit.numbers import amount, percent, percent_size, rounded, rounded_interval, short_number, to_digits
from scalefit.plots.forecasts import draw_forecast
from scalefit.plots.style import new_panels
from scalefit.report.blocks import Block, drawing, note, paragraph, picture, table
from scalefit.report.results import Results
from scalefit.report.sentences import words
from scalefit.report.spec import ForecastSection
from scalefit.report.step_results import begin_section
from scalefit.report.text import capital, join

__all__ = ["forecast_section", "forecast_sentence"]


def forecast_section(section: ForecastSection, results: Results) -> list[Block]:
    """Write forecasts: what they assume, a table of the targets, the figure, and their limits.

    Parameters
    ----------
    section : ForecastSection
        What to write.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        For each step.
    """
    steps, blocks = begin_section(section, results, Forecast)
    for forecast in steps.values():
        blocks += _shown(forecast)
    return blocks


def forecast_sentence(forecast: Forecast) -> str:
    """Say what the first targets should reach, and how often such forecasts held."""
    texts = [f"{capital(_one(forecast, forecast.target(i)))}." for i in range(min(len(forecast), 2))]
    held = held_words(forecast, 0)
    return literal(" ".join([*texts, *([f"{held}."] if held else [])]))


def _one(forecast: Forecast, target: TargetForecast) -> str:
    level = percent(forecast.prob, 0)
    estimate = target.estimate
    return (
        f"a run with {_place(target)} should reach a {forecast.learning.response.replace('_', ' ')} of "
        f"{rounded(estimate.value, estimate.se)} "
        f"({level} interval {rounded_interval(estimate.lo, estimate.hi, estimate.se)}), at {far_words(target.ratio)}"
    )


def _place(target: TargetForecast) -> str:
    numbers = {name: short_number(to_digits(value, 3)) for name, value in target.columns.items()}
    return join([f"{SHAPE} {text}" if name == SHAPE else f"{text} {words(name)}" for name, text in numbers.items()])


def _shown(forecast: Forecast) -> list[Block]:
    shares = join([f"{literal(name)} {percent(weight, 0)}" for name, weight in forecast.weights.items()])
    farthest = max((forecast.target(i) for i in range(len(forecast))), key=lambda target: target.ratio)
    largest = literal(capital(largest_words(farthest)))
    parts = join(
        [f"{what} {percent_size(farthest.parts[name])}" for name, what in PARTS.items() if farthest.parts[name]]
    )
    text = (
        f"The forecast does not come from the fit above: it averages laws with priors learned from public tables "
        f"(weights: {shares}), and adds the scatter of a single run and a drift that grows with the compute beyond "
        f"the data. Its error consists of: {parts}. {largest}."
    )
    limits = [capital(literal(finding.message)) for finding in forecast.findings]
    drawn = drawing(
        draw_forecast(forecast, ax=new_panels(1, 1, height=58)[0]),
        "Runs (grey) and forecasts (blue) against compute, with intervals of 50, 80 and 90%.",
        "; ".join(_one(forecast, forecast.target(i)) for i in range(len(forecast))) + ".",
    )
    blocks = [paragraph(text), *([note(*limits)] if limits else []), _targets(forecast)]
    return [*blocks, picture(drawn)]


def _targets(forecast: Forecast) -> Block:
    """Return one row for each target: its median and its intervals."""
    rows = []
    for i in range(len(forecast)):
        target = forecast.target(i)
        error = target.estimate.se
        ends = [rounded_interval(*target.intervals[level], error) for level in INTERVALS]
        rows.append([_place(target), amount(target.ratio, 3), rounded(target.estimate.value, error), *ends])
    header = ["run", "compute / largest", "median", *(percent(level, 0) for level in INTERVALS)]
    caption = "Forecasts: compute in units of the largest run, median and intervals."
    return table(caption, header, rows, align="l" + "r" * (len(header) - 1))
