"""Expressions of a law as they are written: read from text, printed back, walked for typesetting.

They keep the shape that the author chose (``A/x`` stays a quotient); :mod:`scalefit.law.tree` has the shared nodes that
are differentiated and evaluated. Text is read by Python's grammar of expressions and never evaluated; every refusal
points at its spot.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from scalefit.errors import LawError
from scalefit.expression import parse_expression
from scalefit.law import tree
from scalefit.law.additive import NO_NAMES, SMALLEST, format_value, pointed_at
from scalefit.law.tree import Node
from scalefit.numbers import as_input

__all__ = [
    "FUNCTIONS",
    "RESERVED",
    "Binary",
    "Call",
    "Expression",
    "NameToken",
    "Negative",
    "Number",
    "Reader",
    "Token",
    "as_python",
    "names_in",
    "printed_column",
    "to_node",
    "walk",
]

FUNCTIONS: Final = {"exp": 1, "log": 1, "sqrt": 1, "sigmoid": 1, "min": 2, "max": 2}
"""Names and the least number of arguments; those with one take exactly one."""

RESERVED: Final = frozenset({*FUNCTIONS, "where", "with", "in", "free"})
LONGEST, MOST, WIDEST = 10_000, 400, 40  # characters of a law, operations in it, characters of a numeral
DIGITS: Final = 20  # up to so many characters a number is printed without an exponent

_TOKEN: Final = re.compile(
    r"\s+|(?P<quoted>`(?:[^`]|``)*`)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*)"
    r"|(?P<symbol>\*\*|.)",
    re.DOTALL,
)
_OPERATORS: Final[dict[type[ast.operator], Literal["+", "-", "*", "/", "^"]]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "^",
}  # fmt: skip
_BINDS: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
NEGATIVE, ATOM = 3, 5
_LANGUAGE: Final = "a law is made of names, numbers, + - * / ^, parentheses and the functions " + ", ".join(
    sorted(FUNCTIONS)
)


@dataclass(frozen=True)
class Number:
    """A number that stands in the law, not below 0."""

    value: Fraction

    def __str__(self) -> str:
        text = format_value(self.value)
        return text if len(text) <= DIGITS and "/" not in text else as_input(float(self.value))


@dataclass(frozen=True)
class NameToken:
    """A column, a parameter or a part that is defined after ``where``; which of them is decided by the law.

    Parameters
    ----------
    name : str
        As in the table or the law.
    groups : tuple of str
        Columns whose combined levels each have a value of this parameter.
    quoted : bool
        Written in backquotes, as only a column is.
    """

    name: str
    groups: tuple[str, ...] = ()
    quoted: bool = False

    def __str__(self) -> str:
        if self.quoted:
            return printed_column(self.name, quoted=True)
        return f"{self.name}[{', '.join(map(printed_column, self.groups))}]" if self.groups else self.name


@dataclass(frozen=True)
class Negative:
    """Minus an expression."""

    operand: Expression

    def __str__(self) -> str:
        return "-" + _inside(self.operand, NEGATIVE)


@dataclass(frozen=True)
class Binary:
    """Two expressions joined by an operator."""

    operator: Literal["+", "-", "*", "/", "^"]
    left: Expression
    right: Expression

    def __str__(self) -> str:
        binds = _BINDS[self.operator]
        if self.operator == "^":
            return f"{_inside(self.left, ATOM)}^{_inside(self.right, ATOM)}"
        left, right = _inside(self.left, binds), _inside(self.right, binds + 1)
        return f"{left} {self.operator} {right}" if binds == 1 else f"{left}{self.operator}{right}"


@dataclass(frozen=True)
class Call:
    """A function of expressions."""

    function: str
    arguments: tuple[Expression, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


Expression = Number | NameToken | Negative | Binary | Call


def binds_of(expression: Expression) -> int:
    """Return how tightly an expression holds together: 1 for a sum, 5 for a name."""
    if isinstance(expression, Binary):
        return _BINDS[expression.operator]
    return NEGATIVE if isinstance(expression, Negative) else ATOM


def _inside(expression: Expression, binds: int) -> str:
    return f"({expression})" if binds_of(expression) < binds else str(expression)


def printed_column(name: str, *, quoted: bool = False) -> str:
    """Print the name of a column, in backquotes where the language needs them."""
    plain = name.isidentifier() and name not in RESERVED and not name.startswith("__")
    return name if plain and not quoted else "`" + name.replace("`", "``") + "`"


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and everything inside it, left before right."""
    yield expression
    for inner in _children(expression):
        yield from walk(inner)


