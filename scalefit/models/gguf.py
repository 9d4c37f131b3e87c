"""The header of a GGUF file: its metadata as a config, and the positions of its tensors.

A GGUF file is magic, version, counts, key-value pairs, names and places of tensors, then the tensors, aligned. Q8_0
stores 32 numbers as one float16 scale and 32 bytes, which changes an overlap by 3e-6; coarser formats are not read.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

from scalefit.errors import DataError
from scalefit.files import brief
from scalefit.numbers import exact

__all__ = ["Q8_0", "Gguf", "Stored", "read_gguf"]

Q8_0: Final = np.dtype([("scale", "<f2"), ("steps", "i1", (32,))])  # a block of 32 numbers

_NUMBERS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_TYPES: Final = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K",
                 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 28: "F64", 30: "BF16"}  # fmt: skip
_BYTES: Final = {"F32": 4, "F16": 2, "F64": 8, "BF16": 2}
_MOST: Final = 10_000_000  # pairs, tensors, items of a list, letters of a text; a vocabulary has 300,000


class Stored(NamedTuple):
    """A tensor of a GGUF file.

    Parameters
    ----------
    dtype : str
        Such as ``"F16"``, ``"Q8_0"``, ``"Q4_K"``, or ``"type 99"``.
    shape : tuple of int
        The slowest axis first, as in safetensors.
    offset, nbytes : int
        Position of its first byte in the file, and number of bytes; 0 for formats that are not read.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


class Gguf(NamedTuple):
    """The header of a GGUF file.

    Parameters
    ----------
    config : dict
        Architecture and sizes by the names that config.json has for them.
    tokens : int
        Tokens of the tokenizer; 0 without one.
    tensors : dict of str to Stored
        By their names in the file, such as ``"token_embd.weight"``.
    """

    config: dict[str, Any]
    tokens: int
    tensors: dict[str, Stored]


def read_gguf(file: Path) -> Gguf:
    """Read the header of a GGUF file.

    Parameters
    ----------
    file : Path
        The file.

    Returns
    -------
    Gguf
        The header; weights are not read.

    Raises
    ------
    DataError
        When it is not a complete GGUF file.
    """
    try:
        with file.open("rb") as stream:
            header = _read(stream)
    except (struct.error, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(
            f"{str(file)!r} is not a whole GGUF file of version 2 or 3 ({brief(error)}); download it again"
        ) from None
    size = file.stat().st_size
    end = max((tensor.offset + tensor.nbytes for tensor in header.tensors.values()), default=0)
    if end > size:
        raise DataError(f"{str(file)!r} is cut: it has {exact(size)} of {exact(end)} bytes; download it again")
    return header


def _read(stream: BinaryIO) -> Gguf:
    magic, version, n_tensors, n_pairs = _take(stream, "<4sIQQ")
    if magic != b"GGUF" or version not in (2, 3):
        raise ValueError(f"it starts with {magic!r}, version {version}")
    pairs: dict[str, Any] = {}
    for _ in range(_counted(n_pairs)):
        key = _text(stream)
        (kind,) = _take(stream, "<I")
        pairs[key] = _value(stream, kind)
    places = []
    for _ in range(_counted(n_tensors)):
        name = _text(stream)
        (axes,) = _take(stream, "<I")
        shape = _take(stream, f"<{axes if axes <= 8 else 'x'}Q")[::-1]
        kind, offset = _take(stream, "<IQ")
        places.append((name, _TYPES.get(kind, f"type {kind}"), shape, offset))
    align = int(pairs.get("general.alignment", 32))
    if align < 1:
        raise ValueError(f"its alignment is {align}")
    start = -(-stream.tell() // align) * align
    tensors = {name: Stored(dtype, shape, start + at, _size(dtype, shape)) for name, dtype, shape, at in places}
    kind = str(pairs.get("general.architecture", ""))
    names = {
        "hidden_size": "embedding_length", "num_hidden_layers": "block_count",
        "rms_norm_eps": "attention.layer_norm_rms_epsilon", "layer_norm_eps": "attention.layer_norm_epsilon",
        "final_logit_softcapping": "final_logit_softcapping",
    }  # fmt: skip
    config = {name: pairs[f"{kind}.{key}"] for name, key in names.items() if f"{kind}.{key}" in pairs}
    tokens = pairs.get("tokenizer.ggml.tokens", 0)
    return Gguf({"model_type": kind, **config}, int(tokens), tensors)


def _size(dtype: str, shape: tuple[int, ...]) -> int:
    count = math.prod(shape)
    return count // 32 * Q8_0.itemsize if dtype == "Q8_0" else count * _BYTES.get(dtype, 0)


def _take(stream: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, stream.read(struct.calcsize(form)))


def _counted(number: int) -> int:
    if number > _MOST:
        raise ValueError(f"it counts {number} of something")
    return number


def _text(stream: BinaryIO) -> str:
    (length,) = _take(stream, "<Q")
    return stream.read(_counted(length)).decode("utf-8", "replace")


def _value(stream: BinaryIO, kind: int) -> Any:
    """Read a value; of a list only its length."""
    if kind == _TEXT:
        return _text(stream)
    if kind != _LIST:
        return _take(stream, f"<{_NUMBERS[kind]}")[0]
    inner, count = _take(stream, "<IQ")
    for _ in range(_counted(count) if inner in (_TEXT, _LIST) else 0):
        _value(stream, inner)
    if inner not in (_TEXT, _LIST):
        stream.seek(_counted(count) * struct.calcsize(_NUMBERS[inner]), 1)
    return count
