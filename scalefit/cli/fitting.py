"""Verbs that fit a law, and those that use a saved fit: fit, bayes, predict, show."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from scalefit.cli.app import Json, LawText, Out, Table, app
from scalefit.cli.completion import complete_plot
from scalefit.cli.effects import check_mapping, check_plot
from scalefit.cli.options import Given, help_of, with_options
from scalefit.errors import DataError, closest
from scalefit.numbers import exact, percent, rounded
from scalefit.options import BAYES, FIT, Rows
from scalefit.terminal import ProgressLine, check_writable, print_fit

if TYPE_CHECKING:
    import pandas as pd

    from scalefit.comparison import LevelFits
    from scalefit.results import Fit
    from scalefit.table import PrintedTable

__all__ = ["bayes_command", "fit_command", "predict", "show"]

UNCLUSTERED = ("gauss-newton", "hc3", "profile")  # errors that treat rows as independent
BEYOND = "beyond_"  # begins the names of columns that say how far a row lies beyond those of a fit


By = Annotated[
    str | None,
    typer.Option("--by", help="One fit for each label of this column; --out is then a folder: LABEL.fit, forest.svg."),
]


@app.command(name="fit")
@with_options(*FIT)
def fit_command(
    table: Table, law: LawText, given: Given, by: By = None, out: Out = None, as_json: Json = False
) -> None:
    """Fit a law to a table.

    Example: scalefit fit chinchilla chinchilla --loss huber --drop-highest-loss 5
    """
    from scalefit.leastsq import fit
    from scalefit.storage import fit_record

    method = given["uncertainty"]
    by_rows = method in UNCLUSTERED and f"with --uncertainty {method}; use pairs, jackknife or cluster"
    given.refuse_idle(FIT, cluster=by_rows)
    check_mapping(given, law, *([by] if by else []))
    if by is not None:
        from scalefit.comparison import fit_levels

        _show_levels(fit_levels, table, law, by, given, out, as_json)
    check_writable(out)
    with ProgressLine() as progress:
        result = fit(table, law, throw=False, progress=progress, **given)
    if out is not None:
        result.save(out)
    if as_json:
        for remark in result.source.remarks:
            print(remark, file=sys.stderr)
        print(json.dumps(fit_record(result), indent=1))
    else:
        print_fit(result)
        if out is not None:
            print(f"\nsaved to {out}", file=sys.stderr)
    raise typer.Exit(result.exit_code)


@app.command(name="bayes")
@with_options(*BAYES)
def bayes_command(
    table: Table, law: LawText, given: Given, by: By = None, out: Out = None, as_json: Json = False
) -> None:
    """Sample the posterior of a law: importance sampling in a second, NUTS where that is not enough.

    Example: scalefit bayes chinchilla width_depth --drop-highest-loss 40 --likelihood normal
    """
    from scalefit.posterior import bayes, posterior_record

    given.refuse_idle(BAYES)
    check_mapping(given, law, *([by] if by else []))
    if by is not None:
        from scalefit.comparison import bayes_levels

        _show_levels(bayes_levels, table, law, by, given, out, as_json)
    check_writable(out)
    with ProgressLine() as progress:
        result = bayes(table, law, throw=False, progress=progress, **given)
    if out is not None:
        result.save(out)
    if as_json:
        print(json.dumps(posterior_record(result), indent=1))
    else:
        print_fit(result)
    raise typer.Exit(result.exit_code)


def _show_levels(
    verb: Callable[..., LevelFits], table: str, law: str, by: str, given: Given, out: Path | None, as_json: bool
) -> NoReturn:
    """Fit every level, print the table or a JSON list, and write a folder of fits with a forest plot."""
    if out is not None and out.exists():
        raise DataError(
            f"with --by, --out is a folder to be made, and {str(out)!r} is there already; give another name"
        )
    check_writable(out)
    with ProgressLine() as progress:
        levels = verb(table, law, by, progress=progress, **given)
    if out is not None:
        from scalefit.plots import save_figure

        names = {level: re.sub(r"[^\w.-]+", "_", level) + ".fit" for level in levels.fits}
        if len({name.casefold() for name in names.values()}) < len(names):
            names = {level: f"{place}.fit" for place, level in enumerate(levels.fits, start=1)}
        picture = levels.plot()
        out.mkdir()
        for level, fit in levels.fits.items():
            fit.save(out / names[level])
        save_figure(picture, out / "forest.svg")
        print(f"saved to {out}", file=sys.stderr)
    print(json.dumps(levels.record(), indent=1) if as_json else levels)
    raise typer.Exit(levels.exit_code)


@app.command()
def predict(
    fit_file: Annotated[Path, typer.Argument(metavar="FIT", help="A file written by scalefit fit --out.")],
    table: Annotated[str | None, typer.Argument(help="Rows to predict; default: the fitted ones.")] = None,
    at: Annotated[
        list[str] | None, typer.Option("--at", help="One point instead: params=7B,tokens=1.4T,corpus=web.")
    ] = None,
    prob: Annotated[float, typer.Option(help="Probability of the interval.")] = 0.95,
    new_run: Annotated[
        bool, typer.Option("--new-run", help="The interval of one more run, with its scatter; not that of the law.")
    ] = False,
    through: Annotated[
        Path | None, typer.Option(help="A fit that predicts one of the columns; its own columns are given instead.")
    ] = None,
    mapping: Annotated[list[str] | None, typer.Option("--map", help=help_of(Rows, "mapping"))] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Predict the loss for new rows or at one point, with an interval, and say how far beyond the fitted rows that is.

    Example: scalefit predict my.fit --at params=7B,tokens=1.4T
    """
    from scalefit.files import plain_json, write_atomically
    from scalefit.forecasting.coverage import fit_coverage_words
    from scalefit.storage import load_fit

    check_writable(out)
    result = load_fit(fit_file)
    inner = None if through is None else load_fit(through)
    frame, own = _rows_to_predict(result, inner, table, at, mapping)
    predicted = result.predict(frame, prob=prob, new_run=new_run, through=inner)
    asked = frame if inner is None else frame.assign(**{inner.law.response: predicted[inner.law.response]})
    beyond = result.extrapolation(asked).add_prefix(BEYOND)
    first = None if inner is None else inner.extrapolation(frame).add_prefix(f"{inner.law.response}_{BEYOND}")
    distance = beyond if first is None else beyond.join(first)
    kept = frame[[*own, *(name for name in frame.columns if name not in own)]]
    if inner is not None and inner.law.response in kept:
        kept = kept.drop(columns=inner.law.response)  # the prediction goes through its predicted value
    taken = next((name for name in kept if name in (*predicted, *distance)), None)
    if taken is not None:
        raise DataError(f"the table has a column {taken!r}, which a prediction is called; rename it")
    if out is not None:
        write_atomically(out, kept.join([predicted, distance]).to_csv(index=False).encode())
    if as_json:
        rows = plain_json(kept.join([predicted, distance]).to_dict(orient="records"))
        of = "a new run" if new_run else "the law"
        print(json.dumps({"law": str(result.law), "of": of, "prob": prob, "rows": rows}, indent=1))
    elif out is None:
        print(_predictions(kept.join(predicted)).text())
    if not as_json:
        lines = [_prediction_words(result, beyond, prob, new_run)]
        if inner is not None and first is not None:
            lines.append(f"first step, of {inner.law.response}: {_beyond_words(first)}")
        print("\n".join(lines), file=sys.stderr if out is not None else sys.stdout)
    steps = [(result, asked)] if inner is None else [(inner, frame), (result, asked)]
    for step, rows_asked in steps:
        covered = fit_coverage_words(step, step.rows, rows_asked)
        if covered:
            print(covered, file=sys.stderr)
    raise typer.Exit(max(result.exit_code, 0 if inner is None else inner.exit_code))


