"""Columns computed from others, in the language of laws: ``err = 1 - acc``, ``tokens = batch_tokens*step``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalefit.data.quantities import BadCells, Numbers
from scalefit.errors import DataError, LawError
from scalefit.law import tree
from scalefit.law.general import GeneralLaw
from scalefit.law.syntax import Expression, Reader, names_in
from scalefit.numbers import as_input

__all__ = ["Formula", "dotted_name", "parse_formula"]

Floats = npt.NDArray[np.float64]

REMEDY: Final = (
    "Expressions divide by zero there, or take the logarithm, the root or a power of a number that has none. Correct "
    "the expression or the cells, or leave such rows out with a condition (where)."
)


@dataclass(frozen=True)
class Formula:
    """An expression of columns; make one with :func:`parse_formula`.

    Parameters
    ----------
    target : str
        The column that it computes.
    expression : Expression
        As it was written.
    """

    target: str
    expression: Expression

    def __str__(self) -> str:
        return str(self.expression)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is computed from, each once."""
        return tuple(dict.fromkeys(name.name for name in names_in(self.expression)))

    def series(self, frame: pd.DataFrame, numbers: Callable[[str], Numbers]) -> tuple[pd.Series[Any], BadCells | None]:
        """Compute the column.

        Parameters
        ----------
        frame : DataFrame, shape (n, p)
            The table, for its rows.
        numbers : callable
            Returns a column of the formula as numbers; a cell that is none makes the result bad.

        Returns
        -------
        Series, shape (n,), float64
            NaN where a cell is missing, bad, or the result is not a number.
        BadCells or None
            The rows without a result, with their reason.
        """
        read = {name: numbers(name) for name in self.columns}
        inputs = {name: column.floats for name, column in read.items()}
        body = GeneralLaw(self.target, self.expression).body
        with np.errstate(all="ignore"):
            result = np.broadcast_to(tree.evaluate(body, inputs, {}), len(frame)).astype(np.float64)
        problems: dict[int, str] = {}
        texts: dict[int, str] = {}
        for column in read.values():
            if column.bad is not None:
                problems |= column.bad.problems
                texts |= {place: str(column.bad.column.iloc[place]) for place in column.bad.problems}
        known = np.logical_and.reduce(
            [np.isfinite(values) for values in inputs.values()] or [np.ones(len(frame), bool)]
        )
        for place in np.flatnonzero(known & ~np.isfinite(result)):
            values = ", ".join(f"{name} = {as_input(float(inputs[name][place]))}" for name in self.columns)
            texts[int(place)] = f"{self} with {values}"
            problems[int(place)] = "is not a finite number"
        if not problems:
            return pd.Series(result, index=frame.index), None
        result[list(problems)] = np.nan
        cells = np.full(len(frame), None, dtype=object)
        for row, text in texts.items():
            cells[row] = text
        shown = pd.Series(cells, index=frame.index, name=self.target, dtype=object)
        shown.attrs = dict(frame.attrs)
        bad = next((column.bad for column in read.values() if column.bad is not None), None)
        return pd.Series(result, index=frame.index), BadCells(
            shown, dict(sorted(problems.items())), REMEDY if bad is None else f"{bad.remedy} {REMEDY}"
        )


def parse_formula(target: str, text: str) -> Formula:
    """Read an expression of columns.

    Parameters
    ----------
    target : str
        The column that it computes.
    text : str
        Names of columns (odd ones in backquotes), numbers, ``+ - * / ^``, parentheses and the functions of laws.

    Returns
    -------
    Formula
        Not yet bound to a table.

    Raises
    ------
    DataError
        With a caret under the spot that cannot be read.

    Examples
    --------
    >>> parse_formula("err", "1 - acc").columns
    ('acc',)
    """
    try:
        reader = Reader(text)
        expression = reader.expression(reader.tokens, len(reader.text))
        grouped = next((name for name in names_in(expression) if name.groups), None)
        if grouped is not None:
            raise LawError(f"cannot read it: {grouped} has brackets, which only a parameter of a law has")
    except LawError as error:
        message = str(error).replace("cannot read the law", "cannot read it", 1)
        name = dotted_name(text)
        remedy = f"\nIn an expression a column with such a name stands in backquotes: `{name}`." if name else ""
        raise DataError(f"the column {target} = {text}: {message}{remedy}") from None
    return Formula(target, expression)


def dotted_name(text: str) -> str:
    """Return the first name with dots that stands without backquotes, such as a column of nested JSON; empty if none.

    Examples
    --------
    >>> dotted_name("0.5*step*config.batch_tokens"), dotted_name("step*`config.batch_tokens`")
    ('config.batch_tokens', '')
    """
    found = re.search(r"(?<![\w.])[^\W\d]\w*(?:\.\w+)+", re.sub("`[^`]*`", "", text))
    return found[0] if found else ""
