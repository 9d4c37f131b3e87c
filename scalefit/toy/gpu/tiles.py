"""How the work of a GPU is cut, by the width of the models: the table ``tiles.toml``."""

from __future__ import annotations

import hashlib
import math
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from scalefit.files import parse_toml

__all__ = ["PRECISIONS", "TABLE", "Tiles", "read_tiles", "table_digest", "tiles_for"]

TABLE: Final = Path(__file__).with_name("tiles.toml")
PRECISIONS: Final = ("ieee", "tf32x3", "bf16x3", "tf32")  # from the most exact to the fastest


class Tiles(NamedTuple):
    """How the work is cut: a matter of the models' shape only, because it decides the order of every sum.

    Parameters
    ----------
    rows, features, width : int
        Sizes of the tiles, powers of 2 from 16 on; more than ``width`` dimensions are taken in blocks.
    warps : int
        Warps to a program.
    precision : {"ieee", "tf32x3", "bf16x3", "tf32"}
        How products of float32 tiles are computed.
    """

    rows: int = 32
    features: int = 64
    width: int = 128
    warps: int = 4
    precision: str = "ieee"


@cache
def read_tiles(table: Path = TABLE) -> tuple[tuple[float, Tiles], ...]:
    """Read a table of tiles.

    Parameters
    ----------
    table : path
        A TOML file of the form of ``tiles.toml``.

    Returns
    -------
    tuple of (float, Tiles)
        The largest width that each entry is for, ascending, and its tiles; the last is for all others.

    Raises
    ------
    ValueError
        Entries that are not in order, or leave wide models without one.
    """
    entries = [dict(entry) for entry in parse_toml(table)["tiles"]]
    rows = tuple((float(entry.pop("up_to", math.inf)), Tiles(**entry)) for entry in entries)
    ends = [up_to for up_to, _ in rows]
    if ends != sorted(set(ends)) or not ends or ends[-1] < math.inf:
        raise ValueError(f"{table}: up_to = {ends}; entries must ascend, and the last must have no up_to")
    return rows


def tiles_for(width: int, table: Path = TABLE) -> Tiles:
    """Choose how to cut the work of models of one width.

    Parameters
    ----------
    width : int
        Dimensions m.
    table : path
        As for :func:`read_tiles`.

    Returns
    -------
    Tiles
        Of the first entry that reaches this width.
    """
    return next(tiles for up_to, tiles in read_tiles(table) if width <= up_to)


def table_digest(table: Path = TABLE) -> str:
    """Return a short digest of a table: models trained with another one differ in their last digits.

    Parameters
    ----------
    table : path
        As for :func:`read_tiles`.

    Returns
    -------
    str
        Eight hexadecimal digits; the comments of the file do not count.
    """
    return hashlib.sha256(repr(read_tiles(table)).encode()).hexdigest()[:8]
