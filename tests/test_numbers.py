"""Every number is parsed and printed by one module, in one layout."""

import ast
import math
import re
import string
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scalefit.estimate import Estimate
from scalefit.files import plain_json
from scalefit.leastsq import fit
from scalefit.numbers import (
    MINUS,
    ROUND_OFF,
    amount,
    as_input,
    as_printed,
    bayes_factor,
    chance,
    exact,
    fixed,
    parse_number,
    percent,
    percent_size,
    plus_minus,
    power_of_ten,
    rounded,
    rounded_interval,
    short_number,
    to_digits,
    two_digits,
)
from scalefit.summary import estimate_text, interval_text

PACKAGE = Path(__file__).resolve().parent.parent / "scalefit"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (123456, "123\u202f456"),
        (1e9, "1e9"),
        (0.00012, "0.00012"),
        (1234567, "1\u202f234\u202f567"),
        (9999, "9999"),
        (10_000, "10\u202f000"),
        (1_500_000, "1.5e6"),
        (12_345_670, "12\u202f345\u202f670"),
        (5.76e23, "5.76e23"),
        (0.00001, "1e−5"),
        (-0.5, "−0.5"),
        (0.0, "0"),
        (-0.0, "0"),
    ],
)
def test_a_bare_number_has_one_answer(value, text):
    assert exact(value) == rounded(value) == as_printed(value) == text
    assert exact(float(value)) == exact(np.float64(value)) == text
    assert as_input(value) == text.replace("\u202f", "").replace(MINUS, "-")


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (0.3473105, 0.0154, "0.347"),
        (477.8, 124.0, "480"),
        (2143.4, 1293.0, "2100"),
        (-0.70512, 0.05, "−0.705"),
        (1.5, 0.0996, "1.50"),
        (1234567.0, 400000.0, "1.23e6"),
        (1234567.0, 50.0, "1\u202f234\u202f567"),
        (71234567890.0, 12345.0, "7.1234568e10"),
        (79641.0, 240000.0, "80\u202f000"),
        (9996.0, 240.0, "10\u202f000"),
        (-0.0001, 0.5, "0.00"),
        (0.00005, 0.0001, "0.00005"),
        (3e-8, 2e-9, "3.00e−8"),
        (1.68598524762e208, 2e207, "1.69e208"),
        (9.996, 0.24, "10.00"),
        (80.0, 1500.0, "100"),
        (30.0, 1500.0, "0"),
        (3e-8, 1e-6, "3e−8"),
        (0.34731, None, "0.3473"),
        (123456.4, None, "123\u202f456"),
        (1234567.3, None, "1.235e6"),
        (999999.7, None, "1e6"),
        (5.7612345e23, None, "5.761e23"),
        (0.0, None, "0"),
        (0.0, 0.086, "0.000"),
        (3.2e-7, None, "3.2e−7"),
        (math.inf, 1.0, "∞"),
        (-math.inf, None, "−∞"),
        (math.nan, None, "–"),
    ],
)
def test_rounded(value, uncertainty, text):
    assert rounded(value, uncertainty) == text


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        (exact(10**30), "1e30"),
        (exact(-(10**30) - 7), "−1.000000000000000000000000000007e30"),
        (exact(1.1 - 1), "0.1"),
        (exact(np.int64(20_000)), "20\u202f000"),
        (exact(math.nan), "–"),
        (as_input(0.1 + 0.2), "0.30000000000000004"),
        (as_input(0.1 + 0.2, 6), "0.3"),
        (as_input(-math.inf), "-inf"),
        (fixed(-0.934, 2), "−0.93"),
        (fixed(-0.001, 2), "0.00"),
        (fixed(12345.67, 1), "12\u202f345.7"),
        (fixed(1.0, 1, sign=True), "+1.0"),
        (fixed(0.00004, 5), "0.00004"),
        (fixed(math.nan, 2), "–"),
        (percent(0.95), "95%"),
        (percent(0.995), "99.5%"),
        (percent(0.07), "7%"),
        (percent(0.9417, 1), "94.2%"),
        (percent(-0.012, 1, sign=True), "−1.2%"),
        (percent(math.nan, 1), "–"),
        (percent_size(-0.0041), "0.41%"),
        (percent_size(0.1234), "12.3%"),
        (percent_size(-0.0041, sign=True), "−0.41%"),
        (percent_size(0.0, sign=True), "0%"),
        (percent_size(10.0), "1000%"),
        (percent_size(10.1), ">1000%"),
        (percent_size(6.1e3, sign=True), ">+1000%"),
        (percent_size(-1e300, sign=True), "<−1000%"),
        (percent_size(float("inf"), sign=True), "∞"),
        (chance(0.0004), "<0.001"),
        (chance(0.9996), ">0.999"),
        (chance(0.004), "0.004"),
        (chance(0.5), "0.50"),
        (chance(math.nan), "–"),
        (bayes_factor(math.log(3.14)), "3.1"),
        (bayes_factor(-math.log(250)), "1/250"),
        (bayes_factor(math.log(20_000)), "20\u202f000"),
        (bayes_factor(14.0), "1.2e6"),
        (bayes_factor(math.log(3.14), 0.1), "3.1 (log 1.14 ± 0.10)"),
        (bayes_factor(math.nan), "–"),
        (power_of_ten(737.0), "1.2e320"),
        (as_printed(0.977, 0.083), "0.977 ± 0.083"),
        (as_printed(0.34, 0.001), "0.34 ± 0.001"),
        (amount(123_456), "120\u202f000"),
        (amount(5.76e23), "5.76e23"),
        (amount(1.4e12), "1.4T"),
        (amount(math.nan), "–"),
        (short_number(2e4), "20k"),
        (short_number(1.4e9), "1.4B"),
        (short_number(0.3), "0.3"),
    ],
)
def test_each_kind_of_number_has_its_rule(printed, text):
    assert printed == text


