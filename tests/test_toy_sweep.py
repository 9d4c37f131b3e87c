"""Sweeps of toy models: every model kept as it finishes, the same wherever it runs, read as one table."""

from __future__ import annotations

import functools
import math
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import scalefit
from scalefit.errors import DataError, Interrupted
from scalefit.leastsq import fit
from scalefit.toy import ToyConfig, ToyGrid, groups, read_sweep, sweep, toy_sweep, train_toy
from scalefit.toy.records import band_measures, checkpoint_losses
from scalefit.toy.theory import weak_loss

TINY: dict[str, Any] = {"n_features": 20, "alpha": 1.0, "steps": 30, "batch": 512}
GRID = ToyGrid.from_dict({**TINY, "width": [3, 4, 6], "gamma": [-1.0, 0.2]})
CONTRACT = [
    "width", "n_features", "frequency", "alpha", "gamma", "density", "seed", "steps", "batch", "loss", "loss_se",
    "phi_half", "overlap_ms", "weak_reference", "status",
]  # fmt: skip


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure losses on few samples; the workers of a pool are spared it, and so is the engine itself."""
    monkeypatch.setattr(sweep, "train_toy", functools.partial(train_toy, loss_samples=256))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep whose models are trained for two lengths; one of them failed."""
    folder = tmp_path_factory.mktemp("sweep")
    lengths = ToyGrid.from_dict({**TINY, "width": [3, 4, 6], "seeds": 2, "steps": [15, 30]})
    wild = ToyConfig(width=5, n_features=20, alpha=1.0, gamma=-1e30, steps=30, batch=512)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "train_toy", functools.partial(train_toy, loss_samples=256))
        toy_sweep(ToyGrid((*lengths.models, wild)), folder, workers=1)
    return folder


def files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}


def losses(table: pd.DataFrame) -> dict[str, float]:
    return dict(zip(table["cell"], table["loss"], strict=True))


# exact digits: the default of newer pandas, which warns of the argument that older ones need for them
@pytest.mark.filterwarnings("ignore:The 'float_precision' argument")
def test_a_sweep_gives_what_its_models_give_alone(tmp_path: Path) -> None:
    reported: list[tuple[str, int, int]] = []
    table = toy_sweep(GRID, tmp_path, workers=1, progress=lambda *one: reported.append(one))
    assert reported == [("training toy models", done, 6) for done in range(7)]
    assert list(table.columns[: len(CONTRACT)]) == CONTRACT
    assert len(files(tmp_path)) == 6
    for config, run in zip(GRID.models, train_toy(GRID.models, loss_samples=256), strict=True):
        (row,) = table[(table["width"] == config.width) & (table["gamma"] == config.gamma)].to_dict("records")
        assert (row["loss"], row["loss_se"], row["phi_half"]) == (run.final_loss, run.final_loss_se, run.phi_half)
        assert row["weak_reference"] == weak_loss(config.probabilities(), config.width)
        assert run.row_norms is not None
        assert row["norm_median"] == run.row_norms.median
        assert (row["status"], row["device"], row["scalefit"]) == ("done", "cpu", scalefit.__version__)
        assert row["drift"] == run.loss[-1] / run.loss[-2] - 1
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "table.csv", float_precision="round_trip"),
        table,
        check_dtype=False,
        check_exact=True,
        obj="table.csv",
    )


def test_processes_give_the_same_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # what is patched here is not patched in the processes
    grid = ToyGrid(GRID.models[:3])
    here = toy_sweep(grid, tmp_path / "here", workers=1)
    there = toy_sweep(grid, tmp_path / "there", workers=2)
    pd.testing.assert_frame_equal(here.drop(columns="seconds"), there.drop(columns="seconds"), check_exact=True)


def test_a_folder_that_has_something_is_not_written_to(tmp_path: Path) -> None:
    toy_sweep(ToyGrid(GRID.models[:1]), tmp_path / "sweep", workers=1)
    before = files(tmp_path / "sweep")
    with pytest.raises(DataError, match=r"sweep' holds a sweep already; go on with it by --resume \(resume=True\)"):
        toy_sweep(GRID, tmp_path / "sweep", workers=1)
    assert files(tmp_path / "sweep") == before
    (tmp_path / "table.csv").write_text("mine")
    with pytest.raises(DataError, match=r"has a table\.csv that is not of a sweep; name another folder"):
        toy_sweep(GRID, tmp_path, workers=1)
    with pytest.raises(DataError, match=r"cannot make the folder .*Not a directory"):
        toy_sweep(GRID, tmp_path / "table.csv" / "deep", workers=1)
    assert (tmp_path / "table.csv").read_text() == "mine"


