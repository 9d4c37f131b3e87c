"""Which runs to train next: greedy choice of those that lower the error of a forecast most, under a budget.

With the mode ``theta`` of the coupled law and its covariance V, ``J = d ln L / d theta`` at targets and candidates, r
the e-folds of compute beyond the runs and d the drift of a forecast in units of the scatter sigma,
``K = J V J' + (d sigma)^2 r r'`` says how runs inform the targets: losses leave the law along a slope in log compute
that only runs beyond the data reveal. A run at c lowers the variance at target t by ``K_tc^2 / (K_cc + sigma^2)``. The
run that lowers it most, among those that fit the budget that is left, is chosen; then ``K`` is updated, and so on.
Dividing by the cost would favour many cheap runs, which lowered the error of forecasts of public tables less.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.allocation.cost import BY_SIZE, Cost
from scalefit.data.rows import usable_rows
from scalefit.data.tables import Table, read_table
from scalefit.errors import DataError
from scalefit.files import plain_json
from scalefit.forecasting.drawn import Drawn
from scalefit.forecasting.inputs import Learning, read_learning, read_targets
from scalefit.forecasting.rule import SHAPE, SHAPED, Rule, SampledLaw
from scalefit.forecasting.run import learn
from scalefit.numbers import amount, as_input, exact, fixed, percent_size, short_number, to_digits
from scalefit.options import PLAN, Forecasting, Purchase, Rows, gather, takes
from scalefit.table import PrintedTable

__all__ = ["BASELINES", "Plan", "PlannedRun", "Strategy", "choose_runs", "plan"]

Array = NDArray[np.float64]

GREEDY: Final = "greedy"
BASELINES: Final = ("largest affordable", "closest to the target", "best predicted loss")
GRID: Final = 12  # values of each column in a grid of candidates
WIDER: Final = math.log(4)  # by which a grid leaves the range of the runs, upwards


class PlannedRun(NamedTuple):
    """One run of a plan.

    Parameters
    ----------
    columns : mapping of str to float
        Where it is.
    cost : float
        What it costs.
    loss : float
        Its expected loss.
    error : float
        Expected error of the forecast after it: standard deviation of the log loss at the targets, without the scatter
        of a run, root mean square.
    candidate : int
        Which candidate it is.
    """

    columns: Mapping[str, float]
    cost: float
    loss: float
    error: float
    candidate: int


class Strategy(NamedTuple):
    """A way to choose, and what it chose.

    Parameters
    ----------
    name : str
        ``greedy`` or one of :data:`BASELINES`.
    choices : tuple of PlannedRun
        In order.
    """

    name: str
    choices: tuple[PlannedRun, ...]

    @property
    def cost(self) -> float:
        """What all runs cost together."""
        return float(sum(choice.cost for choice in self.choices))


@dataclass(frozen=True, eq=False)
class Plan(Drawn):
    """Which runs to train next for a forecast, and what other choices would give for the same budget.

    ``print(plan)`` shows it.

    Parameters
    ----------
    learning : Learning
        The runs so far.
    rule : Rule
        Their laws.
    targets : DataFrame
        What is to be forecast: columns and ``compute``.
    candidates : DataFrame
        What could be trained: columns, ``cost`` and ``compute``.
    budget : float
        For all new runs.
    before : float
        Error of the forecast now; see :class:`PlannedRun`.
    strategies : tuple of Strategy
        Greedy first.
    """

    learning: Learning
    rule: Rule
    targets: pd.DataFrame
    candidates: pd.DataFrame
    budget: float
    before: float
    strategies: tuple[Strategy, ...]

    drawn_by: ClassVar[str] = "draw_plan"
    exit_code: ClassVar[int] = 0

    @property
    def choices(self) -> tuple[PlannedRun, ...]:
        """The runs to train, in order."""
        return self.strategies[0].choices

    def table(self) -> pd.DataFrame:
        """Return one row for each run of each strategy.

        Returns
        -------
        DataFrame
            ``strategy, step``, columns of the law, ``cost, spent, loss, error``.
        """
        rows = []
        for strategy in self.strategies:
            spent = 0.0
            for step, choice in enumerate(strategy.choices, 1):
                spent += choice.cost
                rows.append(
                    {"strategy": strategy.name, "step": step, **choice.columns, "cost": choice.cost, "spent": spent,
                     "loss": choice.loss, "error": choice.error}
                )  # fmt: skip
        return pd.DataFrame(rows)

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON."""
        record = {
            "source": self.learning.table.name, "budget": self.budget, "error_before": self.before,
            "targets": self.targets.to_dict(orient="records"), "candidates": len(self.candidates),
            "strategies": [
                {
                    "name": strategy.name, "cost": strategy.cost,
                    "runs": [choice._asdict() for choice in strategy.choices],
                }
                for strategy in self.strategies
            ],
            "findings": [asdict(note) for note in self.learning.notes], "reading": list(self.learning.reading),
        }  # fmt: skip
        return dict(plain_json(record))

    def summary(self) -> str:
        """Return the plan as text: the runs in order, and the other ways to choose under the same budget."""
        count, spent = len(self.choices), self.strategies[0].cost
        after = self.choices[-1].error
        head = (
            f"train {exact(count)} runs for {amount(spent, 3)} of a budget of {amount(self.budget, 3)}: the expected "
            f"error of the forecast falls from {percent_size(self.before)} to {percent_size(after)}"
        )
        goals = "; ".join(
            ", ".join(f"{name} {short_number(to_digits(float(row[name]), 4))}" for name in self.learning.columns)
            for row in self.targets.head(3).to_dict(orient="records")
        )
        about = (
            f"{self.learning.table.name}: {exact(len(self.learning.runs.y))} runs; target {goals}"
            f"{', ...' if len(self.targets) > 3 else ''}; {exact(len(self.candidates))} candidates"
        )
        rows, total = [], 0.0
        for step, choice in enumerate(self.choices, 1):
            total += choice.cost
            at = [short_number(to_digits(value, 3)) for value in choice.columns.values()]
            rows.append(
                [
                    exact(step),
                    *at,
                    amount(choice.cost, 3),
                    amount(total, 3),
                    fixed(choice.loss, 3),
                    percent_size(choice.error),
                ]
            )
        header = ["run", *self.learning.columns, "cost", "spent", "expected loss", "error after"]
        text = PrintedTable.of(header, rows, "r" * len(header)).text("  ")
        others = [
            [
                strategy.name,
                exact(len(strategy.choices)),
                amount(strategy.cost, 3),
                percent_size(strategy.choices[-1].error),
            ]
            for strategy in self.strategies
            if strategy.choices
        ]
        below = PrintedTable.of(["choice", "runs", "cost", "error after"], others, "lrrr").text("  ")
        parts = (
            "The error is that of the law and of the drift beyond the data, as if the drift were one slope in log "
            "compute, without the scatter of a single run; forecast again once the runs are trained."
        )
        notes = [f"{note.severity}: {note.message}" for note in self.learning.notes]
        notes += [f"note: {note}" for note in self.learning.reading]
        blocks = [f"{head}\n{about}", text, f"under the same budget\n{below}", parts, "\n".join(notes)]
        return "\n\n".join(filter(None, blocks))

    def __str__(self) -> str:
        return self.summary()


