"""The optimum under a budget, in closed form for a sum of falling powers and a monomial cost.

Minimise ``sum c_i x_i^-a_i`` subject to ``f prod x_i^p_i = C``. By Lagrange, ``c_i a_i x_i^-a_i = lambda p_i`` for
every i; the logarithm of the budget is then linear in ``ln lambda``, so that with ``S = sum p_i/a_i``

    ln lambda = (sum (p_i/a_i) ln(c_i a_i/p_i) - ln(C/f)) / S
    ln x_i    = (ln(c_i a_i/p_i) - ln lambda) / a_i             a power of C with exponent 1/(a_i S)
    loss      = floor + S lambda                                above the floor a power of C with exponent -1/S

for any number of terms. With params and tokens this is equation 4 of Hoffmann et al. (2022).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Paths", "optimal_paths"]

Array = NDArray[np.float64]


class Paths(NamedTuple):
    """Straight lines in ``ln C``, one set per draw; NaN where a draw has no optimum.

    Parameters
    ----------
    start, slope : array, shape (R, k)
        ``ln x_i = start_i + slope_i ln C``.
    excess_start, excess_slope : array, shape (R,)
        The same of the loss above the floor.
    """

    start: Array
    slope: Array
    excess_start: Array
    excess_slope: Array

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which draws have an optimum, shape (R,)."""
        return np.asarray(np.isfinite(np.hstack([self.start, self.slope])).all(axis=1))

    def logs(self, log_compute: Array) -> Array:
        """Return ``ln x`` at budgets of shape (B,); shape (R, B, k)."""
        return self.start[:, None, :] + self.slope[:, None, :] * log_compute[None, :, None]

    def excess(self, log_compute: Array) -> Array:
        """Return the loss above the floor at budgets of shape (B,); shape (R, B)."""
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(self.excess_start[:, None] + self.excess_slope[:, None] * log_compute))


def optimal_paths(log_c: Array, exponent: Array, power: Array, log_factor: float) -> Paths:
    """Solve for every draw at once.

    Parameters
    ----------
    log_c, exponent : array, shape (R, k)
        ``ln c_i`` and ``a_i`` of each falling term.
    power : array, shape (k,)
        Powers of the columns in the cost.
    log_factor : float
        Log of the number in front of the cost.

    Returns
    -------
    Paths
        A draw in which a term does not fall or has vanished has no optimum and gives NaN.
    """
    falls = (np.isfinite(log_c) & (exponent > 0)).all(axis=1, keepdims=True)
    a = np.where(falls, exponent, np.nan)
    with np.errstate(invalid="ignore"):
        pull = np.where(falls, log_c, np.nan) + np.log(a / power)
    weight = power / a
    total = weight.sum(axis=1)
    at_one = ((weight * pull).sum(axis=1) + log_factor) / total  # ln lambda at C = 1
    return Paths(
        start=(pull - at_one[:, None]) / a,
        slope=1 / (a * total[:, None]),
        excess_start=np.log(total) + at_one,
        excess_slope=-1 / total,
    )
