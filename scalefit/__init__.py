"""Refit neural scaling laws: certified optima, intervals with measured coverage, a PDF report.

The names below load on first use, so that ``import scalefit`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scalefit.version import __version__

if TYPE_CHECKING:
    from scalefit.allocation import isoflop, optimum
    from scalefit.comparison import LevelFits, bayes_levels, compare, compare_levels, fit_levels, refit
    from scalefit.consistency import check_sweep
    from scalefit.data.datasets import dataset_names, describe_dataset, load_dataset, published_value
    from scalefit.data.tables import read_table
    from scalefit.errors import DataError, FitFailed, LawError, MissingExtra, ScalefitError, StudyError
    from scalefit.forecasting.backtest import backtest
    from scalefit.forecasting.levels import LevelForecasts, forecast_levels
    from scalefit.forecasting.plan import plan
    from scalefit.forecasting.run import forecast
    from scalefit.law.additive import PRESETS, Law
    from scalefit.law.general import GeneralLaw, parse_law
    from scalefit.law.presets import LAWS
    from scalefit.leastsq.bridge import to_lmfit
    from scalefit.leastsq.fit import fit
    from scalefit.models import measure_head, measure_heads
    from scalefit.models.frequencies import count_tokens, fit_exponent
    from scalefit.models.losses import measure_losses
    from scalefit.models.theory import superposition
    from scalefit.options import Bayes, HeadOptions, LeastSquares, Rows, Scoring
    from scalefit.posterior import bayes, stack_datasets
    from scalefit.report import Look, build_report, look
    from scalefit.results import Fit, LeastSquaresFit, PosteriorFit
    from scalefit.robustness import calibrate, sensitivity, sensitivity_levels
    from scalefit.storage import load_fit
    from scalefit.toy import ToyConfig, ToyGrid, toy_sweep, train_toy

_HOMES = {
    "backtest": "scalefit.forecasting.backtest",
    "bayes": "scalefit.posterior",
    "build_report": "scalefit.report",
    "calibrate": "scalefit.robustness",
    "check_sweep": "scalefit.consistency",
    "LevelFits": "scalefit.comparison",
    "Look": "scalefit.report",
    "look": "scalefit.report",
    "bayes_levels": "scalefit.comparison",
    "compare": "scalefit.comparison",
    "compare_levels": "scalefit.comparison",
    "fit_levels": "scalefit.comparison",
    "dataset_names": "scalefit.data.datasets",
    "describe_dataset": "scalefit.data.datasets",
    "load_dataset": "scalefit.data.datasets",
    "published_value": "scalefit.data.datasets",
    "DataError": "scalefit.errors",
    "FitFailed": "scalefit.errors",
    "LawError": "scalefit.errors",
    "MissingExtra": "scalefit.errors",
    "ScalefitError": "scalefit.errors",
    "StudyError": "scalefit.errors",
    "PRESETS": "scalefit.law.additive",
    "Law": "scalefit.law.additive",
    "LAWS": "scalefit.law.presets",
    "GeneralLaw": "scalefit.law.general",
    "parse_law": "scalefit.law.general",
    "fit": "scalefit.leastsq",
    "forecast": "scalefit.forecasting.run",
    "forecast_levels": "scalefit.forecasting.levels",
    "LevelForecasts": "scalefit.forecasting.levels",
    "to_lmfit": "scalefit.leastsq.bridge",
    "HeadOptions": "scalefit.options",
    "measure_head": "scalefit.models",
    "count_tokens": "scalefit.models.frequencies",
    "fit_exponent": "scalefit.models.frequencies",
    "measure_heads": "scalefit.models",
    "measure_losses": "scalefit.models.losses",
    "superposition": "scalefit.models.theory",
    "isoflop": "scalefit.allocation",
    "optimum": "scalefit.allocation",
    "plan": "scalefit.forecasting.plan",
    "Fit": "scalefit.results",
    "LeastSquaresFit": "scalefit.results",
    "PosteriorFit": "scalefit.results",
    "refit": "scalefit.comparison",
    "Bayes": "scalefit.options",
    "LeastSquares": "scalefit.options",
    "Rows": "scalefit.options",
    "Scoring": "scalefit.options",
    "sensitivity": "scalefit.robustness",
    "sensitivity_levels": "scalefit.robustness",
    "stack_datasets": "scalefit.posterior",
    "load_fit": "scalefit.storage",
    "read_table": "scalefit.data.tables",
    "ToyConfig": "scalefit.toy",
    "ToyGrid": "scalefit.toy",
    "toy_sweep": "scalefit.toy",
    "train_toy": "scalefit.toy",
}

__all__ = [
    "LAWS",
    "PRESETS",
    "Bayes",
    "DataError",
    "Fit",
    "FitFailed",
    "GeneralLaw",
    "HeadOptions",
    "Law",
    "LawError",
    "LeastSquares",
    "LeastSquaresFit",
    "LevelFits",
    "LevelForecasts",
    "Look",
    "MissingExtra",
    "PosteriorFit",
    "Rows",
    "ScalefitError",
    "Scoring",
    "StudyError",
    "ToyConfig",
    "ToyGrid",
    "__version__",
    "backtest",
    "bayes",
    "bayes_levels",
    "build_report",
    "calibrate",
    "check_sweep",
    "compare",
    "compare_levels",
    "count_tokens",
    "dataset_names",
    "describe_dataset",
    "fit",
    "fit_exponent",
    "fit_levels",
    "forecast",
    "forecast_levels",
    "isoflop",
    "load_dataset",
    "load_fit",
    "look",
    "measure_head",
    "measure_heads",
    "measure_losses",
    "optimum",
    "parse_law",
    "plan",
    "published_value",
    "read_table",
    "refit",
    "sensitivity",
    "sensitivity_levels",
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
