"""The trainer: its gradient, that company changes nothing, and what a run tells of itself."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from scalefit.blas import one_thread
from scalefit.errors import DataError
from scalefit.overlap import mean_square_overlap
from scalefit.toy import ToyConfig, ToyRun, kernels, train_toy
from scalefit.toy.buffers import new_batch, new_work
from scalefit.toy.config import BIAS_STARTS
from scalefit.toy.measures import alive_outputs, least_moments, measures
from scalefit.toy.model import start
from scalefit.toy.sampler import mean_gaps

SMALL = ToyConfig(width=6, n_features=40, alpha=1.0, batch=64, steps=20, warmup=5, dtype="float64")


@pytest.mark.parametrize("density", [0.5, 4.0])
def test_gradient_is_the_slope_of_the_loss(density):
    """Central differences along random directions; against autograd in test_toy_autograd.py."""
    config = replace(SMALL, density=density, alpha=0.5, bias_start="normal")  # at b = 0 the loss has a kink
    rng, p = np.random.default_rng(4), config.probabilities()
    batch, work = new_batch(64, p, "float64"), new_work(40, 6, "float64")
    drawn, out = kernels.draw(rng, mean_gaps(p), 64, batch), np.empty(64)
    W, b = start(config)
    kernels.gradient(W, b, batch, drawn, work)
    by_W, by_b = 2 * work.weight_gradient, 2 * work.bias_gradient

    def loss(W, b):
        kernels.losses(W, b, batch, drawn, work, out, 0)
        return out.sum()

    for _ in range(5):
        V, c, h = rng.normal(size=W.shape), rng.normal(size=b.shape), 1e-6
        slope = (loss(W + h * V, b + h * c) - loss(W - h * V, b - h * c)) / (2 * h)
        assert slope == pytest.approx((by_W * V).sum() + by_b @ c, rel=1e-6)


def test_schedule_is_the_published_one():
    steps = [1, 1000, 1999, 2000, 11_000, 20_000]
    ours = [kernels.rate_at(step, 20_000, 2000) for step in steps]
    assert ours == [0.0005, 0.5, 0.9995, 1.0, pytest.approx(0.525), pytest.approx(0.05)]
    assert kernels.rate_at(1, 10, 0) == pytest.approx(0.05 + 0.475 * (1 + np.cos(np.pi / 10)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_company_threads_and_order_change_nothing(dtype):
    configs = [
        ToyConfig(
            width=width, n_features=50, alpha=1.0, gamma=gamma, steps=60, batch=32, seed=seed, dtype=dtype, norm=norm
        )
        for width, gamma, seed, norm in [
            (3, -1.0, 0, "free"),
            (7, 0.5, 0, "free"),
            (7, -1.0, 1, "unit"),
            (12, 0.0, 2, "held"),
        ]
    ]
    alone = [train_toy([config], workers=1, loss_samples=500)[0] for config in configs]
    together = train_toy(configs[::-1], workers=3, loss_samples=500)[::-1]
    for part, other in zip(alone, together, strict=True):
        assert replace(part, seconds=0) == replace(other, seconds=0)
        np.testing.assert_array_equal(part.W, other.W)
        np.testing.assert_array_equal(part.b, other.b)
    assert len({run.loss for run in alone}) == len(configs)


def test_checkpoints_do_not_change_the_training():
    few, many = (train_toy([SMALL], checkpoints=count, loss_samples=64)[0] for count in ([20], 7))
    np.testing.assert_array_equal(few.W, many.W)
    assert few.checkpoints == (20,)
    assert many.checkpoints == (3, 6, 9, 12, 15, 18, 20)


def test_streams_are_shared_only_where_the_start_and_the_data_are():
    state = {
        name: tuple(stream.generate_state(4).tobytes() for stream in replace(SMALL, **change).streams())
        for name, change in {
            "same": {}, "gamma": {"gamma": -1.0, "steps": 99}, "seed": {"seed": 1}, "width": {"width": 7},
            "alpha": {"alpha": 1.5}, "density": {"density": 0.5}, "start": {"bias_start": "normal", "norm": "unit"},
        }.items()
    }  # fmt: skip
    assert state.pop("gamma") == state.pop("start") == state["same"]
    assert len({stream for streams in state.values() for stream in streams}) == 3 * len(state)
    assert replace(SMALL, alpha=1).streams()[0].entropy == SMALL.streams()[0].entropy


def test_starts_of_the_biases_share_all_but_their_rule():
    starts = {rule: start(replace(SMALL, bias_start=rule)) for rule in BIAS_STARTS}
    normal = starts["normal"][1]
    assert normal.std() == pytest.approx(1, abs=0.3)
    expected = {
        "zero": np.zeros(40), "normal": normal, "small": 0.1 * normal, "mean": SMALL.probabilities(),
        "negative": -np.abs(normal), "positive": np.abs(normal),
    }  # fmt: skip
    for rule, (W, b) in starts.items():
        np.testing.assert_array_equal(W, starts["zero"][0])
        np.testing.assert_allclose(b, expected[rule], rtol=1e-14, atol=0)
    assert ToyConfig(width=3, alpha=1.0).bias_start == "zero"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_fixed_norm_keep_it_and_held_rows_their_direction(dtype):
    close = 1e-6 if dtype == "float32" else 1e-14
    for norm in ("unit", "held"):
        config = replace(SMALL, norm=norm, gamma=-1.0, dtype=dtype)
        (run,), (W, b) = train_toy([config], loss_samples=64), start(config)
        np.testing.assert_allclose(np.linalg.norm(run.W, axis=1), 1, rtol=close)
        assert np.array_equal(run.W, W) == (norm == "held")
        assert not np.array_equal(run.b, b)
    W = start(SMALL)[0]
    np.testing.assert_allclose(run.W, W / np.linalg.norm(W, axis=1, keepdims=True), rtol=close)


def test_a_record_without_the_start_is_of_the_published_one():
    published = replace(SMALL, bias_start="normal")
    assert "bias_start" not in published.to_dict()
    assert ToyConfig.from_dict(published.to_dict()) == published
    assert ToyConfig.from_dict(SMALL.to_dict()) == SMALL != published


def test_measures_of_a_run_are_those_of_its_weights():
    config = replace(SMALL, gamma=0.3, steps=300, warmup=None)
    (run,) = train_toy([config], loss_samples=4000)
    norms = np.linalg.norm(run.W, axis=1)
    unit = run.W / norms[:, None]
    overlaps = (unit @ unit.T)[~np.eye(40, dtype=bool)] ** 2
    p = config.probabilities()
    assert run.phi_half == np.mean(norms > 0.5)
    assert run.overlap_ms == pytest.approx(overlaps.mean(), rel=1e-10)
    assert run.row_norms.median == pytest.approx(np.median(norms))
    assert run.row_norms.least == norms.min()
    assert run.row_norms.most == norms.max()
    assert run.unrepresented == pytest.approx(4 / 3 * p[norms <= 0.5].sum())
    assert run.weak_reference == pytest.approx(4 / 3 * p[6:].sum())
    alive = run.b + 2 * norms**2 > 0
    assert run.alive == np.mean(alive) < 1
    assert run.represented == np.mean(alive & (norms > 0.5))
    assert run.dead_loss == pytest.approx(4 / 3 * p[~alive].sum())
    assert sum(run.row_norms.counts) == 40
    assert run.row_norms.counts[:3] == tuple(np.histogram(norms, [0, 0.1, 0.2, 0.3])[0])
    kept = unit[alive]
    o = (kept @ kept.T)[~np.eye(len(kept), dtype=bool)]
    v = np.mean(o**2)
    assert run.overlaps[:4] == pytest.approx((len(kept), v, np.mean(o**3) / v**1.5, np.mean(o**4) / v**2))
    assert run.overlaps[4:] == least_moments(len(kept), 6)
    assert [(band.first, band.last) for band in run.bands] == [(1, 2), (3, 5), (6, 15), (16, 40)]
    assert sum(band.dead_loss for band in run.bands) == pytest.approx(run.dead_loss)
    assert run.bands[3].norm == pytest.approx(norms[15:].mean())
    inside = [k for k in range(5, 15) if alive[k]]
    rows = np.array([np.delete(unit[alive] @ unit[k], np.flatnonzero(alive).tolist().index(k)) for k in inside])
    assert run.bands[2].mean_square == pytest.approx(np.mean(rows**2))
    assert run.bands[2].skewness == pytest.approx(np.mean(rows**3) / np.mean(rows**2) ** 1.5)
    assert run.bias_mean == pytest.approx(run.b.mean())
    assert run.bias_sd == pytest.approx(run.b.std())
    assert run.final_loss == run.loss[-1] < run.loss[0]


def test_loss_of_a_run_is_that_of_its_weights():
    (run,) = train_toy([replace(SMALL, steps=200)], loss_samples=20_000, checkpoints=1)
    rng, p = np.random.default_rng(5), SMALL.probabilities()
    x = (rng.random((200_000, 40)) < p) * rng.random((200_000, 40)) * 2
    dense = ((np.maximum(x @ run.W @ run.W.T + run.b, 0) - x) ** 2).sum(1)
    assert run.loss_samples == 20 * 16_384  # whole batches of evaluation
    assert run.loss_se[0] < 0.5 * dense.std() / np.sqrt(run.loss_samples)
    assert run.loss[0] == pytest.approx(dense.mean(), abs=4 * np.hypot(run.loss_se[0], dense.std() / 200_000**0.5))


def test_outputs_that_cannot_fire_are_dead():
    W, b = np.diag([1.0, 0.5, 0.0])[:, :2], np.array([-1.9, -0.5, 0.1])
    assert alive_outputs(W, b).tolist() == [True, False, True]


def test_so_few_rows_that_nothing_bounds_their_skewness_are_measured_too():
    rng = np.random.default_rng(3)
    W, b = rng.standard_normal((40, 6)), np.full(40, -1e3)
    b[:4] = 0  # four outputs that can fire, in six dimensions: as under a strong decay
    found = measures(SMALL, W, b)
    assert (found["overlaps"].rows, *found["overlaps"][4:]) == (4, 0.0, None, 1.0)
    json.dumps([found["overlaps"], found["bands"]], allow_nan=False)  # a record that a sweep can keep


def test_rows_of_zero_have_no_direction():
    assert mean_square_overlap(np.array([[1.0, 0.0], [0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])) == pytest.approx(1 / 3)
    assert mean_square_overlap(np.zeros((3, 2))) == 0.0


def test_a_record_survives_json():
    config = replace(SMALL, frequency=tuple(np.arange(1.0, 41)), alpha=None)
    runs = train_toy([config, replace(SMALL, learning_rate=1e30, dtype="float32")], loss_samples=64)
    for run in runs:
        assert ToyRun.from_dict(json.loads(json.dumps(run.to_dict(), allow_nan=False))) == run
    assert [run.done for run in runs] == [True, False]
    older = runs[0].to_dict()
    for name in ("alive", "represented", "dead_loss", "overlaps", "bands"):
        del older[name]
    del older["row_norms"]["counts"]
    assert ToyRun.from_dict(older).alive is None
    assert ToyRun.from_dict(older).phi_half == runs[0].phi_half


@pytest.mark.parametrize("change", [{"learning_rate": 1e30}, {"gamma": 1e30}, {"gamma": -1e30}])
def test_a_loss_that_is_not_finite_is_a_status(change):
    config = replace(SMALL, steps=200, dtype="float32", **change)
    failed, fine = train_toy([config, replace(SMALL, steps=200)], checkpoints=[50, 100], loss_samples=64)
    assert failed.status.startswith("failed: the loss at step ")
    assert len(failed.loss) == len(failed.loss_se) == len(failed.checkpoints) < 3
    assert np.isfinite(failed.loss).all()
    assert failed.final_loss is failed.final_loss_se is failed.phi_half is failed.overlap_ms is failed.row_norms is None
    assert fine.status == "done"


def test_an_interrupt_ends_the_threads():
    before = threading.active_count()

    def interrupt(stage, done, total):
        raise KeyboardInterrupt

    configs = [replace(SMALL, steps=10_000_000, seed=seed) for seed in range(4)]
    with pytest.raises(KeyboardInterrupt):
        train_toy(configs, progress=interrupt, workers=2)
    assert threading.active_count() == before


def test_progress_ends_at_all_steps():
    seen = []
    train_toy([SMALL, replace(SMALL, seed=1)], progress=lambda *news: seen.append(news), loss_samples=64)
    assert seen[-1] == ("training", 40, 40)


def test_products_return_to_their_threads():
    outside = [pool["num_threads"] for pool in threadpool_info()]
    with one_thread():
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    assert [pool["num_threads"] for pool in threadpool_info()] == outside


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, r"device 'gpu' is not known: did you mean 'cpu'\? Choices: cpu, cuda"),
        ({"checkpoints": [21]}, r"checkpoint 21: it must lie between 1 and the last step, 20"),
        ({"checkpoints": 0}, r"checkpoints = 0: at least one"),
        ({"loss_samples": 1}, r"loss_samples = 1: at least 2"),
        ({"workers": 0}, r"workers = 0: at least 1"),
    ],
)  # fmt: skip
def test_bad_options_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        train_toy([SMALL], **options)


def test_no_models_are_no_runs():
    assert train_toy([]) == ()
