"""Forecasts: known answers, invariances, what is refused, and what is warned about."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

import scalefit
from scalefit.cli.forecasting import points
from scalefit.errors import DataError
from scalefit.forecasting import Forecast, forecast
from scalefit.forecasting.forms import WIDE, Form
from scalefit.forecasting.inputs import read_learning, read_targets
from scalefit.forecasting.learned import Constants
from scalefit.forecasting.limits import find_limits
from scalefit.forecasting.result import OwnBacktest
from scalefit.forecasting.rule import Predicted, Runs, make_rule, origins, row_weights
from scalefit.forecasting.sampling import find_mode
from scalefit.forecasting.second import SECOND_PARTS
from scalefit.leastsq.fit import fit
from scalefit.options import Forecasting, Rows
from scalefit.results import Fit

Array = NDArray[np.float64]

E, A, B, ALPHA, BETA, G = 1.8, 6e3, 3e4, 0.5, 0.55, 0.7
TARGET = {"params": 7e10, "tokens": 1.4e12}


def truth(params: Any, tokens: Any) -> Any:
    """The coupled law that the tables here obey."""
    return E + (A / params**ALPHA + B / tokens**BETA) ** G


def table(noise: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Runs on a grid of five sizes and four ratios of tokens to parameters."""
    params = np.repeat(np.geomspace(5e7, 2e9, 5), 4)
    tokens = params * np.tile([5.0, 20.0, 60.0, 200.0], 5)
    loss = truth(params, tokens) * np.exp(noise * np.random.default_rng(seed).standard_normal(20))
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})


@pytest.fixture(scope="module")
def noisy() -> Forecast:
    return forecast(table(0.004, 1), [TARGET, {"params": 3e8, "tokens": 1e10}])


def test_a_table_without_noise_is_continued_exactly() -> None:
    found = forecast(table(), TARGET)
    one = found.target(0)
    assert one.ratio > 100
    assert one.estimate.value == pytest.approx(truth(**TARGET), rel=0.012)
    assert one.estimate.holds(truth(**TARGET))
    assert found.rule.sigma < 1e-3
    assert found.coordinates()["g"].value == pytest.approx(G, rel=0.1)


