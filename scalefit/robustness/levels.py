"""One sensitivity analysis for each level of a column: how far the answer of each moves, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalefit.comparison.differences import Agreement, agreement
from scalefit.comparison.parts import agreement_words, check_column, each_level, parted
from scalefit.comparison.sources import Compared
from scalefit.data.tables import Table
from scalefit.files import plain_json
from scalefit.law.general import parse_law
from scalefit.law.protocol import AnyLaw
from scalefit.names import printed_label
from scalefit.numbers import exact, fixed, percent, plus_minus, rounded, rounded_interval
from scalefit.options import SENSITIVITY, Bayes, Jobs, Question, Rows, gather, takes
from scalefit.progress import Progress
from scalefit.robustness.sensitivity_result import Sensitivity
from scalefit.robustness.sensitivity_run import sensitivity
from scalefit.table import PrintedTable

if TYPE_CHECKING:
    from scalefit.options.verbs import TableSource

__all__ = ["LevelSensitivities", "sensitivity_levels"]


@dataclass(frozen=True, eq=False)
class LevelSensitivities:
    """The sensitivity of one parameter in each level of a column; ``print(levels)``.

    Parameters
    ----------
    by : str
        The column.
    law, param : str
        The law and the parameter in question, as printed.
    source : str
        Name of the table.
    analyses : mapping of str to Sensitivity
        By level, in the order of the labels, as text or as numbers where all are.
    failed : mapping of str to str
        Levels without an analysis, with the reason.
    shared : Agreement or None
        Whether the parameter can be one number in all levels, from the base of each; None when fewer than two have one.
    remarks : tuple of str
        On the column.
    """

    by: str
    law: str
    param: str
    source: str
    analyses: Mapping[str, Sensitivity]
    failed: Mapping[str, str]
    shared: Agreement | None
    remarks: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 when the base of every level has an answer."""
        return 1 if self.failed or any(analysis.exit_code for analysis in self.analyses.values()) else 0

    def __getitem__(self, level: str) -> Sensitivity:
        return self.analyses[level]

    def table(self) -> pd.DataFrame:
        """Return :attr:`Sensitivity.table` of all levels, with the level in front."""
        parts = [analysis.table for analysis in self.analyses.values()]
        whole = pd.concat(parts, keys=list(self.analyses), names=[self.by, None]).reset_index(level=0)
        return whole.reset_index(drop=True)

    def record(self) -> list[dict[str, Any]]:
        """Return the results as plain JSON: one object for each level, each with the test of all."""
        test = None if self.shared is None else plain_json(self.shared._asdict())
        done = [{self.by: level, **analysis.record(), "shared": test} for level, analysis in self.analyses.items()]
        return done + [{self.by: level, "status": "refused", "message": why} for level, why in self.failed.items()]

    def summary(self) -> str:
        """Return the table of levels, the test, and what each level says, as text."""
        some = next(iter(self.analyses.values()))
        header = [self.by, "rows", "status", self.param, f"{percent(some.level)} interval"]
        header += ["lowest", "highest", "moves most", *(["verdicts"] if some.asked else [])]
        rows = [[printed_label(level), *_row(analysis)] for level, analysis in self.analyses.items()]
        layout = "lrlrrrrll"[: len(header)]
        lines = [f"{self.param} of {self.law}, {self.source}, by {self.by}:", ""]
        lines += [PrintedTable.of(header, rows, layout).text("  "), ""]
        if self.shared is not None:
            is_log = next(iter(self.analyses.values())).base.estimate.kind in FACTORS
            lines.append(f"  base: {agreement_words(self.param, self.shared, is_log=is_log)}")
        lines += [f"  {printed_label(level)}: {text}" for level, analysis in self.analyses.items()
                  for text in map(str, analysis.verdict)]  # fmt: skip
        lines += [f"  no analysis: {self.by} = {printed_label(level)}: {why}" for level, why in self.failed.items()]
        return "\n".join([*lines, *(f"  note: {remark}" for remark in self.remarks)])

    def __str__(self) -> str:
        return self.summary()


FACTORS = ("coefficient", "positive")  # kinds of parameters that are compared by their logarithm


def _row(sensitivity: Sensitivity) -> list[str]:
    """Return the base of a level, the range over its choices and that which moves it most; of posteriors only."""
    base = sensitivity.base
    known = [answer for answer in sensitivity.answers if answer.is_posterior] or [base]
    row = ["" if base.n_rows is None else exact(base.n_rows), base.status]
    if not base.estimate.is_known:
        return [*row, *[""] * (5 + sensitivity.asked)]
    number = base.estimate
    row += [plus_minus(number.value, number.se), rounded_interval(number.lo, number.hi, number.se)]
    row += [rounded(pick(answer.estimate.value for answer in known), number.se) for pick in (min, max)]
    most = max(known, key=lambda answer: abs(sensitivity.move(answer)))
    row.append("" if most is base else f"{most.choice.label} ({fixed(sensitivity.move(most), 1, sign=True)})")
    words = dict.fromkeys(word for answer in known if (word := sensitivity.judge(answer)))
    return [*row, *([", ".join(words)] if sensitivity.asked else [])]


@takes(*SENSITIVITY)
def sensitivity_levels(
    data: TableSource, law: str | AnyLaw, by: str, *options: Rows | Bayes | Question | Jobs,
    progress: Progress | None = None, **keywords: Any,
) -> LevelSensitivities:  # fmt: skip
    """Analyse the sensitivity of a parameter in each level of a column, and test whether the levels share it.

    What is varied without ``vary`` is chosen for each level from its rows. The test is Cochran's Q of the bases, as in
    :func:`scalefit.fit_levels`.

    Parameters
    ----------
    data, law
        As for :func:`scalefit.sensitivity`; the law does not have the column.
    by : str
        The column of labels.
    *options : Rows, Bayes, Question, Jobs
        Options as values.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.Rows`, :class:`scalefit.options.Bayes`, :class:`scalefit.options.Question`
        and :class:`scalefit.options.Jobs`.

    Returns
    -------
    LevelSensitivities
        ``print(levels)``; ``levels["web"]``, ``levels.table()``.

    Raises
    ------
    LawError, DataError
        When the table or the column cannot be used, or no level has an analysis.
    TypeError
        For a keyword that is not an option.
    """
    rows, how, asked, where = gather(SENSITIVITY, options, keywords)
    parsed = parse_law(law)
    check_column(by, parsed)
    parts, remarks = parted(rows.load(data), by, rows)

    def run(table: Table, _: str) -> Sensitivity:
        return sensitivity(table, law, rows.loaded, how, asked, where, progress=progress)

    found, failed = each_level(parts, run, by)
    source = next(iter(parts.values())).name
    first = next(iter(found.values()))
    return LevelSensitivities(by, first.law, first.param, source, found, failed, _shared(found), remarks)


def _shared(found: Mapping[str, Sensitivity]) -> Agreement | None:
    """Test whether the bases of the levels agree."""
    bases = {level: analysis.base for level, analysis in found.items()}
    return agreement(
        [
            Compared(level, base.estimate, base.status, is_log=base.estimate.kind in FACTORS)
            for level, base in bases.items() if base.estimate.is_known
        ]
    )  # fmt: skip
