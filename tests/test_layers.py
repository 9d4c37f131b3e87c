"""The floors of the package: imports point down, heavy libraries stay with their owner."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "scalefit"

# Each module or package of scalefit: its floor, and what it may import from that same floor.
# Lower floors are open to all, higher ones to nobody; within a floor, a name stands below what it imports.
HOUSE = {
    "errors": (0, ""),
    "escape": (0, ""),
    "names": (0, "escape"),
    "rounding": (0, ""),
    "files": (0, "errors"),
    "archive": (0, ""),
    "limits": (0, "errors"),
    "expression": (0, ""),
    "law": (0, "errors expression"),
    "overlap": (0, "errors"),
    "typeset": (1, ""),
    "datasets": (1, ""),
    "solver": (1, ""),
    "quantities": (1, ""),
    "columns": (1, "quantities"),
    "formats": (1, "quantities columns"),
    "sources": (1, "datasets quantities formats"),
    "tables": (1, "datasets quantities columns formats sources"),
    "where": (1, "quantities columns formats tables"),
    "rows": (1, "quantities columns formats tables where"),
    "prepare": (1, "tables rows"),
    "problem": (1, "solver"),
    "misfit": (1, "quantities"),
    "records": (1, "tables"),
    "results": (1, "problem records rows tables"),
    "summary": (1, "records results"),
    "storage": (1, "problem tables records results"),
    "cells": (1, "storage"),
    "leastsq": (2, ""),
    "bayes": (2, ""),
    "toy": (2, ""),
    "optimum": (3, ""),
    "compare": (3, ""),
    "models": (3, ""),
    "plots": (3, "optimum models"),
    "sensitivity": (3, "plots"),
    "calibration": (3, "plots"),
    "consistency": (3, "compare"),
    "report": (4, ""),
    "terminal": (4, ""),
    "cli": (5, ""),
    "__main__": (5, "cli"),
}

# The only imports that may go up: a result is asked to show or to store itself.
ERRANDS = {
    ("results", "Fit.plot"): "plots",
    ("results", "Fit.save"): "storage",
    ("results", "Fit.summary"): "summary",
    ("results", "Fit._repr_html_"): "summary",
}

# Who may import a heavy library as a module loads; everybody else does so inside a function. None: nobody.
OWNERS = {
    "arviz": "bayes",
    "distributed": None,
    "matplotlib": "plots",
    "nutpie": "bayes",
    "pymc": "bayes",
    "torch": "toy",
    "transformers": None,
    "tokenizers": None,
    "safetensors": None,
    "typst": "report",
}

ARRAY_LAYER, ARRAY_LIBRARIES = "solver", {"numpy", "scipy", "numba"}

DOOR = "__init__"  # scalefit/__init__.py names everything and imports nothing: test_house.py holds it to that


class Import(NamedTuple):
    """One imported name: where it stands, and whether it runs while the module loads."""

    line: int
    target: str
    scope: str
    at_load: bool


def imports(node: ast.AST, scope: tuple[str, ...] = (), at_load: bool = True) -> Iterator[Import]:
    """Every import below a node, those inside functions and under TYPE_CHECKING included."""
    for child in ast.iter_child_nodes(node):
        where = ".".join(scope)
        if isinstance(child, ast.Import):
            yield from (Import(child.lineno, name.name, where, at_load) for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            origin = "." * child.level + (child.module or "")
            yield from (Import(child.lineno, f"{origin}.{name.name}", where, at_load) for name in child.names)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports(child, (*scope, child.name), at_load=False)
        elif isinstance(child, ast.ClassDef):
            yield from imports(child, (*scope, child.name), at_load)
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            yield from imports(ast.Module(child.body, []), scope, at_load=False)
            yield from imports(ast.Module(child.orelse, []), scope, at_load)
        else:
            yield from imports(child, scope, at_load)


def complaints(path: str, source: str) -> list[str]:
    """Everything wrong with one file; ``path`` is relative to scalefit/."""
    room = path.split("/")[0].removesuffix(".py")
    tree = ast.parse(source)
    found: list[str] = []
    if room == DOOR:
        return found
    if room not in HOUSE:
        return [*found, no_place(room)]
    for one in imports(tree):
        library = one.target.split(".")[0]
        text = floor_fault(room, one) if library in {"scalefit", ""} else library_fault(room, library, one)
        if text:
            found.append(f"{path}:{one.line}: {text}")
    return list(dict.fromkeys(found))  # one line may import several names


def floor_fault(room: str, one: Import) -> str:
    """What is wrong with an import from scalefit itself; empty when nothing is."""
    if one.target.startswith("."):
        return "relative import; write it from scalefit on"
    asked = one.target.partition(".")[2].split(".")[0]
    if asked in {room, "__version__"}:
        return ""
    if not asked or not is_room(asked):
        return f"{one.target} goes through scalefit/__init__.py; import it from the module that defines it"
    if asked not in HOUSE:
        return no_place(asked)
    floor, neighbours = HOUSE[room]
    above = HOUSE[asked][0]
    if above < floor or asked in neighbours.split() or ERRANDS.get((room, one.scope)) == asked:
        return ""
    direction = "sideways" if above == floor else "upward"
    return f"{direction} import: {room} is on floor {floor}, {asked} on floor {above}"


def library_fault(room: str, library: str, one: Import) -> str:
    """What is wrong with an import from outside scalefit; empty when nothing is."""
    if room == ARRAY_LAYER and library not in ARRAY_LIBRARIES | sys.stdlib_module_names:
        return f"{room} is the array layer: it knows {', '.join(sorted(ARRAY_LIBRARIES))} and not {library}"
    if one.at_load and library in OWNERS and OWNERS[library] != room:
        owner = OWNERS[library]
        keeper = f"belongs to scalefit/{owner}" if owner else "belongs to nobody"
        return f"{library} {keeper}; import it inside the function that needs it"
    return ""


def is_room(name: str) -> bool:
    return name in HOUSE or (PACKAGE / name / "__init__.py").is_file() or (PACKAGE / f"{name}.py").is_file()


def no_place(room: str) -> str:
    return (
        f"scalefit/{room} has no place in the house: add it to HOUSE in tests/test_layers.py, "
        f'as "{room}": (floor, ""), on the lowest floor above everything that it imports'
    )


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES)
def test_file_keeps_to_its_floor(path: str) -> None:
    found = complaints(path, (PACKAGE / path).read_text(encoding="utf-8"))
    assert not found, "\n" + "\n".join(found)


def test_house_is_listed_from_the_ground_up() -> None:
    floors = [floor for floor, _ in HOUSE.values()]
    assert floors == sorted(floors)
    names = list(HOUSE)
    for room, (floor, neighbours) in HOUSE.items():
        for other in neighbours.split():
            assert HOUSE[other][0] == floor, f"{room} and {other} are not on one floor"
            assert names.index(other) < names.index(room), f"{other} stands below {room}, which imports it"


def test_every_declared_errand_is_still_run() -> None:
    run = {
        ((room, one.scope), one.target.split(".")[1])
        for room in {room for room, _ in ERRANDS}
        for one in imports(ast.parse((PACKAGE / f"{room}.py").read_text(encoding="utf-8")))
        if one.target.startswith("scalefit.")
    }
    assert set(ERRANDS.items()) <= run


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("tables.py", "from scalefit.plots import draw", "tables.py:1: upward import: tables is"),
        ("tables.py", "from scalefit import plots", "upward import"),
        ("tables.py", "import scalefit.plots.style as s", "upward import"),
        ("tables.py", "def f():\n    from scalefit.cli import main", "tables.py:2: upward import"),
        ("tables.py", "if TYPE_CHECKING:\n    from scalefit.leastsq import fit", "upward import"),
        ("tables.py", "from scalefit.where import Where", "sideways import: tables is on floor 1, where"),
        ("bayes/fit.py", "from scalefit.leastsq.fit import fit", "bayes/fit.py:1: sideways import"),
        ("results.py", "class Fit:\n    def show(self):\n        from scalefit.plots import draw", "upward"),
        ("results.py", "class Fit:\n    def plot(self):\n        import scalefit.storage", "sideways"),
        ("tables.py", "from scalefit import load_dataset", "goes through scalefit/__init__.py"),
        ("tables.py", "import scalefit", "goes through scalefit/__init__.py"),
        ("plots/fit.py", "from .style import INK", "relative import"),
        ("attic.py", "", 'add it to HOUSE in tests/test_layers.py, as "attic": (floor, "")'),
        ("cli.py", "import torch", "torch belongs to scalefit/toy; import it inside the function"),
        ("cli.py", "try:\n    from pymc import Model\nexcept ImportError:\n    pass", "pymc belongs to"),
        ("cli.py", "class A:\n    import arviz.stats", "arviz belongs to scalefit/bayes"),
        ("cli.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import nutpie", "nutpie belongs to"),
        ("report/pdf.py", "from matplotlib.axes import Axes", "matplotlib belongs to scalefit/plots"),
        ("plots/fit.py", "import typst", "typst belongs to scalefit/report"),
        ("toy/sweep.py", "from distributed import Client", "distributed belongs to nobody"),
        ("solver/batch.py", "def f():\n    import pandas as pd", "knows numba, numpy, scipy and not pandas"),
    ],
)  # fmt: skip
def test_a_fault_is_found(path: str, source: str, message: str) -> None:
    assert message in "\n".join(complaints(path, source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("cli.py", "from scalefit.report import build_report\nfrom scalefit.errors import DataError"),
        ("bayes/fit.py", "import pymc\nfrom scalefit.bayes.fit import f\nfrom scalefit import __version__"),
        ("report/pdf.py", "def build():\n    import matplotlib.pyplot"),
        ("report/pdf.py", "if TYPE_CHECKING:\n    from matplotlib.axes import Axes"),
        ("results.py", "class Fit:\n    def plot(self):\n        from scalefit.plots import draw"),
        ("solver/batch.py", "import os\nfrom numba import njit\nfrom scalefit.solver.design import Array"),
        ("__init__.py", "from scalefit.cli import main"),
    ],
)  # fmt: skip
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert complaints(path, source) == []
