"""Forecast runs that are larger than those of a table: the function behind ``scalefit forecast``."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from scalefit.data.tables import Table, read_table
from scalefit.errors import DataError
from scalefit.forecasting.fitted import Fitted
from scalefit.forecasting.forms import WEAK
from scalefit.forecasting.inputs import FEWEST, Learning, has_flops, read_learning, read_targets
from scalefit.forecasting.learned import Constants, learned
from scalefit.forecasting.limits import find_limits, second_limits
from scalefit.forecasting.result import INTERVALS, Forecast, OwnBacktest
from scalefit.forecasting.rule import SHAPE, SHAPED, TIE, Rule, make_rule, varying
from scalefit.forecasting.second import second_column, take_second_step
from scalefit.leastsq.fit import fit as least_squares
from scalefit.numbers import exact
from scalefit.options import FORECAST, Bayes, Forecasting, LeastSquares, Rows, gather, takes
from scalefit.options.verbs import ORIGINS
from scalefit.posterior import bayes
from scalefit.results import Fit

__all__ = ["forecast", "learn"]

RESAMPLES = 400  # of the runs, for a law of any form
UNJUDGED = (
    "Width and depth are not used, because the runs leave no rolling origin that could judge their effect; "
    "--law shaped uses them."
)


@takes(*FORECAST)
def forecast(
    data: str | os.PathLike[str] | pd.DataFrame | Table,
    at: Mapping[str, Any] | Iterable[Mapping[str, Any]] = (),
    *options: Rows | Forecasting,
    targets: str | os.PathLike[str] | pd.DataFrame | None = None,
    through: Fit | None = None,
    **keywords: Any,
) -> Forecast:
    """Forecast the loss of runs that are larger than those of a table, with intervals that reach their coverage.

    Two laws, ``(A/params^a + B/tokens^b)^g + E`` and the same with one exponent, are fitted with priors learned from
    public tables, weighted by how well they predicted the larger runs of the table from the smaller ones, and averaged.
    Where width over depth does not follow from the size, and targets give both, each is also fitted with it.
    The error has four parts: the parameters of the laws, their disagreement, the scatter of a single run, and a drift
    that grows with the compute beyond the data. ``scalefit backtest --public`` measures how often such intervals hold.

    Parameters
    ----------
    data : str, path, DataFrame or Table
        A table with loss, params and tokens (or one of the two), with or without width and depth, as for
        :func:`scalefit.fit`.
    at : mapping, or iterable of mapping
        Targets: columns to numbers or texts, such as ``{"params": "70B", "tokens": 1.4e12}``.
    *options : Rows, Forecasting
        Options as values.
    targets : str, path or DataFrame, optional
        A table of targets.
    through : Fit, optional
        A fit of a second law, in which the loss is a column, such as an accuracy by the loss: its response is forecast
        too, with the errors of both.
    **keywords
        Fields of :class:`scalefit.options.Rows` and :class:`scalefit.options.Forecasting`.

    Returns
    -------
    Forecast
        ``print(forecast)``; :meth:`~scalefit.forecasting.result.Forecast.table` has a row for each target.

    Raises
    ------
    LawError, DataError
        When table, targets or options cannot be used; nothing was computed.
    TypeError
        For a keyword that is not an option.

    Examples
    --------
    >>> small = "flops < 2.07e19 and loss < 3.6"
    >>> one = forecast("chinchilla", {"params": "7B", "tokens": "140B"}, where=small).target(0)
    >>> print(f"{one.ratio:.0f} times the largest run: {one.estimate.value:.1f}")
    285 times the largest run: 2.2
    """
    rows, how = gather(FORECAST, options, keywords)
    points = [at] if isinstance(at, Mapping) else list(at)
    many = None if targets is None else read_table(targets, typed=False, max_size=rows.max_size)
    by_cost = how.cost is None and not has_flops(points, many)
    learning = read_learning(data, rows, how, by_cost=by_cost)
    column = None if through is None else _second_column(through, learning, rows)
    wanted = read_targets(learning, points, many)
    if SHAPE in learning.columns and SHAPE not in wanted:
        learning = _without_shape(learning)
    rule = learn(learning, how)
    if SHAPE in learning.columns and not (learning.names or rule.origins):
        learning, wanted = learning.unshaped(UNJUDGED), wanted.drop(columns=SHAPE)
        rule = learn(learning, how)
    predicted = rule.predict(
        np.log(wanted[list(learning.columns)].to_numpy(float)), np.log(wanted["compute"].to_numpy())
    )
    findings = list(find_limits(learning, rule, wanted, predicted, how))
    second = None
    if through is not None and column is not None:
        second = take_second_step(through, column, wanted, predicted, run=not how.mean, seed=how.seed)
        findings += list(second_limits(second, column))
    own = _own_backtest(learning, how) if how.backtest else None
    return Forecast(learning, rule, wanted, predicted, how.prob, how.mean, tuple(findings), own, second)


def _without_shape(learning: Learning) -> Learning:
    """Return what is learned for targets without a shape."""
    if learning.names:
        raise DataError(
            f"the law {learning.names[0]!r} needs width and depth of every target, as --at ...,width=4096,depth=32"
        )
    return learning.unshaped(
        "Width over depth of the runs does not follow from params and tokens, and the targets give neither: the laws "
        "do not know of it, so that its effect counts as scatter. Give both, as --at ...,width=4096,depth=32."
    )


def _second_column(through: Fit, learning: Learning, rows: Rows) -> str:
    """Return the column of a second law that the loss is, by the name of the response or of its column in the table."""
    source = (rows.mapping or {}).get(learning.response)
    return second_column(through, learning.response, None if source is None else str(source), learning.columns)


def _own_backtest(learning: Learning, how: Forecasting) -> OwnBacktest:
    """Predict the larger runs of the table from the smaller ones, and count the intervals that hold."""
    if learning.law is not None:
        raise DataError(f"--backtest judges the laws of the rule, not {learning.law}; leave one of them out")
    runs, held, ratios = learning.runs, [], []
    order = np.argsort(runs.c, kind="stable")
    for share in ORIGINS:
        inside = runs.c <= runs.c[order[math.ceil(share * len(order)) - 1]] + TIE
        ahead = np.flatnonzero(~inside)
        some = varying(runs, inside)
        unshaped = {*SHAPED} & {*learning.names} and SHAPE not in some.columns
        if inside.sum() < FEWEST or not len(ahead) or not some.columns or unshaped:
            continue
        rule = learn(replace(learning, runs=some.keep(inside), names=_fitting(learning.names, some.columns)), how)
        found = rule.predict(some.x[ahead], some.c[ahead])
        held.append(np.stack([np.abs(runs.y[ahead] - found.mu) <= found.reach(p) for p in INTERVALS]))
        ratios.append(np.exp(runs.c[ahead] - runs.c[inside].max()))
    if not held:
        raise DataError(f"{exact(len(order))} runs leave no rolling origin to judge; leave --backtest out")
    shares = np.concatenate(held, axis=1).mean(axis=1)
    count, far = sum(inside.shape[1] for inside in held), float(max(ratio.max() for ratio in ratios))
    return OwnBacktest(len(held), count, far, *map(float, shares))


def _fitting(names: tuple[str, ...], columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the laws that can be fitted to some columns: all of the usual ones where none of those named can."""
    able = len(columns) > 1 or not {"coupled", "shared"} & set(names)
    return names if able else ()


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

    Raises
    ------
    DataError
        When a given law has levels.
    """
    if learning.law is None:
        priors = None if how.prior == "default" else WEAK
        return make_rule(learning.runs, constants=constants, priors=priors, laws=learning.names, seed=how.seed)
    if learning.law.groups:
        raise DataError(
            f"the law {learning.law} has levels, and a forecast is of one experiment; choose its rows with --where and "
            "give the law without levels"
        )
    fit: Fit
    if not learning.law.terms:  # whose posterior has no general priors: errors by resampling the runs
        fit = least_squares(learning.table.frame, learning.law, LeastSquares(bootstrap=RESAMPLES, seed=how.seed))
    else:
        fit = bayes(learning.table.frame, learning.law, Bayes(seed=how.seed))
    unit = np.ones(len(learning.runs.y))
    member = Fitted(fit, learning.columns)
    return Rule(learning.runs, (member,), np.ones(1), np.full(1, np.nan), constants or learned().constants, 0, unit)
