"""Compute-optimal allocation: closed forms, brute force, printed numbers, words, command line."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from scalefit.allocation import Cost, optimum, printed_optimum
from scalefit.allocation.cost import BY_SHAPE
from scalefit.allocation.paths import optimal_paths
from scalefit.errors import DataError
from scalefit.forecasting import drift_of
from scalefit.law.additive import Law
from scalefit.leastsq import fit as run_fit
from scalefit.numbers import amount
from scalefit.thresholds import KNOWN_RATIO

CHINCHILLA = Law.parse("chinchilla")
HOFFMANN = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
EPOCH = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
BUDGET = 5.76e23


# The mathematics -------------------------------------------------------------------------------------------


def test_two_terms_are_the_closed_form_of_hoffmann():
    found = printed_optimum("Hoffmann", CHINCHILLA, HOFFMANN, compute=BUDGET)
    a, b = HOFFMANN["alpha"], HOFFMANN["beta"]
    g = (a * HOFFMANN["A"] / (b * HOFFMANN["B"])) ** (1 / (a + b))  # equation 4 of Hoffmann et al. 2022
    params, tokens = g * (BUDGET / 6) ** (b / (a + b)), (BUDGET / 6) ** (a / (a + b)) / g
    got = found.allocations[0].quantities
    assert found.exponents["params"].value == pytest.approx(0.28 / 0.62, rel=1e-14)
    assert round(found.exponents["params"].value, 4) == 0.4516
    assert round(found.exponents["tokens"].value, 4) == 0.5484
    assert got["params"].value == pytest.approx(params, rel=1e-12)
    assert got["tokens"].value == pytest.approx(tokens, rel=1e-12)
    assert got["loss"].value == pytest.approx(1.69 + 406.4 / params**a + 410.7 / tokens**b, rel=1e-14)


def test_the_replication_gives_about_twenty_tokens_per_parameter():
    got = printed_optimum("Epoch", CHINCHILLA, EPOCH, compute=BUDGET).allocations[0].quantities
    assert 15 < got["tokens_per_param"].value < 25
    theirs = printed_optimum("Hoffmann", CHINCHILLA, HOFFMANN, compute=BUDGET).allocations[0].quantities
    assert theirs["tokens_per_param"].value > 3 * got["tokens_per_param"].value


def test_two_losses_on_the_same_resamples_have_a_ratio_with_an_interval():
    options = {"drop_highest_loss": 5, "cluster": "shape", "bootstrap": 60}
    fits = [run_fit("chinchilla", "chinchilla", loss=loss, **options) for loss in ("huber", "squared")]
    huber, squares = (optimum(fit, compute=BUDGET) for fit in fits)
    ratio = squares.over(huber, "tokens_per_param", BUDGET)

    def tokens_per_param(fit):  # equation 4 of Hoffmann et al. 2022, for every resample
        a, b, A, B = (fit.draws(name) for name in ("alpha", "beta", "A", "B"))
        g = (a * A / (b * B)) ** (1 / (a + b))
        return (BUDGET / 6) ** ((a - b) / (a + b)) / g**2

    both = tokens_per_param(fits[1]) / tokens_per_param(fits[0])
    assert (ratio.lo, ratio.hi) == pytest.approx(tuple(np.quantile(both, [0.025, 0.975])), rel=1e-9)
    points = [square.quantity("tokens_per_param", BUDGET).value for square in (squares, huber)]
    assert ratio.value == pytest.approx(points[0] / points[1])
    other = optimum(run_fit("chinchilla", "chinchilla", **options | {"seed": 1}), compute=BUDGET)
    assert squares.over(other, "tokens_per_param", BUDGET) is None


@given(
    terms=st.lists(
        st.tuples(st.floats(-3, 12), st.floats(0.05, 2.5), st.floats(0.3, 3)), min_size=2, max_size=4
    ),
    log_budget=st.floats(5, 60),
    log_factor=st.floats(-2, 6),
)  # fmt: skip
def test_any_number_of_terms_agrees_with_brute_force(terms, log_budget, log_factor):
    log_c, a, p = (np.array(column) for column in zip(*terms, strict=True))
    found = optimal_paths(log_c[None], a[None], p, log_factor)
    z = found.logs(np.array([log_budget]))[0, 0]
    assert p @ z + log_factor == pytest.approx(log_budget, abs=1e-8)

    def excess(free):
        last = (log_budget - log_factor - p[:-1] @ free) / p[-1]
        return np.logaddexp.reduce(log_c - a * np.append(free, last))  # convex, so any minimum is the minimum

    brute = optimize.minimize(excess, z[:-1] + 1.0, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
    ours = math.log(found.excess(np.array([log_budget]))[0, 0])
    assert ours == pytest.approx(excess(z[:-1]), abs=1e-9)
    assert ours <= brute.fun + 1e-10
    assert excess(z[:-1] + 1e-3) >= ours
    assert excess(z[:-1] - 1e-3) >= ours


def test_every_draw_is_its_own_optimum(huber):
    """Percentiles over draws, against scipy's bounded search draw by draw."""
    found = optimum(huber, compute=BUDGET)
    sizes = []
    for row in huber.uncertainty.draws:
        value = dict(zip(huber.names, row, strict=True))

        def loss(log_n, value=value):
            log_d = math.log(BUDGET / 6) - log_n
            return np.logaddexp(value["A"] - value["alpha"] * log_n, value["B"] - value["beta"] * log_d)

        sizes.append(math.exp(optimize.minimize_scalar(loss, bounds=(15, 40), options={"xatol": 1e-10}).x))
    got = found.allocations[0].quantities["params"]
    assert (got.lo, got.hi) == pytest.approx(np.quantile(sizes, [0.025, 0.975]), rel=1e-4)
    a, b = huber["alpha"].value, huber["beta"].value
    assert found.exponents["params"].value == pytest.approx(b / (a + b), rel=1e-12)
    shares = huber.draws("beta") / (huber.draws("alpha") + huber.draws("beta"))
    ends = found.exponents["params"]
    assert (ends.lo, ends.hi) == pytest.approx(np.quantile(shares, [0.025, 0.975]), rel=1e-12)
    loss = found.allocations[0].quantities
    assert loss["loss"].value - loss["loss_above_floor"].value == pytest.approx(huber["E"].value)


