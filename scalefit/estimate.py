"""One number with its uncertainty: the only such type, for fits, posteriors, published values and optima."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scalefit.files import plain_json
from scalefit.names import Key, Level, printed_name
from scalefit.numbers import plus_minus, rounded_interval, rounded_range, two_digits

__all__ = ["SPREADS", "Estimate", "Spread", "estimate_columns"]

Array = NDArray[np.float64]
Spread = Literal["posterior", "bootstrap", "normal approximation", "published"]
"""Where the error of an estimate comes from."""

KERNELS = 400  # quantiles that represent the draws in a density
SPREADS = {
    "posterior": "probability",
    "bootstrap": "share of replicates, not a probability",
    "normal approximation": "mass of a normal around the estimate, not a probability",
    "published": "mass of a normal with the printed error",
}
"""What :meth:`Estimate.below` and :meth:`Estimate.inside` return, by kind of spread."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number, its error and its interval, in the units of the table.

    Parameters
    ----------
    coefficient : str
        The parameter's name in the law, or that of a quantity; empty for a published number.
    kind : str
        Its role: ``floor``, ``coefficient``, ``exponent`` and, in a posterior, ``scale``, ``common`` or ``spread``;
        ``quantity`` for numbers derived from parameters.
    value, se, lo, hi : float
        Estimate or posterior mean, standard error or deviation, ends of the interval; NaN where there are none.
    level : tuple of str
        The labels of its level; empty for a parameter with one value.
    spread : {"posterior", "bootstrap", "normal approximation", "published"}
        The meaning of error, interval and draws; see :data:`SPREADS`.
    probability : float
        Of the interval.
    draws : array, shape (R,), or None
        Equally weighted draws or replicates, in the order of the fit's (NaN where a replicate has none); None for a
        normal.
    log_value, log_se : float or None
        The same of the logarithm, for coefficients.
    gauss_newton : float
        Standard error under independent rows of equal scatter; NaN where there is none.

    Examples
    --------
    >>> alpha = Estimate("alpha", "exponent", 0.35, 0.02, 0.31, 0.39, level=("OPT",))
    >>> alpha.name, round(alpha.below(0.33), 3), alpha.holds(0.33)
    ('alpha[OPT]', 0.159, True)
    >>> print(alpha)
    alpha[OPT] 0.350 ± 0.020 [0.310, 0.390]
    """

    coefficient: str
    kind: str
    value: float
    se: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    level: Level = ()
    spread: Spread = "normal approximation"
    probability: float = 0.95
    draws: Array | None = None
    log_value: float | None = None
    log_se: float | None = None
    gauss_newton: float = math.nan

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Estimate):
            return NotImplemented
        return all(_same(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))

    def __hash__(self) -> int:
        return hash((self.key, self.kind, self.value))

    def __str__(self) -> str:
        """Return name, value with its error, and interval; a coefficient whose error would reach 0 has none."""
        loose = self.log_value is not None and not self.se < self.value
        number = two_digits(self.value) if loose else plus_minus(self.value, self.se)
        interval = rounded_range(self.lo, self.hi) if loose else rounded_interval(self.lo, self.hi, self.se)
        return " ".join(filter(None, (self.name, number, "" if math.isnan(self.lo) else interval)))

    @property
    def key(self) -> Key:
        """Its identity: coefficient and level."""
        return self.coefficient, self.level

    @property
    def name(self) -> str:
        """As printed: ``E[OPT,wikitext]``; empty for a published number."""
        return printed_name(*self.key) if self.coefficient else ""

    @property
    def is_known(self) -> bool:
        """Whether there is a number: a failed fit has none."""
        return math.isfinite(self.value)

    def holds(self, number: float) -> bool:
        """Whether a number lies in the interval; False without an interval."""
        return self.lo <= number <= self.hi

    def below(self, limit: float) -> float:
        """Probability (or share, see :data:`SPREADS`) of a value below ``limit``."""
        if self.draws is None:
            from scipy import special

            return float(special.ndtr((limit - self.value) / self.se))
        return float(np.mean(_finite(self.draws) < limit))

    def inside(self, region: tuple[float, float]) -> float:
        """Probability (or share) of a value in ``region``."""
        if self.draws is None:
            return self.below(region[1]) - self.below(region[0])
        draws = _finite(self.draws)
        return float(np.mean((draws >= region[0]) & (draws < region[1])))

    def quantiles(self, number: int) -> Array:
        """Return equally likely values, shape (number,): the medians of that many slices of equal probability."""
        middles = (np.arange(number) + 0.5) / number
        if self.draws is None:
            from scipy import special

            return np.asarray(self.value + self.se * special.ndtri(middles))  # also where the error is 0
        return np.quantile(_finite(self.draws), middles)

    def density(self, x: Array) -> Array:
        """Return the density at ``x``, shape as ``x``: the normal, or a kernel estimate from quantiles of the draws."""
        from scipy import stats

        if self.draws is None:
            return np.asarray(stats.norm.pdf(x, self.value, self.se))
        width = len(_finite(self.draws)) ** -0.2  # Scott's rule for all draws
        return np.asarray(stats.gaussian_kde(self.quantiles(KERNELS), width)(x))

    def as_log(self) -> Estimate:
        """Return the same of the logarithm; without draws the error is to first order."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.draws is None:
                from scalefit.quantiles import normal_quantile

                middle, error = math.log(self.value), self.se / self.value
                reach = normal_quantile((1 + self.probability) / 2) * error
                return replace(self, value=middle, se=error, lo=middle - reach, hi=middle + reach)
            draws = np.log(self.draws)
            known = _finite(draws)
            lo, hi = np.quantile(known, [(1 - self.probability) / 2, (1 + self.probability) / 2])
            mean = float(known.mean())
            return replace(self, value=mean, se=float(known.std(ddof=1)), lo=float(lo), hi=float(hi), draws=draws)

    def numbers(self) -> dict[str, Any]:
        """Return ``estimate``, ``se`` and ``interval`` as plain JSON, as every verb prints them; null for no number."""
        return dict(plain_json({"estimate": self.value, "se": self.se, "interval": [self.lo, self.hi]}))

    def record(self) -> dict[str, Any]:
        """Return the estimate as plain JSON.

        Returns
        -------
        dict
            ``name`` as printed, ``coefficient``, ``level`` as a list of labels, ``kind, estimate, se, interval,
            log_estimate, log_se``; a number that is not finite is null.
        """
        about = {"name": self.name, "coefficient": self.coefficient, "level": list(self.level), "kind": self.kind}
        logs = {"log_estimate": self.log_value, "log_se": self.log_se}
        return about | self.numbers() | dict(plain_json(logs))


def _same(first: Any, other: Any) -> bool:
    """Compare two fields; numbers that are missing from both count as equal."""
    if isinstance(first, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(first, other, equal_nan=True)
    missing = isinstance(first, float) and isinstance(other, float) and math.isnan(first) and math.isnan(other)
    return missing or (first is other) or bool(first == other)


def estimate_columns(estimates: Iterable[Estimate]) -> dict[str, dict[str, Any]]:
    """Return ``estimate, se, interval, log_estimate, log_se`` of several, each by printed name, as plain JSON."""
    records = [estimate.record() for estimate in estimates]
    columns = {name: {record["name"]: record[name] for record in records} for name in ("estimate", "se", "interval")}
    logs = [record for record in records if record["log_estimate"] is not None]
    return columns | {name: {record["name"]: record[name] for record in logs} for name in ("log_estimate", "log_se")}


def _finite(draws: Array) -> Array:
    return draws[np.isfinite(draws)]
