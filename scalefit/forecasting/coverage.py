"""What forecasts of the rule did in the public backtest: the table that ``scalefit backtest --public`` wrote."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple

import pandas as pd

from scalefit.forecasting.scores import ScoreTable
from scalefit.numbers import amount, percent
from scalefit.results import Fit, PosteriorFit

__all__ = ["HeldShare", "beyond_words", "fit_coverage_words", "held_in_backtest", "public_backtest", "public_table"]

TABLE = "public.csv"


class HeldShare(NamedTuple):
    """How forecasts of one bin did.

    Parameters
    ----------
    least, most : float
        The bin of ratios.
    cells : int
        Cells of table, cut and bin.
    share50, share80, share90 : float
        Share of intervals that held the observed loss.
    error : float
        Median of the absolute error of the log loss.
    """

    least: float
    most: float
    cells: int
    share50: float
    share80: float
    share90: float
    error: float


@cache
def public_backtest() -> ScoreTable:
    """Return the scores that ``scalefit backtest --public`` measured and the package ships; nothing is computed.

    Returns
    -------
    ScoreTable
        ``printed()`` is the table, ``plot()`` the figure of coverage and error against the distance.

    Examples
    --------
    >>> public_backtest().methods
    ('forecast', 'huber', 'posterior', 'curve_fit', 'slope')
    """
    return ScoreTable.read_csv(resources.files("scalefit.forecasting").joinpath(TABLE).read_text(encoding="utf-8"))


@cache
def public_table(method: str = "forecast") -> tuple[HeldShare, ...]:
    """Return the shipped scores of a method on all tables, one entry for each bin."""
    found = public_backtest().frame
    own = found[(found["method"] == method) & (found["tables"] == "all")]
    return tuple(
        HeldShare(
            row["least"], row["most"], int(row["cells"]), row["share50"], row["share80"], row["share90"], row["error"]
        )
        for row in own.to_dict(orient="records")
    )


def held_in_backtest(ratio: float, method: str = "forecast") -> HeldShare | None:
    """Return the bin of a ratio; None below 2, where the backtest has no targets."""
    return next((share for share in public_table(method) if share.least <= ratio < share.most), None)


def beyond_words(ratio: float, method: str) -> str:
    """Say how intervals of one law's fit did in the public backtest at a ratio of compute, next to those of a forecast.

    Parameters
    ----------
    ratio : float
        Compute of the farthest row over the largest of the fitted runs.
    method : str
        ``huber`` for least squares, ``posterior`` for a posterior.

    Returns
    -------
    str
        A sentence; empty below a ratio of 2.
    """
    own, rule = held_in_backtest(ratio, method), held_in_backtest(ratio)
    if own is None or rule is None:
        return ""
    return (
        f"The farthest row has {amount(ratio, 3)} times the compute of the fitted runs. At such a distance "
        f"{percent(own.share90, 0)} of 90% intervals of one law's fit held in the public backtest, and "
        f"{percent(rule.share90, 0)} of those of scalefit forecast."
    )


def fit_coverage_words(fit: Fit, known: pd.DataFrame, asked: pd.DataFrame) -> str:
    """Say how fits such as one did in the public backtest at the distance of the farthest row that is predicted.

    Parameters
    ----------
    fit : Fit
        Least squares or a posterior.
    known, asked : DataFrame
        Rows that were fitted, and rows that are predicted.

    Returns
    -------
    str
        :func:`beyond_words`; empty where the law has no params and tokens, whose product is the compute.
    """
    if not {"params", "tokens"} <= set(fit.law.variables):
        return ""
    goal, most = (float((rows["params"] * rows["tokens"]).astype(float).max()) for rows in (asked, known))
    return beyond_words(goal / most, "posterior" if isinstance(fit, PosteriorFit) else "huber")
