"""Check, time and use the engine of the toy model for a GPU.

    python -m tests.benchmarks.gpu --out FOLDER [--phases tests,sanitizer,...] [--minutes 9]

The phases stand in the order of their worth, each with its own limit of minutes: a phase that takes longer is cut off
there, keeps the lines that it has written, and the next one begins; likewise after an error. Where a call may take ten
minutes, three are enough: ``--phases tests,sanitizer,determinism,check,tiles``, ``--phases map``, ``--phases large``.
FOLDER/gpu.md is written after every phase, and the sweeps to build/gpu/ with a copy in
FOLDER/sweeps.tar.gz. Sweeps go on where they stopped, also from such a copy (``--sweeps sweeps.tar.gz``). With
``--rehearse`` everything runs in small on a CPU, with the kernels interpreted, and no number means anything. Nothing
here has run on a GPU so far.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

if "--rehearse" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"  # read as triton and each kernel are imported

import numpy as np
import torch
import triton

from scalefit.errors import Interrupted
from scalefit.toy import ToyConfig, ToyGrid, batched, groups, sweep, toy_sweep, train_toy
from scalefit.toy.gpu import engine
from scalefit.toy.gpu.engine import Tiles
from scalefit.toy.model import start
from tests import toy_reference as reference
from tests.benchmarks.gpu_count import H100, Peaks, expected_rows, floor, large_floor, map_floor

ROOT = Path(__file__).resolve().parents[2]
REHEARSED = "--rehearse" in sys.argv
PRECISIONS = ("ieee", "tf32x3", "tf32") if REHEARSED else ("ieee", "tf32x3", "bf16x3", "tf32")
FIRST_CUTS = [(32, 32, 4), (64, 32, 4), (64, 64, 4), (64, 64, 8)]  # from 64 rows and features on, matrix units can work
CUTS = [(32, 32, 8), (32, 64, 4), (32, 64, 8), (64, 32, 8), (64, 128, 8), (128, 64, 8), (128, 128, 8)]


class Bench(NamedTuple):
    """Where, and how large.

    Parameters
    ----------
    device : str
        Torch's name.
    small, large : dict
        Settings of the two published sizes.
    widths, wide : tuple of int
        Widths at each.
    models : int
        Models to a group.
    steps : int
        Steps to check and to time.
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
    sizes: tuple[int, int]
    laws: int


REAL = Bench(
    "cuda",
    {"n_features": 1000, "batch": 2048},
    {"n_features": 10_240, "batch": 8192, "learning_rate": "large", "loss_factor": 100.0},
    (10, 25, 63, 100),
    (64, 256, 1024),
    170,
    100,
    (8192, 1 << 30),
    6,
)
REHEARSAL = Bench(
    "cpu", {"n_features": 30, "batch": 12}, {"n_features": 40, "batch": 12}, (5,), (20,), 1, 2, (64, 1 << 10), 1
)


class PhaseOver(BaseException):  # which no library takes for an error of its own
    """The minutes of a phase are over."""


