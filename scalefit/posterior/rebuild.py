"""The density that a posterior was drawn from, built again from the fit."""

from __future__ import annotations

import numpy as np

from scalefit.binding import bind_law
from scalefit.closed_problem import ClosedProblem
from scalefit.posterior.closed import build_closed_density, without_default
from scalefit.posterior.density import Density, build_density
from scalefit.results import PosteriorFit

__all__ = ["density_of"]


def density_of(fit: PosteriorFit, *, default_priors: bool = False) -> Density:
    """Rebuild the density that a Bayesian fit sampled.

    Parameters
    ----------
    fit : PosteriorFit
        From :func:`scalefit.bayes`.
    default_priors : bool
        Use the default priors in place of the fit's, where there are any.

    Returns
    -------
    Density
        On the fit's own rows.
    """
    objective = fit.objective
    problem = bind_law(
        fit.law, fit.rows, weights=objective.weights, cluster=fit.selection.cluster,
        free_sign=objective.exponents == "free",
    )  # fmt: skip
    point, priors = fit.point[: len(problem.parameters)], dict(fit.posterior.priors)
    if isinstance(problem, ClosedProblem):
        if default_priors:
            priors = {key: priors[key] for key in priors if key[0] in without_default(problem)}
        return build_closed_density(problem, likelihood=objective.loss, theta=point, priors=priors)
    coefs = {coef.name: coef for coef in fit.law.parameters}
    partial = tuple(coefs[name] for name, how in fit.posterior.pool if how == "partial")
    theta = np.asarray(problem.design.from_natural(point[None])[0])
    priors = {} if default_priors else priors
    return build_density(problem, likelihood=objective.loss, theta=theta, priors=priors, partial=partial)
