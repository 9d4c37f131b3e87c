"""What the command line says of itself: order, panels, presets, completion, the width of its tables."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from docs.generate.commands import commands
from scalefit.cli.app import PANELS
from scalefit.data.datasets import dataset_names
from scalefit.law.presets import LAWS
from scalefit.options import FIT
from scalefit.plots import KINDS

NARROW = {"COLUMNS": "80", "TERM": "dumb"}


def scalefit(*words: str, **environment: str) -> str:
    code = "import sys; sys.argv[0] = 'scalefit'; from scalefit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=os.environ | environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def completed(words: str) -> list[str]:
    """What a shell offers for the last word."""
    place = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    return scalefit(_SCALEFIT_COMPLETE="complete_bash", **place).split()


def test_fit_is_first_and_every_verb_has_its_place():
    text = scalefit("--help", **NARROW)
    listed = re.findall(r"^│ ([a-z][a-z-]*) ", text, re.MULTILINE)
    assert listed == list(PANELS)
    assert listed[0] == "fit"
    names = {name.split()[1] for name, _ in commands()}
    assert set(PANELS) == names


def test_options_are_in_panels_as_their_classes_say():
    text = scalefit("fit", "--help", **NARROW)
    panels = {part.split(" ─")[0]: part for part in text.split("╭─ ")[1:]}
    assert list(panels) == ["Arguments", "Options", "Data", "Law", "Error", "Output"]
    for part in FIT:
        for option in part.described().values():
            assert f" {option.flag} " in panels[option.panel]
    assert "--json" in panels["Output"]
    assert all(name in text for name in LAWS)


def test_no_help_sends_to_another_verb():
    for name, command in commands():
        for param in command.params:
            text = getattr(param, "help", None) or ""
            assert not re.search(r"\bas for \w+\.", text, re.IGNORECASE), f"{name}: {text}"


@pytest.mark.parametrize(
    ("words", "among"),
    [
        ("scalefit f", ["fit", "forecast", "frequencies"]),
        ("scalefit fit toy_s", [name for name in dataset_names() if name.startswith("toy_s")]),
        ("scalefit fit chinchilla wid", [name for name in LAWS if name.startswith("wid")]),
        ("scalefit fit chinchilla width --loss h", ["huber"]),
        ("scalefit show my.fit --plot p", [name for name in KINDS if name.startswith("p")]),
    ],
)
def test_a_shell_completes_names(words, among):
    assert sorted(completed(words)) == sorted(among)


def test_a_completion_can_be_shown():
    assert "_SCALEFIT_COMPLETE=complete_bash" in scalefit(
        "--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )


@pytest.mark.parametrize("words", [("datasets",), ("laws",), ("datasets", "gemstones"), ("look", "chinchilla")])
def test_tables_fit_eighty_columns(words):
    table = [line for line in scalefit(*words, **NARROW).split("\n") if re.search(r"\S {2,}\S", line.strip())]
    assert len(table) > 5
    facts = ("licence", "sources", "sha256", "note")
    assert not [line for line in table if len(line) > 80 and not line.strip().startswith(facts)]


def test_nothing_of_a_table_is_cut():
    assert "…" not in scalefit("laws", **NARROW)


@pytest.mark.parametrize(
    "words", [("fit", "chinchilla", "chinchilla", "--bootstrap", "0"), ("datasets",), ("fit", "no-table", "chinchilla")]
)
def test_a_terminal_shows_at_once_that_a_verb_works_and_then_only_its_output(words):
    master, slave = pty.openpty()
    code = "import sys; from scalefit.cli import main; main()"
    environment = os.environ | {"COLUMNS": "80", "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdin=slave, stdout=subprocess.PIPE, stderr=slave, env=environment
    ) as process:
        os.close(slave)
        assert process.stdout is not None
        out = process.stdout.read().decode()
    shown = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # a terminal whose process has ended
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    text = shown.decode()
    assert text.startswith("working ...\r\x1b[2K")
    assert text.count("working") == 1
    assert "working" not in out
    assert bool(out) == (words[1:2] != ("no-table",))
    assert ("error: " in text) == (words[1:2] == ("no-table",))


def test_nothing_but_the_output_goes_into_a_file():
    code = "import sys; from scalefit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "laws", "chinchilla"], capture_output=True, text=True, timeout=99
    )
    assert done.stderr == ""
