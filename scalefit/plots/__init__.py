"""Figures of fits. Every function takes a fit and returns the matplotlib Axes that it drew on."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from matplotlib.axes import Axes

from scalefit.errors import DataError, closest
from scalefit.plots.curves import curves
from scalefit.plots.distributions import densities, density, prior_posterior
from scalefit.plots.fit import effect, observed_predicted, optima, residuals, term
from scalefit.plots.forest import forest, pooling
from scalefit.plots.frontier import frontier
from scalefit.plots.joint import joint, pairs
from scalefit.plots.predictive import posterior_predictive
from scalefit.plots.style import house_style, save_figure
from scalefit.results import Fit

__all__ = [
    "KINDS",
    "curves",
    "densities",
    "density",
    "draw",
    "effect",
    "forest",
    "frontier",
    "house_style",
    "joint",
    "observed_predicted",
    "optima",
    "pairs",
    "pooling",
    "posterior_predictive",
    "prior_posterior",
    "residuals",
    "save_figure",
    "term",
]

KINDS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "curves": curves,
        "densities": densities,
        "density": density,
        "effect": effect,
        "fit": observed_predicted,
        "forest": forest,
        "frontier": frontier,
        "joint": joint,
        "observed": observed_predicted,
        "optima": optima,
        "pairs": pairs,
        "pooling": pooling,
        "predictive": posterior_predictive,
        "priors": prior_posterior,
        "residuals": residuals,
        "term": term,
    }
)
"""The plots of a fit by name."""


def draw(fit: Fit, kind: str = "fit", **options: Any) -> Any:
    """Draw a fit; ``fit.plot(kind)`` calls this. In a notebook the figure appears below the cell.

    Parameters
    ----------
    fit : Fit
        The fit.
    kind : str
        One of :data:`KINDS`.
    **options
        Keywords of the function of that kind.

    Returns
    -------
    Axes or tuple of Axes
        What that function returns.

    Raises
    ------
    DataError
        For an unknown kind.
    """
    if kind not in KINDS:
        raise DataError(f"there is no plot {kind!r}; {closest(kind, KINDS)}")
    drawn = KINDS[kind](fit, **options)
    if options.get("ax") is None:
        _show_in_notebook(drawn if isinstance(drawn, Axes) else drawn[0])
    return drawn


def _show_in_notebook(axes: Axes) -> None:
    """Display the figure in a notebook; the figures here are not registered with pyplot, which would do it."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):
        return
    shown: Any = import_module("IPython.display")
    figure: Any = axes.figure
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=144)
    shown.display(shown.Image(picture.getvalue(), width=int(figure.get_figwidth() * 110)))
