"""From bytes to a data frame: CSV and its cousins, JSON lines, Parquet.

Text is read strictly: every row has as many cells as the header, quotes are closed, bytes are UTF-8
(or UTF-16 with its mark). Columns of ordinary numbers become numbers, everything else stays the text
that it is in the file.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import math
import re
import zlib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalefit.errors import DataError, MissingExtra
from scalefit.quantities import is_missing, plain

__all__ = ["format_of", "frame_digest", "frame_from_bytes", "tidy_frame"]

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
FORMATS = {
    ".csv": ",", ".tsv": "\t", ".tab": "\t", ".parquet": "parquet", ".pq": "parquet",
    ".jsonl": "json", ".ndjson": "json", ".json": "json",
}  # fmt: skip

_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_TRUTH = {"true": True, "false": False}


def format_of(path: Path) -> str | None:
    """Tell the format from the suffix: a separator, ``"parquet"``, ``"json"``, or None to look inside."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def tidy_frame(frame: pd.DataFrame, label: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Copy a frame with text as column names and the row numbers 1, 2, ... as its index.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Any frame; it is not changed. A named index becomes a column.
    label : str
        What to call it in messages.

    Returns
    -------
    DataFrame, shape (n, p)
        The copy.
    tuple of str
        Remarks.

    Raises
    ------
    DataError
        If there are no rows, no columns, levels of columns or two columns of one name.
    """
    remarks: list[str] = []
    if frame.columns.nlevels > 1:
        raise DataError(f"{label} has {frame.columns.nlevels} levels of column names. Need one name per column.")
    names = [str(name) for name in frame.columns]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise DataError(f"{label} has two columns called {twice!r}. Rename one of them.")
    if len(names) == 0 or len(frame) == 0:
        raise DataError(f"{label} is empty. Need named columns and at least one row of values.")
    tidy = frame.set_axis(names, axis="columns").copy()
    for level, title in enumerate(frame.index.names):
        if title is not None and str(title) not in {*names, "row"}:
            tidy.insert(0, str(title), frame.index.get_level_values(level).to_numpy())
            remarks.append(f"The index {str(title)!r} of {label} is read as a column.")
    tidy.attrs = {}
    return _number_rows(tidy), tuple(remarks)


def _number_rows(frame: pd.DataFrame) -> pd.DataFrame:
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return frame


def frame_from_bytes(data: bytes, *, label: str, kind: str | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read the content of a file.

    Parameters
    ----------
    data : bytes
        The file as it is, compressed or not.
    label : str
        What to call the file in messages.
    kind : str or None
        The answer of `format_of`; None looks at the content.

    Returns
    -------
    DataFrame, shape (n, p)
        Indexed by row number, from 1. ``attrs["scalefit"]`` holds the separator and, where every row
        is one line, the distance from row number to line number.
    tuple of str
        Remarks.

    Raises
    ------
    DataError
        If the content is not a table.
    MissingExtra
        If a Parquet file is given and pyarrow is not installed.
    """
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{label} is a damaged gzip file ({error}). Compress it again.") from None
    if kind == "parquet" or (kind is None and data.startswith(b"PAR1")):
        return tidy_frame(_read_parquet(data, label), label)
    text = _decode(data, label)
    if not text.strip():
        raise DataError(f"{label} is empty. Need a header line and at least one row of values.")
    if kind == "json" or (kind is None and text.lstrip().startswith("{")):
        return _read_json(text, label), ()
    return _read_delimited(text, label, separator=kind)


def _decode(data: bytes, label: str) -> str:
    """Decode UTF-8 (with or without its mark) or UTF-16 with its mark."""
    if data.startswith(b"PK\x03\x04"):
        raise DataError(f"{label} looks like an Excel workbook or a zip file. Save the sheet as CSV.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding, name = "utf-16", "UTF-16"
    else:
        encoding, name = "utf-8-sig", "UTF-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{label} is not {name} text: byte {error.start} (line {line}) cannot be decoded. "
            f"Save the table as UTF-8, for example with: iconv -f latin1 -t utf-8 OLD > NEW"
        ) from None
    if "\0" in text:
        raise DataError(
            f"{label} holds zero bytes, so it is not plain text. Save the table as CSV in UTF-8 "
            f"(or as UTF-16 with a byte order mark)."
        )
    return text


