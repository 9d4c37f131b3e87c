"""A forecast as a value: medians, intervals and parts of the error for each target, and their words and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.estimate import Estimate
from scalefit.files import plain_json
from scalefit.forecasting.coverage import HeldShare, held_in_backtest
from scalefit.forecasting.drawn import Drawn
from scalefit.forecasting.inputs import Learning
from scalefit.forecasting.limits import far_words
from scalefit.forecasting.rule import SHAPED, Predicted, Rule, SampledLaw
from scalefit.forecasting.sampling import log_scatter
from scalefit.forecasting.second import SECOND_PARTS, SecondStep
from scalefit.numbers import (
    amount,
    as_input,
    exact,
    percent,
    percent_size,
    rounded,
    rounded_interval,
    short_number,
    to_digits,
    two_digits,
)
from scalefit.quantiles import normal_quantile, student_quantile
from scalefit.records import Finding
from scalefit.table import PrintedTable
from scalefit.verdicts import listed

__all__ = [
    "INTERVALS",
    "PARTS",
    "Forecast",
    "OwnBacktest",
    "TargetForecast",
    "forecast_text",
    "held_words",
    "largest_words",
]

Array = NDArray[np.float64]

INTERVALS = (0.5, 0.8, 0.9)
PARTS = {
    "parameters": "parameters", "laws": "laws disagree", "run": "a single run", "drift": "drift beyond the data",
}  # fmt: skip
ONE_SD = 0.8413447460685429  # probability below one standard deviation of a normal: a Student t may have none
SHOWN = 20  # targets that are printed in full
MIDDLES = 199  # equally likely values that stand for a forecast's distribution


class TargetForecast(NamedTuple):
    """The forecast of one target.

    Parameters
    ----------
    columns : mapping of str to float
        Where it is.
    compute : float
        Its compute.
    ratio : float
        Its compute over the largest of the runs.
    estimate : Estimate
        Median, error and the interval asked for.
    intervals : mapping of float to (float, float)
        Probability to ends.
    parts : mapping of str to float
        Standard deviations of the log loss, by name of :data:`PARTS`; a part that does not enter is 0.
    largest : str
        The largest of them.
    """

    columns: Mapping[str, float]
    compute: float
    ratio: float
    estimate: Estimate
    intervals: Mapping[float, tuple[float, float]]
    parts: Mapping[str, float]
    largest: str


class OwnBacktest(NamedTuple):
    """How such forecasts did on the table itself.

    Parameters
    ----------
    origins, runs : int
        Rolling origins, and runs that were predicted from them.
    farthest : float
        Largest compute that was predicted, in units of the largest that was learned from.
    share50, share80, share90 : float
        Share of intervals that held.
    """

    origins: int
    runs: int
    farthest: float
    share50: float
    share80: float
    share90: float

    @property
    def range90(self) -> tuple[float, float]:
        """Return a 90% interval (Wilson 1927) for the share of 90% intervals that hold.

        Runs that are predicted from one origin share the error of its fit, so an origin counts as one trial.
        """
        z = normal_quantile(0.95)
        n, p = self.origins, self.share90
        middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        reach = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
        return max(0.0, middle - reach), min(1.0, middle + reach)


@dataclass(frozen=True, eq=False)
class Forecast(Drawn):
    """Forecasts of runs that are larger than those of a table.

    ``print(forecast)`` shows it; :meth:`record` is the JSON of ``scalefit forecast --json``; :meth:`table` has a row
    for each target.

    Parameters
    ----------
    learning : Learning
        The table.
    rule : Rule
        Laws, weights and constants.
    targets : DataFrame
        Columns of the law and ``compute``.
    predicted : Predicted
        Medians and parts, in log loss.
    prob : float
        Probability of the interval asked for.
    mean : bool
        Whether it is the mean of such runs that is forecast.
    findings : tuple of Finding
        What to know before using it.
    own : OwnBacktest or None
        How such forecasts did on the table itself, where that was asked for.
    second : SecondStep or None
        Forecasts of a response that depends on the loss, where a second law was given.
    """

    learning: Learning
    rule: Rule
    targets: pd.DataFrame
    predicted: Predicted
    prob: float
    mean: bool
    findings: tuple[Finding, ...]
    own: OwnBacktest | None = None
    second: SecondStep | None = None

    drawn_by: ClassVar[str] = "draw_forecast"
    exit_code: ClassVar[int] = (
        0  # a forecast says how wide it is; exponents that are not identified do not make it unusable
    )

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def status(self) -> str:
        """``extrapolation`` where a target has more compute than every run, ``interpolation`` where none has."""
        return "extrapolation" if self.ratios.max() > 1 else "interpolation"

    @property
    def ratios(self) -> Array:
        """Compute of each target over the largest of the runs, shape (m,)."""
        return np.asarray(self.targets["compute"].to_numpy(float) / self.learning.compute.max())

    @cached_property
    def scale(self) -> Array:
        """Scale of each forecast of the log loss, shape (m,)."""
        return self.predicted.scale(run=not self.mean)

    @cached_property
    def degrees(self) -> Array:
        """Degrees of freedom of each forecast, shape (m,)."""
        return self.predicted.degrees(run=not self.mean)

    @property
    def weights(self) -> dict[str, float]:
        """Share of each law."""
        return {member.name: float(w) for member, w in zip(self.rule.members, self.rule.weights, strict=True)}

    def interval(self, probability: float) -> tuple[Array, Array]:
        """Return the ends of an interval, each of shape (m,), in the units of the loss.

        Parameters
        ----------
        probability : float
            Between 0 and 1.

        Returns
        -------
        lo, hi : array, shape (m,)
            Ends.
        """
        reach = self.predicted.reach(probability, run=not self.mean)
        return np.exp(self.predicted.mu - reach), np.exp(self.predicted.mu + reach)

    def target(self, i: int) -> TargetForecast:
        """Return one target's forecast."""
        mu, scale = float(self.predicted.mu[i]), float(self.scale[i])
        degrees = float(self.degrees[i])
        middles = (np.arange(MIDDLES) + 0.5) / MIDDLES
        draws = np.exp(mu + scale * np.array([student_quantile(float(middle), degrees) for middle in middles]))
        reach = {p: student_quantile((1 + p) / 2, degrees) * scale for p in sorted({*INTERVALS, self.prob})}
        ends = {p: (math.exp(mu - far), math.exp(mu + far)) for p, far in reach.items()}
        lo, hi = ends[self.prob]
        spread = student_quantile(ONE_SD, degrees) * scale * math.exp(mu)  # to first order
        estimate = Estimate(
            self.learning.response, "quantity", math.exp(mu), spread, lo, hi, spread="posterior",
            probability=self.prob, draws=draws,
        )  # fmt: skip
        parts = {name: float(getattr(self.predicted, name)[i]) for name in PARTS}
        if self.mean:
            parts["run"] = 0.0
        columns = {name: float(self.targets[name].iloc[i]) for name in self.learning.columns}
        return TargetForecast(
            columns, float(self.targets["compute"].iloc[i]), float(self.ratios[i]), estimate,
            {name: (end[0], end[1]) for name, end in ends.items()}, parts, max(parts, key=lambda name: parts[name]),
        )  # fmt: skip

    def coordinates(self) -> dict[str, Estimate]:
        """Return the power ``g`` of the coupled laws, and floor and scatter over the laws, as estimates.

        Returns
        -------
        dict of str to Estimate
            ``g`` only where a law has it; floor and scatter only where all laws are those of the rule.
        """
        sampled = [member for member in self.rule.members if isinstance(member, SampledLaw)]
        if len(sampled) < len(self.rule.members):
            return {}
        out = {}
        coupled = ("coupled", SHAPED[0])
        free = [(member, w) for member, w in zip(sampled, self.rule.weights, strict=True) if member.name in coupled]
        if free:
            powers = [np.exp(member.draws.theta[:, -1]) for member, _ in free]
            out["g"] = self._weighted("g", powers, [w * member.draws.weight for member, w in free])
        floors = [member.law.floor(member.draws.theta) for member in sampled]
        shares = [w * member.draws.weight for member, w in zip(sampled, self.rule.weights, strict=True)]
        out["floor"] = self._weighted("floor", floors, shares)
        out["scatter"] = self._weighted(
            "scatter", [np.exp(log_scatter(member.draws.theta[:, 0])) for member in sampled], shares
        )
        return out

    def _weighted(self, name: str, values: list[Array], weights: list[Array]) -> Estimate:
        """Summarise weighted draws by quantiles."""
        value, weight = np.concatenate(values), np.concatenate(weights)
        order = np.argsort(value)
        total = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
        draws = np.interp((np.arange(MIDDLES) + 0.5) / MIDDLES, total, value[order])
        lo, middle, hi = np.interp([(1 - self.prob) / 2, 0.5, (1 + self.prob) / 2], total, value[order])
        mean = np.average(value, weights=weight)
        se = math.sqrt(np.average((value - mean) ** 2, weights=weight))
        return Estimate(
            name, "quantity", float(middle), se, float(lo), float(hi), spread="posterior", probability=self.prob,
            draws=draws,
        )  # fmt: skip

    def held(self, i: int) -> HeldShare | None:
        """Return how forecasts at such a ratio did in the public backtest; None inside the data."""
        return held_in_backtest(float(self.ratios[i]))

    def table(self) -> pd.DataFrame:
        """Return one row for each target.

        Returns
        -------
        DataFrame
            Columns of the law, ``compute, ratio, estimate, se``, ends ``lo50, hi50`` and so on for each probability,
            and the four parts of the error as shares of the loss. With a second law, the same of its response, under
            names that begin with it, and the parts in its unit.
        """
        spread = student_quantile(ONE_SD, self.degrees)
        out = self.targets.assign(ratio=self.ratios, estimate=np.exp(self.predicted.mu))
        out["se"] = spread * self.scale * out["estimate"]
        for probability in sorted({*INTERVALS, self.prob}):
            level = as_input(100 * probability, 6)
            out[f"lo{level}"], out[f"hi{level}"] = self.interval(probability)
        for name in PARTS:
            out[f"error_{name}"] = 0.0 if name == "run" and self.mean else getattr(self.predicted, name)
        if self.second is not None:
            what = self.second.response
            out[f"{what}_estimate"], out[f"{what}_se"] = self.second.median, self.second.spread
            for probability in sorted({*INTERVALS, self.prob}):
                level = as_input(100 * probability, 6)
                out[f"{what}_lo{level}"], out[f"{what}_hi{level}"] = self.second.interval(probability)
            for name, part in self.second.parts.items():
                out[f"{what}_error_{name}"] = part
        return out

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON."""
        learned = self.learning
        targets = []
        for i in range(len(self)):
            target = self.target(i)
            targets.append(
                {"columns": dict(target.columns), "compute": target.compute, "ratio": target.ratio}
                | target.estimate.numbers()
                | {
                    "intervals": {as_input(p, 6): list(ends) for p, ends in target.intervals.items()},
                    "parts": dict(target.parts), "largest": target.largest,
                }
                | ({} if self.second is None else {"second": self._second_record(self.second, i)})
            )  # fmt: skip
        held = [None if (bin_ := self.held(i)) is None else bin_._asdict() for i in range(len(self))]
        coordinates = {name: coordinate.numbers() for name, coordinate in self.coordinates().items()}
        record = {
            "source": learned.table.name, "status": self.status, "response": learned.response, "prob": self.prob,
            "of": "mean" if self.mean else "new run", "rows": len(learned.table.frame),
            "largest_compute": float(learned.compute.max()),
            "compute": "flops" if learned.cost is None else str(learned.cost),
            "fixed": dict(learned.fixed), "weights": self.weights, "quantities": coordinates,
            "origins": self.rule.origins, "targets": targets, "public_backtest": held,
            "findings": [asdict(finding) for finding in self.findings],
            "reading": list(learned.reading),
        }  # fmt: skip
        return dict(plain_json(record))

    def _second_record(self, second: SecondStep, i: int) -> dict[str, Any]:
        own = second.target(i)
        ends = {p: [float(end.item()) for end in own.interval(p)] for p in sorted({*INTERVALS, self.prob})}
        return {
            "response": own.response,
            "law": str(own.law),
            "estimate": own.median.item(),
            "se": own.spread.item(),
            "interval": ends[self.prob],
            "intervals": {as_input(p, 6): both for p, both in ends.items()},
            "parts": {name: float(part.item()) for name, part in own.parts.items()},
        }

    def summary(self) -> str:
        """Return the forecast as text: how far it reaches, numbers, parts of the error, warnings."""
        return forecast_text(self)

    def __str__(self) -> str:
        return self.summary()

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before using it, and how the table was read, as lines of text."""
        findings = (f"{finding.severity}: {finding.message}" for finding in self.findings)
        return (*findings, *(f"note: {note}" for note in self.learning.reading))

    def along(self, i: int, steps: int = 60) -> tuple[Array, Predicted]:
        """Forecast along the line, in log columns, from the largest run to a target.

        Parameters
        ----------
        i : int
            The target.
        steps : int
            Points of the line.

        Returns
        -------
        compute : array, shape (steps,)
            Compute.
        predicted : Predicted
            Medians and parts of the log loss.
        """
        runs = self.learning.runs
        first = int(np.argmax(runs.c))
        goal = np.log(self.targets[list(self.learning.columns)].to_numpy(float)[i])
        share = np.linspace(0, 1, steps)[:, None]
        c = (1 - share[:, 0]) * runs.c[first] + share[:, 0] * math.log(self.targets["compute"].iloc[i])
        found = self.rule.predict((1 - share) * runs.x[first] + share * goal, c)
        return np.exp(c), found


