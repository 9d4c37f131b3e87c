"""Trade-offs between parameters: pairs of them, or all of a law against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.law.additive import Coef
from scalefit.names import Key
from scalefit.numbers import exact, rounded
from scalefit.plots.draws import axis_name, draws_of, highest_region, lower_bound, named, reach, shown_value, smooth
from scalefit.plots.style import BLUE, FULL_WIDTH, GREY, INK, RED, house_style, new_panels
from scalefit.results import Fit, PosteriorFit

__all__ = ["joint", "pairs"]

Array = NDArray[np.float64]

_PANELS_PER_ROW: Final = 3
_PAIRED: Final = 4  # parameters of a law of any form that are paired by default
_MOST: Final = 8  # parameters whose joint distribution can be read at the width of a page
_ROOMY: Final = 4  # number of parameters up to which three ticks fit
_FEW: Final = 200  # draws below which contours would follow single draws


@house_style()
def pairs(
    fit: Fit,
    *,
    names: Sequence[tuple[str, str]] | None = None,
    references: Mapping[str, float] | None = None,
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Draw two parameters against each other, one small panel per pair.

    A bootstrap is drawn as a cloud of refits; a posterior as the smallest regions that hold 50% and 95% of it, with the
    draws outside. Coefficients are natural logarithms. The cross is the estimate, references are red lines.

    Parameters
    ----------
    fit : Fit
        A posterior, or a fit with bootstrap replicates.
    names : sequence of pairs of str, optional
        Parameters (x, y) of each panel; by default each exponent with its coefficient, then the exponents
        with each other.
    references : mapping, optional
        Values to mark, by parameter.
    axes : sequence of Axes, optional
        Where to draw, one per pair; a new figure when omitted.

    Returns
    -------
    tuple of Axes
        One per pair.

    Raises
    ------
    DataError
        When the fit has no draws or no such parameter.
    """
    wanted = names if names is not None else _default_pairs(fit)
    chosen = [(named(fit, a).key, named(fit, b).key) for a, b in wanted]
    marks = _marks(fit, references)
    columns = {key: draws_of(fit, key) for pair in chosen for key in pair}
    places = list(axes) if axes is not None else _grid(len(chosen))
    for ax, (a, b) in zip(places, chosen, strict=True):
        both = np.isfinite(columns[a]) & np.isfinite(columns[b])
        x, y = columns[a][both], columns[b][both]
        if not isinstance(fit, PosteriorFit):
            ax.scatter(x, y, s=2, color=BLUE, alpha=0.18, linewidths=0, rasterized=False, zorder=2)
        else:
            _regions(ax, x, y)
        _cross(ax, fit, a, b)
        _limits(ax, fit, (a, x), (b, y), marks)
        ax.set_xlabel(axis_name(fit, a))
        ax.set_ylabel(axis_name(fit, b))
        ax.locator_params(nbins=5)
        ends = _ends_at_bound(fit, {a: x, b: y}) if isinstance(fit, PosteriorFit) else ""
        ax.set_title(f"correlation {_correlation(x, y)}{ends and f'; ends at {ends}'}", color=GREY, fontsize=7.5)
    return tuple(places)


@house_style()
def joint(
    fit: Fit, *, names: Sequence[str] | None = None, references: Mapping[str, float] | None = None
) -> tuple[Axes, ...]:
    """Draw parameters against each other in a triangle, with their distributions on the diagonal.

    Contours contain 50% and 95% of the draws; the panels above the diagonal show the correlations. Coefficients are
    natural logarithms, references red lines.

    Parameters
    ----------
    fit : Fit
        A posterior, or a fit with bootstrap replicates.
    names : sequence of str, optional
        Two to eight parameters; when omitted, those of the law without levels, or its exponents if there are too many.
    references : mapping, optional
        Values to mark, by parameter.

    Returns
    -------
    tuple of Axes
        The k by k panels, row by row, in a new figure.

    Raises
    ------
    DataError
        When the fit has no draws or no such parameter, or the names are too many or too few.
    """
    chosen = [named(fit, name).key for name in names] if names is not None else _default_names(fit)
    if not 2 <= len(chosen) <= _MOST:
        raise DataError(f"{len(chosen)} parameters cannot be drawn against each other; name 2 to {_MOST} of them")
    draws = np.stack([draws_of(fit, name) for name in chosen])
    draws = draws[:, np.isfinite(draws).all(axis=0)]
    k, marks = len(chosen), _marks(fit, references)
    axes = new_panels(k, k, height=min(FULL_WIDTH, 42.0 * k) * 0.92, width=min(FULL_WIDTH, 46.0 * k))
    for place, ax in enumerate(axes):
        i, j = divmod(place, k)
        x, y = draws[j], draws[i]
        if i < j:
            ax.axis("off")
            ax.text(0.5, 0.5, _correlation(x, y), transform=ax.transAxes, ha="center", va="center", color=INK)
            continue
        if i == j:
            _edge(ax, fit, chosen[i], x, marks)
        else:
            _regions(ax, x, y)
            _limits(ax, fit, (chosen[j], x), (chosen[i], y), marks)
        _outer_labels(ax, fit, (i, j), chosen)
    what = "posterior" if isinstance(fit, PosteriorFit) else "bootstrap refits"
    figure = axes[0].figure
    ends = _ends_at_bound(fit, dict(zip(chosen, draws, strict=True)))
    words = f"contours: 50% and 95% of the {what}; numbers: correlations"
    words += f"\nregions that are open at an edge end there: {ends}" if ends else ""
    figure.suptitle(words, fontsize=7.5, color=GREY)
    return tuple(axes)


