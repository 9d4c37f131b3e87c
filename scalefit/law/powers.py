"""A law of any form as a floor and powers of products of columns, in parameters of its own.

``loss ~ E + (a*M^eta + b*M^(-eta))*C^(-eta) where M = tokens/params; C = 6*params*tokens`` is a floor and two powers,
``a/(6*params^2)^eta`` and ``b/(6*tokens^2)^eta``. Its optimum is that of the sum of powers, which the certified search
finds; the parameters keep the names and the meaning that the author gave them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scalefit.law.tree import Node, topological
from scalefit.numbers import as_input

__all__ = ["PowerForm", "PowerTerm", "power_form"]

MOST = 60  # summands when everything is multiplied out


class _Base(NamedTuple):
    """What is raised to ``weight``, or to ``weight * exponent``: a column, a parameter, the exp of one, or e."""

    kind: str  # "column", "parameter", "exp" or "e"
    name: str
    exponent: str = ""


_Monomial = dict[_Base, float]  # a product; the weight of e is the logarithm of its number


class _Another(Exception):
    """The law has another form."""


@dataclass(frozen=True)
class PowerTerm:
    """``C / (product of columns)^exponent``, where C is made of a number, a parameter A and the exponent.

    ``log C = offset + shift * exponent + power * log A``, or ``power * exponent * log A`` where A stands inside.

    Parameters
    ----------
    coefficient : str
        The parameter A; empty where C is a number.
    power : float
        As above.
    logarithmic : bool
        Whether the parameter is ``log A`` itself, as in ``exp(a)/params^alpha``.
    inside : bool
        Whether A is raised with the columns, as in ``(A/params)^alpha``.
    offset, shift : float
        As above.
    product : tuple of (str, float)
        Columns and their powers.
    exponent : str
        A parameter; empty for the number 1.
    """

    coefficient: str
    power: float
    logarithmic: bool
    inside: bool
    offset: float
    shift: float
    product: tuple[tuple[str, float], ...]
    exponent: str

    def __str__(self) -> str:
        """Return the product of columns, such as ``params^2*tokens``."""
        return "*".join(name if power == 1 else f"{name}^{as_input(power)}" for name, power in self.product)


@dataclass(frozen=True)
class PowerForm:
    """A law as a floor and powers of products of columns.

    Parameters
    ----------
    floor : str, float or None
        The parameter that stands alone, a number, or None for 0.
    terms : tuple of PowerTerm
        The powers in the order of the law.
    """

    floor: str | float | None
    terms: tuple[PowerTerm, ...]


def power_form(
    body: Node, positive: Collection[str], free: Collection[str], grouped: Collection[str]
) -> PowerForm | None:
    """Multiply a law out, and return it as a floor and powers; None where it has another form.

    Parameters
    ----------
    body : Node
        The right-hand side.
    positive : collection of str
        Parameters above 0 that have no other bound.
    free : collection of str
        Parameters without a bound.
    grouped : collection of str
        Parameters with one value for each label.

    Returns
    -------
    PowerForm or None
        The law.

    Examples
    --------
    >>> from scalefit.law.general import parse_law
    >>> law = parse_law("loss ~ E + A/(width*depth)^alpha").decided(["loss", "width", "depth"])
    >>> list(map(str, law.powers.terms))
    ['width*depth']
    """
    try:
        monomials = _multiplied_out(body, positive, free)
        floor: str | float | None = None
        terms: list[PowerTerm] = []
        for monomial in monomials:
            names = [factor for factor, weight in monomial.items() if weight and factor.kind != "e"]
            number = monomial.get(_Base("e", ""), 0.0)
            if any(factor.kind == "column" for factor in names):
                terms.append(_term(monomial))
            elif floor is not None or len(names) > 1:
                raise _Another
            elif not names:
                floor = math.exp(number)
            elif names[0].kind != "parameter" or names[0].exponent or monomial[names[0]] != 1 or number:
                raise _Another
            else:
                floor = names[0].name
    except (_Another, OverflowError):
        return None
    return PowerForm(floor, tuple(terms)) if terms and _one_role_each(floor, terms, positive, grouped) else None


def _one_role_each(
    floor: str | float | None, terms: list[PowerTerm], positive: Collection[str], grouped: Collection[str]
) -> bool:
    """Whether each parameter is one of floor, coefficient and exponent, and a coefficient that is converted single."""
    coefficients = Counter(term.coefficient for term in terms if term.coefficient)
    exponents = {term.exponent for term in terms if term.exponent}
    if exponents & set(coefficients) or floor in exponents or floor in coefficients or not exponents <= set(positive):
        return False
    for term in terms:
        moves = term.inside or term.shift or term.offset or term.power != 1
        if moves and (not term.coefficient or coefficients[term.coefficient] > 1 or term.exponent in grouped):
            return False
    return True


def _term(monomial: Mapping[_Base, float]) -> PowerTerm:
    """Return a product as a term, in which all columns are raised to one parameter or to numbers."""
    weights = {factor: weight for factor, weight in monomial.items() if weight}
    exponents = {factor.exponent for factor in weights if factor.exponent}
    parameters = [factor for factor in weights if factor.kind in ("parameter", "exp")]
    columns = [factor for factor in weights if factor.kind == "column"]
    above = next(iter(exponents), "")
    if len(exponents) > 1 or len(parameters) > 1 or any(factor.exponent != above for factor in columns):
        raise _Another
    coefficient = parameters[0] if parameters else None
    return PowerTerm(
        coefficient.name if coefficient else "",
        weights[coefficient] if coefficient else 1.0,
        coefficient is not None and coefficient.kind == "exp",
        coefficient is not None and coefficient.exponent != "",
        weights.get(_Base("e", ""), 0.0),
        weights.get(_Base("e", "", above), 0.0) if above else 0.0,
        tuple((factor.name, -weights[factor]) for factor in columns),
        above,
    )


def _multiplied_out(root: Node, positive: Collection[str], free: Collection[str]) -> list[_Monomial]:
    """Multiply an expression out into monomials with positive numbers, each shared part once and without recursion."""
    made: dict[Node, list[_Monomial] | None] = {}
    for node in topological(root):
        try:
            made[node] = _sum(node, made, positive, free)
        except (_Another, OverflowError):
            made[node] = None  # an exp may still use its parts
    return _known(made[root])


def _known(monomials: list[_Monomial] | None) -> list[_Monomial]:
    if monomials is None or len(monomials) > MOST:
        raise _Another
    return monomials


def _sum(
    node: Node, made: Mapping[Node, list[_Monomial] | None], positive: Collection[str], free: Collection[str]
) -> list[_Monomial]:
    """Return one node as a sum of products, from those of its arguments."""
    match node.kind:
        case "number" if node.value > 0:
            return [{_Base("e", ""): math.log(node.value)}]
        case "column":
            return [{_Base("column", node.name): 1.0}]
        case "parameter" if node.name in positive:
            return [{_Base("parameter", node.name): 1.0}]
        case "add":
            return _known([monomial for argument in node.arguments for monomial in _known(made[argument])])
        case "multiply":
            total: list[_Monomial] = [{}]
            for argument in node.arguments:
                total = _known([_times(a, b) for a in total for b in _known(made[argument])])
            return total
        case "power":
            base = _known(made[node.arguments[0]])
            if len(base) == 1:
                return [_raised(base[0], *_exponent(node.arguments[1]))]
        case "exp":
            return [_exponential(node.arguments[0], made, free)]
    raise _Another


def _times(a: Mapping[_Base, float], b: Mapping[_Base, float]) -> _Monomial:
    return {factor: a.get(factor, 0.0) + b.get(factor, 0.0) for factor in {**a, **b}}


def _exponent(node: Node) -> tuple[float, str]:
    """Return number and parameter of an exponent such as ``-2*alpha``; the name is empty for a number."""
    number, name = 1.0, ""
    for factor in node.arguments if node.kind == "multiply" else (node,):
        if factor.kind == "number":
            number *= factor.value
        elif factor.kind == "parameter" and not name:
            name = factor.name
        else:
            raise _Another
    return number, name


def _raised(base: Mapping[_Base, float], number: float, name: str) -> _Monomial:
    if name and any(factor.exponent for factor, weight in base.items() if weight):
        raise _Another
    return {factor._replace(exponent=name or factor.exponent): number * weight for factor, weight in base.items()}


def _exponential(node: Node, made: Mapping[Node, list[_Monomial] | None], free: Collection[str]) -> _Monomial:
    """Return the exp of a sum of numbers, parameters, and numbers or parameters times logarithms."""
    total: _Monomial = {}
    for summand in node.arguments if node.kind == "add" else (node,):
        factors = summand.arguments if summand.kind == "multiply" else (summand,)
        logs = [factor for factor in factors if factor.kind == "log"]
        rest = [factor for factor in factors if factor.kind != "log"]
        number, name = 1.0, ""
        for factor in rest:
            inner, inner_name = _exponent(factor)
            if inner_name and name:
                raise _Another
            number, name = number * inner, name or inner_name
        if len(logs) == 1:
            base = _known(made[logs[0].arguments[0]])
            if len(base) != 1:
                raise _Another
            total = _times(total, _raised(base[0], number, name))
        elif logs or (name and name not in free):
            raise _Another
        else:
            total = _times(total, {_Base("exp", name) if name else _Base("e", ""): number})
    return total
