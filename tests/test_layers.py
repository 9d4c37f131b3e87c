"""The floors of the package: imports point down, heavy libraries stay with their owner."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "scalefit"

# Each module or package of scalefit: its floor, and what it may import from that same floor.
# Lower floors are open to all, higher ones to nobody; within a floor, a name stands below what it imports.
HOUSE = {
    "version": (0, ""),
    "errors": (0, ""),
    "blas": (0, ""),
    "escape": (0, ""),
    "names": (0, "escape"),
    "progress": (0, ""),
    "numbers": (0, ""),
    "files": (0, "errors"),
    "archive": (0, "numbers"),
    "limits": (0, "errors numbers"),
    "quantiles": (0, ""),
    "thresholds": (0, ""),
    "estimate": (0, "files names numbers quantiles"),
    "table": (0, "escape numbers"),
    "verdicts": (0, "estimate files names numbers thresholds"),
    "expression": (0, ""),
    "overlap": (0, "errors"),
    "law": (0, "errors escape expression numbers"),
    "solver": (1, ""),
    "closed": (1, "solver"),
    "data": (1, ""),
    "options": (1, "data"),
    "problem": (1, "solver"),
    "closed_problem": (1, "closed problem"),
    "binding": (1, "problem closed_problem"),
    "misfit": (1, "data"),
    "records": (1, "data"),
    "goodness": (1, "records"),
    "results": (1, "problem records data options goodness"),
    "summary": (1, "records results goodness"),
    "storage": (1, "problem data records results options"),
    "jobs": (1, "storage options"),
    "leastsq": (2, ""),
    "posterior": (2, ""),
    "toy": (2, ""),
    "allocation": (3, ""),
    "comparison": (3, ""),
    "models": (3, ""),
    "forecasting": (3, "allocation comparison"),
    "plots": (3, "allocation forecasting models"),
    "robustness": (3, "comparison plots"),
    "consistency": (3, "comparison"),
    "report": (4, ""),
    "terminal": (4, ""),
    "cli": (5, ""),
    "__main__": (5, "cli"),
}

# Who may import a heavy library as a module loads; everybody else does so inside a function. None: nobody.
OWNERS = {
    "arviz": "posterior",
    "distributed": None,
    "matplotlib": "plots",
    "nutpie": "posterior",
    "pymc": "posterior",
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
    for statement in imports(tree):
        library = statement.target.split(".")[0]
        text = floor_fault(room, statement) if library in {"scalefit", ""} else library_fault(room, library, statement)
        if text:
            found.append(f"{path}:{statement.line}: {text}")
    return list(dict.fromkeys(found))  # one line may import several names


def floor_fault(room: str, statement: Import) -> str:
    """What is wrong with an import from scalefit itself; empty when nothing is."""
    if statement.target.startswith("."):
        return "relative import; write it from scalefit on"
    asked = statement.target.partition(".")[2].split(".")[0]
    if asked == room:
        return ""
    if not asked or not is_room(asked):
        return f"{statement.target} goes through scalefit/__init__.py; import it from the module that defines it"
    if asked not in HOUSE:
        return no_place(asked)
    floor, neighbours = HOUSE[room]
    above = HOUSE[asked][0]
    if above < floor or asked in neighbours.split():
        return ""
    direction = "sideways" if above == floor else "upward"
    return f"{direction} import: {room} is on floor {floor}, {asked} on floor {above}"


def library_fault(room: str, library: str, statement: Import) -> str:
    """What is wrong with an import from outside scalefit; empty when nothing is."""
    if room == ARRAY_LAYER and library not in ARRAY_LIBRARIES | sys.stdlib_module_names:
        return f"{room} is the array layer: it knows {', '.join(sorted(ARRAY_LIBRARIES))} and not {library}"
    if statement.at_load and library in OWNERS and OWNERS[library] != room:
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


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of files of which each imports, by some way, every other one (Tarjan's components of two and more)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            place = stack.index(node)
            group = stack[place:]
            del stack[place:]
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return groups


def test_no_file_imports_itself_by_a_way_round() -> None:
    """Imports inside functions and for type checkers count too: who reads a circle cannot begin anywhere."""
    files = {path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", "."): path
             for path in PACKAGE.rglob("*.py")}  # fmt: skip
    edges: dict[str, set[str]] = {}
    for name, path in files.items():
        targets = [statement.target for statement in imports(ast.parse(path.read_text(encoding="utf-8")))]
        known = {target if target in files else target.rpartition(".")[0] for target in targets}
        edges[name] = known & set(files) - {name}
    assert len(edges) > 150
    assert circles(edges) == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


# Modules that may ask of which class a law is, each with the reason why the law itself cannot answer.
ASK_THE_CLASS = {
    "law/general.py": "turns a law of one form into the other, or refuses",
    "law/typeset.py": "sets each of the two grammars in its own way",
    "report/text.py": "reads each of them aloud in its own way",
    "binding.py": "chooses how a law is bound to rows, and so how it is fitted",
    "posterior/fit.py": "chooses how its posterior is set up",
    "leastsq/bridge.py": "lets lmfit vary what only a law of any form holds at a value or a tie",
    "misfit.py": "writes a floor with levels, which only a sum of powers has",
    "report/look.py": "writes laws for a table, which are sums of powers",
}


def test_a_law_is_asked_and_not_sorted_by_its_class() -> None:
    sorting = re.compile(r"isinstance\([^()]*(?:\([^()]*\)[^()]*)*, (?:Law|GeneralLaw)\b")
    assert sorting.search("if isinstance(parse_law(law), Law):")
    assert not sorting.search("if isinstance(member, SampledLaw):")
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if sorting.search(path.read_text(encoding="utf-8"))
    }
    assert found == set(ASK_THE_CLASS)


def test_what_a_fit_can_become_is_where_results_say() -> None:
    """Fit looks these up by name, so no import would tell that one has moved."""
    from scalefit.results import VIEWS

    assert all(callable(getattr(importlib.import_module(module), name)) for module, name in VIEWS.values())


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("data/tables.py", "from scalefit.plots import draw", "data/tables.py:1: upward import: data is"),
        ("data/tables.py", "from scalefit import plots", "upward import"),
        ("data/tables.py", "import scalefit.plots.style as s", "upward import"),
        ("data/tables.py", "def f():\n    from scalefit.cli import main", "data/tables.py:2: upward import"),
        ("data/tables.py", "if TYPE_CHECKING:\n    from scalefit.leastsq import fit", "upward import"),
        ("problem.py", "from scalefit.results import Fit", "sideways import: problem is on floor 1, results"),
        ("posterior/fit.py", "from scalefit.leastsq.fit import fit", "posterior/fit.py:1: sideways import"),
        ("results.py", "class Fit:\n    def show(self):\n        from scalefit.plots import draw", "upward"),
        ("results.py", "class Fit:\n    def plot(self):\n        import scalefit.storage", "sideways"),
        ("data/tables.py", "from scalefit import load_dataset", "goes through scalefit/__init__.py"),
        ("data/tables.py", "import scalefit", "goes through scalefit/__init__.py"),
        ("plots/fit.py", "from .style import INK", "relative import"),
        ("attic.py", "", 'add it to HOUSE in tests/test_layers.py, as "attic": (floor, "")'),
        ("cli.py", "import torch", "torch belongs to scalefit/toy; import it inside the function"),
        ("cli.py", "try:\n    from pymc import Model\nexcept ImportError:\n    pass", "pymc belongs to"),
        ("cli.py", "class A:\n    import arviz.stats", "arviz belongs to scalefit/posterior"),
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
        ("posterior/fit.py", "import pymc\nfrom scalefit.posterior.nuts import f\nfrom scalefit import version"),
        ("report/pdf.py", "def build():\n    import matplotlib.pyplot"),
        ("report/pdf.py", "if TYPE_CHECKING:\n    from matplotlib.axes import Axes"),
        ("solver/batch.py", "import os\nfrom numba import njit\nfrom scalefit.solver.design import Array"),
        ("__init__.py", "from scalefit.cli import main"),
    ],
)  # fmt: skip
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert complaints(path, source) == []
