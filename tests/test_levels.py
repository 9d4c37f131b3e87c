"""One fit a level: the same as fits of its rows, a test of shared parameters, and refusals."""

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
from scalefit.cli import main
from scalefit.errors import DataError

LAW = "loss ~ A/params^alpha"


def corpora(*exponents: float, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = []
    for label, alpha in zip("abcdef", exponents, strict=False):
        size = np.geomspace(1e6, 1e9, 24)
        loss = 3 * (size / 3e7) ** -alpha * np.exp(0.01 * rng.standard_normal(24))
        parts.append(pd.DataFrame({"params": size, "loss": loss, "corpus": label}))
    return pd.concat(parts, ignore_index=True)


def test_a_level_is_fitted_as_its_rows_are() -> None:
    data = corpora(0.1, 0.2)
    levels = scalefit.fit_levels(data, LAW, "corpus", bootstrap=50)
    alone = scalefit.fit(data, LAW, where='corpus == "b"', bootstrap=50)
    assert list(levels.fits) == ["a", "b"]
    assert levels["b"]["alpha"].value == alone["alpha"].value
    assert levels["b"]["alpha"].se == alone["alpha"].se
    assert levels["b"].rows.index.tolist() == alone.rows.index.tolist()  # rows keep their numbers
    assert levels.table()["corpus"].tolist() == ["a", "a", "b", "b"]
    assert levels.exit_code == 0


def test_the_test_of_shared_exponents_is_cochrans() -> None:
    levels = scalefit.fit_levels(corpora(0.15, 0.15, 0.15), LAW, "corpus", uncertainty="gauss-newton")
    test = levels.shared["alpha"]
    values = np.array([fit["alpha"].value for fit in levels.fits.values()])
    weights = np.array([fit["alpha"].se for fit in levels.fits.values()]) ** -2
    pooled = weights @ values / weights.sum()
    np.testing.assert_allclose([test.pooled, test.chi2], [pooled, weights @ (values - pooled) ** 2], rtol=1e-9)
    assert test.df == 2
    assert test.p > 0.01
    assert "alpha can be one number, 0.1" in str(levels)


def test_levels_that_differ_are_said_to_differ() -> None:
    levels = scalefit.fit_levels(corpora(0.1, 0.2), LAW, "corpus", uncertainty="gauss-newton")
    assert levels.shared["alpha"].p < 1e-6
    assert "alpha differs between levels (chi2(1) = " in str(levels)


def test_the_levels_of_noise_alone_differ_in_one_of_twenty() -> None:
    p = [scalefit.fit_levels(corpora(0.1, 0.1, seed=seed), LAW, "corpus", uncertainty="gauss-newton").shared["alpha"].p
         for seed in range(40)]  # fmt: skip
    assert np.mean(np.array(p) < 0.05) <= 0.15
    assert 0.3 < np.mean(p) < 0.7


def test_a_level_without_rows_enough_is_named_and_the_others_are_fitted() -> None:
    data = pd.concat([corpora(0.1, 0.2), pd.DataFrame({"params": [1e6], "loss": [2.0], "corpus": ["tiny"]})])
    levels = scalefit.fit_levels(data, LAW, "corpus", bootstrap=0)
    assert list(levels.failed) == ["tiny"]
    assert levels.exit_code == 1
    assert levels.record()[-1]["status"] == "refused"
    assert "not fitted: corpus = tiny: " in str(levels)


def test_the_column_may_be_computed_or_have_gaps() -> None:
    data = corpora(0.1, 0.2)
    data["half"] = np.where(data["corpus"] == "a", 1.0, 2.0)
    levels = scalefit.fit_levels(data, LAW, "twice", columns={"twice": "2*half"}, bootstrap=0)
    assert list(levels.fits) == ["2", "4"]
    data.loc[3, "corpus"] = None
    gaps = scalefit.fit_levels(data, LAW, "corpus", bootstrap=0)
    assert gaps["a"].n_rows == 23
    assert "1 rows without a label in column 'corpus' are left out." in gaps.remarks


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("params", "by is 'params', a column of the law"),
        ("nope", "has no column 'nope'"),
        ("one", "column 'one' has 1 different labels. Need 2 to 200"),
    ],
)
def test_columns_that_make_no_levels_are_refused(by: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        scalefit.fit_levels(corpora(0.1, 0.2).assign(one="x"), LAW, by, bootstrap=0)


def test_posteriors_by_level() -> None:
    levels = scalefit.bayes_levels(corpora(0.1, 0.2), LAW, "corpus", draws=400, path="fast")
    assert levels["a"].engine == "bayes"
    assert levels.shared["alpha"].p < 1e-6


def test_the_command_writes_a_table_a_json_list_and_a_folder(tmp_path: Path) -> None:
    corpora(0.1, 0.2).to_csv(tmp_path / "runs.csv", index=False)
    path = str(Path(scalefit.__file__).parent.parent)

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "scalefit",
            "fit",
            "runs.csv",
            LAW,
            "--by",
            "corpus",
            "--bootstrap",
            "0",
            *more,
        ]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    done = run("--json", "--out", "levels")
    records: list[dict[str, Any]] = json.loads(done.stdout)
    assert (done.returncode, [record["corpus"] for record in records]) == (0, ["a", "b"])
    assert records[0]["shared"]["alpha"]["df"] == 1
    assert sorted(path.name for path in (tmp_path / "levels").iterdir()) == ["a.fit", "b.fit", "forest.svg"]
    assert scalefit.load_fit(tmp_path / "levels" / "b.fit")["alpha"].value == records[1]["estimate"]["alpha"]
    again = run("--out", "levels")
    assert (again.returncode, again.stdout) == (2, "")
    assert "'levels' is there already" in again.stderr


