"""IsoFLOP parabolas and envelopes: approaches 1 and 2 of Hoffmann et al., against numpy, a law and published values."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import scalefit
from scalefit.allocation import Point, isoflop, optimum
from scalefit.allocation.mixtures import mixture
from scalefit.allocation.profiles import budgets, line
from scalefit.errors import DataError
from tests.reference.isoflop_coverage import coverage

BUDGET = 5.76e23


@pytest.fixture(scope="module")
def valleys():
    """Exact parabolas whose minima follow 3 C^0.45 and least losses between two sizes."""
    rows = []
    for c in (1e18, 1e19, 1e20, 1e21):
        best = math.log(3) + 0.45 * math.log(c)
        for step in (-1.1, -0.4, 0.1, 0.7, 1.3):
            n = math.exp(best + step)
            rows.append({"params": n, "flops": c, "tokens": c / (6 * n), "loss": 3 + 0.2 * step**2})
    return pd.DataFrame(rows)


def test_parabolas_find_their_minima(valleys):
    found = isoflop(valleys)
    params, tokens = found.approach("approach 2"), found.approach("approach 2", "tokens")
    assert params.exponent.value == pytest.approx(0.45, abs=1e-9)
    assert tokens.exponent.value == pytest.approx(0.55, abs=1e-9)
    assert [point.size for point in params.points] == pytest.approx([3 * c**0.45 for c in (1e18, 1e19, 1e20, 1e21)])
    assert [point.loss for point in params.points] == pytest.approx([3.0] * 4)
    assert params.at(1e22) == pytest.approx(3 * 1e22**0.45)
    envelope = found.approach("approach 1")
    assert envelope.exponent.value == pytest.approx(0.45)
    assert [point.size for point in envelope.points] == pytest.approx(
        [math.exp(0.1) * 3 * c**0.45 for c in (1e18, 1e19, 1e20, 1e21)]
    )
    assert found.exit_code == 0


def test_the_error_of_a_minimum_is_right_over_many_data_sets(valleys):
    """The delta method, against the scatter of minima under fresh noise."""
    rng = np.random.default_rng(6)
    runs = valleys[valleys["flops"] == 1e20]
    dense = pd.concat([runs.assign(params=runs["params"] * math.exp(s)) for s in np.linspace(-0.05, 0.05, 6)])
    best = math.log(3) + 0.45 * math.log(1e20)
    exact = 3 + 0.2 * (np.log(dense["params"]) - best) ** 2
    minima, errors = [], []
    for _ in range(200):
        loss = exact + 0.01 * rng.standard_normal(len(dense))
        point = isoflop(dense.assign(loss=loss)).approach("approach 2").points[0]
        minima.append(math.log(point.size))
        errors.append(point.error)
    assert np.mean(errors) == pytest.approx(np.std(minima), rel=0.15)


def test_the_error_of_a_minimum_by_the_covariance_of_a_polynomial():
    """The delta method on numpy's own covariance, at sizes that are not centred on the minimum."""
    size = np.array([1e8, 1.7e8, 2.1e8, 4e8, 9e8])
    loss = np.array([3.31, 3.15, 3.13, 3.02, 3.05])
    runs = pd.concat([pd.DataFrame({"params": size, "flops": c, "loss": loss}) for c in (1e18, 1e19, 1e20)])
    (bend, slope, _), covariance = np.polyfit(np.log(size), loss, 2, cov=True)
    pull = np.array([slope / (2 * bend**2), -1 / (2 * bend), 0.0])
    point = isoflop(runs).approach("approach 2").points[0]
    assert math.log(point.size) == pytest.approx(-slope / (2 * bend))
    assert point.error == pytest.approx(math.sqrt(pull @ covariance @ pull), rel=1e-6)


def test_a_minimum_known_to_a_factor_only_is_left_out(valleys):
    scattered = valleys.assign(loss=valleys["loss"] + 0.2 * np.tile([0, 0, 1, 1, -1], 4) * (valleys["flops"] == 1e18))
    (out,) = isoflop(scattered).approach("approach 2").left_out
    assert out == (pytest.approx(1e18), 5, "the minimum is known to a factor of 1.6 at best")


def test_a_budget_without_a_minimum_is_named(valleys):
    odd = valleys.copy()
    at = {c: odd["flops"] == c for c in (1e18, 1e19)}
    odd.loc[at[1e18], "loss"] = 6 - odd.loc[at[1e18], "loss"]
    odd.loc[at[1e19], "loss"] += 2 * np.log(odd.loc[at[1e19], "params"] / odd["params"].min())
    found = isoflop(odd)
    first, second = found.approach("approach 2").left_out
    assert first == (pytest.approx(1e18), 5, "the parabola opens downward")
    assert second == (pytest.approx(1e19), 5, "the minimum lies outside the runs")
    assert math.isnan(found.approach("approach 2").exponent.value)
    assert (found.status, found.exit_code) == ("not identified", 1)
    assert "No line: fewer than 3 budgets show a minimum" in found.summary()
    assert "the parabola opens downward (1e18)" in found.summary()
    assert set(found.table()["left_out"]) > {"the parabola opens downward"}


