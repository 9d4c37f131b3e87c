"""Predictions say what they are of and how far they reach; intervals of new runs hold new runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import scalefit
from scalefit.errors import DataError

LAW = "loss ~ E + A/params^alpha"


def runs(rng: np.random.Generator, n: int = 60, clusters: int = 0) -> pd.DataFrame:
    size = np.exp(rng.uniform(np.log(1e6), np.log(1e9), n))
    cluster = rng.integers(max(clusters, 1), size=n)
    shift = 0.05 * rng.standard_normal(max(clusters, 1)) * (clusters > 0)
    log = np.log(1.5 + 40 / size**0.3) + 0.02 * rng.standard_normal(n) + shift[cluster]
    return pd.DataFrame({"params": size, "loss": np.exp(log), "cluster": cluster.astype(str)})


def test_the_interval_of_a_new_run_holds_new_runs_and_that_of_the_law_does_not() -> None:
    rng = np.random.default_rng(7)
    fit = scalefit.fit(runs(rng), LAW, bootstrap=300)
    new = runs(rng, 2000)
    shares = {}
    for new_run in (False, True):
        ends = fit.predict(new, prob=0.9, new_run=new_run)
        shares[new_run] = float(((new["loss"] > ends["lo"]) & (new["loss"] < ends["hi"])).mean())
    assert 0.85 < shares[True] < 0.95
    assert shares[False] < 0.5


def test_a_posterior_adds_its_scatter_and_the_shift_of_a_new_cluster() -> None:
    rng = np.random.default_rng(8)
    fit = scalefit.bayes(
        runs(rng, 200, clusters=20), LAW, cluster="cluster", likelihood="normal", draws=1000, throw=False
    )
    at = {"params": 3e7}
    law, new = (fit.predict(at, prob=0.68, new_run=new_run) for new_run in (False, True))
    width = np.log(new["hi"] / new["lo"]).iloc[0] / 2
    law_width = np.log(law["hi"] / law["lo"]).iloc[0] / 2
    np.testing.assert_allclose(width, np.hypot(np.hypot(0.02, 0.05), law_width), rtol=0.3)
    with pytest.raises(DataError, match="new_run changes the interval alone"):
        fit.predict(at, new_run=True)


def test_linear_space_adds_differences() -> None:
    rng = np.random.default_rng(9)
    fit = scalefit.fit(runs(rng), LAW, space="linear", bootstrap=200)
    ends = fit.predict({"params": 1e9}, prob=0.95, new_run=True)
    spread = np.std(fit.residuals())
    assert 2 * spread < float(ends["hi"].iloc[0] - ends["lo"].iloc[0]) < 8 * spread


def test_extrapolation_is_the_factor_beyond_either_end_and_in_compute() -> None:
    fit = scalefit.fit("chinchilla", "chinchilla", bootstrap=0)
    low, high = fit.rows["tokens"].min(), fit.rows["tokens"].max()
    size = fit.rows["params"].median()
    found = fit.extrapolation({"params": [size] * 3, "tokens": [low / 3, high, 50 * high]})
    np.testing.assert_allclose(found["tokens"], [3, 1, 50])
    assert found["params"].tolist() == [1, 1, 1]
    np.testing.assert_allclose(
        found["compute"].iloc[2], size * 50 * high / (fit.rows["params"] * fit.rows["tokens"]).max()
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved fit with levels that hold commas."""
    folder = tmp_path_factory.mktemp("predict")
    data = runs(np.random.default_rng(3)).assign(cluster=lambda frame: np.where(frame.index % 2, "a,b", "c"))
    scalefit.fit(data, "loss ~ E[cluster] + A/params^alpha", bootstrap=100).save(folder / "a.fit")
    pd.DataFrame({"params": [1e8, 1e12], "cluster": ["c", "a,b"], "note": ["x", "y"]}).to_csv(
        folder / "t.csv", index=False
    )
    pd.DataFrame({"params": [1e8], "cluster": ["c"], "lo": [1]}).to_csv(folder / "lo.csv", index=False)
    return folder


def predict(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(scalefit.__file__).parent.parent)}
    command = [sys.executable, "-m", "scalefit", "predict", "a.fit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=place, env=environment)


def test_input_columns_are_kept_and_what_is_printed_is_said(place: Path) -> None:
    record: dict[str, Any] = json.loads(predict(place, "t.csv", "--json").stdout)
    assert (record["of"], record["prob"]) == ("the law", 0.95)
    assert [row["note"] for row in record["rows"]] == ["x", "y"]
    assert record["rows"][0]["beyond_params"] == 1
    assert record["rows"][1]["beyond_params"] > 900
    text = predict(place, "t.csv", "--new-run").stdout
    assert "95% interval of one more run, with the scatter of rows" in text
    assert "beyond the fitted rows: 1 of 2 rows, up to 1" in text


@pytest.mark.parametrize("at", ["params=1e8,cluster=a,b", 'cluster="a,b",params=1e8', "cluster=a,b,params=100M"])
def test_levels_with_commas_at_a_point(place: Path, at: str) -> None:
    (row,) = json.loads(predict(place, "--at", at, "--json").stdout)["rows"]
    assert (row["params"], row["cluster"]) == (1e8, "a,b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lo.csv"], "the table has a column 'lo', which a prediction is called; rename it"),
        (["--at", "x"], "--at 'x' is not understood"),
        (["--at", "params=1,params=2"], "--at is given twice for 'params'"),
        (["--at", "params=,cluster=c"], "is not understood"),
    ],
)
def test_bad_points_are_refused(place: Path, arguments: list[str], message: str) -> None:
    done = predict(place, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