def test_a_changed_grid_extends_a_sweep(tmp_path: Path) -> None:
    first = toy_sweep(ToyGrid(GRID.models[:3]), tmp_path, workers=1)
    before = files(tmp_path)
    second = toy_sweep(ToyGrid(GRID.models[2:]), tmp_path, workers=1, resume=True)
    assert len(second) == 6
    assert losses(first).items() <= losses(second).items()
    assert before.items() <= files(tmp_path).items()


def test_a_grid_says_how_well_losses_are_measured(tmp_path: Path) -> None:
    rough = replace(GRID, models=GRID.models[:1], loss_samples=320)
    (before,) = toy_sweep(rough, tmp_path, workers=1).to_dict("records")
    (after,) = toy_sweep(rough, tmp_path / "fine", loss_samples=1_000_000, workers=1).to_dict("records")
    assert (before["loss_samples"], after["loss_samples"]) == (320, 62 * 16_384)
    assert after["loss_se"] < before["loss_se"] / 20
    assert before["phi_half"] == after["phi_half"]  # the same model
    (again,) = toy_sweep(rough, tmp_path, resume=True, workers=1).to_dict("records")
    assert again["loss"] == before["loss"]
    with pytest.raises(DataError, match=r"loss_samples = 1048576, but .* measured with loss_samples = 320; use that"):
        toy_sweep(GRID, tmp_path, resume=True, workers=1)
    with pytest.raises(DataError, match="loss_samples is 5; it must be at least 32"):
        toy_sweep(GRID, tmp_path / "new", loss_samples=5)
    assert not (tmp_path / "new").exists()


def test_a_failed_model_is_kept_with_its_reason_and_tried_again(finished: Path) -> None:
    (failed,) = [record for record in sweep.sweep_records(finished) if record["status"] != "done"]
    assert failed["status"].startswith("failed: the loss at step 3 is not finite; lower the learning rate or the decay")
    assert (failed["width"], failed["gamma"]) == (5, -1e30)
    assert [failed[name] for name in ("loss", "loss_se", "phi_half", "overlap_ms", "converged")] == [None] * 5
    path = finished / "cells" / f"{failed['cell']}.json"
    path.write_text(path.read_text().replace("is not finite", "was not finite the first time"))
    before = files(finished)
    table = toy_sweep(ToyGrid((ToyConfig(**{**TINY, "width": 5, "gamma": -1e30}),)), finished, workers=1, resume=True)
    assert "the first time" not in "".join(table["status"])
    assert {name for name, at in files(finished).items() if at != before[name]} == {path.name}


def test_a_model_is_compared_with_itself_after_half_the_training(finished: Path) -> None:
    table = read_sweep(finished)
    done = table[table["status"] == "done"]
    short, long = (done[done["steps"] == steps].set_index(["width", "seed"]) for steps in (15, 30))
    assert len(short) == len(long) == 6
    np.testing.assert_allclose(long["change"], long["loss"] / short["loss"] - 1, rtol=1e-14)
    assert (long["change"].abs() > 0.05).all()  # so short a training has not converged
    assert long["converged"].tolist() == [False] * 6
    assert short["converged"].isna().all()
    assert short["change"].isna().all()


def test_a_training_that_is_hardly_shorter_shows_no_convergence(tmp_path: Path) -> None:
    table = toy_sweep(ToyGrid.from_dict({**TINY, "width": 3, "steps": [23, 30]}), tmp_path, workers=1)
    assert table["change"].isna().all()
    assert table["converged"].isna().all()


def test_losses_at_checkpoints(finished: Path) -> None:
    points = checkpoint_losses(finished)
    assert points.groupby("cell").size().tolist() == [10] * 12
    last = points[points["step"] == points["steps"]].set_index("cell")["loss"]
    table = read_sweep(finished).set_index("cell")["loss"].dropna()
    assert last.to_dict() == table.to_dict()
    assert set(points["seed"]) == {0, 1}


def test_measures_by_frequency_add_up_to_those_of_a_model(finished: Path) -> None:
    rows, models = band_measures(finished), read_sweep(finished).set_index("cell")
    assert set(rows["cell"]) == set(models.index[models["status"] == "done"])
    sizes = rows["last"] - rows["first"] + 1
    for cell, own in rows.groupby("cell"):
        assert own["first"].tolist() == [1, *(own["last"].iloc[:-1] + 1)]
        assert own["last"].iloc[-1] == 20
        assert own["dead_loss"].sum() == pytest.approx(models.loc[cell, "dead_loss"])
        assert (own["alive"] * sizes[own.index]).sum() / 20 == pytest.approx(models.loc[cell, "alive"])