FLOATS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


@given(FLOATS)
def test_what_is_typed_reads_back_to_the_same_number(value):
    assert parse_number(as_input(value)) == float(as_input(value)) == value
    assert as_input(value).isascii()


@given(st.integers(-(10**18), 10**18))
def test_a_count_has_all_its_digits(number):
    assert parse_number(exact(number)) == float(number)
    assert int(re.sub(r"\D", "", exact(number).partition("e")[0])) % 10 == abs(number) % 10 or "e" in exact(number)


@given(FLOATS)
def test_every_rule_reads_back_within_the_digits_it_prints(value):
    assume(value == 0 or abs(value) > 1e-300)
    size = abs(value)
    assert parse_number(exact(value)) == pytest.approx(value, rel=5e-12, abs=0)
    assert parse_number(rounded(value)) == pytest.approx(value, rel=5.1e-4, abs=0)
    if size < 1e15:
        assert abs(parse_number(fixed(value, 2)) - value) <= 0.00501 + 1e-15 * size
    assert parse_number(two_digits(value)) == pytest.approx(value, rel=0.051, abs=0)
    if size < 1e15:
        assert parse_number(amount(value)) == pytest.approx(value, rel=0.051, abs=0)
    assert parse_number(short_number(value)) == pytest.approx(value, rel=5e-12, abs=0)


@given(FLOATS, st.floats(1e-12, 1e12))
def test_a_value_and_its_uncertainty_read_back(value, uncertainty):
    assume(uncertainty >= ROUND_OFF * abs(value))  # below, the value is exact to rounding
    text, error = plus_minus(value, uncertainty).split(" ± ")
    step = 10.0 ** (math.floor(math.log10(uncertainty)) - 1)
    assert abs(parse_number(text) - value) <= 6 * step + 1e-13 * abs(value)
    assert parse_number(error) == pytest.approx(uncertainty, rel=0.051)


