"""Whether a law of any form is a floor and powers of single columns after all, and its text as such."""

from __future__ import annotations

import keyword
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import NamedTuple

from scalefit.law.additive import format_value
from scalefit.law.syntax import Binary, Expression, NameToken, Negative, Number

__all__ = ["additive_text"]

LARGEST = 60  # factors and summands of a law that is looked at


class _RaisedName(NamedTuple):
    """``name ^ (sign times exponent)``."""

    name: NameToken
    sign: int
    exponent: NameToken | Fraction


class _Product(NamedTuple):
    number: Fraction
    factors: tuple[_RaisedName, ...]


class _NotAdditive(Exception):
    """The law is of another form."""


def additive_text(
    response: str, expression: Expression, inner: Mapping[str, Expression], declared: Collection[str]
) -> str | None:
    """Return a law in the additive grammar, or None where it has another form.

    Parts, values and ties are put in, signs cancelled, quotients and powers of quotients multiplied out.

    Parameters
    ----------
    response : str
        The column that the law predicts.
    expression : Expression
        The right-hand side.
    inner : mapping of str to Expression
        What names stand for: parts, values and ties.
    declared : collection of str
        Names that are parameters.

    Returns
    -------
    str or None
        Such as ``loss ~ E + A/params^alpha``.
    """
    try:
        parts = [_part(product, declared) for product in _summands(expression, inner)]
    except (_NotAdditive, RecursionError):
        return None
    if not response.isidentifier() or keyword.iskeyword(response):
        return None
    return f"{response} ~ {' + '.join(parts)}"


def _summands(expression: Expression, inner: Mapping[str, Expression], sign: int = 1) -> list[_Product]:
    if isinstance(expression, Binary) and expression.operator in "+-":
        right = sign if expression.operator == "+" else -sign
        products = [*_summands(expression.left, inner, sign), *_summands(expression.right, inner, right)]
        if len(products) > LARGEST:
            raise _NotAdditive
        return products
    if isinstance(expression, Negative):
        return _summands(expression.operand, inner, -sign)
    if isinstance(expression, NameToken) and not expression.quoted and expression.name in inner:
        return _summands(inner[expression.name], inner, sign)
    product = _product(expression, inner)
    return [product._replace(number=sign * product.number)]


def _product(expression: Expression, inner: Mapping[str, Expression]) -> _Product:
    match expression:
        case Number(value=value):
            return _Product(value, ())
        case NameToken(name=name, quoted=quoted):
            if not quoted and name in inner:
                return _product(inner[name], inner)
            return _Product(Fraction(1), (_RaisedName(expression, 1, Fraction(1)),))
        case Negative(operand=operand):
            product = _product(operand, inner)
            return product._replace(number=-product.number)
        case Binary(operator="*", left=left, right=right):
            return _times(_product(left, inner), _product(right, inner))
        case Binary(operator="/", left=left, right=right):
            return _times(_product(left, inner), _inverse(_product(right, inner)))
        case Binary(operator="^", left=left, right=right):
            return _raised(_product(left, inner), _product(right, inner))
    raise _NotAdditive


def _times(a: _Product, b: _Product) -> _Product:
    if len(a.factors) + len(b.factors) > LARGEST:
        raise _NotAdditive
    return _Product(a.number * b.number, (*a.factors, *b.factors))


def _inverse(product: _Product) -> _Product:
    if product.number == 0:
        raise _NotAdditive
    return _Product(1 / product.number, tuple(factor._replace(sign=-factor.sign) for factor in product.factors))


def _raised(base: _Product, exponent: _Product) -> _Product:
    """Raise a product to a number, or a power of one name to a name."""
    if base.number == 0:
        raise _NotAdditive
    if not exponent.factors:
        power = exponent.number
        if base.number != 1 and power not in (1, -1):
            raise _NotAdditive
        sign = 1 if power >= 0 else -1
        factors = tuple(
            factor._replace(sign=sign * factor.sign, exponent=abs(power) * factor.exponent)
            if isinstance(factor.exponent, Fraction)
            else factor._replace(sign=sign * factor.sign)
            for factor in base.factors
        )
        if abs(power) != 1 and not all(isinstance(factor.exponent, Fraction) for factor in base.factors):
            raise _NotAdditive
        return _Product(base.number ** int(power) if base.number != 1 else Fraction(1), factors)
    if len(exponent.factors) != 1 or len(base.factors) != 1 or base.number != 1 or abs(exponent.number) != 1:
        raise _NotAdditive
    (power_name,), (factor,) = exponent.factors, base.factors
    if power_name.sign != 1 or power_name.exponent != 1 or factor.exponent != 1:
        raise _NotAdditive
    return _Product(
        Fraction(1), (_RaisedName(factor.name, factor.sign * (1 if exponent.number > 0 else -1), power_name.name),)
    )


def _part(product: _Product, declared: Collection[str]) -> str:
    """Write one summand in the additive grammar."""
    number, factors = product
    if number <= 0:
        raise _NotAdditive
    names = [name for factor in factors for name in (factor.name, factor.exponent) if isinstance(name, NameToken)]
    written = [text for name in names for text in (name.name, *name.groups)]
    if any(keyword.iskeyword(text) or not text.isidentifier() for text in written):
        raise _NotAdditive
    if not factors:
        return format_value(number)
    bare = [factor for factor in factors if factor.sign == 1 and factor.exponent == 1]
    if len(factors) == 1 and bare and number == 1:
        return str(factors[0].name)  # a floor, or a column without a coefficient, which the grammar refuses
    powers = [factor for factor in factors if factor not in bare]
    if len(factors) > 2 or len(powers) > 1 or (len(factors) == 2 and number != 1):
        raise _NotAdditive
    base = powers[0] if powers else factors[-1]
    others = [factor for factor in factors if factor is not base]
    coefficient = str(others[0].name) if others else format_value(number)
    if base.name.groups or base.name.name in declared or base.name.quoted or (others and others[0].name.quoted):
        raise _NotAdditive
    exponent = base.exponent if isinstance(base.exponent, NameToken) else format_value(base.exponent)
    return f"{coefficient}{'*' if base.sign > 0 else '/'}{base.name}^{exponent}"
