"""The figures of a report: drawn by scalefit.plots, with a caption and words for those who cannot see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from scalefit.errors import StudyError, closest
from scalefit.escape import literal
from scalefit.names import Key, printed_level, printed_name, split_names
from scalefit.plots import (
    densities,
    density,
    forest,
    joint,
    observed_predicted,
    optima,
    pairs,
    pooling,
    posterior_predictive,
    prior_posterior,
    residuals,
    term,
)
from scalefit.plots.draws import first_exponent
from scalefit.plots.style import BLUE, TEAL, as_label, new_panels, panel_title
from scalefit.problem import label_texts
from scalefit.report.blocks import Block
from scalefit.report.gallery import Gallery
from scalefit.report.published import printed_number
from scalefit.report.sentences import own_name, role, words
from scalefit.report.spec import Figure
from scalefit.report.step_figures import draw_convergence, draw_losses, draw_map, draw_slopes, draw_width_terms
from scalefit.report.text import join
from scalefit.results import Fit, PosteriorFit
from scalefit.rounding import plus_minus, rounded
from scalefit.summary import estimate_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FIGURES", "POSTERIOR_FIGURES", "TOY_FIGURES", "draw_figure"]

_PER_ROW = 3
_CHOICES = "by choice of rows, errors and groups"


Drawn = tuple["Axes", str, str]


def draw_figure(gallery: Gallery, spec: Figure, default_fit: str) -> Block:
    """Draw one figure and return its block.

    Parameters
    ----------
    gallery : Gallery
        The results; it keeps the file.
    spec : Figure
        What to draw.
    default_fit : str
        The fit when the figure names none.

    Returns
    -------
    Block
        For the template.

    Raises
    ------
    StudyError
        For an unknown kind.
    """
    if spec.kind not in FIGURES:
        raise StudyError(f"there is no figure {spec.kind!r}; {closest(spec.kind, FIGURES)}")
    axes, caption, alt = FIGURES[spec.kind](gallery, spec, spec.fit or default_fit)
    return gallery.keep(axes, caption, alt)


def _terms(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    """Draw each term with the rest removed; by level of the first group when the floor has levels."""
    fit = gallery.fits[name]
    variables = list(fit.law.variables)
    panels: list[tuple[str, Mapping[str, str] | None, str]] = [(v, None, "") for v in variables]
    if fit.law.groups and len(variables) == 1:
        column = fit.law.groups[0]
        levels = list(dict.fromkeys(label_texts(fit.rows, column)))
        panels = [(variables[0], {column: level}, level) for level in levels]
    axes = _panels(len(panels), height=spec.height or (45 if len(panels) > 3 else 60), per_row=4)
    for ax, (variable, only, title) in zip(axes, panels, strict=True):
        term(fit, variable=variable, only=only, ax=ax)
        panel_title(ax, title)
    for ax in axes[1:]:
        ax.set_ylabel("")
    slopes = [
        f"{role(fit, one.key)} {plus_minus(one.value, one.se)}" for one in fit.estimates if one.kind == "exponent"
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
        set(label_texts(out, group)) <= set(label_texts(fit.rows, group)) for group in fit.law.groups
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
    label = gallery.labels[name]
    if not isinstance(fit, PosteriorFit):
        resampled = f"levels of {literal(fit.selection.cluster)}" if fit.selection.cluster else "rows"
        caption = (
            f"How the parameters trade off: {count} refits of “{label}” to resampled {resampled}. "
            "The cross is the estimate."
        )
        alt = f"Scatter plots of bootstrap refits; {len(axes)} pairs of parameters of {fit.law}."
    else:
        caption = (
            f"How the parameters trade off: the smallest regions that hold 50% and 95% of the posterior of “{label}”. "
            "The cross is its mean."
        )
        alt = f"Contours of the posterior; {len(axes)} pairs of parameters of {fit.law}."
    if references:
        caption += f" Red: {literal(spec.words) or rounded(spec.reference or 0.0)}."
    return axes[0], caption, alt


def _forest(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    fits = gallery.chosen(spec, name)
    names = _parameter(spec)
    one = next(iter(fits.values()))
    own = {label: own_name(fit, names) for label, fit in fits.items()}
    printed = {paper.label: printed_number(paper, names) for paper in spec.published}
    ax = forest(
        fits if len(fits) > 1 else one, name=own if len(fits) > 1 else names[0], reference=spec.reference,
        words=spec.words, published={label: (number.value, number.uncertainty) for label, number in printed.items()},
    )  # fmt: skip
    level = f"{one.uncertainty.level:.0%}"
    among = "by data set, rows and errors" if len({fit.source.sha256 for fit in fits.values()}) > 1 else _CHOICES
    caption = f"The {role(one, own_name(one, names))} {among}, with {level} intervals."
    if printed:
        caption += " Grey: printed values ± one standard error."
    said = "; ".join(_said(label, fit, own[label]) for label, fit in fits.items())
    return ax, caption, f"Estimates with intervals beside each other: {said}."


def _densities(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    fits = gallery.chosen(spec, name)
    axes = _panels(len(fits), height=spec.height or 55, per_row=_PER_ROW)
    said: list[str] = []
    quantities: list[str] = []
    for i, (ax, (label, fit)) in enumerate(zip(axes, fits.items(), strict=True)):
        parameter: str | Key = own_name(fit, split_names(spec.parameter)) if spec.parameter else first_exponent(fit)
        density(fit, name=parameter, reference=spec.reference, words=spec.words, colour=TEAL if i else BLUE, ax=ax)
        ax.set_xlabel(as_label(role(fit, parameter)))
        panel_title(ax, label)
        quantities.append(role(fit, parameter))
        said.append(_said(label, fit, parameter))
    level = f"{next(iter(fits.values())).uncertainty.level:.0%}"
    quantity = join(list(dict.fromkeys(quantities)))
    kinds = _kinds_of(fits)
    caption = f"{kinds} of the {quantity}, {level} intervals shaded, estimates dashed."
    return axes[0], caption, f"{kinds}: {'; '.join(said)}."


def _distributions(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    """Draw several fits' distributions of one parameter over each other."""
    fits = gallery.chosen(spec, name)
    names = _parameter(spec)
    own = {label: own_name(fit, names) for label, fit in fits.items()}
    printed = {paper.label: printed_number(paper, names) for paper in spec.published}
    ax = densities(
        fits, name=own, reference=spec.reference, words=spec.words,
        published={label: (number.value, number.uncertainty) for label, number in printed.items()},
        ax=new_panels(1, 1, height=spec.height or 62)[0],
    )  # fmt: skip
    one = next(iter(fits.values()))
    caption = f"{_kinds_of(fits)} of the {role(one, own_name(one, names))}, all of the same area."
    return ax, caption, f"{caption} {'; '.join(_said(label, fit, own[label]) for label, fit in fits.items())}."


