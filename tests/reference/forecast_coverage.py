"""Whether the coverage that a rolling-origin backtest of one table prints is that of the forecast of larger runs.

500 simulated tables: half obey a coupled law, half drift away from it with compute. On each, forecasts learn from 45
and 70% of the runs and are judged on the rest, and the whole table is then used to forecast runs of 4 to 60 times its
compute. The share of intervals that held on the rolling origins is to be close to the share that held beyond the data.

Run by hand: ``python -m tests.reference.forecast_coverage [TABLES]``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.forecasting.learned import learned
from scalefit.forecasting.result import OwnBacktest
from scalefit.forecasting.rule import Runs, make_rule
from scalefit.jobs import job_key, run_jobs
from scalefit.options import Jobs
from tests.reference.learn_forecast import START, forecasts, parts_of

Array = NDArray[np.float64]

ORIGINS = (0.45, 0.7)
DRAWS = 1000
BEYOND = 1.5  # times the compute of an origin that its targets have at least


def simulate(seed: int, drift: float) -> tuple[Runs, Runs]:
    """Return runs up to 1e20 FLOP and some beyond, whose exponents change slowly with compute where drift is not 0."""
    rng = np.random.default_rng(seed)
    log_c = rng.uniform(np.log(1e17), np.log(1e20), 24)
    far = np.log(1e20) + np.log([4.0, 15.0, 60.0])
    c = np.concatenate([log_c, far])
    ratio = rng.uniform(np.log(5), np.log(100), len(c))
    params, tokens = 0.5 * (c - np.log(6) - ratio), 0.5 * (c - np.log(6) + ratio)
    floor, a, b = rng.uniform(1.2, 2.2), rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.5)
    g, noise = rng.uniform(0.5, 1.0), rng.uniform(0.002, 0.008)
    middle = np.log(1e19 / 6) / 2
    terms = np.exp(0.3 - a * (params - middle)) + np.exp(0.3 - b * (tokens - middle))
    bend = drift * noise * rng.standard_normal() * (c - np.log(1e17)) ** 2 / np.log(1e3)
    y = np.log(floor + terms**g) + bend + noise * rng.standard_t(4, len(c)) / np.sqrt(2)
    runs = Runs(("params", "tokens"), np.stack([params, tokens], axis=1), y, c)
    return runs.keep(np.arange(24)), runs.keep(np.arange(24, len(c)))


def table_cell(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of the forecasts from each rolling origin of one table, and of those beyond it."""
    runs, far = simulate(arguments["seed"], arguments["drift"])
    constants, order, near = replace(START, draws=DRAWS), np.argsort(runs.c), []
    for share in ORIGINS:
        count = int(np.ceil(share * len(order)))
        inside, rest = order[:count], order[count:]
        most = float(runs.c[inside].max())
        rest = rest[runs.c[rest] > most + np.log(BEYOND)]
        if len(rest):
            near.append(parts_of(make_rule(runs.keep(inside), constants=constants), runs.keep(rest), most))
    return {"near": near, "far": parts_of(make_rule(runs, constants=constants), far, float(runs.c.max()))}


def held(parts: Mapping[str, Any], probability: float = 0.9) -> NDArray[np.bool_]:
    """Say which intervals hold."""
    rows, own = pd.DataFrame(parts), learned().constants
    found = forecasts(rows, own.drift, own.ahead)
    return np.asarray(np.abs(rows["y"] - found.mu) <= found.reach(probability))


def main(folder: Path, tables: int) -> None:
    """Print the shares on origins and beyond the table, and how often the printed range holds either."""
    asked = [{"seed": seed, "drift": drift} for seed in range(tables // 2) for drift in (0.0, 1.0)]
    cells = {job_key({**table, "draws": DRAWS}, "table"): table for table in asked}
    done = run_jobs(table_cell, cells, Jobs(folder=folder, workers=1), stage="tables").values()
    for drift in (0.0, 1.0):
        values = [result.value for result in done if result.arguments["drift"] == drift and result.value is not None]
        near = [[held(share) for share in value["near"]] for value in values]
        origins = np.array([own.mean() for share in near for own in share])
        far = np.mean([held(value["far"]) for value in values], axis=0)
        ranges = [
            OwnBacktest(len(share), sum(map(len, share)), 1.0, 0.0, 0.0, float(np.concatenate(share).mean())).range90
            for share in near
        ]
        inside = {
            name: np.mean([low <= share <= high for low, high in ranges])
            for name, share in {"origins": origins.mean(), "beyond": far.mean()}.items()
        }
        error = origins.std() / np.sqrt(len(origins))
        words = ", ".join(f"{100 * share:.1f}% at {times}" for share, times in zip(far, (4, 15, 60), strict=True))
        print(
            f"drift {drift:g}: {len(values)} tables; rolling origins held {100 * origins.mean():.1f}% +- "
            f"{100 * error:.1f}; beyond the data {words} times the compute; the printed range of a table's share holds "
            f"the mean share on origins in {100 * inside['origins']:.0f}% of the tables, that beyond the data in "
            f"{100 * inside['beyond']:.0f}%"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 500)
