"""Train a grid of toy models, and keep each as it finishes."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pandas as pd

from scalefit.errors import DataError, Interrupted, closest
from scalefit.files import read_kept, write_atomically
from scalefit.jobs import DONE, FAILED, JobResult, job_key, read_job, run_jobs
from scalefit.progress import Progress
from scalefit.toy.config import ToyConfig
from scalefit.toy.engine import models_at_once
from scalefit.toy.grid import SAMPLES, ToyGrid, check_loss_samples
from scalefit.toy.groups import gpu_method, kept_groups
from scalefit.toy.model import LAST, LAST_SAMPLES, ToyRun
from scalefit.toy.records import CELLS, TABLE, checkpoint_losses, read_cells, read_model, read_sweep, sweep_records
from scalefit.toy.train import DEVICES, train_toy

__all__ = ["checkpoint_losses", "read_sweep", "sweep_records", "toy_sweep", "train_batch", "train_cell"]

BATCHES: Final = "batches"  # holds what a GPU has just trained, until each model has its own file
CHECKPOINTS: Final = 10
TABLE_EVERY: Final = 10.0  # seconds, so that a sweep can be fitted while it runs, or after it was killed


def toy_sweep(
    grid: ToyGrid,
    out: str | os.PathLike[str],
    *,
    device: str = "cpu",
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    loss_samples: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Train every model of a grid.

    Parameters
    ----------
    grid : ToyGrid
        The models.
    out : path
        A folder, which :func:`scalefit.fit` takes as a table. ``cells/`` gets one file per model as it finishes,
        ``table.csv`` the tidy table of all models in the folder, also those of earlier grids.
    device : {"cpu", "cuda"}
        Where to train: a core for each model, or a GPU for many models of one width at a time.
    workers : int, optional
        Processes on the CPU; one per core when omitted.
    scheduler : str, optional
        Address of a dask.distributed scheduler, whose workers are used instead; with ``device="cuda"`` give each of
        them one GPU.
    resume : bool
        Go on in a folder that has a sweep: finished models are kept, failed ones run again, models that are new in
        the grid are added, and batches that a GPU was training go on from their last checkpoint.
    loss_samples : int, optional
        Samples behind the loss of each trained model, at least; the grid's when omitted. Losses on the way take a
        sixteenth of them.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    DataFrame
        As :func:`read_sweep` of the folder.

    Raises
    ------
    DataError
        When the folder holds something else, or a sweep and ``resume`` is not given, or one from another device, whose
        random numbers differ; and when an option cannot be used.
    MissingExtra
        CUDA without torch, or a scheduler without ``distributed``.
    Interrupted
        On Ctrl-C; what was finished is kept.
    """
    folder = Path(out)
    samples = grid.loss_samples if loss_samples is None else check_loss_samples(loss_samples)
    _check_device(device, workers, scheduler)
    stored = _check_folder(folder, device, resume)
    if device == "cuda" and scheduler is None:
        _check_engine(folder, stored)
    todo = {_key(config): config for config in sorted(grid.models, key=_work, reverse=True)}
    _check_samples(folder, [cell for cell in stored if cell.key in todo], samples)
    with_samples = {} if samples == LAST_SAMPLES else {SAMPLES: samples}  # cells from before this key have none
    report = _with_table(folder, progress or (lambda *_: None))
    try:
        if device == "cpu":
            cells = {key: {"config": config.to_dict()} | with_samples for key, config in todo.items()}
            run_jobs(
                train_cell, cells, folder=folder / CELLS, workers=workers, scheduler=scheduler, retry_failed=resume,
                stage="training toy models", progress=report,
            )  # fmt: skip
        else:
            done = {cell.key for cell in stored if cell.status == DONE}
            left = [todo[key] for key in todo if key not in done]
            _train_in_batches(left, with_samples, folder, scheduler, report)
    except (KeyboardInterrupt, Interrupted):
        done = {cell.key for cell in read_cells(folder) if cell.status == DONE}
        raise Interrupted(
            f"interrupted; {len(done & set(todo))} of {len(todo)} models are finished and are kept in {str(folder)!r}; "
            "go on from there by --resume (resume=True)"
        ) from None
    finally:
        _write_table(folder)
    return read_sweep(folder)


