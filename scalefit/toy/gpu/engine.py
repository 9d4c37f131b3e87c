"""Groups of toy models on a GPU: what lies in its memory, and in which order its kernels run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import triton

from scalefit.toy import kernels
from scalefit.toy.config import ToyConfig
from scalefit.toy.engine import DRAWN, Engine, Method, models_at_once, most_points, point_rates
from scalefit.toy.gpu.loss import loss_pass, tally
from scalefit.toy.gpu.network import NetworkScratch, feature_pass, row_pass
from scalefit.toy.gpu.optimiser import SCHEDULE, Net, Shape
from scalefit.toy.gpu.sampling import (
    SHARE,
    SIZES,
    PointLaw,
    Points,
    SampledBatch,
    draw_points,
    lay_out,
    number_rows,
    order_rows,
)
from scalefit.toy.gpu.tiles import TABLE, Tiles, table_digest, tiles_for
from scalefit.toy.model import start

__all__ = ["Group", "advance", "build", "draw", "measure", "method", "open_group", "train"]

SLOTS = DRAWN  # steps whose samples are drawn at a time, and that one replay of the graph takes
CHUNK = 1024  # points, samples or entries that a program of the sampler takes at a time
ORDER_PARTS = 4  # programs that share the rows of one batch; how many there are is known on the device only
RARE = 1e-18  # probability that a sample has more entries than there is room to order


class Group(NamedTuple):
    """Models of one shape on a device.

    Parameters
    ----------
    net : Net
        Parameters and optimiser.
    data, fresh : PointLaw
        Training and evaluation data.
    seen : Tensor of int64, shape (1,)
        Batches of evaluation data drawn so far.
    points, batch, work : Points, SampledBatch, NetworkScratch
        Room for a draw of several batches, and for a step.
    losses, sums : Tensor, shape (M, 1 + SHARE, rows) and (M, 2)
        Room for losses, and their sums.
    shape : Shape
        Sizes.
    tiles : Tiles
        How the work is cut.
    most : int
        Entries that a sample can have, a power of 2.
    unit : bool
        Whether every step ends with rows of unit norm.
    """

    net: Net
    data: PointLaw
    fresh: PointLaw
    seen: torch.Tensor
    points: Points
    batch: SampledBatch
    work: NetworkScratch
    losses: torch.Tensor
    sums: torch.Tensor
    shape: Shape
    tiles: Tiles
    most: int
    unit: bool


def _power_of_2(least: float) -> int:
    return 1 << max(0, math.ceil(math.log2(least)))


def _padded(length: int, tile: int) -> int:
    return -(-length // tile) * tile


def _room(config: ToyConfig) -> int:
    """Entries to make room for: more in a batch have a probability below 1e-30."""
    mean = config.batch * most_points(config)
    return int(mean + 12 * math.sqrt(mean)) + 64


def _law(configs: Sequence[ToyConfig], which: int, device: str) -> PointLaw:
    """Lay the features of every model on a line of whole units, as fine as 64-bit sums of gaps allow."""
    edges = np.stack([np.cumsum(point_rates(config)) * config.batch for config in configs])
    unit = 2.0 ** np.floor(61 - np.log2(edges[:, -1] + 2 * CHUNK))
    keys = [config.streams()[which].generate_state(1, np.uint64)[0] for config in configs]
    return PointLaw(
        keys=torch.tensor(np.array(keys).view(np.int64), device=device),
        edges=torch.tensor(np.rint(edges * unit[:, None]).astype(np.int64), device=device),
        unit=torch.tensor(unit, device=device),
    )


def _most_entries(config: ToyConfig) -> int:
    """Entries that no sample will have more of; entries are fewer than points, which are Poisson."""
    mean = most_points(config)
    most, term = 0, math.exp(-mean)
    while most < mean or term > RARE:
        most += 1
        term *= mean / most
    return min(_power_of_2(most), _power_of_2(config.n_features))


def _net(configs: Sequence[ToyConfig], n: int, m: int, device: str) -> Net:
    """Start the models, padded to n features and m dimensions."""
    first = configs[0]
    starts = [np.stack(arrays) for arrays in zip(*map(start, configs), strict=True)]
    missing = n - first.n_features, m - first.width
    W = torch.tensor(np.pad(starts[0], [(0, 0), (0, missing[0]), (0, missing[1])]), device=device)
    b = torch.tensor(np.pad(starts[1], [(0, 0), (0, missing[0])]), device=device)
    scale = 2 * first.loss_factor / (first.batch * first.n_features)
    tuning = [[*config.rates, config.decay, scale] for config in configs]
    # a graph is recorded, and before that warmed up, over `SLOTS` steps, even of models that take fewer: such steps
    # are put back afterwards, but they read the schedule
    last = max(first.steps, SLOTS)
    steps = np.arange(1, last + 1, dtype=float)
    schedule = np.zeros((last + 1, SCHEDULE))
    schedule[1 : first.steps + 1, 0] = [
        kernels.rate_at(step, first.steps, first.warmup_steps) for step in range(1, first.steps + 1)
    ]
    schedule[1:, 1] = 1 / (1 - kernels.BETA1**steps)
    schedule[1:, 2] = 1 / np.sqrt(1 - kernels.BETA2**steps)
    return Net(
        W=W,
        b=b,
        mean_W=torch.zeros_like(W),
        square_W=torch.zeros_like(W),
        mean_b=torch.zeros_like(b),
        square_b=torch.zeros_like(b),
        tuning=torch.tensor(tuning, dtype=torch.float64, device=device),
        schedule=torch.tensor(schedule, device=device),
        step=torch.zeros(1, dtype=torch.int64, device=device),
    )


def build(configs: Sequence[ToyConfig], device: str, tiles: Tiles | None = None) -> Group:
    """Put models on a device, at their start.

    Parameters
    ----------
    configs : sequence of ToyConfig
        Models of one shape and schedule.
    device : str
        Torch's name of the device.
    tiles : Tiles or None
        How to cut the work; None for what suits the width.

    Returns
    -------
    Group
        The models.
    """
    first, chosen = configs[0], tiles or tiles_for(configs[0].width)
    n, m = _padded(first.n_features, chosen.features), _padded(first.width, chosen.width)
    size, models = first.batch, len(configs)
    rows = _padded(size, chosen.rows) + chosen.rows  # a tile of rows may begin anywhere
    capacity, jobs = _room(first), SLOTS * models
    real = partial(torch.zeros, dtype=getattr(torch, first.dtype), device=device)
    whole = partial(torch.zeros, dtype=torch.int32, device=device)
    points = Points(
        feature=whole((jobs, capacity)), sample=whole((jobs, capacity)), value=real((jobs, capacity)),
        count=whole(jobs), actives=whole((jobs, size)), cursor=whole((jobs, size)), filled=whole((jobs, size)),
        mixed=whole((jobs, capacity)),
    )  # fmt: skip
    batch = SampledBatch(
        feature=whole((jobs, capacity)), row=whole((jobs, capacity)), value=real((jobs, capacity)),
        entry=whole((jobs, capacity)), begin=whole((jobs, size + 1)), multiplier=real((jobs, size, SHARE)),
        sizes=whole((jobs, SIZES)),
    )  # fmt: skip
    work = NetworkScratch(
        h=real((models, rows, m)), t=real((models, rows, m)), target=real((models, capacity, 2)),
        slope=real((models, n, m) if m > chosen.width else 0),
    )  # fmt: skip
    return Group(
        net=_net(configs, n, m, device),
        data=_law(configs, 1, device),
        fresh=_law(configs, 2, device),
        seen=torch.zeros(1, dtype=torch.int64, device=device),
        points=points,
        batch=batch,
        work=work,
        losses=real((models, 1 + SHARE, rows)),
        sums=torch.zeros((models, 2), dtype=torch.float64, device=device),
        shape=Shape(models, n, rows, size, capacity),
        tiles=chosen,
        most=_most_entries(first),
        unit=first.norm == "unit",
    )


def draw(group: Group, law: PointLaw, drawn: torch.Tensor, count: int) -> None:
    """Draw the next batches of every model.

    Parameters
    ----------
    group : Group
        Its ``batch`` is filled.
    law : PointLaw
        Its training or its evaluation data.
    drawn : Tensor of int64, shape (1,)
        Number of the first batch.
    count : int
        Batches, at most `SLOTS`.
    """
    points, batch, shape = group.points, group.batch, group.shape
    jobs = count * shape.models
    points.actives.zero_()
    batch.multiplier.zero_()
    draw_points[shape.models, count](
        law, points, drawn, shape.models, shape.size, law.edges.shape[1], shape.capacity,
        BLOCK=CHUNK, HALVINGS=law.edges.shape[1].bit_length(),
    )  # fmt: skip
    number_rows[jobs,](points, batch, shape.size, BLOCK=CHUNK)
    lay_out[jobs,](points, batch, shape.size, shape.capacity, BLOCK=CHUNK, SHARE=SHARE)
    rows = max(1, 8192 // group.most**2)
    parts = min(ORDER_PARTS, -(-shape.size // rows))
    order_rows[jobs, parts](
        points, batch, shape.size, shape.capacity, parts * rows, ROWS=rows, MOST=group.most
    )  # fmt: skip


def _cut(group: Group) -> dict[str, Any]:
    """Return what every kernel of a step is compiled with."""
    tiles = group.tiles
    return {
        "SHARE": SHARE, "ROWS": tiles.rows, "FEATURES": tiles.features, "WIDTH": tiles.width,
        "BLOCKS": group.net.W.shape[2] // tiles.width, "PRECISION": tiles.precision, "num_warps": tiles.warps,
    }  # fmt: skip


def advance(group: Group, slot: int) -> None:
    """Take one optimiser step on a batch that has been drawn; ``net.step`` is left to the caller.

    Parameters
    ----------
    group : Group
        The models.
    slot : int
        Place of the batch in the draw.
    """
    shape, tiles, cut = group.shape, group.tiles, _cut(group)
    row_pass[shape.rows // tiles.rows - 1, shape.models, 2](group.net, group.batch, group.work, shape, slot, **cut)
    feature_pass[shape.n // tiles.features, shape.models](
        group.net, group.batch, group.work, shape, slot, HALVINGS=shape.capacity.bit_length(), UNIT=group.unit, **cut
    )


def train(group: Group, count: int) -> None:
    """Draw samples and take steps on them.

    Parameters
    ----------
    group : Group
        The models.
    count : int
        Steps, at most `SLOTS`.
    """
    draw(group, group.data, group.net.step, count)
    for slot in range(count):
        advance(group, slot)
    group.net.step.add_(count)


def measure(group: Group, rounds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Measure the loss on the next batches of evaluation data.

    Parameters
    ----------
    group : Group
        The models.
    rounds : int
        Batches.

    Returns
    -------
    loss, loss_se : Tensor of float64, shape (M,)
        Means over the samples, and their standard errors; left on the device.
    """
    shape, tiles = group.shape, group.tiles
    group.sums.zero_()
    for first in range(0, rounds, SLOTS):
        count = min(SLOTS, rounds - first)
        draw(group, group.fresh, group.seen, count)
        group.seen.add_(count)
        for slot in range(count):
            loss_pass[shape.rows // tiles.rows, shape.models, 1 + SHARE](
                group.net, group.batch, group.work, shape, slot, group.losses, **_cut(group)
            )
            tally[shape.models,](
                group.net, group.batch, shape, slot, group.losses, group.sums, SHARE=SHARE, BLOCK=CHUNK
            )
    count = rounds * shape.size
    total, squares = group.sums.unbind(1)
    variance = (squares - total**2 / count).clamp(min=0) / (count - 1)
    return total / count, (variance / count).sqrt()


