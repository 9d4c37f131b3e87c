"""What a section on steps begins with: its text, the results that it has, and a note on every step without one."""

from __future__ import annotations

from typing import Protocol, TypeVar

from scalefit.escape import literal
from scalefit.report.blocks import Block, note, paragraph
from scalefit.report.results import Results
from scalefit.report.steps import StepFailed
from scalefit.report.text import fill

__all__ = ["begin_section"]

T = TypeVar("T")


class _OfSteps(Protocol):
    """A section that shows steps."""

    @property
    def text(self) -> tuple[str, ...]: ...

    @property
    def steps(self) -> tuple[str, ...]: ...


def begin_section(section: _OfSteps, results: Results, kind: type[T]) -> tuple[dict[str, T], list[Block]]:
    """Return the results of a section's steps by label, and its text with a note on every step without one.

    Parameters
    ----------
    section : section
        With ``text`` and ``steps``.
    results : Results
        Of the study.
    kind : type
        Of the results that the section shows.

    Returns
    -------
    dict
        Results by label.
    list of Block
        Paragraphs and notes.
    """
    blocks = [paragraph(fill(text, results.fits)) for text in section.text]
    steps: dict[str, T] = {}
    for name in section.steps:
        result, label = results.steps[name], results.labels[name]
        if isinstance(result, kind):
            steps[label] = result
        elif isinstance(result, StepFailed):
            blocks.append(note(f"“{label}” has no answer: {literal(result.reason)}"))
    return steps, blocks
