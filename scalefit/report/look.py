"""A first look at a strange table: what its columns are, what repeats, which law it could support, what to run next."""

from __future__ import annotations

import os
import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.data.columns import compute_columns, has_column, map_columns
from scalefit.data.formats import typed_frame
from scalefit.data.quantities import (
    ALIASES,
    as_numbers,
    guess_header,
    is_missing,
    read_numbers,
    scale_of_words,
    words_of_header,
)
from scalefit.data.tables import Table, resolve
from scalefit.data.wide import long_frame, wide_name
from scalefit.errors import DataError
from scalefit.files import plain_json
from scalefit.law.additive import Coef, Law
from scalefit.law.general import parse_law
from scalefit.law.protocol import AnyLaw
from scalefit.misfit import checkpoints_message
from scalefit.numbers import amount, as_input, counted, exact
from scalefit.options import LOOK, Rows, command, gather, takes
from scalefit.report.choice import BOOKKEEPING, LawChoice, choose
from scalefit.table import PrintedTable

if TYPE_CHECKING:
    from scalefit.options.verbs import TableSource

__all__ = ["Look", "LookedColumn", "look"]

SHOWN: Final = 3  # labels of a column
LABELS: Final = 20  # of a column with a floor for each
LEVELS: Final = 50  # of a column by which levels could be fitted one by one
FEWEST: Final = 2  # values of a column within a level, and rows for each parameter of a level
FEWEST_STEPS: Final = 8  # for a law of training curves
FEWEST_COMPUTES: Final = 4  # for a law of compute, which has three parameters
SIZES: Final = ("params", "tokens", "width", "depth", "flops")
TENSORBOARD: Final = {"Wall time", "Step", "Value"}  # columns of an exported scalar
WIDTH: Final = 80  # characters of a line
LONGEST: Final = 24  # characters of a header or a label in the table of columns
SEEDS: Final = ("seed", "random_seed", "data_seed", "trial")
ERRORS: Final = {"error", "err", "wer", "cer", "perplexity", "ppl", "nll", "entropy"}  # words of what a law may predict
SPEAK_OF: Final = {"params": {"params", "param", "parameters"}, "tokens": {"tokens"}}
RATES: Final = {"per", "batch", "rate", "ratio", "step", "second", "sec", "s"}  # words of what is not the size of a run
RISING: Final = 0.5  # rank correlation of a response with a size, from which it rises
BATCH: Final = {"batch", "size", "global", "train", "sequences", "seqs"}  # words of the sequences of a batch
SEQUENCE: Final = {"seq", "seqlen", "sequence", "context"}
LENGTH: Final = {"max", "len", "length", "size", "tokens"}  # words of the length of a sequence


