"""What a run costs: a number times powers of columns, such as ``6*params*tokens``.

Grammar (``^`` and ``**`` are the same)::

    cost  = piece { "*" piece }
    piece = number | column [ "^" power ]
    power = number | "(" number "/" number ")"
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.law.additive import STEEPEST, format_value
from scalefit.numbers import exact

__all__ = ["BY_SHAPE", "BY_SIZE", "Cost"]

Array = NDArray[np.float64]

LONGEST = 300  # characters
BY_SIZE, BY_SHAPE = "6*params*tokens", "72*width^2*depth*tokens"
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?"
_PIECE = re.compile(
    rf"\s*(?:(?P<number>{_NUMBER})(?![\w.])|(?P<column>[A-Za-z_]\w*)"
    rf"(?P<raised>\s*(?:\^|\*\*)\s*(?:(?P<power>{_NUMBER})|\(\s*(?P<above>{_NUMBER})\s*/\s*(?P<below>{_NUMBER})\s*\)))?)"
    r"\s*"
)
_TIMES = re.compile(r"\*(?!\*)")


@dataclass(frozen=True)
class Cost:
    """A number times powers of columns; every power is positive, so that more of anything costs more.

    Build one with :meth:`parse`. ``Cost.parse(str(cost)) == cost`` for every cost.

    Parameters
    ----------
    factor : Fraction
        The number in front.
    powers : tuple of (str, Fraction)
        Columns with their powers, in the order written.
    """

    factor: Fraction
    powers: tuple[tuple[str, Fraction], ...]

    @classmethod
    def parse(cls, text: str) -> Cost:
        """Read a cost.

        Parameters
        ----------
        text : str
            Such as ``"6*params*tokens"`` or ``"72*width^2*depth*tokens"``.

        Returns
        -------
        Cost
            All numbers multiplied into one.

        Raises
        ------
        DataError
            With a caret under the spot that cannot be read.
        """
        if len(text) > LONGEST:
            raise DataError(
                f"the cost has {exact(len(text))} characters; a number times columns takes at most {LONGEST}"
            )
        factor, powers, at = Fraction(1), dict[str, Fraction](), 0
        while True:
            match = _PIECE.match(text, at)
            if match is None:
                raise _unreadable(text, at, "expected a number or the name of a column")
            if match["column"] is None:
                factor *= Fraction(match["number"])
            elif match["column"] in powers:
                raise _unreadable(text, match.start("column"), f"{match['column']} stands twice; give it one power")
            else:
                powers[match["column"]] = _power(match, text)
            at = match.end()
            if at == len(text):
                break
            times = _TIMES.match(text, at)
            if times is None:
                raise _unreadable(text, at, "pieces are joined by '*'; a cost rises with each of its columns")
            at = times.end()
        if any(power > STEEPEST for power in powers.values()):
            raise _unreadable(text, 0, f"a power above {STEEPEST} leaves double precision")
        if factor == 0 or not powers:
            raise _unreadable(text, 0, "a cost is a positive number times columns, such as 6*params*tokens")
        return cls(factor, tuple(powers.items()))

    def __str__(self) -> str:
        numbers = [] if self.factor == 1 else [format_value(self.factor)]
        return "*".join(
            numbers + [name if power == 1 else f"{name}^{format_value(power)}" for name, power in self.powers]
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that cost something."""
        return tuple(name for name, _ in self.powers)

    @property
    def log_factor(self) -> float:
        """Log of the number in front."""
        return math.log(self.factor.numerator) - math.log(self.factor.denominator)

    @property
    def assumes(self) -> str:
        """What the cost counts and what it leaves out, in words."""
        if str(self) == BY_SIZE:
            return "6 FLOP per parameter and token, forward and backward (Kaplan et al. 2020); attention is not counted"
        if self == Cost.parse(BY_SHAPE):
            return (
                "6 FLOP per parameter and token with 12 depth width^2 parameters; embeddings and attention are not "
                "counted"
            )
        return "as given, in the units of its columns"

    def of(self, rows: pd.DataFrame | Mapping[str, Array]) -> Array:
        """Return the cost of each row, shape (n,)."""
        logs = sum(float(power) * np.log(np.asarray(rows[name], float)) for name, power in self.powers)
        return np.asarray(np.exp(self.log_factor + logs))


def _power(match: re.Match[str], text: str) -> Fraction:
    if match["raised"] is None:
        return Fraction(1)
    above, below = (match["power"], "1") if match["power"] else (match["above"], match["below"])
    if Fraction(above) == 0 or Fraction(below) == 0:
        raise _unreadable(text, match.start("column"), "a power is a positive number; leave the column out")
    return Fraction(above) / Fraction(below)


def _unreadable(text: str, at: int, reason: str) -> DataError:
    spot = at + len(text[at:]) - len(text[at:].lstrip())
    return DataError(f"cannot read the cost: {reason}\n  {text}\n  {' ' * spot}^")
