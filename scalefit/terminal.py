"""Terminal output of the command line: progress, tables, results, and a check of output paths."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scalefit.errors import DataError
from scalefit.escape import one_line, visible
from scalefit.numbers import counted
from scalefit.progress import SlowStage

if TYPE_CHECKING:
    from rich.console import Console

    from scalefit.data.datasets import DatasetInfo
    from scalefit.results import Fit

__all__ = [
    "ProgressLine",
    "WorkingLine",
    "check_outputs",
    "check_writable",
    "print_dataset",
    "print_fit",
    "print_table",
    "safe_streams",
    "working",
]


class WorkingLine:
    """A word on the terminal while a verb loads its libraries; it is gone before anything else is printed."""

    def __init__(self) -> None:
        self._stream: Any = None

    def show(self) -> None:
        """Write the word to stderr, where that is a terminal that can take it away again."""
        if sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown"):
            self._stream = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
            self._stream.write("working ...")
            self._stream.flush()

    def clear(self) -> None:
        """Take it away."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            stream.write("\r\x1b[2K")
            stream.flush()


working: Final = WorkingLine()


class _SafeStream(io.TextIOBase):
    """A stream that shows control characters instead of executing them.

    rich writes to the stream below it: the colours and the progress line are control characters on purpose, and every
    text that this module passes to rich is made visible first.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self.rich_proxied_file = stream  # where rich looks for the real file

    def write(self, text: str) -> int:
        working.clear()
        self.rich_proxied_file.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]  # typeshed allows bytes here
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self.rich_proxied_file.flush()

    def isatty(self) -> bool:
        return bool(self.rich_proxied_file.isatty())

    def fileno(self) -> int:
        return int(self.rich_proxied_file.fileno())

    def writable(self) -> bool:
        return True

    @property
    def closed(self) -> bool:
        return bool(self.rich_proxied_file.closed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Make everything that is printed safe for the terminal: text from outside may contain control characters.

    A terminal that lacks ± or − shows a question mark in its place.
    """
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = (None if stream is None else _SafeStream(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _console(**options: Any) -> Console:
    """Return rich's console; what is printed on it must be visible text, without markup."""
    from rich.console import Console

    working.clear()
    return Console(highlight=False, markup=False, emoji=False, **options)


class ProgressLine:
    """A rich progress line on a terminal's stderr; the library sees a plain callable."""

    def __enter__(self) -> ProgressLine:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        console = _console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Bar(
            *columns, console=console, transient=True, disable=not console.is_terminal,
            redirect_stdout=False, redirect_stderr=False,  # rich would pass on control characters of others
        )  # fmt: skip
        self._bar.start()
        self._task = self._bar.add_task("", total=None)
        self._printed: set[str] = set()
        return self

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show a stage; total 0 when it is not known."""
        if self._bar.disable and isinstance(stage, SlowStage) and stage not in self._printed:
            self._printed.add(stage)
            print(f"{stage} ...", file=sys.stderr)
        self._bar.update(self._task, description=one_line(stage), completed=done, total=total or None)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def check_writable(path: Path | None) -> None:
    """Reject an output path that cannot be written, before anything is computed."""
    if path is None:
        return
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DataError(f"cannot write {str(path)!r}; give a file in a folder that exists and that you can write")


CHECKPOINT_SUFFIXES: Final = frozenset({".bin", ".gguf", ".json", ".model", ".safetensors", ".txt"})


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[str | os.PathLike[str] | None]) -> None:
    """Reject outputs that cannot be written, or that would replace an input or one another, before any work.

    Parameters
    ----------
    outputs : iterable of Path or None
        Files to be written; None for one that is not requested.
    inputs : iterable of path or None
        Files that are read; a folder means the files of a checkpoint in it, not tables and figures that an earlier call
        may have written there.

    Raises
    ------
    DataError
        For the first of them. Paths are compared after links are followed.
    """
    read = set()
    for given in inputs:
        if given is not None:
            place = Path(given).resolve()
            files = [place, *place.iterdir()] if place.is_dir() else []
            read |= {place} | {file.resolve() for file in files if file.suffix.lower() in CHECKPOINT_SUFFIXES}
    written: set[Path] = set()
    for output in outputs:
        if output is None:
            continue
        check_writable(output)
        place = output.resolve()
        if place in read:
            raise DataError(f"{str(output)!r} is an input of this command and would be written over; name another file")
        if place in written:
            raise DataError(f"{str(output)!r} would be written twice by this command; name another file")
        written.add(place)


def print_fit(result: Fit) -> None:
    """Print a result, its status in colour."""
    from rich.text import Text

    console = _console(soft_wrap=True)
    first, _, rest = visible(result.summary()).partition("\n")
    colour = "green" if result.exit_code == 0 else "red"
    console.print(Text(first, style=f"bold {colour}"))
    console.print(Text(rest))


def print_table(header: list[str], rows: list[list[str]], right: tuple[int, ...] = ()) -> None:
    """Print rows of text under a header; ``right`` names the columns that are aligned right.

    Parameters
    ----------
    header : list of str, length k
        Column heads.
    rows : list of list of str, each of length k
        Cells.
    right : tuple of int
        Columns that are aligned right.
    """
    from rich import box
    from rich.table import Table as RichTable

    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, title in enumerate(header):
        table.add_column(
            visible(title), justify="right" if place in right else "left", no_wrap=place == 0, overflow="fold"
        )
    for row in rows:
        table.add_row(*map(visible, row))
    _console().print(table, crop=False)


def print_dataset(info: DatasetInfo) -> None:
    """Print the description of a shipped data set: source, licence, columns, known problems."""
    print(f"{info.name}: {info.title} ({counted(info.rows, 'row')})")
    print(f"  licence  {info.licence}")
    print(f"  sources  {'; '.join([*info.sources, *info.repositories])}")
    print(f"  sha256   {info.sha256}")
    if info.note:
        print(f"  note     {info.note}")
    print_table(["column", "unit", "meaning"], [[column.name, column.unit, column.meaning] for column in info.columns])
    print(info.source_text.strip())
