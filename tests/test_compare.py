"""Comparison: differences, evidence, words and the command line against independent computations."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import scalefit
from scalefit.cli import main
from scalefit.comparison import compare, evidence
from scalefit.comparison.differences import Agreement, agreement, differences
from scalefit.comparison.evidence import Evidence, PriorEvidence, _log_height
from scalefit.comparison.result import _evidence, _weigh, agreement_verdict
from scalefit.comparison.sources import compared_of, compared_published
from scalefit.data.datasets import load_dataset
from scalefit.errors import DataError
from scalefit.estimate import Estimate
from scalefit.forecasting.coverage import held_in_backtest
from scalefit.names import split_names
from scalefit.posterior import bayes
from scalefit.verdicts import Name

STUDY_PRIORS = ("HalfNormal(2)", "HalfNormal(0.5)", "Uniform(0, 3)", "TruncatedNormal(1, 0.5)")


CUT = {"likelihood": "normal", "drop_highest_loss": 40, "ties": "keep"}


def normal(label, value, error):
    return compared_published(label, value, error)


# What sources say ------------------------------------------------------------------------------------------


def test_difference_of_two_normals_is_the_normal_of_their_difference():
    (found,) = differences([normal("a", 1.0, 0.3), normal("b", 0.8, 0.4)])
    truth = stats.norm(0.2, 0.5)
    assert (found.mean, found.se) == pytest.approx((0.2, 0.5))
    assert (found.lo, found.hi) == pytest.approx(truth.interval(0.95), abs=0.005)
    assert found.positive == pytest.approx(truth.sf(0), abs=0.002)
    assert not found.both_posteriors


def test_overlap_is_the_area_under_both():
    (same,) = differences([normal("a", 1.0, 0.3), normal("b", 1.0, 0.3)])
    (apart,) = differences([normal("a", 1.0, 0.1), normal("b", 1.2, 0.1)])
    (far,) = differences([normal("a", 1.0, 0.1), normal("b", 5.0, 0.1)])
    assert same.overlap == pytest.approx(1, abs=1e-3)
    assert apart.overlap == pytest.approx(2 * stats.norm.cdf(-1), abs=1e-3)
    assert far.overlap < 1e-6


def test_sources_that_share_rows_get_no_probability(wide, shifted):
    (found,) = differences([*compared_of(wide, ["a_m"], "a"), *compared_of(shifted, ["a_m"], "b")])
    assert found.dependence == "205 rows in common"
    assert math.isnan(found.positive)
    assert math.isnan(found.se)


def test_bootstraps_of_the_same_resamples_are_compared_replicate_by_replicate():
    options = {"drop_highest_loss": 5, "cluster": "shape", "bootstrap": 80}
    squares = scalefit.fit("chinchilla", "chinchilla", **options)
    huber = scalefit.fit("chinchilla", "chinchilla", loss="huber", delta=1e-3, **options)
    like_squares = scalefit.fit(
        "chinchilla", "chinchilla", loss="huber", delta=1e3, **options
    )  # every residual is small
    sources = [one for name, fit in {"squares": squares, "huber": huber, "like": like_squares}.items()
               for one in compared_of(fit, ["alpha"], name)]  # fmt: skip
    found = {(one.first, one.second): one for one in differences(sources)}
    gaps = squares.draws("alpha") - huber.draws("alpha")
    assert found["squares", "huber"].se == pytest.approx(gaps.std(ddof=1))
    assert found["squares", "huber"].positive == np.mean(gaps > 0)
    assert found["squares", "huber"].dependence == ""
    assert found["squares", "huber"].se < 0.8 * math.hypot(squares["alpha"].se, huber["alpha"].se)
    assert found["squares", "like"].se < 1e-6  # the same estimate of each resample, so that pairs are of one resample
    for other in ({"seed": 1}, {"cluster": None}, {"drop_highest_loss": 6}, {"bootstrap": 90}):
        alone = scalefit.fit("chinchilla", "chinchilla", **options | other)
        (gap,) = differences([sources[0], *compared_of(alone, ["alpha"], "alone")])
        assert "rows in common" in gap.dependence
        assert math.isnan(gap.se)
    assert scalefit.fit("chinchilla", "chinchilla", bootstrap=0).resamples is None


def test_agreement_is_cochrans_q():
    sources = [normal("a", 1.0, 0.1), normal("b", 1.3, 0.2), normal("c", 0.7, 0.1)]
    found = agreement(sources)
    w, y = np.array([100, 25, 100.0]), np.array([1.0, 1.3, 0.7])
    pooled = (w * y).sum() / w.sum()
    q = (w * (y - pooled) ** 2).sum()
    assert (found.pooled, found.se, found.chi2) == pytest.approx((pooled, w.sum() ** -0.5, q))
    assert found.p == pytest.approx(stats.chi2.sf(q, 2))
    assert found.spread == pytest.approx(math.sqrt((q - 2) / (w.sum() - (w**2).sum() / w.sum())))


def drawn(label, draws):
    """Levels of one fit, by their draws."""
    one = normal(label, float(draws.mean()), float(draws.std(ddof=1)))
    return replace(one, estimate=replace(one.estimate, draws=draws, spread="posterior"), origin="one fit")


def test_agreement_of_levels_of_one_fit_uses_their_covariance():
    """Generalised least squares of two values with correlation 0.8."""
    one, other = np.random.default_rng(3).multivariate_normal([1.0, 1.2], [[0.01, 0.008], [0.008, 0.01]], 5000).T
    found = agreement([drawn("a", one), drawn("b", other)])
    assert found.chi2 == pytest.approx((one.mean() - other.mean()) ** 2 / (one - other).var(ddof=1))
    inverse = np.linalg.inv(np.cov(one, other))
    assert found.se == pytest.approx(inverse.sum() ** -0.5)


def test_what_a_printed_number_and_draws_say():
    printed = normal("a", 0.91, 0.04)
    assert printed.estimate.below(0.95) == pytest.approx(stats.norm.cdf(1))
    draws = np.random.default_rng(4).normal(2.0, 0.5, 3000)
    x = np.array([1.2, 2.0, 2.7])
    plain = stats.gaussian_kde(draws)  # Scott's rule
    assert drawn("b", draws).estimate.density(x) == pytest.approx(plain(x), rel=0.03)
    logs = drawn("c", np.exp(draws)).estimate.as_log()
    assert (logs.value, logs.se) == pytest.approx((draws.mean(), draws.std(ddof=1)))
    assert (logs.lo, logs.hi) == pytest.approx(np.quantile(draws, [0.025, 0.975]))


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.005, "disagree"),
        (0.02, "neither agree nor disagree"),
        (0.08, "neither agree nor disagree"),
        (0.2, "agree within"),
    ],
)
def test_words_on_agreement_follow_the_p_value(p, words):
    assert words in str(agreement_verdict(Agreement(("a", "b"), (), 1.0, 0.1, 3.0, 1, p, 0.2)))


def test_agreement_counts_shared_rows_once(wide, shifted):
    sources = [*compared_of(wide, ["a_m"], "a"), *compared_of(shifted, ["a_m"], "b")]
    assert agreement(sources) is None
    found = agreement([*sources, normal("paper", 0.9, 0.1)])
    assert (found.labels, found.left_out) == (("a", "paper"), ("b (shares rows)",))


def test_probabilities_of_a_posterior_are_shares_of_its_draws(wide):
    (found,) = compared_of(wide, ["alpha", "a_m"], "wide")
    draws = wide.draws("a_m")
    assert found.estimate.inside((0.9, 1.1)) == pytest.approx(np.mean((draws >= 0.9) & (draws < 1.1)))
    assert found.is_posterior
    assert found.estimate.inside((0.9, 1.1)) == pytest.approx(0.66, abs=0.03)  # the published study of these 205 rows


def test_a_bootstrap_is_no_posterior(small):
    fit = scalefit.fit(small, "loss ~ A/width^alpha", bootstrap=200)
    plain = scalefit.fit(small, "loss ~ A/width^alpha", uncertainty="hc3")
    found = compare({"boot": fit, "hc3": plain}, "alpha", reference=1, region=(0.9, 1.1))
    assert [one.estimate.spread for one in found.sources] == ["bootstrap", "normal approximation"]
    assert "not a probability" in found.summary()
    assert not found.evidence
    assert "posterior" not in found.summary().replace("not both posteriors", "")


def test_a_name_without_its_level_stands_for_all_levels():
    fit = scalefit.fit("llm_families", "loss ~ E[family, eval_set] + A[family]/width^alpha[family]", bootstrap=0)
    found = compared_of(fit, ["alpha"], "x")
    assert [one.label for one in found] == ["x, GPT-2", "x, OPT", "x, Pythia", "x, Qwen2.5"]
    assert split_names("a_m, E[OPT,c4],alpha") == ("a_m", "E[OPT,c4]", "alpha")


def test_levels_of_one_fit_are_compared_draw_by_draw(levels):
    sources = compared_of(levels, ["alpha"], "fit")
    pairs = {(one.first, one.second): one for one in differences(sources)}
    found, draws = pairs["fit, x", "fit, y"], levels.draws("alpha[x]") - levels.draws("alpha[y]")
    assert (found.mean, found.se) == pytest.approx((draws.mean(), draws.std(ddof=1)), abs=2e-3)
    assert found.positive == np.mean(draws > 0)
    assert found.dependence == ""
    apart = agreement(sources)
    together = agreement(sources[1:])
    assert apart.p < 1e-6
    assert together.p > 0.01
    joint = np.cov(np.stack([levels.draws(f"alpha[{lab}]") for lab in "yz"]))
    y = np.array([levels["alpha[y]"].value, levels["alpha[z]"].value])
    gap_variance = joint[0, 0] + joint[1, 1] - 2 * joint[0, 1]
    assert together.chi2 == pytest.approx((y[0] - y[1]) ** 2 / gap_variance, rel=0.05)


def test_a_printed_number_of_the_same_table_is_not_independent():
    fit = scalefit.fit("llm_families", "family_width", space="linear", bootstrap=100)
    found = compare([fit], "alpha", published="liu2025.alpha")
    assert found.differences[0].dependence == "from the same table"
    assert found.agreement is None
    other = compare([fit], "alpha", published=["liu2025.chinchilla.alpha_m"])
    assert other.differences[0].dependence == ""


def test_factors_are_compared_by_their_logarithm(small):
    first = bayes(small, "loss ~ A/width^alpha", path="fast")
    found = compare({"a": first}, "A", published={"p": (40.0, 4.0)})
    logs = np.log(first.draws("A"))
    (gap,) = found.differences
    assert gap.mean == pytest.approx(logs.mean() - math.log(40), abs=1e-9)
    assert gap.se == pytest.approx(math.hypot(logs.std(ddof=1), 0.1))


def test_a_floor_at_zero_says_nothing_against_an_exponent():
    rows = scalefit.load_dataset("gemstones").query('subset == "hot_100b+" and eval_set == "Dolma"')
    fit = bayes(rows, "width_depth", likelihood="normal", cluster="run", path="fast", throw=False)
    assert fit.status == "not identified"
    assert compared_of(fit, ["a_m"], "g")[0].status == "converged"
    assert compared_of(fit, ["E"], "g")[0].status == "not identified"
    found = agreement([*compared_of(fit, ["E"], "g"), normal("a", 1.0, 0.1), normal("b", 1.0, 0.1)])
    assert found.left_out == ("g (not identified)",)


def test_a_name_by_which_no_fit_is_compared_is_refused():
    width = np.tile(np.geomspace(64, 4096, 8), 2)
    rows = pd.DataFrame({"width": width, "fam": ["x"] * 8 + ["y"] * 8})
    rows["loss"] = np.where(rows.fam == "x", 9 / width**0.3, 20 / width**0.4) * (1 + 0.01 * np.sin(width))
    fit = scalefit.fit(rows, "loss ~ A[fam]/width^alpha[fam]", uncertainty="hc3")
    other = scalefit.fit(rows, "loss ~ E[fam] + A/width^a_m", uncertainty="hc3")
    assert len(compare({"a": fit, "b": other}, "alpha,a_m").sources) == 3
    for names, left in (("alpha[x],alpha[y]", r"alpha\[y\]"), ("alpha,a_m", "a_m"), ("alpha,alhpa", "alhpa")):
        with pytest.raises(DataError, match=f"param names '{left}', by which no fit is compared"):
            compare({"a": fit}, names)


def test_a_table_of_bayes_factors_explains_its_dashes():
    def printed(height: float) -> str:
        prior = PriorEvidence("HalfNormal(1)", True, (0.9,), (0.1,), height, 0.1, -1.0, 0.1)
        return _evidence(Evidence("a", {("alpha", ()): 1.0}, "", (prior,), ()))

    assert "–: too few draws lie beyond the fixed value" in printed(math.nan)
    assert "too few draws" not in printed(-0.9)


def test_a_source_without_spread_has_no_overlap_and_no_weight():
    still = normal("a", 1.0, 0.1)
    frozen = type(still)(
        "c", Estimate("E", "floor", 0.0, 0.0, 0.0, 0.0, spread="bootstrap", draws=np.zeros(50)), "converged"
    )
    (found,) = differences([still, frozen])
    assert math.isnan(found.overlap)
    assert agreement([still, frozen, normal("b", 1.1, 0.1)]).left_out == ("c (no error)",)


# Evidence --------------------------------------------------------------------------------------------------


def test_evidence_of_a_conjugate_case_is_exact(small):
    """One exponent, everything else integrated numerically on a grid."""
    fit = bayes(small, "loss ~ A/width^alpha", likelihood="normal", path="fast")
    found = evidence(fit, {"alpha": 0.4})
    y, u = np.log(small.loss.to_numpy()), np.log(small.width.to_numpy())
    u = u - u.mean()

    def log_joint(size, alpha, sigma):
        like = stats.norm.logpdf(y[:, None], math.log(size) - alpha[None, :] * u[:, None], sigma).sum(axis=0)
        return like + stats.halfnorm.logpdf(size) + stats.halfnorm.logpdf(sigma, scale=0.1)

    alphas = np.append(np.linspace(0.3, 0.5, 401), 0.4)
    sizes = math.exp(y.mean()) * np.exp(np.linspace(-0.06, 0.06, 121))
    sigmas = np.linspace(0.012, 0.09, 79)
    top = log_joint(math.exp(y.mean()), np.array([0.4]), 0.03)[0]
    table = np.array([[np.exp(log_joint(a, alphas, s) - top) for s in sigmas] for a in sizes])
    marginal = integrate.trapezoid(integrate.trapezoid(table, sizes, axis=0), sigmas, axis=0)
    assert dict(fit.posterior.priors) == {
        ("A", ()): "HalfNormal(1)", ("alpha", ()): "HalfNormal(1)", ("sigma", ()): "HalfNormal(0.1)",
    }  # fmt: skip
    free = integrate.trapezoid(marginal[:-1] * stats.halfnorm.pdf(alphas[:-1]), alphas[:-1])
    truth = math.log(marginal[-1] / free)
    row = found.priors[0]
    assert row.direct == pytest.approx(truth, abs=5 * row.direct_se + 0.01)
    assert row.savage_dickey == pytest.approx(truth, abs=5 * row.savage_dickey_se + 0.02)


def test_bayes_factors_of_both_exponents_meet_the_published_study(wide):
    found = evidence(wide, {"a_m": 1, "a_l": 1}, priors=[*STUDY_PRIORS, "TruncatedNormal(0.5, 0.25)"])
    direct = [math.exp(row.direct) for row in found.priors]
    assert direct == pytest.approx([18, 26, 200, 26, 6, 400], rel=0.08)
    for row in found.priors:
        assert row.savage_dickey == pytest.approx(row.direct, abs=4 * row.savage_dickey_se)
    assert found.fixed_law == "loss ~ E + c_m/width^1 + c_l/depth^1 + c_D/tokens^a_D"
    assert [row.own for row in found.priors] == [True] + 5 * [False]


def test_every_bayes_factor_stands_beside_at_least_two_other_priors(wide):
    assert len(evidence(wide, {"a_m": 1}).priors) >= 3


def test_carrying_over_to_another_prior_equals_sampling_under_it(wide):
    carried = evidence(wide, {"a_m": 1}, priors=["TruncatedNormal(0.5, 0.25)"]).priors[1]
    other = bayes("chinchilla", "width_depth", priors={"a_m": "TruncatedNormal(0.5, 0.25)"}, **CUT)
    assert carried.mean[0] == pytest.approx(other["a_m"].value, abs=0.006)
    assert carried.sd[0] == pytest.approx(other["a_m"].se, rel=0.06)
    again = evidence(other, {"a_m": 1}).priors[0]
    assert carried.direct == pytest.approx(again.direct, abs=0.08)


def test_the_error_under_another_prior_adds_that_of_the_weights(wide):
    own, other = evidence(wide, {"a_m": 1}, priors=["TruncatedNormal(0.5, 0.25)"]).priors[:2]
    draws = wide.draws("a_m")
    ratio = stats.truncnorm.pdf(draws, -2, np.inf, 0.5, 0.25) / stats.halfnorm.pdf(draws)
    error = ratio.std(ddof=1) / ratio.mean() / math.sqrt(len(ratio))
    assert own.prior == "HalfNormal(1)"
    assert error > 0.3 * own.direct_se
    assert other.direct_se == pytest.approx(math.hypot(own.direct_se, error))


def test_the_height_of_a_normal_in_its_tail_and_its_error():
    """A kernel estimate that widened the draws would be a tenth too high at 2.5 standard deviations."""
    rng = np.random.default_rng(5)
    exact = rng.permutation(stats.norm.ppf((np.arange(4000) + 0.5) / 4000))[:, None]
    even = np.full(4000, 1 / 4000)
    for place in (0.0, 2.5):
        height, _ = _log_height(exact, even, np.zeros(1), np.ones((1, 1)), np.array([place]))
        assert height == pytest.approx(stats.norm.logpdf(place), abs=0.03)
    heights, errors = np.transpose([
        _log_height(rng.standard_normal((4000, 1)), even, np.zeros(1), np.ones((1, 1)), np.array([1.0]))
        for _ in range(200)
    ])  # fmt: skip
    assert np.mean(errors) == pytest.approx(np.std(heights), rel=0.2)


def test_alternatives_are_added_until_there_are_two(wide):
    rows = evidence(wide, {"a_m": 1}, priors=["Uniform(2, 3)"])
    assert len(rows.priors) == 3
    assert "Uniform(2, 3) cannot be used" in rows.notes[0]


def test_exponents_of_either_sign_get_priors_of_either_sign(small):
    fit = bayes(small, "loss ~ A/width^alpha", exponents="free", path="fast", priors={"alpha": "Normal(0, 1)"})
    priors = [row.prior for row in evidence(fit, {"alpha": -0.1}).priors]
    assert priors == ["Normal(0, 1)", "Normal(0, 0.5)", "Normal(0, 2)", "Normal(-0.1, 0.5)"]


def test_few_draws_keep_the_prior_of_the_fit(small):
    fit = bayes(small, "loss ~ A/width^alpha", path="fast", draws=200)
    found = compare([fit], "alpha", reference=0.4)
    assert found.evidence[0].priors[0].own
    assert "cannot be judged: too few priors could be tried" in found.summary()


@pytest.mark.parametrize(
    ("log", "words"),
    [(9.0, "favour"), (-9.0, "speak against"), (0.5, "is not strong under any"), (2.0, "depends on the prior")],
)
def test_words_on_evidence_follow_all_priors(log, words):
    rows = tuple(PriorEvidence(f"p{i}", i == 0, (1.0,), (0.1,), log + i, 0.1, log + i, 0.1) for i in range(3))
    found = _weigh(Evidence("x", {("a", ()): 1.0}, "law", rows, ()))
    assert words in str(found)
    assert Name(("a", ())) in found.runs
    assert (found.threshold, found.numbers["log_bayes_factor"]) == (20, [log, log + 2])


@pytest.mark.parametrize(("error", "words"), [(0.01, "depends on the prior"), (0.1, "is not strong under any")])
def test_a_factor_within_its_error_of_the_limit_is_not_strong(error, words):
    logs = (1.0, 2.0, math.log(20) + 0.1)
    rows = tuple(PriorEvidence(f"p{i}", i == 0, (1.0,), (0.1,), log, error, log, error) for i, log in enumerate(logs))
    assert words in str(_weigh(Evidence("x", {("a", ()): 1.0}, "law", rows, ())))


def test_a_reference_beyond_the_draws_has_no_savage_dickey(wide):
    row = evidence(wide, {"a_m": 2}).priors[0]
    assert math.isnan(row.savage_dickey)
    assert row.direct < -10


def test_evidence_refuses_what_is_no_exponent(wide):
    with pytest.raises(DataError, match="'c_m' is not an exponent of width and depth; "):
        evidence(wide, {"c_m": 1})


# Words and the command line --------------------------------------------------------------------------------


def test_the_verdict_names_what_stays_open(wide, shifted):
    found = compare(
        {"rows": wide, "shapes": shifted}, "a_m", reference=1, region=(0.9, 1.1), published={"p": (2.0, 0.1)}
    )
    words = [str(one) for one in found.verdict]
    assert words[0].startswith("rows (posterior): 0.924 ± 0.058; the probability that a_m lies between 0.9 and 1.1 is ")
    assert words[0].endswith(": it is neither established nor excluded.")
    record = found.record()["verdict"][0]
    assert (record["kind"], record["sentence"], record["threshold"]) == ("open", words[0], 0.95)
    assert record["probability"] == [pytest.approx(wide["a_m"].inside((0.9, 1.1)))]
    assert "p (published): 2.00 ± 0.10; its 95% interval [1.80, 2.20] excludes 1." in words
    assert any("The sources disagree" in one and "Not counted: shapes (shares rows)" in one for one in words)
    assert any("shapes predicts left-out rows best" in one for one in words)


def test_a_shipped_value_is_compared_by_its_key(small):
    fit = scalefit.fit(small, "loss ~ A/width^alpha", uncertainty="hc3")
    found = compare([fit], "alpha", published=["liu2025.alpha"])
    assert (found.sources[1].estimate.value, found.sources[1].estimate.se) == (0.91, 0.04)


def test_a_law_without_the_parameter_is_compared_as_a_law(wide, sized):
    found = compare({"free": wide, "sized": sized}, "a_m")
    assert [one.label for one in found.sources] == ["free"]
    assert [score.label for score, _ in found.laws] == ["sized", "free"]
    assert "sized has no a_m and is compared as a law only." in found.notes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"param": ""}, "give a parameter's name"),
        ({"param": "alpah"}, "has no parameter 'alpah'; did you mean 'alpha'"),
        ({"region": (1.1, 0.9)}, r"region is \(1.1, 0.9\); it needs two numbers, the smaller first"),
        ({"region": (0.9, np.inf)}, r"region is 0.9,inf, which has no end on one side; .*: --reference 0.9"),
        ({"region": ("0.9", np.inf)}, r"region is \('0.9', inf\); it needs two numbers, the smaller first"),
        ({"region": (0.9, 1.1), "reference": 2}, "the reference 2 lies outside the region 0.9 to 1.1"),
        ({"fixed": {"alpha": "one"}}, "alpha cannot be fixed at one; give a number, such as 1"),
        ({"reference": math.nan}, "reference is nan"),
        ({"published": {"x": (1.0, None)}}, "published x is 1, and no error is printed with it.*--reference 1 "),
        ({"published": ["hoffmann2022.alpha"]}, r"no error is printed.*--reference 0\.34 \(reference=0\.34\)"),
        ({"published": {"x": (1.0, math.nan)}}, "needs a positive standard error"),
        ({"published": {"x": (1.0, -0.1)}}, "the error is -0.1"),
        ({"published": {"x": (math.inf, 0.1)}}, "the value is inf"),
    ],
)
def test_bad_questions_are_refused(small, options, message):
    fit = scalefit.fit(small, "loss ~ A/width^alpha", uncertainty="hc3")
    with pytest.raises(DataError, match=message):
        compare([fit], **{"param": "alpha", **options})


def test_command_compares_a_published_value_in_one_line(tmp_path, small, monkeypatch, capsys):
    bayes(small, "loss ~ A/width^alpha", path="fast").save(tmp_path / "mine.fit")
    monkeypatch.setattr(
        "sys.argv",
        (
            f"scalefit compare {tmp_path / 'mine.fit'} --param alpha --reference 1 --region 0.9,1.1 "
            "--published paper=0.91,0.04 --holdout width --json"
        ).split(),
    )
    with pytest.raises(SystemExit, match="0"):
        main()
    record = json.loads(capsys.readouterr().out)
    assert [one["source"] for one in record["sources"]] == ["mine", "paper"]
    assert record["sources"][0]["inside"] < 0.01
    assert record["differences"][0]["positive"] < 0.01
    assert len(record["evidence"][0]["priors"]) >= 3
    assert record["held_out"]["split"] == "width >= 2048"


def test_command_says_how_such_fits_did_at_the_distance_of_the_held_out_rows(run):
    runs = load_dataset("chinchilla").query("flops < 1e21")
    scalefit.fit(runs, "chinchilla", bootstrap=0, uncertainty="gauss-newton").save("law.fit")
    code, out, err = run("compare", "law.fit", "--param", "alpha", "--holdout", "flops > 5e19")
    assert code == 0
    own, rule = (held_in_backtest(21, method) for method in ("huber", "forecast"))
    shares = f"{100 * own.share90:.0f}% of 90% intervals of one law's fit held in the public backtest"
    assert shares in err
    assert f"and {100 * rule.share90:.0f}% of those of scalefit forecast" in err
    assert "public backtest" not in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--region", "0.9"], "--region is '0.9'; it needs two numbers"),
        (["--region", "a,b"], "--region is 'a,b'; it needs two numbers"),
        (
            ["--published", "paper=0.9"],
            "paper=0.9 has no standard error; need NAME=VALUE,ERROR, such as paper=0.9,0.04",
        ),
        (["--published", "paper=0.9,"], "--published paper=: '' is not a number"),
        (["--published", "nobody.alpha"], "unknown published value"),
        (["--fixed", "alpha"], "--fixed 'alpha' is not understood"),
        (["--published", "p=1,0.1", "--published", "p=2,0.1"], "--published 'p' is given twice"),
        (["--published", "mine=1,0.1"], "two sources are called 'mine'"),
    ],
)
def test_command_refuses_bad_options(tmp_path, small, monkeypatch, capsys, options, message):
    scalefit.fit(small, "loss ~ A/width^alpha", uncertainty="hc3").save(tmp_path / "mine.fit")
    argv = ["scalefit", "compare", str(tmp_path / "mine.fit"), "--param", "alpha", *options]
    monkeypatch.setattr("sys.argv", argv)
    with pytest.raises(SystemExit, match="2"):
        main()
    assert message in capsys.readouterr().err
