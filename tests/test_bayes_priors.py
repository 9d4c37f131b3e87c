"""Priors: their formulas against scipy, how they are read, and which one each parameter gets."""

import numpy as np
import pytest

from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.names import printed_name
from scalefit.options import Rows
from scalefit.posterior.defaults import extra_parameters, resolve_priors
from scalefit.posterior.priors import (
    FAMILIES,
    Exponential,
    Gamma,
    HalfNormal,
    LogNormal,
    Normal,
    TruncatedNormal,
    Uniform,
    parse_prior,
    positive,
)
from scalefit.problem import build_problem

EXAMPLES = [
    HalfNormal(2.0),
    Normal(-1.0, 0.5),
    TruncatedNormal(1.0, 0.5),
    TruncatedNormal(0.0, 1.0, 3.0, 4.0),
    TruncatedNormal(0.0, 1.0, -9.0, -8.0),
    Uniform(-1.0, 3.0),
    LogNormal(0.5, 0.3),
    Gamma(2.0, 0.1),
    Exponential(4.0),
]


def resolved(law, given=None, *, data="chinchilla", free_sign=False, partial=()):
    law = Law.parse(law)
    problem = build_problem(law, Rows().read(data, law).frame, free_sign=free_sign)
    pooled = tuple(coef for coef in law.parameters if coef.name in partial)
    priors = resolve_priors(problem, extra_parameters(True, False, pooled), given)
    return {printed_name(*key): prior for key, prior in priors.items()}


@pytest.mark.parametrize("prior", EXAMPLES, ids=str)
def test_density_is_that_of_scipy(prior):
    x = prior.quantile(np.array([0.001, 0.1, 0.5, 0.9, 0.999]))
    np.testing.assert_allclose(prior.log_density(x), prior.distribution().logpdf(x), rtol=1e-9)
    np.testing.assert_allclose(prior.cdf(x), [0.001, 0.1, 0.5, 0.9, 0.999], rtol=1e-6)


@pytest.mark.parametrize("prior", EXAMPLES, ids=str)
def test_density_is_zero_outside_the_support_and_draws_are_inside(prior):
    lo, hi = prior.support
    outside = [value for value in (lo - 1, hi + 1) if np.isfinite(value)]
    assert np.isneginf(prior.log_density(np.array(outside))).all()
    draws = prior.sample(1000, seed=1)
    assert draws.min() >= lo
    assert draws.max() <= hi
    assert draws.mean() == pytest.approx(prior.distribution().mean(), abs=5 * prior.sd / np.sqrt(1000))


@pytest.mark.parametrize("prior", EXAMPLES, ids=str)
def test_what_is_printed_reads_back(prior):
    assert parse_prior(str(prior)) == prior
    assert parse_prior(prior) is prior


def test_every_family_has_an_example():
    assert {type(prior).__name__ for prior in EXAMPLES} == set(FAMILIES)


