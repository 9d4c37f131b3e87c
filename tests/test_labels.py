"""A label is its text as written; a column is numbers or labels by what it is used for."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalefit.comparison.extrapolate import split_rows
from scalefit.data.datasets import data_directory
from scalefit.data.formats import frame_digest
from scalefit.data.quantities import as_numbers
from scalefit.data.rows import used_columns
from scalefit.data.tables import read_table
from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.misfit import named_rows
from scalefit.options import Rows
from scalefit.problem import build_problem
from scalefit.report.choice import choose
from scalefit.robustness.variations import _cluster_columns

Run = Callable[..., tuple[Any, str, str]]

LAW = Law.parse("loss ~ E + A/params^alpha")
SIZES = (1e6, 1e7, 1e8, 1e9)
ALIKE = {
    "zeros": ["0" * count for count in range(1, 7)],
    "ends": ["1.1", "1.10", "1.100", "1.2", "1.20", "1.200"],
    "powers": ["1e3", "1000", "1E3", "1e4", "10000", "1.0e4"],
    "identifiers": [str(1234567890123456780 + i) for i in range(6)],
    "signs": ["1", "+1", "1.", "01", "1.0", "1_0"],
}


def losses() -> list[tuple[float, float]]:
    rng = np.random.default_rng(3)
    return [(size, 1.8 + 30 * size**-0.25 * np.exp(rng.normal(0, 0.003))) for size in SIZES]


def as_csv(labels: list[str]) -> str:
    rows = [f"{size:g},{loss:.6f},{label}" for label in labels for size, loss in losses()]
    return "\n".join(["params,loss,run", *rows])


def as_json_lines(labels: list[str]) -> str:
    return "\n".join(
        f'{{"params": {size:g}, "loss": {loss:.6f}, "run": {label}}}' for label in labels for size, loss in losses()
    )


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("labels", ALIKE.values(), ids=ALIKE)
def test_labels_that_are_one_number_stay_apart(tmp_path: Path, labels: list[str]) -> None:
    path = write(tmp_path / "runs.csv", as_csv(labels))
    rows = Rows(cluster="run").read(path, LAW).frame
    assert rows["run"].unique().tolist() == labels
    assert build_problem(LAW, rows, cluster="run").n_cluster == len(labels)
    law = Law.parse("loss ~ E[run] + A/params^alpha")
    floors = [
        parameter.level for parameter in build_problem(law, Rows().read(path, law).frame).parameters if parameter.level
    ]
    assert sorted(floors) == sorted((label,) for label in labels)


def test_identifiers_next_to_an_empty_cell_keep_their_digits(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.csv", as_csv([*ALIKE["identifiers"], ""]))
    rows = Rows(cluster="run", drop_invalid=True).read(path, LAW).frame
    assert rows["run"].unique().tolist() == ALIKE["identifiers"]
    typed = read_table(path).frame["run"]
    assert typed.dropna().unique().tolist() == ALIKE["identifiers"]  # a float would make one of six


@pytest.mark.parametrize("labels", [ALIKE["powers"], ALIKE["identifiers"], ["1.1", "1.10", "true", '"a"', "[1, 2.50]"]])
def test_numbers_of_json_are_labels_as_they_are_written(tmp_path: Path, labels: list[str]) -> None:
    path = write(tmp_path / "runs.jsonl", as_json_lines(labels))
    rows = Rows(cluster="run").read(path, LAW).frame
    assert rows["run"].unique().tolist() == [label.strip('"') for label in labels]


def test_labels_of_parquet_and_data_frames_are_faithful(tmp_path: Path) -> None:
    ids = [1234567890123456780 + i for i in range(4)]
    frame = pd.DataFrame({"params": SIZES, "loss": [4.0, 3.0, 2.5, 2.2], "run": ids, "half": [0.5, 1.0, 1e300, -0.25]})
    law = Law.parse("loss ~ E[run, half] + A/params^alpha")
    rows = Rows().read(frame, law).frame
    assert rows["run"].tolist() == [str(identity) for identity in ids]
    assert rows["half"].tolist() == ["0.5", "1", "1e+300", "-0.25"]
    pytest.importorskip("pyarrow")
    frame["run"] = pd.array([*ids[:3], None], dtype="Int64")
    frame.to_parquet(tmp_path / "runs.parquet")
    kept = Rows(drop_invalid=True).read(tmp_path / "runs.parquet", law).frame
    assert kept["run"].tolist() == [str(identity) for identity in ids[:3]]


def test_a_column_is_text_as_a_label_and_a_number_as_a_quantity(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.csv", "params,loss,w,run\n1e6,3.0,1.50,001\n1e7,2.5,2,002\n1e8,2.20,3,002\n")
    rows = Rows(weights="w", cluster="run", where="run > 1 and w > 1").read(path, LAW).frame
    assert rows["params"].tolist() == [1e7, 1e8]
    assert rows["w"].tolist() == [2.0, 3.0]
    assert rows["run"].tolist() == ["002", "002"]
    assert Rows(where='run == "001"').read(path, LAW).frame.index.tolist() == [1]
    assert Rows(where='w in ["1.50", "3"]').read(path, LAW).frame.index.tolist() == [1, 3]


def test_what_nobody_asked_for_stays_as_it_is_written_and_can_serve_later(tmp_path: Path) -> None:
    text = "params,loss,seed,lr,note\n1e6,3.0,01,1e-3,x\n1e7,2.5,1,0.002,\n1e8,2.2,1,3e-3,y\n1e9,2.1,02,4e-3,z\n"
    rows = used_columns(Rows().read(write(tmp_path / "t.csv", text), LAW).frame, LAW, None, None)
    assert rows["seed"].tolist() == ["01", "1", "1", "02"]
    assert as_numbers(rows["lr"]).tolist() == [1e-3, 2e-3, 3e-3, 4e-3]  # type: ignore[union-attr]
    assert as_numbers(rows["note"]) is None
    assert split_rows(rows, "lr > 0.0015").held.tolist() == [False, True, True, True]
    with pytest.raises(DataError, match=r"no column of numbers; .*choices: loss, lr, params, seed"):
        split_rows(rows, "note")


def test_read_table_types_columns_unless_that_would_merge_texts() -> None:
    text = "a,b,c,d,e\n1,1.10,0.5,true,007\n2,1.1,,false,8\n"
    frame = read_table(io.StringIO(text)).frame
    assert (frame["a"].dtype, frame["c"].dtype, frame["d"].dtype) == (np.int64, np.float64, np.bool_)
    assert frame["b"].tolist() == ["1.10", "1.1"]
    assert frame["e"].tolist() == [7.0, 8.0]
    assert read_table(io.StringIO(text), typed=False).frame.iloc[0].tolist() == ["1", "1.10", "0.5", "true", "007"]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.sampled_from("rge"))
def test_plain_decimals_are_read_to_the_nearest_float(values: list[float], style: str) -> None:
    texts = [repr(value) if style == "r" else f"{value:.17{style}}" for value in values]
    column = pd.Series([*texts, None, ""], dtype=object)
    read = as_numbers(column)
    assert read is not None
    np.testing.assert_array_equal(read, [*map(float, texts), np.nan, np.nan])


@given(st.text("019+-.eE _,kB\n", max_size=8))
def test_the_fast_reader_of_numbers_agrees_with_the_careful_one(text: str) -> None:
    from scalefit.data.quantities import _decimals, is_missing
    from scalefit.numbers import parse_number

    quick = _decimals([text, "1.5"])
    if quick is not None and not is_missing(text):
        assert quick[0] == parse_number(text)


def test_unused_columns_never_stop_anything(run: Run) -> None:
    text = (Path(__file__).parent / "cases" / "nested.jsonl").read_text(encoding="utf-8")
    records = [json.loads(line) for line in text.splitlines()]
    for place, record in enumerate(records):
        record["resumed"] = [True, None, False][place % 3]
    Path("runs.json").write_text(json.dumps(records), encoding="utf-8")
    code, out, _ = run("fit", "runs.json", "chinchilla", "--bootstrap", 0, "--out", "x.fit")
    assert (code, "40 of 40 rows" in out) == (0, True)
    assert run("show", "x.fit")[0] == 0
    frame = pd.DataFrame(records)
    rows = Rows().read(frame, Law.parse("chinchilla")).frame
    assert rows["betas"].iloc[0] == "[0.9, 0.95]"
    assert read_table("runs.json", typed=False).frame["betas"].iloc[0] == "[0.9, 0.95]"


def test_the_digest_depends_on_content_only() -> None:
    table = pd.DataFrame({"n": [1, 2, 3], "x": [0.5, np.nan, -0.5], "t": ["a", None, "bc"], "ok": [True, False, True]})
    same = pd.DataFrame(
        {
            "n": pd.array([1, 2, 3], dtype="Int64"),
            "x": pd.Series([0.5, None, -0.5], dtype=object),
            "t": pd.Series(["a", pd.NA, "bc"], dtype="string"),
            "ok": pd.array([True, False, True], dtype="boolean"),
        }
    ).set_axis([7, 8, 9])
    assert frame_digest(table) == frame_digest(same)
    others = [
        table.assign(t=["ab", None, "c"]), table.assign(t=["a", "", "bc"]), table.assign(n=["1", "2", "3"]),
        table.assign(ok=[1, 0, 1]), table.assign(x=[0.5, 0.0, -0.5]), table.iloc[::-1], table[["x", "n", "t", "ok"]],
        table.assign(n=[1, 2, 2**53 + 1]), table.assign(n=[1, 2, 2**53]), table.iloc[:2],
    ]  # fmt: skip
    assert len({frame_digest(other) for other in [table, *others]}) == len(others) + 1


def test_a_compressed_table_is_the_same_table(tmp_path: Path) -> None:
    text = as_csv(ALIKE["ends"])
    plain, packed = write(tmp_path / "runs.csv", text), tmp_path / "runs.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert read_table(plain, typed=False).frame.equals(read_table(packed, typed=False).frame)


@pytest.mark.parametrize("name", ["chinchilla", "porian", "gemstones"])
def test_a_shipped_set_and_its_file_lead_to_one_study(name: str) -> None:
    """Types in one and text in the other: truth values and numbers are no labels in either."""
    typed, written = choose(name), choose(data_directory() / name / "table.csv")
    assert (typed.laws, typed.cluster) == (written.laws, written.cluster)
    frames = [
        Rows().read(source, Law.parse("params")).frame for source in (name, data_directory() / name / "table.csv")
    ]
    assert _cluster_columns(frames[0], Law.parse("params")) == _cluster_columns(frames[1], Law.parse("params"))


def test_a_number_written_as_text_is_no_name_of_a_run() -> None:
    frame = pd.DataFrame(
        {"params": SIZES, "loss": [4.0, 3.0, 2.5, 2.2], "hours": ["1.5", "2", "2.50", "7"]}, dtype=object
    )
    assert named_rows(frame, LAW, [2]) == "row 2"
    assert named_rows(frame.assign(name=list("abcd")), LAW, [2]) == "row 2 (name c)"
