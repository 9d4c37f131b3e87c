"""Which rows of a table enter a fit: conditions, invalid values, the highest losses.

Every rule that takes rows out is recorded in ``Table.dropped``; nothing is dropped unless asked for. The condition
comes first: what stands in a row that it leaves out cannot stop a fit.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalefit.data.choice import group_columns, parse_reduce, used_as_numbers
from scalefit.data.columns import Unread, alike_column, compute_columns, find_columns, map_columns
from scalefit.data.groups import MADE, reduce_rows
from scalefit.data.quantities import CORRECT, file_of, header_of, read_numbers, row_label, shortened
from scalefit.data.tables import Dropped, Table, resolve
from scalefit.data.where import Where, parse_where
from scalefit.errors import DataError
from scalefit.law.protocol import AnyLaw
from scalefit.numbers import as_input, counted, exact, rounded

__all__ = ["Needed", "RowRules", "select_rows", "usable_rows", "used_columns"]

SHOWN = 5
DROP = "--drop-invalid (drop_invalid=True)"
WAYS = f"Correct the table, leave these rows out with a condition, or drop them with {DROP}."
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Needed:
    """The columns that a law needs of a table.

    Parameters
    ----------
    response : str
        The column that the law predicts.
    numeric : tuple of str
        Columns of numbers; the response is always one of them.
    labels : tuple of str
        Columns of levels, which must not be missing.
    signs : mapping of str to str
        Numbers that need not be positive: ``nonnegative``, or ``any`` for finite numbers of any sign.
    """

    response: str
    numeric: tuple[str, ...]
    labels: tuple[str, ...] = ()
    signs: Mapping[str, str] = field(default_factory=dict)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns of numbers, the response first, each once."""
        return tuple(dict.fromkeys((self.response, *self.numeric)))


class RowRules(NamedTuple):
    """Which columns are computed and which rows are kept; the fields are those of :class:`scalefit.options.Rows`."""

    mapping: Mapping[str, str] | None = None
    columns: Mapping[str, str] | None = None
    derive: tuple[str, ...] = ()
    where: str | None = None
    drop_invalid: bool = False
    drop_highest_loss: int = 0
    ties: str = "drop"
    weights: str | None = None
    group_by: str | None = None
    reduce: str | None = None


def select_rows(table: Table, needed: Needed, rules: RowRules) -> Table:
    """Keep the rows that a fit is to use.

    The rules work in this order: the condition, cells that are not numbers (always an error), invalid values, weights
    of zero, one row per group, the highest losses.

    Parameters
    ----------
    table : Table
        From `read_table`; columns that are missing are looked for as in `scalefit.data.tables.resolve`.
    needed : Needed
        The columns of the law.
    rules : RowRules
        What to compute and what to leave out.

    Returns
    -------
    Table
        With the rows left, under their row numbers.

    Raises
    ------
    DataError
        If a rule leaves no rows, and for invalid values and cells that are not numbers in the rows that the condition
        leaves; row and column are named.
    """
    groups = () if rules.group_by is None else group_columns(rules.group_by)
    reduction = None if rules.reduce is None else parse_reduce(rules.reduce)
    made = reduction is not None and rules.weights in MADE  # such weights are made with the groups
    weights = None if made else rules.weights
    extra = tuple(
        name
        for name in dict.fromkeys((*used_as_numbers(groups), reduction.column if reduction else "", weights))
        if name and name not in needed.numbers
    )
    numbers = (*needed.numbers, *extra)
    labels = tuple(name for name in dict.fromkeys((*needed.labels, *groups)) if name not in numbers)
    table, unread = _with_columns(table, numbers, labels, rules)
    kept = np.ones(len(table.frame), dtype=np.bool_)
    if rules.where is not None:
        condition = parse_where(rules.where)
        kept = condition.mask(table.frame, unread, drop_open=rules.drop_invalid)
        table = _keep_where(table, condition, kept)
    words = _invalid_words(unread, numbers, kept, drop_invalid=rules.drop_invalid)
    signs = dict.fromkeys(extra, "any") | ({weights: "nonnegative"} if weights in extra else {}) | dict(needed.signs)
    found = _find_invalid(table.frame, numbers, signs, labels, words)
    if found and not rules.drop_invalid:
        raise DataError(_invalid_message(table, found, WAYS) + _linear_advice(needed, found))
    table = _drop_invalid(table, found)
    if weights is not None:
        table = _drop_weightless(table, weights)
    if reduction is not None:
        table = reduce_rows(
            table, groups, reduction, response=needed.response, numbers=needed.numbers, labels=needed.labels,
            weights=weights,
        )  # fmt: skip
        if made and rules.weights not in table.frame:
            raise DataError(
                f"column {rules.weights!r} is made by a mean of each group; use --reduce mean, or other weights"
            )
    if rules.drop_highest_loss:
        table = _drop_highest(table, needed.response, rules.drop_highest_loss, rules.ties)
    if table.choice is not None:
        table = replace(table, choice=table.choice.of_rows(table.frame.index))
    return _remark_duplicates(table, list(dict.fromkeys((*needed.numbers, *needed.labels))), extra)


