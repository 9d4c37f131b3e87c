"""Texts on which models are measured."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scalefit.errors import DataError
from scalefit.models.folder import DIGITS
from scalefit.numbers import exact

__all__ = ["Text", "read_texts"]


@dataclass(frozen=True)
class Text:
    """A text to be scored.

    Parameters
    ----------
    name : str
        Its label in the table.
    path : Path
        Its file, in UTF-8.
    """

    name: str
    path: Path

    @cached_property
    def content(self) -> str:
        """The text without a byte order mark, with its line ends unchanged."""
        try:
            text = self.path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise DataError(f"{str(self.path)!r} cannot be read: {error.strerror}; give a file of text") from None
        except UnicodeDecodeError as error:
            raise DataError(
                f"{str(self.path)!r} is not UTF-8 (byte {exact(error.start + 1)}); convert it, as with: iconv -t UTF-8"
            ) from None
        if not text:
            raise DataError(f"{str(self.path)!r} is empty; give a file of text")
        return text

    @cached_property
    def digest(self) -> str:
        """Digest of the characters, independent of the file name."""
        return f"sha256:{hashlib.sha256(self.content.encode()).hexdigest()[:DIGITS]}"


def read_texts(paths: Sequence[str | os.PathLike[str]]) -> list[Text]:
    """Read texts, each with the name of its file as its label.

    Parameters
    ----------
    paths : sequence of path
        Files in UTF-8.

    Returns
    -------
    list of Text
        In the order given.

    Raises
    ------
    DataError
        For a file that cannot be read, is empty or not UTF-8, and for two files of the same name.
    """
    texts = [Text(Path(path).stem, Path(path)) for path in paths]
    for place, text in enumerate(texts):
        if text.name in [other.name for other in texts[:place]]:
            raise DataError(f"two texts are called {text.name!r}, which is their label in the table; rename one")
        _ = text.content
    return texts
