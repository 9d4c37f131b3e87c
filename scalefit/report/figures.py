"""The figures of a report: drawn by scalefit.plots, with a caption and words for those who cannot see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalefit.datasets import dataset_names, load_dataset
from scalefit.errors import StudyError, closest
from scalefit.plots import density, forest, observed_predicted, optima, pairs, residuals, term
from scalefit.plots.style import BLUE, TEAL, new_panels, panel_title, svg_bytes
from scalefit.report.blocks import Block, picture
from scalefit.report.published import published_point
from scalefit.report.sentences import role, words
from scalefit.report.study import Figure, FitSpec
from scalefit.report.text import join
from scalefit.results import Fit
from scalefit.rounding import plus_minus, rounded
from scalefit.tables import read_table, resolve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FIGURES", "Gallery"]

_PER_ROW = 3


@dataclass
class Gallery:
    """Draws figures and keeps their files.

    Parameters
    ----------
    fits : mapping
        Every fit of the study, by name.
    labels : mapping
        What tables and figures call them.
    specs : mapping
        How they were asked for, to find the rows left out.
    folder : Path
        Where a user's tables lie, relative to the study.
    files : dict
        SVG by file name, filled by :meth:`draw`.
    """

    fits: Mapping[str, Fit]
    labels: Mapping[str, str]
    specs: Mapping[str, FitSpec]
    folder: Path
    files: dict[str, bytes] = field(default_factory=dict)

    def draw(self, spec: Figure, default_fit: str) -> Block:
        """Draw one figure and return its block.

        Parameters
        ----------
        spec : Figure
            What to draw.
        default_fit : str
            The fit when the figure names none.

        Returns
        -------
        Block
            For the template; the file is in :attr:`files`.

        Raises
        ------
        StudyError
            For an unknown kind.
        """
        if spec.kind not in FIGURES:
            raise StudyError(f"there is no figure {spec.kind!r}; {closest(spec.kind, FIGURES)}")
        axes, caption, alt = FIGURES[spec.kind](self, spec, spec.fit or default_fit)
        name = f"figure-{len(self.files) + 1}.svg"
        figure = axes.get_figure(root=True)
        assert figure is not None
        self.files[name] = svg_bytes(figure)
        return picture(name, alt, caption)

    def left_out(self, name: str) -> pd.DataFrame:
        """Return the rows of a fit's table that it did not use, as far as the law can be evaluated there."""
        fit, spec = self.fits[name], self.specs[name]
        shipped = spec.data in dataset_names()
        source = load_dataset(spec.data) if shipped else self.folder / spec.data
        table = read_table(source, mapping=spec.options.get("mapping"))
        numeric = [fit.law.response, *fit.law.variables]
        frame = resolve(
            table, numeric=numeric, labels=fit.law.groups, derive=tuple(spec.options.get("derive", ()))
        ).frame
        out = frame.loc[~frame.index.isin(fit.rows.index)]
        values = out[numeric].to_numpy(float)
        usable: pd.DataFrame = out.loc[np.isfinite(values).all(axis=1) & (values > 0).all(axis=1)]
        return usable

    def chosen(self, spec: Figure, default: str) -> dict[str, Fit]:
        """Return the fits of a figure by label."""
        return {self.labels[name]: self.fits[name] for name in spec.fits or (default,)}


Drawn = tuple["Axes", str, str]


