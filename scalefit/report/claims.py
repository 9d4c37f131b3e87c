"""Printed numbers beside their refits: one row per claim, with the reason for a difference."""

from __future__ import annotations

import math
from collections.abc import Mapping

from scalefit.data.datasets import PublishedValue, published_value
from scalefit.escape import literal
from scalefit.estimate import Estimate
from scalefit.numbers import as_printed, exact, fixed
from scalefit.records import NOT_CONVERGED
from scalefit.report.blocks import Block, paragraph, picture, table
from scalefit.report.figures import draw
from scalefit.report.results import Results
from scalefit.report.spec import Claim, ClaimsSection
from scalefit.report.text import fill
from scalefit.results import Fit
from scalefit.summary import estimate_text, interval_text
from scalefit.thresholds import REPRODUCED

__all__ = ["claims_section", "difference_words"]


def claims_section(section: ClaimsSection, results: Results) -> list[Block]:
    """Write a table of claims: what was printed, what the same data give here, how far apart they are and why.

    Parameters
    ----------
    section : ClaimsSection
        What to write.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        How many claims are met in words first, then the table.
    """
    fits = results.fits
    found = [_row(claim, fits) for claim in section.claims]
    rows = [row for row, _ in found]
    blocks = [paragraph(fill(text, fits)) for text in section.text]
    blocks.append(paragraph(_count([verdict for _, verdict in found])))
    caption = (
        "Claims, printed and refitted (estimate ± standard error, interval). Distances are in standard errors of the "
        "refit; where print and refit read the same runs, their errors are not independent."
    )
    blocks.append(table(caption, ["claim", "printed", "refitted", "and why"], rows, align="lrrl", fill=3))
    default = section.fit or next(iter(fits))
    return blocks + [picture(draw(figure, results, default), floating=True) for figure in section.figures]


def difference_words(printed: PublishedValue, one: Estimate) -> tuple[str, str]:
    """Say how far a printed number lies from an estimate.

    Parameters
    ----------
    printed : PublishedValue
        As printed.
    one : Estimate
        The refit.

    Returns
    -------
    tuple of str
        Words, and the verdict: ``met``, ``near`` (inside the interval), ``outside``, or ``open`` where the refit has
        no error.
    """
    if not 0 < one.se < math.inf:
        return "The refit has no error to measure by.", "open"
    gap = abs(printed.value - one.value) / one.se
    distance = f"{fixed(gap, 1)} errors away"
    if gap < REPRODUCED:
        return f"Met: {distance}.", "met"
    if one.lo <= printed.value <= one.hi:
        return f"Inside the interval, {distance}.", "near"
    return f"Outside the interval, {distance}.", "outside"


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
    one = fit[claim.parameter]
    said, verdict = difference_words(printed[0], one)
    ours = f"{estimate_text(one, alone=False)}\n{interval_text(one)}"
    return [claim.says, "\n".join(texts), ours, f"{said} {because}".strip()], verdict


def _count(verdicts: list[str]) -> str:
    """Say how many claims are met."""
    met, near, outside = (verdicts.count(word) for word in ("met", "near", "outside"))
    said = [
        f"{met} within {exact(REPRODUCED)} standard errors of the refit" if met else "",
        f"{near} farther, but inside its interval" if near else "",
        f"{outside} outside it" if outside else "",
        f"{verdicts.count('open')} without a refit that can be used" if "open" in verdicts else "",
    ]
    return f"Of {len(verdicts)} printed numbers {', '.join(filter(None, said))}."
