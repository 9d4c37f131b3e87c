"""Starting points without boxes: exponents spread, scales by balance, linear coefficients solved exactly.

A scale is drawn so that its side of a sum, a minimum or an exponent matches the other side at a random row: where the
two sides differ by orders of magnitude everywhere, the data say nothing about it and a descent finds no slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from scalefit.closed.design import Array, ClosedDesign, System
from scalefit.law.tree import (
    Node,
    Program,
    add,
    column,
    columns_of,
    derivative,
    number,
    parameter,
    parameters_of,
    topological,
)

__all__ = ["Starter", "linear_parameters"]

Index = NDArray[np.int64]

FLATTEST: Final = 0.02
STEEPEST: Final = 5.0  # exponents are drawn between these, log-uniform
SPREAD: Final = 0.7  # standard deviation of the log by which a scale misses its balance
SWEEPS: Final = 2  # each balance uses the other scales, which are only rough in the first
VANISHING: Final = 1e-3  # part of the response that a coefficient gets which the exact solution has at or below 0
RIDGE: Final = 1e-12


@dataclass(frozen=True, eq=False)
class Linear:
    """Parameters in which the prediction, or its logarithm, is linear when all others are held.

    Parameters
    ----------
    of_log : bool
        Whether it is the logarithm.
    names : tuple of str
        The parameters.
    lifted : tuple of bool
        Whether the exponential of the parameter's entry is the linear coefficient.
    """

    of_log: bool
    names: tuple[str, ...]
    lifted: tuple[bool, ...]


def linear_parameters(system: System) -> Linear:
    """Read from the second derivatives which parameters can be solved for exactly.

    ``exp(b) C`` is its own second derivative by b, as the same node: so a coefficient is seen through its logarithm,
    and so is a free parameter inside of an ``exp``.
    """
    of_response = _largest(system.prediction, system.names)
    linear = Linear(False, *of_response)
    if system.design.log_space:
        of_log = _largest(system.fitted, system.names)
        if len(of_log[0]) > len(of_response[0]):
            linear = Linear(True, *of_log)
    elif system.prediction.kind == "exp" and (system.design.response > 0).all():
        of_log = _largest(system.prediction.arguments[0], system.names)
        if len(of_log[0]) > len(of_response[0]):
            linear = Linear(True, *of_log)
    return linear


def _largest(node: Node, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Return the largest set of parameters in which an expression is linear together."""
    slopes = {name: derivative(node, name) for name in names}
    lifted = {name: derivative(slope, name) is slope for name, slope in slopes.items()}
    single = [name for name in names if lifted[name] or name not in parameters_of(slopes[name])]
    clash = {(a, b) for a, b in combinations(single, 2) if derivative(slopes[a], b) is not number(0)}
    sets: list[tuple[str, ...]] = [()]  # all that go together, built name by name; laws have few linear parameters
    for name in single:
        sets += [(*members, name) for members in sets if not any((other, name) in clash for other in members)]
    best = max(sets, key=len)
    return best, tuple(lifted[name] for name in best)


@dataclass(frozen=True, eq=False)
class Balance:
    """One place where a scale meets something to be compared with.

    Parameters
    ----------
    name : str
        The scale.
    side : Node
        The smallest part of a sum, minimum, maximum or exponent that holds it.
    other : Node or None
        What stands on the other side; None where the part should be about 1, as inside of ``exp``.
    """

    name: str
    side: Node
    other: Node | None


