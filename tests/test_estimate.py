"""One number with its uncertainty: probabilities, logs, records, equality, against scipy and closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from scalefit.estimate import SPREADS, Estimate, estimate_columns
from scalefit.quantiles import f_quantile, f_tail, normal_quantile, student_quantile

NORMAL = Estimate("alpha", "exponent", 0.35, 0.02, 0.31, 0.39, level=("OPT", "c4"))
DRAWS = np.random.default_rng(1).normal(2.0, 0.5, 4000)
DRAWN = Estimate("a", "exponent", float(DRAWS.mean()), float(DRAWS.std(ddof=1)), spread="posterior", draws=DRAWS)


def test_a_normal_has_the_probabilities_of_a_normal() -> None:
    assert NORMAL.below(0.33) == pytest.approx(stats.norm.cdf(-1))
    assert NORMAL.inside((0.33, 0.37)) == pytest.approx(stats.norm.cdf(1) - stats.norm.cdf(-1))
    assert NORMAL.quantiles(4) == pytest.approx(stats.norm.ppf([0.125, 0.375, 0.625, 0.875], 0.35, 0.02))
    assert NORMAL.density(np.array([0.33, 0.35])) == pytest.approx(stats.norm.pdf([0.33, 0.35], 0.35, 0.02))


def test_draws_have_shares_that_add_up() -> None:
    assert DRAWN.below(2.0) == np.mean(DRAWS < 2.0)
    assert DRAWN.inside((1.5, 2.0)) == np.mean((DRAWS >= 1.5) & (DRAWS < 2.0))
    assert DRAWN.quantiles(3) == pytest.approx(np.quantile(DRAWS, [1 / 6, 0.5, 5 / 6]))
    missing = replace(DRAWN, draws=np.append(DRAWS, [np.nan, np.inf]))
    assert missing.below(2.0) == DRAWN.below(2.0)


def test_the_logarithm_of_a_normal_is_to_first_order_and_of_draws_exact() -> None:
    log = replace(NORMAL, probability=0.9).as_log()
    assert (log.value, log.se) == pytest.approx((math.log(0.35), 0.02 / 0.35))
    assert (log.lo, log.hi) == pytest.approx(stats.norm.interval(0.9, math.log(0.35), 0.02 / 0.35))
    exact = replace(DRAWN, draws=np.exp(DRAWS), probability=0.8).as_log()
    assert (exact.value, exact.se) == pytest.approx((DRAWS.mean(), DRAWS.std(ddof=1)))
    assert (exact.lo, exact.hi) == pytest.approx(np.quantile(DRAWS, [0.1, 0.9]))


def test_an_interval_holds_its_ends_and_nothing_where_there_is_none() -> None:
    assert [NORMAL.holds(value) for value in (0.30, 0.31, 0.39, 0.40)] == [False, True, True, False]
    assert not Estimate("a", "quantity", 1.0).holds(1.0)
    assert not Estimate("a", "exponent", math.nan).is_known


def test_an_estimate_prints_as_in_the_table_of_its_fit() -> None:
    assert str(NORMAL) == "alpha[OPT,c4] 0.350 ± 0.020 [0.310, 0.390]"
    loose = Estimate("B", "coefficient", 2100.0, 3000.0, 1100.0, 55_000.0, log_value=7.6, log_se=1.0)
    assert str(loose) == "B 2100 [1100, 55\u202f000]"
    assert str(Estimate("", "quantity", 0.91, 0.04)) == "0.910 ± 0.040"


def test_records_have_one_shape_and_null_for_what_is_not_finite() -> None:
    estimate = replace(NORMAL, hi=math.inf, log_value=-1.05, log_se=math.nan)
    assert estimate.record() == {
        "name": "alpha[OPT,c4]", "coefficient": "alpha", "level": ["OPT", "c4"], "kind": "exponent", "estimate": 0.35,
        "se": 0.02, "interval": [0.31, None], "log_estimate": -1.05, "log_se": None,
    }  # fmt: skip
    columns = estimate_columns([estimate, DRAWN])
    assert list(columns) == ["estimate", "se", "interval", "log_estimate", "log_se"]
    assert set(columns["estimate"]) == {"alpha[OPT,c4]", "a"}
    assert set(columns["log_estimate"]) == {"alpha[OPT,c4]"}


def test_equal_estimates_are_equal_also_where_numbers_are_missing() -> None:
    assert replace(NORMAL) == NORMAL
    assert hash(NORMAL) == hash(replace(NORMAL))
    assert replace(DRAWN, draws=DRAWS.copy()) == DRAWN
    assert replace(DRAWN, draws=DRAWS + 1) != DRAWN
    assert replace(NORMAL, se=math.nan) == replace(NORMAL, se=math.nan)
    assert replace(NORMAL, level=()) != NORMAL
    assert NORMAL != 0.35
    assert Estimate("", "", 1.0).name == ""


def test_every_spread_says_what_its_shares_are() -> None:
    assert set(SPREADS) == {"posterior", "bootstrap", "normal approximation", "published"}


@pytest.mark.parametrize("p", [1e-6, 0.025, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("df", [1, 3, 40, 2.5])
def test_quantiles_are_those_of_scipy_stats(p: float, df: float) -> None:
    assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-12, abs=1e-15)
    assert student_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9, abs=1e-12)
    assert f_quantile(p, 2, df) == pytest.approx(stats.f.ppf(p, 2, df), rel=1e-9)
    assert f_tail(1.7, 2, df) == pytest.approx(stats.f.sf(1.7, 2, df), rel=1e-12)
