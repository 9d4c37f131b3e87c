"""What the command line shows on a terminal: progress, tables, results, and one early check."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scalefit.errors import DataError

if TYPE_CHECKING:
    from scalefit.datasets import DatasetInfo
    from scalefit.results import Fit

__all__ = ["Progress", "check_writable", "print_dataset", "print_fit", "print_table"]


class Progress:
    """A rich progress line on a terminal's stderr; the library sees a plain callable."""

    def __enter__(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._bar.start()
        self._task = self._bar.add_task("", total=None)
        return self

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show a stage; total 0 when it is not known."""
        if self._bar.disable and stage.startswith("compiling"):
            print(f"{stage} ...", file=sys.stderr)
        self._bar.update(self._task, description=stage, completed=done, total=total or None)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def check_writable(path: Path | None) -> None:
    """Refuse an output path before the computing starts."""
    if path is None:
        return
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DataError(f"cannot write {str(path)!r}; give a file in a folder that exists and that you can write")


def print_fit(result: Fit) -> None:
    """Print a result, its status in colour."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    first, _, rest = result.summary().partition("\n")
    colour = "green" if result.exit_code == 0 else "red"
    console.print(Text(first, style=f"bold {colour}"))
    console.print(Text(rest))


def print_table(header: list[str], rows: list[list[str]], right: tuple[int, ...] = ()) -> None:
    """Print rows of text under a header; ``right`` names the columns that are aligned right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, title in enumerate(header):
        table.add_column(title, justify="right" if place in right else "left", no_wrap=place == 0)
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table, crop=False)


def print_dataset(info: DatasetInfo) -> None:
    """Print what a shipped data set is: source, licence, columns, known problems."""
    print(f"{info.name}: {info.title} ({info.rows} rows)")
    print(f"  licence  {info.licence}")
    print(f"  sources  {'; '.join(map(str, info.sources))}")
    print(f"  sha256   {info.sha256}")
    print_table(["column", "unit", "meaning"], [[one.name, one.unit, one.meaning] for one in info.columns])
    print(info.source_text.strip())
