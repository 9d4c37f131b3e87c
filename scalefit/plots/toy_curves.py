"""What the pictures of a toy sweep share: its curves of loss against width, their shades and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.text import Annotation
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.numbers import exact
from scalefit.plots.style import BLUE, FULL_WIDTH, GREY, TEAL, as_label, new_panels, write_key
from scalefit.toy.config import SMALL_RATE
from scalefit.toy.records import SETTING, setting_regime

__all__ = [
    "COLOURS",
    "PUBLISHED",
    "WidthCurve",
    "label_and_key",
    "label_ends",
    "longest",
    "names_of",
    "number_word",
    "ranked",
    "setting_panels",
    "shades",
    "width_curves",
]

Array = NDArray[np.float64]
_T = TypeVar("_T")

COLOURS: Final = {"strong": BLUE, "weak": TEAL, "between": GREY}
_LIGHTEST: Final = 0.55  # how far the lightest of several shades is from white
_MOST_PANELS: Final = 6
_LINE: Final = 8.5  # points between the labels of two curves
_LEAD: Final = 11.0  # points from the axes to a label with a line that leads to it
_STARTS: Final = {
    "zero": "$b$ = 0", "normal": "$b$ ~ N(0, 1)", "small": "$b$ ~ N(0, 0.1²)", "mean": "$b$ = $p$",
    "negative": "$b$ < 0", "positive": "$b$ > 0",
}  # fmt: skip
_NORMS: Final = {"free": "", "unit": "unit rows", "held": "held rows"}
PUBLISHED: Final = {"bias_start": "normal", "norm": "free"}  # what a table without these columns has
_FREE: Final = "free rows"  # the name of a setting that differs from others in nothing else
_LETTERS: Final = {"alpha": "$\\alpha$", "gamma": "$\\gamma$", "n_features": "$n$", "density": "$E$"}


class WidthCurve(NamedTuple):
    """One setting of the toy model at one length of training.

    Parameters
    ----------
    setting : dict
        What tells it from other settings, without what it does not have.
    steps : int
        Length of training.
    regime : {"strong", "weak", "between"}
        Of most of its models.
    seeds : int
        Seeds of the width that has fewest.
    m : array, shape (k,)
        Widths, ascending.
    loss, error : array, shape (k,)
        Geometric mean over seeds, and the standard deviation of log loss between them; with one seed, the relative
        standard error of its evaluation.
    rows : DataFrame
        The models.
    """

    setting: dict[str, Any]
    steps: int
    regime: str
    seeds: int
    m: Array
    loss: Array
    error: Array
    rows: pd.DataFrame

    def mean(self, column: str) -> Array:
        """Return the mean of a column over the seeds, for each width."""
        return np.asarray(self.rows.groupby("width")[column].mean(), dtype=float)


def width_curves(table: pd.DataFrame, *, fewest: int = 2) -> list[WidthCurve]:
    """Part the finished models of a sweep into curves.

    Parameters
    ----------
    table : DataFrame
        As from :func:`scalefit.toy.read_sweep`.
    fewest : int
        Widths that a curve needs.

    Returns
    -------
    list of WidthCurve
        By setting, then by length of training.

    Raises
    ------
    DataError
        When columns are missing, or there is no curve.
    """
    needed = ("width", "steps", "seed", "loss", "loss_se", "phi_half", "n_features")
    if missing := [name for name in needed if name not in table]:
        raise DataError(f"the table lacks {', '.join(missing)}; give the table of a toy sweep")
    done = table[table["loss"].astype(float) > 0]
    known = [name for name in SETTING if name in table]
    curves = []
    for _, rows in done.groupby([*known, "steps"], dropna=False, sort=True):
        if rows["width"].nunique() >= fewest:
            first = rows.iloc[0]
            setting = {name: first[name] for name in known if not pd.isna(first[name])}
            curves.append(_curve(setting, rows))
    if not curves:
        raise DataError(f"no setting of the sweep has {fewest} widths that finished; a curve needs as many")
    return curves


def _curve(setting: dict[str, Any], rows: pd.DataFrame) -> WidthCurve:
    logs = pd.Series(np.log(rows["loss"].to_numpy(float)), rows.index).groupby(rows["width"])
    evaluated = (rows["loss_se"].astype(float) / rows["loss"].astype(float)).groupby(rows["width"]).mean()
    seeds = int(logs.size().min())
    return WidthCurve(
        setting,
        int(rows["steps"].iloc[0]),
        setting_regime(rows),
        seeds,
        np.unique(rows["width"].to_numpy(float)),
        np.exp(logs.mean().to_numpy(float)),
        np.asarray(logs.std() if seeds > 1 else evaluated, dtype=float),
        rows,
    )


def setting_panels(curves: Sequence[WidthCurve], *, height: float) -> tuple[tuple[Axes, ...], int]:
    """Make a panel for each setting, at most two next to each other.

    Parameters
    ----------
    curves : sequence of WidthCurve
        One for each setting.
    height : float
        Of a row of panels, mm.

    Returns
    -------
    panels : tuple of Axes
        As many as curves, or one more, which is not shown.
    columns : int
        How many are next to each other.

    Raises
    ------
    DataError
        With more settings than a page can show.
    """
    if len(curves) > _MOST_PANELS:
        raise DataError(f"{len(curves)} settings are too many for one picture; choose at most {_MOST_PANELS} by where")
    columns = min(len(curves), 2)
    lines = -(-len(curves) // columns)
    panels = new_panels(lines, columns, height=14 + height * lines, width=FULL_WIDTH if columns > 1 else 100.0)
    for ax in panels[len(curves) :]:
        ax.set_visible(False)
    return tuple(panels), columns


def longest(curves: Sequence[WidthCurve]) -> list[WidthCurve]:
    """Keep the longest training of every setting."""
    last: dict[str, WidthCurve] = {}
    for curve in curves:
        key = str(curve.setting)
        if key not in last or last[key].steps < curve.steps:
            last[key] = curve
    return list(last.values())


def number_word(value: Any) -> str:
    """Print the value of a setting."""
    return value if isinstance(value, str) else exact(value)


def names_of(curves: Sequence[WidthCurve]) -> list[str]:
    """Name each curve by what is not the same in all of them; empty where nothing differs."""
    settings = [{**PUBLISHED, **curve.setting, "steps": curve.steps} for curve in curves]
    keys = dict.fromkeys(key for setting in settings for key in setting)
    varied = [key for key in keys if len({str(setting.get(key)) for setting in settings}) > 1]
    names = [
        ", ".join(filter(None, (_word(key, setting[key]) for key in varied if key in setting))) for setting in settings
    ]
    return [name or _FREE for name in names] if varied else names


def _word(key: str, value: Any) -> str:
    if key == "steps":
        return f"{exact(value)} steps"
    if key in ("frequency", "frequencies"):
        return as_label(str(value))
    if key in ("bias_start", "norm"):
        return (_STARTS if key == "bias_start" else _NORMS).get(str(value), as_label(str(value)))
    word = as_label(number_word(SMALL_RATE if (key, value) == ("learning_rate", "small") else value))
    return f"{_LETTERS[key]} = {word}" if key in _LETTERS else f"{as_label(key.replace('_', ' '))} {word}"


def shades(colour: str, count: int) -> list[tuple[float, float, float]]:
    """Return shades of a colour, the last one full."""
    full = np.array(to_rgb(colour))
    share = np.linspace(_LIGHTEST, 1.0, count) if count > 1 else np.ones(count)
    return [tuple(float(part) for part in 1 - strength * (1 - full)) for strength in share]  # type: ignore[misc]


def ranked(curves: Sequence[_T], ends: Sequence[float], colour: str) -> list[tuple[_T, tuple[float, float, float]]]:
    """Give each curve a shade, the lightest to the one that ends highest, so that shades follow the labels.

    Parameters
    ----------
    curves : sequence
        Of one colour.
    ends : sequence of float
        Where each ends.
    colour : str
        The colour of the lowest.

    Returns
    -------
    list of (curve, shade)
        From the highest to the lowest.
    """
    order = sorted(range(len(curves)), key=lambda k: -ends[k])
    return [(curves[k], shade) for k, shade in zip(order, shades(colour, len(curves)), strict=True)]


def label_and_key(
    panels: Sequence[tuple[Axes, Sequence[tuple[float, str, Any]]]], name: str, keys: Sequence[str]
) -> None:
    """Write labels right of some axes, with lines that lead to them, and below each the quantity and its key.

    Labels make the axes narrower and a key of several lines makes them lower: the key is broken where the labels are
    known, and then the labels are placed again.

    Parameters
    ----------
    panels : sequence of (Axes, ends)
        As :func:`label_ends` takes them.
    name : str
        The quantity of the x axes.
    keys : sequence of str
        Meaning of the marks of each.
    """
    first = [label for ax, ends in panels for label in label_ends(ax, ends, lead=True)]
    for ax, _ in panels:
        if (figure := ax.get_figure(root=True)) is not None:
            figure.draw_without_rendering()
    for (ax, _), key in zip(panels, keys, strict=True):
        write_key(ax, name, key)
    for label in first:
        label.remove()
    for ax, ends in panels:
        label_ends(ax, ends, lead=True)


_SHORT = 0.08  # of the width of the axes, by which a curve may end before them without a line to its label


def label_ends(
    ax: Axes, ends: Sequence[tuple[float, str, Any]], *, lead: bool = False, at: Sequence[float] = ()
) -> list[Annotation]:
    """Write labels right of the axes, each as near to the height of its curve's end as the others let it.

    Parameters
    ----------
    ax : Axes
        With its limits set.
    ends : sequence of (float, str, colour)
        Height in data units, words, colour of each; without words there is no label.
    lead : bool
        Draw a line to each label from the height of its curve's end, where labels had to move apart.
    at : sequence of float
        Where each curve ends, in data units; from a curve that ends well before the axes do, a dotted line leads to its
        label. All end with the axes when empty.

    Returns
    -------
    list of Annotation
        The labels, from the lowest.
    """
    figure = ax.get_figure(root=True)
    named = [end for end in ends if end[1]]
    stops = [x for x, end in zip(at, ends, strict=True) if end[1]] if at else []
    if figure is None or not named:
        return []
    figure.draw_without_rendering()
    gap = _LINE * figure.dpi / 72 / ax.get_window_extent().height
    right = ax.get_xlim()[1]
    heights = [float((ax.transData + ax.transAxes.inverted()).transform((right, y))[1]) for y, _, _ in named]
    order = np.argsort(-np.array(heights), kind="stable")[::-1]  # the first of equal ones is the highest
    places, labels = _spread([heights[k] for k in order], gap), []
    lead = lead and any(abs(place - heights[k]) > gap / 2 for place, k in zip(places, order, strict=True))
    for place, k in zip(places, order, strict=True):
        _, words, colour = named[k]
        aside = ScaledTranslation((_LEAD if lead else 4) / 72, 0, figure.dpi_scale_trans)
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)}
        if stops:
            _lead_to(ax, stops[k], heights[k], place, colour)
        labels.append(
            ax.annotate(
                words, (1, heights[k]), xycoords="axes fraction", xytext=(1, place), textcoords=ax.transAxes + aside,
                color=colour, fontsize=7.5, va="center", annotation_clip=False, arrowprops=line if lead else None,
            )
        )  # fmt: skip
    return labels


def _lead_to(ax: Axes, x: float, height: float, place: float, colour: Any) -> None:
    """Draw a dotted line from the end of a short curve to its label, at the right of the axes."""
    stop = float((ax.transData + ax.transAxes.inverted()).transform((x, ax.get_ylim()[0]))[0])
    if stop < 1 - _SHORT:
        dots: dict[str, Any] = {"color": colour, "linewidth": 0.7, "linestyle": (0, (1, 2)), "zorder": 1}
        ax.plot([stop, 1], [height, place], transform=ax.transAxes, **dots)


def _spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move ascending heights apart, up and then down from the top, by as little as that takes."""
    places = list(heights)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    places[-1] = min(places[-1], max(1.0, heights[-1]))
    for i in reversed(range(len(places) - 1)):
        places[i] = min(places[i], places[i + 1] - gap)
    return places