def test_the_mode_of_exact_losses_is_the_truth() -> None:
    rows = table()
    u = np.log(rows[["params", "tokens"]].to_numpy())
    centre = u.mean(axis=0)
    form = Form(("params", "tokens"), rows["loss"].min(), rows["loss"].median(), WIDE)
    mode = find_mode(form, u - centre, np.log(rows["loss"].to_numpy()), np.full(20, 1e4))
    floor = float(form.floor(mode.theta[None])[0])
    a, b, g = np.exp(mode.theta[4:])
    assert (floor, a, b, g) == pytest.approx((E, ALPHA, BETA, G), rel=2e-2)


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        (2, {}), (2, {"shared": True}), (2, {"coupled": False}), (2, {"shaped": True}),
        (2, {"shaped": True, "shared": True}), (3, {}),
        (1, {"coupled": False}), (1, {"coupled": False, "rectified": True, "first": -1.0}),
    ],
)  # fmt: skip
def test_gradients_are_differences(columns: int, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    form = Form(tuple("abc"[:columns]), 2.0, 3.0, WIDE, **options)
    u = rng.normal(size=(7, columns + form.shaped))
    theta = form.starts()[1] + 0.1 * rng.normal(size=len(form.names))
    value, slope = form.gradient(theta, u)
    assert value == pytest.approx(form.log_prediction(theta[None], u)[0])
    steps = 1e-6 * np.eye(len(theta))
    numeric = [
        (form.log_prediction((theta + s)[None], u) - form.log_prediction((theta - s)[None], u))[0] for s in steps
    ]
    assert slope == pytest.approx(np.stack(numeric, axis=1) / 2e-6, abs=1e-8)


BEST = {"width": 2048.0, "depth": 64}


def shapes(noise: float = 0.002) -> pd.DataFrame:
    """Runs of four shapes a size, whose term of the size is least at a width of 32 times the depth."""
    rows = pd.concat([table().assign(depth=depth) for depth in (8, 16, 32, 64)], ignore_index=True)
    rows["width"] = (rows["params"] / (12 * rows["depth"])) ** 0.5
    scatter = np.exp(noise * np.random.default_rng(3).standard_normal(len(rows)))
    return rows.assign(loss=shaped_truth(rows) * scatter)


def shaped_truth(rows: Any) -> Any:
    """The coupled law with a best shape."""
    worse = np.exp(0.06 * np.log(rows["width"] / rows["depth"] / 32) ** 2)
    return E + (worse * A / rows["params"] ** ALPHA + B / rows["tokens"] ** BETA) ** G


def test_a_law_that_knows_the_shape_is_used_where_it_predicts_better() -> None:
    rows = shapes()
    flat = {"width": 8192.0, "depth": 16}
    targets = [{"params": 1e10, "tokens": 2e11} | one for one in (flat, BEST)]
    found = forecast(rows, targets)
    assert found.learning.columns == ("params", "tokens", "width/depth")
    assert found.weights["shaped"] + found.weights["shaped-shared"] > 0.95
    for i, one in enumerate(targets):
        assert found.target(i).estimate.value == pytest.approx(shaped_truth(one), rel=0.01)
    apart = float(np.diff(found.predicted.mu).item())
    assert apart == pytest.approx(np.log(shaped_truth(targets[1]) / shaped_truth(targets[0])), rel=0.1)
    assert found.record()["targets"][0]["columns"]["width/depth"] == 512
    without = forecast(rows, {"params": 1e10, "tokens": 2e11})
    assert set(without.weights) == {"coupled", "shared"}
    assert [one.code for one in without.findings if "Width over depth" in one.message] == ["shape_unused"]
    assert without.rule.sigma > 3 * found.rule.sigma
    assert forecast(rows, {"params": 1e10, "tokens": 2e11}, law="coupled").findings == ()


def test_the_shape_changes_nothing_where_it_follows_from_the_size() -> None:
    rows = table(0.004, 1)
    rows["depth"] = np.round(rows["params"] ** 0.2)
    rows["width"] = 40 * rows["depth"]
    found, plain = (forecast(one, TARGET) for one in (rows, rows.drop(columns=["width", "depth"])))
    assert found.interval(0.9) == plain.interval(0.9)
    assert found.findings == plain.findings


def test_a_shape_unlike_those_of_the_runs_is_warned_of() -> None:
    far = forecast(shapes(), {"params": 1e9, "tokens": 2e10, "width": 1e5, "depth": 4})
    assert [one.code for one in far.findings if "width/depth" in one.message] == ["shape_outside"]


@pytest.mark.parametrize(
    ("change", "targets", "law", "message"),
    [
        ({}, [{"width": 4096.0}], "auto", "the target has width and no depth; their ratio is the shape: give both"),
        ({}, [{"width": 4096.0, "depth": 32}, {}], "auto", "some of the targets have width and depth, and others have"),
        ({}, [{}], "shaped", "the law 'shaped' needs width and depth of every target"),
        ({"depth": 16}, [{"width": 4096.0, "depth": 32}], "shaped", "needs runs with params, tokens, width and depth"),
        ({"tokens": None}, [{}], "shaped", "the law 'shaped' needs params and tokens, and the table has params alone"),
        ({"width": "wide"}, [{}], "shaped", "column 'width': 'wide' is not a number"),
    ],
)
def test_what_a_shape_needs_is_said(
    change: dict[str, Any], targets: list[dict[str, float]], law: str, message: str
) -> None:
    rows = shapes().assign(**change).dropna(axis=1)
    if change == {"depth": 16}:
        rows["width"] = rows["params"] ** 0.5
    with pytest.raises(DataError, match=message):
        forecast(rows, [{"params": 1e10, "tokens": 2e11} | one for one in targets], law=law, cost="params")


def test_widths_that_cannot_be_read_are_left_out_with_a_note() -> None:
    rows = shapes()
    rows.loc[3, "depth"] = np.nan
    found = forecast(rows, {"params": 1e10, "tokens": 2e11})
    note = (
        "note: Width and depth are not used, because 1 of 80 rows lacks them. Choose runs that have both, as "
        "--where 'width > 0 and depth > 0'."
    )
    assert note in str(found)
    dropped = forecast(rows, {"params": 1e10, "tokens": 2e11}, drop_invalid=True)
    assert note in str(dropped)
    assert len(dropped.learning.table.frame) == len(rows)
    named = rows.rename(columns={"width": "Hidden size", "depth": "Layers"})
    (finding,) = (one for one in forecast(named, {"params": 1e10, "tokens": 2e11}).findings if one.severity == "note")
    condition = finding.message.partition("--where ")[2].strip("'.")
    assert condition == "`Hidden size` > 0 and Layers > 0"
    assert len(forecast(named, {"params": 1e10, "tokens": 2e11}, where=condition).learning.runs.y) == 79
    chosen = forecast(rows, {"params": 1e10, "tokens": 2e11} | BEST, where="width > 0 and depth > 0")
    assert "shaped" in chosen.weights
    with pytest.raises(DataError, match=r"width has no effect .*; leave it out. Width and depth are not used, because"):
        forecast(rows, {"params": 1e10, "tokens": 2e11} | BEST)


def test_a_shape_that_no_rolling_origin_can_judge_is_left_out_with_a_note() -> None:
    rows = shapes()
    rows["tokens"] = 1e20 / (6 * rows["params"])
    rows["loss"] = shaped_truth(rows)
    target = {"params": 1e10, "tokens": 2e11} | BEST
    found = forecast(rows, target)
    assert set(found.weights) == {"coupled", "shared"}
    assert "no rolling origin that could judge their effect; --law shaped uses them." in str(found)
    assert "width/depth" not in found.record()["targets"][0]["columns"]
    assert set(forecast(rows, target, law="shaped").weights) == {"shaped"}


def test_inside_the_data_the_error_is_that_of_the_law_and_one_run(noisy: Forecast) -> None:
    inside = noisy.target(1)
    assert inside.ratio < 1
    assert inside.parts["drift"] == 0
    got = noisy.scale[1] ** 2
    assert got == pytest.approx(sum(part**2 for part in inside.parts.values()) + noisy.rule.constants.least**2)
    law = scalefit.bayes(table(0.004, 1), "chinchilla", draws=1000)
    interval = law.predict({"params": [3e8], "tokens": [1e10]}, prob=0.683)
    own = 0.5 * float(np.log(interval["hi"] / interval["lo"]).iloc[0])
    assert inside.parts["parameters"] == pytest.approx(own, rel=0.5)


def test_the_interval_widens_with_the_distance_and_shrinks_for_the_mean(noisy: Forecast) -> None:
    assert noisy.scale[0] > 3 * noisy.scale[1]
    assert noisy.target(0).largest == "drift"
    mean = forecast(table(0.004, 1), TARGET, mean=True).target(0)
    assert mean.parts["run"] == 0
    assert mean.estimate.hi < noisy.target(0).estimate.hi


def test_units_change_nothing() -> None:
    rows = table(0.004, 1)
    billions = rows.assign(params=rows["params"] / 1e9, tokens=rows["tokens"] / 1e9)
    one = forecast(rows, TARGET).target(0)
    other = forecast(billions, {"params": 70, "tokens": 1400}).target(0)
    assert other.estimate.numbers()["interval"] == pytest.approx(one.estimate.numbers()["interval"], rel=1e-6)
    halved = forecast(rows.assign(loss=rows["loss"] / 2), TARGET)
    assert halved.target(0).estimate.value == pytest.approx(one.estimate.value / 2, rel=0.01)


def test_repeated_rows_in_clusters_change_nothing() -> None:
    rows = table(0.004, 1).assign(run=[f"r{i}" for i in range(20)])
    twice = pd.concat([rows, rows], ignore_index=True)
    one, other = forecast(rows, TARGET), forecast(twice, TARGET, cluster="run")
    assert other.rule.rows == pytest.approx(0.5)
    assert other.target(0).estimate.value == pytest.approx(one.target(0).estimate.value, rel=1e-4)
    assert other.scale == pytest.approx(one.scale, rel=1e-3)
    assert [one.code for one in other.findings if one.code == "clusters"] == ["clusters"]
    ignored = forecast(twice, TARGET)
    assert "checkpoints" in {one.code for one in ignored.findings}


def test_rows_of_a_cluster_with_nothing_in_common_count_in_full() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 1))
    runs = Runs(("params",), x, 1 + 0.01 * rng.normal(size=400), x[:, 0], np.repeat(np.arange(100), 4))
    assert row_weights(runs, "additive", WIDE).min() > 0.8
    shift = np.repeat(0.1 * rng.normal(size=100), 4)
    shared = Runs(runs.columns, x, runs.y + shift, x[:, 0], runs.cluster)
    assert row_weights(shared, "additive", WIDE) == pytest.approx(0.25, abs=0.01)


