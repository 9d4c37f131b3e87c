"""The best arrangement of rows: what training can gain on random directions, from geometric bounds alone.

Whatever the rows, their Gram matrix has rank m, and so have bounds the sums of its squares, cubes and fourth powers:
with unit rows and any weights w,

    sum w_i w_j o_ij^2 >= (sum w)^2 / m,    sum w_i w_j o_ij^3 >= 0,    sum w_i w_j o_ij^4 >= 3 (sum w)^2 / (m (m + 2)),

for the second, third and fourth tensor powers of the rows are vectors too. An arrangement is described by how the
overlaps depend on frequency: their variance is ``a_i a_j`` with ``a_i ~ p_i^-beta``, the third moment as negative as
the second bound allows, spread over pairs by ``p_i^delta``, the kurtosis as small as the third allows. The ``private``
most frequent features have a dimension each and no loss, all other rows the norm ``norm``. The rarest features may be
given up: they cost ``4/3 p`` each, and their rows lie in one dimension, where they disturb no other. Nothing is fitted
to losses, but three limits on the moments (`MOST_SKEWED`, `LEAST_KURTOSIS`, `ABOVE_SKEWNESS`) were chosen with losses
at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from scalefit.toy.noise import (
    COARSE,
    FINE,
    GROUPS,
    Lattice,
    group_features,
    jump_transforms,
    least_losses,
    log_one_plus,
)
from scalefit.toy.theory import MEAN_SQUARE

__all__ = ["Arrangement", "Moments", "arranged_loss", "best_arrangement", "moments_of"]

Array = NDArray[np.float64]

MOST_SKEWED: Final = 3.0  # no pair of groups has overlaps more skewed than this
LEAST_KURTOSIS: Final = 2.0
ABOVE_SKEWNESS: Final = 1.3  # by how much the kurtosis exceeds the squared skewness, at least
ALMOST: Final = 0.999  # overlaps stay below 1
MOST_KURTOSIS: Final = 50.0
FEW: Final = 8  # groups of features while searching
MIDDLE: Final = (0.05, 0.5, 1.0, 1.16)  # where a search starts: beta, delta, private, norm


class Arrangement(NamedTuple):
    """How overlaps depend on frequency.

    Parameters
    ----------
    beta : float
        Rare features overlap more: standard deviations go as ``p^-beta``.
    delta : float
        Frequent features take more of the negative third moment: ``p^delta``.
    private : int
        Features with a dimension of their own.
    norm : float
        Norm of all other rows.
    kept : int or None
        Features that are not given up, the most frequent ones; None for all.
    """

    beta: float = 0.0
    delta: float = 0.0
    private: int = 0
    norm: float = 1.0
    kept: int | None = None


PLAIN: Final = Arrangement()


class Moments(NamedTuple):
    """What the bounds leave possible.

    Parameters
    ----------
    a : array, shape (n,)
        The mean square overlap of i and j is ``a_i a_j``.
    skewness : float
        Largest magnitude of a negative skewness that all pairs can share.
    kurtosis : float
        Least kurtosis that all pairs can share.
    """

    a: Array
    skewness: float
    kurtosis: float


def _root(decreasing: Callable[[float], float], low: float, high: float) -> float:
    """Root of a decreasing function, in the logarithm; an end of the range where there is none."""
    if decreasing(low) <= 0:
        return low
    if decreasing(high) >= 0:
        return high
    return math.exp(brentq(lambda log: decreasing(math.exp(log)), math.log(low), math.log(high), xtol=1e-9))


def _inverse_sum(diagonal: Array, x: Array) -> float:
    """``1' (diag(diagonal) + x x')^-1 1``: the least m of a Gram matrix with these squares (Sherman and Morrison)."""
    return float(np.sum(1 / diagonal) - np.sum(x / diagonal) ** 2 / (1 + np.sum(x * x / diagonal)))


def _most_negative(weights: Array) -> float:
    """Largest z for which ``diag(1 + z w) - z sqrt(w) sqrt(w)'`` has no negative eigenvalue."""
    return _root(lambda z: 1 - float(np.sum(z * weights / (1 + z * weights))), 1e-9, 1e12)


def moments_of(p: ArrayLike, m: int, beta: float = 0.0) -> Moments | None:
    """Find the moments of overlaps at the geometric bounds.

    Parameters
    ----------
    p : array, shape (n,)
        Probabilities, descending.
    m : int
        Dimensions, fewer than n.
    beta : float
        As in :class:`Arrangement`.

    Returns
    -------
    Moments or None
        None where no rows have such overlaps.
    """
    p = np.asarray(p, dtype=float)
    shape = (p / p[-1]) ** -beta
    if _inverse_sum(1 - (ALMOST * shape) ** 2, ALMOST * shape) > m:
        return None
    a = shape * _root(lambda c: _inverse_sum(1 - (c * shape) ** 2, c * shape) - m, 1e-5, ALMOST)
    q = a * a
    most, target = min(ALMOST / float(np.max(q * q)), MOST_KURTOSIS), m * (m + 2) / 3

    def missing(kurtosis: float) -> float:
        return _inverse_sum(1 - kurtosis * q * q, math.sqrt(kurtosis) * q) - target

    if missing(most) > 0:
        return None
    return Moments(a, _most_negative(a**3), _root(missing, 1.0, most))


