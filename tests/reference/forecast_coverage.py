"""Whether the coverage that a rolling-origin backtest of one table prints is that of the forecast of larger runs.

500 simulated tables: half obey a coupled law, half drift away from it with compute. On each, forecasts learn from 45
and 70% of the runs and are judged on the rest, and the whole table is then used to forecast runs of 4 to 60 times its
compute. The share of intervals that held on the rolling origins is to be close to the share that held beyond the data.

Run by hand: ``python -m tests.reference.forecast_coverage [TABLES]``.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from scalefit.forecasting.rule import Constants, Runs, make_rule
from scalefit.quantiles import student_quantile

Array = NDArray[np.float64]

ORIGINS = (0.45, 0.7)
CONSTANTS = Constants(draws=1000)
REACH = student_quantile(0.95, CONSTANTS.degrees)


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
    found = make_rule(inside, constants=CONSTANTS).predict(ahead.x, ahead.c)
    return np.asarray(np.abs(ahead.y - found.mu) <= REACH * found.scale())


def main(tables: int) -> None:
    """Print both shares, without and with drift."""
    for drift in (0.0, 1.0):
        near, beyond = [], []
        for seed in range(tables // 2):
            runs, far = simulate(seed, drift)
            order = np.argsort(runs.c)
            for share in ORIGINS:
                count = int(np.ceil(share * len(order)))
                inside, rest = order[:count], order[count:]
                rest = rest[runs.c[rest] > runs.c[inside].max() + np.log(1.5)]
                if len(rest):
                    near.append(held(runs.keep(inside), runs.keep(rest)).mean())
            beyond.append(held(runs, far))
        shares = np.mean(beyond, axis=0)
        words = ", ".join(f"{100 * one:.0f}% at {ratio}" for one, ratio in zip(shares, ("4", "15", "60"), strict=True))
        error = 100 * np.std(near) / np.sqrt(len(near))
        print(
            f"drift {drift:g}: {tables // 2} tables; rolling origins held {100 * np.mean(near):.1f}% +- {error:.1f}; "
            f"beyond the data {words} times the compute",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
