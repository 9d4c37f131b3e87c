"""The figures of a report: drawn by scalefit.plots, with a caption and alternative text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from scalefit.escape import literal
from scalefit.names import Key, printed_level, printed_name, split_names
from scalefit.numbers import exact, percent, plus_minus, rounded
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
from scalefit.plots.curves import common_labels, curves, far_rows
from scalefit.plots.draws import first_exponent
from scalefit.plots.fit import MEDIANS
from scalefit.plots.style import BLUE, TEAL, as_label, new_panels, panel_title
from scalefit.problem import label_texts
from scalefit.report.blocks import Drawing, drawing
from scalefit.report.published import printed_number
from scalefit.report.results import Results
from scalefit.report.sentences import name_in, role, words
from scalefit.report.spec import (
    ConvergenceFigure,
    CurvesFigure,
    DensitiesFigure,
    DistributionsFigure,
    Figure,
    FitFigure,
    ForestFigure,
    JointFigure,
    PairsFigure,
    PoolingFigure,
    PredictiveFigure,
    PriorsFigure,
    ResidualsFigure,
    SweepFigure,
    TermsFigure,
    WidthTermsFigure,
)
from scalefit.report.step_figures import draw_sweeps, draw_width_terms
from scalefit.report.text import join
from scalefit.results import Fit, PosteriorFit
from scalefit.summary import estimate_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_PER_ROW = 3
_CHOICES = "by choice of rows, errors and groups"
_OneFit: TypeAlias = (
    FitFigure | TermsFigure | CurvesFigure | ResidualsFigure | PairsFigure | JointFigure | PriorsFigure
    | PredictiveFigure | PoolingFigure
)  # fmt: skip


def draw(figure: Figure, results: Results, default: str) -> Drawing:
    """Draw a figure.

    Parameters
    ----------
    figure : Figure
        What to draw.
    results : Results
        The fits and steps of the study.
    default : str
        The fit when the figure names none.

    Returns
    -------
    Drawing
        The figure with its caption and its text for screen readers.

    Raises
    ------
    StudyError
        When a paper has no number for the parameter, or a sweep has no result.
    """
    match figure:
        case SweepFigure() | ConvergenceFigure():
            return draw_sweeps(figure, results.steps)
        case WidthTermsFigure():
            return draw_width_terms(figure, results)
        case ForestFigure():
            return _forest(figure, results.by_label(figure.fits or (figure.fit or default,)))
        case DistributionsFigure():
            return _distributions(figure, results.by_label(figure.fits or (figure.fit or default,)))
        case DensitiesFigure():
            return _densities(figure, results.by_label(figure.fits or (figure.fit or default,)))
        case _:
            return _of_one_fit(figure, results, figure.fit or default)


def _of_one_fit(figure: _OneFit, results: Results, name: str) -> Drawing:
    fit, label = results.fits[name], results.labels[name]
    match figure:
        case TermsFigure():
            return _terms(fit, figure.height)
        case CurvesFigure():
            return _curves(fit, figure.height)
        case ResidualsFigure():
            out = results.left_out(name) if figure.left_out else fit.rows.iloc[:0]
            return _residuals(figure, fit, label, out)
        case PairsFigure():
            return _pairs(figure, fit, label)
        case JointFigure():
            return _joint(figure, fit, label)
        case PriorsFigure():
            return _priors(figure, fit, label)
        case PredictiveFigure():
            return _predictive(figure, fit, label)
        case PoolingFigure():
            return _pooling(figure, fit, label)
        case FitFigure():
            return _observed(fit) if figure.kind == "observed" else _optima(fit, label)


def _terms(fit: Fit, height: float) -> Drawing:
    """Draw each term with the rest removed; by level of the first group when the floor has levels."""
    variables = list(fit.law.variables)
    panels: list[tuple[str, Mapping[str, str] | None, str]] = [(v, None, "") for v in variables]
    if fit.law.groups and len(variables) == 1:
        column = fit.law.groups[0]
        levels = list(dict.fromkeys(label_texts(fit.rows, column)))
        panels = [(variables[0], {column: level}, level) for level in levels]
    axes = _panels(len(panels), height=height or (45 if len(panels) > 3 else 60), per_row=4)
    for ax, (variable, only, title) in zip(axes, panels, strict=True):
        term(fit, variable=variable, only=only, ax=ax)
        panel_title(ax, title)
    for ax in axes[1:]:
        ax.set_ylabel("")
    slopes = [
        f"{role(fit, estimate.key)} {plus_minus(estimate.value, estimate.se)}"
        for estimate in fit.estimates
        if estimate.kind == "exponent"
    ]
    caption = (
        f"Each term of the law alone: the {fit.law.response} minus the fitted floor and all other terms, on log axes, "
        "where a power law is a straight line. Points are rows, lines are the fit."
    )
    alt = f"Log-log panels along {join(variables)}. Points follow straight falling lines: {join(slopes)}."
    if not fit.law.terms:
        caption = (
            "The effect of each column: the law along it, with all others at their medians. Points are rows, moved "
            "along the law to the same medians, so that each keeps its residual."
        )
        alt = f"Panels along {join(variables)}: points around the curve of the law."
    return drawing(axes[0], caption, alt)


def _curves(fit: Fit, height: float) -> Drawing:
    """Draw the response against each column of the law, three at most."""
    variables = list(fit.law.variables)[:_PER_ROW]
    axes = _panels(len(variables), height=height or 62, per_row=_PER_ROW)
    for ax, variable in zip(axes, variables, strict=True):
        curves(fit, variable=variable, ax=ax)
    response, labels = words(fit.law.response), common_labels(fit)
    against = join([words(variable) for variable in variables])
    caption = f"The {response} of the runs against {against}, with the fitted curves"
    caption += " and their 95% bands." if not fit.uncertainty.withheld else "."
    if len(fit.law.variables) > 1:
        caption += (
            " Shades: thirds of the rows by the column named above each panel; each has a curve at its median of that "
            "column, labelled at its end."
        )
    caption += " Gold triangles: rows far from the fit." if far_rows(fit).any() else ""
    if labels:
        caption += f" All rows are moved along the law to the floor of {literal(join(list(labels.values())))}."
    if len(fit.law.variables) > 2:
        caption += " In each panel, rows are moved along the law to the median of the other columns."
    alt = f"Panels of {response} along {join(variables)}: points around falling curves of the law {fit.law}."
    return drawing(axes[0], caption, alt)


def _residuals(spec: ResidualsFigure, fit: Fit, label: str, out: pd.DataFrame) -> Drawing:
    columns = list(spec.against) or [*fit.law.variables, *fit.law.groups]
    crowded = len(out) > fit.n_rows  # gold points would cover the residuals that the figure is about
    has_out = (
        bool(len(out))
        and not crowded
        and all(set(label_texts(out, group)) <= set(label_texts(fit.rows, group)) for group in fit.law.groups)
    )
    axes = _panels(len(columns), height=spec.height or 50, per_row=_PER_ROW)
    for ax, column in zip(axes, columns, strict=True):
        residuals(fit, against=column, left_out=out if has_out else None, ax=ax)
    shown = join([words(column) for column in columns])
    caption = f"Residuals of “{label}” against {shown}."
    if fit.n_rows >= MEDIANS or any(column in fit.law.groups for column in columns):
        caption += " Rings are medians; where they deviate from the line, the law fits badly."
    if crowded:
        caption += f" The {exact(len(out))} excluded rows, more than the {exact(fit.n_rows)} used, are not shown."
    if has_out:
        caption += " Gold: excluded rows, as triangles where they lie beyond the axis."
    largest = rounded(float(np.abs(fit.residuals()).max()))
    alt = f"Residuals against {join(columns)}, scattered about zero; the largest is {largest} in size."
    return drawing(axes[0], caption, alt)


def _pairs(spec: PairsFigure, fit: Fit, label: str) -> Drawing:
    references = {spec.parameter: spec.reference} if spec.parameter and spec.reference is not None else None
    axes = pairs(fit, names=spec.names or None, references=references)
    count = 0 if fit.uncertainty.draws is None else len(fit.uncertainty.draws)
    if not isinstance(fit, PosteriorFit):
        resampled = f"levels of {literal(fit.selection.cluster)}" if fit.selection.cluster else "rows"
        caption = (
            f"How the parameters trade off: {count} refits of “{label}” to resampled {resampled}. "
            "The cross is the estimate."
        )
        alt = f"Scatter plots of bootstrap refits; {len(axes)} pairs of parameters of {fit.law}."
    else:
        caption = (
            f"How the parameters trade off: the smallest regions with 50% and 95% of the posterior of “{label}”. "
            "The cross is its mean."
        )
        alt = f"Contours of the posterior; {len(axes)} pairs of parameters of {fit.law}."
    if references:
        caption += f" Red: {literal(spec.words) or rounded(spec.reference or 0.0)}."
    return drawing(axes[0], caption, alt)


def _forest(spec: ForestFigure, fits: Mapping[str, Fit]) -> Drawing:
    names = split_names(spec.parameter)
    fit = next(iter(fits.values()))
    own = {label: name_in(fit, names) for label, fit in fits.items()}
    printed = {paper.label: printed_number(paper, names) for paper in spec.published}
    ax = forest(
        fits if len(fits) > 1 else fit, name=own if len(fits) > 1 else names[0], reference=spec.reference,
        words=spec.words, published={label: (number.value, number.uncertainty) for label, number in printed.items()},
    )  # fmt: skip
    level = percent(fit.uncertainty.level)
    among = "by data set, rows and errors" if len({fit.source.sha256 for fit in fits.values()}) > 1 else _CHOICES
    caption = f"The {role(fit, name_in(fit, names))} {among}, with {level} intervals."
    if printed:
        caption += " Grey: printed values ± one standard error."
    caption += f" {literal(spec.note)}" if spec.note else ""
    numbers = "; ".join(_in_words(label, fit, own[label]) for label, fit in fits.items())
    return drawing(ax, caption, f"Estimates with intervals, one below the other: {numbers}.")


def _densities(spec: DensitiesFigure, fits: Mapping[str, Fit]) -> Drawing:
    axes = _panels(len(fits), height=spec.height or 55, per_row=_PER_ROW)
    parts: list[str] = []
    quantities: list[str] = []
    for i, (ax, (label, fit)) in enumerate(zip(axes, fits.items(), strict=True)):
        parameter: str | Key = name_in(fit, split_names(spec.parameter)) if spec.parameter else first_exponent(fit)
        density(fit, name=parameter, reference=spec.reference, words=spec.words, colour=TEAL if i else BLUE, ax=ax)
        ax.set_xlabel(as_label(role(fit, parameter)))
        panel_title(ax, label)
        quantities.append(role(fit, parameter))
        parts.append(_in_words(label, fit, parameter))
    level = percent(next(iter(fits.values())).uncertainty.level)
    quantity = join(list(dict.fromkeys(quantities)))
    kinds = _kinds_of(fits)
    caption = f"{kinds} of the {quantity}, {level} intervals shaded, estimates dashed."
    return drawing(axes[0], caption, f"{kinds}: {'; '.join(parts)}.")


def _distributions(spec: DistributionsFigure, fits: Mapping[str, Fit]) -> Drawing:
    """Draw the distributions of one parameter in several fits, on the same axes."""
    names = split_names(spec.parameter)
    own = {label: name_in(fit, names) for label, fit in fits.items()}
    printed = {paper.label: printed_number(paper, names) for paper in spec.published}
    ax = densities(
        fits, name=own, reference=spec.reference, words=spec.words,
        published={label: (number.value, number.uncertainty) for label, number in printed.items()},
        ax=new_panels(1, 1, height=spec.height or 62)[0],
    )  # fmt: skip
    fit = next(iter(fits.values()))
    caption = f"{_kinds_of(fits)} of the {role(fit, name_in(fit, names))}, all of the same area."
    return drawing(
        ax, caption, f"{caption} {'; '.join(_in_words(label, fit, own[label]) for label, fit in fits.items())}."
    )


def _joint(spec: JointFigure, fit: Fit, label: str) -> Drawing:
    references = {spec.parameter: spec.reference} if spec.parameter and spec.reference is not None else None
    axes = joint(fit, names=spec.parameters or None, references=references)
    caption = f"Joint posterior of “{label}”."
    if references:
        caption += f" Red: {literal(spec.words) or rounded(spec.reference or 0.0)}."
    return drawing(
        axes[0], caption, f"Contours of the joint posterior of parameters of {fit.law}, in a triangle of panels."
    )


def _priors(spec: PriorsFigure, fit: Fit, label: str) -> Drawing:
    axes = prior_posterior(fit, names=spec.parameters or None)
    caption = (
        f"Posterior (blue) of each parameter of “{label}” over its prior (grey): where they are alike, "
        "the data were hardly informative."
    )
    priors = "; ".join(
        f"{printed_name(*key)} ~ {prior}"
        for key, prior in (fit.posterior.priors if isinstance(fit, PosteriorFit) else ())
    )
    return drawing(axes[0], caption, f"Posterior and prior densities in {len(axes)} panels. Priors: {priors}.")


def _predictive(spec: PredictiveFigure, fit: Fit, label: str) -> Drawing:
    axes = posterior_predictive(fit, against=spec.against[0] if spec.against else None)
    caption = f"Posterior predictive check of “{label}”: where blue stays inside the bands, the model makes such data."
    return drawing(
        axes[0], caption, "Residuals, residuals along a column, and quantiles, against bands of replicated data."
    )


def _pooling(spec: PoolingFigure, fit: Fit, label: str) -> Drawing:
    parameter = spec.parameter or None
    ax = pooling(fit, name=parameter, reference=spec.reference, words=spec.words)
    shared = next(parameter for parameter in fit.parameters if parameter.kind == "common")
    caption = f"The {role(fit, shared.key)} of each group, drawn from a common distribution (“{label}”)."
    levels_text = "; ".join(
        f"{printed_level(parameter.level, ', ')} {estimate_text(fit[parameter.key], alone=False)}"
        for parameter in fit.parameters if parameter.coef.name == shared.coef.name and parameter.level
    )  # fmt: skip
    return drawing(
        ax,
        caption,
        f"Posterior means with intervals: {levels_text}; common value {_in_words('', fit, shared.key).strip()}.",
    )


def _observed(fit: Fit) -> Drawing:
    ax = new_panels(1, 1, width=100, height=70)[0]
    observed_predicted(fit, ax=ax)
    caption = f"Observed against predicted {fit.law.response}; the line is equality."
    return drawing(ax, caption, f"Points of observed against predicted {fit.law.response} along the diagonal.")


def _optima(fit: Fit, label: str) -> Drawing:
    ax = optima(fit, ax=new_panels(1, 1, width=110, height=12 + 5.5 * len(fit.optima))[0])
    caption = f"Local optima of “{label}” and how many starts ended at each."
    return drawing(ax, caption, f"{len(fit.optima)} local optima by their excess over the best objective.")


def _panels(count: int, *, height: float, per_row: int) -> list[Axes]:
    """Return panels in rows of nearly equal length, at the full text width."""
    rows = -(-count // per_row)
    columns = -(-count // rows)
    axes = new_panels(rows, columns, height=height * rows)
    for spare in axes[count:]:
        spare.remove()
    return axes[:count]


def _kinds_of(fits: Mapping[str, Fit]) -> str:
    """Name what is drawn: a bootstrap is not a posterior."""
    posterior = {isinstance(fit, PosteriorFit) for fit in fits.values()}
    if posterior == {True}:
        return "Posteriors" if len(fits) > 1 else "Posterior"
    return "Bootstrap distributions" if posterior == {False} else "Posteriors and bootstrap distributions"


def _in_words(label: str, fit: Fit, name: str | Key) -> str:
    """Write an estimate, or those of all levels, for screen readers."""
    if name in fit:
        return f"{label} {plus_minus(fit[name].value, fit[name].se)}"
    levels = [parameter for parameter in fit.parameters if parameter.coef.name == name]
    numbers = (
        f"{printed_level(level.level, ', ')} {plus_minus(fit[level.key].value, fit[level.key].se)}" for level in levels
    )
    return f"{label}: {', '.join(numbers)}"