def arranged_loss(
    p: ArrayLike, m: int, how: Arrangement = PLAIN, *, lattice: Lattice = FINE, groups: int = GROUPS
) -> float:
    """Loss of an arrangement of rows, with the best bias for each feature.

    Parameters
    ----------
    p : array, shape (n,)
        Probabilities, descending and positive.
    m : int
        Dimensions.
    how : Arrangement
        Which.
    lattice : Lattice
        Cells of the noise.
    groups : int
        Of features of nearly one frequency.

    Returns
    -------
    float
        Infinite where no rows have such overlaps.
    """
    p = np.asarray(p, dtype=float)
    kept = len(p) if how.kept is None else how.kept
    given_up, m = MEAN_SQUARE * float(p[kept:].sum()), m - how.private - (kept < len(p))
    p = p[how.private : kept]
    moments = moments_of(p, m, how.beta) if 1 <= m < len(p) else None
    if moments is None:
        return math.inf
    alike = group_features(p, groups)
    tilt = (p / p[0]) ** how.delta
    third = _most_negative((tilt * moments.a**1.5) ** 2) * min(1.0, 1 / moments.skewness)
    a, y = alike.mean(moments.a), alike.mean(tilt)
    i, j = np.indices((len(a), len(a))).reshape(2, -1)
    both = a[i] * a[j]
    skewness = -np.minimum(np.minimum(third * y[i] * y[j], MOST_SKEWED), (1 - both) / np.sqrt(both))
    kurtosis = np.maximum(max(moments.kurtosis, LEAST_KURTOSIS), ABOVE_SKEWNESS + skewness**2)
    widest = math.sqrt(float(a.max()))
    jumps = jump_transforms(skewness, kurtosis, np.sqrt(a[j]) / widest, lattice)
    others = alike.sizes[j] - (i == j)  # a feature is no noise to itself
    factors = log_one_plus(alike.p[j][:, None] * (jumps - 1))
    noise = np.exp((others[:, None] * factors).reshape(len(a), len(a), -1).sum(axis=1))
    square = how.norm**2
    least = least_losses(noise, alike.p, square * np.sqrt(a) * widest, square, lattice)
    return given_up + float(alike.sizes @ least)


@lru_cache(maxsize=1024)
def best_arrangement(p: tuple[float, ...], m: int, *, unit: bool = False) -> tuple[float, Arrangement]:
    """Search the arrangement of least loss.

    The search climbs down from several starts over fixed grids, since the loss has several local minima: with all
    features kept, and with the rarest given up.

    Parameters
    ----------
    p : tuple of float, length n
        Probabilities, descending and positive.
    m : int
        Dimensions.
    unit : bool
        Whether all rows have unit norm.

    Returns
    -------
    loss : float
        Of the best that was found.
    how : Arrangement
        Which it is.
    """
    array, seen = np.array(p), dict[tuple[int, ...], float]()
    axes = _axes(array, m, unit)

    def loss(place: tuple[int, ...]) -> float:
        if place not in seen:
            seen[place] = arranged_loss(array, m, _at(axes, place), lattice=COARSE, groups=FEW)
        return seen[place]

    full, *fewer = range(len(axes[-1]))
    middle = tuple(int(np.argmin(np.abs(np.array(axis) - at))) for axis, at in zip(axes, MIDDLE, strict=False))
    starts = [(*middle, full)]
    if fewer:
        starts.append(min(((*middle, k) for k in fewer), key=loss))
    best = min((_descend(loss, start, [len(axis) for axis in axes]) for start in starts), key=loss)
    how = _at(axes, best)
    return arranged_loss(array, m, how), how


def _axes(p: Array, m: int, unit: bool) -> tuple[list[float], ...]:
    """Values that are tried of each number of an arrangement."""
    flat = p[0] == p[-1]
    betas = [0.0] if flat else [0.0, 0.05, 0.1, 0.15, 0.2, 0.3]
    deltas = [0.0] if flat else [0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9]
    private = (
        [0]
        if flat
        else sorted({0, 1, 2, *np.round(m * np.linspace(0, 0.6, 16)).astype(int).tolist()} & set(range(m - 1)))
    )
    norms = [1.0] if unit else np.round(np.arange(1, 1.33, 0.04), 2).tolist()
    kept = np.unique(np.round(np.geomspace(min(1.5 * m + 2, len(p)), len(p), 14)).astype(int))[::-1].tolist()
    return betas, deltas, [float(k) for k in private], norms, [float(k) for k in kept]


def _at(axes: tuple[list[float], ...], place: tuple[int, ...]) -> Arrangement:
    beta, delta, private, norm, kept = (axis[k] for axis, k in zip(axes, place, strict=True))
    return Arrangement(beta, delta, int(private), norm, int(kept))


def _descend(loss: Callable[[tuple[int, ...]], float], start: tuple[int, ...], sizes: list[int]) -> tuple[int, ...]:
    """Walk along one axis after the other while the loss falls."""
    here, again = start, True
    while again:
        again = False
        for axis, side in product(range(len(sizes)), (-1, 1)):
            while 0 <= here[axis] + side < sizes[axis]:
                there = (*here[:axis], here[axis] + side, *here[axis + 1 :])
                if loss(there) >= loss(here):
                    break
                here, again = there, True
    return here
