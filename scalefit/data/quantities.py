"""Numbers and column names as people write them.

Numbers may carry one of the suffixes K (1e3), M (1e6), B or G (1e9) and T (1e12), in either case and
after a space if need be: ``1.3B``, ``350M``, ``124k``, ``7 b``. Thousands may be grouped by commas
in threes (``1,300,000``) or by underscores (``1_000``). A column of percentages is read as shares, which is announced.
Single percentages, decimal commas, words and a suffix behind an exponent (``1e3M``) are refused, with the reason.

Headers may carry a unit (``params (B)``, ``N_millions``, ``tokens [1e9]``), or the words of a known name among others
that change nothing (``Total number of parameters``, ``Size (params)!``); a guess made from a header is always announced
by the caller.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalefit.errors import DataError
from scalefit.numbers import DECIMAL_COMMA, INFINITE, SUFFIXES, as_input, counted, parse_number

__all__ = [
    "ALIASES",
    "CORRECT",
    "BadCells",
    "Guess",
    "Numbers",
    "as_numbers",
    "file_of",
    "guess_header",
    "header_of",
    "header_unit",
    "holds_truth",
    "is_missing",
    "parse_column",
    "read_numbers",
    "row_label",
    "same_looking",
    "scale_of_words",
    "shortened",
    "words_of_header",
]

SHOWN = 60  # signs of a cell in a message
LONGEST = 200  # signs of a header that may be a known name with a unit
MISSING_WORDS = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null"})

_ORDINARY = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_UNGROUPED = re.compile(r"[+-]?[0-9]{4,}(?:\.[0-9]*)?")

ALIASES: dict[str, tuple[str, ...]] = {
    "params": (
        "params", "n_params", "N", "num_params", "parameters", "n_parameters", "num_parameters",
        "model_size", "params_total", "total_params", "param_count", "parameter_count", "non_embedding_params",
        "num_non_embedding_params", "nonembedding_params", "parameter",
    ),
    "tokens": (
        "tokens", "D", "n_tokens", "training_tokens", "train_tokens", "num_tokens", "total_tokens",
        "num_training_tokens", "n_train_tokens", "token_count", "dataset_size", "tokens_seen", "num_tokens_seen",
        "n_tokens_seen", "num_input_tokens_seen", "train/tokens", "tokens_processed", "consumed_tokens",
        "dataset_tokens", "data_tokens", "trained_tokens", "tokens_trained", "pretraining_tokens",
    ),
    "loss": (
        "loss", "val_loss", "valid_loss", "validation_loss", "final_loss", "test_loss", "eval_loss", "L", "val/loss",
        "eval/val_loss", "valid/loss", "validation/loss", "test/loss", "eval/loss", "train_loss", "training_loss",
        "train/loss", "bits_per_byte", "bpb", "val_bpb",
    ),
    "width": ("width", "d_model", "hidden_size", "hidden_dim", "n_embd", "embed_dim", "model_dim", "m"),
    "depth": ("depth", "n_layers", "num_layers", "layers", "n_layer", "num_hidden_layers"),
    "flops": (
        "flops", "C", "compute", "training_flops", "train_flops", "total_flops", "budget", "compute_budget",
        "flop_budget", "total_flos", "train/flops",
    ),
    "step": (
        "step", "_step", "steps", "global_step", "train/global_step", "iteration", "iter", "training_step",
        "train_step", "n_steps", "num_steps",
    ),
}  # fmt: skip
LAST_RESORT = frozenset(  # L may be layers as well
    {"train_loss", "training_loss", "train/loss", "L", "bits_per_byte", "bpb", "val_bpb"}
)

_SCALES = {
    **dict.fromkeys(("k", "thousand", "thousands"), 1e3),
    **dict.fromkeys(("m", "mn", "million", "millions", "mio", "mio."), 1e6),
    **dict.fromkeys(("b", "bn", "g", "billion", "billions", "mrd", "mrd."), 1e9),
    **dict.fromkeys(("t", "tn", "trillion", "trillions"), 1e12),
}
_POWER_OF_TEN = re.compile(r"[x×*]?(?:1e|10\^|10\*\*)\+?([0-9]{1,2})")
_FLOP_PREFIX = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18, "z": 1e21}
_PETAFLOP_DAYS = frozenset({"pf-days", "pfdays", "pf-day", "pflop/s-days", "petaflop/s-days", "petaflop-days"})
_PETAFLOP_DAY = 1e15 * 86400.0
_FILLER = frozenset({"in", "of", "count", "total", "number"})
_OWN_UNITS = {
    "params": frozenset({"params", "parameters", "weights", "non-embedding", "non-emb", "non-embed", "nonembedding"}),
    "tokens": frozenset({"tokens", "tok"}),
    "flops": frozenset({"flop", "flops"}),
    "loss": frozenset({"nats", "nat", "nats/token", "nats/tok", "bits", "bits/token", "per", "token"}),
    "width": frozenset({"dimensions", "dims", "units"}),
    "depth": frozenset({"layers", "blocks"}),
    "step": frozenset({"steps"}),
}
_SCALED = frozenset({"params", "tokens", "flops"})
_COUNTING = frozenset({"n", "num", "number", "no", "nr", "count", "total", "of", "the"})
_PASSED_OVER = {  # words of a header that change nothing in what it stands for
    "params": _COUNTING | {"model", "network", "size"},
    "tokens": _COUNTING | {"d", "data", "dataset", "size", "train"},
    "flops": _COUNTING | {"c", "train"},
    "loss": frozenset({"l", "final", "cross", "entropy", "ce", "lm", "val", "test", "eval"}),
    "width": frozenset({"model", "hidden"}),
    "depth": _COUNTING | {"transformer", "hidden"},
    "step": _COUNTING | {"train"},
}
_SAME_WORD = {
    "training": "train", "validation": "val", "valid": "val", "dimension": "dim", "dimensions": "dim", "dims": "dim",
    "parameters": "params", "parameter": "params", "param": "params",
}  # fmt: skip
_CHANGED = re.compile("[%‰±√∆Δ∇]")  # signs that make a share, an error, a difference or a root of a quantity
_BRACKETS = re.compile(r"[(\[]([^()\[\]]*)[)\]]")
_BRACKETED = re.compile(r"(?P<base>.+?)[\s_]*[(\[](?P<unit>[^()\[\]]*)[)\]][\W_]*")
_TRAILING = re.compile(r"(?P<base>.+?)(?:[_\s]+in)?[_\s,]+(?P<unit>[^_\s,()\[\]]+)\s*", re.IGNORECASE)

_DECIMAL_COMMAS = (
    "Write every number of the column with a decimal point and without other commas; in a file separated by "
    "semicolons all at once, for example with: sed 's/,/./g' OLD > NEW"
)
CORRECT = "Need numbers such as 0.25, 2e12, 1.3B or 350M. Correct the cell, or map another column."

_DECIMAL_SIGNS = b"0123456789+-.eE \n"
_EMPTY = frozenset({None, "", "nan", "NaN", "NA", "N/A", "null", "None"})


@dataclass(frozen=True, eq=False)
class BadCells:
    """Cells of one column that are not the numbers they should be; they matter only if their row is used.

    Parameters
    ----------
    column : Series, shape (n,)
        The column as it is in the table.
    problems : dict of int to str
        Position of each bad cell, from 0, with what is wrong, such as ``"is not a number: it is text"``.
    remedy : str
        What to do, one or two sentences.
    """

    column: pd.Series[Any]
    problems: dict[int, str]
    remedy: str

    def message(self, used: npt.NDArray[np.bool_] | None = None) -> str:
        """Name the first bad cell among the rows used, and count the others."""
        places = [place for place in self.problems if used is None or used[place]]
        place, count = min(places), len(places) - 1
        more = f"; {counted(count, 'more cell')} of the column cannot be read either" if count else ""
        return (
            f"{row_label(self.column, place)}, column {header_of(self.column, str(self.column.name))}: "
            f"{shortened(self.column.iloc[place])} {self.problems[place]}{more}. {self.remedy}"
        )


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column read as numbers.

    Parameters
    ----------
    floats : array, shape (n,), float64
        NaN where the cell is missing or bad.
    units : tuple of int
        Positions of the cells with a suffix such as ``B``, from 0.
    grouped : int or None
        Position of the first cell with thousands grouped by commas, from 0.
    bad : BadCells or None
        The cells that are not numbers.
    percent : int or None
        Position of the first cell of a column of percentages, which are read as shares.
    """

    floats: npt.NDArray[np.float64]
    units: tuple[int, ...] = ()
    grouped: int | None = None
    bad: BadCells | None = None
    percent: int | None = None

    @property
    def suffixed(self) -> int | None:
        """Position of the first cell with a suffix."""
        return self.units[0] if self.units else None

    def remarks(self, column: pd.Series[Any]) -> tuple[str, ...]:
        """Say how the commas or the percentages of the column were read, if it has any."""
        if self.percent is not None:
            value = as_input(float(self.floats[self.percent]))
            return (
                f"Percentages in column {str(column.name)!r} are read as shares: {column.iloc[self.percent]!r} in "
                f"{row_label(column, self.percent)} is {value}.",
            )
        if self.grouped is None:
            return ()
        value = as_input(float(self.floats[self.grouped]))
        return (
            f"Commas in column {str(column.name)!r} are read as thousands separators: "
            f"{column.iloc[self.grouped]!r} in {row_label(column, self.grouped)} is {value}.",
        )


