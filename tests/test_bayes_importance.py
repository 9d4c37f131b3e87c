"""Importance sampling: densities with known integrals, the Pareto diagnosis, resampling."""

import tracemalloc

import numpy as np
import pytest
from scipy import special, stats

from scalefit.posterior.importance import (
    GOOD_KHAT,
    Mixture,
    _refit,
    pareto_khat,
    pareto_smooth,
    resample,
    sample_by_importance,
)
from scalefit.posterior.mode import climb
from scalefit.posterior.result import _weighted_quantiles


def sampled(density, starts, **options):
    modes = [climb(density, np.asarray(start, dtype=float), np.ones(len(start))) for start in starts]
    centres, frames, log_mass = (
        np.array([getattr(mode, name) for mode in modes]) for name in ("x", "frame", "log_mass")
    )
    return sample_by_importance(density, centres, frames, log_mass, **options)


def correlated(d, seed=0):
    factor = np.linalg.cholesky(stats.wishart(df=d + 3, scale=np.eye(d)).rvs(random_state=seed))
    return stats.multivariate_normal(np.arange(d), factor @ factor.T)


@pytest.mark.parametrize("d", [1, 3, 10, 25])
def test_a_normal_of_known_size(d):
    normal = correlated(d) if d > 1 else stats.norm(3, 2)
    density = normal.logpdf if d > 1 else lambda x: normal.logpdf(x[:, 0])
    found = sampled(lambda x: 5.0 + density(x), [np.zeros(d)])
    assert found.khat < GOOD_KHAT
    assert found.ess > 8000
    assert found.log_evidence == pytest.approx(5.0, abs=5 * found.log_evidence_se + 1e-9)
    assert found.log_evidence_se < 0.02
    assert found.ess == pytest.approx(1 / np.sum(found.weight**2))
    mean = found.weight @ found.x
    sd = np.sqrt(found.weight @ (found.x - mean) ** 2)
    true = np.sqrt(np.diag(np.atleast_2d(normal.cov))) if d > 1 else np.array([2.0])
    assert mean == pytest.approx(np.arange(d) if d > 1 else np.array([3.0]), abs=5 * true.max() / np.sqrt(found.ess))
    assert sd == pytest.approx(true, rel=0.05)


def test_the_mass_of_a_mode_is_laplaces():
    normal = correlated(3)
    mode = climb(lambda x: 5.0 + normal.logpdf(x), np.zeros(3), np.ones(3))
    assert mode.log_mass == pytest.approx(5.0, abs=1e-3)


def test_where_a_climb_ends_does_not_depend_on_its_way():
    """Rounding errors decide the last steps of a climb; what follows from a mode must not change with them."""
    mix = np.array([[1.0, 0.4, -0.3], [0.0, 0.8, 0.5], [0.0, 0.0, 1.3]])

    def density(x):  # skewed, so that wide differences are biased; its mode is where mix @ x is ln 5
        y = x @ mix.T
        return (5 * y - np.exp(y)).sum(axis=1)

    true = np.linalg.solve(mix, np.full(3, np.log(5)))
    found = [climb(density, true + np.array(gap), scale) for gap in ([0.3, 0, 0], [-0.2, 0.4, 0.1], [0, 0, -0.5])
             for scale in (np.ones(3), np.array([0.1, 1.0, 0.3]))]  # fmt: skip
    for one in found:
        assert one.x == pytest.approx(true, abs=1e-4)
        assert one.x.tolist() == found[0].x.tolist()
        assert one.frame.tolist() == found[0].frame.tolist()


def test_two_modes_share_the_mass():
    left, right = stats.multivariate_normal([-6, 0], np.eye(2)), stats.multivariate_normal([6, 0], 0.25 * np.eye(2))

    def density(x):
        return np.logaddexp(np.log(0.3) + left.logpdf(x), np.log(0.7) + right.logpdf(x))

    found = sampled(density, [[-5, 0], [5, 0]])
    assert found.log_evidence == pytest.approx(0.0, abs=0.03)
    assert found.weight[found.x[:, 0] < 0].sum() == pytest.approx(0.3, abs=0.02)


def test_a_banana_is_learned_by_adaptation():
    def density(x):
        return stats.norm.logpdf(x[:, 0], scale=2) + stats.norm.logpdf(x[:, 1], loc=0.5 * x[:, 0] ** 2)

    found = sampled(density, [[0.0, 0.0]])
    assert found.rounds > 2
    assert found.log_evidence == pytest.approx(0.0, abs=0.1)
    assert found.weight @ found.x[:, 1] == pytest.approx(2.0, abs=0.3)


