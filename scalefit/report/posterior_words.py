"""Sentences on posteriors and on fits beside each other, each by one rule that also says when nothing is settled."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from scalefit.comparison import Comparison
from scalefit.comparison.differences import agreement
from scalefit.comparison.sources import Compared, compared_of, compared_published
from scalefit.data.datasets import PublishedValue
from scalefit.escape import literal, visible
from scalefit.law.typeset import GREEK
from scalefit.names import LEVEL, split_names
from scalefit.numbers import chance, exact, short_number, to_digits
from scalefit.records import CONVERGED, NOT_CONVERGED
from scalefit.report.sentences import own_name, role, words
from scalefit.report.text import join, name_words
from scalefit.results import Fit, PosteriorFit
from scalefit.thresholds import SURE, UNLIKE_CHANCES, WIDE_INTERVAL

__all__ = [
    "Hypothesis",
    "agreement_sentence",
    "intervals_sentence",
    "mark_names",
    "model_sentence",
    "posterior_status",
    "probability_sentence",
    "rule_words",
    "sampling_sentence",
    "sources_of",
    "with_symbols",
]

_ALSO_WORDS = ("A", "a", "I")


class Hypothesis(NamedTuple):
    """Whether a parameter is a given number.

    Parameters
    ----------
    names : tuple of str
        The parameter, and what other fits call it.
    reference : float or None
        The number.
    region : tuple of float, or None
        What counts as equal to it.
    """

    names: tuple[str, ...]
    reference: float | None
    region: tuple[float, float] | None

    @classmethod
    def ask(cls, parameter: str, reference: float | None, within: float) -> Hypothesis:
        """Read a question as a study asks it; without ``within`` a tenth of the reference counts as equal."""
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
    """Say first when draws do not represent a posterior, or what limits it however well it was sampled."""
    if fit.status == NOT_CONVERGED:
        return f"No answer: these draws do not represent the posterior. {literal(fit.message)}"
    limits = [one.message for one in fit.findings if one.severity == fit.status]
    warnings = [one.message for one in fit.findings if one.severity == "warning"]
    lead = "Not everything is identified." if limits else ""
    return with_symbols(literal(" ".join(filter(None, [lead, *limits, *warnings]))), fit)


def model_sentence(fit: Fit) -> str:
    """Say which errors a posterior assumes."""
    kind = "follow Student’s t" if fit.objective.loss == "student_t" else "are normal"
    text = f"Residuals of ln\u00a0{words(fit.law.response)} {kind}"
    if fit.selection.cluster is not None:
        text += f"; rows of one {words(fit.selection.cluster)} share a random shift"
    pooled = [name for name, how in (fit.posterior.pool if isinstance(fit, PosteriorFit) else ()) if how == "partial"]
    if pooled:
        levels = {one.coef.name: one.coef.groups for one in fit.parameters if one.level}
        said = [f"${name}$ by {join([words(one) for one in levels[name]])}" for name in pooled]
        text += f"; {join(said)} comes from a common distribution"
    return f"{text}."


def sampling_sentence(fit: Fit) -> str:
    """Say how the draws were made and how good they are."""
    if not isinstance(fit, PosteriorFit) or fit.status == NOT_CONVERGED:
        return ""
    handed = [one.message for one in fit.findings if one.code == "handed_over"]
    return literal(" ".join([*handed, fit.posterior.verdict]))


def probability_sentence(fits: Mapping[str, Fit], question: Hypothesis) -> str:
    """Say how probable a number is under one posterior and under others of the same question.

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
    asked = f"that the {role(first, own_name(first, question.names))} is {question.near}"
    failed = [f"“{label}” ({fit.status})" for label, fit in fits.items() if fit.status != CONVERGED]
    found = {
        label: one.estimate.inside(question.region)
        for label, fit in fits.items()
        if fit.status == CONVERGED and question.region is not None
        for one in compared_of(fit, question.names, label)
    }
    left_out = f" Without an answer: {join(failed)}." if failed else ""
    if not found:
        return f"The probability {asked} has no answer here.{left_out}"
    given = join([f"{chance(p)} (“{label}”)" for label, p in found.items()])
    verdict = _together(list(found.values()))
    return f"The probability {asked} is {given}: {verdict}.{left_out}"


