"""The section on output heads: from the shipped points alone, and with heads that a user measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalefit.errors import StudyError
from scalefit.models import measure_heads
from scalefit.report.checks import check_study
from scalefit.report.reader import read_study
from scalefit.report.resolve import resolved_text
from scalefit.report.sections import compose
from scalefit.report.steps import step_command, step_key
from scalefit.report.study import with_defaults
from scalefit.report.work import Work
from tests.safetensors_files import write_checkpoint

STUDY = """
title = "Heads"

[[fit]]
name = "families"
data = "llm_families"
law = "family_width"
space = "linear"
bootstrap = 50

[[heads]]
name = "published"
label = "published heads"
data = "llm_heads"
losses = "llm_families"

[[heads]]
name = "mine"
data = "heads.csv"

[[section]]
kind = "heads"
title = "Are the heads in strong superposition?"
steps = ["published", "mine"]
text = ["Heads."]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    models = [
        write_checkpoint(tmp_path / f"m{m}", {"lm_head.weight": (rng.standard_normal((300, m)) + 0.5).astype("<f4")})
        for m in (6, 12, 24, 48)
    ]
    measure_heads(models, out=tmp_path / "heads.csv", family="tiny")
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def words(block: dict[str, Any]) -> str:
    runs = (run if isinstance(run, str) else str(run.get("strong", "")) for run in block.get("runs", ()))
    return "".join(runs).replace("\u00a0", " ")


def cells(block: dict[str, Any]) -> list[list[str]]:
    return [["".join(map(str, cell)).strip() for cell in row] for row in block["rows"]]


def test_the_section_shows_published_and_measured_heads(folder: Path) -> None:
    plan = with_defaults(read_study(folder / "study.toml"))
    check_study(plan)
    blocks, files = compose(plan, Work(plan))
    start = next(i for i, block in enumerate(blocks) if block.get("text") == "Are the heads in strong superposition?")
    section = blocks[start + 1 :]
    kinds = [one["kind"] for one in section[:7]]
    assert kinds == ["paragraph", "paragraph", "figure", "paragraph", "figure", "figure", "table"]
    assert "Overlap falls as width to the power of −1.28 ± 0.22" in words(section[1])
    assert "the loss follows the width" in words(section[1])
    assert "GPT-2 32, OPT 36.7, Pythia 13.2, Qwen2.5 26.3" in words(section[1])
    assert "It is " in words(section[3])
    assert "not a property" not in words(section[3])
    assert [row[0] for row in cells(section[6])] == ["m6", "m12", "m24", "m48"]
    assert {row[-1] for row in cells(section[6])} == {"strong"}
    svg = files[section[4]["file"]].decode()
    assert "Qwen2.5" in svg  # published points stand behind the measured ones
    assert "arrows: raw to effective" in svg


def test_a_step_is_named_by_its_tables_and_its_details(folder: Path) -> None:
    plan = read_study(folder / "study.toml")
    before = [step_key(head, folder) for head in plan.heads]
    (folder / "heads.details.json").write_text("{}")
    after = [step_key(head, folder) for head in plan.heads]
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert step_command(plan.heads[0]) == ["scalefit superposition llm_heads --losses llm_families"]


def test_the_resolved_study_is_the_same_study(folder: Path) -> None:
    plan = with_defaults(read_study(folder / "study.toml"))
    (folder / "again.toml").write_text(resolved_text(plan), encoding="utf-8")
    again = with_defaults(read_study(folder / "again.toml"))
    commands = [line for line in resolved_text(plan).splitlines() if line.startswith("#   scalefit")]
    assert commands[-2:] == [
        "#   scalefit superposition llm_heads --losses llm_families",
        "#   scalefit superposition heads.csv",
    ]
    assert [(head.name, head.data, head.losses) for head in again.heads] == [
        (head.name, head.data, head.losses) for head in plan.heads
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'losses = "llm_families"',
            'losses = "llm_famlies"',
            "heads 'published', losses: data 'llm_famlies' is neither",
        ),
        ('data = "heads.csv"', 'data = "head.csv"', "heads 'mine': data 'head.csv' is neither"),
        ('steps = ["published", "mine"]', "", "of kind 'heads' needs steps"),
        ('data = "heads.csv"', 'law = "width"', "law"),
        ('kind = "heads"', 'kind = "toy"', r"needs \[\[toy\]\] steps; 'published' is another"),
    ],
)
def test_refusals_name_the_place(folder: Path, old: str, new: str, message: str) -> None:
    (folder / "study.toml").write_text(STUDY.replace(old, new), encoding="utf-8")
    with pytest.raises(StudyError, match=message):
        check_study(with_defaults(read_study(folder / "study.toml")))
