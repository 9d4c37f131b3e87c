"""From a table and targets to the arrays of a forecast: columns of the law, compute, clusters, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.allocation.cost import BY_SIZE, Cost
from scalefit.data.columns import has_column
from scalefit.data.quantities import ALIASES
from scalefit.data.rows import usable_rows
from scalefit.data.tables import Table, read_table, resolve
from scalefit.errors import DataError
from scalefit.forecasting.rule import LAWS, ONE_VALUE, SHAPE, SHAPED, Runs, varying
from scalefit.law.additive import Law
from scalefit.law.general import parse_law
from scalefit.law.protocol import AnyLaw
from scalefit.names import printed_label
from scalefit.numbers import as_input, counted, exact, parse_number
from scalefit.options import Forecasting, Rows
from scalefit.problem import label_texts
from scalefit.records import Finding

__all__ = ["FLOPS", "UNUSED", "Learning", "Target", "has_flops", "read_learning", "read_targets"]

Array = NDArray[np.float64]
Target = Mapping[str, Any] | pd.DataFrame | str | os.PathLike[str]

FLOPS, PARAMS, TOKENS, UNIQUE = "flops", "params", "tokens", "unique_tokens"
UNUSED = "shape_unused"  # the code of the note on it
SIDES = ("width", "depth")
FEWEST = 4  # runs, and thus one more than a law of one column has parameters
EXPERIMENTS = (
    "eval_set", "train_set", "configuration", "subset", "split", "family", "table", "dataset", "task",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Learning:
    """A table that forecasts learn from.

    Parameters
    ----------
    table : Table
        The rows used.
    law : Law, GeneralLaw or None
        A law that the user gave; None for the laws of the rule.
    names : tuple of str
        Laws of the rule, by name; empty for the usual ones.
    response : str
        The column that is forecast.
    fixed : mapping of str to float
        Columns with one value in all rows, which no law can know.
    cost : Cost or None
        What gives the compute; None for the column flops.
    runs : Runs
        The arrays.
    notes : tuple of Finding
        What was decided on the way: that the laws do not know of the shape although runs have one, and why; what was
        taken for the compute.
    """

    table: Table
    law: AnyLaw | None
    names: tuple[str, ...]
    response: str
    fixed: Mapping[str, float]
    cost: Cost | None
    runs: Runs
    notes: tuple[Finding, ...] = ()

    def unshaped(self, reason: str, **numbers: Any) -> Learning:
        """Return the same for laws that do not know of the shape, with a note on why they do not."""
        note = Finding.of(UNUSED, "note", reason, **numbers)
        return replace(self, runs=self.runs.unshaped(), notes=(*self.notes, note))

    @property
    def shape_unused(self) -> str:
        """Why the laws do not know of the shape although the runs have one; empty where they do, or have none."""
        return next((note.message for note in self.notes if note.code == UNUSED), "")

    @property
    def reading(self) -> tuple[str, ...]:
        """How the table was read: which rows were dropped, and what was guessed, a phrase or sentence each."""
        return (*(rule.words for rule in self.table.dropped), *self.table.remarks)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the law."""
        return self.runs.columns

    @property
    def compute(self) -> Array:
        """Compute of each run, shape (n,)."""
        return np.exp(self.runs.c)


