"""Tests of the theory on a table of heads: the exponent and size of the overlap, and what the loss follows.

Theory says that overlap is 1/m for random directions, and (1 - m/V)/m at the Welch bound (up to 1/V), so that in
``overlap ~ A/width^a`` the exponent is 1 and the prefactor 1 or 1 - m/V. Both are fitted, with intervals.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.data.tables import read_table, resolve
from scalefit.errors import DataError, closest
from scalefit.estimate import Estimate
from scalefit.files import plain_json
from scalefit.leastsq.fit import fit
from scalefit.numbers import fixed, percent, plus_minus, rounded, rounded_interval, rounded_range, two_digits
from scalefit.options import SUPERPOSITION, OverlapTest, gather, takes
from scalefit.records import CONVERGED, NOT_CONVERGED
from scalefit.results import Fit
from scalefit.storage import fit_record
from scalefit.verdicts import Verdict

__all__ = ["FAMILY", "LossTest", "Partial", "Superposition", "superposition"]

Array = NDArray[np.float64]
Source = str | os.PathLike[str] | pd.DataFrame
Progress = Callable[[str, int, int], None]

EFFECTIVE, RAW = "overlap_ms_effective", "overlap_ms"
OF_EFFECTIVE_ROWS = (EFFECTIVE, "overlap_ms_effective_weighted")  # columns that are measured on effective rows
FAMILY: Final = "family"
RUN: Final = "run"
NORM: Final = "final_norm"
EFFECTIVE_WIDTH: Final = "effective_width"  # of effective rows, where a LayerNorm takes a dimension
MODEL: Final = "model"  # its run, or family and run if runs of two families have the same name
FRAME_WIDTH: Final = "frame_width"  # the width at which random directions have the Welch bound: m (V - 1)/(V - m)
SURE: Final = 2.0  # standard errors by which one law must predict left-out models better than another
EXACT: Final = 1e-9  # scatter of logs about a power of the width below which it is a rounding error
MOST: Final = 1 - 1e-12  # largest correlation that has an interval
FEWEST: Final = 6  # models that a comparison of laws, or a correlation, needs


class Partial(NamedTuple):
    """Partial correlation of log overlap and the log of the width part of the loss, given log width.

    Parameters
    ----------
    value, lo, hi : float
        The correlation and its 95% interval (Fisher's z).
    models : int
        Number of models.
    """

    value: float
    lo: float
    hi: float
    models: int


class LossTest(NamedTuple):
    """Two laws of the loss on the same rows, each tested on models that are left out of its fit.

    Parameters
    ----------
    by_overlap, by_width : Fit
        ``loss ~ E[..] + A*overlap`` and ``loss ~ E[..] + A/width^a`` on all joined rows.
    models : tuple of str
        The models that were left out in turn.
    overlap_error, width_error : array, shape (models,)
        Root mean square error of the log loss of each left-out model.
    skipped : tuple of str
        Models that could not be left out, such as the only one of a family.
    partial : Partial or None
        None with fewer than six models that have a positive width part.
    """

    by_overlap: Fit
    by_width: Fit
    models: tuple[str, ...]
    overlap_error: Array
    width_error: Array
    skipped: tuple[str, ...]
    partial: Partial | None

    @property
    def difference(self) -> tuple[float, float]:
        """Mean over models of the error by overlap minus that by width, and its standard error."""
        gaps = self.overlap_error - self.width_error
        return float(gaps.mean()), float(gaps.std(ddof=1) / math.sqrt(len(gaps)))

    @property
    def verdict(self) -> Verdict:
        """Which law predicts left-out models better: ``open``, ``overlap`` or ``width``."""
        gap, error = self.difference
        by_overlap, by_width = (float(error.mean()) for error in (self.overlap_error, self.width_error))
        text = (
            f"With each of {len(self.models)} models left out in turn, its loss is off by {_missed(by_overlap)} on "
            f"average by the law in the overlap and by {_missed(by_width)} by the law in the width: "
        )
        errors = f"{fixed(abs(gap) / error, 1)} standard errors"
        kind = "open" if abs(gap) < SURE * error else "width" if gap > 0 else "overlap"
        text += (
            f"the difference, {errors}, is not significant."
            if kind == "open"
            else f"the loss follows the {kind} ({errors})."
        )
        return Verdict.of(
            kind, text, threshold=SURE, models=len(self.models), overlap_error=by_overlap, width_error=by_width,
            difference=gap, se=error,
        )  # fmt: skip


@dataclass(frozen=True)
class Superposition:
    """Tests of superposition on a table of heads; print it.

    Parameters
    ----------
    name : str
        The table.
    overlap : str
        The column tested.
    rows : DataFrame
        The rows used: ``width``, the overlap and, where known, ``family`` and ``frame_width``.
    slope : Fit
        ``overlap ~ A[family]/width^a``.
    random : Fit
        The same with a = 1: A is the overlap relative to that of random directions.
    welch : Fit or None
        The same relative to the Welch bound; None without the number of rows of each head.
    losses : LossTest or None
        None without a table of losses.
    """

    name: str
    overlap: str
    rows: pd.DataFrame
    slope: Fit
    random: Fit
    welch: Fit | None
    losses: LossTest | None

    @property
    def dimension(self) -> str:
        """The column with the dimensions of the rows: one less than the width for effective rows under a LayerNorm."""
        return EFFECTIVE_WIDTH if EFFECTIVE_WIDTH in self.rows else "width"

    @property
    def exponent(self) -> Estimate:
        """The exponent a."""
        return self.slope["a"]

    @property
    def verdict(self) -> tuple[Verdict, ...]:
        """The verdicts: on the exponent, the prefactors over random directions and the bound, and on the losses."""
        a = self.exponent
        name = self.dimension.replace("_", " ")
        level = f"{percent(self.slope.uncertainty.level)} interval"
        inside = a.lo <= 1 <= a.hi
        times = self.rows[self.overlap] * self.rows[self.dimension]
        verdicts = []
        if self.slope.status != CONVERGED:
            verdicts.append(Verdict.of("no answer", f"The exponent has no answer yet: {self.slope.message}"))
        verdicts.append(
            Verdict.of(
                "contains" if inside else "excludes",
                f"Overlap falls as {name} to the power of {rounded(-a.value, a.se)} ± {rounded(a.se, a.se)} ({level} "
                f"of a {rounded_interval(a.lo, a.hi, a.se)}), which {'contains' if inside else 'excludes'} 1.",
                value=a.value, se=a.se, interval=[a.lo, a.hi], reference=1.0,
            )
        )  # fmt: skip
        lead = f"It is {_times(times)} times that of random directions, 1/{name}: "
        verdicts.append(_prefactors(self.random, lead, "random directions"))
        if self.welch is not None:
            verdicts.append(_prefactors(self.welch, "Over the Welch bound, the least possible: ", "the bound"))
        if self.overlap == RAW:
            verdicts.append(
                Verdict.of(
                    "raw",
                    "These are raw overlaps, which are not a property of the model: a vector added to every row of the "
                    "head changes them and, unless the logits are soft-capped, no prediction. It does not change "
                    "effective overlaps, which scalefit heads measures on checkpoints.",
                )
            )
        if self.losses is not None:
            verdicts.append(self.losses.verdict)
            verdicts += [] if self.losses.partial is None else [_partial_verdict(self.losses.partial)]
        return tuple(verdicts)

    def summary(self) -> str:
        """Return verdict and numbers as text."""
        verdict = [f"  {verdict}" for verdict in self.verdict]
        lines = [f"{self.name}: {self.overlap} of {len(self.rows)} heads", *verdict, ""]
        fits = [self.slope, self.random, *([self.welch] if self.welch is not None else [])]
        if self.losses is not None:
            fits += [self.losses.by_overlap, self.losses.by_width]
        for result in fits:
            lines.append(f"{result.law}    {result.status}, {result.uncertainty.method}")
            lines += [
                f"  {x.name:24s} {plus_minus(x.value, x.se)}  {_span(x)}" for x in result.estimates if x.kind != "floor"
            ]
        if self.losses is not None and self.losses.skipped:
            lines.append(f"not left out, because the rest cannot predict them: {', '.join(self.losses.skipped)}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON."""
        losses = self.losses
        return {
            "table": self.name,
            "overlap": self.overlap,
            "heads": len(self.rows),
            "verdict": [verdict.record() for verdict in self.verdict],
            "slope": fit_record(self.slope),
            "random": fit_record(self.random),
            "welch": None if self.welch is None else fit_record(self.welch),
            "losses": None
            if losses is None
            else {
                "by_overlap": fit_record(losses.by_overlap),
                "by_width": fit_record(losses.by_width),
                "left_out": [
                    plain_json({"run": run, "overlap_error": overlap, "width_error": width})
                    for run, overlap, width in zip(losses.models, losses.overlap_error, losses.width_error, strict=True)
                ],
                "skipped": list(losses.skipped),
                "partial": None if losses.partial is None else losses.partial._asdict(),
            },
        }


def _missed(error: float) -> str:
    """Print an error of the log loss: in percent where that is nearly the same, else as a factor."""
    return f"{rounded(100 * error, 0.1)}%" if error <= 0.5 else f"a factor of {two_digits(math.exp(error))}"


def _times(times: pd.Series[float]) -> str:
    """Print a range of factors, and their median where they differ."""
    low, middle, high = (two_digits(float(ratio)) for ratio in (times.min(), times.median(), times.max()))
    return low if low == high else f"{low} to {high} (median {middle})"


def _prefactors(fit: Fit, lead: str, what: str) -> Verdict:
    """Compare the prefactors with 1: ``all`` their intervals contain it, ``none`` or ``some`` do."""
    factors = [x for x in fit.estimates if x.coefficient == "A"]
    around = [x for x in factors if x.lo <= 1 <= x.hi]
    listed = ", ".join(f"{x.level[0]} {_factor(x)}" if x.level else _factor(x) for x in factors)
    level = f"{percent(fit.uncertainty.level)} interval"
    text = f"{lead}a factor of {listed} at a = 1"
    if len(around) == len(factors):
        which = f"The {level} contains 1" if len(factors) == 1 else f"Every {level} contains 1"
        kind, text = "all", f"{text}. {which}, the value of {what}."
    elif not around:
        where = "above" if all(x.lo > 1 for x in factors) else "away from"
        which = f"the {level} lies" if len(factors) == 1 else f"all {level}s lie"
        kind, text = "none", f"{text}; {which} {where} 1, the value of {what}."
    else:
        which = ", ".join(x.level[0] for x in around)
        kind, text = "some", f"{text}; the {level} contains 1, the value of {what}, for {which} alone."
    intervals = {" ".join(x.level): [x.value, x.lo, x.hi] for x in factors}
    return Verdict.of(kind, text, reference=1.0, factors=intervals)


def _factor(estimate: Estimate) -> str:
    """Print a factor with the digits that its error determines, at most three."""
    return rounded(estimate.value, max(estimate.se, 0.1 * estimate.value))


def _span(estimate: Estimate) -> str:
    wide = estimate.lo > 0 and estimate.hi / estimate.lo > 10
    return rounded_range(estimate.lo, estimate.hi) if wide else rounded_interval(estimate.lo, estimate.hi, estimate.se)


def _partial_verdict(partial: Partial) -> Verdict:
    """Say what a larger overlap goes with at equal width: ``more``, ``less`` or ``open``."""
    kind = "more" if partial.lo > 0 else "less" if partial.hi < 0 else "open"
    meaning = "neither more nor less loss that could be seen" if kind == "open" else f"{kind} loss"
    return Verdict.of(
        kind,
        f"At equal width, a larger overlap goes with {meaning}: the partial correlation is "
        f"{rounded(partial.value, 0.1)} {rounded_interval(partial.lo, partial.hi, 0.1)} over {partial.models} models.",
        value=partial.value, interval=[partial.lo, partial.hi], models=partial.models,
    )  # fmt: skip


@takes(*SUPERPOSITION)
def superposition(
    heads: Source,
    losses: Source | None = None,
    *options: OverlapTest,
    progress: Progress | None = None,
    **keywords: Any,
) -> Superposition:
    """Test the theory on a table of heads.

    Parameters
    ----------
    heads : str, path or DataFrame
        With columns ``width`` and an overlap; ``family`` and the rows of each head (``rows`` or ``vocab``) are used
        where they are there. ``"llm_heads"`` is shipped.
    losses : str, path or DataFrame, optional
        Losses of the same models, with columns ``run`` and ``loss``, and perhaps ``width``, ``family``, ``eval_set``.
    *options : OverlapTest
        Options as a value.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.OverlapTest`, which are listed there.

    Returns
    -------
    Superposition
        The tests; print them.

    Raises
    ------
    DataError
        When columns are missing, or too few models have a loss.

    Examples
    --------
    >>> from scalefit.models.theory import superposition
    >>> test = superposition("llm_heads")
    >>> print(f"{test.exponent.value:.2f} {test.exponent.se:.2f}")
    1.28 0.22
    """
    (tested,) = gather(SUPERPOSITION, options, keywords)
    level = tested.level
    table = read_table(heads)
    name, columns = table.name, set(table.frame)
    column = tested.overlap or (EFFECTIVE if EFFECTIVE in columns else RAW)
    size = next((name for name in ("rows", "vocab") if name in columns), None)
    numeric = ["width", column, *([size] if size is not None else [])]
    labels = [name for name in (FAMILY, RUN, NORM) if name in columns]
    frame = resolve(table, numeric=numeric, labels=labels).frame.copy()
    frame = frame.drop(columns=EFFECTIVE_WIDTH, errors="ignore")
    dimension = "width"
    if column in OF_EFFECTIVE_ROWS and NORM in frame and (frame[NORM] == "LayerNorm").any():
        dimension = EFFECTIVE_WIDTH
        frame[dimension] = frame["width"] - (frame[NORM] == "LayerNorm")
    by = _several(frame, FAMILY)
    coefficient = f"A[{', '.join(by)}]" if by else "A"
    how: dict[str, Any] = {"uncertainty": "hc3", "level": level, "throw": False, "progress": progress}
    slope = fit(frame, f"{column} ~ {coefficient}/{dimension}^a", label="exponent", **how)
    random = fit(frame, f"{column} ~ {coefficient}/{dimension}^1", label="over random", **how)
    welch = None
    if size is not None and (frame[size] > frame[dimension]).all():
        n, m = frame[size], frame[dimension]
        frame[FRAME_WIDTH] = m * (n - 1) / (n - m)
        welch = fit(frame, f"{column} ~ {coefficient}/{FRAME_WIDTH}^1", label="over Welch", **how)
    tested = None if losses is None else _test_losses(frame, name, losses, column, how)
    return Superposition(name, column, frame, slope, random, welch, tested)


def _several(frame: pd.DataFrame, *columns: str) -> list[str]:
    """Return those of some columns that exist and have more than one label."""
    return [column for column in columns if column in frame and len(set(frame[column])) > 1]


def _test_losses(heads: pd.DataFrame, name: str, source: Source, column: str, how: dict[str, Any]) -> LossTest:
    """Join losses with heads by run, and predict each model by both laws fitted to the others."""
    if RUN not in heads:
        raise DataError(f"{name!r} has no column {RUN!r}, by which losses are joined; {closest(RUN, map(str, heads))}")
    table = read_table(source)
    given = set(table.frame)
    labels = [RUN, *(name for name in (FAMILY, "eval_set") if name in given)]
    losses = resolve(table, numeric=["loss", *(["width"] if "width" in given else [])], labels=labels).frame
    named = heads[heads[RUN].notna() & (heads[RUN] != "")]
    keys = [RUN]
    if FAMILY in named and FAMILY in losses and set(named[FAMILY]) & set(losses[FAMILY]):
        keys = [FAMILY, RUN]
    if named.duplicated(keys).any():
        twice = named[named.duplicated(keys)][RUN].iloc[0]
        raise DataError(f"{name!r} has two heads of the model {twice!r}; losses need one row per model")
    own = [*keys, column, *([] if "width" in losses else ["width"])]
    joined = losses.merge(named[own], on=keys, validate="many_to_one").reset_index(drop=True)
    joined[MODEL] = (
        joined[keys].agg("/".join, axis=1) if len(joined.groupby(keys)) > joined[RUN].nunique() else joined[RUN]
    )
    models = list(dict.fromkeys(joined[MODEL]))
    if len(models) < FEWEST:
        raise DataError(
            f"{len(models)} models of {table.name!r} have a head in {name!r}; at least {FEWEST} are needed. Models are "
            f"joined by {' and '.join(keys)}"
        )
    groups = _several(joined, FAMILY, "eval_set")
    laws = (f"loss ~ {_floor(groups)} + A*{column}", f"loss ~ {_floor(groups)} + A/width^a")
    by_overlap, by_width = (fit(joined, law, **how) for law in laws)
    scores: dict[str, list[float]] = {}
    report = how["progress"] or (lambda *_: None)
    for done, model in enumerate(models, 1):
        report("leaving models out", done, len(models))
        if (errors := _left_out(joined, model, laws, groups)) is not None:
            scores[model] = errors
    if len(scores) < FEWEST:
        raise DataError(f"{len(scores)} models can be left out of {table.name!r}; at least {FEWEST} are needed")
    errors_by_law = np.array(list(scores.values()))
    skipped = tuple(model for model in models if model not in scores)
    partial = _partial(losses if "width" in losses else joined, joined, column, how)
    return LossTest(by_overlap, by_width, tuple(scores), errors_by_law[:, 0], errors_by_law[:, 1], skipped, partial)


def _floor(groups: Sequence[str]) -> str:
    return f"E[{', '.join(groups)}]" if groups else "E"


def _left_out(joined: pd.DataFrame, model: str, laws: Sequence[str], groups: list[str]) -> list[float] | None:
    """Return the rms errors of one model's log losses under laws fitted to the others; None if impossible."""
    inside, others = joined[joined[MODEL] == model], joined[joined[MODEL] != model]
    if groups and not set(inside[groups].itertuples(index=False)) <= set(others[groups].itertuples(index=False)):
        return None
    errors = []
    for law in laws:
        result = fit(others, law, uncertainty="gauss-newton", throw=False)
        if result.status == NOT_CONVERGED:
            return None
        predicted = result.predict(inside)["predicted"].to_numpy(float)
        errors.append(float(np.sqrt(np.mean(np.log(inside["loss"].to_numpy(float) / predicted) ** 2))))
    return errors


def _partial(losses: pd.DataFrame, joined: pd.DataFrame, column: str, how: dict[str, Any]) -> Partial | None:
    """Correlate log overlap with the log width part of the loss, given log width.

    The width part is the loss minus its offset, from a fit of the loss (not of its logarithm) to all rows, as the
    published offsets were fitted; it is averaged over the evaluation sets of a model.
    """
    groups = _several(losses, FAMILY, "eval_set")
    offsets = fit(losses, f"loss ~ {_floor(groups)} + A/width^a", space="linear", **how)
    values = offsets.natural
    levels = joined[groups].itertuples(index=False) if groups else [()] * len(joined)
    part = joined["loss"] - [values["E", tuple(level)] for level in levels]
    models = (
        joined.assign(part=part).groupby(MODEL, sort=False).agg({"part": "mean", column: "first", "width": "first"})
    )
    models = models[models["part"] > 0]
    n = len(models)
    if n < FEWEST:
        return None
    y, x, w = (np.log(models[name].to_numpy(float)) for name in ("part", column, "width"))
    basis = np.column_stack([np.ones(n), w])
    rest_x, rest_y = (column - basis @ np.linalg.lstsq(basis, column, rcond=None)[0] for column in (x, y))
    if min(np.abs(rest_x).max(), np.abs(rest_y).max()) < EXACT:
        return None
    value = float(np.corrcoef(rest_x, rest_y)[0, 1])
    z, reach = math.atanh(max(min(value, MOST), -MOST)), 1.959964 / math.sqrt(n - 4)  # given one variable
    return Partial(value, math.tanh(z - reach), math.tanh(z + reach), n)