def test_order_of_rows_does_not_matter() -> None:
    rows = table(0.004, 1)
    one = forecast(rows, TARGET).target(0).estimate.value
    assert forecast(rows.sample(frac=1, random_state=0), TARGET).target(0).estimate.value == pytest.approx(
        one, rel=1e-9
    )


def test_origins_foretell_larger_runs_only() -> None:
    rows = table()
    c = np.log(6 * rows["params"] * rows["tokens"]).to_numpy()
    runs = Runs(("params",), np.log(rows[["params"]].to_numpy()), np.log(rows["loss"].to_numpy()), c)
    found = origins(runs, np.ones(20), Constants(drift=1, ahead=0))
    assert [len(inside) for inside, _ in found] == [7, 11, 13, 16]
    for inside, ahead in found:
        assert c[ahead].min() > c[inside].max() + np.log(1.25)


def test_a_bent_curve_is_rectified_and_a_straight_one_is_not() -> None:
    tokens = np.geomspace(200, 4e5, 12)
    compute = 6 * 1e8 * tokens
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(12))
    bent = pd.DataFrame({"tokens": tokens, "flops": compute, "loss": (0.5 + 2.5 / (1 + (tokens / 2e4) ** 0.6)) * noise})
    straight = bent.assign(loss=(1.5 + 8 / tokens**0.3) * noise)
    goal = {"tokens": 4e6, "flops": 2.4e15}
    found = forecast(bent, goal)
    assert found.weights["rectified"] > 0.9
    assert {"fine_tuning", "one_axis"} <= {one.code for one in found.findings}
    assert found.target(0).estimate.holds(0.5 + 2.5 / (1 + (4e6 / 2e4) ** 0.6))
    assert forecast(straight, goal).weights["rectified"] < 0.5