@dataclass(frozen=True)
class LookedColumn:
    """One column at a first look.

    Parameters
    ----------
    name : str
        Its header.
    quantity : str
        What it stands for, such as ``params``; empty when nothing is guessed.
    kind : {"numbers", "labels", "empty"}
        What it holds.
    low, high : float or None
        Its least and its largest number.
    different : int
        How many different values it has.
    missing : int
        Rows without a value.
    some : tuple of str
        Its most frequent labels; of numbers, the words that stand among them, such as ``diverged``.
    """

    name: str
    quantity: str
    kind: str
    low: float | None
    high: float | None
    different: int
    missing: int
    some: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What it holds, such as ``1.00M to 3.25B``, ``2.1 to 4.2; diverged`` or ``3 labels: a, b, c``."""
        if self.kind == "empty":
            return "no values"
        if self.low is not None and self.high is not None:
            words = f"; {', '.join(self.some)}" if self.some else ""
            return f"{' to '.join(dict.fromkeys(map(_end, (self.low, self.high))))}{words}"
        more = ", ..." if self.different > len(self.some) else ""
        return f"{counted(self.different, 'label')}: {', '.join(self.some)}{more}"


@dataclass(frozen=True, eq=False)
class Look:
    """What a first look at a table finds; ``print(look)``.

    Parameters
    ----------
    name : str
        The table.
    rows : int
        Its rows.
    columns : tuple of LookedColumn
        In the order of the table.
    settings : str
        How often settings of the quantities are repeated, in words.
    runs : str
        A warning where runs have several rows; empty otherwise.
    laws : mapping of str to str
        Laws that the rows could support, by what they are of; the main one first. Empty when there is none.
    reasons : tuple of str
        Why these laws, or why none.
    calls : tuple of tuple of str
        What to run next: the words of each command, not quoted for a shell.
    remarks : tuple of str
        On reading the table.
    frame : DataFrame
        The rows, to draw.
    """

    name: str
    rows: int
    columns: tuple[LookedColumn, ...]
    settings: str
    runs: str
    laws: Mapping[str, str]
    reasons: tuple[str, ...]
    calls: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...]
    frame: pd.DataFrame

    @property
    def commands(self) -> tuple[str, ...]:
        """What to run next, quoted for a shell."""
        return tuple(map(shlex.join, self.calls))

    def record(self) -> dict[str, Any]:
        """Return what was found as plain JSON."""
        found = {
            "table": self.name, "rows": self.rows, "columns": [asdict(column) for column in self.columns],
            "settings": self.settings, "runs": self.runs, "laws": dict(self.laws), "reasons": list(self.reasons),
            "commands": list(self.commands), "remarks": list(self.remarks),
        }  # fmt: skip
        return dict(plain_json(found))

    def summary(self) -> str:
        """Return one screen of text."""
        lines = [f"{self.name}: {counted(self.rows, 'row')}, {counted(len(self.columns), 'column')}"]
        lines = [*_wrapped(lines[0], ""), "", self._table().text("  "), ""]
        lines += [line for lines in (self.settings, self.runs) if lines for line in _wrapped(lines, "  ")]
        lines += [line for word, law in self.laws.items() for line in _wrapped(f"{word:13s} {law}", "  ")]
        lines += [line for reason in self.reasons for line in _wrapped(reason, "  ")]
        lines += ["", "next:", *(line for call in self.calls for line in _broken(call))] if self.calls else []
        return "\n".join([*lines, *(line for remark in self.remarks for line in _wrapped(f"note: {remark}", "  "))])

    def _table(self) -> PrintedTable:
        """Return the columns as a table of one screen's width: long headers and labels are cut."""
        rows = [
            [
                _cut(column.name, LONGEST),
                column.quantity,
                "",
                exact(column.different),
                exact(column.missing) if column.missing else "",
            ]
            for column in self.columns
        ]
        heads = ["column", "quantity", "", "different", "missing" if any(row[-1] for row in rows) else ""]
        taken = sum(max(map(len, cells)) for cells in zip(heads, *rows, strict=True))
        room = WIDTH - 2 - 2 * 4 - taken  # the indent, and two spaces between columns
        for row, column in zip(rows, self.columns, strict=True):
            row[2] = _cut(column.words, room, end=True)
        return PrintedTable.of(["column", "quantity", "holds", "different", "missing"], rows, "lllrr")

    def __str__(self) -> str:
        return self.summary()

    def plot(self) -> list[Any]:
        """Draw the loss against each column of numbers; the matplotlib Axes.

        Raises
        ------
        DataError
            When no column stands for a loss, or nothing varies with it.
        """
        loss = next(
            (column.name for column in self.columns if column.quantity == "loss" and column.kind == "numbers"), None
        )
        others = [
            column.name
            for column in self.columns
            if column.kind == "numbers" and column.different > 1 and column.name != loss
        ]
        if loss is None or not others:
            raise DataError(
                f"{self.name!r} has no loss to draw against a column of numbers; map one: --map loss=COLUMN"
            )
        draw: Any = import_module("scalefit.plots.scatter").loss_panels
        numbers = {name: read_numbers(self.frame[name]).floats for name in (loss, *others)}
        return list(draw(pd.DataFrame(numbers), loss, others))


