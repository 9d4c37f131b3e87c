"""Train many toy models of one width in every product, with torch: the engine for a GPU.

A step is a fixed sequence of operations on tensors of fixed shape, so that CUDA can record it once as a graph and
replay it; nothing in it waits for the host. A batch is a Poisson process on the line of all samples and features,
with rate ``-log(1 - p_i)`` on feature i: a feature is active where at least one point falls, which has probability
p_i exactly. Its random numbers are a hash of the model's key and a counter, so that they do not depend on the other
models, and models are always advanced in groups of one size, so that the products are the same ones as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scalefit.errors import DataError, MissingExtra
from scalefit.toy.config import ToyConfig
from scalefit.toy.engine import Engine, Method, most_points, point_rates
from scalefit.toy.kernels import BETA1, BETA2, EPS, FINAL_RATE
from scalefit.toy.model import start

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Model", "Stream", "advance", "build", "draw_dense", "group_size", "method", "open_group", "require_cuda"]

MOST_MODELS = 32  # in one group
MEMORY = 16 << 30  # bytes that the batch x n tables of a group may take


class Stream(NamedTuple):
    """A stream of batches for each model of a group.

    Parameters
    ----------
    keys : Tensor of int64, shape (M, 1)
        Keys of the models.
    edges : Tensor of float64, shape (M, n)
        Cumulative rates of the features.
    drawn : Tensor of int64, shape ()
        Batches drawn so far.
    points : Tensor of int64, shape (C,)
        0 ... C - 1; C points are more than a batch ever has.
    x : Tensor, shape (M, B + 1, n)
        The batch; the last sample takes what is not used.
    """

    keys: Tensor
    edges: Tensor
    drawn: Tensor
    points: Tensor
    x: Tensor


class Model(NamedTuple):
    """The models of a group and their optimiser.

    Parameters
    ----------
    W, b : Tensor, shape (M, n, m) and (M, 1, n)
        Parameters.
    moments : tuple of Tensor
        Adam's means and mean squares, of W and of b.
    gamma : Tensor, shape (M, 1, 1)
        Decay.
    rates : tuple of Tensor, shape (M, 1, 1)
        Peak learning rates of W and of b.
    step : Tensor of float64, shape ()
        Steps taken.
    steps, warmup : int
        Steps in all, and of warm-up.
    factor : float
        Of the loss.
    unit : bool
        Whether every step ends with rows of unit norm.
    """

    W: Tensor
    b: Tensor
    moments: tuple[Tensor, Tensor, Tensor, Tensor]
    gamma: Tensor
    rates: tuple[Tensor, Tensor]
    step: Tensor
    steps: int
    warmup: int
    factor: float
    unit: bool


def require_cuda() -> str:
    """Make sure that torch and a CUDA device are there.

    Returns
    -------
    str
        Version of torch.

    Raises
    ------
    MissingExtra
        torch is not installed.
    DataError
        torch finds no CUDA device.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtra("Training toy models on a GPU", "toy") from None
    if not torch.cuda.is_available():
        raise DataError(
            f"device 'cuda' was asked for, but torch {torch.__version__} finds no CUDA device here; use device 'cpu'."
        )
    return str(torch.__version__)


