"""Check a study before anything is computed: fits and steps must be able to provide what each part needs."""

from __future__ import annotations

from typing import Any

from scalefit.errors import StudyError, closest
from scalefit.numbers import exact
from scalefit.options import Bayes
from scalefit.report.spec import Claim, ClaimsSection, PoolingFigure, describe, mentions
from scalefit.report.study import Study

__all__ = ["check_study"]

QUANTITIES = ("params", "tokens")  # of the best sizes at budgets


def check_study(study: Study) -> None:
    """Reject requests that the study cannot fulfil.

    Parameters
    ----------
    study : Study
        With its defaults filled in.

    Raises
    ------
    StudyError
        For a fit by another engine than a part needs, a step of another kind, or a question without a number.
    """
    for part in (*study.answer, *study.section):
        _check_mentions(study, part)
        _check_within(study, part)
        if isinstance(part, ClaimsSection):
            for claim in part.claims:
                _check_claim(study, claim)
    first = study.fit[0].name
    figures = [(figure, getattr(part, "fit", "")) for part in study.section for figure in getattr(part, "figures", ())]
    figures += [(study.front.figure, first)] if study.front.figure else []
    for figure, default in figures:
        _check_mentions(study, figure, default)
        if isinstance(figure, PoolingFigure):
            _check_pooling(study, figure, default)


def _check_mentions(study: Study, part: Any, default: str = "") -> None:
    """Reject a fit with another engine than a part needs, or a step of another kind."""
    what = describe(part)
    for key, name, refers in mentions(part):
        used = name or (default if key == "fit" else "")
        if not refers.of or not used:
            continue
        if refers.to == "fit" and study.spec(used).engine != refers.of:
            needed = f"{refers.role}{what} needs fits with engine = {refers.of!r}"
            raise StudyError(f"{study.path.name}: {needed}; {used!r} has another")
        if refers.to == "step" and study.step(used).kind != refers.of:
            raise StudyError(f"{study.path.name}: {what} needs [[{refers.of}]] steps; {used!r} is another")


def _check_claim(study: Study, claim: Claim) -> None:
    """Reject a claim without a refit, or with two, or with a step that has no power of compute."""
    what = f"{study.path.name}: the claim {claim.says!r}"
    if bool(claim.fit) == bool(claim.step):
        raise StudyError(f"{what} needs either fit, a refit, or step, the best sizes at budgets of compute")
    if claim.step and study.step(claim.step).kind != "isoflop":
        raise StudyError(f"{what} needs an [[isoflop]] step; {claim.step!r} is another")
    if claim.step and claim.power not in QUANTITIES:
        raise StudyError(f"{what} with a step needs power, the quantity that grows; {closest(claim.power, QUANTITIES)}")


def _check_within(study: Study, part: Any) -> None:
    """Reject a question about a reference without a region around it."""
    reference, within = getattr(part, "reference", None), getattr(part, "within", None)
    if reference is None or within is None:
        return
    if within < 0 or (reference == 0 and not within):
        needed = (
            f"{describe(part)} needs within, the distance from {exact(reference)} that counts as equal, such as 0.1"
        )
        raise StudyError(f"{study.path.name}: {needed}")


def _check_pooling(study: Study, figure: PoolingFigure, default: str) -> None:
    options = study.spec(figure.fit or default).options
    if not isinstance(options, Bayes) or "partial" not in (options.pool or {}).values():
        text = f'{study.path.name}: {describe(figure)} needs pool = {{ alpha = "partial" }}'
        raise StudyError(f"{text}; fit {figure.fit or default!r} has no partial pooling")
