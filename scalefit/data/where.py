"""Conditions on columns, such as ``tokens > 1e9 and subset in ["hot", "cold"]``.

A closed language on Python's own ``ast``, walked here and never evaluated by Python. It knows
comparisons (``== != < <= > >=``, chained), ``in`` and ``not in`` a list, ``and``, ``or``, ``not``,
parentheses, numbers, text in quotes, ``true`` and ``false``, and column names (odd ones in backquotes).

What a column is compared with says how it is read: with a number as numbers (``3.1T`` is one), with text in quotes as
the text that is written, so that ``run == "001"`` finds no ``1``. Two columns of text are compared as numbers if both
hold nothing else. A comparison with a missing cell is false, also for ``!=`` and ``not in``. A cell that is compared
with a number and is none is an error, unless the rest of the condition leaves its row out or in by itself.
"""

from __future__ import annotations

import ast
import json
import keyword
import math
import operator
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalefit.data.columns import alike_column, label_text
from scalefit.data.quantities import BadCells, as_numbers, is_missing, read_numbers
from scalefit.errors import DataError, list_choices, nearest
from scalefit.expression import parse_expression
from scalefit.numbers import as_input, short_number, to_digits

__all__ = ["Where", "parse_where"]

Mask = npt.NDArray[np.bool_]
Scalar = float | str | bool

_SYMBOLS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ON_PAPER = {">=": "≥", "<=": "≤", "!=": "≠", "==": "="}
_DIGITS = 4  # of a number on paper
_TRUTH = {"true": True, "false": False}
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`((?:[^`]|``)*)`""", re.DOTALL)
_DEEPEST = 60
_SHOWN = 200  # signs of a condition in a message
_LANGUAGE = 'Need comparisons such as: tokens > 1e9 and `eval.set` in ["hot", "cold"]; backquote odd names.'
_MISTAKES = {
    r"(?<![=!<>])=(?!=)": "a single '=' does not compare; write '=='",
    r"&": "'&' is not known; write 'and'",
    r"\|": "'|' is not known; write 'or'",
    r"~|!(?!=)": "write 'not' for the opposite of a condition",
    r"<>": "'<>' is not known; write '!='",
    r"(?<![\w.])[0-9][0-9.]*[kKmMbBgGtT]\b": "a number takes no suffix here; write 3.1e12 for 3.1T",
}


@dataclass(frozen=True)
class _Column:
    name: str
    at: int

    def __str__(self) -> str:
        odd = not (self.name.isidentifier() and self.name.isascii()) or keyword.iskeyword(self.name)
        return "`" + self.name.replace("`", "``") + "`" if odd or self.name in _TRUTH else self.name


@dataclass(frozen=True)
class _Literal:
    value: Scalar | tuple[Scalar, ...]
    at: int

    def __str__(self) -> str:
        words = [_scalar(value) for value in (self.value if isinstance(self.value, tuple) else (self.value,))]
        return f"[{', '.join(words)}]" if isinstance(self.value, tuple) else words[0]


@dataclass(frozen=True)
class _Comparison:
    operands: tuple[_Column | _Literal, ...]
    symbols: tuple[str, ...]

    def __str__(self) -> str:
        rest = (f" {symbol} {right}" for symbol, right in zip(self.symbols, self.operands[1:], strict=True))
        return str(self.operands[0]) + "".join(rest)


@dataclass(frozen=True)
class _Join:
    word: str
    parts: tuple[_Node, ...]

    def __str__(self) -> str:
        bare = _Column if self.word == "not" else _Column | _Comparison
        parts = [str(part) if isinstance(part, bare) else f"({part})" for part in self.parts]
        return f"not {parts[0]}" if self.word == "not" else f" {self.word} ".join(parts)


_Operand = _Column | _Literal
_Node = _Column | _Comparison | _Join


