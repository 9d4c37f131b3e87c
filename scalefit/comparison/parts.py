"""A table parted by the labels of a column, one answer for each part, and whether the answers share a parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, TypeVar

from scalefit.comparison.differences import Agreement
from scalefit.data.columns import compute_columns, map_columns
from scalefit.data.tables import Table, resolve
from scalefit.errors import DataError
from scalefit.law.protocol import AnyLaw
from scalefit.names import printed_label
from scalefit.numbers import chance, exact, parse_number, plus_minus, rounded
from scalefit.options import Rows
from scalefit.progress import Progress

__all__ = ["agreement_words", "check_column", "each_level", "in_order", "parted"]

MOST: Final = 200  # levels; a column with more is not one of labels
APART: Final = 0.05  # p-value below which levels are said to differ

P = TypeVar("P")
R = TypeVar("R")


def check_column(by: str, law: AnyLaw) -> None:
    """Raise DataError for a column that the law has already: within one of its levels it would not vary."""
    if by in (law.response, *law.variables, *law.groups):
        raise DataError(f"by is {by!r}, a column of the law {law}; give a column of labels that is not in it")


def parted(table: Table, by: str, rows: Rows) -> tuple[dict[str, Table], tuple[str, ...]]:
    """Part a table by the labels of a column, which may be mapped or computed.

    Parameters
    ----------
    table : Table
        As it was read.
    by : str
        The column.
    rows : Rows
        Whose mapping and computed columns may define it.

    Returns
    -------
    dict of str to Table
        By label, in the order of :func:`in_order`; rows keep their numbers, and the hash is that of the whole.
    tuple of str
        Remarks on the column.

    Raises
    ------
    DataError
        When there is no such column, or it does not have 2 to 200 labels.
    """
    known = set(table.remarks)
    renamed = {name: header for name, header in (rows.mapping or {}).items() if name == by}
    computed = {name: formula for name, formula in (rows.columns or {}).items() if name == by}
    mapped = compute_columns(map_columns(table.frame, renamed, [], {}), computed, [], {})
    labelled = resolve(replace(table, frame=mapped), numeric=(), labels=[by])
    labels = labelled.frame[by]
    remarks = [remark for remark in labelled.remarks if remark not in known]
    missing = int(labels.isna().sum())
    if missing:
        remarks.append(f"{exact(missing)} rows without a label in column {by!r} are left out.")
    levels = in_order(set(labels.dropna()))
    if not 2 <= len(levels) <= MOST:
        raise DataError(
            f"column {by!r} has {exact(len(levels))} different labels. Need 2 to {exact(MOST)}, one fit for each"
        )
    mask = {level: (labels == level).to_numpy() for level in levels}
    parts = {level: table.frame[mask[level]] for level in levels}
    return {level: replace(table, frame=part, rows_read=len(part)) for level, part in parts.items()}, tuple(remarks)


def in_order(labels: Iterable[str]) -> list[str]:
    """Sort labels as text, or as numbers where all of them are numbers.

    Examples
    --------
    >>> in_order(["8", "64", "1"]), in_order(["web", "8", "64"]), in_order(["1.3B", "70M"])
    (['1', '8', '64'], ['64', '8', 'web'], ['70M', '1.3B'])
    """
    words = sorted(labels)
    try:
        return sorted(words, key=parse_number)
    except ValueError:
        return words


def each_level(
    parts: Mapping[str, P], run: Callable[[P, str], R], by: str, *, workers: int = 1, progress: Progress | None = None
) -> tuple[dict[str, R], dict[str, str]]:
    """Compute one answer for each level; a level without one has its reason.

    Parameters
    ----------
    parts : mapping of str to any
        By level.
    run : callable
        Called as ``run(part, level)``.
    by : str
        The column, for messages.
    workers : int
        Threads.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    dict
        Answers by level.
    dict of str to str
        Levels without one, with the reason.

    Raises
    ------
    DataError
        When no level has one.
    """
    report = progress or (lambda *_: None)
    done: list[str] = []

    def answer(level: str) -> R | DataError:
        found: R | DataError
        try:
            found = run(parts[level], level)
        except DataError as error:
            found = error
        done.append(level)
        report("fitting levels", len(done), len(parts))
        return found

    with ThreadPoolExecutor(max(1, min(workers, len(parts)))) as pool:
        results = dict(zip(parts, pool.map(answer, parts), strict=True))
    found = {level: result for level, result in results.items() if not isinstance(result, DataError)}
    failed = {level: str(result) for level, result in results.items() if isinstance(result, DataError)}
    if not found:
        level, why = next(iter(failed.items()))
        raise DataError(f"no level of {by!r} can be fitted; {by} = {printed_label(level)}: {why}")
    return found, failed


def agreement_words(name: str, tested: Agreement, *, is_log: bool) -> str:
    """Say whether a parameter can be one number in all levels, by Cochran's Q."""
    p = chance(tested.p)
    test = f"chi2({exact(tested.df)}) = {rounded(tested.chi2, digits=3)}, p {p if p[0] in '<>' else f'= {p}'}"
    named = f"ln {name}" if is_log else name
    if tested.p < APART:
        verdict = f"{named} differs between levels ({test})"
    else:
        verdict = f"{named} can be one number, {plus_minus(tested.pooled, tested.se)} ({test})"
    return verdict + (f"; without {', '.join(tested.left_out)}" if tested.left_out else "")
