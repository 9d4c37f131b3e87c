"""The best use of compute under a law or a cost without a closed solution: a search along the budget, for every draw.

Two columns or more share the budget; everything else that law or cost name is held at a number. On a budget the last
column follows from the others. With two columns a law under all draws is evaluated at the same places, and the best of
them is refined; with more, Newton's method goes on from the best of many places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.allocation.cost import BY_SIZE
from scalefit.allocation.result import (
    LOSS,
    NAMES,
    RATIO,
    Allocation,
    amount_interval,
    amount_of,
    decimal_interval,
    spread,
)
from scalefit.allocation.surface import last_column, lowest
from scalefit.errors import DataError, LawError, closest
from scalefit.estimate import Estimate, Spread
from scalefit.law import tree
from scalefit.law.general import general_form
from scalefit.law.protocol import AnyLaw
from scalefit.law.syntax import Reader, names_in, to_node
from scalefit.names import printed_label
from scalefit.numbers import amount, as_input, parse_number, percent, rounded
from scalefit.problem import label_texts, predict_law, rows_at
from scalefit.results import Fit, PosteriorFit
from scalefit.table import PrintedTable

__all__ = ["CostExpression", "NumericalOptimum", "numerical_optimum"]

Array = NDArray[np.float64]

PLACES, FINER = 400, 60  # of the first column that a budget is tried at, and again around the best
ROOM: Final = 1e4  # factor beyond the runs within which the best size is looked for
HALVINGS: Final = 80  # of the bracket of the second column
DRAWS: Final = 500  # of the fit that are minimised under
LEAST: Final = "lowest response"  # its key among the columns
USABLE: Final = 0.5  # share of draws with an optimum below which there is none


@dataclass(frozen=True)
class CostExpression:
    """What a run costs, in closed form, such as ``6*params*tokens + 2*params*served``.

    Parameters
    ----------
    text : str
        As printed.
    columns : tuple of str
        What it counts.
    node : Node
        The same, to be evaluated.
    """

    text: str
    columns: tuple[str, ...]
    node: tree.Node

    @classmethod
    def parse(cls, text: str) -> CostExpression:
        """Read a cost in the language of laws, where every name is a column.

        Raises
        ------
        DataError
            With a caret under the spot that cannot be read.
        """
        try:
            reader = Reader(text)
            expression = reader.expression(reader.tokens, len(reader.text), "the cost")
        except LawError as error:
            raise DataError(str(error).replace("cannot read the law", "cannot read the cost")) from None
        if any(token.groups for token in names_in(expression)):
            raise DataError(f"the cost {text} has a name with [ ]; a cost is made of numeric columns")
        columns = tuple(dict.fromkeys(token.name for token in names_in(expression)))
        return cls(str(expression), columns, to_node(expression, lambda token: tree.column(token.name)))

    def __str__(self) -> str:
        return self.text

    def of(self, columns: Mapping[str, Any]) -> Array:
        """Return the cost at values of the columns, which broadcast."""
        return tree.evaluate(self.node, {name: np.asarray(columns[name], float) for name in self.columns}, {})


@dataclass(frozen=True, eq=False)
class NumericalOptimum:
    """Where a fitted law of any form says that compute is spent best, found by search.

    Parameters
    ----------
    label : str
        The fit's name.
    law : Law or GeneralLaw
        The law minimised.
    cost : CostExpression
        What is held fixed.
    kind : {"posterior", "bootstrap", "normal approximation"}
        What the intervals are.
    method : str
        How the draws were made.
    level : float
        Probability of the intervals.
    at : mapping of str to str or float
        Levels, and columns that are held at a number.
    shared : tuple of str
        The columns that share the budget.
    allocations : tuple of Allocation
        One for each budget.
    reasons : mapping of float to str
        Budgets without an optimum, and why.
    status, message : str
        The fit's.
    """

    label: str
    law: AnyLaw
    cost: CostExpression
    kind: Spread
    method: str
    level: float
    at: Mapping[str, str | float]
    shared: tuple[str, ...]
    allocations: tuple[Allocation, ...]
    reasons: Mapping[float, str]
    status: str
    message: str

    @property
    def exit_code(self) -> int:
        """0 when the numbers can be used as they are, 1 when not."""
        return 0 if self.status == "converged" and not self.reasons else 1

    def table(self) -> pd.DataFrame:
        """Return ``compute, quantity, estimate, lo, hi, beyond``, one row per budget and quantity."""
        rows = [
            [allocation.compute, name, number.value, number.lo, number.hi, allocation.beyond]
            for allocation in self.allocations for name, number in allocation.quantities.items()
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["compute", "quantity", "estimate", "lo", "hi", "beyond"])

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON; what is not finite is null."""
        return {
            "source": self.label, "law": str(self.law), "status": self.status, "message": self.message,
            "cost": str(self.cost), "kind": self.kind, "method": self.method, "level": self.level,
            "at": dict(self.at), "shared": list(self.shared),
            "budgets": [
                {"compute": allocation.compute, "beyond": allocation.beyond}
                | {name: number.numbers() for name, number in allocation.quantities.items()}
                for allocation in self.allocations
            ],
            "reasons": [{"compute": budget, "reason": why} for budget, why in self.reasons.items()],
        }  # fmt: skip

    def summary(self) -> str:
        """Return the optimum as text: status, what was minimised, the numbers."""
        held = ", ".join(
            f"{name} = {printed_label(value) if isinstance(value, str) else amount(value, 4)}"
            for name, value in self.at.items()
        )
        lines = [
            f"{self.status}: {self.message}",
            f"  law        {self.law}",
            *([f"  at         {held}"] if held else []),
            f"  cost       {self.cost}, shared by {_listed(self.shared)}",
            f"  intervals  {percent(self.level)}, {self.kind} ({self.method})",
            *(f"  no optimum at {amount(budget, 3)}: {why}" for budget, why in self.reasons.items()),
        ]
        rows = []
        for allocation in self.allocations:
            first = amount(allocation.compute)
            for name, number in allocation.quantities.items():
                is_response = name == self.law.response
                value = rounded(number.value, spread(number)) if is_response else amount_of(number)
                rows.append([first, NAMES.get(name, name.replace("_", " ")), value,
                             decimal_interval(number) if is_response else amount_interval(number)])  # fmt: skip
                first = ""
        table = PrintedTable.of(["compute", "", "optimum", "interval"], rows).text("  ").split("\n") if rows else []
        far = [allocation for allocation in self.allocations if allocation.beyond > 1]
        notes = [
            f"  note: {amount(allocation.compute, 3)} is {amount(allocation.beyond)} times the largest run, "
            "an extrapolation."
            for allocation in far
        ]
        return "\n".join([*lines, "", *table, *notes])

    def __str__(self) -> str:
        return self.summary()


