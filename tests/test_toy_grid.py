"""Grids of toy models: what a file may hold, and the message where it holds something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scalefit.errors import DataError
from scalefit.toy import ToyConfig, ToyGrid
from scalefit.toy.grid import DEFAULT_GRID

BASE: dict[str, Any] = {"width": [3, 5], "n_features": 20, "alpha": 1.0}


def grid(**keys: Any) -> ToyGrid:
    return ToyGrid.from_dict({**BASE, **keys})


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_lists_are_combined_and_single_values_are_those_of_every_model(tmp_path: Path) -> None:
    path = written(tmp_path, "width = [3, 5]\nn_features = 20\nalpha = [0, 1.5]\ngamma = -1\nseeds = 3\nsteps = 30\n")
    read = ToyGrid.read(path)
    assert read.name == "mine.toml"
    assert set(read.models) == {
        ToyConfig(width=m, n_features=20, alpha=alpha, gamma=-1.0, seed=seed, steps=30)
        for m in (3, 5) for alpha in (0.0, 1.5) for seed in (0, 1, 2)
    }  # fmt: skip
    assert len(read.models) == 12


def test_seeds_are_a_number_of_them_or_a_list() -> None:
    assert {model.seed for model in grid(seeds=2).models} == {0, 1}
    assert {model.seed for model in grid(seeds=[7, 3]).models} == {3, 7}
    assert {model.seed for model in grid().models} == {0}


def test_the_default_grid_is_the_one_that_is_shown() -> None:
    assert len(ToyGrid.default().models) == 20
    assert {(model.n_features, model.batch, model.gamma, model.steps) for model in ToyGrid.default().models} == {
        (512, 256, gamma, steps) for gamma in (-1.0, 0.2) for steps in (3000, 6000)
    }
    assert "width = [8, 13, 21, 34, 55]" in DEFAULT_GRID


def test_frequencies_are_numbers_a_law_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a a a a b b c d")
    (tmp_path / "counts.csv").write_text("token,count\nx,1\ny,6\nz,3\n")
    text = 'width = 1\nn_features = 3\nfrequency = ["words.txt", "counts.csv", "linear", [5, 3.5, 0]]\n'
    found = ToyGrid.read(written(tmp_path, text)).models
    given = [(0.5, 0.25, 0.125), (0.6, 0.3, 0.1), "linear", (5.0, 3.5, 0.0)]
    assert [model.frequency for model in found] == given
    (model,) = ToyGrid.from_dict({"width": 2, "frequency": [5, 3, 2, 1]}).models
    assert (model.n_features, model.frequency) == (4, (5.0, 3.0, 2.0, 1.0))


def test_a_text_is_read_once_for_all_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words.txt").write_text("a a b c")
    read: list[tuple[Path, int]] = []

    def measure(path: Path, n: int) -> tuple[float, ...]:
        read.append((path, n))
        return (0.5, 0.25, 0.25)

    monkeypatch.setattr("scalefit.toy.grid.read_frequencies", measure)
    ToyGrid.from_dict({"width": [1, 2], "n_features": 3, "frequency": "words.txt", "seeds": 5}, folder=tmp_path)
    assert read == [(tmp_path / "words.txt", 3)]


def test_in_a_grid_over_laws_each_has_its_own_parameter_only() -> None:
    laws = ["power", "exponential", "linear"]
    found = grid(width=3, frequency=laws, alpha=[1.0, 2.0], scale=5).models
    assert [(model.frequency, model.alpha, model.scale) for model in found] == [
        ("power", 1.0, None), ("power", 2.0, None), ("exponential", None, 5.0), ("linear", None, None)
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"grid: alpha = 1: the linear law of frequencies has no alpha; leave it out"):
        grid(frequency=["linear", "exponential"], scale=5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"witdh": 3}, r"grid: a grid has no key 'witdh'; did you mean 'width'\?"),
        ({"seed": 3}, r"a grid has no key 'seed'; did you mean 'seeds'\?"),
        ({"loss_samples": [100, 200]}, r"grid: loss_samples is \[100, 200\]; it must be a whole number, such as"),
        ({"loss_samples": 10}, "grid: loss_samples is 10; it must be at least 32"),
        ({"los_samples": 100}, r"a grid has no key 'los_samples'; did you mean 'loss_samples'\?"),
        ({"width": 20}, r"grid: width = 20 with n_features = 20: .*choose a smaller width"),
        ({"width": []}, "grid: width is an empty list; give at least one value"),
        ({"width": [3, 5, 3]}, "grid: the model of width 3 occurs twice; give every value of a list once"),
        ({"width": 3.0}, r"grid: width = 3.0; it takes a whole number, or a list of such"),
        ({"width": True}, r"grid: width = True; it takes a whole number"),
        ({"n_features": 1}, r"n_features = 1: a whole number of at least 2"),
        ({"seeds": 0}, "grid: seeds = 0; give how many, at least 1, or a list of them"),
        ({"seeds": [1, 1]}, "the model of width 3 occurs twice"),
        ({"seeds": -1}, "seeds = -1; give how many"),
        ({"gamma": "strong"}, "gamma = 'strong'; it takes a number, or a list of such"),
        ({"gamma": float("nan")}, "gamma = nan: the decay must be a finite number"),
        ({"learning_rate": "smal"}, r"learning_rate = 'smal' is neither a number nor a rule: did you mean 'small'\?"),
        ({"learning_rate": {}}, r"learning_rate = {}; it takes a number or a rule"),
        ({"warmup": "long"}, "warmup = 'long'; it takes a whole number"),
        ({"steps": [100, 10], "warmup": 20}, r"warmup = 20: it must be at least 0 and end before step 10"),
        ({"density": 30}, r"density = 30 makes feature 1 active with probability .* can be at most"),
        ({"alpha": None}, "alpha = None; it takes a number"),
        ({"frequency": "exponental", "alpha": 1}, r"neither a file nor a law; did you mean 'exponential'\?"),
        ({"frequency": 3}, "frequency = 3; it takes a law, a file, or one number for each feature"),
        ({"frequency": [[1, "a"]]}, r"frequency has \[1, 'a'\]; frequencies are numbers"),
        ({"frequency": [[]]}, r"frequency has \[\]; frequencies are numbers"),
    ],
)
def test_what_cannot_be_used_is_named(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        grid(**keys)


def test_bad_numbers_for_features_are_named() -> None:
    with pytest.raises(DataError, match="grid: all 3 frequencies are zero: no feature would ever be active"):
        ToyGrid.from_dict({"width": 1, "frequency": [0, 0, 0]})
    with pytest.raises(DataError, match="frequency -1 of feature 2: frequencies are finite and not negative"):
        ToyGrid.from_dict({"width": 1, "frequency": [2, -1, 0]})
    with pytest.raises(DataError, match="3 frequencies for n_features = 4; give one each"):
        ToyGrid.from_dict({"width": 1, "frequency": [3, 1, 1], "n_features": 4})
    with pytest.raises(DataError, match="a grid needs width, such as"):
        ToyGrid.from_dict({"n_features": 20})
    with pytest.raises(DataError, match="alpha = None: the power law of frequencies needs a finite number for alpha"):
        ToyGrid.from_dict({"width": 3})


def test_files_that_are_no_grid_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the grid '.*none\.toml': No such file"):
        ToyGrid.read(tmp_path / "none.toml")
    with pytest.raises(DataError, match=r"mine\.toml' is not valid TOML"):
        ToyGrid.read(written(tmp_path, "width = "))
    with pytest.raises(DataError, match=r"mine\.toml: a grid has no key 'grid'"):
        ToyGrid.read(written(tmp_path, "[grid]\nwidth = 3"))
    (tmp_path / "few.csv").write_text("a,5\n")
    with pytest.raises(DataError, match=r"mine\.toml: .*few\.csv has 1 tokens with a count above 0; 20 are needed"):
        ToyGrid.read(written(tmp_path, 'width = 3\nn_features = 20\nfrequency = "few.csv"'))