def read_learning(
    source: str | os.PathLike[str] | pd.DataFrame | Table,
    rows: Rows,
    how: Forecasting,
    *,
    by_cost: bool = False,
    apart: str | None = None,
) -> Learning:
    """Read the table of a forecast.

    Parameters
    ----------
    source : str, path, DataFrame or Table
        As for :func:`scalefit.fit`.
    rows : Rows
        Which rows and columns.
    how : Forecasting
        Which law, and what a run costs.
    by_cost : bool
        Take the compute from the cost also where there is a column flops: the targets have none.
    apart : str, optional
        A column whose levels may lie in one table, as they are to be distinguished.

    Returns
    -------
    Learning
        Arrays, with the rows.

    Raises
    ------
    DataError
        For columns that are missing, several experiments in one table, or too few runs.
    """
    table = rows.load(source)
    there = _Columns(table.frame, rows)
    law, names, columns = _law(how.law, there)
    cost = _cost(how.cost, columns, there, by_cost, table.name)
    needed = (FLOPS,) if cost is None else cost.columns
    carrier = law or Law.parse(_carrier(columns))
    read = rows.read(table, carrier, numeric=(*columns, *needed))
    frame = read.frame
    _refuse_experiments(frame, law, (rows.cluster, apart))
    logs = {name: np.log(frame[name].to_numpy(float)) for name in columns}
    fixed: dict[str, float] = {}
    if law is None:
        fixed = {name: _one_value(frame[name]) for name, own in logs.items() if np.ptp(own) < ONE_VALUE}
        logs = {name: log for name, log in logs.items() if name not in fixed}
        if not logs:
            raise DataError(
                f"all runs of {read.name!r} have the same {' and '.join(columns)}; a forecast needs runs of different "
                "sizes"
            )
    if len(frame) < FEWEST:
        raise DataError(f"{read.name!r} has {exact(len(frame))} runs here; a forecast needs at least {FEWEST}")
    compute = frame[FLOPS].to_numpy(float) if cost is None else cost.of(frame)
    cluster = None
    if rows.cluster is not None:
        cluster = np.unique(label_texts(frame, rows.cluster), return_inverse=True)[1]
    runs = Runs(
        tuple(logs), np.stack(list(logs.values()), axis=1), np.log(frame[carrier.response].to_numpy(float)),
        np.log(compute), cluster,
    )  # fmt: skip
    notes: tuple[Finding, ...] = ()
    if how.cost is None and cost == Cost.parse(TOKENS):
        words = (
            "There is no column params or flops, so the tokens of a run are taken for its compute, as where all runs "
            "are of one model (--cost tokens). Of models of several sizes, add a column params."
        )
        notes = (Finding.of("tokens_for_compute", "note", words),)
    learning = Learning(read, law, names, carrier.response, fixed, cost, runs, notes)
    return _with_shape(learning, table, rows, needed) if not set(names) - {*SHAPED} else learning


def _one_value(column: pd.Series[Any]) -> float:
    """Return the value that all rows have, or nearly have."""
    values = column.to_numpy(float)
    return float(values[0] if np.ptp(values) == 0 else np.exp(np.log(values).mean()))


def _with_shape(learning: Learning, table: Table, rows: Rows, needed: tuple[str, ...]) -> Learning:
    """Add width over depth to the runs, where the table has both and it does not follow from the size."""
    asked = bool(learning.names)
    there = _Columns(table.frame, rows)
    if learning.law is None and set(learning.columns) == {PARAMS, TOKENS} and all(name in there for name in SIDES):
        try:
            read = rows.read(table, Law.parse(_carrier(learning.columns)), numeric=(*needed, *SIDES))
        except DataError:
            if asked:
                raise
            return _lacking(learning, table, rows)
        if len(read.frame) == len(learning.runs.y):
            runs = learning.runs
            width, depth = (read.frame[name].to_numpy(float) for name in SIDES)
            shaped = replace(runs, columns=(*runs.columns, SHAPE), x=np.column_stack([runs.x, np.log(width / depth)]))
            learning = replace(learning, runs=varying(shaped, np.ones(len(runs.y), bool)))
        else:
            return _lacking(learning, table, rows)
    if asked and SHAPE not in learning.columns:
        raise DataError(
            f"the law {learning.names[0]!r} needs runs with params, tokens, width and depth, where width over depth "
            f"does not follow from params and tokens; {learning.table.name!r} has none such: leave --law out"
        )
    return learning


def _lacking(learning: Learning, table: Table, rows: Rows) -> Learning:
    """Leave the shape out where some runs have none, or refuse a law that needs it."""
    every = replace(rows, group_by=None, reduce=None)  # rows that are averaged lack it where one of them does
    read = resolve(every.read(table, Law.parse(_carrier(learning.columns))), numeric=SIDES, strict=False).frame
    values = read[list(SIDES)].to_numpy(float)
    count = int((~(np.isfinite(values) & (values > 0)).all(axis=1)).sum())
    lacking = f"{exact(count)} of {counted(len(read), 'row')} {'lacks' if count == 1 else 'lack'} them"
    headers = dict(read.attrs.get("scalefit", {})).get("headers", {})
    sides = (headers.get(name, name) for name in SIDES)
    both = " and ".join(f"{name if name.isidentifier() and name.isascii() else f'`{name}`'} > 0" for name in sides)
    remedy = f"Choose runs that have both, as --where {both!r}"
    if learning.names:
        raise DataError(f"the law {learning.names[0]!r} needs width and depth, and {lacking}. {remedy}")
    reason = f"Width and depth are not used, because {lacking}. {remedy}."
    return learning.unshaped(reason, lacking=count, table_rows=len(read))


