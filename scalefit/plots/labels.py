"""Labels next to the curves that they name, at places where they cover nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

__all__ = ["LabelledCurve", "label_curves"]

Array = NDArray[np.float64]

_HEIGHTS: Final = (0.9, 0.75, 0.6, 0.45, 0.3, 0.18)  # of the peak, at which a label may be next to the curve
_NEAR: Final = 4.0  # points between a curve and its label; farther ones are joined by a hairline
_DISTANCES: Final = (_NEAR, 13.0, 24.0, 38.0)
_PER_POINT: Final = 0.25  # covered points of curves that count as much as one point of distance
_HALO: Final = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.7}


class LabelledCurve(NamedTuple):
    """A drawn density.

    Parameters
    ----------
    x, y : array, shape (K,)
        In data units.
    words : str
        Its label.
    colour : str
        Colour of label and line.
    """

    x: Array
    y: Array
    words: str
    colour: str


class _Place(NamedTuple):
    """A possible place of a label: the point it names, the direction from there, and the distance in points."""

    x: float
    y: float
    right: int
    up: int
    distance: float


def label_curves(ax: Axes, curves: Sequence[LabelledCurve], *, lines: Sequence[float] = ()) -> None:
    """Write each curve's label next to it, or all in a legend when they do not fit.

    Parameters
    ----------
    ax : Axes
        With final limits: they must not change afterwards.
    curves : sequence of LabelledCurve
        Roughly unimodal densities.
    lines : sequence of float
        Positions of vertical lines that labels must not cross.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        return
    figure.draw_without_rendering()
    frame = ax.get_window_extent()
    taken = [text.get_window_extent() for text in ax.texts]
    ink = [ax.transData.transform(np.column_stack([curve.x, curve.y])) for curve in curves]
    ink += [_upright(ax, line) for line in lines]
    labels: list[Annotation] = []
    crowded = False
    for i in sorted(range(len(curves)), key=lambda i: -float(curves[i].y.max())):
        options = list(_places(curves[i]))
        label = _written(ax, curves[i], options[0])
        size = label.get_window_extent()
        label.remove()
        boxes = [_box(ax, place, size) for place in options]
        costs = [
            _cost(box, frame, taken, ink) + _PER_POINT * place.distance
            for place, box in zip(options, boxes, strict=True)
        ]
        best = int(np.argmin(costs))
        crowded = crowded or _collides(boxes[best], frame, taken)
        taken.append(boxes[best])
        labels.append(_written(ax, curves[i], options[best]))
    if crowded:
        for label in labels:
            label.remove()
        handles = [ax.plot([], [], color=curve.colour)[0] for curve in curves]
        ax.legend(handles, [curve.words for curve in curves], loc="best")


def _places(curve: LabelledCurve) -> Iterator[_Place]:
    """Yield places above the peak and down both sides, near the curve first."""
    top = int(np.argmax(curve.y))
    for distance in _DISTANCES:
        for side in (0, 1, -1):
            yield _Place(float(curve.x[top]), float(curve.y[top]), side, 1, distance)
        for share in _HEIGHTS:
            above = np.flatnonzero(curve.y >= share * curve.y[top])
            for at, side in ((above[-1], 1), (above[0], -1)):
                for up in (0, 1):
                    yield _Place(float(curve.x[at]), float(curve.y[at]), side, up, distance)


def _written(ax: Axes, curve: LabelledCurve, place: _Place) -> Annotation:
    line = {"arrowstyle": "-", "color": curve.colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 1}
    line["relpos"] = (0.5 - place.right / 2, 0.5 - place.up / 2)
    return ax.annotate(
        curve.words, (place.x, place.y), xytext=_shift(place), textcoords="offset points", color=curve.colour,
        fontsize=7.5, ha=("center", "left", "right")[place.right], va=("center", "bottom")[place.up], zorder=6,
        linespacing=1.15, annotation_clip=False, bbox=_HALO, arrowprops=line if place.distance > _NEAR else None,
    )  # fmt: skip


def _shift(place: _Place) -> tuple[float, float]:
    length = float(np.hypot(place.right, place.up))
    return place.right * place.distance / length, place.up * place.distance / length


def _box(ax: Axes, place: _Place, size: Bbox) -> Bbox:
    """Return the pixels that a label would cover."""
    figure = ax.get_figure(root=True)
    pixels = (figure.dpi if figure else 72) / 72
    right, up = (pixels * part for part in _shift(place))
    x, y = ax.transData.transform((place.x, place.y))
    left = x + right - size.width * (1 - place.right) / 2
    bottom = y + up - (0.0 if place.up else size.height / 2)
    return Bbox.from_bounds(left, bottom, size.width, size.height)


def _upright(ax: Axes, at: float) -> Array:
    heights = np.linspace(*ax.get_ylim(), 60)
    pixels: Array = np.asarray(ax.transData.transform(np.column_stack([np.full(60, at), heights])))
    return pixels


def _collides(box: Bbox, frame: Bbox, taken: Sequence[Bbox]) -> bool:
    inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and box.y1 <= frame.y1
    return not inside or any(box.overlaps(other) for other in taken)


def _cost(box: Bbox, frame: Bbox, taken: Sequence[Bbox], ink: Sequence[Array]) -> float:
    """Return a cost for what a label would cover; other labels and the edge weigh more than any line."""
    covered = sum(int(np.count_nonzero(_inside(box, points))) for points in ink)
    return float(covered) + 1000.0 * _collides(box, frame, taken)


def _inside(box: Bbox, points: Array) -> NDArray[np.bool_]:
    x, y = points.T
    inside: NDArray[np.bool_] = (x > box.x0 - 2) & (x < box.x1 + 2) & (y > box.y0 - 1) & (y < box.y1 + 1)
    return inside
