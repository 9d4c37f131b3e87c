"""What a forecast learned from public tables: priors of the laws and two constants, with and without each collection.

A backtest must not be judged on tables that it learned from. The shipped table has one row for all collections, which
forecasts use, and one row for each collection left out, which the public backtest uses on that collection.
``python -m tests.reference.learn_forecast`` writes it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from scalefit.errors import DataError, closest
from scalefit.forecasting.forms import WIDE, NormalPrior, PriorTable
from scalefit.numbers import as_input

__all__ = ["ALL", "COLUMNS", "PRIORS", "TABLE", "Constants", "Learned", "learned", "learned_row", "prior_table"]

TABLE: Final = "learned.csv"
ALL = ""
"""The row that nothing was left out of."""
PRIORS: Final = ("floor", "params", "tokens", "power", "sigma", "shape", "shape_squared")
COLUMNS: Final = ("without", "drift", "ahead", *(f"{name}_{part}" for name in PRIORS for part in ("mean", "sd")))


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The numbers of the rule; how they were chosen on public tables is in ``docs/forecast_rule.md``.

    Parameters
    ----------
    drift : float
        Standard deviation that each e-fold of compute beyond the largest run adds, in units of the scatter; learned.
    ahead : float
        How far the median of a run beyond the data is moved down, in units of the error without the scatter of a run:
        laws with a floor forecast too high a loss. In full from one e-fold of compute on; learned.
    origins : tuple of float
        Shares of the runs, smallest compute first, that rolling origins are fitted to.
    beyond : float
        An origin predicts the runs with more than this many times its largest compute.
    most : float
        Largest squared error of one run that counts in a law's error.
    near : float
        Errors of the log loss below this do not tell laws apart.
    sharp : float
        Power with which a law's mean squared error lowers its weight.
    least : float
        Least standard deviation of a forecast of the log loss.
    draws : int
        Weighted draws from each posterior.
    """

    drift: float
    ahead: float
    origins: tuple[float, ...] = (0.35, 0.5, 0.65, 0.8)
    beyond: float = 1.25
    most: float = 0.25
    near: float = 0.002
    sharp: float = 2.0
    least: float = 0.001
    draws: int = 2000


class Learned(NamedTuple):
    """What was learned from public tables.

    Parameters
    ----------
    constants : Constants
        Numbers of the rule.
    priors : PriorTable
        Priors of the laws; those of one column are wide, and not learned.
    """

    constants: Constants
    priors: PriorTable


def learned(without: str = ALL) -> Learned:
    """Return what was learned from the public tables, with all or without one collection.

    Parameters
    ----------
    without : str
        A collection to leave out; empty for none.

    Returns
    -------
    Learned
        Constants and priors.

    Raises
    ------
    DataError
        For a collection that is not in the public set.

    Examples
    --------
    >>> learned().priors.power.mean < 0
    True
    """
    rows = _rows()
    if without not in rows:
        raise DataError(f"there is no collection {without!r} in the public set; {closest(without, rows)}")
    return rows[without]


@cache
def _rows() -> Mapping[str, Learned]:
    text = resources.files("scalefit.forecasting").joinpath(TABLE).read_text(encoding="utf-8")
    return {row["without"]: _from_row(row) for row in csv.DictReader(io.StringIO(text))}


def _from_row(row: Mapping[str, str]) -> Learned:
    prior = {name: NormalPrior(float(row[f"{name}_mean"]), float(row[f"{name}_sd"])) for name in PRIORS}
    return Learned(Constants(drift=float(row["drift"]), ahead=float(row["ahead"])), prior_table(prior))


def prior_table(prior: Mapping[str, NormalPrior]) -> PriorTable:
    """Return the priors of all coordinates from the learned ones, by name of :data:`PRIORS`."""
    return WIDE._replace(
        floor=prior["floor"], exponents=(prior["params"], prior["tokens"]), power=prior["power"], sigma=prior["sigma"],
        shape=prior["shape"], shape_squared=prior["shape_squared"],
    )  # fmt: skip


def learned_row(without: str, drift: float, ahead: float, prior: Mapping[str, NormalPrior]) -> dict[str, str]:
    """Return a row of the shipped table, numbers with four digits."""
    values = [drift, ahead, *(value for name in PRIORS for value in prior[name])]
    return dict(zip(COLUMNS, [without, *(as_input(value, 4) for value in values)], strict=True))
