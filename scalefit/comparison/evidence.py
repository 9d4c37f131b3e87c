"""How much the data favour a fixed exponent over a free one, and how far that depends on the prior.

The Bayes factor of the nested law with ``exponent = reference`` is the posterior density there over the prior density
(Dickey 1971), provided that the other priors do not depend on the exponent; here they are independent. The same number
is the ratio of the two evidences. Both are given, for the prior of the fit and for alternatives to it, because a Bayes
factor moves with the prior while the posterior hardly does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.comparison.refit import posterior_draws, posterior_of, refit
from scalefit.errors import DataError, closest
from scalefit.law.additive import Coef
from scalefit.law.protocol import AnyLaw
from scalefit.names import Key, printed_name, read_name
from scalefit.numbers import parse_number
from scalefit.posterior.importance import pareto_smooth
from scalefit.posterior.priors import HalfNormal, Normal, Prior, TruncatedNormal, Uniform, parse_prior
from scalefit.problem import Parameter
from scalefit.results import Fit
from scalefit.thresholds import BEYOND_REFERENCE, GOOD_KHAT, OTHER_PRIORS, PRIOR_DRAWS

__all__ = ["Evidence", "PriorEvidence", "alternative_priors", "can_be_fixed", "evidence", "read_fixed"]

Array = NDArray[np.float64]

DRAWS = 4000  # of the fixed law's posterior, or as many as the fit has where that is fewer, as in a draft
STEEP = 0.01  # a ratio of priors that falls below this part of its largest has a tail to judge by k-hat
PARTS = 20  # into which the draws are cut for the error of that estimate


class PriorEvidence(NamedTuple):
    """The fixed law against the free one, under one prior of each exponent that is tested.

    Parameters
    ----------
    prior : str
        The prior, or the priors where they differ between exponents.
    own : bool
        Whether it is the fit's.
    mean, sd : tuple of float
        Of each exponent under it.
    savage_dickey, savage_dickey_se : float
        Log of posterior over prior density at the reference, and its Monte Carlo error; NaN where too few draws lie
        beyond the reference.
    direct, direct_se : float
        Log evidence of the fixed law less that of the free one; NaN where there is none.
    """

    prior: str
    own: bool
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    savage_dickey: float
    savage_dickey_se: float
    direct: float
    direct_se: float


class Evidence(NamedTuple):
    """Evidence for fixed exponents from one posterior.

    Parameters
    ----------
    label : str
        The source's name.
    fixed : dict of (str, tuple of str) to float
        Exponents, by coefficient and level, and their values under the hypothesis.
    fixed_law : str
        The law with them fixed; empty when it cannot be written.
    priors : tuple of PriorEvidence
        The fit's prior first.
    notes : tuple of str
        Why something is missing.
    """

    label: str
    fixed: dict[Key, float]
    fixed_law: str
    priors: tuple[PriorEvidence, ...]
    notes: tuple[str, ...]


def alternative_priors(used: Prior, reference: float) -> tuple[Prior, ...]:
    """Return reasonable other priors of an exponent: narrower, wider, flat, and around the reference.

    Parameters
    ----------
    used : Prior
        The fit's, which is not repeated; where it allows negative exponents the others do too.
    reference : float
        The value tested.

    Returns
    -------
    tuple of Prior
        At least three.
    """
    if used.support[0] < 0:
        free: list[Prior] = [Normal(0.0, 0.5), Normal(0.0, 1.0), Normal(0.0, 2.0), Normal(reference, 0.5)]
        return tuple(dict.fromkeys(prior for prior in free if prior != used))
    others: list[Prior] = [HalfNormal(0.5), HalfNormal(1.0), HalfNormal(2.0), Uniform(0.0, max(3.0, 3 * reference))]
    if reference > 0:
        others.append(TruncatedNormal(reference, 0.5, 0.0))
    return tuple(prior for prior in others if prior != used)


def evidence(
    fit: Fit,
    fixed: Mapping[str, float] | Mapping[Key, float],
    *,
    label: str = "",
    priors: Sequence[str | Prior] | None = None,
) -> Evidence:
    """Weigh the law with fixed exponents against the free one.

    Parameters
    ----------
    fit : Fit
        From :func:`scalefit.bayes`.
    fixed : mapping
        Exponents, by printed name or by coefficient and level, and their values under the hypothesis, such as
        ``{"a_m": 1, "a_l": 1}``.
    label : str
        The source's name.
    priors : sequence of str or Prior, optional
        Alternative priors for every exponent in ``fixed``; :func:`alternative_priors` without them.

    Returns
    -------
    Evidence
        Log Bayes factors in favour of the fixed exponents.

    Raises
    ------
    DataError
        When a parameter is not an exponent of the law.
    """
    label = label or fit.label or fit.source.name
    posterior = posterior_of(fit)
    values = read_fixed(fixed)
    own = [_exponent(fit, key, label) for key in values]
    pooled = {name for name, how in posterior.pool if how == "partial"}
    if any(exponent.name in pooled for exponent in own):
        return Evidence(label, values, "", (), ("A partly pooled exponent has no prior of its own.",))
    known = dict(posterior.priors)
    used = [parse_prior(known.get(key) or known[key[0], ()]) for key in values]
    law, notes = _fixed_law(fit.law, dict(zip(own, values.values(), strict=True)))
    direct = (math.nan, math.nan)
    if law is not None:
        direct, notes = _direct(fit, law)
    tested = _Tested(fit, values, used, direct)
    given = () if priors is None else tuple(parse_prior(prior) for prior in priors)
    more = [prior for prior in alternative_priors(used[0], next(iter(values.values()))) if prior not in given]
    rows, lost = [tested.under(used)], []
    for prior in (*given, *more):
        if prior in given or priors is None or len(rows) <= OTHER_PRIORS:
            weighed = tested.under([prior] * len(used))
            rows += [weighed] if weighed is not None else []
            lost += [str(prior)] if weighed is None else []
    if lost:
        text = f"{', '.join(lost)} cannot be used: too few draws have mass there, or the prior excludes the reference."
        notes += (text,)
    return Evidence(label, values, str(law or ""), tuple(row for row in rows if row is not None), notes)


def read_fixed(fixed: Mapping[Any, Any]) -> dict[Key, float]:
    """Read which exponents are fixed at which numbers.

    Parameters
    ----------
    fixed : mapping
        Printed name, or coefficient and level, to number, or to its text as on the command line.

    Returns
    -------
    dict of (str, tuple of str) to float
        By coefficient and level.

    Raises
    ------
    DataError
        For a name that cannot be read, or a value that is not a finite number.
    """
    values: dict[Key, float] = {}
    for name, value in fixed.items():
        try:
            key = read_name(name)
        except ValueError as error:
            raise DataError(str(error)) from None
        try:
            number = parse_number(value) if isinstance(value, str) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(f"{printed_name(*key)} cannot be fixed at {value}; give a number, such as 1")
        values[key] = number
    return values


def can_be_fixed(parameter: Parameter) -> bool:
    """Whether a hypothesis may fix a parameter: an exponent, and in a law of any form every parameter of it."""
    return parameter.kind in ("exponent", "positive", "real")


def _exponent(fit: Fit, key: Key, label: str) -> Coef:
    exponents = {parameter.key: parameter.coef for parameter in fit.parameters if can_be_fixed(parameter)}
    if key in exponents:
        return exponents[key]
    name, known = printed_name(*key), [printed_name(*key) for key in exponents]
    raise DataError(f"{name!r} is not an exponent of {label}; {closest(name, known)}")


def _fixed_law(law: AnyLaw, values: Mapping[Coef, float]) -> tuple[AnyLaw | None, tuple[str, ...]]:
    """Put numbers in the place of exponents."""
    if grouped := [str(coef) for coef in values if coef.groups]:
        text = f"{', '.join(grouped)} has a value per level, and no law fixes one of them: there is no direct ratio."
        return None, (text,)
    return law.holding({coef.name: float(value) for coef, value in values.items()}), ()


def _direct(fit: Fit, fixed: AnyLaw) -> tuple[tuple[float, float], tuple[str, ...]]:
    """Log evidence of the fixed law less that of the fit, and its error."""
    posteriors = {"the fit": posterior_of(fit)}
    if posteriors["the fit"].log_evidence is not None:
        posteriors["the fixed law"] = posterior_of(
            refit(fit, law=fixed, path="fast", draws=min(DRAWS, len(posterior_draws(fit))))
        )
    values, errors = [], []
    for name, posterior in posteriors.items():
        good = posterior.khat is None or posterior.khat <= GOOD_KHAT
        if posterior.log_evidence is None or posterior.log_evidence_se is None or not good:
            text = f"Importance sampling cannot represent {name}, and only it gives evidence: there is no direct ratio."
            return (math.nan, math.nan), (text,)
        values.append(posterior.log_evidence)
        errors.append(posterior.log_evidence_se)
    return (values[1] - values[0], math.hypot(*errors)), ()


class _Tested(NamedTuple):
    """A posterior, the values tested in it, their priors, and the direct log ratio under these."""

    fit: Fit
    fixed: Mapping[Key, float]
    used: Sequence[Prior]
    direct: tuple[float, float]

    def under(self, priors: Sequence[Prior]) -> PriorEvidence | None:
        """Carry posterior and evidence over to other priors by weighting the draws; None where that fails."""
        draws = np.stack([self.fit.draws(key) for key in self.fixed], axis=1)
        own = list(priors) == list(self.used)
        ratio = np.zeros(len(draws))
        for j, (new, old) in enumerate(zip(priors, self.used, strict=True)):
            ratio += new.log_density(draws[:, j]) - old.log_density(draws[:, j])
        at = np.array(list(self.fixed.values()), dtype=float)
        prior_height = sum(float(new.log_density(value)) for new, value in zip(priors, at, strict=True))
        if not own and not (np.isfinite(ratio.max()) and math.isfinite(prior_height)):
            return None
        scale = np.exp(ratio - ratio.max())
        weight = scale / scale.sum()
        few = 1 / (weight @ weight) < PRIOR_DRAWS
        if not own and (few or (scale.min() < STEEP and pareto_smooth(ratio)[1] > GOOD_KHAT)):
            return None
        mean = weight @ draws
        covariance = ((draws - mean) * weight[:, None]).T @ (draws - mean)
        height, height_se = _log_height(draws, weight, mean, covariance, at)
        gain = float(ratio.max()) + math.log(float(scale.mean()))  # of the free law's evidence
        gain_se = float(scale.std(ddof=1) / scale.mean() / math.sqrt(len(scale)))
        return PriorEvidence(
            ", ".join(dict.fromkeys(map(str, priors))), own, tuple(map(float, mean)),
            tuple(map(float, np.sqrt(np.diag(covariance)))),
            height - prior_height if math.isfinite(prior_height) else math.nan, height_se,
            self.direct[0] - gain, math.hypot(self.direct[1], gain_se),
        )  # fmt: skip


def _log_height(draws: Array, weight: Array, mean: Array, covariance: Array, at: Array) -> tuple[float, float]:
    """Log density of weighted draws at a point by a kernel estimate, and its error from parts of the draws.

    The draws, shape (R, k), are first drawn together so that the estimate keeps their variance (West 1993): a plain
    kernel estimate is too wide, which matters most in the tail where a reference may lie.
    """
    if min((draws < at).sum(axis=0).min(), (draws > at).sum(axis=0).min()) < BEYOND_REFERENCE:
        return math.nan, math.nan
    k = len(at)
    inverse = np.linalg.inv(np.linalg.cholesky(covariance))
    width = (4 / (k + 2)) ** (1 / (k + 4)) * float(weight @ weight) ** (1 / (k + 4))  # Silverman's rule
    narrowed = math.sqrt(1 - width**2) * (draws - mean) @ inverse.T
    gap = ((at - mean) @ inverse.T - narrowed) / width
    share = weight * np.exp(-0.5 * (gap**2).sum(axis=1))
    size = math.log(abs(np.linalg.det(inverse))) - k * (0.5 * math.log(2 * math.pi) + math.log(width))
    parts = np.array([part.sum() for part in np.array_split(share, PARTS)])
    return size + math.log(float(parts.sum())), float(parts.std(ddof=1) / parts.mean() / math.sqrt(PARTS))
