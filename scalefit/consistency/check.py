"""From a sweep's losses to a verdict on 1/m: the same fits as for real runs, with their conditions."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from scalefit.comparison.differences import differences
from scalefit.comparison.sources import Compared, compared_of, compared_published
from scalefit.consistency.ranges import width_states
from scalefit.consistency.result import CONVERGED, MOVING, UNKNOWN, Check, SettingCheck
from scalefit.consistency.series import LAW, Series, curves, measure_series, settings_of
from scalefit.data.datasets import published_value
from scalefit.options import CHECK, SweepCheck, gather, takes
from scalefit.posterior import bayes
from scalefit.progress import Progress
from scalefit.thresholds import STANDS_STILL, STILL_MOVING
from scalefit.toy.frequency import law_weights, probabilities
from scalefit.toy.predict import model_config
from scalefit.toy.records import read_sweep, setting_regime
from scalefit.toy.reset import ResetTest, reset_test
from scalefit.toy.theory import strong_exponent, weak_slope, welch_slope

__all__ = ["check_sweep"]


@takes(*CHECK)
def check_sweep(
    sweep: str | os.PathLike[str] | pd.DataFrame,
    *options: SweepCheck,
    progress: Progress | None = None,
    **keywords: Any,
) -> Check:
    """Fit a sweep's losses by least squares and posterior, and compare with 1/m, theory and language models.

    Parameters
    ----------
    sweep : path or DataFrame
        A sweep's folder, or its table.
    *options : SweepCheck
        Options as a value.
    progress : callable, optional
        ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.SweepCheck`, which are listed there.

    Returns
    -------
    Check
        Print it.

    Raises
    ------
    DataError
        When the sweep has no setting with three widths.
    """
    (asked,) = gather(CHECK, options, keywords)
    seed = asked.seed
    table = sweep if isinstance(sweep, pd.DataFrame) else read_sweep(sweep)
    report = progress or (lambda *_: None)
    parts = settings_of(table)
    others = _language_models(seed, report) if asked.language_models else ()
    cases = []
    for done, (setting, rows) in enumerate(parts):
        report("fitting the sweep", done, len(parts))
        cases.append(_check(setting, rows, others, seed))
    if asked.reset_test:
        cases = [case and replace(case, resets=_reset(case, report)) for case in cases]
    settings = sorted((case for case in cases if case is not None), key=_order)
    name = "sweep" if isinstance(sweep, pd.DataFrame) else os.path.basename(os.fspath(sweep))  # noqa: PTH119
    failed = int((~np.isfinite(table["loss"].astype(float))).sum())
    return Check(name, asked.reference, (asked.region[0], asked.region[1]), tuple(settings), len(table), failed)


def _order(case: SettingCheck) -> tuple[Any, ...]:
    regime = ("strong", "between", "weak").index(case.regime)
    return regime, -case.setting["n_features"], -case.last.steps, -len(case.last.rows), str(case.setting)


def _language_models(seed: int, report: Progress) -> tuple[Compared, ...]:
    """Width exponents of language models to compare with the toy's."""
    report("refitting language models", 0, 0)
    families = bayes("llm_families", "family_width", seed=seed, throw=False, path="fast")
    chinchilla = bayes(
        "chinchilla", "width_depth", drop_highest_loss=40, likelihood="normal", cluster="shape", seed=seed,
        throw=False, path="fast",
    )  # fmt: skip
    printed = published_value("liu2025.alpha")
    return (
        *compared_of(families, ["alpha"], "four model families"),
        *compared_of(chinchilla, ["a_m"], "Chinchilla"),
        compared_published("Liu et al. 2025, printed", printed.value, printed.uncertainty),
    )


def _check(setting: dict[str, Any], rows: pd.DataFrame, others: Sequence[Compared], seed: int) -> SettingCheck | None:
    lengths = [measure_series(rows, int(steps)) for steps in np.unique(rows["steps"])]
    series = tuple(length for length in lengths if length is not None)
    if not series:
        return None
    last = series[-1]
    change, change_se = _change(series)
    posterior = None
    if len(last.rows) > 4:
        posterior = bayes(
            last.rows[["loss", "width", "seed"]], LAW, likelihood="normal", exponents="free",
            priors={"a": "Normal(1, 1)"}, seed=seed, throw=False, path="fast", label="toy model",
        )  # fmt: skip
    regime = setting_regime(last.rows)
    own = [
        replace(source, estimate=replace(source.estimate, se=last.se))
        for source in compared_of(last.fit, ["a"], "toy model")
    ]
    return SettingCheck(
        setting, regime, series, posterior, change, change_se, _convergence(change, change_se), curves(last, setting),
        _theory(setting, last.widths, regime),
        tuple(difference for other in others for difference in differences([*own, other])),
        width_states(last, setting, regime),
    )  # fmt: skip


def _reset(case: SettingCheck, report: Progress) -> tuple[ResetTest, ...]:
    """Test the widths that dead outputs may limit, with the first seed of each."""
    limited = [state.width for state in case.states if state.kind == "limited"]
    first = case.last.rows.drop_duplicates("width").set_index("width", drop=False)
    records = [{str(name): value for name, value in first.loc[width].items()} for width in limited]
    return reset_test([model_config(record) for record in records], progress=report)


def _change(series: Sequence[Series]) -> tuple[float, float]:
    """Exponent at the longest training minus that nearest to half of it, and the error of the difference.

    Seeds are compared with themselves: what a straight line misses in both lengths does not blur their difference.
    """
    last = series[-1]
    shorter = [length for length in series[:-1] if length.steps <= 0.75 * last.steps and length.widths == last.widths]
    if not shorter:
        return math.nan, math.nan
    half = min(shorter, key=lambda length: abs(length.steps - last.steps / 2))
    change = last.fit["a"].value - half.fit["a"].value
    if len(last.by_seed) == len(half.by_seed) > 1 and set(last.rows["seed"]) == set(half.rows["seed"]):
        gaps = np.subtract(last.by_seed, half.by_seed)
        return change, float(gaps.std(ddof=1)) / math.sqrt(len(gaps))
    return change, math.hypot(last.se, half.se)


def _convergence(change: float, error: float) -> str:
    if math.isnan(change):
        return UNKNOWN
    if abs(change) > max(STILL_MOVING, 2 * error):
        return MOVING
    return CONVERGED if abs(change) + error <= STANDS_STILL else UNKNOWN


def _theory(setting: dict[str, Any], widths: tuple[int, ...], regime: str) -> dict[str, float]:
    """Exponents over these widths that theory gives."""
    n, exponents = int(setting["n_features"]), {}
    if regime == "strong":
        exponents["Welch bound at this n"] = welch_slope(n, widths)
        if setting.get("frequency") == "power":
            exponents["asymptotic"] = strong_exponent(float(setting["alpha"]))
    elif setting.get("frequency", "given") != "given":
        weights = law_weights(setting["frequency"], n, alpha=setting.get("alpha"), scale=setting.get("scale"))
        exponents["exact sum over features beyond m"] = weak_slope(
            probabilities(weights, float(setting.get("density", 1.0))), widths
        )
    return exponents
