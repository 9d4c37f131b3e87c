"""A closed-form law on arrays, and the coordinates in which it is well conditioned.

A vector holds every value of every parameter, one block a parameter and one entry a level, as the logarithm where
``is_log``. The search moves in other coordinates: where ``A x^a`` occurs, ``b = ln A - a mean(ln x)``, the log of the
term's size at the centre of the data, takes the place of ``ln A``, with which the exponent is nearly collinear.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalefit.closed.rewrite import canonical
from scalefit.law.tree import (
    Node,
    Program,
    add,
    column,
    columns_of,
    derivative,
    exp,
    log,
    multiply,
    negate,
    number,
    parameter,
    parameters_of,
    substitute,
    topological,
)

__all__ = ["Array", "ClosedDesign", "System", "constant_within", "first_rows", "may_reach_zero"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

LARGEST: Final = 690.0  # of a log coordinate: exp of it is a double
STEEPEST: Final = np.log(1e4)  # of the log of an exponent


def may_reach_zero(expression: Node) -> frozenset[str]:
    """Return the parameters that stand alone as a term of a sum, wherever they occur: floors.

    Such a parameter may be 0 at an optimum, and is held as itself; the logarithm would run off.

    Parameters
    ----------
    expression : Node
        The right-hand side of a law.

    Returns
    -------
    frozenset of str
        Names of parameters.

    Examples
    --------
    >>> may_reach_zero(add(parameter("E"), multiply(parameter("A"), exp(parameter("b")))))
    frozenset({'E'})
    """
    inside: set[str] = set()
    elsewhere: set[str] = set()
    for node in topological(expression):
        for argument in node.arguments:
            name = _bare(argument)[1]
            if name is not None and node.kind == "add":
                inside.add(name)
            elif name is not None and _bare(node)[1] is None:  # a number times the parameter is looked at from above
                elsewhere.add(name)
    return frozenset(inside - elsewhere)


@dataclass(frozen=True, eq=False)
class ClosedDesign:
    """All that is needed to fit a closed-form law.

    Parameters
    ----------
    expression : Node
        The prediction of the response.
    parameters : tuple of str
        Names of the parameters, in the order of the vector.
    columns : dict of str to array, shape (n,)
        Values of the columns of the expression.
    codes : dict of str to array of int, shape (n,)
        By parameter the level of each row; a parameter that is absent has one value.
    n_levels : dict of str to int
        By parameter the number of levels; absent: one.
    response, weight : array, shape (n,)
        Observed values and row weights.
    log_space : bool
        Residuals of the log response, or of the response.
    lower, upper : array, shape (P,)
        Bounds of the parameters themselves, infinite where there are none.
    is_log : array of bool, shape (P,)
        Whether vectors hold the logarithm: positive parameters, except those that may be 0
        (:func:`may_reach_zero`). All levels of a parameter agree.
    """

    expression: Node
    parameters: tuple[str, ...]
    columns: Mapping[str, Array]
    response: Array
    weight: Array
    log_space: bool
    lower: Array
    upper: Array
    is_log: NDArray[np.bool_]
    codes: Mapping[str, Index] = field(default_factory=dict)
    n_levels: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """Where each parameter's levels are in a vector."""
        ends = np.cumsum([self.n_levels.get(name, 1) for name in self.parameters])
        starts = np.concatenate([[0], ends[:-1]])
        return {name: slice(int(a), int(b)) for name, a, b in zip(self.parameters, starts, ends, strict=True)}

    @property
    def n_parameters(self) -> int:
        """Length of a vector, P."""
        return len(self.is_log)

    @property
    def target(self) -> Array:
        """The log response, or the response; shape (n,)."""
        return np.log(self.response) if self.log_space else self.response

    @cached_property
    def box(self) -> Array:
        """Bounds of a vector, shape (2, P)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            lower = np.where(self.is_log, np.log(np.maximum(self.lower, 0)), self.lower)
            upper = np.where(self.is_log, np.log(np.maximum(self.upper, 0)), self.upper)
        limit = np.where(self.is_log, LARGEST, np.inf)
        return np.vstack([np.maximum(lower, -limit), np.minimum(upper, limit)])

    def natural(self, theta: Array) -> Array:
        """Return the parameters themselves from vectors, shape (..., P)."""
        return np.where(self.is_log, np.exp(np.where(self.is_log, theta, 0.0)), theta)

    @cached_property
    def plain(self) -> System:
        """The law as a function of vectors."""
        return System(self, {name: parameter(name) for name in self.parameters}, self.box)

    @cached_property
    def centred(self) -> System:
        """The law as a function of the coordinates of the search."""
        return self.centred_without(())

    def centred_without(self, held: Collection[str]) -> System:
        """Return the law in coordinates of the search in which some parameters stay themselves, to hold or bound."""
        shifts, means = _shifts(self, held)
        moved = {
            name: add(parameter(name), negate(shifts[name])) if name in shifts else parameter(name)
            for name in self.parameters
        }
        box = self.box.copy()
        for name in shifts:
            box[:, self.blocks[name]] = [[-np.inf], [np.inf]]
        return System(self, moved, box, shifts, means)


class System:
    """Prediction, Jacobian and second derivatives of a design in some coordinates.

    Parameters
    ----------
    design : ClosedDesign
        The problem.
    vector : dict of str to Node
        Each parameter's entry in a vector as an expression of the coordinates of the same names.
    box : array, shape (2, P)
        Bounds of the coordinates.
    shifts : dict of str to Node
        What is added to a vector's entry to get the coordinate.
    means : dict of str to array, shape (n,)
        Columns that only the shifts use.
    """

    def __init__(
        self,
        design: ClosedDesign,
        vector: Mapping[str, Node],
        box: Array,
        shifts: Mapping[str, Node] | None = None,
        means: Mapping[str, Array] | None = None,
    ) -> None:
        self.design, self.box = design, box
        self.shifts = dict(shifts or {})
        self.columns = {name: np.asarray(values, dtype=float) for name, values in design.columns.items()}
        self.columns |= means or {}
        logs = {name: bool(design.is_log[block.start]) for name, block in design.blocks.items()}
        values = {name: exp(vector[name]) if logs[name] else vector[name] for name in design.parameters}
        above = [name for name, block in design.blocks.items() if (design.lower[block] >= 0).all()]
        self.prediction = canonical(substitute(design.expression, values), columns=self.columns, not_negative=above)
        self.fitted = self.prediction
        if design.log_space:
            self.fitted = canonical(log(self.prediction), columns=self.columns, not_negative=above)
        self.names = design.parameters

    @cached_property
    def first(self) -> tuple[Node, ...]:
        """Derivative of the fitted quantity by each parameter's coordinate."""
        return tuple(derivative(self.fitted, name) for name in self.names)

    @cached_property
    def second(self) -> dict[tuple[int, int], Node]:
        """Second derivatives that are not zero, by pairs of parameters i <= j."""
        pairs = {
            (i, j): derivative(slope, self.names[j])
            for i, slope in enumerate(self.first)
            for j in range(i, len(self.names))
        }
        return {pair: node for pair, node in pairs.items() if node is not number(0)}

    def program(self, nodes: Sequence[Node], rows: Index | slice = slice(None)) -> Program:
        """Prepare expressions for evaluation on some rows."""
        return Program(nodes, {name: values[rows] for name, values in self.columns.items()})

    def values(self, z: Array, rows: Index | slice = slice(None)) -> dict[str, Array]:
        """Part coordinates, shape (S, P), into what a program wants: (S, 1), or (S, n) for a parameter with levels."""
        design = self.design
        return {
            name: z[:, block][:, design.codes[name][rows]] if name in design.codes else z[:, block]
            for name, block in design.blocks.items()
        }

    def to_vector(self, z: Array) -> Array:
        """Return vectors from coordinates, shape (S, P)."""
        return self._moved(z, -1.0)

    def from_vector(self, theta: Array) -> Array:
        """Return coordinates from vectors, shape (S, P)."""
        return self._moved(theta, 1.0)

    def _moved(self, z: Array, sign: float) -> Array:
        """Shifts depend on parameters that are not shifted themselves, so both directions use the same values."""
        z = np.array(z, dtype=float)
        if not self.shifts:
            return z
        shifts = Program(list(self.shifts.values()), self.columns)(self.values(z))
        for name, shift in zip(self.shifts, shifts, strict=True):
            block = self.design.blocks[name]
            rows = first_rows(self.design, name)
            z[:, block] += sign * np.broadcast_to(shift, (len(z), len(self.design.response)))[:, rows]
        return z


