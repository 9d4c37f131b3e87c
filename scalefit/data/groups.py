"""One row per group of rows: the one with the least or the largest value of a column, the last one, or the mean.

A table of a sweep has many rows for one configuration: learning rates, batch sizes, seeds, checkpoints. A law of the
configuration needs one. Which rows were left for it is part of the answer, so that counts and ties are kept in words,
and the rows from which the best was chosen are kept for a bootstrap that repeats the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalefit.data.choice import KINDS, Reduction, RowChoice
from scalefit.data.quantities import as_numbers
from scalefit.data.tables import Dropped, Table
from scalefit.errors import DataError
from scalefit.numbers import counted, exact

__all__ = ["MADE", "reduce_rows"]

Ints = npt.NDArray[np.int64]

ROWS, SCATTER = MADE = ("group_rows", "group_scatter")
"""Columns that a mean adds: rows of the group, and the standard deviation of their log responses (of the responses
themselves, and arithmetic means, where one of all rows is not positive)."""

SHOWN = 3


def reduce_rows(
    table: Table,
    by: Sequence[str],
    rule: Reduction,
    *,
    response: str,
    numbers: Sequence[str],
    labels: Sequence[str],
    weights: str | None = None,
) -> Table:
    """Keep one row for each group of rows that agree in some columns.

    Parameters
    ----------
    table : Table
        Its needed columns are valid numbers and texts.
    by : sequence of str
        The columns that make a group.
    rule : Reduction
        How a group becomes a row.
    response : str
        The column that the law predicts, whose scatter a mean keeps.
    numbers : sequence of str
        Columns of numbers that the law needs, the response among them.
    labels : sequence of str
        Columns of labels that the law needs.
    weights : str, optional
        Column of weights: a mean weighs rows by it, and its row weighs as much as they do together.

    Returns
    -------
    Table
        One row per group, in the order of the table, under the number of the chosen row (of a mean: of its first row).

    Raises
    ------
    DataError
        When a label that the law needs differs within a group that is averaged.
    """
    frame = table.frame
    code, remarks = _codes(frame, by)
    groups = int(code.max()) + 1
    made = [name for name in MADE if rule.kind == "mean" and name in frame]
    remarks += [f"The column {name!r} of the table is replaced by that of the groups." for name in made]
    counts = np.bincount(code)
    choice = None
    if rule.kind == "mean":
        kept = _means(frame, code, by, response, numbers, labels, weights)
    else:
        chosen, choice, tied = _chosen(frame, code, rule, [*numbers, *labels, *([weights] if weights else [])])
        kept = frame.iloc[np.sort(chosen)].copy()
        remarks += tied
    few, most = int(counts.min()), int(counts.max())
    size = counted(most, "row") if few == most else f"{exact(few)} to {exact(most)} rows"
    names = by[0] if len(by) == 1 else f"combination of {', '.join(by[:-1])} and {by[-1]}"
    reason = (
        f"{rule.words} of each {names} is {'kept' if rule.column else 'taken'}: "
        f"{counted(groups, 'group')} of {size}, {counted(len(frame) - groups, 'row fewer', 'rows fewer')}"
        if groups < len(frame)
        else f"every {names} has one row already"
    )
    setting = f"{rule} by {','.join(f'`{name}`' if ',' in name else name for name in by)}"
    dropped = Dropped("reduce", len(frame) - groups, reason, setting)
    return replace(
        table, frame=kept, dropped=(*table.dropped, dropped), remarks=(*table.remarks, *remarks), choice=choice
    )


def _codes(frame: pd.DataFrame, by: Sequence[str]) -> tuple[Ints, list[str]]:
    """Give every row the number of its group; numbers are grouped by their value, however they are written."""
    remarks, code = [], np.zeros(len(frame), dtype=np.int64)
    for name in by:
        column = frame[name]
        own, labels = pd.factorize(column)
        count = len(labels)
        if not pd.api.types.is_numeric_dtype(column.dtype):
            texts = pd.Series(labels, dtype=object)
            values = as_numbers(texts)
            if values is not None and len(np.unique(values)) < len(values):
                same, spelled = np.unique(values, return_inverse=True)
                twice = [str(texts[i]) for i in np.flatnonzero(spelled == np.argmax(np.bincount(spelled)))[:2]]
                remarks.append(f"Column {name!r} is grouped by its numbers: {twice[0]!r} and {twice[1]!r} are one.")
                own = spelled[own]
                count = len(same)
        code = np.unique(code * count + own, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return code, remarks


def _chosen(
    frame: pd.DataFrame, code: Ints, rule: Reduction, needed: Sequence[str]
) -> tuple[Ints, RowChoice | None, list[str]]:
    """Return the position of the chosen row of each group, the rows that it was chosen from, and remarks on ties."""
    values = frame[rule.column].to_numpy(dtype=np.float64)
    order = np.lexsort((values if rule.kind == "min" else -values, code))
    bounds = np.concatenate([[0], np.cumsum(np.bincount(code))])
    first = order[bounds[:-1]]
    several = np.flatnonzero(np.diff(bounds) > 1)
    second = order[bounds[:-1][several] + 1]
    tied = [
        (first[group], other)
        for group, other in zip(several, second, strict=True)
        if values[first[group]] == values[other]
    ]
    remarks = []
    if tied:
        pairs = ", ".join(f"rows {frame.index[first]} and {frame.index[other]}" for first, other in tied[:SHOWN])
        more = f" and {exact(len(tied) - SHOWN)} more" if len(tied) > SHOWN else ""
        remarks.append(
            f"In {counted(len(tied), 'group')} the {KINDS[rule.kind]} {rule.column} is that of several rows "
            f"({pairs}{more}); the first of the table is used."
        )
    if not rule.chooses:
        return first, None, remarks
    columns = list(dict.fromkeys([*needed, rule.column]))
    return first, RowChoice(frame[columns].iloc[order], bounds, rule), remarks


def _means(
    frame: pd.DataFrame, code: Ints, by: Sequence[str], response: str, numbers: Sequence[str], labels: Sequence[str],
    weights: str | None,
) -> pd.DataFrame:  # fmt: skip
    """Average each group; columns of labels must agree within it, and columns that do not agree are left out."""
    first = np.unique(code, return_index=True)[1]
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    code, first = rank[code], first[order]  # groups in the order of the table
    constant = {name: _constant(frame[name], code, first) for name in frame.columns}
    for name in labels:
        if not constant[name].all():
            group = int(np.argmin(constant[name]))
            rows = np.flatnonzero(code == group)
            other = rows[np.argmax((frame[name].iloc[rows] != frame[name].iloc[rows[0]]).to_numpy())]
            raise DataError(
                f"rows {frame.index[rows[0]]} and {frame.index[other]} are of one group, and column {name!r} differs: "
                f"{frame[name].iloc[rows[0]]!r} and {frame[name].iloc[other]!r}, so that their mean has no label. "
                f"Add the column to the groups: --group-by {','.join([*by, name])}"
            )
    kept = frame.iloc[first][[name for name in frame.columns if constant[name].all() or name in numbers]].copy()
    weight = np.ones(len(frame)) if weights is None else frame[weights].to_numpy(dtype=np.float64)
    total = np.bincount(code, weight)
    for name in numbers:
        values = frame[name].to_numpy(dtype=np.float64)
        is_positive = bool((values > 0).all())
        target = np.log(values) if is_positive else values
        middle = np.bincount(code, weight * target) / total
        if name not in by:
            kept[name] = np.exp(middle) if is_positive else middle
        if name == response:
            plain = np.bincount(code, target) / np.bincount(code)
            squares = np.bincount(code, (target - plain[code]) ** 2)
    counts = np.bincount(code)
    with np.errstate(invalid="ignore", divide="ignore"):
        kept[SCATTER] = np.sqrt(squares / (counts - 1))
    kept[ROWS] = counts.astype(np.float64)
    if weights is not None:
        kept[weights] = total
    return kept


def _constant(column: pd.Series[Any], code: Ints, first: Ints) -> npt.NDArray[np.bool_]:
    """Tell for each group whether a column is the same in all of its rows; two gaps are the same."""
    cells = pd.factorize(column, use_na_sentinel=False)[0]
    same = np.ones(len(first), dtype=np.bool_)
    np.logical_and.at(same, code, cells == cells[first][code])
    return same
