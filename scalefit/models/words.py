"""Sentences on a measured head: the overlap of its directions, and the regime of superposition."""

from __future__ import annotations

from typing import Final

from scalefit.models.heads import HeadMeasurement
from scalefit.numbers import exact, fixed, rounded

__all__ = [
    "STRONG_CV",
    "STRONG_OVERLAP",
    "TOY_STRONG",
    "TOY_WEAK",
    "is_superposed",
    "regime",
    "regime_words",
    "sentence",
]

# Trained toy models by regime: overlap times m, and the coefficient of variation (CV) of the norms. The overlap alone
# does not distinguish the regimes in a real model, where it can be large for other reasons; the norms do.
TOY_STRONG: Final = {"overlap": (1.07, 1.66), "cv": (0.10, 0.18)}
TOY_WEAK: Final = {"overlap": (5.2, 11.6), "cv": (0.94, 1.95)}
NONE, STRONG, WEAK, CROWDED, UNEVEN = "none", "strong", "weak", "strong, crowded", "random, uneven norms"
STRONG_OVERLAP: Final = 3.0  # between 1.66 and 5.2, the nearest toy models: their geometric mean is 2.9
STRONG_CV: Final = 0.4  # between 0.18 and 0.94: their geometric mean is 0.41


def sentence(head: HeadMeasurement) -> str:
    """Describe the measurement of a head.

    Parameters
    ----------
    head : HeadMeasurement
        A measured head.

    Returns
    -------
    str
        Two or three sentences, without the name of the model.
    """
    raw = head.overlap_ms * head.width
    effective = head.overlap_ms_effective * head.effective_width
    left_out = [
        f"{exact(number)} {words}"
        for number, words in (
            (head.zero_rows, "zero rows have no direction"),
            (head.unused_rows, "rows without a token are excluded"),
            (head.identical_rows, "rows repeat another"),
        )
        if number
    ]
    remark = f" {'; '.join(left_out)}." if left_out else ""
    return (
        f"overlap is {rounded(raw, digits=3)} times that of random directions, "
        f"{rounded(effective, digits=3)} times after removing what the softmax cannot see: an effective "
        f"dimension of {rounded(head.participation_ratio, 1.0)} of {head.effective_width}. "
        f"{regime_words(effective, head.norm_cv_effective, crowded=is_superposed(head))}{remark}"
    )


def is_superposed(head: HeadMeasurement) -> bool:
    """Whether a head has more directions than dimensions, without which there is no superposition.

    Parameters
    ----------
    head : HeadMeasurement
        A measured head.

    Returns
    -------
    bool
        Rows that are zero have no direction.
    """
    return head.rows - head.zero_rows > head.effective_width


def regime(effective: float, cv: float, *, crowded: bool = True) -> str:
    """Return the regime of the toy model that a head resembles.

    Parameters
    ----------
    effective, cv : float
        As for :func:`regime_words`.
    crowded : bool
        As for :func:`regime_words`.

    Returns
    -------
    str
        ``none``, ``strong``, ``weak``, or a description where the two measures disagree.
    """
    if not crowded:
        return NONE
    by_overlap, by_norms = effective < STRONG_OVERLAP, cv < STRONG_CV
    if by_norms:
        return STRONG if by_overlap else CROWDED
    return UNEVEN if by_overlap else WEAK


def regime_words(effective: float, cv: float, *, crowded: bool = True) -> str:
    """Compare a head with toy models of strong and weak superposition, by overlap and by norms.

    Parameters
    ----------
    effective : float
        Effective overlap times the dimensions that the effective rows have.
    cv : float
        Coefficient of variation of the norms of the effective rows.
    crowded : bool
        Whether there are more directions than dimensions.

    Returns
    -------
    str
        A sentence with the values of toy models.
    """
    if not crowded:
        return "There is no superposition to judge: the head has no more directions than dimensions."
    spread = f"the norms vary by {rounded(cv, 0.01)} of their mean"
    verdict = {
        STRONG: f"Strong superposition by overlap and by norms: {spread}",
        CROWDED: f"Strong superposition by norms ({spread}), more crowded than the toy model's by overlap",
        UNEVEN: f"Near random by overlap, but the norms are uneven as in weak superposition: {spread}",
        WEAK: f"Weak superposition by overlap and by norms: {spread}",
    }[regime(effective, cv)]
    return (
        f"{verdict} (toy models: strong {_span('overlap', TOY_STRONG)} times random and {_span('cv', TOY_STRONG)}, "
        f"weak {_span('overlap', TOY_WEAK)} and {_span('cv', TOY_WEAK)})."
    )


def _span(name: str, values: dict[str, tuple[float, float]]) -> str:
    low, high = values[name]
    return f"{fixed(low, 2)} to {fixed(high, 2)}" if name == "cv" else f"{exact(low)} to {exact(high)}"
