"""The phases of ``gpu.py``: each is a process that prints its lines as they come.

python -m tests.benchmarks.gpu_phases PHASE --state FOLDER --minutes 2
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
import triton

from scalefit.errors import Interrupted
from scalefit.toy import ToyConfig, ToyGrid, batched, groups, sweep, toy_sweep, train_toy
from scalefit.toy.gpu import engine
from scalefit.toy.gpu.tiles import PRECISIONS, TABLE, Tiles, read_tiles, tiles_for
from scalefit.toy.model import start
from tests import toy_reference as reference
from tests.benchmarks.gpu import ROOT, UNFINISHED
from tests.benchmarks.gpu_count import H100, Peaks, expected_rows, floor, large_floor, map_floor

REHEARSED = os.environ.get("TRITON_INTERPRET") == "1"
EXACT = 1e-5  # relative error of W against float64 up to which "ieee" counts as right
SURE = 4.0  # errors by which two engines may differ in a loss
SHARE_OF_SEEDS = 1 / 3  # of the scatter of seeds, up to which a precision may change a loss

# What is timed first at each width of a tile, besides the stored ones. Matrix units need 64 rows and features. All of
# them spill at most 500 bytes of registers when compiled for an H100 (`python -m tests.benchmarks.gpu_compile`).
FIRST = {
    16: (Tiles(64, 64, 16, 4, "tf32"), Tiles(64, 64, 16, 4, "bf16x3"), Tiles(64, 64, 16, 8, "tf32x3")),
    32: (Tiles(64, 64, 32, 4, "tf32"), Tiles(64, 64, 32, 8, "bf16x3"), Tiles(64, 64, 32, 8, "tf32x3")),
    64: (Tiles(64, 64, 64, 4, "tf32"), Tiles(64, 64, 64, 4, "bf16x3"), Tiles(64, 64, 64, 4, "tf32x3")),
    128: (Tiles(64, 64, 128, 8, "tf32"), Tiles(64, 64, 64, 8, "tf32"), Tiles(64, 64, 64, 8, "bf16x3")),
}
WIDE = (Tiles(64, 64, 64, 8, "tf32"), Tiles(64, 64, 64, 8, "bf16x3"), Tiles(128, 64, 64, 8, "tf32"))
MORE = [(64, 64, 4), (64, 64, 8), (64, 128, 8), (128, 64, 8), (128, 128, 8), (32, 32, 8), (32, 64, 4), (32, 64, 8)]


class Bench(NamedTuple):
    """Where, and how large.

    Parameters
    ----------
    device : str
        Torch's name.
    small, large : dict
        Settings of the two published sizes.
    widths, wide : tuple of int
        Widths at each; precision is judged at ``widths[2]``.
    models : int
        Models to a group.
    steps, long : int
        Steps after which W and losses are compared.
    seeds, loss_samples : int
        Seeds whose losses are compared, and samples behind them.
    sizes : tuple of int
        Side of a matrix for products, and numbers to copy.
    laws : int
        Settings to check.
    """

    device: str
    small: dict[str, Any]
    large: dict[str, Any]
    widths: tuple[int, ...]
    wide: tuple[int, ...]
    models: int
    steps: int
    long: int
    seeds: int
    loss_samples: int
    sizes: tuple[int, int]
    laws: int


LARGE = {"n_features": 10_240, "batch": 8192, "learning_rate": "large", "loss_factor": 100.0}
REAL = Bench(
    "cuda", {"n_features": 1000, "batch": 2048}, LARGE, (10, 25, 63, 100), (64, 256, 1024),
    models=170, steps=100, long=2000, seeds=3, loss_samples=65_536, sizes=(8192, 1 << 30), laws=6,
)  # fmt: skip
REHEARSAL = Bench(
    "cpu", {"n_features": 30, "batch": 12}, {"n_features": 40, "batch": 12}, (5, 5, 5), (20,),
    models=1, steps=2, long=2, seeds=2, loss_samples=2, sizes=(64, 1 << 10), laws=1,
)  # fmt: skip
BENCH = REHEARSAL if REHEARSED else REAL


class State(NamedTuple):
    """What phases leave for each other in a folder."""

    folder: Path

    @property
    def table(self) -> Path:
        """The measured tiles; the stored ones before any were measured."""
        measured = self.folder / "tiles.toml"
        return measured if measured.exists() else TABLE

    @property
    def precisions(self) -> tuple[str, ...]:
        """Precisions that agree with float64; "ieee" before any were compared."""
        path = self.folder / "precision.json"
        return tuple(json.loads(path.read_text())) if path.exists() else PRECISIONS[:1]

    @property
    def peaks(self) -> Peaks:
        """What the device can do; the data sheet of an H100 before it was measured."""
        path = self.folder / "peaks.json"
        return Peaks(**json.loads(path.read_text())) if path.exists() else H100

    def keep(self, name: str, content: object) -> None:
        """Write a file for later phases."""
        (self.folder / name).write_text(json.dumps(content))


def wait() -> None:
    """Let the device finish its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(call: Callable[[], object], least: float = 0.2) -> float:
    """Median wall time of a call that has been warmed up, over several rounds of as many calls as take a while."""
    call()
    wait()
    began = perf_counter()
    call()
    wait()
    calls = max(1, int(least / max(perf_counter() - began, 1e-9))) if torch.cuda.is_available() else 1
    rounds = []
    for _ in range(5 if torch.cuda.is_available() else 1):
        began = perf_counter()
        for _ in range(calls):
            call()
        wait()
        rounds.append((perf_counter() - began) / calls)
    return float(np.median(rounds))


