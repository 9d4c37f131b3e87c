"""How far to trust the numbers: bootstrap pairs and densities, and estimates side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from scalefit.errors import DataError, closest
from scalefit.law import Coef
from scalefit.plots.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    INK,
    RED,
    TEAL,
    house_style,
    new_axes,
    new_panels,
    reference_line,
    symbol,
)
from scalefit.records import Estimate
from scalefit.results import Fit
from scalefit.rounding import as_printed, plus_minus, rounded

__all__ = ["density", "forest", "pairs"]

Array = NDArray[np.float64]

_TAIL: Final = 0.002  # share of the replicates beyond each end of an axis
_PANELS_PER_ROW: Final = 3


@house_style()
def pairs(
    fit: Fit,
    *,
    names: Sequence[tuple[str, str]] | None = None,
    references: Mapping[str, float] | None = None,
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Draw bootstrap replicates of two parameters against each other, one small panel per pair.

    Coefficients are drawn as natural logarithms. The estimate is a white cross, references are red lines.

    Parameters
    ----------
    fit : Fit
        A fit with bootstrap replicates.
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
        When the fit has no replicates or no such parameter.
    """
    chosen = tuple(names) if names is not None else _default_pairs(fit)
    columns = {name: _replicates(fit, name) for pair in chosen for name in pair}
    places = list(axes) if axes is not None else _grid(len(chosen))
    for ax, (a, b) in zip(places, chosen, strict=True):
        both = np.isfinite(columns[a]) & np.isfinite(columns[b])
        x, y = columns[a][both], columns[b][both]
        ax.scatter(x, y, s=2, color=BLUE, alpha=0.18, linewidths=0, rasterized=False, zorder=2)
        ax.plot(
            *(_value(fit[name]) for name in (a, b)),
            marker="+",
            color="white",
            markersize=9,
            mew=2.6,
            zorder=4,
        )
        ax.plot(*(_value(fit[name]) for name in (a, b)), marker="+", color=INK, markersize=8, mew=1.1, zorder=5)
        ax.set_xlim(*_reach(x, (references or {}).get(a)))
        ax.set_ylim(*_reach(y, (references or {}).get(b)))
        for name, line in ((a, ax.axvline), (b, ax.axhline)):
            if references and name in references:
                line(references[name], color=RED, linewidth=1.0, zorder=3)
        ax.set_xlabel(_axis_name(fit[a]))
        ax.set_ylabel(_axis_name(fit[b]))
        ax.locator_params(nbins=5)
        r = float(np.corrcoef(x, y)[0, 1])
        ax.set_title(f"correlation {rounded(r, min(max(1 - abs(r), 1e-3), 0.1))}", color=GREY, fontsize=7.5)
    return tuple(places)


@house_style()
def density(
    fit: Fit,
    *,
    name: str | None = None,
    reference: float | None = None,
    words: str = "",
    colour: str = BLUE,
    ax: Axes | None = None,
) -> Axes:
    """Draw the bootstrap distribution of one parameter, its interval shaded.

    A bootstrap distribution shows how the estimate would scatter in repeated studies; it is no posterior.

    Parameters
    ----------
    fit : Fit
        A fit with bootstrap replicates.
    name : str, optional
        The parameter; the first exponent when omitted. A coefficient is drawn as its logarithm.
    reference : float, optional
        A hypothesis, drawn in red.
    words : str
        What the hypothesis says; its value when empty.
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
        When the fit has no replicates or no such parameter.
    """
    ax = new_axes(ax, height=45)
    name = name or _exponents(fit)[0]
    draws, estimate = _replicates(fit, name), fit[name]
    draws = draws[np.isfinite(draws)]
    lo, hi = _reach(draws, reference)
    grid = np.linspace(lo, hi, 300)
    height = stats.gaussian_kde(draws[(draws > lo) & (draws < hi)])(grid)
    ends = [fit.uncertainty.lo, fit.uncertainty.hi]
    left, right = (float(end[fit.names.index(name)]) for end in ends)
    inside = (grid >= left) & (grid <= right)
    ax.fill_between(grid[inside], height[inside], color=colour, alpha=0.16, linewidth=0)
    ax.plot(grid, height, color=colour)
    top = float(height.max())
    ax.plot([_value(estimate)] * 2, [0, top], color=colour, linewidth=0.9, linestyle=(0, (3, 2)))
    if reference is not None:
        reference_line(ax, reference, words or rounded(reference))
    ax.set_xlim(lo, hi)
    ax.set_ylim(0, 1.18 * top)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"{_axis_name(estimate)}: bootstrap distribution, {fit.uncertainty.level:.0%} interval shaded")
    return ax


