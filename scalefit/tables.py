"""Read a user's table: files, streams and data frames, column mapping, names, units, derived columns.

`read_table` brings a table in as it is; `resolve` makes sure that the columns which a law needs are
there as float64 numbers or as text. Whatever is guessed on the way is said in ``Table.remarks``.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import pandas as pd

from scalefit.columns import find_columns, map_columns, parse_mapping
from scalefit.errors import DataError, closest
from scalefit.formats import FORMATS, format_of, frame_digest, frame_from_bytes, tidy_frame

__all__ = ["Dropped", "Table", "parse_mapping", "read_table", "resolve"]


@dataclass(frozen=True)
class Dropped:
    """Rows that a rule took out of a table.

    Parameters
    ----------
    rule : str
        The rule as the user gave it, such as ``"drop_highest_loss=40, ties=drop"``.
    rows : int
        How many rows it took.
    reason : str
        Why, in words.
    """

    rule: str
    rows: int
    reason: str


@dataclass(frozen=True, eq=False)
class Table:
    """A table with its origin and with what was done to it.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        The index is the row number in the source, from 1.
    name : str
        The name of the data set, for records and titles.
    sha256 : str
        Of the file's bytes, or of the cells if the source was a DataFrame.
    rows_read : int
        Rows in the source.
    dropped : tuple of Dropped
        The rules that took rows out.
    remarks : tuple of str
        Everything guessed or noticed, one sentence each.
    """

    frame: pd.DataFrame
    name: str
    sha256: str
    rows_read: int
    dropped: tuple[Dropped, ...] = ()
    remarks: tuple[str, ...] = ()


def read_table(
    source: str | os.PathLike[str] | IO[str] | IO[bytes] | pd.DataFrame,
    *,
    mapping: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Table:
    """Read a table as it is, and add the columns that ``mapping`` asks for.

    Parameters
    ----------
    source : path, ``"-"``, stream or DataFrame
        CSV, TSV, Parquet or JSON lines by suffix, text also with ``.gz``. Another suffix, a stream
        and ``"-"`` (standard input) are looked into, and the separator is found in the header.
    mapping : dict of str to str, optional
        From the name needed to a column, with a factor if need be: ``{"tokens": "D_B*1e9"}``.
    name : str, optional
        Name of the data set; the file name without its suffix if not given.

    Returns
    -------
    Table
        Columns of ordinary numbers are numbers, all others text as in the file.

    Raises
    ------
    DataError
        If there is no such file, if it is not a table, or if the mapping names an unknown column.
    MissingExtra
        If a Parquet file is given and pyarrow is not installed.
    """
    if isinstance(source, pd.DataFrame):
        origin = dict(source.attrs.get("scalefit", {})).get("name")
        given = str(origin) if origin else "dataframe"
        frame, remarks = tidy_frame(source, "the DataFrame")
        sha256 = frame_digest(frame)
    else:
        data, label, given, kind = _load(source)
        frame, remarks = frame_from_bytes(data, label=label, kind=kind)
        sha256 = hashlib.sha256(data).hexdigest()
    title = name or given
    frame.attrs["scalefit"] = {**frame.attrs.get("scalefit", {}), "name": title}
    notes = list(remarks)
    if mapping:
        frame = map_columns(frame, mapping, notes)
    return Table(frame, title, sha256, rows_read=len(frame), remarks=tuple(notes))


def _load(source: str | os.PathLike[str] | IO[str] | IO[bytes]) -> tuple[bytes, str, str, str | None]:
    """Fetch the bytes of a source, with its label in messages, its name and its format if known."""
    if isinstance(source, str | os.PathLike) and os.fspath(source) != "-":
        path = Path(source).expanduser()
        stem = path.name.removesuffix(".gz").removesuffix(".GZ")
        return _file_bytes(path), f"'{path}'", Path(stem).stem or path.name, format_of(path)
    if isinstance(source, str | os.PathLike):
        stream: Any = getattr(sys.stdin, "buffer", sys.stdin)
        label, name = "the standard input", "stdin"
    elif hasattr(source, "read"):
        stream, label, name = source, "the stream", "stream"
    else:
        raise DataError(f"cannot read a table from a {type(source).__name__}. Need a path, '-' or a DataFrame.")
    try:
        content = stream.read()
    except UnicodeDecodeError as error:
        raise DataError(f"{label} cannot be decoded ({error}). Need text in UTF-8.") from None
    return content.encode() if isinstance(content, str) else bytes(content), label, name, None


def _file_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise DataError(f"'{path}' is a folder. Need a file: a table as CSV, TSV, JSON lines or Parquet.")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}. Check the name and permissions.") from None
    if "://" in str(path) or re.match(r"https?:/", str(path)):
        raise DataError(f"'{path}' is a web address. Download the file first and give its path.")
    if not path.parent.is_dir():
        raise DataError(f"there is no file '{path}', nor a folder '{path.parent}'. Check the path.")
    names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    tables = [entry for entry in names if format_of(Path(entry)) in FORMATS.values()] or names
    near = tables if len(tables) <= 12 else difflib.get_close_matches(path.name, tables, n=12, cutoff=0.3)
    raise DataError(f"there is no file '{path.name}' in '{path.parent}'; {closest(path.name, near)}")


def resolve(table: Table, *, numeric: Iterable[str], labels: Iterable[str] = (), derive: Iterable[str] = ()) -> Table:
    """Make sure that the needed columns exist, under the needed names and with the right type.

    A column that the table has under exactly the needed name is taken. Otherwise other spellings of
    params, tokens, loss, width, depth and flops are tried, with units in the header, and any other
    name in another case; each such guess is remarked.

    Parameters
    ----------
    table : Table
        From `read_table`.
    numeric : iterable of str
        Columns needed as float64. Missing cells become NaN.
    labels : iterable of str
        Columns needed as text. Missing cells become None. A name that is in ``numeric`` too stays
        a number.
    derive : iterable of str
        Columns that may be computed if they are missing: ``params`` as 12 depth width^2, ``flops``
        as 6 params tokens. Tokens are computed as flops / (6 params) without being asked for.

    Returns
    -------
    Table
        With all columns of the input, and the needed ones.

    Raises
    ------
    DataError
        For a missing column, two columns that fit one name, or a cell that is not a number.
    """
    remarks = list(table.remarks)
    frame = find_columns(table.frame, name=table.name, numeric=numeric, labels=labels, derive=derive, remarks=remarks)
    return replace(table, frame=frame, remarks=tuple(dict.fromkeys(remarks)))