class _Columns:
    """What columns a table has, before any is read."""

    def __init__(self, frame: pd.DataFrame, rows: Rows) -> None:
        self.frame, self.named = frame, {*(rows.mapping or {}), *(rows.columns or {}), *rows.derive}

    def __contains__(self, name: str) -> bool:
        return name in self.named or has_column(self.frame, name)


def _carrier(columns: tuple[str, ...]) -> str:
    """Write a law of the columns, which names what is to be read."""
    return "loss ~ E + " + " + ".join(f"c_{i}/{name}^a_{i}" for i, name in enumerate(columns))


def _law(text: str, there: _Columns) -> tuple[AnyLaw | None, tuple[str, ...], tuple[str, ...]]:
    """Return a law of the user's, or names of the rule's laws, and the columns."""
    word = text.strip()
    if word != "auto" and word not in LAWS:
        law = parse_law(word).decided({*map(str, there.frame.columns), *there.named}, also=ALIASES)
        if law == Law.parse("chinchilla"):
            return None, ("additive",), (PARAMS, TOKENS)
        return law, (), tuple(law.variables)
    names = () if word == "auto" else (word,)
    found = tuple(name for name in (PARAMS, TOKENS) if name in there)
    if word == "rectified" and len(found) > 1:
        raise DataError(
            "the rectified law has one column, and the table has params and tokens; give the law in full, as --law "
            "'loss ~ E + B/tokens^beta', or leave --law out"
        )
    if not found and "width" in there:
        found = ("width",)
    if not found:
        known = ", ".join(map(repr, map(str, there.frame.columns)))
        raise DataError(
            f"a forecast needs a column params, tokens or both, and the table has {known}; name them, as "
            "--map params=N,tokens=D, or give a law of your columns with --law"
        )
    if word in ("shared", *SHAPED) and len(found) == 1:
        why = "has one exponent for two columns" if word == "shared" else "needs params and tokens"
        raise DataError(f"the law {word!r} {why}, and the table has {found[0]} alone")
    return None, names, found


def _cost(text: str | None, columns: tuple[str, ...], there: _Columns, by_cost: bool, name: str) -> Cost | None:
    """Return what gives the compute of runs and targets; None for the column flops."""
    if text is not None:
        return Cost.parse(text)
    if FLOPS in there and not by_cost:
        return None
    if PARAMS in there and TOKENS in there:
        return Cost.parse(BY_SIZE)
    if FLOPS in there:
        raise DataError(
            f"the compute of the targets is not known: give it, as --at {columns[0]}=VALUE,flops=VALUE, in the units "
            f"of the column flops of {name!r}, or say what a run costs, as --cost {columns[0]}"
        )
    if columns == (TOKENS,) and not any(name in there for name in SIDES):
        return Cost.parse(TOKENS)
    if columns == (TOKENS,):
        derived = ", such as --derive params (12 depth width^2)" if all(name in there for name in SIDES) else ""
        raise DataError(
            f"the compute of the runs is not known: {name!r} has tokens and no params, and its width or depth says "
            f"that models may differ in size. Add their params{derived}; or where all runs are of one model, say that "
            "tokens are what they cost: --cost tokens"
        )
    meaning = "where all saw the same tokens" if columns == (PARAMS,) else "where it rises in proportion"
    raise DataError(
        f"the compute of the runs is not known: {name!r} has {' and '.join(columns)} and no column flops, and lacks "
        f"params or tokens, of which it could be computed. Add a column flops, or say what a run costs: "
        f"--cost {columns[0]} {meaning}"
    )


def _refuse_experiments(frame: pd.DataFrame, law: AnyLaw | None, apart: tuple[str | None, ...]) -> None:
    """Refuse several experiments in one table: their losses cannot be forecast as one."""
    levelled = set() if law is None else set(law.groups)
    for name in EXPERIMENTS:
        if name not in frame or name in levelled or name in apart:
            continue
        levels = list(dict.fromkeys(label_texts(frame, name)))
        if len(levels) > 1:
            shown = ", ".join(map(printed_label, levels[:4])) + (", ..." if len(levels) > 4 else "")
            raise DataError(
                f"the table holds {exact(len(levels))} experiments, one for each {name} ({shown}), and a forecast is "
                f"of one; choose it with --where '{name} == \"{levels[0]}\"'"
            )


