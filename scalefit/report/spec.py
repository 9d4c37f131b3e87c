"""The types of a report's sections, figures and answers: one type for each kind, as plain values.

A type has the keys that its kind uses and no others; the key ``kind``, or ``rule`` of an answer, chooses the type. What
a key names, a fit or a step, is part of the type (:class:`Refers`), so that a new kind is checked like the others. To
add a kind of section, write its type here, add it to :data:`Section`, and give it a case in ``sections.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, get_args, get_type_hints

__all__ = [
    "BAYES",
    "FAMILIES",
    "LEAST_SQUARES",
    "AgreementAnswer",
    "Answer",
    "CalibrationSection",
    "Card",
    "Claim",
    "ClaimsSection",
    "ComparisonSection",
    "ConvergenceFigure",
    "CurvesFigure",
    "DensitiesFigure",
    "DistributionsFigure",
    "Family",
    "Figure",
    "FitFigure",
    "ForecastSection",
    "ForestFigure",
    "Front",
    "HeadsSection",
    "JointFigure",
    "LawAnswer",
    "LawSection",
    "LevelsSection",
    "Mention",
    "OptimumSection",
    "PairsFigure",
    "PooledAnswer",
    "PoolingFigure",
    "PosteriorAnswer",
    "PosteriorSection",
    "PredictionAnswer",
    "PredictionSection",
    "PredictiveFigure",
    "PriorsFigure",
    "Published",
    "Reference",
    "ReferenceAnswer",
    "Refers",
    "ResidualsFigure",
    "RunsAnswer",
    "Section",
    "SensitivitySection",
    "SweepFigure",
    "TermsFigure",
    "ToySection",
    "ValuesAnswer",
    "WidthTermsFigure",
    "describe",
    "family_of",
    "mentions",
    "with_words",
]

BAYES: Final = "bayes"
LEAST_SQUARES: Final = "least squares"


@dataclass(frozen=True)
class Refers:
    """A reference: what the text of a key names.

    Parameters
    ----------
    to : {"fit", "step"}
        A fit or a step.
    of : str
        The engine of the fit or the kind of the step; any when empty.
    with_parameter : bool
        Whether the fit must have the parameter that the same table names.
    role : str
        Text before the description of the part in a message, where the part names fits for two purposes.
    """

    to: Literal["fit", "step"]
    of: str = ""
    with_parameter: bool = False
    role: str = ""


AnyFit: TypeAlias = Annotated[str, Refers("fit")]
FitWithParameter: TypeAlias = Annotated[str, Refers("fit", with_parameter=True)]
LeastSquaresFit: TypeAlias = Annotated[str, Refers("fit", LEAST_SQUARES)]
LeastSquaresWithParameter: TypeAlias = Annotated[str, Refers("fit", LEAST_SQUARES, with_parameter=True)]
Posterior: TypeAlias = Annotated[str, Refers("fit", BAYES)]
PosteriorWithParameter: TypeAlias = Annotated[str, Refers("fit", BAYES, with_parameter=True)]
RankedPosterior: TypeAlias = Annotated[str, Refers("fit", BAYES, role="the ranking of laws in ")]
Sweep: TypeAlias = Annotated[str, Refers("step", "toy")]
IsoFlops: TypeAlias = Annotated[str, Refers("step", "isoflop")]
AnyStep: TypeAlias = Annotated[str, Refers("step")]


@dataclass(frozen=True)
class Published:
    """Published values of a paper, to be compared with a fit.

    Parameters
    ----------
    label : str
        The paper in words.
    key : str
        The beginning of its keys in the table of published values, such as ``"besiroglu2024"``.
    """

    label: str
    key: str


@dataclass(frozen=True)
class Reference:
    """An entry of the bibliography.

    Parameters
    ----------
    text : str
        Authors, year and title.
    link : str
        ``arXiv:2203.15556`` or ``doi:10.1000/182``.
    """

    text: str
    link: str


# Figures ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _OfFit:
    """A figure of one fit.

    Parameters
    ----------
    fit : str
        The fit shown; that of the section when empty.
    """

    fit: FitWithParameter = ""


@dataclass(frozen=True, kw_only=True)
class _OfPosterior:
    """A figure of one posterior.

    Parameters
    ----------
    fit : str
        The posterior shown; that of the section when empty.
    """

    fit: PosteriorWithParameter = ""


@dataclass(frozen=True, kw_only=True)
class _Marking:
    """A figure that marks a hypothesis.

    Parameters
    ----------
    reference : float or None
        A hypothesis to mark in red.
    words : str
        Its label.
    """

    reference: float | None = None
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class _OfFits(_Marking):
    """A figure of several fits.

    Parameters
    ----------
    fits : tuple of str
        The fits; only ``fit`` when empty.
    fit : str
        The fit of a figure with one; that of the section when empty.
    """

    fits: tuple[FitWithParameter, ...] = ()
    fit: FitWithParameter = ""


@dataclass(frozen=True, kw_only=True)
class FitFigure(_OfFit):
    """Observed against predicted values of one fit, or its local optima."""

    kind: Literal["observed", "optima"]


@dataclass(frozen=True, kw_only=True)
class TermsFigure(_OfFit):
    """Each term of a law alone.

    Parameters
    ----------
    height : float
        Height of a row of panels, mm; 60, or 45 for more than three panels, when 0.
    """

    kind: Literal["terms"] = "terms"
    height: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CurvesFigure(_OfFit):
    """The response of the runs against each column of the law, with the fitted curves and their bands.

    Parameters
    ----------
    height : float
        Height, mm; 62 when 0.
    """

    kind: Literal["curves"] = "curves"
    height: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ResidualsFigure(_OfFit):
    """Residuals of a fit against columns of its table.

    Parameters
    ----------
    against : tuple of str
        The columns; the law's variables and groups when empty.
    height : float
        Height of a row of panels, mm; 50 when 0.
    left_out : bool
        Whether rows that the fit does not use are shown in gold.
    """

    kind: Literal["residuals"] = "residuals"
    against: tuple[str, ...] = ()
    height: float = 0.0
    left_out: bool = True


@dataclass(frozen=True, kw_only=True)
class PairsFigure(_OfFit, _Marking):
    """How parameters trade off, a panel for each pair.

    Parameters
    ----------
    names : tuple of pairs of str
        Parameters (x, y) of each panel; the obvious ones when empty.
    parameter : str
        The parameter whose hypothesis is marked.
    """

    kind: Literal["pairs"] = "pairs"
    names: tuple[tuple[str, str], ...] = ()
    parameter: str = ""


@dataclass(frozen=True, kw_only=True)
class JointFigure(_OfPosterior, _Marking):
    """The joint posterior of several parameters, in a triangle of panels.

    Parameters
    ----------
    parameters : tuple of str
        Those of the panels; the obvious ones when empty.
    parameter : str
        The parameter whose hypothesis is marked.
    """

    kind: Literal["joint"] = "joint"
    parameters: tuple[str, ...] = ()
    parameter: str = ""


@dataclass(frozen=True, kw_only=True)
class PriorsFigure(_OfPosterior):
    """Posterior over prior of each parameter.

    Parameters
    ----------
    parameters : tuple of str
        Those of the panels; the obvious ones when empty.
    """

    kind: Literal["priors"] = "priors"
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PredictiveFigure(_OfPosterior):
    """Posterior predictive check: whether the model makes data like those observed.

    Parameters
    ----------
    against : tuple of str
        The column of the middle panel; the obvious one when empty.
    """

    kind: Literal["predictive"] = "predictive"
    against: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PoolingFigure(_OfPosterior, _Marking):
    """A partially pooled parameter of each group, with the common distribution.

    Parameters
    ----------
    parameter : str
        The parameter; the pooled one when empty.
    """

    kind: Literal["pooling"] = "pooling"
    parameter: str = ""


@dataclass(frozen=True, kw_only=True)
class _OfParameter(_OfFits):
    """A figure of one parameter of several fits.

    Parameters
    ----------
    parameter : str
        The parameter; its names in other fits follow after commas.
    published : tuple of Published
        Papers to add.
    """

    parameter: str
    published: tuple[Published, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ForestFigure(_OfParameter):
    """One parameter of several fits, as estimates with intervals.

    Parameters
    ----------
    note : str
        What the caption adds, such as what the labels mean.
    """

    kind: Literal["forest"] = "forest"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class DistributionsFigure(_OfParameter):
    """One parameter of several fits, as distributions on the same axes.

    Parameters
    ----------
    height : float
        Height, mm; 62 when 0.
    """

    kind: Literal["distributions"] = "distributions"
    height: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DensitiesFigure(_OfFits):
    """One parameter of several fits, as a density in a panel for each.

    Parameters
    ----------
    parameter : str
        The parameter; its names in other fits follow after commas. The first exponent when empty.
    height : float
        Height of a row of panels, mm; 55 when 0.
    """

    kind: Literal["densities"] = "densities"
    parameter: str = ""
    height: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SweepFigure:
    """Losses of toy models against width, exponents between widths, or exponents over two settings.

    Parameters
    ----------
    steps : tuple of str
        The sweeps.
    where : str
        Which of their rows are drawn.
    height : float
        Height of a figure of losses, mm; 66 when 0.
    """

    kind: Literal["toy_losses", "toy_slopes", "toy_map"]
    steps: tuple[Sweep, ...]
    where: str = ""
    height: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ConvergenceFigure:
    """Exponents of toy models against the length of their training.

    Parameters
    ----------
    steps : tuple of str
        The sweeps.
    where : str
        Which of their rows are drawn.
    height : float
        Height, mm; 62 when 0.
    """

    kind: Literal["toy_convergence"] = "toy_convergence"
    steps: tuple[Sweep, ...]
    where: str = ""
    height: float = 0.0


@dataclass(frozen=True, kw_only=True)
class WidthTermsFigure:
    """The width terms of several fits on one pair of axes.

    Parameters
    ----------
    fits : tuple of str
        The fits.
    reference : float or None
        The exponent to mark in red; 1 when absent.
    """

    kind: Literal["width_terms"] = "width_terms"
    fits: tuple[AnyFit, ...]
    reference: float | None = None


Figure: TypeAlias = (
    FitFigure | TermsFigure | CurvesFigure | ResidualsFigure | PairsFigure | JointFigure | PriorsFigure
    | PredictiveFigure | PoolingFigure | ForestFigure | DistributionsFigure | DensitiesFigure | SweepFigure
    | ConvergenceFigure | WidthTermsFigure
)  # fmt: skip


def with_words(figure: Figure, words: str) -> Figure:
    """Label the reference that a figure marks, unless the figure has a label."""
    if isinstance(figure, _Marking) and figure.reference is not None and not figure.words:
        return replace(figure, words=words)
    return figure


# Page one -----------------------------------------------------------------------------------------------------------


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
    """

    rule: Literal["pooled"] = "pooled"
    fit: FitWithParameter
    reference: float | None = None
    among: tuple[FitWithParameter, ...] = ()


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


