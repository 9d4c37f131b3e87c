"""How well a law fits its rows: scatter, explained part, scores, lack of fit against repeats, trends of residuals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.law.protocol import AnyLaw
from scalefit.numbers import ROUND_OFF
from scalefit.quantiles import f_tail, normal_quantile
from scalefit.records import Objective

__all__ = ["Goodness", "LackOfFit", "Scores", "Share", "Trend", "goodness_of"]

Array = NDArray[np.float64]

SHOWN: Final = 3  # rows with the largest share of the objective
END: Final = 0.25  # part of the rows at either end of a column
FEWEST: Final = 3  # rows at an end whose mean says something


@dataclass(frozen=True)
class LackOfFit:
    """What the law misses, against the scatter of repeated settings: the F test of Fisher (1922).

    Parameters
    ----------
    ratio : float
        Mean square of the means of settings about the law, over that within settings.
    law, repeats : int
        Degrees of freedom of the two.
    p : float
        Probability of a larger ratio if the law holds and rows scatter independently and equally.
    scatter : float
        Standard deviation within settings.
    """

    ratio: float
    law: int
    repeats: int
    p: float
    scatter: float


@dataclass(frozen=True)
class Scores:
    """Information criteria of the response, smaller is better; for fits to the same rows, also in another space.

    Parameters
    ----------
    log_likelihood : float
        Of the response at the optimum, with independent normal residuals of equal scatter.
    estimated : int
        Numbers estimated: the parameters and the scatter.
    aic, bic : float
        Akaike (1974) and Schwarz (1978).
    """

    log_likelihood: float
    estimated: int
    aic: float
    bic: float


@dataclass(frozen=True)
class Share:
    """A row and the part of the objective that it makes up.

    Parameters
    ----------
    row : int
        Its number in the table.
    share : float
        From 0 to 1.
    residual : float
        Its residual.
    """

    row: int
    share: float
    residual: float


@dataclass(frozen=True)
class Trend:
    """Mean residuals along a column: in the lowest quarter of the rows, between, and in the highest quarter.

    Parameters
    ----------
    column : str
        A numeric column of the law.
    ends : tuple of float
        Its least and its largest value.
    low, middle, high : float
        Mean residuals; NaN for a part without rows.
    p : float
        Probability of parts as unequal or more if nothing is left along the column (F test); NaN without a test.
    """

    column: str
    ends: tuple[float, float]
    low: float
    middle: float
    high: float
    p: float


@dataclass(frozen=True)
class Goodness:
    """How well a law fits the rows used. Residuals are those of the fit: of logs, or in linear space differences.

    Parameters
    ----------
    space : {"log", "linear"}
        What residuals are of.
    mean : float
        Mean of the response.
    rms : float
        Standard deviation of the residuals, with the parameters counted: square root of the mean square with n - P
        degrees of freedom; NaN without any.
    robust : float
        The median size of a residual over 0.6745, what it is of normal residuals.
    rms_share, robust_share : float
        The same as parts of the response: ``exp(s) - 1`` of logs, else parts of its mean; NaN where the response is not
        above 0 everywhere, because its mean is then no scale.
    r2 : float
        Part of the variance of the log response (in linear space of the response) beyond its mean that the law
        explains; NaN when the response is constant.
    scores : Scores or None
        None where the objective is not a likelihood at its maximum: Huber's loss, clusters, posteriors.
    lack_of_fit : LackOfFit or None
        None without repeated settings, and for a robust loss.
    largest : tuple of Share
        Three rows at most, the largest share of the objective first.
    trends : tuple of Trend
        One for each numeric column of the law.
    """

    space: str
    mean: float
    rms: float
    robust: float
    rms_share: float
    robust_share: float
    r2: float
    scores: Scores | None
    lack_of_fit: LackOfFit | None
    largest: tuple[Share, ...]
    trends: tuple[Trend, ...]

    @property
    def in_units(self) -> bool:
        """Whether sizes of residuals make sense only in the unit of the response, and not as parts of it."""
        return math.isnan(self.robust_share)

    def part(self, residual: float) -> float:
        """Return a residual as a part of the response, or itself where :attr:`in_units`."""
        if self.in_units:
            return residual
        return math.expm1(min(residual, 700.0)) if self.space == "log" else residual / self.mean

    @property
    def is_exact(self) -> bool:
        """Whether residuals are of the size of round-off, so that nothing can be read from them."""
        return max(self.robust_share, 0.0 if math.isnan(self.rms_share) else self.rms_share) < ROUND_OFF


def goodness_of(
    frame: pd.DataFrame,
    residual: Array,
    law: AnyLaw,
    objective: Objective,
    *,
    parameters: int,
    independent: bool = True,
) -> Goodness:
    """Measure how well a law fits.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        The rows used, with the columns of the law and of weights; the index holds row numbers.
    residual : array, shape (n,)
        Log observed minus log predicted, or in linear space observed minus predicted.
    law : Law or GeneralLaw
        The law.
    objective : Objective
        What was minimised, or the likelihood. Scores need squares, whose optimum is that of a normal likelihood; the
        test of lack of fit needs squares or a normal likelihood. Only ratios of weights matter here.
    parameters : int
        How many were estimated.
    independent : bool
        Whether rows are independent, and not in clusters; scores and the test of lack of fit need it.

    Returns
    -------
    Goodness
        The measures.
    """
    n, space = len(residual), objective.space
    weight = np.ones(n) if objective.weights is None else frame[objective.weights].to_numpy(dtype=float)
    share = weight * (n / weight.sum())
    observed = frame[law.response].to_numpy(dtype=float)
    target = np.log(observed) if space == "log" else observed
    squares = float(share @ residual**2)
    free = n - parameters
    rms = math.sqrt(squares / free) if free > 0 else math.nan
    robust = float(np.median(np.abs(residual))) / normal_quantile(0.75)
    centre = float(share @ target) / n
    total = float(share @ (target - centre) ** 2)
    mean = float(np.mean(observed))
    whole = mean if (observed > 0).all() else math.nan
    scored = independent and objective.loss == "squared"
    tested = independent and objective.loss in ("squared", "normal")
    parts = [math.expm1(min(size, 700.0)) if space == "log" else size / whole for size in (rms, robust)]
    return Goodness(
        space, mean, rms, robust, parts[0], parts[1], 1 - squares / total if total > 0 else math.nan,
        _scores(squares, share, observed, space, parameters) if scored else None,
        _lack_of_fit(frame, [*law.variables, *law.groups], residual, share, parameters) if tested else None,
        _largest(frame, residual, share, math.inf if objective.delta is None else objective.delta),
        tuple(_trend(frame, name, residual, share, free) for name in law.variables),
    )  # fmt: skip


def _scores(squares: float, share: Array, observed: Array, space: str, parameters: int) -> Scores | None:
    n = len(share)
    if squares <= 0:
        return None
    log_likelihood = -0.5 * n * (math.log(2 * math.pi * squares / n) + 1) + 0.5 * float(np.log(share).sum())
    if space == "log":  # the density of the response itself, so that fits in linear space compare
        log_likelihood -= float(np.log(observed).sum())
    k = parameters + 1
    return Scores(log_likelihood, k, 2 * k - 2 * log_likelihood, k * math.log(n) - 2 * log_likelihood)


def _lack_of_fit(
    frame: pd.DataFrame, columns: list[str], residual: Array, share: Array, parameters: int
) -> LackOfFit | None:
    """Within a setting predictions are equal, so that residuals differ as the responses do."""
    setting = frame.groupby(columns, sort=False, observed=True).ngroup().to_numpy()
    settings = int(setting.max()) + 1
    law, repeats = settings - parameters, len(residual) - settings
    if law < 1 or repeats < 1:
        return None
    means = np.bincount(setting, share * residual) / np.bincount(setting, share)
    pure = float(share @ (residual - means[setting]) ** 2)
    missed = float(share @ residual**2) - pure
    if pure <= 0:
        return None
    ratio = max(0.0, missed) / law / (pure / repeats)
    return LackOfFit(ratio, law, repeats, f_tail(ratio, law, repeats), math.sqrt(pure / repeats))


def _largest(frame: pd.DataFrame, residual: Array, share: Array, delta: float) -> tuple[Share, ...]:
    size = np.abs(residual)
    inside = np.minimum(size, delta)
    loss = share * inside * (size - inside / 2)  # half the square, and Huber's line beyond delta
    total = float(loss.sum())
    if total <= 0:
        return ()
    few = np.argpartition(-loss, min(SHOWN, len(loss)) - 1)[:SHOWN]
    order = few[np.lexsort((few, -loss[few]))]
    return tuple(Share(int(frame.index[i]), float(loss[i] / total), float(residual[i])) for i in order)


def _trend(frame: pd.DataFrame, name: str, residual: Array, share: Array, free: int) -> Trend:
    values = frame[name].to_numpy(dtype=float)
    low, high = np.quantile(values, [END, 1 - END])
    part = np.where(values <= low, 0, np.where(values >= high, 2, 1)) if low < high else np.ones(len(values), dtype=int)
    counts, weights = np.bincount(part, minlength=3), np.bincount(part, share, minlength=3)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.bincount(part, share * residual, minlength=3) / weights
    known = counts > 0
    centre = float(share @ residual) / len(residual)  # zero in least squares of logs, but not of Huber's loss
    between = float(weights[known] @ (means[known] - centre) ** 2)
    within = float(share @ (residual - centre) ** 2) - between
    terms, rest = int(known.sum()) - 1, free - int(known.sum()) + 1
    testable = terms > 0 and rest > 0 and within > 0 and counts[known].min() >= FEWEST
    p = f_tail(between / terms / (within / rest), terms, rest) if testable else math.nan
    return Trend(name, (float(values.min()), float(values.max())), float(means[0]), float(means[1]), float(means[2]), p)
