"""The frequencies of tokens in texts, and their exponent over a range of ranks.

The most frequent token has rank 1. The exponent is that of a multinomial law on a stated range: of all tokens whose
rank is in it, each is of rank r with probability r^-alpha / sum of s^-alpha. No text follows one such law over all
ranks, so an exponent without its range is meaningless.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize

from scalefit.errors import DataError
from scalefit.files import write_atomically
from scalefit.models.text import read_texts
from scalefit.models.tokens import WHOLE, read_tokenizer
from scalefit.progress import Progress

__all__ = ["DEFAULT_RANKS", "Exponent", "Frequencies", "count_tokens", "fit_exponent", "parse_ranks"]

Array = NDArray[np.float64]

DEFAULT_RANKS: Final = ((1, 100), (10, 1000), (100, 3000))
PIECE: Final = 1 << 20  # characters that are encoded at a time, up to the next end of a line
STEEPEST: Final = 50.0  # largest exponent; beyond it nearly all tokens of a range are the most frequent one


class Exponent(NamedTuple):
    """The exponent of frequencies over a range of ranks.

    Parameters
    ----------
    lo, hi : int
        First and last rank.
    alpha : float
        The exponent of r^-alpha, by maximum likelihood.
    se : float
        Its standard error if tokens were drawn independently from that law (counting error only).
    tokens : int
        Number of tokens of these ranks.
    misfit : float
        Pearson's chi-square per degree of freedom; NaN for two ranks. For tokens drawn from the law it is 1 with the
        true ranks, and 0.03 to 0.5 with ranks from the same counts. In a text it is larger, because the law is curved.
    """

    lo: int
    hi: int
    alpha: float
    se: float
    tokens: int
    misfit: float

    @property
    def error(self) -> float:
        """The standard error times the square root of the misfit where that is above 1, to allow for misfit."""
        return self.se * math.sqrt(max(1.0, self.misfit) if math.isfinite(self.misfit) else 1.0)


@dataclass(frozen=True)
class Frequencies:
    """Counts of tokens, most frequent first.

    Parameters
    ----------
    ids : array of int, shape (n,)
        The tokens that occur; tokens with equal counts are sorted by id.
    counts : array of int, shape (n,)
        How often each occurs.
    vocab : int
        Tokens of the tokenizer, including those that do not occur.
    name : str
        The texts, for a label.
    """

    ids: NDArray[np.int64]
    counts: NDArray[np.int64]
    vocab: int
    name: str = ""

    @property
    def total(self) -> int:
        """Number of tokens in the texts."""
        return int(self.counts.sum())

    def exponent(self, lo: int, hi: int) -> Exponent:
        """Return the exponent over ranks lo to hi, see :func:`fit_exponent`."""
        return fit_exponent(self.counts, lo, hi)

    def table(self) -> pd.DataFrame:
        """Return the table of ``rank, id, count``."""
        return pd.DataFrame({"rank": np.arange(1, len(self.ids) + 1), "id": self.ids, "count": self.counts})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV, for use as frequencies of the toy model or as weights of the overlaps of heads."""
        text = io.StringIO()
        self.table().to_csv(text, index=False, lineterminator="\n")
        write_atomically(path, text.getvalue().encode())


def count_tokens(
    tokenizer: str | os.PathLike[str],
    texts: Sequence[str | os.PathLike[str]],
    *,
    progress: Progress | None = None,
) -> Frequencies:
    """Count the tokens of texts.

    Parameters
    ----------
    tokenizer : path
        A folder with tokenizer.json, such as that of a checkpoint, or the file itself.
    texts : sequence of path
        Files in UTF-8; their counts are added up.
    progress : callable, optional
        Called as ``progress(stage, done, total)``, in characters.

    Returns
    -------
    Frequencies
        Of the tokens that occur, without tokens that mark the beginning or the end of a text.

    Raises
    ------
    DataError
        For a tokenizer or a text that cannot be used.
    MissingExtra
        Without the package tokenizers.

    Examples
    --------
    >>> count_tokens("no/such/folder", ["text.txt"])
    Traceback (most recent call last):
    scalefit.errors.DataError: 'no/such/folder/tokenizer.json' does not exist; give the folder of a checkpoint with one
    """
    path = Path(tokenizer)
    reader = read_tokenizer(path / WHOLE if path.is_dir() or not path.suffix else path)
    read = read_texts(texts)
    counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    for text in read:
        done = 0
        for piece in _pieces(text.content):
            if progress is not None:
                progress(f"counting tokens of {text.name}", done, len(text.content))
            more = np.bincount(np.asarray(reader.encode(piece, add_special_tokens=False).ids, dtype=np.int64))
            longer = max(len(more), len(counts))
            counts = np.pad(counts, (0, longer - len(counts))) + np.pad(more, (0, longer - len(more)))
            done += len(piece)
    ids = np.flatnonzero(counts)
    if not len(ids):
        raise DataError(f"the tokenizer finds no token in {str(read[0].path)!r}; give a text of its language")
    order = ids[np.argsort(-counts[ids], kind="stable")]
    name = ", ".join(text.name for text in read)
    return Frequencies(order, counts[order], int(reader.get_vocab_size(with_added_tokens=True)), name)


