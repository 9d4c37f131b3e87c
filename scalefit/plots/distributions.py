"""Distributions of single parameters: one, several with a reference, and posteriors against their priors."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from itertools import cycle
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from scalefit.errors import DataError, closest
from scalefit.names import Key, printed_name
from scalefit.numbers import as_printed, percent, plus_minus, rounded, two_digits
from scalefit.plots.draws import (
    axis_name,
    draws_of,
    first_exponent,
    kind_of_draws,
    lower_bound,
    named,
    need_posterior,
    reach,
    shown_value,
    smooth,
)
from scalefit.plots.labels import LabelledCurve, label_curves
from scalefit.plots.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    HAIRLINE,
    TEAL,
    as_label,
    house_style,
    new_axes,
    new_panels,
    reference_line,
    symbol,
    write_key,
)
from scalefit.posterior.priors import Prior, parse_prior
from scalefit.posterior.rebuild import density_of
from scalefit.problem import Parameter
from scalefit.results import Fit, PosteriorFit

__all__ = ["densities", "density", "prior_posterior"]

Array = NDArray[np.float64]

_TEALS: Final = (TEAL, "#14524c")
_PER_ROW, _MOST_PANELS, _STEPS = 4, 40, 36
_FAR: Final = 3.2  # printed errors either side of a published value


@house_style()
def density(
    fit: Fit,
    *,
    name: str | Key | None = None,
    reference: float | None = None,
    words: str = "",
    colour: str = BLUE,
    ax: Axes | None = None,
) -> Axes:
    """Draw the posterior or the bootstrap distribution of one parameter, its interval shaded.

    A bootstrap distribution shows how the estimate would scatter in repeated studies; it is not a posterior.

    Parameters
    ----------
    fit : Fit
        A posterior, or a fit with bootstrap replicates.
    name : str, optional
        The parameter; the first exponent when omitted. A coefficient is drawn as its logarithm.
    reference : float, optional
        A hypothesis, drawn in red.
    words : str
        Label of the hypothesis; its value when empty.
    colour : str
        Blue for the main estimate, teal for an alternative.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    DataError
        When the fit has no draws or no such parameter.
    """
    ax = new_axes(ax, height=45)
    key = first_exponent(fit) if name is None else named(fit, name).key
    draws = draws_of(fit, key)
    draws = draws[np.isfinite(draws)]
    lo, hi = reach(draws, *([] if reference is None else [reference]))
    grid = np.linspace(lo, hi, 300)
    height = smooth(draws, grid, lower=lower_bound(fit, key))
    _shade(ax, fit, key, grid, height, colour)
    ax.plot(grid, height, color=colour)
    top = float(height.max())
    ax.plot([shown_value(fit[key])] * 2, [0, top], color=colour, linewidth=0.9, linestyle=(0, (3, 2)))
    if reference is not None:
        reference_line(ax, reference, as_label(words) or as_printed(reference))
    _only_x(ax, (lo, hi), 1.18 * top)
    ax.set_xlabel(f"{axis_name(fit, key)}: {kind_of_draws(fit)}, {percent(fit.uncertainty.level)} interval shaded")
    return ax


@house_style()
def densities(
    fits: Fit | Mapping[str, Fit],
    *,
    name: str | Mapping[str, str] | None = None,
    reference: float | None = None,
    words: str = "",
    published: Mapping[str, tuple[float, float | None]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of one parameter in several fits on the same axes, with a hypothesis and published values.

    A posterior is a smooth curve, its interval shaded; a bootstrap distribution is drawn in steps and named as such; a
    published value with an error is a dashed normal. All have the same area. Each label is next to its curve.

    Parameters
    ----------
    fits : Fit or mapping of str to Fit
        Labelled fits, the main one first.
    name : str or mapping of str to str, optional
        The parameter, or that of each fit by label; the first exponent of the first fit when omitted. A coefficient is
        drawn as its logarithm.
    reference : float, optional
        A hypothesis, drawn in red.
    words : str
        Label of the hypothesis; its value when empty.
    published : mapping, optional
        Label to value and printed uncertainty.
    ax : Axes, optional
        Where to draw; a new figure of the full width when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    DataError
        When a fit has no draws or no such parameter.
    """
    ax = new_axes(ax, width=FULL_WIDTH, height=62)
    fits = {fits.label or "this fit": fits} if isinstance(fits, Fit) else dict(fits)
    names = names_in(fits, name)
    draws = {label: draws_of(fit, names[label]) for label, fit in fits.items()}
    draws = {label: values[np.isfinite(values)] for label, values in draws.items()}
    printed = dict(published or {})
    ends = [end for values in draws.values() for end in np.quantile(values, [0.002, 0.998])]
    ends += [value + sign * _FAR * (error or 0.0) for value, error in printed.values() for sign in (-1, 1)]
    lo, hi = reach(np.array(ends), *([] if reference is None else [reference]))
    grid = np.linspace(lo, hi, 400)
    colours = cycle(_TEALS)
    curves = []
    for i, (label, fit) in enumerate(fits.items()):
        colour = BLUE if i == 0 else next(colours)
        curves.append(_drawn(ax, fit, names[label], label, draws[label], grid, colour))
    for label, (value, error) in printed.items():
        if error:
            height = np.exp(-0.5 * ((grid - value) / error) ** 2) / (error * np.sqrt(2 * np.pi))
            ax.plot(grid, height, color=GREY, linewidth=1.1, linestyle=(0, (4, 2)))
            curves.append(LabelledCurve(grid, height, f"{as_label(label)}\n{as_printed(value, error)}", GREY))
    top = max(float(curve.y.max()) for curve in curves)
    _only_x(ax, (lo, hi), 1.35 * top)
    for label, (value, error) in printed.items():
        if not error:
            ax.plot([value, value], [0, 0.6 * top], color=GREY, linewidth=1.1, linestyle=(0, (4, 2)))
            curves.append(
                LabelledCurve(
                    np.full(9, value), np.linspace(0, 0.6 * top, 9), f"{as_label(label)}\n{as_printed(value)}", GREY
                )
            )
    if reference is not None:
        reference_line(ax, reference, as_label(words) or as_printed(reference))
    write_key(ax, *_key(fits, names, printed))
    label_curves(ax, curves, lines=[] if reference is None else [reference])
    return ax