def usable_rows(
    table: Table, numeric: Iterable[str], labels: Iterable[str] = (), signs: Mapping[str, str] | None = None
) -> Table:
    """Find the columns needed, and refuse a table with a row that cannot be used: for a prediction none is left out.

    Parameters
    ----------
    table : Table
        From `read_table`.
    numeric, labels, signs
        As in :class:`Needed`.

    Returns
    -------
    Table
        All rows, with the columns under the names needed.

    Raises
    ------
    DataError
        For a missing column or an invalid value; row and column are named.
    """
    numeric, labels = tuple(numeric), tuple(labels)
    table = resolve(table, numeric=numeric, labels=labels)
    found = _find_invalid(table.frame, numeric, signs or {}, labels, {})
    if found:
        raise DataError(_invalid_message(table, found, "Correct the table, or leave these rows out of it."))
    return table


def _with_columns(
    table: Table, numbers: tuple[str, ...], labels: tuple[str, ...], rules: RowRules
) -> tuple[Table, Unread]:
    """Map, compute and find columns; return also the cells that are not numbers, which a condition may leave out."""
    remarks, unread = list(table.remarks), Unread()
    frame = map_columns(table.frame, rules.mapping, remarks, unread) if rules.mapping else table.frame
    frame = compute_columns(frame, rules.columns, remarks, unread) if rules.columns else frame
    frame = find_columns(
        frame, name=table.name, numeric=numbers, labels=labels, derive=rules.derive, remarks=remarks, unread=unread
    )
    return replace(table, frame=frame, remarks=tuple(dict.fromkeys(remarks))), unread


def _keep(table: Table, mask: Mask, *dropped: Dropped) -> Table:
    """Keep the rows of the mask and record the rules that took others."""
    return replace(table, frame=table.frame.loc[mask].copy(), dropped=(*table.dropped, *dropped))


def _keep_where(table: Table, where: Where, mask: Mask) -> Table:
    out = int(np.count_nonzero(~mask))
    remarks = list(table.remarks)
    for name in where.columns:
        column = table.frame[name if name in table.frame else alike_column(name, table.frame.columns) or name]
        if not pd.api.types.is_numeric_dtype(column.dtype):
            remarks.extend(read_numbers(column).remarks(column))  # how commas were read, if it was read as numbers
    if out == len(mask):
        raise DataError(
            f"no row of {table.name!r} fulfils the condition {where} ({out} rows were looked at). "
            f"Correct the condition or leave it out."
        )
    if out == 0:
        remarks.append(f"All rows fulfil the condition {where}.")
    table = replace(table, remarks=tuple(dict.fromkeys(remarks)))
    reason = "the condition is false or a value that it needs is missing"
    return _keep(table, mask, Dropped("where", out, reason, str(where))) if out else table


class _Invalid(NamedTuple):
    """Why a row cannot be used: the first column at fault, what is wrong, and the word that stands there."""

    column: str
    problem: str
    word: str = ""


def _invalid_words(unread: Unread, needed: tuple[str, ...], kept: Mask, *, drop_invalid: bool) -> dict[int, _Invalid]:
    """Return words in place of numbers that may be dropped, by position among the rows kept; refuse other cells.

    A word such as ``diverged`` says that there is no number. A cell with digits may be a number in another notation, so
    that dropping its row could lose a run: it is always refused.
    """
    place_of = np.cumsum(kept) - 1
    found: dict[int, _Invalid] = {}
    for name in needed:
        bad = unread.get(name)
        used = {} if bad is None else {place: bad.column.iloc[place] for place in bad.problems if kept[place]}
        digits = [place for place, cell in used.items() if not _is_word(cell)]
        if bad is not None and used and (digits or not drop_invalid):
            ways = ["leave its row out with a condition (where)"] if bad.remedy == CORRECT else []
            if len(digits) < len(used) and not drop_invalid:
                ways.append(f"drop every row with a word in place of a number with {DROP}")
            advice = f" Or {', or '.join(ways)}." if ways else ""
            guilty = kept.copy()
            if drop_invalid:
                guilty[[place for place in used if place not in digits]] = False  # words are not what stops it
            raise DataError(bad.message(guilty) + advice)
        for place, cell in used.items():
            found.setdefault(int(place_of[place]), _Invalid(name, "not a number", str(cell).strip()))
    return found