def _children(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case Binary(left=left, right=right):
            return left, right
        case Negative(operand=operand):
            return (operand,)
        case Call(arguments=arguments):
            return arguments
    return ()


def names_in(expression: Expression) -> Iterator[NameToken]:
    """Yield the names in an expression from left to right, repeated as they are."""
    return (part for part in walk(expression) if isinstance(part, NameToken))


def as_python(expression: Expression, names: Mapping[str, str]) -> str:
    """Write an expression in Python's grammar, every operation in parentheses.

    Parameters
    ----------
    expression : Expression
        The expression.
    names : mapping of str to str
        What to write for each name.

    Returns
    -------
    str
        For an evaluator that knows exp, log, sqrt, min and max.
    """
    match expression:
        case Number(value=value):
            return repr(float(value))
        case NameToken(name=name):
            return names[name]
        case Negative(operand=operand):
            return f"(-{as_python(operand, names)})"
        case Binary(operator=operator, left=left, right=right):
            symbol = "**" if operator == "^" else operator
            return f"({as_python(left, names)} {symbol} {as_python(right, names)})"
        case Call(function="sigmoid", arguments=(argument,)):
            return f"(1/(1 + exp(-{as_python(argument, names)})))"
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(as_python(argument, names) for argument in arguments)})"
    raise AssertionError(expression)


def to_node(expression: Expression, leaf: Callable[[NameToken], Node]) -> Node:
    """Turn an expression into shared nodes.

    Parameters
    ----------
    expression : Expression
        The expression.
    leaf : callable
        What a name stands for.

    Returns
    -------
    Node
        The same, to be evaluated and differentiated.
    """

    def make(part: Expression) -> Node:
        match part:
            case Number(value=value):
                return tree.number(float(value))
            case NameToken():
                return leaf(part)
            case Negative(operand=operand):
                return tree.negate(make(operand))
            case Binary(operator=operator, left=left, right=right):
                first, second = make(left), make(right)
                if operator == "+":
                    return tree.add(first, second)
                if operator == "-":
                    return tree.add(first, tree.negate(second))
                if operator == "*":
                    return tree.multiply(first, second)
                if operator == "/":
                    return tree.multiply(first, tree.power(second, tree.number(-1)))
                return tree.power(first, second)
            case Call(function=function, arguments=arguments):
                inner = [make(argument) for argument in arguments]
                if function == "sqrt":
                    return tree.power(inner[0], tree.number(0.5))
                if function in ("min", "max"):
                    return (tree.minimum if function == "min" else tree.maximum)(*inner)
                return {"exp": tree.exp, "log": tree.log, "sigmoid": tree.sigmoid}[function](inner[0])
        raise AssertionError(part)

    return make(expression)


class Token(NamedTuple):
    """A piece of a law's text.

    Parameters
    ----------
    kind : {"quoted", "number", "name", "symbol"}
        What it is.
    text : str
        As written; a quoted name without its quotes.
    at : int
        Where it begins.
    spaced : bool
        Whether a space stands before it.
    """

    kind: str
    text: str
    at: int
    spaced: bool


