"""The trainer against plain autograd, where torch is installed: gradients, losses and optimiser steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scalefit.toy import ToyConfig, kernels, train_toy
from scalefit.toy.buffers import BLOCK, new_batch, new_work
from scalefit.toy.model import start
from scalefit.toy.sampler import SparseSamples, mean_gaps

pytest.importorskip("torch")

from tests import toy_reference as reference

SMALL = ToyConfig(width=6, n_features=40, alpha=1.0, batch=64, steps=20, warmup=5, dtype="float64")
SETTINGS = {
    "power": {},
    "flat": {"alpha": 0.0},
    "skewed": {"alpha": 2.0},
    "several active": {"density": 6.0, "alpha": 0.5},
    "always one": {"frequency": tuple([1.0] + [0.01] * 39), "alpha": None, "density": 1.39},
    "mostly empty": {"density": 0.02},
    "some never": {"frequency": tuple([1.0] * 20 + [0.0] * 20), "alpha": None},
    "linear law": {"frequency": "linear", "alpha": None},
    "width 1": {"width": 1},
    "width n - 1": {"width": 39},
    "one sample": {"batch": 1},
    "more columns than a block": {"n_features": BLOCK + 100, "batch": 200},
}
TUNING = {
    "decay": {"gamma": 0.3},
    "no decay": {"gamma": 0.0},
    "growth": {"gamma": -1.0},
    "large setting": {"gamma": -0.5, "learning_rate": "large", "loss_factor": 100.0},
    "no warm-up": {"gamma": 1.0, "warmup": 0, "learning_rate": 0.05},
    "published start": {"gamma": -1.0, "bias_start": "normal"},
    "best without W": {"gamma": -1.0, "bias_start": "mean"},
    "unit rows": {"gamma": -1.0, "norm": "unit", "bias_start": "small"},
    "held rows": {"norm": "held", "bias_start": "positive"},
}


class Drawn:
    """Batches as the trainer draws them, in its own form and dense."""

    def __init__(self, config: ToyConfig) -> None:
        self.config, self.p = config, config.probabilities()
        self.batch = new_batch(config.batch, self.p, config.dtype)
        self.rng = np.random.default_rng(config.streams()[1])

    def next(self) -> np.ndarray:
        self.drawn = kernels.draw(self.rng, mean_gaps(self.p), self.config.batch, self.batch)
        entry = self.batch.entry[: self.drawn[0]]
        feature, value = self.batch.feature[entry], self.batch.value[entry]
        return SparseSamples(self.batch.start, feature, value, self.config.n_features).dense()


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_gradient_and_loss_equal_autograd(setting):
    config = replace(SMALL, **setting)
    drawn = Drawn(config)
    W, b = start(config)
    work = new_work(config.n_features, config.width, "float64")
    out = np.empty(config.batch)
    for _ in range(3):
        x = drawn.next()
        kernels.gradient(W, b, drawn.batch, drawn.drawn, work)
        by_W, by_b = reference.gradients(W, b, x)
        scale = 2 / x.size
        size = max(np.abs(by_W).max(), np.abs(by_b).max())
        np.testing.assert_allclose(scale * work.weight_gradient, by_W, rtol=0, atol=1e-13 * size)
        np.testing.assert_allclose(scale * work.bias_gradient, by_b, rtol=0, atol=1e-13 * size)
        kernels.losses(W, b, drawn.batch, drawn.drawn, work, out, 0)
        np.testing.assert_allclose(out, reference.sample_losses(W, b, x), rtol=1e-12)


@pytest.mark.parametrize("tuning", TUNING.values(), ids=TUNING)
@pytest.mark.parametrize("setting", ["power", "several active", "skewed"])
def test_twenty_steps_equal_autograd_and_adamw(tuning, setting):
    config = replace(SMALL, **SETTINGS[setting], **tuning)
    drawn = Drawn(config)
    W, b = reference.train(config, *start(config), [drawn.next() for _ in range(config.steps)])
    (run,) = train_toy([config], checkpoints=[3, 20], loss_samples=100)
    np.testing.assert_allclose(run.W, W, rtol=0, atol=1e-12)
    np.testing.assert_allclose(run.b, b, rtol=0, atol=1e-12)
