"""Known truths: how they are drawn and simulated, what is counted; a right fit passes, a wrong one does not."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scalefit.cli import main
from scalefit.errors import DataError
from scalefit.jobs import pack_frame
from scalefit.law.additive import Law
from scalefit.options import Bayes, LeastSquares, Rows, plain
from scalefit.posterior import parse_prior
from scalefit.problem import build_problem
from scalefit.robustness import Calibration, Replicate, calibrate
from scalefit.robustness import calibration_run as running
from scalefit.robustness.simulate import draw_from_prior, simulate

LAW = Law.parse("loss ~ E + A/params^alpha")
TRUTH = {"E": 1.5, "A": np.log(60.0), "alpha": 0.3, "sigma": 0.01}
PRIORS = {"E": "Uniform(0, 1.7)", "A": "HalfNormal(1)", "alpha": "HalfNormal(1)", "sigma": "HalfNormal(0.1)"}


@pytest.fixture
def design() -> pd.DataFrame:
    """Thirty runs of six sizes in five batches."""
    params = np.repeat(np.geomspace(1e7, 1e10, 6), 5)
    batch = [f"b{i % 5}" for i in range(30)]
    return pd.DataFrame({"params": params, "batch": batch, "loss": 1.5 + 60 / params**0.3})


def wide(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"params": np.full(rows, 1e8), "batch": [f"b{i // 10}" for i in range(rows)], "loss": 1.0})


def test_simulated_losses_have_the_stated_mean_and_scatter() -> None:
    table = wide(20_000)
    middle = np.log(1.5 + 60 / 1e8**0.3)
    plain = np.log(simulate(LAW, table, TRUTH, cluster=None, seed=1, number=0)["loss"]) - middle
    assert stats.kstest(plain, stats.norm(scale=0.01).cdf).pvalue > 0.01
    heavy = np.log(simulate(LAW, table, TRUTH | {"nu": 3.0}, cluster=None, seed=1, number=0)["loss"]) - middle
    assert stats.kstest(heavy, stats.t(3, scale=0.01).cdf).pvalue > 0.01
    assert stats.kstest(heavy, stats.norm(scale=heavy.std()).cdf).pvalue < 1e-6


def test_clusters_share_a_shift_of_the_stated_size() -> None:
    table = wide(20_000)
    shifted = np.log(simulate(LAW, table, TRUTH | {"tau": 0.05}, cluster="batch", seed=1, number=0)["loss"])
    batches = shifted.groupby(table["batch"])
    assert batches.std().mean() == pytest.approx(0.01, rel=0.03)
    means = batches.mean() - np.log(1.5 + 60 / 1e8**0.3)
    assert stats.kstest(means, stats.norm(scale=np.hypot(0.05, 0.01 / np.sqrt(10))).cdf).pvalue > 0.01


def test_a_data_set_depends_on_seed_and_number_alone(design: pd.DataFrame) -> None:
    one, same, other = (simulate(LAW, design, TRUTH, cluster=None, seed=1, number=i)["loss"] for i in (4, 4, 5))
    assert one.equals(same)
    assert not one.equals(other)


def test_truths_are_drawn_from_the_stated_priors(design: pd.DataFrame) -> None:
    problem = build_problem(LAW, design)
    priors = {name: parse_prior(text) for name, text in PRIORS.items()}
    truths = pd.DataFrame([draw_from_prior(problem, ("sigma",), priors, 3, i) for i in range(300)])
    centre = np.exp(np.log(design["params"]).mean())
    sizes = np.exp(truths["A"]) / centre ** truths["alpha"]  # a coefficient's prior is on its term at the centre
    columns = {"E": truths["E"], "A": sizes, "alpha": truths["alpha"], "sigma": truths["sigma"]}
    for name, values in columns.items():
        assert stats.kstest(values, priors[name].cdf).pvalue > 0.01, name
    ranks = stats.rankdata(np.column_stack(list(columns.values())), axis=0)
    assert np.abs(np.corrcoef(ranks, rowvar=False) - np.eye(4)).max() < 0.2


def test_two_powers_of_one_column_are_named_in_the_order_of_their_exponents(design: pd.DataFrame) -> None:
    law = Law.parse("loss ~ E + A/params^a + B/params^b")
    problem = build_problem(law, design)
    priors = {name: parse_prior("HalfNormal(1)") for name in ("E", "A", "B", "a", "b", "sigma")}
    truths = [draw_from_prior(problem, ("sigma",), priors, 0, i) for i in range(20)]
    assert all(truth["a"] <= truth["b"] for truth in truths)
    priors["b"] = parse_prior("HalfNormal(2)")  # now their names mean different things
    told = [draw_from_prior(problem, ("sigma",), priors, 0, i) for i in range(20)]
    assert any(record["a"] > record["b"] for record in told)


def made_up(covered: list[bool], ranks: list[int], **options: Any) -> Calibration:
    replicates = tuple(
        Replicate(
            i, {"a": 0.0}, "converged", "", "fast", 0.3, {"a": rank}, {"a": -1.0 if hit else 0.5}, {"a": 1.0},
            {"a": 0.1}, {"a": 0.5},
        )
        for i, (hit, rank) in enumerate(zip(covered, ranks, strict=True))
    )  # fmt: skip
    about: dict[str, Any] = {
        "law": str(LAW), "source": "rows", "n_rows": 30, "truth": "prior", "engine": "bayes",
        "simulated": "normal errors", "fitted": "normal errors", "same": True, "level": 0.95, "priors": {},
        "replicates": replicates, "seed": 0, "version": "0",
    }  # fmt: skip
    return Calibration(**about | options)


def test_counts_errors_and_tests_are_those_of_the_textbook() -> None:
    result = made_up([True] * 90 + [False] * 10, list(range(100)))
    row = result.table.iloc[0]
    assert (row["coverage"], row["n"]) == (0.9, 100)
    assert row["coverage_se"] == pytest.approx(0.03)
    limits = stats.beta(90, 11).ppf(0.025), stats.beta(91, 10).ppf(0.975)
    assert (row["coverage_lo"], row["coverage_hi"]) == pytest.approx(limits)
    assert (row["z_mean"], row["z_sd"]) == pytest.approx((0.2, 0), abs=1e-12)
    assert result.bins == 10
    assert result.rank_counts("a").tolist() == [10] * 10
    assert (row["chi2"], row["p_uniform"]) == (0, 1)
    assert "compatible with uniform for all 1 parameters" in result.summary()
    assert "Not compatible with 95%: a 90.0% (95% confidence 82.4% to 95.1%)" not in result.summary()

    low = made_up([True] * 100 + [False] * 100, [0] * 200)
    assert low.bins == 20
    assert low.table.loc[0, "chi2"] == pytest.approx(200 * 19)
    assert "The ranks are not uniform for a" in low.summary()
    assert "Not compatible with 95%: a 50.0%" in low.summary()


def test_what_could_not_be_fitted_is_counted_and_said() -> None:
    whole = made_up([True] * 40, [50] * 40)
    empty: dict[str, Any] = {name: {} for name in ("rank", "lo", "hi", "mean", "sd")}
    bad = Replicate(40, {"a": 0.0}, "failed", "out of luck", "", None, **empty)
    chains = Replicate(41, {"a": 0.0}, "converged", "", "full", 0.9, {"a": 50}, *({"a": x} for x in (-1.0, 1.0, 0, 1)))
    result = made_up([], [], replicates=(*whole.replicates, bad, chains))
    assert (result.failed, len(result.good), result.exit_code) == (1, 41, 1)
    assert result.table.loc[0, "coverage_least"] == pytest.approx(41 / 42)
    assert result.table.loc[0, "coverage_most"] == 1
    text = result.summary()
    assert "1 have no interval that can be trusted and are left out, which biases the rest" in text
    assert "The first: out of luck" in text
    assert "Importance sampling could not represent 1 posteriors, which NUTS sampled instead; they count." in text


def test_the_summary_says_when_it_is_no_simulation_based_calibration() -> None:
    near = made_up([True] * 40, [50] * 40, truth="posterior")
    assert not near.is_sbc
    assert "this is not simulation-based calibration: ranks need not be uniform, nor coverage 95%" in near.summary()
    wrong = made_up([True] * 40, [50] * 40, same=False)
    assert "The model fitted is not the one that made the data" in wrong.summary()
    boot = made_up([True] * 40, [50] * 40, engine="leastsq")
    assert "Bootstrap replicates are not a posterior" in boot.summary()
    assert "p_uniform" not in boot.table
    assert made_up([True] * 40, [50] * 40).is_sbc


def test_priors_are_those_of_the_table_and_never_follow_simulated_data(
    design: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default floor is uniform up to the lowest loss: on simulated data that would be another prior each time."""
    given: list[dict[str, str]] = []

    def spy(data: pd.DataFrame, law: Law, rows: Rows, how: Bayes, **_: Any) -> None:
        given.append({**(how.priors or {}), "lowest": data["loss"].min()})
        raise DataError("seen enough")

    monkeypatch.setattr(running, "bayes", spy)
    with pytest.raises(DataError, match="none of the 10 simulated data sets could be fitted; the first: seen enough"):
        calibrate(design, LAW, likelihood="normal", n=10, workers=1)
    assert {row["E"] for row in given} == {f"Uniform(0, {design['loss'].min():.6g})"}
    assert len({row["lowest"] for row in given}) == 10


