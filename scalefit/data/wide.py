"""Exports with a column for each run and metric, ``run - metric``, made long: a row for each run and step."""

from __future__ import annotations

import re
from typing import Any, Final

import pandas as pd

from scalefit.data.quantities import is_missing
from scalefit.errors import DataError
from scalefit.numbers import counted, exact

__all__ = ["long_frame", "wide_name"]

RUN: Final = "run"
MARK: Final = " - "
_RANGE: Final = re.compile(r".*__(?:MIN|MAX)$")  # what Weights & Biases adds to each column for a shaded band


def wide_name(column: str) -> tuple[str, str]:
    """Return run and metric of a column called ``run - metric``; both empty for another."""
    run, mark, metric = column.rpartition(MARK)
    return (run.strip(), metric.strip()) if mark else ("", "")


def long_frame(frame: pd.DataFrame, label: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Make a wide export long.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Columns called ``run - metric``, as Weights & Biases writes them, next to others such as ``Step``.
    label : str
        What to call it in messages.

    Returns
    -------
    DataFrame
        Columns that belong to no run, ``run``, and one for each metric; rows in which a run has no value of
        any metric are left out. Rows are numbered anew, from 1.
    tuple of str
        Remarks.

    Raises
    ------
    DataError
        When no column has such a name, or a column ``run`` is there already.

    Examples
    --------
    >>> wide = pd.DataFrame({"Step": [1, 2], "a - loss": [3.0, 2.5], "b - loss": [None, 2.0]})
    >>> long_frame(wide, "export")[0].values.tolist()
    [[1, 'a', 3.0], [2, 'a', 2.5], [2, 'b', 2.0]]
    """
    runs: dict[str, dict[str, str]] = {}
    common, left_out = [], 0
    for column in frame.columns:
        run, mark, metric = str(column).rpartition(MARK)
        if not mark:
            common.append(column)
        elif _RANGE.fullmatch(metric):
            left_out += 1
        else:
            runs.setdefault(run.strip(), {})[metric.strip()] = column
    if not runs:
        raise DataError(
            f"{label} has no column called like 'run{MARK}metric', such as 'gpt-s{MARK}eval/loss', so that it is not a "
            f"wide export (columns: {', '.join(map(str, frame.columns[:8]))}). Leave out --wide."
        )
    metrics = list(dict.fromkeys(metric for named in runs.values() for metric in named))
    taken = next((name for name in (RUN, *metrics) if name in common), None)
    if taken is not None:
        raise DataError(f"{label} has a column {taken!r} as well as runs with it. Rename the column.")
    parts: list[pd.DataFrame] = []
    for run, named in runs.items():
        part = frame[common].copy()
        part[RUN] = run
        for metric in metrics:
            part[metric] = frame[named[metric]] if metric in named else None
        missing = pd.concat([part[metric].map(_is_gap) for metric in metrics], axis=1).all(axis=1)
        parts.append(part[~missing])
    long = pd.concat(parts, ignore_index=True).astype(object)
    long.index = pd.RangeIndex(1, len(long) + 1, name="row")
    if long.empty:
        raise DataError(f"{label} has runs without a single value. Need numbers below the columns 'run{MARK}metric'.")
    remark = (
        f"{label} is read as a wide export: {counted(len(runs), 'run')}, "
        f"{', '.join(map(repr, metrics))}, {counted(len(long), 'row')}"
    )
    remark += f"; {exact(left_out)} columns __MIN and __MAX are left out." if left_out else "."
    return long, (remark,)


def _is_gap(cell: Any) -> bool:
    return is_missing(cell)
