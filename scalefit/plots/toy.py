"""Pictures of a toy sweep: losses and exponents against theory, overlaps, convergence.

Strong superposition is blue, weak superposition teal, what is between them grey; red is theory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from scalefit.data.where import parse_where
from scalefit.errors import DataError, closest
from scalefit.numbers import exact, fixed
from scalefit.overlap import welch_bound
from scalefit.plots.style import (
    FULL_WIDTH,
    INK,
    RED,
    house_style,
    log_axis,
    mixed,
    new_axes,
    new_panels,
)
from scalefit.plots.toy_curves import (
    COLOURS,
    WidthCurve,
    label_and_key,
    label_ends,
    longest,
    names_of,
    ranked,
    setting_panels,
    shades,
    width_curves,
)
from scalefit.plots.toy_glance import glance
from scalefit.plots.toy_map import exponent_map, represented
from scalefit.plots.toy_measures import alive, norms, skewness
from scalefit.toy.config import ToyConfig
from scalefit.toy.predict import THEORIES, local_exponents, setting_config, theory_of
from scalefit.toy.records import checkpoint_losses, norm_histograms, read_sweep
from scalefit.toy.theory import log_slope

__all__ = [
    "KINDS", "convergence", "draw_sweep", "exponent_map", "local_slopes", "losses", "overlaps", "represented",
    "training",
]  # fmt: skip

Array = NDArray[np.float64]

_DASHED: Final = (0, (4, 2.5))
_DOTTED: Final = (0, (1, 1.5))
_STYLES: Final = {"random": _DOTTED, "arranged": "-"}
_RANDOM_OVERLAPS: Final = "random directions: $1/m$"
_DRAWN: Final = {"$1/m$": "dashed", _RANDOM_OVERLAPS: "dashed", THEORIES["random"]: "dotted"}  # others are solid
_MOST_THEORIES: Final = 4  # sets of features for which theory is drawn
_MOST_TICKS: Final = 6
_TITLES: Final = {"strong": "Strong superposition", "weak": "Weak superposition", "between": "Between the regimes"}


def draw_sweep(
    folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], kind: str = "losses", *, where: str | None = None
) -> Any:
    """Draw a sweep, or several in one picture.

    Parameters
    ----------
    folder : path or sequence of path
        As given to :func:`scalefit.toy_sweep`, or names of data sets of toy models.
    kind : str
        One of :data:`KINDS`.
    where : str, optional
        A condition on the models, such as ``"alpha == 1"``.

    Returns
    -------
    Axes or tuple of Axes
        What the function of the kind returns.

    Raises
    ------
    DataError
        For an unknown kind, and where the sweep has not what the picture needs.
    """
    if kind not in KINDS:
        raise DataError(f"there is no plot {kind!r} of a sweep; {closest(kind, KINDS)}")
    folders = [folder] if isinstance(folder, str | os.PathLike) else list(folder)
    if not folders:
        raise DataError("there is no sweep to draw; give the folder of one, or the name of a data set")
    if twice := next((path for path in folders if folders.count(path) > 1), None):
        raise DataError(f"{os.fspath(twice)} is given twice, and each of its models would count twice; give it once")
    table = _together(map(read_sweep, folders))
    if where is not None:
        table = table[parse_where(where).mask(table)]
    if kind in _POINTS:
        read, draw = _POINTS[kind]
        points = _together(map(read, folders))
        return draw(points[points["cell"].isin(table["cell"])])
    return KINDS[kind](table)


def _together(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put tables under each other; a column that one of them lacks is empty there."""
    first, *others = tables
    if not others:
        return first
    return pd.concat([table.dropna(axis="columns", how="all") for table in (first, *others)], ignore_index=True)


def _panels(curves: Sequence[WidthCurve], height: float = 66.0) -> dict[str, Axes]:
    """Return a panel for each regime that occurs, strong superposition left."""
    present = [name for name in _TITLES if any(curve.regime == name for curve in curves)]
    width, key = (FULL_WIDTH, 12.0) if len(present) > 1 else (100.0, 6.0)  # a narrow panel has a key of more lines
    panels = new_panels(1, len(present), height=height + key, width=width, sharey=True)
    for name, ax in zip(present, panels, strict=True):
        ax.set_title(_TITLES[name])
    return dict(zip(present, panels, strict=True))


def _coloured(
    curves: Sequence[WidthCurve], name: str, end: Callable[[WidthCurve], float]
) -> list[tuple[WidthCurve, Any, str]]:
    """Return the curves of a regime with their shades and labels, from the one that ends highest."""
    own = [curve for curve in curves if curve.regime == name]
    named = list(zip(own, names_of(own), strict=True))
    return [
        (curve, shade, words) for (curve, words), shade in ranked(named, [end(curve) for curve in own], COLOURS[name])
    ]