@dataclass(frozen=True)
class Guess:
    """What a header was taken for.

    Parameters
    ----------
    factor : float
        Multiplier that brings the column to the canonical unit.
    last_resort : bool
        True for names that are taken only when no better one is there (a training loss).
    by_words : bool
        True where the header is not a known name, but has its words.
    """

    factor: float
    last_resort: bool = False
    by_words: bool = False

    @property
    def rank(self) -> int:
        """How willingly it is taken: 0 before others."""
        return 2 * self.last_resort + self.by_words


def row_label(data: pd.DataFrame | pd.Series[Any], place: int) -> str:
    """Name the row at a position for a message: ``row 7``, with the line of the file if it is known."""
    row = data.index[place]
    origin = dict(data.attrs.get("scalefit", {}))
    for before, last, name, offset in origin.get("files", ()):
        if before < int(row) <= last:
            line = "" if offset is None else f", line {int(row) - before + int(offset)}"
            return f"row {row} ({name}{line})"
    offset = origin.get("line_offset")
    return f"row {row}" if offset is None else f"row {row} (line {int(row) + int(offset)})"


def file_of(data: pd.DataFrame, place: int) -> str:
    """Name the file from which the row at a position was read, where a table was made of several; else nothing."""
    row = int(data.index[place])
    files = dict(data.attrs.get("scalefit", {})).get("files", ())
    return next((str(name) for before, last, name, _ in files if before < row <= last), "")


