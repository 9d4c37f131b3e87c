"""Reading tables: formats, faults of files, streams, data frames."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalefit.data.tables import Table, read_table, resolve
from scalefit.errors import DataError, MissingExtra

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
        ("runs.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)),
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


@pytest.mark.parametrize(
    ("name", "sign", "words"),
    [
        ("runs.csv", ";", "separated by semicolons, though its name asks for commas"),
        ("runs.csv.gz", "\t", "separated by tabs, though its name asks for commas"),
        ("runs.tsv", ",", "separated by commas, though its name asks for tabs"),
    ],
)
def test_another_separator_than_the_name_asks_for(tmp_path: Path, name: str, sign: str, words: str) -> None:
    path = write(tmp_path / name, PLAIN.replace(",", sign))
    read = read_table(path)
    check_plain(read)
    assert read.remarks == (f"The cells of '{path}' are {words}.",)


@pytest.mark.parametrize(
    ("text", "columns", "first"),
    [
        ("params;loss (nats, val)\n1e6;3.25\n", ["params", "loss (nats, val)"], [1e6, 3.25]),
        ('"family";"loss"\n"a, b";3.5\n', ["family", "loss"], ["a, b", 3.5]),
        ('"family";"loss"\n"a";3,25\n', ["family", "loss"], ["a", 3.25]),  # as write.csv2 of R
    ],
)
def test_semicolons_in_a_csv(tmp_path: Path, text: str, columns: list[str], first: list[object]) -> None:
    read = read_table(write(tmp_path / "t.csv", text))
    assert list(read.frame.columns) == columns
    assert read.frame.iloc[0].tolist() == first


def test_a_quoted_header_may_hold_any_sign(tmp_path: Path) -> None:
    assert read_table(write(tmp_path / "t.csv", '"a;b"\n"1;2"\n')).frame["a;b"].tolist() == ["1;2"]


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
        ("t.csv", "a;b\n1\n", "one column only, 'a;b': it seems to be separated by semicolons"),
        ("t.tsv", "a,b\n1\n", "it seems to be separated by commas"),
        ("t.csv", "a;b\n1;2\n1;2;3\n", "line 3 has 3 cells, not 2"),
        ("t.csv", "a,b,a\n1,2,3\n", r"two columns called 'a' \(columns 1 and 3\)"),
        ("t.csv", "a,b\n1,2\n\n1,2,3\n", "line 4 has 3 cells, not 2"),
        ("t.csv", "a,b\n1,2\n1\n", "line 3 has 1 cells, not 2"),
        ("t.csv", 'a,b\n1,"2\n', "line 2 cannot be cut into cells"),
        ("t.csv", "1,2\n3,4\n", "starts with numbers"),
        ("t.csv", b"a,b\n\xe9,2\n", r"not UTF-8 text: byte 4 \(line 2\)"),
        ("t.csv", b"\xff\xfea", "not UTF-16 text"),
        ("t.csv", "a,b\n1,2".encode("utf-16-le"), "zero bytes"),
        ("t.csv", b"PK\x03\x04", "Excel workbook"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-6], "damaged gzip file"),
    ],
)
def test_faults_of_files(tmp_path: Path, name: str, content: str | bytes, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_table(write(tmp_path / name, content))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path / "runs.csv", PLAIN)
    with pytest.raises(DataError, match=r"no file 'rums.csv'.*did you mean 'runs.csv'"):
        read_table(tmp_path / "rums.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"is a folder without table\.csv; give a file, .* or a folder of tables"):
        read_table(tmp_path / "empty")
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


CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("name", ["runs.json", "runs", "runs.jsonl"])
def test_a_list_of_records_is_a_table(tmp_path: Path, name: str) -> None:
    rows = pd.read_csv(io.StringIO(PLAIN)).to_dict("records")
    check_plain(read_table(write(tmp_path / name, json.dumps(rows, indent=2))))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[{"a": 1}, 2]', "entry 2 of the list is a number, not an object"),
        ('[{"a": 1},\n{"a": }]', "line 2 is not JSON"),
        ('[{"a": 1, "a": 2}]', "names 'a' twice"),
        ("[]", "holds no values"),
        ('{\n "a": [1, 2],\n "b": [3]\n}', "columns of different lengths: 'b' has 1 values, others 2"),
        ('{"a": [{"x": 1}], "b": [{"x": 2}]}', r"holds 2 lists of records \('a', 'b'\)"),
        ('{"a.b": 1, "a": {"b": 2}}', "two values called 'a.b'"),
        ('{"log_history": [{"loss": 2}]}', "entry 1 of 'log_history' has no step"),
        ('{"a": ' * 4000 + "1" + "}" * 4000, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"\\ud800": 1}', "not valid Unicode"),
    ],
)
def test_faults_of_json(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_table(write(tmp_path / "t.json", text))


@pytest.mark.parametrize("digits", [300, 5000])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json"])
def test_integers_of_many_digits_are_numbers_that_are_too_large(tmp_path: Path, digits: int, suffix: str) -> None:
    number = "1" + "0" * (digits + 10)
    text = {"csv": f"a\n1\n{number}\n", "jsonl": f'{{"a": 1}}\n{{"a": {number}}}'}
    text["json"] = f'[{{"a": 1}}, {{"a": {number}}}]'
    for typed in (True, False):
        read = read_table(write(tmp_path / f"t.{suffix}", text[suffix]), typed=typed)
        with pytest.raises(DataError, match=r"^row 2.*'10{50,70}[.]{3}' is not a number: it is too large") as caught:
            resolve(read, numeric=["a"])
        assert len(str(caught.value)) < 400
    assert resolve(read, numeric=[], labels=["a"]).frame.loc[2, "a"] == number


def test_decimal_commas_are_named_with_a_remedy_that_works(tmp_path: Path) -> None:
    text = (CASES / "decimal_comma.csv").read_text()
    with pytest.raises(DataError, match=r"semicolons, and the commas in its numbers \(5,8975\).*sed 's/,/./g; "):
        read_table(CASES / "decimal_comma.csv")
    read = read_table(write(tmp_path / "runs.txt", text))  # any suffix: the separator is found
    with pytest.raises(DataError, match=r"'5,8975' is not a number: it looks like a decimal comma.*sed 's/,/./g' OLD"):
        resolve(read, numeric=["loss"])
    fixed = read_table(write(tmp_path / "fixed.csv", text.replace(",", ".").replace(";", ",")))
    assert fixed.frame["loss"].iloc[0] == 5.8975


GERMAN = "params;loss;note\r\n1e6;5,8975;a,b\r\n2000000;diverged;c\r\n4000000;4,5;1,5 x\r\n"


@pytest.mark.parametrize("suffix", ["csv", "txt"])
def test_decimal_commas_that_cannot_be_thousands_are_read(tmp_path: Path, suffix: str) -> None:
    read = read_table(write(tmp_path / f"t.{suffix}", "\ufeff" + GERMAN), typed=False)
    assert read.frame["loss"].tolist() == ["5.8975", "diverged", "4.5"]
    assert read.frame["note"].tolist() == ["a,b", "c", "1,5 x"]
    assert any("commas in 'loss' are decimal commas" in remark for remark in read.remarks)


@pytest.mark.parametrize("rows", ["1;3,211\n2;2,987", "1.5;3,21\n2;2,9", "1;3,21\n2;1,300,000", "1;1.300,5\n2;2,9"])
def test_commas_that_may_be_thousands_are_no_decimals(tmp_path: Path, rows: str) -> None:
    with pytest.raises(DataError, match=r"may be decimal commas or group thousands.*sed 's/,/./g; "):
        read_table(write(tmp_path / "t.csv", f"params;loss\n{rows}\n"))


@pytest.mark.parametrize(
    ("top", "skipped"),
    [("# by me\n", 1), ("# by me, on Monday, at noon, x\n\n#more\n", 2), ("\n# seeds 1, 2 and 3\n", 1), ("#,;|\n", 1)],
)
def test_comments_above_the_header_are_left_out(top: str, skipped: int) -> None:
    read = table(top + PLAIN)
    check_plain(read)
    assert len(read.remarks) == 1
    assert ("The first line" if skipped == 1 else f"{skipped} lines at the top") in read.remarks[0]
    with pytest.raises(DataError, match=rf"row 2 \(line {3 + top.count(chr(10))}\), column 'family'"):
        resolve(table(top + PLAIN.replace(",a", ",1")), numeric=["family"])


def test_a_sharp_sign_may_belong_to_the_header() -> None:
    assert table("#params,loss\n1,2\n").frame["#params"].tolist() == [1]
    assert table('#params,"tokens, B",loss\n1,2,3\n').frame["#params"].tolist() == [1]
    assert table("# made by me\n#params,loss\n1,2\n").frame["#params"].tolist() == [1]
    with pytest.raises(DataError, match="only lines that start with #"):
        table("# a\n# b\n")
    with pytest.raises(DataError, match=r"line 3 has 1 cells, not 2.*Lines with # may stand above the header only"):
        table("a,b\n1,2\n# note\n")


def test_very_wide_tables() -> None:
    names = [f"c{place}" for place in range(5_000)]
    wide = table(",".join(names) + "\n" + ",".join("1" * 5_000) + "\n")
    assert resolve(wide, numeric=["c4999"]).frame["c4999"].tolist() == [1]
    with pytest.raises(DataError, match="and 4940 more") as caught:
        resolve(wide, numeric=["loss"])
    assert len(str(caught.value)) < 1500
    with pytest.raises(DataError, match=r"two columns called 'c7' \(columns 8 and 5001\)"):
        table(",".join([*names, "c7"]) + "\n" + ",".join(["1"] * 5_000 + ["2"]) + "\n")
    with pytest.raises(DataError, match=r"no column 'loss'; choices: p{70,80}[.]{3}\."):
        resolve(table("p" * 300 + "\n1\n"), numeric=["loss"])


@given(
    st.lists(st.lists(st.text("ab1. ,;\t\"'#é\r\n", max_size=4), min_size=3, max_size=3), min_size=1, max_size=5),
    st.booleans(),
)
def test_cells_come_back_as_the_writer_of_csv_wrote_them(rows: list[list[str]], always: bool) -> None:
    """Both ways to cut text, the fast one and the one for quotes, agree with the standard library."""
    stream = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if always else csv.QUOTE_MINIMAL
    csv.writer(stream, quoting=quoting).writerows([["x", "y", "z"], *rows])
    frame = read_table(io.StringIO(stream.getvalue(), newline=""), typed=False).frame
    expected = list(csv.reader(io.StringIO(stream.getvalue(), newline=""), skipinitialspace=True))
    assert frame.to_numpy().tolist() == [[cell if cell.strip() else None for cell in row] for row in expected[1:]]


def test_pandas_own_types_become_plain_ones() -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, 2], dtype="Int32"),
            "gap": pd.array([1, None], dtype="Int64"),
            "id": pd.array([2**60 + 1, None], dtype="Int64"),
            "flag": pd.array([True, None], dtype="boolean"),
            "kind": pd.Categorical(["a", "b"]),
            "word": pd.array(["p", None], dtype="string"),
            "list": [[1, 2], {"a": 1}],
        }
    )
    read = read_table(frame).frame
    assert (read["whole"].dtype, read["gap"].dtype) == (np.int64, np.float64)
    assert read["id"].tolist() == [2**60 + 1, None]
    assert read["flag"].tolist() == [True, None]
    assert read["word"].tolist() == ["p", None]
    assert read["list"].tolist() == ["[1, 2]", "{'a': 1}"]
    assert resolve(read_table(frame), numeric=[], labels=["id", "kind"]).frame.loc[1, ["id", "kind"]].tolist() == [
        str(2**60 + 1), "a",
    ]  # fmt: skip


def test_reading_warns_of_nothing(tmp_path: Path) -> None:
    text = 'a,b,c,d\n1,1e400,,nan\n2,inf,1.5B,-0\n3,-1e-400,"1,000",\n'
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for typed in (True, False):
            read = read_table(write(tmp_path / "t.csv", text), typed=typed)
            resolve(read, numeric=["a", "c", "d"], labels=["b"])
        read_table(pd.DataFrame({"x": [np.inf, np.nan], "y": pd.array([None, None], dtype="Int64")}))


SHEET = "params,tokens,loss\n1e9,2e10,3.25\n2e9,1e17,2.5\n"


@pytest.mark.parametrize(
    ("name", "text", "words", "line"),
    [
        ("t.csv", "Sweep 12 - final\n" + SHEET, "The title of '{}', 'Sweep 12 - final', is left out", 3),
        ("t.csv", "Sweep 12,,\n,,\n" + SHEET, "'Sweep 12', is left out; line 3 is read as the header", 4),
        ("t.txt", "by me\n" + SHEET.replace(",", "\t"), "The title of '{}', 'by me', is left out", 3),
        ("t.txt", SHEET.replace(",", "    "), "The cells of '{}' are taken to be separated by spaces", 2),
        ("t.md", "| " + SHEET.replace(",", " | ").replace("s\n", "s |\n|---|:--|--|\n", 1).replace("5\n", "5|\n"),
         "The cells of '{}' are taken to be separated by vertical bars", 3),
        ("t.csv", SHEET.replace("\n", ",\n").replace("s,\n", "s,params\n", 1).replace("5,\n", "5,1e9\n", 1)
         .replace("5,\n", "5,2e9\n"), "Column 4 repeats 'params' cell for cell and is left out", 2),
    ],
)  # fmt: skip
def test_what_people_put_around_a_table(tmp_path: Path, name: str, text: str, words: str, line: int) -> None:
    path = write(tmp_path / name, text)
    read = read_table(path)
    assert read.frame.to_numpy().tolist() == [[1e9, 2e10, 3.25], [2e9, 1e17, 2.5]]
    assert any(words.format(path) in remark for remark in read.remarks)
    broken = read_table(write(tmp_path / name, text.replace("3.25", "3.2x", 1)))
    with pytest.raises(DataError, match=rf"row 1 \(line {line}\), column 'loss': '3.2x'"):
        resolve(broken, numeric=["loss"])


@pytest.mark.parametrize("text", ["name\n1,2\n", "a\n\n1,2\n3,4\n", "by me\nx,y\nu,v\n", "a\nb,c\n1,2,3\n"])
def test_what_is_no_title(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="cells, not 1 as the header"):
        read_table(write(tmp_path / "t.csv", text))