def _last_loss(curve: WidthCurve) -> float:
    return float(curve.loss[-1])


def _last_slope(curve: WidthCurve) -> float:
    return float(local_exponents(curve.m, curve.loss)[-1])


def _bars(curves: Sequence[WidthCurve], over_seeds: str) -> str:
    """Say what the bars are."""
    single = [curve.seeds == 1 for curve in curves]
    if not any(single):
        return f"bars: {over_seeds} over seeds"
    return "bars: error of the measured loss, one seed" if all(single) else f"bars: {over_seeds} where there are seeds"


@house_style()
def losses(table: pd.DataFrame, *, height: float = 66.0) -> tuple[Axes, ...]:
    """Draw loss against width at the longest training, with theory: a panel for each regime.

    Under strong superposition the red lines are 1/m through the curve that is nearest to it, and what random directions
    and the best arrangement give, which have no free factor (the Welch bound through the curve where a table does not
    give the frequencies); under weak superposition the exact loss with the m most frequent features recovered.

    Parameters
    ----------
    table : DataFrame
        As from :func:`scalefit.toy.read_sweep`.
    height : float
        Height, mm.

    Returns
    -------
    tuple of Axes
        One per regime that occurs.
    """
    curves = longest(width_curves(table))
    panels, ends, keys = _panels(curves, height), [], []
    shown = np.concatenate([curve.loss for curve in curves])
    for name, ax in panels.items():
        own = _coloured(curves, name, _last_loss)
        for curve, colour, _ in own:
            span = curve.loss * np.exp([-curve.error, curve.error])
            ax.errorbar(
                curve.m, curve.loss, np.abs(span - curve.loss), color=colour, marker="o", markersize=3.5, linewidth=1.1,
                elinewidth=0.9, zorder=3,
            )  # fmt: skip
            if name != "strong":
                shown = np.concatenate([shown, curve.mean("weak_reference")])
                words = "exact sum beyond $m$" if curve is own[0][0] else None
                ax.plot(curve.m, curve.mean("weak_reference"), color=RED, linewidth=1.0, label=words, zorder=2)
        if name == "strong":
            shown = np.concatenate([shown, *_strong_lines(ax, [curve for curve, _, _ in own])])
        log_axis(ax.xaxis, np.concatenate([curve.m for curve, _, _ in own]))
        ends.append((ax, [(_last_loss(curve), words, colour) for curve, colour, words in own]))
        keys.append(f"{_lines_of(ax)}; {_bars(curves, 'standard deviation')}")
    for ax in panels.values():
        log_axis(ax.yaxis, shown)
    next(iter(panels.values())).set_ylabel("loss, summed over features")
    label_and_key(ends, "width $m$", keys)
    return tuple(panels.values())


def _lines_of(ax: Axes) -> str:
    """Say what the red lines are, by their labels; those of matplotlib's begin with an underscore."""
    every = [str(line.get_label()) for line in ax.lines if line.get_color() == RED]
    labels = [label for label in every if not label.startswith("_")]
    drawn = [f"{_DRAWN.get(label, 'solid')} {label}" for label in labels]
    return f"red: {', '.join(drawn if len(labels) > 1 else labels)}"


def _strong_lines(ax: Axes, curves: Sequence[WidthCurve]) -> list[Array]:
    """Draw 1/m through the mean of a curve, and theory; returns the losses of theory."""
    curve = min(curves, key=lambda curve: abs(log_slope(curve.m, curve.loss) - 1))
    factor = np.exp(np.mean(np.log(curve.loss * curve.m)))
    ax.plot(curve.m, factor / curve.m, color=RED, linewidth=1.0, linestyle=_DASHED, label="$1/m$", zorder=2)
    theories = _theories(curves, curve)
    for place, (m, theory) in enumerate(theories):
        for name, style in _STYLES.items():
            words = None if place else THEORIES[name]
            ax.plot(m, theory[name], color=RED, linewidth=1.0, linestyle=style, label=words, zorder=2)
    if not theories:
        n = int(curve.setting["n_features"])
        bound = np.array([welch_bound(n, int(m)) for m in curve.m])
        factor = np.exp(np.mean(np.log(curve.loss / bound)))
        ax.plot(curve.m, factor * bound, color=RED, linewidth=1.0, label=f"Welch bound, $n$ = {n}", zorder=2)
    losses_of_theory = [theory[name] for _, theory in theories for name in _STYLES]
    return [loss[np.isfinite(loss)] for loss in losses_of_theory]


