"""Parse text by Python's grammar of expressions, to a limited depth; nothing is ever evaluated."""

from __future__ import annotations

import ast
import warnings
from typing import Final

__all__ = ["DEEPEST", "parse_expression"]

DEEPEST: Final = 100
"""Levels of nesting: the number of terms of a sum, or of signs in front of a number."""


def parse_expression(text: str | bytes) -> ast.expr:
    """Parse one expression.

    Parameters
    ----------
    text : str or bytes
        An expression in Python's grammar; bytes are UTF-8.

    Returns
    -------
    ast.expr
        The tree.

    Raises
    ------
    SyntaxError
        When it is not an expression.
    ValueError
        When it contains a character that no expression has.
    RecursionError
        When it is nested deeper than `DEEPEST`. The limit of the interpreter is not used because it depends on which
        libraries are loaded.

    Examples
    --------
    >>> ast.dump(parse_expression("-x"))
    "UnaryOp(op=USub(), operand=Name(id='x', ctx=Load()))"
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd numbers such as 1or and invalid escapes: callers reject them
            tree = ast.parse(text, mode="eval").body
    except MemoryError:
        raise RecursionError from None
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return tree
    raise RecursionError
