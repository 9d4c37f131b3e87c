"""Compute-optimal allocations: lines in the logarithm of compute, the point with every draw, and their words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.errors import DataError, closest
from scalefit.law import Law
from scalefit.optimum.cost import Cost
from scalefit.optimum.paths import Paths

__all__ = ["EXCESS", "LOSS", "RATIO", "Allocation", "Interval", "Optimum"]

Array = NDArray[np.float64]

LOSS, EXCESS, RATIO = "loss", "loss_above_floor", "tokens_per_param"


class Interval(NamedTuple):
    """A number with the ends of its interval, which are NaN where there is none.

    Parameters
    ----------
    value, lo, hi : float
        The number and the ends.
    """

    value: float
    lo: float
    hi: float

    def holds(self, number: float) -> bool:
        """Whether a number lies inside; never where there is no interval."""
        return self.lo <= number <= self.hi


class Allocation(NamedTuple):
    """How one budget is spent best.

    Parameters
    ----------
    compute : float
        The budget, in the units of the cost.
    quantities : mapping of str to Interval
        The columns of the law, ``params`` where it follows from width and depth, ``tokens_per_param``, the loss above
        the floor and the loss, as far as the law has them.
    beyond : float
        How far the budget lies outside the runs, as a factor: above 1 larger than any, below 1 smaller, 1 among them.
    """

    compute: float
    quantities: Mapping[str, Interval]
    beyond: float


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where a fitted law says that compute is spent best.

    Every column of the optimum is a power of the compute, exactly, so that the lines of each draw hold everything.
    ``print(optimum)`` shows it; :meth:`record` is the JSON of ``scalefit optimum --json``.

    Parameters
    ----------
    label : str
        The fit's name.
    law : Law
        The law minimised.
    cost : Cost
        What is held fixed.
    kind : {"posterior", "bootstrap", "normal approximation", "printed"}
        What the intervals are; a bootstrap is no posterior, and printed numbers have none.
    method : str
        How the draws were made.
    level : float
        Probability of the intervals.
    at : mapping of str to str
        Level of each grouping column.
    columns : tuple of str, length k
        What the lines are of.
    point : Paths
        Of one row: the optimum at the estimate; of a posterior, see :meth:`band`.
    draws : Paths or None
        One row per draw.
    floor : float
        The estimate of the floor; NaN where it differs by level and none is named.
    floor_draws : array, shape (R,), or None
        With the draws.
    runs : DataFrame
        The law's columns, ``params`` where it is derived, ``compute`` by this cost and the response of the fitted rows
        (of the level, where one is named); empty for printed numbers.
    budgets : tuple of float
        The budgets asked for.
    status : str
        The fit's.
    message : str
        What limits it, in words.
    reason : str
        Why there is no optimum; empty where there is one.
    notes : tuple of str
        What was derived, and what was left out.
    """

    label: str
    law: Law
    cost: Cost
    kind: str
    method: str
    level: float
    at: Mapping[str, str]
    columns: tuple[str, ...]
    point: Paths
    draws: Paths | None
    floor: float
    floor_draws: Array | None
    runs: pd.DataFrame
    budgets: tuple[float, ...]
    status: str
    message: str
    reason: str
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 when the numbers can be used as they are, 1 when not."""
        return 0 if self.status in ("converged", "printed") and not self.reason else 1

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest of each column and of ``compute`` among the runs; empty for printed numbers."""
        ends = self.runs.agg(["min", "max"]) if len(self.runs) else self.runs
        return {str(name): (float(one["min"]), float(one["max"])) for name, one in ends.items()}

    @property
    def exponents(self) -> dict[str, Interval]:
        """Power of the compute with which each quantity grows; that of the loss is of the loss above the floor."""
        own = {
            name: self._interval(self.point.slope[:, i], None if self.draws is None else self.draws.slope[:, i])
            for i, name in enumerate(self.columns)
        }
        slopes = None if self.draws is None else self.draws.excess_slope
        return own | {EXCESS: self._interval(self.point.excess_slope, slopes)}

    @property
    def allocations(self) -> tuple[Allocation, ...]:
        """One for each budget asked for; none where there is no optimum."""
        return () if self.reason else tuple(self.allocation(budget) for budget in self.budgets)

    def allocation(self, compute: float) -> Allocation:
        """Return how any budget is spent best.

        Parameters
        ----------
        compute : float
            The budget, positive.

        Returns
        -------
        Allocation
            Every quantity with its interval.

        Raises
        ------
        DataError
            When there is no optimum; says why.
        """
        bands = {name: self.band(name, [compute])[0] for name in self.quantities}
        return Allocation(compute, {name: Interval(*map(float, one)) for name, one in bands.items()}, self.far(compute))

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names that :meth:`band` knows."""
        return (*self.columns, EXCESS, *([] if math.isnan(self.floor) else [LOSS]))

    def band(self, name: str, compute: Sequence[float] | Array) -> Array:
        """Return a quantity along the budgets, for a line and a band.

        The value is that at the estimate or, of a posterior, the median over its draws, which no change of units moves.

        Parameters
        ----------
        name : str
            One of :attr:`quantities`.
        compute : array, shape (B,)
            Budgets.

        Returns
        -------
        array, shape (B, 3)
            Value and ends of the interval; the ends are NaN without draws.

        Raises
        ------
        DataError
            For an unknown name, or when there is no optimum.
        """
        if self.reason:
            raise DataError(f"{self.label or self.law} has no optimum: {self.reason}")
        if name not in self.quantities:
            raise DataError(f"there is no quantity {name!r}; {closest(name, self.quantities)}")
        logs = np.log(np.asarray(compute, float))
        value = self._along(self.point, np.array([self.floor]), name, logs)
        draws = None if self.draws is None else self._along(self.draws, self.floor_draws, name, logs)
        columns = [
            self._interval(value[:, i], None if draws is None else draws[:, i]) for i in range(len(logs))
        ]  # fmt: skip
        return np.array(columns)

    def far(self, compute: float) -> float:
        """Say how far a budget lies outside the runs, as a factor; 1 among them."""
        lo, hi = self.ranges.get("compute", (compute, compute))
        return compute / hi if compute > hi else compute / lo if compute < lo else 1.0

    def _along(self, paths: Paths, floor: Array | None, name: str, logs: Array) -> Array:
        if name in self.columns:
            i = self.columns.index(name)
            with np.errstate(over="ignore"):
                return np.asarray(np.exp(paths.start[:, i, None] + paths.slope[:, i, None] * logs))
        excess = paths.excess(logs)
        return excess if name == EXCESS or floor is None else excess + floor[:, None]

    def _interval(self, value: Array, draws: Array | None) -> Interval:
        """Take percentiles of the draws that have an optimum."""
        known = None if draws is None else draws[~np.isnan(draws)]
        if known is None or known.size < 2:
            return Interval(float(value[0]), math.nan, math.nan)
        # the largest number stands for infinity, of which quantiles would take differences
        known = np.minimum(known, np.finfo(float).max)
        lo, middle, hi = np.quantile(known, [(1 - self.level) / 2, 0.5, (1 + self.level) / 2])
        return Interval(float(middle if self.kind == "posterior" else value[0]), float(lo), float(hi))

    def table(self) -> pd.DataFrame:
        """Return one row per budget and quantity.

        Returns
        -------
        DataFrame
            ``compute, quantity, value, lo, hi, beyond``; empty where there is no optimum.
        """
        rows = [
            {"compute": one.compute, "quantity": name, **number._asdict(), "beyond": one.beyond}
            for one in self.allocations for name, number in one.quantities.items()
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["compute", "quantity", "value", "lo", "hi", "beyond"])

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON; what is not finite is null."""
        record: dict[str, Any] = {
            "source": self.label,
            "law": str(self.law),
            "status": self.status,
            "message": self.message,
            "reason": self.reason,
            "cost": str(self.cost),
            "cost_assumes": self.cost.assumes,
            "kind": self.kind,
            "method": self.method,
            "level": self.level,
            "at": dict(self.at),
            "ranges": {name: list(ends) for name, ends in self.ranges.items()},
            "exponents": {name: _finite(one) for name, one in self.exponents.items()},
            "budgets": [
                {"compute": one.compute, "beyond": one.beyond}
                | {name: _finite(number) for name, number in one.quantities.items()}
                for one in self.allocations
            ],
            "verdict": list(self.verdict),
            "notes": list(self.notes),
        }
        return record

    @property
    def verdict(self) -> tuple[str, ...]:
        """Sentences on what this settles, written from the numbers."""
        from scalefit.optimum.words import verdict

        return verdict(self)

    def summary(self) -> str:
        """Return the optimum as text: status, what was minimised, what is settled, the numbers."""
        from scalefit.optimum.words import optimum_text

        return optimum_text(self)

    def __str__(self) -> str:
        return self.summary()


def _finite(number: Interval) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in number._asdict().items()}
