"""Overlaps of directions: how alike the rows of a matrix are once each has unit length.

This is the only definition of an overlap; the toy model and the heads of language models both use it. The product of
all rows with all rows is never needed: with unit rows u_i and weights p_i, the m x m matrix G = sum_i p_i u_i u_i^T has

    sum over all pairs (i, j) of p_i p_j (u_i . u_j)^2 = ||G||_F^2,

and the pairs of a row with itself, which contribute sum_i p_i^2, are subtracted.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from scalefit.errors import DataError

__all__ = ["Overlaps", "mean_square_overlap", "random_overlap_variance", "welch_bound"]

Array = NDArray[np.float64]
Real = NDArray[Any]


class Overlaps:
    """Overlaps between all rows that were added, block by block.

    Parameters
    ----------
    width : int
        Length of a row, m.
    tiny : float
        Rows with a norm of at most this have no direction and are excluded.
    single : bool
        Multiply rows in float32, in half the time; norms and sums remain in float64, and the overlap of 500 rows or
        more has seven correct digits.

    Attributes
    ----------
    rows : int
        Rows with a direction so far.
    gram : array, shape (m, m)
        Sum of ``p_i u_i u_i^T``, float64.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = Overlaps(2)
    >>> units = pairs.add(np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 0.0]]))
    >>> round(pairs.mean_square, 4)  # one pair of three is parallel
    0.3333
    """

    def __init__(self, width: int, *, tiny: float = 0.0, single: bool = False) -> None:
        self.width, self.tiny, self.single = width, tiny, single
        self.rows = 0
        self.gram: Array = np.zeros((width, width))
        self._sum: Array = np.zeros(width)
        self._weight = self._squares = 0.0

    def add(self, rows: Array, weights: Array | None = None) -> Real:
        """Add rows.

        Parameters
        ----------
        rows : array, shape (k, m)
            Any norms.
        weights : array, shape (k,), optional
            Nonnegative weight of each row; 1 when omitted.

        Returns
        -------
        array, shape (at most k, m)
            The unit rows of those with a direction, in the precision of the products.
        """
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        kept = norms > self.tiny
        units: Real = rows / norms[:, None] if kept.all() else rows[kept] / norms[kept, None]
        given = np.ones(len(units)) if weights is None else weights[kept]
        self.rows += len(units)
        self._weight += float(given.sum())
        self._squares += float(given @ given)
        self._sum += given @ units
        if self.single:
            units = units.astype(np.float32)
        factor = units if weights is None else units * np.sqrt(given).astype(units.dtype)[:, None]
        self.gram += factor.T @ factor  # numpy computes half of it, because it is symmetric
        return units

    @property
    def mean_square(self) -> float:
        """Mean of ``(u_i . u_j)^2`` over pairs of different rows, weighted by ``p_i p_j``; 0 without a pair."""
        return self._mean(float(np.sum(self.gram**2)))

    @property
    def mean(self) -> float:
        """Mean of ``u_i . u_j`` over the same pairs; near 1 when the rows lie in a narrow cone."""
        return self._mean(float(self._sum @ self._sum))

    @property
    def variance(self) -> float:
        """Variance of ``u_i . u_j`` (not of its square) over the same pairs."""
        return max(self.mean_square - self.mean**2, 0.0)

    @property
    def participation_ratio(self) -> float:
        """``(sum of eigenvalues of G)^2 / sum of their squares``: the dimensions that the directions fill, 1 to m.

        It is the inverse of the mean square over all pairs, including those of a row with itself.
        """
        total = float(np.sum(self.gram**2))
        return self._weight**2 / total if total else math.nan

    def spectrum(self) -> Array:
        """Return the eigenvalues of G over their sum.

        Returns
        -------
        array, shape (m,)
            The largest first; they sum to 1.
        """
        values = np.clip(linalg.eigvalsh(self.gram)[::-1], 0, None)  # scipy's version is ten times faster than numpy's
        return np.asarray(values / values.sum())

    def _mean(self, total: float) -> float:
        """Subtract the pairs of a row with itself from a sum over all pairs, and divide by the weight of the rest."""
        pairs = self._weight**2 - self._squares
        return (total - self._squares) / pairs if self.rows > 1 and pairs > 0 else 0.0


def mean_square_overlap(W: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean of ``(w_i . w_j)^2`` over different rows scaled to unit norm; rows that are zero are excluded.

    Parameters
    ----------
    W : array, shape (n, m)
        Weights.
    weights : array, shape (n,), optional
        Weight of each row, such as the frequency of its token; a pair counts by the product.

    Returns
    -------
    float
        0 where fewer than two rows have a direction.

    Examples
    --------
    >>> mean_square_overlap([[1, 0], [0, 3]])
    0.0
    """
    rows = np.asarray(W, dtype=np.float64)
    pairs = Overlaps(rows.shape[1])
    pairs.add(rows, None if weights is None else np.asarray(weights, dtype=np.float64))
    return pairs.mean_square


def welch_bound(n: int, m: int) -> float:
    """Least mean square overlap of n unit vectors in m dimensions.

    Parameters
    ----------
    n, m : int
        Vectors and dimensions, n > m >= 1.

    Returns
    -------
    float
        ``(n - m) / (m (n - 1))``, reached by tight frames (Welch 1974, IEEE Trans. Inf. Theory 20, 397).

    Raises
    ------
    DataError
        Not n > m >= 1.
    """
    if not n > m >= 1:
        raise DataError(f"{n} vectors in {m} dimensions: the Welch bound needs more vectors than dimensions.")
    return (n - m) / (m * (n - 1))


def random_overlap_variance(m: int) -> float:
    """Variance of ``(v . w)^2`` for independent random unit vectors in m dimensions, whose mean is ``1 / m``.

    Parameters
    ----------
    m : int
        Dimensions.

    Returns
    -------
    float
        ``2 (m - 1) / (m^2 (m + 2))``.
    """
    return 2.0 * (m - 1) / (m * m * (m + 2))
