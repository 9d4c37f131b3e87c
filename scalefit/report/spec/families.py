"""What a reader of the types needs: which type a key chooses, and which fits and steps a part names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from scalefit.report.spec.figures import Figure
from scalefit.report.spec.page_one import Answer
from scalefit.report.spec.parts import Section
from scalefit.report.spec.references import Refers

__all__ = [
    "FAMILIES",
    "Family",
    "Mention",
    "describe",
    "family_of",
    "mentions",
]


@dataclass(frozen=True)
class Family:
    """Types that are distinguished by one key.

    Parameters
    ----------
    union : type
        All of them.
    tag : str
        The key, which is a field with a Literal.
    unknown : str
        What a message calls an unknown value of the key.
    about : str
        How a message describes a member, with places for its ``tag`` and ``title``.
    usual : str
        The default value; empty when it is required.
    words : mapping
        Descriptions of keys for messages on missing keys.
    """

    union: Any
    tag: str
    unknown: str
    about: str
    usual: str = ""
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def members(self) -> dict[str, type[Any]]:
        """The types by the values of the key."""
        return _members(self.union, self.tag)


@cache
def _members(union: Any, tag: str) -> dict[str, type[Any]]:
    return {value: kind for kind in get_args(union) for value in get_args(get_type_hints(kind)[tag])}


_WORDS: Final = {
    "parameter": 'a parameter, such as parameter = "alpha"',
    "reference": "a reference, such as 1",
    "fits": 'fits, such as fits = ["families", "toy"]',
    "steps": 'steps, such as steps = ["toy"]',
}
FAMILIES: Final = (
    Family(Section, "kind", "kind of section", "section {title!r} of kind {tag!r}", usual="law"),
    Family(Figure, "kind", "figure", "a figure of kind {tag!r}", words=_WORDS),
    Family(Answer, "rule", "rule for an answer", "an answer by rule {tag!r}", words=_WORDS),
)


def family_of(kind: Any) -> Family | None:
    """Return the family that a type belongs to; None when it has no family."""
    return next((family for family in FAMILIES if kind in get_args(family.union)), None)


def describe(part: Section | Figure | Answer) -> str:
    """Describe a part for a message: ``section 'Gemstones' of kind 'posterior'``."""
    family = family_of(type(part))
    assert family is not None
    return family.about.format(tag=getattr(part, family.tag), title=getattr(part, "title", ""))


class Mention(NamedTuple):
    """A fit or a step that a part of a study names.

    Parameters
    ----------
    key : str
        The field that names it.
    name : str
        Its name; empty where the part uses a default.
    refers : Refers
        What the name refers to.
    """

    key: str
    name: str
    refers: Refers


def mentions(part: Any) -> Iterator[Mention]:
    """Yield every name of a fit or a step in a part of a study, without the parts inside it."""
    kind: Any = type(part)
    for key, refers in _marks(kind):
        value = getattr(part, key)
        yield from (Mention(key, name, refers) for name in ((value,) if isinstance(value, str) else value))


@cache
def _marks(kind: Any) -> tuple[tuple[str, Refers], ...]:
    """Return the fields that name fits and steps; the mark is on the field's type, or on that of a list's items."""
    hints = get_type_hints(kind, include_extras=True)
    annotated = ((key, arg) for key, hint in hints.items() for arg in (hint, *get_args(hint)))
    return tuple((key, mark) for key, part in annotated for mark in getattr(part, "__metadata__", ()))
