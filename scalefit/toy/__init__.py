"""The toy model of superposition: losses from first principles, with known answers."""

from scalefit.toy.config import ToyConfig
from scalefit.toy.frequency import read_frequencies
from scalefit.toy.model import ToyRun
from scalefit.toy.train import train_toy

__all__ = ["ToyConfig", "ToyRun", "read_frequencies", "train_toy"]
