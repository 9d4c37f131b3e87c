"""The best optimum of a closed-form law that many starts reach, and the other optima met on the way.

Nothing certifies it. What can be given is how often it was reached: a few starts first, and many more, with restarts
around the best points, while fewer than three of them agree or another optimum is close. Huber's loss is approached
from the least-squares optima through ever smaller deltas, because from far away it is a sum of absolute residuals, with
a kink at every row.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from scalefit.closed.descent import Ends, Misfit, descend
from scalefit.closed.design import Array, ClosedDesign, Index
from scalefit.closed.kinks import beyond_kinks
from scalefit.closed.starts import Starter
from scalefit.solver.search import ROUNDING, SAME, Minimum, distinct

__all__ = ["search_closed"]

AGREE: Final = 3  # starts that must have ended at the best optimum
CLOSE: Final = 1.05  # factor of F within which a second optimum asks for another round
SPRINT: Final = 40  # steps of every start with Gauss-Newton's Hessian
FINISH: Final = 60  # and then with the exact one
LONG: Final = 400  # of the leaders that have not arrived
LEADERS: Final = 4
HOPELESS: Final = 2.0  # factor of F above an optimum that enough starts reached, from which a slow leader is left
PATIENCE: Final = 8  # times that a best point on its way is carried on
CROSSINGS: Final = 8  # times that the kinks around a better optimum are crossed
LEAPS: Final = (1.0, 3.0, 10.0, 30.0)  # lengths of leaps along the way of the last steps, as parts of it
GONE: Final = 1e-20  # size of a term, as part of the response, that is to stay away
LIMIT: Final = np.log(1e-3)  # of an exponent whose power is hardly more than a constant and a logarithm
NEAR: Final = 3  # optima around which restarts are made
WIDER: Final = 10.0  # factor between the deltas through which Huber's loss is approached
SUBSAMPLE: Final = 20_000  # rows of the search; the winners are polished on all


class Round(NamedTuple):
    """How much one round of the search tries.

    Parameters
    ----------
    candidates : int
        Starting points drawn.
    polished : int
        How many of them, the best, are descended from.
    around : int
        Restarts around the best optimum so far.
    """

    candidates: int
    polished: int
    around: int


ROUNDS: Final = (Round(64, 8, 0), Round(256, 16, 12), Round(1024, 32, 24), Round(4096, 64, 48))


def search_closed(design: ClosedDesign, *, delta: float = np.inf, seed: int = 0) -> tuple[Minimum, ...]:
    """Find the best optimum that many starts reach.

    Parameters
    ----------
    design : ClosedDesign
        The problem.
    delta : float
        Where Huber's loss turns linear; inf for least squares.
    seed : int
        Seed of the starts.

    Returns
    -------
    tuple of Minimum
        Distinct optima, the best first, in vectors of the design. Their hits sum to the number of starts.

    Raises
    ------
    ValueError
        When no start is where the law is defined for every row.
    """
    n = len(design.response)
    rows = _spread_rows(design) if n > SUBSAMPLE else slice(None)
    misfit, starter = Misfit(design.centred, rows), Starter(design)
    optima: tuple[Minimum, ...] = ()
    for i, tactic in enumerate(ROUNDS):
        starts = _candidates(misfit, starter, tactic, delta, seed + i)
        if optima and tactic.around:
            starts = np.vstack([starts, _around(design, starter, optima, tactic.around, seed + i)])
        if len(starts):
            optima = distinct([*optima, *_descend(misfit, starts, delta)])
        if optima and optima[0].hits >= AGREE and optima[0].converged and (i or not _contested(optima)):
            break
    if not optima:
        raise ValueError("no start was found at which the law is defined in every row")
    for _ in range(PATIENCE):
        if optima[0].converged:
            break
        optima = distinct([*optima[1:], _carried_on(misfit, starter, optima[0], delta)])
    for _ in range(CROSSINGS):
        before, starts = optima[0].value, beyond_kinks(misfit, optima[0].theta, delta)
        if not len(starts):
            break
        optima = distinct([*optima, *_descend(misfit, starts, delta)])
        if optima[0].value >= (1 - SAME) * before:
            break
    if n > SUBSAMPLE:
        optima = _on_all_rows(design, optima, delta)
    theta = design.centred.to_vector(np.array([optimum.theta for optimum in optima]))
    theta = np.clip(theta, *design.box)
    return tuple(optimum._replace(theta=point) for optimum, point in zip(optima, theta, strict=True))


def _carried_on(misfit: Misfit, starter: Starter, best: Minimum, delta: float) -> Minimum:
    """Carry a best point on: some steps, and then leaps along the way that they took.

    Where parameters run off together, the descent follows a curved valley in small steps. A leap of those that are not
    linear, with the linear ones solved for exactly, lands in the valley again.
    """
    system, box = misfit.system, misfit.system.design.box
    more = descend(misfit, best.theta[None], delta=delta, exact=True, limit=LONG // 4)
    before, after = system.to_vector(np.vstack([best.theta, more.z[0]]))
    leaps = after + np.array(LEAPS)[:, None] * (after - before)
    z = system.from_vector(np.clip(starter.solved(np.clip(leaps, *box), GONE), *box))
    ends = descend(misfit, z[np.isfinite(z).all(axis=1)], delta=delta, exact=True, limit=SPRINT // 2)
    z, value = np.vstack([more.z, ends.z]), np.concatenate([more.value, ends.value])
    done = np.concatenate([more.converged, ends.converged])
    first = int(np.argmin(value))
    return Minimum(z[first], float(value[first]), bool(done[first]), best.hits)


def _contested(optima: tuple[Minimum, ...]) -> bool:
    """Whether another optimum is so close that a better one may be near as well."""
    return len(optima) > 1 and optima[1].value <= CLOSE * optima[0].value


def _candidates(misfit: Misfit, starter: Starter, how: Round, delta: float, seed: int) -> Array:
    """Draw starts and keep the best: for Huber's loss half of them by squares, which see further."""
    z = misfit.system.from_vector(starter.draw(how.candidates, seed))
    z = z[np.isfinite(z).all(axis=1)]
    squares = misfit.value(z, np.inf)
    order = np.argsort(squares, kind="stable")
    order = order[np.isfinite(squares[order])]
    if not np.isfinite(delta):
        return np.asarray(z[order[: how.polished]])
    robust = np.argsort(misfit.value(z[order], delta), kind="stable")
    half = how.polished // 2
    chosen = [*order[:half], *order[robust]]
    return np.asarray(z[list(dict.fromkeys(int(i) for i in chosen))[: how.polished]])


