"""What an open name of a law is likely to be: a mistyped column, a column by its place, a parameter with a sign."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from scalefit.law.syntax import Binary, Call, Expression, NameToken, Negative, Number, walk

__all__ = ["expected_columns", "likely_positive", "near_column"]

NEAR: Final = 0.75  # likeness from which a name is taken for a mistyped column
SHORTEST: Final = 3  # letters of a name that may be one


def near_column(name: str, columns: Collection[str]) -> str:
    """Return the column that a name is probably meant to be; empty for none."""
    if len(name) < SHORTEST:
        return ""
    long = [column for column in columns if len(column) >= SHORTEST]
    same = [column for column in long if column.casefold() == name.casefold()]
    likely = same or [
        match
        for match in difflib.get_close_matches(name, long, n=3, cutoff=NEAR)
        if name.rstrip("0123456789") != match.rstrip("0123456789")  # x1 next to x2 is not a slip
    ]
    return likely[0] if likely else ""


def expected_columns(expressions: Sequence[Expression]) -> Iterator[str]:
    """Yield names that stand where the additive grammar has a column: ``A/name^alpha``, ``A*name^alpha``."""
    for expression in expressions:
        for binary in (part for part in walk(expression) if isinstance(part, Binary)):
            if binary.operator not in "*/" or not isinstance(binary.left, NameToken | Number):
                continue
            right = binary.right
            if isinstance(right, Binary) and right.operator == "^" and isinstance(right.left, NameToken):
                yield right.left.name


def likely_positive(expression: Expression, parts: Mapping[str, Expression]) -> dict[str, bool]:
    """Say of each name whether it is taken to be positive: unless it only shifts or scales inside exp or sigmoid."""
    positive: dict[str, bool] = {}
    seen: set[tuple[str, bool]] = set()

    def visit(node: Expression, loose: bool) -> None:
        match node:
            case NameToken(name=name):
                if name in parts and not node.quoted:
                    if (name, loose) not in seen:
                        seen.add((name, loose))
                        visit(parts[name], loose)
                else:
                    positive[name] = positive.get(name, False) or not loose
            case Negative(operand=operand):
                visit(operand, loose)
            case Binary(operator="/", left=left, right=right):
                visit(left, loose)
                visit(right, False)
            case Binary(operator="^", left=left, right=right):
                visit(left, False)
                visit(right, False)
            case Binary(left=left, right=right):
                visit(left, loose)
                visit(right, loose)
            case Call(function=function, arguments=arguments):
                inside = function in ("exp", "sigmoid") or (loose and function in ("min", "max"))
                for argument in arguments:
                    visit(argument, inside)

    visit(expression, False)
    return positive
