"""AdamW with decoupled decay or growth, as the last act of a training step."""

from __future__ import annotations

from typing import Any, NamedTuple

import triton.language as tl

from scalefit.toy import kernels
from scalefit.toy.gpu.compiled import jit

__all__ = ["SCHEDULE", "Net", "Shape", "update"]

BETA1 = tl.constexpr(kernels.BETA1)
BETA2 = tl.constexpr(kernels.BETA2)
EPS = tl.constexpr(kernels.EPS)

SCHEDULE = 3  # numbers in `Net.schedule` for one step


class Shape(NamedTuple):
    """Sizes of a group of models.

    Parameters
    ----------
    models : int
        Models M.
    n, rows : int
        Features, and rows of a batch; both padded to whole tiles.
    size, capacity : int
        Samples in a batch, and room for entries.
    """

    models: int
    n: int
    rows: int
    size: int
    capacity: int


class Net(NamedTuple):
    """M models and their optimiser.

    Parameters
    ----------
    W, b : shape (M, n, m) and (M, n)
        Parameters, padded with zeros.
    mean_W, square_W, mean_b, square_b : shape of W and of b
        Adam's moments.
    tuning : float64, shape (M, 4)
        Peak learning rates of W and of b, gamma, and what the gradient of the summed halves is multiplied by.
    schedule : float64, shape (steps + 1, 3)
        For every step, counted from 1: share of the peak rate, ``1 / (1 - beta1^step)``, ``1 / sqrt(1 - beta2^step)``.
    step : int64, shape (1,)
        Steps taken.
    """

    W: Any
    b: Any
    mean_W: Any  # noqa: N815
    square_W: Any  # noqa: N815
    mean_b: Any
    square_b: Any
    tuning: Any
    schedule: Any
    step: Any


@jit
def _adam(
    p: tl.tensor, mean_at: tl.tensor, square_at: tl.tensor, d: tl.tensor, rate: tl.tensor, inverse: tl.tensor
) -> tl.tensor:
    """One update of a tile p by its gradient d; the moments are read and written."""
    mean = BETA1 * tl.load(mean_at) + (1 - BETA1) * d
    square = BETA2 * tl.load(square_at) + (1 - BETA2) * d * d
    tl.store(mean_at, mean)
    tl.store(square_at, square)
    return p - rate * mean / (tl.sqrt(square) * inverse + EPS)


@jit
def _change(strength: tl.tensor, squares: tl.tensor) -> tl.tensor:
    """Factor of each row of W: decay, or below 0 a pull towards unit norm."""
    pull = 1 + strength * (1 - 1 / (tl.sqrt(squares) + EPS))
    return tl.where(strength < 0, pull, 1 - strength)


@jit
def update(
    net: tl.tuple, d: tl.tensor, by_bias: tl.tensor, slope: tl.tensor, w: tl.tensor, bias: tl.tensor,
    shape: tl.tuple, model: tl.tensor, slot: tl.tensor, feature: tl.tensor,
    WIDTH: tl.constexpr, BLOCKS: tl.constexpr, UNIT: tl.constexpr,
) -> None:  # fmt: skip
    """Update the rows of W and the biases of a tile of features; the gradient is d, or with blocks lies in memory.

    With ``UNIT`` the rows then get unit norm; rows of zeros, as the padding has, stay zero.
    """
    m: tl.constexpr = WIDTH * BLOCKS
    tuning, step = net.tuning + model * 4, tl.load(net.step) + slot + 1
    share = tl.load(net.schedule + step * 3)
    correction, inverse = tl.load(net.schedule + step * 3 + 1), tl.load(net.schedule + step * 3 + 2).to(w.dtype)
    peak, peak_b, gamma = tl.load(tuning), tl.load(tuning + 1), tl.load(tuning + 2)
    scale, strength = tl.load(tuning + 3).to(w.dtype), (share * peak * gamma).to(w.dtype)
    rate = (share * peak * correction).to(w.dtype)
    tile = feature[:, None] * m + tl.arange(0, WIDTH)[None, :]
    own = model * shape.n * m + tile
    squares = tl.sum(w * w, 1)
    for block in range(1, BLOCKS):
        more = tl.load(net.W + own + block * WIDTH)
        squares += tl.sum(more * more, 1)
    factor = _change(strength, squares)[:, None]
    new_squares = squares * 0
    for block in range(BLOCKS):
        at = own + block * WIDTH
        if BLOCKS > 1:
            w, d = tl.load(net.W + at), tl.load(slope + tile + block * WIDTH)
        w = _adam(w * factor, net.mean_W + at, net.square_W + at, scale * d, rate, inverse)
        if UNIT:
            new_squares += tl.sum(w * w, 1)
        if BLOCKS > 1 or not UNIT:
            tl.store(net.W + at, w)
    if UNIT:
        inverse_norm = tl.where(new_squares > 0, 1 / tl.sqrt(tl.where(new_squares > 0, new_squares, 1.0)), 0.0)[:, None]
        if BLOCKS == 1:
            tl.store(net.W + own, w * inverse_norm)
        else:
            tl.debug_barrier()  # the rows may be read by other threads than wrote them
            for block in range(BLOCKS):
                at = own + block * WIDTH
                tl.store(net.W + at, tl.load(net.W + at) * inverse_norm)
    at = model * shape.n + feature
    rate_b = (share * peak_b * correction).to(w.dtype)
    tl.store(net.b + at, _adam(bias, net.mean_b + at, net.square_b + at, scale * by_bias, rate_b, inverse))
