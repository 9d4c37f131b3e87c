"""Find, map, scale and derive the columns of a frame.

Everything here works on a plain data frame and gives back a new one with the remarks to be shown;
`scalefit.data.tables` wraps it for tables.

A cell that is not a number is an error, unless the caller collects such cells (``unread``) because a condition may yet
leave their rows out.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalefit.data.formulas import dotted_name, parse_formula
from scalefit.data.quantities import (
    ALIASES,
    BadCells,
    Guess,
    Numbers,
    guess_header,
    header_unit,
    is_missing,
    read_numbers,
    row_label,
    same_looking,
    shortened,
)
from scalefit.errors import DataError, closest
from scalefit.numbers import as_input, parse_number

__all__ = [
    "Unread",
    "alike_column",
    "compute_columns",
    "find_columns",
    "has_column",
    "label_text",
    "map_columns",
    "parse_mapping",
]

Floats = npt.NDArray[np.float64]

ONE_NAME = 0.75  # similarity from which a whole expression is taken for the misspelt name of one column

Unread = dict[str, BadCells]
"""Column to the cells that its numbers were to be made of and that are not numbers."""


def parse_mapping(text: str | Iterable[str]) -> dict[str, str]:
    """Read a column mapping as it is written on a command line.

    Parameters
    ----------
    text : str or iterable of str
        ``"params=N,tokens=D*1e9"``, or several such pieces. A column whose name holds a comma, ``=``,
        ``*`` or ``/`` can stand in backquotes.

    Returns
    -------
    dict of str to str
        From the name needed to the column expression, for `read_table`.

    Raises
    ------
    DataError
        For a piece without ``=``, and for two columns mapped onto one name.

    Examples
    --------
    >>> parse_mapping("params=N,tokens=D*1e9")
    {'params': 'N', 'tokens': 'D*1e9'}
    """
    mapping: dict[str, str] = {}
    for whole in [text] if isinstance(text, str) else text:
        for piece in _pieces(whole):
            if not piece.strip():
                continue
            target, equals, column = (part.strip() for part in piece.partition("="))
            if not (target and equals and column):
                raise DataError(
                    f"cannot read the mapping {piece.strip()!r}. Need NAME=COLUMN, for example params=N,tokens=D*1e9"
                )
            target = target.strip("`")
            if mapping.get(target, column) != column:
                raise DataError(
                    f"two columns are mapped onto {target!r}: {mapping[target]!r} and {column!r}. Keep one of them."
                )
            mapping[target] = column
    return mapping


def _note_header(frame: pd.DataFrame, name: str, header: str) -> None:
    """Keep what the table itself calls a column, for messages; the frame's notes change."""
    origin = dict(frame.attrs.get("scalefit", {}))
    frame.attrs["scalefit"] = origin | {"headers": {**origin.get("headers", {}), name: header}}


def _pieces(text: str) -> list[str]:
    """Split at the commas outside backquotes and parentheses."""
    parts, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == "`"
        depth += 0 if quoted else (character == "(") - (character == ")")
        if character == "," and not quoted and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def map_columns(
    frame: pd.DataFrame, mapping: Mapping[str, str], remarks: list[str], unread: Unread | None = None
) -> pd.DataFrame:
    """Add the mapped columns, all of them read from the frame as it was.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Not changed.
    mapping : dict of str to str
        From the name needed to a column, ``column*factor``, ``column/factor`` or an expression of columns, as
        :mod:`scalefit.data.formulas` reads it.
    remarks : list of str
        Grows by one sentence for each mapped column.
    unread : dict, optional
        Grows by the mapped columns with cells that are not numbers, which are an error without it.

    Returns
    -------
    DataFrame, shape (n, q)
        A copy with the mapped columns; the original ones stay.

    Raises
    ------
    DataError
        For an unknown column, a factor that is not a positive number, or a cell to be multiplied that
        is not a number.
    """
    mapped = frame.copy()
    for target, expression in mapping.items():
        plain = _expression(expression, frame)
        if plain is None:
            mapped[target] = _computed(frame, target, expression, remarks, unread)
            continue
        column, factor = plain
        if column == target and factor is None:
            continue
        mapped[target] = frame[column] if factor is None else _scaled(frame[column], factor, remarks, target, unread)
        _note_header(mapped, target, column)
        times = "" if factor is None else f", times {as_input(factor)}"
        replaced = f", and replaces the column {target!r} of the table" if target in frame else ""
        remarks.append(f"Column {column!r} is mapped onto {target!r}{times}{replaced}.")
        if target in ALIASES and factor is None:
            remarks.extend(_unit_remarks(column, target))
    return mapped


