"""What the precision of products does to the loss of trained toy models: evidence for the choice of the GPU engine.

    python -m tests.reference.toy_precision --out FOLDER [--steps 4000] [--seeds 3]

No GPU is needed: models are trained dense in float32, and before every product both factors are rounded to the bits
that matrix units keep (TF32 10, bfloat16 7), or split into parts whose products are added, as with "tf32x3" and
"bf16x3". Start and samples are the same for all precisions, so that differences are those of rounding, which grows
with the number of steps as in any training. Each model is saved as it finishes; the same call goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scalefit.toy.config import ToyConfig
from scalefit.toy.model import start
from tests.toy_reference import dense_samples, rate_at, sample_losses

WIDTHS = (10, 40)
MODEL = ToyConfig(width=10, n_features=256, alpha=1.0, gamma=-1.0, steps=4000, batch=256)
EVALUATED = 131_072  # fresh samples, the same for all precisions of a model


def rounded(x: Tensor, bits: int) -> Tensor:
    """Round float32 to so many bits of mantissa, to nearest."""
    drop = 23 - bits
    whole = x.view(torch.int32)
    return ((whole + (1 << (drop - 1))) & ~((1 << drop) - 1)).view(torch.float32)


def product(bits: int, parts: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Multiply matrices of which each factor is a sum of rounded parts; the least of the nine or four is left out."""

    def split(x: Tensor) -> list[Tensor]:
        found = []
        for _ in range(parts):
            found.append(rounded(x, bits))
            x = x - found[-1]
        return found

    def multiply(a: Tensor, b: Tensor) -> Tensor:
        first, second = split(a), split(b)
        return torch.stack([first[i] @ second[j] for i in range(parts) for j in range(parts - i)]).sum(0)

    return multiply


PRECISIONS = {
    "float64": torch.matmul, "ieee": torch.matmul, "tf32x3": product(10, 2), "bf16x3": product(7, 2),
    "tf32": product(10, 1), "bf16": product(7, 1),
}  # fmt: skip


def train(config: ToyConfig, precision: str) -> float:
    """Train a model with products of one precision; return its loss on fresh samples, in float64."""
    dtype, multiply = torch.float64 if precision == "float64" else torch.float32, PRECISIONS[precision]
    W, b = (torch.tensor(tensor, dtype=dtype) for tensor in start(replace(config, dtype="float64")))
    moments = [(torch.zeros_like(tensor), torch.zeros_like(tensor)) for tensor in (W, b)]
    rng, p = np.random.default_rng(config.seed), config.probabilities()
    scale = 2 / (config.batch * config.n_features)
    for step in range(1, config.steps + 1):
        x = torch.tensor(dense_samples(p, config.batch, rng), dtype=dtype)
        h = multiply(x, W)
        pre = multiply(h, W.T) + b
        error = scale * (pre.clamp(min=0) - x) * (pre > 0)
        by_W = multiply(x.T, multiply(error, W)) + multiply(error.T, h)
        share = rate_at(step, config.steps, config.warmup_steps)
        W += share * config.rates[0] * config.gamma * W * (1 - 1 / (W.norm(dim=1, keepdim=True) + 1e-8))
        for tensor, grad, (mean, square), peak in zip((W, b), (by_W, error.sum(0)), moments, config.rates, strict=True):
            mean.mul_(0.9).add_(0.1 * grad)
            square.mul_(0.999).add_(0.001 * grad**2)
            tensor -= share * peak * (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
    fresh, weights, bias = np.random.default_rng([config.seed, 1]), W.double().numpy(), b.double().numpy()
    rounds = range(EVALUATED // 4096)
    return float(np.mean([sample_losses(weights, bias, dense_samples(p, 4096, fresh)).mean() for _ in rounds]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=MODEL.steps)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    print("| m | " + " | ".join(PRECISIONS) + " | scatter of seeds |")
    for width in WIDTHS:
        losses: dict[str, list[float]] = {}
        for seed in range(given.seeds):
            for precision in PRECISIONS:
                config = replace(MODEL, width=width, seed=seed, steps=given.steps)
                path = given.out / f"{precision}-{width}-{seed}-{given.steps}.json"
                if not path.exists():
                    path.write_text(json.dumps(train(config, precision)))
                losses.setdefault(precision, []).append(json.loads(path.read_text()))
        exact = np.array(losses["float64"])
        cells = [f"{100 * np.abs(np.array(loss) / exact - 1).max():.2g}%" for loss in losses.values()]
        print(f"| {width} | {' | '.join(cells)} | {100 * exact.std(ddof=1) / exact.mean():.2f}% |", flush=True)


if __name__ == "__main__":
    main()