def largest_words(target: TargetForecast) -> str:
    """Say what most of the error comes from, and what would lower it."""
    advice = {
        "parameters": "the runs leave the parameters of the laws open; more runs, or larger ones, would help most",
        "laws": "the laws fit alike and part beyond the data; runs that tell them apart would help most",
        "run": "single runs scatter; repeated runs, or the mean of several, would help most",
        "drift": "laws drift beyond the data they were fitted to; only larger runs help",
    }
    return advice[target.largest]


def held_words(found: Forecast, i: int) -> str:
    """Say what share of such intervals held in the public backtest; empty inside the data."""
    held = found.held(i)
    if held is None:
        return ""
    upper = "more" if math.isinf(held.most) else exact(held.most)
    where = f"{exact(held.least)} to {upper}" if math.isfinite(held.most) else f"over {exact(held.least)}"
    return (
        f"In the public backtest, {percent(held.share90, 0)} of 90% intervals held at {where} times the largest "
        f"compute ({percent(held.share50, 0)} of 50% intervals; median error {percent_size(held.error)}; "
        f"{exact(held.cells)} cells)"
    )


def forecast_text(found: Forecast) -> str:
    """Return a forecast as plain text: how far it reaches, numbers, parts of the error, warnings.

    Parameters
    ----------
    found : Forecast
        The numbers.

    Returns
    -------
    str
        Lines.
    """
    learned, ratios = found.learning, found.ratios
    far = float(ratios.max())
    reach = f"{found.status}: {'this is' if len(found) == 1 else 'the farthest target has'} {far_words(far)}"
    basis = "flops" if learned.cost is None else str(learned.cost)
    runs = (
        f"{learned.table.name}: {exact(len(learned.table.frame))} runs up to {amount(float(learned.compute.max()), 3)} "
        f"({basis}), {''.join(map(str, listed(learned.columns)))}"
    )
    what = "mean loss of such runs" if found.mean else "loss of one such run"
    blocks = [f"{reach}\n{runs}; forecast of the {what}"]
    blocks += [_target(found, i) for i in range(min(len(found), SHOWN))]
    if len(found) > SHOWN:
        blocks.append(f"... and {exact(len(found) - SHOWN)} more targets; --out writes them all")
    blocks.append(_laws(found))
    if found.own is not None:
        own = found.own
        blocks.append(
            f"on this table, {percent(own.share90, 0)} of 90% intervals held ({percent(own.share80, 0)} of 80%, "
            f"{percent(own.share50, 0)} of 50%): {exact(own.runs)} runs with up to {amount(own.farthest)} times the "
            f"compute, predicted from {exact(own.origins)} rolling origin{'s' if own.origins > 1 else ''}. So few "
            f"tell little: the true share is between {percent(own.range90[0], 0)} and {percent(own.range90[1], 0)} "
            "(90% interval, an origin as one trial), of forecasts from fewer runs than this one"
        )
    return "\n\n".join([*blocks, *(["\n".join(found.notes)] if found.notes else [])])


