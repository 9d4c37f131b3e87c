"""How far an answer moves under other choices, and what its intervals cover where the truth is known."""

from scalefit.robustness.calibration_result import Calibration, Replicate
from scalefit.robustness.calibration_run import calibrate
from scalefit.robustness.levels import LevelSensitivities, sensitivity_levels
from scalefit.robustness.sensitivity_result import Sensitivity, VariedAnswer
from scalefit.robustness.sensitivity_run import sensitivity
from scalefit.robustness.variations import DIMENSIONS, Choice

__all__ = [
    "DIMENSIONS",
    "Calibration",
    "Choice",
    "LevelSensitivities",
    "Replicate",
    "Sensitivity",
    "VariedAnswer",
    "calibrate",
    "sensitivity",
    "sensitivity_levels",
]