def head(title: str, *columns: str) -> Iterator[str]:
    """Yield the title and the first lines of a table."""
    yield from [f"## {title}", ""]
    if columns:
        yield from ["| " + " | ".join(columns) + " |", "| --- " * len(columns) + "|"]


def measure_floor(state: State) -> Iterator[str]:
    """Rates of a large product, in float32 and TF32, and of a large copy, on random data."""
    side, length = BENCH.sizes
    yield from head(f"What {device_name()} does", "", "measured", "data sheet (H100 SXM)")
    one, other = (torch.randn(side, side, device=BENCH.device) for _ in range(2))
    rates = {}
    for name, allow in (("ieee", False), ("tf32", True)):
        torch.backends.cuda.matmul.allow_tf32 = allow
        rates[name] = 2 * side**3 / seconds(partial(torch.mm, one, other))
    torch.backends.cuda.matmul.allow_tf32 = False
    source = torch.randn(length, device=BENCH.device)
    target = torch.empty_like(source)
    rates["copy"] = 8 * length / seconds(partial(target.copy_, source))
    state.keep("peaks.json", rates)
    peaks = state.peaks
    yield f"| float32 product, {side} squared, TFLOP/s | {peaks.ieee / 1e12:.4g} | {H100.ieee / 1e12:g} |"
    yield f"| TF32 product, TFLOP/s | {peaks.tf32 / 1e12:.4g} | {H100.tf32 / 1e12:g} |"
    yield f"| copy, TB/s read and written | {peaks.copy / 1e12:.4g} | {H100.copy / 1e12:g} |"
    if REHEARSED:
        return
    yield from ["", "| floor, s | " + " | ".join(PRECISIONS) + " |", "| --- " * (len(PRECISIONS) + 1) + "|"]
    for label, whole in (("published map", map_floor), ("n 10240, alpha 1.2, one seed", large_floor)):
        yield f"| {label} | " + " | ".join(f"{whole(peaks, p):.0f}" for p in PRECISIONS) + " |"


def device_name() -> str:
    """Name the device, and the versions of the libraries."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU: a rehearsal"
    return f"{device} (torch {torch.__version__}, triton {triton.__version__})"


def shown(command: Sequence[str], last: int, minutes: float, **variables: str) -> Iterator[str]:
    """Run a command for so long and yield the last lines that it prints, and how it ended."""
    child = subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **variables}
    )
    try:
        output, _ = child.communicate(timeout=60 * minutes)
        ended = f"exit status {child.returncode}"
    except subprocess.TimeoutExpired:
        child.kill()
        output, ended = child.communicate()[0], f"stopped after {minutes:g} minutes"
    yield from ["```", *output.splitlines()[-last:], "```", ended]


def run_tests(_state: State) -> Iterator[str]:
    """Run the tests of both engines, those included that need a device."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/test_toy_gpu.py", "tests/test_toy_batched.py"]
    command += ["-W", "default"]  # a newer library's warning is no fault of a kernel
    if REHEARSED:
        command += ["-k", "stored_tiles"]
    else:
        command += ["-o", "addopts=--strict-markers", "-m", "not slow"]
        command += ["-n", "12"] if find_spec("xdist") else []  # most of the time goes into compiling
    yield from [*head("Tests"), *shown(command, 30, 1.9)]


