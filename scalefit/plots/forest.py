"""Forest plots: estimates of fits, of groups, and of groups under different pooling, one per line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from scalefit.errors import DataError, closest
from scalefit.estimate import Estimate
from scalefit.names import Key, printed_level, spread_name
from scalefit.numbers import as_printed, percent, rounded, two_digits
from scalefit.plots.draws import axis_name, named, need_posterior, pooled_in_logs
from scalefit.plots.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    INK,
    TEAL,
    as_label,
    house_style,
    new_axes,
    reference_line,
    symbol,
    write_key,
)
from scalefit.results import Fit, PosteriorFit
from scalefit.summary import estimate_text, interval_text

__all__ = ["forest", "pooling"]

Array = NDArray[np.float64]

_ONE_LINE: Final = 90  # letters of a key that fit on the line of the axis name
_INNER: Final = (0.25, 0.75)
_ARROW: Final = {
    "arrowstyle": "-|>", "color": INK, "linewidth": 0.8, "mutation_scale": 6, "shrinkA": 0, "shrinkB": 0,
}  # fmt: skip
_SHIFT: Final = 0.2  # of the estimates without pooling, in rows
_CUT_KEY: Final = "; arrow: the interval goes on to that number"
_WIDE: Final = 3.0  # times the median width, from which an interval may be cut
_STRETCHED: Final = 1.5  # times as long an axis, from which it is


class _Row(NamedTuple):
    """One line of a forest; a heading has no estimate."""

    words: str
    estimate: Estimate | None = None
    inner: tuple[float, float] | None = None
    posterior: bool = False
    colour: str = BLUE


@house_style()
def forest(
    fit: Fit | Mapping[str, Fit],
    *,
    name: str | Mapping[str, str] | None = None,
    reference: float | None = None,
    words: str = "",
    main: Sequence[str] = (),
    published: Mapping[str, tuple[float, float | None]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw estimates of one parameter with their intervals, one per line.

    A posterior is a dot, its mean, on a thick line for 50% and a thin one for the interval; another fit is a ring.

    Parameters
    ----------
    fit : Fit or mapping of str to Fit
        One fit, or labelled ones in the order drawn. A parameter with levels (``alpha[family]``) gives a line for each,
        and one for the common value where they are partly pooled.
    name : str or mapping of str to str, optional
        The parameter, without its level, or that of each fit by label; the first fit's first exponent when omitted.
    reference : float, optional
        A hypothesis, drawn in red.
    words : str
        Label of the hypothesis; its value when empty.
    main : sequence of str
        Labels drawn in blue; the others are teal. When empty the first fit, or all levels of a single one.
    published : mapping, optional
        Label to value and printed uncertainty, drawn as grey diamonds under the fits (plus or minus one).
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on.

    Raises
    ------
    DataError
        When a fit has no such parameter.
    """
    fits = {"": fit} if isinstance(fit, Fit) else dict(fit)
    if name is None:
        some = next(iter(fits.values()))
        exponents = [parameter.coef.name for parameter in some.parameters if parameter.kind == "exponent"]
        name = exponents[0] if exponents else some.parameters[0].coef.name
    rows = [
        row
        for i, (label, fit) in enumerate(fits.items())
        for row in _rows(label, fit, _name_of(name, label), main, first=i == 0)
    ]
    printed = dict(published or {})
    ends = _ends(rows, printed, reference)
    key = _key(fits, bool(printed), any(_is_cut(row, ends) for row in rows))
    ax = new_axes(ax, width=FULL_WIDTH, height=(24 if len(key) > _ONE_LINE else 16) + 4.6 * (len(rows) + len(printed)))
    for i, row in enumerate(rows):
        _draw_row(ax, i, row, ends)
    texts = ["" if row.estimate is None else _number(row.estimate) for row in rows]
    for i, (value, error) in enumerate(printed.values(), start=len(rows)):
        if error:
            ax.plot([value - error, value + error], [i, i], color=GREY, linewidth=1.2, zorder=3)
        ax.plot(value, i, marker="D", color=GREY, markersize=4, zorder=4)
        texts.append(as_printed(value, error))
    _list_rows(ax, [*(row.words for row in rows), *printed], headings=[row.estimate is None for row in rows])
    ax.set_ylim(len(texts) - 0.4, -0.6 - 0.8 * (reference is not None))
    _make_room(ax, texts, ends)
    if reference is not None:
        reference_line(ax, reference, as_label(words) or as_printed(reference))
    letters = list(dict.fromkeys(_letter(fit, _name_of(name, label)) for label, fit in fits.items()))
    write_key(ax, " or ".join(letters), key)
    return ax


