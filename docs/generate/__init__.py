"""What the documentation takes from the sources: every function returns pages, and nothing is written to disk."""

from __future__ import annotations

from typing import Any

from docs.generate import api, commands, datasets, lessons, texts

__all__ = ["everything", "expanded"]


def everything() -> dict[str, str | bytes]:
    """All generated files of the site, by path."""
    return texts.pages() | api.pages() | commands.pages() | datasets.pages() | lessons.pages()


def expanded(nav: list[Any]) -> list[Any]:
    """Put the generated pages of a folder in the place of ``folder/*``."""
    folders = {
        "notebooks/*": ["notebooks/index.md", *(f"notebooks/{name}.md" for name in lessons.names())],
        "data/*": sorted(datasets.pages(), key=lambda page: page != "data/index.md"),
        "api/*": [
            "api/index.md",
            *(
                {heading: [{f"scalefit.{one}": f"api/{one}.md"} for one in names]}
                for heading, names in api.grouped().items()
            ),
        ],
    }
    return [
        {title: folders.get(inner, inner) if isinstance(inner, str) else inner for title, inner in entry.items()}
        for entry in nav
    ]
