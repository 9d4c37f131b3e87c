"""Set a law in type: mathtext for figures, typst maths for the PDF."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from scalefit.law import Coef, Law, Term, format_value

__all__ = ["SYMBOLS", "to_mathtext", "to_typst"]

# The field's letters for the usual columns.
SYMBOLS: Final = {"loss": "L", "params": "N", "tokens": "D", "flops": "C", "width": "m", "depth": "l"}
GREEK: Final = frozenset(
    {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"}
    | {"xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"}
    | {"Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"}
)


@dataclass(frozen=True)
class _Markup:
    """How one typesetting language writes the few pieces that a law is made of."""

    greek: str  # applied to a Greek letter's name
    upright: str  # words, not a product of letters
    below: str  # symbol and subscript
    power: str  # base and exponent
    ratio: str  # numerator and denominator
    times: str

    def symbol(self, name: str) -> str:
        head, _, tail = name.partition("_")
        letter = self._word(head)
        return self.below.format(letter, self._word(tail)) if tail else letter

    def column(self, name: str) -> str:
        return self.symbol(SYMBOLS.get(name, name))

    def coef(self, value: Coef | Fraction) -> str:
        if isinstance(value, Fraction):
            return format_value(value).strip("()")
        symbol = self.symbol(value.name)
        if not value.groups:
            return symbol
        levels = ", ".join(self.upright.format(group.replace("_", " ")) for group in value.groups)
        return self.below.format(symbol, levels)

    def term(self, term: Term) -> str:
        base = self.column(term.variable)
        if term.exponent != 1:
            base = self.power.format(base, self.coef(term.exponent))
        template = self.times if term.grows else self.ratio
        return template.format(self.coef(term.coefficient), base)

    def law(self, law: Law) -> str:
        parts = [] if law.floor is None else [self.coef(law.floor)]
        parts += [self.term(term) for term in law.terms]
        return f"{self.column(law.response)} = {' + '.join(parts)}"

    def _word(self, word: str) -> str:
        if word in GREEK:
            return self.greek.format(word)
        return word if len(word) == 1 or word.isdigit() else self.upright.format(word.replace("_", " "))


_MATHTEXT: Final = _Markup(
    greek=r"\{}", upright=r"\mathrm{{{}}}", below="{}_{{{}}}", power="{}^{{{}}}",
    ratio=r"\frac{{{}}}{{{}}}", times=r"{}\,{}",
)  # fmt: skip
_TYPST: Final = _Markup(
    greek="{}", upright='upright("{}")', below="{}_({})", power="{}^({})", ratio="frac({}, {})", times="{} thin {}"
)  # fmt: skip


def to_mathtext(law: Law) -> str:
    r"""Typeset a law for a matplotlib label.

    Parameters
    ----------
    law : Law
        The law.

    Returns
    -------
    str
        Such as ``$L = E + \frac{A}{N^{\alpha}}$``.
    """
    return f"${_MATHTEXT.law(law)}$"


def to_typst(law: Law) -> str:
    """Typeset a law as typst maths, without the dollar signs.

    Parameters
    ----------
    law : Law
        The law.

    Returns
    -------
    str
        Such as ``L = E + frac(A, N^(alpha))``.
    """
    return _TYPST.law(law)
