"""Do a fit again with something changed: other rows, another law, another prior."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.data.tables import Table
from scalefit.law.general import parse_law
from scalefit.law.protocol import AnyLaw
from scalefit.leastsq import fit as least_squares
from scalefit.names import spread_name
from scalefit.options import Rows
from scalefit.posterior import bayes
from scalefit.progress import Progress
from scalefit.records import Posterior
from scalefit.results import Fit, LeastSquaresFit, PosteriorFit

__all__ = ["posterior_draws", "posterior_of", "refit", "sampled_of"]


def sampled_of(fit: Fit) -> PosteriorFit:
    """Return a fit as the posterior that it is; TypeError for another."""
    if not isinstance(fit, PosteriorFit):
        raise TypeError(f"a {fit.engine} fit has no posterior")
    return fit


def posterior_of(fit: Fit) -> Posterior:
    """Return the posterior of a Bayesian fit; TypeError for another."""
    return sampled_of(fit).posterior


def posterior_draws(fit: Fit) -> NDArray[np.float64]:
    """Return the equally weighted draws of a Bayesian fit, shape (R, d); coefficients as logs."""
    posterior_of(fit)
    draws = fit.uncertainty.draws
    if draws is None:
        raise TypeError("a posterior was saved without its draws")
    return draws


def refit(
    fit: Fit,
    data: str | os.PathLike[str] | pd.DataFrame | Table | None = None,
    law: str | AnyLaw | None = None,
    *,
    chosen: bool = False,
    progress: Progress | None = None,
    **changes: Any,
) -> Fit:
    """Fit as ``fit`` was fitted, apart from what is given.

    Parameters
    ----------
    fit : Fit
        Where law, engine, options, label and, of a posterior, the priors come from.
    data : str, path, DataFrame or Table, optional
        Another table, from which rows and columns are chosen as they were for the fit; its own rows when omitted.
    law : str, Law or GeneralLaw, optional
        Another law; priors and pooling of parameters that it lacks are left out.
    chosen : bool
        Whether ``data`` holds rows that are chosen already and stand under the names of the law, as those of the fit
        do; only weights and clusters are then looked for.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **changes
        Fields of :class:`scalefit.options.Rows` and of the options of the fit's engine, such as ``where="loss < 8"``,
        ``likelihood="normal"`` or ``priors={...}``, which take the place of all priors of the fit.

    Returns
    -------
    Fit
        The new result, whatever its status.

    Raises
    ------
    LawError, DataError
        When the law or the rows cannot be used.
    TypeError
        For a change that is not an option of this engine.

    Examples
    --------
    The same law on other rows, and the same rows under another loss:

    >>> import scalefit
    >>> result = scalefit.fit("chinchilla", "chinchilla", drop_highest_loss=5, bootstrap=0)
    >>> scalefit.refit(result, where="tokens > 5e9").n_rows
    207
    >>> scalefit.refit(result, loss="huber").objective.loss
    'huber'
    """
    law = fit.law if law is None else parse_law(law)
    rows = fit.selection
    if data is None or chosen:
        rows = Rows(weights=rows.weights, cluster=rows.cluster)
    data = fit.rows if data is None else data
    if isinstance(fit, LeastSquaresFit):
        return least_squares(data, law, rows, fit.options, throw=False, label=fit.label, progress=progress, **changes)
    sampled = sampled_of(fit)
    student = changes.get("likelihood", sampled.options.likelihood) == "student_t"
    shifted = changes.get("cluster", rows.cluster) is not None
    how = replace(sampled.options, **_own_choices(sampled, law, student=student, shifted=shifted))
    return bayes(data, law, rows, how, throw=False, label=fit.label, progress=progress, **changes)


def _own_choices(fit: PosteriorFit, law: AnyLaw, *, student: bool, shifted: bool) -> dict[str, Any]:
    """Return priors and pooling of a posterior, as far as a law and its likelihood have their parameters."""
    posterior = fit.posterior
    missing = {parameter.name for parameter in fit.law.parameters} - {parameter.name for parameter in law.parameters}
    gone = missing | set(map(spread_name, missing)) | (set() if student else {"nu"}) | (set() if shifted else {"tau"})
    return {
        "priors": {key: prior for key, prior in posterior.priors if key[0] not in gone},
        "pool": {name: how for name, how in posterior.pool if how == "partial" and name not in missing},
    }