def test_width_depth_tokens_spend_the_budget_and_derive_parameters(wide):
    found = optimum(wide, compute=[1e20, BUDGET], cost=BY_SHAPE)
    draws = found.draws
    z = dict(zip(found.columns, np.moveaxis(draws.logs(np.log([1e20, BUDGET])), 2, 0), strict=True))
    spent = math.log(72) + 2 * z["width"] + z["depth"] + z["tokens"]
    assert spent == pytest.approx(np.broadcast_to(np.log([1e20, BUDGET]), spent.shape), abs=1e-9)
    assert z["params"] == pytest.approx(math.log(12) + 2 * z["width"] + z["depth"])
    assert any("12 depth width^2" in note for note in found.notes)
    assert found.kind == "posterior"
    assert found.allocations[1].quantities["params"].value == pytest.approx(np.median(np.exp(z["params"][:, 1])))
    assert "not a posterior" not in found.summary()


def test_units_do_not_matter(synthetic):
    plain = optimum(run_fit(synthetic, "chinchilla", bootstrap=0), compute=1e22)
    scaled = synthetic.assign(params=synthetic["params"] / 1e6, tokens=synthetic["tokens"] / 1e9)
    other = optimum(run_fit(scaled, "chinchilla", bootstrap=0), compute=1e22, cost="6e15*params*tokens")
    one, two = plain.allocations[0].quantities, other.allocations[0].quantities
    assert two["params"].value * 1e6 == pytest.approx(one["params"].value, rel=1e-6)
    assert two["loss"].value == pytest.approx(one["loss"].value, rel=1e-8)
    assert (plain.kind, plain.allocations[0].beyond) == ("normal approximation", 1.0)


def test_a_budget_outside_the_runs_is_called_so(huber):
    found = optimum(huber, compute=[1e17, 1e20, BUDGET])
    lo, hi = found.ranges["compute"]
    rows = 6 * huber.rows["params"] * huber.rows["tokens"]
    assert (lo, hi) == pytest.approx((rows.min(), rows.max()))
    assert [allocation.beyond for allocation in found.allocations] == pytest.approx([1e17 / lo, 1.0, BUDGET / hi])
    text = found.summary()
    assert "44 times the largest run, an extrapolation" in text
    assert text.startswith("converged: ")
    assert "bootstrap" in text
    assert "not a posterior" in text


