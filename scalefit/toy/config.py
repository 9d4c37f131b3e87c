"""What defines one toy model: a frozen value that can be written as JSON."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalefit.errors import DataError, closest
from scalefit.limits import LAST_SEED, check_count
from scalefit.numbers import as_input, exact, fixed
from scalefit.toy.frequency import law_weights, probabilities

__all__ = ["BIAS_STARTS", "NORMS", "RATE_RULES", "SMALL_RATE", "ToyConfig"]

RATE_RULES = ("small", "large")
SMALL_RATE = 0.01  # peak learning rate of the rule "small"
BIAS_STARTS = ("zero", "normal", "small", "mean", "negative", "positive")
NORMS = ("free", "unit", "held")
DTYPES = ("float32", "float64")
_BEFORE = {"bias_start": "normal", "norm": "free"}  # what a record without the field means
TOY_MEMORY = 16 << 30  # bytes that training one model may take


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """One toy model of superposition and its training.

    The defaults are the published small setting, except that biases start at 0.

    ``y = relu(x W W^T + b)`` is trained to give back x. Feature i of x is active with probability p_i, and then
    uniform on [0, 2] (Liu, Liu and Gore 2025, arXiv 2505.10465; after Elhage et al. 2022, arXiv 2209.10652).

    Parameters
    ----------
    width : int
        Hidden dimensions m, below ``n_features``.
    n_features : int
        Features n.
    frequency : {"power", "exponential", "linear"} or sequence of float
        Law of the frequencies, or one number per feature.
    alpha : float or None
        Exponent of the power law p_i ~ i^-alpha, in the paper's sense.
    scale : float or None
        Decay length of the exponential law p_i ~ exp(-i / scale), in features.
    density : float
        Mean number E of active features.
    gamma : float
        Decoupled weight decay; below 0 it pulls every row towards unit norm.
    seed : int
        Start and data. Models that differ only in how they are trained share both; any others share neither.
    steps, batch : int
        Optimiser steps, samples a step.
    learning_rate : {"small", "large"} or float
        Peak rate: 0.01 ("small"), ``0.02 (8/m)^(1/4)`` for W and ``2/m`` for b ("large"), or a number for both.
    warmup : int or None
        Steps of linear warm-up; None for a tenth. The cosine then falls to 5%.
    loss_factor : float
        Factor of the loss (a mean over features and samples) before the gradient; matters only through Adam's eps.
    dtype : {"float32", "float64"}
        Arithmetic.
    bias_start : {"zero", "normal", "small", "mean", "negative", "positive"}
        Where b starts: 0; N(0, 1), as published; N(0, 0.1^2); p_i, the best b without W; and minus or plus the absolute
        value of N(0, 1). W and the data are the same for all of them.
    norm : {"free", "unit", "held"}
        What holds the rows of W: nothing but ``gamma``; unit norm after every step; or unit norm in the random
        directions of the start, so that only b is trained.

    Raises
    ------
    DataError
        A value that cannot be used.
    """

    width: int
    n_features: int = 1000
    frequency: str | tuple[float, ...] = "power"
    alpha: float | None = None
    scale: float | None = None
    density: float = 1.0
    gamma: float = 0.0
    seed: int = 0
    steps: int = 20_000
    batch: int = 2048
    learning_rate: str | float = "small"
    warmup: int | None = None
    loss_factor: float = 1.0
    dtype: str = "float32"
    bias_start: str = "zero"
    norm: str = "free"

    def __post_init__(self) -> None:
        if not isinstance(self.frequency, str):
            object.__setattr__(self, "frequency", tuple(float(f) for f in self.frequency))
        least = {"width": 1, "n_features": 2, "seed": 0, "steps": 1, "batch": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < bound:
                raise DataError(f"{name} = {value!r}: a whole number of at least {bound} is needed.")
            object.__setattr__(self, name, int(value))
        for name, most in {"seed": LAST_SEED, "steps": 10**9, "n_features": 10**7, "batch": 10**8}.items():
            check_count(name, getattr(self, name), least=0, most=most)
        # W, its gradient, Adam's two moments and the active rows; two float64 numbers for each sample and feature of it
        size = 8 * (6 * self.width * self.n_features + 4 * self.batch)
        if size > TOY_MEMORY:
            raise DataError(
                f"width = {exact(self.width)}, n_features = {exact(self.n_features)}, batch = {self.batch}: a model "
                f"of this size takes {fixed(size / 2**30, 0)} GiB to train; it can take at most "
                f"{fixed(TOY_MEMORY / 2**30, 0)} GiB"
            )
        for name in ("alpha", "scale", "density", "gamma", "loss_factor"):
            value = getattr(self, name)
            if value is None and name in ("alpha", "scale"):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise DataError(f"{name} = {value!r}: a number is needed.")
            object.__setattr__(self, name, float(value))
        self._check_training()
        if self.width >= self.n_features:
            raise DataError(
                f"width = {exact(self.width)} with n_features = {exact(self.n_features)}: superposition needs more "
                "features than dimensions; choose a smaller width."
            )
        self.probabilities()

    def _check_training(self) -> None:
        if self.warmup is not None and not 0 <= self.warmup < self.steps:
            raise DataError(f"warmup = {self.warmup}: it must be at least 0 and end before step {exact(self.steps)}.")
        if isinstance(self.learning_rate, str) and self.learning_rate not in RATE_RULES:
            raise DataError(
                f"learning_rate = {self.learning_rate!r} is neither a number nor a rule: "
                f"{closest(self.learning_rate, RATE_RULES)}"
            )
        for name, value in (("learning_rate", self.learning_rate), ("loss_factor", self.loss_factor)):
            if not isinstance(value, str) and not 0 < value < math.inf:
                raise DataError(f"{name} = {value!r}: a positive number is needed.")
        if not math.isfinite(self.gamma):
            raise DataError(f"gamma = {self.gamma!r}: the decay must be a finite number.")
        for name, known in (("dtype", DTYPES), ("bias_start", BIAS_STARTS), ("norm", NORMS)):
            value = getattr(self, name)
            if value not in known:
                raise DataError(f"{name} = {value!r} is not known: {closest(str(value), known)}")
        if self.norm != "free" and self.gamma > 0:
            raise DataError(
                f"gamma = {as_input(self.gamma)} with norm = {self.norm!r}: rows of fixed norm cannot decay; "
                "use gamma = 0, or norm = 'free'"
            )

    @property
    def law(self) -> str:
        """Name of the law of frequencies; ``"given"`` for a list of numbers."""
        return self.frequency if isinstance(self.frequency, str) else "given"

    @property
    def warmup_steps(self) -> int:
        """Steps of warm-up."""
        return self.steps // 10 if self.warmup is None else self.warmup

    @property
    def rates(self) -> tuple[float, float]:
        """Peak learning rates of W and of b; 0 for a W that is held."""
        by_W = by_b = SMALL_RATE if isinstance(self.learning_rate, str) else float(self.learning_rate)
        if self.learning_rate == "large":
            by_W, by_b = 0.02 * (8 / self.width) ** 0.25, 2 / self.width
        return (0.0 if self.norm == "held" else by_W), by_b

    @property
    def decay(self) -> float:
        """The gamma that acts on W: 0 where the norms of its rows are fixed."""
        return self.gamma if self.norm == "free" else 0.0

    def probabilities(self) -> NDArray[np.float64]:
        """Activation probabilities of the features.

        Returns
        -------
        array, shape (n,)
            They sum to the density.

        Raises
        ------
        DataError
            Frequencies or a density that cannot be used.
        """
        if isinstance(self.frequency, str):
            weights = law_weights(self.frequency, self.n_features, alpha=self.alpha, scale=self.scale)
            return probabilities(weights, self.density)
        for name, value in (("alpha", self.alpha), ("scale", self.scale)):
            if value is not None:
                raise DataError(f"{name} = {value}: a list of frequencies has no {name}; leave it out.")
        if len(self.frequency) != self.n_features:
            raise DataError(
                f"{len(self.frequency)} frequencies for n_features = {exact(self.n_features)}; give one each."
            )
        return probabilities(self.frequency, self.density)

    def streams(self) -> tuple[np.random.SeedSequence, ...]:
        """Seeds of the start, of the training data and of the evaluation data.

        They depend on the seed, the width and the distribution of the features, and on nothing else.

        Returns
        -------
        tuple of SeedSequence, length 3
            Independent of each other.
        """
        names = ("width", "n_features", "frequency", "alpha", "scale", "density")
        digest = hashlib.sha256(json.dumps([getattr(self, name) for name in names]).encode()).digest()
        entropy = [self.seed, *np.frombuffer(digest[:16], dtype="<u4").tolist()]
        return tuple(np.random.SeedSequence(entropy).spawn(3))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values that JSON knows.

        Returns
        -------
        dict
            Accepted by :meth:`from_dict`. Fields that have been added since records were first stored are left out
            where they say what used to be the only choice, so that models keep their keys.
        """
        return {name: value for name, value in asdict(self).items() if _BEFORE.get(name) != value}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> ToyConfig:
        """Build a configuration from its fields.

        Parameters
        ----------
        record : mapping
            Fields by name, as from :meth:`to_dict`. Without ``bias_start`` it is the published start, as in every
            record that is older than this field.

        Returns
        -------
        ToyConfig
            The configuration.

        Raises
        ------
        DataError
            An unknown field, no width, or a value that cannot be used.
        """
        known = [field.name for field in fields(cls)]
        for name in record:
            if name not in known:
                raise DataError(f"a toy model has no {name!r}: {closest(name, known)}")
        if "width" not in record:
            raise DataError("a toy model needs a width.")
        return cls(**{**_BEFORE, **record})
