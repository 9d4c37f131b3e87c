"""Every standard error against an independent way to get it."""

import lmfit
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scalefit.data.datasets import load_dataset
from scalefit.law.additive import Law
from scalefit.leastsq import fit
from scalefit.leastsq.bridge import to_lmfit
from scalefit.leastsq.covariance import _powell, sandwich
from scalefit.problem import build_problem
from scalefit.solver.curvature import curvature_at
from scalefit.solver.search import search


@pytest.mark.parametrize(
    ("law", "options"),
    [
        ("chinchilla", {"loss": "huber", "drop_highest_loss": 5}),
        ("chinchilla", {"space": "linear"}),
        ("width_depth", {"drop_highest_loss": 40}),
    ],
)
def test_lmfit_finds_nothing_lower(law, options):
    result = fit("chinchilla", law, bootstrap=0, **options)
    second = to_lmfit(result).minimize()
    scale = 1 if options.get("loss") != "huber" else 2
    assert second.chisqr / scale == pytest.approx(result.value, rel=1e-10)


def test_lmfit_takes_the_llm_families_too():
    result = fit("llm_families", "family_width", space="linear", bootstrap=0)
    minimiser = to_lmfit(result)
    assert minimiser.params["E_OPT_wikitext"].min == 0
    assert minimiser.minimize().chisqr == pytest.approx(result.value, rel=1e-10)


def test_gauss_newton_equals_lmfit():
    result = fit("chinchilla", "chinchilla", drop_highest_loss=5, uncertainty="gauss-newton")
    second = to_lmfit(result).minimize()
    errors = [second.params[name].stderr for name in ("E", "log_A", "log_B", "alpha", "beta")]
    np.testing.assert_allclose(result.uncertainty.se, errors, rtol=2e-3)


def test_profile_intervals_equal_lmfits():
    result = fit("chinchilla", "width_depth", drop_highest_loss=40, uncertainty="profile")
    minimiser = to_lmfit(result)
    intervals = lmfit.conf_interval(minimiser, minimiser.minimize(), p_names=["a_m", "E"], sigmas=[0.95])
    for name in ("a_m", "E"):
        low, _, high = (value for _, value in intervals[name])
        assert result[name].lo == pytest.approx(low, rel=1e-4)
        assert result[name].hi == pytest.approx(high, rel=1e-4)


def test_profile_of_a_log_coefficient():
    result = fit("chinchilla", "chinchilla", drop_highest_loss=5, uncertainty="profile")
    minimiser = to_lmfit(result)
    intervals = lmfit.conf_interval(minimiser, minimiser.minimize(), p_names=["log_A"], sigmas=[0.95])
    low, _, high = (value for _, value in intervals["log_A"])
    assert np.log(result["A"].lo) == pytest.approx(low, rel=1e-4)
    assert np.log(result["A"].hi) == pytest.approx(high, rel=1e-4)


def test_profile_meets_the_bound_of_a_floor():
    where = 'subset == "hot_100b+"'
    result = fit("gemstones", "width_depth", loss="huber", where=where, uncertainty="profile", throw=False)
    assert result["E"].lo == 0
    assert 0 < result["E"].hi < 2.5


def shape_of(law, delta):
    problem = build_problem(Law.parse(law), load_dataset("chinchilla").iloc[5:])
    theta = search(problem.design, delta=delta)[0].theta
    return curvature_at(problem.design, theta, delta), problem.design.rows.weight


def test_hc3_by_hand():
    shape, weight = shape_of("chinchilla", np.inf)
    j, r = shape.jacobian, shape.residual
    bread = np.linalg.inv(j.T @ j)
    leverage = ((j @ bread) * j).sum(axis=1)
    meat = j.T @ ((r / (1 - leverage)) ** 2 * j.T).T
    np.testing.assert_allclose(sandwich(shape, weight), bread @ meat @ bread, rtol=1e-6)


def test_hubers_sandwich_is_hc3_where_huber_is_squares():
    shape, weight = shape_of("chinchilla", 10.0)
    np.testing.assert_allclose(_powell(shape, weight, None), sandwich(shape, weight), rtol=1e-6)
    cluster = np.arange(240) // 6
    np.testing.assert_allclose(_powell(shape, weight, cluster), sandwich(shape, weight, cluster), rtol=1e-6)


