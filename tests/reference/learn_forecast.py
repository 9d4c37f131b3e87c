"""Learn what forecasts use from the public tables, with all of them and without each collection in turn.

1. The coupled law is fitted to every table with wide priors. What a table alone says of a coordinate is a normal
   distribution; over tables these vary, with a mean and a standard deviation that have the largest likelihood (a
   collection of k tables counts once). Mean and standard deviation, widened for the number of collections, are the
   prior of the next table. Exponents, power and floor are learned from tables of two columns, the scatter from all,
   and what the shape does from tables with width and depth, as spreads around 0.
2. Each cut is fitted with the priors that were learned without its collection.
3. Drift and shift are those under which the shares of runs below the seven quantiles of their forecasts are nearest to
   nominal, over all collections but one: the sum of squares over quantiles and the four bins of ratio, of all tables,
   plus half of that of pretraining tables alone. Without the second sum, a few tables of fine-tuning and of models of
   materials, which drift most, make the intervals of all others too wide.

For step 3 the cuts of other collections are those of step 2, whose priors know the collection that is left out. It is
one of thirteen that enter a mean and a standard deviation, and fitting all cuts again for each takes thirteen times as
long.

Run by hand: ``python -m tests.reference.learn_forecast FOLDER`` keeps every fit in the folder, prints the table, writes
it to scalefit/forecasting/learned.csv, and prints how forecasts of each collection did with what was learned without
it. The parts of every forecast are kept, so that another rule for the constants is judged in seconds. With
``--unshaped`` after the folder, no forecast knows width and depth, and the shipped table stays as it is: what the shape
is worth is the difference. Scores of the collections whose tables vary in shape are printed by themselves.
"""

from __future__ import annotations

import csv
import io
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

import scalefit.forecasting
from scalefit.files import plain_json, write_atomically
from scalefit.forecasting.backtest import public_cuts
from scalefit.forecasting.forms import WEAK, NormalPrior
from scalefit.forecasting.learned import ALL, COLUMNS, PRIORS, TABLE, Constants, learned_row, prior_table
from scalefit.forecasting.rule import SHAPE, SHAPED, Predicted, Rule, Runs, SampledLaw, make_rule, varying
from scalefit.forecasting.scores import BINS, OTHER, PROBABILITIES, QUANTILES, BacktestResult
from scalefit.jobs import job_key, run_jobs
from scalefit.options import Jobs

Array = NDArray[np.float64]

START = Constants(drift=1.0, ahead=0.0)  # so that the parts of a forecast are in units of the constants
COORDINATES = {
    "floor": "logit floor", "params": "ln a_params", "tokens": "ln a_tokens", "power": "ln g", "sigma": "ln sigma",
    "shape": "shape", "shape_squared": "shape squared",
}  # fmt: skip
OF_SHAPE = ("shape", "shape_squared")
LEAST_INFORMATION = 1e-3  # of a table on a coordinate that its rows say nothing about
SPREADS = np.geomspace(0.05, 3.0, 200)  # between tables
DRIFTS, SHIFTS = np.arange(0.3, 1.61, 0.05), np.arange(0.0, 0.71, 0.05)
PRETRAINING = 0.5  # weight of the misses of pretraining tables, next to those of all tables
VARIED = ("gemstones", "open_lm")  # collections whose runs of one size differ in shape
NO_TOKENS = "gem_hot_ends"  # a table of gemstones whose runs have the same tokens
RATIO = 2.0  # from which on runs are judged