def test_many_targets_in_one_call() -> None:
    params = np.geomspace(1e9, 1e12, 10_000)
    targets = pd.DataFrame({"params": params, "tokens": 20 * params})
    found = forecast(table(0.004, 1), targets=targets)
    assert len(found) == 10_000
    out = found.table()
    assert (np.diff(out["estimate"]) < 0).all()
    assert (out["lo90"] < out["lo50"]).all()
    assert "more targets" in str(found)


def test_any_law_can_be_forecast() -> None:
    found = forecast(table(0.004, 1), TARGET, law="loss ~ E + A/params^alpha + B/tokens^alpha")
    assert list(found.weights) == ["loss ~ E + A/params^alpha + B/tokens^alpha"]
    assert found.target(0).parts["laws"] == 0
    assert found.coordinates() == {}
    assert found.target(0).estimate.value == pytest.approx(truth(**TARGET), rel=0.1)


def test_laws_of_any_form_can_be_forecast() -> None:
    law = "loss ~ E + (A/params^alpha + B/tokens^beta)^g"
    one = forecast(table(0.002, 1), TARGET, law=law).target(0)
    assert one.estimate.value == pytest.approx(truth(**TARGET), rel=0.03)
    assert one.estimate.holds(truth(**TARGET))
    assert one.parts["parameters"] > 0


def test_general_laws_enter_by_prediction_and_gradient() -> None:
    """The rule asks of a law what the protocol says and nothing else."""
    rule = make_rule(
        Runs(("a",), np.linspace(0, 3, 9)[:, None], np.log(1 + np.exp(-np.linspace(0, 3, 9))), np.linspace(0, 3, 9))
    )
    assert {"names", "starts", "prior_mean", "prior_sd", "floor", "log_prediction", "gradient"} <= set(
        dir(rule.members[0].law)  # type: ignore[attr-defined]
    )


def test_words_and_record(noisy: Forecast) -> None:
    text = str(noisy)
    assert text.startswith("extrapolation: the farthest target has ")
    assert "largest: drift beyond the data" in text
    record = json.loads(json.dumps(noisy.record()))
    first = record["targets"][0]
    assert list(first)[:6] == ["columns", "compute", "ratio", "estimate", "se", "interval"]
    assert first["interval"] == pytest.approx(first["intervals"]["0.9"])
    assert set(first["parts"]) == {"parameters", "laws", "run", "drift"}
    assert first["intervals"]["0.5"][0] > first["intervals"]["0.8"][0] > first["intervals"]["0.9"][0]


def test_a_finding_carries_what_was_compared_and_with_what() -> None:
    rows = table(0.06, 1).head(9).assign(unique_tokens=1e10, run=["a", "b", "c"] * 3)
    found = forecast(rows, {"params": 1e12, "tokens": 1e13})
    numbers = {one["code"]: one for one in found.record()["findings"]}
    assert {"far", "few_runs", "checkpoints", "scatter", "repeated_tokens"} <= set(numbers)
    for code, name, value in [
        ("far", "ratio", found.ratios.max()), ("few_runs", "runs", 9), ("checkpoints", "runs", 3),
        ("scatter", "scatter", found.rule.sigma), ("repeated_tokens", "passes", 1000.0),
    ]:  # fmt: skip
        assert numbers[code]["numbers"][name] == pytest.approx(value)
        assert numbers[code]["threshold"] is not None
    others = forecast(table(), {"params": 1e6, "tokens": 1e12}).findings
    outside = next(one for one in others if one.numbers["column"] == "params")
    assert outside.numbers["value"] == pytest.approx(1e6)
    assert outside.numbers["runs"] == pytest.approx([table()["params"].min(), table()["params"].max()])


