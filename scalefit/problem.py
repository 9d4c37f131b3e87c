"""A law bound to a table: arrays sorted into segments, coded, and checked for parameters that no fit could identify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scalefit.errors import DataError, LawError, closest
from scalefit.law.additive import Coef, Law, Term
from scalefit.law.protocol import AnyLaw
from scalefit.names import Key, Level, printed_level, printed_name, read_name
from scalefit.numbers import as_input, counted, fixed
from scalefit.solver.design import Design, SegmentedLaw, build_design
from scalefit.verdicts import Name

__all__ = [
    "Parameter",
    "Problem",
    "build_problem",
    "canonical_order",
    "cluster_codes",
    "is_certified",
    "label_codes",
    "label_texts",
    "predict_law",
    "rows_at",
]

Array = NDArray[np.float64]

SMALLEST = 1e-100  # of a response
LOOKED = 100  # values at the beginning of a column that are counted first
COLLINEAR, CLOSE = 0.999, 0.95  # |correlation| of two columns' logs: an error above the first, else a remark


@dataclass(frozen=True)
class Parameter:
    """One number to estimate.

    Parameters
    ----------
    coef : Coef
        The name in the law.
    level : tuple of str
        The level of its grouping columns; empty for one value.
    kind : {"floor", "coefficient", "exponent", "positive", "real"}
        Its role; for a law of any form ``positive`` (vectors contain its logarithm) or ``real``.
    """

    coef: Coef
    level: Level
    kind: str

    @property
    def key(self) -> Key:
        """Its identity: its name in the law and the labels of its level."""
        return self.coef.name, self.level

    @property
    def name(self) -> str:
        """As printed, with the level: ``E[OPT,wikitext]``."""
        return printed_name(*self.key)

    @property
    def named(self) -> Name:
        """Its name in a sentence."""
        return Name(self.key)

    @property
    def is_log(self) -> bool:
        """Whether vectors contain the logarithm of this parameter."""
        return self.kind in ("coefficient", "positive")

    @property
    def in_law(self) -> bool:
        """Whether it stands in the law; a posterior has others, such as its scales."""
        return self.kind in ("floor", "coefficient", "exponent", "positive", "real")


@dataclass(frozen=True, eq=False)
class Problem:
    """A law bound to data.

    Parameters
    ----------
    law : Law
        The law.
    parameters : tuple of Parameter, length P
        Floors, then coefficients, then exponents. Vectors contain coefficients as logs.
    design : Design
        Arrays for the solver.
    order : array of int, shape (n,)
        Position in the frame of each row of the design.
    cluster : array of int, shape (n,)
        Cluster of each row of the design; the number of the row for independent rows.
    n_cluster : int
        Number of clusters.
    free_sign : bool
        Exponents may be negative.
    remarks : tuple of str
        Terms that these data hardly distinguish.
    """

    law: Law
    parameters: tuple[Parameter, ...]
    design: Design
    order: NDArray[np.int64]
    cluster: NDArray[np.int64]
    n_cluster: int
    free_sign: bool
    remarks: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.order)

    @property
    def names(self) -> tuple[str, ...]:
        """Printed names of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def weight(self) -> Array:
        """Row weights in the order of the design, shape (n,)."""
        return self.design.rows.weight

    @property
    def lowest(self) -> Array:
        """Lower bounds of vectors, shape (P,)."""
        return np.asarray(self.design.link.box[0])

    @property
    def highest(self) -> Array:
        """Upper bounds of vectors, shape (P,)."""
        return np.asarray(self.design.link.box[1])

    def to_natural(self, theta: Array) -> Array:
        """Return vectors in the units of the law from those of the solver, shape (..., P)."""
        return self.design.to_natural(theta)

    def from_natural(self, natural: Array) -> Array:
        """Return what :meth:`to_natural` undoes, shape (..., P)."""
        return self.design.from_natural(natural)


