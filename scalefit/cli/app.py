"""The application that the verbs hang on, their shared options, and how errors become exit codes."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from scalefit import __version__
from scalefit.errors import DataError, Interrupted, ScalefitError

__all__ = ["Json", "Out", "Table", "app", "assignments", "main"]


class _Verbs(TyperGroup):
    """Turn Ctrl-C into one sentence and exit code 130."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; nothing was written") from None


app = typer.Typer(
    name="scalefit",
    cls=_Verbs,
    help="Refit neural scaling laws: certified optima, measured intervals, a PDF to send on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Table = Annotated[
    str, typer.Argument(help="A file (CSV, TSV, Parquet, JSON lines), - for stdin, or a data set's name.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write the result to this file.")]


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"scalefit {__version__}")
        raise typer.Exit


def assignments(texts: list[str] | None, option: str) -> dict[str, str]:
    """Read repeated ``name=value`` options."""
    pairs = [text.partition("=") for text in texts or ()]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise DataError(f"{option} {name + equals + value!r} is not understood; write {option} name=value")
    return {name.strip(): value.strip() for name, _, value in pairs}


def main() -> None:
    """Run the command line; every deliberate error becomes one message and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± or − still gets its result
    if sys.argv[1:] == ["--version"]:
        print(f"scalefit {__version__}")
        return
    try:
        app()
    except Interrupted as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except ScalefitError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
