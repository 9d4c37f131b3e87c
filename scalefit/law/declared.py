"""What a law says of one of its parameters: bounds, a value, or a tie to others."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from scalefit.law.syntax import Expression
from scalefit.numbers import as_input

__all__ = ["Declared"]


@dataclass(frozen=True)
class Declared:
    """What is known of a parameter before any data.

    Parameters
    ----------
    name : str
        The parameter.
    groups : tuple of str
        Its grouping columns.
    lower, upper : float
        Its bounds, infinite for none.
    value : Expression or None
        A number, or an expression of other parameters, that it equals; None where it is estimated.
    assumed : bool
        Whether the bounds were assumed and not written by the author; two laws that differ in this alone are equal.
    """

    name: str
    groups: tuple[str, ...] = ()
    lower: float = -math.inf
    upper: float = math.inf
    value: Expression | None = None
    assumed: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        if self.value is not None:
            return f"{self.name} = {self.value}"
        if math.isfinite(self.lower) and math.isfinite(self.upper):
            return f"{self.name} in [{as_input(self.lower)}, {as_input(self.upper)}]"
        if math.isfinite(self.lower):
            return f"{self.name} > {as_input(self.lower)}"
        return f"{self.name} < {as_input(self.upper)}" if math.isfinite(self.upper) else f"{self.name} free"
