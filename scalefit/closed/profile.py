"""Profile intervals of a closed-form law: how far one parameter can move when all others give way."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalefit.closed.descent import Misfit, descend
from scalefit.closed.design import Array, ClosedDesign

__all__ = ["HeldParameter", "profile_closed"]

DOUBLINGS: Final = 60  # of the step before a side counts as open
FARTHEST: Final = 50.0  # of a logarithm from its estimate: a factor of 5e21
ROUNDS: Final = 60  # of the search for the limit between two values
CLOSE: Final = 1e-9  # of the limit, as part of the bracket's first width
SPRINT: Final = 30
LONG: Final = 200


class HeldParameter:
    """One entry of the vector held at values, with all others refitted.

    Parameters
    ----------
    design : ClosedDesign
        The problem.
    place : int
        The entry.
    best : array, shape (P,)
        The vector of the full fit, from which others follow.
    delta : float
        Where Huber's loss turns linear; inf for least squares.
    """

    def __init__(self, design: ClosedDesign, place: int, best: Array, delta: float) -> None:
        name = next(name for name, block in design.blocks.items() if block.start <= place < block.stop)
        self.system = design.centred_without([name])
        self.misfit, self.place, self.delta = Misfit(self.system), place, delta
        self.held = np.zeros(design.n_parameters, dtype=np.bool_)
        self.held[place] = True
        self.best = self.system.from_vector(best[None])[0]
        self.bottom = float(self.misfit.value(self.best[None], delta)[0])

    def follow(self, values: Array, starts: Array) -> tuple[Array, Array]:
        """Refit at held values, shape (S,), from starts, shape (S, P), and from the full fit.

        Returns
        -------
        excess : array, shape (S,)
            F above that of the full fit.
        ends : array, shape (S, P)
            Where the others went, in this system's coordinates.
        """
        both = np.vstack([starts, np.broadcast_to(self.best, starts.shape)])
        both[:, self.place] = np.tile(values, 2)
        ends = descend(self.misfit, both, delta=self.delta, exact=False, limit=SPRINT, held=self.held)
        ends = descend(self.misfit, ends.z, delta=self.delta, exact=True, limit=LONG, held=self.held)
        pairs = ends.value.reshape(2, -1)
        winner = np.argmin(pairs, axis=0)
        each = np.arange(len(values))
        return pairs[winner, each] - self.bottom, ends.z.reshape(2, len(values), -1)[winner, each]


def profile_closed(
    design: ClosedDesign,
    theta: Array,
    *,
    delta: float,
    allowed: float,
    scale: Array,
    only: NDArray[np.bool_] | None = None,
) -> tuple[Array, Array]:
    """Return lower and upper profile limits of every parameter, each of shape (P,).

    Parameters
    ----------
    design : ClosedDesign
        The problem.
    theta : array, shape (P,)
        The vector of the full fit.
    delta : float
        Where Huber's loss turns linear; inf for least squares.
    allowed : float
        Excess of F at a limit, from the likelihood ratio.
    scale : array, shape (P,)
        Standard errors, which set the first step.
    only : array of bool, shape (P,), optional
        Entries to profile; the others keep their estimate as both limits.

    Returns
    -------
    lo, hi : array, shape (P,)
        As entries of a vector; infinite where a side is open, the bound where that is reached.
    """
    lo, hi = theta.copy(), theta.copy()
    for place in range(len(theta)):
        if only is not None and not only[place]:
            continue
        lo[place], hi[place] = _limits(HeldParameter(design, place, theta, delta), theta[place], allowed, scale[place])
    return lo, hi


def _limits(held: HeldParameter, centre: float, allowed: float, scale: float) -> tuple[float, float]:
    """Walk out to both sides at once until F exceeds its minimum by ``allowed``, then close in.

    The root of the excess is nearly linear in the value, so that the false position finds the limit in few refits.
    """
    lower, upper = held.system.box[:, held.place]
    is_log = bool(held.system.design.is_log[held.place])
    usual = 0.5 if is_log else 0.1 * max(abs(centre), 0.1)
    first = scale if np.isfinite(scale) and 0 < scale < 10 * usual else usual
    sides = np.array([-1.0, 1.0])
    inner, outer = np.full(2, centre), np.full(2, centre)
    heights = np.full((2, 2), -np.sqrt(allowed))  # inner and outer: root of the excess, less the allowed
    ends = np.tile(held.best, (2, 1))
    limit = np.full(2, np.nan)
    step = first
    for _ in range(DOUBLINGS):
        walking = np.flatnonzero(np.isnan(limit) & (heights[1] <= 0))
        if not len(walking):
            break
        inner[walking], heights[0, walking] = outer[walking], heights[1, walking]
        outer[walking] = np.clip(outer[walking] + sides[walking] * step, lower, upper)
        excess, moved = held.follow(outer[walking], ends[walking])
        heights[1, walking] = _root(excess, allowed)
        ends[walking[excess <= allowed]] = moved[excess <= allowed]
        for i in walking:
            if heights[1, i] <= 0 and outer[i] in (lower, upper):
                limit[i] = outer[i] if held.system.design.box[0, held.place] > -600 or not is_log else -np.inf
            elif heights[1, i] <= 0 and is_log and abs(outer[i] - centre) > FARTHEST:
                limit[i] = np.copysign(np.inf, sides[i])
        step *= 2
    limit = np.where(np.isnan(limit) & (heights[1] <= 0), np.copysign(np.inf, sides), limit)
    return _closed_in(held, inner, outer, heights, ends, limit, allowed)


def _root(excess: Array, allowed: float) -> Array:
    return np.asarray(np.sqrt(np.clip(excess, 0.0, 1e300)) - np.sqrt(allowed))


def _closed_in(
    held: HeldParameter, inner: Array, outer: Array, heights: Array, ends: Array, limit: Array, allowed: float
) -> tuple[float, float]:
    """Find the limits between an inner value within the allowed and an outer one beyond (Illinois false position)."""
    width = np.abs(outer - inner)
    last = np.zeros(2)
    for _ in range(ROUNDS):
        going = np.flatnonzero(np.isnan(limit))
        if not len(going):
            break
        a, b = inner[going], outer[going]
        fa, fb = heights[0, going], np.minimum(heights[1, going], 1e3 * np.sqrt(allowed))
        share = np.clip(-fa / (fb - fa), 0.02, 0.98)
        middle = a + share * (b - a)
        excess, moved = held.follow(middle, ends[going])
        value = _root(excess, allowed)
        within = value <= 0
        ends[going[within]] = moved[within]
        for k, i in enumerate(going):
            if within[k]:
                inner[i], heights[0, i] = middle[k], value[k]
                if last[i] < 0:
                    heights[1, i] /= 2  # the side that stays put is halved, or the other would creep up to it
                last[i] = -1
            else:
                outer[i], heights[1, i] = middle[k], value[k]
                if last[i] > 0:
                    heights[0, i] /= 2
                last[i] = 1
            if abs(outer[i] - inner[i]) <= CLOSE * width[i] or abs(value[k]) <= 1e-7 * np.sqrt(allowed):
                limit[i] = middle[k]
    limit = np.where(np.isnan(limit), 0.5 * (inner + outer), limit)
    return float(limit[0]), float(limit[1])
