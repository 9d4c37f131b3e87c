"""Keep matrix products on the thread that calls them.

A library that splits a product adds its parts in another order for another number of threads, so that the last digits
of a result would depend on the machine; and where models run side by side, one on each thread, splitting only waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold every BLAS to one thread, that of NumPy and that of SciPy, which compiled code calls.

    Yields
    ------
    None
        For the time of the ``with`` block.
    """
    from scipy.linalg import cython_blas  # noqa: F401  # slow to load; only a library that is there can be held
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
