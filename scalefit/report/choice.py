"""Choose what a table of runs allows: laws, floors by label, clusters of rows, each with its reason.

A label gets a floor for each level only where the rows can distinguish that floor from the terms of the law. A label
that encodes a quantity (the same numbers in other words, a size class, a budget) would replace its term.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from keyword import iskeyword
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.data.columns import compute_columns, has_column, map_columns
from scalefit.data.many import SOURCE
from scalefit.data.quantities import ALIASES, guess_header, holds_truth, is_missing, parse_column
from scalefit.data.tables import Table, resolve
from scalefit.errors import DataError
from scalefit.law.additive import Coef, Law, Term
from scalefit.law.general import general_form, parse_law
from scalefit.law.presets import LAWS, Preset
from scalefit.law.syntax import Number
from scalefit.numbers import exact
from scalefit.options import CHOOSE, Rows, gather, takes
from scalefit.report.text import join

__all__ = ["LawChoice", "choose", "words_of"]

Array = NDArray[np.float64]

QUANTITIES: Final = ("params", "tokens", "width", "depth")
UNIQUE: Final = "unique_tokens"  # of which runs of different tokens make different numbers of passes
CORE: Final = ("params", "tokens")
MOST_LEVELS: Final = 12  # of one column
MOST_FLOORS: Final = 24  # of two columns together
ROWS_PER_LEVEL: Final = 5
FEWEST_VALUES: Final = 3  # of a quantity, for an exponent
OWN_SHARE: Final = 0.1  # of a quantity's variation, that must lie within the levels of a label
FEWEST_RUNS: Final = 10  # to be resampled
FEWEST_CHECKPOINTED: Final = 5  # the same where rows are checkpoints, which are far from independent
ROWS_PER_RUN: Final = 10  # from which on rows of one run with rising tokens are checkpoints
ALIGNED: Final = 0.99  # squared correlation of the logs of two quantities, above which one follows the other
REPEATED: Final = 0.8  # most values of a run label, as a share of the rows

# Names of columns that identify runs, including those of experiment trackers, normalised by `_key`.
RUNS: Final = (
    "run", "run_id", "run_name", "run_label", "name", "trial", "trial_id", "job", "job_id", "exp", "exp_name",
    "experiment", "experiment_name", "model", "model_name", "shape",
)  # fmt: skip
STEPS: Final = ("step", "steps", "global_step", "train_step", "iteration", "iter", "checkpoint")
# Words in a header for what happened to a run, as opposed to what was trained.
BOOKKEEPING: Final = frozenset(
    {"commit", "sha", "hash", "timestamp", "date", "datetime", "time", "created", "started", "finished", "updated",
     "host", "hostname", "node", "machine", "user", "path", "file", "filename", "folder", "dir", "url", "link", "note",
     "notes", "comment", "comments", "status", "state", "uuid", "seed"}
)  # fmt: skip
_RECORD: Final = re.compile(
    r"(?=[^g-z]*\d)[0-9a-f]{7,40}"  # a commit
    r"|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a UUID
    r"|\d{4}-\d\d?-\d\d?([ t].*)?|\d\d?[./]\d\d?[./]\d{2,4}([ t].*)?"  # a date
    r"|[a-z]+://.*|[/~].*|[a-z]:\\.*",  # an address or a path
    re.IGNORECASE,
)


@dataclass(frozen=True, eq=False)
class LawChoice:
    """The laws and clusters that a table allows.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        The rows to be used, with the usual quantities as numbers and the labels of the law as text.
    laws : mapping
        Short name to law, the main one first.
    linear : bool
        Whether the main law is fitted to the response itself and not to its logarithm.
    cluster : str
        A column that identifies runs with several rows; empty without one.
    mapping : mapping
        Name in the law to column of the table, for labels whose names are not valid in a law.
    reasons : tuple of str
        Why these laws were chosen, a sentence each.
    left_out : tuple of str
        What the report cannot include, and why, a sentence each.
    """

    frame: pd.DataFrame
    laws: Mapping[str, str]
    linear: bool
    cluster: str
    mapping: Mapping[str, str]
    reasons: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Label:
    """A text column: its name in the table, its name in a law, its level in each row."""

    column: str
    name: str
    levels: pd.Series[Any]


@takes(*CHOOSE)
def choose(source: Any, *options: Rows, law: str | None = None, **keywords: Any) -> LawChoice:
    """Choose the laws that the rows of a table allow.

    Only the rows that remain after the conditions are considered.

    Parameters
    ----------
    source : path or DataFrame
        The table.
    *options : Rows
        Options as a value.
    law : str, optional
        The law, where it is not to be chosen.
    **keywords
        Fields of :class:`scalefit.options.Rows`.

    Returns
    -------
    LawChoice
        Laws, and what they omit.

    Raises
    ------
    DataError
        When the table cannot be used, or has no loss or nothing that the loss could depend on.

    Examples
    --------
    >>> import pandas as pd
    >>> runs = pd.DataFrame({"N": [1e6, 1e7, 1e8] * 4, "loss": [3.0, 2.5, 2.2] * 4, "size": ["S", "M", "L"] * 4})
    >>> choose(runs).laws  # the label encodes the size, so it gets no floors
    {'size': 'loss ~ E + A/params^alpha'}
    """
    (selection,) = gather(CHOOSE, options, keywords)
    read = selection.load(source)
    remarks: list[str] = []
    frame = map_columns(read.frame, selection.mapping or {}, remarks)
    whole = replace(read, frame=compute_columns(frame, selection.columns or {}, remarks))
    if law is not None:
        return _given(read, selection, "law", law, f"{law}, as it was given.")
    special = _special(whole)
    if special is not None:
        name, preset = special
        own = [column for column in preset.columns if column not in QUANTITIES]
        reason = f"{name}, the law of {preset.source}, because the table has {join(own)}."
        return _given(read, selection, name, _freed(name), reason, linear=preset.linear)
    return _additive(whole, read, selection)


def _special(whole: Table) -> tuple[str, Preset] | None:
    """Return the named law of another form than a sum of powers whose columns the table has, if there is one.

    It has to use a column other than the usual quantities, which calls for it where it varies; of several laws, that
    with most columns.
    """
    fitting = [
        (name, preset)
        for name, preset in LAWS.items()
        if set(preset.columns) - {*QUANTITIES}
        and all(has_column(whole.frame, column) for column in (parse_law(name).response, *preset.columns))
        and any(_calls_for_a_law(whole, column) for column in set(preset.columns) - {*QUANTITIES})
    ]
    return max(fitting, key=lambda item: len(item[1].columns), default=None)


def _calls_for_a_law(whole: Table, column: str) -> bool:
    """Tell whether a column varies, or says something of each row although it is one number: of the unique tokens."""
    values = resolve(whole, numeric=[column], strict=False).frame[column]
    return column == UNIQUE or bool(values.min() < values.max())


def _freed(name: str) -> str:
    """Return a named law with every number that its paper fitted to other runs as a parameter."""
    law = general_form(parse_law(name))
    kept = tuple(declaration for declaration in law.declared if not isinstance(declaration.value, Number))
    return str(replace(law, declared=kept))


def _given(read: Table, selection: Rows, name: str, text: str, reason: str, *, linear: bool = False) -> LawChoice:
    """Return the choice of one law, with the rows that it can use."""
    law, rows = selection.bind(read, text, space="linear" if linear else "log")
    cluster, about_rows = (selection.cluster, "") if selection.cluster else _cluster(rows.frame)
    reasons = (reason, about_rows) if cluster and about_rows else (reason,)
    left_out = (about_rows,) if about_rows and not cluster else ()
    return LawChoice(rows.frame, {name: str(law)}, linear, cluster, {}, reasons, left_out)


def _additive(whole: Table, read: Table, selection: Rows) -> LawChoice:
    """Choose sums of powers by the quantities that vary in the rows, with floors by label."""
    present = [name for name in QUANTITIES if has_column(whole.frame, name, selection.derive)]
    core = [name for name in CORE if name in present] or present
    resolve(whole, numeric=["loss"], strict=False)  # without a loss nothing else matters
    if not core:
        raise _nothing(whole)
    rows = selection.read(read, _probe(core))
    usable, left_out = _quantities(rows, present, core)
    if not usable:
        raise _nothing(rows)
    frame = resolve(rows, numeric=usable).frame
    cluster, about_rows = (selection.cluster, "") if selection.cluster else _cluster(frame)
    left_out.append(about_rows) if about_rows and not cluster else None
    if dict(read.frame.attrs.get("scalefit", {})).get("files"):  # the file of a row says nothing of its experiment
        frame = frame.drop(columns=[SOURCE], errors="ignore")
    measures = _measures(frame, usable)
    kept, notes = _labels(frame, set(whole.frame.columns), dict(selection.mapping or {}), measures, cluster)
    laws, about_floors = _laws(frame, usable, kept)
    used = kept if "[" in next(iter(laws.values())) else ()
    for label in used:
        frame = frame.assign(**{label.name: label.levels})
    reasons = [*_why(laws, usable), *_why_floors(used), *([about_rows] if cluster and about_rows else [])]
    renamed = {label.name: label.column for label in used if label.name != label.column}
    return LawChoice(frame, laws, False, cluster, renamed, tuple(reasons), (*left_out, *notes, *about_floors))


def words_of(law: str) -> str:
    """Name a law briefly by its columns: ``size and tokens``, ``width``, ``shape and tokens``."""
    names = [_SHORT.get(name, name.replace("_", " ")) for name in parse_law(law).variables]
    return join(names if len(names) < 3 or "depth" not in names else ["shape", *names[2:]])


def _probe(names: Sequence[str]) -> Law:
    """Return a law with all these columns, so that rows are prepared for any of them."""
    return Law("loss", Coef("E"), tuple(Term(Coef(f"c{i}"), name, Coef(f"a{i}")) for i, name in enumerate(names)))


def _nothing(table: Table) -> DataError:
    return DataError(
        f"the table {table.name!r} has no parameters, tokens, width or depth with three different values, "
        "so there is no law to fit; map a column, for example --map params=YOUR_COLUMN"
    )


def _quantities(rows: Table, present: Sequence[str], core: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the quantities that vary, and why the others are omitted."""
    usable, left_out = [], []
    for name in QUANTITIES:
        reason = "" if name in present else f"the table has no column for {name}. {_HOW[name]}"
        if not reason:
            reason = _unusable(rows, name, needed=name in core)
        if reason:
            left_out.append(f"There is no analysis of {_WORDS[name]}: {reason}")
        else:
            usable.append(name)
    return usable, left_out


