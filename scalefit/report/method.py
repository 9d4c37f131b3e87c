"""The last section of a report: the sources of data and numbers, and how to repeat them."""

from __future__ import annotations

from collections.abc import Mapping

from scalefit.data.where import parse_where
from scalefit.escape import literal
from scalefit.law.general import parse_law
from scalefit.numbers import exact, fixed, percent
from scalefit.report.blocks import Block, heading, note, paragraph, references
from scalefit.report.posterior_tables import priors_sentence, sampling_table
from scalefit.report.provenance import data_files, versions
from scalefit.report.resolve import resolved_hash
from scalefit.report.results import Results
from scalefit.report.sentences import words
from scalefit.report.spec import ClaimsSection
from scalefit.report.study import Study
from scalefit.report.tables import files_blocks
from scalefit.report.text import join
from scalefit.results import Fit, PosteriorFit
from scalefit.robustness import Sensitivity
from scalefit.thresholds import GOOD_DRAWS

__all__ = ["method_blocks"]


def method_blocks(study: Study, results: Results) -> list[Block]:
    """Write data and method.

    Parameters
    ----------
    study : Study
        The study.
    results : Results
        Its fits and their labels.

    Returns
    -------
    list of Block
        Methods, hashes of the tables, how posteriors were sampled, priors, optima, commands.
    """
    named = results.by_label(spec.name for spec in study.fit)
    squares = {label: fit for label, fit in named.items() if not isinstance(fit, PosteriorFit)}
    posteriors = {label: fit for label, fit in named.items() if isinstance(fit, PosteriorFit)}
    seeds = join(sorted({str(fit.seed) for fit in named.values()}))
    sampled = {fit.posterior.path for fit in posteriors.values() if isinstance(fit, PosteriorFit)}
    packages = ("pymc", "nutpie", "arviz") if "full" in sampled else ()
    made = f"Seed {seeds}. Computed with {versions(*packages)}. "
    made += "Next to this file are the study with every default and the command of each fit and step (its sha256 is "
    made += f"{resolved_hash(study)}), and the numbers of every fit, optima with ten digits, to check another solver."
    paragraphs = [_least_squares(squares)] if squares else []
    paragraphs += [_posteriors(posteriors)] if posteriors else []
    paragraphs[-1] = [*paragraphs[-1], made]
    counted = _comparisons(study, results)
    rows = [_derived(study), _selected(study), counted, _doubtful(posteriors)]
    written = [sentences for sentences in [*paragraphs, rows] if any(sentences)]
    blocks = [heading("Data and method")]
    if study.method == "short":  # in small type, so that it does not need a page
        blocks.append(note(*(sentence for sentences in written for sentence in sentences)))
    else:
        blocks += [paragraph(*sentences) for sentences in written]
    read = {spec.data: results.fits[spec.name].source.rows_read for spec in study.fit}
    blocks += files_blocks(data_files(study), read)
    if study.method == "short":
        return blocks
    if posteriors:
        blocks += [sampling_table(posteriors), paragraph(priors_sentence(posteriors))]
    if study.reference:
        blocks.append(references([f"{literal(reference.text)} {reference.link}." for reference in study.reference]))
    return blocks


def _derived(study: Study) -> str:
    """Name the columns of laws that were computed from other columns, whose errors they share."""
    columns = {(spec.data, name) for spec in study.fit for name in parse_law(spec.law).variables}
    shipped = [
        f"in {literal(file.name.replace('_', ' '))} {words(name)} are {formula}"
        for file in data_files(study) for name, formula in file.derived if (file.name, name) in columns
    ]  # fmt: skip
    own = {name for spec in study.fit for name in spec.selection.derive if name in parse_law(spec.law).variables}
    computed = [*shipped, *(f"{words(name)} are computed where the table has none" for name in sorted(own))]
    if not computed:
        return ""
    return f"Some columns are not measured: {join(computed)}. An error of what they are computed from is theirs, too."


