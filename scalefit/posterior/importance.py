"""Adaptive importance sampling: a posterior in a second, with its evidence and a diagnostic of failure.

The proposal is a mixture of multivariate t distributions (6 degrees of freedom), at first one at each mode with the
curvature there. Each round draws from it, weights the draws (tempered, so that a few of them do not dominate), and
refits the mixture to the weighted draws by maximum likelihood (population Monte Carlo: Cappe, Douc, Guillin, Marin,
Robert 2008). The largest weights of the draws that follow are smoothed by a generalised Pareto distribution, whose
shape k-hat shows whether averages can be trusted (Vehtari, Simpson, Gelman, Yao, Gabry 2024: below 0.7). Where it is
doubtful, components are added where the weights are largest (incremental mixtures: Raftery and Bao 2010), and the draws
are made again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from scalefit.thresholds import GOOD_KHAT

__all__ = ["Weighted", "pareto_khat", "pareto_smooth", "resample", "sample_by_importance"]

Array = NDArray[np.float64]
LogDensity = Callable[[Array], Array]

DEGREES = 6.0
ROUND = 2000  # draws of an adaptation round, or more:
PER_DIMENSION = 150  # ... draws per dimension
MOST_ROUNDS = 12
SETTLED = 1.05  # a round that does not raise the effective size by this factor ends the adaptation
EM_STEPS = 5
MOST_PARTS = 4
GOOD_SHARE = 0.5  # effective share of the draws above which the mixture gets no further component
ADDED = 12  # components that a stage of covering adds to the mixture
NEAR = 400  # draws that give such a component its shape, or more:
NEAR_PER_DIMENSION = 20
CAPPED = 4  # one in so many of these has the largest weight
FROM_EACH = 300  # draws from each, which show where the next is needed, or more:
EACH_PER_DIMENSION = 20
OUTWARDS = 1.5  # power of the squared distance that counts with a weight; 1 would be the draw's part of the variance
PROBED = 4  # one draw in so many shows whether there is something to cover
SHARE = 0.3  # of the draws, which the added components of a stage get
MOST_STAGES = 4
BLOCK = 50_000  # draws whose densities under all components are in memory at a time


class Mixture(NamedTuple):
    """Multivariate t distributions with weights.

    Parameters
    ----------
    weight : array, shape (K,)
        Weights, which sum to 1.
    mean : array, shape (K, d)
        Centres.
    factor : array, shape (K, d, d)
        Lower Cholesky factors of the scale matrices.
    """

    weight: Array
    mean: Array
    factor: Array

    def parts(self, z: Array) -> tuple[Array, Array]:
        """Return log weight times density of each part, and squared distances; both shape (R, K)."""
        d, nu = z.shape[1], _degrees(z.shape[1])
        constant = special.gammaln((nu + d) / 2) - special.gammaln(nu / 2) - 0.5 * d * math.log(nu * math.pi)
        logs, distances = np.empty((len(z), len(self.weight))), np.empty((len(z), len(self.weight)))
        for k, (weight, mean, factor) in enumerate(zip(*self, strict=True)):
            # A product with the inverse of a small factor takes a third of the time of a triangular solve.
            apart = (z - mean) @ linalg.solve_triangular(factor, np.eye(d), lower=True).T
            distance = np.einsum("ij,ij->i", apart, apart)
            size = np.log(np.diag(factor)).sum()
            distances[:, k] = distance
            logs[:, k] = math.log(weight) + constant - size - 0.5 * (nu + d) * np.log1p(distance / nu)
        return logs, distances

    def log_density(self, z: Array) -> Array:
        """Return the log density of points, shape (R, d) to (R,)."""
        blocks = (z[start : start + BLOCK] for start in range(0, max(len(z), 1), BLOCK))
        return np.concatenate([_log_sum(self.parts(block)[0].T) for block in blocks])

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n points, shape (n, d)."""
        part = np.sort(rng.choice(len(self.weight), size=n, p=self.weight))
        normal = rng.standard_normal((n, self.mean.shape[1]))
        nu = _degrees(self.mean.shape[1])
        stretch = np.sqrt(nu / rng.chisquare(nu, size=n))
        moved = np.empty_like(normal)
        for k in range(len(self.weight)):
            own = part == k
            moved[own] = self.mean[k] + stretch[own, None] * (normal[own] @ self.factor[k].T)
        return moved


