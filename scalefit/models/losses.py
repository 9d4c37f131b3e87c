"""The losses of checkpoints on texts, as a table for fits and posteriors.

The loss of a token is -ln of its probability under the model, in nats. Logits have the precision of the options,
everything after them is float64. Nothing is downloaded, and no code of a checkpoint is run.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.files import write_atomically
from scalefit.models.folder import CheckpointFolder, run_names
from scalefit.models.loading import LanguageModel, check_device, lacks_memory, need_libraries, quiet
from scalefit.models.text import Text, read_texts
from scalefit.models.tokens import encode
from scalefit.models.windows import Window, cut_windows
from scalefit.numbers import exact
from scalefit.options import LOSSES, Scoring, gather, takes
from scalefit.progress import Progress

__all__ = ["COLUMNS", "measure_losses", "score_windows"]

Row = dict[str, str]

COLUMNS: Final[Mapping[str, type]] = MappingProxyType({
    "family": str, "run": str, "eval_set": str, "params": int, "params_non_embedding": int, "width": int, "depth": int,
    "vocab": int, "loss": float, "loss_se": float, "bits_per_byte": float, "tokens_scored": int, "bytes": int,
    "unknown": int, "windows": int, "context": int, "stride": int, "max_tokens": int, "bos": str, "dtype": str,
    "device": str, "checkpoint_digest": str, "text_digest": str, "software": str,
})  # fmt: skip
"""Columns of the table of losses, and their types."""

IDENTITY: Final = ("checkpoint_digest", "text_digest", "context", "stride", "max_tokens", "bos", "dtype")
LOGITS: Final = 1 << 28  # logits of one batch of the default size: 1 GiB in float32
BLOCK: Final = 1 << 24  # logits that are converted to float64 at a time: 128 MiB


@takes(*LOSSES)
def measure_losses(
    checkpoints: Sequence[str | os.PathLike[str]],
    texts: Sequence[str | os.PathLike[str]],
    *options: Scoring,
    out: str | os.PathLike[str] | None = None,
    family: str | None = None,
    progress: Progress | None = None,
    **keywords: Any,
) -> pd.DataFrame:
    """Measure the loss of each checkpoint on each text.

    Parameters
    ----------
    checkpoints : sequence of path
        Local folders as Hugging Face lays them out: config.json, weights, tokenizer.
    texts : sequence of path
        Files of text in UTF-8, none of which the models should have been trained on.
    *options : Scoring
        Options as a value.
    out : path, optional
        A CSV file to which each row is added as soon as it is measured. Rows that it has for the same weights, text and
        settings are not measured again; all other rows are kept.
    family : str, optional
        The label of these checkpoints in the column ``family``; the architecture when omitted.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.Scoring`, which are listed there.

    Returns
    -------
    DataFrame
        One row per checkpoint and text, with the columns of :data:`COLUMNS`. ``loss`` is in nats per token,
        ``loss_se`` its standard error over windows of this text (NaN for a single one), ``bits_per_byte`` the same
        loss per byte of the text, which can be compared between tokenizers; ``unknown`` is the number of unknown tokens
        (text that the tokenizer cannot encode), which make both losses too small.

    Raises
    ------
    DataError
        For a folder, text or option that cannot be used. Rows measured before are in ``out``.
    MissingExtra
        Without the extra ``models``.

    Examples
    --------
    >>> measure_losses(["no/such/folder"], ["text.txt"])
    Traceback (most recent call last):
    scalefit.errors.DataError: 'no/such/folder' does not exist; give the folder of a checkpoint, with config.json, \
weights and a tokenizer
    """
    need_libraries()
    (scoring,) = gather(LOSSES, options, keywords)
    if not checkpoints or not texts:
        raise DataError("at least one checkpoint and one text are needed")
    opened = [
        (name, LanguageModel(CheckpointFolder.read(path), dtype=scoring.dtype, device=scoring.device))
        for name, path in zip(run_names(checkpoints), checkpoints, strict=True)
    ]
    read = read_texts(texts)
    check_device(scoring.device)
    for name, model in opened:
        if model.longest is not None and scoring.context > model.longest:
            raise DataError(
                f"context is {scoring.context}, and {name} has been made for at most {model.longest} positions; give a "
                "context of at most that, the same for all models that are compared"
            )
    table = _Table(out)
    rows = []
    for name, model in opened:
        label = family or model.folder.config["model_type"]
        weights = model.folder.digest(progress)
        bos = model.beginning(scoring.bos)
        for text in read:
            labels = {"family": label, "run": name, "eval_set": text.name}
            identity = _identity(weights, text, scoring, bos)
            row = table.row(identity)
            if row is None:
                row = identity | _measured(model, text, scoring, bos, name, progress)
            rows.append(table.keep(row | labels))
        model.close()
    return _frame(rows)


def _identity(checkpoint: str, text: Text, scoring: Scoring, bos: int | None) -> Row:
    """Return the columns that identify a measurement."""
    return {
        "checkpoint_digest": checkpoint,
        "text_digest": text.digest,
        "context": str(scoring.context),
        "stride": str(scoring.used_stride),
        "max_tokens": "" if scoring.max_tokens is None else str(scoring.max_tokens),
        "bos": "no" if bos is None else "yes",
        "dtype": scoring.dtype,
    }


def _measured(
    model: LanguageModel, text: Text, scoring: Scoring, bos: int | None, run: str, progress: Progress | None
) -> Row:
    """Score a text, and return the measured columns."""
    import torch
    import transformers

    ids, spans, unknown = encode(model.tokenizer, text.content, scoring.max_tokens)
    if len(ids) < 2:
        raise DataError(f"{str(text.path)!r} is {len(ids) or 'no'} token for {run}; at least 2 are needed")
    rows = model.model.get_input_embeddings().weight.shape[0]
    highest = max(int(ids.max()), -1 if bos is None else bos)
    if highest >= rows:
        raise DataError(
            f"the tokenizer of {run} gives token {highest}, and the model has {exact(rows)} only; give the tokenizer "
            "that the model was trained with"
        )
    windows = cut_windows(len(ids), scoring.context, scoring.used_stride, bos=bos is not None)
    stage = f"{run} on {text.name}"
    sums = score_windows(model.model, ids, windows, bos=bos, batch=scoring.batch, stage=stage, progress=progress)
    if not np.isfinite(sums).all():
        raise DataError(f"the loss of {stage} is not finite; check the weights, or give dtype float32")
    counts = np.array([window.end - window.first for window in windows], dtype=float)
    n_bytes = len(text.content[spans[windows[0].first, 0] : spans[-1, 1]].encode())
    loss = math.fsum(sums) / math.fsum(counts)
    record: dict[str, Any] = model.size._asdict() | {
        "loss": loss,
        "loss_se": _error_over_windows(sums, counts),
        "bits_per_byte": math.fsum(sums) / (n_bytes * math.log(2)),
        "tokens_scored": int(counts.sum()),
        "bytes": n_bytes,
        "unknown": unknown,
        "windows": len(windows),
        "device": scoring.device,
        "software": f"torch {torch.__version__}, transformers {transformers.__version__}",
    }
    return {name: "" if value is None else str(value) for name, value in record.items()}


def _error_over_windows(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> float | None:
    """Return the standard error of the mean over tokens by windows; None for a single window.

    The loss is a ratio of sums over windows, so its error is that of the residuals ``sum - loss * count``. It estimates
    how much the loss would differ on other parts of such a text, without correlations between windows.
    """
    if len(sums) < 2:
        return None
    residuals = sums - counts * (sums.sum() / counts.sum())
    return float(np.sqrt(len(sums) / (len(sums) - 1) * (residuals**2).sum()) / counts.sum())


def score_windows(
    model: Any,
    ids: NDArray[np.int64],
    windows: Sequence[Window],
    *,
    bos: int | None = None,
    batch: int | None = None,
    stage: str = "scoring",
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Sum the losses of the tokens that each window scores.

    Parameters
    ----------
    model : torch.nn.Module
        A causal language model of transformers.
    ids : array of int, shape (n,)
        The text.
    windows : sequence of Window
        As from :func:`scalefit.models.windows.cut_windows`.
    bos : int, optional
        The token that is put before each window.
    batch : int, optional
        Windows that are scored together.
    stage : str
        Name of the stage, for ``progress``.
    progress : callable, optional
        Called as ``progress(stage, done, total)``, in windows.

    Returns
    -------
    array, shape (len(windows),)
        Sums of losses, in nats.

    Raises
    ------
    DataError
        When there is not enough memory for a batch.
    """
    import torch

    device = next(model.parameters()).device
    text = torch.as_tensor(ids)
    sums = np.zeros(len(windows))
    for group in _groups(windows, _batch_size(model, windows, batch)):
        if progress is not None:
            progress(stage, group[0], len(windows))
        together = [windows[place] for place in group]
        tokens = torch.stack([text[window.begin : window.end] for window in together])
        if bos is not None:
            tokens = torch.cat([tokens.new_full((len(together), 1), bos), tokens], dim=1)
        tokens = tokens.to(device)
        try:
            with torch.inference_mode(), quiet():
                logits = model(tokens[:, :-1], use_cache=False).logits
                for row, (place, window) in enumerate(zip(group, together, strict=True)):
                    scored = window.end - window.first
                    sums[place] = _sum_of_losses(logits[row, -scored:], tokens[row, -scored:])
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            raise DataError(
                f"there is not enough memory on {device} for {len(together)} windows of {tokens.shape[1]} tokens; give "
                "a smaller batch or context"
            ) from None
    return sums


def _sum_of_losses(logits: Any, targets: Any) -> float:
    """Sum -ln p over tokens, in float64: in float32 ln V alone would be wrong by 5e-7."""
    import torch

    total, rows = 0.0, max(1, BLOCK // logits.shape[-1])
    for start in range(0, len(targets), rows):
        exact = logits[start : start + rows].double()
        chosen = exact.gather(1, targets[start : start + rows, None])[:, 0]
        total += float((torch.logsumexp(exact, dim=1) - chosen).sum())
    return total


def _batch_size(model: Any, windows: Sequence[Window], batch: int | None) -> int:
    if batch is not None:
        return batch
    longest = max(window.end - window.begin for window in windows)
    vocab = int(model.get_input_embeddings().weight.shape[0])
    return max(1, LOGITS // (longest * vocab))


def _groups(windows: Sequence[Window], size: int) -> list[list[int]]:
    """Group windows of equal length, so that no padding is needed; only the last one is shorter."""
    groups: list[list[int]] = []
    for place, window in enumerate(windows):
        before = windows[groups[-1][0]] if groups else None
        if before is not None and len(groups[-1]) < size and window.end - window.begin == before.end - before.begin:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


class _Table:
    """The file of rows: existing rows are kept, and every new row is written at once."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = None if path is None else Path(path)
        self._rows = [] if self._path is None or not self._path.exists() else _read_rows(self._path)

    def row(self, identity: Row) -> Row | None:
        """Return the row with the same identity."""
        return next((row for row in self._rows if _same(row, identity)), None)

    def keep(self, row: Row) -> Row:
        """Replace the row with the same identity, or append the row."""
        place = next((at for at, kept in enumerate(self._rows) if _same(kept, row)), len(self._rows))
        if self._rows[place : place + 1] != [row]:
            self._rows[place : place + 1] = [row]
            if self._path is not None:
                write_atomically(self._path, _as_csv(self._rows))
        return row


def _same(row: Row, other: Row) -> bool:
    return all(row[name] == other[name] for name in IDENTITY)


def _as_csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _read_rows(path: Path) -> list[Row]:
    """Read the file; an error for any other file, which must not be overwritten."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8"), newline="")))
        if not rows or any(set(row) != set(COLUMNS) or None in row.values() for row in rows):
            raise ValueError("other columns")
        _frame(rows)
    except (OSError, ValueError, csv.Error):
        raise DataError(f"{str(path)!r} exists and is not a table of losses; give another file as out") from None
    return rows


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Set the type of each column; a column of counts with missing values has floats."""
    columns: dict[str, Any] = {}
    for name, kind in COLUMNS.items():
        cells = [row[name] for row in rows]
        whole = kind is int and "" not in cells
        columns[name] = cells if kind is str else [int(cell) if whole else float(cell or "nan") for cell in cells]
    return pd.DataFrame(columns)
