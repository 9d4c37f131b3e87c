"""The tables that travel with scalefit: names, provenance, checksums, values.

Everything that is known about a table stands in plain files beside it: ``manifest.toml`` (title, checksum,
licence), ``schema.toml`` (type, unit and meaning of each column) and ``SOURCE.md`` (origin and traps).
A table is only returned when its bytes are the ones that the manifest vouches for.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalefit.errors import DataError, closest

__all__ = [
    "Column",
    "DatasetInfo",
    "PublishedValue",
    "data_directory",
    "dataset_names",
    "describe_dataset",
    "load_dataset",
    "published_value",
]


@dataclass(frozen=True)
class Column:
    """One column of a shipped table.

    Parameters
    ----------
    name : str
        Name in the table.
    type : str
        ``number``, ``integer``, ``label`` or ``boolean``.
    unit : str
        Unit of the values; ``"1"`` for a pure number, ``"-"`` for text and flags.
    meaning : str
        One phrase on what the column holds.
    """

    name: str
    type: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a shipped table without reading its rows.

    Parameters
    ----------
    name : str
        Name to load it by.
    title : str
        A short title for a report.
    rows : int
        Number of rows.
    columns : tuple of Column
        The columns in the order of the table.
    loss_unit : str or None
        Unit of the loss; None where the table has no loss.
    licence : str
        Licence as stated upstream.
    sources : tuple of str
        Papers with arXiv identifiers, or how the table was computed.
    repositories : tuple of str
        Where the numbers were taken from, with commits; empty where a paper prints them.
    cluster : str or None
        Column whose rows share an error and should be resampled together, if there is one.
    derived : tuple of (str, str)
        Columns that were computed from others, with the formula in words.
    note : str
        The main trap, in one sentence.
    sha256 : str
        Checksum of the file, hexadecimal.
    source_text : str
        SOURCE.md of the set, Markdown.
    """

    name: str
    title: str
    rows: int
    columns: tuple[Column, ...]
    loss_unit: str | None
    licence: str
    sources: tuple[str, ...]
    repositories: tuple[str, ...]
    cluster: str | None
    derived: tuple[tuple[str, str], ...]
    note: str
    sha256: str
    source_text: str


@dataclass(frozen=True)
class PublishedValue:
    """A number as its authors printed it.

    Parameters
    ----------
    key : str
        Stable name, for example ``"besiroglu2024.alpha"``.
    symbol : str
        The parameter as it stands in ``law``.
    quantity : str
        The value in words.
    value : float
        The value, in ``unit``.
    uncertainty : float or None
        The uncertainty printed with it, in ``unit``; None if there is none.
    unit : str
        Unit of value and uncertainty.
    data : str
        Name of the shipped table behind the value, or empty.
    n_rows : int or None
        Number of rows that the authors fitted; None if unknown.
    law : str
        The fitted law, or empty.
    source : str
        arXiv identifier.
    place : str
        Where it stands in the paper or in its repository.
    """

    key: str
    symbol: str
    quantity: str
    value: float
    uncertainty: float | None
    unit: str
    data: str
    n_rows: int | None
    law: str
    source: str
    place: str