def _is_word(cell: object) -> bool:
    """Tell whether a cell is text without a digit, such as ``OOM``."""
    return isinstance(cell, str) and not any(character.isdigit() for character in cell)


def _find_invalid(
    frame: pd.DataFrame,
    numbers: tuple[str, ...],
    signs: Mapping[str, str],
    labels: tuple[str, ...],
    words: Mapping[int, _Invalid],
) -> dict[int, _Invalid]:
    """Find the first invalid value of each row, by the position of the row."""
    found = dict(words)
    for name in numbers:
        _find_bad(frame, name, found, signs.get(name, "positive"))
    for name in labels:
        for place in np.flatnonzero(frame[name].isna().to_numpy()):
            found.setdefault(int(place), _Invalid(name, "missing"))
    return found


def _linear_advice(needed: Needed, found: Mapping[int, _Invalid]) -> str:
    """Say what a law of any form can do about a response at or below 0; empty where that is not the matter."""
    below = {fault.column for fault in found.values() if fault.problem in ("negative", "zero")}
    matters = needed.signs and needed.response in below and needed.response not in needed.signs
    return f" A response {needed.response!r} at or below 0 needs --space linear." if matters else ""


def _drop_invalid(table: Table, found: Mapping[int, _Invalid]) -> Table:
    """Drop rows with invalid values, counted by reason."""
    if not found:
        return table
    if len(found) == len(table.frame):
        raise DataError(_invalid_message(table, found, WAYS) + " Dropping them would leave nothing.")
    alike: dict[tuple[str, str], list[str]] = {}
    for fault in (found[row] for row in sorted(found)):
        alike.setdefault((fault.column, fault.problem), []).append(fault.word)
    mask = np.ones(len(table.frame), dtype=np.bool_)
    mask[list(found)] = False
    rules = [
        Dropped("drop_invalid", len(texts), f"{name} is {problem}{_some_words(texts)}")
        for (name, problem), texts in alike.items()
    ]
    return _keep(table, mask, *rules)


def _some_words(texts: list[str]) -> str:
    """List the words that stood in place of numbers, the most frequent first: ``: 'OOM' (3), 'diverged'``."""
    counts = Counter(text for text in texts if text).most_common()
    some = [f"{shortened(text)}{f' ({exact(count)})' if count > 1 else ''}" for text, count in counts[:SHOWN]]
    more = f" and {exact(len(counts) - SHOWN)} more" if len(counts) > SHOWN else ""
    return f": {', '.join(some)}{more}" if some else ""


def _find_bad(frame: pd.DataFrame, name: str, found: dict[int, _Invalid], need: str) -> None:
    values = frame[name].to_numpy(dtype=np.float64)
    problems = [("missing", np.isnan(values)), ("infinite", np.isinf(values))]
    if need != "any":
        problems.append(("negative", values < 0))
    if need == "positive":
        problems.append(("zero", values == 0))
    for problem, mask in problems:
        for place in np.flatnonzero(mask):
            found.setdefault(int(place), _Invalid(name, problem))


def _invalid_message(table: Table, found: Mapping[int, _Invalid], remedy: str) -> str:
    """List the first invalid rows, their number and the remedy."""
    frame = table.frame
    rows = []
    for place in sorted(found)[:SHOWN]:
        name, problem, word = found[place]
        value = frame[name].iloc[place]
        shown = f" ({shortened(word)})" if word else "" if problem == "missing" else f" ({as_input(float(value))})"
        rows.append(f"  {row_label(frame, place)}, column {header_of(frame, name)}: {problem}{shown}")
    if len(found) > SHOWN:
        rows.append(f"  and {counted(len(found) - SHOWN, 'more row')}")
    return "\n".join(
        [
            f"{exact(len(found))} of {exact(len(frame))} rows of {table.name!r} have values that cannot be used:",
            *rows,
            f"Numbers must be finite and above zero (weights may be zero), labels must be given. {remedy}",
        ]
    )


