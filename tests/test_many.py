"""Tables as people have them: folders of files, names with fields, nested JSON, wide exports, trainer logs, Excel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import scalefit
from scalefit.data.many import NameFields
from scalefit.data.nested import records_of
from scalefit.data.tables import read_table, resolve
from scalefit.data.wide import long_frame
from scalefit.errors import DataError, MissingExtra
from scalefit.law.additive import Law
from scalefit.options import Rows

SIZES, RATIOS = (190, 370, 760, 1300, 3200), (1, 2, 5, 10, 20)


def truth(params: Any, tokens: Any) -> Any:
    return 1.7 + 400 / params**0.34 + 410 / tokens**0.28


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 files with one row each, whose names hold size and ratio of tokens."""
    place = tmp_path_factory.mktemp("ladder") / "runs"
    place.mkdir()
    for size in SIZES:
        for ratio in RATIOS:
            params, tokens = size * 1e6, 20.0 * ratio * size * 1e6
            row = pd.DataFrame({"params": [params], "tokens": [tokens], "loss": [truth(params, tokens)]})
            row.to_csv(place / f"{size}M-{ratio}xC.csv", index=False)
    return place


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = str(Path(scalefit.__file__).parent.parent)
    command = [sys.executable, "-m", "scalefit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, "PYTHONPATH": path})


def test_a_folder_of_files_is_one_table_with_the_fields_of_their_names(folder: Path) -> None:
    done = run(
        "fit",
        "runs/*.csv",
        "chinchilla",
        "--name-fields",
        "{size}-{ratio}xC.csv",
        "--bootstrap",
        "0",
        "--json",
        cwd=folder.parent,
    )
    record = json.loads(done.stdout)
    assert (done.returncode, record["n_rows"], record["table"]) == (0, 25, "runs/*.csv")
    assert abs(record["estimate"]["alpha"] - 0.34) < 1e-3
    rows = Rows(name_fields="{size}-{ratio}xC.csv")
    table = rows.read(folder, Law.parse("loss ~ E[size] + B/tokens^beta"))
    assert len(table.frame) == 25
    assert set(zip(table.frame["size"], table.frame["ratio"], strict=True)) == {
        (f"{size}M", str(ratio)) for size in SIZES for ratio in RATIOS
    }
    assert table.frame["source"].tolist() == sorted(f"{size}M-{ratio}xC.csv" for size in SIZES for ratio in RATIOS)
    assert table.remarks[0].startswith(
        "25 files are read as one table, whose column 'source' names the file: 1300M-10xC"
    )


def test_a_field_may_be_a_number_of_the_law(folder: Path) -> None:
    fit = scalefit.fit(
        folder, "loss ~ E + A/size^alpha + B/tokens^beta", name_fields="{size}-{ratio}xC.csv", bootstrap=0
    )
    assert fit.rows["size"].max() == 3.2e9
    assert abs(fit["alpha"].value - 0.34) < 1e-3


def test_further_tables_are_added(folder: Path) -> None:
    first, second = folder / "190M-1xC.csv", folder / "370M-2xC.csv"
    law = Law.parse("loss ~ A/params^alpha")
    table = Rows(also=(str(second),)).read(first, law)
    assert table.frame["source"].tolist() == ["190M-1xC.csv", "370M-2xC.csv"]
    assert Rows().read([first, second], law).frame.equals(table.frame)
    assert read_table([first, second]).sha256 != read_table([second, first]).sha256


def test_a_fault_in_one_of_several_files_names_row_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("params,loss\n1,2\n2,3\n")
    (tmp_path / "b.csv").write_text("params,loss,note\n1,2,x\n2,oops,y\n")
    with pytest.raises(DataError, match=re.escape("row 4 (b.csv, line 3), column 'loss': 'oops' is not a number")):
        Rows().read(tmp_path, Law.parse("loss ~ A/params^alpha"))
    assert "Column 'note' is in 1 of 2 files." in read_table(tmp_path).remarks
    (tmp_path / "c.csv").write_text("params,loss\n1\n")
    with pytest.raises(DataError, match=r"c\.csv', line 2 has 1 cells, not 2"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none/*.csv", "chinchilla"], "no file is called like 'none/*.csv'"),
        (
            ["runs/*.csv", "chinchilla", "--name-fields", "{size}_{ratio}.csv"],
            "the file '1300M-10xC.csv' is not called like",
        ),
        (
            ["runs/*.csv", "chinchilla", "--name-fields", "{a}{b}.csv"],
            "not clear where one field ends and the next begins",
        ),
        (["runs/*.csv", "chinchilla", "--name-fields", "x.csv"], "which has no field in braces"),
        (["runs/*.csv", "chinchilla", "--name-fields", "{a}-{a}.csv"], "which has the field 'a' twice"),
        (
            ["runs/*.csv", "chinchilla", "--name-fields", "{params}-{r}.csv"],
            "column 'params' is in the file '1300M-10xC",
        ),
        (["chinchilla", "chinchilla", "--name-fields", "{a}.csv"], "needs a file, whose name holds the fields"),
        (["runs/190M-1xC.csv", "chinchilla", "--wide"], "no column called like 'run - metric'"),
    ],
)
def test_bad_sources_are_refused_in_words(folder: Path, arguments: list[str], message: str) -> None:
    done = run("fit", *arguments, cwd=folder.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_patterns_of_names_reach_into_folders_and_skip_what_does_not_matter() -> None:
    fields = NameFields.parse("{family}/*-{size}.csv")
    assert fields.of(Path("data/opt/run7-1.3B.csv")) == {"family": "opt", "size": "1.3B"}


def test_nested_records_become_columns_with_dots_and_are_guessed_by_their_last_part(tmp_path: Path) -> None:
    grid = [(params, tokens) for params in np.geomspace(1e7, 1e9, 4) for tokens in np.geomspace(1e9, 1e11, 4)]
    runs = [
        {
            "config": {"model": {"params": p}, "data": {"tokens": d}},
            "summary": {"eval/loss": truth(p, d), "train_loss": 9.0},
        }
        for p, d in grid
    ]
    (tmp_path / "runs.json").write_text(json.dumps({"project": "x", "runs": runs}, indent=1))
    fit = scalefit.fit(tmp_path / "runs.json", "chinchilla", bootstrap=0)
    assert abs(fit["beta"].value - 0.28) < 1e-3
    assert "Read column 'config.model.params' as params." in fit.source.remarks
    assert "Read column 'summary.eval/loss' as loss, and leave 'summary.train_loss' aside." in fit.source.remarks


@pytest.mark.parametrize(
    "whole",
    [
        [{"x": 1, "y": {"z": 2}}, {"x": 3, "y": {"z": 4}}],
        {"x": [1, 3], "y.z": [2, 4]},
        {"x": {"0": 1, "1": 3}, "y.z": {"0": 2, "1": 4}},
        {"rows": [{"x": 1, "y": {"z": 2}}, {"x": 3, "y": {"z": 4}}]},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_shapes_of_json_that_are_one_table(tmp_path: Path, whole: Any, indent: int | None) -> None:
    (tmp_path / "t.json").write_text(json.dumps(whole, indent=indent))
    frame = read_table(tmp_path / "t.json").frame
    assert frame[["x", "y.z"]].to_numpy().tolist() == [[1, 2], [3, 4]]


def test_records_by_name_and_constants_around_a_list() -> None:
    named, remarks = records_of({"a": {"x": 1}, "b": {"x": 2}}, "t")
    assert named == [{"name": "a", "x": 1}, {"name": "b", "x": 2}]
    assert remarks == ["The keys of t are read as the column 'name'."]
    around, _ = records_of({"model": {"d": 8}, "x": 0, "log": [{"x": 1}, {"x": 2}]}, "t")
    assert around == [{"model.d": 8, "x": 1}, {"model.d": 8, "x": 2}]


def test_a_wide_export_becomes_long() -> None:
    wide = pd.DataFrame(
        {"Step": [1, 2], "a - eval/loss": [3.0, 2.5], "a - eval/loss__MIN": [3.0, 2.5], "a - x - lr": [0.1, 0.2],
         "b - eval/loss": [None, 2.0]}
    )  # fmt: skip
    long, (remark,) = long_frame(wide, "export")
    assert long[["Step", "run", "eval/loss"]].iloc[[0, 1]].to_numpy().tolist() == [[1, "a", 3.0], [2, "a", 2.5]]
    assert long["run"].tolist() == ["a", "a", "a - x", "a - x", "b"]
    assert remark.endswith("5 rows; 1 columns __MIN and __MAX are left out.")
    with pytest.raises(DataError, match="has a column 'run' as well"):
        long_frame(wide.assign(run=1), "export")
    with pytest.raises(DataError, match="runs without a single value"):
        long_frame(pd.DataFrame({"a - loss": [None]}), "export")


def test_a_wide_export_from_file_to_fit_in_one_command(tmp_path: Path) -> None:
    step = np.arange(100, 2001, 100)
    columns: dict[str, Any] = {"Step": step}
    for name, floor in (("gpt-s", 3.0), ("gpt-m", 2.8)):
        columns |= {f"{name} - eval/loss": floor + 2 / step**0.4, f"{name} - eval/loss__MAX": 9.0}
    pd.DataFrame(columns).to_csv(tmp_path / "wandb.csv", index=False)
    done = run("fit", "wandb.csv", "loss ~ E[run] + A/step^alpha", "--wide", "--bootstrap", "0", "--json", cwd=tmp_path)
    record = json.loads(done.stdout)
    assert done.returncode == 0
    np.testing.assert_allclose(record["estimate"]["E[gpt-m]"], 2.8, rtol=1e-6)


def test_a_trainer_state_from_file_to_fit_in_one_command(tmp_path: Path) -> None:
    log: list[dict[str, Any]] = []
    for step in range(50, 2001, 50):
        log.append({"epoch": step / 2000, "learning_rate": 1e-4, "loss": 2.1 + 9 / step**0.5, "step": step})
        if step % 100 == 0:
            log.append({"epoch": step / 2000, "eval_loss": 2 + 8 / step**0.5, "step": step})
    log.append({"step": 2000, "total_flos": 1e15, "train_loss": 2.3, "train_runtime": 100.0})
    (tmp_path / "trainer_state.json").write_text(json.dumps({"global_step": 2000, "log_history": log}, indent=2))
    done = run(
        "fit",
        "trainer_state.json",
        "loss ~ E + A/step^alpha",
        "--drop-invalid",
        "--bootstrap",
        "0",
        "--json",
        cwd=tmp_path,
    )
    record = json.loads(done.stdout)
    assert (done.returncode, record["n_rows"], record["rows_read"]) == (0, 20, 40)
    np.testing.assert_allclose([record["estimate"][name] for name in ("E", "A", "alpha")], [2, 8, 0.5], rtol=1e-5)
    assert "one row for each of 40 steps" in done.stderr
    trained = [entry for entry in log if "loss" in entry]
    frame = read_table(pd.DataFrame(records_of({"log_history": trained}, "t")[0])).frame
    assert frame["loss"].tolist() == [entry["loss"] for entry in trained]  # without evaluations it keeps its name


def test_excel_without_openpyxl_is_refused_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "runs.xlsx"
    path.write_bytes(b"PK\x03\x04")
    monkeypatch.setattr("scalefit.data.formats.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"is an Excel workbook; .*\[excel\]"):
        read_table(path)


def test_a_workbook_from_file_to_fit(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl", reason="needs the extra excel")
    path = tmp_path / "runs.xlsx"
    size = np.geomspace(1e6, 1e9, 12)
    runs = pd.DataFrame(
        {"Run": [f"r{i}" for i in range(12)], "Params (M)": size / 1e6, "Loss": 3 * (size / 1e7) ** -0.1}
    )
    with pd.ExcelWriter(path) as writer:
        runs.to_excel(writer, sheet_name="runs", index=False)
        pd.DataFrame({"x": [1]}).to_excel(writer, sheet_name="notes", index=False)
    fit = scalefit.fit(path, "loss ~ A/params^alpha", bootstrap=0)
    assert fit["alpha"].value == pytest.approx(0.1, rel=1e-9)
    assert any("The sheet 'runs'" in remark and "'notes'" in remark for remark in fit.source.remarks)
    runs.astype({"Loss": object}).replace({"Loss": {runs["Loss"].iloc[4]: "diverged"}}).to_excel(path, index=False)
    with pytest.raises(DataError, match=r"row 5 \(line 6\), column 'Loss': 'diverged' is not a number"):
        scalefit.fit(path, "loss ~ A/params^alpha", bootstrap=0)
    assert scalefit.fit(path, "loss ~ A/params^alpha", bootstrap=0, drop_invalid=True).n_rows == 11


def test_a_workbook_with_a_title_above_its_header_is_read(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="needs the extra excel")
    path = tmp_path / "runs.xlsx"
    book = openpyxl.Workbook()
    for row in (["All our runs", None, None], [], ["params", "tokens", "loss"], [1e6, 1e9, 3.0], [2e6, 1e9, "x"]):
        book.active.append(row)
    book.save(path)
    read = read_table(path)
    assert read.frame.iloc[0].tolist() == [1e6, 1e9, 3.0]
    assert read.remarks == ("The title of the sheet 'Sheet', 'All our runs', is left out.",)
    with pytest.raises(DataError, match=r"row 2 \(line 5\), column 'loss': 'x' is not a number"):
        resolve(read, numeric=["loss"])


def test_a_workbook_without_a_header_or_rows_or_with_damage_is_refused(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="needs the extra excel")
    path = tmp_path / "runs.xlsx"
    book = openpyxl.Workbook()
    for row in (["All our runs", None, None], ["params", 7, "loss"], [1e6, 1e9, 3.0]):
        book.active.append(row)
    book.save(path)
    with pytest.raises(DataError, match="has 2 columns without a name in its first row, which may be a title"):
        read_table(path)
    openpyxl.Workbook().save(path)
    with pytest.raises(DataError, match="has no sheet with rows"):
        read_table(path)
    path.write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(DataError, match="is not a readable Excel workbook"):
        read_table(path)


def test_rows_that_come_in_by_two_files_are_counted_and_the_remedy_keeps_one(tmp_path: Path) -> None:
    size = np.geomspace(1e6, 1e9, 12)
    runs = pd.DataFrame({"params": size, "loss": 3 * (size / 1e7) ** -0.1 * (1 + 0.01 * np.sin(np.arange(12)))})
    runs.iloc[:8].to_csv(tmp_path / "old.csv", index=False)
    runs.iloc[5:].to_csv(tmp_path / "new.csv", index=False)
    runs.to_csv(tmp_path / "all.csv", index=False)
    law = "loss ~ A/params^alpha"
    both = scalefit.fit(tmp_path / "old.csv", law, also=(str(tmp_path / "new.csv"),), bootstrap=0)
    remark = next(remark for remark in both.source.remarks if "repeat" in remark)
    assert remark.startswith("3 rows repeat an earlier one in every needed column and are kept: ")
    assert "row 9 (new.csv, line 2) repeats row 6 (old.csv, line 7)" in remark
    assert "3 are of another file than the row that is repeated." in remark
    by, how = re.findall(r"--group-by (\S+) --reduce (\w+)", remark)[0]
    once = scalefit.fit([tmp_path / "old.csv", tmp_path / "new.csv"], law, group_by=by, reduce=how, bootstrap=0)
    alone = scalefit.fit(tmp_path / "all.csv", law, bootstrap=0)
    assert once.n_rows == alone.n_rows == 12
    assert once["alpha"].value == pytest.approx(alone["alpha"].value, rel=1e-9)
    with pytest.raises(DataError, match=r"the file 'old\.csv' is given twice"):
        scalefit.fit([tmp_path / "old.csv", str(tmp_path / "old.csv")], law, bootstrap=0)


def test_a_folder_of_run_folders_is_answered_with_the_pattern_that_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    step = np.arange(1, 11) * 100
    for run, size in (("small", 1.2), ("large", 1.0)):
        (tmp_path / "runs" / run).mkdir(parents=True)
        log = [{"step": int(at), "loss": float(size * (2 + 9 / at**0.5))} for at in step]
        (tmp_path / "runs" / run / "trainer_state.json").write_text(json.dumps({"log_history": log}))
    with pytest.raises(DataError, match="has its files in folders inside") as refused:
        scalefit.look("runs")
    pattern, fields = re.findall(r"'(\S+\.json)'", str(refused.value))
    fit = scalefit.fit(pattern, "loss ~ E[run] + A/step^alpha", name_fields=fields, bootstrap=0)
    assert fit.n_rows == 20
    assert "E[small]" in fit
