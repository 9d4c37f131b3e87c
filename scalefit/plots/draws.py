"""Common code of the figures of uncertainty: draws by name, their labels, and smooth densities."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scalefit.errors import DataError, closest
from scalefit.estimate import Estimate
from scalefit.names import Key, printed_name, read_name, spread_name
from scalefit.numbers import as_input
from scalefit.plots.style import symbol
from scalefit.results import Fit, PosteriorFit

__all__ = [
    "Region",
    "axis_name",
    "draws_of",
    "first_exponent",
    "highest_region",
    "kind_of_draws",
    "lower_bound",
    "named",
    "need_posterior",
    "parameter_label",
    "pooled_by",
    "pooled_in_logs",
    "reach",
    "shown_value",
    "smooth",
]

Array = NDArray[np.float64]

_TAIL: Final = 0.002  # share of the draws beyond each end of an axis
_CELLS: Final = 96  # of the grid on which a joint density is smoothed


def draws_of(fit: Fit, name: str | Key) -> Array:
    """Return the finite draws of one parameter, coefficients as logarithms.

    Parameters
    ----------
    fit : Fit
        A posterior, or a fit with bootstrap replicates.
    name : str or (str, tuple of str)
        The parameter, with its level.

    Returns
    -------
    array, shape (R,)
        NaN where a resample did not determine the parameter.

    Raises
    ------
    DataError
        When the fit has no such parameter or no draws.
    """
    named(fit, name)
    fit.draws(name)  # raises with the reason when there are none
    draws: Array = np.asarray(fit.uncertainty.draws)[:, fit.place(name)]
    return draws


def named(fit: Fit, name: str | Key) -> Estimate:
    """Return an estimate by name; an error lists the names."""
    if name not in fit:
        printed = name if isinstance(name, str) else printed_name(*name)
        raise DataError(f"{fit.label or fit.law} has no parameter {printed!r}; {closest(printed, fit.names)}")
    return fit[name]


def need_posterior(fit: Fit, what: str) -> PosteriorFit:
    """Return a fit as the posterior that a figure needs; reject another."""
    if not isinstance(fit, PosteriorFit):
        raise DataError(
            f"{what} needs a posterior, and {fit.label or fit.law} was fitted by {fit.engine}; "
            "make one with scalefit.bayes (scalefit bayes)"
        )
    return fit


def kind_of_draws(fit: Fit) -> str:
    """Name the kind of the draws: a bootstrap is not called a posterior."""
    return "bootstrap distribution" if not isinstance(fit, PosteriorFit) else "posterior"


def first_exponent(fit: Fit) -> Key:
    """Return the first exponent, or the first parameter of a law without any."""
    return next((parameter.key for parameter in fit.parameters if parameter.kind == "exponent"), fit.keys[0])


def shown_value(estimate: Estimate) -> float:
    """Return an estimate, a coefficient as its logarithm."""
    return estimate.value if estimate.log_value is None else estimate.log_value


def axis_name(fit: Fit, name: str | Key) -> str:
    """Label an axis with a parameter: its letter, with its level, ``ln`` before a coefficient."""
    parameter = fit.parameters[fit.place(name)]
    if parameter.kind == "spread":
        pooled = pooled_by(fit, parameter.coef.name)
        return f"sd of {'ln ' if pooled_in_logs(fit, pooled) else ''}{symbol(pooled, ())}"
    letter = symbol(parameter.coef.name, parameter.level)
    if parameter.kind == "common":
        return f"common {letter}"
    return f"ln {letter}" if parameter.is_log else letter


def parameter_label(name: str | Key) -> str:
    """Write a parameter without its fit: its letter, with its level as words."""
    return symbol(*read_name(name))


def pooled_by(fit: Fit, spread: str) -> str:
    """Return the partly pooled coefficient whose levels have this spread."""
    return next(parameter.coef.name for parameter in fit.parameters if spread_name(parameter.coef.name) == spread)


def pooled_in_logs(fit: Fit, name: str) -> bool:
    """Whether a partly pooled parameter's levels are drawn from one distribution of their logarithms."""
    kinds = {parameter.kind for parameter in fit.parameters if parameter.coef.name == name and parameter.level}
    return fit.objective.exponents != "free" or "exponent" not in kinds