def test_nearly_equal_budgets_are_joined_by_the_fullest_window():
    logs = np.array([0.0, 0.06, 0.10, 0.11, 0.12, 0.15, 1.0])
    assert [list(budget) for budget in budgets(logs, 0.1)] == [[0], [1, 2, 3, 4, 5], [6]]
    assert [list(budget) for budget in budgets(np.array([2.0, 1.0, 2.0]), 0.0)] == [[1], [0, 2]]


def test_approach_two_on_published_runs_against_numpy():
    """Every minimum of one configuration of Porian et al., by numpy's polynomials; near 0.5 as they report."""
    where = 'configuration == "rw-tuned-short-const-standard-val"'
    found = isoflop("porian", where=where)
    rows = scalefit.load_dataset("porian").query(where)
    minima = {
        c: math.exp(np.polynomial.Polynomial.fit(np.log(runs["params"]), runs["loss"], 2).deriv().roots()[0])
        for c, runs in rows.groupby("flops")
    }
    points = found.approach("approach 2").points
    assert len(points) == 12
    assert [point.size for point in points] == pytest.approx(list(minima.values()))
    slope = np.polyfit(np.log(list(minima)), np.log(list(minima.values())), 1)[0]
    assert found.approach("approach 2").exponent.value == pytest.approx(slope)
    assert found.approach("approach 2").exponent.holds(0.5)


def test_chinchilla_by_two_approaches_agrees(huber):
    found = isoflop("chinchilla", tolerance=0.1, beside=huber)
    assert found.parametric.exponents == optimum(huber).exponents
    assert "its interval and that of approach 2 overlap" in " ".join(map(str, found.verdict))
    assert found.approach("approach 2").exponent.holds(0.49)  # Hoffmann et al. 2022, table 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"no budget of chinchilla has 4 different sizes; give a tolerance \(--tolerance\)"),
        ({"tolerance": 1e-6}, "give a larger tolerance than 1e-6"),
        ({"tolerance": -1}, "tolerance is -1; it must be 0"),
        ({"level": 0}, "level is 0; it must lie between 0 and 1"),
        ({"by": "params"}, "by is 'params', a quantity of the analysis"),
        ({"by": "corpus"}, "has no column 'corpus'"),
        ({"cost": "6*params*tokens"}, r"cost '6\*params\*tokens' has no effect without a fit"),
    ],
)
def test_isoflop_refuses(options, message):
    with pytest.raises(DataError, match=message):
        isoflop("chinchilla", **options)


def test_another_count_of_compute_is_noticed(huber):
    notes = isoflop("marin_isoflop", where='train_set == "dclm"', beside=huber).notes
    assert any("the flops of the table are 0.74 to 1.07 times 6*params*tokens" in note for note in notes)
    assert not any("of the same thing" in note for note in isoflop("chinchilla", tolerance=0.1, beside=huber).notes)


def test_a_line_against_published_formulas():
    """Slope and scatter as statsmodels has them; the errors of the minima propagated by hand."""
    from scipy.stats import t
    from statsmodels.regression.linear_model import OLS

    compute, size = [1e18, 1e19, 1e20, 1e21], [1.1e8, 2.9e8, 1.02e9, 2.7e9]
    x, y = np.log(compute), np.log(size)
    points = [Point(c, n, error, 3.0, 7) for c, n, error in zip(compute, size, (0.02, 0.03, 0.04, 0.03), strict=True)]
    one = line(points, 0.9)
    fitted = OLS(y, np.stack([np.ones(4), x], axis=1)).fit()
    assert one.start == pytest.approx(fitted.params[0])
    assert one.exponent.value == pytest.approx(fitted.params[1])
    assert one.from_scatter == pytest.approx(fitted.params[1] - fitted.conf_int(0.1)[1][0])
    # factors -0.3, -0.1, 0.1, 0.3 per step of ln 10; variances 36e-6, 9e-6, 16e-6, 81e-6 of squares 4 freedom each
    shares = np.array([36e-6, 9e-6, 16e-6, 81e-6])
    freedom = shares.sum() ** 2 / (shares**2 / 4).sum()
    assert one.from_errors == pytest.approx(t.ppf(0.95, freedom) * math.sqrt(shares.sum()) / math.log(10))
    assert one.exponent.hi - one.exponent.value == pytest.approx(one.from_scatter)  # the wider
    no_errors = line([point._replace(error=math.nan) for point in points], 0.9)
    assert (no_errors.exponent, math.isnan(no_errors.from_errors)) == (one.exponent, True)


