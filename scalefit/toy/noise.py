"""Noise at an output of the toy model, from the statistics of overlaps alone, and the least loss over its bias.

With rows of norm r, the pre-activation of feature i is ``r^2 (u_i s_i + sum_j u_j s_j o_ij) + b_i``, where ``o_ij`` is
the overlap of two directions, ``s_j`` is 1 with probability p_j, and ``u_j`` is uniform on [0, 2]. The sum is noise.
Its distribution is a product of transforms, one factor ``1 + p_j (J_ij - 1)`` for each other feature, with ``J`` the
transform of one jump ``u o``: it is exact for Bernoulli features on a lattice of cells. The bias is then the best for
each feature, and ``4/3 p_i`` where it is better to give the feature up.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalefit.toy.theory import MEAN_SQUARE

__all__ = ["COARSE", "FINE", "Groups", "Lattice", "group_features", "jump_transforms", "least_losses", "log_one_plus"]

Array = NDArray[np.float64]

GROUPS: Final = 16  # of features of nearly one frequency, by rank in the logarithm
DEEPEST: Final = 12.0  # standard deviations of the noise: the lowest bias that is tried
HIGHEST: Final = 0.3  # the highest
BIASES: Final = 48  # tried at first, and then 9 between the neighbours of the best
REFINED: Final = 2  # times
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_U, _U_WEIGHT = _NODES + 1, _WEIGHTS / 2  # of a value that is uniform on [0, 2]


class Lattice(NamedTuple):
    """Cells on which the noise is computed.

    Parameters
    ----------
    step : float
        Width of a cell, in standard deviations of one overlap.
    size : int
        Cells, a power of 2.
    """

    step: float
    size: int

    @property
    def places(self) -> Array:
        """Centres of the cells, ascending; 0 is one of them."""
        return np.asarray(self.step * np.arange(-self.size // 2, self.size // 2))


FINE: Final = Lattice(0.02, 4096)
COARSE: Final = Lattice(0.08, 1024)  # for searches: a tenth of the time, losses within a percent


class Groups(NamedTuple):
    """Features of nearly the same frequency.

    Parameters
    ----------
    sizes : array of int, shape (G,)
        Features in each group.
    first : array of int, shape (G,)
        Place of the first of each, by descending frequency.
    p : array, shape (G,)
        Mean probability.
    """

    sizes: NDArray[np.int64]
    first: NDArray[np.int64]
    p: Array

    def mean(self, values: Array) -> Array:
        """Average an array of all features, by descending frequency, over each group."""
        return np.asarray(np.add.reduceat(values, self.first) / self.sizes)


def group_features(p: ArrayLike, groups: int = GROUPS) -> Groups:
    """Put features of nearly the same frequency together.

    Parameters
    ----------
    p : array, shape (n,)
        Probabilities, descending.
    groups : int
        How many, at most; features of one frequency are one group.

    Returns
    -------
    Groups
        By rank, evenly in its logarithm.
    """
    p = np.asarray(p, dtype=float)
    n = len(p)
    edges = np.array([0, n])
    if p[0] > p[-1]:
        edges = np.unique(np.round(np.geomspace(1, n + 1, groups + 1)).astype(int)) - 1
    sizes = np.diff(edges)
    return Groups(sizes, edges[:-1], np.add.reduceat(p, edges[:-1]) / sizes)


def jump_transforms(
    skewness: ArrayLike, kurtosis: ArrayLike, scale: ArrayLike, lattice: Lattice
) -> NDArray[np.complex128]:
    """Transform of a jump ``u o`` whose overlap has mean 0, a variance and two more moments.

    Such an overlap can take two values and 0, and with these moments there is one way to do so.

    Parameters
    ----------
    skewness, kurtosis, scale : array, shape (k,)
        Of the overlap; its standard deviation in units of the lattice. The kurtosis is at least
        ``1 + skewness^2``.
    lattice : Lattice
        Cells.

    Returns
    -------
    array, shape (k, size / 2 + 1)
        Real transform.
    """
    given = (np.atleast_1d(np.asarray(values, dtype=float)) for values in (skewness, kurtosis, scale))
    skewness, kurtosis, scale = np.broadcast_arrays(*given)
    share = 1 / (kurtosis - skewness**2)  # probability of not being 0
    lean = skewness * np.sqrt(share)
    q = 0.5 * (1 + lean / np.sqrt(4 + lean**2))
    edges = lattice.step * (np.arange(-lattice.size // 2, lattice.size // 2 + 1) - 0.5)
    cells = np.zeros((len(share), lattice.size))
    for value, weight in ((np.sqrt(q / (1 - q)), 1 - q), (-np.sqrt((1 - q) / q), q)):
        end = (2 * scale * value / np.sqrt(share))[:, None]  # u o is uniform from 0 to here
        widest = float(np.abs(end).max()) + lattice.step
        first, last = np.searchsorted(edges, (-widest, widest))  # all other cells are empty
        first, last = max(first - 1, 0), min(last + 1, len(edges))
        below = np.clip((edges[first:last] - np.minimum(end, 0)) / np.abs(end), 0, 1)
        cells[:, first : last - 1] += (share * weight)[:, None] * np.diff(below)
    cells[:, lattice.size // 2] += 1 - share
    return np.asarray(np.fft.rfft(np.fft.ifftshift(cells, axes=1)))


def log_one_plus(z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Logarithm of ``1 + z`` where z is above -1, from real logarithms and arcs: twice as fast as numpy's.

    Parameters
    ----------
    z : array of complex
        With a real part above -1, so that the arc lies within a quarter turn.

    Returns
    -------
    array of complex
        As accurate for a small z.
    """
    real, imaginary = z.real, z.imag
    logarithm = np.empty_like(z)
    logarithm.real = 0.5 * np.log1p(real * (2 + real) + imaginary * imaginary)
    logarithm.imag = np.arctan2(imaginary, 1 + real)
    return logarithm