def one_group(_state: State) -> Iterator[str]:
    """Forty steps of a group of two with blocks of columns, without a graph, for a sanitizer to look at."""
    steps = 2 if REHEARSED else 40
    config = ToyConfig(**{**BENCH.small, "width": 20 if REHEARSED else 130}, alpha=1.0, gamma=-1.0, steps=steps)
    group = engine.build([config, replace(config, seed=1)], BENCH.device)
    for first in range(0, steps, engine.SLOTS):
        engine.train(group, min(engine.SLOTS, steps - first))
    loss, _ = engine.measure(group, 2)
    wait()
    yield f"{steps} steps, all finite: {bool(torch.isfinite(group.net.W).all() and torch.isfinite(loss).all())}"


def sanitize(state: State) -> Iterator[str]:
    """Look for reads and writes out of bounds, and for races in shared memory."""
    yield from head("Sanitizer: 40 steps at m = 130")
    yield from one_group(state)  # also compiles, which takes long under a sanitizer
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        yield "compute-sanitizer is not installed here"
        return
    for check, variables in (("memcheck", {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}), ("racecheck", {})):
        command = [tool, "--tool", check, "--error-exitcode", "9", sys.executable, "-m", "tests.benchmarks.gpu_phases"]
        yield f"{check}:"
        yield from shown([*command, "group", "--state", str(state.folder), "--minutes", "1"], 6, 0.6, **variables)


def trained(configs: Sequence[ToyConfig], tiles: Tiles, steps: int) -> torch.Tensor:
    """W of the first model of a group after so many steps."""
    opened = engine.open_group(configs, BENCH.device, tiles)
    opened.run(steps)
    return opened.state["W"][0].cpu()


def determinism(state: State) -> Iterator[str]:
    """Compare the same models trained twice, and alone against in company: every bit."""
    steps = 2 if REHEARSED else 64
    yield from head("Determinism")
    right = []
    for norm in ("free", "unit"):
        config = ToyConfig(width=BENCH.widths[2], alpha=1.0, gamma=-1.0, steps=steps, norm=norm, **BENCH.small)
        others = [replace(config, seed=seed) for seed in range(1, 2 if REHEARSED else 9)]
        tiles = tiles_for(config.width, state.table)
        first, *again = (trained(group, tiles, steps) for group in ([config, *others], [config, *others], [config]))
        right += [torch.equal(first, other) for other in again]
        yield f"- norm {norm}, m {config.width}, {steps} steps: twice the same {right[-2]}, alone the same {right[-1]}"
    if not all(right):
        raise SystemExit("results depend on what runs at the same time")


def laws() -> list[dict[str, Any]]:
    """Three laws of frequencies in both regimes."""
    scale = BENCH.small["n_features"] / 25
    kinds = [{"alpha": 1.0}, {"frequency": "linear"}, {"frequency": "exponential", "scale": scale}]
    return [{**BENCH.small, **law, "gamma": gamma} for law in kinds for gamma in (-1.0, 0.3)][: BENCH.laws]


