"""The verbs of the toy model: what they print, write, refuse and leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scalefit.cli import main
from scalefit.data.datasets import describe_dataset
from scalefit.toy import ToyGrid
from tests.conftest import take_ctrl_c

ROOT = Path(__file__).resolve().parent.parent
Call = Callable[..., tuple[int, str, str]]
GRID = """
width = [3, 4, 6]
n_features = 20
alpha = 1.0
gamma = [-1.0, 0.2]
steps = [15, 30]
batch = 2048
"""
CONTRACT = {
    "width", "n_features", "frequency", "alpha", "gamma", "density", "seed", "steps", "batch", "loss", "loss_se",
    "phi_half", "overlap_ms", "weak_reference", "status",
}  # fmt: skip


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["scalefit", *map(str, arguments)])
        code: Any = 0
        try:
            main()
        except SystemExit as leave:
            code = leave.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of twelve models, made by the verb."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "grid.toml").write_text(GRID)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys, "argv", ["scalefit", "toy", "sweep", f"{folder}/grid.toml", "--out", f"{folder}/out", "--workers", "1"]
        )
        with pytest.raises(SystemExit, match="0"):
            main()
    return folder / "out"


def test_a_sweep_is_shown_as_one_record_for_each_model(run: Call, sweep: Path) -> None:
    code, out, err = run("toy", "show", sweep, "--json")
    records = json.loads(out)
    assert (code, err) == (0, "")
    assert len(records) == 12
    assert all(set(record) >= CONTRACT for record in records)
    assert {(record["width"], record["gamma"], record["steps"]) for record in records} == {
        (m, gamma, steps) for m in (3, 4, 6) for gamma in (-1.0, 0.2) for steps in (15, 30)
    }
    assert {record["status"] for record in records} == {"done"}
    _, out, _ = run("toy", "show", sweep, "--where", "gamma == -1 and width > 3", "--json")
    assert json.loads(out) == [record for record in records if record["gamma"] == -1 and record["width"] > 3]
    assert run("toy", "show", sweep, "--where", "gamma == 7")[0::2] == (
        2, f"error: no model of '{sweep}' satisfies where=gamma == 7; show all of them without it\n"
    )  # fmt: skip


def test_several_sweeps_are_drawn_and_not_printed(run: Call, sweep: Path, tmp_path: Path) -> None:
    code, _, err = run("toy", "show", "toy_starts", sweep)
    assert (code, err) == (
        2, f"error: 'toy_starts', '{sweep}': models are printed of one sweep at a time; draw several by --plot\n"
    )  # fmt: skip
    picture = tmp_path / "losses.svg"
    code, _, err = run("toy", "show", sweep, "toy_starts", "--plot", "losses", "--where", "width < 7", "--out", picture)
    assert (code, err) == (0, f"drawn to {picture}\n")


def test_what_is_printed_tells_what_is_shared_from_what_differs(run: Call, sweep: Path) -> None:
    _, out, _ = run("toy", "show", sweep)
    first, header, *rows = out.splitlines()
    assert first.startswith(f"{sweep}: 12 models, 0 failed; n_features 20, frequency power, alpha 1.0, density 1.0")
    assert header.split() == [
        "gamma", "steps", "width", "loss", "phi_half", "alive", "overlap_ms", "weak_reference", "change", "converged",
        "status",
    ]  # fmt: skip
    assert len(rows) == 13
    assert sum("unknown" in row for row in rows) == 6


def test_a_data_set_of_toy_models_is_shown_by_its_name(run: Call) -> None:
    code, out, _ = run("toy", "show", "toy_starts", "--where", "alpha == 1 and n_features == 1000 and width == 10")
    assert code == 0
    first, header, *rows = out.splitlines()
    assert first.startswith("toy_starts: ")
    assert "0 failed" in first
    assert {"loss", "overlap_ms"} <= set(header.split())
    assert "change" not in out
    assert len(rows) >= int(first.split()[1])
    _, out, _ = run("toy", "show", "toy_starts", "--json")
    assert len(json.loads(out)) == describe_dataset("toy_starts").rows


def test_a_sweep_goes_on_only_when_told_so(run: Call, sweep: Path) -> None:
    grid = sweep.parent / "grid.toml"
    code, out, err = run("toy", "sweep", grid, "--out", sweep)
    assert (code, out) == (2, "")
    assert "holds a sweep already; go on with it by --resume" in err
    before = {path: path.stat().st_mtime_ns for path in (sweep / "cells").iterdir()}
    code, out, _ = run("toy", "sweep", grid, "--out", sweep, "--resume", "--workers", 1)
    assert (code, out) == (0, f"12 of 12 models are trained; their table is {sweep}/table.csv\n")
    assert before == {path: path.stat().st_mtime_ns for path in (sweep / "cells").iterdir()}


def test_a_failed_model_is_said_with_exit_code_1(run: Call, tmp_path: Path) -> None:
    (tmp_path / "wild.toml").write_text("width = 3\nn_features = 20\nalpha = 1\ngamma = -1e30\nsteps = 9\nbatch = 2048")
    code, out, err = run("toy", "sweep", "wild.toml", "--out", "wild", "--workers", 1)
    assert code == 1
    assert out == "0 of 1 models are trained; their table is wild/table.csv\n"
    assert err.startswith("width 3 failed: the loss at step ")
    assert json.loads(run("toy", "show", "wild", "--json")[1])[0]["loss"] is None


def test_the_samples_behind_a_loss_can_be_chosen(run: Call, tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text("width = 3\nn_features = 20\nalpha = 1\nsteps = 9\nloss_samples = 64")
    assert run("toy", "sweep", "one.toml", "--out", "few", "--workers", 1)[0] == 0
    assert run("toy", "sweep", "one.toml", "--out", "more", "--workers", 1, "--loss-samples", 1600)[0] == 0
    counts = [json.loads(run("toy", "show", name, "--json")[1])[0]["loss_samples"] for name in ("few", "more")]
    assert counts == [64, 1600]


def test_a_grid_that_cannot_be_used_leaves_nothing_behind(run: Call, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("width = 3\nlearing_rate = 0.1")
    code, out, err = run("toy", "sweep", "bad.toml", "--out", "bad")
    assert (code, out) == (2, "")
    assert "bad.toml: a grid has no key 'learing_rate'; did you mean 'learning_rate'?" in err
    assert not (tmp_path / "bad").exists()
    assert "cannot read the grid 'none.toml'" in run("toy", "sweep", "none.toml", "--out", "bad")[2]
    assert "'bad' holds no toy sweep; make one with" in run("toy", "show", "bad")[2]
    assert "'bad' holds no toy sweep; make one with" in run("toy", "check", "bad")[2]


def test_the_default_grid_is_printed_and_can_be_named(
    run: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, _ = run("toy", "grid")
    (tmp_path / "mine.toml").write_text(out)
    assert ToyGrid.read(tmp_path / "mine.toml").models == ToyGrid.default().models
    asked: list[ToyGrid] = []

    def swept(grid: ToyGrid, *_: object, **__: object) -> pd.DataFrame:
        asked.append(grid)
        return pd.DataFrame({"width": [3], "status": ["done"]})

    monkeypatch.setattr("scalefit.toy.toy_sweep", swept)
    assert run("toy", "sweep", "default", "--out", "x")[0] == 0
    assert run("toy", "sweep", "mine.toml", "--out", "x")[0] == 0
    assert [table.name for table in asked] == ["default", "mine.toml"]


def test_a_sweep_is_a_table_for_fit_and_bayes(run: Call, sweep: Path) -> None:
    condition = ("--where", "gamma == -1 and steps == 30")
    code, out, _ = run("fit", sweep, "loss ~ A/width^a", *condition, "--bootstrap", 0, "--json")
    record = json.loads(out)
    assert (record["n_rows"], record["rows_dropped"]) == (3, 9)
    assert code in (0, 1)
    _, out, _ = run("bayes", sweep, "loss ~ A/width^a", "--where", "gamma == -1", "--likelihood", "normal", "--json")
    assert json.loads(out)["n_rows"] == 6


def test_check_prints_its_record_or_its_verdict(run: Call, sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Checked:
        def record(self) -> dict[str, Any]:
            return {"exponent": 1.1, "verdict": ["words"]}

        def summary(self) -> str:
            return "the verdict"

    monkeypatch.setattr("scalefit.consistency.check_sweep", lambda *_, **__: Checked())
    assert run("toy", "check", sweep)[:2] == (0, "the verdict\n")
    assert json.loads(run("toy", "check", sweep, "--json")[1]) == {"exponent": 1.1, "verdict": ["words"]}


def test_theory_is_a_table_for_fit(run: Call, tmp_path: Path) -> None:
    code, out, err = run("toy", "theory", "--n", 300, "--alpha", 1, "--widths", "8..60")
    (tmp_path / "theory.csv").write_text(out)
    table = pd.read_csv(tmp_path / "theory.csv")
    assert code == 0
    assert table[table["theory"] == "random"]["width"].tolist() == [8, 10, 13, 16, 20, 25, 31, 38, 48, 60]
    assert list(table.columns[:4]) == ["theory", "width", "loss", "local_exponent"]
    assert err == "the best arrangement is not known from m = 38 on: m^1.5 = 234 is not below 0.6 n = 180\n"
    code, out, _ = run("fit", "theory.csv", "loss ~ A/width^a", "--where", "theory == 'weak'", "--bootstrap", 0)
    assert code == 0
    for widths in ("10..x", "0,3", "9..3"):
        code, out, err = run("toy", "theory", "--alpha", 1, "--widths", widths)
        assert (code, out) == (2, "")
        assert f"widths = {widths}: give whole numbers, as 10,15,25 or as 10..100 for ten widths between them" in err


def test_show_draws_a_sweep(run: Call, sweep: Path, tmp_path: Path) -> None:
    code, out, err = run("toy", "show", sweep, "--plot", "losses", "--out", "losses.svg")
    assert (code, out, err) == (0, "", "drawn to losses.svg\n")
    assert (tmp_path / "losses.svg").read_bytes().startswith(b"<?xml")
    assert "--plot losses needs --out" in run("toy", "show", sweep, "--plot", "losses")[2]
    assert (
        "there is no plot 'loses' of a sweep; did you mean 'losses'?"
        in (run("toy", "show", sweep, "--plot", "loses", "--out", "x.png")[2])
    )
    assert "cannot draw to 'x.txt'" in run("toy", "show", sweep, "--plot", "slopes", "--out", "x.txt")[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text("width = 3\nn_features = 20\nalpha = 1\nbatch = 2048\nsteps = [9, 9000000]\n")
    run = subprocess.Popen(
        [sys.executable, "-m", "scalefit", "toy", "sweep", "grid.toml", "--out", "out", "--workers", "2"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=take_ctrl_c,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not list((tmp_path / "out" / "cells").glob("*.json")) and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGINT)  # the whole group, as a terminal does
    said, complained = run.communicate(timeout=50)
    assert run.returncode == 130
    assert said == ""
    assert complained == (
        "interrupted; 1 of 2 models are finished and are kept in 'out'; go on from there by --resume (resume=True)\n"
    )
    assert pd.read_csv(tmp_path / "out" / "table.csv")["steps"].tolist() == [9]
