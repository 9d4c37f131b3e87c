"""Two sources side by side: how far apart they are, and whether all of them can be one number."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import stats

from scalefit.compare.beliefs import Belief

__all__ = ["Agreement", "Difference", "agreement", "differences"]

SLICES = 400  # equally likely values of each side, whose differences are all formed
GRID = 2000


class Difference(NamedTuple):
    """The first source minus the second.

    Parameters
    ----------
    first, second : str
        Labels.
    mean, se, lo, hi : float
        Of the difference. The last three are NaN when the sources share rows.
    positive : float
        Probability that the first is larger; NaN when the sources share rows.
    overlap : float
        Area under both densities, from 0 to 1.
    shared : int
        Rows behind both: errors of such sources move together by an unknown amount, so that no spread of the
        difference follows from the two alone.
    both_posteriors : bool
        Whether ``positive`` is a posterior probability; otherwise it treats replicates or a printed error as one.
    """

    first: str
    second: str
    mean: float
    se: float
    lo: float
    hi: float
    positive: float
    overlap: float
    shared: int
    both_posteriors: bool


class Agreement(NamedTuple):
    """Whether independent sources can be one number: Cochran's Q.

    Parameters
    ----------
    labels : tuple of str
        The sources, none of which shares a row with another.
    left_out : tuple of str
        Those that share rows with one of them.
    pooled, se : float
        Mean weighted by ``1 / se^2``, and its standard error if they do agree.
    chi2 : float
        Sum of squared distances from it, in standard errors.
    df : int
        Number of sources less one.
    p : float
        Probability of a larger ``chi2`` if they agree.
    spread : float
        Standard deviation between sources beyond their errors (DerSimonian and Laird 1986).
    """

    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    pooled: float
    se: float
    chi2: float
    df: int
    p: float
    spread: float


def differences(beliefs: Sequence[Belief]) -> tuple[Difference, ...]:
    """Compare every two sources, taken as independent unless they share rows.

    Parameters
    ----------
    beliefs : sequence of Belief
        The sources.

    Returns
    -------
    tuple of Difference
        In the order given.
    """
    return tuple(_difference(a, b) for a, b in combinations(beliefs, 2))


def _difference(a: Belief, b: Belief) -> Difference:
    shared, nan = len(a.rows & b.rows), float("nan")
    both = a.kind == b.kind == "posterior"
    if shared:
        return Difference(a.label, b.label, a.value - b.value, nan, nan, nan, nan, _overlap(a, b), shared, both)
    gaps = np.subtract.outer(a.quantiles(SLICES), b.quantiles(SLICES)).ravel()
    lo, hi = np.quantile(gaps, [(1 - a.level) / 2, (1 + a.level) / 2])
    return Difference(
        a.label, b.label, a.value - b.value, float(np.hypot(a.se, b.se)), float(lo), float(hi),
        float(np.mean(gaps > 0)), _overlap(a, b), 0, both,
    )  # fmt: skip


def _overlap(a: Belief, b: Belief) -> float:
    reach = [one.quantiles(SLICES)[[0, -1]] for one in (a, b)]
    low, high = min(one[0] for one in reach), max(one[1] for one in reach)
    margin = 0.1 * (high - low)
    x = np.linspace(low - margin, high + margin, GRID)
    return float(min(np.trapezoid(np.minimum(a.density(x), b.density(x)), x), 1.0))


def agreement(beliefs: Sequence[Belief]) -> Agreement | None:
    """Test whether the sources that share no rows agree on one value.

    Parameters
    ----------
    beliefs : sequence of Belief
        The sources; where two share rows the one given first counts.

    Returns
    -------
    Agreement or None
        None when fewer than two are independent.
    """
    chosen: list[Belief] = []
    for one in beliefs:
        if all(not (one.rows & other.rows) for other in chosen):
            chosen.append(one)
    if len(chosen) < 2:
        return None
    value, se = np.array([one.value for one in chosen]), np.array([one.se for one in chosen])
    weight = 1 / np.maximum(se, 1e-300) ** 2
    pooled = float(weight @ value / weight.sum())
    chi2, df = float(weight @ (value - pooled) ** 2), len(chosen) - 1
    scale = weight.sum() - (weight**2).sum() / weight.sum()
    return Agreement(
        tuple(one.label for one in chosen),
        tuple(one.label for one in beliefs if one not in chosen),
        pooled,
        float(weight.sum() ** -0.5),
        chi2,
        df,
        float(stats.chi2.sf(chi2, df)),
        float(np.sqrt(max(chi2 - df, 0.0) / scale)),
    )
