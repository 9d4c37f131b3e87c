"""Real models measured: their output heads, their losses on a text, and the frequencies of their tokens."""

from scalefit.models.heads import HeadMeasurement, HeadOptions, measure_head
from scalefit.models.shift import shift_head
from scalefit.models.table import measure_heads, read_heads
from scalefit.models.theory import superposition

__all__ = [
    "HeadMeasurement",
    "HeadOptions",
    "measure_head",
    "measure_heads",
    "read_heads",
    "shift_head",
    "superposition",
]
