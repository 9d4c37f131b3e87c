"""The law language: reading, refusing, printing, typesetting."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalefit.errors import LawError
from scalefit.law.additive import PRESETS, Coef, Law, Term
from scalefit.law.typeset import to_mathtext, to_typst


def test_parse_gives_the_tree():
    law = Law.parse("loss ~ E[family, eval_set] + A/width^alpha")
    assert law == Law("loss", Coef("E", ("family", "eval_set")), (Term(Coef("A"), "width", Coef("alpha")),))
    assert law.parameters == (Coef("E", ("family", "eval_set")), Coef("A"), Coef("alpha"))
    assert law.groups == ("family", "eval_set")


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_parse_and_print_back(name):
    law = Law.parse(name)
    assert str(law) == PRESETS[name]
    assert Law.parse(str(law)) == law


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("loss ~ A/params**alpha + E", "loss ~ E + A/params^alpha"),
        ("loss~E+A * params ^ -alpha", "loss ~ E + A/params^alpha"),
        ("loss ~ E + A/params^-0.5", "loss ~ E + A*params^0.5"),
        ("y ~ b1*x^b2", "y ~ b1*x^b2"),
        ("loss ~ E + c/width + d/depth^2.50", "loss ~ E + c/width^1 + d/depth^2.5"),
        ("loss ~ 1.69 + 406.4/params^0.34", "loss ~ 1.69 + 406.4/params^0.34"),
        ("loss ~ E + B/tokens^(2/6)", "loss ~ E + B/tokens^(1/3)"),
        ("loss ~ E + B/tokens^1e-1", "loss ~ E + B/tokens^0.1"),
    ],
)
def test_canonical_form(text, canonical):
    assert str(Law.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "reason", "under"),
    [
        ("loss ~ E + sin(x)", "expected a floor such as E", "sin"),
        ("loss ~ E + A/params^alpha - B/tokens^b", "'-' has no place", "B/"),
        ("loss ~ E + F + A/x^a", "E and F are both added without a column", "F"),
        ("loss ~ E + A/(x + 1)^b", "name of one column", "x +"),
        ("loss ~ E + __import__('os')/x^a", "a name or a number", "__import__"),
        ("loss ~ E + A/x^a + B/x^a", "no data can tell them apart", "B/"),
        ("loss ~ E + A/x^alpha + B/y^A", "used as coefficient and as exponent", "A"),
        ("loss ~ E + A[f]/x^a + A/y^b", "share a name but not their groups", "A"),
        ("loss ~ E + x/x^a", "both a parameter and a column", "x"),
        ("loss ~ E + A/loss^a", "both sides", "loss"),
        ("loss ~ E[x] + A/x^a", "a number under an exponent and a group", "x"),
        ("loss ~ E + A/x^0", "an exponent of 0", "A"),
        ("loss ~ E + 0/x^a", "a coefficient of 0", "0"),
        ("loss ~ E", "at least one term", ""),
        ("log(loss) ~ E + A/x^a", "the name of one column", "log"),
        ("loss ~ E + A/x^a + B/y^b +", "not a sum of terms", ""),
        ("loss ~ E[grp, grp] + A/x^a", r"stands twice inside", "E"),
        ("loss ~ E['family'] + A/x^a", r"inside \[ \] stand column names", "'family'"),
    ],
)
def test_errors_point_at_the_spot(text, reason, under):
    with pytest.raises(LawError, match=reason) as error:
        Law.parse(text)
    _, line, caret = str(error.value).split("\n")
    assert line[2:] == text
    assert line[caret.index("^") :].startswith(under)


def test_preset_typo_names_the_nearest():
    with pytest.raises(LawError, match="did you mean 'chinchilla'"):
        Law.parse("chinchila")


def test_fixing_an_exponent_gives_the_nested_law():
    law = Law.parse("width_depth").with_exponents(a_m=1, a_l=Fraction(1))
    assert law == Law.parse("width_depth_fixed")
    with pytest.raises(LawError, match="'a_x' is no exponent"):
        Law.parse("width_depth").with_exponents(a_x=1)


names = st.sampled_from(["A", "B", "c_m", "alpha", "beta", "gamma", "k1"])
numbers = st.fractions(min_value=Fraction(1, 50), max_value=50, max_denominator=60)
groups = st.lists(st.sampled_from(["family", "run"]), unique=True, max_size=2).map(tuple)


@st.composite
def laws(draw):
    used = draw(st.lists(names, min_size=6, max_size=6, unique=True))
    floor = draw(st.one_of(st.none(), numbers, st.builds(Coef, st.just("E"), groups)))
    columns = draw(st.lists(st.sampled_from(["width", "depth", "tokens"]), min_size=1, max_size=3, unique=True))
    terms = []
    for column, name, power in zip(columns, used[:3], used[3:], strict=False):
        coefficient = draw(st.one_of(numbers, st.builds(Coef, st.just(name), groups)))
        exponent = draw(st.one_of(numbers, st.builds(Coef, st.just(power), groups)))
        terms.append(Term(coefficient, column, exponent, draw(st.booleans())))
    return Law("loss", floor, tuple(terms))


@given(laws())
def test_every_law_reads_back_equal(law):
    assert Law.parse(str(law)) == law


def test_typesetting():
    law = Law.parse("loss ~ E[family] + A/width^alpha + c_D/tokens^(1/3)")
    assert to_mathtext(law) == (r"$L = E_{\mathrm{family}} + \frac{A}{m^{\alpha}} + \frac{c_{D}}{D^{1/3}}$")
    assert to_typst(law) == 'L = E_(upright("family")) + frac(A, m^(alpha)) + frac(c_(D), D^(1/3))'
    assert to_typst(Law.parse("y ~ b1*x^b2")) == 'y = upright("b1") thin x^(upright("b2"))'


def test_an_exponent_may_have_any_name_when_it_is_held() -> None:
    law = Law.parse("loss ~ E + A/params^self").holding({"self": 0.5})
    assert str(law) == "loss ~ E + A/params^0.5"


def test_twins_are_terms_that_only_their_names_tell_apart() -> None:
    names = [
        [coef.name for coef in twins] for twins in Law.parse("loss ~ E + A/params^a + B/params^b + C/tokens^c").twins
    ]
    assert names == [["A", "a", "B", "b"]]
    for text in (
        "loss ~ E + A/params^a + B*params^b",  # one rises
        "loss ~ E + A/params^a + B/params^0.5",  # a number tells
        "loss ~ E + A[kind]/params^a + B[kind]/params^b",  # every level would have to be exchanged
        "loss ~ E + A/params^a + B/params^b + C/tokens^b",  # b has a second place
    ):
        assert Law.parse(text).twins == ()
