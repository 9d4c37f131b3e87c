"""The loss of a toy model as it is measured, against sums over all cases, plain means, and other seeds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss

from scalefit.toy.buffers import new_work
from scalefit.toy.evaluation import Evaluation, few_active, more_active
from scalefit.toy.frequency import law_weights, probabilities

pytest.importorskip("torch", reason="the reference computes losses with torch")
from tests.toy_reference import dense_samples, sample_losses

N = 30


def model(seed=0, n=N, m=5, bias=0.3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, m)) / np.sqrt(m), bias * rng.normal(size=n)


def measured(W, b, p, samples, seed=1):
    evaluation = Evaluation(p, "float64", samples)
    return evaluation.measure(W, b, np.random.default_rng(seed), new_work(*W.shape, "float64"), samples)


def exact_loss(W, b, p):
    """Sum over all sets of active features, and over their values by the rule of Gauss with many points."""
    total = 0.0
    for size in range(len(p) + 1):
        for active in combinations(range(len(p)), size):
            weight = np.prod([p[i] if i in active else 1 - p[i] for i in range(len(p))])
            if weight == 0:
                continue
            x, w = leggauss((1, 2000, 200, 50)[size])
            values = np.array(np.meshgrid(*[x + 1] * size)).reshape(size, -1).T if size else np.zeros((1, 0))
            dense = np.zeros((len(values), len(p)))
            dense[:, active] = values
            chances = np.prod(np.array(np.meshgrid(*[w / 2] * size)).reshape(size, -1), axis=0) if size else np.ones(1)
            total += weight * chances @ sample_losses(W, b, dense)
    return total


def test_with_at_most_one_active_feature_the_loss_is_exact():
    """A second feature is active with probability 0, so that nothing is left to be sampled."""
    for seed in range(5):
        W, b = model(seed, n=4, m=2, bias=1.0)
        p = np.array([0.0, 0.7, 0.0, 0.0])
        loss, error = measured(W, b, p, 100)
        assert loss == pytest.approx(exact_loss(W, b, p), rel=1e-6)
        assert error == 0


@pytest.mark.parametrize("p", [[0.5, 0.3, 0.2], [0.9, 0.05, 0.01], [1.0, 0.4, 0.2], [1.0, 1.0, 0.3]])
def test_the_loss_agrees_with_the_sum_over_all_cases(p):
    W, b = model(3, n=3, m=2)
    p = np.array(p)
    loss, error = measured(W, b, p, 200_000)
    assert abs(loss - exact_loss(W, b, p)) < 4 * error + 1e-5
    assert error < 0.003 * loss


@pytest.mark.parametrize(("alpha", "density"), [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (1.0, 0.05), (0.5, 6.0)])
def test_the_loss_agrees_with_a_plain_mean(alpha, density):
    W, b = model()
    p = probabilities(law_weights("power", N, alpha=alpha), density)
    loss, error = measured(W, b, p, 50_000)
    dense = sample_losses(W, b, dense_samples(p, 400_000, np.random.default_rng(2)))
    plain = dense.std() / np.sqrt(len(dense))
    assert abs(loss - dense.mean()) < 4 * np.hypot(error, plain)
    assert error < 0.8 * dense.std() / np.sqrt(50_000)


def test_the_error_is_the_scatter_of_other_samples():
    W, b = model()
    p = probabilities(law_weights("power", N, alpha=1.0), 1.0)
    found = np.array([measured(W, b, p, 8_000, seed) for seed in range(60)])
    assert found[:, 0].std(ddof=1) == pytest.approx(found[:, 1].mean(), rel=0.25)


def test_few_samples_do_without_controls_and_more_are_whole_batches():
    W, b = model()
    p = probabilities(law_weights("power", N, alpha=1.0), 1.0)
    found = np.array([measured(W, b, p, 50, seed) for seed in range(400)])
    assert found[:, 0].mean() == pytest.approx(measured(W, b, p, 200_000)[0], abs=4 * found[:, 0].std() / 20)
    assert Evaluation(p, "float64", 50).rounded(120) == 150
    assert Evaluation(p, "float64", 10**6).rounded(10**6) == 62 * 16_384


def test_one_parameter_that_is_not_a_number_makes_the_loss_none():
    p = probabilities(law_weights("power", N, alpha=1.0), 1.0)
    for place in (0, 1):
        parameters = model()
        parameters[place].flat[7] = np.nan
        assert not np.isfinite(measured(*parameters, p, 2_000)[0])


def test_how_often_few_features_are_active():
    p = np.array([0.5, 0.2, 0.1])
    none, only = few_active(p)
    assert none == pytest.approx(0.36)
    assert only == pytest.approx([0.36, 0.09, 0.04])
    assert few_active(np.array([1.0, 0.2]))[1] == pytest.approx([0.8, 0])
    assert few_active(np.array([1.0, 1.0]))[1].tolist() == [0, 0]


def test_weights_of_samples_are_bounded():
    for alpha, density in ((0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (0.0, 10.0)):
        p = probabilities(law_weights("power", 1000, alpha=alpha), density)
        drawn = more_active(p)
        assert (drawn >= p).all()
        assert np.exp((np.log1p(-p) - np.log1p(-drawn)).sum()) < 6
