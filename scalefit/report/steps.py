"""The work beside the fits: sensitivity, calibration, toy sweeps, output heads; kept by cell in the study's cache."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from scalefit.consistency import Check, check_sweep
from scalefit.data.sources import is_folder, locate
from scalefit.data.tables import read_table
from scalefit.errors import FitFailed
from scalefit.law.additive import Law
from scalefit.models import HeadMeasurement, read_heads
from scalefit.models.table import details_path
from scalefit.models.theory import Superposition, superposition
from scalefit.options import CALIBRATE, CHECK, SENSITIVITY, SUPERPOSITION
from scalefit.progress import Progress
from scalefit.report.provenance import file_digest
from scalefit.report.runners import Engine, code_hash, command_line, sampler_versions
from scalefit.report.study import StepSpec, as_plain
from scalefit.robustness import Calibration, Sensitivity, calibrate, sensitivity
from scalefit.toy import ToyGrid, toy_sweep
from scalefit.toy.records import read_sweep

__all__ = [
    "STEPS",
    "HeadsResult",
    "StepFailed",
    "StepResult",
    "ToyResult",
    "jobs_folder",
    "run_step",
    "step_command",
    "step_key",
]


class ToyResult(NamedTuple):
    """A sweep and what it says of 1/m.

    Parameters
    ----------
    table : DataFrame
        One row per model, at the end of its training.
    check : Check
        Its fits, beside theory and language models.
    """

    table: pd.DataFrame
    check: Check


class HeadsResult(NamedTuple):
    """A table of output heads and what it says of superposition.

    Parameters
    ----------
    test : Superposition
        The tests of the theory.
    heads : tuple of HeadMeasurement
        The heads with their norms, where the table is one of ``scalefit heads``; else empty.
    """

    test: Superposition
    heads: tuple[HeadMeasurement, ...]


class StepFailed(NamedTuple):
    """A step that has no result.

    Parameters
    ----------
    reason : str
        What stood in its way, and what to do.
    """

    reason: str


StepResult = Sensitivity | Calibration | ToyResult | HeadsResult | StepFailed


class Step(NamedTuple):
    """One kind of work beside the fits.

    Parameters
    ----------
    engine : Engine
        The library's function.
    run : callable
        Calls it: ``run(spec, folder of the study, folder of the cells, progress)``.
    """

    engine: Engine
    run: Callable[[StepSpec, Path, Path, Progress | None], StepResult]


def run_step(spec: StepSpec, folder: Path, cells: Path, progress: Progress | None) -> StepResult:
    """Run a step, or go on with it where it was stopped.

    Parameters
    ----------
    spec : StepSpec
        The step.
    folder : Path
        Where the user's tables lie.
    cells : Path
        Where finished cells are kept.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Sensitivity, Calibration, ToyResult, HeadsResult or StepFailed
        By the kind of the step, or why there is none: a report says so and goes on.

    Raises
    ------
    DataError
        When its options or its table cannot be used.
    Interrupted
        On Ctrl-C; finished cells are kept.
    MissingExtra
        When it needs a package that is not installed.
    """

    def report(stage: str, done: int, total: int) -> None:
        if progress is not None:
            progress(f"{spec.name}: {stage}", done, total)

    try:
        return STEPS[spec.kind].run(spec, folder, cells, report)
    except FitFailed as error:
        return StepFailed(str(error))


def step_key(spec: StepSpec, folder: Path) -> str:
    """Name a step by everything that its result depends on."""
    options = as_plain(dict(sorted(spec.options.items())))
    law = str(Law.parse(spec.law)) if spec.law else ""
    content = [spec.kind, spec.data, file_digest(folder, spec.grid or spec.data), law, spec.label or spec.name, options]
    content += [file_digest(folder, spec.losses)] if spec.losses else []
    if spec.kind == "heads" and (details := details_path(folder / spec.data)).is_file():
        content.append(file_digest(folder, str(details.relative_to(folder))))
    return sha256(json.dumps([*content, _code(spec)]).encode()).hexdigest()[:32]


def jobs_folder(spec: StepSpec, folder: Path) -> str:
    """Name the folder of a step's finished cells: shared by all choices of a kind, apart for each sweep."""
    about = f"{_code(spec)} {file_digest(folder, spec.grid)}" if spec.grid else _code(spec)
    return f"{spec.kind}-{sha256(about.encode()).hexdigest()[:12]}"


def _code(spec: StepSpec) -> str:
    """Return what computes a step: code and packages; a cell that failed for want of NUTS is not kept for ever."""
    return f"{code_hash(STEPS[spec.kind].engine.folders)} {'' if spec.kind == 'toy' else sampler_versions()}"


def step_command(spec: StepSpec) -> list[str]:
    """Write a step as the command lines that repeat it."""
    if spec.kind == "toy":
        sweep = [f"scalefit toy sweep {shlex.quote(spec.grid)} --out {spec.name}"] if spec.grid else []
        return [*sweep, f"scalefit toy check {shlex.quote(spec.data or spec.name)}"]
    if spec.kind == "heads":
        losses = f" --losses {shlex.quote(spec.losses)}" if spec.losses else ""
        overlap = f" --overlap {shlex.quote(spec.options['overlap'])}" if spec.options.get("overlap") else ""
        return [f"scalefit superposition {shlex.quote(spec.data)}{losses}{overlap}"]
    return [command_line(STEPS[spec.kind].engine, spec.data, spec.law, spec.options)]


def _sensitivity(spec: StepSpec, folder: Path, cells: Path, progress: Progress | None) -> Sensitivity:
    return sensitivity(_table(spec, folder), spec.law, folder=cells, progress=progress, **spec.options)


def _calibration(spec: StepSpec, folder: Path, cells: Path, progress: Progress | None) -> Calibration:
    return calibrate(_table(spec, folder), spec.law, folder=cells, progress=progress, **spec.options)


def _toy(spec: StepSpec, folder: Path, cells: Path, progress: Progress | None) -> ToyResult:
    if spec.grid:
        table = toy_sweep(ToyGrid.read(folder / spec.grid), cells, resume=True, progress=progress)
    else:
        source = locate(spec.data, folder)
        whole = isinstance(source, Path) and is_folder(source)
        table = read_sweep(source) if whole else read_table(source).frame
    return ToyResult(table, check_sweep(table, progress=progress, **spec.options))


def _heads(spec: StepSpec, folder: Path, _: Path, progress: Progress | None) -> HeadsResult:
    source = _table(spec, folder)
    losses = locate(spec.losses, folder) if spec.losses else None
    test = superposition(source, losses, progress=progress, **spec.options)
    measured = isinstance(source, Path) and details_path(source).is_file()
    return HeadsResult(test, tuple(read_heads(source)) if measured else ())


def _table(spec: StepSpec, folder: Path) -> str | Path:
    return locate(spec.data, folder)


_FOLDERS = ("data", "law", "options", "solver", "leastsq", "posterior", "jobs")

STEPS: Mapping[str, Step] = MappingProxyType(
    {
        "sensitivity": Step(Engine(sensitivity, "sensitivity", SENSITIVITY, (*_FOLDERS, "robustness")), _sensitivity),
        "calibration": Step(Engine(calibrate, "calibrate", CALIBRATE, (*_FOLDERS, "robustness")), _calibration),
        "toy": Step(Engine(check_sweep, "toy check", CHECK, (*_FOLDERS, "comparison", "toy", "consistency")), _toy),
        "heads": Step(Engine(superposition, "superposition", SUPERPOSITION, (*_FOLDERS, "models")), _heads),
    }
)
