"""Pooling of grouped parameters, between one value for all and one for each; several data sets as one table."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pandas as pd

from scalefit.data.tables import read_table
from scalefit.errors import DataError, closest
from scalefit.law.additive import Coef, Law
from scalefit.law.general import sum_of_powers
from scalefit.options import Rows

__all__ = ["POOLS", "apply_pool", "stack_datasets"]

POOLS = ("none", "partial", "full")


def apply_pool(law: Law, pool: Mapping[str, str] | None) -> tuple[Law, tuple[Coef, ...]]:
    """Apply the pooling of grouped parameters to a law.

    ``none`` keeps an independent value per level, ``full`` has one value for all, and ``partial`` has values from a
    normal distribution around a common one: a distribution of their logarithms, so that they stay positive, or of the
    values where exponents may have either sign.

    Parameters
    ----------
    law : Law
        With grouped parameters such as ``alpha[family]``.
    pool : mapping, optional
        Name to ``none``, ``partial`` or ``full``.

    Returns
    -------
    Law
        The law, in which fully pooled parameters have no groups.
    tuple of Coef
        Partly pooled parameters.

    Raises
    ------
    DataError
        For an unknown name or kind of pooling.
    """
    pool = dict(pool or {})
    poolable = {coef.name: coef for coef in _poolable(law) if coef.groups}
    for name, how in pool.items():
        if how not in POOLS:
            raise DataError(f"pool of {name} is {how!r}; {closest(str(how), POOLS)}")
        if name not in poolable:
            plain = [coef.name for coef in law.parameters if coef.name not in poolable]
            why = "it has no levels or is a coefficient" if name in plain else "the law has no such parameter"
            raise DataError(
                f"cannot pool {name!r}: {why}. Exponents and floors with levels, such as alpha[family], can be "
                f"pooled; {closest(name, poolable)}"
            )
    full = {name for name, how in pool.items() if how == "full"}

    def pooled(part: Coef | Fraction | None) -> Any:
        return Coef(part.name) if isinstance(part, Coef) and part.name in full else part

    terms = tuple(replace(term, exponent=pooled(term.exponent)) for term in law.terms)
    law = replace(law, floor=pooled(law.floor), terms=terms)
    return law, tuple(poolable[name] for name, how in pool.items() if how == "partial")


def stack_datasets(
    tables: Mapping[str, str | os.PathLike[str] | pd.DataFrame],
    law: str | Law,
    *,
    column: str = "dataset",
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> pd.DataFrame:
    """Combine several data sets into one table, for a joint hierarchical fit.

    With ``loss ~ E[dataset] + A[dataset]/width^alpha[dataset]`` and ``pool={"alpha": "partial"}`` every set has a
    separate floor and coefficient, and the exponents come from a common distribution.

    Parameters
    ----------
    tables : mapping
        Label to data: a shipped set's name, a file or rows.
    law : str or Law
        The law of the joint fit.
    column : str
        Name of the column of labels.
    options : mapping, optional
        Label to fields of :class:`scalefit.options.Rows`, such as ``{"where": ..., "mapping": ...}``.

    Returns
    -------
    DataFrame
        The law's columns and ``column``; a grouping column that a set lacks is ``-`` in its rows.

    Raises
    ------
    DataError
        When there are fewer than two sets, or one cannot be used.
    """
    law = sum_of_powers(law, "stack_datasets")
    if len(tables) < 2:
        raise DataError(f"{len(tables)} data set given; a joint fit needs at least 2")
    options = options or {}
    for name in options:
        if name not in tables:
            raise DataError(f"options are given for {name!r}, which is not a data set here; {closest(name, tables)}")
    parts = []
    for label, data in tables.items():
        frame = read_table(data, typed=False).frame.copy()
        frame[column] = label
        for group in law.groups:
            if group not in frame.columns:
                frame[group] = "-"
        needed = [law.response, *law.variables, *dict.fromkeys([column, *law.groups])]
        parts.append(Rows(**options.get(label, {})).read(frame, law).frame[needed])
    stacked = pd.concat(parts, ignore_index=True)
    stacked.attrs["scalefit"] = {"name": " + ".join(tables)}
    return stacked


def _poolable(law: Law) -> list[Coef]:
    floor = [law.floor] if isinstance(law.floor, Coef) else []
    return [*floor, *law.exponents]
