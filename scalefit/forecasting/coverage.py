"""What forecasts of the rule did in the public backtest: the table that ``scalefit backtest --public`` wrote."""

from __future__ import annotations

import csv
import io
from functools import cache
from importlib import resources
from typing import NamedTuple

from scalefit.numbers import amount, percent

__all__ = ["BINS", "HeldShare", "beyond_words", "held_in_backtest", "public_table"]

BINS = ((2.0, 5.0), (5.0, 20.0), (20.0, 100.0), (100.0, float("inf")))
"""Ratios of a target's compute to the largest that was learned from."""

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
def public_table(method: str = "forecast") -> tuple[HeldShare, ...]:
    """Return the shipped table of a method, one entry for each bin."""
    text = resources.files("scalefit.forecasting").joinpath(TABLE).read_text(encoding="utf-8")
    return tuple(
        HeldShare(
            float(row["least"]), float(row["most"]), int(row["cells"]), float(row["share50"]), float(row["share80"]),
            float(row["share90"]), float(row["error"]),
        )
        for row in csv.DictReader(io.StringIO(text))
        if row["method"] == method and row["tables"] == "all"
    )  # fmt: skip


def held_in_backtest(ratio: float, method: str = "forecast") -> HeldShare | None:
    """Return the bin of a ratio; None below 2, where the backtest has no targets."""
    return next((one for one in public_table(method) if one.least <= ratio < one.most), None)


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
