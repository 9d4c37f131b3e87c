"""The draft of a new table takes less than a minute of CPU time, whatever the table, up to 5,000 rows.

Each table is one that costs much for a reason of its own; kernels are compiled before the clock starts.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalefit.report import build_report, new_study

MOST_SECONDS = 60.0
ROWS = 5000


def cpu_seconds() -> float:
    """CPU time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def independent(rows: int = ROWS) -> pd.DataFrame:
    """Runs of all sizes and lengths."""
    rng = np.random.default_rng(0)
    n, d = (np.exp(rng.uniform(np.log(lo), np.log(hi), rows)) for lo, hi in ((1e7, 1e10), (1e9, 1e12)))
    loss = (1.8 + 400 / n**0.34 + 900 / d**0.31) * np.exp(rng.normal(0, 0.005, rows))
    return pd.DataFrame({"params": n.round(), "tokens": d.round(), "loss": loss})


def checkpoints(rows: int = 2920, runs: int = 25) -> pd.DataFrame:
    """Checkpoints of few runs, whose errors a run shares."""
    rng = np.random.default_rng(1)
    run, step = np.arange(rows) % runs, np.arange(rows) // runs + 1.0
    n, d = np.geomspace(1e7, 3e9, 9).round()[run % 9], step * 2.5e8 * (1 + run % 3)
    loss = (1.8 + 400 / n**0.34 + 900 / d**0.31) * np.exp(rng.normal(0, 0.01, runs)[run] + rng.normal(0, 0.004, rows))
    return pd.DataFrame({"run": [f"run-{r}" for r in run], "step": step, "params": n, "tokens": d, "loss": loss})


def warming_up(rows: int = 2920, runs: int = 25) -> pd.DataFrame:
    """Checkpoints from the first steps on, which no power law describes; two laws, and floors by optimizer."""
    rng = np.random.default_rng(5)
    run, step = np.arange(rows) % runs, np.arange(rows) // runs + 1.0
    n, d = np.array([2e7, 6e7, 1.6e8, 4e8, 1e9])[run % 5], step * 5.2e6
    loss = 1.8 + 400 / n**0.34 + 900 / d**0.31 + 7.3 * np.exp(-step / 7.5)
    loss *= np.exp(rng.normal(0, 0.02, runs)[run] + rng.normal(0, 0.02, rows))
    return pd.DataFrame(
        {"name": [f"run-{r}" for r in run], "_step": step, "params": n, "tokens": d, "loss": loss,
         "width": 256 * (1 + run % 5), "optimizer": np.where(run % 2, "adam", "muon")}
    )  # fmt: skip


def many_levels(rows: int = ROWS) -> pd.DataFrame:
    """Two labels of twelve levels each, which occur in all 144 combinations."""
    rng = np.random.default_rng(2)
    family, corpus = rng.integers(0, 12, rows), rng.integers(0, 12, rows)
    table = independent(rows)
    table["loss"] *= 1 + family / 1200
    return table.assign(family=[f"f{i}" for i in family], corpus=[f"c{i}" for i in corpus])


def floors_by_two_labels(rows: int = ROWS) -> pd.DataFrame:
    """As many floors as a study may have."""
    table = many_levels(rows)
    return table.assign(family="f" + (pd.RangeIndex(rows) % 6).astype(str), corpus=np.repeat(list("abcd"), rows // 4))


def shapes(rows: int = ROWS) -> pd.DataFrame:
    """Width, depth, parameters and tokens: two laws."""
    rng = np.random.default_rng(3)
    m = rng.choice([128, 256, 384, 512, 768, 1024, 1536, 2048], rows)
    layers = rng.choice([2, 4, 6, 8, 12, 16, 24, 32], rows)
    d = np.exp(rng.uniform(np.log(1e9), np.log(1e12), rows)).round()
    loss = (1.8 + 300 / m + 1.5 / layers + 900 / d**0.31) * np.exp(rng.normal(0, 0.005, rows))
    return pd.DataFrame({"width": m, "depth": layers, "params": 12 * layers * m**2, "tokens": d, "loss": loss})


def long_runs(rows: int = ROWS) -> pd.DataFrame:
    """Checkpoints of fifty runs with two laws: shifts to integrate out in every row."""
    table = shapes(rows)
    run = np.arange(rows) % 50
    for name in ("width", "depth", "params"):
        table[name] = table[name].to_numpy()[run]
    step = np.arange(rows) // 50 + 1.0
    noise = np.random.default_rng(4).normal(0, 0.004, rows)
    loss = (1.8 + 300 / table["width"] + 1.5 / table["depth"] + 900 / (step * 1e9) ** 0.31) * np.exp(noise)
    return table.assign(tokens=step * 1e9, loss=loss, run=[f"r{i}" for i in run])


def noise(rows: int = ROWS) -> pd.DataFrame:
    """A loss that depends on nothing: no fit is identified."""
    return independent(rows).assign(loss=np.exp(np.random.default_rng(6).normal(1, 0.05, rows)))


TABLES = (independent, checkpoints, warming_up, many_levels, floors_by_two_labels, shapes, long_runs, noise)


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compile everything on a small table."""
    folder = tmp_path_factory.mktemp("compiled")
    checkpoints(300).to_csv(folder / "runs.csv", index=False)
    build_report(new_study(folder / "mine", folder / "runs.csv"), draft=True)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_draft_takes_less_than_a_minute(benchmark, tmp_path: Path, table: Callable[[], pd.DataFrame]) -> None:
    table().to_csv(tmp_path / "runs.csv", index=False)
    benchmark._timer = cpu_seconds
    began = cpu_seconds()

    def build() -> Path:
        return build_report(new_study(tmp_path / "mine", tmp_path / "runs.csv"), draft=True)

    assert benchmark.pedantic(build, rounds=1).is_file()
    assert cpu_seconds() - began < MOST_SECONDS
