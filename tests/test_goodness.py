"""How well a law fits, against statsmodels and counting by hand, and where it is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import scalefit
from scalefit.goodness import goodness_of
from scalefit.law.additive import Law
from scalefit.records import Objective
from scalefit.storage import fit_record

SQUARES = Objective("squared", None, "log")


def power_law(seed: int = 3, repeats: int = 4, bend: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    size = np.repeat(np.geomspace(1e6, 1e9, 8), repeats)
    log = np.log(20) - 0.1 * np.log(size) + bend * np.log(size / 3e7) ** 2 + 0.02 * rng.standard_normal(len(size))
    return pd.DataFrame({"params": size, "loss": np.exp(log), "w": rng.uniform(0.5, 2, len(size))})


def test_r2_scatter_and_scores_are_those_of_a_regression_of_logs() -> None:
    data = power_law()
    found = scalefit.fit(data, "loss ~ A/params^alpha", bootstrap=0).goodness
    reference = sm.OLS(np.log(data["loss"]), sm.add_constant(np.log(data["params"]))).fit()
    np.testing.assert_allclose(found.r2, reference.rsquared, rtol=1e-9)
    np.testing.assert_allclose(found.rms, np.sqrt(reference.mse_resid), rtol=1e-9)
    np.testing.assert_allclose(found.robust, np.median(np.abs(reference.resid)) / 0.6744897501960817, rtol=1e-6)
    assert found.rms_share == pytest.approx(np.exp(found.rms) - 1)
    assert found.scores is not None
    jacobian = np.log(data["loss"]).sum()
    np.testing.assert_allclose(found.scores.log_likelihood, reference.llf - jacobian, rtol=1e-9)
    np.testing.assert_allclose(found.scores.aic, reference.aic + 2 + 2 * jacobian, rtol=1e-9)  # the scatter counts too
    np.testing.assert_allclose(found.scores.bic, reference.bic + np.log(32) + 2 * jacobian, rtol=1e-9)


def test_weights_are_those_of_a_weighted_regression() -> None:
    data = power_law()
    found = scalefit.fit(data, "loss ~ A/params^alpha", bootstrap=0, weights="w").goodness
    reference = sm.WLS(np.log(data["loss"]), sm.add_constant(np.log(data["params"])), weights=data["w"]).fit()
    np.testing.assert_allclose(found.r2, reference.rsquared, rtol=1e-9)
    scale = 32 / data["w"].sum()  # only ratios of weights matter to the scatter
    np.testing.assert_allclose(found.rms, np.sqrt(reference.mse_resid * scale), rtol=1e-9)
    assert found.scores is not None
    np.testing.assert_allclose(found.scores.log_likelihood, reference.llf - np.log(data["loss"]).sum(), rtol=1e-9)


def test_linear_space_scores_compare_with_log_space_on_the_same_rows() -> None:
    data = power_law()
    linear = scalefit.fit(data, "loss ~ A/params^alpha", space="linear", bootstrap=0)
    residual = data["loss"] - linear.predict()["predicted"].to_numpy()
    scores = linear.goodness.scores
    assert scores is not None
    expected = -16 * (np.log(2 * np.pi * np.mean(residual**2)) + 1)
    np.testing.assert_allclose(scores.log_likelihood, expected, rtol=1e-9)
    assert linear.goodness.rms_share == pytest.approx(linear.goodness.rms / data["loss"].mean())
    log = scalefit.fit(data, "loss ~ A/params^alpha", bootstrap=0).goodness.scores
    assert log is not None
    assert log.aic < scores.aic - 5  # these rows scatter in their logs


@pytest.mark.parametrize("bend", [0.0, 0.01])
def test_lack_of_fit_is_the_comparison_with_a_mean_for_each_setting(bend: float) -> None:
    data = power_law(bend=bend)
    test = scalefit.fit(data, "loss ~ A/params^alpha", bootstrap=0, exponents="free").goodness.lack_of_fit
    assert test is not None
    logs = np.log(data["loss"])
    line = sm.OLS(logs, sm.add_constant(np.log(data["params"]))).fit()
    means = sm.OLS(logs, pd.get_dummies(data["params"]).astype(float)).fit()
    ratio, p, freedom = means.compare_f_test(line)
    np.testing.assert_allclose([test.ratio, test.p], [ratio, p], rtol=1e-6)
    assert (test.law, test.repeats) == (freedom, 24)
    assert (test.p < 1e-6) == (bend > 0)


def test_no_test_and_no_scores_where_rows_are_not_independent_or_the_loss_is_robust() -> None:
    data = power_law().assign(run=lambda frame: frame["params"].rank(method="dense").astype(int).astype(str))
    for options in ({"cluster": "run"}, {"loss": "huber"}):
        found = scalefit.fit(data, "loss ~ A/params^alpha", bootstrap=0, **options).goodness  # type: ignore[arg-type]
        assert found.scores is None
        assert found.lack_of_fit is None
    alone = power_law(repeats=1)
    assert scalefit.fit(alone, "loss ~ A/params^alpha", bootstrap=0).goodness.lack_of_fit is None


def test_the_largest_shares_are_those_of_the_objective() -> None:
    frame = pd.DataFrame({"x": [1.0, 2, 3, 4, 5], "y": [1.0, 1, 1, 1, 1]}, index=[11, 12, 13, 14, 15])
    residual = np.array([0.1, -0.3, 0.0, 0.2, 0.1])
    law = Law.parse("y ~ A/x^alpha")
    squares = goodness_of(frame, residual, law, SQUARES, parameters=1).largest
    assert [square.row for square in squares] == [12, 14, 11]
    np.testing.assert_allclose([square.share for square in squares], [9 / 15, 4 / 15, 1 / 15])
    robust = Objective("huber", 0.1, "log")
    huber = goodness_of(frame, residual, law, robust, parameters=1).largest  # 0.005, 0.025, 0, 0.015, 0.005
    np.testing.assert_allclose([part.share for part in huber], [0.5, 0.3, 0.1])


def test_trends_are_means_at_the_ends_of_a_column_with_the_test_of_one_way_layouts() -> None:
    from scipy import stats

    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": np.arange(1.0, 41), "y": np.ones(40)})
    residual = 0.1 * rng.standard_normal(40) + 0.2 * (frame["x"].to_numpy() > 30)
    residual -= residual.mean()
    (trend,) = goodness_of(frame, residual, Law.parse("y ~ A/x^alpha"), SQUARES, parameters=1).trends
    parts = [residual[:10], residual[10:30], residual[30:]]
    np.testing.assert_allclose([trend.low, trend.middle, trend.high], [part.mean() for part in parts])
    assert trend.ends == (1.0, 40.0)
    np.testing.assert_allclose(trend.p, stats.f_oneway(*parts).pvalue, rtol=1e-9)


def test_it_is_printed_by_the_fit_in_words_html_and_json(tmp_path: Path) -> None:
    data = power_law(bend=0.01)
    fit = scalefit.fit(data, "loss ~ A/params^alpha", bootstrap=0, exponents="free")
    text = str(fit)
    assert "rms, " in text
    assert "R2 of the log response 0." in text
    assert "lack of fit F(6, 24) = " in text
    assert "along params from 1.0M to 1.0B (p < 0.001)" in text
    assert "R2 of the log response" in fit._repr_html_()
    record = fit_record(fit)["goodness"]
    assert json.loads(json.dumps(record)) == record
    assert record["lack_of_fit"]["repeats"] == 24
    fit.save(tmp_path / "a.fit")
    assert scalefit.load_fit(tmp_path / "a.fit").goodness == fit.goodness


def test_the_command_line_has_it_in_json(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    power_law().to_csv(path, index=False)
    command = [
        sys.executable,
        "-m",
        "scalefit",
        "fit",
        str(path),
        "loss ~ A/params^alpha",
        "--bootstrap",
        "0",
        "--json",
    ]
    out = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert out["goodness"]["space"] == "log"
    assert 0.9 < out["goodness"]["r2"] < 1


def test_sizes_of_residuals_are_in_the_unit_of_a_response_that_crosses_0() -> None:
    """A mean near 0, or below it, is not a scale: 0.02 of noise is not 3000% of a mean of 0.0007."""
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"params": np.geomspace(1e6, 1e9, 40)})
    data["score"] = 0.3 - 100 * data["params"] ** -0.4 + 0.02 * rng.standard_normal(40)
    data["score"] -= data["score"].mean() - 0.0007
    found = scalefit.fit(data, "score ~ a - b/params^c with a free, c in [0.1, 2]", space="linear", uncertainty="hc3")
    assert np.isnan(found.goodness.rms_share)
    lines = {line.split()[0]: line for line in str(found).splitlines() if line.startswith("  ")}
    assert f"scatter    {found.goodness.rms:.2g} rms" in lines["scatter"]
    assert "(in the unit of score)" in lines["scatter"]
    assert "%" not in lines["residuals"]
    above = scalefit.fit(data.assign(score=data["score"] + 1), "score ~ a - b/params^c with a free", space="linear",
                uncertainty="hc3")  # fmt: skip
    assert "%" in next(line for line in str(above).splitlines() if "scatter  " in line)


def test_an_exact_fit_prints_no_digits_of_round_off() -> None:
    size = np.geomspace(1e7, 1e9, 30)
    data = pd.DataFrame({"params": size, "loss": 3 * (size / 1e8) ** -0.1})
    fit = scalefit.fit(data, "loss ~ A/params^alpha", bootstrap=200)
    text = str(fit)
    assert "objective  0 to rounding (" in text
    assert "scatter    exact to rounding: the law goes through every row" in text
    assert "alpha      0.1 (exact to rounding)" in text
    assert "[0.1, 0.1]" in text
    assert "misfit" not in text
    assert "residuals " not in text
    assert "scatter: exact to rounding" in fit._repr_html_()
    noisy = scalefit.fit(data.assign(loss=data["loss"] * (1 + 1e-9 * np.sin(np.arange(30)))), fit.law, bootstrap=0)
    assert "exact to rounding" not in str(noisy)  # a scatter of 1e-9 is one
