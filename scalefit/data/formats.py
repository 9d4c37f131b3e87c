"""From bytes to a data frame: CSV and its cousins, JSON, Parquet.

Text is read strictly: every row has as many cells as the header, quotes are closed, bytes are UTF-8
(or UTF-16 with its mark). Cells stay the text that they are in the file, since a column is numbers or labels
by what it is used for: `1.10`, `001` and an identifier of 19 digits are labels as they are written. `typed_frame`
makes numbers of the columns that look like numbers, for whoever reads a table to look at it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalefit.data.nested import NEED, Written, flat_record, kind_of, records_of
from scalefit.data.quantities import as_numbers, is_missing
from scalefit.errors import DataError, MissingExtra
from scalefit.numbers import exact

__all__ = [
    "FORMATS",
    "MAX_SIZE_VARIABLE",
    "decode",
    "format_of",
    "frame_digest",
    "frame_from_bytes",
    "tidy_frame",
    "too_large",
    "typed_frame",
]

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
FORMATS = {
    ".csv": ",", ".tsv": "\t", ".tab": "\t", ".parquet": "parquet", ".pq": "parquet",
    ".jsonl": "json", ".ndjson": "json", ".json": "json", ".xlsx": "excel", ".xlsm": "excel",
}  # fmt: skip

SAVED_FIT = "fit.json"  # the member of a saved fit's archive by which it is known
EXACT = 2**53  # whole numbers up to here are exact as floating-point numbers
COMMENT = "#"
DEEPEST_TITLE = 10  # lines at the top of a file among which a title and the header are looked for
MAX_SIZE_VARIABLE = "SCALEFIT_MAX_SIZE"

_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,18})")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?")
_RULE = re.compile(r"\|?[\s:|]*-{2,}[\s:|-]*\|?")  # below the header of a table of Markdown
_WITH_COMMA = re.compile(r"[0-9.eE+-]*[0-9][0-9.eE+-]*,[0-9,.eE+-]*|,[0-9,.eE+-]*[0-9][0-9,.eE+-]*")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
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
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise DataError(f"{label} has two columns called {twice!r}. Rename one of them.")
    for name in names:
        _check_text(name, f"a column of {label}")
    if len(names) == 0 or len(frame) == 0:
        raise DataError(f"{label} is empty. Need named columns and at least one row of values.")
    tidy = frame.set_axis(names, axis="columns").copy()
    for level, title in enumerate(frame.index.names):
        if title is not None and str(title) not in {*names, "row"}:
            tidy.insert(0, str(title), frame.index.get_level_values(level).to_numpy())
            remarks.append(f"The index {str(title)!r} of {label} is read as a column.")
    for name in tidy.columns:
        given = tidy[name]
        plain = _plain_column(given)
        if plain is not given:
            tidy[name] = plain
    tidy.attrs = {}
    return _number_rows(tidy), tuple(remarks)


def _plain_column(column: pd.Series[Any]) -> pd.Series[Any]:
    """Bring a column of one of pandas' own kinds, or one that holds lists, to numbers or objects that can be stored."""
    if isinstance(column.dtype, np.dtype):
        if column.dtype != object or {type(cell) for cell in column.tolist()} <= _SCALARS:
            return column
        cells = [str(cell) if isinstance(cell, list | tuple | dict | set | np.ndarray) else cell for cell in column]
        return pd.Series(cells, index=column.index, dtype=object, name=column.name)
    kind = column.dtype.kind
    if kind in "biuf" and not column.isna().any():
        return column.astype({"b": bool, "f": np.float64}.get(kind, np.int64 if kind == "i" else np.uint64))
    if kind == "f" or (kind in "iu" and _exact(column)):
        return pd.Series(column.to_numpy(np.float64, na_value=np.nan), index=column.index, name=column.name)
    if kind == "M":
        return column
    cells = [None if cell is pd.NA or cell is pd.NaT else cell for cell in column.astype(object)]
    return pd.Series(cells, index=column.index, dtype=object, name=column.name)


