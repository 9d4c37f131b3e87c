"""Pages for the public parts of the package, and the place of every public name; read from the sources, never imported.

A package is public as far as its ``__all__`` goes, or that of ``scalefit``; a single module by its own. What is left is
how the package works inside: it has no page, and references to it are not linked.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "scalefit"
UNLISTED = {"__main__", "cli", "terminal"}  # the command line has a page of its own
ROLE = re.compile(r":(?:func|class|meth|mod|data|attr):`~?([\w.]+)`")

PARTS = {
    "Fit": ("leastsq", "posterior", "options", "results", "records", "estimate", "goodness", "storage"),
    "Laws and data": ("law", "data"),
    "Judge": ("comparison", "robustness", "consistency", "verdicts", "thresholds"),
    "Spend compute": ("forecasting", "allocation"),
    "Theories": ("toy", "models", "overlap"),
    "Show": ("plots", "report", "table", "numbers"),
    "Errors": ("errors", "progress"),
}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module that has a page, by dotted name."""
    trees = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if not UNLISTED & set(parts):
            dotted = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            trees[dotted] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


def exported(tree: ast.Module) -> list[str]:
    """Return the names in ``__all__``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def bindings(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Yield what a module defines at its top level, by name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node
        elif isinstance(node, ast.Assign):
            targets = [one for target in node.targets for one in getattr(target, "elts", [target])]
            yield from ((one.id, node) for one in targets if isinstance(one, ast.Name))


@cache
def documented() -> dict[str, ast.AST]:
    """Everything that a reference may mean, by dotted name: modules, their public names, public members of these."""
    nodes: dict[str, ast.AST] = {}
    for module, tree in modules().items():
        if module != "scalefit":
            nodes[module] = tree
        public = set(exported(tree))
        for name, node in bindings(tree):
            if name in public and module != "scalefit":
                nodes[f"{module}.{name}"] = node
                for inner in node.body if isinstance(node, ast.ClassDef) else ():
                    if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                        nodes[f"{module}.{name}.{inner.name}"] = inner
    return nodes


@cache
def aliases() -> dict[str, str]:
    """Names by which packages pass on what modules define: ``scalefit.fit`` is ``scalefit.leastsq.fit.fit``."""
    targets = {}
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scalefit"):
                targets |= {f"{module}.{one.asname or one.name}": f"{node.module}.{one.name}" for one in node.names}
    return targets


def resolve(name: str, scope: str = "scalefit") -> str:
    """Find what a reference in a docstring means, from its scope outwards; empty when it has no anchor."""
    parts = scope.split(".")
    tried = [".".join([*parts[:length], name]) for length in range(len(parts), 0, -1)]
    for candidate in [*tried, name] if not name.startswith("scalefit.") else [name]:
        seen = set()
        while candidate in aliases() and candidate not in seen:  # a function named as its package comes first
            seen.add(candidate)
            candidate = aliases()[candidate]
        if candidate in documented():
            return candidate
    ends = [one for one in documented() if one.endswith(f".{name}")]
    return ends[0] if len(ends) == 1 else ""


def to_markdown(docstring: str, scope: str = "scalefit") -> str:
    """Turn what docstrings have of reStructuredText into Markdown: references, double backticks, literal blocks."""

    def link(match: re.Match[str]) -> str:
        target = resolve(match[1], scope)
        shown = match[1] if match[1].count(".") < 2 else match[1].rpartition(".")[2]
        return f"[`{shown}`][{target}]" if target in on_pages() else f"`{shown}`"

    text = re.sub(r"``([^`]+)``", r"`\1`", ROLE.sub(link, docstring))
    return re.sub(r"::$", ":", text, flags=re.MULTILINE)


def first_line(node: ast.AST) -> str:
    """Return the first line of a docstring."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


def public_names() -> dict[str, str]:
    """List the names of ``scalefit`` itself, and where each is documented."""
    return {name: resolve(name) for name in exported(modules()["scalefit"]) if name != "__version__"}


def rooms() -> dict[str, list[str]]:
    """List the public parts of the package with their modules."""
    placed = [one for names in PARTS.values() for one in names]
    by_room: dict[str, list[str]] = {}
    for module in modules():
        room = module.partition(".")[2].partition(".")[0]
        if room in placed:
            by_room.setdefault(room, []).append(module)
    return by_room


