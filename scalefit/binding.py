"""A law bound to rows in the way that its form allows: the only place that chooses between the two kinds of problem."""

from __future__ import annotations

import pandas as pd

from scalefit.closed_problem import ClosedProblem, build_closed
from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.law.general import general_form
from scalefit.law.protocol import AnyLaw
from scalefit.problem import Problem, build_problem

__all__ = ["AnyProblem", "bind_law"]

AnyProblem = Problem | ClosedProblem


def bind_law(
    law: AnyLaw,
    frame: pd.DataFrame,
    *,
    space: str = "log",
    weights: str | None = None,
    cluster: str | None = None,
    free_sign: bool = False,
) -> AnyProblem:
    """Bind a law of any form to validated rows.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law, decided.
    frame : DataFrame, shape (n, p)
        Its columns; the index is the row number that messages name.
    space : {"log", "linear"}
        Residuals of the log response or of the response.
    weights, cluster : str, optional
        Columns of row weights and of clusters.
    free_sign : bool
        Let the exponents of a sum of powers be negative; a law of another form says this of each parameter.

    Returns
    -------
    Problem or ClosedProblem
        Arrays and names: of a sum of powers those of the certified search.

    Raises
    ------
    DataError
        When the rows cannot identify the law, naming the column or the level.
    """
    if isinstance(law, Law):
        return build_problem(law, frame, space=space, weights=weights, cluster=cluster, free_sign=free_sign)
    if free_sign:
        raise DataError(
            "exponents='free' (--exponents free) is for sums of power terms; in a law of another form, name the "
            "parameters that may be negative behind it: with alpha free"
        )
    return build_closed(general_form(law), frame, space=space, weights=weights, cluster=cluster)
