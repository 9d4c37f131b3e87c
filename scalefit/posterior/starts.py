"""The modes of a posterior, found from least-squares optima."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from scalefit.closed.search import search_closed
from scalefit.closed_problem import ClosedProblem
from scalefit.errors import DataError
from scalefit.names import printed_name
from scalefit.posterior.defaults import COMMON, any_sign
from scalefit.posterior.density import Density
from scalefit.posterior.mode import Mode, climb
from scalefit.problem import Problem
from scalefit.solver.search import Minimum, search

__all__ = ["find_modes"]

Array = NDArray[np.float64]

MOST_STARTS = 6
ROBUST = 1.4826  # median absolute deviation to standard deviation of a normal
ROUGH = 0.01  # first guess of the standard deviation of every coordinate, which the ascent corrects
HELD = 0.3  # standard deviation of the penalty on the log of a pooled spread
NEGLIGIBLE = 10.0  # log mass below that of the best mode at which a mode is dropped
RESOLVED = 1e12
SAME = 1.0  # modes within this many standard deviations count as the same


def find_modes(density: Density, optima: tuple[Minimum, ...], *, seed: int = 0) -> tuple[Mode, ...]:
    """Find the modes, climbing from every distinct least-squares optimum and from a robust one.

    Where clusters share a shift, each start is tried with the shifts that its residuals suggest, and with shifts as
    wide as the response varies between clusters. The second leaves the law to the rows within clusters. Where these
    obey it and the levels do not, that mode holds nearly all of the mass, and no climb from small shifts reaches it.

    The ascent is on the density times ``sigma^P``, roughly its integral over the P parameters of the law. The density
    has spikes: where P rows are fitted exactly, sigma and the degrees of freedom can go to 0 together (Fernandez and
    Steel 1999). They have no mass, and are not modes of the integral. The spread of centred members is kept near its
    least-squares value by a penalty, away from the spike at a spread of 0.

    Parameters
    ----------
    density : Density
        The posterior.
    optima : tuple of Minimum
        From the least-squares search, best first.
    seed : int
        Seed of the robust search.

    Returns
    -------
    tuple of Mode
        Distinct modes with non-negligible mass, the largest first.

    Raises
    ------
    DataError
        When the density is zero at every start.
    """
    law = density.coordinates.n_law
    starts = [optimum.theta for optimum in optima[:MOST_STARTS]]
    if density.likelihood == "student_t":
        delta = 1.5 * ROBUST * float(np.median(np.abs(_residual(density, starts[0]))))
        if delta > 0:
            starts += [found.theta for found in _search(density.problem, delta, seed)[:2]]

    coordinates = density.coordinates
    spreads = coordinates.held_spreads

    def bonus_at(x: Array, start: Array) -> Array:  # log sigma is the coordinate after those of the law
        away: Array = ((x[:, spreads] - start[spreads]) ** 2).sum(axis=1) / (2 * HELD**2)
        return law * x[:, law] - away

    def climbed(start: Array, x: Array) -> Array:
        return density(x) + bonus_at(x, start)

    modes = []
    points = [_point(density, theta) for theta in starts]
    if density.blocks.shifted:
        points += [_point(density, theta, wide=True) for theta in starts]
    for start in points:
        if np.isfinite(density(start[None])[0]):
            mode = climb(partial(climbed, start), start, np.full(len(start), ROUGH))
            bonus = float(bonus_at(mode.x[None], start)[0])
            modes.append(mode._replace(value=mode.value - bonus, log_mass=mode.log_mass - bonus))
    # a larger log density cannot resolve differences of 1 in double precision: some prior is far too steep there
    modes = [mode for mode in modes if abs(mode.log_mass) < RESOLVED]
    if not modes:
        raise DataError(
            "the posterior density is zero wherever the data put the law: some prior excludes them. Priors: "
            + ", ".join(f"{printed_name(*key)} ~ {prior}" for key, prior in density.priors.items())
        )
    return _distinct(modes)


def _search(problem: Problem | ClosedProblem, delta: float, seed: int) -> tuple[Minimum, ...]:
    """Search for the optimum of Huber's loss."""
    if isinstance(problem, ClosedProblem):
        return search_closed(problem.design, delta=delta, seed=seed)
    return search(problem.design, delta=delta, free_sign=problem.free_sign, seed=seed)


def _residual(density: Density, theta: Array) -> Array:
    draw = np.concatenate([density.problem.to_natural(theta), np.ones(density.size - len(theta))])
    residual: Array = density.residuals(draw[None])[0]
    return residual


def _point(density: Density, theta: Array, *, wide: bool = False) -> Array:
    """Return coordinates at a least-squares point, with scales estimated from its residuals.

    With wide shifts, which vary as the response does between clusters and leave to a row what varies within one.
    """
    problem = density.problem
    residual = _residual(density, theta)
    sigma = max(float(np.std(residual)), 1e-8)
    scales = [sigma, 4.0] if density.likelihood == "student_t" else [sigma]
    if density.blocks.shifted:
        count = np.bincount(problem.cluster)
        mean = np.bincount(problem.cluster, residual) / count
        scales.append(max(float(np.std(mean)), 0.1 * sigma))
        if wide:
            scales[0] = max(float(np.std(residual - mean[problem.cluster])), 1e-8)
            scales[-1] = float(np.std(np.bincount(problem.cluster, density.target) / count))
    commons, spreads = [], []
    for extra in density.parameters:
        if extra.kind == COMMON:
            own = np.array([parameter.coef.name == extra.coef.name for parameter in problem.parameters])
            free = isinstance(problem, Problem) and any_sign(extra, problem)
            values = theta[own] if free else np.log(np.maximum(theta[own], 0.02))
            commons.append(float(values.mean()) if free else float(np.exp(values.mean())))
            spreads.append(float(np.clip(np.std(values), 0.05, 1.0)))
    return density.coordinates.start(theta, np.array(scales), np.array(commons + spreads))


def _distinct(modes: list[Mode]) -> tuple[Mode, ...]:
    modes = sorted(modes, key=lambda mode: -mode.log_mass)
    kept: list[Mode] = []
    for mode in modes:
        far = all(np.linalg.norm(np.linalg.solve(i.frame, mode.x - i.x)) > SAME for i in kept)
        if far and mode.log_mass > modes[0].log_mass - NEGLIGIBLE:
            kept.append(mode)
    return tuple(kept)
