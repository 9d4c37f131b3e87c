"""Published numbers and their refits: one row per claim, with the reason for a difference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from scalefit.data.datasets import PublishedValue, published_value
from scalefit.escape import literal
from scalefit.estimate import Estimate
from scalefit.numbers import as_printed, exact, fixed
from scalefit.records import NOT_CONVERGED
from scalefit.report.blocks import Block, paragraph, picture, table
from scalefit.report.figures import draw
from scalefit.report.results import Results
from scalefit.report.spec import Claim, ClaimsSection
from scalefit.report.text import fill, marked
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
    judged = [_row(claim, fits) for claim in section.claims]
    rows = [row for row, _ in judged]
    blocks = [paragraph(fill(text, fits)) for text in section.text]
    blocks.append(paragraph(_count([kind for _, kind in judged])))
    caption = (
        "Claims, printed and refitted (estimate ± standard error, interval). Differences are in standard errors of the "
        "refit; where print and refit use the same runs, their errors are not independent."
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
    difference = f"difference {fixed(gap, 1)} standard errors"
    numbers = {"printed": printed.value, "refit": estimate.value, "se": estimate.se}
    about: dict[str, Any] = {**numbers, "standard_errors": gap}
    if gap < REPRODUCED:
        return Verdict.of("reproduced", f"Reproduced ({difference}).", threshold=REPRODUCED, **about)
    if estimate.holds(printed.value):
        return Verdict.of("inside", f"Inside the interval ({difference}).", **about)
    return Verdict.of("outside", f"Outside the interval ({difference}).", **about)


def _row(claim: Claim, fits: Mapping[str, Fit]) -> tuple[list[str], str]:
    fit = fits[claim.fit]
    printed = [published_value(paper.key) for paper in claim.published]
    texts = [
        f"{as_printed(one.value, one.uncertainty)}\n{literal(paper.label)}"
        for one, paper in zip(printed, claim.published, strict=True)
    ]
    because = fill(claim.because, fits)
    if fit.status == NOT_CONVERGED:
        return [claim.says, "\n".join(texts), "no answer", f"{literal(fit.message)} {because}".strip()], "open"
    estimate = fit[claim.parameter]
    judged = claim_verdict(printed[0], estimate)
    ours = f"{estimate_text(estimate, alone=False)}\n{interval_text(estimate)}"
    return [claim.says, "\n".join(texts), ours, f"{marked(judged)} {because}".strip()], judged.kind


def _count(kinds: list[str]) -> str:
    """Say how many claims are reproduced."""
    reproduced, inside, outside, unknown = (kinds.count(kind) for kind in ("reproduced", "inside", "outside", "open"))
    parts = [
        f"{reproduced} within {exact(REPRODUCED)} standard errors of the refit" if reproduced else "",
        f"{inside} further away, but inside its interval" if inside else "",
        f"{outside} outside it" if outside else "",
        f"{unknown} without a refit that can be used" if unknown else "",
    ]
    return f"Of {len(kinds)} printed numbers {', '.join(filter(None, parts))}."