def test_a_fit_that_ignores_clusters_is_given_no_shift(design: pd.DataFrame) -> None:
    how = Bayes(likelihood="normal", draws=200, level=0.9, path="fast", priors=PRIORS)
    cell = {
        "design": pack_frame(design), "law": str(LAW), "cluster": "batch", "fit_cluster": None, "engine": "bayes",
        "options": plain(how), "seed": 0, "number": 3, "truth": TRUTH | {"tau": 0.02},
    }  # fmt: skip
    found = running.fit_replicate(cell)
    assert set(found["lo"]) == set(TRUTH)
    assert set(found["rank"]) == set(TRUTH)
    assert all(0 <= rank <= 99 for rank in found["rank"].values())
    both = running.fit_replicate(
        cell | {"fit_cluster": "batch", "options": plain(replace(how, priors=PRIORS | {"tau": "HalfNormal(0.02)"}))}
    )
    assert set(both["lo"]) == {*TRUTH, "tau"}
    boot = running.fit_replicate(
        cell | {"engine": "least squares", "fit_cluster": "batch", "options": plain(LeastSquares(bootstrap=200))}
    )
    assert boot["rank"] == {}
    assert set(boot["lo"]) == {"E", "A", "alpha"}


@pytest.mark.slow
def test_a_right_fit_is_calibrated_and_keeps_what_it_has_done(design: pd.DataFrame, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "likelihood": "normal", "workers": 1, "draws": 500, "folder": tmp_path, "path": "fast",
        "priors": {"A": "LogNormal(-1, 0.5)", "alpha": "LogNormal(-1, 0.3)", "sigma": "LogNormal(-4, 0.5)"},
    }  # fmt: skip
    few = calibrate(design, LAW, n=10, **options)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    result = calibrate(design, LAW, n=50, **options)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert before.items() <= after.items()
    assert [replicate.truth for replicate in few.replicates] == [
        replicate.truth for replicate in result.replicates[:10]
    ]
    assert result.is_sbc
    assert (result.table["p_uniform"] > 1e-3).all()
    assert (result.table["coverage_hi"] >= 0.95).all()
    assert result.table["z_sd"].between(0.7, 1.3).all()


