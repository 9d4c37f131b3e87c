"""Posteriors of laws of any form by importance sampling and by NUTS, compared within their Monte Carlo errors.

Run ``python -m tests.reference.closed_posteriors``.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

import numpy as np

from scalefit.posterior import bayes

LAWS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "parscale": ("parscale", "parscale", {"priors": {"A": "LogNormal(16, 2)", "k": "HalfNormal(1)"}}),
    "kaplan": ("chinchilla", "kaplan", {"drop_highest_loss": 5, "priors": {"Nc": "LogNormal(30, 5)",
               "Dc": "LogNormal(31, 5)"}}),
    "annealing": ("annealing", "annealing", {"priors": {"C": "HalfNormal(1)"}}),
    "power_product": ("steplaw_optimum", "power_product", {"priors": {"c": "LogNormal(0, 3)"}}),
}  # fmt: skip


def main() -> None:
    """Print for every parameter the difference of the means in Monte Carlo errors, and the ratio of the widths."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--only", default="", help="one law")
    options = parser.parse_args()
    for name, (data, law, chosen) in LAWS.items():
        if options.only and name != options.only:
            continue
        fast, full = (
            bayes(data, law, path=path, draws=options.draws, throw=False, **chosen) for path in ("fast", "full")
        )
        print(f"\n{name}: {fast.status} by importance sampling, {full.status} by NUTS; k-hat {fast.posterior.khat:.2f}")
        for i, one in enumerate(fast.names):
            sd = (fast.uncertainty.se[i], full.uncertainty.se[i])
            error = np.hypot(sd[0] / np.sqrt(fast.posterior.ess_bulk[i]), sd[1] / np.sqrt(full.posterior.ess_bulk[i]))
            gap = (fast.point[i] - full.point[i]) / error
            print(f"  {one:8s} difference {gap:+5.2f} Monte Carlo errors, {gap * error / sd[1]:+.3f} sd; "
                  f"widths {sd[0] / sd[1]:.3f}; effective draws {fast.posterior.ess_bulk[i]:.0f} and "
                  f"{full.posterior.ess_bulk[i]:.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
