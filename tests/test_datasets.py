"""The shipped tables: what the manifest promises, and what the certified fits rely on."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from scalefit.data.datasets import (
    data_directory,
    dataset_names,
    describe_dataset,
    load_dataset,
    published_value,
)
from scalefit.errors import DataError
from scalefit.law.general import parse_law
from scalefit.leastsq import fit

ROWS = {
    "chinchilla": 245,
    "chinchilla_architectures": 50,
    "llm_families": 108,
    "llm_heads": 25,
    "gemstones": 2709,
    "open_lm": 832,
    "porian": 1745,
    "marin_isoflop": 258,
    "published_values": 131,
    "toy_published_losses": 168,
    "toy_published_exponents": 239,
    "toy_strong": 126,
    "toy_training": 360,
    "toy_starts": 768,
    "toy_map": 270,
    "datablations": 182,
    "routed": 223,
    "ladder_runs": 54,
    "ladder_curves": 4245,
    "sft": 1350,
    "annealing": 451,
    "parscale": 24,
    "vocabulary": 1200,
    "mixing": 26,
    "steplaw": 1911,
    "steplaw_optimum": 17,
    "backtest": 2553,
    "backtest_cuts": 129,
}
REAL = ("chinchilla", "llm_families", "gemstones", "open_lm", "porian", "marin_isoflop")
DTYPES = {"number": "float64", "label": "object", "boolean": "bool"}

every_set = pytest.mark.parametrize("name", ROWS)
real_sets = pytest.mark.parametrize("name", REAL)


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    """Give a copy of the data folder that a test may damage."""
    return Path(shutil.copytree(data_directory(), tmp_path / "data"))


def test_sets_are_shipped_in_this_order() -> None:
    assert dataset_names() == tuple(ROWS)


@every_set
def test_manifest_describes_the_file(name: str) -> None:
    info = describe_dataset(name)
    content = (data_directory() / name / "table.csv").read_bytes()
    header, *rows = content.decode("utf-8").splitlines()
    digest = hashlib.sha256(content).hexdigest()
    assert (info.rows, info.sha256) == (len(rows), digest), (
        f'in data/manifest.toml under [{name}]: rows = {len(rows)}, sha256 = "{digest}"'
    )
    assert [column.name for column in info.columns] == header.split(",")
    assert b"\r" not in content
    assert content.endswith(b"\n")


@every_set
def test_set_loads_with_declared_types(name: str) -> None:
    frame, info = load_dataset(name), describe_dataset(name)
    assert len(frame) == ROWS[name]
    for column in info.columns:
        values = frame[column.name]
        complete_integer = column.type == "integer" and values.notna().all()
        expected = "int64" if complete_integer else DTYPES.get(column.type, "float64")
        assert values.dtype == expected, column.name
        if column.type == "label":
            assert all(type(value) is str for value in values), column.name


@every_set
def test_every_column_has_unit_and_meaning(name: str) -> None:
    for column in describe_dataset(name).columns:
        assert column.type in {"number", "integer", "label", "boolean"}
        assert column.unit, column.name
        assert column.meaning, column.name


@every_set
def test_provenance_is_complete(name: str) -> None:
    info = describe_dataset(name)
    assert info.title
    assert info.licence
    assert info.sources
    assert info.note.endswith(".")
    assert info.source_text.startswith("# ")
    for heading in ("**Origin.**", "**Licence.**", "## Known problems", "## How to cite"):
        assert heading in info.source_text, heading
    names = [column.name for column in info.columns]
    assert info.cluster is None or info.cluster in names
    assert {column for column, _ in info.derived} <= set(names)
    assert (info.loss_unit is not None) == ("loss" in names)


@pytest.mark.parametrize("name", ["chinchilla", "porian", "gemstones", "open_lm"])
def test_derived_columns_follow_from_the_others(name: str) -> None:
    frame = load_dataset(name)
    (rule,) = describe_dataset(name).derived
    assert rule in {("tokens", "flops / (6 params)"), ("flops", "6 params tokens")}
    np.testing.assert_allclose(frame["flops"], 6 * frame["params"] * frame["tokens"], rtol=1e-12)


def test_schema_has_no_unused_column() -> None:
    schema = tomllib.loads((data_directory() / "schema.toml").read_text(encoding="utf-8"))
    used = {column.name for name in ROWS for column in describe_dataset(name).columns}
    assert set(schema) == used


@pytest.mark.parametrize("name", [*REAL, "toy_published_losses", "toy_strong", "toy_training", "toy_starts", "toy_map"])
def test_losses_are_positive_and_finite(name: str) -> None:
    loss = load_dataset(name)["loss"]
    assert np.isfinite(loss).all()
    assert (loss > 0).all()


@real_sets
@pytest.mark.parametrize("column", ["params", "params_non_embedding", "width", "depth", "flops"])
def test_sizes_are_positive(name: str, column: str) -> None:
    frame = load_dataset(name)
    if column in frame:
        assert (frame[column] > 0).all()


@real_sets
def test_tokens_are_positive_where_published(name: str) -> None:
    frame = load_dataset(name)
    unpublished = frame["tokens"].isna()
    assert (frame["tokens"][~unpublished] > 0).all()
    assert set(frame.get("family", frame["run"])[unpublished]) <= {"GPT-2"}


@pytest.mark.parametrize("name", ["chinchilla", "gemstones", "open_lm", "porian"])
def test_compute_is_six_params_tokens(name: str) -> None:
    frame = load_dataset(name)
    # In integers this product would leave int64, silently: params and tokens are floats for that reason.
    np.testing.assert_allclose(6 * frame["params"] * frame["tokens"], frame["flops"], rtol=1e-12)


def test_numbers_keep_every_digit() -> None:
    first = load_dataset("chinchilla").iloc[0]
    assert (first["params"], first["tokens"], first["loss"]) == (
        6795600349.289497,
        245105957.9245427,
        5.005581996196243,
    )


def test_chinchilla_cuts_meet_the_published_row_counts() -> None:
    frame = load_dataset("chinchilla")
    highest_first = frame["loss"].sort_values(ascending=False)
    without_five = frame["loss"] < highest_first.iloc[4]
    below_40th = frame["loss"] < highest_first.iloc[39]
    assert without_five.sum() == 240
    assert below_40th.sum() == 203
    assert frame["loss"].nunique() == 99
    assert (frame["excluded_besiroglu2024"] == ~without_five).all()
    assert (frame["excluded_liu2026"] == ~below_40th).all()


def test_chinchilla_shapes_are_those_of_the_architecture_table() -> None:
    runs, shapes = load_dataset("chinchilla"), load_dataset("chinchilla_architectures")
    joined = runs.merge(shapes, on=["width", "depth"], suffixes=("", "_table"), validate="many_to_one")
    assert len(joined) == len(runs)
    assert runs["shape"].nunique() == 43
    log_ratio = np.log(joined["params"] / joined["params_table"]).abs()
    assert log_ratio.max() < 0.006


def test_params_grow_as_width_to_the_two_and_a_half() -> None:
    shapes = load_dataset("chinchilla_architectures")
    slope, _ = np.polyfit(np.log(shapes["width"]), np.log(shapes["params"]), 1)
    assert slope == pytest.approx(2.523, abs=1e-3)


def test_llm_families_are_four_by_four_with_one_derived_loss() -> None:
    frame = load_dataset("llm_families")
    assert frame.groupby(["family", "eval_set"]).ngroups == 16
    derived = frame[~frame["extracted"]]
    assert derived[["run", "eval_set"]].to_numpy().tolist() == [["Qwen2.5-72B", "wikitext"]]


def test_llm_heads_are_named_where_the_width_says_which_they_are() -> None:
    heads, losses = load_dataset("llm_heads"), load_dataset("llm_families")
    assert (heads["run"] == "").sum() == 4
    named = heads[heads["run"] != ""].merge(losses.drop_duplicates("run"), on=["family", "run"])
    assert len(named) == 21
    assert named[named["width_x"] != named["width_y"]]["run"].tolist() == ["opt-350m"]
    times_random = heads["overlap_ms"] * heads["width"]
    assert (round(times_random.min()), round(times_random.median()), round(times_random.max())) == (5, 23, 99)


def test_gemstones_main_subset_is_crossed() -> None:
    frame = load_dataset("gemstones").query("subset == 'hot_100b+'")
    assert (len(frame), frame["run"].nunique()) == (770, 22)


def test_toy_slopes_are_met() -> None:
    strong = load_dataset("toy_published_losses").query("figure == 'Fig-1-2d'")
    for distribution, first in [("exponential", 0), ("power_law", 2), ("linear", 2)]:
        curve = strong[strong["distribution"] == distribution].iloc[first:]
        slope, _ = np.polyfit(np.log(curve["width"]), np.log(curve["loss"]), 1)
        assert slope == pytest.approx(published_value(f"liu2025.toy.{distribution}.slope").value, abs=1e-5)


def test_a_changed_table_is_refused(own_data: Path) -> None:
    table = own_data / "chinchilla" / "table.csv"
    table.write_bytes(table.read_bytes().replace(b"5.005581996196243", b"5.005581996196244"))
    with pytest.raises(DataError, match=r"'chinchilla' was changed: .*Restore it with: git checkout"):
        load_dataset("chinchilla", root=own_data)
    assert len(load_dataset("open_lm", root=own_data)) == ROWS["open_lm"]


def test_changed_line_endings_are_refused(own_data: Path) -> None:
    table = own_data / "porian" / "table.csv"
    table.write_bytes(table.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(DataError, match="'porian' was changed"):
        load_dataset("porian", root=own_data)


def test_provenance_survives_copies_and_filters() -> None:
    frame = load_dataset("chinchilla")
    provenance = frame.attrs["scalefit"]
    kept = frame[~frame["excluded_liu2026"]].copy()
    assert kept.attrs["scalefit"] == provenance
    assert json.loads(json.dumps(provenance)) == provenance
    assert (provenance["kind"], provenance["name"], provenance["rows"]) == ("dataset", "chinchilla", 245)
    assert provenance["sha256"] == describe_dataset("chinchilla").sha256


def test_frames_are_independent() -> None:
    frame = load_dataset("chinchilla")
    frame["loss"] = -1.0
    assert load_dataset("chinchilla").loc[0, "loss"] > 0


def test_unknown_set_names_the_closest() -> None:
    with pytest.raises(DataError, match=r"unknown dataset 'chinchila': did you mean 'chinchilla'\? Choices: "):
        load_dataset("chinchila")
    with pytest.raises(DataError, match=r"unknown dataset 'gemstone': did you mean 'gemstones'\?"):
        describe_dataset("gemstone")


def test_published_values_carry_their_place() -> None:
    alpha = published_value("besiroglu2024.notebook.alpha")
    assert (alpha.value, alpha.uncertainty, alpha.n_rows) == (0.34781, 0.0154, 240)
    assert (alpha.symbol, alpha.source) == ("alpha", "2404.10102")
    assert alpha.place
    floor = published_value("hoffmann2022.E")
    assert (floor.value, floor.uncertainty, floor.n_rows) == (1.69, None, None)


@pytest.mark.parametrize(
    ("key", "value", "uncertainty"),
    [
        ("liu2025.alpha", 0.91, 0.04),
        ("liu2025.chinchilla.alpha_m", 0.88, 0.06),
        ("liu2025.chinchilla.k", 2.52, 0.03),
        ("liu2026_depth.a_m", 0.977, 0.083),
        ("liu2026_depth.a_l", 1.20, 0.27),
        ("liu2026_depth.a_D", 0.299, 0.014),
        ("besiroglu2024.B", 2085.43, 1293.23),
        ("hoffmann2022.unrounded.beta", 0.2849083, None),
        ("hoffmann2022.approach_1.a", 0.50, None),
        ("muennighoff2023.rD", 15.387756, None),
        ("tao2024.alpha2", 0.671, None),
        ("bhagia2024.hellaswag.step_2.acc", 0.8415671300246522, None),
    ],
)
def test_claims_under_test_are_shipped(key: str, value: float, uncertainty: float | None) -> None:
    claim = published_value(key)
    assert (claim.value, claim.uncertainty) == (value, uncertainty)


def test_published_keys_are_unique_and_fit_their_laws() -> None:
    frame = load_dataset("published_values")
    assert frame["key"].is_unique
    assert set(frame["data"]) <= {"", *ROWS}
    for key, symbol, law in zip(frame["key"], frame["symbol"], frame["law"], strict=True):
        assert key.endswith(f".{symbol}")
        if law:
            parsed = parse_law(law)
            names = {*parsed.variables, *(parameter.name for parameter in parsed.parameters)}
            assert symbol.removeprefix("ln_").partition("[")[0] in names, key


def test_unknown_published_value_lists_those_of_the_paper() -> None:
    with pytest.raises(DataError, match=r"'hoffmann2022.alfa': did you mean 'hoffmann2022.alpha'\?") as caught:
        published_value("hoffmann2022.alfa")
    assert "liu2025" not in str(caught.value)
    with pytest.raises(DataError, match=r"'liu2026.a_m': .*Choices: besiroglu2024, bhagia2024, hoffmann2022, "):
        published_value("liu2026.a_m")


def test_missing_data_folder_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalefit.data.datasets.__file__", str(tmp_path / "scalefit" / "data" / "datasets.py"))
    with pytest.raises(DataError, match="missing from this installation; install it again"):
        data_directory()


def test_installed_wheel_layout_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "scalefit" / "_data"
    shutil.copytree(data_directory(), installed)
    monkeypatch.setattr("scalefit.data.datasets.__file__", str(tmp_path / "scalefit" / "data" / "datasets.py"))
    assert data_directory() == installed
    assert len(load_dataset("chinchilla")) == 245


def test_no_machine_path_in_the_data_folder() -> None:
    for path in data_directory().rglob("*.*"):
        absolute = re.search(r"(?:^|[\s\"'(`=])/\w+/", path.read_text(encoding="utf-8"))
        assert absolute is None, path


def test_the_rows_of_a_shipped_set_are_that_set() -> None:
    """Otherwise two fits of one table would count as independent."""
    options = {"drop_highest_loss": 5, "bootstrap": 0}
    table = load_dataset("chinchilla")
    by_name, by_rows = fit("chinchilla", "chinchilla", **options), fit(table, "chinchilla", **options)
    assert by_rows.source.sha256 == by_name.source.sha256 == describe_dataset("chinchilla").sha256
    changed = fit(table.assign(loss=table["loss"] * 1.01), "chinchilla", **options)
    assert changed.source.sha256 != by_name.source.sha256
