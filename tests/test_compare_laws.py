"""Laws against laws: leaving one out and extrapolating, against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

import scalefit
from scalefit.comparison import compare, held_out_score, leave_one_out, rank_laws, split_rows
from scalefit.comparison.crossval import CrossValidation, LawScore
from scalefit.comparison.extrapolate import _blind_priors, _share_below
from scalefit.comparison.refit import posterior_draws, refit
from scalefit.comparison.result import _held_out, _rank
from scalefit.errors import DataError
from scalefit.posterior import bayes
from scalefit.posterior.rebuild import density_of

STUDY_PRIORS = ("HalfNormal(2)", "HalfNormal(0.5)", "Uniform(0, 3)", "TruncatedNormal(1, 0.5)")


# Leaving out -----------------------------------------------------------------------------------------------


def test_leave_one_out_equals_refitting_without_each_row(small):
    fit = bayes(small, "loss ~ A/width^alpha", likelihood="normal", path="fast")
    found = leave_one_out(fit)
    density = density_of(fit)
    exact = []
    for row in range(len(small)):
        other = refit(fit, fit.rows.drop(index=fit.rows.index[row]), chosen=True)
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
    ranked = rank_laws(tuple(leave_one_out(each) for each in (wide, fixed, sized)))
    assert [score.label for score in ranked] == ["parameters", "fixed", "width and depth"]
    assert [score.behind for score in ranked] == pytest.approx([0, 4.8, 5.6], abs=0.6)
    assert [score.behind_se for score in ranked] == pytest.approx([0, 3.5, 4.1], abs=0.3)


def test_the_error_of_a_sum_of_scores_grows_with_the_root_of_their_number():
    elpd = np.array([1.0, 2.0, 4.0, math.nan, 3.0])
    score = CrossValidation("law", "row", tuple("abcde"), elpd, np.zeros(5), (), ("d",))
    assert (score.total, score.se) == pytest.approx((10.0, math.sqrt(4 * 5 / 3)))


@pytest.mark.parametrize(
    ("behind", "error", "words"),
    [
        (3.0, 0.1, "the laws predict about equally well"),  # too little to matter, however sure
        (9.0, 5.0, "the laws predict about equally well"),
        (9.0, 1.0, "first predicts left-out rows best"),
    ],
)
def test_a_law_is_called_best_by_a_clear_and_sure_lead(behind, error, words):
    score = CrossValidation("", "row", tuple("abc"), np.zeros(3), np.zeros(3), (), ())
    first, second = LawScore("first", 0.0, 1.0, 0.0, 0.0, 3), LawScore("second", -behind, 1.0, behind, error, 3)
    assert words in str(_rank(((first, score), (second, score))))


def test_leaving_out_clusters_equals_refitting_without_each(small):
    """With a limit of k-hat that every unit exceeds, each is refitted; both must agree with brute force."""
    fit = bayes(small, "loss ~ A/width^alpha", likelihood="normal", path="fast")
    found = leave_one_out(fit, by="shape")
    density = density_of(fit)
    shape = fit.rows["shape"].to_numpy()[density.problem.order]
    for unit, elpd in zip(found.units, found.elpd, strict=True):
        label = unit.removeprefix("shape ")
        other = refit(fit, fit.rows[fit.rows["shape"] != label], chosen=True)
        values = density.log_likelihood(posterior_draws(other))[:, shape == label].sum(axis=1)
        assert elpd == pytest.approx(math.log(np.exp(values).mean()), abs=0.15)


def test_an_exact_refit_is_what_replaces_a_high_khat(small, monkeypatch):
    fit = bayes(small, "loss ~ A/width^alpha", likelihood="normal", cluster="shape", path="fast")
    smooth = leave_one_out(fit, by="shape", exact=False)
    monkeypatch.setattr("scalefit.comparison.crossval.GOOD_KHAT", -9.0)
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
    assert [(score.label, score.units, score.elpd) for score in ranked] == [
        (levels.source.name, 2, -3.0),
        ("other", 2, -6.0),
    ]
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


class Known(dict):
    """As much of a fit as predicted scatter needs: draws by name, and a seed."""

    seed = 1
    draws = dict.__getitem__


@pytest.mark.parametrize("tau", [None, 0.7])
def test_replicated_rows_scatter_as_the_likelihood_says(tau):
    draws = {"sigma": np.full(40_000, 0.5), "nu": np.full(40_000, 3.0)}
    if tau is not None:  # so many degrees of freedom that the errors are normal, as the shift is
        draws |= {"nu": np.full(40_000, 1e6), "tau": np.full(40_000, tau)}
    fit = Known(draws)
    places = np.array([-2.0, -0.4, 0.0, 1.0])
    truth = stats.t(3, scale=0.5) if tau is None else stats.norm(scale=math.hypot(0.5, tau))
    share = _share_below(np.broadcast_to(places, (40_000, 4)), fit)
    assert share == pytest.approx(truth.cdf(places), abs=0.01)


def test_extrapolation_uses_what_is_known_of_a_cluster(small):
    """Rows of one shape on both sides: the score is conditional on the fitted ones."""
    fit = bayes(small, "loss ~ A/width^alpha", likelihood="normal", cluster="shape", path="fast")
    rows = fit.rows.assign(third=[1, 2, 3] * 6)
    split = split_rows(rows, "third == 3")
    found = held_out_score(fit, split)
    other = refit(fit, fit.rows[~split.held], chosen=True)
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
    shown = _held_out((found,), split.words)
    assert "nan" not in shown
    assert shown.endswith("–")


def test_the_default_floor_prior_does_not_look_at_held_out_losses(small):
    fit = bayes(small, "loss ~ E + A/width^alpha", likelihood="normal", path="fast", throw=False)
    assert ("E", ()) in dict(fit.posterior.priors)
    assert ("E", ()) not in _blind_priors(fit)
    own = bayes(
        small, "loss ~ E + A/width^alpha", likelihood="normal", path="fast", priors={"E": "Uniform(0, 1)"}, throw=False
    )
    assert _blind_priors(own)["E", ()] == "Uniform(0, 1)"


def test_laws_on_other_rows_are_not_ranked_by_extrapolation(small):
    law = "loss ~ A/width^alpha"
    fits = {"a": scalefit.fit(small, law, bootstrap=0), "b": scalefit.fit(small[2:], law, bootstrap=0)}
    found = compare(fits, "alpha", holdout="width")
    assert [score.label for score in found.held_out] == ["a"]
    assert "b has other rows" in found.notes[0]
    assert "best" not in str(found.verdict[-1])


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