def names_in(fits: Mapping[str, Fit], name: str | Mapping[str, str] | None) -> dict[str, Key]:
    """Return each fit's parameter by label, and check that it has one of this name."""
    names: dict[str, str | Key]
    if isinstance(name, Mapping):
        for label in fits:
            if label not in name:
                raise DataError(f"no parameter is named for {label!r}; name has: {', '.join(name)}")
        names = {label: name[label] for label in fits}
    else:
        names = dict.fromkeys(fits, name or first_exponent(next(iter(fits.values()))))
    return {label: named(fit, names[label]).key for label, fit in fits.items()}


@house_style()
def prior_posterior(fit: Fit, *, names: Sequence[str] | None = None) -> tuple[Axes, ...]:
    """Draw each parameter's posterior over its prior: where they coincide, the data were not informative.

    A coefficient is drawn as the quantity of its prior, the size of its term at the centre of the data.

    Parameters
    ----------
    fit : Fit
        A posterior.
    names : sequence of str, optional
        Parameters; every one that has a prior when omitted.

    Returns
    -------
    tuple of Axes
        One per parameter, in a new figure, with the prior and the ratio of the standard deviations below.

    Raises
    ------
    DataError
        When the fit is not a posterior, or a parameter has no prior.
    """
    posterior = need_posterior(fit, "a figure of priors")
    priors = {parameter.key: prior for parameter in fit.parameters if (prior := _prior_of(fit, parameter)) is not None}
    chosen = list(priors) if names is None else [named(fit, name).key for name in names]
    for key in chosen:
        if key not in priors:
            known = (printed_name(*other) for other in priors)
            raise DataError(
                f"{printed_name(*key)} is partly pooled and has no separate prior; its common value has one; "
                f"{closest(printed_name(*key), known)}"
            )
    if len(chosen) > _MOST_PANELS:
        raise DataError(f"{len(chosen)} panels are too many for a figure; name at most {_MOST_PANELS} with names=[...]")
    values = density_of(posterior).prior_values(np.asarray(posterior.uncertainty.draws))
    rows = -(-len(chosen) // _PER_ROW)
    columns = -(-len(chosen) // rows)
    axes = new_panels(rows, columns, height=37 * rows)
    for spare in axes[len(chosen) :]:
        spare.remove()
    for ax, key in zip(axes, chosen, strict=False):
        _against_prior(ax, fit, key, values[:, fit.place(key)], priors[key])
    return tuple(axes[: len(chosen)])


def _drawn(ax: Axes, fit: Fit, name: Key, label: str, draws: Array, grid: Array, colour: str) -> LabelledCurve:
    """Draw one fit's distribution: a curve for a posterior, steps for a bootstrap."""
    number = plus_minus(shown_value(fit[name]), float(fit.uncertainty.se[fit.place(name)]))
    height = smooth(draws, grid, lower=lower_bound(fit, name))
    if isinstance(fit, PosteriorFit):
        _shade(ax, fit, name, grid, height, colour)
        ax.plot(grid, height, color=colour)
        return LabelledCurve(grid, height, f"{as_label(label)}\n{number}", colour)
    low, high = (float(end) for end in np.quantile(draws, [0.001, 0.999]))
    edges = np.linspace(low, high, _STEPS + 1)
    steps = np.histogram(draws, edges)[0] / (len(draws) * np.diff(edges))
    ax.stairs(steps, edges, color=colour, linewidth=0.9)
    return LabelledCurve(
        np.repeat(edges, 2)[1:-1], np.repeat(steps, 2), f"{as_label(label)} (bootstrap)\n{number}", colour
    )


def _shade(ax: Axes, fit: Fit, name: Key, grid: Array, height: Array, colour: str) -> None:
    index = fit.place(name)
    inside = (grid >= fit.uncertainty.lo[index]) & (grid <= fit.uncertainty.hi[index])
    ax.fill_between(grid[inside], height[inside], color=colour, alpha=0.14, linewidth=0)


def _only_x(ax: Axes, ends: tuple[float, float], top: float) -> None:
    """Remove the y axis of a density, whose numbers are not informative."""
    ax.set_xlim(*ends)
    ax.set_ylim(0, top)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


def _key(fits: Mapping[str, Fit], names: Mapping[str, Key], printed: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name of the parameter and the meaning of the kinds of curve."""
    letters = list(dict.fromkeys(axis_name(fit, names[label]) for label, fit in fits.items()))
    parts = []
    posteriors = [fit for fit in fits.values() if isinstance(fit, PosteriorFit)]
    if posteriors:
        parts.append(f"curves: posteriors, {percent(posteriors[0].uncertainty.level)} intervals shaded")
    if len(posteriors) < len(fits):
        parts.append("steps: bootstrap distributions")
    if printed:
        parts.append("dashed: printed values")
    return " or ".join(letters), "; ".join(parts)


def _prior_of(fit: Fit, parameter: Parameter) -> Prior | None:
    """Return the prior of a parameter; a partly pooled level has none, although its common value has the same name."""
    priors = dict(fit.posterior.priors) if isinstance(fit, PosteriorFit) else {}
    pooled = {parameter.coef.name for parameter in fit.parameters if parameter.kind == "common"}
    if parameter.level and parameter.coef.name in pooled:
        return None
    text = priors.get(parameter.key, priors.get((parameter.coef.name, ())))
    return None if text is None else parse_prior(text)


def _against_prior(ax: Axes, fit: Fit, name: Key, values: Array, prior: Prior) -> None:
    parameter = fit.parameters[fit.place(name)]
    low, high = (float(end) for end in np.quantile(values, [0.002, 0.998]))
    first, last = (float(end) for end in prior.quantile(np.array([0.001, 0.999])))
    room = 0.9 * (high - low)  # the part of the prior's range shown next to the posterior; all of it where they diverge
    lo = first if low > last else max(low - room, min(first, low))
    hi = last if high < first else min(high + room, max(last, high))
    grid = np.linspace(lo, hi, 300)
    height = smooth(values, grid, lower=prior.support[0])
    belief = np.exp(prior.log_density(grid))
    ax.fill_between(grid, belief, color=HAIRLINE, linewidth=0)
    ax.plot(grid, belief, color=GREY, linewidth=0.8)
    ax.plot(grid, height, color=BLUE)
    edge = 0.02 * (hi - lo)
    _only_x(ax, (lo - edge, hi + edge), 1.08 * float(max(height.max(), belief.max())))
    ax.locator_params(axis="x", nbins=3)
    ax.set_title(
        f"{symbol(parameter.coef.name, parameter.level)}: size of its term"
        if parameter.is_log
        else axis_name(fit, name)
    )
    numbers = ", ".join(map(rounded, astuple(prior)))
    words = f"{two_digits(100 * float(values.std()) / prior.sd)}% as wide as {type(prior).__name__}({numbers})"
    ax.set_xlabel("\n".join(textwrap.wrap(words, 38)), color=GREY, fontsize=7)
