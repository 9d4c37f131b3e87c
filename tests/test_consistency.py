"""The check of a sweep: exponents, straightness and convergence of tables whose answer is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scalefit.consistency import check_sweep
from scalefit.consistency.ranges import reset_sentence
from scalefit.consistency.series import curves, measure_series
from scalefit.errors import DataError
from scalefit.overlap import welch_bound
from scalefit.thresholds import BENT, STANDS_STILL
from scalefit.toy import ToyConfig
from scalefit.toy.predict import theory_of
from scalefit.toy.reset import reset_test
from scalefit.toy.theory import weak_loss, weak_slope

WIDTHS = (8, 13, 21, 34, 55)


def sweep(law, *, steps=(6000,), seeds=3, noise=0.01, phi=1.0, gamma=-1.0, alpha=1.0, n=512):
    """Build a table as a sweep writes it, with losses ``law(m, steps)``."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "width": m, "n_features": n, "frequency": "power", "alpha": alpha, "scale": np.nan, "density": 1.0,
            "gamma": gamma, "batch": 256, "learning_rate": "small", "loss_factor": 1.0, "dtype": "float32", "steps": t,
            "seed": s, "loss": law(m, t) * math.exp(noise * rng.standard_normal()), "loss_se": 0.005 * law(m, t),
            "phi_half": phi if np.isscalar(phi) else phi[m], "status": "done",
        }
        for t in steps for s in range(seeds) for m in WIDTHS
    ]  # fmt: skip
    return pd.DataFrame(rows)


def power(a):
    return lambda m, _steps: 3 * m**-a


def check(table, **options):
    return check_sweep(table, language_models=False, **options)


def test_exponent_is_that_of_ordinary_least_squares():
    table = sweep(power(1.1))
    (case,) = check(table).settings
    line = stats.linregress(np.log(table.width), np.log(table.loss))
    assert case.exponent == pytest.approx(-line.slope, abs=1e-9)
    assert case.last.by_seed == pytest.approx(
        [-np.polyfit(np.log(rows.width), np.log(rows.loss), 1)[0] for _, rows in table.groupby("seed")]
    )


def test_local_exponents_and_their_errors():
    table = sweep(power(1.0), noise=0.02)
    (case,) = check(table).settings
    logs = np.log(table.loss).groupby(table.width)
    means, errors = logs.mean().to_numpy(), logs.std().to_numpy() / math.sqrt(3)
    spans = np.diff(np.log(WIDTHS))
    assert [s.slope for s in case.last.local] == pytest.approx(-np.diff(means) / spans)
    assert [s.se for s in case.last.local] == pytest.approx(np.hypot(errors[1:], errors[:-1]) / spans)


def test_a_straight_law_passes_and_a_bent_one_does_not():
    (straight,) = check(sweep(power(1.0))).settings
    (bent,) = check(sweep(lambda m, _: 3 * m**-1.0 * math.exp(-0.2 * math.log(m / 20) ** 2))).settings
    assert straight.last.lack_p > 0.01
    assert bent.last.lack_p < 1e-6
    assert bent.last.bend == pytest.approx(0.4, abs=0.03)
    assert bent.last.bend_p < 1e-6


def test_the_bend_is_the_textbook_two_sided_t_test():
    from statsmodels.regression.linear_model import OLS

    table = sweep(power(0.7), noise=0.05)
    series = measure_series(table, 6000)
    u = np.log(table.width.to_numpy(float))
    fitted = OLS(np.log(table.loss.to_numpy(float)), np.stack([np.ones_like(u), u, u**2], axis=1)).fit()
    assert series.bend == pytest.approx(-2 * fitted.params[2])
    assert series.bend_p == pytest.approx(fitted.pvalues[2])
    assert 0.01 < series.bend_p < 0.99


def test_lack_of_fit_is_the_textbook_f_test():
    table = sweep(power(0.7), noise=0.05)
    series = measure_series(table, 6000)
    u, y = np.log(table.width), np.log(table.loss)
    full = y - y.groupby(table.width).transform("mean")
    line = y - np.polyval(np.polyfit(u, y, 1), u)
    f = ((line**2).sum() - (full**2).sum()) / 3 / ((full**2).sum() / 10)
    assert series.lack_p == pytest.approx(stats.f.sf(f, 3, 10))


