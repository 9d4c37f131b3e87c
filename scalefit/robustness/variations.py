"""The choices that an analyst makes: what can be varied, the values worth trying, and the rows that follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.binding import AnyProblem
from scalefit.closed_problem import ClosedProblem
from scalefit.data.columns import parse_mapping
from scalefit.data.quantities import as_numbers, holds_truth
from scalefit.errors import DataError, closest
from scalefit.law.additive import Coef
from scalefit.law.protocol import AnyLaw
from scalefit.names import Key, read_name
from scalefit.numbers import as_input
from scalefit.options import Bayes, LeastSquares, Rows, describe
from scalefit.posterior.closed import central_sizes
from scalefit.posterior.priors import parse_prior

__all__ = [
    "DIMENSIONS",
    "LOSSES",
    "Choice",
    "as_options",
    "default_vary",
    "dimensions",
    "expand",
    "read_vary",
    "show_value",
    "split_values",
]

DIMENSIONS = (
    "drop_highest_loss", "ties", "where", "mapping", "derive", "weights", "likelihood", "cluster", "prior", "exponents",
)  # fmt: skip
"""The choices that a sensitivity analysis can vary."""
LOSSES = {"squared": "least squares", "huber": "Huber's loss"}  # fitted by minimising, with a bootstrap
CUTS = (0.0, 0.02, 0.15)  # shares of the rows with the highest losses to leave out
ALIKE = 0.2  # cuts that differ by less than this part are one
TRIMMED, LEAST_LEFT = (
    0.1,
    0.6,
)  # share of the rows to leave out at each end of a variable, and the least that must remain
WIDEST, SHARED = 3, 2  # largest values left out in turn, and rows that a value needs on average to be a size of runs
CLUSTERS = (10, 0.5)  # fewest values of a column of clusters, and most as a share of the rows
PRIORS = {
    "exponent": ("HalfNormal(0.5)", "HalfNormal(2)", "Uniform(0, 3)"),
    "free exponent": ("Normal(0, 0.5)", "Normal(0, 2)"),
    "coefficient": ("HalfNormal(0.5)", "HalfNormal(2)"),
}


class Choice(NamedTuple):
    """One set of choices.

    Parameters
    ----------
    changed : tuple of (str, str)
        What differs from the base, as dimension and value; empty for the base.
    options : dict
        All choices, as plain JSON, by dimension.
    """

    changed: tuple[tuple[str, str], ...]
    options: dict[str, Any]

    @property
    def label(self) -> str:
        """``likelihood=normal, ties=keep``, or ``base``."""
        return ", ".join(f"{dimension}={value}" for dimension, value in self.changed) or "base"


def read_vary(vary: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Check what is to be varied.

    Parameters
    ----------
    vary : mapping
        Dimension to values; text is read as on the command line, values parted by ``;`` or, where there is none, by
        commas outside brackets. ``none`` is no cluster, no condition, no weights, no mapping.

    Returns
    -------
    dict of str to list
        Plain JSON values.

    Raises
    ------
    DataError
        For an unknown dimension or an impossible value.
    """
    known = {}
    for dimension, values in vary.items():
        if dimension not in DIMENSIONS:
            raise DataError(f"cannot vary {dimension!r}; {closest(dimension, DIMENSIONS)}")
        several = split_values(values) if isinstance(values, str) else list(values)
        if not several:
            raise DataError(f"there is no value of {dimension} to try; give at least one")
        known[dimension] = [_value(dimension, value) for value in several]
    return known


def dimensions(rows: Rows, how: Bayes) -> dict[str, Any]:
    """Return the value of every dimension in a base, as plain JSON; the prior is the base's own, None."""
    return {
        "drop_highest_loss": rows.drop_highest_loss, "ties": rows.ties, "where": rows.where,
        "mapping": dict(rows.mapping or {}), "derive": list(rows.derive), "weights": rows.weights,
        "likelihood": how.likelihood, "cluster": rows.cluster, "prior": None, "exponents": how.exponents,
    }  # fmt: skip


def as_options(values: Mapping[str, Any], rows: Rows, how: Bayes, param: str) -> tuple[Rows, Bayes | LeastSquares]:
    """Return the options of one set of choices.

    Parameters
    ----------
    values : mapping
        Every dimension and its value, as in :attr:`Choice.options`.
    rows : Rows
        Those of the base.
    how : Bayes
        Those of the base; a minimised loss takes over its level and seed, and has a replicate for each draw.
    param : str
        Printed name of the parameter whose prior is varied.

    Returns
    -------
    tuple of Rows, and Bayes or LeastSquares
        For the engine that the likelihood asks for.
    """
    chosen = replace(rows, **{name: values[name] for name in describe(Rows) if name in values})
    if values["likelihood"] in LOSSES:
        return chosen, LeastSquares(
            loss=values["likelihood"], exponents=values["exponents"], bootstrap=how.draws, level=how.level,
            seed=how.seed,
        )  # fmt: skip
    own = {} if values["prior"] is None else {param: values["prior"]}
    return chosen, replace(
        how, likelihood=values["likelihood"], exponents=values["exponents"], priors={**(how.priors or {}), **own}
    )


