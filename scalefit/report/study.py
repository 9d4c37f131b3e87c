"""A study: one TOML file that lists the fits to run and the content of the report.

The smallest study is a title and one fit; everything else has a default that follows from the fits::

    title = "My runs"

    [[fit]]
    name = "mine"
    data = "runs.csv"
    law = "chinchilla"

The keys of ``[[fit]]`` and ``[defaults]`` are the keyword names of :func:`scalefit.leastsq.fit` or, with
``engine = "bayes"``, those of :func:`scalefit.bayes`. Further computations are steps, which also have the keyword names
of their functions: ``[[levels]]`` (:func:`scalefit.fit_levels`), ``[[sensitivity]]`` (:func:`scalefit.sensitivity`),
``[[calibration]]`` (:func:`scalefit.calibrate`), ``[[forecast]]`` (:func:`scalefit.forecast`), ``[[isoflop]]``
(:func:`scalefit.isoflop`), ``[[toy]]`` (:func:`scalefit.consistency.check_sweep`) and ``[[heads]]``
(:func:`scalefit.models.theory.superposition`).
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, get_args, get_type_hints

from scalefit.law.general import parse_law
from scalefit.options import (
    Bayes,
    Budgets,
    Forecasting,
    LeastSquares,
    Options,
    OverlapTest,
    Question,
    Rows,
    Simulation,
    SweepCheck,
)
from scalefit.report.spec import (
    BAYES,
    LEAST_SQUARES,
    Answer,
    Card,
    Front,
    LawAnswer,
    LawSection,
    PairsFigure,
    PosteriorSection,
    Reference,
    Section,
)

__all__ = [
    "BAYES",
    "LEAST_SQUARES",
    "CalibrationStep",
    "FitSpec",
    "ForecastStep",
    "HeadsStep",
    "IsoFlopStep",
    "LevelsStep",
    "SensitivityStep",
    "Step",
    "Study",
    "ToyStep",
    "as_plain",
    "option_fields",
    "options_of",
    "with_defaults",
]


@dataclass(frozen=True)
class _OfLaw:
    """A law on a table.

    Parameters
    ----------
    name : str
        The word by which the rest of the study refers to it.
    data : str
        A shipped data set, or a file relative to the study.
    law : str
        A law or the name of a preset.
    label : str
        Its name in tables and figures; ``name`` when empty.
    """

    name: str
    data: str
    law: str
    label: str = ""


@dataclass(frozen=True)
class _NeedsFit(_OfLaw):
    """A computation on a law that may depend on a fit.

    Parameters
    ----------
    needs : str
        A fit that the step depends on; where that fit has no answer, the step is omitted and the report says so.
    """

    needs: str = ""


@dataclass(frozen=True)
class FitSpec(_OfLaw):
    """One fit to run.

    Parameters
    ----------
    instead : tuple of str
        Fits of the same law, in order of preference, that replace this one on page one and in the optimum where it has
        no answer, or an answer that depends on a few rows far from all others.
    selection : Rows
        Which rows of the table it uses.
    options : LeastSquares or Bayes
        How it is fitted, in detail.
    """

    instead: tuple[str, ...] = ()
    selection: Rows = field(default_factory=Rows)
    options: LeastSquares | Bayes = field(default_factory=LeastSquares)

    @property
    def engine(self) -> str:
        """How it is fitted."""
        return self.options.engine


@dataclass(frozen=True)
class LevelsStep(_OfLaw):
    """One fit for each level of a column, and whether the levels share the parameters.

    Parameters
    ----------
    by : str
        The column of labels, which is not in the law.
    selection : Rows
        Which rows of the table it uses.
    options : LeastSquares
        How each level is fitted.
    """

    kind: ClassVar[str] = "levels"

    by: str = field(kw_only=True)
    selection: Rows = field(default_factory=Rows)
    options: LeastSquares = field(default_factory=LeastSquares)


@dataclass(frozen=True)
class SensitivityStep(_NeedsFit):
    """How far an answer depends on choices.

    Parameters
    ----------
    question : Question
        The question, and which choices are varied.
    selection : Rows
        The rows of the base.
    model : Bayes
        The posterior of the base.
    """

    kind: ClassVar[str] = "sensitivity"

    question: Question = field(kw_only=True)
    selection: Rows = field(default_factory=Rows)
    model: Bayes = field(default_factory=Bayes)


@dataclass(frozen=True)
class CalibrationStep(_NeedsFit):
    """Whether intervals reach their nominal coverage on simulated data.

    Parameters
    ----------
    selection : Rows
        The rows on which data are simulated.
    model : Bayes
        The model that makes them.
    simulation : Simulation
        How many, and by what they are fitted.
    """

    kind: ClassVar[str] = "calibration"

    selection: Rows = field(default_factory=Rows)
    model: Bayes = field(default_factory=Bayes)
    simulation: Simulation = field(default_factory=Simulation)


@dataclass(frozen=True)
class ForecastStep:
    """Forecasts of runs that are larger than those of a table.

    Parameters
    ----------
    name : str
        The word by which the rest of the study refers to it.
    data : str
        A shipped data set, or a file relative to the study.
    at : tuple of str
        The runs, each as ``"params=70B,tokens=1.4T"``.
    label : str
        Its name in tables and figures; ``name`` when empty.
    selection : Rows
        Which rows of the table it uses.
    forecasting : Forecasting
        The laws and the intervals.
    """

    kind: ClassVar[str] = "forecast"

    name: str
    data: str
    at: tuple[str, ...]
    label: str = ""
    selection: Rows = field(default_factory=Rows)
    forecasting: Forecasting = field(default_factory=Forecasting)


@dataclass(frozen=True)
class IsoFlopStep:
    """The best size at each budget of compute, straight from runs of equal budgets.

    Parameters
    ----------
    name : str
        The word by which the rest of the study refers to it.
    data : str
        A shipped data set, or a file relative to the study.
    label : str
        Its name in tables and figures; ``name`` when empty.
    selection : Rows
        Which rows of the table it uses.
    budgets : Budgets
        How runs are grouped into budgets.
    """

    kind: ClassVar[str] = "isoflop"

    name: str
    data: str
    label: str = ""
    selection: Rows = field(default_factory=Rows)
    budgets: Budgets = field(default_factory=Budgets)


@dataclass(frozen=True)
class ToyStep:
    """A sweep of toy models, read or trained, and its comparison with theory; needs either ``data`` or ``grid``.

    Parameters
    ----------
    name : str
        The word by which the rest of the study refers to it.
    data : str
        A shipped sweep, or a file or the folder of a sweep relative to the study.
    grid : str
        The grid of a sweep that is trained as part of the study, a TOML file relative to it.
    label : str
        Its name in tables and figures; ``name`` when empty.
    where : str
        Which of its models are compared; all when empty.
    comparison : SweepCheck
        What it is compared with.
    """

    kind: ClassVar[str] = "toy"

    name: str
    data: str = ""
    grid: str = ""
    label: str = ""
    where: str = ""
    comparison: SweepCheck = field(default_factory=SweepCheck)


@dataclass(frozen=True)
class HeadsStep:
    """Output heads of real models, tested against theory.

    Parameters
    ----------
    name : str
        The word by which the rest of the study refers to it.
    data : str
        A shipped table of heads, or a file relative to the study.
    losses : str
        Losses of the same models, as ``data``; empty for none.
    label : str
        Its name in tables and figures; ``name`` when empty.
    test : OverlapTest
        Which overlaps are tested.
    """

    kind: ClassVar[str] = "heads"

    name: str
    data: str
    losses: str = ""
    label: str = ""
    test: OverlapTest = field(default_factory=OverlapTest)


Step: TypeAlias = LevelsStep | SensitivityStep | CalibrationStep | ForecastStep | IsoFlopStep | ToyStep | HeadsStep


@dataclass(frozen=True)
class Study:
    """A whole study.

    Parameters
    ----------
    title : str
        Title of the report.
    fit : tuple of FitSpec
        The fits.
    levels : tuple of LevelsStep
        One fit for each level of a column.
    sensitivity : tuple of SensitivityStep
        How far answers move with their choices.
    calibration : tuple of CalibrationStep
        Whether intervals reach their nominal coverage.
    forecast : tuple of ForecastStep
        Runs that do not exist yet.
    isoflop : tuple of IsoFlopStep
        The best size at each budget, from runs of equal budgets.
    toy : tuple of ToyStep
        Sweeps of toy models.
    heads : tuple of HeadsStep
        Output heads of real models.
    subtitle : str
        A line under the title.
    short_title : str
        For the page header; the title when empty.
    date : date or None
        Printed on page one and written into the file; none when absent.
    author : str
        A line under the subtitle.
    template : {"a4", "letter"}
        The paper that it is set for.
    answer : tuple of Answer
        The sentences of page one, in order.
    card : tuple of Card
        The large numbers of page one, in order.
    section : tuple of Section
        The sections, in order.
    front : Front
        The rest of page one.
    method : {"full", "short"}
        The last section: with priors and the table of samplers, or without them.
    reference : tuple of Reference
        The bibliography.
    left_out : tuple of str
        What this report cannot include, and why, as plain text for a separate section.
    path : Path
        The file that it was read from.
    draft : bool
        Whether the number of draws is reduced, which every page then states.
    """

    title: str
    fit: tuple[FitSpec, ...]
    levels: tuple[LevelsStep, ...] = ()
    sensitivity: tuple[SensitivityStep, ...] = ()
    calibration: tuple[CalibrationStep, ...] = ()
    forecast: tuple[ForecastStep, ...] = ()
    isoflop: tuple[IsoFlopStep, ...] = ()
    toy: tuple[ToyStep, ...] = ()
    heads: tuple[HeadsStep, ...] = ()
    subtitle: str = ""
    short_title: str = ""
    date: datetime.date | None = None
    author: str = ""
    template: Literal["a4", "letter"] = "a4"
    answer: tuple[Answer, ...] = ()
    card: tuple[Card, ...] = ()
    front: Front = field(default_factory=Front)
    section: tuple[Section, ...] = ()
    method: Literal["full", "short"] = "full"
    reference: tuple[Reference, ...] = ()
    left_out: tuple[str, ...] = ()
    path: Path = Path("study.toml")
    draft: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """The name of each fit and step in tables and figures."""
        named = [(spec.name, spec.label) for spec in self.fit] + [(step.name, step.label) for step in self.steps]
        return {name: label or name.replace("_", " ") for name, label in named}

    @property
    def steps(self) -> tuple[Step, ...]:
        """All computations other than fits."""
        return (
            *self.levels, *self.sensitivity, *self.calibration, *self.forecast, *self.isoflop, *self.toy, *self.heads
        )  # fmt: skip

    def spec(self, name: str) -> FitSpec:
        """Return the fit of that name."""
        return next(spec for spec in self.fit if spec.name == name)

    def step(self, name: str) -> Step:
        """Return the step of that name."""
        return next(step for step in self.steps if step.name == name)


def with_defaults(study: Study) -> Study:
    """Fill in the defaults of a study from its fits.

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
    exponents = tuple(coef.name for coef in parse_law(first.law).exponents if not coef.groups)
    cards = tuple(Card(f"Exponent ${name}$", first.name, (name,)) for name in exponents[:3])
    sections = tuple(
        PosteriorSection(title=spec.label or spec.name, fit=spec.name) if spec.engine == BAYES
        else LawSection(title=spec.label or spec.name, fit=spec.name)
        for spec in study.fit
    )  # fmt: skip
    front = study.front
    if front.figure is None and exponents:
        front = replace(front, figure=PairsFigure(fit=first.name))
    return replace(
        study,
        answer=study.answer or tuple(LawAnswer(fit=spec.name) for spec in study.fit[:3]),
        card=study.card or cards,
        section=study.section or sections,
        front=replace(front, fits=front.fits or tuple(spec.name for spec in study.fit)),
    )


def option_fields(kind: type[Any]) -> dict[type[Options], str]:
    """Return the fields of a fit or a step that contain options, by the class of the options."""
    return _OPTION_FIELDS[kind]


def _option_fields(kind: type[Any]) -> dict[type[Options], str]:
    held = ((name, arg) for name, hint in get_type_hints(kind).items() for arg in get_args(hint) or (hint,))
    return {kind: name for name, kind in held if isinstance(kind, type) and issubclass(kind, Options)}


_OPTION_FIELDS = {arg: _option_fields(arg) for arg in (FitSpec, *get_args(Step))}


def options_of(spec: FitSpec | Step) -> tuple[Options, ...]:
    """Return the options of a fit or a step, as its function takes them."""
    options = (getattr(spec, name) for name in dict.fromkeys(option_fields(type(spec)).values()))
    return tuple(options)


def as_plain(value: Any) -> Any:
    """Return dataclasses and mappings as dictionaries, sequences as lists, to be hashed or written as TOML or JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    return [as_plain(item) for item in value] if isinstance(value, list | tuple) else value