@pytest.mark.parametrize(("late", "word"), [(1.0, "converged"), (1.3, "not converged")])
def test_convergence_compares_two_lengths_of_training(late, word):
    table = sweep(lambda m, t: 3 * m ** -(late if t == 6000 else 1.0), steps=(3000, 6000), noise=0.005)
    (case,) = check(table).settings
    assert case.convergence == word
    assert case.change == pytest.approx(late - 1.0, abs=0.02)


def test_a_noisy_change_is_not_taken_for_convergence():
    found = check(sweep(power(1.0), steps=(3000, 6000), seeds=1, noise=0.3)).settings[0]
    assert abs(found.change) + found.change_se > 0.1
    assert found.convergence != "converged"


@pytest.mark.parametrize(("scatter", "word"), [(0.02, "not converged"), (0.2, "not known")])
def test_a_change_counts_from_twice_its_error_on(scatter, word):
    table = sweep(lambda m, t: 3 * m ** -(1.1 if t == 6000 else 1.0), steps=(3000, 6000), noise=0.0)
    late = table.steps == 6000
    table.loc[late, "loss"] *= table.width ** -table.seed.map({0: -scatter, 1: 0.0, 2: scatter})
    (case,) = check(table).settings
    assert (case.change, case.change_se) == pytest.approx((0.1, scatter / math.sqrt(3)), abs=1e-6)
    assert case.convergence == word


def test_no_change_with_a_large_error_is_not_convergence():
    table = sweep(power(1.0), steps=(3000, 6000), noise=0.0)
    table.loc[table.steps == 6000, "loss"] *= table.width ** -table.seed.map({0: -0.2, 1: 0.0, 2: 0.2})
    (case,) = check(table).settings
    assert (case.change, case.change_se) == pytest.approx((0.0, 0.2 / math.sqrt(3)), abs=1e-6)
    assert case.convergence == "not known"


def test_with_one_seed_the_errors_of_both_lengths_make_that_of_the_change():
    (case,) = check(sweep(power(1.0), steps=(3000, 6000), seeds=1, noise=0.05)).settings
    half, last = case.series
    assert half.se > 0.3 * last.se
    assert case.change_se == pytest.approx(math.sqrt(half.se**2 + last.se**2))


@pytest.mark.parametrize("steps", [(6000,), (5000, 6000)])
def test_without_about_half_the_training_nothing_is_shown(steps):
    found = check(sweep(power(1.0), steps=steps))
    assert found.settings[0].convergence == "not known"
    assert "does not show whether the loss falls as 1/m" in str(found.verdict[-1])
    assert found.record()["converged"] is None


def test_a_converged_straight_law_is_counted():
    found = check(sweep(power(1.0), steps=(3000, 6000), noise=0.003))
    assert "Of 1 setting under strong superposition that converged to a straight law" in str(found.verdict[-1])
    assert "in 1, outside in 0." in str(found.verdict[-1])
    other = check(sweep(lambda m, _steps: 0.1 * m**-0.5, steps=(3000, 6000), noise=0.003))
    assert "in 0, outside in 1." in str(other.verdict[-1])
    assert [each.verdict[-1].kind for each in (found, other)] == ["inside", "outside"]
    assert found.record()["verdict"][-1]["usable"] == 1
    assert found.record()["verdict"][0]["threshold"] == STANDS_STILL
    edge = check(sweep(power(1.102), steps=(3000, 6000), noise=0.01))
    assert edge.region[0] < edge.settings[0].exponent < edge.region[1] < edge.settings[0].interval[1]
    assert "in 0, outside in 0." in str(edge.verdict[-1])


THEORY = theory_of(ToyConfig(width=1, n_features=512, alpha=1.0), WIDTHS)


def states(loss, **columns):
    """Where the widths lie of losses that are exactly those given, with columns of measures."""
    table = sweep(lambda m, _steps: loss[WIDTHS.index(m)], noise=0.001)
    (case,) = check(table.assign(**columns)).settings
    return case


def test_arranged_rows_are_told_from_random_directions_and_from_saturation():
    wide = np.where(np.isfinite(THEORY.arranged), THEORY.arranged, 0.2 * THEORY.random)
    case = states(wide, alive=1.0, dead_loss=0.0, represented=1.0)
    assert [state.kind for state in case.states] == ["saturated", "between", *["arranged"] * 3]
    assert [state.to_arranged for state in case.states][:4] == pytest.approx([1.0] * 4, rel=0.01)
    assert math.isnan(case.states[4].to_arranged)  # 55^1.5 is above 0.6 n
    case = states(THEORY.random, alive=1.0, dead_loss=0.0, represented=1.0, norm="held")
    assert {state.kind for state in case.states} <= {"saturated", "random"}
    assert case.states[4].kind == "random" or case.states[4].exponent < 0.9
    assert [state.to_random for state in case.states] == pytest.approx([1.0] * 5, rel=0.01)


