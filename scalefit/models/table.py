"""A table of measured heads: one row per model, written at once, so that a second call measures only new models."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from scalefit.errors import DataError, Interrupted
from scalefit.files import parse_json, read_kept, write_atomically
from scalefit.models.checkpoint import open_checkpoint
from scalefit.models.heads import HeadMeasurement, NormHistogram, fingerprint, measure_prepared, prepare
from scalefit.options import HEADS, HeadOptions, gather, takes

__all__ = ["details_path", "measure_heads", "read_heads"]

LABELS: Final = ("family", "run", "tensor", "dtype", "final_norm", "fingerprint")
COUNTS: Final = ("width", "hidden_size", "depth", "vocab", "rows", "zero_rows", "unused_rows", "identical_rows")
QUANTILE: Final = "norm_q"


@takes(*HEADS)
def measure_heads(
    paths: Iterable[str | os.PathLike[str]],
    *options: HeadOptions,
    out: str | os.PathLike[str] | None = None,
    family: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    **keywords: Any,
) -> list[HeadMeasurement]:
    """Measure the output heads of checkpoints.

    Parameters
    ----------
    paths : iterable of path
        Hugging Face folders, or single safetensors or GGUF files.
    *options : HeadOptions
        Options as a value.
    out : path, optional
        A CSV table, written after each model. Rows whose weights and options are the same are not measured again, rows
        of other models stay. Histograms of norms and eigenvalues go into a file next to it, ``NAME.details.json``.
    family : str, optional
        Label of all these models; each config's model_type when omitted.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.HeadOptions`, which are listed there.

    Returns
    -------
    list of HeadMeasurement
        In the order of the paths.

    Raises
    ------
    DataError
        For a checkpoint that cannot be measured, and an ``out`` that is another table. Names, headers and configs of
        all checkpoints are checked before the first is measured.
    Interrupted
        On Ctrl-C; finished rows are kept.

    Examples
    --------
    >>> measure_heads([])
    []
    """
    (chosen,) = gather(HEADS, options, keywords)
    table = [] if out is None else _table_so_far(Path(out))
    opened = [open_checkpoint(path) for path in paths]
    runs = _runs([checkpoint.path for checkpoint in opened], [checkpoint.name for checkpoint in opened])
    prepared = [prepare(checkpoint, chosen) for checkpoint in opened]
    known = {head.fingerprint: head for head in table}
    heads: list[HeadMeasurement] = []
    try:
        for ready, run in zip(prepared, runs, strict=True):
            key = fingerprint(ready)
            label = family or ready.checkpoint.model_type or run
            if key in known:  # perhaps under another name
                head = replace(
                    known[key], family=label, run=run, hidden_size=ready.hidden_size, depth=ready.depth,
                    tensor=ready.head.tensor.name, tied=ready.head.tied, remarks=ready.remarks,
                )  # fmt: skip
            else:
                head = replace(measure_prepared(ready, key, family=label, progress=progress), run=run)
            heads.append(head)
            if out is not None:
                table = _with(table, head)
                _write(Path(out), table)
    except KeyboardInterrupt:
        kept = f"kept in {str(out)!r}; the same command resumes from there" if out is not None else "lost"
        raise Interrupted(f"interrupted; {len(heads)} of {len(prepared)} heads are measured and {kept}") from None
    return heads


def _runs(paths: Sequence[Path], names: Sequence[str]) -> list[str]:
    """Return a label for each model, with its parent folder if two have the same name."""
    often = Counter(names)
    runs = [
        name if often[name] == 1 else f"{path.resolve().parent.name}/{name}"
        for path, name in zip(paths, names, strict=True)
    ]
    for run, times in Counter(runs).items():
        if times > 1:
            given = [str(path) for path, other in zip(paths, runs, strict=True) if other == run]
            raise DataError(f"{' and '.join(map(repr, given[:2]))} would both be named {run!r}; pass one of them")
    return runs


def _with(table: Sequence[HeadMeasurement], head: HeadMeasurement) -> list[HeadMeasurement]:
    """Replace the row of the same model in a table, or append the head."""
    if any((row.family, row.run) == (head.family, head.run) for row in table):
        return [head if (row.family, row.run) == (head.family, head.run) else row for row in table]
    return [*table, head]


def details_path(out: str | os.PathLike[str]) -> Path:
    """Return the path of the histograms and eigenvalues of a table of heads.

    Parameters
    ----------
    out : path
        The table.

    Returns
    -------
    Path
        ``heads.details.json`` for ``heads.csv``.
    """
    return Path(out).with_suffix(".details.json")


def _write(out: Path, table: Sequence[HeadMeasurement]) -> None:
    """Write both files; the table last, because readers start from it."""
    details = {
        head.fingerprint: {"norms": head.norms._asdict(), "spectrum": head.spectrum, "remarks": head.remarks}
        for head in table
    }
    write_atomically(details_path(out), (json.dumps(details, indent=1) + "\n").encode())
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    records = [head.record() for head in table]
    writer.writerow(records[0])
    writer.writerows([_cell(value) for value in record.values()] for record in records)
    write_atomically(out, stream.getvalue().encode())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _table_so_far(out: Path) -> list[HeadMeasurement]:
    """Return the rows of an earlier call; other files are an error, damaged rows are measured again."""
    details = details_path(out)
    if details.exists() and not _are_details(details):
        raise DataError(
            f"{str(details)!r} exists and holds no details of a table of scalefit heads, which would be written over "
            "it; give another file as out, or move it"
        )
    if not out.exists():
        return []
    return read_heads(out, strict=False)


def read_heads(table: str | os.PathLike[str], *, strict: bool = True) -> list[HeadMeasurement]:
    """Read a table of heads with its details.

    Parameters
    ----------
    table : path
        A table written by :func:`measure_heads`.
    strict : bool
        Reject a row that cannot be read, such as one without its details; False skips it.

    Returns
    -------
    list of HeadMeasurement
        In the order of the table.

    Raises
    ------
    DataError
        When it is not a table of heads.
    """
    path = Path(table)
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
        columns, rows = set(reader.fieldnames or ()), list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{str(path)!r} cannot be read ({error}); give a table of scalefit heads") from None
    if not {"fingerprint", "overlap_ms_effective"} <= columns:
        raise DataError(f"{str(path)!r} is not a table of scalefit heads; give another file")
    details = read_kept(details_path(path), _details, consequence="it is ignored") or {}
    heads = []
    for number, row in enumerate(rows, 1):
        try:
            heads.append(_from_row(row, details[row["fingerprint"]]))
        except (KeyError, TypeError, ValueError) as error:
            if strict:
                raise DataError(
                    f"{str(path)!r}, row {number} cannot be read together with {details_path(path).name} ({error!r}); "
                    "measure it again"
                ) from None
    return heads


def _are_details(file: Path) -> bool:
    """Whether a file is one that :func:`_write` wrote for some table."""
    try:
        details = parse_json(file.read_bytes())
    except (OSError, ValueError):
        return False
    parts = {"norms", "spectrum", "remarks"}
    return isinstance(details, dict) and all(
        isinstance(detail, dict) and set(detail) == parts for detail in details.values()
    )


def _details(file: Path) -> dict[str, Any]:
    return dict(parse_json(file.read_bytes()))


def _from_row(row: dict[str, str], details: dict[str, Any]) -> HeadMeasurement:
    values: dict[str, Any] = {}
    for name, text in row.items():
        if name.startswith(QUANTILE):
            values.setdefault("norm_quantiles", []).append(float(text))
        elif name in LABELS:
            values[name] = text
        elif text == "":
            values[name] = None
        elif name == "tied":
            values[name] = {"true": True, "false": False}[text]
        else:
            values[name] = int(text) if name in COUNTS else float(text)
    values["norm_quantiles"] = tuple(values["norm_quantiles"])
    norms = NormHistogram(*(tuple(details["norms"][name]) for name in NormHistogram._fields))
    spectrum = tuple((int(rank), float(value)) for rank, value in details["spectrum"])
    return HeadMeasurement(**values, norms=norms, spectrum=spectrum, remarks=tuple(details["remarks"]))
