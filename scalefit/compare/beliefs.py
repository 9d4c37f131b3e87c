"""What one source says about one parameter: a posterior, a bootstrap, a printed number with its error."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scalefit.errors import DataError, closest
from scalefit.results import Fit

__all__ = ["KINDS", "Belief", "beliefs_of", "published_belief", "split_names"]

Array = NDArray[np.float64]

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
        The parameter's name there.
    kind : {"posterior", "bootstrap", "normal approximation", "published"}
        What the spread means; see :data:`KINDS`.
    value, se, lo, hi : float
        Posterior mean or estimate, standard deviation or error, ends of the interval.
    level : float
        Probability of the interval.
    draws : array, shape (R,), or None
        Equally weighted draws or replicates; None for a normal.
    rows : frozenset of (str, int)
        Hash of the table and number of each row behind it; empty for a published number.
    status : str
        Of the fit; ``printed`` for a published number.
    """

    label: str
    parameter: str
    kind: str
    value: float
    se: float
    lo: float
    hi: float
    level: float
    draws: Array | None = None
    rows: frozenset[tuple[str, int]] = frozenset()
    status: str = "printed"

    def below(self, limit: float) -> float:
        """Probability (or share, see :data:`KINDS`) of a value below ``limit``."""
        if self.draws is None:
            return float(stats.norm.cdf(limit, self.value, self.se))
        return float(np.mean(self.draws < limit))

    def inside(self, region: tuple[float, float]) -> float:
        """Probability (or share) of a value in ``region``."""
        return self.below(region[1]) - self.below(region[0])

    def quantiles(self, number: int) -> Array:
        """Return equally likely values, shape (number,): the middles of so many slices."""
        middles = (np.arange(number) + 0.5) / number
        if self.draws is None:
            return np.asarray(stats.norm.ppf(middles, self.value, self.se))
        return np.quantile(self.draws, middles)

    def density(self, x: Array) -> Array:
        """Return the density at ``x``, shape as ``x``: a kernel estimate of the draws, or the normal."""
        if self.draws is None:
            return np.asarray(stats.norm.pdf(x, self.value, self.se))
        return np.asarray(stats.gaussian_kde(self.draws)(x))


def split_names(text: str) -> tuple[str, ...]:
    """Split ``a_m,alpha[OPT,c4]`` at the commas outside brackets."""
    return tuple(part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip())


def beliefs_of(fit: Fit, names: Sequence[str], label: str) -> tuple[Belief, ...]:
    """Read what a fit says about a parameter.

    Parameters
    ----------
    fit : Fit
        Least squares or Bayes.
    names : sequence of str
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
        When the fit has none of the names.
    """
    for name in names:
        own = [one for one in fit.parameters if one.name == name] or [
            one for one in fit.parameters if one.coef.name == name
        ]
        if own:
            return tuple(
                _belief(fit, one.name, f"{label}, {','.join(one.level)}" if one.level else label) for one in own
            )
    wanted = " or ".join(repr(name) for name in names)
    raise DataError(f"{label} has no parameter {wanted}; {closest(names[0], fit.names)}")


def _belief(fit: Fit, name: str, label: str) -> Belief:
    one, spread = fit[name], fit.uncertainty
    draws = None if spread.draws is None else fit.draws(name)
    if draws is not None:
        draws = draws[np.isfinite(draws)]  # a bootstrap without a level has no value for it
    kind = "posterior" if fit.posterior is not None else "normal approximation" if draws is None else "bootstrap"
    rows = frozenset((fit.source.sha256, int(row)) for row in fit.rows.index)
    return Belief(label, name, kind, one.value, one.se, one.lo, one.hi, spread.level, draws, rows, fit.status)


def published_belief(label: str, value: float, error: float | None, *, level: float = 0.95) -> Belief:
    """Take a printed number as a normal distribution.

    Parameters
    ----------
    label : str
        Whose number.
    value, error : float
        As printed; the error is a standard error.
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
    if not math.isfinite(value):
        raise DataError(f"published {label}: the value is {value}; it must be finite")
    if error is None or not (math.isfinite(error) and error > 0):
        raise DataError(
            f"published {label}: the error is {error}; a comparison needs a positive standard error, "
            f"written {label}=0.91,0.04"
        )
    lo, hi = stats.norm.interval(level, value, error)
    return Belief(label, "", "published", value, error, float(lo), float(hi), level)