@takes(*PLAN)
def plan(
    data: str | os.PathLike[str] | pd.DataFrame | Table,
    target: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    *options: Rows | Forecasting | Purchase,
    candidates: str | os.PathLike[str] | pd.DataFrame | None = None,
    **keywords: Any,
) -> Plan:
    """Choose the runs to train next, under a budget, for a forecast of a target.

    Parameters
    ----------
    data : str, path, DataFrame or Table
        The runs so far, as for :func:`scalefit.forecast`.
    target : mapping, or iterable of mapping
        What is to be forecast, such as ``{"params": "70B", "tokens": "1.4T"}``.
    *options : Rows, Forecasting, Purchase
        Options as values.
    candidates : str, path or DataFrame, optional
        What could be trained; a grid around the runs when omitted. A column ``cost`` replaces the cost.
    **keywords
        Fields of :class:`scalefit.options.Rows`, :class:`scalefit.options.Forecasting` and
        :class:`scalefit.options.Purchase`.

    Returns
    -------
    Plan
        ``print(plan)``; runs in order, and three other ways to choose under the same budget.

    Raises
    ------
    LawError, DataError
        When table, targets or candidates cannot be used, or none is affordable; nothing was computed.
    TypeError
        For a keyword that is not an option.

    Examples
    --------
    >>> found = plan("chinchilla", {"params": "7B", "tokens": "140B"}, where="flops < 2.07e19", budget=1e20, runs=3)
    >>> len(found.choices), found.choices[-1].error < found.before
    (3, True)
    """
    rows, how, bought = gather(PLAN, options, keywords)
    learning = read_learning(data, rows, how, by_cost=how.cost is None)
    if SHAPE in learning.columns:
        learning = learning.unshaped("Plans do not know of width and depth, whose effect counts as scatter.")
    if learning.law is not None or {*SHAPED} & {*learning.names}:
        given = learning.law or learning.names[0]
        raise DataError(f"plans know the laws of params and tokens, not {given}; leave --law out, or give coupled")
    points = [target] if isinstance(target, Mapping) else list(target)
    goals = read_targets(learning, points, None)
    offered = _candidates(learning, goals, bought, candidates)
    rule = learn(learning, how)
    return choose_runs(learning, rule, goals, offered, bought)