def _selected(study: Study) -> str:
    """Say which fits choose their rows by the response, which biases what is fitted to them."""
    dropping = [spec.selection.drop_highest_loss for spec in study.fit if spec.selection.drop_highest_loss]
    by_response = [
        spec for spec in study.fit
        if spec.selection.where and parse_law(spec.law).response in parse_where(spec.selection.where).columns
    ]  # fmt: skip
    if not dropping and not by_response:
        return ""
    counts = " or ".join(exact(count) for count in sorted(set(dropping)))
    every = exact(len(study.fit))
    parts = [f"{exact(len(dropping))} of {every} fits drop the {counts} highest losses"] if dropping else []
    parts += [f"{exact(len(by_response))} of {every} have a condition on the response"] if by_response else []
    return (
        f"Rows are selected by the response: {join(parts)}. Such a cut also omits runs that lie above the law by "
        "chance, and lowers the curve where it cuts."
    )


def _comparisons(study: Study, results: Results) -> str:
    """Count what the report compares, because no interval is corrected for it; empty where it compares little."""
    claims = sum(len(section.claims) for section in study.section if isinstance(section, ClaimsSection))
    choices = sum(len(step.answers) - 1 for step in results.steps.values() if isinstance(step, Sensitivity))
    parts = [f"{exact(claims)} printed numbers"] if claims else []
    parts += [f"{exact(choices)} variants of one analysis"] if choices else []
    if not parts:
        return ""
    return (
        f"The report has {exact(len(study.fit))} fits and compares {join(parts)}. No interval is corrected for their "
        "number: of twenty independent 95% intervals one misses on average."
    )


def _doubtful(posteriors: Mapping[str, Fit]) -> str:
    """Name the posteriors with few effective draws or with divergences."""
    few, diverged = [], []
    for label, fit in posteriors.items():
        assert isinstance(fit, PosteriorFit)
        least = min(fit.posterior.ess_bulk.min(), fit.posterior.ess_tail.min())
        if least < GOOD_DRAWS:
            few.append(f"{fixed(least, 0)} (“{label}”)")
        if fit.posterior.divergences:
            diverged.append(f"{exact(fit.posterior.divergences)} (“{label}”)")
    sentences = []
    if few:
        sentences.append(
            f"Effective draws are below {exact(GOOD_DRAWS)} for some parameter: {join(few)}; the ends of its interval "
            "are known to fewer digits."
        )
    if diverged:
        sentences.append(f"NUTS diverged in some draws: {join(diverged)}; regions of strong curvature may be missing.")
    return " ".join(sentences)


def _least_squares(fits: Mapping[str, Fit]) -> list[str]:
    level = percent(next(iter(fits.values())).uncertainty.level)
    general = [not fit.law.terms for fit in fits.values()]
    powers = (
        "Every least-squares fit" + (" of a sum of power terms" if any(general) else "") + " minimises its objective "
        "globally: a grid of exponents, each cell solved exactly for floor and coefficients, then damped Newton steps "
        "from the best cells until the predicted gain vanishes."
    )
    others = (
        "A law of another form is fitted from many starts, with linear parameters solved exactly and exact "
        "derivatives; nothing certifies its optimum."
    )
    return [
        *([] if all(general) else [powers]),
        *([others] if any(general) else []),
        f"Intervals are {level} percentile intervals of refits to resampled rows, or to resampled clusters where a "
        "cluster is named; a bootstrap distribution is not a posterior.",
    ]


def _posteriors(fits: Mapping[str, Fit]) -> list[str]:
    level = percent(next(iter(fits.values())).uncertainty.level)
    sentences = [
        "Every posterior is of the model ln\u00a0loss = ln\u00a0law + shift of the cluster, where rows have one, + "
        "scatter, with normal or Student’s t scatter. It is sampled by importance sampling: a multivariate t, adapted "
        "in steps in coordinates in which the posterior is nearly round, whose draws are weighted. Pareto k-hat of the "
        "weights must stay below 0.7.",
    ]
    if any(isinstance(fit, PosteriorFit) and fit.posterior.path == "full" for fit in fits.values()):
        sentences.append("Where it does not, four chains of NUTS sample the same density; R-hat must stay below 1.01.")
    sentences.append(
        f"Intervals are {level} central intervals. Bayes factors depend on the prior and are given for several priors."
    )
    return sentences
