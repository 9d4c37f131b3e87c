"""What a forecast is compared with: each method gives quantiles of the log loss at the runs that were held out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize

from scalefit.errors import DataError, FitFailed
from scalefit.forecasting.learned import ALL, learned
from scalefit.forecasting.rule import ONE_VALUE, Runs, make_rule
from scalefit.forecasting.scores import PROBABILITIES
from scalefit.law.additive import Law
from scalefit.leastsq.fit import fit
from scalefit.options import Bayes, LeastSquares
from scalefit.posterior.fit import bayes
from scalefit.quantiles import student_quantile
from scalefit.results import Fit

__all__ = ["METHODS", "predict_ahead"]

Array = NDArray[np.float64]
Method = Callable[[Runs, Runs, int, str], Array]

FORECAST: Final = "forecast"
RESAMPLES = 200  # of the bootstrap of a Huber fit
DRAWS = 1000  # of a posterior
LARGEST = 0.5  # share of the runs, largest first, whose slope is extended


def predict_ahead(method: str, inside: Runs, ahead: Runs, seed: int = 0, without: str = ALL) -> Array:
    """Forecast runs by one method.

    Parameters
    ----------
    method : str
        One of :data:`METHODS`.
    inside : Runs
        What is learned from.
    ahead : Runs
        What is forecast; its losses are not looked at.
    seed : int
        Seed.
    without : str
        Collection of the public set that a forecast must not have learned from; empty for none.

    Returns
    -------
    array, shape (7, m)
        Quantiles of the log loss of one run at :data:`scalefit.forecasting.scores.PROBABILITIES`; NaN where the method
        has no answer.
    """
    if method != FORECAST:  # whose laws alone know of the shape
        inside, ahead = inside.unshaped(), ahead.unshaped()
    try:
        found = METHODS[method](inside, ahead, seed, without)
    except (DataError, FitFailed, RuntimeError, np.linalg.LinAlgError):  # curve_fit gives up with a RuntimeError
        return np.full((len(PROBABILITIES), len(ahead.y)), np.nan)
    return found


def _student(mu: Array, scale: Array, degrees: float) -> Array:
    return np.stack([mu + student_quantile(p, degrees) * scale for p in PROBABILITIES])


def _forecast(inside: Runs, ahead: Runs, seed: int, without: str) -> Array:
    known = learned(without)
    rule = make_rule(inside, constants=known.constants, priors=known.priors, seed=seed)
    found = rule.predict(ahead.x, ahead.c)
    return np.stack([found.mu + found.reach(2 * p - 1) for p in PROBABILITIES])


def law_of(columns: tuple[str, ...]) -> Law:
    """Return the additive law of some columns."""
    terms = (f"A_{name}/{name}^alpha_{name}" for name in columns)
    return Law.parse(f"loss ~ E + {' + '.join(terms)}")


def frame_of(runs: Runs) -> pd.DataFrame:
    """Return columns and losses of runs as a table."""
    return pd.DataFrame(np.exp(runs.x), columns=list(runs.columns)).assign(loss=np.exp(runs.y))


def _under_replicates(found: Fit, ahead: Runs, noise: Array, seed: int) -> Array:
    """Return quantiles of the law under replicates plus the scatter of one run."""
    rng = np.random.default_rng(seed)
    draws = found.sample(DRAWS)
    logs = np.stack([_log_law(found, row, ahead) for row in draws])
    logs += rng.choice(noise, size=logs.shape)
    return np.asarray(np.quantile(logs, PROBABILITIES, axis=0))


def _log_law(found: Fit, row: Array, runs: Runs) -> Array:
    """Return the log law at runs under one row of parameters, coefficients as logs."""
    values = {key[0]: value for key, value in zip(found.keys, row, strict=True)}
    total = np.full(len(runs.y), values["E"])
    for j, name in enumerate(runs.columns):
        with np.errstate(over="ignore"):
            total = total + np.exp(values[f"A_{name}"] - values[f"alpha_{name}"] * runs.x[:, j])
    return np.asarray(np.log(np.maximum(total, 1e-300)))


def _huber(inside: Runs, ahead: Runs, seed: int, _: str) -> Array:
    options = LeastSquares(loss="huber", bootstrap=RESAMPLES, seed=seed)
    found = fit(frame_of(inside), law_of(inside.columns), options)
    return _under_replicates(found, ahead, found.residuals(), seed)


def _posterior(inside: Runs, ahead: Runs, seed: int, _: str) -> Array:
    found = bayes(frame_of(inside), law_of(inside.columns), Bayes(draws=DRAWS, path="fast", seed=seed))
    rng = np.random.default_rng(seed)
    noise = found["sigma"].value * rng.standard_t(max(found["nu"].value, 2.0), size=20 * DRAWS)
    return _under_replicates(found, ahead, noise, seed)


def _curve_fit(inside: Runs, ahead: Runs, *_: object) -> Array:
    """Fit the log loss by ``scipy.optimize.curve_fit`` from the usual start; errors to first order, as people do."""
    centre, k = inside.x.mean(axis=0), len(inside.columns)

    def law(x: Array, *theta: float) -> Array:
        floor, size, slope = theta[0], np.array(theta[1 : 1 + k]), np.array(theta[1 + k :])
        with np.errstate(over="ignore"):
            total = math.exp(min(floor, 50.0)) + np.exp(np.minimum(size - slope * x, 50.0)).sum(axis=1)
        logs: Array = np.log(total)
        return logs

    start = [inside.y.min() - 0.3, *np.full(k, inside.y.min() - 1.5), *np.full(k, 0.3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optimize.OptimizeWarning)  # an infinite covariance is its answer
        theta, covariance = optimize.curve_fit(law, inside.x - centre, inside.y, start, maxfev=5000)
    at = ahead.x - centre
    steps = 1e-5 * np.eye(len(theta))
    slope = np.stack([(law(at, *(theta + s)) - law(at, *(theta - s))) / 2e-5 for s in steps], axis=1)
    residual = inside.y - law(inside.x - centre, *theta)
    free = max(1, len(inside.y) - len(theta))
    variance = np.einsum("ij,jk,ik->i", slope, covariance, slope) + residual @ residual / free
    return _student(law(at, *theta), np.sqrt(variance), free)


def _slope(inside: Runs, ahead: Runs, *_: object) -> Array:
    """Extend the straight line, in logs, through the half of the runs with the most compute."""
    k = len(inside.columns)
    order = np.argsort(inside.c)
    count = max(math.ceil(LARGEST * len(order)), min(k + 2, len(order)))
    rows = order[-count:]
    rank = np.linalg.matrix_rank(inside.x[rows] - inside.x[rows].mean(axis=0), tol=ONE_VALUE)
    if rank < k or count < k + 2:
        rows = order
    design = np.column_stack([np.ones(len(rows)), inside.x[rows]])
    inverse = np.linalg.inv(design.T @ design)
    theta = inverse @ design.T @ inside.y[rows]
    free = max(1, len(rows) - k - 1)
    residual = inside.y[rows] - design @ theta
    at = np.column_stack([np.ones(len(ahead.y)), ahead.x])
    variance = residual @ residual / free * (1 + np.einsum("ij,jk,ik->i", at, inverse, at))
    return _student(at @ theta, np.sqrt(variance), free)


METHODS: Final[Mapping[str, Method]] = {
    FORECAST: _forecast, "huber": _huber, "posterior": _posterior, "curve_fit": _curve_fit, "slope": _slope,
}  # fmt: skip
