"""Speed of a training step of the toy model, on demand (`make bench`): CPU seconds on one core.

Beside it, in the same run, the plain way: a dense batch x n table of random numbers, torch's autograd and AdamW.
"""

import time
from functools import partial

import numpy as np
import pytest
from scipy.linalg import blas

from scalefit.blas import one_thread
from scalefit.toy import ToyConfig, kernels
from scalefit.toy.buffers import new_batch, new_work
from scalefit.toy.model import start
from scalefit.toy.sampler import mean_gaps

torch = pytest.importorskip("torch")

STEPS = 200  # before measuring: the sparsity of the outputs is that of a model in training
DENSE_STEPS = 10


def seconds(call, repeats, best_of=3):
    """CPU seconds of one call."""
    call()
    times = []
    for _ in range(best_of):
        began = time.process_time()
        for _ in range(repeats):
            call()
        times.append((time.process_time() - began) / repeats)
    return min(times)


def dense_step(config):
    """One step as usually written, with torch's own AdamW."""
    p = torch.tensor(config.probabilities(), dtype=torch.float32)
    W, b = (torch.tensor(tensor, requires_grad=True) for tensor in start(config))
    optimiser = torch.optim.AdamW([{"params": [W], "weight_decay": 0.1}, {"params": [b], "weight_decay": 0.0}], lr=1e-3)
    shape = (config.batch, config.n_features)

    def step():
        x = (torch.rand(shape) < p).float() * torch.rand(shape) * 2
        optimiser.zero_grad()
        loss = torch.nn.functional.mse_loss(torch.relu(x @ W @ W.T + b), x)
        loss.backward()
        optimiser.step()

    return step


def parts(config, W, b, batch, work, gaps, rng):
    """CPU seconds of drawing, of the three matrix products, and of everything in the gradient."""
    drawn = kernels.draw(rng, gaps, config.batch, batch)
    active = np.asfortranarray(W[batch.active[: drawn[1]]])
    S = np.asfortranarray(work.S_last[: drawn[1]])
    draw = seconds(lambda: kernels.draw(rng, gaps, config.batch, batch), 20)
    drawn = kernels.draw(rng, gaps, config.batch, batch)
    gradient = seconds(lambda: kernels.gradient(W, b, batch, drawn, work), 20)
    full = np.asfortranarray(W)
    products = 0.0
    for one, other, options in [(active, full, {"trans_b": 1}), (S, active, {"trans_a": 1}), (S, full, {})]:
        out = blas.sgemm(1.0, one, other, **options)
        call = partial(blas.sgemm, 1.0, one, other, c=out, overwrite_c=1, **options)
        products += seconds(call, 20)
    return draw, products, gradient


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("width", [10, 25, 63, 100])
def test_step_against_dense_autograd(benchmark, width, alpha):
    """The published small setting: n 1000, batch 2048, E 1."""
    benchmark._timer = time.process_time
    config = ToyConfig(width=width, alpha=alpha, gamma=-1.0)
    W, b = start(config)
    gaps, rng = mean_gaps(config.probabilities()), np.random.default_rng(0)
    moments = tuple(np.zeros(size, config.dtype) for size in (W.size, W.size, b.size, b.size))
    batch = new_batch(config.batch, config.probabilities(), config.dtype)
    work = new_work(config.n_features, width, config.dtype)
    tuning = (*config.rates, config.gamma, 2 / (config.batch * config.n_features))

    def train(first, count):
        kernels.train(W, b, moments, rng, gaps, batch, work, (first, first + count, 20_000, 2000), tuning, False)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        dense = seconds(dense_step(config), DENSE_STEPS)
    finally:
        torch.set_num_threads(threads)
    with one_thread():
        train(0, STEPS)
        benchmark.pedantic(train, (STEPS, 50), rounds=5, warmup_rounds=1)
        draw, products, gradient = parts(config, W, b, batch, work, gaps, rng)
    ours = benchmark.stats.stats.min / 50
    benchmark.extra_info |= {
        "dense_ms": round(dense * 1e3, 1),
        "ours_ms": round(ours * 1e3, 2),
        "ratio": round(dense / ours, 1),
        "draw_ms": round(draw * 1e3, 2),
        "products_ms": round(products * 1e3, 2),
        "elementwise_ms": round((gradient - products) * 1e3, 2),
        "optimiser_ms": round(max(ours - gradient - draw, 0.0) * 1e3, 2),
    }
