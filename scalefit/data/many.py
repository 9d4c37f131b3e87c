"""Several files as one table: what a folder or a pattern names, and the fields that stand in the names of files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from scalefit.data.formats import format_of
from scalefit.data.sources import is_folder, shown_path
from scalefit.errors import DataError
from scalefit.numbers import exact

__all__ = ["FilePart", "NameFields", "files_of", "short_name", "stacked"]

SOURCE: Final = "source"
WILD: Final = re.compile(r"[*?\[]")
SHOWN: Final = 4


def files_of(path: Path) -> list[Path] | None:
    """Return the files that a pattern or a folder stands for, sorted by name.

    Parameters
    ----------
    path : Path
        Such as ``runs/*.csv``, ``runs/**/trainer_state.json``, or a folder.

    Returns
    -------
    list of Path, or None
        None for a path that is neither, and for the folder of a toy sweep, which has one table.

    Raises
    ------
    DataError
        For a pattern or a folder without a file.
    """
    if is_folder(path):
        if (path / "table.csv").is_file():
            return None
        files = sorted(file for file in path.iterdir() if format_of(file) is not None and file.is_file())
        if not files:
            deeper = next(
                (file for file in sorted(path.glob("*/*")) if format_of(file) is not None and file.is_file()), None
            )
            if deeper is not None:
                pattern = str(Path(shown_path(path)) / "*" / deeper.name)
                raise DataError(
                    f"{shown_path(path)!r} has its files in folders inside; name them by a pattern, in quotes: "
                    f"{pattern!r}, with --name-fields {'{run}/' + deeper.name!r} for the names of the folders"
                )
            raise DataError(
                f"{shown_path(path)!r} is a folder without table.csv; give a file, or the folder of a sweep that has "
                "finished models (make one with: scalefit toy sweep GRID.toml --out DIR), or a folder of tables as "
                "CSV, TSV, JSON or Parquet"
            )
        return files
    if not WILD.search(str(path)) or path.exists():
        return None
    first = next(place for place, piece in enumerate(path.parts) if WILD.search(piece))
    files = sorted(file for file in Path(*path.parts[:first]).glob("/".join(path.parts[first:])) if file.is_file())
    if not files:
        raise DataError(
            f"no file is called like {shown_path(path)!r}. Check folder and pattern, and quote the pattern."
        )
    return files


def short_name(path: Path) -> str:
    """Return the name of a folder, or a pattern with the folder above its first sign, whatever lies above that.

    Examples
    --------
    >>> short_name(Path("far/away/logs")), short_name(Path("far/away/logs/*.csv"))
    ('logs', 'logs/*.csv')
    """
    first = next((place for place, piece in enumerate(path.parts) if WILD.search(piece)), len(path.parts))
    return shown_path(Path(*path.parts[max(0, first - 1) :]))


@dataclass(frozen=True)
class NameFields:
    """A pattern of file names with fields, such as ``{size}-{ratio}xC.csv``; make one with :meth:`parse`.

    Parameters
    ----------
    text : str
        As written.
    names : tuple of str
        Its fields.
    regex : Pattern
        What it matches, up to the end of a path.
    """

    text: str
    names: tuple[str, ...]
    regex: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> NameFields:
        """Read a pattern.

        Raises
        ------
        DataError
            When it has no field, a field twice, or two fields with nothing between them.

        Examples
        --------
        >>> NameFields.parse("{size}-{ratio}xC.csv").of(Path("runs/190M-5xC.csv"))
        {'size': '190M', 'ratio': '5'}
        """
        pieces = re.split(r"\{([^{}]*)\}", text)
        names = tuple(name.strip() for name in pieces[1::2])
        example = "such as '{size}-{ratio}xC.csv' for 190M-5xC.csv"
        if not names:
            raise DataError(f"name_fields is {text!r}, which has no field in braces. Need a pattern {example}")
        for name in names:
            if not name or names.count(name) > 1:
                what = "a field without a name" if not name else f"the field {name!r} twice"
                raise DataError(f"name_fields is {text!r}, which has {what}. Need a pattern {example}")
        if "" in pieces[2:-1:2]:
            raise DataError(f"name_fields is {text!r}: it is not clear where one field ends and the next begins. Put a "
                            f"sign between them, {example}")  # fmt: skip
        literal = [re.escape(piece).replace(r"\*", "[^/]*") for piece in pieces[0::2]]
        body = literal[0] + "".join(f"([^/]+?){after}" for after in literal[1:])
        return cls(text, names, re.compile(f"(?:.*/)?{body}"))

    def of(self, path: Path) -> dict[str, str]:
        """Return the fields of a file's name.

        Raises
        ------
        DataError
            When the name does not match; it is named.
        """
        match = self.regex.fullmatch(path.as_posix())
        if match is None:
            raise DataError(
                f"the file {shown_path(path.name)!r} is not called like name_fields {self.text!r}. Correct the "
                "pattern, or name the files that it fits by a pattern of their own"
            )
        return dict(zip(self.names, match.groups(), strict=True))

    def added(self, frame: pd.DataFrame, path: Path) -> pd.DataFrame:
        """Return a table with the fields of its file's name as columns of text, in front."""
        fields = self.of(path)
        for name in fields:
            if name in frame:
                raise DataError(
                    f"column {name!r} is in the file {shown_path(path.name)!r} and in name_fields {self.text!r}. "
                    "Call the field otherwise."
                )
        attrs = dict(frame.attrs)
        added = pd.concat([pd.DataFrame(fields, index=frame.index, dtype=object), frame], axis=1)
        added.attrs = attrs
        return added