def _mixed(z: Tensor) -> Tensor:
    """Hash 64-bit integers (the finaliser of SplitMix64; Steele, Lea and Flood 2014, OOPSLA)."""
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        z = (z ^ ((z >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return z ^ ((z >> 31) & ((1 << 33) - 1))


def _uniform(keys: Tensor, counter: Tensor) -> Tensor:
    """Numbers in (0, 1), one for each key and place of the counter."""
    bits = _mixed(keys + counter * -0x61C8864680B583EB)  # the golden ratio in 64 bits, as in SplitMix64
    return (((bits >> 11) & ((1 << 53) - 1)).double() + 0.5) * 2.0**-53


def draw_dense(stream: Stream) -> Tensor:
    """Draw the next batch of every model.

    Parameters
    ----------
    stream : Stream
        Advanced by one batch.

    Returns
    -------
    Tensor, shape (M, B, n)
        Samples, valid until the next call.
    """
    import torch

    models, rows, n = stream.x.shape
    total, points = stream.edges[:, -1:], len(stream.points)
    counter = stream.drawn * (2 * points) + stream.points
    time = torch.cumsum(-torch.log(_uniform(stream.keys, counter)), dim=1)
    sample = torch.floor(time / total)
    within = torch.minimum((time - sample * total).clamp_(min=0), total * (1 - 1e-15))
    place = sample.clamp_(max=rows - 1).long() * n + torch.searchsorted(stream.edges, within, right=True)
    again = torch.zeros_like(place, dtype=torch.bool)
    again[:, 1:] = place[:, 1:] == place[:, :-1]  # a second point on a feature that is active already
    spare = (rows - 1) * n
    place = torch.where(again, spare, place)
    value = (2 * _uniform(stream.keys, counter + points)).to(stream.x.dtype)
    stream.x.zero_()
    stream.x.view(models, rows * n).scatter_(1, place, value)
    stream.drawn.add_(1)
    return stream.x[:, : rows - 1]


def _outputs(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states and outputs."""
    import torch

    h = torch.bmm(x, model.W)
    return h, torch.baddbmm(model.b, h, model.W.transpose(1, 2)).relu_()


def advance(model: Model, x: Tensor) -> None:
    """Take one optimiser step on a batch, in place.

    Parameters
    ----------
    model : Model
        The models of a group.
    x : Tensor, shape (M, B, n)
        Their samples.
    """
    import torch

    model.step.add_(1)
    h, y = _outputs(model, x)
    g = torch.where(y > 0, y - x, 0).mul_(2 * model.factor / (x.shape[1] * x.shape[2]))
    by_W = torch.bmm(x.transpose(1, 2), torch.bmm(g, model.W)).baddbmm_(g.transpose(1, 2), h)
    by_b = g.sum(dim=1, keepdim=True)
    share = _rate(model)
    shrink = 1 - share * model.rates[0] * model.gamma
    norms = torch.linalg.vector_norm(model.W, dim=2, keepdim=True)
    grow = 1 + share * model.rates[0] * model.gamma * (1 - 1 / (norms + EPS))
    model.W.mul_(torch.where(model.gamma >= 0, shrink, grow).to(model.W.dtype))
    correction, root = 1 - BETA1**model.step, torch.sqrt(1 - BETA2**model.step)
    mean_W, square_W, mean_b, square_b = model.moments
    for weights, slope, mean, square, rate in (
        (model.W, by_W, mean_W, square_W, model.rates[0]),
        (model.b, by_b, mean_b, square_b, model.rates[1]),
    ):
        mean.mul_(BETA1).add_(slope, alpha=1 - BETA1)
        square.mul_(BETA2).addcmul_(slope, slope, value=1 - BETA2)
        below = (square.sqrt() / root.to(weights.dtype)).add_(EPS)
        weights.sub_((share * rate / correction).to(weights.dtype) * mean / below)
    if model.unit:
        norms = torch.linalg.vector_norm(model.W, dim=2, keepdim=True)
        model.W.div_(torch.where(norms > 0, norms, 1))


def _rate(model: Model) -> Tensor:
    """Share of the peak rate, as on the CPU."""
    import torch

    angle = math.pi * (model.step - model.warmup) / (model.steps - model.warmup)
    cosine = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + torch.cos(angle))
    return torch.where(model.step < model.warmup, model.step / max(model.warmup, 1), cosine)


def build(configs: Sequence[ToyConfig], device: str) -> tuple[Model, Stream, Stream]:
    """Put the models of a group on a device, at their start.

    Parameters
    ----------
    configs : sequence of ToyConfig
        Models of one shape and schedule.
    device : str
        Torch's name of the device.

    Returns
    -------
    Model, Stream, Stream
        The models, and their training and evaluation data.
    """
    import torch

    first = configs[0]
    kind = getattr(torch, first.dtype)
    W, b = (torch.tensor(np.stack(arrays), device=device) for arrays in zip(*map(start, configs), strict=True))
    b = b[:, None, :]
    per_model = {name: [getattr(config, name) for config in configs] for name in ("decay", "rates")}
    column = {name: torch.tensor(values, device=device, dtype=torch.float64) for name, values in per_model.items()}
    rates = column["rates"][:, :, None, None]
    model = Model(
        W=W,
        b=b,
        moments=(torch.zeros_like(W), torch.zeros_like(W), torch.zeros_like(b), torch.zeros_like(b)),
        gamma=column["decay"][:, None, None],
        rates=(rates[:, 0], rates[:, 1]),
        step=torch.zeros((), dtype=torch.float64, device=device),
        steps=first.steps,
        warmup=first.warmup_steps,
        factor=first.loss_factor,
        unit=first.norm == "unit",
    )
    edges = np.cumsum([point_rates(config) for config in configs], axis=1)
    mean = first.batch * most_points(first)
    points = torch.arange(int(mean + 12 * math.sqrt(mean)) + 64, device=device)
    x = torch.zeros((len(configs), first.batch + 1, first.n_features), dtype=kind, device=device)
    streams = []
    for which in (1, 2):
        keys = [config.streams()[which].generate_state(1, np.uint64).view(np.int64) for config in configs]
        streams.append(
            Stream(
                keys=torch.tensor(np.stack(keys), device=device),
                edges=torch.tensor(edges, device=device),
                drawn=torch.zeros((), dtype=torch.int64, device=device),
                points=points,
                x=x,
            )
        )
    return model, streams[0], streams[1]


def group_size(config: ToyConfig) -> int:
    """Count the models to a group: a matter of their shape only, so that a model's products never change.

    Parameters
    ----------
    config : ToyConfig
        One of the models.

    Returns
    -------
    int
        At least 1.
    """
    bytes_each = 5 * config.batch * config.n_features * np.dtype(config.dtype).itemsize
    return max(1, min(MOST_MODELS, MEMORY // bytes_each))


def open_group(configs: Sequence[ToyConfig], device: str) -> Engine:
    """Put models on a device and say how they are trained there.

    Parameters
    ----------
    configs : sequence of ToyConfig
        Models of one shape and schedule.
    device : str
        Torch's name of the device; ``"cpu"`` takes the same path without a graph.

    Returns
    -------
    Engine
        For :func:`scalefit.toy.groups.train_groups`.
    """
    model, data, fresh = build(configs, device)
    step_once = _recorded(model, data) if device == "cuda" else lambda: advance(model, draw_dense(data))
    names = ("mean_W", "square_W", "mean_b", "square_b")
    state = {"W": model.W, "b": model.b, **dict(zip(names, model.moments, strict=True))}
    state |= {"step": model.step, "drawn": data.drawn, "seen": fresh.drawn}

    def run(steps: int) -> None:
        for _ in range(steps):
            step_once()

    return Engine(run, lambda rounds: _measure(model, fresh, rounds), state)


def method(torch_version: str) -> Method:
    """Describe this way to train.

    Parameters
    ----------
    torch_version : str
        As from :func:`require_cuda`.

    Returns
    -------
    Method
        For :func:`scalefit.toy.groups.train_groups`.
    """
    return Method({"torch": torch_version}, open_group, group_size, fill=True)


def _recorded(model: Model, data: Stream) -> Callable[[], None]:
    """Record a step as a CUDA graph; what the recording itself changes is put back."""
    import torch

    state = [model.W, model.b, *model.moments, model.step, data.drawn]
    saved = [value.clone() for value in state]
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # libraries allocate in their first calls, which a graph must not record
        for _ in range(3):
            advance(model, draw_dense(data))
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        advance(model, draw_dense(data))
    for value, before in zip(state, saved, strict=True):
        value.copy_(before)
    return graph.replay


def _measure(model: Model, fresh: Stream, rounds: int) -> tuple[Tensor, Tensor]:
    """Mean loss over fresh batches and its standard error, left on the device."""
    import torch

    sums: list[Tensor] = []
    for _ in range(rounds):
        x = draw_dense(fresh)
        loss = (_outputs(model, x)[1] - x).square_().sum(dim=2).double()
        sums.append(torch.stack([loss.sum(dim=1), loss.square().sum(dim=1)]))
    count = rounds * (fresh.x.shape[1] - 1)
    total, squares = torch.stack(sums).sum(dim=0)
    variance = (squares - total**2 / count).clamp(min=0) / (count - 1)
    return total / count, (variance / count).sqrt()