def compute_columns(
    frame: pd.DataFrame, columns: Mapping[str, str], remarks: list[str], unread: Unread | None = None
) -> pd.DataFrame:
    """Add computed columns one after the other, so that an expression may use those before it.

    Parameters
    ----------
    frame, remarks, unread
        As for :func:`map_columns`.
    columns : dict of str to str
        From the name of the new column to its expression.

    Returns
    -------
    DataFrame, shape (n, q)
        A copy with the computed columns.

    Raises
    ------
    DataError
        For an expression that cannot be read, names an unknown column, or has no finite value in a row.
    """
    for target, expression in columns.items():
        frame = map_columns(frame, {target: expression}, remarks, unread)
    return frame


def _computed(frame: pd.DataFrame, target: str, text: str, remarks: list[str], unread: Unread | None) -> pd.Series[Any]:
    """Evaluate an expression of columns; cells without a result are an error, or collected."""
    try:
        formula = parse_formula(target, text)
    except DataError as error:
        raise error if dotted_name(text) else _unknown(target, text, frame, f"{error}\n") from None
    work = _Work(frame, "", frozenset(), remarks, frame, unread)

    def numbers(name: str) -> Numbers:
        exact_name = name if name in frame else alike_column(name, frame.columns)
        found = (exact_name, 1.0) if exact_name is not None else _find(work, name) if name in ALIASES else None
        if found is None:
            known = closest(name, map(str, frame.columns))
            raise _unknown(
                target, text, frame, f"the column {target} = {text} names an unknown column {name!r}; {known} "
            )
        column, factor = found
        read = read_numbers(frame[column])
        remarks.extend(read.remarks(frame[column]))
        bad = read.bad if unread is None else unread.get(column, read.bad)
        return replace(read, floats=read.floats * factor, bad=bad)

    series, bad = formula.series(frame, numbers)
    if bad is not None:
        if unread is None:
            raise DataError(bad.message())
        unread[target] = bad
    elif unread is not None:
        unread.pop(target, None)
    replaced = f" and replaces the column {target!r} of the table" if target in frame else ""
    remarks.append(f"Column {target!r} is computed as {formula}{replaced}.")
    return series


def _unknown(target: str, text: str, frame: pd.DataFrame, problem: str) -> DataError:
    """Build the error for an expression that cannot be read: it may be a misspelt name, or lack backquotes."""
    odd = [str(name) for name in frame.columns if not str(name).isidentifier()]
    bare = re.sub("`[^`]*`", "", text)
    inside = max((name for name in odd if name in bare and re.search(r"\w", name)), key=len, default="")
    if inside:
        return DataError(f"{problem}In an expression a column with such a name stands in backquotes: `{inside}`.")
    name = text.strip(" `")
    alike = {name.casefold(): name for name in odd}
    near = [other for other in alike if other.startswith(name.casefold())]
    near = near or difflib.get_close_matches(name.casefold(), alike, n=1, cutoff=ONE_NAME)
    if not near:
        return DataError(problem.rstrip())
    meant = alike[near[0]]
    return DataError(
        f"the table has no column {name!r}, of which {target} is to be made; "
        f"{closest(meant, map(str, frame.columns))} In an expression such a name stands in backquotes: `{meant}`"
    )


def _unit_remarks(column: str, target: str) -> list[str]:
    """Say that what a header holds in brackets changes nothing where the mapping gives no factor."""
    unit, guess = header_unit(column, target), guess_header(column, target)
    if not unit or (guess is not None and guess.factor == 1.0):
        return []
    if guess is None:
        return [f"What '({unit})' in the header {column!r} means is not known; its numbers are taken as they stand."]
    return [
        f"The header {column!r} names a unit, but the mapping gives no factor, so its numbers are taken as they stand."
    ]


def _expression(expression: str, frame: pd.DataFrame) -> tuple[str, float | None] | None:
    """Take a column expression apart: column, ``column*factor`` or ``column/factor``; None for any other."""
    text = expression.strip()
    columns = set(frame.columns)
    if text in columns:
        return text, None
    if (alike := alike_column(text, frame.columns)) is not None:
        return alike, None
    quoted = re.fullmatch(r"`([^`]*)`\s*(?:([*/])(.*))?", text)
    places = [match.start() for match in re.finditer(r"[*/]", text)]
    cuts = [(text[:place].strip(), text[place], text[place + 1 :]) for place in places]
    if quoted:
        cuts = [(quoted[1], quoted[2] or "", quoted[3] or "")]
    for word, operator, number in cuts:
        column = word if word in columns else alike_column(word, frame.columns)
        if column is not None:
            if not operator:
                return column, None
            factor = _factor(number)
            if factor is not None:
                return column, factor if operator == "*" else 1.0 / factor
    return None


