"""Row rules: order, counts, messages; nothing is dropped silently."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalefit.data.rows import Needed, select_rows, usable_rows
from scalefit.data.tables import Dropped, Table, read_table
from scalefit.data.where import parse_where
from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.options import Rows


def table(text: str) -> Table:
    return read_table(io.StringIO(text), name="runs")


def select(read: Table, response: str, numeric: Iterable[str], labels: Iterable[str] = (), **rules: Any) -> Table:
    return select_rows(read, Needed(response, tuple(numeric), tuple(labels)), Rows(**rules).rules)


def losses(*values: object) -> Table:
    return read_table(pd.DataFrame({"params": np.arange(1.0, len(values) + 1), "loss": list(values)}))


BAD = table("params,loss,family\n64,4,a\n5,0,a\n5,-1,a\n5,inf,a\n0,nan,a\n,3,a\n1,2,\n2,2,b\n")


def test_all_good_rows_stay_with_their_numbers() -> None:
    read = select(losses(3, 2, 1), response="loss", numeric=["params"])
    assert read.frame.index.tolist() == [1, 2, 3]
    assert read.dropped == ()
    assert read.remarks == ()


def test_invalid_rows_are_refused_with_row_and_column() -> None:
    with pytest.raises(DataError, match="6 of 8 rows of 'runs' have values that cannot be used") as caught:
        select(BAD, response="loss", numeric=["params"], labels=["family"])
    assert str(caught.value).split("\n")[1:7] == [
        "  row 2 (line 3), column 'loss': zero (0)",
        "  row 3 (line 4), column 'loss': negative (-1)",
        "  row 4 (line 5), column 'loss': infinite (inf)",
        "  row 5 (line 6), column 'loss': missing",
        "  row 6 (line 7), column 'params': missing",
        "  and 1 more row",
    ]
    assert "--drop-invalid (drop_invalid=True)" in str(caught.value)


def test_invalid_rows_are_dropped_and_counted_by_reason() -> None:
    read = select(BAD, response="loss", numeric=["params"], labels=["family"], drop_invalid=True)
    assert read.frame.index.tolist() == [1, 8]
    assert read.rows_read == 8
    assert read.dropped == tuple(
        Dropped("drop_invalid", 1, reason)
        for reason in (
            "loss is zero",
            "loss is negative",
            "loss is infinite",
            "loss is missing",
            "params is missing",
            "family is missing",
        )
    )


def test_a_table_of_invalid_rows_only() -> None:
    with pytest.raises(DataError, match="Dropping them would leave nothing"):
        select(losses(0, -1), response="loss", numeric=["params"], drop_invalid=True)


def test_the_condition_works_before_the_check_of_values() -> None:
    where = "loss > 1 and loss < 1e3 and params > 0 and family in ['a', 'b']"
    read = select(BAD, response="loss", numeric=["params"], labels=["family"], where=where)
    assert read.frame.index.tolist() == [1, 8]
    assert read.dropped == (
        Dropped("where", 6, "the condition is false or a value that it needs is missing", str(parse_where(where))),
    )


def test_a_condition_sees_numbers_in_columns_that_the_law_does_not_need() -> None:
    read = table('params,loss,tokens\n1,2,3.1T\n2,3,"1,000,000"\n3,3,5e9\n')
    left = select(read, response="loss", numeric=["params"], where="tokens > 1e9")
    assert left.frame.index.tolist() == [1, 3]
    assert left.remarks == (
        "Commas in column 'tokens' are read as thousands separators: '1,000,000' in row 2 (line 3) is 1e6.",
    )


def test_conditions_that_hold_always_or_never() -> None:
    read = select(losses(3, 2, 1), response="loss", numeric=["params"], where="loss > 0")
    assert read.dropped == ()
    assert read.remarks == ("All rows fulfil the condition loss > 0.",)
    with pytest.raises(DataError, match=re.escape("no row of 'dataframe' fulfils the condition loss > 3 (3 rows")):
        select(losses(3, 2, 1), response="loss", numeric=["params"], where="loss>3")


def test_the_highest_losses_go() -> None:
    tied = losses(5, 3, 4, 3, 1, 3)
    drop = select(tied, response="loss", numeric=["params"], drop_highest_loss=3)
    assert drop.frame["loss"].tolist() == [1]
    assert drop.dropped == (
        Dropped(
            "drop_highest_loss",
            5,
            "the 3 rows with the highest loss, down to 3, and 2 tied with the last of them",
            "3, ties=drop",
        ),
    )
    keep = select(tied, response="loss", numeric=["params"], drop_highest_loss=4, ties="keep")
    assert keep.frame.index.tolist() == [2, 5]
    assert keep.dropped == (
        Dropped(
            "drop_highest_loss",
            4,
            "the 4 rows with the highest loss, down to 3; 1 more with the same value are kept",
            "4, ties=keep",
        ),
    )


@pytest.mark.parametrize(
    ("count", "ties", "left"), [(40, "drop", 203), (40, "keep", 205), (5, "drop", 240), (5, "keep", 240)]
)
def test_the_cuts_of_the_published_chinchilla_fits(count: int, ties: str, left: int) -> None:
    read = read_table(Path(__file__).parents[1] / "data" / "chinchilla" / "table.csv")
    cut = select(read, response="loss", numeric=["params", "tokens"], drop_highest_loss=count, ties=ties)
    assert (cut.rows_read, len(cut.frame)) == (245, left)


def test_rules_work_in_order_and_add_up() -> None:
    read = losses(9, 8, np.nan, 7, 6, 5)
    left = select(
        read,
        response="loss",
        numeric=["params"],
        where="not params == 1",
        drop_invalid=True,
        drop_highest_loss=2,
    )
    assert left.frame["loss"].tolist() == [6, 5]
    assert [rule.rows for rule in left.dropped] == [1, 1, 2]
    assert left.rows_read - sum(rule.rows for rule in left.dropped) == len(left.frame)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"drop_highest_loss": 3}, "would drop all 3 rows"),
        ({"drop_highest_loss": 3, "ties": "keep"}, "would drop all 3 rows"),
        ({"drop_highest_loss": 1}, "tied with them. Need a smaller number, or ties=keep"),
        ({"drop_highest_loss": -1}, "drop_highest_loss=-1 is not possible"),
        ({"drop_highest_loss": 1.5}, "drop_highest_loss=1.5 is not possible"),
        ({"drop_highest_loss": True}, "drop_highest_loss=True is not possible"),
        ({"ties": "first"}, "ties is 'first'; choices: drop, keep"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        select(losses(2, 2, 2), response="loss", numeric=["params"], **options)


def test_weights_may_be_zero_but_not_negative() -> None:
    read = table("params,loss,w\n1,2,0\n2,3,1\n")
    left = select(read, response="loss", numeric=["params"], weights="w")
    assert left.frame["w"].tolist() == [1.0]
    assert left.dropped == (Dropped("weights", 1, "the weight is zero", "w"),)
    for bad, problem in (("-1", "negative"), ("inf", "infinite"), ("", "missing")):
        with pytest.raises(DataError, match=f"column 'w': {problem}"):
            select(table(f"params,loss,w\n1,2,{bad}\n2,3,1\n"), response="loss", numeric=[], weights="w")


def test_repeated_rows_are_kept_and_remarked() -> None:
    read = table("params,loss,family,note\n1,2,a,p\n2,2,a,p\n1,2,a,q\n1,2,b,p\n1,2,a,r\n")
    left = select(read, response="loss", numeric=["params"], labels=["family"])
    assert len(left.frame) == 5
    assert left.remarks == (
        "2 rows repeat an earlier one in every needed column and are kept: row 3 repeats row 1, row 5 repeats row 1. "
        "Repeats count twice; to keep one of each: --group-by loss,params,family --reduce mean.",
    )
    many = select(read_table(pd.DataFrame({"params": 1.0, "loss": [2.0] * 9})), response="loss", numeric=["params"])
    assert many.remarks[0].partition(" Repeats count")[0].endswith("row 6 repeats row 1 and 3 more.")
    one = select(table("params,loss\n1,2\n1,2\n"), response="loss", numeric=["params"])
    assert one.remarks[0].startswith(
        "1 row repeats an earlier one in every needed column and is kept: row 2 repeats row 1. Repeats"
    )


def test_missing_columns_are_found_or_refused_as_in_resolve() -> None:
    left = select(table("N (B),val_loss\n1,2\n2,3\n"), response="loss", numeric=["params"])
    assert left.frame["params"].tolist() == [1e9, 2e9]
    assert len(left.remarks) == 2
    with pytest.raises(DataError, match="no column 'width'"):
        select(losses(1, 2), response="loss", numeric=["width"])


@settings(deadline=None)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=30), st.data())
def test_both_tie_rules(values: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(values) - 1))
    keep = select(losses(*values), response="loss", numeric=[], drop_highest_loss=count, ties="keep")
    assert sorted(keep.frame["loss"]) == sorted(values)[: len(values) - count]
    threshold = sorted(values)[-count]
    below = [value for value in values if value < threshold]
    if below:
        drop = select(losses(*values), response="loss", numeric=[], drop_highest_loss=count)
        assert drop.frame["loss"].tolist() == below


NOTES = Path(__file__).parent / "cases" / "note_in_a_cell.csv"


def test_a_row_that_the_condition_leaves_out_cannot_stop_anything() -> None:
    law = Law.parse("loss ~ E + A/N^a + B/tokens^b")
    for where in ('split == "val"', 'tokens > 1e9 and split == "val"', 'split == "val" and tokens > 1e9'):
        rows = Rows(where=where).read(NOTES, law)
        assert rows.frame.index.tolist() == list(range(2, 21))
        assert rows.dropped[0].words == f"kept rows where {parse_where(where)}; 1 dropped"
    bad = re.escape("row 1 (line 2), column 'tokens': 'see notes' is not a number")
    for condition in (None, "N > 0", "tokens > 1e9", 'tokens > 1e9 or split == "old"'):
        with pytest.raises(DataError, match=bad):
            Rows(where=condition).read(NOTES, law)


@pytest.mark.parametrize(
    ("text", "mapping", "needed"),
    [
        ("N,D,k\n1,see,a\n2,3,b\n4,5,b\n", {"tokens": "D*1e9"}, "tokens"),
        ("N,D,k\n1,see,a\n2,3,b\n4,5,b\n", {"tokens": "D"}, "tokens"),
        ("N (B),D,k\n1,see,a\n2,3,b\n4,5,b\n", {}, "tokens"),
        ("N (B),C,k\nsee,1e20,a\n2,3e20,b\n4,5e20,b\n", {}, "tokens"),
        ("N,tokens (B),k\n1,7B,a\n2,3,b\n4,5,b\n", {}, "tokens"),
        ('N,D,k\n1,"3,21",a\n2,3,b\n4,5,b\n', {}, "tokens"),
        ("N,D,w,k\n1,2,see,a\n2,3,1,b\n4,5,1,b\n", {}, "w"),
    ],
)
def test_bad_cells_of_mapped_guessed_and_computed_columns(text: str, mapping: dict[str, str], needed: str) -> None:
    read = read_table(io.StringIO(text), typed=False)
    options: dict[str, Any] = {"response": "N" if "N," in text else "params", "numeric": [], "mapping": mapping}
    options |= {"weights": needed} if needed == "w" else {"numeric": [needed]}
    left = select(read, where='k == "b"', **options)
    assert left.frame.index.tolist() == [2, 3]
    assert np.isfinite(left.frame[needed].to_numpy(float)).all()
    for where in (None, 'k != "c"', f"{needed} > 0"):
        with pytest.raises(DataError, match=r"row 1 \(line 2\)"):
            select(read, where=where, **options)


def test_commas_that_a_left_out_row_makes_doubtful_are_still_refused() -> None:
    read = read_table(io.StringIO('N,k\n"3,21",a\n"1,300",b\n"2,500",b\n'), typed=False)
    with pytest.raises(DataError, match=r"row 2 .*'1,300' is not a number: it may be a decimal comma or a thousands"):
        select(read, response="N", numeric=[], where='k == "b"')


@pytest.mark.parametrize(
    ("dropped", "rule", "words"),
    [
        (Dropped("where", 2, "", "loss < 8"), "where=loss < 8", "kept rows where loss < 8; 2 dropped"),
        (Dropped("drop_invalid", 3, "loss is zero"), "drop_invalid", "3 dropped by drop_invalid (loss is zero)"),
        (
            Dropped("drop_highest_loss", 5, "", "5, ties=drop"),
            "drop_highest_loss=5, ties=drop",
            "5 dropped by drop_highest_loss=5, ties=drop",
        ),
    ],
)
def test_a_rule_in_words(dropped: Dropped, rule: str, words: str) -> None:
    assert (dropped.rule, dropped.words) == (rule, words)


def test_messages_name_only_options_that_there_are() -> None:
    for text in ("params\n1\nabc\n", "params,x\n1,1\n,2\n"):
        with pytest.raises(DataError, match=r"(?s)row 2.*condition.*drop_invalid"):
            select(table(text), response="params", numeric=[])
        with pytest.raises(DataError, match="row 2") as caught:
            usable_rows(table(text), ["params"])
        assert "drop_invalid" not in str(caught.value)
        assert "condition" not in str(caught.value)


def test_refusals_name_the_header_of_the_table() -> None:
    law = Law.parse("loss ~ A/params^alpha")
    mapped = table("N,Val Loss!\n1e6,2\n2e6,\n")
    with pytest.raises(DataError, match=re.escape("row 2 (line 3), column 'Val Loss!' (read as loss): missing")):
        Rows(mapping={"loss": "Val Loss!"}).read(mapped, law)
    with pytest.raises(DataError, match=re.escape("row 1 (line 2), column 'eval/loss' (read as loss): zero (0)")):
        Rows().read(table("N,eval/loss\n1e6,0\n2e6,1\n"), law)
    with pytest.raises(DataError, match=re.escape("row 1 (line 2), column 'loss': zero (0)")):
        Rows().read(table("params,loss\n1e6,0\n2e6,1\n"), law)


WORDS = {"oom": "OOM", "dash": "-", "sentence": "diverged (NaN)", "infinite": "inf", "minus": "-inf", "gap": "n/a"}


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_rows_with_a_word_in_place_of_a_number_are_dropped_and_counted(tmp_path: Path, word: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(f"N,Val Loss\n1e6,3.0\n2e6,{word}\n3e6,2.5\n4e6,{word}\n")
    with pytest.raises(DataError, match=r"(?s)row 2 \(line 3\), column 'Val Loss'.*--drop-invalid"):
        Rows().read(path, Law.parse("loss ~ A/params^alpha"))
    table = Rows(drop_invalid=True).read(path, Law.parse("loss ~ A/params^alpha"))
    assert table.frame.index.tolist() == [1, 3]
    (dropped,) = table.dropped
    assert (dropped.kind, dropped.rows) == ("drop_invalid", 2)
    if word in ("OOM", "-", "diverged (NaN)"):
        assert dropped.words == f"2 dropped by drop_invalid (loss is not a number: {word!r} (2))"


def test_a_cell_with_digits_is_never_dropped_as_a_word(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("params,loss\n1e6,3.0\n2e6,diverged\n3e6,2.5e\n4e6,2.2\n")
    with pytest.raises(DataError, match=r"row 3 \(line 4\), column 'loss': '2.5e' is not a number"):
        Rows(drop_invalid=True).read(path, Law.parse("params"))
    with pytest.raises(DataError, match=r"'diverged' is not a number.*1 more cell "):
        Rows().read(path, Law.parse("params"))


def test_words_in_computed_columns_and_behind_conditions_are_dropped_too() -> None:
    frame = pd.DataFrame({"params": [1e6, 2e6, 3e6, 4e6], "acc": ["0.1", "0.2", "crashed", "0.4"], "use": list("nyyy")})
    rows = Rows(columns={"err": "1 - acc"}, where="use == 'y'", drop_invalid=True)
    table = rows.read(frame, Law.parse("err ~ A/params^alpha"))
    assert table.frame.index.tolist() == [2, 4]
    assert [rule.rows for rule in table.dropped] == [1, 1]
    with pytest.raises(DataError, match=r"column 'err': 'crashed' is not a number.*Or drop every row"):
        Rows(columns={"err": "1 - acc"}).read(frame, Law.parse("err ~ A/params^alpha"))
    zero = pd.DataFrame({"params": [1e6, 2e6, 3e6], "speed": [0.0, 1.0, 2.0]})
    with pytest.raises(
        DataError, match=r"1/speed with speed = 0' is not a finite number"
    ):  # not a word: the division is to be seen
        Rows(columns={"err": "1/speed"}, drop_invalid=True).read(zero, Law.parse("err ~ A/params^alpha"))


def test_a_column_of_words_only_leaves_nothing(tmp_path: Path) -> None:
    frame = pd.DataFrame({"params": [1e6, 2e6], "loss": ["low", "high"]})
    with pytest.raises(DataError, match=r"(?s)not a number \('low'\).*Dropping them would leave nothing"):
        Rows(drop_invalid=True).read(frame, Law.parse("loss ~ A/params^alpha"))
