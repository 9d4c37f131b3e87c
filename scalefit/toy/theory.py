"""What is known exactly about the toy model: weak-regime sums, bounds on overlaps, expected slopes.

Losses are squared errors summed over features, averaged over samples. A feature that is active with probability p
and uniform on [0, 2] has mean p and mean square 4 p / 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalefit.overlap import welch_bound
from scalefit.thresholds import STRONG_SUPERPOSITION, WEAK_SUPERPOSITION

__all__ = [
    "MEAN_SQUARE",
    "STRONG_SKEW",
    "WEAK_TAIL",
    "linear_loss",
    "log_slope",
    "regime",
    "strong_exponent",
    "tight_frame_interference",
    "tight_frame_loss",
    "unrepresented_loss",
    "weak_exponent",
    "weak_loss",
    "weak_slope",
    "welch_slope",
    "zero_weight_loss",
]

Array = NDArray[np.float64]

MEAN_SQUARE = 4.0 / 3.0  # of a value that is uniform on [0, 2]
WEAK_TAIL = 1.0  # up to this alpha the tail of frequencies has no exponent of its own
STRONG_SKEW = 1.5  # above this alpha the strong regime is set by the skew, not by the geometry


def zero_weight_loss(p: ArrayLike, b: ArrayLike = 0.0) -> float:
    """Loss of a model with W = 0: the output is ``relu(b)`` whatever the input.

    Parameters
    ----------
    p : array, shape (n,)
        Probabilities.
    b : float or array, shape (n,)
        Bias; ``4/3 E`` at 0 and ``sum(4/3 p - p^2)``, the least possible, at ``b = p``.

    Returns
    -------
    float
        The exact loss.
    """
    p, y = np.asarray(p, dtype=float), np.maximum(np.asarray(b, dtype=float), 0.0)
    return float(np.sum(MEAN_SQUARE * p - 2 * y * p + y**2))


def weak_loss(p: ArrayLike, represented: int) -> float:
    """Loss when the most frequent features are recovered perfectly and the others not at all.

    Parameters
    ----------
    p : array, shape (n,)
        Probabilities, in any order.
    represented : int
        Number of features recovered: the width, under weak superposition.

    Returns
    -------
    float
        ``4/3 sum_{i > represented} p_i``, exact for orthonormal rows and b = 0.
    """
    return float(MEAN_SQUARE * np.sum(np.sort(np.asarray(p, dtype=float))[::-1][represented:]))


def unrepresented_loss(p: ArrayLike, row_norms: ArrayLike) -> float:
    """Loss of the features that a trained model leaves out: those whose row has a norm of at most 1/2.

    Parameters
    ----------
    p, row_norms : array, shape (n,)
        Probabilities and norms of the rows of W.

    Returns
    -------
    float
        ``4/3 sum p_i`` over these features.
    """
    return float(MEAN_SQUARE * np.sum(np.asarray(p, dtype=float)[np.asarray(row_norms) <= 0.5]))


def log_slope(x: ArrayLike, y: ArrayLike) -> float:
    """Exponent of ``y ~ x^-slope`` by least squares on the logarithms.

    Parameters
    ----------
    x, y : array, shape (k,)
        Positive numbers, such as widths and losses.

    Returns
    -------
    float
        Minus the slope.
    """
    return float(-np.polyfit(np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float)), 1)[0])


def weak_slope(p: ArrayLike, widths: Sequence[int]) -> float:
    """Exponent that a fit to the exact weak losses gives over a range of widths.

    It differs from :func:`weak_exponent` because n is finite, by 0.3 at alpha = 1 and n = 1000.

    Parameters
    ----------
    p : array, shape (n,)
        Probabilities.
    widths : sequence of int
        Widths fitted over.

    Returns
    -------
    float
        The exponent.
    """
    return log_slope(widths, [weak_loss(p, width) for width in widths])


def weak_exponent(alpha: float) -> float:
    """Asymptotic exponent under weak superposition, ``alpha - 1``; 0 where the tail has none (n to infinity).

    Parameters
    ----------
    alpha : float
        Exponent of the frequencies.

    Returns
    -------
    float
        Liu, Liu and Gore 2025, arXiv 2505.10465.
    """
    return max(alpha - WEAK_TAIL, 0.0)


def strong_exponent(alpha: float) -> float:
    """Exponent claimed under strong superposition: 1, and ``2 (alpha - 1)`` above alpha = 1.5.

    Parameters
    ----------
    alpha : float
        Exponent of the frequencies.

    Returns
    -------
    float
        Liu, Liu and Gore 2025, arXiv 2505.10465.
    """
    return max(1.0, 2 * (alpha - 1))


def welch_slope(n: int, widths: Sequence[int]) -> float:
    """Exponent that a fit to the Welch bound gives over a range of widths: above 1 as long as n is finite.

    Parameters
    ----------
    n : int
        Vectors.
    widths : sequence of int
        Dimensions fitted over.

    Returns
    -------
    float
        The exponent.
    """
    return log_slope(widths, [welch_bound(n, width) for width in widths])


def tight_frame_interference(n: int, m: int) -> float:
    """Sum of squared overlaps of one row of a unit-norm tight frame with all others, ``(n - m) / m``.

    Parameters
    ----------
    n, m : int
        Vectors and dimensions.

    Returns
    -------
    float
        ``(n - 1)`` times the Welch bound.
    """
    return (n - 1) * welch_bound(n, m)


def tight_frame_loss(n: int, m: int, density: float, *, rectified: bool = True) -> float:
    """Loss of a unit-norm tight frame with b = 0 when at most one feature is active at a time.

    Parameters
    ----------
    n, m : int
        Features and width.
    density : float
        Mean number of active features, to first order.
    rectified : bool
        With the ReLU, which removes half of the interference when overlaps are symmetric about 0.

    Returns
    -------
    float
        ``4/3 E (n - m) / m``, or half of it.
    """
    return MEAN_SQUARE * density * tight_frame_interference(n, m) * (0.5 if rectified else 1.0)


def linear_loss(W: ArrayLike, p: ArrayLike) -> float:
    """Exact loss without ReLU and bias, ``E |x (W W^T - 1)|^2``.

    Parameters
    ----------
    W : array, shape (n, m)
        Weights.
    p : array, shape (n,)
        Probabilities.

    Returns
    -------
    float
        ``sum_i (4/3 p_i - p_i^2) |R_i|^2 + |p R|^2`` with ``R = W W^T - 1``.
    """
    W, p = np.asarray(W, dtype=float), np.asarray(p, dtype=float)
    R = W @ W.T - np.eye(len(W))
    return float((MEAN_SQUARE * p - p**2) @ (R**2).sum(axis=1) + np.sum((p @ R) ** 2))


def regime(represented: float, n: int, m: int) -> str:
    """Name the regime of a trained model by the share of features that are represented. There is no other rule.

    Parameters
    ----------
    represented : float
        Share of features whose row has a norm above 1/2 and whose output can fire: 1 when every feature is
        represented, about m / n when only as many as there are dimensions.
    n, m : int
        Features and width.

    Returns
    -------
    {"weak", "between", "strong"}
        By convention here: weak up to 2 m / n, strong from the middle of m / n and 1.
    """
    least = m / n
    if represented >= least + STRONG_SUPERPOSITION * (1 - least):
        return "strong"
    return "weak" if represented <= WEAK_SUPERPOSITION * least else "between"