def _factor(text: str) -> float | None:
    try:
        factor = parse_number(re.sub(r"^\s*10(?:\*\*|\^)", "1e", text))
    except ValueError:
        return None
    return factor if 0.0 < factor < float("inf") else None


def _scaled(column: pd.Series[Any], factor: float, remarks: list[str], target: str, unread: Unread | None) -> Floats:
    """Read a column as the numbers of ``target`` and multiply; a unit both in a cell and as a factor is refused."""
    numbers = read_numbers(column)
    bad, values = numbers.bad, numbers.floats * factor
    if numbers.units and factor != 1.0:
        first = numbers.units[0]
        clash = BadCells(
            column,
            dict.fromkeys(numbers.units, "brings a unit"),
            f"column {str(column.name)!r} is to be multiplied by {as_input(factor)}, but cells such as "
            f"{shortened(column.iloc[first])} in {row_label(column, first)} bring a unit. "
            f"Keep one of the two; mapping the column without a factor keeps the cells as they are.",
        )
        if unread is None:
            raise DataError(clash.remedy)
        bad = clash if bad is None else BadCells(column, bad.problems | clash.problems, bad.remedy)
        values[list(numbers.units)] = np.nan
    if bad is not None:
        if unread is None:
            raise DataError(bad.message())
        unread[target] = bad
    remarks.extend(numbers.remarks(column))
    return values


@dataclass(frozen=True)
class _Rule:
    """How a column is computed from others."""

    inputs: tuple[str, str]
    formula: Callable[[Floats, Floats], Floats]
    words: str
    automatic: bool = False


_RULES = {
    "tokens": (_Rule(("flops", "params"), lambda c, n: c / (6.0 * n), "flops / (6 params)", automatic=True),),
    "flops": (_Rule(("params", "tokens"), lambda n, d: 6.0 * n * d, "6 params tokens"),),
    "params": (
        _Rule(("width", "depth"), lambda m, length: 12.0 * length * m**2, "12 depth width^2"),
        _Rule(("flops", "tokens"), lambda c, d: c / (6.0 * d), "flops / (6 tokens)", automatic=True),
    ),
}


@dataclass
class _Work:
    """The frame while its columns are being found; private to `find_columns`."""

    source: pd.DataFrame
    name: str
    derive: frozenset[str]
    remarks: list[str]
    frame: pd.DataFrame
    unread: Unread | None = None
    done: set[str] = field(default_factory=set)


def alike_column(name: str, columns: Iterable[str]) -> str | None:
    """Find the one column whose name prints like ``name`` but is written with other characters.

    Letters with separate accents, full-width letters and invisible characters make names that look the same and are
    not. One such column is taken; several are refused.

    Parameters
    ----------
    name : str
        The name looked for.
    columns : iterable of str
        The names there are.

    Returns
    -------
    str or None
        None if the name itself is there, or nothing like it.

    Raises
    ------
    DataError
        For several columns that look like the name; their characters are listed.
    """
    known = list(columns)
    if name in known:
        return None
    wanted = same_looking(name)
    if wanted.isascii() and not any(not column.isascii() for column in known):
        return None  # ASCII names look the same only if they are
    found = [column for column in known if same_looking(column) == wanted]
    if len(found) > 1:
        spelled = "; ".join(f"{column!r} is {_characters(column)}" for column in found)
        raise DataError(
            f"several columns look like {name!r} but are written with other characters: {spelled}. Rename them."
        )
    return found[0] if found else None


def _characters(text: str) -> str:
    return " ".join(f"U+{ord(character):04X}" for character in text[:40])


def has_column(frame: pd.DataFrame, name: str, derive: Iterable[str] = ()) -> bool:
    """Tell whether `find_columns` would have a numeric column, with leave to derive these."""
    plan = _plan(_Work(frame, "", frozenset(derive), [], frame), name, ())
    return plan is not None and plan <= set(derive)


