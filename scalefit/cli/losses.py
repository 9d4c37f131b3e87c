"""Verbs that measure checkpoints and tokenizers on texts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli.app import Json, app
from scalefit.cli.effects import check_picture
from scalefit.cli.options import Given, with_options
from scalefit.errors import DataError
from scalefit.numbers import exact, fixed, rounded
from scalefit.options import LOSSES
from scalefit.terminal import ProgressLine, check_outputs, print_table

__all__ = ["frequencies", "losses"]

SAME_TOKENS = 1.005  # ratio of token counts; above that of the one token at the end that a model may not score
FEW = 40  # occurrences of the last token of a range, below which the exponent is biased by more than 0.003
HEADER = ["run", "text", "width", "parameters", "loss per token", "bits per byte"]


@app.command()
@with_options(*LOSSES)
def losses(
    checkpoints: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders of checkpoints: config.json, weights, tokenizer.")
    ],
    text: Annotated[list[Path], typer.Option("--text", help="A file in UTF-8; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", help="The table (CSV); rows that it has are not measured again.")],
    given: Given,
    family: Annotated[str | None, typer.Option(help="Label of these models; default: the architecture.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the losses of checkpoints on texts, as a TABLE for fit and bayes. Nothing is downloaded.

    Example: scalefit losses models/* --text held_out.txt --out runs.csv
    """
    from scalefit.models.losses import measure_losses
    from scalefit.numbers import counted

    check_outputs([out], [*checkpoints, *text])
    with ProgressLine() as progress:
        table = measure_losses(checkpoints, text, out=out, family=family, progress=progress, **given)
    if as_json:
        rows = json.loads(table.to_json(orient="records", double_precision=15))
        print(json.dumps({"out": str(out), "rows": rows}, indent=1))
        return
    print_table(HEADER, [_cells(row) for _, row in table.iterrows()], right=(2, 3, 4, 5))
    count = counted(len(table), "row is", "rows are")
    print(f"{count} in {out}; errors are over windows of the text, not over texts or trainings")
    for remark in _remarks(table, out):
        print(remark, file=sys.stderr)


def _cells(row: Any) -> list[str]:
    from scalefit.numbers import plus_minus

    sizes = [str(row["width"]), exact(row["params"])]
    return [
        row["run"],
        row["eval_set"],
        *sizes,
        plus_minus(row["loss"], row["loss_se"]),
        fixed(row["bits_per_byte"], 4),
    ]


def _remarks(table: Any, out: Path) -> list[str]:
    """Return remarks on what a reader of these losses could overlook."""
    import pandas as pd

    remarks = []
    further = len(pd.read_csv(out)) - len(table)
    if further:
        remarks.append(
            f"{out} has {further} more from earlier calls; where these differ in context, stride or text, choose rows "
            f"of one kind, such as with --where 'context == {table['context'].iloc[0]}'"
        )
    tokens_per_byte = table["tokens_scored"] / table["bytes"]
    if any(group.max() > group.min() * SAME_TOKENS for _, group in tokens_per_byte.groupby(table["eval_set"])):
        remarks.append("the tokenizers differ: compare bits per byte; a loss per token depends on the tokenizer")
    unknown = table[table["unknown"] > 0]
    if len(unknown):
        first = unknown.iloc[0]
        remarks.append(
            f"{exact(first['unknown'])} tokens of {first['eval_set']} are unknown to the tokenizer of "
            f"{first['run']}, which makes its loss too small"
        )
    return remarks


@app.command()
def frequencies(
    tokenizer: Annotated[Path, typer.Option("--tokenizer", metavar="DIR", help="A folder with tokenizer.json.")],
    text: Annotated[list[Path], typer.Option("--text", help="A file in UTF-8; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", help="The counts (CSV): rank, id, count.")],
    ranks: Annotated[
        list[str] | None,
        typer.Option("--ranks", metavar="LO:HI", help="Ranks that are fitted, such as 10:1000; may be repeated."),
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Also draw them (svg, png, pdf).")] = None,
    as_json: Json = False,
) -> None:
    """Count the tokens of texts, and fit the exponent of their frequencies.

    The counts are frequencies for the toy model: frequency = "counts.csv" in its grid.

    Example: scalefit frequencies --tokenizer models/small --text held_out.txt --out counts.csv
    """
    from scalefit.models.frequencies import count_tokens, parse_ranks

    check_picture(plot)
    check_outputs([out, plot], [tokenizer, *text])
    parse_ranks(ranks, 1)  # an invalid range is rejected before the counting
    with ProgressLine() as progress:
        counted = count_tokens(tokenizer, text, progress=progress)
    counted.save(out)  # counting takes long, so save before a range that does not fit the counts is rejected
    try:
        fitted = [counted.exponent(lo, hi) for lo, hi in parse_ranks(ranks, len(counted.ids))]
    except DataError as error:
        raise DataError(f"{error}; the counts are in {str(out)!r}") from None
    if plot is not None:
        from scalefit.plots.frequencies import draw_frequencies
        from scalefit.plots.style import save_figure

        save_figure(draw_frequencies(counted, fitted), plot)
        print(f"drawn to {plot}", file=sys.stderr)
    if as_json:
        exponents = [law._asdict() for law in fitted]
        record = {"out": str(out), "tokens": counted.total, "ids": len(counted.ids), "vocab": counted.vocab}
        print(json.dumps(record | {"exponents": exponents}, indent=1))
        return
    print(
        f"{exact(counted.total)} tokens of {counted.name}; "
        f"{exact(len(counted.ids))} of {exact(counted.vocab)} ids occur"
    )
    print_table(["ranks", "exponent", "tokens", "misfit"], [_exponent_cells(law) for law in fitted], right=(0, 1, 2, 3))
    print("exponent: of count ~ rank^-exponent by maximum likelihood; misfit: chi-square per degree of freedom, large")
    print(f"where the law is curved; errors: of counting, times the root of the misfit; the counts are in {out}")
    for law in fitted:
        least = int(counted.counts[law.hi - 1])
        if least < FEW:
            print(
                f"ranks {law.lo}:{law.hi} end at a token that occurs {least} times: chance decides the order of such "
                "tokens, which biases the exponent; use a range of fewer ranks, or more text",
                file=sys.stderr,
            )


def _exponent_cells(exponent: Any) -> list[str]:
    from scalefit.numbers import plus_minus

    return [
        f"{exponent.lo}:{exponent.hi}",
        plus_minus(exponent.alpha, exponent.error),
        exact(exponent.tokens),
        rounded(exponent.misfit),
    ]
