"""Fits against a reference, against each other, against published numbers; laws against laws on the same rows."""

from scalefit.compare.beliefs import Belief
from scalefit.compare.crossval import CrossValidation, leave_one_out, rank_laws
from scalefit.compare.evidence import Evidence, evidence
from scalefit.compare.extrapolate import HeldOut, held_out_score, split_rows
from scalefit.compare.result import Comparison
from scalefit.compare.run import compare

__all__ = [
    "Belief",
    "Comparison",
    "CrossValidation",
    "Evidence",
    "HeldOut",
    "compare",
    "evidence",
    "held_out_score",
    "leave_one_out",
    "rank_laws",
    "split_rows",
]
