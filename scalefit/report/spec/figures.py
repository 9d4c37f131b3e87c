"""The types of a report's figures, one for each kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from scalefit.report.spec.references import (
    AnyFit,
    FitWithParameter,
    PosteriorWithParameter,
    Published,
    Sweep,
)

__all__ = [
    "ConvergenceFigure",
    "CurvesFigure",
    "DensitiesFigure",
    "DistributionsFigure",
    "Figure",
    "FitFigure",
    "ForestFigure",
    "JointFigure",
    "PairsFigure",
    "PoolingFigure",
    "PredictiveFigure",
    "PriorsFigure",
    "ResidualsFigure",
    "SweepFigure",
    "TermsFigure",
    "WidthTermsFigure",
    "with_words",
]


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
