"""Fit a law on smaller runs, score it on larger ones: what a scaling law is for."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from scalefit.comparison.refit import posterior_draws, posterior_of, refit, sampled_of
from scalefit.data.quantities import as_numbers
from scalefit.data.where import parse_where
from scalefit.errors import DataError, closest
from scalefit.names import Key, printed_level
from scalefit.numbers import as_input, exact
from scalefit.posterior.density import Density
from scalefit.posterior.rebuild import density_of
from scalefit.problem import label_texts, predict_law
from scalefit.results import Fit, PosteriorFit

__all__ = ["HeldOut", "Split", "held_out_score", "split_rows"]

Array = NDArray[np.float64]

LARGEST = 0.2  # share of the rows held out when only a column is named
DRAWS = 4000  # of the posterior of the rows that are kept
LEVEL = 0.9  # of the predictive intervals whose coverage is counted
SMALLEST = 3  # rows that a score needs


class Split(NamedTuple):
    """Which rows are held out.

    Parameters
    ----------
    words : str
        The rule, such as ``params >= 4.5e+09``.
    held : array of bool, shape (n,)
        True for the rows to predict.
    column, limit : str, float
        The column whose values from the limit on are held out; empty and NaN where the rule is a condition.
    """

    words: str
    held: NDArray[np.bool_]
    column: str = ""
    limit: float = math.nan


class HeldOut(NamedTuple):
    """How well a law fitted to the other rows predicts the held-out ones.

    Parameters
    ----------
    label : str
        The source's name.
    trained, held : int
        Rows fitted and rows predicted.
    rmse : float
        Root mean square of log observed minus log of the law.
    bias : float
        Their mean: positive when the runs are worse than predicted.
    elpd : float
        Log predictive density of the held-out rows, of log responses, given the rows fitted: what these say of a
        cluster's shift is used. NaN for least squares, which predicts no distribution.
    coverage : float
        Share of rows inside their 90% predictive interval; NaN for least squares, and where held-out rows belong to
        clusters that have fitted rows too.
    status : str
        Of the fit to the other rows.
    """

    label: str
    trained: int
    held: int
    rmse: float
    bias: float
    elpd: float
    coverage: float
    status: str


def split_rows(rows: pd.DataFrame, rule: str) -> Split:
    """Choose the rows to hold out.

    Parameters
    ----------
    rows : DataFrame
        The rows of a fit.
    rule : str
        A condition such as ``"params > 5e9"``, or a numeric column: then the rows with its largest values, about a
        fifth, no value on both sides.

    Returns
    -------
    Split
        The rule in words, and the rows.

    Raises
    ------
    DataError
        When the rule leaves too few rows on one side, or the column is none of numbers.
    """
    if rule.isidentifier():
        values = as_numbers(rows[rule]) if rule in rows.columns else None
        if values is None:
            numbers = [str(name) for name in rows.columns if as_numbers(rows[name]) is not None]
            raise DataError(f"cannot hold out the largest {rule!r}: no column of numbers; {closest(rule, numbers)}")
        cut = _cut(values)
        split = Split(f"{rule} >= {as_input(cut, 6)}", values >= cut, rule, cut)
    else:
        where = parse_where(rule)
        split = Split(str(where), np.asarray(where.mask(rows), dtype=bool))
    words, held = split.words, split.held
    if not SMALLEST <= held.sum() < len(held):
        raise DataError(
            f"{words!r} holds out {exact(held.sum())} of {exact(len(held))} rows; it must leave rows to fit and at "
            f"least {SMALLEST} to predict"
        )
    return split


def _cut(values: Array) -> float:
    """Return the value from which on the share of rows is nearest to a fifth."""
    known = np.unique(values)[1:]
    if known.size == 0:
        raise DataError(f"the column has one value, {as_input(values[0])}; name one that varies, or a condition")
    share = np.array([np.mean(values >= value) for value in known])
    return float(known[np.argmin(np.abs(share - LARGEST))])


def held_out_score(fit: Fit, split: Split, *, label: str = "") -> HeldOut:
    """Fit the rows that are not held out in the same way, and score the others.

    The prior of the floor is set anew where it is the default, which looks at the lowest loss.

    Parameters
    ----------
    fit : Fit
        Least squares or Bayes; its law, engine and options are used again.
    split : Split
        From :func:`split_rows` of the same rows.
    label : str
        The source's name.

    Returns
    -------
    HeldOut
        The scores.

    Raises
    ------
    DataError
        When the smaller rows cannot be fitted, or lack a level of the larger.
    """
    label = label or fit.label or fit.source.name
    train, test = fit.rows[~split.held], fit.rows[split.held]
    for group in fit.law.groups:
        if new := sorted(set(label_texts(test, group)) - set(label_texts(train, group))):
            words = printed_level(tuple(new), ", ")
            raise DataError(f"{label}: {group} {words} occurs only among the held-out rows; hold out others")
    if not isinstance(fit, PosteriorFit):
        small = refit(fit, train, chosen=True, cluster=None, uncertainty="gauss-newton")
        gap = np.log(test[fit.law.response].to_numpy(float) / predict_law(small.law, small.natural, test))
        return _score(label, small, gap, math.nan, math.nan)
    small = refit(fit, train, chosen=True, priors=_blind_priors(fit), draws=DRAWS, path="auto")
    if small.keys != fit.keys:
        raise DataError(f"{label}: a level has no rows left to fit; hold out others")
    density, draws = density_of(sampled_of(fit)), posterior_draws(small)
    held = split.held[density.problem.order]
    known = _weighing(density, ~held).log_likelihood(draws).sum(axis=1)
    values = density.log_likelihood(draws).sum(axis=1) - known
    residuals = density.residuals(draws)[:, held]
    cluster = density.problem.cluster
    coverage = math.nan
    if not (density.blocks.shifted and np.isin(cluster[held], cluster[~held]).any()):
        coverage = float(np.mean(np.abs(_share_below(residuals, small) - 0.5) <= LEVEL / 2))
    elpd = float(special.logsumexp(values) - math.log(len(values)))
    return _score(label, small, residuals.mean(axis=0), elpd, coverage)


def _score(label: str, small: Fit, gap: Array, elpd: float, coverage: float) -> HeldOut:
    rmse, bias = float(np.sqrt(np.mean(gap**2))), float(gap.mean())
    return HeldOut(label, small.n_rows, len(gap), rmse, bias, elpd, coverage, small.status)


def _blind_priors(fit: Fit) -> dict[Key, str]:
    """Return the fit's priors without a floor's default, whose upper end is a loss that may be held out."""
    default = density_of(sampled_of(fit), default_priors=True)
    floors = {
        parameter.key: str(default.priors[parameter.key])
        for parameter in default.problem.parameters
        if parameter.kind == "floor" and parameter.key in default.priors
    }
    floors |= {(coefficient, ()): prior for (coefficient, _), prior in floors.items()}
    return {key: prior for key, prior in posterior_of(fit).priors if floors.get(key) != prior}


def _weighing(density: Density, rows: NDArray[np.bool_]) -> Density:
    """Give weight to these rows of the design only, so that the likelihood is theirs."""
    return density.with_weight(np.where(rows, density.problem.weight, 0.0))


def _share_below(residuals: Array, small: Fit) -> Array:
    """Share of replicated observations below the observed ones, row by row; shape (m,)."""
    rng = np.random.default_rng(small.seed)
    noise = rng.standard_normal(residuals.shape)
    if "nu" in small:
        nu = small.draws("nu")[:, None]
        noise /= np.sqrt(rng.chisquare(np.broadcast_to(nu, noise.shape)) / nu)
    noise *= small.draws("sigma")[:, None]
    if "tau" in small:
        noise += small.draws("tau")[:, None] * rng.standard_normal(noise.shape)
    return np.asarray((noise < residuals).mean(axis=0))
