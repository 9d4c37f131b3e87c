"""One fit for each level of a column, and whether the levels share their parameters."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalefit.comparison.differences import Agreement, agreement
from scalefit.comparison.parts import agreement_words, check_column, each_level, parted
from scalefit.comparison.sources import compared_of
from scalefit.data.tables import Table
from scalefit.files import plain_json
from scalefit.law.general import parse_law
from scalefit.law.protocol import AnyLaw
from scalefit.leastsq import fit as least_squares
from scalefit.names import printed_label
from scalefit.numbers import exact
from scalefit.options import BAYES, FIT, Bayes, LeastSquares, Rows, gather, takes
from scalefit.posterior import bayes
from scalefit.progress import Progress
from scalefit.records import CONVERGED
from scalefit.results import Fit
from scalefit.storage import fit_record
from scalefit.summary import estimate_text, explained, scatter_text
from scalefit.table import PrintedTable

if TYPE_CHECKING:
    from scalefit.options.verbs import TableSource

__all__ = ["LevelFits", "bayes_levels", "fit_levels"]


@dataclass(frozen=True, eq=False)
class LevelFits:
    """The fits of one law to the levels of a column.

    Parameters
    ----------
    by : str
        The column.
    law : str
        The law, as it was given.
    source : str
        Name of the table.
    fits : mapping of str to Fit
        By level, in the order of the labels, as text or as numbers where all are.
    failed : mapping of str to str
        Levels that could not be fitted, with the reason.
    shared : mapping of str to Agreement
        For each parameter that two levels or more identify, whether it can be one number in all of them.
    remarks : tuple of str
        On the column.
    """

    by: str
    law: str
    source: str
    fits: Mapping[str, Fit]
    failed: Mapping[str, str]
    shared: Mapping[str, Agreement]
    remarks: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The parameters of all levels."""
        return list(dict.fromkeys(name for fit in self.fits.values() for name in fit.names))

    @property
    def exit_code(self) -> int:
        """0 when every level has a fit that converged."""
        return 1 if self.failed or any(fit.exit_code for fit in self.fits.values()) else 0

    def __getitem__(self, level: str) -> Fit:
        return self.fits[level]

    def table(self) -> pd.DataFrame:
        """Return :meth:`scalefit.results.Fit.table` of all levels, with the level in front."""
        parts = [fit.table().assign(status=fit.status, rows=fit.n_rows) for fit in self.fits.values()]
        whole = pd.concat(parts, keys=list(self.fits), names=[self.by, None]).reset_index(level=0)
        return whole.reset_index(drop=True)

    def record(self) -> list[dict[str, Any]]:
        """Return the results as plain JSON: one object for each level, each with the tests of all."""
        tests = {name: plain_json(test._asdict()) for name, test in self.shared.items()}
        done = [{self.by: level, **fit_record(fit), "shared": tests} for level, fit in self.fits.items()]
        return done + [{self.by: level, "status": "refused", "message": why} for level, why in self.failed.items()]

    def summary(self) -> str:
        """Return the table of levels and the tests, as text."""
        names = self.names
        rows = []
        for level, fit in self.fits.items():
            found = fit.goodness
            numbers = [estimate_text(fit[name]) if name in fit else "" for name in names]
            scatter = [scatter_text(found, found.rms), explained(found.r2)]
            rows.append([printed_label(level), exact(fit.n_rows), fit.status, *numbers, *scatter])
        header = [self.by, "rows", "status", *names, "scatter", "R2"]
        lines = [f"{self.law} in {self.source}, by {self.by}:", "", PrintedTable.of(header, rows).text("  "), ""]
        lines += [f"  {verdict}" for verdict in self.verdicts()]
        lines += [f"  not fitted: {self.by} = {printed_label(level)}: {why}" for level, why in self.failed.items()]
        lines += [
            f"  {printed_label(level)}: {'; '.join(rule.words for rule in fit.source.dropped)}"
            for level, fit in self.fits.items() if fit.source.dropped
        ]  # fmt: skip
        bad = [
            f"  {printed_label(level)}: {fit.message}" for level, fit in self.fits.items() if fit.status != CONVERGED
        ]
        return "\n".join([*lines, *bad, *(f"  note: {remark}" for remark in self.remarks)])

    def __str__(self) -> str:
        return self.summary()

    def verdicts(self) -> list[str]:
        """Say for each parameter whether it can be one number in all levels."""
        return [agreement_words(name, test, is_log=self._is_log(name)) for name, test in self.shared.items()]

    def plot(self, name: str | None = None, **options: Any) -> Any:
        """Draw one parameter of all levels below each other, with its intervals.

        Parameters
        ----------
        name : str, optional
            The parameter; the first exponent when omitted.
        **options
            As for :func:`scalefit.plots.forest`.

        Returns
        -------
        Axes
            The Axes drawn on.
        """
        draw: Callable[..., Any] = import_module("scalefit.plots").forest  # heavy, and only needed here
        return draw({f"{self.by} {level}": fit for level, fit in self.fits.items()}, name=name, **options)

    def _is_log(self, name: str) -> bool:
        fit = next(fit for fit in self.fits.values() if name in fit)
        return fit.parameters[fit.place(name)].is_log


