"""Read tables of TOML into the types of a study: every key is checked by its annotation.

An error names the file, the table and the nearest key. pydantic and msgspec were tried for this. pydantic accepts lists
for tuples only in a mode in which it also accepts ``"yes"`` for true and ``"1"`` for a number; its error types would
have to be translated into the sentences below one by one, with another look-up of the known keys; and its import takes
longer (80 ms) than reading the longest study (45 ms). msgspec allows one tag per type, and reports the wrong key and
its place only in a sentence that would have to be parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from scalefit.errors import StudyError, closest
from scalefit.report.spec import Family, family_of

__all__ = ["TOP", "TypedReader"]

TOP: Final = "top level"


@dataclass(frozen=True)
class TypedReader:
    """Turn tables into frozen values.

    Parameters
    ----------
    file : str
        The name of the file, for messages.
    """

    file: str

    def check_table(self, table: Any, where: str) -> None:
        """Reject anything but a table."""
        if not isinstance(table, dict):
            raise StudyError(f"{self.file}, {where}: expected a table of keys, got {table!r}")

    def check_keys(self, table: Any, known: Iterable[str], where: str, of: str = "") -> None:
        """Reject an unknown key; ``of`` describes what the keys belong to."""
        self.check_table(table, where)
        for key in table:
            if key not in known:
                raise StudyError(f"{self.file}, {where}: unknown key {key!r}{of}; {closest(key, known)}")

    def build(self, kind: Any, table: Any, where: str) -> Any:
        """Make a value of a type from a table.

        Parameters
        ----------
        kind : type
            A dataclass.
        table : mapping
            Its keys; values that are already of the right type stay as they are.
        where : str
            The place of the table, for messages.

        Returns
        -------
        object
            Of that type.

        Raises
        ------
        StudyError
            For an unknown or a missing key, or a value of another type.
        """
        self.check_keys(table, _hints(kind), where)
        missing = [field.name for field in _required(kind) if field.name not in table]
        if missing:
            raise StudyError(f"{self.file}, {where}: {missing[0]!r} is missing")
        return self._make(kind, table, where)

    def _member(self, family: Family, table: Any, where: str) -> Any:
        """Make a value of the type that the tag of a table chooses."""
        self.check_table(table, where)
        tag = self._value(str, table.get(family.tag, family.usual), f"{where}, {family.tag}")
        if not tag:
            raise StudyError(f"{self.file}, {where}: {family.tag!r} is missing; {closest(tag, family.members)}")
        if tag not in family.members:
            unknown = f"there is no {family.unknown} {tag!r}"
            raise StudyError(f"{self.file}, {where}: {unknown}; {closest(tag, family.members)}")
        kind: Any = family.members[tag]
        about = family.about.format(tag=tag, title=table.get("title", ""))
        self.check_keys(table, _hints(kind), where, f" in {about}")
        lacking = [field.name for field in _required(kind) if table.get(field.name) in (None, "", [])]
        if lacking:
            words = " and ".join(family.words.get(key, key) for key in lacking)
            raise StudyError(f"{self.file}, {where}: {about} needs {words}")
        return self._make(kind, table, where)

    def _make(self, kind: Any, table: Mapping[str, Any], where: str) -> Any:
        place, hints = "" if where == TOP else f"{where}, ", _hints(kind)
        return kind(**{key: self._value(hints[key], value, f"{place}{key}") for key, value in table.items()})

    def _value(self, hint: Any, value: Any, where: str) -> Any:
        kinds = tuple(arg for arg in get_args(hint) or (hint,) if arg is not NoneType)
        kind = kinds[0]
        if get_origin(hint) is tuple:
            return self._items(get_args(hint), value, where)
        if get_origin(hint) is Literal:
            if value not in kinds:
                raise StudyError(f"{self.file}, {where} is {value!r}; {closest(str(value), kinds)}")
            return value
        if isinstance(value, kinds) and (kind is bool or not isinstance(value, bool)):
            return value
        if is_dataclass(kind):
            family = family_of(kind)
            return self._member(family, value, where) if family else self.build(kind, value, where)
        if kind is float and type(value) is int:
            return float(value)
        raise StudyError(f"{self.file}, {where}: expected {kind.__name__}, got {value!r}")

    def _items(self, hints: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
        """Make a tuple from a list: of any length, or with as many values as the annotation has."""
        if not isinstance(value, list | tuple):
            raise StudyError(f"{self.file}, {where}: expected a list, got {value!r}")
        each = [hints[0]] * len(value) if hints[-1] is Ellipsis else list(hints)
        if len(each) != len(value):
            raise StudyError(f"{self.file}, {where}: expected {len(each)} values, got {value!r}")
        return tuple(
            self._value(*part, f"{where} {i}") for i, part in enumerate(zip(each, value, strict=True), start=1)
        )


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _required(kind: type[Any]) -> list[Field[Any]]:
    return [field for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]