@takes(*LOOK)
def look(data: TableSource, *options: Rows, **keywords: Any) -> Look:
    """Describe a strange table in one screen, and say which law it could support and what to run.

    Parameters
    ----------
    data : str, path, DataFrame or list
        As for a fit.
    *options : Rows
        Options as a value.
    **keywords
        Fields of :class:`scalefit.options.Rows` that read and compute columns, which are listed there.

    Returns
    -------
    Look
        ``print(look)``.

    Raises
    ------
    DataError
        When the table cannot be read.

    Examples
    --------
    >>> look("chinchilla").settings
    'Every row has its own width and depth and tokens.'
    """
    (rows,) = gather(LOOK, options, keywords)
    table, rows = _reshaped(rows.load(data), rows)
    rows = _counting_tokens(table.frame, rows)
    remarks = list(table.remarks)
    frame = map_columns(table.frame, rows.mapping or {}, remarks)
    frame = typed_frame(compute_columns(frame, rows.columns or {}, remarks))
    columns = tuple(_column(frame, str(name)) for name in frame.columns)
    derive = ("params",) if has_column(frame, "params", ["params"]) and not has_column(frame, "params") else ()
    try:
        choice: LawChoice | None = _with_step(choose(frame, drop_invalid=True, derive=derive), table, frame)
        reasons: tuple[str, ...] = () if choice is None else choice.reasons
        reasons += ("There are no parameters; 12 depth width^2 stands for them (--derive params).",) if derive else ()
    except DataError as error:
        choice = _step_choice(table, frame) or _compute_choice(table, frame)
        reasons = (str(error),) if choice is None else choice.reasons
    shown = replace(table, frame=frame)
    settings, grouping = _settings(choice) if choice is not None else ("", {})
    law = None if choice is None else next(iter(choice.laws.values()))
    runs = "" if law is None else checkpoints_message(parse_law(law), frame) or ""
    calls = _losses(data, rows, columns) if choice is None else _calls(data, rows, shown, choice, grouping)
    missed, more = _unread(data, rows, frame, columns)
    if choice is not None and law is not None and len(choice.frame) <= len(parse_law(law).parameters):
        few = counted(len(choice.frame), "row")
        need = exact(len(parse_law(law).parameters) + 1)
        missed, calls = (*missed, f"{few} cannot determine this law, which needs {need}: add runs."), ()
    if choice is not None and (rising := _rising(choice)):
        missed, more, calls = (*missed, rising), more or _what_lacks(data, rows, choice.frame), ()
    reasons, calls = (*reasons, *missed), (*more, *calls)
    return Look(
        table.name, len(frame), columns, settings, runs, {} if choice is None else dict(choice.laws), reasons, calls,
        tuple(remarks), frame,
    )  # fmt: skip


def _reshaped(table: Table, rows: Rows) -> tuple[Table, Rows]:
    """Read an export of charts as what it is, and remember the options that do so."""
    names = list(map(str, table.frame.columns))
    if any(_stands_for(name, "loss") for name in names) or "loss" in (rows.mapping or {}):
        return table, rows
    if any(_stands_for(metric, "loss") for _, metric in map(wide_name, names)):
        long, remarks = long_frame(table.frame, repr(table.name))
        return replace(table, frame=long, remarks=(*table.remarks, *remarks)), replace(rows, wide=True)
    if set(names) == TENSORBOARD:
        remark = "The columns are those of a scalar that TensorBoard exports; its Value is taken for a loss."
        return replace(table, remarks=(*table.remarks, remark)), replace(rows, mapping={"loss": "Value"})
    return table, rows


def _stands_for(header: str, name: str) -> bool:
    return guess_header(header, name) is not None


def _counting_tokens(frame: pd.DataFrame, rows: Rows) -> Rows:
    """Compute the tokens of a log as steps times the tokens of a batch, where its columns give both, and say so."""
    given = {*(rows.columns or {}), *(rows.mapping or {})}
    steps = [name for name in map(str, frame.columns) if _stands_for(name.rpartition(".")[2], "step")]
    batch = _batch_of_tokens(frame)
    if "tokens" in given or has_column(frame, "tokens") or len(steps) != 1 or not batch:
        return rows
    return replace(rows, columns={**(rows.columns or {}), "tokens": f"{_quoted(steps[0])}*{batch}"})


