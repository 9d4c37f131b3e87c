"""A law of any form and a table become arrays: rows in a fixed order, levels coded, bounds laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.closed.design import ClosedDesign
from scalefit.errors import DataError, LawError
from scalefit.law.general import GeneralLaw
from scalefit.law.tree import evaluate
from scalefit.names import printed_level
from scalefit.numbers import as_input, counted, exact
from scalefit.problem import Parameter, canonical_order, cluster_codes, label_codes

__all__ = ["ClosedProblem", "build_closed"]

Array = NDArray[np.float64]

TRIALS: Final = 200  # random parameters at which the law is looked at before it is fitted
LARGEST: Final = 1e100  # of a response


@dataclass(frozen=True, eq=False)
class ClosedProblem:
    """A law of any form bound to data.

    Parameters
    ----------
    law : GeneralLaw
        The law, decided.
    parameters : tuple of Parameter, length P
        In the order of the law, level by level. Vectors hold positive ones as logs.
    design : ClosedDesign
        Arrays for the solver.
    order : array of int, shape (n,)
        Position in the frame of each row of the design.
    cluster : array of int, shape (n,)
        Cluster of each row of the design; its own number for independent rows.
    n_cluster : int
        Number of clusters.
    """

    law: GeneralLaw
    parameters: tuple[Parameter, ...]
    design: ClosedDesign
    order: NDArray[np.int64]
    cluster: NDArray[np.int64]
    n_cluster: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.order)

    @property
    def names(self) -> tuple[str, ...]:
        """Printed names of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Nothing: which columns a law of any form can tell apart is only seen in its fit."""
        return ()

    @property
    def weight(self) -> Array:
        """Row weights in the order of the design, shape (n,)."""
        return self.design.weight

    @property
    def lowest(self) -> Array:
        """Lower bounds of vectors, shape (P,)."""
        return np.asarray(self.design.box[0])

    @property
    def highest(self) -> Array:
        """Upper bounds of vectors, shape (P,)."""
        return np.asarray(self.design.box[1])

    def to_natural(self, theta: Array) -> Array:
        """Return the vectors themselves: those of the solver are in the units of the law."""
        return theta

    def from_natural(self, natural: Array) -> Array:
        """Return the vectors themselves, as :meth:`to_natural`."""
        return natural


def build_closed(
    law: GeneralLaw,
    frame: pd.DataFrame,
    *,
    space: str = "log",
    weights: str | None = None,
    cluster: str | None = None,
) -> ClosedProblem:
    """Bind a law of any form to validated rows.

    Parameters
    ----------
    law : GeneralLaw
        The law, decided.
    frame : DataFrame
        Finite numbers in the numeric columns, labels in the grouping columns; the index is the row number that messages
        name.
    space : {"log", "linear"}
        Residuals of the log response or of the response.
    weights, cluster : str, optional
        Columns of row weights and of clusters.

    Returns
    -------
    ClosedProblem
        Arrays and names. Rows are sorted by value, so that the order of the table never matters.

    Raises
    ------
    DataError
        When the law is not defined at a row, or the rows are too few, naming the row or the level.
    LawError
        When the law has no free parameter.
    """
    response = frame[law.response].to_numpy(float)
    if not np.abs(response).max() < LARGEST:
        raise DataError(
            f"column {law.response!r} holds {as_input(response[np.abs(response).argmax()])}; the squares of such "
            f"numbers leave double precision. Rescale it to lie below {as_input(LARGEST, 12)}"
        )
    if not law.parameters:
        raise LawError(f"{law} has no free parameter, so there is nothing to fit; use predict instead")
    _check_defined(law, frame)
    order = canonical_order(law, frame, cluster)
    data = frame.iloc[order]
    parameters: list[Parameter] = []
    codes: dict[str, NDArray[np.int64]] = {}
    n_levels: dict[str, int] = {}
    for coef in law.parameters:
        own, levels = label_codes(data, coef.groups)
        for code, level in enumerate(levels):
            rows = np.flatnonzero(own == code)
            if coef.groups and len(rows) == 1:
                raise DataError(
                    f"row {data.index[rows[0]]} is the only one in {', '.join(coef.groups)} = "
                    f"{printed_level(level, ', ')}, so {coef} just absorbs it; leave that level out (--where) or give "
                    "the law fewer levels"
                )
        if coef.groups:
            codes[coef.name], n_levels[coef.name] = own, len(levels)
        parameters += [Parameter(coef, level, law.kind_of(coef)) for level in levels]
    if len(data) <= len(parameters):
        raise DataError(
            f"{counted(len(data), 'row')} cannot determine the {counted(len(parameters), 'parameter')} of "
            f"{law.written}; at least {len(parameters) + 1} rows are needed, or a law with fewer parameters"
        )
    bounds = np.array([law.bounds(parameter.coef.name) for parameter in parameters])
    clusters = cluster_codes(data, cluster)
    design = ClosedDesign(
        expression=law.body,
        parameters=tuple(coef.name for coef in law.parameters),
        columns={name: data[name].to_numpy(float).copy() for name in law.variables},
        response=data[law.response].to_numpy(float).copy(),
        weight=np.ones(len(data)) if weights is None else data[weights].to_numpy(float).copy(),
        log_space=space == "log",
        lower=bounds[:, 0],
        upper=bounds[:, 1],
        is_log=np.array([parameter.is_log for parameter in parameters]),
        codes=codes,
        n_levels=n_levels,
    )
    return ClosedProblem(law, tuple(parameters), design, order, clusters, int(clusters.max()) + 1)


def _check_defined(law: GeneralLaw, frame: pd.DataFrame) -> None:
    """Refuse rows at which the law has no finite value whatever its parameters are."""
    rng = np.random.default_rng(0)
    columns = {name: frame[name].to_numpy(float) for name in law.variables}
    open_rows = np.arange(len(frame))
    for trial in range(TRIALS):
        scale = 10.0 ** (2.0 if trial % 2 else rng.uniform(-15, 15))
        values = {coef.name: np.array([_trial(*law.bounds(coef.name), scale, rng)]) for coef in law.parameters}
        some = {name: column[open_rows] for name, column in columns.items()}
        fitted = np.broadcast_to(evaluate(law.body, some, values), open_rows.shape)
        open_rows = open_rows[~np.isfinite(fitted)]
        if len(open_rows) == 0:
            return
    row = frame.iloc[open_rows[0]]
    shown = ", ".join(f"{name} = {as_input(row[name])}" for name in law.variables)
    raise DataError(
        f"row {frame.index[open_rows[0]]} ({shown}): the law {law.written} has no finite value there, whatever its "
        f"parameters are ({exact(len(open_rows))} of {exact(len(frame))} rows). Leave such rows out (--where), or "
        "write the law so that it is defined there"
    )


def _trial(lower: float, upper: float, scale: float, rng: np.random.Generator) -> float:
    """Draw a value between two bounds."""
    if np.isfinite(lower) and np.isfinite(upper):
        return float(rng.uniform(lower, upper))
    size = scale ** rng.uniform(-1, 1)
    if np.isfinite(lower):
        return float(lower + size)
    return float(upper - size) if np.isfinite(upper) else float(rng.choice([-1.0, 1.0]) * size)
