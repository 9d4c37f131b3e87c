"""The log density of a posterior, for every law, likelihood and prior, evaluated for many draws at once.

    log observed_i = log f(x_i; theta) + s_cluster(i) + sigma e_i,    e ~ normal or Student's t,    s ~ N(0, tau)

The shift of a cluster is integrated out, so that a draw contains only parameters.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from scalefit.closed_problem import ClosedProblem
from scalefit.law.additive import Coef
from scalefit.names import Key
from scalefit.posterior.closed_coordinates import ClosedCoordinates
from scalefit.posterior.coordinates import Coordinates
from scalefit.posterior.defaults import extra_parameters, resolve_priors
from scalefit.posterior.kernels import Blocks, block_likelihoods, build_blocks, residual_rows
from scalefit.posterior.layout import lay_out
from scalefit.posterior.priors import HALF_LOG_2PI, Prior
from scalefit.problem import Parameter, Problem

__all__ = ["LIKELIHOODS", "AdditiveDensity", "Density", "build_density"]

Array = NDArray[np.float64]

LIKELIHOODS = ("student_t", "normal")


@dataclass(frozen=True, eq=False)
class Density(ABC):
    """A posterior, up to its constant, as a function of unbounded coordinates. Abstract.

    Calling it maps coordinates, shape (R, d), to log prior plus log likelihood, shape (R,).

    Parameters
    ----------
    problem : Problem or ClosedProblem
        Law and data.
    parameters : tuple of Parameter, length d
        Those of the law, then those of ``sigma``, ``nu``, ``tau`` and the pooled values that the model has.
    priors : dict of (str, tuple of str) to Prior
        By coefficient and level, as used.
    likelihood : {"student_t", "normal"}
        Distribution of a row's residual of log loss.
    coordinates : Coordinates or ClosedCoordinates
        The map.
    blocks : Blocks
        DesignRows by cluster.
    """

    problem: Problem | ClosedProblem
    parameters: tuple[Parameter, ...]
    priors: dict[Key, Prior]
    likelihood: str
    coordinates: Coordinates | ClosedCoordinates
    blocks: Blocks

    @property
    def size(self) -> int:
        """Number of coordinates, d."""
        return self.coordinates.size

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the draws."""
        return tuple(parameter.name for parameter in self.parameters)

    def __call__(self, x: Array) -> Array:
        """Return the log density at coordinates ``x``, shape (R, d); minus infinity outside the support."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            placed = self.coordinates.place(x)
            terms = self._blocks(placed.theta, placed.scales, 1)[:, 0]
            value: Array = placed.log_prior + terms + self._constant(placed.scales) * self._weights.sum()
        return np.where(np.isfinite(value), value, -np.inf)

    @abstractmethod
    def natural(self, x: Array) -> Array:
        """Return parameters in the units of the table, those held as logs as logs; shape (..., d)."""

    @abstractmethod
    def prior_values(self, draws: Array) -> Array:
        """Return draws, as :meth:`natural` gives them, as the numbers that the priors are on; shape (R, d)."""

    @abstractmethod
    def residuals(self, draws: Array) -> Array:
        """Return log observed minus log predicted of each draw, shape (R, n), rows as in ``problem.design``."""

    @abstractmethod
    def with_weight(self, weight: Array) -> Density:
        """Return the same density for other weights of the rows, shape (n,)."""

    @abstractmethod
    def graph_of_law(self, pt: Any, theta: Any) -> tuple[Any, Any]:
        """Write natural parameters, shape (P,), and log prediction, shape (n,), as PyTensor expressions of a point."""

    @abstractmethod
    def _unpack(self, draws: Array) -> tuple[Array, Array]:
        """Part draws into the solver's vectors and the scales."""

    @abstractmethod
    def _blocks(self, theta: Array, scales: Array, columns: int, weight: Array | None = None) -> Array:
        """Log likelihoods without the constants of the rows, by block or (one column) summed."""

    @property
    def target(self) -> Array:
        """The log response of each row, shape (n,)."""
        return np.asarray(self.problem.design.target if isinstance(self.problem, ClosedProblem)
                          else self.problem.design.rows.target)  # fmt: skip

    def log_likelihood(self, draws: Array) -> Array:
        """Evaluate each block of rows: a cluster when clusters share a shift, else a row.

        Parameters
        ----------
        draws : array, shape (R, d)
            As :meth:`natural` returns them.

        Returns
        -------
        array, shape (R, C) or (R, n)
            Log likelihood with the shifts of the clusters integrated out; columns as ``problem.cluster`` or the rows of
            ``problem.design``.
        """
        theta, scales = self._unpack(draws)
        constant = self._constant(scales)[:, None]
        if self.blocks.shifted:
            mass = np.add.reduceat(self._weights[self.blocks.order], self.blocks.bounds[:-1])
            return self._blocks(theta, scales, len(mass)) + constant * mass
        residual = self.residuals(draws)
        sigma = scales[:, :1]
        if self.likelihood == "normal":
            return (constant - 0.5 * (residual / sigma) ** 2) * self._weights
        nu = scales[:, 1:2]
        tails: Array = 0.5 * (nu + 1) * np.log1p((residual / sigma) ** 2 / nu)
        return (constant - tails) * self._weights

    def row_log_likelihood(self, draws: Array) -> Array:
        """Evaluate each row, given the other rows of its cluster when clusters share a shift.

        Parameters
        ----------
        draws : array, shape (R, d)
            As :meth:`natural` returns them.

        Returns
        -------
        array, shape (R, n)
            Log likelihood; rows as in ``problem.design``.
        """
        if not self.blocks.shifted:
            return self.log_likelihood(draws)
        theta, scales = self._unpack(draws)
        order, bounds = self.blocks.order, self.blocks.bounds
        sizes = np.diff(bounds)
        whole = self._blocks(theta, scales, len(sizes))
        out = np.empty((len(draws), self.problem.n_rows))
        for place in range(sizes.max()):  # one row of every cluster at a time gets weight 0
            own = np.flatnonzero(sizes > place)
            rows = order[bounds[own] + place]
            weight = self._weights.copy()
            weight[rows] = 0.0
            rest = self._blocks(theta, scales, len(sizes), weight)
            out[:, rows] = (whole - rest)[:, own]
        return out + self._constant(scales)[:, None] * self._weights

    @property
    def _weights(self) -> Array:
        return self.problem.weight

    def _constant(self, scales: Array) -> Array:
        """Return the log of the normalising constant of one row's density, shape (R,)."""
        constant = -np.log(scales[:, 0])
        if self.likelihood == "normal":
            return constant - HALF_LOG_2PI
        nu = scales[:, 1]
        student: Array = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu * math.pi)
        return constant + student


