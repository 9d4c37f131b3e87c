"""Limits of options: counts are compared with their range and with memory before any work starts."""

from __future__ import annotations

import operator
from typing import Any, Final

from scalefit.errors import DataError
from scalefit.numbers import exact

__all__ = ["LAST_SEED", "MEMORY", "MOST_REPLICATES", "MOST_WORKERS", "check_count", "check_seed"]

MEMORY: Final = 1 << 30  # bytes that the results of one call may take; a saved fit may have as many
MOST_WORKERS: Final = 1024
MOST_REPLICATES: Final = 10_000_000
LAST_SEED: Final = 2**63 - 1  # the largest whole number in a compiled loop


def check_count(name: str, value: Any, *, least: int, most: int = 10**9, each: int = 0, such_as: int = 0) -> int:
    """Check a count from a user.

    Parameters
    ----------
    name : str
        The name of the option.
    value : int
        How many.
    least, most : int
        The range.
    each : int
        Bytes that each takes in memory, if all are in memory at once.
    such_as : int
        A usual value for the message; none when 0.

    Returns
    -------
    int
        The value.

    Raises
    ------
    DataError
        When it is not a whole number, or exceeds its range or the memory; the message has the limit.

    Examples
    --------
    >>> check_count("bootstrap", 4000, least=2)
    4000
    """
    advice = f", such as {such_as}" if such_as else ""
    try:
        if isinstance(value, bool):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise DataError(f"{name} is {value!r}; it must be a whole number{advice}") from None
    if count < least:
        raise DataError(f"{name} is {_shown(count)}; it must be at least {least}{advice}")
    fitting = MEMORY // each if each else most
    if count > most or count > fitting:
        why = "" if fitting >= most else f", which take {exact(MEMORY >> 20)} MiB of memory here"
        raise DataError(f"{name} is {_shown(count)}; it can be at most {exact(min(most, fitting))}{why}{advice}")
    return count


def check_seed(seed: Any) -> int:
    """Check a seed.

    Parameters
    ----------
    seed : int
        Any whole number from 0 to 2^63 - 1.

    Returns
    -------
    int
        The seed.

    Raises
    ------
    DataError
        When it is something else.
    """
    try:
        return check_count("seed", seed, least=0, most=LAST_SEED)
    except DataError:
        shown = _shown(seed) if type(seed) is int else repr(seed)
        raise DataError(f"seed is {shown}; it must be a whole number from 0 to 2^63 - 1, such as 0") from None


def _shown(number: int) -> str:
    """Write a number with all digits, unless it is too long to read."""
    if abs(number) < 10**18:
        return exact(number) if abs(number) >= 10**5 else str(number)
    return f"{'-' if number < 0 else ''}a number of more than 18 digits"
