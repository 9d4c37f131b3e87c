"""What any law can be asked, so that the code that asks need not know its form.

Two classes answer: :class:`scalefit.law.additive.Law`, a floor and powers of single columns, and
:class:`scalefit.law.general.GeneralLaw`, any closed form. What only the first can do calls
:func:`scalefit.law.general.sum_of_powers`; what takes every law as the second calls
:func:`scalefit.law.general.general_form`; and :func:`scalefit.binding.bind_law` chooses how a law is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scalefit.law.additive import Coef, Term
from scalefit.law.declared import Declared

__all__ = ["AnyLaw"]

Array = NDArray[np.float64]


class AnyLaw(Protocol):
    """A law of any form. It is frozen; two laws are equal where their text is, and ``parse_law(str(law)) == law``."""

    # What stands in it.

    @property
    def response(self) -> str:
        """The column that the law predicts."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The numeric columns on the right-hand side, each once."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The label columns that appear in brackets, each once."""

    @property
    def parameters(self) -> tuple[Coef, ...]:
        """Every parameter that is estimated, once, in the order of the law."""

    @property
    def exponents(self) -> tuple[Coef, ...]:
        """The parameters that occur in exponents and nowhere else."""

    @property
    def floor(self) -> Coef | Fraction | None:
        """What is left when every term has vanished; None for 0 and where the form of the law does not show it."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """The powers of single columns that the law adds up; empty where it has another form."""

    @property
    def twins(self) -> tuple[tuple[Coef, Coef, Coef, Coef], ...]:
        """Pairs of terms that only their names tell apart: coefficient and exponent of one, then of the other."""

    @property
    def written(self) -> str:
        """Its text as the author wrote it: without bounds that were assumed."""

    # What is known of its parameters.

    def kind_of(self, coef: Coef) -> str:
        """Return the kind of a parameter, as :class:`scalefit.problem.Parameter` has it."""

    def bounds(self, name: str) -> tuple[float, float]:
        """Return lower and upper bound of a parameter."""

    @property
    def assumed(self) -> tuple[Declared, ...]:
        """The parameters whose bounds are assumed."""

    # What it becomes.

    @property
    def is_decided(self) -> bool:
        """Whether every name in it is known to be a column or a parameter."""

    def decided(self, columns: Collection[str], also: Collection[str] = ()) -> AnyLaw:
        """Return the law with names decided by the columns of a table, and by other quantities found in it."""

    def assuming(self, names: Collection[str]) -> AnyLaw:
        """Return the law with the bounds of these parameters marked as assumed."""

    def holding(self, values: Mapping[str, float]) -> AnyLaw:
        """Return the law with some parameters fixed at numbers; in a sum of powers these are exponents."""

    # How it meets a table.

    def needs(self, space: str = "log") -> dict[str, str]:
        """Return the numeric columns that need not be positive, and whether ``any`` number or a ``nonnegative`` one."""

    def evaluate(self, columns: Mapping[str, Array], values: Callable[[Coef], Array]) -> Array:
        """Return the response at rows, from columns of shape (n,) and parameters of shape (1,), (n,), (R, 1) or (R, n).

        Coefficients and positive parameters are given as logs.
        """

    @property
    def has_certified_search(self) -> bool:
        """Whether it is a floor and powers of columns, or of products of columns, for a response above 0."""
