"""The kernels for a GPU: compiled where there is one, else interpreted in numpy on small shapes.

The interpreter shows arithmetic and masks; races, rounding of the matrix units and speed need the device.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parent.parent
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # read as triton and each kernel are imported

pytest.importorskip("triton", reason="Triton is not installed")

from scalefit.toy import ToyConfig  # noqa: E402
from scalefit.toy.gpu import engine  # noqa: E402
from scalefit.toy.gpu.sampling import SHARE  # noqa: E402
from scalefit.toy.gpu.tiles import PRECISIONS, Tiles, read_tiles, table_digest, tiles_for  # noqa: E402
from scalefit.toy.groups import train_groups  # noqa: E402
from scalefit.toy.model import start  # noqa: E402
from tests import toy_reference as reference  # noqa: E402
from tests.benchmarks import gpu, gpu_phases  # noqa: E402

SMALL = ToyConfig(width=5, n_features=37, alpha=1.0, batch=44, steps=6, warmup=2, density=1.5, dtype="float64")
CUTS = {  # odd n, m and batch; one block and several; one tile of rows and several
    "one block": ({}, Tiles(rows=16, features=16, width=16)),
    "three blocks": ({"width": 36}, Tiles(rows=16, features=16, width=16)),
    "whole tiles": ({"width": 16, "n_features": 32, "batch": 32}, Tiles(rows=32, features=32, width=16)),
    "weak, dense": ({"gamma": 0.4, "density": 6.0, "alpha": 0.0}, Tiles(rows=16, features=32, width=16)),
    "skewed": ({"alpha": 2.0, "density": 1.2, "batch": 70}, Tiles(rows=16, features=16, width=16)),
    "rare": ({"density": 0.05, "gamma": 0.0}, Tiles(rows=16, features=64, width=16)),
    "unit rows": ({"norm": "unit", "bias_start": "normal"}, Tiles(rows=16, features=16, width=16)),
    "unit rows in blocks": ({"norm": "unit", "width": 36}, Tiles(rows=16, features=16, width=16)),
    "held rows": ({"norm": "held", "bias_start": "mean"}, Tiles(rows=64, features=16, width=16)),
}


@pytest.fixture(autouse=True)
def few_slots(monkeypatch):
    """Draw three batches at a time, not 32, and use one thread: anything else only costs time here."""
    monkeypatch.setattr(engine, "SLOTS", 3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def opened(configs, tiles, count=1):
    group = engine.build(configs, DEVICE, tiles)
    engine.draw(group, group.data, group.net.step, count)
    return group


def parameters(group, config, place=0, names=("W", "b")):
    """Of one model, without the padding."""
    for name in names:
        one = getattr(group.net, name)[place].cpu().numpy()
        yield one[: config.n_features, : config.width] if one.ndim == 2 else one[: config.n_features]


@pytest.mark.parametrize(("change", "tiles"), CUTS.values(), ids=CUTS)
def test_rows_hold_the_samples_that_were_drawn(change, tiles):
    group = opened([replace(SMALL, seed=seed, **change) for seed in (0, 1)], tiles, count=2)
    batch = {name: array.cpu().numpy() for name, array in group.batch._asdict().items()}
    for job in range(4):
        several, rows, entries, empty, _ = batch["sizes"][job]
        begin, found = batch["begin"][job], []
        assert (np.diff(batch["feature"][job, :entries]) >= 0).all()
        for row in range(rows):
            entry = batch["entry"][job, begin[row] : begin[row + 1]]
            assert (batch["row"][job, entry] == row).all()
            assert len(entry) > 1 if row < several else len(entry) == 1
            u, v = batch["value"][job, entry], batch["multiplier"][job, row]
            x = np.zeros(group.data.edges.shape[1])
            x[batch["feature"][job, entry]] = u
            found += [x] if row < several else [value * x for value in v[v > 0]]
        drawn = reference.drawn_samples(group, job % 2, job // 2)
        assert empty == (drawn == 0).all(1).sum()
        found = np.array([*found, *np.zeros((empty, drawn.shape[1]))])
        np.testing.assert_array_equal(found[np.lexsort(found.T)], drawn[np.lexsort(drawn.T)])
        singles = drawn[(drawn > 0).sum(1) == 1]
        assert rows - several == sum(-(-count // SHARE) for count in (singles > 0).sum(0))


@pytest.mark.parametrize(
    "change",
    [{}, {"alpha": 0.0}, {"frequency": (1.0,) + (0.02,) * 25 + (0.0,) * 4, "alpha": None, "n_features": 30}],
)
def test_samples_have_the_right_distribution(change):
    config = replace(SMALL, batch=2000 if "frequency" in change else 20_000, **change)
    group = engine.build([replace(config, seed=1), config], DEVICE, None)
    engine.draw_points[2, 1](
        group.data, group.points, group.net.step, 2, config.batch, config.n_features, group.shape.capacity,
        BLOCK=4096, HALVINGS=6,
    )  # fmt: skip
    p = config.probabilities()
    for place in range(2):
        x = reference.drawn_samples(group, place)
        on = x > 0
        counts = on.sum(0)
        tails = np.minimum(stats.binom.cdf(counts, len(x), p), stats.binom.sf(counts - 1, len(x), p))
        assert tails.min() > 1e-4 / len(p)
        assert stats.kstest(x[on] / 2, "uniform").pvalue > 1e-4
        assert (on.sum(1) == group.points.actives[place].cpu().numpy()).all()
        likely = np.argsort(-p)[:6]
        both = on[:, likely].astype(float).T @ on[:, likely] / len(x)
        expected = np.outer(p[likely], p[likely])
        off = ~np.eye(6, dtype=bool)
        assert (np.abs(both - expected) < 4.5 * np.sqrt(expected / len(x)) + 1e-9)[off].all()
        first, second = on[: len(x) // 2].sum(0), on[len(x) // 2 :].sum(0)  # samples are alike all along the line
        assert stats.chi2.sf(((first - second) ** 2 / np.maximum(counts, 1)).sum(), (p < 1).sum()) > 1e-4


@pytest.mark.parametrize(("name", "dtype"), [*((name, "float64") for name in CUTS), ("one block", "float32")])
def test_gradient_and_update_equal_autograd_and_adamw(name, dtype):
    change, tiles = CUTS[name]
    config = replace(SMALL, dtype=dtype, **{"gamma": -1.0, **change})
    group = opened([replace(config, seed=4), config], tiles)
    engine.advance(group, 0)
    W, b = (np.asarray(tensor, dtype=float) for tensor in start(config))
    x = reference.drawn_samples(group, 1)
    close = {"rtol": 0, "atol": 1e-14 if dtype == "float64" else 3e-7}
    expected = reference.gradients(W, b, x)
    for ours, theirs in zip(parameters(group, config, 1, ("mean_W", "mean_b")), expected, strict=True):
        np.testing.assert_allclose(ours / 0.1, theirs, **close | {"atol": close["atol"] * np.abs(theirs).max()})
    if dtype == "float64":
        for ours, theirs in zip(parameters(group, config, 1), reference.train(config, W, b, [x]), strict=True):
            np.testing.assert_allclose(ours, theirs, **close)
    n, m = config.n_features, config.width
    for padding in (group.net.W[:, n:], group.net.W[..., m:], group.net.b[:, n:]):
        assert not padding.any()


@pytest.mark.parametrize("name", ["one block", "weak, dense"])
def test_training_equals_autograd_and_adamw(name):
    change, tiles = CUTS[name]
    config = replace(SMALL, learning_rate="large", loss_factor=100.0, **{"gamma": -1.0, **change})
    group = engine.build([config], DEVICE, tiles)
    batches = []
    for count in (3, 2):
        engine.train(group, count)
        batches += [reference.drawn_samples(group, 0, slot) for slot in range(count)]
    W, b = reference.train(config, *start(config), batches)
    for ours, theirs in zip(parameters(group, config), (W, b), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["one block", "three blocks", "rare"])
def test_losses_are_those_of_the_samples(name):
    change, tiles = CUTS[name]
    config = replace(SMALL, **change)
    group = engine.build([replace(config, seed=4), config], DEVICE, tiles)
    loss, error = (part.cpu().numpy() for part in engine.measure(group, 2))
    assert int(group.seen) == 2
    for place, one in enumerate((replace(config, seed=4), config)):
        x = np.concatenate([reference.drawn_samples(group, place, slot) for slot in range(2)])
        each = reference.sample_losses(*start(one), x)
        assert loss[place] == pytest.approx(each.mean(), rel=1e-13)
        assert error[place] == pytest.approx(each.std(ddof=1) / np.sqrt(len(each)), rel=1e-9)


def test_a_warm_up_of_more_steps_than_there_are_stays_within_the_schedule(monkeypatch):
    """Recording a graph takes `SLOTS` steps, even of models that are trained for fewer."""
    monkeypatch.setattr(engine, "SLOTS", 8)
    schedule = engine.build([replace(SMALL, steps=3)], DEVICE, CUTS["one block"][1]).net.schedule.cpu().numpy()
    assert schedule.shape == (9, 3)
    expected = [0, *(reference.rate_at(step, 3, 2) for step in (1, 2, 3)), *[0] * 5]
    np.testing.assert_allclose(schedule[:, 0], expected)
    assert np.isfinite(schedule).all()


def test_stored_tiles_suit_every_width():
    for width in (1, 16, 17, 63, 64, 65, 100, 128, 129, 1024):
        tiles = tiles_for(width)
        assert width <= tiles.width or tiles.width >= 64
        assert all(size >= 16 and size & (size - 1) == 0 for size in tiles[:3])
        assert tiles.precision in PRECISIONS
        assert tiles.precision == "ieee" or min(tiles.rows, tiles.features) >= 64  # else matrix units cannot work
    assert tiles_for(10) == Tiles(rows=32, features=64, width=16, warps=4, precision="ieee")


def test_a_table_of_tiles_is_in_order_and_has_an_end(tmp_path):
    table, entry = tmp_path / "tiles.toml", "[[tiles]]\nwarps = 8\n"
    table.write_text(f"{entry}up_to = 64\n{entry}rows = 64\n")
    assert tiles_for(64, table) == Tiles(warps=8)
    assert tiles_for(65, table) == Tiles(warps=8, rows=64)
    assert table_digest(table) != table_digest()
    for name, text in {
        "endless": f"{entry}up_to = 64\n",
        "order": f"{entry}up_to = 64\n{entry}up_to = 16\n{entry}",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match="entries must ascend, and the last must have no up_to"):
            read_tiles(tmp_path / name)


def test_rows_are_ordered_by_parts_that_share_them(monkeypatch):
    """More rows of samples with several entries than the parts take at a time."""
    monkeypatch.setattr(engine, "ORDER_PARTS", 2)
    config = replace(SMALL, density=20.0, alpha=0.0, batch=70)
    group = opened([config], CUTS["one block"][1])
    several, begin = int(group.batch.sizes[0, 0]), group.batch.begin[0].cpu().numpy()
    assert several > 2 * max(1, 8192 // group.most**2)
    entry = group.batch.entry[0].cpu().numpy()
    for row in range(several):
        assert (np.diff(entry[begin[row] : begin[row + 1]]) > 0).all()


def run(configs, marks, keep=None, report=lambda *_: None):
    """Train as a sweep does."""
    method = engine.method(torch.__version__)
    return train_groups(configs, [marks] * len(configs), 3, report, method=method, device=DEVICE, keep=keep)


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(engine, "tiles_for", lambda *_: CUTS["one block"][1])


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("W", "b", "loss", "loss_se"))


def test_company_the_size_of_a_draw_and_an_interruption_change_nothing(small_tiles, monkeypatch, tmp_path):
    configs = [
        replace(SMALL, alpha=alpha, gamma=-1.0, norm="unit", steps=2, warmup=1, dtype="float32") for alpha in (1.0, 0.5)
    ]
    together = run(configs, (1, 2))
    assert not np.array_equal(together[0].loss, together[1].loss)
    monkeypatch.setattr(engine, "SLOTS", 5)

    def stop(_stage, done, _total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(configs[:1], (1, 2), tmp_path, stop)
    assert len(list(tmp_path.iterdir())) == 1
    reported = []
    (alone,) = run(configs[:1], (1, 2), tmp_path, lambda *one: reported.append(one[1]))
    assert reported == [2]  # the first step was not taken again
    assert same(alone, together[0])
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_a_number_is_handed_on(small_tiles):
    wild, tame = run([replace(SMALL, gamma=gamma, steps=2, warmup=0) for gamma in (-1e200, 0.0)], (2,))
    assert not np.isfinite(wild.loss).any()
    assert np.isfinite(tame.loss).all()


def module(name, *arguments):
    """Run a script of the benchmarks, its kernels compiled unless it says otherwise."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_every_kernel_compiles_for_the_device_and_fits_its_registers():
    printed = module("gpu_compile", "--widths", 20, "--precisions", "tf32x3")
    spilled = [int(line.split()[4]) for line in printed.splitlines() if "spilled" in line]
    assert len(spilled) == 12
    assert max(spilled) == 0


