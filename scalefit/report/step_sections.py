"""Sections on the steps of a study: one answer under many choices, what intervals cover, toy models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from scalefit.consistency.result import SettingCheck
from scalefit.data.where import parse_where
from scalefit.escape import literal
from scalefit.names import read_name
from scalefit.numbers import counted, exact, fixed, percent, plus_minus, rounded, two_digits
from scalefit.plots.calibration import coverage
from scalefit.plots.specification import choice_words
from scalefit.plots.style import new_panels, panel_title
from scalefit.report.blocks import Block, align_errors, drawing, paragraph, picture, table
from scalefit.report.figures import draw
from scalefit.report.results import Results
from scalefit.report.spec import CalibrationSection, SensitivitySection, SweepFigure, ToySection
from scalefit.report.step_results import begin_section
from scalefit.report.steps import ToyResult
from scalefit.report.tables import transpose
from scalefit.report.text import capital, join, marked, name_words
from scalefit.robustness import Calibration, Sensitivity
from scalefit.robustness.sensitivity_result import VariedAnswer
from scalefit.thresholds import COMPATIBLE

__all__ = ["calibration_section", "sensitivity_section", "toy_section"]

LIKE_SUM: Final = 1.1  # losses over the exact sum that are still called equal to it
MOST_LEVELS: Final = 3  # of one coefficient that a sentence names one by one
_USUAL_RATE: Final = "small"
_LETTERS: Final = {
    "n_features": "n", "alpha": "α", "gamma": "γ", "density": "E", "batch": "batch", "learning_rate": "rate",
    "bias_start": "start", "norm": "rows",
}  # fmt: skip


def sensitivity_section(section: SensitivitySection, results: Results) -> list[Block]:
    """Write how far an answer depends on choices: in sentences, then as a figure of every choice.

    Parameters
    ----------
    section : SensitivitySection
        What to write.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        For each step.
    """
    steps, blocks = begin_section(section, results, Sensitivity)
    for label, result in steps.items():
        blocks.append(paragraph(_moves(result)))
        if result.design == "grid":
            blocks.append(_grid_table(label, result))
            continue
        caption = (
            f"The parameter {name_words(result.key)} under other choices (“{label}”). Blue: "
            "the base; teal: posteriors with one choice changed; hollow squares: bootstraps, which are not posteriors. "
            "At the right: rows, estimate ± standard deviation"
        )
        caption += ", probability of the shaded region." if result.region else "."
        alt = "; ".join(
            f"{choice_words(answer.choice.changed)}: {plus_minus(answer.estimate.value, answer.estimate.se)}"
            for answer in result.answers
            if answer.estimate.is_known
        )
        blocks.append(picture(drawing(result.plot(words=section.words), caption, alt), floating=True))
    return blocks


def _moves(result: Sensitivity) -> str:
    """Say over how many choices an answer moves how far, which moves it most, and how many change the verdict."""
    base = result.base
    if not base.estimate.is_known:
        return marked(*result.verdict)
    others = [answer for answer in result.answers if answer is not base and answer.estimate.is_known]
    if not others:
        return ""
    low, high = (pick(others, key=lambda answer: answer.estimate.value) for pick in (min, max))
    most = max(others, key=lambda answer: abs(result.move(answer)))
    how = "combinations of choices" if result.design == "grid" else "other choices, one at a time"

    def shown(answer: VariedAnswer) -> str:
        return f"{plus_minus(answer.estimate.value, answer.estimate.se)} ({choice_words(answer.choice.changed)})"

    text = f"Over {exact(len(others))} {how}, {name_words(result.key)} runs from {shown(low)} to {shown(high)}"
    if result.design == "one":
        text += f"; the base is {plus_minus(base.estimate.value, base.estimate.se)}, and "
        text += (
            f"“{choice_words(most.choice.changed)}” moves it most, by {fixed(result.move(most), 1, sign=True)} of its "
        )
        text += "standard deviations"
    text += "."
    posteriors = [answer for answer in result.answers if answer.is_posterior]
    if result.region is None or not posteriors:
        return text
    judged = [result.judge(answer) for answer in posteriors]
    held, out = judged.count("inside"), judged.count("outside")
    lo, hi = result.region
    return (
        f"{text} That it lies between {exact(lo)} and {exact(hi)} is established (probability {exact(result.level)} or "
        f"more) in {exact(held) if held else 'none'} of {exact(len(posteriors))} posteriors, excluded "
        f"({exact(round(1 - result.level, 10))} or less) in {exact(out) if out else 'none'}, and open in the others."
    )


def _grid_table(label: str, result: Sensitivity) -> Block:
    """Return a grid of choices: ranges down, the others across."""
    answers: dict[tuple[str, str], VariedAnswer] = {}
    for answer in result.answers:
        others = choice_words([pair for pair in answer.choice.changed if pair[0] != "where"])
        answers[str(answer.choice.options.get("where") or ""), others] = answer
    ranges, across = (list(dict.fromkeys(key[place] for key in answers)) for place in (0, 1))

    def cell(where: str, others: str) -> str:
        answer = answers.get((where, others))
        return (
            plus_minus(answer.estimate.value, answer.estimate.se)
            if answer is not None and answer.estimate.is_known
            else ""
        )

    columns = [[parse_where(condition).in_words() if condition else "all rows" for condition in ranges]]
    columns += [align_errors([cell(condition, others) for condition in ranges]) for others in across]
    what = f"{capital(literal(label))}: {name_words(result.key)}"
    caption = f"{what} for every combination of choices, posterior means ± standard deviations."
    return table(caption, ["rows", *across], transpose(columns), align="l" + "r" * len(across))


def calibration_section(section: CalibrationSection, results: Results) -> list[Block]:
    """Write the coverage of intervals when the truth is known.

    Parameters
    ----------
    section : CalibrationSection
        What to write.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        A paragraph for each step, then the coverage of all of them in one figure.
    """
    steps, blocks = begin_section(section, results, Calibration)
    for label, result in steps.items():
        blocks.append(paragraph(f"**{capital(label)}.** {_coverage_words(result)}"))
    usable = {label: calibration for label, calibration in steps.items() if calibration.good}
    if not usable:
        return blocks
    panels = new_panels(
        1, len(usable), height=16 + 3.5 * max(len(calibration.names) for calibration in usable.values())
    )
    for ax, (label, calibration) in zip(panels, usable.items(), strict=True):
        coverage({name: calibration.coverage(name) for name in calibration.names}, level=calibration.level, ax=ax)
        panel_title(ax, label)
        ax.set_xlabel("intervals that cover the truth")
    level = percent(next(iter(usable.values())).level)
    caption = (
        f"Share of nominal {level} intervals that cover the truth, with exact 95% confidence limits; red: not {level}."
    )
    shares = {label: calibration.table.set_index("param")["coverage"] for label, calibration in usable.items()}
    alt = "; ".join(
        f"{label}: {', '.join(f'{name} {percent(share, 1)}' for name, share in result.items())}"
        for label, result in shares.items()
    )
    return [*blocks, picture(drawing(panels[0], caption, alt))]


def _coverage_words(result: Calibration) -> str:
    """Say which intervals reach their nominal coverage, and how many data sets have no interval that can be used."""
    if not result.good:
        return marked(*result.verdict)
    level = percent(result.level)
    rows = result.table
    off = (rows["coverage_lo"] > result.level) | (rows["coverage_hi"] < result.level)
    shares = _shares(rows[off])
    low, high = (percent(float(end), 0) for end in (rows["coverage"].min(), rows["coverage"].max()))
    text = f"Of {exact(len(result.good))} data sets, nominal {level} intervals cover the truth in {low} to {high}, by "
    text += f"parameter; {level} is excluded for {join(shares)}." if shares else f"parameter; {level} fits them all."
    if result.failed:
        more = "One more, without a usable interval, is" if result.failed == 1 else (
            f"{exact(result.failed)} more, without usable intervals, are"
        )  # fmt: skip
        text += f" {more} left out, which biases the rest."
    return text


def _shares(rows: pd.DataFrame) -> list[str]:
    """Write the coverage of some parameters; levels of one coefficient as a range, where there are many."""
    every: dict[str, list[tuple[str, float, float, float]]] = {}
    numbers = rows[["coverage", "coverage_lo", "coverage_hi"]].to_numpy(float)
    for name, (share, lo, hi) in zip(map(str, rows["param"]), numbers, strict=True):
        every.setdefault(read_name(name)[0], []).append((name, float(share), float(lo), float(hi)))
    shares = []
    for coefficient, several in every.items():
        if len(several) > MOST_LEVELS:
            low, high = (percent(end(share for _, share, _, _ in several), 0) for end in (min, max))
            shares.append(f"{exact(len(several))} levels of {name_words(coefficient)} {low} to {high}")
            continue
        shares += [
            f"{name_words(name)} {percent(share, 0)} [{percent(lo, 0)}, {percent(hi, 0)}]"
            for name, share, lo, hi in several
        ]
    return shares


def toy_section(section: ToySection, results: Results) -> list[Block]:
    """Write what sweeps of toy models show about 1/m, with their conditions.

    Parameters
    ----------
    section : ToySection
        What to write.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        The table of settings, and the figures.
    """
    steps, blocks = begin_section(section, results, ToyResult)
    checks = [(label, case) for label, result in steps.items() for case in result.check.settings]
    shown: dict[str, list[str]] = {}  # what several sweeps show is written once, after what one does
    for label, result in steps.items():
        for claim in result.check.claims:
            shown.setdefault(marked(claim), []).append(label)
    in_order = sorted(shown.items(), key=lambda item: len(item[1]))
    blocks += [paragraph(f"**{capital(join(labels))}.** {sentence}") for sentence, labels in in_order]
    blocks += [paragraph(weak_sentence([case for _, case in checks]))]
    if not checks:
        return blocks
    blocks.append(_settings_table(checks))
    figures = section.figures or (SweepFigure(kind="toy_losses", steps=section.steps),)
    default = section.fit or next(iter(results.fits), "")
    return blocks + [picture(draw(figure, results, default)) for figure in figures]


def weak_sentence(checks: Sequence[SettingCheck]) -> str:
    """Compare settings under weak superposition with their exact reference; empty without one.

    Parameters
    ----------
    checks : sequence of SettingCheck
        All settings.

    Returns
    -------
    str
        How many exponents agree with the exact sum over the features beyond m, and how far the losses lie above it.
    """
    weak = [case for case in checks if case.regime == "weak" and case.theory]
    if not weak:
        return ""
    gaps = [abs(case.exponent - next(iter(case.theory.values()))) / case.se for case in weak]
    agree = sum(gap < COMPATIBLE for gap in gaps)
    text = (
        "Under weak superposition the m most frequent features should be represented and the loss be the exact sum "
        f"over the others, without a free factor: {exact(agree) if agree else 'none'} of "
        f"{counted(len(weak), 'setting')} {'has' if agree == 1 else 'have'} its exponent within two errors."
    )
    far = weak[int(np.argmax(gaps))]
    if agree < len(weak):
        due = fixed(next(iter(far.theory.values())), 2)
        exponent = plus_minus(far.exponent, far.se)
        text += f" Farthest away is α\u00a0{_value(far.setting['alpha'])}: {exponent} where the sum gives {due}."
    over = [state.to_weak for case in weak for state in (case.states[0], case.states[-1]) if case.states]
    if over and max(over) > LIKE_SUM:
        first, last = (max(case.states[place].to_weak for case in weak if case.states) for place in (0, -1))
        text += (
            f" Losses are up to {two_digits(first)} times the sum at the least width and {two_digits(last)} times at "
            "the largest: wide models do not reach their reference in this training, and the exponent is not that of "
            "theory."
        )
    return text


def _settings_table(checks: Sequence[tuple[str, SettingCheck]]) -> Block:
    """Return one row per setting: exponent, its change with training, straightness, theory."""
    telling = {
        label: [
            key for key in _LETTERS if len({str(case.setting.get(key)) for name, case in checks if name == label}) > 1
        ]
        for label, _ in checks
    }
    rows = []
    exponents = align_errors([plus_minus(case.exponent, case.se) for _, case in checks])
    for (label, case), exponent in zip(checks, exponents, strict=True):
        last = case.last
        shown = [key for key in telling[label] if case.setting.get(key, _USUAL_RATE) != _USUAL_RATE]
        parts = [f"{_LETTERS[key]}\u00a0{_value(case.setting[key])}" for key in shown]
        where = f"{label}: {', '.join(parts)}" if parts else label
        slopes = [slope.slope for slope in last.local]
        local = f"{rounded(min(slopes), 0.1)} to {rounded(max(slopes), 0.1)}" if slopes else ""
        change = plus_minus(case.change, case.change_se) if case.change == case.change else "not known"
        theory = ", ".join(fixed(value, 2) for value in case.theory.values())
        widths = f"{last.widths[0]} to {last.widths[-1]}"
        rows.append([where, widths, exact(last.steps), exponent, change, local, theory])
    caption = (
        "Exponent of the toy models’ loss over the widths m (± the larger of HC3 error and error of seeds), its "
        "change since about half the training, exponents between neighbouring widths, and what theory gives over the "
        "same widths (strong: the Welch bound at this n, then the asymptotic exponent; weak: the exact sum over the "
        "features beyond m)."
    )
    header = ["setting", "m", "steps", "exponent", "change", "local", "theory"]
    return table(caption, header, rows, align="lrrrrrr", fill=0)


def _value(value: Any) -> str:
    return exact(value) if isinstance(value, float | int | np.number) else literal(str(value))