def wait() -> None:
    """Let the device finish its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(call: Callable[[], object], least: float = 0.2) -> float:
    """Median wall time of a call that has been warmed up, over several rounds of as many calls as take a while."""
    call()
    wait()
    began = time.perf_counter()
    call()
    wait()
    calls = max(1, int(least / max(time.perf_counter() - began, 1e-9))) if torch.cuda.is_available() else 1
    rounds = []
    for _ in range(5 if torch.cuda.is_available() else 1):
        began = time.perf_counter()
        for _ in range(calls):
            call()
        wait()
        rounds.append((time.perf_counter() - began) / calls)
    return float(np.median(rounds))


def distance(ours: Any, exact: Any) -> float:
    """Relative error of an array; what is not a number never passes."""
    ours, exact = np.asarray(ours, dtype=float), np.asarray(exact, dtype=float)
    return float(np.linalg.norm(ours - exact) / np.linalg.norm(exact))


def measure_floor(bench: Bench) -> tuple[list[str], Peaks]:
    """Rates of a large product, in float32 and TF32, and of a large copy, on random data."""
    side, length = bench.sizes
    one, other = (torch.randn(side, side, device=bench.device) for _ in range(2))
    rates = {}
    for name, allow in (("ieee", False), ("tf32", True)):
        torch.backends.cuda.matmul.allow_tf32 = allow
        rates[name] = 2 * side**3 / seconds(partial(torch.mm, one, other))
    torch.backends.cuda.matmul.allow_tf32 = False
    source = torch.randn(length, device=bench.device)
    target = torch.empty_like(source)
    rates["copy"] = 8 * length / seconds(partial(target.copy_, source))
    peaks = Peaks(**rates)
    lines = [
        "## What this device does", "", "| | measured | data sheet (H100 SXM) |", "| --- | --- | --- |",
        f"| float32 product, {side} squared, TFLOP/s | {peaks.ieee / 1e12:.4g} | {H100.ieee / 1e12:g} |",
        f"| TF32 product, TFLOP/s | {peaks.tf32 / 1e12:.4g} | {H100.tf32 / 1e12:g} |",
        f"| copy, TB/s read and written | {peaks.copy / 1e12:.4g} | {H100.copy / 1e12:g} |", "",
        "| floor, s | " + " | ".join(PRECISIONS) + " |", "| --- " * (len(PRECISIONS) + 1) + "|",
    ]  # fmt: skip
    if bench is REAL:
        for label, whole in (("published map", map_floor), ("n 10240, alpha 1.2, one seed", large_floor)):
            lines.append(f"| {label} | " + " | ".join(f"{whole(peaks, p):.0f}" for p in PRECISIONS) + " |")
    return lines, peaks


def laws(bench: Bench) -> list[dict[str, Any]]:
    """Three laws of frequencies in both regimes."""
    scale = bench.small["n_features"] / 25
    kinds = [{"alpha": 1.0}, {"frequency": "linear"}, {"frequency": "exponential", "scale": scale}]
    return [{**bench.small, **law, "gamma": gamma} for law in kinds for gamma in (-1.0, 0.3)][: bench.laws]


def check(bench: Bench, _peaks: Peaks) -> Iterator[str]:
    """Compare our steps with float64 on the same samples, and our losses with the CPU engine's on other samples."""
    yield f"## Agreement: relative error of W after {bench.steps} steps on the same samples, against float64"
    yield ""
    yield "| law, gamma | " + " | ".join(PRECISIONS) + " | float32 by torch |"
    yield "| --- " * (len(PRECISIONS) + 2) + "|"
    for setting in laws(bench):
        config = ToyConfig(width=bench.widths[-1], steps=20_000, **setting)
        ours, samples = [], []
        for precision in PRECISIONS:
            tiles = engine.tiles_for(config.width)._replace(precision=precision)
            group = engine.build([config, replace(config, seed=1)], bench.device, tiles)
            for first in range(0, bench.steps, engine.SLOTS):
                count = min(engine.SLOTS, bench.steps - first)
                engine.train(group, count)
                if not ours:  # the samples are the same for every precision
                    samples += [reference.drawn_samples(group, 0, slot) for slot in range(count)]
            ours.append(group.net.W[0, : config.n_features, : config.width].cpu())
        exact = dense_training(config, samples, torch.float64, bench.device)
        ours.append(dense_training(config, samples, torch.float32, bench.device))
        cells = [f"{distance(one, exact):.1e}" for one in ours]
        yield f"| {config.law}, {config.gamma:g} | " + " | ".join(cells) + " |"
    yield ""
    yield from check_curves(bench)


def dense_training(config: ToyConfig, samples: list[Any], dtype: torch.dtype, device: str) -> Any:
    """W after training on given samples, dense and with autograd."""
    step = dense_step(config, device, dtype)
    for x in samples:
        step(torch.tensor(x, dtype=dtype, device=device))
    return step.W.detach().cpu()  # type: ignore[attr-defined]


def check_curves(bench: Bench) -> Iterator[str]:
    """Compare losses with the CPU engine's, seed by seed on other samples."""
    steps, seeds = (2000, 3) if bench is REAL else (2, 2)
    yield f"## Losses after {steps} steps, means of {seeds} seeds (standard deviation)"
    yield ""
    yield "| law, gamma | " + " | ".join(PRECISIONS) + " | CPU engine | largest gap, in errors |"
    yield "| --- " * (len(PRECISIONS) + 3) + "|"
    for setting in laws(bench):
        config = ToyConfig(width=bench.widths[0], steps=steps, **setting)
        configs = [replace(config, seed=seed) for seed in range(seeds)]
        found = []
        for precision in PRECISIONS:
            method = engine.method(torch.__version__)._replace(open=partial(open_with, precision=precision))
            trained = groups.train_groups(
                configs, [(steps,)] * seeds, 65_536 if bench is REAL else 48, lambda *_: None,
                method=method, device=bench.device,
            )  # fmt: skip
            found.append(np.array([one.loss[-1] for one in trained]))
        found.append(np.array([run.final_loss for run in train_toy(configs, checkpoints=1)]))
        spread = np.sqrt(sum(np.var(one, ddof=1) for one in found) / len(found) * 2 / seeds)
        gap = max(abs(one.mean() - found[-1].mean()) for one in found[:-1]) / spread
        cells = " | ".join(f"{one.mean():.5g} ({one.std(ddof=1):.2g})" for one in found)
        yield f"| {config.law}, {config.gamma:g} | {cells} | {gap:.1f} |"