_SCALARS = {str, int, float, bool, type(None)}


def _check_text(text: str, what: str) -> None:
    """Refuse halves of surrogate pairs, which no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"the name of {what}, {text!r}, is not valid Unicode text. Rename it.") from None


def _text_frame(names: Sequence[str], columns: Sequence[Sequence[str | None]]) -> pd.DataFrame:
    """Make a frame of text: as one block, which is fast for tables of very many columns too."""
    cells = np.empty((len(columns[0]), len(names)), dtype=object, order="F")
    for place, column in enumerate(columns):
        cells[:, place] = column
    return _number_rows(pd.DataFrame(cells, columns=list(names), dtype=object))


def _number_rows(frame: pd.DataFrame) -> pd.DataFrame:
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return frame


def frame_from_bytes(data: bytes, *, label: str, kind: str | None, limit: int) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read the content of a file.

    Parameters
    ----------
    data : bytes
        Uncompressed.
    label : str
        What to call the file in messages.
    kind : str or None
        The answer of `format_of`; None looks at the content.
    limit : int
        Most bytes that a Parquet file may hold once it is unpacked.

    Returns
    -------
    DataFrame, shape (n, p)
        Indexed by row number, from 1; of text, but for Parquet, which has types. A cell of spaces or nothing is None.
        ``attrs["scalefit"]`` holds the separator and, where every row is one line, the distance from row number to
        line number.
    tuple of str
        Remarks.

    Raises
    ------
    DataError
        If the content is not a table.
    MissingExtra
        If a Parquet file is given and pyarrow is not installed.
    """
    if kind == "parquet" or (kind is None and data.startswith(b"PAR1")):
        return tidy_frame(_read_parquet(data, label, limit), label)
    if kind == "excel":
        return _read_excel(data, label)
    text = decode(data, label)
    start = text.lstrip()[:2]
    if not start:
        raise DataError(f"{label} is empty. Need a header line and at least one row of values.")
    if kind == "json" or (kind is None and (start[0] == "{" or re.match(r"\s*\[\s*\{", text))):
        try:
            return _read_json(text, label)
        except RecursionError:
            raise DataError(
                f"{label} is nested too deeply. Need records with values, not with further levels."
            ) from None
    return _read_delimited(text, label, separator=kind)


def decode(data: bytes, label: str) -> str:
    """Decode UTF-8 (with or without its mark) or UTF-16 with its mark.

    Raises
    ------
    DataError
        For anything else, saying what it seems to be.
    """
    if data.startswith(b"PK\x03\x04"):
        if is_saved_fit(data):
            raise DataError(
                f"{label} is a saved fit, and a table is needed here. Give the table that it was fitted to, or ask the "
                "fit: scalefit show, predict, optimum and compare take saved fits."
            )
        raise DataError(
            f"{label} looks like an Excel workbook or a zip file. End its name in .xlsx if it is a workbook, or save "
            "the sheet as CSV."
        )
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