def test_a_loss_as_that_of_random_directions_is_theirs_though_a_better_arrangement_is_known():
    at_random = states(1.05 * THEORY.random, alive=1.0, dead_loss=0.0, represented=1.0)
    kinds = {state.kind: state for state in at_random.states if state.to_arranged > 1.25}
    assert kinds
    assert set(kinds) <= {"random", "limited"}
    assert all((state.kind == "random") == (state.exponent >= 0.9) for state in kinds.values())


def test_where_rare_features_decide_the_loss_no_arrangement_is_named():
    table = sweep(lambda m, _steps: 0.01 * m**-2.0, noise=0.001)
    (case,) = check(table.assign(alpha=2.0, alive=1.0, dead_loss=0.0, represented=1.0)).settings
    assert {state.kind for state in case.states} == {"faster"}
    assert "m = 8 to 55 is faster than 1/m, where the best arrangement is not known" in str(check_verdict(case))


def test_one_seed_has_local_exponents_without_errors():
    table = sweep(power(1.0), noise=0.02)
    found = check(table[table["seed"] == 0])
    assert all(math.isnan(slope.se) for slope in found.settings[0].last.local)
    line = next(line for line in found.summary().splitlines() if "local exponents" in line)
    assert "8-13: " in line
    assert "±" not in line
    assert found.record()["settings"][0]["local"][0]["se"] is None


def test_a_claim_that_stays_open_begins_with_what_is_known():
    bent = check(sweep(lambda m, _: m**-0.7 * math.exp(-0.2 * math.log(m / 8) ** 2), noise=0.002))
    last = bent.settings[0].last.local[-1]
    known, claim = bent.claims
    assert str(known) == (
        "In 1 setting of 1 under strong superposition the loss falls faster than 1/m between the two widest models "
        f"(local exponent {last.slope:.2f})."
    )
    assert str(claim).startswith("Under strong superposition no setting")
    assert bent.verdict[-2:] == bent.claims
    slow = check(sweep(lambda m, _: m**-0.3 * math.exp(-0.05 * math.log(m / 8) ** 2), noise=0.002))
    (claim,) = slow.claims
    assert str(claim).startswith("Under strong superposition no setting")


def test_dead_outputs_limit_only_where_theory_would_keep_them():
    wide = np.where(np.isfinite(THEORY.arranged), 1.1 * THEORY.arranged, 0.2 * THEORY.random)
    case = states(wide, alive=0.5, dead_loss=0.3 * wide.min(), represented=1.0)
    shares = [0.3 * wide.min() / loss for loss in wide]
    expected = ["limited" if (share > 0.1 and kept > 0.5) or math.isnan(kept) else None
                for share, kept in zip(shares, THEORY.kept, strict=True)]  # fmt: skip
    assert [state.kind == "limited" for state in case.states] == [kind == "limited" for kind in expected]
    assert "limited" in expected
    assert None in expected
    assert "m = 34 to 55 is limited by dead outputs or unfinished training" in str(check_verdict(case))
    at_best = states(wide / 1.1, alive=0.5, dead_loss=0.3 * wide.min(), represented=1.0)
    limited = [state.width for state in at_best.states if state.kind == "limited"]
    assert limited == [55]  # where the best arrangement is not known; elsewhere nothing is lost by the dead outputs


def check_verdict(case):
    from scalefit.consistency.result import Check, verdict

    return verdict(Check("sweep", 1.0, (0.9, 1.1), (case,), 15, 0))[0]


def test_losses_above_theory_are_limited_and_without_it_nothing_is_known():
    high = states(1.5 * THEORY.random)
    assert {state.kind for state in high.states} == {"limited"}
    assert high.last.rows["loss"].notna().all()
    unknown = states(0.3 * THEORY.random).states[4]
    assert (unknown.kind, math.isnan(unknown.alive)) == ("unknown", True)
    table = sweep(power(1.0)).assign(frequency="given", alpha=np.nan, frequencies="abcd")
    assert check(table).settings[0].states == ()


