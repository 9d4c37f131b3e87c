"""The README shows what the commands print today, and names what exists."""

import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import scalefit
from scalefit.cli import main

README = Path(__file__).resolve().parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
SESSIONS = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)


def commands(session):
    """Part a session into commands and what is shown below each; the dots stand for the rest."""
    starts = [found.start() for found in re.finditer(r"^\$ ", session, re.MULTILINE)]
    for start, stop in pairwise([*starts, len(session)]):
        command, _, shown = session[start + 2 : stop].partition("\n")
        yield shlex.split(command)[1:], shown


def run(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["scalefit", *arguments])
    code = 0
    try:
        main()
    except SystemExit as left:  # most verbs leave with a code, the others return
        code = left.code
    return code, capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("session", [name for name in SESSIONS if any(shown for _, shown in commands(name))])
def test_what_is_shown_is_what_is_printed(session, monkeypatch, capsys, tmp_path):
    """test_house.py runs every command; those with an output shown depend on the ones before them."""
    monkeypatch.chdir(tmp_path)
    told = list(commands(session))
    last = max(place for place, (_, shown) in enumerate(told) if shown)
    for arguments, shown in told[: last + 1]:
        code, out = run(arguments, monkeypatch, capsys)
        assert code == 0, arguments
        assert out.startswith(shown.removesuffix("...\n")), arguments


def test_every_function_named_in_the_readme_exists():
    found = set(re.findall(r"`scalefit\.(\w+)`", TEXT))
    assert {"bayes", "compare", "train_toy"} <= found
    assert all(callable(getattr(scalefit, name)) or name.isupper() for name in found)


def test_presets_and_data_sets_are_counted_right():
    tutorial = (README.parent / "docs" / "tutorial_paper.md").read_text(encoding="utf-8")
    readme = " ".join(TEXT.split())
    counts = re.findall(r"(\d+) presets with their papers, `scalefit datasets` (\d+) shipped tables", readme)
    assert counts == [(str(len(scalefit.LAWS)), str(len(scalefit.dataset_names())))]
    assert f"`scalefit laws` lists {len(scalefit.LAWS)} laws" in tutorial


def test_no_placeholder_is_left():
    assert not re.findall(r"\b[A-Z]{3,}_[A-Z_]{3,}\b", TEXT)
