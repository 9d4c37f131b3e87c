"""Write files atomically, and read files of an earlier run that may be damaged."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import pickle
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from scalefit.errors import DataError, ScalefitError

__all__ = ["UNREADABLE", "parse_json", "parse_toml", "plain_json", "read_kept", "write_atomically"]

T = TypeVar("T")

LOG = logging.getLogger("scalefit")  # without a handler of the user's, warnings go to stderr

UNREADABLE = (
    ScalefitError, OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, OverflowError,
    NotImplementedError, RecursionError, MemoryError, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError,
    ImportError,  # from a file of a version whose modules had other names
)  # fmt: skip
"""What reading a damaged file may raise, from whatever library reads it."""


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that it appears complete or not at all.

    Parameters
    ----------
    path : path
        The destination.
    content : bytes
        Its content.

    Raises
    ------
    DataError
        When the folder is missing or cannot be written.
    """
    partial: Path | None = None
    try:
        path = Path(os.path.realpath(path))  # replace the target of a link, not the link
        if path.exists() and not path.is_file():  # a pipe or a device, which cannot be replaced
            path.write_bytes(content)
            return
        partial = path.with_name(f"{path.name[:40]}.{os.getpid()}.partial")  # the suffix must fit too
        partial.write_bytes(content)
        partial.replace(path)
    except (OSError, ValueError) as error:
        if partial is not None:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"cannot write {str(path)!r}: {reason}; give a path in a folder you can write") from None


def read_kept(path: Path, read: Callable[[Path], T], *, consequence: str = "it is computed again") -> T | None:
    """Read a file of an earlier run; an unreadable one is treated as absent.

    Parameters
    ----------
    path : Path
        The file.
    read : callable
        Reads and checks it; exceptions from a damaged file are caught.
    consequence : str
        What happens instead, for the warning about a file that cannot be read.

    Returns
    -------
    object or None
        What ``read`` returned; None where there is no file, or an unreadable one.
    """
    try:
        return read(path)
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        LOG.warning("%r cannot be read (%s); %s", str(path), brief(error), consequence)
        return None


def brief(error: BaseException) -> str:
    """Return the message of an error on one short line, or its type if it has no message."""
    text = " ".join(str(error).split())
    return (text if len(text) <= 200 else f"{text[:197]}...") or type(error).__name__


def parse_json(content: bytes | str) -> Any:
    """Parse JSON from outside; an error of the parser about depth becomes a ValueError.

    Parameters
    ----------
    content : bytes or str
        UTF-8, with or without a byte order mark.

    Returns
    -------
    object
        The value.

    Raises
    ------
    ValueError
        When it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(content.decode("utf-8-sig") if isinstance(content, bytes) else content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def plain_json(value: Any) -> Any:
    """Return a value as it is printed and stored as JSON, which has neither infinite nor missing numbers.

    Parameters
    ----------
    value : object
        Text, numbers (also of NumPy), truth values, None, arrays, and sequences and mappings of them.

    Returns
    -------
    object
        Mappings have texts as keys, sequences are lists, and a number that is not finite is None.

    Examples
    --------
    >>> plain_json({"se": float("nan"), "interval": (0.25, float("inf"))})
    {'se': None, 'interval': [0.25, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return plain_json(value.tolist()) if hasattr(value, "tolist") else value


def parse_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file that a person wrote.

    Parameters
    ----------
    path : Path
        UTF-8, with or without a byte order mark, as some editors write it.

    Returns
    -------
    dict
        The table.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is not valid TOML, saying where.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
