"""Known truths, drawn from the prior or from a posterior, and data simulated from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.binding import AnyProblem
from scalefit.closed.design import ClosedDesign
from scalefit.closed_problem import ClosedProblem
from scalefit.law.protocol import AnyLaw
from scalefit.posterior.closed import central_sizes
from scalefit.posterior.priors import Prior
from scalefit.problem import label_codes, predict_law

__all__ = ["draw_from_prior", "simulate"]

Array = NDArray[np.float64]


def draw_from_prior(
    problem: AnyProblem, scales: tuple[str, ...], priors: Mapping[str, Prior], seed: int, number: int
) -> dict[str, float]:
    """Draw one set of parameters from the prior.

    Parameters
    ----------
    problem : Problem or ClosedProblem
        Law and design.
    scales : tuple of str
        ``sigma`` and, as the model has them, ``nu`` and ``tau``.
    priors : mapping of str to Prior
        By full name; that of a coefficient is on the size of its term at the centre of the design.
    seed, number : int
        Seed of the study and number of the replicate, which alone decide.

    Returns
    -------
    dict of str to float
        By name; coefficients as logs.
    """
    rng = np.random.default_rng([seed, number, 0])
    drawn = {name: float(priors[name].sample(1, rng)[0]) for name in (*problem.names, *scales)}
    values = ((parameter, drawn[parameter.name]) for parameter in problem.parameters)
    centred = np.array([np.log(value) if parameter.is_log else value for parameter, value in values])
    natural = _of_sizes(problem.design, centred) if isinstance(problem, ClosedProblem) else problem.to_natural(centred)
    truth = dict(zip(problem.names, map(float, natural), strict=True)) | {name: drawn[name] for name in scales}
    return _in_order(truth, problem.law, priors)


def _of_sizes(design: ClosedDesign, drawn: Array) -> Array:
    """Return a vector from drawn values, where those of coefficients are logs of the sizes of their terms."""
    central = central_sizes(design)
    # a shift depends on parameters without one, so that all may be taken for coordinates to get those of the sizes
    moved = design.centred.to_vector(drawn[None])[0]
    of_size = np.zeros(len(drawn), dtype=np.bool_)
    for name, block in design.blocks.items():
        of_size[block] = central[name]
    return np.where(of_size, moved, drawn)


def _in_order(truth: dict[str, float], law: AnyLaw, priors: Mapping[str, Prior]) -> dict[str, float]:
    """Name two powers of one column by the order of their exponents, as fits do where nothing else tells them apart."""
    for twins in law.twins:
        c, a, d, b = (coef.name for coef in twins)
        if priors[c] == priors[d] and priors[a] == priors[b] and truth[a] > truth[b]:
            truth[a], truth[b], truth[c], truth[d] = truth[b], truth[a], truth[d], truth[c]
    return truth


def simulate(
    law: AnyLaw, design: pd.DataFrame, truth: Mapping[str, float], *, cluster: str | None, seed: int, number: int
) -> pd.DataFrame:
    """Simulate a response on the rows of a design.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law.
    design : DataFrame, shape (n, p)
        Its columns.
    truth : mapping of str to float
        From :func:`draw_from_prior` or a posterior: with ``nu`` errors are Student's t, with ``tau`` clusters shift.
    cluster : str or None
        Column of clusters that shift.
    seed, number : int
        Seed of the study and number of the replicate.

    Returns
    -------
    DataFrame, shape (n, p)
        The design with the response
        ``law exp(shift + sigma e)``, ``shift ~ N(0, tau)`` for each cluster, ``e`` normal or Student's t.
    """
    rng = np.random.default_rng([seed, number, 1])
    n = len(design)
    error: Array = rng.standard_t(truth["nu"], n) if "nu" in truth else rng.standard_normal(n)
    error = truth["sigma"] * error
    if cluster is not None:
        codes = label_codes(design, (cluster,))[0]
        error += truth["tau"] * rng.standard_normal(codes.max() + 1)[codes]
    with np.errstate(over="ignore"):
        response = predict_law(law, dict(truth), design) * np.exp(error)
    return design.assign(**{law.response: response})
