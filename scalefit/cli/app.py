"""The application that the verbs belong to, their shared options, and how errors become exit codes."""

from __future__ import annotations

import gc
import os
import platform
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from scalefit.cli.completion import complete_law, complete_table
from scalefit.errors import DataError, FitFailed, Interrupted, ScalefitError
from scalefit.files import brief
from scalefit.law.presets import LAWS
from scalefit.table import page_of
from scalefit.terminal import safe_streams, working
from scalefit.version import __version__

__all__ = ["Application", "Json", "LawText", "Out", "Table", "Verb", "app", "assignments", "main"]

F = TypeVar("F", bound=Callable[..., Any])

REFUSED, DEFECT, INTERRUPTED = 2, 70, 130  # exit codes; 70 is EX_SOFTWARE of sysexits.h
USAGE: Final[type[Exception]] = typer.BadParameter.mro()[2]  # click's ClickException, which some releases of typer copy


VERBS: Final[Mapping[str, tuple[str, ...]]] = {  # as `scalefit --help` lists them
    "Fit a table": ("fit", "look", "predict", "show", "bayes", "report"),
    "Judge a result": ("compare", "sensitivity", "calibrate"),
    "Spend compute": ("forecast", "plan", "backtest", "optimum", "isoflop"),
    "Test theories": ("toy", "heads", "losses", "frequencies", "superposition", "shift-head"),
    "What is here": ("datasets", "laws", "info"),
}
PANELS: Final[Mapping[str, str]] = {verb: panel for panel, verbs in VERBS.items() for verb in verbs}
OUTPUTS: Final = frozenset({"as_json", "draft", "held", "html", "out", "plot"})  # what a verb writes, and where
PRESETS: Final = f"Presets: {', '.join(LAWS)}. scalefit laws describes them."


class Verb(TyperCommand):
    """A verb that rejects arguments that would be ignored: empty texts, and an option given twice."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for param in self.params:
            if param.name in OUTPUTS and getattr(param, "rich_help_panel", None) is None:
                param.rich_help_panel = "Output"  # type: ignore[attr-defined]
            if param.name == "law":
                self.epilog = PRESETS

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of click, after a look at them."""
        _refuse_empty(args)
        order: list[Any] = self.make_parser(ctx).parse_args(args=list(args))[2]
        for param in order:
            repeatable = param.param_type_name != "option" or param.multiple or param.is_flag
            if not repeatable and sum(other is param for other in order) > 1:
                raise DataError(f"{param.opts[0]} is given twice, and only one could be used; give it once")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb under a first sign of life, which goes when it ends."""
        working.show()
        try:
            return super().invoke(ctx)
        finally:
            working.clear()


class _Verbs(TyperGroup):
    """The verbs in the order of their use, under headings."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, command in self.commands.items():
            command.rich_help_panel = PANELS.get(name)  # type: ignore[attr-defined]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  the signature is typer's
        order = list(PANELS)
        return sorted(self.commands, key=lambda verb: order.index(verb) if verb in order else len(order))


class Application(typer.Typer):
    """A group of verbs."""

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **settings: Any
    ) -> Callable[[F], F]:
        """Register a verb; the parameters are those of typer."""
        return super().command(name, cls=cls or Verb, **settings)


