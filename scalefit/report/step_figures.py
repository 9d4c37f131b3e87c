"""Figures of toy sweeps for a report; those of sensitivity and calibration are drawn by their sections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from scalefit.data.datasets import describe_dataset
from scalefit.data.sources import dataset_of, locate
from scalefit.data.where import parse_where
from scalefit.errors import StudyError
from scalefit.numbers import exact, plus_minus
from scalefit.plots.style import new_panels
from scalefit.plots.toy import convergence, local_slopes, losses
from scalefit.plots.toy_curves import longest, width_curves
from scalefit.plots.toy_map import exponent_map
from scalefit.plots.width_terms import of_fit, width_terms
from scalefit.report.blocks import Drawing, drawing
from scalefit.report.results import Results
from scalefit.report.spec import ConvergenceFigure, SweepFigure, WidthTermsFigure
from scalefit.report.steps import StepResult, ToyResult

__all__ = ["draw_sweeps", "draw_width_terms"]


def draw_sweeps(figure: SweepFigure | ConvergenceFigure, steps: Mapping[str, StepResult]) -> Drawing:
    """Draw losses or exponents of toy models against width, training, or two settings.

    Parameters
    ----------
    figure : SweepFigure or ConvergenceFigure
        What to draw.
    steps : mapping
        Results of steps by name.

    Returns
    -------
    Drawing
        The figure with caption and alternative text.

    Raises
    ------
    StudyError
        When none of the sweeps has a result.
    """
    table = _rows(figure, steps)
    match figure.kind:
        case "toy_losses":
            regimes = {curve.regime for curve in longest(width_curves(table))}
            strong = ["through the curve nearest to 1/m under strong superposition"] if "strong" in regimes else []
            others = ["without a free factor under weak superposition"] if regimes != {"strong"} else []
            caption = (
                "Loss of the toy models against their width at the longest training. Red: theory, "
                f"{', '.join([*strong, *others])}."
            )
            alt = f"Loss against width for {_settings(table)}, falling, with the lines of theory."
            return drawing(losses(table, height=figure.height or 66.0)[0], caption, alt)
        case "toy_slopes":
            caption = "Exponent of the toy models’ loss between neighbouring widths. A power law is a horizontal line."
            return drawing(local_slopes(table)[0], caption, f"Local exponents against width for {_settings(table)}.")
        case "toy_map":
            caption = (
                "Exponent of the toy models’ loss over frequency exponent and weight decay (below 0: growth to unit "
                "rows)."
            )
            return drawing(exponent_map(table), caption, f"A map of exponents for {_settings(table)}.")
        case "toy_convergence":
            caption = "Exponent of the toy models’ loss over all widths against the length of training."
            ax = convergence(table, ax=new_panels(1, 1, height=figure.height or 62)[0])
            return drawing(ax, caption, f"Exponents against steps of training for {_settings(table)}.")


def draw_width_terms(figure: WidthTermsFigure, results: Results) -> Drawing:
    """Draw the width terms of fits, of language models and toy models, on one pair of axes."""
    toys = {name for name in figure.fits if _is_toy(locate(results.specs[name].data, results.folder))}
    sources = [of_fit(results.fits[name], results.labels[name], toy=name in toys) for name in figure.fits]
    reference = 1.0 if figure.reference is None else figure.reference
    exponents = "; ".join(f"{source.words} {plus_minus(source.exponent, source.exponent_se)}" for source in sources)
    caption = (
        "The loss minus floor and other terms, relative to its value at the middle width of each source. "
        f"Blue: language models; teal: toy models; red: an exponent of {exact(reference)}."
    )
    return drawing(width_terms(sources, reference=reference), caption, f"Width terms with the exponents {exponents}.")


def _rows(figure: SweepFigure | ConvergenceFigure, steps: Mapping[str, StepResult]) -> pd.DataFrame:
    """Return the models of a figure's sweeps."""
    results = (steps[name] for name in figure.steps)
    parts = [result.table for result in results if isinstance(result, ToyResult)]
    if not parts:
        raise StudyError(f"a figure of kind {figure.kind!r} has no sweep to draw: {', '.join(figure.steps)}")
    table = pd.concat(parts, ignore_index=True)
    return table[parse_where(figure.where).mask(table)] if figure.where else table


def _settings(table: pd.DataFrame) -> str:
    widths = sorted(set(table["width"]))
    return f"{len(table)} models of widths {exact(widths[0])} to {exact(widths[-1])}"


def _is_toy(located: str | Path) -> bool:
    """Whether a shipped set has losses of toy models, which are not entropies."""
    name = dataset_of(located)
    return name is not None and (describe_dataset(name).loss_unit or "nats").startswith("squared error")
