"""Every key of a study, from the dataclasses that are filled with them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from docs.generate.api import to_markdown
from scalefit.options import Options
from scalefit.report import study
from scalefit.report.reader import INTERNAL
from scalefit.report.runners import ENGINES
from scalefit.report.spec import family_of
from scalefit.report.steps import STEPS

WORDS = {
    "str": "text",
    "bool": "true or false",
    "float": "a number",
    "float or None": "a number",
    "date or None": "a date",
    "tuple of str": "a list of text",
    "tuple of float": "a list of numbers",
    "tuple of pairs of str": "a list of pairs",
}


def parameters(thing: Any) -> dict[str, tuple[str, str]]:
    """Type and meaning of each parameter in a numpydoc docstring."""
    text = inspect.getdoc(thing) or ""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    entries = {}
    for entry in re.finditer(
        r"^(\w[\w, ]*) : ([^\n]+)\n((?:(?: {4}[^\n]*)?\n?)*)", section[1] if section else "", re.M
    ):
        meaning = " ".join(entry[3].split())
        entries |= {name.strip(): (entry[2], meaning) for name in entry[1].split(",")}
    return entries


def tables(kind: Any = study.Study, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a study's tables as they are written in TOML, with the dataclass of each."""
    yield path, kind
    hints = get_type_hints(kind)
    for one in fields(kind):
        for inner in _dataclasses(hints[one.name]):
            place = f"{path}.{one.name}" if path else one.name
            if path in {"", "answer", "front", "section"}:  # deeper ones are written inline
                yield from tables(inner, place)


def _dataclasses(hint: Any) -> Iterator[Any]:
    if isinstance(hint, type) and is_dataclass(hint) and not issubclass(hint, Options):
        yield hint
    for inner in get_args(hint):
        yield from _dataclasses(inner)


def keys() -> str:
    """Write a heading and a table of keys for each kind of table."""
    blocks = [to_markdown(_rest(study.__doc__ or ""))]
    seen: dict[Any, list[str]] = {}
    for path, kind in tables():
        seen.setdefault(kind, []).append(path)
    for kind, paths in seen.items():
        blocks += [f"### {_title(kind, paths)}", _about(kind), _table(kind)]
    return "\n\n".join(blocks)


def _rest(docstring: str) -> str:
    return docstring.strip().partition("\n\n")[2]


def _title(kind: Any, paths: list[str]) -> str:
    """Write the place of a table in a study, and the values of its tag that choose it."""
    if paths == [""]:
        return "At the top"
    shown = [f"`[[{path}]]`" if path != "front" and not path.startswith("front.") else f"`[{path}]`" for path in paths]
    place, family = ", ".join(dict.fromkeys(shown)), family_of(kind)
    if family is None:
        return place
    shown = [f'`{family.tag} = "{tag}"`' for tag in _tags(kind)]
    return f"{place} with {' or '.join(shown)}{f', or without {family.tag}' if family.usual in _tags(kind) else ''}"


def _tags(kind: Any) -> list[str]:
    family = family_of(kind)
    return [tag for tag, member in family.members.items() if member is kind] if family else []


def _about(kind: Any) -> str:
    return to_markdown((inspect.getdoc(kind) or "").partition("\n\n")[0])


def _table(kind: Any) -> str:
    described = {name: entry for base in reversed(kind.__mro__) for name, entry in parameters(base).items()}
    family = family_of(kind)
    rows = [
        f"| `{one.name}` | {_takes(kind, one, described)} | {_default(one)} | {_cell(described[one.name][1])} |"
        for one in fields(kind)
        if one.name not in INTERNAL and not _holds_options(kind, one) and (family is None or one.name != family.tag)
    ]
    if family is not None:
        default = f"`{family.usual}`" if family.usual in _tags(kind) else "needed"
        values = " or ".join(f'`"{tag}"`' for tag in _tags(kind))
        rows.insert(0, f"| `{family.tag}` | {values} | {default} | Chooses this table and its keys. |")
    return "\n".join(["| key | takes | default | meaning |", "| --- | --- | --- | --- |", *rows, *_further(kind)])


def _holds_options(kind: Any, one: Field[Any]) -> bool:
    hint = get_type_hints(kind)[one.name]
    return any(isinstance(inner, type) and issubclass(inner, Options) for inner in (hint, *get_args(hint)))


def _further(kind: Any) -> list[str]:
    """Return a row for each verb whose options are keys of the table."""
    if kind is study.FitSpec:
        names = [f'`"{name}"`' for name in ENGINES]
        rows = [f"| `engine` | {' or '.join(names)} | `{next(iter(ENGINES))}` | How it is fitted. |"]
        engines = {f'further keys with `engine = "{name}"`': engine for name, engine in ENGINES.items()}
    else:
        rows, engines = [], {"further keys": STEPS[kind.kind]} if kind in get_args(study.Step) else {}
    for what, engine in engines.items():
        known = ", ".join(f"`{name}`" for name in engine.known)
        rows.append(f"| {what} |  |  | The options of `scalefit {engine.verb}`: {known}. |")
    return rows


def _takes(kind: Any, one: Field[Any], described: dict[str, tuple[str, str]]) -> str:
    """Say a type in the words of TOML."""
    if list(_dataclasses(get_type_hints(kind)[one.name])):
        return "tables" if described[one.name][0].startswith("tuple") else "a table"
    return WORDS.get(described[one.name][0], _cell(described[one.name][0]))


def _cell(text: str) -> str:
    return to_markdown(text).replace("|", r"\|")


def _default(one: Field[Any]) -> str:
    if one.default is MISSING and one.default_factory is MISSING:
        return "needed"
    value = one.default
    if value is MISSING or value is None or value in ("", ()) or is_dataclass(value):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
