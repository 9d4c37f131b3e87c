"""IsoFLOP parabolas and envelopes: approaches 1 and 2 of Hoffmann et al., beside numpy, a law and what is published."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import scalefit
from scalefit.errors import DataError
from scalefit.optimum import isoflop, optimum
from scalefit.optimum.profiles import budgets

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
    assert [one.size for one in params.points] == pytest.approx([3 * c**0.45 for c in (1e18, 1e19, 1e20, 1e21)])
    assert [one.loss for one in params.points] == pytest.approx([3.0] * 4)
    assert params.at(1e22) == pytest.approx(3 * 1e22**0.45)
    envelope = found.approach("approach 1")
    assert envelope.exponent.value == pytest.approx(0.45)
    assert [one.size for one in envelope.points] == pytest.approx(
        [math.exp(0.1) * 3 * c**0.45 for c in (1e18, 1e19, 1e20, 1e21)]
    )
    assert found.exit_code == 0


def test_the_error_of_a_minimum_is_right_over_many_data_sets(valleys):
    """The delta method, against the scatter of minima under fresh noise."""
    rng = np.random.default_rng(6)
    one = valleys[valleys["flops"] == 1e20]
    dense = pd.concat([one.assign(params=one["params"] * math.exp(s)) for s in np.linspace(-0.05, 0.05, 6)])
    best = math.log(3) + 0.45 * math.log(1e20)
    exact = 3 + 0.2 * (np.log(dense["params"]) - best) ** 2
    minima, errors = [], []
    for _ in range(200):
        loss = exact + 0.01 * rng.standard_normal(len(dense))
        point = isoflop(dense.assign(loss=loss)).approach("approach 2").points[0]
        minima.append(math.log(point.size))
        errors.append(point.error)
    assert np.mean(errors) == pytest.approx(np.std(minima), rel=0.15)


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
    assert "No line: fewer than three budgets show a minimum" in found.summary()
    assert "the parabola opens downward (1e18)" in found.summary()
    assert set(found.table()["left_out"]) > {"the parabola opens downward"}


def test_nearly_equal_budgets_are_joined_by_the_fullest_window():
    logs = np.array([0.0, 0.06, 0.10, 0.11, 0.12, 0.15, 1.0])
    assert [list(one) for one in budgets(logs, 0.1)] == [[0], [1, 2, 3, 4, 5], [6]]
    assert [list(one) for one in budgets(np.array([2.0, 1.0, 2.0]), 0.0)] == [[1], [0, 2]]


def test_approach_two_on_published_runs_against_numpy():
    """Every minimum of one configuration of Porian et al., by numpy's polynomials; near 0.5 as they report."""
    where = 'configuration == "rw-tuned-short-const-standard-val"'
    found = isoflop("porian", where=where)
    rows = scalefit.load_dataset("porian").query(where)
    minima = {
        c: math.exp(np.polynomial.Polynomial.fit(np.log(one["params"]), one["loss"], 2).deriv().roots()[0])
        for c, one in rows.groupby("flops")
    }
    points = found.approach("approach 2").points
    assert len(points) == 12
    assert [one.size for one in points] == pytest.approx(list(minima.values()))
    slope = np.polyfit(np.log(list(minima)), np.log(list(minima.values())), 1)[0]
    assert found.approach("approach 2").exponent.value == pytest.approx(slope)
    assert found.approach("approach 2").exponent.holds(0.5)


def test_chinchilla_by_two_approaches_agrees(huber):
    found = isoflop("chinchilla", tolerance=0.1, beside=huber)
    assert found.parametric.exponents == optimum(huber).exponents
    assert "its interval and that of approach 2 overlap" in " ".join(found.verdict)
    assert found.approach("approach 2").exponent.holds(0.49)  # Hoffmann et al. 2022, table 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"no budget of chinchilla has 4 different sizes; give a tolerance \(--tolerance\)"),
        ({"tolerance": 1e-6}, "give a larger tolerance than 1e-06"),
        ({"tolerance": -1}, "tolerance is -1; it must be 0"),
        ({"level": 0}, "level is 0; it must lie between 0 and 1"),
    ],
)
def test_isoflop_refuses(options, message):
    with pytest.raises(DataError, match=message):
        isoflop("chinchilla", **options)


def test_mixed_corpora_and_another_count_of_compute_are_noticed(huber):
    found = isoflop("marin_isoflop", beside=huber)
    assert any("repeat the size of another at their budget" in one for one in found.notes)
    assert any("the flops of the table are 0.74 to 1.07 times 6*params*tokens" in one for one in found.notes)
    assert not any("of the same thing" in one for one in isoflop("chinchilla", tolerance=0.1, beside=huber).notes)


def test_records_are_json(huber, valleys):
    bad = replace(huber, findings=(replace(huber.findings[0], code="term_vanished", severity="not identified"),))
    for one in (optimum(huber, compute=BUDGET), optimum(bad), isoflop(valleys, beside=huber)):
        assert json.loads(json.dumps(one.record(), allow_nan=False))["verdict"]


def test_isoflop_runs_beside_a_fit(run, huber):
    huber.save("my.fit")
    code, out, _ = run("isoflop", "chinchilla", "--tolerance", 0.1, "--beside", "my.fit", "--json")
    record = json.loads(out)
    assert code == 0
    assert record["parametric"]["exponents"]["params"] == optimum(huber).exponents["params"]._asdict()
    assert run("isoflop", "chinchilla")[0] == 2
