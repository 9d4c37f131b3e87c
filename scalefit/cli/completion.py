"""What a shell may complete: names of data sets, laws and plots. Files are completed by the shell itself."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["beginning", "complete_law", "complete_plot", "complete_table", "complete_toy_plot"]


def beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin with what is written."""
    return [name for name in names if name.startswith(incomplete)]


def complete_table(incomplete: str) -> list[str]:
    """Return the data sets that begin so."""
    from scalefit.data.datasets import dataset_names

    return beginning(incomplete, dataset_names())


def complete_law(incomplete: str) -> list[str]:
    """Return the presets that begin so."""
    from scalefit.law.presets import LAWS

    return beginning(incomplete, LAWS)


def complete_plot(incomplete: str) -> list[str]:
    """Return the plots of a fit that begin so."""
    from scalefit.plots import KINDS

    return beginning(incomplete, KINDS)


def complete_toy_plot(incomplete: str) -> list[str]:
    """Return the plots of a sweep that begin so."""
    from scalefit.plots.toy import KINDS

    return beginning(incomplete, KINDS)
