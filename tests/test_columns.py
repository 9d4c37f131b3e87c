"""Mapping, guessing, scaling and deriving columns."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalefit.data.columns import map_columns
from scalefit.data.tables import Table, parse_mapping, read_table, resolve
from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.options import Rows

PLAIN = "params,tokens,loss,family\n1e9,2e10,3.25,a\n2e9,1e17,2.5,b\n"


def table(text: str, mapping: dict[str, str] | None = None) -> Table:
    return read_table(io.StringIO(text), mapping=mapping)


def test_mapping_from_a_command_line() -> None:
    assert parse_mapping("params=N, tokens = D*1e9,") == {"params": "N", "tokens": "D*1e9"}
    assert parse_mapping(["params=N", "loss=`a, b=c`"]) == {"params": "N", "loss": "`a, b=c`"}
    with pytest.raises(DataError, match="two columns are mapped onto 'params'"):
        parse_mapping(["params=N", "params=M"])
    with pytest.raises(DataError, match=r"cannot read the mapping 'params'.*Need NAME=COLUMN"):
        parse_mapping("params")


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("D", [1.5, 2.0]),
        ("D*1e9", [1.5e9, 2e9]),
        ("D / 2", [0.75, 1.0]),
        ("D*10^9", [1.5e9, 2e9]),
        ("D*1B", [1.5e9, 2e9]),
        ("`D`*2", [3.0, 4.0]),
        ("a/b*c", [1, 2]),
        ("a/b*c*10", [10, 20]),
        ("`a/b*c`", [1, 2]),
    ],
)
def test_mapped_columns(expression: str, values: list[float]) -> None:
    read = table("D,a/b*c\n1.5,1\n2,2\n", mapping={"tokens": expression})
    assert read.frame["tokens"].tolist() == values
    assert "is mapped onto 'tokens'" in read.remarks[0]


def test_a_mapping_replaces_with_a_remark_and_reads_the_table_as_it_was() -> None:
    read = table("a,b\n1,2\n", mapping={"a": "b", "b": "a*10"})
    assert read.frame.iloc[0].tolist() == [2, 10]
    assert read.remarks == (
        "Column 'b' is mapped onto 'a', and replaces the column 'a' of the table.",
        "Column 'a' is mapped onto 'b', times 10, and replaces the column 'b' of the table.",
    )


def test_a_mapped_header_with_a_unit_is_taken_as_it_stands_and_remarked() -> None:
    read = table("N (B),b\n1,2\n", mapping={"params": "N (B)"})
    assert read.frame["params"].tolist() == [1]
    assert "names a unit, but the mapping gives no factor" in read.remarks[1]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("c", r"unknown column 'c'"),
        ("A1*1e9", "unknown column 'A1'; did you mean 'a1'"),
        ("a1*x", "names an unknown column 'x'"),
        ("a1/0", "'a1/0 with a1 = 1' is not a finite number. Expressions divide by zero there"),
        ("a1*", r"the column params = a1\*: cannot read it: this is not an expression"),
        ("size*1e9", "bring a unit"),
        ("word*2", "'x' is not a number"),
    ],
)
def test_faults_of_mappings(expression: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        table("a1,size,word\n1,2B,x\n", mapping={"params": expression})


def test_needed_columns_get_their_type() -> None:
    read = resolve(table(PLAIN.replace("1e9", "1.0B")), numeric=["params", "loss"], labels=["family"])
    assert read.frame["params"].dtype == np.float64
    assert read.frame["params"].tolist() == [1e9, 2e9]
    assert read.remarks == ()
    again = resolve(read, numeric=["params", "loss"], labels=["family"])
    pd.testing.assert_frame_equal(again.frame, read.frame)


def test_labels_become_text() -> None:
    text = "i,f,t,b,gap\n1,1.0,a ,true,1\n2,2.5,NA,false,\n"
    read = resolve(table(text), numeric=[], labels=["i", "f", "t", "b", "gap"])
    assert read.frame["i"].tolist() == ["1", "2"]
    assert read.frame["f"].tolist() == ["1", "2.5"]
    assert read.frame["t"].tolist() == ["a", None]
    assert read.frame["b"].tolist() == ["True", "False"]
    assert read.frame["gap"].tolist() == ["1", None]
    assert read.remarks == ("Spaces around labels in column 't' are removed (cells: 1).",)


def test_a_column_that_is_both_stays_a_number() -> None:
    read = resolve(table(PLAIN), numeric=["params"], labels=["params"])
    assert read.frame["params"].dtype == np.float64


def test_guesses_are_announced() -> None:
    text = "N (B),tokens_M,val_loss,train_loss,D_MODEL,Layers,Fam\n1.3,20,3,2,64,4,x\n"
    read = resolve(table(text), numeric=["params", "tokens", "loss", "width", "depth"], labels=["fam"])
    found = read.frame[["params", "tokens", "loss", "width", "depth"]]
    assert found.iloc[0].tolist() == [1.3e9, 2e7, 3, 64, 4]
    assert read.remarks == (
        "Read column 'N (B)' as params, times 1e9.",
        "Read column 'tokens_M' as tokens, times 1e6.",
        "Read column 'val_loss' as loss, and leave 'train_loss' aside.",
        "Read column 'D_MODEL' as width.",
        "Read column 'Layers' as depth.",
        "Read column 'Fam' as fam.",
    )


def test_an_exact_name_is_never_guessed_over() -> None:
    read = resolve(table("params,N (B),model_size\n5,1,2\n"), numeric=["params"])
    assert read.frame["params"].tolist() == [5]
    assert read.remarks == ()


def test_a_label_guessed_from_a_header_with_a_unit_is_scaled() -> None:
    assert resolve(table("N (B),x\n1.5,1\n"), numeric=[], labels=["params"]).frame.loc[1, "params"] == "1500000000"


def test_two_candidates() -> None:
    with pytest.raises(DataError, match=r"'val_loss', 'test_loss' could all be 'loss'.*loss=val_loss"):
        resolve(table("val_loss,test_loss\n1,2\n"), numeric=["loss"])
    read = resolve(table("N (M),n_params\n1.5,1500000\n2,2M\n"), numeric=["params"])
    assert read.frame["params"].tolist() == [1.5e6, 2e6]
    assert read.remarks == ("Read column 'N (M)' as params, times 1e6.",)
    with pytest.raises(DataError, match="could all be 'loss'"):
        resolve(table("val_loss,test_loss\n1,x\n"), numeric=["loss"])


def test_a_unit_is_not_applied_twice() -> None:
    with pytest.raises(DataError, match=r"multiplied by 1e9.*'1.3B' in row 1 \(line 2\) bring a unit"):
        resolve(table("N (B),x\n1.3B,1\n"), numeric=["params"])


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "tokens",
            r"no column 'tokens'.*Other names understood: D, n_tokens.*map a column, .*tokens=YOUR_COLUMN",
        ),
        ("losss", "did you mean 'loss'"),
        ("batch", r"no column 'batch'; choices: N \(furlongs\), loss, params, sequences"),
        ("n_params", "'n_params' is another name for 'params': write params in the law"),
    ],
)
def test_missing_columns(name: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        resolve(table("params,loss,N (furlongs),sequences\n1,2,3,4\n"), numeric=[name])


def test_an_unknown_unit_is_said() -> None:
    with pytest.raises(DataError, match=r"What '\(furlongs\)' in the header 'N \(furlongs\)' means is not known"):
        resolve(table("N (furlongs),x\n1,2\n"), numeric=["params"])


def test_text_in_a_number_column_is_named() -> None:
    with pytest.raises(DataError, match=re.escape("row 2 (line 3), column 'loss': 'diverged' is not a number")):
        resolve(table("params,loss\n1,2\n3,diverged\n"), numeric=["loss"])


def test_tokens_are_derived_with_a_remark() -> None:
    read = resolve(table("C,N\n6e18,1B\n6e18,0\n"), numeric=["tokens"])
    assert read.frame.loc[1, "tokens"] == 1e9
    assert read.frame["tokens"].isna().tolist() == [False, True]
    assert "The table has no column 'tokens'; it is computed as flops / (6 params)." in read.remarks


def test_params_are_derived_from_flops_and_tokens_with_a_remark() -> None:
    read = resolve(table("budget,tokens_seen\n6e18,1B\n6e18,0\n"), numeric=["params"])
    assert read.frame.loc[1, "params"] == 1e9
    assert read.frame["params"].isna().tolist() == [False, True]
    assert "The table has no column 'params'; it is computed as flops / (6 tokens)." in read.remarks


def test_a_derivation_asked_for_comes_before_one_that_needs_no_leave() -> None:
    shapes = table("width,depth,tokens,flops\n64,2,1e9,6e18\n")
    assert resolve(shapes, numeric=["params"]).frame.loc[1, "params"] == 1e9
    assert resolve(shapes, numeric=["params"], derive=["params"]).frame.loc[1, "params"] == 98304


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("L", "loss"), ("eval/loss", "loss"), ("eval/val_loss", "loss"), ("train/loss", "loss"), ("_step", "step"),
        ("num_params", "params"), ("non_embedding_params", "params"), ("tokens_seen", "tokens"),
        ("num_tokens", "tokens"), ("budget", "flops"), ("C", "flops"), ("hidden_size", "width"), ("n_layer", "depth"),
    ],
)  # fmt: skip
def test_names_of_the_field_are_guessed_and_announced(header: str, name: str) -> None:
    read = resolve(table(f"x,{header}\n1,2.5\n"), numeric=[name])
    assert read.frame.loc[1, name] == 2.5
    assert f"Read column {header!r} as {name}." in read.remarks


def test_a_validation_loss_comes_before_a_training_loss_and_a_bare_letter() -> None:
    read = resolve(table("train/loss,L,eval/loss\n3,12,2\n"), numeric=["loss"])
    assert read.frame.loc[1, "loss"] == 2.0
    assert "Read column 'eval/loss' as loss, and leave 'train/loss', 'L' aside." in read.remarks


def test_other_derivations_must_be_asked_for() -> None:
    shapes = table("width,depth,tokens\n64,2,1e9\n")
    with pytest.raises(DataError, match=r"params = 12 depth width\^2.*add derive params \(--derive params\)"):
        resolve(shapes, numeric=["params"])
    with pytest.raises(DataError, match="add derive flops, params"):
        resolve(shapes, numeric=["flops"])
    with pytest.raises(DataError, match="add derive flops "):
        resolve(shapes, numeric=["flops"], derive=["params"])
    read = resolve(shapes, numeric=["flops", "params"], derive=["params", "flops"])
    assert read.frame.loc[1, "params"] == 98304
    assert read.frame.loc[1, "flops"] == 6 * 98304 * 1e9
    assert len(read.remarks) == 2


def test_a_derivation_that_is_not_needed_or_not_known() -> None:
    read = resolve(table(PLAIN), numeric=["params"], derive=["params"])
    assert read.remarks == ("The table has the column 'params', so it is not derived.",)
    with pytest.raises(DataError, match=r"cannot derive 'loss'; .*Choices: flops, params, tokens"):
        resolve(table(PLAIN), numeric=["params"], derive=["loss"])


CASES = Path(__file__).parent / "cases"
COMPOSED, APART = "mod\u00e8le", "mode\u0300le"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (APART, COMPOSED),
        (COMPOSED, APART),
        ("\uff2e", "N"),
        ("loss\u200b", "loss"),
        ("l\ufeffr", "lr"),
        ("learning\u00a0rate", "learning rate"),
    ],
)
def test_names_that_look_the_same_are_the_same(header: str, name: str) -> None:
    read = table(f"{header},x\n1,2\n")
    assert resolve(read, numeric=[name]).frame[name].tolist() == [1]
    (remark,) = resolve(read, numeric=[name]).remarks
    assert remark == f"Read column {header!r} as {name}: they look the same, but their characters differ."
    assert table(f"{header},x\n1,2\n", mapping={"y": name}).frame["y"].tolist() == [1]
    assert table(f"{header},x\n1,2\n", mapping={"y": f"`{name}`*2"}).frame["y"].tolist() == [2]


def test_two_columns_that_look_the_same_are_told_apart_by_their_characters() -> None:
    read = table(f"{COMPOSED},{APART}\n1,2\n")
    assert resolve(read, numeric=[APART]).frame[APART].tolist() == [2]  # the exact name is never guessed over
    with pytest.raises(DataError, match=r"several columns look like 'mod.*U\+00E8.*U\+0065 U\+0300.*Rename"):
        resolve(read, numeric=[COMPOSED.replace("l", "\uff4c")])


def test_headers_of_other_keyboards() -> None:
    law = Law.parse(f"loss ~ E + A/{COMPOSED}^a")
    assert len(Rows(where=f"`{COMPOSED}` > 2e6").read(CASES / "decomposed_header.csv", law).frame) == 12
    assert len(Rows().read(CASES / "full_width_header.csv", Law.parse("params")).frame) == 14


def test_only_a_unit_is_called_a_unit() -> None:
    (_, remark) = table("N (active),x\n1,2\n", mapping={"params": "N (active)"}).remarks
    assert remark == (
        "What '(active)' in the header 'N (active)' means is not known; its numbers are taken as they stand."
    )
    with pytest.raises(DataError, match=r"map the column if it is meant, params=`N \(active\)`, with a factor if"):
        resolve(table("N (active),x\n1,2\n"), numeric=["params"])


def test_candidates_with_a_bad_cell_are_compared_all_the_same() -> None:
    same = table("val_loss,test_loss\n1,1\nx,x\n3,3.0\n")
    assert np.isnan(resolve(same, numeric=["loss"], strict=False).frame.loc[2, "loss"])
    for other in ("y", "2"):
        with pytest.raises(DataError, match="could all be 'loss'"):
            resolve(table(f"val_loss,test_loss\n1,1\nx,{other}\n3,3.0\n"), numeric=["loss"], strict=False)


def test_computed_columns_are_said_and_may_use_one_another() -> None:
    read = Rows(columns={"err": "1 - acc", "half": "err/2 + min(acc, 0.1)", "step tokens": "`batch size`*step"}).read(
        table("acc,batch size,_step\n0.25,1M,3\n0.5,2M,4\n"), Law.parse("half ~ A/err^alpha")
    )
    np.testing.assert_allclose(read.frame["err"], [0.75, 0.5])
    np.testing.assert_allclose(read.frame["half"], [0.475, 0.35])
    np.testing.assert_allclose(read.frame["step tokens"], [3e6, 8e6])
    assert "Column 'err' is computed as 1 - acc." in read.remarks
    assert "Read column '_step' as step." in read.remarks


def test_a_mapping_takes_the_same_expressions_from_the_table_as_it_was() -> None:
    mapping = parse_mapping("params=12*depth*width^2,depth=max(depth, 2),loss=`Val Loss!`")
    read = Rows(mapping=mapping).read(
        table("depth,width,Val Loss!\n1,10,3\n4,10,2\n"), Law.parse("loss ~ A/params^a + B/depth^b")
    )
    assert read.frame["params"].tolist() == [1200, 4800]
    assert read.frame["depth"].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 - accc", r"the column err = 1 - accc names an unknown column 'accc'; did you mean 'acc'"),
        ("1/acc", r"row 2 \(line 3\), column 'err': '1/acc with acc = 0' is not a finite number"),
        ("log(acc)", r"row 2 \(line 3\), column 'err': 'log\(acc\) with acc = 0' is not a finite number"),
        ("2*note", r"row 1 \(line 2\), column 'err': 'x' is not a number"),
        ("1 -", "the column err = 1 -: cannot read it"),
        ("__import__('os')", "cannot read it"),
        ("1 - acc[note]", "has brackets, which only a parameter of a law has"),
    ],
)
def test_faults_of_computed_columns_name_row_and_column(expression: str, message: str) -> None:
    rows = table("acc,note,params\n0.5,x,1\n0,y,2\n")
    with pytest.raises(DataError, match=message):
        Rows(columns={"err": expression}).read(rows, Law.parse("err ~ A/params^alpha"))


def test_a_row_that_a_condition_leaves_out_cannot_stop_a_computed_column() -> None:
    rows = table("acc,params\n0.5,1\n0,2\n0.25,3\n")
    law = Law.parse("err ~ A/params^alpha")
    assert Rows(columns={"err": "1/acc"}, where="acc > 0").read(rows, law).frame["err"].tolist() == [2, 4]
    read = Rows(columns={"err": "1/acc"}, drop_invalid=True).read(table("acc,params\n0.5,1\n,2\n0.25,3\n"), law)
    assert read.frame["err"].tolist() == [2, 4]  # a gap gives a gap


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (
            "eval/loss (vall)",
            r"no column 'eval/loss \(vall\)'.*did you mean 'eval/loss \(val\)'\? Choices: Val Loss!, acc",
        ),
        ("eval/loss", r"did you mean 'eval/loss \(val\)'\?.*in backquotes: `eval/loss \(val\)`"),
        ("val loss", r"did you mean 'Val Loss!'\?"),
        ("1 - eval/loss (val)", r"(?s)no function 'loss'.*in backquotes: `eval/loss \(val\)`"),
        ("2*lr-peak", r"unknown column 'lr'; choices: .*in backquotes: `lr-peak`"),
        ("2*cfg.batch", r"(?s)the column loss = 2\*cfg.batch: cannot read it.*in backquotes: `cfg.batch`"),
        ("1 - acx", r"unknown column 'acx'; did you mean 'acc'\?"),
    ],
)
def test_odd_names_in_expressions(expression: str, words: str) -> None:
    given = table("eval/loss (val),Val Loss!,acc,lr-peak,cfg.batch\n1,2,.4,5,6\n")
    with pytest.raises(DataError, match=words):
        map_columns(given.frame, {"loss": expression}, [])
    assert map_columns(given.frame, {"loss": "1 - `eval/loss (val)`"}, [])["loss"].tolist() == [0]


def test_a_bad_cell_of_a_mapped_column_is_named_by_its_header() -> None:
    mapping = {"loss": "Val Loss!"}
    with pytest.raises(DataError, match=r"row 2 \(line 3\), column 'Val Loss!' \(read as loss\): 'diverged'"):
        resolve(table("params,Val Loss!\n1,2\n3,diverged\n", mapping), numeric=["loss"])
