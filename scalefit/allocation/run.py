"""From a fit to its compute-optimal lines: the law's terms at one level, under the estimate and under every draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.allocation.cost import BY_SHAPE, BY_SIZE, Cost
from scalefit.allocation.numerical import NumericalOptimum, numerical_optimum
from scalefit.allocation.paths import Paths, optimal_paths
from scalefit.allocation.result import RATIO, Kind, Optimum
from scalefit.errors import DataError, closest
from scalefit.law.additive import Coef, Law
from scalefit.law.general import sum_of_powers
from scalefit.law.syntax import FUNCTIONS
from scalefit.names import Key, printed_name
from scalefit.numbers import as_input, percent, percent_size
from scalefit.options import check_level
from scalefit.problem import label_texts, rows_at
from scalefit.records import NOT_CONVERGED
from scalefit.results import Fit, PosteriorFit

__all__ = ["DERIVED", "natural_cost", "optimum", "optimum_lines", "printed_optimum"]

Array = NDArray[np.float64]

BLOCKING = ("exponent_at_bound", "size_at_bound", "term_vanished", "flat_direction")  # findings that forbid an optimum
APPROXIMATE = 4000  # draws of a normal approximation, where a fit has none of its own
DECADE = 10.0
DERIVED = "params are derived as 12 depth width^2, without embeddings."


def optimum(
    fit: Fit,
    *,
    compute: float | Iterable[float] | None = None,
    cost: str | Cost | None = None,
    level: float = 0.95,
    at: Mapping[str, str | float] | None = None,
    label: str = "",
    drift: float = 0.0,
) -> Optimum | NumericalOptimum:
    """Minimise a fitted law under budgets of compute (approach 3 of Hoffmann et al. 2022), with intervals.

    A sum of falling powers under a product of powers has a closed solution. Any other law or cost is searched along
    each budget, see :func:`scalefit.allocation.numerical.numerical_optimum`.

    Parameters
    ----------
    fit : Fit
        A fit of any law.
    compute, cost, level, at, label, drift
        As for :func:`optimum_lines`; ``cost`` may be any expression of columns, such as
        ``"6*params*tokens + 2*params*served"``, and ``at`` then holds the columns that do not share the budget.

    Returns
    -------
    Optimum or NumericalOptimum
        ``print(optimum)``; without numbers, and with the reason, where the fit does not identify an optimum.

    Raises
    ------
    DataError
        When the law has no optimum under this cost, a budget is not positive, a level is missing, or the fit did not
        converge.
    """
    if not fit.law.terms or (isinstance(cost, str) and not _is_product(cost)):
        if fit.status == NOT_CONVERGED:
            raise DataError(f"the fit did not converge, so it has no optimum: {fit.message}")
        if drift:
            raise DataError("drift widens the loss of a sum of falling powers under a product of powers; leave it out")
        text = None if cost is None else str(cost)
        if compute is None:
            raise DataError("a law or a cost of this form needs budgets: name them (--compute 1e21,1e22)")
        return numerical_optimum(
            fit, compute=_budgets(compute, np.empty(0)), cost=text, level=level, at=at, label=label
        )  # fmt: skip
    labels = {name: str(value) for name, value in (at or {}).items()}
    return optimum_lines(fit, compute=compute, cost=cost, level=level, at=labels, label=label, drift=drift)


def _is_product(cost: str) -> bool:
    """Whether a cost is a number times powers of columns; a mistake in one is reported as such."""
    try:
        Cost.parse(cost)
    except DataError:
        return "+" not in cost and not any(f"{name}(" in cost for name in FUNCTIONS)
    return True


def optimum_lines(
    fit: Fit,
    *,
    compute: float | Iterable[float] | None = None,
    cost: str | Cost | None = None,
    level: float = 0.95,
    at: Mapping[str, str] | None = None,
    label: str = "",
    drift: float = 0.0,
) -> Optimum:
    """Minimise a sum of falling powers under budgets of compute, in closed form.

    Parameters
    ----------
    fit : Fit
        Least squares or a posterior, of a law with two or more falling terms, each in a column of its own.
    compute : float or iterable of float, optional
        Budgets, in the units of the cost; three that span the runs and ten times the largest when omitted.
    cost : str or Cost, optional
        A number times powers of the law's columns; when omitted ``"6*params*tokens"`` or, for a law of width, depth
        and tokens, ``"72*width^2*depth*tokens"``.
    level : float
        Probability of the intervals.
    at : mapping of str to str, optional
        Level of each grouping column, such as ``{"family": "OPT"}``; needed where coefficients or exponents of terms
        have levels, and for the loss where the floor has.
    label : str
        A name for plots and comparisons; the fit's own when empty.
    drift : float
        Standard deviation of the log loss that each e-fold of compute beyond the runs adds to the interval of the loss,
        such as :func:`scalefit.forecasting.drift_of`; losses leave every law slowly.

    Returns
    -------
    Optimum
        ``print(optimum)``; without numbers, and with the reason, where the fit does not identify an optimum.

    Raises
    ------
    DataError
        When the law has no optimum under this cost, a budget is not positive, a level is missing, the drift is
        negative, or the fit did not converge.
    """
    check_level(level)
    if not 0 <= drift < math.inf:
        raise DataError(f"drift is {as_input(drift)}; it must be at least 0, such as 0.005 for each e-fold of compute")
    name = label or fit.label or fit.source.name
    if fit.status == NOT_CONVERGED:
        raise DataError(f"{name} has no optimum, because its fit did not converge: {fit.message}")
    law = sum_of_powers(fit.law, "the closed form of the optimum")
    terms = _Terms.of(law, cost, at or {}, fit)
    values = fit.point[None, :]
    kind, draws = _draws(fit)
    point, paths = (terms.paths(fit.keys, rows) for rows in (values, draws))
    usable, runs = paths.usable, terms.runs(fit)
    reason = _reason(fit, bool(point.usable.all()), float(usable.mean()))
    lost = int(np.count_nonzero(~usable))
    missing = (
        f"{lost} of {len(usable)} draws have no optimum, because a term of theirs does not fall; they are left out."
    )
    return Optimum(
        name, law, terms.cost, kind, fit.uncertainty.method, level, terms.at, terms.columns, point, paths,
        float(terms.floor(fit.keys, values)[0]), terms.floor(fit.keys, draws), runs,
        _budgets(compute, runs["compute"].to_numpy()), fit.status, fit.message, reason,
        (*terms.notes, *([missing] if lost else []), *([_drift_words(drift)] if drift else [])), drift, fit.resamples,
    )  # fmt: skip


def _drift_words(drift: float) -> str:
    return (
        f"Intervals of the loss allow for a drift of {percent_size(drift)} for each e-fold of compute beyond the runs; "
        "sizes and exponents are those of the law."
    )


def printed_optimum(
    label: str,
    law: Law,
    values: Mapping[str, float],
    *,
    compute: float | Iterable[float] = (),
    cost: str | Cost | None = None,
) -> Optimum:
    """Minimise a law with printed numbers, which come without draws and so without intervals.

    Parameters
    ----------
    label : str
        The paper.
    law : Law
        Its law, without levels.
    values : mapping
        Every parameter, in the units of the columns.
    compute : float or iterable of float
        Budgets; none when omitted.
    cost : str or Cost, optional
        As for :func:`optimum`.

    Returns
    -------
    Optimum
        Of kind ``printed``.

    Raises
    ------
    DataError
        When the law has no optimum under this cost, or a number is missing.
    """
    terms = _Terms.of(law, cost, {}, None)
    names = tuple(coef.name for coef in law.parameters)
    for name in names:
        if name not in values:
            raise DataError(f"{label} prints no {name}; {closest(name, values)}")
    logs = {coef.name for coef in law.coefficients}
    row = np.array([[math.log(values[name]) if name in logs else values[name] for name in names]])
    keys: tuple[Key, ...] = tuple((name, ()) for name in names)
    point = terms.paths(keys, row)
    reason = "" if point.usable.all() else "a term does not fall, or has vanished."
    return Optimum(
        label, law, terms.cost, "printed", "as printed", math.nan, {}, terms.columns, point, None,
        float(terms.floor(keys, row)[0]), None, pd.DataFrame(), _budgets(compute, np.empty(0)), "printed",
        "Printed numbers, taken as they are.", reason, terms.notes,
    )  # fmt: skip


class _Terms(NamedTuple):
    """The law and the cost put together."""

    law: Law
    cost: Cost
    at: Mapping[str, str]

    @classmethod
    def of(cls, law: Law, cost: str | Cost | None, at: Mapping[str, str], fit: Fit | None) -> _Terms:
        """Check that there is an optimum at all."""
        _check_terms(law)
        cost = natural_cost(law) if cost is None else Cost.parse(cost) if isinstance(cost, str) else cost
        _check_cost(law, cost)
        _check_levels(law, at, fit)
        return cls(law, cost, dict(at))

    @property
    def columns(self) -> tuple[str, ...]:
        names = [term.variable for term in self.law.terms]
        names += ["params"] if self.by_shape else []
        return (*names, *([RATIO] if {"params", "tokens"} <= set(names) else []))

    @property
    def by_shape(self) -> bool:
        """Whether params are derived from width and depth."""
        names = set(self.law.variables)
        return {"width", "depth"} <= names and "params" not in names

    @property
    def notes(self) -> tuple[str, ...]:
        return (DERIVED,) if self.by_shape else ()

    def paths(self, keys: tuple[Key, ...], rows: Array) -> Paths:
        """Solve under each row of parameters, shape (R, P)."""
        terms = self.law.terms
        power = np.array([float(dict(self.cost.powers)[term.variable]) for term in terms])
        log_c = np.stack([self._value(term.coefficient, keys, rows, log=True) for term in terms], axis=1)
        exponent = np.stack([self._value(term.exponent, keys, rows) for term in terms], axis=1)
        own = optimal_paths(log_c, exponent, power, self.cost.log_factor)
        start, slope = (dict(zip(self.law.variables, part.T, strict=True)) for part in (own.start, own.slope))
        if self.by_shape:
            start["params"] = math.log(12) + start["depth"] + 2 * start["width"]
            slope["params"] = slope["depth"] + 2 * slope["width"]
        if RATIO in self.columns:
            start[RATIO], slope[RATIO] = (part["tokens"] - part["params"] for part in (start, slope))
        chosen = [np.stack([part[name] for name in self.columns], axis=1) for part in (start, slope)]
        return Paths(chosen[0], chosen[1], own.excess_start, own.excess_slope)

    def floor(self, keys: tuple[Key, ...], rows: Array) -> Array:
        """Return the floor under each row; NaN where it has levels and none is named."""
        floor = self.law.floor
        if isinstance(floor, Coef) and not set(floor.groups) <= set(self.at):
            return np.full(len(rows), np.nan)
        return np.zeros(len(rows)) if floor is None else self._value(floor, keys, rows)

    def runs(self, fit: Fit) -> pd.DataFrame:
        """Return the fitted rows of the level with what they cost."""
        mask = rows_at(fit.rows, tuple(self.at), tuple(self.at.values()))
        rows = fit.rows.loc[mask, [*self.law.variables, self.law.response]].astype(float)
        if self.by_shape:
            rows["params"] = 12 * rows["depth"] * rows["width"] ** 2
        return rows.assign(compute=self.cost.of(rows))

    def _value(self, value: Coef | Fraction, keys: tuple[Key, ...], rows: Array, *, log: bool = False) -> Array:
        if isinstance(value, Fraction):
            return np.full(len(rows), math.log(value) if log else float(value))
        return rows[:, keys.index((value.name, tuple(self.at[group] for group in value.groups)))]


def _check_terms(law: Law) -> None:
    """Refuse a law that no budget can balance."""
    for term in law.terms:
        if term.grows or (isinstance(term.exponent, Fraction) and term.exponent < 0):
            raise DataError(
                f"{term} grows with {term.variable}, so {law} has no optimum of the usual form; "
                "every term must fall, as A/params^alpha does"
            )
    if len(law.terms) < 2:
        raise DataError(
            f"{law} has one term, so all compute goes to {law.variables[0]}; an optimum needs two or more terms, "
            "such as those of the law 'chinchilla'"
        )
    names = [term.variable for term in law.terms]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{law} has {names.count(name)} terms of {name}; an optimum needs one term for each column")


def _check_cost(law: Law, cost: Cost) -> None:
    """Refuse a cost of other columns than the law's."""
    shape = {"width", "depth", "tokens"} == set(law.variables)
    remedy = f'give cost="{BY_SHAPE}" (--cost), or another' if shape else "give a cost with every column of the law"
    for name in law.variables:
        if name not in cost.columns:
            raise DataError(
                f"the cost {cost} does not count {name}, of which {law} could then have any amount; {remedy}"
            )
    for name in cost.columns:
        if name not in law.variables:
            raise DataError(
                f"the cost {cost} counts {name}, of which {law} wants as little as possible; "
                f"name columns of the law: {closest(name, law.variables)}"
            )