def _batch_of_tokens(frame: pd.DataFrame) -> str:
    """Write the tokens of a batch as an expression of columns: one of tokens, or sequences times their length."""
    words = {name: {*words_of_header(name.rpartition(".")[2])} for name in map(str, frame.columns)}
    numbers = [name for name in words if _numbers_and_words(frame[name])[0] is not None]
    batches = [name for name in numbers if {"batch", "tokens"} <= words[name]]
    if len(batches) == 1:
        (name,) = batches
        factor = scale_of_words(words[name])
        twice = factor != 1 and read_numbers(frame[name]).units  # which of the two units counts is not known
        return "" if twice else _quoted(name) + ("" if factor == 1 else f"*{as_input(factor)}")
    counts = [name for name in numbers if {"batch", "size"} <= words[name] <= BATCH]
    lengths = [name for name in numbers if words[name] & SEQUENCE and words[name] <= {*SEQUENCE, *LENGTH}]
    return f"{_quoted(counts[0])}*{_quoted(lengths[0])}" if len(counts) == len(lengths) == 1 and not batches else ""


def _quoted(name: str) -> str:
    """Write a column in an expression."""
    return name if name.isidentifier() else f"`{name}`"


def _with_step(choice: LawChoice, table: Table, frame: pd.DataFrame) -> LawChoice:
    """Give the law of a log a term in the step, where rows of one size differ in it and there are no tokens."""
    name, text = next(iter(choice.laws.items()))
    law = parse_law(text)
    sizes = [variable for variable in law.variables if variable in SIZES]
    if not law.terms or "tokens" in sizes or not sizes or not has_column(frame, "step"):
        return choice
    steps = resolve(replace(table, frame=frame), numeric=["step"], strict=False).frame["step"]
    found = choice.frame.assign(step=steps.loc[choice.frame.index])
    found = found[found["step"] > 0]
    if found.groupby(sizes)["step"].nunique().max() < FEWEST_STEPS:
        return choice
    batch = next((_quoted(name) for name in map(str, frame.columns) if "batch" in words_of_header(name)), "BATCH")
    reason = (
        "Rows of one size differ in step, so the law has a term in it. It stands for tokens where all runs have the "
        f"same batch; otherwise compute them, such as with --column 'tokens=step*{batch}', {batch} being a column or a "
        "number of tokens."
    )
    laws = {f"{name} and step": f"{text} + B/step^beta", **{k: v for k, v in choice.laws.items() if k != name}}
    return replace(choice, frame=found, laws=laws, reasons=(*choice.reasons, reason))


def _step_choice(table: Table, frame: pd.DataFrame) -> LawChoice | None:
    """Choose a law of the steps of one or several runs, where the table has no sizes; None without steps and losses."""
    if not (has_column(frame, "loss") and has_column(frame, "step")):
        return None
    runs = [
        str(name) for name in frame.columns
        if str(name).isidentifier() and _numbers_and_words(frame[name])[0] is None
        and 2 <= frame[name].nunique() <= LABELS
    ]  # fmt: skip
    found = resolve(replace(table, frame=frame), numeric=["loss", "step"], labels=runs[:1], strict=False).frame
    found = found[(found["loss"] > 0) & (found["step"] > 0)]
    if found["step"].nunique() < FEWEST_STEPS:
        return None
    law = f"loss ~ E{f'[{runs[0]}]' if runs else ''} + A/step^alpha"
    reasons = (
        "There is a loss and a step, and no size: the law is that of training curves.",
        "A learning rate that warms up or decays bends a curve, and steps of one run are not the ends of shorter runs: "
        "leave out the warm-up, such as with --where 'step > 1000', and read the law as that of this schedule.",
    )
    return LawChoice(found, {"step": law}, False, "", {}, reasons, ())


def _compute_choice(table: Table, frame: pd.DataFrame) -> LawChoice | None:
    """Choose a law of the compute of runs, where the table has no sizes; None without computes and losses."""
    if not (has_column(frame, "loss") and has_column(frame, "flops")):
        return None
    found = resolve(replace(table, frame=frame), numeric=["loss", "flops"], strict=False).frame
    found = found[(found["loss"] > 0) & (found["flops"] > 0)]
    if found["flops"].nunique() < FEWEST_COMPUTES:
        return None
    reasons = (
        "There is a loss and a compute, and no size: the law is that of these runs as they were chosen, and does not "
        "say how to divide compute between parameters and tokens.",
    )
    return LawChoice(found, {"compute": "loss ~ E + A/flops^alpha"}, False, "", {}, reasons, ())


