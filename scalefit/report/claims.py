"""Published numbers and their refits: one row per claim, with the reason for a difference."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd

from scalefit.allocation import optimum_lines
from scalefit.allocation.run import natural_cost
from scalefit.allocation.sweeps import PARABOLA
from scalefit.comparison.sources import compared_of
from scalefit.data.datasets import PublishedValue, published_value
from scalefit.data.where import parse_where
from scalefit.errors import StudyError
from scalefit.escape import literal
from scalefit.estimate import Estimate
from scalefit.law.general import sum_of_powers
from scalefit.numbers import as_printed, counted, exact, fixed, rounded
from scalefit.quantiles import normal_quantile
from scalefit.records import CONVERGED, NOT_CONVERGED
from scalefit.report.blocks import Block, paragraph, picture, table
from scalefit.report.figures import draw
from scalefit.report.results import Results
from scalefit.report.spec import Claim, ClaimsSection
from scalefit.report.steps import IsoFlopResult
from scalefit.report.text import fill, join, marked
from scalefit.results import Fit
from scalefit.summary import estimate_text, interval_text
from scalefit.thresholds import REPRODUCED
from scalefit.verdicts import Verdict

__all__ = ["claim_verdict", "claims_section"]


def claims_section(section: ClaimsSection, results: Results) -> list[Block]:
    """Write a table of claims: the printed number, the refit to the same data, their difference and its reason.

    Parameters
    ----------
    section : ClaimsSection
        What to write.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        A sentence that counts the claims that were reproduced, then the table.
    """
    fits = results.fits
    judged = [_row(claim, results) for claim in section.claims]
    rows = [row for row, _ in judged]
    blocks = [paragraph(fill(text, fits)) for text in section.text]
    blocks.append(paragraph(_count([kind for _, kind in judged])))
    caption = (
        "Claims, printed and refitted (estimate ± standard error, interval). Distances are in standard errors of the "
        "refit; where print and refit use the same runs, their errors are not independent. "
        f"{exact(len(rows))} comparisons: about one in twenty 95% intervals misses by chance."
    )
    blocks.append(table(caption, ["claim", "printed", "refitted", "difference and reason"], rows, align="lrrl", fill=3))
    default = section.fit or next(iter(fits))
    return blocks + [picture(draw(figure, results, default), floating=True) for figure in section.figures]


def claim_verdict(printed: PublishedValue, estimate: Estimate) -> Verdict:
    """Describe the difference between a printed number and an estimate.

    Parameters
    ----------
    printed : PublishedValue
        As printed.
    estimate : Estimate
        The refit.

    Returns
    -------
    Verdict
        ``reproduced``, ``inside`` or ``outside`` the interval, or ``open`` where the refit has no error.
    """
    if not 0 < estimate.se < math.inf:
        return Verdict.of("open", "The refit has no standard error for a comparison.")
    gap = abs(printed.value - estimate.value) / estimate.se
    difference = f"{fixed(gap, 1)} errors away"
    numbers = {"printed": printed.value, "refit": estimate.value, "se": estimate.se}
    about: dict[str, Any] = {**numbers, "standard_errors": gap}
    if gap < REPRODUCED:
        text = "Reproduced." if fixed(gap, 1) == fixed(0, 1) else f"Reproduced, {difference}."
        return Verdict.of("reproduced", text, threshold=REPRODUCED, **about)
    if estimate.holds(printed.value):
        return Verdict.of("inside", f"Inside the interval, {difference}.", **about)
    return Verdict.of("outside", f"Outside the interval, {difference}.", **about)


def _row(claim: Claim, results: Results) -> tuple[list[str], str]:
    printed = [published_value(paper.key) for paper in claim.published]
    papers = [literal(paper.label) for paper in claim.published]
    values = [as_printed(value.value, value.uncertainty) for value in printed]
    texts = [f"{values[0]}\n{papers[0]}"] if len(papers) == 1 else map("\u2002".join, zip(papers, values, strict=True))
    because = fill(claim.because, results.fits)
    first = [claim.says, "\n".join(texts)]
    if claim.step:
        estimate, measured, identified = _at_budgets(claim, results), "", True
    else:
        fit = results.fits[claim.fit]
        if fit.status == NOT_CONVERGED:
            return [*first, "no answer", f"{literal(fit.message)} {because}".strip()], "open"
        estimate, measured = _refitted(claim, fit, results), _measured(claim, fit, results)
        asked = compared_of(fit, [claim.parameter], "") if claim.parameter else ()
        identified = all(source.status == CONVERGED for source in asked)
    judged = claim_verdict(printed[0], estimate)
    if not identified:
        judged = Verdict.of("open", "Not identified by these data.")
    ours = f"{estimate_text(estimate, alone=False)}\n{interval_text(estimate)}"
    return [*first, ours, f"{marked(judged)} {measured}{because}".strip()], judged.kind


def _at_budgets(claim: Claim, results: Results) -> Estimate:
    """Return the power of compute through the best sizes at the budgets of a table."""
    sweep = results.steps[claim.step]
    assert isinstance(sweep, IsoFlopResult)
    if len(sweep.levels) > 1:
        raise StudyError(f"claim {claim.says!r}: the step {claim.step!r} has several levels; choose one with where")
    (level,) = sweep.levels.values()
    return _with_error(level.approach(PARABOLA, claim.power).exponent)


def _with_error(power: Estimate) -> Estimate:
    """Add the standard error that the interval of a power of compute implies."""
    return replace(power, se=(power.hi - power.lo) / 2 / normal_quantile((1 + power.probability) / 2))


def _measured(claim: Claim, fit: Fit, results: Results) -> str:
    """Say what was measured where a claim is a prediction; empty for other claims."""
    if not claim.at:
        return ""
    return f"Measured: {rounded(float(_row_at(claim, results)[fit.law.response].iloc[0]))}. "


def _row_at(claim: Claim, results: Results) -> pd.DataFrame:
    """Return the one row whose response a claim predicts."""
    others = results.left_out(claim.fit)
    rows = others[parse_where(claim.at).mask(others)]
    if len(rows) != 1:
        raise StudyError(
            f"claim {claim.says!r}: the condition {claim.at!r} holds for {len(rows)} rows that the fit does not use; "
            "it must select one"
        )
    return rows


def _refitted(claim: Claim, fit: Fit, results: Results) -> Estimate:
    """Return the number of the refit: a parameter, a power of compute, or the prediction of one row."""
    if claim.power:
        law = sum_of_powers(fit.law, "a power of compute in a report")
        return _with_error(optimum_lines(fit, cost=natural_cost(law)).exponents[claim.power])
    if not claim.at:
        return fit[claim.parameter]
    level = fit.uncertainty.level
    predicted = fit.predict(_row_at(claim, results), prob=level).iloc[0]
    se = (predicted["hi"] - predicted["lo"]) / 2 / normal_quantile((1 + level) / 2)
    value, lo, hi = predicted["predicted"], predicted["lo"], predicted["hi"]
    return Estimate(fit.law.response, "quantity", value, se, lo, hi, probability=level)


def _count(kinds: list[str]) -> str:
    """Say how many claims are reproduced."""
    reproduced, inside, outside, unknown = (kinds.count(kind) for kind in ("reproduced", "inside", "outside", "open"))
    counts = [
        (reproduced, "is", "are", f"within {exact(REPRODUCED)} standard errors of the refit"),
        (inside, "is", "are", "farther away but inside its interval"),
        (outside, "is", "are", "outside its interval"),
        (unknown, "has", "have", "no refit that can be used"),
    ]
    parts = [f"{count} {single if count == 1 else many} {text}" for count, single, many, text in counts if count]
    return f"Of {counted(len(kinds), 'printed number')}, {join(parts)}."
