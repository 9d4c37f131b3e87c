"""What every kernel here needs: the decorator, with a type, and the few steps that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import triton
import triton.language as tl

__all__ = ["dot", "jit", "locate", "relu"]


def jit(function: Callable[..., Any]) -> Any:
    """Compile a function for the GPU; under ``TRITON_INTERPRET=1`` it runs in numpy.

    A whole number named ``slot`` is never compiled in, so that all batches of a draw share one kernel.

    Parameters
    ----------
    function : callable
        Written in Triton's subset of Python.

    Returns
    -------
    triton.JITFunction
        Launched as ``function[grid](...)``, or called from another.
    """
    return triton.jit(function, do_not_specialize=["slot"])


@jit
def relu(z: tl.tensor) -> tl.tensor:
    """Return z or 0; unlike a plain maximum, hand on what is not a number."""
    return tl.maximum(z, 0.0, propagate_nan=tl.PropagateNan.ALL)


@jit
def dot(one: tl.tensor, other: tl.tensor, PRECISION: tl.constexpr) -> tl.tensor:
    """Matrix product of two tiles, added up in their own type."""
    return tl.dot(one, other, input_precision=PRECISION, out_dtype=one.dtype)


@jit
def locate(ascending: tl.tensor, wanted: tl.tensor, length: tl.tensor, HALVINGS: tl.constexpr) -> tl.tensor:
    """Place of the first of ``length`` numbers that is above what is wanted; ``length`` where none is."""
    low = wanted.to(tl.int32) * 0
    high = low + length
    for _ in range(HALVINGS):
        middle = (low + high) // 2
        searching = low < high
        below = tl.load(ascending + middle, mask=searching, other=0) <= wanted
        low = tl.where(searching & below, middle + 1, low)
        high = tl.where(searching & ~below, middle, high)
    return low
