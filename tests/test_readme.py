"""The README shows what the command prints today."""

import re
import sys
from pathlib import Path

import pytest

from scalefit.cli import main

README = Path(__file__).resolve().parent.parent / "README.md"


def test_the_printed_fit_is_the_readmes(capsys, monkeypatch, tmp_path):
    block = re.search(
        r"```console\n\$ (scalefit fit chinchilla .*)\n((?:.*\n)*?)\.\.\.\n", README.read_text(encoding="utf-8")
    )
    assert block is not None
    command, shown = block.groups()
    law = re.search(r'"(.*?)"', command).group(1)
    before, after = command.split(f'"{law}"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [*before.split(), law, *after.split()])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert capsys.readouterr().out.startswith(shown)


def test_no_placeholder_is_left():
    assert not re.findall(r"\b[A-Z]{3,}_[A-Z_]{3,}\b", README.read_text(encoding="utf-8"))