class Reader:
    """Turns the text of a law into expressions; every refusal points at a spot of the text.

    Parameters
    ----------
    text : str
        The whole law.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise LawError(f"cannot read the law: it has {len(text)} characters; at most {LONGEST} are read")
        self.text = re.sub(r"\s", " ", text).strip()
        self.operations = 0
        self.tokens = tuple(self._tokens())

    def _tokens(self) -> Iterator[Token]:
        spaced = False
        for match in _TOKEN.finditer(self.text):
            kind = match.lastgroup
            if kind is None:
                spaced = True
                continue
            text = match[0]
            if kind == "quoted":
                text = text[1:-1].replace("``", "`")
                if not text.strip():
                    raise self.error("a column in backquotes needs a name", match.start())
            if kind == "number" and len(text) > WIDEST:
                raise self.error(f"a number in a law has at most {WIDEST} characters", match.start())
            if kind == "number" and float(text) == 0 and re.search("[1-9]", re.split("[eE]", text)[0]):
                raise self.error(f"{text} is 0 in double precision", match.start())
            if text == "#":
                raise self.error("a law has no comments; a column of that name stands in backquotes", match.start())
            if kind == "name" and text in NO_NAMES:
                reason = f"{text} has no place in a law; a column of that name stands in backquotes"
                raise self.error(reason, match.start())
            if kind == "name" and text.startswith("__"):
                raise self.error(f"a name in a law does not begin with two underscores; {_LANGUAGE}", match.start())
            if text == "`":
                raise self.error("a backquote that is not closed; write a column such as `my column`", match.start())
            yield Token(kind, text, match.start(), spaced)
            spaced = False

    def expression(self, tokens: Sequence[Token], end: int, what: str = "an expression") -> Expression:
        """Read one expression.

        Parameters
        ----------
        tokens : sequence of Token
            All of it.
        end : int
            Where the text goes on behind it.
        what : str
            What is missing where there is none.

        Returns
        -------
        Expression
            As written.

        Raises
        ------
        LawError
            With a caret under the spot that cannot be read.
        """
        if not tokens:
            raise self.error(f"{what} is missing", end)
        code, places, names = self._code(tokens)
        places.append(end)
        try:
            tree = parse_expression(code)
        except RecursionError:
            raise self.error("it is nested too deeply, or has too many terms", tokens[0].at) from None
        except ValueError:
            raise self.error("it holds a character that no law has", tokens[0].at) from None
        except SyntaxError as error:
            incomplete = tokens[-1].text in "+-*/^([,"
            offset = len(code[: max((error.offset or 1) - 1, 0)].encode(errors="surrogatepass"))
            spot = end if incomplete else places[min(offset, len(places) - 1)]
            raise self.error(f"this is not an expression; {_LANGUAGE}", spot) from None
        return self._read(tree, places, names)

    def _code(self, tokens: Sequence[Token]) -> tuple[str, list[int], dict[str, Token]]:
        """Write tokens as Python: with ** for ^, and identifiers for names in backquotes and for Python's keywords."""
        prefix = "q"
        while any(token.text.startswith(prefix) for token in tokens if token.kind == "name"):
            prefix += "q"
        names: dict[str, Token] = {}
        code, places = "", []
        for i, token in enumerate(tokens):
            piece = "**" if token.text == "^" and token.kind == "symbol" else token.text
            if token.kind == "quoted" or (token.kind == "name" and keyword.iskeyword(piece)):
                piece = f"{prefix}{i}"
                names[piece] = token
            if token.spaced and code:
                piece = f" {piece}"
            code += piece
            places += [token.at] * len(piece.encode(errors="surrogatepass"))
        return code, places, names

    def _read(self, node: ast.expr, places: list[int], names: dict[str, Token]) -> Expression:
        def at(spot: ast.expr) -> int:
            return places[min(spot.col_offset, len(places) - 1)]

        def name_of(spot: ast.Name) -> tuple[str, bool]:
            token = names.get(spot.id)
            if token is not None and token.kind == "quoted":
                return token.text, True
            name = spot.id if token is None else token.text
            if name in RESERVED:
                why = f"{name} is a function" if name in FUNCTIONS else f"{name!r} is a word of the language"
                raise self.error(f"{why}; a column of that name stands in backquotes", at(spot))
            return name, False

        def read(part: ast.expr) -> Expression:
            self.operations += 1
            if self.operations > MOST:
                raise self.error(f"it has more than {MOST} names, numbers and operations", at(part))
            match part:
                case ast.Name():
                    name, quoted = name_of(part)
                    return NameToken(name, (), quoted)
                case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                    if value != 0 and not SMALLEST <= abs(value) <= 1 / SMALLEST:
                        raise self.error(
                            f"a number in a law lies between {as_input(SMALLEST)} and {as_input(1 / SMALLEST, 12)}",
                            at(part),
                        )
                    return Number(Fraction(repr(value)))
                case ast.BinOp(op=op) if type(op) in _OPERATORS:
                    return Binary(_OPERATORS[type(op)], read(part.left), read(part.right))
                case ast.UnaryOp(op=ast.USub()):
                    return Negative(read(part.operand))
                case ast.UnaryOp(op=ast.UAdd()):
                    return read(part.operand)
                case ast.Subscript(value=ast.Name() as base):
                    name, quoted = name_of(base)
                    inside = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
                    for group in inside:
                        if not isinstance(group, ast.Name):
                            raise self.error("inside [ ] stand column names, such as E[family, eval_set]", at(group))
                    groups = tuple(name_of(group)[0] for group in inside if isinstance(group, ast.Name))
                    if quoted or len(set(groups)) < len(groups) or not groups:
                        raise self.error("a parameter has different columns inside [ ], such as E[family]", at(part))
                    return NameToken(name, groups)
                case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]) if function in FUNCTIONS:
                    least = FUNCTIONS[function]
                    if len(arguments) < least or (least == 1 and len(arguments) > 1):
                        need = "one argument" if least == 1 else "two arguments or more"
                        raise self.error(f"{function} takes {need}, not {len(arguments)}", at(part))
                    return Call(function, tuple(map(read, arguments)))
                case ast.Call(func=ast.Name() as function) if function.id not in FUNCTIONS:
                    raise self.error(f"there is no function {name_of(function)[0]!r}; {_LANGUAGE}", at(part))
            raise self.error(f"this has no place in a law; {_LANGUAGE}", at(part))

        return read(node)

    def error(self, reason: str, spot: int) -> LawError:
        """Return a refusal that points at a spot of the text."""
        return pointed_at(reason, self.text, spot)