@dataclass(frozen=True, eq=False)
class FilePart:
    """One of several tables.

    Parameters
    ----------
    frame : DataFrame
        Its rows, numbered from 1.
    label : str
        Its file, as messages name it.
    sha256 : str
        Of its bytes.
    remarks : tuple of str
        On reading it.
    """

    frame: pd.DataFrame
    label: str
    sha256: str
    remarks: tuple[str, ...] = ()


def stacked(parts: Sequence[FilePart]) -> tuple[pd.DataFrame, str, tuple[str, ...]]:
    """Put tables below one another.

    Parameters
    ----------
    parts : sequence of FilePart
        In the order of the rows.

    Returns
    -------
    DataFrame
        All columns of all tables, and ``source``, the file of each row; rows are numbered from 1. Messages about a row
        name its file and line.
    str
        A hash of the hashes and names.
    tuple of str
        Remarks.
    """
    columns: dict[str, int] = {}
    for part in parts:
        for name in part.frame.columns:
            columns[name] = columns.get(name, 0) + 1
    source = SOURCE if SOURCE not in columns else "source_file"
    labels = _short([part.label for part in parts])
    frames = [part.frame.astype(object).assign(**{source: name}) for part, name in zip(parts, labels, strict=True)]
    files, last = [], 0
    for part, name in zip(parts, labels, strict=True):
        offset = dict(part.frame.attrs.get("scalefit", {})).get("line_offset")
        files.append((last, last + len(part.frame), name, offset))
        last += len(part.frame)
    separators = {dict(part.frame.attrs.get("scalefit", {})).get("separator") for part in parts}
    whole = pd.concat(frames, ignore_index=True)
    whole = whole.astype(object).where(whole.notna(), None)
    whole.index = pd.RangeIndex(1, last + 1, name="row")
    whole.attrs = {
        "scalefit": {"files": tuple(files), **({"separator": separators.pop()} if len(separators) == 1 else {})}
    }
    some = ", ".join(labels[:SHOWN]) + (f" and {exact(len(parts) - SHOWN)} more" if len(parts) > SHOWN else "")
    remarks = [f"{exact(len(parts))} files are read as one table, whose column {source!r} names the file: {some}."]
    for name, count in columns.items():
        if count < len(parts):
            remarks.append(f"Column {name!r} is in {exact(count)} of {exact(len(parts))} files.")
    on_files = list(dict.fromkeys(remark for part in parts for remark in part.remarks))
    remarks += on_files[:SHOWN]
    if len(on_files) > SHOWN:
        remarks.append(f"There are {exact(len(on_files) - SHOWN)} more such remarks on the other files.")
    digest = hashlib.sha256(
        "".join(f"{part.sha256} {name}\n" for part, name in zip(parts, labels, strict=True)).encode()
    )
    return whole, digest.hexdigest(), tuple(remarks)


def _short(labels: Sequence[str]) -> list[str]:
    """Leave out the folder that all files share."""
    paths: list[Any] = [Path(label) for label in labels]
    shared = 0
    while all(len(path.parts) > shared + 1 for path in paths) and len({path.parts[shared] for path in paths}) == 1:
        shared += 1
    return ["/".join(path.parts[shared:]) for path in paths]
