"""A first look: what the columns are, what repeats, and commands that run as they are printed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scalefit
from scalefit.cli import main
from scalefit.errors import DataError


def sweep() -> pd.DataFrame:
    """Two corpora, 12 sizes with tokens, 3 learning rates each; odd headers, one gap."""
    rng = np.random.default_rng(4)
    size, rate = np.meshgrid(np.geomspace(1e7, 1e9, 12), [1e-4, 3e-4, 1e-3], indexing="ij")
    size, rate = np.tile(size.ravel(), 2), np.tile(rate.ravel(), 2)
    tokens = np.repeat(rng.permutation(np.geomspace(1e9, 1e11, 24)), 3)
    corpus = np.repeat(["web", "code"], 36)
    loss = (1.7 + 400 / size**0.34 + 410 / tokens**0.28) * (1 + 0.01 * np.log(rate / 3e-4) ** 2)
    data = pd.DataFrame({"Corpus": corpus, "N": size, "tokens_seen": tokens, "lr": rate, "eval/loss": loss})
    data.loc[5, "eval/loss"] = None
    return data


def test_columns_repeats_laws_and_labels_are_found() -> None:
    found = scalefit.look(sweep())
    assert {one.name: one.quantity for one in found.columns} == {
        "Corpus": "", "N": "params", "tokens_seen": "tokens", "lr": "", "eval/loss": "loss",
    }  # fmt: skip
    assert [one.missing for one in found.columns] == [0, 0, 0, 0, 1]
    assert found.columns[0].words == "2 labels: web, code"
    assert found.settings == "24 settings of params and tokens and Corpus, of up to 3 rows, which differ in lr."
    assert next(iter(found.laws.values())) == "loss ~ E[Corpus] + A/params^alpha + B/tokens^beta"
    assert json.loads(json.dumps(found.record()))["rows"] == 72


def test_the_commands_run_as_they_are_printed(tmp_path: Path) -> None:
    sweep().to_csv(tmp_path / "my runs.csv", index=False)
    environment = {**os.environ, "PYTHONPATH": str(Path(scalefit.__file__).parent.parent)}

    def run(words: list[str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    shown = run(["scalefit", "look", "my runs.csv", "--plot", "look.svg"])
    assert shown.returncode == 0
    assert (tmp_path / "look.svg").read_bytes().startswith(b"<?xml")
    assert max(map(len, shown.stdout.splitlines())) <= 80
    printed = shown.stdout.replace("\\\n", " ")  # as a shell joins lines
    lines = [line.strip() for line in printed.splitlines() if line.startswith("  scalefit ")]
    assert len(lines) == 3
    assert "--reduce min:loss" in lines[1]
    assert lines[2].endswith("--by Corpus")
    for line in lines:
        done = run([*shlex.split(line), "--bootstrap", "0"])
        assert done.returncode == 0, done.stderr + done.stdout


def test_a_table_without_a_loss_says_so_and_offers_no_command() -> None:
    found = scalefit.look(sweep().rename(columns={"eval/loss": "acc"}))
    assert found.commands == ()
    assert "has no column 'loss'" in found.reasons[0]
    with pytest.raises(DataError, match="no loss to draw"):
        found.plot()


def test_labels_that_stand_for_sizes_make_no_levels() -> None:
    data = sweep().drop(columns="Corpus")
    data["size"] = (data["N"] / 1e6).round().astype(int).astype(str) + "M"
    assert not any("--by" in one for one in scalefit.look(data).commands)


def curves(case: str, folder: Path) -> str:
    """Write training curves as a program does, and return the name of the file."""
    step = np.arange(100, 4001, 100)
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal((2, len(step))))
    one, other = (2 + 9 / step**0.5) * noise * [[1.0], [0.9]]
    if case == "wide":
        data = pd.DataFrame({"Step": step, "gpt-s - eval/loss": one, "gpt-m - eval/loss": other})
        data.assign(**{"gpt-s - eval/loss__MIN": one}).to_csv(folder / "export.csv", index=False)
        return "export.csv"
    if case == "tensorboard":
        data = pd.DataFrame({"Wall time": 1.7e9 + 3.0 * step, "Step": step, "Value": one})
        data.to_csv(folder / "scalar.csv", index=False)
        return "scalar.csv"
    log = [{"step": int(at), "loss": float(loss)} for at, loss in zip(step, one, strict=True)]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": log}))
    return "trainer_state.json"


@pytest.mark.parametrize(
    ("case", "law", "words"),
    [
        ("wide", "loss ~ E[run] + A/step^alpha", "--wide"),
        ("tensorboard", "loss ~ E + A/step^alpha", "--map loss=Value"),
        ("trainer", "loss ~ E + A/step^alpha", ""),
    ],
)
def test_logs_of_steps_get_the_options_that_read_them_and_commands_that_run(
    case: str, law: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = scalefit.look(curves(case, tmp_path))
    assert list(found.laws.values()) == [law]
    assert any("A learning rate that warms up or decays bends a curve" in one for one in found.reasons)
    assert found.commands
    for line in found.commands:
        assert words in line
        monkeypatch.setattr(sys, "argv", [*shlex.split(line), "--bootstrap", "0"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 0


def test_few_steps_or_a_table_without_steps_get_no_law(tmp_path: Path) -> None:
    assert not scalefit.look(pd.DataFrame({"step": [1, 2, 3], "loss": [3.0, 2.5, 2.0]})).laws
    assert not scalefit.look(pd.DataFrame({"acc": [0.1, 0.2, 0.3], "loss": [3.0, 2.5, 2.0]})).laws


def test_everything_fits_a_screen_of_80_columns() -> None:
    data = sweep().rename(columns={"lr": "config.optimizer.schedule.peak_learning_rate_of_all_groups"})
    data["a_note_on_each_run_that_nobody_shortened"] = "a sentence that does not end within this cell or the next"
    data.loc[::2, "a_note_on_each_run_that_nobody_shortened"] = "another one, as long as the first of them if not more"
    found = scalefit.look(data, columns={"tokens_in_billions_of_the_corpus": "tokens_seen/1e9"})
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("  config.opti...all_groups  ") for line in lines)


def test_numbers_with_units_and_words_among_numbers_are_numbers() -> None:
    data = pd.DataFrame({
        "N": ["70M", "160M", "1.4B"] * 4, "loss": ["3.1", "diverged", "2.9"] * 4, "size": ["S1", "M2", "70M"] * 4,
    })  # fmt: skip
    columns = {one.name: one for one in scalefit.look(data).columns}
    assert columns["N"].words == "70.0M to 1.40B"
    assert columns["loss"].words == "2.90 to 3.10; diverged"
    assert columns["size"].kind == "labels"
    assert len(scalefit.look(data).plot()) == 1


def shapes(*columns: str) -> pd.DataFrame:
    """Runs of 4 widths, 3 depths and 3 ratios of tokens to parameters."""
    width, depth, ratio = (one.ravel() for one in np.meshgrid([256, 512, 1024, 2048], [6, 12, 24], [5, 20, 60]))
    params = 12.0 * depth * width**2
    tokens = params * ratio * np.exp(0.3 * np.random.default_rng(1).standard_normal(len(params)))
    loss = 1.7 + 400 / params**0.34 + 410 / tokens**0.28
    data = {"d_model": width, "n_layer": depth, "params": params, "tokens": tokens, "flops": 6 * params * tokens}
    return pd.DataFrame(data | {"loss": loss})[[*columns, "loss"]]


SIZE = "loss ~ E + A/params^alpha + B/tokens^beta"


@pytest.mark.parametrize(
    ("columns", "last", "words"),
    [
        (("params", "flops"), SIZE, ""),
        (("tokens", "flops"), SIZE, ""),
        (("d_model", "n_layer", "tokens"), SIZE, "--derive params"),
        (("d_model", "n_layer", "flops"), SIZE, "--derive params"),
        (("flops",), "loss ~ E + A/flops^alpha", ""),
    ],
)
def test_laws_come_from_sizes_that_can_be_derived(columns: tuple[str, ...], last: str, words: str) -> None:
    data = shapes(*columns)
    found = scalefit.look(data)
    assert list(found.laws.values())[-1] == last
    (line,) = (one for one in found.commands if last in one)
    assert line.endswith(words or "'")
    if last == SIZE:
        fit = scalefit.fit(data, last, derive=("params",) if words else (), bootstrap=0)
        assert fit["alpha"].value == pytest.approx(0.34, abs=1e-4)


def test_a_law_without_the_compute_that_varies_says_so() -> None:
    found = scalefit.look(shapes("d_model", "flops"))
    assert found.settings.endswith("which differ in flops; the law has no term in flops.")
    assert not any("--reduce" in one for one in found.commands)


def test_a_header_that_speaks_of_a_loss_is_proposed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("N,Val Loss (dB)!\n1e6,3\n2e6,2.8\n")
    (line,) = scalefit.look(path).commands
    assert shlex.split(line)[3:] == ["--map", "loss=`Val Loss (dB)!`"]
    assert scalefit.look(path, mapping={"loss": "`Val Loss (dB)!`"}).columns[-1].quantity == "loss"


def test_the_only_column_of_numbers_without_a_meaning_is_proposed_as_the_loss(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("N;Verlust;Ort\n1e6;3;A\n2e6;2.8;B\n")
    (line,) = scalefit.look(path).commands
    assert shlex.split(line)[1:] == ["look", str(path), "--map", "loss=Verlust"]
    path.write_text("N;Verlust;Dauer\n1e6;3;1\n2e6;2.8;2\n")
    assert scalefit.look(path).commands == ()


def experts() -> pd.DataFrame:
    """A grid of sizes and tokens for each number of experts, whose headers are not known names."""
    grid = np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5), [1, 8])
    size, tokens, count = (one.ravel() for one in grid)
    loss = 1.7 + 400 / size**0.34 * count**-0.06 + 410 / tokens**0.28
    data = {"Active params": [f"{one / 1e6:.1f}M" for one in size], "kind": np.where(count == 1, "dense", "moe")}
    return pd.DataFrame(data | {"Tokens (D)": tokens, "Val. loss (nats)!": loss})


def test_a_column_that_speaks_of_a_size_is_proposed_and_not_averaged_over() -> None:
    found = scalefit.look(experts())
    assert found.settings.endswith("which differ in Active params; the law has no term in Active params.")
    assert any("'Active params' may be meant: map one, with --map params=COLUMN" in one for one in found.reasons)
    assert shlex.split(found.commands[0])[1:] == ["look", "TABLE", "--map", "params=Active params"]
    assert not any("--reduce" in one or "--by 'Active params'" in one for one in found.commands)
    again = scalefit.look(experts(), mapping={"params": "Active params"})
    assert list(again.laws.values()) == ["loss ~ E[kind] + A/params^alpha + B/tokens^beta"]


def test_repeats_that_differ_in_a_label_are_not_averaged_and_the_label_is_named() -> None:
    data = pd.concat([sweep().query("lr == 3e-4").assign(Corpus=f"c{i}") for i in range(24)], ignore_index=True)
    found = scalefit.look(data.dropna())
    assert found.settings.endswith("which differ in Corpus.")
    assert not any("--reduce" in one for one in found.commands)
    assert found.commands[-1].endswith("--by Corpus")
    seeds = scalefit.look(data.dropna().rename(columns={"Corpus": "seed"}))
    assert any("--reduce mean" in one for one in seeds.commands)


def test_a_column_of_one_value_calls_for_no_law_of_it_and_a_header_is_one_line() -> None:
    size, tokens = np.geomspace(1e7, 1e9, 12), np.tile([1e9, 4e9, 1.6e10], 4)
    data = pd.DataFrame({"N\nparams": size, "tokens": tokens, "loss": 1.7 + 400 / size**0.34 + 410 / tokens**0.28})
    assert list(scalefit.look(data.assign(experts=8)).laws.values()) == ["loss ~ E + A/params^alpha + B/tokens^beta"]
    assert list(scalefit.look(data.assign(experts=[1, 8, 16] * 4)).laws) == ["routed"]
    assert list(scalefit.look(data.assign(unique_tokens=2e9)).laws) == ["data_constrained"]
    assert "\n  N params  params " in str(scalefit.look(data))


def test_settings_too_few_for_the_law_are_not_averaged() -> None:
    data = pd.DataFrame({"N": [1e7, 1e8, 1e9] * 4, "loss": np.tile([3.0, 2.5, 2.2], 4) + np.arange(12) / 1e3})
    found = scalefit.look(data)
    assert found.settings == "3 settings of params, of up to 4 rows."
    assert not any("--reduce" in one for one in found.commands)


def test_a_law_that_the_rows_cannot_determine_is_not_proposed() -> None:
    found = scalefit.look(pd.DataFrame({"N": [1e7, 1e8, 1e9], "loss": [3.0, 2.5, 2.2]}))
    assert found.reasons[-1] == "3 rows cannot determine this law, which needs 4: add runs."
    assert found.commands == ()
    assert scalefit.look(pd.DataFrame({"N": [1e7, 1e8, 1e9, 1e10], "loss": [3.0, 2.5, 2.2, 2.0]})).commands


def test_a_score_that_rises_is_fitted_as_what_it_lacks() -> None:
    flops = np.geomspace(1e15, 1e21, 20)
    data = pd.DataFrame({"flops": flops, "win rate": 1 - 3e4 / flops**0.3})
    found = scalefit.look(data, mapping={"loss": "win rate"})
    assert found.reasons[-1].startswith("The loss rises with flops, and a law of this form falls")
    (line,) = found.commands
    assert shlex.split(line)[1:] == ["look", "TABLE", "--column", "loss=1 - `win rate`"]
    after = scalefit.look(data, columns={"loss": "1 - `win rate`"})
    assert shlex.split(after.commands[0])[:4] == ["scalefit", "fit", "TABLE", "loss ~ E + A/flops^alpha"]


def test_a_loss_that_never_changes_is_not_said_to_rise() -> None:
    data = pd.DataFrame({"flops": np.geomspace(1e15, 1e21, 20), "loss": 2.0})
    assert not any("rises" in one for one in scalefit.look(data).reasons)


def test_a_column_of_errors_is_proposed_as_the_loss() -> None:
    data = pd.DataFrame({"Params [M]": [1, 2, 4], "Images": [1, 2, 3], "Top-1 error": [0.5, 0.4, 0.3]})
    (line,) = scalefit.look(data).commands
    assert shlex.split(line)[2:] == ["TABLE", "--map", "loss=Top-1 error"]


def checkpoints(**batch: float | str) -> pd.DataFrame:
    """Four sizes with 10 steps each, as a nested log gives them."""
    rows = [
        {"run.name": f"r{n:.0f}", "run.config.n_params": n, "step": step, **batch,
         "val_loss": 1.8 + 300 / n**0.33 + 90 / (step * 2**19) ** 0.25}
        for n in (1e7, 4e7, 1.6e8, 6.4e8) for step in range(500, 5001, 500)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_tokens_of_a_log_are_computed_from_steps_and_the_tokens_of_a_batch(tmp_path: Path) -> None:
    checkpoints(**{"config.batch_tokens": 2**19}).to_csv(tmp_path / "log.csv", index=False)
    found = scalefit.look(tmp_path / "log.csv")
    assert list(found.laws.values()) == ["loss ~ E + A/params^alpha + B/tokens^beta"]
    words = shlex.split(found.commands[0])
    assert words[words.index("--column") + 1] == "tokens=step*`config.batch_tokens`"
    assert not any("--by" in one for one in found.commands)  # a run has one size
    fit = scalefit.fit(words[2], words[3], columns={"tokens": "step*`config.batch_tokens`"}, cluster="run.name")
    assert fit["beta"].value == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize(
    ("batch", "tokens"),
    [
        ({"batch_tokens": "0.5M"}, "step*batch_tokens"),
        ({"Batch size (tokens)!": 5e5}, "step*`Batch size (tokens)!`"),
        ({"Batch (M tokens)": 0.5}, "step*`Batch (M tokens)`*1e6"),
        ({"batch_size": 250, "seq_len": "2k"}, "step*batch_size*seq_len"),
    ],
)
def test_a_batch_gives_the_tokens_whatever_its_unit(batch: dict[str, float | str], tokens: str) -> None:
    found = scalefit.look(checkpoints(**batch))
    words = shlex.split(found.commands[0])
    assert words[words.index("--column") + 1] == f"tokens={tokens}"
    (column,) = (one for one in found.columns if one.name == "tokens")
    assert (column.low, column.high) == (500 * 5e5, 5000 * 5e5)


@pytest.mark.parametrize("batch", [{"batch": "0.5M"}, {"Batch (M tokens)": "0.5M"}, {"per_device_batch_size": 8}])
def test_a_batch_that_may_count_something_else_is_named_and_not_used(batch: dict[str, float | str]) -> None:
    found = scalefit.look(checkpoints(**batch, seq_len=1024))
    assert all("--column" not in one for one in found.commands)
    (name,) = batch
    quoted = name if name.isidentifier() else f"`{name}`"
    assert f"--column 'tokens=step*{quoted}', {quoted} being a column or a number of tokens" in found.reasons[-1]


def test_a_log_of_sizes_and_steps_gets_a_term_in_the_step() -> None:
    found = scalefit.look(checkpoints(bs=8))
    assert list(found.laws.values()) == ["loss ~ E + A/params^alpha + B/step^beta"]
    assert found.settings == "Every row has its own params and step."
    assert "the same batch" in found.reasons[-1]
    law = next(iter(found.laws.values()))
    assert scalefit.fit(checkpoints(bs=8), law, bootstrap=0)["alpha"].value == pytest.approx(0.33, abs=1e-3)
    short = checkpoints().query("step <= 1000")
    assert list(scalefit.look(short).laws.values()) == ["loss ~ E + A/params^alpha"]


@pytest.mark.parametrize(
    ("name", "law", "space"),
    [("parscale", "parscale", "log"), ("ladder_runs", "sigmoid_accuracy", "linear"), ("mixing", "mixing", "log")],
)
def test_columns_of_a_named_law_of_another_form_get_that_law(name: str, law: str, space: str) -> None:
    found = scalefit.look(name)
    assert list(found.laws) == [law]
    words = shlex.split(found.commands[0])
    assert words[:3] == ["scalefit", "fit", name]
    assert (words[-2:] == ["--space", "linear"]) == (space == "linear")
    assert scalefit.fit(name, words[3], space=space, drop_invalid=True, bootstrap=0).law.response in found.frame