@pytest.mark.slow
def test_the_script_for_a_gpu_uses_what_it_measured_in_rehearsal(tmp_path):
    """Precisions are compared, the fastest tiles of the right ones written, and a sweep trained with these."""
    printed = module("gpu", "--rehearse", "--out", tmp_path, "--phases", "precision,tiles,map")
    page, state = (tmp_path / "gpu.md").read_text(), tmp_path / "state"
    assert "May be used: ieee, tf32x3, tf32" in page
    assert "2 of 2 models" in page
    table = state / "tiles.toml"
    assert f"tiles: {table}" in printed
    assert [up_to for up_to, _ in read_tiles(table)] == [up_to for up_to, _ in read_tiles()]
    models = [json.loads(path.read_text()) for path in (state / "sweeps" / "published-map" / "cells").iterdir()]
    assert {model["value"]["versions"]["tiles"] for model in models} == {table_digest(table)}
    with tarfile.open(tmp_path / "state.tar.gz") as archive:
        assert {"./tiles.toml", "./precision.json", "./sweeps/published-map/table.csv"} <= set(archive.getnames())


def test_a_phase_is_cut_off_or_fails_alone_and_keeps_its_lines(tmp_path):
    lines, pid = tmp_path / "lines", tmp_path / "pid"
    slow = (
        "import subprocess, sys; print('begun', flush=True); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']); "
        f"open({str(pid)!r}, 'w').write(str(child.pid)); child.wait()"
    )
    ended = {
        code: gpu.run_phase([sys.executable, "-c", code], lines.with_suffix(f".{k}"), 5 / 60, {"WORD": "given"})
        for k, code in enumerate((slow, "raise ValueError('no')", "import os; print(os.environ['WORD'])", "exit(3)"))
    }
    assert list(ended.values()) == ["cut off", "failed", "finished", "cut off"]
    texts = [lines.with_suffix(f".{k}").read_text() for k in range(4)]
    assert texts[0] == "begun\n\n**cut off after 0.1 minutes**\n"
    assert "ValueError: no" in texts[1]
    assert texts[2:] == ["given\n", ""]
    deadline = time.monotonic() + 10
    while running(int(pid.read_text())) and time.monotonic() < deadline:  # what it started is ended with it
        time.sleep(0.05)
    assert not running(int(pid.read_text()))