def header_of(data: pd.DataFrame | pd.Series[Any], name: str) -> str:
    """Name a column as the table does: ``'loss'``, or ``'Val Loss!' (read as loss)``."""
    headers = dict(data.attrs.get("scalefit", {})).get("headers", {})
    return f"{headers[name]!r} (read as {name})" if headers.get(name, name) != name else repr(name)


def shortened(value: object) -> str:
    """Quote a cell for a message, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no integer of more than 4300 digits
        return "a whole number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 4]}...{text[-1]}"


def is_missing(value: object, *, number: bool = True) -> bool:
    """Tell whether a cell is empty, NaN or one of the usual words for it.

    ``None`` written as a word is missing among numbers only: it is a fair label.
    """
    if isinstance(value, str):
        word = value.strip().casefold()
        return word in MISSING_WORDS or (number and word == "none")
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, float | np.floating | Decimal) and math.isnan(value)


def _cell_number(value: object) -> float:
    """Read one cell of any type; a missing cell is NaN."""
    if is_missing(value):
        return math.nan
    if isinstance(value, str):
        return parse_number(value)
    if isinstance(value, bool | np.bool_):
        raise ValueError("true and false are not numbers")
    if isinstance(value, int | float | np.integer | np.floating | Decimal):
        try:
            return float(value)
        except OverflowError:
            raise ValueError("it is too large for a floating-point number") from None
    raise ValueError(f"it is a {type(value).__name__}")


def parse_column(column: pd.Series[Any]) -> Numbers:
    """Read a column as numbers, all of its cells.

    Parameters
    ----------
    column : Series, shape (n,)
        Any type; the index holds the row numbers used in messages.

    Returns
    -------
    Numbers
        The values as float64, NaN where missing.

    Raises
    ------
    DataError
        For a cell that is not a number (row, column, text and reason are named), and for commas that
        may be thousands separators as well as decimal commas.
    """
    numbers = read_numbers(column)
    if numbers.bad is not None:
        raise DataError(numbers.bad.message())
    return numbers


def read_numbers(column: pd.Series[Any]) -> Numbers:
    """Read a column as numbers, and keep account of the cells that are none.

    Parameters
    ----------
    column : Series, shape (n,)
        Any type; the index holds the row numbers used in messages.

    Returns
    -------
    Numbers
        The values as float64; NaN where missing, and where ``bad`` says why.

    Raises
    ------
    DataError
        For a column of complex numbers.
    """
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        if pd.api.types.is_complex_dtype(column.dtype):
            raise DataError(f"column {str(column.name)!r} holds complex numbers. Real numbers are needed.")
        return Numbers(column.to_numpy(dtype=np.float64, na_value=np.nan))
    cells = column.astype(object).tolist()
    quick = _decimals(cells)
    if quick is not None:
        return Numbers(quick)
    if (shares := _shares(cells)) is not None:
        return shares
    known: dict[str, float | str] = {}  # text to its value, or to the reason why it has none: tables repeat themselves
    values = np.full(len(cells), np.nan)
    reasons: dict[int, str] = {}
    for place, cell in enumerate(cells):
        read = known.get(cell) if isinstance(cell, str) else None
        if read is None:
            try:
                read = _cell_number(cell)
            except ValueError as reason:
                read = str(reason)
            if isinstance(cell, str):
                known[cell] = read
        if isinstance(read, str):
            reasons[place] = read
        else:
            values[place] = read
    texts = {place: cell for place, cell in enumerate(cells) if isinstance(cell, str) and place not in reasons}
    commas = [place for place, text in texts.items() if "," in text]
    if commas and _undecided(column, list(texts.values()), [cells[place] for place in reasons]):
        reasons |= dict.fromkeys(commas, "it may be a decimal comma or a thousands separator")
        values[commas] = np.nan
    suffixes = tuple(suffix for suffix in SUFFIXES if suffix)
    units = tuple(place for place, text in texts.items() if text.strip().lower().endswith(suffixes))
    bad = None
    if reasons:
        problems = {place: f"is not a number: {reasons[place]}" for place in sorted(reasons)}
        decimal = any("decimal comma" in reasons[place] for place in problems)
        bad = BadCells(column, problems, _DECIMAL_COMMAS if decimal else CORRECT)
    return Numbers(values, units, None if reasons or not commas else commas[0], bad)


def _shares(cells: list[Any]) -> Numbers | None:
    """Read a column in which every cell that is not missing is a percentage; None for any other.

    One bare number among percentages could be a share or a percentage, so that such a column is refused.
    """
    texts = {place: cell.strip() for place, cell in enumerate(cells) if isinstance(cell, str) and not is_missing(cell)}
    others = (cell for place, cell in enumerate(cells) if place not in texts)
    if not texts or not all(text.endswith("%") for text in texts.values()) or not all(map(is_missing, others)):
        return None
    values = np.full(len(cells), np.nan)
    for place, text in texts.items():
        if not _ORDINARY.fullmatch(text[:-1].rstrip()):
            return None
        values[place] = parse_number(f"{text[:-1].rstrip()}") / 100
    return Numbers(values, percent=next(iter(texts)))


def _decimals(cells: list[Any]) -> npt.NDArray[np.float64] | None:
    """Read a column of plain decimals and gaps fast; None if there is anything that needs a closer look.

    Whether all signs are those of decimals is seen from the joined text at once. What `float` makes of such a cell
    is what `parse_number` makes of it: both round the same decimal correctly.
    """
    try:
        present = [cell for cell in cells if cell not in _EMPTY]
        if "\n".join(present).encode("ascii").translate(None, _DECIMAL_SIGNS):
            return None
        words = cells if len(present) == len(cells) else ["nan" if cell in _EMPTY else cell for cell in cells]
        values = np.fromiter(map(float, words), np.float64, len(words))
    except (TypeError, ValueError):  # a cell that is not text, not ASCII, or not one number
        return None
    return None if np.isinf(values).any() else values  # too large: a message is to quote the cell


def as_numbers(column: pd.Series[Any]) -> npt.NDArray[np.float64] | None:
    """Read a column whose role nobody has named as numbers, if it holds ordinary numbers and nothing else.

    Parameters
    ----------
    column : Series, shape (n,)
        Any type.

    Returns
    -------
    array, shape (n,), or None
        NaN where missing. None for text, for true and false, for numbers with suffixes or commas, and for a column
        without a single number.

    Examples
    --------
    >>> as_numbers(pd.Series(["1", "2.50", None]))
    array([1. , 2.5, nan])
    >>> as_numbers(pd.Series(["1.3B", "7B"])) is None
    True
    """
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_complex_dtype(column.dtype):
        return None
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    cells = column.astype(object).tolist()
    values = _decimals(cells)
    if values is None:
        values = np.full(len(cells), np.nan)
        for place, cell in enumerate(cells):
            if is_missing(cell):
                continue
            if isinstance(cell, bool | np.bool_) or not isinstance(cell, str | float | int | np.number | Decimal):
                return None
            word = cell.strip() if isinstance(cell, str) else cell
            if isinstance(word, str) and not (_ORDINARY.fullmatch(word) or INFINITE.fullmatch(word)):
                return None
            try:
                values[place] = float(word)
            except (OverflowError, TypeError, ValueError):
                return None
            if isinstance(word, str) and math.isinf(values[place]) and _ORDINARY.fullmatch(word):
                return None  # too large: left as text, so that a message can quote it
    return None if np.isnan(values).all() else values


def holds_truth(column: pd.Series[Any]) -> bool:
    """Tell whether a column holds true and false, as truth values or as text, and nothing else but gaps.

    Examples
    --------
    >>> holds_truth(pd.Series(["true", None, "False"])), holds_truth(pd.Series(["true", "maybe"]))
    (True, False)
    """
    if pd.api.types.is_bool_dtype(column.dtype):
        return True
    words = {str(cell).strip().lower() for cell in column.dropna().unique()}
    return bool(words) and words <= {"true", "false", ""}


def _undecided(column: pd.Series[Any], texts: list[str], refused: list[Any]) -> bool:
    """Tell whether commas in threes could be decimal commas as well.

    ``1,300,000`` or ``1,300.5`` decides it. Without such a cell, a file separated by semicolons (the habit of places
    that write decimal commas), a number of four digits and more without a comma, and a decimal comma in another cell
    speak against thousands.
    """
    if any(text.count(",") > 1 or ("," in text and "." in text) for text in texts):
        return False
    semicolons = dict(column.attrs.get("scalefit", {})).get("separator") == ";"
    decimal = any(isinstance(cell, str) and DECIMAL_COMMA.fullmatch(cell.strip()) for cell in refused)
    return semicolons or decimal or any(_UNGROUPED.fullmatch(text.strip()) for text in texts)


def same_looking(name: str) -> str:
    """Bring names that print alike to one form: composed letters, ordinary width, no invisible characters."""
    if name.isascii() and name.isprintable():
        return name.strip()
    return "".join(
        character for character in unicodedata.normalize("NFKC", name) if unicodedata.category(character) != "Cf"
    ).strip()


def _key(name: str) -> str:
    """Reduce a name to its letters and digits, in lower case."""
    return "".join(character for character in same_looking(name).casefold() if character.isalnum())


_KEYS = {name: {_key(alias): alias in LAST_RESORT for alias in aliases} for name, aliases in ALIASES.items()}


def _unit_factor(unit: str, name: str) -> float | None:
    """Find the factor that a unit stands for, or None if it is not understood."""
    given = unit.casefold().split()
    words = [word for word in given if word not in _FILLER | _OWN_UNITS[name]]
    if not words:
        return None if given in (["in"], ["of"]) else 1.0
    if len(words) > 1 or name not in _SCALED:
        return None
    word = words[0]
    if word in _SCALES:
        return _SCALES[word]
    power = _POWER_OF_TEN.fullmatch(word)
    if power:
        return float(f"1e{power[1]}")
    if name == "flops":
        if word in _PETAFLOP_DAYS:
            return _PETAFLOP_DAY
        if re.fullmatch(r"[kmgtpez]flops?", word):
            return _FLOP_PREFIX[word[0]]
    return None


def guess_header(header: str, name: str) -> Guess | None:
    """Tell whether a header can stand for a canonical name, and in which unit.

    Parameters
    ----------
    header : str
        A column name of the table, such as ``"N (B)"`` or ``"val_loss"``.
    name : str
        A key of `ALIASES`.

    Returns
    -------
    Guess or None
        None if the header means something else or its unit is not understood.
    """
    if len(header) > LONGEST:
        return None
    keys, header = _KEYS[name], same_looking(header)
    if _CHANGED.search(header):
        return None
    if _key(header) in keys:
        return Guess(1.0, keys[_key(header)])
    for pattern in (_BRACKETED, _TRAILING):
        match = pattern.fullmatch(header)
        if match is None or _key(match["base"]) not in keys:
            continue
        base, unit = match["base"], match["unit"]
        if pattern is _TRAILING and len(base) == len(unit) == 1 and not (base + unit).isupper():
            continue  # 'N_B' is billions of parameters, 'n_b' may be a count of batches
        factor = _unit_factor(unit, name)
        if factor is not None:
            return Guess(factor, keys[_key(base)])
    return _guess_by_words(header, name)


def words_of_header(header: str) -> tuple[str, ...]:
    """Return the words of a header in small letters, without punctuation; words of one meaning are one word.

    Examples
    --------
    >>> words_of_header("Val. loss (nats/token)!"), words_of_header("n_training_tokens")
    (('val', 'loss', 'nats', 'token'), ('n', 'train', 'tokens'))
    """
    return tuple(_SAME_WORD.get(word, word) for word in re.findall(r"[^\W_]+", same_looking(header).casefold()))


def scale_of_words(words: Iterable[str]) -> float:
    """Return the factor that a word such as ``M`` or ``billions`` stands for; 1 without one."""
    return next((_SCALES[word] for word in words if word in _SCALES), 1.0)


# Names of several letters: a single letter among other words may mean anything.
_WORDS = {
    name: {words_of_header(alias): alias in LAST_RESORT for alias in aliases if len(alias) > 1}
    for name, aliases in ALIASES.items()
}


def _guess_by_words(header: str, name: str) -> Guess | None:
    """Compare the words of a header with those of the known names, apart from words that change nothing.

    Every word has to be accounted for: ``tokens per second`` and ``loss std`` are no known names. Brackets hold a unit,
    the name in other words, or the name itself, as in ``Size (params)``.
    """
    factor, inside = 1.0, list[str]()
    for unit in _BRACKETS.findall(header):
        own = _unit_factor(unit, name)
        if own is None and _key(unit) not in _KEYS[name]:
            return None
        factor *= own or 1.0
        inside += [word for word in words_of_header(unit) if word not in _SCALES]
    outside = list(words_of_header(_BRACKETS.sub(" ", header)))
    if len(outside) > 1 and outside[-1] in _SCALES and name in _SCALED and factor == 1.0:
        factor = _SCALES[outside.pop()]
    known, spare = _WORDS[name], _PASSED_OVER[name]
    for words in (outside, inside if spare.issuperset(outside) else []):
        for some in (words, [word for word in words if word not in spare]):
            if tuple(some) in known:
                return Guess(factor, known[tuple(some)], by_words=True)
    return None


def header_unit(header: str, name: str) -> str | None:
    """Give what stands in the brackets of a header that otherwise stands for ``name``, else None; often a unit."""
    match = _BRACKETED.fullmatch(same_looking(header)) if len(header) <= LONGEST else None
    return match["unit"].strip() if match and _key(match["base"]) in _KEYS[name] else None
