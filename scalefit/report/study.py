"""A study: one TOML file that says which fits to run and what the report is to say about them.

The smallest study is a title and one fit; everything else has a default that follows from the fits::

    title = "My runs"

    [[fit]]
    name = "mine"
    data = "runs.csv"
    law = "chinchilla"

The keys of ``[[fit]]`` and ``[defaults]`` are the keyword names of :func:`scalefit.leastsq.fit` or, with
``engine = "bayes"``, those of :func:`scalefit.bayes`. Beside the fits stand steps, with the keyword names of
their functions too: ``[[sensitivity]]`` (:func:`scalefit.sensitivity`), ``[[calibration]]``
(:func:`scalefit.calibrate`), ``[[toy]]`` (:func:`scalefit.consistency.check_sweep`) and ``[[heads]]``
(:func:`scalefit.models.theory.superposition`).
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from scalefit.law.additive import Law
from scalefit.report.spec import Answer, Card, Figure, Front, Section

__all__ = ["BAYES", "LEAST_SQUARES", "FitSpec", "StepSpec", "Study", "as_plain", "with_defaults"]

LEAST_SQUARES, BAYES = "least squares", "bayes"


@dataclass(frozen=True)
class FitSpec:
    """One fit to run.

    Parameters
    ----------
    name : str
        The word by which the rest of the study refers to it.
    data : str
        A shipped data set, or a file relative to the study.
    law : str
        A law or the name of a preset.
    label : str
        What tables and figures call it; the name when empty.
    engine : {"least squares", "bayes"}
        How it is fitted.
    instead : tuple of str
        Fits of the same law whose numbers page one and the optimum take where this one has no answer, or one that a
        few rows far from all others decide; in order of preference.
    options : mapping
        Keywords of ``fit`` or ``bayes`` that differ from their defaults.
    """

    name: str
    data: str
    law: str
    label: str = ""
    engine: str = LEAST_SQUARES
    instead: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StepSpec:
    """Work beside the fits, whose result a section shows.

    Parameters
    ----------
    name : str
        The word by which the rest of the study refers to it.
    kind : {"sensitivity", "calibration", "toy", "heads"}
        What is done.
    data : str
        A shipped data set, or a file relative to the study; for ``toy`` also the folder of a sweep. Empty for a grid.
    law : str
        A law or the name of a preset; empty for ``toy`` and ``heads``.
    grid : str
        For ``toy``: the grid of a sweep that is trained as part of the study, a TOML file relative to it.
    losses : str
        For ``heads``: losses of the same models, as ``data``; empty for none.
    label : str
        What tables and figures call it; the name when empty.
    needs : str
        A fit without whose answer the step means nothing; the step is left out, in words, where that fit has none.
    options : mapping
        Keywords of the function that differ from their defaults.
    """

    name: str
    kind: str
    data: str = ""
    law: str = ""
    grid: str = ""
    losses: str = ""
    label: str = ""
    needs: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A whole study.

    Parameters
    ----------
    title : str
        Title of the report.
    fit : tuple of FitSpec
        The fits.
    sensitivity, calibration, toy, heads : tuple of StepSpec
        Work beside the fits.
    subtitle : str
        A line under the title.
    short_title : str
        For the page header; the title when empty.
    date : date or None
        Printed on page one and written into the file; none when absent.
    paper : {"a4", "us-letter"}
        Page size.
    answer, card, section : tuple
        The parts of the report, in order.
    front : Front
        The rest of page one.
    left_out : tuple of str
        What this report cannot have, and why, as plain text; a section of its own.
    path : Path
        The file that it was read from.
    draft : bool
        Whether draws were cut down and every page says so.
    """

    title: str
    fit: tuple[FitSpec, ...]
    sensitivity: tuple[StepSpec, ...] = ()
    calibration: tuple[StepSpec, ...] = ()
    toy: tuple[StepSpec, ...] = ()
    heads: tuple[StepSpec, ...] = ()
    subtitle: str = ""
    short_title: str = ""
    date: datetime.date | None = None
    paper: str = "a4"
    answer: tuple[Answer, ...] = ()
    card: tuple[Card, ...] = ()
    front: Front = field(default_factory=Front)
    section: tuple[Section, ...] = ()
    left_out: tuple[str, ...] = ()
    path: Path = Path("study.toml")
    draft: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """What tables and figures call each fit and step."""
        named = [(one.name, one.label) for one in self.fit] + [(one.name, one.label) for one in self.steps]
        return {name: label or name.replace("_", " ") for name, label in named}

    @property
    def steps(self) -> tuple[StepSpec, ...]:
        """Everything beside the fits."""
        return (*self.sensitivity, *self.calibration, *self.toy, *self.heads)

    def spec(self, name: str) -> FitSpec:
        """Return the fit of that name."""
        return next(one for one in self.fit if one.name == name)

    def step(self, name: str) -> StepSpec:
        """Return the step of that name."""
        return next(one for one in self.steps if one.name == name)


def with_defaults(study: Study) -> Study:
    """Fill in what the study leaves open from its fits.

    Parameters
    ----------
    study : Study
        As read.

    Returns
    -------
    Study
        With an answer, cards and a section at least for its first fits.
    """
    first = study.fit[0]
    exponents = tuple(coef.name for coef in Law.parse(first.law).exponents if not coef.groups)
    cards = tuple(Card(f"Exponent ${name}$", first.name, (name,)) for name in exponents[:3])
    sections = tuple(
        Section(one.label or one.name, one.name, "posterior" if one.engine == BAYES else "law") for one in study.fit
    )
    front = study.front
    if front.figure is None and exponents:
        front = replace(front, figure=Figure("pairs", fit=first.name))
    return replace(
        study,
        answer=study.answer or tuple(Answer("law", one.name) for one in study.fit[:3]),
        card=study.card or cards,
        section=study.section or sections,
        front=replace(front, fits=front.fits or tuple(one.name for one in study.fit)),
    )


def as_plain(value: Any) -> Any:
    """Return dataclasses and mappings as dictionaries, sequences as lists, to be hashed or written as TOML or JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: as_plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_plain(one) for key, one in value.items()}
    return [as_plain(one) for one in value] if isinstance(value, list | tuple) else value
