"""Draws of a fit as ArviZ InferenceData: a posterior, or the replicates of a bootstrap, named as what they are."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from scalefit.names import printed_level
from scalefit.posterior.nuts import inference_data, load_arviz
from scalefit.results import Fit, PosteriorFit

__all__ = ["to_inferencedata"]


def to_inferencedata(fit: Fit) -> Any:
    """Return the draws of a fit for ArviZ.

    Parameters
    ----------
    fit : Fit
        With draws: a posterior, or a fit with a bootstrap.

    Returns
    -------
    arviz.InferenceData
        A DataTree from ArviZ 1 on. Of NUTS, all that it kept. Of other draws a group ``posterior``, in which ArviZ
        looks for what it draws: one variable for each parameter in the units of the table, with the labels of its
        levels as coordinates, and the log responses as ``observed_data``. Its attribute ``draws`` says what they are;
        replicates of a bootstrap are not a posterior.

    Raises
    ------
    DataError
        When the fit has no draws.
    MissingExtra
        Without ArviZ.
    """
    if isinstance(fit, PosteriorFit) and fit.posterior.netcdf is not None:
        return inference_data(fit)
    names = list(dict.fromkeys(parameter.coef.name for parameter in fit.parameters))
    values, coords, dims = {}, {}, {}
    for name in names:
        own = [parameter for parameter in fit.parameters if parameter.coef.name == name]
        draws = np.stack([fit.draws(parameter.key) for parameter in own], axis=-1)[None]
        if own[0].level:
            axis = ", ".join(own[0].coef.groups)
            coords[axis] = [printed_level(parameter.level, ", ") for parameter in own]
            dims[name] = [axis]
        else:
            draws = draws[..., 0]
        values[name] = draws
    response = fit.law.response
    kind = (
        "posterior, importance sampling" if isinstance(fit, PosteriorFit) else f"{fit.uncertainty.method}; no posterior"
    )
    groups = {"posterior": values, "observed_data": {response: fit.rows[response].to_numpy(float)}}
    attrs = {"draws": kind, "law": str(fit.law), "inference_library": "scalefit"}
    from_dict = load_arviz().from_dict
    if "posterior" in inspect.signature(from_dict).parameters:  # ArviZ before 1 takes a keyword for each group
        return from_dict(**groups, coords=coords, dims=dims, posterior_attrs=attrs)
    return from_dict(groups, coords=coords, dims=dims, attrs={"posterior": attrs})
