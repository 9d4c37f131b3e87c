"""The tables of posteriors and of comparisons between fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from scalefit.comparison import Comparison, Evidence, HeldOut
from scalefit.comparison.crossval import CrossValidation, LawScore
from scalefit.comparison.extrapolate import LEVEL, Split
from scalefit.comparison.sources import Compared, compared_of
from scalefit.escape import literal
from scalefit.estimate import SPREADS, Estimate
from scalefit.names import Key, read_name, split_names, spread_name
from scalefit.numbers import (
    bayes_factor,
    chance,
    exact,
    fixed,
    percent,
    percent_size,
    plus_minus,
    rounded,
    rounded_interval,
    short_number,
    to_digits,
)
from scalefit.plots.draws import pooled_by, pooled_in_logs
from scalefit.posterior.priors import Uniform
from scalefit.problem import rows_at
from scalefit.records import CONVERGED, NOT_CONVERGED
from scalefit.report.blocks import Block, align_decimals, align_errors, table
from scalefit.report.posterior_words import Hypothesis
from scalefit.report.sentences import words
from scalefit.report.tables import rows_shown, transpose
from scalefit.report.text import join, name_words
from scalefit.results import Fit, PosteriorFit
from scalefit.summary import estimate_text, interval_text
from scalefit.thresholds import DOUBTFUL_KHAT

__all__ = [
    "evidence_table",
    "held_out_table",
    "laws_table",
    "posterior_table",
    "posteriors_table",
    "priors_sentence",
    "sampling_table",
    "sources_table",
]

_FLOOR = "Uniform(0, lowest loss of its rows)"


def posterior_table(fit: Fit) -> Block:
    """Return the parameters of one posterior: mean, interval, prior and effective draws.

    Parameters
    ----------
    fit : Fit
        From :func:`scalefit.bayes`.

    Returns
    -------
    Block
        One row per parameter; a floor of two groups is omitted when there is more to show.
    """
    assert isinstance(fit, PosteriorFit)
    shown = rows_shown(fit)
    places = [fit.place(estimate.key) for estimate in shown]
    effective = [min(fit.posterior.ess_bulk[i], fit.posterior.ess_tail[i]) for i in places]
    columns = [
        [_name(fit, estimate) for estimate in shown],
        align_errors([estimate_text(estimate, alone=False) for estimate in shown]),
        [interval_text(estimate) for estimate in shown],
        [_prior(fit, estimate) for estimate in shown],
        [fixed(value, 0) for value in effective],
    ]
    header = ["", "mean ± sd", f"{percent(fit.uncertainty.level)} interval", "prior", "effective draws"]
    caption = f"The posterior of “{literal(fit.label)}”."
    if any(estimate.kind == "coefficient" for estimate in shown):
        caption += " The prior of a coefficient is on the size of its term at the centre of the data."
    return table(caption, header, transpose(columns), align="lrrlr")


def posteriors_table(fits: Mapping[str, Fit], parameters: Sequence[str], question: Hypothesis) -> Block:
    """Return several posteriors of one question, a row each, with the probability of the answer.

    Parameters
    ----------
    fits : mapping
        Posteriors by label, the main one first.
    parameters : sequence of str
        Columns; floor and exponents of the first fit when empty.
    question : Hypothesis
        The parameter in question; without a reference there is no probability.

    Returns
    -------
    Block
        Means with standard deviations; an empty cell where a fit has no such parameter or does not represent its
        posterior.
    """
    first = next(iter(fits.values()))
    chosen = list(map(read_name, parameters)) or [
        estimate.key
        for estimate in first.estimates
        if estimate.kind in ("floor", "exponent", "common") and not estimate.level
    ]
    columns = [list(fits), align_decimals([str(fit.n_rows) for fit in fits.values()])]
    for name in chosen:
        estimates = [fit.get(name) if _usable(fit) else None for fit in fits.values()]
        columns.append(align_decimals([plus_minus(x.value, x.se) if x else "" for x in estimates]))
    header = ["", "rows", *map(name_words, chosen)]
    caption = "The same question under other choices: means ± standard deviations"
    if question.region is not None:
        header.append(question.near)
        columns.append([_probability(label, fit, question) for label, fit in fits.items()])
        caption += f", and the probability that {name_words(question.names[0])} is {question.near}"
    return table(
        f"{caption}{_doubts(fits, '; ', '')}.", header, transpose(columns), align="l" + "r" * (len(header) - 1)
    )


def evidence_table(evidence: Evidence) -> Block:
    """Return the Bayes factor for fixed exponents under the prior of the fit and under others."""
    names = list(evidence.fixed)
    what = join([f"{name_words(key)} = {exact(value)}" for key, value in evidence.fixed.items()])
    means = [
        align_decimals([plus_minus(row.mean[i], row.sd[i]) for row in evidence.priors]) for i in range(len(names))
    ]  # fmt: skip
    columns = [
        [_spelled(row.prior) + (" (of the fit)" if row.own else "") for row in evidence.priors],
        *means,
        [bayes_factor(row.savage_dickey, row.savage_dickey_se) for row in evidence.priors],
        [bayes_factor(row.direct, row.direct_se) for row in evidence.priors],
    ]
    header = ["prior", *map(name_words, names), "Savage–Dickey", "ratio of evidences"]
    caption = (
        f"Bayes factor for {what} against a free exponent in “{literal(evidence.label)}”; below 1 the data are "
        "evidence against it. It depends on the prior even where the posterior hardly does. A dash: too few draws "
        "near the fixed value."
    )
    return table(caption, header, transpose(columns), align="l" + "r" * (len(header) - 1))


def laws_table(laws: Sequence[tuple[LawScore, CrossValidation]]) -> Block:
    """Return laws by the log predictive density of left-out rows or clusters."""
    rows = []
    for score, left_out in laws:
        behind = plus_minus(score.behind, score.behind_se) if score.behind else "best"
        refits = f"{len(left_out.refitted)}" + (f" (+{len(left_out.unsure)} impossible)" if left_out.unsure else "")
        worst = rounded(float(left_out.khat.max()), 0.1)
        rows.append([literal(score.label), plus_minus(score.elpd, score.se), behind, worst, refits])
    score, scored = laws[0]
    caption = (
        f"Laws by the log predictive density of each {words(scored.by)} given the others ({score.units}); "
        "refitted where k-hat is above 0.7."
    )
    header = ["law", "log score", "behind the best", "largest k-hat", "refits"]
    return table(caption, header, rows, align="lrrrr")


def held_out_table(scores: Sequence[HeldOut], split: Split) -> Block:
    """Return how well laws fitted to the other rows predict the held-out ones."""
    rows = []
    for score in scores:
        inside = percent(score.coverage, 0)
        bayes = ["", ""] if math.isnan(score.elpd) else [fixed(score.elpd, 1), inside]
        rows.append(
            [
                literal(score.label),
                str(score.trained),
                str(score.held),
                percent_size(score.rmse),
                percent_size(score.bias, sign=True),
                *bayes,
            ]
        )
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[3:6] = [align_decimals(column) for column in columns[3:6]]
    header = ["law", "rows fitted", "predicted", "rms error", "bias", "log score", f"in {percent(LEVEL)} interval"]
    caption = f"Extrapolation: fitted to the other runs, predicting those with {_split_words(split)}."
    return table(caption, header, transpose(columns), align="l" + "r" * 6)


def _split_words(split: Split) -> str:
    """Write which rows are held out: ``parameters ≥ 2B``, or the condition as it was given."""
    if not split.column:
        return literal(split.words)
    return f"{words(split.column)} ≥ {short_number(to_digits(split.limit, 4))}"


def sources_table(comparison: Comparison, measured: Mapping[str, str]) -> Block:
    """Return the value of one parameter in each source, and what its uncertainty means.

    Parameters
    ----------
    comparison : Comparison
        The sources.
    measured : mapping
        What the parameter measures there, by the label of the fit.

    Returns
    -------
    Block
        One row per source.
    """
    shown = comparison.sources
    columns = [
        [literal(source.label) for source in shown],
        [measured.get(source.origin) or measured.get(source.label, "") for source in shown],
        [_kind(source) for source in shown],
        align_decimals([plus_minus(source.estimate.value, source.estimate.se) for source in shown]),
        [rounded_interval(source.estimate.lo, source.estimate.hi, source.estimate.se) for source in shown],
    ]
    level = percent(shown[0].estimate.probability)
    header = ["source", "what it measures", "kind", "value", f"{level} interval"]
    question = Hypothesis((comparison.parameter,), comparison.reference, comparison.region)
    letters = " or ".join(f"${name}$" for name in split_names(comparison.parameter))
    caption = f"The value of {letters} in each source."
    if comparison.region is not None:
        header.append(question.near)
        columns.append([chance(source.estimate.inside(comparison.region)) for source in shown])
        meanings = {source.estimate.spread: SPREADS[source.estimate.spread] for source in shown}
        meanings_text = "; ".join(f"{kind}: {meaning}" for kind, meaning in meanings.items())
        caption += f" The last column, by kind of source: {meanings_text}."
    return table(caption, header, transpose(columns), align="lll" + "r" * (len(header) - 3))


def sampling_table(fits: Mapping[str, Fit]) -> Block:
    """Return how each posterior was sampled and how good its draws are."""
    rows = []
    for label, fit in fits.items():
        assert isinstance(fit, PosteriorFit)
        posterior = fit.posterior
        worst_rhat = "" if np.isnan(posterior.r_hat).all() else fixed(float(np.nanmax(posterior.r_hat)), 4)
        khat = "" if posterior.khat is None else fixed(posterior.khat, 2)
        evidence = ""
        if posterior.log_evidence is not None and _usable(fit):
            evidence = fixed(posterior.log_evidence, 2)
        path = "importance" if posterior.path == "fast" else "NUTS"
        least = min(posterior.ess_bulk.min(), posterior.ess_tail.min())
        diverged = "" if posterior.divergences is None else str(posterior.divergences)
        rows.append([label, _errors(fit), path, fixed(least, 0), khat, worst_rhat, diverged, evidence])
    header = ["posterior", "residuals", "sampled by", "effective", "k-hat", "R-hat", "diverged", "log evidence"]
    columns = [list(column) for column in zip(*rows, strict=True)]
    kept = [i for i, column in enumerate(columns) if any(column)]
    columns[7] = align_decimals(columns[7])
    caption = (
        "How each posterior was sampled. Effective: the fewest draws of any parameter, for its mean or its interval, "
        "counted before weighted ones (importance sampling) are thinned to one in five."
    )
    caption += _doubts(fits, " ", ".")
    tails = [f"“{label}”" for label, fit in fits.items() if any(one.code == "doubtful_khat" for one in fit.findings)]
    if tails:
        caption += f" Above {DOUBTFUL_KHAT}, the k-hat of {join(tails)} leaves spreads in doubt: tails may be missing."
    align = "lll" + "r" * 5
    return table(
        caption, [header[i] for i in kept], transpose([columns[i] for i in kept]), align="".join(align[i] for i in kept)
    )


def priors_sentence(fits: Mapping[str, Fit]) -> str:
    """Write every prior of every posterior, equal ones together."""
    own = {label: _priors_of(fit) for label, fit in fits.items()}
    users: dict[tuple[str, str], list[str]] = {}
    for label, priors in own.items():
        for name, prior in priors.items():
            users.setdefault((name, prior), []).append(label)
    pooled = {
        spread_name(parameter.coef.name): parameter.coef.name for fit in fits.values() for parameter in fit.parameters
    }
    rows: dict[tuple[str, str], list[str]] = {}
    for (name, prior), labels in users.items():
        everyone = labels == [label for label, priors in own.items() if name in priors]
        who = "all that have it" if everyone else join([f"“{label}”" for label in labels])
        rows.setdefault((prior, who), []).append(f"sd(${pooled[name]}$)" if name in pooled else f"${name}$")
    common = "all that have it"
    parts = [
        f"{_spelled(prior)} for {join(names)}{'' if who == common else f' in {who}'}"
        for (prior, who), names in rows.items()
    ]
    return (
        f"**Priors.** {'; '.join(parts)}. That of a coefficient is on the size of its term at the geometric mean of "
        "its column, which does not depend on the units."
    )


def _priors_of(fit: Fit) -> dict[str, str]:
    """Return priors by name, those of levels together; that of a floor in words where it is the default."""
    assert isinstance(fit, PosteriorFit)
    priors = dict(fit.posterior.priors)
    levels: dict[str, list[str]] = {}
    for i, parameter in enumerate(fit.parameters):
        prior = priors.get(parameter.key, priors.get((parameter.coef.name, ())))
        if prior is None or _in_common(fit, parameter.key):
            continue
        default = parameter.kind == "floor" and prior == _default_floor(fit, i)
        levels.setdefault(parameter.coef.name, []).append(_FLOOR if default else prior)
    return {name: "; ".join(dict.fromkeys(own)) for name, own in levels.items()}


def _name(fit: Fit, estimate: Estimate) -> str:
    """Write a parameter as a symbol with its role where that is needed."""
    if estimate.kind == "common":
        return f"common ${estimate.coefficient}$"
    if estimate.kind == "spread":
        pooled = pooled_by(fit, estimate.coefficient)
        return f"sd of {'ln ' if pooled_in_logs(fit, pooled) else ''}${pooled}$"
    return name_words(estimate.key)


def _prior(fit: Fit, estimate: Estimate) -> str:
    if _in_common(fit, estimate.key):
        return "common distribution"
    assert isinstance(fit, PosteriorFit)
    priors = dict(fit.posterior.priors)
    return _spelled(priors.get(estimate.key, priors.get((estimate.coefficient, ()), "")))


def _in_common(fit: Fit, key: Key) -> bool:
    """Whether a parameter is a level that comes from a common distribution, and has no separate prior."""
    assert isinstance(fit, PosteriorFit)
    coefficient, level = key
    return bool(level) and dict(fit.posterior.pool).get(coefficient) == "partial"


def _spelled(prior: str) -> str:
    return prior.replace("inf", "∞").replace("-", "−")


def _errors(fit: Fit) -> str:
    kind = "Student’s t" if fit.objective.loss == "student_t" else "normal"
    return kind if fit.selection.cluster is None else f"{kind}, shift by {words(fit.selection.cluster)}"


def _doubts(fits: Mapping[str, Fit], before: str, after: str) -> str:
    """Name the fits that have no full answer, and why; empty when all have one."""
    doubtful = [f"“{label}” is {fit.status}" for label, fit in fits.items() if fit.status != CONVERGED]
    return f"{before}{join(doubtful)}{after}" if doubtful else ""


def _usable(fit: Fit) -> bool:
    return fit.status != NOT_CONVERGED


def _probability(label: str, fit: Fit, question: Hypothesis) -> str:
    """Probability of the region; the status where there is none, and nothing where the law lacks the parameter."""
    if not _usable(fit):
        return fit.status
    known = {parameter.key for parameter in fit.parameters} | {
        (parameter.coef.name, ()) for parameter in fit.parameters
    }
    if not known & set(map(read_name, question.names)) or question.region is None:
        return ""
    sources = compared_of(fit, question.names, label)
    return chance(sources[0].estimate.inside(question.region)) if len(sources) == 1 else ""


def _kind(source: Compared) -> str:
    return (
        source.estimate.spread
        if source.status in (CONVERGED, "printed")
        else f"{source.estimate.spread}, {source.status}"
    )


def _default_floor(fit: Fit, i: int) -> str:
    """Return the default prior of a floor, which ends at the lowest loss of its rows."""
    parameter = fit.parameters[i]
    rows = fit.rows[rows_at(fit.rows, parameter.coef.groups, parameter.level)]
    return str(Uniform(0.0, float(rows[fit.law.response].min())))
