"""Tables as plain JSON, so that cells can pass rows to another process or machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["pack_frame", "unpack_frame"]


def pack_frame(frame: pd.DataFrame) -> dict[str, Any]:
    """Write a table as plain JSON.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Numbers and text; a missing cell becomes null, a number that is not finite becomes text.

    Returns
    -------
    dict
        Name, row numbers and columns. Numbers are restored to the last bit.
    """
    columns = {str(name): [_plain(cell) for cell in frame[name].tolist()] for name in frame.columns}
    name = dict(frame.attrs.get("scalefit", {})).get("name", "dataframe")
    return {"name": str(name), "index": [int(row) for row in frame.index], "columns": columns}


def unpack_frame(packed: dict[str, Any]) -> pd.DataFrame:
    """Read what :func:`pack_frame` wrote.

    Parameters
    ----------
    packed : dict
        Name, row numbers and columns.

    Returns
    -------
    DataFrame, shape (n, p)
        The table.
    """
    index = pd.Index(packed["index"])
    columns = {name: pd.Series(cells, index, dtype=_kind(cells)) for name, cells in packed["columns"].items()}
    frame = pd.DataFrame(columns, index=index)
    frame.attrs["scalefit"] = {"name": packed["name"]}
    return frame


def _plain(cell: Any) -> Any:
    if isinstance(cell, list | tuple | dict | set | bytes | np.ndarray):
        return str(cell)  # in a column that nothing uses
    if pd.isna(cell):
        return None
    if isinstance(cell, bool | int | str):
        return cell
    return cell if isinstance(cell, float) and abs(cell) < float("inf") else str(cell)


def _kind(cells: list[Any]) -> Any:
    """Return the dtype of a column: object for text, as read from files; None lets pandas infer that of numbers."""
    return object if any(isinstance(cell, str) for cell in cells) else None
