"""Numbers of a fit that other numbers are made of: residuals, errors in the units of the table, resamples, bounds."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from scalefit.leastsq import fit

X = np.geomspace(1.0, 16.0, 12)
FRAME = pd.DataFrame({"x": X, "y": 1 + 30 / X + 0.05 * np.cos(5 * np.arange(12))})


def test_residuals_are_observed_less_predicted():
    for space in ("log", "linear"):
        result = fit(FRAME, "y ~ E + 30/x^1", space=space, bootstrap=0, throw=False)
        floor = result["E"].value
        gap = np.log(FRAME["y"]) - np.log(floor + 30 / X) if space == "log" else FRAME["y"] - (floor + 30 / X)
        assert np.abs(gap).max() > 1e-3
        np.testing.assert_allclose(result.residuals(), gap, rtol=1e-9, atol=1e-12)


def test_gauss_newtons_error_of_a_coefficient_is_in_the_units_of_the_table():
    """In linear space ``y ~ E + A/x^1`` is a linear regression on 1/x."""
    result = fit(FRAME, "y ~ E + A/x^1", space="linear", bootstrap=50, throw=False)
    expected = sm.OLS(FRAME["y"].to_numpy(), sm.add_constant(1 / X)).fit()
    assert [result[name].gauss_newton for name in ("E", "A")] == pytest.approx(list(expected.bse), rel=1e-6)
    assert result["A"].value == pytest.approx(expected.params[1], rel=1e-8)


def test_a_parameter_at_its_bound_has_no_error_and_costs_the_others_none():
    """Bent down in logs: E = 0, and what is left is a straight line of log y on log x."""
    x = np.geomspace(10, 1e4, 30)
    frame = pd.DataFrame({"x": x, "y": 5 * x ** (-0.1 - 0.02 * np.log(x))})
    line = sm.OLS(np.log(frame["y"].to_numpy()), sm.add_constant(-np.log(x))).fit()
    # the bound takes no row's part: 30 - 2 degrees of freedom
    for method, expected in (("gauss-newton", line.bse), ("hc3", line.get_robustcov_results("HC3").bse)):
        result = fit(frame, "y ~ E + c/x^a", uncertainty=method, throw=False)
        assert result["E"].value == 0
        np.testing.assert_allclose(result.uncertainty.se, [0.0, *expected], rtol=1e-5)


def test_a_replicate_depends_on_the_seed_and_on_its_number_alone():
    first, longer, other = (
        fit(FRAME, "y ~ E + 30/x^1", space="linear", bootstrap=count, seed=seed, throw=False).uncertainty.draws
        for count, seed in ((100, 0), (300, 0), (100, 1))
    )
    np.testing.assert_array_equal(first, longer[:100])
    assert np.mean(first == other) < 0.1


def test_resamples_are_means_of_rows_drawn_with_replacement():
    """Of 12 rows: their variance is that of the rows about their mean over 12, within the error of 4,000 draws."""
    draws = fit(FRAME, "y ~ E + 30/x^1", space="linear", bootstrap=4000, throw=False).draws("E")
    level = FRAME["y"] - 30 / X
    assert draws.mean() == pytest.approx(level.mean(), abs=4 * np.sqrt(level.var(ddof=0) / 12 / 4000))
    assert draws.var() == pytest.approx(level.var(ddof=0) / 12, rel=0.1)