def test_lists_of_frequencies_are_told_apart(tmp_path: Path) -> None:
    vectors = [list(np.arange(8.0, 0, -1)), [1.0] * 8]
    grid = ToyGrid.from_dict({"width": 2, "frequency": vectors, "steps": 10, "batch": 16})
    table = toy_sweep(grid, tmp_path, workers=1)
    assert table["frequency"].tolist() == ["given", "given"]
    assert table["frequencies"].nunique() == 2
    assert table["n_features"].tolist() == [8, 8]


def test_a_sweep_is_a_table_for_fits(finished: Path) -> None:
    result = fit(finished, "loss ~ A/width^a", where="steps == 30", bootstrap=0, throw=False)
    done = read_sweep(finished).query("status == 'done' and steps == 30")
    line = np.polyfit(np.log(done["width"]), np.log(done["loss"]), 1)
    assert result["a"].value == pytest.approx(-line[0], rel=1e-8)
    assert result.n_rows == 6
    assert next((rule.rows, rule.reason) for rule in result.source.dropped) == (1, "models whose training failed")
    assert result.source.name == finished.name
    (finished / "empty").mkdir(exist_ok=True)
    with pytest.raises(DataError, match=r"empty' is a folder without table\.csv; give a file, or the folder of a swe"):
        fit(finished / "empty", "loss ~ A/width^a")


def test_an_interrupted_sweep_keeps_its_models_and_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []

    def interrupt_at_third(configs: list[ToyConfig], **options: Any) -> Any:
        trained.append(configs[0].width)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return train_toy(configs, loss_samples=256, **options)

    monkeypatch.setattr(sweep, "train_toy", interrupt_at_third)
    with pytest.raises(Interrupted, match=r"interrupted; 2 of 6 models are finished and are kept in .*by --resume"):
        toy_sweep(GRID, tmp_path, workers=1)
    assert len(pd.read_csv(tmp_path / "table.csv")) == 2
    assert len(toy_sweep(GRID, tmp_path, workers=1, resume=True)) == 6
    assert len(trained) == 7
    assert trained[:3] == [6, 6, 4]  # the longest first


def test_the_table_grows_while_the_sweep_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "TABLE_EVERY", -1.0)
    rows: list[int] = []

    def look(_stage: str, done: int, _total: int) -> None:
        rows.append(len(read_sweep(tmp_path)) if done else 0)
        assert (tmp_path / "table.csv").exists() == (done > 1)  # the one before was written after it was reported

    toy_sweep(GRID, tmp_path, workers=1, progress=look)
    assert rows == [0, 1, 2, 3, 4, 5, 6]


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    toy_sweep(ToyGrid(GRID.models[:1]), tmp_path, workers=1)
    (path,) = (tmp_path / "cells").iterdir()
    path.write_text(path.read_text()[:50])
    with pytest.raises(DataError, match=rf"{path.name}' is no stored model .*; resume the sweep to train it"):
        read_sweep(tmp_path)
    with pytest.raises(DataError, match=r"holds no toy sweep; make one with: scalefit toy sweep GRID\.toml"):
        read_sweep(tmp_path / "cells")


def test_options_that_cannot_be_used_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"device 'gpu' is not known: .*Choices: cpu, cuda"):
        toy_sweep(GRID, tmp_path / "a", device="gpu")
    with pytest.raises(DataError, match=r"workers = 2 with device 'cuda': one process feeds the GPU"):
        toy_sweep(GRID, tmp_path / "a", device="cuda", workers=2)
    assert not (tmp_path / "a").exists()


