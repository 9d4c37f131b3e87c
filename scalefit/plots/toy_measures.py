"""Pictures of what was measured on trained toy models: norms, outputs that can fire, the shape of the overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.numbers import exact
from scalefit.plots.style import BLUE, FULL_WIDTH, INK, RED, house_style, log_axis, new_panels
from scalefit.plots.toy_curves import (
    COLOURS,
    WidthCurve,
    label_and_key,
    longest,
    names_of,
    ranked,
    setting_panels,
    width_curves,
)
from scalefit.toy.measures import NORM_STEP, least_moments

__all__ = ["alive", "norms", "skewness"]

Array = NDArray[np.float64]

_DASHED: Final = (0, (4, 2.5))
_SHARES: Final = LinearSegmentedColormap.from_list("shares", ["#ffffff", "#9fc0dc", BLUE, "#0d2d47"])


def _measured(table: pd.DataFrame, columns: Sequence[str]) -> list[WidthCurve]:
    """Return the curves of a table, at the longest training, whose measures are known."""
    if missing := [name for name in columns if name not in table]:
        raise DataError(f"the table lacks {', '.join(missing)}; train the models with this version, which measures it")
    return longest(width_curves(table.dropna(subset=list(columns))))


def _lines(ax: Axes, curves: Sequence[WidthCurve], column: str, per_loss: bool = False) -> list[tuple[float, str, Any]]:
    """Draw the mean of a column over seeds against the width, in the colours of the regimes; return its ends.

    Shades follow the loss of the widest models, so that a setting has the same one in every panel.
    """
    named, ends = list(zip(curves, names_of(curves), strict=True)), []

    def measure(curve: WidthCurve) -> Array:
        return curve.mean(column) / (curve.loss if per_loss else 1)

    for regime, colour in COLOURS.items():
        own = [(curve, words) for curve, words in named if curve.regime == regime]
        for (curve, words), shade in ranked(own, [float(curve.loss[-1]) for curve, _ in own], colour):
            values = measure(curve)
            ax.plot(curve.m, values, color=shade, marker="o", markersize=3.5, linewidth=1.1, zorder=3)
            ends.append((float(values[-1]), words, shade))
    log_axis(ax.xaxis, np.concatenate([curve.m for curve in curves]))
    return ends


@house_style()
def alive(table: pd.DataFrame) -> tuple[Axes, Axes]:
    """Draw the share of outputs that can fire, and how much of the loss is that of the others.

    Parameters
    ----------
    table : DataFrame
        As from :func:`scalefit.toy.read_sweep`.

    Returns
    -------
    tuple of Axes
        Shares of outputs, shares of the loss.

    Raises
    ------
    DataError
        A table of models that were not measured so.
    """
    curves = _measured(table, ("alive", "dead_loss"))
    left, right = new_panels(1, 2, height=66.0, width=FULL_WIDTH, sharey=True)
    for ax in (left, right):
        ax.set_ylim(-0.03, 1.03)
    ends = [(left, _lines(left, curves, "alive")), (right, _lines(right, curves, "dead_loss", per_loss=True))]
    left.set_title("Outputs that can fire")
    right.set_title("Share of the loss of those that cannot")
    left.set_ylabel("share")
    label_and_key(ends, "width $m$", ["means over seeds"] * 2)
    return left, right


@house_style()
def skewness(table: pd.DataFrame) -> tuple[Axes, Axes]:
    """Draw skewness and kurtosis of the overlaps of rows whose outputs can fire, with their bounds in red.

    Parameters
    ----------
    table : DataFrame
        As from :func:`scalefit.toy.read_sweep`.

    Returns
    -------
    tuple of Axes
        Skewness, kurtosis.

    Raises
    ------
    DataError
        A table of models that were not measured so.
    """
    curves = _measured(table, ("overlap_skewness", "overlap_kurtosis"))
    panels, ends = new_panels(1, 2, height=66.0, width=FULL_WIDTH), []
    for ax, name, place in zip(panels, ("skewness", "kurtosis"), (1, 2), strict=True):
        for n in sorted({int(curve.setting["n_features"]) for curve in curves}):
            most = max(curve.m.max() for curve in curves if curve.setting["n_features"] == n)
            least = min(curve.m.min() for curve in curves if curve.setting["n_features"] == n)
            m = np.unique(np.round(np.geomspace(least, most, 60)).astype(int))
            bound = [least_moments(n, int(width))[place] for width in m]
            words = f"least for tight frames, $n$ = {exact(n)}"
            ax.plot(m, bound, color=RED, linewidth=1.0, label=words, zorder=2)
        ends.append((ax, _lines(ax, curves, f"overlap_{name}")))
        ax.set_ylabel(f"{name} of the overlaps")
    panels[0].axhline(0, color=RED, linewidth=0.9, linestyle=_DASHED, zorder=1.5)
    label_and_key(ends, "width $m$", ["red: least for tight frames, dashed symmetric", "red: least for tight frames"])
    return panels[0], panels[1]


@house_style()
def norms(points: pd.DataFrame) -> tuple[Axes, ...]:
    """Draw how the norms of the rows of W are distributed, a panel for each setting and a column for each width.

    Parameters
    ----------
    points : DataFrame
        As from :func:`scalefit.toy.records.norm_histograms`.

    Returns
    -------
    tuple of Axes
        One per setting, at its longest training; means over seeds.

    Raises
    ------
    DataError
        With more settings than a page can show, or none that was measured so.
    """
    if not len(points):
        raise DataError("no model of the sweep has the norms of its rows; train it with this version, which keeps them")
    ends = points[points["norm"] == 0]
    curves = longest(width_curves(ends, fewest=1))
    panels, columns = setting_panels(curves, height=50)
    for curve, name, ax in zip(curves, names_of(curves), panels, strict=False):
        own = points[points["cell"].isin(curve.rows["cell"])]
        shares = own.pivot_table(index="norm", columns="width", values="share")
        shown: Any = shares.to_numpy(float)
        top = float(shares.index.max()) + NORM_STEP
        ax.imshow(
            shown / shown.max(axis=0), cmap=_SHARES, aspect="auto", origin="lower",
            extent=(-0.5, shown.shape[1] - 0.5, 0, top),
        )  # fmt: skip
        ax.set_xticks(range(shown.shape[1]), [exact(float(width)) for width in shares.columns])
        ax.axhline(1, color=RED, linewidth=0.9)
        ax.set_title(name, color=INK)
        ax.set_xlabel("width $m$     dark: most frequent norm; red: unit norm")
    for ax in panels[::columns]:
        ax.set_ylabel("norm of a row")
    return tuple(panels[: len(curves)])
