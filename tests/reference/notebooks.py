"""Run the notebooks from a clean kernel and store what they show: ``python -m tests.reference.notebooks [NAME ...]``.

What changes from run to run, such as times, counts of a machine and progress on stderr, is not stored.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


def execute(notebook: Any) -> Any:
    """Run a copy in a temporary folder and return it without anything that belongs to this run alone."""
    copy = nbformat.from_dict(notebook)
    with TemporaryDirectory() as folder:
        client = NotebookClient(
            copy, timeout=300, kernel_name="python3", record_timing=False, resources={"metadata": {"path": folder}}
        )
        client.execute()
    copy.metadata["language_info"] = {"name": "python"}
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs = joined([output for output in cell.outputs if output.get("name") != "stderr"])
    return copy


def joined(outputs: list[Any]) -> list[Any]:
    """Join what was printed in a row: a busy kernel sends it in pieces."""
    kept: list[Any] = []
    for output in outputs:
        if kept and output.output_type == kept[-1].output_type == "stream":
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def main(names: list[str]) -> None:
    """Run the notebooks named, or all, and write them back."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if names and path.stem not in names:
            continue
        started = time.perf_counter()
        notebook = execute(nbformat.read(path, as_version=4))
        nbformat.write(notebook, path)
        print(f"{path.name}: {time.perf_counter() - started:.1f} s, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
