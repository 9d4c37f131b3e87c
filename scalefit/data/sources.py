"""What a user names as a table: a shipped data set, a file, a sweep's folder or a stream; its bytes, up to a limit.

A path is a path. A bare word is the name of a shipped set, or of a file in the current folder; a word that is both
is refused, with the two spellings that say which one is meant: ``./chinchilla`` and ``dataset:chinchilla``.
"""

from __future__ import annotations

import codecs
import difflib
import gzip
import hashlib
import io
import os
import re
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from scalefit.data.datasets import dataset_names
from scalefit.data.formats import FORMATS, MAX_SIZE_VARIABLE, decode, format_of, too_large
from scalefit.data.quantities import shortened
from scalefit.errors import DataError, closest

__all__ = [
    "DATASET",
    "MAX_SIZE",
    "Content",
    "dataset_of",
    "file_name",
    "is_folder",
    "locate",
    "read_content",
    "shown_path",
    "size_limit",
]

MAX_SIZE: Final = 200_000_000
"""Most bytes of a table that are read by default; as cells in memory they can take ten times as much."""

DATASET: Final = "dataset:"
CHUNK: Final = 1 << 20
CHARACTERS: Final = 300  # of a path in a message

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_POWERS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class Content:
    """The content of a file or a stream.

    Parameters
    ----------
    data : bytes
        Uncompressed.
    sha256 : str
        Of the bytes as they are in the file, compressed or not.
    label : str
        What to call it in messages.
    name : str
        Name of the data set: the file name without its suffix.
    kind : str or None
        Its format by the suffix, as `scalefit.data.formats.format_of` says it.
    """

    data: bytes
    sha256: str
    label: str
    name: str
    kind: str | None


def locate(data: str | os.PathLike[str], folder: str | os.PathLike[str] = ".") -> str | Path:
    """Say what a user's word for a table stands for.

    Parameters
    ----------
    data : str or path
        ``chinchilla`` or ``dataset:chinchilla``, a path, or ``-``. A ``Path`` object is always a path.
    folder : path
        Where relative paths start: the current folder, or that of a study.

    Returns
    -------
    str or Path
        ``dataset:NAME``, a path, or ``-``. What is returned can be given again and means the same.

    Raises
    ------
    DataError
        For a word that is both a shipped set and a file, for an unknown set, for a bare word that is neither, and
        for a path that the system cannot read.

    Examples
    --------
    >>> locate("chinchilla"), str(locate("./chinchilla"))
    ('dataset:chinchilla', 'chinchilla')
    """
    if isinstance(data, str):
        if not data.strip():
            raise DataError("the name of the table is empty. Need a file, or the name of a shipped data set.")
        if data == "-":
            return data
        if data.startswith(DATASET):
            name = data.removeprefix(DATASET)
            if name not in dataset_names():
                raise DataError(f"there is no shipped data set {shortened(name)}; {closest(name, dataset_names())}")
            return data
    path = _path(data, folder)
    if not isinstance(data, str):
        return path
    if data in dataset_names():
        if _exists(path):
            raise DataError(
                f"{data!r} is a shipped data set and a file as well. Write ./{data} for the file, "
                f"or {DATASET}{data} for the data set."
            )
        return DATASET + data
    if data.isidentifier() and not _exists(path):
        raise DataError(f"there is no file and no shipped data set {shortened(data)}; {closest(data, dataset_names())}")
    return path


def dataset_of(located: str | os.PathLike[str]) -> str | None:
    """Return the name of the shipped set that `locate` found, None for anything else.

    Examples
    --------
    >>> dataset_of("dataset:chinchilla"), dataset_of(Path("runs.csv"))
    ('chinchilla', None)
    """
    return located.removeprefix(DATASET) if isinstance(located, str) and located.startswith(DATASET) else None


def file_name(name: str) -> str:
    """Spell the name of a file so that `locate` takes it for a file, whatever it is called.

    Examples
    --------
    >>> file_name("runs.csv"), file_name("chinchilla")
    ('runs.csv', './chinchilla')
    """
    return f"./{name}" if name in dataset_names() or name.startswith(DATASET) or name == "-" else name