class Weighted(NamedTuple):
    """Draws with weights that represent a density.

    Parameters
    ----------
    x : array, shape (R, d)
        Draws.
    weight : array, shape (R,)
        Smoothed weights, which sum to 1.
    ess : float
        Effective number of draws, ``1 / sum weight^2``.
    khat : float
        Shape of the weights' tail; above 0.7 the averages cannot be trusted.
    log_evidence : float
        Log of the density's integral, from the raw weights.
    log_evidence_se : float
        Its Monte Carlo standard error.
    rounds : int
        Rounds of adaptation.
    """

    x: Array
    weight: Array
    ess: float
    khat: float
    log_evidence: float
    log_evidence_se: float
    rounds: int


def sample_by_importance(
    density: LogDensity,
    centres: Array,
    frames: Array,
    log_mass: Array,
    *,
    draws: int = 20_000,
    seed: int = 0,
    covered: float = math.inf,
    progress: Callable[[int], None] | None = None,
) -> Weighted:
    """Sample a density from its modes.

    Parameters
    ----------
    density : callable
        Log density of points, shape (R, d) to (R,).
    centres : array, shape (K, d)
        Modes, the best first.
    frames : array, shape (K, d, d)
        ``x = centre + frame z`` with unit curvature in z.
    log_mass : array, shape (K,)
        Approximate log mass of each mode.
    draws : int
        Draws of the last round.
    seed : int
        Seed.
    covered : float
        While k-hat is above this, for a few stages, the mixture gets components that cover more of the tails.
    progress : callable, optional
        Called with the number of each round; stages that cover the tails count on.

    Returns
    -------
    Weighted
        Draws and weights.
    """
    # All work is done in z = inverse (x - best mode), in which the density is nearly a standard normal at that mode.
    # The log determinant of the frame makes it a density in z, so that the evidence is that of x.
    rng = np.random.default_rng(seed)
    frame, inverse = frames[0], np.linalg.inv(frames[0])
    _, size = np.linalg.slogdet(frame)

    def whitened(z: Array) -> Array:
        value: Array = density(centres[0] + z @ frame.T) + size
        return value

    local = np.array([inverse @ frame for frame in frames])
    factor = np.array([np.linalg.cholesky(frame @ frame.T) for frame in local])
    # Laplace masses can be far off, so every mode gets a share of the first draws
    weight = special.softmax(log_mass)
    weight = (0.9 * weight + 0.1 / len(weight)) if len(weight) > 1 else weight
    start = Mixture(weight, (centres - centres[0]) @ inverse.T, factor)
    mixture, rounds = _adapt(whitened, start, rng, progress)
    if covered < math.inf and draws >= NEAR_PER_DIMENSION * len(frame):  # fewer give new components no shape
        count = None if progress is None else lambda stage: progress(rounds + stage)
        weighted = _sample_covered(whitened, mixture, draws, covered, rng, count)
    else:
        weighted = _sample_refitted(whitened, mixture, draws, rng)
    return weighted._replace(x=centres[0] + weighted.x @ frame.T, rounds=rounds)


class _Drawn(NamedTuple):
    """Draws, shape (R, d), with the log densities of the target and of the proposal, shape (R,)."""

    z: Array
    height: Array
    proposed: Array


def _evaluate(density: LogDensity, mixture: Mixture, z: Array) -> _Drawn:
    return _Drawn(z, density(z), mixture.log_density(z))


def _sample_refitted(density: LogDensity, mixture: Mixture, draws: int, rng: np.random.Generator) -> Weighted:
    """Sample once, or twice if k-hat is bad: from a mixture with one component more, refitted to all these draws.

    The second sample counts even if its k-hat is larger: to choose the better of the two would bias k-hat downwards.
    """
    weighted = _weigh(_evaluate(density, mixture, mixture.draw(draws, rng)))
    if not weighted.khat <= GOOD_KHAT:
        for part in range(EM_STEPS):
            mixture = _refit(mixture if part else _split(mixture), weighted.x, weighted.weight)
        weighted = _weigh(_evaluate(density, mixture, mixture.draw(draws, rng)))
    return weighted


