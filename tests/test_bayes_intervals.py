"""Intervals and effective draws of posteriors whose quantiles are known."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from scalefit.posterior.importance import Weighted
from scalefit.posterior.nuts import Chains
from scalefit.posterior.result import from_chains, from_weights

N = 20_000
POINTS = (np.arange(N) + 0.5) / N
NATURAL = SimpleNamespace(  # coordinates are the parameters themselves
    natural=lambda x: x, names=("a", "b"), parameters=[SimpleNamespace(key=(name, ())) for name in "ab"]
)  # fmt: skip


@pytest.mark.parametrize("level", [0.9, 0.5])
def test_weighted_interval_leaves_out_half_of_the_rest_on_each_side(level):
    """Points evenly over [0, 1] with weights like x have the density 2 x, whose quantile p is the root of p."""
    weight = POINTS / POINTS.sum()
    x = np.column_stack([POINTS, -3 * POINTS])
    weighted = Weighted(x, weight, 1 / np.sum(weight**2), 0.1, 0.0, 0.01, 1)
    sampled = from_weights(NATURAL, weighted, draws=1000, level=level, seed=0)
    lo, hi = np.sqrt([(1 - level) / 2, (1 + level) / 2])
    np.testing.assert_allclose(sampled.spread.lo, [lo, -3 * hi], atol=1e-3)
    np.testing.assert_allclose(sampled.spread.hi, [hi, -3 * lo], atol=1e-3)
    np.testing.assert_allclose(sampled.mean, [2 / 3, -2], atol=1e-3)
    np.testing.assert_allclose(sampled.spread.se, np.sqrt([1 / 18, 0.5]), rtol=1e-3)
    drawn = sampled.spread.draws[:, 0]
    assert np.mean(drawn < lo) == pytest.approx((1 - level) / 2, abs=0.005)  # resampled evenly, not at random


def test_a_deviation_that_few_draws_make_up_is_named():
    """Student's t of 2.1 degrees has a variance, whose parts have a tail of shape 2 / 2.1; a normal has none."""
    x = np.column_stack([stats.t(2.1).ppf(POINTS), stats.norm.ppf(POINTS)])
    weighted = Weighted(x, np.full(N, 1 / N), N, 0.1, 0.0, 0.01, 1)
    found = from_weights(NATURAL, weighted, draws=100, level=0.95, seed=0).findings
    assert [(one.code, one.severity, one.about) for one in found] == [("heavy_spread", "warning", (("a", ()),))]
    assert (
        "The standard deviation of a rests on few draws far from the mean (k-hat of their squares" in found[0].message
    )
    assert found[0].numbers["khat"] == [pytest.approx(2 / 2.1, abs=0.12)]
    bad = weighted._replace(khat=0.9)  # whose averages are no better
    assert [one.code for one in from_weights(NATURAL, bad, draws=100, level=0.95, seed=0).findings] == ["khat"]


def test_draws_of_equal_weight_are_as_many_as_there_are():
    weight = np.full(N, 1 / N)
    weighted = Weighted(POINTS[:, None], weight, N, 0.1, 0.0, 0.01, 1)
    sampled = from_weights(NATURAL, weighted, draws=100, level=0.95, seed=0)
    assert sampled.posterior.ess_bulk == pytest.approx([N])
    assert sampled.posterior.ess_tail == pytest.approx([N], rel=1e-3)


@pytest.mark.parametrize("level", [0.9, 0.5])
def test_interval_of_chains_leaves_out_half_of_the_rest_on_each_side(level):
    x = np.column_stack([POINTS, -3 * POINTS]).reshape(4, -1, 2)
    many = np.full(2, 5000.0)
    chains = Chains(x, np.ones(2), many, many, 0, 1.0, "sampler 1.0", 5000, False, b"")
    spread = from_chains(NATURAL, chains, level=level).spread
    lo, hi = (1 - level) / 2, (1 + level) / 2
    np.testing.assert_allclose(spread.lo, [lo, -3 * hi], atol=1e-3)
    np.testing.assert_allclose(spread.hi, [hi, -3 * lo], atol=1e-3)