def table_cell(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one table says of each coordinate: mean and variance of a normal likelihood."""
    runs = public_cuts()[arguments["table"]][1]
    used = varying(runs.unshaped(), np.ones(len(runs.y), bool))
    estimates = _alone(used, "coupled")
    if SHAPE in runs.columns:
        found = _alone(runs, SHAPED[0])
        estimates |= {COORDINATES[role]: found[COORDINATES[role]] for role in OF_SHAPE}
    return dict(plain_json(estimates | {"columns": len(used.columns)}))


def _alone(runs: Runs, law: str) -> dict[str, list[float]]:
    """Return what runs say of each coordinate of a law: mean and variance of a normal likelihood."""
    member = make_rule(runs, constants=START, priors=WEAK, laws=(law,)).members[0]
    assert isinstance(member, SampledLaw)
    mean = member.draws.weight @ member.draws.theta
    variance = member.draws.weight @ (member.draws.theta - mean) ** 2
    prior_mean, prior_precision = member.law.prior_mean, member.law.prior_sd**-2.0
    precision = np.maximum(1 / variance - prior_precision, LEAST_INFORMATION)
    alone = (mean / variance - prior_mean * prior_precision) / precision
    return {name: [float(alone[i]), float(1 / precision[i])] for i, name in enumerate(member.law.names)}


def learn_prior(estimates: list[tuple[str, float, float]], centre: float | None = None) -> NormalPrior:
    """Return the prior of the next table from collection, mean and variance of each table; its mean may be known."""
    names, mean, variance = (np.array(column) for column in zip(*estimates, strict=True))
    counts = {name: int((names == name).sum()) for name in names}
    share = np.array([1 / counts[name] for name in names])
    best = (-np.inf, 0.0, 0.0)
    for spread in SPREADS:
        total = variance + spread**2
        middle = float((share / total) @ mean / (share / total).sum()) if centre is None else centre
        height = -0.5 * share @ (np.log(total) + (mean - middle) ** 2 / total)
        best = max(best, (float(height), middle, float(spread)))
    return NormalPrior(best[1], best[2] * float(np.sqrt(1 + 1 / len(counts))))


def learn_priors(
    tables: Mapping[str, Mapping[str, Any]], collections: Mapping[str, str], without: str
) -> dict[str, NormalPrior]:
    """Return the priors that the tables of all collections but one give, by name."""
    out = {}
    for role in PRIORS:
        name, columns = COORDINATES[role], (1, 2) if role == "sigma" else (2,)
        out[role] = learn_prior(
            [
                (collections[table], *found[name])
                for table, found in tables.items()
                if collections[table] != without and found["columns"] in columns and name in found
            ],
            centre=0.0 if role in OF_SHAPE else None,
        )
    return out


def parts_of(rule: Rule, runs: Runs, most: float) -> dict[str, Any]:
    """Return the parts of the forecasts of runs whose loss is known, in units of the constants.

    ``most`` is the largest log compute of the runs that the rule learned from.
    """
    found = rule.predict(runs.x, runs.c)
    return dict(
        plain_json(
            {
                "y": runs.y, "ratio": np.exp(runs.c - most), "mu": found.mu,
                "known": found.parameters**2 + found.laws**2, "run": found.run, "drift": found.drift,
                "left": found.left,
            }
        )
    )  # fmt: skip


def cut_cell(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of the forecast of every run beyond a cut, in units of the constants."""
    runs = public_cuts()[arguments["table"]][1]
    inside = runs.c <= arguments["cut"] + 1e-9
    ahead = ~inside & (runs.c >= runs.c[inside].max() + np.log(RATIO) - 1e-9)
    used = varying(runs.unshaped() if arguments.get("unshaped") else runs, inside)
    priors = prior_table({name: NormalPrior(*values) for name, values in arguments["priors"].items()})
    rule = make_rule(used.keep(inside), constants=START, priors=priors)
    return parts_of(rule, used.keep(ahead), float(runs.c[inside].max()))


def forecasts(rows: pd.DataFrame, drift: Array | float, ahead: Array | float) -> Predicted:
    """Return what ``Rule.predict`` gives with other constants, shape (rows,)."""
    known, run, further = (rows[name].to_numpy(float) for name in ("known", "run", "drift"))
    near = np.minimum(np.log(np.maximum(rows["ratio"].to_numpy(float), 1.0)), 1.0)
    drifted = np.asarray(drift * further)
    mu = rows["mu"].to_numpy(float) - ahead * near * np.sqrt(known + drifted**2)
    nothing = np.zeros_like(mu)
    left = rows["left"].to_numpy(float)
    return Predicted(mu, np.sqrt(known), nothing, run, drifted, START.least, left, mu[None])


def shares_below(rows: pd.DataFrame, drift: float, ahead: float) -> NDArray[np.bool_]:
    """Say which runs lie below each quantile of their forecasts, shape (7, rows)."""
    found = forecasts(rows, drift, ahead)
    tail = special.stdtr(found.degrees(), (rows["y"].to_numpy(float) - found.mu) / found.scale())
    return np.asarray(tail <= np.array(PROBABILITIES)[:, None])


def learn_constants(rows: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return drift and shift, by collection that was left out."""
    place = np.maximum(np.digitize(rows["ratio"], [least for least, _ in BINS]) - 1, 0)  # rounding puts some below 2
    names = sorted(rows["collection"].unique())
    owner = np.searchsorted(names, rows["collection"])
    size = rows.groupby(["table", "cut", place])["y"].transform("size")
    cells = rows.assign(place=place)[["collection", "table", "cut", "place"]].drop_duplicates()
    count = cells.groupby(["collection", "place"]).size()
    weight = np.array([count[key] for key in zip(rows["collection"], place, strict=True)]) ** -0.5 / size.to_numpy(
        float
    )
    total = np.zeros((len(names), len(BINS)))
    np.add.at(total, (owner, place), weight)
    grid = list(itertools.product(DRIFTS, SHIFTS))
    below = np.zeros((len(grid), len(PROBABILITIES), len(names), len(BINS)))
    for i, (drift, ahead) in enumerate(grid):
        for j, one in enumerate(shares_below(rows, drift, ahead)):
            np.add.at(below[i, j], (owner, place), weight * one)

    def misses(kept: NDArray[np.bool_]) -> Array:
        """Return the squared misses of the shares of some collections, for each point of the grid."""
        filled = total[kept].sum(axis=0)
        share = below[:, :, kept][..., filled > 0].sum(axis=2) / filled[filled > 0]
        return np.asarray(((share - np.array(PROBABILITIES)[:, None]) ** 2).sum(axis=(1, 2)))

    language = np.array([name not in OTHER for name in names])
    out = {}
    for without in (ALL, *names):
        kept = np.array([name != without for name in names])
        drift, ahead = grid[int(np.argmin(misses(kept) + PRETRAINING * misses(kept & language)))]
        out[without] = (float(drift), float(ahead))
    return out


def judge(rows: pd.DataFrame, constants: Mapping[str, tuple[float, float]]) -> BacktestResult:
    """Score the forecasts of each collection with the constants that were learned without it."""
    drift, ahead = (np.array([constants[name][i] for name in rows["collection"]]) for i in range(2))
    found = forecasts(rows, drift, ahead)
    ends = {name: found.mu + found.reach(2 * p - 1) for name, p in zip(QUANTILES, PROBABILITIES, strict=True)}
    judged = rows.assign(observed=rows["y"], method="forecast", **ends)
    return BacktestResult("public", judged, ("forecast",))


def main(folder: Path, *options: str) -> None:
    """Learn, print and write the table."""
    unshaped = {"unshaped": True} if "--unshaped" in options else {}
    public = public_cuts()
    collections = {table: collection for table, (collection, _, _) in public.items()}
    where = Jobs(folder=folder, workers=1)
    cells = {job_key({"table": table, "priors": repr(WEAK)}, "table"): {"table": table} for table in public}
    done = run_jobs(table_cell, cells, where, stage="tables").values()
    tables = {result.arguments["table"]: result.value for result in done if result.value is not None}
    priors = {name: learn_priors(tables, collections, name) for name in (ALL, *sorted(set(collections.values())))}
    cuts = {}
    for table, (collection, _, places) in public.items():
        packed = {role: list(prior) for role, prior in priors[collection].items()}
        for cut in places:
            arguments = {"table": table, "cut": cut, "priors": packed} | unshaped
            cuts[job_key(arguments, "cut")] = arguments
    parts = []
    for result in run_jobs(cut_cell, cuts, where, stage="cuts").values():
        about = {name: result.arguments[name] for name in ("table", "cut")}
        parts.append(pd.DataFrame(result.value).assign(**about, collection=collections[about["table"]]))
    rows = pd.concat(parts, ignore_index=True)
    constants = learn_constants(rows)
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(learned_row(name, *constants[name], priors[name]) for name in constants)
    print(file.getvalue())
    if not unshaped:
        write_atomically(Path(scalefit.forecasting.__path__[0]) / TABLE, file.getvalue().encode())
    found = judge(rows, constants)
    print(found)
    for name in VARIED:
        print(f"\n{name}, tables of params and tokens")
        own = found.rows[(found.rows["collection"] == name) & (found.rows["table"] != NO_TOKENS)]
        print(BacktestResult(name, own, ("forecast",)).score_table)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