def _marks(fit: Fit, references: Mapping[str, float] | None) -> dict[Key, float]:
    """Return the values to mark by parameter; those of parameters that the fit lacks are not drawn."""
    return {fit[name].key: value for name, value in (references or {}).items() if name in fit}


def _regions(ax: Axes, x: Array, y: Array) -> None:
    """Draw the regions of highest density, and the draws outside the larger one."""
    if len(x) < _FEW:
        ax.scatter(x, y, s=3, color=BLUE, alpha=0.4, linewidths=0, zorder=2)
        return
    region = highest_region(x, y)
    top = float(region.height.max())
    ax.scatter(x, y, s=1.2, color=BLUE, alpha=0.25, linewidths=0, zorder=1)
    ax.contourf(region.x, region.y, region.height, [*region.levels, top], colors=["#d3e0ec", "#92b4d2"], zorder=2)
    ax.contour(region.x, region.y, region.height, region.levels, colors=BLUE, linewidths=[0.7, 1.0], zorder=3)


def _cross(ax: Axes, fit: Fit, a: Key, b: Key) -> None:
    at = shown_value(fit[a]), shown_value(fit[b])
    ax.plot(*at, marker="+", color="white", markersize=9, mew=2.6, zorder=4)
    ax.plot(*at, marker="+", color=INK, markersize=8, mew=1.1, zorder=5)


def _limits(ax: Axes, fit: Fit, x: tuple[Key, Array], y: tuple[Key, Array], references: Mapping[Key, float]) -> None:
    """Draw the references and set limits that show them and the bulk of the draws, but nothing below a bound."""
    for (name, draws), limit, line in ((x, ax.set_xlim, ax.axvline), (y, ax.set_ylim, ax.axhline)):
        known = name in references
        lo, hi = reach(draws, *([references[name]] if known else []))
        limit(max(lo, lower_bound(fit, name)), hi)
        if known:
            line(references[name], color=RED, linewidth=1.0, zorder=3.5)


def _ends_at_bound(fit: Fit, draws: Mapping[Key, Array]) -> str:
    """Name the bounds that draws reach, such as ``E = 0``: a region ends there, and is open in the picture."""
    reached = [
        key for key, own in draws.items()
        if np.isfinite(bound := lower_bound(fit, key)) and reach(own)[0] <= bound
    ]  # fmt: skip
    return " and ".join(f"{axis_name(fit, key)} = {exact(lower_bound(fit, key))}" for key in reached)


def _edge(ax: Axes, fit: Fit, name: Key, draws: Array, references: Mapping[Key, float]) -> None:
    """Draw the distribution of one parameter."""
    known = [references[name]] if name in references else []
    lo, hi = reach(draws, *known)
    lo = max(lo, lower_bound(fit, name))
    grid = np.linspace(lo, hi, 200)
    height = smooth(draws, grid, lower=lower_bound(fit, name))
    ax.fill_between(grid, height, color="#d3e0ec", linewidth=0)
    ax.plot(grid, height, color=BLUE, linewidth=1.0)
    for at in known:
        ax.axvline(at, color=RED, linewidth=1.0)
    ax.set_xlim(lo, hi)
    ax.set_ylim(0, 1.1 * float(height.max()))


def _outer_labels(ax: Axes, fit: Fit, place: tuple[int, int], names: Sequence[Key]) -> None:
    """Label the left and the lower edge of the triangle only."""
    i, j = place
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=2 if len(names) > _ROOMY else 3, min_n_ticks=2))
    ax.tick_params(labelsize=6.5)
    if i == j:
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
    if i == len(names) - 1:
        ax.set_xlabel(axis_name(fit, names[j]))
    else:
        ax.set_xticklabels([])
    if j == 0 and i > 0:
        ax.set_ylabel(axis_name(fit, names[i]))
    else:
        ax.set_yticklabels([])


def _correlation(x: Array, y: Array) -> str:
    r = float(np.corrcoef(x, y)[0, 1])
    return rounded(r, min(max(1 - abs(r), 1e-3), 0.1))


def _default_pairs(fit: Fit) -> tuple[tuple[Key, Key], ...]:
    """Each exponent with its coefficient, then the exponents with each other; names without levels."""
    known = set(fit.keys)
    owned: list[tuple[Key, Key]] = []
    for term in fit.law.terms:
        if isinstance(term.exponent, Coef) and isinstance(term.coefficient, Coef):
            pair: tuple[Key, Key] = (term.exponent.name, ()), (term.coefficient.name, ())
            owned += [pair] if set(pair) <= known else []
    exponents: list[Key] = [(coef.name, ()) for coef in fit.law.exponents if (coef.name, ()) in known]
    chosen = (*owned, *combinations(exponents, 2))
    if not fit.law.terms:
        single = [parameter.key for parameter in fit.parameters if not parameter.level]
        chosen = tuple(combinations(single[:_PAIRED], 2))
    if not chosen:
        raise DataError(f"no pair of parameters is obvious for {fit.law}; name them with names=[(x, y), ...]")
    return chosen


def _default_names(fit: Fit) -> list[Key]:
    law = [parameter for parameter in fit.parameters if parameter.in_law]
    keys = [parameter.key for parameter in law if not parameter.level]
    if not 2 <= len(keys) <= _MOST:
        keys = [parameter.key for parameter in law if parameter.kind == "exponent"]
    return keys


def _grid(count: int) -> list[Axes]:
    rows = -(-count // _PANELS_PER_ROW)
    axes = new_panels(rows, min(count, _PANELS_PER_ROW), height=50 * rows)
    for spare in axes[count:]:
        spare.remove()
    return axes[:count]
