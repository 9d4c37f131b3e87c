"""Add one vector to every row of a head, to show that this changes the raw overlap but no prediction."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from scalefit.errors import DataError
from scalefit.limits import check_seed
from scalefit.models.checkpoint import EMBEDDINGS, find_head, is_named, open_checkpoint, read_rows

__all__ = ["shift_head"]

BLOCK = 4096


def shift_head(
    checkpoint: str | os.PathLike[str], out: str | os.PathLike[str], *, size: float = 1.0, seed: int = 0
) -> str:
    """Copy a checkpoint, with one vector added to every row of its output head.

    A logit is the product of a row and the last state, so every logit of a prediction changes by the same number and
    the softmax gives the same probabilities (unless the logits are soft-capped first). The remaining difference is the
    rounding of the stored numbers: 1e-7 in F32.

    Parameters
    ----------
    checkpoint : path
        A folder in F32 or F64 whose head is not the embedding; with a tied head the inputs would change too.
    out : path
        The new folder; it must not exist.
    size : float
        Norm of the vector over the root mean square norm of the rows.
    seed : int
        Seed of its direction.

    Returns
    -------
    str
        Name of the tensor that was changed.

    Raises
    ------
    DataError
        For soft-capped logits, a tied head, numbers of 16 bits (whose rounding would change predictions), and a folder
        that exists.
    """
    check_seed(seed)
    if not np.isfinite(size):
        raise DataError(f"size is {size}; it must be a finite number, such as 1")
    source, target = Path(checkpoint), Path(out)
    opened = open_checkpoint(source)
    head = find_head(opened)
    tensor = head.tensor
    if opened.capped:
        raise DataError(
            f"the logits of {str(source)!r} are soft-capped (final_logit_softcapping), so a vector added to every row "
            "would change its predictions; give a model without a cap"
        )
    if not source.is_dir() or head.tied or is_named(tensor.name, EMBEDDINGS):
        raise DataError(
            f"{tensor.name!r} of {str(source)!r} is the embedding too, so a vector added to it would change the "
            "inputs; use a folder with a separate head"
        )
    if tensor.dtype not in ("F32", "F64"):
        raise DataError(
            f"{tensor.name!r} of {str(source)!r} is stored as {tensor.dtype}, whose rounding would change predictions; "
            "save the model in float32 first"
        )
    if target.exists():
        raise DataError(f"{str(target)!r} exists already; name a new folder")
    kind = "<f4" if tensor.dtype == "F32" else "<f8"
    rows = read_rows(tensor)
    vector = np.random.default_rng(seed).standard_normal(tensor.shape[1])
    vector *= size * float(np.sqrt(np.mean(np.sum(rows**2, axis=1)))) / float(np.linalg.norm(vector))
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(source, partial)
        with (partial / tensor.path.name).open("r+b") as stream:
            stream.seek(tensor.offset)
            for start in range(0, len(rows), BLOCK):
                stream.write((rows[start : start + BLOCK] + vector).astype(kind).tobytes())
        partial.rename(target)
    except OSError as error:
        raise DataError(f"cannot write {str(target)!r}: {error.strerror}; name a folder that you can write") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return tensor.name
