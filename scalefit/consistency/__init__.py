"""Toy losses through the same fits as real runs, to a verdict on 1/m with its conditions."""

from scalefit.consistency.check import check_sweep
from scalefit.consistency.result import Check, SettingCheck

__all__ = ["Check", "SettingCheck", "check_sweep"]
