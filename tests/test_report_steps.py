"""Studies with work beside the fits: how it is asked for, kept, shown, and said when there is no answer."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader

import scalefit
from scalefit.comparison import LevelFits
from scalefit.data.datasets import published_value
from scalefit.errors import DataError, FitFailed, StudyError
from scalefit.estimate import Estimate
from scalefit.options import Bayes, Question
from scalefit.report import build_report, sections, steps, work
from scalefit.report.blocks import Block
from scalefit.report.checks import check_study
from scalefit.report.claims import claim_verdict
from scalefit.report.levels_section import _table as levels_table
from scalefit.report.reader import read_study
from scalefit.report.resolve import drafted, resolved_hash, resolved_text
from scalefit.report.results import Results
from scalefit.report.sections import write_section
from scalefit.report.spec import Section
from scalefit.report.steps import StepFailed, run_step, step_command, step_key
from scalefit.report.study import CalibrationStep, SensitivityStep, Study, with_defaults
from scalefit.report.work import Work

FIT = """
title = "Runs"

[defaults]
bootstrap = 50

[[fit]]
name = "main"
data = "runs.csv"
law = "loss ~ E + A/params^alpha"
"""
SENSITIVITY = """
[[sensitivity]]
name = "choices"
data = "runs.csv"
law = "loss ~ E + A/params^alpha"
param = "alpha"
reference = 0.5
region = [0.4, 0.6]
likelihood = "normal"
path = "fast"
draws = 400
vary = { likelihood = ["student_t"], prior = ["HalfNormal(2)", "Uniform(0, 3)"] }
"""
CALIBRATION = """
[[calibration]]
name = "trust"
data = "runs.csv"
law = "loss ~ E + A/params^alpha"
likelihood = "normal"
truth = "posterior"
path = "fast"
draws = 400
n = 10
"""
TOY = """
[[toy]]
name = "sweep"
grid = "toy.toml"
language_models = false
"""
SECTIONS = """
[[section]]
title = "Choices"
kind = "sensitivity"
steps = ["choices"]

[[section]]
title = "Trust"
kind = "calibration"
steps = ["trust"]

[[section]]
title = "Toys"
kind = "toy"
steps = ["sweep"]

[[section]]
title = "Claims"
kind = "claims"

[[section.claims]]
says = "An exponent"
published = [{ label = "Hoffmann et al. 2022", key = "hoffmann2022.alpha" }]
fit = "main"
parameter = "alpha"
because = "Other runs: here it is {main.alpha:value}."
"""
GRID = "width = [3, 5, 8, 12]\nn_features = 40\nalpha = 1\ngamma = -1\nseeds = 1\nsteps = [40, 80]\nbatch = 32\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with every kind of step, built once."""
    folder = tmp_path_factory.mktemp("steps")
    rng = np.random.default_rng(0)
    params = np.geomspace(1e7, 1e10, 24)
    loss = (1.8 + 2000 / params**0.5) * np.exp(rng.normal(0, 0.003, 24))
    pd.DataFrame({"params": params, "loss": loss}).to_csv(folder / "runs.csv", index=False)
    (folder / "toy.toml").write_text(GRID, encoding="utf-8")
    (folder / "study.toml").write_text(FIT + SENSITIVITY + CALIBRATION + TOY + SECTIONS, encoding="utf-8")
    build_report(folder / "study.toml", out=folder / "first.pdf")
    return folder


def study(folder: Path) -> Study:
    return with_defaults(read_study(folder / "study.toml"))


def text_of(pdf: Path) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())


@pytest.mark.parametrize(("count", "wide"), [(3, True), (8, False)])
def test_many_levels_are_rows_of_their_table_and_few_are_columns(count: int, wide: bool) -> None:
    params = np.tile(np.geomspace(1e7, 1e9, 6), count)
    noise = np.exp(0.01 * np.random.default_rng(2).standard_normal(len(params)))
    labels = np.repeat([f"l{i}" for i in range(count)], 6)
    rows = pd.DataFrame({"params": params, "loss": 30 / params**0.2 * noise, "language": labels})
    block = levels_table(scalefit.fit_levels(rows, "loss ~ A/params^alpha", "language", uncertainty="hc3"))
    levels, names = [f"l{i}" for i in range(count)], ["rows", "scatter", "A", "alpha"]
    head, side = (levels, names) if wide else (names, levels)
    plain = ["".join(map(str, cell)) for cell in block["header"]]
    assert plain == ["", *head]
    assert ["".join(map(str, row[0])) for row in block["rows"]] == side


