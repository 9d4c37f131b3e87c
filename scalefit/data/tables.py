"""Read a user's table: files, streams and data frames, column mapping, names, units, derived columns.

`read_table` brings a table in as it is; `resolve` makes sure that the columns which a law needs are
there as float64 numbers or as text. Whatever is guessed on the way is listed in ``Table.remarks``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd

from scalefit.data.choice import RowChoice
from scalefit.data.columns import find_columns, map_columns, parse_mapping
from scalefit.data.datasets import dataset_names, load_dataset
from scalefit.data.formats import frame_digest, frame_from_bytes, tidy_frame, too_large, typed_frame
from scalefit.data.many import FilePart, NameFields, files_of, short_name, stacked
from scalefit.data.sources import dataset_of, is_folder, locate, read_content, shown_path, size_limit
from scalefit.data.wide import long_frame
from scalefit.errors import DataError
from scalefit.numbers import exact

__all__ = ["Dropped", "Origin", "Table", "parse_mapping", "read_table", "resolve"]

Origin = str | os.PathLike[str] | IO[str] | IO[bytes] | pd.DataFrame
"""What one table can be read from."""


@dataclass(frozen=True)
class Dropped:
    """Rows that a rule took out of a table.

    Parameters
    ----------
    kind : str
        The kind of rule: ``where``, ``drop_invalid``, ``weights``, ``reduce`` or ``drop_highest_loss``.
    rows : int
        How many rows it took.
    reason : str
        Why, in words.
    setting : str
        What the user gave to the rule, such as the condition ``"loss < 8"`` or ``"40, ties=drop"``; empty for a rule
        that is only switched on.
    """

    kind: str
    rows: int
    reason: str
    setting: str = ""

    @property
    def rule(self) -> str:
        """The rule as an option: ``drop_highest_loss=40, ties=drop``."""
        return f"{self.kind}={self.setting}" if self.setting else self.kind

    @property
    def words(self) -> str:
        """What the rule did, as a phrase: ``kept rows where loss < 8; 2 dropped``."""
        if self.kind == "where":
            return f"kept rows where {self.setting}; {exact(self.rows)} dropped"
        if self.kind == "reduce":
            return self.reason  # which counts groups and rows
        if self.kind == "drop_invalid":
            return f"{exact(self.rows)} dropped by {self.rule} ({self.reason})"
        return f"{exact(self.rows)} dropped by {self.rule}"


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
    choice : RowChoice, optional
        The rows from which those of the frame were chosen, one for each group.
    """

    frame: pd.DataFrame
    name: str
    sha256: str
    rows_read: int
    dropped: tuple[Dropped, ...] = ()
    remarks: tuple[str, ...] = ()
    choice: RowChoice | None = None


