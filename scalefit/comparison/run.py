"""Compare fits: the one function behind ``scalefit compare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalefit.comparison.crossval import CrossValidation, LawScore, leave_one_out, rank_laws
from scalefit.comparison.differences import agreement, differences
from scalefit.comparison.evidence import Evidence, can_be_fixed, evidence, read_fixed
from scalefit.comparison.extrapolate import HeldOut, Split, held_out_score, split_rows
from scalefit.comparison.result import Comparison
from scalefit.comparison.sources import Compared, compared_of, compared_published
from scalefit.data.datasets import describe_dataset, published_value
from scalefit.errors import DataError, closest
from scalefit.names import Key, printed_name, read_name, split_names
from scalefit.options import COMPARE, Comparing, gather, takes
from scalefit.posterior.priors import Prior
from scalefit.progress import Progress
from scalefit.records import NOT_CONVERGED
from scalefit.results import Fit, PosteriorFit

__all__ = ["compare", "named_fits"]


@takes(*COMPARE)
def compare(
    fits: Mapping[str, Fit] | Sequence[Fit],
    param: str,
    *options: Comparing,
    published: Mapping[str, tuple[float, float | None] | None] | Sequence[str] = (),
    progress: Progress | None = None,
    **keywords: Any,
) -> Comparison:
    """Compare what fits and printed numbers say about one parameter, and the laws that share rows.

    Parameters
    ----------
    fits : mapping of str to Fit, or sequence of Fit
        Least squares, Bayes, toy models; with labels.
    param : str
        The parameter. Names that other fits give it follow after commas: ``"a_m,alpha"``. A name without its level
        stands for all levels.
    *options : Comparing
        The question as a value; single fields as keywords.
    published : mapping or sequence of str, optional
        Label to value and standard error. Keys of :func:`scalefit.published_value` such as ``"liu2025.alpha"`` stand
        in a sequence, or with None; their table is known, so that a fit of it is not taken as independent.
    progress : callable, optional
        ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.Comparing`.

    Returns
    -------
    Comparison
        Print it.

    Raises
    ------
    DataError
        For a parameter that no fit has, an impossible region, two sources of one name, or no source.
    """
    asked: Comparing
    (asked,) = gather(COMPARE, options, keywords)
    named = named_fits(fits)
    names = split_names(param)
    if not names:
        raise DataError(f"param is {param!r}; give a parameter's name, such as alpha")
    together = read_fixed(asked.fixed or {})
    level = next((fit.uncertainty.level for fit in named.values()), 0.95)
    by_fit, notes = _parameter_of(named, names)
    sources = [*(source for own in by_fit.values() for source in own), *_published(published, level)]
    _check_labels([source.label for source in sources])
    if not sources:
        raise DataError("nothing to compare; give at least one fit")
    report = progress or (lambda *_: None)
    _check_fixed(named, together)
    tests = {label: _tests(named[label], own, asked.reference, together) for label, own in by_fit.items()}
    weighed, unweighed = _weigh(named, tests, asked.priors, report)
    laws, unscored = _score_laws(named, asked.leave_out, report)
    held, split, other = _extrapolate(named, asked.holdout, report)
    return Comparison(
        parameter=param, reference=asked.reference, region=asked.region, sources=tuple(sources),
        differences=differences(sources), agreement=agreement(sources), evidence=weighed, laws=laws, held_out=held,
        split=split, notes=(*notes, *unweighed, *unscored, *other),
    )  # fmt: skip


def _parameter_of(named: Mapping[str, Fit], names: Sequence[str]) -> tuple[dict[str, tuple[Compared, ...]], list[str]]:
    """Read the parameter from every fit that has it; the others are compared as laws only."""
    by_fit: dict[str, tuple[Compared, ...]] = {}
    errors = []
    for label, fit in named.items():
        try:
            by_fit[label] = compared_of(fit, names, label)
        except DataError as error:
            errors.append(error)
    if errors and not by_fit:
        raise errors[0]
    _check_used(by_fit, names)
    lacking = [label for label in named if label not in by_fit]
    text = f"{', '.join(lacking)} has no {' or '.join(dict.fromkeys(names))} and is compared as a law only."
    return by_fit, [text] if lacking else []


def _check_used(by_fit: Mapping[str, tuple[Compared, ...]], names: Sequence[str]) -> None:
    """Refuse a name that no fit is compared by: it is misspelt, or a second parameter of one fit."""
    used = {source.estimate.key for own in by_fit.values() for source in own}
    for coefficient, level in map(read_name, names):
        if (coefficient, level) in used or (not level and any(coefficient == name for name, _ in used)):
            continue
        name = printed_name(coefficient, level)
        levels = f". Levels of one fit are compared by the name without a level, {coefficient}" if level else ""
        raise DataError(
            f"param names {name!r}, by which no fit is compared: names after a comma are what other fits call the "
            f"parameter. Leave it out{levels}"
        )


def _check_labels(labels: Sequence[str]) -> None:
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise DataError(f"two sources are called {twice[0]!r}; give each a name of its own")


def named_fits(fits: Mapping[str, Fit] | Sequence[Fit]) -> dict[str, Fit]:
    """Give every fit a name of its own."""
    if isinstance(fits, Mapping):
        return dict(fits)
    named: dict[str, Fit] = {}
    for fit in fits:
        label = stem = fit.label or fit.source.name
        number = 2
        while label in named:
            label, number = f"{stem} ({number})", number + 1
        named[label] = fit
    return named


def _check_fixed(named: Mapping[str, Fit], fixed: Mapping[Key, float]) -> None:
    """Refuse to fix an exponent that no fit has; one that some fits lack is a note on those."""
    known = {
        parameter.key: parameter.name
        for fit in named.values()
        for parameter in fit.parameters
        if can_be_fixed(parameter)
    }
    for key in fixed:
        if key not in known:
            name = printed_name(*key)
            raise DataError(f"no fit has an exponent {name!r} to fix; {closest(name, known.values())}")


def _published(
    published: Mapping[str, tuple[float, float | None] | None] | Sequence[str] | str, level: float
) -> list[Compared]:
    keys = [published] if isinstance(published, str) else published
    numbers = published if isinstance(published, Mapping) else dict.fromkeys(keys)
    sources = []
    for label, given in numbers.items():
        if given is not None:
            sources.append(compared_published(label, *given, level=level))
            continue
        printed = published_value(label)
        table = describe_dataset(printed.data).sha256 if printed.data else ""
        sources.append(compared_published(label, printed.value, printed.uncertainty, table=table, level=level))
    return sources


def _tests(
    fit: Fit, sources: Sequence[Compared], reference: float | None, fixed: Mapping[Key, float]
) -> list[dict[Key, float]]:
    """List the sets of exponents that are fixed in turn."""
    if fixed:
        return [dict(fixed)]
    exponents = {parameter.key for parameter in fit.parameters if can_be_fixed(parameter)}
    own = [(source.estimate.coefficient, source.estimate.level) for source in sources]
    return [{key: reference} for key in own if key in exponents and reference is not None]


def _weigh(
    named: Mapping[str, Fit],
    tests: Mapping[str, list[dict[Key, float]]],
    priors: Sequence[str | Prior],
    report: Progress,
) -> tuple[tuple[Evidence, ...], list[str]]:
    """Weigh fixed exponents against free ones in every posterior that has them."""
    weighed, notes = [], []
    for label, own in tests.items():
        fit = named[label]
        known = {parameter.key for parameter in fit.parameters if can_be_fixed(parameter)}
        for test in own if isinstance(fit, PosteriorFit) else []:
            if fit.status == NOT_CONVERGED:
                notes.append(f"{label} did not converge and is not weighed.")
            elif missing := sorted(set(test) - known):
                notes.append(f"{label} has no exponent {', '.join(printed_name(*key) for key in missing)} to fix.")
            else:
                report(f"{label}: evidence", 0, 0)
                weighed.append(evidence(fit, test, label=label, priors=priors or None))
    notes += [f"{result.label}: {' '.join(result.notes)}" for result in weighed if not result.priors]
    return tuple(weighed), notes


def _score_laws(
    named: Mapping[str, Fit], leave_out: str, report: Progress
) -> tuple[tuple[tuple[LawScore, CrossValidation], ...], list[str]]:
    """Leave one out of the largest set of posteriors that share their rows."""
    usable = {
        label: fit for label, fit in named.items() if isinstance(fit, PosteriorFit) and fit.status != NOT_CONVERGED
    }
    alike: dict[Any, list[str]] = {}
    for label, fit in usable.items():
        alike.setdefault(_rows(fit), []).append(label)
    same = max(alike.values(), key=len, default=[])
    if len(same) < 2:
        return (), []
    scores = []
    for done, label in enumerate(same):
        report(f"{label}: leaving one out", done, len(same))
        scores.append(leave_one_out(named[label], by=leave_out, label=label, progress=report))
    known = {score.label: score for score in scores}
    others = [label for label in usable if label not in same]
    words = f"Leave-one-out scores compare laws on the same rows and weights; {', '.join(others)} has others."
    notes = [words] if others else []
    try:
        return tuple((score, known[score.label]) for score in rank_laws(tuple(scores))), notes
    except DataError as error:
        return (), [*notes, f"{error}."]


def _rows(fit: Fit) -> tuple[Any, ...]:
    """Return what two laws must have in common to be scored against each other."""
    rows = tuple(map(int, np.sort(fit.rows.index.to_numpy())))
    return fit.source.sha256, rows, fit.law.response, fit.objective.weights


def _extrapolate(
    named: Mapping[str, Fit], holdout: str | None, report: Progress
) -> tuple[tuple[HeldOut, ...], Split | None, list[str]]:
    """Score the laws that share the rows of the first on the ones held out."""
    if holdout is None:
        return (), None, []
    first, *_ = named.values()
    split = split_rows(first.rows, holdout)
    scores, notes = [], []
    for done, (label, fit) in enumerate(named.items()):
        report(f"{label}: extrapolating", done, len(named))
        if _rows(fit) == _rows(first):
            scores.append(held_out_score(fit, split, label=label))
        else:
            notes.append(f"{label} has other rows, responses or weights than the first fit: no score of extrapolation.")
    return tuple(scores), split, notes
