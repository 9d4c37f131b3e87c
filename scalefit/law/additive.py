"""A floor and powers of single columns, written as in a paper: the laws whose optimum is certified.

``loss ~ E + A/params^alpha + B/tokens^beta`` is parsed here, printed back and evaluated.

Grammar (``^`` and ``**`` are the same)::

    law      = response "~" part { "+" part }
    part     = floor | power
    floor    = name [ "[" column { "," column } "]" ] | number
    power    = coefficient ("/" | "*") column [ "^" exponent ]
    exponent = name [ "[" columns "]" ] | number | "(" number "/" number ")"

A name in brackets has one value per level of the columns: ``E[family, eval_set]``. A repeated name is
one shared parameter. A number in place of a name fixes it.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scalefit.errors import LawError, closest
from scalefit.expression import parse_expression
from scalefit.law.presets import LAWS
from scalefit.numbers import as_input

__all__ = ["NO_NAMES", "PRESETS", "SMALLEST", "STEEPEST", "Coef", "Law", "Term", "format_value", "pointed_at"]

Array = NDArray[np.float64]

SMALLEST, STEEPEST = 1e-100, 100  # what a number in a law may be, and an exponent
NO_NAMES = frozenset({"nan", "NaN", "NAN", "inf", "Inf", "Infinity", "True", "False", "None"})
SHOWN = 200  # characters of a long law to each side of a mistake

PRESETS: Mapping[str, str] = MappingProxyType({name: preset.law for name, preset in LAWS.items() if not preset.columns})
"""The presets that are sums of powers, by name; :data:`scalefit.law.presets.LAWS` has all, with their sources."""


@dataclass(frozen=True)
class Coef:
    """A named parameter, with one value per level of its grouping columns.

    Parameters
    ----------
    name : str
        The parameter's name.
    groups : tuple of str
        Columns whose combined levels each get a value; empty for one value.
    """

    name: str
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(self.groups)}]" if self.groups else self.name


@dataclass(frozen=True)
class Term:
    """One power of one column: ``coefficient / variable^exponent``.

    Parameters
    ----------
    coefficient : Coef or Fraction
        The factor in front, a parameter or a fixed positive number.
    variable : str
        The column.
    exponent : Coef or Fraction
        The power, a parameter or a fixed number, taken as written after ``/`` or ``*``.
    grows : bool
        True for ``coefficient * variable^exponent``.
    """

    coefficient: Coef | Fraction
    variable: str
    exponent: Coef | Fraction
    grows: bool = False

    def __str__(self) -> str:
        sign = "*" if self.grows else "/"
        return f"{format_value(self.coefficient)}{sign}{self.variable}^{format_value(self.exponent)}"


@dataclass(frozen=True)
class Law:
    """A sum of an optional floor and power terms; compare, print and typeset it.

    Build one with :meth:`parse`. ``Law.parse(str(law)) == law`` for every law.

    Parameters
    ----------
    response : str
        The column that the law predicts.
    floor : Coef, Fraction or None
        The limit of the response when every term has vanished; None means 0.
    terms : tuple of Term
        The power terms in the order written.
    """

    response: str
    floor: Coef | Fraction | None
    terms: tuple[Term, ...]

    # A law of any form has these as well; here the text of the law already says everything.
    assumed: ClassVar[tuple[()]] = ()
    is_decided: ClassVar[bool] = True
    has_certified_search: ClassVar[bool] = True

    @classmethod
    def parse(cls, text: str) -> Law:
        """Read a law, or the name of a preset.

        Parameters
        ----------
        text : str
            For example ``"loss ~ E + A/params^alpha + B/tokens^beta"`` or ``"chinchilla"``.

        Returns
        -------
        Law
            The law in canonical form: floor first, terms in the order written.

        Raises
        ------
        LawError
            With a caret under the spot that cannot be read.
        """
        parser = _LawParser(PRESETS.get(text.strip(), text))
        try:
            return parser.law()
        except RecursionError:
            raise parser.error("it is nested too deeply, or has too many terms", 0) from None

    def __str__(self) -> str:
        parts = [] if self.floor is None else [format_value(self.floor)]
        return f"{self.response} ~ {' + '.join(parts + [str(term) for term in self.terms])}"

    @property
    def parameters(self) -> tuple[Coef, ...]:
        """Every parameter once, in the order of the law."""
        return tuple(dict.fromkeys(coef for coef, _ in self._uses()))

    @property
    def coefficients(self) -> tuple[Coef, ...]:
        """The factors in front of the terms, each once."""
        return tuple(dict.fromkeys(coef for coef, role in self._uses() if role == "coefficient"))

    @property
    def exponents(self) -> tuple[Coef, ...]:
        """The free exponents, each once."""
        return tuple(dict.fromkeys(coef for coef, role in self._uses() if role == "exponent"))

    @property
    def variables(self) -> tuple[str, ...]:
        """The numeric columns on the right-hand side, each once."""
        return tuple(dict.fromkeys(term.variable for term in self.terms))

    @property
    def groups(self) -> tuple[str, ...]:
        """The label columns that appear in brackets, each once."""
        return tuple(dict.fromkeys(column for coef in self.parameters for column in coef.groups))

    @property
    def twins(self) -> tuple[tuple[Coef, Coef, Coef, Coef], ...]:
        """Pairs of terms that only their names tell apart: coefficient and exponent of one, then of the other.

        Both are powers of one column, rising or falling, in parameters without levels that occur nowhere else.
        """
        parts = [part for term in self.terms for part in (term.coefficient, term.exponent)]
        pairs = []
        for first, second in combinations(self.terms, 2):
            own = (first.coefficient, first.exponent, second.coefficient, second.exponent)
            single = [part for part in own if isinstance(part, Coef) and not part.groups and parts.count(part) == 1]
            if len(single) == 4 and (first.variable, first.grows) == (second.variable, second.grows):
                pairs.append((single[0], single[1], single[2], single[3]))
        return tuple(pairs)

    @property
    def written(self) -> str:
        """The text of the law."""
        return str(self)

    def kind_of(self, coef: Coef) -> str:
        """Return the role of a parameter: floor, coefficient or exponent."""
        return "floor" if coef == self.floor else "coefficient" if coef in self.coefficients else "exponent"

    def bounds(self, name: str) -> tuple[float, float]:  # noqa: ARG002
        """Return lower and upper bound of a parameter: none is negative, unless a fit lets exponents be."""
        return 0.0, math.inf

    def decided(self, columns: Collection[str], also: Collection[str] = ()) -> Law:  # noqa: ARG002
        """Return the law itself: where a name stands says whether it is a column."""
        return self

    def assuming(self, names: Collection[str]) -> Law:  # noqa: ARG002
        """Return the law itself: nothing in it is assumed."""
        return self

    def holding(self, values: Mapping[str, float]) -> Law:
        """Return the law with some exponents fixed."""
        return self.with_exponents(**values)

    def needs(self, space: str = "log") -> dict[str, str]:  # noqa: ARG002
        """Return nothing: every column has to be positive."""
        return {}

    def evaluate(self, columns: Mapping[str, Array], values: Callable[[Coef], Array]) -> Array:
        """Return the response at rows; see :meth:`scalefit.law.protocol.AnyLaw.evaluate`."""

        def value(part: Coef | Fraction) -> Array | float:
            return values(part) if isinstance(part, Coef) else float(part)

        def log(part: Coef | Fraction) -> Array | float:
            return values(part) if isinstance(part, Coef) else float(np.log(float(part)))

        n_rows = len(columns[self.terms[0].variable])
        total: Array = np.zeros(n_rows) + (0.0 if self.floor is None else value(self.floor))
        for term in self.terms:
            sign = 1.0 if term.grows else -1.0
            size = log(term.coefficient) + sign * value(term.exponent) * np.log(columns[term.variable])
            with np.errstate(over="ignore"):  # a term beyond the largest float is infinite, and so is the prediction
                total = total + np.exp(size)
        return total

    def with_exponents(self, /, **fixed: float | Fraction) -> Law:
        """Return the law with some exponents fixed, as for a test of ``a_m = 1``.

        Parameters
        ----------
        **fixed : float or Fraction
            Exponent names and the values at which to hold them.

        Returns
        -------
        Law
            The nested law.

        Raises
        ------
        LawError
            When a name is not an exponent of this law.
        """
        names = [coef.name for coef in self.exponents]
        for name in fixed:
            if name not in names:
                raise LawError(f"{name!r} is no exponent of {self}; {closest(name, names)}")

        def hold(exponent: Coef | Fraction) -> Coef | Fraction:
            if isinstance(exponent, Coef) and exponent.name in fixed:
                return Fraction(str(fixed[exponent.name]))
            return exponent

        return replace(self, terms=tuple(replace(t, exponent=hold(t.exponent)) for t in self.terms))

    def _uses(self) -> Iterator[tuple[Coef, str]]:
        if isinstance(self.floor, Coef):
            yield self.floor, "floor"
        for term in self.terms:
            if isinstance(term.coefficient, Coef):
                yield term.coefficient, "coefficient"
            if isinstance(term.exponent, Coef):
                yield term.exponent, "exponent"


def format_value(value: Coef | Fraction) -> str:
    """Print a number exactly: as a decimal where it has one, as (p/q) where not."""
    if isinstance(value, Coef):
        return str(value)
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return f"({value.numerator}/{value.denominator})"
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole = str((value * 10**digits).numerator).rjust(digits + 1, "0")
    return whole if digits == 0 else f"{whole[:-digits]}.{whole[-digits:]}"


def _is_product(node: ast.expr) -> bool:
    """Whether names are multiplied, divided or raised here."""
    joined = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div | ast.Pow)
    return joined and any(isinstance(inner, ast.Name) for inner in ast.walk(node))


class _LawParser:
    """Turn one line into a law; every refusal points at a column of the line."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())
        self.columns: list[int] = []  # position in the Python expression -> position in the text
        self.start = 0

    def law(self) -> Law:
        left, tilde, right = self.text.partition("~")
        response = left.strip()
        if not tilde and "=" in self.text:
            raise self.error(
                "the response stands before '~', not before '='; write loss ~ E + ...", self.text.find("=")
            )
        if not tilde:
            raise self.error(
                "a law needs a '~' between the response and its terms, or is the name of a preset; "
                + closest(self.text, PRESETS),
                len(self.text),
            )
        if not response.isidentifier():
            raise self.error("left of '~' stands the name of one column, such as loss", 0)
        self.start = len(left) + 1
        floor: Coef | Fraction | None = None
        terms: list[Term] = []
        for node in self._summands(self._tree(right)):
            part = self._part(node)
            if isinstance(part, Term):
                self._check_term(part, terms, node)
                terms.append(part)
            elif floor is not None:
                raise self.error(
                    f"{format_value(floor)} and {format_value(part)} are both added without a column, so that only "
                    "their sum is known; keep one",
                    node,
                )
            else:
                floor = part
        if not terms:
            raise self.error("a law needs at least one term such as A/params^alpha", self.start)
        law = Law(response, floor, tuple(terms))
        self._check_names(law)
        return law

    def _tree(self, right: str) -> ast.expr:
        code = ""
        for position, character in enumerate(right):
            piece = "**" if character == "^" else character
            code += piece
            self.columns += [self.start + position] * len(piece.encode(errors="surrogatepass"))
        self.columns.append(self.start + len(right))
        if "#" in right:  # a comment of Python, which its parser drops without a word
            raise self.error("a law has no comments", self.start + right.index("#"))
        indent = len(code) - len(code.lstrip())
        self.columns = self.columns[indent:]
        try:
            return parse_expression(code.strip())
        except ValueError:  # a null byte, or half of a surrogate pair
            raise self.error("it holds a character that no law has", self.start) from None
        except SyntaxError as error:
            incomplete = code.rstrip().endswith(("+", "*", "/", "(", "[", ",")) or not code.strip()
            spot = len(self.columns) - 1 if incomplete else min(max((error.offset or 1) - 1, 0), len(self.columns) - 1)
            raise self.error("this is not a sum of terms such as A/params^alpha", self.columns[spot]) from None

    def _summands(self, node: ast.expr) -> Iterator[ast.expr]:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            yield from self._summands(node.left)
            yield node.right
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            raise self.error("terms are added; a coefficient is positive, so '-' has no place", node.right)
        else:
            yield node

    def _part(self, node: ast.expr) -> Coef | Fraction | Term:
        if isinstance(node, ast.Name | ast.Subscript):
            return self._coef(node)
        if not any(isinstance(inner, ast.Name) for inner in ast.walk(node)):
            return self._number(node)
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Mult)):
            raise self.error("expected a floor such as E or a term such as A/params^alpha", node)
        self._check_factors(node)
        coefficient = self._value(node.left)
        grows = isinstance(node.op, ast.Mult)
        exponent: Coef | Fraction = Fraction(1)
        base = node.right
        if isinstance(base, ast.BinOp) and isinstance(base.op, ast.Pow):
            power = base.right
            while isinstance(power, ast.UnaryOp) and isinstance(power.op, ast.USub):
                power, grows = power.operand, not grows
            exponent, base = self._value(power), base.left
        if not isinstance(base, ast.Name):
            raise self.error("expected the name of one column under the exponent", base)
        if isinstance(exponent, Fraction) and exponent > STEEPEST:
            raise self.error(f"an exponent above {STEEPEST} leaves double precision", power)
        if isinstance(exponent, Fraction) and exponent == 0:
            raise self.error("an exponent of 0 makes the term a constant; use the floor", node)
        if isinstance(coefficient, Fraction) and coefficient == 0:
            raise self.error("a coefficient of 0 makes the term vanish; leave it out", node)
        return Term(coefficient, base.id, exponent, grows)

    def _check_factors(self, node: ast.BinOp) -> None:
        """Refuse a term of several columns or coefficients, pointing at the one too many."""
        right = node.right
        base = right.left if isinstance(right, ast.BinOp) and isinstance(right.op, ast.Pow) else right
        inside = base if _is_product(base) else None
        if not inside and not _is_product(node.left):
            return
        names = [inner for inner in ast.walk(node.left) if isinstance(inner, ast.Name)]
        if not inside and len(names) == 1 and not any(isinstance(inner, ast.Pow) for inner in ast.walk(node.left)):
            raise self.error("a term has one coefficient, a name or a number, such as A/params^alpha", node.left)
        raise self.error(
            "a term has one column, and products of columns such as N^a*D^b are not in the law language. Compute the "
            "product as a column of the table where its exponents are known; where they are not, a single product "
            "is a straight line in the logarithms of all columns, which linear regression fits",
            inside.right if isinstance(inside, ast.BinOp) else right,
        )

    def _value(self, node: ast.expr) -> Coef | Fraction:
        if isinstance(node, ast.Name | ast.Subscript):
            return self._coef(node)
        return self._number(node)

    def _number(self, node: ast.expr) -> Fraction:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            if node.value != 0 and not SMALLEST <= abs(node.value) <= 1 / SMALLEST:
                raise self.error(
                    f"a number in a law lies between {as_input(SMALLEST)} and {as_input(1 / SMALLEST, 12)}", node
                )
            return Fraction(repr(node.value))  # repr of a float is the shortest text that reads back equal
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            below = self._number(node.right)
            if below != 0 and (ratio := self._number(node.left) / below) <= 1 / SMALLEST:
                return ratio
        raise self.error("expected a name or a number", node)

    def _coef(self, node: ast.Name | ast.Subscript) -> Coef:
        if isinstance(node, ast.Name):
            return Coef(node.id)
        if not isinstance(node.value, ast.Name):
            raise self.error("expected a name before '['", node)
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for column in inside:
            if not isinstance(column, ast.Name):
                raise self.error("inside [ ] stand column names, such as E[family, eval_set]", column)
        columns = tuple(column.id for column in inside if isinstance(column, ast.Name))
        if len(set(columns)) < len(columns):
            raise self.error("a column stands twice inside [ ]", node)
        return Coef(node.value.id, columns)

    def _check_term(self, term: Term, before: list[Term], node: ast.expr) -> None:
        for other in before:
            alike = (term.variable, term.exponent, term.grows)
            if alike == (other.variable, other.exponent, other.grows):
                raise self.error(
                    f"{term} and {other} have the same column and exponent, so no data can tell "
                    "them apart; leave one out or give it an exponent of its own",
                    node,
                )

    def _check_names(self, law: Law) -> None:
        seen: dict[str, tuple[Coef, str]] = {}
        for coef, role in law._uses():
            first, first_role = seen.setdefault(coef.name, (coef, role))
            if role != first_role:
                raise self.error(f"{coef.name!r} is used as {first_role} and as {role}; rename one", coef.name)
            if first != coef:
                raise self.error(f"{first} and {coef} share a name but not their groups; rename one", coef.name)
        columns = {law.response, *law.variables, *law.groups}
        for name in seen:
            if name in NO_NAMES:
                raise self.error(f"{name} has no place in a law", name)
            if name in columns:
                raise self.error(f"{name!r} is both a parameter and a column; rename the parameter", name)
        if law.response in law.variables:
            raise self.error(f"{law.response!r} stands on both sides of '~'", law.response)
        mixed = set(law.groups) & set(law.variables)
        for name in sorted(mixed):
            raise self.error(f"{name!r} is both a number under an exponent and a group in [ ]", name)

    def error(self, reason: str, spot: int | str | ast.expr) -> LawError:
        """Return a refusal that points at a spot of the line."""
        if isinstance(spot, str):
            spot = max(self.text.rfind(spot), 0)
        elif isinstance(spot, ast.expr):
            spot = self.columns[min(spot.col_offset, len(self.columns) - 1)]
        return pointed_at(reason, self.text, spot)


def pointed_at(reason: str, text: str, spot: int) -> LawError:
    """Return a refusal that shows a law, or the part of a long one, with a caret under the spot."""
    first = max(spot - SHOWN, 0) if len(text) > 2 * SHOWN else 0
    shown = text if len(text) <= 2 * SHOWN else text[first : first + 2 * SHOWN]
    return LawError(f"cannot read the law: {reason}\n  {shown}\n  {' ' * (spot - first)}^")
