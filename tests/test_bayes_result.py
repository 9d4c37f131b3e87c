"""What a posterior says of itself: bounds, priors that decide, clusters; and what never changes it."""

import numpy as np
import pytest

from scalefit import fit
from scalefit.errors import DataError
from scalefit.posterior import bayes, posterior_record
from scalefit.posterior import fit as fit_module
from scalefit.results import LeastSquaresFit
from scalefit.thresholds import DOUBTFUL_END, DOUBTFUL_SPREAD

QUICK = {"path": "fast", "draws": 500, "drop_highest_loss": 5}


def codes(result):
    return {one.code: one for one in result.findings}


def test_spreads_of_a_small_table_are_those_of_an_independent_sampler(chinchilla):
    """400 walkers of 5,000 steps in other coordinates (tests/reference/small_posteriors.py): E 1.8583(1043), alpha
    0.4119(775), beta 0.4001(519), from 1.6906 for E at 5%; 3% of the mass, with E as low as 1, hold half of the
    variance of E."""
    rows = chinchilla.sample(n=16, random_state=1)[["params", "tokens", "loss"]]
    result = bayes(rows, "chinchilla", path="fast", level=0.9, seed=1)
    assert result.posterior.khat < 0.5
    assert result["E"].se == pytest.approx(0.1043, rel=0.15)  # 0.069 to 0.085 before the tails were covered
    assert result["E"].lo == pytest.approx(1.6906, abs=0.25 * 0.1043)  # 1.733 to 1.747 then
    assert result["alpha"].se == pytest.approx(0.0775, rel=0.06)
    assert result["beta"].se == pytest.approx(0.0519, rel=0.15)
    assert result.posterior.log_evidence == pytest.approx(33.704, abs=0.03)


def test_a_posterior_whose_tails_may_be_missing_says_so(monkeypatch):
    real = fit_module.sample_by_importance
    monkeypatch.setattr(fit_module, "sample_by_importance", lambda *a, **k: real(*a, **k)._replace(khat=0.61))
    result = bayes("chinchilla", "chinchilla", **QUICK)
    said = codes(result)["doubtful_khat"]
    assert (result.status, said.severity, said.threshold) == ("converged", "warning", 0.5)
    assert "may miss a part of the posterior's tails: Pareto k-hat is 0.61, above 0.5" in said.message
    assert said.numbers == {"khat": 0.61, "spread": DOUBTFUL_SPREAD, "end": DOUBTFUL_END}
    assert "represents the posterior roughly" in result.message
    assert said.message in result.message
    assert said.message in str(result)
    assert [one["code"] for one in posterior_record(result)["findings"]] == ["doubtful_khat"]
    monkeypatch.setattr(fit_module, "sample_by_importance", lambda *a, **k: real(*a, **k)._replace(khat=0.49))
    sound = bayes("chinchilla", "chinchilla", **QUICK)
    assert "doubtful_khat" not in codes(sound)
    assert "roughly" not in sound.message


def test_a_floor_at_zero_is_an_upper_limit():
    result = bayes(
        "gemstones", "width_depth", cluster="run", likelihood="normal", where='subset == "hot_100b+"', path="fast"
    )
    assert result.status == "not identified"
    assert result.exit_code == 1
    assert "piles up at 0" in result.message
    assert result["E"].hi < 0.1


def test_a_prior_that_decides_is_named():
    result = bayes("chinchilla", "chinchilla", priors={"alpha": "Uniform(0.36, 0.6)"}, **QUICK)
    assert "alpha presses against a bound of its prior Uniform(0.36, 0.6)" in codes(result)["prior_bound"].message
    assert result["alpha"].lo > 0.36


def test_a_narrow_prior_leads_and_a_wrong_one_conflicts():
    led = bayes("chinchilla", "chinchilla", priors={"alpha": "Normal(0.345, 0.01)"}, **QUICK)
    assert "depends on its prior" in codes(led)["prior_led"].message
    wrong = bayes("chinchilla", "chinchilla", priors={"alpha": "Normal(0.6, 0.03)"}, **QUICK)
    assert "Prior and data disagree about alpha" in codes(wrong)["prior_conflict"].message
    assert led.exit_code == wrong.exit_code == 0


def test_a_parameter_without_data_has_its_prior(chinchilla):
    rows = chinchilla.nsmallest(12, "loss")
    result = bayes(rows, "chinchilla", priors={"sigma": "HalfNormal(1)"}, path="fast", draws=500, throw=False)
    assert "prior_only" in codes(result) or "prior_led" in codes(result)


