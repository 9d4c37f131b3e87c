"""Coordinates in which a posterior is nearly round, and the prior in them.

Every parameter has an unbounded coordinate ``x``:

- a size of a term at the centre of the data, an exponent, a scale: ``x = log value``, softly clipped where its prior
  has bounds (an exponent of either sign: ``x = value``);
- a floor: ``x = E + S``, the loss at the geometric-mean row of the floor's level, where ``S`` is the sum of the
  terms there. The data determine this sum well and its parts badly. ``E`` is ``x - S``, softly clipped to its prior;
- a size whose term has an exponent of its level that is non-centred: ``x = log (size times exponent)``, the slope at
  the centre, which the data determine whatever the exponent is;
- a member of a partly pooled parameter: its distance from the common value in units of the pooled spread
  ("non-centred"), or its coordinate as above ("centred") where the data determine each member better than the spread
  does; see Papaspiliopoulos, Roberts and Skoeld 2007. Both describe the same posterior.

The soft clip is ``s log(1 + e^((x - lo)/s)) + lo`` at a lower bound ``lo``: one-to-one and smooth, and the identity far
from the bounds. The same code is used with numpy, for many draws at once, and with PyMC's graph, through ``Ops``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.posterior.priors import HALF_LOG_2PI, Prior

__all__ = ["NUMPY", "Coordinates", "Ops", "Placed", "SoftClip"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class Ops(NamedTuple):
    """The functions that numpy and PyTensor share under different names.

    Parameters
    ----------
    exp, log, softplus : callable
        Elementwise; ``softplus(x) = log(1 + e^x)``.
    where : callable
        Choose by a constant mask.
    join : callable
        Concatenate a list along the last axis.
    """

    exp: Callable[[Any], Any]
    log: Callable[[Any], Any]
    softplus: Callable[[Any], Any]
    where: Callable[[Any, Any, Any], Any]
    join: Callable[[list[Any]], Any]


NUMPY = Ops(np.exp, np.log, lambda x: np.logaddexp(0.0, x), np.where, lambda parts: np.concatenate(parts, axis=-1))


class SoftClip(NamedTuple):
    """A smooth one-to-one map of the real line onto each interval ``(lo, hi)``.

    Parameters
    ----------
    lo, hi : array, shape (d,)
        Bounds, which may be infinite.
    scale : array, shape (d,)
        Distance from a bound within which the map differs from the identity.
    """

    lo: Array
    hi: Array
    scale: Array

    def forward(self, x: Any, ops: Ops) -> tuple[Any, Any]:
        """Return the clipped value and the log of the derivative of the map."""
        has_lo, has_hi = np.isfinite(self.lo), np.isfinite(self.hi)
        lo, hi = np.where(has_lo, self.lo, 0.0), np.where(has_hi, self.hi, 0.0)
        if not (has_lo.any() or has_hi.any()):
            return x, 0.0 * x
        above, below = (x - lo) / self.scale, (hi - x) / self.scale
        value = ops.where(has_lo, lo + self.scale * ops.softplus(above), x)
        # at the upper bound: x - s softplus((x - hi) / s) = hi - s softplus((hi - x) / s), without cancellation
        value = ops.where(has_hi & ~has_lo, hi - self.scale * ops.softplus(below), value)
        value = ops.where(has_hi & has_lo, value - self.scale * ops.softplus(-below), value)
        # With the logistic function l the derivative is l((x - lo) / s) at one bound; with two bounds the difference
        # l((x - lo) / s) - l((x - hi) / s) is written as a product, which does not cancel.
        width = np.where(has_lo & has_hi, hi - lo, np.inf) / self.scale
        slope = np.log1p(-np.exp(-width)) + ops.where(has_lo, -ops.softplus(-above), 0.0)
        return value, slope + ops.where(has_hi, -ops.softplus(-below), 0.0)

    def inverse(self, value: Array) -> Array:
        """Return the ``x`` of a value that is strictly inside the bounds."""
        with np.errstate(divide="ignore"):
            left = np.log(-np.expm1(-(value - self.lo) / self.scale))
            right = np.log(-np.expm1(-(self.hi - value) / self.scale))
        x: Array = value + self.scale * (left - right)
        return x

    def part(self, which: slice) -> SoftClip:
        """Return the maps of some coordinates."""
        return SoftClip(self.lo[which], self.hi[which], self.scale[which])


class Placed(NamedTuple):
    """One or many points, as the likelihood needs them.

    Parameters
    ----------
    theta : array, shape (..., P)
        Floors, log sizes at the centre, exponents: the solver's vector.
    scales : array, shape (..., 1 to 3)
        ``sigma``, then ``nu`` and ``tau`` where the likelihood has them.
    pooled : array, shape (..., 2 G)
        Common values and spreads of the G partly pooled parameters; no columns without any.
    log_prior : array, shape (...)
        Log prior density in the coordinates, including the Jacobian.
    """

    theta: Any
    scales: Any
    pooled: Any
    log_prior: Any


class Coordinates(NamedTuple):
    """The map from ``x`` to parameters, with their priors.

    ``x`` has d entries: the P parameters of the law (floors, sizes, exponents), the scales, the common values of partly
    pooled parameters and their spreads.

    Parameters
    ----------
    n_floor, n_size, n_law, n_scale : int
        Numbers of floors, of sizes, of all parameters of the law, and of scales.
    clip : SoftClip
        Of all d coordinates.
    is_log : array of bool, shape (d,)
        Whether the clipped coordinate is the logarithm of the value.
    priors : tuple of (Prior, array of int)
        Distinct priors and the places of their parameters; partly pooled members have none here.
    common, spread : array of int, shape (d,)
        For a partly pooled member the places of its common value and spread, -1 otherwise.
    centred : array of bool, shape (d,)
        For a member: whether it is centred, that is, has the coordinate of an unpooled parameter.
    lean : array, shape (d,)
        For a size whose coordinate is the slope of its term the place of the exponent, else -1.
    reach : array, shape (n_floor, K, P)
        ``log term k = reach[j, k] @ theta + offset[j, k]`` at the geometric-mean row of floor j.
    offset : array, shape (n_floor, K)
        See ``reach``.
    """

    n_floor: int
    n_size: int
    n_law: int
    n_scale: int
    clip: SoftClip
    is_log: NDArray[np.bool_]
    priors: tuple[tuple[Prior, Index], ...]
    common: Index
    spread: Index
    centred: NDArray[np.bool_]
    lean: Index
    reach: Array
    offset: Array

    @property
    def size(self) -> int:
        """Number of coordinates, d."""
        return len(self.is_log)

    @property
    def held_spreads(self) -> Index:
        """Places of the spreads of pooled members that have coordinates of their own."""
        return np.unique(self.spread[self.centred])

    def place(self, x: Any, ops: Ops = NUMPY) -> Placed:
        """Map coordinates to parameters and evaluate the prior.

        Parameters
        ----------
        x : array, shape (..., d)
            Coordinates.
        ops : Ops
            The functions of the library that ``x`` belongs to.

        Returns
        -------
        Placed
            Parameters and log prior.
        """
        # Everything but the floors comes first, because the coordinate of a floor contains the terms at its row.
        first, last = self.n_floor, self.n_law
        rest, rest_slope = self.clip.part(slice(first, None)).forward(x[..., first:], ops)
        rest = self._pool(rest, x, ops, slice(first, None), rest)
        if (self.lean >= 0).any():  # log size = log slope - log exponent
            sloped = self.lean[first:]
            rest = rest - ops.where(sloped >= 0, rest[..., np.maximum(sloped - first, 0)], 0.0)
        value = ops.where(self.is_log[first:], ops.exp(rest), rest)
        sizes, exponents = rest[..., : self.n_size], value[..., self.n_size : last - first]
        slope = rest_slope + ops.where(self.is_log[first:], rest, 0.0)
        theta, values, link = [sizes, exponents], value, rest
        if first:
            gap = x[..., :first] - self._terms(ops.join([sizes, exponents]), ops)
            floor, floor_slope = self.clip.part(slice(0, first)).forward(gap, ops)
            pooled = (self.common >= 0) & ~self.centred
            if pooled[:first].any():
                floor = ops.where(pooled[:first], ops.exp(self._pool(floor, x, ops, slice(0, first), rest)), floor)
            theta, values = [floor, *theta], ops.join([floor, value])
            slope = ops.join([floor_slope, slope])
            if (self.common >= 0).any():
                link = ops.join([ops.log(floor), rest])
        log_prior = self._log_prior(x, values, link, slope, ops)
        stop = last + self.n_scale
        return Placed(ops.join(theta), values[..., last:stop], values[..., stop:], log_prior)

    def _terms(self, above: Any, ops: Ops) -> Any:
        """Return the sum of the terms at the geometric-mean row of each floor; ``above`` is sizes and exponents."""
        total = 0.0
        for k in range(self.offset.shape[1]):
            total = total + ops.exp(above @ self.reach[:, k, self.n_floor :].T + self.offset[:, k])
        return total

    def _pool(self, clipped: Any, x: Any, ops: Ops, which: slice, rest: Any) -> Any:
        """Replace non-centred members by common value plus spread times distance, on the scale of the coordinate."""
        moved = ((self.common >= 0) & ~self.centred)[which]
        if not moved.any():
            return clipped
        common = np.maximum(self.common[which] - self.n_floor, 0)
        spread = np.maximum(self.spread[which] - self.n_floor, 0)
        distance = ops.where(moved, x[..., which], 0.0)
        return ops.where(moved, rest[..., common] + ops.exp(rest[..., spread]) * distance, clipped)

    def _log_prior(self, x: Any, values: Any, link: Any, slope: Any, ops: Ops) -> Any:
        """Return the log prior density of ``x``: that of each value plus the log derivative of its map."""
        total = 0.0
        for prior, places in self.priors:
            total = total + (prior.formula(values[..., places], ops.log) + slope[..., places]).sum(axis=-1)
        loose = np.flatnonzero((self.common >= 0) & ~self.centred)  # their distance is a standard normal
        if loose.size:
            total = total - (0.5 * x[..., loose] ** 2 + HALF_LOG_2PI).sum(axis=-1)
        tight = np.flatnonzero((self.common >= 0) & self.centred)  # a normal around the common value
        if tight.size:
            spread = link[..., self.spread[tight]]
            distance = (link[..., tight] - link[..., self.common[tight]]) / ops.exp(spread)
            # the density is that of the link: the coordinate of an exponent is its link, that of a floor x = E + S
            own = ops.where(tight < self.n_floor, slope[..., tight] - link[..., tight], 0.0)
            total = total + (own - 0.5 * distance**2 - spread - HALF_LOG_2PI).sum(axis=-1)
        return total

    def start(self, theta: Array, scales: Array, pooled: Array) -> Array:
        """Return the coordinates of a point, moved inside the bounds where it lies on or outside them.

        Parameters
        ----------
        theta : array, shape (P,)
            Floors, log sizes, exponents.
        scales : array, shape (n_scale,)
            ``sigma``, ``nu``, ``tau``.
        pooled : array, shape (2 G,)
            Common values and spreads.

        Returns
        -------
        array, shape (d,)
            Coordinates.
        """
        value = np.concatenate([theta, scales, pooled])
        sizes = np.zeros(self.size, dtype=bool)
        sizes[self.n_floor : self.n_floor + self.n_size] = True
        positive = self.is_log & ~sizes
        link = np.where(positive, np.log(np.maximum(value, 1e-3)), value)
        margin = np.minimum(self.clip.scale, 0.05 * (self.clip.hi - self.clip.lo))
        link = np.clip(link, self.clip.lo + margin, self.clip.hi - margin)
        x = self.clip.inverse(link)
        sloped = np.flatnonzero(self.lean >= 0)
        x[sloped] += link[self.lean[sloped]]
        if self.n_floor:
            x[: self.n_floor] += self._terms(self._above(link), NUMPY)
        member = np.flatnonzero((self.common >= 0) & ~self.centred)
        own = np.where(member < self.n_floor, np.log(np.maximum(link[member], 1e-3)), link[member])
        x[member] = (own - link[self.common[member]]) / np.exp(link[self.spread[member]])
        return x

    def _above(self, link: Array) -> Array:
        value = np.where(self.is_log, np.exp(np.where(self.is_log, link, 0.0)), link)  # exp of a floor could overflow
        return np.concatenate(
            [link[self.n_floor : self.n_floor + self.n_size], value[self.n_floor + self.n_size : self.n_law]]
        )


def bounds_of(prior: Prior, log_scale: bool) -> tuple[float, float]:
    """Return the bounds that a prior sets for the coordinate of its parameter."""
    lo, hi = prior.support
    if not log_scale:
        return lo, hi
    return (math.log(lo) if lo > 0 else -math.inf), (math.log(hi) if hi < math.inf else math.inf)
