"""The types of page one of a report: answers, one for each rule, cards, and the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from scalefit.report.spec.figures import Figure
from scalefit.report.spec.references import (
    BAYES,
    AnyFit,
    AnyStep,
    FitWithParameter,
    PosteriorWithParameter,
    Published,
    RankedPosterior,
    Refers,
)

__all__ = [
    "AgreementAnswer",
    "Answer",
    "Card",
    "ComputeAnswer",
    "Front",
    "LawAnswer",
    "PooledAnswer",
    "PosteriorAnswer",
    "PredictionAnswer",
    "ReferenceAnswer",
    "RobustAnswer",
    "RunsAnswer",
    "StepAnswer",
    "ValuesAnswer",
]


@dataclass(frozen=True, kw_only=True)
class _Asking:
    """An answer about one parameter.

    Parameters
    ----------
    title : str
        A short heading; none when empty.
    parameter : str
        The parameter in question; its names in other fits follow after commas.
    """

    title: str = ""
    parameter: str


@dataclass(frozen=True, kw_only=True)
class LawAnswer:
    """What the law of a fit is.

    Parameters
    ----------
    title : str
        A short heading; none when empty.
    fit : str
        The fit.
    published : tuple of Published
        Papers to compare with.
    """

    rule: Literal["law"] = "law"
    title: str = ""
    fit: AnyFit
    published: tuple[Published, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReferenceAnswer(_Asking):
    """Whether a parameter equals a reference, by intervals.

    Parameters
    ----------
    fit : str
        The main fit.
    reference : float
        The number in question.
    also : tuple of str
        Other analyses of the same question.
    """

    rule: Literal["reference"] = "reference"
    fit: FitWithParameter
    reference: float
    also: tuple[FitWithParameter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PooledAnswer(_Asking):
    """Whether groups agree on one parameter.

    Parameters
    ----------
    fit : str
        The fit of all groups.
    reference : float or None
        A number in question.
    among : tuple of str
        Fits of single groups.
    also : tuple of str
        Other fits of all groups.
    """

    rule: Literal["pooled"] = "pooled"
    fit: FitWithParameter
    reference: float | None = None
    among: tuple[FitWithParameter, ...] = ()
    also: tuple[FitWithParameter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PosteriorAnswer(_Asking):
    """Whether a parameter equals a reference, by the probability under posteriors.

    Parameters
    ----------
    fit : str
        The main posterior.
    reference : float
        The number in question.
    within : float
        The distance from the reference that counts as equal; a tenth of the reference when 0.
    also : tuple of str
        Other posteriors for the same question.
    """

    rule: Literal["posterior"] = "posterior"
    fit: PosteriorWithParameter
    reference: float
    within: float = 0.0
    also: tuple[PosteriorWithParameter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AgreementAnswer(_Asking):
    """Whether independent data sets agree on one parameter.

    Parameters
    ----------
    fit : str
        The first fit.
    also : tuple of str
        The fits of other data.
    """

    rule: Literal["agreement"] = "agreement"
    fit: FitWithParameter
    also: tuple[FitWithParameter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RobustAnswer(_Asking):
    """Whether a parameter is a given number: by other analyses, on part of its range, and in other data.

    Parameters
    ----------
    fit : str
        The main fit.
    reference : float
        The number in question.
    also : tuple of str
        Fits of the same rows with other cuts and error models.
    ranges : tuple of str
        Fits without an end of the variable.
    elsewhere : tuple of str
        Fits of other data.
    by_row : str
        The main posterior with independent rows, to show what shared errors are worth.
    """

    rule: Literal["robust"] = "robust"
    fit: FitWithParameter
    reference: float
    by_row: Annotated[str, Refers("fit", BAYES, with_parameter=True)] = ""
    also: tuple[FitWithParameter, ...] = ()
    ranges: tuple[FitWithParameter, ...] = ()
    elsewhere: tuple[FitWithParameter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ValuesAnswer:
    """One parameter of several fits, and which of their intervals hold a number.

    Parameters
    ----------
    title : str
        A few words to lead in; none when empty.
    fits : tuple of str
        The fits.
    parameter : str
        The parameter; its names in other fits follow after commas.
    reference : float
        The number in question.
    """

    rule: Literal["values"] = "values"
    title: str = ""
    fits: tuple[FitWithParameter, ...]
    parameter: str
    reference: float


@dataclass(frozen=True, kw_only=True)
class PredictionAnswer:
    """What coverage forecasts of larger runs reach in the public backtest, and laws on the rows of this study.

    Parameters
    ----------
    title : str
        A few words to lead in; none when empty.
    laws : tuple of str
        Posteriors of several laws on the same rows, to be ranked; none when empty.
    leave_out : str
        What leave-one-out omits, as in a section of kind ``posterior``.
    hold_out : str
        Rows that those laws predict from the others, as there.
    """

    rule: Literal["prediction"] = "prediction"
    title: str = ""
    laws: tuple[RankedPosterior, ...] = ()
    leave_out: str = "row"
    hold_out: str = ""


@dataclass(frozen=True, kw_only=True)
class ComputeAnswer:
    """How a budget is used best: how the answer grows with compute (``compute``), or the run itself (``budget``).

    Parameters
    ----------
    title : str
        A few words to lead in; none when empty.
    fit : str
        The fit.
    compute : float
        The budget in FLOP.
    """

    rule: Literal["compute", "budget"] = "compute"
    title: str = ""
    fit: AnyFit
    compute: float


@dataclass(frozen=True, kw_only=True)
class RunsAnswer:
    """What a table of runs says: the verdict and its numbers (``runs``), or how well the law fits (``misfit``).

    Parameters
    ----------
    title : str
        A few words to lead in; none when empty.
    fit : str
        The fit.
    """

    rule: Literal["runs", "misfit"]
    title: str = ""
    fit: AnyFit


@dataclass(frozen=True, kw_only=True)
class StepAnswer:
    """What a step of the study found.

    Parameters
    ----------
    title : str
        A few words to lead in; none when empty.
    step : str
        The step.
    """

    rule: Literal["step"] = "step"
    title: str = ""
    step: AnyStep


Answer: TypeAlias = (
    LawAnswer | ReferenceAnswer | PooledAnswer | PosteriorAnswer | AgreementAnswer | RobustAnswer | ComputeAnswer
    | RunsAnswer | StepAnswer | ValuesAnswer | PredictionAnswer
)  # fmt: skip


@dataclass(frozen=True)
class Card:
    """A large number on page one.

    Parameters
    ----------
    title : str
        Its title.
    fit : str
        The fit it comes from.
    parameters : tuple of str
        One or two parameters.
    """

    title: str
    fit: FitWithParameter
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
    table : bool
        Whether the fits have a table; without it the caption of the figure should explain its labels.
    """

    fits: tuple[AnyFit, ...] = ()
    figure: Figure | None = None
    table: bool = True
