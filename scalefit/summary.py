"""The text of a fit: what ``print(fit)`` shows, and the HTML of a notebook."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from scalefit.escape import markup
from scalefit.estimate import Estimate
from scalefit.goodness import Goodness
from scalefit.names import printed_name
from scalefit.numbers import (
    amount,
    chance,
    exact,
    fixed,
    percent,
    percent_size,
    plus_minus,
    power_of_ten,
    rounded,
    rounded_interval,
    rounded_range,
    two_digits,
)
from scalefit.quantiles import normal_quantile
from scalefit.results import Fit, PosteriorFit
from scalefit.table import PrintedTable
from scalefit.thresholds import HEAVY_ERROR, MANY_TIMES, UNEQUAL_SCATTER

__all__ = [
    "estimate_text",
    "explained",
    "fit_html",
    "fit_table",
    "fit_text",
    "interval_text",
    "is_loose",
    "scatter_text",
]


def is_loose(estimate: Estimate) -> bool:
    """Whether the error of a coefficient says little: the coefficient is known only to a factor."""
    return _reaches_zero(estimate) or _is_heavy(estimate)


def _reaches_zero(estimate: Estimate) -> bool:
    """Whether estimate minus error would be 0 or less, which no coefficient is."""
    return estimate.log_value is not None and not math.isnan(estimate.se) and not estimate.se < estimate.value


def _is_heavy(estimate: Estimate) -> bool:
    """Whether a few draws make up the standard deviation of a coefficient, which its interval does not show."""
    if estimate.log_value is None or estimate.draws is None:
        return False
    reach = (estimate.hi - estimate.lo) / (2 * normal_quantile(0.5 + estimate.probability / 2))
    return estimate.se > HEAVY_ERROR * reach


def estimate_text(estimate: Estimate, *, alone: bool = True) -> str:
    """Print an estimate: with its error or, of a loose coefficient, with its interval.

    Parameters
    ----------
    estimate : Estimate
        The parameter.
    alone : bool
        Whether the interval is not shown elsewhere.

    Returns
    -------
    str
        Such as ``0.347 ± 0.015``. A loose coefficient is the exponential of its estimated log, ``80 000 [7, 1.9e9]``:
        the standard deviation of the coefficient would be dominated by its few largest draws.
    """
    if not is_loose(estimate):
        none = " (no interval)" if alone and _has_no_interval(estimate) else ""
        return plus_minus(estimate.value, estimate.se) + none
    value = two_digits(estimate.value) if math.isfinite(estimate.value) else power_of_ten(estimate.log_value or 0.0)
    return value + (f" {interval_text(estimate)}" if alone else "")


def interval_text(estimate: Estimate) -> str:
    """Print the interval of an estimate, rounded by its error or, of a loose coefficient, each end by itself."""
    if _has_no_interval(estimate):
        return "not given"
    return (
        rounded_range(estimate.lo, estimate.hi)
        if is_loose(estimate)
        else rounded_interval(estimate.lo, estimate.hi, estimate.se)
    )


def _has_no_interval(estimate: Estimate) -> bool:
    return math.isnan(estimate.lo) and math.isnan(estimate.hi)


def fit_text(fit: Fit) -> str:
    """Return status, what was fitted, the parameters and the findings, as plain text.

    Parameters
    ----------
    fit : Fit
        The result.

    Returns
    -------
    str
        Lines as long as the longest sentence.
    """
    source, spread = fit.source, fit.uncertainty
    dropped = "; ".join(rule.words for rule in source.dropped)
    first, *others = _findings(fit)
    lines = [
        f"{fit.status}: {first}",
        f"  law        {fit.law.written}",
        *_assumed_lines(fit),
        f"  data       {source.name}, {exact(fit.n_rows)} of {exact(source.rows_read)} rows"
        + (dropped and f" ({dropped})"),
        f"  objective  {'0 to rounding' if fit.goodness.is_exact else rounded(fit.value, digits=12)} ({fit.objective})",
        f"  errors     {spread.method}, {'no' if spread.withheld else percent(spread.level)} intervals",
        *_goodness_lines(fit),
        *_posterior_lines(fit),
        "",
        *_parameter_lines(fit),
    ]
    return "\n".join([*lines, *(f"  {finding}" for finding in others)])


def _goodness_lines(fit: Fit) -> list[str]:
    """Say how well the law fits: scatter, explained part, scores, repeats, largest residuals, trends."""
    goodness = fit.goodness
    if goodness.is_exact:
        return ["  scatter    exact to rounding: the law goes through every row"]
    unit = f" (in the unit of {fit.law.response})" if goodness.in_units else ""
    of = "log response" if goodness.space == "log" else "response"
    lines = [
        f"  scatter    {scatter_text(goodness, goodness.rms)} rms, {scatter_text(goodness, goodness.robust)} robust"
        f"{unit}; R2 of the {of} {explained(goodness.r2)}"
    ]
    if goodness.scores is not None:
        aic, bic = (fixed(score, 1) for score in (goodness.scores.aic, goodness.scores.bic))
        lines[0] += f"; AIC {aic}, BIC {bic}"
    if goodness.lack_of_fit is not None:
        test = goodness.lack_of_fit
        ratio = f"F({exact(test.law)}, {exact(test.repeats)}) = {rounded(test.ratio, digits=3)}, {_chance(test.p)}"
        lines.append(f"  repeats    scatter {scatter_text(goodness, test.scatter)}; lack of fit {ratio}")
    if goodness.largest:
        numbers, shares = zip(*((exact(row.row), _share(row.share)) for row in goodness.largest), strict=True)
        rows = f"row{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"
        lines.append(f"  misfit     most from {rows}: {', '.join(shares)} of the objective")
    tenth = goodness.part(goodness.rms) / 10
    size = tenth if goodness.in_units else 100 * tenth
    places = min(12, max(0, 1 - math.floor(math.log10(size)))) if 0 < size < math.inf else 0
    show = partial(fixed if goodness.in_units else percent, places=places, sign=True)
    for trend in goodness.trends:
        parts = [show(goodness.part(value)) for value in (trend.low, trend.middle, trend.high) if not math.isnan(value)]
        lead = "residuals" if trend is goodness.trends[0] else ""
        lines.append(
            f"  {lead:10s} {' … '.join(parts)} along {trend.column} "
            f"from {amount(trend.ends[0])} to {amount(trend.ends[1])}"
            + ("" if math.isnan(trend.p) else f" ({_chance(trend.p)})")
        )
    return lines


def _share(share: float) -> str:
    """Print a part of the objective: whole percents, two digits below one."""
    return percent(share, 0) if share >= 0.01 else percent_size(share)


def _chance(p: float) -> str:
    """Print a p-value with its sign: ``p = 0.02``, ``p < 0.001``."""
    text = chance(p)
    return f"p {text[0]} {text[1:]}" if text[0] in "<>" else f"p = {text}"


def scatter_text(goodness: Goodness, size: float) -> str:
    """Print the size of residuals: in percent of the response, or in its unit where the response crosses 0."""
    return rounded(size, digits=2) if goodness.in_units else percent_size(goodness.part(size))


def explained(r2: float) -> str:
    """Print R2 with the digits that tell it from 1.

    Examples
    --------
    >>> explained(0.42), explained(0.99958)
    ('0.420', '0.99958')
    """
    places = 3 if math.isnan(r2) or r2 >= 1 else min(12, max(3, 1 - math.floor(math.log10(1 - r2))))
    return fixed(r2, places)


def _assumed_lines(fit: Fit) -> list[str]:
    """Say which bounds of a law of any form were assumed."""
    assumed = fit.law.assumed
    if not assumed:
        return []
    listed = ", ".join(map(str, assumed))
    other = replace(assumed[0], lower=-math.inf if assumed[0].lower == 0 else 0.0)
    return [f"  assumed    {listed} (declare otherwise behind the law: with {other})"]


def _findings(fit: Fit) -> list[str]:
    """Return everything that limits a result once, most severe first; the first belongs to the status."""
    bad = [finding for finding in fit.findings if finding.severity not in ("warning", "note")]
    rest = [finding for finding in fit.findings if finding not in bad[:1]]
    lead = bad[0].message if bad else fit.search_message
    return [
        lead,
        *(f"{finding.severity}: {finding.message}" for finding in rest),
        *(f"note: {remark}" for remark in fit.source.remarks),
    ]


def _posterior_lines(fit: Fit) -> list[str]:
    """Return how the draws were made, the evidence and every prior."""
    if not isinstance(fit, PosteriorFit):
        return []
    posterior = fit.posterior
    lines = []
    if posterior.log_evidence is not None and posterior.log_evidence_se is not None:
        lines.append(
            f"  evidence   log {fixed(posterior.log_evidence, 2)} ± {two_digits(posterior.log_evidence_se)}, with "
            "the priors below"
        )
    groups: dict[str, list[str]] = {}
    for key, prior in posterior.priors:
        groups.setdefault(prior, []).append(printed_name(*key))
    written = "; ".join(f"{', '.join(names)} ~ {prior}" for prior, names in groups.items())
    lines.append(f"  priors     {written}")
    if any(parameter.kind == "coefficient" for parameter in fit.parameters):
        lines.append("             (a coefficient's prior is on its term's size at the centre of the data)")
    return lines


def fit_table(fit: Fit) -> PrintedTable:
    """Return the parameters of a fit as a table: estimate, interval, logarithm and, where it matters, error ratio.

    Parameters
    ----------
    fit : Fit
        The result.

    Returns
    -------
    PrintedTable
        One row per parameter.
    """
    ratios = _ratios(fit)
    rows = []
    for estimate, ratio in zip(fit.estimates, ratios, strict=True):
        log_value, log_se = estimate.log_value, estimate.log_se
        log = "" if log_value is None or log_se is None else plus_minus(log_value, log_se)
        times = f"> {fixed(MANY_TIMES, 0)}" if ratio > MANY_TIMES else rounded(ratio, 0.5)
        shown = times if max(ratios) > UNEQUAL_SCATTER else ""
        rows.append([estimate.name, estimate_text(estimate, alone=False), interval_text(estimate), log, shown])
    return PrintedTable.of(["parameter", "estimate", "interval", "log", "robust/plain"], rows)


def _ratios(fit: Fit) -> list[float]:
    """Robust over plain standard errors; of logs for coefficients, which their skewness does not inflate."""
    spread = fit.uncertainty
    return [robust / plain if plain > 0 else 0.0 for robust, plain in zip(spread.se, spread.gauss_newton, strict=True)]


def _parameter_lines(fit: Fit) -> list[str]:
    show_ratio = max(_ratios(fit)) > UNEQUAL_SCATTER
    lines = fit_table(fit).text("  ").split("\n")
    if show_ratio:
        lines.append("  robust/plain: standard error over Gauss-Newton's, which assumes equal, independent scatter")
    zero = [estimate.name for estimate in fit.estimates if _reaches_zero(estimate)]
    heavy = [estimate.name for estimate in fit.estimates if _is_heavy(estimate) and estimate.name not in zero]
    for loose, reason in ((zero, "it would reach 0"), (heavy, "a few draws determine it")):
        if loose:
            lines.append(f"  {', '.join(loose)}: no ± is given, because {reason}; read the interval")
    return lines


def fit_html(fit: Fit) -> str:
    """Return the result as an HTML fragment for a notebook.

    Parameters
    ----------
    fit : Fit
        The result.

    Returns
    -------
    str
        Status, law, a table of parameters, and a caption.
    """
    rows = [
        [estimate.name, estimate_text(estimate, alone=False), interval_text(estimate)] for estimate in fit.estimates
    ]
    table = PrintedTable.of(["parameter", "estimate", "interval"], rows).html()
    first, *others = _findings(fit)
    head = f"<b>{fit.status}</b>: {markup(first)}<br><code>{markup(str(fit.law))}</code>"
    spread, goodness = fit.uncertainty, fit.goodness
    of = "log response" if goodness.space == "log" else "response"
    how = f"none, too few refits of the {spread.method} have an answer" if spread.withheld else spread.method
    fits = f"scatter {scatter_text(goodness, goodness.rms)} rms, {scatter_text(goodness, goodness.robust)} robust"
    fits = "scatter: exact to rounding" if goodness.is_exact else f"{fits}; R2 of the {of} {explained(goodness.r2)}"
    caption = markup(f"{exact(fit.n_rows)} rows of {fit.source.name}; intervals: {how}; {fits}")
    limits = "".join(f"<li>{markup(finding)}</li>" for finding in others)
    below = f"<ul>{limits}</ul>" if limits else ""
    return f"<div>{head}{table}{below}<small>{caption}</small></div>"
