"""Whether the runs that a plan chooses lower the error of a forecast: tables whose runs are all known already.

On each public table of two columns, the 25 or 45% of the runs with the least compute are known, the targets are the
runs with at least a third of the largest compute, and the runs between are candidates with at most half of the smallest
target's compute. A strategy picks at most 8 of them for 10 or 30% of what all candidates cost; then the laws are fitted
again and the mean absolute error of the log loss at the targets is compared with that after random picks (mean of 20
draws). Printed is the geometric mean of these ratios over tables, a collection with k tables weighing the root of k,
and the median over tables: a single target met by luck has an error near 0, which moves the first by far.

Run by hand: ``python -m tests.reference.plan_protocol``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.allocation.cost import Cost
from scalefit.data.tables import read_table
from scalefit.forecasting.backtest import public_cuts
from scalefit.forecasting.forms import Form, PriorTable
from scalefit.forecasting.inputs import Learning
from scalefit.forecasting.learned import learned
from scalefit.forecasting.plan import choose_runs
from scalefit.forecasting.rule import Runs, make_rule, varying
from scalefit.forecasting.sampling import find_mode
from scalefit.options import Purchase

Array = NDArray[np.float64]

STARTS, BUDGETS, RANDOM, MOST = (0.25, 0.45), (0.1, 0.3), 20, 8


def error_after(runs: Runs, rows: Array, goal: NDArray[np.bool_], priors: PriorTable) -> float:
    """Return the mean absolute error at the targets of the coupled law and the one with a shared exponent."""
    some, guesses = runs.keep(rows), []
    centre = some.x.mean(axis=0)
    for shared in (False, True):
        cap, middle = float(np.exp(some.y.min())), float(np.exp(np.median(some.y)))
        law = Form(runs.columns, cap, middle, priors, shared=shared)
        mode = find_mode(law, some.x - centre, some.y, np.ones(len(some.y)))
        guesses.append(law.log_prediction(mode.theta[None], runs.x[goal] - centre)[0])
    return float(np.abs(np.mean(guesses, axis=0) - runs.y[goal]).mean())


def study(runs: Runs, start: float, budget: float, collection: str) -> dict[str, float] | None:
    """Return the error of every strategy over that of random picks; None where a table is too small."""
    order = np.sort(runs.c)
    known = runs.c <= order[int(np.ceil(start * len(order))) - 1] + 1e-9
    goal = runs.c >= runs.c.max() - np.log(3)
    free = ~known & ~goal & (runs.c <= runs.c[goal].min() - np.log(2) + 1e-9)
    runs = varying(runs, known)
    if known.sum() < 5 or free.sum() < 6 or (known & goal).any() or len(runs.columns) < 2:
        return None
    offered = pd.DataFrame(np.exp(runs.x[free]), columns=list(runs.columns))
    offered = offered.assign(compute=np.exp(runs.c[free]), cost=np.exp(runs.c[free]))
    goals = pd.DataFrame(np.exp(runs.x[goal]), columns=list(runs.columns)).assign(compute=np.exp(runs.c[goal]))
    money = max(budget * float(offered["cost"].sum()), float(offered["cost"].min()))
    table = read_table(offered)
    learning = Learning(table, None, (), "loss", {}, Cost.parse("6*params*tokens"), runs.keep(known))
    constants, priors = learned(collection)  # what was learned without these tables
    rule = make_rule(runs.keep(known), constants=replace(constants, draws=400), priors=priors)
    found = choose_runs(learning, rule, goals, offered, Purchase(budget=money, runs=MOST))
    have, places = np.flatnonzero(known), np.flatnonzero(free)
    rng = np.random.default_rng(0)
    at_random = []
    for _ in range(RANDOM):
        left, picks = money, []
        for c in rng.permutation(len(places)):
            if len(picks) < MOST and offered["cost"].iloc[c] <= left:
                picks.append(c)
                left -= offered["cost"].iloc[c]
        at_random.append(error_after(runs, np.append(have, places[picks]), goal, priors))
    usual = float(np.mean(at_random))
    return {
        strategy.name: error_after(runs, np.append(have, places[[c.candidate for c in strategy.choices]]), goal, priors)
        / usual
        for strategy in found.strategies
    }


def main() -> None:
    """Print the four numbers of every strategy."""
    tables = {name: (of, runs.unshaped(), cuts) for name, (of, runs, cuts) in public_cuts().items()}
    for start in STARTS:
        for budget in BUDGETS:
            rows, collections = [], []
            for collection, runs, _ in tables.values():
                found = study(runs, start, budget, collection) if len(runs.columns) == 2 else None
                if found is not None:
                    rows.append(found)
                    collections.append(collection)
            count = pd.Series(collections).value_counts()
            weight = np.array([count[collection] ** -0.5 for collection in collections])
            logs = np.log(pd.DataFrame(rows))
            means = {name: float(np.exp(np.average(logs[name], weights=weight))) for name in logs}
            words = ", ".join(
                f"{name} {value:.2f} (median {np.exp(logs[name].median()):.2f})" for name, value in means.items()
            )
            print(f"start {start:g}, budget {budget:g}: {len(rows)} tables: {words}", flush=True)


if __name__ == "__main__":
    main()