@house_style()
def forest(
    fit: Fit | Mapping[str, Fit],
    *,
    name: str | None = None,
    reference: float | None = None,
    words: str = "",
    main: Sequence[str] = (),
    published: Mapping[str, tuple[float, float | None]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one parameter's estimates with their intervals below each other.

    Parameters
    ----------
    fit : Fit or mapping of str to Fit
        One fit whose parameter has levels (``alpha[family]``), or labelled fits, in the order drawn.
    name : str, optional
        The parameter, without its level; the law's first exponent when omitted.
    reference : float, optional
        A hypothesis, drawn in red.
    words : str
        What the hypothesis says; its value when empty.
    main : sequence of str
        Labels drawn in blue; the others are teal. The first when empty.
    published : mapping, optional
        Label to value and printed uncertainty, drawn as grey diamonds under the fits (plus or minus one).
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    DataError
        When a fit has no such parameter.
    """
    if name is None:
        some = fit if isinstance(fit, Fit) else next(iter(fit.values()))
        exponents = [one.coef.name for one in some.parameters if one.kind == "exponent"]
        name = exponents[0] if exponents else some.parameters[0].coef.name
    entries = _entries(fit, name)
    printed = dict(published or {})
    ax = new_axes(ax, width=FULL_WIDTH, height=12 + 4.3 * (len(entries) + len(printed)))
    first = set(main) or set(list(entries)[:1])
    texts: list[str] = []
    for i, (label, one) in enumerate(entries.items()):
        colour = BLUE if label in first else TEAL
        ax.plot([one.lo, one.hi], [i, i], color=colour, linewidth=1.8, solid_capstyle="butt", zorder=3)
        ax.plot(one.value, i, marker="o", color=colour, markersize=5, zorder=4)
        texts.append(plus_minus(one.value, one.se))
    for i, (value, error) in enumerate(printed.values(), start=len(entries)):
        if error:
            ax.plot([value - error, value + error], [i, i], color=GREY, linewidth=1.2, zorder=3)
        ax.plot(value, i, marker="D", color=GREY, markersize=4, zorder=4)
        texts.append(as_printed(value, error))
    for i, text in enumerate(texts):
        ax.annotate(text, (1.0, i), xycoords=("axes fraction", "data"), ha="right", va="center", fontsize=7.5)
    rows = len(texts)
    ax.set_yticks(range(rows), [*entries, *printed])
    ax.set_ylim(rows - 0.4, -0.6 - 0.5 * (reference is not None))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    left, right = _span(entries, printed, reference)
    ax.set_xlim(left, right + 0.22 * (right - left))  # room for the numbers at the right
    if reference is not None:
        reference_line(ax, reference, words or rounded(reference))
    ax.set_xlabel(symbol(name))
    return ax


def _exponents(fit: Fit) -> list[str]:
    return [one.name for one in fit.parameters if one.kind == "exponent"] or [fit.names[0]]


def _default_pairs(fit: Fit) -> tuple[tuple[str, str], ...]:
    """Each exponent with its coefficient, then the exponents with each other; names without levels."""
    known, owned = set(fit.names), []
    for one in fit.law.terms:
        if isinstance(one.exponent, Coef) and isinstance(one.coefficient, Coef):
            names = (one.exponent.name, one.coefficient.name)
            owned += [names] if set(names) <= known else []
    exponents = [coef.name for coef in fit.law.exponents if coef.name in known]
    chosen = (*owned, *combinations(exponents, 2))
    if not chosen:
        raise DataError(f"no pair of parameters is obvious for {fit.law}; name them with names=[(x, y), ...]")
    return chosen


def _grid(count: int) -> list[Axes]:
    rows = -(-count // _PANELS_PER_ROW)
    axes = new_panels(rows, min(count, _PANELS_PER_ROW), height=50 * rows)
    for spare in axes[count:]:
        spare.remove()
    return axes[:count]


def _replicates(fit: Fit, name: str) -> Array:
    """Return the replicates, coefficients as logarithms, NaN where a resample left one open, shape (R,)."""
    if name not in fit.names:
        raise DataError(f"the fit has no parameter {name!r}; {closest(name, fit.names)}")
    index = fit.names.index(name)
    fit.draws(name)  # says why when there are none
    draws: Array = np.asarray(fit.uncertainty.draws)[:, index]
    return draws


def _value(estimate: Estimate) -> float:
    return estimate.value if estimate.log_value is None else estimate.log_value


def _axis_name(estimate: Estimate) -> str:
    letter = symbol(estimate.name.partition("[")[0])
    return letter if estimate.log_value is None else f"ln {letter}"


def _reach(draws: Array, reference: float | None) -> tuple[float, float]:
    """Return the axis limits: the bulk of the replicates and the reference."""
    lo, hi = (float(end) for end in np.quantile(draws, [_TAIL, 1 - _TAIL]))
    if reference is not None:
        lo, hi = min(lo, reference), max(hi, reference)
    room = 0.06 * (hi - lo) or 1.0
    return lo - room, hi + room


def _entries(fit: Fit | Mapping[str, Fit], name: str) -> dict[str, Estimate]:
    if not isinstance(fit, Fit):
        return {label: _named(one, name) for label, one in fit.items()}
    found = {
        ", ".join(one.level) or name: fit[one.name] for one in fit.parameters if one.coef.name == name
    }  # fmt: skip
    return found or {name: _named(fit, name)}


def _named(fit: Fit, name: str) -> Estimate:
    if name not in fit.names:
        raise DataError(f"{fit.label or fit.law} has no parameter {name!r}; {closest(name, fit.names)}")
    return fit[name]


def _span(
    entries: Mapping[str, Estimate],
    printed: Mapping[str, tuple[float, float | None]],
    reference: float | None,
) -> tuple[float, float]:
    ends: list[Any] = [end for one in entries.values() for end in (one.lo, one.hi, one.value)]
    ends += [value + sign * (error or 0.0) for value, error in printed.values() for sign in (-1, 1)]
    ends += [] if reference is None else [reference]
    finite = [end for end in ends if np.isfinite(end)]
    room = 0.04 * (max(finite) - min(finite)) or 0.1
    return min(finite) - room, max(finite) + room
