"""Rows that a law cannot explain: the few that carry the misfit, and repeats of one setting that disagree."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.data.columns import label_text
from scalefit.data.quantities import as_numbers, guess_header
from scalefit.law.additive import Coef, Law
from scalefit.law.protocol import AnyLaw
from scalefit.names import printed_label
from scalefit.numbers import exact, percent, rounded
from scalefit.quantiles import f_tail, normal_quantile
from scalefit.thresholds import (
    CARRIER_DISTANCE,
    CARRIER_ROWS,
    CARRIER_SHARE,
    CHECKPOINTS,
    LABEL_ROWS,
    MANY_LABELS,
    MIXED_OVERLAP,
    MOST_CARRIERS,
    MOST_LABELS,
    REPEATS_CHANCE,
    REPEATS_EXPLAINED,
    REPEATS_FACTOR,
    REPEATS_SHARE,
)

__all__ = [
    "Carriers",
    "MixedRows",
    "Repeats",
    "carriers_message",
    "carriers_of",
    "checkpoints_message",
    "label_column",
    "mixture_message",
    "mixture_of",
    "named_rows",
    "repeats_message",
    "repeats_of",
]

Array = NDArray[np.float64]

SIZES: Final = ("params", "tokens", "flops", "width", "depth", "step")
RUN_WORDS: Final = ("run", "name", "model", "id", "experiment")


class Carriers(NamedTuple):
    """The few rows that carry most of the misfit.

    Parameters
    ----------
    rows : tuple of int
        Their row numbers, the worst first.
    share : float
        Their part of the misfit.
    """

    rows: tuple[int, ...]
    share: float


class Repeats(NamedTuple):
    """Rows of the same setting whose responses differ far beyond the scatter.

    Parameters
    ----------
    rows : tuple of int
        Row numbers of the two that differ most.
    settings : int
        How many settings are repeated.
    column : str or None
        The column that separates them; None when no column does.
    low, high : str
        Its labels with the lowest and the highest response.
    gap : float
        How far these are apart: a difference of logs, or of responses in linear space. Without a column, the typical
        difference within a setting.
    rest : float
        Scatter that the column leaves within a setting, as a standard deviation.
    """

    rows: tuple[int, ...]
    settings: int
    column: str | None
    low: str
    high: str
    gap: float
    rest: float


def carriers_of(residual: Array, share: Array, index: NDArray[np.int64]) -> Carriers | None:
    """Return the rows that carry the misfit when few do.

    Parameters
    ----------
    residual : array, shape (n,)
        Residuals, each times the root of its weight.
    share : array, shape (n,)
        Part of the objective that each row makes up.
    index : array of int, shape (n,)
        Row numbers.

    Returns
    -------
    Carriers or None
        None when the misfit is spread over many rows.
    """
    order = np.argsort(-share, kind="stable")
    total = np.cumsum(share[order])
    count = (
        int(np.searchsorted(total, CARRIER_SHARE * total[-1], side="right")) + 1 if total[-1] > 0 else len(order) + 1
    )
    most = min(MOST_CARRIERS, max(1, int(CARRIER_ROWS * len(order))))
    far = np.abs(residual[order]) > CARRIER_DISTANCE * float(np.median(np.abs(residual))) / normal_quantile(0.75)
    if count > most or not far[:count].all():
        return None
    count = min(most, int(np.argmin(far)) or count)  # with the others that are as far out
    return Carriers(tuple(int(index[i]) for i in order[:count]), float(total[count - 1] / total[-1]))


def repeats_of(
    law: AnyLaw, frame: pd.DataFrame, residual: Array, *, parameters: int, log_space: bool, leave_out: str | None = None
) -> Repeats | None:
    """Compare rows that are alike in every column of the law.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law.
    frame : DataFrame, shape (n, p)
        The rows used, with all columns of the table.
    residual : array, shape (n,)
        Their residuals. Within a setting the predictions are equal, so that residuals differ as the responses do.
    parameters : int
        How many parameters were fitted.
    log_space : bool
        Whether residuals are of the log response.
    leave_out : str, optional
        A column whose effect the model already holds, such as the clusters of a posterior, which shift.

    Returns
    -------
    Repeats or None
        None when there are no repeats, or they agree as well as the fit's scatter lets expect.
    """
    own = [*law.variables, *law.groups]
    setting = frame.groupby(own, sort=False, observed=True).ngroup().to_numpy()
    counts = np.bincount(setting)
    repeated = counts[setting] > 1
    settings = int(np.count_nonzero(counts > 1))
    freedom = int(np.count_nonzero(repeated)) - settings
    if freedom < 1:
        return None
    part, codes = frame[repeated], np.unique(setting[repeated], return_inverse=True)[1]
    gaps = _centred(residual[repeated], codes)
    pure = float(gaps @ gaps)
    scatter = float(residual @ residual) / max(1, len(frame) - parameters)
    if not pure / freedom >= REPEATS_SHARE * scatter or pure <= 0:
        return None
    taken = {law.response, *own, leave_out}
    found = [
        candidate
        for column in part.columns
        if column not in taken
        if (candidate := _separated(part[column], gaps, codes, freedom)) is not None
    ]
    widest = _widest(part.index.to_numpy(), gaps, codes)
    if found:
        plainest = _plainest(found)
        low, high, difference = plainest.extremes
        rest = float(np.sqrt((1 - plainest.explained) * pure / max(1, freedom - len(plainest.effects) + 1)))
        return Repeats(widest, settings, plainest.column, low, high, difference, rest)
    together = gaps[np.argsort(codes, kind="stable")]  # setting by setting, each from where the ones before it end
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))[:-1]])
    typical = float(np.median(np.maximum.reduceat(together, starts) - np.minimum.reduceat(together, starts)))
    return (
        Repeats(widest, settings, None, "", "", typical, typical)
        if log_space and typical > np.log(REPEATS_FACTOR)
        else None
    )


class _Separated(NamedTuple):
    """How well a column tells repeats apart."""

    column: str
    explained: float
    effects: dict[str, float]

    @property
    def extremes(self) -> tuple[str, str, float]:
        """The labels of the smallest and the largest effect, and their difference."""
        low, high = (chosen(self.effects, key=self.effects.__getitem__) for chosen in (min, max))
        return low, high, self.effects[high] - self.effects[low]


def _plainest(found: list[_Separated]) -> _Separated:
    """Choose among columns that explain about as much: a size before labels that follow it, then that of fewest levels.

    Where a law lacks params, runs and classes of size explain what params do.
    """
    best = max(candidate.explained for candidate in found)
    near = [candidate for candidate in found if candidate.explained >= 0.9 * best]
    return min(near, key=lambda candidate: (_quantity(candidate.column) is None, len(candidate.effects)))


def _quantity(column: str) -> str | None:
    """Return the size that a header stands for, such as ``params``."""
    return next((name for name in SIZES if guess_header(column, name) is not None), None)


def _centred(values: Array, codes: NDArray[np.int64]) -> Array:
    """Take the mean of its setting from each value."""
    return np.asarray(values - (np.bincount(codes, values) / np.bincount(codes))[codes])


def _separated(column: pd.Series[Any], gaps: Array, codes: NDArray[np.int64], freedom: int) -> _Separated | None:
    """Regress the differences within settings on the levels of a column."""
    level, labels = _texts(column).factorize(sort=True)
    if not 2 <= len(labels) <= _most_labels(len(column)):
        return None
    design = np.array([_centred((level == i).astype(float), codes) for i in range(len(labels))]).T
    effects, _, rank, _ = np.linalg.lstsq(design, gaps, rcond=None)
    left = gaps - design @ effects
    rest, total = float(left @ left), float(gaps @ gaps)
    free = freedom - int(rank)
    explained = 1 - rest / total
    if rank < 1 or free < 3 or explained < REPEATS_EXPLAINED:
        return None
    ratio = (total - rest) / rank / (rest / free) if rest > 0 else np.inf
    if f_tail(ratio, rank, free) > REPEATS_CHANCE:
        return None
    return _Separated(str(column.name), explained, dict(zip(map(str, labels), map(float, effects), strict=True)))


def _widest(index: NDArray[Any], gaps: Array, codes: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the two rows of one setting that differ most, the lower one first."""
    top = np.full(int(codes.max()) + 1, -np.inf)
    np.maximum.at(top, codes, gaps)
    low = int(np.argmin(gaps - top[codes]))
    inside = np.flatnonzero(codes == codes[low])
    return int(index[low]), int(index[inside[np.argmax(gaps[inside])]])


