"""Called by mkdocs: add the pages that are generated, and fill the tables that hand-written pages ask for."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mkdocs.structure.files import File, Files

from docs.generate import everything, expanded, roles, texts  # noqa: F401
from docs.generate.maths import Formulas


def on_config(config: Any) -> Any:
    """Let Markdown set formulas, and name the generated pages in the navigation."""
    config.nav = expanded(config.nav)
    config.markdown_extensions.append(Formulas())
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add what is made from the sources; nothing of it is ever written into the repository."""
    for path, content in everything().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in the tables."""
    return texts.filled(markdown, page.file.src_uri)


def on_page_content(html: str, **_: Any) -> str:
    """Mark short code, which is not broken at its hyphens."""
    return re.sub(r"(?<!</span>)<code>(?=[^<\n]{1,26}</code>)", '<code class="short">', html)
