"""What the points of a figure are, for a page on a screen: the run, its values, and how far it lies from the fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from scalefit.data.quantities import as_numbers
from scalefit.misfit import label_column
from scalefit.numbers import percent_size, short_number, to_digits
from scalefit.plots.marks import Marked
from scalefit.results import Fit

__all__ = ["points_of"]

MOST_LEVELS: Final = 12  # of a column by which points can be switched off
DIGITS: Final = 5


def points_of(marks: Mapping[str, Marked]) -> dict[str, Any]:
    """Describe the points of a figure as plain values.

    Parameters
    ----------
    marks : mapping
        Scatters by their names in the SVG, all of one fit.

    Returns
    -------
    dict
        ``columns`` and ``rows``, texts of a table; ``sets``, the places of the points in it by scatter; ``group`` and
        ``levels``, a column of labels and the label of each row, where the rows have one.
    """
    fit = next(iter(marks.values())).fit
    run = label_column(fit.rows, fit.law)
    names = [*([run] if run else []), *fit.law.groups, *fit.law.variables, fit.law.response]
    cells = {"row": [str(row) for row in fit.rows.index], **{name: _texts(fit.rows[name]) for name in names}}
    cells["fitted"] = [_number(value) for value in fit.mean_law(fit.rows)]
    log = fit.objective.space == "log"  # for small residuals, a difference of logs is a share
    cells["residual"] = [
        percent_size(residual, sign=True) if log else _number(residual) for residual in fit.residuals()
    ]
    group = _group(fit, run)
    return {
        "columns": list(cells),
        "rows": [list(row) for row in zip(*cells.values(), strict=True)],
        "sets": {name: [int(place) for place in mark.places] for name, mark in marks.items() if mark.fit is fit},
        "group": group or "",
        "levels": _texts(fit.rows[group]) if group else [],
    }


def _group(fit: Fit, run: str | None) -> str | None:
    """Return a column of labels with few levels: a group of the law, or else the first of the table."""
    others = [str(name) for name in fit.rows.columns if name != run and as_numbers(fit.rows[name]) is None]
    return next(
        (name for name in [*fit.law.groups, *others] if 2 <= fit.rows[name].astype(str).nunique() <= MOST_LEVELS), None
    )


def _texts(column: pd.Series[Any]) -> list[str]:
    numbers = as_numbers(column)
    return [str(label) for label in column] if numbers is None else [_number(number) for number in numbers]


def _number(value: float) -> str:
    return short_number(to_digits(float(value), DIGITS))
