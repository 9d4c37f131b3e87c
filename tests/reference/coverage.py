"""How often do nominal 95% intervals cover the truth? Measured on the Chinchilla design with known parameters.

Run ``python -m tests.reference.coverage`` for the table. ``equal`` gives every run the same scatter; ``unequal`` gives
the runs with the fewest tokens three times as much, as in the published data.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalefit.data.datasets import load_dataset
from scalefit.leastsq import fit
from scalefit.solver.design import Array

TRUTH = {"E": 1.82, "A": 480.0, "B": 2100.0, "alpha": 0.347, "beta": 0.367}
LAW = "loss ~ E + A/params^alpha + B/tokens^beta"


def synthetic(seed: int, scatter: str) -> pd.DataFrame:
    """Chinchilla's params and tokens with losses from TRUTH and log-normal noise."""
    rows = load_dataset("chinchilla").nsmallest(240, "loss", keep="first")[["params", "tokens"]]
    rng = np.random.default_rng([seed, len(scatter)])
    clean = TRUTH["E"] + TRUTH["A"] / rows["params"] ** TRUTH["alpha"] + TRUTH["B"] / rows["tokens"] ** TRUTH["beta"]
    size = np.full(len(rows), 0.005)
    if scatter == "unequal":
        size *= 0.8 + 1.6 * (rows["tokens"].rank(ascending=False).to_numpy() / len(rows)) ** 4
    return rows.assign(loss=clean * np.exp(size * rng.standard_normal(len(rows))))


def coverage(sets: int, replicates: int, *, scatter: str, loss: str, methods: Sequence[str]) -> pd.DataFrame:
    """Share of intervals that contain the truth: one row per method, one column per parameter."""
    hits: dict[str, Array] = {method: np.zeros(len(TRUTH)) for method in methods}
    for seed in range(sets):
        table = synthetic(seed, scatter)
        for method in methods:
            result = fit(table, LAW, loss=loss, uncertainty=method, bootstrap=replicates, seed=seed, throw=False)
            hits[method] += [estimate.lo <= TRUTH[estimate.name] <= estimate.hi for estimate in result.estimates]
    return pd.DataFrame({method: count / sets for method, count in hits.items()}, index=list(TRUTH)).T


def main() -> None:
    """Print coverage for both kinds of scatter and both losses."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=1000)
    options = parser.parse_args()
    for scatter in ("equal", "unequal"):
        for loss in ("squared", "huber"):
            print(f"\n{scatter} scatter, {loss} loss, {options.sets} sets, nominal 95%")
            methods = ("pairs", "hc3", "gauss-newton", "profile")
            table = coverage(options.sets, options.replicates, scatter=scatter, loss=loss, methods=methods)
            print(table.map(lambda share: f"{share:.1%}").to_string(), flush=True)


if __name__ == "__main__":
    main()