def compare_precisions(state: State) -> Iterator[str]:
    """Judge each precision of products: W and losses on the same samples, and losses against the CPU engine's.

    "ieee" is right where W agrees with float64 and losses with those of the CPU engine, on other samples. Another one
    may be used where it changes a loss by less than a third of the scatter of seeds.
    """
    m, long = BENCH.widths[2], BENCH.long
    width = tiles_for(m).width
    by_precision = {one.precision: one for one in (Tiles(32, 32, width, 4, "ieee"), *FIRST[width])}
    models = [ToyConfig(width=m, steps=long, **laws()[0])] * 2
    if not REHEARSED:
        yield from compile_ahead([(models, tiles) for tiles in by_precision.values()])
    for name, tiles in list(by_precision.items()):
        line = compile_one(models, tiles)  # not every version of Triton knows every precision
        if line and name != "ieee":
            yield line
            del by_precision[name]
    right = dict.fromkeys(by_precision, True)
    names = list(by_precision)
    yield from head(
        f"Precision at m = {m}: error of W after {BENCH.steps} steps, and change of the loss after {long}",
        "law, gamma", *names, "float32 by torch", "CPU engine, in errors", "scatter of seeds",
    )  # fmt: skip
    for setting in laws():
        errors = weight_errors(ToyConfig(width=m, steps=20_000, **setting), by_precision)
        configs = [ToyConfig(width=m, steps=long, seed=seed, **setting) for seed in range(BENCH.seeds)]
        losses = {name: final_losses(configs, tiles) for name, tiles in by_precision.items()}
        ieee = losses[names[0]]
        cpu = np.array([run.final_loss for run in train_toy(configs, checkpoints=1, loss_samples=BENCH.loss_samples)])
        scatter = float(np.std(np.log(ieee), ddof=1))
        error = np.sqrt((np.var(ieee, ddof=1) + np.var(cpu, ddof=1)) / len(cpu))
        apart = float(abs(ieee.mean() - cpu.mean()) / error)
        changes = {name: float(np.sqrt(np.mean((loss / ieee - 1) ** 2))) for name, loss in losses.items()}
        exact = errors[names[0]] < EXACT and apart < SURE
        for name in names:  # what is not a number is not right
            right[name] &= exact and changes[name] < SHARE_OF_SEEDS * scatter
        cells = [f"{errors[name]:.1e}, {changes[name]:.1e}" for name in names]
        cells += [f"{errors['torch']:.1e}", f"{apart:.1f}", f"{scatter:.1e}"]
        yield f"| {configs[0].law}, {configs[0].gamma:g} | " + " | ".join(cells) + " |"
        state.keep("precision.json", [name for name in PRECISIONS if right.get(name)])
    yield from ["", f"May be used: {', '.join(state.precisions) or 'none'}"]
    if not state.precisions:
        raise SystemExit("the engine does not agree with float64, or with the CPU engine")


def weight_errors(config: ToyConfig, by_precision: dict[str, Tiles]) -> dict[str, float]:
    """Relative errors of W, by precision and for dense steps in float32, against float64 on the same samples."""
    found, samples = {}, []
    for name, tiles in by_precision.items():
        group = engine.build([config, replace(config, seed=1)], BENCH.device, tiles)
        for first in range(0, BENCH.steps, engine.SLOTS):
            count = min(engine.SLOTS, BENCH.steps - first)
            engine.train(group, count)
            if not found:  # the samples are the same for every precision
                samples += [reference.drawn_samples(group, 0, slot) for slot in range(count)]
        found[name] = group.net.W[0, : config.n_features, : config.width].cpu()
    found["torch"] = dense_training(config, samples, torch.float32)
    exact = dense_training(config, samples, torch.float64)
    return {name: float(torch.linalg.norm(W.double() - exact) / torch.linalg.norm(exact)) for name, W in found.items()}


def final_losses(configs: Sequence[ToyConfig], tiles: Tiles) -> np.ndarray:
    """Losses of models of one shape, trained together."""
    method = engine.method(torch.__version__)._replace(open=partial(engine.open_group, tiles=tiles))
    marks, nothing = [(configs[0].steps,)] * len(configs), lambda *_: None
    runs = groups.train_groups(configs, marks, BENCH.loss_samples, nothing, method=method, device=BENCH.device)
    return np.array([run.loss[-1] for run in runs])


def dense_training(config: ToyConfig, samples: list[Any], dtype: torch.dtype) -> torch.Tensor:
    """W after training on given samples, dense and with autograd."""
    step, W = dense_step(config, dtype)
    for x in samples:
        step(torch.tensor(x, dtype=dtype, device=BENCH.device))
    return W.detach().cpu()


