"""What is measured on a trained toy model: norms, outputs that can fire, and the overlaps against their bounds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalefit.overlap import mean_square_overlap, welch_bound
from scalefit.toy.config import ToyConfig
from scalefit.toy.theory import MEAN_SQUARE, unrepresented_loss

__all__ = ["NORM_STEP", "Band", "OverlapMoments", "RowNorms", "alive_outputs", "least_moments", "measures"]

Real = NDArray[Any]
Array = NDArray[np.float64]

REPRESENTED: Final = 0.5  # a row of W above this norm counts as represented
BANDS: Final = 4  # of features by rank, evenly in its logarithm
NORM_STEP: Final = 0.1  # width of a class of the histogram of norms
NORM_CLASSES: Final = 20  # the last one has all norms above
ROWS_AT_A_TIME: Final = 1024  # of the product of all rows with all rows


@dataclass(frozen=True)
class RowNorms:
    """Norms of the rows of W.

    Parameters
    ----------
    least, lower, median, upper, most : float
        Quartiles, with the extremes.
    counts : tuple of int, length 20
        Rows by norm: below 0.1, below 0.2 and so on; the last one has all from 1.9 on.
    """

    least: float
    lower: float
    median: float
    upper: float
    most: float
    counts: tuple[int, ...] = ()


class OverlapMoments(NamedTuple):
    """Overlaps of different rows whose outputs are alive, scaled to unit norm; moments about 0, and their bounds.

    Parameters
    ----------
    rows : int
        Rows.
    mean_square, skewness, kurtosis : float
        Mean square, and the mean cube and fourth power in units of it.
    least_square, least_skewness, least_kurtosis : float
        What they cannot fall below, as in :func:`least_moments`; the skewness of rows that are not more than the
        dimensions has no bound, and None here.
    """

    rows: int
    mean_square: float
    skewness: float
    kurtosis: float
    least_square: float
    least_skewness: float | None
    least_kurtosis: float


class Band(NamedTuple):
    """Features of similar frequency.

    Parameters
    ----------
    first, last : int
        Ranks by frequency, from 1 on.
    alive : float
        Share of them whose output can fire.
    dead_loss : float
        Loss of the others.
    norm : float
        Mean norm of their rows.
    mean_square, skewness, kurtosis : float or None
        Of the overlaps of their rows with all others, as in :class:`OverlapMoments`; None without an overlap.
    """

    first: int
    last: int
    alive: float
    dead_loss: float
    norm: float
    mean_square: float | None
    skewness: float | None
    kurtosis: float | None


def alive_outputs(W: ArrayLike, b: ArrayLike) -> NDArray[np.bool_]:
    """Tell which outputs can fire when their feature is active alone, at most with u = 2.

    Parameters
    ----------
    W, b : array, shape (n, m) and (n,)
        Parameters.

    Returns
    -------
    array of bool, shape (n,)
        ``b_i + 2 |w_i|^2 > 0``.
    """
    W = np.asarray(W, dtype=float)
    return np.asarray(np.asarray(b, dtype=float) + 2 * np.einsum("ij,ij->i", W, W) > 0)


def least_moments(n: int, m: int) -> tuple[float, float, float]:
    """Bounds of the moments of overlaps of n unit vectors in m dimensions, over pairs of different ones.

    Second, third and fourth tensor powers of the vectors are vectors as well, so that the sums of squares, cubes and
    fourth powers over all pairs are at least ``n^2 / m``, 0 and ``3 n^2 / (m (m + 2))``.

    Parameters
    ----------
    n, m : int
        Vectors and dimensions, n > m.

    Returns
    -------
    mean_square, skewness, kurtosis : float
        The Welch bound v; ``-1 / ((n - 1) v^1.5)``; and at least 1. The last two hold where the mean square is v.
    """
    v = welch_bound(n, m)
    fourth = (3 * n / (m * (m + 2)) - 1) / (n - 1)
    return v, -1 / ((n - 1) * v**1.5), max(1.0, fourth / v**2)


def _power_means(units: Array) -> Array:
    """Mean square, cube and fourth power of the overlaps of each unit row with all others, shape (n, 3)."""
    n = len(units)
    sums = np.empty((n, 3))
    for lo in range(0, n, ROWS_AT_A_TIME):
        overlap = units[lo : lo + ROWS_AT_A_TIME] @ units.T
        square = overlap * overlap
        sums[lo : lo + ROWS_AT_A_TIME] = np.stack(
            [square.sum(axis=1), np.einsum("ij,ij->i", square, overlap), np.einsum("ij,ij->i", square, square)], axis=1
        )
    return (sums - 1) / (n - 1)


def _shape(means: Array) -> tuple[float, float, float]:
    """Mean square, skewness and kurtosis of means of powers."""
    square, cube, fourth = (float(mean) for mean in means)
    return square, cube / square**1.5, fourth / square**2


def measures(config: ToyConfig, W: Real, b: Real) -> dict[str, Any]:
    """Measure a trained model.

    Parameters
    ----------
    config : ToyConfig
        The model.
    W, b : array, shape (n, m) and (n,)
        Its parameters.

    Returns
    -------
    dict
        The fields of :class:`scalefit.toy.model.ToyRun` that describe W and b.
    """
    rows, p = np.asarray(W, dtype=float), config.probabilities()
    norms, alive = np.linalg.norm(rows, axis=1), alive_outputs(rows, b)
    kept = np.flatnonzero(alive & (norms > 0))
    means = np.full((len(rows), 3), np.nan)
    overlaps = None
    if len(kept) > 1:
        means[kept] = _power_means(rows[kept] / norms[kept, None])
        bounds = least_moments(len(kept), config.width) if len(kept) > config.width else (0.0, None, 1.0)
        if means[kept, 0].mean() > 0:
            overlaps = OverlapMoments(len(kept), *_shape(means[kept].mean(axis=0)), *bounds)
    counts = np.bincount(np.minimum(norms / NORM_STEP, NORM_CLASSES - 1).astype(int), minlength=NORM_CLASSES)
    least, lower, median, upper, most = (float(q) for q in np.quantile(norms, [0, 0.25, 0.5, 0.75, 1]))
    return {
        "unrepresented": unrepresented_loss(p, norms),
        "phi_half": float(np.mean(norms > REPRESENTED)),
        "alive": float(np.mean(alive)),
        "represented": float(np.mean(alive & (norms > REPRESENTED))),
        "dead_loss": float(MEAN_SQUARE * p[~alive].sum()),
        "overlap_ms": mean_square_overlap(W),
        "overlaps": overlaps,
        "row_norms": RowNorms(least, lower, median, upper, most, tuple(counts.tolist())),
        "bands": _bands(p, norms, alive, means),
        "bias_mean": float(np.mean(b, dtype=float)),
        "bias_sd": float(np.std(b, dtype=float)),
    }


def _bands(p: Array, norms: Array, alive: NDArray[np.bool_], means: Array) -> tuple[Band, ...]:
    """Measure features by their rank in frequency."""
    order = np.argsort(-p, kind="stable")
    edges = np.unique(np.round(np.geomspace(1, len(p) + 1, BANDS + 1)).astype(int)) - 1
    bands = []
    for first, last in pairwise(edges.tolist()):
        own = order[first:last]
        known = own[np.isfinite(means[own, 0])]
        shape: tuple[float | None, ...] = (None, None, None)
        if len(known) and means[known, 0].mean() > 0:
            shape = _shape(means[known].mean(axis=0))
        dead = float(MEAN_SQUARE * p[own[~alive[own]]].sum())
        bands.append(Band(first + 1, last, float(alive[own].mean()), dead, float(norms[own].mean()), *shape))
    return tuple(bands)
