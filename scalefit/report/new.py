"""Start a study of a new table: look at its columns, and write the study that they allow, with reasons for the rest."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

import numpy as np
import pandas as pd

from scalefit.columns import has_column
from scalefit.errors import DataError
from scalefit.law import PRESETS, Law
from scalefit.prepare import prepare_rows
from scalefit.report.text import join
from scalefit.sources import dataset_of, file_name, is_folder, locate
from scalefit.tables import Table, read_table, resolve

__all__ = ["new_study"]

QUANTITIES: Final = ("params", "tokens", "width", "depth")
MOST_LEVELS: Final = 12
ROWS_PER_LEVEL: Final = 5
RUNS: Final = ("run", "run_id", "run_name", "experiment", "model", "shape")
FEWEST_RUNS: Final = 10
BOOTSTRAP: Final = 2000
SIMULATED: Final = 40  # data sets of the calibration

_WIDTH_WORDS: Final = "1: loss falls as 1/width"


@dataclass(frozen=True)
class _Found:
    """What a table has.

    Parameters
    ----------
    table : Table
        With the usual quantities as numbers.
    usable : tuple of str
        Quantities that vary.
    groups : tuple of str
        Columns whose levels get a floor of their own.
    cluster : str
        A column that names runs with several rows; empty without one.
    lacking : tuple of str
        What the report cannot have, and why.
    """

    table: Table
    usable: tuple[str, ...]
    groups: tuple[str, ...]
    cluster: str
    lacking: tuple[str, ...]


def new_study(
    folder: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    mapping: Mapping[str, str] | None = None,
    where: str | None = None,
    drop_invalid: bool = False,
) -> Path:
    """Write a working folder for a new table: a copy of it, and the study.toml that its columns allow.

    Laws are chosen by the quantities that vary: parameters and tokens; width, depth and tokens; or what there is of
    them. Text columns with few levels get a floor per level. What the columns do not allow is named in the study.

    Parameters
    ----------
    folder : path
        The folder to make.
    data : path
        The table: a file, or a shipped set, which is not copied.
    mapping : mapping, optional
        Law's column to table's column, such as ``{"params": "N"}``.
    where : str, optional
        Rows to use, such as ``'family == "OPT"'``.
    drop_invalid : bool
        Leave out (and count) rows with missing or non-positive values instead of refusing them.

    Returns
    -------
    Path
        The study.toml.

    Raises
    ------
    DataError
        When the folder exists, the table cannot be used, or it has no loss or nothing that the loss could depend on;
        nothing is written in that case.
    MissingExtra
        When a package of the report is not installed.
    """
    from scalefit.report.compile import check_extra

    check_extra()
    import tomli_w

    target, located = Path(folder), locate(data)
    shipped, source = dataset_of(located), Path(located)
    name = str(located) if shipped else file_name(source.name)
    if target.exists():
        raise DataError(
            f"{str(target)!r} exists; name a new folder, or build the study in it: "
            f"scalefit report {shlex.quote(str(target))}"
        )
    if str(source) == "-":
        raise DataError("a study needs a table that stays; save the standard input as a file, and name that")
    if shipped is None and is_folder(source):
        raise DataError(f"{str(source)!r} is a folder. Need a file: a table as CSV, TSV, JSON lines or Parquet.")
    found = _look(read_table(located, mapping=mapping))
    options: dict[str, Any] = {"mapping": dict(mapping or {}), "where": where, "drop_invalid": drop_invalid}
    common = {key: value for key, value in options.items() if value}
    content = _study(target.resolve().name, name, found, common)
    for one in content["fit"]:
        if one["data"] == name:
            prepare_rows(located, Law.parse(one["law"]), cluster=one.get("cluster"), **common)
    again = f"scalefit report {shlex.quote(target.name)}"
    lead = f"# Written for {shipped or source.name}; change what you like and build it again: {again}"
    _make_folder(target, None if shipped else source, f"{lead}\n\n{tomli_w.dumps(content)}")
    return target / "study.toml"


def _make_folder(target: Path, source: Path | None, study: str) -> None:
    """Make the folder, whole or not at all."""
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))  # a name that nobody else has
        partial.chmod(0o755)
        if source is not None:
            shutil.copy2(source, partial / source.name)
        (partial / "study.toml").write_text(study, encoding="utf-8")
        partial.rename(target)
    except OSError as error:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        raise DataError(f"cannot make {str(target)!r}: {error.strerror}; name a folder you can write") from None


def _look(table: Table) -> _Found:
    """Find out what the columns allow."""
    present = [name for name in QUANTITIES if has_column(table.frame, name)]
    table = resolve(table, numeric=["loss", *present])
    frame, lacking = table.frame, []
    usable = []
    for name in QUANTITIES:
        if name not in present:
            lacking.append(
                f"Nothing is said of {_WORDS[name]}: the table has no column that is known as {name}. {_HOW[name]}"
            )
        elif frame[name].nunique() < 3:
            lacking.append(f"Nothing is said of {_WORDS[name]}: {name} has fewer than three different values.")
        else:
            usable.append(name)
    if not usable:
        raise DataError(
            f"the table {table.name!r} has no parameters, tokens, width or depth with three different values, "
            "so there is no law to fit; map a column, for example --map params=YOUR_COLUMN"
        )
    groups, notes = _groups(frame)
    cluster = next((name for name in RUNS if name in frame and frame[name].nunique() <= 0.8 * len(frame)), "")
    if cluster and frame[cluster].nunique() < FEWEST_RUNS:
        count = frame[cluster].nunique()
        lacking.append(f"Rows count as independent: {count} levels of {cluster} are too few to resample them.")
        cluster = ""
    elif not cluster:
        lacking.append(f"Rows count as independent runs: no column {', '.join(RUNS[:3])} … says which belong together.")
    return _Found(table, tuple(usable), groups, cluster if cluster not in groups else "", (*lacking, *notes))


def _groups(frame: pd.DataFrame) -> tuple[tuple[str, ...], list[str]]:
    """Return text columns with few levels, at most two, and what is left out of them."""
    names: list[str] = []
    notes = []
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) or str(name) in RUNS or not str(name).isidentifier():
            continue
        counts = column.astype(str).value_counts()
        if not 1 < len(counts) <= MOST_LEVELS:
            continue
        if counts.min() < ROWS_PER_LEVEL or len(names) == 2:
            notes.append(f"The levels of {name} share a floor: {_reason(counts)}.")
        else:
            names.append(str(name))
    if len(names) == 2 and frame.groupby(names).size().min() < ROWS_PER_LEVEL:
        notes.append(f"The levels of {names.pop()} share a floor: some have fewer than {ROWS_PER_LEVEL} rows together.")
    return tuple(names), notes


def _reason(counts: pd.Series[int]) -> str:
    if counts.min() < ROWS_PER_LEVEL:
        return f"{counts.idxmin()!r} has {counts.min()} rows, of {ROWS_PER_LEVEL} needed"
    return "two columns have floors of their own already"


def _laws(found: _Found) -> dict[str, str]:
    """Return the laws that the quantities allow, the main one first."""
    have, floor = set(found.usable), f"E[{', '.join(found.groups)}]" if found.groups else "E"
    laws: dict[str, str] = {}
    if "width" in have:
        shape = [f"c_{letter}/{name}^a_{letter}" for name, letter in _SHAPE.items() if name in have]
        laws["shape"] = f"loss ~ {floor} + {' + '.join(shape)}"
    if {"params", "tokens"} <= have:
        laws["size"] = PRESETS["chinchilla"].replace("E", floor, 1)
    elif "params" in have or ("tokens" in have and "width" not in have):
        name = "params" if "params" in have else "tokens"
        laws["size"] = PRESETS[name].replace("E", floor, 1)
    if not laws:  # depth alone
        laws["shape"] = f"loss ~ {floor} + c_l/depth^a_l"
    fitting = {name: law for name, law in laws.items() if len(found.table.frame) > 2 * _count(law, found)}
    fewest = min(laws, key=lambda name: _count(laws[name], found))
    return fitting or {fewest: laws[fewest]}


def _count(law: str, found: _Found) -> int:
    levels = int(np.prod([found.table.frame[name].nunique() for name in found.groups])) if found.groups else 1
    return len(Law.parse(law).parameters) - 1 + levels


def _study(title: str, file: str, found: _Found, options: dict[str, Any]) -> dict[str, Any]:
    """Return the study as TOML takes it."""
    common = {"data": file, **options}
    study: dict[str, Any] = {
        "title": title.replace("_", " ").replace("-", " ").strip().capitalize() or "Runs",
        "subtitle": f"A scaling law of {file}",
        "defaults": {"seed": 0},
        "fit": [], "sensitivity": [], "calibration": [], "answer": [], "section": [],
        "left_out": list(found.lacking),
    }  # fmt: skip
    for name, law in _laws(found).items():
        _add_law(study, name, law, found, common)
    first = study["fit"][0]
    exponents = [one.name for one in Law.parse(first["law"]).exponents]
    if len(exponents) > 2:  # one row of panels, which page one has room for
        names = [list(pair) for pair in combinations(exponents, 2)]
        study["front"] = {"figure": {"kind": "pairs", "fit": first["name"], "names": names}}
    return {key: value for key, value in study.items() if value != []}


def _add_law(study: dict[str, Any], name: str, law: str, found: _Found, common: dict[str, Any]) -> None:
    """Add the fits, answers and sections of one law; where rows come in runs, page one shows the fit by run."""
    words = _words_of(law)
    parsed = Law.parse(law)
    exponent = parsed.exponents[0].name
    about_width = parsed.terms[0].variable == "width"
    asked: dict[str, Any] = {"parameter": exponent} | ({"reference": 1} if about_width else {})
    clustered = {"cluster": found.cluster} if found.cluster else {}
    squares = {"law": law, "bootstrap": BOOTSTRAP, **common}
    section: dict[str, Any] = {"title": f"Least squares: {words}", "fit": name, "alternatives": [f"{name}_huber"]}
    main = name
    if found.cluster:
        main = section["clustered"] = f"{name}_runs"
        study["fit"].append({"name": main, "label": f"{words} · by {found.cluster}", **squares, **clustered})
    study["fit"] += [
        {"name": name, "label": f"{words} · squares", **squares},
        {"name": f"{name}_huber", "label": f"{words} · Huber", "loss": "huber", **squares},
        {"name": f"{name}_posterior", "label": f"{words} · posterior", "engine": "bayes", "law": law}
        | common | clustered,
    ]  # fmt: skip
    study["answer"].append({"title": words.capitalize(), "rule": "law", "fit": main})
    posterior = {"kind": "posterior", "title": f"Posterior: {words}", "fit": f"{name}_posterior", **asked}
    if about_width:
        question = {"title": "Does the loss fall as 1/width?", "rule": "reference", "fit": main}
        study["answer"] += [
            question | {"also": [f"{name}_huber"]} | asked,
            {"title": "How probable is it?", "rule": "posterior", "fit": f"{name}_posterior", **asked},
        ]
        posterior["words"] = _WIDTH_WORDS
    study["section"] += [section | {"new_page": True}, posterior]
    if {"params", "tokens"} <= set(parsed.variables):
        study["section"].append({"kind": "optimum", "title": "The best use of compute", "fit": main})
    _add_other_data(study, name, main, law, asked)
    _add_steps(study, name, law, common | clustered)


def _add_other_data(study: dict[str, Any], name: str, main: str, law: str, asked: dict[str, Any]) -> None:
    """Put the first exponent beside that of the same law on Chinchilla's runs, and beside print."""
    plain = re.sub(r"\[[^\]]*\]", "", law)
    other = f"{name}_chinchilla"
    study["fit"].append(
        {"name": other, "label": f"Chinchilla · {_words_of(law)}", "engine": "bayes", "data": "chinchilla",
         "law": plain, "drop_highest_loss": 5}
    )  # fmt: skip
    section = {"kind": "comparison", "title": f"Beside other data: {_words_of(law)}", **asked}
    section["fits"] = [f"{name}_posterior", main, other]
    if plain == PRESETS["chinchilla"]:
        section["published"] = [{"label": "Besiroglu et al. 2024", "key": "besiroglu2024"}]
    if asked["parameter"] == "a_m":
        section |= {"published": [{"label": "Liu et al. 2026", "key": "liu2026_depth"}], "words": _WIDTH_WORDS}
    lacking = join([_COLUMNS.get(one, one) for one in _not_counted(set(Law.parse(plain).variables))])
    if lacking:
        told = f"The law has no term in {lacking}, but Chinchilla’s runs differ in {lacking}; other terms take that up."
        section["text"] = [told]
    study["section"].append(section)


