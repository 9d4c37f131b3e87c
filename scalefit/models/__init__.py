"""Measurements of real models: their output heads, their losses on a text, and the frequencies of their tokens.

Only the measurement of heads is imported here, which needs only numpy and 60 MB. Losses, frequencies and the tests of
the theory, which import pandas and the solver, are imported from their modules.
"""

from scalefit.models.heads import HeadMeasurement, measure_head
from scalefit.models.shift import shift_head
from scalefit.models.table import measure_heads, read_heads

__all__ = ["HeadMeasurement", "measure_head", "measure_heads", "read_heads", "shift_head"]