def lower_bound(fit: Fit, name: str | Key) -> float:
    """Return 0 for what cannot be negative, minus infinity for logarithms and numbers of either sign."""
    parameter = fit.parameters[fit.place(name)]
    if parameter.kind == "real":
        return fit.law.bounds(parameter.coef.name)[0]
    free = parameter.kind in ("exponent", "common") and fit.objective.exponents == "free"
    return -np.inf if parameter.is_log or free else 0.0


def reach(draws: Array, *also: float) -> tuple[float, float]:
    """Return axis limits that show the bulk of the draws and some other values."""
    lo, hi = (float(end) for end in np.quantile(draws, [_TAIL, 1 - _TAIL]))
    lo, hi = min(lo, *also, hi), max(hi, *also, lo)
    room = 0.06 * (hi - lo) or 1.0
    return lo - room, hi + room


def smooth(draws: Array, grid: Array, *, lower: float = -np.inf) -> Array:
    """Estimate a density with a Gaussian kernel, reflected at a lower bound.

    The width is Scott's, 1.06 min(sd, interquartile range / 1.349) n^(-1/5), where repeated draws count less.

    Parameters
    ----------
    draws : array, shape (R,)
        Equally weighted, finite.
    grid : array, shape (K,)
        Where to evaluate.
    lower : float
        A bound below which the density is 0.

    Returns
    -------
    array, shape (K,)
        The density, 0 below the bound.

    Raises
    ------
    DataError
        When all draws are the same.
    """
    quartiles = np.quantile(draws, [0.25, 0.75])
    spreads = [spread for spread in (float(draws.std()), float(np.ptp(quartiles)) / 1.349) if spread > 0]
    if not spreads:
        raise DataError(f"all draws are {as_input(draws[0])}, so there is no density to draw; choose another parameter")
    counts = np.unique(draws, return_counts=True)[1]
    width = 1.06 * min(spreads) * (len(draws) ** 2 / float(counts @ counts)) ** -0.2
    near = draws[draws < lower + 6 * width]
    sample = np.concatenate([draws, 2 * lower - near]) if np.isfinite(lower) else draws
    scaled = (grid[:, None] - sample) / width
    height: Array = np.exp(-0.5 * scaled**2).sum(axis=1) / (len(draws) * width * np.sqrt(2 * np.pi))
    return np.where(grid >= lower, height, 0.0)


class Region(NamedTuple):
    """A joint density on a grid that follows the draws' correlation, for ``ax.contour``.

    Parameters
    ----------
    x, y, height : array, shape (K, K)
        Coordinates and density.
    levels : tuple of float
        Heights above which the requested shares of the draws lie, ascending.
    """

    x: Array
    y: Array
    height: Array
    levels: tuple[float, ...]


def highest_region(x: Array, y: Array, shares: tuple[float, ...] = (0.95, 0.5)) -> Region:
    """Find the smallest regions that contain the requested shares of joint draws (Hyndman 1996).

    The density is smoothed after whitening the draws (rotation and scaling), so that a narrow ridge stays narrow.

    Parameters
    ----------
    x, y : array, shape (R,)
        Joint draws.
    shares : tuple of float
        Shares of the draws, descending.

    Returns
    -------
    Region
        The density and its heights at the borders of the regions.
    """
    both = np.stack([x, y])
    middle = np.median(both, axis=1, keepdims=True)
    turn = np.linalg.cholesky(np.cov(both))
    round_draws = np.linalg.solve(turn, both - middle)
    far = float(np.quantile(np.abs(round_draws), 0.9995)) + 1.0
    edges = np.linspace(-far, far, _CELLS + 1)
    counts = np.histogram2d(round_draws[0], round_draws[1], bins=[edges, edges])[0]
    width = len(x) ** (-1 / 6)  # Scott's rule in two dimensions, in standard deviations
    height = ndimage.gaussian_filter(counts, width / (edges[1] - edges[0]), mode="constant")
    centres = (edges[:-1] + edges[1:]) / 2
    cell = np.clip(np.searchsorted(edges, round_draws) - 1, 0, _CELLS - 1)
    own = height[cell[0], cell[1]]
    grid = turn @ np.stack([axis.ravel() for axis in np.meshgrid(centres, centres, indexing="ij")]) + middle
    levels = tuple(float(np.quantile(own, 1 - share)) for share in shares)
    return Region(grid[0].reshape(height.shape), grid[1].reshape(height.shape), height, levels)