def test_levels_have_a_table_a_test_and_a_forest(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows = [
        {"params": size, "corpus": corpus, "loss": (1.5 + scale * size**-0.3) * np.exp(rng.normal(0, 0.002))}
        for corpus, scale in (("web", 300.0), ("code_2", 150.0)) for size in np.geomspace(1e7, 1e10, 16)
    ]  # fmt: skip
    pd.DataFrame([*rows, {"params": 1e8, "corpus": "rare", "loss": 2.0}]).to_csv(tmp_path / "runs.csv", index=False)
    head = '\n[[levels]]\nname = "each"\ndata = "runs.csv"\nlaw = "loss ~ E + A/params^alpha"\nby = '
    section = '\n[[section]]\ntitle = "Corpora"\nkind = "levels"\nsteps = ["each"]\n'
    answer = '\n[[answer]]\nrule = "step"\nstep = "each"\n'
    (tmp_path / "study.toml").write_text(f'{FIT}{head}"corpus"\n{answer}{section}', encoding="utf-8")
    plan = study(tmp_path)
    assert step_command(plan.levels[0]) == [
        'scalefit fit runs.csv "loss ~ E + A/params^alpha" --bootstrap 50 --by corpus'
    ]
    levels = run_step(plan.levels[0], tmp_path, tmp_path / "cells", None)
    assert isinstance(levels, LevelFits)
    assert (sorted(levels.fits), list(levels.failed)) == (["code_2", "web"], ["rare"])
    text = text_of(build_report(tmp_path / "study.toml", out=tmp_path / "levels.pdf"))
    assert "Alpha can be one number" in text
    assert "Corpus = rare is not fitted" in text
    assert f"{levels['code_2']['alpha'].value:.2f}"[:4] in text
    (tmp_path / "study.toml").write_text(f'{FIT}{head}"corpsu"\n{section}', encoding="utf-8")
    with pytest.raises(DataError, match="did you mean 'corpus'"):
        build_report(tmp_path / "study.toml")


BUDGETS = """
[[isoflop]]
name = "corpora"
label = "Marin"
data = "marin_isoflop"
where = "outlier == false"
by = "train_set"

[[isoflop]]
name = "tuned"
label = "Porian"
data = "porian"
where = "configuration == 'rw-tuned-short-const-standard-val'"

[[section]]
title = "Compute"
kind = "optimum"
fit = "main"
elsewhere = ["tuned", "corpora"]

[[section]]
title = "Claims"
kind = "claims"

[[section.claims]]
says = "Best parameters"
published = [{ label = "Porian et al. 2024", key = "porian2024.tuned.a" }]
"""
LARGE = FIT.replace("runs.csv", "chinchilla").replace("loss ~ E + A/params^alpha", "chinchilla")


def test_best_sizes_at_budgets_are_claims_and_other_data(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(f'{LARGE}{BUDGETS}step = "tuned"\npower = "params"\n', encoding="utf-8")
    plan = study(tmp_path)
    check_study(plan)
    steps = {step.name: run_step(step, tmp_path, tmp_path / "cells", None) for step in plan.isoflop}
    fits = {"main": scalefit.fit("chinchilla", "chinchilla", bootstrap=50)}
    results = Results(fits, plan.labels, {spec.name: spec for spec in plan.fit}, tmp_path, steps)
    compute, claims = (write_section(section, results) for section in plan.section)
    direct = scalefit.isoflop("porian", where="configuration == 'rw-tuned-short-const-standard-val'")
    power = direct.approach("approach 2").exponent
    (powers,) = (block for block in compute if block["kind"] == "table" and "Powers of compute" in block["caption"][0])
    rows = {row[0][0]: row for row in powers["rows"]}
    assert list(rows) == ["main", "Porian", "Marin, comma", "Marin, dclm", "Marin, nemotron"]
    assert rows["Porian"][2][0].startswith(f"{power.value:.3f} [")
    words = " ".join(str(run) for block in compute for run in block.get("runs", ())).replace("\u00a0", " ")
    assert "parameters grow with a power of compute from 0.426 [0.395, 0.458] (“Marin, comma”) to 0.514" in words
    (table,) = (claim for claim in claims if claim["kind"] == "table")
    (row,) = table["rows"]
    assert row[1] == ["0.4969\nPorian et al. 2024"]
    assert row[2][0].replace("\u00a0", " ").startswith(f"{power.value:.3f} ± {(power.hi - power.lo) / 2 / 1.96:.3f}")
    assert row[3][0].startswith("Inside the interval, 1.1 errors away.")
    assert step_command(plan.isoflop[0])[0].startswith("scalefit isoflop marin_isoflop --where")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("", "needs either fit, a refit, or step"),
        ('fit = "main"\nstep = "tuned"\n', "needs either fit, a refit, or step"),
        ('step = "tuned"\n', "with a step needs power, the quantity that grows; [Cc]hoices: params, tokens"),
        ('step = "tuned"\npower = "flops"\n', "needs power, the quantity that grows"),
        ('step = "sweep"\npower = "params"\n', r"needs an \[\[isoflop\]\] step; 'sweep' is another"),
    ],
)  # fmt: skip
def test_a_claim_has_one_refit(tmp_path: Path, keys: str, message: str) -> None:
    sweep = '\n[[toy]]\nname = "sweep"\ndata = "toy_strong"\n'
    (tmp_path / "study.toml").write_text(f"{LARGE}{sweep}{BUDGETS}{keys}", encoding="utf-8")
    with pytest.raises(StudyError, match=message):
        check_study(study(tmp_path))