@dataclass(frozen=True, eq=False)
class AdditiveDensity(Density):
    """The posterior of a sum of power terms; see :class:`Density`."""

    problem: Problem
    coordinates: Coordinates

    def natural(self, x: Array) -> Array:
        """Return parameters in the units of the table, coefficients as logs; shape (..., d).

        Terms that are two powers of one column are put in the order of their exponents, as in a least-squares fit.
        """
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):  # of draws far away
            placed = self.coordinates.place(x)
        natural = np.concatenate([self.problem.design.to_natural(placed.theta), placed.scales, placed.pooled], axis=-1)
        for first, second in self._twins():
            turned = natural[..., first[1]] > natural[..., second[1]]
            for i, j in zip(first, second, strict=True):
                low = np.where(turned, natural[..., j], natural[..., i])
                natural[..., j] = np.where(turned, natural[..., i], natural[..., j])
                natural[..., i] = low
        return natural

    def _twins(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Places of coefficient and exponent of each two terms that could swap their names."""
        place = {parameter.coef: i for i, parameter in enumerate(self.problem.parameters) if not parameter.coef.groups}
        found = []
        for twins in self.problem.law.twins:
            c, a, d, b = (place[coef] for coef in twins)
            priors = [self.priors[self.parameters[i].key] for i in (c, a, d, b)]
            if priors[:2] == priors[2:]:
                found.append(((c, a), (d, b)))
        return found

    def prior_values(self, draws: Array) -> Array:
        """Return draws as the priors see them: coefficients as sizes of their terms at the centre."""
        own = self.coordinates
        sizes = slice(own.n_floor, own.n_floor + own.n_size)
        values = draws.copy()
        values[:, : own.n_law] = self.problem.design.from_natural(draws[:, : own.n_law])
        values[:, sizes] = np.exp(values[:, sizes])
        return values

    def residuals(self, draws: Array) -> Array:
        """Return log observed minus log predicted of each draw, shape (R, n), rows as in ``problem.design``."""
        theta, _ = self._unpack(draws)
        design = self.problem.design
        out = np.zeros((len(theta), self.problem.n_rows))
        residual_rows(theta, design.rows, design.link, out)
        return out

    def with_weight(self, weight: Array) -> AdditiveDensity:
        """Return the same density for other weights of the rows, shape (n,)."""
        design = self.problem.design
        data = design.rows.data.copy()
        data[1] = weight
        problem = replace(self.problem, design=design._replace(rows=design.rows._replace(data=data)))
        return replace(self, problem=problem)

    def graph_of_law(self, pt: Any, theta: Any) -> tuple[Any, Any]:
        """Write natural parameters and log prediction as PyTensor expressions of the solver's vector."""
        design = self.problem.design
        link, rows = design.link, design.rows
        natural = pt.dot(design.natural_matrix(), theta) + design.to_natural(np.zeros(design.n_parameters))
        segments, parts, _ = link.position.shape
        matrix = np.zeros((segments, parts, design.n_parameters))
        s, p, slot = np.nonzero(link.position >= 0)
        np.add.at(matrix, (s, p, link.position[s, p, slot]), link.factor[s, p, slot])
        local = pt.dot(matrix.reshape(-1, design.n_parameters), theta).reshape((segments, parts)) + link.constant
        segment = np.repeat(np.arange(segments), np.diff(rows.bounds))
        total = local[segment, 0]
        for k, u in enumerate(rows.u):
            total = total + pt.exp(local[segment, 1 + 2 * k] + local[segment, 2 + 2 * k] * u)
        return natural, pt.log(total)

    def _unpack(self, draws: Array) -> tuple[Array, Array]:
        law, scales = self.coordinates.n_law, self.coordinates.n_scale
        return self.problem.design.from_natural(draws[:, :law]), draws[:, law : law + scales]

    def _blocks(self, theta: Array, scales: Array, columns: int, weight: Array | None = None) -> Array:
        """Log likelihoods without the constants of the rows, by block or (one column) summed."""
        student = self.likelihood == "student_t"
        full = np.zeros((len(theta), 3))
        full[:, 0] = scales[:, 0]
        full[:, 1] = scales[:, 1] if student else 0.0
        full[:, 2] = scales[:, -1] if self.blocks.shifted else 0.0
        design = self.problem.design
        out = np.zeros((len(theta), columns))
        rows = design.rows
        if weight is not None:
            data = rows.data.copy()
            data[1] = weight
            rows = rows._replace(data=data)
        block_likelihoods(np.ascontiguousarray(theta), full, rows, design.link, self.blocks, student, out)
        return out


def build_density(
    problem: Problem,
    *,
    likelihood: str = "student_t",
    theta: Array,
    priors: Mapping[str, str | Prior] | Mapping[Key, str] | None = None,
    partial: tuple[Coef, ...] = (),
) -> AdditiveDensity:
    """Put law, data, likelihood and priors together.

    Parameters
    ----------
    problem : Problem
        Law and data, log response; its clusters share a shift when there are fewer of them than rows.
    likelihood : {"student_t", "normal"}
        Distribution of a residual.
    theta : array, shape (P,)
        The least-squares optimum, which sets the scale of the soft clip at a bound.
    priors : dict, optional
        Priors by name, printed or as coefficient and level, in place of the defaults.
    partial : tuple of Coef
        Partly pooled parameters.

    Returns
    -------
    AdditiveDensity
        The posterior up to its constant.

    Raises
    ------
    DataError
        When a prior has no parameter, contradicts it, or excludes the data.
    """
    shifted = problem.n_cluster < problem.n_rows
    extras = extra_parameters(likelihood == "student_t", shifted, partial)
    resolved = resolve_priors(problem, extras, priors)
    parameters = (*problem.parameters, *extras)
    coordinates = lay_out(problem, parameters, resolved, theta)
    blocks = build_blocks(problem.cluster if shifted else None, problem.n_rows)
    return AdditiveDensity(problem, parameters, resolved, likelihood, coordinates, blocks)
