"""Pages that are files of the repository, and the small tables that hand-written pages ask for by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from docs.generate import studies
from docs.generate.api import ROOT
from scalefit.data.quantities import ALIASES
from scalefit.law.additive import PRESETS
from scalefit.plots import KINDS
from scalefit.toy.grid import DEFAULT_GRID

FILES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "tests/benchmarks/RESULTS.md": "measurements.md"}
COPIES = "files/"
LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")


def pages() -> dict[str, str | bytes]:
    """Take the texts that the repository shows on its own, their links turned to pages, and what they link to."""
    read = {file: (ROOT / file).read_text(encoding="utf-8") for file in FILES}
    asked = {target for file, text in read.items() for target in map(partial(_target, file), LINK.findall(text))}
    copies = {place(target): (ROOT / target).read_bytes() for target in asked if place(target).startswith(COPIES)}
    return {FILES[file]: moved(text, file) for file, text in read.items()} | copies


def moved(text: str, file: str) -> str:
    """Turn links to files of the repository into links of the site; refuse one that leads nowhere."""

    def link(found: re.Match[str]) -> str:
        target = _target(file, found[1])
        if not (ROOT / target).exists():
            raise ValueError(f"{file} links to {found[1]}, which does not exist")
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


def _aliases() -> str:
    rows = [f"| `{name}` | {', '.join(f'`{one}`' for one in others[1:])} |" for name, others in ALIASES.items()]
    return "\n".join(["| column | also understood |", "| --- | --- |", *rows])


def _plots() -> str:
    rows = [f"| `{kind}` | {(draw.__doc__ or '').partition(chr(10))[0]} |" for kind, draw in KINDS.items()]
    return "\n".join(["| kind | what it draws |", "| --- | --- |", *rows])


SNIPPETS: Mapping[str, Callable[[], str]] = {
    "presets": _presets,
    "aliases": _aliases,
    "plots": _plots,
    "default grid": lambda: f"```toml\n{DEFAULT_GRID.strip()}\n```",
    "study keys": studies.keys,
}


def filled(text: str, page: str) -> str:
    """Put generated tables in the place of ``{{ name }}``."""

    def snippet(found: re.Match[str]) -> str:
        if found[1] not in SNIPPETS:
            raise ValueError(f"{page} asks for {found[1]!r}; there are {', '.join(SNIPPETS)}")
        return SNIPPETS[found[1]]()

    return re.sub(r"^\{\{ ([\w ]+) \}\}$", snippet, text, flags=re.MULTILINE)
