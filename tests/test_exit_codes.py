"""Every outcome of the command line has its exit code and one sentence; nothing is half-written."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalefit.cli import app, looking
from scalefit.errors import DataError, FitFailed
from scalefit.results import Fit

ROOT = Path(__file__).resolve().parent.parent
Run = Callable[..., tuple[Any, str, str]]


def failing(error: BaseException) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (DataError("no such thing; give another"), 2, "error: no such thing; give another\n"),
        (FitFailed("did not converge", None), 2, "error: did not converge\n"),
        (MemoryError("Unable to allocate 8 GiB"), 2, "there is not enough memory (Unable to allocate 8 GiB); ask for"),
        (RecursionError(), 2, "something in the input is nested too deeply"),
        (OverflowError("int too large"), 2, "a number in the input is too large (int too large)"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "standard output cannot be used: No space left"),
        (OSError(errno.EACCES, "Permission denied", "a.csv"), 2, "'a.csv' cannot be used: Permission denied; check"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 0, ""),
        (KeyboardInterrupt(), 130, "interrupted; nothing was written"),
    ],
)  # fmt: skip
def test_each_error_has_its_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    monkeypatch.setattr(looking, "print_table", failing(error))
    found, out, err = run("datasets")
    assert (found, out) == (code, "")
    assert words in err
    assert err.count("\n") <= 1


@pytest.mark.parametrize(
    "error", [KeyError("x"), AttributeError("y"), ZeroDivisionError(), EOFError(), ValueError("z")]
)
def test_a_defect_is_70_with_its_traceback_in_a_file(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    monkeypatch.setattr(looking, "print_table", failing(error))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, out, err = run("datasets")
    assert (code, out) == (70, "")
    assert err.startswith(f"error: this is a bug in scalefit, not in your input ({type(error).__name__}: ")
    assert "Please report it" in err
    assert err.count("\n") == 1
    (kept,) = tmp_path.iterdir()
    assert str(kept) in err
    assert "Traceback" in kept.read_text()
    assert "['scalefit', 'datasets']" in kept.read_text()


def test_a_defect_without_a_place_for_files_shows_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "print_table", failing(KeyError("x")))
    monkeypatch.setattr("tempfile.NamedTemporaryFile", failing(OSError(errno.EROFS, "Read-only file system")))
    code, _, err = run("datasets")
    assert code == 70
    assert "Traceback" in err
    assert err.endswith("the command and, if you can, the table\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "chinchilla", "chinchilla", "--bogus", "3"], "error: No such option: --bogus"),
        (["fit", "chinchilla"], "error: Missing argument 'law'"),
        (["fi", "chinchilla"], "error: No such command 'fi'. Did you mean 'fit'?\nTry: scalefit --help"),
        (["fit", "chinchilla", "chinchilla", "--bootstrap", "1.5"], "error: Invalid value for '--bootstrap'"),
        (["fit", "chinchilla", "chinchilla", "--bootstrap", "9" * 5000], "error: Invalid value for '--bootstrap'"),
        (["fit", "chinchilla", "chinchilla", "--bootstrap"], "--bootstrap"),
        (["toy", "sweep", "default"], "error: Missing option '--out'"),
        (["datasets", "a", "b"], "error: Got unexpected extra argument"),
    ],
)
def test_a_mistake_in_the_command_is_plain_text(run: Run, arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert words.lower() in err.lower()
    assert not re.search("[\u2500-\u257f]", err)


def test_a_bare_call_prints_the_help(run: Run) -> None:
    code, out, err = run()
    assert code == 2
    assert "sensitivity" in out + err


def shell(command: str, folder: Path) -> tuple[int, str, str]:
    """Run a line of bash in which ``scalefit`` is this one."""
    call = f'scalefit() {{ {sys.executable} -m scalefit "$@"; }}\nset -o pipefail\n{command}'
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    done = subprocess.run(
        ["bash", "-c", call], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="streams of POSIX")
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("scalefit datasets --json | head -c 1 > /dev/null", 0, ""),
        ("scalefit datasets | true", 0, ""),
        ("scalefit --help | true", 0, ""),
        ("scalefit datasets --json >&-", 2, "error: standard output is closed, so the result cannot be written"),
        ("scalefit datasets --json > /dev/full", 2, "error: standard output cannot be used: No space left on device"),
        ("scalefit --version > /dev/full", 2, "error: standard output cannot be used: No space left on device"),
        ("scalefit fit - chinchilla <&-", 2, "error: the standard input is empty"),
        ("scalefit datasets no_such_set 2>&-", 2, ""),
        ("scalefit datasets --json 2>&- > /dev/null", 0, ""),
        ("scalefit datasets no_such_set 2> /dev/full", 2, ""),
    ],
)
def test_streams_that_are_closed_or_full(tmp_path: Path, command: str, code: int, words: str) -> None:
    found, out, err = shell(command, tmp_path)
    assert (found, out) == (code, ""), err
    assert err.startswith(words)
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert err.count("\n") <= 1
    assert not list(tmp_path.iterdir())


def test_a_result_that_cannot_be_written_leaves_nothing(run: Run, huber: Fit, tmp_path: Path) -> None:
    huber.save(tmp_path / "a.fit")
    code, _, err = run("predict", "a.fit", "--out", "/dev/full")
    assert code == 2
    assert "cannot write '/dev/full': No space left on device" in err
    code, _, err = run("predict", "a.fit", "--out", "x" * 300)
    assert code == 2
    assert "File name too long" in err
    code, _, err = run("fit", "x" * 300, "chinchilla")
    assert code == 2
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.fit"]


def test_a_name_as_long_as_the_disk_allows_is_written(huber: Fit, tmp_path: Path) -> None:
    huber.save(tmp_path / ("x" * 251 + ".fit"))
    assert len(list(tmp_path.iterdir())) == 1


def test_the_application_is_still_a_group_of_commands() -> None:
    assert {command.callback.__name__ for command in app.registered_commands if command.callback} >= {
        "fit_command",
        "show",
    }
