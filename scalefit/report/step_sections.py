"""Sections on the steps of a study: one answer under many choices, what intervals cover, toy models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import numpy as np

from scalefit.consistency.result import SettingCheck
from scalefit.escape import literal
from scalefit.numbers import exact, fixed, percent, plus_minus, rounded
from scalefit.plots.calibration import coverage
from scalefit.plots.style import new_panels, panel_title
from scalefit.report.blocks import Block, align_errors, drawing, note, paragraph, picture, table
from scalefit.report.figures import draw
from scalefit.report.results import Results
from scalefit.report.spec import CalibrationSection, SensitivitySection, SweepFigure, ToySection
from scalefit.report.steps import StepFailed, ToyResult
from scalefit.report.text import capital, fill, marked, name_words
from scalefit.robustness import Calibration, Sensitivity

__all__ = ["calibration_section", "sensitivity_section", "toy_section"]

T = TypeVar("T", Sensitivity, Calibration, ToyResult)

_USUAL_RATE: Final = "small"
_LETTERS: Final = {
    "n_features": "n", "alpha": "α", "gamma": "γ", "density": "E", "batch": "batch", "learning_rate": "rate"
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
    steps, blocks = _begin(section, results, Sensitivity)
    for label, result in steps.items():
        blocks.append(paragraph(marked(*result.verdict)))
        caption = (
            f"The parameter {name_words(result.key)} under other choices (“{label}”). Blue: "
            "the base; teal: posteriors with one choice changed; hollow squares: bootstraps, which are not posteriors. "
            "At the right: rows, estimate ± standard deviation"
        )
        caption += ", probability of the shaded region." if result.region else "."
        alt = "; ".join(
            f"{one.choice.label}: {plus_minus(one.estimate.value, one.estimate.se)}"
            for one in result.answers
            if one.estimate.is_known
        )
        blocks.append(picture(drawing(result.plot(words=section.words), caption, alt)))
    return blocks


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
    steps, blocks = _begin(section, results, Calibration)
    for label, result in steps.items():
        blocks.append(paragraph(f"**{capital(label)}.** {marked(*result.verdict)}"))
    usable = {label: one for label, one in steps.items() if one.good}
    if not usable:
        return blocks
    panels = new_panels(1, len(usable), height=20 + 4.3 * max(len(one.names) for one in usable.values()))
    for ax, (label, one) in zip(panels, usable.items(), strict=True):
        coverage({name: one.coverage(name) for name in one.names}, level=one.level, ax=ax)
        panel_title(ax, label)
        ax.set_xlabel("intervals that cover the truth")
    level = percent(next(iter(usable.values())).level)
    caption = (
        f"Share of nominal {level} intervals that cover the truth, with exact 95% confidence limits; red: not {level}."
    )
    shares = {label: one.table.set_index("param")["coverage"] for label, one in usable.items()}
    alt = "; ".join(
        f"{label}: {', '.join(f'{name} {percent(share, 1)}' for name, share in result.items())}"
        for label, result in shares.items()
    )
    return [*blocks, picture(drawing(panels[0], caption, alt))]


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
    steps, blocks = _begin(section, results, ToyResult)
    checks = [(label, one) for label, result in steps.items() for one in result.check.settings]
    verdicts = {label: marked(result.check.verdict[-1]) for label, result in steps.items()}
    blocks += [paragraph(f"**{capital(label)}.** {verdict}") for label, verdict in verdicts.items()]
    if not checks:
        return blocks
    blocks.append(_settings_table(checks))
    figures = section.figures or (SweepFigure(kind="toy_losses", steps=section.steps),)
    default = section.fit or next(iter(results.fits), "")
    return blocks + [picture(draw(one, results, default)) for one in figures]


def _settings_table(checks: Sequence[tuple[str, SettingCheck]]) -> Block:
    """Return one row per setting: exponent, its change with training, straightness, theory."""
    telling = [key for key in _LETTERS if len({str(one.setting.get(key)) for _, one in checks}) > 1]
    rows = []
    exponents = align_errors([plus_minus(one.exponent, one.se) for _, one in checks])
    for (label, one), exponent in zip(checks, exponents, strict=True):
        last = one.last
        shown = [key for key in telling if one.setting.get(key, _USUAL_RATE) != _USUAL_RATE]
        parts = [f"{_LETTERS[key]}\u00a0{_value(one.setting[key])}" for key in shown]
        where = f"{label}: {', '.join(parts)}" if parts else label
        slopes = [slope.slope for slope in last.local]
        local = f"{rounded(min(slopes), 0.1)} to {rounded(max(slopes), 0.1)}" if slopes else ""
        change = plus_minus(one.change, one.change_se) if one.change == one.change else "not known"
        theory = ", ".join(fixed(value, 2) for value in one.theory.values())
        widths = f"{last.widths[0]} to {last.widths[-1]}"
        rows.append([where, widths, exact(last.steps), exponent, change, local, theory])
    caption = (
        "Exponent of the toy models’ loss over the widths m, its change since about half the training, exponents "
        "between neighbouring widths, and what theory gives over the same widths (strong: the Welch bound at this n, "
        "then the asymptotic exponent; weak: the exact sum over the features beyond m)."
    )
    header = ["setting", "m", "steps", "exponent", "change", "local", "theory"]
    return table(caption, header, rows, align="lrrrrrr", fill=0)


def _value(value: Any) -> str:
    return exact(value) if isinstance(value, float | int | np.number) else literal(str(value))


def _begin(
    section: SensitivitySection | CalibrationSection | ToySection, results: Results, kind: type[T]
) -> tuple[dict[str, T], list[Block]]:
    """Return the results of a section's steps by label, and its text with a note on every step without one."""
    blocks = [paragraph(fill(text, results.fits)) for text in section.text]
    steps: dict[str, T] = {}
    for name in section.steps:
        result, label = results.steps[name], results.labels[name]
        if isinstance(result, kind):
            steps[label] = result
        elif isinstance(result, StepFailed):
            blocks.append(note(f"“{label}” has no answer: {literal(result.reason)}"))
    return steps, blocks
