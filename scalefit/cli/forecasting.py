"""Verbs on runs that do not exist yet: forecast."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from scalefit.cli.app import Json, Table, app, assignments
from scalefit.cli.options import Given, with_options
from scalefit.errors import DataError
from scalefit.options import FORECAST
from scalefit.terminal import check_outputs

__all__ = ["forecast_command"]

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
    new_run: Annotated[bool, typer.Option("--new-run", help="Forecast one such run, as without --mean.")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw runs and forecasts to this file.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write one row for each target to this CSV file.")] = None,
    as_json: Json = False,
) -> None:
    """Forecast the loss of runs that are larger than those of a table, with calibrated intervals.

    Example: scalefit forecast chinchilla --where "flops < 2.1e19" --at params=7B,tokens=1.4T
    """
    from scalefit.files import write_atomically
    from scalefit.forecasting import forecast

    if new_run and given["mean"]:
        raise DataError("--mean and --new-run are two forecasts; give one of them")
    check_outputs([out, plot], [table, targets])
    found = forecast(table, points(at), targets=targets, **given)
    if out is not None:
        write_atomically(out, found.table().to_csv(index=False).encode())
        print(f"written to {out}", file=sys.stderr)
    if plot is not None:
        from scalefit.plots import save_figure
        from scalefit.plots.forecasts import draw_forecast

        save_figure(draw_forecast(found), plot)
        print(f"drawn to {plot}", file=sys.stderr)
    print(json.dumps(found.record(), indent=1) if as_json else found)
