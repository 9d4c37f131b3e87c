"""Mixed populations and checkpoints are recognised, and the hint names a command that works."""

from __future__ import annotations

import re
import shlex
from typing import Any

import numpy as np
import pandas as pd
import pytest

import scalefit
from tests.reference.mixture_hints import LAW as CHINCHILLA
from tests.reference.mixture_hints import SHAPES, SHORT, hint, simulated

LAW = "loss ~ E + A/params^alpha"


def two_corpora(gap: float = 1.5, apart: bool = False, seed: int = 2) -> pd.DataFrame:
    """Runs of two corpora at sizes that are never the same; with ``apart`` one corpus has the large ones."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(np.log(1e6), np.log(1e9), 60))
    corpus = np.where(size > 3e7, "b", "a") if apart else np.where(rng.random(60) < 0.5, "a", "b")
    loss = (1.5 + 40 / size**0.3) * np.where(corpus == "b", gap, 1.0) * np.exp(0.01 * rng.standard_normal(60))
    return pd.DataFrame({"params": size, "loss": loss, "corpus": corpus, "note": rng.choice(["x", "y", "z"], 60)})


def finding(fit: scalefit.Fit, code: str) -> str | None:
    return next((one.message for one in fit.findings if one.code == code), None)


def test_a_label_that_explains_the_residuals_is_named_without_repeated_settings() -> None:
    fit = scalefit.fit(two_corpora(), LAW, bootstrap=0)
    message = finding(fit, "mixed_rows")
    assert message is not None
    assert message.startswith("Residuals differ by corpus: loss is 1.50 times as high for b as for a at the same place")
    assert "Fit every level (--by corpus), one of them (--where 'corpus == \"a\"'), or a floor for each" in message
    levels = scalefit.fit_levels(two_corpora(), LAW, "corpus", bootstrap=0)  # what the hint says
    assert all(one.status == "converged" for one in levels.fits.values())
    assert finding(levels["a"], "mixed_rows") is None


def test_one_population_and_levels_that_stand_for_the_size_are_no_mixture() -> None:
    assert finding(scalefit.fit(two_corpora(1.0), LAW, bootstrap=0), "mixed_rows") is None
    assert finding(scalefit.fit(two_corpora(1.5, apart=True), LAW, bootstrap=0), "mixed_rows") is None


def test_mixed_repeats_name_the_option_that_fits_each_level() -> None:
    size = np.repeat(np.geomspace(1e6, 1e9, 10), 2)
    corpus = np.tile(["a", "b"], 10)
    loss = (1.5 + 40 / size**0.3) * np.where(corpus == "b", 2.7, 1.0)
    data = pd.DataFrame({"params": size, "loss": loss, "corpus": corpus})
    message = finding(scalefit.fit(data, LAW, bootstrap=0, throw=False), "repeats_differ")
    assert message is not None
    assert "Fit every level (--by corpus)" in message


@pytest.mark.parametrize(("runs", "named"), [(12, True), (5, False)])
def test_many_levels_are_named_where_each_has_many_rows(runs: int, named: bool) -> None:
    size, language = np.tile(np.geomspace(1e6, 1e9, runs), 24), np.repeat(np.arange(24), runs)
    noise = np.exp(0.003 * np.random.default_rng(3).standard_normal(len(size)))
    rows = {"params": size, "loss": (1.5 + 0.05 * language + 40 / size**0.3) * noise}
    data = pd.DataFrame(rows | {"language": [f"l{i:02d}" for i in language]})
    message = finding(scalefit.fit(data, LAW, bootstrap=0, throw=False), "repeats_differ")
    assert message is not None
    assert ("Fit every level (--by language)" in message) == named


def checkpoints(**more: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    parts = []
    for run, size in zip("abcde", np.geomspace(1e6, 1e8, 5), strict=True):
        step = np.arange(1, 9) * 1000
        loss = (2 + 20 / size**0.3 + 9 / step**0.5) * np.exp(0.01 * rng.standard_normal())
        parts.append(pd.DataFrame({"run": run, "step": step, "params": size, "loss": loss, **more}))
    return pd.concat(parts, ignore_index=True)


def test_checkpoints_of_runs_are_recognised_and_the_hint_works() -> None:
    law = "loss ~ E + A/params^alpha + B/step^beta"
    message = finding(scalefit.fit(checkpoints(), law, bootstrap=0, throw=False), "checkpoints")
    assert message is not None
    assert message.startswith("5 values of 'run' have 8 rows each, every one at its own step")
    flags = shlex.split(re.findall(r"\((--group-by[^)]*)\)", message)[0])
    assert flags == ["--group-by", "run", "--reduce", "last:step"]
    last = scalefit.fit(checkpoints(), "loss ~ A/params^alpha", group_by=flags[1], reduce=flags[3], bootstrap=0)
    assert last.rows["step"].tolist() == [8000] * 5
    clustered = scalefit.fit(checkpoints(), law, cluster="run", uncertainty="cluster", throw=False)
    assert finding(clustered, "checkpoints") is None


MISSING: dict[str, Any] = {
    "object": np.resize(np.array(["web", None, "code"], dtype=object), 60),
    "truth": np.resize(np.array([True, None, False], dtype=object), 60),
    "str": pd.array(np.resize(np.array(["web", None, "code"], dtype=object), 60), dtype="string"),
    "category": pd.Categorical(np.resize(np.array(["web", None, "code"], dtype=object), 60)),
    "float": np.resize([1.0, np.nan, 2.0], 60),
    "Int64": pd.array(np.resize(np.array([1, None, 2], dtype=object), 60), dtype="Int64"),
}


@pytest.mark.parametrize("labels", MISSING.values(), ids=MISSING)
def test_rows_without_a_label_have_no_offset(labels: Any) -> None:
    rng = np.random.default_rng(0)
    size = np.geomspace(1e7, 1e9, 60)
    loss = (1.5 + 300 * size**-0.3) * np.exp(0.003 * rng.standard_normal(60))
    data = pd.DataFrame({"params": size, "loss": loss, "corpus": labels, "run": labels, "step": np.arange(60)})
    alike = scalefit.fit(data, "loss ~ E + A/params^alpha", bootstrap=0)
    assert finding(alike, "mixed_rows") is None
    assert (finding(alike, "checkpoints") or "").startswith("2 values of 'run' have 20 rows each")
    first = data["corpus"].notna() & (data["corpus"].astype(object) == data["corpus"].dropna().iloc[0])
    mixed = scalefit.fit(data.assign(loss=loss * np.where(first, 1.05, 1)), "loss ~ E + A/params^alpha", bootstrap=0)
    assert (finding(mixed, "mixed_rows") or "").startswith("Residuals differ by ")


@pytest.mark.parametrize("shape", SHAPES)
def test_the_label_is_named_where_each_run_has_one_size(shape: str) -> None:
    assert "differ by corpus" in hint(simulated(shape, 0.02, 0), CHINCHILLA)
    assert not hint(simulated(shape, 0.0, 0), CHINCHILLA)


def test_a_law_without_params_is_told_to_take_them_and_not_the_class_of_size() -> None:
    message = hint(simulated("checkpoints", 0.0, 1), SHORT)
    assert message.startswith("Rows with the same tokens differ by params: ")
    assert "Give the law a term in params, or keep one value of it (--where 'params == " in message


def test_the_offset_of_a_label_is_that_of_the_simulation() -> None:
    message = hint(simulated("final", 0.05, 3), CHINCHILLA)
    assert float(re.findall(r"loss is ([\d.]+) times", message)[0]) == pytest.approx(np.exp(0.05), abs=0.01)


def test_runs_of_one_size_are_not_to_be_fitted_one_by_one() -> None:
    rng = np.random.default_rng(1)
    size = np.repeat([5e7, 1e8, 2e8, 4e8, 8e8, 1.6e9, 3.2e9] * 2, 10)
    tokens = size * np.tile(np.arange(1, 11), 14) * np.repeat([2.0, 7.7], 70)
    run = np.repeat(np.arange(14), 10)
    noise = rng.normal(0, 0.01, 14)[run] + rng.normal(0, 0.002, 140)
    loss = (1.7 + 400 / size**0.34 + 410 / tokens**0.28) * np.exp(noise)
    rows = pd.DataFrame({"params": size, "tokens": tokens, "loss": loss, "run_id": [f"r{one}" for one in run]})
    words = finding(scalefit.fit(rows, "chinchilla", bootstrap=0), "mixed_rows")
    assert words is not None
    assert "A level has one value of params, so it cannot be fitted by itself" in words
    assert "--cluster run_id" in words
    assert "--by" not in words