def find_columns(
    frame: pd.DataFrame,
    *,
    name: str,
    numeric: Iterable[str],
    labels: Iterable[str],
    derive: Iterable[str],
    remarks: list[str],
    unread: Unread | None = None,
) -> pd.DataFrame:
    """Do the work of `scalefit.data.tables.resolve`; ``name`` is for messages, ``unread`` as for a mapping."""
    wanted = tuple(dict.fromkeys(derive))
    for derived in wanted:
        if derived not in _RULES:
            raise DataError(f"cannot derive {derived!r}; {closest(derived, _RULES)}")
    work = _Work(frame, name, frozenset(wanted), remarks, frame.copy(), unread)
    numbers = tuple(dict.fromkeys(numeric))
    for column in numbers:
        _need_number(work, column)
    for column in dict.fromkeys(labels):
        if column not in numbers:
            _need_label(work, column)
    remarks.extend(f"The table has the column {name!r}, so it is not derived." for name in wanted if name in frame)
    return work.frame


def _need_number(work: _Work, name: str) -> None:
    """Put the numeric column ``name`` into the frame: found, or derived."""
    if name in work.done:
        return
    found = _find(work, name)
    if found is not None:
        column, factor = found
        if column != name:
            _note_header(work.frame, name, column)
        before = work.unread.get(column) if work.unread is not None else None
        work.frame[name] = _scaled(work.frame[column], factor, work.remarks, name, work.unread)
        if before is not None and work.unread is not None:  # a mapped column, whose bad cells are NaN by now
            work.unread[name] = before
    else:
        asked = _plan(work, name, ())
        if asked is None or not asked <= work.derive:
            raise _missing(work, name, asked)
        rule = _rule(work, name)
        for column in rule.inputs:
            _need_number(work, column)
        first, second = (work.frame[column].to_numpy(dtype=np.float64) for column in rule.inputs)
        with np.errstate(all="ignore"):
            values = rule.formula(first, second)
        work.frame[name] = np.where((first > 0) & (second > 0), values, np.nan)
        for column in rule.inputs:
            if work.unread and column in work.unread:
                work.unread.setdefault(name, work.unread[column])
        work.remarks.append(f"The table has no column {name!r}; it is computed as {rule.words}.")
    work.done.add(name)


def _need_label(work: _Work, name: str) -> None:
    """Put the text column ``name`` into the frame."""
    found = _find(work, name)
    if found is None:
        raise _missing(work, name, None)
    column, factor = found
    cells = work.frame[column].astype(object)
    if factor != 1.0:
        bad = None if work.unread is None else Unread()  # a cell that is no number is a missing label
        cells = pd.Series(_scaled(work.frame[column], factor, work.remarks, name, bad)).astype(object)
    given = [None if is_missing(cell, number=False) else label_text(cell) for cell in cells]
    texts = [None if text is None else text.strip() for text in given]
    stripped = sum(a != b for a, b in zip(given, texts, strict=True))
    if stripped:
        work.remarks.append(f"Spaces around labels in column {column!r} are removed (cells: {stripped}).")
    try:
        "".join(text for text in texts if text is not None).encode()
    except UnicodeEncodeError:
        raise DataError(f"column {column!r} holds labels that are not valid Unicode text. Correct them.") from None
    work.frame[name] = pd.Series(texts, index=work.frame.index, dtype=object)


def label_text(cell: object) -> str:
    """Write a cell as a label: text as it is, a whole number without a decimal point.

    Different numbers give different labels.

    Examples
    --------
    >>> label_text("1.10"), label_text(2.0), label_text(1e300)
    ('1.10', '2', '1e+300')
    """
    if isinstance(cell, float | np.floating) and float(cell).is_integer() and abs(float(cell)) < WHOLE:
        return str(int(cell))
    try:
        return str(cell)
    except ValueError:  # Python prints no integer of more than 4300 digits
        raise DataError("a whole number of thousands of digits cannot be a label. Write it as text.") from None


WHOLE = 2.0**63  # whole floats up to here are written with all their digits


def _find(work: _Work, name: str, *, quiet: bool = False) -> tuple[str, float] | None:
    """Find the column that stands for ``name`` and its factor; remark on a guess unless ``quiet``."""
    columns = list(work.source.columns)
    if name in work.source:
        return name, 1.0
    alike = alike_column(name, columns)
    if alike is not None:
        if not quiet:
            work.remarks.append(f"Read column {alike!r} as {name}: they look the same, but their characters differ.")
        return alike, 1.0
    guesses = _guesses(columns, name, lambda column: column)
    if not guesses:  # then the last part of a name with dots, as nested records have: summary.eval_loss
        guesses = _guesses(
            [column for column in columns if "." in column], name, lambda column: column.rpartition(".")[2]
        )
    if not guesses:
        return None
    rank = min(guess.rank for guess in guesses.values())
    best = {column: guess for column, guess in guesses.items() if guess.rank == rank}
    (column, guess), *others = best.items()
    if quiet:
        return column, guess.factor
    if others and not all(_same(work.frame, (column, guess), other) for other in others):
        raise DataError(
            f"the columns {', '.join(repr(c) for c in best)} could all be {name!r}, and their values differ. "
            f"Say which one with a mapping, for example {name}={column}"
        )
    times = "" if guess.factor == 1.0 else f", times {as_input(guess.factor)}"
    unused = [repr(other) for other in guesses if other not in best]
    aside = f", and leave {', '.join(unused)} aside" if unused else ""
    work.remarks.append(f"Read column {column!r} as {name}{times}{aside}.")
    return column, guess.factor


