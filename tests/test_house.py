"""Promises of the house: light imports, documented names, a README that runs, no trace of one machine."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import scalefit

ROOT = Path(__file__).resolve().parent.parent

HEAVY = {
    "numpy", "pandas", "scipy", "numba", "matplotlib", "torch", "pymc",
    "statsmodels", "lmfit", "rich", "typer",
}  # fmt: skip

FORBIDDEN = {
    "an absolute home path": rb"(?<![\w.:/-])/(?:home|Users|root|work)/\w",
    "a package index of one machine": rb"index[-]url|find[-]links",
}

# Hidden as if never installed: a None in sys.modules would trip libraries that look there for others.
FIT_WITHOUT = """
import importlib.util, sys
from importlib.machinery import PathFinder

hidden, find = sys.argv[1:], PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.split(".")[0] in hidden else find(name, *rest)
assert not any(importlib.util.find_spec(name) for name in hidden)

from scalefit.leastsq import fit
result = fit("chinchilla", "loss ~ E + A/params^alpha + B/tokens^beta", drop_highest_loss=5, bootstrap=20)
print(result.status, round(result.value, 9))
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter and return what it printed."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)


def test_importing_scalefit_loads_nothing_heavy() -> None:
    loaded = json.loads(python("import sys, json, scalefit; print(json.dumps(list(sys.modules)))").stdout)
    assert not HEAVY & set(loaded)


def test_version_answers_without_numpy() -> None:
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('numpy' in sys.modules))\n"
        "from scalefit.cli import main\n"
        "sys.argv = ['scalefit', '--version']\n"
        "sys.exit(main())"
    )
    said = python(code).stdout
    assert scalefit.__version__ in said
    assert said.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    "hidden",
    [("typst", "fontpkg"), ("pymc", "arviz", "nutpie"), ("torch",), ("torch", "transformers"), ("distributed",)],
    ids=["report", "bayes", "toy", "models", "cluster"],
)
def test_a_fit_needs_no_extra(hidden: tuple[str, ...]) -> None:
    assert python(FIT_WITHOUT, *hidden).stdout.split() == ["converged", "0.011461887"]


MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(scalefit.__path__, "scalefit.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", ["scalefit", *MODULES])
def test_public_names_exist_and_are_documented(name: str) -> None:
    if name.startswith("scalefit.toy.gpu."):
        pytest.importorskip("torch", reason="its kernels are written with torch")
        pytest.importorskip("triton", reason="its kernels are written with Triton")
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    is_package = hasattr(module, "__path__")
    assert is_package or hasattr(module, "__all__"), f"{name} has no __all__"
    public = getattr(module, "__all__", [])
    missing = [table for table in public if not hasattr(module, table)]
    assert not missing, f"{name}: __all__ names {', '.join(missing)}, which it does not define"
    undocumented = [dotted for table in public for dotted in without_docstring(table, getattr(module, table))]
    assert not undocumented, f"{name}: no docstring for {', '.join(undocumented)}"


def without_docstring(name: str, thing: Any) -> Iterator[str]:
    """Names of a public function or class, and of its public members, that say nothing about themselves."""
    if not (inspect.isclass(thing) or inspect.isroutine(thing) or hasattr(thing, "__wrapped__")):
        return
    doc = inspect.getdoc(thing) or ""
    # A dataclass or a named tuple without a docstring is given its signature as one.
    if not doc or doc.startswith(f"{name.split('.')[-1]}("):
        yield name
    if inspect.isclass(thing):
        members = (property, functools.cached_property, classmethod, staticmethod)
        for label, member in vars(thing).items():
            speaks = inspect.isfunction(member) or isinstance(member, members)
            if speaks and not label.startswith("_") and not inspect.getdoc(member):
                yield f"{name}.{label}"


def test_a_missing_docstring_is_found() -> None:
    class Bare(NamedTuple):
        x: int

        def double(self) -> int:
            return 2 * self.x

    assert list(without_docstring("Bare", Bare)) == ["Bare", "Bare.double"]
    assert list(without_docstring("Block", Block)) == []


class Block(NamedTuple):
    """A fenced block of the README, and the line on which its text starts."""

    language: str
    line: int
    text: str


def fenced_blocks(markdown: str) -> list[Block]:
    found = re.finditer(r"^```(\w+)[^\n]*\n(.*?)^```\s*$", markdown, flags=re.MULTILINE | re.DOTALL)
    return [Block(m[1], markdown.count("\n", 0, m.start(2)) + 1, m[2]) for m in found]


def commands(console: str) -> list[str]:
    """The lines after a prompt that call scalefit, with the lines that a backslash adds to them."""
    return re.findall(r"^\$ (scalefit\b(?:.*\\\n)*.*)$", console, flags=re.MULTILINE)


def test_readme_runs_from_top_to_bottom(my_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(my_csv.parent)
    monkeypatch.setenv("PATH", os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]))
    blocks = fenced_blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"python", "console"} <= {block.language for block in blocks}, "README.md shows no code"
    namespace: dict[str, Any] = {"__name__": "readme"}
    for block in blocks:
        if block.language == "python":
            shifted = "\n" * (block.line - 1) + block.text  # so that a traceback names the line of the README
            exec(compile(shifted, str(ROOT / "README.md"), "exec"), namespace)
        elif block.language == "console":
            for command in commands(block.text):
                run = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=300)
                assert run.returncode == 0, f"README.md:{block.line}: {command}\n{run.stdout}{run.stderr}"


def test_readme_is_read_as_it_is_meant() -> None:
    text = "Say\n```console\n$ make report\n$ scalefit fit my.csv \\\n    'l ~ E'\nout\n$ scalefit info\n```\n"
    (block,) = fenced_blocks(text)
    assert (block.language, block.line) == ("console", 3)
    assert commands(block.text) == ["scalefit fit my.csv \\\n    'l ~ E'", "scalefit info"]


def test_no_file_knows_the_machine_it_was_written_on(project_files: tuple[Path, ...]) -> None:
    faults = [
        f"{path.relative_to(ROOT)}: {what}"
        for path in project_files
        for what, pattern in FORBIDDEN.items()
        if re.search(pattern, path.read_bytes())
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("line", ["see /ho" + "me/ann/x", "'/wo" + "rk/y'", "--find" + "-links /z"])
def test_a_trace_of_a_machine_is_found(line: str) -> None:
    assert any(re.search(pattern, line.encode()) for pattern in FORBIDDEN.values())


def test_changelog_tells_of_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entry = re.search(rf"^## \[?{re.escape(scalefit.__version__)}\b.*?(?=^## |\Z)", changelog, re.M | re.S)
    assert entry, f"CHANGELOG.md has no entry for {scalefit.__version__}"
    for heading in ("Added", "Changed", "Fixed", "Numbers that changed"):
        assert f"\n### {heading}\n" in entry[0]


def test_lock_pins_every_dependency_and_names_no_place() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    loose = [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[0-9][0-9a-z.]*", pin)]
    assert not loose, "only name==version, without a local suffix"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [
        *project["dependencies"],
        *(requirement for extra in project["optional-dependencies"].values() for requirement in extra),
    ]
    names = {re.split(r"[\[<>=!~ ]", requirement)[0] for requirement in asked} - {project["name"]}
    assert {canonical(name) for name in names} <= {canonical(pin.partition("==")[0]) for pin in pins}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
