"""Figures of toy sweeps for a report; those of sensitivity and calibration are drawn by their sections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from scalefit.data.datasets import describe_dataset
from scalefit.data.sources import dataset_of, locate
from scalefit.data.where import parse_where
from scalefit.errors import StudyError
from scalefit.plots.style import new_panels
from scalefit.plots.toy import convergence, local_slopes, losses
from scalefit.plots.toy_map import exponent_map
from scalefit.plots.width_terms import of_fit, width_terms
from scalefit.report.gallery import Gallery
from scalefit.report.spec import Figure
from scalefit.report.steps import ToyResult
from scalefit.rounding import plus_minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_convergence", "draw_losses", "draw_map", "draw_slopes", "draw_width_terms"]

Drawn = tuple["Axes", str, str]


def draw_losses(gallery: Gallery, spec: Figure, _: str) -> Drawn:
    """Draw loss against width beside theory."""
    table = _rows(gallery, spec)
    axes = losses(table)
    caption = (
        "Loss of the toy models against their width at the longest training. Red: theory, through the curve nearest "
        "to 1/m under strong superposition, without a free factor under weak superposition."
    )
    return axes[0], caption, f"Loss against width for {_settings(table)}, falling, beside the lines of theory."


def draw_slopes(gallery: Gallery, spec: Figure, _: str) -> Drawn:
    """Draw the exponent between neighbouring widths."""
    table = _rows(gallery, spec)
    caption = "Exponent of the toy models’ loss between neighbouring widths. A power law would be a level line."
    return local_slopes(table)[0], caption, f"Local exponents against width for {_settings(table)}."


def draw_convergence(gallery: Gallery, spec: Figure, _: str) -> Drawn:
    """Draw the exponent over all widths against the length of training."""
    table = _rows(gallery, spec)
    caption = "Exponent of the toy models’ loss over all widths against the length of training."
    ax = new_panels(1, 1, height=spec.height or 62)[0]
    return convergence(table, ax=ax), caption, f"Exponents against steps of training for {_settings(table)}."


def draw_map(gallery: Gallery, spec: Figure, _: str) -> Drawn:
    """Draw the exponent over the plane of frequency exponent and decay."""
    table = _rows(gallery, spec)
    caption = (
        "Exponent of the toy models’ loss over frequency exponent and weight decay (below 0: growth to unit rows)."
    )
    return exponent_map(table), caption, f"A map of exponents for {_settings(table)}."


def draw_width_terms(gallery: Gallery, spec: Figure, _: str) -> Drawn:
    """Draw the width terms of fits, of language models and toy models, on one pair of axes."""
    if not spec.fits:
        raise StudyError('a figure of kind "width_terms" needs fits, such as fits = ["families", "toy"]')
    toys = {name for name in spec.fits if _is_toy(locate(gallery.specs[name].data, gallery.folder))}
    sources = [of_fit(gallery.fits[name], gallery.labels[name], toy=name in toys) for name in spec.fits]
    reference = 1.0 if spec.reference is None else spec.reference
    said = "; ".join(f"{one.words} {plus_minus(one.exponent, one.exponent_se)}" for one in sources)
    caption = (
        "What is left of the loss when floor and other terms are taken away, relative to each source’s middle width. "
        f"Blue: language models; teal: toy models; red: an exponent of {reference:g}."
    )
    return width_terms(sources, reference=reference), caption, f"Width terms with the exponents {said}."


def _rows(gallery: Gallery, spec: Figure) -> pd.DataFrame:
    """Return the models of a figure's sweeps."""
    if not spec.steps:
        raise StudyError(f'a figure of kind {spec.kind!r} needs steps, such as steps = ["toy"]')
    parts = []
    for name in spec.steps:
        result = gallery.steps[name]
        if isinstance(result, ToyResult):
            parts.append(result.table)
    if not parts:
        raise StudyError(f"a figure of kind {spec.kind!r} has no sweep to draw: {', '.join(spec.steps)}")
    table = pd.concat(parts, ignore_index=True)
    return table[parse_where(spec.where).mask(table)] if spec.where else table


def _settings(table: pd.DataFrame) -> str:
    widths = sorted(set(table["width"]))
    return f"{len(table)} models of widths {widths[0]:g} to {widths[-1]:g}"


def _is_toy(located: str | Path) -> bool:
    """Whether a shipped set has losses of toy models, which are no entropies."""
    name = dataset_of(located)
    return name is not None and (describe_dataset(name).loss_unit or "nats").startswith("squared error")
