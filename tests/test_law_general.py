"""Laws of any closed form: reading, refusing, deciding what a name is, printing, typesetting."""

from __future__ import annotations

import math
import xml.dom.minidom
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import mathtext

from scalefit.errors import LawError
from scalefit.law import tree
from scalefit.law.additive import PRESETS, Coef, Law
from scalefit.law.declared import Declared
from scalefit.law.general import GeneralLaw, parse_law, sum_of_powers
from scalefit.law.presets import LAWS
from scalefit.law.syntax import Binary, Call, NameToken, Negative, Number
from scalefit.law.typeset import to_mathml, to_mathtext, to_typst

PARSCALE = "loss ~ E + (A/(params*(1 + k*log(streams))))^alpha"
COLUMNS = ("loss", "params", "tokens", "streams", "width", "family")


def general(text: str) -> GeneralLaw:
    law = parse_law(text)
    assert isinstance(law, GeneralLaw)
    return law


def test_names_are_decided_by_the_table() -> None:
    law = general(PARSCALE)
    assert law.variables == ("E", "A", "params", "k", "streams", "alpha")  # any of them may be a column
    bound = law.decided(COLUMNS)
    assert bound.variables == ("params", "streams")
    assert bound.parameters == (Coef("E"), Coef("A"), Coef("k"), Coef("alpha"))
    assert bound.written == PARSCALE
    assert str(bound) == f"{PARSCALE} with E > 0, A > 0, k > 0, alpha > 0"
    assert parse_law(str(bound)) == bound
    assert [declaration.name for declaration in bound.assumed] == ["E", "A", "k", "alpha"]


def test_the_body_is_what_was_written() -> None:
    law = general("y ~ a - b*min(x, c)/sqrt(z) + sigmoid(-x^2) where c = 2*d").decided(["x", "z", "y"])
    values = {"a": 3.0, "b": 2.0, "d": 0.25}
    columns = {"x": np.array([0.2, 1.5]), "z": np.array([4.0, 9.0])}
    found = tree.evaluate(law.body, columns, {name: np.array([value]) for name, value in values.items()})
    expected = 3 - 2 * np.minimum(columns["x"], 0.5) / np.sqrt(columns["z"]) + 1 / (1 + np.exp(columns["x"] ** 2))
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("acc ~ a/(1 + exp(-k*(x - x0))) + b with b in [0, 1], a < 0, k > 0",
         "a < 0, k > 0, x0 free, b in [0, 1]"),
        ("y ~ exp(a*log(x) + b*log(X)) where X = 1/(1/x + 1/Em)", "a free, b free, Em > 0"),
        ("y ~ E[family] + exp(-x/tau)", "E > 0, tau > 0"),
        ("y ~ a*x^b*z^c with b free, c > -1.5", "a > 0, b free, c > -1.5"),
        ("y ~ -E + A/x^alpha with E = -2, alpha = beta/2, beta in [0, 4]",
         "A > 0, beta in [0, 4], E = -2, alpha = beta/2"),
    ],
)  # fmt: skip
def test_declarations_and_assumed_signs(text: str, declared: str) -> None:
    law = general(text).decided(["x", "z", "y", "acc", "family"])
    assert ", ".join(map(str, law.declared)) == declared
    assert parse_law(str(law)) == law


def test_logarithms_are_held_of_positive_parameters_but_floors() -> None:
    law = general("loss ~ B/(Dl + x^beta) + E").decided(["x"])
    assert [parameter.name for parameter in law.parameters if law.is_log(parameter.name)] == ["B", "beta"]
    assert law.exponents == (Coef("beta"),)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("loss ~ A*(1/params)^alpha + E", "loss ~ E + A/params^alpha"),
        ("loss ~ E + B/tokens^beta + A/params^alpha with beta = alpha", "loss ~ E + B/tokens^alpha + A/params^alpha"),
        ("loss ~ E - -A/X^alpha where X = params", "loss ~ E + A/params^alpha"),
        ("loss ~ E + A/params^alpha with E > 0, A > 0", "loss ~ E + A/params^alpha"),
        ("loss ~ E + A/params^alpha with alpha = 1/2", "loss ~ E + A/params^0.5"),
        ("loss ~ E + A*(params/1)^(-alpha)", "loss ~ E + A/params^alpha"),
    ],
)
def test_a_law_that_is_additive_after_all_keeps_the_certified_path(text: str, plain: str) -> None:
    law = parse_law(text)
    assert isinstance(law, Law)
    assert str(law) == plain


