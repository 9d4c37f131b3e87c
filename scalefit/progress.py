"""The type of progress callbacks: long computations call one, and print nothing themselves."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "SlowStage"]


class SlowStage(str):
    """The name of a stage that takes long: it is printed once where no progress line can be shown."""

    __slots__ = ()


class Progress(Protocol):
    """Called as ``progress(stage, done, total)``; the total is 0 when it is not known."""

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Report progress."""