def _column(frame: pd.DataFrame, name: str) -> LookedColumn:
    column = frame[name]
    quantity = _quantity(name) or _quantity(name.rpartition(".")[2])
    missing = int(sum(is_missing(cell) for cell in column)) if column.dtype == object else int(column.isna().sum())
    different = int(column.nunique())
    if different == 0:
        return LookedColumn(name, quantity, "empty", None, None, 0, missing)
    values, words = _numbers_and_words(column)
    if values is not None:
        seen = values[np.isfinite(values)]
        low, high = (float(seen.min()), float(seen.max())) if len(seen) else (None, None)
        return LookedColumn(name, quantity, "numbers", low, high, different, missing, words)
    some = tuple(_cut(str(label), LONGEST) for label in column.astype(object).value_counts().index[:SHOWN])
    return LookedColumn(name, quantity, "labels", None, None, different, missing, some)


def _quantity(header: str) -> str:
    """Return what a header stands for; empty when nothing is guessed."""
    return next((known for known in ALIASES if guess_header(header, known) is not None), "")


def _numbers_and_words(column: pd.Series[Any]) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    """Read numbers, with or without units such as 70M, among which a few words may stand; None for labels."""
    values = as_numbers(column)
    if values is not None or column.dtype != object:
        return values, ()
    numbers = read_numbers(column)
    bad = [] if numbers.bad is None else [str(column.iloc[place]) for place in numbers.bad.problems]
    if any(re.search(r"\d", cell) for cell in bad) or len(bad) >= np.isfinite(numbers.floats).sum():
        return None, ()
    common = pd.Series(bad, dtype=object).value_counts().index[:SHOWN]
    return numbers.floats, tuple(_cut(str(word), LONGEST) for word in common)


def _end(value: float) -> str:
    """Print an end of a range: a width or a depth with all digits."""
    return exact(value) if value.is_integer() and abs(value) < 1e5 else amount(value, 3)


def _cut(text: str, most: int, *, end: bool = False) -> str:
    """Shorten a text, in the middle or at its end, and print it on one line."""
    text = " ".join(text.splitlines())
    if len(text) <= most:
        return text
    tail = 0 if end else (most - 3) // 2
    return f"{text[: most - 3 - tail]}...{text[len(text) - tail :]}"


def _wrapped(text: str, indent: str) -> list[str]:
    """Break text into lines of one screen's width; what has lines already keeps them."""
    return [
        line
        for piece in text.splitlines()
        for line in textwrap.wrap(
            piece, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False,
            break_on_hyphens=False,
        )
    ]  # fmt: skip


def _broken(call: tuple[str, ...]) -> Iterator[str]:
    """Break a command between its options, with the backslashes that a shell needs."""
    units: list[str] = []
    for word in map(shlex.quote, call):
        if units and units[-1].startswith("--") and " " not in units[-1] and not word.startswith("--"):
            units[-1] += f" {word}"  # a flag and its value
        else:
            units.append(word)
    text = "  "
    for place, unit in enumerate(units):
        if place and len(text) + 1 + len(unit) + 2 > WIDTH:
            yield f"{text} \\"
            text = f"    {unit}"
        else:
            text += f" {unit}" if place else unit
    yield text


