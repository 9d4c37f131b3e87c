"""Train toy models: the one function behind every sweep."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event
from time import perf_counter
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from scalefit.blas import one_thread
from scalefit.errors import DataError, closest
from scalefit.progress import Progress
from scalefit.toy import kernels
from scalefit.toy.buffers import new_batch, new_work
from scalefit.toy.config import ToyConfig
from scalefit.toy.evaluation import Evaluation
from scalefit.toy.measures import measures
from scalefit.toy.model import DONE, LAST, MEASURES, SAMPLES, ToyRun, Trained, start
from scalefit.toy.sampler import mean_gaps
from scalefit.toy.theory import weak_loss
from scalefit.version import __version__

__all__ = ["DEVICES", "go_on", "train_toy"]

Real = NDArray[Any]

DEVICES = ("cpu", "cuda")
LOOK = 0.1  # seconds between two reports of progress, and about as many between two looks at an interrupt


def train_toy(
    configs: Iterable[ToyConfig],
    *,
    device: str = "cpu",
    checkpoints: int | Sequence[int] = 10,
    loss_samples: int = SAMPLES,
    workers: int | None = None,
    progress: Progress | None = None,
    keep: str | os.PathLike[str] | None = None,
) -> tuple[ToyRun, ...]:
    """Train toy models side by side; each gives the same result whatever others are trained with it.

    Parameters
    ----------
    configs : iterable of ToyConfig
        The models, of any widths and settings.
    device : {"cpu", "cuda"}
        Compiled code, one model to a thread; or many models of one width at a time, by our own kernels where Triton is
        installed and by torch's where it is not. The three draw different random numbers.
    checkpoints : int or sequence of int
        How many evenly spaced measurements of the loss, or after which steps; the last step is always measured.
    loss_samples : int
        Fresh samples behind each measurement, rounded up to whole batches; 16 times as many behind the last. On a CPU
        the loss is exact as far as at most one feature is active, and the samples are for the rest
        (:mod:`scalefit.toy.evaluation`); on a GPU it is their mean.
    workers : int or None
        Threads on the CPU; None for one per core.
    progress : callable or None
        Called as ``progress(stage, done, total)``.
    keep : path, optional
        With CUDA, a folder for checkpoints of what is not finished: the same call goes on from there, to the same
        numbers as without the interruption.

    Returns
    -------
    tuple of ToyRun
        In the order of ``configs``. A model whose loss is not finite is ``"failed: ..."``, not an error.

    Raises
    ------
    DataError
        An unknown device, a checkpoint beyond the last step, no CUDA device when it is asked for, or ``keep`` without
        it.
    MissingExtra
        CUDA without torch.
    """
    models = tuple(configs)
    if device not in DEVICES:
        raise DataError(f"device {device!r} is not known: {closest(device, DEVICES)}")
    if loss_samples < 2:
        raise DataError(f"loss_samples = {loss_samples}: at least 2 are needed for a standard error.")
    if workers is not None and workers < 1:
        raise DataError(f"workers = {workers}: at least 1 is needed.")
    if keep is not None and device != "cuda":
        raise DataError(f"keep = {str(keep)!r} with device {device!r}: only training on a GPU is kept; leave it out.")
    marks = [_marks(config, checkpoints) for config in models]
    report = progress or (lambda _stage, _done, _total: None)
    if device == "cuda":
        from scalefit.toy import groups

        method = groups.gpu_method()
        version = method.versions
        results = groups.train_groups(models, marks, loss_samples, report, method=method, device="cuda", keep=keep)
    else:
        version = _cpu_versions()
        results = _train_on_threads(models, marks, loss_samples, report, workers)
    versions = {"scalefit": __version__, **version}
    together = zip(models, marks, results, strict=True)
    return tuple(_run(config, device, steps, trained, versions) for config, steps, trained in together)


def go_on(
    runs: Sequence[ToyRun], *, loss_samples: int = SAMPLES, progress: Progress | None = None
) -> tuple[ToyRun, ...]:
    """Train models again from where they are, as long as before, with a new schedule and on other samples.

    Parameters
    ----------
    runs : sequence of ToyRun
        With W and b, from which each goes on; the optimiser's moments begin at 0.
    loss_samples : int
        As in :func:`train_toy`.
    progress : callable or None
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    tuple of ToyRun
        In the same order, trained on the CPU.
    """
    models, report = tuple(run.config for run in runs), progress or (lambda _stage, _done, _total: None)
    marks = [(config.steps,) for config in models]
    begin = [(np.array(run.W), np.array(run.b)) for run in runs]
    results = _train_on_threads(models, marks, loss_samples, report, None, begin)
    together = zip(models, marks, results, strict=True)
    return tuple(_run(config, "cpu", steps, trained, _cpu_versions()) for config, steps, trained in together)


def _cpu_versions() -> dict[str, str]:
    return {"scalefit": __version__, "numba": numba.__version__, "numpy": np.__version__}


def _marks(config: ToyConfig, checkpoints: int | Sequence[int]) -> tuple[int, ...]:
    """Choose the steps after which the loss of a model is measured."""
    if isinstance(checkpoints, int):
        if checkpoints < 1:
            raise DataError(f"checkpoints = {checkpoints}: at least one is needed.")
        asked = np.ceil(np.linspace(0, config.steps, checkpoints + 1)[1:]).astype(int).tolist()
    else:
        asked = [int(step) for step in checkpoints]
        for step in asked:
            if not 1 <= step <= config.steps:
                raise DataError(f"checkpoint {step}: it must lie between 1 and the last step, {config.steps}.")
    return tuple(sorted({*asked, config.steps}))


def _run(config: ToyConfig, device: str, marks: tuple[int, ...], trained: Trained, versions: dict[str, str]) -> ToyRun:
    """Describe one trained model."""
    finite = np.isfinite(trained.loss) & np.isfinite(trained.loss_se)
    good = len(marks) if finite.all() else int(np.argmin(finite))
    status, measured = DONE, measures(config, trained.W, trained.b) if good == len(marks) else None
    if measured is None:
        status = f"failed: the loss at step {marks[good]} is not finite; lower the learning rate or the decay"
        measured = dict.fromkeys(MEASURES)
    return ToyRun(
        config=config,
        device=device,
        status=status,
        checkpoints=marks[:good],
        loss=tuple(trained.loss[:good].tolist()),
        loss_se=tuple(trained.loss_se[:good].tolist()),
        loss_samples=trained.samples,
        weak_reference=weak_loss(config.probabilities(), config.width),
        seconds=trained.seconds,
        versions=versions,
        W=trained.W,
        b=trained.b,
        **measured,
    )


def _train_on_threads(
    models: Sequence[ToyConfig],
    marks: Sequence[tuple[int, ...]],
    loss_samples: int,
    report: Progress,
    workers: int | None,
    begin: Sequence[tuple[Real, Real]] | None = None,
) -> list[Trained]:
    """Train each model on a thread of its own, as many at a time as there are workers."""
    done, stop = np.zeros(len(models), np.int64), Event()
    total = sum(config.steps for config in models)
    # the longest first, so that no thread is left alone with a long one at the end
    order = sorted(range(len(models)), key=lambda k: -models[k].steps * models[k].width * models[k].n_features)
    with one_thread(), ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        futures = {}
        for k in order:
            at = None if begin is None else begin[k]
            futures[k] = pool.submit(_train_one, models[k], marks[k], loss_samples, done[k : k + 1], stop, at)
        try:
            waiting = set(futures.values())
            while waiting:
                finished, waiting = wait(waiting, timeout=LOOK)
                for future in finished:
                    future.result()
                report("training", int(done.sum()), total)
        finally:
            stop.set()  # after Ctrl-C or an error; the threads look at it a few times a second
    return [futures[k].result() for k in range(len(models))]


def _train_one(
    config: ToyConfig,
    marks: tuple[int, ...],
    loss_samples: int,
    done: NDArray[np.int64],
    stop: Event,
    begin: tuple[Real, Real] | None = None,
) -> Trained:
    """Train one model in slices, and measure its loss at the checkpoints; from its start, or again from ``begin``."""
    began = perf_counter()
    p, rates = config.probabilities(), config.rates
    gaps = mean_gaps(p)
    W, b = begin or start(config)
    streams = config.streams() if begin is None else [stream.spawn(1)[0] for stream in config.streams()]
    _, data, fresh = (np.random.default_rng(stream) for stream in streams)
    moments = tuple(np.zeros(size, config.dtype) for size in (W.size, W.size, b.size, b.size))
    batch = new_batch(config.batch, p, config.dtype)
    evaluation = Evaluation(p, config.dtype, loss_samples)
    work = new_work(config.n_features, config.width, config.dtype)
    tuning = (*rates, config.decay, 2 * config.loss_factor / (config.batch * config.n_features))
    slice_steps = _steps_between_looks(config)
    losses, step = [], 0
    for mark in marks:
        while step < mark and not stop.is_set():
            last = min(step + slice_steps, mark)
            span = (step, last, config.steps, config.warmup_steps)
            kernels.train(W, b, moments, data, gaps, batch, work, span, tuning, config.norm == "unit")
            done[0] = step = last
        if stop.is_set():
            break
        samples = loss_samples * (LAST if mark == marks[-1] else 1)
        losses.append(evaluation.measure(W, b, fresh, work, samples, stop))
    loss, error = np.array(losses, dtype=float).reshape(-1, 2).T
    return Trained(W, b, loss, error, evaluation.rounded(loss_samples * LAST), perf_counter() - began)


def _steps_between_looks(config: ToyConfig) -> int:
    """Estimate generously how many steps a thread takes in `LOOK` seconds."""
    products = 6e-11 * config.n_features * config.width * min(config.n_features, config.batch)
    return max(1, int(LOOK / (1e-5 + 1e-9 * config.n_features * config.batch + products)))
