"""The cells of a toy sweep as a tidy table: one row per model."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pandas as pd

from scalefit.data.datasets import dataset_names, load_dataset
from scalefit.errors import DataError
from scalefit.files import UNREADABLE, brief
from scalefit.jobs import DONE, JobResult, read_job
from scalefit.toy.config import ToyConfig
from scalefit.toy.measures import NORM_STEP
from scalefit.toy.theory import regime

__all__ = [
    "CELLS", "SETTING", "TABLE", "band_measures", "checkpoint_losses", "norm_histograms", "read_cells", "read_model",
    "read_sweep", "setting_regime", "sweep_records",
]  # fmt: skip

CELLS: Final = "cells"
TABLE: Final = "table.csv"
SETTING: Final = (
    "n_features", "frequency", "frequencies", "alpha", "scale", "density", "gamma", "batch", "learning_rate",
    "loss_factor", "dtype", "bias_start", "norm",
)  # fmt: skip
"""Columns that tell settings apart; within one there are widths, seeds and lengths of training."""

MEASURED = ("unrepresented", "bias_mean", "bias_sd")
ALIVE = ("alive", "represented", "dead_loss")
OVERLAPS = ("mean_square", "skewness", "kurtosis", "least_square", "least_skewness", "least_kurtosis")
NORMS = ("least", "lower", "median", "upper", "most")
HALF = 0.75  # a training of at most this share of the steps can stand for half of it
STILL = 0.05  # relative change of the loss with twice the training, below which a model counts as converged


def read_cells(folder: str | os.PathLike[str]) -> list[JobResult]:
    """Read what is stored of a sweep.

    Parameters
    ----------
    folder : path
        The sweep's folder.

    Returns
    -------
    list of JobResult
        Finished and failed models, by file name; empty when there is none.

    Raises
    ------
    DataError
        For a file that is no cell.
    """
    cells = []
    for path in sorted((Path(folder) / CELLS).glob("*.json")):
        try:
            cells.append(read_model(path))
        except UNREADABLE as error:
            raise DataError(
                f"{str(path)!r} is no stored model ({brief(error)}); resume the sweep to train it again"
            ) from None
    return cells


def read_model(path: Path) -> JobResult:
    """Read one stored model; raises one of :data:`scalefit.files.UNREADABLE` where the file is not one."""
    cell = read_job(path)
    _flat(cell)
    return cell


def sweep_records(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return one flat record per model of a sweep, finished or failed.

    Parameters
    ----------
    folder : path
        As given to :func:`scalefit.toy.sweep.toy_sweep`.

    Returns
    -------
    list of dict
        What was trained: ``width, n_features, frequency, alpha, gamma, density, seed, steps, batch`` and the other
        fields of :class:`ToyConfig`; ``frequency`` is ``"given"`` for a list of numbers, which ``frequencies``, the
        start of its digest, tells from other lists.

        What came out: ``loss, loss_se`` at the last step, on ``loss_samples`` samples; ``phi_half, overlap_ms,
        weak_reference, unrepresented, bias_mean, bias_sd, alive, represented, dead_loss`` as in :class:`ToyRun`,
        quantiles of the row norms as ``norm_least`` to ``norm_most``, moments of the overlaps of rows whose outputs
        can fire and their bounds as ``overlap_mean_square`` to ``overlap_least_kurtosis``; ``status`` (``"done"``, or
        ``"failed: ..."`` with the reason), ``device, seconds, scalefit`` (its version) and ``cell``, the name of the
        file. Numbers of a failed model are None.

        Whether it is the end: ``change`` is the relative change of the loss from the same model trained for half as
        long (the nearest to half, at most three quarters); ``converged`` says whether that is below 5%, and is None
        without such a model. ``drift`` is the change over the last tenth of this training. The cosine schedule makes
        it small whatever is left to learn, so that it can show that a model is unfinished and never that it is
        finished.

    Raises
    ------
    DataError
        When the folder holds no sweep, or a file that is no cell.
    """
    cells = read_cells(folder)
    if not cells:
        raise DataError(f"{str(folder)!r} holds no toy sweep; make one with: scalefit toy sweep GRID.toml --out DIR")
    records = [_flat(cell) for cell in cells]
    _compare_lengths(records)
    return sorted(records, key=_place)


def _flat(cell: JobResult) -> dict[str, Any]:
    """Flatten one stored cell."""
    config, value = ToyConfig.from_dict(cell.arguments["config"]), cell.value or {}
    first = ("width", "n_features", "frequency", "alpha", "gamma", "density", "seed", "steps", "batch")
    fields = asdict(config) | {"frequency": config.law, "warmup": config.warmup_steps}
    loss, norms, overlaps = value.get("loss", []), value.get("row_norms") or {}, value.get("overlaps") or {}
    return (
        {name: fields.pop(name) for name in first}
        | {"loss": loss[-1] if loss else None, "loss_se": value["loss_se"][-1] if loss else None}
        | {name: value.get(name) for name in ("phi_half", "overlap_ms", "weak_reference")}
        | {"status": DONE if cell.status == DONE else f"failed: {cell.reason}", "converged": None, "change": None}
        | {"drift": _relative(*loss[-2:]) if len(loss) > 1 else None}
        | fields
        | {"frequencies": _digest(config)}
        | {name: value.get(name) for name in MEASURED}
        | {name: value.get(name) for name in ALIVE}
        | {f"norm_{name}": norms.get(name) for name in NORMS}
        | {f"overlap_{name}": overlaps.get(name) for name in OVERLAPS}
        | {"loss_samples": value.get("loss_samples")}
        | {"device": value.get("device"), "seconds": cell.seconds}
        | {"scalefit": cell.versions.get("scalefit"), "cell": cell.key}
    )


