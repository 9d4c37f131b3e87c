"""Set a law in type: mathtext for figures, typst maths for the PDF, MathML for the page on a screen."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from fractions import Fraction
from html import unescape
from types import MappingProxyType
from typing import Final

from scalefit.escape import markup, typst_string
from scalefit.law.additive import Coef, Term, format_value
from scalefit.law.general import GeneralLaw
from scalefit.law.protocol import AnyLaw
from scalefit.law.syntax import ATOM, NEGATIVE, Binary, Call, Expression, NameToken, Negative, Number, binds_of

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
    minus: str = " - "
    negative: str = "-{}"
    dot: str = "{} {}"
    inside: str = "({})"
    row: str = "{}"  # one element where the language needs one
    root: str = "sqrt({})"
    then: str = ", "

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

    def law(self, law: AnyLaw) -> str:
        if isinstance(law, GeneralLaw):
            return self.general(law)
        parts = [] if law.floor is None else [self.coef(law.floor)]
        parts += [self.term(term) for term in law.terms]
        return f"{self.column(law.response)}{self.equals}{self.plus.join(parts)}"

    def general(self, law: GeneralLaw) -> str:
        """Write the law, then the parts and the values and ties of its parameters as further equations."""
        parts = {name for name, _ in law.parts}
        columns = {name for name in law.variables if name not in parts}
        equations = [(self.column(law.response), law.expression)]
        equations += [(self.symbol(name), part) for name, part in law.parts]
        equations += [
            (self.symbol(declaration.name), declaration.value)
            for declaration in law.declared
            if declaration.value is not None
        ]
        return self.then.join(f"{left}{self.equals}{self.expression(right, columns)}" for left, right in equations)

    def expression(self, node: Expression, columns: Collection[str] = (), binds: int = 0) -> str:
        """Write an expression; ``columns`` are the names that stand for columns of the table."""

        def inner(other: Expression, least: int = 0) -> str:
            return self.expression(other, columns, least)

        own = binds_of(node)
        match node:
            case Number(value=value):
                text = self.coef(value)
            case NameToken(name=name, groups=groups, quoted=quoted):
                text = self.column(name) if quoted or name in columns else self.coef(Coef(name, groups))
            case Negative(operand=operand):
                text = self.negative.format(inner(operand, NEGATIVE))
            case Binary(operator="/", left=left, right=right):
                text, own = self.ratio.format(self.row.format(inner(left)), self.row.format(inner(right))), ATOM
            case Binary(operator="^", left=left, right=right):
                raised = self.row.format(inner(left, ATOM if not _is_ratio(left) else ATOM + 1))
                text = self.power.format(raised, self.row.format(inner(right)))
            case Binary(operator="*", left=left, right=right):
                text = self.dot.format(inner(left, own), inner(right, own + 1))
            case Binary(operator=operator, left=left, right=right):
                joint = self.plus if operator == "+" else self.minus
                text = f"{inner(left, own)}{joint}{inner(right, own + 1)}"
            case Call(function="sqrt", arguments=(argument,)):
                text = self.root.format(inner(argument))
            case Call(function=function, arguments=arguments):
                listed = self.inside.format(self.comma.join(inner(argument) for argument in arguments))
                text = f"{self.upright.format(self.text(function))}{listed}"
        return self.inside.format(text) if own < binds else text

    def _word(self, word: str) -> str:
        if word in GREEK:
            return self.greek(word)
        if word.isdigit():
            return self.number.format(word)
        return self.letter.format(word) if len(word) == 1 else self.upright.format(self.text(word.replace("_", " ")))


_MATHTEXT: Final = _Markup(
    greek=r"\{}".format, upright=r"\mathrm{{{}}}", below="{}_{{{}}}", power="{}^{{{}}}",
    ratio=r"\frac{{{}}}{{{}}}", times=r"{}\,{}", dot=r"{}\,{}", inside=r"\left({}\right)", root=r"\sqrt{{{}}}",
    then=r",\quad ",
)  # fmt: skip
_TYPST: Final = _Markup(
    greek=str, upright="upright({})", below="{}_({})", power="{}^({})", ratio="frac({}, {})", times="{} thin {}",
    text=typst_string, dot="{} thin {}", then=", quad ",
)  # fmt: skip
_MATHML: Final = _Markup(
    greek=lambda name: f"<mi>{GREEK_LETTERS[name]}</mi>", upright="<mtext>{}</mtext>",
    below="<msub>{}<mrow>{}</mrow></msub>", power="<msup>{}{}</msup>", ratio="<mfrac>{}{}</mfrac>",
    times="{}<mo rspace='0.17em'>\u2062</mo>{}", text=markup, letter="<mi>{}</mi>", number="<mn>{}</mn>",
    comma="<mo>,</mo><mspace width='0.3em'/>", plus="<mo>+</mo>", equals="<mo>=</mo>",
    minus="<mo>-</mo>", negative="<mo>-</mo>{}", dot="{}<mo rspace='0.17em'>\u2062</mo>{}",
    inside="<mo>(</mo>{}<mo>)</mo>", row="<mrow>{}</mrow>", root="<msqrt>{}</msqrt>",
    then="<mo>,</mo><mspace width='1em'/>",
)  # fmt: skip


def _is_ratio(expression: Expression) -> bool:
    """Whether an expression is set as a fraction, which needs parentheses as the base of a power."""
    return isinstance(expression, Binary) and expression.operator == "/"


def to_mathtext(law: AnyLaw) -> str:
    r"""Typeset a law for a matplotlib label.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law; of one in closed form also its parts, fixed values and ties, but not its bounds.

    Returns
    -------
    str
        Such as ``$L = E + \frac{A}{N^{\alpha}}$``.
    """
    return f"${_MATHTEXT.law(law)}$"


def to_typst(law: AnyLaw) -> str:
    """Typeset a law as typst maths, without the dollar signs.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law; of one in closed form also its parts, fixed values and ties, but not its bounds.

    Returns
    -------
    str
        Such as ``L = E + frac(A, N^(alpha))``.
    """
    return _TYPST.law(law)


def to_mathml(law: AnyLaw) -> str:
    """Typeset a law as presentation MathML, without the ``math`` element around it.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law; of one in closed form also its parts, fixed values and ties, but not its bounds.

    Returns
    -------
    str
        Well-formed XML without named entities, such as
        ``<mi>L</mi><mo>=</mo><mi>E</mi><mo>+</mo><mfrac><mi>A</mi><msup><mi>N</mi><mi>α</mi></msup></mfrac>``.
    """
    return _MATHML.law(law)
