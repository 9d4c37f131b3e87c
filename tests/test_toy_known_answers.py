"""What the toy model must give exactly: known losses, bounds, slopes, and the distribution of its samples."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from scalefit.errors import DataError
from scalefit.overlap import random_overlap_variance, welch_bound
from scalefit.toy import ToyConfig, kernels, read_frequencies, theory
from scalefit.toy.buffers import new_batch, new_work
from scalefit.toy.frequency import law_weights, probabilities
from scalefit.toy.model import start
from scalefit.toy.sampler import draw_samples, mean_gaps

WIDTHS = [10, 15, 25, 39, 63, 100]
CONFIG = ToyConfig(width=8, n_features=60, alpha=1.0)


def power(n: int, alpha: float, density: float = 1.0) -> np.ndarray:
    return probabilities(law_weights("power", n, alpha=alpha), density)


def dense_samples(p, size, rng):
    return (rng.random((size, len(p))) < p) * rng.random((size, len(p))) * 2


def sampled_loss(W, b, p, batches=40, size=5000, seed=0):
    """Mean loss at fixed parameters over the trainer's own samples, and its standard error."""
    batch, work = new_batch(size, p, "float64"), new_work(*W.shape, "float64")
    rng, out = np.random.default_rng(seed), np.empty((batches, size))
    for row in out:
        drawn = kernels.draw(rng, mean_gaps(p), size, batch)
        kernels.losses(W, b, batch, drawn, work, row, 0)
    return out.mean(), out.std() / np.sqrt(out.size)


def dense_loss(W, b, p, size=200_000, seed=1):
    x = dense_samples(p, size, np.random.default_rng(seed))
    loss = ((np.maximum(x @ W @ W.T + b, 0) - x) ** 2).sum(1)
    return loss.mean(), loss.std() / np.sqrt(size)


def agree(one, other, sigmas=4.0):
    return abs(one[0] - other[0]) < sigmas * np.hypot(one[1], other[1])


# --- losses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "density"), [(0.0, 1.0), (1.0, 1.0), (1.0, 2.5), (2.0, 0.3)])
def test_losses_without_weights(alpha, density):
    p = power(60, alpha, density)
    assert theory.zero_weight_loss(p) == pytest.approx(4 / 3 * density)
    assert theory.zero_weight_loss(p, p) == pytest.approx(np.sum(4 / 3 * p - p**2))
    assert theory.zero_weight_loss(p, -1.0) == theory.zero_weight_loss(p)
    W = np.zeros((60, 4))
    for b in (np.zeros(60), p):
        assert agree(sampled_loss(W, b, p), (theory.zero_weight_loss(p, b), 0.0))


def test_first_features_recovered():
    p = power(60, 1.0)
    W = np.eye(60, 9)
    assert theory.weak_loss(p, 9) == pytest.approx(4 / 3 * p[9:].sum())
    assert theory.weak_loss(p[::-1], 9) == theory.weak_loss(p, 9)
    assert agree(sampled_loss(W, np.zeros(60), p), (theory.weak_loss(p, 9), 0.0))
    assert theory.unrepresented_loss(p, np.linalg.norm(W, axis=1)) == pytest.approx(theory.weak_loss(p, 9))


def test_features_count_as_left_out_up_to_a_norm_of_one_half():
    p = np.array([0.4, 0.3, 0.2, 0.1])
    assert theory.unrepresented_loss(p, [1.0, 0.51, 0.5, 0.1]) == pytest.approx(4 / 3 * 0.3)


def test_a_model_starts_with_rows_of_unit_norm_on_average():
    W, b = start(ToyConfig(width=16, n_features=4000, alpha=1.0, bias_start="normal"))
    assert (W.std(), b.std()) == (pytest.approx(0.25, rel=0.02), pytest.approx(1.0, rel=0.04))


def test_linear_loss_is_exact():
    rng = np.random.default_rng(3)
    p, W = power(30, 0.5, 3.0), rng.normal(size=(30, 5)) / 3
    x = dense_samples(p, 400_000, rng)
    loss = ((x @ (W @ W.T - np.eye(30))) ** 2).sum(1)
    assert agree((loss.mean(), loss.std() / np.sqrt(len(loss))), (theory.linear_loss(W, p), 0.0))


