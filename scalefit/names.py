"""Printed names of parameters: a coefficient and its level, such that different parameters look different.

The identity of a parameter is the pair (coefficient, tuple of label texts). Its printed name, ``E[OPT,wikitext]``, is
made only here. A label that would make the name ambiguous or unprintable is quoted as a JSON string:
``E["a,b",c]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from scalefit.escape import shown_characters

__all__ = [
    "LEVEL",
    "Key",
    "Level",
    "distinct",
    "parse_name",
    "printed_label",
    "printed_level",
    "printed_name",
    "read_name",
    "split_names",
    "spread_name",
]

Level = tuple[str, ...]
Key = tuple[str, Level]

_MARKS = frozenset(',[]"\\')
LEVEL = r'\[(?:"(?:[^"\\]|\\.)*"|[^"\]])*\]'  # of a printed name in prose, as a regular expression
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|.', re.DOTALL)
_LABEL = re.compile(r'"(?:[^"\\]|\\.)*"|[^,\[\]"]+')


def printed_label(label: str) -> str:
    r"""Print one label, in quotes where it would otherwise be ambiguous or invisible.

    Parameters
    ----------
    label : str
        The label as written in the table.

    Returns
    -------
    str
        The label, or a JSON string where it is empty, starts or ends with a space, or contains a comma, a bracket,
        a quote, a backslash or a character that cannot be printed.

    Examples
    --------
    >>> printed_label("OPT"), printed_label("a,b"), printed_label("\x1b[31m")
    ('OPT', '"a,b"', '"\\u001b[31m"')
    """
    if label and all(_can_be_seen(label)) and label == label.strip() and not _MARKS & set(label):
        return label
    quoted = json.dumps(label, ensure_ascii=False)
    # JSON does not escape some invisible characters (a soft hyphen, marks of direction), so they are escaped here
    seen = _can_be_seen(quoted)
    return "".join(
        character if plain else json.dumps(character)[1:-1] for character, plain in zip(quoted, seen, strict=True)
    )


def _can_be_seen(text: str) -> list[bool]:
    """Return for each character whether it is visible: a joiner between letters is, a blank of unusual width is not."""
    shown = shown_characters(text)
    return [
        character == seen and (character == " " or not character.isspace())
        for character, seen in zip(text, shown, strict=True)
    ]


def printed_level(level: Level, comma: str = ",") -> str:
    """Print the labels of a level, without a name before them.

    Parameters
    ----------
    level : tuple of str
        The labels.
    comma : str
        The separator; ``", "`` in prose.

    Returns
    -------
    str
        Different for different levels; empty for none.

    Examples
    --------
    >>> printed_level(("a,b", "c")), printed_level(("OPT", "c4"), ", ")
    ('"a,b",c', 'OPT, c4')
    """
    return comma.join(map(printed_label, level))


def printed_name(coefficient: str, level: Level = ()) -> str:
    """Print a parameter's name with its level.

    Parameters
    ----------
    coefficient : str
        The name in the law.
    level : tuple of str
        The labels of its grouping columns; empty for a parameter with one value.

    Returns
    -------
    str
        Different for different parameters.

    Examples
    --------
    >>> printed_name("E", ("a,b", "c")), printed_name("E", ("a", "b,c")), printed_name("alpha")
    ('E["a,b",c]', 'E[a,"b,c"]', 'alpha')
    """
    return f"{coefficient}[{printed_level(level)}]" if level else coefficient


def parse_name(text: str) -> tuple[str, Level]:
    """Read a printed name, as a user types it; the inverse of :func:`printed_name`.

    Parameters
    ----------
    text : str
        Such as ``E[OPT, wikitext]``; spaces around labels do not count.

    Returns
    -------
    str
        The coefficient.
    tuple of str
        The labels.

    Raises
    ------
    ValueError
        When the text is not a name, saying why.

    Examples
    --------
    >>> parse_name('E["a,b", c]')
    ('E', ('a,b', 'c'))
    """
    coefficient, bracket, rest = text.strip().partition("[")
    if not bracket:
        return coefficient, ()
    if not rest.endswith("]"):
        raise ValueError(f"{text!r} has a bracket that is not closed; write a name such as E[OPT,wikitext]")
    labels, place, inside = [], 0, rest[:-1]
    while True:
        start = place + len(inside[place:]) - len(inside[place:].lstrip())
        match = _LABEL.match(inside, start)
        if match is None:
            raise ValueError(f'{text!r} has an empty or unquoted label; write a label with marks as "a,b"')
        word = match[0].strip()
        labels.append(json.loads(word) if word.startswith('"') else word)
        tail = inside[match.end() :].lstrip()
        if not tail:
            return coefficient.strip(), tuple(labels)
        if not tail.startswith(","):
            raise ValueError(f"{text!r} needs a comma between its labels")
        place = len(inside) - len(tail) + 1


def read_name(name: str | Key) -> Key:
    """Return the identity of a parameter that a user names by its printed name or as a pair.

    Parameters
    ----------
    name : str or (str, tuple of str)
        ``"E[OPT, c4]"`` or ``("E", ("OPT", "c4"))``.

    Returns
    -------
    (str, tuple of str)
        Coefficient and labels.

    Raises
    ------
    ValueError
        When a text is not a name, saying why.

    Examples
    --------
    >>> read_name("E[OPT, c4]") == read_name(("E", ("OPT", "c4")))
    True
    """
    return parse_name(name) if isinstance(name, str) else (name[0], tuple(name[1]))


def split_names(text: str) -> tuple[str, ...]:
    """Split several printed names at the commas outside brackets and quotes.

    Parameters
    ----------
    text : str
        As typed after ``--param``.

    Returns
    -------
    tuple of str
        The names, without the spaces around them.

    Examples
    --------
    >>> split_names('a_m, E["x]",c4],alpha')
    ('a_m', 'E["x]",c4]', 'alpha')
    """
    parts, inside = [""], False
    for piece in _PIECE.findall(text):
        inside = piece == "[" or (inside and piece != "]")
        if piece == "," and not inside:
            parts.append("")
        else:
            parts[-1] += piece
    return tuple(part.strip() for part in parts if part.strip())


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> tuple[str, ...]:
    """Make names distinct for another program, in which two names of scalefit may be the same.

    Parameters
    ----------
    names : iterable of str
        Wanted.
    taken : iterable of str
        In use there.

    Returns
    -------
    tuple of str
        The names, with underscores appended to repeated ones.

    Examples
    --------
    >>> distinct(["A", "A", "z"], taken=["z"])
    ('A', 'A_', 'z_')
    """
    used, unique = set(taken), []
    for name in names:
        while name in used:
            name += "_"
        used.add(name)
        unique.append(name)
    return tuple(unique)


def spread_name(coefficient: str) -> str:
    """Name the standard deviation among the levels of a partly pooled parameter.

    Parameters
    ----------
    coefficient : str
        The pooled name.

    Returns
    -------
    str
        A text that cannot be a name in a law, because it has parentheses.

    Examples
    --------
    >>> spread_name("alpha")
    'sd(alpha)'
    """
    return f"sd({coefficient})"
