"""The response of the runs against one column, with the curves of the fit at three values of another column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from scalefit.errors import DataError, closest
from scalefit.law.protocol import AnyLaw
from scalefit.numbers import short_number, to_digits
from scalefit.plots.fit import POINT, between, number_axis, residuals_of
from scalefit.plots.marks import mark_rows
from scalefit.plots.style import GOLD, column_label, house_style, log_axis, new_axes
from scalefit.plots.toy_curves import label_ends
from scalefit.problem import label_codes, label_texts
from scalefit.results import Fit

__all__ = ["common_labels", "curves", "far_rows"]

Array = NDArray[np.float64]

_SHADES: Final = ("#86aecf", "#1f5a8c", "#0c2438")  # small to large values of the other column; distinct in grey
_EDGE: Final[dict[str, Any]] = {"marker": "^", "s": 14, "linewidths": 0}
_DEEP: Final = 0.9  # opacity of points
_BAND: Final = 0.18
_LEVEL: Final = 0.95
_FAR: Final = 30  # times the scatter of the rows, from which on a row is drawn at the edge of the axis
_PAIRS: Final = {"params": "tokens", "width": "tokens", "depth": "tokens", "tokens": "params"}


@house_style()
def curves(fit: Fit, *, variable: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the response against one column, with the fitted curves and their 95% bands.

    The rows are divided into thirds by another column of the law; each third has a shade, and a curve at its median of
    that column, over its range. Rows that differ in further columns or labels are moved along the law to common values
    of these, so that each keeps its residual. Rows far from the fit are gold triangles, at the edge of the axis where
    they lie beyond it.

    Parameters
    ----------
    fit : Fit
        The fit.
    variable : str, optional
        A column of the law; the first when omitted.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    DataError
        When the law has no such column.
    """
    ax = new_axes(ax)
    variable = variable or fit.law.variables[0]
    if variable not in fit.law.variables:
        raise DataError(f"{fit.law} has no column {variable!r}; {closest(variable, fit.law.variables)}")
    other, rows = _companion(fit.law, variable), fit.rows
    fixed: dict[str, Any] = {
        name: float(rows[name].median()) for name in fit.law.variables if name not in (variable, other)
    }
    fixed |= common_labels(fit)
    x, y = rows[variable].to_numpy(float), _moved(fit, fixed)
    far = far_rows(fit)
    heights, ends, stops = [y[~far]], [], []
    for inside, held, shade in _thirds(rows, other):
        near = inside & ~far
        points = ax.scatter(x[near], y[near], color=shade, zorder=3, **POINT | {"alpha": _DEEP})
        mark_rows(points, fit, rows.index[near])
        along = between(float(x[inside].min()), float(x[inside].max()))
        line = _line(fit, pd.DataFrame({variable: along, **held, **fixed}))
        ax.plot(along, line["predicted"], color=shade, linewidth=1.3, zorder=4)
        if "lo" in line:
            ax.fill_between(along, line["lo"], line["hi"], color=shade, alpha=_BAND, linewidth=0, zorder=2)
        heights.append(line["predicted"].to_numpy(float))
        words = short_number(to_digits(held[other], 2)) if other else ""
        ends.append((float(line["predicted"].iloc[-1]), words, shade))
        stops.append(float(along[-1]))
    number_axis(ax, x)
    shown = np.concatenate(heights)
    if fit.objective.space == "log" and shown.min() > 0:
        log_axis(ax.yaxis, shown)
    low, high = ax.get_ylim()
    if far.any():
        points = ax.scatter(x[far], np.clip(y[far], low, high), color=GOLD, clip_on=False, zorder=5, **_EDGE)
        mark_rows(points, fit, rows.index[far])
    ax.set_ylim(low, high)
    ax.set_xlabel(column_label(variable))
    ax.set_ylabel(column_label(fit.law.response))
    if other:
        ax.set_title(f"curves: {column_label(other)}", loc="right", fontsize=7.5, color=_SHADES[1])
    label_ends(ax, ends, at=stops)
    return ax


def _companion(law: AnyLaw, variable: str) -> str:
    """Return the column that divides the rows in a figure against another one; empty for a law of one column."""
    others = [name for name in law.variables if name != variable]
    return _PAIRS[variable] if _PAIRS.get(variable) in others else next(iter(others), "")


def common_labels(fit: Fit) -> dict[str, str]:
    """Return the most frequent combination of labels of the law's groups, by column."""
    if not fit.law.groups:
        return {}
    codes, _ = label_codes(fit.rows, fit.law.groups)
    first = int(np.argmax(codes == np.argmax(np.bincount(codes))))
    return {name: str(label_texts(fit.rows, name)[first]) for name in fit.law.groups}


def far_rows(fit: Fit) -> NDArray[np.bool_]:
    """Tell which rows lie so far from the fit that an axis with them would flatten the curves."""
    size = np.abs(fit.residuals())
    return np.asarray(size > max(_FAR * fit.goodness.robust, float(np.median(size))))


def _moved(fit: Fit, fixed: Mapping[str, Any]) -> Array:
    """Move rows along the law to common values of some columns; each keeps its residual."""
    observed = fit.rows[fit.law.response].to_numpy(float)
    if not fixed:
        return observed
    there, residual = fit.mean_law(fit.rows.assign(**fixed)), residuals_of(fit, fit.rows)
    return np.asarray(there * np.exp(residual) if fit.objective.space == "log" else there + residual)


def _thirds(rows: pd.DataFrame, other: str) -> list[tuple[NDArray[np.bool_], dict[str, float], str]]:
    """Divide rows into at most three parts by a column: which rows, the median of the column there, the shade."""
    if not other:
        return [(np.ones(len(rows), dtype=bool), {}, _SHADES[1])]
    values = rows[other].to_numpy(float)
    codes = np.minimum(pd.Series(values).rank(pct=True, method="average").to_numpy() * 3, 2.999).astype(int)
    if len(np.unique(values)) <= len(_SHADES):
        codes = np.unique(values, return_inverse=True)[1]
    parts = [codes == code for code in np.unique(codes)]
    shades = _SHADES if len(parts) == len(_SHADES) else (_SHADES[0], _SHADES[2]) if len(parts) > 1 else _SHADES[1:2]
    return [
        (inside, {other: float(np.median(values[inside]))}, shade) for inside, shade in zip(parts, shades, strict=True)
    ]


def _line(fit: Fit, frame: pd.DataFrame) -> pd.DataFrame:
    """Evaluate the law along a curve, with its interval unless the fit has none."""
    try:
        return fit.predict(frame, prob=_LEVEL)
    except DataError:  # too many of its refits have no answer
        return fit.predict(frame)