def open_with(configs: Any, device: str, *, precision: str) -> groups.Engine:
    """Open a group with a precision."""
    tiles = engine.tiles_for
    try:
        engine.tiles_for = lambda width: tiles(width)._replace(precision=precision)
        return engine.open_group(configs, device)
    finally:
        engine.tiles_for = tiles


def dense_step(config: ToyConfig, device: str, dtype: torch.dtype = torch.float32) -> Any:
    """One step as usually written: dense samples, autograd, AdamW by torch, decay or growth by hand."""
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

    step.W = W  # type: ignore[attr-defined]
    return step


def per_step(bench: Bench, configs: list[ToyConfig], tiles: Tiles) -> float:
    """Seconds of one step of one model of a group, by our kernels, replayed as in a sweep."""
    before = engine.tiles_for
    try:
        engine.tiles_for = lambda _: tiles
        opened = engine.open_group(configs, bench.device)
    finally:
        engine.tiles_for = before
    count = engine.SLOTS if bench is REAL else 1
    return seconds(partial(opened.run, count)) / count / len(configs)


def cases(bench: Bench) -> list[list[ToyConfig]]:
    """Groups to time: the small size at three exponents, the large one at the published exponent."""
    found = []
    for alpha in (0.0, 1.0, 2.0) if bench is REAL else (1.0,):
        for m in bench.widths:
            one = ToyConfig(width=m, alpha=alpha, gamma=-1.0, steps=20_000, **bench.small)
            found.append([replace(one, seed=seed) for seed in range(bench.models)])
    for m in bench.wide:
        one = ToyConfig(width=m, alpha=1.2, gamma=-1.0, steps=40_000, warmup=2000, **bench.large)
        found.append([replace(one, seed=seed) for seed in range(2)])
    return found


def output_of(command: Sequence[str], last: int) -> Iterator[str]:
    """Run a command and yield the last lines that it prints, also where the minutes of the phase end it."""
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        ended = None
        try:
            child.wait()
        except PhaseOver as over:
            os.killpg(child.pid, signal.SIGKILL)  # with what it started: nothing may go on using the device
            child.wait()
            ended = over
        output.seek(0)
        yield from ["```", *output.read().splitlines()[-last:], "```"]
    if ended is not None:
        raise ended