def _sample_covered(
    density: LogDensity,
    mixture: Mixture,
    draws: int,
    covered: float,
    rng: np.random.Generator,
    progress: Callable[[int], None] | None,
) -> Weighted:
    """Sample, with components added to the mixture until k-hat is below a limit.

    A part of the target that the mixture hardly reaches may be missing from every spread, or be represented by one draw
    of a large weight. A quarter of the draws is enough to see that. Each stage ends with new draws, because those that
    led to the components of a mixture are no fair test of it.
    """
    z = mixture.draw(draws, rng)
    enough = draws >= PROBED * NEAR_PER_DIMENSION * z.shape[1]
    drawn = _evaluate(density, mixture, z[::PROBED] if enough else z)
    for stage in range(1, MOST_STAGES + 1):
        if progress is not None:
            progress(stage)
        weighted = _weigh(drawn)
        equal = weighted.khat == math.inf and weighted.ess > GOOD_SHARE * len(drawn.z)  # weights that hardly differ
        if covered < weighted.khat and not equal:
            mixture = _cover(density, mixture, drawn, rng)
            z = mixture.draw(draws, rng)
        elif len(drawn.z) == draws:
            break
        drawn = _evaluate(density, mixture, z)
    return _weigh(drawn)


def _weigh(drawn: _Drawn) -> Weighted:
    """Weight draws; the evidence is the mean of the raw weights, without smoothing."""
    log_weight = drawn.height - drawn.proposed
    smooth, khat = pareto_smooth(log_weight)
    top = float(log_weight.max())
    raw = np.exp(log_weight - top)
    error = float(raw.std(ddof=1) / raw.mean() / math.sqrt(len(raw)))
    return Weighted(drawn.z, smooth, float(1 / (smooth @ smooth)), khat, top + math.log(raw.mean()), error, 0)


