"""The phase diagram of the toy model: exponents and represented features over frequencies and weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.numbers import as_input, fixed
from scalefit.plots.style import BLUE, FULL_WIDTH, GREY, HAIRLINE, INK, RED, house_style, log_axis, new_axes
from scalefit.plots.toy_curves import label_ends, longest, number_word, shades, width_curves
from scalefit.toy.theory import log_slope

__all__ = ["exponent_map", "represented"]

Array = NDArray[np.float64]

_RAMP: Final = LinearSegmentedColormap.from_list("house", ["#f4f6f9", "#9fc0dc", BLUE, "#0d2d47"])
_MOST_NUMBERS: Final = 60  # cells in which the number is written
_MOST_TICKS: Final = 10
_WORDS: Final = {
    "exponent": "exponent $a$ of loss $\\propto m^{-a}$",
    "phi_half": "share of represented features $\\phi_{1/2}$",
}


@house_style()
def exponent_map(table: pd.DataFrame, *, value: str = "exponent", ax: Axes | None = None) -> Axes:
    """Draw a quantity over the exponent of the frequencies and the weight decay.

    A red line surrounds the exponents above 1.

    Parameters
    ----------
    table : DataFrame
        A sweep, as from :func:`scalefit.toy.read_sweep`, whose exponents over all its widths at the longest training
        are drawn; or any table with ``alpha``, ``gamma`` and the value, one row for each pair, such as the published
        map, ``load_dataset("toy_published_exponents").query("figure == 'Fig-4-3b'")``.
    value : {"exponent", "phi_half"}
        What to draw.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    DataError
        When alpha or gamma has one value only, or a pair of them has several rows.
    """
    if value not in _WORDS:
        raise DataError(f"there is no map of {value!r}; choices: {', '.join(_WORDS)}")
    rows = table if "exponent" in table else _of_sweep(table)
    grid = _grid(rows, value)
    ax = new_axes(ax, width=max(100.0, min(FULL_WIDTH, 40.0 + 9.5 * len(grid.columns))), height=24 + 8 * len(grid))
    cells = grid.to_numpy(float)
    top = 1.0 if value == "phi_half" else float(np.nanmax(cells))
    shown = ax.imshow(
        cells, cmap=_RAMP.with_extremes(bad=HAIRLINE), norm=Normalize(0, max(top, 1.0)), aspect="auto", origin="lower"
    )
    if value == "exponent":
        _outline(ax, cells > 1)
    if cells.size <= _MOST_NUMBERS:
        _write_numbers(ax, cells, shown.norm(cells))
    for axis, values in ((ax.xaxis, grid.columns), (ax.yaxis, grid.index)):
        places = np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_TICKS)).round().astype(int))
        axis.set_ticks(places, [number_word(round(float(values[k]), 3)) for k in places])
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_xlabel("$\\alpha$ of the frequencies $i^{-\\alpha}$")
    ax.set_ylabel("weight decay $\\gamma$")
    figure = ax.get_figure(root=True)
    if figure is not None:
        bar = figure.colorbar(shown, ax=ax, pad=0.02, label=_WORDS[value])
        bar.outline.set_visible(False)
        if value == "exponent":
            bar.ax.axhline(1, color=RED, linewidth=1.4)
    return ax


def _of_sweep(table: pd.DataFrame) -> pd.DataFrame:
    """Fit an exponent to every setting of a sweep."""
    curves = longest(width_curves(table, fewest=2))
    return pd.DataFrame(
        {
            "alpha": curve.setting.get("alpha", np.nan), "gamma": curve.setting["gamma"],
            "exponent": log_slope(curve.rows["width"], curve.rows["loss"]), "phi_half": curve.rows["phi_half"].mean(),
        }
        for curve in curves
    )  # fmt: skip


def _grid(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    if missing := [name for name in ("alpha", "gamma", value) if name not in rows]:
        raise DataError(f"the table lacks {', '.join(missing)}; a map needs alpha, gamma and {value}")
    known = rows.dropna(subset=["alpha", "gamma"])
    few = [name for name in ("alpha", "gamma") if known[name].nunique() < 2]
    if few:
        have = "has" if len(few) == 1 else "have"
        raise DataError(f"{' and '.join(few)} {have} fewer than two values; a map needs several of alpha and of gamma")
    repeated = known[known.duplicated(["alpha", "gamma"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise DataError(
            f"several rows have alpha = {as_input(first['alpha'])} and gamma = {as_input(first['gamma'])}; choose "
            "among them by where, or by figure in the published table"
        )
    return known.pivot_table(index="gamma", columns="alpha", values=value)


def _outline(ax: Axes, inside: NDArray[np.bool_]) -> None:
    """Draw the border between cells inside and outside, along their edges."""
    for i, j in np.argwhere(inside[:, 1:] != inside[:, :-1]):
        ax.plot([j + 0.5, j + 0.5], [i - 0.5, i + 0.5], color=RED, linewidth=1.4, solid_capstyle="projecting")
    for i, j in np.argwhere(inside[1:] != inside[:-1]):
        ax.plot([j - 0.5, j + 0.5], [i + 0.5, i + 0.5], color=RED, linewidth=1.4, solid_capstyle="projecting")


def _write_numbers(ax: Axes, cells: Array, depth: Any) -> None:
    for (i, j), number in np.ndenumerate(cells):
        words = "–" if np.isnan(number) else fixed(number, 2)
        colour = "white" if np.isfinite(number) and depth[i, j] > 0.5 else INK
        ax.text(j, i, words, ha="center", va="center", color=colour, fontsize=7)


@house_style()
def represented(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of features that are represented, those whose row of W has a norm above 1/2.

    Over several frequencies and decays it is a map, of means over the widths; otherwise a line for each width against
    the weight decay.

    Parameters
    ----------
    table : DataFrame
        As from :func:`scalefit.toy.read_sweep`.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.
    """
    rows = pd.concat([curve.rows for curve in longest(width_curves(table, fewest=1))])
    if min(rows["alpha"].nunique(), rows["gamma"].nunique()) > 1:
        return exponent_map(table, value="phi_half", ax=ax)
    ax = new_axes(ax, width=100.0, height=66.0)
    widths: Sequence[int] = sorted(rows["width"].unique())
    ends = []
    for m, colour in zip(widths, shades(BLUE, len(widths)), strict=True):
        own = rows[rows["width"] == m]
        share = own.groupby("gamma")["phi_half"].mean()
        ax.plot(share.index, share, color=colour, marker="o", markersize=3.5, linewidth=1.1, zorder=3)
        ends.append((float(share.iloc[-1]), f"$m$ = {m}", colour))
    shares = [float(m / rows["n_features"].mean()) for m in (widths[0], widths[-1])]
    for at in shares:
        ax.axhline(at, color=RED, linewidth=0.9, zorder=1)
    log_axis(ax.yaxis, [*rows["phi_half"].astype(float), *shares, 1.0])
    ax.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    ax.set_xlabel("weight decay $\\gamma$     red: $m/n$ at the narrowest and the widest")
    ax.set_ylabel(_WORDS["phi_half"])
    label_ends(ax, ends)
    return ax