def _theories(curves: Sequence[WidthCurve], first: WidthCurve) -> list[tuple[Array, dict[str, Array]]]:
    """Return theory for each set of features that occurs; for that of one curve where there are too many."""
    widest: dict[ToyConfig, WidthCurve] = {}
    for curve in curves:
        config = setting_config(curve.setting, int(curve.m[0]))
        if config is not None and (config not in widest or len(widest[config].m) < len(curve.m)):
            widest[config] = curve
    if len(widest) > _MOST_THEORIES:
        widest = {config: curve for config, curve in widest.items() if curve is first}
    return [(curve.m, theory_of(config, curve.m.astype(int).tolist()).__dict__) for config, curve in widest.items()]


@house_style()
def local_slopes(table: pd.DataFrame) -> tuple[Axes, ...]:
    """Draw the exponent between neighbouring widths at the longest training: a panel for each regime.

    Parameters
    ----------
    table : DataFrame
        As from :func:`scalefit.toy.read_sweep`.

    Returns
    -------
    tuple of Axes
        One per regime that occurs.
    """
    curves = longest(width_curves(table))
    panels, ends, keys = _panels(curves, height=60.0), [], []
    for name, ax in panels.items():
        own = _coloured(curves, name, _last_slope)
        for curve, colour, _ in own:
            error = curve.error / np.sqrt(curve.seeds)
            slope_error = np.hypot(error[1:], error[:-1]) / np.diff(np.log(curve.m))
            ax.errorbar(
                _between(curve.m), local_exponents(curve.m, curve.loss), slope_error, color=colour, marker="o",
                markersize=3.5, linewidth=1.1, elinewidth=0.9, zorder=3,
            )  # fmt: skip
            if name != "strong":
                exact_sum = local_exponents(curve.m, curve.mean("weak_reference"))
                words = "exact sum beyond $m$" if curve is own[0][0] else None
                ax.plot(_between(curve.m), exact_sum, color=RED, linewidth=1.0, label=words, zorder=2)
        theories = _theories([curve for curve, _, _ in own], own[0][0]) if name == "strong" else []
        for place, (m, theory) in enumerate(theories):
            for kind, style in _STYLES.items():
                slopes, words = local_exponents(m, theory[kind]), None if place else THEORIES[kind]
                ax.plot(_between(m), slopes, color=RED, linewidth=1.0, linestyle=style, label=words, zorder=2)
        ax.axhline(1, color=RED, linewidth=1.0, linestyle=_DASHED, label="$1/m$", zorder=1.5)
        log_axis(ax.xaxis, np.concatenate([curve.m for curve, _, _ in own]))
        ends.append((ax, [(_last_slope(curve), words, shade) for curve, shade, words in own]))
        keys.append(f"{_lines_of(ax)}; {_bars(curves, 'standard error')}")
    next(iter(panels.values())).set_ylabel("local exponent")
    label_and_key(ends, "width $m$", keys)
    return tuple(panels.values())


def _between(m: Array) -> Array:
    return np.asarray(np.sqrt(m[1:] * m[:-1]))