def _prediction_words(result: Fit, beyond: pd.DataFrame, prob: float, new_run: bool) -> str:
    """Say what was predicted, and how far beyond the rows of the fit."""
    scatter = "the scatter of rows" + (" and the shift of a cluster" if result.selection.cluster is not None else "")
    what = f"of one more run, with {scatter}" if new_run else "of the law; a single run scatters more (--new-run)"
    first = f"predicted: the law's value of {result.law.response}; lo, hi: {percent(prob)} interval {what}"
    return "\n".join(filter(None, [first, _beyond_words(beyond)]))


def _beyond_words(beyond: pd.DataFrame) -> str:
    """Say how far rows lie beyond those of a fit; empty where no column has a range."""
    far = beyond.max().dropna()
    parts = [f"{times(value)} in {str(name).rpartition(BEYOND)[2]}" for name, value in far.items() if value > 1]
    if parts:
        count = int((beyond > 1).any(axis=1).sum())
        rows = "" if len(beyond) == 1 else f"{exact(count)} of {exact(len(beyond))} rows, up to "
        return f"beyond the fitted rows: {rows}{', '.join(parts)}; the form of the law is assumed there"
    return "within the range of the fitted rows" if len(far) else ""


def times(factor: float) -> str:
    """Print a factor: ``9.9 times``."""
    return f"{rounded(factor, digits=2) if factor < 100 else rounded(factor, factor / 2)} times"


