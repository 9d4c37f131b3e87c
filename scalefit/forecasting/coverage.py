"""What forecasts of the rule did in the public backtest: the table that ``scalefit backtest --public`` wrote."""

from __future__ import annotations

import csv
import io
from functools import cache
from importlib import resources
from typing import NamedTuple

__all__ = ["BINS", "Held", "held_in_backtest", "public_table"]

BINS = ((2.0, 5.0), (5.0, 20.0), (20.0, 100.0), (100.0, float("inf")))
"""Ratios of a target's compute to the largest that was learned from."""

TABLE = "public.csv"


class Held(NamedTuple):
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
def public_table() -> tuple[Held, ...]:
    """Return the shipped table, one entry for each bin."""
    text = resources.files("scalefit.forecasting").joinpath(TABLE).read_text(encoding="utf-8")
    return tuple(
        Held(
            float(row["least"]), float(row["most"]), int(row["cells"]), float(row["share50"]), float(row["share80"]),
            float(row["share90"]), float(row["error"]),
        )
        for row in csv.DictReader(io.StringIO(text))
        if row["method"] == "forecast" and row["tables"] == "all"
    )  # fmt: skip


def held_in_backtest(ratio: float) -> Held | None:
    """Return the bin of a ratio; None below 2, where the backtest has no targets."""
    return next((one for one in public_table() if one.least <= ratio < one.most), None)