def _pieces(text: str) -> Iterable[str]:
    """Cut a text at ends of lines, so that the tokens of a large one need not all be in memory.

    A token across a cut would be split; there is one cut in a million characters.
    """
    start = 0
    while start < len(text):
        end = text.find("\n", start + PIECE)
        end = len(text) if end < 0 else end + 1
        yield text[start:end]
        start = end


def fit_exponent(counts: Sequence[float] | Array | NDArray[np.int64], lo: int, hi: int) -> Exponent:
    """Fit a power law to the counts of a range of ranks by maximum likelihood.

    The likelihood is that of a multinomial law whose probabilities are ``r^-alpha`` up to a factor, for r = lo ... hi.
    Its logarithm is concave in alpha, and its maximum is where the mean of ln r over tokens is that under the law; the
    standard error is 1 / sqrt(tokens * variance of ln r under the law).

    The ranks come from the same counts that are fitted: where the last count of the range is small, chance determines
    the order, and alpha is biased. In simulations (3,000 ids, alpha 0.8 to 1.5) the bias was below 0.003 where the last
    count was above 40, 0.007 at 12 to 20, and 0.03 at 4 to 8. Ranks from one half of the tokens and counts from the
    other half are no better.

    Parameters
    ----------
    counts : array, shape (n,)
        Of ranks 1, 2, ...
    lo, hi : int
        First and last rank.

    Returns
    -------
    Exponent
        The exponent, its error and the misfit.

    Raises
    ------
    DataError
        For a range that is not within the counts, or in which only one token occurs.

    Examples
    --------
    >>> zipf = fit_exponent([round(1e6 / rank) for rank in range(1, 101)], 1, 100)
    >>> print(f"{zipf.alpha:.3f} +- {zipf.se:.3f}, misfit {zipf.misfit:.2f}")
    1.000 +- 0.000, misfit 0.00
    """
    ranked: Array = np.asarray(counts, dtype=float)
    if not 1 <= lo < hi <= len(ranked):
        raise DataError(
            f"ranks {lo}:{hi} are not within 1:{len(ranked)}, the ranks of tokens that occur; give a range LO:HI in it"
        )
    within = ranked[lo - 1 : hi]
    logs = np.log(np.arange(lo, hi + 1))
    tokens = within.sum()
    if not (within[1:] > 0).any():
        raise DataError(f"only one token of ranks {lo}:{hi} occurs, which has no exponent; use more text")
    mean = float(within @ logs / tokens)

    def shares(alpha: float) -> Array:
        powers = np.exp(-alpha * (logs - logs[0]))
        return np.asarray(powers / powers.sum())

    def excess(alpha: float) -> float:
        return float(shares(alpha) @ logs) - mean

    if excess(-STEEPEST) < 0 or excess(STEEPEST) > 0:
        raise DataError(f"nearly all counts of ranks {lo}:{hi} are of one token; use a wider range or more text")
    alpha = float(optimize.brentq(excess, -STEEPEST, STEEPEST, xtol=1e-13))
    law = shares(alpha)
    expected = tokens * law
    misfit = float(((within - expected) ** 2 / expected).sum() / (len(within) - 2)) if len(within) > 2 else math.nan
    spread = float(law @ (logs - law @ logs) ** 2)
    return Exponent(lo, hi, alpha, 1 / math.sqrt(tokens * spread), int(tokens), misfit)


def parse_ranks(texts: Sequence[str] | None, n: int) -> list[tuple[int, int]]:
    """Read ranges of ranks such as ``10:1000``.

    Parameters
    ----------
    texts : sequence of str or None
        The ranges; None for those of :data:`DEFAULT_RANKS` that are within n, or all ranks if none is.
    n : int
        Number of ranks.

    Returns
    -------
    list of tuple of int
        First and last rank of each.

    Raises
    ------
    DataError
        For a text that is not a range.

    Examples
    --------
    >>> parse_ranks(["10:1000"], 5000), parse_ranks(None, 2000), parse_ranks(None, 50)
    ([(10, 1000)], [(1, 100), (10, 1000)], [(1, 50)])
    """
    if texts is None:
        return [(lo, hi) for lo, hi in DEFAULT_RANKS if hi <= n] or [(1, n)]
    ranges = []
    for text in texts:
        lo, colon, hi = text.partition(":")
        if not (colon and lo.strip().isdecimal() and hi.strip().isdecimal()):
            raise DataError(f"ranks {text!r} are not understood; write LO:HI, such as 10:1000")
        if not 1 <= int(lo) < int(hi):
            raise DataError(f"ranks {text!r} are not a range: LO is at least 1 and below HI, as in 10:1000")
        ranges.append((int(lo), int(hi)))
    return ranges
