"""Train models on a GPU group by group: what the engines there have in common."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.files import parse_json, read_kept, write_atomically
from scalefit.toy.config import ToyConfig
from scalefit.toy.engine import Engine, Method, most_points
from scalefit.toy.model import Trained, rounds
from scalefit.version import __version__

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["gpu_method", "kept_groups", "train_groups"]

LOOK: Final = 256  # steps between two reports of progress
KEEP_EVERY: Final = 30.0  # seconds between two checkpoints
SUFFIX: Final = ".running.npz"


class _Done(NamedTuple):
    """What a group has behind it: steps, means of the loss and their standard errors at checkpoints, and seconds."""

    steps: int
    losses: list[list[list[float]]]
    seconds: float


def gpu_method() -> Method:
    """Choose how to train on a CUDA device: by our own kernels where Triton is installed, else by torch's.

    Returns
    -------
    Method
        The two draw different random numbers.

    Raises
    ------
    MissingExtra
        torch is not installed.
    DataError
        torch finds no CUDA device.
    """
    from scalefit.toy import batched

    version = batched.require_cuda()
    if find_spec("triton") is None:
        return batched.method(version)
    from scalefit.toy.gpu import engine

    return engine.method(version)


def train_groups(
    models: Sequence[ToyConfig],
    marks: Sequence[tuple[int, ...]],
    loss_samples: int,
    report: Callable[[str, int, int], None],
    *,
    method: Method,
    device: str,
    keep: str | os.PathLike[str] | None = None,
) -> list[Trained]:
    """Train models group by group.

    Parameters
    ----------
    models : sequence of ToyConfig
        The models.
    marks : sequence of tuple of int
        Steps after which the loss of each is measured.
    loss_samples : int
        Samples behind each measurement; the last takes more.
    report : callable
        Called as ``report(stage, done, total)``.
    method : Method
        How.
    device : str
        Torch's name of the device.
    keep : path, optional
        Folder for checkpoints of groups that are not finished: twice a minute, and when `report` raises. The same call
        goes on from there, to the same numbers as without the interruption; with other versions it starts again.

    Returns
    -------
    list of Trained
        In the order of ``models``.
    """
    groups: dict[Any, list[int]] = {}
    for place, (config, steps) in enumerate(zip(models, marks, strict=True)):
        shape = (config.width, config.n_features, config.batch, config.dtype, config.norm)
        alike = (*shape, config.steps, config.warmup_steps, config.loss_factor, most_points(config), steps)
        groups.setdefault(alike, []).append(place)
    results: dict[int, Trained] = {}
    total, before, paths = sum(config.steps for config in models), 0, []
    for places in groups.values():
        size = method.size(models[places[0]])
        for lo in range(0, len(places), size):
            chunk = places[lo : lo + size]
            configs, steps = [models[place] for place in chunk], marks[chunk[0]]
            path = None if keep is None else _path(Path(keep), configs, steps, loss_samples, method)

            def report_step(step: int, before: int = before, count: int = len(chunk)) -> None:
                report("training", before + step * count, total)

            trained = _train_group(configs, steps, loss_samples, report_step, method, device, path)
            results |= dict(zip(chunk, trained, strict=True))
            before += len(chunk) * models[chunk[0]].steps
            paths.append(path)
    for path in paths:
        if path is not None:
            path.unlink(missing_ok=True)
    return [results[place] for place in range(len(models))]


def _train_group(
    configs: Sequence[ToyConfig],
    marks: tuple[int, ...],
    loss_samples: int,
    report_step: Callable[[int], None],
    method: Method,
    device: str,
    path: Path | None,
) -> list[Trained]:
    """Train one group, from its checkpoint on where it has one."""
    filling = method.size(configs[0]) - len(configs) if method.fill else 0
    engine = method.open([*configs, *[configs[-1]] * filling], device)
    versions = {"scalefit": __version__, **method.versions}
    done = _Done(0, [], 0.0) if path is None else _restore(engine, path, versions)
    began, kept = perf_counter() - done.seconds, perf_counter()
    while done.steps < marks[-1]:
        mark = next(step for step in marks if step > done.steps)
        last = min(mark, done.steps - done.steps % LOOK + LOOK)
        engine.run(last - done.steps)
        losses = done.losses
        if last == mark:
            count = rounds(configs[0], loss_samples, last=mark == marks[-1])
            losses = [*losses, [part.tolist() for part in engine.measure(count)]]
        done = _Done(int(engine.state["step"]), losses, perf_counter() - began)  # waits for the device
        try:
            report_step(done.steps)
        except BaseException:
            _keep(engine, done, path, configs, versions)
            raise
        if perf_counter() - kept > KEEP_EVERY or last == marks[-1]:
            _keep(engine, done, path, configs, versions)
            kept = perf_counter()
    loss, error = np.array(done.losses).transpose(1, 0, 2)
    n, m = configs[0].n_features, configs[0].width
    W, b = (engine.state[name].cpu().numpy() for name in ("W", "b"))
    samples = rounds(configs[0], loss_samples, last=True) * configs[0].batch
    seconds = done.seconds / len(configs)
    return [
        Trained(W[k, :n, :m], b[k].reshape(-1)[:n], loss[:, k], error[:, k], samples, seconds)
        for k in range(len(configs))
    ]


def _path(folder: Path, configs: Sequence[ToyConfig], marks: tuple[int, ...], samples: int, method: Method) -> Path:
    """Name the checkpoint of a group after all that it is made of."""
    parts = [[config.to_dict() for config in configs], marks, samples, sorted(method.versions)]
    return folder / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}{SUFFIX}"


def _keep(
    engine: Engine, done: _Done, path: Path | None, configs: Sequence[ToyConfig], versions: dict[str, str]
) -> None:
    """Write the checkpoint of a group."""
    if path is None:
        return
    arrays: dict[str, Any] = {name: value.cpu().numpy() for name, value in engine.state.items()}
    record = json.dumps({"done": done, "configs": [config.to_dict() for config in configs], "versions": versions})
    content = io.BytesIO()
    np.savez(content, record=np.array(record), **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())


def _restore(engine: Engine, path: Path, versions: dict[str, str]) -> _Done:
    """Put a group where its checkpoint was; one made with other versions is left, as both would be in one result."""
    import torch

    def read(path: Path) -> tuple[_Done, dict[str, Tensor]] | None:
        record, arrays = _read(path, engine.state)
        if record["versions"] != versions:
            return None
        state = {name: torch.from_numpy(arrays[name]) for name in engine.state}
        if any(value.shape != engine.state[name].shape for name, value in state.items()):
            raise ValueError("its arrays are those of other models")
        return _Done(*record["done"]), state

    kept = read_kept(path, read, consequence="its models start again")
    if kept is None:
        return _Done(0, [], 0.0)
    done, state = kept
    for name, value in engine.state.items():
        value.copy_(state[name])
    return done


def _read(path: Path, names: Iterable[str] = ()) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what a checkpoint says of itself, and some of its arrays; the caller is ready for a damaged one."""
    with path.open("rb") as file, np.load(file) as stored:
        record = parse_json(stored["record"].item())
        arrays = {name: stored[name] for name in names}
    return {name: record[name] for name in ("done", "configs", "versions")}, arrays


def kept_groups(folder: str | os.PathLike[str]) -> list[list[ToyConfig]]:
    """Read which groups a folder has checkpoints of.

    Parameters
    ----------
    folder : path
        As given to :func:`train_groups`.

    Returns
    -------
    list of list of ToyConfig
        The models of each, in their order; a file that is no checkpoint counts as none.
    """

    def read(path: Path) -> list[ToyConfig]:
        return [ToyConfig.from_dict(config) for config in _read(path)[0]["configs"]]

    paths = sorted(Path(folder).glob(f"*{SUFFIX}"))
    groups = (read_kept(path, read, consequence="its models start again") for path in paths)
    return [group for group in groups if group is not None]
