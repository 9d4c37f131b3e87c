"""The last section of a report: the sources of data and numbers, and how to repeat them."""

from __future__ import annotations

from collections.abc import Mapping

from scalefit.law.general import GeneralLaw
from scalefit.numbers import percent
from scalefit.report.blocks import Block, heading, paragraph
from scalefit.report.posterior_tables import priors_table, sampling_table
from scalefit.report.provenance import data_files, versions
from scalefit.report.resolve import resolved_hash
from scalefit.report.results import Results
from scalefit.report.study import Study
from scalefit.report.tables import files_table, optima_table
from scalefit.report.text import join
from scalefit.results import Fit, PosteriorFit

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
    named = results.by_label(one.name for one in study.fit)
    squares = {label: fit for label, fit in named.items() if not isinstance(fit, PosteriorFit)}
    posteriors = {label: fit for label, fit in named.items() if isinstance(fit, PosteriorFit)}
    seeds = join(sorted({str(fit.seed) for fit in named.values()}))
    sampled = {fit.posterior.path for fit in posteriors.values() if isinstance(fit, PosteriorFit)}
    packages = ("pymc", "nutpie", "arviz") if "full" in sampled else ()
    made = f"Seed {seeds}. Computed with {versions(*packages)}. "
    made += "The study with every default, and with the command of each fit and step, is next to this file; its sha256 "
    made += f"is {resolved_hash(study)}."
    paragraphs = [_least_squares(squares)] if squares else []
    paragraphs += [_posteriors(posteriors)] if posteriors else []
    paragraphs[-1] = [*paragraphs[-1], made]
    blocks = [heading("Data and method"), *(paragraph(*one) for one in paragraphs), files_table(data_files(study))]
    if study.method == "short":
        return blocks
    if posteriors:
        blocks += [sampling_table(posteriors), priors_table(posteriors)]
    if squares:
        blocks.append(optima_table(squares))
    return blocks


def _least_squares(fits: Mapping[str, Fit]) -> list[str]:
    level = percent(next(iter(fits.values())).uncertainty.level)
    general = [isinstance(fit.law, GeneralLaw) for fit in fits.values()]
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
        "Every posterior is of the model ln\u00a0loss = ln\u00a0law + shift of the cluster + scatter, with normal or "
        "Student’s t scatter. It is sampled by importance sampling: a multivariate t, adapted in steps in coordinates "
        "in which the posterior is nearly round, whose draws are weighted. Pareto k-hat of the weights must stay below "
        "0.7.",
    ]
    if any(isinstance(fit, PosteriorFit) and fit.posterior.path == "full" for fit in fits.values()):
        sentences.append("Where it does not, four chains of NUTS sample the same density; R-hat must stay below 1.01.")
    sentences.append(
        f"Intervals are {level} central intervals. Bayes factors depend on the prior and are given for several priors."
    )
    return sentences
