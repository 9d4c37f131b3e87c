"""Where a budget of compute is spent best: from a fitted law with its draws, and from isoFLOP runs directly."""

from scalefit.allocation.cost import Cost
from scalefit.allocation.numerical import NumericalOptimum
from scalefit.allocation.profiles import isoflop
from scalefit.allocation.result import Allocation, Optimum
from scalefit.allocation.run import optimum, optimum_lines, printed_optimum
from scalefit.allocation.sweeps import Approach, IsoFlop, LeftOut, Line, Point

__all__ = [
    "Allocation",
    "Approach",
    "Cost",
    "IsoFlop",
    "LeftOut",
    "Line",
    "NumericalOptimum",
    "Optimum",
    "Point",
    "isoflop",
    "optimum",
    "optimum_lines",
    "printed_optimum",
]
