"""Measure the output heads of language models: overlaps, norms and dimensions, without the V x V product.

There are three overlaps, each a mean of squared cosines over pairs of different rows. *Raw*: of the stored rows.
*Centred*: after subtracting the mean row, because a vector added to all rows adds one number to all logits, which does
not change the softmax. *Effective*: after multiplying by the gain of the final norm, projecting out the ones direction
under a LayerNorm, whose output has no component along it, and then subtracting the mean row. The raw overlap can be
changed arbitrarily without changing any prediction; the effective overlap is a property of the model.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.errors import DataError, closest
from scalefit.files import plain_json
from scalefit.models.checkpoint import Checkpoint, Head, Tensor, find_head, open_checkpoint, raw_bytes, read_rows
from scalefit.numbers import as_input, counted, exact
from scalefit.options import HEADS, HeadOptions, gather, takes
from scalefit.overlap import Overlaps, welch_bound

__all__ = [
    "HeadMeasurement",
    "HeadOptions",
    "NormHistogram",
    "Prepared",
    "effective_width",
    "fingerprint",
    "measure_head",
    "measure_prepared",
    "prepare",
]

Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

VERSION: Final = 2  # of the measurement; part of the fingerprint, so that older rows are measured again
BLOCK: Final = 4096  # rows of a block
ELEMENTS: Final = 1 << 22  # largest number of elements of a block: 32 MiB in float64
SINGLE_FROM: Final = 2e10  # multiplications (rows times m^2) from which float32 is used: 1 s in float64
EIGEN: Final = 4096  # largest width for eigenvalues by default: 30 s; the time grows as its cube
NO_DIRECTION: Final = 1e-9  # of the rms norm: a row that is this short after centring was a copy of the mean
QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS: Final = 60
SPECTRUM_POINTS: Final = 256


class NormHistogram(NamedTuple):
    """A histogram of the norms of the rows.

    Parameters
    ----------
    edges : tuple of float
        Edges of the bins, one more than counts.
    counts : tuple of int
        Rows in each bin.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class HeadMeasurement:
    """The measurement of one head. Overlaps are of unit rows, over pairs of different rows, without zero rows.

    Parameters
    ----------
    family, run : str
        Labels of the model.
    width, hidden_size, depth : int or None
        Columns of the head, width of the residual stream and number of layers; None where the config does not say.
    vocab, rows : int
        Rows of the stored tensor, and rows measured.
    zero_rows, unused_rows, identical_rows : int
        Rows that are zero, excluded rows (such as those beyond the tokenizer), and rows that repeat another.
    tied : bool or None
        Whether the head is the embedding; None when unknown.
    tensor, dtype, final_norm : str
        Name of the tensor, its dtype, and the kind of the norm before it.
    overlap_ms, overlap_ms_centred, overlap_ms_effective : float
        Mean squared overlap of the raw, centred and effective rows; 1/m for random directions.
    overlap_mean, overlap_variance : float
        Mean of the raw overlap (the cosine), and its variance (of the cosine, not of its square).
    overlap_abs, overlap_abs_error : float or None
        Mean size of the cosine of effective rows, by a sample of rows, with its standard error.
    effective_over_welch : float or None
        Effective overlap over the least possible one, (n - d)/(d (n - 1)) in the d dimensions of the effective rows
        (m, and m - 1 under a LayerNorm); None unless n > d.
    participation_ratio, effective_rank : float or None
        Dimensions that the effective directions fill: by the squares of the eigenvalues, and by their entropy.
    norm_mean, norm_cv : float
        Mean of the raw rows' norms, and their standard deviation over it.
    norm_cv_effective : float
        The same ratio of the effective rows.
    norm_quantiles : tuple of float
        Of the raw norms, at 1, 5, 25, 50, 75, 95 and 99%.
    mean_row_over_rms : float
        Norm of the mean row over the root mean square norm.
    overlap_ms_weighted, overlap_ms_effective_weighted : float or None
        With each row weighted by the count of its token; the effective one around the weighted mean row.
    fingerprint : str
        Digest of the weights and options.
    remarks : tuple of str
        Remarks on this head.
    norms : NormHistogram
        Of the raw rows.
    spectrum : tuple of (int, float)
        Ranks and eigenvalues of the effective directions over their mean; empty without them.
    """

    family: str
    run: str
    width: int
    hidden_size: int | None
    depth: int | None
    vocab: int
    rows: int
    zero_rows: int
    unused_rows: int
    identical_rows: int
    tied: bool | None
    tensor: str
    dtype: str
    final_norm: str
    overlap_ms: float
    overlap_ms_centred: float
    overlap_ms_effective: float
    overlap_mean: float
    overlap_variance: float
    overlap_abs: float | None
    overlap_abs_error: float | None
    effective_over_welch: float | None
    participation_ratio: float
    effective_rank: float | None
    norm_mean: float
    norm_cv: float
    norm_cv_effective: float
    norm_quantiles: tuple[float, ...]
    mean_row_over_rms: float
    overlap_ms_weighted: float | None
    overlap_ms_effective_weighted: float | None
    fingerprint: str
    remarks: tuple[str, ...]
    norms: NormHistogram
    spectrum: tuple[tuple[int, float], ...]

    @property
    def effective_width(self) -> int:
        """Dimensions of the effective rows: one less than the width under a LayerNorm."""
        return effective_width(self.width, self.final_norm)

    def record(self) -> dict[str, Any]:
        """Return the row of a table.

        Returns
        -------
        dict
            Column to value; None for unknown values.
        """
        row = {name: value for name, value in vars(self).items() if name not in {"remarks", "norms", "spectrum"}}
        quantiles = {
            f"norm_q{round(100 * q):02d}": value for q, value in zip(QUANTILES, row["norm_quantiles"], strict=True)
        }
        record: dict[str, Any] = plain_json(
            {
                new: value
                for name, old in row.items()
                for new, value in (quantiles.items() if name == "norm_quantiles" else [(name, old)])
            }
        )
        return record


