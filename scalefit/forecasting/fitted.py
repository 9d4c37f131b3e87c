"""Any other law in a forecast: the predictions of its fit, in the shape of the rule's laws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.forecasting.learned import learned
from scalefit.results import Fit, PosteriorFit

__all__ = ["Fitted", "drift_of"]

Array = NDArray[np.float64]

ONE_SD = 0.6826894921370859  # probability within one standard deviation of a normal


class Fitted(NamedTuple):
    """A fitted law without levels.

    Parameters
    ----------
    fit : Fit
        A posterior, or least squares with its resamples.
    columns : tuple of str, length k
        Its columns, in the order of the targets'.
    """

    fit: Fit
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """The law."""
        return str(self.fit.law)

    @property
    def rectified(self) -> bool:
        """No such law is."""
        return False

    @property
    def parameters(self) -> int:
        """How many parameters it has, without the scatter."""
        return len(self.fit.keys)

    @property
    def sigma(self) -> float:
        """Scatter of the log loss of single runs."""
        if isinstance(self.fit, PosteriorFit):
            return self.fit["sigma"].value
        residuals = self.fit.residuals()
        return float(np.sqrt(residuals @ residuals / max(1, len(residuals) - len(self.fit.keys))))

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the log loss at log columns (m, k), each of shape (m,)."""
        frame = pd.DataFrame(np.exp(x), columns=list(self.columns))
        found = self.fit.predict(frame, prob=ONE_SD)
        middle, lo, hi = (np.log(found[name].to_numpy(float)) for name in ("predicted", "lo", "hi"))
        return middle, 0.5 * (hi - lo)


def drift_of(fit: Fit) -> float:
    """Return the drift that a forecast adds for each e-fold of compute beyond the runs, for the runs of a fit.

    Parameters
    ----------
    fit : Fit
        Whose scatter of single runs is taken.

    Returns
    -------
    float
        Standard deviation of the log loss: the learned constant times the scatter.
    """
    return learned().constants.drift * Fitted(fit, ()).sigma