def test_a_law_of_unique_tokens_is_not_warned_of_their_repetition() -> None:
    rows = table(0.002, 1).assign(unique_tokens=np.tile([1e9, 2e9, 5e9, 1e10, 3e9], 4))
    given = {"law": "loss ~ E + A/params^a + B/tokens^b + C/unique_tokens^c"}
    assert "repeated_tokens" not in codes(rows, {"params": 3e9, "tokens": 1e12, "unique_tokens": 1e10}, **given)
    assert "repeated_tokens" in codes(rows, {"params": 3e9, "tokens": 1e12})


def test_a_table_of_tokens_alone_is_forecast_by_a_law_of_tokens() -> None:
    tokens = np.geomspace(1e9, 1e11, 20)
    loss = (2.1 + 410 / tokens**0.3) * np.exp(0.001 * np.random.default_rng(0).standard_normal(20))
    rows = pd.DataFrame({"tokens": tokens, "loss": loss})
    found = forecast(rows, {"tokens": "1T"})
    assert found.target(0).estimate.value == pytest.approx(2.1 + 410 / 1e12**0.3, rel=0.01)
    assert found.ratios[0] == pytest.approx(10)
    assert "note: There is no column params or flops, so the tokens of a run are taken for its compute" in str(found)
    assert "tokens_for_compute" not in codes(rows, {"tokens": "1T"}, cost="tokens")
    shaped = refused(rows=rows.assign(width=64, depth=4), at={"tokens": "1T"})
    assert "Add their params, such as --derive params (12 depth width^2); or" in shaped
    assert "--cost tokens" in shaped
    spent = refused(rows=pd.DataFrame({"width": tokens, "flops": 6e9 * tokens, "loss": loss}), at={"width": "1T"})
    assert "give it, as --at width=VALUE,flops=VALUE, in the units of the column flops" in spent


def codes(rows: pd.DataFrame, goal: dict[str, float], **options: Any) -> set[str]:
    return {one.code for one in forecast(rows, goal, **options).findings}


def test_warnings() -> None:
    rows = table(0.004, 1)
    assert "far" in codes(rows, {"params": 1e12, "tokens": 1e13})
    assert "few_runs" in codes(rows.head(8), TARGET)
    assert "scatter" in codes(table(0.06, 1), TARGET)
    assert "outside" in codes(rows, {"params": 1e6, "tokens": 1e12})
    assert "repeated_tokens" in codes(rows.assign(unique_tokens=1e11), TARGET)
    assert not codes(rows, {"params": 3e8, "tokens": 1e10})


def refused(**options: Any) -> str:
    rows = options.pop("rows", table())
    with pytest.raises(DataError, match=r".") as caught:
        forecast(rows, options.pop("at", TARGET), **options)
    return str(caught.value)


def test_what_cannot_be_forecast_is_refused_in_words() -> None:
    rows = table()
    alone = refused(rows=rows[["params", "loss"]], at={"params": 7e10})
    assert "has params and no column flops" in alone
    assert alone.endswith("say what a run costs: --cost params where all saw the same tokens")
    assert "needs a column params, tokens or both" in refused(rows=rows[["loss"]], at={"params": 7e10})
    assert "no column 'tokens'" in refused(at={"params": 7e10})
    same = refused(rows=rows.assign(tokens=1e9, flops=6e9 * rows["params"]))
    assert "the target has tokens 1.4e12, and all runs have 1e9: they do not show" in same
    assert "no effect on this forecast" in refused(at={**TARGET, "depth": 3})
    assert "give a positive number" in refused(at={"params": "many", "tokens": 1e12})
    assert "give a positive number" in refused(at={"params": -1, "tokens": 1e12})
    assert "nothing to forecast" in refused(at=())
    assert "2 experiments, one for each eval_set" in refused(rows=rows.assign(eval_set=["a", "b"] * 10))
    assert "at least 4" in refused(rows=rows.head(3))
    assert "do not show what tokens does" in refused(rows=rows.assign(tokens=1e10))
    assert "has levels" in refused(rows=rows.assign(set=["a", "b"] * 10), law="loss ~ E[set] + A/params^alpha")
    assert "prob is 1.5" in refused(prob=1.5)


