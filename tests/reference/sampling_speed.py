"""Effective draws per CPU second of sampling, ours beside the model as one would write it in PyMC, in one run.

Run ``python -m tests.reference.sampling_speed``. Same posterior (width, depth and tokens on 205 Chinchilla runs, normal
errors, same priors), sampler and settings; compilation is not counted. The plain model centres the columns already:
with raw coefficients it does not sample at all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import arviz as az
import numpy as np
import nutpie
import pymc as pm

from scalefit.posterior import bayes
from scalefit.posterior.fit import COVERED
from scalefit.posterior.importance import sample_by_importance
from scalefit.posterior.mode import Mode
from scalefit.posterior.nuts import build_model
from scalefit.posterior.rebuild import density_of
from scalefit.posterior.starts import find_modes
from scalefit.results import Fit
from scalefit.solver.search import search

CHAINS = 4


def plain_model(fit: Fit) -> Any:
    """Write the posterior the plain way: floor, sizes at the centre, exponents, scatter, each sampled as it is."""
    rows = fit.rows
    logs = np.log(rows[["width", "depth", "tokens"]].to_numpy(float))
    centred = logs - logs.mean(axis=0)
    target = np.log(rows["loss"].to_numpy(float))
    with pm.Model() as model:
        floor = pm.Uniform("E", 0.0, float(rows["loss"].min()))
        size = pm.HalfNormal("size", 1.0, shape=3)
        exponent = pm.HalfNormal("exponent", 1.0, shape=3)
        sigma = pm.HalfNormal("sigma", 0.1)
        mean = pm.math.log(floor + (size * pm.math.exp(-exponent * centred)).sum(axis=1))
        pm.Normal("log_loss", mean, sigma, observed=target)
    return model


def sample(model: Any, draws: int, seed: int) -> tuple[Any, float]:
    """Compile, then sample and time the sampling in CPU seconds."""
    compiled = nutpie.compile_pymc_model(model)
    start = time.process_time()
    trace = nutpie.sample(
        compiled, draws=draws, tune=1000, chains=CHAINS, cores=2, seed=seed, progress_bar=False, save_warmup=False
    )
    return trace, time.process_time() - start


def report(name: str, values: dict[str, np.ndarray[Any, Any]], seconds: float, divergences: int) -> None:
    """Print the worst parameter's figures; ``values`` hold arrays of shape (chain, draw)."""
    ess = {key: float(az.ess(value)) for key, value in values.items()}
    r_hat = {key: float(az.rhat(value)) for key, value in values.items()}
    worst = min(ess, key=lambda key: ess[key])
    print(
        f"{name:34s} bulk ESS {ess[worst]:7.0f} ({worst})  R-hat {max(r_hat.values()):.4f}  divergences {divergences}  "
        f"sampling {seconds:6.2f} CPU s  ESS per CPU s {ess[worst] / seconds:8.0f}",
        flush=True,
    )


def main() -> None:
    """Measure importance sampling, NUTS in our coordinates, NUTS in the plain ones."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--draws", type=int, default=1000, help="Per chain.")
    draws = parser.parse_args().draws
    options: dict[str, Any] = {"likelihood": "normal", "drop_highest_loss": 40, "ties": "keep", "path": "fast"}
    fit = bayes("chinchilla", "width_depth", **options)
    density = density_of(fit)
    modes = find_modes(density, search(density.problem.design), seed=0)
    start = time.process_time()
    stacks: list[Callable[[Mode], Any]] = [lambda m: m.x, lambda m: m.frame, lambda m: m.log_mass]
    placed = (np.array([f(mode) for mode in modes]) for f in stacks)
    weighted = sample_by_importance(density, *placed, draws=20_000, covered=COVERED)
    seconds = time.process_time() - start
    print(f"importance sampling: ESS {weighted.ess:.0f} of 20000 in {seconds:.2f} CPU s, k-hat {weighted.khat:.2f}")

    mode = modes[0]
    trace, seconds = sample(build_model(density, mode), draws, 0)
    z = np.asarray(trace.posterior["z"].values)
    natural = density.natural(mode.x + z @ mode.frame.T)
    values = {name: natural[..., i] for i, name in enumerate(fit.names)}
    report("NUTS, whitened at the mode", values, seconds, int(trace.sample_stats["diverging"].values.sum()))

    trace, seconds = sample(plain_model(fit), draws, 0)
    posterior = trace.posterior
    values = {name: np.asarray(posterior[name].values) for name in ("E", "sigma")}
    for name in ("size", "exponent"):
        values |= {f"{name} {k}": np.asarray(posterior[name].values)[..., k] for k in range(3)}
    report("NUTS, plain PyMC model", values, seconds, int(trace.sample_stats["diverging"].values.sum()))


if __name__ == "__main__":
    main()