@pytest.mark.slow
def test_every_step_is_told(folder: Path) -> None:
    text = text_of(folder / "first.pdf")
    assert "That it lies between 0.4 and " in text
    assert "Of 10 data sets, nominal 95% intervals cover the truth in " in text
    assert "Of 1 printed number, 1 is outside its interval." in text
    assert "Exponent of the toy models’ loss over the widths m" in text
    assert "#   scalefit toy sweep toy.toml --out sweep" in (folder / "first.resolved.toml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_second_build_writes_nothing_anew_and_gives_the_same_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a part that has not changed was written again")

    monkeypatch.setattr(sections, "write_section", never)
    monkeypatch.setattr(sections, "_front", never)
    again = build_report(folder / "study.toml", out=folder / "second.pdf")
    assert again.read_bytes() == (folder / "first.pdf").read_bytes()


@pytest.mark.slow
def test_a_changed_section_is_the_only_one_written_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "other.toml").write_text(
        (folder / "study.toml").read_text(encoding="utf-8").replace('says = "An exponent"', 'says = "Another"'),
        encoding="utf-8",
    )
    written: list[str] = []

    def noted(section: Section, results: Results) -> list[Block]:
        written.append(section.kind)
        return write_section(section, results)

    monkeypatch.setattr(sections, "write_section", noted)
    build_report(folder / "other.toml", out=folder / "other.pdf")
    assert written == ["claims"]


@pytest.mark.slow
def test_a_changed_fit_is_told_where_it_is_used(folder: Path) -> None:
    work = Work(study(folder))
    work.part({"title": "x"}, lambda: ([{"number": work.fits["main"].n_rows}], {}))
    kept, _ = work.part({"title": "x"}, lambda: ([{"number": -1}], {}))
    assert kept == [{"number": 24}]
    plan = study(folder)
    fewer = replace(plan.fit[0], selection=replace(plan.fit[0].selection, drop_highest_loss=2))
    changed = Work(replace(plan, fit=(fewer,)))
    now, _ = changed.part({"title": "x"}, lambda: ([{"number": changed.fits["main"].n_rows}], {}))
    assert now == [{"number": 22}]


