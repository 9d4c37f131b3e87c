"""Replacements: which fit gives the answer where another one fails, and which rows made it fail.

A single diverged run ruins a sum of squares and hardly moves Huber's loss or Student's t. A study names such fits of
the same law on the same rows under ``instead``; page one takes its numbers from the first of them that has any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from scalefit.escape import literal
from scalefit.misfit import Carriers, carriers_of, named_rows
from scalefit.numbers import percent_size, rounded
from scalefit.records import CONVERGED
from scalefit.report.sentences import method
from scalefit.report.study import FitSpec
from scalefit.results import Fit, PosteriorFit

__all__ = ["StandIn", "stand_in"]


class StandIn(NamedTuple):
    """The fit that gives an answer.

    Parameters
    ----------
    name : str
        Its name.
    reason : str
        Why it replaces the requested fit, in a sentence; empty when it does not.
    identified : bool
        Whether the rows alone give an answer, without help from priors.
    """

    name: str
    reason: str
    identified: bool = True


def stand_in(name: str, fits: Mapping[str, Fit], specs: Mapping[str, FitSpec]) -> StandIn:
    """Return the fit that gives the answer of another one.

    Parameters
    ----------
    name : str
        The requested fit.
    fits, specs : mapping
        Results and specifications by name.

    Returns
    -------
    StandIn
        The fit itself where it has an answer that does not come from a few rows far from all others, else the first
        converged one among those of ``instead``; the fit itself where there is none.
    """
    fit = fits[name]
    other = next((label for label in specs[name].instead if fits[label].status == CONVERGED), "")
    if not other:
        return StandIn(name, "", fit.status == CONVERGED)
    carriers = _carriers(fit, fits[other])
    if fit.status == CONVERGED and carriers is None:
        return StandIn(name, "")
    lead = f"Plain least squares have no answer (the fit is {fit.status})"
    if carriers is not None:
        few = _carried(fits[other], carriers)
        if fit.status == CONVERGED:
            return StandIn(other, f"Plain least squares would follow single rows: {few}")
        return StandIn(other, f"{lead}, because {few}")
    failed = [fits[label] for label in specs[name].instead[: specs[name].instead.index(other)]]
    if not isinstance(fits[other], PosteriorFit) or not failed:
        return StandIn(other, f"{lead}. {literal(fit.message)}")
    reason = f"{lead}, nor has {method(failed[0])}: these rows do not identify the law, and priors decide the rest"
    return StandIn(other, f"{reason}. {literal(fit.message)}", identified=False)


def _carriers(fit: Fit, robust: Fit) -> Carriers | None:
    """Return the few rows, far from a robust fit, that make up most of another fit's sum of squares."""
    if isinstance(fit, PosteriorFit) or fit.objective.loss != "squared" or not fit.rows.index.equals(robust.rows.index):
        return None
    return carriers_of(robust.residuals(), fit.residuals() ** 2, fit.rows.index.to_numpy())


def _carried(fit: Fit, carriers: Carriers) -> str:
    """Name the rows and what to do: ``row 24 (run_name run-24), where loss is 11.2, lies far from this law ...``."""
    named = literal(named_rows(fit.rows, fit.law, carriers.rows))
    share = percent_size(carriers.share)
    if len(carriers.rows) > 1:
        return (
            f"{named} lie far from this law and make up {share} of their sum of squares; look at these runs, or leave "
            "them out."
        )
    value = float(fit.rows[fit.law.response].loc[carriers.rows[0]])
    return (
        f"{named}, where {literal(fit.law.response)} is {rounded(value)}, lies far from this law and makes up "
        f"{share} of their sum of squares; look at this run, or leave it out."
    )
