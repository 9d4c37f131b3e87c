"""Verbs on runs that do not exist yet: forecast, backtest, which measures how forecasts do, and plan."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from scalefit.cli.app import Json, Table, app, assignments
from scalefit.cli.options import Given, with_options
from scalefit.errors import DataError
from scalefit.options import BACKTEST, FORECAST, PLAN
from scalefit.terminal import ProgressLine, check_outputs

__all__ = ["backtest_command", "forecast_command", "plan_command"]

At = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="COLUMN=VALUE,...", help="A target, params=70B,tokens=1.4T; repeat it."),
]


def points(texts: list[str] | None, option: str = "--at") -> list[dict[str, str]]:
    """Read targets, one to an option, their columns apart by commas."""
    return [dict(assignments([part for part in text.split(",") if part.strip()], option)) for text in texts or ()]


@app.command(name="forecast")
@with_options(*FORECAST)
def forecast_command(
    table: Table,
    given: Given,
    at: At = None,
    targets: Annotated[Path | None, typer.Option(help="A table of targets instead, with the law's columns.")] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="One forecast for each label of this column, from its own runs.")
    ] = None,
    new_run: Annotated[bool, typer.Option("--new-run", help="Forecast one such run, as without --mean.")] = False,
    through: Annotated[
        Path | None, typer.Option(help="A fit of a law of the loss, such as an accuracy, which is forecast too.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw runs and forecasts to this file.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write one row for each target to this CSV file.")] = None,
    as_json: Json = False,
) -> None:
    """Forecast the loss of runs that are larger than those of a table, with calibrated intervals.

    Example: scalefit forecast chinchilla --where "flops < 2e19 and loss < 4" --at params=7B,tokens=1T
    """
    from scalefit.files import write_atomically
    from scalefit.forecasting import Forecast, LevelForecasts, forecast, forecast_levels
    from scalefit.storage import load_fit

    if new_run and given["mean"]:
        raise DataError("--mean and --new-run are two forecasts; give one of them")
    check_outputs([out, plot], [table, targets, through])
    second = None if through is None else load_fit(through)
    found: Forecast | LevelForecasts
    if by is None:
        found = forecast(table, points(at), targets=targets, through=second, **given)
    else:
        with ProgressLine() as line:
            found = forecast_levels(
                table, by, points(at), targets=targets, through=second, progress=line, **given
            )  # fmt: skip
    if out is not None:
        write_atomically(out, found.table().to_csv(index=False).encode())
        print(f"written to {out}", file=sys.stderr)
    if plot is not None:
        from scalefit.plots import save_figure

        save_figure(found.plot(), plot)
        print(f"drawn to {plot}", file=sys.stderr)
    print(json.dumps(found.record(), indent=1) if as_json else found)
    raise typer.Exit(found.exit_code)


@app.command(name="backtest")
@with_options(*BACKTEST)
def backtest_command(
    given: Given,
    table: Annotated[str | None, typer.Argument(help="A file, or a data set's name; or --public.")] = None,
    public: Annotated[bool, typer.Option("--public", help="The tables of the shipped set backtest.")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw coverage and error to this file.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write every forecast to this CSV file.")] = None,
    held: Annotated[
        Path | None, typer.Option("--held", help="Write what forecasts print of the public backtest to this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Forecast runs that are known from smaller ones, and measure coverage and error of every method.

    Example: scalefit backtest chinchilla --methods forecast --methods huber
    """
    from scalefit.files import write_atomically
    from scalefit.forecasting.backtest import PUBLIC, backtest

    if public == (table is not None):
        raise DataError("name one table, or give --public for the shipped ones")
    if held is not None and not public:
        raise DataError("--held has no effect without --public; leave it out")
    given.refuse_idle(BACKTEST)
    check_outputs([out, plot, held], [table])
    with ProgressLine() as line:
        found = backtest(table or PUBLIC, progress=line, **given)
    if out is not None:
        write_atomically(out, found.rows.to_csv(index=False).encode())
        print(f"written to {out}", file=sys.stderr)
    if held is not None:
        write_atomically(held, found.score_table.to_csv().encode())
        print(f"written to {held}", file=sys.stderr)
    if plot is not None:
        from scalefit.plots import save_figure
        from scalefit.plots.forecasts import draw_coverage

        save_figure(draw_coverage(found)[0], plot)
        print(f"drawn to {plot}", file=sys.stderr)
    print(json.dumps(found.record(), indent=1) if as_json else found)
    raise typer.Exit(found.exit_code)


@app.command(name="plan")
@with_options(*PLAN)
def plan_command(
    table: Table,
    given: Given,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="COLUMN=VALUE,...", help="What is to be forecast; repeat it"),
    ] = None,
    candidates: Annotated[Path | None, typer.Option(help="A table of runs that could be trained; else a grid.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw runs, candidates and choices to this file.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the runs of every strategy to this CSV.")] = None,
    as_json: Json = False,
) -> None:
    """Choose the runs to train next, under a budget, for the forecast of a target.

    Example: scalefit plan chinchilla --where "flops < 2.1e19" --target params=7B,tokens=140B --budget 1e20
    """
    from scalefit.files import write_atomically
    from scalefit.forecasting.plan import plan

    if not target:
        raise DataError("there is nothing to plan for; give a target, as --target params=70B,tokens=1.4T")
    check_outputs([out, plot], [table, candidates])
    found = plan(table, points(target, "--target"), candidates=candidates, **given)
    if out is not None:
        write_atomically(out, found.table().to_csv(index=False).encode())
        print(f"written to {out}", file=sys.stderr)
    if plot is not None:
        from scalefit.plots import save_figure
        from scalefit.plots.forecasts import draw_plan

        save_figure(draw_plan(found), plot)
        print(f"drawn to {plot}", file=sys.stderr)
    print(json.dumps(found.record(), indent=1) if as_json else found)