@takes(*FIT)
def fit_levels(
    data: TableSource, law: str | AnyLaw, by: str, *options: Rows | LeastSquares, progress: Progress | None = None,
    **keywords: Any,
) -> LevelFits:  # fmt: skip
    """Fit a law to each level of a column by itself, and test whether the levels share its parameters.

    The test of a parameter is Cochran's Q: the distances of the levels' estimates from their common value in units of
    their errors. It needs no shared scatter; for few rows in a level it finds differences too easily.

    Parameters
    ----------
    data : str, path, DataFrame or list
        As for a fit.
    law : str or Law
        Without the column in brackets.
    by : str
        The column of labels.
    *options : Rows, LeastSquares
        Options as values.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.Rows` and :class:`scalefit.options.LeastSquares`.

    Returns
    -------
    LevelFits
        ``print(levels)``; ``levels["c4"]``, ``levels.table()``, ``levels.plot("alpha")``.

    Raises
    ------
    LawError, DataError
        When the table or the column cannot be used, or no level can be fitted.
    TypeError
        For a keyword that is not an option.

    Examples
    --------
    >>> levels = fit_levels("marin_isoflop", "loss ~ E + A/params^alpha + B/tokens^beta", "train_set", bootstrap=0)
    >>> sorted(levels.fits)
    ['comma', 'dclm', 'nemotron']
    """
    rows, how = gather(FIT, options, keywords)

    def run(table: Table, level: str) -> Fit:
        return least_squares(table, law, rows.loaded, how, throw=False, label=level)

    return _levels(data, law, by, rows, run, progress, os.cpu_count() or 1)


@takes(*BAYES)
def bayes_levels(
    data: TableSource, law: str | AnyLaw, by: str, *options: Rows | Bayes, progress: Progress | None = None,
    **keywords: Any,
) -> LevelFits:  # fmt: skip
    """Sample the posterior of a law for each level of a column, and test whether the levels share its parameters.

    Parameters
    ----------
    data, law, by, progress
        As for :func:`fit_levels`.
    *options : Rows, Bayes
        Options as values.
    **keywords
        Fields of :class:`scalefit.options.Rows` and :class:`scalefit.options.Bayes`.

    Returns
    -------
    LevelFits
        Of posteriors.

    Raises
    ------
    LawError, DataError
        As for :func:`fit_levels`.
    """
    rows, how = gather(BAYES, options, keywords)

    def run(table: Table, level: str) -> Fit:
        return bayes(table, law, rows.loaded, how, throw=False, label=level)

    return _levels(data, law, by, rows, run, progress, 1)  # the samplers keep to one thread


def _levels(
    data: TableSource, law: str | AnyLaw, by: str, rows: Rows, run: Callable[[Table, str], Fit],
    progress: Progress | None, workers: int,
) -> LevelFits:  # fmt: skip
    """Part the table, fit every part, and compare the parameters."""
    parsed = parse_law(law)
    check_column(by, parsed)
    parts, remarks = parted(rows.load(data), by, rows)
    fits, failed = each_level(parts, run, by, workers=workers, progress=progress)
    source = next(iter(parts.values())).name
    return LevelFits(by, str(parsed), source, fits, failed, _shared(fits), remarks)


def _shared(fits: Mapping[str, Fit]) -> dict[str, Agreement]:
    """Test every parameter, exponents first."""
    order = {"exponent": 0, "real": 1, "positive": 2, "floor": 3, "coefficient": 4}
    parameters = {parameter.name: parameter for fit in fits.values() for parameter in fit.parameters}
    tests = {}
    for name, parameter in sorted(parameters.items(), key=lambda pair: order.get(pair[1].kind, 5)):
        sources = [compared_of(fit, [parameter.key], level)[0] for level, fit in fits.items() if name in fit]
        found = agreement(sources)
        if found is not None:
            tests[name] = found
    return tests