def choose_runs(learning: Learning, rule: Rule, goals: pd.DataFrame, offered: pd.DataFrame, bought: Purchase) -> Plan:
    """Choose among candidates greedily, and by the three baselines.

    Parameters
    ----------
    learning, rule
        The runs so far, and their laws.
    goals : DataFrame
        Targets with ``compute``.
    offered : DataFrame
        Candidates with ``cost`` and ``compute``.
    bought : Purchase
        Budget and number of runs.

    Returns
    -------
    Plan
        With the four strategies.
    """
    names = list(learning.columns)
    member = _sampled(rule)
    x, goal = (np.log(runs[names].to_numpy(float)) - member.centre for runs in (offered, goals))
    mean = member.law.log_prediction(member.mode.theta[None], x)[0]
    work = _informing(rule, member, (goal, goals["compute"].to_numpy(float)), (x, offered["compute"].to_numpy(float)))
    cost = offered["cost"].to_numpy(float)
    distance = np.linalg.norm(x[None] - goal[:, None], axis=2).min(axis=0)
    fixed = {
        BASELINES[0]: -offered["compute"].to_numpy(float), BASELINES[1]: distance, BASELINES[2]: mean,
    }  # fmt: skip
    strategies = [Strategy(GREEDY, _made(offered, names, mean, work, _greedy(work, cost, bought), cost))]
    for name, key in fixed.items():
        strategies.append(Strategy(name, _made(offered, names, mean, work, _ordered(key, cost, bought), cost)))
    before = float(np.sqrt(work.variance.mean()))
    return Plan(learning, rule, goals, offered, bought.budget, before, tuple(strategies))


class _Planning(NamedTuple):
    """Covariances of the log loss: among candidates, of targets with candidates, and variances at targets."""

    among: Array
    toward: Array
    variance: Array
    noise: float

    def after(self, c: int) -> _Planning:
        """Return the same once a run at candidate c is known."""
        scale = self.among[c, c] + self.noise
        return _Planning(
            self.among - np.outer(self.among[:, c], self.among[c]) / scale,
            self.toward - np.outer(self.toward[:, c], self.among[c]) / scale,
            self.variance - self.toward[:, c] ** 2 / scale, self.noise,
        )  # fmt: skip


def _informing(rule: Rule, member: SampledLaw, goals: tuple[Array, Array], offered: tuple[Array, Array]) -> _Planning:
    """Return what candidates say of targets, each given by centred log columns and compute."""
    # The drift is one more parameter, which is 0 inside the data: without it a plan has no reason to go far.
    drift = rule.constants.drift * member.sigma

    def slopes(x: Array, compute: Array) -> Array:
        further = np.maximum(np.log(compute) - rule.runs.c.max(), 0.0)
        return np.column_stack([member.law.gradient(member.mode.theta, x)[1] @ member.mode.frame, drift * further])

    toward, among = slopes(*goals), slopes(*offered)
    return _Planning(among @ among.T, toward @ among.T, (toward**2).sum(axis=1), member.sigma**2)


