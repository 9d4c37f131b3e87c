"""What a run leaves behind when it is killed: the next one goes on, to the same bytes as an undisturbed one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scalefit.toy import read_sweep

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 240  # seconds for a sign of life; it takes two on a machine with nothing else to do

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def scalefit(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command line in a process group of its own."""
    command = [sys.executable, "-m", "scalefit", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def finished(folder: Path, *arguments: str) -> str:
    process = scalefit(folder, *arguments)
    said, complained = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, complained
    return said


def killed_at_first_sign(folder: Path, cells: Path, *arguments: str) -> int:
    """Kill a run, all its processes at once, as soon as it has kept a cell; how many it has kept."""
    process = scalefit(folder, *arguments)
    until = time.monotonic() + PATIENCE
    while not list(cells.glob("*.json")) and time.monotonic() < until and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return len(list(cells.glob("*.json")))


def contents(cells: Path) -> dict[str, Any]:
    """Every cell but the time that it took."""
    found = {path.name: json.loads(path.read_text()) for path in sorted(cells.glob("*.json"))}
    for cell in found.values():
        del cell["seconds"]
        cell["value"].pop("seconds", None)
    return found


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_sensitivity_goes_on_to_the_same_bytes(synthetic: pd.DataFrame, tmp_path: Path, workers: str) -> None:
    synthetic.to_csv(tmp_path / "runs.csv", index=False)
    arguments = (
        "sensitivity", "runs.csv", "loss ~ E + A/params^alpha + B/tokens^beta", "--param", "alpha", "--draws", "300",
        "--path", "fast", "--vary", "likelihood=normal,student_t", "--vary", "drop_highest_loss=1,2,3", "--json",
    )  # fmt: skip
    whole = finished(tmp_path, *arguments, "--folder", "whole", "--workers", "1")
    count = len(contents(tmp_path / "whole"))
    kept = killed_at_first_sign(tmp_path, tmp_path / "cut", *arguments, "--folder", "cut", "--workers", workers)
    assert 0 < kept <= count
    before = {path: path.read_bytes() for path in (tmp_path / "cut").glob("*.json")}
    assert finished(tmp_path, *arguments, "--folder", "cut", "--workers", workers) == whole
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert before == {path: path.read_bytes() for path in before}


def test_a_killed_sweep_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        "width = [3, 4, 6]\nn_features = 20\nalpha = 1\ngamma = [-1.0, 0.2]\nsteps = [200, 400]\nbatch = 512\n"
    )
    finished(tmp_path, "toy", "sweep", "grid.toml", "--out", "whole", "--workers", "1")
    kept = killed_at_first_sign(
        tmp_path, tmp_path / "cut" / "cells", "toy", "sweep", "grid.toml", "--out", "cut", "--workers", "1"
    )
    assert 0 < kept <= 12
    finished(tmp_path, "toy", "sweep", "grid.toml", "--out", "cut", "--workers", "1", "--resume")
    assert contents(tmp_path / "cut" / "cells") == contents(tmp_path / "whole" / "cells")
    tables = [pd.read_csv(tmp_path / name / "table.csv").drop(columns="seconds") for name in ("cut", "whole")]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_half_a_file_of_a_killed_writer_is_in_nobodys_way(tmp_path: Path) -> None:
    """The bytes under way stand in a file of another name, which is neither read nor taken for a result."""
    (tmp_path / "grid.toml").write_text("width = 3\nn_features = 20\nalpha = 1\nsteps = 20\nbatch = 64\n")
    finished(tmp_path, "toy", "sweep", "grid.toml", "--out", "sweep", "--workers", "1")
    (cell,) = (tmp_path / "sweep" / "cells").iterdir()
    shutil.copy(cell, cell.with_name(f"{cell.name}.12345.partial"))
    cell.with_name(f"{cell.name}.12345.partial").write_bytes(cell.read_bytes()[:100])
    assert len(read_sweep(tmp_path / "sweep")) == 1
