"""The verb that compares saved fits."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli.app import Json, app
from scalefit.cli.options import Given, with_options
from scalefit.errors import DataError
from scalefit.options import COMPARE
from scalefit.terminal import ProgressLine

if TYPE_CHECKING:
    from scalefit.comparison import LevelComparisons

__all__ = ["compare_command"]

ROW = "row"


@app.command(name="compare")
@with_options(*COMPARE)
def compare_command(
    fits: Annotated[list[Path], typer.Argument(metavar="FIT...", help="Files written by fit --out or bayes --out.")],
    param: Annotated[str, typer.Option(help="The parameter; its names in other fits follow after commas.")],
    given: Given,
    published: Annotated[
        list[str] | None, typer.Option(help="NAME=0.91,0.04, or the key of a shipped value such as liu2025.alpha.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", help="One comparison for each label of this column: fits are done again on its rows."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare fits with a value, with each other and with published values, and laws fitted to the same rows.

    Example: scalefit compare a.fit b.fit --param a_m --reference 1 --region 0.9,1.1 --published paper=0.91,0.04
    """
    from scalefit.comparison import Comparison, compare, compare_levels
    from scalefit.forecasting.coverage import fit_coverage_words
    from scalefit.results import PosteriorFit
    from scalefit.storage import load_fit

    named = _once([(_label(path, fits), load_fit(path)) for path in fits], "FIT")
    posteriors = [fit for fit in named.values() if isinstance(fit, PosteriorFit)]
    weighed = given["reference"] is not None or bool(given["fixed"])
    given.refuse_idle(
        COMPARE, fixed=not posteriors and "without a posterior (a fit by scalefit bayes)",
        priors=not (posteriors and weighed)
        and "without a posterior whose exponent is tested by --reference or --fixed",
        leave_out=len(posteriors) < 2 and "with fewer than two posteriors, because it is for leave-one-out scores",
    )  # fmt: skip
    if by == ROW:
        raise DataError("--by row: --by takes a column of labels; scores that leave out rows have --leave-out row")
    printed = _once(list(map(_published, published or [])), "--published")
    result: Comparison | LevelComparisons
    with ProgressLine() as progress:
        if by is None:
            result = compare(named, param, published=printed, progress=progress, **given)
        else:
            result = compare_levels(named, param, by, published=printed, progress=progress, **given)
    print(json.dumps(result.record(), indent=1) if as_json else result)
    if isinstance(result, Comparison) and result.split is not None:
        rows = result.split.held
        scored = [named[score.label] for score in result.held_out]
        for words in dict.fromkeys(fit_coverage_words(fit, fit.rows[~rows], fit.rows[rows]) for fit in scored):
            print(words, end="\n" if words else "", file=sys.stderr)
    raise typer.Exit(result.exit_code)


def _label(path: Path, paths: list[Path]) -> str:
    """Name a fit by its file, with the folder if two files have the same name."""
    return path.stem if [path.stem for path in paths].count(path.stem) == 1 else str(path)


def _once(pairs: list[tuple[str, Any]], option: str) -> dict[str, Any]:
    """Make a mapping; a name that is given twice is an error."""
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{option} {twice[0]!r} is given twice; give it once, or another name")
    return dict(pairs)


def _published(text: str) -> tuple[str, tuple[float, float] | None]:
    """Read NAME=VALUE,ERROR; anything else is the key of a shipped value."""
    name, equals, numbers = text.partition("=")
    if not equals:
        return text, None
    if "," not in numbers:
        raise DataError(
            f"--published {text} has no standard error; need NAME=VALUE,ERROR, such as {name}={numbers or 0.91},0.04. "
            "A value without an error is tested by --reference"
        )
    return name.strip(), _pair(numbers, f"--published {name}=")


def _pair(text: str, option: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise DataError(f"{option} is {text!r}; it needs two numbers, such as 0.9,1.1")
    return _number(parts[0], option), _number(parts[1], option)


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{option}: {text!r} is not a number") from None