def is_saved_fit(data: bytes) -> bool:
    """Tell whether bytes are those of a file that ``scalefit fit --out`` wrote."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return SAVED_FIT in archive.namelist()
    except zipfile.BadZipFile:
        return False


def _read_parquet(data: bytes, label: str, limit: int) -> pd.DataFrame:
    try:
        from pyarrow import parquet  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtra("reading Parquet", "report") from None
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        unpacked = max(
            sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups)),
            8 * file.metadata.num_rows * file.metadata.num_columns,
        )
        if unpacked > limit:
            raise DataError(too_large(label, limit))
        frame: pd.DataFrame = file.read().to_pandas(
            integer_object_nulls=True
        )  # as floats, identifiers would lose digits
    except (OSError, ValueError, NotImplementedError) as error:  # pyarrow's own errors are children of these
        raise DataError(f"{label} is not a readable Parquet file ({error}). Write it again.") from None
    for name in frame.columns if frame.columns.is_unique else ():
        cells = frame[name].tolist() if frame[name].dtype == object else [""]
        whole = [cell for cell in cells if type(cell) is int]
        if whole and len(whole) + cells.count(None) == len(cells) and max(map(abs, whole)) <= EXACT:
            frame[name] = frame[name].astype(np.float64)
    return frame


def _read_excel(data: bytes, label: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read the first sheet of a workbook that is not empty; the others are named."""
    if find_spec("openpyxl") is None:  # what pandas reads workbooks with
        raise MissingExtra(f"{label} is an Excel workbook; save the sheet as CSV, or read it, which", "excel")
    try:
        sheets = pd.read_excel(io.BytesIO(data), sheet_name=None, dtype=object, engine="openpyxl")
    except Exception as error:  # whatever the library raises for a damaged file
        raise DataError(f"{label} is not a readable Excel workbook ({error}). Save the sheet as CSV.") from None
    filled = {name: sheet for name, sheet in sheets.items() if len(sheet)}
    if not filled:
        raise DataError(f"{label} has no sheet with rows. Need a header line and at least one row of values.")
    (name, sheet), *others = filled.items()
    header_row, remarks = 1, list[str]()
    unnamed = [str(column) for column in sheet.columns if str(column).startswith("Unnamed: ")]
    if 2 * len(unnamed) > len(sheet.columns):
        top = int((sheet.notna().sum(axis=1) > 1).to_numpy().argmax())
        names = sheet.iloc[top].tolist()
        if top + 1 < len(sheet) and all(isinstance(name, str) for name in names):
            title = next(str(column) for column in sheet.columns if str(column) not in unnamed)
            remarks.append(f"The title of the sheet {name!r}, {title!r}, is left out.")
            sheet, unnamed, header_row = sheet.iloc[top + 1 :].set_axis(names, axis="columns"), [], top + 2
    if 2 * len(unnamed) > len(sheet.columns):
        raise DataError(
            f"the sheet {name!r} of {label} has {exact(len(unnamed))} columns without a name in its first row, which "
            "may be a title. Need the names of the columns in the first row, and the values below."
        )
    frame, more = tidy_frame(sheet, label)
    frame.attrs["scalefit"] = {"line_offset": header_row}
    remarks += more
    if others:
        left = ", ".join(repr(other) for other, _ in others)
        remarks.append(f"The sheet {name!r} of {label} is read, and not {left}.")
    return frame, tuple(remarks)


def too_large(label: str, limit: int) -> str:
    """Say that a table is larger than the limit, and how to raise it."""
    return (
        f"{label} is larger than {exact(limit / 1e6)} MB, the most that is read of a table (after unpacking). If "
        f"that is meant, and the memory suffices for ten times its size, allow more: {MAX_SIZE_VARIABLE}=4GB in the "
        'environment, or max_size="4GB" in Python.'
    )