def _read_parquet(data: bytes, label: str) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(data), engine="pyarrow")
    except ImportError:
        raise MissingExtra("reading Parquet", "report") from None
    except (OSError, ValueError) as error:  # pyarrow's own errors are children of these
        raise DataError(f"{label} is not a readable Parquet file ({error}). Write it again.") from None
    return frame


def _read_json(text: str, label: str) -> pd.DataFrame:
    """Read one JSON object per line."""
    records: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(io.StringIO(text), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_pairs_hook=partial(_unique, where=f"{label}, line {number}"))
        except json.JSONDecodeError as error:
            raise DataError(
                f"{label}, line {number} is not JSON ({error.msg} at character {error.colno}). "
                f'Need one object per line, such as {{"params": 1.3e9, "loss": 2.61}}.'
            ) from None
        if not isinstance(record, dict):
            raise DataError(
                f"{label}, line {number} holds a {type(record).__name__}, not an object. "
                f'Need one object per line, such as {{"params": 1.3e9, "loss": 2.61}}.'
            )
        records.append(record)
        lines.append(number)
    names = list(dict.fromkeys(key for record in records for key in record))
    if not names:
        raise DataError(f"{label} holds no values. Need objects with named values, one per line.")
    columns = {name: _typed_values([record.get(name) for record in records]) for name in names}
    frame = _number_rows(pd.DataFrame(columns))
    if lines == list(range(1, len(lines) + 1)):
        frame.attrs["scalefit"] = {"line_offset": 0}
    return frame


def _unique(pairs: Iterable[tuple[str, Any]], *, where: str) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for key, value in pairs:
        if key in record:
            raise DataError(f"{where} names {key!r} twice. Keep one of the two.")
        record[key] = value
    return record


def _typed_values(values: list[Any]) -> pd.Series[Any]:
    """Make a column of JSON values, as numbers if all of them are."""
    present = [value for value in values if value is not None]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in present):
        whole = len(present) == len(values) and all(isinstance(value, bool) for value in values)
        return pd.Series(values, dtype=bool if whole else object)
    if len(present) == len(values) and all(isinstance(v, int) and abs(v) < 2**63 for v in values):
        return pd.Series(values, dtype=np.int64)
    try:
        return pd.Series([math.nan if value is None else float(value) for value in values], dtype=np.float64)
    except OverflowError:
        return pd.Series(values, dtype=object)