def test_without_budgets_the_runs_span_them(huber):
    found = optimum(huber)
    lo, hi = found.ranges["compute"]
    least, middle, largest, beyond = found.budgets
    assert lo <= least < 1.1 * lo
    assert 0.9 * hi < largest <= hi
    assert middle == pytest.approx(math.sqrt(lo * hi), rel=0.1)
    assert beyond == 10 * largest
    assert [allocation.beyond for allocation in found.allocations][:3] == [1.0, 1.0, 1.0]


def test_a_best_column_outside_the_runs_is_named(huber):
    steep = replace(huber, rows=huber.rows.assign(params=huber.rows["params"].clip(upper=2e9)))
    found = optimum(steep, compute=[1e19, 1e21])
    assert found.allocations[1].beyond == 1
    assert "The best parameters leave those of the runs (57M to 2.0B), an extrapolation: 2.79B at 1e21 FLOP." in (
        map(str, found.verdict)
    )
    assert not any("leave those" in str(verdict) for verdict in optimum(huber, compute=[1e19, 1e21]).verdict)


# What stays open, and what has no optimum ----------------------------------------------------------------


def test_words_say_whether_twenty_is_known(huber):
    open_question = optimum(huber, compute=BUDGET).verdict
    assert "do not tell 20 from" in str(open_question[1])
    assert (open_question[1].kind, open_question[1].threshold) == ("open", KNOWN_RATIO)
    ratio = printed_optimum("Hoffmann", CHINCHILLA, HOFFMANN, compute=BUDGET)
    assert not any("interval" in str(verdict) for verdict in ratio.verdict)
    narrow = replace(huber, uncertainty=replace(huber.uncertainty, draws=huber.point + np.zeros((3, 5))))
    assert any("lies outside" in str(verdict) for verdict in optimum(narrow, compute=BUDGET).verdict)


def test_words_say_whether_both_grow_alike(huber):
    alike = "that parameters and tokens grow alike, at a constant ratio, is within the errors"
    assert alike in str(optimum(huber).verdict[0])
    exact = replace(huber, uncertainty=replace(huber.uncertainty, draws=huber.point + np.zeros((3, 5))))
    assert "parameters faster than tokens" in str(optimum(exact).verdict[0])  # beta is the larger exponent


def test_an_exponent_at_a_bound_gives_no_numbers(synthetic):
    rng = np.random.default_rng(4)
    flat = synthetic.assign(loss=2 + 300 / synthetic["params"] ** 0.3 * np.exp(0.01 * rng.standard_normal(56)))
    fitted = run_fit(flat, "chinchilla", bootstrap=50, throw=False)
    assert fitted.status == "not identified"
    found = optimum(fitted, compute=1e22)
    assert (found.exit_code, found.allocations) == (1, ())
    assert found.table().empty
    assert found.summary().startswith("not identified: ")
    assert "No optimum: " in found.summary()
    with pytest.raises(DataError, match="has no optimum"):
        found.band("params", [1e22])


def test_draws_without_an_optimum_are_counted(huber):
    draws = huber.uncertainty.draws.copy()
    draws[:40, huber.names.index("beta")] = 0.0
    found = optimum(replace(huber, uncertainty=replace(huber.uncertainty, draws=draws)), compute=BUDGET)
    assert any(note.startswith("40 of 400 draws have no optimum") for note in found.notes)
    rest = optimum(replace(huber, uncertainty=replace(huber.uncertainty, draws=draws[40:])), compute=BUDGET)
    assert found.table().equals(rest.table())
    draws[:300, huber.names.index("beta")] = 0.0
    lost = optimum(replace(huber, uncertainty=replace(huber.uncertainty, draws=draws)), compute=BUDGET)
    assert "In 75% of the draws a term does not fall" in lost.reason


