"""What a shell may complete: names of data sets, laws and plots. Files are completed by the shell itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["complete_from", "complete_law", "complete_plot", "complete_table", "complete_toy_plot"]


def complete_from(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Return a completion of names that are looked up when the shell asks.

    Parameters
    ----------
    names : callable
        Returns the names.
    """

    def complete(incomplete: str) -> list[str]:
        return [one for one in names() if one.startswith(incomplete)]

    return complete


def _datasets() -> Iterable[str]:
    from scalefit.data.datasets import dataset_names

    return dataset_names()


def _laws() -> Iterable[str]:
    from scalefit.law.presets import LAWS

    return LAWS


def _plots() -> Iterable[str]:
    from scalefit.plots import KINDS

    return KINDS


def _toy_plots() -> Iterable[str]:
    from scalefit.plots.toy import KINDS

    return KINDS


complete_table = complete_from(_datasets)
complete_law = complete_from(_laws)
complete_plot = complete_from(_plots)
complete_toy_plot = complete_from(_toy_plots)
