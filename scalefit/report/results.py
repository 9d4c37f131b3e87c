"""The input of the sections of a report: the results of its fits and steps, and their specifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from scalefit.comparison import Comparison, compare
from scalefit.data.columns import Unread, compute_columns, map_columns
from scalefit.data.sources import locate
from scalefit.data.tables import resolve
from scalefit.report.steps import StepResult
from scalefit.report.study import FitSpec
from scalefit.results import Fit

__all__ = ["Results"]


@dataclass(frozen=True)
class Results:
    """The results of a study by name.

    Parameters
    ----------
    fits : mapping
        Every fit of the study.
    labels : mapping
        Names of fits and steps in tables and figures.
    specs : mapping
        The specifications of the fits, to find the excluded rows.
    folder : Path
        The folder of the user's tables.
    steps : mapping
        The results of the steps.
    """

    fits: Mapping[str, Fit]
    labels: Mapping[str, str]
    specs: Mapping[str, FitSpec]
    folder: Path
    steps: Mapping[str, StepResult] = field(default_factory=dict)
    _ranked: dict[tuple[object, ...], Comparison] = field(default_factory=dict)

    def ranked(self, names: tuple[str, ...], leave_out: str, hold_out: str) -> Comparison:
        """Rank posteriors of several laws by their predictions; page one and a section share what that takes."""
        key = (names, leave_out, hold_out)
        if key not in self._ranked:
            fits = self.by_label(names)
            some: list[str] = []  # parameters, of which each law has one; a comparison is of a parameter and of laws
            for fit in fits.values():
                some += [] if set(some) & set(fit.names) else fit.names[:1]
            self._ranked[key] = compare(fits, ",".join(some), leave_out=leave_out, holdout=hold_out or None)
        else:
            self.by_label(names)  # so that this part of the report is known to depend on them
        return self._ranked[key]

    def by_label(self, names: Iterable[str]) -> dict[str, Fit]:
        """Return fits by their labels in tables and figures."""
        return {self.labels[name]: self.fits[name] for name in names}

    def left_out(self, name: str) -> pd.DataFrame:
        """Return the rows of a fit's table that it did not use, as far as the law can be evaluated there."""
        fit, spec = self.fits[name], self.specs[name]
        rows, remarks = spec.selection, list[str]()
        table = rows.load(locate(spec.data, self.folder))
        unread = Unread()
        frame = map_columns(table.frame, rows.mapping or {}, remarks, unread)
        table = replace(table, frame=compute_columns(frame, rows.columns or {}, remarks, unread))
        numeric = [fit.law.response, *fit.law.variables]
        frame = resolve(
            table, numeric=numeric, labels=fit.law.groups, derive=spec.selection.derive, strict=False
        ).frame  # fmt: skip
        out = frame.loc[~frame.index.isin(fit.rows.index)]
        values = out[numeric].to_numpy(float)
        usable: pd.DataFrame = out.loc[np.isfinite(values).all(axis=1) & (values > 0).all(axis=1)]
        return usable
