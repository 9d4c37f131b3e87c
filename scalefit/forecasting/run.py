"""Forecast runs that are larger than those of a table: the function behind ``scalefit forecast``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from scalefit.data.tables import Table, read_table
from scalefit.errors import DataError
from scalefit.forecasting.fitted import Fitted
from scalefit.forecasting.forms import LEARNED, WEAK
from scalefit.forecasting.inputs import Learning, has_flops, read_learning, read_targets
from scalefit.forecasting.limits import find_limits
from scalefit.forecasting.result import Forecast
from scalefit.forecasting.rule import Constants, Rule, make_rule
from scalefit.options import FORECAST, Bayes, Forecasting, Rows, gather, takes
from scalefit.posterior import bayes

__all__ = ["forecast", "learn"]


@takes(*FORECAST)
def forecast(
    data: str | os.PathLike[str] | pd.DataFrame | Table,
    at: Mapping[str, Any] | Iterable[Mapping[str, Any]] = (),
    *options: Rows | Forecasting,
    targets: str | os.PathLike[str] | pd.DataFrame | None = None,
    **keywords: Any,
) -> Forecast:
    """Forecast the loss of runs that are larger than those of a table, with intervals that reach their coverage.

    Two laws, ``(A/params^a + B/tokens^b)^g + E`` and the same with one exponent, are fitted with priors learned from
    public tables, weighted by how well they foretold the larger runs of the table from the smaller ones, and averaged.
    The error has four parts: the parameters of the laws, their disagreement, the scatter of a single run, and a drift
    that grows with the compute beyond the data. ``scalefit backtest --public`` measures how often such intervals hold.

    Parameters
    ----------
    data : str, path, DataFrame or Table
        A table with loss, params and tokens (or one of the two), as for :func:`scalefit.fit`.
    at : mapping, or iterable of mapping
        Targets: columns to numbers or texts, such as ``{"params": "70B", "tokens": 1.4e12}``.
    *options : Rows, Forecasting
        Options as values.
    targets : str, path or DataFrame, optional
        A table of targets.
    **keywords
        Fields of :class:`scalefit.options.Rows` and :class:`scalefit.options.Forecasting`.

    Returns
    -------
    Forecast
        ``print(forecast)``; :meth:`~scalefit.forecasting.Forecast.table` has a row for each target.

    Raises
    ------
    LawError, DataError
        When table, targets or options cannot be used; nothing was computed.
    TypeError
        For a keyword that is not an option.

    Examples
    --------
    >>> found = forecast("chinchilla", {"params": "70B", "tokens": "1.4T"}, where="flops < 2.07e19")
    >>> one = found.target(0)
    >>> print(f"{one.ratio:.3g} times the largest run: {one.estimate.value:.2f}")
    2.84e+04 times the largest run: 2.13
    """
    rows, how = gather(FORECAST, options, keywords)
    points = [at] if isinstance(at, Mapping) else list(at)
    many = None if targets is None else read_table(targets, typed=False, max_size=rows.max_size)
    by_cost = how.cost is None and not has_flops(points, many)
    learning = read_learning(data, rows, how, by_cost=by_cost)
    wanted = read_targets(learning, points, many)
    rule = learn(learning, how)
    predicted = rule.predict(
        np.log(wanted[list(learning.columns)].to_numpy(float)), np.log(wanted["compute"].to_numpy())
    )
    findings = tuple(find_limits(learning, rule, wanted, predicted, predicted.scale(run=not how.mean)))
    return Forecast(learning, rule, wanted, predicted, how.prob, how.mean, findings)


def learn(learning: Learning, how: Forecasting, constants: Constants | None = None) -> Rule:
    """Fit the laws of a forecast.

    Parameters
    ----------
    learning : Learning
        The table.
    how : Forecasting
        Law, priors and seed.
    constants : Constants, optional
        Numbers of the rule.

    Returns
    -------
    Rule
        Ready for targets.
    """
    if learning.law is None:
        priors = LEARNED if how.prior == "default" else WEAK
        return make_rule(learning.runs, constants=constants, priors=priors, laws=learning.names, seed=how.seed)
    if learning.law.groups:
        raise DataError(
            f"the law {learning.law} has levels, and a forecast is of one experiment; choose its rows with --where and "
            "give the law without levels"
        )
    fit = bayes(learning.table.frame, learning.law, Bayes(seed=how.seed))
    unit = np.ones(len(learning.runs.y))
    member = Fitted(fit, learning.columns)
    return Rule(learning.runs, (member,), np.ones(1), np.full(1, np.nan), constants or Constants(), 0, unit)
