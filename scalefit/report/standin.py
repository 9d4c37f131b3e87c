"""Which fit gives the answer where another one fails, and which rows made it fail.

A single diverged run ruins a sum of squares and hardly moves Huber's loss or Student's t. A study names such fits of
the same law on the same rows under ``instead``; page one takes its numbers from the first of them that has any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.escape import literal
from scalefit.records import CONVERGED
from scalefit.report.choice import run_columns
from scalefit.report.sentences import method, percent
from scalefit.report.study import FitSpec
from scalefit.report.text import join
from scalefit.results import Fit

__all__ = ["StandIn", "stand_in"]

FAR: Final = 10.0  # robust standard deviations, beyond which a row does not belong to the others
FEW: Final = 0.05  # of the rows, up to which far rows are single runs and not another population
CARRIED: Final = 0.5  # share of the sum of squares from which on few rows decide the fit
SHOWN: Final = 5
_NORMAL: Final = 1.4826  # standard deviation of a normal over its median absolute deviation


class StandIn(NamedTuple):
    """The fit that gives an answer.

    Parameters
    ----------
    name : str
        Of the fit.
    reason : str
        Why it is not the one that was asked, in a sentence; empty when it is.
    identified : bool
        Whether the rows alone give an answer, without help from priors.
    """

    name: str
    reason: str
    identified: bool = True


def stand_in(name: str, fits: Mapping[str, Fit], specs: Mapping[str, FitSpec]) -> StandIn:
    """Return the fit that answers for another one.

    Parameters
    ----------
    name : str
        The fit that is asked.
    fits, specs : mapping
        Results and specifications by name.

    Returns
    -------
    StandIn
        The fit itself where it has an answer that does not come from a few rows far from all others, else the first
        converged one among those of ``instead``; the fit itself where there is none.
    """
    fit = fits[name]
    other = next((one for one in specs[name].instead if fits[one].status == CONVERGED), "")
    if not other:
        return StandIn(name, "", fit.status == CONVERGED)
    far, share = _far_rows(fit, fits[other])
    decided = share > CARRIED
    if fit.status == CONVERGED and not decided:
        return StandIn(name, "")
    rows = _named(fits[other], far)
    verb, them = ("lies", "it") if len(far) == 1 else ("lie", "them")
    carried = f"{rows} {verb} far from this law and {verb_of(far)} {percent(share)} of their sum of squares"
    remedy = f"look at {'this run' if len(far) == 1 else 'these runs'}, or leave {them} out"
    if fit.status == CONVERGED:
        return StandIn(other, f"Plain least squares would follow single rows: {carried}; {remedy}.")
    lead = f"Plain least squares have no answer (the fit is {fit.status})"
    if decided:
        return StandIn(other, f"{lead}, because {carried}; {remedy}.")
    failed = [fits[one] for one in specs[name].instead[: specs[name].instead.index(other)]]
    if fits[other].posterior is None or not failed:
        return StandIn(other, f"{lead}. {literal(fit.message)}")
    told = f"{lead}, nor has {method(failed[0])}: these rows do not identify the law, and priors decide what they leave"
    return StandIn(other, f"{told} open. {literal(fit.message)}", identified=False)


def verb_of(far: NDArray[np.int64]) -> str:
    """Return ``carries`` or ``carry``."""
    return "carries" if len(far) == 1 else "carry"


def _far_rows(fit: Fit, robust: Fit) -> tuple[NDArray[np.int64], float]:
    """Return the places of the few rows far from a robust fit, farthest first, and their share of the squares."""
    if fit.posterior is not None or fit.objective.loss != "squared" or not fit.rows.index.equals(robust.rows.index):
        return np.empty(0, dtype=np.int64), 0.0
    gap = np.abs(robust.residuals())
    scale = _NORMAL * float(np.median(gap))
    far = np.flatnonzero(gap > FAR * scale)
    if scale == 0.0 or not 0 < len(far) <= max(1.0, FEW * len(gap)):
        return np.empty(0, dtype=np.int64), 0.0
    squares = fit.residuals() ** 2
    total = float(squares.sum())
    share = float(squares[far].sum()) / total if total > 0 else 0.0
    return far[np.argsort(-gap[far], kind="stable")], share


def _named(fit: Fit, far: NDArray[np.int64]) -> str:
    """Name rows: ``row 24 (run-24, loss 11.2)``."""
    labels = [name for name in run_columns(fit.rows) if fit.rows[name].notna().all()][:1]
    response = fit.law.response
    said = []
    for place in far[:SHOWN]:
        about = [literal(str(fit.rows[name].iloc[place])) for name in labels]
        value = float(fit.rows[response].iloc[place])
        about.append(f"{response.replace('_', ' ')} {value:.6g}")
        said.append(f"row {fit.rows.index[place]} ({', '.join(about)})")
    more = len(far) - SHOWN
    return join([*said, f"{more} more"] if more > 0 else said)
