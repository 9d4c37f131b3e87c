"""Posteriors of laws of any form: priors, density, likelihood and graph, against sums of powers and scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scalefit.closed.search import search_closed
from scalefit.closed_problem import ClosedProblem, build_closed
from scalefit.data.datasets import load_dataset
from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.law.general import GeneralLaw, parse_law
from scalefit.posterior import bayes
from scalefit.posterior.closed import ClosedDensity, build_closed_density, central_sizes
from scalefit.posterior.density import build_density
from scalefit.posterior.mode import Mode
from scalefit.posterior.nuts import build_model
from scalefit.posterior.priors import HalfNormal, Uniform
from scalefit.posterior.rebuild import density_of
from scalefit.problem import build_problem
from scalefit.robustness import calibrate, sensitivity
from scalefit.robustness.simulate import draw_from_prior

PARSCALE = {"A": "LogNormal(16, 2)", "k": "HalfNormal(1)"}


def chinchilla() -> pd.DataFrame:
    rows = load_dataset("chinchilla").nsmallest(240, "loss", keep="first").reset_index(drop=True)
    return rows.assign(family=np.where(np.arange(240) % 3 == 0, "a", "b"), w=1.0 + np.arange(240) % 2,
                       block=(np.arange(240) // 20).astype(str))  # fmt: skip


def closed(text: str, frame: pd.DataFrame, **options: str) -> ClosedProblem:
    law = parse_law(text).decided(list(frame.columns))
    assert isinstance(law, GeneralLaw)
    return build_closed(law, frame, **options)


def density_for(text: str, frame: pd.DataFrame, likelihood: str = "student_t", priors: dict[str, str] | None = None,
                **options: str) -> ClosedDensity:  # fmt: skip
    problem = closed(text, frame, **options)
    theta = search_closed(problem.design)[0].theta
    return build_closed_density(problem, likelihood=likelihood, theta=theta, priors=priors)


def some_points(density: ClosedDensity, n: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    theta = search_closed(density.problem.design)[0].theta
    scales = np.array([0.02, 4.0, 0.01][: density.coordinates.n_scale])
    return density.coordinates.start(theta, scales, np.zeros(0)) + 0.02 * rng.standard_normal((n, density.size))


ODD = "loss ~ E[family] + A/params^alpha + B/tokens^beta + 0*log(params)"  # the same law, but no sum of powers


@pytest.mark.parametrize("options", [{}, {"weights": "w"}, {"cluster": "block"}, {"cluster": "block", "weights": "w"}])
@pytest.mark.parametrize("likelihood", ["normal", "student_t"])
def test_likelihood_is_that_of_the_same_law_as_a_sum_of_powers(likelihood: str, options: dict[str, str]) -> None:
    frame = chinchilla()
    density = density_for(ODD, frame, likelihood, **options)
    law = Law.parse("loss ~ E[family] + A/params^alpha + B/tokens^beta")
    problem = build_problem(law, frame, **options)
    additive = build_density(problem, likelihood=likelihood, theta=problem.design.from_natural(
        np.array([1.8, 1.8, np.log(480), np.log(2000), 0.35, 0.37])))  # fmt: skip
    draws = density.natural(some_points(density))
    own = {one.key: i for i, one in enumerate(density.parameters)}
    turned = draws[:, [own[one.key] for one in additive.parameters]]
    for one in additive.parameters:
        if one.kind == "exponent":  # held as a logarithm here, as itself there
            turned[:, additive.parameters.index(one)] = np.exp(draws[:, own[one.key]])
    a, b = np.argsort(density.problem.order), np.argsort(additive.problem.order)
    np.testing.assert_allclose(density.residuals(draws)[:, a], additive.residuals(turned)[:, b], atol=1e-11)
    rows, others = density.row_log_likelihood(draws)[:, a], additive.row_log_likelihood(turned)[:, b]
    np.testing.assert_allclose(rows, others, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(
        density.log_likelihood(draws).sum(axis=1), additive.log_likelihood(turned).sum(axis=1), rtol=1e-9
    )


def test_density_is_prior_times_likelihood_times_the_jacobian_of_the_coordinates() -> None:
    density = density_for("parscale", load_dataset("parscale"), priors=PARSCALE)
    x = some_points(density, 1)
    priors = {"E": stats.uniform(0, density.priors["E", ()].support[1]), "A": stats.lognorm(2, scale=np.exp(16)),
              "k": stats.halfnorm(), "alpha": stats.halfnorm(), "sigma": stats.halfnorm(scale=0.1),
              "nu": stats.gamma(2, scale=10)}  # fmt: skip

    def numbers(x: np.ndarray) -> np.ndarray:
        draws = density.natural(x)
        return np.column_stack(
            [np.exp(draws[:, i]) if one.is_log else draws[:, i] for i, one in enumerate(density.parameters)]
        )

    step = 1e-5 * np.eye(density.size)
    jacobian = (numbers(x + step) - numbers(x - step)) / 2e-5
    prior = sum(priors[name].logpdf(value) for name, value in zip(density.names, numbers(x)[0], strict=True))
    want = prior + np.linalg.slogdet(jacobian)[1] + density.log_likelihood(density.natural(x)).sum()
    assert density(x)[0] == pytest.approx(want, rel=1e-7)


def test_defaults_follow_the_declared_signs() -> None:
    density = density_for(ODD, chinchilla())
    shown = {name: str(prior) for (name, _), prior in density.priors.items()}
    assert shown["A"] == shown["alpha"] == "HalfNormal(1)"
    assert shown["E"].startswith("Uniform(0, ")
    frame = load_dataset("annealing")
    below_zero = density_for("annealing", frame, priors={"C": "HalfNormal(1)"})
    assert str(below_zero.priors["E", ()]) == "HalfNormal(30)"  # E - C*s2 may lie below E: no bound from the data
    bounded = density_for("loss ~ E + A/params^alpha + b*log(tokens) with b in [-1, 1]", chinchilla())
    assert str(bounded.priors["b", ()]) == "Uniform(-1, 1)"


def test_what_has_no_unit_is_asked_for_by_name() -> None:
    with pytest.raises(DataError, match=r"A, k need priors: .*such as --prior 'A=LogNormal\(16, 2\)'"):
        density_for("parscale", load_dataset("parscale"))
    with pytest.raises(DataError, match="k needs a prior"):
        density_for("parscale", load_dataset("parscale"), priors={"A": "LogNormal(16, 2)"})
    with pytest.raises(DataError, match=r"k lies above 0, but its prior Uniform\(-1, 1\) allows other values"):
        density_for("parscale", load_dataset("parscale"), priors={**PARSCALE, "k": "Uniform(-1, 1)"})
    with pytest.raises(DataError, match="there is no parameter 'q' to give a prior"):
        density_for("parscale", load_dataset("parscale"), priors={**PARSCALE, "q": "HalfNormal(1)"})


def test_posterior_of_a_sum_of_powers_through_the_general_path_is_the_additive_one() -> None:
    frame = chinchilla()
    options = {"path": "fast", "draws": 2000, "seed": 1}
    general = bayes(frame, ODD.replace("[family]", ""), **options)
    additive = bayes(frame, "chinchilla", **options)
    assert isinstance(general.law, GeneralLaw)
    for name in ("E", "alpha", "beta", "sigma", "nu"):
        one, other = general[name], additive[name]
        assert abs(one.value - other.value) < 0.05 * other.se
        assert one.se == pytest.approx(other.se, rel=0.05)
    assert general.posterior.log_evidence == pytest.approx(additive.posterior.log_evidence, abs=0.05)


def test_density_of_a_fit_is_the_one_that_it_sampled() -> None:
    fit = bayes("parscale", "parscale", priors=PARSCALE, path="fast", draws=500, throw=False)
    density = density_of(fit)
    assert {name: str(prior) for name, prior in density.priors.items()} == dict(fit.posterior.priors)
    assert fit.value == pytest.approx(density.log_likelihood(fit.point[None]).sum())


def test_pooling_and_free_exponents_are_refused() -> None:
    with pytest.raises(DataError, match="is for sums of power terms; in a law of another form, write the groups"):
        bayes("parscale", "parscale", pool={"E": "partial"})
    with pytest.raises(DataError, match="name the parameters that may be negative behind it"):
        bayes("parscale", "parscale", exponents="free")


@pytest.mark.parametrize("text", ["parscale", "loss ~ E[streams] + (A/params)^alpha with A > 0"])
def test_graph_for_nuts_has_the_same_density(text: str) -> None:
    pytest.importorskip("pymc")
    pytensor = pytest.importorskip("pytensor")
    frame = load_dataset("parscale").assign(streams_label=lambda t: t["streams"].astype(str))
    text = text.replace("[streams]", "[streams_label]")
    density = density_for(text, frame, priors=PARSCALE if text == "parscale" else {"A": "LogNormal(16, 2)"})
    x = some_points(density, 3)
    mode = Mode(x[0], 0.0, np.eye(density.size), 0.0)
    model = build_model(density, mode)
    with pytensor.config.change_flags(mode="FAST_COMPILE", cxx=""):
        logp = model.compile_logp()
    values = [float(logp({"z": point - mode.x})) for point in x]
    np.testing.assert_allclose(np.array(values) - values[0], density(x) - density(x)[0], rtol=1e-6, atol=1e-6)


def test_truths_from_the_prior_have_coefficients_of_the_drawn_size() -> None:
    """A/x^alpha with A drawn by the size of its term at the geometric mean of x."""
    problem = closed("loss ~ E + A/params^alpha + B/tokens^beta + 0*log(params)", chinchilla())
    assert {name for name, yes in central_sizes(problem.design).items() if yes} == {"A", "B"}
    priors = {"E": Uniform(1.0, 2.0), "A": Uniform(0.4, 0.4001), "alpha": Uniform(0.3, 0.5), "B": Uniform(0.7, 0.7001),
              "beta": Uniform(0.3, 0.5), "sigma": HalfNormal(0.1)}  # fmt: skip
    truth = draw_from_prior(problem, ("sigma",), priors, seed=0, number=3)
    centre = {name: np.mean(np.log(column)) for name, column in problem.design.columns.items()}
    assert np.exp(truth["A"] - np.exp(truth["alpha"]) * centre["params"]) == pytest.approx(0.4, rel=1e-3)
    assert np.exp(truth["B"] - np.exp(truth["beta"]) * centre["tokens"]) == pytest.approx(0.7, rel=1e-3)


def test_calibration_of_a_law_of_any_form_fits_what_it_simulated() -> None:
    priors = {"E": "Uniform(0.5, 0.8)", "A": "LogNormal(16, 0.1)", "k": "Uniform(0.3, 0.5)",
              "alpha": "Uniform(0.15, 0.25)", "sigma": "Uniform(0.001, 0.002)"}  # fmt: skip
    found = calibrate("parscale", "parscale", n=10, draws=200, engine="leastsq", likelihood="normal", truth="prior",
                      priors=priors, workers=1)  # fmt: skip
    assert all(one.status in ("converged", "not identified") for one in found.replicates)
    for one in found.replicates:
        assert one.mean["k"] == pytest.approx(one.truth["k"], abs=0.5)  # both as logs
    assert len({one.truth["k"] for one in found.replicates}) == 10


def test_sensitivity_of_a_law_of_any_form() -> None:
    vary = {"likelihood": ["normal", "squared"], "prior": ["HalfNormal(0.5)"]}
    found = sensitivity("parscale", "parscale", param="alpha", draws=200, path="fast", priors=PARSCALE, vary=vary,
                        workers=1)  # fmt: skip
    assert len(found.answers) == 4
    values = [one.estimate.value for one in found.answers]
    assert max(values) - min(values) < 0.02


def test_a_curved_ridge_is_straight_in_the_coordinates_of_the_posterior() -> None:
    """Means and widths are those of 400 random walks of 6,000 steps each, in coordinates written by hand."""
    found = [bayes("parscale", "parscale", path="fast", draws=2000, seed=seed, priors=PARSCALE) for seed in (1, 2, 3)]
    walks = {"E": (0.6935, 0.0652), "A": (16.3234, 0.17), "k": (-0.9234, 0.0558), "alpha": (-1.6418, 0.1669)}
    for fit in found:
        assert fit.posterior.khat < 0.5
        assert fit.posterior.log_evidence == pytest.approx(found[0].posterior.log_evidence, abs=0.05)
        for i, name in enumerate(fit.names[:4]):
            mean, width = walks[name]
            assert abs(fit.point[i] - mean) < 0.06 * width
            assert fit.uncertainty.se[i] == pytest.approx(width, rel=0.3 if name == "A" else 0.1)  # A has a long tail


@pytest.mark.parametrize(
    ("text", "priors"),
    [
        ("loss ~ E[streams_label] + (A/params)^alpha", {"A": "LogNormal(16, 2)"}),
        ("loss ~ E + (A[streams_label]/params)^alpha", {"A": "LogNormal(16, 2)"}),
        ("loss ~ E + (A/min(params, k*streams))^alpha", {"A": "LogNormal(16, 2)", "k": "LogNormal(21, 2)"}),
        ("loss ~ E + (A/params)^(alpha*sigmoid(q*streams))", {"A": "LogNormal(16, 2)", "q": "HalfNormal(1)",
                                                                "alpha": "HalfNormal(1)"}),
    ],
)  # fmt: skip
def test_straightened_coordinates_are_one_to_one(text: str, priors: dict[str, str]) -> None:
    frame = load_dataset("parscale").assign(streams_label=lambda t: t["streams"].astype(str))
    density = density_for(text, frame, priors=priors)
    theta = search_closed(density.problem.design)[0].theta
    x = density.coordinates.start(theta, np.array([0.01, 5.0]), np.zeros(0))
    natural = density.natural(x[None])[0]
    inside = density.coordinates.clip.lo[: len(theta)] > -np.inf  # moved inside the bound where they lie at it
    np.testing.assert_allclose(natural[: len(theta)][~inside], theta[~inside], rtol=1e-10)
    assert density.coordinates.ridge.floor == "E"
    if "sigmoid" not in text:  # there the exponent is not the same in every row
        assert set(density.coordinates.ridge.factors) == {"A"}
    step = 1e-5 * np.eye(density.size)
    jacobian = (density.natural(x + step) - density.natural(x - step)) / 2e-5
    value = density.prior_values(natural[None])[0]
    prior = sum(
        float(density.priors[one.key].log_density(value[i : i + 1])[0]) + (natural[i] if one.is_log else 0.0)
        if one.kind != "scale" else float(density.priors[one.key].log_density(natural[i : i + 1])[0])
        for i, one in enumerate(density.parameters)
    )  # fmt: skip
    want = prior + np.linalg.slogdet(jacobian)[1] + density.log_likelihood(natural[None]).sum()
    assert density(x[None])[0] == pytest.approx(want, rel=1e-6)
