"""The notebooks as pages: their text, their code, and what they were stored with."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from docs.generate.api import ROOT

FOLDER = ROOT / "notebooks"
ORDER = (
    "first_refit", "your_own_data", "posteriors_and_comparison", "laws_beyond_chinchilla", "ten_small_runs",
    "toy_model", "checkpoints_to_exponent", "reading_the_report",
)  # fmt: skip


def names() -> list[str]:
    """Every notebook, those of the course first and in their order."""
    stems = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    return sorted(stems, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def pages() -> dict[str, str | bytes]:
    """Write an index, a page for each; add its pictures and the notebook itself."""
    made: dict[str, str | bytes] = {}
    lines = []
    for name in names():
        raw = (FOLDER / f"{name}.ipynb").read_bytes()
        cells = json.loads(raw)["cells"]
        blocks = [_joined(cells[0]["source"]), f"[Download this notebook]({name}.ipynb){{ .md-button }}"]
        for number, cell in enumerate(cells[1:], start=1):
            if cell["cell_type"] == "markdown":
                blocks.append(_joined(cell["source"]))
                continue
            blocks.append(_code(_joined(cell["source"])))
            for output in cell["outputs"]:
                block, picture = _output(output, f"{name}-{number}.png")
                blocks.append(block)
                made |= {f"notebooks/{name}-{number}.png": picture} if picture else {}
        made[f"notebooks/{name}.md"] = "\n\n".join(block for block in blocks if block) + "\n"
        made[f"notebooks/{name}.ipynb"] = raw
        title, _, rest = _joined(cells[0]["source"]).partition("\n\n")
        lines.append(f"- [{title.removeprefix('# ')}]({name}.md). {_first_sentence(rest)}")
    index = ["# Notebooks", "Every lesson is run and checked by the tests; they are in the folder `notebooks`."]
    made["notebooks/index.md"] = "\n\n".join([*index, "\n".join(lines)]) + "\n"
    return made


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.?!])(?<! al\.)\s", text, maxsplit=1)[0]


def _code(source: str) -> str:
    language = "toml" if source.startswith("%%writefile") and ".toml" in source.partition("\n")[0] else "python"
    return f"```{language}\n{source}\n```"


def _output(output: dict[str, Any], file: str) -> tuple[str, bytes]:
    """Return what stands on the page, and the picture that it shows if it is one."""
    if output["output_type"] == "stream":
        return f"```{{ .text .output }}\n{_joined(output['text']).rstrip()}\n```", b""
    data = output["data"]
    if "image/png" in data:
        width = next(iter(output.get("metadata", {}).values()), {}).get("width", "")
        size = f'{{ width="{width}" }}' if width else ""
        return f"![The figure that the code above draws]({file}){size}", base64.b64decode(_joined(data["image/png"]))
    if "text/html" in data:
        table = re.sub(r"<style.*?</style>|border=\"1\"|style=\"[^\"]*\"", "", _joined(data["text/html"]), flags=re.S)
        return '<div class="frame">' + re.sub(r"\s*\n\s*", "", table) + "</div>", b""
    return f"```{{ .text .output }}\n{_joined(data['text/plain'])}\n```", b""