def _unusable(rows: Table, name: str, *, needed: bool) -> str:
    """Return why a column of the table cannot be a quantity of the law; empty when it can."""
    try:
        values = resolve(rows, numeric=[name]).frame[name].to_numpy(dtype=np.float64)
    except DataError:
        if needed:
            raise
        return f"cells of {name} cannot be read as numbers."
    bad = int(np.count_nonzero(~(np.isfinite(values) & (values > 0))))
    if bad:
        return f"{name} is missing or not positive in {bad} of {len(values)} rows."
    if len(np.unique(values)) < FEWEST_VALUES:
        return f"{name} has fewer than three different values."
    return ""


def _measures(frame: pd.DataFrame, usable: Sequence[str]) -> dict[str, Array]:
    """Return what a label may encode: the quantities, and the compute and tokens per parameter derived from them."""
    measures = {name: frame[name].to_numpy(dtype=np.float64) for name in usable}
    if {"params", "tokens"} <= set(usable):
        measures["compute (params × tokens)"] = measures["params"] * measures["tokens"]
        measures["tokens per parameter"] = measures["tokens"] / measures["params"]
    if {"width", "depth"} <= set(usable) and "params" not in usable:
        measures["size (depth × width²)"] = measures["depth"] * measures["width"] ** 2
    return measures


