"""Any law in closed form: what its names are, between which bounds its parameters lie, and what is assumed of them.

``acc ~ a/(1 + exp(-k*(bpb - x0))) + b with a < 0, k > 0, b in [0, 1]``::

    law         = column "~" expression [ "where" part { ";" part } ] [ "with" declaration { "," declaration } ]
    part        = name "=" expression
    declaration = name ( ">" number | "<" number | "in" "[" number "," number "]" | "free" | "=" expression )

Expressions are those of :mod:`scalefit.law.syntax`. A column of any name stands in backquotes. A name is a part, a
declared parameter, or *open*: a column if the table has one of that name, else a parameter, whose bounds are assumed
and then part of the law's text. So the text of a law that has met a table says everything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scalefit.errors import LawError, closest
from scalefit.law import tree
from scalefit.law.additive import Coef, Law, Term, pointed_at
from scalefit.law.declared import Declared
from scalefit.law.guesses import expected_columns, likely_positive, near_column
from scalefit.law.powers import PowerForm, power_form
from scalefit.law.presets import LAWS
from scalefit.law.protocol import AnyLaw
from scalefit.law.rewrite import additive_text
from scalefit.law.syntax import (
    RESERVED,
    Expression,
    NameToken,
    Negative,
    Number,
    Reader,
    Token,
    names_in,
    printed_column,
    to_node,
    walk,
)
from scalefit.law.tree import Node

__all__ = ["GeneralLaw", "general_form", "parse_law", "sum_of_powers"]

Array = NDArray[np.float64]

PARTS, NODES = 40, 2000  # definitions after where, and different operations when all are put in
Required = str  # "any", "nonnegative" or "positive"


@dataclass(frozen=True)
class GeneralLaw:
    """A law in closed form; compare, print and typeset it. Build one with :func:`parse_law`.

    ``parse_law(str(law)) == law`` for every law.

    Parameters
    ----------
    response : str
        The column that the law predicts.
    expression : Expression
        Its right-hand side, as written.
    parts : tuple of (str, Expression)
        The definitions after ``where``.
    declared : tuple of Declared
        The parameters whose bounds, value or tie is known, in the order of the law.
    is_decided : bool
        Whether it has met a table, so that every name without a declaration is a column.
    """

    response: str
    expression: Expression
    parts: tuple[tuple[str, Expression], ...] = ()
    declared: tuple[Declared, ...] = ()
    is_decided: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return self._text(self.declared)

    @property
    def written(self) -> str:
        """The law without what was assumed of its parameters."""
        return self._text([declaration for declaration in self.declared if not declaration.assumed])

    def _text(self, declared: Sequence[Declared]) -> str:
        text = f"{printed_column(self.response)} ~ {self.expression}"
        if self.parts:
            text += " where " + "; ".join(f"{name} = {part}" for name, part in self.parts)
        return text + (" with " + ", ".join(map(str, declared)) if declared else "")

    @cached_property
    def _declared(self) -> dict[str, Declared]:
        return {declaration.name: declaration for declaration in self.declared}

    @cached_property
    def _used(self) -> tuple[NameToken, ...]:
        """Every name of the law once, parts and ties followed where they are used."""
        parts = dict(self.parts)
        ties = {declaration.name: declaration.value for declaration in self.declared if declaration.value is not None}
        tokens: dict[NameToken, None] = {}
        opened: set[str] = set()

        def follow(expression: Expression) -> None:
            for token in names_in(expression):
                inner = None if token.quoted else parts.get(token.name) or ties.get(token.name)
                if inner is None:
                    tokens.setdefault(token)
                elif token.name not in opened:
                    opened.add(token.name)
                    follow(inner)

        follow(self.expression)
        return tuple(tokens)

    @property
    def parameters(self) -> tuple[Coef, ...]:
        """Every parameter that is estimated, once, in the order of the law."""
        names = dict.fromkeys((token.name, token.groups) for token in self._used if self._is_parameter(token))
        return tuple(Coef(*key) for key in names)

    @property
    def variables(self) -> tuple[str, ...]:
        """The numeric columns on the right-hand side, each once; before :meth:`decided` all names that may be one."""
        return tuple(dict.fromkeys(token.name for token in self._used if not self._is_parameter(token)))

    @property
    def groups(self) -> tuple[str, ...]:
        """The label columns that appear in brackets, each once."""
        return tuple(dict.fromkeys(column for token in self._used for column in token.groups))

    def _is_parameter(self, name: NameToken) -> bool:
        return not name.quoted and (name.name in self._declared or bool(name.groups))

    def bounds(self, name: str) -> tuple[float, float]:
        """Return lower and upper bound of a parameter."""
        declaration = self._declared[name]
        return declaration.lower, declaration.upper

    def value_of(self, name: str) -> Node:
        """Return the value or tie of a parameter as shared nodes."""
        value = self._declared[name].value
        if value is None:
            raise KeyError(f"{name} is estimated and has no value of its law")
        return to_node(value, lambda token: tree.parameter(token.name))

    @property
    def assumed(self) -> tuple[Declared, ...]:
        """The parameters whose bounds are assumed."""
        return tuple(declaration for declaration in self.declared if declaration.assumed)

    def kind_of(self, coef: Coef) -> str:
        """Return the kind of a parameter: ``positive`` where vectors hold its logarithm, else ``real``."""
        return "positive" if self.is_log(coef.name) else "real"

    def is_log(self, name: str) -> bool:
        """Whether vectors hold the logarithm of a parameter: of positive ones, but a summand may reach 0."""
        lower, upper = self.bounds(name)
        return lower > 0 or (lower == 0 and upper == math.inf and name not in self._summands)

    @cached_property
    def exponents(self) -> tuple[Coef, ...]:
        """The parameters that occur in exponents of powers and nowhere else."""
        powers = [node for node in tree.topological(self.body) if node.kind == "power"]
        inside = set(tree.parameters_of(*(node.arguments[1] for node in powers)))
        return tuple(
            parameter
            for parameter in self.parameters
            if parameter.name in inside and not _occurs_below(self.body, parameter.name)
        )

    @property
    def floor(self) -> None:
        """Nothing: what is left when everything else has vanished cannot be read from a law of any form."""
        return

    @property
    def terms(self) -> tuple[Term, ...]:
        """Nothing: the law is not a sum of powers of single columns."""
        return ()

    @property
    def twins(self) -> tuple[tuple[Coef, Coef, Coef, Coef], ...]:
        """Nothing: without terms there are no two that could be exchanged."""
        return ()

    @cached_property
    def _summands(self) -> frozenset[str]:
        """Parameters that stand alone in sums and nowhere else, as floors do."""
        inside: set[str] = set()
        elsewhere: set[str] = set()
        if (name := _bare(self.body)) is not None:
            inside.add(name)
        for node in tree.topological(self.body):
            for argument in node.arguments:
                name = _bare(argument)
                if name is not None and node.kind == "add":
                    inside.add(name)
                elif name is not None and _bare(node) is None:  # a number times the parameter is looked at from above
                    elsewhere.add(name)
        return frozenset(inside - elsewhere)

    @cached_property
    def body(self) -> Node:
        """The right-hand side as shared nodes, with parts, values and ties put in."""
        return to_node(self.expression, self._leaf(with_values=True))

    @cached_property
    def powers(self) -> PowerForm | None:
        """The law as a floor and powers of products of columns, whose optimum is certified; None in another form."""
        if any(need != "positive" for need in self.required.values()):
            return None
        bounds = {parameter.name: self.bounds(parameter.name) for parameter in self.parameters}
        return power_form(
            self.body,
            positive=[name for name, pair in bounds.items() if pair == (0.0, math.inf)],
            free=[name for name, pair in bounds.items() if pair == (-math.inf, math.inf)],
            grouped=[parameter.name for parameter in self.parameters if parameter.groups],
        )

    @property
    def has_certified_search(self) -> bool:
        """Whether it is a floor and powers of products of columns."""
        return self.powers is not None

    def evaluate(self, columns: Mapping[str, Array], values: Callable[[Coef], Array]) -> Array:
        """Return the response at rows; see :meth:`scalefit.law.protocol.AnyLaw.evaluate`."""
        natural = {}
        for coef in self.parameters:
            value = values(coef)
            with np.errstate(over="ignore"):
                natural[coef.name] = np.exp(value) if self.is_log(coef.name) else value
        n_rows = len(columns[self.variables[0]])
        predicted: Array = tree.evaluate(self.body, columns, natural) + np.zeros(n_rows)
        return predicted

    @cached_property
    def loose_body(self) -> Node:
        """The right-hand side with parts put in, and fixed and tied parameters as parameters."""
        return to_node(self.expression, self._leaf(with_values=False))

    def _leaf(self, *, with_values: bool) -> Callable[[NameToken], Node]:
        """Return what a name stands for: a column, a parameter, or the nodes of its part, value or tie."""
        parts = dict(self.parts)
        made: dict[str, Node] = {}

        def leaf(token: NameToken) -> Node:
            if token.quoted:
                return tree.column(token.name)
            inner = parts.get(token.name)
            if inner is None and with_values and token.name in self._declared:
                inner = self._declared[token.name].value
            if inner is not None:
                if token.name not in made:
                    made[token.name] = to_node(inner, leaf)
                return made[token.name]
            return tree.parameter(token.name) if self._is_parameter(token) else tree.column(token.name)

        return leaf

    @cached_property
    def required(self) -> dict[str, Required]:
        """What the law needs of each numeric column: ``any`` number, a ``nonnegative`` or a ``positive`` one."""
        needs: dict[str, Required] = dict.fromkeys(self.variables, "any")
        for node in tree.topological(self.body):
            if node.kind == "log":
                _need(node.arguments[0], "positive", needs)
            elif node.kind == "power" and not _is_whole(node.arguments[1]):
                exponent = node.arguments[1]
                grows = (exponent.kind == "number" and exponent.value > 0) or (
                    exponent.kind == "parameter" and self.bounds(exponent.name)[0] >= 0
                )
                _need(node.arguments[0], "nonnegative" if grows else "positive", needs)
        return needs

    def needs(self, space: str = "log") -> dict[str, Required]:
        """Return what the law needs of each numeric column.

        The response may have any sign where residuals are those of the response itself (``linear``).
        """
        return self.required | ({self.response: "any"} if space == "linear" else {})

    def decided(self, columns: Collection[str], also: Collection[str] = ()) -> GeneralLaw:
        """Decide what the open names are, and assume bounds for parameters without a declaration.

        A name that the table does not have is a parameter, unless it is more likely a mistyped column.

        Parameters
        ----------
        columns : collection of str
            The names of the table's columns.
        also : collection of str
            Other names of quantities that may be found in the table, which messages do not list.

        Returns
        -------
        GeneralLaw
            The law with a declaration for every parameter; its variables are columns.

        Raises
        ------
        LawError
            For a name that looks like a mistyped column, and for a law without a column or a parameter.
        """
        if self.is_decided:
            return self
        self._refuse_undefined()
        expected = set(expected_columns([self.expression, *(part for _, part in self.parts)]))
        new: dict[str, tuple[str, ...]] = {}
        for token in self._used:
            if token.quoted or token.name in self._declared:
                continue
            if token.groups:
                new[token.name] = token.groups
            elif token.name not in columns and token.name not in also:
                self._refuse_typo(token.name, columns, also, token.name in expected)
                new[token.name] = ()
        positive = likely_positive(self.expression, dict(self.parts))
        assumed = [
            Declared(name, groups, 0.0 if positive.get(name, True) else -math.inf, assumed=True)
            for name, groups in new.items()
        ]
        law = replace(self, declared=(*self.declared, *assumed), is_decided=True)
        law = replace(law, declared=law._ordered())
        law._check_ties({*columns, *also})
        idle = [str(parameter) for parameter in law.parameters if parameter.name not in tree.parameters_of(law.body)]
        if idle:
            raise LawError(f"{', '.join(idle)} cancels out of the law {law.written}; leave it out")
        if not law.variables:
            raise LawError(
                f"the law {law.written} has no column of the table; {closest('', columns)} "
                "A column with another name is mapped to that of the law, --map NAME=COLUMN; scalefit laws lists the "
                "columns of presets."
            )
        return law

    def holding(self, values: Mapping[str, float]) -> GeneralLaw:
        """Return the law with some parameters fixed at numbers."""

        def held(declaration: Declared) -> Declared:
            if declaration.name not in values:
                return declaration
            number = Number(Fraction(repr(abs(float(values[declaration.name])))))
            return Declared(declaration.name, value=Negative(number) if values[declaration.name] < 0 else number)

        law = replace(self, declared=tuple(map(held, self.declared)))
        return replace(law, declared=law._ordered())

    def assuming(self, names: Collection[str]) -> GeneralLaw:
        """Return the law with the bounds of these parameters marked as assumed, as when it met its table."""
        return replace(
            self,
            declared=tuple(replace(declaration, assumed=declaration.name in names) for declaration in self.declared),
        )

    def _ordered(self) -> tuple[Declared, ...]:
        """Sort declarations by where their parameters stand in the law; ties come last."""
        place = {token.name: i for i, token in reversed(list(enumerate(self._used)))}
        return tuple(
            sorted(self.declared, key=lambda declaration: (place.get(declaration.name, len(place)), declaration.name))
        )

    def _refuse_undefined(self) -> None:
        """Refuse an operation on numbers alone that has no value, such as 1/0, and point at it."""
        if not _has_no_value(self.body):
            return
        leaf, text = self._leaf(with_values=True), str(self)
        inside = (
            expression for whole in (self.expression, *(part for _, part in self.parts)) for expression in walk(whole)
        )
        *_, smallest = (expression for expression in inside if _has_no_value(to_node(expression, leaf)))
        raise pointed_at(f"{smallest} has no finite value", text, text.index(str(smallest), text.index("~")))

    def _refuse_typo(self, name: str, columns: Collection[str], also: Collection[str], is_expected: bool) -> None:
        near = near_column(name, columns) or near_column(name, also)
        if not near and not is_expected:
            return
        if near:
            reason = f"the table has no column {name!r}; did you mean {near!r}?"
        else:
            reason = f"a column is expected here, and the table has no column {name!r}; {closest(name, columns)}"
        text = str(self)
        spot = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text.partition("~")[2])
        at = len(text.partition("~")[0]) + 1 + (spot.start() if spot else 0)
        raise pointed_at(f"{reason} If it is a parameter, declare it: with {name} free, or with {name} > 0", text, at)

    def _check_ties(self, columns: Collection[str]) -> None:
        for declaration in self.declared:
            for inner in () if declaration.value is None else names_in(declaration.value):
                if inner.quoted or (inner.name not in self._declared and inner.name in columns):
                    raise LawError(
                        f"{declaration.name} is tied to the column {inner.name!r}; a parameter is tied to other "
                        "parameters. Define an expression with columns after where: "
                        f"where {declaration.name} = {declaration.value}"
                    )


def _bare(node: Node) -> str | None:
    """Return the parameter that a node is, or is a number times."""
    if node.kind == "multiply" and len(node.arguments) == 2 and node.arguments[0].kind == "number":
        node = node.arguments[1]
    return node.name if node.kind == "parameter" else None


def _occurs_below(body: Node, name: str) -> bool:
    """Whether a parameter occurs anywhere but in exponents."""
    seen: set[Node] = set()
    stack = [body]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.kind == "parameter" and node.name == name:
            return True
        stack.extend(node.arguments[:1] if node.kind == "power" else node.arguments)
    return False


def _has_no_value(body: Node) -> bool:
    """Whether an operation on numbers alone is not defined, such as 1/0; what is defined has become a number."""
    constant = [
        node for node in tree.topological(body) if node.arguments and all(a.kind == "number" for a in node.arguments)
    ]
    return any(not math.isfinite(float(tree.evaluate(node, {}, {}))) for node in constant)


def _is_whole(exponent: Node) -> bool:
    return exponent.kind == "number" and float(exponent.value).is_integer()


def _need(node: Node, what: Required, needs: dict[str, Required]) -> None:
    """Pass a need on to the columns of a product or power."""
    if node.kind == "column":
        if needs[node.name] != "positive":
            needs[node.name] = what
    elif node.kind == "multiply":
        for argument in node.arguments:
            _need(argument, what, needs)
    elif node.kind == "power":
        falls = node.arguments[1].kind == "number" and node.arguments[1].value < 0
        _need(node.arguments[0], "positive" if falls else what, needs)


def parse_law(text: str | AnyLaw) -> AnyLaw:
    """Read a law of any closed form, or the name of a preset.

    Parameters
    ----------
    text : str, Law or GeneralLaw
        Such as ``"loss ~ E + (A/(params*(1 + k*log(streams))))^alpha"``; a law is returned as it is.

    Returns
    -------
    Law or GeneralLaw
        A :class:`scalefit.law.additive.Law` where the law is a floor and powers of single columns, also after
        rewriting: its optimum is certified.

    Raises
    ------
    LawError
        With a caret under the spot that cannot be read.

    Examples
    --------
    >>> str(parse_law("loss ~ E + A*(1/params)^alpha"))
    'loss ~ E + A/params^alpha'
    >>> law = parse_law("loss ~ E + (A/(params*(1 + k*log(streams))))^alpha")
    >>> list(map(str, law.decided(["loss", "params", "streams"]).declared))
    ['E > 0', 'A > 0', 'k > 0', 'alpha > 0']
    """
    if not isinstance(text, str):
        return text
    preset = LAWS.get(text.strip())
    if preset is not None:
        text = preset.law
    if "~" not in text:
        known = ", or is the name of a preset; " + closest(text.strip(), LAWS)
        reason = "a law needs a '~' between the response and its terms" + known
        if "=" in text:
            reason = "the response stands before '~', not before '='; write loss ~ E + ..."
        raise pointed_at(reason, text.strip(), max(text.strip().find("="), 0) if "=" in text else len(text.strip()))
    try:
        return Law.parse(text)
    except LawError:
        law = _Parser(text).law()
    if any(
        declaration.value is None and (declaration.lower, declaration.upper) != (0.0, math.inf)
        for declaration in law.declared
    ):
        return law  # bounds that a sum of power terms does not have
    inner = dict(law.parts) | {
        declaration.name: declaration.value for declaration in law.declared if declaration.value is not None
    }
    plain = additive_text(law.response, law.expression, inner, [declaration.name for declaration in law.declared])
    return law if plain is None else Law.parse(plain)


def general_form(law: AnyLaw) -> GeneralLaw:
    """Return a law as one of any form; its parameters keep their names, and all are numbers as printed, not logs."""
    return law if isinstance(law, GeneralLaw) else _Parser(str(law)).law().decided([law.response, *law.variables])


def sum_of_powers(law: str | AnyLaw, verb: str) -> Law:
    """Return a law that a verb can take only as a floor and powers of single columns.

    Parameters
    ----------
    law : str, Law or GeneralLaw
        The law.
    verb : str
        Who asks, for the message, such as ``optimum``.

    Returns
    -------
    Law
        The law.

    Raises
    ------
    LawError
        For a law of another form.
    """
    law = parse_law(law)
    if isinstance(law, Law):
        return law
    raise LawError(
        f"{verb} takes a floor and powers of single columns, such as chinchilla, and not {law.written}; "
        "fit, predict, compare and show take any law"
    )


class _Parser:
    """Reads the clauses of one law."""

    def __init__(self, text: str) -> None:
        self.reader = Reader(text)

    def law(self) -> GeneralLaw:
        reader = self.reader
        tokens = reader.tokens
        tilde = next((i for i, token in enumerate(tokens) if token.text == "~" and token.kind == "symbol"), None)
        if tilde is None:
            raise reader.error("a law needs a '~' between the response and its terms", len(reader.text))
        left = tokens[:tilde]
        if len(left) != 1 or left[0].kind not in ("name", "quoted") or left[0].text in RESERVED:
            reason = "left of '~' stands the name of one column, such as loss, in backquotes if it holds other signs"
            if left and left[0].text == "log":
                reason += "; residuals are of its logarithm already, unless --space linear is given"
            raise reader.error(reason, 0)
        clauses = self._clauses(tokens[tilde + 1 :])
        main, end = clauses[""]
        expression = reader.expression(main, end, "the right-hand side")
        parts = tuple(self._part(*piece) for piece in self._split(clauses.get("where"), ";"))
        declared = tuple(self._declaration(*piece) for piece in self._split(clauses.get("with"), ","))
        law = GeneralLaw(left[0].text, expression, parts, declared)
        self._check(law)
        law = replace(law, declared=tuple(_with_groups(declaration, law) for declaration in law.declared))
        return replace(law, declared=law._ordered())

    def _clauses(self, tokens: Sequence[Token]) -> dict[str, tuple[Sequence[Token], int]]:
        """Part the right-hand side at where and with; each clause with the place at which it ends."""
        ends = [i for i, token in enumerate(tokens) if token.kind == "name" and token.text in ("where", "with")]
        bounds = [*ends, len(tokens)]
        clauses: dict[str, tuple[Sequence[Token], int]] = {}
        start, word = 0, ""
        for end in bounds:
            at = tokens[end].at if end < len(tokens) else len(self.reader.text)
            if word in clauses:
                raise self.reader.error(f"{word!r} stands twice; a law has one, with all that belongs to it", at)
            clauses[word] = tokens[start:end], at
            if end < len(tokens):
                start, word = end + 1, tokens[end].text
        return clauses

    def _split(self, clause: tuple[Sequence[Token], int] | None, mark: str) -> list[tuple[Sequence[Token], int]]:
        """Part a clause at marks outside of brackets."""
        if clause is None:
            return []
        tokens, end = clause
        pieces: list[tuple[Sequence[Token], int]] = []
        depth, start = 0, 0
        for i, token in enumerate(tokens):
            depth += (token.text in "([") - (token.text in ")]") if token.kind == "symbol" else 0
            if depth == 0 and token.kind == "symbol" and token.text in (mark, ";"):
                pieces.append((tokens[start:i], token.at))
                start = i + 1
        if start < len(tokens) or not pieces:
            pieces.append((tokens[start:], end))
        if len(pieces) > PARTS:
            raise self.reader.error(f"a law has at most {PARTS} definitions or declarations", end)
        return pieces

    def _named(self, tokens: Sequence[Token], end: int, what: str) -> Token:
        if not tokens or tokens[0].kind != "name" or tokens[0].text in RESERVED:
            raise self.reader.error(what, tokens[0].at if tokens else end)
        return tokens[0]

    def _part(self, tokens: Sequence[Token], end: int) -> tuple[str, Expression]:
        name = self._named(tokens, end, "after where stand definitions, such as UN = min(params, G*tokens)")
        if len(tokens) < 2 or tokens[1].text != "=":
            raise self.reader.error(f"a definition needs '=', such as {name.text} = log(params)", name.at)
        return name.text, self.reader.expression(tokens[2:], end, f"the definition of {name.text}")

    def _declaration(self, tokens: Sequence[Token], end: int) -> Declared:
        reader = self.reader
        name = self._named(tokens, end, "after with stand declarations, such as k > 0, b in [0, 1], c free")
        rest = list(tokens[1:])
        if rest and rest[0].text == "[":  # E[family] > 0: the brackets belong to the law
            close = next((i for i, token in enumerate(rest) if token.text == "]"), len(rest) - 1)
            rest = rest[close + 1 :]
        word = rest[0].text if rest else ""
        value = rest[1:]
        if word == "free" and not value:
            return Declared(name.text)
        if word in (">", "<"):
            if value and value[0].text == "=" and not value[0].spaced:
                value = value[1:]
            bound = self._number(value, end)
            return Declared(name.text, (), bound) if word == ">" else Declared(name.text, (), -math.inf, bound)
        if word == "in" and len(value) > 2 and value[0].text == "[" and value[-1].text == "]":
            pair = self._split((value[1:-1], value[-1].at), ",")
            if len(pair) == 2:
                lower, upper = (self._number(*piece) for piece in pair)
                if lower < upper:
                    return Declared(name.text, (), lower, upper)
                raise reader.error("the lower bound comes first and is smaller, such as in [0, 1]", value[0].at)
        if word == "=":
            return Declared(name.text, value=reader.expression(value, end, f"the value of {name.text}"))
        raise reader.error(
            f"{name.text} is declared as one of: {name.text} > 0, {name.text} < 0, {name.text} in [0, 1], "
            f"{name.text} free, {name.text} = 0.5, {name.text} = an expression of other parameters",
            rest[0].at if rest else end,
        )

    def _number(self, tokens: Sequence[Token], end: int) -> float:
        node = to_node(self.reader.expression(tokens, end, "a number"), lambda token: tree.column(token.name))
        if node.kind != "number" or not math.isfinite(node.value):
            raise self.reader.error("a bound is a number", tokens[0].at)
        return node.value

    def _check(self, law: GeneralLaw) -> None:
        """Refuse names with two meanings, definitions in a circle or without use, and laws that are too large."""
        names = [name for name, _ in law.parts] + [declaration.name for declaration in law.declared]
        for name in names:
            if names.count(name) > 1:
                raise self._at(f"{name!r} is defined or declared twice; keep one", name, last=True)
            if name == law.response:
                raise self._at(f"{name!r} is the response; give the parameter or part another name", name, last=True)
        self._check_circles(law)
        used = {token.name: token for token in law._used}
        inner = {token.name for part in [law.expression, *(p for _, p in law.parts)] for token in names_in(part)}
        inner |= {token.name for d in law.declared if d.value is not None for token in names_in(d.value)}
        for name in names:
            if name not in inner:
                raise self._at(f"{name!r} does not occur in the law; {closest(name, inner)}", name, last=True)
        for token in used.values():
            if token.name == law.response:
                raise self._at(f"{token.name!r} stands on both sides of '~'", token.name, last=True)
        groups = {column for token in law._used for column in token.groups}
        seen: dict[str, tuple[str, ...]] = {}
        for token in law._used:
            if not token.quoted and seen.setdefault(token.name, token.groups) != token.groups:
                raise self._at(f"{token.name!r} is used with different groups; rename one", token.name, last=True)
            if not token.groups and token.name in groups:
                raise self._at(f"{token.name!r} is both a number in the law and a group in [ ]", token.name)
            if token.groups and token.name in dict(law.parts):
                raise self._at(f"{token.name!r} is a part and takes no [ ]", token.name)
        if len(tree.topological(law.body)) > NODES:
            raise self.reader.error(f"the law has more than {NODES} operations when its parts are put in", 0)

    def _check_circles(self, law: GeneralLaw) -> None:
        inner = dict(law.parts) | {
            declaration.name: declaration.value for declaration in law.declared if declaration.value is not None
        }
        done: set[str] = set()

        def visit(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                raise self._at(f"{name!r} is defined by itself", name, last=True)
            if name in inner and name not in done:
                for token in names_in(inner[name]):
                    if not token.quoted:
                        visit(token.name, (*above, name))
                done.add(name)

        for name in inner:
            visit(name, ())

    def _at(self, reason: str, name: str, *, last: bool = False) -> LawError:
        places = [token.at for token in self.reader.tokens if token.text == name]
        return self.reader.error(reason, places[-1 if last else 0] if places else 0)


def _with_groups(declaration: Declared, law: GeneralLaw) -> Declared:
    """Give a declaration the groups that its parameter has in the law."""
    groups = next((name.groups for name in law._used if name.name == declaration.name and not name.quoted), ())
    return replace(declaration, groups=groups)
