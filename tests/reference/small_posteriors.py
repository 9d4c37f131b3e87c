"""Are posteriors of small tables as wide as they should be? Importance sampling against an independent sampler.

Run ``python -m tests.reference.small_posteriors --folder FOLDER`` for the table. The tables have 12 to 20 rows,
simulated or drawn from shipped data. The independent sampler shares no code with the package: the posterior is written
again in plain numpy and in other coordinates, and 400 walkers move by stretches and by differences (Goodman and Weare
2010, ter Braak 2006). Every result is kept in the folder, one JSON file a problem and part; started again it goes on
where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special

from scalefit.data.datasets import load_dataset
from scalefit.posterior import bayes

Array = NDArray[np.float64]

LAW: Final = "loss ~ E + A/params^alpha + B/tokens^beta"
WALKERS, BURN, STEPS, THIN, BLOCKS = 400, 2000, 5000, 10, 10
SUBSETS: Final = {
    "chinchilla": "loss > 0",
    "porian": 'configuration == "rw-tuned-short-const-standard-val"',
    "marin_isoflop": 'train_set == "nemotron"',
    "open_lm": 'eval_set == "c4_val" and train_set == "c4_original"',
    "datablations": "unique_tokens == tokens",
}


@dataclass(frozen=True)
class Small:
    """A small table with the likelihood that it is fitted with."""

    name: str
    rows: pd.DataFrame
    likelihood: str


def problems(number: int) -> Iterator[Small]:
    """Yield simulated tables and parts of shipped ones in turn."""
    real = list(SUBSETS)
    for seed in range(number):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(12, 21))
        likelihood = "normal" if seed % 4 == 3 else "student_t"
        if seed % 2 == 0:
            yield Small(f"simulated-{seed}", simulated(n, rng), likelihood)
        else:
            name = real[(seed // 2) % len(real)]
            rows = load_dataset(name).query(SUBSETS[name])
            part = rows.sample(n=min(n, len(rows)), random_state=seed)[["params", "tokens", "loss"]]
            yield Small(f"{name}-{seed}", part.reset_index(drop=True), likelihood)


def simulated(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Simulate runs of a law like Chinchilla's."""
    params = np.exp(rng.uniform(np.log(2e7), np.log(10 ** rng.uniform(8.7, 10.3)), n))
    tokens = params * np.exp(rng.uniform(np.log(5), np.log(100), n))
    floor, alpha, beta = rng.uniform(1.4, 2.0), rng.uniform(0.25, 0.45), rng.uniform(0.25, 0.45)
    size, length = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8)  # of the terms at 1e9 parameters and 2e10 tokens
    loss = floor + size * (params / 1e9) ** -alpha + length * (tokens / 2e10) ** -beta
    scatter = np.exp(rng.uniform(np.log(0.002), np.log(0.03)))
    noise = scatter * (rng.standard_t(5, n) if rng.random() < 0.5 else rng.standard_normal(n))
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss * np.exp(noise)})


