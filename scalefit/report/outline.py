"""The content of the study of a new table: fits, answers and sections for the law that its columns call for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from scalefit.comparison.parts import check_column
from scalefit.data.datasets import describe_dataset
from scalefit.errors import DataError
from scalefit.law.additive import PRESETS, Coef, Law
from scalefit.law.general import parse_law
from scalefit.law.protocol import AnyLaw
from scalefit.numbers import to_digits
from scalefit.options import NewReport, Rows
from scalefit.report.choice import LawChoice, words_of
from scalefit.report.text import join

__all__ = ["outline"]

BOOTSTRAP: Final = 2000
SIMULATED: Final = 40  # data sets of the calibration
HEIGHT: Final = 54.0  # of the figure on page one, mm, so that it fits under a long verdict
AFTER_FIT: Final = 2  # answers on the fit, before any other
BEYOND: Final = 10  # times the compute of the largest run, the budget of page one where none is given
FEWER: Final = (0.01, 0.1, 1)  # parts of a given budget in the table of budgets

_RESIDUALS: Final = {"kind": "residuals", "left_out": False, "height": 42}
_WIDTH_WORDS: Final = "1: loss falls as 1/width"
_COLUMNS: Final = {"params": "parameters"}


def outline(
    title: str, subtitle: str, file: str, choice: LawChoice, rows: Mapping[str, Any], wanted: NewReport
) -> dict[str, Any]:
    """Return a study as values for TOML.

    Parameters
    ----------
    title, subtitle : str
        Of the report, where none is given.
    file : str
        The table, as the study names it.
    choice : LawChoice
        Laws and clusters; one law of parameters and tokens, or else the first, is that of page one, the others are
        rows of its table.
    rows : mapping
        The keys that select rows and columns, the same for every fit and step.
    wanted : NewReport
        What the report contains besides.

    Returns
    -------
    dict
        Keys of a study.

    Raises
    ------
    DataError
        When the other data set or the column of levels that is asked for cannot be used.
    """
    study: dict[str, Any] = {
        "title": wanted.title or title, "author": wanted.author or "", "subtitle": subtitle,
        "template": wanted.template, "method": "short", "defaults": {"seed": 0}, "left_out": list(choice.left_out),
        **{kind: [] for kind in ("fit", "levels", "sensitivity", "calibration", "forecast", "answer", "section")},
    }  # fmt: skip
    common = {"data": file, **rows}
    (name, text), *others = sorted(choice.laws.items(), key=lambda item: not _has_budget(parse_law(item[1])))
    law, part = parse_law(text), _LawOutline(study, name, text, common, choice)
    main = part.add_fits()
    study["answer"] += [
        {"rule": "runs", "fit": main},
        {"title": "How well the law fits.", "rule": "misfit", "fit": main},
        *_width_question(law, name, main),
    ]
    study["section"].append(part.fit_section(main))
    if _has_budget(law):
        _add_optimum(study, main, choice, wanted.compute)
    if wanted.at:
        step = {"name": "target", "label": "forecast", "at": list(wanted.at)}
        study["forecast"].append(step | {key: value for key, value in common.items() if key not in _NOT_FORECAST})
        study["answer"].append({"title": "Forecast.", "rule": "step", "step": "target"})
        study["section"].append({"kind": "forecast", "title": "Forecast", "steps": ["target"]})
    if wanted.by is not None:
        _add_levels(study, name, law, part.squares, choice, wanted.by)
    if wanted.beside is not None:
        _add_other_data(study, name, main, law, wanted.beside)
    part.add_steps(law)
    for other, its_law in others:
        _LawOutline(study, other, its_law, common, choice).add_main()
    study["front"] = {
        "fits": [fit["name"] for fit in study["fit"] if fit["data"] == file],
        "figure": {"kind": "curves", "fit": main, "height": HEIGHT},
    }
    return {key: value for key, value in study.items() if value not in ([], "")}


_NOT_FORECAST: Final = ("cluster", "weights", "drop_highest_loss", "ties")  # options that a forecast does not have


class _LawOutline:
    """The fits, the section and the steps of one law."""

    def __init__(
        self, study: dict[str, Any], name: str, law: str, common: Mapping[str, Any], choice: LawChoice
    ) -> None:
        self.study, self.name, self.law, self.common = study, name, law, dict(common)
        self.words = words_of(law)
        self.cluster = {"cluster": choice.cluster} if choice.cluster else {}
        self.squares: dict[str, Any] = {"law": law, "bootstrap": BOOTSTRAP, **self.common}
        self.squares |= {"space": "linear"} if choice.linear else {}
        self.sampled = bool(parse_law(law).terms)  # a draft samples posteriors of sums of powers only

    def add_main(self, **more: Any) -> str:
        """Add the fit by squares, with whole clusters resampled where there are any; return its name."""
        label = f"{self.words} · by {self.cluster['cluster']}" if self.cluster else f"{self.words} · squares"
        name = f"{self.name}_runs" if self.cluster else self.name
        self.study["fit"].append({"name": name, "label": label, **more, **self.squares, **self.cluster})
        return name

    def add_fits(self) -> str:
        """Add the main fit and those that stand in for it; return the name of the main fit."""
        instead = {"instead": [f"{self.name}_huber", *([f"{self.name}_posterior"] if self.sampled else [])]}
        main = self.add_main(**instead)
        fits = self.study["fit"]
        if self.cluster:
            fits.append({"name": self.name, "label": f"{self.words} · squares", **instead, **self.squares})
        huber = {"name": f"{self.name}_huber", "label": f"{self.words} · Huber", "loss": "huber"}
        fits.append(huber | self.squares | self.cluster)
        if self.sampled:
            posterior = {"name": f"{self.name}_posterior", "label": f"{self.words} · posterior", "engine": "bayes"}
            fits.append(posterior | {"law": self.law} | self.common | self.cluster)
        return main

    def fit_section(self, main: str) -> dict[str, Any]:
        """Return the section on the fit: estimates, other errors, residuals."""
        section: dict[str, Any] = {"title": f"The fit: {self.words}", "fit": self.name}
        section |= {"alternatives": [f"{self.name}_huber"], "figures": [_RESIDUALS]}
        return section | ({"clustered": main} if self.cluster else {})

    def add_steps(self, law: AnyLaw) -> None:
        """Add sensitivity and calibration, where the law has a posterior and an exponent to ask about."""
        exponent = _exponent(law)
        if not self.sampled or not exponent:
            return
        about_width = _about_width(law)
        common = {"law": self.law, "needs": f"{self.name}_posterior", **self.common, **self.cluster}
        choices: dict[str, Any] = {
            "name": f"{self.name}_choices",
            "label": f"{self.words} · choices",
            "param": exponent,
        }
        tested: dict[str, Any] = {"reference": 1, "region": [0.9, 1.1]} if about_width else {}
        self.study["sensitivity"].append(choices | tested | common)
        trust: dict[str, Any] = {
            "name": f"{self.name}_trust",
            "label": f"{self.words} · simulated",
            "truth": "posterior",
        }
        trust |= {"n": SIMULATED, "path": "fast"}
        self.study["calibration"].append(trust | {key: value for key, value in common.items() if key != "weights"})
        self.study["section"] += [
            {"kind": "sensitivity", "title": "Other choices", "steps": [f"{self.name}_choices"]}
            | ({"words": _WIDTH_WORDS} if about_width else {}),
            {"kind": "calibration", "title": "Coverage of the intervals", "steps": [f"{self.name}_trust"]},
        ]


def _has_budget(law: AnyLaw) -> bool:
    """Whether a law says how a budget is best divided between parameters and tokens; such a law comes first."""
    return bool(law.terms) and {"params", "tokens"} <= set(law.variables)


def _exponent(law: AnyLaw) -> str:
    """Return the first exponent without levels; empty when there is none."""
    return next((exponent.name for exponent in law.exponents if not exponent.groups), "")


def _about_width(law: AnyLaw) -> bool:
    """Whether the first term is one of width with an exponent that is estimated."""
    return any(term.variable == "width" and isinstance(term.exponent, Coef) for term in law.terms[:1])


def _width_question(law: AnyLaw, name: str, main: str) -> list[dict[str, Any]]:
    """Ask whether the loss falls as 1/width, of a law that begins with width."""
    if not _about_width(law):
        return []
    question: dict[str, Any] = {"parameter": _exponent(law), "reference": 1}
    return [
        {"title": "Does the loss fall as 1/width?", "rule": "reference", "fit": main, "also": [f"{name}_huber"]}
        | question,
        {"title": "How probable is it?", "rule": "posterior", "fit": f"{name}_posterior"} | question,
    ]


def _add_optimum(study: dict[str, Any], main: str, choice: LawChoice, compute: float | None) -> None:
    """Add the best use of a budget, which is some times that of the largest run where none is given."""
    largest = 6.0 * float((choice.frame["params"].astype(float) * choice.frame["tokens"].astype(float)).max())
    budget = to_digits(BEYOND * largest, 1) if compute is None else compute
    section = {"kind": "optimum", "title": "The best use of compute", "fit": main, "chinchilla_ratio": False}
    if compute is not None:
        section["compute"] = [part * compute for part in FEWER]
    study["answer"].append({"title": "Best use of compute.", "rule": "budget", "fit": main, "compute": budget})
    study["section"].append(section)


def _add_levels(
    study: dict[str, Any], name: str, law: AnyLaw, squares: Mapping[str, Any], choice: LawChoice, by: str
) -> None:
    """Add one fit for each level of a column, by which the law has no floors then."""
    own = next((own for own, column in choice.mapping.items() if column == by), by)
    if own in law.groups and not law.terms:
        raise DataError(f"by is {by!r}, and {law} has levels of it; leave by out, or write the law without them")
    text = str(law)
    for coef in law.parameters:
        text = text.replace(str(coef), str(replace(coef, groups=tuple(group for group in coef.groups if group != own))))
    check_column(by, parse_law(text))
    step = {"name": f"{name}_levels", "label": f"{words_of(text)} · by {by}", "by": by, **squares, "law": text}
    mapping = {key: column for key, column in squares.get("mapping", {}).items() if key != own or own == by}
    step.pop("mapping", None)
    study["levels"].append(step | ({"mapping": mapping} if mapping else {}))
    title = f"One fit for each {by.replace('_', ' ')}"
    question = {"title": f"One law for every {by.replace('_', ' ')}?", "rule": "step", "step": f"{name}_levels"}
    study["answer"].insert(AFTER_FIT, question)  # it limits the verdict
    study["section"].append({"kind": "levels", "title": title, "steps": [f"{name}_levels"]})


def _add_other_data(study: dict[str, Any], name: str, main: str, law: AnyLaw, beside: str) -> None:
    """Compare the first exponent with that of the same law on a shipped set, and with published values."""
    exponent = _exponent(law)
    if not law.terms or not exponent:
        raise DataError(f"beside is {beside!r}, and {law} has no exponent to compare; leave beside out")
    plain = _without_levels(law)
    title = describe_dataset(beside).name.replace("_", " ").capitalize()
    drop: dict[str, Any] = {"drop_highest_loss": 5} if beside == "chinchilla" else {}
    Rows(**drop).read(beside, Law.parse(plain))
    other = f"{name}_{beside}"
    study["fit"].append(
        {"name": other, "label": f"{title} · {words_of(plain)}", "engine": "bayes", "data": beside, "law": plain} | drop
    )
    section: dict[str, Any] = {"kind": "comparison", "title": f"Comparison with {title}", "parameter": exponent}
    section |= {"fits": [f"{name}_posterior", main, other]} | ({"reference": 1} if _about_width(law) else {})
    if beside == "chinchilla" and plain == PRESETS["chinchilla"]:
        section["published"] = [{"label": "Besiroglu et al. 2024", "key": "besiroglu2024"}]
    if beside == "chinchilla" and exponent == "a_m":
        section |= {"published": [{"label": "Liu et al. 2026", "key": "liu2026_depth"}], "words": _WIDTH_WORDS}
    lacking = join([_COLUMNS.get(column, column) for column in _not_counted(set(law.variables))])
    if lacking:
        section["text"] = [
            f"The law has no term in {lacking}, but the runs of {title} differ in {lacking}; other terms absorb it."
        ]
    study["section"].append(section)


def _without_levels(law: AnyLaw) -> str:
    """Return the law with one value of each parameter for all levels."""
    text = str(law)
    for coef in law.parameters:
        text = text.replace(str(coef), coef.name)
    return text


def _not_counted(have: set[str]) -> list[str]:
    """Return quantities that vary between language models and that a law omits; parameters cover width and depth."""
    sizes = ["params"] if not have & {"params", "width", "depth"} else []
    shape = [] if "params" in have or sizes else ["width", "depth"]
    return [size for size in (*sizes, *shape, "tokens") if size not in have]
