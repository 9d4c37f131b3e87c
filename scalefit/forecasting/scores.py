"""What a backtest found: every forecast that was judged, and coverage, error and interval score by distance."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.files import plain_json
from scalefit.forecasting.drawn import Drawn
from scalefit.numbers import MOST_PERCENT, amount, as_input, counted, exact, fixed, percent, percent_size
from scalefit.records import Finding
from scalefit.table import PrintedTable

__all__ = [
    "BINS",
    "OTHER",
    "PROBABILITIES",
    "QUANTILES",
    "BacktestResult",
    "GroupHeldOut",
    "LawRank",
    "ScoreTable",
    "scores",
    "weighted_median",
]

Array = NDArray[np.float64]

BINS: Final = ((2.0, 5.0), (5.0, 20.0), (20.0, 100.0), (100.0, float("inf")))
"""Ratios of a target's compute to the largest that was learned from."""
LEVELS: Final = (0.5, 0.8, 0.9)
PROBABILITIES: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantiles that a method gives: the median, and the ends of intervals of 50, 80 and 90%."""
QUANTILES: Final = tuple(f"q{as_input(100 * p, 6)}" for p in PROBABILITIES)
"""Their columns in a table of cells."""
OTHER: Final = ("sft", "omat")
"""Collections of the public set that are not pretraining: fine-tuning, and models of materials."""

NAMES: Final = {
    "forecast": "forecast", "huber": "Huber fit, bootstrap", "posterior": "posterior", "curve_fit": "curve_fit",
    "slope": "last slope",
}  # fmt: skip
SCORES_KEY: Final = (
    "50%, 80%, 90%: share of such intervals that held; error and bias of the median, in percent of the loss;\n"
    "score: mean width of a 90% interval plus 20 times what it misses by, in percent of the loss;\n"
    "none: share of runs for which a method gave no answer"
)
"""What the columns of a table of scores mean."""


@dataclass(frozen=True)
class LawRank:
    """How well a law predicted the larger runs of a table from the smaller ones.

    Parameters
    ----------
    law : str
        The law.
    error : float
        Root mean squared error of the log loss over the rolling origins.
    origins : int
        Origins from which it could be fitted.
    failed : int
        Origins from which it could not.
    """

    law: str
    error: float
    origins: int
    failed: int


@dataclass(frozen=True)
class GroupHeldOut:
    """How a group was forecast from all others.

    Parameters
    ----------
    level : str
        The group.
    rows : int
        Its runs.
    error : float
        Median of the absolute error of the log loss.
    held90 : float
        Share of its 90% intervals that held.
    distance : float
        Median distance of its runs outside the ranges of the columns of the others, in e-folds; 0 inside.
    beyond : float
        Share of its losses outside the range of the others' losses.
    """

    level: str
    rows: int
    error: float
    held90: float
    distance: float
    beyond: float


@dataclass(frozen=True, eq=False)
class ScoreTable(Drawn):
    """Coverage, error and interval score of each method, by distance from the data.

    Parameters
    ----------
    frame : DataFrame
        ``method, tables`` (``all`` or ``pretraining``), and the columns of :func:`scores`.
    methods : tuple of str
        What was compared.
    """

    frame: pd.DataFrame
    methods: tuple[str, ...]

    drawn_by: ClassVar[str] = "draw_coverage"

    @classmethod
    def read_csv(cls, text: str) -> ScoreTable:
        """Read what :meth:`to_csv` wrote."""
        frame = pd.read_csv(io.StringIO(text))
        return cls(frame, tuple(dict.fromkeys(frame["method"])))

    def to_csv(self) -> str:
        """Return the scores with six digits."""
        file = io.StringIO()
        writer = csv.DictWriter(file, list(self.frame), lineterminator="\n")
        writer.writeheader()
        for row in self.frame.to_dict(orient="records"):
            writer.writerow(
                {name: as_input(cell, 6) if isinstance(cell, float) else cell for name, cell in row.items()}
            )
        return file.getvalue()

    def table(self) -> pd.DataFrame:
        """Return the numbers, a row for each method, kind of tables and bin of ratio."""
        return self.frame

    def printed(self, tables: str | None = None) -> PrintedTable:
        """Return the scores as a table for the terminal, Markdown, LaTeX and HTML.

        Parameters
        ----------
        tables : {"all", "pretraining"}, optional
            One kind of tables alone, without the column that names it.

        Returns
        -------
        PrintedTable
            A row for each method and bin.
        """
        found = self.frame if tables is None else self.frame[self.frame["tables"] == tables]
        header = [
            "tables", "method", "compute beyond", "cells", "50%", "80%", "90%", "median error", "bias", "score", "none",
        ]  # fmt: skip
        rows = [
            [
                str(row["tables"]), NAMES.get(str(row["method"]), str(row["method"])), _bin(row["least"], row["most"]),
                exact(int(row["cells"])), percent(row["share50"], 0), percent(row["share80"], 0),
                percent(row["share90"], 0), percent_size(row["error"]), percent_size(row["bias"], sign=True),
                _score(100 * row["score"]),
                percent(row["silent"], 0) if row["silent"] else "",
            ]
            for row in found.to_dict(orient="records")
        ]  # fmt: skip
        first = 0 if len(set(found["tables"])) > 1 else 1
        return PrintedTable.of(header[first:], [row[first:] for row in rows], ("lll" + "r" * 8)[first:])

    def summary(self) -> str:
        """Return the scores as text."""
        return f"{self.printed().text()}\n\n{SCORES_KEY}"

    def __str__(self) -> str:
        return self.summary()


@dataclass(frozen=True, eq=False)
class BacktestResult(Drawn):
    """Forecasts of runs that were known already.

    Parameters
    ----------
    label : str
        The table, or ``public``.
    rows : DataFrame
        One row for each method and run: ``collection, table, cut, method, ratio, observed``, and the quantiles of the
        log loss ``q5, q10, q25, q50, q75, q90, q95``.
    methods : tuple of str
        What was compared.
    ranks : tuple of LawRank
        Laws, the best first; empty for several tables.
    groups : tuple of GroupHeldOut
        One for each group held out; empty where the largest runs are.
    failed : tuple of str
        Cells that could not be computed, with the reason.
    findings : tuple of Finding
        What to know before using the scores.
    reading : tuple of str
        How one table was read: which rows were dropped, and what was guessed.
    """

    label: str
    rows: pd.DataFrame
    methods: tuple[str, ...]
    ranks: tuple[LawRank, ...] = ()
    groups: tuple[GroupHeldOut, ...] = ()
    failed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    reading: tuple[str, ...] = ()

    drawn_by: ClassVar[str] = "draw_coverage"

    @property
    def exit_code(self) -> int:
        """1 when cells failed, else 0."""
        return 1 if self.failed else 0

    @property
    def is_public(self) -> bool:
        """Whether several tables were judged."""
        return len(set(self.rows["table"])) > 1

    def table(self) -> pd.DataFrame:
        """Return scores by method, kind of tables and bin of ratio; see :func:`scores`.

        Returns
        -------
        DataFrame
            ``method, tables``, and the columns of :func:`scores`.
        """
        parts = [
            scores(self.rows[self.rows["method"] == method]).assign(method=method, tables="all")
            for method in self.methods
        ]
        if self.is_public:
            language = self.rows[~self.rows["collection"].isin(OTHER)]
            parts += [
                scores(language[language["method"] == method]).assign(method=method, tables="pretraining")
                for method in self.methods
            ]
        out = pd.concat(parts, ignore_index=True)
        return out[["method", "tables", *(name for name in out if name not in ("method", "tables"))]]

    @property
    def score_table(self) -> ScoreTable:
        """The scores by themselves, as the package ships those of the public backtest."""
        return ScoreTable(self.table(), self.methods)

    def printed(self) -> PrintedTable:
        """Return the scores as a table for the terminal, Markdown, LaTeX and HTML."""
        return self.score_table.printed()

    def summary(self) -> str:
        """Return the scores as text."""
        if self.groups:
            return self._group_text()
        runs = counted(int(self.rows["method"].value_counts().max()), "run")  # that of a method without failures
        cuts = self.rows[["table", "cut"]].drop_duplicates()
        head = (
            f"backtest of {self.label}: {runs} predicted from {counted(len(cuts), 'cut')} of "
            f"{exact(len(set(self.rows['table'])))} tables"
        )
        if not self.is_public:
            head = f"backtest of {self.label}: {runs} predicted from {counted(len(cuts), 'rolling origin')}"
        blocks = [head, self.printed().text("  "), SCORES_KEY]
        if self.ranks:
            cells = [
                [rank.law, percent_size(rank.error), exact(rank.origins), exact(rank.failed) if rank.failed else ""]
                for rank in self.ranks
            ]
            text = PrintedTable.of(["law", "error", "origins", "failed"], cells, "lrrr").text("  ")
            blocks.append(f"laws by the error with which they predicted larger runs\n{text}")
        blocks += [f"failed: {failure}" for failure in self.failed]
        return "\n\n".join([*blocks, *self._notes()])

    def _notes(self) -> list[str]:
        notes = [f"{finding.severity}: {finding.message}" for finding in self.findings] + [
            f"note: {note}" for note in self.reading
        ]
        return ["\n".join(notes)] if notes else []

    def _group_text(self) -> str:
        cells = [
            [
                group.level, exact(group.rows), percent_size(group.error), percent(group.held90, 0),
                amount(group.distance), percent(group.beyond, 0),
            ]
            for group in self.groups
        ]  # fmt: skip
        header = ["held out", "runs", "median error", "90% held", "distance", "losses beyond"]
        text = PrintedTable.of(header, cells, "lrrrrr").text("  ")
        key = (
            "distance: median of how far its runs lie outside the columns of the others, in e-folds; losses beyond:\n"
            "share of its losses outside the range of theirs"
        )
        head = f"backtest of {self.label}: each group predicted from the others"
        return "\n\n".join([head, text, key, *self.failed, *self._notes()])

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON, without single runs."""
        record = {
            "source": self.label, "methods": list(self.methods), "scores": self.table().to_dict(orient="records"),
            "laws": [vars(rank) for rank in self.ranks], "groups": [vars(group) for group in self.groups],
            "failed": list(self.failed), "findings": [asdict(finding) for finding in self.findings],
            "reading": list(self.reading),
        }  # fmt: skip
        return dict(plain_json(record))

    def __str__(self) -> str:
        return self.summary()


