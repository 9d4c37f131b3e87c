"""The mode of a density and its Hessian, by finite differences over batches, which need no code for derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mode", "climb"]

Array = NDArray[np.float64]
LogDensity = Callable[[Array], Array]

NUDGE = 0.1  # spacing of differences, in posterior standard deviations
LONGEST = 3.0  # longest step along an eigenvector of the Hessian, in standard deviations
FLATTEST = 0.05  # smallest curvature that is used, in the current frame
STEPS = 2.0 ** -np.arange(0.0, 12.0)


class Mode(NamedTuple):
    """A local maximum and the frame in which the density is round there.

    Parameters
    ----------
    x : array, shape (d,)
        The maximum.
    value : float
        Log density.
    frame : array, shape (d, d)
        ``x = mode + frame z`` with ``z`` of unit curvature.
    log_mass : float
        Log of the integral of the normal with the value and curvature there (Laplace approximation).
    """

    x: Array
    value: float
    frame: Array
    log_mass: float


def climb(density: LogDensity, start: Array, scale: Array, *, limit: int = 100, tolerance: float = 1e-7) -> Mode:
    """Climb to a local maximum by damped Newton steps.

    Parameters
    ----------
    density : callable
        Log density of points, shape (R, d) to (R,).
    start : array, shape (d,)
        Starting point; the density must be finite there.
    scale : array, shape (d,)
        Rough standard deviations.
    limit : int
        Largest number of steps.
    tolerance : float
        Gain of log density at which to stop.

    Returns
    -------
    Mode
        The maximum reached.
    """
    x, frame = start.copy(), np.diag(scale)
    for _ in range(limit):
        value, slope, bend = _differences(density, x, frame)
        curvature, axes = np.linalg.eigh(-bend)
        stiff = np.maximum(np.abs(curvature), FLATTEST)  # the absolute value, to climb also where the density is convex
        step = np.clip(axes.T @ slope / np.sqrt(stiff), -LONGEST, LONGEST)
        frame = frame @ (axes / np.sqrt(stiff))
        trials = x + STEPS[:, None] * (frame @ step)
        heights = density(trials)
        best = int(np.argmax(heights))
        if not heights[best] - value > tolerance:
            break
        x = trials[best]
    value, slope, bend = _differences(density, x, frame)
    curvature, axes = np.linalg.eigh(-bend)
    frame = frame @ (axes / np.sqrt(np.maximum(curvature, FLATTEST)))
    # Of all roots of the covariance the triangular one is unique. Signs of eigenvectors, and their directions where
    # curvatures nearly agree, depend on rounding errors, and with them all proposals would.
    root = np.asarray(np.linalg.qr(frame.T, mode="r")).T
    frame = root * np.sign(np.diag(root))
    _, size = np.linalg.slogdet(frame)
    return Mode(x, value, frame, value + float(size) + 0.5 * len(x) * np.log(2 * np.pi))


def _differences(density: LogDensity, x: Array, frame: Array) -> tuple[float, Array, Array]:
    """Return value, gradient and Hessian in the coordinates of the frame, by central differences."""
    d = len(x)
    i, j = np.triu_indices(d, 1)
    unit = NUDGE * np.eye(d)
    points = np.vstack([np.zeros((1, d)), unit, -unit, unit[i] + unit[j], -unit[i] - unit[j]])
    values = density(x + points @ frame.T)
    centre, up, down = values[0], values[1 : d + 1], values[d + 1 : 2 * d + 1]
    slope = (up - down) / (2 * NUDGE)
    bend = np.diag((up - 2 * centre + down) / NUDGE**2)
    both = values[2 * d + 1 :].reshape(2, -1).sum(axis=0)
    mixed = (both + 2 * centre - up[i] - down[i] - up[j] - down[j]) / (2 * NUDGE**2)
    bend[i, j] = bend[j, i] = mixed
    return float(centre), np.nan_to_num(slope), np.nan_to_num(bend, posinf=0.0, neginf=0.0)
