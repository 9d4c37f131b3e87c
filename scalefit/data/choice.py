"""How one row is chosen for each group of rows, and the rows among which it was chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalefit.data.quantities import ALIASES
from scalefit.errors import DataError

__all__ = ["KINDS", "Reduction", "RowChoice", "group_columns", "parse_reduce", "used_as_numbers"]

Ints = npt.NDArray[np.int64]

KINDS = {"min": "least", "max": "largest", "last": "last"}
FORMS = "min:COLUMN, max:COLUMN, last:COLUMN or mean"


@dataclass(frozen=True)
class Reduction:
    """How a group of rows becomes one row; make one with :func:`parse_reduce`.

    Parameters
    ----------
    kind : {"min", "max", "last", "mean"}
        The row with the least or the largest value of the column, the one that comes last by it, or the mean.
    column : str
        The column that decides; empty for a mean.
    """

    kind: str
    column: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.column}" if self.column else self.kind

    @property
    def words(self) -> str:
        """What is kept, such as ``the row with the least loss``."""
        return f"the row with the {KINDS[self.kind]} {self.column}" if self.column else "the geometric mean"

    @property
    def chooses(self) -> bool:
        """Whether noise decides which row it takes; the last checkpoint of a run is the last in every resample."""
        return self.kind in ("min", "max")


def parse_reduce(text: str) -> Reduction:
    """Read a reduction as it is written on a command line.

    Parameters
    ----------
    text : str
        ``min:loss``, ``max:acc``, ``last:step`` or ``mean``.

    Returns
    -------
    Reduction
        The rule.

    Raises
    ------
    DataError
        For anything else.

    Examples
    --------
    >>> parse_reduce("min:loss").words
    'the row with the least loss'
    """
    kind, colon, column = (part.strip() for part in text.partition(":"))
    if kind == "mean":
        if colon:
            raise DataError(f"reduce is {text!r}; a mean takes no column, for it averages every number: write mean")
        return Reduction("mean")
    if kind not in KINDS:
        raise DataError(f"reduce is {text!r}. Need {FORMS}, such as min:loss")
    if not column:
        raise DataError(f"reduce is {text!r}, which names no column. Need {FORMS}, such as {kind}:loss")
    return Reduction(kind, column.strip("`"))


def group_columns(text: str) -> tuple[str, ...]:
    """Read the columns of groups: names apart by commas, in backquotes where they hold one.

    Raises
    ------
    DataError
        When there is no name.

    Examples
    --------
    >>> group_columns("params, `lr, peak`")
    ('params', 'lr, peak')
    """
    pieces = [piece.strip().strip("`") for piece in re.findall(r"(?:`[^`]*`|[^,])+", text)]
    names = tuple(dict.fromkeys(piece for piece in pieces if piece))
    if not names:
        raise DataError(f"group_by is {text!r}, which names no column. Need columns such as params,tokens")
    return names


def used_as_numbers(names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of groups that are numbers by their meaning: sizes, tokens, steps; the others are labels."""
    return tuple(name for name in names if name in ALIASES)


@dataclass(frozen=True, eq=False)
class RowChoice:
    """The rows from which one was chosen for each group.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        All rows of the groups, sorted by group and, within it, from the best on.
    bounds : array of int, shape (G + 1,)
        Where each group begins in the frame.
    rule : Reduction
        How one was chosen.
    """

    frame: pd.DataFrame
    bounds: Ints
    rule: Reduction

    @property
    def best(self) -> pd.Index[Any]:
        """Row numbers of the chosen rows, one for each group."""
        return self.frame.index[self.bounds[:-1]]

    def of_rows(self, rows: pd.Index[Any]) -> RowChoice:
        """Keep the groups of these chosen rows, in their order."""
        places = self.best.get_indexer(rows)
        parts = [np.arange(self.bounds[i], self.bounds[i + 1]) for i in places]
        sizes = np.array([len(part) for part in parts], dtype=np.int64)
        return RowChoice(self.frame.iloc[np.concatenate(parts)], np.concatenate([[0], np.cumsum(sizes)]), self.rule)

    def draw(self, groups: Ints, generator: np.random.Generator) -> Ints:
        """Choose again in a resample of the rows of each group.

        Parameters
        ----------
        groups : array of int, shape (k,)
            Groups, of which one may occur more than once.
        generator : Generator
            Of random numbers.

        Returns
        -------
        array of int, shape (k,)
            Position in the frame of the row that each resample prefers: of as many rows drawn with replacement as the
            group has, the first in order. The least of n uniform numbers is drawn directly.
        """
        size = np.diff(self.bounds)[groups]
        least = 1.0 - generator.random(len(groups)) ** (1.0 / size)
        return np.asarray(self.bounds[groups] + np.minimum((least * size).astype(np.int64), size - 1), dtype=np.int64)
