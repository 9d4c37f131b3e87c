"""The parts of a result: what was minimised, on which rows, with what errors, and what limits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalefit.data.tables import Dropped, Table
from scalefit.files import plain_json
from scalefit.names import Key
from scalefit.numbers import exact
from scalefit.thresholds import MOST_FAILED
from scalefit.verdicts import Name, Part, Runs, runs_of

__all__ = [
    "CONVERGED",
    "NOT_CONVERGED",
    "NOT_IDENTIFIED",
    "Finding",
    "LocalOptimum",
    "Objective",
    "Posterior",
    "Source",
    "Uncertainty",
]

Array = NDArray[np.float64]

CONVERGED, NOT_IDENTIFIED, NOT_CONVERGED = "converged", "not identified", "not converged"
"""The three statuses of a fit, best first."""


@dataclass(frozen=True)
class Objective:
    """What was minimised, or the likelihood of a posterior.

    Parameters
    ----------
    loss : {"squared", "huber", "student_t", "normal"}
        Loss of a residual, ``r^2`` or Huber's with ``r^2/2`` inside; or its distribution.
    delta : float or None
        Where the Huber loss turns linear; None for squares.
    space : {"log", "linear"}
        Residuals of the log response or of the response.
    weights : str or None
        Column of row weights.
    exponents : {"nonnegative", "free"}
        Whether exponents may be negative.
    """

    loss: str
    delta: float | None
    space: str
    weights: str | None = None
    exponents: str = "nonnegative"

    def __str__(self) -> str:
        names = {
            "squared": "sum of squares",
            "huber": f"Huber, delta {exact(self.delta or 0)},",
            "student_t": "log likelihood at the posterior mean, Student-t residuals",
            "normal": "log likelihood at the posterior mean, normal residuals",
        }
        name = names[self.loss]
        of = "log response" if self.space == "log" else "response"
        return f"{name} of the {of}" + (f", weighted by {self.weights}" if self.weights else "")


@dataclass(frozen=True)
class Source:
    """The origin of the rows, and which were dropped.

    Parameters
    ----------
    name, sha256 : str
        The table and its hash.
    rows_read : int
        Rows in the table.
    dropped : tuple of Dropped
        Rules that dropped rows, with counts and reasons.
    remarks : tuple of str
        What was guessed or noticed while reading.
    """

    name: str
    sha256: str
    rows_read: int
    dropped: tuple[Dropped, ...] = ()
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: Table) -> Source:
        """Return the origin of a table."""
        return cls(table.name, table.sha256, table.rows_read, table.dropped, table.remarks)


@dataclass(frozen=True)
class Finding:
    """One thing to know before using the numbers.

    Parameters
    ----------
    code : str
        A stable word, such as ``floor_at_zero``.
    severity : {"not converged", "not identified", "warning", "note"}
        The first two decide the status.
    message : str
        What is wrong and what to do next.
    about : tuple of (str, tuple of str)
        The parameters that it concerns, by coefficient and level; empty when it concerns the whole fit.
    rows : tuple of int
        Row numbers of the table that it is about; empty when it is about all of them.
    names : tuple of (int, int)
        Where a parameter is named in the message, and its place in ``about``, so that a page can set it as a symbol.
    numbers : mapping
        What was compared, as plain JSON.
    threshold : float or None
        With what it was compared; None where no limit decides.

    Examples
    --------
    >>> steep = Finding.of("steep_exponent", "warning", Name(("alpha", ())), " is steep.", threshold=4.0, value=5.0)
    >>> steep.message, steep.about, steep.runs
    ('alpha is steep.', (('alpha', ()),), (Name(key=('alpha', ())), ' is steep.'))
    >>> steep.numbers, steep.threshold
    ({'value': 5.0}, 4.0)
    """

    code: str
    severity: str
    message: str
    about: tuple[Key, ...] = ()
    rows: tuple[int, ...] = ()
    names: tuple[tuple[int, int], ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None

    @classmethod
    def of(
        cls,
        code: str,
        severity: str,
        *parts: Part,
        also: Iterable[Key] = (),
        rows: tuple[int, ...] = (),
        threshold: float | None = None,
        **numbers: Any,
    ) -> Finding:
        """Make a finding about the parameters that its sentence names, and about others, from the numbers behind it."""
        runs = runs_of(*parts)
        about = tuple(dict.fromkeys([*(run.key for run in runs if isinstance(run, Name)), *also]))
        starts = [0, *accumulate(len(str(run)) for run in runs)]
        names = [
            (start, about.index(run.key)) for start, run in zip(starts, runs, strict=False) if isinstance(run, Name)
        ]
        message = "".join(map(str, runs))
        return cls(code, severity, message, about, rows, tuple(names), plain_json(numbers), threshold)

    @property
    def runs(self) -> Runs:
        """The message as runs of text and names."""
        parts: list[Part] = []
        end = 0
        for start, place in self.names:
            name = Name(self.about[place])
            parts += [self.message[end:start], name]
            end = start + len(str(name))
        return runs_of(*parts, self.message[end:])


@dataclass(frozen=True)
class LocalOptimum:
    """One row of the table of local optima.

    Parameters
    ----------
    objective : float
        Objective there.
    estimate : tuple of float
        Parameters, coefficients as logs.
    hits : int
        How many starts ended there.
    converged : bool
        Whether the stopping rule was met.
    """

    objective: float
    estimate: tuple[float, ...]
    hits: int
    converged: bool


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """The standard error and interval of each parameter, and their method.

    Parameters
    ----------
    method : str
        Such as ``pairs bootstrap``, ``HC3``; printed with every interval.
    level : float
        Probability of the intervals.
    se, lo, hi : array, shape (P,)
        Standard errors and interval ends; coefficients as logs. NaN where the intervals are withheld.
    covariance : array, shape (P, P)
        Covariance; coefficients as logs.
    draws : array, shape (R, P), optional
        Bootstrap replicates, or draws of the posterior where the fit has one; coefficients as logs.
    gauss_newton : array, shape (P,)
        Standard errors for independent rows of equal scatter, to compare with; zeros in a posterior.
    requested, failed : int
        Replicates requested, and those without an answer (excluded). A refit that ends on a bound has an answer.
    failures : tuple of (str, int)
        Why replicates have no answer, and how many each.
    """

    method: str
    level: float
    se: Array
    lo: Array
    hi: Array
    covariance: Array
    gauss_newton: Array
    draws: Array | None = None
    requested: int = 0
    failed: int = 0
    failures: tuple[tuple[str, int], ...] = ()

    @property
    def withheld(self) -> bool:
        """Whether there are no intervals, because too many replicates have no answer."""
        return self.failed > MOST_FAILED * self.requested


@dataclass(frozen=True, eq=False)
class Posterior:
    """The fields that only a Bayesian fit has. Its draws are in the uncertainty, equally weighted.

    Parameters
    ----------
    path : {"fast", "full"}
        Importance sampling or NUTS.
    verdict : str
        A sentence on how well the draws represent the posterior.
    priors : tuple of ((str, tuple of str), str)
        Parameter, by coefficient and level, and prior; a coefficient without a level means all of its levels. The
        prior of a coefficient of the law is on the size of its term at the centre of the data.
    pool : tuple of (str, str)
        Coefficient and how its levels are pooled.
    ess_bulk, ess_tail, r_hat : array, shape (P,)
        Effective draws for the mean and for the interval, and R-hat (NaN on the fast path).
    khat : float or None
        Pareto shape of the importance weights.
    log_evidence, log_evidence_se : float or None
        Log of the integral of likelihood times prior, of log responses, and its Monte Carlo error.
    divergences : int or None
        Of NUTS.
    netcdf : bytes or None
        ArviZ InferenceData of the full path.
    """

    path: str
    verdict: str
    priors: tuple[tuple[Key, str], ...]
    pool: tuple[tuple[str, str], ...]
    ess_bulk: Array
    ess_tail: Array
    r_hat: Array
    khat: float | None = None
    log_evidence: float | None = None
    log_evidence_se: float | None = None
    divergences: int | None = None
    netcdf: bytes | None = None
