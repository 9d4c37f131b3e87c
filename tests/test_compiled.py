"""Compiled code on disk: damaged files are compiled again, and without a folder everything still runs."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from scalefit.files import read_kept

ROOT = Path(__file__).resolve().parent.parent

# A kernel of its own, which takes a second to compile; the solver's take a minute.
SCRIPT = """
from scalefit.solver.compiled import cache_is_cold, kernel

@kernel()
def double(x):
    return 2 * x

@kernel()
def fourfold(x):
    return double(double(x))

print(fourfold(3), fourfold(1.5), "hits", sum(fourfold.stats.cache_hits.values()), cache_is_cold())
"""


def run(script: Path, cache: str, **environment: str) -> tuple[str, str]:
    settings = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": cache} | environment
    done = subprocess.run(
        [sys.executable, str(script)], env=settings, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "kernels.py"
    path.write_text(SCRIPT)
    return path


def kept(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.nbc"))


def test_compiled_code_is_kept_and_damage_costs_a_compilation_only(script: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert run(script, str(cache)) == ("12 6.0 hits 0 True", "")
    whole = {path: path.read_bytes() for path in kept(cache)}
    assert len(whole) == 4  # two functions, for whole numbers and for others
    assert run(script, str(cache)) == ("12 6.0 hits 2 True", "")
    assert {path: path.read_bytes() for path in kept(cache)} == whole
    damages = [
        lambda content: content[:-1],
        lambda content: content[:40],
        lambda _: b"",
        lambda content: content[:600] + b"\x00" + content[601:],
    ]
    for path, damage in zip(kept(cache), damages, strict=True):
        path.write_bytes(damage(whole[path]))
    answer, remarks = run(script, str(cache))
    assert answer.startswith("12 6.0 hits 0")
    assert remarks.count("cannot be read (it is damaged); it is compiled again") == 4
    assert run(script, str(cache)) == ("12 6.0 hits 2 True", "")


def test_a_changed_source_is_compiled_anew(script: Path, tmp_path: Path) -> None:
    run(script, str(tmp_path / "cache"))
    script.write_text(SCRIPT.replace("double(double(x))", "double(x) + 2 * x "))
    assert run(script, str(tmp_path / "cache"))[0] == "12 6.0 hits 0 True"


def test_without_a_folder_to_keep_it_in_code_is_compiled_each_time_and_said(script: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer, remarks = run(script, str(tmp_path / "file"))
    assert answer == "12 6.0 hits 0 True"
    assert remarks.count("compiled code cannot be kept in") == 1
    assert "so every run compiles for a minute; name a folder that you can write in NUMBA_CACHE_DIR" in remarks


def test_a_disk_that_fills_up_is_said_once(script: Path, tmp_path: Path) -> None:
    full = SCRIPT.replace(
        "from scalefit.solver.compiled import",
        "import scalefit.solver.compiled as module\n\n"
        "def refuse(path, content):\n    raise OSError(28, 'No space left on device')\n\n"
        "module.write_atomically = refuse\nfrom scalefit.solver.compiled import",
    )
    script.write_text(full)
    answer, remarks = run(script, str(tmp_path / "cache"))
    assert answer.startswith("12 6.0 hits 0")
    assert remarks.count("cannot be kept ([Errno 28] No space left on device)") == 1
    assert kept(tmp_path / "cache") == []


def test_a_read_only_installation_without_a_home_still_fits(tmp_path: Path) -> None:
    """The package and the home stand under a file, so that no folder can be made, whoever runs this."""
    (tmp_path / "file").write_text("")
    script = tmp_path / "look.py"
    script.write_text("from scalefit.solver import compiled\nprint(compiled._FOLDER)")
    settings = {"XDG_CACHE_HOME": str(tmp_path / "file"), "HOME": str(tmp_path / "file")}
    patched = (
        "import tempfile\nreal = tempfile.TemporaryFile\n"
        "def refuse(dir=None, **more):\n    raise OSError(30, 'Read-only file system')\n"
        "tempfile.TemporaryFile = refuse\n"
    )
    script.write_text(patched + script.read_text())
    answer, remarks = run(script, "", **settings)
    assert answer == "None"
    assert remarks.count("compiled code cannot be kept in") == 1
    assert "Read-only file system" in remarks


def test_what_a_version_with_other_modules_left_behind_is_compiled_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "kernel.nbc"
    path.write_bytes(b"cscalefit.a_module_of_an_older_version\nthing\n.")  # a pickle that names it
    with caplog.at_level("WARNING", logger="scalefit"):
        assert read_kept(path, lambda file: pickle.loads(file.read_bytes()), consequence="it is compiled again") is None
    assert "a_module_of_an_older_version" in caplog.text