@pytest.mark.slow
def test_ignoring_clusters_costs_coverage_and_the_shift_repairs_it(design: pd.DataFrame) -> None:
    """Batches differ in size and in their shift; by rows alone the exponent seems known too well."""
    sizes = design.assign(batch=[f"b{i}" for i in np.repeat(range(15), 2)])
    priors = {
        "E": "Uniform(1.4, 1.6)", "A": "LogNormal(-1, 0.3)", "alpha": "LogNormal(-1.2, 0.2)",
        "sigma": "LogNormal(-6, 0.2)", "tau": "LogNormal(-4, 0.2)",
    }  # fmt: skip
    options: dict[str, Any] = {
        "likelihood": "normal", "cluster": "batch", "priors": priors, "n": 24, "workers": 1, "draws": 300,
        "path": "fast", "level": 0.9,
    }  # fmt: skip
    ignored = calibrate(sizes, LAW, fit_cluster=None, **options).table.set_index("param")
    fitted = calibrate(sizes, LAW, **options).table.set_index("param")
    assert ignored.loc["alpha", "coverage_hi"] < 0.9
    assert fitted.loc["alpha", "coverage_hi"] > 0.9
    assert ignored.loc["alpha", "z_sd"] > 1.3 > fitted.loc["alpha", "z_sd"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"truth": "guess"}, "truth is 'guess'"),
        ({"engine": "mcmc"}, "engine is 'mcmc'"),
        ({"fit_likelihood": "cauchy"}, "fit_likelihood is 'cauchy'"),
        ({"n": 5}, "at least 10 data sets"),
        ({"cluster": "loss"}, "a different value in every row"),
        ({"fit_cluster": "bach"}, "did you mean 'batch'"),
        ({"priors": {"beta": "HalfNormal(1)"}}, "there is no parameter 'beta'"),
        ({"draws": 50, "workers": 1}, "none of the 100 .* draws is 50"),
    ],
)
def test_impossible_studies_are_refused(design: pd.DataFrame, options: dict[str, Any], message: str) -> None:
    rows = design.assign(loss=design["loss"] * np.linspace(1, 1.001, 30))
    with pytest.raises(DataError, match=message):
        calibrate(rows, LAW, **{"n": 100, **options})


