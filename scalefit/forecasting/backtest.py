"""Judge forecasts on runs that are known already: rolling origins of one table or of the public set, each cell kept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.data.datasets import load_dataset
from scalefit.data.tables import Table
from scalefit.errors import DataError, FitFailed, closest
from scalefit.files import plain_json
from scalefit.forecasting.inputs import FEWEST, UNUSED, Learning, read_learning
from scalefit.forecasting.learned import ALL, learned
from scalefit.forecasting.methods import METHODS, predict_ahead
from scalefit.forecasting.rule import LAWS, SHAPE, SHAPED, TIE, Runs, make_rule, origins, varying
from scalefit.forecasting.scores import QUANTILES, BacktestResult, GroupHeldOut, LawRank
from scalefit.jobs import FAILED, JobResult, job_key, run_jobs
from scalefit.law.additive import PRESETS, Law
from scalefit.law.general import parse_law
from scalefit.law.presets import LAWS as PRESET_LAWS
from scalefit.leastsq.fit import fit
from scalefit.names import printed_name
from scalefit.numbers import counted, exact, to_digits
from scalefit.options import BACKTEST, Backtest, Forecasting, Jobs, LeastSquares, Rows, gather, takes
from scalefit.problem import label_texts
from scalefit.progress import Progress
from scalefit.records import Finding
from scalefit.version import __version__

__all__ = ["PUBLIC", "backtest", "judge_cell", "public_cuts"]

Array = NDArray[np.float64]

PUBLIC = "public"
DIGITS = 10  # of a quantile that is kept
RANK_DRAWS = 500  # of the posterior of a law that is ranked


@takes(*BACKTEST)
def backtest(
    data: str | os.PathLike[str] | pd.DataFrame | Table = PUBLIC,
    *options: Rows | Backtest | Jobs,
    progress: Progress | None = None,
    **keywords: Any,
) -> BacktestResult:
    """Measure how forecasts do: learn from the smaller runs, and compare with the larger ones.

    Parameters
    ----------
    data : str, path, DataFrame or Table
        A table with loss, params, tokens (or one of the two), as for :func:`scalefit.forecast`; or ``"public"``, the
        tables of the shipped set ``backtest`` with their cuts.
    *options : Rows, Backtest, Jobs
        Options as values.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **keywords
        Fields of :class:`scalefit.options.Rows`, :class:`scalefit.options.Backtest` and :class:`scalefit.options.Jobs`.

    Returns
    -------
    BacktestResult
        ``print(result)``; of one table also the laws by how well they predicted, or with ``group`` each group.

    Raises
    ------
    LawError, DataError
        When table or options cannot be used; nothing was computed.
    TypeError
        For a keyword that is not an option.
    Interrupted
        On Ctrl-C; finished cells are kept in the folder.

    Examples
    --------
    >>> result = backtest("chinchilla", where="flops < 1e20", origins=("0.5",), methods=("slope",), workers=1)
    >>> result.table()[["method", "least", "cells"]].values.tolist()
    [['slope', 2.0, 1]]
    """
    rows, how, where = gather(BACKTEST, options, keywords)
    methods = _methods(how)
    if isinstance(data, str) and data == PUBLIC:
        if rows != Rows() or how.group is not None:
            raise DataError("the public backtest has its own tables and cuts; leave out options of rows and --group")
        return _judge(PUBLIC, public_cuts(), methods, where, progress, how.least)
    source = rows.load(data)
    learning = read_learning(source, rows, Forecasting(cost=how.cost), apart=how.group)
    if how.group is not None:
        return _hold_out_groups(learning, how, where, progress)
    cuts = {learning.table.name: (learning.table.name, learning.runs, _cuts(learning.runs, how))}
    found = _judge(learning.table.name, cuts, methods, where, progress, how.least)
    findings = (*learning.notes, *_shape_known(learning.runs, cuts[learning.table.name][2]))
    found = replace(found, findings=findings, reading=learning.reading)
    return _with_ranks(found, source, rows, learning, cuts[learning.table.name][2], where, progress)


def _shape_known(runs: Runs, cuts: list[float]) -> Iterator[Finding]:
    """Say from how many origins forecasts do not know of the shape, which the table has."""
    if SHAPE not in runs.columns:
        return
    known = 0
    for cut in cuts:
        inside = runs.c <= cut + TIE
        some = varying(runs, inside).keep(inside)
        known += SHAPE in some.columns and bool(origins(some, np.ones(len(some.y)), learned().constants))
    if known < len(cuts):
        yield Finding.of(
            UNUSED,
            "note",
            f"Forecasts use width and depth from {exact(known)} of {counted(len(cuts), 'rolling origin')}: from the "
            "others, width over depth follows from params and tokens, or the runs leave no origin that could judge its "
            "effect.",
            origins=len(cuts),
            known=known,
        )


Cuts = Mapping[str, tuple[str, Runs, list[float]]]


def public_cuts() -> dict[str, tuple[str, Runs, list[float]]]:
    """Return collection, runs and log-compute cuts of each table of the public set."""
    frame, cuts = load_dataset("backtest"), load_dataset("backtest_cuts")
    out = {}
    for name, own in frame.groupby("table", sort=False):
        columns = tuple(name for name in ("params", "tokens") if own[name].notna().all())
        x = own[list(columns)].to_numpy(float)
        if len(columns) == 2 and own[["width", "depth"]].notna().all(axis=None):
            columns, x = (*columns, SHAPE), np.column_stack([x, own["width"] / own["depth"]])
        runs = Runs(columns, np.log(x), np.log(own["loss"].to_numpy(float)), np.log(own["flops"].to_numpy(float)))
        flops = cuts.loc[cuts["table"] == name, "flops"].to_numpy(float)
        out[str(name)] = (str(own["collection"].iloc[0]), runs, [float(value) for value in np.log(flops)])
    return out


def _methods(how: Backtest) -> tuple[str, ...]:
    for name in how.methods:
        if name not in METHODS:
            raise DataError(f"there is no method {name!r}; {closest(name, METHODS)}")
    return tuple(dict.fromkeys(how.methods)) or tuple(METHODS)


def _cuts(runs: Runs, how: Backtest) -> list[float]:
    """Return log compute below which forecasts learn, one for each origin that leaves enough on both sides."""
    order, out = np.sort(runs.c), []
    for share in how.shares:
        cut = float(order[int(np.ceil(share * len(order))) - 1])
        inside = runs.c <= cut + TIE
        far = runs.c[~inside] >= runs.c[inside].max() + np.log(how.least)
        if inside.sum() >= FEWEST and far.any() and varying(runs, inside).columns:
            out.append(cut)
    if not out:
        raise DataError(
            f"no rolling origin of {exact(len(order))} runs leaves {FEWEST} of different sizes to learn from and one "
            f"with {exact(how.least)} times their compute; give other --origins, a smaller --least, or more runs"
        )
    return list(dict.fromkeys(out))


def _pack(runs: Runs) -> dict[str, Any]:
    return {"columns": list(runs.columns), "x": runs.x.tolist(), "y": runs.y.tolist(), "c": runs.c.tolist()}


def _unpack(packed: Mapping[str, Any]) -> Runs:
    return Runs(tuple(packed["columns"]), np.array(packed["x"]), np.array(packed["y"]), np.array(packed["c"]))


def judge_cell(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Forecast the runs above one cut by one method: the function behind each cell of a backtest.

    Parameters
    ----------
    arguments : mapping
        ``tables`` (runs by name), ``table``, ``cut`` (log compute), ``least`` (ratio) and ``method``; ``without``, the
        collection that a forecast must not have learned from.

    Returns
    -------
    dict
        ``rows`` (places of the runs), ``ratio``, ``observed`` and one list for each quantile.
    """
    runs = _unpack(arguments["tables"][arguments["table"]])
    inside = runs.c <= arguments["cut"] + TIE
    ahead = ~inside & (runs.c >= runs.c[inside].max() + np.log(arguments["least"]) - TIE)
    used = varying(runs, inside)
    without = arguments.get("without", ALL)
    found = predict_ahead(arguments["method"], used.keep(inside), used.keep(ahead), without=without)
    ratio = np.exp(runs.c[ahead] - runs.c[inside].max())
    return dict(
        plain_json(
            {
                "rows": np.flatnonzero(ahead), "ratio": ratio, "observed": runs.y[ahead],
                **dict(zip(QUANTILES, ([to_digits(float(v), DIGITS) for v in row] for row in found), strict=True)),
            }
        )
    )  # fmt: skip


