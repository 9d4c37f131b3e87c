"""Other verbs: list data sets, build the report of a study, print what is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from scalefit.cli.app import Json, Table, Verb, app
from scalefit.cli.completion import complete_law, complete_table
from scalefit.cli.effects import check_picture
from scalefit.cli.options import Given, with_options
from scalefit.errors import DataError, closest
from scalefit.options import LOOK, REPORT
from scalefit.terminal import ProgressLine, check_writable, print_dataset, print_table
from scalefit.version import __version__

Page = Literal["static", "interactive"]
Tables = Literal["markdown", "latex"]
_PAGES = get_args(Page)

__all__ = ["datasets", "info", "laws", "look_command", "report"]


@app.command()
def datasets(
    name: Annotated[
        str | None, typer.Argument(help="The set to describe; default: list all.", autocompletion=complete_table)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the shipped data sets, or describe one: source, licence, columns, known problems."""
    from scalefit.data.datasets import dataset_names, describe_dataset

    infos = [describe_dataset(dataset) for dataset in ([name] if name else dataset_names())]
    if as_json:
        records = [_plain(info) for info in infos]
        print(json.dumps(records[0] if name else records, indent=1))
    elif name:
        print_dataset(infos[0])
    else:
        print_table(["name", "rows", "title"], [[info.name, str(info.rows), info.title] for info in infos], right=(1,))
        print("scalefit datasets NAME describes one, with its known problems")


def _plain(info: Any) -> dict[str, Any]:
    from dataclasses import asdict

    record: dict[str, Any] = asdict(info)
    return record


@app.command(name="look")
@with_options(*LOOK)
def look_command(
    table: Table,
    given: Given,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw the loss against each column to this file (svg, png, pdf).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Describe a strange table in one screen: columns, repeats, runs, the law it could support, what to run next.

    Example: scalefit look runs.csv --plot runs.png
    """
    from scalefit.report import look

    check_picture(plot)
    seen = look(table, **given)
    if plot is not None:
        from scalefit.plots import save_figure

        save_figure(seen.plot(), plot)
        print(f"drawn to {plot}", file=sys.stderr)
    print(json.dumps(seen.record(), indent=1) if as_json else seen)


@app.command()
def laws(
    name: Annotated[
        str | None, typer.Argument(help="The law to describe; all are listed without it.", autocompletion=complete_law)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the laws that have a name, or describe one: formula, columns, source.

    Example: scalefit laws parscale
    """
    from scalefit.law.general import parse_law
    from scalefit.law.presets import LAWS

    if name is not None and name not in LAWS:
        raise DataError(f"there is no law {name!r}; {closest(name, LAWS)}")
    records = []
    for law_name, preset in LAWS.items() if name is None else [(name, LAWS[name])]:
        law = parse_law(law_name).decided(preset.columns)
        columns = [law.response, *(preset.columns or (*law.variables, *law.groups))]
        records.append(
            {"name": law_name, "law": preset.law, "columns": columns, "source": preset.source, "note": preset.note}
            | {"certified": law.has_certified_search, "data": preset.data}
        )  # fmt: skip
    if as_json:
        print(json.dumps(records if name is None else records[0], indent=1))
    elif name is None:
        print_table(
            ["name", "law", "source"], [[str(record[key]) for key in ("name", "law", "source")] for record in records]
        )
    else:
        print(_described(records[0]))


def _described(law: dict[str, Any]) -> str:
    """Say what a law is, where it comes from, and how to try it."""
    search = "certified" if law["certified"] else "the best of many starts; nothing certifies it"
    lines = [law["law"], f"  columns  {', '.join(law['columns'])}", f"  source   {law['source']}"]
    lines += [f"  note     {law['note']}"] if law["note"] else []
    lines += [f"  optimum  {search}"]
    return "\n".join([*lines, *([f"  try      scalefit fit {law['data']} {law['name']}"] if law["data"] else [])])


class _Report(Verb):
    """The verb report, whose --html may stand alone: then it means a static page."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        pairs = zip(args, [*args[1:], ""], strict=True)
        return super().parse_args(
            ctx, [f"{word}=static" if word == "--html" and after not in _PAGES else word for word, after in pairs]
        )


@app.command(cls=_Report)
@with_options(*REPORT)
def report(
    given: Given,
    study: Annotated[
        Path | None, typer.Argument(help="A study.toml, or its folder; see reports/chinchilla-width.")
    ] = None,
    new: Annotated[
        Path | None, typer.Option("--new", help="Create this folder with a study of --data, and build it.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="With --new: a file, a folder or a pattern, which is copied; repeat it for more."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The PDF; default: next to the study.")] = None,
    html: Annotated[
        Page | None,
        typer.Option(
            "--html",
            metavar="[static|interactive]",
            help="Also write one HTML file; interactive: points say what they are.",
        ),
    ] = None,
    tables: Annotated[
        Tables | None, typer.Option("--tables", help="Also write the tables of the report to a file next to the PDF.")
    ] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Take less time: few draws; every page is marked.")] = False,
) -> None:
    """Build a study's PDF, or start a study of a new table.

    Example: scalefit report reports/chinchilla-width/study.toml, or: scalefit report --new my-study --data runs.csv
    """
    from scalefit.report import new_study
    from scalefit.report.build import build_study

    if (study is None) == (new is None) or (new is None) != (not data):
        raise DataError("give a study.toml to build, or --new FOLDER with --data TABLE to start one")
    if new is not None and data:
        if out is not None:  # before the folder is made, which would be in the way of the corrected command
            check_writable(out)
        study = new_study(
            new, data, tell=lambda sentence: print(f"  {sentence}", file=sys.stderr), **given,
        )  # fmt: skip
        print(f"written: {study}", file=sys.stderr)
    elif given.written:
        flag = given.flags[min(given.written)]
        raise DataError(f"{flag} goes with --new; a study that is there has its settings in study.toml")
    assert study is not None
    with ProgressLine() as progress:
        built = build_study(study, out=out, html=html, tables=tables, draft=draft, progress=progress)
    print(built.pdf)
    for path in built.also:
        print(path)
    if built.unanswered:
        print(f"these rows do not answer the main question: its fit is {built.unanswered}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def info(as_json: Json = False) -> None:
    """Print versions, cores, data folder and which extras are installed."""
    import os
    from importlib import metadata
    from importlib.util import find_spec

    from scalefit.data.datasets import data_directory
    from scalefit.solver.compiled import cache_is_cold

    extras = {"bayes": "pymc", "toy": "torch", "report": "typst", "cluster": "distributed", "excel": "openpyxl"}
    core = ("numpy", "scipy", "pandas", "numba", "statsmodels", "lmfit", "matplotlib")
    record: dict[str, Any] = {
        "scalefit": __version__,
        "python": sys.version.split()[0],
        **{name: metadata.version(name) for name in core},
        "cores": os.cpu_count(),
        "data": str(data_directory()),
        "kernels": "not compiled yet" if cache_is_cold() else "compiled",
        **{f"extra {name}": "installed" if find_spec(module) else "missing" for name, module in extras.items()},
    }
    if as_json:
        print(json.dumps(record, indent=1))
    else:
        for key, value in record.items():
            print(f"{key:14s} {value}")
