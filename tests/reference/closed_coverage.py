"""How often 95% intervals of laws of any form cover the truth, on published designs with simulated errors.

Run ``python -m tests.reference.closed_coverage --sets 200``. The truth is the published fit; errors are normal with the
published scatter, so that pairs bootstrap, HC3 and Gauss-Newton should all reach 95%.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Final

import numpy as np

from scalefit.closed.curvature import closed_curvature
from scalefit.closed.descent import Misfit
from scalefit.closed.design import Array, ClosedDesign
from scalefit.closed.resample import refit_resamples
from scalefit.closed.search import search_closed
from scalefit.leastsq.covariance import gauss_newton, sandwich
from scalefit.quantiles import student_quantile
from scalefit.solver.batch import BOOTSTRAP, Resampling
from tests.reference.closed_problems import designs

DESIGNS: Final = ("annealing", "kaplan", "sigmoid")
LEVEL: Final = 0.95


def intervals(design: ClosedDesign, found: Array, replicates: int, seed: int) -> dict[str, tuple[Array, Array]]:
    """Return both ends of the intervals by each method."""
    n = len(design.response)
    shape = closed_curvature(design, found, np.inf)
    reach = student_quantile((1 + LEVEL) / 2, n - len(found))
    out = {}
    for name, covariance in (("Gauss-Newton", gauss_newton), ("HC3", sandwich)):
        half = reach * np.sqrt(np.diag(covariance(shape, design.weight)))
        out[name] = found - half, found + half
    resampling = Resampling(BOOTSTRAP, np.arange(n), n, seed, len(found) + 1)
    draws = refit_resamples(design, found[None], resampling, replicates=range(replicates), delta=np.inf).theta
    out["pairs"] = tuple(np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0))
    return out


def main() -> None:
    """Print the share of intervals that cover the truth, by design, method and parameter."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--replicates", type=int, default=500)
    options = parser.parse_args()
    for name, design, truth, noise in designs():
        if name not in DESIGNS:
            continue
        fitted = design.target - Misfit(design.plain).residual(truth[None])[0]
        hits: dict[str, Array] = {}
        for seed in range(options.sets):
            drawn = fitted + noise * np.random.default_rng([seed, 3]).standard_normal(len(fitted))
            problem = replace(design, response=np.exp(drawn) if design.log_space else drawn)
            found = search_closed(problem, seed=seed)[0].theta
            for method, (lo, hi) in intervals(problem, found, options.replicates, seed).items():
                hits[method] = hits.get(method, np.zeros(len(truth))) + ((lo <= truth) & (truth <= hi))
        print(f"\n{name}, {len(fitted)} rows, {options.sets} sets, {options.replicates} resamples; {design.parameters}")
        for method, count in hits.items():
            share = count / options.sets
            print(f"{method:14s} {share.mean():.1%}   {' '.join(f'{value:.1%}' for value in share)}", flush=True)


if __name__ == "__main__":
    main()
