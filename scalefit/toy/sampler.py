"""Sparse batches: only active features are drawn, whatever the number of features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.toy.buffers import new_batch
from scalefit.toy.kernels import draw

__all__ = ["SparseSamples", "draw_samples", "mean_gaps"]


class SparseSamples(NamedTuple):
    """Samples by their active features, as a compressed sparse row matrix.

    Parameters
    ----------
    start : array of int, shape (samples + 1,)
        Sample s holds the entries ``start[s]:start[s + 1]``.
    feature : array of int, shape (entries,)
        Active features, counted from 0, ascending in a sample.
    value : array, shape (entries,)
        Their values, in [0, 2].
    n_features : int
        Features.
    """

    start: NDArray[np.int64]
    feature: NDArray[np.int64]
    value: NDArray[np.float64]
    n_features: int

    def dense(self) -> NDArray[np.float64]:
        """Spread the samples out.

        Returns
        -------
        array, shape (samples, n)
            x.
        """
        x = np.zeros((len(self.start) - 1, self.n_features))
        x[np.repeat(np.arange(len(x)), np.diff(self.start)), self.feature] = self.value
        return x


def mean_gaps(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the exponential whose whole part is the gap between samples with a feature.

    Parameters
    ----------
    p : array, shape (n,)
        Probabilities.

    Returns
    -------
    array, shape (n,)
        ``-1 / log(1 - p)``: infinite at p = 0, and 0 at p = 1.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(-1 / np.log1p(-p))


def draw_samples(p: NDArray[np.float64], size: int, rng: np.random.Generator) -> SparseSamples:
    """Draw samples: feature i is active with probability p_i, and then uniform on [0, 2].

    Parameters
    ----------
    p : array, shape (n,)
        Probabilities.
    size : int
        Samples.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    SparseSamples
        The samples.
    """
    batch = new_batch(size, p, "float64")
    entries, _, _ = draw(rng, mean_gaps(p), size, batch)
    order = batch.entry[:entries]
    return SparseSamples(batch.start, batch.feature[order], batch.value[order], len(p))
