"""Do importance sampling and NUTS agree on every shipped law and data set?

Run ``python -m tests.reference.posteriors`` for the table. Both paths sample the same density in the same coordinates;
a gap counts against the Monte Carlo error of both means, and the deviations are compared as ratios.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from scalefit.posterior import bayes
from scalefit.results import Fit, PosteriorFit

HOT = {"where": 'subset == "hot_100b+" and eval_set == "Dolma"', "cluster": "run"}
C4 = {"where": 'eval_set == "c4_val"'}
CASES: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "chinchilla, params and tokens, 240, t": ("chinchilla", "chinchilla", {"drop_highest_loss": 5}),
    "chinchilla, width depth tokens, 240, t": ("chinchilla", "width_depth", {"drop_highest_loss": 5}),
    "chinchilla, width depth tokens, 203, normal": (
        "chinchilla", "width_depth", {"drop_highest_loss": 40, "likelihood": "normal"},
    ),
    "chinchilla, width depth tokens, 205, normal, shift": (
        "chinchilla", "width_depth",
        {"drop_highest_loss": 40, "ties": "keep", "likelihood": "normal", "cluster": "shape"},
    ),
    "chinchilla, width depth tokens, 205, t, shift": (
        "chinchilla", "width_depth", {"drop_highest_loss": 40, "ties": "keep", "cluster": "shape"},
    ),
    "chinchilla, exponents fixed, 240, t": ("chinchilla", "width_depth_fixed", {"drop_highest_loss": 5}),
    "chinchilla, universal, 240, t": ("chinchilla", "universal", {"drop_highest_loss": 5}),
    "families, one exponent, t": ("llm_families", "family_width", {}),
    "families, read points only, normal": (
        "llm_families", "family_width", {"where": "extracted == true", "likelihood": "normal"},
    ),
    "gemstones, width depth tokens, normal, shift": ("gemstones", "width_depth", {**HOT, "likelihood": "normal"}),
    "open_lm, width tokens, t": (
        "open_lm", "loss ~ E[train_set] + c_m/width^a_m + c_D/tokens^a_D", C4,
    ),
    "porian, params and tokens, normal": (
        "porian", "chinchilla",
        {"where": 'configuration == "rw-tuned-short-const-standard-val"', "likelihood": "normal"},
    ),
    "marin, params and tokens, t": ("marin_isoflop", "loss ~ E[train_set] + A/params^alpha + B/tokens^beta", {}),
}  # fmt: skip


def compare_paths(name: str, *, draws: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Sample one case both ways and return the largest disagreements."""
    data, law, options = CASES[name]
    paths: dict[str, Fit] = {}
    seconds = {}
    for path in ("fast", "full"):
        start = time.process_time()
        paths[path] = bayes(data, law, path=path, draws=draws, seed=seed, throw=False, **options)
        seconds[path] = time.process_time() - start
    fast, full = paths["fast"], paths["full"]
    assert isinstance(fast, PosteriorFit)
    assert isinstance(full, PosteriorFit)
    sd = full.uncertainty.se
    error = sd * np.sqrt(1 / fast.posterior.ess_bulk + 1 / full.posterior.ess_bulk)
    gap = (fast.point - full.point) / error
    worst = int(np.argmax(np.abs(gap)))
    return {
        "rows": fast.n_rows,
        "d": len(fast.names),
        "k-hat": fast.posterior.khat,
        "ESS fast": float(fast.posterior.ess_bulk.min()),
        "R-hat": float(full.posterior.r_hat.max()),
        "ESS full": float(full.posterior.ess_bulk.min()),
        "divergences": full.posterior.divergences,
        "worst gap, Monte Carlo errors": float(gap[worst]),
        "of": fast.names[worst],
        "gap in sd": float(np.max(np.abs(fast.point - full.point) / sd)),
        "sd ratio": tuple(float(x) for x in np.quantile(fast.uncertainty.se / sd, [0, 1])),
        "CPU s": tuple(round(x, 1) for x in seconds.values()),
        "status": (fast.status, full.status),
    }


def main() -> None:
    """Print one record per case."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--only", default="", help="Cases whose name contains this.")
    options = parser.parse_args()
    for name in (name for name in CASES if options.only in name):
        print(name)
        for key, value in compare_paths(name, draws=options.draws).items():
            print(f"  {key:30s} {value}", flush=True)


if __name__ == "__main__":
    main()
