"""Verbs that measure checkpoints on texts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli.app import Json, app
from scalefit.terminal import Progress, check_writable, print_table

__all__ = ["losses"]

SAME_TOKENS = 1.005  # more than the token at an end of the text, which one of them may not have scored
HEADER = ["run", "text", "width", "parameters", "loss per token", "bits per byte"]


@app.command()
def losses(
    checkpoints: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders of checkpoints: config.json, weights, tokenizer.")
    ],
    text: Annotated[list[Path], typer.Option("--text", help="A file in UTF-8; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", help="The table (CSV); what is in it already is not measured again.")],
    context: Annotated[int, typer.Option(help="Tokens of a window, the same for all models.")] = 1024,
    stride: Annotated[
        int | None, typer.Option(help="Tokens from window to window; the context less 1 without it.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Score only so many tokens from the beginning.")] = None,
    batch: Annotated[int | None, typer.Option(help="Windows at a time; 1 GiB of logits without it.")] = None,
    dtype: Annotated[str, typer.Option(help="Precision of weights and logits: float32 or bfloat16.")] = "float32",
    device: Annotated[str, typer.Option(help="Where the models run: cpu or cuda.")] = "cpu",
    bos: Annotated[
        str, typer.Option(help="Start each window with the token for a beginning: yes, no, or auto as the tokenizer.")
    ] = "auto",
    family: Annotated[str | None, typer.Option(help="Label of these models; the architecture without it.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the losses of checkpoints on texts, as a TABLE for fit and bayes. Nothing is fetched.

    Example: scalefit losses models/* --text held_out.txt --out runs.csv
    """
    from scalefit.models.losses import Scoring, measure_losses

    check_writable(out)
    scoring = Scoring(context, stride, max_tokens, batch, dtype, device, bos)
    with Progress() as progress:
        table = measure_losses(checkpoints, text, scoring, out=out, family=family, progress=progress)
    if as_json:
        print(json.dumps(json.loads(table.to_json(orient="records", double_precision=15)), indent=1))
        return
    print_table(HEADER, [_cells(row) for _, row in table.iterrows()], right=(2, 3, 4, 5))
    print(f"{len(table)} rows are in {out}; errors are over windows of the text, not over texts or trainings")
    for remark in _remarks(table):
        print(remark, file=sys.stderr)


def _cells(row: Any) -> list[str]:
    from scalefit.rounding import plus_minus

    sizes = [str(row["width"]), f"{row['params']:,}"]
    return [row["run"], row["eval_set"], *sizes, plus_minus(row["loss"], row["loss_se"]), f"{row['bits_per_byte']:.4f}"]


def _remarks(table: Any) -> list[str]:
    """Say what a reader of these losses could overlook."""
    remarks = []
    tokens_per_byte = table["tokens_scored"] / table["bytes"]
    if any(one.max() > one.min() * SAME_TOKENS for _, one in tokens_per_byte.groupby(table["eval_set"])):
        remarks.append("the tokenizers differ: compare bits per byte, for a loss per token depends on what a token is")
    unknown = table[table["unknown"] > 0]
    if len(unknown):
        first = unknown.iloc[0]
        remarks.append(
            f"{first['unknown']:,} tokens of {first['eval_set']} are unknown to the tokenizer of {first['run']}, which "
            "makes its loss too small"
        )
    return remarks
