"""A study of a new table: what its columns allow, why the rest is not there, and that the report can be built."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader

from scalefit.errors import DataError
from scalefit.report import build_report, new_study
from scalefit.report.reader import read_study
from scalefit.report.sections import check_study


def sizes(seed: int = 0, **more: object) -> pd.DataFrame:
    """Thirty runs with other names and units, whose exponents are 0.34 and 0.31."""
    rng = np.random.default_rng(seed)
    n, d = (one.ravel() for one in np.meshgrid([2e7, 5e7, 1e8, 3e8, 1e9, 3e9], [1e9, 3e9, 1e10, 3e10, 1e11]))
    loss = (1.8 + 400 / n**0.34 + 900 / d**0.31) * np.exp(rng.normal(0, 0.004, n.size))
    return pd.DataFrame({"Model Size (M)": n / 1e6, "Tokens (B)": d / 1e9, "val_loss": loss, **more})


def shapes() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [
        (family, m, layers, (floor + 300 / m + 1.5 / layers) * np.exp(rng.normal(0, 0.003)))
        for family, floor in (("A", 1.9), ("B", 2.1))
        for m in (256, 512, 768, 1024, 2048, 4096)
        for layers in (6, 12, 24)
    ]
    return pd.DataFrame(rows, columns=["family", "hidden_size", "n_layers", "eval_loss"])


def made(tmp_path: Path, table: pd.DataFrame, **options: object) -> dict[str, object]:
    table.to_csv(tmp_path / "runs.csv", index=False)
    path = new_study(tmp_path / "mine", tmp_path / "runs.csv", **options)  # type: ignore[arg-type]
    check_study(read_study(path))
    return tomllib.loads(path.read_text(encoding="utf-8"))


def laws(study: dict[str, object]) -> set[str]:
    return {one["law"] for one in study["fit"] if one["data"] == "runs.csv"}  # type: ignore[attr-defined, index]


def test_parameters_and_tokens(tmp_path: Path) -> None:
    study = made(tmp_path, sizes())
    assert laws(study) == {"loss ~ E + A/params^alpha + B/tokens^beta"}
    assert [one["kind"] for one in study["section"] if "kind" in one] == [  # type: ignore[attr-defined]
        "posterior", "optimum", "comparison", "sensitivity", "calibration",
    ]  # fmt: skip
    left_out = " ".join(study["left_out"])  # type: ignore[arg-type]
    assert "no column that is known as width. Map one with --map width=YOUR_COLUMN" in left_out
    assert (tmp_path / "mine" / "runs.csv").is_file()


def test_width_and_depth_with_a_floor_per_family(tmp_path: Path) -> None:
    study = made(tmp_path, shapes())
    assert laws(study) == {"loss ~ E[family] + c_m/width^a_m + c_l/depth^a_l"}
    rules = [one["rule"] for one in study["answer"]]  # type: ignore[attr-defined]
    assert rules == ["law", "reference", "posterior"]
    assert "optimum" not in {one.get("kind") for one in study["section"]}  # type: ignore[attr-defined]
    other = next(one for one in study["section"] if one.get("kind") == "comparison")  # type: ignore[attr-defined]
    assert "no term in tokens" in other["text"][0]


def test_a_run_with_enough_levels_is_a_cluster(tmp_path: Path) -> None:
    few = made(tmp_path, sizes(run=[f"r{i % 6}" for i in range(30)]))
    assert not [one for one in few["fit"] if "cluster" in one]  # type: ignore[attr-defined]
    assert "6 levels of run are too few" in " ".join(few["left_out"])  # type: ignore[arg-type]
    (tmp_path / "more").mkdir()
    many = made(tmp_path / "more", sizes(run=[f"r{i % 15}" for i in range(30)]))
    assert {one["cluster"] for one in many["fit"] if "cluster" in one} == {"run"}  # type: ignore[attr-defined]
    shown = next(one for one in many["fit"] if one["name"] == many["answer"][0]["fit"])  # type: ignore[attr-defined, index]
    assert shown["cluster"] == "run"  # page one has no intervals that take rows of one run as independent
    assert many["fit"][0] == shown  # type: ignore[index]


def test_a_column_that_does_not_vary_is_left_out(tmp_path: Path) -> None:
    study = made(tmp_path, sizes().assign(**{"Tokens (B)": 20}))
    assert laws(study) == {"loss ~ E + A/params^alpha"}
    assert "tokens has fewer than three different values" in " ".join(study["left_out"])  # type: ignore[arg-type]


def test_at_most_two_columns_have_floors_of_their_own(tmp_path: Path) -> None:
    halves, thirds = ["A", "B"] * 15, ["x", "y", "z"] * 10
    study = made(tmp_path, sizes(family=halves, corpus=thirds, recipe=["p"] * 15 + ["q"] * 15))
    assert next(iter(laws(study))).startswith("loss ~ E[family, corpus] + ")
    told = " ".join(study["left_out"])  # type: ignore[arg-type]
    assert "The levels of recipe share a floor: two columns have floors of their own already" in told


@pytest.mark.parametrize(
    ("columns", "law", "words"),
    [
        (["Tokens (B)"], "tokens", "no term in parameters,"),
        (["Model Size (M)"], "size", "no term in tokens,"),
        (["Model Size (M)", "Tokens (B)"], "size and tokens", None),
    ],
)
def test_the_law_is_named_by_its_columns_and_what_it_leaves_out(
    tmp_path: Path, columns: list[str], law: str, words: str | None
) -> None:
    study = made(tmp_path, sizes()[[*columns, "val_loss"]])
    assert study["answer"][0]["title"] == law.capitalize()  # type: ignore[index]
    other = next(one for one in study["section"] if one.get("kind") == "comparison")  # type: ignore[attr-defined]
    assert ("text" in other) == (words is not None)
    assert words is None or words in other["text"][0]


def test_the_standard_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="save the standard input as a file"):
        new_study(tmp_path / "mine", "-")


def test_levels_with_few_rows_share_a_floor(tmp_path: Path) -> None:
    study = made(tmp_path, sizes(family=["A"] * 27 + ["B"] * 3))
    assert laws(study) == {"loss ~ E + A/params^alpha + B/tokens^beta"}
    assert "The levels of family share a floor: 'B' has 3 rows, of 5 needed" in " ".join(study["left_out"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (sizes().rename(columns={"val_loss": "score"}), "no column 'loss'.*map a column"),
        (sizes()[["val_loss"]], "no parameters, tokens, width or depth with three different values"),
        (sizes().assign(val_loss=[np.nan, *[2.0] * 29]), "val_loss.*row|row.*loss"),
        (sizes().assign(val_loss=["oops", *[2.0] * 29]), "oops"),
    ],
)
def test_what_cannot_be_used_leaves_nothing_behind(tmp_path: Path, table: pd.DataFrame, message: str) -> None:
    table.to_csv(tmp_path / "runs.csv", index=False)
    with pytest.raises(DataError, match=message):
        new_study(tmp_path / "mine", tmp_path / "runs.csv")
    assert [one.name for one in tmp_path.iterdir()] == ["runs.csv"]


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path) -> None:
    sizes().to_csv(tmp_path / "runs.csv", index=False)
    (tmp_path / "other.partial").mkdir()
    (tmp_path / "other.partial" / "notes").touch()
    assert new_study(tmp_path / "other", tmp_path / "runs.csv").is_file()
    assert (tmp_path / "other.partial" / "notes").is_file()
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="exists; name a new folder"):
        new_study(tmp_path / "mine", tmp_path / "runs.csv")
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.slow
def test_the_draft_of_a_new_study_is_marked_on_every_page_and_right(tmp_path: Path) -> None:
    sizes().to_csv(tmp_path / "runs.csv", index=False)
    path = build_report(new_study(tmp_path / "mine", tmp_path / "runs.csv"), draft=True, html=True)
    assert path.name == "mine-draft.pdf"
    texts = [" ".join(page.extract_text().split()) for page in PdfReader(path).pages]
    assert all("Draft: few draws, numbers will move" in text for text in texts)
    whole = " ".join(texts)
    assert "the exponent of parameters is 0.34" in whole
    assert "What this report does not have" in whole
    assert "The best use of compute" in whole
    assert "Draft" in path.with_suffix(".html").read_text(encoding="utf-8")


def test_rows_that_cannot_be_used_are_left_out_on_request(tmp_path: Path) -> None:
    study = made(tmp_path, sizes().assign(val_loss=[np.nan, *[2.0 + i / 50 for i in range(29)]]), drop_invalid=True)
    assert all(one["drop_invalid"] for one in study["fit"] if one["data"] == "runs.csv")  # type: ignore[attr-defined]
    assert study["sensitivity"][0]["drop_invalid"]  # type: ignore[index]