def build_problem(
    law: Law,
    frame: pd.DataFrame,
    *,
    space: str = "log",
    weights: str | None = None,
    cluster: str | None = None,
    free_sign: bool = False,
) -> Problem:
    """Bind a law to validated rows.

    Parameters
    ----------
    law : Law
        The law.
    frame : DataFrame
        Positive numbers in the numeric columns, labels in the grouping columns; the index is the row number
        that messages name.
    space : {"log", "linear"}
        Residuals of the log response or of the response.
    weights, cluster : str, optional
        Columns of row weights and of clusters.
    free_sign : bool
        Let exponents be negative.

    Returns
    -------
    Problem
        Arrays and names. Rows are sorted by value, so that the order of the table never matters.

    Raises
    ------
    DataError
        When the rows cannot identify the law, naming the column or the level.
    LawError
        When the law has no free parameter.
    """
    response = frame[law.response]
    if not (response.min() > SMALLEST and response.max() < 1 / SMALLEST):
        raise DataError(
            f"column {law.response!r} runs from {as_input(response.min())} to {as_input(response.max())}; the "
            f"squares of such numbers exceed double precision. Rescale it to lie between {as_input(SMALLEST)} and "
            f"{as_input(1 / SMALLEST, 12)}"
        )
    if not law.parameters:
        raise LawError(f"{law} has no free parameter, so there is nothing to fit; use predict instead")
    order = canonical_order(law, frame, cluster)
    data = frame.iloc[order]
    coder = _Coder(law, data)
    segmented = coder.segmented(weights)
    free = len(coder.parameters)
    if len(data) <= free:
        raise DataError(
            f"{counted(len(data), 'row')} cannot determine the {counted(free, 'parameter')} of {law}; "
            f"at least {free + 1} rows are needed, or a law with fewer parameters"
        )
    remarks = _check_columns(law, data)
    _check_levels(law, data, coder)
    codes = cluster_codes(data, cluster)
    return Problem(
        law, coder.parameters, build_design(segmented, log_space=space == "log", free_sign=free_sign),
        order, codes, int(codes.max()) + 1, free_sign, tuple(remarks),
    )  # fmt: skip


def is_certified(law: AnyLaw, response: Array) -> bool:
    """Whether the optimum comes from the certified search: of a sum of powers, also of products of columns.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law, decided.
    response : array, shape (n,)
        Observed values; the search needs positive ones.

    Returns
    -------
    bool
        False where the optimum is the best of many starts.
    """
    return law.has_certified_search and bool((np.asarray(response) > SMALLEST).all())


def predict_law(law: AnyLaw, values: Mapping[Key, ArrayLike] | Mapping[str, ArrayLike], frame: pd.DataFrame) -> Array:
    """Evaluate a law at given parameter values.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law.
    values : mapping of (str, tuple of str), or of str, to array, shape () or (R,)
        Values, or R draws, by coefficient and level, ``("E", ("OPT", "wikitext"))``, or by printed name; coefficients
        and positive parameters as logs, which cannot overflow.
    frame : DataFrame, shape (n, p)
        The law's columns.

    Returns
    -------
    array, shape (n,) or (R, n)
        Predicted response.

    Raises
    ------
    DataError
        When a row has a level for which there is no value.
    """
    known = {read_name(name): np.asarray(value, dtype=float) for name, value in values.items()}
    columns = {name: frame[name].to_numpy(dtype=float) for name in law.variables}
    return law.evaluate(columns, _AtRows(known, frame))


class _AtRows:
    """Gives every row the value of a parameter at its level."""

    def __init__(self, known: Mapping[Key, Array], frame: pd.DataFrame) -> None:
        self.known, self.frame = known, frame
        self.coded: dict[tuple[str, ...], tuple[NDArray[np.int64], list[Level]]] = {}

    def __call__(self, value: Coef) -> Array:
        """Return values of shape (1,), (R, 1), (n,) or (R, n)."""
        known, frame = self.known, self.frame
        if not value.groups:
            return known[value.name, ()][..., None]
        if value.groups not in self.coded:
            self.coded[value.groups] = label_codes(frame, value.groups)
        codes, levels = self.coded[value.groups]
        unseen = [i for i, level in enumerate(levels) if (value.name, level) not in known]
        if unseen:
            row = int(np.isin(codes, unseen).argmax())
            name = printed_name(value.name, levels[codes[row]])
            choices = (printed_name(*key) for key in known if key[0] == value.name)
            raise DataError(
                f"row {frame.index[row]}: the fit has no {name}, and it predicts only levels of its rows; "
                f"{closest(name, choices)}"
            )
        at_rows: Array = np.stack([known[value.name, level] for level in levels], axis=-1)[..., codes]
        return at_rows


def label_texts(frame: pd.DataFrame, column: str) -> NDArray[np.object_]:
    """Return the labels of a column as text: the only function that converts labels to text.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Rows. The reader keeps labels as written in a file; a user's DataFrame may have numbers.
    column : str
        Its column of labels.

    Returns
    -------
    array of object, shape (n,)
        A str for each row.
    """
    values = frame[column]
    if not (pd.api.types.is_object_dtype(values.dtype) or isinstance(values.dtype, pd.StringDtype)):
        values = values.astype(str)
    texts: NDArray[np.object_] = values.to_numpy(dtype=object)
    if set(map(type, texts)) <= {str}:
        return texts
    return np.array([*map(str, texts), None], dtype=object)[:-1]  # the None keeps numpy from choosing a string type