def read_table(
    source: Origin | Sequence[Origin],
    *,
    name_fields: str | None = None,
    wide: bool = False,
    mapping: Mapping[str, str] | None = None,
    name: str | None = None,
    typed: bool = True,
    max_size: int | str | None = None,
) -> Table:
    r"""Read a table as it is, and add the columns that ``mapping`` asks for.

    Parameters
    ----------
    source : str, path, stream or DataFrame, or a list of them
        A file: CSV, TSV, Parquet, Excel, JSON lines or JSON with records in it by suffix, text also with ``.gz``;
        another suffix, a stream and ``"-"`` (standard input) are looked into, and the separator is found in the header.
        The folder of a toy sweep: its models that did not fail. A folder of tables, a pattern such as ``"runs/*.csv"``
        or a list: all of them, one below the other, with the file of each row in a column ``source``. Or a shipped
        data set, ``"chinchilla"``; where a file is called so too, write ``"./chinchilla"`` or ``"dataset:chinchilla"``.
    name_fields : str, optional
        Fields in the names of files, such as ``"{size}-{ratio}xC.csv"``, which become columns.
    wide : bool
        Make columns called ``run - metric`` long, as Weights & Biases exports them.
    mapping : dict of str to str, optional
        From the name needed to a column, with a factor if need be: ``{"tokens": "D_B*1e9"}``.
    name : str, optional
        Name of the data set; the file name without its suffix if not given.
    typed : bool
        Turn columns of ordinary numbers into numbers, and columns of true and false into truth values; a column in
        which two texts are one number (``1.1`` and ``1.10``) stays text. False keeps every cell as it is written in a
        text file: the fits read tables like this, since only the use of a column tells numbers from labels. Shipped
        sets, Parquet and DataFrames bring types of their own.
    max_size : int or str, optional
        Most bytes to read, after unpacking, such as ``"4GB"``; 200 MB without it, or what the environment variable
        ``SCALEFIT_MAX_SIZE`` says.

    Returns
    -------
    Table
        With row numbers from 1.

    Raises
    ------
    DataError
        If there is no such file, if it is not a table or too large, or if the mapping names an unknown column.
    MissingExtra
        If a Parquet file is given and pyarrow is not installed.

    Examples
    --------
    >>> import io
    >>> table = read_table(io.StringIO("run,params,loss\n001,1.3B,2.50\n"))
    >>> table.frame["loss"].tolist(), table.frame["params"].tolist()
    ([2.5], ['1.3B'])
    >>> read_table(io.StringIO("run,loss\n001,2.50\n"), typed=False).frame["run"].tolist()
    ['001']
    """
    fields = None if name_fields is None else NameFields.parse(name_fields)
    several = _several(source)
    if several is not None:
        _refuse_twice(several)
        parts = [_part(source, fields, wide, max_size) for source in several]
        if sum(part.size for part in parts) > size_limit(max_size):
            raise DataError(too_large(f"what {exact(len(parts))} files hold", size_limit(max_size)))
        frame, sha256, remarks = stacked([part.part for part in parts])
        given = " + ".join(map(str, source)) if isinstance(source, list | tuple) else short_name(Path(str(source)))
        frame = typed_frame(frame) if typed else frame
        return _named(frame, name or given, sha256, list(remarks), mapping)
    single: Any = source
    return _read_one(single, fields, mapping, name, wide, typed, max_size)


def _read_one(
    source: Any, fields: NameFields | None, mapping: Mapping[str, str] | None, name: str | None, wide: bool,
    typed: bool, max_size: int | str | None,
) -> Table:  # fmt: skip
    """Read one table."""
    if isinstance(source, str | os.PathLike):
        source = locate(source)
    sweep = source if isinstance(source, Path) and is_folder(source) else None
    shipped = _shipped(source)
    if shipped is not None:
        whole = load_dataset(shipped)
        frame, remarks = tidy_frame(whole, shipped)
        given, sha256 = shipped, str(whole.attrs["scalefit"]["sha256"])  # of the file, which anyone can check
    elif isinstance(source, pd.DataFrame):
        origin = dict(source.attrs.get("scalefit", {}))
        given = str(origin.get("name") or "dataframe")
        frame, remarks = tidy_frame(source, "the DataFrame")
        frame.attrs["scalefit"] = {key: origin[key] for key in ("separator", "line_offset", "files") if key in origin}
        if not source.index.equals(frame.index):
            for key in ("line_offset", "files"):
                frame.attrs["scalefit"].pop(key, None)  # rows are not those of the file any more
        sha256 = frame_digest(frame)
    else:
        content = read_content(source if sweep is None else _sweep_table(sweep), max_size=max_size)
        frame, remarks = frame_from_bytes(
            content.data, label=content.label, kind=content.kind, limit=size_limit(max_size)
        )
        given, sha256 = content.name, content.sha256
    if wide:
        frame, more = long_frame(frame, f"{given!r}")
        remarks = (*remarks, *more)
    if fields is not None:
        if not isinstance(source, str | os.PathLike) or shipped is not None or os.fspath(source) == "-":
            raise DataError(f"name_fields {fields.text!r} needs a file, whose name holds the fields; leave it out")
        frame = fields.added(frame, Path(source))
    if typed and not isinstance(source, pd.DataFrame) and shipped is None:
        frame = typed_frame(frame)
    title = name or (given if sweep is None else shown_path(sweep.resolve().name))
    table = _named(frame, title, sha256, list(remarks), mapping)
    return table if sweep is None else _finished_models(table)


