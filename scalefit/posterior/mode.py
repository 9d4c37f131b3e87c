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
FINE = 1e-3  # spacing of the differences that the last steps use
LAST = 6  # steps with them at most
FRAMES = 4  # wide differences depend a little on the frame that they are taken in; each round removes most of that
GRID = 1e-4  # of standard deviations, to which a mode and its frame are rounded
CLOSE = 1e-6  # length of a step, in standard deviations, after which the mode is known


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
    x = _centred(density, x, frame)
    for _ in range(FRAMES):
        value, _, bend = _differences(density, x, frame)
        curvature, axes = np.linalg.eigh(-bend)
        frame = _triangular(frame @ (axes / np.sqrt(np.maximum(curvature, FLATTEST))))
        if not curvature[0] > FLATTEST:
            break  # a flat direction would be stretched again
    x, frame = _on_grid(x, frame)
    value = float(np.ravel(density(x[None]))[0])
    _, size = np.linalg.slogdet(frame)
    return Mode(x, value, frame, round(value + float(size) + 0.5 * len(x) * np.log(2 * np.pi), 6))


def _centred(density: LogDensity, x: Array, frame: Array) -> Array:
    """Move a point near a mode onto it.

    Where a climb ends is known to a thousandth of a standard deviation: wide differences are biased in a way that
    depends on the frame, and the line search stops by rounding errors. Proposals start from this point, so that their
    digits would depend on how the arrays happen to lie in memory. Steps that lead away, as on a ridge, are not made.
    """
    _, _, bend = _differences(density, x, frame)
    curvature, axes = np.linalg.eigh(-bend)
    if not curvature[0] > FLATTEST:
        return x
    fine = FINE * np.eye(len(x))
    centre, longest = x, NUDGE
    for _ in range(LAST):
        up, down = np.split(density(centre + np.vstack([fine, -fine]) @ frame.T), 2)
        step = axes @ (axes.T @ ((up - down) / (2 * FINE)) / curvature)
        length = float(np.linalg.norm(step))
        if not length <= longest:
            return x
        centre, longest = centre + frame @ step, length
        if length < CLOSE:
            break
    return np.asarray(centre)


def _on_grid(x: Array, frame: Array) -> tuple[Array, Array]:
    """Round a mode and its triangular frame to ten thousandths of the standard deviations that the diagonal has.

    These are those of each coordinate given the ones before it, so that a narrow ridge keeps its shape. Rounding
    errors, which are far smaller, end here: what is drawn about a mode is the same to the last bit.
    """
    unit = 10.0 ** np.floor(np.log10(np.diag(frame))) * GRID
    return np.round(x / unit) * unit, np.round(frame / unit[:, None]) * unit[:, None]


def _triangular(frame: Array) -> Array:
    """Return the triangular root of the covariance of a frame, which of all its roots is unique.

    Signs of eigenvectors, and their directions where curvatures nearly agree, depend on rounding errors, and with them
    all proposals would.
    """
    root = np.asarray(np.linalg.qr(frame.T, mode="r")).T
    return np.asarray(root * np.sign(np.diag(root)))


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