@pytest.mark.parametrize(
    "text",
    [
        "loss ~ E + A/params^alpha with alpha in [0, 1]",
        "loss ~ E + A/params^alpha - B/tokens^beta",
        "loss ~ E + (A/params)^alpha",
        "loss ~ c*params^a*tokens^b",
        "loss ~ E + A/params^lambda",
        "`my loss` ~ E + A/params^alpha",
        "loss ~ E + 2*A/params^alpha",
    ],
)
def test_a_law_that_is_not_additive_stays_general(text: str) -> None:
    assert parse_law(str(general(text))) == general(text)


@pytest.mark.parametrize(
    ("text", "reason", "under"),
    [
        ("loss ~ E + sin(x)", "there is no function 'sin'", "sin"),
        ("log(loss) ~ E + exp(a*x)", "residuals are of its logarithm already, unless --space linear is given", "log("),
        ("loss ~ a*x + b.c", "this has no place in a law", "b.c"),
        ("loss ~ a*x + [i for i in x]", "this has no place in a law|not an expression", ""),
        ("loss ~ a*x + (lambda: 1)()", "not an expression", ""),
        ("loss ~ a*exp(x) if a else b", "not an expression", ""),
        ("loss ~ a*exp(x, y)", "exp takes one argument, not 2", "exp"),
        ("loss ~ a*min(x)", "min takes two arguments or more, not 1", "min"),
        ("loss ~ a*exp(x=1)", "no place", "exp"),
        ("loss ~ a*f(x)(x)", "no place", "f(x)"),
        ("loss ~ a*'x' + exp(x)", "no place", "'x'"),
        ("loss ~ a*log(x) + exp", "exp is a function", "exp"),
        ("loss ~ __class__*exp(x)", "two underscores", "__class__"),
        ("loss ~ a*exp(x) with b > 0", "does not occur in the law", "b"),
        ("loss ~ a*exp(x) with a > 0, a < 1", "declared twice", "a < 1"),
        ("loss ~ a*exp(x) with a in [1, 0]", "lower bound comes first", "[1"),
        ("loss ~ a*exp(x) with a in [0 1]", "a is declared as one of", "in"),
        ("loss ~ a*exp(x) with a > x", "a bound is a number", "x"),
        ("loss ~ a*exp(x) where b = a; a = b", "is defined by itself", ""),
        ("loss ~ a*exp(x) where", "after where stand definitions", ""),
        ("loss ~ a*exp(loss)", "both sides", "loss)"),
        ("loss ~ a[f]*exp(a*x)", "different groups", "a*x"),
        ("loss ~ a[x]*exp(x)", "a group in", "x"),
        ("loss ~ a*exp(x) where a = 1 where b = 2", "stands twice", ""),
        ("loss ~ `x", "backquote that is not closed", "`"),
        ("loss ~ a*exp(x", "not an expression", ""),
        ("log(loss) ~ a*exp(x)", "left of '~'", "log"),
    ],
)
def test_errors_point_at_the_spot(text: str, reason: str, under: str) -> None:
    with pytest.raises(LawError, match=reason) as error:
        parse_law(text)
    _, line, caret = str(error.value).split("\n")
    assert line[2:] == text
    assert line[caret.index("^") :].startswith(under)


@pytest.mark.parametrize(
    "text",
    [
        "loss ~ E + " + "-" * 5000 + "1",
        "loss ~ " + "(" * 3000 + "x" + ")" * 3000,
        "loss ~ " + "+".join(f"exp(a{i}*x)" for i in range(300)),
        "loss ~ a*exp(x)*" + "1" * 300,
        "loss ~ a*exp(x)*0." + "3" * 300,
        "loss ~ a*exp(x)*1e400",
        "loss ~ ().__class__.__bases__",
        "loss ~ exp(__import__('os'))",
        "loss ~ a*exp(x) where " + "; ".join(f"b{i} = a" for i in range(60)),
        "loss ~ a*exp(\x00x)",
        "loss ~ a*exp(\ud800x)",
        "loss ~ " + "a" * 20_000,
    ],
)
def test_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(LawError, match="cannot read the law"):
        parse_law(text)