def _score(size: float) -> str:
    """Print a score in percent."""
    return fixed(size, 1) if size <= MOST_PERCENT or math.isinf(size) else f">{exact(MOST_PERCENT)}"


def _bin(least: float, most: float) -> str:
    return f"over {exact(least)} times" if math.isinf(most) else f"{exact(least)} to {exact(most)} times"


def scores(rows: pd.DataFrame, bins: Sequence[tuple[float, float]] = BINS) -> pd.DataFrame:
    """Score the forecasts of one method in bins of the ratio of compute.

    A cell is a cut of a table in a bin. Its runs share the weight 1, and a collection with k cells in a bin weighs the
    square root of k: its tables are not independent.

    Parameters
    ----------
    rows : DataFrame
        As in :class:`BacktestResult`, of one method.
    bins : sequence of (float, float)
        Ends of the bins.

    Returns
    -------
    DataFrame
        ``least, most, cells, rows``; shares of 50, 80 and 90% intervals that held; median and 90th percentile of the
        absolute error, and median of the error, of the log loss; mean interval score of 90% intervals (width plus 20
        times what it misses by; Gneiting and Raftery 2007) where there is an answer, and the share of runs without one
        (``silent``). Bins without runs are left out. Without an answer nothing holds, and the error has no bound.
    """
    out = []
    for least, most in bins:
        own = rows[(rows["ratio"] >= least) & (rows["ratio"] < most)]
        if own.empty:
            continue
        size = own.groupby(["table", "cut"])["ratio"].transform("size").to_numpy(float)
        cells = own[["collection", "table", "cut"]].drop_duplicates()["collection"].value_counts()
        weight = own["collection"].map(cells).to_numpy(float) ** -0.5 / size
        y = own["observed"].to_numpy(float)
        quantile = {name: own[name].to_numpy(float) for name in QUANTILES}
        known = np.isfinite(quantile["q50"])
        error = np.where(known, quantile["q50"] - y, np.inf)
        held = {
            level: known
            & (y >= quantile[f"q{as_input(50 - 50 * level, 6)}"])
            & (y <= quantile[f"q{as_input(50 + 50 * level, 6)}"])
            for level in LEVELS
        }
        lo, hi = quantile["q5"], quantile["q95"]
        score = hi - lo + 20 * (np.maximum(lo - y, 0) + np.maximum(y - hi, 0))
        answered = known & np.isfinite(score)
        out.append(
            {
                "least": least, "most": most, "cells": int(cells.sum()), "rows": len(own),
                **{f"share{as_input(100 * p, 6)}": float(np.average(held[p], weights=weight)) for p in LEVELS},
                "error": weighted_median(np.abs(error), weight),
                "error90": weighted_median(np.abs(error), weight, 0.9),
                "bias": weighted_median(np.where(known, error, 0.0), weight),
                "score": float(np.average(score[answered], weights=weight[answered])) if answered.any() else math.inf,
                "silent": float(np.average(~answered, weights=weight)),
            }
        )  # fmt: skip
    return pd.DataFrame(out)


def weighted_median(values: Array, weight: Array, share: float = 0.5) -> float:
    """Return the value below which a share of the weight lies."""
    order = np.argsort(values)
    total = np.cumsum(weight[order]) / weight.sum()
    return float(values[order][min(int(np.searchsorted(total, share)), len(order) - 1)])
