"""Verbs that run many fits: how far an answer depends on choices, and whether intervals reach nominal coverage."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli.app import Json, LawText, Table, app
from scalefit.cli.effects import check_mapping
from scalefit.cli.options import Given, with_options
from scalefit.errors import DataError
from scalefit.options import CALIBRATE, SENSITIVITY
from scalefit.options.verbs import SAME
from scalefit.terminal import ProgressLine, check_writable

__all__ = ["calibrate_command", "sensitivity_command"]

Picture = Annotated[Path | None, typer.Option("--out", help="Draw the result to this file (svg, png, pdf).")]
By = Annotated[str | None, typer.Option("--by", help="One analysis for each label of this column, as a table.")]


@app.command(name="sensitivity")
@with_options(*SENSITIVITY)
def sensitivity_command(
    table: Table, law: LawText, given: Given, by: By = None, out: Picture = None, as_json: Json = False
) -> None:
    """Estimate one parameter under other cuts, likelihoods, clusters, priors and conventions; see how far it moves.

    The options of rows and posterior are the base, in which one or several choices are varied.

    Example: scalefit sensitivity chinchilla width_depth --param a_m --reference 1 --drop-highest-loss 40
    """
    from scalefit.robustness import sensitivity, sensitivity_levels

    varied = given["vary"] or {}
    cut = given["drop_highest_loss"] or not varied or "drop_highest_loss" in varied
    given.refuse_idle(SENSITIVITY, ties=not cut and "without --drop-highest-loss")
    check_mapping(given, law, *_names(varied), *([by] if by else []))
    if by is not None:
        if out is not None:
            raise DataError(f"--out {out} has no effect with --by, which prints a table; draw one level with --where")
        with ProgressLine() as progress:
            levels = sensitivity_levels(table, law, by, progress=progress, **given)
        print(json.dumps(levels.record(), indent=1) if as_json else levels)
        raise typer.Exit(levels.exit_code)
    _check_picture(out)
    with ProgressLine() as progress:
        result = sensitivity(table, law, progress=progress, **given)
    _show(result, out, as_json)
    raise typer.Exit(result.exit_code)


@app.command(name="calibrate")
@with_options(*CALIBRATE)
def calibrate_command(table: Table, law: LawText, given: Given, out: Picture = None, as_json: Json = False) -> None:
    """Simulate data with known parameters on the rows of a table, fit them, and measure the coverage of the intervals.

    Likelihood and cluster are those of the simulated data.

    Example: scalefit calibrate chinchilla width_depth --likelihood normal --cluster shape --fit-cluster none
    """
    from scalefit.robustness import calibrate

    no_posterior = given["engine"] == "leastsq" and given["truth"] == "prior" and "with --engine leastsq"
    given.refuse_idle(CALIBRATE, path=no_posterior)
    other = given["fit_cluster"]
    check_mapping(given, law, *([] if other in (None, SAME) else [other]))
    _check_picture(out)
    with ProgressLine() as progress:
        result = calibrate(table, law, progress=progress, **given)
    _show(result, out, as_json)
    raise typer.Exit(result.exit_code)


def _names(varied: dict[str, str]) -> list[str]:
    """Return every word in what is varied; a column that is mapped to one of them is used."""
    return re.findall(r"\w+", " ".join(varied.get(name, "") for name in ("where", "weights", "cluster")))


def _check_picture(out: Path | None) -> None:
    """Reject a figure that cannot be drawn, before anything is computed."""
    check_writable(out)
    if out is not None and out.suffix.lower() not in (".svg", ".png", ".pdf"):
        raise DataError(f"cannot draw to {out.name!r}; end the name with .svg, .png or .pdf")


def _show(result: Any, out: Path | None, as_json: bool) -> None:
    if out is not None:
        from scalefit.plots.style import save_figure

        save_figure(result.plot(), out)
        print(f"drawn to {out}", file=sys.stderr)
    print(json.dumps(result.record(), indent=1) if as_json else result)