def _check_device(device: str, workers: int | None, scheduler: str | None) -> None:
    """Refuse a device that is not there before anything is written."""
    if device not in DEVICES:
        raise DataError(f"device {device!r} is not known: {closest(device, DEVICES)}")
    if device == "cuda" and workers is not None:
        raise DataError(f"workers = {workers} with device 'cuda': one process feeds the GPU; leave workers out")
    if device == "cuda" and scheduler is None:
        gpu_method()


def _check_folder(folder: Path, device: str, resume: bool) -> list[JobResult]:
    """Return what a folder holds of a sweep, and refuse one that must not be written to."""
    _unpack(folder)
    if resume:
        _set_aside(folder)
    stored = read_cells(folder)
    damaged = any((folder / CELLS).glob("*.damaged"))
    if not stored and not damaged and (folder / TABLE).exists():
        raise DataError(f"{str(folder)!r} has a {TABLE} that is not of a sweep; name another folder")
    if stored and not resume:
        raise DataError(
            f"{str(folder)!r} holds a sweep already; go on with it by --resume (resume=True), or name another folder"
        )
    others = {_device_of(cell) for cell in stored} - {device}
    if others:
        raise DataError(
            f"{str(folder)!r} holds models trained with device {others.pop()!r}, where other random numbers are drawn; "
            "use that device, or name another folder"
        )
    return stored


def _check_samples(folder: Path, stored: Iterable[JobResult], samples: int) -> None:
    """Refuse to go on with models whose loss was measured otherwise: their parameters are not stored."""
    for cell in stored:
        before = cell.arguments.get(SAMPLES, LAST_SAMPLES)
        if before != samples:
            raise DataError(
                f"loss_samples = {samples}, but {str(folder)!r} holds models of this grid measured with "
                f"loss_samples = {before}; use that number, or name another folder"
            )


def _set_aside(folder: Path) -> None:
    """Take damaged models out of a sweep: those of the grid are trained again, the others are at least named."""
    for path in sorted((folder / CELLS).glob("*.json")):
        aside = path.with_suffix(".damaged")
        what = f"it is kept as {aside.name!r}, and trained again where the grid has it"
        if read_kept(path, read_model, consequence=what) is None:
            path.replace(aside)


def _check_engine(folder: Path, stored: Iterable[JobResult]) -> None:
    """Refuse to go on with or without Triton where it was the other way: they draw other random numbers."""
    engines = {"triton" in cell.value["versions"] for cell in stored if cell.value}
    if engines - {"triton" in gpu_method().versions}:
        word = "with" if True in engines else "without"
        raise DataError(f"{str(folder)!r} holds models trained {word} Triton; go on {word} it, or name another folder")


def _device_of(cell: JobResult) -> str:
    return str(cell.arguments.get("device", "cpu"))


def _key(config: ToyConfig) -> str:
    return job_key(config.to_dict(), f"m{config.width}")


def _work(config: ToyConfig) -> int:
    """Estimate the time of a training: the longest come first, so that no core is left alone with one at the end."""
    return config.steps * config.width * config.n_features


