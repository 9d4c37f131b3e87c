"""Whether the coverage that a rolling-origin backtest of one table prints is that of the forecast of larger runs.

500 simulated tables: half obey a coupled law, half drift away from it with compute. On each, forecasts learn from 45
and 70% of the runs and are judged on the rest, and the whole table is then used to forecast runs of 4 to 60 times its
compute. The share of intervals that held on the rolling origins is to be close to the share that held beyond the data.

Run by hand: ``python -m tests.reference.forecast_coverage [TABLES]``.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scalefit.forecasting.learned import learned
from scalefit.forecasting.rule import Runs, make_rule
from scalefit.quantiles import student_quantile

Array = NDArray[np.float64]

ORIGINS = (0.45, 0.7)
CONSTANTS = replace(learned().constants, draws=1000)
PRINT_EVERY = 50  # tables of each half


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


def held(inside: Runs, ahead: Runs) -> NDArray[np.bool_]:
    """Say which 90% intervals hold."""
    rule = make_rule(inside, constants=CONSTANTS)
    found = rule.predict(ahead.x, ahead.c)
    return np.asarray(np.abs(ahead.y - found.mu) <= student_quantile(0.95, rule.degrees) * found.scale())


def judge(seed: int, drift: float) -> tuple[list[float], NDArray[np.bool_]]:
    """Return the share of intervals that held on each rolling origin of one table, and which held beyond it."""
    runs, far = simulate(seed, drift)
    order, near = np.argsort(runs.c), []
    for share in ORIGINS:
        count = int(np.ceil(share * len(order)))
        inside, rest = order[:count], order[count:]
        rest = rest[runs.c[rest] > runs.c[inside].max() + np.log(1.5)]
        if len(rest):
            near.append(float(held(runs.keep(inside), runs.keep(rest)).mean()))
    return near, held(runs, far)


def main(tables: int) -> None:
    """Print both shares, without and with drift, now and then and at the end."""
    near: dict[float, list[float]] = {0.0: [], 1.0: []}
    beyond: dict[float, list[NDArray[np.bool_]]] = {0.0: [], 1.0: []}
    for seed in range(tables // 2):
        for drift in near:
            shares, far = judge(seed, drift)
            near[drift] += shares
            beyond[drift].append(far)
        if (seed + 1) % PRINT_EVERY and seed + 1 < tables // 2:
            continue
        for drift, own in near.items():
            far_shares = zip(np.mean(beyond[drift], axis=0), (4, 15, 60), strict=True)
            words = ", ".join(f"{100 * one:.0f}% at {times}" for one, times in far_shares)
            error = 100 * np.std(own) / np.sqrt(len(own))
            print(
                f"drift {drift:g}: {seed + 1} tables; rolling origins held {100 * np.mean(own):.1f}% +- {error:.1f}; "
                f"beyond the data {words} times the compute",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