def _relative(before: float, after: float) -> float | None:
    """Relative change; None from 0, which is the loss where nothing was active in any sample."""
    return after / before - 1 if before else None


def _digest(config: ToyConfig) -> str | None:
    if config.law != "given":
        return None
    return hashlib.sha256(json.dumps(config.frequency).encode()).hexdigest()[:8]


def _compare_lengths(records: Iterable[dict[str, Any]]) -> None:
    """Compare each model with itself after half the training."""
    lengths: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in records:
        if record["loss"] is not None:
            lengths.setdefault(tuple(record[name] for name in (*SETTING, "width", "seed")), []).append(record)
    for same in lengths.values():
        for record in same:
            steps = record["steps"]
            shorter = [row for row in same if row["steps"] <= HALF * steps]
            if shorter:
                half = min(shorter, key=lambda row: abs(row["steps"] - steps / 2))
                change = record["change"] = _relative(half["loss"], record["loss"])
                record["converged"] = None if change is None else abs(change) < STILL


def _place(record: dict[str, Any]) -> tuple[Any, ...]:
    """Sort by setting, length of training, seed and width; what a law does not have comes first."""
    numbers = ("n_features", "alpha", "scale", "density", "gamma", "batch", "steps", "seed", "width")
    known = [-math.inf if record[name] is None else record[name] for name in numbers]
    return record["frequency"], record["frequencies"] or "", str(record["learning_rate"]), *known, record["cell"]


def read_sweep(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the table of a sweep.

    Parameters
    ----------
    folder : path
        As given to :func:`scalefit.toy.sweep.toy_sweep`; or the name of a data set of toy models, where there is no
        such folder.

    Returns
    -------
    DataFrame
        One row per model, columns as in :func:`sweep_records`; a data set has some of them.

    Raises
    ------
    DataError
        When the folder holds no sweep, or a file that is no cell.
    """
    name = os.fspath(folder)
    if name in dataset_names() and not Path(name).exists():
        return load_dataset(name)
    return pd.DataFrame(sweep_records(folder))


def setting_regime(rows: pd.DataFrame) -> str:
    """Name the regime of models of one setting: that of most of them, by :func:`scalefit.toy.theory.regime`.

    Parameters
    ----------
    rows : DataFrame
        Models, with ``represented``; tables from before version 0.2, which do not tell outputs that are dead, have
        ``phi_half`` instead.

    Returns
    -------
    {"weak", "between", "strong"}
        The first of these by name where several are as frequent.
    """
    share = rows["phi_half"] if "phi_half" in rows else rows["represented"]
    if "represented" in rows:
        share = rows["represented"].fillna(share)
    names = [regime(*row) for row in zip(share, rows["n_features"], rows["width"], strict=True)]
    return max(sorted(set(names)), key=names.count)


def checkpoint_losses(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the losses at the checkpoints of every finished model.

    Parameters
    ----------
    folder : path
        As given to :func:`scalefit.toy.sweep.toy_sweep`.

    Returns
    -------
    DataFrame
        The columns that tell models apart, ``phi_half``, and ``step, loss, loss_se``: a row per checkpoint.

    Raises
    ------
    DataError
        When the folder holds no sweep, or a file that is no cell.
    """
    stored = {cell.key: cell.value or {} for cell in read_cells(folder)}
    rows = []
    for record in sweep_records(folder):
        value = stored[record["cell"]]
        own = {name: record[name] for name in ("cell", "width", "seed", "steps", "phi_half", *SETTING)}
        points = zip(*(value.get(name, ()) for name in ("checkpoints", "loss", "loss_se")), strict=True)
        rows += [own | {"step": step, "loss": loss, "loss_se": error} for step, loss, error in points]
    return pd.DataFrame(rows)


def band_measures(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Read what was measured by frequency.

    Parameters
    ----------
    folder : path
        As given to :func:`scalefit.toy.sweep.toy_sweep`.

    Returns
    -------
    DataFrame
        The columns that tell models apart, and those of :class:`scalefit.toy.measures.Band`: a row per model and band.

    Raises
    ------
    DataError
        When the folder holds no sweep, or a file that is no cell.
    """
    stored = {cell.key: cell.value or {} for cell in read_cells(folder)}
    rows = []
    for record in sweep_records(folder):
        own = {name: record[name] for name in ("cell", "width", "seed", "steps", *SETTING)}
        rows += [own | band for band in stored[record["cell"]].get("bands") or ()]
    return pd.DataFrame(rows)


def norm_histograms(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Read how the norms of the rows of W are distributed.

    Parameters
    ----------
    folder : path
        As given to :func:`scalefit.toy.sweep.toy_sweep`.

    Returns
    -------
    DataFrame
        The columns that tell models apart, ``loss, phi_half, represented``, and ``norm, share``: a row per model and
        class, the share of its rows with a norm from ``norm`` to the next class.

    Raises
    ------
    DataError
        When the folder holds no sweep, or a file that is no cell.
    """
    stored = {cell.key: cell.value or {} for cell in read_cells(folder)}
    rows = []
    for record in sweep_records(folder):
        names = ("cell", "width", "seed", "steps", "loss", "loss_se", "phi_half", "represented", *SETTING)
        own = {name: record[name] for name in names}
        counts = (stored[record["cell"]].get("row_norms") or {}).get("counts", ())
        rows += [own | {"norm": k * NORM_STEP, "share": count / sum(counts)} for k, count in enumerate(counts)]
    return pd.DataFrame(rows)