@pytest.mark.parametrize(
    ("text", "prior"),
    [
        (" HalfNormal( sigma=2 ) ", HalfNormal(2.0)),
        ("TruncatedNormal(1, 0.5, lower=0, upper=inf)", TruncatedNormal(1.0, 0.5)),
        ("Normal(-1e-2, 3)", Normal(-0.01, 3.0)),
    ],
)
def test_ways_to_write(text, prior):
    assert parse_prior(text) == prior


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("HalfNormal", r"cannot read the prior 'HalfNormal'; write it as"),
        ("HalfNormal(", "cannot read the prior"),
        ("HalfNormal(open('x'))", "cannot read the prior"),
        ("Normal(True, 1)", "cannot read the prior"),
        ("HalfNomal(1)", "there is no prior 'HalfNomal'; did you mean 'HalfNormal'"),
        ("Normal(1)", r"wrong arguments; it is written Normal\(mu, sigma\)"),
        ("Normal(1, scale=2)", "wrong arguments"),
        ("HalfNormal(-1)", "sigma is -1; it must be positive and finite"),
        ("HalfNormal(inf)", "sigma is inf; it must be positive and finite"),
        ("Gamma(0, 1)", "alpha is 0; it must be positive"),
        ("Normal(nan, 1)", "mu is not a number"),
        ("Normal(inf, 1)", "mu is inf; it must be finite"),
        ("Uniform(2, 1)", "contradicts itself: its lower bound is not below"),
        ("Uniform(0, inf)", "is improper, it has no finite range"),
        ("Flat()", "is improper: it has no density"),
        ("TruncatedNormal(0, 1, 2, 1)", "contradicts itself"),
        ("TruncatedNormal(0, 1, 50, 60)", "has no mass between its bounds"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(DataError, match=message):
        parse_prior(text)


def test_a_prior_of_a_positive_number():
    assert positive(Normal(1.0, 0.5), "alpha") == TruncatedNormal(1.0, 0.5, 0.0)
    assert positive(HalfNormal(1.0), "alpha") == HalfNormal(1.0)
    with pytest.raises(DataError, match=r"alpha cannot be negative, but its prior Uniform\(-1, 1\) allows it"):
        positive(Uniform(-1.0, 1.0), "alpha")


def test_defaults_are_weak_and_bounded_by_the_data():
    priors = resolved("chinchilla")
    lowest = Rows().read("chinchilla", Law.parse("chinchilla")).frame["loss"].min()
    assert priors == {
        "E": Uniform(0.0, lowest),
        "A": HalfNormal(1.0),
        "B": HalfNormal(1.0),
        "alpha": HalfNormal(1.0),
        "beta": HalfNormal(1.0),
        "sigma": HalfNormal(0.1),
        "nu": Gamma(2.0, 0.1),
    }


def test_every_floor_lies_below_the_rows_of_its_own_level():
    priors = resolved("family_width", data="llm_families")
    frame = Rows().read("llm_families", Law.parse("family_width")).frame
    for (family, eval_set), rows in frame.groupby(["family", "eval_set"]):
        assert priors[f"E[{family},{eval_set}]"] == Uniform(0.0, rows["loss"].min())


def test_sizes_of_large_losses_get_a_wider_prior():
    law = Law.parse("chinchilla")
    frame = Rows().read("chinchilla", law).frame.assign(loss=lambda frame: 1000 * frame["loss"])
    priors = resolve_priors(build_problem(law, frame), extra_parameters(False, False, ()), None)
    assert priors["A", ()] == HalfNormal(3000.0)


def test_priors_by_name_by_level_and_for_both_signs():
    priors = resolved("family_width", {"E": "Uniform(0, 1)", "E[OPT,c4]": "HalfNormal(3)"}, data="llm_families")
    assert priors["E[OPT,c4]"] == HalfNormal(3.0)
    assert priors["E[OPT,pile]"] == Uniform(0.0, 1.0)
    assert resolved("chinchilla", free_sign=True)["alpha"] == Normal(0.0, 1.0)
    assert resolved("chinchilla", {"alpha": "Normal(1, 0.5)"})["alpha"] == TruncatedNormal(1.0, 0.5)


def test_partly_pooled_parameters_have_one_prior_for_what_is_common():
    priors = resolved("loss ~ E + A[family]/width^alpha[family]", data="llm_families", partial=("alpha",))
    assert priors["alpha"] == HalfNormal(1.0)
    assert priors["sd(alpha)"] == HalfNormal(0.5)
    assert not any(name.startswith("alpha[") for name in priors)


@pytest.mark.parametrize(
    ("law", "given", "message"),
    [
        ("chinchilla", {"alfa": "HalfNormal(1)"}, "there is no parameter 'alfa' to give a prior; did you mean 'alpha'"),
        ("chinchilla", {"tau": "HalfNormal(1)"}, "there is no parameter 'tau' to give a prior"),
        ("chinchilla", {"E": "Uniform(2.5, 3)"}, r"Uniform\(2.5, 3\) of E excludes the data: it starts at 2.5"),
        ("chinchilla", {"beta": "Uniform(-1, 1)"}, "beta cannot be negative"),
        ("loss ~ E + nu/params^alpha", None, "'nu' has the name of a scale of the likelihood; rename it"),
    ],
)
def test_a_prior_that_does_not_fit(law, given, message):
    with pytest.raises(DataError, match=message):
        resolved(law, given)
