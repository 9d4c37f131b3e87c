"""One setting of the toy model at one length of training: losses by width, and how straight they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from scalefit.errors import DataError
from scalefit.leastsq import fit as least_squares
from scalefit.overlap import welch_bound
from scalefit.results import Fit
from scalefit.toy.frequency import law_weights, probabilities
from scalefit.toy.records import SETTING
from scalefit.toy.theory import weak_loss

__all__ = ["LAW", "Curve", "LocalSlope", "Series", "curves", "measure_series", "settings_of"]

Array = NDArray[np.float64]

LAW = "loss ~ A/width^a"
NEEDED = ("width", "n_features", "gamma", "steps", "seed", "loss", "loss_se", "phi_half")
FEWEST_WIDTHS = 3


class LocalSlope(NamedTuple):
    """Exponent between two neighbouring widths.

    Parameters
    ----------
    low, high : int
        The widths.
    slope : float
        Minus the slope of log loss in log width, of means over seeds.
    se : float
        From the scatter between seeds; NaN with one seed, whose scatter is not known.
    """

    low: int
    high: int
    slope: float
    se: float


class Curve(NamedTuple):
    """One way the loss may fall with the width, fitted to the means over seeds.

    Parameters
    ----------
    name : str
        In words.
    parameters : int
        How many are fitted.
    rms : float
        Root mean square of the residuals of log loss.
    left_out : float
        The same for each width predicted from the others.
    """

    name: str
    parameters: int
    rms: float
    left_out: float


class Series(NamedTuple):
    """A setting at one length of training.

    Parameters
    ----------
    steps : int
        Length of training.
    widths : tuple of int
        The widths, ascending.
    seeds : int
        Seeds of the width that has fewest.
    fit : Fit
        :data:`LAW` fitted to all models by least squares of the log loss, HC3 errors.
    by_seed : tuple of float
        Exponent of each seed that has every width.
    local : tuple of LocalSlope
        Exponents between neighbouring widths.
    bend : float
        Second difference: how much the exponent rises per factor e of the width.
    bend_p : float
        Probability of a bend this large when the law is straight.
    lack_p : float
        Probability of this misfit when the law holds, against the scatter between seeds; NaN with one seed.
    rows : DataFrame
        The models.
    """

    steps: int
    widths: tuple[int, ...]
    seeds: int
    fit: Fit
    by_seed: tuple[float, ...]
    local: tuple[LocalSlope, ...]
    bend: float
    bend_p: float
    lack_p: float
    rows: pd.DataFrame

    @property
    def se(self) -> float:
        """Standard error of the exponent: HC3, or that of the mean of the seeds' own exponents where it is larger."""
        between = float(np.std(self.by_seed, ddof=1)) / math.sqrt(len(self.by_seed)) if len(self.by_seed) > 1 else 0.0
        return max(self.fit["a"].se, between)


