"""Verbs that run many fits: how far an answer moves with its choices, and whether intervals hold what they promise."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli.app import Json, Table, app, assignments
from scalefit.cli.effects import mapped_columns, refuse_idle
from scalefit.errors import DataError
from scalefit.terminal import Progress, check_writable

__all__ = ["calibrate_command", "sensitivity_command"]

LawText = Annotated[str, typer.Argument(help="A law such as 'loss ~ E + A/params^alpha', or a preset's name.")]
Prior = Annotated[list[str] | None, typer.Option(help="name=Dist(args), such as alpha=HalfNormal(2).")]
Where = Annotated[str | None, typer.Option(help="As for fit.")]
Cut = Annotated[int, typer.Option(help="As for fit.")]
Text = Annotated[str, typer.Option(help="As for fit.")]
Mapping = Annotated[list[str] | None, typer.Option("--map", help="As for fit.")]
Several = Annotated[list[str] | None, typer.Option(help="As for fit.")]
Invalid = Annotated[bool, typer.Option("--drop-invalid", help="As for fit.")]
Route = Annotated[str, typer.Option(help="auto, fast (importance sampling) or full (NUTS).")]
Level = Annotated[float, typer.Option(help="Probability of the intervals.")]
Seed = Annotated[int, typer.Option(help="Seed.")]
Folder = Annotated[Path | None, typer.Option(help="Keep what is finished here; the same command goes on from it.")]
Workers = Annotated[int | None, typer.Option(help="Processes; one per core without it.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a dask scheduler, such as tcp://host:8786.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Run stored failures again.")]
Picture = Annotated[Path | None, typer.Option("--out", help="Draw the result to this file (svg, png, pdf).")]


@app.command(name="sensitivity")
def sensitivity_command(
    ctx: typer.Context,
    table: Table,
    law: LawText,
    param: Annotated[str, typer.Option(help="The parameter in question.")],
    reference: Annotated[float | None, typer.Option(help="A value to test, such as 1.")] = None,
    region: Annotated[str | None, typer.Option(help="What counts as equal to it: 0.9,1.1")] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="likelihood=normal,student_t or 'prior=HalfNormal(1);Uniform(0,3)' or cluster=none,shape ..."
        ),
    ] = None,
    design: Annotated[str, typer.Option(help="one: one choice changed at a time; grid: every combination.")] = "one",
    likelihood: Annotated[str, typer.Option(help="Of the base: student_t or normal.")] = "student_t",
    cluster: Annotated[str | None, typer.Option(help="Of the base: column whose rows share a random shift.")] = None,
    prior: Prior = None,
    pool: Annotated[list[str] | None, typer.Option(help="name=none, partial or full.")] = None,
    path: Route = "auto",
    draws: Annotated[int, typer.Option(help="Draws of each posterior, replicates of each bootstrap.")] = 4000,
    where: Where = None,
    drop_highest_loss: Cut = 0,
    ties: Text = "drop",
    mapping: Mapping = None,
    derive: Several = None,
    drop_invalid: Invalid = False,
    weights: Where = None,
    exponents: Text = "nonnegative",
    level: Level = 0.95,
    seed: Seed = 0,
    folder: Folder = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    retry_failed: Retry = False,
    out: Picture = None,
    as_json: Json = False,
) -> None:
    """Ask one question under other cuts, likelihoods, clusters, priors and conventions; see how far the answer moves.

    Example: scalefit sensitivity chinchilla width_depth --param a_m --reference 1 --drop-highest-loss 40
    """
    from scalefit.robustness import sensitivity

    varied = assignments(vary, "--vary")
    cut = drop_highest_loss or not varied or "drop_highest_loss" in varied
    refuse_idle(
        ctx, ties=not cut and "without --drop-highest-loss", retry_failed=folder is None and "without --folder",
        workers=scheduler is not None and "with --scheduler, which has its own",
    )  # fmt: skip
    columns = mapped_columns(mapping, law, derive, where, weights, cluster, *_names(varied))
    _check_picture(out)
    with Progress() as progress:
        result = sensitivity(
            table, law, param=param, reference=reference, region=_region(region),
            vary=varied or None, design=design, likelihood=likelihood, cluster=cluster,
            priors=assignments(prior, "--prior"), pool=assignments(pool, "--pool"), path=path, draws=draws,
            where=where, drop_highest_loss=drop_highest_loss, ties=ties, mapping=columns, derive=derive or (),
            drop_invalid=drop_invalid, weights=weights, exponents=exponents, level=level, seed=seed, folder=folder,
            workers=workers, scheduler=scheduler, retry_failed=retry_failed, progress=progress,
        )  # fmt: skip
    _show(result, out, as_json)
    raise typer.Exit(result.exit_code)


@app.command(name="calibrate")
def calibrate_command(
    ctx: typer.Context,
    table: Table,
    law: LawText,
    likelihood: Annotated[str, typer.Option(help="Of the simulated data: student_t or normal.")] = "student_t",
    cluster: Annotated[str | None, typer.Option(help="Column whose rows share a random shift when simulated.")] = None,
    fit_likelihood: Annotated[str, typer.Option(help="Of the fit: same, student_t or normal.")] = "same",
    fit_cluster: Annotated[str, typer.Option(help="Of the fit: same, a column, or none to ignore clusters.")] = "same",
    truth: Annotated[str, typer.Option(help="Draw truths from the prior or the posterior.")] = "prior",
    engine: Annotated[str, typer.Option(help="bayes, or leastsq with a bootstrap.")] = "bayes",
    loss: Annotated[str, typer.Option(help="Of leastsq: squared or huber.")] = "squared",
    n: Annotated[int, typer.Option("--n", help="Data sets to simulate.")] = 100,
    draws: Annotated[int, typer.Option(help="Draws of each posterior, replicates of each bootstrap.")] = 2000,
    level: Level = 0.95,
    path: Route = "auto",
    prior: Prior = None,
    exponents: Text = "nonnegative",
    where: Where = None,
    drop_highest_loss: Cut = 0,
    ties: Text = "drop",
    mapping: Mapping = None,
    derive: Several = None,
    drop_invalid: Invalid = False,
    seed: Seed = 0,
    folder: Folder = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    retry_failed: Retry = False,
    out: Picture = None,
    as_json: Json = False,
) -> None:
    """Simulate data with known parameters on the rows of a table, fit them, and count what the intervals cover.

    Example: scalefit calibrate chinchilla width_depth --likelihood normal --cluster shape --fit-cluster none
    """
    from scalefit.robustness import calibrate

    least_squares = engine == "leastsq" and "with --engine leastsq"
    refuse_idle(
        ctx, loss=engine == "bayes" and "without --engine leastsq", fit_likelihood=least_squares,
        path=truth == "prior" and least_squares, ties=not drop_highest_loss and "without --drop-highest-loss",
        retry_failed=folder is None and "without --folder",
        workers=scheduler is not None and "with --scheduler, which has its own",
    )  # fmt: skip
    clusters = (cluster, None if fit_cluster in ("same", "none") else fit_cluster)
    columns = mapped_columns(mapping, law, derive, where, *clusters)
    _check_picture(out)
    with Progress() as progress:
        result = calibrate(
            table, law, likelihood=likelihood, cluster=cluster, fit_likelihood=fit_likelihood,
            fit_cluster=None if fit_cluster == "none" else fit_cluster, truth=truth, engine=engine, loss=loss, n=n,
            draws=draws, level=level, path=path, priors=assignments(prior, "--prior"), exponents=exponents,
            where=where, drop_highest_loss=drop_highest_loss, ties=ties, mapping=columns, derive=derive or (),
            drop_invalid=drop_invalid, seed=seed, folder=folder, workers=workers, scheduler=scheduler,
            retry_failed=retry_failed, progress=progress,
        )  # fmt: skip
    _show(result, out, as_json)
    raise typer.Exit(result.exit_code)


def _names(varied: dict[str, str]) -> list[str]:
    """Every word in what is varied; a column that is mapped onto one of them has a use."""
    return re.findall(r"\w+", " ".join(varied.get(one, "") for one in ("where", "weights", "cluster")))


def _check_picture(out: Path | None) -> None:
    """Refuse a picture that cannot be drawn before the computing starts."""
    check_writable(out)
    if out is not None and out.suffix.lower() not in (".svg", ".png", ".pdf"):
        raise DataError(f"cannot draw to {out.name!r}; end the name with .svg, .png or .pdf")


def _region(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise DataError(f"--region is {text!r}; it needs two numbers, such as 0.9,1.1") from None
    return low, high


def _show(result: Any, out: Path | None, as_json: bool) -> None:
    if out is not None:
        from scalefit.plots.style import save_figure

        save_figure(result.plot(), out)
        print(f"drawn to {out}", file=sys.stderr)
    print(json.dumps(result.record(), indent=1) if as_json else result)
