"""Compile the solver's inner loops once per version of its source and keep them on disk.

numba invalidates a cached function when its own file changes, but not when a function that it calls does. The
cache folder is therefore named after a digest of all sources here: edit one and everything is compiled anew.

What the first compilation costs is in the source: every caller optimises its callees again, so a large function with
one caller is better inlined (``inline="always"``), scratch arrays come from Python, and few kernels are called from it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit

__all__ = ["cache_is_cold", "kernel"]


def _cache_folder() -> Path:
    """Next to the package where that can be written (as Python's own cache), else in the user's cache."""
    here = Path(__file__).parent
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(here.glob("*.py"))))
    if os.environ.get("NUMBA_CACHE_DIR"):
        base = Path(os.environ["NUMBA_CACHE_DIR"])
    elif os.access(here, os.W_OK):
        base = here / "__pycache__"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "scalefit"
    return base / f"kernels-{digest.hexdigest()[:12]}"


_FOLDER = _cache_folder()


def kernel(*, inner: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a function to be compiled without the interpreter lock and cached.

    Parameters
    ----------
    inner : bool
        Called from compiled code only: no wrapper for Python is built, which halves the time to compile.
    **options
        Further options of :func:`numba.njit`.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        before = config.CACHE_DIR
        bare = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True} if inner else {"no_cfunc_wrapper": True}
        config.CACHE_DIR = str(_FOLDER)  # read when the function is decorated, not when it is called
        try:
            return njit(cache=True, nogil=True, error_model="numpy", **bare, **options)(function)
        finally:
            config.CACHE_DIR = before

    return decorate


def cache_is_cold() -> bool:
    """Return True when the first fit will have to compile."""
    return not any(_FOLDER.rglob("*_run*.nbc"))