def shown_path(path: str | os.PathLike[str]) -> str:
    """Write a path for a reader: bytes that are not UTF-8 become replacement characters, and long paths are cut."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}..."


def _path(data: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    path = Path(data)
    # './~x' is a file of that name, and so is the path that comes of it where there is such a file
    if os.fspath(data).startswith("~") and (isinstance(data, str) or not _exists(path)):
        try:
            path = path.expanduser()
        except RuntimeError:  # Python's word for a home folder that it cannot find
            user, whole = shown_path(path.parts[0]), shown_path(data)
            raise DataError(
                f"{whole!r} cannot be read: there is no home folder {user!r}. Write ./{whole} for a file of that name."
            ) from None
    return Path(folder) / path


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # a zero byte in the name
        return False


def is_folder(path: Path) -> bool:
    """Tell whether there is a folder of that name; False for names that the system refuses."""
    try:
        return path.is_dir()
    except OSError:
        return False


def size_limit(given: int | str | None = None) -> int:
    """Return how many bytes of a table are read at most.

    The limit protects the machine and says nothing about an analysis. That is why it is set in the environment, for
    all verbs and for the tables of a study at once, and is no option of a fit that a study or a cache would keep.

    Parameters
    ----------
    given : int or str, optional
        Bytes, or text such as ``"4GB"``. Without it the environment variable ``SCALEFIT_MAX_SIZE`` is looked at,
        then 200 MB is the limit.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    DataError
        For text that is not a size.

    Examples
    --------
    >>> size_limit("4GB")
    4000000000
    """
    where = "max_size" if given is not None else MAX_SIZE_VARIABLE
    text = str(given if given is not None else os.environ.get(MAX_SIZE_VARIABLE) or MAX_SIZE)
    match = _SIZE.fullmatch(text.strip()) if len(text) < 40 else None
    limit = int(float(match[1]) * _POWERS[match[2].lower()]) if match else 0
    if limit < 1:
        raise DataError(f"{where} is {text[:40]!r}. Need a size such as 500MB or 4GB.")
    return limit


def read_content(source: str | os.PathLike[str] | IO[str] | IO[bytes], *, max_size: int | str | None = None) -> Content:
    """Read a file, a stream or standard input, and unpack what gzip has packed.

    Parameters
    ----------
    source : path, ``"-"`` or stream
        What to read.
    max_size : int or str, optional
        As for `size_limit`; of the content after unpacking.

    Returns
    -------
    Content
        All of it.

    Raises
    ------
    DataError
        When it cannot be read, is larger than the limit, or is a damaged gzip file.
    """
    limit = size_limit(max_size)
    if isinstance(source, str | os.PathLike) and os.fspath(source) != "-":
        path = Path(source)
        raw, label = _file_bytes(path, limit), f"'{shown_path(path)}'"
        stem = Path(shown_path(path.name)).name.removesuffix(".gz").removesuffix(".GZ")
        name, kind = Path(stem).stem or stem, format_of(path)
    else:
        if isinstance(source, str | os.PathLike):
            stream: Any = getattr(sys.stdin, "buffer", sys.stdin)
            label, name = "the standard input", "stdin"
        elif hasattr(source, "read"):
            stream, label, name = source, "the stream", "stream"
        else:
            raise DataError(f"cannot read a table from a {type(source).__name__}. Need a path, '-' or a DataFrame.")
        if stream is None:
            raise DataError(f"{label} is closed. Give a file.")
        raw, kind = _read(stream, label, limit), None
    data = raw
    if raw.startswith(b"\x1f\x8b"):
        data = _read(gzip.GzipFile(fileobj=io.BytesIO(raw)), label, limit)
    return Content(data, hashlib.sha256(raw).hexdigest(), label, name, kind)


def _read(stream: Any, label: str, limit: int) -> bytes:
    """Read a stream to its end or to the limit; what cannot be a table is refused after its first part."""
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            part = stream.read(CHUNK)
        except UnicodeDecodeError as error:
            raise DataError(f"{label} cannot be decoded ({error}). Need text in UTF-8.") from None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"{label} is a damaged gzip file ({error}). Compress it again.") from None
        except (OSError, ValueError) as error:  # a value error: the stream is closed
            raise DataError(f"{label} cannot be read: {error}.") from None
        part = part.encode(errors="surrogatepass") if isinstance(part, str) else bytes(part or b"")
        if not part:
            return b"".join(parts)
        if not parts and len(part) >= CHUNK:
            _look(part, label)
        parts.append(part)
        size += len(part)
        if size > limit:
            raise DataError(too_large(label, limit))


def _look(part: bytes, label: str) -> None:
    """Refuse an endless source that is no text, such as /dev/zero, without reading it up to the limit."""
    if part.startswith((b"PAR1", b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff")):
        return
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(part)  # the last letter may be cut
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        decode(part, label)  # raises, in words


def _file_bytes(path: Path, limit: int) -> bytes:
    shown = shown_path(path)
    try:
        if path.is_dir():
            raise DataError(f"'{shown}' is a folder. Need a file: a table as CSV, TSV, JSON lines or Parquet.")
        if path.is_file() and path.stat().st_size > limit:
            raise DataError(too_large(f"'{shown}'", limit))
        with path.open("rb") as stream:
            return _read(stream, f"'{shown}'", limit)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DataError(f"'{shown}' cannot be read: {error.strerror}. Check the name and permissions.") from None
    except ValueError:
        raise DataError(f"{shown!r} cannot be the name of a file: it holds a zero byte.") from None
    if "://" in shown or re.match(r"https?:/", shown):
        raise DataError(f"'{shown}' is a web address. Download the file first and give its path.")
    parent = shown_path(path.parent)
    try:
        names = [shown_path(entry.name) for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        raise DataError(f"there is no file '{shown}', nor a folder '{parent}'. Check the path.") from None
    tables = [entry for entry in names if format_of(Path(entry)) in FORMATS.values()] or names
    wanted = shown_path(path.name)
    near = tables if len(tables) <= 12 else difflib.get_close_matches(wanted, tables, n=12, cutoff=0.3)
    raise DataError(f"there is no file '{wanted}' in '{parent}'; {closest(wanted, near)}")
