"""Verbs for real models: measure output heads, shift one, and test the theory on them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from scalefit.cli.app import Json, app
from scalefit.cli.effects import check_picture
from scalefit.cli.options import Given, with_options
from scalefit.numbers import exact
from scalefit.options import HEADS, SUPERPOSITION
from scalefit.terminal import ProgressLine, check_outputs

__all__ = ["heads", "shift_head", "superposition"]

Checkpoints = Annotated[
    list[Path], typer.Argument(metavar="DIR...", help="Folders with config.json and safetensors, or single files.")
]


@app.command()
@with_options(*HEADS)
def heads(
    checkpoints: Checkpoints,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The table (CSV), a row per model; resumes where it stopped.")
    ],
    given: Given,
    family: Annotated[str | None, typer.Option(help="Label of these models; default: model_type.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Also draw them (svg, png, pdf).")] = None,
    as_json: Json = False,
) -> None:
    """Measure the output heads of language models: overlaps, norms, dimensions.

    Example: scalefit heads pythia-70m pythia-160m --family Pythia --out heads.csv
    """
    from scalefit.models.table import measure_heads
    from scalefit.models.words import sentence

    check_picture(plot)
    check_outputs([out, plot], [*checkpoints, given.get("counts"), given.get("rows")])
    with ProgressLine() as progress:
        measured = measure_heads(checkpoints, out=out, family=family, progress=progress, **given)
    for head in measured:
        for remark in head.remarks:
            print(f"{head.run}: {remark}", file=sys.stderr)
    if as_json:
        print(json.dumps({"out": str(out), "models": [head.record() for head in measured]}, indent=1))
    else:
        for head in measured:
            print(f"{head.run} ({head.family}): {sentence(head)}")
    print(f"written to {out}", file=sys.stderr)
    if plot is not None:
        from scalefit.plots.heads import draw_heads
        from scalefit.plots.style import save_figure

        save_figure(draw_heads(measured), plot)
        print(f"drawn to {plot}", file=sys.stderr)


@app.command()
@with_options(*SUPERPOSITION)
def superposition(
    table: Annotated[str, typer.Argument(help="A table of scalefit heads, or llm_heads, the published points.")],
    given: Given,
    losses: Annotated[
        str | None, typer.Option(help="Losses of the same models (columns run, loss), such as llm_families.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it (svg, png, pdf).")] = None,
    as_json: Json = False,
) -> None:
    """Test the theory on heads: whether the overlap falls as 1/width, is random, and determines the loss.

    Example: scalefit superposition llm_heads --losses llm_families
    """
    from scalefit.models.theory import superposition as test_theory

    check_picture(plot)
    with ProgressLine() as progress:
        test = test_theory(table, losses, progress=progress, **given)
    print(json.dumps(test.record(), indent=1) if as_json else test)
    if plot is not None:
        from scalefit.plots.heads import overlaps
        from scalefit.plots.style import save_figure

        published, own = (test.rows, None) if table == "llm_heads" else (None, test.rows)
        save_figure(overlaps(published=published, own=own, column=test.overlap), plot)
        print(f"drawn to {plot}", file=sys.stderr)
    raise typer.Exit(test.slope.exit_code)


@app.command(name="shift-head")
def shift_head(
    checkpoint: Annotated[Path, typer.Argument(metavar="DIR", help="A folder whose head is not the embedding.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The new folder.")],
    size: Annotated[float, typer.Option(help="Norm of the vector, in root mean square norms of the rows.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the vector's direction.")] = 0,
) -> None:
    """Copy a model and add one vector to every row of its head: the raw overlap changes, predictions do not.

    A model with soft-capped logits is rejected, because its predictions would change.

    Example: scalefit shift-head pythia-70m --out shifted; then scalefit heads and scalefit losses of both
    """
    from scalefit.models.shift import shift_head as shift

    moved = shift(checkpoint, out, size=size, seed=seed)
    print(f"{out}: a vector of {exact(size)} times the rows' norm is added to every row of {moved}")