def train_cell(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Train one model on one core; what a worker runs.

    Parameters
    ----------
    arguments : mapping
        ``config``: the fields of a :class:`ToyConfig`; ``loss_samples``, where it is not the usual number.

    Returns
    -------
    dict
        The record of the run.

    Raises
    ------
    DataError
        When its loss is not finite, so that the cell is stored as failed with this reason.
    """
    config = ToyConfig.from_dict(arguments["config"])
    (run,) = _trainer(arguments)([config], checkpoints=CHECKPOINTS, workers=1)
    if not run.done:
        raise DataError(_reason(run.status))
    return run.to_dict()


def train_batch(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Train models together on a GPU; what a worker runs.

    Parameters
    ----------
    arguments : mapping
        ``configs``: the fields of each :class:`ToyConfig`; ``device``; ``keep``, as in :func:`train_toy`;
        ``loss_samples``, where it is not the usual number.

    Returns
    -------
    dict
        ``runs``: their records; a model that failed is one of them, with its status.
    """
    configs = [ToyConfig.from_dict(config) for config in arguments["configs"]]
    train, device = _trainer(arguments), arguments["device"]
    runs = train(configs, checkpoints=CHECKPOINTS, device=device, keep=arguments.get("keep"))
    return {"runs": [run.to_dict() for run in runs]}


def _trainer(arguments: Mapping[str, Any]) -> Callable[..., tuple[ToyRun, ...]]:
    """Return the trainer, with the number of samples behind losses on the way where one is given."""
    return partial(train_toy, loss_samples=-(-arguments[SAMPLES] // LAST)) if SAMPLES in arguments else train_toy


def _reason(status: str) -> str:
    return status.removeprefix("failed: ")


def _train_in_batches(
    models: Iterable[ToyConfig], with_samples: dict[str, int], folder: Path, scheduler: str | None, report: Progress
) -> None:
    """Train models of one shape together, here or on a scheduler's workers.

    Batches leave checkpoints in the folder, from which another worker goes on where it sees the same folder.
    """
    kept = (folder / BATCHES).resolve()
    batches = _batches(models, kept)
    cells = [{"configs": [config.to_dict() for config in batch], "device": "cuda"} | with_samples for batch in batches]

    def unpack_and_report(stage: str, done: int, total: int) -> None:
        _unpack(folder)
        report(stage, done, total)

    try:
        run_jobs(
            train_batch, {job_key(cell): cell for cell in cells}, shared={"keep": str(kept)}, folder=kept,
            scheduler=scheduler, workers=1 if scheduler is None else None, stage="training batches of toy models",
            progress=unpack_and_report,
        )  # fmt: skip
    finally:
        _unpack(folder)
        if not kept_groups(kept):
            shutil.rmtree(kept, ignore_errors=True)


def _batches(models: Iterable[ToyConfig], kept: Path) -> list[list[ToyConfig]]:
    """Choose models to train together: first those that a checkpoint holds, then as many of one shape as fill a GPU."""

    def shape(config: ToyConfig) -> tuple[Any, ...]:
        """Tell apart what cannot share a product, and keep like samples together."""
        same = (config.width, config.n_features, config.batch, config.steps, config.warmup_steps, config.loss_factor)
        return -_work(config), *same, config.dtype, config.norm

    wanted = dict.fromkeys(models)
    batches = [group for group in kept_groups(kept) if wanted.keys() >= set(group)]
    left = wanted.keys() - {config for group in batches for config in group}
    ordered = sorted(
        (config for config in wanted if config in left), key=lambda config: (shape(config), config.density)
    )
    for _, alike in groupby(ordered, key=shape):
        group = list(alike)
        size = models_at_once(group[0])
        batches += [group[k : k + size] for k in range(0, len(group), size)]
    return batches


def _unpack(folder: Path) -> None:
    """Give each model of the batches that have come back a file of its own."""
    for path in sorted((folder / BATCHES).glob("*.json")):
        cells = read_kept(path, _cells_of, consequence="its models are trained again")
        (folder / CELLS).mkdir(exist_ok=True)
        for cell in cells or ():
            write_atomically(folder / CELLS / f"{cell.key}.json", json.dumps(asdict(cell), indent=1).encode())
        path.unlink()


def _cells_of(path: Path) -> list[JobResult]:
    """Read a batch, and take it apart."""
    batch = read_job(path)
    configs = batch.arguments["configs"]
    runs = batch.value["runs"] if batch.value else [None] * len(configs)
    return [_cell_of(batch, config, run) for config, run in zip(configs, runs, strict=True)]


def _cell_of(batch: JobResult, config: dict[str, Any], run: dict[str, Any] | None) -> JobResult:
    """Return one model of a batch, as if it had been trained alone."""
    own = replace(
        batch,
        key=_key(ToyConfig.from_dict(config)),
        arguments={name: value for name, value in batch.arguments.items() if name != "configs"} | {"config": config},
        value=run,
        seconds=batch.seconds / len(batch.arguments["configs"]),
    )
    if run is not None and run["status"] != DONE:
        return replace(own, status=FAILED, value=None, reason=_reason(run["status"]))
    return own


def _with_table(folder: Path, report: Progress) -> Progress:
    """Write the table now and then while the sweep runs."""
    written = time.monotonic()

    def watch(stage: str, done: int, total: int) -> None:
        nonlocal written
        report(stage, done, total)
        if time.monotonic() - written > TABLE_EVERY:
            _write_table(folder)
            written = time.monotonic()

    return watch


def _write_table(folder: Path) -> None:
    if any((folder / CELLS).glob("*.json")):
        text = io.StringIO()
        read_sweep(folder).to_csv(text, index=False)
        write_atomically(folder / TABLE, text.getvalue().encode())
