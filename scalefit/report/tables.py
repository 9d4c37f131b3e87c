"""The tables of a report, built from fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scalefit.escape import literal
from scalefit.estimate import Estimate
from scalefit.names import read_name
from scalefit.numbers import as_printed, exact, percent, plus_minus, rounded_interval
from scalefit.records import CONVERGED
from scalefit.report.blocks import Block, align_decimals, align_errors, table
from scalefit.report.provenance import DataFile
from scalefit.report.published import PublishedPoint
from scalefit.report.text import join, name_words
from scalefit.results import Fit, PosteriorFit
from scalefit.summary import estimate_text, interval_text

__all__ = [
    "alternatives_table",
    "estimates_table",
    "files_blocks",
    "level_tables",
    "models_table",
    "rows_shown",
    "transpose",
]

_MOST_ROWS = 12


def estimates_table(fit: Fit, *, clustered: Fit | None = None, published: Sequence[PublishedPoint] = ()) -> Block:
    """Return the parameters of one fit with intervals, and published values.

    Parameters
    ----------
    fit : Fit
        The fit.
    clustered : Fit, optional
        The same fit with clusters resampled; its intervals get a column.
    published : sequence of PublishedPoint
        A column each.

    Returns
    -------
    Block
        One row per parameter; :func:`level_tables` shows the levels of parameters with two groups.
    """
    shown = rows_shown(fit)
    level = percent(fit.uncertainty.level)
    header = ["", "estimate", f"{level} interval"]
    columns = [
        [name_words(estimate.key) for estimate in shown],
        align_errors([estimate_text(estimate, alone=False) for estimate in shown]),
        [interval_text(estimate) for estimate in shown],
    ]
    if clustered is not None:
        header.append(f"by {literal(str(clustered.selection.cluster))}")
        columns.append([interval_text(clustered[estimate.key]) for estimate in shown])
    for point in published:
        header.append(literal(point.label))
        texts = [
            as_printed(point.values[estimate.name], point.errors.get(estimate.name))
            if estimate.name in point.values
            else ""
            for estimate in shown
        ]
        columns.append(align_errors(texts) if point.errors else align_decimals(texts))
    caption = f"Estimates ± standard errors ({fit.uncertainty.method}"
    by = literal(str(clustered.selection.cluster)) if clustered else ""
    caption += f"; “by {by}”: whole levels of {by} resampled)" if clustered else ")"
    return table(f"{caption}.", header, transpose(columns), align="l" + "r" * (len(header) - 1))


def level_tables(fit: Fit) -> list[Block]:
    """Return one table for each parameter with two grouping columns, the one with more levels downwards."""
    out = []
    for coef in fit.law.parameters:
        if len(coef.groups) != 2:
            continue
        by_level = {parameter.level: fit[parameter.key] for parameter in fit.parameters if parameter.coef == coef}
        down, across = (list(dict.fromkeys(level[i] for level in by_level)) for i in (0, 1))
        if len(across) > len(down):
            by_level = {(b, a): value for (a, b), value in by_level.items()}
            down, across = across, down
        columns = [[literal(label) for label in down]]
        for b in across:
            cells = [by_level.get((a, b)) for a in down]
            columns.append(align_decimals([plus_minus(x.value, x.se) if x else "" for x in cells]))
        caption = f"${coef.name}$ by {join([group.replace('_', ' ') for group in coef.groups])}."
        out.append(table(caption, ["", *map(literal, across)], transpose(columns), align="l" + "r" * len(across)))
    return out


def alternatives_table(fits: Mapping[str, Fit], parameters: Sequence[str] = ()) -> Block:
    """Return several fits of one question, a row each.

    Parameters
    ----------
    fits : mapping
        Fits by label, the main one first.
    parameters : sequence of str
        Columns; the floor and the exponents of the first fit when empty.

    Returns
    -------
    Block
        Estimates with errors; an empty cell where a fit has no such parameter.
    """
    first = next(iter(fits.values()))
    names = list(map(read_name, parameters)) or [
        estimate.key for estimate in first.estimates if estimate.kind != "coefficient" and not estimate.level
    ]
    columns = [list(fits), align_decimals([str(fit.n_rows) for fit in fits.values()])]
    for name in names:
        estimates = [fit.get(name) for fit in fits.values()]
        columns.append(align_decimals([estimate_text(x, alone=False) if x else "" for x in estimates]))
    header = ["", "rows", *map(name_words, names)]
    lead = next(
        (estimate for estimate in first.estimates if estimate.key in names and estimate.kind == "exponent"), None
    )
    if lead is not None:
        header.append(f"{percent(first.uncertainty.level)} interval of {name_words(lead.key)}")
        estimates = [fit.get(lead.key) for fit in fits.values()]
        columns.append([rounded_interval(x.lo, x.hi, x.se) if x else "" for x in estimates])
    align = "l" + "r" * (len(header) - 1)
    return table("The same question under other choices.", header, transpose(columns), align=align)


def models_table(fits: Mapping[str, Fit]) -> Block:
    """Return one row per fit: data, rows, loss and exponents; the status in place of exponents without an answer."""
    rows = []
    for label, fit in fits.items():
        exponents = [fit[coef.name] for coef in fit.law.exponents if coef.name in fit]
        shown = [
            f"${exponent.coefficient}$\u00a0=\u00a0{plus_minus(exponent.value, exponent.se)}" for exponent in exponents
        ]
        answer = ",\u2002".join(shown) if fit.status == CONVERGED else fit.status
        rows.append([label, literal(fit.source.name.replace("_", " ")), str(fit.n_rows), _loss(fit), answer])
    caption = "The fits."
    if all(fit.status == CONVERGED for fit in fits.values()):
        squares = any(not isinstance(fit, PosteriorFit) for fit in fits.values())
        posteriors = any(isinstance(fit, PosteriorFit) for fit in fits.values())
        notes = ["every fit converged to the best optimum found"] if squares else []
        notes += ["the draws represent every posterior, shown as mean ± standard deviation"] if posteriors else []
        caption += f" {'; '.join(notes).capitalize()}."
    return table(caption, ["fit", "data", "rows", "residuals", "exponents"], rows, align="llrll", fill=4)


def files_blocks(files: Sequence[DataFile], read: Mapping[str, int]) -> list[Block]:
    """Return a table of the files used, with their hashes; none for one file of the user, which the footer names.

    ``read`` has the number of rows of each file, by the name that the study gives it; shipped tables know theirs.
    """
    if len(files) == 1 and not files[0].sources:
        return []
    rows = []
    for file in files:
        size = read.get(file.file, 0) if file.rows is None else file.rows
        name, sources = file.name.replace("_", " "), "; ".join(file.sources)
        rows.append([literal(name), exact(size) if size else "", file.sha256[:12], literal(sources)])
    caption = (
        "Tables read, with the beginning of the sha256 of their bytes; the whole of it, and repositories with their "
        "commits, are in the resolved study."
    )
    return [table(caption, ["table", "rows", "sha256", "source"], rows, align="lrll", fill=3)]


def _loss(fit: Fit) -> str:
    if isinstance(fit, PosteriorFit):
        kind = "Student’s t" if fit.objective.loss == "student_t" else "normal"
        shift = f", shift by {literal(fit.selection.cluster)}" if fit.selection.cluster is not None else ""
        return f"{kind}, ln {fit.law.response}{shift}"
    kind = "squares" if fit.objective.loss == "squared" else f"Huber, δ\u00a0=\u00a0{exact(fit.objective.delta or 0)}"
    return f"{kind} of {'ln ' if fit.objective.space == 'log' else ''}{fit.law.response}"


def rows_shown(fit: Fit) -> list[Estimate]:
    """Return the estimates without parameters of two groups, which have separate tables, unless there are no others."""
    shown = [estimate for estimate in fit.estimates if len(estimate.level) != 2]
    return (shown or list(fit.estimates))[: 3 * _MOST_ROWS]


def transpose(columns: Sequence[Sequence[str]]) -> list[list[str]]:
    """Turn columns of cells into rows."""
    return [list(row) for row in zip(*columns, strict=True)]