def label_column(frame: pd.DataFrame, law: AnyLaw) -> str | None:
    """Return the column that names the runs, if there is one: text that differs in every row, named like a run."""
    own = {law.response, *law.variables, *law.groups}
    texts = [column for column in map(str, frame.columns) if column not in own and as_numbers(frame[column]) is None]
    unique = [column for column in texts if frame[column].nunique() == len(frame)]
    named = [column for column in texts if any(word in column.lower() for word in RUN_WORDS)]
    both = [column for column in unique if column in named]
    return next(iter([*both, *unique, *named]), None)


def named_rows(frame: pd.DataFrame, law: AnyLaw, rows: Iterable[int]) -> str:
    """Name rows by number and, where a column names the runs, by label: ``row 37 (run_name run-37)``.

    Parameters
    ----------
    frame : DataFrame
        The rows used; the index is the row number.
    law : Law or GeneralLaw
        The law, whose own columns are not labels of runs.
    rows : iterable of int
        Row numbers.

    Returns
    -------
    str
        Such as ``rows 3 (run a) and 7 (run b)``.
    """
    column, rows = label_column(frame, law), list(rows)
    labels = [None if column is None else frame.loc[row, column] for row in rows]
    texts = [
        f"{row} ({column} {printed_label(label)})" if isinstance(label, str) else str(row)
        for row, label in zip(rows, labels, strict=True)
    ]
    joined = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
    return f"row{'' if len(texts) == 1 else 's'} {joined}"


