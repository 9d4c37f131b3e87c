"""Sentences on posteriors and on several fits, each by one rule that also says when a question stays open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scalefit.comparison import Comparison
from scalefit.comparison.differences import agreement
from scalefit.comparison.result import agreement_verdict
from scalefit.comparison.sources import Compared, compared_of, compared_published
from scalefit.data.datasets import PublishedValue
from scalefit.escape import literal
from scalefit.law.additive import Coef
from scalefit.names import read_name, split_names
from scalefit.numbers import exact
from scalefit.records import CONVERGED, NOT_CONVERGED
from scalefit.report.sentences import name_in, role, words
from scalefit.report.text import join, marked
from scalefit.results import Fit, PosteriorFit
from scalefit.thresholds import WIDE_INTERVAL
from scalefit.verdicts import region_verdict

__all__ = [
    "Hypothesis",
    "agreement_sentence",
    "comparable_sentence",
    "estimand",
    "intervals_sentence",
    "model_sentence",
    "posterior_status",
    "probability_sentence",
    "sampling_sentence",
    "sources_of",
]


class Hypothesis(NamedTuple):
    """Whether a parameter equals a reference.

    Parameters
    ----------
    names : tuple of str
        The parameter, and its names in other fits.
    reference : float or None
        The number.
    region : tuple of float, or None
        The values that count as equal to it.
    """

    names: tuple[str, ...]
    reference: float | None
    region: tuple[float, float] | None

    @classmethod
    def ask(cls, parameter: str, reference: float | None, within: float) -> Hypothesis:
        """Make a question from the keys of a study; without ``within`` a tenth of the reference counts as equal."""
        if reference is None:
            return cls(split_names(parameter), None, None)
        half = within or WIDE_INTERVAL * abs(reference)
        return cls(split_names(parameter), reference, (reference - half, reference + half))

    @property
    def near(self) -> str:
        """``within 0.1 of 1``."""
        if self.reference is None or self.region is None:
            return ""
        return f"within {exact((self.region[1] - self.region[0]) / 2)} of {exact(self.reference)}"


def posterior_status(fit: Fit) -> str:
    """State whether the draws represent the posterior, and what limits it even if they do."""
    if fit.status == NOT_CONVERGED:
        return f"No answer: these draws do not represent the posterior. {literal(fit.message)}"
    limits = [finding.runs for finding in fit.findings if finding.severity == fit.status]
    warnings = [finding.runs for finding in fit.findings if finding.severity == "warning"]
    lead = [("Not everything is identified.",)] if limits else []
    return marked(*lead, *limits, *warnings)


def model_sentence(fit: Fit) -> str:
    """State which errors a posterior assumes."""
    kind = "follow Student’s t" if fit.objective.loss == "student_t" else "are normal"
    text = f"Residuals of ln\u00a0{words(fit.law.response)} {kind}"
    if fit.selection.cluster is not None:
        text += f"; rows of one {words(fit.selection.cluster)} share a random shift"
    pooled = [name for name, how in (fit.posterior.pool if isinstance(fit, PosteriorFit) else ()) if how == "partial"]
    if pooled:
        levels = {parameter.coef.name: parameter.coef.groups for parameter in fit.parameters if parameter.level}
        parts = [f"${name}$ by {join([words(group) for group in levels[name]])}" for name in pooled]
        text += f"; {join(parts)} comes from a common distribution"
    return f"{text}."


def sampling_sentence(fit: Fit) -> str:
    """State how the draws were made and how good they are."""
    if not isinstance(fit, PosteriorFit) or fit.status == NOT_CONVERGED:
        return ""
    handed = [finding.message for finding in fit.findings if finding.code == "handed_over"]
    return literal(" ".join([*handed, fit.posterior.verdict]))


def probability_sentence(fits: Mapping[str, Fit], question: Hypothesis) -> str:
    """State how probable a number is under one posterior and under others of the same question.

    Parameters
    ----------
    fits : mapping
        Posteriors by label, the main one first.
    question : Hypothesis
        The parameter and the number.

    Returns
    -------
    str
        The probabilities, and what follows from all of them together.
    """
    first = next(iter(fits.values()))
    statement = f"the {role(first, name_in(first, question.names))} is {question.near}"
    failed = [f"“{label}” ({fit.status})" for label, fit in fits.items() if fit.status != CONVERGED]
    by_label = {
        label: source.estimate.inside(question.region)
        for label, fit in fits.items()
        if fit.status == CONVERGED and question.region is not None
        for source in compared_of(fit, question.names, label)
    }
    left_out = f" Without an answer: {join(failed)}." if failed else ""
    if not by_label:
        return f"The probability that {statement} has no answer here.{left_out}"
    return marked(region_verdict("the", statement, by_label)) + left_out


def sources_of(
    fits: Mapping[str, Fit], question: Hypothesis, printed: Mapping[str, PublishedValue] | None = None
) -> Comparison:
    """Collect fits and printed numbers; which of them agree is tested on the fits alone.

    A published value comes from unknown runs, often the same ones, so it is shown and not counted.

    Parameters
    ----------
    fits : mapping
        Fits by label, the ones to count first where rows are shared.
    question : Hypothesis
        The parameter and the number.
    printed : mapping, optional
        Label to published value.

    Returns
    -------
    Comparison
        Without evidence, laws or extrapolation.
    """
    sources = [source for label, fit in fits.items() for source in compared_of(fit, question.names, label)]
    shown = [compared_published(label, value.value, value.uncertainty) for label, value in (printed or {}).items()]
    counted = agreement([source for source in sources if source.status == CONVERGED])
    return Comparison(
        ",".join(question.names), question.reference, question.region, sources=(*sources, *shown), differences=(),
        agreement=counted,
    )  # fmt: skip


def agreement_sentence(comparison: Comparison) -> str:
    """State whether sources that share no rows are consistent with one number (Cochran's Q)."""
    if comparison.agreement is None:
        return "No two of these fits have rows of their own, so whether they agree cannot be tested."
    text = marked(agreement_verdict(comparison.agreement))
    doubtful = [
        f"{literal(source.label)} ({source.status})"
        for source in comparison.sources
        if source.status not in (CONVERGED, "printed")
    ]
    return f"{text} Not counted, because they have no answer: {join(doubtful)}." if doubtful else text


def estimand(fit: Fit, names: Sequence[str]) -> str:
    """Say what a parameter measures in a law: with which other columns, and with which offsets.

    Parameters
    ----------
    fit : Fit
        The fit.
    names : sequence of str
        Possible names of the parameter.

    Returns
    -------
    str
        Such as ``width, with depth and tokens`` or ``width alone, offsets by family and eval set``.
    """
    name = read_name(name_in(fit, names))[0]
    terms = [term for term in fit.law.terms if name in (_coefficient(term.exponent), _coefficient(term.coefficient))]
    if not terms:
        return ""
    variable = terms[0].variable
    others = [words(other) for other in fit.law.variables if other != variable]
    floor = fit.law.floor
    groups = [words(group) for group in floor.groups] if isinstance(floor, Coef) else []
    text = f"{words(variable)}, with {join(others)}" if others else f"{words(variable)} alone"
    return f"{text}, offsets by {join(groups)}" if groups else text


def _coefficient(part: object) -> str:
    return part.name if isinstance(part, Coef) else ""


def comparable_sentence(fits: Mapping[str, Fit], question: Hypothesis) -> str:
    """Test whether sources of the same estimand agree, and say which those are.

    Parameters
    ----------
    fits : mapping
        Fits by label.
    question : Hypothesis
        The parameter.

    Returns
    -------
    str
        One verdict for each estimand with two sources or more that share no rows; empty where all sources measure the
        same, of which the verdict on all of them is that.
    """
    alike: dict[str, list[Compared]] = {}
    for label, fit in fits.items():
        if fit.status != CONVERGED:
            continue
        alike.setdefault(estimand(fit, question.names), []).extend(compared_of(fit, question.names, label))
    if len(alike) == 1 and agreement(next(iter(alike.values()))) is not None:
        return ""
    sentences = []
    for what, sources in alike.items():
        test = agreement(sources)
        if test is not None and len({source.origin for source in sources}) > 1:
            verdict = marked(agreement_verdict(test))
            sentences.append(f"Of the same quantity ({what}), {verdict[:1].lower()}{verdict[1:]}")
    if not sentences:
        return f"These are {exact(len(alike))} different quantities, and no two sources measure the same one."
    count = f"These are {exact(len(alike))} different quantities. " if len(alike) > 1 else ""
    return count + " ".join(sentences)


def intervals_sentence(sources: Sequence[Compared], reference: float) -> str:
    """Count the intervals that exclude a number."""
    fitted = [source for source in sources if source.status != "printed"]
    out = [literal(source.label) for source in fitted if not source.estimate.lo <= reference <= source.estimate.hi]
    verb = "excludes" if len(out) == 1 else "exclude"
    named = f" ({join(out)})" if 0 < len(out) < len(fitted) else ""
    count = "all" if len(out) == len(fitted) else str(len(out) or "none")
    return f"Of the {len(fitted)} fitted intervals {count} {verb} {exact(reference)}{named}."
