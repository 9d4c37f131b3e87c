"""Set a law in type: mathtext for figures, typst maths for the PDF, MathML for the page on a screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from html import unescape
from types import MappingProxyType
from typing import Final

from scalefit.escape import markup, typst_string
from scalefit.law.additive import Coef, Law, Term, format_value

__all__ = ["GREEK", "GREEK_LETTERS", "SYMBOLS", "to_mathml", "to_mathtext", "to_typst"]

# The field's letters for the usual columns.
SYMBOLS: Final = {"loss": "L", "params": "N", "tokens": "D", "flops": "C", "width": "m", "depth": "l"}
GREEK: Final = frozenset(
    {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"}
    | {"xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"}
    | {"Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"}
)
GREEK_LETTERS: Final = MappingProxyType({name: unescape(f"&{name};") for name in GREEK})  # by the names that HTML knows


@dataclass(frozen=True)
class _Markup:
    """How one typesetting language writes the few pieces that a law is made of."""

    greek: Callable[[str], str]  # applied to a Greek letter's name
    upright: str  # words, not a product of letters
    below: str  # symbol and subscript
    power: str  # base and exponent
    ratio: str  # numerator and denominator
    times: str
    text: Callable[[str], str] = str  # writes words so that they are not read as commands
    letter: str = "{}"
    number: str = "{}"
    comma: str = ", "
    plus: str = " + "
    equals: str = " = "

    def symbol(self, name: str) -> str:
        head, _, tail = name.partition("_")
        letter = self._word(head)
        return self.below.format(letter, self._word(tail)) if tail else letter

    def column(self, name: str) -> str:
        return self.symbol(SYMBOLS.get(name, name))

    def coef(self, value: Coef | Fraction) -> str:
        if isinstance(value, Fraction):
            return self.number.format(format_value(value).strip("()"))
        symbol = self.symbol(value.name)
        if not value.groups:
            return symbol
        levels = self.comma.join(self.upright.format(self.text(group.replace("_", " "))) for group in value.groups)
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
        return f"{self.column(law.response)}{self.equals}{self.plus.join(parts)}"

    def _word(self, word: str) -> str:
        if word in GREEK:
            return self.greek(word)
        if word.isdigit():
            return self.number.format(word)
        return self.letter.format(word) if len(word) == 1 else self.upright.format(self.text(word.replace("_", " ")))


_MATHTEXT: Final = _Markup(
    greek=r"\{}".format, upright=r"\mathrm{{{}}}", below="{}_{{{}}}", power="{}^{{{}}}",
    ratio=r"\frac{{{}}}{{{}}}", times=r"{}\,{}",
)  # fmt: skip
_TYPST: Final = _Markup(
    greek=str, upright="upright({})", below="{}_({})", power="{}^({})", ratio="frac({}, {})", times="{} thin {}",
    text=typst_string,
)  # fmt: skip
_MATHML: Final = _Markup(
    greek=lambda name: f"<mi>{GREEK_LETTERS[name]}</mi>", upright="<mtext>{}</mtext>",
    below="<msub>{}<mrow>{}</mrow></msub>", power="<msup>{}{}</msup>", ratio="<mfrac>{}{}</mfrac>",
    times="{}<mo rspace='0.17em'>\u2062</mo>{}", text=markup, letter="<mi>{}</mi>", number="<mn>{}</mn>",
    comma="<mo>,</mo><mspace width='0.3em'/>", plus="<mo>+</mo>", equals="<mo>=</mo>",
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


def to_mathml(law: Law) -> str:
    """Typeset a law as presentation MathML, without the ``math`` element around it.

    Parameters
    ----------
    law : Law
        The law.

    Returns
    -------
    str
        Well-formed XML without named entities, such as
        ``<mi>L</mi><mo>=</mo><mi>E</mi><mo>+</mo><mfrac><mi>A</mi><msup><mi>N</mi><mi>α</mi></msup></mfrac>``.
    """
    return _MATHML.law(law)