@pytest.fixture(scope="module")
def by_lab():
    """Two labs, each with its own floor: 40 runs."""
    rng = np.random.default_rng(9)
    rows = [
        {"lab": lab, "params": n, "tokens": d, "loss": floor + 200 / n**0.3 + 900 / d**0.35}
        for lab, floor in (("x", 1.5), ("y", 1.9)) for n in (1e7, 1e8, 1e9, 1e10) for d in (1e9, 1e10, 1e11, 1e12, 3e12)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.assign(loss=frame["loss"] * np.exp(1e-3 * rng.standard_normal(len(frame))))


def test_levels_of_the_floor_matter_to_the_loss_only(by_lab):
    fitted = run_fit(by_lab, "loss ~ E[lab] + A/params^alpha + B/tokens^beta", bootstrap=0)
    silent, named = optimum(fitted, compute=1e22), optimum(fitted, compute=1e22, at={"lab": "y"})
    assert "loss" not in silent.allocations[0].quantities
    got = named.allocations[0].quantities
    assert got["loss"].value == pytest.approx(got["loss_above_floor"].value + fitted["E[y]"].value)
    assert silent.allocations[0].quantities["params"] == got["params"]


def test_levels_of_a_term_must_be_named(by_lab):
    fitted = run_fit(by_lab, "loss ~ E + A[lab]/params^alpha + B/tokens^beta", bootstrap=0)
    with pytest.raises(DataError, match=r"A\[lab\] has one value per lab; name the level"):
        optimum(fitted)
    with pytest.raises(DataError, match=r"there is no lab 'z' among the fitted rows; .*x, y"):
        optimum(fitted, at={"lab": "z"})
    with pytest.raises(DataError, match="has no levels of 'family'"):
        optimum(fitted, at={"family": "x"})
    x, y = (optimum(fitted, compute=1e22, at={"lab": lab}) for lab in "xy")
    larger = [each.allocations[0].quantities["params"].value for each in (x, y)]
    assert (fitted["A[x]"].value < fitted["A[y]"].value) == (larger[0] < larger[1])


@pytest.mark.parametrize(
    ("law", "options", "message"),
    [
        ("loss ~ E + A/params^alpha", {}, "has one term, so all compute goes to params"),
        ("loss ~ A/params^alpha + B*tokens^beta", {}, r"B\*tokens\^beta grows with tokens"),
        ("chinchilla", {"cost": "6*params"}, "does not count tokens, of which .* any amount"),
        ("chinchilla", {"cost": "6*params*tokens*width"}, "counts width, of which .* as little as possible"),
        ("chinchilla", {"cost": "6*parms*tokens"}, "does not count params"),
        ("loss ~ E + A/params^alpha + F/params^phi", {"cost": "params"}, "has 2 terms of params"),
        ("chinchilla", {"compute": [1e20, -1.0]}, "compute is -1; a budget is a positive number"),
        ("chinchilla", {"compute": math.inf}, "compute is inf; a budget is a positive number"),
        ("chinchilla", {"level": 95}, "level is 95; it must lie between 0 and 1"),
    ],
)
def test_bad_questions_are_refused(huber, law, options, message):
    asked = replace(huber, law=Law.parse(law))
    with pytest.raises(DataError, match=message):
        optimum(asked, **options)


def test_the_cost_by_shape_is_proposed(wide):
    with pytest.raises(DataError, match=r'give cost="72\*width\^2\*depth\*tokens"'):
        optimum(wide, cost="6*params*tokens")
    assert str(optimum(wide).cost) == BY_SHAPE


def test_a_fit_that_did_not_converge_has_no_optimum(huber):
    bad = replace(huber, findings=(replace(huber.findings[0], severity="not converged", message="It stopped."),))
    with pytest.raises(DataError, match="its fit did not converge: It stopped"):
        optimum(bad)


def test_a_printed_law_needs_all_its_numbers():
    with pytest.raises(DataError, match="A paper prints no E; "):
        printed_optimum("A paper", CHINCHILLA, {name: HOFFMANN[name] for name in ("A", "B", "alpha", "beta")})


# The cost --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("6*params*tokens", "6*params*tokens"),
        (" 6 * 12 * width**2*depth * tokens ", "72*width^2*depth*tokens"),
        ("params*1e-3*tokens^(2/3)", "0.001*params*tokens^(2/3)"),
        ("params^1.5", "params^1.5"),
    ],
)
def test_costs_read_back(text, canonical):
    cost = Cost.parse(text)
    assert str(cost) == canonical
    assert Cost.parse(canonical) == cost


@pytest.mark.parametrize(
    ("text", "reason", "spot"),
    [
        ("6*params+tokens", "joined by", 8),
        ("6*params/tokens", "joined by", 8),
        ("6*", "expected a number or the name", 2),
        ("6*params^-1", "joined by", 8),
        ("6*params*params", "stands twice", 9),
        ("6", "a positive number times columns", 0),
        ("0*params", "a positive number times columns", 0),
        ("6*params^0", "a power is a positive number", 2),
        ("6params*tokens", "expected a number or the name", 0),
        ("1e999*params", "expected a number or the name", 0),
    ],
)
def test_unreadable_costs_get_a_caret(text, reason, spot):
    with pytest.raises(DataError, match=reason) as caught:
        Cost.parse(text)
    lines = str(caught.value).splitlines()
    assert lines[1] == f"  {text}"
    assert lines[2].index("^") - 2 == spot


