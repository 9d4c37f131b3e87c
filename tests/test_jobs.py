"""Many cells: kept as they finish, skipped when stored, failed with a reason; on cores and on a dask scheduler."""

from __future__ import annotations

import json
import math
import multiprocessing
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

from scalefit.errors import DataError, Interrupted, MissingExtra
from scalefit.jobs import job_key, pack_frame, run_jobs, unpack_frame
from tests.conftest import take_ctrl_c

ROOT = Path(__file__).resolve().parent.parent
SQUARES = {f"n{n}": {"n": n} for n in range(6)}


def square(cell: dict[str, Any]) -> dict[str, Any]:
    return {"square": cell["n"] ** 2, "process": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS")}


def divide(cell: dict[str, Any]) -> dict[str, Any]:
    if cell["by"] < 0:
        raise DataError("no negative numbers here; give positive ones")
    return {"quotient": 1 / cell["by"]}


def not_plain(cell: dict[str, Any]) -> dict[str, Any]:
    return {"value": math.nan}


def interrupt_at_three(cell: dict[str, Any]) -> dict[str, Any]:
    if cell["n"] == 3:
        raise KeyboardInterrupt
    return square(cell)


def die_at_three(cell: dict[str, Any]) -> dict[str, Any]:
    if cell["n"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return square(cell)


def die_once(cell: dict[str, Any]) -> dict[str, Any]:
    """The first process that comes here is killed, the next one not."""
    if cell["n"] == 3 and not Path(cell["mark"]).exists():
        Path(cell["mark"]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(cell)


def squares(results: dict[str, Any]) -> list[int]:
    return [result.value["square"] for result in results.values()]


def test_one_worker_runs_here_and_tells_how_far_it_is() -> None:
    told: list[tuple[str, int, int]] = []
    results = run_jobs(square, SQUARES, workers=1, stage="squaring", progress=lambda *one: told.append(one))
    assert list(results) == list(SQUARES)
    assert squares(results) == [0, 1, 4, 9, 16, 25]
    assert {result.value["process"] for result in results.values() if result.value} == {os.getpid()}
    assert told == [("squaring", done, 6) for done in range(7)]


def test_processes_have_one_thread_each_and_leave_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    results = run_jobs(square, SQUARES, workers=2)
    assert squares(results) == [0, 1, 4, 9, 16, 25]
    assert os.getpid() not in {result.value["process"] for result in results.values() if result.value}
    assert {result.value["threads"] for result in results.values() if result.value} == {"1"}
    assert "OMP_NUM_THREADS" not in os.environ


def test_what_all_cells_share_is_given_to_each_and_not_stored(tmp_path: Path) -> None:
    shared = {"n": 3, "long": list(range(1000))}
    for workers in (1, 2):
        results = run_jobs(
            square, {"a": {}, "b": {"n": 4}}, shared=shared, folder=tmp_path / str(workers), workers=workers
        )
        assert squares(results) == [9, 16]
        assert (tmp_path / str(workers) / "a.json").stat().st_size < 500


def test_a_table_comes_back_to_the_last_bit(chinchilla: pd.DataFrame) -> None:
    note = pd.Series([None, "x", *["y, z"] * 243], dtype=object)
    odd = chinchilla.assign(share=chinchilla["loss"] / 3, note=note)
    back = unpack_frame(json.loads(json.dumps(pack_frame(odd), allow_nan=False)))
    pd.testing.assert_frame_equal(back, odd, check_index_type=False)
    assert back.attrs["scalefit"]["name"] == "chinchilla"
    gaps = unpack_frame(json.loads(json.dumps(pack_frame(pd.DataFrame({"x": [1.5, math.nan]})))))
    assert gaps["x"].isna().tolist() == [False, True]


def test_a_failed_cell_is_kept_with_its_reason_and_run_again_only_when_asked(tmp_path: Path) -> None:
    cells = {"good": {"by": 2}, "zero": {"by": 0}, "minus": {"by": -1}}
    first = run_jobs(divide, cells, folder=tmp_path, workers=1)
    assert [result.status for result in first.values()] == ["done", "failed", "failed"]
    assert first["zero"].value is None
    assert first["zero"].reason.startswith("ZeroDivisionError: division by zero (test_jobs.py, line ")
    assert first["minus"].reason == "no negative numbers here; give positive ones"
    stored = json.loads((tmp_path / "zero.json").read_text())
    assert (stored["status"], stored["value"], stored["arguments"]) == ("failed", None, {"by": 0})
    assert set(stored["versions"]) == {"scalefit", "python"}

    (tmp_path / "zero.json").write_text(json.dumps(stored | {"reason": "the first time"}))
    assert run_jobs(divide, cells, folder=tmp_path, workers=1)["zero"].reason == "the first time"
    again = run_jobs(divide, cells, folder=tmp_path, workers=1, retry_failed=True)
    assert again["zero"].reason.startswith("ZeroDivisionError")
    assert again["good"] == first["good"]


def test_what_is_no_plain_json_is_refused_or_fails() -> None:
    result = run_jobs(not_plain, {"a": {}}, workers=1)["a"]
    assert (result.status, result.value) == ("failed", None)
    assert "plain JSON" in result.reason
    with pytest.raises(DataError, match=r"plain JSON .*: Out of range float values"):
        run_jobs(square, {"a": {"n": math.inf}}, workers=1)
    with pytest.raises(DataError, match="cannot name a cell's file"):
        run_jobs(square, {"../a": {"n": 1}}, workers=1)
    with pytest.raises(DataError, match="define it at the top of a module"):
        run_jobs(lambda _: {}, {"a": {}}, workers=1)
    with pytest.raises(DataError, match="workers is 0"):
        run_jobs(square, SQUARES, workers=0)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match=r"3 of 6 cells are finished and are kept in .*resumes from there"):
        run_jobs(interrupt_at_three, SQUARES, folder=tmp_path, workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n0.json", "n1.json", "n2.json"]
    with pytest.raises(Interrupted, match="3 of 6 cells are finished and are lost"):
        run_jobs(interrupt_at_three, SQUARES, workers=1)
    for path in tmp_path.iterdir():  # the same cells of the function that is not interrupted
        path.write_text(path.read_text().replace("interrupt_at_three", "square"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert squares(run_jobs(square, SQUARES, folder=tmp_path, workers=1)) == [0, 1, 4, 9, 16, 25]
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_stored_cell_of_other_arguments_is_never_taken(tmp_path: Path) -> None:
    run_jobs(square, {"a": {"n": 2, "seed": 0}}, folder=tmp_path, workers=1)
    with pytest.raises(DataError, match=r"a\.json' was computed for something else: n differs"):
        run_jobs(square, {"a": {"n": 3, "seed": 0}}, folder=tmp_path, workers=1)
    with pytest.raises(DataError, match=r"the function, now tests\.test_jobs:divide, differs"):
        run_jobs(divide, {"a": {"n": 2, "seed": 0}}, folder=tmp_path, workers=1)
    with pytest.raises(DataError, match="what all cells share differs"):
        run_jobs(square, {"a": {"n": 2, "seed": 0}}, shared={"m": 1}, folder=tmp_path, workers=1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "{", lambda _: "", lambda _: "null", lambda _: "[" * 100_000, lambda text: text[:-20],
        lambda text: text.replace('"done"', '"don"'), lambda text: text.replace('"value"', '"valve"'),
        lambda text: text.replace('"seconds": ', '"seconds": "'), lambda text: "\0" + text[1:],
        lambda text: text.replace('"key": "a"', '"key": "b"'), lambda text: json.dumps(json.loads(text) | {"value": 3}),
    ],
)  # fmt: skip
def test_a_damaged_cell_is_named_and_computed_again(
    tmp_path: Path, damage: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    first = run_jobs(square, {"a": {"n": 2}, "b": {"n": 3}}, folder=tmp_path, workers=1)
    path = tmp_path / "a.json"
    path.write_text(damage(path.read_text()))
    untouched = (tmp_path / "b.json").stat().st_mtime_ns
    again = run_jobs(square, {"a": {"n": 2}, "b": {"n": 3}}, folder=tmp_path, workers=1)
    assert squares(again) == squares(first) == [4, 9]
    assert json.loads(path.read_text())["value"]["square"] == 4
    assert (tmp_path / "b.json").stat().st_mtime_ns == untouched
    assert "a.json' cannot be read" in caplog.text
    assert "it is computed again" in caplog.text


def test_options_of_the_run_that_have_no_effect_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="workers = 2 has no effect with a scheduler"):
        run_jobs(square, SQUARES, workers=2, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(DataError, match="retry_failed has no effect without a folder"):
        run_jobs(square, SQUARES, retry_failed=True)
    with pytest.raises(DataError, match="workers is 1e6; it can be at most 1024"):
        run_jobs(square, SQUARES, workers=1_000_000)


def _from_daemon(answer: Any) -> None:
    answer.put(squares(run_jobs(square, SQUARES, workers=2)))


def test_a_daemonic_process_computes_one_cell_after_another() -> None:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_from_daemon, args=(answer,), daemon=True)
    process.start()
    assert answer.get(timeout=120) == [0, 1, 4, 9, 16, 25]
    process.join(timeout=60)
    assert process.exitcode == 0


def test_keys_made_from_arguments_let_a_grid_grow(tmp_path: Path) -> None:
    assert job_key({"a": 1, "b": (2, 3)}, "m12") == job_key({"b": [2, 3], "a": 1}, "m12")
    assert job_key({"a": 1}) != job_key({"a": 2})
    for count in (2, 4):
        grid = [{"n": n} for n in range(count)]
        results = run_jobs(square, {job_key(arguments): arguments for arguments in grid}, folder=tmp_path, workers=1)
        assert len(results) == count
    assert len(list(tmp_path.iterdir())) == 4


def test_a_killed_worker_costs_its_own_cell_only(tmp_path: Path) -> None:
    results = run_jobs(die_at_three, SQUARES, folder=tmp_path, workers=2)
    failed = {key for key, result in results.items() if result.status == "failed"}
    assert failed == {"n3"}
    assert "ended without an answer, twice" in results["n3"].reason
    assert [result.value["square"] for result in results.values() if result.value] == [0, 1, 4, 16, 25]
    assert len(list(tmp_path.iterdir())) == 6


def test_a_cell_whose_worker_was_killed_once_is_run_again(tmp_path: Path) -> None:
    cells = {key: arguments | {"mark": str(tmp_path / "mark")} for key, arguments in SQUARES.items()}
    assert squares(run_jobs(die_once, cells, workers=2)) == [0, 1, 4, 9, 16, 25]


SLOW_SCRIPT = """
import sys, time
from scalefit.jobs import run_jobs
from scalefit.errors import ScalefitError
from tests.test_jobs import wait_and_square

if __name__ == "__main__":
    try:
        run_jobs(wait_and_square, {f"n{n}": {"n": n} for n in range(6)}, folder=sys.argv[1], workers=2)
    except ScalefitError as error:
        print(error)
        sys.exit(error.exit_code)
"""


def wait_and_square(cell: dict[str, Any]) -> dict[str, Any]:
    time.sleep(0.01 if cell["n"] < 2 else 60)
    return square(cell)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(tmp_path: Path) -> None:
    script, folder = tmp_path / "run.py", tmp_path / "cells"
    script.write_text(SLOW_SCRIPT)
    run = subprocess.Popen(
        [sys.executable, str(script), str(folder)], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=take_ctrl_c,
    )  # fmt: skip
    until = time.monotonic() + 60
    while len(list(folder.glob("*.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)  # the whole group, as a terminal does
    said, complained = run.communicate(timeout=50)  # the cells under way would take longer
    assert run.returncode == 130
    assert "interrupted; 2 of 6 cells are finished and are kept in" in said
    assert complained == ""
    assert sorted(path.name for path in folder.iterdir()) == ["n0.json", "n1.json"]


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    unguarded = SLOW_SCRIPT.replace('if __name__ == "__main__":', "if True:").replace("wait_and_square", "square")
    script.write_text(unguarded)
    run = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "cells")], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert "put the call under if __name__ == '__main__'" in run.stdout


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", worker_dashboard_address=None,
        silence_logs=50,
    ) as local:  # fmt: skip
        yield local


@pytest.mark.slow
def test_a_dask_scheduler_gives_the_same_and_loses_nothing(cluster: Any, tmp_path: Path) -> None:
    address = cluster.scheduler_address
    assert squares(run_jobs(square, SQUARES, scheduler=address, folder=tmp_path)) == [0, 1, 4, 9, 16, 25]
    assert len(list(tmp_path.iterdir())) == 6
    failed = run_jobs(divide, {"zero": {"by": 0}}, scheduler=address)["zero"]
    assert failed.reason.startswith("ZeroDivisionError")
    cluster.scheduler.allowed_failures = 0  # give a task up with the first worker that it kills, not with the fourth
    results = run_jobs(die_at_three, SQUARES, scheduler=address)
    assert {key for key, result in results.items() if result.status == "failed"} == {"n3"}
    assert "twice" in results["n3"].reason


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalefit.jobs.cluster.PATIENCE", "1s")
    with pytest.raises(DataError, match=r"no dask scheduler answers at 'tcp://127\.0\.0\.1:9'.*dask worker ADDRESS"):
        run_jobs(square, SQUARES, scheduler="tcp://127.0.0.1:9")


def test_a_scheduler_needs_the_cluster_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r'pip install "\.\[cluster\]"'):
        run_jobs(square, SQUARES, scheduler="tcp://127.0.0.1:9")