@house_style()
def pooling(
    partial: Fit,
    *,
    none: Fit | None = None,
    full: Fit | None = None,
    name: str | None = None,
    reference: float | None = None,
    words: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw the effect of pooling on each group: the separate estimate, pulled towards the groups' common value.

    Parameters
    ----------
    partial : Fit
        A posterior with a partly pooled parameter.
    none, full : Fit, optional
        Posteriors of the same law without pooling, and with one value for all groups.
    name : str, optional
        The pooled parameter, without its level; the first when omitted.
    reference : float, optional
        A hypothesis, drawn in red.
    words : str
        Label of the hypothesis; its value when empty.
    ax : Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        The Axes drawn on, with a sentence on the spread of the groups below.

    Raises
    ------
    DataError
        When the fit has no partly pooled parameter, or another fit lacks it.
    """
    name = _pooled_name(partial, name)
    groups = [parameter for parameter in partial.parameters if parameter.coef.name == name and parameter.level]
    ax = new_axes(ax, width=FULL_WIDTH, height=24 + 7.0 * (len(groups) + 1 + (full is not None)))
    rows = [_row(printed_level(group.level, ", "), partial, group.key, BLUE) for group in groups]
    shared = [_row("common value", partial, name, BLUE)]
    shared += [] if full is None else [_row("one value for all", full, _known(full, name), TEAL)]
    alone = [] if none is None else [_row("", none, _known(none, group.key), TEAL) for group in groups]
    every = [*rows, *shared]
    ends = _ends([*every, *alone], {}, reference)
    for i, row in enumerate(every):
        _draw_row(ax, i, row, ends)
    for i, (row, own) in enumerate(zip(rows, alone, strict=False)):
        _draw_row(ax, i - 2 * _SHIFT, own, ends)
        _draw_pull(ax, i, own, row)
    common = partial[name]
    ax.plot([common.value] * 2, [-0.7, len(rows)], color=BLUE, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    ax.axhline(len(rows) - 0.5 - _SHIFT, color=GREY, linewidth=0.5)
    _list_rows(ax, [row.words for row in every], headings=[False] * len(every))
    ax.set_ylim(len(every) - 0.4, -0.8 - 0.5 * (reference is not None))
    texts = [_number(row.estimate) for row in every if row.estimate is not None]
    _make_room(ax, texts, ends)
    if reference is not None:
        reference_line(ax, reference, as_label(words) or as_printed(reference))
    key = "dots: posterior means with 50% and 95% intervals; blue: partly pooled, numbers at the right"
    if alone or full is not None:
        key += "; teal: " + " and ".join(
            [f"each group alone, drawn above{',' * (full is not None)}"] * bool(alone)
            + ["all as one"] * (full is not None)
        )
    key += _CUT_KEY if any(_is_cut(row, ends) for row in [*every, *alone]) else ""
    write_key(ax, symbol(name), f"{_spread_words(partial, name)}. {key[0].upper()}{key[1:]}.")
    return ax


def _name_of(name: str | Mapping[str, str], label: str) -> str:
    if isinstance(name, str):
        return name
    if label not in name:
        raise DataError(f"no parameter is named for {label!r}; name has: {', '.join(name)}")
    return name[label]


def _letter(fit: Fit, name: str) -> str:
    return symbol(fit[name].coefficient if name in fit else name)


def _rows(label: str, fit: Fit, name: str, main: Sequence[str], *, first: bool) -> Iterator[_Row]:
    """Yield the lines of one fit: a single one, or its levels under a heading and their common value."""

    def colour(words: str) -> str:
        return BLUE if (words in main or label in main if main else first) else TEAL

    levels = [parameter for parameter in fit.parameters if parameter.coef.name == name and parameter.level]
    if not levels:
        yield _row(label or name, fit, name, colour(label))
        return
    if label:
        yield _Row(label)
    for parameter in levels:
        words = printed_level(parameter.level, ", ")
        yield _row(f"    {words}" if label else words, fit, parameter.key, colour(words))
    if (name, ()) in fit:
        yield _row("    common value" if label else "common value", fit, name, colour("common value"))


def _row(words: str, fit: Fit, name: str | Key, colour: str) -> _Row:
    estimate = named(fit, name)
    posterior = isinstance(fit, PosteriorFit)
    low, high = np.quantile(fit.draws(name), _INNER) if posterior else (np.nan, np.nan)
    return _Row(words, estimate, (float(low), float(high)) if posterior else None, posterior, colour)


def _number(estimate: Estimate) -> str:
    """Print an estimate next to its bar, and note when there is no bar."""
    return estimate_text(estimate, alone=bool(np.isnan(estimate.lo) and np.isnan(estimate.hi)))


def _draw_row(ax: Axes, at: float, row: _Row, ends: tuple[float, float]) -> None:
    """Draw an interval and its estimate; an end that lies outside is an arrow with its number."""
    if row.estimate is None:
        return
    estimate, colour = row.estimate, row.colour
    shown = [max(estimate.lo, ends[0]), min(estimate.hi, ends[1])]
    ax.plot(shown, [at, at], color=colour, linewidth=1.1, solid_capstyle="butt", zorder=3)
    for edge, end, marker, side in zip(shown, (estimate.lo, estimate.hi), "<>", ("left", "right"), strict=True):
        if edge != end and np.isfinite(end):
            ax.plot(edge, at, marker=marker, color=colour, markersize=4, zorder=3)
            ax.annotate(
                two_digits(end), (edge, at), (0, 2), textcoords="offset points", ha=side, va="bottom", fontsize=6.5,
                color=colour,
            )  # fmt: skip
    if row.inner is not None:
        ax.plot(np.clip(row.inner, *ends), [at, at], color=colour, linewidth=3.2, solid_capstyle="butt", zorder=3)
    face = colour if row.posterior else "white"
    ax.plot(estimate.value, at, marker="o", color=colour, markerfacecolor=face, markersize=5, zorder=4)


def _draw_pull(ax: Axes, at: int, alone: _Row, pooled: _Row) -> None:
    """Draw an arrow from the separate estimate of a group to its partly pooled one."""
    if alone.estimate is None or pooled.estimate is None:
        return
    ax.annotate(
        "", (pooled.estimate.value, at - 0.08), (alone.estimate.value, at - 2 * _SHIFT + 0.08), zorder=5,
        arrowprops=_ARROW,
    )  # fmt: skip


def _list_rows(ax: Axes, labels: Sequence[str], *, headings: Sequence[bool]) -> None:
    """Write the labels of the lines on the left, flush left where there are headings."""
    ax.set_yticks(range(len(labels)), [as_label(label) for label in labels])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    if any(headings):
        figure = ax.get_figure(root=True)
        for label in ax.get_yticklabels():
            label.set_horizontalalignment("left")
        if figure is not None:
            figure.draw_without_rendering()
            widest = max(label.get_window_extent().width for label in ax.get_yticklabels())
            ax.tick_params(axis="y", pad=widest * 72 / figure.dpi + 4)


def _make_room(ax: Axes, texts: Sequence[str], ends: tuple[float, float]) -> None:
    """Write numbers flush right, and keep what is drawn to the left of them."""
    written = [
        ax.annotate(text, (1.0, i), xycoords=("axes fraction", "data"), ha="right", va="center", fontsize=7.5)
        for i, text in enumerate(texts)
    ]
    figure = ax.get_figure(root=True)
    left, right = ends
    ax.set_xlim(left, right)
    if figure is not None:
        figure.draw_without_rendering()
        share = max(text.get_window_extent().width for text in written) / ax.get_window_extent().width
        ax.set_xlim(left, left + (right - left) / max(1 - share - 0.03, 0.3))


def _ends(
    rows: Sequence[_Row], printed: Mapping[str, tuple[float, float | None]], reference: float | None
) -> tuple[float, float]:
    """Return the range to draw: all of it or, where a few wide intervals stretch it, that of the others.

    Every estimate lies in it in either case.
    """
    shown = [row.estimate for row in rows if row.estimate is not None]
    fixed = [estimate.value for estimate in shown] + ([] if reference is None else [reference])
    fixed += [value + sign * (error or 0.0) for value, error in printed.values() for sign in (-1, 1)]
    widths = [estimate.hi - estimate.lo for estimate in shown]
    limit = _WIDE * float(np.nanmedian(widths)) if np.isfinite(widths).any() else np.inf
    narrow = [estimate for estimate, width in zip(shown, widths, strict=True) if not width > limit]
    whole = _span([*fixed, *(end for estimate in shown for end in (estimate.lo, estimate.hi))])
    most = _span([*fixed, *(end for estimate in narrow for end in (estimate.lo, estimate.hi))])
    least, greatest = whole if whole[1] - whole[0] <= _STRETCHED * (most[1] - most[0]) else most
    room = 0.04 * (greatest - least) or 0.1
    return least - room, greatest + room


def _span(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if np.isfinite(value)]
    return min(finite), max(finite)


def _is_cut(row: _Row, ends: tuple[float, float]) -> bool:
    """Whether an interval goes on outside what is drawn."""
    return row.estimate is not None and (row.estimate.lo < ends[0] or row.estimate.hi > ends[1])


def _key(fits: Mapping[str, Fit], printed: bool, cut: bool) -> str:
    level = percent(next(iter(fits.values())).uncertainty.level)
    posterior = {isinstance(fit, PosteriorFit) for fit in fits.values()}
    parts = [f"dot: posterior mean with 50% and {level} intervals"] if True in posterior else []
    parts += [
        f"ring: {fit.engine} with {level} interval" for fit in fits.values() if not isinstance(fit, PosteriorFit)
    ][:1]
    parts += ["diamond: printed value ±\u00a0its\u00a0error"] if printed else []
    return "; ".join(parts) + (_CUT_KEY if cut else "")


def _pooled_name(fit: Fit, name: str | None) -> str:
    need_posterior(fit, "a figure of pooling")
    pooled = [parameter.coef.name for parameter in fit.parameters if parameter.kind == "common"]
    if not pooled:
        raise DataError(
            f"{fit.label or fit.law} has no partial pooling; fit it with scalefit.bayes and pool={{'alpha': 'partial'}}"
        )
    if name is not None and name not in pooled:
        raise DataError(f"{name!r} is not partly pooled; {closest(name, pooled)}")
    return name or pooled[0]


def _known(fit: Fit, name: str | Key) -> Key:
    return named(fit, name).key


def _spread_words(fit: Fit, name: str) -> str:
    """Return a sentence on the spread of the groups around their common value."""
    spread = fit[spread_name(name)]
    interval = interval_text(spread)
    if not pooled_in_logs(fit, name):
        return f"The groups' values spread by {rounded(spread.value, spread.se)} {interval}"
    factor = rounded(float(np.exp(spread.value)), float(np.exp(spread.value)) * spread.se)
    sd = f"{axis_name(fit, spread.key)} = {rounded(spread.value, spread.se)} {interval}"
    return f"Spread between groups: {sd}, a factor of {factor}"
