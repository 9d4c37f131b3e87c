"""The toy model of superposition: losses from first principles, with known answers.

The names below load on first use: theory needs none of the compiled code that training does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalefit.toy.config import ToyConfig
    from scalefit.toy.frequency import read_frequencies
    from scalefit.toy.grid import ToyGrid
    from scalefit.toy.model import ToyRun
    from scalefit.toy.records import read_sweep
    from scalefit.toy.sweep import toy_sweep
    from scalefit.toy.train import train_toy

__all__ = ["ToyConfig", "ToyGrid", "ToyRun", "read_frequencies", "read_sweep", "toy_sweep", "train_toy"]

_HOMES = {
    "ToyConfig": "config",
    "ToyGrid": "grid",
    "ToyRun": "model",
    "read_frequencies": "frequency",
    "read_sweep": "records",
    "toy_sweep": "sweep",
    "train_toy": "train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