class MixedRows(NamedTuple):
    """A label by which residuals differ, where no setting is repeated.

    Parameters
    ----------
    column : str
        Its column.
    low, high : str
        Its labels with the lowest and the highest residuals.
    gap : float
        How far these are apart.
    explained : float
        Part of the variance of all residuals that the column explains.
    """

    column: str
    low: str
    high: str
    gap: float
    explained: float


def mixture_of(
    law: AnyLaw, frame: pd.DataFrame, residual: Array, tangent: Array, *, leave_out: str | None = None
) -> MixedRows | None:
    """Find the label that explains most of the residuals.

    A label is judged by what it adds to the law: its offsets and the parameters are fitted together, to first order.
    The fit has already moved its parameters towards the labels where these go with a size, as they do when each run has
    one size, so that the residuals alone would hide part of the difference.

    Parameters
    ----------
    law, frame, residual, leave_out
        As for :func:`repeats_of`.
    tangent : array, shape (n, P)
        Derivative of the prediction with respect to the parameters that are not at a bound.

    Returns
    -------
    MixedRows or None
        None when no label explains more than half, or its levels lie apart in a column of the law.
    """
    taken = {law.response, *law.variables, *law.groups, leave_out}
    left, sizes, _ = np.linalg.svd(tangent, full_matrices=False)
    basis = left[:, sizes > 1e-10 * sizes.max(initial=0.0)]
    gaps = residual - basis @ (basis.T @ residual)
    if not float(gaps @ gaps) > 0:
        return None
    found = [
        candidate
        for column in frame.columns
        if column not in taken
        and _overlaps(law, frame, column)
        and (candidate := _added(frame[column], gaps, basis)) is not None
    ]
    if not found:
        return None
    plainest = _plainest(found)
    return MixedRows(plainest.column, *plainest.extremes, plainest.explained)


def _added(column: pd.Series[Any], gaps: Array, basis: Array) -> _Separated | None:
    """Add an offset for each level of a column to the linearised law; sums over rows suffice, also for long tables.

    A row without a label has no offset.
    """
    level, labels = _texts(column).factorize(sort=True)
    count, has = len(labels), level >= 0
    inside = np.array([np.bincount(level[has], direction[has], count) for direction in basis.T]).reshape(-1, count)
    gram = np.diag(np.bincount(level[has], minlength=count).astype(float)) - inside.T @ inside
    pull = np.bincount(level[has], gaps[has], count)
    values, vectors = np.linalg.eigh(gram)
    known = values > 1e-9 * values.max()
    effects = vectors[:, known] @ (vectors[:, known].T @ pull / values[known])
    total, rank = float(gaps @ gaps), int(known.sum())
    explained = float(pull @ effects) / total
    free = len(gaps) - basis.shape[1] - rank
    if rank < 1 or free < 3 or explained < REPEATS_EXPLAINED:
        return None
    ratio = explained / rank / ((1 - explained) / free) if explained < 1 else np.inf
    if f_tail(ratio, rank, free) > REPEATS_CHANCE:
        return None
    return _Separated(str(column.name), explained, dict(zip(map(str, labels), map(float, effects), strict=True)))


