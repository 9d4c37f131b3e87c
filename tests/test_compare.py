"""Comparison: differences, evidence, leave-one-out and extrapolation against independent computations."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import scalefit
from scalefit.bayes import bayes
from scalefit.cli import main
from scalefit.compare import compare, evidence, held_out_score, leave_one_out, rank_laws, split_rows
from scalefit.compare.again import density_of, posterior_draws, refit
from scalefit.compare.beliefs import beliefs_of, published_belief, split_names
from scalefit.compare.differences import agreement, differences
from scalefit.compare.evidence import Evidence, PriorEvidence
from scalefit.compare.extrapolate import _blind_priors
from scalefit.compare.words import _weigh
from scalefit.errors import DataError

CUT = {"likelihood": "normal", "drop_highest_loss": 40, "ties": "keep"}
STUDY_PRIORS = ("HalfNormal(2)", "HalfNormal(0.5)", "Uniform(0, 3)", "TruncatedNormal(1, 0.5)")


@pytest.fixture(scope="module")
def wide():
    return bayes("chinchilla", "width_depth", label="width and depth", **CUT)


@pytest.fixture(scope="module")
def fixed():
    return bayes("chinchilla", "width_depth_fixed", label="fixed", **CUT)


@pytest.fixture(scope="module")
def sized():
    return bayes("chinchilla", "chinchilla", label="parameters", **CUT)


@pytest.fixture(scope="module")
def shifted():
    return bayes("chinchilla", "width_depth", label="shift", cluster="shape", **CUT)


@pytest.fixture(scope="module")
def small():
    """A law of two parameters on few rows, so that other ways to compute a number are affordable."""
    rng = np.random.default_rng(5)
    width = np.repeat([64.0, 128, 256, 512, 1024, 2048], 3)
    shape = np.repeat(list("abcdef"), 3)
    noise = 0.03 * rng.standard_normal(18) + np.repeat(0.02 * rng.standard_normal(6), 3)
    return pd.DataFrame({"width": width, "shape": shape, "loss": 40 * width**-0.4 * np.exp(noise)})


def normal(label, value, error):
    return published_belief(label, value, error)


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
    (found,) = differences([*beliefs_of(wide, ["a_m"], "a"), *beliefs_of(shifted, ["a_m"], "b")])
    assert found.dependence == "205 rows in common"
    assert math.isnan(found.positive)
    assert math.isnan(found.se)


def test_agreement_is_cochrans_q():
    sources = [normal("a", 1.0, 0.1), normal("b", 1.3, 0.2), normal("c", 0.7, 0.1)]
    found = agreement(sources)
    w, y = np.array([100, 25, 100.0]), np.array([1.0, 1.3, 0.7])
    pooled = (w * y).sum() / w.sum()
    q = (w * (y - pooled) ** 2).sum()
    assert (found.pooled, found.se, found.chi2) == pytest.approx((pooled, w.sum() ** -0.5, q))
    assert found.p == pytest.approx(stats.chi2.sf(q, 2))
    assert found.spread == pytest.approx(math.sqrt((q - 2) / (w.sum() - (w**2).sum() / w.sum())))


def test_agreement_counts_shared_rows_once(wide, shifted):
    sources = [*beliefs_of(wide, ["a_m"], "a"), *beliefs_of(shifted, ["a_m"], "b")]
    assert agreement(sources) is None
    found = agreement([*sources, normal("paper", 0.9, 0.1)])
    assert (found.labels, found.left_out) == (("a", "paper"), ("b (shares rows)",))


def test_probabilities_of_a_posterior_are_shares_of_its_draws(wide):
    (belief,) = beliefs_of(wide, ["alpha", "a_m"], "wide")
    draws = wide.draws("a_m")
    assert belief.inside((0.9, 1.1)) == pytest.approx(np.mean((draws >= 0.9) & (draws < 1.1)))
    assert belief.kind == "posterior"
    assert belief.inside((0.9, 1.1)) == pytest.approx(0.66, abs=0.03)  # the published study of these 205 rows


def test_a_bootstrap_is_no_posterior(small):
    fit = scalefit.fit(small, "loss ~ A/width^alpha", bootstrap=200)
    plain = scalefit.fit(small, "loss ~ A/width^alpha", uncertainty="hc3")
    found = compare({"boot": fit, "hc3": plain}, "alpha", reference=1, region=(0.9, 1.1))
    assert [one.kind for one in found.beliefs] == ["bootstrap", "normal approximation"]
    assert "not a probability" in found.summary()
    assert not found.evidence
    assert "posterior" not in found.summary().replace("not both posteriors", "")


def test_a_name_without_its_level_stands_for_all_levels():
    fit = scalefit.fit("llm_families", "loss ~ E[family, eval_set] + A[family]/width^alpha[family]", bootstrap=0)
    found = beliefs_of(fit, ["alpha"], "x")
    assert [one.label for one in found] == ["x, GPT-2", "x, OPT", "x, Pythia", "x, Qwen2.5"]
    assert split_names("a_m, E[OPT,c4],alpha") == ("a_m", "E[OPT,c4]", "alpha")


@pytest.fixture(scope="module")
def levels():
    """One slope per lab, drawn from the same posterior: x and y differ by 0.2, the others by nothing."""
    rng = np.random.default_rng(8)
    rows = [
        {"lab": lab, "width": w, "loss": 5 * w**-slope * math.exp(0.02 * rng.standard_normal())}
        for lab, slope in (("x", 0.5), ("y", 0.3), ("z", 0.3)) for w in (64, 128, 256, 512, 1024, 2048)
    ]  # fmt: skip
    return bayes(pd.DataFrame(rows), "loss ~ A[lab]/width^alpha[lab]", likelihood="normal", path="fast")


def test_levels_of_one_fit_are_compared_draw_by_draw(levels):
    beliefs = beliefs_of(levels, ["alpha"], "fit")
    pairs = {(one.first, one.second): one for one in differences(beliefs)}
    found, draws = pairs["fit, x", "fit, y"], levels.draws("alpha[x]") - levels.draws("alpha[y]")
    assert (found.mean, found.se) == pytest.approx((draws.mean(), draws.std(ddof=1)), abs=2e-3)
    assert found.positive == np.mean(draws > 0)
    assert found.dependence == ""
    apart = agreement(beliefs)
    together = agreement(beliefs[1:])
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
    assert beliefs_of(fit, ["a_m"], "g")[0].status == "converged"
    assert beliefs_of(fit, ["E"], "g")[0].status == "not identified"
    found = agreement([*beliefs_of(fit, ["E"], "g"), normal("a", 1.0, 0.1), normal("b", 1.0, 0.1)])
    assert found.left_out == ("g (not identified)",)


def test_a_source_without_spread_has_no_overlap_and_no_weight():
    still = normal("a", 1.0, 0.1)
    frozen = type(still)("c", "E", "bootstrap", 0.0, 0.0, 0.0, 0.0, 0.95, "converged", np.zeros(50))
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
    assert dict(fit.posterior.priors) == {"A": "HalfNormal(1)", "alpha": "HalfNormal(1)", "sigma": "HalfNormal(0.1)"}
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


@pytest.mark.parametrize(("log", "words"), [(9.0, "favour"), (-9.0, "speak against"), (0.5, "hangs on the prior or")])
def test_words_on_evidence_follow_all_priors(log, words):
    rows = tuple(PriorEvidence(f"p{i}", i == 0, (1.0,), (0.1,), log + i, 0.1, log + i, 0.1) for i in range(3))
    assert words in _weigh(Evidence("x", {"a": 1.0}, "law", rows, ()))


def test_a_reference_beyond_the_draws_has_no_savage_dickey(wide):
    row = evidence(wide, {"a_m": 2}).priors[0]
    assert math.isnan(row.savage_dickey)
    assert row.direct < -10


def test_evidence_refuses_what_is_no_exponent(wide):
    with pytest.raises(DataError, match="'c_m' is no exponent of width and depth; "):
        evidence(wide, {"c_m": 1})


# Leaving out -----------------------------------------------------------------------------------------------


def test_leave_one_out_equals_refitting_without_each_row(small):
    fit = bayes(small, "loss ~ A/width^alpha", likelihood="normal", path="fast")
    found = leave_one_out(fit)
    density = density_of(fit)
    exact = []
    for row in range(len(small)):
        other = refit(fit, rows=fit.rows.drop(index=fit.rows.index[row]))
        column = int(np.flatnonzero(density.problem.order == row)[0])
        exact.append(math.log(np.exp(density.log_likelihood(posterior_draws(other))[:, column]).mean()))
    assert found.elpd == pytest.approx(np.array(exact), abs=0.08)
    assert found.total == pytest.approx(sum(exact), abs=0.25)


@pytest.mark.parametrize("likelihood", ["normal", "student_t"])
def test_a_row_given_its_cluster_is_a_ratio_of_cluster_densities(small, likelihood):
    fit = bayes(small, "loss ~ A/width^alpha", likelihood=likelihood, cluster="shape", path="fast")
    density, draws = density_of(fit), posterior_draws(fit)[:3]
    residual = density.residuals(draws)
    cluster = density.problem.cluster
    found = density.row_log_likelihood(draws)
    names = list(fit.names)
    for r, draw in enumerate(draws):
        sigma, tau = draw[names.index("sigma")], draw[names.index("tau")]
        error = stats.norm if likelihood == "normal" else stats.t(draw[names.index("nu")])

        def mass(rows, r=r, sigma=sigma, tau=tau, error=error):
            def f(s):
                return stats.norm.pdf(s, 0, tau) * np.prod(error.pdf((residual[r, rows] - s) / sigma) / sigma)

            return integrate.quad(f, -8 * tau, 8 * tau, epsabs=0, epsrel=1e-9, limit=400, points=[0.0])[0]

        for i in (0, 7):
            mates = np.flatnonzero(cluster == cluster[i])
            truth = math.log(mass(mates) / mass(mates[mates != i]))
            assert found[r, i] == pytest.approx(truth, abs=1e-5)


def test_laws_rank_as_in_the_published_study(wide, fixed, sized):
    ranked = rank_laws(tuple(leave_one_out(one) for one in (wide, fixed, sized)))
    assert [one.label for one in ranked] == ["parameters", "fixed", "width and depth"]
    assert [one.behind for one in ranked] == pytest.approx([0, 4.8, 5.6], abs=0.6)
    assert [one.behind_se for one in ranked] == pytest.approx([0, 3.5, 4.1], abs=0.3)


def test_leaving_out_clusters_equals_refitting_without_each(small):
    """With a limit of k-hat that every unit exceeds, each is refitted; both must agree with brute force."""
    fit = bayes(small, "loss ~ A/width^alpha", likelihood="normal", path="fast")
    found = leave_one_out(fit, by="shape")
    density = density_of(fit)
    shape = fit.rows["shape"].to_numpy()[density.problem.order]
    for unit, elpd in zip(found.units, found.elpd, strict=True):
        label = unit.removeprefix("shape ")
        other = refit(fit, rows=fit.rows[fit.rows["shape"] != label])
        values = density.log_likelihood(posterior_draws(other))[:, shape == label].sum(axis=1)
        assert elpd == pytest.approx(math.log(np.exp(values).mean()), abs=0.15)


def test_an_exact_refit_is_what_replaces_a_high_khat(small, monkeypatch):
    fit = bayes(small, "loss ~ A/width^alpha", likelihood="normal", cluster="shape", path="fast")
    smooth = leave_one_out(fit, by="shape", exact=False)
    monkeypatch.setattr("scalefit.compare.crossval.GOOD_KHAT", -9.0)
    exact = leave_one_out(fit, by="shape")
    assert exact.refitted == exact.units
    assert not np.array_equal(exact.elpd, smooth.elpd)
    assert exact.elpd == pytest.approx(smooth.elpd, abs=0.3)


def test_units_that_no_law_can_do_without_have_no_score(levels):
    score = leave_one_out(levels, by="lab")
    assert score.unsure == score.units or np.isfinite(score.elpd).any()
    bad = score._replace(elpd=np.array([math.nan, -1.0, -2.0]), unsure=("lab x",))
    other = score._replace(label="other", elpd=np.array([5.0, -2.0, -4.0]))
    ranked = rank_laws((bad, other))
    assert [(one.label, one.units, one.elpd) for one in ranked] == [(levels.source.name, 2, -3.0), ("other", 2, -6.0)]
    with pytest.raises(DataError, match="has a score for 0 of them only"):
        rank_laws((bad._replace(elpd=np.full(3, math.nan)), other))


def test_refitting_keeps_weights_and_pooling(small, levels):
    weighted = small.assign(w=np.where(small.width > 300, 3.0, 1.0))
    fit = bayes(weighted, "loss ~ A/width^alpha", likelihood="normal", weights="w", path="fast")
    again = refit(fit)
    assert np.array_equal(again.point, fit.point)
    pooled = bayes(
        levels.rows, "loss ~ A[lab]/width^alpha[lab]", likelihood="normal", pool={"alpha": "partial"}, path="fast",
        draws=400, throw=False,
    )  # fmt: skip
    assert np.array_equal(refit(pooled, draws=400, path="fast").point, pooled.point)


def test_rows_of_other_weights_are_not_ranked(small):
    weighted = small.assign(w=2.0)
    plain = bayes(weighted, "loss ~ A/width^alpha", path="fast", draws=500)
    heavy = bayes(weighted, "loss ~ A/width^alpha", weights="w", path="fast", draws=500)
    assert not compare({"a": plain, "b": heavy}, "alpha").laws


def test_a_column_with_gaps_cannot_be_left_out(small):
    gaps = small.assign(lab=["p", "q", None] * 6)
    fit = bayes(gaps, "loss ~ A/width^alpha", path="fast", draws=500)
    with pytest.raises(DataError, match="row 3 of dataframe has no 'lab'"):
        leave_one_out(fit, by="lab")


def test_high_khat_is_replaced_by_an_exact_refit(wide, shifted):
    rough, found = leave_one_out(shifted, by="shape", exact=False), leave_one_out(shifted, by="shape")
    high = [unit for unit, khat in zip(rough.units, rough.khat, strict=True) if khat > 0.7]
    assert high
    assert set(high) == {*found.refitted, *found.unsure}
    unrefitted = ~np.isin(rough.units, found.refitted)
    assert np.array_equal(rough.elpd[unrefitted], found.elpd[unrefitted])
    assert leave_one_out(wide, by="shape").units == found.units  # a law without a shift can be scored by it too


def test_leaving_out_refuses_what_makes_no_sense(wide, shifted, small):
    with pytest.raises(DataError, match="no column 'shap' to leave out; did you mean 'shape'"):
        leave_one_out(wide, by="shap")
    with pytest.raises(DataError, match="shares a shift within each 'shape'; leave out that column"):
        leave_one_out(shifted, by="width")
    one = bayes(small.assign(lab="x"), "loss ~ A/width^alpha", path="fast", draws=200)
    with pytest.raises(DataError, match="column 'lab' of dataframe has one value"):
        leave_one_out(one, by="lab")


def test_laws_on_other_rows_are_not_ranked(wide, small):
    other = bayes(small, "loss ~ A/width^alpha", path="fast", draws=200)
    assert not compare({"a": wide, "b": other}, "a_m,alpha").laws


# Extrapolation ---------------------------------------------------------------------------------------------


def test_held_out_rows_are_predicted_by_a_fit_to_the_others(small):
    fit = scalefit.fit(small, "loss ~ A/width^alpha", bootstrap=0)
    split = split_rows(fit.rows, "width >= 1024")
    found = held_out_score(fit, split, label="x")
    train = small[small.width < 1024]
    slope, level = np.polyfit(np.log(train.width), np.log(train.loss), 1)
    test = small[small.width >= 1024]
    gap = np.log(test.loss) - level - slope * np.log(test.width)
    assert (found.trained, found.held) == (12, 6)
    assert (found.rmse, found.bias) == pytest.approx((math.sqrt((gap**2).mean()), gap.mean()), rel=1e-6)
    assert math.isnan(found.elpd)


def test_log_score_of_held_out_rows_integrates_over_the_posterior(small):
    fit = bayes(small, "loss ~ A/width^alpha", likelihood="normal", path="fast")
    split = split_rows(fit.rows, "width >= 1024")
    found = held_out_score(fit, split)
    other = bayes(small[small.width < 1024], "loss ~ A/width^alpha", likelihood="normal", path="fast")
    test = small[small.width >= 1024]
    mean = other.uncertainty.draws[:, [0]] - other.draws("alpha")[:, None] * np.log(test.width.to_numpy())
    values = stats.norm.logpdf(np.log(test.loss.to_numpy()), mean, other.draws("sigma")[:, None]).sum(axis=1)
    assert found.elpd == pytest.approx(math.log(np.exp(values).mean()), abs=0.1)
    residual = np.log(test.loss.to_numpy()) - mean
    inside = np.abs(stats.norm.cdf(residual / other.draws("sigma")[:, None]).mean(axis=0) - 0.5) <= 0.45
    assert found.coverage == pytest.approx(inside.mean())


def test_extrapolation_uses_what_is_known_of_a_cluster(small):
    """Rows of one shape on both sides: the score is conditional on the fitted ones."""
    fit = bayes(small, "loss ~ A/width^alpha", likelihood="normal", cluster="shape", path="fast")
    rows = fit.rows.assign(third=[1, 2, 3] * 6)
    split = split_rows(rows, "third == 3")
    found = held_out_score(fit, split)
    other = refit(fit, rows=fit.rows[~split.held])
    draws, names = posterior_draws(other)[:400], list(other.names)
    logs = np.log(small.width.to_numpy())
    values = []
    for draw in draws:
        r = np.log(small.loss.to_numpy()) - draw[0] + draw[names.index("alpha")] * logs
        v, t = draw[names.index("sigma")] ** 2, draw[names.index("tau")] ** 2
        total = 0.0
        for c in range(6):
            own = slice(3 * c, 3 * c + 3)
            cov = v * np.eye(3) + t
            total += stats.multivariate_normal.logpdf(r[own], cov=cov)
            total -= stats.multivariate_normal.logpdf(r[own][:2], cov=cov[:2, :2])
        values.append(total)
    assert found.elpd == pytest.approx(math.log(np.exp(values).mean()), abs=0.3)
    assert math.isnan(found.coverage)


def test_the_default_floor_prior_does_not_look_at_held_out_losses(small):
    fit = bayes(small, "loss ~ E + A/width^alpha", likelihood="normal", path="fast", throw=False)
    assert "E" in dict(fit.posterior.priors)
    assert "E" not in _blind_priors(fit)
    own = bayes(
        small, "loss ~ E + A/width^alpha", likelihood="normal", path="fast", priors={"E": "Uniform(0, 1)"}, throw=False
    )
    assert _blind_priors(own)["E"] == "Uniform(0, 1)"


def test_laws_on_other_rows_are_not_ranked_by_extrapolation(small):
    law = "loss ~ A/width^alpha"
    fits = {"a": scalefit.fit(small, law, bootstrap=0), "b": scalefit.fit(small[2:], law, bootstrap=0)}
    found = compare(fits, "alpha", holdout="width")
    assert [one.label for one in found.held_out] == ["a"]
    assert "b has other rows" in found.notes[0]
    assert "best" not in found.verdict[-1]


def test_the_largest_fifth_never_parts_equal_values(small):
    split = split_rows(small, "width")
    assert split.words == "width >= 2048"
    assert split.held.sum() == 3


def test_splits_that_cannot_be_scored_are_refused(small):
    with pytest.raises(DataError, match="no column of numbers; "):
        split_rows(small, "shape")
    with pytest.raises(DataError, match="holds out 18 of 18 rows"):
        split_rows(small, "width > 1")
    with pytest.raises(DataError, match="holds out 0 of 18 rows"):
        split_rows(small, "width > 1e9")
    fit = scalefit.fit(
        small.assign(half=np.where(small.width > 500, "b", "a")), "loss ~ A[half]/width^alpha", bootstrap=0
    )
    with pytest.raises(DataError, match="half b occurs only among the held-out rows"):
        held_out_score(fit, split_rows(fit.rows, "width > 500"))


# Words and the command line --------------------------------------------------------------------------------


def test_the_verdict_names_what_is_not_settled(wide, shifted):
    found = compare(
        {"rows": wide, "shapes": shifted}, "a_m", reference=1, region=(0.9, 1.1), published={"p": (2.0, 0.1)}
    )
    words = found.verdict
    assert words[0].startswith("rows (posterior): 0.924 ± 0.058; whether it lies between 0.9 and 1.1 is not settled")
    assert "p (published): 2.00 ± 0.10; its 95% interval [1.80, 2.20] excludes 1." in words
    assert any("The sources disagree" in one and "Not counted: shapes (shares rows)" in one for one in words)
    assert any("shapes predicts left-out rows best" in one for one in words)


def test_a_shipped_value_is_compared_by_its_key(small):
    fit = scalefit.fit(small, "loss ~ A/width^alpha", uncertainty="hc3")
    found = compare([fit], "alpha", published=["liu2025.alpha"])
    assert (found.beliefs[1].value, found.beliefs[1].se) == (0.91, 0.04)


def test_a_law_without_the_parameter_is_compared_as_a_law(wide, sized):
    found = compare({"free": wide, "sized": sized}, "a_m")
    assert [one.label for one in found.beliefs] == ["free"]
    assert [score.label for score, _ in found.laws] == ["sized", "free"]
    assert "sized has no a_m and is compared as a law only." in found.notes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"param": ""}, "give a parameter's name"),
        ({"param": "alpah"}, "has no parameter 'alpah'; did you mean 'alpha'"),
        ({"region": (1.1, 0.9)}, "region is 1.1,0.9; give its lower end first"),
        ({"reference": math.nan}, "reference is nan"),
        ({"published": {"x": (1.0, None)}}, "needs a positive standard error"),
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--region", "0.9"], "--region is '0.9'; it needs two numbers"),
        (["--region", "a,b"], "--region: 'a' is no number"),
        (["--published", "paper=0.9"], "--published paper= is '0.9'; it needs two numbers"),
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