def _check_levels(law: Law, at: Mapping[str, str], fit: Fit | None) -> None:
    """Ask for the levels that the terms need, and refuse unknown ones."""
    for group, level in at.items():
        if group not in law.groups:
            raise DataError(f"{law} has no levels of {group!r}; {closest(group, law.groups)}")
        known = set() if fit is None else set(label_texts(fit.rows, group))
        if level not in known:
            raise DataError(f"there is no {group} {level!r} among the fitted rows; {closest(level, known)}")
    parts = [part for term in law.terms for part in (term.coefficient, term.exponent)]
    needed = {group: part for part in parts if isinstance(part, Coef) for group in part.groups}
    for group, part in needed.items():
        if group not in at:
            raise DataError(f"{part} has one value per {group}; name the level, as at={{{group!r}: ...}} (--at)")
    keys = () if fit is None else fit.keys
    for coef in law.parameters:
        if coef.groups and set(coef.groups) <= set(at):
            key = coef.name, tuple(at[group] for group in coef.groups)
            if key not in keys:
                name = printed_name(*key)
                raise DataError(f"the fit has no {name}; {closest(name, (printed_name(*other) for other in keys))}")


def _draws(fit: Fit) -> tuple[Kind, Array]:
    """Return the draws of a fit, shape (R, P), and what they are; normal ones where it has none."""
    spread = fit.uncertainty
    if spread.draws is not None:
        return ("bootstrap" if not isinstance(fit, PosteriorFit) else "posterior"), spread.draws
    return "normal approximation", fit.sample(APPROXIMATE)


