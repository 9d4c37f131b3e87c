"""The posterior of a law of any form: priors by the declared sign, and the density from the law's own expression.

``log observed = log f(x; theta) + s_cluster + sigma e`` as for sums of power terms. A prior is on the number that the
name means, except that of a coefficient in ``A x^a``, which is on the size of its term at the centre of the data. What
has no natural unit, such as the scale in ``1 - exp(-x/g)``, has no default: its prior is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scalefit.closed.descent import Misfit
from scalefit.closed.design import ClosedDesign, System, may_reach_zero
from scalefit.closed.rewrite import is_not_negative
from scalefit.closed.search import search_closed
from scalefit.closed.starts import linear_parameters
from scalefit.closed_problem import ClosedProblem
from scalefit.errors import DataError
from scalefit.law.tree import Node, add, derivative, interpret, multiply, negate, number
from scalefit.law.tree import parameter as parameter_node
from scalefit.names import Key
from scalefit.numbers import as_input, rounded, to_digits
from scalefit.posterior.closed_coordinates import ClosedCoordinates, find_ridge, operations
from scalefit.posterior.coordinates import Ops, SoftClip, bounds_of
from scalefit.posterior.defaults import LARGE_LOSS, SCALE_PRIORS, SCALES, extra_parameters, priors_by_key
from scalefit.posterior.density import Density
from scalefit.posterior.kernels import build_blocks, residual_blocks
from scalefit.posterior.priors import HalfNormal, Normal, Prior, TruncatedNormal, Uniform, parse_prior, positive
from scalefit.problem import Parameter

__all__ = [
    "ClosedDensity",
    "build_closed_density",
    "central_sizes",
    "resolve_closed_priors",
    "without_default",
]

Array = NDArray[np.float64]

ROUGH_SCALE: Final = 0.3  # of the log of a scale of the likelihood
PIECE: Final = 2_000_000  # draws times rows that are evaluated at a time
SUGGESTED: Final = 2.0  # standard deviation of the log in the prior that a message suggests


@dataclass(frozen=True, eq=False)
class ClosedDensity(Density):
    """The posterior of a law of any form; see :class:`scalefit.posterior.density.Density`."""

    problem: ClosedProblem
    coordinates: ClosedCoordinates

    def natural(self, x: Array) -> Array:
        """Return parameters in the units of the table, positive ones as logs; shape (..., d)."""
        placed = self.coordinates.place(x)
        return np.concatenate([self.coordinates.vector(placed.theta), placed.scales], axis=-1)

    def prior_values(self, draws: Array) -> Array:
        """Return draws as the priors see them: coefficients as sizes of their terms at the centre."""
        own = self.coordinates
        values = draws.copy()
        z = own.system.from_vector(draws[:, : own.n_law])
        law = slice(own.n_law)
        entries = np.where(own.central[law], z, draws[:, law])
        values[:, law] = np.where(own.is_log[law], np.exp(np.where(own.is_log[law], entries, 0.0)), entries)
        return values

    def residuals(self, draws: Array) -> Array:
        """Return log observed minus log predicted of each draw, shape (R, n), rows as in ``problem.design``."""
        return self._residuals(self._unpack(draws)[0])

    def _residuals(self, z: Array) -> Array:
        misfit, each = Misfit(self.coordinates.system), max(1, PIECE // max(1, self.problem.n_rows))
        return np.concatenate([misfit.residual(z[i : i + each]) for i in range(0, len(z), each)])

    def with_weight(self, weight: Array) -> ClosedDensity:
        """Return the same density for other weights of the rows, shape (n,)."""
        return replace(self, problem=replace(self.problem, design=replace(self.problem.design, weight=weight)))

    def graph_of_law(self, pt: Any, theta: Any) -> tuple[Any, Any]:
        """Write natural parameters and log prediction as PyTensor expressions of the search's coordinates."""
        system, design = self.coordinates.system, self.problem.design
        ops = Ops(pt.exp, pt.log, pt.softplus, pt.where, lambda parts: pt.concatenate(parts, axis=-1))

        def leaf(node: Node) -> Any:
            if node.kind == "column":
                return system.columns[node.name]
            block = design.blocks[node.name]
            return theta[block.start + design.codes[node.name]] if node.name in design.codes else theta[block.start]

        fitted = interpret([system.fitted], leaf, operations(ops))[0]
        return self.coordinates.vector_in(theta, ops), fitted + np.zeros(self.problem.n_rows)

    def _unpack(self, draws: Array) -> tuple[Array, Array]:
        law, scales = self.coordinates.n_law, self.coordinates.n_scale
        return self.coordinates.system.from_vector(draws[:, :law]), draws[:, law : law + scales]

    def _blocks(self, theta: Array, scales: Array, columns: int, weight: Array | None = None) -> Array:
        weight = self.problem.weight if weight is None else weight
        student = self.likelihood == "student_t"
        out = np.empty((len(theta), columns))
        each = max(1, PIECE // max(1, self.problem.n_rows))
        for i in range(0, len(theta), each):
            piece = slice(i, i + each)
            residual, scale = self._residuals(theta[piece]), scales[piece]
            if self.blocks.shifted:
                full = np.column_stack([scale[:, 0], scale[:, 1] if student else np.zeros(len(scale)), scale[:, -1]])
                part = np.zeros((len(residual), columns))
                residual_blocks(residual, full, weight, self.blocks, student, part)
                out[piece] = part
                continue
            square = (residual / scale[:, :1]) ** 2
            tails = 0.5 * (scale[:, 1:2] + 1) * np.log1p(square / scale[:, 1:2]) if student else 0.5 * square
            out[piece] = -(tails @ weight)[:, None]
        return out


def build_closed_density(
    problem: ClosedProblem,
    *,
    likelihood: str = "student_t",
    theta: Array,
    priors: Mapping[str, str | Prior] | Mapping[Key, str] | None = None,
) -> ClosedDensity:
    """Put law, data, likelihood and priors together.

    Parameters
    ----------
    problem : ClosedProblem
        Law and data, log response; its clusters share a shift when there are fewer of them than rows.
    likelihood : {"student_t", "normal"}
        Distribution of a residual.
    theta : array, shape (P,)
        The least-squares optimum, which sets the scale on which coordinates bend at a bound.
    priors : dict, optional
        Priors by name, printed or as coefficient and level, in place of the defaults.

    Returns
    -------
    ClosedDensity
        The posterior up to its constant.

    Raises
    ------
    DataError
        When a parameter without a default has no prior, or a prior has no parameter or contradicts it.
    """
    shifted = problem.n_cluster < problem.n_rows
    extras = extra_parameters(likelihood == "student_t", shifted, ())
    parameters = (*problem.parameters, *extras)
    design = problem.design
    central = central_sizes(design)
    resolved = resolve_closed_priors(problem, extras, priors, theta)
    is_log = np.concatenate([design.is_log, np.ones(len(extras), dtype=np.bool_)])
    bounds = np.array(
        [bounds_of(resolved[parameter.key], bool(log)) for parameter, log in zip(parameters, is_log, strict=True)]
    )
    # what has an end of its own stays itself, so that its coordinate can bend there
    ends = {parameter.coef.name for parameter, pair in zip(parameters, bounds, strict=True) if np.isfinite(pair).any()}
    system = design.centred_without(ends - {name for name in design.parameters if central.get(name, False)})
    at_centre = np.array(
        [central.get(parameter.coef.name, False) for parameter in problem.parameters] + [False] * len(extras)
    )
    noise = np.concatenate([_errors(system, theta), np.full(len(extras), ROUGH_SCALE)])
    width = bounds[:, 1] - bounds[:, 0]
    scale = np.clip(noise, 1e-6 * np.minimum(width, 1.0), np.minimum(width / 8, 1.0))
    owners: dict[Prior, list[int]] = {}
    for i, parameter in enumerate(parameters):
        owners.setdefault(resolved[parameter.key], []).append(i)
    coordinates = ClosedCoordinates(
        system, SoftClip(bounds[:, 0], bounds[:, 1], scale), is_log, at_centre,
        tuple((prior, np.array(places)) for prior, places in owners.items()), find_ridge(system),
    )  # fmt: skip
    blocks = build_blocks(problem.cluster if shifted else None, problem.n_rows)
    return ClosedDensity(problem, parameters, resolved, likelihood, coordinates, blocks)


def central_sizes(design: ClosedDesign) -> dict[str, bool]:
    """Tell the coefficients whose coordinate in the search is the log of the size of their term at the centre.

    Parameters
    ----------
    design : ClosedDesign
        The problem.

    Returns
    -------
    dict of str to bool
        By parameter; the prior of such a coefficient is on that size.
    """
    system = design.centred
    linear = linear_parameters(design.plain)
    lifted = {} if linear.of_log else dict(zip(linear.names, linear.lifted, strict=True))
    return {
        name: lifted.get(name, False) and name in system.shifts and bool(design.is_log[design.blocks[name].start])
        for name in design.parameters
    }


def resolve_closed_priors(
    problem: ClosedProblem,
    extras: tuple[Parameter, ...],
    given: Mapping[Any, str | Prior] | None,
    theta: Array | None = None,
) -> dict[Key, Prior]:
    """Give every parameter a prior.

    Parameters
    ----------
    problem : ClosedProblem
        Law and data.
    extras : tuple of Parameter
        From :func:`scalefit.posterior.defaults.extra_parameters`.
    given : mapping, optional
        Name to prior: ``alpha`` for all levels, or ``alpha[OPT]`` or ``("alpha", ("OPT",))`` for one.
    theta : array, shape (P,), optional
        The least-squares optimum, for the message; searched for when absent.

    Returns
    -------
    dict of (str, tuple of str) to Prior
        By coefficient and level.

    Raises
    ------
    DataError
        For parameters that have no default and none given, all named, and for a prior that contradicts its parameter.
    """
    central = central_sizes(problem.design)
    for coef in problem.law.parameters:
        if coef.name in SCALES:
            raise DataError(
                f"the law's parameter {coef.name!r} has the name of a scale of the likelihood; rename it in the law"
            )
    parameters = (*problem.parameters, *extras)
    known = {parameter.key for parameter in parameters} | {(parameter.coef.name, ()) for parameter in parameters}
    chosen = priors_by_key(given or {}, known)
    found: dict[Key, Prior] = {}
    missing: list[int] = []
    for i, parameter in enumerate(parameters):
        text = chosen.get(parameter.key, chosen.get((parameter.coef.name, ())))
        if parameter.kind == "scale":
            prior = SCALE_PRIORS[parameter.coef.name] if text is None else parse_prior(text)
            found[parameter.key] = positive(prior, parameter.name)
            continue
        default = _default(problem, i, central) if text is None else parse_prior(text)
        if default is None:
            missing.append(i)
            continue
        found[parameter.key] = _within(default, parameter, *problem.law.bounds(parameter.coef.name))
    if missing:
        theta = search_closed(problem.design)[0].theta if theta is None else theta
        raise DataError(_asked_for(problem, missing, theta))
    return found


def _default(problem: ClosedProblem, i: int, central: Mapping[str, bool]) -> Prior | None:
    """Return the prior of a parameter that the user gave none; None where the law does not say its unit."""
    design = problem.design
    name, lower, upper = problem.parameters[i].coef.name, design.lower[i], design.upper[i]
    if np.isfinite(lower) and np.isfinite(upper):
        return Uniform(float(lower), float(upper))
    if name in {coef.name for coef in problem.law.exponents}:
        return HalfNormal(1.0) if lower >= 0 else Normal(0.0, 1.0)
    size = float(np.exp(np.mean(np.log(design.response))))
    typical = 1.0 if size <= LARGE_LOSS else to_digits(size, 1)
    if central[name]:
        return HalfNormal(typical)
    slope = derivative(design.expression, name)
    if slope.kind != "number" or abs(slope.value) != 1:
        return None
    if lower < 0:
        return Normal(0.0, to_digits(10 * size, 1))
    rest = add(design.expression, negate(multiply(slope, parameter_node(name))))
    signs = [other for other, block in design.blocks.items() if (design.lower[block] >= 0).all()]
    if (
        slope is number(1)
        and name in may_reach_zero(design.expression)
        and is_not_negative(rest, columns=design.columns, not_negative=signs)
    ):
        rows = design.codes[name] == i - design.blocks[name].start if name in design.codes else slice(None)
        return Uniform(0.0, float(design.response[rows].min()))  # a floor lies below every row that has it
    return HalfNormal(to_digits(10 * size, 1))


def without_default(problem: ClosedProblem) -> set[str]:
    """Return the names of the parameters whose prior is asked for."""
    central = central_sizes(problem.design)
    return {
        parameter.coef.name for i, parameter in enumerate(problem.parameters) if _default(problem, i, central) is None
    }


def _within(prior: Prior, parameter: Parameter, lower: float, upper: float) -> Prior:
    """Fit a prior to the bounds of its parameter: a normal is cut, any other must lie within."""
    lo, hi = prior.support
    if lo >= lower and hi <= upper:
        return prior
    if isinstance(prior, Normal):
        return TruncatedNormal(prior.mu, prior.sigma, lower, upper)
    need = f"between {as_input(lower)} and {as_input(upper)}"
    if not np.isfinite(upper):
        need = f"above {as_input(lower)}"
    elif not np.isfinite(lower):
        need = f"below {as_input(upper)}"
    raise DataError(
        f"{parameter.name} lies {need}, but its prior {prior} allows other values; let the prior lie within, or "
        "declare other bounds in the law"
    )


def _asked_for(problem: ClosedProblem, missing: list[int], theta: Array) -> str:
    """Ask for the priors that have no default, with one that would do."""
    names = list(dict.fromkeys(problem.parameters[i].coef.name for i in missing))
    first = missing[0]
    positive_ = problem.parameters[first].is_log
    value = float(theta[first])
    example = f"LogNormal({rounded(value, digits=2)}, {as_input(SUGGESTED)})"
    if not positive_:
        example = f"Normal({rounded(value, digits=2)}, {rounded(max(abs(value), 1.0), digits=1)})"
        if problem.design.lower[first] >= 0:
            example = f"HalfNormal({rounded(max(2 * abs(value), 1e-3), digits=1)})"
    point = rounded(float(np.exp(value)) if positive_ else value, digits=3)
    return (
        f"{', '.join(names)} {'needs a prior' if len(names) == 1 else 'need priors'}: the law does not say in what "
        f"units {'it is' if len(names) == 1 else 'they are'}. Give what is known before the data, such as --prior "
        f"'{names[0]}={example}' (least squares puts {names[0]} at {point})"
    )


def _errors(system: System, theta: Array) -> Array:
    """Return the standard error of each coordinate with all others known, shape (P,)."""
    misfit = Misfit(system)
    z = system.from_vector(theta[None])
    residual, jacobian = misfit.residual(z)[0], misfit.jacobian(z)[0]
    variance = residual @ residual / max(1, len(residual) - len(theta))
    return np.asarray(np.sqrt(variance / np.maximum((jacobian**2).sum(axis=1), 1e-300)))