def numerical_optimum(
    fit: Fit,
    *,
    compute: Sequence[float],
    cost: str | None = None,
    level: float = 0.95,
    at: Mapping[str, str | float] | None = None,
    label: str = "",
) -> NumericalOptimum:
    """Find by search how a budget is spent best under a law of any form, or a cost of any form.

    Parameters
    ----------
    fit : Fit
        A fit of any law whose response should be small.
    compute : sequence of float
        Budgets, in the units of the cost.
    cost : str, optional
        An expression of columns; ``6*params*tokens`` when omitted.
    level : float
        Probability of the intervals.
    at : mapping, optional
        Level of each grouping column, and a number for every column of law and cost but those that share the budget:
        two or more that both have.
    label : str
        A name; the fit's own when empty.

    Returns
    -------
    NumericalOptimum
        ``print(optimum)``.

    Raises
    ------
    DataError
        When law and cost do not share two columns, or a number is missing or not positive.
    """
    known = CostExpression.parse(BY_SIZE if cost is None else cost)
    held, labels = _held(fit, known, at or {})
    shared = _shared(fit.law, known, held)
    kind, draws = _draws(fit)
    runs = _runs(fit, known, held, labels)
    allocations, reasons = [], {}
    for budget in compute:
        if not 0 < budget < math.inf:
            raise DataError(f"compute is {as_input(budget)}; a budget is a positive number in the units of the cost")
        if len(shared) == 2:
            answer = _at_budget(fit, known, held, labels, (shared[0], shared[1]), draws, budget)
        else:
            answer = _many_at_budget(fit, known, held, labels, shared, draws, budget)
        usable = float(np.isfinite(answer[1][LEAST]).mean())
        if isinstance(answer[0], str):
            reasons[budget] = answer[0]
        elif usable < USABLE:
            reasons[budget] = f"{percent(1 - usable, 0)} of the draws have none among the sizes looked at"
        else:
            quantities = _quantities(fit.law, shared, answer[0], answer[1], kind, level)
            allocations.append(Allocation(budget, quantities, _beyond(budget, runs)))
    return NumericalOptimum(
        label or fit.label or fit.source.name, fit.law, known, kind, fit.uncertainty.method, level,
        dict(labels) | dict(held), shared, tuple(allocations), reasons, fit.status, fit.message,
    )  # fmt: skip