def split_values(text: str) -> list[str]:
    """Split at ``;``, or without any at the commas outside brackets and quotes."""
    if ";" in text:
        return [part.strip() for part in text.split(";") if part.strip()]
    parts, depth, quote = [""], 0, ""
    for character in text:
        quote = "" if character == quote else quote or (character if character in "'\"" else "")
        depth += 0 if quote else (character in "([") - (character in ")]")
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _value(dimension: str, value: Any) -> Any:
    """Bring one value into the form in which it is an option."""
    if value is None or value == "none":
        if dimension not in ("where", "mapping", "derive", "weights", "cluster"):
            raise DataError(f"{dimension} cannot be none; give a value")
        return {"mapping": {}, "derive": []}.get(dimension)
    if dimension == "drop_highest_loss":
        try:
            return int(value)
        except (TypeError, ValueError):
            raise DataError(f"drop_highest_loss={value!r} is not possible; give whole numbers such as 0,5,40") from None
    if dimension == "mapping":
        return parse_mapping(value) if isinstance(value, str) else dict(value)
    if dimension == "derive":
        return [value] if isinstance(value, str) else list(value)
    if dimension == "prior":
        return str(parse_prior(value))
    valid = {
        "likelihood": (*describe(Bayes)["likelihood"].choices, *LOSSES),
        "ties": describe(Rows)["ties"].choices,
        "exponents": describe(Bayes)["exponents"].choices,
    }
    if dimension in valid and value not in valid[dimension]:
        raise DataError(f"{dimension} cannot be {value!r}; {closest(str(value), valid[dimension])}")
    return str(value)


def expand(base: dict[str, Any], vary: Mapping[str, Sequence[Any]], design: str) -> tuple[Choice, ...]:
    """List the sets of choices to try, the base first, each once.

    Parameters
    ----------
    base : dict
        The base's options by dimension.
    vary : mapping
        From :func:`read_vary`.
    design : {"one", "grid"}
        One choice changed at a time, or every combination.

    Returns
    -------
    tuple of Choice
        Combinations that ask the same question are listed once: ties matter only in a cut, priors not to a loss.
    """
    if design == "one":
        changes: Iterable[dict[str, Any]] = ({name: value} for name, values in vary.items() for value in values)
    else:
        axes = [[base[name], *values] for name, values in vary.items()]
        changes = (dict(zip(vary, values, strict=True)) for values in product(*axes))
    choices: dict[str, Choice] = {}
    for change in ({}, *changes):
        options = _relevant(base | change, base)
        changed = tuple((name, show_value(options[name])) for name in DIMENSIONS if options[name] != base[name])
        choices.setdefault(str(sorted(options.items())), Choice(changed, options))
    return tuple(choices.values())


