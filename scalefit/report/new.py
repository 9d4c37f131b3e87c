"""Start a study of a new table: write the study that its columns allow, with reasons for what it has and omits."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

from scalefit.data.datasets import dataset_names
from scalefit.data.sources import dataset_of, file_name, is_folder, locate, shown_path
from scalefit.data.where import parse_where
from scalefit.errors import DataError
from scalefit.escape import one_line
from scalefit.law.additive import PRESETS, Law
from scalefit.options import Rows
from scalefit.report.choice import LawChoice, choose, words_of
from scalefit.report.text import join
from scalefit.report.work import CACHE

__all__ = ["new_study"]

STUDY: Final = "study.toml"
BOOTSTRAP: Final = 2000
SIMULATED: Final = 40  # data sets of the calibration

_WIDTH_WORDS: Final = "1: loss falls as 1/width"


def new_study(
    folder: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    mapping: Mapping[str, str] | None = None,
    where: str | None = None,
    drop_invalid: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Write a working folder for a new table: a copy of it, and the study.toml that its columns allow.

    Laws are chosen by the quantities that vary in the rows that are used: parameters and tokens; width, depth and
    tokens; or those of them that the table has. Labels with few levels get a floor per level, unless they encode one of
    these quantities. The study gives the reasons in comments, and names what the columns do not allow.

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
        Drop (and count) rows with missing or non-positive values instead of rejecting the table.
    tell : callable, optional
        Called with each sentence on what was chosen and why, and on what is omitted.

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
    if target.exists():
        raise DataError(
            f"{str(target)!r} exists; name a new folder, or build the study in it: "
            f"scalefit report {shlex.quote(str(target))}"
        )
    if str(source) == "-":
        raise DataError("a study cannot read standard input again; save it as a file, and name that file")
    if shipped is None and is_folder(source):
        raise DataError(f"{shown_path(source)!r} is a folder. Need a file: a table as CSV, TSV, JSON lines or Parquet.")
    choice = choose(located, mapping=mapping, where=where, drop_invalid=drop_invalid)
    options: dict[str, Any] = {
        "mapping": _mapping(choice, dict(mapping or {}), where), "where": where, "drop_invalid": drop_invalid
    }  # fmt: skip
    common = {key: value for key, value in options.items() if value}
    copied = _copied_name(source.name)
    name = str(located) if shipped else file_name(copied)
    content = _study(target.resolve().name, shipped or source.name, name, choice, common)
    for one in content["fit"]:
        if one["data"] == name:
            Rows(cluster=one.get("cluster"), **common).read(located, Law.parse(one["law"]))
    try:
        text = f"{_lead(target, shipped or source.name, choice)}\n\n{tomli_w.dumps(content)}".encode()
    except UnicodeEncodeError:
        raise DataError(
            f"the folder {shown_path(target)!r} or the table {shown_path(source.name)!r} has a name that is not valid "
            "Unicode, which TOML cannot represent; rename it"
        ) from None
    _make_folder(target, None if shipped else source, copied, text)
    for sentence in (*choice.reasons, *choice.left_out):
        tell(sentence) if tell is not None else None
    return target / STUDY


def _mapping(choice: LawChoice, given: dict[str, str], where: str | None) -> dict[str, str]:
    """Return the mapping that the laws of a study need, without entries that no law, cluster or condition uses."""
    laws = [Law.parse(law) for law in choice.laws.values()]
    used = {name for law in laws for name in (law.response, *law.variables, *law.groups)}
    used |= {choice.cluster, *(parse_where(where).columns if where else ())}
    return {name: column for name, column in (given | dict(choice.mapping)).items() if name in used}


def _lead(target: Path, title: str, choice: LawChoice) -> str:
    """Write the comments at the top of a study: how to build it again, and the reasons for its laws."""
    lines = [
        f"Written for {title}; edit it and build it again: scalefit report {shlex.quote(target.name)}",
        *(["", "Why:", *choice.reasons] if choice.reasons else []),
        *(["", "Left out:", *choice.left_out] if choice.left_out else []),
    ]
    return "\n".join(f"# {one_line(line)}".rstrip() for line in lines)


def _copied_name(name: str) -> str:
    """Return the name of the copy: that of the table, unless a study would read something else under that name."""
    return f"table-{name}" if name in (*dataset_names(), STUDY, CACHE) else name


def _make_folder(target: Path, source: Path | None, copied: str, study: bytes) -> None:
    """Create the folder with all its files, or nothing."""
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))  # a name that nobody else has
        partial.chmod(0o755)
        if source is not None:
            shutil.copy2(source, partial / copied)
        (partial / STUDY).write_bytes(study)
        partial.rename(target)
    except BaseException as error:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        if not isinstance(error, OSError):  # Ctrl-C
            raise
        raise DataError(f"cannot make {str(target)!r}: {error.strerror}; name a folder you can write") from None


def _study(title: str, table: str, file: str, choice: LawChoice, options: dict[str, Any]) -> dict[str, Any]:
    """Return the study as values for TOML."""
    common = {"data": file, **options}
    study: dict[str, Any] = {
        "title": title.replace("_", " ").replace("-", " ").strip().capitalize() or "Runs",
        "subtitle": f"A scaling law of {table}",
        "defaults": {"seed": 0},
        "fit": [], "sensitivity": [], "calibration": [], "answer": [], "section": [],
        "left_out": list(choice.left_out),
    }  # fmt: skip
    for name, law in choice.laws.items():
        _add_law(study, name, law, choice, common)
    first = study["fit"][0]
    study["front"] = {"fits": [one["name"] for one in study["fit"] if one["data"] == file]}
    main = Law.parse(first["law"])
    exponents = [one.name for one in main.exponents]
    if len(exponents) == 1 and not main.groups:  # two panels, where one would be as wide as the page
        names = [[exponents[0], one] for one in ("E", str(main.terms[0].coefficient))]
        study["front"]["figure"] = {"kind": "pairs", "fit": first["name"], "names": names}
    if len(exponents) > 2:  # one row of panels, which fits on page one
        names = [list(pair) for pair in combinations(exponents, 2)]
        study["front"]["figure"] = {"kind": "pairs", "fit": first["name"], "names": names}
    return {key: value for key, value in study.items() if value != []}


def _add_law(study: dict[str, Any], name: str, law: str, choice: LawChoice, common: dict[str, Any]) -> None:
    """Add the fits, answers and sections of one law; where rows come in runs, page one shows the fit by run."""
    words = words_of(law)
    parsed = Law.parse(law)
    exponent = parsed.exponents[0].name
    about_width = parsed.terms[0].variable == "width"
    question_keys: dict[str, Any] = {"parameter": exponent} | ({"reference": 1} if about_width else {})
    clustered = {"cluster": choice.cluster} if choice.cluster else {}
    squares = {"law": law, "bootstrap": BOOTSTRAP, **common}
    instead = {"instead": [f"{name}_huber", f"{name}_posterior"]}
    section: dict[str, Any] = {"title": f"Least squares: {words}", "fit": name, "alternatives": [f"{name}_huber"]}
    main = name
    if choice.cluster:
        main = section["clustered"] = f"{name}_runs"
        label = f"{words} · by {choice.cluster}"
        study["fit"].append({"name": main, "label": label, **instead, **squares, **clustered})
    study["fit"] += [
        {"name": name, "label": f"{words} · squares", **instead, **squares},
        {"name": f"{name}_huber", "label": f"{words} · Huber", "loss": "huber", **squares, **clustered},
        {"name": f"{name}_posterior", "label": f"{words} · posterior", "engine": "bayes", "law": law}
        | common | clustered,
    ]  # fmt: skip
    study["answer"].append({"title": words.capitalize(), "rule": "law", "fit": main})
    posterior = {"kind": "posterior", "title": f"Posterior: {words}", "fit": f"{name}_posterior", **question_keys}
    if about_width:
        question = {"title": "Does the loss fall as 1/width?", "rule": "reference", "fit": main}
        study["answer"] += [
            question | {"also": [f"{name}_huber"]} | question_keys,
            {"title": "How probable is it?", "rule": "posterior", "fit": f"{name}_posterior", **question_keys},
        ]
        posterior["words"] = _WIDTH_WORDS
    study["section"] += [section | {"new_page": True}, posterior]
    if {"params", "tokens"} <= set(parsed.variables):
        study["section"].append({"kind": "optimum", "title": "The best use of compute", "fit": main})
    _add_other_data(study, name, main, law, question_keys)
    _add_steps(study, name, law, {"needs": f"{name}_posterior", **common, **clustered})


def _add_other_data(study: dict[str, Any], name: str, main: str, law: str, question_keys: dict[str, Any]) -> None:
    """Compare the first exponent with that of the same law on Chinchilla's runs, and with published values."""
    plain = re.sub(r"\[[^\]]*\]", "", law)
    other = f"{name}_chinchilla"
    study["fit"].append(
        {"name": other, "label": f"Chinchilla · {words_of(law)}", "engine": "bayes", "data": "chinchilla",
         "law": plain, "drop_highest_loss": 5}
    )  # fmt: skip
    section = {"kind": "comparison", "title": f"Comparison with other data: {words_of(law)}", **question_keys}
    section["fits"] = [f"{name}_posterior", main, other]
    if plain == PRESETS["chinchilla"]:
        section["published"] = [{"label": "Besiroglu et al. 2024", "key": "besiroglu2024"}]
    if question_keys["parameter"] == "a_m":
        section |= {"published": [{"label": "Liu et al. 2026", "key": "liu2026_depth"}], "words": _WIDTH_WORDS}
    lacking = join([_COLUMNS.get(one, one) for one in _not_counted(set(Law.parse(plain).variables))])
    if lacking:
        caveat = f"The law has no term in {lacking}, but Chinchilla’s runs differ in {lacking}; other terms absorb it."
        section["text"] = [caveat]
    study["section"].append(section)


def _add_steps(study: dict[str, Any], name: str, law: str, common: dict[str, Any]) -> None:
    """Add the sensitivity and the calibration of one law."""
    words, exponent = words_of(law), Law.parse(law).exponents[0].name
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
        {"kind": "calibration", "title": f"Coverage of the intervals: {words}", "steps": [f"{name}_trust"]},
    ]


def _not_counted(have: set[str]) -> list[str]:
    """Return quantities that vary between language models and that a law omits; parameters cover width and depth."""
    sizes = ["params"] if not have & {"params", "width", "depth"} else []
    shape = [] if "params" in have or sizes else ["width", "depth"]
    return [one for one in (*sizes, *shape, "tokens") if one not in have]


_COLUMNS: Final = {"params": "parameters"}
