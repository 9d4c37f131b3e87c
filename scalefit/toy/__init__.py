"""The toy model of superposition: losses from first principles, with known answers."""

from scalefit.toy.config import ToyConfig
from scalefit.toy.frequency import read_frequencies
from scalefit.toy.grid import ToyGrid
from scalefit.toy.model import ToyRun
from scalefit.toy.sweep import read_sweep, toy_sweep
from scalefit.toy.train import train_toy

__all__ = ["ToyConfig", "ToyGrid", "ToyRun", "read_frequencies", "read_sweep", "toy_sweep", "train_toy"]
