"""What limits a forecast: warnings and notes, with their thresholds in one place."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.forecasting.inputs import TOKENS, UNIQUE, Learning
from scalefit.forecasting.rule import ONE_VALUE, SHAPE, Predicted, Rule, SampledLaw
from scalefit.forecasting.second import SecondStep
from scalefit.numbers import amount, exact, percent, percent_size, rounded
from scalefit.options import Forecasting
from scalefit.problem import label_texts
from scalefit.records import Finding
from scalefit.thresholds import (
    FAR_FORECAST,
    FEW_TO_FORECAST,
    FEWER_ROWS,
    GOOD_KHAT,
    LAW_WEIGHT,
    LAWS_PART,
    LOOSE_ENDS,
    NOISY_RUNS,
    RECTIFIED,
    WORN_TOKENS,
)

Array = NDArray[np.float64]

__all__ = ["far_words", "find_limits", "second_limits"]

WARNING = "warning"
MOST_REDRAWN = 1000  # targets that are forecast twice


def far_words(ratio: float) -> str:
    """Say how far a target lies from the runs: ``628 times the compute of your largest run``."""
    if ratio <= 1:
        return f"{amount(ratio)} of the compute of your largest run" if ratio < 1 else "the compute of your largest run"
    return f"{amount(ratio, 3)} times the compute of your largest run"


def find_limits(
    learning: Learning,
    rule: Rule,
    targets: pd.DataFrame,
    predicted: Predicted,
    how: Forecasting,
) -> Iterator[Finding]:
    """Yield what to know before using a forecast.

    Parameters
    ----------
    learning : Learning
        The table.
    rule : Rule
        The fitted laws.
    targets : DataFrame
        Columns of the law and compute.
    predicted : Predicted
        Medians and parts.
    how : Forecasting
        Whether the forecast is of a single run or the mean, and the seed of the draws.

    Yields
    ------
    Finding
        Warnings, and notes.
    """
    ratio = targets["compute"].to_numpy(float) / learning.compute.max()
    if ratio.max() > FAR_FORECAST:
        yield Finding.of(
            "far",
            WARNING,
            f"The farthest target has {far_words(float(ratio.max()))}; beyond {exact(FAR_FORECAST)} times, few "
            "forecasts of public tables could be checked.",
            ratio=float(ratio.max()),
            threshold=FAR_FORECAST,
        )
    yield from _runs(learning, rule)
    yield from _outside(learning, targets, ratio)
    yield from _repeated(learning, targets)
    yield from _laws(learning, rule, targets, predicted, how)


def second_limits(second: SecondStep, column: str) -> Iterator[Finding]:
    """Say where a second law is used beyond the losses that it was fitted to."""
    if second.beyond.any():
        low, high = second.fitted
        count = int(second.beyond.sum())
        where = "The target's" if len(second.beyond) == 1 else f"{exact(count)} of {exact(len(second.beyond))} targets'"
        yield Finding.of(
            "second_beyond",
            WARNING,
            f"{where} median {column} lies outside {amount(low, 3)} to {amount(high, 3)}, to which the law of "
            f"{second.response} was fitted; the form of that law is assumed there, and no drift is added for it.",
            beyond=count,
            targets=len(second.beyond),
            fitted=[low, high],
        )


def _runs(learning: Learning, rule: Rule) -> Iterator[Finding]:
    """Say what the runs lack: number, independence, a second axis, low scatter."""
    count = len(learning.table.frame)
    if count < FEW_TO_FORECAST:
        words = f"There are {exact(count)} runs; the priors decide much of this forecast."
        yield Finding.of("few_runs", WARNING, words, runs=count, threshold=FEW_TO_FORECAST)
    if rule.rows.sum() < FEWER_ROWS * count:
        yield Finding.of(
            "clusters",
            "note",
            f"The {exact(count)} rows count as {rounded(float(rule.rows.sum()), digits=3)} independent ones, by what "
            "rows of a cluster have in common.",
            table_rows=count,
            independent=float(rule.rows.sum()),
            share=float(rule.rows.sum()) / count,
            threshold=FEWER_ROWS,
        )
    if len(learning.columns) == 1:
        fixed = "".join(f"; all runs have {name} {amount(value)}" for name, value in learning.fixed.items())
        yield Finding.of(
            "one_axis",
            WARNING,
            f"The runs differ in {learning.columns[0]} alone{fixed}: this is a forecast along one axis.",
            column=learning.columns[0],
            fixed=dict(learning.fixed),
        )
    yield from learning.notes
    if rule.sigma > NOISY_RUNS:
        yield Finding.of(
            "scatter",
            WARNING,
            f"Runs scatter by {percent_size(rule.sigma)} around the laws; over {percent(NOISY_RUNS)}, intervals on "
            "public tables held less often. Look for runs with poor hyperparameters, or for several experiments.",
            scatter=rule.sigma,
            threshold=NOISY_RUNS,
        )


def _laws(
    learning: Learning, rule: Rule, targets: pd.DataFrame, predicted: Predicted, how: Forecasting
) -> Iterator[Finding]:
    """Say what the laws leave open: their end, their disagreement, their draws."""
    if rule.bent > RECTIFIED:
        yield Finding.of(
            "fine_tuning",
            WARNING,
            "The losses are flat at first, as in fine-tuning; where such curves end is not known from their beginning.",
            rectified=rule.bent,
            threshold=RECTIFIED,
        )
    apart, scale = np.ptp(predicted.means, axis=0), predicted.scale(run=not how.mean)
    worst = int(np.argmax(apart / scale))
    part = float(predicted.laws[worst] ** 2 / scale[worst] ** 2)
    if len(rule.members) > 1 and part > LAWS_PART:
        yield Finding.of(
            "laws_disagree",
            WARNING,
            f"The laws differ by {percent_size(float(apart[worst]))} of the loss, which is most of the error.",
            difference=float(apart[worst]),
            part=part,
            threshold=LAWS_PART,
        )
    moved = _moved_by_sampling(learning, rule, targets, how)
    if moved > LOOSE_ENDS:
        yield Finding.of(
            "sampling", WARNING,
            f"Other draws from the posteriors move the ends of a 90% interval by {percent(moved, 0)} of its "
            "width; the part of the error that comes from parameters is rough.",
            moved=moved, threshold=LOOSE_ENDS,
        )  # fmt: skip


def _moved_by_sampling(learning: Learning, rule: Rule, targets: pd.DataFrame, how: Forecasting) -> float:
    """Return how far other draws move the ends of a 90% interval, in widths; 0 where k-hat is good.

    k-hat alone says that the weights have a heavy tail, not that a forecast moves: the scatter of a run and the drift
    are often most of the width. So poor laws are drawn again, and the target that moves most is reported.
    """
    poor = [isinstance(member, SampledLaw) and member.draws.khat > GOOD_KHAT for member in rule.members]
    if not any(weight > LAW_WEIGHT for weight, bad in zip(rule.weights, poor, strict=True) if bad):
        return 0.0
    some = targets.iloc[:MOST_REDRAWN]
    x, c = np.log(some[list(learning.columns)].to_numpy(float)), np.log(some["compute"].to_numpy(float))
    ends = []
    for drawn in (rule, rule.redrawn(how.seed + 1)):
        found = drawn.predict(x, c)
        wide = found.reach(0.9, run=not how.mean)
        ends.append(np.stack([found.mu - wide, found.mu + wide]))
    return float((np.abs(ends[1] - ends[0]).max(axis=0) / (ends[0][1] - ends[0][0])).max())


def _outside(learning: Learning, targets: pd.DataFrame, ratio: Array) -> Iterator[Finding]:
    """Name columns in which a target leaves the runs although its compute does not, and shapes unlike theirs."""
    for j, name in enumerate(learning.columns):
        logs, low, high = (
            np.log(targets[name].to_numpy(float)),
            learning.runs.x[:, j].min(),
            learning.runs.x[:, j].max(),
        )
        outside = np.maximum(low - logs, logs - high)
        if name != SHAPE:
            outside = np.where(ratio <= 1, outside, -np.inf)
        if outside.max() <= ONE_VALUE:
            continue
        value, least, most = (float(np.exp(log)) for log in (logs[int(np.argmax(outside))], low, high))
        ends = f"{amount(least)} to {amount(most)}"
        if name == SHAPE:
            code = "shape_outside"
            words = (
                f"A target has {name} {amount(value)}, outside the {ends} of the runs: what such a shape does is not "
                "known from them."
            )
        else:
            code = "outside"
            words = (
                f"The compute of a target is among that of the runs, but its {name} {amount(value)} is not ({ends}): "
                "no drift is added for that."
            )
        yield Finding.of(code, WARNING, words, column=name, value=value, runs=[least, most])


def _repeated(learning: Learning, targets: pd.DataFrame) -> Iterator[Finding]:
    frame = learning.table.frame
    if "run" in frame and learning.runs.cluster is None:
        runs = len(set(label_texts(frame, "run")))
        if runs < FEWER_ROWS * len(frame):
            yield Finding.of(
                "checkpoints",
                WARNING,
                f"The {exact(len(frame))} rows are of {exact(runs)} runs, and each counts as a run; add --cluster run.",
                table_rows=len(frame),
                runs=runs,
                share=runs / len(frame),
                threshold=FEWER_ROWS,
            )
    if UNIQUE in frame and TOKENS in learning.columns and UNIQUE not in learning.columns:
        unique = np.asarray(frame[UNIQUE], float)
        most = float(np.nanmax(unique)) if np.isfinite(unique).any() else math.inf
        passes = float(targets[TOKENS].max()) / most
        if passes > WORN_TOKENS:
            yield Finding.of(
                "repeated_tokens",
                WARNING,
                f"A target has {amount(passes)} passes over the {amount(most)} unique tokens of the table; after about "
                f"{exact(WORN_TOKENS)} they are worth less than new ones, which these laws do not know.",
                passes=passes,
                threshold=WORN_TOKENS,
            )
