"""Do a fit again with something changed: other rows, another law, another prior."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.law import Law
from scalefit.leastsq import fit as least_squares
from scalefit.names import Key, spread_name
from scalefit.posterior import bayes
from scalefit.posterior.density import Density, build_density
from scalefit.problem import build_problem
from scalefit.records import Posterior
from scalefit.results import Fit

__all__ = ["density_of", "posterior_draws", "posterior_of", "refit"]


def posterior_of(fit: Fit) -> Posterior:
    """Return the posterior of a Bayesian fit; TypeError for another."""
    if fit.posterior is None:
        raise TypeError(f"a {fit.engine} fit has no posterior")
    return fit.posterior


def posterior_draws(fit: Fit) -> NDArray[np.float64]:
    """Return the equally weighted draws of a Bayesian fit, shape (R, d); coefficients as logs."""
    posterior_of(fit)
    draws = fit.uncertainty.draws
    if draws is None:
        raise TypeError("a posterior was saved without its draws")
    return draws


def refit(
    fit: Fit,
    *,
    rows: pd.DataFrame | None = None,
    law: Law | None = None,
    priors: Mapping[Key, str] | None = None,
    draws: int = 4000,
    path: str = "auto",
) -> Fit:
    """Fit as ``fit`` was fitted, apart from what is given.

    Parameters
    ----------
    fit : Fit
        Where engine, law, likelihood or loss, cluster, weights, pooling and priors come from.
    rows : DataFrame, optional
        Other rows, with the same columns.
    law : Law, optional
        Another law; priors of parameters that it lacks are left out.
    priors : mapping, optional
        All priors by coefficient and level, in place of the fit's.
    draws : int
        Draws of a posterior. Least squares comes without a bootstrap.
    path : {"auto", "fast", "full"}
        How to sample a posterior.

    Returns
    -------
    Fit
        The new result, whatever its status.
    """
    data, law = fit.rows if rows is None else rows, law or fit.law
    weights, cluster = fit.objective.weights, fit.source.cluster
    if fit.posterior is None:
        return least_squares(
            data, law, loss=fit.objective.loss, delta=fit.objective.delta or 1e-3, space=fit.objective.space,
            exponents=fit.objective.exponents, weights=weights, uncertainty="gauss-newton", seed=fit.seed,
            throw=False, label=fit.label,
        )  # fmt: skip
    if cluster is not None and not data[cluster].duplicated().any():
        raise DataError(f"every cluster of {cluster!r} has one row left, so a shift cannot be told from the scatter")
    given = dict(fit.posterior.priors) if priors is None else dict(priors)
    missing = {one.name for one in fit.law.parameters} - {one.name for one in law.parameters}
    gone = missing | set(map(spread_name, missing))
    return bayes(
        data, law, likelihood=fit.objective.loss, cluster=cluster, weights=weights,
        priors={key: prior for key, prior in given.items() if key[0] not in gone},
        pool={name: how for name, how in fit.posterior.pool if how == "partial" and name not in missing},
        exponents=fit.objective.exponents, path=path, draws=draws, level=fit.uncertainty.level, seed=fit.seed,
        throw=False, label=fit.label,
    )  # fmt: skip


def density_of(fit: Fit, *, default_priors: bool = False) -> Density:
    """Rebuild the density that a Bayesian fit sampled, for the likelihood of its draws.

    Parameters
    ----------
    fit : Fit
        From :func:`scalefit.bayes`.
    default_priors : bool
        Use the default priors in place of the fit's.

    Returns
    -------
    Density
        On the fit's own rows.
    """
    posterior = posterior_of(fit)
    problem = build_problem(
        fit.law, fit.rows, weights=fit.objective.weights, cluster=fit.source.cluster,
        free_sign=fit.objective.exponents == "free",
    )  # fmt: skip
    own = {one.name: one for one in fit.law.parameters}
    partial = tuple(own[name] for name, how in posterior.pool if how == "partial")
    theta = problem.design.from_natural(fit.point[None, : len(problem.parameters)])[0]
    priors = {} if default_priors else dict(posterior.priors)
    return build_density(
        problem, likelihood=fit.objective.loss, theta=np.asarray(theta), priors=priors, partial=partial
    )
