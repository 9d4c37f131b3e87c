"""Tokenise texts with the package tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.errors import DataError, MissingExtra
from scalefit.files import brief, parse_json

__all__ = ["WHOLE", "Encoded", "beginning", "encode", "read_tokenizer", "untruncated"]

WHOLE: Final = "tokenizer.json"  # the file of a tokenizer with all its rules


class Encoded(NamedTuple):
    """A text as tokens.

    Parameters
    ----------
    ids : array of int, shape (n,)
        The tokens, without any that mark a beginning or an end.
    spans : array of int, shape (n, 2)
        First character of each token in the text, and one past its last.
    unknown : int
        Number of unknown tokens.
    """

    ids: NDArray[np.int64]
    spans: NDArray[np.int64]
    unknown: int


def read_tokenizer(path: Path) -> Any:
    """Read a tokenizer.json.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    tokenizers.Tokenizer
        Without truncation and padding.

    Raises
    ------
    DataError
        When there is none, or it cannot be read.
    MissingExtra
        Without the package tokenizers.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingExtra("reading a tokenizer", "models") from None
    try:
        content = path.read_bytes()
    except OSError as error:
        why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise DataError(f"{str(path)!r} {why}; give the folder of a checkpoint with one") from None
    try:
        parse_json(content)  # its error says where the file is damaged
        return untruncated(Tokenizer.from_str(content.decode()))
    except Exception as error:  # tokenizers raises nothing more specific
        raise DataError(f"{str(path)!r} is not a tokenizer ({brief(error)}); fetch it again") from None


def untruncated(tokenizer: Any) -> Any:
    """Return a tokenizer without the truncation and padding that some are stored with."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def encode(tokenizer: Any, text: str, most: int | None = None) -> Encoded:
    """Turn a text into tokens.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        As from :func:`read_tokenizer`.
    text : str
        The text; text that looks like a special token is encoded as one.
    most : int, optional
        Keep this many tokens from the beginning.

    Returns
    -------
    Encoded
        Tokens and their positions.
    """
    encoding = tokenizer.encode(text, add_special_tokens=False)
    ids = np.asarray(encoding.ids[:most], dtype=np.int64)
    spans = np.asarray(encoding.offsets[:most], dtype=np.int64).reshape(-1, 2)
    word, place = getattr(tokenizer.model, "unk_token", None), getattr(tokenizer.model, "unk_id", None)
    unknown = place if word is None else tokenizer.token_to_id(word)
    return Encoded(ids, spans, 0 if unknown is None else int((ids == unknown).sum()))


def beginning(tokenizer: Any, folder: Path) -> tuple[bool, int | None]:
    """Return whether a tokenizer puts a token before a text by default, and the token for the beginning of a text.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Its template may put a token before a text.
    folder : Path
        The folder, whose tokenizer_config.json may also say so and name the token.

    Returns
    -------
    bool
        Whether it does; ``add_bos_token`` of tokenizer_config.json takes precedence over the template.
    int or None
        The token; None where there is none.
    """
    with_marks, plain = (tokenizer.encode("a", add_special_tokens=marks).ids for marks in (True, False))
    puts = with_marks[:1] != plain[:1]
    settings = _read_settings(folder / "tokenizer_config.json")
    name = settings.get("bos_token") or _read_settings(folder / "special_tokens_map.json").get("bos_token")
    name = name.get("content") if isinstance(name, dict) else name
    token = with_marks[0] if puts else tokenizer.token_to_id(name) if isinstance(name, str) else None
    wanted = settings.get("add_bos_token")
    return (wanted if isinstance(wanted, bool) else puts), token


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be read ({brief(error)}); fetch it again") from None
    return content if isinstance(content, dict) else {}