def test_a_reset_shows_whether_dead_outputs_were_a_trap():
    models = [
        ToyConfig(width=m, n_features=64, alpha=1.0, gamma=-1.0, steps=1200, batch=128, bias_start=start)
        for m in (6, 12, 20) for start in ("normal", "zero")
    ]  # fmt: skip
    found = {(test.width, test.seed): test for test in reset_test(models[::2])}
    assert found[20, 0].trapped
    assert found[20, 0].dead > found[20, 0].dead_after
    assert found[20, 0].after < found[20, 0].before * 0.9
    assert all(not test.trapped or test.dead_after < 0.9 for test in reset_test(models[1:2]))
    words = reset_sentence(tuple(found.values()))
    assert "With the biases of dead outputs reset, training goes on to losses lower by" in words
    assert reset_sentence(()) == ""


def test_a_law_that_no_test_can_judge_is_not_called_straight():
    table = sweep(lambda m, _: 3 * m**-1.0, steps=(3000, 6000), seeds=1, noise=0.001)
    found = check(table[table.width < 50])
    assert math.isnan(found.settings[0].last.bend_p)
    assert found.settings[0].convergence == "converged"
    assert "does not show" in str(found.verdict[-1])


def test_a_bent_law_is_said_to_be_bent():
    found = check(sweep(lambda m, _: 3 * m**-1.0 * math.exp(-0.2 * math.log(m / 20) ** 2), steps=(3000, 6000)))
    assert "The law is bent: local exponents run from" in str(found.verdict[0])
    assert "does not show" in str(found.verdict[-1])


def test_a_bend_is_seen_where_the_scatter_of_one_width_hides_it_from_the_lack_of_fit():
    table = sweep(lambda m, _: 3 * m**-1.0 * math.exp(-0.15 * math.log(m / 20) ** 2))
    table.loc[table.width == 21, "loss"] *= table.seed.map({0: 0.85, 1: 1.0, 2: 1 / 0.85})
    found = check(table)
    last = found.settings[0].last
    assert last.lack_p > 0.01 > 2 * last.bend_p
    assert "The law is bent" in str(found.verdict[0])
    assert (found.verdict[0].kind, found.verdict[0].threshold) == ("bent", BENT)


def test_one_error_serves_interval_change_and_comparison():
    """Seeds that disagree widen everything that is said."""
    table = sweep(power(1.0), steps=(3000, 6000), noise=0.0)
    shift = table.seed.map({0: -0.3, 1: 0.0, 2: 0.3})
    table["loss"] *= table.width**shift
    (case,) = check(table).settings
    assert case.se >= 0.3 / math.sqrt(3)
    reach = stats.t.ppf(0.975, 13) * case.se
    assert check(table).record()["interval"] == pytest.approx([case.exponent - reach, case.exponent + reach])
    assert case.change_se == pytest.approx(0, abs=1e-9)  # each seed compared with itself


def test_seeds_that_disagree_about_the_slope_widen_the_error():
    """Lines through one point at the middle width: the scatter of rows understates that of the seeds' slopes."""
    table = sweep(power(1.0), noise=0.0)
    table["loss"] *= (table.width / 21) ** table.seed.map({0: -0.3, 1: 0.0, 2: 0.3})
    (case,) = check(table).settings
    assert case.last.fit["a"].se < 0.9 * case.se
    assert case.se == pytest.approx(0.3 / math.sqrt(3))


def test_the_change_with_training_is_that_of_each_seed():
    table = sweep(lambda m, t: 3 * m ** -(1.2 if t == 6000 else 1.0), steps=(3000, 6000), noise=0.02)
    (case,) = check(table).settings
    slopes = {
        t: np.array([-np.polyfit(np.log(r.width), np.log(r.loss), 1)[0] for _, r in rows.groupby("seed")])
        for t, rows in table.groupby("steps")
    }
    gaps = slopes[6000] - slopes[3000]
    assert (case.change, case.change_se) == pytest.approx((gaps.mean(), gaps.std(ddof=1) / math.sqrt(3)))


def test_regimes_follow_the_represented_features():
    strong = check(sweep(power(1.0), phi=1.0)).settings[0]
    weak = check(sweep(power(0.3), phi={m: m / 512 for m in WIDTHS})).settings[0]
    between = check(sweep(power(0.6), phi=0.5)).settings[0]
    assert [each.regime for each in (strong, weak, between)] == ["strong", "weak", "between"]
    p = np.arange(1, 513.0) ** -1.0
    assert weak.theory["exact sum over features beyond m"] == pytest.approx(weak_slope(p / p.sum(), WIDTHS))