def run_tests(_bench: Bench, _peaks: Peaks) -> Iterator[str]:
    """Run the tests of both engines, those included that need a device."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "tests/test_toy_gpu.py", "tests/test_toy_batched.py"]
    command += ["-k", "stored_tiles"] if REHEARSED else ["-o", "addopts=--strict-markers", "-m", "not slow"]
    yield from ["## Tests", "", *output_of(command, 12)]


def one_group(bench: Bench, _peaks: Peaks) -> list[str]:
    """Forty steps of a group of two with blocks of columns, for a sanitizer to look at."""
    steps = 40 if bench is REAL else 2
    config = ToyConfig(**{**bench.small, "width": 130 if bench is REAL else 20}, alpha=1.0, gamma=-1.0, steps=steps)
    opened = engine.open_group([config, replace(config, seed=1)], bench.device)
    opened.run(steps)
    wait()
    return [f"{steps} steps, all finite: {bool(torch.isfinite(opened.state['W']).all())}"]


def sanitize(bench: Bench, peaks: Peaks) -> Iterator[str]:
    """Look for reads and writes out of bounds, and for races in shared memory."""
    yield from ["## Sanitizer: 40 steps at m = 130", ""]
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        yield from [*one_group(bench, peaks), "compute-sanitizer is not installed here"]
        return
    for check in ("memcheck", "racecheck"):
        command = [tool, "--tool", check, sys.executable, "-m", "tests.benchmarks.gpu", "--phases", "group"]
        yield f"{check}:"
        yield from output_of([*command, "--out", "build/sanitizer"], 4)


def determinism(bench: Bench, _peaks: Peaks) -> Iterator[str]:
    """Compare the same models trained twice, and alone against in company: every bit."""
    steps = 64 if bench is REAL else 2
    yield from ["## Determinism", ""]
    for norm in ("free", "unit"):
        config = ToyConfig(width=bench.widths[-1], alpha=1.0, gamma=-1.0, steps=steps, norm=norm, **bench.small)
        others = [replace(config, seed=seed) for seed in range(1, 9 if bench is REAL else 2)]
        found = []
        for group in ([config, *others], [config, *others], [config]):
            opened = engine.open_group(group, bench.device)
            opened.run(steps)
            found.append(opened.state["W"][0].cpu())
        twice, alone = (torch.equal(found[0], other) for other in found[1:])
        yield f"- norm {norm}, m {config.width}, {steps} steps: twice the same {twice}, alone the same {alone}"


def try_first_tiles(bench: Bench, peaks: Peaks) -> Iterator[str]:
    """Try four ways to cut the work, at three widths."""
    return try_tiles(bench, peaks, FIRST_CUTS, bench.widths[:1] + bench.widths[2:])


def try_tiles(
    bench: Bench, peaks: Peaks, cuts: Sequence[tuple[int, int, int]] = CUTS, widths: Sequence[int] = ()
) -> Iterator[str]:
    """Time a step of a model by the size of the tiles, in microseconds."""
    yield from ["## Tiles: us a step and model (rows x features x warps)", ""]
    for configs in (one for one in cases(bench) if one[0].alpha not in (0.0, 2.0)):
        if widths and configs[0].width not in widths:
            continue
        m, own = configs[0].width, engine.tiles_for(configs[0].width)
        for precision in PRECISIONS if bench is REAL else PRECISIONS[:1]:
            found = {}
            for rows, features, warps in cuts if bench is REAL else [(16, 16, 4)]:
                tiles = own._replace(rows=rows, features=features, warps=warps, precision=precision)
                try:
                    found[f"{rows}x{features}x{warps}"] = per_step(bench, configs[:64], tiles) * 1e6
                except (triton.runtime.errors.OutOfResources, torch.OutOfMemoryError) as error:
                    found[f"{rows}x{features}x{warps}"] = float("inf")
                    print(m, tiles, error, flush=True)
            least = floor(configs[0], expected_rows(configs[0]), peaks, precision) * 1e6
            row = ", ".join(f"{name} {time:.3g}" for name, time in sorted(found.items(), key=lambda one: one[1]))
            yield f"- m {m}, {precision}, floor {least:.3g}: {row}"
            rows_, features_, warps_ = min(found, key=found.__getitem__).split("x")
            yield (f"  [[tiles]] up_to = {m} rows = {rows_} features = {features_} width = {own.width} "
                   f'warps = {warps_} precision = "{precision}"')  # fmt: skip


def time_engines(bench: Bench, peaks: Peaks) -> Iterator[str]:
    """Time our kernels, torch's batched products with a graph and the published way, in one run."""
    yield from ["## Speed: us a step and model", ""]
    ways = [
        *(f"ours {p} (of floor)" for p in PRECISIONS),
        "torch, batched",
        "published way",
        "published / best of ours",
    ]
    yield "| n, law, m | " + " | ".join(ways) + " |"
    yield "| --- " * (len(ways) + 1) + "|"
    for configs in cases(bench):
        first, rows, ours = configs[0], expected_rows(configs[0]), {}
        for precision in PRECISIONS:
            ours[precision] = per_step(bench, configs, engine.tiles_for(first.width)._replace(precision=precision))
        together = configs[: batched.group_size(first)]
        other = batched.open_group(together, bench.device)
        by_torch = seconds(partial(other.run, 4)) / 4 / len(together)
        del other
        plain = seconds(dense_step(first, bench.device))
        cells = [f"{t * 1e6:.3g} ({floor(first, rows, peaks, p) / t:.0%})" for p, t in ours.items()]
        cells += [f"{by_torch * 1e6:.3g}", f"{plain * 1e6:.3g}", f"{plain / min(ours.values()):.0f}"]
        yield f"| {first.n_features}, alpha {first.alpha:g}, {first.width} | " + " | ".join(cells) + " |"