def _relevant(options: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """Put choices that cannot matter back to those of the base."""
    idle = ([] if options["drop_highest_loss"] else ["ties"]) + (["prior"] if options["likelihood"] in LOSSES else [])
    return options | {name: base[name] for name in idle}


def show_value(value: Any) -> str:
    """Write a value as on the command line."""
    if isinstance(value, dict):
        return ",".join(f"{name}={column}" for name, column in value.items()) or "none"
    if isinstance(value, list):
        return ",".join(value) or "none"
    return "none" if value is None else str(value)


def default_vary(
    table: pd.DataFrame,
    law: AnyLaw,
    problem: AnyProblem,
    base: dict[str, Any],
    param: str | Key,
    *,
    cut: int,
    pooled: bool,
) -> dict[str, list[Any]]:
    """Choose what to vary from what the data and the law allow.

    Parameters
    ----------
    table : DataFrame, shape (n, p)
        The base's rows, with all their columns.
    law : Law or GeneralLaw
        The law.
    problem : Problem or ClosedProblem
        The base's.
    base : dict
        Its options.
    param : str or (str, tuple of str)
        The parameter in question.
    cut : int
        Rows that the base left out for their loss.
    pooled : bool
        Whether something is partly pooled, which a minimised loss cannot be.

    Returns
    -------
    dict of str to list
        Both likelihoods and both losses; no cut, and cuts of 2% and 15% of the highest losses; the other rule for
        ties, where the base cuts; without the tenth of the rows at each end of every variable, and without each of the
        three largest values of the parameter's variable in turn, where rows share values; independent rows, and text
        columns of 10 values or more that repeat at least twice on average, as clusters; other columns of the same
        quantity (``params_non_embedding`` for ``params``); wider and narrower priors of the parameter. A cut must leave
        two rows per parameter.
    """
    total, taken = len(table) + cut, base["drop_highest_loss"]
    cuts = [round(share * total) for share in CUTS]
    fewest = 2 * len(problem.parameters)
    vary: dict[str, list[Any]] = {
        "likelihood": [*describe(Bayes)["likelihood"].choices, *([] if pooled else LOSSES)],
        "drop_highest_loss": [
            count for count in dict.fromkeys(cuts) if abs(count - taken) > ALIKE * taken and total - count > fewest
        ],
        "ties": ["drop" if base["ties"] == "keep" else "keep"] if taken else [],
        "where": _ranges(table, law, base["where"], read_name(param)[0], fewest),
        "cluster": [None, *_cluster_columns(table, law)],
        "mapping": _conventions(table, law, base["mapping"]),
        "prior": _priors(problem, param),
    }
    return {dimension: values for dimension, values in vary.items() if values}


def _ranges(table: pd.DataFrame, law: AnyLaw, base: str | None, coefficient: str, fewest: int) -> list[str]:
    """Conditions that leave out the ends of the variables, each with that of the base; one for the same rows."""
    conditions: dict[bytes, str] = {}  # by the rows that are left
    for variable in law.variables:
        name = variable if variable.isascii() else f"`{variable}`"
        column = table[variable].to_numpy(float)
        values = np.sort(column)
        n, sizes = len(values), np.unique(values)
        if len(sizes) < 4:  # as many as a floor and a power need, when one is left out
            continue
        ends = (values[int(TRIMMED * n)], values[-1 - int(TRIMMED * n)])
        low, high = max(ends[0], sizes[1]), min(ends[1], sizes[-2])
        for sign, end, left in ((">=", low, column >= low), ("<=", high, column <= high)):
            if left.sum() > max(fewest, LEAST_LEFT * n):
                conditions.setdefault(left.tobytes(), f"{name} {sign} {_short(end, column, left, sign)}")
        terms = [term for term in law.terms if term.variable == variable]
        asked = any(isinstance(x, Coef) and x.name == coefficient for t in terms for x in (t.coefficient, t.exponent))
        if asked and n >= SHARED * len(sizes):
            for size in sizes[: -WIDEST - 1 : -1]:
                conditions.setdefault((column != size).tobytes(), f"{name} != {as_input(size)}")
    return [f"({base}) and {condition}" if base else condition for condition in conditions.values()]


def _short(end: float, values: NDArray[np.float64], left: NDArray[np.bool_], sign: str) -> str:
    """Write a bound with as few digits as leave the same rows."""
    for digits in range(2, 17):
        text = as_input(end, digits)
        if np.array_equal(values >= float(text) if sign == ">=" else values <= float(text), left):
            return text
    return as_input(end)


def _cluster_columns(table: pd.DataFrame, law: AnyLaw) -> list[str]:
    few, most = CLUSTERS[0], CLUSTERS[1] * len(table)
    texts = [str(name) for name in table.columns if _is_text(table[name]) and name not in law.groups]
    return [name for name in texts if few <= table[name].nunique() <= most and table[name].notna().all()]


def _is_text(column: pd.Series[Any]) -> bool:
    """Tell labels from numbers, and from true and false."""
    return as_numbers(column) is None and not holds_truth(column)


def _conventions(table: pd.DataFrame, law: AnyLaw, mapping: Mapping[str, str]) -> list[dict[str, str]]:
    """Other columns that count the same thing."""
    conventions = []
    for variable in law.variables:
        for column in map(str, table.columns):
            alike = column.startswith(f"{variable}_") and "per" not in column.split("_")
            if alike and as_numbers(table[column]) is not None and variable not in mapping:
                conventions.append({**mapping, variable: column})
    return conventions


def _priors(problem: AnyProblem, param: str | Key) -> list[str]:
    """Other priors that are worth trying for the parameter in question."""
    coefficient, _ = read_name(param)
    if isinstance(problem, ClosedProblem):
        if coefficient in {exponent.name for exponent in problem.law.exponents}:
            is_free = problem.law.bounds(coefficient)[0] < 0
            return list(PRIORS["free exponent" if is_free else "exponent"])
        return list(PRIORS["coefficient"]) if central_sizes(problem.design).get(coefficient) else []
    kind = next((parameter.kind for parameter in problem.parameters if parameter.coef.name == coefficient), "")
    lowest = float(problem.design.law.response.min())
    if kind == "floor":  # the first leans to no floor, the second to the lowest loss
        return [
            f"TruncatedNormal({as_input(mu, 6)}, {as_input(lowest / 2, 6)}, 0, {as_input(lowest, 6)})"
            for mu in (0.0, lowest)
        ]
    return list(PRIORS.get(f"free {kind}" if problem.free_sign else kind, ()))