def test_minima_on_a_line_by_chance_do_not_give_a_narrow_interval():
    """Four minima known to 2-4% that lie within 0.1% of a line: ± 0.0017 by their scatter, ± 0.03 by their errors."""
    on_line = [Point(c, 0.1 * c**0.5 * (1 + off), error, 3.0, 7) for c, off, error in (
        (1e18, 0.0, 0.02), (3e18, 0.0005, 0.03), (9e18, -0.0005, 0.04), (2.7e19, 0.0, 0.03))]  # fmt: skip
    one = line(on_line, 0.95)
    assert one.from_scatter < 0.002
    assert 0.02 < one.from_errors < 0.035
    assert one.exponent.hi - one.exponent.lo == pytest.approx(2 * one.from_errors)


def test_intervals_cover_and_are_never_far_too_narrow():
    """A small version of tests/reference/isoflop_coverage.py: four budgets, with and without scatter of their own."""
    noisy, moved = (coverage(4, 7, 0.005, shift, sets=150, replicates=0) for shift in (0.0, 0.1))
    assert noisy["wider"] >= 0.92
    assert moved["wider"] >= 0.9
    assert noisy["narrow wider"] <= 0.02 < 0.03 < noisy["narrow scatter"]
    assert moved["errors"] < 0.85  # the errors alone miss the scatter of the minima


def test_few_budgets_and_wide_exponents_are_told(valleys):
    few = isoflop(valleys)
    assert [(finding.code, finding.severity) for finding in few.findings] == [("few_budgets", "warning")]
    assert "only 4 budgets show a minimum" in few.summary().splitlines()[0]
    assert "known from 2 degrees of freedom" in few.message
    assert few.status == "converged"
    three = valleys[valleys["flops"] < 1e21]
    assert "known from 1 degree of freedom" in isoflop(three).message
    bent = three.assign(params=three["params"] * np.where(three["flops"] == 1e19, 1.6, 1))
    wide = isoflop(bent.drop(columns="tokens"))
    assert [finding.code for finding in wide.findings] == ["wide_exponent", "few_budgets"]
    assert (wide.status, wide.exit_code) == ("not identified", 1)
    assert "params and tokens has an interval wider than 0.5" in wide.summary().splitlines()[0]
    assert "  warning: only 3 budgets" in wide.summary()
    assert isoflop("marin_isoflop", where='train_set == "dclm"').findings == ()


def test_levels_of_a_label_are_not_merged():
    merged = isoflop("porian")
    assert (merged.status, merged.exit_code) == ("not identified", 1)
    first = merged.summary().splitlines()[0]
    assert "12 of 12 budgets hold runs of several levels of configuration (15 in all)" in first
    assert "--by configuration" in first
    assert not any(approach.points or approach.found for approach in merged.approaches)
    assert str(merged.verdict[0]).startswith("No answer: 12 of 12 budgets")
    assert {left.reason for left in merged.approach("approach 2").left_out} == {
        "runs of several levels of configuration"
    }
    corpora = isoflop("marin_isoflop")
    assert "several levels of train_set (3 in all)" in corpora.message
    assert not any("repeat the size" in note for note in corpora.notes)


def test_one_answer_for_each_level(huber):
    results = isoflop("marin_isoflop", by="train_set", beside=huber)
    assert list(results) == ["comma", "dclm", "nemotron"]
    for text, result in results.items():
        alone = isoflop("marin_isoflop", where=f'train_set == "{text}"')
        assert result.at == {"train_set": text}
        assert (result.rows, result.rows_read) == (alone.rows, 258)
        assert result.approaches == alone.approaches
        assert result.parametric.exponents == optimum(huber).exponents


def test_a_fit_by_level_is_compared_with_its_level(valleys):
    table = pd.concat([valleys.assign(corpus="1.1"), valleys.assign(corpus="1.10", loss=valleys["loss"] + 1)])
    table["loss"] += 400 / table["params"] ** 0.3 + 400 / table["tokens"] ** 0.3
    law = "loss ~ E + A/params^alpha[corpus] + B/tokens^beta"
    fit = scalefit.fit(table, law, bootstrap=0, throw=False)
    results = isoflop(table, by="corpus", beside=fit)
    assert [result.parametric.at for result in results.values()] == [{"corpus": "1.1"}, {"corpus": "1.10"}]