def test_without_a_gpu_none_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DataError, match=r"device 'cuda' was asked for, but torch .* finds no CUDA device"):
        toy_sweep(GRID, tmp_path / "a", device="cuda")
    assert not (tmp_path / "a").exists()


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[int]]]:
    """Run the engine for a GPU on the CPU, in batches of two; lists the widths of each call."""
    torch = pytest.importorskip("torch")
    from scalefit.toy import batched

    calls: list[list[int]] = []
    engine = groups.train_groups

    def on_cpu(models: Any, *others: Any, device: str, **options: Any) -> Any:
        assert device == "cuda"
        calls.append([model.width for model in models])
        if calls[-1] == [4]:
            raise RuntimeError("out of memory, say")
        return engine(models, *others, device="cpu", **options)

    monkeypatch.setattr(batched, "MOST_MODELS", 2)
    for module in (groups, sweep):
        monkeypatch.setattr(module, "gpu_method", lambda: batched.method("2"))
    monkeypatch.setattr(groups, "train_groups", on_cpu)
    monkeypatch.setattr(sweep, "models_at_once", lambda _: 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield calls
    torch.set_num_threads(threads)


def test_on_a_gpu_models_of_one_width_are_trained_together(tmp_path: Path, pretended_gpu: list[list[int]]) -> None:
    wild = ToyConfig(**{**TINY, "width": 6, "gamma": -1e30})
    grid = ToyGrid((*ToyGrid.from_dict({**TINY, "width": [3, 6], "gamma": [-1.0, 0.0, 0.2]}).models, wild))
    table = toy_sweep(grid, tmp_path, device="cuda")
    assert pretended_gpu == [[6, 6], [6, 6], [3, 3], [3]]
    assert len(files(tmp_path)) == 7
    assert not (tmp_path / "batches").exists()
    assert set(table["device"].dropna()) == {"cuda"}
    (failed,) = table[table["status"] != "done"].to_dict("records")
    assert failed["gamma"] == -1e30
    assert "the loss at step 3 is not finite" in failed["status"]
    config = replace(wild, width=3, gamma=0.2)
    (run,) = train_toy([config], device="cuda", loss_samples=256)
    (row,) = table[(table["width"] == 3) & (table["gamma"] == 0.2)].to_dict("records")
    assert row["loss"] == run.final_loss
    assert math.isfinite(row["seconds"])


def test_models_with_and_without_triton_do_not_mix(
    tmp_path: Path, pretended_gpu: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = ToyGrid.from_dict({**TINY, "width": [3], "gamma": 0.2})
    toy_sweep(grid, tmp_path, device="cuda")
    method = sweep.gpu_method()
    monkeypatch.setattr(sweep, "gpu_method", lambda: method._replace(versions={**method.versions, "triton": "3"}))
    with pytest.raises(DataError, match="holds models trained without Triton; go on without it"):
        toy_sweep(grid, tmp_path, device="cuda", resume=True)


def test_a_batch_that_fails_on_a_gpu_is_tried_again_and_the_others_are_not(
    tmp_path: Path, pretended_gpu: list[list[int]]
) -> None:
    grid = ToyGrid.from_dict({**TINY, "width": [3, 4], "gamma": 0.2})
    table = toy_sweep(grid, tmp_path, device="cuda")
    assert table["status"].str.startswith("failed: RuntimeError: out of memory, say").tolist() == [False, True]
    toy_sweep(grid, tmp_path, device="cuda", resume=True)
    assert pretended_gpu == [[4], [3], [4]]
    with pytest.raises(DataError, match=r"holds models trained with device 'cuda', where other random numbers are"):
        toy_sweep(grid, tmp_path, resume=True, workers=1)


def test_models_of_a_batch_survive_a_kill_before_they_have_their_own_files(
    tmp_path: Path, pretended_gpu: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = ToyGrid.from_dict({**TINY, "width": 3, "gamma": [-1.0, 0.2]})
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "_unpack", lambda _folder: None)
        patch.setattr(sweep.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(DataError, match="holds no toy sweep"):
            toy_sweep(grid, tmp_path, device="cuda")
    with pytest.raises(DataError, match="holds a sweep already"):
        toy_sweep(grid, tmp_path, device="cuda")
    assert len(toy_sweep(grid, tmp_path, device="cuda", resume=True)) == 2
    assert pretended_gpu == [[3, 3]]


def test_a_batch_that_was_interrupted_goes_on_from_its_checkpoint(
    tmp_path: Path, pretended_gpu: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = ToyGrid.from_dict({**TINY, "width": [3, 5], "gamma": [-1.0, 0.2], "steps": 40})
    whole = toy_sweep(grid, tmp_path / "whole", device="cuda")
    monkeypatch.setattr(groups, "LOOK", 10)
    open_engine, taken = groups.gpu_method().open, []

    def watched(configs: Any, device: str) -> groups.Engine:
        engine = open_engine(configs, device)

        def run(steps: int) -> None:
            if len(taken) == 17:  # in the second batch
                taken.append(0)
                raise KeyboardInterrupt
            taken.append(steps)
            engine.run(steps)

        return engine._replace(run=run)

    monkeypatch.setattr(groups, "KEEP_EVERY", 0.0)
    method = groups.gpu_method()._replace(open=watched)
    for module in (groups, sweep):
        monkeypatch.setattr(module, "gpu_method", lambda: method)
    with pytest.raises(Interrupted, match=r"interrupted; 2 of 4 models are finished"):
        toy_sweep(grid, tmp_path / "cut", device="cuda")
    before = sum(taken)
    assert [len(batch) for batch in groups.kept_groups(tmp_path / "cut" / "batches")] == [2]
    monkeypatch.setattr(sweep, "models_at_once", lambda _: 1)  # what was begun together is ended together
    resumed = toy_sweep(grid, tmp_path / "cut", device="cuda", resume=True)
    assert sum(taken) == 2 * 40
    assert 40 < before < 80
    pd.testing.assert_frame_equal(resumed.drop(columns="seconds"), whole.drop(columns="seconds"), check_exact=True)
    assert not (tmp_path / "cut" / "batches").exists()


def local_cluster(**options: Any) -> Any:
    distributed = pytest.importorskip("distributed")
    return distributed.LocalCluster(
        threads_per_worker=1, dashboard_address=None, worker_dashboard_address=None,
        silence_logs=50, **options,
    )  # fmt: skip


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    grid = ToyGrid.from_dict({**TINY, "width": [3, 4], "seeds": 3, "steps": 300})
    killed: list[int] = []
    with local_cluster(n_workers=2, host="127.0.0.1") as cluster:

        def kill_one(_stage: str, done: int, _total: int) -> None:
            if done == 1:
                killed.append(cluster.workers[0].pid)
                os.kill(killed[0], signal.SIGKILL)

        there = toy_sweep(grid, tmp_path / "there", scheduler=cluster.scheduler_address, progress=kill_one)
    assert len(killed) == 1
    here = toy_sweep(grid, tmp_path / "here", workers=1)
    assert set(there["status"]) == {"done"}
    assert len(there) == 6
    pd.testing.assert_frame_equal(here.drop(columns="seconds"), there.drop(columns="seconds"), check_exact=True)


@pytest.mark.slow
def test_gpus_of_a_cluster_take_batches_and_leave_checkpoints_in_the_sweep(
    tmp_path: Path, pretended_gpu: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str] = []
    pretended = groups.train_groups

    def noted(*given: Any, keep: str, **options: Any) -> Any:
        kept.append(keep)
        return pretended(*given, keep=keep, **options)

    monkeypatch.setattr(groups, "train_groups", noted)
    grid = ToyGrid.from_dict({**TINY, "width": [3, 5], "gamma": [-1.0, 0.0, 0.2]})
    here = toy_sweep(grid, tmp_path / "here", device="cuda")
    pretended_gpu.clear()
    kept.clear()
    with local_cluster(n_workers=1, processes=False, protocol="tcp") as cluster:
        there = toy_sweep(grid, tmp_path / "there", device="cuda", scheduler=cluster.scheduler_address)
    assert sorted(pretended_gpu) == [[3], [3, 3], [5], [5, 5]]
    assert set(kept) == {str((tmp_path / "there" / "batches").resolve())}
    pd.testing.assert_frame_equal(here.drop(columns="seconds"), there.drop(columns="seconds"), check_exact=True)


@pytest.mark.parametrize("damage", ["", "{", "null", '{"key": "x"}'])
def test_damaged_models_are_named_and_trained_again(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = toy_sweep(GRID, tmp_path, workers=1)
    mine, foreign = sorted((tmp_path / "cells").iterdir())[:2]
    for path in (mine, foreign):
        path.write_text(damage)
    grid = ToyGrid(tuple(model for model in GRID.models if sweep._key(model) != foreign.stem))
    table = toy_sweep(grid, tmp_path, workers=1, resume=True)
    assert losses(table) == {cell: loss for cell, loss in losses(whole).items() if cell != foreign.stem}
    assert foreign.with_suffix(".damaged").read_text() == damage
    for path in (mine, foreign):
        assert f"{path.name}' cannot be read" in caplog.text
    assert "trained again where the grid has it" in caplog.text
    assert losses(toy_sweep(GRID, tmp_path, workers=1, resume=True)) == losses(whole)


def test_a_damaged_batch_is_trained_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / sweep.BATCHES).mkdir()
    (tmp_path / sweep.BATCHES / "x.json").write_text("{")
    assert len(toy_sweep(ToyGrid(GRID.models[:1]), tmp_path, workers=1)) == 1
    assert "its models are trained again" in caplog.text
    assert not (tmp_path / sweep.BATCHES / "x.json").exists()
