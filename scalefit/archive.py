"""Read a zip of JSON and npz from an untrusted source: within limits, and without pickle."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scalefit.numbers import exact

__all__ = ["LARGEST", "LARGEST_JSON", "read_arrays", "read_members"]

LARGEST: Final = 1 << 30  # bytes of a file, and of all that it unpacks to
LARGEST_JSON: Final = 64 << 20  # bytes; a list of empty lists takes twenty times as much as objects
MAGIC: Final = b"\x93NUMPY"
HEADER: Final = re.compile(
    r"\{'descr': '(?P<type>\|b1|[|<>][iu][1248]|[<>]f(?:2|4|8|16))', 'fortran_order': (?P<by_column>True|False), "
    r"'shape': \((?P<shape>[\d, ]{0,99})\), \}\s*"
)
METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others allocate what their header asks for


def read_members(path: Path, known: Mapping[str, int]) -> dict[str, bytes]:
    """Unpack a zip file.

    Parameters
    ----------
    path : Path
        The file.
    known : mapping of str to int
        Names that may occur, and how many bytes each may unpack to.

    Returns
    -------
    dict of str to bytes
        Content by name.

    Raises
    ------
    OSError
        When the file cannot be read.
    ValueError
        When it is not such a zip, or damaged, or too large.
    """
    if not path.is_file() and path.exists():
        raise ValueError("it is not a regular file")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"it has {exact(path.stat().st_size)} bytes, more than the {exact(LARGEST)} that are read")
    with path.open("rb") as file:
        return _unpack(file, known)


def read_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Read the arrays of an npz file: numbers and truth values, never objects.

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    dict of str to array
        By name.

    Raises
    ------
    ValueError
        When it is not an npz, or contains anything but plain numbers.
    """
    with io.BytesIO(content) as file:
        members = _unpack(file, None)
    return {name.removesuffix(".npy"): _array(name, content) for name, content in members.items()}


def _unpack(file: Any, known: Mapping[str, int] | None) -> dict[str, bytes]:
    """Unpack what a zip declares, which zipfile never exceeds; ``known`` limits names and sizes."""
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if len(set(names)) < len(names):
                raise ValueError("it has two members of the same name")
            if known is not None and (foreign := [name for name in names if name not in known]):
                raise ValueError(f"it contains {foreign[0]!r}")
            if any(info.compress_type not in METHODS or info.flag_bits & 1 for info in infos):
                raise ValueError("it uses a compression that scalefit never writes")
            limits = [LARGEST if known is None else known[name] for name in names]
            total = sum(info.file_size for info in infos)
            if total > LARGEST or any(info.file_size > most for info, most in zip(infos, limits, strict=True)):
                raise ValueError(f"it unpacks to {exact(total)} bytes, more than is read")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OverflowError) as error:
        raise ValueError(str(error) or "it ends too early") from None


def _array(name: str, content: bytes) -> NDArray[Any]:
    """Read one npy file; its header is compared with its length before anything is allocated.

    The reader of numpy evaluates the header as Python and allocates what the header requests. The headers that numpy
    writes have a fixed form, which a regular expression can check.
    """
    if content[:6] != MAGIC or len(content) < 12:
        raise ValueError(f"{name!r} is not an array")
    size = 2 if content[6] == 1 else 4
    start = 8 + size + int.from_bytes(content[8 : 8 + size], "little")
    header = HEADER.fullmatch(content[8 + size : start].decode("latin-1"))
    if header is None:
        raise ValueError(f"the array {name!r} contains something other than numbers")
    dtype, shape = np.dtype(header["type"]), tuple(int(size) for size in header["shape"].split(",") if size.strip())
    body = content[start:]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError(f"the array {name!r} does not have the size that it declares")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if header["by_column"] == "True" else "C").copy("K")