def _together(chances: Sequence[float]) -> str:
    """Say what several probabilities of one statement settle."""
    if min(chances) >= SURE:
        return "it is" if len(chances) == 1 else "every analysis says that it is"
    if max(chances) <= 1 - SURE:
        return "it is not" if len(chances) == 1 else "every analysis says that it is not"
    if len(chances) > 1 and max(chances) - min(chances) > UNLIKE_CHANCES:
        return "the answer hangs on the choice of rows and errors, and these runs do not settle it"
    return "these runs do not settle it"


def sources_of(
    fits: Mapping[str, Fit], question: Hypothesis, printed: Mapping[str, PublishedValue] | None = None
) -> Comparison:
    """Put fits and printed numbers beside each other; which of them agree is asked of the fits.

    A printed number comes from runs of which nothing is known, often the same ones, so it is shown and not counted.

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
    told = [one for label, fit in fits.items() for one in compared_of(fit, question.names, label)]
    shown = [compared_published(label, one.value, one.uncertainty) for label, one in (printed or {}).items()]
    counted = agreement([one for one in told if one.status == CONVERGED])
    return Comparison(
        ",".join(question.names), question.reference, question.region, sources=(*told, *shown), differences=(),
        agreement=counted,
    )  # fmt: skip


def agreement_sentence(comparison: Comparison) -> str:
    """Say whether sources that share no rows can be one number (Cochran's Q)."""
    silent = Comparison(comparison.parameter, None, None, (), (), comparison.agreement)
    if comparison.agreement is None:
        return "No two of these fits have rows of their own, so whether they agree cannot be asked."
    said = literal(" ".join(silent.verdict))
    doubtful = [
        f"{literal(one.label)} ({one.status})" for one in comparison.sources if one.status not in (CONVERGED, "printed")
    ]
    return f"{said} Not counted, because they have no answer: {join(doubtful)}." if doubtful else said


def intervals_sentence(sources: Sequence[Compared], reference: float) -> str:
    """Count the intervals that exclude a number."""
    fitted = [one for one in sources if one.status != "printed"]
    out = [literal(one.label) for one in fitted if not one.estimate.lo <= reference <= one.estimate.hi]
    verb = "excludes" if len(out) == 1 else "exclude"
    named = f" ({join(out)})" if 0 < len(out) < len(fitted) else ""
    count = "all" if len(out) == len(fitted) else str(len(out) or "none")
    return f"Of the {len(fitted)} fitted intervals {count} {verb} {exact(reference)}{named}."


def rule_words(split: str) -> str:
    """Write a rule that holds out rows, ``params >= 2.00668e+09``, as words: ``parameters ≥ 2B``."""
    found = re.fullmatch(r"(\w+) >= ([\d.e+-]+)", split)
    if found is None:
        return literal(split)
    limit = to_digits(float(found[2]), 4)
    return f"{words(found[1])} ≥ {short_number(limit)}"


def with_symbols(text: str, *fits: Fit) -> str:
    """Mark the names of the parameters of some fits in a sentence; see :func:`mark_names`."""
    return mark_names(text, {one.coef.name for fit in fits for one in fit.parameters})


def mark_names(text: str, names: Collection[str]) -> str:
    """Mark names of parameters in a sentence, so that they are set as symbols.

    A name that is also a word, such as ``A``, is marked only before an equals sign.
    """
    usable = {name for name in names if name.isidentifier()}
    longest_first = "|".join(sorted(usable, key=len, reverse=True))
    marked = re.compile(rf"(?<![\w$.])({longest_first})({LEVEL})?(?![\w$(-])")

    def mark(found: re.Match[str]) -> str:
        name, level = found[1], found[2] or ""
        if not (level or _is_symbol(name) or text.startswith(" =", found.end())):
            return found[0]
        return name_words(visible(name + level))  # as the printed name was, without what literal() hides

    return marked.sub(mark, text) if usable else text


def _is_symbol(name: str) -> bool:
    return "_" in name or name in GREEK or (len(name) == 1 and name not in _ALSO_WORDS)