def test_rows_that_each_level_lost_are_counted() -> None:
    rng = np.random.default_rng(2)
    runs = pd.DataFrame({"params": np.tile(np.geomspace(1e6, 1e9, 12), 2), "corpus": np.repeat(["web", "code"], 12)})
    runs["loss"] = (1.7 + 300 / runs["params"] ** 0.3) * np.exp(0.003 * rng.standard_normal(24))
    runs.loc[3, "loss"] = np.nan
    text = str(scalefit.fit_levels(runs, "params", "corpus", drop_invalid=True, bootstrap=0))
    assert "  web: 1 dropped by drop_invalid" in text
    assert "code: " not in text


def test_a_comparison_by_level_is_that_of_fits_to_its_rows() -> None:
    data = corpora(0.1, 0.2)
    plain = scalefit.fit(data, LAW, bootstrap=60)
    floor = scalefit.fit(data, "loss ~ E + A/params^alpha", bootstrap=60)
    levels = scalefit.compare_levels({"plain": plain, "floor": floor}, "alpha", "corpus", reference=0.15)
    own = scalefit.fit_levels(data, LAW, "corpus", bootstrap=60)
    assert list(levels.comparisons) == ["a", "b"]
    for level in "ab":
        source = levels[level].sources[0]
        assert (source.label, source.estimate.value, source.estimate.se) == ("plain", own[level]["alpha"].value,
                                                                    own[level]["alpha"].se)  # fmt: skip
        assert levels[level].differences[0].dependence == "24 rows in common"  # two laws on the same rows
    np.testing.assert_allclose(levels.shared["plain"].chi2, own.shared["alpha"].chi2, rtol=1e-12)
    assert levels.table()[["corpus", "source"]].to_numpy().tolist() == [
        ["a", "plain"], ["a", "floor"], ["b", "plain"], ["b", "floor"],
    ]  # fmt: skip
    records = levels.record()
    assert [record["corpus"] for record in records] == ["a", "b"]
    assert records[0]["shared"]["plain"]["df"] == 1
    assert "plain: alpha differs between levels (chi2(1) = " in str(levels)


def test_a_comparison_by_level_refuses_columns_without_levels() -> None:
    fit = scalefit.fit(corpora(0.1, 0.2), LAW, bootstrap=0)
    with pytest.raises(DataError, match="has no column 'nope'"):
        scalefit.compare_levels({"one": fit}, "alpha", "nope")
    with pytest.raises(DataError, match="by is 'params', a column of the law"):
        scalefit.compare_levels({"one": fit}, "alpha", "params")
    twice = pd.concat([corpora(0.1, 0.2), corpora(0.1, 0.2, seed=1)])
    best = scalefit.fit(twice, LAW, group_by="params,corpus", reduce="min:loss", bootstrap=0)
    remarks = scalefit.compare_levels({"best": best}, "alpha", "corpus").remarks
    assert remarks == ("best: its rows were chosen by min:loss; resamples within a level do not choose again.",)


def test_the_sensitivity_by_level_is_that_of_its_rows(tmp_path: Path) -> None:
    data = corpora(0.1, 0.2)
    how: dict[str, Any] = {"param": "alpha", "reference": 0.15, "vary": {"likelihood": ["normal", "squared"]}}
    how |= {"draws": 300, "path": "fast", "workers": 1, "folder": tmp_path / "jobs"}
    levels = scalefit.sensitivity_levels(data, LAW, "corpus", **how)
    alone = scalefit.sensitivity(data, LAW, where='corpus == "b"', **{**how, "folder": None})
    assert levels["b"].base.estimate.value == alone.base.estimate.value
    assert levels["b"].table["estimate"].tolist() == alone.table["estimate"].tolist()
    assert levels.table()["corpus"].tolist() == ["a", "a", "a", "b", "b", "b"]
    base = np.array([analysis.base.estimate.value for analysis in levels.analyses.values()])
    weight = np.array([analysis.base.estimate.se for analysis in levels.analyses.values()]) ** -2
    assert levels.shared is not None
    np.testing.assert_allclose(levels.shared.pooled, weight @ base / weight.sum(), rtol=1e-9)
    assert levels.record()[1]["shared"]["p"] < 1e-6
    assert "base: alpha differs between levels" in str(levels)
    assert levels.exit_code == 0


def test_commands_that_compare_and_vary_by_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = corpora(0.1, 0.2)

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["scalefit", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0)

    data.to_csv(tmp_path / "runs.csv", index=False)
    scalefit.fit(data, LAW, bootstrap=0).save(tmp_path / "one.fit")
    assert run("compare", str(tmp_path / "one.fit"), "--param", "alpha", "--by", "corpus", "--json") == 0
    assert [record["corpus"] for record in json.loads(capsys.readouterr().out)] == ["a", "b"]
    assert run("compare", str(tmp_path / "one.fit"), "--param", "alpha", "--by", "row") == 2
    assert "scores that leave out rows have --leave-out row" in capsys.readouterr().err
    words = ["sensitivity", str(tmp_path / "runs.csv"), LAW, "--param", "alpha", "--by", "corpus", "--vary",
           "likelihood=normal", "--draws", "200", "--path", "fast", "--workers", "1"]  # fmt: skip
    assert run(*words, "--json") == 0
    assert [record["corpus"] for record in json.loads(capsys.readouterr().out)] == ["a", "b"]
    assert run(*words, "--out", str(tmp_path / "x.png")) == 2
    assert "--out" in capsys.readouterr().err