def _read_delimited(text: str, label: str, *, separator: str | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read rows of cells; ``separator`` None takes the one that the header uses most."""
    remarks: list[str] = []
    first = next(line for line in io.StringIO(text, newline="") if line.strip())
    if separator is None:
        bare = re.sub(r'"[^"]*"', "", first)
        separator = max(SEPARATORS, key=bare.count)
        if separator != "," and separator in bare:
            remarks.append(f"The cells of {label} are taken to be separated by {SEPARATORS[separator]}.")
    header, rows, ends = _split(text, label, separator)
    if len(header) == 1:
        _check_separator(header[0], label, separator)
    names = _check_header(header, label, remarks)
    if not rows:
        raise DataError(f"{label} holds a header and nothing below it. Need at least one row of values.")
    cells = zip(*rows, strict=True)
    frame = _number_rows(pd.DataFrame({name: _typed_text(c) for name, c in zip(names, cells, strict=True)}))
    frame.attrs["scalefit"] = {"separator": separator}
    if ends == list(range(2, len(rows) + 2)):
        frame.attrs["scalefit"]["line_offset"] = 1
    return frame, tuple(remarks)


def _split(text: str, label: str, separator: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Cut the text into header, rows and the line on which each row ends."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    header: list[str] = []
    rows: list[list[str]] = []
    ends: list[int] = []
    try:
        for row in reader:
            if not any(cell.strip() for cell in row) and len(row) <= 1:
                continue  # a blank line
            if not header:
                header = row
                continue
            if len(row) != len(header):
                raise DataError(
                    f"{label}, line {reader.line_num} has {len(row)} cells, not {len(header)} as the header. "
                    f"Correct the line; put cells that hold the separator in double quotes."
                )
            rows.append(row)
            ends.append(reader.line_num)
    except csv.Error as error:
        raise DataError(
            f"{label}, line {reader.line_num} cannot be cut into cells ({error}). Check the double quotes on that line."
        ) from None
    return header, rows, ends


def _check_separator(header: str, label: str, separator: str) -> None:
    """Refuse a single column whose header shows another separator."""
    for other, words in SEPARATORS.items():
        if other != separator and other in header:
            raise DataError(
                f"{label} has one column only, {header!r}: it seems to be separated by {words}, "
                f"but its name asks for {SEPARATORS[separator]}. Save it with {SEPARATORS[separator]}, "
                f"or end its name in .txt, which finds the separator in the header."
            )


def _check_header(header: Sequence[str], label: str, remarks: list[str]) -> list[str]:
    """Clean the column names: strip spaces, name the nameless, refuse doubles and rows of numbers."""
    if all(_FLOAT.fullmatch(name.strip()) for name in header):
        raise DataError(f"{label} starts with numbers ({', '.join(header[:4])}). Need a first line with column names.")
    names: list[str] = []
    for place, given in enumerate(header, start=1):
        name = given.strip()
        if not name:
            name = f"unnamed_{place}"
            remarks.append(f"The header of column {place} is empty; the column is called {name!r}.")
        if name in names:
            raise DataError(
                f"{label} has two columns called {name!r} (columns {names.index(name) + 1} and {place}). "
                f"Rename one of them."
            )
        names.append(name)
    return names


def _typed_text(cells: Sequence[str]) -> pd.Series[Any]:
    """Make a column of text cells: whole numbers, numbers, true and false, or the text itself."""
    words = [cell.strip() for cell in cells]
    if all(_INTEGER.fullmatch(word) for word in words):
        whole = [int(word) for word in words]
        if all(abs(value) < 2**63 for value in whole):
            return pd.Series(whole, dtype=np.int64)
    numbers = _floats(words)
    if numbers is not None:
        return pd.Series(numbers, dtype=np.float64)
    if all(word.lower() in _TRUTH for word in words):
        return pd.Series([_TRUTH[word.lower()] for word in words], dtype=bool)
    return pd.Series([cell if cell.strip() else None for cell in cells], dtype=object)


def _floats(words: Sequence[str]) -> list[float] | None:
    """Read ordinary numbers and missing cells; None if there is anything else or no number at all."""
    values: list[float] = []
    found = False
    for word in words:
        if _FLOAT.fullmatch(word):
            value, found = float(word), True
            if math.isinf(value):
                return None  # too large: left as text, so that the message can quote it
            values.append(value)
        elif _INFINITE.fullmatch(word):
            values.append(float(word))
        elif is_missing(word):
            values.append(math.nan)
        else:
            return None
    return values if found else None


def frame_digest(frame: pd.DataFrame) -> str:
    """Compute the SHA-256 of a frame in a canonical form.

    The form depends on column names, their order and the cells only: an integer 1 and a float 1.0 are
    the same, as are all kinds of missing cells; the index does not count.
    """
    digest = hashlib.sha256(repr([str(name) for name in frame.columns]).encode())
    columns = [[_canonical(value) for value in frame[name].astype(object)] for name in frame.columns]
    for row in zip(*columns, strict=True):
        digest.update(repr(row).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _canonical(value: object) -> str:
    if is_missing(value) and not isinstance(value, str):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer) and abs(int(value)) > 2**53:
        return str(int(value))
    if isinstance(value, int | float | np.integer | np.floating):
        return plain(float(value))
    return str(value)