def first_rows(design: ClosedDesign, name: str) -> Index:
    """Return one row of each level of a parameter."""
    if name not in design.codes:
        return np.zeros(1, dtype=np.int64)
    return np.unique(design.codes[name], return_index=True)[1]


def _shifts(design: ClosedDesign, held: Collection[str]) -> tuple[dict[str, Node], dict[str, Array]]:
    """Return what to add to a vector's entry so that it no longer goes along with the parameters next to it.

    In a sum ``p + u w + ...`` of a bare parameter, expressions u of parameters and w of columns, ``p + u mean(w)`` is
    the sum's value at the centre of the data. The means are columns of their own, one value for each level of p.
    """
    shifts: dict[str, Node] = {}
    means: dict[str, Array] = {}
    used: set[str] = set()
    for node in topological(design.plain.fitted):
        for argument in node.arguments if node.kind == "add" else ():
            factor, name = _bare(argument)
            if name is None or name in (*held, *used, *shifts) or _has_bounds(design, name):
                continue
            terms = []
            for u, w in (_parted(other) for other in node.arguments if other is not argument):
                taken = {name, *shifts} & {*parameters_of(u)}  # what is shifted itself would make the map circular
                if w is None or taken or not constant_within(design, name, parameters_of(u)):
                    continue
                values = _level_means(design, name, w)
                centre = number(float(values[0]))
                if name in design.codes:
                    centre = column(f"mean {len(means)} of the rows of a level")
                    means[centre.name] = values
                terms.append(multiply(number(1 / factor), u, centre))
            if terms:
                shifts[name] = add(*terms)
                used.update(parameters_of(shifts[name]))
    return shifts, means


