"""A toy model's start, and the record of a trained one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.toy.config import ToyConfig
from scalefit.toy.measures import Band, OverlapMoments, RowNorms

__all__ = ["DONE", "LAST", "LAST_SAMPLES", "MEASURES", "SAMPLES", "ToyRun", "Trained", "rounds", "start"]

Real = NDArray[Any]

DONE = "done"
SAMPLES = 65_536  # measure the loss on the way
LAST = 16  # times as many measure that of a trained model
LAST_SAMPLES = LAST * SAMPLES
SMALL_START = 0.1  # standard deviation of a small start of b
MEASURES = (
    "unrepresented", "phi_half", "alive", "represented", "dead_loss", "overlap_ms", "overlaps", "row_norms", "bands",
    "bias_mean", "bias_sd",
)  # fmt: skip
"""Fields of a run that :func:`scalefit.toy.measures.measures` finds."""


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
        Samples behind the last of them, the loss of the trained model.
    weak_reference : float
        Exact loss with the m most frequent features recovered and no others.
    unrepresented : float or None
        Exact loss of the features that this model leaves out (row norm at most 1/2); None for a failed run, as below.
    phi_half : float or None
        Share of rows with a norm above 1/2.
    alive : float or None
        Share of outputs that can fire: ``b_i + 2 |w_i|^2 > 0``.
    represented : float or None
        Share of features that are represented by an output that can fire: both of the above.
    dead_loss : float or None
        Loss of the outputs that cannot fire, ``4/3 sum p_i``.
    overlap_ms : float or None
        Mean square overlap of different rows, scaled to unit norm.
    overlaps : OverlapMoments or None
        The same for rows of outputs that can fire, with skewness, kurtosis and bounds.
    row_norms : RowNorms or None
        Norms of the rows.
    bands : tuple of Band or None
        By frequency.
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
    alive: float | None
    represented: float | None
    dead_loss: float | None
    overlap_ms: float | None
    overlaps: OverlapMoments | None
    row_norms: RowNorms | None
    bands: tuple[Band, ...] | None
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
        return named | {
            "config": self.config.to_dict(),
            "row_norms": None if self.row_norms is None else asdict(self.row_norms),
            "overlaps": None if self.overlaps is None else self.overlaps._asdict(),
            "bands": None if self.bands is None else [band._asdict() for band in self.bands],
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> ToyRun:
        """Build a run from its record.

        Parameters
        ----------
        record : dict
            As from :meth:`to_dict`, also after a trip through JSON, or of an older version that measured less.

        Returns
        -------
        ToyRun
            The run, without W and b.
        """
        norms, overlaps, bands = (record.get(name) for name in ("row_norms", "overlaps", "bands"))
        if norms is not None:
            norms = RowNorms(**norms | {"counts": tuple(norms.get("counts", ()))})
        return cls(
            **dict.fromkeys(MEASURES)
            | record
            | {name: tuple(record[name]) for name in ("checkpoints", "loss", "loss_se")}
            | {
                "config": ToyConfig.from_dict(record["config"]),
                "row_norms": norms,
                "overlaps": overlaps and OverlapMoments(**overlaps),
                "bands": None if bands is None else tuple(Band(**band) for band in bands),
            }
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
