"""Width terms of language models and losses of toy models on one pair of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.numbers import exact, rounded
from scalefit.plots.fit import observed_term
from scalefit.plots.style import BLUE, FULL_WIDTH, RED, TEAL, as_label, house_style, log_axis, new_axes
from scalefit.plots.toy_curves import label_ends, shades
from scalefit.results import Fit

__all__ = ["WidthTerm", "of_fit", "width_terms"]

Array = NDArray[np.float64]

_REACH: Final = 0.12  # part of the range in logs by which the reference line extends beyond the data


class WidthTerm(NamedTuple):
    """The term of the loss that falls with the width, in one source.

    Parameters
    ----------
    words : str
        The source.
    width : array, shape (k,)
        Widths, ascending.
    loss : array, shape (k,)
        Mean of the term at each width, in any unit; NaN where it is not positive.
    error : array, shape (k,)
        Standard error of the mean; NaN where there is only one row.
    exponent : float
        Of the fitted power of the width.
    exponent_se : float
        Its standard error.
    level : float
        The fitted power at width 1, in the unit of ``loss``.
    toy : bool
        Whether these are toy models.
    """

    words: str
    width: Array
    loss: Array
    error: Array
    exponent: float
    exponent_se: float
    level: float
    toy: bool


def of_fit(fit: Fit, words: str, *, toy: bool = False) -> WidthTerm:
    """Return the width term of a fit: the response minus everything else, averaged over the rows of each width.

    Parameters
    ----------
    fit : Fit
        Of a law with one exponent of ``width``.
    words : str
        The source.
    toy : bool
        Whether these are toy models.

    Returns
    -------
    WidthTerm
        One point per width.

    Raises
    ------
    DataError
        When the law has no term in the width, or one exponent per group.
    """
    x, y = observed_term(fit, "width")
    exponent = next(
        (
            fit[parameter.name]
            for parameter in fit.parameters
            if parameter.kind == "exponent" and _is_width(fit, parameter.coef.name)
        ),
        None,
    )
    if exponent is None:
        raise DataError(f"{words!r} has no exponent of the width to draw; its law is {fit.law}")
    widths = np.unique(x)
    groups = [y[x == width] for width in widths]
    mean = np.array([group.mean() for group in groups])
    error = np.array([group.std(ddof=1) / np.sqrt(len(group)) if len(group) > 1 else np.nan for group in groups])
    good = mean > 0
    # through the middle of the data: the level is the geometric mean of the ratio to the power law
    level = np.exp(np.mean(np.log(mean[good]) + exponent.value * np.log(widths[good])))
    return WidthTerm(words, widths, np.where(good, mean, np.nan), error, exponent.value, exponent.se, float(level), toy)


def _is_width(fit: Fit, name: str) -> bool:
    return any(str(getattr(term.exponent, "name", "")) == name and term.variable == "width" for term in fit.law.terms)


@house_style()
def width_terms(sources: Sequence[WidthTerm], *, reference: float = 1.0, ax: Axes | None = None) -> Axes:
    """Draw the width term of each source relative to its value at the middle width.

    On these axes all power laws pass through one point, and only their slopes differ. Language models are blue, toy
    models teal, each with its fitted line; the reference is red.

    Parameters
    ----------
    sources : sequence of WidthTerm
        What to draw.
    reference : float
        The exponent in question.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.
    """
    ax = new_axes(ax, width=FULL_WIDTH, height=82.0)
    colours: list[Any] = [None] * len(sources)
    for toy, colour in ((True, TEAL), (False, BLUE)):
        own = [i for i, source in enumerate(sources) if source.toy is toy]
        for i, shade in zip(own, shades(colour, len(own)), strict=True):
            colours[i] = shade
    ends: list[tuple[float, str, Any]] = []
    xs, ys = [1.0], [1.0]
    for i, source in enumerate(sources):
        middle = float(np.sqrt(source.width[0] * source.width[-1]))
        height = source.level * middle**-source.exponent
        x, y = source.width / middle, source.loss / height
        ax.errorbar(
            x, y, np.minimum(source.error / height, 0.95 * y), color=colours[i], marker="s" if source.toy else "o",
            markersize=3.6, linewidth=0, elinewidth=0.8, zorder=3,
        )  # fmt: skip
        ax.plot(x, x**-source.exponent, color=colours[i], linewidth=1.1, zorder=2)
        ends.append(
            (
                float(x[-1] ** -source.exponent),
                f"{as_label(source.words)}: {rounded(source.exponent, source.exponent_se)}",
                colours[i],
            )
        )
        xs += list(x)
        ys += [value for value in y if np.isfinite(value)]
    span = np.exp(_REACH * np.ptp(np.log(xs)))
    line = np.array([min(xs) / span, max(xs) * span])
    ax.plot(line, line**-reference, color=RED, linewidth=1.1, zorder=1)
    log_axis(ax.xaxis, line)
    log_axis(ax.yaxis, np.array([*ys, *(line**-reference)]))
    ends.append((float(line[1] ** -reference), "1/width" if reference == 1 else f"exponent {exact(reference)}", RED))
    ax.set_xlabel("width, relative to the middle of each source\nbars: standard error over the runs of one width")
    ax.set_ylabel("width term, relative to its fitted value there")
    label_ends(ax, ends)
    return ax
