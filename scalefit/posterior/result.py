"""From draws to a result: means, intervals, correlations, and what limits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.estimate import estimate_columns
from scalefit.files import plain_json
from scalefit.misfit import repeats_message, repeats_of
from scalefit.names import Key, printed_name
from scalefit.numbers import counted, exact, fixed, percent, rounded
from scalefit.posterior.defaults import COMMON
from scalefit.posterior.density import Density
from scalefit.posterior.importance import Weighted, pareto_khat, resample
from scalefit.posterior.nuts import Chains
from scalefit.problem import Parameter
from scalefit.records import NOT_CONVERGED, NOT_IDENTIFIED, Finding, Posterior, Uncertainty
from scalefit.results import PosteriorFit
from scalefit.thresholds import (
    AT_BOUND,
    DOUBTFUL_END,
    DOUBTFUL_KHAT,
    DOUBTFUL_SPREAD,
    FEW_SHIFTS,
    GOOD_DRAWS,
    GOOD_ENERGY,
    GOOD_KHAT,
    GOOD_RHAT,
    MANY_DIVERGENCES,
    PRIOR_LED,
    PRIOR_ONLY,
    PRIOR_TAIL,
    TRADE_OFF,
)
from scalefit.verdicts import Name, Part, listed

__all__ = ["Sampled", "find_limits", "from_chains", "from_weights", "posterior_record"]

Array = NDArray[np.float64]

TAIL = (0.05, 0.95)  # quantiles of the tail effective sample size (Vehtari et al. 2021)
SEVERITIES = (NOT_CONVERGED, NOT_IDENTIFIED, "warning", "note")


class Sampled(NamedTuple):
    """Draws of a posterior, summarised.

    Parameters
    ----------
    mean : array, shape (d,)
        Posterior mean; coefficients as logs.
    spread : Uncertainty
        Standard deviations, intervals, covariance, equally weighted draws.
    posterior : Posterior
        Diagnostics of the draws; ``priors`` and ``pool`` are still empty.
    findings : tuple of Finding
        Problems of the draws.
    """

    mean: Array
    spread: Uncertainty
    posterior: Posterior
    findings: tuple[Finding, ...]


def from_weights(density: Density, weighted: Weighted, *, draws: int, level: float, seed: int) -> Sampled:
    """Summarise weighted draws, and turn them into equally weighted ones.

    Parameters
    ----------
    density : Density
        The posterior.
    weighted : Weighted
        From importance sampling.
    draws : int
        Equally weighted draws to keep.
    level : float
        Probability of the intervals.
    seed : int
        Seed of the resampling.

    Returns
    -------
    Sampled
        The summary, computed with the weights.
    """
    natural, weight = density.natural(weighted.x), weighted.weight
    mean = weight @ natural
    gap = natural - mean
    covariance = (gap * weight[:, None]).T @ gap
    ends = _weighted_quantiles(natural, weight, ((1 - level) / 2, (1 + level) / 2, *TAIL))
    squares = weight**2
    bulk = (weight @ gap**2) / np.maximum(squares @ gap**2, 1e-300)
    tails = [
        p * (1 - p) / np.maximum(squares @ ((natural <= end) - p) ** 2, 1e-300)
        for p, end in zip(TAIL, ends[2:], strict=True)
    ]
    kept = natural[resample(weight, draws, seed)]
    roughly = " roughly" if weighted.khat > DOUBTFUL_KHAT else ""
    verdict = (
        f"Importance sampling represents the posterior{roughly}: effective draws {fixed(weighted.ess, 0)} of "
        f"{exact(len(weight))}, k-hat {fixed(weighted.khat, 2)}."
    )
    spread = Uncertainty(
        f"posterior by importance sampling, {exact(len(weight))} weighted draws", level, np.sqrt(np.diag(covariance)),
        ends[0], ends[1], covariance, np.zeros(len(mean)), kept,
    )  # fmt: skip
    posterior = Posterior(
        "fast", verdict, (), (), bulk, np.minimum(*tails), np.full(len(mean), np.nan), weighted.khat,
        weighted.log_evidence, weighted.log_evidence_se,
    )  # fmt: skip
    names = [Name(parameter.key) for parameter in density.parameters]
    return Sampled(mean, spread, posterior, (*_weight_findings(weighted), *_spread_findings(names, gap, weighted)))


def _weight_findings(weighted: Weighted) -> tuple[Finding, ...]:
    """Return findings from k-hat and the effective draws."""
    khat, ess = weighted.khat, weighted.ess
    effective = f"{fixed(ess, 0)} of {exact(len(weighted.weight))} draws"
    if not khat <= GOOD_KHAT:
        bad = (
            f"Importance sampling cannot represent this posterior: Pareto k-hat is {fixed(khat, 2)}, above "
            f"{GOOD_KHAT}, and {effective} are effective. Use path='full' (--path full)."
        )
        return (Finding.of("khat", NOT_CONVERGED, bad, threshold=GOOD_KHAT, khat=khat),)
    findings = []
    if khat > DOUBTFUL_KHAT:
        doubtful = (
            f"The draws may miss a part of the posterior's tails: Pareto k-hat is {fixed(khat, 2)}, above "
            f"{DOUBTFUL_KHAT}. Where k-hat was such, standard deviations have been up to {percent(DOUBTFUL_SPREAD, 0)} "
            f"off and ends of 90% intervals up to {DOUBTFUL_END} standard deviations. Use path='full' (--path full)."
        )
        findings.append(
            Finding.of(
                "doubtful_khat", "warning", doubtful, threshold=DOUBTFUL_KHAT, khat=khat, spread=DOUBTFUL_SPREAD,
                end=DOUBTFUL_END,
            )
        )  # fmt: skip
    if ess < GOOD_DRAWS:
        few = f"Only {effective} are effective; use more, or path='full' (--path full)."
        findings.append(Finding.of("few_draws", "warning", few, threshold=GOOD_DRAWS, effective=ess))
    return tuple(findings)


def _spread_findings(names: Sequence[Name], gap: Array, weighted: Weighted) -> tuple[Finding, ...]:
    """Return a finding on parameters whose variance is that of few draws, though averages are sound.

    The tail of weight times squared distance, the part of a draw in the variance, has a Pareto shape as the tail of the
    weights has (Vehtari et al. 2024, section 2.4); ``gap`` is the distance from the mean, shape (R, d).
    """
    if not weighted.khat <= GOOD_KHAT:
        return ()
    part = weighted.weight[:, None] * gap**2
    largest = part.max(axis=0) / np.maximum(part.sum(axis=0), 1e-300)
    shape = np.zeros(len(names))
    # Of n draws with a tail of shape k the largest is about n^(k - 1) of all; the others need not be looked at.
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in np.flatnonzero(largest > len(part) ** -0.5):
            shape[i] = pareto_khat(np.log(part[:, i]))
    heavy = np.flatnonzero((shape > GOOD_KHAT) & np.isfinite(shape)).tolist()
    if not heavy:
        return ()
    text = (
        f" rests on few draws far from the mean (k-hat of their squares {fixed(shape[heavy].max(), 2)}, above "
        f"{GOOD_KHAT}) and may be too small. Read the interval."
    )
    lead = "The standard deviation of "
    found = Finding.of(
        "heavy_spread", "warning", lead, listed([names[i] for i in heavy]), text, threshold=GOOD_KHAT,
        khat=shape[heavy],
    )  # fmt: skip
    return (found,)


def from_chains(density: Density, chains: Chains, *, level: float) -> Sampled:
    """Summarise the chains of NUTS.

    Parameters
    ----------
    density : Density
        The posterior.
    chains : Chains
        From :func:`scalefit.posterior.nuts.sample_by_nuts`.
    level : float
        Probability of the intervals.

    Returns
    -------
    Sampled
        The summary; findings name what disagrees.
    """
    natural = density.natural(chains.x.reshape(-1, chains.x.shape[-1]))
    mean, covariance = natural.mean(axis=0), np.cov(natural, rowvar=False)
    lo, hi = np.quantile(natural, [(1 - level) / 2, (1 + level) / 2], axis=0)
    number, each = chains.x.shape[:2]
    spread = Uncertainty(
        f"posterior by NUTS ({chains.sampler}), {number} chains of {each} draws", level, np.sqrt(np.diag(covariance)),
        lo, hi, covariance, np.zeros(len(mean)), natural,
    )  # fmt: skip
    diverged = counted(chains.divergences, "divergence") if chains.divergences else "no divergences"
    good = (
        f"The chains of NUTS agree: R-hat at most {fixed(chains.r_hat.max(), 4)}, effective draws at least "
        f"{fixed(min(chains.ess_bulk.min(), chains.ess_tail.min()), 0)} of {len(natural)}, {diverged}."
    )
    posterior = Posterior(
        "full", good, (), (), chains.ess_bulk, chains.ess_tail, chains.r_hat, divergences=chains.divergences,
        netcdf=chains.netcdf,
    )  # fmt: skip
    return Sampled(
        mean, spread, posterior, _chain_findings([Name(parameter.key) for parameter in density.parameters], chains)
    )


def _moving_with(x: Array, worst: int) -> list[int]:
    """Return the coordinates that follow one of them in the draws, in their order: a ridge of the posterior."""
    draws = x.reshape(-1, x.shape[-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.atleast_2d(np.corrcoef(draws, rowvar=False))[worst]
    return [i for i, share in enumerate(correlation) if i != worst and abs(share) >= TRADE_OFF]


def _chain_findings(names: Sequence[Name], chains: Chains) -> tuple[Finding, ...]:
    """Return findings from R-hat, effective draws, divergences and energy."""
    findings = []
    worst = int(np.argmax(chains.r_hat))
    if not chains.r_hat[worst] <= GOOD_RHAT:
        text = f": R-hat is {fixed(chains.r_hat[worst], 3)}, above {GOOD_RHAT}"
        reason: tuple[Part, ...] = ("; use more draws, or a law with fewer parameters.",)
        along = _moving_with(chains.x[..., : len(names)], worst)
        if along:
            reason = (
                ". In the draws it moves together with ", listed([names[i] for i in along]),
                f" (correlations of {TRADE_OFF} or more): the data leave a combination of them open. Give one of them "
                "a narrower prior or fix it, or use more draws.",
            )  # fmt: skip
        findings.append(
            Finding.of(
                "r_hat", NOT_CONVERGED, "The chains disagree about ", names[worst], text, *reason,
                threshold=GOOD_RHAT, r_hat=chains.r_hat[worst],
            )
        )  # fmt: skip
    number, each = chains.x.shape[:2]
    if chains.divergences:
        share = chains.divergences / (number * each)
        severity = NOT_CONVERGED if share > MANY_DIVERGENCES else "warning"
        text = (
            f"{chains.divergences} of {exact(number * each)} draws diverged: the posterior has a corner that NUTS may "
            "miss."
        )
        findings.append(Finding.of("divergences", severity, text, threshold=MANY_DIVERGENCES, share=share))
    least = np.minimum(chains.ess_bulk, chains.ess_tail)
    if least.min() < GOOD_DRAWS:
        parts = (
            f"Only {fixed(least.min(), 0)} draws of ",
            names[int(np.argmin(least))],
            " are effective; use more draws.",
        )
        findings.append(Finding.of("few_draws", "warning", *parts, threshold=GOOD_DRAWS, effective=least.min()))
    if chains.energy < GOOD_ENERGY:
        text = (
            f"The energy of the chains moves slowly (E-BFMI {fixed(chains.energy, 2)}, below {GOOD_ENERGY}): "
            "tails may be missed."
        )
        findings.append(Finding.of("energy", "warning", text, threshold=GOOD_ENERGY, energy=chains.energy))
    if chains.interrupted:
        text = f"Sampling was interrupted after {each} of {chains.requested} draws per chain; the result uses these."
        findings.append(Finding.of("interrupted", NOT_CONVERGED, text, draws=each, requested=chains.requested))
    return tuple(findings)


def find_limits(
    density: Density, sampled: Sampled, frame: pd.DataFrame, residuals: Array, cluster: str | None
) -> tuple[Finding, ...]:
    """Return the problems of the draws, and what limits the posterior even if it is sampled well.

    Parameters
    ----------
    density : Density
        The posterior.
    sampled : Sampled
        Its draws.
    frame : DataFrame, shape (n, p)
        The rows used, with all columns of the table.
    residuals : array, shape (n,)
        Log residuals of the least-squares optimum, in the order of the frame.
    cluster : str or None
        The column of clusters.

    Returns
    -------
    tuple of Finding
        Most severe first: active bounds of priors, dominating priors, parameters that trade off.
    """
    problem, spread = density.problem, sampled.spread
    values = density.prior_values(spread.draws if spread.draws is not None else sampled.mean[None])
    findings = [
        found
        for i in range(len(density.parameters))
        for found in _against_prior(density, i, values[:, i], spread.level)
    ]
    findings += [*_not_finite(density, sampled), *_repeats(density, frame, residuals, cluster)]
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = spread.covariance / np.outer(spread.se, spread.se)
    exponents = [i for i, parameter in enumerate(problem.parameters) if parameter.kind == "exponent"]
    for i, j in combinations(exponents, 2):
        if abs(correlation[i, j]) > TRADE_OFF:
            both = listed([Name(problem.parameters[place].key) for place in (i, j)])
            text = f" trade off (correlation {fixed(correlation[i, j], 2)})."
            trade_off = Finding.of(
                "exponents_trade_off", "warning", both, text, threshold=TRADE_OFF, correlation=correlation[i, j]
            )
            findings.append(trade_off)
    if density.blocks.shifted and problem.n_cluster < FEW_SHIFTS:
        text = f"There are only {exact(problem.n_cluster)} clusters, which hardly determine the size of their shifts."
        findings.append(Finding.of("few_clusters", "warning", text, threshold=FEW_SHIFTS, clusters=problem.n_cluster))
    if np.any(problem.weight != 1):
        text = "A row of weight w counts as w identical rows: weights change the width of the posterior."
        findings.append(Finding.of("weights", "note", text))
    findings += [*sampled.findings, *(Finding.of("collinear_columns", "warning", text) for text in problem.remarks)]
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def _not_finite(density: Density, sampled: Sampled) -> list[Finding]:
    """Return a finding on means or intervals that are not finite."""
    spread = sampled.spread
    bad: NDArray[np.bool_] = np.logical_not(np.isfinite([sampled.mean, spread.se, spread.lo, spread.hi]).all(axis=0))
    if not bad.any():
        return []
    chosen = listed(
        [Name(parameter.key) for parameter, is_bad in zip(density.parameters, bad, strict=True) if is_bad], last=", "
    )
    text = " is not finite: neither data nor prior bound it. Give it a narrower prior (--prior)."
    return [Finding.of("not_finite", NOT_IDENTIFIED, "The mean or interval of ", chosen, text)]


def _repeats(density: Density, frame: pd.DataFrame, residuals: Array, cluster: str | None) -> list[Finding]:
    problem = density.problem
    repeats = repeats_of(
        problem.law, frame, residuals, parameters=len(problem.parameters), log_space=True, leave_out=cluster
    )  # fmt: skip
    if repeats is None:
        return []
    text = repeats_message(problem.law, frame, repeats, log_space=True)
    return [Finding.of("repeats_differ", "warning", text, rows=repeats.rows, gap=repeats.gap, scatter=repeats.rest)]


def _against_prior(density: Density, i: int, values: Array, level: float) -> list[Finding]:
    """Compare one parameter's posterior with its prior."""
    parameter = density.parameters[i]
    prior = density.priors.get(parameter.key)
    if prior is None:
        return []
    name, findings, sd = Name(parameter.key), [], float(values.std())
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    if _is_floor(parameter) and prior.support[0] == 0 and low < AT_BOUND * sd:
        limit = f" as an upper limit, {rounded(float(high), sd)} at {percent((1 + level) / 2, 1)}."
        parts = (" piles up at 0: these data do not identify a floor. Read ", name, limit)
        findings.append(Finding.of("floor_at_zero", NOT_IDENTIFIED, "The posterior of ", name, *parts))
    elif _pressed(parameter, float(low), float(high), prior.support, sd):
        text = f" presses against a bound of its prior {prior}, which decides it."
        findings.append(Finding.of("prior_bound", "warning", "The posterior of ", name, text))
    if parameter.kind == "scale":
        return findings + _surprise(parameter, prior, float(values.mean()))
    ratio = sd / prior.sd if prior.sd > 0 else 0.0
    if ratio > PRIOR_ONLY and parameter.kind != COMMON:
        text = f" is as wide as its prior {prior}: the data are not informative about it."
        findings.append(
            Finding.of("prior_only", NOT_IDENTIFIED, "The posterior of ", name, text, threshold=PRIOR_ONLY, ratio=ratio)
        )
    elif ratio > PRIOR_LED:
        text = f" depends on its prior {prior}: its width is {percent(ratio, 0)} of the prior's."
        findings.append(
            Finding.of("prior_led", "warning", "The posterior of ", name, text, threshold=PRIOR_LED, ratio=ratio)
        )
    return findings + _surprise(parameter, prior, float(values.mean()))


