"""Which rows of a fit the points of a figure stand for, so that a page on a screen can say it under the pointer."""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalefit.results import Fit

__all__ = ["Marked", "mark_rows", "marked"]


class Marked(NamedTuple):
    """The points of one scatter.

    Parameters
    ----------
    fit : Fit
        The fit.
    places : array of int, shape (n,)
        The place in ``fit.rows`` of each point, in the order in which they are drawn.
    """

    fit: Fit
    places: NDArray[np.intp]


_MARKS: WeakKeyDictionary[PathCollection, Marked] = WeakKeyDictionary()  # lives as long as the figures


def mark_rows(points: PathCollection, fit: Fit, rows: Any) -> None:
    """Say which rows of a fit the points of a scatter are.

    Parameters
    ----------
    points : PathCollection
        What ``Axes.scatter`` returns.
    fit : Fit
        The fit.
    rows : Index
        The row numbers of the points, in their order.
    """
    _MARKS[points] = Marked(fit, fit.rows.index.get_indexer(rows))


def marked(figure: Figure) -> dict[str, Marked]:
    """Return the marked scatters of a figure by the names that they have in its SVG from now on."""
    collections = [
        collection
        for ax in figure.axes
        for collection in ax.collections
        if isinstance(collection, PathCollection) and collection in _MARKS
    ]
    for number, collection in enumerate(collections, start=1):
        collection.set_gid(f"rows-{number}")
    return {str(collection.get_gid()): _MARKS[collection] for collection in collections}