def _run_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns whose headers suggest that they identify runs, the most certain first."""
    return sorted((str(name) for name in frame.columns if _key(name) in RUNS), key=lambda name: RUNS.index(_key(name)))


def _cluster(frame: pd.DataFrame) -> tuple[str, str]:
    """Return the column that identifies runs with several rows, if there is one, and a sentence about it."""
    named = _run_columns(frame)
    reason = ""
    for name in named:
        runs = frame[name]
        count, rows = runs.nunique(), len(frame)
        if runs.isna().any() or count == 1:
            continue
        sequence = _sequence(frame, str(name)) if count <= REPEATED * rows else ""
        if sequence and count >= FEWEST_CHECKPOINTED:
            return str(name), (
                f"Rows are checkpoints of {exact(count)} runs ({name}, with rising {sequence}) and share the errors "
                "of their run, so intervals resample whole runs. Checkpoints before the end of a learning-rate "
                "schedule may lie above the loss of a run that ends there."
            )
        if FEWEST_RUNS <= count <= REPEATED * rows:
            return str(name), f"Rows of one {name} share its errors, so intervals resample its {exact(count)} levels."
        if sequence:
            reason = reason or (
                f"Rows are treated as independent, although they are checkpoints of {exact(count)} runs ({name}): so "
                "few runs cannot be resampled, and all intervals are too narrow."
            )
        elif count > REPEATED * rows:
            many = (
                f"every row has a different {name}"
                if count == rows
                else f"{exact(rows)} rows have {exact(count)} different {name}"
            )
            reason = reason or f"Rows are treated as independent runs: {many}."
        else:
            reason = (
                reason or f"Rows are treated as independent: {exact(count)} levels of {name} are too few to resample."
            )
    step = next((str(name) for name in frame.columns if _key(name) in STEPS), "")
    if not reason and step and frame[step].nunique() < len(frame):
        reason = (
            f"Rows are treated as independent, although the column {step} suggests checkpoints of fewer runs: no "
            "column says which rows are one run. Name one with --map run=YOUR_COLUMN."
        )
    return "", reason or "Rows are treated as independent runs: there is no column such as run or run_name."


def _sequence(frame: pd.DataFrame, run: str) -> str:
    """Return the column that orders the rows of each run; empty where rows are not checkpoints."""
    grouped = frame.groupby(run, sort=False)
    if grouped.size().median() < ROWS_PER_RUN:
        return ""
    if "params" in frame and grouped["params"].nunique().max() > 1:
        return ""
    steps = [name for name in frame.columns if _key(name) in STEPS or name == "tokens"]
    return next((str(name) for name in steps if (grouped[name].nunique() == grouped.size()).all()), "")


def _labels(
    frame: pd.DataFrame, taken: set[Any], mapping: Mapping[str, str], measures: Mapping[str, Array], cluster: str
) -> tuple[tuple[_Label, ...], list[str]]:
    """Return the labels that get a floor for each level, at most two, and why others do not."""
    kept: list[_Label] = []
    notes = []
    for column in _text_columns(frame, mapping, cluster):
        levels = resolve(Table(frame, "", "", len(frame)), labels=[column], numeric=()).frame[column]
        if levels.nunique() < 2:
            continue
        label = _Label(column, _identifier(column, taken), levels)
        reason = _no_floors(label, kept, measures)
        if reason:
            notes.append(f"The levels of {column} share a floor: {reason}.")
        else:
            kept.append(label)
            taken = {*taken, label.name}
    return tuple(kept), notes


def _text_columns(frame: pd.DataFrame, mapping: Mapping[str, str], cluster: str) -> Iterator[str]:
    """Yield the columns of words, mapped ones first; numbers are not labels, whatever their unit."""
    sources = set(mapping.values())
    names = [*(name for name in frame.columns if name in mapping), *(name for name in frame if name not in mapping)]
    runs = {*RUNS} - {"model"}  # a model may be a family
    for name in map(str, names):
        if name in (cluster, "loss", *QUANTITIES) or name in sources or _key(name) in runs:
            continue
        if any(guess_header(name, known) is not None for known in ALIASES) or _is_no_label(frame[name]):
            continue
        yield name


def _is_no_label(column: pd.Series[Any]) -> bool:
    """Whether a column has numbers, or true and false, rather than words; a file has all of them as text."""
    if pd.api.types.is_numeric_dtype(column.dtype) or holds_truth(column):
        return True
    try:
        parse_column(column)
    except DataError:
        return False
    return True


def _no_floors(label: _Label, kept: Sequence[_Label], measures: Mapping[str, Array]) -> str:
    """Return why the levels of a label get no separate floors; empty when they do."""
    counts = label.levels.value_counts()
    missing = int(sum(is_missing(cell, number=False) for cell in label.levels))
    if _is_bookkeeping(label, len(counts)):
        return "it records how a run was made, not what was trained"
    for measure, values in measures.items():
        reason = _stands_for(label.levels, values, measure)
        if reason:
            return reason
    if missing:
        return f"it is empty in {missing} rows"
    if len(counts) > MOST_LEVELS:
        return f"{len(counts)} levels are more than {MOST_LEVELS}"
    if counts.min() < ROWS_PER_LEVEL:
        return f"{counts.idxmin()!r} has {counts.min()} rows, of {ROWS_PER_LEVEL} needed"
    for other in kept:
        reason = _nested(label, other)
        if reason:
            return reason
    if len(kept) == 2:
        return "two columns have separate floors already"
    if kept:
        return _together(label, kept[0], measures)
    return ""


def _together(label: _Label, other: _Label, measures: Mapping[str, Array]) -> str:
    """Return why two labels cannot both have floors, one for each combination that occurs."""
    combined = pd.DataFrame({"other": other.levels, "own": label.levels}).groupby(["other", "own"]).ngroup()
    counts = combined.value_counts()
    if counts.min() < ROWS_PER_LEVEL:
        return f"together with {other.column} some levels have fewer than {ROWS_PER_LEVEL} rows"
    if len(counts) > MOST_FLOORS:
        return f"together with {other.column} it has {len(counts)} levels, more than {MOST_FLOORS}"
    measure = next((name for name, values in measures.items() if _stands_for(combined, values, name)), "")
    return f"together with {other.column} it would encode {measure}" if measure else ""


def _is_bookkeeping(label: _Label, levels: int) -> bool:
    words = {word for word in re.split(r"[^a-z0-9]+", label.column.casefold()) if word}
    cells = [str(cell) for cell in label.levels if not is_missing(cell, number=False)]
    return bool(words & BOOKKEEPING) or levels == len(cells) or all(_RECORD.fullmatch(cell) for cell in cells)


def _stands_for(levels: pd.Series[Any], values: Array, measure: str) -> str:
    """Return how a label encodes a quantity: its levels have one value each, or ranges of values; empty otherwise.

    A floor for each of its levels would absorb what the term of the quantity should describe.
    """
    logs = pd.Series(np.log(values), index=levels.index)
    grouped = logs.groupby(levels)
    single = logs.groupby([levels, logs]).ngroups
    total = float(((logs - logs.mean()) ** 2).sum())
    if total == 0.0:
        return ""
    if single == grouped.ngroups:
        same = logs.nunique() == single
        return f"it is {measure} in other words" if same else f"each of its levels has one value of {measure}"
    if float(((logs - grouped.transform("mean")) ** 2).sum()) < OWN_SHARE * total:
        return f"{measure} hardly varies within its levels"
    ends = grouped.agg(["min", "max"]).sort_values("min")
    if (ends["max"].to_numpy()[:-1] < ends["min"].to_numpy()[1:]).all():
        return f"its levels are ranges of {measure}"
    return ""


def _nested(label: _Label, other: _Label) -> str:
    """Return how one of two labels follows from the other, so that both together separate no more rows than one."""
    pairs = pd.DataFrame({"own": label.levels, "other": other.levels}).drop_duplicates()
    own, others = label.levels.nunique(), other.levels.nunique()
    if len(pairs) == own == others:
        return f"it groups the rows as {other.column} does, which has separate floors"
    if len(pairs) in (own, others):
        inner, outer = (label.column, other.column) if len(pairs) == own else (other.column, label.column)
        return f"each level of {inner} lies in one level of {outer}, and {other.column} has separate floors"
    return ""


def _identifier(column: str, taken: set[Any]) -> str:
    """Return the name of a column in a law: its name if that is valid in a law, else an identifier close to it."""
    normal = unicodedata.normalize("NFKC", column)  # as Python reads identifiers
    if column == normal and column.isidentifier() and not iskeyword(column) and column not in _NAMES:
        return column
    base = re.sub(r"\W+", "_", normal.casefold()).strip("_") or "label"
    base = base if base.isidentifier() and not iskeyword(base) else f"label_{base}"
    names = (base, *(f"{base}_{i}" for i in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken and name not in _NAMES)


def _laws(frame: pd.DataFrame, usable: Sequence[str], labels: Sequence[_Label]) -> tuple[dict[str, str], list[str]]:
    """Return the laws that the quantities and the rows allow, the main one first, and what they omit."""
    terms, notes = _terms(frame, usable)
    for kept in dict.fromkeys((tuple(labels), ())):
        floors = pd.DataFrame({label.name: label.levels for label in kept}).drop_duplicates() if kept else [0]
        floor = f"E[{', '.join(label.name for label in kept)}]" if kept else "E"
        laws = {name: f"loss ~ {floor} + {own}" for name, own in terms.items()}
        sizes = {name: len(Law.parse(law).parameters) - 1 + len(floors) for name, law in laws.items()}
        fitting = {name: law for name, law in laws.items() if len(frame) > 2 * sizes[name]}
        if fitting:
            return fitting, notes
        if kept:
            notes.append(
                f"The levels of {join([label.column for label in kept])} share a floor: {exact(len(frame))} rows are "
                f"too few for {exact(min(sizes.values()))} parameters."
            )
    fewest = min(laws, key=lambda name: sizes[name])
    return {fewest: laws[fewest]}, notes


def _terms(frame: pd.DataFrame, usable: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the terms of each law by its short name, and which quantities have none because they follow another."""
    have = set(usable)
    families = {"shape": _SHAPE, "size": _SIZE}
    if "width" not in have and ("params" in have or "tokens" in have):
        del families["shape"]  # depth alone hardly describes a shape
    if "params" not in have and len(families) == 2:
        del families["size"]
    terms, notes = {}, []
    for word, letters in families.items():
        kept: list[str] = []
        for name in (letter for letter in letters if letter in have):
            leader = next((other for other in kept if _follows(frame[name], frame[other])), "")
            if leader:
                notes.append(
                    f"The law of {word} has no term in {name}: in these rows {name} follows {leader}, so that the two "
                    "terms could not be distinguished."
                )
            else:
                kept.append(name)
        if kept:
            terms[word] = " + ".join(letters[name] for name in kept)
    return terms, notes


