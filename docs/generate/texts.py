"""Pages that are files of the repository, and the small tables that hand-written pages ask for by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from docs.generate import studies
from docs.generate.api import ROOT
from scalefit.law import PRESETS
from scalefit.plots import KINDS
from scalefit.quantities import ALIASES
from scalefit.toy.grid import DEFAULT_GRID

FILES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "tests/benchmarks/RESULTS.md": "measurements.md"}
LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")


def pages() -> dict[str, str]:
    """Take the texts that the repository shows on its own, with their links turned to pages."""
    return {page: moved((ROOT / file).read_text(encoding="utf-8"), file) for file, page in FILES.items()}


def moved(text: str, file: str) -> str:
    """Turn links to files of the repository into links to pages; refuse one that has no page."""
    folder = (ROOT / file).parent

    def page(found: re.Match[str]) -> str:
        target = (folder / found[1]).resolve().relative_to(ROOT).as_posix()
        if target not in FILES:
            raise ValueError(
                f"{file} links to {found[1]}, which has no page; add it to FILES in docs/generate/texts.py"
            )
        return FILES[target]

    return LINK.sub(page, text)


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
