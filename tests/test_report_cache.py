"""A report's cache: what is damaged in it is computed again, to the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scalefit.report.reader import read_study
from scalefit.report.spec import TermsFigure
from scalefit.report.work import Work, Written
from scalefit.storage import fit_record

STUDY = """
title = "T"
[[fit]]
name = "a"
data = "chinchilla"
law = "loss ~ E + A/params^alpha"
bootstrap = 20
"""
Damage = Callable[[bytes], bytes]
DAMAGES: list[Damage] = [
    lambda _: b"",
    lambda content: content[: len(content) // 2],
    lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
    lambda content: content[:-20] + bytes([content[-20] ^ 4]) + content[-19:],
    lambda _: b"[" * 100_000,
    lambda _: b'{"used": 3, "blocks": [], "files": {}}',
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def kept(folder: Path, ending: str) -> Path:
    (path,) = (folder / ".cache").glob(f"*{ending}")
    return path


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_part_is_written_again(folder: Path, damage: Damage) -> None:
    written: list[str] = []

    def part() -> Written:
        work = Work(read_study(folder / "study.toml"))

        def write() -> Written:
            value = work.fits["a"]["alpha"].value
            written.append(f"{value}")
            return [{"kind": "heading", "text": f"{value}"}], {"a.svg": b"<svg/>"}

        return work.part(TermsFigure(), write)

    first = part()
    whole = kept(folder, ".part").read_bytes()
    assert part() == first
    assert len(written) == 1
    kept(folder, ".part").write_bytes(damage(whole))
    assert part() == first
    assert len(written) == 2
    assert kept(folder, ".part").read_bytes() == whole


@pytest.mark.parametrize("damage", DAMAGES[:2])
def test_a_damaged_fit_is_computed_again(folder: Path, damage: Damage, caplog: pytest.LogCaptureFixture) -> None:
    first = Work(read_study(folder / "study.toml")).fits["a"]
    whole = kept(folder, ".fit").read_bytes()
    assert not caplog.text
    kept(folder, ".fit").write_bytes(damage(whole))
    assert fit_record(Work(read_study(folder / "study.toml")).fits["a"]) == fit_record(first)
    assert kept(folder, ".fit").read_bytes() == whole
    assert "is not a saved fit" in caplog.text
    assert "it is computed again" in caplog.text
