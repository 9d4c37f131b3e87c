"""Whether the data determine a closed-form law: what is singular, what runs off, what another optimum has otherwise.

All of it is looked at in the coordinates of the search, in which a coefficient is the size of its term at the centre of
the data: how far ``A`` in ``A/x^a`` is from certain at x = 1 says nothing about the law.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from scalefit.closed.descent import Misfit, descend
from scalefit.closed.design import Array, ClosedDesign, Index
from scalefit.solver.search import Minimum

__all__ = ["FACTOR", "Loose", "identify"]

SINGULAR: Final = 1e-9  # least eigenvalue of the normal matrix with unit diagonal
HEAVY: Final = 0.3  # part of its eigenvector that names a parameter
FACTOR: Final = 30.0  # a parameter that can be this many times larger or smaller runs off
STANDARD_ERRORS: Final = 30.0  # the same for one that has no logarithm
STRETCHES: Final = (0.2, 0.5, 1.0)  # parts of the way, so that the others can follow
OTHER: Final = np.log(2.0)  # a factor by which another optimum is clearly other
FAR: Final = 4.0  # and standard errors
STEPS: Final = 30


@dataclass(frozen=True)
class Loose:
    """One reason why the data do not determine the law.

    Parameters
    ----------
    reason : {"singular", "runs off", "rival"}
        A direction without curvature; a parameter that can go far for less than the likelihood-ratio cutoff; another
        optimum within that cutoff.
    places : tuple of int
        Which entries of a vector it concerns.
    theta : array, shape (P,)
        Of a rival its vector, of a parameter that runs off the vector far away; otherwise that of the fit.
    excess : float
        F there, as part of the smallest F, less one.
    """

    reason: Literal["singular", "runs off", "rival"]
    places: tuple[int, ...]
    theta: Array
    excess: float


def identify(design: ClosedDesign, optima: tuple[Minimum, ...], *, delta: float, allowed: float) -> tuple[Loose, ...]:
    """Look for reasons why the data do not determine the law.

    Parameters
    ----------
    design : ClosedDesign
        The problem.
    optima : tuple of Minimum
        The result of the search.
    delta : float
        Where Huber's loss turns linear; inf for least squares.
    allowed : float
        Excess of F within the likelihood-ratio cutoff.

    Returns
    -------
    tuple of Loose
        Empty when there is none.
    """
    misfit = Misfit(design.centred)
    best = design.centred.from_vector(optima[0].theta[None])
    state = misfit.state(best, delta, None, exact=False)
    lower, upper = design.centred.box
    free = (best[0] > lower) & (best[0] < upper)
    size = np.sqrt(np.where(state.scale[0] > 0, state.scale[0], 1.0))
    normal = (state.hessian[0] / np.outer(size, size))[np.ix_(free, free)]
    curvature, axes = np.linalg.eigh(normal)
    reasons: list[Loose] = []
    loose = [np.flatnonzero(free)[np.abs(axis) > HEAVY] for axis in axes.T[curvature < SINGULAR]]
    if loose:
        places = tuple(int(place) for place in np.unique(np.concatenate(loose)))
        reasons.append(Loose("singular", places, optima[0].theta, 0.0))
    spread = np.zeros(len(size))
    safe = np.maximum(curvature, SINGULAR)
    # standard errors for the unit of F that the cutoff stands for: it is 1.92 units at 95%
    spread[free] = np.sqrt((axes**2 / safe).sum(axis=1) * allowed / 1.92) / size[free]
    reasons += _running(design, misfit, best[0], spread, np.flatnonzero(free), delta, allowed)
    reasons += _rivals(design, best[0], spread, optima, allowed)
    return tuple(reasons)


def _running(
    design: ClosedDesign, misfit: Misfit, best: Array, spread: Array, free: Index, delta: float, allowed: float
) -> list[Loose]:
    """Move each coordinate far out to both sides and let the others follow."""
    bottom = float(misfit.value(best[None], delta)[0])
    way = np.where(design.is_log, np.log(FACTOR), np.maximum(STANDARD_ERRORS * spread, np.abs(best)))
    places = np.tile(free, 2)
    sides = np.repeat([-1.0, 1.0], len(free))
    lower, upper = misfit.system.box
    goal = best[places] + sides * way[places]
    inside = (goal > lower[places]) & (goal < upper[places]) & np.isfinite(goal)  # a bound is an end, not far away
    places, goal = places[inside], goal[inside]
    if not len(places):
        return []
    each = np.arange(len(places))
    held = np.zeros((len(places), len(best)), dtype=np.bool_)
    held[each, places] = True
    z = np.tile(best, (len(places), 1))
    value = np.full(len(places), np.inf)
    for stretch in STRETCHES:
        z[each, places] = best[places] + stretch * (goal - best[places])
        ends = descend(misfit, z, delta=delta, exact=False, limit=STEPS, held=held)
        ends = descend(misfit, ends.z, delta=delta, exact=True, limit=STEPS, held=held)
        z, value = ends.z, ends.value
    theta = misfit.system.to_vector(z)
    # A term may be negligible at the centre of its column, as exp(-k x) often is. Its size there then goes anywhere
    # while every parameter stays: only one that goes far itself is not determined.
    moved = np.abs(theta - misfit.system.to_vector(best[None]))
    gone = np.asarray((moved >= 0.99 * way).any(axis=1))
    return [
        Loose("runs off", (int(place),), point, float(height / max(bottom, 1e-300) - 1))
        for place, point, height, far in zip(places, theta, value, gone, strict=True)
        if far and height - bottom <= allowed
    ]


def _rivals(
    design: ClosedDesign, best: Array, spread: Array, optima: tuple[Minimum, ...], allowed: float
) -> list[Loose]:
    reasons = []
    for optimum in optima[1:]:
        if optimum.value - optima[0].value > allowed:
            break
        gap = np.abs(design.centred.from_vector(optimum.theta[None])[0] - best)
        clear = np.where(design.is_log, gap > OTHER, gap > np.maximum(FAR * spread, 0.5 * np.abs(best)))
        if clear.any():
            places = tuple(int(place) for place in np.flatnonzero(clear))
            reasons.append(Loose("rival", places, optimum.theta, optimum.value / max(optima[0].value, 1e-300) - 1))
    return reasons