def test_tight_frame():
    """A simplex: n = m + 1 unit vectors with all overlaps -1/m, which the ReLU removes altogether."""
    n, m = 8, 7
    gram = np.eye(n) * (1 + 1 / m) - 1 / m
    values, vectors = np.linalg.eigh(gram)
    W = np.ascontiguousarray((vectors * np.sqrt(np.maximum(values, 0)))[:, 1:])
    off = (W @ W.T)[~np.eye(n, dtype=bool)]
    assert np.mean(off**2) == pytest.approx(welch_bound(n, m))
    assert theory.tight_frame_interference(n, m) == pytest.approx(((W @ W.T - np.eye(n)) ** 2).sum(1)[0])
    density = 1e-6  # one feature at a time
    p = np.full(n, density / n)
    flat = theory.tight_frame_loss(n, m, density, rectified=False)
    assert theory.linear_loss(W, p) == pytest.approx(flat, rel=1e-5)
    assert theory.tight_frame_loss(n, m, density) == flat / 2
    assert sampled_loss(W, np.zeros(n), np.full(n, 1e-3))[0] < 0.01 * theory.tight_frame_loss(n, m, 8e-3)


# --- slopes and bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "slopes"), [(1000, [0.295, 0.435, 0.607, 0.805, 1.021]), (10240, [0.172, 0.323, 0.521, 0.747, 0.985])]
)
def test_weak_slopes(n, slopes):
    found = [theory.weak_slope(power(n, alpha), WIDTHS) for alpha in (1, 1.25, 1.5, 1.75, 2)]
    assert np.round(found, 3).tolist() == slopes


@pytest.mark.parametrize(("n", "slope"), [(256, 1.185), (1000, 1.039), (10240, 1.004)])
def test_slope_of_the_welch_bound(n, slope):
    assert round(theory.welch_slope(n, WIDTHS), 3) == slope


def test_welch_bound_is_a_bound_and_needs_superposition():
    rows = np.random.default_rng(0).normal(size=(50, 6))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.mean((rows @ rows.T)[~np.eye(50, dtype=bool)] ** 2) > welch_bound(50, 6) == 44 / (6 * 49)
    with pytest.raises(DataError, match="5 vectors in 5 dimensions: the Welch bound needs more vectors"):
        welch_bound(5, 5)


@pytest.mark.parametrize("m", [2, 5, 40])
def test_random_overlaps(m):
    squares = stats.beta(0.5, (m - 1) / 2)
    assert random_overlap_variance(m) == pytest.approx(squares.var())


def test_exponents_and_regimes():
    assert [theory.weak_exponent(alpha) for alpha in (0.5, 1.0, 1.5, 2.0)] == [0, 0, 0.5, 1]
    assert [theory.strong_exponent(alpha) for alpha in (0.0, 1.5, 2.0)] == [1, 1, 2]
    assert [theory.regime(phi, 1000, 50) for phi in (0.05, 0.1, 0.3, 0.52, 0.53, 1.0)] == [
        "weak", "weak", "between", "between", "strong", "strong",
    ]  # fmt: skip


# --- samples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "size"),
    [(power(60, 1.0), 20_000), (power(60, 2.0, 1.5), 20_000), (np.array([1.0, 0.0, 0.5, 0.9, 1e-4]), 20_000)],
)
def test_moments_of_the_samples(p, size):
    x = draw_samples(p, size, np.random.default_rng(7)).dense()
    on = x > 0
    counts = on.sum(0)
    tails = np.minimum(stats.binom.cdf(counts, size, p), stats.binom.sf(counts - 1, size, p))
    assert tails.min() > 1e-4 / len(p)
    assert stats.kstest(x[on] / 2, "uniform").pvalue > 1e-4
    assert x.max() <= 2
    se = np.sqrt(np.maximum(4 / 3 * p - p**2, 1e-12) / size)
    assert (np.abs(x.mean(0) - p) < 4.5 * se + 1e-12).all()


