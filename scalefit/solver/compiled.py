"""Compile the solver's inner loops once per version of their source, and cache them on disk.

numba invalidates a cached function when its own file changes, but not when a function that it calls does. The
cache folder is therefore named after a digest of all sources here: edit one and everything is compiled anew.

numba does not verify the files in its cache: a damaged one causes a traceback, or runs wrong machine code. Each file
here begins with a digest of the rest, and is ignored when the digest does not match.

The time of the first compilation depends on the structure of the source: every caller optimises its callees again. So
a large function with one caller is inlined (``inline="always"``), scratch arrays are allocated in Python, and few
kernels are called from Python.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import config, njit
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from scalefit.files import LOG, UNREADABLE, read_kept, write_atomically

__all__ = ["cache_is_cold", "kernel"]


def _cache_folder() -> Path | None:
    """Return a folder next to the package, else in the user's cache; None if neither can be written."""
    here = Path(__file__).parent
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(here.glob("*.py"))))
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    places = [Path(chosen)] if chosen else [here / "__pycache__", *_user_cache()]
    reasons = []
    for place in places:
        folder = place / f"kernels-{digest.hexdigest()[:12]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            reasons.append(f"{str(place)!r} ({error.strerror})")
        else:
            return folder
    _remark(f"cannot be kept in {' or '.join(reasons)}")
    return None


def _user_cache() -> list[Path]:
    """Return the cache folder of the user, if there is a home folder."""
    try:
        return [Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "scalefit"]
    except RuntimeError:
        return []


def _remark(what: str) -> None:
    """Warn once, not in every worker, that each run has to compile."""
    if not _REMARKED and multiprocessing.parent_process() is None:
        LOG.warning(
            "compiled code %s, so every run compiles for a minute; name a folder that you can write in NUMBA_CACHE_DIR",
            what,
        )
    _REMARKED.append(what)


_REMARKED: list[str] = []
_FOLDER = _cache_folder()


class _Shelf:
    """The files of one compiled function, one for each signature and processor: what numba's cache reads and writes."""

    def __init__(self, folder: Path, stem: str, stamp: Any) -> None:
        self.folder, self.stem, self.stamp = folder, stem, stamp

    def load(self, key: Any) -> Any:
        """Return what was stored under a key; None if it is absent or damaged."""
        return read_kept(self._path(key), lambda path: self._read(path, key), consequence="it is compiled again")

    def save(self, key: Any, data: Any) -> None:
        """Store a compiled function."""
        content = dumps((self.stamp, key, data))
        try:
            write_atomically(self._path(key), hashlib.sha256(content).digest() + content)
        except UNREADABLE as error:
            _remark(f"cannot be kept ({error})")

    def flush(self) -> None:
        """Delete all files, as numba's recompile() requires."""
        for path in self.folder.glob(f"{self.stem}-*.nbc"):
            path.unlink(missing_ok=True)

    def _path(self, key: Any) -> Path:
        about = hashlib.sha256(repr((numba.__version__, key)).encode()).hexdigest()[:16]
        return self.folder / f"{self.stem}-{about}.nbc"

    def _read(self, path: Path, key: Any) -> Any:
        content = path.read_bytes()
        digest, body = content[:32], content[32:]
        if hashlib.sha256(body).digest() != digest:
            raise ValueError("it is damaged")
        stamp, own, data = pickle.loads(body)  # written by earlier runs of this user, like .pyc files
        return data if (stamp, own) == (self.stamp, key) else None


class _KernelCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of a function, on a shelf that notices damage."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        before = config.CACHE_DIR
        config.CACHE_DIR = str(folder)
        try:
            super().__init__(function)
        finally:
            config.CACHE_DIR = before
        locator = self._impl.locator
        self._cache_file = _Shelf(Path(self.cache_path), self._impl.filename_base, locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return a compiled function; None if it has to be compiled."""
        try:
            return super().load_overload(sig, target_context)
        except UNREADABLE:
            return None  # undamaged, but from another build of LLVM or numba


def kernel(*, inner: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a function to be compiled without the interpreter lock and cached.

    Parameters
    ----------
    inner : bool
        Called from compiled code only: no Python wrapper is built, which halves the compile time.
    **options
        Further options of :func:`numba.njit`.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        bare = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True} if inner else {"no_cfunc_wrapper": True}
        compiled = njit(nogil=True, error_model="numpy", **bare, **options)(function)
        if _FOLDER is not None and hasattr(compiled, "enable_caching"):  # not with NUMBA_DISABLE_JIT
            compiled._cache = _KernelCache(function, _FOLDER)
        return compiled

    return decorate


def cache_is_cold() -> bool:
    """Return True when the first fit will have to compile."""
    return _FOLDER is None or not any(_FOLDER.rglob("*_run*.nbc"))