def _drop_weightless(table: Table, weights: str) -> Table:
    """Drop rows of weight zero, which must not count where rows are counted."""
    mask = table.frame[weights].to_numpy() > 0
    out = int(np.count_nonzero(~mask))
    if out == len(mask):
        raise DataError(f"every weight in column {weights!r} is zero. Need at least one row with a positive weight.")
    return _keep(table, mask, Dropped("weights", out, "the weight is zero", weights)) if out else table


def _drop_highest(table: Table, response: str, count: int, ties: str) -> Table:
    """Drop the rows with the highest responses."""
    values = table.frame[response].to_numpy(dtype=np.float64)
    setting = f"{count}, ties={ties}"
    rule = f"drop_highest_loss={setting}"
    if count >= len(values):
        raise DataError(
            f"{rule} would drop all {exact(len(values))} rows of {table.name!r}. Need a number below "
            f"{exact(len(values))}."
        )
    order = np.argsort(values, kind="stable")[::-1]  # highest first, among equals the later row
    threshold = float(values[order[count - 1]])
    reason = f"the {exact(count)} rows with the highest {response}, down to {rounded(threshold, digits=6)}"
    mask = np.ones(len(values), dtype=np.bool_)
    mask[order[:count]] = False
    tied = int(np.count_nonzero(values[mask] == threshold))
    if ties == "drop":
        mask = values < threshold
        if not mask.any():
            raise DataError(
                f"{rule} would drop all {exact(len(values))} rows of {table.name!r}, because the rows below the "
                f"{exact(count)} highest are tied with them. Need a smaller number, or ties=keep."
            )
        if tied:
            reason += f", and {tied} tied with the last of them"
    elif tied:
        reason += f"; {tied} more with the same value are kept"
    return _keep(table, mask, Dropped("drop_highest_loss", int(np.count_nonzero(~mask)), reason, setting))


def _remark_duplicates(table: Table, columns: list[str], extra: tuple[str, ...]) -> Table:
    """Remark on rows that repeat an earlier one in every needed column; they are kept."""
    columns = [*columns, *(name for name in extra if name in table.frame and name not in columns)]
    twice = np.arange(len(table.frame))
    for name in columns:  # column by column, which leaves few rows to compare in a long table
        twice = twice[table.frame[name].iloc[twice].duplicated(keep=False).to_numpy()]
    frame = table.frame[columns]
    twice = twice[frame.iloc[twice].duplicated(keep=False).to_numpy()]
    if len(twice) == 0:
        return table
    first: dict[tuple[object, ...], int] = {}
    pairs: list[tuple[int, int]] = []
    for place, cells in zip(twice, frame.iloc[twice].itertuples(index=False, name=None), strict=True):
        earlier = first.setdefault(tuple(cells), int(place))
        if earlier != place:
            pairs.append((earlier, int(place)))
    several = bool(file_of(table.frame, 0))
    labels = [
        [row_label(table.frame, place) if several else f"row {table.frame.index[place]}" for place in pair]
        for pair in pairs[:SHOWN]
    ]
    more = f" and {exact(len(pairs) - SHOWN)} more" if len(pairs) > SHOWN else ""
    some = ", ".join(f"{later} repeats {earlier}" for earlier, later in labels)
    single = len(pairs) == 1
    remark = f"{counted(len(pairs), 'row repeats', 'rows repeat')} an earlier one in every needed column and "
    remark += f"{'is' if single else 'are'} kept: {some}{more}."
    across = sum(file_of(table.frame, earlier) != file_of(table.frame, later) for earlier, later in pairs)
    if across:
        remark += f" {'It is' if single else f'{exact(across)} are'} of another file than the row that is repeated."
    groups = ",".join(f"`{name}`" if "," in name else name for name in columns)
    remark += f" Repeats count twice; to keep one of each: --group-by {shlex.quote(groups)} --reduce mean."
    return replace(table, remarks=(*table.remarks, remark))


def used_columns(frame: pd.DataFrame, law: AnyLaw, weights: str | None, cluster: str | None) -> pd.DataFrame:
    """Keep the law's columns first, then any other label or number that residuals may be drawn against.

    Parameters
    ----------
    frame : DataFrame
        The rows used.
    law : Law or GeneralLaw
        The law.
    weights, cluster : str, optional
        Columns of row weights and of clusters.

    Returns
    -------
    DataFrame
        The same rows, columns reordered.
    """
    own: list[Any] = [law.response, *law.variables, *law.groups, weights, cluster]
    columns = list(dict.fromkeys(name for name in own if name))
    rest = [name for name in frame.columns if name not in columns]
    return frame[[*columns, *rest]]