@house_style()
def overlaps(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the mean square overlap of different rows against 1/m, with random directions and the Welch bound.

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
    curves = longest(width_curves(table))
    ax = new_axes(ax, width=100.0, height=70.0)
    ends = []
    names = dict(zip(map(id, curves), names_of(curves), strict=True))
    for regime in COLOURS:
        for curve, colour, _ in _coloured(curves, regime, lambda curve: float(curve.mean("overlap_ms")[0])):
            overlap = curve.mean("overlap_ms")
            ax.plot(1 / curve.m, overlap, color=colour, marker="o", markersize=3.5, linewidth=1.1, zorder=3)
            ends.append((float(overlap[0]), names[id(curve)], colour))
    m = np.unique(np.concatenate([curve.m for curve in curves]))
    ax.plot(1 / m, 1 / m, color=RED, linewidth=1.0, linestyle=_DASHED, label=_RANDOM_OVERLAPS, zorder=2)
    for n in sorted({int(curve.setting["n_features"]) for curve in curves}):
        inside = m[m < n]
        bound = [welch_bound(n, int(width)) for width in inside]
        ax.plot(1 / inside, bound, color=RED, linewidth=1.0, label=f"Welch bound, $n$ = {n}", zorder=2)
    shown = [overlap for curve in curves for overlap in curve.mean("overlap_ms")]
    log_axis(ax.xaxis, 1 / m)
    log_axis(ax.yaxis, np.concatenate([shown, 1 / m]))
    ax.set_ylabel("mean square overlap of different rows")
    label_and_key([(ax, ends)], "$1/m$", [_lines_of(ax)])
    return ax


@house_style()
def convergence(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the exponent over all widths against the length of training.

    Parameters
    ----------
    table : DataFrame
        As from :func:`scalefit.toy.read_sweep`, with several lengths of training.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    DataError
        When every setting has one length of training, or fewer than three widths.
    """
    curves = width_curves(table, fewest=3)
    lengths: dict[str, list[WidthCurve]] = {}
    for curve in curves:
        lengths.setdefault(str(curve.setting), []).append(curve)
    several = [same for same in lengths.values() if len(same) > 1]
    if not several:
        raise DataError("every setting has one length of training; train at several steps to see whether it converged")
    ax = new_axes(ax, width=110.0, height=66.0)
    last = [same[-1] for same in several]
    names = dict(zip(map(id, last), names_of([curve._replace(steps=0) for curve in last]), strict=True))
    ends = []
    for regime in COLOURS:
        own = [same for same in several if same[-1].regime == regime]
        for same, colour in ranked(own, [_exponent(same[-1])[0] for same in own], COLOURS[regime]):
            exponents = [_exponent(curve) for curve in same]
            ax.errorbar(
                [curve.steps for curve in same], [value for value, _ in exponents], [error for _, error in exponents],
                color=colour, marker="o", markersize=3.5, linewidth=1.1, elinewidth=0.9, zorder=3,
            )  # fmt: skip
            ends.append((exponents[-1][0], names[id(same[-1])], colour))
    ax.axhline(1, color=RED, linewidth=1.0, linestyle=_DASHED, label="$1/m$", zorder=1.5)
    steps = sorted({curve.steps for curve in curves})
    log_axis(ax.xaxis, steps)
    if len(steps) <= _MOST_TICKS:
        ax.set_xticks(steps, [exact(step) for step in steps])
    ax.set_ylabel("exponent over all widths")
    key = f"{_lines_of(ax)}; bars: standard error, from the scatter about the power law"
    label_and_key([(ax, ends)], "steps of training", [key])
    return ax


def _exponent(curve: WidthCurve) -> tuple[float, float]:
    line = stats.linregress(np.log(curve.rows["width"].astype(float)), np.log(curve.rows["loss"].astype(float)))
    return -float(line.slope), float(line.stderr)


@house_style()
def training(points: pd.DataFrame) -> tuple[Axes, ...]:
    """Draw the loss while the models are trained, a panel for each setting and a line for each width.

    The last part of every line is flat because the learning rate falls to 5%; that says nothing about convergence.

    Parameters
    ----------
    points : DataFrame
        As from :func:`scalefit.toy.records.checkpoint_losses`.

    Returns
    -------
    tuple of Axes
        One per setting, at its longest training; means over seeds.

    Raises
    ------
    DataError
        With more settings than a page can show.
    """
    ends = points[points["step"] == points["steps"]]
    curves = longest(width_curves(ends, fewest=1))
    panels, columns = setting_panels(curves, height=52)
    for curve, name, ax in zip(curves, names_of(curves), panels, strict=False):
        own = points[points["cell"].isin(curve.rows["cell"])]
        labels = []
        for m, colour in zip(curve.m, shades(COLOURS[curve.regime], len(curve.m)), strict=True):
            line = own[own["width"] == m].groupby("step")["loss"].mean()
            ax.plot(line.index, line, color=colour, marker="o", markersize=2.2, linewidth=1.0, clip_on=False)
            labels.append((float(line.iloc[-1]), mixed(f"$m$ = {exact(m)}"), colour))
        log_axis(ax.yaxis, own["loss"].to_numpy(float))
        ax.set_xlim(0, curve.steps)
        ax.xaxis.set_major_formatter(lambda value, _: fixed(value, 0))
        ax.set_title(f"{_TITLES[curve.regime]}{': ' if name else ''}{name}", color=INK)
        ax.set_xlabel("step")
        label_ends(ax, labels)
    for ax in panels[::columns]:
        ax.set_ylabel("loss, summed over features")
    return tuple(panels[: len(curves)])


_POINTS: Final = MappingProxyType({"norms": (norm_histograms, norms), "training": (checkpoint_losses, training)})
"""Kinds that need more than the table, which lies in the folder of a sweep."""

KINDS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "alive": alive,
        "convergence": convergence,
        "glance": glance,
        "losses": losses,
        "norms": norms,
        "map": exponent_map,
        "overlaps": overlaps,
        "represented": represented,
        "skewness": skewness,
        "slopes": local_slopes,
        "training": training,
    }
)