def _judge(
    label: str, tables: Cuts, methods: tuple[str, ...], where: Jobs, progress: Progress | None, least: float
) -> BacktestResult:
    """Run every cell, and put the runs together."""
    shared = {"tables": {name: _pack(runs) for name, (_, runs, _) in tables.items()}}
    cells, about = {}, {"version": __version__}
    for name, (_, runs, cuts) in tables.items():
        about_table = about | {"runs": job_key(_pack(runs))}
        without = tables[name][0] if label == PUBLIC else ALL
        for number, cut in enumerate(cuts):
            for method in methods:
                arguments = {"table": name, "cut": cut, "least": least, "method": method}
                prefix = "".join(
                    character if character.isalnum() else "-" for character in f"{method}-{name[:60]}-{number}"
                )
                if method == "forecast":  # the other methods learn nothing from other tables
                    rule = {"learned": repr(learned(without))}
                    cells[job_key(about_table | rule | arguments, prefix)] = arguments | {"without": without}
                else:
                    cells[job_key(about_table | arguments, prefix)] = arguments
    found = run_jobs(judge_cell, cells, where, shared=shared, stage="forecasting known runs", progress=progress)
    return _gathered(label, tables, methods, found)


def _gathered(label: str, tables: Cuts, methods: tuple[str, ...], found: Mapping[str, JobResult]) -> BacktestResult:
    parts, failed = [], []
    for result in found.values():
        name, cut, method = (result.arguments[key] for key in ("table", "cut", "method"))
        if result.status == FAILED or result.value is None:
            failed.append(f"{method} of {name}: {result.reason}")
            continue
        about = {"collection": tables[name][0], "table": name, "cut": cut, "method": method}
        parts.append(pd.DataFrame({**result.value}).assign(**about))
    if not parts:
        raise DataError(f"no cell of the backtest could be computed: {failed[0] if failed else 'there are none'}")
    rows = pd.concat(parts, ignore_index=True)
    numbers = ["ratio", "observed", *QUANTILES]
    rows[numbers] = rows[numbers].astype(float)
    return BacktestResult(label, rows, methods, failed=tuple(failed))


