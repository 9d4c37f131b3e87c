"""Many descents at once, from many starts or under many sets of row weights, each to its local minimum.

A step solves ``(|H| + m D) s = -g`` in coordinates where the majoriser's diagonal D is 1. H is Gauss-Newton's far from
a minimum, because the exact Hessian is indefinite there; near one it is exact, because Huber's loss with a delta far
below the scatter leaves few rows in the quadratic part, and most of the curvature is then that of the law. |H| has
the eigenvalues' absolute values: a saddle repels. Coordinates at a bound stay there while the gradient holds them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.closed.design import Array, System
from scalefit.law.tree import Program

__all__ = ["Ends", "Misfit", "descend"]

Index = NDArray[np.int64]

TOLERANCE: Final = 1e-14  # predicted gain, as part of F, at which a descent has arrived
ROUGH: Final = 1e-4  # the same with Gauss-Newton's Hessian, after which a descent goes on with the exact one
ROUNDING: Final = 1e-27  # F of data without noise is rounding
KINKS: Final = 3  # accepted steps in a row that gain nothing: at a kink of the law or of the loss
LONGEST: Final = 3.0  # largest change of a logarithm in one step
FLAT: Final = 1e-15  # curvature, with the majoriser's as unit, below which a direction counts as flat
PIECE: Final = 60_000  # points times rows of one evaluation: its arrays then stay in the cache


class State(NamedTuple):
    """F and its derivatives at S points.

    Parameters
    ----------
    value : array, shape (S,)
        F; infinite where the law is not defined.
    gradient : array, shape (S, P)
        First derivatives.
    hessian : array, shape (S, P, P)
        Second derivatives, or Gauss-Newton's approximation.
    scale : array, shape (S, P)
        Diagonal of the majoriser ``sum w psi/r J J^T``.
    """

    value: Array
    gradient: Array
    hessian: Array
    scale: Array


class Misfit:
    """F of a system and its derivatives, for many points.

    Parameters
    ----------
    system : System
        The law in some coordinates.
    rows : array of int or slice
        The rows used.
    """

    def __init__(self, system: System, rows: Index | slice = slice(None)) -> None:
        self.system, self.rows = system, rows
        design = system.design
        self.target, self.weight = design.target[rows], design.weight[rows]
        self._programs: dict[bool | None, Program] = {}
        self._levels = {name: codes[rows] for name, codes in design.codes.items()}
        self._combinations: dict[tuple[int, int], tuple[Index, Index, Array]] = {}

    def _run(self, z: Array, order: bool | None) -> list[Array]:
        """Evaluate the prediction (None), and the Jacobian (False), and the second derivatives (True)."""
        if order not in self._programs:
            nodes = [self.system.fitted]
            if order is not None:
                nodes += self.system.first
            if order:
                nodes += self.system.second.values()
            self._programs[order] = self.system.program(nodes, self.rows)
        return self._programs[order](self.system.values(z, self.rows))

    def residual(self, z: Array) -> Array:
        """Target minus prediction, shape (S, n)."""
        fitted = self._run(z, None)[0]
        return np.asarray(self.target - np.broadcast_to(fitted, (len(z), len(self.target))))

    def value(self, z: Array, delta: float, weight: Array | None = None) -> Array:
        """F, shape (S,), infinite where the law is not defined; ``weight`` has shape (n,) or (S, n)."""
        weight = self.weight if weight is None else weight
        each = max(1, PIECE // max(1, len(self.target)))
        with np.errstate(all="ignore"):
            pieces = [
                _total(self.residual(z[i : i + each]), delta, weight if weight.ndim == 1 else weight[i : i + each])
                for i in range(0, len(z), each)
            ]
        return np.concatenate(pieces) if pieces else np.zeros(0)

    def jacobian(self, z: Array) -> Array:
        """Return the derivative of the prediction, shape (S, P, n)."""
        return self.by_level(z, self._run(z, False)[1 : 1 + len(self.system.names)])

    def by_level(self, z: Array, slopes: list[Array]) -> Array:
        """Put derivatives by parameters into columns by level, shape (S, P, n)."""
        n, blocks = len(self.target), self.system.design.blocks
        full = np.zeros((len(z), z.shape[1], n))
        for name, slope in zip(self.system.names, slopes, strict=True):
            first = blocks[name].start
            if name in self._levels:
                full[:, first + self._levels[name], np.arange(n)] = slope
            else:
                full[:, first] = slope
        return full

    def state(self, z: Array, delta: float, weight: Array | None, *, exact: bool) -> State:
        """Evaluate everything.

        Parameters
        ----------
        z : array, shape (S, P)
            Points.
        delta : float
            Where Huber's loss turns linear; inf for least squares.
        weight : array, shape (S, n), optional
            Row weights; those of the design when absent.
        exact : bool
            The exact Hessian, or Gauss-Newton's (for Huber's loss with the weights ``psi / r``).

        Returns
        -------
        State
            At every point.
        """
        each = max(1, PIECE // max(1, len(self.target)))
        if len(z) <= each:
            return self._state(z, delta, self.weight if weight is None else weight, exact)
        pieces = [
            self._state(z[i : i + each], delta, self.weight if weight is None else weight[i : i + each], exact)
            for i in range(0, len(z), each)
        ]
        return State(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))

    def _state(self, z: Array, delta: float, weight: Array, exact: bool) -> State:
        count = len(self.system.names)
        outputs = self._run(z, exact)
        with np.errstate(all="ignore"):
            residual = self.target - np.broadcast_to(outputs[0], (len(z), len(self.target)))
            jacobian = self.by_level(z, outputs[1 : 1 + count])
            size = np.abs(residual)
            pull = weight * np.clip(residual, -delta, delta)
            steep = weight * np.minimum(1.0, delta / size) if delta < np.inf else np.broadcast_to(weight, size.shape)
            value = _total(residual, delta, weight)
            bend = np.where(size <= delta, weight, 0.0) if exact and delta < np.inf else steep
            gradient = -(jacobian @ pull[:, :, None])[:, :, 0]
            hessian = (jacobian * bend[:, None, :]) @ jacobian.transpose(0, 2, 1)
            scale = np.einsum("sin,sin,sn->si", jacobian, jacobian, steep) if bend is not steep else None
            if scale is None:
                scale = np.einsum("sii->si", hessian).copy()
            if exact:
                self._add_second(hessian, outputs[1 + count :], pull)
        finite = np.isfinite(value) & np.isfinite(gradient).all(axis=1) & np.isfinite(hessian).all(axis=(1, 2))
        return State(np.where(finite, value, np.inf), gradient, hessian, scale)

    def _add_second(self, hessian: Array, outputs: list[Array], pull: Array) -> None:
        """Subtract the rows' pull times the second derivatives of the law."""
        for (i, j), bend in zip(self.system.second, outputs, strict=True):
            product = pull * bend
            first_name, other = (self.system.names[k] for k in (i, j))
            if first_name not in self._levels and other not in self._levels:
                first, second = (self.system.design.blocks[name].start for name in (first_name, other))
                total = product.sum(axis=1)
                hessian[:, first, second] -= total
                if first != second:
                    hessian[:, second, first] -= total
                continue
            firsts, seconds, sums = self._combination(i, j)
            total = product @ sums
            hessian[:, firsts, seconds] -= total
            if i != j:
                hessian[:, seconds, firsts] -= total

    def _combination(self, i: int, j: int) -> tuple[Index, Index, Array]:
        """Return the pairs of levels that occur, and the matrix that sums rows over each pair."""
        if (i, j) not in self._combinations:
            n = len(self.target)
            places = [
                self.system.design.blocks[name].start + self._levels.get(name, np.zeros(n, dtype=np.int64))
                for name in (self.system.names[i], self.system.names[j])
            ]
            pairs, which = np.unique(np.column_stack(places), axis=0, return_inverse=True)
            sums = (which.reshape(-1, 1) == np.arange(len(pairs))).astype(float)
            self._combinations[i, j] = pairs[:, 0], pairs[:, 1], sums
        return self._combinations[i, j]