def run_sweep(bench: Bench, name: str, folder: Path, minutes: float) -> list[str]:
    """Train a published grid, or go on with it, for so many minutes."""
    grid = ToyGrid.read(ROOT / "reports" / "toy" / f"published-{name}.toml")
    if bench is not REAL:
        grid = ToyGrid(tuple(
            replace(one, width=2 + place, steps=2, warmup=1, **bench.small) for place, one in enumerate(grid.models[:2])
        ))  # fmt: skip
    began, ended = time.perf_counter(), "finished"

    def stop(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(1.0, 60 * minutes))
    try:
        toy_sweep(grid, folder, device="cuda", resume=folder.exists())
    except Interrupted as error:
        ended = str(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    records = sweep.sweep_records(folder) if (folder / "table.csv").exists() else []
    cells = [record for record in records if record["status"] == "done"]
    spent, here = sum(record["seconds"] for record in cells), time.perf_counter() - began
    said = f"{len(cells)} of {len(grid.models)} models, {spent:.1f} s of training in all, {here:.1f} s in this call"
    return [f"## Sweep {name}", "", f"{said}: {ended}"]


def pretend() -> None:
    """Let sweeps run the kernels interpreted, as if there were a GPU."""
    train = groups.train_groups

    def on_cpu(*arguments: Any, device: str, **options: Any) -> Any:
        return train(*arguments, device="cpu", **options)

    for module in (groups, sweep):
        module.gpu_method = partial(engine.method, torch.__version__)
    groups.train_groups = on_cpu
    engine.SLOTS = 2
    sweep.train_toy = partial(train_toy, loss_samples=24)


@contextmanager
def at_most(minutes: float) -> Iterator[None]:
    """Cut off what takes longer."""

    def stop(_signal: int, _frame: object) -> None:
        raise PhaseOver

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(1.0, 60 * minutes))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Phase(NamedTuple):
    """What is done, for how many minutes at most; None for a sweep, which stops by itself and goes on later."""

    call: Callable[[Bench, Peaks], Iterable[str]] | None
    minutes: float


PHASES = {
    "tests": Phase(run_tests, 2.0),
    "sanitizer": Phase(sanitize, 1.5),
    "determinism": Phase(determinism, 0.5),
    "check": Phase(check, 1.0),
    "tiles": Phase(try_first_tiles, 1.5),
    "map": Phase(None, 8.0),
    "large": Phase(None, 9.0),
    "speed": Phase(time_engines, 4.0),
    "moretiles": Phase(try_tiles, 8.0),
    "group": Phase(one_group, 1.0),
}
"""In the order of their worth; ``floor`` comes first where it is asked for, and ``group`` only by name."""


def main() -> None:
    """Run the phases asked for, as far as the minutes last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=os.environ.get("OUT", "build/gpu"), help="folder of the results")
    usual = ",".join(["floor", *(name for name in PHASES if name != "group")])
    parser.add_argument("--phases", default=usual, help="which, in this order")
    parser.add_argument("--minutes", type=float, default=9.0, help="for all of them; sweeps are cut short by it")
    parser.add_argument("--sweeps", type=Path, help="an archive of sweeps to go on with")
    parser.add_argument("--rehearse", action="store_true", help="in small, interpreted, on a CPU")
    options = parser.parse_args()
    bench, began = REHEARSAL if options.rehearse else REAL, time.monotonic()
    out, sweeps = Path(options.out), (Path(options.out) if options.rehearse else ROOT / "build" / "gpu") / "sweeps"
    out.mkdir(parents=True, exist_ok=True)
    sweeps.mkdir(parents=True, exist_ok=True)
    if options.sweeps:
        with tarfile.open(options.sweeps) as archive:
            archive.extractall(sweeps, filter="data")
    if options.rehearse:
        pretend()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU: a rehearsal"
    failed: list[str] = []
    lines, peaks = [f"# {device}, torch {torch.__version__}, triton {triton.__version__}", ""], H100
    for phase in options.phases.split(","):
        left = options.minutes - (time.monotonic() - began) / 60
        if left <= 0:
            lines.append(f"The minutes were over before {phase}.")
            break
        limit, found = min(left, PHASES[phase].minutes) if phase in PHASES else left, []
        try:
            if phase == "floor":
                with at_most(0.5):
                    found, peaks = measure_floor(bench)
            elif (call := PHASES[phase].call) is None:
                found += run_sweep(bench, phase, sweeps / phase, limit)
                with tarfile.open(out / "sweeps.tar.gz", "w:gz") as archive:
                    archive.add(sweeps, ".", filter=lambda one: None if one.name.endswith(groups.SUFFIX) else one)
            else:
                with at_most(limit):
                    for line in call(bench, peaks):
                        found.append(line)
        except PhaseOver:
            found += ["", f"{phase} was cut off after {limit:.1f} minutes"]
        except Exception:  # the other phases are worth their minutes all the same
            found += ["", f"{phase} failed:", "```", *traceback.format_exc().splitlines(), "```"]
            failed.append(phase)
        lines += [*found, ""]
        (out / "gpu.md").write_text("\n".join(lines))
        print("\n".join(found), flush=True)
    raise SystemExit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
