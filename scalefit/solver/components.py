"""Split a problem whose levels share no parameter into parts, each with a smaller global search."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.solver.design import SegmentedLaw

__all__ = ["Component", "split"]


class Component(NamedTuple):
    """An independent part of a law.

    Parameters
    ----------
    law : SegmentedLaw
        Its rows, with parameters numbered within the part.
    parameters : array of int
        Positions of its parameters in the whole problem.
    """

    law: SegmentedLaw
    parameters: NDArray[np.int64]


def split(law: SegmentedLaw) -> tuple[Component, ...]:
    """Find the independent parts of a law.

    Parameters
    ----------
    law : SegmentedLaw
        The whole problem.

    Returns
    -------
    tuple of Component
        One per set of segments that share parameters, directly or through others.
    """
    first = np.array([0, law.n_floor, law.n_floor + law.n_coef])
    used = [np.concatenate([law.floor[s : s + 1], law.coef[s], law.expo[s]]) for s in range(len(law.floor))]
    kind = np.concatenate([[0], np.full(law.coef.shape[1], 1), np.full(law.expo.shape[1], 2)])
    # connected components: parameters that occur in one segment get the same owner, as does all that they owned before
    owner = np.arange(law.n_floor + law.n_coef + law.n_expo)
    for row in used:
        parameters = (row + first[kind])[row >= 0]
        owner[np.isin(owner, owner[parameters])] = owner[parameters].min()
    root = [owner[(row + first[kind])[row >= 0][0]] if (row >= 0).any() else -1 for row in used]
    if len(set(root)) == 1:
        return (Component(law, np.arange(len(owner))),)
    return tuple(
        _part(law, np.flatnonzero(np.array(root) == key), np.flatnonzero(owner == key)) for key in sorted(set(root))
    )


def _part(law: SegmentedLaw, segments: NDArray[np.int64], parameters: NDArray[np.int64]) -> Component:
    rows = np.concatenate([np.arange(law.bounds[s], law.bounds[s + 1]) for s in segments])
    sizes = np.diff(law.bounds)[segments]

    def renumber(codes: NDArray[np.int64], start: int, count: int) -> tuple[NDArray[np.int64], int]:
        own = parameters[(parameters >= start) & (parameters < start + count)] - start
        place = np.full(count + 1, -1)
        place[own] = np.arange(len(own))
        return place[codes[segments]], len(own)

    floor, n_floor = renumber(law.floor, 0, law.n_floor)
    coef, n_coef = renumber(law.coef, law.n_floor, law.n_coef)
    expo, n_expo = renumber(law.expo, law.n_floor + law.n_coef, law.n_expo)
    part = law._replace(
        response=law.response[rows], log_x=law.log_x[:, rows], weight=law.weight[rows],
        bounds=np.concatenate([[0], np.cumsum(sizes)]), floor=floor, coef=coef, expo=expo,
        n_floor=n_floor, n_coef=n_coef, n_expo=n_expo,
    )  # fmt: skip
    return Component(part, parameters)