def rank_cell(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Fit one law to the runs below a cut and predict those above it.

    Parameters
    ----------
    arguments : mapping
        ``columns`` (by name, with ``loss`` and ``compute``), ``law`` and ``cut``.

    Returns
    -------
    dict
        ``error``, the mean squared error of the log loss; null where the law cannot be fitted.
    """
    frame = pd.DataFrame(arguments["columns"])
    c, y = np.log(frame["compute"].to_numpy()), np.log(frame["loss"].to_numpy())
    inside = c <= arguments["cut"] + TIE
    text = arguments["law"]
    try:
        if text in LAWS:
            names = [name for name in ("params", "tokens", SHAPE) if name in frame] or ["width"]
            runs = varying(Runs(tuple(names), np.log(frame[names].to_numpy()), y, c), inside)
            if text in SHAPED and SHAPE not in runs.columns:
                return {"error": None}
            rule = make_rule(runs.keep(inside), laws=(text,), constants=replace(learned().constants, draws=RANK_DRAWS))
            guess = rule.members[0].moments(runs.x[~inside])[0]
        else:
            found = fit(frame[inside], parse_law(text), LeastSquares(loss="huber", bootstrap=0))
            predicted = found.predict(frame[~inside])["predicted"].to_numpy()
            if not (predicted > 0).all():
                return {"error": None}
            guess = np.log(predicted)
    except (DataError, FitFailed):
        return {"error": None}
    return {"error": float(np.mean((guess - y[~inside]) ** 2))}


def _with_ranks(
    found: BacktestResult, source: Table, rows: Rows, learning: Learning, cuts: list[float], where: Jobs,
    progress: Progress | None,
) -> BacktestResult:  # fmt: skip
    """Add the laws whose columns the table has, by the error with which they predicted larger runs."""
    columns = {name: np.exp(learning.runs.x[:, j]) for j, name in enumerate(learning.columns)}
    for extra in dict.fromkeys(
        ["width", "depth", *(name for preset in PRESET_LAWS.values() for name in preset.columns)]
    ):
        if extra in source.frame and extra not in columns:
            more = rows.read(source, Law.parse("params" if "params" in columns else "tokens"), numeric=(extra,))
            if len(more.frame) == len(learning.runs.y):
                columns[extra] = more.frame[extra].to_numpy(float)
    labels = {name: f"{name} (of the forecast)" for name in LAWS if _can_fit(name, learning.columns)}
    for preset in map(Law.parse, PRESETS.values()):
        if not preset.groups and set(preset.variables) <= set(columns):
            labels[str(preset)] = str(preset)
    for name, entry in PRESET_LAWS.items():  # those that are not sums of powers
        if entry.columns and set(entry.columns) <= set(columns) and parse_law(entry.law).response == "loss":
            labels[entry.law] = f"{name} (preset, Huber fit)"
    if not {*learning.columns} & {"params", "tokens", "width"}:
        return found
    packed = {name: column.tolist() for name, column in columns.items()}
    packed |= {"loss": np.exp(learning.runs.y).tolist(), "compute": np.exp(learning.runs.c).tolist()}
    about = {"version": __version__, "columns": job_key(packed)}
    asked = [{"law": law, "cut": cut} for law in labels for cut in cuts]
    cells = {job_key(about | arguments, "law"): arguments for arguments in asked}
    done = run_jobs(rank_cell, cells, where, shared={"columns": packed}, stage="ranking laws", progress=progress)
    ranks = []
    for law, label in labels.items():
        own = [result.value for result in done.values() if result.arguments["law"] == law and result.value is not None]
        known = [record["error"] for record in own if record["error"] is not None]
        error = float(np.sqrt(np.mean(known))) if known else float("inf")
        ranks.append(LawRank(label, error, len(known), len(cuts) - len(known)))
    ranks.sort(key=lambda rank: (rank.failed, rank.error))
    return replace(found, ranks=tuple(ranks))


def _can_fit(name: str, columns: tuple[str, ...]) -> bool:
    """Say whether a law of the rule can be fitted to runs of some columns."""
    if name in SHAPED:
        return SHAPE in columns
    return name in (("additive", "rectified") if len(columns) == 1 else ("coupled", "shared", "additive"))


def group_cell(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Forecast one group from all others.

    Parameters
    ----------
    arguments : mapping
        ``runs``, ``labels`` and ``level``.

    Returns
    -------
    dict
        As :func:`judge_cell`, with ``distance`` of each run outside the others' columns and ``beyond``.
    """
    runs = _unpack(arguments["runs"])
    held = np.array([label == arguments["level"] for label in arguments["labels"]])
    used = varying(runs, ~held)
    if not used.columns:
        raise DataError("all other runs have one size")
    inside, ahead = used.keep(~held), used.keep(held)
    found = predict_ahead("forecast", inside, ahead)
    low, high = inside.x.min(axis=0), inside.x.max(axis=0)
    distance = np.maximum(np.maximum(low - ahead.x, ahead.x - high), 0).max(axis=1)
    beyond = (ahead.y < inside.y.min()) | (ahead.y > inside.y.max())
    return dict(
        plain_json(
            {
                "ratio": np.exp(ahead.c - inside.c.max()), "observed": ahead.y, "distance": distance,
                "beyond": beyond, **dict(zip(QUANTILES, found, strict=True)),
            }
        )
    )  # fmt: skip


def _hold_out_groups(learning: Learning, how: Backtest, where: Jobs, progress: Progress | None) -> BacktestResult:
    group = str(how.group)
    frame = learning.table.frame
    if group not in frame:
        raise DataError(f"there is no column {group!r}; {closest(group, map(str, frame.columns))}")
    labels = [str(text) for text in label_texts(frame, group)]
    levels = list(dict.fromkeys(labels))
    if len(levels) < 2:
        raise DataError(f"all rows have one {group}, {levels[0]!r}; holding out a group needs at least two")
    shared = {"runs": _pack(learning.runs), "labels": labels}
    about = {"version": __version__, "shared": job_key(shared), "learned": repr(learned())}
    cells = {job_key(about | {"level": level}, "group"): {"level": level} for level in levels}
    found = run_jobs(group_cell, cells, where, shared=shared, stage="holding out groups", progress=progress)
    groups, parts, failed = [], [], []
    for result in found.values():
        level = result.arguments["level"]
        if result.value is None or result.status == FAILED:
            failed.append(f"{printed_name(group, (level,))}: {result.reason}")
            continue
        part = pd.DataFrame(result.value)
        part[["observed", *QUANTILES]] = part[["observed", *QUANTILES]].astype(float)
        y = part["observed"]
        held = (y >= part["q5"]) & (y <= part["q95"])
        error = float((y - part["q50"]).abs().median())
        groups.append(
            GroupHeldOut(
                level, len(part), error, float(held.mean()), float(part["distance"].median()),
                float(part["beyond"].mean()),
            )
        )  # fmt: skip
        parts.append(part.assign(collection=level, table=learning.table.name, cut=0.0, method="forecast"))
    if not parts:
        raise DataError(f"no group could be held out: {failed[0]}")
    return BacktestResult(
        learning.table.name, pd.concat(parts, ignore_index=True), ("forecast",), (), tuple(groups), tuple(failed),
        learning.notes, learning.reading,
    )  # fmt: skip