def _read_json(text: str, label: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read one JSON object per line, a list of objects, or one object with records in it."""
    lines: list[int] = []
    place = [label]  # where in the file the decoder is

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) < len(pairs):
            twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            raise DataError(f"{place[0]} names {twice!r} twice. Keep one of the two.")
        return record

    decoder = json.JSONDecoder(object_pairs_hook=unique, parse_int=Written, parse_float=Written, parse_constant=Written)
    remarks: list[str] = []
    if text.lstrip().startswith("[") or _is_whole(decoder, text):
        try:
            given = decoder.decode(text.strip())
        except json.JSONDecodeError as error:
            raise DataError(
                f"{label}, line {error.lineno} is not JSON ({error.msg} at character {error.colno}). {NEED}"
            ) from None
        records, remarks = records_of(given, label)
    else:
        records = []
        for number, line in enumerate(io.StringIO(text), start=1):
            if line.strip():
                place[0] = f"{label}, line {number}"
                records.append(_json_line(decoder, line, place[0]))
                lines.append(number)
        if len(records) == 1:
            records, remarks = records_of(records[0], label)
            lines = lines if len(records) == 1 else []
    named = [f"{label}, line {lines[i]}" if lines else f"{label}: record {i + 1}" for i in range(len(records))]
    records = [flat_record(record, where) for record, where in zip(records, named, strict=True)]
    names = list(dict.fromkeys(key for record in records for key in record))
    if not names:
        raise DataError(f"{label} holds no values. Need objects with named values. {NEED}")
    for name in names:
        _check_text(name, f"a column of {label}")
    frame = _text_frame(names, [[_json_text(record.get(name), inside=False) for record in records] for name in names])
    if lines and lines == list(range(1, len(lines) + 1)):
        frame.attrs["scalefit"] = {"line_offset": 0}
    return frame, tuple(remarks)


def _is_whole(decoder: json.JSONDecoder, text: str) -> bool:
    """Tell whether several lines of text are one JSON value."""
    first, _, rest = text.strip().partition("\n")
    if not rest or first.rstrip().endswith("}"):
        return False
    try:
        decoder.decode(text)
    except json.JSONDecodeError:
        return False
    return True


def _json_line(decoder: json.JSONDecoder, line: str, place: str) -> dict[str, Any]:
    try:
        record = decoder.decode(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{place} is not JSON ({error.msg} at character {error.colno}). {NEED}") from None
    if not isinstance(record, dict):
        raise DataError(f"{place} holds {kind_of(record)}, not an object. {NEED}")
    return record


def _json_text(value: Any, *, inside: bool) -> str | None:
    """Write a value as text: numbers as they are written, lists and objects as JSON."""
    if value is None:
        return "null" if inside else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Written):
        return str(value)
    if isinstance(value, str):
        text = value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return json.dumps(text, ensure_ascii=False) if inside else text
    if isinstance(value, dict):
        pairs = (f"{_json_text(key, inside=True)}: {_json_text(item, inside=True)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(str(_json_text(item, inside=True)) for item in value) + "]"


def _read_delimited(text: str, label: str, *, separator: str | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read rows of cells; ``separator`` None takes the one that the header uses most."""
    remarks: list[str] = []
    text, skipped = _without_comments(text, label, remarks)
    text, above = _without_title(text, label, remarks)
    if separator is None:
        text, ruled, separator = _bare_table(text, label, remarks)
        above += ruled
    skipped += above
    lines = (line for line in io.StringIO(text, newline="") if line.strip())
    first, second = next(lines), next(lines, "")
    if separator is None:
        separator = max(SEPARATORS, key=_unquoted(first).count)
        if separator != "," and separator in _unquoted(first):
            remarks.append(f"The cells of {label} are taken to be separated by {SEPARATORS[separator]}.")
    cut = _used_separator(first, second, separator)
    header, cells, ends = _split_plain(text, cut, skipped) or _split(text, label, cut, skipped)
    decimal = _decimal_columns(cells) if cut == ";" and "," in text else ()
    if cut == separator:
        _check_separator(first, label, separator)
    elif decimal is None:
        _refuse_commas(cells, label)
    elif not decimal:
        remarks.append(
            f"The cells of {label} are separated by {SEPARATORS[cut]}, though its name asks for "
            f"{SEPARATORS[separator]}."
        )
    separator = cut
    header, cells, decimal = _without_repeats(header, cells, decimal or (), remarks)
    names = _check_header(header, label, remarks)
    for place in decimal:
        cells[place] = [cell and cell.replace(",", ".") for cell in cells[place]]
    if decimal:
        which = ", ".join(repr(names[place]) for place in decimal)
        remarks.append(f"The cells of {label} are separated by semicolons, and commas in {which} are decimal commas.")
    if not len(ends):
        raise DataError(f"{label} holds a header and nothing below it. Need at least one row of values.")
    frame = _text_frame(names, cells)
    frame.attrs["scalefit"] = {"separator": separator}
    if ends[-1] - ends[0] == len(ends) - 1:  # a row a line; lines only grow
        frame.attrs["scalefit"]["line_offset"] = ends[0] - 1
    return frame, tuple(remarks)


_Cells = tuple[list[str], list[list[str | None]], Sequence[int]]
"""Header, cells by column, and the line on which each row ends."""


def _unquoted(line: str) -> str:
    return re.sub(r'"[^"]*"', "", line)


def _used_separator(first: str, second: str, named: str) -> str:
    """Find the sign that separates the cells: the one that the name asks for, unless the lines speak for another.

    That other sign must be in the header and equally often in the line below it, and the sign of the name must not.
    """
    header, below = _unquoted(first), _unquoted(second)
    if named in header and header.count(named) == below.count(named):
        return named
    other = max((sign for sign in SEPARATORS if sign != named), key=header.count)
    return other if 0 < header.count(other) == below.count(other) else named


def _decimal_columns(cells: list[list[str | None]]) -> tuple[int, ...] | None:
    """Find the columns of numbers with decimal commas; None where commas in numbers can be read in another way.

    No number may have a point or two commas, and one comma at least cannot group thousands (``5,8975``, ``0,321``).
    """
    found, decided, other = [], False, False
    for place, column in enumerate(cells):
        numbers = [cell.strip() for cell in column if cell and any(map(str.isdigit, cell))]
        commas = [cell for cell in numbers if "," in cell]
        other = other or any("." in cell and _FLOAT.fullmatch(cell) for cell in numbers)
        if not commas or any(re.search("[^0-9,.eE+-]", cell) for cell in numbers):
            continue  # without commas, or text
        found.append(place)
        other = other or not all(_DECIMAL_COMMA.fullmatch(cell) for cell in commas)
        decided = decided or any(not _THOUSANDS.fullmatch(cell) for cell in commas)
    return None if found and (other or not decided) else tuple(found)


def _split_plain(text: str, separator: str, skipped: int) -> _Cells | None:
    """Cut text without quotes, blank lines and spaces around cells, as most large tables are; None for other text.

    Without a list for every row, which the collector of garbage would look at again and again, a million rows are
    read in a third of the time.
    """
    text = text.replace("\r\n", "\n").removesuffix("\n")
    odd = ('"', "\r", "\n\n", f"{separator} ", f" {separator}", "\n ", " \n", "" if separator == "\t" else "\t")
    if text.startswith(("\n", " ")) or any(mark and mark in text for mark in odd):
        return None
    lines = text.split("\n")
    width = lines[0].count(separator)
    if width == 0 or any(line.count(separator) != width for line in lines):
        return None
    flat = text.replace("\n", separator).split(separator)
    start = width + 1
    columns: list[list[str | None]] = [flat[place + start :: start] for place in range(start)]  # type: ignore[misc]
    if any(mark in text for mark in (separator * 2, f"{separator}\n", f"\n{separator}")) or text.endswith(separator):
        columns = [[cell or None for cell in column] for column in columns]
    return flat[:start], columns, range(2 + skipped, len(lines) + 1 + skipped)


def _without_comments(text: str, label: str, remarks: list[str]) -> tuple[str, int]:
    """Take lines that start with ``#`` off the top, unless the last of them is the header (``#params,loss``)."""
    if not text.lstrip().startswith(COMMENT):
        return text, 0
    lines = text.splitlines(keepends=True)
    top = next((place for place, line in enumerate(lines) if line.strip() and line[0] != COMMENT), len(lines))
    if top == 0 or not any(line[0] == COMMENT for line in lines[:top]):
        return text, 0
    if top == len(lines):
        raise DataError(f"{label} holds only lines that start with {COMMENT}. Need a header line and rows of values.")
    last = max(place for place in range(top) if lines[place][0] == COMMENT)
    above, cells = (re.split(r"[,;\t|]", re.sub('"[^"]*"', "quoted", lines[place])) for place in (last, top))
    same = len(above) == len(cells) > 1
    start = last if same and any(_FLOAT.fullmatch(cell.strip()) for cell in cells) else top
    count = sum(line[0] == COMMENT for line in lines[:start])
    if count:
        which = "The first line" if count == 1 else f"{exact(count)} lines at the top"
        remarks.append(f"{which} of {label} with {COMMENT} at the start {'is' if count == 1 else 'are'} left out.")
    return "".join(lines[start:]), start


def _without_title(text: str, label: str, remarks: list[str]) -> tuple[str, int]:
    """Take a title off the top: lines of one cell, above a header with as many cells as the row below it.

    Nothing is taken off where a cell of that header is a number, or where the row below has no digit.
    """
    head = list(islice(io.StringIO(text, newline=""), DEEPEST_TITLE))
    cells = [[cell.strip(' "\r\n') for cell in re.split(r"[,;\t|]", line)] for line in head]
    top = next((place for place, row in enumerate(cells) if sum(map(bool, row)) > 1), 0)
    title = next(("".join(row) for row in cells[:top] if any(row)), "")
    if not title or top + 1 >= len(head) or len(cells[top]) != len(cells[top + 1]):
        return text, 0
    if any(map(_FLOAT.fullmatch, cells[top])) or not any(map(str.isdigit, head[top + 1])):
        return text, 0
    remarks.append(f"The title of {label}, {title!r}, is left out; line {exact(top + 1)} is read as the header.")
    return text[sum(map(len, head[:top])) :], top


def _bare_table(text: str, label: str, remarks: list[str]) -> tuple[str, int, str | None]:
    """Rewrite a table of Markdown, or one whose columns are aligned by spaces.

    Returns text, how many lines it lost, and the sign that separates the cells; None where it is to be found.
    """
    first, second = (*islice((line for line in io.StringIO(text) if line.strip()), 2), "")[:2]
    if first.lstrip().startswith("|") and _RULE.fullmatch(second.strip()):
        lines = [line.strip() for line in text.splitlines()]
        lines.remove(second.strip())
        return "\n".join(line.removeprefix("|").removesuffix("|") for line in lines), 1, None
    width = len(first.split())
    if width < 2 or any(sign in first for sign in (*SEPARATORS, '"')) or not any(map(str.isdigit, second)):
        return text, 0, None
    rows = [line.split() for line in text.splitlines()]
    if any(row and len(row) != width for row in rows):
        return text, 0, None
    remarks.append(f"The cells of {label} are taken to be separated by spaces.")
    return "\n".join(map("\t".join, rows)), 0, "\t"


def _without_repeats(
    header: list[str], cells: list[list[str | None]], decimal: tuple[int, ...], remarks: list[str]
) -> tuple[list[str], list[list[str | None]], tuple[int, ...]]:
    """Leave out columns that repeat an earlier one, header and cells; others of one name are refused later."""
    first = {name.strip(): place for place, name in reversed(list(enumerate(header)))}
    kept = [
        place for place, name in enumerate(header)
        if first[name.strip()] == place or not name.strip() or cells[place] != cells[first[name.strip()]]
    ]  # fmt: skip
    for place in sorted(set(range(len(header))) - set(kept)):
        remarks.append(f"Column {exact(place + 1)} repeats {header[place].strip()!r} cell for cell and is left out.")
    now = {place: at for at, place in enumerate(kept)}
    return [header[i] for i in kept], [cells[i] for i in kept], tuple(now[i] for i in decimal if i in now)


def _split(text: str, label: str, separator: str, skipped: int) -> _Cells:
    """Cut any text into cells; ``skipped`` lines stand above it."""
    stream = io.StringIO(text, newline="")
    reader = csv.reader(stream, delimiter=separator, strict=True, skipinitialspace=True)
    try:
        pairs = [(row, reader.line_num + skipped) for row in reader if len(row) > 1 or any(map(str.strip, row))]
    except csv.Error as error:
        raise DataError(
            f"{label}, line {reader.line_num + skipped} cannot be cut into cells ({error}). "
            "Check the double quotes on that line."
        ) from None
    (header, _), *below = pairs
    rows, ends = [row for row, _ in below], [line for _, line in below]
    wrong = next((place for place, row in enumerate(rows) if len(row) != len(header)), None)
    if wrong is not None:
        row = rows[wrong]
        remedy = (
            f"Lines with {COMMENT} may stand above the header only; take this one out."
            if row and row[0].startswith(COMMENT)
            else "Correct the line; put cells that hold the separator in double quotes."
        )
        raise DataError(f"{label}, line {ends[wrong]} has {len(row)} cells, not {len(header)} as the header. {remedy}")
    columns = zip(*rows, strict=True) if rows else ([] for _ in header)
    return header, [[cell if cell.strip() else None for cell in column] for column in columns], ends


def _refuse_commas(cells: list[list[str | None]], label: str) -> NoReturn:
    """Refuse cells separated by semicolons whose numbers have commas that may be read in two ways."""
    comma = next(cell for column in cells for cell in column if cell and _WITH_COMMA.fullmatch(cell.strip()))
    raise DataError(
        f"{label} is separated by semicolons, and the commas in its numbers ({comma.strip()}) may be decimal commas or "
        "group thousands: other numbers have points, or three digits follow every comma. Write numbers with decimal "
        "points and without other commas; if all commas are decimal, for example with: sed 's/,/./g; s/;/,/g' OLD > NEW"
    )


def _check_separator(first: str, label: str, separator: str) -> None:
    """Refuse a single column whose header shows another separator; a quoted header may hold any sign."""
    header = first.strip()
    if separator in _unquoted(header):
        return
    for other, words in SEPARATORS.items():
        if other not in _unquoted(header):
            continue
        raise DataError(
            f"{label} has one column only, {header!r}: it seems to be separated by {words}, "
            f"but its name asks for {SEPARATORS[separator]}. Save it with {SEPARATORS[separator]}, "
            f"or end its name in .txt, which finds the separator in the header."
        )


def _check_header(header: Sequence[str], label: str, remarks: list[str]) -> list[str]:
    """Clean the column names: strip spaces, name the nameless, refuse doubles and rows of numbers."""
    if all(_FLOAT.fullmatch(name.strip()) for name in header):
        raise DataError(f"{label} starts with numbers ({', '.join(header[:4])}). Need a first line with column names.")
    places: dict[str, int] = {}
    for place, given in enumerate(header, start=1):
        name = given.strip()
        if not name:
            name = f"unnamed_{place}"
            remarks.append(f"The header of column {place} is empty; the column is called {name!r}.")
        earlier = places.setdefault(name, place)
        if earlier != place:
            raise DataError(
                f"{label} has two columns called {name!r} (columns {earlier} and {place}). Rename one of them."
            )
    return list(places)


def typed_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Make numbers of the columns that hold ordinary numbers, and truth values of those that hold true and false.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Columns of text as they come from a file; columns of other types stay.

    Returns
    -------
    DataFrame, shape (n, p)
        Whole numbers without gaps are int64, other numbers float64 with NaN for gaps. Whole numbers that a float
        cannot hold, next to a gap or a fraction, stay text, as do columns in which two texts are one number, and all
        else.
    """
    typed = pd.DataFrame({name: _typed_column(frame[name]) for name in frame.columns}, index=frame.index)
    typed.attrs = dict(frame.attrs)
    return typed


def _typed_column(column: pd.Series[Any]) -> pd.Series[Any]:
    if column.dtype != object or not all(isinstance(cell, str | None) for cell in column.tolist()):
        return column
    words = [cell.strip() if cell else "" for cell in column.tolist()]
    values = as_numbers(column)
    if values is None:
        if all(word.lower() in _TRUTH for word in words):
            return pd.Series([_TRUTH[word.lower()] for word in words], index=column.index, dtype=bool)
        return column
    if all(_INTEGER.fullmatch(word) for word in words):
        whole = [int(word) for word in words]
        if all(abs(value) < 2**63 for value in whole):
            return pd.Series(whole, index=column.index, dtype=np.int64)
    given = {word for word in words if not is_missing(word)}
    if len(given) > len(np.unique(values[~np.isnan(values)])):
        return column  # 1.1 and 1.10: as labels they are two
    for place in np.flatnonzero(np.isfinite(values) & (np.abs(values) > EXACT)):
        if _WHOLE.fullmatch(words[place]) and int(words[place]) != values[place]:
            return column
    return pd.Series(values, index=column.index)


def frame_digest(frame: pd.DataFrame) -> str:
    """Compute the SHA-256 of a frame in a canonical form.

    The form depends on column names, their order and the cells only: an integer 1 and a float 1.0 are
    the same, as are all kinds of missing cells; the index does not count. Text "1" and the number 1 differ.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Any cells; what is no number, truth value or text counts by its `str`.

    Returns
    -------
    str
        Hexadecimal.
    """
    digest = hashlib.sha256(
        f"{exact(len(frame))} {[str(name) for name in frame.columns]!r}".encode("utf-8", "surrogatepass")
    )
    for name in frame.columns:
        kind, content = _column_bytes(frame[name])
        digest.update(f"{kind} {exact(len(content))} ".encode())
        digest.update(content)
    return digest.hexdigest()


def _column_bytes(column: pd.Series[Any]) -> tuple[str, bytes]:
    """Write the cells of a column as bytes: truth values, numbers as float64, or texts with their lengths."""
    if pd.api.types.is_bool_dtype(column.dtype) and not column.isna().any():
        return "truth", column.to_numpy(bool).tobytes()
    numeric = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
    if numeric and column.dtype.kind in "iuf" and (column.dtype.kind == "f" or _exact(column)):
        return "numbers", _float_bytes(column.to_numpy(np.float64, na_value=np.nan))
    cells = [None if is_missing(cell) and not isinstance(cell, str) else cell for cell in column.astype(object)]
    cells = [cell.item() if isinstance(cell, np.generic) else cell for cell in cells]
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {bool} and None not in cells:
        return "truth", np.array(cells, bool).tobytes()
    if kinds <= {int, float} and all(abs(cell) <= EXACT for cell in cells if isinstance(cell, int)):
        return "numbers", _float_bytes(np.array([np.nan if cell is None else cell for cell in cells], np.float64))
    if kinds == {str}:
        texts = ["" if cell is None else cell for cell in cells]
    else:
        texts = ["" if cell is None else f"{_tag(cell)} {cell}" for cell in cells]
    lengths = np.array([-1 if cell is None else len(text) for cell, text in zip(cells, texts, strict=True)], np.int64)
    word = "texts" if kinds == {str} else "mixed"
    return word, lengths.astype("<i8").tobytes() + "".join(texts).encode("utf-8", "surrogatepass")


def _exact(column: pd.Series[Any]) -> bool:
    """Tell whether whole numbers are exact as floats."""
    return bool(column.isna().all() or (column.max() <= EXACT and column.min() >= -EXACT))


def _float_bytes(values: npt.NDArray[np.float64]) -> bytes:
    """Write floats little-endian, every kind of NaN as one."""
    return np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes()


def _tag(cell: object) -> str:
    """Tell text from numbers and truth values that print alike."""
    return "text" if isinstance(cell, str) else "truth" if isinstance(cell, bool | np.bool_) else "other"