def test_the_command_line_reads_targets() -> None:
    assert points(["params=70B, tokens=1.4T"]) == [{"params": "70B", "tokens": "1.4T"}]
    with pytest.raises(DataError, match="write --at name=value"):
        points(["params"])


def test_a_stream_and_a_column_of_flops_are_read() -> None:
    rows = table()
    text = io.StringIO(rows.assign(flops=7 * rows["params"] * rows["tokens"]).to_csv(index=False))
    learned = read_learning(scalefit.read_table(text), Rows(), Forecasting())
    assert learned.cost is None
    assert learned.compute.max() == pytest.approx(7 * 2e9 * 4e11)


def test_the_command_line_forecasts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scalefit.cli.app import app

    source, out = tmp_path / "runs.csv", tmp_path / "out.csv"
    table(0.004, 1).to_csv(source, index=False)
    call = ["forecast", str(source), "--at", "params=70B,tokens=1.4T", "--at", "params=1T,tokens=20T"]
    app([*call, "--out", str(out), "--json"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert [one["columns"]["params"] for one in record["targets"]] == [7e10, 1e12]
    written = pd.read_csv(out)
    assert written["estimate"].to_list() == pytest.approx([one["estimate"] for one in record["targets"]])
    with pytest.raises(DataError, match="two forecasts; give one"):
        app([*call, "--mean", "--new-run"], standalone_mode=False)


@pytest.mark.parametrize("law", ["auto", "additive"])
def test_exact_losses_and_sizes_that_rise_together_are_forecast(law: str) -> None:
    """A direction that nothing decides but the prior, and residuals of zero."""
    params = np.geomspace(1e7, 3e9, 12)
    rows = pd.DataFrame({"params": params, "tokens": 20 * params, "loss": 2 + 100 / params**0.3})
    one = forecast(rows, TARGET, law=law).target(0)
    assert one.estimate.value == pytest.approx(2 + 100 / 7e10**0.3, rel=0.02)
    flat = forecast(rows.assign(loss=2.5), TARGET, law=law).target(0)
    assert flat.estimate.value == pytest.approx(2.5, rel=0.03)  # the priors expect losses to fall
    assert flat.estimate.lo < 2.5 < flat.estimate.hi


def test_a_forecast_reads_a_table_as_every_verb_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    runs = pd.DataFrame(
        {"params": np.repeat(np.geomspace(1e7, 1e9, 6), 4), "batches": np.tile([1e3, 3e3, 1e4, 3e4], 6)}
    )
    law = 1.7 + 400 / runs["params"] ** 0.34 + 400 / (1e6 * runs["batches"]) ** 0.28
    runs["loss"] = law * np.exp(0.003 * rng.standard_normal(len(runs)))
    whole = forecast(runs.assign(tokens=1e6 * runs["batches"]), at={"params": 7e9, "tokens": 1.4e11})
    (tmp_path / "a.csv").write_text(runs.iloc[:12].to_csv(index=False))
    (tmp_path / "b.csv").write_text(runs.iloc[12:].to_csv(index=False))
    parts = forecast(
        tmp_path / "a.csv", at={"params": 7e9, "tokens": 1.4e11}, columns={"tokens": "batches*1e6"},
        also=(str(tmp_path / "b.csv"),),
    )  # fmt: skip
    assert parts.learning.runs.y.size == whole.learning.runs.y.size == 24
    assert parts.target(0).estimate.value == pytest.approx(whole.target(0).estimate.value, rel=1e-6)


def test_degrees_of_freedom_are_what_the_runs_leave() -> None:
    rows = table(0.004, 1)
    for count in (7, 9, 20):
        found = forecast(rows.sample(count, random_state=1), TARGET)
        left = count - found.weights["shared"] * 5 - found.weights["coupled"] * 6  # parameters of the two laws
        assert found.rule.left == pytest.approx(left)
        parts = found.table().iloc[0]
        single = parts["error_run"] ** 2
        rest = parts["error_parameters"] ** 2 + parts["error_laws"] ** 2 + parts["error_drift"] ** 2 + 0.001**2
        degrees = (rest + single) ** 2 / (rest**2 / left + single**2 / min(4.0, left))
        assert found.degrees[0] == pytest.approx(degrees)
        lo, hi = found.interval(0.9)
        assert np.log(hi / lo) / 2 == pytest.approx(stats.t(degrees).ppf(0.95) * found.scale)
        one = found.target(0).estimate
        assert one.se == pytest.approx(one.value * stats.t(degrees).ppf(stats.norm.cdf(1)) * found.scale[0])


def test_a_sum_of_two_students_is_nearly_a_student_with_the_combined_degrees() -> None:
    """Within an eighth of draws: nine degrees of freedom for what drifts, four for a single run."""
    rng = np.random.default_rng(0)
    nothing, one = np.zeros(3), np.ones(3)
    drift = np.array([0.5, 1.0, 3.0])
    found = Predicted(nothing, nothing, nothing, one, drift, 0.0, 9 * one, nothing[None])
    for j, size in enumerate(drift):
        draws = size * rng.standard_t(9, 400_000) + rng.standard_t(4, 400_000)
        for p in (0.5, 0.8, 0.9):
            assert found.reach(p)[j] == pytest.approx(np.quantile(np.abs(draws), p), rel=0.12)
    assert found.degrees(run=False) == pytest.approx(9.0)


def test_sampling_is_warned_of_only_where_other_draws_move_the_forecast() -> None:
    """k-hat is above 0.7 in both; draws that stand for the posterior agree with new ones, draws cut to a few do not."""
    small = "flops < 2.07e19 and loss < 3.6"
    learning = read_learning("chinchilla", Rows(where=small), Forecasting(), by_cost=True)
    targets = read_targets(learning, [{"params": "7B", "tokens": "140B"}], None)
    rule = make_rule(learning.runs)
    x, c = np.log(targets[list(learning.columns)].to_numpy(float)), np.log(targets["compute"].to_numpy(float))

    def codes(keep: int) -> list[str]:
        members = []
        for one in rule.members:
            weight = one.draws.weight * (np.argsort(np.argsort(one.draws.theta[:, 1])) < keep)  # type: ignore[attr-defined]
            draws = one.draws._replace(weight=weight / weight.sum(), khat=0.9)  # type: ignore[attr-defined]
            members.append(one._replace(draws=draws))  # type: ignore[attr-defined]
        poor = replace(rule, members=tuple(members))
        return [one.code for one in find_limits(learning, poor, targets, poor.predict(x, c), Forecasting())]

    assert "sampling" not in codes(10**9)
    assert "sampling" in codes(20)


def test_the_range_of_a_share_is_that_of_wilson() -> None:
    """Against the published formula at p = 1: the lower end is n / (n + z^2)."""
    z = 1.6448536
    for n in (1, 2, 5):
        low, high = OwnBacktest(n, 10 * n, 4.0, 0.5, 0.8, 1.0).range90
        assert low == pytest.approx(n / (n + z**2), rel=1e-6)
        assert high == pytest.approx(1.0)


def exact_step(rows: pd.DataFrame, power: float = 2.0) -> Fit:
    """A second law without error: the failure rate is 0.05 times a power of the loss."""
    return fit(rows.assign(failures=0.05 * rows["loss"] ** power), "failures ~ a*loss^b", bootstrap=0)


def test_a_second_law_without_error_carries_the_interval_over() -> None:
    rows = table(0.004, 1)
    for mean in (False, True):
        found = forecast(rows, TARGET, through=exact_step(rows), mean=mean)
        assert found.second is not None
        for p in (0.5, 0.8, 0.9):
            for ours, theirs in zip(found.second.interval(p), found.interval(p), strict=True):
                assert ours == pytest.approx(0.05 * theirs**2, rel=2e-3)
        value = 0.05 * np.exp(2 * found.predicted.mu)
        assert found.second.median == pytest.approx(value, rel=1e-3)
        parts = found.second.parts
        for name in ("parameters", "laws", "drift"):  # to first order, the relative error of the response is twice
            assert parts[name] == pytest.approx(2 * value * getattr(found.predicted, name), rel=1e-3)
        assert parts["run"] == pytest.approx(0 if mean else 2 * value * found.predicted.run, rel=1e-3)
        assert parts["second_law"] == pytest.approx(0, abs=1e-9)


def test_a_second_law_adds_its_errors_and_its_scatter() -> None:
    rows = table(0.004, 1)
    rng = np.random.default_rng(0)
    noisy_step = fit(
        rows.assign(failures=0.05 * rows["loss"] ** 2 * np.exp(0.03 * rng.normal(size=len(rows)))),
        "failures ~ a*loss^b", bootstrap=0,
    )  # fmt: skip
    one, many = (forecast(rows, TARGET, through=noisy_step, mean=mean).second for mean in (False, True))
    assert one is not None
    assert many is not None
    assert one.parts["second_scatter"] == pytest.approx(0.03 * one.median, rel=0.25)
    assert many.parts["second_scatter"] == pytest.approx(0)
    assert one.parts["second_law"] > 0.002 * one.median
    total = np.sqrt(sum(part**2 for part in many.parts.values()))
    assert many.spread == pytest.approx(total, rel=0.15)
    assert one.spread > 1.1 * many.spread


def test_a_second_law_is_known_by_the_column_of_the_table() -> None:
    rows = table(0.004, 1).rename(columns={"loss": "bits"})
    step = fit(rows.assign(failures=0.05 * rows["bits"] ** 2), "failures ~ a*bits^b", bootstrap=0)
    found = forecast(rows, TARGET, through=step, mapping={"loss": "bits"})
    assert found.second is not None
    assert found.second.median == pytest.approx(0.05 * np.exp(2 * found.predicted.mu), rel=1e-3)
    assert found.findings[-1].code == "second_beyond"
    assert "lies outside" in found.findings[-1].message
    record = found.record()["targets"][0]["second"]
    assert record["response"] == "failures"
    assert set(record["parts"]) == set(SECOND_PARTS)
    assert found.table()["failures_estimate"].item() == pytest.approx(record["estimate"])
    assert "median failures" in str(found)
    rows = rows.rename(columns={"bits": "loss"})  # and the other way: the law has a name of its own for the column
    step = fit(
        rows.assign(failures=0.05 * rows["loss"] ** 2), "failures ~ a*bits^b", bootstrap=0, mapping={"bits": "loss"}
    )
    found = forecast(rows, TARGET, through=step)
    assert found.second is not None
    assert found.second.median == pytest.approx(0.05 * np.exp(2 * found.predicted.mu), rel=1e-3)
    first = fit(rows, "chinchilla", bootstrap=0)
    both = step.predict(rows[["params", "tokens"]], through=first)
    np.testing.assert_allclose(both["predicted"], 0.05 * both["bits"] ** 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("law", "columns", "message"),
    [
        ("failures ~ a*other^b", {"other": "loss"}, "the forecast is of 'loss', which is not a column of the second"),
        ("failures ~ a*loss^b/depth^c", {"depth": "depth"}, "also needs depth, which the targets of this forecast do"),
    ],
)
def test_second_laws_that_do_not_match_are_refused(law: str, columns: dict[str, str], message: str) -> None:
    rows = table(0.004, 1)
    extra = rows.assign(failures=0.05 * rows["loss"] ** 2, depth=np.geomspace(1, 30, len(rows)))
    extra = extra.assign(**{new: extra[old] for new, old in columns.items()})
    step = fit(extra, law, bootstrap=0)
    with pytest.raises(DataError, match=message):
        forecast(rows, TARGET, through=step)


def test_the_command_line_takes_two_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scalefit.cli.app import app

    rows = table(0.004, 1)
    rows.to_csv(tmp_path / "runs.csv", index=False)
    exact_step(rows).save(tmp_path / "second.fit")
    call = ["forecast", str(tmp_path / "runs.csv"), "--at", "params=7B,tokens=1.4T", "--json"]
    app([*call, "--through", str(tmp_path / "second.fit")], standalone_mode=False)
    target = json.loads(capsys.readouterr().out)["targets"][0]
    assert target["second"]["estimate"] == pytest.approx(0.05 * target["estimate"] ** 2, rel=1e-3)
    with pytest.raises(DataError, match=r"runs\.csv"):
        app([*call, "--through", str(tmp_path / "runs.csv")], standalone_mode=False)


def test_predictions_in_two_steps_say_how_far_the_first_step_reaches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from scalefit.cli.app import app

    rows = table(0.004, 1).assign(acc=lambda one: 0.9 - 0.2 * one["loss"])
    fit(rows, "chinchilla", bootstrap=0).save(tmp_path / "first.fit")
    fit(rows, "acc ~ top - slope*loss", space="linear", bootstrap=0).save(tmp_path / "second.fit")
    call = ["predict", str(tmp_path / "second.fit"), "--through", str(tmp_path / "first.fit")]
    app([*call, "--at", "params=20G,tokens=1e13"], standalone_mode=False)
    out = capsys.readouterr()
    assert "first step, of loss: beyond the fitted rows: 10 times in params, 25 times in tokens" in out.out
    assert "The farthest row has 250 times the compute" in out.err
    app([*call, "--at", "params=1e9,tokens=2e10", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["rows"][0]["loss_beyond_params"] == 1