class Starter:
    """Draws starting points of one design.

    Parameters
    ----------
    design : ClosedDesign
        The problem.
    most_rows : int
        Rows that are looked at, evenly spread, when there are more.
    """

    def __init__(self, design: ClosedDesign, most_rows: int = 400) -> None:
        self.design, self.system = design, design.plain
        n = len(design.response)
        self.rows: Index = np.unique(np.linspace(0, n - 1, min(n, most_rows)).astype(np.int64))

    @cached_property
    def linear(self) -> Linear:
        """What is solved for exactly."""
        return linear_parameters(self.system)

    @cached_property
    def roles(self) -> dict[str, Literal["exponent", "scale"]]:
        """How each parameter that is not solved for is drawn."""
        exponents: set[str] = set()
        for node in topological(self.design.expression):
            if node.kind == "power" and columns_of(node.arguments[0]):
                exponents.update(parameters_of(node.arguments[1]))
        rest = [name for name in self.design.parameters if name not in self.linear.names]
        return {name: "exponent" if name in exponents else "scale" for name in rest}

    @cached_property
    def balances(self) -> dict[str, list[Balance]]:
        """Where each scale meets something."""
        scales = [name for name, role in self.roles.items() if role == "scale"]
        above: dict[Node, list[Node]] = {}
        for node in topological(self.design.expression):
            for argument in dict.fromkeys(node.arguments):
                above.setdefault(argument, []).append(node)
        return {
            name: _balances(name, self.design.expression, above, set(self.linear.names), free=self._signed(name))
            for name in scales
        }

    def _signed(self, name: str) -> bool:
        block = self.design.blocks[name]
        return bool((self.design.lower[block] < 0).any())

    def draw(self, count: int, seed: int) -> Array:
        """Draw starting vectors, shape (count, P); where the law is not defined they are useless, and stay in."""
        rng = np.random.default_rng([seed, count])
        points = _spread(count, len(self.roles), rng)
        theta = np.ones((count, self.design.n_parameters))
        theta[:, self.design.is_log] = 0.0
        for i, (name, role) in enumerate(self.roles.items()):
            theta[:, self.design.blocks[name]] = self._first_value(name, role, points[:, i], rng)[:, None]
        for _ in range(SWEEPS):
            for name in rng.permutation([name for name, places in self.balances.items() if places]):
                self._balance(str(name), theta, rng)
        theta = np.clip(theta, *self.design.box)
        return np.clip(self.solved(theta), *self.design.box)

    def _first_value(self, name: str, role: str, point: Array, rng: np.random.Generator) -> Array:
        first = self.design.blocks[name].start
        is_log, lower, upper = self.design.is_log[first], self.design.lower[first], self.design.upper[first]
        if np.isfinite(lower) and np.isfinite(upper):
            value = lower + (upper - lower) * (0.02 + 0.96 * point)
        elif role == "exponent":
            signed = 2 * point if lower < 0 else point
            value = FLATTEST * (STEEPEST / FLATTEST) ** (signed % 1.0) * np.where(signed < 1.0, 1.0, -1.0)
        else:
            value = np.exp(rng.standard_normal(len(point)))
            if lower < 0:
                value = value * np.where(point < 0.5, 1.0, -1.0)
        return np.asarray(np.log(np.maximum(value, 1e-300)) if is_log else value)

    def _balance(self, name: str, theta: Array, rng: np.random.Generator) -> None:
        """Move one scale of every start to where both sides are equal, at a row of its own, and some way off."""
        places = self.balances[name]
        which = rng.integers(len(places), size=len(theta)) * rng.integers(2, size=len(theta))  # often the closest
        rows = self.rows[rng.integers(len(self.rows), size=len(theta))]
        miss = SPREAD * rng.standard_normal((2, len(theta)))
        block = self.design.blocks[name]
        for k, place in enumerate(places):
            chosen = np.flatnonzero(which == k)
            if len(chosen):
                moved = self._matched(place, theta[chosen], rows[chosen], miss[:, chosen])
                theta[chosen, block] = np.where(np.isfinite(moved), moved, theta[chosen, block.start])[:, None]

    def _matched(self, place: Balance, theta: Array, rows: Index, miss: Array) -> Array:
        """Return the scale's entry in each vector; not finite where a side is 0 or has no value."""
        design, first = self.design, self.design.blocks[place.name].start
        natural = design.natural(theta)
        values = {
            name: natural[:, block.start] if name not in design.codes
            else natural[np.arange(len(theta)), block.start + design.codes[name][rows]]
            for name, block in design.blocks.items()
        }  # fmt: skip
        nodes = [place.side, derivative(place.side, place.name), *([place.other] if place.other is not None else [])]
        columns = {name: column[rows] for name, column in design.columns.items()}
        outputs = Program(nodes, {**columns, RESPONSE.name: design.response[rows]})(values)
        side, slope, *others = (np.broadcast_to(output, len(theta)) for output in outputs)
        value = values[place.name]
        with np.errstate(all="ignore"):
            if others and self._signed(place.name):
                moved = value + (-others[0] - side) / slope
                return np.asarray(moved * np.exp(0.1 * miss[0]))
            wanted = np.log(np.abs(others[0])) if others else 2 * miss[1]
            elasticity = slope * value / side
            factor = (wanted - np.log(np.abs(side))) / np.where(np.abs(elasticity) < 0.05, np.nan, elasticity)
            factor = np.clip(factor + miss[0], -300, 300)
            return np.asarray(theta[:, first] + factor if design.is_log[first] else value * np.exp(factor))

    @cached_property
    def _features(self) -> Program:
        node = self._linear_in
        slopes = [derivative(node, name) for name in self.linear.names]
        return self.system.program([node, *slopes], self.rows)

    @property
    def _linear_in(self) -> Node:
        system = self.system
        if not self.linear.of_log:
            return system.prediction
        return system.fitted if self.design.log_space else system.prediction.arguments[0]

    def solved(self, theta: Array, vanishing: float = VANISHING) -> Array:
        """Put the exact weighted solution for the linear coefficients in place; ``vanishing`` instead of 0."""
        linear, design, rows = self.linear, self.design, self.rows
        if not linear.names:
            return theta
        theta = theta.copy()
        for name in linear.names:
            theta[:, design.blocks[name]] = 0.0  # exp of it is 1, so the slope of a lifted one is its feature
        base, *slopes = (
            np.broadcast_to(feature, (len(theta), len(rows)))
            for feature in self._features(self.system.values(theta, rows))
        )
        response, weight = design.response[rows], design.weight[rows]
        if linear.of_log:
            weight, target = weight * (1.0 if design.log_space else response**2), np.log(response)
        else:
            weight, target = weight / (response**2 if design.log_space else 1.0), response
        with np.errstate(all="ignore"):
            rest = target - base + sum(slope for slope, lifted in zip(slopes, linear.lifted, strict=True) if lifted)
            features, place, positive = [], [], []
            for name, slope, lifted in zip(linear.names, slopes, linear.lifted, strict=True):
                block = design.blocks[name]
                for level in range(block.stop - block.start):
                    own = slope if name not in design.codes else slope * (design.codes[name][rows] == level)
                    features.append(own)
                    place.append(block.start + level)
                    positive.append(lifted or design.lower[block.start + level] >= 0)
            stacked = np.stack(features, axis=1)
            usable = np.isfinite(stacked).all(axis=(1, 2)) & np.isfinite(rest).all(axis=1)
            stacked, rest = np.where(usable[:, None, None], stacked, 0.0), np.where(usable[:, None], rest, 0.0)
            solution = _solve(stacked, rest, weight, np.array(positive))
            typical = np.abs(stacked).mean(axis=2)
            least = vanishing * np.abs(target).mean() / np.where(typical > 0, typical, 1.0)
        logs = np.repeat(linear.lifted, [design.n_levels.get(name, 1) for name in linear.names])
        theta[:, place] = np.where(logs, np.log(np.maximum(solution, least)), solution)
        theta[~usable] = np.nan
        return theta


