"""The committed PDF is that of the committed study: its choices, and the numbers of its tables computed anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from scalefit.report.reader import read_study
from scalefit.report.resolve import resolved_hash, resolved_text
from scalefit.report.results import Results
from scalefit.report.sections import write_section
from scalefit.report.spec import ClaimsSection, LawSection, TermsFigure
from scalefit.report.study import with_defaults
from scalefit.report.work import Computed, Work

FOLDER = Path(__file__).resolve().parent.parent / "reports" / "chinchilla-width"


@pytest.fixture(scope="module")
def printed() -> str:
    """All letters and digits of the PDF, without the spaces and hyphens that setting in type adds or moves."""
    return squeezed(" ".join(page.extract_text() for page in PdfReader(FOLDER / "chinchilla-width.pdf").pages))


def squeezed(text: str) -> str:
    return re.sub(r"[\s\-‐\u00ad]", "", text)


def cells(block: dict[str, Any]) -> Iterator[str]:
    """Every cell of a table that is text alone: symbols are set in pieces."""
    for row in block["rows"]:
        for cell in row:
            if cell and all(isinstance(run, str) for run in cell):
                yield "".join(cell)


def test_the_choices_are_those_of_the_study(printed: str) -> None:
    plan = with_defaults(read_study(FOLDER / "study.toml"))
    assert (FOLDER / "chinchilla-width.resolved.toml").read_text(encoding="utf-8") == resolved_text(plan)
    assert resolved_hash(plan) in printed


@pytest.mark.slow
def test_tables_computed_anew_are_the_committed_ones(printed: str, tmp_path: Path) -> None:
    plan = with_defaults(read_study(FOLDER / "study.toml"))
    work = Work(replace(plan, path=tmp_path / "study.toml", toy=()))
    assert isinstance(work.fits, Computed)
    results = Results(work.fits, plan.labels, {spec.name: spec for spec in plan.fit}, tmp_path)
    compared = 0
    for section in plan.section:
        if isinstance(section, ClaimsSection | LawSection):  # the other kinds take minutes
            bare = replace(section, figures=(TermsFigure(),))
            if isinstance(bare, ClaimsSection):
                bare = replace(bare, claims=tuple(claim for claim in bare.claims if not claim.step))
            for block in write_section(bare, results):
                if block["kind"] == "table":
                    lost = [cell for cell in cells(block) if squeezed(cell) not in printed]
                    assert not lost, section.title
                    compared += 1
    assert compared >= 5
