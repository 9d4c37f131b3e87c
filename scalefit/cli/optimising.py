"""Verbs for the best use of compute: optimum from a saved fit, isoflop from a table."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli.app import Json, Table, app, assignments
from scalefit.cli.effects import check_mapping
from scalefit.cli.options import Given, with_options
from scalefit.errors import DataError
from scalefit.options import ISOFLOP
from scalefit.terminal import check_writable

__all__ = ["isoflop_command", "optimum_command"]

CostText = Annotated[
    str | None,
    typer.Option(help="An expression; default: '6*params*tokens', or '72*width^2*depth*tokens' for a law of these."),
]
Level = Annotated[float, typer.Option(help="Probability of the intervals.")]


@app.command(name="optimum")
def optimum_command(
    fit_file: Annotated[Path, typer.Argument(metavar="FIT", help="A file written by fit --out or bayes --out.")],
    compute: Annotated[
        list[str] | None, typer.Option(help="Budgets in FLOP, such as 1e21,5.76e23; default: from the runs.")
    ] = None,
    cost: CostText = None,
    at: Annotated[
        list[str] | None,
        typer.Option(help="Level of a grouping column, family=OPT, or a column held fixed, served=1e12; repeat it."),
    ] = None,
    level: Level = 0.95,
    drift: Annotated[
        bool, typer.Option("--drift", help="Let intervals of the loss hold the drift of a forecast beyond the runs.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Draw the frontier to this file (svg, png, pdf).")] = None,
    as_json: Json = False,
) -> None:
    """Find the best sizes at each budget of compute under a fitted law, with intervals.

    Example: scalefit optimum my.fit --compute 1e21,5.76e23 --out frontier.png
    """
    from scalefit.allocation import NumericalOptimum, optimum
    from scalefit.storage import load_fit

    check_writable(out)
    fit = load_fit(fit_file)
    added = 0.0
    if drift:
        from scalefit.forecasting import drift_of

        added = drift_of(fit)
    result = optimum(
        fit, compute=_budgets(compute), cost=cost, level=level, at=assignments(at, "--at"), label=fit_file.stem,
        drift=added,
    )  # fmt: skip
    if out is not None:
        if isinstance(result, NumericalOptimum):
            raise DataError("a frontier is drawn for a sum of power terms under a product of powers; leave out --out")
        from scalefit.plots import frontier, save_figure

        save_figure(frontier(result), out)
        print(f"drawn to {out}", file=sys.stderr)
    _show(result, as_json)


@app.command(name="isoflop")
@with_options(*ISOFLOP)
def isoflop_command(
    table: Table,
    given: Given,
    beside: Annotated[
        Path | None, typer.Option(metavar="FIT", help="A saved fit in params and tokens: approach 3.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the best size at each budget directly from the runs (approaches 1 and 2 of Hoffmann et al. 2022).

    Example: scalefit isoflop marin_isoflop --by train_set
    """
    from scalefit.allocation import IsoFlop, isoflop
    from scalefit.allocation.profiles import COLUMNS
    from scalefit.allocation.sweeps import levels_text
    from scalefit.storage import load_fit

    check_mapping(given, COLUMNS, *([given["by"]] if given["by"] else []))
    result = isoflop(table, beside=None if beside is None else load_fit(beside), **given)
    if isinstance(result, IsoFlop):
        _show(result, as_json)
    else:
        print(json.dumps([sweep.record() for sweep in result.values()], indent=1) if as_json else levels_text(result))
        raise typer.Exit(max(sweep.exit_code for sweep in result.values()))


def _budgets(texts: list[str] | None) -> list[float] | None:
    """Read budgets, of which an option may have several."""
    from scalefit.numbers import parse_number

    if texts is None:
        return None
    budgets = []
    for text in ",".join(texts).split(","):
        try:
            budgets.append(parse_number(text.strip()))
        except ValueError as error:
            raise DataError(f"--compute {text!r}: {error}; give budgets in FLOP, such as 1e21,5.76e23") from None
    return budgets


def _show(result: Any, as_json: bool) -> None:
    print(json.dumps(result.record(), indent=1) if as_json else result)
    raise typer.Exit(result.exit_code)
