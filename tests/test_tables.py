"""Reading tables: formats, faults of files, streams, data frames."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalefit.errors import DataError, MissingExtra
from scalefit.tables import Table, read_table, resolve

PLAIN = "params,tokens,loss,family\n1e9,2e10,3.25,a\n2e9,1e17,2.5,b\n"


def table(text: str) -> Table:
    return read_table(io.StringIO(text))


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def check_plain(read: Table) -> None:
    assert read.frame.index.tolist() == [1, 2]
    assert read.frame["params"].tolist() == [1e9, 2e9]
    assert read.frame["tokens"].tolist() == [2e10, 1e17]
    assert read.frame["family"].tolist() == ["a", "b"]
    assert read.rows_read == 2
    assert read.dropped == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("runs.csv", PLAIN.encode()),
        ("runs.csv.gz", gzip.compress(PLAIN.encode())),
        ("runs.CSV", PLAIN.replace("\n", "\r\n").encode()),
        ("runs.tsv", PLAIN.replace(",", "\t").encode()),
        ("runs.csv", b"\xef\xbb\xbf" + PLAIN.encode()),
        ("runs.csv", PLAIN.encode("utf-16")),
        ("runs.csv", b"\xfe\xff" + PLAIN.encode("utf-16-be")),
        ("runs.csv", b"\n" + PLAIN.replace("\n", "\n\n").encode()),
        ("runs.csv", PLAIN.replace(",", ", ").encode()),
        ("runs.dat", PLAIN.encode()),
        ("runs", PLAIN.encode()),
    ],
)
def test_delimited_files(tmp_path: Path, name: str, content: bytes) -> None:
    read = read_table(write(tmp_path / name, content))
    check_plain(read)
    assert read.name == "runs"
    assert read.sha256 == hashlib.sha256(content).hexdigest()
    assert read.remarks == ()


@pytest.mark.parametrize(("sign", "word"), [(";", "semicolons"), ("|", "vertical bars"), ("\t", "tabs")])
def test_the_separator_is_found_in_the_header_and_announced(tmp_path: Path, sign: str, word: str) -> None:
    path = write(tmp_path / "runs.txt", PLAIN.replace(",", sign))
    read = read_table(path)
    check_plain(read)
    assert read.remarks == (f"The cells of '{path}' are taken to be separated by {word}.",)


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson.gz", "json"])
def test_json_lines(tmp_path: Path, suffix: str) -> None:
    rows = pd.read_csv(io.StringIO(PLAIN)).to_dict("records")
    content = "\n".join(json.dumps(row) for row in rows).encode()
    path = write(tmp_path / f"runs.{suffix}", gzip.compress(content) if suffix.endswith("gz") else content)
    check_plain(read_table(path))


def test_json_lines_keep_gaps_and_types(tmp_path: Path) -> None:
    text = '{"a": 1, "b": true, "c": "x", "d": 1}\n\n{"a": null, "b": false, "d": "1B", "e": 1' + "0" * 400 + "}"
    frame = read_table(write(tmp_path / "t.jsonl", text)).frame
    assert frame["a"].dtype == np.float64
    assert frame["b"].tolist() == [True, False]
    assert frame["c"].tolist() == ["x", None]
    assert frame["d"].tolist() == ["1", "1B"]
    assert frame["e"].tolist() == [None, "1" + "0" * 400]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1}\n{"a": 1,}', "line 2 is not JSON"),
        ('{"a": 1}\n[1]', "line 2 holds a list"),
        ('{"a": 1, "a": 2}', "line 1 names 'a' twice"),
        ("{}", "holds no values"),
    ],
)
def test_faults_of_json_lines(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_table(write(tmp_path / "t.jsonl", text))


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.read_csv(io.StringIO(PLAIN))
    path = tmp_path / "runs.parquet"
    frame.to_parquet(path)
    check_plain(read_table(path))
    check_plain(read_table(io.BytesIO(path.read_bytes())))
    frame.set_index("family").to_parquet(path)
    read = read_table(path)
    check_plain(read)
    assert read.remarks == (f"The index 'family' of '{path}' is read as a column.",)


def test_damaged_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(write(tmp_path / "t.parquet", b"PAR1 no more PAR1"))


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"reading Parquet.*\[report\]"):
        read_table(write(tmp_path / "t.parquet", b"PAR1"))


def test_streams_and_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    check_plain(table(PLAIN))
    check_plain(read_table(io.BytesIO(gzip.compress(PLAIN.encode()))))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PLAIN.encode())))
    read = read_table("-")
    check_plain(read)
    assert read.name == "stdin"
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"a": 1}'))
    assert read_table("-", name="given").name == "given"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("t.csv", "", "is empty"),
        ("t.csv", "\n \n", "is empty"),
        ("t.csv", "a,b\n", "a header and nothing below it"),
        ("t.csv", "a;b\n1;2\n", "one column only, 'a;b': it seems to be separated by semicolons"),
        ("t.tsv", "a,b\n1,2\n", "it seems to be separated by commas"),
        ("t.csv", "a,b,a\n1,2,3\n", r"two columns called 'a' \(columns 1 and 3\)"),
        ("t.csv", "a,b\n1,2\n\n1,2,3\n", "line 4 has 3 cells, not 2"),
        ("t.csv", "a,b\n1,2\n1\n", "line 3 has 1 cells, not 2"),
        ("t.csv", 'a,b\n1,"2\n', "line 2 cannot be cut into cells"),
        ("t.csv", "1,2\n3,4\n", "starts with numbers"),
        ("t.csv", b"a,b\n\xe9,2\n", r"not UTF-8 text: byte 4 \(line 2\)"),
        ("t.csv", b"\xff\xfea", "not UTF-16 text"),
        ("t.csv", "a,b\n1,2".encode("utf-16-le"), "zero bytes"),
        ("t.csv", b"PK\x03\x04", "Excel workbook"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n")[:-6], "damaged gzip file"),
    ],
)
def test_faults_of_files(tmp_path: Path, name: str, content: str | bytes, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_table(write(tmp_path / name, content))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path / "runs.csv", PLAIN)
    with pytest.raises(DataError, match=r"no file 'rums.csv'.*did you mean 'runs.csv'"):
        read_table(tmp_path / "rums.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="nor a folder"):
        read_table(tmp_path / "no" / "runs.csv")
    with pytest.raises(DataError, match="web address"):
        read_table("https://example.org/runs.csv")
    with pytest.raises(DataError, match="cannot read a table from a int"):
        read_table(3)  # type: ignore[call-overload,arg-type,unused-ignore]


def test_odd_headers_and_cells() -> None:
    read = table(',"a, b",ok, x\n0,"q, r",true,007\n1,"line\nbreak",FALSE,1e400\n')
    assert list(read.frame.columns) == ["unnamed_1", "a, b", "ok", "x"]
    assert read.remarks == ("The header of column 1 is empty; the column is called 'unnamed_1'.",)
    assert read.frame["a, b"].tolist() == ["q, r", "line\nbreak"]
    assert read.frame["ok"].tolist() == [True, False]
    assert read.frame["x"].tolist() == ["007", "1e400"]
    with pytest.raises(DataError, match=r"^row 2, column 'x': '1e400' is not a number: it is too large"):
        resolve(read, numeric=["x"])


def test_missing_cells_and_wide_integers() -> None:
    frame = table("a,b,c,d\n1,NA,inf,300000000000000000000\n,2,1,1\n").frame
    assert frame["a"].isna().tolist() == [False, True]
    assert frame["b"].isna().tolist() == [True, False]
    assert frame.loc[1, "c"] == np.inf
    assert frame.loc[1, "d"] == 3e20


def test_data_frames() -> None:
    frame = pd.DataFrame({"a": [1, 2], 3: ["x", None]}, index=pd.Index(["p", "q"], name="run"))
    read = read_table(frame)
    assert list(read.frame.columns) == ["run", "a", "3"]
    assert read.frame.index.tolist() == [1, 2]
    assert read.name == "dataframe"
    assert frame.index.tolist() == ["p", "q"]
    frame.attrs["scalefit"] = {"name": "mine"}
    assert read_table(frame).name == "mine"
    assert read_table(frame, name="yours").name == "yours"
    assert read_table(read.frame).frame.equals(read.frame)


def test_checksum_of_a_data_frame_depends_on_the_cells_only() -> None:
    one = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    same = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", np.nan]}, index=[7, 8])
    assert read_table(one).sha256 == read_table(same).sha256
    for other in (one.assign(a=[2, 1]), one.rename(columns={"a": "c"}), one[["b", "a"]]):
        assert read_table(one).sha256 != read_table(other).sha256


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (pd.DataFrame(), "is empty"),
        (pd.DataFrame({"a": []}), "is empty"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns called 'a'"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "2 levels"),
    ],
)
def test_faults_of_data_frames(frame: pd.DataFrame, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_table(frame)
