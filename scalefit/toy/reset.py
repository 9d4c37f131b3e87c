"""The reset test: whether outputs that cannot fire are a trap of the training or the best use of few dimensions.

The negative half of the published start, b ~ N(0, 1), leaves outputs that get no gradient any more. With the biases of
dead outputs set to 0 and more steps, a loss that was held up by them falls; one at its optimum does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scalefit.progress import Progress
from scalefit.thresholds import TRAPPED
from scalefit.toy.config import ToyConfig
from scalefit.toy.measures import alive_outputs
from scalefit.toy.model import ToyRun
from scalefit.toy.train import go_on, train_toy

__all__ = ["ResetTest", "reset_test"]


@dataclass(frozen=True)
class ResetTest:
    """A model before and after its dead outputs were reset.

    Parameters
    ----------
    width, seed, steps : int
        Which model, and how many steps it was trained before and again after.
    dead : float
        Share of outputs that could not fire.
    dead_after : float
        The same at the end.
    before, after : float
        Losses.
    error : float
        Standard error of the relative change, from evaluation.
    """

    width: int
    seed: int
    steps: int
    dead: float
    dead_after: float
    before: float
    after: float
    error: float

    @property
    def change(self) -> float:
        """Relative change of the loss."""
        return self.after / self.before - 1

    @property
    def trapped(self) -> bool:
        """Whether the loss fell by more than 5%, and by more than twice its error."""
        return -self.change > max(TRAPPED, 2 * self.error)


def reset_test(configs: Sequence[ToyConfig], *, progress: Progress | None = None) -> tuple[ResetTest, ...]:
    """Train models, set the biases of dead outputs to 0, and train as long again on other samples.

    Parameters
    ----------
    configs : sequence of ToyConfig
        The models; a training gives the same result as it did in a sweep on the same machine.
    progress : callable, optional
        ``progress(stage, done, total)``.

    Returns
    -------
    tuple of ResetTest
        Of the models that have dead outputs and did not fail.
    """
    first = train_toy(configs, checkpoints=1, progress=progress)
    begin = [(run, alive) for run in first if run.done and not (alive := alive_outputs(*_parameters(run))).all()]
    reset = [replace(run, b=np.where(alive, _parameters(run)[1], 0).astype(run.config.dtype)) for run, alive in begin]
    again = go_on(reset, progress=progress)
    return tuple(_compare(run, other, alive) for (run, alive), other in zip(begin, again, strict=True) if other.done)


def _parameters(run: ToyRun) -> tuple[np.ndarray, np.ndarray]:
    assert run.W is not None
    assert run.b is not None
    return run.W, run.b


def _compare(run: ToyRun, other: ToyRun, alive: np.ndarray) -> ResetTest:
    before, after = run.loss[-1], other.loss[-1]
    error = after / before * float(np.hypot(run.loss_se[-1] / before, other.loss_se[-1] / after))
    dead_after = float(np.mean(~alive_outputs(*_parameters(other))))
    config = run.config
    return ResetTest(config.width, config.seed, config.steps, float(np.mean(~alive)), dead_after, before, after, error)
