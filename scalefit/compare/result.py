"""A comparison: plain values, a record for JSON, and words that say what is settled and what is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scalefit.compare.beliefs import Belief
from scalefit.compare.crossval import CrossValidation, LawScore
from scalefit.compare.differences import Agreement, Difference
from scalefit.compare.evidence import Evidence
from scalefit.compare.extrapolate import HeldOut
from scalefit.names import printed_name

__all__ = ["Comparison"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Sources beside a reference and beside each other.

    ``print(comparison)`` shows it; :meth:`record` is the JSON of ``scalefit compare --json``.

    Parameters
    ----------
    parameter : str
        As asked for.
    reference : float or None
        The value tested.
    region : tuple of float, or None
        Around it.
    beliefs : tuple of Belief
        What each source says.
    differences : tuple of Difference
        Every two sources.
    agreement : Agreement or None
        Whether the independent ones can be one number.
    evidence : tuple of Evidence
        Fixed exponent against free, for each posterior.
    laws : tuple of (LawScore, CrossValidation)
        Leave-one-out scores of laws on the same rows, the best first.
    held_out : tuple of HeldOut
        Extrapolation, in the order given.
    split : str
        Which rows were held out; empty without extrapolation.
    notes : tuple of str
        What was not done, and why.
    """

    parameter: str
    reference: float | None
    region: tuple[float, float] | None
    beliefs: tuple[Belief, ...]
    differences: tuple[Difference, ...]
    agreement: Agreement | None
    evidence: tuple[Evidence, ...] = ()
    laws: tuple[tuple[LawScore, CrossValidation], ...] = ()
    held_out: tuple[HeldOut, ...] = ()
    split: str = ""
    notes: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """Return one row per source.

        Returns
        -------
        DataFrame
            ``source, parameter, kind, value, se, lo, hi, level, below, inside, status``; ``below`` the reference and
            ``inside`` the region are probabilities for posteriors only, see :data:`scalefit.compare.beliefs.KINDS`.
        """
        return pd.DataFrame([self._source(one) for one in self.beliefs])

    def _source(self, one: Belief) -> dict[str, Any]:
        return {
            "source": one.label,
            "parameter": one.parameter or self.parameter,
            "kind": one.kind,
            "value": one.value,
            "se": one.se,
            "lo": one.lo,
            "hi": one.hi,
            "level": one.level,
            "below": None if self.reference is None else one.below(self.reference),
            "inside": None if self.region is None else one.inside(self.region),
            "status": one.status,
        }

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON; numbers that are not finite become null.

        A parameter stands by its printed name and, for programs, as ``coefficient`` and ``level``, a list of labels: in
        ``identity`` of each source (an empty coefficient for a published number) and in ``exponents`` of the evidence.
        """
        record = {
            "parameter": self.parameter,
            "reference": self.reference,
            "region": self.region,
            "sources": [
                self._source(one) | {"identity": {"coefficient": one.coefficient, "level": list(one.labels)}}
                for one in self.beliefs
            ],
            "differences": [one._asdict() for one in self.differences],
            "agreement": None if self.agreement is None else self.agreement._asdict(),
            "evidence": [_evidence(one) for one in self.evidence],
            "laws": [
                score._asdict()
                | {"by": cv.by, "units": len(cv.units), "refitted": cv.refitted, "unsure": cv.unsure}
                | {"khat": float(cv.khat.max())}
                for score, cv in self.laws
            ],
            "held_out": {"split": self.split, "scores": [one._asdict() for one in self.held_out]},
            "verdict": self.verdict,
            "notes": self.notes,
        }
        plain: dict[str, Any] = _plain(record)
        return plain

    @property
    def verdict(self) -> tuple[str, ...]:
        """Sentences on what these sources settle, written from the numbers."""
        from scalefit.compare.words import verdict

        return verdict(self)

    def summary(self) -> str:
        """Return the comparison as text: the verdict, then the numbers behind it."""
        from scalefit.compare.words import comparison_text

        return comparison_text(self)

    def __str__(self) -> str:
        return self.summary()


def _evidence(one: Evidence) -> dict[str, Any]:
    fixed = {printed_name(*key): value for key, value in one.fixed.items()}
    exponents = [
        {"coefficient": coefficient, "level": list(level), "value": value}
        for (coefficient, level), value in one.fixed.items()
    ]
    priors = [row._asdict() for row in one.priors]
    return one._asdict() | {"fixed": fixed, "exponents": exponents, "priors": priors}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