def open_group(configs: Sequence[ToyConfig], device: str, tiles: Tiles | None = None) -> Engine:
    """Put models on a device and say how they are trained there.

    Parameters
    ----------
    configs : sequence of ToyConfig
        Models of one shape and schedule.
    device : str
        Torch's name of the device; on ``"cpu"`` the kernels must be interpreted.
    tiles : Tiles or None
        How to cut the work; None for what suits the width.

    Returns
    -------
    Engine
        On a GPU, `SLOTS` steps at a time are one replay of a recorded graph.
    """
    group, net = (built := build(configs, device, tiles)), built.net
    names = ("W", "b", "mean_W", "square_W", "mean_b", "square_b", "step")
    state = {name: getattr(net, name) for name in names} | {"seen": group.seen}
    replay = _recorded(group, state) if device == "cuda" else lambda: train(group, SLOTS)

    def run(steps: int) -> None:
        for _ in range(steps // SLOTS):
            replay()
        if steps % SLOTS:
            train(group, steps % SLOTS)

    return Engine(run, lambda rounds: measure(group, rounds), state)


def _recorded(group: Group, state: dict[str, torch.Tensor]) -> Callable[[], None]:
    """Record `SLOTS` steps as a CUDA graph; what the recording itself changes is put back."""
    before = {name: value.clone() for name, value in state.items()}
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # kernels are compiled in their first call, which a graph must not record
        train(group, SLOTS)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        train(group, SLOTS)
    for name, value in state.items():
        value.copy_(before[name])
    return graph.replay


def method(torch_version: str, table: Path = TABLE) -> Method:
    """Describe this way to train.

    Parameters
    ----------
    torch_version : str
        As from :func:`scalefit.toy.batched.require_cuda`.
    table : path
        How to cut the work, as for :func:`scalefit.toy.gpu.tiles.read_tiles`.

    Returns
    -------
    Method
        For :func:`scalefit.toy.groups.train_groups`.
    """
    versions = {"torch": torch_version, "triton": triton.__version__, "tiles": table_digest(table)}

    def open_by_table(configs: Sequence[ToyConfig], device: str) -> Engine:
        return open_group(configs, device, tiles_for(configs[0].width, table))

    return Method(versions, open_by_table, models_at_once, fill=False)
