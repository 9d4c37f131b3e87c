"""The application that the verbs hang on, their shared options, and how errors become exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from scalefit import __version__
from scalefit.errors import DataError, Interrupted, ScalefitError
from scalefit.escape import visible
from scalefit.terminal import safe_streams

__all__ = ["Json", "Out", "Table", "app", "assignments", "main"]


class _Verbs(TyperGroup):
    """Turn Ctrl-C into one sentence and exit code 130; show usage errors with visible text, as rich prints them."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _visible_usage():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        try:
            with _visible_usage():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; nothing was written") from None


@contextmanager
def _visible_usage() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        usage: Any = error  # of click, which some versions of typer carry under a name of their own
        if hasattr(usage, "format_message"):
            usage.message = visible(str(usage.message))
        raise


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
    os.environ["MPLBACKEND"] = "agg"  # that of a notebook's kernel is not installed everywhere
    with safe_streams():
        _run()


def _run() -> None:
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
