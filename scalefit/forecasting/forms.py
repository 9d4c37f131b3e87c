"""The laws that a forecast averages: a floor, one falling term per column, the sum raised to a power.

With ``u_j`` the centred logarithm of column j, the log loss is ``ln(E + S^g)``, where ``S = sum_j exp(p_j - a_j u_j)``.
With ``g = 1`` this is the additive law, with ``g`` free the coupled law ``(A/N^a + B/D^b)^g + E``. Of one column there
is also a rectified law, whose term is flat at first, as losses of fine-tuning are (Lin et al. 2024):
``S = exp(p) / (1 + exp(a (u - bend)))``. In a shaped law the first term, of the size, also depends on the centred log
ratio s of width to depth: ``exp(p_1 - a_1 u_1 - h_1 s - h_2 s^2)``, so that one shape may be better than both flatter
and taller ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["WEAK", "WIDE", "Form", "LogLaw", "NormalPrior", "PriorTable"]

Array = NDArray[np.float64]


class NormalPrior(NamedTuple):
    """A normal prior of an unconstrained coordinate.

    Parameters
    ----------
    mean, sd : float
        Of the normal distribution.
    """

    mean: float
    sd: float


class PriorTable(NamedTuple):
    """Priors by the role of a coordinate; the unit of each is in its line.

    Parameters
    ----------
    floor : NormalPrior
        Of ``logit(E / min L)`` for laws of several columns.
    exponents : tuple of NormalPrior
        Of ``ln a_j`` under a coupled law, for params, tokens and then any other column.
    power : NormalPrior
        Of ``ln g``.
    sigma : NormalPrior
        Of ``ln sigma``, the scale of a row's residual of the log loss.
    size : float
        Standard deviation of ``p_j`` around ``ln(median L / 4)``.
    single : NormalPrior
        Of ``ln a`` where ``g`` is 1.
    single_floor : NormalPrior
        Of ``logit(E / min L)`` for laws of one column.
    bend : NormalPrior
        Of the log column at which a rectified term starts to fall, from the smallest of the rows on.
    shape, shape_squared : NormalPrior
        Of what the log ratio of width to depth, and its square, take from the log of the size's term.
    """

    floor: NormalPrior
    exponents: tuple[NormalPrior, ...]
    power: NormalPrior
    sigma: NormalPrior
    size: float
    single: NormalPrior
    single_floor: NormalPrior
    bend: NormalPrior
    shape: NormalPrior
    shape_squared: NormalPrior


WIDE = PriorTable(
    floor=NormalPrior(1.0, 2.0),
    exponents=(NormalPrior(-1.0, 1.5),),
    power=NormalPrior(-0.25, 1.0),
    sigma=NormalPrior(-4.5, 2.5),
    size=1.5,
    single=NormalPrior(-1.2, 1.0),
    single_floor=NormalPrior(0.0, 1.7),  # nearly uniform between 0 and the smallest loss
    bend=NormalPrior(2.0, 3.0),
    shape=NormalPrior(0.0, 0.5),
    shape_squared=NormalPrior(0.0, 0.5),
)
"""Wide priors, for what is not learned from public tables."""
WEAK = WIDE._replace(
    size=4.0, single=NormalPrior(-1.2, 1.5), single_floor=NormalPrior(0.0, 2.0), bend=NormalPrior(2.0, 4.0),
    shape=NormalPrior(0.0, 1.0), shape_squared=NormalPrior(0.0, 1.0),
)  # fmt: skip
"""Wider still, for ``--prior weak``."""


class LogLaw(Protocol):
    """What a law offers to be forecast with: coordinates with normal priors, and log predictions with gradients.

    The first coordinate is ``ln sigma``; :class:`Form` shows how the others are laid out.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates, ``ln sigma`` first."""

    def starts(self) -> Array:
        """Return points to start from, shape (S, d)."""

    @property
    def prior_mean(self) -> Array:
        """Means of the priors, shape (d,)."""

    @property
    def prior_sd(self) -> Array:
        """Standard deviations of the priors, shape (d,)."""

    def floor(self, theta: Array) -> Array:
        """Return the floors of parameters (R, d), shape (R,)."""

    def log_prediction(self, theta: Array, u: Array) -> Array:
        """Return log losses, shape (R, n), of parameters (R, d) at centred log columns (n, k)."""

    def gradient(self, theta: Array, u: Array) -> tuple[Array, Array]:
        """Return log losses, shape (n,), and their derivatives, shape (n, d), at one theta, shape (d,)."""


@dataclass(frozen=True, eq=False)
class Form:
    """One law of the forecast on the rows that it is fitted to.

    Coordinates are, in this order: ``ln sigma``, ``logit(E / cap)``, ``p_1 .. p_k``, ``ln a_1 .. ln a_k`` (one when
    shared), the shape and its square when shaped, and ``ln g`` when coupled. A shaped law has one more centred log
    column than it has terms, the last: the ratio of width to depth.

    Parameters
    ----------
    columns : tuple of str, length k
        Columns of the law.
    cap : float
        What the floor stays below: the smallest loss of the rows.
    middle : float
        Median loss of the rows.
    priors : PriorTable
        Priors of the coordinates.
    coupled : bool
        Whether the sum of the terms has a free power.
    shared : bool
        Whether all terms have one exponent.
    rectified : bool
        Whether the term of the one column is flat at first: ``exp(p) / (1 + exp(a (u - bend)))``.
    shaped : bool
        Whether the first term also depends on the ratio of width to depth; for coupled laws.
    first : float
        Smallest centred log column of the rows, which the bend is counted from.
    """

    columns: tuple[str, ...]
    cap: float
    middle: float
    priors: PriorTable
    coupled: bool = True
    shared: bool = False
    rectified: bool = False
    shaped: bool = False
    first: float = 0.0

    @property
    def k(self) -> int:
        """Number of columns."""
        return len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates."""
        exponents = ("ln a",) if self.shared else tuple(f"ln a_{column}" for column in self.columns)
        sizes = tuple(f"p_{column}" for column in self.columns)
        return (
            "ln sigma",
            "logit floor",
            *sizes,
            *exponents,
            *(("shape", "shape squared") if self.shaped else ()),
            *(("ln g",) if self.coupled else ()),
            *(("bend",) if self.rectified else ()),
        )

    def _priors(self) -> list[NormalPrior]:
        own = self.priors
        size = NormalPrior(float(np.log(self.middle / 4)), own.size)
        which = [own.exponents[min(j, len(own.exponents) - 1)] for j in range(self.k)]
        exponents = which if self.coupled else [own.single] * self.k
        floor = own.floor if self.k > 1 else own.single_floor
        exponents = exponents[:1] if self.shared else exponents
        shape = [own.shape, own.shape_squared] if self.shaped else []
        last = shape + ([own.power] if self.coupled else []) + ([own.bend] if self.rectified else [])
        return [own.sigma, floor, *[size] * self.k, *exponents, *last]

    @property
    def prior_mean(self) -> Array:
        """Means of the priors, shape (d,)."""
        return np.array([prior.mean for prior in self._priors()])

    @property
    def prior_sd(self) -> Array:
        """Standard deviations of the priors, shape (d,)."""
        return np.array([prior.sd for prior in self._priors()])

    def starts(self) -> Array:
        """Return the prior's centre, and a low floor with slow terms."""
        first = self.prior_mean.copy()
        first[0] = -3.5
        second = first.copy()
        second[1] -= 1.7
        second[2 + self.k : 2 + self.k + (1 if self.shared else self.k)] -= 0.7
        return np.stack([first, second])

    def floor(self, theta: Array) -> Array:
        """Return the floors of parameters (R, d), shape (R,)."""
        return np.asarray(self.cap * special.expit(theta[:, 1]))

    def _parts(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        k = self.k
        floor = self.floor(theta)
        size = theta[:, 2 : 2 + k]
        slope = np.exp(np.minimum(theta[:, 2 + k : 2 + k + (1 if self.shared else k)], 5.0))
        if self.shared:
            slope = np.repeat(slope, k, axis=1)
        power = np.exp(np.minimum(theta[:, -1], 5.0)) if self.coupled else np.ones(len(theta))
        return floor, size, slope, power

    def log_prediction(self, theta: Array, u: Array) -> Array:
        """Return log losses, shape (R, n)."""
        floor, size, slope, power = self._parts(theta)
        if self.rectified:
            reach = slope * (u[None, :, 0] - self.first - theta[:, -1:])
            log_sum = size - np.logaddexp(0.0, reach)
        else:
            log_sum = size[:, :1] - slope[:, :1] * u[None, :, 0]
        if self.shaped:
            log_sum -= theta[:, -3:-1] @ _with_square(u[:, -1]).T
        for j in range(1, self.k):
            log_sum = np.logaddexp(log_sum, size[:, j, None] - slope[:, j, None] * u[None, :, j])
        log_sum *= power[:, None]
        np.minimum(log_sum, 600.0, out=log_sum)
        np.exp(log_sum, out=log_sum)
        log_sum += floor[:, None]
        out: Array = np.log(log_sum, out=log_sum)
        return out

    def gradient(self, theta: Array, u: Array) -> tuple[Array, Array]:
        """Return log losses and their derivatives at one theta."""
        k = self.k
        ratio, u = u[:, -1], u[:, :k]
        floor, size, slope, power = (part[0] for part in self._parts(theta[None]))
        reach = slope * (u - self.first - theta[-1]) if self.rectified else slope * u
        terms = size - (np.logaddexp(0.0, reach) if self.rectified else reach)
        if self.shaped:
            terms[:, 0] -= _with_square(ratio) @ theta[-3:-1]
        log_sum = np.logaddexp.reduce(terms, axis=1)
        share = np.exp(terms - log_sum[:, None])
        raised = np.minimum(power * log_sum, 600.0)
        excess = np.exp(raised)
        total = floor + excess
        part = excess / total
        out = np.zeros((len(u), len(theta)))
        out[:, 1] = floor * (1 - floor / self.cap) / total
        falling = part[:, None] * power * share
        out[:, 2 : 2 + k] = falling
        falling = falling * special.expit(reach) if self.rectified else falling
        by_slope = -falling * reach
        if self.rectified:
            out[:, -1] = (falling * slope)[:, 0]
        if self.shared:
            out[:, 2 + k] = by_slope.sum(axis=1)
        else:
            out[:, 2 + k : 2 + 2 * k] = by_slope
        if self.shaped:
            out[:, -3:-1] = -falling[:, :1] * _with_square(ratio)
        if self.coupled:
            out[:, -1] = part * raised
        return np.log(total), out


def _with_square(ratio: Array) -> Array:
    """Return centred log ratios of width to depth, shape (n,), with their squares, shape (n, 2)."""
    return np.stack([ratio, ratio**2], axis=1)
