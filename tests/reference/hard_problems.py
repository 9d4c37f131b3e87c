"""Hard fitting problems with a brute-force answer, to measure how often the search misses the global optimum.

Run ``python -m tests.reference.hard_problems --problems 500`` for the table; the test uses a short form.
The brute force shares nothing with the search's choice of starts: it draws floors, term sizes and exponents at
random and minimises from each of them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from scalefit.solver.batch import minimise_batch
from scalefit.solver.design import Array, Design, SegmentedLaw, build_design
from scalefit.solver.search import search

EXPONENTS = (0.1, 0.6)  # of the truth; also one term in five is steep (up to 1.5)


@dataclass(frozen=True)
class Outcome:
    """One comparison: objectives of the search and of the brute force."""

    terms: int
    huber: bool
    found: float
    brute: float

    @property
    def missed(self) -> bool:
        """True when the brute force is lower by more than 1e-10 of the objective."""
        return self.found > self.brute * (1 + 1e-10)


def hard_problem(seed: int, n_terms: int) -> Design:
    """Draw a problem: 30 to 240 rows, noise 0.2 to 5% (normal or Student-t), correlated columns."""
    rng = np.random.default_rng([seed, n_terms])
    n = int(rng.integers(30, 241))
    correlation = rng.choice([0.0, 0.5, 0.9, 0.97])
    shared = rng.uniform(size=n)
    spans = rng.uniform(1.0, 4.0, n_terms) * np.log(10)
    x = [span * (correlation * shared + (1 - correlation) * rng.uniform(size=n)) for span in spans]
    exponents = np.where(
        rng.uniform(size=n_terms) < 0.2, rng.uniform(0.6, 1.5, n_terms), rng.uniform(*EXPONENTS, n_terms)
    )
    sizes = rng.lognormal(0.0, 0.7, n_terms)
    floor = rng.choice([0.0, rng.uniform(0.3, 2.0)])
    loss = floor + sum(c * np.exp(-a * v) for c, a, v in zip(sizes, exponents, x, strict=True))
    noise = np.exp(rng.uniform(np.log(0.002), np.log(0.05)))
    error = rng.normal(size=n) if rng.uniform() < 0.5 else rng.standard_t(3, size=n)
    terms = np.arange(n_terms)[None]
    law = SegmentedLaw(
        response=loss * np.exp(noise * error), log_x=-np.array(x), weight=np.ones(n),
        bounds=np.array([0, n]), floor=np.zeros(1, dtype=np.int64), coef=terms, expo=terms, fixed_floor=0.0,
        fixed_log_coef=np.zeros(n_terms), fixed_expo=np.zeros(n_terms), n_floor=1, n_coef=n_terms, n_expo=n_terms,
    )  # fmt: skip
    return build_design(law)


def brute_force(design: Design, delta: float, starts: int, seed: int) -> Array:
    """Lowest F over many random starts, and the point; shape (1 + P,)."""
    rng = np.random.default_rng(seed)
    law = design.law
    floor = rng.uniform(0.0, law.response.min(), (starts, 1))
    size = np.log(law.response.mean()) + rng.normal(-1.0, 1.0, (starts, law.n_coef))
    exponent = np.exp(rng.uniform(np.log(0.02), np.log(3.0), (starts, law.n_expo)))
    minima = minimise_batch(design, np.hstack([floor, size, exponent]), delta=delta)
    best = int(np.argmin(minima.value))
    return np.concatenate([minima.value[best : best + 1], minima.theta[best]])


def compare(seed: int, n_terms: int, *, delta: float, starts: int) -> Outcome:
    """Solve one problem both ways."""
    design = hard_problem(seed, n_terms)
    found = search(design, delta=delta)[0].value
    return Outcome(n_terms, bool(np.isfinite(delta)), found, brute_force(design, delta, starts, seed)[0])


def main() -> None:
    """Print misses for each number of terms and each objective."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--problems", type=int, default=500, help="per objective")
    parser.add_argument("--starts", type=int, default=200, help="random starts of the brute force")
    options = parser.parse_args()
    each = -(-options.problems // 4)
    total = missed = 0
    print("terms  objective  problems  missed  brute missed  worst gap")
    for delta in (np.inf, 1e-3):
        for n_terms in (1, 2, 3, 4):
            outcomes = [compare(seed, n_terms, delta=delta, starts=options.starts) for seed in range(each)]
            misses = sum(outcome.missed for outcome in outcomes)
            reverse = sum(outcome.brute > outcome.found * (1 + 1e-10) for outcome in outcomes)
            worst = max(outcome.found / outcome.brute - 1 for outcome in outcomes)
            name = "squares" if delta == np.inf else "Huber"
            print(f"{n_terms:5d}  {name:9s}  {each:8d}  {misses:6d}  {reverse:12d}  {worst:9.1e}", flush=True)
            total, missed = total + each, missed + misses
    print(f"search never above brute force by 1e-10 in {1 - missed / total:.2%} of {total} problems")


if __name__ == "__main__":
    main()
