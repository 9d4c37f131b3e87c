"""The engine for a GPU, run on the CPU where there is none: its samples, its steps, and who travels with whom."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from scalefit.errors import DataError, MissingExtra
from scalefit.toy import ToyConfig, train_toy

torch = pytest.importorskip("torch")

from scalefit.toy import batched  # noqa: E402
from scalefit.toy.groups import kept_groups, train_groups  # noqa: E402
from scalefit.toy.model import start  # noqa: E402
from tests import toy_reference as reference  # noqa: E402

SMALL = ToyConfig(width=5, n_features=30, alpha=1.0, batch=48, steps=20, warmup=4, dtype="float64")
UNIT = replace(SMALL, norm="unit", bias_start="normal")


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    """Fill up groups to 3 models, not 32, and use one thread: anything else only costs time here."""
    monkeypatch.setattr(batched, "MOST_MODELS", 3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(configs, marks=(20,), loss_samples=96, device="cpu"):
    method = batched.method(torch.__version__)
    return train_groups(configs, [marks] * len(configs), loss_samples, lambda *_: None, method=method, device=device)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"alpha": 0.0, "density": 4.0},
        {"alpha": 2.0, "density": 1.5},
        {"frequency": (1.0,) + (0.02,) * 25 + (0.0,) * 4, "alpha": None, "density": 1.5},
    ],
)
def test_samples_have_the_right_distribution(change):
    config = replace(SMALL, batch=40_000, dtype="float32", **change)
    p = config.probabilities()
    _, data, _ = batched.build([config, replace(config, seed=1)], "cpu")
    x = batched.draw_dense(data).numpy().copy()
    assert not np.array_equal(x[0], x[1])
    for one in x:
        on = one > 0
        counts = on.sum(0)
        tails = np.minimum(stats.binom.cdf(counts, len(one), p), stats.binom.sf(counts - 1, len(one), p))
        assert tails.min() > 1e-4 / len(p)
        assert stats.kstest(one[on] / 2, "uniform").pvalue > 1e-4
        likely = np.argsort(-p)[:6]
        both = on[:, likely].astype(float).T @ on[:, likely] / len(one)
        expected = np.outer(p[likely], p[likely])
        off = ~np.eye(6, dtype=bool)
        assert (np.abs(both - expected) < 4.5 * np.sqrt(expected / len(one)) + 1e-9)[off].all()
    following = batched.draw_dense(data).numpy()
    assert not np.array_equal(x, following)


@pytest.mark.parametrize("gamma", [0.4, 0.0, -1.0])
@pytest.mark.parametrize(
    "change",
    [
        {}, {"learning_rate": "large", "loss_factor": 100.0, "density": 3.0}, {"bias_start": "normal"},
        {"norm": "unit", "bias_start": "mean"}, {"norm": "held", "bias_start": "negative"},
    ],
)  # fmt: skip
def test_twenty_steps_equal_autograd_and_adamw(gamma, change):
    config = replace(SMALL, gamma=min(gamma, 0.0) if "norm" in change else gamma, **change)
    _, data, _ = batched.build([config], "cpu")
    batches = [batched.draw_dense(data)[0].clone() for _ in range(config.steps)]
    W, b = reference.train(config, *start(config), batches)
    (ours,) = train([config])
    np.testing.assert_allclose(ours.W, W, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.b, b, rtol=0, atol=1e-12)


def test_company_changes_nothing():
    configs = [
        replace(SMALL, width=width, alpha=alpha, gamma=gamma, seed=seed, norm=norm, dtype="float32")
        for width, alpha, gamma, seed, norm in [
            (5, 1.0, -1.0, 0, "free"),
            (5, 0.5, 0.3, 0, "free"),
            (8, 1.0, 0.0, 3, "free"),
            (5, 1.0, -1.0, 9, "unit"),
            (5, 1.0, -1.0, 9, "held"),
        ]
    ]
    together = train(configs[::-1])[::-1]
    for config, trained in zip(configs, together, strict=True):
        (alone,) = train([config])
        np.testing.assert_array_equal(alone.W, trained.W)
        np.testing.assert_array_equal(alone.b, trained.b)
        np.testing.assert_array_equal(alone.loss, trained.loss)


def interrupted(folder):
    """Stop a training after the first of two spans of steps; returns a call that goes on from there."""
    reported = []

    def go_on(version, *, samples=96, stop=False):
        def report(_stage, done, _total):
            reported.append(done)
            if stop:
                raise KeyboardInterrupt

        method = batched.method(version)
        (one,) = train_groups([UNIT], [(10, 20)], samples, report, method=method, device="cpu", keep=folder)
        return one, reported[1:]

    with pytest.raises(KeyboardInterrupt):
        go_on("1", stop=True)
    return go_on


@pytest.mark.parametrize(("version", "steps"), [("1", [20]), ("2", [10, 20])])
def test_a_checkpoint_of_other_versions_is_not_gone_on_with(tmp_path, version, steps):
    one, reported = interrupted(tmp_path)(version)
    assert reported == steps
    np.testing.assert_array_equal(one.W, train([UNIT], marks=(10, 20))[0].W)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_measurement_is_not_gone_on_with(tmp_path):
    one, reported = interrupted(tmp_path)("1", samples=48)
    assert reported == [10, 20]
    assert one.samples == 16 * 48


@pytest.mark.parametrize("damage", [lambda content: content[:-200], lambda _: b"", lambda content: content[::-1]])
def test_a_damaged_checkpoint_is_named_and_its_models_start_again(tmp_path, damage, caplog):
    go_on = interrupted(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert kept_groups(tmp_path) == []
    one, reported = go_on("1")
    assert reported == [10, 20]
    np.testing.assert_array_equal(one.W, train([UNIT], marks=(10, 20))[0].W)
    assert path.name in caplog.text
    assert "its models start again" in caplog.text


def test_measured_loss_agrees_with_the_other_engine():
    config = replace(SMALL, steps=200, warmup=None)
    (ours,) = train([config], marks=(200,), loss_samples=20_000)
    x = reference.dense_samples(config.probabilities(), 100_000, np.random.default_rng(1))
    dense = reference.sample_losses(ours.W, ours.b, x)
    assert ours.loss_se[0] == pytest.approx(dense.std() / np.sqrt(ours.samples), rel=0.05)
    assert abs(ours.loss[0] - dense.mean()) < 4 * np.hypot(ours.loss_se[0], dense.std() / np.sqrt(100_000))
    (other,) = train_toy([config], loss_samples=20_000, checkpoints=1)
    assert ours.loss[0] == pytest.approx(other.loss[0], rel=0.15)  # same start, other samples


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_cuda_that_is_not_there_is_refused():
    with pytest.raises(DataError, match=r"device 'cuda' was asked for, but torch .* finds no CUDA device"):
        train_toy([SMALL], device="cuda")


def test_cuda_without_torch_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"Training toy models on a GPU needs packages .*\[toy\]"):
        train_toy([SMALL], device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_the_same_path_on_the_cpu():
    configs = [replace(SMALL, gamma=gamma, seed=seed) for gamma, seed in [(-1.0, 0), (0.3, 1)]]
    for there, here in zip(train(configs, device="cuda"), train(configs), strict=True):
        np.testing.assert_allclose(there.W, here.W, rtol=0, atol=1e-10)
        np.testing.assert_allclose(there.loss, here.loss, rtol=1e-10)
    (alone,), together = train(configs[:1], device="cuda"), train(configs, device="cuda")
    np.testing.assert_array_equal(alone.W, together[0].W)
    assert [run.status for run in train_toy(configs, device="cuda")] == ["done", "done"]
