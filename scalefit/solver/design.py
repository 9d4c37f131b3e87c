"""The arrays of one fitting problem, in the coordinates in which it is well conditioned.

Term k of row i is ``exp(b + a u)`` with ``u = ±log x - centre``: ``b`` is the log of the term's size at the
centre of the data and hardly correlated with the exponent ``a``. The raw coefficient would be: for Chinchilla
the condition number of the normal equations is 9.8e6 with it and 4.4e3 with ``b``.

The parameter vector is ``theta = [floors, sizes, exponents]``. DesignRows are sorted into *segments* of one level
combination, so that inside a segment the law has no groups; ``Link`` maps each segment's
local parameters ``(floor, b_1, a_1, b_2, a_2, ...)`` linearly to ``theta``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Design", "DesignRows", "Link", "SegmentedLaw", "build_design"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MAX_EXPONENT = 60.0  # a term this steep fits one row of the table; reported as "at a bound"
LEAST_LOG_SIZE = 46.0  # the search lets a term shrink to exp(-46), 1e-20 of the mean response, and no further


class DesignRows(NamedTuple):
    """The numbers of each row, sorted by segment.

    Parameters
    ----------
    data : array, shape (2 + K, n)
        The target (log response, or the response itself in linear space), the row weight, and the signed
        and centred log of each term's variable.
    bounds : array of int, shape (S + 1,)
        Segment s is columns ``bounds[s]`` to ``bounds[s + 1]``.
    """

    data: Array
    bounds: Index

    @property
    def target(self) -> Array:
        """The log response, or the response; shape (n,)."""
        return np.asarray(self.data[0])

    @property
    def weight(self) -> Array:
        """Row weights, shape (n,)."""
        return np.asarray(self.data[1])

    @property
    def u(self) -> Array:
        """Signed, centred logs, shape (K, n)."""
        return self.data[2:]


class Link(NamedTuple):
    """The linear map from ``theta`` to the local parameters of each segment, and the box of ``theta``.

    Parameters
    ----------
    position : array of int, shape (S, 1 + 2 K, 3)
        Positions in ``theta``; -1 where unused.
    factor : array, shape (S, 1 + 2 K, 3)
        Their factors.
    constant : array, shape (S, 1 + 2 K)
        Contributions of the fixed numbers of the law.
    box : array, shape (2, P)
        Lower and upper bounds of ``theta``.
    n_floor : int
        Number of leading entries of ``theta`` that are floors.
    """

    position: Index
    factor: Array
    constant: Array
    box: Array
    n_floor: int


class SegmentedLaw(NamedTuple):
    """A law with names replaced by numbers, for rows that are already sorted into segments.

    Parameters
    ----------
    response : array, shape (n,)
        Observed values, positive.
    log_x : array, shape (K, n)
        ``log x`` where term k grows with x, ``-log x`` where it decays.
    weight : array, shape (n,)
        Row weights.
    bounds : array of int, shape (S + 1,)
        Segment boundaries.
    floor : array of int, shape (S,)
        Floor of each segment, -1 for a fixed one.
    coef, expo : array of int, shape (S, K)
        Coefficient and exponent of each term, -1 for fixed ones.
    fixed_floor : float
        The fixed floor.
    fixed_log_coef, fixed_expo : array, shape (K,)
        Values of the fixed ones.
    n_floor, n_coef, n_expo : int
        Number of parameters of each kind.
    """

    response: Array
    log_x: Array
    weight: Array
    bounds: Index
    floor: Index
    coef: Index
    expo: Index
    fixed_floor: float
    fixed_log_coef: Array
    fixed_expo: Array
    n_floor: int
    n_coef: int
    n_expo: int


class Design(NamedTuple):
    """The input of the solver.

    Parameters
    ----------
    law : SegmentedLaw
        The problem in the user's units.
    rows, link : DesignRows, Link
        The same, centred.
    centre : array, shape (n_coef,)
        Where each coefficient's ``log x`` is centred.
    reference : array of int, shape (n_coef,)
        The exponent with which each coefficient is centred, -1 for a fixed one.
    reference_value : array, shape (n_coef,)
        The value of a fixed reference exponent.
    log_space : bool
        Residuals of the log response, or of the response.
    """

    law: SegmentedLaw
    rows: DesignRows
    link: Link
    centre: Array
    reference: Index
    reference_value: Array
    log_space: bool

    @property
    def n_parameters(self) -> int:
        """Length of ``theta``."""
        return self.law.n_floor + self.law.n_coef + self.law.n_expo

    def to_natural(self, theta: Array) -> Array:
        """Undo the centring.

        Parameters
        ----------
        theta : array, shape (..., P)
            Centred parameters.

        Returns
        -------
        array, shape (..., P)
            Floors, log coefficients, exponents, in the units of the table.
        """
        return self._moved(theta, -1.0)

    def from_natural(self, natural: Array) -> Array:
        """Apply the centring; the inverse of :meth:`to_natural`."""
        return self._moved(natural, 1.0)

    def _moved(self, vector: Array, sign: float) -> Array:
        """Shift coefficients between their centre and x = 1; by index, because a matrix product would spread a NaN."""
        moved = np.array(vector, dtype=float)
        law = self.law
        coef = slice(law.n_floor, law.n_floor + law.n_coef)
        free = self.reference >= 0
        slope = np.broadcast_to(self.reference_value, (*moved.shape[:-1], law.n_coef)).copy()
        slope[..., free] = moved[..., law.n_floor + law.n_coef + self.reference[free]]
        moved[..., coef] += sign * slope * self.centre
        return moved

    def natural_matrix(self) -> Array:
        """Return the derivative of natural parameters with respect to ``theta``, shape (P, P)."""
        matrix = np.eye(self.n_parameters)
        coef = self.law.n_floor + np.arange(self.law.n_coef)
        free = self.reference >= 0
        expo = self.law.n_floor + self.law.n_coef + self.reference
        matrix[coef[free], expo[free]] = -self.centre[free]  # log coefficient = size - a_reference centre
        return matrix


def build_design(
    law: SegmentedLaw, *, log_space: bool = True, free_sign: bool = False, raw: Index | None = None
) -> Design:
    """Centre a problem and build its parameter map.

    Parameters
    ----------
    law : SegmentedLaw
        The problem.
    log_space : bool
        Fit the log of the response.
    free_sign : bool
        Let exponents be negative.
    raw : array of int, optional
        Coefficients that are not centred, so that their log is a coordinate (for profiles).

    Returns
    -------
    Design
        The centred problem.
    """
    n_terms = len(law.log_x)
    centre = _centres(law)
    if raw is not None:
        centre[raw] = 0.0
    reference, reference_value = _references(law)
    u = law.log_x.copy()
    segments = len(law.bounds) - 1
    index = np.full((segments, 1 + 2 * n_terms, 3), -1, dtype=np.int64)
    factor = np.zeros((segments, 1 + 2 * n_terms, 3))
    constant = np.zeros((segments, 1 + 2 * n_terms))
    first_expo = law.n_floor + law.n_coef
    for s in range(segments):
        if law.floor[s] >= 0:
            index[s, 0, 0], factor[s, 0, 0] = law.floor[s], 1.0
        else:
            constant[s, 0] = law.fixed_floor
        for k in range(n_terms):
            j, e = law.coef[s, k], law.expo[s, k]
            b, a = 1 + 2 * k, 2 + 2 * k
            if e >= 0:
                index[s, a, 0], factor[s, a, 0] = first_expo + e, 1.0
            else:
                constant[s, a] = law.fixed_expo[k]
            if j < 0:
                constant[s, b] = law.fixed_log_coef[k]
                continue
            index[s, b, 0], factor[s, b, 0] = law.n_floor + j, 1.0
            u[k, law.bounds[s] : law.bounds[s + 1]] -= centre[j]
            if e == reference[j] and (e >= 0 or law.fixed_expo[k] == reference_value[j]):
                continue
            # One coefficient A under several exponents has one size, that of its reference term: log A = size -
            # a_reference centre. A term with another exponent is A x^a = exp(log A + a (u + centre)), so that its
            # b = size - (a_reference - a) centre, which takes slots 1 and 2 of the map.
            slot = 1
            shifts = ((reference[j], reference_value[j], -centre[j]), (e, law.fixed_expo[k], centre[j]))
            for which, value, shift in shifts:
                if which >= 0:
                    index[s, b, slot], factor[s, b, slot] = first_expo + which, shift
                    slot += 1
                else:
                    constant[s, b] += shift * value
    target = np.log(law.response) if log_space else law.response
    rows = DesignRows(np.vstack([target, law.weight, u]), law.bounds)
    box = _box(law, u, free_sign)
    if raw is not None:
        box[:, law.n_floor + raw] = np.array([[-np.inf], [np.inf]])
    link = Link(index, factor, constant, box, law.n_floor)
    return Design(law, rows, link, centre, reference, reference_value, log_space)


def _centres(law: SegmentedLaw) -> Array:
    """Weighted mean of the signed log x over the rows and terms that use each coefficient."""
    total, mass = np.zeros(law.n_coef), np.zeros(law.n_coef)
    segment = np.repeat(np.arange(len(law.bounds) - 1), np.diff(law.bounds))
    for k in range(len(law.log_x)):
        j = law.coef[segment, k]
        used = j >= 0
        np.add.at(total, j[used], (law.weight * law.log_x[k])[used])
        np.add.at(mass, j[used], law.weight[used])
    return np.divide(total, mass, out=np.zeros_like(total), where=mass > 0)


def _references(law: SegmentedLaw) -> tuple[Index, Array]:
    """Return the exponent of the first term that uses each coefficient, and its value where it is fixed."""
    reference = np.full(law.n_coef, -1, dtype=np.int64)
    value = np.zeros(law.n_coef)
    for s in reversed(range(len(law.bounds) - 1)):  # backwards, so that the first term is the last to be written
        for k in reversed(range(len(law.log_x))):
            if law.coef[s, k] >= 0:
                reference[law.coef[s, k]] = law.expo[s, k]
                value[law.coef[s, k]] = law.fixed_expo[k] if law.expo[s, k] < 0 else 0.0
    return reference, value


def _box(law: SegmentedLaw, u: Array, free_sign: bool) -> Array:
    """Return the bounds of theta; the least size makes even the steepest term vanish in every row."""
    size = np.log(np.average(law.response))
    kinds = np.repeat([0, 1, 2], [law.n_floor, law.n_coef, law.n_expo])
    least = size - LEAST_LOG_SIZE - MAX_EXPONENT * float(np.abs(u).max(initial=0.0))
    lower = np.choose(kinds, [0.0, least, -MAX_EXPONENT if free_sign else 0.0])
    upper = np.choose(kinds, [np.inf, size + 700.0, MAX_EXPONENT])  # 700 is beyond any fit and keeps iterates finite
    return np.vstack([lower, upper])