def _total(residual: Array, delta: float, weight: Array) -> Array:
    psi = np.clip(residual, -delta, delta)
    value = np.einsum("sn,sn->s", np.broadcast_to(weight, residual.shape) * psi, residual - 0.5 * psi)
    return np.where(np.isnan(value), np.inf, value)


class Ends(NamedTuple):
    """Where descents ended.

    Parameters
    ----------
    z : array, shape (S, P)
        The points.
    value : array, shape (S,)
        F there; infinite for a start where the law is not defined.
    converged : array of bool, shape (S,)
        Whether a minimum was reached within the steps.
    """

    z: Array
    value: Array
    converged: NDArray[np.bool_]


def descend(
    misfit: Misfit,
    starts: Array,
    *,
    delta: float,
    exact: bool,
    limit: int,
    weight: Array | None = None,
    held: NDArray[np.bool_] | None = None,
) -> Ends:
    """Descend from many points.

    Parameters
    ----------
    misfit : Misfit
        What to minimise.
    starts : array, shape (S, P)
        Where to begin; clipped into the box.
    delta : float
        Where Huber's loss turns linear; inf for least squares.
    exact : bool
        Use the exact Hessian.
    limit : int
        Most steps.
    weight : array, shape (S, n), optional
        Row weights of each descent; those of the design when absent.
    held : array of bool, shape (P,) or (S, P), optional
        Coordinates that keep their value.

    Returns
    -------
    Ends
        One for each start.
    """
    lower, upper = misfit.system.box
    logs = np.isfinite(upper) | misfit.system.design.is_log
    fixed = np.zeros(starts.shape, dtype=np.bool_) if held is None else np.broadcast_to(held, starts.shape)
    z = np.clip(np.array(starts, dtype=float), lower, upper)
    value, converged = np.full(len(z), np.inf), np.zeros(len(z), dtype=np.bool_)
    going = np.arange(len(z))
    tolerance = TOLERANCE if exact else ROUGH
    state = misfit.state(z, delta, weight, exact=exact)
    value[:] = state.value
    keep = np.isfinite(state.value)
    going, state = going[keep], _some(state, keep)
    damping = np.full(len(going), 1e-3)
    idle = np.zeros(len(going), dtype=np.int64)
    for _ in range(limit):
        if not len(going):
            break
        at = z[going]
        step, gain, newton = _step(state, at, lower, upper, fixed[going], damping)
        trial = np.clip(at + _shortened(step, logs), lower, upper)
        arrived = (newton <= tolerance * state.value + ROUNDING) | (idle >= KINKS) | (damping > 1e12)
        converged[going[arrived]] = True
        if arrived.any():
            left = ~arrived
            going, state, trial, at = going[left], _some(state, left), trial[left], at[left]
            damping, idle, gain = damping[left], idle[left], gain[left]
            if not len(going):
                break
        new = misfit.state(trial, delta, None if weight is None else weight[going], exact=exact)
        with np.errstate(invalid="ignore"):
            won = state.value - new.value
        better = won >= 0
        ratio = np.where(better, won, 0.0) / np.maximum(gain, 1e-300)
        damping = np.where(ratio > 0.75, damping / 8, np.where(ratio > 0.2, damping, np.maximum(damping, 1e-8) * 4))
        damping = np.where(better, np.maximum(damping, 1e-12), damping * 2)
        idle = np.where(better, np.where(won <= TOLERANCE * state.value + ROUNDING, idle + 1, 0), idle)
        z[going[better]] = trial[better]
        value[going[better]] = new.value[better]
        state = State(*(_mixed(better, a, b) for a, b in zip(new, state, strict=True)))
    return Ends(z, value, converged)