def _named(
    frame: pd.DataFrame, title: str, sha256: str, remarks: list[str], mapping: Mapping[str, str] | None
) -> Table:
    """Finish a table: its name, and the mapped columns."""
    frame.attrs["scalefit"] = {**frame.attrs.get("scalefit", {}), "name": title}
    if mapping:
        frame = map_columns(frame, mapping, remarks)
    return Table(frame, title, sha256, rows_read=len(frame), remarks=tuple(remarks))


def _several(source: Any) -> list[Any] | None:
    """Return the files that a list, a pattern or a folder stands for; None for one table."""
    if isinstance(source, list | tuple):
        if not source:
            raise DataError("the list of tables is empty. Need at least one file.")
        return [inner for given in source for inner in (_several(given) or [given])]
    if not isinstance(source, str | os.PathLike) or os.fspath(source) == "-":
        return None
    located = locate(source)
    return files_of(located) if isinstance(located, Path) else None


def _refuse_twice(sources: Sequence[Any]) -> None:
    """Refuse a file that is given twice, whose rows would count twice."""
    located = [
        locate(source) for source in sources if isinstance(source, str | os.PathLike) and os.fspath(source) != "-"
    ]
    files = Counter(source.resolve() for source in located if isinstance(source, Path))
    twice = next((source for source, times in files.items() if times > 1), None)
    if twice is not None:
        raise DataError(
            f"the file {shown_path(twice.name)!r} is given twice, so that its rows would count twice; give it once"
        )


class _Sized(NamedTuple):
    """One of several tables, and how many bytes it takes."""

    part: FilePart
    size: int


def _part(source: Any, fields: NameFields | None, wide: bool, max_size: int | str | None) -> _Sized:
    """Read one of several tables; a fault of one names its file."""
    table = read_table(source, typed=False, max_size=max_size)
    frame, remarks = table.frame, table.remarks
    label = shown_path(source) if isinstance(source, str | os.PathLike) else table.name
    if wide:
        frame, more = long_frame(frame, repr(label))
        remarks = (*remarks, *more)
    if fields is not None:
        frame = fields.added(frame, Path(label))
    size = Path(source).stat().st_size if isinstance(source, Path) else 0
    return _Sized(FilePart(frame, label, table.sha256, remarks), size)


def _shipped(source: object) -> str | None:
    """Return the name of the shipped set that is named, or whose rows are all given, None for anything else."""
    if isinstance(source, pd.DataFrame):
        name = dict(source.attrs.get("scalefit", {})).get("name")
        return name if name in dataset_names() and source.equals(load_dataset(name)) else None
    return dataset_of(source) if isinstance(source, str | os.PathLike) else None


def _sweep_table(folder: Path) -> Path:
    """Find the table of a toy sweep."""
    return folder / "table.csv"


def _finished_models(table: Table) -> Table:
    """Leave out the models of a sweep that failed."""
    if "status" not in table.frame:
        return table
    failed = table.frame["status"].astype(str).str.startswith("failed")
    dropped = Dropped("where", int(failed.sum()), "models whose training failed", "status == done")
    return replace(table, frame=table.frame[~failed], dropped=(dropped,) if dropped.rows else ())


def resolve(
    table: Table,
    *,
    numeric: Iterable[str],
    labels: Iterable[str] = (),
    derive: Iterable[str] = (),
    strict: bool = True,
) -> Table:
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
        Columns needed as text, as it is written in a text file, without spaces around it. Missing cells become None.
        A name that is in ``numeric`` too stays a number.
    derive : iterable of str
        Columns that may be computed if they are missing: ``params`` as 12 depth width^2, ``flops``
        as 6 params tokens. Tokens are computed as flops / (6 params) without being asked for.
    strict : bool
        Refuse cells that are not numbers; False makes them NaN, for a reader who looks at some rows only.

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
    frame = find_columns(
        table.frame, name=table.name, numeric=numeric, labels=labels, derive=derive, remarks=remarks,
        unread=None if strict else {},
    )  # fmt: skip
    return replace(table, frame=frame, remarks=tuple(dict.fromkeys(remarks)))