def effective_width(width: int, final_norm: str) -> int:
    """Return the number of dimensions of the effective rows.

    Parameters
    ----------
    width : int
        Columns of the head.
    final_norm : str
        Kind of the norm before it; the output of a LayerNorm has no component along the ones direction.

    Returns
    -------
    int
        The width, or one less.
    """
    return width - (final_norm == "LayerNorm")


class Prepared(NamedTuple):
    """A head and everything that its measurement depends on, before its rows are measured.

    Parameters
    ----------
    checkpoint : Checkpoint
        The checkpoint.
    head : Head
        The tensor and its norm.
    ids : array of int, shape (n,)
        Rows to measure, ascending.
    counts : array, shape (vocab,), or None
        Count of each token.
    options : HeadOptions
        The options.
    remarks : tuple of str
        Remarks for a reader.
    """

    checkpoint: Checkpoint
    head: Head
    ids: NDArray[np.int64]
    counts: Array | None
    options: HeadOptions
    remarks: tuple[str, ...]

    @property
    def hidden_size(self) -> int | None:
        """Width of the residual stream; None where the config does not say."""
        return self.checkpoint.count("hidden_size", "n_embd", "d_model")

    @property
    def depth(self) -> int | None:
        """Number of layers; None where the config does not say."""
        return self.checkpoint.count("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers")