def test_features_and_samples_are_independent():
    p, size = np.full(12, 0.3), 40_000
    on = draw_samples(p, size, np.random.default_rng(11)).dense() > 0
    correlation = np.corrcoef(on.T)[~np.eye(12, dtype=bool)]
    assert np.abs(correlation).max() < 4.5 / np.sqrt(size)
    following = [np.corrcoef(column[:-1], column[1:])[0, 1] for column in on.T]
    assert np.abs(following).max() < 4.5 / np.sqrt(size)
    actives = np.bincount(on.sum(1), minlength=13)
    assert stats.chisquare(actives[:9], stats.binom.pmf(range(9), 12, 0.3) * actives[:9].sum() / stats.binom.cdf(8, 12, 0.3)).pvalue > 1e-4  # fmt: skip # noqa: E501


def test_samples_are_sorted_and_seeded():
    p = power(50, 0.5, 4.0)
    one, again, other = (draw_samples(p, 300, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for a, b in zip(one[:3], again[:3], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.value[:5], other.value[:5])
    inside = np.diff(one.feature) > 0
    inside[one.start[1:-1][(one.start[1:-1] > 0) & (one.start[1:-1] < len(one.feature))] - 1] = True
    assert inside.all()


@pytest.mark.parametrize(
    ("alpha", "density", "gamma"), [(0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (1.0, 4.0, 0.3), (2.0, 1.5, 1.0)]
)
def test_loss_at_fixed_weights_equals_the_dense_samplers(alpha, density, gamma):
    """200,000 samples each."""
    rng, p = np.random.default_rng(2), power(60, alpha, density)
    W, b = rng.normal(size=(60, 10)) * gamma / np.sqrt(10), rng.normal(size=60) * 0.3
    assert agree(sampled_loss(W, b, p), dense_loss(W, b, p))


# --- frequencies --------------------------------------------------------------------------------------------


def test_laws():
    i = np.arange(1, 101)
    for weights, expected in [
        (law_weights("power", 100, alpha=1.2), i**-1.2),
        (law_weights("exponential", 100, scale=30), np.exp(-i / 30)),
        (law_weights("linear", 100), 101 - i),
    ]:
        p = probabilities(weights, 0.7)
        assert p.sum() == pytest.approx(0.7)
        np.testing.assert_allclose(p / p[0], expected / expected[0])


def test_alpha_is_the_papers():
    p = ToyConfig(width=10, alpha=1.5).probabilities()
    assert p[0] / p[3] == pytest.approx(4**1.5)


def test_the_densest_zipf_has_a_feature_that_is_always_on():
    most = np.sum(1 / np.arange(1, 1001))
    assert ToyConfig(width=10, alpha=1.0, density=most).probabilities()[0] == pytest.approx(1.0, abs=1e-12)
    with pytest.raises(DataError, match=r"density = 7.6 makes feature 1 active with probability 1.01\d+; .*7.48547"):
        ToyConfig(width=10, alpha=1.0, density=7.6)


def test_measured_frequencies(tmp_path):
    text, table, tabbed, listed = (tmp_path / name for name in ("a.txt", "b.json", "c.tsv", "d.json"))
    text.write_text("the cat the dog\nthe cat sat")
    table.write_text(json.dumps({"the": 3, "cat": 2, "dog": 1, "sat": 1, "never": 0}))
    tabbed.write_text("token\tcount\nsat\t1\nthe\t3\ncat\t2\ndog\t1\n")
    listed.write_text("[1, 3, 2, 1]")
    for path in (text, table, tabbed, listed):
        assert read_frequencies(path) == pytest.approx((3 / 7, 2 / 7, 1 / 7, 1 / 7))
    top = read_frequencies(text, 2)
    assert replace(CONFIG, frequency=top, alpha=None, n_features=2, width=1).probabilities() == pytest.approx(
        [0.6, 0.4]
    )


@pytest.mark.parametrize(
    ("name", "content", "n", "message"),
    [
        ("a.txt", "", None, r"a.txt has 0 tokens with a count above 0; 1 are needed"),
        ("a.txt", "one two", 3, r"a.txt has 2 tokens .*; 3 are needed"),
        ("a.json", "{", None, r"a.json is not JSON"),
        ("a.json", "3", None, r"a.json holds a single value"),
        ("a.json", '{"x": -1}', None, r"count 1 is -1; counts are numbers of at least 0"),
        ("a.json", '{"x": NaN}', None, r"count 1 is nan"),
        ("a.json", '{"x": true}', None, r"count 1 is True"),
        ("a.csv", "token,count\nx,2\ny,many\n", None, r"count 2 is 'many'"),
        ("a.txt", None, None, r"a.txt cannot be read"),
    ],
)
def test_bad_count_files(tmp_path, name, content, n, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_frequencies(tmp_path / name, n)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 60}, r"width = 60 with n_features = 60: superposition needs more features than dimensions"),
        ({"width": 0}, r"width = 0: a whole number of at least 1"),
        ({"width": 2.5}, r"width = 2.5: a whole number"),
        ({"n_features": 1}, r"n_features = 1: a whole number of at least 2"),
        ({"steps": 0}, r"steps = 0"),
        ({"batch": True}, r"batch = True"),
        ({"seed": -1}, r"seed = -1"),
        ({"frequency": (0.0,) * 60, "alpha": None}, r"all 60 frequencies are zero"),
        ({"frequency": (1.0,) * 59 + (np.nan,), "alpha": None}, r"frequency nan of feature 60"),
        ({"frequency": (1.0,) * 59 + (-1.0,), "alpha": None}, r"frequency -1 of feature 60"),
        ({"frequency": (1.0,) * 5, "alpha": None}, r"5 frequencies for n_features = 60"),
        ({"frequency": (1.0,) * 60}, r"alpha = 1.0: a list of frequencies has no alpha"),
        ({"frequency": "zipf"}, r"frequency 'zipf' is not a law: .*choices: exponential, linear, power"),
        ({"frequency": "linear"}, r"alpha = 1: the linear law of frequencies has no alpha"),
        ({"alpha": None}, r"alpha = None: the power law of frequencies needs a finite number for alpha"),
        ({"alpha": np.inf}, r"alpha = inf: the power law"),
        ({"alpha": "one"}, r"alpha = 'one': a number is needed"),
        ({"frequency": "exponential", "alpha": None}, r"scale = None: the exponential law"),
        ({"frequency": "exponential", "alpha": None, "scale": -1.0}, r"scale = -1.0: .* positive scale"),
        ({"density": 0.0}, r"density = 0: the mean number of active features must be a positive number"),
        ({"density": np.nan}, r"density = nan"),
        ({"gamma": np.inf}, r"gamma = inf: the decay must be a finite number"),
        ({"warmup": 20_000}, "warmup = 20000: it must be at least 0 and end before step 20\u202f000"),
        ({"learning_rate": "smal"}, r"learning_rate = 'smal' is neither a number nor a rule: did you mean 'small'"),
        ({"learning_rate": 0.0}, r"learning_rate = 0.0: a positive number"),
        ({"loss_factor": np.nan}, r"loss_factor = nan: a positive number"),
        ({"dtype": "float16"}, r"dtype = 'float16' is not known: did you mean 'float"),
        ({"bias_start": "zeros"}, r"bias_start = 'zeros' is not known: did you mean 'zero'"),
        ({"norm": "fixed"}, r"norm = 'fixed' is not known: .*choices: free, held, unit"),
        ({"norm": "unit", "gamma": 0.3}, r"gamma = 0.3 with norm = 'unit': rows of fixed norm cannot decay; use gamma"),
    ],
)
def test_bad_configurations(change, message):
    with pytest.raises(DataError, match=message):
        replace(CONFIG, **change)


def test_configurations_from_records():
    record = json.loads(json.dumps(CONFIG.to_dict()))
    assert ToyConfig.from_dict(record) == CONFIG
    with pytest.raises(DataError, match=r"a toy model has no 'widht': did you mean 'width'"):
        ToyConfig.from_dict({"widht": 3})
    with pytest.raises(DataError, match="a toy model needs a width"):
        ToyConfig.from_dict({"alpha": 1.0})


def test_learning_rate_rules():
    assert CONFIG.rates == (0.01, 0.01)
    assert replace(CONFIG, learning_rate="large", width=32).rates == pytest.approx((0.02 / 2**0.5, 2 / 32))
    assert replace(CONFIG, learning_rate=0.3).rates == (0.3, 0.3)
    assert CONFIG.warmup_steps == 2000
    assert replace(CONFIG, warmup=0).warmup_steps == 0
