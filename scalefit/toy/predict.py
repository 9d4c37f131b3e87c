"""What theory says about the loss at each width: random directions, the best arrangement, and the exact weak sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.numbers import as_input, exact, fixed, parse_number
from scalefit.toy.arrangement import best_arrangement
from scalefit.toy.config import RATE_RULES, ToyConfig
from scalefit.toy.noise import FINE, group_features, jump_transforms, least_losses
from scalefit.toy.theory import weak_loss

__all__ = [
    "THEORIES", "WIDEST_ARRANGED", "Theory", "local_exponents", "model_config", "random_loss", "setting_config",
    "theory_of", "theory_table",
]  # fmt: skip

Array = NDArray[np.float64]

THEORIES: Final = MappingProxyType({
    "random": "random directions", "arranged": "best arrangement", "weak": "exact weak sum",
})  # fmt: skip
"""What each theory is called in sentences; the keys are those of tables."""

WIDEST_ARRANGED: Final = 0.6  # largest m^1.5 / n at which the best arrangement was found to agree with training
STEEPEST_ARRANGED: Final = 1.5  # largest alpha


def random_loss(p: Sequence[float] | Array, m: int) -> float:
    """Loss with rows of unit norm in random directions and the best bias for each feature: no training of W.

    The noise at an output is a sum over active features of overlaps with the variance 1/m and the kurtosis
    ``3 m / (m + 2)`` of directions on a sphere. Nothing is fitted; trained biases are met within 7%.

    Parameters
    ----------
    p : array, shape (n,)
        Probabilities, in any order.
    m : int
        Dimensions.

    Returns
    -------
    float
        Squared error summed over features. A feature that is better given up costs ``4/3 p``.
    """
    features = group_features(_descending(p))
    jump = jump_transforms(0.0, 3 * m / (m + 2), 1.0, FINE)
    factors = np.log1p(features.p[:, None] * (jump - 1))
    noise = np.exp(features.sizes @ factors - factors)  # a feature is no noise to itself
    scale = np.full(len(features.p), m**-0.5)
    return float(features.sizes @ least_losses(noise, features.p, scale, 1.0, FINE))


def _descending(p: Sequence[float] | Array) -> Array:
    """Sort probabilities; features that never occur can be given up for nothing."""
    p = np.asarray(p, dtype=float)
    return np.sort(p[p > 0])[::-1]


@dataclass(frozen=True)
class Theory:
    """Losses that theory gives at some widths.

    Parameters
    ----------
    widths : tuple of int, length k
        Hidden dimensions m, ascending.
    random, arranged, weak : array, shape (k,)
        Random directions with the best biases; the best arrangement of rows, NaN where it is not valid; the exact sum
        with the m most frequent features recovered and no others.
    kept : array, shape (k,)
        Share of the features that the best arrangement keeps; NaN likewise.
    left_out : tuple of str
        Why the best arrangement is missing where it is.
    """

    widths: tuple[int, ...]
    random: Array
    arranged: Array
    weak: Array
    kept: Array
    left_out: tuple[str, ...]


def theory_of(config: ToyConfig, widths: Sequence[int]) -> Theory:
    """Calculate what theory gives for models of some widths.

    Parameters
    ----------
    config : ToyConfig
        Features, their frequencies, and whether rows have unit norm; its own width does not matter.
    widths : sequence of int
        Hidden dimensions.

    Returns
    -------
    Theory
        By ascending width.

    Raises
    ------
    DataError
        A width that is not below the number of features.
    """
    asked = tuple(sorted({int(m) for m in widths}))
    for m in asked:
        if not 1 <= m < config.n_features:
            raise DataError(f"width {m} with n_features = {exact(config.n_features)}: theory needs 1 <= m < n")
    alpha = config.alpha if config.law == "power" else None
    return _theory(tuple(_descending(config.probabilities())), config.n_features, alpha, config.norm, asked)


@lru_cache(maxsize=256)
def _theory(p: tuple[float, ...], n: int, alpha: float | None, norm: str, widths: tuple[int, ...]) -> Theory:
    beyond = [m for m in widths if m**1.5 >= WIDEST_ARRANGED * n]
    left_out, arranged, kept = [], np.full(len(widths), np.nan), np.full(len(widths), np.nan)
    if norm == "held":
        left_out.append("rows that are held are not arranged")
    elif alpha is not None and alpha > STEEPEST_ARRANGED:
        limit = as_input(STEEPEST_ARRANGED)
        left_out.append(f"the best arrangement is not known at alpha = {as_input(alpha)}, only up to {limit}")
    else:
        for k, m in enumerate(widths):
            if m not in beyond and len(p) > m:
                arranged[k], how = best_arrangement(p, m, unit=norm == "unit")
                kept[k] = (len(p) if how.kept is None else how.kept) / n
        if beyond:
            limit = f"{as_input(WIDEST_ARRANGED)} n = {fixed(WIDEST_ARRANGED * n, 0)}"
            left_out.append(
                f"the best arrangement is not known from m = {beyond[0]} on: m^1.5 = {fixed(beyond[0] ** 1.5, 0)} is "
                f"not below {limit}"
            )
    return Theory(
        widths,
        np.array([random_loss(p, m) for m in widths]),
        arranged,
        np.array([weak_loss(p, m) for m in widths]),
        kept,
        tuple(left_out),
    )


def local_exponents(widths: Sequence[float] | Array, loss: Sequence[float] | Array) -> Array:
    """Exponent between each width and the one before it.

    Parameters
    ----------
    widths, loss : array, shape (k,)
        Ascending widths, and losses there.

    Returns
    -------
    array, shape (k - 1,)
        Minus the slopes of log loss in log width; NaN next to a missing loss.
    """
    x, y = (np.log(np.asarray(values, dtype=float)) for values in (widths, loss))
    return np.asarray(-np.diff(y) / np.diff(x))


def theory_table(config: ToyConfig, widths: Sequence[int]) -> pd.DataFrame:
    """Return what theory gives as a table that :func:`scalefit.fit` takes.

    Parameters
    ----------
    config : ToyConfig
        As in :func:`theory_of`.
    widths : sequence of int
        Hidden dimensions.

    Returns
    -------
    DataFrame
        A row for each theory and width: ``theory`` (a key of :data:`THEORIES`), ``width``, ``loss``,
        ``local_exponent`` (since the width before), and the setting. The best arrangement has rows only where it is
        valid.

    Examples
    --------
    >>> from scalefit.toy import ToyConfig
    >>> table = theory_table(ToyConfig(width=8, n_features=512, alpha=0.0), [8, 16, 32])
    >>> [round(loss, 3) for loss in table.query("theory == 'random'")["loss"]]
    [1.298, 0.878, 0.509]
    """
    theory = theory_of(config, widths)
    setting = {
        "n_features": config.n_features, "frequency": config.law, "alpha": config.alpha, "scale": config.scale,
        "density": config.density,
    }  # fmt: skip
    rows = []
    for name in THEORIES:
        losses = getattr(theory, name)
        slopes = [np.nan, *local_exponents(theory.widths, losses)]
        rows += [
            {"theory": name, "width": m, "loss": loss, "local_exponent": slope} | setting
            for m, loss, slope in zip(theory.widths, losses, slopes, strict=True)
            if np.isfinite(loss)
        ]
    return pd.DataFrame(rows)


def setting_config(setting: Mapping[str, Any], width: int) -> ToyConfig | None:
    """Return the model of a setting of a sweep's table; None where the table does not give its frequencies."""
    if str(setting.get("frequency", "given")) == "given":
        return None
    names = ("alpha", "scale", "density", "norm")
    known = {name: setting[name] for name in names if name in setting and not pd.isna(setting[name])}
    return ToyConfig(width=width, n_features=int(setting["n_features"]), frequency=str(setting["frequency"]), **known)


def model_config(record: Mapping[str, Any]) -> ToyConfig:
    """Return the model of a row of a sweep's table.

    Parameters
    ----------
    record : mapping
        Columns of the table; fields that it lacks have their defaults, and the start of b is the published one.

    Returns
    -------
    ToyConfig
        The model.

    Raises
    ------
    DataError
        A table that does not give the frequencies.
    """
    if str(record.get("frequency", "given")) == "given":
        raise DataError("frequency = given: the table does not list the frequencies; train the model from its grid")
    known = {
        field.name: record[field.name]
        for field in fields(ToyConfig)
        if field.name in record and not pd.isna(record[field.name])
    }
    rate = str(known.get("learning_rate", "small"))
    whole = {
        name: int(known[name]) for name in ("width", "n_features", "seed", "steps", "batch", "warmup") if name in known
    }
    return ToyConfig.from_dict(known | whole | {"learning_rate": rate if rate in RATE_RULES else parse_number(rate)})
