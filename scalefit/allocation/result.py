"""Compute-optimal allocations: lines in the logarithm of compute, the point with every draw, and their words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.allocation.cost import Cost
from scalefit.allocation.paths import Paths
from scalefit.errors import DataError, closest
from scalefit.estimate import Estimate, Spread
from scalefit.law.additive import Law
from scalefit.names import printed_label
from scalefit.numbers import amount, exact, percent, rounded, rounded_interval
from scalefit.quantiles import normal_quantile
from scalefit.table import PrintedTable
from scalefit.thresholds import EXTRAPOLATED, KNOWN_RATIO
from scalefit.verdicts import Verdict, listed

__all__ = [
    "CHINCHILLA",
    "EXCESS",
    "LOSS",
    "RATIO",
    "Allocation",
    "Kind",
    "Optimum",
    "amount_interval",
    "amount_of",
    "decimal_interval",
    "optimum_text",
    "quantity_words",
    "spread",
    "verdict",
]

Array = NDArray[np.float64]
Kind = Literal["posterior", "bootstrap", "normal approximation", "printed"]

LOSS, EXCESS, RATIO = "loss", "loss_above_floor", "tokens_per_param"


class Allocation(NamedTuple):
    """How one budget is spent best.

    Parameters
    ----------
    compute : float
        The budget, in the units of the cost.
    quantities : mapping of str to Estimate
        The columns of the law, ``params`` where it follows from width and depth, ``tokens_per_param``, the loss above
        the floor and the loss, as far as the law has them.
    beyond : float
        How far the budget lies outside the runs, as a factor: above 1 larger than any, below 1 smaller, 1 among them.
    """

    compute: float
    quantities: Mapping[str, Estimate]
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
        What the intervals are; a bootstrap is not a posterior, and printed numbers have none.
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
    drift : float
        Standard deviation of the log loss that each e-fold of compute beyond the runs adds; 0 for the law alone.
    resamples : tuple or None
        What the bootstrap behind the draws resampled; see :meth:`over`.
    """

    label: str
    law: Law
    cost: Cost
    kind: Kind
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
    drift: float = 0.0
    resamples: tuple[object, ...] | None = None

    @property
    def exit_code(self) -> int:
        """0 when the numbers can be used as they are, 1 when not."""
        return 0 if self.status in ("converged", "printed") and not self.reason else 1

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest of each column and of ``compute`` among the runs; empty for printed numbers."""
        ends = self.runs.agg(["min", "max"]) if len(self.runs) else self.runs
        return {str(name): (float(end["min"]), float(end["max"])) for name, end in ends.items()}

    @property
    def exponents(self) -> dict[str, Estimate]:
        """Power of the compute with which each quantity grows; that of the loss is of the loss above the floor."""
        slopes = {name: self.point.slope[:, i] for i, name in enumerate(self.columns)}
        drawn = {} if self.draws is None else {name: self.draws.slope[:, i] for i, name in enumerate(self.columns)}
        slopes[EXCESS] = self.point.excess_slope
        drawn |= {} if self.draws is None else {EXCESS: self.draws.excess_slope}
        return {name: self._number(name, *self._interval(slope, drawn.get(name))) for name, slope in slopes.items()}

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
        return Allocation(compute, {name: self.quantity(name, compute) for name in self.quantities}, self.far(compute))

    def quantity(self, name: str, compute: float) -> Estimate:
        """Return one of :attr:`quantities` at one budget, as :meth:`band` does for several."""
        return self._number(name, *map(float, self.band(name, [compute])[0]))

    def over(self, other: Optimum, name: str, compute: float) -> Estimate | None:
        """Return a quantity at one budget as a multiple of that of another optimum of the same runs, draw by draw.

        Overlapping intervals do not test a difference, because both move with the runs. The interval of the ratio does.

        Parameters
        ----------
        other : Optimum
            The optimum to divide by, such as that of the same law with another loss.
        name : str
            A quantity of both.
        compute : float
            The budget, positive.

        Returns
        -------
        Estimate or None
            None where the draws are not paired: both must be bootstraps of the same resamples of the same rows, with
            the same seed.
        """
        if self.draws is None or other.draws is None or self.resamples is None or self.resamples != other.resamples:
            return None
        logs = np.log([compute])
        above = self._along(self.draws, self.floor_draws, name, logs)
        below = other._along(other.draws, other.floor_draws, name, logs)
        value = self.quantity(name, compute).value / other.quantity(name, compute).value
        return self._number(name, *self._interval(np.array([value]), (above / below)[:, 0]))

    def _number(self, name: str, value: float, lo: float = math.nan, hi: float = math.nan) -> Estimate:
        """Return what follows from the parameters: it has an interval and no standard error."""
        spread: Spread = "published" if self.kind == "printed" else self.kind
        return Estimate(name, "quantity", value, lo=lo, hi=hi, spread=spread, probability=self.level)

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
        return np.array([self._drifted(*row) for row in zip(columns, logs, strict=True)] if name == LOSS else columns)

    def _drifted(self, interval: tuple[float, float, float], log_compute: float) -> tuple[float, float, float]:
        """Widen the interval of a loss, in logs, by the drift at a budget beyond the runs."""
        further = max(0.0, log_compute - math.log(self.ranges["compute"][1])) if self.drift else 0.0
        if not further:
            return interval
        value, lo, hi = map(math.log, interval)
        reach = normal_quantile((1 + self.level) / 2) * self.drift * further
        below, above = math.hypot(value - lo, reach), math.hypot(hi - value, reach)
        return math.exp(value), math.exp(value - below), math.exp(value + above)

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

    def _interval(self, value: Array, draws: Array | None) -> tuple[float, float, float]:
        """Take percentiles of the draws that have an optimum."""
        known = None if draws is None else draws[~np.isnan(draws)]
        if known is None or known.size < 2:
            return float(value[0]), math.nan, math.nan
        # the largest number stands for infinity, of which quantiles would take differences
        known = np.minimum(known, np.finfo(float).max)
        lo, middle, hi = np.quantile(known, [(1 - self.level) / 2, 0.5, (1 + self.level) / 2])
        return float(middle if self.kind == "posterior" else value[0]), float(lo), float(hi)

    def table(self) -> pd.DataFrame:
        """Return one row per budget and quantity.

        Returns
        -------
        DataFrame
            ``compute, quantity, estimate, lo, hi, beyond``; empty where there is no optimum.
        """
        rows = [
            {
                "compute": allocation.compute, "quantity": name, "estimate": number.value, "lo": number.lo,
                "hi": number.hi, "beyond": allocation.beyond,
            }
            for allocation in self.allocations for name, number in allocation.quantities.items()
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["compute", "quantity", "estimate", "lo", "hi", "beyond"])

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
            "drift": self.drift,
            "at": dict(self.at),
            "ranges": {name: list(ends) for name, ends in self.ranges.items()},
            "exponents": {name: exponent.numbers() for name, exponent in self.exponents.items()},
            "budgets": [
                {"compute": allocation.compute, "beyond": allocation.beyond}
                | {name: number.numbers() for name, number in allocation.quantities.items()}
                for allocation in self.allocations
            ],
            "verdict": [verdict.record() for verdict in self.verdict],
            "notes": list(self.notes),
        }
        return record

    @property
    def verdict(self) -> tuple[Verdict, ...]:
        """What is known of the best allocation, each with the numbers and the threshold behind it."""
        return verdict(self)

    def summary(self) -> str:
        """Return the optimum as text: status, what was minimised, what is known, the numbers."""
        return optimum_text(self)

    def __str__(self) -> str:
        return self.summary()


CHINCHILLA = {"compute": 5.76e23, "params": 70e9, "tokens": 1.4e12, RATIO: 20.0}  # Hoffmann et al. 2022, section 4
NAMES = {RATIO: "tokens per parameter", EXCESS: "loss above floor", "params": "parameters"}


def verdict(optimum: Optimum) -> tuple[Verdict, ...]:
    """Say what is known about the best allocation, what is not, and why.

    Parameters
    ----------
    optimum : Optimum
        The numbers.

    Returns
    -------
    tuple of Verdict
        The growth of each column, the ratio at the largest budget, and what lies outside the runs.
    """
    if optimum.reason:
        return (Verdict.of("no optimum", f"No optimum: {optimum.reason}"),)
    verdicts = [_growth(optimum)]
    if RATIO in optimum.columns and optimum.budgets:
        verdicts.append(_ratio(optimum, max(optimum.budgets)))
    far = [budget for budget in optimum.budgets if optimum.far(budget) != 1]
    if far:
        where = ", ".join(f"{_flop(budget)} ({_distance(optimum.far(budget))})" for budget in far)
        factors = {exact(budget): optimum.far(budget) for budget in far}
        verdicts.append(
            Verdict.of("outside", f"Outside the runs: {where}.", threshold=EXTRAPOLATED, factor_by_budget=factors)
        )
    return (*verdicts, *_leaving(optimum))


def _leaving(optimum: Optimum) -> tuple[Verdict, ...]:
    """Name columns whose best value leaves the runs although the budget does not: an extrapolation all the same."""
    inside = [allocation for allocation in optimum.allocations if allocation.beyond == 1]
    verdicts = []
    for name, (lo, hi) in optimum.ranges.items():
        if name not in optimum.columns:
            continue
        gone = [allocation for allocation in inside if not lo <= allocation.quantities[name].value <= hi]
        if gone:
            places = (f"{amount_of(allocation.quantities[name])} at {_flop(allocation.compute)}" for allocation in gone)
            where = ", ".join(places)
            text = (
                f"The best {quantity_words(name)} leave those of the runs ({amount(lo)} to {amount(hi)}), an "
                f"extrapolation: {where}."
            )
            best = [allocation.quantities[name].value for allocation in gone]
            verdicts.append(Verdict.of("leaves the runs", text, quantity=name, range=[lo, hi], best=best))
    return tuple(verdicts)


def _ratio(optimum: Optimum, compute: float) -> Verdict:
    """Say whether 20 tokens per parameter, the ratio of Chinchilla 70B, is best at a budget."""
    ratio = optimum.allocation(compute).quantities[RATIO]
    at = f"At {_flop(compute)} {amount_of(ratio)} tokens per parameter are best"
    about: dict[str, Any] = {
        "compute": compute,
        "ratio": ratio.value,
        "interval": [ratio.lo, ratio.hi],
        "reference": CHINCHILLA[RATIO],
    }
    if math.isnan(ratio.lo):
        return Verdict.of("no interval", f"{at}.", **about)
    at += f" ({percent(optimum.level)} interval {amount_interval(ratio)})"
    if not ratio.holds(CHINCHILLA[RATIO]):
        return Verdict.of("excludes", f"{at}: the 20 of Chinchilla 70B lies outside.", **about)
    known = ratio.hi <= KNOWN_RATIO * ratio.lo
    ends = f"{amount(ratio.lo)} or {amount(ratio.hi)}"
    also = "" if known else f", but these runs do not tell 20 from {ends}"
    text = f"{at}: the 20 of Chinchilla 70B lies inside{also}."
    return Verdict.of("includes" if known else "open", text, threshold=KNOWN_RATIO, **about)


def _growth(optimum: Optimum) -> Verdict:
    """Say with which powers of compute the columns grow, and whether parameters and tokens grow alike."""
    powers = optimum.exponents
    grown = [
        f"{quantity_words(name)} to the power {rounded(powers[name].value, spread(powers[name]))} "
        f"{decimal_interval(powers[name])}".strip()
        for name in optimum.columns if name != RATIO
    ]  # fmt: skip
    text = f"The best values grow with compute: {''.join(map(str, listed(grown)))}"
    about: dict[str, Any] = {"powers": {name: power.value for name, power in powers.items() if name in optimum.columns}}
    if RATIO not in optimum.columns or math.isnan(powers[RATIO].lo):
        return Verdict.of("growth", f"{text}.", **about)
    drift = powers[RATIO]
    about |= {"difference": drift.value, "interval": [drift.lo, drift.hi]}
    share = (
        f"(difference of the powers {rounded(drift.value, spread(drift))}, {percent(optimum.level)} interval "
        f"{decimal_interval(drift)})"
    )
    if drift.holds(0):
        alike = "that parameters and tokens grow alike, at a constant ratio, is within the errors"
        return Verdict.of("alike", f"{text}; {alike} {share}.", **about)
    more, less = ("tokens", "parameters") if drift.value > 0 else ("parameters", "tokens")
    return Verdict.of(f"{more} faster", f"{text}: {more} faster than {less} {share}.", **about)


def _distance(far: float) -> str:
    """Write how far a budget lies from the runs: ``44 times the largest run, an extrapolation``."""
    if far < 1:
        return f"{amount(far)} of the smallest run"
    return f"{amount(far)} times the largest run" + (", an extrapolation" if far > EXTRAPOLATED else "")


def _flop(compute: float) -> str:
    return f"{amount(compute, 3)} FLOP"


def optimum_text(optimum: Optimum) -> str:
    """Return the optimum as plain text: status, what was minimised, what is known, the numbers.

    Parameters
    ----------
    optimum : Optimum
        The numbers.

    Returns
    -------
    str
        Without numbers where there is no optimum.
    """
    lines = [
        f"{optimum.status}: {optimum.message}",
        f"  law        {optimum.law}",
        *(
            [f"  level      {', '.join(f'{k} = {printed_label(v)}' for k, v in optimum.at.items())}"]
            if optimum.at
            else []
        ),
        f"  cost       {optimum.cost}: {optimum.cost.assumes}",
        f"  intervals  {_method(optimum)}",
    ]
    if optimum.ranges:
        lines.append(f"  runs       {' to '.join(map(amount, optimum.ranges['compute']))} FLOP by this cost")
    lines += ["", *(f"  {verdict}" for verdict in optimum.verdict)]
    if not optimum.reason:
        lines += ["", *_exponent_lines(optimum), *([""] if optimum.budgets else []), *_budget_lines(optimum)]
    return "\n".join(lines + [f"  note: {note}" for note in optimum.notes])


def _method(optimum: Optimum) -> str:
    if optimum.draws is None:
        return "none, printed numbers"
    point = ", estimates are medians of the draws" if optimum.kind == "posterior" else ", not a posterior"
    return f"{percent(optimum.level)}, {optimum.kind} ({optimum.method}){point}"


def _exponent_lines(optimum: Optimum) -> list[str]:
    rows = [
        [name, rounded(exponent.value, spread(exponent)), decimal_interval(exponent)]
        for name, exponent in ((quantity_words(key), value) for key, value in optimum.exponents.items())
    ]
    return PrintedTable.of(["grows as C^", "exponent", "interval"], rows).text("  ").split("\n")


def _budget_lines(optimum: Optimum) -> list[str]:
    rows = []
    for allocation in optimum.allocations:
        first = amount(allocation.compute)
        for name, number in allocation.quantities.items():
            inside = decimal_interval if name in (LOSS, EXCESS) else amount_interval
            value = rounded(number.value, spread(number)) if name in (LOSS, EXCESS) else amount_of(number)
            rows.append([first, quantity_words(name), value, inside(number)])
            first = ""
    return PrintedTable.of(["compute", "", "optimum", "interval"], rows).text("  ").split("\n") if rows else []


def quantity_words(column: str) -> str:
    """Write a quantity in words: ``parameters`` for params."""
    return NAMES.get(column, column.replace("_", " "))


def amount_of(number: Estimate) -> str:
    """Print an amount with the digits that its interval leaves, two at least."""
    return amount(number.value, _digits(number))


def amount_interval(number: Estimate) -> str:
    """Print the interval of an amount; nothing where there is none."""
    if math.isnan(number.lo):
        return ""
    digits = _digits(number)
    return f"[{amount(number.lo, digits)}, {amount(number.hi, digits)}]"


def _digits(number: Estimate) -> int:
    error = spread(number)
    if error is None or not math.isfinite(error) or error <= 0 or number.value == 0:
        return 2
    return min(4, max(2, 2 + math.floor(math.log10(abs(number.value) / error))))


def decimal_interval(number: Estimate) -> str:
    """Print the interval of an exponent or a loss; nothing where there is none."""
    if math.isnan(number.lo):
        return ""
    return rounded_interval(number.lo, number.hi, spread(number))


def spread(number: Estimate) -> float | None:
    """Return about a standard error, to round by."""
    return None if math.isnan(number.lo) else (number.hi - number.lo) / 4
