"""Kill the build of a report again and again, and compare what is built in the end with an undisturbed build.

Run with: python -m tests.reference.killed_report [kills]

The study has two fits, a posterior, a sensitivity and a calibration, each small. Builds are killed with SIGKILL, all
their processes at once, when the cache has grown by a file: a sign of work and not a time, so that the kills fall
into every stage on fast and slow machines alike. The PDF and the resolved study must be the same bytes in the end.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STUDY = """
title = "Killed"
date = 2026-01-01

[[fit]]
name = "squares"
data = "chinchilla"
law = "chinchilla"
drop_highest_loss = 5
bootstrap = 50

[[fit]]
name = "huber"
data = "chinchilla"
law = "chinchilla"
loss = "huber"
drop_highest_loss = 5
bootstrap = 50

[[fit]]
name = "posterior"
engine = "bayes"
data = "chinchilla"
law = "chinchilla"
path = "fast"
draws = 400
drop_highest_loss = 5

[[sensitivity]]
name = "choices"
data = "chinchilla"
law = "chinchilla"
param = "alpha"
path = "fast"
draws = 200
drop_highest_loss = 5

[sensitivity.vary]
likelihood = ["normal"]
drop_highest_loss = [6, 7]

[[calibration]]
name = "coverage"
data = "chinchilla"
law = "chinchilla"
engine = "leastsq"
n = 10
draws = 50
drop_highest_loss = 5

[[section]]
title = "Squares"
fit = "squares"

[[section]]
title = "Posterior"
fit = "posterior"
kind = "posterior"

[[section]]
title = "Choices"
kind = "sensitivity"
fit = "posterior"
steps = ["choices"]

[[section]]
title = "Coverage"
kind = "calibration"
fit = "squares"
steps = ["coverage"]
"""


def files(folder: Path) -> set[Path]:
    """Every finished file of the cache."""
    return {path for path in (folder / ".cache").rglob("*") if path.is_file() and path.suffix != ".partial"}


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start a build in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "scalefit", "report", "study.toml"], cwd=folder, start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def built(folder: Path) -> dict[str, str]:
    """Build without a disturbance; digests of what it wrote."""
    process = start(folder)
    _, complained = process.communicate()
    if process.returncode:
        raise SystemExit(complained.decode())
    paths = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != "study.toml"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def kill_when_it_has_grown(folder: Path) -> str:
    """Start a build and kill it when it has kept one more file; say where it was."""
    before, process = files(folder), start(folder)
    while process.poll() is None and not files(folder) - before:
        time.sleep(0.005)
    if process.poll() is not None:
        return ""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return ", ".join(sorted(path.name for path in files(folder) - before))


def main() -> None:
    """Build, kill, build, compare."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as place:
        whole, cut = Path(place) / "whole" / "study", Path(place) / "cut" / "study"  # the PDF has the folder's name
        for folder in (whole, cut):
            folder.mkdir(parents=True)
            (folder / "study.toml").write_text(STUDY, encoding="utf-8")
        expected = built(whole)
        for number in range(kills):
            kept = kill_when_it_has_grown(cut)
            if not kept:
                print("the build had nothing left to keep")
                break
            print(f"killed {number + 1} of {kills}, after {kept}", flush=True)
        found = built(cut)
    for name, digest in expected.items():
        print(f"{name}: {'the same bytes' if found.get(name) == digest else 'DIFFERENT'}")
    sys.exit(found != expected)


if __name__ == "__main__":
    main()
