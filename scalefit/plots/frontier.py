"""Compute-optimal frontiers: the best allocation at each budget, with bands, runs and published values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from scalefit.allocation import Optimum, optimum_lines
from scalefit.allocation.result import CHINCHILLA, EXCESS, LOSS, NAMES, RATIO
from scalefit.errors import DataError, closest
from scalefit.numbers import percent
from scalefit.plots.style import (
    BLUE,
    GREY,
    INK,
    PANEL,
    RED,
    TEAL,
    as_label,
    column_label,
    house_style,
    log_axis,
    new_panels,
    panel_title,
)
from scalefit.plots.toy_curves import label_ends
from scalefit.results import Fit

__all__ = ["frontier"]

Array = NDArray[np.float64]
End = tuple[float, str, str]  # height, words and colour of a label

_POINTS: Final = 60  # along the compute axis
_STYLES: Final[tuple[Any, ...]] = ((0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (9, 2, 1, 2, 1, 2)))  # teal
_MARKERS: Final = "osv^"  # of printed values, so that lines differ without colours
_BAND: Final = 0.22  # opacity
_STEP: Final = 1.35  # factor of compute between the bars at the right end


@house_style()
def frontier(
    optima: Fit | Optimum | Mapping[str, Optimum],
    *,
    quantities: Sequence[str] = (),
    printed: Mapping[str, Optimum] | None = None,
    chinchilla: bool = True,
    height: float = 68.0,
    ax: Axes | None = None,
) -> Axes | tuple[Axes, ...]:
    """Draw quantities of the best allocation against compute: lines at the estimates, bands over the draws.

    The first is blue with its band, others are teal with the interval at the largest budget, published values grey with
    markers; dashes and markers tell the lines apart without colours. The loss is drawn for the first only, with its
    runs. The tinted background marks the compute of the runs; beyond it the law is extrapolated. Red: 20 tokens per
    parameter; the diamond is Chinchilla 70B (Hoffmann et al. 2022).

    Parameters
    ----------
    optima : Fit, Optimum or mapping of str to Optimum
        One, or several by label; the optimum of a fit is computed first, under its natural cost.
    quantities : sequence of str
        One panel each; when empty, loss and tokens per parameter where the law has them.
    printed : mapping of str to Optimum, optional
        Published values, which have no draws.
    chinchilla : bool
        Whether Chinchilla 70B and its ratio are marked.
    height : float
        Height of a new figure, mm.
    ax : Axes, optional
        Where to draw the first quantity only; a new figure of the text width otherwise.

    Returns
    -------
    Axes or tuple of Axes
        One per panel.

    Raises
    ------
    DataError
        When there is no optimum to draw, or a quantity is unknown.
    """
    several = _by_label(optima)
    first = next(iter(several.values()))
    chosen = tuple(quantities) or _usual(first)
    for name in chosen:
        if not any(name in optimum.quantities for optimum in several.values()):
            raise DataError(f"there is no quantity {name!r}; {closest(name, first.quantities)}")
    axes = [ax] if ax is not None else new_panels(1, len(chosen), height=height)
    ends = [_panel(*place, several, printed or {}, chinchilla) for place in zip(axes, chosen, strict=False)]
    if ax is None:
        axes[0].figure.supxlabel(_key(several), fontsize=7.5, color=GREY)
    for panel, labels in zip(axes, ends, strict=True):  # at the end, when the heights of the panels are final
        label_ends(panel, labels, lead=True)
    return tuple(axes) if ax is None else ax


def _by_label(optima: Fit | Optimum | Mapping[str, Optimum]) -> Mapping[str, Optimum]:
    if isinstance(optima, Fit):
        optima = optimum_lines(optima)
    several = {optima.label: optima} if isinstance(optima, Optimum) else optima
    usable = {label: optimum for label, optimum in several.items() if not optimum.reason}
    if not usable:
        reasons = "; ".join(f"{label}: {optimum.reason}" for label, optimum in several.items())
        raise DataError(f"there is no optimum to draw ({reasons or 'none was given'})")
    return usable


def _usual(first: Optimum) -> tuple[str, ...]:
    """Loss, and tokens per parameter or else the first column."""
    return (LOSS if LOSS in first.quantities else EXCESS, RATIO if RATIO in first.columns else first.columns[0])


def _panel(
    ax: Axes, name: str, several: Mapping[str, Optimum], printed: Mapping[str, Optimum], chinchilla: bool
) -> list[End]:
    """Draw one quantity of all sources that have it (the loss of the first only); return the labels of the lines."""
    first, compute = next(iter(several.values())), _span(several)
    shown = {label: optimum for label, optimum in {**several, **printed}.items() if name in optimum.quantities}
    if name in (LOSS, EXCESS):
        shown = dict(list(shown.items())[:1])
    values, ends = _marks(ax, first, name, compute, chinchilla)
    others = [label for label, optimum in shown.items() if optimum is not first and optimum.draws is not None]
    without = [label for label, optimum in shown.items() if optimum is not first and optimum.draws is None]
    for label, optimum in shown.items():
        line: dict[str, Any] = {"color": BLUE, "linestyle": "-", "linewidth": 1.6, "zorder": 4}
        band = optimum.band(name, compute)
        if optimum is first:
            ax.fill_between(compute, band[:, 1], band[:, 2], color=BLUE, alpha=_BAND, linewidth=0, zorder=2)
            values.append(band[:, 1:].ravel())
        elif label in others:
            place = others.index(label)
            line = {"color": TEAL, "linestyle": _STYLES[place % len(_STYLES)], "linewidth": 1.1, "zorder": 3}
            ax.vlines(compute[-1] * _STEP ** (place + 1), band[-1, 1], band[-1, 2], color=TEAL, linewidth=1.6, zorder=3)
            values.append(band[-1, 1:])
        else:
            place = without.index(label)
            line = {"color": GREY, "linewidth": 0.9, "zorder": 3, "markersize": 3, "markerfacecolor": "white"}
            line |= {"marker": _MARKERS[place % len(_MARKERS)], "markevery": (4 + 3 * place, _POINTS // 5)}
        ax.plot(compute, band[:, 0], **line)
        values.append(band[:, 0])
        ends.append((float(band[-1, 0]), as_label(label) if len(shown) > 1 else "", line["color"]))
    log_axis(ax.xaxis, [compute[0], compute[-1] * _STEP ** (len(others) + 1)], most=5, pad=0.02)
    ax.xaxis.set_major_formatter(FuncFormatter(_power))
    if name != LOSS:
        log_axis(ax.yaxis, _finite(values))
    what = NAMES.get(name, name.replace("_", " "))
    panel_title(ax, f"{what} on the frontier" if name in (LOSS, EXCESS) else f"best {what}")
    ax.set_xlabel("compute $C$, FLOP")
    ax.set_ylabel(as_label(what) if name in (RATIO, EXCESS) else column_label(name))
    return ends


def _span(several: Mapping[str, Optimum]) -> Array:
    """Return budgets from the smallest run to the largest run or budget of any source."""
    limits = [end for optimum in several.values() for end in (*optimum.ranges["compute"], *optimum.budgets)]
    return np.geomspace(min(limits), max(limits), _POINTS)


def _marks(ax: Axes, first: Optimum, name: str, compute: Array, chinchilla: bool) -> tuple[list[Array], list[End]]:
    """Draw the background of the runs, the runs, and Chinchilla 70B; return values and labels to show."""
    lo, hi = first.ranges["compute"]
    ax.axvspan(lo, hi, color=PANEL, linewidth=0, zorder=0)
    shown: list[Array] = []
    ends: list[End] = []
    if name == LOSS:
        ax.scatter(
            first.runs["compute"], first.runs[first.law.response], s=5, color=GREY, alpha=0.4, linewidths=0, zorder=1
        )
    if not chinchilla:
        return shown, ends
    colour, words = (RED, "20, Chinchilla 70B") if name == RATIO else (INK, "Chinchilla 70B")
    if name == RATIO:
        ax.axhline(CHINCHILLA[RATIO], color=RED, linewidth=1.1, zorder=1.5)
    inside = name in CHINCHILLA and compute[0] <= CHINCHILLA["compute"] <= 1.01 * compute[-1]
    if inside:
        ax.plot(
            CHINCHILLA["compute"], CHINCHILLA[name], marker="D", markersize=3.5, color=colour, linestyle="", zorder=5
        )
    if inside or name == RATIO:
        shown.append(np.array([CHINCHILLA[name]]))
        ends.append((CHINCHILLA[name], words, colour))
    return shown, ends


def _finite(values: list[Array]) -> Array:
    every = np.concatenate(values)
    return every[np.isfinite(every)]


def _power(value: float, _: object) -> str:
    return f"$10^{{{round(np.log10(value))}}}$"


def _key(several: Mapping[str, Optimum]) -> str:
    first, *others = several.values()
    parts = [f"band: {percent(first.level)} interval ({first.kind})"] if first.draws is not None else []
    parts += ["bars: those of the others, at the right end"] if any(other.draws is not None for other in others) else []
    return " · ".join([*parts, "tinted: compute of the runs"])