def _target(found: Forecast, i: int) -> str:
    target = found.target(i)
    error = target.estimate.se
    at = ", ".join(f"{name} {short_number(to_digits(value, 4))}" for name, value in target.columns.items())
    lines = [f"{at} ({amount(target.compute, 3)} of compute, {far_words(target.ratio)})"]
    intervals = "; ".join(
        f"{percent(p)} {rounded_interval(lo, hi, error)}" for p, (lo, hi) in sorted(target.intervals.items())
    )
    lines.append(f"  median {found.learning.response} {rounded(target.estimate.value, error)}; intervals {intervals}")
    cells = [percent_size(target.parts[name]) if target.parts[name] else "0%" for name in PARTS]
    table = PrintedTable.of([*PARTS.values()], [cells], "r" * len(PARTS))
    lines.append("  error of the forecast, in percent of the loss:")
    lines.append(table.text("    "))
    lines.append(f"  largest: {PARTS[target.largest]} ({largest_words(target)})")
    held = held_words(found, i)
    lines += [f"  {held}"] if held else []
    return "\n".join([*lines, *([] if found.second is None else _second_lines(found, found.second.target(i)))])


def _second_lines(found: Forecast, own: SecondStep) -> list[str]:
    """Print the response of a second law at its one target."""
    error = own.spread.item()
    ends = {p: own.interval(p) for p in sorted({*INTERVALS, found.prob})}
    intervals = "; ".join(
        f"{percent(p)} {rounded_interval(lo.item(), hi.item(), error)}" for p, (lo, hi) in ends.items()
    )
    cells = [two_digits(part.item()) if part.item() else "0" for part in own.parts.values()]
    table = PrintedTable.of([SECOND_PARTS[name] for name in own.parts], [cells], "r" * len(cells))
    return [
        f"  median {own.response} {rounded(own.median.item(), error)}; intervals {intervals}",
        f"  error of {own.response}, in its unit:",
        table.text("    "),
    ]


def _laws(found: Forecast) -> str:
    shares = ", ".join(f"{name} {percent(weight, 0)}" for name, weight in found.weights.items())
    by = (
        f"judged by {exact(found.rule.origins)} rolling origin{'s' if found.rule.origins > 1 else ''}"
        if found.rule.origins
        else "not judged by rolling origins"
    )
    lines = [
        f"laws: {shares}" + (f" ({by})" if len(found.rule.members) > 1 and len(found.learning.columns) > 1 else "")
    ]
    for name, coordinate in found.coordinates().items():
        if name == "scatter":
            lines.append(f"scatter of single runs {percent_size(coordinate.value)}")
        else:
            ends = rounded_interval(coordinate.lo, coordinate.hi, coordinate.se)
            lines.append(f"{name} {rounded(coordinate.value, coordinate.se)} {ends}")
    return "; ".join(lines)
