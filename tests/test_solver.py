"""The array layer: arithmetic, derivatives, batches, independence of representation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalefit.data.datasets import load_dataset
from scalefit.law.additive import Law
from scalefit.leastsq import fit
from scalefit.problem import build_problem
from scalefit.solver.batch import (
    BOOTSTRAP,
    DELETE_ONE,
    Resampling,
    evaluate_at,
    minimise_batch,
    minimise_resamples,
    resample_weights,
)
from scalefit.solver.components import split
from scalefit.solver.curvature import curvature_at
from scalefit.solver.newton import CONVERGED
from scalefit.solver.search import misfit, search
from scalefit.solver.vectormath import exp_inplace, log_into
from tests.reference import differential
from tests.reference.hard_problems import compare

LAWS = [
    "loss ~ E + A/params^alpha + B/tokens^beta",
    "loss ~ A/params^alpha",
    "loss ~ 0.5 + A/params^alpha + 300/tokens^beta",
    "loss ~ E[shape_class] + A/params^alpha + B/tokens^beta[shape_class]",
    "loss ~ E + A/params^alpha + A/tokens^beta",
    "loss ~ E + A/params^alpha + B/tokens^alpha",
    "loss ~ E + c/width^1 + B[shape_class]/tokens^(1/3)",
    "loss ~ E + A/params^alpha[shape_class]",
]


def chinchilla_with_classes():
    frame = load_dataset("chinchilla")
    return frame.assign(shape_class=np.where(frame["depth"] > 20, "deep", "flat"))


def problem_of(law, **options):
    return build_problem(Law.parse(law), chinchilla_with_classes(), **options)


def test_exp_agrees_with_numpy_to_two_units_in_the_last_place():
    x = np.concatenate([np.linspace(-299, 299, 4001), np.linspace(-1e-3, 1e-3, 101), [0.0]])
    y = x.copy()
    exp_inplace(y, len(y))
    np.testing.assert_array_max_ulp(y, np.exp(x), maxulp=2)


def test_log_agrees_with_numpy_to_two_units_in_the_last_place():
    x = np.concatenate([np.geomspace(1e-300, 1e300, 4001), 1 + np.linspace(-0.4, 0.6, 999), [1.0]])
    out = np.empty_like(x)
    log_into(x, len(x), out)
    np.testing.assert_array_max_ulp(out, np.log(x), maxulp=2)


def test_exp_clips_instead_of_overflowing():
    x = np.array([-1e6, 1e6, np.inf])
    exp_inplace(x, 3)
    assert np.isfinite(x).all()


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("space", ["log", "linear"])
@pytest.mark.parametrize("delta", [np.inf, 0.05])
def test_gradient_and_hessian_equal_finite_differences(law, space, delta):
    design = problem_of(law, space=space).design
    theta = search(design)[0].theta + 0.05 * np.random.default_rng(1).normal(size=design.n_parameters)

    def hessian_and_gradient(at):
        _, work = evaluate_at(design, at, delta=delta)
        return work.derivative[: len(at)], work.derivative[len(at)]

    def gradient(at):
        return hessian_and_gradient(at)[1]

    hessian, g = hessian_and_gradient(theta)
    step = 1e-6
    value = [[misfit(design, theta + sign * step * unit, delta) for sign in (1, -1)] for unit in np.eye(len(theta))]
    slopes = [(up - down) / (2 * step) for up, down in value]
    np.testing.assert_allclose(g, slopes, rtol=2e-5, atol=1e-6 * np.abs(g).max())
    curves = [
        (gradient(theta + step * unit) - gradient(theta - step * unit)) / (2 * step) for unit in np.eye(len(theta))
    ]
    # Huber's second derivative jumps where a residual crosses delta
    slack = 1e-5 if delta == np.inf else 0.02
    np.testing.assert_allclose(hessian, curves, rtol=slack, atol=slack * np.abs(hessian).max())


@pytest.mark.parametrize("law", LAWS)
def test_centring_is_undone(law):
    design = problem_of(law).design
    theta = np.random.default_rng(2).normal(size=design.n_parameters)
    np.testing.assert_allclose(design.from_natural(design.to_natural(theta)), theta, atol=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_jacobian_in_natural_parameters(law):
    problem = problem_of(law)
    design, theta = problem.design, search(problem.design)[0].theta
    shape = curvature_at(design, theta, np.inf)
    natural, step = design.to_natural(theta), 1e-6
    for j, unit in enumerate(np.eye(len(theta))):
        up, down = (
            curvature_at(design, design.from_natural(natural + sign * step * unit), np.inf).residual for sign in (1, -1)
        )
        np.testing.assert_allclose(
            shape.jacobian[:, j], (down - up) / (2 * step), atol=3e-6 * np.abs(shape.jacobian).max()
        )


def test_a_batch_of_one_equals_a_member_of_a_batch():
    design = problem_of(LAWS[0]).design
    start = search(design)[0].theta[None]
    resampling = Resampling(BOOTSTRAP, np.arange(245), 245, 7, 6)
    options = {"delta": 1e-3}
    many = minimise_resamples(design, start, resampling, replicates=range(40), workers=2, **options)
    for b in (0, 17, 39):
        one = minimise_resamples(design, start, resampling, replicates=range(b, b + 1), workers=1, **options)
        np.testing.assert_array_equal(one.theta[0], many.theta[b])


def test_resamples_are_what_their_weights_say():
    design = problem_of(LAWS[0]).design
    theta = search(design)[0].theta
    resampling = Resampling(BOOTSTRAP, np.arange(245) // 5, 49, 3, 6)
    refits = minimise_resamples(design, theta[None], resampling, replicates=range(3), delta=np.inf)
    for b in range(3):
        weight = resample_weights(design.rows, resampling, b)
        assert weight.sum() == 245
        assert (np.ptp(weight.reshape(49, 5), axis=1) == 0).all()  # clusters travel whole
        rows = design.rows._replace(data=np.vstack([design.rows.data[0], weight, design.rows.u]))
        direct = minimise_batch(design._replace(rows=rows), theta[None], delta=np.inf)
        np.testing.assert_allclose(refits.theta[b], direct.theta[0], rtol=1e-7)


def test_jackknife_leaves_one_cluster_out():
    design = problem_of(LAWS[0]).design
    resampling = Resampling(DELETE_ONE, np.arange(245) // 5, 49, 0, 6)
    weight = resample_weights(design.rows, resampling, 4)
    assert weight[20:25].sum() == 0
    assert weight.sum() == 240


def test_a_level_that_a_resample_misses_is_nan_not_a_number():
    frame = load_dataset("llm_families")
    problem = build_problem(Law.parse("family_width"), frame)
    theta = search(problem.design)[0].theta
    resampling = Resampling(DELETE_ONE, (problem.design.rows.weight * 0).astype(int), 1, 0, 0)
    cluster = np.ones(108, dtype=np.int64)
    cluster[problem.design.rows.bounds[0] : problem.design.rows.bounds[1]] = 0
    resampling = resampling._replace(cluster=cluster, n_cluster=2)
    refit = minimise_resamples(
        problem.design, theta[None], resampling, replicates=range(1),
        delta=np.inf,
    )  # fmt: skip
    assert np.isnan(refit.theta[0, 0])
    assert np.isfinite(refit.theta[0, 1:]).all()
    assert refit.status[0] == CONVERGED


def nearly_without_a_floor():
    """18 losses that fall almost in proportion to log tokens, so that many resamples have their floor at 0."""
    tokens = np.repeat([30489, 61070, 152754, 305531, 458099, 610206], 3)
    loss = [0.244824, 0.245043, 0.244487, 0.244825, 0.24409, 0.243779, 0.241986, 0.241711, 0.24192, 0.241134, 0.241244,
            0.241232, 0.240456, 0.240696, 0.240934, 0.24039, 0.240509, 0.240168]  # fmt: skip
    return pd.DataFrame({"tokens": tokens, "loss": loss})


def test_refits_in_a_curved_valley_arrive_on_their_bound():
    # 957 of 4,000 refits used to give up on the way from the full fit to a floor of 0 and a small exponent
    design = build_problem(Law.parse("loss ~ E + A/tokens^alpha"), nearly_without_a_floor()).design
    start = search(design)[0].theta[None]
    resampling = Resampling(BOOTSTRAP, np.arange(18), 18, 0, 4)
    refits = minimise_resamples(design, start, resampling, replicates=range(400), delta=np.inf)
    assert (refits.status == CONVERGED).all()
    on_bound = refits.theta[:, 0] == 0.0
    assert 0.05 < on_bound.mean() < 0.25
    for replicate in np.flatnonzero(on_bound)[:10]:  # there, F rises with the floor and is level along the rest
        weight = resample_weights(design.rows, resampling, replicate)
        rows = design.rows._replace(data=np.vstack([design.rows.target, weight, design.rows.u]))
        gradient = evaluate_at(design._replace(rows=rows), refits.theta[replicate], delta=np.inf)[1].derivative
        assert gradient[3, 0] > 0
        np.testing.assert_allclose(gradient[3, 1:], 0, atol=1e-9)


def test_independent_levels_are_searched_apart_and_agree_with_the_whole():
    law = "loss ~ E[shape_class] + A[shape_class]/params^alpha[shape_class] + B[shape_class]/tokens^beta[shape_class]"
    problem = problem_of(law)
    parts = split(problem.design.law)
    assert len(parts) == 2
    assert sum(len(part.law.response) for part in parts) == 245
    whole = search(problem.design)[0]
    again = minimise_batch(problem.design, whole.theta[None], delta=np.inf)
    assert whole.converged
    assert again.value[0] == pytest.approx(whole.value, rel=1e-12)
    alone = [
        search(build_problem(Law.parse("chinchilla"), rows).design)[0].value
        for _, rows in chinchilla_with_classes().groupby("shape_class")
    ]
    assert whole.value == pytest.approx(sum(alone), rel=1e-10)


@given(seed=st.integers(0, 10_000), terms=st.integers(1, 3), huber=st.booleans())
def test_search_is_not_above_brute_force(seed, terms, huber):
    outcome = compare(seed, terms, delta=1e-3 if huber else np.inf, starts=60)
    assert outcome.found <= outcome.brute * (1 + 1e-10)


def test_an_exponent_that_wants_to_be_steeper_stops_at_its_upper_bound():
    """One high row at the smallest x: the steeper the term, the better, so the optimum lies on the box."""
    x = np.array([1.0, 1.02, 1.1, 1.2, 1.3, 1.4])
    frame = pd.DataFrame({"x": x, "y": np.array([2.0, 0.98, 0.99, 1.0, 1.01, 0.99])})
    design = build_problem(Law.parse("y ~ E + c/x^a"), frame).design
    best = search(design)[0]
    assert best.converged
    assert best.theta[2] == design.link.box[1, 2] == 60.0
    gradient = evaluate_at(design, best.theta, delta=np.inf)[1].derivative[3]
    assert gradient[2] <= 0
    np.testing.assert_allclose(gradient[:2], 0, atol=1e-9)
    for start in (np.array([0.9, 0.0, 59.9]), np.array([0.9, -5.0, 60.0]), np.array([0.9, -3.0, 5.0])):
        found = minimise_batch(design, start[None], delta=np.inf)
        assert found.status[0] == CONVERGED
        assert found.theta[0] == pytest.approx(best.theta, rel=1e-6)


def test_a_coordinate_pressed_on_its_upper_bound_is_as_good_as_held():
    """F is concave along the exponent there: a Newton step that still counted it would have to be damped."""
    frame = pd.DataFrame({"x": [0.9, 1.1, 1.2, 1.3, 1.4], "y": [2000.0, 1.0, 1.1, 0.9, 1.0]})
    design = build_problem(Law.parse("y ~ E + 1/x^a"), frame, space="linear").design
    start = np.array([[1.0, 60.0]])
    free, held = (minimise_batch(design, start, delta=np.inf, held=np.array([False, flag])) for flag in (False, True))
    mean = np.mean(frame["y"] - frame["x"] ** -60.0)
    assert free.theta[0] == pytest.approx([mean, 60.0], rel=1e-12)
    np.testing.assert_array_equal(free.theta, held.theta)
    assert (free.status[0], free.iterations[0]) == (CONVERGED, held.iterations[0])


def test_a_start_whose_step_leaves_the_box_is_not_taken_for_an_optimum():
    # replicate 2728 stayed at its start: the step was cut at E = 0, and the cut step raised the model
    design = build_problem(Law.parse("loss ~ E + A/tokens^alpha"), nearly_without_a_floor()).design
    start = search(design)[0].theta
    resampling = Resampling(BOOTSTRAP, np.arange(18), 18, 0, 4)
    refit = minimise_resamples(design, start[None], resampling, replicates=range(2728, 2729), delta=np.inf)
    other = minimise_resamples(design, refit.theta, resampling, replicates=range(2728, 2729), delta=np.inf)
    assert refit.status[0] == CONVERGED
    assert not np.allclose(refit.theta[0], start)
    assert refit.value[0] == pytest.approx(other.value[0], rel=1e-9)
    assert refit.theta[0, 0] == pytest.approx(0.2036, abs=1e-3)


# found above the brute force by earlier versions: exponents or sizes at a bound, a coefficient shared by columns of
# other units, groups, delta far below the scatter, two powers of one column; then some that were not
ONCE_MISSED = (
    20,
    22,
    25,
    44,
    1017,
    1045,
    1091,
    1162,
    1256,
    1261,
    1290,
    1294,
    1405,
    1450,
    5086,
    5157,
    20289,
    40074,
    60497,
)


@pytest.mark.parametrize("seeds", [ONCE_MISSED, range(900, 921)], ids=["once missed", "others"])
def test_search_meets_an_independent_brute_force(seeds):
    outcomes = [differential.compare(seed, starts=5) for seed in seeds]
    assert [outcome for outcome in outcomes if outcome.missed] == []
    assert any(outcome.status == "converged" for outcome in outcomes)


def test_a_huber_fit_far_from_its_delta_says_that_it_may_not_be_the_optimum():
    drawn = differential.draw(5197)  # delta 1e-3 against residuals near 1e4: a kink at every row
    result = fit(drawn.frame, drawn.law, bootstrap=0, throw=False, **drawn.options)
    assert result.status == "not converged"
    assert "use a larger delta" in result.findings[0].message