def _held(fit: Fit, cost: CostExpression, at: Mapping[str, str | float]) -> tuple[dict[str, float], dict[str, str]]:
    """Part what is held into numbers and labels."""
    numbers, labels = {}, {}
    known = dict.fromkeys([*fit.law.variables, *cost.columns, *fit.law.groups])
    for name, value in at.items():
        if name not in known:
            raise DataError(f"neither law nor cost has {name!r}; {closest(name, known)}")
        if name in fit.law.groups:
            labels[name] = str(value)
            if labels[name] not in set(label_texts(fit.rows, name)):
                raise DataError(
                    f"no fitted row has {name} = {value!r}; {closest(labels[name], set(label_texts(fit.rows, name)))}"
                )
            continue
        try:
            numbers[name] = value if isinstance(value, float) else parse_number(str(value))
        except ValueError as error:
            raise DataError(f"{name} = {value}: {error}") from None
    for name in fit.law.groups:
        if name not in labels:
            raise DataError(f"{fit.law} has one value per {name}; name the level (--at {name}=LEVEL)")
    return numbers, labels


def _shared(law: AnyLaw, cost: CostExpression, held: Mapping[str, float]) -> tuple[str, ...]:
    """Find the columns that share the budget; everything else must be held."""
    both = [name for name in law.variables if name in cost.columns and name not in held]
    if len(both) < 2:
        free = [name for name in law.variables if name not in held]
        who = f"only {both[0]} shares" if both else "no column shares"
        raise DataError(
            f"the law has {_listed(free) or 'no column'} left, and the cost {cost} counts {_listed(cost.columns)}, so "
            f"that {who} the budget; two or more have to. Name what a run costs in columns of the law (--cost TEXT)"
        )
    for name in (*law.variables, *cost.columns):
        if name not in both and name not in held:
            where = "law" if name in law.variables else "cost"
            raise DataError(
                f"only the {where} has {name!r}, so it does not share the budget; hold it (--at {name}=1e9)"
            )
    return tuple(both)


