"""Pages that are files of the repository, and the small tables that hand-written pages ask for by name."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path

import scalefit.thresholds
from docs.generate import studies
from docs.generate.api import ROOT
from scalefit.data.quantities import ALIASES
from scalefit.law.additive import PRESETS
from scalefit.law.presets import LAWS
from scalefit.numbers import exact
from scalefit.plots import KINDS
from scalefit.toy.grid import DEFAULT_GRID

FILES = {
    "README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md",
    "data/README.md": "data_layout.md", "tests/benchmarks/RESULTS.md": "measurements.md",
    "tests/benchmarks/GPU_COUNT.md": "gpu_count.md",
}  # fmt: skip
COPIES = "files/"
LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")


def pages() -> dict[str, str | bytes]:
    """Take the texts that the repository shows on its own, their links turned to pages, and what they link to."""
    read = {file: (ROOT / file).read_text(encoding="utf-8") for file in FILES}
    targets = {target for file, text in read.items() for target in map(partial(_target, file), LINK.findall(text))}
    copies = {place(target): (ROOT / target).read_bytes() for target in targets if place(target).startswith(COPIES)}
    return {FILES[file]: moved(text, file) for file, text in read.items()} | copies


def moved(text: str, file: str) -> str:
    """Turn links to files of the repository into links of the site; refuse one that leads nowhere."""

    def link(match: re.Match[str]) -> str:
        target = _target(file, match[1])
        if not (ROOT / target).exists():
            raise ValueError(f"{file} links to {match[1]}, which does not exist")
        return place(target)

    return LINK.sub(link, text)


def _target(file: str, link: str) -> str:
    """Return what a link in a file means, from the root of the repository on."""
    return (ROOT / file).parent.joinpath(link).resolve().relative_to(ROOT).as_posix()


def place(target: str) -> str:
    """Say where a file of the repository is on the site: as a page, or as a copy of itself."""
    folder, _, name = target.partition("/")
    if target in FILES:
        return FILES[target]
    if folder == "docs" and name:
        return name
    if folder == "notebooks":
        return f"notebooks/{name.removesuffix('.ipynb') or 'index'}.md"
    if folder == "data":
        return f"data/{name.removesuffix('/SOURCE.md') or 'index'}.md"
    return COPIES + target


def _presets() -> str:
    rows = [f"| `{name}` | `{law}` |" for name, law in PRESETS.items()]
    return "\n".join(["| name | law |", "| --- | --- |", *rows])


def _laws() -> str:
    rows = [
        f"| `{name}` | `{one.law}` | {one.source}{'. ' + one.note[0].upper() + one.note[1:] if one.note else ''}. |"
        for name, one in LAWS.items()
    ]
    return "\n".join(["| name | law | source |", "| --- | --- | --- |", *rows])


def _aliases() -> str:
    rows = [f"| `{name}` | {', '.join(f'`{one}`' for one in others[1:])} |" for name, others in ALIASES.items()]
    return "\n".join(["| column | also understood |", "| --- | --- |", *rows])


def _plots() -> str:
    rows = [f"| `{kind}` | {(draw.__doc__ or '').partition(chr(10))[0]} |" for kind, draw in KINDS.items()]
    return "\n".join(["| kind | what it draws |", "| --- | --- |", *rows])


def thresholds() -> dict[str, list[tuple[str, str, str]]]:
    """Read name, value and reason of every threshold from its module, by the titles of its parts."""
    source = Path(scalefit.thresholds.__file__).read_text(encoding="utf-8")
    titles = [
        (number, found[1]) for number, line in enumerate(source.split("\n"), start=1)
        if (found := re.fullmatch(r"# (.+?) -+", line))
    ]  # fmt: skip
    parts: dict[str, list[tuple[str, str, str]]] = {title: [] for _, title in titles}
    body = ast.parse(source).body
    for one, after in pairwise(body):
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name) and one.targets[0].id.isupper():
            if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
                raise ValueError(f"{one.targets[0].id} has no reason below it")
            title = [title for line, title in titles if line < one.lineno][-1]
            reason = " ".join(str(after.value.value).split())
            value = ast.literal_eval(one.value)
            shown = " to ".join(exact(end) for end in (value if isinstance(value, tuple) else (value,)))
            parts[title].append((one.targets[0].id, shown, reason))
    return parts


def _thresholds() -> str:
    lines = []
    for title, rows in thresholds().items():
        lines += [f"**{title}**", "", "| name | value | meaning and reason |", "| --- | --- | --- |"]
        lines += [f"| `{name}` | {value} | {reason} |" for name, value, reason in rows]
        lines.append("")
    return "\n".join(lines)


SNIPPETS: Mapping[str, Callable[[], str]] = {
    "presets": _presets,
    "aliases": _aliases,
    "laws": _laws,
    "plots": _plots,
    "default grid": lambda: f"```toml\n{DEFAULT_GRID.strip()}\n```",
    "study keys": studies.keys,
    "thresholds": _thresholds,
}


def filled(text: str, page: str) -> str:
    """Put generated tables in the place of ``{{ name }}``."""

    def snippet(match: re.Match[str]) -> str:
        if match[1] not in SNIPPETS:
            raise ValueError(f"{page} asks for {match[1]!r}; there are {', '.join(SNIPPETS)}")
        return SNIPPETS[match[1]]()

    return re.sub(r"^\{\{ ([\w ]+) \}\}$", snippet, text, flags=re.MULTILINE)
