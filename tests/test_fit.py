"""Whole fits: certified optima, errors, invariances, and the honest status."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scalefit.data.datasets import describe_dataset, load_dataset, published_value
from scalefit.errors import DataError, FitFailed, LawError
from scalefit.leastsq import fit
from scalefit.results import NOT_CONVERGED
from scalefit.solver.search import search
from scalefit.terminal import ProgressLine
from tests.reference.coverage import coverage

HUBER_240 = {"loss": "huber", "drop_highest_loss": 5}

# data, law, options, objective, estimates: to every digit that SCIENCE prints
CERTIFIED = [
    (
        "chinchilla", "chinchilla", HUBER_240, 0.0010182740178,
        {"E": 1.8172181, "A": 477.82587, "B": 2143.4174, "alpha": 0.3473105, "beta": 0.36717243},
    ),
    (
        "chinchilla", "chinchilla", {"drop_highest_loss": 5}, 0.0114618869917,
        {"E": 1.8645501, "A": 593.3221, "B": 4875.6378, "alpha": 0.3602528, "beta": 0.40588336},
    ),
    (
        "chinchilla", "chinchilla", {"loss": "huber"}, 0.00182601052307,
        {"E": 1.8913385, "A": 495.72601, "B": 12845.613, "alpha": 0.34931289, "beta": 0.4530493},
    ),
    (
        "chinchilla", "width_depth", {"drop_highest_loss": 40}, 0.00614556140411,
        {"E": 1.7536267, "c_m": 274.72327, "c_l": 6.7211696, "c_D": 529.2531,
         "a_m": 0.94547939, "a_l": 1.3251275, "a_D": 0.29909282},
    ),
    ("llm_families", "family_width", {"space": "linear"}, None, {"A": 478.1, "alpha": 0.9104}),
]  # fmt: skip


@pytest.mark.parametrize(("data", "law", "options", "objective", "estimates"), CERTIFIED)
def test_certified_optimum(data, law, options, objective, estimates):
    result = fit(data, law, bootstrap=0, **options)
    assert result.status == "converged"
    if objective is not None:
        assert f"{result.value:.12g}" == f"{objective:.12g}"
    for name, certified in estimates.items():
        decimals = len(repr(certified).partition(".")[2])
        assert round(result[name].value, decimals) == pytest.approx(certified, abs=1.01 * 10.0**-decimals)


def test_llm_families_mean_square():
    result = fit("llm_families", "family_width", space="linear", bootstrap=0)
    assert result.value / 108 == pytest.approx(0.005182, abs=5e-7)
    assert result["E[OPT,wikitext]"].value == pytest.approx(2.2074, abs=2e-3)


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_units_order_and_seed_do_not_matter(loss):
    frame = load_dataset("chinchilla")
    base = fit(frame, "chinchilla", loss=loss, bootstrap=200)
    shuffled = frame.sample(frac=1, random_state=3)
    again = fit(shuffled, "chinchilla", loss=loss, bootstrap=200)
    np.testing.assert_array_equal(base.point, again.point)
    np.testing.assert_array_equal(base.uncertainty.draws, again.uncertainty.draws)
    billions = frame.assign(params=frame["params"] / 1e9)
    scaled = fit(billions, "chinchilla", loss=loss, bootstrap=0, seed=5)
    assert scaled.value == pytest.approx(base.value, rel=1e-12)
    assert scaled["alpha"].value == pytest.approx(base["alpha"].value, rel=1e-7)
    assert scaled["A"].value == pytest.approx(base["A"].value / 1e9 ** base["alpha"].value, rel=1e-5)


def test_swapping_terms_swaps_names_only():
    a = fit("chinchilla", "loss ~ E + A/params^alpha + B/tokens^beta", bootstrap=0)
    b = fit("chinchilla", "loss ~ E + A/tokens^alpha + B/params^beta", bootstrap=0)
    assert a.value == pytest.approx(b.value, rel=1e-13)
    assert a["alpha"].value == pytest.approx(b["beta"].value, rel=1e-8)


def test_a_row_of_weight_zero_changes_nothing():
    frame = load_dataset("chinchilla").assign(w=1.0)
    plain = fit(frame, "chinchilla", loss="huber", bootstrap=0)
    extra = frame.iloc[:1].assign(loss=9.0, w=0.0)
    with_extra = fit(pd.concat([frame, extra]), "chinchilla", loss="huber", weights="w", bootstrap=0)
    np.testing.assert_allclose(with_extra.point, plain.point, rtol=1e-7)
    assert with_extra.value == pytest.approx(plain.value, rel=1e-12)


def test_doubling_a_weight_equals_repeating_the_row():
    frame = load_dataset("chinchilla").assign(w=1.0)
    frame.loc[frame.index[:30], "w"] = 2.0
    weighted = fit(frame, "chinchilla", weights="w", bootstrap=0)
    repeated = fit(pd.concat([frame, frame.iloc[:30]]), "chinchilla", bootstrap=0)
    assert weighted.value == pytest.approx(repeated.value, rel=1e-12)


def test_one_diverged_run_moves_squares_and_not_huber():
    frame = load_dataset("chinchilla").iloc[5:].copy()
    broken = frame.copy()
    broken.iloc[100, broken.columns.get_loc("loss")] *= 3
    for loss, moved in (("huber", False), ("squared", True)):
        before, after = (fit(each, "chinchilla", loss=loss, bootstrap=0, throw=False) for each in (frame, broken))
        assert (abs(after["beta"].value / before["beta"].value - 1) > 0.05) == moved


def test_recovers_the_truth_of_clean_data():
    x = np.geomspace(1e15, 1e17, 40)
    frame = pd.DataFrame({"tokens": x, "loss": 1.5 + 4e4 / x**0.31})
    result = fit(frame, "tokens", bootstrap=0)
    assert result["E"].value == pytest.approx(1.5, rel=1e-6)
    assert result["beta"].value == pytest.approx(0.31, rel=1e-5)


def test_free_exponents_may_be_negative():
    x = np.geomspace(1, 100, 20)
    frame = pd.DataFrame({"x": x, "y": 3 * x**0.7})
    assert fit(frame, "y ~ c/x^a", exponents="free", bootstrap=0)["a"].value == pytest.approx(-0.7)
    assert fit(frame, "y ~ c*x^a", bootstrap=0)["a"].value == pytest.approx(0.7)
    bounded = fit(frame, "y ~ c/x^a", bootstrap=0)
    assert bounded["a"].value == 0
    assert bounded.status == "not identified"


def test_epochs_bootstrap_errors():
    """Besiroglu et al. 2024 print standard errors of a 4,000-fold bootstrap of the Huber fit."""
    result = fit("chinchilla", "chinchilla", **HUBER_240)
    assert len(result.uncertainty.draws) == 4000
    for name, slack in {"A": 0.05, "B": 0.12, "E": 0.06, "alpha": 0.06, "beta": 0.06}.items():
        published = published_value(f"besiroglu2024.notebook.{name}").uncertainty
        assert result[name].se == pytest.approx(published, rel=slack)
    assert result.uncertainty.failed == 0


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_percentile_intervals_hold_the_estimate_and_scale(loss):
    narrow, wide = (fit("chinchilla", "chinchilla", loss=loss, bootstrap=800, level=level) for level in (0.5, 0.95))
    for a, b in zip(narrow.estimates, wide.estimates, strict=True):
        assert b.lo < a.lo < a.hi < b.hi


@pytest.mark.slow
@pytest.mark.parametrize("scatter", ["equal", "unequal"])
def test_pairs_intervals_cover(scatter):
    """The short form; `python -m tests.reference.coverage` measures with 1,000 sets."""
    shares = coverage(60, 300, scatter=scatter, loss="squared", methods=["pairs"])
    assert shares.to_numpy().mean() > 0.87  # 60 sets: 0.95 less three standard errors


def test_cluster_errors_are_wider_where_runs_share_theirs():
    options = {"where": 'subset == "hot_100b+"', "bootstrap": 300, "throw": False}
    rows = fit("gemstones", "width_depth", **options)
    runs = fit("gemstones", "width_depth", cluster="run", **options)
    assert "22 clusters" in runs.uncertainty.method
    assert runs["a_m"].se > 3 * rows["a_m"].se


def test_gemstones_floor_is_not_identified():
    result = fit("gemstones", "width_depth", loss="huber", where='subset == "hot_100b+"', bootstrap=0)
    assert result["E"].value == 0
    assert (result.status, result.exit_code) == ("not identified", 1)
    assert "do not identify a floor" in result.message
    for name, certified in {"a_m": 0.2606504897, "a_l": 0.1416453973, "a_D": 0.530963438}.items():
        assert result[name].value == pytest.approx(certified, abs=1e-4)


def test_an_unfinished_fit_raises_and_carries_itself(monkeypatch):
    def unfinished(*args, **kwargs):
        return tuple(minimum._replace(converged=False) for minimum in search(*args, **kwargs))

    monkeypatch.setattr(sys.modules["scalefit.leastsq.fit"], "search", unfinished)
    with pytest.raises(FitFailed, match="does not meet the stopping rule") as error:
        fit("chinchilla", "chinchilla", bootstrap=0)
    assert error.value.fit.status == NOT_CONVERGED
    assert fit("chinchilla", "chinchilla", bootstrap=0, throw=False).exit_code == 1


def test_collinear_ladder_is_remarked():
    frame = load_dataset("chinchilla")
    rng = np.random.default_rng(0)
    close = frame.assign(twin=frame["params"] ** 0.5 * np.exp(rng.normal(0, 0.1, len(frame))))
    result = fit(close, "loss ~ E + A/params^alpha + B/twin^beta", bootstrap=0, throw=False)
    assert any(finding.code == "collinear_columns" for finding in result.findings)


def test_shared_names_are_one_parameter_and_are_noted():
    result = fit("chinchilla", "loss ~ E + A/params^alpha + B/tokens^alpha", bootstrap=0)
    assert result.names == ("E", "A", "B", "alpha")
    assert any(finding.code == "shared_parameter" for finding in result.findings)


def test_two_powers_of_one_column_come_in_order():
    x = np.geomspace(10, 1e6, 60)
    frame = pd.DataFrame({"params": x, "loss": 1 + 3 / x**0.2 + 20 / x**0.9})
    result = fit(frame, "loss ~ E + A/params^a + B/params^b", bootstrap=0)
    assert result["a"].value == pytest.approx(0.2, abs=1e-3)
    assert result["b"].value == pytest.approx(0.9, abs=1e-3)


BAD = [
    ({"loss": [1.0, 2.0, 3.0, 4.0], "params": [5.0] * 4}, "params", "column 'params' is constant"),
    (
        {"loss": [3.0, 2.0, 1.0], "params": [1.0, 2.0, 3.0]},
        "params",
        "3 rows cannot determine the 3 parameters",
    ),
    ({"loss": [3.0, 2.0, 2.5, 1.9], "params": [1.0, 2.0, 1.0, 2.0]}, "params", "has 2 different values"),
    ({"loss": [3.0, -2.0, 1.0], "params": [1.0, 2.0, 3.0]}, "params", "row 2"),
    ({"loss": [3.0, np.nan, 1.0], "params": [1.0, 2.0, 3.0]}, "params", "row 2"),
    ({"loss": [3.0, 2.0, 1.0], "parms": [1.0, 2.0, 3.0]}, "params", "parms"),
]


@pytest.mark.parametrize(("columns", "law", "message"), BAD)
def test_refusals_say_what_is_wrong(columns, law, message):
    with pytest.raises(DataError, match=message):
        fit(pd.DataFrame(columns), law)


def test_proportional_columns_and_lonely_levels_are_refused():
    frame = load_dataset("chinchilla").assign(double=lambda rows: 2 * rows["params"])
    with pytest.raises(DataError, match="'params' and 'double' move together"):
        fit(frame, "loss ~ E + A/params^alpha + B/double^beta")
    lonely = frame.assign(team=["solo"] + ["rest"] * 244)
    with pytest.raises(DataError, match="is the only one in team = solo"):
        fit(lonely, "loss ~ E[team] + A/params^alpha")
    with pytest.raises(DataError, match="cluster column 'team' has one value"):
        fit(lonely.iloc[1:], "chinchilla", cluster="team")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hubr"}, "did you mean 'huber'"),
        ({"space": "lin"}, "did you mean 'linear'"),
        ({"delta": -1.0, "loss": "huber"}, "must be positive"),
        ({"level": 95.0}, "between 0 and 1"),
        ({"bootstrap": 1}, "0 \\(none\\) or at least 2"),
        ({"uncertainty": "cluster"}, "needs a cluster column"),
        ({"uncertainty": "bayes"}, "[Cc]hoices"),
        ({"exponents": "positive"}, "[Cc]hoices"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(DataError, match=message):
        fit("chinchilla", "chinchilla", **options)


def test_a_law_without_parameters_is_for_predicting():
    with pytest.raises(LawError, match="nothing to fit; use predict"):
        fit("chinchilla", "loss ~ 1.69 + 406.4/params^0.34")


def test_predictions_and_their_intervals():
    result = fit("chinchilla", "chinchilla", loss="huber", bootstrap=500)
    rows = result.predict(prob=0.9)
    assert (rows["lo"] < rows["predicted"]).mean() > 0.95
    assert (rows["predicted"] < rows["hi"]).mean() > 0.95
    predicted = result.predict({"params": 7e9, "tokens": 1.4e12}, prob=0.95)
    by_hand = result["E"].value + result["A"].value / 7e9 ** result["alpha"].value
    by_hand += result["B"].value / 1.4e12 ** result["beta"].value
    assert predicted["predicted"].iloc[0] == pytest.approx(by_hand, rel=1e-12)
    smooth = fit("chinchilla", "chinchilla", loss="huber", uncertainty="gauss-newton")
    assert smooth.predict(prob=0.9)["lo"].lt(smooth.predict()["predicted"]).all()
    with pytest.raises(DataError, match="needs column 'tokens'"):
        result.predict({"params": 7e9})
    with pytest.raises(DataError, match="between 0 and 1"):
        result.predict(prob=95)


def test_predicting_an_unseen_level_is_refused():
    result = fit("llm_families", "family_width", bootstrap=0)
    with pytest.raises(DataError, match=r"has no E\[Llama,c4\]"):
        result.predict({"family": "Llama", "eval_set": "c4", "width": 4096})


def test_same_call_same_numbers():
    a, b = (fit("chinchilla", "chinchilla", loss="huber", bootstrap=300, seed=11) for _ in range(2))
    np.testing.assert_array_equal(a.uncertainty.draws, b.uncertainty.draws)
    assert str(a) == str(b)


def test_a_shipped_set_is_recorded_by_the_hash_of_its_file():
    result = fit("chinchilla", "chinchilla", bootstrap=0)
    assert result.source.sha256 == describe_dataset("chinchilla").sha256


def test_progress_is_told_and_interrupts_cleanly():
    told = []
    fit("chinchilla", "chinchilla", bootstrap=3000, progress=lambda *note: told.append(note))
    assert told[-1] == ("refitting resamples", 3000, 3000)

    def stop(stage, done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit("chinchilla", "chinchilla", bootstrap=100_000, progress=stop)


def test_a_level_missing_in_a_resample_costs_only_its_own_parameters():
    """With families as clusters most resamples lack one; the shared exponent must still vary."""
    options = {"space": "linear", "cluster": "family", "bootstrap": 300}
    four = load_dataset("llm_families")
    eight = pd.concat([four, four.assign(family=four["family"] + " again")], ignore_index=True)
    result = fit(eight, "family_width", **options)
    draws = result.uncertainty.draws
    assert np.isfinite(draws[:, result.names.index("alpha")]).all()
    assert np.isnan(draws[:, result.names.index("E[OPT,c4]")]).any()
    assert any(finding.code == "level_missing_in_resamples" for finding in result.findings)
    left_out = fit(eight, "family_width", uncertainty="jackknife", **options)
    assert result["alpha"].se == pytest.approx(left_out["alpha"].se, rel=0.4)


def test_weightless_rows_do_not_count_as_rows():
    frame = load_dataset("chinchilla").iloc[5:].assign(w=0.0)
    frame.loc[frame.index[::20], "w"] = 1.0
    few = frame[frame["w"] > 0]
    for method in ("hc3", "profile", "pairs"):
        options = {"uncertainty": method, "bootstrap": 50}
        a = fit(frame, "chinchilla", weights="w", **options)
        b = fit(few, "chinchilla", **options)
        np.testing.assert_allclose(
            [estimate.lo for estimate in a.estimates], [estimate.lo for estimate in b.estimates], rtol=1e-6
        )
    with pytest.raises(DataError, match="every weight in column 'w' is zero"):
        fit(frame.assign(w=0.0), "chinchilla", weights="w")


def test_small_samples_use_few_degrees_of_freedom():
    frame = load_dataset("chinchilla").iloc[10:].sample(8, random_state=2)
    result = fit(frame, "params", uncertainty="gauss-newton", throw=False)
    estimate = result["alpha"]
    assert (estimate.hi - estimate.value) / estimate.se == pytest.approx(2.5706, abs=1e-3)  # t with 8 - 3 degrees


def test_coefficients_beyond_double_precision_still_predict():
    x = np.linspace(1, 3, 30)
    for unit in (1e17, 1e-17):
        frame = pd.DataFrame({"tokens": x * unit, "loss": 2 + 0.5 * x**-25.0})
        result = fit(frame, "tokens", bootstrap=0, throw=False)
        np.testing.assert_allclose(result.predict()["predicted"], frame["loss"], rtol=1e-6)
        assert np.abs(result.residuals()).max() < 1e-6


def test_a_size_at_the_edge_of_the_search_is_said():
    where = 'configuration == "rw-base-long-kaplan-kaplan-train"'
    law = "loss ~ E + A/width^alpha + C/depth^c + B/tokens^beta"
    result = fit("porian", law, where=where, bootstrap=0, throw=False)
    if result["C"].log_value is not None and result["c"].value > 10:
        bounds = ("size_at_bound", "term_vanished", "exponent_at_bound")
        assert any(finding.code in bounds for finding in result.findings)
        assert result.exit_code == 1


def test_separate_levels_keep_their_rivals_and_their_starts():
    rng = np.random.default_rng(4)
    x = np.geomspace(1e8, 1e11, 20)
    parts = [
        pd.DataFrame({"grp": name, "tokens": x, "loss": (1 + 4e2 / x**0.3) * np.exp(rng.standard_t(2, 20) * 0.02)})
        for name in ("a", "b")
    ]
    law = "loss ~ E[grp] + A[grp]/tokens^alpha[grp]"
    whole = fit(pd.concat(parts), law, loss="huber", bootstrap=0, throw=False)
    alone = [fit(part, "tokens", loss="huber", bootstrap=0, throw=False) for part in parts]
    assert whole.value == pytest.approx(sum(part.value for part in alone), rel=1e-9)
    assert whole.optima[0].hits == sum(part.optima[0].hits for part in alone)
    assert len(whole.optima) == 1 + sum(len(part.optima) - 1 for part in alone)


def test_a_floor_at_zero_has_an_upper_limit():
    where = 'subset == "hot_100b+"'
    for method in ("hc3", "gauss-newton"):
        result = fit("gemstones", "width_depth", loss="huber", where=where, uncertainty=method)
        assert result["E"].lo == 0
        assert 0 < result["E"].hi < 2.5


def test_predicting_reads_numbers_as_a_table_does():
    result = fit("chinchilla", "chinchilla", bootstrap=0)
    assert result.predict({"params": "7B", "tokens": 1.4e12})["predicted"].iloc[0] > 1.8
    assert len(result.predict({"params": [1e9, 2e9], "tokens": 1e10})) == 2
    for bad in (-1e9, np.nan):
        with pytest.raises(DataError, match="column 'params'"):
            result.predict({"params": bad, "tokens": 1e10})


def test_extreme_units_of_the_response():
    frame = load_dataset("chinchilla")
    base = fit(frame, "chinchilla", bootstrap=0)
    for scale in (1e-9, 1e9, 1e-60, 1e60):
        scaled = fit(frame.assign(loss=frame["loss"] * scale), "chinchilla", bootstrap=0)
        assert scaled.value == pytest.approx(base.value, rel=1e-9)
    with pytest.raises(DataError, match="exceed double precision"):
        fit(frame.assign(loss=frame["loss"] * 1e150), "chinchilla")


def floor_only(draws=None):
    """A fit of y ~ E + 1/x^1 with a floor whose distribution is known."""
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0, 8.0, 16.0], "y": [2.1, 1.4, 1.3, 1.1, 1.0]})
    result = fit(frame, "y ~ E + 1/x^1", bootstrap=0)
    one = np.ones(1)
    spread = replace(result.uncertainty, draws=draws, covariance=np.eye(1), se=one, lo=-one, hi=one)
    return replace(result, uncertainty=spread, point=np.array([0.1]))


def test_predicted_interval_leaves_out_half_of_the_rest_on_each_side():
    draws = np.linspace(1.0, 2.0, 101)[:, None]
    for prob, ends in ((0.9, (1.05, 1.95)), (0.5, (1.25, 1.75))):
        row = floor_only(draws).predict({"x": 2.0}, prob=prob).iloc[0]
        assert (row["lo"], row["hi"]) == pytest.approx((ends[0] + 0.5, ends[1] + 0.5), abs=1e-12)


def test_predicted_interval_of_a_normal_floor_is_cut_at_zero():
    """E is 0.1 with a standard error of 1, but a floor below 0 does not exist: the lower end is that of the term."""
    row = floor_only().predict({"x": 2.0}, prob=0.9).iloc[0]
    assert row["lo"] == pytest.approx(0.5, abs=1e-12)
    assert row["hi"] == pytest.approx(0.5 + 0.1 + 1.645, abs=0.15)  # 1,000 draws


def test_refits_that_take_minutes_are_announced_before_they_begin(monkeypatch, capsys):
    def stages(**options):
        seen = []
        fit("chinchilla", "chinchilla", progress=lambda stage, *_: seen.append(stage), bootstrap=2, **options)
        return [stage for stage in dict.fromkeys(seen) if stage.startswith("refitting")]

    assert stages() == ["refitting resamples"]
    monkeypatch.setattr(sys.modules["scalefit.leastsq.fit"], "MANY_REFITTED", 400)
    (announced,) = stages()
    assert announced.endswith("245 rows, for minutes: fewer with --bootstrap 200, none with --uncertainty hc3")
    with ProgressLine() as line:  # not a terminal
        line(announced, 0, 2)
        line(announced, 1, 2)
        line("refitting resamples", 1, 2)
    assert capsys.readouterr().err == f"{announced} ...\n"
