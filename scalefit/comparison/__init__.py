"""Fits against a reference, against each other, against published numbers; laws against laws on the same rows."""

from scalefit.comparison.by_level import LevelComparisons, compare_levels
from scalefit.comparison.crossval import CrossValidation, leave_one_out, rank_laws
from scalefit.comparison.evidence import Evidence, evidence
from scalefit.comparison.extrapolate import HeldOut, held_out_score, split_rows
from scalefit.comparison.levels import LevelFits, bayes_levels, fit_levels
from scalefit.comparison.refit import refit
from scalefit.comparison.result import Comparison
from scalefit.comparison.run import compare
from scalefit.comparison.sources import Compared

__all__ = [
    "Compared",
    "Comparison",
    "CrossValidation",
    "Evidence",
    "HeldOut",
    "LevelComparisons",
    "LevelFits",
    "bayes_levels",
    "compare",
    "compare_levels",
    "evidence",
    "fit_levels",
    "held_out_score",
    "leave_one_out",
    "rank_laws",
    "refit",
    "split_rows",
]
