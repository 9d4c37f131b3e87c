"""What the pictures of a toy sweep share: its curves of loss against width, their shades and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.numbers import exact
from scalefit.plots.style import BLUE, FULL_WIDTH, GREY, TEAL, as_label, new_panels
from scalefit.toy.records import SETTING, setting_regime

__all__ = [
    "COLOURS",
    "WidthCurve",
    "label_ends",
    "longest",
    "names_of",
    "number_word",
    "setting_panels",
    "shades",
    "width_curves",
]

Array = NDArray[np.float64]

COLOURS: Final = {"strong": BLUE, "weak": TEAL, "between": GREY}
_LIGHTEST: Final = 0.55  # how far the lightest of several shades is from white
_MOST_PANELS: Final = 6
_LINE: Final = 8.5  # points between the labels of two curves
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
    found = []
    for _, rows in done.groupby([*known, "steps"], dropna=False, sort=True):
        if rows["width"].nunique() >= fewest:
            first = rows.iloc[0]
            setting = {name: first[name] for name in known if not pd.isna(first[name])}
            found.append(_curve(setting, rows))
    if not found:
        raise DataError(f"no setting of the sweep has {fewest} widths that finished; a curve needs as many")
    return found


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
    for one in curves:
        key = str(one.setting)
        if key not in last or last[key].steps < one.steps:
            last[key] = one
    return list(last.values())


def number_word(value: Any) -> str:
    """Print the value of a setting."""
    return value if isinstance(value, str) else exact(value)


def names_of(curves: Sequence[WidthCurve]) -> list[str]:
    """Name each curve by what is not the same in all of them; empty where nothing differs."""
    settings = [{**one.setting, "steps": one.steps} for one in curves]
    keys = dict.fromkeys(key for one in settings for key in one)
    varied = [key for key in keys if len({str(one.get(key)) for one in settings}) > 1]
    return [", ".join(_word(key, one[key]) for key in varied if key in one) for one in settings]


def _word(key: str, value: Any) -> str:
    if key == "steps":
        return f"{exact(value)} steps"
    if key in ("frequency", "frequencies"):
        return as_label(str(value))
    word = as_label(number_word(value))
    return f"{_LETTERS[key]} = {word}" if key in _LETTERS else f"{as_label(key.replace('_', ' '))} {word}"


def shades(colour: str, count: int) -> list[tuple[float, float, float]]:
    """Return shades of a colour, the last one full."""
    full = np.array(to_rgb(colour))
    share = np.linspace(_LIGHTEST, 1.0, count) if count > 1 else np.ones(count)
    return [tuple(float(part) for part in 1 - one * (1 - full)) for one in share]  # type: ignore[misc]


def label_ends(ax: Axes, ends: Sequence[tuple[float, str, Any]]) -> None:
    """Write labels right of the axes, each as near to the height of its curve's end as the others let it.

    Parameters
    ----------
    ax : Axes
        With its limits set.
    ends : sequence of (float, str, colour)
        Height in data units, words, colour of each; without words there is no label.
    """
    figure = ax.get_figure(root=True)
    named = [one for one in ends if one[1]]
    if figure is None or not named:
        return
    figure.draw_without_rendering()
    gap = _LINE * figure.dpi / 72 / ax.get_window_extent().height
    right = ax.get_xlim()[1]
    heights = [float((ax.transData + ax.transAxes.inverted()).transform((right, y))[1]) for y, _, _ in named]
    order = np.argsort(heights)
    for place, k in zip(_spread([heights[k] for k in order], gap), order, strict=True):
        _, words, colour = named[k]
        ax.annotate(
            words, (1, place), xycoords="axes fraction", xytext=(4, 0), textcoords="offset points", color=colour,
            fontsize=7.5, va="center", annotation_clip=False,
        )  # fmt: skip


def _spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move ascending heights apart, up and then down from the top, by as little as that takes."""
    places = list(heights)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    places[-1] = min(places[-1], max(1.0, heights[-1]))
    for i in reversed(range(len(places) - 1)):
        places[i] = min(places[i], places[i + 1] - gap)
    return places
