"""Room for the training step of the toy model, allocated once a model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch", "StepScratch", "new_batch", "new_work"]

Real = NDArray[Any]  # float32 or float64
Index = NDArray[np.int64]

BLOCK = 1024  # columns of G and S at a time: up to here they fit a cache shared by the cores


class Batch(NamedTuple):
    """One batch of sparse samples, feature by feature.

    Parameters
    ----------
    feature, sample : array of int, shape (capacity,)
        Where an entry stands; features ascend, and samples within a feature.
    value : array, shape (capacity,)
        u of the entry, in [0, 2].
    active : array of int, shape (n,)
        The D active features, ascending.
    row : array of int, shape (capacity,)
        Place of the entry's feature in ``active``.
    actives, start, order : array of int, shape (B,), (B + 1,), (B,)
        Active features of each sample; where its entries start in ``entry``; the samples with two or more active
        features, by their first.
    entry : array of int, shape (capacity,)
        Entries, sample by sample.
    """

    feature: Index
    sample: Index
    value: Real
    active: Index
    row: Index
    actives: Index
    start: Index
    order: Index
    entry: Index


class StepScratch(NamedTuple):
    """Room for one step, allocated once.

    Parameters
    ----------
    G, S : array, shape (n + 1, columns)
        A block of columns: overlaps of the active rows with all rows, and the gradient gathered by them, in the first
        D rows; row D is the bias's.
    G_last, S_last : array, shape (n + 1, remaining columns)
        The last block, which may be narrower.
    WA, T, TA : array, shape (n, m)
        Active rows, one block's part of the gradient by them, and the sum of these.
    weight_gradient, bias_gradient : array, shape (n, m), (n,)
        Gradient by W and by b.
    y : array, shape (columns,)
        One sample's output.
    """

    G: Real
    S: Real
    G_last: Real
    S_last: Real
    WA: Real
    T: Real
    TA: Real
    weight_gradient: Real
    bias_gradient: Real
    y: Real


def new_batch(size: int, p: NDArray[np.float64], dtype: str) -> Batch:
    """Allocate a batch.

    Parameters
    ----------
    size : int
        Samples.
    p : array, shape (n,)
        Probabilities of the features.
    dtype : str
        Type of the values.

    Returns
    -------
    Batch
        Empty.
    """
    mean = size * p.sum()
    capacity = min(size * len(p), int(mean + 12 * np.sqrt(mean)) + 64)  # overflow: probability below 1e-30
    lengths = {"feature": capacity, "sample": capacity, "active": len(p), "row": capacity}
    lengths |= {"actives": size, "start": size + 1, "order": size, "entry": capacity}
    integers = {name: np.zeros(length, np.int64) for name, length in lengths.items()}
    return Batch(value=np.zeros(capacity, dtype), **integers)


def new_work(n: int, m: int, dtype: str) -> StepScratch:
    """Allocate the room of a step.

    Parameters
    ----------
    n, m : int
        Features and width.
    dtype : str
        Type of the model.

    Returns
    -------
    StepScratch
        Zeros.
    """
    blocks = -(-n // BLOCK)
    columns = -(-n // blocks)
    last = n - (blocks - 1) * columns
    block, end = (n + 1 if blocks > 1 else 0, columns), (n + 1, last)
    shapes = [block, block, end, end, *[(n, m)] * 4, (n,), (columns,)]
    return StepScratch(*(np.zeros(shape, dtype) for shape in shapes))
