"""Notice that a label column of an isoFLOP table separates runs which one parabola must not join."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.thresholds import MIXED_BUDGETS, MIXED_CHANCE, MIXED_RANGE, MIXED_SCATTER

__all__ = ["MixedLevels", "mixture"]

Array = NDArray[np.float64]


class MixedLevels(NamedTuple):
    """A label column whose levels repeat the budgets with different losses.

    Parameters
    ----------
    column : str
        Its name.
    levels : int
        How many levels share budgets.
    budgets : int
        Budgets that hold runs of several levels.
    merged, within : float
        Scatter of the loss about one parabola per budget, and when levels are allowed for.
    """

    column: str
    levels: int
    budgets: int
    merged: float
    within: float


def mixture(groups: Sequence[pd.DataFrame], quantities: Collection[str], sizes: int) -> MixedLevels | None:
    """Find the column that parts the runs of equal budgets best, if the losses of its levels truly differ.

    Each column is tried in two ways, by an F-test against one parabola of the loss in ``ln params`` per budget: one
    constant per level on top, and one parabola per budget and level.

    Parameters
    ----------
    groups : sequence of DataFrame
        The runs of each budget; one at least.
    quantities : collection of str
        Columns that are not labels.
    sizes : int
        Different sizes that a level must hold at a budget to count.

    Returns
    -------
    MixedLevels or None
        The column that leaves the least scatter; the first one among equals.
    """
    table = pd.concat(groups)
    candidates = [
        column
        for column in table.columns
        if column not in quantities and (table.groupby(column, sort=False)["params"].nunique() >= sizes).sum() > 1
    ]
    apart = [levels for column in candidates if (levels := _apart(groups, column, sizes, len(candidates))) is not None]
    return min(apart, key=lambda levels: levels.within, default=None)


def _apart(groups: Sequence[pd.DataFrame], column: Any, sizes: int, tried: int) -> MixedLevels | None:
    """Compare the scatter with and without the levels of one column."""
    shared = [levels for group in groups if len(levels := _levels(group, column, sizes)) > 1]
    if len(shared) < MIXED_BUDGETS:
        return None
    budgets = [pd.concat(levels.values()) for levels in shared]
    names = sorted({name for levels in shared for name in levels})
    alone = _Scatter.of([_design(budget) for budget in budgets], [budget["loss"].to_numpy(float) for budget in budgets])
    runs = [(level, budget) for budget, levels in enumerate(shared) for level in levels.values()]
    apart = _Scatter.of([_design(level) for level, _ in runs], [level["loss"].to_numpy(float) for level, _ in runs])
    labels = [np.repeat(list(levels), [len(level) for level in levels.values()]) for levels in shared]
    shifted = _shifted(budgets, labels, names)
    better = [scatter for scatter in (shifted, apart) if _differ(alone, scatter, MIXED_CHANCE / tried)]
    if not better:
        return None
    best = min(better, key=lambda scatter: scatter.sigma)
    return MixedLevels(str(column), len(names), len(shared), alone.sigma, best.sigma)


def _levels(group: pd.DataFrame, column: Any, sizes: int) -> dict[str, pd.DataFrame]:
    """Part the runs of a budget by label, as far as a level has sizes over a good part of the range."""
    span = np.ptp(np.log(group["params"].to_numpy(float)))
    return {
        str(label): level
        for label, level in group.groupby(group[column].astype(str), sort=True)
        if level["params"].nunique() >= sizes and np.ptp(np.log(level["params"].to_numpy(float))) >= MIXED_RANGE * span
    }


class _Scatter(NamedTuple):
    """A sum of squared residuals and its degrees of freedom."""

    squares: float
    freedom: int

    @classmethod
    def of(cls, designs: Sequence[Array], losses: Sequence[Array]) -> _Scatter:
        """Add up the residuals of separate least-squares fits."""
        squares, freedom = 0.0, 0
        for design, loss in zip(designs, losses, strict=True):
            solution, _, rank, _ = np.linalg.lstsq(design, loss, rcond=None)
            squares += float(np.sum((loss - design @ solution) ** 2))
            freedom += len(loss) - int(rank)
        return cls(squares, freedom)

    @property
    def sigma(self) -> float:
        return float(np.sqrt(self.squares / self.freedom)) if self.freedom > 0 else np.inf


def _design(runs: pd.DataFrame) -> Array:
    x = np.log(runs["params"].to_numpy(float))
    x = x - x.mean()
    return np.stack([np.ones_like(x), x, x**2], axis=1)


def _shifted(budgets: Sequence[pd.DataFrame], labels: Sequence[NDArray[Any]], names: Sequence[str]) -> _Scatter:
    """Fit a parabola per budget and, common to all budgets, one constant per level but the first."""
    rows = sum(map(len, budgets))
    design = np.zeros((rows, 3 * len(budgets) + len(names) - 1))
    start = 0
    for place, (budget, label) in enumerate(zip(budgets, labels, strict=True)):
        block = slice(start, start + len(budget))
        design[block, 3 * place : 3 * place + 3] = _design(budget)
        design[block, 3 * len(budgets) :] = label[:, None] == np.array(names[1:])
        start += len(budget)
    return _Scatter.of([design], [np.concatenate([runs["loss"].to_numpy(float) for runs in budgets])])


def _differ(alone: _Scatter, apart: _Scatter, chance: float) -> bool:
    """Tell whether levels leave far less scatter than their degrees of freedom alone would."""
    from scipy.stats import f

    spent = alone.freedom - apart.freedom
    if spent <= 0 or apart.freedom <= 0 or alone.sigma < MIXED_SCATTER * apart.sigma:
        return False
    if apart.squares == 0:
        return alone.squares > 0
    ratio = (alone.squares - apart.squares) / spent / (apart.squares / apart.freedom)
    return bool(f.sf(ratio, spent, apart.freedom) < chance)