def _joint(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    fit = gallery.fits[name]
    references = {spec.parameter: spec.reference} if spec.parameter and spec.reference is not None else None
    axes = joint(fit, names=spec.parameters or None, references=references)
    caption = f"Joint posterior of “{gallery.labels[name]}”."
    if references:
        caption += f" Red: {literal(spec.words) or rounded(spec.reference or 0.0)}."
    return axes[0], caption, f"Contours of the joint posterior of parameters of {fit.law}, in a triangle of panels."


def _priors(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    fit = gallery.fits[name]
    axes = prior_posterior(fit, names=spec.parameters or None)
    caption = (
        f"Posterior (blue) of each parameter of “{gallery.labels[name]}” over its prior (grey): where they are alike, "
        "the data said little."
    )
    said = "; ".join(
        f"{printed_name(*key)} ~ {prior}"
        for key, prior in (fit.posterior.priors if isinstance(fit, PosteriorFit) else ())
    )
    return axes[0], caption, f"Posterior and prior densities in {len(axes)} panels. Priors: {said}."


def _predictive(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    fit = gallery.fits[name]
    axes = posterior_predictive(fit, against=spec.against[0] if spec.against else None)
    caption = (
        f"Would the model of “{gallery.labels[name]}” make data like these? Blue where it stays inside the bands: yes."
    )
    return axes[0], caption, "Residuals, residuals along a column, and quantiles, against bands of replicated data."


def _pooling(gallery: Gallery, spec: Figure, name: str) -> Drawn:
    fit = gallery.fits[name]
    parameter = spec.parameter or None
    ax = pooling(fit, name=parameter, reference=spec.reference, words=spec.words)
    shared = next(one for one in fit.parameters if one.kind == "common")
    caption = f"The {role(fit, shared.key)} of each group, drawn from a common distribution (“{gallery.labels[name]}”)."
    said = "; ".join(
        f"{printed_level(one.level, ', ')} {estimate_text(fit[one.key], alone=False)}"
        for one in fit.parameters if one.coef.name == shared.coef.name and one.level
    )  # fmt: skip
    return ax, caption, f"Posterior means with intervals: {said}; common value {_said('', fit, shared.key).strip()}."


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
        "distributions": _distributions,
        "forest": _forest,
        "joint": _joint,
        "observed": _observed,
        "optima": _optima,
        "pairs": _pairs,
        "pooling": _pooling,
        "predictive": _predictive,
        "priors": _priors,
        "residuals": _residuals,
        "terms": _terms,
        "toy_convergence": draw_convergence,
        "toy_losses": draw_losses,
        "toy_map": draw_map,
        "toy_slopes": draw_slopes,
        "width_terms": draw_width_terms,
    }
)

POSTERIOR_FIGURES = frozenset({"joint", "pooling", "predictive", "priors"})
TOY_FIGURES = frozenset({"toy_convergence", "toy_losses", "toy_map", "toy_slopes"})


def _panels(count: int, *, height: float, per_row: int) -> list[Axes]:
    """Return panels in rows, as even as they come, at the full text width."""
    rows = -(-count // per_row)
    columns = -(-count // rows)
    axes = new_panels(rows, columns, height=height * rows)
    for spare in axes[count:]:
        spare.remove()
    return axes[:count]


def _parameter(spec: Figure) -> tuple[str, ...]:
    if not spec.parameter:
        raise StudyError(f'a figure of kind {spec.kind!r} needs a parameter, such as parameter = "alpha"')
    return split_names(spec.parameter)


def _kinds_of(fits: Mapping[str, Fit]) -> str:
    """Name what is drawn: a bootstrap is no posterior."""
    posterior = {isinstance(fit, PosteriorFit) for fit in fits.values()}
    if posterior == {True}:
        return "Posteriors" if len(fits) > 1 else "Posterior"
    return "Bootstrap distributions" if posterior == {False} else "Posteriors and bootstrap distributions"


def _said(label: str, fit: Fit, name: str | Key) -> str:
    """Say an estimate, or those of all levels, for those who hear the page."""
    if name in fit:
        return f"{label} {plus_minus(fit[name].value, fit[name].se)}"
    levels = [one for one in fit.parameters if one.coef.name == name]
    numbers = (f"{printed_level(one.level, ', ')} {plus_minus(fit[one.key].value, fit[one.key].se)}" for one in levels)
    return f"{label}: {', '.join(numbers)}"
