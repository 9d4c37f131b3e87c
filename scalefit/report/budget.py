"""What a draft can afford: the cost of a study's steps, counted in rows evaluated, and which of them it leaves out.

A draft is to take less than a minute on one core for any table of up to 5,000 rows. Fits take seconds of it; a
sensitivity or a calibration is ten posteriors and more, so their cost is what grows with the table. Seconds would make
a report depend on the machine that wrote it: the cost is the number of times that a law is evaluated for a row.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any, Final, NamedTuple

from scalefit.data.sources import locate
from scalefit.law.additive import Law
from scalefit.options import Rows
from scalefit.problem import build_problem
from scalefit.report.study import StepSpec, Study
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
_ROWS: Final = ("mapping", "derive", "where", "drop_invalid", "drop_highest_loss", "ties", "weights", "cluster")


class Affordable(NamedTuple):
    """What a draft keeps and what it leaves out.

    Parameters
    ----------
    dropped : frozenset of str
        Names of the steps that are left out.
    notes : tuple of str
        Why, a sentence each.
    """

    dropped: frozenset[str]
    notes: tuple[str, ...]


def affordable(study: Study) -> Affordable:
    """Choose the steps that a draft has time for, in the order of the study, sensitivities first.

    Parameters
    ----------
    study : Study
        With the draws of a draft.

    Returns
    -------
    Affordable
        The steps to leave out, and why.
    """
    spent, dropped, notes = 0.0, set(), []
    for step in (*study.sensitivity, *study.calibration):
        cost = _evaluations(step, study.path.parent)
        if spent + cost <= MOST_EVALUATIONS:
            spent += cost
            continue
        dropped.add(step.name)
        notes.append(
            f"This draft leaves out “{study.labels[step.name]}”: its fits evaluate the law for about {cost / 1e9:.1f} "
            f"billion rows, and the steps of a draft share {MOST_EVALUATIONS / 1e9:.1f} billion. The report without "
            "--draft has it."
        )
    return Affordable(frozenset(dropped), tuple(notes))


def _evaluations(step: StepSpec, folder: Path) -> float:
    """Estimate how often a step evaluates its law for a row."""
    options = step.options
    law = Law.parse(step.law)
    table = Rows(**{key: options[key] for key in _ROWS if key in options}).read(locate(step.data, folder), law)
    count = len(build_problem(law, table.frame, cluster=options.get("cluster")).parameters) + 3  # sigma, nu, tau
    each = ROUNDS * max(PER_ROUND, PER_PARAMETER * count) + CURVED * count**2
    draws = int(options.get("draws", TRUTHS))
    fits = _choices(options) if step.kind == "sensitivity" else int(options.get("n", 100))
    total = fits * (each + PROPOSALS * draws)
    if step.kind == "calibration" and options.get("truth") == "posterior":
        total += each + PROPOSALS * TRUTHS
    return float(total * len(table.frame) * (SHIFTED if options.get("cluster") else 1))


def _choices(options: Any) -> int:
    """Count the fits of a sensitivity."""
    if "vary" not in options:
        return CHOICES
    values = [len(one) for one in read_vary(options["vary"]).values()]
    return prod(1 + one for one in values) if options.get("design") == "grid" else 1 + sum(values)
