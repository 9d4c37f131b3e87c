"""Verdicts: which kind follows from which numbers, what is recorded, and that a page shows what a terminal prints."""

from __future__ import annotations

import json
import math

import pytest

from scalefit.escape import visible
from scalefit.estimate import Estimate
from scalefit.report.text import marked
from scalefit.thresholds import SURE, UNLIKE_CHANCES, WIDE_INTERVAL
from scalefit.verdicts import Name, Verdict, held, interval_verdict, listed, region_verdict, robust_verdicts, runs_of

WIDTH = Name(("a_m", ()))


def number(value: float, half: float) -> Estimate:
    """An exponent with a symmetric interval."""
    return Estimate("a_m", "exponent", value, half / 2, value - half, value + half)


@pytest.mark.parametrize(
    ("value", "half", "others", "kind", "end"),
    [
        (1.0, 0.05, {}, "includes", "includes 1."),
        (0.5, 0.05, {}, "excludes", "excludes 1."),
        (0.9, 0.2, {}, "open", "compatible with 1, but also with 0.70 to 1.10."),
        (0.9, 0.2, {"cut": number(1.2, 0.3)}, "open", "but also with 0.70 to 1.50."),
        (1.0, 0.05, {"cut": number(1.0, 0.04)}, "includes", "Every other analysis of the same runs agrees."),
        (1.0, 0.05, {"cut": number(0.5, 0.1)}, "depends", "depends on the analysis: “cut” excludes it."),
        (0.5, 0.05, {"a": number(1.0, 0.1), "b": number(1.0, 0.2)}, "depends", "“a” and “b” include it."),
    ],
)
def test_an_interval_decides_about_a_reference(
    value: float, half: float, others: dict[str, Estimate], kind: str, end: str
) -> None:
    found = interval_verdict(("The exponent ", WIDTH, " is"), number(value, half), 1.0, others)
    assert found.kind == kind
    assert str(found).startswith("The exponent a_m is ")
    assert str(found).endswith(end)
    assert found.threshold == (WIDE_INTERVAL if kind == "open" else None)
    assert found.numbers["interval"] == [value - half, value + half]


@pytest.mark.parametrize(
    ("chances", "kind", "end", "threshold"),
    [
        ([SURE], "inside", "is 0.95: it is established.", SURE),
        ([0.949], "open", "is 0.95: it is neither established nor excluded.", SURE),
        ([0.04], "outside", "is 0.04: it is excluded.", SURE),
        ([0.99, 0.96], "inside", "every analysis establishes it.", SURE),
        ([0.01, 0.04], "outside", "every analysis excludes it.", SURE),
        ([0.6, 0.8], "open", "it is neither established nor excluded.", SURE),
        ([0.1, 0.9], "depends", "the answer depends on the analysis.", UNLIKE_CHANCES),
    ],
)
def test_probabilities_decide_about_a_statement(chances: list[float], kind: str, end: str, threshold: float) -> None:
    labels = [""] if len(chances) == 1 else ["one", "two"]
    found = region_verdict("The", (WIDTH, " is near 1"), dict(zip(labels, chances, strict=True)))
    assert (found.kind, found.threshold, found.numbers["probability"]) == (kind, threshold, chances)
    assert str(found).startswith("The probability that a_m is near 1 is ")
    assert str(found).endswith(end)


def test_a_question_may_ask_for_another_certainty() -> None:
    assert [held(p, 0.8) for p in (0.8, 0.5, 0.2)] == ["inside", "open", "outside"]
    assert held(0.8) == "open"


def test_a_record_is_plain_json() -> None:
    found = Verdict.of("steep", WIDTH, " is steep.", threshold=4.0, value=math.nan, reach=[1.0, math.inf])
    assert json.loads(json.dumps(found.record(), allow_nan=False)) == {
        "kind": "steep", "sentence": "a_m is steep.", "value": None, "reach": [1.0, None], "threshold": 4.0,
    }  # fmt: skip


def test_a_page_sets_names_and_nothing_else_as_symbols() -> None:
    """Text that looks like a name, or like the marks of a page, stays text."""
    found = Verdict.of("x", "the $a_m$ of **a** run named a_m: ", Name(("E", ("a_m", "**"))), ".")
    page = marked(found)
    assert page.count("$") == 2
    assert visible(page) == "The $a_m$ of **a** run named a_m: $E$ a_m, **."


def test_runs_are_joined() -> None:
    assert runs_of("a", ("b", WIDTH), "", ("c", "d")) == ("ab", WIDTH, "cd")
    assert "".join(map(str, listed(["a", WIDTH, "c"]))) == "a, a_m and c"
    assert listed([]) == ()


@pytest.mark.parametrize(
    ("also", "ranges", "elsewhere", "kind", "words"),
    [
        ({"x": (1.1, 0.1)}, {}, {}, "includes", "Compatible with 1 in every analysis: it is 0.95 ± 0.10."),
        ({"x": (1.1, 0.1)}, {"below 9": (0.5, 0.1)}, {}, "depends",
         "it is 0.95 ± 0.10, but 0.50 ± 0.10 below 9. 1 is inside the 95% interval"),
        ({"x": (0.5, 0.1)}, {"below 9": (0.9, 0.1)}, {}, "depends", "as with 0 of 1 other cuts and error models"),
        ({}, {"below 9": (0.9, 0.1)}, {"far": (0.3, 0.1)}, "depends", "but 0.30 ± 0.10 in other data."),
    ],
)  # fmt: skip
def test_a_robust_verdict_counts_analyses_ranges_and_other_data(
    also: dict[str, tuple[float, float]], ranges: dict[str, tuple[float, float]],
    elsewhere: dict[str, tuple[float, float]], kind: str, words: str,
) -> None:  # fmt: skip
    def number(value: float, se: float) -> Estimate:
        return Estimate("a", "exponent", value, se, value - 2 * se, value + 2 * se)

    others = [{label: number(*numbers) for label, numbers in group.items()} for group in (also, ranges, elsewhere)]
    found, basis = robust_verdicts("it is", number(0.95, 0.1), 1.0, *others)
    assert found.kind == kind
    assert words in f"{found} {basis}"
    assert found.numbers["ranges"] == {label: value for label, (value, _) in ranges.items()}
    assert "Compatible with 1, not established" in str(found) or kind == "includes"
    assert ("The range decides: below 9 the interval excludes 1." in str(basis)) == (ranges == {"below 9": (0.5, 0.1)})
    outside, _ = robust_verdicts("it is", number(0.5, 0.1), 1.0, {}, {}, {})
    assert (outside.kind, str(outside)) == ("excludes", "Not 1 in any analysis: it is 0.50 ± 0.10.")
