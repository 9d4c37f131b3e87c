"""The second step of a forecast: a response, such as an accuracy, by a law of the loss that is forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from scalefit.errors import DataError
from scalefit.forecasting.rule import Predicted
from scalefit.law.protocol import AnyLaw
from scalefit.results import Fit

__all__ = ["SECOND_PARTS", "SecondStep", "second_column", "take_second_step"]

Array = NDArray[np.float64]

DRAWS = 1000
STEP = 1e-4  # of the log loss, for the slope of the second law
MIDDLE = (0.15865525393145707, 0.8413447460685429)  # probabilities one standard deviation of a normal from its middle
SECOND_PARTS = {
    "parameters": "parameters", "laws": "laws disagree", "run": "a single run", "drift": "drift beyond the data",
    "second_law": "second law", "second_scatter": "scatter around it",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class SecondStep:
    """Forecasts of a response that depends on the loss.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law of the response.
    values : array, shape (R, m)
        Equally likely values of the response at each target.
    parts : mapping of str to array, shape (m,)
        What contributes to the error, in units of the response, by name of :data:`SECOND_PARTS`: the parts of the
        loss by the slope of the law, the parameters of the law, and the scatter of a run around it (0 for a mean).
    beyond : array of bool, shape (m,)
        Where the median loss lies outside the losses that the law was fitted to.
    fitted : (float, float)
        Least and largest loss that it was fitted to.
    """

    law: AnyLaw
    values: Array
    parts: Mapping[str, Array]
    beyond: NDArray[np.bool_]
    fitted: tuple[float, float]

    @property
    def response(self) -> str:
        """What is forecast."""
        return self.law.response

    @property
    def median(self) -> Array:
        """Medians, shape (m,)."""
        return np.asarray(np.median(self.values, axis=0))

    def interval(self, probability: float) -> tuple[Array, Array]:
        """Return the ends of an interval of a probability, each of shape (m,)."""
        lo, hi = np.quantile(self.values, [(1 - probability) / 2, (1 + probability) / 2], axis=0)
        return lo, hi

    @property
    def spread(self) -> Array:
        """Half of the middle 68% of the values, shape (m,)."""
        return _half(self.values)

    def target(self, i: int) -> SecondStep:
        """Return one target alone."""
        parts = {name: part[[i]] for name, part in self.parts.items()}
        return replace(self, values=self.values[:, [i]], parts=parts, beyond=self.beyond[[i]])


def second_column(fit: Fit, response: str, source: str | None, columns: tuple[str, ...]) -> str:
    """Return the column of a second law that the forecast fills.

    Parameters
    ----------
    fit : Fit
        The second law.
    response : str
        What is forecast.
    source : str or None
        The column of the table that it was read from, where that has another name.
    columns : tuple of str
        Columns of the targets, which the law may also have.

    Returns
    -------
    str
        The column.

    Raises
    ------
    DataError
        For a law without that column, with levels, or with a column that targets lack.
    """
    law = fit.law
    column = fit.column_named(response, source)
    if column is None:
        raise DataError(
            f"the forecast is of {response!r}, which is not a column of the second law {law}; fit a law of "
            f"{response!r}, as '{law.response} ~ ... {response} ...'; where its table calls it otherwise, give "
            f"--map {response}=COLUMN to scalefit fit"
        )
    if law.groups:
        raise DataError(
            f"the second law {law} has levels, and a forecast is of one experiment; choose its rows with --where and "
            "give the law without levels"
        )
    lacking = [variable for variable in law.variables if variable != column and variable not in columns]
    if lacking:
        raise DataError(
            f"the second law {law} also needs {' and '.join(lacking)}, which the targets of this forecast do not "
            f"have; fit a law of {column!r} alone"
        )
    return column


def take_second_step(
    fit: Fit, column: str, targets: pd.DataFrame, predicted: Predicted, *, run: bool, seed: int
) -> SecondStep:
    """Carry a forecast of the loss through a second law, with the errors of both.

    Parameters
    ----------
    fit : Fit
        The second law.
    column : str
        Which of its columns is the loss.
    targets : DataFrame, length m
        Other columns.
    predicted : Predicted
        The forecast of the log loss.
    run : bool
        Whether a single run is forecast, with its scatter, or the mean of such runs.
    seed : int
        Seed.

    Returns
    -------
    SecondStep
        Values and parts.
    """
    # Each target has the same quantiles of its loss in the same order, so that its draws have no error of their own.
    quantile = (np.random.default_rng(seed).permutation(DRAWS) + 0.5) / DRAWS
    reach = special.stdtrit(predicted.degrees(run=run), quantile[:, None]) * predicted.scale(run=run)
    median = np.exp(predicted.mu)
    values = fit.sample_through(column, np.exp(predicted.mu + reach), targets, new_run=run)
    there = np.broadcast_to(median, values.shape)
    by_law = _half(fit.sample_through(column, there, targets))
    both = _half(fit.sample_through(column, there, targets, new_run=True)) if run else by_law
    above, below = (
        fit.predict(targets.assign(**{column: median * np.exp(side * STEP)}))["predicted"].to_numpy(float)
        for side in (1, -1)
    )
    slope = np.abs(above - below) / (2 * STEP)
    of_loss = {name: slope * getattr(predicted, name) for name in ("parameters", "laws", "run", "drift")}
    if not run:
        of_loss["run"] = np.zeros_like(slope)
    scatter = np.sqrt(np.maximum(both**2 - by_law**2, 0.0))
    seen = fit.rows[column].to_numpy(float)
    low, high = float(seen.min()), float(seen.max())
    outside = (median < low) | (median > high)
    return SecondStep(
        fit.law, values, of_loss | {"second_law": by_law, "second_scatter": scatter}, outside, (low, high)
    )


def _half(values: Array) -> Array:
    lo, hi = np.quantile(values, MIDDLE, axis=0)
    return np.asarray(0.5 * (hi - lo))
