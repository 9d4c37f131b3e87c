"""Records out of any JSON: lists of objects, tables by column or by row, logs inside an object, objects in objects.

An object inside a record becomes columns whose names are joined by dots, as ``cfg.optimizer.lr``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from scalefit.errors import DataError
from scalefit.expression import DEEPEST
from scalefit.numbers import exact

__all__ = ["NEED", "Written", "flat_record", "kind_of", "records_of"]

Record = dict[str, Any]

TRAINER_LOG: Final = "log_history"  # of a trainer_state.json
TRAINING_LOSS: Final = "train_loss"
NAME: Final = "name"
NEED: Final = 'Need one object per line, or a list of objects, such as {"params": 1.3e9, "loss": 2.61}.'


class Written(str):
    """A number of a JSON file, as it is written there."""

    __slots__ = ()


def kind_of(value: Any) -> str:
    """Name the kind of a JSON value."""
    names = {list: "a list", dict: "an object", Written: "a number", str: "a text", bool: "true or false"}
    return names.get(type(value), "null")


def flat_record(record: Mapping[str, Any], where: str) -> Record:
    """Return a record without objects inside: their values stand under names joined by dots.

    Parameters
    ----------
    record : mapping
        Values by name; lists stay lists.
    where : str
        What to call it in messages.

    Returns
    -------
    dict
        No value is an object. An empty object is left out.

    Raises
    ------
    DataError
        When two values come to have one name.

    Examples
    --------
    >>> flat_record({"loss": 2.5, "cfg": {"lr": 0.1, "opt": {"name": "adam"}}}, "line 1")
    {'loss': 2.5, 'cfg.lr': 0.1, 'cfg.opt.name': 'adam'}
    """
    if not any(isinstance(value, dict) for value in record.values()):
        return dict(record)
    flat: Record = {}
    for name, value in _inside(record):
        if name in flat:
            raise DataError(f"{where} has two values called {name!r}, one of them inside an object. Rename one.")
        flat[name] = value
    return flat


def _inside(record: Mapping[str, Any], lead: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > DEEPEST:  # a limit of our own: that of the interpreter depends on which libraries are loaded
        raise RecursionError
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _inside(value, f"{lead}{key}.", depth + 1)
        else:
            yield f"{lead}{key}", value


def records_of(whole: Any, label: str) -> tuple[list[Record], list[str]]:
    """Find the records of a JSON value.

    Parameters
    ----------
    whole : object
        A list of objects, or one object: a list of records or a log in it, columns, rows by name, or one record.
    label : str
        What to call the file in messages.

    Returns
    -------
    list of dict
        The records, not yet flat.
    list of str
        Remarks on what was taken for what.

    Raises
    ------
    DataError
        When there is more than one list of records, or none.
    """
    if isinstance(whole, list):
        return _listed(whole, f"{label}: entry"), []
    if not isinstance(whole, dict):
        raise DataError(f"{label} holds {kind_of(whole)}, not records. {NEED}")
    if isinstance(whole.get(TRAINER_LOG), list):
        return _trainer(whole, label)
    lists = [key for key, value in whole.items() if _is_records(value)]
    if len(lists) > 1:
        names = ", ".join(map(repr, lists))
        raise DataError(
            f"{label} holds {exact(len(lists))} lists of records ({names}). Save the one that is meant alone."
        )
    if lists:
        around = flat_record(
            {key: value for key, value in whole.items() if key != lists[0] and not isinstance(value, list)}, label
        )
        records = _listed(whole[lists[0]], f"{label}, {lists[0]!r}: entry")
        known = {key for record in records for key in flat_record(record, label)}
        constant = {key: value for key, value in around.items() if key not in known}
        return [{**constant, **record} for record in records], [f"The records of {label} are its list {lists[0]!r}."]
    values = list(whole.values())
    if values and all(isinstance(value, list) for value in values):
        return _columns(whole, label)
    if all(isinstance(value, dict) and value for value in values) and len(values) > 1:
        return _by_name(whole, label)
    return [whole], []


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _listed(given: Sequence[Any], where: str) -> list[Record]:
    for place, item in enumerate(given, start=1):
        if not isinstance(item, dict):
            raise DataError(f"{where} {place} of the list is {kind_of(item)}, not an object. {NEED}")
    return list(given)


def _columns(whole: Mapping[str, list[Any]], label: str) -> tuple[list[Record], list[str]]:
    sizes = {key: len(value) for key, value in whole.items()}
    if len(set(sizes.values())) > 1:
        (usual, _), *_ = Counter(sizes.values()).most_common()
        odd = next(key for key, size in sizes.items() if size != usual)
        raise DataError(
            f"{label} holds columns of different lengths: {odd!r} has {exact(sizes[odd])} values, others "
            f"{exact(usual)}. Need one value of each column for every row."
        )
    names = list(whole)
    return [dict(zip(names, row, strict=True)) for row in zip(*whole.values(), strict=True)], [
        f"{label} is read as columns: its values are lists of {exact(sizes[names[0]])}."
    ]


def _by_name(whole: Mapping[str, Record], label: str) -> tuple[list[Record], list[str]]:
    """Read objects of objects: columns by row number, as pandas writes them, or rows by their name."""
    inner = list(whole.values())
    rows = list(inner[0])
    if all(key.isdigit() for key in rows) and all(list(value) == rows for value in inner):
        return [{name: column[row] for name, column in whole.items()} for row in rows], []
    records = []
    for name, record in whole.items():
        if NAME in record:
            return list(inner), [
                f"The rows of {label} are read without their keys, since they have a {NAME!r} already."
            ]
        records.append({NAME: name, **record})
    return records, [f"The keys of {label} are read as the column {NAME!r}."]


def _trainer(whole: Mapping[str, Any], label: str) -> tuple[list[Record], list[str]]:
    """Read the log of a Hugging Face trainer: one row a step, what several entries say of it joined."""
    entries = _listed(whole[TRAINER_LOG], f"{label}, {TRAINER_LOG!r}: entry")
    steps: dict[str, Record] = {}
    evaluated = any("eval_loss" in entry for entry in entries)
    for place, entry in enumerate(entries, start=1):
        if "train_runtime" in entry:
            continue  # the summary at the end, which averages over all steps
        if "step" not in entry:
            raise DataError(f"{label}: entry {place} of {TRAINER_LOG!r} has no step. Write the file again.")
        for key, value in entry.items():
            name = TRAINING_LOSS if evaluated and key == "loss" else key
            steps.setdefault(str(entry["step"]), {})[name] = value
    if not steps:
        raise DataError(f"{label}: {TRAINER_LOG!r} has no entry with a step, so that there is nothing to fit.")
    remark = f"{label} is read as the log of a Hugging Face trainer, one row for each of {exact(len(steps))} steps"
    remark += (
        f"; its training loss is called {TRAINING_LOSS!r}, since there is an eval_loss."
        if evaluated
        else "; its loss is that of training, for it has no eval_loss."
    )
    return list(steps.values()), [remark]
