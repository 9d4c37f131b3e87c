"""A study: one TOML file that says which fits to run and what the report is to say about them.

The smallest study is a title and one fit; everything else has a default that follows from the fits::

    title = "My runs"

    [[fit]]
    name = "mine"
    data = "runs.csv"
    law = "chinchilla"

The keys of ``[[fit]]`` and ``[defaults]`` are the keyword names of :func:`scalefit.leastsq.fit` or, with
``engine = "bayes"``, those of :func:`scalefit.bayes.bayes`.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scalefit.law import Law

__all__ = [
    "BAYES",
    "LEAST_SQUARES",
    "Answer",
    "Card",
    "Figure",
    "FitSpec",
    "Front",
    "Published",
    "Section",
    "Study",
    "with_defaults",
]

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
    options : mapping
        Keywords of ``fit`` or ``bayes`` that differ from their defaults.
    """

    name: str
    data: str
    law: str
    label: str = ""
    engine: str = LEAST_SQUARES
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """Numbers of a paper to stand beside a fit.

    Parameters
    ----------
    label : str
        The paper in words.
    key : str
        What its keys in the table of published values begin with, such as ``"besiroglu2024"``.
    """

    label: str
    key: str


@dataclass(frozen=True)
class Figure:
    """A figure by kind.

    Parameters
    ----------
    kind : str
        ``terms``, ``residuals``, ``pairs``, ``forest``, ``densities``, ``observed`` or ``optima``; of posteriors also
        ``distributions``, ``joint``, ``priors``, ``predictive`` and ``pooling``.
    fit : str
        The fit shown; that of the section when empty.
    fits : tuple of str
        Several fits, for ``forest``, ``densities`` and ``distributions``.
    parameter : str
        For these, and for ``pooling``; what other fits call it follows after commas.
    against : tuple of str
        Columns, for ``residuals`` (the law's variables and groups when empty) and ``predictive`` (one).
    names : tuple of pairs of str
        Parameters (x, y) of each panel of ``pairs``; the obvious ones when empty.
    parameters : tuple of str
        Those of ``joint`` and ``priors``; the obvious ones when empty.
    published : tuple of Published
        Papers to add to a ``forest`` or to ``distributions``.
    reference : float or None
        A hypothesis to mark in red.
    words : str
        What it says.
    height : float
        Height of a row of panels, mm; a default by kind when 0.
    """

    kind: str
    fit: str = ""
    fits: tuple[str, ...] = ()
    parameter: str = ""
    against: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    parameters: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    reference: float | None = None
    words: str = ""
    height: float = 0.0


@dataclass(frozen=True)
class Answer:
    """One sentence or two of page one, written from the numbers.

    Parameters
    ----------
    title : str
        A few words to lead in; none when empty.
    rule : {"law", "reference", "pooled", "posterior", "agreement"}
        What to answer: what the law is, whether a parameter is a given number (by intervals, or by the probability that
        posteriors give it), whether groups agree, whether independent data sets do.
    fit : str
        The main fit.
    parameter : str
        The parameter in question, for every rule but ``law``; what other fits call it follows after commas.
    reference : float or None
        The number in question.
    within : float
        How near to the reference counts as equal to it; a tenth of it when 0.
    also : tuple of str
        Fits that answer the same question another way.
    among : tuple of str
        Fits of single groups, for ``pooled``.
    published : tuple of Published
        Papers to compare with.
    """

    rule: str
    fit: str
    title: str = ""
    parameter: str = ""
    reference: float | None = None
    within: float = 0.0
    also: tuple[str, ...] = ()
    among: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()


@dataclass(frozen=True)
class Card:
    """A number set large on page one.

    Parameters
    ----------
    title : str
        What it is.
    fit : str
        The fit it comes from.
    parameters : tuple of str
        One or two parameters.
    """

    title: str
    fit: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Front:
    """The rest of page one.

    Parameters
    ----------
    fits : tuple of str
        Fits whose laws and numbers page one shows; all when empty.
    figure : Figure or None
        The figure of page one.
    """

    fits: tuple[str, ...] = ()
    figure: Figure | None = None


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Parameters
    ----------
    title : str
        Its heading.
    fit : str
        The main fit; not used by ``comparison``.
    kind : {"law", "posterior", "comparison"}
        How it is written: a law fitted to a table, a posterior, one parameter in several fits.
    fits : tuple of str
        The fits of a ``comparison``.
    alternatives : tuple of str
        The same question under other choices, as rows of a table.
    laws : tuple of str
        Posteriors of several laws on the same rows, to be ranked by how they predict left-out rows.
    leave_out : str
        What leaving one out leaves out: ``row``, or a column.
    hold_out : str
        Rows that those laws predict from the others: a condition, or a column whose largest values are held out.
    clustered : str
        The same fit with its rows resampled by cluster.
    published : tuple of Published
        Papers beside it.
    parameter : str
        The parameter in question, for ``posterior`` and ``comparison``; what other fits call it follows after commas.
    reference : float or None
        The number in question.
    within : float
        How near to the reference counts as equal to it; a tenth of it when 0.
    words : str
        What the reference says, for figures.
    parameters : tuple of str
        Parameters of the table of alternatives; floor and exponents when empty.
    text : tuple of str
        Paragraphs. ``$a_m$`` sets a symbol; ``{fit.a_m}`` and ``{besiroglu2024.alpha}`` stand for numbers.
    figures : tuple of Figure
        Figures; the usual ones of the kind when empty.
    new_page : bool
        Begin on a new page.
    """

    title: str
    fit: str = ""
    kind: str = "law"
    fits: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    laws: tuple[str, ...] = ()
    leave_out: str = "row"
    hold_out: str = ""
    clustered: str = ""
    published: tuple[Published, ...] = ()
    parameter: str = ""
    reference: float | None = None
    within: float = 0.0
    words: str = ""
    parameters: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    new_page: bool = False


@dataclass(frozen=True)
class Study:
    """A whole study.

    Parameters
    ----------
    title : str
        Title of the report.
    fit : tuple of FitSpec
        The fits.
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
    path : Path
        The file that it was read from.
    """

    title: str
    fit: tuple[FitSpec, ...]
    subtitle: str = ""
    short_title: str = ""
    date: datetime.date | None = None
    paper: str = "a4"
    answer: tuple[Answer, ...] = ()
    card: tuple[Card, ...] = ()
    front: Front = Front()
    section: tuple[Section, ...] = ()
    path: Path = Path("study.toml")

    def spec(self, name: str) -> FitSpec:
        """Return the fit of that name."""
        return next(one for one in self.fit if one.name == name)


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
