"""The README shows what the commands print today, and all of its commands and code run."""

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
@pytest.mark.parametrize("session", SESSIONS, ids=["fits", "posteriors", "toy models"])
def test_every_command_runs_and_prints_what_is_shown(session, monkeypatch, capsys, tmp_path, chinchilla):
    names = {"params": "N", "tokens": "D", "loss": "val_loss"}
    chinchilla.nsmallest(60, "loss")[list(names)].rename(columns=names).to_csv(tmp_path / "my.csv", index=False)
    small = "width = [4, 6, 9]\nn_features = 24\nalpha = 1\nbatch = 32\nsteps = [200, 400, 6000]\ngamma = [-1, 0.2]\n"
    (tmp_path / "small.toml").write_text(small)
    monkeypatch.chdir(tmp_path)
    for arguments, shown in commands(session):
        arguments = ["small.toml" if one == "default" else one for one in arguments]  # a minute's grid is no test
        code, out = run(arguments, monkeypatch, capsys)
        assert code in (0, 1), arguments
        assert out.startswith(shown.removesuffix("...\n")), arguments


@pytest.mark.slow
def test_the_python_of_the_readme_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_every_function_named_in_the_readme_exists():
    found = set(re.findall(r"`scalefit\.(\w+)`", TEXT))
    assert {"bayes", "compare", "train_toy"} <= found
    assert all(callable(getattr(scalefit, name)) or name.isupper() for name in found)


def test_no_placeholder_is_left():
    assert not re.findall(r"\b[A-Z]{3,}_[A-Z_]{3,}\b", TEXT)
