"""Losses of a batch of samples, without gradients."""

from __future__ import annotations

import triton.language as tl

from scalefit.toy.gpu.compiled import dot, jit, relu
from scalefit.toy.gpu.network import encode, entry_of, gather, product, put

__all__ = ["loss_pass", "tally"]


@jit
def loss_pass(
    net: tl.tuple, batch: tl.tuple, work: tl.tuple, shape: tl.tuple, slot: tl.tensor, losses: tl.tensor,
    SHARE: tl.constexpr, ROWS: tl.constexpr, FEATURES: tl.constexpr, WIDTH: tl.constexpr, BLOCKS: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:  # fmt: skip
    """Squared error of every sample that has entries, by row and multiplier.

    Grid: tiles of rows, models, and multipliers: first rows of samples with several entries, then SHARE times the
    others. ``losses`` has the shape (M, 1 + SHARE, rows).
    """
    model, which = tl.program_id(1).to(tl.int64), tl.program_id(2)
    job = slot * shape.models + model
    several, rows = tl.load(batch.sizes + job * 5), tl.load(batch.sizes + job * 5 + 1)
    place = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    row, last = place, several
    if which > 0:
        row, last = several + place, rows
    error = tl.zeros((ROWS,), net.W.dtype.element_ty)
    if tl.min(row, 0) < last:
        at = (job * shape.size + row) * SHARE + which - 1
        v = tl.load(batch.multiplier + at, mask=(row < last) & (which > 0), other=1.0)
        error = _squares(
            net, batch, work, shape, model, job, row, row < last, v, ROWS, FEATURES, WIDTH, BLOCKS, PRECISION
        )
        error = tl.where((row < last) & (v > 0), error, 0.0)
    tl.store(losses + (model * (1 + SHARE) + which) * shape.rows + place, error)


@jit
def _squares(
    net: tl.tuple, batch: tl.tuple, work: tl.tuple, shape: tl.tuple, model: tl.tensor, job: tl.tensor,
    row: tl.tensor, valid: tl.tensor, v: tl.tensor, ROWS: tl.constexpr, FEATURES: tl.constexpr, WIDTH: tl.constexpr,
    BLOCKS: tl.constexpr, PRECISION: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Squared errors of rows with the multipliers v: ``sum y^2`` over all features, and ``x^2 - 2 x y`` at entries."""
    m: tl.constexpr = WIDTH * BLOCKS
    raw, columns = job * shape.capacity, tl.arange(0, WIDTH)
    W, b, hidden = net.W + model * shape.n * m, net.b + model * shape.n, work.h + model * shape.rows * m
    begins = batch.begin + job * (shape.size + 1) + row
    begin = tl.load(begins, mask=valid, other=0)
    length = tl.load(begins + 1, mask=valid, other=0) - begin
    h = encode(W, batch, raw, begin, length, columns, WIDTH, BLOCKS)
    total = tl.zeros((ROWS, FEATURES), h.dtype)
    if BLOCKS > 1:  # every multiplier of a row writes the same
        put(hidden, h, row, valid, columns, WIDTH, BLOCKS)
        for block in range(1, BLOCKS):
            inner = block * WIDTH + columns
            more = encode(W, batch, raw, begin, length, inner, WIDTH, BLOCKS)
            put(hidden, more, row, valid, inner, WIDTH, BLOCKS)
        tl.debug_barrier()
    for start in range(0, shape.n, FEATURES):
        feature = start + tl.arange(0, FEATURES)
        if BLOCKS == 1:
            z = dot(h, tl.trans(gather(W, feature, columns, WIDTH, BLOCKS)), PRECISION)
        else:
            z = product(hidden, row, W, feature, WIDTH, BLOCKS, PRECISION)
        y = relu(v[:, None] * z + tl.load(b + feature)[None, :])
        total += y * y
    squares = tl.sum(total, 1)
    for k in range(tl.max(length, 0)):
        _, feature, u = entry_of(batch, raw, begin + k, k < length)
        z = tl.sum(h * gather(W, feature, columns, WIDTH, BLOCKS), 1)
        for block in range(1, BLOCKS):
            inner = block * WIDTH + columns
            z += tl.sum(gather(hidden, row, inner, WIDTH, BLOCKS) * gather(W, feature, inner, WIDTH, BLOCKS), 1)
        squares += v * u * (v * u - 2 * relu(v * z + tl.load(b + feature)))
    return squares


@jit
def tally(
    net: tl.tuple, batch: tl.tuple, shape: tl.tuple, slot: tl.tensor, losses: tl.tensor, sums: tl.tensor,
    SHARE: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """Add a batch's losses and their squares to each model's sums, float64 of shape (M, 2), in one order."""
    model = tl.program_id(0).to(tl.int64)
    job = slot * shape.models + model
    total, squares = tl.zeros((BLOCK,), tl.float64), tl.zeros((BLOCK,), tl.float64)
    length = (1 + SHARE) * shape.rows
    for first in range(0, length, BLOCK):
        place = first + tl.arange(0, BLOCK)
        loss = tl.load(losses + model * length + place, mask=place < length, other=0.0).to(tl.float64)
        total += loss
        squares += loss * loss
    empty = tl.zeros((BLOCK,), tl.float64)
    for first in range(0, shape.n, BLOCK):
        place = first + tl.arange(0, BLOCK)
        y = relu(tl.load(net.b + model * shape.n + place, mask=place < shape.n, other=0.0)).to(tl.float64)
        empty += y * y
    one, count = tl.sum(empty, 0), tl.load(batch.sizes + job * 5 + 3)
    tl.store(sums + model * 2, tl.load(sums + model * 2) + tl.sum(total, 0) + count * one)
    tl.store(sums + model * 2 + 1, tl.load(sums + model * 2 + 1) + tl.sum(squares, 0) + count * one * one)