def least_losses(
    transforms: NDArray[np.complex128], p: ArrayLike, scale: ArrayLike, norm: float, lattice: Lattice
) -> Array:
    """Least loss of a feature over its bias, given the noise at its output.

    Parameters
    ----------
    transforms : array, shape (G, size / 2 + 1)
        Transforms of the noise.
    p : array, shape (G,)
        Probability of the feature.
    scale : array, shape (G,)
        What a unit of the lattice is at the output.
    norm : float
        Squared norm of the row.
    lattice : Lattice
        Cells.

    Returns
    -------
    array, shape (G,)
        At most ``4/3 p``.
    """
    p, scale = np.asarray(p, dtype=float)[:, None], np.asarray(scale, dtype=float)[:, None]
    mass = np.maximum(np.fft.fftshift(np.fft.irfft(transforms, lattice.size), axes=1), 0)
    mass /= mass.sum(axis=1, keepdims=True)
    x = scale * lattice.places
    above = np.zeros((3, len(mass), lattice.size + 1))  # mass and two moments of the k highest cells
    for power, weights in enumerate((mass, mass * x, mass * x * x)):
        np.cumsum(weights[:, ::-1], axis=1, out=above[power, :, 1:])
    spread = np.sqrt(above[2, :, -1:])
    flat, row = above.reshape(3, -1), (lattice.size + 1) * np.arange(len(mass))[:, None]

    def moments(c: Array) -> tuple[Array, Array]:
        """Mean and mean square of ``relu(noise + c)``, for c of shape (..., G, k)."""
        highest = np.ceil(lattice.size / 2 - 1 + c / (scale * lattice.step))
        c0, c1, c2 = flat[:, row + np.clip(highest, 0, lattice.size).astype(int)]
        return c * c0 + c1, c * (c * c0 + 2 * c1) + c2

    def losses(b: Array) -> Array:
        mean, square = moments(norm * _U[:, None, None] + b)
        active = square - 2 * _U[:, None, None] * mean + _U[:, None, None] ** 2
        return np.asarray((1 - p) * moments(b)[1] + p * np.tensordot(_U_WEIGHT, active, 1))

    lowest, up = np.minimum(2 * norm, DEEPEST * spread), np.linspace(0, HIGHEST, 7)[1:]
    tried = np.concatenate([-lowest * np.linspace(1, 0, BIASES) ** 1.5, np.tile(up, (len(p), 1))], axis=1)
    for _ in range(REFINED):
        tried_losses = losses(tried)
        best = np.argmin(tried_losses, axis=1)[:, None]
        low, high = (np.take_along_axis(tried, np.clip(best + side, 0, tried.shape[1] - 1), 1) for side in (-1, 1))
        tried = low + (high - low) * np.linspace(0, 1, 9)
    least = np.minimum(tried_losses.min(axis=1), losses(tried).min(axis=1))
    return np.asarray(np.minimum(least, MEAN_SQUARE * p[:, 0]))
