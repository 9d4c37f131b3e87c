"""In which regime each width lies: what a loss means depends on how many directions there are for the features.

Where m is small, features are given up or their noise is cut off by biases, and the loss hardly falls. Rows in random
directions then approach 1/m from below. Training arranges the rows, and where m is well above sqrt(n) it makes the loss
fall faster than 1/m. Outputs that cannot fire raise the loss of wide models most, and can hide all of this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from scalefit.consistency.series import Series
from scalefit.numbers import exact, fixed, percent
from scalefit.thresholds import ABOVE_ARRANGED, AS_RANDOM, AT_ARRANGED, DEAD_SHARE, DEAD_SPARE, SATURATED
from scalefit.toy.predict import setting_config, theory_of
from scalefit.toy.reset import ResetTest

__all__ = [
    "KINDS", "WidthState", "range_lines", "range_sentence", "reset_line", "reset_sentence", "width_states",
]  # fmt: skip

Kind = Literal["saturated", "random", "arranged", "faster", "limited", "between", "unknown"]

KINDS: Final[Mapping[Kind, str]] = {
    "saturated": "saturated, slower than 1/m",
    "random": "random directions, local exponent 0.9 to 1",
    "arranged": "arranged, faster than 1/m",
    "faster": "faster than 1/m, where the best arrangement is not known",
    "limited": "limited by dead outputs or unfinished training",
    "between": "between random directions and the best arrangement",
    "unknown": "not known, as neither the best arrangement nor the share of dead outputs is",
}


class WidthState(NamedTuple):
    """Where one width lies; means over seeds.

    Parameters
    ----------
    width : int
        m.
    kind : {"saturated", "random", "arranged", "faster", "limited", "between", "unknown"} or None
        Its regime; None outside strong superposition.
    exponent : float
        Local exponent, between its neighbours; at an end, to the one neighbour.
    to_random, to_arranged, to_weak : float
        Loss over that of random directions, of the best arrangement (NaN where it is not known), of the weak sum.
    alive : float
        Share of outputs that can fire; NaN where the table does not tell.
    dead_share : float
        Share of the loss that is the dead outputs'; NaN likewise.
    """

    width: int
    kind: Kind | None
    exponent: float
    to_random: float
    to_arranged: float
    to_weak: float
    alive: float
    dead_share: float


def width_states(series: Series, setting: Mapping[str, Any], regime: str) -> tuple[WidthState, ...]:
    """Find where each width of a series lies.

    Parameters
    ----------
    series : Series
        Losses at one length of training.
    setting : mapping
        What defines the features.
    regime : str
        Of the setting; only strong superposition has kinds.

    Returns
    -------
    tuple of WidthState
        By width; empty where the table does not give the frequencies, and with them no theory.
    """
    config = setting_config(setting, series.widths[0])
    if config is None:
        return ()
    theory = theory_of(config, series.widths)
    means = series.rows.groupby("width")
    logs = series.rows["loss"].astype(float).map(math.log)
    loss = np.exp(logs.groupby(series.rows["width"]).mean().to_numpy(float))
    alive, dead = (
        means[name].mean().to_numpy(float) if name in series.rows else np.full(len(loss), math.nan)
        for name in ("alive", "dead_loss")
    )
    slopes = np.gradient(np.log(loss), np.log(np.array(series.widths, dtype=float)))
    states = []
    for k, width in enumerate(series.widths):
        state = WidthState(
            width, None, -float(slopes[k]), float(loss[k] / theory.random[k]), float(loss[k] / theory.arranged[k]),
            float(loss[k] / theory.weak[k]), float(alive[k]), float(dead[k] / loss[k]),
        )  # fmt: skip
        kept = 0.0 if config.norm == "held" else float(theory.kept[k])
        states.append(state._replace(kind=_kind(state, kept)) if regime == "strong" else state)
    if np.isnan(theory.arranged).all():  # as above alpha 1.5, where rare features decide and not their arrangement
        states = [state._replace(kind="faster") if state.kind == "arranged" else state for state in states]
    return tuple(states)


def _kind(state: WidthState, kept: float) -> Kind:
    """Name the regime of a width; ``kept`` is the share of features that the best arrangement keeps."""
    missing = state.alive < (1.0 if math.isnan(kept) else kept) - DEAD_SPARE
    avoidable = missing and state.dead_share > DEAD_SHARE and not state.to_arranged <= AT_ARRANGED
    as_random = AS_RANDOM[0] <= state.to_random <= AS_RANDOM[1]
    alone = math.isnan(state.to_arranged)  # then only random directions are there to compare with
    as_good = as_random and state.exponent >= SATURATED and not math.isnan(state.alive)  # as rows that nothing arranged
    above = state.to_arranged > ABOVE_ARRANGED and not as_good
    if avoidable or above or (alone and state.to_random > AS_RANDOM[1]):
        return "limited"
    if alone and math.isnan(state.alive):
        return "unknown"
    if state.exponent < SATURATED:
        return "saturated"
    if as_random:
        return "random"
    return "arranged" if state.exponent > 1 else "between"


def range_sentence(states: Sequence[WidthState]) -> str:
    """Say in which regime the widths lie, range by range; empty without one."""
    parts = [f"m = {_span(own)} is {KINDS[kind]}" for kind, own in _ranges(states) if kind is not None]
    return f" By width: {'; '.join(parts)}." if parts else ""


def range_lines(states: Sequence[WidthState]) -> list[str]:
    """Lines of numbers: local exponents and the ratios to theory, range by range."""
    lines = []
    for kind, own in _ranges(states):
        ratios = [
            f"{_reach([getattr(state, name) for state in own])} of {words}"
            for name, words in (
                ("to_random", "random directions"), ("to_arranged", "the best arrangement"), ("to_weak", "the weak sum")
            )
            if (name == "to_weak") != (kind is not None) and any(math.isfinite(getattr(state, name)) for state in own)
        ]  # fmt: skip
        alive = [state.alive for state in own if math.isfinite(state.alive)]
        tail = f"; outputs alive {_reach(alive)}" if alive else ""
        exponents = _reach([state.exponent for state in own])
        lines.append(f"  m = {_span(own)}: local exponent {exponents}, loss {', '.join(ratios)}{tail}")
    return lines


def reset_sentence(tests: Sequence[ResetTest]) -> str:
    """Say what the reset tests show; empty without one."""
    if not tests:
        return ""
    trapped = [str(test.width) for test in tests if test.trapped]
    if not trapped:
        return f" With the biases of dead outputs reset, {len(tests)} trainings did not get lower losses."
    falls = [-test.change for test in tests if test.trapped]
    low, high = percent(min(falls), 0), percent(max(falls), 0)
    by = low if low == high else f"{low} to {high}"
    where = ", ".join(trapped)
    return f" With the biases of dead outputs reset, training goes on to losses lower by {by} at m = {where}."


def reset_line(test: ResetTest) -> str:
    """Line of numbers of one test."""
    return (
        f"  reset test at m = {test.width}: {percent(test.dead, 0)} of the outputs dead; reset and trained for "
        f"{exact(test.steps)} more steps, {percent(test.dead_after, 0)}; loss {fixed(test.before, 4)}, then "
        f"{fixed(test.after, 4)} ({percent(test.change, 1, sign=True)})"
    )


def _ranges(states: Sequence[WidthState]) -> list[tuple[Kind | None, list[WidthState]]]:
    return [(kind, list(own)) for kind, own in groupby(states, key=lambda state: state.kind)]


def _span(own: Sequence[WidthState]) -> str:
    return f"{own[0].width}" if len(own) == 1 else f"{own[0].width} to {own[-1].width}"


def _reach(values: Sequence[float]) -> str:
    known = [value for value in values if math.isfinite(value)]
    low, high = fixed(min(known), 2), fixed(max(known), 2)
    return low if low == high else f"{low} to {high}"