def data_directory() -> Path:
    """Find the folder of the shipped tables.

    Returns
    -------
    Path
        ``scalefit/_data`` of an installed wheel, or ``data`` of a checkout.

    Raises
    ------
    DataError
        If neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_data", package.parent / "data"):
        if (folder / "manifest.toml").is_file():
            return folder
    raise DataError(
        "the tables of scalefit are missing from this installation; "
        "install it again, in the folder of your clone, with: pip install --force-reinstall --no-deps ."
    )


def dataset_names(*, root: Path | None = None) -> tuple[str, ...]:
    """Names of the shipped tables.

    Parameters
    ----------
    root : Path, optional
        Another folder of the same layout; the shipped one by default.

    Returns
    -------
    tuple of str
        Names in the order of the manifest.
    """
    return tuple(_manifest(root or data_directory()))


def describe_dataset(name: str, *, root: Path | None = None) -> DatasetInfo:
    """Provenance, columns and traps of a shipped table.

    Parameters
    ----------
    name : str
        One of :func:`dataset_names`.
    root : Path, optional
        Another folder of the same layout; the shipped one by default.

    Returns
    -------
    DatasetInfo
        Everything known about the table but its rows.

    Raises
    ------
    DataError
        If there is no table of that name.
    """
    root = root or data_directory()
    entry = _entry(name, root)
    schema = _schema(root)

    def column(label: str) -> Column:
        meta = schema[label]
        unit = entry["loss_unit"] if meta["unit"] == "loss_unit" else meta["unit"]
        return Column(name=label, type=meta["type"], unit=unit, meaning=meta["meaning"])

    return DatasetInfo(
        name=name,
        title=entry["title"],
        rows=entry["rows"],
        columns=tuple(column(label) for label in entry["columns"]),
        loss_unit=entry.get("loss_unit"),
        licence=entry["licence"],
        sources=tuple(entry["sources"]),
        repositories=tuple(entry.get("repositories", ())),
        cluster=entry.get("cluster"),
        derived=tuple(entry.get("derived", {}).items()),
        note=entry["note"],
        sha256=entry["sha256"],
        source_text=(root / name / "SOURCE.md").read_text(encoding="utf-8"),
    )


def load_dataset(name: str, *, root: Path | None = None) -> pd.DataFrame:
    """Read a shipped table and check it against the manifest.

    Parameters
    ----------
    name : str
        One of :func:`dataset_names`.
    root : Path, optional
        Another folder of the same layout; the shipped one by default.

    Returns
    -------
    DataFrame
        Rows in the order of the source. ``frame.attrs["scalefit"]`` holds the provenance as plain JSON
        values (kind, name, sha256, rows, title, licence, sources) and survives copies and row filters;
        its ``rows`` stays the number of rows shipped.

    Raises
    ------
    DataError
        If there is no table of that name, or if the file is not the one that the manifest describes.
    """
    root = root or data_directory()
    entry = _entry(name, root)
    content = (root / entry["file"]).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry["sha256"]:
        raise DataError(
            f"the table {name!r} was changed: data/{entry['file']} has sha256 {digest}, "
            f"the manifest expects {entry['sha256']}. Restore it with: git checkout -- data/{entry['file']} "
            "(or install scalefit-reanalysis again); to fit your own version, save it under another path"
        )
    frame = _parse(content.decode("utf-8"), _schema(root))
    frame.attrs["scalefit"] = {
        "kind": "dataset",
        "name": name,
        "sha256": digest,
        "rows": len(frame),
        "title": entry["title"],
        "licence": entry["licence"],
        "sources": [*entry["sources"], *entry.get("repositories", ())],
    }
    return frame


def published_value(key: str, *, root: Path | None = None) -> PublishedValue:
    """Look up a number that a paper printed.

    Parameters
    ----------
    key : str
        Key of the table ``published_values``, for example ``"liu2026_depth.a_m"``.
    root : Path, optional
        Another folder of the same layout; the shipped one by default.

    Returns
    -------
    PublishedValue
        The value with its uncertainty, unit and place.

    Raises
    ------
    DataError
        If there is no such key.
    """
    values = _published_values(root or data_directory())
    if key not in values:
        # All keys at once would bury the hint: name the papers, or the values of the paper that was named.
        papers = {known.partition(".")[0] for known in values}
        paper = key.partition(".")[0]
        own = [known for known in values if known.startswith(f"{paper}.")]
        hint = closest(key, own) if paper in papers else closest(paper, papers)
        raise DataError(f"unknown published value {key!r}: {hint}")
    return values[key]


@cache
def _manifest(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "manifest.toml").read_text(encoding="utf-8"))


@cache
def _schema(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "schema.toml").read_text(encoding="utf-8"))


def _entry(name: str, root: Path) -> dict[str, Any]:
    manifest = _manifest(root)
    if name not in manifest:
        raise DataError(f"unknown dataset {name!r}: {closest(name, manifest)}")
    entry: dict[str, Any] = manifest[name]
    return entry


@cache
def _published_values(root: Path) -> dict[str, PublishedValue]:
    """Every published value by its key."""
    values = {}
    for row in load_dataset("published_values", root=root).to_dict("records"):
        missing = {name: None for name in ("uncertainty", "n_rows") if math.isnan(row[name])}
        record: dict[str, Any] = {str(name): value for name, value in row.items()} | missing
        if record["n_rows"] is not None:
            record["n_rows"] = int(record["n_rows"])
        values[record["key"]] = PublishedValue(**record)
    return values


def _parse(text: str, schema: dict[str, Any]) -> pd.DataFrame:
    """Turn CSV text into columns of the types that the schema declares.

    The standard library reads decimals to the nearest float64 and labels such as "none" as they stand;
    what pandas' own reader does with either has changed between its versions.
    """
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    cells = zip(*rows, strict=True)
    return pd.DataFrame(
        {name: _series(column, schema[name]["type"]) for name, column in zip(header, cells, strict=True)}
    )


def _series(cells: tuple[str, ...], kind: str) -> pd.Series[Any]:
    if kind == "label":
        return pd.Series(cells, dtype=object)
    if kind == "boolean":
        return pd.Series([{"true": True, "false": False}[cell] for cell in cells], dtype=np.bool_)
    if kind == "integer" and all(cells):
        return pd.Series([int(cell) for cell in cells], dtype=np.int64)
    return pd.Series([float(cell or "nan") for cell in cells], dtype=np.float64)
