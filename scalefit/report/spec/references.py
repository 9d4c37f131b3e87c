"""What a key of a study names: a fit or a step, with what is needed of it; a paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

__all__ = [
    "BAYES",
    "LEAST_SQUARES",
    "AnyFit",
    "AnyStep",
    "FitWithParameter",
    "IsoFlops",
    "LeastSquaresFit",
    "LeastSquaresWithParameter",
    "Posterior",
    "PosteriorWithParameter",
    "Published",
    "RankedPosterior",
    "Reference",
    "Refers",
    "Sweep",
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
