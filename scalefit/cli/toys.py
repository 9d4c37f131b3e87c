"""Verbs for the toy model of superposition: train a grid of models, show their losses, compare them with 1/m."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli.app import Application, Json, app
from scalefit.cli.completion import complete_toy_plot
from scalefit.cli.effects import check_plot
from scalefit.cli.options import Given, with_options
from scalefit.errors import DataError
from scalefit.numbers import fixed, percent
from scalefit.options import CHECK
from scalefit.terminal import ProgressLine, check_writable

if TYPE_CHECKING:
    from scalefit.toy import ToyGrid

__all__ = ["toy", "toy_check", "toy_grid", "toy_show", "toy_sweep", "toy_theory"]

toy = Application(no_args_is_help=True)
app.add_typer(toy, name="toy", help="The toy model of superposition: losses from first principles.")

Sweep = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder of a sweep; to draw or to check, also a data set's name.")
]

Sweeps = Annotated[
    list[Path],
    typer.Argument(metavar="DIR...", help="The folder of a sweep or a data set's name; to draw, also several."),
]

DEFAULT = "default"
SETTING = (
    "n_features", "frequency", "frequencies", "alpha", "scale", "density", "gamma", "batch", "learning_rate",
    "bias_start", "norm", "steps", "seed",
)  # fmt: skip
SHOWN = ("width", "loss", "phi_half", "alive", "overlap_ms", "weak_reference", "change", "converged", "status")


@toy.command(name="grid")
def toy_grid() -> None:
    """Print the default grid, as a start for your own.

    Example: scalefit toy grid > grid.toml
    """
    from scalefit.toy.grid import DEFAULT_GRID

    print(DEFAULT_GRID, end="")


@toy.command(name="sweep")
def toy_sweep(
    grid: Annotated[str, typer.Argument(metavar="GRID.toml", help="What to train, or the word default.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where each model is saved as it finishes.")],
    device: Annotated[str, typer.Option(help="cpu, or cuda for many models at a time on a GPU.")] = "cpu",
    workers: Annotated[int | None, typer.Option(help="Processes on the CPU; default: one per core.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler, such as tcp://host:8786; one GPU per worker.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue in DIR: train missing models, and failed ones again.")
    ] = False,
    loss_samples: Annotated[
        int | None,
        typer.Option(help="Samples behind the loss of a trained model; default: the grid's, else 1,048,576."),
    ] = None,
) -> None:
    """Train a grid of toy models; DIR is then a TABLE for fit and bayes.

    Example: scalefit toy sweep default --out sweep
    """
    from scalefit.toy import toy_sweep as run_sweep

    models = _grid(grid)
    with ProgressLine() as progress:
        table = run_sweep(
            models, out, device=device, workers=workers, scheduler=scheduler, resume=resume, loss_samples=loss_samples,
            progress=progress,
        )  # fmt: skip
    failed = table[table["status"] != "done"]
    print(f"{len(table) - len(failed)} of {len(table)} models are trained; their table is {out / 'table.csv'}")
    for width, status in failed[["width", "status"]].drop_duplicates().itertuples(index=False):
        print(f"width {width} {status}", file=sys.stderr)
    raise typer.Exit(int(len(failed) > 0))


def _grid(text: str) -> ToyGrid:
    from scalefit.toy import ToyGrid

    return ToyGrid.default() if text == DEFAULT and not Path(text).exists() else ToyGrid.read(text)


@toy.command(name="show")
def toy_show(
    folders: Sweeps,
    plot: Annotated[
        str | None,
        typer.Option(
            help="Draw glance, losses, slopes, map, represented, alive, norms, skewness, overlaps, convergence or "
            "training; needs --out.",
            autocompletion=complete_toy_plot,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The figure: svg, png or pdf.")] = None,
    where: Annotated[str | None, typer.Option(help="Models to show: 'gamma == -1 and alpha > 1'.")] = None,
    as_json: Json = False,
) -> None:
    """Print the models of a sweep, or draw them.

    Example: scalefit toy show sweep --plot losses --out losses.png
    """
    if plot is not None or out is not None:
        from scalefit.plots.toy import KINDS

        check_plot(plot, out, KINDS, of=" of a sweep")
        if as_json:
            raise DataError("--json has no effect with --plot; leave it out")
    check_writable(out)
    if plot is not None and out is not None:
        from scalefit.plots.style import save_figure
        from scalefit.plots.toy import draw_sweep

        save_figure(draw_sweep(folders, plot, where=where), out)
        print(f"drawn to {out}", file=sys.stderr)
        return
    if len(folders) > 1:
        listed = ", ".join(repr(str(folder)) for folder in folders)
        raise DataError(f"{listed}: models are printed of one sweep at a time; draw several by --plot")
    records = _records(folders[0], where)
    if as_json:
        print(json.dumps(records, indent=1))
    else:
        _print_models(folders[0], records)


def _records(folder: Path, where: str | None) -> list[dict[str, Any]]:
    from scalefit.data.where import parse_where
    from scalefit.toy.records import read_sweep

    table = read_sweep(folder)
    missing = table.astype(object).where(table.notna(), None)  # JSON has no NaN
    records = [dict(zip(missing.columns, row, strict=True)) for row in missing.itertuples(index=False)]
    if where is None:
        return records
    chosen = parse_where(where).mask(table)
    if not chosen.any():
        raise DataError(f"no model of {str(folder)!r} satisfies where={where}; show all of them without it")
    return [record for record, keep in zip(records, chosen, strict=True) if keep]


def _print_models(folder: Path, records: list[dict[str, Any]]) -> None:
    """Print what all models have in common on one line, and what differs as a table."""
    from scalefit.table import PrintedTable

    known = [name for name in SETTING if name in records[0]]  # a data set has fewer columns than a sweep
    varied = [name for name in known if len({str(record[name]) for record in records}) > 1]
    shared = [f"{name} {records[0][name]}" for name in known if name not in varied and records[0][name] is not None]
    failed = sum(record.get("status", "done") != "done" for record in records)
    print(f"{folder}: {len(records)} models, {failed} failed" + (f"; {', '.join(shared)}" if shared else ""))
    header = [*varied, *(name for name in SHOWN if name in records[0])]
    rows = [[_cell(record, name) for name in header] for record in records]
    print(PrintedTable.of(header, rows, "r" * len(header)).text())
    if "change" in header:
        print("change: of the loss, from the same model after half the training; converged: it changed by less than 5%")


def _cell(record: dict[str, Any], name: str) -> str:
    from scalefit.numbers import plus_minus

    value = record[name]
    if name == "converged":
        return {True: "yes", False: "no", None: "unknown"}[value]
    if value is None:
        return ""
    if name == "loss":
        return plus_minus(value, record["loss_se"])
    if name == "change":
        return percent(value, 1, sign=True)
    return fixed(value, 4) if name in SHOWN and isinstance(value, float) else str(value)


@toy.command(name="theory")
def toy_theory(
    widths: Annotated[str, typer.Option(help="Widths m: 10,15,25, or 10..100 for ten of them in equal ratios.")],
    n: Annotated[int, typer.Option("--n", help="Number of features.")] = 1000,
    frequency: Annotated[str, typer.Option(help="Law of the frequencies: power, exponential or linear.")] = "power",
    alpha: Annotated[float | None, typer.Option(help="Exponent of the power law i^-alpha.")] = None,
    scale: Annotated[float | None, typer.Option(help="Decay length of the exponential law.")] = None,
    density: Annotated[float, typer.Option(help="Mean number of active features.")] = 1.0,
    norm: Annotated[str, typer.Option(help="free, or unit for rows of unit norm.")] = "free",
) -> None:
    """Print the losses that theory gives as a CSV table for fit: random directions, best arrangement, weak sum.

    Example: scalefit toy theory --n 1000 --alpha 1 --widths 10..100 > theory.csv
    """
    from scalefit.toy import ToyConfig
    from scalefit.toy.predict import theory_of, theory_table

    chosen = _widths(widths)
    config = ToyConfig(width=1, n_features=n, frequency=frequency, alpha=alpha, scale=scale, density=density, norm=norm)
    table = theory_table(config, chosen)
    print(table.dropna(axis=1, how="all").to_csv(index=False, float_format="%.6g", lineterminator="\n"), end="")
    for sentence in theory_of(config, chosen).left_out:
        print(sentence, file=sys.stderr)


def _widths(text: str) -> list[int]:
    """Read a list of widths, or a range of ten in equal ratios."""
    low, dots, high = text.partition("..")
    try:
        given = [int(word) for word in ((low, high) if dots else text.split(","))]
    except ValueError:
        given = []
    if not given or min(given) < 1 or (dots and given[0] >= given[1]):
        raise DataError(f"widths = {text}: give whole numbers, as 10,15,25 or as 10..100 for ten widths between them")
    if not dots:
        return given
    return sorted({round(given[0] * (given[1] / given[0]) ** (k / 9)) for k in range(10)})


@toy.command(name="check")
@with_options(*CHECK)
def toy_check(folder: Sweep, given: Given, as_json: Json = False) -> None:
    """Fit a sweep as real runs are fitted, and compare it with 1/m, with theory and with language models.

    Example: scalefit toy check sweep
    """
    from scalefit.consistency import check_sweep

    with ProgressLine() as progress:
        check = check_sweep(folder, progress=progress, **given)
    print(json.dumps(check.record(), indent=1) if as_json else check.summary())
