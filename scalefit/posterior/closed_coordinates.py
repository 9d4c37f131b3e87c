"""The coordinates of a posterior of a law of any form: those of its search, bent at bounds.

As for sums of power terms, one map serves numpy, for many draws at once, and PyMC's graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.closed.design import System, first_rows
from scalefit.law.tree import Node, interpret
from scalefit.posterior.coordinates import NUMPY, Ops, Placed, SoftClip
from scalefit.posterior.priors import Prior

__all__ = ["ClosedCoordinates", "graph_operations"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_NO_SPREADS: Final = np.zeros(0, dtype=np.int64)


def graph_operations(pt: Any) -> Mapping[str, Callable[..., Any]]:
    """Return what stands for each kind of node in PyTensor."""
    return {
        "add": lambda *terms: reduce(lambda a, b: a + b, terms),
        "multiply": lambda *factors: reduce(lambda a, b: a * b, factors),
        "power": lambda base, exponent: base**exponent,
        "exp": pt.exp, "log": pt.log, "minimum": pt.minimum, "maximum": pt.maximum, "sigmoid": pt.sigmoid,
        "softplus": pt.softplus,
    }  # fmt: skip


class ClosedCoordinates(NamedTuple):
    """The map from ``x`` to parameters, with their priors.

    ``x`` holds the P coordinates of the search, unbounded, and the logs of the scales: d numbers.

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
    """

    system: System
    clip: SoftClip
    is_log: NDArray[np.bool_]
    central: NDArray[np.bool_]
    priors: tuple[tuple[Prior, Index], ...]

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
        link, slope = self.clip.forward(x, ops)
        z, scales = link[..., :n], ops.exp(link[..., n:])
        # a shift depends on other coordinates only, so that the map from z to the vector has Jacobian 1
        entries = ops.where(self.central, link, ops.join([self.vector(z, ops), link[..., n:]]))
        value = ops.where(self.is_log, ops.exp(ops.where(self.is_log, entries, 0.0)), entries)
        slope = slope + ops.where(self.is_log, entries, 0.0)
        log_prior = 0.0
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
        design, rows = self.system.design, first_rows(self.system.design, name)

        def leaf(node: Node) -> Any:
            if node.kind == "column":
                return self.system.columns[node.name][rows]
            block = design.blocks[node.name]
            codes = design.codes.get(node.name, np.zeros(len(design.response), dtype=np.int64))
            return z[block.start + codes[rows]]

        operations: dict[str, Callable[..., Any]] = {
            "add": lambda *terms: reduce(lambda a, b: a + b, terms),
            "multiply": lambda *factors: reduce(lambda a, b: a * b, factors),
            "exp": ops.exp,
            "log": ops.log,
            "power": lambda base, exponent: base**exponent,
        }
        return interpret([self.system.shifts[name]], leaf, operations)[0]

    def start(self, theta: Array, scales: Array, pooled: Array) -> Array:  # noqa: ARG002  no parameter is pooled
        """Return the coordinates of a vector, shape (P,), and scales, moved inside the bounds where it is not."""
        link = np.concatenate(
            [self.system.from_vector(theta[None])[0], np.log(np.maximum(scales, 1e-3 * scales.max()))]
        )
        margin = np.minimum(self.clip.scale, 0.05 * (self.clip.hi - self.clip.lo))
        return self.clip.inverse(np.clip(link, self.clip.lo + margin, self.clip.hi - margin))
