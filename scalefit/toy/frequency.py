"""How often features occur: laws, a user's own numbers, or counts of tokens.

``alpha`` is the paper's: p_i ~ i^-alpha (Liu, Liu and Gore 2025, arXiv 2505.10465). The published code writes
p_i ~ 1 / i^(1 + alpha_code), so that alpha = 1 + alpha_code.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalefit.errors import DataError, closest
from scalefit.numbers import as_input, rounded

__all__ = ["LAWS", "law_weights", "probabilities", "read_frequencies"]

Array = NDArray[np.float64]

LAWS = ("power", "exponential", "linear")
ROUNDING = 1e-9  # a largest probability this little above 1 is meant to be 1


def law_weights(law: str, n: int, *, alpha: float | None = None, scale: float | None = None) -> Array:
    """Frequencies of a law, most frequent first, up to a factor.

    Parameters
    ----------
    law : {"power", "exponential", "linear"}
        ``i^-alpha``, ``exp(-i / scale)`` or ``n + 1 - i``, for i = 1 ... n.
    n : int
        Number of features.
    alpha : float or None
        Exponent of the power law, in the paper's sense.
    scale : float or None
        Decay length of the exponential law, in features.

    Returns
    -------
    array, shape (n,)
        Positive numbers.

    Raises
    ------
    DataError
        An unknown law, or a parameter that is missing, not finite, or of another law.
    """
    if law not in LAWS:
        raise DataError(f"frequency {law!r} is not a law: {closest(law, LAWS)}")
    needs = {"power": "alpha", "exponential": "scale"}.get(law)
    for name, value in (("alpha", alpha), ("scale", scale)):
        if name == needs and (value is None or not math.isfinite(value)):
            raise DataError(f"{name} = {value}: the {law} law of frequencies needs a finite number for {name}.")
        if name != needs and value is not None:
            raise DataError(f"{name} = {as_input(value)}: the {law} law of frequencies has no {name}; leave it out.")
    i: Array = np.arange(1, n + 1, dtype=float)
    if law == "power":
        return np.asarray(i ** -(alpha or 0.0), dtype=float)
    if law == "exponential":
        if not scale or scale <= 0:
            raise DataError(f"scale = {scale}: the exponential law of frequencies needs a positive scale.")
        return np.exp(-i / scale)
    return n + 1 - i


def probabilities(weights: Sequence[float] | Array, density: float) -> Array:
    """Scale frequencies so that ``density`` features are active in a sample on average.

    Parameters
    ----------
    weights : sequence of float, length n
        Frequencies up to a factor.
    density : float
        Activation density E, the sum of the probabilities.

    Returns
    -------
    array, shape (n,)
        Probabilities p_i.

    Raises
    ------
    DataError
        A frequency that is negative or not finite, all zero, or a density that asks for a probability above 1.
        Cutting it at 1 would lower the density silently, so that is left to the user.
    """
    w = np.asarray(weights, dtype=float)
    if w.ndim != 1 or not len(w):
        raise DataError("frequencies must be a list of numbers, one for each feature.")
    bad = np.flatnonzero(~np.isfinite(w) | (w < 0))
    if len(bad):
        raise DataError(
            f"frequency {as_input(w[bad[0]])} of feature {bad[0] + 1}: frequencies are finite and not negative."
        )
    if not w.any():
        raise DataError(f"all {len(w)} frequencies are zero: no feature would ever be active.")
    if not (math.isfinite(density) and density > 0):
        raise DataError(f"density = {as_input(density)}: the mean number of active features must be a positive number.")
    w = w / w.max()
    p = w * (density / w.sum())
    if p.max() > 1 + ROUNDING:
        raise DataError(
            f"density = {as_input(density)} makes feature {np.argmax(p) + 1} active with probability "
            f"{rounded(p.max(), digits=6)}; with these frequencies the density can be at most "
            f"{rounded(w.sum(), digits=6)}."
        )
    return np.asarray(np.minimum(p, 1.0))


def read_frequencies(path: str | Path, n: int | None = None) -> tuple[float, ...]:
    """Measure the frequencies of tokens.

    Parameters
    ----------
    path : str or path
        Counts of tokens: ``.json`` (an object of token and count, or a list of counts) or ``.csv`` / ``.tsv`` (the
        last column, with or without a header). Any other file is read as text whose words are the tokens.
    n : int or None
        Keep the n most frequent; None keeps all that occur.

    Returns
    -------
    tuple of float
        Shares of all tokens, most frequent first.

    Raises
    ------
    DataError
        A file that cannot be read, has a count that is not a number of at least 0, or fewer than n tokens.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    counts = sorted((count for count in _counts(path, text) if count > 0), reverse=True)
    kept = counts if n is None else counts[:n]
    if not kept or (n is not None and len(counts) < n):
        raise DataError(f"{path} has {len(counts)} tokens with a count above 0; {n or 1} are needed.")
    total = math.fsum(counts)
    return tuple(count / total for count in kept)


def _counts(path: Path, text: str) -> list[float]:
    kind = path.suffix.lower()
    if kind == ".json":
        try:
            table = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"{path} is not JSON: {error}") from None
        if not isinstance(table, dict | list):
            raise DataError(f"{path} holds a single value; an object of token and count or a list is needed.")
        return _numbers(path, table.values() if isinstance(table, dict) else table)
    if kind in {".csv", ".tsv"}:
        cells = [row[-1] for row in csv.reader(text.splitlines(), delimiter="\t" if kind == ".tsv" else ",") if row]
        return _numbers(path, cells[1:] if cells and not _is_number(cells[0]) else cells)
    return [float(count) for count in Counter(text.split()).values()]


def _is_number(cell: object) -> bool:
    try:
        return math.isfinite(float(cell)) and not isinstance(cell, bool)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _numbers(path: Path, cells: Iterable[object]) -> list[float]:
    counts = []
    for place, cell in enumerate(cells, start=1):
        if not _is_number(cell) or float(cell) < 0:  # type: ignore[arg-type]
            raise DataError(f"{path}: count {place} is {cell!r}; counts are numbers of at least 0.")
        counts.append(float(cell))  # type: ignore[arg-type]
    return counts