def _follows(values: pd.Series[Any], leader: pd.Series[Any]) -> bool:
    """Whether one quantity is a power of another, or corresponds to it one to one where values repeat."""
    pairs = pd.DataFrame({"own": values.to_numpy(), "leader": leader.to_numpy()}).drop_duplicates()
    if len(pairs) == values.nunique() == leader.nunique() and 2 * len(pairs) <= len(values):
        return True
    own, other = np.log(values.to_numpy(dtype=np.float64)), np.log(leader.to_numpy(dtype=np.float64))
    return bool(np.corrcoef(own, other)[0, 1] ** 2 > ALIGNED)


def _why(laws: Mapping[str, str], usable: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on why each law is fitted."""
    varying = join(list(usable))
    for place, law in enumerate(laws.values()):
        used = Law.parse(law).variables
        own = join(list(used))
        if place == 0:
            verb = "varies" if len(usable) == 1 else "vary"
            more = "" if set(used) == set(usable) else f"; a law of {own} is fitted first"
            yield f"{law}, because {varying} {verb} in these rows{more}."
        else:
            yield f"{law}, because {own} {'vary' if ' and ' in own else 'varies'} too."


def _why_floors(labels: Sequence[_Label]) -> Iterator[str]:
    for label in labels:
        written = "" if label.name == label.column else f", written {label.name} in the law"
        yield (
            f"A floor for each of the {label.levels.nunique()} levels of {label.column}{written}: each has enough "
            "rows, over sizes that overlap."
        )


def _key(name: object) -> str:
    """Reduce a header to lower-case words joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).casefold()).strip("_")


_SHORT: Final = {"params": "size"}
_WORDS: Final = {
    "params": "parameters and of the best use of compute",
    "tokens": "tokens and of the best use of compute",
    "width": "the width term and of 1/width",
    "depth": "depth",
}
_HOW: Final = {name: f"Map one with --map {name}=YOUR_COLUMN if it has another name." for name in QUANTITIES}
_SHAPE: Final = {"width": "c_m/width^a_m", "depth": "c_l/depth^a_l", "tokens": "c_D/tokens^a_D"}
_SIZE: Final = {"params": "A/params^alpha", "tokens": "B/tokens^beta"}
# Names of the parameters of these laws, which a column of a law must not have.
_NAMES: Final = frozenset({"E", "A", "B", "alpha", "beta", "c_m", "c_l", "c_D", "a_m", "a_l", "a_D"})
