"""Simulation-based calibration: whether intervals hold what they promise where the truth is known."""

from scalefit.calibration.result import Calibration, Replicate
from scalefit.calibration.run import calibrate

__all__ = ["Calibration", "Replicate", "calibrate"]
