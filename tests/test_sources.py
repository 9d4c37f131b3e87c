"""What a word for a table stands for, and what is refused before it is read."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalefit.data.sources import dataset_of, file_name, locate, size_limit
from scalefit.data.tables import read_table
from scalefit.errors import DataError
from scalefit.report.provenance import file_digest

Run = Callable[..., tuple[Any, str, str]]

RUNS = "params,tokens,loss\n" + "\n".join(
    f"{size:g},{tokens:g},{1.8 + 480 / size**0.35 + 2000 / tokens**0.37:.5f}"
    for size in (1e7, 1e8, 1e9, 1e10) for tokens in (1e9, 1e10, 1e11)
)  # fmt: skip
FILE, SET = "data       chinchilla, 12 of 12 rows", "data       chinchilla, 245 of 245 rows"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_path_is_a_path_and_a_name_that_is_both_is_refused(here: Path) -> None:
    assert locate("chinchilla") == "dataset:chinchilla"
    (here / "chinchilla").write_text(RUNS)
    with pytest.raises(DataError, match=r"Write ./chinchilla for the file, or dataset:chinchilla for the data set"):
        locate("chinchilla")
    assert locate("./chinchilla") == Path("chinchilla")
    assert locate(Path("chinchilla")) == Path("chinchilla")
    assert locate(here / "chinchilla") == here / "chinchilla"
    assert read_table("./chinchilla").rows_read == 12
    assert read_table("dataset:chinchilla").rows_read == 245
    for name in ("dataset:chinchilla", "-", "runs.csv"):
        assert locate(locate(name)) == locate(name)
    assert [dataset_of(locate(name)) for name in ("dataset:gemstones", "runs.csv")] == ["gemstones", None]
    assert locate("chinchilla", here / "elsewhere") == "dataset:chinchilla"  # a study's own folder counts


def test_every_verb_takes_both_spellings(run: Run) -> None:
    Path("chinchilla").write_text(RUNS)
    law = ["chinchilla", "--bootstrap", 0]
    assert FILE in run("fit", "./chinchilla", *law, "--out", "x.fit")[1]
    assert SET in run("fit", "dataset:chinchilla", *law)[1]
    refusals = (
        ("fit", "chinchilla", *law),
        ("bayes", "chinchilla", "chinchilla"),
        ("predict", "x.fit", "chinchilla"),
        ("isoflop", "chinchilla"),
        ("sensitivity", "chinchilla", "chinchilla", "--param", "alpha"),
        ("calibrate", "chinchilla", "chinchilla"),
        ("report", "--new", "study", "--data", "chinchilla"),
    )
    for arguments in refusals:
        code, _, error = run(*arguments)
        assert (code, "Write ./chinchilla for the file" in error) == (2, True), arguments
    code, out, _ = run("predict", "x.fit", "./chinchilla", "--json")
    assert (code, out.count('"predicted"')) == (0, 12)
    assert run("predict", "x.fit", "dataset:chinchilla", "--json")[1].count('"predicted"') == 245


def test_a_study_says_which_one_it_means(here: Path) -> None:
    (here / "chinchilla").write_text(RUNS)
    assert file_digest(here, "dataset:chinchilla") != file_digest(here, "./chinchilla")
    with pytest.raises(DataError, match="a shipped data set and a file as well"):
        file_digest(here, "chinchilla")
    for name in ("chinchilla", "dataset:x", "-", "runs.csv"):
        (here / name).write_text(RUNS)
        assert locate(file_name(name)) == Path(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "name of the table is empty"),
        ("dataset:chinchila", "no shipped data set 'chinchila'; did you mean 'chinchilla'"),
        ("chinchila", "no file and no shipped data set 'chinchila'; did you mean 'chinchilla'"),
        ("~nosuchuser/x", r"no home folder '~nosuchuser'. Write ./~nosuchuser/x"),
        ("x" * 300, "no file and no shipped data set 'xxx.*[.]{3}'"),
        ("x" * 300 + ".csv", "cannot be read: File name too long"),
        ("a\0b.csv", "holds a zero byte"),
        ("no/" + "x" * 400, "nor a folder 'no'"),
    ],
)
def test_names_that_cannot_be_read(here: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read_table(name)
    assert len(str(caught.value)) < 900


def test_a_name_that_is_not_utf8_is_shown_with_a_mark(here: Path) -> None:
    path = os.fsdecode(b"caf\xe9.csv")
    try:
        Path(path).write_text(RUNS)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    read = read_table(path)
    assert (read.name, read.rows_read) == ("caf\ufffd", 12)
    with pytest.raises(DataError, match=r"no file 'cafe\ufffd\.csv'.*did you mean 'caf\ufffd\.csv'"):
        read_table(os.fsdecode(b"cafe\xe9.csv"))


def test_a_tilde_in_a_file_name(here: Path) -> None:
    (here / "~runs.csv").write_text(RUNS)
    assert read_table("./~runs.csv").rows_read == 12


def test_sizes() -> None:
    assert [size_limit(size) for size in (1000, "1kB", "0.5 GB", "2T", "7", "3MiB")] == [
        1000, 1000, 500_000_000, 2 * 10**12, 7, 3_000_000,
    ]  # fmt: skip
    for wrong in ("", "abc", "-1", "0", "1e9", "9" * 50):
        with pytest.raises(DataError, match="Need a size such as 500MB or 4GB"):
            size_limit(wrong)


def test_a_table_larger_than_the_limit_is_refused_and_the_limit_can_be_raised(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = RUNS.encode() * 50
    (here / "runs.csv").write_bytes(text)
    (here / "runs.csv.gz").write_bytes(gzip.compress(text))
    for source in ("runs.csv", "runs.csv.gz", io.BytesIO(text)):
        with pytest.raises(DataError, match=r"larger than 0.01 MB, .*SCALEFIT_MAX_SIZE=4GB"):
            read_table(source, max_size="10kB")
    monkeypatch.setenv("SCALEFIT_MAX_SIZE", "10kB")
    with pytest.raises(DataError, match="larger than"):
        read_table("runs.csv")
    monkeypatch.setenv("SCALEFIT_MAX_SIZE", "much")
    with pytest.raises(DataError, match="SCALEFIT_MAX_SIZE is 'much'"):
        read_table("runs.csv")
    monkeypatch.setenv("SCALEFIT_MAX_SIZE", "1MB")
    (here / "runs.csv").write_text(RUNS)
    assert read_table("runs.csv").rows_read == 12


class Endless(io.RawIOBase):
    """A source without end that counts what is taken from it."""

    def __init__(self, piece: bytes) -> None:
        self.piece, self.taken = piece, 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0
        self.taken += size
        return (self.piece * (size // len(self.piece) + 1))[:size]


@pytest.mark.parametrize(
    ("piece", "words", "most"),
    [(b"\0", "zero bytes", 2e6), (b"\xff\x01\x9c", "not UTF-8 text", 2e6), (b"1,2\n", "larger than 5 MB", 7e6)],
)
def test_an_endless_source_is_left_soon(piece: bytes, words: str, most: float) -> None:
    source = Endless(piece)
    with pytest.raises(DataError, match=words):
        read_table(source, max_size="5MB")
    assert source.taken <= most


def test_letters_may_be_cut_where_the_first_part_ends() -> None:
    text = "a,b\n" + "x" * ((1 << 20) - 5) + "é" * 10 + ",1\n"
    with pytest.raises(DataError, match="cannot be cut into cells"):  # the cell is too long, its letters are fine
        read_table(io.BytesIO(('"q",b\n' + text).encode()))


# ids: pytest would write these bytes out as the names of the tests
@pytest.mark.parametrize(
    "packed", [b"\0" * 30_000_000, b"a,b\n" + b"1,2\n" * 8_000_000], ids=["zero bytes", "many rows"]
)
def test_a_bomb_is_not_unpacked_beyond_the_limit(here: Path, packed: bytes) -> None:
    (here / "bomb.csv.gz").write_bytes(gzip.compress(packed, 1))
    with pytest.raises(DataError, match=r"zero bytes|larger than 20 MB"):
        read_table("bomb.csv.gz", max_size="20MB")


def test_a_parquet_file_that_unpacks_to_more_than_the_limit(here: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    parquet.write_table(pyarrow.table({"a": pyarrow.array([1.0] * 400_000)}), here / "t.parquet")
    assert (here / "t.parquet").stat().st_size < 100_000
    with pytest.raises(DataError, match="larger than 1 MB"):
        read_table("t.parquet", max_size="1MB")