def _is_floor(parameter: Parameter) -> bool:
    """Whether a parameter is a limit of the response, or one that a law of any form holds as itself."""
    return parameter.kind in ("floor", "real")


def _pressed(parameter: Parameter, low: float, high: float, support: tuple[float, float], sd: float) -> bool:
    """Whether an end of the interval is at a bound that is set by the prior and not by the sign of the parameter."""
    below = support[0] > 0 and low - support[0] < AT_BOUND * sd
    above = not _is_floor(parameter) and support[1] - high < AT_BOUND * sd
    return below or above


def _surprise(parameter: Parameter, prior: Any, value: float) -> list[Finding]:
    """Warn when the prior density at the posterior mean is below that at its 0.1% quantiles."""
    ends = prior.log_density(prior.quantile(np.array([PRIOR_TAIL, 1 - PRIOR_TAIL])))
    if prior.log_density(value) < ends.min() - 1e-9:
        text = f": the posterior mean {rounded(value)} is in the far tail of {prior}."
        lead = "Prior and data disagree about "
        return [
            Finding.of("prior_conflict", "warning", lead, Name(parameter.key), text, threshold=PRIOR_TAIL, value=value)
        ]
    return []


def _weighted_quantiles(values: Array, weight: Array, probabilities: tuple[float, ...]) -> list[Array]:
    order = np.argsort(values, axis=0)
    total = np.cumsum(weight[order], axis=0) - 0.5 * weight[order]
    columns = range(values.shape[1])
    return [np.array([np.interp(p, total[:, j], values[order[:, j], j]) for j in columns]) for p in probabilities]