@app.command()
def show(
    fit_file: Annotated[Path, typer.Argument(metavar="FIT", help="A file written by scalefit fit --out.")],
    plot: Annotated[
        str | None,
        typer.Option(
            help="Also draw: observed, residuals, term, optima, pairs ...; see the gallery of the documentation.",
            autocompletion=complete_plot,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write the figure (svg, png, pdf).")] = None,
    as_json: Json = False,
) -> None:
    """Print a saved fit again, or draw it.

    Example: scalefit show my.fit --plot residuals --out residuals.png
    """
    from scalefit.storage import load_fit

    if plot is not None or out is not None:
        from scalefit.plots import KINDS

        check_plot(plot, out, KINDS)
    check_writable(out)
    result = load_fit(fit_file)
    if plot is not None and out is not None:
        from scalefit.plots import save_figure

        save_figure(result.plot(plot), out)
        print(f"drawn to {out}", file=sys.stderr)
    if as_json:
        print(json.dumps(_record(result), indent=1))
    else:
        print_fit(result)
    raise typer.Exit(result.exit_code)


def _record(result: Fit) -> dict[str, Any]:
    """Return a saved result as JSON, as printed by the verb that made it."""
    from scalefit.results import PosteriorFit
    from scalefit.storage import fit_record

    if not isinstance(result, PosteriorFit):
        return fit_record(result)
    from scalefit.posterior import posterior_record

    return posterior_record(result)


def _predictions(shown: pd.DataFrame) -> PrintedTable:
    """Return predictions as they are printed: numbers to six digits, labels as they are."""
    from pandas.api.types import is_numeric_dtype

    from scalefit.table import PrintedTable

    numbers = [is_numeric_dtype(shown[name]) for name in shown]
    rows = [
        [rounded(float(value), digits=6) if number else str(value) for value, number in zip(row, numbers, strict=True)]
        for row in shown.itertuples(index=False)
    ]
    return PrintedTable.of(list(map(str, shown)), rows, "".join("r" if number else "l" for number in numbers))


def _point(texts: list[str]) -> dict[str, str]:
    """Read ``name=value`` pairs apart by commas; a piece without ``=`` belongs to the value before it, as in a,b."""
    point: dict[str, str] = {}
    for text in texts:
        name = ""
        for piece in re.findall(r'(?:"[^"]*"|`[^`]*`|[^,])+', text):
            left, equals, value = piece.partition("=")
            if equals and not left.strip().startswith('"'):
                name = left.strip().strip("`")
                if not name or not value.strip():
                    raise DataError(f"--at {text!r} is not understood; write --at params=7B,tokens=1.4T")
                if name in point:
                    raise DataError(f"--at is given twice for {name!r}, and only one could count; give it once")
                point[name] = value.strip().strip('"')
            elif name:
                point[name] = f"{point[name]},{piece.rstrip()}"
            elif piece.strip():
                raise DataError(f"--at {text!r} is not understood; write --at params=7B,tokens=1.4T")
    return point


def _rows_to_predict(
    result: Fit, inner: Fit | None, table: str | None, at: list[str] | None, mapping: list[str] | None
) -> tuple[Any, list[str]]:
    """Return the rows, and the columns that the prediction needs."""
    import pandas as pd

    from scalefit.data.rows import usable_rows
    from scalefit.data.tables import parse_mapping, read_table, resolve
    from scalefit.numbers import parse_number

    numeric, labels = list(result.law.variables), list(result.law.groups)
    needs = result.law.needs()
    if inner is not None:
        if inner.law.response not in numeric:
            raise DataError(
                f"--through predicts {inner.law.response!r}, which is not a column of {result.law}; "
                f"{closest(inner.law.response, numeric)}"
            )
        numeric = [*inner.law.variables, *(column for column in numeric if column != inner.law.response)]
        numeric, labels = list(dict.fromkeys(numeric)), list(dict.fromkeys([*inner.law.groups, *labels]))
        needs = needs | inner.law.needs()
    columns = [*numeric, *labels]
    if at is not None and table is not None:
        raise DataError("give either a table or --at, not both")
    if mapping and table is None:
        raise DataError("--map has no effect without a table to predict; leave it out")
    if at is not None:
        point: dict[str, Any] = _point(at)
        for name in point:
            if name not in (*numeric, *labels):
                raise DataError(f"--at {name}={point[name]} has no effect: {closest(name, (*numeric, *labels))}")
        missing = [name for name in (*numeric, *labels) if name not in point]
        if missing:
            raise DataError(f"--at lacks {', '.join(missing)}; add {','.join(f'{name}=VALUE' for name in missing)}")
        for name in set(point) & set(numeric):
            try:
                point[name] = parse_number(point[name])
            except ValueError as error:
                raise DataError(f"--at {name}={point[name]}: {error}") from None
        rows = resolve(read_table(pd.DataFrame([point])), numeric=numeric, labels=labels)
    elif table is None:
        return (result if inner is None else inner).rows, columns
    else:
        renamed = parse_mapping(mapping) if mapping else None
        check_mapping({"mapping": renamed}, result.law, *columns)
        rows = read_table(table, typed=False, mapping=renamed)
    return usable_rows(rows, numeric, labels, needs).frame, columns
