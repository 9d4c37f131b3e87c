"""Approaches 1 and 2 of Hoffmann et al. (2022): the best size at each budget, straight from the runs."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.law import Law
from scalefit.optimum.cost import Cost
from scalefit.optimum.result import Interval, Optimum
from scalefit.optimum.run import optimum
from scalefit.optimum.sweeps import ENVELOPE, PARABOLA, Approach, IsoFlop, LeftOut, Point
from scalefit.prepare import prepare_rows
from scalefit.results import Fit

__all__ = ["isoflop"]

Array = NDArray[np.float64]

_COLUMNS = Law.parse("loss ~ A/params^alpha + B/tokens^beta + C/flops^gamma")  # only names the columns to read
SIZES = 4  # different sizes that a budget needs: a parabola through three has no error
BUDGETS = 3  # minima that a line with an interval needs
LOOSE = 0.5  # error of the log of a minimum from which on it is left out: known to a factor only
SAME = 1.02  # ratio of two ways to count compute up to which they are one
ROUNDING = 1e-9  # of ln flops


def isoflop(
    data: str | os.PathLike[str] | pd.DataFrame,
    *,
    tolerance: float = 0.0,
    where: str | None = None,
    mapping: Mapping[str, str] | None = None,
    derive: Iterable[str] = (),
    drop_invalid: bool = False,
    level: float = 0.95,
    beside: Fit | None = None,
    cost: str | Cost | None = None,
    label: str = "",
) -> IsoFlop:
    """Find the best size at each budget and the power of compute through them.

    Approach 2 fits a parabola of the loss in ``ln params`` (and in ``ln tokens``) to the runs of each budget; approach
    1 takes the run with the least loss. A line through ``ln size`` against ``ln C`` by ordinary least squares gives the
    exponent, with an interval from Student's t over the budgets: the errors of minima from a few runs are too uncertain
    to weight by.

    Parameters
    ----------
    data : str, path or DataFrame
        As for a fit; with loss, params and flops. Tokens are flops / (6 params) where they are missing.
    tolerance : float
        Difference of ``ln flops`` up to which runs count as one budget; 0 for equal budgets. The fullest windows of
        that width are taken first.
    where, mapping, derive, drop_invalid
        As for a fit.
    level : float
        Probability of the intervals.
    beside : Fit, optional
        A fit of a law in params and tokens, shown as approach 3.
    cost : str or Cost, optional
        For that fit, as for :func:`scalefit.optimum.optimum`.
    label : str
        A name; the table's own when empty.

    Returns
    -------
    IsoFlop
        ``print(isoflop)``; budgets whose minimum lies outside their runs are named and left out.

    Raises
    ------
    DataError
        When the table cannot be used, or no budget has enough sizes.
    """
    if not 0 < level < 1:
        raise DataError(f"level is {level}; it must lie between 0 and 1, such as 0.95")
    if not 0 <= tolerance < math.inf:
        raise DataError(f"tolerance is {tolerance}; it must be 0 (equal budgets) or positive, such as 0.1")
    table = prepare_rows(
        data, _COLUMNS, mapping=mapping, derive=derive, where=where, drop_invalid=drop_invalid
    )  # fmt: skip
    frame = table.frame
    groups = [frame.iloc[places] for places in budgets(np.log(frame["flops"].to_numpy(float)), tolerance)]
    if not any(group["params"].nunique() >= SIZES for group in groups):
        raise DataError(
            f"no budget of {label or table.name} has {SIZES} different sizes; "
            + (f"give a larger tolerance than {tolerance:g}" if tolerance else "give a tolerance (--tolerance)")
            + ", such as 0.1, if budgets are only nearly equal"
        )
    parametric = None if beside is None else optimum(beside, cost=cost, level=level)
    approaches = tuple(
        _approach(name, column, groups, level) for column in ("params", "tokens") for name in (ENVELOPE, PARABOLA)
    )
    dropped = [f"{one.words[0].upper()}{one.words[1:]}." for one in table.dropped]
    return IsoFlop(
        label or table.name, len(frame), table.rows_read, tolerance, level, approaches,
        parametric, (*table.remarks, *dropped, *_mixed(groups), *_other_compute(frame, parametric)),
    )  # fmt: skip


def budgets(log_flops: Array, tolerance: float) -> list[NDArray[np.int64]]:
    """Group runs by budget: the fullest window of the width of the tolerance first, then among the others.

    Parameters
    ----------
    log_flops : array, shape (n,)
        Logs of the compute of the runs.
    tolerance : float
        Width of a window.

    Returns
    -------
    list of array of int
        Places of the rows of each budget, by rising compute.
    """
    left = np.argsort(log_flops, kind="stable")
    groups = []
    while left.size:
        values = log_flops[left]
        counts = np.searchsorted(values, values + tolerance + ROUNDING, side="right") - np.arange(left.size)
        first = int(np.argmax(counts))
        chosen = slice(first, first + int(counts[first]))
        groups.append(left[chosen])
        left = np.delete(left, chosen)
    return sorted(groups, key=lambda places: float(log_flops[places].mean()))


def _approach(name: str, column: str, groups: list[pd.DataFrame], level: float) -> Approach:
    best = {ENVELOPE: _least, PARABOLA: _parabola}[name]
    points, left_out = [], []
    for group in groups:
        found = best(group, column)
        compute = math.exp(float(np.log(group["flops"].to_numpy(float)).mean()))
        if isinstance(found, str):
            left_out.append(LeftOut(compute, len(group), found))
        else:
            points.append(Point(compute, *found, len(group)))
    exponent, start = _line(points, level)
    return Approach(name, column, tuple(points), tuple(left_out), exponent, start)


def _least(group: pd.DataFrame, column: str) -> tuple[float, float, float] | str:
    """Return size, no error, and loss of the best run; why not, where no run encloses it."""
    size, loss = group[column].to_numpy(float), group["loss"].to_numpy(float)
    if group[column].nunique() < SIZES:
        return f"fewer than {SIZES} sizes"
    best = int(np.argmin(loss))
    if size[best] in (size.min(), size.max()):
        return "the best run is the smallest or the largest"
    return float(size[best]), math.nan, float(loss[best])


def _parabola(group: pd.DataFrame, column: str) -> tuple[float, float, float] | str:
    """Return the minimum of a parabola of the loss in the log of the size, with its error by the delta method."""
    log_size, loss = np.log(group[column].to_numpy(float)), group["loss"].to_numpy(float)
    if group[column].nunique() < SIZES:
        return f"fewer than {SIZES} sizes"
    centre = float(log_size.mean())
    x = log_size - centre
    design = np.stack([np.ones_like(x), x, x**2], axis=1)
    (level, slope, bend), *_ = np.linalg.lstsq(design, loss, rcond=None)
    if bend <= 0:
        return "the parabola opens downward"
    place = -slope / (2 * bend)
    if not x.min() < place < x.max():
        return "the minimum lies outside the runs"
    rest = loss - design @ np.array([level, slope, bend])
    covariance = np.linalg.inv(design.T @ design) * (rest @ rest) / (len(x) - 3)
    pull = np.array([0.0, -1 / (2 * bend), slope / (2 * bend**2)])
    error = math.sqrt(max(float(pull @ covariance @ pull), 0.0))
    if error > LOOSE:
        return f"the minimum is known to a factor of {math.exp(LOOSE):.1f} at best"
    return math.exp(centre + place), error, float(level - slope**2 / (4 * bend))


def _line(points: list[Point], level: float) -> tuple[Interval, float]:
    """Fit ``ln size = start + exponent ln C``."""
    if len(points) < BUDGETS:
        return Interval(math.nan, math.nan, math.nan), math.nan
    from statsmodels.regression.linear_model import OLS

    log_c = np.log([point.compute for point in points])
    found = OLS(np.log([point.size for point in points]), np.stack([np.ones_like(log_c), log_c], axis=1)).fit()
    lo, hi = found.conf_int(1 - level)[1]
    return Interval(float(found.params[1]), float(lo), float(hi)), float(found.params[0])


def _mixed(groups: list[pd.DataFrame]) -> tuple[str, ...]:
    """Notice runs of one size at one budget, which may differ in corpus or recipe."""
    repeats = sum(int(group.duplicated(subset=["params"]).sum()) for group in groups)
    if not repeats:
        return ()
    return (
        f"{repeats} runs repeat the size of another at their budget; if corpora or recipes are mixed, choose one with "
        "a condition (where).",
    )


def _other_compute(frame: pd.DataFrame, parametric: Optimum | None) -> tuple[str, ...]:
    """Notice that the table counts compute in another way than the cost of approach 3."""
    if parametric is None or not set(parametric.cost.columns) <= {"params", "tokens"}:
        return ()
    ratio = frame["flops"].to_numpy(float) / parametric.cost.of(frame)
    if ratio.max() < SAME * ratio.min():
        return ()
    return (
        f"the flops of the table are {ratio.min():.2f} to {ratio.max():.2f} times {parametric.cost}, by which approach "
        "3 counts compute: their exponents are not quite of the same thing.",
    )
