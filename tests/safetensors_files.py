"""Safetensors files and checkpoints written byte by byte, without the package that usually writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {"<f4": "F32", "<f8": "F64", "<f2": "F16", "|u1": "U8", "<i4": "I32", "|i1": "I8"}


def bf16(values: Any) -> np.ndarray:
    """Upper halves of float32 numbers, rounded to nearest even; as ``bits`` for `write_tensors`."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def write_tensors(path: Path, tensors: dict[str, np.ndarray], *, name_of: dict[str, str] | None = None) -> Path:
    """Write a file; arrays of 16-bit integers are BF16."""
    header, parts, at = {}, [], 0
    for name, array in tensors.items():
        part = np.ascontiguousarray(array).tobytes()
        dtype = (name_of or {}).get(name) or NAMES.get(array.dtype.str, "BF16")
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + len(part)]}
        parts.append(part)
        at += len(part)
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))
    return path


def write_checkpoint(folder: Path, tensors: dict[str, np.ndarray], *, tokens: int | None = None, **config: Any) -> Path:
    """Write a folder with config.json, weights and, for ``tokens``, a tokenizer of so many ids."""
    write_tensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps(config))
    if tokens is not None:
        vocab = {f"t{i}": i for i in range(tokens - 1)}
        added = [{"id": tokens - 1, "content": "<end>"}]
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocab}, "added_tokens": added}))
    return folder
