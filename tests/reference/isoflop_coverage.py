"""How often do the 95% intervals of approach 2 cover the exponent? Simulated isoFLOP designs, known truth.

Run ``python -m tests.reference.isoflop_coverage`` for the table. Runs follow a law like Chinchilla's, whose best size
grows with a known power of the compute. Each budget has log-spaced sizes, from a quarter to four times a centre that
misses the best size by up to 40%, as an experimenter's would. ``noise`` is the relative scatter of the loss; ``shift``
moves the best size of each budget by a random factor that its runs share (a recipe tuned per budget), so that their
minima scatter beyond what the noise explains.

Four intervals are compared: ``scatter`` alone (what scalefit did before), ``errors`` alone (those of the minima,
propagated), ``bootstrap`` (the runs of each budget resampled by their leverage-corrected residuals, parabolas and line
refitted, percentiles), and ``wider``, that of scalefit now, the wider of the first two. ``narrow`` is the share of
data sets whose interval is less than half as wide as it would have to be with everything known.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalefit.allocation.profiles import approach
from scalefit.allocation.sweeps import PARABOLA, Approach

E, A, B, ALPHA, BETA = 1.82, 480.0, 2100.0, 0.347, 0.367
TRUTH = BETA / (ALPHA + BETA)
STEP = {4: 3.0, 8: 3.0, 16: 2.0}  # ratio of neighbouring budgets, by their number
FIRST = 1e18  # FLOP
METHODS = ("scatter", "errors", "bootstrap", "wider")


def simulated(budgets: int, sizes: int, noise: float, shift: float, seed: int) -> list[pd.DataFrame]:
    """Runs of each budget: params, tokens, flops, loss."""
    rng = np.random.default_rng([seed, budgets, sizes])
    groups = []
    for compute in FIRST * STEP[budgets] ** np.arange(budgets):
        best = math.log((ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA)) * (compute / 6) ** TRUTH)
        log_size = best + rng.uniform(-0.4, 0.4) + np.linspace(-math.log(4), math.log(4), sizes)
        moved = log_size - shift * rng.standard_normal()
        loss = E + A * np.exp(-ALPHA * moved) + B * np.exp(-BETA * (math.log(compute / 6) - moved))
        loss *= np.exp(noise * rng.standard_normal(sizes))
        params = np.exp(log_size)
        groups.append(pd.DataFrame({"params": params, "tokens": compute / 6 / params, "flops": compute, "loss": loss}))
    return groups


def bootstrap(result: Approach, groups: Sequence[pd.DataFrame], replicates: int, seed: int) -> tuple[float, float]:
    """Percentiles of the slope with residuals resampled within budgets; resamples without a minimum are left out."""
    rng = np.random.default_rng([seed, replicates])
    kept = {point.compute for point in result.points}
    log_c, minima = [], []
    for group in groups:
        compute = math.exp(float(np.log(group["flops"].to_numpy()).mean()))
        if compute not in kept:
            continue
        x = np.log(group["params"].to_numpy())
        x = x - x.mean()
        design = np.stack([np.ones_like(x), x, x**2], axis=1)
        solve = np.linalg.pinv(design)
        loss = group["loss"].to_numpy()
        fitted = design @ (solve @ loss)
        rest = (loss - fitted) / np.sqrt(1 - np.einsum("ij,ji->i", design, solve))
        rest -= rest.mean()
        again = (fitted + rng.choice(rest, (replicates, len(x)))) @ solve.T
        with np.errstate(divide="ignore", invalid="ignore"):
            place = -again[:, 1] / (2 * again[:, 2])
        inside = (again[:, 2] > 0) & (place > x.min()) & (place < x.max())
        minima.append(np.where(inside, np.log(group["params"].to_numpy()).mean() + place, np.nan))
        log_c.append(math.log(compute))
    centred = np.array(log_c) - np.mean(log_c)
    slopes = centred @ np.array(minima) / (centred @ centred)
    lo, hi = np.nanquantile(slopes, [0.025, 0.975])
    return float(lo), float(hi)


def coverage(budgets: int, sizes: int, noise: float, shift: float, sets: int, replicates: int) -> dict[str, float]:
    """Share of intervals that contain the truth, by method, and their width.

    ``lines`` is the share of data sets with a line; the others enter nothing.
    """
    ends: dict[str, list[tuple[float, float]]] = {method: [] for method in METHODS}
    slopes = []
    for seed in range(sets):
        groups = simulated(budgets, sizes, noise, shift, seed)
        result = approach(PARABOLA, "params", groups, 0.95)
        if not result.found:
            continue
        value = result.exponent.value
        slopes.append(value)
        ends["scatter"].append((value - result.line.from_scatter, value + result.line.from_scatter))
        ends["errors"].append((value - result.line.from_errors, value + result.line.from_errors))
        ends["wider"].append((result.exponent.lo, result.exponent.hi))
        if replicates:
            ends["bootstrap"].append(bootstrap(result, groups, replicates, seed))
    half = 1.96 * float(np.std(slopes))  # of the width that normal slopes of known scatter would need
    report = {"lines": len(slopes) / sets}
    for method, pairs in ends.items():
        if pairs:
            lo, hi = np.array(pairs).T
            report[method] = float(np.mean((lo <= TRUTH) & (hi >= TRUTH)))
            report[f"width {method}"] = float(np.median(hi - lo))
            report[f"narrow {method}"] = float(np.mean(hi - lo < half))
    return report


def main() -> None:
    """Print coverage, median width and the share of intervals that are far too narrow, for every design."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=300)
    options = parser.parse_args()
    rows = {
        (budgets, sizes, f"{noise:.1%}", f"{shift:.0%}"): coverage(
            budgets, sizes, noise, shift, options.sets, options.replicates
        )
        for budgets in STEP
        for sizes in (7, 4)
        for noise, shift in ((0.002, 0.0), (0.005, 0.0), (0.01, 0.0), (0.002, 0.1), (0.005, 0.1), (0.01, 0.3))
    }
    table = pd.DataFrame(rows).T.rename_axis(["budgets", "sizes", "noise", "shift"])
    print(f"{options.sets} sets, nominal 95%, truth {TRUTH:.3f}")
    for title, columns, digits in (
        ("Coverage", ["lines", *METHODS], "{:.1%}"),
        ("Median width", [f"width {method}" for method in METHODS], "{:.3f}"),
        ("Share less than half as wide as needed", [f"narrow {method}" for method in METHODS], "{:.1%}"),
    ):
        known = [column for column in columns if column in table]
        print(f"\n{title}\n{table[known].map(digits.format).to_string()}", flush=True)


if __name__ == "__main__":
    main()
