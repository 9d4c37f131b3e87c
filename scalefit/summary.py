"""A fit in words: the text that ``print(fit)`` shows and the HTML of a notebook."""

from __future__ import annotations

from html import escape

from scalefit.results import Fit
from scalefit.rounding import plus_minus, rounded, rounded_interval

__all__ = ["ROBUST_RATIO", "fit_html", "fit_text"]

ROBUST_RATIO = 1.5  # robust over plain standard error beyond which the difference is shown


def fit_text(fit: Fit) -> str:
    """Return status, what was fitted, the parameters and what to know, as plain text.

    Parameters
    ----------
    fit : Fit
        The result.

    Returns
    -------
    str
        Lines of at most the width of the longest sentence.
    """
    source, spread = fit.source, fit.uncertainty
    dropped = "; ".join(f"{one.rows} dropped by {one.rule}" for one in source.dropped)
    lines = [
        f"{fit.status}: {fit.message}",
        f"  law        {fit.law}",
        f"  data       {source.name}, {fit.n_rows} of {source.rows_read} rows" + (f" ({dropped})" if dropped else ""),
        f"  objective  {fit.value:.12g} ({fit.objective})",
        f"  errors     {spread.method}, {spread.level:.0%} intervals",
        *_posterior_lines(fit),
        "",
        *_parameter_lines(fit),
    ]
    notes = [one.message for one in fit.findings if one.severity == "note"]
    return "\n".join(lines + [f"  note: {note}" for note in (*notes, *source.remarks)])


def _posterior_lines(fit: Fit) -> list[str]:
    """Say how the draws were made, the evidence and every prior."""
    posterior = fit.posterior
    if posterior is None:
        return []
    lines = []
    if posterior.log_evidence is not None and posterior.log_evidence_se is not None:
        lines.append(
            f"  evidence   log {posterior.log_evidence:.2f} ± {posterior.log_evidence_se:.2g}, with the priors below"
        )
    groups: dict[str, list[str]] = {}
    for name, prior in posterior.priors:
        groups.setdefault(prior, []).append(name)
    written = "; ".join(f"{', '.join(names)} ~ {prior}" for prior, names in groups.items())
    lines.append(f"  priors     {written}")
    if any(parameter.kind == "coefficient" for parameter in fit.parameters):
        lines.append("             (a coefficient's prior is on its term's size at the centre of the data)")
    return lines


def _parameter_lines(fit: Fit) -> list[str]:
    spread = fit.uncertainty  # ratios of logs for coefficients, which their skewness does not inflate
    ratios = [
        robust / plain if plain > 0 else 0.0 for robust, plain in zip(spread.se, spread.gauss_newton, strict=True)
    ]
    show_ratio = max(ratios) > ROBUST_RATIO
    table = [["parameter", "estimate", "interval", "log", "robust/plain"]]
    for one, ratio in zip(fit.estimates, ratios, strict=True):
        log = "" if one.log_value is None or one.log_se is None else plus_minus(one.log_value, one.log_se)
        interval = rounded_interval(one.lo, one.hi, one.se)
        table.append([one.name, plus_minus(one.value, one.se), interval, log, rounded(ratio, 0.5)])
    columns = list(zip(*table, strict=True))[: 5 if show_ratio else 4]
    columns = [column for column in columns if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    lines = ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if show_ratio:
        lines.append("  robust/plain: standard error over Gauss-Newton's, which assumes equal, independent scatter")
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
    cells = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{plus_minus(one.value, one.se)}</td>"
        f"<td>{rounded_interval(one.lo, one.hi, one.se)}</td></tr>"
        for one in fit.estimates
    )
    head = f"<b>{fit.status}</b>: {escape(fit.message)}<br><code>{escape(str(fit.law))}</code>"
    names = "<tr><th>parameter</th><th>estimate</th><th>interval</th></tr>"
    caption = escape(f"{fit.n_rows} rows of {fit.source.name}; intervals: {fit.uncertainty.method}")
    return f"<div>{head}<table>{names}{cells}</table><small>{caption}</small></div>"
