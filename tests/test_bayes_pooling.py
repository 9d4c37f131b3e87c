"""Grouped parameters: none, partial and full pooling; several data sets in one fit."""

import numpy as np
import pandas as pd
import pytest

from scalefit import load_fit
from scalefit.errors import DataError
from scalefit.law.additive import Coef, Law
from scalefit.posterior import bayes, posterior_record, stack_datasets
from scalefit.posterior.pooling import apply_pool

LAW = "loss ~ E[site] + A[site]/params^alpha[site]"
ALPHA = {"here": 0.30, "there": 0.34, "nowhere": 0.38, "elsewhere": 0.32}


def runs(site, alpha, seed):
    rng = np.random.default_rng(seed)
    params = np.geomspace(1e6, 1e10, 25)
    loss = (1.5 + 150.0 * params**-alpha) * np.exp(rng.normal(0, 2e-3, params.size))
    return pd.DataFrame({"site": site, "params": params, "loss": loss})


@pytest.fixture(scope="module")
def sites():
    return pd.concat([runs(site, alpha, seed) for seed, (site, alpha) in enumerate(ALPHA.items())], ignore_index=True)


@pytest.fixture(scope="module")
def partial(sites):
    return bayes(sites, LAW, pool={"alpha": "partial"}, likelihood="normal", path="fast", draws=2000)


def test_full_pooling_is_the_law_without_levels(sites):
    pooled = bayes(sites, LAW, pool={"alpha": "full"}, path="fast", draws=500)
    plain = bayes(sites, "loss ~ E[site] + A[site]/params^alpha", path="fast", draws=500)
    assert str(pooled.law) == str(plain.law)
    np.testing.assert_array_equal(pooled.uncertainty.draws, plain.uncertainty.draws)
    assert dict(pooled.posterior.pool) == {"alpha": "full"}


def test_partial_pooling_finds_members_common_value_and_spread(partial):
    assert partial.status == "converged"
    for site, alpha in ALPHA.items():
        one = partial[f"alpha[{site}]"]
        assert abs(one.value - alpha) < 4 * one.se
    assert 0.25 < partial["alpha"].value < 0.45
    assert 0 < partial["sd(alpha)"].lo < 0.1 < partial["sd(alpha)"].hi
    assert partial.posterior.priors[-1] == (("sd(alpha)", ()), "HalfNormal(0.5)")
    assert (partial.draws("sd(alpha)") > 0).all()


def test_partial_pooling_lies_between_none_and_full(sites, partial):
    alone = bayes(sites, LAW, likelihood="normal", path="fast", draws=500)
    spread = [np.std([fit[f"alpha[{site}]"].value for site in ALPHA]) for fit in (alone, partial)]
    assert spread[1] < 1.02 * spread[0]


def test_a_pooled_fit_is_saved_with_its_common_value(partial, tmp_path):
    partial.save(tmp_path / "pooled.fit")
    loaded = load_fit(tmp_path / "pooled.fit")
    assert loaded.parameters == partial.parameters
    assert posterior_record(loaded) == posterior_record(partial)
    assert posterior_record(loaded)["pool"] == {"alpha": "partial"}
    assert len(loaded.predict(prob=0.9)) == len(partial.rows)


def test_pooled_floors_and_free_signs(sites):
    fit = bayes(
        sites, LAW, pool={"alpha": "partial", "E": "partial"}, likelihood="normal", exponents="free", path="fast",
        draws=2000, throw=False,
    )  # fmt: skip
    # four floors that are all alike leave a funnel of sd(E), for which importance sampling is the wrong tool: it says
    # so, and the common floor that it gives is that of a few draws
    assert (fit.status, fit.findings[0].code) == ("not converged", "khat")
    for site in ALPHA:
        assert fit[f"E[{site}]"].value == pytest.approx(1.5, abs=0.02)
    assert fit["alpha"].value == pytest.approx(0.335, abs=0.1)
    assert fit["sd(alpha)"].value < 0.3


def test_which_parameters_are_pooled():
    law, pooled = apply_pool(Law.parse(LAW), {"alpha": "partial", "E": "full"})
    assert str(law) == "loss ~ E + A[site]/params^alpha[site]"
    assert pooled == (Coef("alpha", ("site",)),)
    assert apply_pool(Law.parse(LAW), None) == (Law.parse(LAW), ())
    assert apply_pool(Law.parse(LAW), {"alpha": "none"}) == (Law.parse(LAW), ())


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ({"alpha": "partly"}, "pool of alpha is 'partly'; did you mean 'partial'"),
        ({"A": "partial"}, "cannot pool 'A': it has no levels or is a coefficient"),
        ({"gamma": "full"}, "cannot pool 'gamma': the law has no such parameter"),
    ],
)
def test_pools_that_do_not_fit(pool, message):
    with pytest.raises(DataError, match=message):
        apply_pool(Law.parse(LAW), pool)


def test_one_level_cannot_be_pooled(sites):
    with pytest.raises(DataError, match=r"alpha\[site\] has one level, here; partial pooling needs at least 2"):
        bayes(sites[sites["site"] == "here"], LAW, pool={"alpha": "partial"})


def test_data_sets_are_stacked(tmp_path):
    runs("here", 0.3, 0).to_csv(tmp_path / "first.csv", index=False)
    second = runs("x", 0.3, 1).drop(columns="site").rename(columns={"params": "N"})
    law = "loss ~ E[dataset, site] + A[dataset]/params^alpha[dataset]"
    options = {"b": {"mapping": {"params": "N"}, "where": "N > 2e6"}}
    both = stack_datasets({"a": tmp_path / "first.csv", "b": second}, law, options=options)
    assert list(both.columns) == ["loss", "params", "dataset", "site"]
    assert both.groupby(["dataset", "site"]).size().to_dict() == {("a", "here"): 25, ("b", "-"): 23}
    fit = bayes(both, law, pool={"alpha": "partial"}, path="fast", draws=500, throw=False)
    assert fit.source.name == "a + b"
    assert {"alpha", "alpha[a]", "alpha[b]", "sd(alpha)"} <= set(fit.names)


def test_stacking_refuses_what_makes_no_joint_fit():
    with pytest.raises(DataError, match="1 data set given; a joint fit needs at least 2"):
        stack_datasets({"a": "chinchilla"}, LAW)
    with pytest.raises(DataError, match="options are given for 'c', which is not a data set here"):
        stack_datasets({"a": "chinchilla", "b": "chinchilla"}, "chinchilla", options={"c": {}})
