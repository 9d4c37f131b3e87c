"""The log density: against densities written by hand, against quadrature, and against PyMC's graph."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.options import Rows
from scalefit.posterior import kernels
from scalefit.posterior.coordinates import NUMPY, SoftClip
from scalefit.posterior.density import build_density
from scalefit.posterior.starts import find_modes
from scalefit.problem import build_problem
from scalefit.solver.search import search

GROUPED = "loss ~ E[family, eval_set] + A[family]/width^alpha[family]"


def posed(data, law, likelihood="normal", *, cluster=None, weights=None, partial=(), priors=None, **options):
    """The density of a law on data, and its heaviest mode."""
    law, free = Law.parse(law), options.pop("free_sign", False)
    frame = Rows(cluster=cluster, weights=weights, **options).read(data, law).frame
    problem = build_problem(law, frame, cluster=cluster, weights=weights, free_sign=free)
    optima = search(problem.design, free_sign=free)
    pooled = tuple(coef for coef in law.parameters if coef.name in partial)
    density = build_density(problem, likelihood=likelihood, theta=optima[0].theta, priors=priors, partial=pooled)
    return density, find_modes(density, optima)[0]


def around(density, mode, n=4, seed=0):
    """Points within a standard deviation or two of the mode, shape (n, d)."""
    return mode.x + np.random.default_rng(seed).standard_normal((n, density.size)) @ mode.frame.T


def volume(density, x):
    """Log of |d values / d x| at one point, by differences; values as the priors see them (exponentials for sizes)."""
    columns = []
    for i in range(density.size):
        step = np.zeros(density.size)
        step[i] = 1e-6
        up, down = (values_of(density, x + sign * step) for sign in (1, -1))
        columns.append((up - down) / 2e-6)
    return np.linalg.slogdet(np.array(columns).T)[1]


def values_of(density, x):
    placed = density.coordinates.place(x)
    theta = placed.theta.copy()
    sizes = slice(density.coordinates.n_floor, density.coordinates.n_floor + density.coordinates.n_size)
    theta[sizes] = np.exp(theta[sizes])
    return np.concatenate([theta, placed.scales, placed.pooled])


def chinchilla_by_hand(value, frame, likelihood, cluster=None):
    """E + A/params^alpha + B/tokens^beta with sizes at the centre, default priors."""
    E, A, B, alpha, beta, sigma = value[:6]
    centred = {name: np.log(frame[name]) - np.log(frame[name]).mean() for name in ("params", "tokens")}
    law = E + A * np.exp(-alpha * centred["params"]) + B * np.exp(-beta * centred["tokens"])
    residual = (np.log(frame["loss"]) - np.log(law)).to_numpy()
    prior = stats.uniform(0, frame["loss"].min()).logpdf(E) + stats.halfnorm(scale=0.1).logpdf(sigma)
    prior += stats.halfnorm().logpdf([A, B, alpha, beta]).sum()
    if cluster is not None:
        tau = value[6]
        same = cluster[:, None] == cluster[None, :]
        covariance = sigma**2 * np.eye(len(residual)) + tau**2 * same
        shift = stats.halfnorm(scale=0.02).logpdf(tau)
        return prior + shift + stats.multivariate_normal(cov=covariance).logpdf(residual)
    if likelihood == "normal":
        return prior + stats.norm(scale=sigma).logpdf(residual).sum()
    nu = value[6]
    return prior + stats.gamma(2, scale=10).logpdf(nu) + stats.t(nu, scale=sigma).logpdf(residual).sum()


@pytest.mark.parametrize(("likelihood", "cluster"), [("normal", None), ("student_t", None), ("normal", "shape")])
def test_density_is_the_one_written_by_hand(likelihood, cluster):
    density, mode = posed("chinchilla", "chinchilla", likelihood, cluster=cluster, drop_highest_loss=5)
    frame = Rows(cluster=cluster, drop_highest_loss=5).read("chinchilla", Law.parse("chinchilla")).frame
    labels = None if cluster is None else frame[cluster].to_numpy()
    for x in around(density, mode):
        by_hand = chinchilla_by_hand(values_of(density, x), frame, likelihood, labels)
        assert density(x[None])[0] == pytest.approx(by_hand + volume(density, x), abs=1e-5)


def test_likelihood_of_draws_by_row_and_by_cluster_adds_up_to_the_density():
    for likelihood, cluster in (("normal", None), ("student_t", None), ("normal", "shape"), ("student_t", "shape")):
        density, mode = posed("chinchilla", "chinchilla", likelihood, cluster=cluster)
        x = around(density, mode)
        parts = density.log_likelihood(density.natural(x))
        assert parts.shape == (len(x), 245 if cluster is None else 43)
        prior = density.coordinates.place(x).log_prior
        np.testing.assert_allclose(parts.sum(axis=1) + prior, density(x), rtol=1e-10)


def integrated_by_hand(residual, weight, sigma, nu, tau):
    def log_integrand(shift):
        tails = weight[:, None] * np.log1p((residual[:, None] - shift) ** 2 / (nu * sigma**2))
        return -(nu + 1) / 2 * tails.sum(axis=0) - 0.5 * (shift / tau) ** 2

    near = np.linspace(residual.min() - 20 * sigma, residual.max() + 20 * sigma, 20_001)
    shift = np.unique(np.concatenate([np.linspace(-9 * tau, 9 * tau, 20_001), near]))
    value = log_integrand(shift)
    total = integrate.simpson(np.exp(value - value.max()), x=shift)
    return value.max() + np.log(total / (tau * np.sqrt(2 * np.pi)))


@given(
    residual=st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=9),
    weight=st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=9, max_size=9),
    logs=st.tuples(st.floats(-7, -2), st.floats(-0.4, 3.4), st.floats(-9, -1)),
)
def test_a_shift_with_heavy_tails_is_integrated_exactly(residual, weight, logs):
    residual, weight = np.array(residual), np.array(weight[: len(residual)])
    sigma, nu, tau = np.exp(logs)
    scratch = np.zeros((5, kernels.MOST_NODES))
    value = kernels._student_block.py_func(
        residual, weight, np.arange(len(residual)), 0, len(residual), sigma, nu, tau, scratch
    )
    assert value == pytest.approx(integrated_by_hand(residual, weight, sigma, nu, tau), abs=1e-5)


@pytest.mark.parametrize(("likelihood", "cluster"), [("normal", None), ("student_t", "shape"), ("normal", "shape")])
def test_a_row_of_weight_two_counts_as_two_rows_and_of_weight_zero_as_none(chinchilla, likelihood, cluster):
    frame = chinchilla.nsmallest(200, "loss").assign(weight=1.0)
    frame.loc[frame.index[:20], "weight"] = 2.0
    frame.loc[frame.index[20:30], "weight"] = 0.0
    written_out = frame.loc[frame.index.repeat(frame["weight"].astype(int))].reset_index(drop=True)
    weighted, mode = posed(frame, "chinchilla", likelihood, cluster=cluster, weights="weight")
    plain, _ = posed(written_out, "chinchilla", likelihood, cluster=cluster)
    draws = weighted.natural(around(weighted, mode))
    a, b = (density.log_likelihood(draws).sum(axis=1) for density in (weighted, plain))
    np.testing.assert_allclose(a, b, rtol=1e-9)


def test_order_of_rows_does_not_matter(chinchilla):
    density, mode = posed(chinchilla, "chinchilla", "student_t", cluster="shape")
    shuffled, _ = posed(chinchilla.sample(frac=1, random_state=1), "chinchilla", "student_t", cluster="shape")
    x = around(density, mode)
    np.testing.assert_array_equal(density(x), shuffled(x))


@given(
    value=st.floats(-5, 5),
    ends=st.tuples(st.sampled_from([-np.inf, -1.0, 0.0]), st.sampled_from([0.5, 2.0, np.inf])),
    scale=st.floats(1e-3, 0.06),
)
def test_soft_clip_is_one_to_one_and_knows_its_slope(value, ends, scale):
    clip = SoftClip(*(np.array([end]) for end in (*ends, scale)))
    x = np.array([value])
    clipped, slope = clip.forward(x, NUMPY)
    assert ends[0] <= clipped[0] <= ends[1]
    distance = min(value - ends[0], ends[1] - value)
    if distance > 40 * scale:
        assert clipped[0] == pytest.approx(value, rel=1e-12)
    if distance > -5 * scale:
        step = 1e-5 * scale
        up, down = (clip.forward(x + sign * step, NUMPY)[0][0] for sign in (1, -1))
        assert slope[0] == pytest.approx(np.log((up - down) / (2 * step)), abs=1e-4)
        assert clip.inverse(clipped)[0] == pytest.approx(value, abs=1e-6)


def test_a_start_on_a_bound_is_moved_inside():
    density, _ = posed("chinchilla", "chinchilla", priors={"alpha": "Uniform(0.3, 0.5)", "E": "Uniform(0, 2)"})
    theta = np.array([0.0, -1.0, -1.0, 0.0, 60.0])
    x = density.coordinates.start(theta, np.array([1e-9]), np.zeros(0))
    placed = density.coordinates.place(x)
    assert 0 < placed.theta[0] < 2
    assert 0.3 < placed.theta[3] < 0.5
    assert np.isfinite(density(x[None])[0])


def test_members_have_one_posterior_in_either_coordinates():
    """The density over parameters is the same for centred and non-centred members."""
    density, mode = posed("llm_families", GROUPED, "student_t", partial=("alpha", "E"))
    members = density.coordinates.common >= 0
    values = []
    for centred in (True, False):
        own = density.coordinates._replace(centred=members & centred, lean=np.full(density.size, -1))
        other = replace(density, coordinates=own)
        placed = density.coordinates.place(mode.x)
        x = own.start(placed.theta, placed.scales, placed.pooled)
        np.testing.assert_allclose(other.natural(x), density.natural(mode.x), rtol=1e-6)
        values.append(other(x[None])[0] - volume(other, x))
    reference = density(mode.x[None])[0] - volume(density, mode.x)
    np.testing.assert_allclose(values, reference, atol=1e-3)


def test_the_mode_is_a_maximum_and_the_frame_makes_it_round():
    density, mode = posed("chinchilla", "width_depth", drop_highest_loss=40)
    n = density.coordinates.n_law
    top = density(mode.x[None])[0] + n * mode.x[n]
    steps = 0.3 * np.vstack([np.eye(density.size), -np.eye(density.size)]) @ mode.frame.T
    drops = top - density(mode.x + steps) - n * (mode.x + steps)[:, n]
    np.testing.assert_allclose(drops, 0.045, rtol=0.25)


def test_a_spike_where_rows_are_fitted_exactly_is_no_mode():
    density, mode = posed("llm_families", GROUPED, "student_t")
    sigma, nu = density.natural(mode.x)[-2:]
    assert sigma > 0.01
    assert nu > 1


def test_twin_terms_come_in_the_order_of_their_exponents(synthetic):
    density, mode = posed(synthetic, "loss ~ E + A/params^alpha + B/tokens^beta + C/tokens^gamma")
    x = around(density, mode, n=50)
    natural = dict(zip(density.names, density.natural(x).T, strict=True))
    assert (natural["beta"] <= natural["gamma"]).all()
    np.testing.assert_allclose(
        density.log_likelihood(density.natural(x)).sum(axis=1) + density.coordinates.place(x).log_prior, density(x)
    )


def test_an_exponent_that_the_data_rule_out_is_refused():
    with pytest.raises(DataError, match=r"Uniform\(2, 3\) of alpha excludes the data: least squares"):
        posed("chinchilla", "chinchilla", priors={"alpha": "Uniform(2, 3)"})


LAWS = [
    ("chinchilla", "universal", "student_t", {}),
    ("chinchilla", "loss ~ 1.8 + A/params^alpha + B/tokens^alpha", "normal", {}),
    ("chinchilla", "loss ~ A/params^alpha + B/tokens^beta", "normal", {"free_sign": True}),
    ("chinchilla", "chinchilla", "normal", {"cluster": "shape", "priors": {"alpha": "Uniform(0.2, 0.5)"}}),
    ("llm_families", GROUPED, "student_t", {"partial": ("alpha",)}),
    ("llm_families", GROUPED, "normal", {"partial": ("alpha", "E"), "free_sign": True}),
]


@pytest.mark.parametrize(("data", "law", "likelihood", "options"), LAWS)
def test_pymc_has_the_same_density_and_a_finite_gradient(data, law, likelihood, options):
    pytest.importorskip("pymc")
    from scalefit.posterior.nuts import build_model

    density, mode = posed(data, law, likelihood, **options)
    model = build_model(density, mode)
    value = model.compile_fn(model.logp(), mode="FAST_COMPILE")
    slope = model.compile_fn(model.dlogp(), mode="FAST_COMPILE")
    for z in np.vstack([np.zeros(density.size), np.random.default_rng(0).standard_normal((2, density.size))]):
        assert value({"z": z}) == pytest.approx(density((mode.x + mode.frame @ z)[None])[0], rel=1e-13, abs=1e-9)
        steps = 1e-4 * np.eye(density.size)
        up, down = (density(mode.x + (z + sign * steps) @ mode.frame.T) for sign in (1, -1))
        gradient = slope({"z": z})
        assert np.isfinite(gradient).all()
        rounding = np.finfo(float).eps * np.abs([up, down]).max() / 1e-4  # of the difference of two large numbers
        np.testing.assert_allclose(gradient, (up - down) / 2e-4, atol=1e-4 + 4 * rounding)


def test_pymc_keeps_the_shifts_of_heavy_tailed_clusters():
    """Integrated over the shift of a cluster, PyMC's density is ours."""
    pytest.importorskip("pymc")
    from scalefit.posterior.nuts import build_model

    density, mode = posed("chinchilla", "chinchilla", "student_t", cluster="shape")
    model = build_model(density, mode)
    value = model.compile_fn(model.logp(), mode="FAST_COMPILE")
    cluster, n_cluster = density.problem.cluster, density.problem.n_cluster
    nodes, step = np.linspace(-7, 7, 57, retstep=True)
    z, draw = np.zeros(density.size), density.natural(mode.x[None])
    sigma, nu, _ = draw[0, -3:]
    rows = stats.t(nu, scale=sigma).logpdf(density.residuals(draw)[0])
    reference = float(value({"z": z, "shift_z": np.zeros(n_cluster)}))
    prior = density.coordinates.place(mode.x).log_prior
    assert reference == pytest.approx(prior + rows.sum() + n_cluster * stats.norm.logpdf(0), abs=1e-6)
    for c in (0, 7, 20):
        own = np.arange(n_cluster) == c
        logs = [float(value({"z": z, "shift_z": node * own})) - reference for node in nodes]
        integral = special.logsumexp(logs) + np.log(step) + stats.norm.logpdf(0) + rows[cluster == c].sum()
        assert density.log_likelihood(draw)[0, c] == pytest.approx(integral, abs=1e-6)