def dense_step(config: ToyConfig, dtype: torch.dtype = torch.float32) -> tuple[Callable[..., None], torch.Tensor]:
    """One step as usually written, and W: dense samples, autograd, AdamW by torch, decay or growth by hand."""
    device = BENCH.device
    p = torch.tensor(config.probabilities(), device=device, dtype=dtype)
    W, b = (torch.tensor(one, device=device, dtype=dtype, requires_grad=True) for one in start(config))
    optimiser = torch.optim.AdamW([{"params": [W], "peak": config.rates[0]}, {"params": [b], "peak": config.rates[1]}],
                                  weight_decay=0.0)  # fmt: skip
    shape, taken = (config.batch, config.n_features), 0

    def step(x: torch.Tensor | None = None) -> None:
        nonlocal taken
        taken += 1
        if x is None:
            x = (torch.rand(shape, device=device) < p) * torch.rand(shape, device=device) * 2
        optimiser.zero_grad()
        loss = torch.nn.functional.mse_loss(torch.relu(x @ W @ W.T + b), x)
        (config.loss_factor * loss).backward()
        share = reference.rate_at(min(taken, config.steps), config.steps, config.warmup_steps)
        for group in optimiser.param_groups:
            group["lr"] = share * group["peak"]
        with torch.no_grad():
            rate = share * config.rates[0] * config.gamma
            W.mul_(1 - rate if rate >= 0 else 1 + rate * (1 - 1 / (W.norm(dim=1, keepdim=True) + 1e-8)))
        optimiser.step()

    return step, W


def per_step(configs: Sequence[ToyConfig], tiles: Tiles) -> float:
    """Seconds of one step of one model of a group, by our kernels, replayed as in a sweep."""
    opened = engine.open_group(configs, BENCH.device, tiles)
    count = 1 if REHEARSED else engine.SLOTS
    return seconds(partial(opened.run, count)) / count / len(configs)


def timed_models(up_to: float, count: int = 64) -> list[ToyConfig]:
    """Models to time the tiles of one entry of the table with."""
    widths = [m for m in (*BENCH.widths, *BENCH.wide[1:2]) if m <= up_to]
    setting = BENCH.small if widths[-1] in BENCH.widths else BENCH.large
    one = ToyConfig(width=widths[-1], alpha=1.0, gamma=-1.0, steps=20_000, **setting)
    return [replace(one, seed=seed) for seed in range(min(count, BENCH.models) if setting is BENCH.small else 2)]


def try_first_tiles(state: State) -> Iterator[str]:
    """Time the stored tiles and three others at each width."""
    return try_tiles(state, lambda own, last: WIDE if last else FIRST[own.width])


def try_more_tiles(state: State) -> Iterator[str]:
    """Time the best tiles so far against many others."""

    def others(own: Tiles, _last: bool) -> list[Tiles]:
        found = [Tiles(rows, features, own.width, warps, p) for rows, features, warps in MORE for p in state.precisions]
        return [one for one in found if one.precision == "ieee" or min(one.rows, one.features) >= 64]

    return try_tiles(state, others)


def try_tiles(state: State, others: Callable[[Tiles, bool], Iterable[Tiles]]) -> Iterator[str]:
    """Time a step of a model by its tiles, and write the fastest into the table that later phases use.

    The fastest must give the same bits twice. What takes longest in the map comes first.
    """
    yield from head("Tiles: us a step and model (rows x features x width x warps, precision)")
    entries = dict(read_tiles(state.table))
    order = sorted(entries, key=lambda up_to: (up_to == np.inf, -up_to))
    tried = {}
    for up_to in order:
        own = entries[up_to]
        found = [one for one in others(own, up_to == np.inf) if one.precision in state.precisions]
        tried[up_to] = list(dict.fromkeys([own, *found]))[: 2 if REHEARSED else None]
    if not REHEARSED:
        yield from compile_ahead([(timed_models(up_to, 16)[:16], one) for up_to in order for one in tried[up_to]])
    for up_to in order:
        configs, times = timed_models(up_to), {}
        for tiles in tried[up_to]:
            try:
                times[tiles] = per_step(configs, tiles) * 1e6
            except Exception as error:  # tiles that do not compile or fit are not the only ones
                wait()  # but an error that the device does not recover from ends the phase
                yield f"- m {configs[0].width}, {named(tiles)}: {type(error).__name__}: {str(error)[:200]}"
        fastest = (
            one for one in sorted(times, key=times.__getitem__) if one == entries[up_to] or repeats(configs, one)
        )
        entries[up_to] = next(fastest, entries[up_to])
        (state.folder / "tiles.toml").write_text(table_text(entries))
        read_tiles.cache_clear()
        least = floor(configs[0], expected_rows(configs[0]), state.peaks, entries[up_to].precision) * 1e6
        row = ", ".join(f"{named(one)} {times[one]:.3g}" for one in sorted(times, key=times.__getitem__))
        yield f"- m {configs[0].width}: {row}; chosen {named(entries[up_to])}, floor {least:.3g}"


