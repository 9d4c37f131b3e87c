"""A first look at a strange table: what its columns are, what repeats, which law it could support, what to run next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.data.columns import compute_columns, has_column, map_columns
from scalefit.data.formats import typed_frame
from scalefit.data.quantities import ALIASES, as_numbers, guess_header, is_missing
from scalefit.data.tables import Table, resolve
from scalefit.data.wide import long_frame, wide_name
from scalefit.errors import DataError
from scalefit.files import plain_json
from scalefit.law.additive import Coef, Law
from scalefit.misfit import checkpoints_message
from scalefit.numbers import amount, exact
from scalefit.options import LOOK, Rows, command, gather, takes
from scalefit.report.choice import LawChoice, choose
from scalefit.table import PrintedTable

if TYPE_CHECKING:
    from scalefit.options.verbs import TableSource

__all__ = ["Look", "LookedColumn", "look"]

SHOWN: Final = 3  # labels of a column
LABELS: Final = 20  # of a column by which levels could be fitted
FEWEST: Final = 2  # values of a column within a level, and rows for each parameter of a level
FEWEST_STEPS: Final = 8  # for a law of training curves
TENSORBOARD: Final = {"Wall time", "Step", "Value"}  # columns of an exported scalar
SEEDS: Final = ("seed", "random_seed", "data_seed", "trial")


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
        Its most frequent labels.
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
        """What it holds, such as ``1.0M to 3.2B`` or ``3 labels: a, b, c``."""
        if self.kind == "empty":
            return "no values"
        if self.low is not None and self.high is not None:
            return f"{amount(self.low)} to {amount(self.high)}" if self.low < self.high else amount(self.low)
        more = ", ..." if self.different > len(self.some) else ""
        return f"{exact(self.different)} label{'s' if self.different > 1 else ''}: {', '.join(self.some)}{more}"


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
        What is to be said of runs with several rows.
    laws : mapping of str to str
        Laws that the rows could support, by what they are of; the main one first. Empty when there is none.
    reasons : tuple of str
        Why these laws, or why none.
    commands : tuple of str
        What to run next.
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
    commands: tuple[str, ...]
    remarks: tuple[str, ...]
    frame: pd.DataFrame

    def record(self) -> dict[str, Any]:
        """Return what was found as plain JSON."""
        found = {
            "table": self.name, "rows": self.rows, "columns": [asdict(one) for one in self.columns],
            "settings": self.settings, "runs": self.runs, "laws": dict(self.laws), "reasons": list(self.reasons),
            "commands": list(self.commands), "remarks": list(self.remarks),
        }  # fmt: skip
        return dict(plain_json(found))

    def summary(self) -> str:
        """Return one screen of text."""
        rows = [
            [one.name, one.quantity, one.words, exact(one.different), exact(one.missing) if one.missing else ""]
            for one in self.columns
        ]
        table = PrintedTable.of(["column", "quantity", "holds", "different", "missing"], rows, "lllrr")
        lines = [f"{self.name}: {exact(self.rows)} rows, {exact(len(self.columns))} columns", "", table.text("  "), ""]
        lines += [f"  {one}" for one in (self.settings, self.runs) if one]
        lines += [f"  {word:13s} {law}" for word, law in self.laws.items()]
        lines += [f"  {one}" for one in self.reasons]
        lines += ["", "next:", *(f"  {one}" for one in self.commands)] if self.commands else []
        return "\n".join([*lines, *(f"  note: {one}" for one in self.remarks)])

    def __str__(self) -> str:
        return self.summary()

    def plot(self) -> list[Any]:
        """Draw the loss against each column of numbers; the matplotlib Axes.

        Raises
        ------
        DataError
            When no column stands for a loss, or nothing varies with it.
        """
        loss = next((one.name for one in self.columns if one.quantity == "loss" and one.kind == "numbers"), None)
        others = [one.name for one in self.columns if one.kind == "numbers" and one.different > 1 and one.name != loss]
        if loss is None or not others:
            raise DataError(
                f"{self.name!r} has no loss to draw against a column of numbers; map one: --map loss=COLUMN"
            )
        draw: Any = import_module("scalefit.plots.scatter").loss_panels
        return list(draw(self.frame, loss, others))


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
    remarks = list(table.remarks)
    frame = map_columns(table.frame, rows.mapping or {}, remarks)
    frame = typed_frame(compute_columns(frame, rows.columns or {}, remarks))
    columns = tuple(_column(frame, str(name)) for name in frame.columns)
    try:
        choice: LawChoice | None = choose(frame, drop_invalid=True)
        reasons: tuple[str, ...] = () if choice is None else choice.reasons
    except DataError as error:
        choice = _step_choice(table, frame)
        reasons = (str(error),) if choice is None else choice.reasons
    shown = replace(table, frame=frame)
    settings, grouping = _settings(choice) if choice is not None else ("", {})
    law = None if choice is None else next(iter(choice.laws.values()))
    runs = "" if law is None else checkpoints_message(Law.parse(law), frame) or ""
    commands = () if law is None else _commands(data, rows, shown, choice, law, grouping)
    return Look(
        table.name, len(frame), columns, settings, runs, {} if choice is None else dict(choice.laws), reasons, commands,
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


def _step_choice(table: Table, frame: pd.DataFrame) -> LawChoice | None:
    """Choose a law of the steps of one or several runs, where the table has no sizes; None without steps and losses."""
    if not (has_column(frame, "loss") and has_column(frame, "step")):
        return None
    runs = [
        str(name) for name in frame.columns
        if str(name).isidentifier() and as_numbers(frame[name]) is None and 2 <= frame[name].nunique() <= LABELS
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


def _column(frame: pd.DataFrame, name: str) -> LookedColumn:
    column = frame[name]
    part = name if guess_header(name, "loss") or "." not in name else name.rpartition(".")[2]
    quantity = next((known for known in ALIASES if guess_header(part, known) is not None), "")
    missing = int(sum(is_missing(cell) for cell in column)) if column.dtype == object else int(column.isna().sum())
    different = int(column.nunique())
    values = as_numbers(column)
    if different == 0:
        return LookedColumn(name, quantity, "empty", None, None, 0, missing)
    if values is not None:
        seen = values[np.isfinite(values)]
        low, high = (float(seen.min()), float(seen.max())) if len(seen) else (None, None)
        return LookedColumn(name, quantity, "numbers", low, high, different, missing)
    some = tuple(str(label)[:24] for label in column.astype(object).value_counts().index[:SHOWN])
    return LookedColumn(name, quantity, "labels", None, None, different, missing, some)


def _settings(choice: LawChoice) -> tuple[str, dict[str, str]]:
    """Say how often settings are repeated and by what the repeats differ; the options that keep one row of each."""
    law, frame = Law.parse(next(iter(choice.laws.values()))), choice.frame
    own = [*law.variables, *law.groups]
    setting = frame.groupby(own, sort=False, observed=True).ngroup().to_numpy()
    counts = np.bincount(setting)
    if counts.max() < 2:
        return f"Every row has its own {' and '.join(own)}.", {}
    varied = [
        str(name) for name in frame.columns
        if name not in (*own, "loss") and guess_header(str(name), "loss") is None
        and as_numbers(frame[name]) is not None and _varies(pd.Series(as_numbers(frame[name])), setting)
    ]  # fmt: skip
    words = f"{exact(len(counts))} settings of {' and '.join(own)}, of up to {exact(counts.max())} rows"
    by = ",".join(own)
    if not varied:
        return f"{words}.", {"group_by": by, "reduce": "mean"}
    step = next((name for name in varied if guess_header(name, "step") is not None), None)
    if all(name.lower() in SEEDS for name in varied):
        return f"{words}, which differ in {', '.join(varied)}.", {"group_by": by, "reduce": "mean"}
    how = "min:loss" if step is None else f"last:{step}"
    return f"{words}, which differ in {', '.join(varied)}.", {"group_by": by, "reduce": how}


def _varies(column: pd.Series[Any], setting: NDArray[Any]) -> bool:
    """Tell whether a column has several values within a setting."""
    values = column.groupby(setting)
    return bool((values.max() > values.min()).any())


def _commands(
    data: Any, rows: Rows, table: Table, choice: LawChoice | None, law: str, grouping: Mapping[str, str]
) -> tuple[str, ...]:
    """Write what to run next: the fit, the best row of each setting, one fit a level, a report."""
    assert choice is not None
    source = shlex.quote(os.fspath(data)) if isinstance(data, str | os.PathLike) else "TABLE"
    given = {name: getattr(rows, name) for name in ("also", "name_fields", "wide", "mapping", "columns")}
    common = command(LOOK, {name: value for name, value in given.items() if value})
    mapped = (
        ["--map", ",".join(f"{name}={column}" for name, column in choice.mapping.items())] if choice.mapping else []
    )
    needed = Law.parse(law)
    gaps = any(table.frame[name].isna().any() for name in needed.variables if name in table.frame)
    dropped = ["--drop-invalid"] if gaps or len(choice.frame) < len(table.frame) else []
    cluster = ["--cluster", choice.cluster] if choice.cluster else []
    first = ["scalefit", "fit"]

    def line(*words: str) -> str:
        return " ".join([*first, source, *map(shlex.quote, words)])

    lines = [line(law, *common, *mapped, *dropped, *cluster)]
    if grouping:
        chosen = ["--group-by", grouping["group_by"], "--reduce", grouping["reduce"]]
        lines.append(line(law, *common, *mapped, *dropped, *chosen))
    labels = [str(name) for name in table.frame.columns if _is_level(table.frame, str(name), needed)]
    plain = str(replace(needed, floor=Coef("E")))  # levels are fitted one by one, so that they need no floors
    lines += [line(plain, *common, *dropped, "--by", name) for name in labels[:1]]
    return tuple(lines)


def _is_level(frame: pd.DataFrame, name: str, law: Law) -> bool:
    """Tell whether a law can be fitted to each level of a column: a column of words in whose levels the sizes vary."""
    labels = frame[name]
    if as_numbers(labels) is not None or not 2 <= len(labels.dropna().unique()) <= LABELS:
        return False
    if labels.value_counts().min() < FEWEST * len(law.parameters):
        return False
    given = [one for one in law.variables if one in frame]
    return all(frame.groupby(labels)[one].nunique().min() >= FEWEST for one in given)
