"""Toy losses through the same fits as real runs, to a verdict on 1/m with its conditions."""

from scalefit.consistency.check import Check, SettingCheck, check_sweep

__all__ = ["Check", "SettingCheck", "check_sweep"]
