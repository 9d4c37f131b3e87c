"""The loss of a table against each of its columns, before any law."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scalefit.escape import one_line
from scalefit.plots.style import BLUE, house_style, log_axis, new_panels

__all__ = ["loss_panels"]

ACROSS, MOST = 3, 12  # panels in a row, and in all
POINTS = 20_000  # beyond, a picture shows no more


@house_style()
def loss_panels(frame: pd.DataFrame, loss: str, columns: Sequence[str]) -> list[Axes]:
    """Draw one panel for each column, with logarithmic axes where all values are positive.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    loss : str
        The column drawn upwards.
    columns : sequence of str
        Columns of numbers drawn across; the first twelve.

    Returns
    -------
    list of Axes
        One for each column.
    """
    shown = list(columns)[:MOST]
    rows = -(-len(shown) // ACROSS)
    panels = new_panels(rows, min(ACROSS, len(shown)), height=8 + 48 * rows)
    some = frame.iloc[:: max(1, len(frame) // POINTS)]
    y = some[loss].to_numpy(dtype=float)
    for ax, name in zip(panels, shown, strict=False):
        x = some[name].to_numpy(dtype=float)
        kept = np.isfinite(x) & np.isfinite(y)
        ax.plot(x[kept], y[kept], "o", color=BLUE, markersize=2.5, alpha=0.6, markeredgewidth=0)
        ax.set_xlabel(one_line(name).replace("$", r"\$"))
        ax.set_ylabel(one_line(loss).replace("$", r"\$"))
        for values, axis in ((x[kept], ax.xaxis), (y[kept], ax.yaxis)):
            if len(values) and (values > 0).all() and values.max() > 3 * values.min():
                log_axis(axis, values)
    for ax in panels[len(shown) :]:
        ax.set_axis_off()
    return panels[: len(shown)]