@cache
def members(module: str) -> list[str]:
    """List the names of a module that are on the page of its part, in the order of the source."""
    room = ".".join(module.split(".")[:2])
    public = exported(modules()[module])
    if len(rooms()[room.partition(".")[2]]) > 1:
        passed_on = {resolve(name, room) for name in exported(modules()[room])} | set(public_names().values())
        public = [name for name in public if f"{module}.{name}" in passed_on]
    once = dict(bindings(modules()[module]))  # overloads bind a name several times
    return [name for name in once if name in public and name not in verb_options(module)]


def verb_options(module: str) -> dict[str, str]:
    """Read which verb takes the options of which classes, where a module says it: constants made of ``part``."""
    return {
        name: ast.unparse(node.value)
        for name, node in bindings(modules()[module])
        if isinstance(node, ast.Assign) and re.match(r"\(part\(", ast.unparse(node.value))
    }


@cache
def on_pages() -> frozenset[str]:
    """Everything that has an anchor on an API page."""
    shown = set()
    for room, names in rooms().items():
        shown.add(f"scalefit.{room}")
        for module in names:
            shown |= {f"{module}.{name}" for name in members(module)} | ({module} if members(module) else set())
    classes = shown - set(modules())
    return frozenset(shown | {name for name in documented() if name.rpartition(".")[0] in classes})


def grouped() -> dict[str, list[str]]:
    """Sort the parts of the package under headings of the navigation."""
    return {heading: [one for one in names if one in rooms()] for heading, names in PARTS.items()}


def pages() -> dict[str, str]:
    """Write an index of the public names, and a page for each part."""
    rows = [f"| [`scalefit.{name}`][{at}] | {_about(at)} |" for name, at in public_names().items()]
    index = [
        "# The names of scalefit",
        "`import scalefit` gives these names; they load on first use. Everything else is imported from the module "
        "that defines it. Pages and signatures are made from the docstrings.",
        "\n".join(["| name | what it is |", "| --- | --- |", *rows]),
        "`scalefit.__version__` is the version as text.",
    ]
    for heading, names in grouped().items():
        lines = [f"- [scalefit.{one}]({one}.md): {_about(f'scalefit.{one}')}" for one in names]
        index += [f"## {heading}", "\n".join(lines)]
    made = {"api/index.md": "\n\n".join(index) + "\n", "floors.md": f"# Floors of the package\n\n{floors()}\n"}
    return made | {f"api/{room}.md": _page(room, names) for room, names in rooms().items()}


def floors() -> str:
    """Draw the floors that ``tests/test_layers.py`` holds the package to, the highest first."""
    tree = ast.parse((ROOT / "tests" / "test_layers.py").read_text(encoding="utf-8"))
    house = next(node.value for name, node in bindings(tree) if name == "HOUSE" and isinstance(node, ast.Assign))
    levels: dict[int, list[str]] = {}
    for room, (floor, _) in ast.literal_eval(house).items():
        levels.setdefault(floor, []).append(room)
    rows = [f"| {floor} | {', '.join(f'`{one}`' for one in levels[floor])} |" for floor in sorted(levels, reverse=True)]
    lead = "A module imports from lower floors, and on its own floor from what stands to its left, never upwards."
    return "\n".join([lead, "", "| floor | modules and packages |", "| --- | --- |", *rows])


def explained(dotted: str) -> str:
    """Return the first line of what is written about a name: its docstring, or the text below a constant."""
    node = documented().get(dotted)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        body = modules()[dotted.rpartition(".")[0]].body
        below = next(iter(body[body.index(node) + 1 :]), None)
        text = below.value if isinstance(below, ast.Expr) else None
        return str(text.value).partition("\n")[0] if isinstance(text, ast.Constant) else ""
    return first_line(node) if node is not None else ""


def _about(dotted: str) -> str:
    """One line about a name, for tables."""
    return to_markdown(explained(dotted), dotted).replace("|", r"\|")


def _page(room: str, names: list[str]) -> str:
    """Directives for mkdocstrings: the docstring of the part, then its public names module by module."""
    blocks = []
    for module in names:
        is_first = module == f"scalefit.{room}"
        if is_first or members(module):
            options = {"show_root_heading": "true", "heading_level": "1" if is_first else "2"}
            options["members"] = str(members(module) or "false")
            blocks.append(
                "\n".join([f"::: {module}", "    options:", *(f"      {k}: {v}" for k, v in options.items())])
            )
    rows = [f"| `{name}` | `{parts}` |" for module in names for name, parts in verb_options(module).items()]
    if rows:
        blocks += ["## The options of each verb", "\n".join(["| constant | parts |", "| --- | --- |", *rows])]
    return "\n\n".join(blocks) + "\n"
