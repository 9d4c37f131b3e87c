"""What one source says about one parameter: a posterior, a bootstrap, a printed number with its error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scalefit.errors import DataError, closest
from scalefit.estimate import Estimate
from scalefit.names import Key, printed_level, printed_name, read_name
from scalefit.numbers import as_input
from scalefit.problem import Parameter, rows_at
from scalefit.quantiles import normal_quantile
from scalefit.records import CONVERGED, NOT_IDENTIFIED
from scalefit.results import Fit

__all__ = ["Compared", "compared_of", "compared_published"]

HUGE = 1e100  # beyond it squares of printed numbers leave double precision


@dataclass(frozen=True, eq=False)
class Compared:
    """What one source says about the parameter in question.

    Parameters
    ----------
    label : str
        The source's name.
    estimate : Estimate
        The number.
    status : str
        Of this parameter in the fit; ``printed`` for a published number.
    table : str
        Hash of the table behind it; empty when not known.
    rows : frozenset of int
        Its rows there; empty when not known.
    origin : str
        The fit that it comes from; levels of one fit have the same. Empty for a published number.
    is_log : bool
        Whether the number is a factor, which is compared by its logarithm.
    resamples : tuple or None
        What the bootstrap behind it resampled; sources with the same value are compared replicate by replicate.
    """

    label: str
    estimate: Estimate
    status: str = "printed"
    table: str = ""
    rows: frozenset[int] = frozenset()
    origin: str = ""
    is_log: bool = False
    resamples: tuple[object, ...] | None = None

    @property
    def is_posterior(self) -> bool:
        """Whether its probabilities are those of a posterior."""
        return self.estimate.spread == "posterior"


def compared_of(fit: Fit, names: Sequence[str | Key], label: str) -> tuple[Compared, ...]:
    """Read what a fit says about a parameter.

    Parameters
    ----------
    fit : Fit
        Least squares or Bayes.
    names : sequence of str or (str, tuple of str)
        The parameter, and what other fits call it; the first that this fit has is taken. A name without its level,
        such as ``alpha`` for ``alpha[family]``, stands for all levels.
    label : str
        The source's name.

    Returns
    -------
    tuple of Compared
        One, or one per level.

    Raises
    ------
    DataError
        When the fit has none of the names, or one cannot be read.
    """
    try:
        keys = [read_name(name) for name in names]
    except ValueError as error:
        raise DataError(str(error)) from None
    for coefficient, level in keys:
        exact = [parameter for parameter in fit.parameters if parameter.key == (coefficient, level)]
        own = exact or [parameter for parameter in fit.parameters if parameter.coef.name == coefficient and not level]
        if own:
            named = [
                (parameter, f"{label}, {printed_level(parameter.level)}" if parameter.level else label)
                for parameter in own
            ]
            return tuple(_compared(fit, parameter, text, label) for parameter, text in named)
    printed = [printed_name(*key) for key in keys]
    wanted = " or ".join(map(repr, printed))
    raise DataError(f"{label} has no parameter {wanted}; {closest(printed[0], fit.names)}")


def _compared(fit: Fit, parameter: Parameter, label: str, origin: str) -> Compared:
    groups = parameter.coef.groups if parameter.level else ()  # a common value is of all levels
    rows = fit.rows[rows_at(fit.rows, groups, parameter.level)]
    return Compared(
        label, fit[parameter.key], _status(fit, parameter.key), fit.source.sha256, frozenset(map(int, rows.index)),
        origin, parameter.is_log, fit.resamples,
    )  # fmt: skip


def _status(fit: Fit, key: Key) -> str:
    """Tell whether this parameter is identified: a floor at 0 says nothing against an exponent."""
    if fit.status != NOT_IDENTIFIED:
        return fit.status
    guilty = [
        finding
        for finding in fit.findings
        if finding.severity == NOT_IDENTIFIED and (key in finding.about or not finding.about)
    ]
    return NOT_IDENTIFIED if guilty else CONVERGED


def compared_published(
    label: str, value: float, error: float | None, *, table: str = "", level: float = 0.95
) -> Compared:
    """Take a printed number as a normal distribution.

    Parameters
    ----------
    label : str
        Whose number.
    value, error : float
        As printed; the error is a standard error.
    table : str
        Hash of the table behind it, where that is known.
    level : float
        Probability of the interval.

    Returns
    -------
    Compared
        Its spread is ``published``.

    Raises
    ------
    DataError
        Without a positive error: a number alone is compared as a reference.
    """
    if not abs(value) < HUGE:
        raise DataError(
            f"published {label}: the value is {as_input(value)}; it must be finite, and smaller than {as_input(HUGE)}"
        )
    if error is None:
        number = as_input(value)
        raise DataError(
            f"published {label} is {number}, and no error is printed with it, so that it cannot be weighed against "
            f"others. Ask whether the interval of the fit includes the number alone: --reference {number} "
            f"(reference={number}); or give an error that you know: {label}={number},0.04"
        )
    if not (math.isfinite(error) and error > 0):
        raise DataError(
            f"published {label}: the error is {error}; a comparison needs a positive standard error, "
            f"written {label}=0.91,0.04"
        )
    if not 1 / HUGE < error < HUGE:
        raise DataError(
            f"published {label}: the error is {as_input(error)}; it must lie between "
            f"{as_input(1 / HUGE, 12)} and {as_input(HUGE)}"
        )
    reach = normal_quantile((1 + level) / 2) * error
    estimate = Estimate("", "", value, error, value - reach, value + reach, spread="published", probability=level)
    return Compared(label, estimate, table=table)
