"""The one definition of overlap: known answers, invariances, and that the toy model uses it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalefit.overlap import Overlaps, mean_square_overlap, random_overlap_variance, welch_bound
from scalefit.toy import ToyConfig
from scalefit.toy.measures import measures


def brute_force(W: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Moments over all pairs of different rows, by the V x V product."""
    rows = W / np.linalg.norm(W, axis=1, keepdims=True)
    pairs = ~np.eye(len(rows), dtype=bool)
    cosines = (rows @ rows.T)[pairs]
    share = np.ones(len(cosines)) if weights is None else np.outer(weights, weights)[pairs]
    share = share / share.sum()
    mean, square = share @ cosines, share @ cosines**2
    return {"mean": mean, "mean_square": square, "variance": square - mean**2}


def measured(W: np.ndarray, weights: np.ndarray | None = None, *, single: bool = False, block: int = 128) -> Overlaps:
    pairs = Overlaps(W.shape[1], single=single)
    for start in range(0, len(W), block):
        pairs.add(W[start : start + block], None if weights is None else weights[start : start + block])
    return pairs


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_equal_the_product_of_all_rows(single: bool, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    W = rng.standard_normal((500, 48)) * rng.lognormal(size=(500, 1)) + 0.4
    weights = rng.integers(0, 1000, 500).astype(float) if weighted else None
    pairs = measured(W, weights, single=single)
    for name, value in brute_force(W, weights).items():
        assert getattr(pairs, name) == pytest.approx(value, rel=1e-7 if single else 1e-12)


def test_random_directions_are_1_over_m_within_three_standard_errors() -> None:
    n, m = 3000, 64
    found = mean_square_overlap(np.random.default_rng(1).standard_normal((n, m)))
    # pairs that share a row are uncorrelated for uniform directions, so all n (n - 1)/2 pairs count
    error = np.sqrt(random_overlap_variance(m) / (n * (n - 1) / 2))
    assert error / (1 / m) < 0.001
    assert abs(found - 1 / m) < 3 * error


@pytest.mark.parametrize(("n", "m"), [(64, 16), (37, 5), (1000, 31)])
def test_a_tight_frame_is_the_welch_bound(n: int, m: int) -> None:
    # real harmonic frame: cosines and sines of m/2 frequencies, and 1/sqrt(2) for an odd dimension
    angles = 2 * np.pi * np.outer(np.arange(n), np.arange(1, m // 2 + 1)) / n
    W = np.hstack([np.cos(angles), np.sin(angles), np.full((n, m % 2), np.sqrt(0.5))])
    assert mean_square_overlap(W) == pytest.approx(welch_bound(n, m), rel=1e-12)
    assert measured(W).participation_ratio == pytest.approx(m, rel=1e-12)


def test_a_cone_has_the_overlap_of_its_axis() -> None:
    # u = a e + sqrt(1 - a^2) v with v uniform across the axis: mean a^2, mean square a^4 + (1 - a^2)^2/(m - 1)
    a, n, m = 0.6, 4000, 33
    v = np.random.default_rng(2).standard_normal((n, m - 1))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    pairs = measured(np.hstack([np.full((n, 1), a), np.sqrt(1 - a * a) * v]))
    assert pairs.mean == pytest.approx(a * a, rel=1e-3)
    assert pairs.mean_square == pytest.approx(a**4 + (1 - a * a) ** 2 / (m - 1), rel=1e-3)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_rank_r_fills_r_dimensions(rank: int) -> None:
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.standard_normal((24, rank)))[0]
    W = np.repeat(np.eye(rank), 40, axis=0) @ basis.T
    pairs = measured(W)
    assert pairs.participation_ratio == pytest.approx(rank, rel=1e-12)
    spectrum = pairs.spectrum()
    assert spectrum[:rank] == pytest.approx(np.full(rank, 1 / rank))
    assert spectrum[rank:] == pytest.approx(np.zeros(24 - rank), abs=1e-15)
    assert pairs.mean_square == pytest.approx((40 - 1) / (40 * rank - 1), rel=1e-12)


@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(2, 9))
def test_the_length_and_the_order_of_rows_change_nothing(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((n, m))
    scaled = (W * np.exp(rng.normal(0, 5, (n, 1))))[rng.permutation(n)]
    assert mean_square_overlap(scaled) == pytest.approx(mean_square_overlap(W), rel=1e-9)
    assert mean_square_overlap(W, np.full(n, 7.0)) == pytest.approx(mean_square_overlap(W), rel=1e-9)


def test_a_weight_counts_the_pairs_of_a_row() -> None:
    # rows e1, e1, e2 with weights 1, 2, 3: of the pairs, 1 * 2 of 1 * 2 + 1 * 3 + 2 * 3 is parallel
    W = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert mean_square_overlap(W, [1, 2, 3]) == pytest.approx(2 / 11)


def test_zero_rows_have_no_direction() -> None:
    W = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    pairs = measured(W)
    assert pairs.rows == 3
    assert pairs.mean_square == pytest.approx(1 / 3)
    assert measured(np.zeros((4, 3))).mean_square == 0.0


def test_the_toy_model_measures_the_same_overlap() -> None:
    W = np.random.default_rng(4).standard_normal((60, 8))
    config = ToyConfig(width=8, n_features=60, alpha=1.0)
    assert measures(config, W, np.zeros(60))["overlap_ms"] == mean_square_overlap(W)
    assert mean_square_overlap(W) == pytest.approx(brute_force(W)["mean_square"], rel=1e-12)