def _descend(misfit: Misfit, starts: Array, delta: float) -> list[Minimum]:
    """Descend from every start; those that lead and have not arrived go on."""
    if not np.isfinite(delta):
        ends = descend(misfit, starts, delta=delta, exact=False, limit=SPRINT)
    else:
        ends = _approach(misfit, starts, delta)
    ends = descend(misfit, ends.z, delta=delta, exact=True, limit=FINISH)
    order = np.argsort(ends.value, kind="stable")
    worst = HOPELESS * ends.value[order[0]] if _agreed(ends) else np.inf
    late = [int(i) for i in order[: 2 * LEADERS] if not ends.converged[i] and ends.value[i] < worst][:LEADERS]
    if late:
        more = descend(misfit, ends.z[late], delta=delta, exact=True, limit=LONG)
        for part, new in zip(ends, more, strict=True):
            part[late] = new
    return [
        Minimum(point, float(value), bool(done), 1)
        for point, value, done in zip(ends.z, ends.value, ends.converged, strict=True)
        if np.isfinite(value)
    ]


def _agreed(ends: Ends) -> bool:
    """Whether enough descents have arrived at the best optimum."""
    best = ends.value.min(initial=np.inf)
    return bool((ends.converged & (ends.value <= best * (1 + SAME) + ROUNDING)).sum() >= AGREE)


def _approach(misfit: Misfit, starts: Array, delta: float) -> Ends:
    """Approach Huber's loss: half of the starts by way of the squares, half directly.

    By way of the squares they come from far, but then agree because they passed through one point.
    """
    through = descend(misfit, starts[::2], delta=np.inf, exact=False, limit=SPRINT)
    if len(through.value) and np.isfinite(through.value).any():
        width = np.abs(misfit.residual(through.z[[int(np.argmin(through.value))]])).max() / WIDER
        while width > WIDER * delta:
            through = descend(misfit, through.z, delta=width, exact=False, limit=SPRINT // 4)
            width /= WIDER
    both = np.vstack([through.z, starts[1::2]])
    both = descend(misfit, both, delta=WIDER * delta, exact=False, limit=SPRINT // 2).z
    return descend(misfit, both, delta=delta, exact=False, limit=SPRINT // 2)


def _around(design: ClosedDesign, starter: Starter, optima: tuple[Minimum, ...], count: int, seed: int) -> Array:
    """Restart near the best points: everything a little elsewhere, or one parameter far away."""
    rng = np.random.default_rng([seed, 1])
    best = [optimum for optimum in optima if optimum.value <= CLOSE * optima[0].value][:NEAR]
    theta = design.centred.to_vector(np.array([best[i // 2 % len(best)].theta for i in range(count)]))
    limits = _near_limits(design, starter, theta[0])
    size = np.where(design.is_log, 1.0, np.maximum(np.abs(theta), 0.1))
    theta[::2] += 0.5 * size[::2] * rng.standard_normal(theta[::2].shape)
    names = list(starter.roles) or list(design.parameters)
    for i in range(1, count, 2):
        block = design.blocks[names[int(rng.integers(len(names)))]]
        theta[i, block] += 2 * size[i, block] * rng.standard_normal(block.stop - block.start)
    limits = starter.solved(np.clip(limits, *design.box), GONE)
    theta = np.vstack([starter.solved(np.clip(theta, *design.box)), limits])
    z = design.centred.from_vector(np.clip(theta, *design.box))
    return np.asarray(z[np.isfinite(z).all(axis=1)])


def _near_limits(design: ClosedDesign, starter: Starter, best: Array) -> Array:
    """Put each exponent near 0, where the best fit may lie and coordinates are too much alike for a descent."""
    logs = [
        name for name, role in starter.roles.items() if role == "exponent" and design.is_log[design.blocks[name].start]
    ]
    theta = np.repeat(best[None], len(logs), axis=0)
    for i, name in enumerate(logs):
        theta[i, design.blocks[name]] = LIMIT
    return theta


def _spread_rows(design: ClosedDesign) -> Index:
    """Return evenly spread rows, and a row of every level."""
    n = len(design.response)
    rows = [np.linspace(0, n - 1, SUBSAMPLE).astype(np.int64)]
    rows += [np.unique(codes, return_index=True)[1] for codes in design.codes.values()]
    return np.unique(np.concatenate(rows))


def _on_all_rows(design: ClosedDesign, optima: tuple[Minimum, ...], delta: float) -> tuple[Minimum, ...]:
    misfit = Misfit(design.centred)
    ends = descend(misfit, np.array([optimum.theta for optimum in optima[:3]]), delta=delta, exact=True, limit=FINISH)
    polished = [
        Minimum(point, float(value), bool(done), optimum.hits)
        for point, value, done, optimum in zip(*ends, optima, strict=False)
    ]
    return distinct(polished)
