"""Starts on the other side of the kinks of a law, where a descent does not go.

In ``min(params, G*tokens)`` each row has one of the two sides. A better optimum often differs by the side of a few rows
alone: the misfit has a ridge in between, and a descent stops in front of it. From an optimum, the shortest way over the
kink of a row, in units of standard errors, is known to first order.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from scalefit.closed.descent import Misfit
from scalefit.closed.design import Array
from scalefit.law.tree import add, derivative, negate, parameters_of, topological

__all__ = ["beyond_kinks"]

NEAREST: Final = 8  # rows of each kink whose other side is tried,
FURTHER: Final = 1.4  # and then each that is this many times further down the list
BEYOND: Final = (1.05, 1.5)  # parts of the way to the kink: just over it, and clearly
FLATTEST: Final = 1e-8  # eigenvalue of the normal matrix with unit diagonal that counts as curvature


def beyond_kinks(misfit: Misfit, z: Array, delta: float) -> Array:
    """Return starts over the kinks that lie nearest to a point.

    Parameters
    ----------
    misfit : Misfit
        What is minimised.
    z : array, shape (P,)
        An optimum, in the coordinates of the misfit.
    delta : float
        Where Huber's loss turns linear; inf for least squares.

    Returns
    -------
    array, shape (S, P)
        No rows for a law whose kinks depend on columns alone.
    """
    system = misfit.system
    kinks = [node for node in topological(system.fitted) if node.kind in ("minimum", "maximum") and parameters_of(node)]
    if not kinks:
        return np.empty((0, len(z)))
    state = misfit.state(z[None], delta, None, exact=False)
    size = np.sqrt(np.where(state.scale[0] > 0, state.scale[0], 1.0))
    curvature, axes = np.linalg.eigh(state.hessian[0] / np.outer(size, size))
    covariance = (axes / np.maximum(curvature, FLATTEST)) @ axes.T / np.outer(size, size)
    starts = []
    for kink in kinks:
        left, right = kink.arguments
        gap = add(left, negate(right))
        slopes = [derivative(gap, name) for name in system.names]
        with np.errstate(all="ignore"):
            values = system.program([gap, *slopes], misfit.rows)(system.values(z[None], misfit.rows))
            apart = np.broadcast_to(values[0], (1, len(misfit.target)))[0]
            slope = misfit.by_level(z[None], values[1:])[0]
            way = covariance @ slope
            long = np.einsum("pn,pn->n", slope, way)
            distance = np.abs(apart) / np.sqrt(long)
        order = np.argsort(distance, kind="stable")
        order = order[np.isfinite(distance[order]) & (distance[order] > 0)]
        first = np.unique(apart[order], return_index=True)[1]  # rows with equal columns cross together
        for row in order[np.sort(first)[_ranks(len(first))]]:
            starts += [z - part * apart[row] / long[row] * way[:, row] for part in BEYOND]
    beyond = np.array(starts).reshape(-1, len(z))
    return np.asarray(beyond[np.isfinite(beyond).all(axis=1)])


def _ranks(count: int) -> list[int]:
    """Return the first ranks of a list, and then ever fewer."""
    ranks = list(range(min(NEAREST, count)))
    while ranks and (following := int(FURTHER * (ranks[-1] + 1))) < count:
        ranks.append(following)
    return ranks