@pytest.mark.parametrize(("offset", "apart"), [(0.0, False), (0.1, True)])
def test_seeds_may_be_merged_and_experiments_may_not(valleys, offset, apart):
    """Three labels at every size and budget: alike within the noise, or one of them with a loss of its own."""
    rng = np.random.default_rng(3)
    runs = [valleys.assign(seed=seed, loss=valleys["loss"] + offset * (seed == 2)) for seed in (0, 1, 2)]
    table = pd.concat(runs, ignore_index=True)
    table["loss"] += 0.01 * rng.standard_normal(len(table))
    result = isoflop(table)
    assert any(finding.code == "mixed_levels" for finding in result.findings) is apart
    assert any("40 runs repeat the size of another" in note for note in result.notes) is not apart
    assert isoflop(table.sample(frac=1, random_state=1)).message == result.message  # whatever the order of rows


def test_other_minima_are_told_apart_even_at_the_same_mean_loss(valleys):
    other = valleys.assign(params=valleys["params"] * math.exp(1.0), recipe="b")
    table = pd.concat([valleys.assign(recipe="a"), other], ignore_index=True).drop(columns="tokens")
    table["loss"] += 0.005 * np.random.default_rng(4).standard_normal(len(table))
    message = isoflop(table).message
    assert "4 of 4 budgets hold runs of several levels of recipe (2 in all)" in message


def test_a_label_without_a_difference_is_seldom_called_one(valleys):
    """One part in a thousand by design: none in 100 tables of noise."""
    rng = np.random.default_rng(5)
    doubled = pd.concat([valleys, valleys], ignore_index=True)
    for _ in range(100):
        coin = doubled.assign(
            loss=doubled["loss"] + 0.02 * rng.standard_normal(len(doubled)), coin=np.repeat(["a", "b"], len(valleys))
        )
        groups = [group for _, group in coin.groupby("flops")]
        assert mixture(groups, ("params", "tokens", "flops", "loss"), 4) is None


def test_a_label_chosen_by_size_is_no_experiment(valleys):
    """Small models at one batch size, large ones at another: neither covers the sizes of a budget."""
    wide = pd.concat([valleys, valleys.assign(params=valleys["params"] * 1.05)], ignore_index=True)
    small = wide["params"] < wide.groupby("flops")["params"].transform("median")
    batch = wide.assign(batch=np.where(small, 128, 256), loss=wide["loss"] + np.where(small, 0.0, 0.3))
    groups = [group for _, group in batch.groupby("flops")]
    assert mixture(groups, ("params", "tokens", "flops", "loss"), 4) is None


def test_records_are_json(huber, valleys):
    bad = replace(huber, findings=(replace(huber.findings[0], code="term_vanished", severity="not identified"),))
    for each in (optimum(huber, compute=BUDGET), optimum(bad), isoflop(valleys, beside=huber)):
        assert json.loads(json.dumps(each.record(), allow_nan=False))["verdict"]


def test_isoflop_runs_beside_a_fit(run, huber):
    huber.save("my.fit")
    code, out, _ = run("isoflop", "chinchilla", "--tolerance", 0.1, "--beside", "my.fit", "--json")
    record = json.loads(out)
    assert code == 0
    assert record["parametric"]["exponents"]["params"] == optimum(huber).exponents["params"].numbers()
    assert run("isoflop", "chinchilla")[0] == 2


def test_the_command_gives_one_block_a_level_and_the_worst_exit_code(run, valleys):
    few = valleys[valleys["flops"] < 1e20].assign(loss=lambda rows: rows["loss"] + 1)
    pd.concat([valleys.assign(lab="a,b"), few.assign(lab="c")]).to_csv("labs.csv", index=False)
    code, out, _ = run("isoflop", "labs.csv", "--by", "lab")
    assert code == 1
    assert 'data       20 of 30 rows of labs, lab = "a,b"; runs of one budget have equal flops' in out
    assert "Approach 2 by level:" in out
    assert out.splitlines()[-2].split()[:3] == ['"a,b"', "converged", "4"]
    assert out.splitlines()[-1].split() == ["c", "not", "identified", "2", "of", "2"]
    code, out, _ = run("isoflop", "labs.csv", "--by", "lab", "--json")
    records = json.loads(out)
    assert (code, [record["at"] for record in records]) == (1, [{"lab": "a,b"}, {"lab": "c"}])
    assert records[0]["approaches"][1]["from_errors"] == pytest.approx(0, abs=1e-6)
    code, out, err = run("isoflop", "labs.csv", "--cost", "6*params*tokens")
    assert (code, out) == (2, "")
    assert "has no effect without a fit" in err
    code, out, err = run("isoflop", "labs.csv", "--map", "lr=loss")
    assert (code, out) == (2, "")
    assert "--map lr=loss has no effect, because nothing uses a column 'lr'" in err
