"""Backtests and plans: scores counted by hand, truth found again on simulated tables, choices by brute force."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import scalefit
from scalefit.data.datasets import load_dataset
from scalefit.errors import DataError
from scalefit.forecasting.backtest import backtest, judge_cell, public_cuts
from scalefit.forecasting.coverage import held_in_backtest, public_backtest, public_table
from scalefit.forecasting.inputs import read_learning
from scalefit.forecasting.learned import ALL, learned
from scalefit.forecasting.methods import METHODS, predict_ahead
from scalefit.forecasting.plan import BASELINES, plan
from scalefit.forecasting.rule import Runs, varying
from scalefit.forecasting.scores import BINS, PROBABILITIES, BacktestResult, LawRank, scores, weighted_median
from scalefit.options import Forecasting, Rows
from tests.reference.learn_forecast import learn_constants, learn_prior


def simulated(noise: float = 0.003, seed: int = 0, bend: float = 0.0) -> pd.DataFrame:
    """Runs of an additive law whose losses drift upwards with compute where bend is not 0."""
    params = np.repeat(np.geomspace(3e7, 3e9, 6), 3)
    tokens = params * np.tile([8.0, 20.0, 50.0], 6)
    drift = bend * np.maximum(np.log(params * tokens / 1e17), 0) ** 2
    loss = (1.7 + 400 / params**0.34 + 410 / tokens**0.28) * np.exp(drift)
    return pd.DataFrame(
        {"params": params, "tokens": tokens, "loss": loss * np.exp(noise * np.random.default_rng(seed).normal(size=18))}
    )


def judged(**columns: Any) -> pd.DataFrame:
    """Forecasts of the log loss 0 with quantiles around a median."""
    frame = pd.DataFrame({"collection": "a", "table": "t", "cut": 1.0, "ratio": 3.0, "observed": 0.0, **columns})
    for p in PROBABILITIES:
        frame[f"q{100 * p:g}"] = frame["q50"] + (p - 0.5)
    return frame


def test_scores_are_those_counted_by_hand() -> None:
    found = scores(judged(q50=[0.0, 0.2, 0.5, -0.4])).iloc[0]
    assert (found["cells"], found["rows"]) == (1, 4)
    assert (found["share50"], found["share80"], found["share90"]) == (0.5, 0.75, 0.75)
    assert found["error"] == pytest.approx(0.2)
    assert found["bias"] == pytest.approx(0.0)
    assert found["score"] == pytest.approx(0.9 + 20 * 0.05 / 4)


def test_cells_share_their_weight_and_collections_grow_with_its_root() -> None:
    rows = judged(
        q50=[0.0, 0.0, 1.0, 1.0, 0.0], table=["t", "t", "u", "v", "w"], collection=["a", "a", "a", "a", "b"],
    )  # fmt: skip
    weight = np.array([0.5, 0.5, 1, 1, 0]) / np.sqrt(3) + np.array([0, 0, 0, 0, 1])
    held = np.array([1, 1, 0, 0, 1])
    assert scores(rows).iloc[0]["share90"] == pytest.approx(weight @ held / weight.sum())
    assert list(scores(rows.assign(ratio=[3, 6, 30, 300, 1]))["least"]) == [least for least, _ in BINS]


def test_a_method_without_an_answer_holds_nothing() -> None:
    rows = judged(q50=[0.0, np.nan, np.nan])
    found = scores(rows).iloc[0]
    assert found["share90"] == pytest.approx(1 / 3)
    assert found["error"] == np.inf


def test_scores_beyond_all_bounds_are_printed_as_such() -> None:
    rows = judged(q50=[50.0, 61.0, -70.0], method="slope", q5=-7e4, q95=7e4)
    found = BacktestResult("t", rows, ("slope",), (LawRank("loss ~ E", 61.0, 3, 0),))
    (line,) = (line for line in str(found).splitlines() if line.strip().startswith("last slope"))
    assert line.split()[-3:] == [">1000%", ">+1000%", ">1000"]
    assert "loss ~ E  >1000%" in str(found)
    assert found.record()["scores"][0]["error"] == 61.0


def test_the_weighted_median_splits_the_weight() -> None:
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 5.0])) == 2.0


@pytest.mark.parametrize("method", METHODS)
def test_every_method_continues_a_clean_law(method: str) -> None:
    rows = simulated(0.001)
    c = np.log(6 * rows["params"] * rows["tokens"]).to_numpy()
    runs = Runs(("params", "tokens"), np.log(rows[["params", "tokens"]].to_numpy()), np.log(rows["loss"].to_numpy()), c)
    inside = c < np.sort(c)[12]
    found = predict_ahead(method, runs.keep(inside), runs.keep(~inside))
    assert (np.diff(found, axis=0) >= 0).all()
    assert np.abs(found[3] - runs.y[~inside]).max() < (0.12 if method == "slope" else 0.02)


def test_a_cell_looks_only_at_the_runs_below_the_cut() -> None:
    rows = simulated()
    runs = read_learning(rows, Rows(), Forecasting()).runs
    arguments = {"table": "t", "cut": float(np.sort(runs.c)[9]), "least": 2.0, "method": "forecast"}
    packed = {"columns": list(runs.columns), "x": runs.x.tolist(), "y": runs.y.tolist(), "c": runs.c.tolist()}
    one = judge_cell(arguments | {"tables": {"t": packed}})
    above = runs.c > arguments["cut"] + 1e-9
    changed = packed | {"y": np.where(above, runs.y + 1, runs.y).tolist()}
    other = judge_cell(arguments | {"tables": {"t": changed}})
    assert one["q50"] == other["q50"]
    assert one["observed"] != other["observed"]
    assert min(one["ratio"]) >= 2


def test_a_backtest_goes_on_from_its_folder(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    options: dict[str, Any] = {"methods": ("forecast", "slope"), "origins": ("0.5",), "folder": tmp_path, "workers": 1}
    one = backtest(simulated(), **options)
    other = backtest(simulated(), **options, progress=lambda _, done, total: calls.append((done, total)))
    assert calls[0] == (2, 2)
    pd.testing.assert_frame_equal(one.rows, other.rows)
    assert one.ranks == other.ranks
    ours = {f"{name} (of the forecast)" for name in ("coupled", "shared", "additive")}
    assert ours < {rank.law for rank in one.ranks}
    assert {"kaplan (preset, Huber fit)", "coupled (preset, Huber fit)"} < {rank.law for rank in one.ranks}
    assert min(one.ranks, key=lambda rank: rank.error) == one.ranks[0]
    assert "laws by the error" in str(one)
    assert json.loads(json.dumps(one.record()))["methods"] == ["forecast", "slope"]


def test_two_processes_give_what_one_gives() -> None:
    options: dict[str, Any] = {"methods": ("forecast", "slope"), "origins": ("0.5", "0.7")}
    one, two = (backtest(simulated(), **options, workers=count) for count in (1, 2))
    pd.testing.assert_frame_equal(one.rows, two.rows)
    ranks = (pd.DataFrame([vars(rank) for rank in found.ranks]).sort_values("law") for found in (one, two))
    pd.testing.assert_frame_equal(*(rank.reset_index(drop=True) for rank in ranks), rtol=1e-9)  # sums of threads differ


def test_a_group_is_held_out() -> None:
    rows = simulated().assign(family=["near"] * 15 + ["far"] * 3)
    found = backtest(rows, group="family", workers=1)
    far = next(one for one in found.groups if one.level == "far")
    gap = np.log(3e9 / rows["params"].iloc[14])
    assert far.distance == pytest.approx(gap, rel=1e-6)
    assert (far.rows, far.held90) == (3, 1.0)
    assert far.beyond == pytest.approx((rows["loss"][15:] < rows["loss"][:15].min()).mean())
    assert "held out" in str(found)


def shaped(lacking: int = 0) -> pd.DataFrame:
    """Runs of three shapes a size; the first of them have no width."""
    rows = pd.concat([simulated(seed=depth).assign(n_layer=depth) for depth in (8, 16, 32)], ignore_index=True)
    rows["d_model"] = (rows["params"] / (12 * rows["n_layer"])) ** 0.5
    rows.loc[rows.index < lacking, "d_model"] = np.nan
    return rows


def test_a_backtest_says_why_and_where_it_does_not_know_the_shape() -> None:
    options: dict[str, Any] = {"methods": ("slope",), "origins": ("0.7",), "workers": 1}
    found = backtest(shaped(3), **options)
    words = "Width and depth are not used, because 3 of 54 rows lack them. Choose runs that have both, as --where "
    assert f"note: {words}'d_model > 0 and n_layer > 0'." in str(found)
    (record,) = found.record()["findings"]
    assert (record["code"], record["numbers"]) == ("shape_unused", {"lacking": 3, "table_rows": 54})
    chosen = backtest(shaped(3), **options, where="d_model > 0 and n_layer > 0")
    assert "lack them" not in str(chosen)
    grouped = backtest(shaped(3).assign(family=["a", "b"] * 27), group="family", workers=1)
    assert words in str(grouped)
    assert [one["code"] for one in grouped.record()["findings"]] == ["shape_unused"]


def test_a_backtest_counts_the_origins_that_cannot_judge_the_shape() -> None:
    rows = shaped()
    small = rows["params"] * rows["tokens"] < (rows["params"] * rows["tokens"]).quantile(0.4)
    rows.loc[small, "n_layer"] = 1.0
    rows["d_model"] = (rows["params"] / (12 * rows["n_layer"])) ** 0.5
    found = backtest(rows, methods=("slope",), workers=1)
    (one,) = found.findings
    assert one.message.startswith("Forecasts use width and depth from 2 of 3 rolling origins: from the others,")
    assert one.numbers == {"origins": 3, "known": 2}


def test_a_plan_says_that_it_does_not_know_the_shape() -> None:
    found = plan(shaped(), {"params": 3e10, "tokens": 6e11}, budget=1e21)
    assert "note: Plans do not know of width and depth, whose effect counts as scatter." in str(found)
    assert [one["code"] for one in found.record()["findings"]] == ["shape_unused"]
    assert not plan(simulated(), {"params": 3e10, "tokens": 6e11}, budget=1e21).record()["findings"]


def test_an_origin_with_runs_of_one_size_is_left_out() -> None:
    rows = pd.concat([simulated().head(1)] * 8 + [simulated()], ignore_index=True)
    rows["loss"] *= np.exp(0.001 * np.random.default_rng(1).standard_normal(len(rows)))
    found = backtest(rows, methods=("forecast", "slope"), origins=("0.25", "0.7"), workers=1)
    assert not found.failed
    assert "predicted from 1 rolling origin\n" in str(found)
    one = pd.concat([simulated().head(1)] * 12 + [simulated().tail(1)] * 3, ignore_index=True)
    with pytest.raises(DataError, match="leaves 4 of different sizes to learn from"):
        backtest(one, methods=("slope",), origins=("0.5",), workers=1)
    groups = pd.concat([one.head(12).assign(family="a"), simulated().assign(family="b")], ignore_index=True)
    assert backtest(groups, group="family", workers=1).failed == ("family[b]: all other runs have one size",)


@pytest.mark.filterwarnings("error")
def test_the_last_slope_of_runs_that_differ_by_round_off_has_no_answer_or_a_finite_one() -> None:
    x = np.log(1e8) + 1e-15 * np.arange(8.0)[:, None]
    inside = Runs(("params",), x, np.linspace(1.0, 1.1, 8), np.zeros(8))
    found = predict_ahead("slope", inside, inside)
    assert not np.isfinite(found).any()


def test_coverage_on_a_table_is_true_with_and_without_drift() -> None:
    """A small piece of tests/reference/forecast_coverage.py."""
    for bend in (0.0, 0.001):
        shares = []
        for seed in range(3):
            options: dict[str, Any] = {"methods": ("forecast",), "origins": ("0.5",), "workers": 1}
            shares.append(backtest(simulated(0.004, seed, bend), **options).table()["share90"].mean())
        assert np.mean(shares) > 0.75


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(DataError, match="no method 'magic'"):
        backtest(simulated(), methods=("magic",))
    with pytest.raises(DataError, match="an origin is '2'"):
        backtest(simulated(), origins=("2",))
    with pytest.raises(DataError, match="no rolling origin of 18 runs"):
        backtest(simulated(), least=1e9)
    with pytest.raises(DataError, match="has its own tables"):
        backtest("public", where="loss < 3")
    with pytest.raises(DataError, match="needs at least two"):
        backtest(simulated().assign(family="one"), group="family")


def test_the_public_set_and_its_cuts_fit_together() -> None:
    tables = public_cuts()
    assert len(tables) == 54
    assert sum(len(cuts) for _, _, cuts in tables.values()) == len(load_dataset("backtest_cuts"))
    for _, runs, cuts in tables.values():
        assert all((runs.c <= cut + 1e-9).sum() >= 5 for cut in cuts)
        assert all(runs.c.max() >= cut + np.log(2) - 1e-9 for cut in cuts)


def test_the_shipped_table_is_printed_by_bin() -> None:
    assert [(one.least, one.most) for one in public_table()] == list(BINS)
    assert held_in_backtest(1.5) is None
    inside = held_in_backtest(50)
    assert inside is not None
    assert (inside.least, inside.most) == (20, 100)


def test_predictions_far_beyond_the_runs_say_how_such_fits_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from scalefit.cli.app import app

    scalefit.fit(simulated(), "chinchilla", bootstrap=20).save(tmp_path / "one.fit")
    for goal, far in (("params=1e9,tokens=2e10", False), ("params=3e10,tokens=6e11", True)):
        app(["predict", str(tmp_path / "one.fit"), "--at", goal], standalone_mode=False)
        shown = capsys.readouterr()
        assert ("of 90% intervals of one law's fit held in the public backtest" in shown.err) == far
        assert "backtest" not in shown.out


GOAL = {"params": 3e10, "tokens": 6e11}


def test_greedy_is_the_best_first_run_by_brute_force() -> None:
    rows = simulated()
    found = plan(rows, GOAL, budget=1e20, runs=2)
    work = found.candidates[found.candidates["cost"] <= 1e20]
    errors = []
    for c in work.index[::15]:
        offered = work.loc[[c], ["params", "tokens"]]
        errors.append(plan(rows, GOAL, budget=1e20, runs=1, candidates=offered).choices[0].error)
    assert found.choices[0].error <= min(errors) + 1e-12
    assert found.choices[0].error < found.before


def test_a_plan_keeps_to_its_budget_and_lowers_the_error() -> None:
    found = plan(simulated(), GOAL, budget=2e20, runs=4)
    assert [one.name for one in found.strategies] == ["greedy", *BASELINES]
    for one in found.strategies:
        assert one.cost <= 2e20
        assert all(a.error >= b.error for a, b in itertools.pairwise(one.choices))
    assert found.candidates["compute"].max() < 6 * GOAL["params"] * GOAL["tokens"]
    largest = next(one for one in found.strategies if one.name == "largest affordable")
    assert largest.choices[0].cost == found.candidates["cost"].max()
    assert found.choices[-1].error <= min(one.choices[-1].error for one in found.strategies[1:]) * 1.05
    assert "under the same budget" in str(found)
    assert json.loads(json.dumps(found.record()))["strategies"][0]["name"] == "greedy"


def test_an_update_is_what_a_regression_gives() -> None:
    """Two sequential updates equal one linear-Gaussian regression on both runs, with the drift as a parameter."""
    found = plan(simulated(), GOAL, budget=1e20, runs=2)
    member = found.rule.members[0]
    names = list(found.learning.columns)
    chosen = found.candidates.iloc[[one.candidate for one in found.choices]][names].to_numpy()
    law, mode = member.law, member.mode  # type: ignore[attr-defined]
    target, largest = np.array([[GOAL[n] for n in names]]), found.learning.compute.max()

    def slopes(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        further = np.log(np.maximum(6 * rows.prod(axis=1) / largest, 1))
        own = law.gradient(mode.theta, np.log(rows) - member.centre)[1]  # type: ignore[attr-defined]
        return np.column_stack([own, further])

    prior = np.zeros((len(mode.theta) + 1,) * 2)
    prior[:-1, :-1] = np.linalg.inv(mode.covariance)
    prior[-1, -1] = (learned().constants.drift * member.sigma) ** -2
    slope, toward = slopes(chosen), slopes(target)
    posterior = np.linalg.inv(prior + slope.T @ slope / member.sigma**2)
    assert found.choices[-1].error == pytest.approx(float(np.sqrt(toward @ posterior @ toward.T)[0, 0]), rel=1e-6)


def test_candidates_can_be_given_with_their_cost() -> None:
    offered = pd.DataFrame({"params": [1e9, 2e9], "tokens": [1e10, 1e10], "cost": [3.0, 5.0]})
    found = plan(simulated(), GOAL, budget=4, candidates=offered)
    assert [one.cost for one in found.choices] == [3.0]


def test_what_cannot_be_planned_is_refused() -> None:
    rows = simulated()
    with pytest.raises(DataError, match=r"budget 1e\+?10 is below the cheapest of 1 candidates"):
        plan(rows, GOAL, budget=1e10, candidates=pd.DataFrame({"params": [1e9], "tokens": [1e10]}))
    with pytest.raises(DataError, match="as much compute as the target"):
        plan(rows, GOAL, budget=1e30, candidates=pd.DataFrame({"params": [1e12], "tokens": [1e13]}))
    with pytest.raises(DataError, match="budget is -1"):
        plan(rows, GOAL, budget=-1)
    with pytest.raises(DataError, match="plans know the laws of params and tokens, not loss"):
        plan(rows, GOAL, budget=1e20, law="loss ~ E + A/params^alpha")
    shaped = rows.assign(depth=np.resize([8, 16, 32, 64], len(rows)))
    shaped["width"] = (shaped["params"] / (12 * shaped["depth"])) ** 0.5
    with pytest.raises(DataError, match="plans know the laws of params and tokens, not shaped"):
        plan(shaped, GOAL, budget=1e20, law="shaped")


def test_the_command_line_judges_and_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scalefit.cli.app import app

    source, out, held = tmp_path / "runs.csv", tmp_path / "out.csv", tmp_path / "held.csv"
    simulated().to_csv(source, index=False)
    call = ["backtest", str(source), "--methods", "slope", "--origins", "0.5", "--workers", "1"]
    assert app([*call, "--out", str(out), "--json"], standalone_mode=False) == 0
    record = json.loads(capsys.readouterr().out)
    assert {one["method"] for one in record["scores"]} == {"slope"}
    assert len(pd.read_csv(out)) == sum(one["rows"] for one in record["scores"])
    with pytest.raises(DataError, match="no effect without --public"):
        app([*call, "--held", str(held)], standalone_mode=False)
    with pytest.raises(DataError, match="name one table, or give --public"):
        app(["backtest"], standalone_mode=False)
    plan_out, goal = tmp_path / "plan.csv", "params=30B,tokens=600B"
    app(["plan", str(source), "--target", goal, "--budget", "1e20", "--out", str(plan_out)], standalone_mode=False)
    written = pd.read_csv(plan_out)
    assert written[written["strategy"] == "greedy"]["spent"].max() <= 1e20
    with pytest.raises(DataError, match="nothing to plan for"):
        app(["plan", str(source), "--budget", "1e20"], standalone_mode=False)


def test_pictures_show_what_was_found() -> None:
    found = scalefit.forecast(simulated(), [GOAL])
    axes = found.plot()
    assert len(axes.collections) >= 3
    assert axes.lines[0].get_xdata().tolist() == pytest.approx(found.learning.compute.tolist())
    result = backtest(simulated(), methods=("forecast", "slope"), origins=("0.5",), workers=1)
    left, right = result.plot()
    table = result.table()
    shares = 100 * table[table["method"] == "forecast"]["share90"]
    assert any(np.array_equal(line.get_ydata(), shares) for line in left.lines)
    assert right.get_yscale() == "log"
    chosen = plan(simulated(), GOAL, budget=1e20, runs=2)
    assert {text.get_text() for text in chosen.plot().texts} == {"1", "2"}


def test_the_shipped_scores_print_and_draw_without_a_backtest() -> None:
    held = public_backtest()
    found = held.printed("pretraining")
    assert len(held.table()) == 2 * len(held.methods) * len(BINS) == 2 * len(found.rows)
    assert type(held).read_csv(held.to_csv()).table().equals(held.table())
    left, _ = held.plot()
    drawn = {tuple(np.asarray(line.get_ydata(), float)) for line in left.lines}
    own = held.table().query("method == 'forecast' and tables == 'all'")
    assert tuple(100 * own["share90"]) in drawn


def test_every_collection_is_judged_by_what_was_learned_without_it() -> None:
    tables = public_cuts()
    collections = {collection for collection, _, _ in tables.values()}
    found = {name: learned(name) for name in (ALL, *collections)}
    assert len({repr(one) for one in found.values()}) == len(found)
    with pytest.raises(DataError, match="there is no collection 'porians' in the public set; did you mean 'porian'"):
        learned("porians")
    collection, runs, cuts = tables["chinchilla"]
    cell = {"table": "t", "cut": cuts[0], "least": 2.0, "method": "forecast", "without": collection}
    packed = {"columns": list(runs.columns), "x": runs.x.tolist(), "y": runs.y.tolist(), "c": runs.c.tolist()}
    got = judge_cell(cell | {"tables": {"t": packed}})
    inside = runs.c <= cuts[0] + 1e-9
    known, ahead = (varying(runs, inside).keep(rows) for rows in (inside, np.array(got["rows"])))
    own = predict_ahead("forecast", known, ahead, without=collection)
    assert np.array(got["q50"], float) == pytest.approx(own[3], abs=1e-9)
    assert own[3] != pytest.approx(predict_ahead("forecast", known, ahead)[3])


def test_a_prior_is_the_distribution_that_tables_were_drawn_from() -> None:
    rng = np.random.default_rng(2)
    error = rng.uniform(0.05, 0.3, 400)
    truth = rng.normal(-0.7, 0.4, 400)
    estimates = [(f"c{i // 4}", truth[i] + error[i] * rng.normal(), error[i] ** 2) for i in range(400)]
    found = learn_prior(estimates)
    assert found.mean == pytest.approx(-0.7, abs=0.06)
    assert found.sd == pytest.approx(0.4, abs=0.05)


def test_constants_are_those_that_forecasts_were_made_with() -> None:
    """Errors drawn from the rule with a drift of 0.8 and a shift of 0.3; four tables of each of three collections."""
    rng = np.random.default_rng(0)
    ratio = np.tile(np.exp(rng.uniform(np.log(2), np.log(400), 500)), 12)
    rows = pd.DataFrame({"ratio": ratio, "mu": 1.0, "known": 0.01**2, "run": 0.005, "left": 4.0, "cut": 0.0})
    rows["drift"] = 0.005 * np.log(ratio)
    rows["table"] = np.repeat([f"t{i}" for i in range(12)], 500)
    rows["collection"] = np.repeat(list("abc"), 2000)
    inner = np.sqrt(0.01**2 + (0.8 * rows["drift"]) ** 2)
    scale = np.sqrt(inner**2 + 0.005**2 + 0.001**2)
    degrees = 4 * scale**4 / ((inner**2 + 0.001**2) ** 2 + 0.005**4)  # Satterthwaite's, four for either part
    rows["y"] = 1.0 - 0.3 * np.minimum(np.log(ratio), 1) * inner + scale * rng.standard_t(degrees)
    found = learn_constants(rows)
    assert set(found) == {ALL, "a", "b", "c"}
    assert found[ALL] == pytest.approx((0.8, 0.3), abs=0.11)
