"""The training step: two kernels, in the manner of fused attention.

A row r of a batch has a hidden state ``h = sum_k u_k W[f_k]`` and multipliers v. With ``z = v h W^T + b`` and
``y = relu(z)``, the gradient by z is ``g = [z > 0] (y - x) = y - [z > 0] x``: the first part needs every feature, the
second only the few entries of the row. So a tile of rows times features is a product, ``sum_v v y`` and two products,
and it never leaves the registers:

- :func:`row_pass`: a program holds a tile of rows and goes through the features. It leaves h and the gradient by it,
  ``t = sum_v v g W``, and what the targets take away at each entry, ``sum_v v [z > 0] x`` and ``sum_v [z > 0] x``.
- :func:`feature_pass`: a program holds a tile of features and goes through the rows: ``dW = sum_r (sum_v v g) h``.
  Then through its entries, which add ``u t`` (how W makes h) and take the targets away. It alone reads and writes its
  rows of W, so that it ends with the optimiser's step.

Every sum has one order, whatever else runs. Matrices are padded with zeros to whole tiles, which stay zero. Where a
tile of W would be wider than `WIDTH`, W, h, t and dW are taken in blocks of columns, and t and dW are added up in
memory instead of registers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import triton.language as tl

from scalefit.toy.gpu.compiled import dot, jit, locate, relu
from scalefit.toy.gpu.optimiser import update

__all__ = ["NetworkScratch", "encode", "entry_of", "feature_pass", "gather", "product", "put", "row_pass"]


class NetworkScratch(NamedTuple):
    """What the two kernels leave for each other.

    Parameters
    ----------
    h, t : shape (M, rows, m)
        Hidden state of each row, and the gradient by it.
    target : shape (M, capacity, 2)
        What the target takes away at each entry: from the gradient by W, and by b.
    slope : shape (M, n, m)
        Room for the gradient by W; of no size where it fits the registers.
    """

    h: Any
    t: Any
    target: Any
    slope: Any


@jit
def respond(
    z: tl.tensor, bias: tl.tensor, multiplier: tl.tensor, row: tl.tensor, valid: tl.tensor, SHARE: tl.constexpr
) -> tl.tensor:
    """Add up over the multipliers of a row: ``sum v relu(v z + bias)`` and ``sum relu(v z + bias)``."""
    if SHARE == 1:
        weighted = tl.where(valid, relu(z + bias), 0.0)
        total = weighted
    else:
        weighted = tl.zeros(z.shape, z.dtype)
        total = weighted
        for k in tl.static_range(SHARE):
            v = tl.load(multiplier + row * SHARE + k, mask=valid, other=0.0)
            y = relu(v * z + bias)
            weighted += v * y
            total += tl.where(v > 0, y, 0.0)
    return weighted, total


@jit
def _taken(
    z: tl.tensor,
    bias: tl.tensor,
    u: tl.tensor,
    multiplier: tl.tensor,
    row: tl.tensor,
    valid: tl.tensor,
    SHARE: tl.constexpr,
) -> tl.tensor:
    """Add up what the targets x = v u take away at an entry: ``sum v x`` and ``sum x`` over outputs above 0."""
    if SHARE == 1:
        weighted = tl.where(z + bias > 0, u, 0.0)
        total = weighted
    else:
        weighted = tl.zeros(z.shape, z.dtype)
        total = weighted
        for k in tl.static_range(SHARE):
            v = tl.load(multiplier + row * SHARE + k, mask=valid, other=0.0)
            x = tl.where(v * z + bias > 0, v * u, 0.0)
            weighted += v * x
            total += x
    return weighted, total


@jit
def gather(
    matrix: tl.tensor, row: tl.tensor, columns: tl.tensor, WIDTH: tl.constexpr, BLOCKS: tl.constexpr
) -> tl.tensor:
    """Block of columns of some rows of a matrix."""
    return tl.load(matrix + row[:, None] * (WIDTH * BLOCKS) + columns[None, :])


@jit
def put(
    matrix: tl.tensor, tile: tl.tensor, row: tl.tensor, valid: tl.tensor, columns: tl.tensor,
    WIDTH: tl.constexpr, BLOCKS: tl.constexpr,
) -> None:  # fmt: skip
    """Write a block of columns of the valid ones of some rows."""
    tl.store(matrix + row[:, None] * (WIDTH * BLOCKS) + columns[None, :], tile, mask=valid[:, None])


@jit
def entry_of(batch: tl.tuple, raw: tl.tensor, place: tl.tensor, valid: tl.tensor) -> tl.tensor:
    """Return the entry at a place in its row, with its feature and value; 0 and 0 where there is none."""
    entry = tl.load(batch.entry + raw + place, mask=valid, other=0)
    feature = tl.load(batch.feature + raw + entry, mask=valid, other=0)
    return entry, feature, tl.load(batch.value + raw + entry, mask=valid, other=0.0)


@jit
def encode(
    W: tl.tensor, batch: tl.tuple, raw: tl.tensor, begin: tl.tensor, length: tl.tensor, columns: tl.tensor,
    WIDTH: tl.constexpr, BLOCKS: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Block of columns of the hidden states of a tile of rows."""
    h = tl.zeros((begin.shape[0], WIDTH), W.dtype.element_ty)
    for k in range(tl.max(length, 0)):
        _, feature, u = entry_of(batch, raw, begin + k, k < length)
        h += u[:, None] * gather(W, feature, columns, WIDTH, BLOCKS)
    return h


