"""Conditions: what they select, how they print, where the caret points."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalefit.data.where import Where, parse_where
from scalefit.errors import DataError

FRAME = pd.DataFrame(
    {
        "tokens": [1e9, 2e9, 3e9, np.nan],
        "width": [64, 128, 256, 512],
        "subset": ["hot", "cold", "hot", None],
        "size": ["1.3B", "350M", "3.1T", None],
        "ok": [True, False, True, True],
        "odd `name` (B)": [1, 2, 3, 4],
        "state": ["true", "False", None, "TRUE"],
    },
    index=pd.RangeIndex(1, 5, name="row"),
)


def rows(text: str) -> list[int]:
    mask = parse_where(text).mask(FRAME)
    assert mask.dtype == np.bool_
    return FRAME.index[mask].tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tokens > 1e9", [2, 3]),
        ("1e9 <= tokens < 3e9", [1, 2]),
        ("tokens != 1e9", [2, 3]),
        ("not tokens == 1e9", [2, 3, 4]),
        ("width == 64 or width >= 512", [1, 4]),
        ("not (width == 64 or width >= 512)", [2, 3]),
        ("width in [64, 256, 3]", [1, 3]),
        ("width not in (64, 256)", [2, 4]),
        ("width > -1", [1, 2, 3, 4]),
        ('subset == "hot"', [1, 3]),
        ("subset != 'hot'", [2]),
        ('subset not in ["cold"]', [1, 3]),
        ("ok", [1, 3, 4]),
        ("not ok", [2]),
        ("ok == false", [2]),
        ("ok == True and width < 300", [1, 3]),
        ("size > 1e9", [1, 3]),
        ('size == "350M"', [2]),
        ("size > tokens", [1, 3]),
        ("size < width", []),
        ("`odd ``name`` (B)` >= 3", [3, 4]),
        ("state", [1, 4]),
        ("state == false", [2]),
        ("width\n> 100", [2, 3, 4]),
        ("(width > 100)", [2, 3, 4]),
        ('subset == "a`b" or width == 64', [1]),
    ],
)
def test_rows_that_fulfil_a_condition(text: str, expected: list[int]) -> None:
    assert rows(text) == expected
    where = parse_where(text)
    assert parse_where(str(where)) == where
    assert rows(str(where)) == expected


def test_canonical_form_and_columns() -> None:
    where = parse_where("not(ok)  and (tokens>1000000000 or `a b` in (1,2.50)) or subset=='x\"y'")
    assert str(where) == '((not ok) and (tokens > 1e9 or `a b` in [1, 2.5])) or subset == "x\\"y"'
    assert where.columns == ("ok", "tokens", "a b", "subset")
    assert where == parse_where(str(where))
    assert where != parse_where("ok")
    assert parse_where("ok == true") != parse_where("ok == 1")
    assert isinstance(where, Where)
    assert hash(where) == hash(parse_where(str(where)))


def message(text: str) -> str:
    with pytest.raises(DataError, match="cannot read the condition") as caught:
        parse_where(text).mask(FRAME)
    return str(caught.value)


def test_unknown_column_has_a_caret_and_a_hint() -> None:
    lines = message('subsett == "hot_100b+"').split("\n")
    assert lines[:3] == [
        "cannot read the condition: unknown column 'subsett'; did you mean 'subset'?",
        '  subsett == "hot_100b+"',
        "  ^",
    ]
    assert lines[3].startswith("Columns: odd `name` (B), ok, size")


@pytest.mark.parametrize(
    ("text", "problem", "spot"),
    [
        ("width = 3", "a single '=' does not compare", "= 3"),
        ("width == 64 && ok", "'&' is not known; write 'and'", "&& ok"),
        ("(width == 64) | ok", "'|' is not known; write 'or'", "| ok"),
        ("~ok", "write 'not'", "~ok"),
        ("tokens > 3.1T", "takes no suffix", "3.1T"),
        ('width > "3"', 'cannot be compared with "3" (text)', '"3"'),
        ('size > "3T"', "text has no order", '"3T"'),
        ("subset > 3", "column 'subset' holds text", "3"),
        ("subset > size", "holds text", "size"),
        ("width == true", "cannot be compared with true", "true"),
        ("ok > true", "have no order", "ok > true"),
        ("width", "does not hold true and false", "width"),
        ("`ünïcode ä` == 1 or zzz > 1", "unknown column 'ünïcode ä'", "`ünï"),
        ("ok or µ > 1", "unknown column 'µ'", "µ > 1"),
        ('subset == "ä" and zzz > 1', "unknown column 'zzz'", "zzz"),
        ("len(subset) > 1", "only columns, numbers and text", "len"),
        ("width.real > 1", "only columns, numbers and text", "width.real"),
        ("width[0] > 1", "only columns, numbers and text", "width[0]"),
        ("width + 1 > 1", "only columns, numbers and text", "width + 1"),
        ("width > 1j", "only columns, numbers and text", "1j"),
        ("subset == b'x'", "only columns, numbers and text", "b'x'"),
        ('subset == f"{x}"', "only columns, numbers and text", 'f"'),
        ("width > 1e999", "too large", "1e999"),
        ("1 < 2", "two constants", "1 < 2"),
        ("3", "alone is not a comparison", "3"),
        ("width in 3", "needs a list", "3"),
        ("width in []", "is empty", "[]"),
        ("width in [1, 'a']", "mixes text and numbers", "["),
        ("width in [ok]", "a list holds numbers", "ok"),
        ("1 < width in [3]", "cannot stand in a chain", "1"),
        ("width is 3", "'is' is not known", "width"),
        ("`width > 3", "backquote is not closed", "`"),
        ("width > 3 # note", "'#' needs backquotes", "#"),
        ("width > 3 ok", "this is not a comparison", None),
        ("(width > 3", "this is not a comparison", None),
        ("import os", "this is not a comparison", None),
        ("not " * 80 + "ok", "nested too deeply", None),
        ("(" * 300 + "ok" + ")" * 300, "cannot read the condition", None),
    ],
)
def test_a_caret_shows_the_spot(text: str, problem: str, spot: str | None) -> None:
    said, shown, caret, *_ = message(text).split("\n")
    assert problem in said
    assert caret.strip() == "^"
    if spot is not None:
        assert shown[caret.index("^") :].startswith(spot)


def test_an_empty_condition() -> None:
    with pytest.raises(DataError, match="it is empty"):
        parse_where("  ")


def test_nothing_is_evaluated() -> None:
    with pytest.raises(DataError, match="only columns"):
        parse_where("__import__('os').system('true') == 0")


numbers = st.integers(-3, 3).map(float)
frames = st.lists(st.tuples(numbers, numbers, st.sampled_from("xyz")), min_size=1, max_size=12).map(
    lambda cells: pd.DataFrame(cells, columns=["a", "b", "s"])
)
comparisons = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from("ab"), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), numbers),
    st.builds("{} < a <= {}".format, numbers, numbers),
    st.builds("a {} b".format, st.sampled_from(["==", "<"])),
    st.builds("s {} {!r}".format, st.sampled_from(["==", "!="]), st.sampled_from("xyz")),
    st.builds("{} {} {}".format, st.just("b"), st.sampled_from(["in", "not in"]), st.lists(numbers, min_size=1)),
    st.builds("s {} {}".format, st.sampled_from(["in", "not in"]), st.lists(st.sampled_from("xyz"), min_size=1)),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(frames, conditions)
def test_the_mask_is_that_of_pandas(frame: pd.DataFrame, text: str) -> None:
    where = parse_where(text)
    expected = frame.index.isin(frame.query(text, engine="python").index)
    np.testing.assert_array_equal(where.mask(frame), expected)
    np.testing.assert_array_equal(parse_where(str(where)).mask(frame), expected)
    assert parse_where(str(where)) == where


def test_not_of_a_cell_that_cannot_be_read_decides_nothing():
    frame = pd.DataFrame({"x": ["0.5", "oops"], "y": [1.0, 1.0]})
    with pytest.raises(DataError, match="oops"):
        parse_where("not x > 1 or y > 5").mask(frame)
    assert parse_where("not x > 1 or y < 5").mask(frame).tolist() == [True, True]


TEXT = pd.DataFrame(
    {
        "run": ["1", "01", "1.0", None],
        "size": ["1e3", "1000", "999", "2k"],
        "note": ["x", "5", "oops", None],
        "ok": ["true", "False", "", "TRUE"],
    },
    index=pd.RangeIndex(1, 5, name="row"),
    dtype=object,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('run == "01"', [2]),
        ("run == 1", [1, 2, 3]),
        ('run != "1"', [2, 3]),
        ('run in ["1", "1.0"]', [1, 3]),
        ('size == "1000"', [2]),
        ("size == 1000", [1, 2]),
        ("run == size", []),
        ("run < size", [1, 2, 3]),
        ("ok", [1, 4]),
        ("ok == false", [2]),
        ('ok == "true"', [1]),
        ("note > 3 and size < 1000", []),
        ('note > 3 and run == "01"', [2]),
        ('note > 3 or run == "1" or run == 1', [1, 2, 3]),
    ],
)
def test_what_a_text_is_compared_with_says_how_it_is_read(text: str, expected: list[int]) -> None:
    if "size < 1000" in text:  # row 3 depends on 'oops'
        with pytest.raises(DataError, match="row 3, column 'note': 'oops' is not a number"):
            parse_where(text).mask(TEXT)
        return
    assert TEXT.index[parse_where(text).mask(TEXT)].tolist() == expected


def test_an_identifier_is_not_compared_as_a_rounded_number() -> None:
    with pytest.raises(DataError, match="too many digits to be exact; compare an identifier in quotes"):
        parse_where("run == 1234567890123456789")


def test_long_conditions_are_shown_around_the_spot() -> None:
    for text in (f"width > 1{'0' * 320}", f"width > 1{'0' * 6000}"):
        assert "the number is too large" in message(text)
    _, shown, caret, *_ = message(" and ".join(["width > 1"] * 200) + " and zzz > 1").split("\n")
    assert len(shown) < 220
    assert shown[caret.index("^") :].startswith("zzz")


def test_columns_that_look_the_same() -> None:
    frame = pd.DataFrame({"mode\u0300le": [1.0, 2.0]})
    assert parse_where("`mod\u00e8le` > 1").mask(frame).tolist() == [False, True]