app = Application(
    name="scalefit",
    help="Refit neural scaling laws: certified optima, intervals with measured coverage, a PDF report.",
    cls=_Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Table = Annotated[
    str,
    typer.Argument(
        help="A file (CSV, TSV, Parquet, JSON), - for stdin, or a data set's name.", autocompletion=complete_table
    ),
]
LawText = Annotated[
    str,
    typer.Argument(
        help="A law such as 'loss ~ E + A/params^alpha', or a preset's name, listed below.", autocompletion=complete_law
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write the result to this file.")]


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"scalefit {__version__}")
        raise typer.Exit


def assignments(texts: list[str] | None, option: str) -> dict[str, str]:
    """Read repeated ``name=value`` options; a name that is given twice is an error."""
    pairs = [text.partition("=") for text in texts or ()]
    values: dict[str, str] = {}
    for name, equals, value in pairs:
        if not (name.strip() and equals and value.strip()):
            raise DataError(f"{option} {name + equals + value!r} is not understood; write {option} name=value")
        if name.strip() in values:
            raise DataError(f"{option} is given twice for {name.strip()!r}, and only one could be used; give it once")
        values[name.strip()] = value.strip()
    return values


def _refuse_empty(args: list[str]) -> None:
    for place, text in enumerate(args):
        before = args[place - 1] if place else ""
        named = before if before.startswith("-") and "=" not in before else "an argument"
        if not text.strip():
            raise DataError(f"{named} is empty; give it a value, or leave it out")
        if text.startswith("--") and text.endswith("=") and text.count("=") == 1:
            raise DataError(f"{text[:-1]} is empty; give it a value, or leave it out")


# Objects between two searches for garbage. Modules and what the compiler knows live until the end, and to look through
# them at the usual 700 takes an eighth of the time of a fit.
SELDOM: Final = 200_000


def main() -> None:
    """Run the command line; every outcome has an exit code, and every error a message.

    0 success; 1 the result is written, but not converged or not identified; 2 the input, the options or a file cannot
    be used; 70 a bug in scalefit, whose traceback is in a file that the message names; 130 interrupted.
    """
    gc.set_threshold(SELDOM)
    os.environ["MPLBACKEND"] = "agg"  # the backend of a notebook's kernel may not be installed here
    has_output = _open_streams()
    with safe_streams(), page_of(shutil.get_terminal_size((0, 0)).columns):
        code = (
            _outcome(_run)
            if has_output
            else _refuse("standard output is closed, so the result cannot be written; send it to a file or a pipe")
        )
    sys.exit(code)


def _run() -> int:
    """Call the verb, and flush its output."""
    if sys.argv[1:] == ["--version"]:
        print(f"scalefit {__version__}")
        code: Any = 0
    else:
        command: Any = typer.main.get_command(app)
        if "_SCALEFIT_COMPLETE" in os.environ:
            command.main(prog_name="scalefit")  # the shell asks for what may follow; prints it and exits
        try:
            with command.make_context("scalefit", sys.argv[1:]) as ctx:
                code = command.invoke(ctx)
        except typer.Exit as leave:
            code = leave.exit_code
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _outcome(run: Callable[[], int]) -> int:
    """Turn every exception of a call into one message on stderr and an exit code."""
    try:
        return run()
    except (KeyboardInterrupt, Interrupted) as error:
        print(str(error) or "interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    except FitFailed as error:
        return _refuse(str(error))  # a verb that cannot continue without this fit; nothing was written
    except ScalefitError as error:
        return _refuse(str(error), error.exit_code)
    except USAGE as error:
        return _refuse_usage(error)
    except BrokenPipeError:
        _silence(sys.stdout, sys.stderr)  # the reader has closed the pipe, as head does
        return 0
    except SystemExit as leave:
        if isinstance(leave.__context__, BrokenPipeError):  # how rich puts it
            _silence(sys.stdout, sys.stderr)
            return 0
        raise
    except OSError as error:
        _silence(sys.stdout)
        place = repr(os.fsdecode(error.filename)) if error.filename is not None else "standard output"
        return _refuse(f"{place} cannot be used: {error.strerror or error}; check the name, permissions and free space")
    except MemoryError as error:
        return _refuse(f"there is not enough memory ({brief(error)}); ask for fewer replicates, draws or rows")
    except RecursionError:
        return _refuse("something in the input is nested too deeply; write it with fewer brackets")
    except OverflowError as error:
        return _refuse(f"a number in the input is too large ({brief(error)}); give numbers below 1e300")
    except Exception as error:
        return _report(error)


def _open_streams() -> bool:
    """Replace every stream that the caller has closed by the null device; False when there is no standard output."""
    has_output = sys.stdout is not None
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115  as long as the process
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    return has_output


def _refuse(message: str, code: int = REFUSED) -> int:
    """Print one message; if even that cannot be written, only the exit code remains."""
    try:
        print(f"error: {message}", file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)
    return code


def _refuse_usage(error: Any) -> int:
    """Print what is wrong with the command line, as plain text, because a box would cut long names."""
    message, ctx = error.format_message(), getattr(error, "ctx", None)
    if not message.strip():  # a bare `scalefit`, whose help is printed already
        return REFUSED
    help_line = f"\nTry: {ctx.command_path} --help" if ctx is not None else ""
    return _refuse(message + help_line)


def _silence(*streams: Any) -> None:
    """Discard what is still buffered, which the interpreter would fail to flush at exit."""
    for stream in streams:
        try:
            target = os.open(os.devnull, os.O_WRONLY)
            os.dup2(target, stream.fileno())
            os.close(target)
        except (OSError, ValueError, AttributeError):
            continue


def _report(error: Exception) -> int:
    """Write the traceback of a bug to a file, and say how to report it."""
    what = f"{type(error).__name__}: {brief(error)}"
    words = f"scalefit {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    words += f"{sys.argv!r}\n{''.join(traceback.format_exception(error))}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="scalefit-error-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(words)
        place = f"the traceback is in {file.name}"
    except OSError:
        print(words, file=sys.stderr)
        place = "the traceback is above"
    return _refuse(
        f"this is a bug in scalefit, not in your input ({what}); {place}. Please report it to the maintainers with "
        "that text, the command and, if you can, the table",
        DEFECT,
    )