def test_few_clusters_and_weights_are_remarked(chinchilla):
    rows = chinchilla.assign(part=(np.arange(len(chinchilla)) % 4).astype(str), weight=np.linspace(0.5, 1.5, 245))
    result = bayes(rows, "chinchilla", cluster="part", weights="weight", **QUICK)
    assert "only 4 clusters" in codes(result)["few_clusters"].message
    assert "counts as w identical rows" in codes(result)["weights"].message
    assert result.selection.cluster == "part"
    assert posterior_record(result)["weights"] == "weight"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cluster": "run"}, "cluster column 'run' has a different value in every row, so shift and scatter"),
        ({"cluster": "all"}, "cluster column 'all' has one value"),
        ({"level": 1.5}, "level is 1.5; it must lie between 0 and 1"),
        ({"draws": 10}, "draws is 10; it must be at least 100"),
        ({"exponents": "any"}, "exponents is 'any'"),
        ({"sampler": "stan"}, "sampler is 'stan'"),
        ({"priors": {"alpha": "Uniform(2, 3)"}}, "of alpha excludes the data: least squares puts alpha at"),
    ],
)
def test_refusals(chinchilla, options, message):
    with pytest.raises(DataError, match=message):
        bayes(chinchilla.assign(all="one"), "chinchilla", **options)


def test_not_a_number_in_the_table_is_named(chinchilla):
    rows = chinchilla.copy()
    rows.loc[rows.index[3], "loss"] = np.nan
    with pytest.raises(DataError, match="column 'loss': missing"):
        bayes(rows, "chinchilla")


def test_a_response_beyond_exp_gives_no_warning(chinchilla):
    """Warnings are errors here; the exponential of a floor near 1e30 was computed and thrown away."""
    large = bayes(chinchilla.assign(loss=chinchilla["loss"] * 1e30), "chinchilla", throw=False, **QUICK)
    assert np.isfinite(large["alpha"].value)


def test_row_order_does_not_matter_and_units_scale(chinchilla):
    first = bayes(chinchilla, "chinchilla", **QUICK)
    other = bayes(chinchilla.sample(frac=1, random_state=3), "chinchilla", **QUICK)
    np.testing.assert_allclose(first.uncertainty.draws, other.uncertainty.draws)
    billions = bayes(chinchilla.assign(params=chinchilla["params"] / 1e9), "chinchilla", **QUICK)
    assert billions["alpha"].value == pytest.approx(first["alpha"].value, abs=1e-6)
    shift = first["A"].log_value - 9 * np.log(10) * first["alpha"].value
    assert billions["A"].log_value == pytest.approx(shift, abs=1e-5)
    assert billions.posterior.log_evidence == pytest.approx(first.posterior.log_evidence, abs=1e-6)


def test_terms_swapped_in_the_law_give_the_same_posterior(chinchilla):
    first = bayes(chinchilla, "chinchilla", **QUICK)
    swapped = bayes(chinchilla, "loss ~ E + B/tokens^beta + A/params^alpha", **QUICK)
    for name in ("E", "alpha", "beta", "sigma", "nu"):
        assert swapped[name].value == pytest.approx(first[name].value, abs=0.2 * first[name].se)


def test_exponents_of_either_sign(chinchilla):
    growing = bayes(chinchilla, "loss ~ E + A*params^alpha + B/tokens^beta", exponents="free", **QUICK)
    assert growing["alpha"].value == pytest.approx(-0.345, abs=0.02)
    assert growing.objective.exponents == "free"
    assert dict(growing.posterior.priors)["alpha", ()] == "Normal(0, 1)"


def test_a_law_without_a_floor_and_one_with_a_fixed_floor(chinchilla):
    bare = bayes(chinchilla, "loss ~ A/params^alpha + B/tokens^beta", **QUICK)
    fixed = bayes(chinchilla, "loss ~ 1.8 + A/params^alpha + B/tokens^beta", **QUICK)
    free = bayes(chinchilla, "chinchilla", **QUICK)
    assert "E" not in bare.names
    assert fixed["alpha"].value == pytest.approx(free["alpha"].value, abs=0.02)
    assert bare.posterior.log_evidence < free.posterior.log_evidence < fixed.posterior.log_evidence


def test_predictions_come_from_the_draws():
    result = bayes("chinchilla", "chinchilla", **QUICK)
    band = result.predict({"params": 70e9, "tokens": 1.4e12}, prob=0.9)
    assert band["lo"].iloc[0] < band["predicted"].iloc[0] < band["hi"].iloc[0]
    assert len(result.draws("alpha")) == 500
    assert "posterior" in result.uncertainty.method


def test_a_least_squares_fit_has_no_posterior():
    squares = fit("chinchilla", "chinchilla", bootstrap=0)
    assert isinstance(squares, LeastSquaresFit)
    assert not hasattr(squares, "posterior")


def test_a_posterior_predicts_the_mean_over_its_draws():
    result = bayes("chinchilla", "chinchilla", **QUICK)
    point = {"params": 1e9, "tokens": 2e10}
    each = result.draws("E") + sum(
        result.draws(c) / point[x] ** result.draws(a) for c, x, a in (("A", "params", "alpha"), ("B", "tokens", "beta"))
    )
    found = result.predict(point, prob=0.9).iloc[0]
    assert found["predicted"] == pytest.approx(each.mean(), rel=1e-9)
    assert (found["lo"], found["hi"]) == pytest.approx(tuple(np.quantile(each, [0.05, 0.95])), rel=1e-9)
    residuals = np.log(result.rows["loss"] / result.predict()["predicted"])
    assert result.residuals() == pytest.approx(residuals.to_numpy())