@takes(*HEADS)
def measure_head(
    path: str | os.PathLike[str],
    *options: HeadOptions,
    family: str | None = None,
    progress: Progress | None = None,
    **keywords: Any,
) -> HeadMeasurement:
    """Measure the output head of one checkpoint.

    Parameters
    ----------
    path : path
        A Hugging Face folder, one safetensors file, or a GGUF file.
    *options : HeadOptions
        Options as a value.
    family : str, optional
        Label of the model's family; the config's model_type when omitted.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.HeadOptions`, which are listed there.

    Returns
    -------
    HeadMeasurement
        The measurement. Memory is about m^2 numbers and one block of rows, whatever the vocabulary.

    Raises
    ------
    DataError
        When there is no head that can be measured; the message names what is wrong and what to do.

    Examples
    --------
    >>> import json, numpy as np, tempfile, pathlib
    >>> rows = np.random.default_rng(0).standard_normal((400, 16)).astype("<f4")
    >>> header = json.dumps({"lm_head.weight": {"dtype": "F32", "shape": [400, 16], "data_offsets": [0, rows.nbytes]}})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "random.safetensors")
    ...     size = file.write_bytes(len(header).to_bytes(8, "little") + header.encode() + rows.tobytes())
    ...     head = measure_head(file)
    >>> round(head.overlap_ms * head.width, 1)
    1.0
    """
    (chosen,) = gather(HEADS, options, keywords)
    prepared = prepare(open_checkpoint(path), chosen)
    return measure_prepared(prepared, fingerprint(prepared), family=family, progress=progress)


def prepare(checkpoint: Checkpoint, options: HeadOptions) -> Prepared:
    """Find the head of a checkpoint and the rows to measure; no row is read yet.

    Parameters
    ----------
    checkpoint : Checkpoint
        As opened.
    options : HeadOptions
        What is measured.

    Returns
    -------
    Prepared
        For :func:`fingerprint` and the measurement.

    Raises
    ------
    DataError
        When the head or the rows cannot be used.
    """
    head = find_head(checkpoint, options.tensor)
    vocab = head.tensor.shape[0]
    ids, remark = _rows(checkpoint, os.fspath(options.rows), vocab)
    counts = None if options.counts is None else _counts(Path(options.counts), vocab)
    if counts is not None and np.count_nonzero(counts[ids]) < 2:
        raise DataError(
            f"{str(options.counts)!r} counts fewer than two of the rows that are measured; give the counts of this "
            "tokenizer"
        )
    remarks = (
        head.norm.remark and f"{head.norm.remark}, so the effective overlap is the centred one",
        remark,
        "its logits are soft-capped (final_logit_softcapping), so a vector added to every row does change predictions: "
        "the centred and the effective overlap are not what its softmax sees"
        if checkpoint.capped
        else "",
    )
    return Prepared(checkpoint, head, ids, counts, options, tuple(remark for remark in remarks if remark))


def _rows(checkpoint: Checkpoint, rows: str, vocab: int) -> tuple[NDArray[np.int64], str]:
    """Return the ids of the rows to measure, and a remark."""
    everything = np.arange(vocab)
    if rows == "all":
        return everything, ""
    if rows not in ("auto", "tokenizer"):
        return _known(_ids(Path(rows)), vocab, rows), ""
    tokens = checkpoint.tokens
    if tokens is None and rows == "tokenizer":
        raise DataError(
            f"{str(checkpoint.path)!r} has no tokenizer.json or vocab.json, so its rows of tokens are not known; "
            "add it, or measure all rows: --rows all"
        )
    if tokens is None:
        return everything, "there is no tokenizer with the weights, so all rows are measured, including padding"
    if tokens[-1] >= vocab:
        raise DataError(
            f"the head of {str(checkpoint.path)!r} has {exact(vocab)} rows, fewer than its tokenizer needs: ids go "
            f"up to {exact(tokens[-1])}. Weights and tokenizer belong to two models; use the right one, or "
            "--rows all"
        )
    return tokens, ""


def _known(ids: NDArray[np.int64], vocab: int, source: str) -> NDArray[np.int64]:
    if ids[-1] >= vocab or ids[0] < 0:
        bad = ids[-1] if ids[-1] >= vocab else ids[0]
        raise DataError(f"{source!r} names the row {bad}; the head has rows 0 to {vocab - 1}")
    return ids


