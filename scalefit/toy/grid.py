"""A grid of toy models, read from TOML: a list of values means one model for each."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from scalefit.errors import DataError, closest
from scalefit.files import parse_toml
from scalefit.limits import check_count
from scalefit.toy.config import ToyConfig
from scalefit.toy.frequency import LAWS, read_frequencies
from scalefit.toy.model import LAST, LAST_SAMPLES

__all__ = ["DEFAULT_GRID", "ToyGrid", "check_loss_samples"]

DEFAULT_GRID: Final = """\
# Strong and weak superposition at two lengths of training: a minute of one core.
# It shows that the regimes separate, and whether the exponents still move with training; it claims no more.
# A list means a model for each of its values.
width = [8, 13, 21, 34, 55]   # hidden dimensions m
n_features = 512
alpha = 1.0                   # frequencies i^-alpha; or frequency = "linear", "counts.csv", [0.5, 0.3, 0.2] ...
gamma = [-1.0, 0.2]           # weight decay; below 0 every row grows towards unit norm
density = 1.0                 # features active in a sample, on average
seeds = 1                     # how many, or a list
steps = [3000, 6000]
batch = 256
learning_rate = "small"       # a rule ("small", "large") or a number
bias_start = "zero"           # "normal" is the published start, which leaves some outputs dead; "small", "mean" ...
norm = "free"                 # "unit" holds every row at unit norm, "held" trains the biases only
"""


class Kind(NamedTuple):
    """What a key takes."""

    types: tuple[type, ...]
    words: str


WHOLE, NUMBER = Kind((int,), "a whole number"), Kind((int, float), "a number")
WORD = Kind((str,), "a word")
FREQUENCY = Kind((str, tuple), "a law, a file, or one number for each feature")
KEYS: Final = MappingProxyType({
    "frequency": FREQUENCY, "width": WHOLE, "n_features": WHOLE, "alpha": NUMBER, "scale": NUMBER, "density": NUMBER,
    "gamma": NUMBER, "batch": WHOLE, "learning_rate": Kind((int, float, str), "a number or a rule"), "warmup": WHOLE,
    "loss_factor": NUMBER, "dtype": WORD, "bias_start": WORD, "norm": WORD, "steps": WHOLE, "seeds": WHOLE,
})  # fmt: skip
SAMPLES: Final = "loss_samples"  # the one key that is the same for all models
MOST_MODELS: Final = 100_000
MOST_SAMPLES: Final = 10**10
OWN_PARAMETER: Final = MappingProxyType({"alpha": "power", "scale": "exponential"})


@dataclass(frozen=True)
class ToyGrid:
    """Every combination of the values of a grid.

    Parameters
    ----------
    models : tuple of ToyConfig
        One per cell; no two are the same.
    name : str
        The file that it came from, or a word for it.
    loss_samples : int
        Samples behind the loss of each trained model, at least; see :func:`scalefit.toy.train_toy`.
    """

    models: tuple[ToyConfig, ...]
    name: str = "grid"
    loss_samples: int = LAST_SAMPLES

    @classmethod
    def default(cls) -> ToyGrid:
        """Return :data:`DEFAULT_GRID`: both regimes on a laptop in about a minute."""
        return cls.from_dict(tomllib.loads(DEFAULT_GRID), name="default")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ToyGrid:
        """Read a grid from a TOML file.

        Parameters
        ----------
        path : path
            Its keys are those of :meth:`from_dict`.

        Returns
        -------
        ToyGrid
            The grid.

        Raises
        ------
        DataError
            When it cannot be read, or for an unknown key or an impossible value.
        """
        path = Path(path)
        try:
            table = parse_toml(path)
        except OSError as error:
            raise DataError(f"cannot read the grid {str(path)!r}: {error.strerror}; give a TOML file") from None
        except ValueError as error:
            raise DataError(f"{str(path)!r} is not valid TOML: {error}") from None
        return cls.from_dict(table, folder=path.parent, name=path.name)

    @classmethod
    def from_dict(
        cls, table: Mapping[str, Any], *, folder: str | os.PathLike[str] = ".", name: str = "grid"
    ) -> ToyGrid:
        """Build a grid from its keys.

        Parameters
        ----------
        table : mapping
            ``width, n_features, frequency, alpha, scale, density, gamma, seeds, steps, batch, learning_rate, warmup,
            loss_factor, dtype, bias_start, norm``: fields of :class:`ToyConfig`. A list means a model for each value.
            ``seeds`` is a list, or how many from 0 on. ``frequency`` is a law; or a file of text or token counts, of
            which the ``n_features`` most frequent count; or numbers, one for each feature; or a list of these.
            ``alpha`` and ``scale`` belong to the power and to the exponential law: in a grid over laws the others go
            without. ``loss_samples``, one number, is that of the grid.
        folder : path
            Where relative files of frequencies lie.
        name : str
            A word for the grid.

        Returns
        -------
        ToyGrid
            The grid.

        Raises
        ------
        DataError
            For an unknown key, no width, a value that cannot be used, or the same model twice.
        """
        for key in table:
            if key not in KEYS and key != SAMPLES:
                raise DataError(f"{name}: a grid has no key {key!r}; {closest(key, [*KEYS, SAMPLES])}")
        if "width" not in table:
            raise DataError(f"{name}: a grid needs width, such as width = [8, 13, 21]")
        axes = {key: _values(name, key, table[key]) for key in KEYS if key in table}
        check_count(f"{name}: the number of models", _size(axes), least=1, most=MOST_MODELS)
        measure = cache(read_frequencies)  # a text is read once, not for every model
        models = []
        for record in _combinations(axes):
            record["seed"] = record.pop("seeds", 0)
            try:
                models.append(ToyConfig(**_with_frequencies(record, Path(folder), measure)))
            except DataError as error:
                raise DataError(f"{name}: {error}") from None
        if len(set(models)) < len(models):
            twice = next(config for place, config in enumerate(models) if config in models[:place])
            raise DataError(f"{name}: the model of width {twice.width} occurs twice; give every value of a list once")
        try:
            return cls(tuple(models), name, check_loss_samples(table.get(SAMPLES, LAST_SAMPLES)))
        except DataError as error:
            raise DataError(f"{name}: {error}") from None


def check_loss_samples(count: Any) -> int:
    """Check a number of samples behind the loss of a trained model.

    Parameters
    ----------
    count : int
        The number.

    Returns
    -------
    int
        The same.

    Raises
    ------
    DataError
        When it is not a whole number that can be used.
    """
    return check_count(SAMPLES, count, least=2 * LAST, most=MOST_SAMPLES, such_as=LAST_SAMPLES)


def _values(name: str, key: str, given: Any) -> list[Any]:
    """List the values of one key."""
    if key == "seeds" and isinstance(given, int) and not isinstance(given, bool):
        if given < 1:
            raise DataError(f"{name}: seeds = {given}; give how many, at least 1, or a list of them")
        check_count(f"{name}: seeds", given, least=1, most=MOST_MODELS)
        return list(range(given))
    values = list(given) if isinstance(given, list | tuple) else [given]
    if key == "frequency":
        one = isinstance(given, list | tuple) and _are_numbers(values)
        values = [tuple(v) if isinstance(v, list) else v for v in ([values] if one else values)]
    if not values:
        raise DataError(f"{name}: {key} is an empty list; give at least one value")
    for value in values:
        if not isinstance(value, KEYS[key].types) or isinstance(value, bool):
            raise DataError(f"{name}: {key} = {value!r}; it takes {KEYS[key].words}, or a list of such")
        if isinstance(value, tuple) and not _are_numbers(value):
            raise DataError(f"{name}: frequency has {list(value)!r}; frequencies are numbers, one for each feature")
    return values


def _size(axes: Mapping[str, list[Any]]) -> int:
    """Count the models without making them: a law of frequencies has only its own parameter."""
    laws = axes.get("frequency", ["power"])
    return sum(math.prod(map(len, _own_axes(axes, law, laws).values())) for law in laws)


def _own_axes(axes: Mapping[str, list[Any]], law: Any, laws: list[Any]) -> dict[str, list[Any]]:
    """Return the values of each key that one law of frequencies has a use for."""
    foreign = {key for key, owner in OWN_PARAMETER.items() if owner in laws}
    own = {key: values for key, values in axes.items() if key not in foreign or OWN_PARAMETER[key] == law}
    return {**own, "frequency": [law]} if "frequency" in own else own


def _are_numbers(values: Any) -> bool:
    return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _combinations(axes: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Combine the values; in a grid over laws of frequencies, each law has only its own parameter."""
    laws = axes.get("frequency", ["power"])
    for law in laws:
        own = _own_axes(axes, law, laws)
        for values in product(*own.values()):
            yield dict(zip(own, values, strict=True))


def _with_frequencies(record: dict[str, Any], folder: Path, measure: Any) -> dict[str, Any]:
    """Put numbers in the place of a file of frequencies."""
    given = record.get("frequency", "power")
    if isinstance(given, tuple):
        return {"n_features": len(given), **record}
    if given in LAWS:
        return record
    path = folder / given
    if not path.is_file():
        raise DataError(f"frequency = {given!r} is neither a file nor a law; {closest(given, LAWS)}")
    return {**record, "frequency": measure(path, record.get("n_features", ToyConfig.n_features))}
