"""Draw sparse batches on the GPU, many steps at a time, and lay them out for the training kernels.

A batch is a Poisson process on the line of all features and samples, feature after feature, with rate
``-log(1 - p_i)``: a feature is active in a sample where at least one point falls, which has probability p_i exactly.
Points come in the order of the line, so that nothing needs to be sorted. Times are whole numbers: sums of gaps do
not depend on the order of addition. Random numbers are Philox of the model's key, the number of the batch and the
number of the point.

The laid out batch has two kinds of rows. A sample with several active features is a row. Samples whose only active
feature is the same one differ in its value only, so that up to `SHARE` of them make one row, which is taken with
several multipliers. Samples without an active feature are only counted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import triton.language as tl

from scalefit.toy.gpu.compiled import jit, locate

__all__ = [
    "SHARE",
    "SIZES",
    "PointLaw",
    "Points",
    "SampledBatch",
    "draw_points",
    "lay_out",
    "number_rows",
    "order_rows",
]

SHARE = 4  # of most samples to a row: fewer rows do not pay for the work on multipliers that are left empty
SIZES = 5  # numbers in `SampledBatch.sizes` for one batch


class PointLaw(NamedTuple):
    """Where the features lie on the line, for M models.

    Parameters
    ----------
    keys : int64, shape (M,)
        Key of each model's stream.
    edges : int64, shape (M, n)
        Where features end, in units of time.
    unit : float64, shape (M,)
        Mean gap between points, in units of time.
    """

    keys: Any
    edges: Any
    unit: Any


class Points(NamedTuple):
    """The entries of J batches as they were drawn: features ascend, and samples within one.

    Parameters
    ----------
    feature, sample : int32, shape (J, capacity)
        Where an entry stands.
    value : shape (J, capacity)
        u, in (0, 2].
    count : int32, shape (J,)
        Entries of each batch.
    actives : int32, shape (J, B)
        Active features of each sample; zero before a draw.
    cursor : int32, shape (J, B)
        Row of each sample with several entries, -1 for others.
    filled : int32, shape (J, B)
        Place for the next entry of a row.
    mixed : int32, shape (J, capacity)
        Entries row by row, in no order within a row.
    """

    feature: Any
    sample: Any
    value: Any
    count: Any
    actives: Any
    cursor: Any
    filled: Any
    mixed: Any


class SampledBatch(NamedTuple):
    """J batches laid out in rows.

    Parameters
    ----------
    feature, row : int32, shape (J, capacity)
        Feature and row of each entry; features ascend.
    value : shape (J, capacity)
        What the feature's row of W is multiplied by in the hidden state of the entry's row.
    entry : int32, shape (J, capacity)
        Entries row by row, ascending within a row.
    begin : int32, shape (J, B + 1)
        Row r has the entries ``begin[r]:begin[r + 1]``.
    multiplier : shape (J, B, SHARE)
        What a row is taken with, 0 where there are fewer; rows of samples with several entries are taken once.
    sizes : int32, shape (J, SIZES)
        Rows of samples with several entries, which come first; all rows; entries; samples without one; and entries of
        the rows that come first.
    """

    feature: Any
    row: Any
    value: Any
    entry: Any
    begin: Any
    multiplier: Any
    sizes: Any


@jit
def _uniform(high: tl.tensor, low: tl.tensor) -> tl.tensor:
    """Return numbers in (0, 1) with 53 random bits."""
    bits = (high.to(tl.uint64) << 21) | (low.to(tl.uint64) >> 11)
    return (bits.to(tl.float64) + 0.5) * 1.1102230246251565e-16


@jit
def draw_points(
    law: tl.tuple, points: tl.tuple, drawn: tl.tensor, models: tl.tensor, size: tl.tensor, n: tl.tensor,
    capacity: tl.tensor, BLOCK: tl.constexpr, HALVINGS: tl.constexpr,
) -> None:  # fmt: skip
    """Draw the batches ``drawn``, ``drawn + 1`` ... of every model; a program draws one."""
    model, slot = tl.program_id(0), tl.program_id(1)
    job = (slot * models + model).to(tl.int64)
    key, unit, edges = tl.load(law.keys + model), tl.load(law.unit + model), law.edges + model.to(tl.int64) * n
    total = tl.load(edges + n - 1)
    begun, entries, first = total * 0, 0, 0
    while begun < total:
        number = (first + tl.arange(0, BLOCK)).to(tl.uint32)
        nothing = number * 0
        batch = nothing + (tl.load(drawn) + slot).to(tl.uint32)
        high, low, third, _ = tl.philox(key, number, batch, nothing, nothing)
        gap = (-tl.log(_uniform(high, low)) * unit).to(tl.int64) + 1
        time = begun + tl.cumsum(gap, 0)
        before = time - gap
        valid = time < total
        feature = tl.minimum(locate(edges, time, n, HALVINGS), n - 1)
        start = tl.load(edges + feature - 1, mask=feature > 0, other=0)
        pace = size / tl.maximum(tl.load(edges + feature) - start, 1).to(tl.float64)
        sample = tl.minimum((time - start).to(tl.float64) * pace, size - 1.0).to(tl.int32)
        earlier = tl.minimum(tl.maximum(before - start, 0).to(tl.float64) * pace, size - 1.0).to(tl.int32)
        again = (before > 0) & (before >= start) & (earlier == sample)  # it has a point already
        kept = valid & (again == 0)
        place = entries + tl.cumsum(kept.to(tl.int32), 0) - 1
        stored = kept & (place < capacity)
        at = job * capacity + place
        tl.store(points.feature + at, feature, mask=stored)
        tl.store(points.sample + at, sample, mask=stored)
        value = ((third >> 8).to(tl.float64) + 0.5) * 1.1920928955078125e-7
        tl.store(points.value + at, value.to(points.value.dtype.element_ty), mask=stored)
        tl.atomic_add(points.actives + job * size + sample, 1, mask=stored, sem="relaxed")
        entries += tl.sum(kept.to(tl.int32), 0)
        begun = tl.minimum(begun + tl.sum(gap, 0), total)
        first += BLOCK
    tl.store(points.count + job, tl.minimum(entries, capacity))


@jit
def number_rows(points: tl.tuple, batch: tl.tuple, size: tl.tensor, BLOCK: tl.constexpr) -> None:
    """Give every sample with several entries a row, and every row room for its entries."""
    job = tl.program_id(0).to(tl.int64)
    rows, places, empty = 0, 0, 0
    for first in range(0, size, BLOCK):
        sample = first + tl.arange(0, BLOCK)
        actives = tl.load(points.actives + job * size + sample, mask=sample < size, other=1)
        several = actives > 1
        room = tl.where(several, actives, 0)
        row = rows + tl.cumsum(several.to(tl.int32), 0) - 1
        begin = places + tl.cumsum(room, 0) - room
        tl.store(points.cursor + job * size + sample, tl.where(several, row, -1), mask=sample < size)
        tl.store(points.filled + job * size + row, begin, mask=several)
        tl.store(batch.begin + job * (size + 1) + row, begin, mask=several)
        rows += tl.sum(several.to(tl.int32), 0)
        places += tl.sum(room, 0)
        empty += tl.sum((actives == 0).to(tl.int32), 0)
    sizes = batch.sizes + job * 5
    tl.store(sizes, rows)
    tl.store(sizes + 3, empty)
    tl.store(sizes + 4, places)


@jit
def _larger(one: tl.tensor, other: tl.tensor) -> tl.tensor:
    return tl.maximum(one, other)


@jit
def lay_out(
    points: tl.tuple, batch: tl.tuple, size: tl.tensor, capacity: tl.tensor, BLOCK: tl.constexpr, SHARE: tl.constexpr
) -> None:
    """Make the entries of the rows, in the order of their features, and the multipliers."""
    job = tl.program_id(0).to(tl.int64)
    raw, sizes = job * capacity, batch.sizes + job * 5
    several, places = tl.load(sizes), tl.load(sizes + 4)
    count = tl.load(points.count + job)
    singles, groups, entries, opening = 0, 0, 0, 0
    for first in range(0, count, BLOCK):
        e = first + tl.arange(0, BLOCK)
        valid = e < count
        feature = tl.load(points.feature + raw + e, mask=valid, other=0)
        previous = tl.load(points.feature + raw + e - 1, mask=valid & (e > 0), other=-1)
        sample = tl.load(points.sample + raw + e, mask=valid, other=0)
        value = tl.load(points.value + raw + e, mask=valid, other=0.0)
        row = tl.load(points.cursor + job * size + sample, mask=valid, other=-1)
        alone = valid & (row < 0)
        single = singles + tl.cumsum(alone.to(tl.int32), 0) - alone.to(tl.int32)
        opens = tl.where(feature != previous, single, 0)  # singles before those of this feature, which only grow
        rank = single - tl.maximum(tl.associative_scan(opens, 0, _larger), opening)
        heads = alone & (rank % SHARE == 0)
        group = groups + tl.cumsum(heads.to(tl.int32), 0) - 1
        row = tl.where(alone, several + group, row)
        at = (job * size + row) * SHARE + rank % SHARE
        tl.store(batch.multiplier + at, value, mask=alone)
        kept = heads | (valid & (alone == 0))
        entry = entries + tl.cumsum(kept.to(tl.int32), 0) - 1
        tl.store(batch.feature + raw + entry, feature, mask=kept)
        tl.store(batch.row + raw + entry, row, mask=kept)
        tl.store(batch.value + raw + entry, tl.where(alone, 1.0, value), mask=kept)
        crowded = kept & (heads == 0)
        place = tl.atomic_add(points.filled + job * size + row, 1, mask=crowded, sem="relaxed")
        tl.store(points.mixed + raw + place, entry, mask=crowded)
        tl.store(batch.entry + raw + places + group, entry, mask=heads)
        tl.store(batch.begin + job * (size + 1) + row, places + group, mask=heads)
        opening = tl.maximum(opening, tl.max(opens, 0))
        singles += tl.sum(alone.to(tl.int32), 0)
        groups += tl.sum(heads.to(tl.int32), 0)
        entries += tl.sum(kept.to(tl.int32), 0)
    tl.store(batch.begin + job * (size + 1) + several + groups, places + groups)
    tl.store(sizes + 1, several + groups)
    tl.store(sizes + 2, entries)


@jit
def order_rows(
    points: tl.tuple, batch: tl.tuple, size: tl.tensor, capacity: tl.tensor, stride: tl.tensor, ROWS: tl.constexpr,
    MOST: tl.constexpr,
) -> None:  # fmt: skip
    """Order the entries within the rows of samples with several, where chance has placed them.

    Grid: batches, and parts that take every ``stride`` rows in turn.
    """
    job = tl.program_id(0).to(tl.int64)
    several = tl.load(batch.sizes + job * 5)
    for first in range(tl.program_id(1) * ROWS, several, stride):
        row = first + tl.arange(0, ROWS)
        begins = batch.begin + job * (size + 1) + row
        begin = tl.load(begins, mask=row < several, other=0)
        length = tl.load(begins + 1, mask=row < several, other=0) - begin
        k = tl.arange(0, MOST)
        inside = k[None, :] < length[:, None]
        at = job * capacity + begin[:, None] + k[None, :]
        entry = tl.load(points.mixed + at, mask=inside, other=2147483647)
        rank = tl.sum((entry[:, None, :] < entry[:, :, None]).to(tl.int32), 2)
        tl.store(batch.entry + job * capacity + begin[:, None] + rank, entry, mask=inside)