RESPONSE: Final = column("observed response")  # stands for the response in a balance; no law has a column of this name


def _balances(name: str, root: Node, above: dict[Node, list[Node]], linear: set[str], *, free: bool) -> list[Balance]:
    """Climb from a parameter through the sums and extremes on every way up, to an exponent or the response.

    What holds a coefficient that is solved for later says nothing yet; the response takes its place.
    """
    balances: dict[tuple[Node, Node | None], Balance] = {}
    stack, seen = [parameter(name)], set()
    while stack:
        node = stack.pop(0)
        if node in seen:
            continue
        seen.add(node)
        if node is root:
            balances.setdefault((node, RESPONSE), Balance(name, node, RESPONSE))
        for parent in above.get(node, []):
            if parent.kind in ("exp", "sigmoid"):
                balances[node, None] = Balance(name, node, None)
                continue
            stack.append(parent)
            if parent.kind not in ("add", "minimum", "maximum"):
                continue
            rest = [argument for argument in parent.arguments if argument is not node]
            rival = add(*rest) if parent.kind == "add" else rest[0]
            other: Node | None = rival
            if linear & set(parameters_of(rival)):
                other = RESPONSE
            elif free and parameters_of(rival):  # signed terms of one sum, as in exp(a x + b y): each about 1
                other = None
            balances[node, other] = Balance(name, node, other)
    return list(balances.values())


def _solve(features: Array, target: Array, weight: Array, positive: NDArray[np.bool_]) -> Array:
    """Weighted least squares for every start, shape (S, q); what would be negative and may not is 0."""
    weighted = features * weight
    gram = weighted @ features.transpose(0, 2, 1)
    right = (weighted @ target[:, :, None])[:, :, 0]
    size = np.sqrt(np.einsum("sii->si", gram))
    size = np.where(size > 0, size, 1.0)
    gram = gram / (size[:, :, None] * size[:, None, :]) + RIDGE * np.eye(gram.shape[1])
    right = right / size
    out = np.zeros(right.shape, dtype=np.bool_)
    solution = np.zeros_like(right)
    each = np.arange(len(right))
    for _ in range(right.shape[1] + 1):
        masked = np.where(out[:, :, None] | out[:, None, :], np.eye(gram.shape[1]), gram)
        solution = np.linalg.solve(masked, np.where(out, 0.0, right)[:, :, None])[:, :, 0]
        below = np.where(positive, solution, 0.0)
        worst = below.argmin(axis=1)  # one at a time: without it, others that were negative may not be
        negative = below[each, worst] < 0
        if not negative.any():
            break
        out[each[negative], worst[negative]] = True
    return np.maximum(solution, np.where(positive, 0.0, -np.inf)) / size


def _spread(count: int, dimensions: int, rng: np.random.Generator) -> Array:
    """Points that fill a cube evenly: Kronecker's sequence with the plastic number's powers, shifted at random.

    As even as Sobol's points in the few dimensions of a law; scipy.stats, which has those, takes a second to import.
    """
    ratio = 2.0
    for _ in range(60):  # the root of x^(d + 1) = x + 1
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = ratio ** -np.arange(1.0, dimensions + 1)
    points: Array = (rng.random(dimensions) + np.arange(1, count + 1)[:, None] * steps) % 1.0
    return points
