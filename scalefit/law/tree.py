"""Expressions of a closed-form law: shared nodes, light simplification, symbolic derivatives, evaluation in batches.

A node is made by a constructor such as :func:`add`, never directly: equal expressions are the same object, so that
``==`` is ``is``, and a part that a law or its derivatives use many times is evaluated once. Nodes know names, not
data: a parameter stands for all levels of its groups, and the law that owns the expression knows the groups.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, Literal
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Kind",
    "Node",
    "Program",
    "add",
    "choose",
    "column",
    "columns_of",
    "derivative",
    "evaluate",
    "exp",
    "finite_log",
    "interpret",
    "log",
    "maximum",
    "minimum",
    "multiply",
    "negate",
    "number",
    "parameter",
    "parameters_of",
    "power",
    "rebuild",
    "sigmoid",
    "softplus",
    "substitute",
    "topological",
]

Array = NDArray[np.float64]
Kind = Literal[
    "number", "column", "parameter", "add", "multiply", "power", "exp", "log", "minimum", "maximum", "sigmoid",
    "softplus", "finite_log", "choose",
]  # fmt: skip

LEAST_LOG: Final = -745.0  # below the log of the smallest positive float


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Node:
    """One operation of an expression, or a leaf.

    Parameters
    ----------
    kind : Kind
        What it does. ``softplus``, ``finite_log`` and ``choose`` stand only in derivatives and rewritten laws.
    arguments : tuple of Node
        What it is applied to; ``add`` and ``multiply`` have two or more, in the order written.
    value : float
        Of a number; 0 otherwise.
    name : str
        Of a column or parameter; empty otherwise.
    """

    kind: Kind
    arguments: tuple[Node, ...] = ()
    value: float = 0.0
    name: str = ""

    def __reduce__(self) -> tuple[Callable[..., Node], tuple[object, ...]]:
        """Let copies and unpickled nodes be shared like all others."""
        return _node, (self.kind, self.arguments, self.value, self.name)

    def __repr__(self) -> str:
        if self.kind == "number":
            return repr(self.value)
        if self.kind in ("column", "parameter"):
            return f"{self.kind}({self.name!r})"
        return f"{self.kind}({', '.join(map(repr, self.arguments))})"


_SHARED: WeakValueDictionary[tuple[object, ...], Node] = WeakValueDictionary()
_LOCK = threading.Lock()


def _node(kind: Kind, arguments: tuple[Node, ...] = (), value: float = 0.0, name: str = "") -> Node:
    key = (kind, arguments, value, name)
    with _LOCK:  # two threads that make one node must get the same
        node = _SHARED.get(key)
        if node is None:
            node = _SHARED[key] = Node(kind, arguments, value, name)
    return node


def number(value: float) -> Node:
    """Return the node of a number; -0.0 becomes 0.0.

    Raises
    ------
    ValueError
        When it is NaN.
    """
    value = float(value) + 0.0
    if math.isnan(value):
        raise ValueError("NaN is not a number of an expression")
    return _node("number", value=value)


def column(name: str) -> Node:
    """Return the node of a column of the table."""
    return _node("column", name=name)


def parameter(name: str) -> Node:
    """Return the node of a parameter."""
    return _node("parameter", name=name)


def _flat(kind: Kind, arguments: Iterable[Node]) -> Iterable[Node]:
    for argument in arguments:
        if argument.kind == kind:
            yield from argument.arguments
        else:
            yield argument


def add(*terms: Node) -> Node:
    """Return a sum; numbers are added up, equal terms are counted."""
    counts: dict[Node, float] = {}  # in the order of first appearance
    unit = number(1)
    for term in _flat("add", terms):
        factor, rest = _factored(term)
        counts[rest] = counts.get(rest, 0.0) + factor
    kept = [number(factor) if rest is unit else _scaled(factor, rest) for rest, factor in counts.items() if factor]
    if not kept:
        return number(0)
    return kept[0] if len(kept) == 1 else _node("add", tuple(kept))


def _factored(term: Node) -> tuple[float, Node]:
    """Part a term into its number and the rest."""
    if term.kind == "number":
        return term.value, number(1)
    if term.kind == "multiply" and term.arguments[0].kind == "number":
        rest = term.arguments[1:]
        return term.arguments[0].value, rest[0] if len(rest) == 1 else _node("multiply", rest)
    return 1.0, term


def _scaled(factor: float, rest: Node) -> Node:
    if factor == 1.0:
        return rest
    factors = rest.arguments if rest.kind == "multiply" else (rest,)
    return _node("multiply", (number(factor), *factors))


def multiply(*factors: Node) -> Node:
    """Return a product, its number first; powers of one base with numbers as exponents are joined."""
    total = 1.0
    exponents: dict[Node, float] = {}
    for factor in _flat("multiply", factors):
        if factor.kind == "number":
            total *= factor.value
            continue
        base, exponent = factor, 1.0
        if factor.kind == "power" and factor.arguments[1].kind == "number":
            base, exponent = factor.arguments[0], factor.arguments[1].value
        exponents[base] = exponents.get(base, 0.0) + exponent
    if total == 0:
        return number(0)
    kept = [power(base, number(exponent)) for base, exponent in exponents.items() if exponent]
    if any(part.kind in ("number", "multiply") for part in kept):  # a joined power was a product or a number after all
        return multiply(number(total), *kept)
    if not kept:
        return number(total)
    rest = kept[0] if len(kept) == 1 else _node("multiply", tuple(kept))
    return _scaled(total, rest)


def negate(argument: Node) -> Node:
    """Return -1 times an expression."""
    return multiply(number(-1), argument)


def power(base: Node, exponent: Node) -> Node:
    """Return ``base ^ exponent``; division is the exponent -1, the square root 0.5."""
    if exponent.kind == "number":
        if exponent.value == 0:
            return number(1)
        if exponent.value == 1:
            return base
        whole = exponent.value.is_integer()
        if base.kind == "number":
            result = _power_of_numbers(base.value, exponent.value)
            if result is not None:
                return number(result)
        if base.kind == "power" and whole:
            return power(base.arguments[0], multiply(base.arguments[1], exponent))
    if base.kind == "exp":
        return exp(multiply(exponent, base.arguments[0]))
    return _node("power", (base, exponent))


def _power_of_numbers(base: float, exponent: float) -> float | None:
    """Return the value where it is a finite real number."""
    try:
        value = base**exponent
    except (OverflowError, ZeroDivisionError):
        return None
    return float(value) if isinstance(value, float) and math.isfinite(value) else None


def exp(argument: Node) -> Node:
    """Return e to a power."""
    if argument.kind == "number" and argument.value < 700:
        return number(math.exp(argument.value))
    return _node("exp", (argument,))


def log(argument: Node) -> Node:
    """Return the natural logarithm."""
    if argument.kind == "number" and argument.value > 0:
        return number(math.log(argument.value))
    if argument.kind == "exp":
        return argument.arguments[0]
    return _node("log", (argument,))


def finite_log(argument: Node) -> Node:
    """Return the logarithm, but -745 at 0.

    The derivative of ``x^a`` by ``a`` is ``x^a log x``, whose limit at ``x = 0`` is 0 and not 0 times minus infinity.
    """
    return argument.arguments[0] if argument.kind == "exp" else _node("finite_log", (argument,))


def minimum(first: Node, *others: Node) -> Node:
    """Return the smallest of several expressions, as nested nodes of two."""
    return reduce(lambda a, b: _extreme("minimum", a, b), others, first)


def maximum(first: Node, *others: Node) -> Node:
    """Return the largest of several expressions, as nested nodes of two."""
    return reduce(lambda a, b: _extreme("maximum", a, b), others, first)


def _extreme(kind: Literal["minimum", "maximum"], a: Node, b: Node) -> Node:
    if a is b:
        return a
    if a.kind == b.kind == "number":
        return number(min(a.value, b.value) if kind == "minimum" else max(a.value, b.value))
    return _node(kind, (a, b))


def sigmoid(argument: Node) -> Node:
    """Return ``1 / (1 + exp(-x))``, which neither overflows nor loses digits."""
    return _node("sigmoid", (argument,))


def softplus(argument: Node) -> Node:
    """Return ``log(1 + exp(x))``, which does not overflow."""
    return _node("softplus", (argument,))


def choose(left: Node, right: Node, then: Node, otherwise: Node) -> Node:
    """Return ``then`` where ``left <= right``, else ``otherwise``: the derivative of a minimum."""
    return then if then is otherwise else _node("choose", (left, right, then, otherwise))


_BUILDERS: Final[Mapping[Kind, Callable[..., Node]]] = {
    "add": add, "multiply": multiply, "power": power, "exp": exp, "log": log, "minimum": minimum,
    "maximum": maximum, "sigmoid": sigmoid, "softplus": softplus, "finite_log": finite_log, "choose": choose,
}  # fmt: skip


def rebuild(node: Node, arguments: Sequence[Node]) -> Node:
    """Return the node with other arguments, simplified again."""
    return node if tuple(arguments) == node.arguments else _BUILDERS[node.kind](*arguments)


def topological(*roots: Node) -> list[Node]:
    """Return every node below the roots once, arguments before what uses them, left before right.

    No recursion: how deep a law may be is decided where it is parsed.
    """
    done: dict[Node, None] = {}
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if ready:
            done[node] = None
        else:
            stack.append((node, True))
            stack.extend((argument, False) for argument in reversed(node.arguments) if argument not in done)
    return list(done)


def parameters_of(*roots: Node) -> tuple[str, ...]:
    """Return the names of the parameters in the order in which they appear."""
    return tuple(node.name for node in topological(*roots) if node.kind == "parameter")


def columns_of(*roots: Node) -> tuple[str, ...]:
    """Return the names of the columns in the order in which they appear."""
    return tuple(node.name for node in topological(*roots) if node.kind == "column")


def substitute(node: Node, replacement: Mapping[str, Node]) -> Node:
    """Replace parameters by expressions, all at once.

    Parameters
    ----------
    node : Node
        The expression.
    replacement : mapping of str to Node
        By parameter name.

    Returns
    -------
    Node
        The expression with the replacements, simplified.

    Examples
    --------
    >>> substitute(add(parameter("E"), column("x")), {"E": number(2)})
    add(2.0, column('x'))
    """
    new: dict[Node, Node] = {}
    for part in topological(node):
        if part.kind == "parameter" and part.name in replacement:
            new[part] = replacement[part.name]
        else:
            new[part] = rebuild(part, [new[inner] for inner in part.arguments])
    return new[node]


def derivative(node: Node, name: str) -> Node:
    """Differentiate by a parameter.

    Parameters
    ----------
    node : Node
        The expression; a minimum or maximum is differentiated piece by piece, at a tie its first argument counts.
    name : str
        The parameter.

    Returns
    -------
    Node
        The derivative, simplified; the number 0 when the expression does not depend on the parameter.

    Examples
    --------
    >>> derivative(multiply(parameter("A"), exp(parameter("b"))), "A")
    exp(parameter('b'))
    """
    zero = number(0)
    slopes: dict[Node, Node] = {}
    for part in topological(node):
        inner = [slopes[argument] for argument in part.arguments]
        if part.kind == "parameter":
            slopes[part] = number(1) if part.name == name else zero
        else:
            slopes[part] = zero if all(slope is zero for slope in inner) else _slope(part, inner)
    return slopes[node]


def _slope(node: Node, inner: list[Node]) -> Node:
    """Return the derivative of one operation from those of its arguments, of which one is not zero."""
    arguments = node.arguments
    match node.kind:
        case "add":
            return add(*inner)
        case "multiply":
            return add(*(multiply(slope, *arguments[:i], *arguments[i + 1 :]) for i, slope in enumerate(inner)))
        case "power":
            base, exponent = arguments
            by_base = multiply(exponent, power(base, add(exponent, number(-1))), inner[0])
            by_exponent = number(0)
            if inner[1] is not number(0):
                by_exponent = multiply(node, finite_log(base), inner[1])
            return add(by_base, by_exponent)
        case "exp":
            return multiply(node, inner[0])
        case "log" | "finite_log":
            return multiply(power(arguments[0], number(-1)), inner[0])
        case "minimum":
            return choose(*arguments, *inner)
        case "maximum":
            return choose(arguments[1], arguments[0], *inner)
        case "sigmoid":
            return multiply(node, sigmoid(negate(arguments[0])), inner[0])
        case "softplus":
            return multiply(sigmoid(arguments[0]), inner[0])
        case "choose":
            return choose(arguments[0], arguments[1], inner[2], inner[3])
    raise AssertionError(node.kind)


def interpret(
    roots: Sequence[Node], leaf: Callable[[Node], Any], operations: Mapping[str, Callable[..., Any]]
) -> list[Any]:
    """Write expressions in another library's terms, every shared part once.

    Parameters
    ----------
    roots : sequence of Node
        The expressions.
    leaf : callable
        What stands for a column or parameter.
    operations : mapping of str to callable
        By kind of node, for the kinds that occur; numbers are passed as they are.

    Returns
    -------
    list
        One for each expression.
    """
    made: dict[Node, Any] = {}
    for node in topological(*roots):
        if node.kind == "number":
            made[node] = node.value
        elif node.kind in ("column", "parameter"):
            made[node] = leaf(node)
        else:
            made[node] = operations[node.kind](*(made[argument] for argument in node.arguments))
    return [made[root] for root in roots]


class Program:
    """Expressions in the order in which a batch evaluates them, every shared part once.

    Parameters
    ----------
    outputs : sequence of Node
        The expressions.
    columns : mapping of str to array, shape (n,)
        Values of the columns. What depends on columns alone is evaluated here, once and for all.

    Examples
    --------
    >>> law = add(parameter("E"), multiply(parameter("A"), power(column("x"), number(-1))))
    >>> Program([law], {"x": np.array([1.0, 2.0])})({"E": np.array([[1.0], [2.0]]), "A": np.array([[4.0], [4.0]])})[0]
    array([[5., 3.],
           [6., 4.]])
    """

    def __init__(self, outputs: Sequence[Node], columns: Mapping[str, Array]) -> None:
        self._inputs: list[tuple[int, str]] = []
        self._steps: list[tuple[Callable[..., Array], int, tuple[int, ...], tuple[int, ...]]] = []
        place: dict[Node, int] = {}
        fixed: list[Array | None] = []

        def slot(value: Array | None) -> int:
            fixed.append(value)
            return len(fixed) - 1

        for node in topological(*outputs):
            if node.kind == "parameter":
                place[node] = slot(None)
                self._inputs.append((place[node], node.name))
                continue
            known = [fixed[place[argument]] for argument in node.arguments]
            values = [value for value in known if value is not None]
            if len(values) == len(known):
                place[node] = slot(_evaluate(node, values, columns))
                continue
            arguments = [place[argument] for argument in node.arguments]
            if node.kind in ("add", "multiply") and len(values) > 1:  # the constant part of a sum or product
                constant = slot(_evaluate(node, values, columns))
                varying = [i for i in arguments if fixed[i] is None]
                arguments = [*varying, constant]
            place[node] = slot(None)
            self._steps.append((_operation(node), place[node], tuple(arguments), ()))
        self._outputs = [place[node] for node in outputs]
        self._fixed = fixed
        self._release(set(self._outputs))

    def _release(self, kept: set[int]) -> None:
        """Note after which step each intermediate array is no longer needed: a batch then stays in the cache."""
        last: dict[int, int] = {}
        for number_, (_, _, arguments, _) in enumerate(self._steps):
            for argument in arguments:
                if self._fixed[argument] is None and argument not in kept:
                    last[argument] = number_
        gone: dict[int, list[int]] = {}
        for argument, number_ in last.items():
            gone.setdefault(number_, []).append(argument)
        self._steps = [
            (operation, target, arguments, tuple(gone.get(number_, ())))
            for number_, (operation, target, arguments, _) in enumerate(self._steps)
        ]

    def __call__(self, values: Mapping[str, Array]) -> list[Array]:
        """Evaluate.

        Parameters
        ----------
        values : mapping of str to array
            Of each parameter, of a shape that broadcasts against (n,): (S, 1) for S points, (S, n) where the value
            differs between rows.

        Returns
        -------
        list of array
            One for each output, of the smallest shape that holds it: a derivative that is a constant has shape ().
            Not finite, without a warning, where the expression is not defined.
        """
        slots = self._fixed.copy()
        for place, name in self._inputs:
            slots[place] = values[name]
        with np.errstate(all="ignore"):
            for operation, target, arguments, gone in self._steps:
                slots[target] = operation(*(slots[argument] for argument in arguments))
                for argument in gone:
                    slots[argument] = None
        return [np.asarray(slots[place]) for place in self._outputs]


def evaluate(node: Node, columns: Mapping[str, Array], values: Mapping[str, Array]) -> Array:
    """Evaluate one expression once; see :class:`Program` for many points or expressions.

    Parameters
    ----------
    node : Node
        The expression.
    columns : mapping of str to array, shape (n,)
        Values of the columns.
    values : mapping of str to array
        Values of the parameters, which broadcast against (n,).

    Returns
    -------
    array
        The value, not finite where the expression is not defined.
    """
    return Program([node], columns)(values)[0]


def _evaluate(node: Node, arguments: Sequence[Array], columns: Mapping[str, Array]) -> Array:
    if node.kind == "number":
        return np.asarray(node.value)
    if node.kind == "column":
        return np.asarray(columns[node.name], dtype=float)
    with np.errstate(all="ignore"):
        return _operation(node)(*arguments)


def _sum(first: Array, *others: Array) -> Array:
    return reduce(np.add, others, first)


def _product(first: Array, *others: Array) -> Array:
    return reduce(np.multiply, others, first)


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1.0 + small))


def _softplus(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))


def _finite_log(x: Array) -> Array:
    return np.asarray(np.maximum(np.log(x), LEAST_LOG))


def _choose(left: Array, right: Array, then: Array, otherwise: Array) -> Array:
    return np.where(left <= right, then, otherwise)


_OPERATIONS: Final[Mapping[Kind, Callable[..., Array]]] = {
    "add": _sum, "multiply": _product, "power": np.power, "exp": np.exp, "log": np.log, "minimum": np.minimum,
    "maximum": np.maximum, "sigmoid": _sigmoid, "softplus": _softplus, "finite_log": _finite_log, "choose": _choose,
}  # fmt: skip
_POWERS: Final[Mapping[float, Callable[..., Array]]] = {
    -1.0: lambda base, _: np.reciprocal(base),
    0.5: lambda base, _: np.sqrt(base),
    2.0: lambda base, _: np.square(base),
}


def _operation(node: Node) -> Callable[..., Array]:
    """Return the function of a node; the common powers have cheaper ones."""
    if node.kind == "power" and node.arguments[1].kind == "number":
        return _POWERS.get(node.arguments[1].value, np.power)
    return _OPERATIONS[node.kind]