@given(FLOATS)
def test_rules_differ_in_digits_and_not_in_layout(value):
    """What one rule prints is printed again by the others, but for zeros at the end of decimals."""
    for text in (rounded(value), rounded(value, digits=2), as_printed(value), exact(value)):
        assert text == exact(parse_number(text)) == rounded(parse_number(text), digits=12)
    text = fixed(value, 3)
    if 0.0001 < abs(value) < 1e6:
        assert text.rstrip("0").rstrip(".") == exact(parse_number(text))


@given(st.integers(-(10**15) + 1, 10**15 - 1) | st.decimals(0, 1, places=4).map(float))
def test_no_two_rules_print_a_number_differently_that_none_has_to_round(value):
    assert exact(value) == rounded(value) == as_printed(value) == exact(float(value))


def test_pairs_and_intervals_share_their_digits():
    assert plus_minus(0.3473105, 0.0154) == "0.347 ± 0.015"
    assert plus_minus(2.0, math.nan) == "2"
    assert rounded_interval(0.3162, 0.3721, 0.0154) == "[0.316, 0.372]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (6.963, "7.0"),
        (79641.0, "80\u202f000"),
        (1.87375e9, "1.9e9"),
        (0.0312, "0.031"),
        (3.2e-7, "3.2e−7"),
        (98.0, "98"),
    ],
)
def test_two_digits(value, text):
    assert two_digits(value) == text


def test_rounding_to_digits_gives_a_number():
    assert [to_digits(0.123456, 2), to_digits(987.0, 1), to_digits(0.0, 3)] == [0.12, 1000.0, 0.0]


def test_json_has_no_number_that_is_not_finite():
    value = {1: np.float64(0.5), "b": (np.nan, [math.inf, True]), "c": np.array([1, 2]), "d": None, "e": np.bool_(True)}
    assert plain_json(value) == {"1": 0.5, "b": [None, [None, True]], "c": [1, 2], "d": None, "e": True}
    assert [type(one) for one in plain_json([np.float64(1), np.int64(1)])] == [float, int]


# Places that format numbers by themselves, and why they may.
OWN_FORMATS = {
    "report/embed.py": "coordinates of a drawing, which nobody reads as numbers",
    "report/build.py": "a date",
}


def own_formats(source: str) -> list[int]:
    """Lines that format a number without scalefit.numbers: a format spec, str.format, format() or %."""
    return sorted(node.lineno for node in ast.walk(ast.parse(source)) if any(map(is_numeric, specs_of(node))))


def is_numeric(spec: str) -> bool:
    return bool(re.search(r"[,_.%eEfFgGn]", spec))


def specs_of(node: ast.AST) -> list[str]:
    """The format specs that an expression uses; what cannot be read counts as one for numbers."""
    match node:
        case ast.FormattedValue(format_spec=ast.JoinedStr(values=parts)):
            return ["".join(part.value if isinstance(part, ast.Constant) else "." for part in parts)]
        case ast.Attribute(value=ast.Constant(value=str(text)), attr="format"):
            return [spec or "" for _, _, spec, _ in string.Formatter().parse(text)]
        case ast.Call(func=ast.Name(id="format")) | ast.BinOp(left=ast.Constant(value=str()), op=ast.Mod()):
            return ["."]
        case ast.Attribute(attr="format_float_positional" | "format_float_scientific"):
            return ["."]
    return []


@pytest.mark.parametrize(
    "source",
    ['f"{x:.2f}"', 'f"{x:g}"', 'f"{x:,}"', 'f"{x:>7,}"', 'f"{x:.{n}e}"', 'f"{x:.0%}"', '"{:.2g}".format(x)', '"%g" % x',
     'a.map("{:+.1f}".format)', 'format(x, "g")', "np.format_float_positional(x)"],
)  # fmt: skip
def test_a_number_formatted_elsewhere_is_found(source):
    assert own_formats(source) == [1]