def _greedy(work: _Planning, cost: Array, bought: Purchase) -> list[int]:
    chosen: list[int] = []
    left, free = bought.budget, np.ones(len(cost), bool)
    while len(chosen) < bought.runs:
        able = free & (cost <= left * (1 + 1e-12))
        if not able.any():
            break
        gain = (work.toward**2).mean(axis=0) / (np.diag(work.among) + work.noise)
        c = int(np.argmax(np.where(able, gain, -np.inf)))
        chosen.append(c)
        left -= cost[c]
        free[c] = False
        work = work.after(c)
    return chosen


def _ordered(key: Array, cost: Array, bought: Purchase) -> list[int]:
    """Take what fits the budget that is left, in the order of a key."""
    left, chosen = bought.budget, list[int]()
    for c in np.argsort(key, kind="stable"):
        if len(chosen) < bought.runs and cost[c] <= left * (1 + 1e-12):
            chosen.append(int(c))
            left -= cost[c]
    return chosen


def _made(
    offered: pd.DataFrame, names: list[str], mean: Array, work: _Planning, chosen: list[int], cost: Array
) -> tuple[PlannedRun, ...]:
    out = []
    for c in chosen:
        work = work.after(c)
        columns = {name: float(offered[name].iloc[c]) for name in names}
        error = float(np.sqrt(np.maximum(work.variance, 0).mean()))
        out.append(PlannedRun(columns, float(cost[c]), float(np.exp(mean[c])), error, c))
    return tuple(out)


def _sampled(rule: Rule) -> SampledLaw:
    """Return the law that plans are made with: the one with most freedom, which is the first."""
    return next(member for member in rule.members if isinstance(member, SampledLaw))


def _candidates(
    learning: Learning, goals: pd.DataFrame, bought: Purchase, given: str | os.PathLike[str] | pd.DataFrame | None
) -> pd.DataFrame:
    """Return what could be trained with its cost: given, or a grid; never as expensive as the target."""
    names = list(learning.columns)
    cost = learning.cost or Cost.parse(BY_SIZE)
    if given is None:
        out = _grid(learning, cost, bought, float(goals["compute"].min()))
    else:
        if bought.below is not None:
            raise DataError("below is for a grid, and candidates are given; leave one of them out")
        table = read_table(given, typed=False)
        priced = "cost" in table.frame
        frame = table.frame.assign(**{k: v for k, v in learning.fixed.items() if k not in table.frame})
        needed = list(dict.fromkeys([*names, *cost.columns, *(["cost"] if priced else [])]))
        read = usable_rows(Table(frame, table.name, table.sha256, table.rows_read), needed).frame
        out = read[names].astype(float).assign(compute=cost.of(read))
        out["cost"] = read["cost"].to_numpy(float) if priced else out["compute"]
    out = out[out["compute"] < goals["compute"].min() * (1 - 1e-9)].reset_index(drop=True)
    if out.empty:
        raise DataError("every candidate has as much compute as the target, or more; give smaller ones")
    offered: pd.DataFrame = out
    if not (out["cost"] <= bought.budget).any():
        raise DataError(
            f"the budget {as_input(bought.budget)} is below the cheapest of {exact(len(out))} candidates, which costs "
            f"{as_input(float(out['cost'].min()), 3)}; give a larger budget, or smaller candidates"
        )
    return offered


def _grid(learning: Learning, cost: Cost, bought: Purchase, target: float) -> pd.DataFrame:
    """Lay a grid from the smallest runs to four times the largest, with what half of the budget can pay."""
    most = min(bought.below or bought.budget / 2, target)
    low, high = learning.runs.x.min(axis=0), learning.runs.x.max(axis=0) + WIDER
    axes = np.meshgrid(*[np.exp(np.linspace(a, b, GRID)) for a, b in zip(low, high, strict=True)], indexing="ij")
    frame = pd.DataFrame({name: ax.ravel() for name, ax in zip(learning.columns, axes, strict=True)})
    frame["compute"] = cost.of(frame.assign(**learning.fixed))
    among = (frame["compute"] <= most) & (frame["compute"] >= learning.compute.min())  # smaller ones obey other laws
    out: pd.DataFrame = frame[among].reset_index(drop=True)
    out["cost"] = out["compute"]
    return out