def test_a_cost_is_evaluated_row_by_row():
    rows = pd.DataFrame({"width": [10.0, 20.0], "depth": [2.0, 3.0], "tokens": [7.0, 5.0]})
    assert Cost.parse(BY_SHAPE).of(rows) == pytest.approx([72 * 100 * 2 * 7, 72 * 400 * 3 * 5])


def test_amounts_keep_their_digits():
    shown = [amount(size) for size in (32.4e9, 1.4e12, 5.76e23, 20.0, 7.46, 999.6e6, 1e21)]
    assert shown == ["32B", "1.4T", "5.76e23", "20", "7.5", "1.0B", "1e21"]


# The command line ------------------------------------------------------------------------------------------


def test_the_verb_prints_one_json_object(run, huber):
    huber.save("my.fit")
    code, out, _ = run("optimum", "my.fit", "--compute", "1e21,5.76e23", "--json")
    record = json.loads(out)
    assert code == 0
    assert record == json.loads(json.dumps(optimum(huber, compute=[1e21, BUDGET], label="my").record()))
    assert (record["kind"], record["cost"], record["status"]) == ("bootstrap", "6*params*tokens", "converged")


def test_the_verb_says_the_status_first_and_draws(run, huber, tmp_path):
    huber.save("my.fit")
    code, out, err = run("optimum", "my.fit", "--compute", "1e21", "--compute", "5e23", "--out", "a.svg")
    assert (code, out.partition(":")[0]) == (0, "converged")
    assert "drawn to a.svg" in err
    assert b"Chinchilla 70B" in (tmp_path / "a.svg").read_bytes()


def test_the_verb_refuses(run, huber):
    huber.save("my.fit")
    for options, message in (
        (["--compute", "lots"], "--compute 'lots'"),
        (["--cost", "6*params tokens"], "  6*params tokens\n           ^"),
        (["--cost", "6*params+tokens"], "needs budgets"),
        (["--at", "family=OPT"], "has no levels of 'family'"),
        (["--out", "nowhere/a.png"], "cannot write"),
    ):
        code, out, err = run("optimum", "my.fit", *options)
        assert (code, out) == (2, "")
        assert message in err


def test_a_normal_approximation_has_no_floor_below_zero():
    fitted = run_fit("chinchilla", "chinchilla", drop_highest_loss=5, uncertainty="hc3")
    vague = replace(fitted, uncertainty=replace(fitted.uncertainty, covariance=2500 * fitted.uncertainty.covariance))
    floors = optimum(vague).floor_draws
    assert floors.min() == 0
    assert 0.01 < np.mean(floors == 0) < 0.5


def test_drift_widens_the_loss_beyond_the_runs_only(run, huber):
    largest = 6 * float((huber.rows["params"] * huber.rows["tokens"]).max())
    budgets, drift = (largest / 10, 50 * largest), 0.004
    plain, wide = (optimum(huber, compute=budgets, drift=spread).allocations for spread in (0.0, drift))
    assert wide[0].quantities["loss"] == plain[0].quantities["loss"]
    assert wide[1].quantities["params"] == plain[1].quantities["params"]
    law, both = plain[1].quantities["loss"], wide[1].quantities["loss"]
    assert both.value == law.value
    reach = stats.norm.ppf(0.975) * drift * math.log(50)
    for end, own in ((both.hi, law.hi), (both.lo, law.lo)):
        assert math.log(end / law.value) ** 2 == pytest.approx(math.log(own / law.value) ** 2 + reach**2)
    with pytest.raises(DataError, match=r"drift is -1; it must be at least 0, such as 0\.005"):
        optimum(huber, drift=-1)
    huber.save("my.fit")
    shown = json.loads(run("optimum", "my.fit", "--compute", str(50 * largest), "--drift", "--json")[1])
    assert shown["drift"] == pytest.approx(drift_of(huber))
    assert "Intervals of the loss allow for a drift of" in shown["notes"][-1]