def test_parts_that_double_do_not_grow_the_law() -> None:
    parts = "; ".join(f"p{i} = p{i + 1}*p{i + 1} + {i}" for i in range(30))
    law = general(f"loss ~ exp(p0) where {parts}; p30 = a*x")
    assert len(tree.topological(law.body)) < 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss ~ E + A/parms^alpha*log(tokens)", "did you mean 'params'.*declare it: with parms free"),
        ("loss ~ E + k*log(stream)", "did you mean 'streams'"),
        ("loss ~ E + exp(Params)", "did you mean 'params'"),
        ("loss ~ E + A/zz^alpha*exp(tokens)", "a column is expected here, and the table has no column 'zz'"),
        ("loss ~ a*exp(b)", "has no column of the table"),
        ("loss ~ a*exp(params) + c - c", "c cancels out"),
        ("loss ~ a*exp(params) with a = tokens", "is tied to the column 'tokens'"),
    ],
)
def test_a_name_that_looks_like_a_slip_is_refused(text: str, message: str) -> None:
    with pytest.raises(LawError, match=message):
        general(text).decided(COLUMNS)


def test_a_declared_name_is_a_parameter_whatever_it_looks_like() -> None:
    law = general("loss ~ E + A/parms^alpha*log(tokens) with parms > 0").decided(COLUMNS)
    assert Coef("parms") in law.parameters


def test_what_a_column_must_be() -> None:
    text = "y ~ a*log(p) + x^b/q + exp(c*r) + (A/(s*(1 + k*log(t))))^alpha"
    assert general(text).decided(list("pqrstxy")).required == {
        "p": "positive", "x": "nonnegative", "q": "any", "r": "any", "s": "positive", "t": "positive",
    }  # fmt: skip


def test_a_verb_for_sums_of_powers_says_so() -> None:
    with pytest.raises(LawError, match="sorting takes a floor and powers of single columns"):
        sum_of_powers(PARSCALE, "sorting")


@pytest.mark.parametrize("name", sorted(LAWS))
def test_every_preset_reads_back_and_says_its_columns(name: str) -> None:
    preset = LAWS[name]
    law = parse_law(name)
    assert parse_law(str(law)) == law
    assert preset.source
    if isinstance(law, GeneralLaw):
        bound = law.decided(preset.columns)
        assert bound.variables == preset.columns
        assert parse_law(str(bound)) == bound
    else:
        assert PRESETS[name] == str(law)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_every_preset_is_set_in_type(name: str) -> None:
    law = parse_law(name)
    if isinstance(law, GeneralLaw):
        law = law.decided(LAWS[name].columns)
    mathtext.MathTextParser("path").parse(to_mathtext(law))
    xml.dom.minidom.parseString(f"<math>{to_mathml(law)}</math>")
    assert to_typst(law).count("(") == to_typst(law).count(")")


def test_typesetting() -> None:
    law = general("loss ~ E + (A/(params*(1 + k*log(X))))^alpha where X = 2*streams").decided(COLUMNS)
    assert to_mathtext(law) == (
        r"$L = E + \left(\frac{A}{N\,\left(1 + k\,\mathrm{log}\left(X\right)\right)}\right)^{\alpha},"
        r"\quad X = 2\,\mathrm{streams}$"
    )
    assert to_typst(general("y ~ -a*sqrt(x) - (b - c)").decided(["x"])) == "y = -a thin sqrt(x) - (b - c)"


names = st.sampled_from(["a", "b", "tau", "x", "y", "lambda", "in_"])
numbers = st.one_of(
    st.integers(0, 10**6).map(Fraction), st.floats(1e-90, 1e90).map(lambda number: Fraction(repr(number)))
).map(Number)
leaves = st.one_of(
    numbers, names.map(NameToken), st.just(NameToken("odd name", (), True)), st.just(NameToken("g", ("family",)))
)