def settings_of(table: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Part a sweep into settings.

    Parameters
    ----------
    table : DataFrame
        From :func:`scalefit.toy.sweep.read_sweep`.

    Returns
    -------
    list of (dict, DataFrame)
        What distinguishes the setting, and its finished models.

    Raises
    ------
    DataError
        When columns are missing, or no setting has three widths.
    """
    if missing := [name for name in NEEDED if name not in table]:
        raise DataError(f"the table lacks {', '.join(missing)}; give a toy sweep's folder or its table")
    done = table[np.isfinite(table["loss"].astype(float)) & (table["loss"].astype(float) > 0)]
    known = [name for name in SETTING if name in table]
    settings = []
    for _, rows in done.groupby(known, dropna=False, sort=True):
        if rows["width"].nunique() >= FEWEST_WIDTHS:
            setting = {name: rows[name].iloc[0] for name in known}
            settings.append(({k: v for k, v in setting.items() if not _missing(v)}, rows))
    if not settings:
        raise DataError(
            f"no setting of the sweep has {FEWEST_WIDTHS} widths that finished, which an exponent needs; "
            "add widths to the grid and train them with --resume"
        )
    return settings


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def measure_series(rows: pd.DataFrame, steps: int) -> Series | None:
    """Fit one length of training of a setting; None with fewer than three widths.

    Parameters
    ----------
    rows : DataFrame
        The setting's models.
    steps : int
        The length.

    Returns
    -------
    Series or None
        Fit, local slopes, tests of straightness.
    """
    own = rows[rows["steps"] == steps].sort_values(["width", "seed"])
    widths = tuple(int(w) for w in np.unique(own["width"]))
    if len(widths) < FEWEST_WIDTHS:
        return None
    result = least_squares(
        own[["loss", "width", "seed"]], LAW, uncertainty="hc3", exponents="free", throw=False, label=f"{steps} steps"
    )
    u, y = np.log(own["width"].to_numpy(float)), np.log(own["loss"].to_numpy(float))
    bend, bend_p = _bend(u, y)
    return Series(
        steps, widths, int(own.groupby("width").size().min()), result, _by_seed(own, widths), _local(own, widths),
        bend, bend_p, _lack_of_fit(u, y), own,
    )  # fmt: skip


def _by_seed(own: pd.DataFrame, widths: tuple[int, ...]) -> tuple[float, ...]:
    slopes = []
    for _, rows in own.groupby("seed"):
        if rows["width"].nunique() == len(widths):
            slopes.append(-float(np.polyfit(np.log(rows["width"]), np.log(rows["loss"]), 1)[0]))
    return tuple(slopes)


def _local(own: pd.DataFrame, widths: tuple[int, ...]) -> tuple[LocalSlope, ...]:
    logs = np.log(own["loss"]).groupby(own["width"])
    mean, variance = logs.mean(), (logs.var() / logs.size()).to_dict()
    slopes = []
    for low, high in pairwise(widths):
        span = math.log(high / low)
        se = math.sqrt(variance[low] + variance[high]) / span
        slopes.append(LocalSlope(low, high, float(mean[low] - mean[high]) / span, se))
    return tuple(slopes)


def _bend(u: Array, y: Array) -> tuple[float, float]:
    """Exponent's rise per unit of log width from a quadratic, and its two-sided p-value."""
    if len(u) < 5:
        return math.nan, math.nan
    x = np.stack([np.ones_like(u), u - u.mean(), (u - u.mean()) ** 2], axis=1)
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    df = len(u) - 3
    scatter = float(np.sum((y - x @ beta) ** 2)) / df
    error = math.sqrt(scatter * float(np.linalg.inv(x.T @ x)[2, 2]))
    return -2 * float(beta[2]), float(2 * stats.t.sf(abs(beta[2]) / error, df)) if error > 0 else 0.0


def _lack_of_fit(u: Array, y: Array) -> float:
    """Test the straight line against the scatter of repeated widths (F test of lack of fit)."""
    known, place = np.unique(u, return_inverse=True)
    means = np.bincount(place, y) / np.bincount(place)
    pure, df_pure = float(np.sum((y - means[place]) ** 2)), len(y) - len(known)
    if df_pure == 0 or pure == 0:
        return math.nan
    line = np.polyval(np.polyfit(u, y, 1), u)
    lack, df = float(np.sum((means[place] - line) ** 2)), len(known) - 2
    return float(stats.f.sf((lack / df) / (pure / df_pure), df, df_pure))


def curves(series: Series, setting: dict[str, Any]) -> tuple[Curve, ...]:
    """Compare a power law with 1/m and with what theory gives at finite n.

    Parameters
    ----------
    series : Series
        The losses.
    setting : dict
        ``n_features`` and the law of frequencies.

    Returns
    -------
    tuple of Curve
        The one that predicts a left-out width best first.
    """
    m = np.array(series.widths, dtype=float)
    y = np.log(series.rows["loss"]).groupby(series.rows["width"]).mean().to_numpy(float)
    n = int(setting["n_features"])
    shapes: dict[str, tuple[int, Callable[[Array], Array] | Array]] = {
        "A/m^a": (2, np.log),
        "A/m": (1, -np.log(m)),
        "A (n - m)/(m (n - 1)), Welch": (1, np.log([welch_bound(n, int(w)) for w in m])),
    }
    if "frequency" in setting and setting["frequency"] != "given":
        weights = law_weights(setting["frequency"], n, alpha=setting.get("alpha"), scale=setting.get("scale"))
        p = probabilities(weights, float(setting.get("density", 1.0)))
        shapes["sum of 4/3 p over features beyond m, weak"] = (0, np.log([weak_loss(p, int(w)) for w in m]))
    fitted = [_curve(name, count, shape, m, y) for name, (count, shape) in shapes.items()]
    return tuple(sorted(fitted, key=lambda curve: curve.left_out))


def _curve(name: str, count: int, shape: Callable[[Array], Array] | Array, m: Array, y: Array) -> Curve:
    """Fit a shape with 0, 1 (a factor) or 2 (factor and exponent) parameters, in all and without each width."""

    def predict(kept: NDArray[np.bool_]) -> Array:
        if callable(shape):
            u = shape(m)
            return np.asarray(np.polyval(np.polyfit(u[kept], y[kept], 1), u))
        return shape + (np.mean(y[kept] - shape[kept]) if count else 0.0)

    everyone = np.ones(len(m), dtype=bool)
    inside = y - predict(everyone)
    outside = [y[i] - predict(everyone & (np.arange(len(m)) != i))[i] for i in range(len(m))]
    return Curve(name, count, float(np.sqrt(np.mean(inside**2))), float(np.sqrt(np.mean(np.square(outside)))))