def _some(state: State, which: NDArray[np.bool_]) -> State:
    return State(*(part[which] for part in state))


def _mixed(which: NDArray[np.bool_], a: Array, b: Array) -> Array:
    return np.where(which.reshape(-1, *(1,) * (a.ndim - 1)), a, b)


def _step(
    state: State, z: Array, lower: Array, upper: Array, fixed: NDArray[np.bool_], damping: Array
) -> tuple[Array, Array, Array]:
    """Return the damped step, the gain that its quadratic model predicts, and that of the undamped step."""
    stuck = fixed | ((z <= lower) & (state.gradient > 0)) | ((z >= upper) & (state.gradient < 0))
    root = np.sqrt(np.where(stuck | (state.scale <= 0), 1.0, state.scale))
    slope = np.where(stuck, 0.0, state.gradient / root)
    bend = state.hessian / (root[:, :, None] * root[:, None, :])
    bend = np.where(stuck[:, :, None] | stuck[:, None, :], 0.0, bend)
    curvature, axes = np.linalg.eigh(bend)
    along = (axes.transpose(0, 2, 1) @ slope[:, :, None])[:, :, 0]
    stiff = np.maximum(np.abs(curvature), FLAT)
    damped = stiff + damping[:, None]
    step = -(axes @ (along / damped)[:, :, None])[:, :, 0] / root
    with np.errstate(over="ignore", invalid="ignore"):  # far out, where the slope alone is 1e200
        gain = (along**2 * (1 / damped - 0.5 * curvature / damped**2)).sum(axis=1)
        newton = 0.5 * (along**2 / stiff).sum(axis=1)
    return np.where(stuck, 0.0, step), gain, newton


def _shortened(step: Array, logs: NDArray[np.bool_]) -> Array:
    """Keep logarithms from moving further in one step than a factor that is worth a new look."""
    longest = np.abs(np.where(logs, step, 0.0)).max(axis=1, initial=0.0)
    shortened: Array = step * np.minimum(1.0, LONGEST / np.maximum(longest, 1e-300))[:, None]
    return shortened