def running(pid):
    """Tell whether a process runs: one that was killed may wait for its parent to notice."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_phase_begins_only_with_the_minutes_that_it_needs():
    once, sweep = gpu.PHASES["tiles"], gpu.PHASES["map"]
    assert gpu.limit_of(once, 9.0, first=False) == once.minutes
    assert gpu.limit_of(once, 2.0, first=False) is None  # cut off, it would not run again
    assert gpu.limit_of(once, 2.0, first=True) == 2.0
    assert gpu.limit_of(sweep, 2.0, first=False) == 2.0
    assert gpu.limit_of(sweep, 0.1, first=False) is None


def test_a_call_goes_on_with_what_has_not_run():
    everything = list(gpu.PHASES)
    assert set(everything) == {*gpu_phases.PHASES, *gpu_phases.SWEEPS} - {"group"}
    assert gpu.choose(None, {}) == everything
    ended = {"floor": "finished", "tests": "failed", "sanitizer": "cut off", "map": "cut off", "large": "finished"}
    assert gpu.choose(None, ended) == ["determinism", "precision", "tiles", "map", "question", "speed", "moretiles"]
    assert gpu.choose("large,tests", ended) == ["large", "tests"]
    with pytest.raises(SystemExit, match="phase 'maps' is not known; choose from floor, tests"):
        gpu.choose("maps", ended)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
@pytest.mark.parametrize(
    "change", [{"width": 63}, {"width": 10, "alpha": 0.0}, {"width": 100, "alpha": 2.0, "gamma": 0.3}]
)
def test_a_hundred_steps_at_real_size(monkeypatch, change):
    monkeypatch.setattr(engine, "SLOTS", 50)
    config = ToyConfig(**{"alpha": 1.0, "gamma": -1.0, **change}, dtype="float32")
    group = engine.build([config, replace(config, seed=1)], DEVICE)
    batches = []
    for _ in range(2):
        engine.train(group, 50)
        batches += [reference.drawn_samples(group, 0, slot) for slot in range(50)]
    W, b = reference.train(config, *start(config), batches)
    for ours, theirs in zip(parameters(group, config), (W, b), strict=True):
        assert np.linalg.norm(ours - theirs) < 1e-5 * np.linalg.norm(theirs)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
def test_a_recorded_graph_takes_the_same_steps():
    configs = [ToyConfig(width=25, alpha=1.0, gamma=gamma, steps=200) for gamma in (-1.0, 0.3)]
    recorded, plain = engine.open_group(configs, "cuda"), engine.build(configs, "cuda")
    recorded.run(100)
    for count in [engine.SLOTS] * (100 // engine.SLOTS) + [100 % engine.SLOTS]:
        engine.train(plain, count)
    assert torch.equal(recorded.state["W"], plain.net.W)
