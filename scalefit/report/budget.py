"""The budget of a draft: the cost of a study's steps, counted in rows evaluated, and which steps it omits.

A draft should take less than a minute on one core for any table of up to 5,000 rows. Fits take seconds of it; a
sensitivity or a calibration is ten posteriors and more, so their cost is what grows with the table. Seconds would make
a report depend on the machine that wrote it: the cost is the number of times that a law is evaluated for a row.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Final, NamedTuple

from scalefit.binding import bind_law
from scalefit.data.sources import locate
from scalefit.numbers import fixed
from scalefit.options import Question
from scalefit.report.study import CalibrationStep, SensitivityStep, Study
from scalefit.robustness.variations import read_vary

__all__ = ["MOST_EVALUATIONS", "affordable"]

MOST_EVALUATIONS: Final = 2.6e9  # of a row; at most about 12 ns each, so half a minute
CHOICES: Final = 11  # of a sensitivity that varies what the data allow
ROUNDS: Final = 8  # of importance sampling, where the posterior is identified
PER_ROUND: Final = 2000  # proposals of a round, or PER_PARAMETER for each parameter where that is more
PER_PARAMETER: Final = 150
CURVED: Final = 20  # evaluations for each pair of parameters, in climbing to the modes
PROPOSALS: Final = 5  # for each draw that is kept
TRUTHS: Final = 4000  # draws from which a calibration takes its truths
SHIFTED: Final = 4  # cost of a row where rows of one cluster share a shift, which is integrated out


class Affordable(NamedTuple):
    """The steps that a draft omits.

    Parameters
    ----------
    dropped : frozenset of str
        Names of the steps that are omitted.
    notes : tuple of str
        Why, a sentence each.
    """

    dropped: frozenset[str]
    notes: tuple[str, ...]


def affordable(study: Study) -> Affordable:
    """Choose the steps that fit into the time of a draft, in the order of the study, sensitivities first.

    Parameters
    ----------
    study : Study
        With the draws of a draft.

    Returns
    -------
    Affordable
        The steps to omit, and why.
    """
    spent, dropped, notes = 0.0, set(), []
    steps: list[SensitivityStep | CalibrationStep] = [*study.sensitivity, *study.calibration]
    for step in steps:
        cost = _evaluations(step, study.path.parent)
        if spent + cost <= MOST_EVALUATIONS:
            spent += cost
            continue
        dropped.add(step.name)
        notes.append(
            f"This draft omits “{study.labels[step.name]}”: its fits evaluate the law for about "
            f"{fixed(cost / 1e9, 1)} billion rows, and the steps of a draft share {fixed(MOST_EVALUATIONS / 1e9, 1)} "
            "billion. The report without --draft includes it."
        )
    return Affordable(frozenset(dropped), tuple(notes))


def _evaluations(step: SensitivityStep | CalibrationStep, folder: Path) -> float:
    """Estimate how often a step evaluates its law for a row."""
    cluster = step.selection.cluster
    law, table = step.selection.bind(locate(step.data, folder), step.law)
    count = len(bind_law(law, table.frame, cluster=cluster).parameters) + 3  # sigma, nu, tau
    each = ROUNDS * max(PER_ROUND, PER_PARAMETER * count) + CURVED * count**2
    fits = _choices(step.question) if isinstance(step, SensitivityStep) else step.simulation.n
    total = fits * (each + PROPOSALS * step.model.draws)
    if isinstance(step, CalibrationStep) and step.simulation.truth == "posterior":
        total += each + PROPOSALS * TRUTHS
    return float(total * len(table.frame) * (SHIFTED if cluster else 1))


def _choices(question: Question) -> int:
    """Count the fits of a sensitivity."""
    if question.vary is None:
        return CHOICES
    values = [len(tried) for tried in read_vary(question.vary).values()]
    return prod(1 + value for value in values) if question.design == "grid" else 1 + sum(values)
