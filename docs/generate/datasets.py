"""Pages of the data sets, from the manifest, the schema and each SOURCE.md."""

from __future__ import annotations

import tomllib
from typing import Any

from docs.generate.api import ROOT

DATA = ROOT / "data"


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / name).read_text(encoding="utf-8"))


def pages() -> dict[str, str]:
    """Write an index, and a page for each set."""
    manifest, schema = _toml("manifest.toml"), _toml("schema.toml")
    rows = [f"| [{name}]({name}.md) | {one['title']} | {one['rows']} |" for name, one in manifest.items()]
    index = [
        "# Data sets",
        "Published losses of real and toy models in one layout, each with its origin, licence and known problems. "
        "They are part of the package: `scalefit.load_dataset(name)` gives the table, and every function and verb "
        "takes the name in place of a file. Nothing is filtered, and each table is checked against its SHA-256.",
        "\n".join(["| name | what | rows |", "| --- | --- | ---: |", *rows]),
    ]
    made = {"data/index.md": "\n\n".join(index) + "\n"}
    return made | {f"data/{name}.md": _page(name, one, schema) for name, one in manifest.items()}


def _page(name: str, one: dict[str, Any], schema: dict[str, Any]) -> str:
    source = (DATA / name / "SOURCE.md").read_text(encoding="utf-8").strip()
    facts = {
        "rows": f"{one['rows']:,}",
        "unit of the loss": one.get("loss_unit", "no loss"),
        "rows belong together by": f"`{one['cluster']}`" if "cluster" in one else "nothing known",
        "licence": one["licence"],
        "sources": "; ".join([*one["sources"], *one.get("repositories", ())]),
        "SHA-256": f"`{one['sha256'][:16]}…`",
    }
    blocks = [
        source,
        "## Facts",
        "\n".join(["| fact | value |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in facts.items())]),
        "## Columns",
        "\n".join(
            [
                "| column | unit | meaning |",
                "| --- | --- | --- |",
                *(
                    f"| `{column}` | {_unit(schema[column], one)} | {_cell(schema[column])} |"
                    for column in one["columns"]
                ),
            ]
        ),
        f'```python\nimport scalefit\n\nruns = scalefit.load_dataset("{name}")\n```',
    ]
    return "\n\n".join(blocks) + "\n"


def _unit(column: dict[str, Any], one: dict[str, Any]) -> str:
    unit = column["unit"]
    return {"loss_unit": one.get("loss_unit", ""), "-": ""}.get(unit, unit)


def _cell(column: dict[str, Any]) -> str:
    return str(column["meaning"]).replace("|", r"\|")
