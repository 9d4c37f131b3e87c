"""Priors as plain data: density, support, quantiles and notation.

Names and arguments are those of PyMC. The formula of a distribution takes the logarithm as an argument, so that it
works for arrays and for PyMC's graph.
"""

from __future__ import annotations

import ast
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, fields
from types import MappingProxyType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from scalefit.errors import DataError, closest
from scalefit.expression import parse_expression
from scalefit.numbers import as_input

__all__ = [
    "FAMILIES",
    "Exponential",
    "Gamma",
    "HalfNormal",
    "LogNormal",
    "Normal",
    "Prior",
    "TruncatedNormal",
    "Uniform",
    "parse_prior",
    "positive",
]

Array = NDArray[np.float64]

LARGEST = 1e50  # of the arguments of a prior
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Prior:
    """A proper distribution of one number. Abstract; the distributions below are final."""

    @property
    def support(self) -> tuple[float, float]:
        """The smallest and largest value that it allows."""
        return 0.0, math.inf

    @abstractmethod
    def formula(self, x: Any, log: Callable[[Any], Any]) -> Any:
        """Log density inside the support, of an array or of a symbol."""

    @abstractmethod
    def distribution(self) -> Any:
        """Return the same as a frozen distribution of :mod:`scipy.stats`."""

    def log_density(self, x: Array | float) -> Array:
        """Log density, ``-inf`` outside the support; the shape of ``x``."""
        x = np.asarray(x, dtype=float)
        lo, hi = self.support
        inside = (x >= lo) & (x <= hi)
        with np.errstate(divide="ignore"):
            return np.where(inside, self.formula(np.where(inside, x, self.middle), np.log), -np.inf)

    def sample(self, size: int | tuple[int, ...], seed: int | np.random.Generator) -> Array:
        """Draw independent values."""
        return np.asarray(self.distribution().rvs(size=size, random_state=np.random.default_rng(seed)))

    def cdf(self, x: Array | float) -> Array:
        """Probability of a value up to ``x``."""
        return np.asarray(self.distribution().cdf(x))

    def quantile(self, probability: Array | float) -> Array:
        """Value below which this probability lies."""
        return np.asarray(self.distribution().ppf(probability))

    @property
    def middle(self) -> float:
        """The median."""
        return float(self.quantile(0.5))

    @property
    def sd(self) -> float:
        """Standard deviation."""
        return float(self.distribution().std())

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(as_input(value, 6) for value in astuple(self))})"

    def _need_positive(self, *names: str) -> None:
        """Reject arguments for which there is no distribution."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in names and not 0 < value < math.inf:
                raise DataError(f"{self}: {field.name} is {as_input(value)}; it must be positive and finite")
            if math.isnan(value):
                raise DataError(f"{self}: {field.name} is not a number")
            small = field.name in names and value < 1 / LARGEST
            if small or LARGEST < abs(value) < math.inf:
                raise DataError(
                    f"{self}: {field.name} is {as_input(value)}; it must lie between {as_input(1 / LARGEST, 12)} and "
                    f"{as_input(LARGEST)}, because beyond that the density exceeds double precision"
                )


@final
@dataclass(frozen=True)
class HalfNormal(Prior):
    """A normal around 0, folded to positive values."""

    sigma: float

    def __post_init__(self) -> None:
        self._need_positive("sigma")

    def formula(self, x: Any, log: Callable[[Any], Any]) -> Any:  # noqa: ARG002, D102
        return math.log(2) - HALF_LOG_2PI - math.log(self.sigma) - 0.5 * (x / self.sigma) ** 2

    def distribution(self) -> Any:  # noqa: D102
        return stats.halfnorm(scale=self.sigma)


@final
@dataclass(frozen=True)
class Normal(Prior):
    """A normal; truncated at 0 for a number that must be positive."""

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        self._need_positive("sigma")
        _need_finite(self, "mu")

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return -math.inf, math.inf

    def formula(self, x: Any, log: Callable[[Any], Any]) -> Any:  # noqa: ARG002, D102
        return -HALF_LOG_2PI - math.log(self.sigma) - 0.5 * ((x - self.mu) / self.sigma) ** 2

    def distribution(self) -> Any:  # noqa: D102
        return stats.norm(self.mu, self.sigma)


@final
@dataclass(frozen=True)
class TruncatedNormal(Prior):
    """A normal, truncated at both ends and renormalised."""

    mu: float
    sigma: float
    lower: float = 0.0
    upper: float = math.inf

    def __post_init__(self) -> None:
        self._need_positive("sigma")
        _need_finite(self, "mu")
        _need_order(self)
        if not self._log_mass() > -300:
            raise DataError(f"{self} has no mass between its bounds; move the mean towards the bounds")

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return self.lower, self.upper

    def formula(self, x: Any, log: Callable[[Any], Any]) -> Any:  # noqa: ARG002, D102
        peak = -HALF_LOG_2PI - math.log(self.sigma) - self._log_mass()
        return peak - 0.5 * ((x - self.mu) / self.sigma) ** 2

    def distribution(self) -> Any:  # noqa: D102
        return stats.truncnorm(*self._standard(), loc=self.mu, scale=self.sigma)

    def _standard(self) -> tuple[float, float]:
        return (self.lower - self.mu) / self.sigma, (self.upper - self.mu) / self.sigma

    def _log_mass(self) -> float:
        a, b = self._standard()
        if a > 0:  # use the symmetry, because floating point resolves the lower tail
            a, b = -b, -a
        low, high = float(special.log_ndtr(a)), float(special.log_ndtr(b))
        return high + math.log1p(-math.exp(low - high)) if low < high else -math.inf


@final
@dataclass(frozen=True)
class Uniform(Prior):
    """A uniform distribution between two bounds."""

    lower: float
    upper: float

    def __post_init__(self) -> None:
        if math.isinf(self.lower) or math.isinf(self.upper):
            raise DataError(
                f"{self} is improper, it has no finite range; use finite bounds, or HalfNormal(10) for a wide prior"
            )
        self._need_positive()
        _need_order(self)

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return self.lower, self.upper

    def formula(self, x: Any, log: Callable[[Any], Any]) -> Any:  # noqa: ARG002, D102
        return 0.0 * x - math.log(self.upper - self.lower)

    def distribution(self) -> Any:  # noqa: D102
        return stats.uniform(self.lower, self.upper - self.lower)


@final
@dataclass(frozen=True)
class LogNormal(Prior):
    """A normal of the logarithm, with mean ``mu`` and standard deviation ``sigma`` of that logarithm."""

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        self._need_positive("sigma")
        _need_finite(self, "mu")
        if abs(self.mu) > math.log(LARGEST):
            raise DataError(f"{self}: mu is {as_input(self.mu)}, the mean of the logarithm; the median is exp(mu)")

    def formula(self, x: Any, log: Callable[[Any], Any]) -> Any:  # noqa: D102
        return -HALF_LOG_2PI - math.log(self.sigma) - 0.5 * ((log(x) - self.mu) / self.sigma) ** 2 - log(x)

    def distribution(self) -> Any:  # noqa: D102
        return stats.lognorm(self.sigma, scale=math.exp(self.mu))


@final
@dataclass(frozen=True)
class Gamma(Prior):
    """A gamma distribution of shape ``alpha`` and rate ``beta``; its mean is ``alpha / beta``."""

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        self._need_positive("alpha", "beta")

    def formula(self, x: Any, log: Callable[[Any], Any]) -> Any:  # noqa: D102
        constant = self.alpha * math.log(self.beta) - math.lgamma(self.alpha)
        return constant + (self.alpha - 1) * log(x) - self.beta * x

    def distribution(self) -> Any:  # noqa: D102
        return stats.gamma(self.alpha, scale=1 / self.beta)


@final
@dataclass(frozen=True)
class Exponential(Prior):
    """An exponential distribution of rate ``lam``; its mean is ``1 / lam``."""

    lam: float

    def __post_init__(self) -> None:
        self._need_positive("lam")

    def formula(self, x: Any, log: Callable[[Any], Any]) -> Any:  # noqa: ARG002, D102
        return math.log(self.lam) - self.lam * x

    def distribution(self) -> Any:  # noqa: D102
        return stats.expon(scale=1 / self.lam)


FAMILIES: Mapping[str, type[Prior]] = MappingProxyType(
    {
        family.__name__: family
        for family in (HalfNormal, Normal, TruncatedNormal, Uniform, LogNormal, Gamma, Exponential)
    }
)


def parse_prior(text: str | Prior) -> Prior:
    """Read a prior as PyMC writes it.

    Parameters
    ----------
    text : str or Prior
        Such as ``"HalfNormal(1)"`` or ``"TruncatedNormal(mu=1, sigma=0.5, lower=0)"``; a prior is returned unchanged.

    Returns
    -------
    Prior
        The distribution.

    Raises
    ------
    DataError
        When it cannot be read, is improper or contradicts itself.
    """
    if isinstance(text, Prior):
        return text
    try:
        node = parse_expression(str(text).strip())
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise ValueError
        name = node.func.id
        given = [_number(arg) for arg in node.args]
        named = {str(keyword.arg): _number(keyword.value) for keyword in node.keywords}
    except (SyntaxError, ValueError, RecursionError, OverflowError):
        shown = repr(text) if len(str(text)) <= 100 else f"{str(text)[:100]!r} ..."
        raise DataError(f"cannot read the prior {shown}; write it as HalfNormal(1) or Uniform(0, 2)") from None
    if name in ("Flat", "HalfFlat"):
        raise DataError(f"{text} is improper: it has no density; use a wide proper prior such as HalfNormal(10)")
    if name not in FAMILIES:
        raise DataError(f"there is no prior {name!r}; {closest(name, FAMILIES)}")
    wanted = ", ".join(field.name for field in fields(FAMILIES[name]))
    try:
        return FAMILIES[name](*given, **named)
    except TypeError:
        raise DataError(f"the prior {text!r} has the wrong arguments; it is written {name}({wanted})") from None


def positive(prior: Prior, name: str) -> Prior:
    """Restrict a prior to positive numbers.

    Parameters
    ----------
    prior : Prior
        The prior; a normal is truncated at 0.
    name : str
        Name of the parameter, for the message.

    Returns
    -------
    Prior
        A prior whose support is within the positive numbers.

    Raises
    ------
    DataError
        When the prior contradicts the sign.
    """
    if isinstance(prior, Normal):
        return TruncatedNormal(prior.mu, prior.sigma, 0.0)
    if prior.support[0] < 0:
        raise DataError(f"{name} cannot be negative, but its prior {prior} allows it; let the prior start at 0")
    return prior


def _number(node: ast.expr) -> float:
    """Read a number, with a sign or as ``inf``; anything else is an error and never evaluated."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_number(node.operand)
    if isinstance(node, ast.Name) and node.id in ("inf", "nan"):
        return float(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    raise ValueError


def _need_finite(prior: Any, name: str) -> None:
    if not math.isfinite(getattr(prior, name)):
        raise DataError(f"{prior}: {name} is {as_input(getattr(prior, name))}; it must be finite")


def _need_order(prior: Any) -> None:
    if not prior.lower < prior.upper:
        raise DataError(
            f"{prior} contradicts itself: its lower bound is not below its upper one; "
            "to fix a number, write it into the law"
        )
