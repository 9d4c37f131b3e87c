"""One comparison for each level of a column: every fit is done again on the rows of the level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scalefit.comparison.differences import Agreement, agreement
from scalefit.comparison.parts import agreement_words, check_column, each_level, parted
from scalefit.comparison.refit import refit
from scalefit.comparison.result import Comparison
from scalefit.comparison.run import compare, named_fits
from scalefit.comparison.sources import compared_of
from scalefit.data.choice import parse_reduce
from scalefit.data.tables import Table
from scalefit.errors import DataError
from scalefit.files import plain_json
from scalefit.names import printed_label, split_names
from scalefit.numbers import exact, plus_minus, rounded_interval
from scalefit.options import Rows
from scalefit.progress import Progress
from scalefit.results import Fit
from scalefit.table import PrintedTable

__all__ = ["LevelComparisons", "compare_levels"]


@dataclass(frozen=True, eq=False)
class LevelComparisons:
    """The same comparison on the rows of each level of a column; ``print(levels)``.

    Parameters
    ----------
    by : str
        The column.
    parameter : str
        As asked for.
    comparisons : mapping of str to Comparison
        By level, in the order of the labels, as text or as numbers where all are.
    failed : mapping of str to str
        Levels that could not be compared, with the reason.
    shared : mapping of str to Agreement
        For each fit that has the parameter in two levels or more, whether it can be one number in all of them.
    remarks : tuple of str
        On the column.
    """

    by: str
    parameter: str
    comparisons: Mapping[str, Comparison]
    failed: Mapping[str, str]
    shared: Mapping[str, Agreement]
    remarks: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 when every level has a comparison."""
        return 1 if self.failed else 0

    def __getitem__(self, level: str) -> Comparison:
        return self.comparisons[level]

    def table(self) -> pd.DataFrame:
        """Return :meth:`Comparison.table` of all levels, with the level in front."""
        parts = [comparison.table() for comparison in self.comparisons.values()]
        whole = pd.concat(parts, keys=list(self.comparisons), names=[self.by, None]).reset_index(level=0)
        return whole.reset_index(drop=True)

    def record(self) -> list[dict[str, Any]]:
        """Return the results as plain JSON: one object for each level, each with the tests of all."""
        tests = {label: plain_json(test._asdict()) for label, test in self.shared.items()}
        done = [
            {self.by: level, **comparison.record(), "shared": tests} for level, comparison in self.comparisons.items()
        ]
        return done + [{self.by: level, "status": "refused", "message": why} for level, why in self.failed.items()]

    def summary(self) -> str:
        """Return the table of levels and sources, the tests, and what each level says, as text."""
        rows = [
            [
                printed_label(level), source.label, exact(len(source.rows)) if source.rows else "", source.status,
                plus_minus(source.estimate.value, source.estimate.se),
                rounded_interval(source.estimate.lo, source.estimate.hi, source.estimate.se),
            ]
            for level, comparison in self.comparisons.items() for source in comparison.sources
        ]  # fmt: skip
        header = [self.by, "source", "rows", "status", self.parameter, "interval"]
        lines = [f"{self.parameter}, by {self.by}:", "", PrintedTable.of(header, rows, "llrlrr").text("  "), ""]
        is_log = any(source.is_log for source in next(iter(self.comparisons.values())).sources)
        lines += [
            f"  {label}: {agreement_words(self.parameter, test, is_log=is_log)}" for label, test in self.shared.items()
        ]
        for level, comparison in self.comparisons.items():
            lines += [f"  {printed_label(level)}: {verdict}" for verdict in map(str, comparison.verdict)]
        lines += [f"  not compared: {self.by} = {printed_label(level)}: {why}" for level, why in self.failed.items()]
        return "\n".join([*lines, *(f"  note: {remark}" for remark in self.remarks)])

    def __str__(self) -> str:
        return self.summary()


def compare_levels(
    fits: Mapping[str, Fit] | Sequence[Fit], param: str, by: str, *, progress: Progress | None = None, **keywords: Any
) -> LevelComparisons:
    """Compare fits on the rows of each level of a column, and test whether the levels share the parameter.

    Every fit is done again on its rows of the level, with the same law and options. The test is that of
    :func:`fit_levels`, for each fit by itself.

    Parameters
    ----------
    fits : mapping of str to Fit, or sequence of Fit
        As for :func:`compare`; each has the column in its rows.
    param : str
        The parameter, as for :func:`compare`.
    by : str
        The column of labels, which is in none of the laws.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Further options of :func:`compare`.

    Returns
    -------
    LevelComparisons
        ``print(levels)``; ``levels["web"]`` is a comparison, ``levels.table()``.

    Raises
    ------
    DataError
        When a fit lacks the column, its law has it, or no level can be compared.

    Examples
    --------
    >>> import scalefit
    >>> runs = "marin_isoflop"
    >>> plain = scalefit.fit(runs, "chinchilla", bootstrap=0)
    >>> huber = scalefit.fit(runs, "chinchilla", loss="huber", bootstrap=0)
    >>> levels = compare_levels({"squares": plain, "huber": huber}, "alpha", "train_set")
    >>> levels.table()["source"].tolist()
    ['squares', 'huber', 'squares', 'huber', 'squares', 'huber']
    """
    named = named_fits(fits)
    parts: dict[str, dict[str, Table]] = {}
    remarks: list[str] = []
    for label, fit in named.items():
        check_column(by, fit.law)
        whole = Table(fit.rows, fit.source.name, fit.source.sha256, len(fit.rows))
        try:
            levels, found = parted(whole, by, Rows())
        except DataError as error:
            raise DataError(f"{label}: {error}") from None
        remarks += [f"{label}: {remark}" for remark in found]
        reduce = fit.selection.reduce
        if reduce is not None and parse_reduce(reduce).chooses:
            remarks.append(f"{label}: its rows were chosen by {reduce}; resamples within a level do not choose again.")
        for level, part in levels.items():
            parts.setdefault(level, {})[label] = part
    done: dict[str, dict[str, Fit]] = {}

    def run(tables: dict[str, Table], level: str) -> Comparison:
        done[level] = {label: refit(named[label], part, chosen=True) for label, part in tables.items()}
        return compare(done[level], param, **keywords)

    found_levels, failed = each_level({level: parts[level] for level in sorted(parts)}, run, by, progress=progress)
    fitted = {level: done[level] for level in found_levels}
    return LevelComparisons(by, param, found_levels, failed, _shared(fitted, named, param), tuple(remarks))


def _shared(done: Mapping[str, Mapping[str, Fit]], named: Mapping[str, Fit], param: str) -> dict[str, Agreement]:
    """Test for each fit whether its levels agree on the parameter."""
    names, tests = split_names(param), {}
    for label in named:
        sources = []
        for level, fits in done.items():
            try:
                sources += list(compared_of(fits[label], names, level)) if label in fits else []
            except DataError:
                continue  # this fit has no such parameter and is compared as a law only
        found = agreement(sources)
        if found is not None:
            tests[label] = found
    return tests
