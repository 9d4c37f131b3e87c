"""Results that can be drawn. The pictures stand above this package, so they are looked up when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

__all__ = ["PICTURES", "Drawn"]

PICTURES = "scalefit.plots.forecasts"


class Drawn:
    """Base of results with a picture; ``drawn_by`` names the function of :data:`PICTURES` that draws it."""

    drawn_by: ClassVar[str]

    def plot(self, **options: Any) -> Any:
        """Draw the result; in a notebook the figure appears below the cell.

        Parameters
        ----------
        **options
            Keywords of the function of :mod:`scalefit.plots.forecasts` that draws it.

        Returns
        -------
        Axes or tuple of Axes
            What that function returns.
        """
        pictures = import_module(PICTURES)
        return pictures.shown(getattr(pictures, self.drawn_by)(self, **options))