@pytest.mark.parametrize("source", ['f"{x}"', 'f"{x:>5}"', 'f"{i:05d}"', 'f"{x!r}"', '"{}".format(x)', "7 % n"])
def test_other_formatting_is_free(source):
    assert own_formats(source) == []


def test_numbers_are_printed_by_one_module():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name != "numbers.py" and not name.startswith(tuple(OWN_FORMATS)):
            found += [f"scalefit/{name}:{line}" for line in own_formats(path.read_text(encoding="utf-8"))]
    assert not found, f"print numbers by the rules of scalefit/numbers.py: {', '.join(found)}"


def test_exceptions_are_still_needed():
    for name in OWN_FORMATS:
        paths = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).as_posix().startswith(name)]
        assert any(own_formats(path.read_text(encoding="utf-8")) for path in paths), f"{name} needs no exception"


def coefficient(log_value, log_se, se):
    lo, hi = math.exp(log_value - 1.96 * log_se), math.exp(log_value + 1.96 * log_se)
    return Estimate("A", "coefficient", math.exp(log_value), se, lo, hi, log_value=log_value, log_se=log_se)


@pytest.mark.parametrize("se", [1.2e8, math.inf, math.exp(6.6)])
def test_a_coefficient_known_to_a_factor_has_no_plus_minus(se):
    one = coefficient(6.6, 2.9, se)
    assert estimate_text(one) == "740 [2.5, 220\u202f000]"
    assert estimate_text(one, alone=False) == "740"
    assert interval_text(one) == "[2.5, 220\u202f000]"


def test_every_other_estimate_keeps_its_plus_minus():
    one = coefficient(6.17, 0.26, 124.0)
    assert estimate_text(one) == "480 ± 120"
    assert interval_text(one) == "[290, 800]"
    floor = Estimate("E", "floor", 0.0, 0.086, 0.0, 0.179)
    assert estimate_text(floor) == "0.000 ± 0.086"


def test_a_summary_says_which_coefficients_are_loose():
    result = fit("chinchilla", "chinchilla", drop_highest_loss=5, uncertainty="gauss-newton")
    assert "no ±" not in result.summary()
    wide = replace(result, uncertainty=replace(result.uncertainty, se=10 * result.uncertainty.se))
    assert "  A, B: no ± is given, because it would reach 0; read the interval" in wide.summary()
    assert f"<td>{two_digits(result['A'].value)}</td>" in wide._repr_html_()


def test_replicates_that_overflow_have_no_standard_error():
    result = fit("chinchilla", "chinchilla", drop_highest_loss=5, bootstrap=10)
    draws = np.array(result.uncertainty.draws)
    draws[0, result.names.index("A")] = 800.0
    wide = replace(result, uncertainty=replace(result.uncertainty, draws=draws))
    assert wide["A"].se == math.inf
    assert wide["B"].se == result["B"].se
    assert "±" not in estimate_text(wide["A"])


def test_a_coefficient_whose_error_a_few_draws_make_up_is_loose():
    draws = np.exp(np.random.default_rng(0).normal(6.17, 0.15, 4000))

    def summarised(draws):
        lo, hi = np.quantile(draws, [0.025, 0.975])
        se = draws.std(ddof=1)
        return Estimate("A", "coefficient", 480.0, se, lo, hi, draws=draws, log_value=6.17, log_se=0.15)

    assert estimate_text(summarised(draws)) == "480 ± 73"
    draws[0] = 30 * 480.0
    assert estimate_text(summarised(draws)) == "480 [360, 640]"


def test_a_summary_says_that_a_few_draws_determine_an_error():
    result = fit("chinchilla", "chinchilla", drop_highest_loss=5, bootstrap=60)
    draws = result.uncertainty.draws.copy()
    draws[0, result.names.index("A")] += np.log(6)  # the draws of a coefficient are logs
    wide = replace(result, uncertainty=replace(result.uncertainty, draws=draws))
    assert "few draws" not in result.summary()
    assert "  A: no ± is given, because a few draws determine it; read the interval" in wide.summary()
