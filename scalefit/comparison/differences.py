"""Two sources side by side: how far apart they are, and whether all of them can be one number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scalefit.comparison.sources import Compared
from scalefit.records import CONVERGED

__all__ = ["Agreement", "Difference", "agreement", "dependence", "differences"]

Array = NDArray[np.float64]

SLICES = 400  # equally likely values of each side, whose differences are all formed
GRID = 500


class Difference(NamedTuple):
    """The first source minus the second; of logarithms for coefficients.

    Parameters
    ----------
    first, second : str
        Labels.
    mean, se, lo, hi : float
        Of the difference. The last three are NaN when the sources depend on each other in an unknown way.
    positive : float
        Probability that the first is larger; NaN likewise.
    overlap : float
        Area under both densities, from 0 to 1; NaN where one has no spread.
    dependence : str
        Why no spread of the difference follows from the two; empty when one does.
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
    dependence: str
    both_posteriors: bool


class Agreement(NamedTuple):
    """Whether sources can be one number: Cochran's Q, with the covariance of levels of one fit.

    Parameters
    ----------
    labels : tuple of str
        The sources.
    left_out : tuple of str
        Other sources, each with the reason.
    pooled, se : float
        Mean weighted by the inverse covariance, and its standard error if the sources agree; of logarithms for
        coefficients.
    chi2 : float
        Squared distance from it in the metric of the covariance.
    df : int
        Number of sources less one.
    p : float
        Probability of a larger ``chi2`` if they agree.
    spread : float
        Standard deviation between sources beyond their errors (the moment estimate of DerSimonian and Laird 1986,
        for any covariance).
    """

    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    pooled: float
    se: float
    chi2: float
    df: int
    p: float
    spread: float


def dependence(a: Compared, b: Compared) -> str:
    """Say why two sources are not independent; empty when they are, as far as is known.

    Parameters
    ----------
    a, b : Compared
        The sources.

    Returns
    -------
    str
        A few words.
    """
    if not a.table or a.table != b.table:
        return ""
    if not (a.rows and b.rows):
        return "from the same table"
    shared = len(a.rows & b.rows)
    return f"{shared} rows in common" if shared else ""


def differences(sources: Sequence[Compared]) -> tuple[Difference, ...]:
    """Compare every two sources: draw by draw where these are paired, as independent unless they share rows.

    Draws are paired between levels of one fit, and between bootstraps of the same resamples of the same rows.

    Parameters
    ----------
    sources : sequence of Compared
        The sources.

    Returns
    -------
    tuple of Difference
        In the order given.
    """
    return tuple(_difference(a, b) for a, b in combinations(_comparable(sources), 2))


def _comparable(sources: Sequence[Compared]) -> list[Compared]:
    """Take logarithms where the parameter is a factor."""
    if any(source.is_log for source in sources) and all(source.estimate.value > 0 for source in sources):
        return [replace(source, estimate=source.estimate.as_log()) for source in sources]
    return list(sources)


def _difference(a: Compared, b: Compared) -> Difference:
    both, overlap, mean = a.is_posterior and b.is_posterior, _overlap(a, b), a.estimate.value - b.estimate.value
    one_fit = a.origin and a.origin == b.origin
    paired = one_fit or (a.resamples is not None and a.resamples == b.resamples)
    if paired and a.estimate.draws is not None and b.estimate.draws is not None:
        gaps = a.estimate.draws - b.estimate.draws
        gaps, why = gaps[np.isfinite(gaps)], ""
        error = float(gaps.std(ddof=1))
    elif why := dependence(a, b):
        return Difference(a.label, b.label, mean, *4 * (math.nan,), overlap, why, both)
    else:
        gaps = np.subtract.outer(a.estimate.quantiles(SLICES), b.estimate.quantiles(SLICES)).ravel()
        error = float(np.hypot(a.estimate.se, b.estimate.se))
    lo, hi = np.quantile(gaps, [(1 - a.estimate.probability) / 2, (1 + a.estimate.probability) / 2])
    return Difference(a.label, b.label, mean, error, float(lo), float(hi), float(np.mean(gaps > 0)), overlap, why, both)


def _overlap(a: Compared, b: Compared) -> float:
    reach = [source.estimate.quantiles(SLICES)[[0, -1]] for source in (a, b)]
    if any(high - low <= 1e-12 * max(abs(high), abs(low)) for low, high in reach):
        return math.nan
    low, high = min(ends[0] for ends in reach), max(ends[1] for ends in reach)
    margin = 0.1 * (high - low)
    x = np.linspace(low - margin, high + margin, GRID)
    return float(min(np.trapezoid(np.minimum(a.estimate.density(x), b.estimate.density(x)), x), 1.0))


def agreement(sources: Sequence[Compared]) -> Agreement | None:
    """Test whether the sources agree on one value.

    Parameters
    ----------
    sources : sequence of Compared
        The sources; of two that share rows the one given first counts, unless they are levels of one fit.

    Returns
    -------
    Agreement or None
        None when fewer than two can be taken together.
    """
    chosen: list[Compared] = []
    left_out = []
    for source in _comparable(sources):
        others = [other for other in chosen if source.origin != other.origin or not source.origin]
        if source.status not in (CONVERGED, "printed"):
            left_out.append(f"{source.label} ({source.status})")
        elif not (math.isfinite(source.estimate.se) and source.estimate.se > 1e-9 * abs(source.estimate.value)):
            left_out.append(f"{source.label} (no error)")
        elif any(dependence(source, other) for other in others):
            left_out.append(f"{source.label} (shares rows)")
        else:
            chosen.append(source)
    if len(chosen) < 2:
        return None
    value, weight = np.array([source.estimate.value for source in chosen]), np.linalg.inv(_covariance(chosen))
    total = float(weight.sum())
    pooled, df = float(weight.sum(axis=0) @ value / total), len(chosen) - 1
    chi2 = float((value - pooled) @ weight @ (value - pooled))
    scale = float(np.trace(weight) - (weight.sum(axis=0) ** 2).sum() / total)
    return Agreement(
        tuple(source.label for source in chosen), tuple(left_out), pooled, total**-0.5, chi2, df,
        float(stats.chi2.sf(chi2, df)), float(np.sqrt(max(chi2 - df, 0.0) / scale)),
    )  # fmt: skip


def _covariance(chosen: Sequence[Compared]) -> Array:
    """Covariance of the sources' values: zero between fits, that of the draws between levels of one."""
    out = np.diag([source.estimate.se**2 for source in chosen])
    for (i, a), (j, b) in combinations(enumerate(chosen), 2):
        if a.origin and a.origin == b.origin and a.estimate.draws is not None and b.estimate.draws is not None:
            both = np.isfinite(a.estimate.draws) & np.isfinite(b.estimate.draws)
            together = np.corrcoef(a.estimate.draws[both], b.estimate.draws[both])[0, 1]
            out[i, j] = out[j, i] = together * a.estimate.se * b.estimate.se
    return out