def _draws(fit: Fit) -> tuple[Spread, Array]:
    draws = fit.sample(DRAWS)
    every = max(1, len(draws) // DRAWS)
    if fit.uncertainty.draws is None:
        return "normal approximation", draws
    return ("posterior" if isinstance(fit, PosteriorFit) else "bootstrap"), draws[::every]


def _runs(fit: Fit, cost: CostExpression, held: Mapping[str, float], labels: Mapping[str, str]) -> Array:
    """Return what the fitted rows of the level cost; a column that only the cost has is as held."""
    rows = fit.rows.loc[rows_at(fit.rows, tuple(labels), tuple(labels.values()))]
    columns = {name: rows[name].to_numpy(float) if name in rows else held[name] for name in cost.columns}
    return np.broadcast_to(cost.of(columns), len(rows))


def _beyond(budget: float, runs: Array) -> float:
    lo, hi = float(runs.min()), float(runs.max())
    return budget / hi if budget > hi else budget / lo if budget < lo else 1.0


def spans_of(fit: Fit, shared: Sequence[str]) -> list[tuple[float, float]]:
    """Return the logs between which each column is looked for."""
    spans = []
    for name in shared:
        runs = fit.rows[name].to_numpy(float)
        if not runs.min() > 0:
            raise DataError(f"column {name!r} is not positive in every row, so that no budget can be shared along it")
        spans.append((float(np.log(runs.min() / ROOM)), float(np.log(runs.max() * ROOM))))
    return spans


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _second(cost: Callable[[Array, Array], Array], first: Array, budget: float, span: tuple[float, float]) -> Array:
    """Return the log of the second column that spends the budget, shape (G,); NaN where none does."""
    lo, hi = np.full(first.shape, span[0]), np.full(first.shape, span[1])
    possible = (cost(first, lo) <= budget) & (cost(first, hi) >= budget)
    for _ in range(HALVINGS):
        middle = 0.5 * (lo + hi)
        below = cost(first, middle) < budget
        lo, hi = np.where(below, middle, lo), np.where(below, hi, middle)
    return np.where(possible, 0.5 * (lo + hi), np.nan)


def _at_budget(
    fit: Fit, cost: CostExpression, held: Mapping[str, float], labels: Mapping[str, str], shared: tuple[str, str],
    draws: Array, budget: float,
) -> tuple[dict[str, Array] | str, dict[str, Array]]:  # fmt: skip
    """Minimise along one budget, at the estimate (or say why there is no optimum) and under each draw."""
    x, y = shared
    spans = spans_of(fit, shared)

    def cost_at(first: Array, second: Array) -> Array:
        return cost.of({**held, x: np.exp(first), y: np.exp(second)})

    def law_at(vectors: Array, first: Array, second: Array) -> Array:
        """Evaluate the law under R vectors at G places, shape (R, G); infinite where it or the budget has none."""
        usable = np.isfinite(second)
        value = np.full((len(vectors), len(first)), np.inf)
        frame = pd.DataFrame({x: np.exp(first[usable]), y: np.exp(second[usable])}).assign(
            **{name: held[name] for name in fit.law.variables if name in held}, **labels
        )
        values = predict_law(fit.law, dict(zip(fit.keys, vectors.T, strict=True)), frame)
        value[:, usable] = np.where(np.isfinite(values), values, np.inf)
        return value

    def solve(vectors: Array) -> dict[str, Array]:
        """Try the same places under every vector, and then places around the best of each."""
        moved = {name: np.full(len(vectors), np.nan) for name in (*shared, LEAST)}
        first = np.linspace(*spans[0], PLACES)
        value = law_at(vectors, first, _second(cost_at, first, budget, spans[1]))
        for row, best in enumerate(value.argmin(axis=1)):
            if not _is_interior(value[row], best):
                continue
            close = np.linspace(first[best - 1], first[best + 1], FINER)
            second = _second(cost_at, close, budget, spans[1])
            fine = law_at(vectors[[row]], close, second)[0]
            at = int(fine.argmin())
            if _is_interior(fine, at):
                offset = _vertex(fine[at - 1 : at + 2])
                moved[x][row] = np.exp(close[at] + offset * (close[1] - close[0]))
                moved[y][row] = np.exp(second[at] + offset * (second[at + 1] - second[at - 1]) / 2)
                moved[LEAST][row] = fine[at]
        return moved

    best = solve(fit.point[None])
    drawn = solve(draws)
    if not np.isfinite(best[LEAST]).all():
        why = (
            f"within a factor of {amount(ROOM)} of the runs the best {x} is at an end, so that the law wants all or "
            "nothing of it"
        )
        return why, drawn
    return best, drawn


def _many_at_budget(
    fit: Fit, cost: CostExpression, held: Mapping[str, float], labels: Mapping[str, str], shared: tuple[str, ...],
    draws: Array, budget: float,
) -> tuple[dict[str, Array] | str, dict[str, Array]]:  # fmt: skip
    """Minimise over three columns or more, as :func:`_at_budget` over two."""
    *others, last = shared
    spans = spans_of(fit, shared)
    law = general_form(fit.law)

    def columns_at(places: Array, rest: Array) -> dict[str, Any]:
        return {**held, **{name: np.exp(places[..., i]) for i, name in enumerate(others)}, last: np.exp(rest)}

    def cost_at(places: Array, rest: Array) -> Array:
        return cost.of(columns_at(places, rest))

    def solve(vectors: Array) -> dict[str, Array]:
        numbers = {}
        for coef in law.parameters:
            place = fit.place((coef.name, tuple(labels[name] for name in coef.groups)))
            value = vectors[:, place]
            numbers[coef.name] = (np.exp(value) if fit.parameters[place].is_log else value)[:, None]

        def values(places: Array) -> Array:
            rest = last_column(cost_at, places, budget, spans[-1])
            columns = {name: column for name, column in columns_at(places, rest).items() if name in law.variables}
            value = np.broadcast_to(tree.evaluate(law.body, columns, numbers), (len(vectors), places.shape[1]))
            return np.where(np.isfinite(value) & np.isfinite(rest), value, np.inf)

        places, least = lowest(values, spans[:-1], len(vectors))
        rest = last_column(cost_at, places, budget, spans[-1])
        return {**{name: np.exp(places[:, i]) for i, name in enumerate(others)}, last: np.exp(rest), LEAST: least}

    best, drawn = solve(fit.point[None]), solve(draws)
    if not np.isfinite(best[LEAST]).all():
        where = f"within a factor of {amount(ROOM)} of the runs"
        return f"{where} the law has no lowest point inside, so that it wants all or nothing of a column", drawn
    return best, drawn


def _is_interior(values: Array, place: int) -> bool:
    """Whether a best place has finite neighbours on both sides."""
    return 0 < place < len(values) - 1 and bool(np.isfinite(values[place - 1 : place + 2]).all())


def _vertex(values: Array) -> float:
    """Return where the parabola through three equally spaced values is least, in steps from the middle one."""
    bend = values[0] - 2 * values[1] + values[2]
    return float(np.clip(0.5 * (values[0] - values[2]) / bend, -1, 1)) if bend > 0 else 0.0


def _quantities(
    law: AnyLaw, shared: tuple[str, ...], best: Mapping[str, Array], drawn: Mapping[str, Array], kind: Spread,
    level: float,
) -> dict[str, Estimate]:  # fmt: skip
    """Give every quantity its interval."""
    values = {name: (best[name], drawn[name]) for name in shared}
    if {"params", "tokens"} <= set(shared):
        values[RATIO] = (values["tokens"][0] / values["params"][0], values["tokens"][1] / values["params"][1])
    values[law.response if law.response != "loss" else LOSS] = (best[LEAST], drawn[LEAST])
    quantities = {}
    for name, (value, draws) in values.items():
        known = draws[np.isfinite(draws)]
        lo, middle, hi = np.quantile(known, [(1 - level) / 2, 0.5, (1 + level) / 2])
        point = float(middle if kind == "posterior" else value[0])
        quantities[name] = Estimate(name, "quantity", point, lo=float(lo), hi=float(hi), spread=kind, probability=level)
    return quantities
