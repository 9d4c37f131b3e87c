"""The steps of a study: every computation other than a fit, how it is run, repeated and kept."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from scalefit.allocation import IsoFlop, isoflop
from scalefit.comparison import LevelFits, fit_levels
from scalefit.consistency import Check, check_sweep
from scalefit.data.sources import is_folder, locate
from scalefit.data.tables import read_table
from scalefit.data.where import parse_where
from scalefit.errors import DataError, FitFailed
from scalefit.forecasting import Forecast, forecast
from scalefit.law.general import parse_law
from scalefit.models import HeadMeasurement, read_heads
from scalefit.models.table import details_path
from scalefit.models.theory import Superposition, superposition
from scalefit.options import CALIBRATE, CHECK, FIT, FORECAST, ISOFLOP, SENSITIVITY, SUPERPOSITION, plain
from scalefit.options import command as option_words
from scalefit.progress import Progress
from scalefit.report.provenance import file_digest
from scalefit.report.runners import Runner, code_hash, command_line, sampler_versions
from scalefit.report.study import (
    CalibrationStep,
    ForecastStep,
    HeadsStep,
    IsoFlopStep,
    LevelsStep,
    SensitivityStep,
    Step,
    ToyStep,
    options_of,
)
from scalefit.robustness import Calibration, Sensitivity, calibrate, sensitivity
from scalefit.toy import ToyGrid, toy_sweep
from scalefit.toy.records import read_sweep

__all__ = [
    "STEPS",
    "HeadsResult",
    "IsoFlopResult",
    "StepFailed",
    "StepResult",
    "ToyResult",
    "jobs_folder",
    "read_target",
    "run_step",
    "step_command",
    "step_key",
]


class ToyResult(NamedTuple):
    """A sweep and its comparison with 1/m.

    Parameters
    ----------
    table : DataFrame
        One row per model, at the end of its training.
    check : Check
        Its fits, compared with theory and language models.
    """

    table: pd.DataFrame
    check: Check


class HeadsResult(NamedTuple):
    """A table of output heads and its tests of superposition.

    Parameters
    ----------
    test : Superposition
        The tests of the theory.
    heads : tuple of HeadMeasurement
        The heads with their norms, where the table is one of ``scalefit heads``; else empty.
    """

    test: Superposition
    heads: tuple[HeadMeasurement, ...]


class IsoFlopResult(NamedTuple):
    """The best sizes at the budgets of a table.

    Parameters
    ----------
    levels : mapping of str to IsoFlop
        By the level of the column ``by``; of one table under an empty text.
    """

    levels: Mapping[str, IsoFlop]


class StepFailed(NamedTuple):
    """A step that has no result.

    Parameters
    ----------
    reason : str
        What prevented it, and what to do.
    """

    reason: str


StepResult = LevelFits | Sensitivity | Calibration | Forecast | IsoFlopResult | ToyResult | HeadsResult | StepFailed


def run_step(spec: Step, folder: Path, cells: Path, progress: Progress | None) -> StepResult:
    """Run a step, or resume it where it was stopped.

    Parameters
    ----------
    spec : Step
        The step.
    folder : Path
        Where the user's tables lie.
    cells : Path
        Where finished cells are kept.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    LevelFits, Sensitivity, Calibration, Forecast, IsoFlopResult, ToyResult, HeadsResult or StepFailed
        By the kind of the step; `StepFailed` says why there is no result, which a report prints before it continues.

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
        match spec:
            case LevelsStep():
                source = locate(spec.data, folder)
                return fit_levels(source, spec.law, spec.by, spec.selection, spec.options, progress=report)
            case SensitivityStep():
                source, options = locate(spec.data, folder), (spec.selection, spec.model, spec.question)
                return sensitivity(source, spec.law, *options, folder=cells, progress=report)
            case CalibrationStep():
                source, simulated = locate(spec.data, folder), (spec.selection, spec.model, spec.simulation)
                return calibrate(source, spec.law, *simulated, folder=cells, progress=report)
            case ForecastStep():
                return _forecast(spec, folder)
            case IsoFlopStep():
                return _isoflop(spec, folder)
            case ToyStep():
                return _toy(spec, folder, cells, report)
            case HeadsStep():
                return _heads(spec, folder, report)
    except FitFailed as error:
        return StepFailed(str(error))


def step_key(spec: Step, folder: Path) -> str:
    """Return a key from everything that the result of a step depends on."""
    content: list[Any] = [
        spec.kind,
        spec.data,
        spec.label or spec.name,
        [plain(options) for options in options_of(spec)],
    ]
    content.append(file_digest(folder, _grid(spec) or spec.data))
    match spec:
        case SensitivityStep() | CalibrationStep():
            content.append(str(parse_law(spec.law)))
        case LevelsStep():
            content += [str(parse_law(spec.law)), spec.by]
        case ForecastStep():
            content.append(spec.at)
        case ToyStep():
            content.append(spec.where)
        case HeadsStep():
            details = details_path(folder / spec.data)
            also = [spec.losses] if spec.losses else []
            also += [str(details.relative_to(folder))] if details.is_file() else []
            content += [file_digest(folder, name) for name in also]
    return sha256(json.dumps([*content, _code(spec)]).encode()).hexdigest()[:32]


def _grid(spec: Step) -> str:
    """Return the grid of a sweep that the study trains; empty for other steps."""
    return spec.grid if isinstance(spec, ToyStep) else ""