def _cover(density: LogDensity, mixture: Mixture, drawn: _Drawn, rng: np.random.Generator) -> Mixture:
    """Add components where the proposal falls short of the target (Raftery and Bao 2010).

    Each is centred at the draw of the largest weight, where distant draws count more because spreads depend on them,
    and has the shape of the draws around it. Draws from it are weighted with all others, by their density over the mean
    of all proposals, and show where the next is needed. So a tail that begins with one draw is followed outwards.
    Refitting by maximum likelihood does not do this: what has a hundredth of the mass hardly changes a likelihood, and
    can still double a standard deviation.
    """
    z, height = drawn.z, drawn.height
    d = z.shape[1]
    each = max(FROM_EACH, EACH_PER_DIMENSION * d)
    count = np.log(np.array([len(z), each], dtype=float))
    proposed = drawn.proposed + count[0]  # log of the expected number of draws per volume
    weight = _tempered(height - proposed, max(10.0 * d, len(z) / 10))
    centre = weight @ z
    gap = z - centre
    whiten = np.linalg.inv(np.linalg.cholesky((gap * weight[:, None]).T @ gap)).T
    white = gap @ whiten
    far = OUTWARDS * np.log1p((white**2).sum(axis=1) / d)
    near = min(max(NEAR, NEAR_PER_DIMENSION * d), len(z))
    equal = min(max(near // CAPPED, 2 * d), near)
    added: list[Mixture] = []
    for _ in range(ADDED):
        log_weight = height - proposed
        top = np.argmax(log_weight + far)
        nearest = np.argpartition(((white - white[top]) ** 2).sum(axis=1), near - 1)[:near]
        own = _capped(log_weight[nearest], equal)
        gap = z[nearest] - z[top]
        factor = np.linalg.cholesky((gap * own[:, None]).T @ gap)
        part = Mixture(np.ones(1), z[top][None], factor[None])
        added.append(part)
        new = part.draw(each, rng)
        proposed = np.logaddexp(proposed, part.log_density(z) + count[1])
        parts = _log_sum(np.stack([earlier.log_density(new) for earlier in added])) + count[1]
        proposed = np.concatenate([proposed, np.logaddexp(mixture.log_density(new) + count[0], parts)])
        z, height = np.concatenate([z, new]), np.concatenate([height, density(new)])
        white = np.concatenate([white, (new - centre) @ whiten])
        far = np.concatenate([far, OUTWARDS * np.log1p((white[-each:] ** 2).sum(axis=1) / d)])
    mixtures = [mixture, *added]
    return Mixture(
        np.concatenate([(1 - SHARE) * mixture.weight, np.full(ADDED, SHARE / ADDED)]),
        np.concatenate([part.mean for part in mixtures]),
        np.concatenate([part.factor for part in mixtures]),
    )


def _capped(log_weight: Array, equal: int) -> Array:
    """Return weights of which the largest, so many, are equal: where one draw is nearly all, it has no shape."""
    cap = np.partition(log_weight, -equal)[-equal]
    with np.errstate(invalid="ignore"):  # all may be zero
        weight = np.where(log_weight >= cap, 1.0, np.exp(np.minimum(log_weight - cap, 0.0)))
    return np.asarray(weight / weight.sum())


def _adapt(
    density: LogDensity, mixture: Mixture, rng: np.random.Generator, progress: Callable[[int], None] | None
) -> tuple[Mixture, int]:
    """Refit the mixture to all draws so far, until its effective share of new draws stops rising.

    A draw's weight is its density over the mean of all proposals used (Cornuet, Marin, Mira, Robert 2012).
    """
    d = mixture.mean.shape[1]
    n = max(ROUND, PER_DIMENSION * d)
    best, best_share, done = mixture, 0.0, 0
    used: list[Mixture] = []
    z, heights, proposed = np.empty((0, d)), np.empty(0), np.empty(0)
    for done in range(1, MOST_ROUNDS + 1):
        if progress is not None:
            progress(done)
        new = mixture.draw(n, rng)
        height, own = density(new), mixture.log_density(new)
        share = _ess(height - own) / n
        proposed = np.logaddexp(proposed, mixture.log_density(z))
        proposed = np.concatenate(
            [proposed, _log_sum(np.stack([own, *(mixture.log_density(new) for mixture in used)]))]
        )
        z, heights = np.concatenate([z, new]), np.concatenate([heights, height])
        used.append(mixture)
        settled = share < SETTLED * best_share
        if share > best_share:
            best, best_share = mixture, share
        if settled:
            if best_share > GOOD_SHARE or len(mixture.weight) >= MOST_PARTS:
                break
            mixture = _split(mixture)
        weight = _tempered(heights - proposed, max(10.0 * d, n / 10))
        for _ in range(EM_STEPS):
            mixture = _refit(mixture, z, weight)
    return best, done


def _refit(mixture: Mixture, z: Array, weight: Array) -> Mixture:
    """Return the mixture after one EM step on weighted points (Peel and McLachlan 2000, fixed degrees of freedom).

    The scale matrix of each component is shrunk towards the old one, the more the fewer draws it is estimated from, so
    that it stays positive definite.
    """
    d = z.shape[1]
    logs, distance = mixture.parts(z)
    share = weight[:, None] * np.exp(logs - _log_sum(logs.T)[:, None])
    mass = share.sum(axis=0)
    kept = np.flatnonzero(mass > 1e-3)
    means, factors = [], []
    for k in kept:
        inner = share[:, k] * (_degrees(d) + d) / (_degrees(d) + distance[:, k])
        mean = inner @ z / inner.sum()
        gap = z - mean
        scale = (gap * inner[:, None]).T @ gap / mass[k]
        old = mixture.factor[k] @ mixture.factor[k].T
        effective = mass[k] ** 2 / (share[:, k] @ share[:, k])
        shrink = d / (effective + d)
        means.append(mean)
        factors.append(np.linalg.cholesky((1 - shrink) * scale + shrink * old))
    return Mixture(mass[kept] / mass[kept].sum(), np.array(means), np.array(factors))


def _split(mixture: Mixture) -> Mixture:
    """Split the component of the largest weight in two along its longest axis."""
    k = int(np.argmax(mixture.weight))
    axes, lengths, _ = np.linalg.svd(mixture.factor[k])
    shift = 0.7 * lengths[0] * axes[:, 0]
    means = np.vstack([mixture.mean, mixture.mean[k] + shift])
    means[k] -= shift
    weights = np.append(mixture.weight, mixture.weight[k] / 2)
    weights[k] /= 2
    return Mixture(weights, means, np.concatenate([mixture.factor, mixture.factor[k : k + 1]]))


def _log_sum(logs: Array) -> Array:
    """Return the log of the sum of exponentials over the first axis; SciPy's version takes five times as long."""
    if len(logs) == 1:
        return np.asarray(logs[0])
    top = logs.max(axis=0)
    return np.asarray(top + np.log(np.exp(logs - top).sum(axis=0)))


def _degrees(d: int) -> float:
    """Return the degrees of freedom of the proposal; in many dimensions tails as heavy as with 6 waste most draws."""
    return max(DEGREES, float(d))


def _ess(log_weight: Array) -> float:
    weight = special.softmax(log_weight)
    return float(1 / (weight @ weight))


def _tempered(log_weight: Array, least: float) -> Array:
    """Return the weights raised to the largest power in (0, 1] at which at least ``least`` draws are effective."""
    lo, hi = 0.0, 1.0
    if _ess(log_weight) < least:
        finite = np.where(np.isfinite(log_weight), log_weight, -1e300)
        for _ in range(40):
            middle = 0.5 * (lo + hi)
            lo, hi = (middle, hi) if _ess(middle * finite) >= least else (lo, middle)
        return np.asarray(special.softmax(lo * finite))
    return np.asarray(special.softmax(log_weight))


def pareto_smooth(log_weight: Array) -> tuple[Array, float]:
    """Smooth the largest weights.

    Parameters
    ----------
    log_weight : array, shape (R,)
        Log weights.

    Returns
    -------
    array, shape (R,)
        Weights that sum to 1, the largest replaced by the expected order statistics of the fitted tail.
    float
        k-hat, infinite when too few weights differ.
    """
    n = len(log_weight)
    order = np.argsort(log_weight, kind="stable")
    tail = min(n // 5, math.ceil(3 * math.sqrt(n)))  # the length that Vehtari et al. 2024 recommend
    largest = order[n - tail :]
    cut = log_weight[order[n - tail - 1]] if tail < n else -np.inf
    top = log_weight[order[-1]]
    weight = np.exp(log_weight - top)
    floor = math.exp(cut - top)
    excess = np.maximum(weight[largest] - floor, 0.0)  # equal weights may differ by a rounding error
    if tail < 5 or not excess[0] >= 0 or not excess[-1] > 1e-300 or excess[len(excess) // 4] <= 0:
        return weight / weight.sum(), math.inf
    khat, sigma = _fit_pareto(excess)
    probability = (np.arange(tail) + 0.5) / tail
    steep = np.expm1(-khat * np.log1p(-probability)) / khat if abs(khat) > 1e-8 else -np.log1p(-probability)
    weight[largest] = np.minimum(floor + sigma * steep, 1.0)
    return weight / weight.sum(), khat


def pareto_khat(log_weight: Array) -> float:
    """Return the shape of the tail of importance weights; see :func:`pareto_smooth`."""
    return pareto_smooth(log_weight)[1]


def _fit_pareto(excess: Array) -> tuple[float, float]:
    """Return shape and scale of a generalised Pareto distribution (Zhang and Stephens 2009), with the prior of PSIS.

    ``excess`` is sorted, shape (M,). The shape is shrunk towards 0.5 as by 10 observations (Vehtari et al. 2024).
    """
    n = len(excess)
    grid = 30 + int(math.sqrt(n))
    quartile = excess[int(n / 4 + 0.5) - 1]
    theta = 1 / excess[-1] + (1 - np.sqrt(grid / (np.arange(grid) + 0.5))) / (3 * quartile)
    shape = np.log1p(-theta[:, None] * excess).mean(axis=1)
    profile = n * (np.log(-theta / shape) - shape - 1)
    best = float(special.softmax(profile) @ theta)
    khat = float(np.log1p(-best * excess).mean())
    sigma = -khat / best
    return (n * khat + 5) / (n + 10), sigma


def resample(weight: Array, n: int, seed: int) -> NDArray[np.int64]:
    """Choose n draws in proportion to their weights, by systematic resampling, in random order.

    Parameters
    ----------
    weight : array, shape (R,)
        Weights that sum to 1.
    n : int
        Number of draws.
    seed : int
        Seed.

    Returns
    -------
    array of int, shape (n,)
        Indices of the draws.
    """
    rng = np.random.default_rng(seed)
    points = (rng.random() + np.arange(n)) / n
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), points), len(weight) - 1)
    return rng.permutation(chosen)
