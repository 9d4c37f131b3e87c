"""The toy model at a glance: loss against width for several starts with theory, and below it the local exponents."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scalefit.errors import DataError
from scalefit.numbers import exact
from scalefit.plots.style import BLUE, GOLD, GREY, INK, RED, TEAL, house_style, log_axis, new_panels, write_key
from scalefit.plots.toy_curves import PUBLISHED, label_ends, longest, width_curves
from scalefit.toy.predict import local_exponents, setting_config, theory_of

__all__ = ["glance"]

_CURVES: Final = {
    ("normal", "free"): ("published start, $b$ ~ N(0, 1)", GOLD),
    ("zero", "free"): ("start $b$ = 0", BLUE),
    ("zero", "unit"): ("$b$ = 0, unit rows", TEAL),
    ("zero", "held"): ("random rows, only $b$ trained", GREY),
}
_THEORY: Final = {"random": ("random directions", (0, (1, 1.5))), "arranged": ("best arrangement", "-")}
_SHARED: Final = ("n_features", "frequency", "alpha", "scale", "density")
_FINE: Final = 24  # widths at which theory is drawn


@house_style()
def glance(table: pd.DataFrame) -> tuple[Axes, Axes]:
    """Draw one set of features at a glance: starts and constraints, random directions, the best arrangement and 1/m.

    Parameters
    ----------
    table : DataFrame
        Models of one set of features and one batch, as from :func:`scalefit.toy.read_sweep`: the longest training of
        each start and norm is drawn.

    Returns
    -------
    tuple of Axes
        Losses, local exponents.

    Raises
    ------
    DataError
        When the table has several batches, several sets of features, or one that it does not list.
    """
    curves = sorted(longest(width_curves(table)), key=lambda curve: curve.steps)
    settings = [{**PUBLISHED, **curve.setting} for curve in curves]
    keys = [(str(setting["bias_start"]), str(setting["norm"])) for setting in settings]
    chosen = {key: curve for key, curve in zip(keys, curves, strict=True) if key in _CURVES}
    batches = sorted({int(curve.setting["batch"]) for key, curve in zip(keys, curves, strict=True) if key in _CURVES})
    if len(batches) > 1:
        listed = " and ".join(map(exact, batches))
        raise DataError(f"batches of {listed} in one table; choose one by where, as batch == {batches[0]}")
    features = {str([curve.setting.get(name) for name in _SHARED]) for curve in chosen.values()}
    if len(features) != 1:
        raise DataError(f"{len(features)} sets of features; choose one by where, as alpha == 1 and n_features == 1000")
    first = next(iter(chosen.values()))
    config = setting_config(first.setting, int(first.m[0]))
    if config is None:
        raise DataError("the table does not list the frequencies, so that theory cannot be calculated")
    upper, lower = new_panels(2, 1, height=118.0, width=120.0, sharex=True, height_ratios=(1.5, 1))
    least, most = min(curve.m[0] for curve in chosen.values()), max(curve.m[-1] for curve in chosen.values())
    ends, slopes_ends, shown = [], [], []
    fine = np.unique(np.round(np.geomspace(least, most, _FINE)).astype(int))
    theory = theory_of(config, fine.tolist())
    for name, (words, style) in _THEORY.items():
        loss = getattr(theory, name)
        known = np.isfinite(loss)
        upper.plot(fine[known], loss[known], color=RED, linewidth=1.1, linestyle=style, label=words, zorder=2)
        # differences over three widths: theory is searched on a grid, whose steps would show in smaller ones
        between = np.sqrt(fine[known][3:] * fine[known][:-3])
        slope = -np.log(loss[known][3:] / loss[known][:-3]) / np.log(fine[known][3:] / fine[known][:-3])
        lower.plot(between, slope, color=RED, linewidth=1.1, linestyle=style, zorder=2)
        shown.append(loss[known])
    factor = np.exp(np.mean(np.log(theory.random * fine)))
    upper.plot(fine, factor / fine, color=INK, linewidth=0.9, linestyle=(0, (4, 2.5)), label="$1/m$", zorder=1)
    lower.axhline(1, color=INK, linewidth=0.9, linestyle=(0, (4, 2.5)), zorder=1)
    for key, (words, colour) in _CURVES.items():
        if key in chosen:
            curve = chosen[key]
            span = curve.loss * np.exp([-curve.error, curve.error])
            upper.errorbar(
                curve.m, curve.loss, np.abs(span - curve.loss), color=colour, marker="o", markersize=3.5, linewidth=1.2,
                elinewidth=0.9, zorder=3,
            )  # fmt: skip
            slope = local_exponents(curve.m, curve.loss)
            lower.plot(np.sqrt(curve.m[1:] * curve.m[:-1]), slope, color=colour, marker="o", markersize=3.5, zorder=3)
            ends.append((float(curve.loss[-1]), words, colour))
            slopes_ends.append((float(slope[-1]), "", colour))
            shown.append(curve.loss)
    log_axis(upper.yaxis, np.concatenate(shown))
    log_axis(lower.xaxis, np.array([least, most]))
    upper.legend(loc="lower left", handlelength=2.4)
    upper.set_ylabel("loss, summed over features")
    lower.set_ylabel("local exponent")
    write_key(lower, "width $m$", "bars: standard deviation over seeds")
    label_ends(upper, ends)
    return upper, lower