def _ids(file: Path) -> NDArray[np.int64]:
    """Read ids from a file: one a line, or the column ``id`` of a table."""
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(
            f"rows {str(file)!r} cannot be read ({error}); use tokenizer, all, or a file with one id a line"
        ) from None
    lines = [line for line in lines if line]
    if lines and not lines[0].lstrip("-").isdigit():
        return np.unique(_table(file, ("id",))["id"])
    for number, line in enumerate(lines, 1):
        if not line.lstrip("-").isdigit() or len(line) > 12:
            raise DataError(f"{str(file)!r}, line {number}: {line[:40]!r} is not an id; give one whole number a line")
    ids = np.unique(np.array([int(line) for line in lines], dtype=np.int64))
    if len(ids) < 2:
        raise DataError(f"{str(file)!r} names {len(ids)} rows; overlaps need at least two")
    return ids


def _table(file: Path, columns: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Read columns of whole numbers from a table."""
    from scalefit.data.quantities import as_numbers
    from scalefit.data.tables import read_table

    frame = read_table(file).frame
    columns_by_name = {}
    for name in columns:
        if name not in frame.columns:
            raise DataError(f"{str(file)!r} has no column {name!r}; {closest(name, map(str, frame.columns))}")
        values = np.asarray(as_numbers(frame[name]), dtype=np.float64)
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)) & (values < 2**53)))
        if len(bad):
            raise DataError(
                f"{str(file)!r}, row {bad[0] + 1}: {name} is {frame[name].iloc[bad[0]]}; give a whole number from 0 on"
            )
        columns_by_name[name] = values.astype(np.int64)
    return columns_by_name


def _counts(file: Path, vocab: int) -> Array:
    """Return the count of each row's token; 0 for a token that is not listed."""
    table = _table(file, ("id", "count"))
    ids, counts = table["id"], table["count"]
    order = np.argsort(ids, kind="stable")
    ids, counts = ids[order], counts[order]
    twice = np.flatnonzero(np.diff(ids) == 0)
    if len(twice):
        raise DataError(f"{str(file)!r} lists the id {ids[twice[0]]} twice; give each token one count")
    if not len(ids):
        raise DataError(f"{str(file)!r} has no row")
    _known(ids[counts > 0] if (counts > 0).any() else ids, vocab, str(file))
    weights = np.zeros(vocab)
    inside = ids < vocab
    weights[ids[inside]] = counts[inside]
    return weights


def fingerprint(prepared: Prepared) -> str:
    """Return a digest of everything that the numbers depend on: stored rows, gain, chosen rows, counts and options.

    Parameters
    ----------
    prepared : Prepared
        A head.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    head, options = prepared.head, prepared.options
    digest = hashlib.sha256()
    words = [
        VERSION, head.tensor.dtype, list(head.tensor.shape), head.norm.kind, options.sample, options.seed,
        _wants_spectrum(options, head.tensor),
    ]  # fmt: skip
    digest.update(json.dumps(words).encode())
    for part in (head.norm.gain, prepared.ids, prepared.counts):
        digest.update(b"-" if part is None else hashlib.sha256(np.ascontiguousarray(part).tobytes()).digest())
    for block in raw_bytes(head.tensor):
        digest.update(block)
    return digest.hexdigest()[:16]


def _wants_spectrum(options: HeadOptions, tensor: Tensor) -> bool:
    return options.spectrum == "yes" or (options.spectrum == "auto" and tensor.shape[1] <= EIGEN)


class _Norms(NamedTuple):
    """The result of the first pass over the rows."""

    norms: Array  # of the rows that are measured
    mean: Array  # of the rows that are not zero
    weighted: Array | None  # the same, weighted by counts
    identical: int


def measure_prepared(
    prepared: Prepared, key: str, *, family: str | None = None, progress: Progress | None = None
) -> HeadMeasurement:
    """Measure a head that is prepared.

    Parameters
    ----------
    prepared : Prepared
        The head and its rows.
    key : str
        Its :func:`fingerprint`.
    family : str, optional
        Label of the model's family; the config's model_type when omitted.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    HeadMeasurement
        The numbers.

    Raises
    ------
    DataError
        For rows with NaN, or without a direction.
    """
    report = progress or (lambda *_: None)
    checkpoint, head = prepared.checkpoint, prepared.head
    tensor, width, n = head.tensor, head.tensor.shape[1], len(prepared.ids)
    first = _first_pass(prepared, lambda done: report(f"{checkpoint.name}: norms", done, n))
    nonzero = first.norms[first.norms > 0]
    if len(nonzero) < 2:
        raise DataError(
            f"{tensor.name!r} of {str(checkpoint.path)!r}: {'all rows' if not len(nonzero) else 'all rows but one'} "
            "are zero, so there are no directions; these are not trained weights"
        )
    sums = _second_pass(prepared, first, lambda done: report(f"{checkpoint.name}: overlaps", done, n))
    effective, rms = sums.effective, float(np.sqrt(np.mean(nonzero**2)))
    if effective.rows < 2:
        raise DataError(
            f"{tensor.name!r} of {str(checkpoint.path)!r}: all rows are equal, so every token has the same probability "
            "and there are no directions; these are not trained weights"
        )
    spectrum: Array | None = None
    if _wants_spectrum(prepared.options, tensor):
        report(f"{checkpoint.name}: eigenvalues", 0, 0)
        spectrum = effective.spectrum()
    room = effective_width(width, head.norm.kind)
    superposed = effective.rows > room
    counts, edges = np.histogram(nonzero, bins=BINS)
    return HeadMeasurement(
        family=family or checkpoint.model_type or checkpoint.name,
        run=checkpoint.name,
        width=width,
        hidden_size=prepared.hidden_size,
        depth=prepared.depth,
        vocab=tensor.shape[0],
        rows=n,
        zero_rows=n - len(nonzero),
        unused_rows=tensor.shape[0] - n,
        identical_rows=first.identical,
        tied=head.tied,
        tensor=tensor.name,
        dtype=tensor.dtype,
        final_norm=head.norm.kind,
        overlap_ms=sums.raw.mean_square,
        overlap_ms_centred=sums.centred.mean_square,
        overlap_ms_effective=effective.mean_square,
        overlap_mean=sums.raw.mean,
        overlap_variance=sums.raw.variance,
        overlap_abs=sums.abs_mean,
        overlap_abs_error=sums.abs_error,
        effective_over_welch=effective.mean_square / welch_bound(effective.rows, room) if superposed else None,
        participation_ratio=effective.participation_ratio,
        effective_rank=None if spectrum is None else _entropy_rank(spectrum),
        norm_mean=float(nonzero.mean()),
        norm_cv=float(nonzero.std() / nonzero.mean()),
        norm_cv_effective=float(sums.effective_norms.std() / sums.effective_norms.mean()),
        norm_quantiles=tuple(float(quantile) for quantile in np.quantile(nonzero, QUANTILES)),
        mean_row_over_rms=float(np.linalg.norm(first.mean)) / rms,
        overlap_ms_weighted=None if sums.weighted is None else sums.weighted.mean_square,
        overlap_ms_effective_weighted=None if sums.effective_weighted is None else sums.effective_weighted.mean_square,
        fingerprint=key,
        remarks=prepared.remarks,
        norms=NormHistogram(tuple(map(float, edges)), tuple(map(int, counts))),
        spectrum=() if spectrum is None else _some(spectrum),
    )


def _entropy_rank(spectrum: Array) -> float:
    """Return the exponential of the entropy of the eigenvalues' shares (Roy and Vetterli 2007, EUSIPCO)."""
    positive = spectrum[spectrum > 0]
    return float(np.exp(-np.sum(positive * np.log(positive))))


def _some(spectrum: Array) -> tuple[tuple[int, float], ...]:
    """Return eigenvalues over their mean at ranks that are evenly spaced in the logarithm."""
    ranks = np.unique(np.geomspace(1, len(spectrum), SPECTRUM_POINTS).round().astype(int))
    return tuple((int(rank), float(spectrum[rank - 1] * len(spectrum))) for rank in ranks)


def _blocks(prepared: Prepared) -> Iterator[tuple[slice, NDArray[np.int64], Array]]:
    """Read the chosen rows in blocks: their places among the chosen ones, their ids, and the rows."""
    ids, tensor = prepared.ids, prepared.head.tensor
    size = max(1, min(BLOCK, ELEMENTS // tensor.shape[1]))
    for lo in range(0, tensor.shape[0], size):
        hi = min(lo + size, tensor.shape[0])
        start, stop = np.searchsorted(ids, [lo, hi])
        if start == stop:
            continue
        rows = read_rows(tensor, lo, hi)
        chosen = ids[start:stop]
        yield slice(int(start), int(stop)), chosen, rows if len(chosen) == len(rows) else rows[chosen - lo]


def _first_pass(prepared: Prepared, report: Callable[[int], None]) -> _Norms:
    """Return norms, mean rows and the number of copies; reject rows with NaN or infinity."""
    ids, tensor = prepared.ids, prepared.head.tensor
    norms, sums, weighted = np.zeros(len(ids)), np.zeros(tensor.shape[1]), np.zeros(tensor.shape[1])
    marks = np.zeros((len(ids), 2), dtype=np.uint64)
    factors = np.random.default_rng(0).integers(0, 2**64, (tensor.shape[1], 2), dtype=np.uint64) | np.uint64(1)
    for places, chosen, rows in _blocks(prepared):
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.einsum("ij,ij->i", rows, rows)
        if not np.isfinite(squares).all():
            raise DataError(_not_finite(prepared, chosen[~np.isfinite(squares)], rows[~np.isfinite(squares)]))
        norms[places] = np.sqrt(squares)
        sums += rows.sum(axis=0)  # zero rows contribute nothing
        if prepared.counts is not None:
            weighted += prepared.counts[chosen] @ rows
        marks[places] = _mixed(rows) @ factors
        report(places.stop)
    nonzero = norms > 0
    total = 0.0 if prepared.counts is None else float(prepared.counts[ids][nonzero].sum())
    return _Norms(
        norms,
        sums / max(int(nonzero.sum()), 1),
        weighted / total if total else None,
        _copies(marks[nonzero]),
    )


def _mixed(rows: Array) -> NDArray[np.uint64]:
    """Return the bits of numbers, mixed so that a difference in any of them affects the low ones.

    As float64, numbers of 16 bits end in 42 or more zero bits, and a product keeps trailing zeros.
    """
    bits = (rows + 0.0).view(np.uint64)  # without negative zeros
    bits ^= bits >> np.uint64(32)
    bits *= np.uint64(0x9E3779B97F4A7C15)  # odd, so that different numbers stay different
    bits ^= bits >> np.uint64(29)
    return bits


def _copies(marks: NDArray[np.uint64]) -> int:
    """Count the pairs of marks that repeat another: two sums of 64 bits, which only equal rows share."""
    ordered = marks[np.lexsort(marks.T)]
    return int((ordered[1:] == ordered[:-1]).all(axis=1).sum())


def _not_finite(prepared: Prepared, ids: NDArray[np.int64], rows: Array) -> str:
    tensor = prepared.head.tensor
    column = int(np.argmax(np.where(np.isfinite(rows[0]), np.abs(rows[0]), np.inf)))
    others = f" (and {counted(len(ids) - 1, 'more row')} near it)" if len(ids) > 1 else ""
    return (
        f"{tensor.name!r} of {str(prepared.checkpoint.path)!r}: row {ids[0]}, column {column} is "
        f"{as_input(rows[0][column])}{others}; the weights are damaged, or training has diverged"
    )


class _Sums(NamedTuple):
    """The result of the second pass over the rows."""

    raw: Overlaps
    centred: Overlaps
    effective: Overlaps
    weighted: Overlaps | None
    effective_weighted: Overlaps | None
    effective_norms: Array
    abs_mean: float | None
    abs_error: float | None


def _effective(head: Head, rows: Array) -> Array:
    """Return the effective rows: times the gain, and without the direction that the output of a LayerNorm lacks."""
    seen = rows if head.norm.gain is None else rows * head.norm.gain
    return seen - seen.mean(axis=1, keepdims=True) if head.norm.kind == "LayerNorm" else seen


def _second_pass(prepared: Prepared, first: _Norms, report: Callable[[int], None]) -> _Sums:
    """Return overlaps of all kinds, computed in blocks."""
    head, width = prepared.head, prepared.head.tensor.shape[1]
    single = head.tensor.dtype != "F64" and len(first.norms) * width**2 > SINGLE_FROM
    rms = float(np.sqrt(np.mean(first.norms**2)))
    scale = 1.0 if head.norm.gain is None else float(np.abs(head.norm.gain).max())
    raw = Overlaps(width, single=single)
    centred = Overlaps(width, tiny=NO_DIRECTION * rms, single=single)
    plain = head.norm.gain is None and head.norm.kind != "LayerNorm"
    effective = centred if plain else Overlaps(width, tiny=NO_DIRECTION * rms * scale, single=single)
    by_count = first.weighted is not None
    weighted = Overlaps(width, single=single) if by_count else None
    effective_weighted = Overlaps(width, tiny=NO_DIRECTION * rms * scale, single=single) if by_count else None
    probes = _probes(prepared, first, single)
    sums, norms = np.zeros(len(probes)), np.zeros(len(first.norms))
    for places, chosen, rows in _blocks(prepared):
        live = first.norms[places] > 0
        rows = rows[live]
        raw.add(rows)
        around = rows - first.mean
        units = centred.add(around)
        seen = around if plain else _effective(head, around)
        if not plain:
            units = effective.add(seen)
        norms[places][live] = np.sqrt(np.einsum("ij,ij->i", seen, seen))
        if weighted and effective_weighted and prepared.counts is not None and first.weighted is not None:
            counts = prepared.counts[chosen][live]
            weighted.add(rows, counts)
            effective_weighted.add(_effective(head, rows - first.weighted), counts)
        if len(probes):
            sums += np.abs(units @ probes.T).sum(axis=0, dtype=np.float64)
        report(places.stop)
    size, error = _abs_mean(sums, effective.rows) if len(probes) else (None, None)
    return _Sums(raw, centred, effective, weighted, effective_weighted, norms[first.norms > 0], size, error)


def _probes(prepared: Prepared, first: _Norms, single: bool) -> NDArray[Any]:
    """Draw rows for the mean |cos|, and return their effective directions."""
    places = np.flatnonzero(first.norms > 0)
    wanted = min(prepared.options.sample, len(places))
    if not wanted:
        return np.zeros((0, prepared.head.tensor.shape[1]))
    drawn = np.sort(np.random.default_rng(prepared.options.seed).choice(places, wanted, replace=False))
    tensor = prepared.head.tensor
    rows = np.concatenate([read_rows(tensor, int(row), int(row) + 1) for row in prepared.ids[drawn]])
    sample = Overlaps(tensor.shape[1], tiny=NO_DIRECTION * float(np.sqrt(np.mean(first.norms**2))), single=single)
    return sample.add(_effective(prepared.head, rows - first.mean))


def _abs_mean(sums: Array, n: int) -> tuple[float, float]:
    """Return mean |cos| and its standard error over the sampled rows, without the product of each row with itself."""
    means = (sums - 1.0) / (n - 1)
    k = len(means)
    spread = float(means.std(ddof=1)) if k > 1 else 0.0
    return float(means.mean()), spread * float(np.sqrt(max(1 / k - 1 / n, 0.0)))