def grown(inner: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(
        st.builds(Binary, st.sampled_from(["+", "-", "*", "/", "^"]), inner, inner),
        st.builds(Negative, inner),
        st.builds(lambda f, argument: Call(f, (argument,)), st.sampled_from(["exp", "log", "sqrt", "sigmoid"]), inner),
        st.builds(lambda f, first, two: Call(f, (first, two)), st.sampled_from(["min", "max"]), inner, inner),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(leaves, grown, max_leaves=12), st.sampled_from([(), (Declared("a", (), 0.0),), (
    Declared("a", (), -math.inf, 3.5), Declared("b", value=Negative(Number(Fraction(2)))))]))  # fmt: skip
def test_every_expression_reads_back_equal(expression, declared) -> None:
    wanted = Binary("+", expression, Call("exp", (Binary("*", NameToken("a"), NameToken("b")),)))
    law = GeneralLaw("loss", wanted, (), declared)
    assert parse_law(str(law)) == law


HOSTILE = [
    "-" * 5000 + "x", "a" + "^2" * 3000 + "*x", "(" * 3000 + "x" + ")" * 3000, "min(" * 200 + "x" + ", 1)" * 200,
    "x+" * 4000 + "a", "a*x.__class__", "a*x.__class__.__mro__[1]", "a*exp(x).real", "getattr(x, 'a')*b",
    "__import__('os').system('x')*a", "a*[c for c in x]", "(lambda: a)()*x", "a*x if x else b", "a*exp(**x)",
    "a*{x}", "a*f'{x}'", "a*x; import os", "a*x\x00", "a*\ud800x", "9" * 300 + "*x^a", "a*x^" + "9" * 300,
    "a*x^1e999", "1e-999*x^a", "a*x # comment + b", "a*exp(x) # comment", "a*nan*exp(x)", "inf*exp(a*x)",
    "E + nan/x^a", "a*x^True", "a*None*x", "a*x := 3", "a*x @ b", "a*x//2", "a*x % 2", "a*exp(x)\u2011b",
    "a*exp(x) + \u0663", "a*x + 1j", "a*x + ...", "a*exp(x) with " + ", ".join(f"b{i} > 0" for i in range(100)),
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_refused(text: str) -> None:
    with pytest.raises(LawError, match=r"^cannot read the law"):
        parse_law(f"loss ~ {text}")


def test_parts_that_double_at_every_step_cost_no_time() -> None:
    """28 parts, each with two copies of the next in the log of an exp: 2^28 factors when they are all written out."""
    steps = "; ".join(f"p{i} = exp(2*log(p{i + 1}))*exp(3*log(p{i + 1}))" for i in range(28))
    law = general(f"loss ~ a + b*p0 where {steps}; p28 = x").decided(["loss", "x"])
    assert law.powers is None or law.powers.terms


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("loss ~ a + b*x/0", "b*x/0"), ("loss ~ 1/0", "1/0"), ("loss ~ a/x + b/x^c where c = log(0)", "log(0)"),
        ("loss ~ a/x + 0^(-1)", "0^(-1)"), ("loss ~ exp(a)/x + sqrt(1 - 2)", "sqrt(1 - 2)"),
        ("loss ~ a*x + b/c where c = 0", "b/c"), ("loss ~ a*x + k/c with c = 0", "k/c"),
    ],
)  # fmt: skip
def test_numbers_without_a_value_are_refused_with_a_caret_under_them(text: str, part: str) -> None:
    with pytest.raises(LawError) as refused:
        general(text).decided(["loss", "x"])
    reason, shown, caret = str(refused.value).split("\n")
    assert reason == f"cannot read the law: {part} has no finite value"
    assert shown[caret.index("^") :].startswith(part)


def test_choices_are_columns_of_the_table() -> None:
    """Names of quantities that the table may hold under another name are not offered."""
    with pytest.raises(LawError, match=r"has no column of the table; choices: a, score\. .* --map NAME=COLUMN"):
        general("score ~ exp(b)*c + exp(d)").decided(["score", "a"], also=["tokens", "params"])
    with pytest.raises(LawError, match=r"no column 'tokenz'; did you mean 'tokens'"):
        general("score ~ b + exp(-tokenz*a)").decided(["score", "a"], also=["tokens"])


def test_a_floor_by_a_column_with_an_odd_name_is_a_law_of_any_form() -> None:
    law = parse_law("loss ~ E[`data mix`] + A/params^alpha")
    assert isinstance(law, GeneralLaw)
    assert law.groups == ("data mix",)
    assert str(law) == "loss ~ E[`data mix`] + A/params^alpha"