def _add_steps(study: dict[str, Any], name: str, law: str, common: dict[str, Any]) -> None:
    """Add the sensitivity and the calibration of one law."""
    words, exponent = _words_of(law), Law.parse(law).exponents[0].name
    about_width = Law.parse(law).terms[0].variable == "width"
    tested = {"reference": 1, "region": [0.9, 1.1]} if about_width else {}
    study["sensitivity"].append(
        {"name": f"{name}_choices", "label": f"{words} · choices", "law": law, "param": exponent, **tested, **common}
    )  # fmt: skip
    study["calibration"].append(
        {"name": f"{name}_trust", "label": f"{words} · simulated", "law": law, "truth": "posterior", "n": SIMULATED,
         "path": "fast", **common}
    )  # fmt: skip
    study["section"] += [
        {"kind": "sensitivity", "title": f"Other choices: {words}", "steps": [f"{name}_choices"]}
        | ({"words": _WIDTH_WORDS} if about_width else {}),
        {"kind": "calibration", "title": f"How far to trust the intervals: {words}", "steps": [f"{name}_trust"]},
    ]


def _words_of(law: str) -> str:
    """Name a law shortly by its columns: ``size and tokens``, ``width``, ``shape and tokens``."""
    names = Law.parse(law).variables
    words = ["size" if one == "params" else one for one in names]
    return join(words if len(words) < 3 else ["shape", *words[2:]])


def _not_counted(have: set[str]) -> list[str]:
    """Return what runs of language models differ in and a law leaves out; parameters stand for width and depth."""
    sizes = ["params"] if not have & {"params", "width", "depth"} else []
    shape = [] if "params" in have or sizes else ["width", "depth"]
    return [one for one in (*sizes, *shape, "tokens") if one not in have]


_WORDS: Final = {
    "params": "parameters and of the best use of compute",
    "tokens": "tokens and of the best use of compute",
    "width": "the width term and of 1/width",
    "depth": "depth",
}
_HOW: Final = {name: f"Map one with --map {name}=YOUR_COLUMN if it is there under another name." for name in QUANTITIES}
_SHAPE: Final = {"width": "m", "depth": "l", "tokens": "D"}
_COLUMNS: Final = {"params": "parameters"}
