"""The coordinates of a posterior of a law of any form: those of its search, straightened, and bent at bounds.

In ``E + (A/x)^alpha`` the data determine the law's value and slope at the centre, and along the ridge that is left
E, ``ln A`` and alpha are curves of each other. As for sums of power terms, a floor's coordinate is therefore the law at
one row, and that of a scale inside a power is the log of the power, ``alpha ln A``. One map serves numpy, for many
draws at once, and PyMC's graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.closed.design import System, constant_within, first_rows, may_reach_zero
from scalefit.closed.rewrite import is_not_negative
from scalefit.law.tree import Node, add, columns_of, interpret, multiply, number, parameter, parameters_of, topological
from scalefit.posterior.coordinates import NUMPY, Ops, Placed, SoftClip
from scalefit.posterior.priors import Prior

__all__ = ["ClosedCoordinates", "Ridge", "find_ridge", "operations"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_NO_SPREADS: Final = np.zeros(0, dtype=np.int64)


def operations(ops: Ops) -> Mapping[str, Callable[..., Any]]:
    """Return what stands for each kind of node in a library."""
    return {
        "add": lambda *terms: reduce(lambda a, b: a + b, terms),
        "multiply": lambda *factors: reduce(lambda a, b: a * b, factors),
        "power": lambda base, exponent: base**exponent,
        "minimum": lambda a, b: ops.where(a < b, a, b),
        "maximum": lambda a, b: ops.where(a > b, a, b),
        "sigmoid": lambda a: ops.exp(-ops.softplus(-a)),
        "exp": ops.exp, "log": ops.log, "softplus": ops.softplus,
    }  # fmt: skip


class Ridge(NamedTuple):
    """What is taken out of the coordinates of the search, so that parameters which go along become independent.

    Parameters
    ----------
    factors : dict of str to Node
        By the name of a scale inside a power: the exponent that its logarithm is multiplied by.
    floor : str
        The floor of the law, whose coordinate is the whole law at a row of its level; empty for none.
    rest : Node
        The law without its floor.
    rows : array of int
        For each level of the floor the row, that of the median response.
    """

    factors: Mapping[str, Node]
    floor: str
    rest: Node
    rows: Index


def find_ridge(system: System) -> Ridge:
    """Look for scales inside powers and for the floor of a law in the coordinates of its search."""
    design, law = system.design, system.prediction
    factors: dict[str, Node] = {}
    for name in design.parameters:
        factor = _factor(system, name)
        if factor is not None and not set(parameters_of(factor)) & {*factors, *system.shifts}:
            factors[name] = factor
    loose = may_reach_zero(design.expression) - {*system.shifts} - set(parameters_of(*factors.values()))
    for name in design.parameters:
        if name in loose and law.kind == "add" and parameter(name) in law.arguments:
            rest = add(*(argument for argument in law.arguments if argument is not parameter(name)))
            if parameters_of(rest) and name not in parameters_of(rest):
                return Ridge(factors, name, rest, _median_rows(system, name))
    return Ridge(factors, "", number(0), np.zeros(0, dtype=np.int64))


def _factor(system: System, name: str) -> Node | None:
    """Return u of a law in which the log of a scale occurs only in sums that are multiplied by u > 0; else None."""
    design, scale = system.design, parameter(name)
    if not design.is_log[design.blocks[name].start]:
        return None
    nodes = topological(system.prediction)
    sums = [node for node in nodes if scale in node.arguments]
    if not sums or any(node.kind != "add" for node in sums):
        return None
    found: set[Node] = set()
    for node in nodes:
        if any(argument in sums for argument in node.arguments):
            others = [argument for argument in node.arguments if argument not in sums and argument.kind != "number"]
            if node.kind != "multiply":
                return None
            found.add(multiply(*others))
    if len(found) != 1:
        return None
    factor = found.pop()
    own = parameters_of(factor)
    plain = own and name not in own and not columns_of(factor) and constant_within(design, name, own)
    return factor if plain and is_not_negative(factor, columns=system.columns) else None


def _median_rows(system: System, name: str) -> Index:
    """Return for each level of a parameter the row whose response is its median."""
    design = system.design
    order = np.argsort(design.response, kind="stable")
    if name not in design.codes:
        return order[len(order) // 2 : len(order) // 2 + 1]
    own = [order[design.codes[name][order] == level] for level in range(design.n_levels[name])]
    return np.array([rows[len(rows) // 2] for rows in own])


class ClosedCoordinates(NamedTuple):
    """The map from ``x`` to parameters, with their priors.

    ``x`` holds the P coordinates of the search, straightened and unbounded, and the logs of the scales: d numbers.

    Parameters
    ----------
    system : System
        The law in the coordinates of the search.
    clip : SoftClip
        Of all d coordinates.
    is_log : array of bool, shape (d,)
        Whether the clipped coordinate is a logarithm.
    central : array of bool, shape (d,)
        Whether the prior is on the size of the term at the centre of the data, and not on the number itself.
    priors : tuple of (Prior, array of int)
        Distinct priors and whose they are.
    ridge : Ridge
        What the coordinates of the search are straightened by.
    """

    system: System
    clip: SoftClip
    is_log: NDArray[np.bool_]
    central: NDArray[np.bool_]
    priors: tuple[tuple[Prior, Index], ...]
    ridge: Ridge

    @property
    def n_law(self) -> int:
        """Number of parameters of the law, P."""
        return self.system.design.n_parameters

    @property
    def n_scale(self) -> int:
        """Number of scales of the likelihood."""
        return self.size - self.n_law

    @property
    def size(self) -> int:
        """Number of coordinates, d."""
        return len(self.is_log)

    @property
    def held_spreads(self) -> Index:
        """Nothing: no parameter is partly pooled."""
        return _NO_SPREADS

    def place(self, x: Any, ops: Ops = NUMPY) -> Placed:
        """Map coordinates, shape (..., d), to parameters and evaluate the prior."""
        n = self.n_law
        x, stretch = self._bent(x, ops)
        link, slope = self.clip.forward(x, ops)
        z, scales = link[..., :n], ops.exp(link[..., n:])
        # a shift depends on other coordinates only, so that the map from z to the vector has Jacobian 1
        entries = ops.where(self.central, link, ops.join([self.vector(z, ops), link[..., n:]]))
        value = ops.where(self.is_log, ops.exp(ops.where(self.is_log, entries, 0.0)), entries)
        slope = slope + ops.where(self.is_log, entries, 0.0)
        log_prior = stretch
        for prior, places in self.priors:
            log_prior = log_prior + (prior.formula(value[..., places], ops.log) + slope[..., places]).sum(axis=-1)
        return Placed(z, scales, x[..., :0], log_prior)

    def vector(self, z: Any, ops: Ops = NUMPY) -> Any:
        """Return the design's vector of coordinates, shape (..., P)."""
        if ops is NUMPY:
            return self.system.to_vector(z.reshape(-1, self.n_law)).reshape(z.shape)
        return self.vector_in(z, ops)

    def vector_in(self, z: Any, ops: Ops) -> Any:
        """Write the vector in another library, for one point."""
        design, parts = self.system.design, []
        for name, block in design.blocks.items():
            own = z[block.start : block.stop]
            if name in self.system.shifts:
                own = own - self._shift(name, z, ops)
            parts.append(own)
        return ops.join(parts)

    def _shift(self, name: str, z: Any, ops: Ops) -> Any:
        """Return what was added to each level of a parameter."""
        return self._at(self.system.shifts[name], z, first_rows(self.system.design, name), ops)

    def _at(self, expression: Node, z: Any, rows: Index, ops: Ops) -> Any:
        """Evaluate an expression of the coordinates of the search at some rows, shape (..., rows)."""
        design = self.system.design

        def leaf(node: Node) -> Any:
            if node.kind == "column":
                return self.system.columns[node.name][rows]
            codes = design.codes.get(node.name, np.zeros(len(design.response), dtype=np.int64))
            return z[..., design.blocks[node.name].start + codes[rows]]

        with np.errstate(all="ignore"):  # a draw far out has no density, whatever the law is there
            return interpret([expression], leaf, operations(ops))[0]

    def _bent(self, x: Any, ops: Ops) -> tuple[Any, Any]:
        """Return the unbounded coordinates of the search, and the log of the map's Jacobian.

        A factor depends on none of the entries that are divided or lowered here, and the rest of the law on none that
        is lowered, so that the Jacobian is triangular.
        """
        stretch = 0.0
        if self.ridge.factors:
            link = self.clip.forward(x, ops)[0]
            divided = {}
            for name, node in self.ridge.factors.items():
                factor = self._at(node, link, first_rows(self.system.design, name), ops)
                divided[name] = x[..., self.system.design.blocks[name]] / factor
                stretch = stretch - ops.log(factor).sum(axis=-1)
            x = self._with(x, divided, ops)
        if self.ridge.floor:
            name = self.ridge.floor
            others = self._at(self.ridge.rest, self.clip.forward(x, ops)[0], self.ridge.rows, ops)
            x = self._with(x, {name: x[..., self.system.design.blocks[name]] - others}, ops)
        return x, stretch

    def _with(self, x: Any, changed: Mapping[str, Any], ops: Ops) -> Any:
        """Return coordinates with other values of some parameters."""
        parts = [changed.get(name, x[..., block]) for name, block in self.system.design.blocks.items()]
        return ops.join([*parts, x[..., self.n_law :]])

    def start(self, theta: Array, scales: Array, pooled: Array) -> Array:  # noqa: ARG002  no parameter is pooled
        """Return the coordinates of a vector, shape (P,), and scales, moved inside the bounds where it is not."""
        link = np.concatenate(
            [self.system.from_vector(theta[None])[0], np.log(np.maximum(scales, 1e-3 * scales.max()))]
        )
        margin = np.minimum(self.clip.scale, 0.05 * (self.clip.hi - self.clip.lo))
        link = np.clip(link, self.clip.lo + margin, self.clip.hi - margin)
        x, blocks = self.clip.inverse(link), self.system.design.blocks
        if self.ridge.floor:
            x[blocks[self.ridge.floor]] += self._at(self.ridge.rest, link, self.ridge.rows, NUMPY)
        for name, node in self.ridge.factors.items():
            x[blocks[name]] *= self._at(node, link, first_rows(self.system.design, name), NUMPY)
        return x