def repeats(configs: Sequence[ToyConfig], tiles: Tiles) -> bool:
    """Tell whether two trainings give the same bits."""
    steps, few = (2, 1) if REHEARSED else (64, 16)
    one, other = (trained(configs[:few], tiles, steps) for _ in range(2))
    return torch.equal(one, other)


def named(tiles: Tiles) -> str:
    """Name tiles in few letters."""
    return "x".join(map(str, tiles[:4])) + f" {tiles.precision}"


def table_text(entries: dict[float, Tiles]) -> str:
    """Write a table of tiles, of the form that :func:`scalefit.toy.gpu.tiles.read_tiles` reads."""
    parts = [
        "# Tiles of the kernels; scalefit/toy/gpu/tiles.py says what the fields mean.\n"
        f"# Measured by `python -m tests.benchmarks.gpu` on {device_name()}."
    ]
    for up_to, tiles in sorted(entries.items()):
        fields = {} if up_to == np.inf else {"up_to": int(up_to)}
        fields |= tiles._asdict()
        parts.append("\n".join(["[[tiles]]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())]))
    return "\n\n".join(parts) + "\n"


def compile_ahead(cases: Sequence[tuple[Sequence[ToyConfig], Tiles]]) -> Iterator[str]:
    """Compile kernels in many processes at once: each tiling takes ten seconds or more, and a cache keeps them."""
    began = perf_counter()
    with ProcessPoolExecutor(min(len(cases), os.cpu_count() or 1), get_context("spawn")) as pool:
        failed = [line for line in pool.map(compile_one, *zip(*cases, strict=True)) if line]
    yield from [f"{len(cases)} tilings compiled in {perf_counter() - began:.0f} s", *failed, ""]


def compile_one(configs: Sequence[ToyConfig], tiles: Tiles) -> str:
    """Compile what a training with these tiles launches; return what went wrong, or nothing."""
    try:
        engine.train(engine.build(configs, BENCH.device, tiles), 1)
        wait()
    except Exception as error:
        return f"- m {configs[0].width}, {named(tiles)} does not compile: {type(error).__name__}: {str(error)[:200]}"
    return ""


def time_engines(state: State) -> Iterator[str]:
    """Time our kernels, torch's batched products with a graph and the published way, in one run."""
    columns = ("ours (of floor), tiles", "torch, batched", "published way", "published / ours")
    yield from head("Speed: us a step and model", "n, law, m", *columns)
    for configs in cases():
        first, tiles = configs[0], tiles_for(configs[0].width, state.table)
        ours = per_step(configs, tiles)
        together = configs[: batched.group_size(first)]
        other = batched.open_group(together, BENCH.device)
        by_torch = seconds(partial(other.run, 4)) / 4 / len(together)
        del other
        plain = seconds(dense_step(first)[0])
        least = floor(first, expected_rows(first), state.peaks, tiles.precision)
        cells = [f"{ours * 1e6:.3g} ({least / ours:.0%}), {named(tiles)}", f"{by_torch * 1e6:.3g}"]
        cells += [f"{plain * 1e6:.3g}", f"{plain / ours:.0f}"]
        yield f"| {first.n_features}, alpha {first.alpha:g}, {first.width} | " + " | ".join(cells) + " |"


def cases() -> list[list[ToyConfig]]:
    """Groups to time: the small size at three exponents, the large one at the published exponent."""
    found = []
    for alpha in (1.0,) if REHEARSED else (1.0, 0.0, 2.0):
        for m in sorted(set(BENCH.widths)):
            one = ToyConfig(width=m, alpha=alpha, gamma=-1.0, steps=20_000, **BENCH.small)
            found.append([replace(one, seed=seed) for seed in range(BENCH.models)])
    for m in BENCH.wide:
        one = ToyConfig(width=m, alpha=1.2, gamma=-1.0, steps=40_000, warmup=2000, **BENCH.large)
        found.append([replace(one, seed=seed) for seed in range(2)])
    return found


class Sweep(NamedTuple):
    """A grid of reports/toy, and which of its models."""

    grid: str
    wanted: Callable[[ToyConfig], bool] = lambda _: True


SWEEPS = {
    "map": Sweep("published-map"),
    "question": Sweep("zero-large", lambda one: one.seed == 0 and one.steps == 20_000 and one.norm == "free"),
    "large": Sweep("published-large", lambda one: one.seed == 0 and one.steps == 40_000),
}
"""The question: is the local exponent 1 at 10,240 features? What a grid has beyond this is left for later."""


def run_sweep(name: str, state: State, minutes: float) -> Iterator[str]:
    """Train models of a grid, or go on with them, for so many minutes."""
    read = ToyGrid.read(ROOT / "reports" / "toy" / f"{SWEEPS[name].grid}.toml")
    grid = ToyGrid(tuple(filter(SWEEPS[name].wanted, read.models)), read.name)
    samples = None
    if REHEARSED:
        small = [replace(one, width=2 + k, steps=2, warmup=1, **BENCH.small) for k, one in enumerate(grid.models[:2])]
        grid, samples = ToyGrid(tuple(small)), 32
    yield from [*head(f"Sweep {name}"), f"tiles: {state.table}"]
    by_table = partial(engine.method, torch.__version__, state.table)
    for module in (groups, sweep):
        module.gpu_method = by_table
    began, folder = perf_counter(), state.folder / "sweeps" / SWEEPS[name].grid

    def stop(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        toy_sweep(grid, folder, device="cuda", resume=folder.exists(), loss_samples=samples)
        ended = ""
    except Interrupted as error:
        ended = f"; {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    records = sweep.sweep_records(folder) if (folder / "table.csv").exists() else []
    done = [record for record in records if record["status"] == "done"]
    spent = sum(record["seconds"] for record in done)
    counts = f"{len(done)} of {len(grid.models)} models, {spent:.1f} s of training in all"
    yield f"{counts}, {perf_counter() - began:.1f} s in this call{ended}"
    if ended:
        raise SystemExit(UNFINISHED)


def pretend() -> None:
    """Let sweeps run the kernels interpreted, as if there were a GPU."""
    train = groups.train_groups

    def on_cpu(*arguments: Any, device: str, **options: Any) -> Any:
        return train(*arguments, device="cpu", **options)

    groups.train_groups = on_cpu
    engine.SLOTS = 2


PHASES: dict[str, Callable[[State], Iterable[str]]] = {
    "floor": measure_floor,
    "tests": run_tests,
    "sanitizer": sanitize,
    "determinism": determinism,
    "precision": compare_precisions,
    "tiles": try_first_tiles,
    "speed": time_engines,
    "moretiles": try_more_tiles,
    "group": one_group,
}


def main() -> None:
    """Run one phase."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase", choices=[*PHASES, *SWEEPS])
    parser.add_argument("--state", type=Path, required=True, help="folder of what phases leave for each other")
    parser.add_argument("--minutes", type=float, required=True, help="after which a sweep stops")
    options = parser.parse_args()
    if REHEARSED:
        pretend()
    state = State(options.state)
    for line in (
        run_sweep(options.phase, state, options.minutes) if options.phase in SWEEPS else PHASES[options.phase](state)
    ):
        print(line, flush=True)


if __name__ == "__main__":
    main()
