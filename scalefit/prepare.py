"""From what a user names to the rows that a law can use: the same preparation for every engine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from scalefit.law import Law
from scalefit.rows import select_rows
from scalefit.tables import Table, read_table

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
    labels: Iterable[str] = (),
    max_size: int | str | None = None,
) -> Table:
    """Read, resolve and filter a table, down to rows that the law can use.

    Parameters
    ----------
    data : str, path or DataFrame
        A table as `scalefit.tables.read_table` takes it: a shipped data set, a file, a toy sweep's folder, ``-`` for
        standard input, or rows.
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
    labels : iterable of str
        Further columns that are needed as labels.
    max_size : int or str, optional
        Most bytes to read, as for `scalefit.tables.read_table`.

    Returns
    -------
    Table
        The rows, with the rules that took others. Columns of the law and of weights are float64, labels are text;
        columns that nobody asked for are as they stand in the source, from a file text.

    Raises
    ------
    DataError
        When the table cannot be used; row and column are named.
    """
    table = read_table(data, typed=False, max_size=max_size)
    named = [*law.groups, *([cluster] if cluster else []), *labels]
    return select_rows(
        table, response=law.response, numeric=[law.response, *law.variables], labels=dict.fromkeys(named),
        mapping=mapping, derive=derive, where=where, drop_invalid=drop_invalid, drop_highest_loss=drop_highest_loss,
        ties=ties, weights=weights,
    )  # fmt: skip


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