def test_the_picture_marks_what_does_not_fit() -> None:
    from scalefit.plots.style import BLUE, RED

    result = made_up([True] * 100 + [False] * 100, [0] * 200)
    histogram, covered = result.plot()
    assert [round(bar.get_height()) for bar in histogram.patches if bar.get_width() < 0.5] == [200, *[0] * 19]
    assert covered.lines[0].get_color() == RED
    good = made_up([True] * 95 + [False] * 5, list(range(100)))
    assert good.plot()[1].lines[0].get_color() == BLUE
    alone = made_up([True] * 95 + [False] * 5, list(range(100)), engine="leastsq").plot()
    assert "share of 95% intervals" in alone.get_xlabel()


def test_command_line(
    design: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table, picture = tmp_path / "runs.csv", tmp_path / "ranks.svg"
    design.to_csv(table, index=False)
    call = [
        "scalefit", "calibrate", str(table), str(LAW), "--likelihood", "normal", "--n", "10", "--draws", "200",
        "--path", "fast", "--workers", "1", "--out", str(picture), "--json",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", call)
    with pytest.raises(SystemExit):
        main()
    record = json.loads(capsys.readouterr().out)
    assert record["replicates"] == 10
    assert record["is_sbc"] is True
    assert [row["param"] for row in record["rows"]] == ["E", "A", "alpha", "sigma"]
    assert b"rank of the truth" in picture.read_bytes()
    monkeypatch.setattr(sys, "argv", [*call, "--truth", "guess"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "truth is 'guess'" in capsys.readouterr().err


def test_all_covered_is_not_printed_as_certainty():
    """Ten of ten cover: an exact interval reaches down to 69%, where the normal approximation says plus or minus 0."""
    result = calibrate(
        "chinchilla", "loss ~ E + A/params^alpha", drop_highest_loss=5, n=10, draws=200, engine="leastsq", workers=1
    )
    row = result.table.set_index("param").loc["alpha"]
    shown = next(line for line in str(result).splitlines() if line.strip().startswith("alpha"))
    low = stats.beta.ppf(0.025, row["coverage"] * 10, 11 - row["coverage"] * 10)
    assert row["coverage_lo"] == pytest.approx(low)
    assert f"({row['coverage_lo']:.0%} to {row['coverage_hi']:.0%})" in shown
    assert "±" not in shown
