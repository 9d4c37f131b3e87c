"""Errors that a user can act on.

Every message states the offending value, what is needed and what to do next. The command line prints the
message and exits with ``exit_code``; no output has been partly written.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any
from unicodedata import normalize

__all__ = [
    "DataError",
    "FitFailed",
    "Interrupted",
    "LawError",
    "MissingExtra",
    "ScalefitError",
    "StudyError",
    "closest",
    "how_to_install",
    "list_choices",
    "nearest",
]


LISTED, COMPARED, LONGEST = 60, 1000, 80  # choices listed in a message, choices compared, characters of a choice


class ScalefitError(Exception):
    """Base of every error that scalefit raises on purpose."""

    exit_code = 2


class LawError(ScalefitError):
    """A law that does not parse, or that contradicts itself about a name."""


class DataError(ScalefitError):
    """A table, a column or a value that cannot be used as it is."""


class StudyError(ScalefitError):
    """A study or option file with an unknown key or an impossible value."""


class MissingExtra(ScalefitError):
    """A feature whose optional dependencies are not installed.

    Parameters
    ----------
    feature : str
        The requested feature, in the user's words.
    extra : str
        The extra of the distribution that installs it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs packages that are not installed. Install them {how_to_install(extra)}")


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra; scalefit comes from a clone and not from a package index."""
    return f'in the folder of your clone of scalefit with: pip install ".[{extra}]"'


class Interrupted(ScalefitError):
    """Ctrl-C, after partial output was removed."""

    exit_code = 130


class FitFailed(ScalefitError):
    """A fit that did not converge; the unfinished result is in ``fit``.

    Parameters
    ----------
    message : str
        What went wrong.
    fit : Fit
        The unfinished result, with its status.
    """

    exit_code = 1

    def __init__(self, message: str, fit: Any) -> None:
        super().__init__(message)
        self.fit = fit


def closest(word: str, choices: Iterable[str]) -> str:
    """Suggest the choice that was probably meant, and list the choices.

    Parameters
    ----------
    word : str
        The unknown word.
    choices : iterable of str
        The valid words.

    Returns
    -------
    str
        ``"did you mean 'x'? Choices: ..."`` or ``"choices: ..."``, to end an error message behind a semicolon. Of many
        choices some are listed, and long ones are cut.
    """
    known = sorted(choices)
    hint = nearest(word, known)
    return f"{hint}{'Choices' if hint else 'choices'}: {list_choices(known)}"


def nearest(word: str, choices: Iterable[str]) -> str:
    """Ask whether a choice was meant.

    Parameters
    ----------
    word : str
        The unknown word.
    choices : iterable of str
        The valid words.

    Returns
    -------
    str
        Such as ``"did you mean 'x'? "``, to be followed by more; empty where no choice is near.
    """
    known = sorted(choices)
    compared = known if len(known) <= COMPARED else [name for name in known if name[:2].lower() == word[:2].lower()]
    near = difflib.get_close_matches(word[:LONGEST], compared[:COMPARED], n=1, cutoff=0.5)
    hint = f"did you mean {_cut(near[0])!r}? " if near else ""
    alike = [name for name in known if name != word and normalize("NFKC", name) == normalize("NFKC", word)]
    if alike:  # as accents in one character or two, or letters of full width
        hint = f"{_cut(alike[0])!r} looks the same, but is written in other Unicode characters; copy it or rename it. "
    return hint


def list_choices(choices: Iterable[str]) -> str:
    """List choices in the order of the alphabet: of many the first, and of long ones the beginning.

    Parameters
    ----------
    choices : iterable of str
        The valid words.

    Returns
    -------
    str
        Such as ``"a, b and 3 more."``; ``"none."`` without any.
    """
    known = sorted(choices)
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return f"{', '.join(map(_cut, known[:LISTED])) if known else 'none'}{more}."


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
