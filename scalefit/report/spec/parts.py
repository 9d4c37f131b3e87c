"""The types of a report's sections, one for each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from scalefit.report.spec.figures import Figure
from scalefit.report.spec.references import (
    AnyFit,
    FitWithParameter,
    IsoFlops,
    LeastSquaresFit,
    LeastSquaresWithParameter,
    Posterior,
    PosteriorWithParameter,
    Published,
    RankedPosterior,
    Refers,
    Sweep,
)

__all__ = [
    "CalibrationSection",
    "Claim",
    "ClaimsSection",
    "ComparisonSection",
    "ForecastSection",
    "HeadsSection",
    "LawSection",
    "LevelsSection",
    "OptimumSection",
    "PosteriorSection",
    "PredictionSection",
    "Section",
    "SensitivitySection",
    "ToySection",
]


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