@jit
def product(
    one: tl.tensor, row: tl.tensor, other: tl.tensor, column: tl.tensor,
    WIDTH: tl.constexpr, BLOCKS: tl.constexpr, PRECISION: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Product of rows of one matrix with rows of another, over blocks of their columns."""
    total = tl.zeros((row.shape[0], column.shape[0]), one.dtype.element_ty)
    for block in range(BLOCKS):
        inner = block * WIDTH + tl.arange(0, WIDTH)
        left, right = gather(one, row, inner, WIDTH, BLOCKS), gather(other, column, inner, WIDTH, BLOCKS)
        total += dot(left, tl.trans(right), PRECISION)
    return total


@jit
def _add_product(
    into: tl.tensor, row: tl.tensor, valid: tl.tensor, weights: tl.tensor, other: tl.tensor, column: tl.tensor,
    WIDTH: tl.constexpr, BLOCKS: tl.constexpr, PRECISION: tl.constexpr,
) -> None:  # fmt: skip
    """Add to rows of a matrix in memory the weighted rows of another."""
    for block in range(BLOCKS):
        inner = block * WIDTH + tl.arange(0, WIDTH)
        part = dot(weights, gather(other, column, inner, WIDTH, BLOCKS), PRECISION)
        put(into, gather(into, row, inner, WIDTH, BLOCKS) + part, row, valid, inner, WIDTH, BLOCKS)
    tl.debug_barrier()  # the next block may be read by other threads


@jit
def _take_targets(
    t: tl.tensor, h: tl.tensor, W: tl.tensor, b: tl.tensor, hidden: tl.tensor, by_hidden: tl.tensor,
    target: tl.tensor, batch: tl.tuple, raw: tl.tensor, multiplier: tl.tensor, row: tl.tensor, begin: tl.tensor,
    length: tl.tensor, SHARE: tl.constexpr, WIDTH: tl.constexpr, BLOCKS: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Take the targets away from t, entry by entry, and note what they take from other gradients."""
    columns = tl.arange(0, WIDTH)
    for k in range(tl.max(length, 0)):
        valid = k < length
        e, feature, u = entry_of(batch, raw, begin + k, valid)
        w = gather(W, feature, columns, WIDTH, BLOCKS)
        z = tl.sum(h * w, 1)
        for block in range(1, BLOCKS):
            inner = block * WIDTH + columns
            z += tl.sum(gather(hidden, row, inner, WIDTH, BLOCKS) * gather(W, feature, inner, WIDTH, BLOCKS), 1)
        weighted, total = _taken(z, tl.load(b + feature), u, multiplier, row, valid, SHARE)
        tl.store(target + 2 * e, weighted, mask=valid)
        tl.store(target + 2 * e + 1, total, mask=valid)
        if BLOCKS == 1:
            t -= weighted[:, None] * w
        else:
            for block in range(BLOCKS):
                inner = block * WIDTH + columns
                left = gather(by_hidden, row, inner, WIDTH, BLOCKS)
                left -= weighted[:, None] * gather(W, feature, inner, WIDTH, BLOCKS)
                put(by_hidden, left, row, valid, inner, WIDTH, BLOCKS)
            tl.debug_barrier()
    return t


@jit
def _row_tile(
    net: tl.tuple, batch: tl.tuple, work: tl.tuple, shape: tl.tuple, model: tl.tensor, job: tl.tensor,
    first: tl.tensor, last: tl.tensor, SHARE: tl.constexpr, ROWS: tl.constexpr, FEATURES: tl.constexpr,
    WIDTH: tl.constexpr, BLOCKS: tl.constexpr, PRECISION: tl.constexpr,
) -> None:  # fmt: skip
    """Take the rows from ``first`` on, before ``last``, through all features."""
    m: tl.constexpr = WIDTH * BLOCKS
    W, b, raw = net.W + model * shape.n * m, net.b + model * shape.n, job * shape.capacity
    hidden, by_hidden = work.h + model * shape.rows * m, work.t + model * shape.rows * m
    multiplier = batch.multiplier + job * shape.size * SHARE
    row = first + tl.arange(0, ROWS)
    valid = row < last
    begins = batch.begin + job * (shape.size + 1) + row
    begin = tl.load(begins, mask=valid, other=0)
    length = tl.load(begins + 1, mask=valid, other=0) - begin
    columns = tl.arange(0, WIDTH)
    h = encode(W, batch, raw, begin, length, columns, WIDTH, BLOCKS)
    t = tl.zeros((ROWS, WIDTH), h.dtype)
    put(hidden, h, row, valid, columns, WIDTH, BLOCKS)
    if BLOCKS > 1:
        put(by_hidden, t, row, valid, columns, WIDTH, BLOCKS)
        for block in range(1, BLOCKS):
            inner = block * WIDTH + columns
            more = encode(W, batch, raw, begin, length, inner, WIDTH, BLOCKS)
            put(hidden, more, row, valid, inner, WIDTH, BLOCKS)
            put(by_hidden, t, row, valid, inner, WIDTH, BLOCKS)
        tl.debug_barrier()
    for start in range(0, shape.n, FEATURES):
        feature = start + tl.arange(0, FEATURES)
        bias = tl.load(b + feature)[None, :]
        if BLOCKS == 1:
            w = gather(W, feature, columns, WIDTH, BLOCKS)
            weighted, _ = respond(dot(h, tl.trans(w), PRECISION), bias, multiplier, row[:, None], valid[:, None], SHARE)
            t += dot(weighted, w, PRECISION)
        else:
            z = product(hidden, row, W, feature, WIDTH, BLOCKS, PRECISION)
            weighted, _ = respond(z, bias, multiplier, row[:, None], valid[:, None], SHARE)
            _add_product(by_hidden, row, valid, weighted, W, feature, WIDTH, BLOCKS, PRECISION)
    target = work.target + model * shape.capacity * 2
    t = _take_targets(
        t, h, W, b, hidden, by_hidden, target, batch, raw, multiplier, row, begin, length, SHARE, WIDTH, BLOCKS
    )
    if BLOCKS == 1:
        put(by_hidden, t, row, valid, columns, WIDTH, BLOCKS)


@jit
def row_pass(
    net: tl.tuple, batch: tl.tuple, work: tl.tuple, shape: tl.tuple, slot: tl.tensor,
    SHARE: tl.constexpr, ROWS: tl.constexpr, FEATURES: tl.constexpr, WIDTH: tl.constexpr, BLOCKS: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:  # fmt: skip
    """Grid: tiles of rows, models, kinds of rows."""
    model = tl.program_id(1).to(tl.int64)
    job = slot * shape.models + model
    offset = tl.program_id(0) * ROWS
    several, rows = tl.load(batch.sizes + job * 5), tl.load(batch.sizes + job * 5 + 1)
    if tl.program_id(2) == 0:
        if offset < several:
            _row_tile(net, batch, work, shape, model, job, offset, several, 1, ROWS, FEATURES, WIDTH, BLOCKS, PRECISION)
    elif several + offset < rows:
        _row_tile(
            net, batch, work, shape, model, job, several + offset, rows,
            SHARE, ROWS, FEATURES, WIDTH, BLOCKS, PRECISION,
        )  # fmt: skip


@jit
def _over_rows(
    d: tl.tensor, flow: tl.tensor, w: tl.tensor, W: tl.tensor, bias: tl.tensor, feature: tl.tensor,
    hidden: tl.tensor, slope: tl.tensor, multiplier: tl.tensor, first: tl.tensor, last: tl.tensor,
    SHARE: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr, BLOCKS: tl.constexpr, PRECISION: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Add what the rows from ``first`` on, before ``last``, give to the gradients of a tile of features."""
    columns = tl.arange(0, WIDTH)
    for start in range(first, last, ROWS):
        row = start + tl.arange(0, ROWS)
        valid = (row < last)[None, :]
        if BLOCKS == 1:
            h = gather(hidden, row, columns, WIDTH, BLOCKS)
            z = dot(w, tl.trans(h), PRECISION)
            weighted, total = respond(z, bias, multiplier, row[None, :], valid, SHARE)
            d += dot(weighted, h, PRECISION)
        else:
            z = product(W, feature, hidden, row, WIDTH, BLOCKS, PRECISION)
            weighted, total = respond(z, bias, multiplier, row[None, :], valid, SHARE)
            _add_product(slope, feature, feature >= 0, weighted, hidden, row, WIDTH, BLOCKS, PRECISION)
        flow += total
    return d, flow


@jit
def _over_entries(
    d: tl.tensor, by_bias: tl.tensor, feature: tl.tensor, work: tl.tuple, batch: tl.tuple, shape: tl.tuple,
    model: tl.tensor, job: tl.tensor, slope: tl.tensor, ROWS: tl.constexpr, WIDTH: tl.constexpr,
    BLOCKS: tl.constexpr, HALVINGS: tl.constexpr, PRECISION: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Add what the entries of a tile of features give: ``u t`` of their rows, less what the targets take away."""
    m: tl.constexpr = WIDTH * BLOCKS
    raw = job * shape.capacity
    hidden, by_hidden = work.h + model * shape.rows * m, work.t + model * shape.rows * m
    target = work.target + model * shape.capacity * 2
    count = tl.load(batch.sizes + job * 5 + 2)
    low = locate(batch.feature + raw, tl.min(feature, 0) - 1, count, HALVINGS)
    high = locate(batch.feature + raw, tl.max(feature, 0), count, HALVINGS)
    for start in range(low, high, ROWS):
        e = start + tl.arange(0, ROWS)
        valid = e < high
        row = tl.load(batch.row + raw + e, mask=valid, other=0)
        u = tl.load(batch.value + raw + e, mask=valid, other=0.0)
        weighted = tl.load(target + 2 * e, mask=valid, other=0.0)
        total = tl.load(target + 2 * e + 1, mask=valid, other=0.0)
        own = feature[:, None] == tl.load(batch.feature + raw + e, mask=valid, other=-1)[None, :]
        own = tl.where(own, 1.0, 0.0).to(u.dtype)
        by_bias -= tl.sum(own * total[None, :], 1)
        for block in range(BLOCKS):
            inner = block * WIDTH + tl.arange(0, WIDTH)
            part = u[:, None] * gather(by_hidden, row, inner, WIDTH, BLOCKS)
            part = dot(own, part - weighted[:, None] * gather(hidden, row, inner, WIDTH, BLOCKS), PRECISION)
            if BLOCKS == 1:
                d += part
            else:
                so_far = gather(slope, feature, inner, WIDTH, BLOCKS)
                put(slope, so_far + part, feature, feature >= 0, inner, WIDTH, BLOCKS)
        if BLOCKS > 1:
            tl.debug_barrier()
    return d, by_bias


@jit
def feature_pass(
    net: tl.tuple, batch: tl.tuple, work: tl.tuple, shape: tl.tuple, slot: tl.tensor,
    SHARE: tl.constexpr, ROWS: tl.constexpr, FEATURES: tl.constexpr, WIDTH: tl.constexpr, BLOCKS: tl.constexpr,
    HALVINGS: tl.constexpr, PRECISION: tl.constexpr, UNIT: tl.constexpr,
) -> None:  # fmt: skip
    """Grid: tiles of features, models. Takes the optimiser's step."""
    m: tl.constexpr = WIDTH * BLOCKS
    model = tl.program_id(1).to(tl.int64)
    job = slot * shape.models + model
    feature, columns = tl.program_id(0) * FEATURES + tl.arange(0, FEATURES), tl.arange(0, WIDTH)
    W, slope = net.W + model * shape.n * m, work.slope + model * shape.n * m
    hidden, multiplier = work.h + model * shape.rows * m, batch.multiplier + job * shape.size * SHARE
    sizes = batch.sizes + job * 5
    several, rows, empty = tl.load(sizes), tl.load(sizes + 1), tl.load(sizes + 3)
    bias = tl.load(net.b + model * shape.n + feature)
    w = gather(W, feature, columns, WIDTH, BLOCKS)
    d, flow = tl.zeros((FEATURES, WIDTH), w.dtype), tl.zeros((FEATURES, ROWS), w.dtype)
    if BLOCKS > 1:
        for block in range(BLOCKS):
            put(slope, d, feature, feature >= 0, block * WIDTH + columns, WIDTH, BLOCKS)
        tl.debug_barrier()
    d, flow = _over_rows(
        d, flow, w, W, bias[:, None], feature, hidden, slope, multiplier, 0, several,
        1, ROWS, WIDTH, BLOCKS, PRECISION,
    )  # fmt: skip
    d, flow = _over_rows(
        d, flow, w, W, bias[:, None], feature, hidden, slope, multiplier, several, rows,
        SHARE, ROWS, WIDTH, BLOCKS, PRECISION,
    )  # fmt: skip
    by_bias = tl.sum(flow, 1) + empty * relu(bias)
    d, by_bias = _over_entries(
        d, by_bias, feature, work, batch, shape, model, job, slope, ROWS, WIDTH, BLOCKS, HALVINGS, PRECISION
    )
    update(net, d, by_bias, slope, w, bias, shape, model, slot, feature, WIDTH, BLOCKS, UNIT)