def _texts(column: pd.Series[Any]) -> pd.Series[Any]:
    """Write the cells of a column as labels: 5e10 as 50000000000, without a decimal point."""
    return column.map(label_text) if pd.api.types.is_float_dtype(column.dtype) else column.astype(str)


def _most_labels(rows: int) -> int:
    """Return how many labels a column of this many rows may have that names kinds of runs."""
    return min(max(MOST_LABELS, int(rows / LABEL_ROWS)), MANY_LABELS)


def _overlaps(law: AnyLaw, frame: pd.DataFrame, column: str) -> bool:
    """Tell whether the levels of a column lie among one another in each numeric column of the law."""
    most = _most_labels(len(frame))
    if frame[column].iloc[: 100 * most].nunique() > most:  # the beginning of a long table is enough
        return False
    codes, labels = frame[column].astype(str).factorize()
    if not 2 <= len(labels) <= most:
        return False
    for name in law.variables:
        values = frame[name].to_numpy(dtype=float)
        covered = np.zeros(len(values), dtype=np.int64)  # by the ranges of how many levels, that of the row included
        for code in range(len(labels)):
            inside = values[codes == code]
            covered += (values >= inside.min()) & (values <= inside.max())
        if np.mean(covered > 1) < MIXED_OVERLAP:
            return False
    return True


def mixture_message(law: AnyLaw, frame: pd.DataFrame, mixture: MixedRows, *, log_space: bool) -> str:
    """Name the label by which residuals differ, by how much, and the options that would use it.

    Parameters
    ----------
    law, frame
        As for :func:`mixture_of`.
    mixture : MixedRows
        From :func:`mixture_of`.
    log_space : bool
        Whether gaps are differences of logs.

    Returns
    -------
    str
        Sentences.
    """
    column, (low, high) = mixture.column, map(printed_label, (mixture.low, mixture.high))
    factor = float(np.exp(mixture.gap)) if log_space else mixture.gap
    more = f"{rounded(factor, factor / 10)} times as high" if log_space else f"{rounded(mixture.gap)} higher"
    return (
        f"Residuals differ by {column}: {law.response} is {more} for {high} as for {low} at the same place of the law, "
        f"and {column} explains {percent(mixture.explained, 0)} of their variance. "
        f"{_remedies(law, frame, column, mixture.low)}."
    )


def _remedies(law: AnyLaw, frame: pd.DataFrame, column: str, label: str) -> str:
    """Name the options that use a column which the law lacks."""
    kept = f"{_column(column)} == {_literal(frame[column], label)}"
    if _quantity(column) is not None and as_numbers(frame[column]) is not None:
        return f"Give the law a term in {column}, or keep one value of it (--where {shlex.quote(kept)})"
    levels = frame.groupby(column, observed=True)
    single = [name for name in law.variables if name in frame and levels[name].nunique().max() == 1]
    if single:  # such as runs with their checkpoints
        return (
            f"A level has one value of {single[0]}, so it cannot be fitted by itself: resample whole levels "
            f"(--cluster {shlex.quote(column)}){_with_column(law, frame[column])}"
        )
    return (
        f"Fit every level (--by {shlex.quote(column)}), one of them (--where {shlex.quote(kept)})"
        f"{_with_column(law, frame[column])}"
    )


def checkpoints_message(law: AnyLaw, frame: pd.DataFrame) -> str | None:
    """Say that rows are checkpoints of runs, when they are, and which options treat them so.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law.
    frame : DataFrame, shape (n, p)
        The rows used, with all columns of the table.

    Returns
    -------
    str or None
        None when no column names runs whose rows follow one another by a column such as step.
    """
    order = next((name for name in frame.columns if guess_header(str(name), "step") is not None), None)
    order = order if order is not None else next((name for name in ("tokens",) if name in frame.columns), None)
    if order is None:
        return None
    for column in frame.columns:
        words = re.split(r"[^a-z]+", str(column).lower())
        if column in (law.response, *law.variables, order) or not set(words) & {"run", "name", "id", "experiment"}:
            continue
        labelled = frame[frame[column].notna()]
        codes, labels = labelled[column].astype(str).factorize()
        counts = np.bincount(codes)
        if len(labels) < 2 or np.median(counts) < CHECKPOINTS:
            continue
        pairs = pd.DataFrame({"run": codes, "at": labelled[order].astype(str).to_numpy()})
        if not pairs.duplicated().any():
            least, most = exact(counts.min()), exact(counts.max())
            each = least if least == most else f"{least} to {most}"
            return (
                f"{len(labels)} values of {column!r} have {each} rows each, "
                f"every one at its own {order}: they look like checkpoints of one run, which share an error. "
                f"Resample runs (--cluster {shlex.quote(str(column))}), or keep the last of each (--group-by "
                f"{shlex.quote(str(column))} --reduce last:{shlex.quote(str(order))})."
            )
    return None