def read_targets(
    learning: Learning, at: Iterable[Mapping[str, Any]], table: pd.DataFrame | Table | None
) -> pd.DataFrame:
    """Read the runs that are to be forecast.

    Parameters
    ----------
    learning : Learning
        What the forecast learns from.
    at : iterable of mapping
        Targets one by one, columns to numbers or texts such as ``"70B"``.
    table : DataFrame or Table, optional
        Many targets.

    Returns
    -------
    DataFrame
        Columns of the law and ``compute``, one row for each target, those of ``at`` first; the shape only where the
        targets give width and depth.

    Raises
    ------
    DataError
        For a missing column, a value that is not a positive number, or one that no law here knows about.
    """
    parts = [_frame_of(place, learning) for place in at]
    if table is not None:
        parts.append(_read(table if isinstance(table, Table) else read_table(table, typed=False), learning))
    if not parts:
        raise DataError(
            "there is nothing to forecast; give a target, as --at params=70B,tokens=1.4T, or --targets FILE"
        )
    if len({SHAPE in part for part in parts}) > 1:
        raise DataError("some of the targets have width and depth, and others have not; give both for all, or for none")
    return pd.concat(parts, ignore_index=True)


def has_flops(at: Iterable[Mapping[str, Any]], table: Table | None) -> bool:
    """Tell whether every target says its compute itself."""
    return all(FLOPS in place for place in at) and (table is None or has_column(table.frame, FLOPS))


def _frame_of(point: Mapping[str, Any], learning: Learning) -> pd.DataFrame:
    values: dict[str, float] = {}
    for name, value in point.items():
        try:
            values[name] = parse_number(value) if isinstance(value, str) else float(value)
        except (TypeError, ValueError) as error:
            raise DataError(f"the target's {name} is {value!r}: {error}; give a positive number, such as 70B") from None
        if not 0 < values[name] < np.inf:
            raise DataError(f"the target's {name} is {as_input(values[name])}; give a positive number, such as 70B")
    known = {
        *learning.columns,
        *learning.fixed,
        FLOPS,
        PARAMS,
        TOKENS,
        *(learning.cost.columns if learning.cost else ()),
        *(SIDES if SHAPE in learning.columns else ()),
    }
    for name in values:
        if name not in known:
            reason = f". {learning.shape_unused}" if name in SIDES and learning.shape_unused else ""
            raise DataError(f"the target's {name} has no effect on this forecast; leave it out{reason}")
    return _read(read_table(pd.DataFrame([values]), name="the target"), learning)


def _read(table: Table, learning: Learning) -> pd.DataFrame:
    """Return the columns of the law and the compute of targets."""
    frame = table.frame.copy()
    for name, value in learning.fixed.items():
        if not has_column(frame, name):
            frame[name] = value
    needed = (FLOPS,) if learning.cost is None else learning.cost.columns
    given = [name for name in learning.fixed if name in needed or has_column(table.frame, name)]
    columns = [name for name in learning.columns if name != SHAPE]
    sides = [name for name in SIDES if SHAPE in learning.columns and has_column(table.frame, name)]
    if len(sides) == 1:
        lacking = SIDES[1 - SIDES.index(sides[0])]
        raise DataError(f"{table.name} has {sides[0]} and no {lacking}; their ratio is the shape: give both, or none")
    numeric = list(dict.fromkeys([*columns, *needed, *given, *sides]))
    read = usable_rows(Table(frame, table.name, table.sha256, table.rows_read), numeric).frame
    for name in given:
        other = np.abs(np.log(read[name].to_numpy(float) / learning.fixed[name])) > ONE_VALUE
        if other.any():
            value, theirs = float(read[name].to_numpy(float)[other][0]), as_input(learning.fixed[name], 12)
            raise DataError(
                f"the target has {name} {as_input(value)}, and all runs have {theirs}: they do not show what {name} "
                "does to the loss. Give a target with theirs, or runs that differ in it"
            )
    compute = read[FLOPS].to_numpy(float) if learning.cost is None else learning.cost.of(read)
    out = read[columns].astype(float).assign(compute=compute)
    if sides:
        out[SHAPE] = read[SIDES[0]].to_numpy(float) / read[SIDES[1]].to_numpy(float)
    return out.reset_index(drop=True)