def label_codes(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[NDArray[np.int64], list[Level]]:
    """Give every row the number of its level in some columns.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Rows.
    columns : sequence of str
        Columns of labels; no column makes one level without labels.

    Returns
    -------
    codes : array of int, shape (n,)
        Place of each row's level in ``levels``.
    levels : list of tuple of str
        Those that occur, sorted label by label.

    Raises
    ------
    DataError
        For a label with half of a surrogate pair, which cannot be printed or stored as text.
    """
    codes = np.zeros(len(frame), dtype=np.int64)
    levels: list[Level] = [()]
    for column in columns:
        own, labels = _factorise(label_texts(frame, column))
        for i, label in enumerate(labels):
            if any("\ud800" <= character <= "\udfff" for character in label):
                row = frame.index[int(np.argmax(own == i))]
                raise DataError(
                    f"row {row}: label {label!a} of column {column!r} is not valid text; correct that label"
                )
        used, codes = np.unique(codes * len(labels) + own, return_inverse=True)
        levels = [(*levels[place // len(labels)], labels[place % len(labels)]) for place in used.tolist()]
    return codes.astype(np.int64), levels


def _factorise(texts: NDArray[np.object_]) -> tuple[NDArray[np.int64], list[str]]:
    """Assign numbers to texts in sorted order.

    Uses a dictionary, because hash tables of some releases of pandas compare C strings, which end at a null character.
    """
    labels = sorted(set(texts))
    place = {label: code for code, label in enumerate(labels)}
    return np.fromiter(map(place.__getitem__, texts), dtype=np.int64, count=len(texts)), labels


def rows_at(frame: pd.DataFrame, columns: Sequence[str], level: Level) -> NDArray[np.bool_]:
    """Mark the rows of one level.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Rows.
    columns : sequence of str
        Columns of labels.
    level : tuple of str
        A label for each of the columns.

    Returns
    -------
    array of bool, shape (n,)
        True for the rows whose labels are these.
    """
    mask = np.ones(len(frame), dtype=np.bool_)
    for column, label in zip(columns, level, strict=True):
        mask &= label_texts(frame, column) == label
    return mask


def canonical_order(law: AnyLaw, frame: pd.DataFrame, cluster: str | None) -> NDArray[np.int64]:
    """Sort by groups, then by value: sums and resamples then do not depend on the order of the table."""
    keys: list[Array | NDArray[np.int64]] = [frame[name].to_numpy(float) for name in (law.response, *law.variables)]
    if cluster:  # rows of one segment must stay together, so the cluster sorts inside it
        keys.append(label_codes(frame, (cluster,))[0])
    if law.groups:
        keys.append(label_codes(frame, law.groups)[0])
    return _lexsorted(keys)


def _lexsorted(keys: Sequence[Array | NDArray[np.int64]]) -> NDArray[np.int64]:
    """Sort as :func:`numpy.lexsort` does, by the last key; the others are used only where it has ties.

    For a million rows of different sizes, one key is sorted instead of three.
    """
    order = np.argsort(keys[-1], kind="stable")
    if len(keys) == 1:
        return order
    equal = np.diff(keys[-1][order]) == 0
    tied = np.zeros(len(order), dtype=bool)
    tied[:-1] |= equal
    tied[1:] |= equal
    places = np.flatnonzero(tied)
    rows = np.sort(order[places])  # as in the table, because rows with equal keys keep their order
    order[places] = rows[np.lexsort([key[rows] for key in keys])]
    return order


def cluster_codes(data: pd.DataFrame, cluster: str | None) -> NDArray[np.int64]:
    """Give every row the number of its cluster, shape (n,); its own number where there is no column of clusters."""
    if cluster is None:
        return np.arange(len(data), dtype=np.int64)
    codes, levels = label_codes(data, (cluster,))
    if len(levels) < 2:
        raise DataError(f"cluster column {cluster!r} has one value, {levels[0][0]!r}; at least 2 clusters are needed")
    return codes


class _Coder:
    """Number the parameters and the segments of a law on sorted data."""

    def __init__(self, law: Law, data: pd.DataFrame) -> None:
        self.law, self.data = law, data
        floors = [law.floor] if isinstance(law.floor, Coef) else []
        self.levels = {coef: label_codes(data, coef.groups) for coef in law.parameters}
        self.start: dict[Coef, int] = {}
        parameters: list[Parameter] = []
        for kind, coefs in (
            ("floor", floors),
            ("coefficient", law.coefficients),
            ("exponent", law.exponents),
        ):
            first = len(parameters)
            for coef in coefs:
                self.start[coef] = len(parameters) - first
                parameters += [Parameter(coef, level, kind) for level in self.levels[coef][1]]
        self.parameters = tuple(parameters)

    def segmented(self, weights: str | None) -> SegmentedLaw:
        law, data = self.law, self.data
        segment = label_codes(data, law.groups)[0]
        starts = np.flatnonzero(np.concatenate([[True], segment[1:] != segment[:-1]]))
        kinds = [parameter.kind for parameter in self.parameters]
        sign = np.array([1.0 if term.grows else -1.0 for term in law.terms])
        logs = np.array([np.log(data[term.variable].to_numpy(float)) for term in law.terms])
        return SegmentedLaw(
            response=data[law.response].to_numpy(float).copy(),
            log_x=sign[:, None] * logs,
            weight=np.ones(len(data)) if weights is None else data[weights].to_numpy(float).copy(),
            bounds=np.append(starts, len(data)).astype(np.int64),
            floor=self._codes(law.floor, starts),
            coef=np.stack([self._codes(term.coefficient, starts) for term in law.terms], axis=1),
            expo=np.stack([self._codes(term.exponent, starts) for term in law.terms], axis=1),
            fixed_floor=float(law.floor) if isinstance(law.floor, Fraction) else 0.0,
            fixed_log_coef=np.array([self._fixed(term, "coefficient") for term in law.terms]),
            fixed_expo=np.array([self._fixed(term, "exponent") for term in law.terms]),
            n_floor=kinds.count("floor"),
            n_coef=kinds.count("coefficient"),
            n_expo=kinds.count("exponent"),
        )

    def _codes(self, value: Coef | Fraction | None, starts: NDArray[np.int64]) -> NDArray[np.int64]:
        if not isinstance(value, Coef):
            return np.full(len(starts), -1, dtype=np.int64)
        return self.start[value] + self.levels[value][0][starts]

    @staticmethod
    def _fixed(term: Term, which: str) -> float:
        value = term.coefficient if which == "coefficient" else term.exponent
        if isinstance(value, Coef):
            return 0.0
        return float(np.log(float(value))) if which == "coefficient" else float(value)


def _check_columns(law: Law, data: pd.DataFrame) -> list[str]:
    """Reject columns whose terms these data cannot separate; warn about those that nearly coincide."""
    remarks = []
    logs = {name: np.log(data[name].to_numpy(float)) for name in law.variables}
    for name, values in logs.items():
        if np.ptp(values) < 1e-9:
            raise DataError(
                f"column {name!r} is constant ({as_input(data[name].iloc[0])}), so nothing can be learnt about its "
                "term; use rows in which it varies, or omit the term"
            )
    for a, b in combinations(law.variables, 2):
        r = float(np.corrcoef(logs[a], logs[b])[0, 1])
        if abs(r) > COLLINEAR:
            raise DataError(
                f"columns {a!r} and {b!r} move together (correlation of their logs {fixed(r, 5)}), so their terms "
                "cannot be separated; omit one, or add runs in which they differ"
            )
        if abs(r) > CLOSE:
            remarks.append(
                f"{a} and {b} nearly move together (correlation of their logs {fixed(r, 3)}): "
                "the data hardly separate their terms."
            )
    return remarks


def _check_levels(law: Law, data: pd.DataFrame, coder: _Coder) -> None:
    """Check that every level has enough rows, and enough values of each column whose exponent varies with it."""
    for coef in law.parameters:
        codes, levels = coder.levels[coef]
        for code, level in enumerate(levels):
            rows = data[codes == code] if coef.groups else data
            where = f" in {', '.join(coef.groups)} = {printed_level(level, ', ')}" if coef.groups else ""
            if coef.groups and len(rows) == 1:
                raise DataError(
                    f"row {rows.index[0]} is the only one{where}, so {coef} fits it exactly; "
                    "exclude that level (--where) or use a law with fewer levels"
                )
            for term in law.terms:
                needed = _values_needed(law, term, coef)
                count = _distinct(rows[term.variable], needed)
                if count < needed:
                    raise DataError(
                        f"column {term.variable!r} has {count} different values{where}; {term} needs at least {needed} "
                        "there; add runs or fix the exponent"
                    )


def _distinct(values: pd.Series[Any], enough: int) -> int:
    """Count different values; of a long column only its beginning, if that has enough."""
    some = values.iloc[: min(LOOKED, len(values))].nunique()
    return int(some if some >= enough or len(values) <= LOOKED else values.nunique())


def _values_needed(law: Law, term: Term, coef: Coef) -> int:
    """Return how many values of the term's column are needed to identify the parameters that vary with the levels."""
    owned = [part for part in (term.coefficient, term.exponent) if isinstance(part, Coef)]
    if coef not in owned:
        return 1
    inner = [part for part in owned if set(part.groups) >= set(coef.groups)]
    floor = isinstance(law.floor, Coef) and set(law.floor.groups) >= set(coef.groups)
    return len(inner) + int(floor)
