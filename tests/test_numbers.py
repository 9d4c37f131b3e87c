"""One helper rounds every number that is printed."""

import math
from dataclasses import replace

import numpy as np
import pytest

from scalefit.estimate import Estimate
from scalefit.leastsq import fit
from scalefit.numbers import plus_minus, rounded, rounded_interval, rounded_range, two_digits
from scalefit.summary import estimate_text, interval_text


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (0.3473105, 0.0154, "0.347"),
        (477.8, 124.0, "480"),
        (2143.4, 1293.0, "2100"),
        (-0.70512, 0.05, "−0.705"),
        (1.5, 0.0996, "1.50"),
        (1234567.0, 400000.0, "1.23e6"),
        (79641.0, 240000.0, "80\u202f000"),
        (9996.0, 240.0, "10\u202f000"),
        (-0.0001, 0.5, "0.00"),
        (0.34731, None, "0.3473"),
        (0.0, None, "0.000"),
        (3.2e-7, None, "3.200e−7"),
        (math.inf, 1.0, "∞"),
        (math.nan, None, "–"),
    ],
)
def test_rounded(value, uncertainty, text):
    assert rounded(value, uncertainty) == text


def test_pairs_and_intervals_share_their_digits():
    assert plus_minus(0.3473105, 0.0154) == "0.347 ± 0.015"
    assert plus_minus(2.0, math.nan) == "2.000"
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


def test_ends_of_a_wide_range_are_rounded_each_by_itself():
    assert rounded_range(6.963, 1.87375e9) == "[7.0, 1.9e9]"
    assert rounded_range(0.0, math.inf) == "[below 1e−308, above 1e308]"


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