def _guesses(columns: Iterable[str], name: str, header: Callable[[str], str]) -> dict[str, Guess]:
    """Return the columns whose headers may stand for a name."""
    guesses: dict[str, Guess] = {}
    for column in columns:
        guess = guess_header(header(column), name) if name in ALIASES else None
        if guess is None and header(column).casefold() == name.casefold():
            guess = Guess(1.0)
        if guess is not None:
            guesses[column] = guess
    return guesses


def _same(frame: pd.DataFrame, one: tuple[str, Guess], other: tuple[str, Guess]) -> bool:
    """Tell whether two candidate columns hold the same values once their units are applied."""
    left, right = (read_numbers(frame[column]) for column, _ in (one, other))
    bad = [{} if numbers.bad is None else numbers.bad.problems for numbers in (left, right)]
    if bad[0].keys() != bad[1].keys() or any(
        frame[one[0]].iloc[place] != frame[other[0]].iloc[place] for place in bad[0]
    ):
        return False
    first, second = left.floats * one[1].factor, right.floats * other[1].factor
    return bool(np.allclose(first, second, rtol=1e-12, atol=0.0, equal_nan=True))


def _plan(work: _Work, name: str, path: Sequence[str]) -> frozenset[str] | None:
    """Say which derivations must be allowed so that ``name`` can be had; None if it cannot."""
    if _find(work, name, quiet=True) is not None:
        return frozenset()
    if name not in _RULES or name in path:
        return None
    plans = [plan for rule in _RULES[name] if (plan := _rule_plan(work, name, rule, path)) is not None]
    return min(plans, key=len, default=None)


def _rule_plan(work: _Work, name: str, rule: _Rule, path: Sequence[str]) -> frozenset[str] | None:
    """Say which derivations one rule needs; None if its inputs cannot be had."""
    parts = [_plan(work, column, (*path, name)) for column in rule.inputs]
    if any(part is None for part in parts):
        return None
    own = frozenset() if rule.automatic else frozenset({name})
    return own.union(*(part for part in parts if part is not None))


def _rule(work: _Work, name: str) -> _Rule:
    """Choose the rule that computes a column: what the user allowed by name comes before what needs no leave."""
    plans = [(rule, _rule_plan(work, name, rule, ())) for rule in _RULES[name]]
    allowed = [(rule, plan) for rule, plan in plans if plan is not None and plan <= work.derive]
    return max(allowed, key=lambda pair: name in pair[1])[0]


def _missing(work: _Work, name: str, asked: frozenset[str] | None) -> DataError:
    """Build the error for a column that is not there."""
    columns = [str(column) for column in work.source.columns]
    parts = [f"the table {work.name!r} has no column {name!r}; {closest(name, columns)}"]
    if asked is not None:
        formulas = ", ".join(f"{derived} = {_RULES[derived][0].words}" for derived in sorted({name, *asked}))
        lacking = sorted(asked - work.derive)
        options = " ".join(f"--derive {name}" for name in lacking)
        parts.append(f"It can be computed ({formulas}): add derive {', '.join(lacking)} ({options}).")
    unknown = [column for column in columns if name in ALIASES and header_unit(column, name)]
    if unknown:
        parts.append(
            f"What '({header_unit(unknown[0], name)})' in the header {unknown[0]!r} means is not known: map the column "
            f"if it is meant, {name}=`{unknown[0]}`, with a factor if that is a unit, {name}=`{unknown[0]}`*1e9."
        )
    if name in ALIASES:
        parts.append(f"Other names understood: {', '.join(ALIASES[name][1:])}.")
    meant = next((key for key, others in ALIASES.items() if name in others and key in columns), None)
    if meant is not None and meant != name:
        parts.append(f"{name!r} is another name for {meant!r}: write {meant} in the law, or map {name}={meant}.")
    parts.append(f"Or map a column, for example {name}=YOUR_COLUMN.")
    return DataError(" ".join(parts))