def with_choices(posterior: Posterior, density: Density, pool: dict[str, str]) -> Posterior:
    """Add the priors and the pooling to a posterior."""
    texts: dict[str, set[str]] = {}
    for (coefficient, _), prior in density.priors.items():
        texts.setdefault(coefficient, set()).add(str(prior))
    priors: dict[Key, str] = {}
    for key, prior in density.priors.items():
        coefficient, level = key
        priors[coefficient, () if len(texts[coefficient]) == 1 else level] = str(prior)
    return replace(posterior, priors=tuple(priors.items()), pool=tuple(pool.items()))


def posterior_record(fit: PosteriorFit) -> dict[str, Any]:
    """Return a Bayesian fit as plain JSON, as ``scalefit bayes --json`` prints it.

    Parameters
    ----------
    fit : PosteriorFit
        From :func:`scalefit.bayes`.

    Returns
    -------
    dict
        ``law, n_rows, likelihood, cluster, path, status, message, estimate, se, interval, correlation, khat, ess_bulk,
        ess_tail, r_hat, divergences, log_evidence, priors, seed, version`` and a few more. Of a coefficient
        ``estimate`` is the exponential of the mean of its logarithm and ``se`` the standard deviation of the
        coefficient; ``log_estimate`` and ``log_se`` are of the logarithm. The numbers are keyed by printed name, and
        repeated in ``parameters``, a list of :meth:`scalefit.estimate.Estimate.record`, which lists the labels of a
        level. A number that is not finite becomes null.
    """
    posterior = fit.posterior
    spread, names = fit.uncertainty, fit.names
    scale = np.where(spread.se > 0, spread.se, 1.0)
    correlation = spread.covariance / np.outer(scale, scale)

    def column(values: Any) -> dict[str, float | None]:
        return {name: plain_json(value) for name, value in zip(names, values, strict=True)}

    return {
        "law": str(fit.law),
        "table": fit.source.name,
        "sha256": fit.source.sha256,
        "n_rows": fit.n_rows,
        "rows_read": fit.source.rows_read,
        "likelihood": fit.objective.loss,
        "cluster": fit.selection.cluster,
        "weights": fit.objective.weights,
        "pool": dict(posterior.pool),
        "path": posterior.path,
        "status": fit.status,
        "message": fit.message,
        **estimate_columns(fit.estimates),
        "parameters": [estimate.record() for estimate in fit.estimates],
        "level": spread.level,
        "correlation": {name: column(row) for name, row in zip(names, correlation, strict=True)},
        "khat": plain_json(posterior.khat),
        "ess_bulk": column(posterior.ess_bulk),
        "ess_tail": column(posterior.ess_tail),
        "r_hat": column(posterior.r_hat),
        "divergences": posterior.divergences,
        "log_evidence": plain_json(posterior.log_evidence),
        "log_evidence_se": plain_json(posterior.log_evidence_se),
        "priors": {printed_name(*key): prior for key, prior in posterior.priors},
        "findings": [asdict(finding) for finding in fit.findings],
        "method": spread.method,
        "seed": fit.seed,
        "version": fit.version,
    }