def test_studied_standard_errors():
    """Chinchilla, 240 rows, E, alpha, beta: figures of an independent study of the same fits."""
    studied = {
        ("squared", "gauss-newton"): (0.0142, 0.0105, 0.0091),
        ("squared", "hc3"): (0.0271, 0.0136, 0.0239),
        ("squared", "jackknife"): (0.0285, 0.0130, 0.0258),
        ("squared", "pairs"): (0.0272, 0.0124, 0.0241),
        ("huber", "pairs"): (0.0252, 0.0148, 0.0203),
    }
    for (loss, method), expected in studied.items():
        result = fit("chinchilla", "chinchilla", loss=loss, drop_highest_loss=5, uncertainty=method)
        found = [result[name].se for name in ("E", "alpha", "beta")]
        np.testing.assert_allclose(found, expected, rtol=0.06 if method == "pairs" else 0.01)


def test_method_without_replicates_says_so():
    result = fit("chinchilla", "chinchilla", bootstrap=0)
    assert result.uncertainty.method == "HC3"
    clustered = fit("chinchilla", "chinchilla", bootstrap=0, cluster="shape")
    assert clustered.uncertainty.method == "cluster sandwich over 43 clusters"


def test_extra_constraints_through_lmfit():
    result = fit("chinchilla", "chinchilla", drop_highest_loss=5, bootstrap=0)
    minimiser = to_lmfit(result)
    minimiser.params["beta"].expr = "alpha"
    tied = minimiser.minimize()
    ours = fit("chinchilla", "loss ~ E + A/params^alpha + B/tokens^alpha", drop_highest_loss=5, bootstrap=0)
    assert tied.chisqr == pytest.approx(ours.value, rel=1e-8)
    assert tied.params["alpha"].value == pytest.approx(ours["alpha"].value, rel=1e-5)


def test_jackknife_interval_of_a_mean_is_students():
    """In linear space the floor of y ~ E + 1/x^1 is the mean of y - 1/x, whose jackknife error is s / sqrt(n)."""
    x = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    level = np.array([1.1, 0.9, 1.05, 0.98, 1.17])
    frame = pd.DataFrame({"x": x, "y": level + 1 / x})
    result = fit(frame, "y ~ E + 1/x^1", space="linear", uncertainty="jackknife", level=0.9)
    lo, hi = stats.t.interval(0.9, 4, loc=level.mean(), scale=level.std(ddof=1) / np.sqrt(5))
    assert result["E"].se == pytest.approx(level.std(ddof=1) / np.sqrt(5), rel=1e-6)
    assert (result["E"].lo, result["E"].hi) == pytest.approx((lo, hi), rel=1e-6)


def test_refits_of_a_term_that_vanished_from_the_fit_have_answers_and_may_bring_it_back():
    """Width and depth of these runs move together: the fit drops one, some resamples the other."""
    result = fit("porian", "universal", bootstrap=200, throw=False)
    assert result.status == "not identified"
    assert result.uncertainty.failed == 0
    gone = result.uncertainty.draws[:, result.names.index("c_m")] < np.log(1e-6)
    assert 0.1 < gone.mean() < 0.9


@pytest.mark.parametrize(("clusters", "same"), [(5, True), (6, False)])
def test_few_clusters_are_left_out_one_at_a_time_and_not_resampled(clusters: int, same: bool) -> None:
    rng = np.random.default_rng(clusters)
    runs = pd.DataFrame(
        {
            "params": np.tile(np.geomspace(1e6, 1e9, 12), clusters),
            "run": np.repeat([f"r{k}" for k in range(clusters)], 12),
        }
    )
    shift = np.repeat(0.02 * rng.standard_normal(clusters), 12)
    runs["loss"] = (1.7 + 300 / runs["params"] ** 0.3) * np.exp(shift + 0.003 * rng.standard_normal(len(runs)))
    pairs = fit(runs, "params", cluster="run", bootstrap=200, throw=False)
    jackknife = fit(runs, "params", cluster="run", uncertainty="jackknife", throw=False)
    assert (pairs.uncertainty.draws is None) == same
    assert (pairs["alpha"].lo == jackknife["alpha"].lo) == same
    told = next(finding.message for finding in pairs.findings if finding.code == "few_clusters")
    assert ("pairs is the jackknife" in told) == same
