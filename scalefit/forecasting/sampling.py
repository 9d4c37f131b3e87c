"""The posterior of one law: its mode, the curvature there, and weighted draws by importance sampling."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.forecasting.forms import LogLaw
from scalefit.posterior.importance import sample_by_importance

__all__ = ["DEGREES", "Draws", "LawMode", "draw", "find_mode", "log_scatter"]

Array = NDArray[np.float64]

DEGREES = 4.0  # of the residuals' Student t
STEPS = 200
LEAST = 1e-5  # scatter of log losses: digits of a table, below which its curvature leaves double precision
CLOSE = 1e-9  # fall of the objective that ends a search
CELLS = 400_000  # draws times rows that are evaluated at once


class LawMode(NamedTuple):
    """The most probable parameters of a law.

    Parameters
    ----------
    theta : array, shape (d,)
        Coordinates.
    frame : array, shape (d, d)
        ``theta + frame z`` has the expected curvature of a standard normal z.
    height : float
        Log density there, without constants of the rows.
    """

    theta: Array
    frame: Array
    height: float

    @property
    def covariance(self) -> Array:
        """Inverse of the expected curvature, shape (d, d)."""
        return np.asarray(self.frame @ self.frame.T)


class Draws(NamedTuple):
    """Weighted draws from the posterior of a law.

    Parameters
    ----------
    theta : array, shape (R, d)
        Coordinates.
    weight : array, shape (R,)
        Weights, which sum to 1.
    khat : float
        Shape of the weights' tail; above 0.7 averages over the draws cannot be trusted.
    log_evidence : float
        Log of the integral of likelihood times prior, up to a constant that all laws of the rows share.
    """

    theta: Array
    weight: Array
    khat: float
    log_evidence: float


def log_scatter(coordinate: Array | float) -> Array:
    """Return the log scale of the residuals: with a least scatter, for exact losses."""
    return np.asarray(0.5 * np.logaddexp(2 * np.asarray(coordinate), 2 * math.log(LEAST)))


def find_mode(law: LogLaw, u: Array, y: Array, weight: Array) -> LawMode:
    """Find the mode of the posterior by damped scoring from each start, and keep the best.

    Parameters
    ----------
    law : LogLaw
        The law.
    u : array, shape (n, k)
        Centred log columns.
    y : array, shape (n,)
        Log losses.
    weight : array, shape (n,)
        How many independent rows each stands for.

    Returns
    -------
    LawMode
        Of the best start.
    """
    modes = [_climb(law, u, y, weight, start) for start in law.starts()]
    return max(modes, key=lambda mode: mode.height)


def _climb(law: LogLaw, u: Array, y: Array, weight: Array, theta: Array) -> LawMode:
    mean, precision = law.prior_mean, law.prior_sd**-2.0
    nu = DEGREES

    def objective(point: Array) -> float:
        size = float(log_scatter(point[0]))
        r = (y - law.log_prediction(point[None], u)[0]) / math.exp(min(size, 30.0))
        loss = weight @ (0.5 * (nu + 1) * np.log1p(r * r / nu) + size)
        return float(loss + 0.5 * precision @ (point - mean) ** 2)

    value, damping = objective(theta), 1e-2
    information = np.diag(precision)
    for _ in range(STEPS):
        prediction, slope = law.gradient(theta, u)
        sigma = math.exp(float(log_scatter(theta[0])))
        own = (math.exp(min(theta[0], 30.0)) / sigma) ** 2  # derivative of the scatter by its coordinate, in logs
        r = (y - prediction) / sigma
        pull = (nu + 1) / (nu + r * r)
        uphill = (slope.T * (weight * pull * r)).sum(axis=1) / sigma - precision * (theta - mean)
        uphill[0] += own * (weight @ (pull * r * r - 1))
        information = (slope.T * (weight * (nu + 1) / (nu + 3))) @ slope / sigma**2 + np.diag(precision)
        information[0, 0] += own**2 * 2 * nu / (nu + 3) * weight.sum()
        fallen = 0.0
        for _ in range(30):
            step = np.linalg.solve(information + damping * np.diag(np.diag(information)), uphill)
            step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
            trial = objective(theta + step)
            if trial < value:
                fallen, value, theta = value - trial, trial, theta + step
                damping = max(damping / 5, 1e-9)
                break
            damping *= 4
        if fallen < CLOSE:
            break
    # In units of the prior no eigenvalue is below 1; rounding says otherwise where exact losses leave a direction open.
    size, axes = np.linalg.eigh(law.prior_sd[:, None] * information * law.prior_sd)
    frame = law.prior_sd[:, None] * axes / np.sqrt(np.maximum(size, 1.0))
    return LawMode(theta, frame, -value)


def draw(law: LogLaw, u: Array, y: Array, weight: Array, mode: LawMode, *, draws: int, seed: int) -> Draws:
    """Draw from the posterior with the package's importance sampler.

    Parameters
    ----------
    law, u, y, weight
        As for :func:`find_mode`.
    mode : LawMode
        Where to begin.
    draws : int
        Draws to keep.
    seed : int
        Seed.

    Returns
    -------
    Draws
        With weights.
    """
    mean, sd, nu = law.prior_mean, law.prior_sd, DEGREES
    total, constant = float(weight.sum()), float(np.log(sd).sum() + 0.5 * len(sd) * math.log(2 * math.pi))
    chunk = max(1, CELLS // len(y))

    def density(points: Array) -> Array:
        out = np.empty(len(points))
        for at in range(0, len(points), chunk):
            some = points[at : at + chunk]
            r = law.log_prediction(some, u)
            r -= y
            size = log_scatter(some[:, 0])
            r *= np.exp(-size)[:, None]
            r *= r
            r /= nu
            np.log1p(r, out=r)
            prior = 0.5 * (((some - mean) / sd) ** 2).sum(axis=1)
            out[at : at + chunk] = -0.5 * (nu + 1) * (r @ weight) - total * size - prior - constant
        return np.where(np.isfinite(out), out, -np.inf)

    found = sample_by_importance(density, mode.theta[None], mode.frame[None], np.zeros(1), draws=draws, seed=seed)
    return Draws(found.x, found.weight, found.khat, found.log_evidence)


def moments(law: LogLaw, drawn: Draws, u: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of the log prediction under weighted draws, each of shape (m,)."""
    mean, square = np.empty(len(u)), np.empty(len(u))
    chunk = max(1, CELLS // len(drawn.weight))
    for at in range(0, len(u), chunk):
        logs = law.log_prediction(drawn.theta, u[at : at + chunk])
        mean[at : at + chunk] = drawn.weight @ logs
        logs -= mean[at : at + chunk]
        square[at : at + chunk] = drawn.weight @ (logs * logs)
    return mean, np.sqrt(square)
