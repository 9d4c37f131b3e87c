"""Errors that a user can act on.

Every message says what was given, what is needed and what to do next. The command line prints the
message and leaves with ``exit_code``; nothing is half-written by then.
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
]


LONGEST = 200  # characters of a word that are compared


class ScalefitError(Exception):
    """Base of every error that scalefit raises on purpose."""

    exit_code = 2


class LawError(ScalefitError):
    """A law that does not parse, or that says two things about one name."""


class DataError(ScalefitError):
    """A table, a column or a value that cannot be used as it is."""


class StudyError(ScalefitError):
    """A study or option file with an unknown key or an impossible value."""


class MissingExtra(ScalefitError):
    """A feature whose optional dependencies are not installed.

    Parameters
    ----------
    feature : str
        What was asked for, in the user's words.
    extra : str
        The extra of the distribution that brings it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs packages that are not installed. "
            f'Install them with: pip install "scalefit-reanalysis[{extra}]"'
        )


class Interrupted(ScalefitError):
    """Ctrl-C, after everything half-done was put away."""

    exit_code = 130


class FitFailed(ScalefitError):
    """A fit that did not converge; the unfinished result travels in ``fit``.

    Parameters
    ----------
    message : str
        What went wrong, in words.
    fit : Fit
        The result as far as it got, with its status.
    """

    exit_code = 1

    def __init__(self, message: str, fit: Any) -> None:
        super().__init__(message)
        self.fit = fit


def closest(word: str, choices: Iterable[str]) -> str:
    """Say which choice was probably meant, and list them all.

    Parameters
    ----------
    word : str
        The unknown word.
    choices : iterable of str
        The valid words.

    Returns
    -------
    str
        ``"did you mean 'x'? Choices: ..."``, ready to end an error message.
    """
    known = sorted(choices)
    near = difflib.get_close_matches(word[:LONGEST], [one[:LONGEST] for one in known], n=1, cutoff=0.5)
    alike = [one for one in known if one != word and normalize("NFKC", one) == normalize("NFKC", word)]
    hint = f"did you mean {near[0]!r}? " if near else ""
    if alike:  # as accents in one character or two, or letters of full width
        hint = f"{alike[0]!r} looks the same, but is written in other Unicode characters; copy it or rename it. "
    return f"{hint}Choices: {', '.join(known) if known else 'none'}."