def jobs_folder(spec: Step, folder: Path) -> str:
    """Name the folder of a step's finished cells: shared by all steps of a kind, separate for each sweep."""
    grid = _grid(spec)
    about = f"{_code(spec)} {file_digest(folder, grid)}" if grid else _code(spec)
    return f"{spec.kind}-{sha256(about.encode()).hexdigest()[:12]}"


def _code(spec: Step) -> str:
    """Return a hash of what computes a step: code and packages, so that a cell that failed without NUTS runs again."""
    return f"{code_hash(STEPS[spec.kind].folders)} {'' if isinstance(spec, ToyStep) else sampler_versions()}"


def step_command(spec: Step) -> list[str]:
    """Write a step as the command lines that repeat it."""
    match spec:
        case ToyStep():
            sweep = [f"scalefit toy sweep {shlex.quote(spec.grid)} --out {spec.name}"] if spec.grid else []
            rows = f"  # the models where {spec.where}" if spec.where else ""
            return [*sweep, f"scalefit toy check {shlex.quote(spec.data or spec.name)}{rows}"]
        case HeadsStep():
            losses = f" --losses {shlex.quote(spec.losses)}" if spec.losses else ""
            overlap = f" --overlap {shlex.quote(spec.test.overlap)}" if spec.test.overlap else ""
            return [f"scalefit superposition {shlex.quote(spec.data)}{losses}{overlap}"]
        case ForecastStep():
            words = [word for target in spec.at for word in ("--at", target)]
            words += option_words(FORECAST, STEPS["forecast"].write(options_of(spec)))
            return [shlex.join(["scalefit", "forecast", spec.data, *words])]
        case IsoFlopStep():
            words = option_words(ISOFLOP, STEPS["isoflop"].write(options_of(spec)))
            return [shlex.join(["scalefit", "isoflop", spec.data, *words])]
        case LevelsStep():
            line = command_line(STEPS[spec.kind], spec.data, spec.law, options_of(spec))
            return [f"{line} --by {shlex.quote(spec.by)}"]
        case SensitivityStep() | CalibrationStep():
            return [command_line(STEPS[spec.kind], spec.data, spec.law, options_of(spec))]


def read_target(text: str) -> dict[str, str]:
    """Read a run to forecast, ``params=70B,tokens=1.4T``.

    Parameters
    ----------
    text : str
        Columns and values.

    Returns
    -------
    dict
        Value by column, as text.

    Raises
    ------
    DataError
        When it is something else.
    """
    pairs = [[part.strip() for part in piece.partition("=")] for piece in text.split(",")]
    if not all(name and value for name, _, value in pairs):
        raise DataError(f"at is {text!r}; it needs columns and values, such as params=70B,tokens=1.4T")
    return {name: value for name, _, value in pairs}


def _forecast(spec: ForecastStep, folder: Path) -> Forecast | StepFailed:
    """Forecast the runs; a table that cannot carry a forecast is a result of its kind, which the report prints."""
    try:
        at = [read_target(target) for target in spec.at]
        return forecast(locate(spec.data, folder), at, spec.selection, spec.forecasting)
    except DataError as error:
        return StepFailed(f"{str(error).rstrip('.')}.")


def _isoflop(spec: IsoFlopStep, folder: Path) -> IsoFlopResult:
    sweeps = isoflop(locate(spec.data, folder), spec.selection, spec.budgets, label=spec.label or spec.name)
    return IsoFlopResult({"": sweeps} if isinstance(sweeps, IsoFlop) else sweeps)


def _toy(spec: ToyStep, folder: Path, cells: Path, progress: Progress) -> ToyResult:
    if spec.grid:
        table = toy_sweep(ToyGrid.read(folder / spec.grid), cells, resume=True, progress=progress)
    else:
        source = locate(spec.data, folder)
        whole = isinstance(source, Path) and is_folder(source)
        table = read_sweep(source) if whole else read_table(source).frame
    if spec.where:
        table = table[parse_where(spec.where).mask(table)]
    return ToyResult(table, check_sweep(table, spec.comparison, progress=progress))


def _heads(spec: HeadsStep, folder: Path, progress: Progress) -> HeadsResult:
    source = locate(spec.data, folder)
    losses = locate(spec.losses, folder) if spec.losses else None
    test = superposition(source, losses, spec.test, progress=progress)
    measured = isinstance(source, Path) and details_path(source).is_file()
    return HeadsResult(test, tuple(read_heads(source)) if measured else ())


_FOLDERS = ("data", "law", "options", "solver", "leastsq", "posterior", "jobs")

STEPS: Mapping[str, Runner] = MappingProxyType(
    {
        "levels": Runner(fit_levels, "fit", FIT, (*_FOLDERS, "comparison")),
        "sensitivity": Runner(sensitivity, "sensitivity", SENSITIVITY, (*_FOLDERS, "robustness")),
        "calibration": Runner(calibrate, "calibrate", CALIBRATE, (*_FOLDERS, "robustness")),
        "forecast": Runner(forecast, "forecast", FORECAST, (*_FOLDERS, "forecasting")),
        "isoflop": Runner(isoflop, "isoflop", ISOFLOP, ("data", "law", "options", "allocation")),
        "toy": Runner(check_sweep, "toy check", CHECK, (*_FOLDERS, "comparison", "toy", "consistency")),
        "heads": Runner(superposition, "superposition", SUPERPOSITION, (*_FOLDERS, "models")),
    }
)
