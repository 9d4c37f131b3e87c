"""Errors and intervals of least squares against statsmodels, SciPy and closed forms, on laws that are linear.

In linear space ``y ~ E + A/x^1`` is a linear regression: its floor and ``A`` are the coefficients of a column of ones
and of 1/x, and ``log A`` has the standard error of A divided by A.
"""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import special, stats

from scalefit.law.additive import Law
from scalefit.leastsq import fit
from scalefit.leastsq.bridge import to_lmfit
from scalefit.leastsq.covariance import gauss_newton, row_influence, sandwich
from scalefit.problem import build_problem
from scalefit.solver.curvature import Curvature, curvature_at
from scalefit.solver.search import search

LINE = "y ~ E + A/x^1"


def line(rows=9, *, noise=0.02, seed=3):
    """Rows about 1 + 2/x, in three runs."""
    x = np.geomspace(1.0, 16.0, rows)
    y = 1 + 2 / x + noise * np.random.default_rng(seed).standard_t(3, rows)
    return pd.DataFrame({"x": x, "y": y, "run": np.repeat(["a", "b", "c"], -(-rows // 3))[:rows]})


def regression(frame):
    return sm.OLS(frame["y"].to_numpy(), sm.add_constant(1 / frame["x"].to_numpy()))


def of_a_mean(residual, delta=np.inf):
    """The misfit of a law that is one constant."""
    ones = np.ones((len(residual), 1))
    curved = (np.abs(residual) <= delta).astype(float)
    return Curvature(residual, np.clip(residual, -delta, delta), curved, ones, ones, np.array([True]))


def test_gauss_newton_of_hubers_loss_has_the_small_sample_factor_of_robust_regression():
    """Huber 1981, equation 7.6.8, as statsmodels has it for a robust linear model whose scale is given."""
    frame, delta = line(15, noise=0.05), 0.03
    model = sm.RLM(frame["y"].to_numpy(), sm.add_constant(1 / frame["x"].to_numpy()))
    scale = model.fit(update_scale=False).scale
    model.M = sm.robust.norms.HuberT(t=delta / scale)
    robust = model.fit(update_scale=False, conv="coefs", tol=1e-13, maxiter=2000)
    problem = build_problem(Law.parse(LINE), frame, space="linear")
    theta = search(problem.design, delta=delta)[0].theta
    shape = curvature_at(problem.design, theta, delta)
    assert 0.3 < shape.curved.mean() < 0.8  # else the factor is 1
    floor, log_a = np.sqrt(np.diag(gauss_newton(shape, problem.design.rows.weight)))
    assert floor == pytest.approx(robust.bse[0], rel=1e-5)
    assert log_a == pytest.approx(robust.bse[1] / robust.params[1], rel=1e-5)


def test_rows_of_weight_zero_are_no_rows_to_gauss_newton():
    residual = np.array([0.3, -0.1, 0.2, -0.4, 9.0])
    weight = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    variance = (0.09 + 0.01 + 0.04 + 0.16) / (4 - 1) / 4
    assert gauss_newton(of_a_mean(residual), weight)[0, 0] == pytest.approx(variance, rel=1e-12)


def test_robust_error_of_a_median_has_the_bandwidth_of_quantile_regression():
    """Powell's variance of a constant: a uniform kernel with the bandwidth that statsmodels chooses for a median."""
    rng = np.random.default_rng(8)
    residual = rng.standard_t(4, 80)
    residual -= np.median(residual)  # half-way between two rows: none is zero
    width = sm.QuantReg(residual, np.ones(80)).fit(q=0.5, bandwidth="hsheather").bandwidth
    inside = np.count_nonzero(np.abs(residual) <= width)
    assert 10 < inside < 70
    delta = 1e-9  # as good as absolute residuals: every score is delta or -delta
    # a row inside has leverage 1 / inside, as for HC3
    variance = (width / inside) ** 2 * (80 - inside + inside / (1 - 1 / inside) ** 2)
    shape = of_a_mean(residual, delta)
    assert sandwich(shape, np.ones(80))[0, 0] == pytest.approx(variance, rel=1e-6)


def test_part_of_a_row_in_the_variance_of_a_slope():
    """Of an ordinary regression: the squared distance from the mean of x times the squared residual."""
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])
    residual = np.array([0.1, -0.2, 0.05, 0.3, -0.1, 0.2])
    shape = of_a_mean(residual)._replace(
        jacobian=np.column_stack([np.zeros(6), np.ones(6), x]), free=np.array([False, True, True])
    )
    part = ((x - x.mean()) * residual) ** 2
    influence = row_influence(shape, np.ones(6), 2)
    np.testing.assert_allclose(influence, part / part.sum(), rtol=1e-10)
    np.testing.assert_allclose(row_influence(of_a_mean(residual), np.ones(6), 0), residual**2 / (residual @ residual))


def test_interval_over_clusters_has_one_degree_of_freedom_less_than_clusters():
    frame = line()
    groups = frame["run"].astype("category").cat.codes.to_numpy()
    expected = regression(frame).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    result = fit(frame, LINE, space="linear", cluster="run", uncertainty="cluster", throw=False)
    assert result["E"].se == pytest.approx(expected.bse[0], rel=1e-6)
    # of statsmodels' t distribution with 3 - 1 degrees
    assert (result["E"].lo, result["E"].hi) == pytest.approx(
        tuple(max(0.0, value) for value in expected.conf_int()[0]), rel=1e-5
    )


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_intervals_of_a_regression_have_as_many_degrees_of_freedom_as_rows_less_parameters(level):
    """A profile of the exact misfit, too: its limits are those of Student's t."""
    frame = line(7)
    expected = regression(frame).fit()
    ends = expected.conf_int(alpha=1 - level)[0]
    for method in ("gauss-newton", "profile"):
        result = fit(frame, LINE, space="linear", uncertainty=method, level=level, throw=False)
        assert (result["E"].lo, result["E"].hi) == pytest.approx(tuple(ends), rel=1e-5)
    robust = fit(frame, LINE, space="linear", uncertainty="hc3", level=level, throw=False)
    expected = regression(frame).fit(cov_type="HC3", use_t=True)
    assert (robust["E"].lo, robust["E"].hi) == pytest.approx(tuple(expected.conf_int(alpha=1 - level)[0]), rel=1e-5)


@pytest.mark.parametrize(("level", "first"), [(0.9, 20), (0.5, 100)])
def test_percentile_interval_leaves_as_many_refits_on_either_side(level, first):
    """Of 401 refits and a level of 0.9, twenty lie below the interval and twenty above."""
    result = fit(line(), LINE, space="linear", bootstrap=401, level=level, throw=False)
    for name in ("E", "A"):
        draws = np.sort(result.draws(name))
        assert (result[name].lo, result[name].hi) == pytest.approx((draws[first], draws[400 - first]), rel=1e-12)


@pytest.mark.parametrize("space", ["log", "linear"])
def test_squares_handed_to_lmfit_are_twice_hubers_loss(space):
    frame, delta = line(), 0.01
    result = fit(frame, LINE, loss="huber", delta=delta, space=space, bootstrap=0, throw=False)
    fitted = result["E"].value + result["A"].value / frame["x"]
    gap = np.log(frame["y"] / fitted) if space == "log" else frame["y"] - fitted
    assert 0 < np.count_nonzero(np.abs(gap) > delta) < len(gap)  # rows on both parts of the loss
    minimiser = to_lmfit(result)
    residual = minimiser.userfcn(minimiser.params)
    np.testing.assert_allclose(0.5 * residual**2, special.huber(delta, gap.to_numpy()), rtol=1e-6, atol=1e-15)
    assert np.array_equal(np.sign(residual), np.sign(gap))


def test_jackknife_by_cluster_is_that_of_the_means_left():
    """The floor of ``y ~ E + 1/x^1`` is a mean: its refits without one run are means of the other two."""
    frame = line()
    level = (frame["y"] - 1 / frame["x"]).to_numpy().reshape(3, 3)
    left = np.array([np.delete(level, i, axis=0).mean() for i in range(3)])
    result = fit(frame, "y ~ E + 1/x^1", space="linear", cluster="run", uncertainty="jackknife", throw=False)
    se = np.sqrt(2 / 3 * ((left - left.mean()) ** 2).sum())
    assert result["E"].se == pytest.approx(se, rel=1e-6)
    assert result["E"].hi == pytest.approx(level.mean() + stats.t.ppf(0.975, 2) * se, rel=1e-6)
