"""What differs between a sum of power terms and a law of any form when it is fitted: the search, and its shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalefit.binding import AnyProblem
from scalefit.closed.curvature import closed_curvature
from scalefit.closed.search import search_closed
from scalefit.closed_problem import ClosedProblem
from scalefit.errors import DataError
from scalefit.leastsq.closed_powers import certified_optima
from scalefit.problem import is_certified
from scalefit.progress import Progress
from scalefit.solver.curvature import Curvature, curvature_at
from scalefit.solver.search import Minimum

__all__ = ["closed_optima", "shape_at"]

Array = NDArray[np.float64]


def closed_optima(problem: ClosedProblem, *, delta: float, seed: int, report: Progress) -> tuple[Minimum, ...]:
    """Search for the best optimum: by the certified search where the law is a sum of powers after all.

    Parameters
    ----------
    problem : ClosedProblem
        The problem.
    delta : float
        Where Huber's loss turns linear; inf for least squares.
    seed : int
        Seed of the starts.
    report : callable
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    tuple of Minimum
        Distinct optima, the best first.

    Raises
    ------
    DataError
        When no start is where the law is defined for every row.
    """
    report("searching for the optimum", 0, 0)
    if is_certified(problem.law, problem.design.response):
        return certified_optima(problem, delta=delta, seed=seed)
    try:
        return search_closed(problem.design, delta=delta, seed=seed)
    except ValueError:
        raise DataError(
            f"no parameters were found at which {problem.law.written} has a value in every row"
            + (" and is positive, as residuals of the log need" if problem.design.log_space else "")
            + "; check the signs of its parameters (with NAME free), or leave out rows (--where)"
        ) from None


def shape_at(problem: AnyProblem, theta: Array, delta: float) -> Curvature:
    """Evaluate the local shape of the misfit at a vector, shape (P,), with delta as in :func:`closed_optima`."""
    if isinstance(problem, ClosedProblem):
        return closed_curvature(problem.design, theta, delta)
    return curvature_at(problem.design, theta, delta)