@pytest.mark.slow
def test_a_changed_step_is_told_where_it_is_used(folder: Path) -> None:
    plan = study(folder)
    first = Work(plan)
    first.part({"title": "w"}, lambda: ([{"level": first.steps["choices"].level}], {}))  # type: ignore[union-attr]
    step = replace(plan.sensitivity[0], model=replace(plan.sensitivity[0].model, level=0.9))
    changed = Work(replace(plan, sensitivity=(step,)))
    now, _ = changed.part({"title": "w"}, lambda: ([{"level": changed.steps["choices"].level}], {}))  # type: ignore[union-attr]
    assert now == [{"level": 0.9}]


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"{}", b"[]", b"{", b"\xff"])
def test_what_is_no_part_is_written_again(folder: Path, content: bytes) -> None:
    made = Work(study(folder))
    made.part({"title": "y"}, lambda: ([{"number": 1}], {}))
    (newest,) = [path for path in (folder / ".cache").glob("*.part") if b'[{"number": 1}]' in path.read_bytes()]
    newest.write_bytes(content)
    now, _ = made.part({"title": "y"}, lambda: ([{"number": 1}], {}))
    assert now == [{"number": 1}]
    assert b'[{"number": 1}]' in newest.read_bytes()


@pytest.mark.slow
def test_a_part_is_of_the_versions_it_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Work(study(folder))
    plan.part({"title": "z"}, lambda: ([{"number": 1}], {}))
    monkeypatch.setattr(work, "versions", lambda *_: "numpy 99")
    now, _ = plan.part({"title": "z"}, lambda: ([{"number": 2}], {}))
    assert now == [{"number": 2}]


@pytest.mark.slow
def test_a_claims_figure_follows_the_first_fit(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "runs.csv").write_bytes((folder / "runs.csv").read_bytes())
    other = FIT.partition("[[fit]]")[2].replace('"main"', '"other"')
    head, main = FIT.split("[[fit]]")
    section = '[[section]]\ntitle = "C"\nkind = "claims"\nfigures = [{ kind = "residuals" }]\n'
    section += "[[section.claims]]" + SECTIONS.partition("[[section.claims]]")[2]
    captions = []
    for fits in (f"[[fit]]{main}[[fit]]{other}", f"[[fit]]{other}[[fit]]{main}"):
        (tmp_path / "study.toml").write_text(head + fits + section, encoding="utf-8")
        plan = study(tmp_path)
        blocks, _ = sections.compose(plan, Work(plan))
        captions.append(
            [str(block["caption"]) for block in blocks if block["kind"] == "figure" and "Residuals" in str(block)]
        )
    assert captions[0] != captions[1]


def test_the_page_is_not_written_over_the_pdf(folder: Path) -> None:
    with pytest.raises(DataError, match="would be both the PDF and the page"):
        build_report(folder / "study.toml", out=folder / "report.html", html=True)


def test_the_resolved_study_is_the_same_study(folder: Path) -> None:
    plan = study(folder)
    text = resolved_text(plan)
    table = tomllib.loads(text)
    assert table["fit"][0]["bootstrap"] == 50
    assert table["fit"][0]["delta"] == 1e-3  # a default, written out
    assert "runs: sha256" in text
    (folder / "resolved.toml").write_text(text, encoding="utf-8")
    again = with_defaults(read_study(folder / "resolved.toml"))
    assert resolved_hash(again) == resolved_hash(plan)


def test_a_draft_draws_less_and_trains_nothing(folder: Path) -> None:
    given = study(folder).calibration[0]
    slow = replace(given, model=Bayes(path="full"), simulation=replace(given.simulation, n=50))
    plan = drafted(replace(study(folder), calibration=(slow,)))
    assert plan.draft
    assert plan.calibration[0].model.path == "fast"
    assert not plan.toy
    assert plan.fit[0].options.bootstrap == 50  # not more than was asked for
    assert plan.calibration[0].simulation.n == 10
    assert "Toys" not in {section.title for section in plan.section}
    assert plan.left_out == ("A draft trains no toy models: sweep.",)


def test_a_step_without_an_answer_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise FitFailed("no chain agrees with another", None)

    monkeypatch.setattr(steps, "calibrate", fail)
    spec = CalibrationStep("trust", "chinchilla", "chinchilla")
    assert run_step(spec, tmp_path, tmp_path / "cells", None) == StepFailed("no chain agrees with another")


