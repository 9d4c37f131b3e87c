"""One helper rounds every number that is printed."""

import math

import pytest

from scalefit.rounding import plus_minus, rounded, rounded_interval


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
