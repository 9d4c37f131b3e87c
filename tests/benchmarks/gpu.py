"""Check, time and use the engine of the toy model for a GPU, phase by phase.

    python -m tests.benchmarks.gpu --out FOLDER [--minutes 9] [--phases tests,sanitizer,...]

The same command again and again does everything: each call takes ``--minutes``, goes on with the phases that have not
run, in the order of their worth, and continues sweeps where they stopped. A phase
is a process with its own limit of minutes (``gpu_phases.py``). One that takes longer is killed, with what it started;
one that fails, or leaves the device in a bad state, fails alone. What it printed is kept line by line.

What the phases leave for each other lies in build/gpu: the precisions that agree with float64 (``precision.json``),
the fastest tiles among them (``tiles.toml``, of the form of scalefit/toy/gpu/tiles.toml), which every later phase
uses, and the sweeps. After every phase FOLDER gets ``gpu.md``, all lines so far, and ``state.tar.gz``; where the next
call runs on a fresh machine, ``--state state.tar.gz`` puts the state back. ``--rehearse`` runs everything in small on a
CPU, with the kernels interpreted, and no number means anything. Nothing here has run on a GPU so far.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
STATE: Final = ROOT / "build" / "gpu"
GRACE: Final = 0.4  # minutes that a sweep has, after its limit, to write what it has
FINISHED, CUT_OFF, FAILED = "finished", "cut off", "failed"
UNFINISHED: Final = 3  # exit status of a sweep that stopped by itself, with models left


class Phase(NamedTuple):
    """A process, for so many minutes at most; a sweep stops by itself before that and goes on in the next call."""

    minutes: float
    sweep: bool = False


PHASES: Final = {
    "floor": Phase(0.7),
    "tests": Phase(2.0),
    "sanitizer": Phase(1.5),
    "determinism": Phase(0.8),
    "precision": Phase(2.0),
    "tiles": Phase(2.5),
    "map": Phase(8.0, sweep=True),
    "question": Phase(6.0, sweep=True),
    "large": Phase(8.5, sweep=True),
    "speed": Phase(4.0),
    "moretiles": Phase(8.0),
}
"""In the order of their worth; the floor is first because it takes seconds and later phases compare with it."""


def run_phase(command: Sequence[str], lines: Path, minutes: float, environment: Mapping[str, str]) -> str:
    """Run a process whose output goes to a file, and kill it with all that it started when its minutes are over.

    Parameters
    ----------
    command : sequence of str
        What to run.
    lines : path
        Gets the output as it comes, and a last line where it is cut off or fails.
    minutes : float
        Limit.
    environment : mapping
        Variables in addition to those of this process.

    Returns
    -------
    {"finished", "cut off", "failed"}
        How it ended.
    """
    with lines.open("w") as output:
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )  # fmt: skip
        try:
            code = child.wait(60 * minutes)
        except subprocess.TimeoutExpired:
            code = None
        finally:  # also what it left running, which would use the device; and all of it on Ctrl-C
            _kill_group(child)
    if code in (0, UNFINISHED):
        return CUT_OFF if code else FINISHED
    with lines.open("a") as output:
        end = f"cut off after {minutes:.1f} minutes" if code is None else f"failed with exit status {code}"
        output.write(f"\n**{end}**\n")
    return CUT_OFF if code is None else FAILED


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    try:
        child.wait(10)  # a process that waits for a driver cannot be killed; it is left behind
    except subprocess.TimeoutExpired:
        print(f"process {child.pid} does not end", flush=True)


def choose(asked: str | None, ended: Mapping[str, str]) -> list[str]:
    """Choose phases: those that are asked for, else those that have not run and the sweeps that are not finished."""
    if asked is not None:
        names = asked.split(",")
        for name in names:
            if name not in PHASES:
                raise SystemExit(f"phase {name!r} is not known; choose from {', '.join(PHASES)}")
        return names
    return [name for name, phase in PHASES.items() if name not in ended or (phase.sweep and ended[name] == CUT_OFF)]


def limit_of(phase: Phase, left: float, *, first: bool) -> float | None:
    """Return the minutes that a phase may take, or None where too few are left of the call and the next one begins it.

    A sweep uses what is left; another phase waits for all its minutes, for one that is cut off does not run again.
    """
    needed = min(phase.minutes, 2 * GRACE) if phase.sweep else phase.minutes
    return min(left, phase.minutes) if left >= needed or first else None


def write_results(state: Path, out: Path, ended: Mapping[str, str]) -> None:
    """Put all lines so far into one page, and what a fresh machine needs into one archive."""
    (state / "ended.json").write_text(json.dumps(ended))
    parts = [
        f"<!-- {name}: {ended[name]} -->\n" + (state / f"{name}.md").read_text() for name in PHASES if name in ended
    ]
    (out / "gpu.md").write_text("\n".join(parts))
    partial = out / "state.partial"
    with tarfile.open(partial, "w:gz") as archive:
        archive.add(state, ".", filter=_small)
    partial.replace(out / "state.tar.gz")
    if (state / "tiles.toml").exists():
        shutil.copyfile(state / "tiles.toml", out / "tiles.toml")


def _small(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out compiled kernels, what the archive itself is made of, and checkpoints of groups: they are large."""
    names = Path(member.name).parts
    return None if names[:1] in (("triton",), ("out",)) or member.name.endswith((".running.npz", ".gz")) else member


def main() -> None:
    """Run the phases, as far as the minutes last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default="build/gpu/out", help="folder of the results")
    parser.add_argument("--minutes", type=float, default=9.0, help="for all phases of this call")
    parser.add_argument("--phases", help="which, in this order; those that have not run where it is not given")
    parser.add_argument("--state", type=Path, help="an archive to go on from, on a fresh machine")
    parser.add_argument("--rehearse", action="store_true", help="in small, interpreted, on a CPU")
    options = parser.parse_args()
    began, out = time.monotonic(), options.out.resolve()
    state = out / "state" if options.rehearse else STATE
    for folder in (out, state):
        folder.mkdir(parents=True, exist_ok=True)
    if options.state:
        with tarfile.open(options.state) as archive:
            archive.extractall(state, filter="data")
    stored = state / "ended.json"
    ended: dict[str, str] = json.loads(stored.read_text()) if stored.exists() else {}
    environment = {"TRITON_CACHE_DIR": str(state / "triton")}  # kept between calls on one machine
    if options.rehearse:
        environment["TRITON_INTERPRET"] = "1"
    names = choose(options.phases, ended)
    for name in names:
        left = options.minutes - (time.monotonic() - began) / 60
        limit = limit_of(PHASES[name], left, first=name == names[0])
        if limit is None:
            print(f"The minutes are over before {name}; the same command goes on.", flush=True)
            break
        inside = limit - GRACE if PHASES[name].sweep else limit
        command = [sys.executable, "-m", "tests.benchmarks.gpu_phases", name]
        command += ["--state", str(state), "--minutes", f"{inside:.2f}"]
        lines = state / f"{name}.md"
        ended[name] = run_phase(command, lines, limit, environment)
        write_results(state, out, ended)
        print(f"{lines.read_text()}\n{name}: {ended[name]}\n", flush=True)
    failed = [name for name, how in ended.items() if how == FAILED]
    raise SystemExit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
