"""Rewrite an expression so that it neither overflows nor hides that it is a product or linear.

Products of positive factors become one ``exp`` of a sum, so that ``A/x^a`` with ``A = exp(b)`` is ``exp(b - a log x)``,
and the logarithm of a sum of such terms becomes a chain of ``softplus``. An intermediate ``A`` of 1e300 is then never
formed, and that a coefficient is linear can be read from the second derivative.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalefit.law.tree import (
    Node,
    add,
    columns_of,
    evaluate,
    exp,
    log,
    multiply,
    negate,
    number,
    parameters_of,
    power,
    rebuild,
    sigmoid,
    softplus,
    topological,
)

__all__ = ["canonical", "is_not_negative"]

Array = NDArray[np.float64]

POSITIVE: Final = 2
NOT_NEGATIVE: Final = 1
UNKNOWN: Final = 0


class _Signs:
    """What is known of the sign of expressions."""

    def __init__(self, columns: Mapping[str, Array], not_negative: Collection[str]) -> None:
        self.columns, self.not_negative = columns, not_negative
        self.known: dict[Node, int] = {}
        self.constant: dict[Node, bool] = {}

    def of(self, node: Node) -> int:
        for part in topological(node):
            if part not in self.known:
                free = part.kind != "parameter" and all(self.constant[inner] for inner in part.arguments)
                self.constant[part] = free
                self.known[part] = self._measured(part) if free else self._sign(part)
        return self.known[node]

    def _measured(self, node: Node) -> int:
        """Evaluate what has no parameters on the rows: ``log(streams)`` is not negative where streams are 1 or more."""
        least = float(np.min(evaluate(node, self.columns, {}), initial=np.inf))
        return POSITIVE if least > 0 else NOT_NEGATIVE if least == 0 else UNKNOWN

    def _sign(self, node: Node) -> int:
        inner = [self.known[argument] for argument in node.arguments]
        match node.kind:
            case "parameter":
                return NOT_NEGATIVE if node.name in self.not_negative else UNKNOWN
            case "exp" | "sigmoid" | "softplus":
                return POSITIVE
            case "add":
                return max(inner) if min(inner) else UNKNOWN
            case "multiply" | "minimum":
                return min(inner)
            case "maximum":
                return max(inner)
            case "power":
                return inner[0]
        return UNKNOWN


def canonical(node: Node, *, columns: Mapping[str, Array], not_negative: Collection[str] = ()) -> Node:
    """Rewrite an expression; its value on these rows stays the same.

    Parameters
    ----------
    node : Node
        The expression.
    columns : mapping of str to array, shape (n,)
        Values of the columns, which decide what has a logarithm.
    not_negative : collection of str
        Parameters that are 0 or above.

    Returns
    -------
    Node
        The expression rewritten.

    Examples
    --------
    >>> from scalefit.law.tree import column, parameter
    >>> power_of_x = multiply(exp(parameter("b")), power(column("x"), parameter("a")))
    >>> canonical(power_of_x, columns={"x": np.array([1.0, 2.0])})
    exp(add(parameter('b'), multiply(parameter('a'), log(column('x')))))
    """
    signs = _Signs(columns, not_negative)
    new: dict[Node, Node] = {}
    for part in topological(node):
        new[part] = _rewrite(rebuild(part, [new[inner] for inner in part.arguments]), signs)
    return new[node]


def is_not_negative(node: Node, *, columns: Mapping[str, Array], not_negative: Collection[str] = ()) -> bool:
    """Whether an expression is 0 or above on these rows whatever its parameters are; arguments as `canonical`."""
    return _Signs(columns, not_negative).of(node) >= NOT_NEGATIVE


def _rewrite(node: Node, signs: _Signs) -> Node:
    match node.kind:
        case "power":
            return _power(node.arguments[0], node.arguments[1], signs)
        case "multiply":
            return _product(node, signs)
        case "log":
            return _log(node.arguments[0], signs)
    return node


def _power(base: Node, exponent: Node, signs: _Signs) -> Node:
    if signs.of(base) < POSITIVE:
        return power(base, exponent)
    if base.kind == "add" and _all_exp(base, signs):
        sum_ = _log(base, signs)
        if exponent is number(-1) and sum_.kind == "softplus":
            return sigmoid(negate(sum_.arguments[0]))
        return exp(multiply(exponent, sum_))
    if exponent.kind == "number":
        if base.kind != "multiply" or any(signs.of(argument) < POSITIVE for argument in base.arguments):
            return power(base, exponent)
        return _rewrite_product([_power(argument, exponent, signs) for argument in base.arguments], signs)
    return exp(multiply(exponent, _log(base, signs)))


def _product(node: Node, signs: _Signs) -> Node:
    return _rewrite_product(list(node.arguments), signs)


def _rewrite_product(factors: list[Node], signs: _Signs) -> Node:
    """Join the exponentials of a product, and into them the columns."""
    flat = multiply(*factors)
    if flat.kind != "multiply" or not any(argument.kind == "exp" for argument in flat.arguments):
        return flat
    # the exponential of parameters alone costs one number a point, and a column in it would make that one a row
    by_row = any(argument.kind == "exp" and columns_of(argument) for argument in flat.arguments)
    inside: list[Node] = []
    outside: list[Node] = []
    for argument in flat.arguments:
        is_raised = argument.kind == "power" and argument.arguments[1].kind == "number"
        leaf = argument.arguments[0] if is_raised else argument
        if argument.kind == "exp":
            inside.append(argument.arguments[0])
        elif by_row and not parameters_of(leaf) and leaf.kind != "number" and signs.of(leaf) == POSITIVE:
            inside.append(_log(argument, signs))
        else:
            outside.append(argument)
    return multiply(*outside, exp(add(*inside)))


def _all_exp(node: Node, signs: _Signs) -> bool:
    """Whether a sum is of exponentials, and of positive numbers and columns."""
    exponential = [_is_exp(argument, signs) for argument in node.arguments]
    rest = [argument for argument, known in zip(node.arguments, exponential, strict=True) if not known]
    return any(exponential) and all(signs.of(argument) == POSITIVE and not parameters_of(argument) for argument in rest)


def _is_exp(node: Node, signs: _Signs) -> bool:
    """Whether a term is an exponential, or one times what has a logarithm."""
    if node.kind == "multiply":
        return any(argument.kind == "exp" for argument in node.arguments) and signs.of(node) == POSITIVE
    return node.kind == "exp"


def _keeps_sign(exponent: Node) -> bool:
    """Whether a power with this exponent is positive only where its base is: all numbers but even ones."""
    return exponent.kind == "number" and exponent.value % 2 != 0


def _log(node: Node, signs: _Signs) -> Node:
    """Return the log, taken apart where the parts are positive."""
    if node.kind == "multiply" and all(signs.of(argument) == POSITIVE for argument in node.arguments):
        return add(*(_log(argument, signs) for argument in node.arguments))
    if node.kind == "power" and (signs.of(node.arguments[0]) == POSITIVE or _keeps_sign(node.arguments[1])):
        return multiply(node.arguments[1], _log(node.arguments[0], signs))
    if node.kind == "add" and _all_exp(node, signs):
        numbers_first = sorted(node.arguments, key=lambda argument: argument.kind != "number")
        total, *others = (_log(argument, signs) for argument in numbers_first)
        for other in others:  # numbers first: log(1 + exp(u)) is softplus(u)
            total = softplus(other) if total is number(0) else add(total, softplus(add(other, negate(total))))
        return total
    if node.kind == "sigmoid":
        return negate(softplus(negate(node.arguments[0])))
    return log(node)
