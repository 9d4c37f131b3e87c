"""How many clusters does an interval need? Coverage of nominal 95% intervals for 4 to 20 models of one family.

Each model is evaluated on four sets, as in the published families: its losses share the model's shift. Run
``python -m tests.reference.cluster_coverage`` for the table; ``--out`` keeps each simulated set as it is done.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pandas as pd

from scalefit.leastsq import fit
from scalefit.posterior import bayes

LAW = "loss ~ E[eval_set] + A/width^alpha"
FLOORS, SIZE, EXPONENT = (2.0, 2.3, 1.7, 2.2), 800.0, 1.0  # about those of OPT
SHIFT, ROW = 0.01, 0.003  # standard deviations of a model's shift and of a row, in ln loss
METHODS = ("pairs", "jackknife", "cluster", "posterior")


def synthetic(models: int, seed: int) -> pd.DataFrame:
    """Losses of ``models`` widths from 512 to 8,192, each on four sets."""
    rng = np.random.default_rng([seed, models])
    width = np.round(512 * 16 ** (np.arange(models) / (models - 1)))
    shift = SHIFT * rng.standard_normal(models)
    rows = [
        (f"m{k}", f"set{s}", w, (floor + SIZE / w**EXPONENT) * np.exp(shift[k] + ROW * rng.standard_normal()))
        for k, w in enumerate(width)
        for s, floor in enumerate(FLOORS)
    ]
    return pd.DataFrame(rows, columns=["model", "eval_set", "width", "loss"])


def interval(table: pd.DataFrame, method: str, seed: int) -> tuple[float, float]:
    """Interval of the exponent by one method, clusters being models."""
    if method == "posterior":
        result = bayes(
            table, LAW, cluster="model", likelihood="normal", path="fast", draws=2000, seed=seed, throw=False
        )
    else:
        result = fit(table, LAW, cluster="model", uncertainty=method, bootstrap=1000, seed=seed, throw=False)
    return result["alpha"].lo, result["alpha"].hi


def main() -> None:
    """Print the share of intervals that contain the true exponent, and their median width."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sets", type=int, default=300)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--models", nargs="+", type=int, default=[4, 6, 8, 12, 20])
    parser.add_argument("--out", type=Path, required=True, help="CSV of every interval, which resumes")
    options = parser.parse_args()
    done: dict[tuple[str, ...], tuple[float, float]] = {}
    if options.out.exists():
        with options.out.open() as stream:
            done = {(m, k, s): (float(lo), float(hi)) for m, k, s, lo, hi in csv.reader(stream)}
    with options.out.open("a", newline="") as stream:
        writer = csv.writer(stream)
        for models in options.models:
            for method in options.methods:
                for seed in range(options.sets):
                    key = (method, str(models), str(seed))
                    if key not in done:
                        done[key] = interval(synthetic(models, seed), method, seed)
                        writer.writerow([*key, *done[key]])
                        stream.flush()
                ends = np.array([done[method, str(models), str(seed)] for seed in range(options.sets)])
                finite = np.isfinite(ends).all(axis=1)
                hit = (ends[:, 0] <= EXPONENT) & (ends[:, 1] >= EXPONENT)
                print(
                    f"{models:3d} models  {method:10s} covers {hit[finite].mean():.1%} of {finite.sum()}, "
                    f"median width {np.median(np.diff(ends[finite])):.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
