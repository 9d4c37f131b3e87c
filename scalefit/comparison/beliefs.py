"""What one source says about one parameter: a posterior, a bootstrap, a printed number with its error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scalefit.errors import DataError, closest
from scalefit.names import Key, Level, printed_level, printed_name, read_name
from scalefit.problem import Parameter, rows_at
from scalefit.records import CONVERGED, NOT_IDENTIFIED
from scalefit.results import Fit

__all__ = ["KINDS", "Belief", "beliefs_of", "published_belief"]

HUGE = 1e100  # beyond it squares of printed numbers leave double precision

Array = NDArray[np.float64]

KERNELS = 400  # quantiles that stand for the draws in a density
KINDS = {
    "posterior": "probability",
    "bootstrap": "share of replicates, not a probability",
    "normal approximation": "mass of a normal around the estimate, not a probability",
    "published": "mass of a normal with the printed error",
}


@dataclass(frozen=True, eq=False)
class Belief:
    """One number with its uncertainty, and of which kind that uncertainty is.

    Parameters
    ----------
    label : str
        The source's name.
    parameter : str
        The parameter's name there, as printed; empty for a published number.
    kind : {"posterior", "bootstrap", "normal approximation", "published"}
        What the spread means; see :data:`KINDS`.
    value, se, lo, hi : float
        Posterior mean or estimate, standard deviation or error, ends of the interval.
    level : float
        Probability of the interval.
    status : str
        Of this parameter in the fit; ``printed`` for a published number.
    draws : array, shape (R,), or None
        Equally weighted draws or replicates, in the order of the fit's (NaN where a replicate has none); None for a
        normal.
    table : str
        Hash of the table behind it; empty when not known.
    rows : frozenset of int
        Its rows there; empty when not known.
    origin : str
        The fit that it comes from; levels of one fit have the same. Empty for a published number.
    is_log : bool
        Whether the number is a factor, which is compared by its logarithm.
    coefficient : str
        The parameter's name in the law; empty for a published number.
    labels : tuple of str
        The labels of its level; empty for one value.
    """

    label: str
    parameter: str
    kind: str
    value: float
    se: float
    lo: float
    hi: float
    level: float
    status: str = "printed"
    draws: Array | None = None
    table: str = ""
    rows: frozenset[int] = frozenset()
    origin: str = ""
    is_log: bool = False
    coefficient: str = ""
    labels: Level = ()

    def below(self, limit: float) -> float:
        """Probability (or share, see :data:`KINDS`) of a value below ``limit``."""
        if self.draws is None:
            return float(stats.norm.cdf(limit, self.value, self.se))
        return float(np.mean(_finite(self.draws) < limit))

    def inside(self, region: tuple[float, float]) -> float:
        """Probability (or share) of a value in ``region``."""
        return self.below(region[1]) - self.below(region[0])

    def quantiles(self, number: int) -> Array:
        """Return equally likely values, shape (number,): the middles of so many slices."""
        middles = (np.arange(number) + 0.5) / number
        if self.draws is None:
            return np.asarray(self.value + self.se * stats.norm.ppf(middles))  # also where the error is 0
        return np.quantile(_finite(self.draws), middles)

    def density(self, x: Array) -> Array:
        """Return the density at ``x``, shape as ``x``: the normal, or a kernel estimate from quantiles of the draws."""
        if self.draws is None:
            return np.asarray(stats.norm.pdf(x, self.value, self.se))
        width = len(_finite(self.draws)) ** -0.2  # Scott's rule for all draws
        return np.asarray(stats.gaussian_kde(self.quantiles(KERNELS), width)(x))

    def as_log(self) -> Belief:
        """Return the same of the logarithm; a published number's error to first order."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.draws is None:
                error = self.se / self.value
                lo, hi = stats.norm.interval(self.level, math.log(self.value), error)
                return replace(self, value=math.log(self.value), se=error, lo=float(lo), hi=float(hi))
            draws = np.log(self.draws)
            known = _finite(draws)
            lo, hi = np.quantile(known, [(1 - self.level) / 2, (1 + self.level) / 2])
            mean = float(known.mean())
            return replace(self, value=mean, se=float(known.std(ddof=1)), lo=float(lo), hi=float(hi), draws=draws)


def _finite(draws: Array) -> Array:
    return draws[np.isfinite(draws)]


def beliefs_of(fit: Fit, names: Sequence[str | Key], label: str) -> tuple[Belief, ...]:
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
    tuple of Belief
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
        exact = [one for one in fit.parameters if one.key == (coefficient, level)]
        own = exact or [one for one in fit.parameters if one.coef.name == coefficient and not level]
        if own:
            named = [(one, f"{label}, {printed_level(one.level)}" if one.level else label) for one in own]
            return tuple(_belief(fit, one, text, label) for one, text in named)
    printed = [printed_name(*key) for key in keys]
    wanted = " or ".join(map(repr, printed))
    raise DataError(f"{label} has no parameter {wanted}; {closest(printed[0], fit.names)}")


def _belief(fit: Fit, parameter: Parameter, label: str, origin: str) -> Belief:
    one, spread = fit[parameter.key], fit.uncertainty
    draws = None if spread.draws is None else fit.draws(one.key)
    kind = "posterior" if fit.posterior is not None else "normal approximation" if draws is None else "bootstrap"
    groups = parameter.coef.groups if parameter.level else ()  # a common value is of all levels
    rows = fit.rows[rows_at(fit.rows, groups, parameter.level)]
    return Belief(
        label, one.name, kind, one.value, one.se, one.lo, one.hi, spread.level, _status(fit, one.key), draws,
        fit.source.sha256, frozenset(map(int, rows.index)), origin, parameter.is_log, *one.key,
    )  # fmt: skip


def _status(fit: Fit, key: Key) -> str:
    """Tell whether this parameter is identified: a floor at 0 says nothing against an exponent."""
    if fit.status != NOT_IDENTIFIED:
        return fit.status
    guilty = [one for one in fit.findings if one.severity == NOT_IDENTIFIED and (key in one.about or not one.about)]
    return NOT_IDENTIFIED if guilty else CONVERGED


def published_belief(label: str, value: float, error: float | None, *, table: str = "", level: float = 0.95) -> Belief:
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
    Belief
        Of kind ``published``.

    Raises
    ------
    DataError
        Without a positive error: a number alone cannot be compared.
    """
    if not abs(value) < HUGE:
        raise DataError(f"published {label}: the value is {value}; it must be finite, and smaller than {HUGE:g}")
    if error is None or not (math.isfinite(error) and error > 0):
        raise DataError(
            f"published {label}: the error is {error}; a comparison needs a positive standard error, "
            f"written {label}=0.91,0.04"
        )
    if not 1 / HUGE < error < HUGE:
        raise DataError(f"published {label}: the error is {error}; it must lie between {1 / HUGE:g} and {HUGE:g}")
    lo, hi = stats.norm.interval(level, value, error)
    return Belief(label, "", "published", value, error, float(lo), float(hi), level, table=table)