def carriers_message(
    law: AnyLaw, frame: pd.DataFrame, carriers: Carriers, residual: Array, *, log_space: bool, robust: bool
) -> str:
    """Name the rows that carry the misfit, and say what to do about them.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law.
    frame : DataFrame, shape (n, p)
        The rows used.
    carriers : Carriers
        From :func:`carriers_of`.
    residual : array, shape (n,)
        Residuals of the frame's rows.
    log_space : bool
        Whether residuals are of the log response.
    robust : bool
        Whether the loss limits what a single row can do.

    Returns
    -------
    str
        Sentences, with the condition that leaves the rows out where it is a simple one.
    """
    rows, single = list(carriers.rows), len(carriers.rows) == 1
    by = ""
    if log_space and single:
        factor = float(np.exp(abs(residual[frame.index.get_indexer(pd.Index(rows[:1]))[0]])))
        by = f" and is off by a factor of {rounded(factor, factor / 10)}"
    observed = frame.loc[rows, law.response].min()
    above = observed > frame[law.response].drop(index=rows).max()
    cut = f" (--where {shlex.quote(f'{_column(law.response)} < {float(observed)!r}')})" if above else " with --where"
    it = "it" if single else "them"
    names = named_rows(frame, law, rows)
    text = f"R{names[1:]} carr{'ies' if single else 'y'} {percent(carriers.share, 0)} of the misfit{by}"
    if robust:
        return f"{text}; the loss limits what this does to the estimates. Look at {it}, or leave {it} out{cut}."
    moved = "it moves" if single else "they move"
    return f"{text}: {moved} every estimate. Look at {it}, and use --loss huber or leave {it} out{cut}."


def repeats_message(law: AnyLaw, frame: pd.DataFrame, repeats: Repeats, *, log_space: bool) -> str:
    """Say which repeats differ, by how much, what separates them and what to do.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law.
    frame : DataFrame
        The rows used.
    repeats : Repeats
        From :func:`repeats_of`.
    log_space : bool
        Whether gaps are differences of logs.

    Returns
    -------
    str
        Sentences, with the options that would use the column.
    """
    own = " and ".join([*dict.fromkeys(law.variables), *law.groups])
    rows = named_rows(frame, law, repeats.rows)
    factor = rounded(float(np.exp(repeats.gap)), float(np.exp(repeats.gap)) / 10) if log_space else ""
    if repeats.column is None:
        return (
            f"Rows with the same {own} differ in {law.response} by a factor of {factor} (median of {repeats.settings} "
            f"repeated settings; most between {rows}), and no single column of the table separates them: the law lacks "
            "what they differ in. Add the column that does, or keep comparable runs with --where."
        )
    column, (low, high) = repeats.column, map(printed_label, (repeats.low, repeats.high))
    more = (
        f"{factor} times as high for {high} as for {low}"
        if log_space
        else f"{rounded(repeats.gap)} higher for {high} than for {low}"
    )
    return (
        f"Rows with the same {own} differ by {column}: {law.response} is {more} ({repeats.settings} repeated settings, "
        f"such as {rows}). {_remedies(law, frame, column, repeats.low)}."
    )


def _literal(column: pd.Series[Any], label: str) -> str:
    """Write a label as --where compares it with its column: numbers and truth values bare, text in quotes."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return label.lower()
    return label if pd.api.types.is_numeric_dtype(column.dtype) else json.dumps(label, ensure_ascii=False)


def _with_column(law: AnyLaw, column: pd.Series[Any]) -> str:
    """Advise how the law can use a column: a term of a number, a floor for each label."""
    name = str(column.name)
    if as_numbers(column) is not None:
        return f", or give the law a term in {name}"
    if not isinstance(law, Law) or not isinstance(law.floor, Coef) or not name.isidentifier():
        return ""
    levels = replace(law, floor=Coef(law.floor.name, (*law.floor.groups, name)))
    return f", or a floor for each: {shlex.quote(str(levels))}"


def _column(name: str) -> str:
    """Write the name of a column as --where reads it."""
    return name if name.isidentifier() else f"`{name.replace('`', '``')}`"