def _terms(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    """Draw each term with the rest removed; by level of the first group when the floor has levels."""
    fit = gallery.fits[name]
    variables = list(fit.law.variables)
    panels: list[tuple[str, Mapping[str, str] | None, str]] = [(v, None, "") for v in variables]
    if fit.law.groups and len(variables) == 1:
        column = fit.law.groups[0]
        levels = list(dict.fromkeys(fit.rows[column].astype(str)))
        panels = [(variables[0], {column: level}, level) for level in levels]
    axes = _panels(len(panels), height=spec.height or (45 if len(panels) > 3 else 60), per_row=4)
    for ax, (variable, only, title) in zip(axes, panels, strict=True):
        term(fit, variable=variable, only=only, ax=ax)
        panel_title(ax, title)
    for ax in axes[1:]:
        ax.set_ylabel("")
    slopes = [
        f"{role(fit, one.name)} {plus_minus(one.value, one.se)}" for one in fit.estimates if one.kind == "exponent"
    ]
    caption = (
        f"Each term of the law alone: the {fit.law.response} less the fitted floor and all other terms, on log axes, "
        "where a power law is a straight line. Points are rows, lines are the fit."
    )
    alt = f"Log-log panels along {join(variables)}. Points follow straight falling lines: {join(slopes)}."
    return axes[0], caption, alt


def _residuals(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    fit = gallery.fits[name]
    columns = list(spec.against) or [*fit.law.variables, *fit.law.groups]
    out = gallery.left_out(name)
    has_out = bool(len(out)) and all(
        set(out[group].astype(str)) <= set(fit.rows[group].astype(str)) for group in fit.law.groups
    )
    axes = _panels(len(columns), height=spec.height or 50, per_row=_PER_ROW)
    for ax, column in zip(axes, columns, strict=True):
        residuals(fit, against=column, left_out=out if has_out else None, ax=ax)
    shown = join([words(column) for column in columns])
    caption = f"Where the fit misses: residuals of “{gallery.labels[name]}” against {shown}."
    caption += " Rings are medians; where they leave the line, the law misses."
    if has_out:
        caption += " Gold: rows left out, as triangles where they lie beyond the axis."
    largest = rounded(float(np.abs(fit.residuals()).max()))
    alt = f"Residuals against {join(columns)}, scattered about zero; the largest is {largest} in size."
    return axes[0], caption, alt


def _pairs(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    fit = gallery.fits[name]
    references = {spec.parameter: spec.reference} if spec.parameter and spec.reference is not None else None
    axes = pairs(fit, names=spec.names or None, references=references)
    count = 0 if fit.uncertainty.draws is None else len(fit.uncertainty.draws)
    caption = f"How the parameters trade off: {count} refits of “{gallery.labels[name]}” to resampled rows."
    caption += " The cross is the estimate."
    if references:
        caption += f" Red: {spec.words or rounded(spec.reference or 0.0)}."
    return (
        axes[0],
        caption,
        f"Scatter plots of bootstrap refits; {len(axes)} pairs of parameters of {fit.law}.",
    )


def _forest(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    fits = gallery.chosen(spec, name)
    parameter = _parameter(spec)
    one = next(iter(fits.values()))
    printed = {}
    for paper in spec.published:
        point = published_point(one, paper)
        printed[paper.label] = point.number(parameter)
    ax = forest(
        fits if len(fits) > 1 else one, name=parameter, reference=spec.reference, words=spec.words, published=printed,
    )  # fmt: skip
    said = [
        f"{label} {plus_minus(fit[parameter].value, fit[parameter].se)}"
        for label, fit in fits.items()
        if parameter in fit.names
    ]
    level = f"{one.uncertainty.level:.0%}"
    caption = f"The {role(one, parameter)} by choice of rows, errors and groups, with {level} intervals."
    if printed:
        caption += " Grey: printed values ± one standard error."
    return ax, caption, f"Estimates with intervals beside each other: {'; '.join(said)}."


def _densities(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    fits = gallery.chosen(spec, name)
    axes = _panels(len(fits), height=spec.height or 55, per_row=_PER_ROW)
    said: list[str] = []
    quantities: list[str] = []
    for i, (ax, (label, fit)) in enumerate(zip(axes, fits.items(), strict=True)):
        parameter = spec.parameter if spec.parameter in fit.names else _first_exponent(fit)
        density(fit, name=parameter, reference=spec.reference, words=spec.words, colour=TEAL if i else BLUE, ax=ax)
        ax.set_xlabel(role(fit, parameter))
        panel_title(ax, label)
        quantities.append(role(fit, parameter))
        said.append(f"{label} {plus_minus(fit[parameter].value, fit[parameter].se)}")
    level = f"{next(iter(fits.values())).uncertainty.level:.0%}"
    quantity = join(list(dict.fromkeys(quantities)))
    caption = f"Bootstrap distributions of the {quantity}, {level} intervals shaded, estimates dashed."
    return axes[0], caption, f"Bootstrap distributions: {'; '.join(said)}."


def _observed(gallery: Gallery, _: Figure, name: str) -> Drawn:
    fit = gallery.fits[name]
    ax = new_panels(1, 1, width=100, height=70)[0]
    observed_predicted(fit, ax=ax)
    caption = f"Observed against predicted {fit.law.response}; the line is equality."
    return ax, caption, f"Points of observed against predicted {fit.law.response} along the diagonal."


def _optima(gallery: Gallery, _: Figure, name: str) -> Drawn:
    fit = gallery.fits[name]
    ax = optima(fit, ax=new_panels(1, 1, width=110, height=12 + 5.5 * len(fit.optima))[0])
    caption = f"Local optima of “{gallery.labels[name]}” and how many starts ended at each."
    return ax, caption, f"{len(fit.optima)} local optima by their excess over the best objective."


FIGURES: Mapping[str, Callable[[Gallery, Figure, str], Drawn]] = MappingProxyType(
    {
        "densities": _densities,
        "forest": _forest,
        "observed": _observed,
        "optima": _optima,
        "pairs": _pairs,
        "residuals": _residuals,
        "terms": _terms,
    }
)


def _panels(count: int, *, height: float, per_row: int) -> list[Axes]:
    """Return panels in rows, as even as they come, at the full text width."""
    rows = -(-count // per_row)
    columns = -(-count // rows)
    axes = new_panels(rows, columns, height=height * rows)
    for spare in axes[count:]:
        spare.remove()
    return axes[:count]


def _parameter(spec: Figure) -> str:
    if not spec.parameter:
        raise StudyError(f'a figure of kind {spec.kind!r} needs a parameter, such as parameter = "alpha"')
    return spec.parameter


def _first_exponent(fit: Fit) -> str:
    return next((one.name for one in fit.parameters if one.kind == "exponent"), fit.names[0])
