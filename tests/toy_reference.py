"""The toy model written the plain way: dense samples, torch's autograd, AdamW line by line from its definition."""

from __future__ import annotations

import math

import numpy as np
import torch

from scalefit.toy.config import ToyConfig


def dense_samples(p, size, rng):
    """A batch x n table of Bernoulli-uniform features."""
    return (rng.random((size, len(p))) < p) * rng.random((size, len(p))) * 2


def sample_losses(W, b, x):
    """Squared error of each sample, summed over features (torch tensors or numpy arrays)."""
    y = x @ W @ W.T + b
    y = y.clamp(min=0) if isinstance(y, torch.Tensor) else np.maximum(y, 0)
    return ((y - x) ** 2).sum(1)


def gradients(W, b, x, factor=1.0):
    """Autograd's gradient of ``factor`` times the mean over samples and features."""
    W, b, x = (torch.tensor(tensor, requires_grad=k < 2) for k, tensor in enumerate((W, b, x)))
    (factor * sample_losses(W, b, x).mean() / x.shape[1]).backward()
    return W.grad.numpy(), b.grad.numpy()


def rate_at(step, steps, warmup):
    """Share of the peak rate at a step counted from 1."""
    if step < warmup:
        return step / warmup
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def train(config: ToyConfig, W, b, batches):
    """Train on given dense batches with autograd and decoupled AdamW; returns W and b."""
    W, b = (torch.tensor(tensor, dtype=torch.float64, requires_grad=True) for tensor in (W, b))
    moments = [[torch.zeros_like(tensor), torch.zeros_like(tensor)] for tensor in (W, b)]
    for step, x in enumerate(batches, start=1):
        x = torch.as_tensor(x, dtype=torch.float64)
        W.grad = b.grad = None
        (config.loss_factor * sample_losses(W, b, x).mean() / config.n_features).backward()
        share = rate_at(step, config.steps, config.warmup_steps)
        with torch.no_grad():
            rate = share * config.rates[0]
            if config.gamma >= 0:
                W.mul_(1 - rate * config.gamma)
            elif config.norm == "free":
                W.add_(rate * config.gamma * W * (1 - 1 / (W.norm(dim=1, keepdim=True) + 1e-8)))
            for tensor, (mean, square), peak in zip((W, b), moments, config.rates, strict=True):
                mean.mul_(0.9).add_(0.1 * tensor.grad)
                square.mul_(0.999).add_(0.001 * tensor.grad**2)
                root = (square / (1 - 0.999**step)).sqrt()
                tensor.sub_(share * peak * (mean / (1 - 0.9**step)) / (root + 1e-8))
            if config.norm == "unit":
                W.div_(W.norm(dim=1, keepdim=True))
    return W.detach().numpy(), b.detach().numpy()


def drawn_samples(group, model, slot=0):
    """The dense samples of a batch that the GPU's engine has drawn."""
    points, job = group.points, slot * group.shape.models + model
    count = int(points.count[job])
    x = np.zeros((group.shape.size, group.data.edges.shape[1]))
    sample, feature, value = (
        array[job, :count].cpu().numpy() for array in (points.sample, points.feature, points.value)
    )
    x[sample, feature] = value
    return x