class PlainPosterior:
    """The posterior written once more: the law at the centre, log slopes there, exponents, log sigma and log nu.

    The slope of a term at the centre is its size times its exponent; the floor is the law there without the terms.
    """

    def __init__(self, one: Small) -> None:
        logs = np.log(one.rows[["params", "tokens"]].to_numpy(float))
        self.middle = logs.mean(axis=0)
        self.u = logs - self.middle
        self.y = np.log(one.rows["loss"].to_numpy(float))
        self.lowest = float(one.rows["loss"].min())
        self.student = one.likelihood == "student_t"
        self.size = 7 if self.student else 6

    def __call__(self, q: Array) -> Array:
        """Return the log density of points, shape (R, d) to (R,)."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            alpha, beta, sigma = q[:, 3], q[:, 4], np.exp(q[:, 5])
            a, b = np.exp(q[:, 1]) / alpha, np.exp(q[:, 2]) / beta
            floor = q[:, 0] - a - b
            inside = (alpha > 0) & (beta > 0) & (floor > 0) & (floor < self.lowest)
            prior = np.log(a * b) + q[:, 5] - math.log(self.lowest)
            prior += 5 * 0.5 * math.log(2 / math.pi) - math.log(0.1) - 0.5 * (sigma / 0.1) ** 2
            prior -= 0.5 * (a**2 + b**2 + alpha**2 + beta**2)
            law = floor[:, None] + a[:, None] * np.exp(-alpha[:, None] * self.u[:, 0])
            law += b[:, None] * np.exp(-beta[:, None] * self.u[:, 1])
            square = ((self.y - np.log(law)) / sigma[:, None]) ** 2
            if self.student:
                nu = np.exp(q[:, 6])
                prior += 2 * q[:, 6] + 2 * math.log(0.1) - 0.1 * nu
                row = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu * math.pi) - q[:, 5]
                fit = len(self.y) * row - 0.5 * (nu + 1) * np.log1p(square / nu[:, None]).sum(axis=1)
            else:
                fit = -len(self.y) * (q[:, 5] + 0.5 * math.log(2 * math.pi)) - 0.5 * square.sum(axis=1)
            value = prior + fit
        return np.where(inside & np.isfinite(value), value, -np.inf)

    def natural(self, q: Array) -> Array:
        """Return E, log A, log B, alpha, beta, sigma (and nu), the order in which the package has them."""
        exponent = q[:, 3:5]
        size = np.exp(q[:, 1:3]) / exponent
        floor = q[:, :1] - size.sum(axis=1, keepdims=True)
        return np.hstack([floor, np.log(size) + exponent * self.middle, exponent, np.exp(q[:, 5:])])

    def start(self, n: int, rng: np.random.Generator) -> Array:
        """Return points close to a good one: an ensemble that starts small grows, and leaves no walker behind."""
        many = 20_000
        exponent, size = np.exp(rng.normal(-1.2, 0.6, (many, 2))), np.exp(rng.normal(-1.2, 0.8, (many, 2)))
        first = size.sum(axis=1) + self.lowest * rng.random(many)
        spread = [rng.normal(-4.0, 1.0, many), *rng.normal(2.5, 0.8, (self.size - 6, many))]
        q = np.column_stack([first, np.log(size * exponent), exponent, *spread])
        best: Array = q[np.argmax(self(q))]
        for _ in range(3):
            best = np.asarray(optimize.minimize(lambda x: -self(x[None])[0], best, method="Nelder-Mead").x)
        points = best + 0.01 * np.abs(best) * rng.standard_normal((50 * n, self.size))
        return points[np.argsort(-self(points), kind="stable")[: 10 * n]][rng.permutation(10 * n)[:n]]


def walk(density: PlainPosterior, seed: int, steps: int = STEPS) -> Array:
    """Move an ensemble; return its thinned positions, shape (steps / THIN, WALKERS, d)."""
    rng = np.random.default_rng(seed)
    d, half = density.size, WALKERS // 2
    x = density.start(WALKERS, rng)
    height = density(x)
    kept = np.empty((steps // THIN, WALKERS, d))
    for step in range(BURN + steps):
        for which in (slice(0, half), slice(half, WALKERS)):
            rest = x[half:] if which.start == 0 else x[:half]
            own, kind = x[which], rng.random()
            if kind < 0.5:
                z = (1 + rng.random(half)) ** 2 / 2  # density 1/sqrt(z) on [1/2, 2]
                new = rest[rng.integers(half, size=half)]
                new = new + z[:, None] * (own - new)
                extra = (d - 1) * np.log(z)
            else:
                i, j = rng.integers(half, size=half), rng.integers(half - 1, size=half)
                j += j >= i
                gamma = 1.0 if kind > 0.9 else 2.38 / math.sqrt(2 * d) * math.exp(0.3 * rng.standard_normal())
                new = own + gamma * (rest[i] - rest[j]) + 1e-6 * rng.standard_normal((half, d))
                extra = np.zeros(half)
            value = density(new)
            moved = np.log(rng.random(half)) < value - height[which] + extra
            x[which] = np.where(moved[:, None], new, own)
            height[which] = np.where(moved, value, height[which])
        if step >= BURN and (step - BURN) % THIN == 0:
            kept[(step - BURN) // THIN] = x
    return kept


def bridge(density: PlainPosterior, x: Array, seed: int) -> float:
    """Return the log evidence by bridge sampling (Meng and Wong 1996) with a t distribution of the moments of x."""
    rng = np.random.default_rng(seed)
    n, d, nu = len(x), x.shape[1], 5.0
    mean, factor = x.mean(axis=0), np.linalg.cholesky(np.cov(x, rowvar=False) * 0.8)
    drawn = mean + (rng.standard_normal((n, d)) @ factor.T) * np.sqrt(nu / rng.chisquare(nu, n))[:, None]

    def log_t(points: Array) -> Array:
        square = (np.linalg.solve(factor, (points - mean).T) ** 2).sum(axis=0)
        constant = special.gammaln((nu + d) / 2) - special.gammaln(nu / 2) - 0.5 * d * math.log(nu * math.pi)
        return np.asarray(constant - np.log(np.diag(factor)).sum() - 0.5 * (nu + d) * np.log1p(square / nu))

    here, there = density(x) - log_t(x), density(drawn) - log_t(drawn)
    value = float(np.median(here))
    for _ in range(200):
        above = special.logsumexp(there - np.logaddexp(there, value))
        below = special.logsumexp(-np.logaddexp(here, value))
        value = float(above - below)
    return value


def summary(values: Array) -> dict[str, list[float]]:
    """Return mean, deviation and 90% interval of equally weighted draws, shape (R, d)."""
    low, high = np.quantile(values, [0.05, 0.95], axis=0)
    return {"mean": values.mean(axis=0).tolist(), "sd": values.std(axis=0).tolist(), "lo": low.tolist(),
            "hi": high.tolist()}  # fmt: skip


def independent(one: Small) -> dict[str, Any]:
    """Sample by walking, with errors from blocks of the walk."""
    density = PlainPosterior(one)
    start = time.process_time()
    x = walk(density, 1)
    blocks = [density.natural(part.reshape(-1, density.size)) for part in np.array_split(x, BLOCKS)]
    whole = summary(np.concatenate(blocks))
    parts = [summary(block) for block in blocks]
    errors = {
        key: (np.std([part[key] for part in parts], axis=0, ddof=1) / math.sqrt(BLOCKS)).tolist() for key in whole
    }
    evidence = [bridge(density, part.reshape(-1, density.size), 2) for part in np.array_split(x, 4)]
    return whole | {
        "error": errors, "log_evidence": float(np.mean(evidence)),
        "log_evidence_se": float(np.std(evidence, ddof=1) / 2), "cpu": time.process_time() - start,
    }  # fmt: skip


def by_importance(one: Small, seed: int) -> dict[str, Any]:
    """Sample by the fast path of the package."""
    start = time.process_time()
    fit = bayes(one.rows, LAW, likelihood=one.likelihood, path="fast", level=0.9, seed=seed, throw=False)
    seconds = time.process_time() - start
    spread, posterior = fit.uncertainty, fit.posterior
    return {
        "khat": posterior.khat, "ess": float(posterior.ess_bulk.min()), "mean": fit.point.tolist(),
        "sd": spread.se.tolist(), "lo": spread.lo.tolist(), "hi": spread.hi.tolist(), "cpu": seconds,
        "log_evidence": posterior.log_evidence, "log_evidence_se": posterior.log_evidence_se,
        "codes": [finding.code for finding in fit.findings],
    }  # fmt: skip


def by_nuts(one: Small) -> dict[str, Any]:
    """Sample by the full path of the package, four chains of 5,000 draws."""
    fit = bayes(one.rows, LAW, likelihood=one.likelihood, path="full", level=0.9, draws=20_000, throw=False)
    spread = fit.uncertainty
    return {"mean": fit.point.tolist(), "sd": spread.se.tolist(), "lo": spread.lo.tolist(), "hi": spread.hi.tolist(),
            "r_hat": float(fit.posterior.r_hat.max()), "divergences": fit.posterior.divergences,
            "ess": float(fit.posterior.ess_bulk.min())}  # fmt: skip


def kept(path: Path, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the result in a file, computed and written if there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        record = compute()
        part = path.with_suffix(".part")
        part.write_text(json.dumps(record), encoding="utf-8")
        part.rename(path)
    record = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(record, dict)
    return record


def gaps(found: dict[str, Any], truth: dict[str, Any]) -> dict[str, float]:
    """Return the largest errors among the parameters: in standard deviations, and of these as a ratio."""
    sd = np.array(truth["sd"])
    ratio = np.array(found["sd"]) / sd
    ends = np.concatenate([(np.array(found[end]) - np.array(truth[end])) / sd for end in ("lo", "hi")])
    return {
        "khat": found["khat"], "ess": found["ess"],
        "mean": float(np.abs((np.array(found["mean"]) - np.array(truth["mean"])) / sd).max()),
        "ratio": float(ratio[np.argmax(np.abs(np.log(ratio)))]), "E": float(ratio[0]),
        "ends": float(np.abs(ends).max()),
        "evidence": float(found["log_evidence"] - truth["log_evidence"]),
    }  # fmt: skip


def table(rows: Sequence[dict[str, float]]) -> str:
    """Print errors by k-hat: the middle one of ten, nine of ten, and the largest."""
    frame = pd.DataFrame(rows)
    lines = ["| k-hat | runs | mean | deviation | E's deviation | interval ends | log evidence |",
             "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for low, high in ((-9.0, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (0.6, 0.7), (0.7, 9.0)):
        some = frame[(frame["khat"] > low) & (frame["khat"] <= high)]
        if some.empty:
            continue
        cells = [
            " / ".join(f"{q:.2f}" for q in np.quantile(values, [0.5, 0.9, 1.0]))
            for values in (
                some["mean"], np.exp(np.abs(np.log(some["ratio"]))), np.exp(np.abs(np.log(some["E"]))), some["ends"],
                some["evidence"].abs(),
            )
        ]  # fmt: skip
        lines.append(f"| {low:.1f} to {high:.1f} | {len(some)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Sample every problem and print the errors by k-hat."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--nuts", nargs="*", default=[], help="Names of problems that NUTS samples as well.")
    options = parser.parse_args()
    rows, nuts = [], []
    for one in problems(options.problems):
        truth = kept(options.folder / "independent" / f"{one.name}.json", partial(independent, one))
        for seed in range(options.seeds):
            path = options.folder / "importance" / f"{one.name}-{seed}.json"
            found = kept(path, partial(by_importance, one, seed))
            rows.append(gaps(found, truth))
        if one.name in options.nuts:
            full = kept(options.folder / "nuts" / f"{one.name}.json", partial(by_nuts, one))
            nuts.append(gaps(full | {"khat": 0.0, "log_evidence": truth["log_evidence"]}, truth))
    print(table(rows))
    for found in nuts:
        print("NUTS:", {key: round(value, 3) for key, value in found.items() if key not in ("khat", "evidence")})


if __name__ == "__main__":
    main()
