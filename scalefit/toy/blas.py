"""Keep matrix products on the thread that calls them.

Models run beside each other, one on each thread; a library that splits every product again would only wait, and
its results would depend on how many threads it found.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["one_thread"]

_NAMES = ("scipy_openblas", "openblas")


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold the BLAS that compiled code calls (SciPy's) to one thread; other libraries have no threads to hold.

    Yields
    ------
    None
        For the time of the ``with`` block.
    """
    from scipy.linalg import cython_blas  # here, because it is slow to load

    library = ctypes.CDLL(cython_blas.__file__)  # looks through to the library that it links
    for name in _NAMES:
        if hasattr(library, f"{name}_set_num_threads"):
            put, get = getattr(library, f"{name}_set_num_threads"), getattr(library, f"{name}_get_num_threads")
            break
    else:
        yield
        return
    before = get()
    put(1)
    try:
        yield
    finally:
        put(before)
