"""A study of a new table: what its columns allow, why the rest is not there, and that the report can be built."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader

from scalefit.errors import DataError, StudyError
from scalefit.leastsq import fit
from scalefit.posterior import bayes
from scalefit.report import Study, build_report, new_study
from scalefit.report.blocks import heading, table
from scalefit.report.checks import check_study
from scalefit.report.choice import choose
from scalefit.report.reader import read_study
from scalefit.report.resolve import drafted
from scalefit.report.results import Results
from scalefit.report.runs_page import budget_sentence
from scalefit.report.spec import ComputeAnswer
from scalefit.report.standin import StandIn, stand_in
from scalefit.report.steps import StepFailed
from scalefit.report.study import FitSpec, with_defaults
from scalefit.report.tables_file import tables_text
from scalefit.report.work import Work
from scalefit.results import Fit


def sizes(seed: int = 0, **more: object) -> pd.DataFrame:
    """Thirty runs with other names and units, whose exponents are 0.34 and 0.31."""
    rng = np.random.default_rng(seed)
    n, d = (
        axis_values.ravel() for axis_values in np.meshgrid([2e7, 5e7, 1e8, 3e8, 1e9, 3e9], [1e9, 3e9, 1e10, 3e10, 1e11])
    )
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


def made(tmp_path: Path, runs: pd.DataFrame, **options: object) -> dict[str, object]:
    runs.to_csv(tmp_path / "runs.csv", index=False)
    path = new_study(tmp_path / "mine", tmp_path / "runs.csv", **options)  # type: ignore[arg-type]
    check_study(read_study(path))
    return tomllib.loads(path.read_text(encoding="utf-8"))


def laws(study: dict[str, object]) -> set[str]:
    return {fit["law"] for fit in study["fit"] if fit["data"] == "runs.csv"}  # type: ignore[attr-defined, index]


def test_parameters_and_tokens(tmp_path: Path) -> None:
    study = made(tmp_path, sizes())
    assert laws(study) == {"loss ~ E + A/params^alpha + B/tokens^beta"}
    kinds = [section["kind"] for section in study["section"] if "kind" in section]  # type: ignore[attr-defined]
    assert kinds == ["optimum", "sensitivity", "calibration"]  # and nothing about the data of others
    assert {fit["data"] for fit in study["fit"]} == {"runs.csv"}  # type: ignore[attr-defined]
    left_out = " ".join(study["left_out"])  # type: ignore[arg-type]
    assert "no column for width. Map one with --map width=YOUR_COLUMN" in left_out
    assert (tmp_path / "mine" / "runs.csv").is_file()


def test_width_and_depth_with_a_floor_per_family(tmp_path: Path) -> None:
    study = made(tmp_path, shapes())
    assert laws(study) == {"loss ~ E[family] + c_m/width^a_m + c_l/depth^a_l"}
    rules = [answer["rule"] for answer in study["answer"]]  # type: ignore[attr-defined]
    assert rules == ["runs", "misfit", "reference", "posterior"]
    assert "optimum" not in {section.get("kind") for section in study["section"]}  # type: ignore[attr-defined]
    (tmp_path / "other").mkdir()
    study = made(tmp_path / "other", shapes(), beside="chinchilla")
    other = next(section for section in study["section"] if section.get("kind") == "comparison")  # type: ignore[attr-defined]
    assert "no term in tokens" in other["text"][0]


def test_a_run_with_enough_levels_is_a_cluster(tmp_path: Path) -> None:
    few = made(tmp_path, sizes(run=[f"r{i % 6}" for i in range(30)]))
    assert not [fit for fit in few["fit"] if "cluster" in fit]  # type: ignore[attr-defined]
    assert "6 levels of run are too few" in " ".join(few["left_out"])  # type: ignore[arg-type]
    (tmp_path / "more").mkdir()
    many = made(tmp_path / "more", sizes(run=[f"r{i % 15}" for i in range(30)]))
    assert {fit["cluster"] for fit in many["fit"] if "cluster" in fit} == {"run"}  # type: ignore[attr-defined]
    shown = next(fit for fit in many["fit"] if fit["name"] == many["answer"][0]["fit"])  # type: ignore[attr-defined, index]
    assert shown["cluster"] == "run"  # page one has no intervals that take rows of one run as independent
    assert many["fit"][0] == shown  # type: ignore[index]


def test_a_column_that_does_not_vary_is_left_out(tmp_path: Path) -> None:
    study = made(tmp_path, sizes().assign(**{"Tokens (B)": 20}))
    assert laws(study) == {"loss ~ E + A/params^alpha"}
    assert "tokens has fewer than three different values" in " ".join(study["left_out"])  # type: ignore[arg-type]


def test_at_most_two_columns_have_floors_of_their_own(tmp_path: Path) -> None:
    family, corpus = ["A", "B"] * 15, ["x", "x", "y"] * 10
    study = made(tmp_path, sizes(family=family, corpus=corpus, recipe=["p"] * 15 + ["q"] * 15))
    assert next(iter(laws(study))).startswith("loss ~ E[family, corpus] + ")
    told = " ".join(study["left_out"])  # type: ignore[arg-type]
    assert "The levels of recipe share a floor: two columns have separate floors already" in told


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
    study = made(tmp_path, sizes()[[*columns, "val_loss"]], beside="chinchilla")
    assert study["section"][0]["title"] == f"The fit: {law}"  # type: ignore[index]
    other = next(section for section in study["section"] if section.get("kind") == "comparison")  # type: ignore[attr-defined]
    assert ("text" in other) == (words is not None)
    assert words is None or words in other["text"][0]


def test_the_standard_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="save it as a file, and name that file"):
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
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


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


def grid(**more: object) -> pd.DataFrame:
    """Four sizes at five numbers of tokens, three runs each; the mean of three neighbours is a function of neither."""
    n, d, _ = (
        axis_values.ravel()
        for axis_values in np.meshgrid([1e8, 3e8, 1e9, 3e9], [2e9, 5e9, 1e10, 3e10, 1e11], [0, 1, 2])
    )
    table = pd.DataFrame({"params": n, "tokens": d, "loss": 1.8 + 400 / n**0.34 + 900 / d**0.31})
    return table.assign(**{name: column(table) if callable(column) else column for name, column in more.items()})


def size_words(table: pd.DataFrame) -> pd.Series:
    return table["params"].map({1e8: "tiny", 3e8: "small", 1e9: "base", 3e9: "large"})


PLAIN = "loss ~ E + A/params^alpha + B/tokens^beta"
THIRDS = ["opt", "neo", "opt"] * 20


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (size_words, "it is params in other words"),
        (lambda table: size_words(table) + [" a", " b", " a"] * 20, "each of its levels has one value of params"),
        (lambda table: np.where(table["params"] < 5e8, "small", "large"), "its levels are ranges of params"),
        (lambda table: table["tokens"].map("{:.0f} tokens".format), "it is tokens in other words"),
        (lambda table: (table["tokens"] / table["params"] > 20).map({True: "over", False: "under"}),
         "its levels are ranges of tokens per parameter"),
        (lambda table: (table["tokens"] * table["params"] > 1e19).map({True: "big", False: "little"}),
         "its levels are ranges of compute (params × tokens)"),
        (lambda _: ["9f3c2ab", "81d04ee", "9f3c2ab"] * 20, "it records how a run was made"),
        (lambda _: ["2024-05-01 10:00", "2024-05-02T11:30", "2024-05-01 10:00"] * 20, "it records how a run was made"),
        (lambda _: ["opt", None, "neo"] * 20, "it is empty in 20 rows"),
        (lambda _: [f"level {i % 15}" for i in range(60)], "15 levels are more than 12"),
    ],
)  # fmt: skip
def test_a_label_that_stands_for_a_quantity_or_for_nothing_has_no_floors(column: object, reason: str) -> None:
    choice = choose(grid(label=column))
    assert choice.laws == {"size": PLAIN}
    assert f"The levels of label share a floor: {reason}" in " ".join(choice.left_out)
    assert choose(grid(label=THIRDS)).laws == {"size": PLAIN.replace("E", "E[label]", 1)}  # one that does


@pytest.mark.parametrize("name", ["git_commit", "Created At", "host", "status", "eval/seed"])
def test_a_column_of_bookkeeping_has_no_floors(name: str) -> None:
    choice = choose(grid(**{name: THIRDS}))
    assert choice.laws == {"size": PLAIN}
    assert f"The levels of {name} share a floor: it records how a run was made" in " ".join(choice.left_out)


def test_sizes_written_as_text_are_a_quantity_and_no_label(tmp_path: Path) -> None:
    text = grid().assign(size=lambda table: (table["params"] / 1e6).map("{:g}M".format)).drop(columns="params")
    for mapping in ({"params": "size"}, {"params": "N"}):
        renamed = text.rename(columns={"size": mapping["params"]})
        assert choose(renamed, mapping=mapping).laws == {"size": PLAIN}
    renamed.to_csv(tmp_path / "runs.csv", index=False)
    assert choose(tmp_path / "runs.csv").laws == {"size": PLAIN}


def test_labels_that_part_the_rows_alike_have_one_floor_between_them() -> None:
    same = choose(grid(family=THIRDS, tokenizer=["x" if label == "opt" else "y" for label in THIRDS]))
    assert same.laws == {"size": PLAIN.replace("E", "E[family]", 1)}
    assert "The levels of tokenizer share a floor: it groups the rows as family does" in " ".join(same.left_out)
    finer = choose(grid(family=THIRDS, recipe=["o1", "n", "o2"] * 20))
    assert finer.laws == same.laws
    assert "each level of recipe lies in one level of family" in " ".join(finer.left_out)


def test_two_labels_whose_combinations_stand_for_a_size_have_one_floor_between_them() -> None:
    """Neither of the two is the size, but both together are."""
    halves = {2e7: "A", 5e7: "B", 1e8: "A", 3e8: "B", 1e9: "A", 3e9: "B"}
    thirds = {2e7: "x", 5e7: "y", 1e8: "z", 3e8: "x", 1e9: "y", 3e9: "z"}
    table = sizes().rename(columns={"Model Size (M)": "params"})
    table["params"] *= 1e6
    choice = choose(table.assign(family=table["params"].map(halves), corpus=table["params"].map(thirds)))
    assert choice.laws["size"].startswith("loss ~ E[family] + ")
    assert "corpus share a floor: together with family it would encode params" in " ".join(choice.left_out)


def test_floors_are_counted_by_the_combinations_that_occur() -> None:
    """Ten families and ten corpora in ten of a hundred combinations: ten floors, which 180 rows can have."""
    table = pd.concat([grid()] * 3, ignore_index=True)
    own = [f"f{i % 9}" for i in range(180)]
    choice = choose(table.assign(family=own, corpus=[f"c{min(int(label[1:]), 7)}" for label in own]))
    assert choice.laws["size"].startswith("loss ~ E[family] + ")
    many = choose(table.assign(family=[f"f{i % 6}" for i in range(180)], corpus=[f"c{i // 6 % 6}" for i in range(180)]))
    assert "together with family it has 36 levels, more than 24" in " ".join(many.left_out)


def test_only_rows_that_remain_count() -> None:
    table = grid(sweep=["lr", "main", "main"] * 20, family=["opt", "neo", "opt"] * 20)
    table.loc[table["sweep"] == "main", "tokens"] = 1e11
    choice = choose(table, where='sweep == "main"')
    assert choice.laws == {"size": "loss ~ E[family] + A/params^alpha"}
    assert len(choice.frame) == 40
    assert "tokens has fewer than three different values" in " ".join(choice.left_out)
    assert "sweep" not in " ".join((*choice.reasons, *choice.left_out))


def test_a_label_whose_name_no_law_can_hold_is_renamed_in_the_study(tmp_path: Path) -> None:
    table = grid(**{"Model Family": THIRDS, "model_family": "all", "E": ["p"] * 30 + ["q"] * 30})
    study = made(tmp_path, table)
    assert laws(study) == {PLAIN.replace("E", "E[model_family_2, e]", 1)}
    mine = [fit for fit in study["fit"] if fit["data"] == "runs.csv"]  # type: ignore[attr-defined]
    assert all(fit["mapping"] == {"model_family_2": "Model Family", "e": "E"} for fit in mine)
    written = (tmp_path / "mine" / "study.toml").read_text(encoding="utf-8")
    assert "# A floor for each of the 2 levels of Model Family, written model_family_2 in the law" in written


@pytest.mark.parametrize(
    ("tokens", "law"),
    [
        (lambda table: 20 * table["params"], "loss ~ E + A/params^alpha"),  # one line through the plane
        (lambda table: table["params"].map({1e8: 3e9, 3e8: 2e9, 1e9: 9e9, 3e9: 4e9}), "loss ~ E + A/params^alpha"),
        (lambda table: table["params"] * ([10.0, 20.0, 40.0] * 20), PLAIN),
    ],
)
def test_a_quantity_that_follows_another_has_no_term(tokens: object, law: str) -> None:
    choice = choose(grid(tokens=tokens))
    assert choice.laws == {"size": law}
    assert ("tokens follows params" in " ".join(choice.left_out)) == (law != PLAIN)


def checkpoints(runs: int, length: int = 12, **more: object) -> pd.DataFrame:
    """Runs that are evaluated as they go."""
    rows = [(f"run-{r}", step, 1e8 * 2 ** (r % 4), 1e8 * step * (1 + r % 3)) for r in range(runs)
            for step in range(1, length + 1)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["Run Name", "_step", "params", "tokens"])
    return table.assign(loss=1.8 + 400 / table["params"] ** 0.34 + 900 / table["tokens"] ** 0.31, **more)


@pytest.mark.parametrize(
    ("table", "cluster", "words"),
    [
        (checkpoints(12), "Run Name", "Rows are checkpoints of 12 runs (Run Name, with rising _step)"),
        (checkpoints(6), "Run Name", "Rows are checkpoints of 6 runs"),
        (checkpoints(4), "", "although they are checkpoints of 4 runs (Run Name): so few runs cannot be resampled"),
        (checkpoints(12).drop(columns="Run Name"), "", "the column _step suggests checkpoints of fewer runs"),
        (grid(run_name=[f"r{i}" for i in range(60)]), "", "independent runs: every row has a different run_name"),
        (grid(run=[f"r{i // 2}" for i in range(60)]), "run", "Rows of one run share its errors"),
        (grid(), "", "there is no column such as run or run_name"),
    ],
)
def test_rows_of_one_run_are_recognised(table: pd.DataFrame, cluster: str, words: str) -> None:
    choice = choose(table)
    assert choice.cluster == cluster
    assert words in " ".join((*choice.reasons, *choice.left_out))


def test_reasons_are_told_and_written(tmp_path: Path) -> None:
    grid(label=size_words).to_csv(tmp_path / "runs.csv", index=False)
    told: list[str] = []
    path = new_study(tmp_path / "mine", tmp_path / "runs.csv", tell=told.append)
    assert told[0] == f"{PLAIN}, because params and tokens vary in these rows."
    assert "The levels of label share a floor: it is params in other words." in told
    written = path.read_text(encoding="utf-8")
    assert all(f"# {sentence}\n" in written for sentence in told)


def test_an_optional_quantity_with_holes_is_left_out_and_stops_nothing(tmp_path: Path) -> None:
    study = made(tmp_path, grid(width=[512.0, np.nan, 1024.0] * 20))
    assert laws(study) == {PLAIN}
    assert "width is missing or not positive in 20 of 60 rows" in " ".join(study["left_out"])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["study.toml", "chinchilla"])
def test_a_table_whose_name_means_something_else_to_a_study(tmp_path: Path, name: str) -> None:
    grid().to_csv(tmp_path / name, index=False)
    path = new_study(tmp_path / "mine", tmp_path / name)
    plan = read_study(path)
    assert plan.fit[0].data == f"table-{name}"
    assert (path.parent / plan.fit[0].data).read_bytes() == (tmp_path / name).read_bytes()


def test_an_interrupted_start_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid().to_csv(tmp_path / "runs.csv", index=False)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scalefit.report.new.shutil.copy2", interrupt)
    with pytest.raises(KeyboardInterrupt):
        new_study(tmp_path / "mine", tmp_path / "runs.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


def drafted_study(tmp_path: Path, table: pd.DataFrame) -> Study:
    table.to_csv(tmp_path / "runs.csv", index=False)
    return drafted(with_defaults(read_study(new_study(tmp_path / "mine", tmp_path / "runs.csv"))))


def test_a_draft_of_a_long_table_leaves_steps_out_and_says_so(tmp_path: Path) -> None:
    short = drafted_study(tmp_path, grid())
    assert [step.name for step in short.steps] == ["size_choices", "size_trust"]
    (tmp_path / "more").mkdir()
    long = drafted_study(tmp_path / "more", checkpoints(25, 200))
    assert not long.steps
    assert not {section.kind for section in long.section} & {"sensitivity", "calibration"}
    assert "This draft omits “size and tokens · simulated”: its fits evaluate the law" in " ".join(long.left_out)


def diverged() -> pd.DataFrame:
    """Runs of which one diverged: squares follow it, Huber's loss and Student's t do not."""
    rng = np.random.default_rng(3)
    table = grid(run_name=[f"run-{i:02d}" for i in range(60)])
    table["loss"] *= np.exp(rng.normal(0, 0.003, 60))
    table.loc[23, "loss"] = 11.2
    return table


@pytest.fixture(scope="module")
def diverged_fits() -> dict[str, Fit]:
    common = {"bootstrap": 200, "throw": False}
    return {"size": fit(diverged(), PLAIN, **common), "size_huber": fit(diverged(), PLAIN, loss="huber", **common)}


def spec(name: str, *instead: str) -> FitSpec:
    return FitSpec(name, "runs.csv", PLAIN, instead=instead)


def test_a_robust_fit_answers_where_one_row_ruins_the_squares(diverged_fits: dict[str, Fit]) -> None:
    specs = {"size": spec("size", "size_huber"), "size_huber": spec("size_huber")}
    found = stand_in("size", diverged_fits, specs)
    assert found.name == "size_huber"
    assert "row 24 (run_name run-23), where loss is 11.2, lies far from this law and makes up 9" in found.reason
    assert stand_in("size", {"size": diverged_fits["size"]}, {"size": spec("size")}).name == "size"
    assert stand_in("size_huber", diverged_fits, specs) == StandIn("size_huber", "")


def test_squares_answer_for_themselves_where_no_row_decides_them(diverged_fits: dict[str, Fit]) -> None:
    sound = fit(diverged().drop(index=23), PLAIN, bootstrap=200)
    fits = {"size": sound, "size_huber": diverged_fits["size_huber"]}
    assert stand_in("size", fits, {"size": spec("size", "size_huber")}) == StandIn("size", "")


def test_a_step_on_a_fit_without_an_answer_is_left_out(tmp_path: Path) -> None:
    plan = drafted_study(tmp_path, grid())
    work = Work(replace(plan, calibration=tuple(replace(step, needs="size") for step in plan.calibration)))
    bad = fit(diverged().assign(loss=1.0 + diverged()["params"] / 1e10), PLAIN, bootstrap=0, throw=False)
    assert bad.status == "not identified"
    work.fits = {"size": bad}  # type: ignore[assignment]
    found = work.steps["size_trust"]
    assert found == StepFailed(
        "it is omitted because it is based on the fit “size and tokens · squares”, which is not identified."
    )


def test_priors_alone_give_no_best_run(tmp_path: Path) -> None:
    """Where only a posterior converges, what it calls best is what the priors call best."""
    runs = diverged().drop(index=23)
    bad = fit(runs.assign(loss=1.0 + runs["params"] / 1e10), PLAIN, bootstrap=0, throw=False)
    fits: dict[str, Fit] = {"size": bad, "size_huber": bad, "size_post": bayes(runs, PLAIN, path="fast")}
    specs = {
        "size": spec("size", "size_huber", "size_post"),
        **{name: spec(name) for name in ("size_huber", "size_post")},
    }
    assert not stand_in("size", fits, specs).identified
    sentence = budget_sentence(ComputeAnswer(fit="size", compute=1e22), Results(fits, {}, specs, tmp_path))
    assert sentence.startswith("No answer: these runs alone do not determine the law")
    given = budget_sentence(ComputeAnswer(fit="size_post", compute=1e22), Results(fits, {}, specs, tmp_path))
    assert "tokens" in given


def test_a_draft_omits_the_answers_of_steps_that_it_omits(tmp_path: Path) -> None:
    grid().to_csv(tmp_path / "runs.csv", index=False)
    path = new_study(tmp_path / "mine", tmp_path / "runs.csv")
    trained = '\n[[toy]]\nname = "sweep"\ngrid = "grid.toml"\n\n[[answer]]\nrule = "step"\nstep = "sweep"\n'
    (tmp_path / "mine" / "grid.toml").touch()
    text = re.sub(r"^answer = \[.*?^\]\n", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    path.write_text(text + trained, encoding="utf-8")
    plan = with_defaults(read_study(path))
    assert [answer.rule for answer in plan.answer] == ["step"]
    assert drafted(plan).answer == ()


def test_a_fit_of_another_law_cannot_stand_in(tmp_path: Path) -> None:
    grid().to_csv(tmp_path / "runs.csv", index=False)
    path = new_study(tmp_path / "mine", tmp_path / "runs.csv")
    wrong = path.read_text(encoding="utf-8").replace('    "size_huber",\n', '    "other",\n', 1)
    other = '\n[[fit]]\nname = "other"\ndata = "runs.csv"\nlaw = "params"\n'
    path.write_text(wrong + other, encoding="utf-8")
    with pytest.raises(StudyError, match="'other' fits another law; name a fit of loss ~ E"):
        read_study(path)


@pytest.mark.slow
def test_page_one_answers_by_a_robust_fit_and_names_the_row(tmp_path: Path, run: Callable[..., Any]) -> None:
    diverged().to_csv(tmp_path / "runs.csv", index=False)
    code, _, told = run("report", "--new", tmp_path / "mine", "--data", tmp_path / "runs.csv", "--draft")
    assert code == 0
    assert told.index(f"{PLAIN}, because") < told.index("written: ")
    path = tmp_path / "mine" / "mine-draft.pdf"
    page = " ".join(PdfReader(path).pages[0].extract_text().split())
    assert "These 60 rows determine the law by Huber’s loss: the exponent of parameters is 0.3" in page
    assert "row 24 (run_name run-23), where loss is 11.2, lies far from this law" in page
    assert "no answer" not in page.replace("Plain least squares have no answer", "")
    first = path.read_bytes()
    build_report(tmp_path / "mine", draft=True)
    assert path.read_bytes() == first


@pytest.mark.slow
def test_where_only_priors_answer_page_one_and_the_exit_code_say_so(tmp_path: Path, run: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    noise = grid()[["params", "tokens"]].assign(loss=np.exp(rng.normal(1, 0.01, 60)))  # the loss depends on nothing
    noise.to_csv(tmp_path / "runs.csv", index=False)
    code, _, told = run("report", "--new", tmp_path / "mine", "--data", tmp_path / "runs.csv", "--draft")
    assert code == 1
    assert "these rows do not answer the main question: its fit is not" in told
    pages = [" ".join(page.extract_text().split()) for page in PdfReader(tmp_path / "mine" / "mine-draft.pdf").pages]
    assert "These 60 rows alone do not determine the law. With the help of priors" in pages[0]
    assert "these rows do not identify the law, and priors decide the rest" in pages[0]
    assert "The best use of compute is omitted because it is based on the fit “size and tokens · squares”" in " ".join(
        pages
    )


@pytest.mark.slow
def test_the_draft_of_a_new_study_is_marked_on_every_page_and_right(tmp_path: Path) -> None:
    sizes().to_csv(tmp_path / "runs.csv", index=False)
    path = build_report(new_study(tmp_path / "mine", tmp_path / "runs.csv"), draft=True, html=True)
    assert path.name == "mine-draft.pdf"
    texts = [" ".join(page.extract_text().split()) for page in PdfReader(path).pages]
    assert all("Draft: few draws, numbers will change" in text for text in texts)
    whole = " ".join(texts)
    assert "These 30 rows determine the law: the exponent of parameters is 0.34" in texts[0]
    assert "Best use of compute. With 2e22 FLOP" in texts[0]
    assert len(texts) <= 6
    assert "hinchilla" not in whole  # nor any other data set
    assert "What this report does not include" in whole
    assert "The best use of compute" in whole
    assert "Draft" in path.with_suffix(".html").read_text(encoding="utf-8")


def test_rows_that_cannot_be_used_are_left_out_on_request(tmp_path: Path) -> None:
    study = made(tmp_path, sizes().assign(val_loss=[np.nan, *[2.0 + i / 50 for i in range(29)]]), drop_invalid=True)
    assert all(fit["drop_invalid"] for fit in study["fit"] if fit["data"] == "runs.csv")  # type: ignore[attr-defined]
    assert study["sensitivity"][0]["drop_invalid"]  # type: ignore[index]


def test_several_files_become_one_table_with_the_options_of_a_fit(tmp_path: Path) -> None:
    table = sizes().rename(columns={"val_loss": "nats"})
    for seed, part in ((0, table.iloc[::2]), (1, table.iloc[1::2])):
        early = part.assign(nats=part["nats"] + 1, step=1)
        pd.concat([early, part.assign(step=2)]).drop(columns="Tokens (B)").assign(
            batch_tokens=list(part["Tokens (B)"] * 1e9) * 2
        ).to_csv(tmp_path / f"run-{seed}.csv", index=False)  # fmt: skip
    options: dict[str, Any] = {
        "name_fields": "run-{seed}.csv", "mapping": {"loss": "nats"}, "columns": {"tokens": "batch_tokens*1"},
        "group_by": "params,tokens,seed", "reduce": "last:step",
    }  # fmt: skip
    path = new_study(tmp_path / "mine", str(tmp_path / "run-*.csv"), **options)
    assert sorted(path.name for path in (tmp_path / "mine" / "runs").iterdir()) == ["run-0.csv", "run-1.csv"]
    plan = with_defaults(read_study(path))
    check_study(plan)
    main = Work(plan).fits["size"]
    assert main.n_rows == 30  # one row of each run, the later one
    assert abs(main["alpha"].value - 0.34) < 4 * main["alpha"].se


def test_a_column_that_belongs_to_a_named_law_calls_for_it(tmp_path: Path) -> None:
    fractions = sizes().assign(unique_tokens=[1e9, 5e9, 2e10] * 10)
    study = made(tmp_path, fractions)
    assert all("unique_tokens" in law and "0.35" not in law for law in laws(study))  # with no number of its paper
    assert "because the table has unique_tokens" in (tmp_path / "mine" / "study.toml").read_text(encoding="utf-8")
    (tmp_path / "given").mkdir()
    assert laws(made(tmp_path / "given", fractions, law="chinchilla")) == {PLAIN}


def test_what_page_one_is_asked_for_is_in_the_study(tmp_path: Path) -> None:
    asked = {
        "compute": 1e22,
        "at": ("params=70B,tokens=1.4T",),
        "title": "Ours",
        "author": "A. B.",
        "template": "letter",
    }
    study = made(tmp_path, sizes(), **asked)
    assert (study["title"], study["author"], study["template"]) == ("Ours", "A. B.", "letter")
    rules = {answer["rule"]: answer for answer in study["answer"]}  # type: ignore[attr-defined]
    assert rules["budget"]["compute"] == 1e22
    assert rules["step"]["step"] == "target"
    assert study["forecast"][0]["at"] == ["params=70B,tokens=1.4T"]  # type: ignore[index]
    with pytest.raises(DataError, match="at is '70B'; it needs columns and values"):
        new_study(tmp_path / "other", tmp_path / "runs.csv", at=("70B",))


@pytest.mark.parametrize(
    ("data", "message"),
    [(["runs.csv", "chinchilla"], "'chinchilla' is a shipped data set.*give it alone"), (["."], "is a folder")],
)
def test_what_cannot_be_copied_is_refused(tmp_path: Path, data: list[str], message: str) -> None:
    sizes().to_csv(tmp_path / "runs.csv", index=False)
    (tmp_path / "table.csv").touch()  # as in the folder of a toy sweep
    paths = [name if name == "chinchilla" else str(tmp_path / name) for name in data]
    with pytest.raises(DataError, match=message):
        new_study(tmp_path / "mine", paths)


def test_tables_are_written_in_both_languages() -> None:
    blocks = [
        heading("The fit & more"),
        table("Estimates of $a_m$.", ["", "50% low"], [["$alpha$", "0.34 ± 0.01"], ["a_b|c", "−2"]], align="lr"),
    ]
    markdown = tables_text(blocks, "markdown")
    assert markdown.startswith("## The fit & more\n\nTable 1. Estimates of $a_{m}$.\n\n|  | 50% low |\n| :-- | --: |\n")
    assert r"| $\alpha$ | 0.34 ± 0.01 |" in markdown
    assert r"| a\_b\|c | −2 |" in markdown
    latex = tables_text(blocks, "latex")
    assert r"\section*{The fit \& more}" in latex
    assert r"$\alpha$ & 0.34 $\pm$ 0.01 \\" in latex
    assert r" & 50\% low \\" in latex
    assert latex.count(r"\begin{tabular}{lr}") == latex.count(r"\end{tabular}") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--html", "no.toml"], "there is no study 'no.toml'"),  # taken for the study
        (["--html", "interactive", "no.toml"], "there is no study 'no.toml'"),
        (["no.toml", "--title", "Ours"], "--title goes with --new; a study that is there has its settings in"),
        (["--data", "runs.csv"], "give a study.toml to build, or --new FOLDER with --data TABLE"),
    ],
)
def test_what_the_command_refuses(run: Callable[..., Any], words: list[str], message: str) -> None:
    code, _, told = run("report", *words)
    assert code == 2
    assert message in told


def test_one_fit_for_each_level_on_request(tmp_path: Path) -> None:
    runs = sizes(**{"data mix": ["web", "code"] * 15})
    study: dict[str, Any] = made(tmp_path, runs, by="data mix")
    assert "E[data_mix]" in study["fit"][0]["law"]
    (levels,) = study["levels"]
    assert (levels["by"], levels["law"]) == ("data mix", "loss ~ E + A/params^alpha + B/tokens^beta")
    assert "mapping" not in levels
    assert [answer["rule"] for answer in study["answer"][:3]] == ["runs", "misfit", "step"]
    assert study["answer"][2] == {"title": "One law for every data mix?", "rule": "step", "step": "size_levels"}
    assert [section["steps"] for section in study["section"] if section.get("kind") == "levels"] == [["size_levels"]]
    mapped = {"loss": "val_loss", "corpus": "data mix"}
    (tmp_path / "mapped").mkdir()
    again: dict[str, Any] = made(tmp_path / "mapped", runs, by="corpus", mapping=mapped)
    assert again["levels"][0]["mapping"] == mapped
    with pytest.raises(DataError, match="no column 'data mx'; did you mean 'data mix'"):
        new_study(tmp_path / "other", tmp_path / "runs.csv", by="data mx")
    with pytest.raises(DataError, match="by is 'tokens', a column of the law"):
        new_study(tmp_path / "other", tmp_path / "runs.csv", by="tokens")
    assert not (tmp_path / "other").exists()