def test_without_strong_superposition_nothing_is_said_of_one_over_m():
    found = check(sweep(power(0.3), phi=0.02))
    assert str(found.verdict[-1]) == "No setting is under strong superposition, so this sweep says nothing about 1/m."


@pytest.mark.parametrize(
    ("law", "name"),
    [
        (lambda m: welch_bound(512, m), "A (n - m)/(m (n - 1)), Welch"),
        (lambda m: m**-1.4, "A/m^a"),
    ],
)
def test_the_true_curve_predicts_left_out_widths_best(law, name):
    table = sweep(lambda m, _: 5 * law(m), noise=0.0005)
    best, second = curves(measure_series(table, 6000), {"n_features": 512, "frequency": "power", "alpha": 1.0})[:2]
    assert best.name == name
    assert best.left_out < 0.5 * second.left_out


def test_a_width_left_out_of_a_mean_misses_by_a_known_factor():
    """A/m has one factor, the mean of log(m loss): without one of k widths its residual grows to k/(k - 1) times."""
    series = measure_series(sweep(power(1.1)), 6000)
    known = {curve.name: curve for curve in curves(series, {"n_features": 512})}
    assert known["A/m"].left_out == pytest.approx(5 / 4 * known["A/m"].rms)
    assert known["A/m^a"].left_out > 1.2 * known["A/m^a"].rms


def test_the_weak_sum_has_nothing_to_fit():
    p = np.arange(1, 513.0) ** -1.0
    table = sweep(lambda m, _: weak_loss(p / p.sum(), m), noise=0.0)
    best = curves(measure_series(table, 6000), {"n_features": 512, "frequency": "power", "alpha": 1.0})[0]
    assert (best.parameters, best.rms) == (0, pytest.approx(0, abs=1e-12))


def test_settings_are_kept_apart_and_strong_ones_come_first():
    weak = sweep(power(0.3), phi=0.02, gamma=0.2)
    found = check(pd.concat([weak, sweep(power(1.0)), sweep(power(0.9), alpha=1.5)]))
    assert [case.setting["gamma"] for case in found.settings] == [-1.0, -1.0, 0.2]
    assert found.settings[1].exponent == pytest.approx(0.9, abs=0.02)
    assert found.models == 45


def test_failed_models_are_counted_and_left_out():
    table = sweep(power(1.0))
    table.loc[0, "loss"] = np.nan
    found = check(table)
    assert found.failed == 1
    assert "45 models" not in found.summary()
    assert "15 models, 1 failed" in found.summary()


def test_language_models_stand_beside_the_toy():
    found = check_sweep(sweep(power(1.0)))
    gaps = {gap.second: gap for gap in found.settings[0].against}
    assert gaps["Liu et al. 2025, printed"].mean == pytest.approx(found.settings[0].exponent - 0.91)
    assert gaps["four model families"].mean == pytest.approx(1.0 - 0.704, abs=0.02)
    assert gaps["Chinchilla"].mean == pytest.approx(0.0, abs=0.06)


def test_record_is_json_with_the_contract_keys():
    record = json.loads(json.dumps(check(sweep(power(1.0), steps=(3000, 6000))).record(), allow_nan=False))
    assert {"exponent", "se", "interval", "converged", "verdict"} <= set(record)
    assert record["interval"][0] < record["exponent"] < record["interval"][1]
    assert record["settings"][0]["theory"]["asymptotic"] == 1.0


def test_tables_without_a_sweep_are_refused():
    with pytest.raises(DataError, match="the table lacks width, n_features, gamma, steps"):
        check(pd.DataFrame({"loss": [1.0]}))
    table = sweep(power(1.0))
    with pytest.raises(DataError, match="no setting of the sweep has 3 widths that finished"):
        check(table[table.width < 20])


def test_probability_of_a_bend_is_two_sided():
    """That of the square's coefficient in an ordinary regression, whichever way the curve bends."""
    import statsmodels.api as sm

    for sign in (1, -1):
        table = sweep(lambda m, _steps, sign=sign: 3 * m ** -(1.0 + 0.003 * sign * math.log(m)), noise=0.01)
        u = np.log(table.width.to_numpy(float))
        design = np.stack([np.ones_like(u), u, u**2], axis=1)
        expected = sm.OLS(np.log(table.loss.to_numpy()), design).fit().pvalues[2]
        assert 0.001 < expected < 0.999
        assert check(table).settings[0].last.bend_p == pytest.approx(expected, rel=1e-6)
