"""Refit neural scaling laws: certified optima, measured intervals, a PDF to send on.

The names below load on first use, so that ``import scalefit`` costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from scalefit.bayes import bayes, stack_datasets
    from scalefit.calibration import calibrate
    from scalefit.compare import compare
    from scalefit.consistency import check_sweep
    from scalefit.datasets import dataset_names, describe_dataset, load_dataset, published_value
    from scalefit.errors import DataError, FitFailed, LawError, MissingExtra, ScalefitError, StudyError
    from scalefit.law import PRESETS, Law
    from scalefit.leastsq.bridge import to_lmfit
    from scalefit.leastsq.fit import fit
    from scalefit.models import HeadOptions, measure_head, measure_heads, superposition
    from scalefit.optimum import isoflop, optimum
    from scalefit.report import build_report
    from scalefit.results import Fit
    from scalefit.sensitivity import sensitivity
    from scalefit.storage import load_fit
    from scalefit.tables import read_table
    from scalefit.toy import ToyConfig, ToyGrid, toy_sweep, train_toy

_HOMES = {
    "bayes": "scalefit.bayes",
    "build_report": "scalefit.report",
    "calibrate": "scalefit.calibration",
    "check_sweep": "scalefit.consistency",
    "compare": "scalefit.compare",
    "dataset_names": "scalefit.datasets",
    "describe_dataset": "scalefit.datasets",
    "load_dataset": "scalefit.datasets",
    "published_value": "scalefit.datasets",
    "DataError": "scalefit.errors",
    "FitFailed": "scalefit.errors",
    "LawError": "scalefit.errors",
    "MissingExtra": "scalefit.errors",
    "ScalefitError": "scalefit.errors",
    "StudyError": "scalefit.errors",
    "PRESETS": "scalefit.law",
    "Law": "scalefit.law",
    "fit": "scalefit.leastsq",
    "to_lmfit": "scalefit.leastsq",
    "HeadOptions": "scalefit.models",
    "measure_head": "scalefit.models",
    "measure_heads": "scalefit.models",
    "superposition": "scalefit.models",
    "isoflop": "scalefit.optimum",
    "optimum": "scalefit.optimum",
    "Fit": "scalefit.results",
    "sensitivity": "scalefit.sensitivity",
    "stack_datasets": "scalefit.bayes",
    "load_fit": "scalefit.storage",
    "read_table": "scalefit.tables",
    "ToyConfig": "scalefit.toy",
    "ToyGrid": "scalefit.toy",
    "toy_sweep": "scalefit.toy",
    "train_toy": "scalefit.toy",
}

__all__ = [
    "PRESETS",
    "DataError",
    "Fit",
    "FitFailed",
    "HeadOptions",
    "Law",
    "LawError",
    "MissingExtra",
    "ScalefitError",
    "StudyError",
    "ToyConfig",
    "ToyGrid",
    "__version__",
    "bayes",
    "build_report",
    "calibrate",
    "check_sweep",
    "compare",
    "dataset_names",
    "describe_dataset",
    "fit",
    "isoflop",
    "load_dataset",
    "load_fit",
    "measure_head",
    "measure_heads",
    "optimum",
    "published_value",
    "read_table",
    "sensitivity",
    "stack_datasets",
    "superposition",
    "to_lmfit",
    "toy_sweep",
    "train_toy",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'scalefit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__


class _Verb(ModuleType):
    """A package named as its main function, and callable as that: ``scalefit.sensitivity``."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*arguments, **options)


class _Door(ModuleType):
    """The front door: importing a package puts it where the function of its name stands, so both can be called."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            value.__class__ = _Verb
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Door
