"""How often the hint of a mixture names the right label, and how often it names one where there is none.

Run by hand: ``python -m tests.reference.mixture_hints``. Tables have the shapes of real ones: checkpoints of runs of
one size each, one row a run, three corpora, few runs, repeated seeds. Every table has labels that mean nothing as well:
a random one, the name of the run, the class of size, an optimizer that is used more often for large models. A third of
the tables without a mixture is fitted with a law that lacks params, where the hint is to name params and no label.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Final

import numpy as np
import pandas as pd

import scalefit

SHAPES: Final = ("checkpoints", "final", "interleaved", "three", "few runs", "seeds")
LAW: Final = "loss ~ E + A/params^alpha + B/tokens^beta"
SHORT: Final = "loss ~ E + A/tokens^beta"


def simulated(shape: str, gap: float, seed: int, *, noise: float = 0.004) -> pd.DataFrame:
    """Make a table of one shape in which the labels of ``corpus`` differ in loss by ``gap``, a difference of logs."""
    rng = np.random.default_rng([seed, SHAPES.index(shape)])
    sizes = np.exp(np.sort(rng.uniform(np.log(1e7), np.log(2e9), 12)))
    rows = []
    if shape == "final":
        sizes = np.exp(rng.uniform(np.log(1e7), np.log(2e9), 30))
        rows = [(f"run{i}", "ab"[rng.integers(2)], n, 20 * n * rng.uniform(0.3, 3)) for i, n in enumerate(sizes)]
    elif shape == "seeds":
        rows = [
            (f"run{i}s{s}", "ab"[i % 2], n, 20 * n * t)
            for i, n in enumerate(sizes) for t in (0.5, 1, 3) for s in range(2)
        ]  # fmt: skip
    else:
        kept = sizes[:4] if shape == "few runs" else sizes
        corpora = {"three": "abc", "interleaved": "aab"}.get(shape, "ab")
        rows = [
            (f"run{i}", corpora[i % len(corpora)], n, d)
            for i, n in enumerate(kept) for d in np.geomspace(1e9, 6e10, 8)
        ]  # fmt: skip
    data = pd.DataFrame(rows, columns=["run", "corpus", "params", "tokens"])
    shift = data["corpus"].map({"a": 0.0, "b": gap, "c": -gap})
    data["loss"] = 1.7 + 400 / data["params"] ** 0.34 + 410 / data["tokens"] ** 0.28
    data["loss"] *= np.exp(shift + noise * rng.standard_normal(len(data)))
    data["note"] = rng.choice(["x", "y", "z"], len(data))
    data["class"] = pd.cut(np.log10(data["params"]), [0, 7.7, 8.5, 20], labels=["S", "M", "L"]).astype(str)
    large = data["params"].rank(pct=True) + 0.5 * rng.standard_normal(len(data)) > 0.5
    data["optimizer"] = np.where(large, "adam", "sgd")
    return data


def hint(data: pd.DataFrame, law: str) -> str:
    """Return the message of a mixture that a fit gives; empty without one."""
    found = scalefit.fit(data, law, bootstrap=0, throw=False).findings
    return next((finding.message for finding in found if finding.code in ("mixed_rows", "repeats_differ")), "")


def main() -> None:
    """Print the counts."""
    named: Counter[tuple[str, float]] = Counter()
    other: Counter[tuple[str, float]] = Counter()
    for shape, gap, seed in product(SHAPES, (0.02, 0.08), range(10)):
        message = hint(simulated(shape, gap, seed), LAW)
        named[shape, gap] += "differ by corpus" in message
        other[shape, gap] += bool(message) and "differ by corpus" not in message
    for (shape, gap), count in named.items():
        print(f"{shape:12s} gap {100 * gap:g}%: corpus named in {count} of 10, another label in {other[shape, gap]}")
    print(f"all: {named.total()} of {10 * len(named)}, another label {other.total()}")
    for law, scatter in ((LAW, 0.004), (LAW, 0.03), (SHORT, 0.004)):
        false = Counter(
            hint(simulated(shape, 0.0, seed, noise=scatter), law).partition(":")[0]
            for shape, seed in product(SHAPES, range(17))
        )
        wrong = {words: count for words, count in false.items() if words}
        print(f"no mixture, {law}, scatter {scatter:g}: {false.total()} tables, hints {wrong}")


if __name__ == "__main__":
    main()
