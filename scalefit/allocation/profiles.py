"""Approaches 1 and 2 of Hoffmann et al. (2022): the best size at each budget, straight from the runs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.allocation.mixtures import MixedLevels, mixture
from scalefit.allocation.result import Optimum
from scalefit.allocation.run import optimum_lines
from scalefit.allocation.sweeps import ENVELOPE, PARABOLA, Approach, IsoFlop, LeftOut, Line, Point
from scalefit.data.tables import Table
from scalefit.errors import DataError
from scalefit.estimate import Estimate
from scalefit.law.additive import Law
from scalefit.numbers import as_input, exact, fixed, two_digits
from scalefit.options import ISOFLOP, Budgets, Rows, gather, takes
from scalefit.options.verbs import QUANTITIES
from scalefit.records import NOT_IDENTIFIED, Finding
from scalefit.results import Fit
from scalefit.thresholds import FEW_BUDGETS, FEWEST_BUDGETS, FEWEST_SIZES, LOOSE_MINIMUM, WIDE_GROWTH

__all__ = ["isoflop"]

Array = NDArray[np.float64]

COLUMNS = Law.parse("loss ~ A/params^alpha + B/tokens^beta + C/flops^gamma")  # only names the columns to read
SAME = 1.02  # ratio of two ways to count compute up to which they are one
ROUNDING = 1e-9  # of ln flops


@overload
def isoflop(
    data: str | os.PathLike[str] | pd.DataFrame, *options: Rows | Budgets, by: None = None, beside: Fit | None = None,
    label: str = "", **keywords: Any,
) -> IsoFlop: ...  # fmt: skip


@overload
def isoflop(
    data: str | os.PathLike[str] | pd.DataFrame, *options: Rows | Budgets, by: str, beside: Fit | None = None,
    label: str = "", **keywords: Any,
) -> dict[str, IsoFlop]: ...  # fmt: skip


@takes(*ISOFLOP)
def isoflop(
    data: str | os.PathLike[str] | pd.DataFrame,
    *options: Rows | Budgets,
    beside: Fit | None = None,
    label: str = "",
    **keywords: Any,
) -> IsoFlop | dict[str, IsoFlop]:
    """Find the best size at each budget and the power of compute through them.

    Approach 2 fits a parabola of the loss in ``ln params`` (and in ``ln tokens``) to the runs of each budget; approach
    1 takes the run with the least loss. The slope of ``ln size`` in ``ln C`` by ordinary least squares is the exponent:
    the errors of minima from a few runs are too uncertain to weight by.

    The interval of approach 2 is the wider of two: what the errors of the minima imply for the slope, and what the
    scatter of the minima about the line implies. The second alone can be far too narrow, because a few minima may lie
    on a line by chance; the first alone misses whatever moves a minimum beyond the noise of its runs. Their measured
    coverage is in ``tests/reference/isoflop_coverage.py``. Approach 1 has no errors of its minima, so that its interval
    comes from the scatter only.

    Parameters
    ----------
    data : str, path or DataFrame
        As for a fit; with loss, params and flops. Tokens are flops / (6 params) where they are missing.
    *options : Rows, Budgets
        Options as values.
    beside : Fit, optional
        A fit of a law in params and tokens, shown as approach 3; its own level where the fit is grouped by ``by``.
    label : str
        A name; the table's own when empty.
    **keywords
        Fields of :class:`scalefit.options.Rows`, apart from those that choose by loss, weigh or cluster, and of
        :class:`scalefit.options.Budgets`, which are listed there.

    Returns
    -------
    IsoFlop, or dict of str to IsoFlop
        ``print(isoflop)``; budgets whose minimum lies outside their runs are named and left out. With ``by``, one
        result per level, in the order of the labels as text. A table whose runs differ by a label column far beyond
        their scatter gets no line: status and first finding name the column.

    Raises
    ------
    DataError
        When the table cannot be used, no budget has enough sizes, or an option has no effect.

    Examples
    --------
    >>> import scalefit
    >>> corpora = scalefit.isoflop("marin_isoflop", by="train_set")
    >>> {name: round(runs.approach("approach 2").exponent.value, 2) for name, runs in corpora.items()}
    {'comma': 0.4, 'dclm': 0.42, 'nemotron': 0.42}
    """
    chosen, how = gather(ISOFLOP, options, keywords)
    if how.cost is not None and beside is None:
        raise DataError(
            f"cost {str(how.cost)!r} has no effect without a fit: it is how approach 3 counts compute, and approaches "
            "1 and 2 take the flops of the table; give a fit (--beside) or leave the cost out"
        )
    by, tolerance, level = how.by, how.tolerance, how.level
    table = chosen.read(data, COLUMNS, labels=() if by is None else (by,))
    table = replace(table, name=label or table.name)
    parts = {"": table.frame} if by is None else {str(text): rows for text, rows in table.frame.groupby(by, sort=True)}
    groups = {
        text: [rows.iloc[places] for places in budgets(np.log(rows["flops"].to_numpy(float)), tolerance)]
        for text, rows in parts.items()
    }
    if not any(group["params"].nunique() >= FEWEST_SIZES for part in groups.values() for group in part):
        raise DataError(
            f"no budget of {table.name} has {FEWEST_SIZES} different sizes; "
            + (f"give a larger tolerance than {as_input(tolerance)}" if tolerance else "give a tolerance (--tolerance)")
            + ", such as 0.1, if budgets are only nearly equal"
        )
    results = {}
    for text, runs in groups.items():
        at = {} if by is None else {by: text}
        other = {} if beside is None or by not in beside.law.groups else at
        parametric = None if beside is None else optimum_lines(beside, cost=how.cost, level=level, at=other)
        results[text] = _analysed(table, runs, at, tolerance, level, parametric)
    return results if by is not None else results[""]


def _analysed(
    table: Table, groups: list[pd.DataFrame], at: Mapping[str, str], tolerance: float, level: float,
    parametric: Optimum | None,
) -> IsoFlop:  # fmt: skip
    """Analyse the runs of one level, or of a table without levels."""
    mixed = mixture(groups, (*QUANTITIES, *at), FEWEST_SIZES)
    if mixed is None:
        approaches = tuple(
            approach(name, column, groups, level) for column in ("params", "tokens") for name in (ENVELOPE, PARABOLA)
        )
    else:
        approaches = tuple(
            _unanswered(name, column, groups, f"runs of several levels of {mixed.column}")
            for column in ("params", "tokens") for name in (ENVELOPE, PARABOLA)
        )  # fmt: skip
    dropped = [f"{rule.words[0].upper()}{rule.words[1:]}." for rule in table.dropped]
    frame = pd.concat(groups)
    notes = (*table.remarks, *dropped, *(() if mixed else _repeats(groups)), *_other_compute(frame, parametric))
    return IsoFlop(
        table.name, at, len(frame), table.rows_read, tolerance, level, approaches, parametric,
        _findings(approaches, mixed, len(groups)), notes,
    )  # fmt: skip


def _findings(approaches: tuple[Approach, ...], mixed: MixedLevels | None, count: int) -> tuple[Finding, ...]:
    """Say what limits the lines of approach 2, worst first."""
    if mixed is not None:
        return (
            Finding.of(
                "mixed_levels", NOT_IDENTIFIED,
                f"{mixed.budgets} of {count} budgets hold runs of several levels of {mixed.column} ({mixed.levels} in "
                f"all), whose losses differ far more than those of one level scatter ({two_digits(mixed.merged)} "
                f"about a common parabola, {two_digits(mixed.within)} when the levels are separated): no line is "
                f"drawn through a mixture; analyse every level (--by {mixed.column}, by={mixed.column!r}) or choose "
                "one (--where)", budgets=mixed.budgets, levels=mixed.levels, common=mixed.merged, within=mixed.within,
            ),
        )  # fmt: skip
    findings = []
    parabolas = [approach for approach in approaches if approach.name == PARABOLA]
    lost = [parabola.column for parabola in parabolas if not parabola.found]
    if lost:
        findings.append(
            Finding.of(
                "no_line", NOT_IDENTIFIED,
                f"fewer than {FEWEST_BUDGETS} budgets show a minimum in {' and '.join(lost)}; add runs on both sides "
                "of the best size, or more budgets", threshold=FEWEST_BUDGETS,
            )
        )  # fmt: skip
    growing = [parabola for parabola in parabolas if parabola.found]
    wide = [parabola for parabola in growing if parabola.exponent.hi - parabola.exponent.lo > WIDE_GROWTH]
    if wide:
        findings.append(
            Finding.of(
                "wide_exponent", NOT_IDENTIFIED,
                f"the exponent of {' and '.join(approach.column for approach in wide)} has an interval wider than "
                f"{exact(WIDE_GROWTH)}, half of all that it could be; add budgets over a wider range, or more runs "
                "near the minima", threshold=WIDE_GROWTH,
                widths=[approach.exponent.hi - approach.exponent.lo for approach in wide],
            )
        )  # fmt: skip
    few = [parabola for parabola in growing if len(parabola.points) < FEW_BUDGETS]
    if few:
        least = min(len(parabola.points) for parabola in few)
        findings.append(
            Finding.of(
                "few_budgets", "warning",
                f"only {least} budgets show a minimum, so that the scatter about the line is known from {least - 2} "
                f"{'degree' if least == 3 else 'degrees'} of freedom and a bend cannot be seen; {FEW_BUDGETS} or more "
                "are better", threshold=FEW_BUDGETS, budgets=least,
            )
        )  # fmt: skip
    return tuple(findings)


def budgets(log_flops: Array, tolerance: float) -> list[NDArray[np.int64]]:
    """Group runs by budget: the fullest window of the width of the tolerance first, then among the others.

    Parameters
    ----------
    log_flops : array, shape (n,)
        Logs of the compute of the runs.
    tolerance : float
        Width of a window.

    Returns
    -------
    list of array of int
        Places of the rows of each budget, by rising compute.
    """
    left = np.argsort(log_flops, kind="stable")
    groups = []
    while left.size:
        values = log_flops[left]
        counts = np.searchsorted(values, values + tolerance + ROUNDING, side="right") - np.arange(left.size)
        first = int(np.argmax(counts))
        chosen = slice(first, first + int(counts[first]))
        groups.append(left[chosen])
        left = np.delete(left, chosen)
    return sorted(groups, key=lambda places: float(log_flops[places].mean()))


def approach(name: str, column: str, groups: list[pd.DataFrame], level: float) -> Approach:
    """Find the best size at each budget by one approach, and the line through them."""
    best = {ENVELOPE: _least, PARABOLA: _parabola}[name]
    points, left_out = [], []
    for group in groups:
        minimum = best(group, column)
        if isinstance(minimum, str):
            left_out.append(LeftOut(_compute(group), len(group), minimum))
        else:
            points.append(Point(_compute(group), *minimum, len(group)))
    return Approach(name, column, tuple(points), tuple(left_out), line(points, level))


def _unanswered(name: str, column: str, groups: list[pd.DataFrame], reason: str) -> Approach:
    left_out = tuple(LeftOut(_compute(group), len(group), reason) for group in groups)
    return Approach(name, column, (), left_out, line([], 0.0))


def _compute(group: pd.DataFrame) -> float:
    return math.exp(float(np.log(group["flops"].to_numpy(float)).mean()))


def _least(group: pd.DataFrame, column: str) -> tuple[float, float, float] | str:
    """Return size, no error, and loss of the best run; why not, where no run encloses it."""
    size, loss = group[column].to_numpy(float), group["loss"].to_numpy(float)
    if group[column].nunique() < FEWEST_SIZES:
        return f"fewer than {FEWEST_SIZES} sizes"
    best = int(np.argmin(loss))
    if size[best] in (size.min(), size.max()):
        return "the best run is the smallest or the largest"
    return float(size[best]), math.nan, float(loss[best])


def _parabola(group: pd.DataFrame, column: str) -> tuple[float, float, float] | str:
    """Return the minimum of a parabola of the loss in the log of the size, with its error by the delta method."""
    log_size, loss = np.log(group[column].to_numpy(float)), group["loss"].to_numpy(float)
    if group[column].nunique() < FEWEST_SIZES:
        return f"fewer than {FEWEST_SIZES} sizes"
    centre = float(log_size.mean())
    x = log_size - centre
    design = np.stack([np.ones_like(x), x, x**2], axis=1)
    (level, slope, bend), *_ = np.linalg.lstsq(design, loss, rcond=None)
    if bend <= 0:
        return "the parabola opens downward"
    place = -slope / (2 * bend)
    if not x.min() < place < x.max():
        return "the minimum lies outside the runs"
    rest = loss - design @ np.array([level, slope, bend])
    covariance = np.linalg.inv(design.T @ design) * (rest @ rest) / (len(x) - 3)
    pull = np.array([0.0, -1 / (2 * bend), slope / (2 * bend**2)])
    error = math.sqrt(max(float(pull @ covariance @ pull), 0.0))
    if error > LOOSE_MINIMUM:
        return f"the minimum is known to a factor of {fixed(math.exp(LOOSE_MINIMUM), 1)} at best"
    return math.exp(centre + place), error, float(level - slope**2 / (4 * bend))


def line(points: Sequence[Point], level: float) -> Line:
    """Fit ``ln size = start + exponent ln C`` by ordinary least squares.

    The interval is the wider of two, each by Student's t. From scatter: the residuals of the line, with two degrees of
    freedom fewer than points. From errors: the slope is a sum of the ``ln size`` with known factors, so that its
    variance is the sum of those of the minima times the squared factors; its degrees of freedom by Satterthwaite (1946)
    from those of the parabolas, three fewer than the runs of a budget.

    Parameters
    ----------
    points : sequence of Point
        Minima; those without an error (approach 1) get their interval from the scatter alone.
    level : float
        Probability of the interval.

    Returns
    -------
    Line
        NaN throughout with fewer than three points.
    """
    if len(points) < FEWEST_BUDGETS:
        return Line(Estimate("", "quantity", math.nan), math.nan, math.nan, math.nan)
    from scipy.stats import t

    x, y = np.log([[point.compute, point.size] for point in points]).T
    factors = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    slope = float(factors @ y)
    start = float(y.mean() - slope * x.mean())
    rest = y - start - slope * x
    variance = float(rest @ rest) / (len(x) - 2) * float(factors @ factors)
    from_scatter = float(t.ppf((1 + level) / 2, len(x) - 2)) * math.sqrt(variance)
    shares = (factors * [point.error for point in points]) ** 2
    freedom = np.array([point.runs - 3 for point in points])
    if np.isnan(shares).any():
        from_errors = math.nan
    elif not shares.any():
        from_errors = 0.0
    else:
        effective = shares.sum() ** 2 / np.sum(shares**2 / freedom)
        from_errors = float(t.ppf((1 + level) / 2, effective)) * math.sqrt(float(shares.sum()))
    half = max(from_scatter, 0.0 if math.isnan(from_errors) else from_errors)
    exponent = Estimate("", "quantity", slope, lo=slope - half, hi=slope + half, probability=level)
    return Line(exponent, start, from_scatter, from_errors)


def _repeats(groups: list[pd.DataFrame]) -> tuple[str, ...]:
    """Notice runs of one size at one budget, which may differ in corpus or recipe."""
    repeats = sum(int(group.duplicated(subset=["params"]).sum()) for group in groups)
    if not repeats:
        return ()
    return (
        f"{repeats} runs repeat the size of another at their budget, and no label column tells them apart by their "
        "losses; if corpora or recipes are mixed, choose one with a condition (where).",
    )


def _other_compute(frame: pd.DataFrame, parametric: Optimum | None) -> tuple[str, ...]:
    """Notice that the table counts compute in another way than the cost of approach 3."""
    if parametric is None or not set(parametric.cost.columns) <= {"params", "tokens"}:
        return ()
    ratio = frame["flops"].to_numpy(float) / parametric.cost.of(frame)
    if ratio.max() < SAME * ratio.min():
        return ()
    return (
        f"the flops of the table are {fixed(ratio.min(), 2)} to {fixed(ratio.max(), 2)} times {parametric.cost}, by "
        "which approach 3 counts compute: their exponents are not quite of the same thing.",
    )
