"""Profile intervals: how far one parameter can move when all others give way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from scalefit.binding import AnyProblem
from scalefit.closed.profile import profile_closed
from scalefit.closed_problem import ClosedProblem
from scalefit.leastsq.closed import shape_at
from scalefit.leastsq.covariance import chi_square_unit
from scalefit.quantiles import f_quantile
from scalefit.solver.batch import minimise_batch
from scalefit.solver.design import Design, build_design

__all__ = ["profile_intervals"]

Array = NDArray[np.float64]
FAR = 60  # doublings of the step before a side counts as open
HALVINGS = 2000


class _Side(NamedTuple):
    """One parameter of one problem, held at values on its way out."""

    design: Design
    place: int
    best: Array
    delta: float

    def excess(self, value: float, start: Array) -> tuple[float, Array]:
        """F with the parameter held, and where the others went."""
        held = np.zeros(len(start), dtype=np.bool_)
        held[self.place] = True
        start = start.copy()
        start[self.place] = value
        starts = np.array([start, self._shifted(value)])
        minima = minimise_batch(self.design, starts, delta=self.delta, held=held)
        winner = int(np.argmin(minima.value))
        return float(minima.value[winner]), minima.theta[winner]

    def _shifted(self, value: float) -> Array:
        point = self.best.copy()
        point[self.place] = value
        return point


def profile_intervals(
    problem: AnyProblem,
    theta: Array,
    *,
    delta: float,
    level: float,
    scale: Array,
    only: NDArray[np.bool_] | None = None,
) -> tuple[Array, Array]:
    """Return lower and upper profile limits of every parameter, each of shape (P,).

    The limit is where ``2 (F_held - F_min) mean(psi') / mean(psi^2)`` reaches the quantile of ``F(1, n - p)``:
    the likelihood ratio for normal errors, its robust analogue for Huber (Schrader and Hettmansperger 1980).

    Parameters
    ----------
    problem : Problem or ClosedProblem
        The problem.
    theta : array, shape (P,)
        The optimum, centred.
    delta : float
        Where the Huber loss turns linear; inf for least squares.
    level : float
        Probability of the intervals.
    scale : array, shape (P,)
        Standard errors, which set the first step.
    only : array of bool, shape (P,), optional
        Parameters to profile; the others keep their estimate as both limits.

    Returns
    -------
    lo, hi : array, shape (P,)
        Coefficients as logs; infinite where a side is open, the bound where that is reached.
    """
    shape = shape_at(problem, theta, delta)
    quantile = f_quantile(level, 1, max(1, problem.n_rows - len(theta)))
    allowed = 0.5 * quantile * chi_square_unit(shape, problem.weight)
    if isinstance(problem, ClosedProblem):
        return profile_closed(problem.design, theta, delta=delta, allowed=allowed, scale=scale, only=only)
    point = problem.design.to_natural(theta)
    lo, hi = point.copy(), point.copy()
    for i, parameter in enumerate(problem.parameters):
        if only is not None and not only[i]:
            continue
        design = problem.design
        if parameter.is_log:  # its own log must be a coordinate
            raw = np.array([i - design.law.n_floor])
            design = build_design(design.law, log_space=design.log_space, free_sign=problem.free_sign, raw=raw)
        side = _Side(design, i, design.from_natural(point), delta)
        step = scale[i] if scale[i] > 0 else 0.1 * max(abs(point[i]), 0.1)
        lo[i], hi[i] = (_limit(side, allowed, direction * step) for direction in (-1.0, 1.0))
    return lo, hi


def _limit(side: _Side, allowed: float, step: float) -> float:
    """Walk outwards until F exceeds its minimum by ``allowed``, then bisect."""
    lower, upper = side.design.link.box[:, side.place]
    bottom, start = side.excess(side.best[side.place], side.best)
    inner = side.best[side.place]
    for _ in range(FAR):
        outer = float(np.clip(inner + step, lower, upper))
        value, moved = side.excess(outer, start)
        if value - bottom > allowed:
            break
        if outer in (lower, upper):
            return outer
        # the exponent of a term that has underflowed has no value of its own: it stays where it was
        inner, start, step = outer, np.where(np.isnan(moved), start, moved), 2 * step
    else:
        return float(np.copysign(np.inf, step))

    def gap(value: float) -> float:
        return side.excess(value, start)[0] - bottom - allowed

    # after a first step of many orders of magnitude, brentq needs more than its usual hundred halvings
    return float(optimize.brentq(gap, inner, outer, xtol=1e-10, rtol=1e-9, maxiter=HALVINGS))