def _settings(choice: LawChoice) -> tuple[str, dict[str, str]]:
    """Say how often settings are repeated and by what the repeats differ; the options that keep one row of each."""
    law, frame = parse_law(next(iter(choice.laws.values()))), choice.frame
    own = [name for name in (*law.variables, *law.groups) if name in frame]
    setting = frame.groupby(own, sort=False, observed=True).ngroup().to_numpy()
    counts = np.bincount(setting)
    if counts.max() < 2:
        return f"Every row has its own {' and '.join(own)}.", {}
    others = [
        str(name) for name in frame.columns
        if name not in (*own, law.response) and guess_header(str(name), "loss") is None
        and not frame[name].equals(frame[law.response])
    ]  # fmt: skip
    numbers = {name: values for name in others if (values := _numbers_and_words(frame[name])[0]) is not None}
    varied = [name for name, values in numbers.items() if _varies(pd.Series(values), setting)]
    kinds = [name for name in others if name not in numbers and not BOOKKEEPING & {*words_of_header(name)}]
    labels = [name for name in kinds if _separates(frame[name], setting)]
    words = f"{exact(len(counts))} settings of {' and '.join(own)}, of up to {exact(counts.max())} rows"
    words += f", which differ in {', '.join([*labels, *varied])}" if labels or varied else ""
    sizes = [name for name in varied if _quantity(name) in SIZES or any(_speaks_of(name, known) for known in SPEAK_OF)]
    if sizes:
        return f"{words}; the law has no term in {sizes[0]}.", {}
    if labels or len(counts) <= len(law.parameters):  # a mean over corpora is of none of them; few rows fix no law
        return f"{words}.", {}
    return f"{words}.", {"group_by": ",".join(own), "reduce": _reduction(varied)}


def _reduction(varied: list[str]) -> str:
    """Choose the row of each setting: the mean of repeats, the last step of a run, or the best of a sweep."""
    if all(name.lower() in SEEDS for name in varied):
        return "mean"
    step = next((name for name in varied if guess_header(name, "step") is not None), None)
    return "min:loss" if step is None else f"last:{step}"


def _varies(column: pd.Series[Any], setting: NDArray[Any]) -> bool:
    """Tell whether a column has several values within a setting."""
    values = column.groupby(setting)
    return bool((values.max() > values.min()).any())


def _separates(labels: pd.Series[Any], setting: NDArray[Any]) -> bool:
    """Tell whether a column of words differs within settings and names kinds of runs, not single ones."""
    pairs = pd.DataFrame({"label": labels.astype(str).to_numpy(), "setting": setting})
    differs = pairs.groupby("setting")["label"].nunique().max() > 1
    return bool(differs and 2 * pairs["label"].nunique() <= len(pairs))


def _call(data: Any, *words: str, verb: str = "fit") -> tuple[str, ...]:
    """Return the words of a command on a table; ``TABLE`` stands for one that has no file."""
    return ("scalefit", verb, os.fspath(data) if isinstance(data, str | os.PathLike) else "TABLE", *words)


def _read_as(rows: Rows) -> list[str]:
    """Return the options that read the table as it was looked at; of several columns to map, one an option."""
    given = {name: getattr(rows, name) for name in ("also", "name_fields", "wide", "columns")}
    common = command(LOOK, {name: value for name, value in given.items() if value})
    return [*common, *(word for name, column in (rows.mapping or {}).items() for word in ("--map", f"{name}={column}"))]


def _losses(data: Any, rows: Rows, columns: tuple[LookedColumn, ...]) -> tuple[tuple[str, ...], ...]:
    """Where no loss is recognised, propose another look with a column whose header speaks of one, or the only one."""
    if any(column.quantity == "loss" for column in columns):
        return ()
    numbers = [column for column in columns if column.kind == "numbers"]
    near = [number.name for number in numbers if "loss" in number.name.casefold()]
    near = near or [number.name for number in numbers if ERRORS & {*words_of_header(number.name)}]
    left = [number.name for number in numbers if not number.quantity and number.different > 1]
    likely = near or (left if len(left) == 1 and any(column.quantity in SIZES for column in columns) else [])
    return tuple(_call(data, *_read_as(rows), "--map", _mapped("loss", name), verb="look") for name in likely[:1])