def test_a_step_is_repeated_by_its_command() -> None:
    question = Question(param="a_m", region=(0.9, 1.1), vary={"prior": ["HalfNormal(1)", "Uniform(0, 3)"]})
    (line,) = step_command(SensitivityStep("x", "chinchilla", "width_depth", question=question))
    assert line.startswith('scalefit sensitivity chinchilla "loss ~ E + c_m/width^a_m')
    assert "--region 0.9,1.1 --vary 'prior=HalfNormal(1);Uniform(0, 3)'" in line


def test_a_step_depends_on_its_grid(folder: Path, tmp_path: Path) -> None:
    spec = study(folder).toy[0]
    (tmp_path / "toy.toml").write_text(GRID, encoding="utf-8")
    assert step_key(spec, tmp_path) == step_key(spec, folder)
    (tmp_path / "toy.toml").write_text(GRID.replace("80", "90"), encoding="utf-8")
    assert step_key(spec, tmp_path) != step_key(spec, folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SENSITIVITY.replace('param = "alpha"', 'param = "beta"'), "param is 'beta'; choices: A, E, alpha"),
        (
            SENSITIVITY.replace("reference", "referense"),
            r"\[\[sensitivity\]\] 1: unknown key 'referense'; did you mean",
        ),
        (SENSITIVITY.replace('name = "choices"', 'name = "main"'), "two parts of the study are called 'main'"),
        (CALIBRATION.replace("n = 10", "n = 10.5"), r"\[\[calibration\]\] 1: n is 10.5; it must be a whole number"),
        (CALIBRATION.replace("n = 10", "n = 3"), r"\[\[calibration\]\] 1: n is 3; at least 10"),
        (SENSITIVITY.replace("reference = 0.5", "reference = true"), "reference is True; it must be a number"),
        ('[[fit]]\nname = "x"\ndata = "runs.csv"\nlaw = "params"\nseed = "x"\n', "seed is 'x'; it must be a whole"),
        ('[[fit]]\nname = "x"\ndata = "runs.csv"\nlaw = "params"\nderive = "x"\n', "derive is 'x'; it must be a list"),
        (
            CALIBRATION.replace('data = "runs.csv"', 'data = "run.csv"'),
            "data 'run.csv' is neither a file in the folder of the study",
        ),
        (CALIBRATION.replace('law = "loss ~ E + A/params^alpha"\n', ""), r"\[\[calibration\]\] 1: 'law' is missing"),
        ('[[toy]]\nname = "x"\n', "needs either data, an existing sweep, or grid"),
        ('[[section]]\ntitle = "x"\nkind = "toy"\nsteps = ["none"]\n', "there is no step 'none'"),
        (SENSITIVITY + '[[section]]\ntitle = "x"\nkind = "toy"\nsteps = ["choices"]\n', "'choices' is another"),
    ],
)
def test_refusals_name_the_place(folder: Path, text: str, message: str) -> None:
    (folder / "bad.toml").write_text(FIT + text, encoding="utf-8")
    with pytest.raises(StudyError, match=message):
        check_study(with_defaults(read_study(folder / "bad.toml")))


@pytest.mark.parametrize(
    ("printed", "words", "verdict"),
    [
        (1.02, "Reproduced, 0.2 errors away.", "reproduced"),
        (1.15, "Inside the interval, 1.5", "inside"),
        (1.5, "Outside", "outside"),
    ],
)
def test_distances_are_told_in_errors_of_the_refit(printed: float, words: str, verdict: str) -> None:
    estimate = Estimate("a", "exponent", 1.0, 0.1, 0.8, 1.2, gauss_newton=0.1)
    found = claim_verdict(replace(published_value("liu2025.alpha"), value=printed), estimate)
    assert str(found).startswith(words)
    assert found.kind == verdict


@pytest.mark.parametrize("error", [0.0, float("nan")])
def test_a_refit_without_an_error_reproduces_nothing(error: float) -> None:
    estimate = Estimate("a", "exponent", 1.0, error, 1.0, 1.0, gauss_newton=0.1)
    found = claim_verdict(published_value("liu2025.alpha"), estimate)
    assert (str(found), found.kind) == ("The refit has no standard error for a comparison.", "open")
