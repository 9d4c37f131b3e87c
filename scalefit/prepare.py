"""From what a user names to the rows that a law can use: the same preparation for every engine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from scalefit.datasets import dataset_names, load_dataset
from scalefit.errors import DataError, closest
from scalefit.law import Law
from scalefit.rows import select_rows
from scalefit.tables import Dropped, Table, read_table, resolve

__all__ = ["prepare_rows", "used_columns"]


def prepare_rows(
    data: str | os.PathLike[str] | pd.DataFrame,
    law: Law,
    *,
    mapping: Mapping[str, str] | None = None,
    derive: Iterable[str] = (),
    where: str | None = None,
    drop_invalid: bool = False,
    drop_highest_loss: int = 0,
    ties: str = "drop",
    weights: str | None = None,
    cluster: str | None = None,
) -> Table:
    """Read, resolve and filter a table, down to rows that the law can use.

    Parameters
    ----------
    data : str, path or DataFrame
        Name of a shipped data set, a file (CSV, TSV, Parquet, JSON lines), a toy sweep's folder, ``-`` for standard
        input, or rows.
    law : Law
        The law, which says what columns are needed.
    mapping : mapping, optional
        Law's column to table's column, such as ``{"params": "N", "tokens": "D_B*1e9"}``.
    derive : iterable of str
        Columns that may be computed: ``params`` as 12 depth width^2, ``flops`` as 6 params tokens.
    where : str, optional
        Rows to use, such as ``'subset == "hot_100b+" and tokens > 1e9'``.
    drop_invalid : bool
        Leave out (and count) rows with missing, infinite or non-positive values instead of refusing them.
    drop_highest_loss : int
        Leave out the rows with the K highest losses.
    ties : {"drop", "keep"}
        ``drop`` keeps rows strictly below the K-th highest loss, ``keep`` drops exactly K rows.
    weights, cluster : str, optional
        Columns of row weights, and of clusters whose rows share an error.

    Returns
    -------
    Table
        The rows, with the rules that took others.

    Raises
    ------
    DataError
        When the table cannot be used; row and column are named.
    """
    source = _shipped(data)
    table = _read_folder(source, mapping) or read_table(source, mapping=mapping)
    if source is not data and isinstance(source, pd.DataFrame):
        table = replace(table, sha256=source.attrs["scalefit"]["sha256"])  # of the file, which anyone can check
    numeric = [law.response, *law.variables]
    labels = list(dict.fromkeys([*law.groups, *([cluster] if cluster else [])]))
    needed = numeric + ([weights] if weights else [])
    table = resolve(table, numeric=needed, labels=labels, derive=tuple(derive))
    return select_rows(
        table, response=law.response, numeric=numeric, labels=labels, where=where, drop_invalid=drop_invalid,
        drop_highest_loss=drop_highest_loss, ties=ties, weights=weights,
    )  # fmt: skip


def _shipped(data: str | os.PathLike[str] | pd.DataFrame) -> str | os.PathLike[str] | pd.DataFrame:
    """Load a shipped data set when its name, or all its rows, are given; anything else stays what it is."""
    if isinstance(data, pd.DataFrame):
        name = dict(data.attrs.get("scalefit", {})).get("name")
        return load_dataset(name) if name in dataset_names() and data.equals(load_dataset(name)) else data
    if not isinstance(data, str) or data == "-":
        return data
    if data in dataset_names():
        return load_dataset(data)
    looks_like_name = data.isidentifier() and not Path(data).exists()
    if looks_like_name:
        raise DataError(f"there is no file and no shipped data set {data!r}; {closest(data, dataset_names())}")
    return data


def _read_folder(source: Any, mapping: Mapping[str, str] | None) -> Table | None:
    """Read the table of a toy sweep, without the models that failed; None for what is no folder."""
    if not isinstance(source, str | os.PathLike) or source == "-" or not Path(source).is_dir():
        return None
    folder = Path(source)
    if not (folder / "table.csv").is_file():
        raise DataError(
            f"{str(folder)!r} is a folder without table.csv; give a file, or the folder of a sweep that has finished "
            "models (make one with: scalefit toy sweep GRID.toml --out DIR)"
        )
    table = read_table(folder / "table.csv", mapping=mapping, name=folder.resolve().name)
    if "status" not in table.frame:
        return table
    failed = table.frame["status"].astype(str).str.startswith("failed")
    dropped = Dropped("status == done", int(failed.sum()), "models whose training failed")
    return replace(table, frame=table.frame[~failed], dropped=(dropped,) if dropped.rows else ())


def used_columns(frame: pd.DataFrame, law: Law, weights: str | None, cluster: str | None) -> pd.DataFrame:
    """Keep the law's columns first, then any other label or number that residuals may be drawn against.

    Parameters
    ----------
    frame : DataFrame
        The rows used.
    law : Law
        The law.
    weights, cluster : str, optional
        Columns of row weights and of clusters.

    Returns
    -------
    DataFrame
        The same rows, columns reordered.
    """
    own: list[Any] = [law.response, *law.variables, *law.groups, weights, cluster]
    columns = list(dict.fromkeys(name for name in own if name))
    rest = [name for name in frame.columns if name not in columns]
    return frame[[*columns, *rest]]
