"""How far an answer moves: the rows of an independent study, the choices that are tried, what is said about them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import scalefit
from scalefit.cli import main
from scalefit.data.datasets import load_dataset
from scalefit.errors import DataError, LawError
from scalefit.estimate import Estimate
from scalefit.law.additive import Law
from scalefit.leastsq import fit
from scalefit.options import Rows
from scalefit.posterior import bayes
from scalefit.problem import build_problem
from scalefit.robustness import Choice, Sensitivity, VariedAnswer, sensitivity, sensitivity_run
from scalefit.robustness.variations import default_vary, expand, read_vary, split_values

BASE: dict[str, Any] = {
    "drop_highest_loss": 40, "ties": "keep", "where": None, "mapping": {}, "derive": [], "weights": None,
    "likelihood": "normal", "cluster": None, "prior": None, "exponents": "nonnegative",
}  # fmt: skip


@pytest.fixture(scope="module")
def studied() -> Sensitivity:
    """The base of the depth study, and a row that cannot be fitted."""
    return sensitivity(
        "chinchilla", "width_depth", param="a_m", reference=1, region=(0.9, 1.1), likelihood="normal",
        drop_highest_loss=40, ties="keep", workers=1, draws=3000,
        vary={"ties": ["drop"], "likelihood": ["student_t", "squared"], "cluster": ["run"],
              "prior": "HalfNormal(1); Uniform(0, 3)"},
    )  # fmt: skip


def test_the_verdict_on_the_width_exponent_hangs_on_the_cut_and_the_errors(studied: Sensitivity) -> None:
    table = studied.table.set_index("choice")
    assert list(table.index) == [
        "base", "ties=drop", "likelihood=student_t", "likelihood=squared", "cluster=run", "prior=Uniform(0, 3)",
    ]  # fmt: skip
    assert table["n_rows"].to_dict() | {"cluster=run": None} == {
        "base": 205, "ties=drop": 203, "likelihood=student_t": 205, "likelihood=squared": 205, "cluster=run": None,
        "prior=Uniform(0, 3)": 205,
    }  # fmt: skip
    # from four chains of NUTS in a study of these rows
    for choice, probability, mean in (
        ("base", 0.66, 0.926), ("ties=drop", 0.81, 0.959), ("likelihood=student_t", 0.34, 0.878),
    ):  # fmt: skip
        assert table.loc[choice, "inside"] == pytest.approx(probability, abs=0.04)
        assert table.loc[choice, "estimate"] == pytest.approx(mean, abs=0.02)
    assert table.loc["prior=Uniform(0, 3)", "estimate"] == pytest.approx(0.918, abs=0.02)
    assert table.loc["base", "below"] + table.loc["base", "above"] == pytest.approx(1)


def test_240_rows_with_student_t_exclude_the_region() -> None:
    result = sensitivity(
        "chinchilla", "width_depth", param="a_m", region=(0.9, 1.1), drop_highest_loss=5, vary={"ties": ["drop"]},
        workers=1, design="grid",
    )  # fmt: skip
    assert len(result.answers) == 1
    assert result.base.probability(0.9, 1.1) == pytest.approx(0.08, abs=0.03)


def test_a_bootstrap_is_marked_and_has_no_probability(studied: Sensitivity) -> None:
    row = studied.table.set_index("choice").loc["likelihood=squared"]
    assert row["engine"] == "bootstrap, not a posterior"
    assert np.isnan(row["inside"])
    assert np.isnan(row["below"])
    assert row["verdict"] == ""
    plain = fit("chinchilla", "width_depth", drop_highest_loss=40, ties="keep", bootstrap=3000)
    assert (row["estimate"], row["se"]) == (plain["a_m"].value, plain["a_m"].se)
    assert "Bootstraps, which are not posteriors and give no probabilities: least squares 0.9" in studied.summary()


def test_a_row_that_cannot_be_fitted_has_its_reason(studied: Sensitivity) -> None:
    row = studied.table.set_index("choice").loc["cluster=run"]
    assert (row["status"], np.isnan(row["estimate"]), np.isnan(row["inside"])) == ("failed", True, True)
    assert "a different value in every row" in row["reason"]
    assert "No answer for cluster=run: cluster column 'run' has a different value" in studied.summary()
    assert studied.exit_code == 0


def test_rows_are_the_fits_that_a_user_would_make() -> None:
    """Every dimension arrives at the fit: cut, condition, columns, cluster, prior, sign of exponents."""
    table = load_dataset("chinchilla")
    result = sensitivity(
        table, "loss ~ E + A/params^alpha + B/tokens^beta", param="alpha", workers=1, draws=200, path="fast",
        likelihood="normal",
        vary={
            "where": ["tokens > 5e9"], "mapping": ["tokens=flops"], "cluster": ["shape"],
            "prior": ["Uniform(0, 2)"], "exponents": ["free"],
        },
    )  # fmt: skip
    options: list[dict[str, Any]] = [
        {}, {"where": "tokens > 5e9"}, {"mapping": {"tokens": "flops"}}, {"cluster": "shape"},
        {"priors": {"alpha": "Uniform(0, 2)"}}, {"exponents": "free"},
    ]  # fmt: skip
    for answer, given in zip(result.answers, options, strict=True):
        direct = bayes(table, Law.parse(result.law), likelihood="normal", draws=200, path="fast", throw=False, **given)
        assert answer.n_rows == direct.n_rows
        assert answer.status == direct.status
        if direct.status == "not converged":
            assert np.isnan(answer.estimate.value)
        else:
            assert answer.estimate.value == direct["alpha"].value
            assert answer.estimate.se == direct["alpha"].se


def test_choices_are_changed_one_at_a_time_or_all_together() -> None:
    vary = read_vary(
        {"likelihood": "student_t,squared", "drop_highest_loss": "0,5", "prior": "Uniform(0,3),Normal(1,1)"}
    )
    assert vary["drop_highest_loss"] == [0, 5]
    one = expand(BASE, vary, "one")
    assert [choice.label for choice in one] == [
        "base", "likelihood=student_t", "likelihood=squared", "drop_highest_loss=0", "drop_highest_loss=5",
        "prior=Uniform(0, 3)", "prior=Normal(1, 1)",
    ]  # fmt: skip
    grid = expand(BASE, vary, "grid")
    assert len(grid) == 3 * (2 * 3 + 1)  # a prior means nothing to least squares
    assert grid[0].changed == ()
    assert len({json.dumps(choice.options, sort_keys=True) for choice in grid}) == len(grid)
    uncut = expand(BASE | {"drop_highest_loss": 0}, {"ties": ["drop"]}, "one")
    assert len(uncut) == 1  # without a cut there are no ties to break


def test_values_are_split_outside_brackets_and_quotes() -> None:
    assert split_values("Uniform(0,3),HalfNormal(1)") == ["Uniform(0,3)", "HalfNormal(1)"]
    assert split_values("params=N,tokens=D;params=M") == ["params=N,tokens=D", "params=M"]
    assert split_values("subset == 'a,b',none") == ["subset == 'a,b'", "none"]


@pytest.mark.parametrize(
    ("data", "law", "options", "expected"),
    [
        (
            "chinchilla", "width_depth", {"drop_highest_loss": 40, "ties": "keep"},
            {
                "likelihood": ["student_t", "normal", "squared", "huber"], "drop_highest_loss": [0, 5],
                "ties": ["drop"], "cluster": [None, "shape"],
                "where": [
                    "width >= 1000", "width <= 3100", "width != 5120", "width != 4608", "width != 4352",
                    "depth >= 18", "tokens >= 6.2e9", "tokens <= 8.13e10",
                ],
                "prior": ["HalfNormal(0.5)", "HalfNormal(2)", "Uniform(0, 3)"],
            },
        ),
        (
            "open_lm", "loss ~ E + A/params^alpha + B/tokens^beta", {"where": "train_set == 'c4_original'"},
            {"mapping": [{"params": "params_non_embedding"}]},
        ),
    ],
)  # fmt: skip
def test_what_is_varied_by_default_follows_from_data_and_law(
    data: str, law: str, options: dict[str, Any], expected: dict[str, list[Any]]
) -> None:
    base = BASE | {"drop_highest_loss": 0, "ties": "drop"} | options
    parsed = Law.parse(law)
    where = None if data == "chinchilla" else "train_set != ''"
    frame = Rows(where=where, drop_highest_loss=base["drop_highest_loss"], ties=base["ties"]).read(data, parsed).frame
    problem = build_problem(parsed, frame)
    param = "a_m" if law == "width_depth" else "alpha"
    vary = default_vary(frame, parsed, problem, base, param, cut=base["drop_highest_loss"], pooled=False)
    assert {name: vary.get(name) for name in expected} == expected


def test_conditions_that_leave_the_same_rows_count_once() -> None:
    params, tokens = (axis.ravel() for axis in np.meshgrid([1e8, 2e8, 4e8, 8e8, 1.6e9], [1e9, 2e9, 4e9, 8e9, 1.6e10]))
    frame = pd.DataFrame({"params": params, "tokens": tokens, "loss": 2 + 30 / params**0.2 + 50 / tokens**0.25})
    law = Law.parse("loss ~ E + A/params^alpha + B/tokens^beta")
    base = BASE | {"where": None, "drop_highest_loss": 0, "ties": "drop"}
    vary = default_vary(frame, law, build_problem(law, frame), base, "alpha", cut=0, pooled=False)
    left = [frame.query(condition).index.tolist() for condition in vary["where"]]
    assert "params <= 8e8" in vary["where"]  # the same rows as params != 1.6e9
    assert all(left.count(rows) == 1 for rows in left)


def made_up(*rows: tuple[str, float, float]) -> Sensitivity:
    """Rows of normal draws, exactly spread; the first is the base."""
    z = np.linspace(-3, 3, 2001)
    weight = np.exp(-0.5 * z**2)
    draws = np.interp((np.arange(2000) + 0.5) / 2000, np.cumsum(weight) / weight.sum(), z)
    answers = tuple(
        VariedAnswer(
            Choice((("where", label),) if i else (), {"likelihood": "normal"}), "converged", "", 50,
            Estimate(
                "a", "exponent", mean, sd, mean - 1.96 * sd, mean + 1.96 * sd, spread="posterior",
                draws=mean + sd * draws,
            ),
            0.3, "fast",
        )
        for i, (label, mean, sd) in enumerate(rows)
    )  # fmt: skip
    return Sensitivity(
        "loss ~ E + A/n^a", "a", "rows", "0", 1.0, (0.9, 1.1), 0.95, "one", "HalfNormal(1)", answers, 0, "0"
    )


def test_the_summary_says_how_far_what_and_whether_the_verdict_holds() -> None:
    moved = made_up(("base", 1.0, 0.02), ("x > 1", 1.01, 0.02), ("x > 2", 0.8, 0.05))
    assert [moved.judge(answer) for answer in moved.answers] == ["inside", "inside", "outside"]
    assert moved.table["move"].tolist() == pytest.approx([0, 0.5, -10])
    text = moved.summary()
    assert "runs from 0.800 (where=x > 2) to 1.010 (where=x > 1): 10.5 times the standard deviation" in text
    assert "where=x > 2 moves it most, by −10.0 of it" in text
    assert "The verdict depends on the choices: 0.9 < a < 1.1 held with probability 0.95 or more in 2" in text
    assert "excluded with probability 0.95 or more in 1 (where=x > 2)" in text
    still = made_up(("base", 0.92, 0.05), ("x > 1", 0.93, 0.05)).summary()
    assert "No choice moves it by more than 0.5 of that" in still
    assert "The verdict does not change: 0.9 < a < 1.1 neither held nor excluded in every row." in still


def test_the_probability_of_a_region_is_that_of_the_normal_it_was_drawn_from() -> None:
    from scipy import stats

    result = made_up(("base", 0.95, 0.05))
    by_hand = stats.norm(0.95, 0.05).cdf(1.1) - stats.norm(0.95, 0.05).cdf(0.9)
    assert result.table.loc[0, "inside"] == pytest.approx(by_hand, abs=0.003)


def test_finished_rows_are_kept_and_more_values_add_to_them(synthetic: Any, tmp_path: Path) -> None:
    question: dict[str, Any] = {"param": "alpha", "folder": tmp_path, "workers": 1, "draws": 200, "path": "fast"}
    law = "loss ~ E + A/params^alpha + B/tokens^beta"
    first = sensitivity(synthetic, law, vary={"likelihood": ["normal"]}, **question)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(before) == 2
    second = sensitivity(synthetic, law, vary={"likelihood": ["normal"], "drop_highest_loss": [3]}, **question)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(after) == 3
    assert before.items() <= after.items()
    assert second.base.estimate.value == first.base.estimate.value
    sensitivity(synthetic.iloc[:-1], law, vary={"likelihood": ["normal"]}, **question)  # other rows, other files
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"param": "gamma"}, "there is no parameter 'gamma'"),
        ({"param": "alpha", "region": (1.1, 0.9)}, "the smaller first"),
        ({"param": "alpha", "region": (0.9, 1.1), "reference": 2}, "outside the region"),
        ({"param": "alpha", "vary": {"colour": ["red"]}}, "cannot vary 'colour'"),
        ({"param": "alpha", "vary": {"likelihood": ["cauchy"]}}, "likelihood cannot be 'cauchy'"),
        ({"param": "alpha", "vary": {"prior": ["Flat()"]}}, "improper"),
        ({"param": "alpha", "vary": {"ties": []}}, "no value of ties"),
        ({"param": "alpha", "vary": {"ties": ["drop"]}, "design": "all"}, "design is 'all'"),
    ],
)
def test_impossible_questions_are_refused_before_anything_is_computed(
    synthetic: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        sensitivity(synthetic, "loss ~ E + A/params^alpha + B/tokens^beta", **options)


def test_the_picture_shows_the_base_in_blue_and_bootstraps_hollow(studied: Sensitivity) -> None:
    from scalefit.plots.style import BLUE, TEAL

    ax = studied.plot()
    marks = [line for line in ax.lines if line.get_marker() in ("o", "s")]
    assert [mark.get_color() for mark in marks] == [BLUE, *[TEAL] * 4]
    assert [mark.get_markerfacecolor() == "white" for mark in marks] == [False, False, False, True, False]
    assert [float(mark.get_xdata()[0]) for mark in marks] == [
        answer.estimate.value for answer in studied.answers if answer.estimate.is_known
    ]
    said = " ".join(text.get_text() for text in ax.texts)
    assert "a different value in every row" in said
    assert "P(region)" in said
    assert len(ax.get_yticklabels()) == len(studied.answers)


def test_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], my_csv: Path
) -> None:
    picture = tmp_path / "moves.png"
    call = [
        "scalefit", "sensitivity", str(my_csv), "loss ~ E + A/params^alpha + B/tokens^beta", "--map",
        "params=N,tokens=D,loss=val_loss", "--param", "alpha", "--reference", "0.35", "--region", "0.3,0.4", "--vary",
        "likelihood=normal", "--vary", "cluster=none,N", "--path", "fast", "--draws", "300", "--workers", "1",
        "--out", str(picture), "--json",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", call)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["choice"] for row in record["rows"]] == ["base", "likelihood=normal", "cluster=N"]
    assert record["rows"][0]["verdict"] == "inside"
    assert picture.read_bytes().startswith(b"\x89PNG")
    wrong = (("0.3,0.4", "1", "needs two numbers"), (str(picture), "x.gif", "end the name with .svg"))
    for right, given, message in wrong:
        monkeypatch.setattr(sys, "argv", [given if word == right else word for word in call])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2
        assert message in capsys.readouterr().err


def test_the_public_name_is_the_function() -> None:
    with pytest.raises(DataError, match="there is no parameter 'gamma'"):
        scalefit.sensitivity("chinchilla", "chinchilla", param="gamma")


def test_what_only_sums_of_powers_have_is_refused_before_anything_is_fitted(monkeypatch) -> None:
    monkeypatch.setattr(sensitivity_run, "run_jobs", None)
    with pytest.raises(LawError, match=r"pool takes a floor and powers of single columns, such as chinchilla, and not"):
        sensitivity("parscale", "parscale", param="alpha", pool={"E": "full"})
    with pytest.raises(DataError, match=r"exponents='free' .* is for sums of power terms; in a law of another form"):
        sensitivity("parscale", "parscale", param="alpha", exponents="free")
