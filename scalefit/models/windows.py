"""Cut a text into windows of a model's context, so that every token is predicted exactly once."""

from __future__ import annotations

from typing import NamedTuple

from scalefit.errors import DataError
from scalefit.options import check_windows

__all__ = ["Window", "cut_windows"]


class Window(NamedTuple):
    """One pass of the model over a part of the text.

    Parameters
    ----------
    begin : int
        Position of the first token that is read.
    first : int
        Position of the first token that is scored; those before it are context.
    end : int
        One past the last token, which is scored and not read.
    """

    begin: int
    first: int
    end: int


def cut_windows(n: int, context: int, stride: int, *, bos: bool) -> list[Window]:
    """Cut a text of n tokens into windows that overlap.

    A window has ``context`` tokens and the next begins ``stride`` tokens later. Each token is scored in the first
    window that contains it, with at least ``context - stride`` tokens before it. With adjacent windows (a stride of
    ``context``) the first token of each would not be scored, so the stride is at most ``context - 1``.

    Parameters
    ----------
    n : int
        Tokens of the text.
    context : int
        Tokens of a window, with the one that marks the beginning; at least 2.
    stride : int
        From the beginning of a window to that of the next; 1 to ``context - 1``.
    bos : bool
        Whether each window starts with a token that marks the beginning of a text. Without it the first token of the
        text has nothing before it, and is not scored.

    Returns
    -------
    list of Window
        In the order of the text.

    Raises
    ------
    DataError
        For a context or stride outside its range, and a text with nothing to score.

    Examples
    --------
    >>> cut_windows(10, 5, 4, bos=False)
    [Window(begin=0, first=1, end=5), Window(begin=4, first=5, end=9), Window(begin=8, first=9, end=10)]
    >>> [window.end - window.first for window in cut_windows(10, 5, 2, bos=True)]
    [4, 2, 2, 2]
    """
    check_windows(context, stride)
    unscored = 0 if bos else 1
    if n <= unscored:
        raise DataError(f"a text of {n} tokens has nothing to predict; at least {unscored + 1} are needed")
    length = context - 1 if bos else context
    windows, begin, first = [], 0, unscored
    while first < n:
        end = min(begin + length, n)
        windows.append(Window(begin, first, end))
        begin, first = begin + stride, end
    return windows
