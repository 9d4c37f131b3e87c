"""A toy model's start, and what is measured on a trained one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.overlap import mean_square_overlap
from scalefit.toy.config import ToyConfig
from scalefit.toy.theory import unrepresented_loss

__all__ = ["DONE", "RowNorms", "ToyRun", "Trained", "measures", "rounds", "start"]

Real = NDArray[Any]

DONE = "done"
LAST = 16  # times as many samples measure the loss of a trained model as those on the way
SMALL_START = 0.1  # standard deviation of a small start of b
REPRESENTED = 0.5  # a row of W above this norm counts as represented


@dataclass(frozen=True)
class RowNorms:
    """Norms of the rows of W.

    Parameters
    ----------
    least, lower, median, upper, most : float
        Quartiles, with the extremes.
    """

    least: float
    lower: float
    median: float
    upper: float
    most: float


@dataclass(frozen=True)
class ToyRun:
    """A trained toy model.

    Losses are squared errors summed over features, means over fresh samples.

    Parameters
    ----------
    config : ToyConfig
        What was trained.
    device : str
        Where: ``"cpu"`` or ``"cuda"``; their random streams differ.
    status : str
        ``"done"``, or ``"failed: ..."`` with the reason.
    checkpoints : tuple of int
        Steps after which the loss was measured; a failed run has only those before it failed.
    loss, loss_se : tuple of float
        Losses at the checkpoints and their standard errors.
    loss_samples : int
        Fresh samples behind the last of them, the loss of the trained model.
    weak_reference : float
        Exact loss with the m most frequent features recovered and no others.
    unrepresented : float or None
        Exact loss of the features that this model leaves out (row norm at most 1/2); None for a failed run, as below.
    phi_half : float or None
        Share of rows with a norm above 1/2.
    overlap_ms : float or None
        Mean square overlap of different rows, scaled to unit norm.
    row_norms : RowNorms or None
        Norms of the rows.
    bias_mean, bias_sd : float or None
        Of the final b.
    seconds : float
        Time that the training took on its thread, or its share of a batch's time.
    versions : dict of str
        scalefit, and the library that did the arithmetic.
    W, b : array, shape (n, m) and (n,), or None
        Final parameters; not part of the record.
    """

    config: ToyConfig
    device: str
    status: str
    checkpoints: tuple[int, ...]
    loss: tuple[float, ...]
    loss_se: tuple[float, ...]
    loss_samples: int
    weak_reference: float
    unrepresented: float | None
    phi_half: float | None
    overlap_ms: float | None
    row_norms: RowNorms | None
    bias_mean: float | None
    bias_sd: float | None
    seconds: float
    versions: dict[str, str]
    W: Real | None = field(default=None, repr=False, compare=False)
    b: Real | None = field(default=None, repr=False, compare=False)

    @property
    def done(self) -> bool:
        """Whether the training ended with a finite loss."""
        return self.status == DONE

    @property
    def final_loss(self) -> float | None:
        """Loss at the last checkpoint; None for a failed run."""
        return self.loss[-1] if self.done else None

    @property
    def final_loss_se(self) -> float | None:
        """Standard error of :attr:`final_loss`."""
        return self.loss_se[-1] if self.done else None

    def to_dict(self) -> dict[str, Any]:
        """Return everything but W and b as values that JSON knows.

        Returns
        -------
        dict
            Accepted by :meth:`from_dict`.
        """
        named = {name: value for name, value in vars(self).items() if name not in {"W", "b"}}
        norms = None if self.row_norms is None else asdict(self.row_norms)
        return named | {"config": self.config.to_dict(), "row_norms": norms}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> ToyRun:
        """Build a run from its record.

        Parameters
        ----------
        record : dict
            As from :meth:`to_dict`, also after a trip through JSON.

        Returns
        -------
        ToyRun
            The run, without W and b.
        """
        norms = record["row_norms"]
        return cls(
            **record
            | {name: tuple(record[name]) for name in ("checkpoints", "loss", "loss_se")}
            | {"config": ToyConfig.from_dict(record["config"]), "row_norms": norms and RowNorms(**norms)}
        )


class Trained(NamedTuple):
    """What an engine hands back for one model.

    Parameters
    ----------
    W, b : array, shape (n, m) and (n,)
        Final parameters.
    loss, loss_se : array, shape (checkpoints,)
        Mean loss and its standard error; not finite where the training failed.
    samples : int
        Samples behind the last loss.
    seconds : float
        Time taken.
    """

    W: Real
    b: Real
    loss: NDArray[np.float64]
    loss_se: NDArray[np.float64]
    samples: int
    seconds: float


def start(config: ToyConfig) -> tuple[Real, Real]:
    """Draw the start of a model: W ~ N(0, 1/m), with rows of unit norm where they are to keep it; b by its rule.

    Parameters
    ----------
    config : ToyConfig
        The model.

    Returns
    -------
    W, b : array, shape (n, m) and (n,)
        In the arithmetic of the model.
    """
    rng = np.random.default_rng(config.streams()[0])
    W = rng.standard_normal((config.n_features, config.width)) / np.sqrt(config.width)
    normal = rng.standard_normal(config.n_features)
    if config.norm != "free":
        W /= np.linalg.norm(W, axis=1, keepdims=True)
    match config.bias_start:
        case "zero":
            b = np.zeros(config.n_features)
        case "small":
            b = SMALL_START * normal
        case "mean":
            b = config.probabilities()
        case "negative" | "positive":
            b = np.abs(normal) * (1 if config.bias_start == "positive" else -1)
        case _:
            b = normal
    return W.astype(config.dtype), b.astype(config.dtype)


def rounds(config: ToyConfig, loss_samples: int, *, last: bool) -> int:
    """Count the batches behind a measurement of the loss.

    Parameters
    ----------
    config : ToyConfig
        The model.
    loss_samples : int
        Samples, at least.
    last : bool
        Whether the model is trained: then :data:`LAST` times as many, since the scatter of seeds can be small.

    Returns
    -------
    int
        Batches of fresh samples.
    """
    return -(-loss_samples * (LAST if last else 1) // config.batch)


def measures(config: ToyConfig, W: Real, b: Real) -> dict[str, Any]:
    """Measure a trained model.

    Parameters
    ----------
    config : ToyConfig
        The model.
    W, b : array, shape (n, m) and (n,)
        Its parameters.

    Returns
    -------
    dict
        The fields of :class:`ToyRun` that describe W and b.
    """
    norms = np.linalg.norm(np.asarray(W, dtype=float), axis=1)
    return {
        "unrepresented": unrepresented_loss(config.probabilities(), norms),
        "phi_half": float(np.mean(norms > REPRESENTED)),
        "overlap_ms": mean_square_overlap(W),
        "row_norms": RowNorms(*(float(q) for q in np.quantile(norms, [0, 0.25, 0.5, 0.75, 1]))),
        "bias_mean": float(np.mean(b, dtype=float)),
        "bias_sd": float(np.std(b, dtype=float)),
    }