# Sections -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """A published value and its refit.

    Parameters
    ----------
    says : str
        What is claimed, in a few words.
    published : tuple of Published
        Where it was printed; the key is that of one value, such as ``liu2025.alpha``.
    fit : str
        The refit.
    step : str
        In place of a fit: the best sizes at the budgets of a table, with ``power``.
    parameter : str
        The parameter of the refit that was printed.
    power : str
        In place of a parameter: the column whose best value grows as that power of compute.
    at : str
        In place of a parameter: a condition on one row of the table of the refit, whose response is predicted.
    because : str
        The reason for a difference; it may contain places for numbers of fits.
    """

    says: str
    published: tuple[Published, ...]
    fit: FitWithParameter = ""
    step: IsoFlops = ""
    parameter: str = ""
    power: str = ""
    at: str = ""
    because: str = ""


@dataclass(frozen=True, kw_only=True)
class _AnySection:
    """The keys of every section.

    Parameters
    ----------
    title : str
        Its heading.
    text : tuple of str
        Paragraphs. ``$a_m$`` sets a symbol; ``{fit.a_m}`` and ``{besiroglu2024.alpha}`` are replaced by numbers.
    new_page : bool
        Begin on a new page.
    """

    title: str
    text: tuple[str, ...] = ()
    new_page: bool = False


@dataclass(frozen=True, kw_only=True)
class _Asked(_AnySection):
    """A section that asks whether a parameter is a given number.

    Parameters
    ----------
    reference : float or None
        The number in question.
    within : float
        How near to the reference counts as equal to it; a tenth of it when 0.
    """

    reference: float | None = None
    within: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LawSection(_AnySection):
    """A law fitted to a table.

    Parameters
    ----------
    fit : str
        The main fit.
    published : tuple of Published
        Papers to compare with.
    clustered : str
        The same fit with its rows resampled by cluster.
    alternatives : tuple of str
        Fits with other choices, as rows of a table.
    parameters : tuple of str
        Parameters of the table of alternatives; floor and exponents when empty.
    levels : bool
        Whether parameters with two groups have a table each.
    figures : tuple of Figure
        Figures; terms and residuals when empty.
    """

    kind: Literal["law"] = "law"
    fit: LeastSquaresWithParameter
    published: tuple[Published, ...] = ()
    clustered: LeastSquaresFit = ""
    alternatives: tuple[LeastSquaresFit, ...] = ()
    parameters: tuple[str, ...] = ()
    levels: bool = True
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PosteriorSection(_Asked):
    """A posterior, and its answer about one parameter.

    Parameters
    ----------
    fit : str
        The main posterior.
    parameter : str
        The parameter in question; its names in other fits follow after commas.
    words : str
        Label of the reference, for figures that mark it without a label.
    alternatives : tuple of str
        Posteriors with other choices, as rows of a table.
    parameters : tuple of str
        Parameters of the table of alternatives; floor and exponents when empty.
    laws : tuple of str
        Posteriors of several laws on the same rows, to be ranked by how they predict left-out rows.
    leave_out : str
        What leave-one-out omits: ``row``, or the levels of a column.
    hold_out : str
        Rows that those laws predict from the others: a condition, or a column whose largest values are held out.
    evidence_table : bool
        Whether the Bayes factor is shown under each prior, as a table.
    figures : tuple of Figure
        Figures; the predictive one when empty.
    """

    kind: Literal["posterior"] = "posterior"
    fit: PosteriorWithParameter
    parameter: str = ""
    words: str = ""
    alternatives: tuple[Posterior, ...] = ()
    parameters: tuple[str, ...] = ()
    laws: tuple[RankedPosterior, ...] = ()
    leave_out: str = "row"
    hold_out: str = ""
    evidence_table: bool = True
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ComparisonSection(_Asked):
    """One parameter in several fits.

    Parameters
    ----------
    fits : tuple of str
        The fits.
    parameter : str
        The parameter in question; its names in other fits follow after commas.
    words : str
        Label of the reference in the forest.
    published : tuple of Published
        Papers to compare with.
    figures : tuple of Figure
        Figures; none when empty.
    """

    kind: Literal["comparison"] = "comparison"
    fits: tuple[FitWithParameter, ...]
    parameter: str
    words: str = ""
    published: tuple[Published, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClaimsSection(_AnySection):
    """Published values and their refits.

    Parameters
    ----------
    claims : tuple of Claim
        The rows of its table.
    fit : str
        The fit of figures that name none; the first of the study when empty.
    figures : tuple of Figure
        Figures; none when empty.
    """

    kind: Literal["claims"] = "claims"
    claims: tuple[Claim, ...]
    fit: AnyFit = ""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OptimumSection(_AnySection):
    """The best use of compute.

    Parameters
    ----------
    fit : str
        The main fit.
    alternatives : tuple of str
        The same question under other choices.
    published : tuple of Published
        Papers to compare with.
    elsewhere : tuple of str
        Other data: the best sizes at budgets of compute, whose powers are rows of the table of powers.
    cost : str
        What a run costs, in the units of ``compute``.
    compute : tuple of float
        The budgets of the table; chosen from the data when empty.
    chinchilla_ratio : bool
        Whether the best ratio is compared with the 20 tokens per parameter of Chinchilla 70B.
    """

    kind: Literal["optimum"] = "optimum"
    fit: AnyFit
    alternatives: tuple[AnyFit, ...] = ()
    published: tuple[Published, ...] = ()
    elsewhere: tuple[IsoFlops, ...] = ()
    cost: str = "6*params*tokens"
    compute: tuple[float, ...] = ()
    chinchilla_ratio: bool = True


@dataclass(frozen=True, kw_only=True)
class SensitivitySection(_AnySection):
    """One answer under many choices.

    Parameters
    ----------
    steps : tuple of str
        The sensitivities shown.
    words : str
        Label of the reference in the figures.
    """

    kind: Literal["sensitivity"] = "sensitivity"
    steps: tuple[Annotated[str, Refers("step", "sensitivity")], ...]
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class CalibrationSection(_AnySection):
    """Coverage of intervals.

    Parameters
    ----------
    steps : tuple of str
        The calibrations shown.
    """

    kind: Literal["calibration"] = "calibration"
    steps: tuple[Annotated[str, Refers("step", "calibration")], ...]


@dataclass(frozen=True, kw_only=True)
class ToySection(_AnySection):
    """Toy models of superposition.

    Parameters
    ----------
    steps : tuple of str
        The sweeps shown.
    fit : str
        The fit of figures that name none; the first of the study when empty.
    figures : tuple of Figure
        Figures; losses against width when empty.
    """

    kind: Literal["toy"] = "toy"
    steps: tuple[Sweep, ...]
    fit: AnyFit = ""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ForecastSection(_AnySection):
    """Forecasts of runs that do not exist yet.

    Parameters
    ----------
    steps : tuple of str
        The forecasts shown.
    """

    kind: Literal["forecast"] = "forecast"
    steps: tuple[Annotated[str, Refers("step", "forecast")], ...]


@dataclass(frozen=True, kw_only=True)
class LevelsSection(_AnySection):
    """One fit for each level of a column: parameters, whether the levels share them, and a forest plot.

    Parameters
    ----------
    steps : tuple of str
        The fits by level that are shown.
    parameter : str
        Drawn for each level; the first exponent when empty.
    """

    kind: Literal["levels"] = "levels"
    steps: tuple[Annotated[str, Refers("step", "levels")], ...]
    parameter: str = ""


@dataclass(frozen=True, kw_only=True)
class HeadsSection(_AnySection):
    """Output heads of real models.

    Parameters
    ----------
    steps : tuple of str
        The tables of heads shown.
    """

    kind: Literal["heads"] = "heads"
    steps: tuple[Annotated[str, Refers("step", "heads")], ...]


@dataclass(frozen=True, kw_only=True)
class PredictionSection(_AnySection):
    """What coverage and what error forecasts reach in the public backtest."""

    kind: Literal["prediction"] = "prediction"


Section: TypeAlias = (
    LawSection | PosteriorSection | ComparisonSection | ClaimsSection | OptimumSection | SensitivitySection
    | CalibrationSection | LevelsSection | ForecastSection | ToySection | HeadsSection | PredictionSection
)  # fmt: skip


# What a reader of these types needs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Family:
    """Types that are distinguished by one key.

    Parameters
    ----------
    union : type
        All of them.
    tag : str
        The key, which is a field with a Literal.
    unknown : str
        What a message calls an unknown value of the key.
    about : str
        How a message describes a member, with places for its ``tag`` and ``title``.
    usual : str
        The default value; empty when it is required.
    words : mapping
        Descriptions of keys for messages on missing keys.
    """

    union: Any
    tag: str
    unknown: str
    about: str
    usual: str = ""
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def members(self) -> dict[str, type[Any]]:
        """The types by the values of the key."""
        return _members(self.union, self.tag)


@cache
def _members(union: Any, tag: str) -> dict[str, type[Any]]:
    return {value: kind for kind in get_args(union) for value in get_args(get_type_hints(kind)[tag])}


_WORDS: Final = {
    "parameter": 'a parameter, such as parameter = "alpha"',
    "reference": "a reference, such as 1",
    "fits": 'fits, such as fits = ["families", "toy"]',
    "steps": 'steps, such as steps = ["toy"]',
}
FAMILIES: Final = (
    Family(Section, "kind", "kind of section", "section {title!r} of kind {tag!r}", usual="law"),
    Family(Figure, "kind", "figure", "a figure of kind {tag!r}", words=_WORDS),
    Family(Answer, "rule", "rule for an answer", "an answer by rule {tag!r}", words=_WORDS),
)


def family_of(kind: Any) -> Family | None:
    """Return the family that a type belongs to; None when it has no family."""
    return next((one for one in FAMILIES if kind in get_args(one.union)), None)


def describe(part: Section | Figure | Answer) -> str:
    """Describe a part for a message: ``section 'Gemstones' of kind 'posterior'``."""
    family = family_of(type(part))
    assert family is not None
    return family.about.format(tag=getattr(part, family.tag), title=getattr(part, "title", ""))


class Mention(NamedTuple):
    """A fit or a step that a part of a study names.

    Parameters
    ----------
    key : str
        The field that names it.
    name : str
        Its name; empty where the part uses a default.
    refers : Refers
        What the name refers to.
    """

    key: str
    name: str
    refers: Refers


def mentions(part: Any) -> Iterator[Mention]:
    """Yield every name of a fit or a step in a part of a study, without the parts inside it."""
    kind: Any = type(part)
    for key, refers in _marks(kind):
        value = getattr(part, key)
        yield from (Mention(key, name, refers) for name in ((value,) if isinstance(value, str) else value))


@cache
def _marks(kind: Any) -> tuple[tuple[str, Refers], ...]:
    """Return the fields that name fits and steps; the mark is on the field's type, or on that of a list's items."""
    hints = get_type_hints(kind, include_extras=True)
    annotated = ((key, one) for key, hint in hints.items() for one in (hint, *get_args(hint)))
    return tuple((key, mark) for key, one in annotated for mark in getattr(one, "__metadata__", ()))