def _reason(fit: Fit, falls: bool, usable: float) -> str:
    """Say why a fit has no optimum; empty when it has one."""
    blocking = [finding.message for finding in fit.findings if finding.code in BLOCKING]
    if blocking:
        return " ".join(blocking)
    if not falls:
        return "At the estimate a term does not fall with its column, or has vanished, so that no budget is best."
    if usable < 0.5:
        return (
            f"In {percent(1 - usable, 0)} of the draws a term does not fall with its column, so that no budget is best."
        )
    return ""


def _budgets(compute: float | Iterable[float] | None, runs: Array) -> tuple[float, ...]:
    """Check the budgets asked for, or choose some that span the runs."""
    if compute is None:
        lo, hi = _two_digits(float(runs.min()), math.ceil), _two_digits(float(runs.max()), math.floor)
        return lo, _two_digits(math.sqrt(lo * hi), round), hi, DECADE * hi
    given = [float(compute)] if isinstance(compute, int | float) else [float(budget) for budget in compute]
    for budget in given:
        if not 0 < budget < math.inf:
            raise DataError(
                f"compute is {as_input(budget)}; a budget is a positive number in the units of the cost, such as 1e21"
            )
    return tuple(given)


def _two_digits(value: float, rounding: Callable[[float], int]) -> float:
    """Round so that a budget chosen from the runs stays among them."""
    power = math.floor(math.log10(value)) - 1
    return float(f"{rounding(value / 10.0**power)}e{power}")


def natural_cost(law: Law) -> Cost:
    """Return 72 width^2 depth tokens for a law of these three, 6 params tokens for any other."""
    return Cost.parse(BY_SHAPE if {"width", "depth", "tokens"} == set(law.variables) else BY_SIZE)
