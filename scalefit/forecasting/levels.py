"""One forecast for each level of a column: corpora, architectures or recipes, each learned from its own runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from scalefit.comparison.parts import each_level, parted
from scalefit.data.columns import label_text
from scalefit.data.tables import Table, read_table
from scalefit.errors import DataError, FitFailed, closest
from scalefit.forecasting.drawn import Drawn
from scalefit.forecasting.result import PARTS, Forecast
from scalefit.forecasting.run import forecast
from scalefit.names import printed_label
from scalefit.numbers import exact, percent, rounded, rounded_interval, short_number, to_digits, two_digits
from scalefit.options import FORECAST, Forecasting, Rows, gather, takes
from scalefit.progress import Progress
from scalefit.results import Fit
from scalefit.table import PrintedTable

__all__ = ["LevelForecasts", "forecast_levels"]


@dataclass(frozen=True, eq=False)
class LevelForecasts(Drawn):
    """The forecasts of the levels of a column; ``print(levels)``.

    Parameters
    ----------
    by : str
        The column.
    source : str
        Name of the table.
    forecasts : mapping of str to Forecast
        By level, in the order of the labels, as text or as numbers where all are.
    failed : mapping of str to str
        Levels without a forecast, with the reason.
    remarks : tuple of str
        On the column.
    """

    by: str
    source: str
    forecasts: Mapping[str, Forecast]
    failed: Mapping[str, str]
    remarks: tuple[str, ...] = ()

    drawn_by: ClassVar[str] = "draw_level_forecasts"

    @property
    def exit_code(self) -> int:
        """0 when every level has a forecast."""
        return 1 if self.failed else 0

    def __getitem__(self, level: str) -> Forecast:
        return self.forecasts[level]

    def table(self) -> pd.DataFrame:
        """Return :meth:`scalefit.forecasting.result.Forecast.table` of all levels, with the level in front.

        Returns
        -------
        DataFrame
            A row for each level and target, with the level's number of ``runs``.

        Raises
        ------
        DataError
            When the column is called as one of a forecast.
        """
        parts = {
            level: forecast.table().assign(runs=len(forecast.learning.table.frame))
            for level, forecast in self.forecasts.items()
        }
        taken = next((name for part in parts.values() for name in part if name == self.by), None)
        if taken is not None:
            raise DataError(
                f"a table of forecasts has a column {taken!r} itself; give that of the labels another name, as "
                f"--map group={taken} --by group"
            )
        whole = pd.concat(parts, names=[self.by, None]).reset_index(level=0)
        return whole.reset_index(drop=True)

    def record(self) -> list[dict[str, Any]]:
        """Return the results as plain JSON: one object for each level, under the name of the column.

        Of several files the column is ``source``, and a forecast names its table so: then the label stands there.
        """
        done = [{self.by: level} | forecast.record() | {self.by: level} for level, forecast in self.forecasts.items()]
        return done + [{self.by: level, "status": "refused", "message": why} for level, why in self.failed.items()]

    def summary(self) -> str:
        """Return the table of levels and targets, and what limits each forecast, as text."""
        first = next(iter(self.forecasts.values()))
        response = first.learning.response
        what = f"mean {response}" if first.mean else f"{response} of one run"
        columns = list(
            dict.fromkeys(name for forecast in self.forecasts.values() for name in forecast.learning.columns)
        )
        header = [self.by, "runs", *columns, "times compute", response, percent(first.prob), "mostly"]
        header += [] if first.second is None else [first.second.response, percent(first.prob)]
        rows = [
            [printed_label(level), exact(len(forecast.learning.table.frame)), *_row(forecast, i, columns)]
            for level, forecast in self.forecasts.items() for i in range(len(forecast))
        ]  # fmt: skip
        align = "lr" + "r" * len(columns) + "rrrl" + "rr" * (first.second is not None)
        lines = [
            f"{what} in {self.source}, forecast by {self.by}:", "", PrintedTable.of(header, rows, align).text("  "), "",
            "  times compute: that of the target in units of the largest run; mostly: the largest part of the error",
        ]  # fmt: skip
        lines += [f"  no forecast: {self.by} = {printed_label(level)}: {why}" for level, why in self.failed.items()]
        notes: dict[str, list[str]] = {}
        for level, of_level in self.forecasts.items():
            for text in dict.fromkeys(of_level.notes):
                notes.setdefault(text, []).append(printed_label(level))
        for text, some in notes.items():
            whose = "" if len(some) == len(self.forecasts) else f"{', '.join(some)}: "
            lines.append(f"  {whose}{text}")
        return "\n".join([*lines, *(f"  note: {remark}" for remark in self.remarks)])

    def __str__(self) -> str:
        return self.summary()


def _row(found: Forecast, i: int, columns: list[str]) -> list[str]:
    """Print one target: where it is, how far, its forecast, and that of a second law."""
    target = found.target(i)
    lo, hi = target.intervals[found.prob]
    at = [short_number(to_digits(target.columns[name], 3)) if name in target.columns else "" for name in columns]
    cells = [
        *at, two_digits(target.ratio), rounded(target.estimate.value, target.estimate.se),
        rounded_interval(lo, hi, target.estimate.se), PARTS[target.largest],
    ]  # fmt: skip
    if found.second is not None:
        second = found.second.target(i)
        error = second.spread.item()
        ends = second.interval(found.prob)
        cells += [rounded(second.median.item(), error), rounded_interval(ends[0].item(), ends[1].item(), error)]
    return cells


@takes(*FORECAST)
def forecast_levels(
    data: str | os.PathLike[str] | pd.DataFrame | Table,
    by: str,
    at: Mapping[str, Any] | Iterable[Mapping[str, Any]] = (),
    *options: Rows | Forecasting,
    targets: str | os.PathLike[str] | pd.DataFrame | None = None,
    through: Fit | None = None,
    progress: Progress | None = None,
    **keywords: Any,
) -> LevelForecasts:
    """Forecast larger runs of each level of a column from its own runs.

    Parameters
    ----------
    data, options, through
        As for :func:`scalefit.forecast`.
    by : str
        The column of labels.
    at : mapping, or iterable of mapping
        Targets of every level; a target that gives the column, such as ``{"corpus": "web", "params": "70B"}``, is one
        of that level alone.
    targets : str, path or DataFrame, optional
        A table of targets; where it has the column, each level has its own rows.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.Rows` and :class:`scalefit.options.Forecasting`.

    Returns
    -------
    LevelForecasts
        ``print(levels)``; ``levels["web"]``, ``levels.table()``, ``levels.failed``.

    Raises
    ------
    LawError, DataError
        When table, column or targets cannot be used, or no level can be forecast. A level that cannot be forecast does
        not stop the others.
    TypeError
        For a keyword that is not an option.

    Examples
    --------
    >>> levels = forecast_levels("marin_isoflop", "train_set", {"params": "7B", "tokens": "140B"}, where="loss < 4")
    >>> sorted(levels.forecasts), levels.exit_code
    (['comma', 'dclm', 'nemotron'], 0)
    """
    rows, how = gather(FORECAST, options, keywords)
    points = [at] if isinstance(at, Mapping) else list(at)
    many = None if targets is None else read_table(targets, typed=False, max_size=rows.max_size).frame
    if not points and many is None:
        raise DataError(
            "there is nothing to forecast; give a target, as --at params=70B,tokens=1.4T, or --targets FILE"
        )
    parts, remarks = parted(rows.load(data), by, rows)
    _check_labels(points, many, by, list(parts))

    def run(part: Table, level: str) -> Forecast:
        own = [{k: v for k, v in point.items() if k != by} for point in points if _label(point.get(by, level)) == level]
        some = many if many is None or by not in many else many[many[by].map(_label) == level].drop(columns=by)
        some = None if some is None or some.empty else some
        if not own and some is None:
            raise DataError("none of the targets is of it; give one, or leave its rows out with --where")
        try:
            return forecast(part, own, rows.loaded, how, targets=some, through=through)
        except FitFailed as error:  # of a law that was given
            raise DataError(str(error)) from None

    # one thread, as the samplers keep to theirs
    found, failed = each_level(parts, run, by, progress=progress)
    return LevelForecasts(by, next(iter(parts.values())).name, found, failed, remarks)


def _label(cell: object) -> str:
    """Write a label as those of the runs are written: 8 of the number 8.0."""
    return label_text(cell).strip()


def _check_labels(points: list[Mapping[str, Any]], many: pd.DataFrame | None, by: str, levels: list[str]) -> None:
    """Raise DataError for a target of a level that the runs do not have."""
    given = [_label(point[by]) for point in points if by in point]
    given += [] if many is None or by not in many else [_label(cell) for cell in many[by]]
    for level in given:
        if level not in levels:
            raise DataError(f"a target has {by} = {printed_label(level)}, which no run has; {closest(level, levels)}")