def _scalar(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else as_input(value)


@dataclass(frozen=True)
class Where:
    """A condition on the columns of a table; make one with `parse_where`.

    ``str(where)`` is its canonical form, and ``parse_where(str(where)) == where``.

    Parameters
    ----------
    text : str
        The canonical form; two conditions are equal if theirs are.
    tree : object
        The parsed condition; private.
    source : str
        The condition as it was written, for the caret in messages.
    """

    text: str
    tree: _Node = field(compare=False, repr=False)
    source: str = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.text

    def in_words(self) -> str:
        """Write the condition as on paper: ``width ≤ 2600``, ``tokens ≥ 4.07B and eval set = c4 val``."""
        return _in_words(self.tree)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the condition reads, in the order of their first use."""
        return tuple(dict.fromkeys(column.name for column in _columns(self.tree)))

    def mask(
        self, frame: pd.DataFrame, unread: Mapping[str, BadCells] | None = None, *, drop_open: bool = False
    ) -> Mask:
        """Tell for each row whether the condition holds.

        Parameters
        ----------
        frame : DataFrame, shape (n, p)
            Has the columns of the condition; others do not matter.
        unread : mapping, optional
            Columns that are numbers already, and the cells that could not be read for them.
        drop_open : bool
            Leave out the rows that are kept or left out by a cell that is not the number it should be.

        Returns
        -------
        array, shape (n,), bool
            True where the condition holds.

        Raises
        ------
        DataError
            For an unknown column, for a comparison of text with a number, and, unless such rows are to be dropped, for
            a row that is kept or left out by a cell that is not the number it should be.
        """
        names: dict[str, str] = {}
        for column in _columns(self.tree):
            found = column.name if column.name in frame else alike_column(column.name, frame.columns)
            if found is None:
                known = [str(name) for name in frame.columns]
                hint = nearest(column.name, known).rstrip()
                problem = f"unknown column {column.name!r}{f'; {hint}' if hint else ''}"
                _fail(self.source, column.at, problem, f"Columns: {list_choices(known)}")
            names[column.name] = found
        return _Walker(frame, self.source, names, unread or {}).mask(self.tree, drop_open=drop_open)


def _in_words(node: _Node | _Literal) -> str:
    match node:
        case _Column(name):
            return name.replace("_", " ")
        case _Literal(value):
            return f"[{', '.join(map(_value_in_words, value))}]" if isinstance(value, tuple) else _value_in_words(value)
        case _Comparison(operands, symbols):
            first, *others = map(_in_words, operands)
            signs = (_ON_PAPER.get(symbol, symbol) for symbol in symbols)
            return first + "".join(f" {sign} {other}" for sign, other in zip(signs, others, strict=True))
        case _Join(word, parts):
            own = [f"({_in_words(part)})" if isinstance(part, _Join) else _in_words(part) for part in parts]
            return f"not {own[0]}" if word == "not" else f" {word} ".join(own)


def _value_in_words(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.replace("_", " ") if isinstance(value, str) else short_number(to_digits(value, _DIGITS))


def _fail(source: str, at: int, problem: str, remedy: str = "") -> NoReturn:
    """Raise the error with a caret under the spot; of a long condition the part around it is shown."""
    start = max(0, min(at, len(source)) - _SHOWN // 2) if len(source) > _SHOWN else 0
    lead, tail = "..." if start else "", "..." if len(source) > start + _SHOWN else ""
    lines = [
        f"cannot read the condition: {problem}",
        f"  {lead}{source[start : start + _SHOWN]}{tail}",
        f"  {' ' * (len(lead) + at - start)}^",
    ]
    raise DataError("\n".join([*lines, remedy] if remedy else lines))


def _columns(node: _Node | _Literal) -> Iterator[_Column]:
    """Walk through the columns of a condition from left to right."""
    if isinstance(node, _Column):
        yield node
    elif not isinstance(node, _Literal):
        inside = node.operands if isinstance(node, _Comparison) else node.parts
        for part in inside:
            yield from _columns(part)


def parse_where(text: str) -> Where:
    """Read a condition.

    Parameters
    ----------
    text : str
        For example ``'tokens > 1e9 and not (subset in ["hot", "cold"] or `near duplicate`)'``.

    Returns
    -------
    Where
        The condition, not yet bound to a table.

    Raises
    ------
    DataError
        With a caret under the spot that cannot be read.
    """
    source = re.sub(r"\s", " ", text).strip()
    if not source:
        raise DataError("cannot read the condition: it is empty. Need a comparison such as tokens > 1e9")
    tree = _ConditionParser(source).parse()
    return Where(str(tree), tree, source)


class _ConditionParser:
    """Turns the text of one condition into the tree."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.quoted: dict[str, str] = {}
        self.code = self._without_backquotes().encode(errors="replace")

    def _without_backquotes(self) -> str:
        """Put a name of the same length in place of each backquoted one, so that positions stay right."""
        stand_ins = (chr(code) for code in range(0x4E00, 0x9F00) if chr(code) not in self.source)

        def stand_in(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0]  # text in quotes
            word = next(stand_ins) * len(match[0])
            self.quoted[word] = match[1].replace("``", "`")
            return word

        for sign, problem in (("`", "a backquote is not closed"), ("#", "a name with '#' needs backquotes")):
            if sign in self._blank_strings():
                _fail(self.source, self._blank_strings().index(sign), problem)
        return _QUOTED.sub(stand_in, self.source)

    def _blank_strings(self) -> str:
        return _QUOTED.sub(lambda match: "_" * len(match[0]), self.source)

    def parse(self) -> _Node:
        try:
            return self._node(parse_expression(self.code), depth=0)
        except SyntaxError as error:
            if digits := re.search(r"[0-9]{4000,}", self._blank_strings()):
                _fail(self.source, digits.start(), "the number is too large")
            self._mistake((error.offset or 1) - 1, "this is not a comparison")
        except RecursionError:
            _fail(self.source, 0, "it is nested too deeply")
        except ValueError as error:
            _fail(self.source, 0, str(error))

    def _mistake(self, at: int, problem: str) -> NoReturn:
        """Name a usual mistake if there is one, else the problem that the parser stumbled over."""
        for pattern, usual in _MISTAKES.items():
            if match := re.search(pattern, self._blank_strings()):
                _fail(self.source, match.start(), usual)
        _fail(self.source, min(max(at, 0), len(self.source)), problem, _LANGUAGE)

    def _at(self, node: ast.expr) -> int:
        """Give the position in characters; ``ast`` counts bytes of UTF-8."""
        return len(self.code[: node.col_offset].decode())

    def _node(self, node: ast.expr, *, depth: int) -> _Node:
        if depth > _DEEPEST:
            _fail(self.source, self._at(node), "it is nested too deeply")
        if isinstance(node, ast.BoolOp):
            parts = [self._node(part, depth=depth + 1) for part in node.values]  # noqa: PD011 - not pandas
            return _Join("and" if isinstance(node.op, ast.And) else "or", tuple(parts))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return _Join("not", (self._node(node.operand, depth=depth + 1),))
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        operand = self._operand(node)
        if isinstance(operand, _Literal):
            _fail(self.source, operand.at, f"{operand} alone is not a comparison", _LANGUAGE)
        return operand

    def _comparison(self, node: ast.Compare) -> _Comparison:
        operands, symbols = [self._operand(node.left)], list[str]()
        for operation, right in zip(node.ops, node.comparators, strict=True):
            symbol = _SYMBOLS.get(type(operation))
            if symbol is None:
                self._mistake(self._at(node), "'is' is not known; write '=='")
            if symbol.endswith("in") and len(node.ops) > 1:
                _fail(self.source, self._at(node), f"'{symbol}' cannot stand in a chain; join with 'and'")
            operands.append(self._list(right, symbol) if symbol.endswith("in") else self._operand(right))
            symbols.append(symbol)
            if not any(isinstance(operand, _Column) for operand in operands[-2:]):
                _fail(self.source, operands[-2].at, "two constants are compared; one side must be a column")
        return _Comparison(tuple(operands), tuple(symbols))

    def _list(self, node: ast.expr, symbol: str) -> _Literal:
        at = self._at(node)
        if not isinstance(node, ast.List | ast.Tuple | ast.Set):
            _fail(self.source, at, f'\'{symbol}\' needs a list, such as ["hot", "cold"]')
        values: list[Scalar] = []
        for element in node.elts:
            item = self._operand(element)
            if isinstance(item, _Column) or isinstance(item.value, tuple):
                _fail(self.source, item.at, "a list holds numbers, or text in quotes")
            values.append(item.value)
        if len({_kind(value) for value in values}) != 1:
            _fail(self.source, at, "the list mixes text and numbers, or is empty")
        return _Literal(tuple(values), at)

    def _operand(self, node: ast.expr) -> _Column | _Literal:
        at = self._at(node)
        if isinstance(node, ast.Name):
            word = self.code[node.col_offset : node.end_col_offset].decode()
            if word in self.quoted:
                return _Column(self.quoted[word], at)
            return _Literal(_TRUTH[word], at) if word in _TRUTH else _Column(word, at)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self._operand(node.operand)
            if isinstance(inner, _Literal) and isinstance(inner.value, float):
                return _Literal(-inner.value, at)
        if isinstance(node, ast.Constant) and isinstance(node.value, bool | str):
            return _Literal(node.value, at)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            if abs(node.value) > sys.float_info.max:
                _fail(self.source, at, "the number is too large")
            if float(node.value) != node.value:
                _fail(self.source, at, "the number has too many digits to be exact; compare an identifier in quotes")
            return _Literal(float(node.value), at)
        return self._mistake(at, "only columns, numbers and text in quotes can be compared")


def _kind(value: Scalar) -> str:
    return "true or false" if isinstance(value, bool) else "text" if isinstance(value, str) else "a number"


class _Rows(NamedTuple):
    """What a part of a condition says of each row: it holds, or that cannot be told (and counts as not holding)."""

    holds: Mask
    open: Mask


class _Walker:
    """Applies the tree of one condition to one frame."""

    def __init__(
        self, frame: pd.DataFrame, source: str, names: Mapping[str, str], unread: Mapping[str, BadCells]
    ) -> None:
        self.frame, self.source, self.names, self.unread = frame, source, names, unread
        self.bad: list[tuple[int, BadCells]] = []  # comparisons with cells that are not numbers: spot, cells

    def mask(self, tree: _Node, *, drop_open: bool) -> Mask:
        rows = self._walk(tree)
        if rows.open.any() and not drop_open:
            place = int(np.flatnonzero(rows.open)[0])
            at, cells = next(pair for pair in self.bad if place in pair[1].problems)
            _fail(
                self.source,
                at,
                "a row depends on a cell that is not a number",
                cells.message(np.arange(len(self.frame)) == place),
            )
        return rows.holds

    def _walk(self, node: _Node) -> _Rows:
        nothing = np.zeros(len(self.frame), dtype=np.bool_)
        if isinstance(node, _Column):
            return _Rows(np.asarray(self._values(node, "true or false", node.at)[0] == 1.0), nothing)
        if isinstance(node, _Join) and node.word == "not":
            inner = self._walk(node.parts[0])
            return _Rows(~inner.holds & ~inner.open, inner.open)
        if isinstance(node, _Join):
            parts = [self._walk(part) for part in node.parts]
        else:
            pairs = zip(node.operands, node.symbols, node.operands[1:], strict=False)
            parts = [self._compare(*pair) for pair in pairs]
        if isinstance(node, _Join) and node.word == "or":
            holds = np.logical_or.reduce([part.holds for part in parts])
            return _Rows(holds, np.logical_or.reduce([part.open for part in parts]) & ~holds)
        fails = np.logical_or.reduce([~part.holds & ~part.open for part in parts])
        undecided = np.logical_or.reduce([part.open for part in parts]) & ~fails
        return _Rows(~fails & ~undecided, undecided)

    def _compare(self, left: _Operand, symbol: str, right: _Operand) -> _Rows:
        kind = self._common_kind(left, symbol, right)
        present, undecided = np.ones(len(self.frame), dtype=np.bool_), np.zeros(len(self.frame), dtype=np.bool_)
        sides: list[Any] = []
        for operand, other in ((left, right), (right, left)):
            if isinstance(operand, _Column):
                values, bad = self._values(operand, kind, other.at)
                present &= ~pd.isna(values)
                undecided[list(bad)] = True
                sides.append(values)
            else:
                sides.append(operand.value)
        if symbol.endswith("in"):
            found = np.logical_or.reduce([sides[0] == value for value in sides[1]])
            holds = np.asarray(found == (symbol == "in")) & present
        else:
            holds = np.asarray(_COMPARE[symbol](sides[0], sides[1]), dtype=np.bool_) & present
        return _Rows(holds & ~undecided, undecided)

    def _common_kind(self, left: _Operand, symbol: str, right: _Operand) -> str:
        """Decide whether two sides are compared as numbers, as text or as true and false."""
        kinds = [self._own_kind(left), self._own_kind(right)]
        ordered = symbol[0] in "<>"
        if kinds[0] == kinds[1]:
            if kinds[0] == "text" and isinstance(left, _Column) and isinstance(right, _Column):
                # columns of text have an order only if they hold numbers
                numbers = ordered or all(as_numbers(self._column(side)) is not None for side in (left, right))
                return "a number" if numbers else "text"
            if ordered and kinds[0] == "text":
                _fail(self.source, right.at, "text has no order; write a number without quotes")
            if ordered and kinds[0] == "true or false":
                _fail(self.source, left.at, "true and false have no order; compare them with == or !=")
            return kinds[0]
        for side, kind, other in ((left, kinds[0], kinds[1]), (right, kinds[1], kinds[0])):
            if kind == "text" and isinstance(side, _Column):
                return other
        named = [f"column {str(side)!r}" if isinstance(side, _Column) else str(side) for side in (left, right)]
        problem = f"{named[0]} ({kinds[0]}) cannot be compared with {named[1]} ({kinds[1]})"
        _fail(self.source, right.at, problem, "Write text in quotes, numbers without, and true or false.")

    def _column(self, column: _Column) -> pd.Series[Any]:
        return self.frame[self.names[column.name]]

    def _own_kind(self, operand: _Operand) -> str:
        if isinstance(operand, _Literal):
            return _kind(operand.value[0] if isinstance(operand.value, tuple) else operand.value)
        dtype = self._column(operand).dtype
        if pd.api.types.is_bool_dtype(dtype):
            return "true or false"
        return "a number" if pd.api.types.is_numeric_dtype(dtype) else "text"

    def _values(self, column: _Column, kind: str, at: int) -> tuple[npt.NDArray[Any], Collection[int]]:
        """Read a column as the kind asked for: floats for numbers and for true and false, else text; and bad cells."""
        series = self._column(column)
        if kind == "a number":
            numbers = read_numbers(series)
            bad = self.unread.get(self.names[column.name]) or numbers.bad
            if bad is None:
                return numbers.floats, ()
            if np.isnan(numbers.floats).all():
                problem = f"column {column.name!r} holds text and cannot be compared with a number"
                _fail(self.source, at, problem, bad.message().partition(". Need")[0] + ".")
            self.bad.append((at, bad))
            return numbers.floats, bad.problems.keys()
        cells = series.astype(object).tolist()
        if kind == "text":
            texts = [None if is_missing(cell, number=False) else label_text(cell).strip() for cell in cells]
            return np.array(texts, dtype=object), ()
        words = [None if is_missing(cell) else _TRUTH.get(str(cell).strip().lower(), cell) for cell in cells]
        if not all(word is None or isinstance(word, bool | np.bool_) for word in words):
            problem = f"column {column.name!r} does not hold true and false; compare it with a value"
            _fail(self.source, at, problem, _LANGUAGE)
        return np.array([math.nan if word is None else float(word) for word in words]), ()