def test_tails_that_the_proposal_cannot_reach_are_reported():
    def density(x):  # a Cauchy in each of ten dimensions
        return stats.cauchy.logpdf(x).sum(axis=1)

    assert sampled(density, [np.zeros(10)]).khat > GOOD_KHAT


def test_same_seed_same_draws_and_progress_is_told():
    rounds = []
    first = sampled(correlated(3).logpdf, [np.zeros(3)], seed=4, draws=500, progress=rounds.append)
    second = sampled(correlated(3).logpdf, [np.zeros(3)], seed=4, draws=500)
    np.testing.assert_array_equal(first.x, second.x)
    assert rounds == list(range(1, first.rounds + 1))
    rounds.clear()
    sampled(correlated(3).logpdf, [np.zeros(3)], seed=4, draws=500, covered=-1.0, progress=rounds.append)
    assert rounds == list(range(1, first.rounds + 5))  # four stages, since no k-hat is low enough


@pytest.mark.parametrize("shape", [0.1, 0.4, 0.8, 1.2])
def test_khat_finds_the_shape_of_a_tail(shape):
    weight = stats.genpareto(shape).rvs(size=100_000, random_state=1)
    assert pareto_khat(np.log(weight)) == pytest.approx(shape, abs=0.1)


@pytest.mark.parametrize(
    ("n", "khat", "largest"),
    [
        (100, 0.6178829925252027, [0.11693625523254475, 0.059471263257542664, 0.012447084285722923]),
        (400, 0.7366969520637925, [0.08844233573827483, 0.039818513592614985, 0.006703960518146188]),
        (4000, 0.9784284253761152, [0.1091324645752149, 0.03739947632432844, 0.0032491896389274994]),
    ],
)
def test_smoothing_is_that_of_arviz(n, khat, largest):
    """Shape, shrunk towards 1/2, and the largest, second and twentieth weight, as psislw of ArviZ 0.23.4 has them."""
    log_weight = 0.7 * stats.t(4).ppf((np.arange(n) + 0.5) / n)
    weight, shape = pareto_smooth(log_weight)
    assert shape == pytest.approx(khat, rel=1e-9)
    assert weight[[-1, -2, -20]] == pytest.approx(largest, rel=1e-9)


def test_a_mixture_refitted_to_its_own_draws_keeps_its_shape():
    """A t distribution of 6 degrees has 1.5 times the variance of its scale matrix, which a refit must allow for."""
    own = Mixture(np.ones(1), np.array([[1.0, -2.0]]), np.array([[[2.0, 0.0], [0.5, 1.0]]]))
    z = own.draw(200_000, np.random.default_rng(7))
    again = _refit(own, z, np.full(len(z), 1 / len(z)))
    np.testing.assert_allclose(again.mean, own.mean, atol=0.02)
    np.testing.assert_allclose(again.factor, own.factor, atol=0.02)


def test_smoothing_keeps_the_order_and_the_bulk():
    log_weight = np.random.default_rng(2).normal(scale=1.5, size=4000)
    smooth, khat = pareto_smooth(log_weight)
    raw = special.softmax(log_weight)
    assert smooth.sum() == pytest.approx(1)
    assert khat < GOOD_KHAT
    order = np.argsort(log_weight)
    assert (np.diff(smooth[order]) >= 0).all()
    ratio = smooth[order[:3000]] / raw[order[:3000]]
    np.testing.assert_allclose(ratio, ratio[0])


@pytest.mark.parametrize("log_weight", [np.full(100, -np.inf), np.zeros(100), np.append(np.full(99, -np.inf), 0.0)])
def test_weights_without_a_tail(log_weight):
    with np.errstate(invalid="ignore"):
        smooth, khat = pareto_smooth(log_weight)
    assert not khat < GOOD_KHAT
    assert len(smooth) == 100


def test_resampling_is_in_proportion():
    weight = np.array([0.5, 0.25, 0.0, 0.25])
    counts = np.bincount(resample(weight, 4000, seed=0), minlength=4)
    assert counts.tolist() == [2000, 1000, 0, 1000]
    single = [int(resample(weight, 1, seed)[0]) for seed in range(2000)]
    assert np.bincount(single, minlength=4) / 2000 == pytest.approx(weight, abs=0.04)  # also of one draw


