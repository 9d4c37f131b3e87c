"""What a result says of itself: when it is identified, what limits it, which rows do, and what to do next."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalefit import load_fit
from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.leastsq import fit
from scalefit.leastsq.diagnose import FitState, diagnose
from scalefit.leastsq.resample import _answers
from scalefit.misfit import carriers_of
from scalefit.numbers import rounded_interval
from scalefit.problem import build_problem
from scalefit.records import CONVERGED, NOT_IDENTIFIED, Uncertainty
from scalefit.solver.batch import Minima
from scalefit.solver.curvature import curvature_at
from scalefit.solver.search import search
from scalefit.storage import fit_record
from scalefit.summary import estimate_text, interval_text

CASES = Path(__file__).parent / "cases"
DIVERGED = {
    "mapping": {"params": "n_params (non-emb)", "tokens": "Train Tokens", "loss": "eval/val_loss"},
    "drop_invalid": True,
}


def codes(result):
    return [finding.code for finding in result.findings]


def finding(result, code):
    (finding,) = [finding for finding in result.findings if finding.code == code]
    return finding


def withheld(result, failed=100):
    """The same fit, had too many of its refits ended without an answer."""
    none = np.full(len(result.point), np.nan)
    spread = Uncertainty(
        "pairs bootstrap", 0.95, none, none, none, np.diag(none), result.uncertainty.gauss_newton, requested=1000,
        failed=failed, failures=(("still moving after 300 steps", failed),),
    )  # fmt: skip
    return replace(result, uncertainty=spread)


@pytest.fixture(scope="module")
def flat_tail():
    return fit(CASES / "flat_tail.csv", "loss ~ E + A/tokens^alpha")


@pytest.fixture(scope="module")
def two_corpora():
    return fit(CASES / "two_corpora.csv", "chinchilla", throw=False)


def test_refits_on_a_bound_are_results(flat_tail):
    """4,000 refits; those that end at E = 0 were thrown away, and what was left gave E [0.213, 0.240]."""
    assert flat_tail.uncertainty.failed == 0
    assert len(flat_tail.uncertainty.draws) == 4000
    assert 0.10 < np.mean(flat_tail.draws("E") == 0) < 0.20
    assert (flat_tail["E"].lo, flat_tail["E"].hi) == (0.0, pytest.approx(0.2395, abs=5e-4))
    assert flat_tail["alpha"].lo == pytest.approx(0.0065, abs=5e-4)
    assert flat_tail["alpha"].hi == pytest.approx(0.68, abs=0.03)
    assert "E is 0 in 1" in finding(flat_tail, "floor_reaches_zero").message


def test_only_refits_without_a_finite_minimum_have_no_answer():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0, 5.0], "y": [3.0, 2.0, 1.7, 1.5, 1.4]})
    problem = build_problem(Law.parse("y ~ E + c/x^1"), frame)
    theta = np.array([[0.0, 0.5], [1.0, 0.4], [1.0, 0.3], [1.0, 0.2]])  # the first on the bound of E
    minima = Minima(theta, np.array([1.0, 1.0, 1.0, np.inf]), np.array([0, 0, 1, 1]), np.full(4, 9))
    draws, failures = _answers(problem, minima)
    np.testing.assert_allclose(draws[:, 0], [0.0, 1.0])
    assert failures == (("still moving after 300 steps", 1), ("misfit not a finite number", 1))


@pytest.mark.parametrize(("failed", "status"), [(20, CONVERGED), (21, NOT_IDENTIFIED)])
def test_more_than_two_percent_of_refits_without_an_answer_withhold_the_interval(monkeypatch, failed, status):
    import scalefit.leastsq.resample as resample

    def some_stall(*args, **options):
        minima = resample_as_it_is(*args, **options)
        return minima._replace(status=np.where(np.arange(1000) < failed, 1, minima.status))

    resample_as_it_is = resample.minimise_resamples
    monkeypatch.setattr(resample, "minimise_resamples", some_stall)
    result = fit("chinchilla", "chinchilla", drop_highest_loss=5, bootstrap=1000)
    assert result.status == status
    assert result.uncertainty.failed == failed
    message = finding(result, "failed_resamples").message
    assert message.startswith(
        f"{failed} of 1000 refits have no answer (still moving after 300 steps: {failed / 10:.1f}%)"
    )
    given = status == CONVERGED
    assert given == (result.uncertainty.draws is not None)
    assert given == bool(np.isfinite(result["alpha"].se))


def test_a_withheld_interval_is_said_wherever_one_would_stand(tmp_path):
    result = withheld(fit("chinchilla", "chinchilla", bootstrap=0))
    text = result.summary()
    assert "  errors     pairs bootstrap, no intervals\n" in text
    assert text.count("not given") == 5
    assert "nan" not in text
    assert result._repr_html_().count("<td>not given</td>") == 5
    record = json.loads(json.dumps(fit_record(result), allow_nan=False))
    assert record["interval"]["alpha"] == [None, None]
    assert record["se"]["alpha"] is None
    assert rounded_interval(np.nan, np.nan) == "not given"
    assert estimate_text(result["alpha"]) == "0.3721 (no interval)"
    with pytest.raises(DataError, match="100 of 1000 refits have no answer"):
        result.draws("alpha")
    with pytest.raises(DataError, match="fewer parameters"):
        result.predict(prob=0.9)
    assert result.predict()["predicted"].notna().all()
    axes = result.plot("forest")
    assert any("no interval" in text.get_text() for text in axes.texts)
    result.save(tmp_path / "x.fit")
    again = load_fit(tmp_path / "x.fit")
    assert again.uncertainty.failures == result.uncertainty.failures
    assert again.summary() == text


def test_two_corpora_are_not_one_law(two_corpora):
    """Converged to the last digit, with alpha 0.4 ± 9 and A in [2e-12, 2e215]."""
    assert (two_corpora.status, two_corpora.exit_code) == (NOT_IDENTIFIED, 1)
    wide = finding(two_corpora, "wide_exponent")
    assert wide.about == (("alpha", ()), ("beta", ()))
    assert "alpha [0.0, " in wide.message
    assert finding(two_corpora, "open_coefficient").about == (("A", ()), ("B", ()))
    repeats = finding(two_corpora, "repeats_differ")
    assert "differ by corpus: loss is 2.70 times as high for b as for a (10 repeated settings" in repeats.message
    assert repeats.rows == (7, 17)
    assert """--where 'corpus == "a"'""" in repeats.message
    assert repeats.message in two_corpora.message
    advised = "loss ~ E[corpus] + A/params^alpha + B/tokens^beta"
    assert advised in repeats.message
    for law, where in ((advised, None), ("chinchilla", 'corpus == "a"')):
        used = fit(CASES / "two_corpora.csv", law, where=where, bootstrap=200, throw=False)
        assert "repeats_differ" not in codes(used)
        assert used.value < 0.01 * two_corpora.value


def test_numbers_beyond_a_float_are_printed_as_powers_or_bounds(two_corpora):
    open_end = replace(two_corpora["A"], value=np.inf, log_value=800.0, se=np.inf, lo=0.0, hi=np.inf)
    assert estimate_text(open_end, alone=False) == "2.7e347"
    assert interval_text(open_end) == "not bounded"
    assert interval_text(replace(open_end, lo=7.0)) == "[7.0, above 1e308]"
    assert interval_text(replace(open_end, hi=7.0)) == "[below 1e−308, 7.0]"
    assert "inf" not in two_corpora.summary()


def test_the_row_that_ruins_squares_is_named():
    squares = fit(CASES / "one_diverged_run.csv", "chinchilla", bootstrap=200, throw=False, **DIVERGED)
    assert squares.status == NOT_IDENTIFIED
    row = finding(squares, "rows_carry_misfit")
    assert (row.severity, row.rows) == ("warning", (24,))
    assert row.message.startswith("Row 24 (run_name run-24) carries 97% of the misfit and is off by a factor of 2.7")
    assert "use --loss huber or leave it out (--where 'loss < 11.2')" in row.message
    assert f"  warning: {row.message}" in squares.summary().splitlines()
    assert row.message in squares.message
    assert {
        "code": row.code,
        "severity": row.severity,
        "message": row.message,
        "about": (),
        "rows": (24,),
        "names": (),
        "numbers": row.numbers,
        "threshold": row.threshold,
    } in (fit_record(squares)["findings"])
    robust = fit(CASES / "one_diverged_run.csv", "chinchilla", loss="huber", bootstrap=200, **DIVERGED)
    assert robust.status == CONVERGED
    assert finding(robust, "rows_carry_misfit").severity == "note"
    kept = fit(CASES / "one_diverged_run.csv", "chinchilla", where="loss < 11.2", bootstrap=200, **DIVERGED)
    assert kept.status == CONVERGED
    assert "rows_carry_misfit" not in codes(kept)


@pytest.mark.parametrize("outlier", [1.0, 50.0])
def test_carriers_are_outliers_and_few(outlier):
    residual = np.random.default_rng(1).standard_normal(100)
    residual[[17, 60]] = [outlier, -0.9 * outlier]
    found = carriers_of(residual, residual**2, np.arange(100) + 1)
    assert (found is None) == (outlier == 1.0)
    if found is not None:
        assert found.rows == (18, 61)
        assert found.share == pytest.approx((residual[[17, 60]] ** 2).sum() / (residual**2).sum())


def seeds(effect, *, noise=0.005, label="text"):
    """Eight settings, three seeds each, whose losses differ by ``effect`` with the label."""
    rng = np.random.default_rng(0)
    x = np.repeat(np.geomspace(1e8, 1e10, 8), 3)
    seed = np.tile([0, 1, 2], 8)
    loss = (1.5 + 400 / x**0.34) * np.exp(noise * rng.standard_normal(24) + effect * (seed == 2))
    return pd.DataFrame({"params": x, "loss": loss, "seed": [f"s{i}" for i in seed] if label == "text" else seed})


@pytest.mark.parametrize(
    ("effect", "label", "reported"), [(0.0, "text", False), (0.2, "text", True), (0.2, "int", True)]
)
def test_repeats_are_reported_when_a_column_separates_them(effect, label, reported):
    result = fit(seeds(effect, label=label), "params", bootstrap=0, throw=False)
    assert ("repeats_differ" in codes(result)) == reported
    if reported:
        message = finding(result, "repeats_differ").message
        assert "differ by seed: loss is 1.2" in message
        assert ("'loss ~ E[seed] + A/params^alpha'" in message) == (label == "text")
        assert ("a term in seed" in message) == (label == "int")
        where = message.partition("--where '")[2].partition("'")[0]
        kept = fit(seeds(effect, label=label), "params", where=where, bootstrap=0)
        assert kept.n_rows == 8


def test_repeats_that_nothing_separates_are_reported_when_they_differ_much():
    frame = seeds(0.0, noise=0.3).drop(columns="seed")
    result = fit(frame, "params", bootstrap=0, throw=False)
    assert "no single column of the table separates them" in finding(result, "repeats_differ").message


@pytest.mark.parametrize(
    ("loss", "law", "options"),
    [
        ("huber", "chinchilla", {"drop_highest_loss": 5}),
        ("squared", "chinchilla", {"drop_highest_loss": 5}),
        ("squared", "width_depth", {"drop_highest_loss": 40}),
        ("squared", "width_depth", {"drop_highest_loss": 40, "cluster": "shape"}),
        ("squared", "universal", {"drop_highest_loss": 40}),
        ("squared", "width_depth", {"drop_highest_loss": 40, "uncertainty": "profile"}),
    ],
)
def test_published_fits_stay_identified(loss, law, options):
    assert fit("chinchilla", law, loss=loss, **{"bootstrap": 500} | options).status == CONVERGED


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_never_a_result(bad):
    frame = pd.DataFrame({"x": np.arange(1.0, 12.0), "y": 1 + 2 / np.arange(1.0, 12.0)})
    problem = build_problem(Law.parse("y ~ E + c/x^1"), frame)
    optima = search(problem.design)
    shape, point = curvature_at(problem.design, optima[0].theta, np.inf), problem.design.to_natural(optima[0].theta)
    lo, hi = np.array([0.9, 0.6]), np.array([bad, 0.8])
    spread = Uncertainty("x", 0.95, np.full(2, 0.01), lo, hi, np.eye(2) * 1e-4, np.ones(2))
    first = diagnose(FitState(problem, optima, point, shape, spread, frame))[0]
    assert (first.code, first.severity, first.about) == ("not_finite", NOT_IDENTIFIED, (("E", ()),))


@pytest.mark.parametrize(("hits", "told"), [((3, 5, 1), True), ((5, 3, 1), False), ((1,), False)])
def test_starts_that_disagree_are_told_of_a_fit_that_is_not_identified(monkeypatch, hits, told):
    x = np.geomspace(10, 1e4, 30)
    frame = pd.DataFrame({"x": x, "y": 5 * x ** (-0.1 - 0.02 * np.log(x))})  # bent down: E = 0

    def disagree(*args, **options):
        (best, *_) = search(*args, **options)
        return tuple(best._replace(hits=hit, value=best.value * (1 + 0.5 * i)) for i, hit in enumerate(hits))

    monkeypatch.setattr(sys.modules["scalefit.leastsq.fit"], "search", disagree)
    result = fit(frame, "y ~ E + c/x^a", bootstrap=0, throw=False)
    assert result.status == NOT_IDENTIFIED
    assert ("starts_disagree" in codes(result)) == told
    if told:
        message = finding(result, "starts_disagree").message
        assert message.startswith("Only 3 of 9 starts ended at the best point; the others ended at 2 worse ones")
        assert "need not be those of the best fit" in message
        assert message in result.summary()


def test_a_cluster_column_without_repeats_is_told():
    frame = pd.DataFrame({"run": [f"r{i}" for i in range(30)], "params": np.geomspace(1e7, 1e10, 30)})
    frame["loss"] = (1.5 + 400 / frame["params"] ** 0.34) * (1 + 0.01 * np.cos(np.arange(30) * 7.0))
    for options in ({"uncertainty": "cluster"}, {"bootstrap": 0}):
        with pytest.raises(DataError, match="cluster column 'run' has a different value in every row"):
            fit(frame, "params", cluster="run", **options)
    result = fit(frame, "params", cluster="run", bootstrap=200)
    assert "errors by cluster are errors by row" in finding(result, "single_row_clusters").message


def test_every_finding_is_printed_once_the_worst_first_and_says_what_to_do(two_corpora):
    lines = two_corpora.summary().splitlines()
    printed = [two_corpora.findings[0].message] + [
        line.partition(": ")[2] for line in lines if line.startswith(("  not identified: ", "  warning: ", "  note: "))
    ]
    remarks = list(two_corpora.source.remarks)
    assert printed == [finding.message for finding in two_corpora.findings] + remarks
    order = ["not identified", "warning", "note"]
    severities = [order.index(finding.severity) for finding in two_corpora.findings]
    assert severities == sorted(severities)
    steps = ("Fit ", "Fix ", "Add ", "Compare ", "Look ", "Report ", "Read ", "Name ", "Use ")
    assert all(
        any(step in finding.message for step in steps) for finding in two_corpora.findings if finding.severity != "note"
    )


def test_a_status_is_not_said_twice():
    result = fit("chinchilla", "chinchilla", drop_highest_loss=5, bootstrap=0)
    first = result.summary().splitlines()[0]
    assert first.lower().count("converged") == 1
    assert first.startswith("converged: Of the ")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("space", ["log", "linear"])
@pytest.mark.parametrize("method", ["pairs", "jackknife", "gauss-newton", "hc3", "profile"])
@pytest.mark.parametrize("shape", ["rise", "step", "noise"])
def test_extreme_numbers_raise_no_warning_of_numpy(shape, method, space):
    """A law that falls, fitted to what rises, jumps or scatters, near the ends of double precision."""
    x = np.geomspace(1e150, 1e154, 12)
    noise = np.exp(np.random.default_rng(0).standard_normal(12))
    y = 1e90 * {"rise": x / 1e150, "step": np.r_[100.0, np.ones(11)], "noise": noise}[shape]
    for loss in ("squared", "huber"):
        result = fit(
            pd.DataFrame({"x": x, "y": y}), "y ~ E + c/x^a", space=space, loss=loss, uncertainty=method, bootstrap=50,
            throw=False,
        )  # fmt: skip
        text = result.summary()
        assert "nan" not in text
        assert " inf" not in text
        json.dumps(fit_record(result), allow_nan=False)
        assert result._repr_html_()
        if not result.uncertainty.withheld and np.isfinite(result.uncertainty.covariance).all():
            result.predict(prob=0.9)


@pytest.mark.filterwarnings("error")
def test_a_profile_that_stays_flat_for_ever_is_open():
    """Its far end once stopped with an error of the root finder, once the term had underflowed."""
    noise = np.exp(np.random.default_rng(0).standard_normal(12))
    frame = pd.DataFrame({"x": np.geomspace(1e150, 1e154, 12), "y": 1e90 * noise})
    result = fit(frame, "y ~ E + c/x^a", uncertainty="profile", throw=False)
    assert result.uncertainty.lo[1] == -np.inf
    assert "not_finite" in codes(result)


def test_draws_of_unlike_scales_keep_theirs():
    """A floor known to 1e85 must not drown the errors of an exponent known to 0.01."""
    x = np.geomspace(1, 1e4, 40)
    y = 1e90 * (1.5 + 3 / x**0.4) * np.exp(0.01 * np.cos(7 * np.arange(40)))
    big, one = (
        fit(pd.DataFrame({"x": x, "y": y / unit}), "y ~ E + c/x^a", uncertainty="gauss-newton") for unit in (1.0, 1e90)
    )
    assert big.sample()[:, 2].std() == pytest.approx(big["a"].se, rel=0.1)
    ends = [each.predict(prob=0.9) for each in (big, one)]
    np.testing.assert_allclose(ends[0]["lo"] / 1e90, ends[1]["lo"], rtol=2e-3)
    np.testing.assert_allclose(ends[0]["hi"] / 1e90, ends[1]["hi"], rtol=2e-3)
