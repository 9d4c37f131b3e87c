"""What a way of training on a GPU has to offer, and how many models it takes at a time.

Two ways exist, our own kernels (``gpu/``) and torch's batched products (``batched.py``); ``groups.py`` chooses between
them and drives either through this protocol.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.toy.config import ToyConfig

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DRAWN", "Engine", "Method", "models_at_once", "most_points", "point_rates"]

MEMORY: Final = 24 << 30  # bytes that a group may take
DRAWN: Final = 32  # batches that are drawn at a time
MOST_MODELS: Final = 1024
SURE: Final = 1 - 1e-12  # a Poisson process cannot be sure to fall somewhere; p = 1 is taken as this
FILLING: Final = 1 << 18  # features of all models together: programs enough for eight rounds on each of 132 processors


class Engine(NamedTuple):
    """A group of models that is being trained.

    Parameters
    ----------
    run : callable
        Takes so many optimiser steps.
    measure : callable
        Means of the loss over so many fresh batches, and their standard errors.
    state : dict of str to Tensor
        All that decides what comes next; may be read and overwritten in place between two calls.
    """

    run: Callable[[int], None]
    measure: Callable[[int], tuple[Tensor, Tensor]]
    state: dict[str, Tensor]


class Method(NamedTuple):
    """How models are trained on a device.

    Parameters
    ----------
    versions : dict of str
        Of the libraries that do the arithmetic.
    open : callable
        Makes an :class:`Engine` of models and torch's name of a device.
    size : callable
        Most models like a given one to a group.
    fill : bool
        Whether groups are filled up to this size, without which a model's numbers would depend on its company.
    """

    versions: dict[str, str]
    open: Callable[[Sequence[ToyConfig], str], Engine]
    size: Callable[[ToyConfig], int]
    fill: bool


def models_at_once(config: ToyConfig) -> int:
    """Count the models like one that fill a GPU, as far as they fit its memory.

    Parameters
    ----------
    config : ToyConfig
        One of them.

    Returns
    -------
    int
        At least 1.
    """
    n, m, size = config.n_features, config.width, config.batch
    numbers = 4 * n * m + 2 * size * m + DRAWN * size * 10 * (config.density + 2)
    fitting = int(MEMORY / (numbers * np.dtype(config.dtype).itemsize))
    return max(1, min(fitting, MOST_MODELS, -(-FILLING // n)))


def point_rates(config: ToyConfig) -> NDArray[np.float64]:
    """Rates of the Poisson process on each feature, per sample.

    Parameters
    ----------
    config : ToyConfig
        The model.

    Returns
    -------
    array, shape (n,)
        ``-log(1 - p)``: at least one point falls with probability p.
    """
    return np.asarray(-np.log1p(-np.minimum(config.probabilities(), SURE)))


def most_points(config: ToyConfig) -> int:
    """Mean number of points a sample, rounded up so that models of nearly one density share a group.

    Parameters
    ----------
    config : ToyConfig
        The model.

    Returns
    -------
    int
        At least 1.
    """
    return math.ceil(float(point_rates(config).sum()))
