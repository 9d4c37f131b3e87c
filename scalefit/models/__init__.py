"""Real models measured: their output heads, their losses on a text, and the frequencies of their tokens."""

from scalefit.models.frequencies import Exponent, Frequencies, count_tokens, fit_exponent
from scalefit.models.heads import HeadMeasurement, measure_head
from scalefit.models.losses import measure_losses
from scalefit.models.shift import shift_head
from scalefit.models.table import measure_heads, read_heads
from scalefit.models.theory import superposition

__all__ = [
    "Exponent",
    "Frequencies",
    "HeadMeasurement",
    "count_tokens",
    "fit_exponent",
    "measure_head",
    "measure_heads",
    "measure_losses",
    "read_heads",
    "shift_head",
    "superposition",
]
