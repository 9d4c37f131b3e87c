"""Do the tests notice a wrong formula? Change one at a time in a copy of the project and run the tests of its module.

Run ``python -m tests.reference.mutations --out results.json``. The list is in ``mutation_list.py``. Every change must
match its file exactly once, else nothing is run: a list that has fallen behind the code proves nothing. Before the
changes, each selection of tests must pass on the unchanged copy. Results are kept as they come, so that the same call
goes on where it stopped; a result is used again as long as the change, its file and its tests are the same.

A run that exceeds its time counts as noticed (an endless loop is), and so does an error while tests are collected.
The exit code is 0 when at least 95% of the changes are noticed or accepted with a reason.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.reference.mutation_list import ACCEPTED, MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
LEFT = ("scalefit", "tests", "data", "docs", "reports", "notebooks")  # folders that a copy needs
PASSED, FAILED = 0, 1  # of pytest; 2 and above: no tests ran, which is a mistake in the list unless collection failed
COLLECTION = 2
GOAL = 0.95


class ListOutOfDate(Exception):
    """A change that cannot be applied, or tests that fail without one."""


def check_list(root: Path) -> None:
    """Refuse a list whose texts the code does not hold exactly once."""
    wrong = []
    for mutation in MUTATIONS:
        count = (root / "scalefit" / mutation.file).read_text(encoding="utf-8").count(mutation.old)
        if count != 1:
            wrong.append(f"{mutation.file} holds {count} times: {mutation.old}")
        wrong += [f"there is no {path}" for path in mutation.tests.split() if not (root / path).is_file()]
    names = [mutation.name for mutation in MUTATIONS]
    wrong += [f"stands twice: {name}" for name in sorted(set(names)) if names.count(name) > 1]
    wrong += [f"accepted, but not in the list: {name}" for name in ACCEPTED if name not in names]
    if wrong:
        raise ListOutOfDate("\n".join(wrong))


def digest(root: Path, one: Mutation) -> str:
    """Identify a change with its file and its tests."""
    whole = hashlib.sha256(json.dumps(one).encode())
    for path in (f"scalefit/{one.file}", "tests/conftest.py", *one.tests.split()):
        whole.update((root / path).read_bytes())
    return whole.hexdigest()[:16]


def copied(target: Path) -> Path:
    """Copy what the tests need, with its times, so that compiled kernels are found again."""
    for name in LEFT:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("*.pyc", "kernels-*", "*.pdf"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy2(path, target / path.name)
    return target


def pytest(
    copy: Path, tests: Sequence[str], seconds: float, compiled: str = "compiled"
) -> tuple[int | None, str]:  # fmt: skip
    """Run tests in the copy; returns the exit code (None: out of time) and the first test that failed."""
    environment = os.environ | {
        "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(copy / compiled),
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", *tests]
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, f"out of time after {seconds:.0f} s"
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode, lines[0].partition(" - ")[0] if lines else done.stdout[-300:] + done.stderr[-300:]


def baseline(copy: Path, chosen: Sequence[Mutation], known: dict[str, float]) -> dict[str, float]:
    """Run each file of tests without a change, which also compiles; returns seconds by file."""
    for path in dict.fromkeys(path for mutation in chosen for path in mutation.tests.split()):
        mark = f"{path} {hashlib.sha256((copy / path).read_bytes()).hexdigest()[:8]}"
        if mark in known:
            continue
        began = time.monotonic()
        code, words = pytest(copy, [path], 3600)
        if code != PASSED:
            raise ListOutOfDate(f"{path} fails without any change: {words}")
        known[mark] = time.monotonic() - began
        print(f"unchanged  {known[mark]:6.0f} s  {path}", flush=True)
    return known


def run_one(copy: Path, one: Mutation, seconds: float) -> dict[str, object]:
    """Apply a change, run its tests, and take it back."""
    path = copy / "scalefit" / one.file
    original, times = path.read_text(encoding="utf-8"), path.stat()
    if original.count(one.old) != 1:
        raise ListOutOfDate(f"{one.file} does not hold exactly once: {one.old}")
    began = time.monotonic()
    compiled = "compiled"
    if "@kernel" in original:  # its compiled code must not take the place of the original's
        compiled = "compiled-changed"
        shutil.copytree(copy / "compiled", copy / compiled)
    try:
        path.write_text(original.replace(one.old, one.new), encoding="utf-8")
        code, words = pytest(copy, one.tests.split(), seconds, compiled)
    finally:
        shutil.rmtree(copy / "compiled-changed", ignore_errors=True)
        path.write_text(original, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # compiled code of the original stays valid
    if code not in (None, PASSED, FAILED, COLLECTION):
        raise ListOutOfDate(f"{one.name}: pytest ended with {code}: {words}")
    return {"noticed": code != PASSED, "by": "" if code == PASSED else words, "seconds": time.monotonic() - began}


def report(results: dict[str, dict[str, object]], chosen: Sequence[Mutation]) -> float:
    """Print what was noticed and what survived; returns the share noticed or accepted."""
    known = [mutation for mutation in chosen if mutation.name in results]
    survivors = [mutation for mutation in known if not results[mutation.name]["noticed"]]
    bare = [survivor for survivor in survivors if survivor.name not in ACCEPTED]
    print(f"\n{len(known)} of {len(chosen)} changes tried, {len(known) - len(survivors)} noticed")
    for survivor in survivors:
        print(f"survived: {survivor.name}\n          {ACCEPTED.get(survivor.name, 'no reason given')}")
    share = 1 - len(bare) / len(known) if known else 0.0
    print(f"noticed or accepted with a reason: {share:.1%}, goal {GOAL:.0%}")
    return share


def main() -> None:
    """Try the changes, or those of the files given."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("files", nargs="*", help="files below scalefit/, or beginnings of their names; all without any")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the results, read and written")
    parser.add_argument("--seconds", type=float, default=900, help="longest run of the tests of one change")
    parser.add_argument("--again", action="store_true", help="try survivors again")
    options = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if not options.files or mutation.file.startswith(tuple(options.files))]
    try:
        check_list(ROOT)
        stored = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
        kept, passed = stored.get("results", {}), stored.get("unchanged", {})
        marks = {mutation.name: digest(ROOT, mutation) for mutation in chosen}
        todo = [
            mutation for mutation in chosen
            if kept.get(mutation.name, {}).get("digest") != marks[mutation.name]
            or (options.again and not kept[mutation.name]["noticed"])
        ]  # fmt: skip

        def store() -> None:
            partial = options.out.with_suffix(".partial")
            partial.write_text(json.dumps({"unchanged": passed, "results": kept}, indent=1), encoding="utf-8")
            partial.replace(options.out)

        with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
            copy = copied(Path(folder))
            passed = baseline(copy, todo, passed)
            for place, mutation in enumerate(todo, start=1):
                kept[mutation.name] = run_one(copy, mutation, options.seconds) | {"digest": marks[mutation.name]}
                store()
                word = "noticed " if kept[mutation.name]["noticed"] else "SURVIVED"
                print(
                    f"{place}/{len(todo)} {word} {kept[mutation.name]['seconds']:4.0f} s  {mutation.name}", flush=True
                )
    except ListOutOfDate as error:
        sys.exit(f"the list does not fit the code:\n{error}")
    current = {
        mutation.name: kept[mutation.name]
        for mutation in chosen
        if kept.get(mutation.name, {}).get("digest") == marks[mutation.name]
    }
    sys.exit(0 if report(current, chosen) >= GOAL else 1)


if __name__ == "__main__":
    main()