def _unread(
    data: Any, rows: Rows, frame: pd.DataFrame, columns: tuple[LookedColumn, ...]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Say which columns speak of a size that no column is read as, and propose another look with the first of them."""
    reasons, calls = [], []
    for known in SPEAK_OF:
        varied = (column.name for column in columns if column.kind == "numbers" and column.different > 1)
        own = [name for name in varied if _speaks_of(name, known)]
        if not own or has_column(frame, known):
            continue
        some = ", ".join(map(repr, own))
        reasons.append(f"No column is read as {known}, and {some} may be meant: map one, with --map {known}=COLUMN.")
        calls.append(_call(data, *_read_as(rows), "--map", _mapped(known, own[0]), verb="look"))
    return tuple(reasons), tuple(calls)


def _speaks_of(header: str, known: str) -> bool:
    """Tell whether a header has a word for a size of a run, such as ``Active params (N)``."""
    words = {*words_of_header(header)}
    return bool(words & SPEAK_OF[known]) and not words & RATES


def _rising(choice: LawChoice) -> str:
    """Say that a response rises with every size, which falling powers cannot describe; empty where it falls."""
    law = parse_law(next(iter(choice.laws.values())))
    if not law.terms:
        return ""
    frame = choice.frame[[law.response, *law.variables]].astype(float).rank()
    if not frame.corr()[law.response].drop(law.response).min() >= RISING:  # not known of a loss that never changes
        return ""
    return (
        f"The {law.response} rises with {' and '.join(law.variables)}, and a law of this form falls: it predicts an "
        "error. A score is fitted as what it lacks, or by a law that rises (scalefit laws)."
    )


def _what_lacks(data: Any, rows: Rows, frame: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """Propose another look at what a share lacks to 1."""
    score = (rows.mapping or {}).get("loss") or dict(frame.attrs.get("scalefit", {})).get("headers", {}).get("loss")
    if score is None or not frame["loss"].between(0, 1, inclusive="neither").all():
        return ()
    kept = replace(
        rows, mapping={name: header for name, header in (rows.mapping or {}).items() if name != "loss"} or None
    )
    name = score if score.startswith("`") else _quoted(score)
    return (_call(data, *_read_as(kept), "--column", f"loss=1 - {name}", verb="look"),)


def _mapped(name: str, column: str) -> str:
    """Write a mapping, with the column in backquotes where it holds a sign that the option uses itself."""
    return f"{name}=`{column}`" if re.search("[,=*/()]", column) else f"{name}={column}"


def _calls(
    data: Any, rows: Rows, table: Table, choice: LawChoice, grouping: Mapping[str, str]
) -> tuple[tuple[str, ...], ...]:
    """Say what to run next: a fit of each law, the best row of each setting, one fit a level."""
    first = next(iter(choice.laws.values()))
    common, needed = _read_as(rows), parse_law(first)
    common += ["--space", "linear"] if choice.linear else []
    mapped = [word for name, column in choice.mapping.items() for word in ("--map", _mapped(name, column))]
    gaps = any(table.frame[name].isna().any() for name in needed.variables if name in table.frame)
    dropped = ["--drop-invalid"] if gaps or len(choice.frame) < len(table.frame) else []
    cluster = ["--cluster", choice.cluster] if choice.cluster else []

    def derived(law: str) -> list[str]:
        return [] if all(has_column(table.frame, name) for name in parse_law(law).variables) else ["--derive", "params"]

    calls = [
        _call(data, law, *common, *(mapped if "[" in law else []), *derived(law), *dropped, *cluster)
        for law in choice.laws.values()
    ]
    if grouping:
        chosen = ["--group-by", grouping["group_by"], "--reduce", grouping["reduce"]]
        calls.append(_call(data, first, *common, *mapped, *derived(first), *dropped, *chosen))
    used = table.frame.loc[choice.frame.index]
    labels = [str(name) for name in used.columns if _is_level(used[name], choice.frame, needed)]
    # levels are fitted one by one, so that they need no floors
    plain = str(replace(needed, floor=Coef("E"))) if isinstance(needed, Law) else first
    calls += [_call(data, plain, *common, *derived(plain), *dropped, "--by", name) for name in labels[:1]]
    return tuple(calls)


def _is_level(labels: pd.Series[Any], frame: pd.DataFrame, law: AnyLaw) -> bool:
    """Tell whether a law can be fitted to each level of a column: a column of words in whose levels the sizes vary."""
    if _numbers_and_words(labels)[0] is not None or not 2 <= len(labels.dropna().unique()) <= LEVELS:
        return False
    if labels.value_counts().min() < FEWEST * len(law.parameters):
        return False
    return all(
        frame.groupby(labels)[variable].nunique().min() >= FEWEST for variable in law.variables if variable in frame
    )
