"""Choose the coordinate of each parameter of a problem, and the scale of the soft clip at its bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalefit.errors import DataError
from scalefit.names import Key, spread_name
from scalefit.numbers import plus_minus
from scalefit.posterior.coordinates import Coordinates, SoftClip, bounds_of
from scalefit.posterior.defaults import COMMON, SPREAD, any_sign
from scalefit.posterior.priors import Prior
from scalefit.problem import Parameter, Problem
from scalefit.solver.curvature import curvature_at

__all__ = ["lay_out"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

INFORMED, MANY = 0.5, 40  # see _centred
ROUGH_SCALE = 0.3  # of the log of a scale of the likelihood, a common value or a spread
EXCLUDED = 30.0  # standard errors between an estimate and its prior beyond which the prior is rejected


def lay_out(problem: Problem, parameters: tuple[Parameter, ...], priors: dict[Key, Prior], theta: Array) -> Coordinates:
    """Choose the coordinates of a posterior.

    Parameters
    ----------
    problem : Problem
        Law and data.
    parameters : tuple of Parameter, length d
        Those of the law, then scales, common values and spreads.
    priors : dict of (str, tuple of str) to Prior
        By coefficient and level; members of a partly pooled parameter have none.
    theta : array, shape (P,)
        The least-squares optimum.

    Returns
    -------
    Coordinates
        The map with its priors.

    Raises
    ------
    DataError
        When a prior excludes the data.
    """
    law = problem.design.law
    n_law = len(problem.parameters)
    error, narrow = _errors(problem, theta)
    _check_exclusion(problem, priors, theta, error)
    floor = np.array([parameter.kind == "floor" for parameter in parameters])
    is_log = ~floor & ~np.array([any_sign(parameter, problem) for parameter in parameters])
    common, spread = _members(problem.parameters, parameters)
    bounds = np.where(floor[:, None], [0.0, np.inf], [-np.inf, np.inf])
    for i, parameter in enumerate(parameters):
        if parameter.key in priors:
            bounds[i] = bounds_of(priors[parameter.key], bool(is_log[i]))
    # a scale as wide as the posterior with all else fixed: a wider one would bend its ridges
    relative = np.array(
        [parameter.kind == "exponent" and not any_sign(parameter, problem) for parameter in problem.parameters]
    )
    narrow = np.where(relative, narrow / np.maximum(np.abs(theta), 1e-3), narrow)
    noise = np.concatenate([narrow, np.full(len(parameters) - n_law, ROUGH_SCALE)])
    width = bounds[:, 1] - bounds[:, 0]
    scale = np.clip(noise, 1e-6 * np.minimum(width, 1.0), np.minimum(width / 8, 1.0))
    reach, offset = _geometric_mean_rows(problem)
    centred = _centred(problem, common, theta, error)
    lean = np.full(len(parameters), -1)
    loose = (common >= 0) & ~centred & is_log
    lean[law.n_floor : law.n_floor + law.n_coef] = _own_exponents(problem, loose, bounds)
    return Coordinates(
        law.n_floor, law.n_coef, n_law, sum(parameter.kind == "scale" for parameter in parameters),
        SoftClip(bounds[:, 0], bounds[:, 1], scale), is_log, _by_prior(parameters, priors, common),
        common, spread, centred, lean, reach, offset,
    )  # fmt: skip


def _by_prior(
    parameters: tuple[Parameter, ...], priors: dict[Key, Prior], common: Index
) -> tuple[tuple[Prior, Index], ...]:
    """Return each distinct prior with the places of its parameters."""
    owners: dict[Prior, list[int]] = {}
    for i, parameter in enumerate(parameters):
        if common[i] < 0:
            owners.setdefault(priors[parameter.key], []).append(i)
    return tuple((prior, np.array(places)) for prior, places in owners.items())


def _members(law: tuple[Parameter, ...], parameters: tuple[Parameter, ...]) -> tuple[Index, Index]:
    """Return the places of the common value and the spread of each partly pooled member."""
    common, spread = np.full(len(parameters), -1), np.full(len(parameters), -1)
    commons = {parameter.coef.name: i for i, parameter in enumerate(parameters) if parameter.kind == COMMON}
    spreads = {parameter.coef.name: i for i, parameter in enumerate(parameters) if parameter.kind == SPREAD}
    for i, parameter in enumerate(law):
        if parameter.coef.name in commons:
            common[i], spread[i] = commons[parameter.coef.name], spreads[spread_name(parameter.coef.name)]
    return common, spread


def _centred(problem: Problem, common: Index, theta: Array, error: Array) -> NDArray[np.bool_]:
    """Choose which pooled members are centred: those that the data determine better than their spread.

    "Better" is by half for 20 members and more. With few members the spread may be near 0, where centred coordinates
    have the shape of a funnel, so the members must be known better (by a tenth for 4).
    """
    own = np.zeros(len(common), dtype=bool)
    for group in np.unique(common[common >= 0]):
        member = np.flatnonzero(common == group)
        value, noise = theta[member], error[member]
        if not any_sign(problem.parameters[member[0]], problem):
            noise = noise / np.maximum(value, 1e-3)
            value = np.log(np.maximum(value, 1e-3))
        own[member] = np.median(noise) < min(INFORMED, len(member) / MANY) * np.std(value, ddof=1)
    return own


def _check_exclusion(problem: Problem, priors: dict[Key, Prior], theta: Array, error: Array) -> None:
    """Reject a prior that excludes the least-squares estimate by many standard errors."""
    for parameter, value, noise in zip(problem.parameters, theta, error, strict=True):
        if parameter.kind != "exponent" or parameter.key not in priors:
            continue
        lo, hi = priors[parameter.key].support
        if value < lo - EXCLUDED * noise or value > hi + EXCLUDED * noise:
            raise DataError(
                f"the prior {priors[parameter.key]} of {parameter.name} excludes the data: least squares puts "
                f"{parameter.name} at {plus_minus(float(value), float(noise))}"
            )


def _own_exponents(problem: Problem, loose: NDArray[np.bool_], bounds: Array) -> Index:
    """Return the place of the only exponent of each size, where that is a non-centred member without active bounds."""
    law = problem.design.law
    first = law.n_floor + law.n_coef
    own = np.full(law.n_coef, -1)
    for size in range(law.n_coef):
        exponents = np.unique(law.expo[law.coef == size])
        if len(exponents) == 1 and exponents[0] >= 0 and np.isinf(bounds[law.n_floor + size]).all():
            own[size] = first + exponents[0] if loose[first + exponents[0]] else -1
    return own


def _errors(problem: Problem, theta: Array) -> tuple[Array, Array]:
    """Return Gauss-Newton standard errors of floors, sizes and exponents: marginal, and with all others known.

    For a parameter at a bound the first is 1.
    """
    shape = curvature_at(problem.design, theta, np.inf)
    jacobian = shape.jacobian @ problem.design.natural_matrix()
    variance = shape.residual @ shape.residual / max(1, len(shape.residual) - len(theta))
    normal = jacobian.T @ jacobian
    own = np.diag(np.linalg.pinv(normal, hermitian=True)) * variance
    known = variance / np.maximum(np.diag(normal), 1e-300)
    return np.where(shape.free & (own > 0), np.sqrt(np.abs(own)), 1.0), np.sqrt(known)


def _geometric_mean_rows(problem: Problem) -> tuple[Array, Array]:
    """Return the log of each term at the geometric-mean row of each floor, as a linear function of theta."""
    law, link, u = problem.design.law, problem.design.link, problem.design.rows.u
    segment = np.repeat(np.arange(len(law.bounds) - 1), np.diff(law.bounds))
    reach = np.zeros((law.n_floor, len(u), problem.design.n_parameters))
    offset = np.zeros((law.n_floor, len(u)))
    for j in range(law.n_floor):
        rows = np.flatnonzero(law.floor[segment] == j)
        for k in range(len(u)):
            for part, lever in ((1 + 2 * k, np.ones(len(rows))), (2 + 2 * k, u[k, rows])):
                own = segment[rows]
                offset[j, k] += np.mean(lever * link.constant[own, part])
                index, factor = link.position[own, part], link.factor[own, part] * lever[:, None]
                used = index >= 0
                np.add.at(reach[j, k], index[used], factor[used] / len(rows))
    return reach, offset