def test_weighted_quantiles_of_equal_weights_are_the_usual_ones():
    values = np.random.default_rng(0).normal(size=(2000, 2))
    found = _weighted_quantiles(values, np.full(2000, 1 / 2000), (0.025, 0.5))
    np.testing.assert_allclose(found, np.quantile(values, [0.025, 0.5], axis=0, method="hazen"), atol=1e-12)


@pytest.mark.parametrize("shape", [0.1, 0.5, 0.9])
def test_khat_is_shrunk_towards_a_half_as_by_ten_observations(shape):
    """Vehtari et al. 2024, equation 13, from the estimate of Zhang and Stephens 2009 as ArviZ computes it."""
    arviz = pytest.importorskip("arviz")
    size = 100
    weights = stats.genpareto(shape).ppf((np.arange(size) + 0.5) / size)
    if hasattr(arviz, "psislw"):
        estimate = arviz.psislw(np.log(weights), reff=1.0)[1]
    else:  # ArviZ 1 keeps it among the functions on arrays, and takes log likelihoods: their sign is the opposite
        from arviz_stats.base import array_stats

        estimate = array_stats.psislw(-np.log(weights), r_eff=1.0)[1]
    expected = float(np.asarray(estimate))
    assert pareto_khat(np.log(weights)) == pytest.approx(expected, abs=1e-3)


def body_and_far_part(x):
    """A standard normal, and 2% of the mass six standard deviations away: 44% of the variance of the first number."""
    far = stats.multivariate_normal([6, 0, 0, 0, 0], np.diag([16.0, 1, 1, 1, 1]))
    return np.logaddexp(np.log(0.98) + stats.norm.logpdf(x).sum(axis=1), np.log(0.02) + far.logpdf(x))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_far_part_that_the_proposal_hardly_reaches_is_covered(seed):
    true = np.sqrt(0.98 + 0.02 * (16 + 36) - (0.02 * 6) ** 2)
    plain = sampled(body_and_far_part, [np.zeros(5)], seed=seed)
    found = sampled(body_and_far_part, [np.zeros(5)], seed=seed, covered=0.3)

    def spread(one):
        return np.sqrt(one.weight @ (one.x - one.weight @ one.x) ** 2)[0]

    assert 0.3 < plain.khat < GOOD_KHAT  # good, as was believed
    assert spread(plain) < 0.8 * true
    assert found.khat < 0.3
    assert spread(found) == pytest.approx(true, rel=0.03)
    assert found.log_evidence == pytest.approx(0.0, abs=0.01)


def test_what_is_covered_stays_as_it_is():
    plain = sampled(correlated(3).logpdf, [np.zeros(3)], seed=3, draws=2000)
    again = sampled(correlated(3).logpdf, [np.zeros(3)], seed=3, draws=2000, covered=GOOD_KHAT)
    np.testing.assert_array_equal(plain.x, again.x)


def test_covering_ends_where_it_does_not_help():
    def density(x):
        return stats.cauchy.logpdf(x).sum(axis=1)

    assert sampled(density, [np.zeros(10)], seed=1, covered=0.3).khat > GOOD_KHAT


def test_a_proposal_of_the_wrong_scale_is_covered():
    """One draw has nearly all weight, so that its k-hat is not defined; the integral is known."""

    def density(x):
        return -1e6 * np.abs(x).sum(axis=1)

    found = sample_by_importance(density, np.zeros((1, 3)), np.eye(3)[None], np.zeros(1), covered=0.3)
    assert found.khat < 0.3
    assert found.log_evidence == pytest.approx(3 * np.log(2e-6), abs=0.05)


def test_few_draws_in_many_dimensions_give_no_component_a_shape():
    tail = stats.t(2.2)
    found = sampled(lambda x: tail.logpdf(x).sum(axis=1), [np.zeros(30)], draws=100, covered=0.3)
    assert len(found.x) == 100
    assert np.isfinite(found.weight).all()


def test_many_draws_under_many_components_take_little_memory():
    mixture = Mixture(np.full(30, 1 / 30), np.zeros((30, 2)), np.array([np.eye(2)] * 30))
    z = np.random.default_rng(0).standard_normal((400_000, 2))
    tracemalloc.start()
    whole = mixture.log_density(z)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6  # all densities at once take 192 MB
    places = np.array([0, 49_999, 50_000, 399_999])
    np.testing.assert_allclose(whole[places], stats.multivariate_t(np.zeros(2), np.eye(2), df=6).logpdf(z[places]))