def _level_means(design: ClosedDesign, name: str, inner: Node) -> Array:
    """Return the mean of an expression of columns over the rows of each level of a parameter, shape (n,)."""
    value = np.broadcast_to(Program([inner], design.columns)({})[0], design.response.shape)
    codes = design.codes.get(name, np.zeros(len(value), dtype=np.int64))
    mass = np.bincount(codes, design.weight)
    mean: Array = np.bincount(codes, design.weight * value) / np.where(mass > 0, mass, 1.0)
    return mean[codes]


def _bare(node: Node) -> tuple[float, str | None]:
    """Return number and name of a term that is a parameter times a number."""
    if node.kind == "parameter":
        return 1.0, node.name
    if node.kind == "multiply" and len(node.arguments) == 2:
        factor, rest = node.arguments
        if factor.kind == "number" and rest.kind == "parameter":
            return factor.value, rest.name
    return 1.0, None


def _parted(node: Node) -> tuple[Node, Node | None]:
    """Part a product into its parameters and its columns; None for these when a factor has both or none has any."""
    factors = node.arguments if node.kind == "multiply" else (node,)
    of_parameters = [factor for factor in factors if parameters_of(factor)]
    of_columns = [factor for factor in factors if columns_of(factor)]
    if set(of_parameters) & set(of_columns):
        return node, None
    if not of_columns:
        return node, None
    return multiply(*(factor for factor in factors if factor not in of_columns)), multiply(*of_columns)


def _has_bounds(design: ClosedDesign, name: str) -> bool:
    block = design.blocks[name]
    lowest = 0.0 if design.is_log[block.start] else -np.inf
    return bool((design.lower[block] > lowest).any() or (design.upper[block] < np.inf).any())


def constant_within(design: ClosedDesign, name: str, others: Sequence[str]) -> bool:
    """Whether within a level of one parameter the others have one level: else no shift of it can take them out."""
    codes = design.codes.get(name, np.zeros(len(design.response), dtype=np.int64))
    for other in others:
        if other in design.codes:
            pairs = np.unique(np.column_stack([codes, design.codes[other]]), axis=0)
            if len(pairs) > len(np.unique(codes)):
                return False
    return True
