"""Where a budget of compute is spent best: from a fitted law with its draws, and from isoFLOP runs directly."""

from scalefit.optimum.cost import Cost
from scalefit.optimum.profiles import isoflop
from scalefit.optimum.result import Allocation, Interval, Optimum
from scalefit.optimum.run import optimum, printed_optimum
from scalefit.optimum.sweeps import Approach, IsoFlop, LeftOut, Line, Point

__all__ = [
    "Allocation",
    "Approach",
    "Cost",
    "Interval",
    "IsoFlop",
    "LeftOut",
    "Line",
    "Optimum",
    "Point",
    "isoflop",
    "optimum",
    "printed_optimum",
]
