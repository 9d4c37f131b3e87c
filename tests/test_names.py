"""Printed names: no two parameters look alike, and every name reads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalefit.names import parse_name, printed_label, printed_name

LABELS = st.text(alphabet=st.one_of(st.sampled_from('ab,[]"\\ \x1f\x1b\n\u200f\u00ad'), st.characters()), max_size=6)
LEVELS = st.lists(LABELS, max_size=3).map(tuple)


@given(LEVELS)
def test_a_printed_name_reads_back(level: tuple[str, ...]) -> None:
    assert parse_name(printed_name("E", level)) == ("E", level)


@given(LEVELS, LEVELS)
def test_two_levels_never_print_alike(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (printed_name("E", one) == printed_name("E", other)) == (one == other)


@given(LABELS)
def test_a_printed_label_can_be_seen(label: str) -> None:
    assert printed_label(label).isprintable()


@pytest.mark.parametrize("name", ["E[a", "E[]", "E[a,,b]", 'E["a" b]', "E[a]]"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"write a|needs a comma|closed"):
        parse_name(name)
