"""Any closed-form law on arrays: search, refits, profiles and verdicts, against answers found another way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from scipy import optimize

from scalefit.closed.curvature import closed_curvature
from scalefit.closed.descent import Misfit
from scalefit.closed.design import ClosedDesign, may_reach_zero
from scalefit.closed.identify import identify
from scalefit.closed.kinks import beyond_kinks
from scalefit.closed.profile import profile_closed
from scalefit.closed.resample import refit_resamples, refit_weighted, replicate_counts
from scalefit.closed.rewrite import canonical
from scalefit.closed.search import search_closed
from scalefit.closed.starts import linear_parameters
from scalefit.closed_problem import build_closed
from scalefit.data.datasets import load_dataset
from scalefit.law.general import GeneralLaw, parse_law
from scalefit.law.tree import (
    Node,
    add,
    column,
    evaluate,
    exp,
    log,
    maximum,
    minimum,
    multiply,
    negate,
    number,
    parameter,
    parameters_of,
    power,
)
from scalefit.leastsq import fit
from scalefit.leastsq.covariance import chi_square_unit, gauss_newton
from scalefit.solver.batch import BOOTSTRAP, DELETE_ONE, Resampling, resample_weights
from scalefit.solver.design import DesignRows
from scalefit.solver.newton import CONVERGED

ONE = number(1)
N, D, X, U, STREAMS = map(column, ("params", "tokens", "x", "unique", "streams"))


def p(name: str) -> Node:
    return parameter(name)


def over(top: Node, bottom: Node) -> Node:
    return multiply(top, power(bottom, number(-1)))


def term(coefficient: str, of: Node, exponent: str) -> Node:
    return over(p(coefficient), power(of, p(exponent)))


class Case(NamedTuple):
    """A law with the true values of its parameters; those below 0 are free, the others positive."""

    law: Node
    truth: dict[str, float]
    log_space: bool = True
    free: tuple[str, ...] = ()


BEYOND = maximum(add(over(D, U), number(-1)), number(0))  # how often tokens are repeated
REPEATS = add(ONE, multiply(p("r"), add(ONE, negate(exp(negate(over(BEYOND, p("r"))))))))
MANY = multiply(N, add(ONE, multiply(p("k"), log(STREAMS))))
CASES = {
    "chinchilla": Case(add(p("E"), term("A", N, "alpha"), term("B", D, "beta")),
                       {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37}),
    "kaplan": Case(power(add(power(over(p("Nc"), N), over(p("aN"), p("aD"))), over(p("Dc"), D)), p("aD")),
                   {"Nc": 8e12, "aN": 0.096, "aD": 0.114, "Dc": 3e13}),
    "parscale": Case(add(p("E"), power(over(p("A"), MANY), p("alpha"))),
                     {"E": 0.7, "A": 1.1e7, "k": 0.4, "alpha": 0.2}),
    "sigmoid": Case(add(over(p("a"), add(ONE, exp(negate(multiply(p("k"), add(X, negate(p("x0")))))))), p("b")),
                    {"a": -0.7, "k": 9.0, "x0": 0.8, "b": 0.99}, log_space=False, free=("a", "x0", "b")),
    "mixture": Case(add(p("c"), exp(add(multiply(p("s"), X), multiply(p("t"), log(STREAMS))))),
                    {"c": 2.6, "s": -1.2, "t": 0.5}, log_space=False, free=("c", "s", "t")),
    "repeated": Case(add(number(1.87), over(p("B"), power(multiply(minimum(U, D), REPEATS), number(0.35)))),
                     {"B": 1500.0, "r": 6.0}),
    "product": Case(multiply(p("c"), power(N, p("a")), power(D, p("b"))), {"c": 3.0, "a": -0.7, "b": 0.3},
                    free=("a", "b")),
}  # fmt: skip


def table(seed: int, n: int = 120) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    tokens = np.exp(rng.uniform(np.log(1e9), np.log(1e12), n))
    return {
        "params": np.exp(rng.uniform(np.log(1e7), np.log(1e10), n)),
        "tokens": tokens,
        "unique": tokens / np.exp(rng.uniform(0, 4, n)),
        "streams": rng.choice([1.0, 2.0, 4.0, 8.0], n),
        "x": rng.uniform(0.3, 1.3, n),
    }


def designed(case: Case, seed: int = 0, noise: float = 0.01, **changes: object) -> ClosedDesign:
    """Simulated data of a law, in the form that the solver wants."""
    columns, rng = table(seed), np.random.default_rng([seed, 1])
    clean = evaluate(case.law, columns, {name: np.array(value) for name, value in case.truth.items()})
    error = noise * rng.standard_normal(len(clean))
    names = parameters_of(case.law)
    positive = np.array([name not in case.free for name in names])
    floors = may_reach_zero(case.law)
    values: dict[str, object] = {
        "expression": case.law, "parameters": names, "columns": columns,
        "response": clean * np.exp(error) if case.log_space else clean + error, "weight": np.ones(len(clean)),
        "log_space": case.log_space, "lower": np.where(positive, 0.0, -np.inf), "upper": np.full(len(names), np.inf),
        "is_log": positive & np.array([name not in floors for name in names]), **changes,
    }  # fmt: skip
    return ClosedDesign(**values)  # type: ignore[arg-type]


def truth_of(case: Case, design: ClosedDesign) -> np.ndarray:
    values = np.array([case.truth[name] for name in design.parameters])
    return np.where(design.is_log, np.log(np.abs(values)), values)


@pytest.mark.parametrize("delta", [np.inf, 1e-3], ids=["squares", "huber"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_search_is_as_good_as_a_local_minimiser_from_the_truth(case: Case, delta: float) -> None:
    design = designed(case)
    found = search_closed(design, delta=delta)
    misfit, start = Misfit(design.plain), truth_of(case, design)
    local = optimize.minimize(lambda x: misfit.value(x[None], delta)[0], start, method="Nelder-Mead",
                              options={"maxiter": 4000, "fatol": 1e-13, "xatol": 1e-9})  # fmt: skip
    assert found[0].value <= local.fun * (1 + 1e-7)
    assert found[0].converged
    assert found[0].value == pytest.approx(misfit.value(found[0].theta[None], delta)[0], rel=1e-9)
    assert [optimum.value for optimum in found] == sorted(optimum.value for optimum in found)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_exact_hessian_equals_differences_of_the_gradient(case: Case) -> None:
    design = designed(case)
    misfit = Misfit(design.centred)
    z = design.centred.from_vector(truth_of(case, design)[None])
    state = misfit.state(z, 0.015, None, exact=True)
    step = 1e-6
    for i in range(z.shape[1]):
        shift = step * np.eye(z.shape[1])[i]
        up, down = (misfit.state(z + sign * shift, 0.015, None, exact=True).gradient[0] for sign in (1, -1))
        np.testing.assert_allclose((up - down) / (2 * step), state.hessian[0, i],
                                   rtol=2e-4, atol=1e-5 * np.abs(state.hessian).max())  # fmt: skip
        values = [misfit.value(z + sign * shift, 0.015)[0] for sign in (1, -1)]
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(state.gradient[0, i], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_rewritten_law_and_coordinates_leave_the_prediction(case: Case) -> None:
    design = designed(case, noise=0.0)
    theta = truth_of(case, design)[None]
    for system in (design.plain, design.centred):
        z = system.from_vector(theta)
        np.testing.assert_allclose(system.to_vector(z), theta, rtol=1e-13)
        np.testing.assert_allclose(Misfit(system).residual(z), 0.0, atol=1e-12)


def test_linear_parameters_are_seen() -> None:
    known = {name: linear_parameters(designed(case).plain) for name, case in CASES.items()}
    assert known["chinchilla"].names == ("E", "A", "B")
    assert known["chinchilla"].lifted == (False, True, True)
    assert known["product"].of_log
    assert set(known["product"].names) == {"c", "a", "b"}
    assert set(known["sigmoid"].names) == {"a", "b"}
    assert known["kaplan"].names == ()


def test_sizes_that_leave_double_precision_are_never_formed() -> None:
    """c = 1e400 is no double, but the size of its term at the data is an everyday number."""
    law = canonical(multiply(exp(p("c")), power(N, negate(p("a")))), columns={"params": np.array([1e13])})
    value = evaluate(law, {"params": np.array([1e13])}, {"c": np.array(921.0), "a": np.array(30.0)})
    np.testing.assert_allclose(value, np.exp(921.0 - 30 * np.log(1e13)))


@pytest.mark.parametrize("loss", ["squared", "huber"])
@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("loss ~ E + A/params^alpha + B/tokens^beta", CASES["chinchilla"].law),
        ("loss ~ E + A/params^alpha", add(p("E"), term("A", N, "alpha"))),
        ("loss ~ E + B/tokens^beta", add(p("E"), term("B", D, "beta"))),
    ],
)
def test_additive_laws_reach_the_additive_optimum(text: str, law: Node, loss: str) -> None:
    data = load_dataset("chinchilla").nsmallest(240, "loss", keep="first")
    additive = fit(data, text, loss=loss, uncertainty="gauss-newton", throw=False)
    names, delta = parameters_of(law), np.inf if loss == "squared" else 1e-3
    columns = {name: data[name].to_numpy(float) for name in ("params", "tokens")}
    design = ClosedDesign(
        law, names, columns, data["loss"].to_numpy(float), np.ones(240), True, np.zeros(len(names)),
        np.full(len(names), np.inf), np.array([name != "E" for name in names]),
    )  # fmt: skip
    found = search_closed(design, delta=delta)[0]
    values = dict(zip(names, design.natural(found.theta), strict=True))
    want = {estimate.name: estimate.value for estimate in additive.estimates}
    theta = np.array([np.log(want[name]) if name != "E" else want[name] for name in names])
    assert found.value == pytest.approx(Misfit(design.plain).value(theta[None], delta)[0], rel=1e-9)
    assert values == pytest.approx(want, rel=1e-4)


def test_groups_are_fitted_as_separate_laws_when_they_share_nothing() -> None:
    case = CASES["parscale"]
    one, other = designed(case, seed=1), designed(case, seed=2)
    columns = {name: np.concatenate([one.columns[name], other.columns[name]]) for name in one.columns}
    codes = np.repeat([0, 1], len(one.response))
    names = one.parameters
    both = ClosedDesign(
        case.law, names, columns, np.concatenate([one.response, other.response]), np.ones(len(codes)), True,
        np.zeros(8), np.full(8, np.inf), np.repeat(one.is_log, 2), dict.fromkeys(names, codes), dict.fromkeys(names, 2),
    )  # fmt: skip
    together = search_closed(both)[0]
    apart = [search_closed(design)[0] for design in (one, other)]
    assert together.value == pytest.approx(sum(found.value for found in apart), rel=1e-9)
    np.testing.assert_allclose(together.theta, np.column_stack([found.theta for found in apart]).ravel(), rtol=1e-4)


def test_a_weight_of_two_is_the_row_twice_and_zero_is_no_row() -> None:
    case = CASES["parscale"]
    base = designed(case)
    weight = np.ones(len(base.response))
    weight[:10], weight[10:20] = 2.0, 0.0
    rows = np.concatenate([np.arange(10), np.arange(10), np.arange(20, len(weight))])
    copied = designed(case, columns={name: values[rows] for name, values in base.columns.items()},
                      response=base.response[rows], weight=np.ones(len(rows)))  # fmt: skip
    weighted = search_closed(designed(case, weight=weight))[0]
    assert weighted.value == pytest.approx(search_closed(copied)[0].value, rel=1e-9)


def test_bounds_hold_and_the_optimum_within_them_is_found() -> None:
    case = CASES["sigmoid"]
    free = designed(case)
    names = list(free.parameters)
    upper = np.full(4, np.inf)
    upper[names.index("b")] = 0.9
    found = search_closed(designed(case, upper=upper))[0]
    assert found.theta[names.index("b")] == 0.9
    fixed = designed(case._replace(law=add(case.law.arguments[0], number(0.9)), free=("a", "x0")))
    fixed = ClosedDesign(**{**vars_of(fixed), "response": free.response})
    assert found.value == pytest.approx(search_closed(fixed)[0].value, rel=1e-8)


def vars_of(design: ClosedDesign) -> dict[str, object]:
    return {name: getattr(design, name) for name in ClosedDesign.__dataclass_fields__}


def test_counts_are_those_of_the_compiled_solver() -> None:
    n = 40
    cluster = np.repeat(np.arange(20), 2)
    rows = DesignRows(np.ones((2, n)), np.array([0, n]))
    for kind in (BOOTSTRAP, DELETE_ONE):
        resampling = Resampling(kind, cluster, 20, 7, 5)
        for b in range(3):
            np.testing.assert_array_equal(
                replicate_counts(resampling, b)[cluster], resample_weights(rows, resampling, b)
            )


@pytest.mark.parametrize("delta", [np.inf, 1e-3], ids=["squares", "huber"])
def test_refits_reach_what_a_search_of_each_resample_reaches(delta: float) -> None:
    design = designed(CASES["parscale"])
    n = len(design.response)
    found = search_closed(design, delta=delta)[0]
    resampling = Resampling(BOOTSTRAP, np.arange(n), n, 3, 5)
    minima = refit_resamples(design, found.theta[None], resampling, replicates=range(6), delta=delta)
    assert (minima.status == CONVERGED).all()
    for b in range(6):
        one = ClosedDesign(**{**vars_of(design), "weight": replicate_counts(resampling, b)})
        assert minima.value[b] <= search_closed(one, delta=delta)[0].value * (1 + 1e-8)
    alone = refit_resamples(design, found.theta[None], resampling, replicates=range(4, 5), delta=delta)
    np.testing.assert_allclose(alone.theta[0], minima.theta[4], rtol=1e-6)


def test_a_level_without_rows_has_no_value() -> None:
    case = CASES["parscale"]
    base = designed(case)
    codes = (np.arange(len(base.response)) < 20).astype(np.int64)
    design = designed(case, codes={"E": codes}, n_levels={"E": 2}, lower=np.zeros(5), upper=np.full(5, np.inf),
                      is_log=np.insert(base.is_log, 0, base.is_log[0]))  # fmt: skip
    minima = refit_weighted(
        design, search_closed(design)[0].theta[None], (codes == 0.0).astype(float)[None], delta=np.inf
    )
    assert np.isnan(minima.theta[0]).tolist() == [False, True, False, False, False]


def test_profile_limits_are_where_a_refit_with_the_value_held_exceeds_the_cutoff() -> None:
    case = CASES["parscale"]
    design = designed(case)
    found = search_closed(design)[0]
    shape = closed_curvature(design, found.theta, np.inf)
    errors = np.sqrt(np.diag(gauss_newton(shape, design.weight)))
    allowed = 2.0 * chi_square_unit(shape, design.weight)
    lo, hi = profile_closed(design, found.theta, delta=np.inf, allowed=allowed, scale=errors)
    names = list(design.parameters)
    for name in ("k", "alpha"):
        i = names.index(name)
        for limit in (lo[i], hi[i]):
            held = Case(_held(case.law, name, float(np.exp(limit))), {k: v for k, v in case.truth.items() if k != name})
            fixed = ClosedDesign(**{**vars_of(designed(held)), "response": design.response})
            assert search_closed(fixed)[0].value - found.value == pytest.approx(allowed, rel=1e-4)
    np.testing.assert_allclose(hi - found.theta, 2 * errors, rtol=0.3)


def _held(law: Node, name: str, value: float) -> Node:
    from scalefit.law.tree import substitute

    return substitute(law, {name: number(value)})


def test_covariance_of_a_linear_law_is_that_of_linear_regression() -> None:
    design = designed(CASES["product"])
    found = search_closed(design)[0]
    matrix = np.column_stack([np.ones(120), np.log(design.columns["params"]), np.log(design.columns["tokens"])])
    solution, residual, *_ = np.linalg.lstsq(matrix, np.log(design.response), rcond=None)
    np.testing.assert_allclose(found.theta, solution, rtol=1e-9)
    shape = closed_curvature(design, found.theta, np.inf)
    covariance = residual[0] / 117 * np.linalg.inv(matrix.T @ matrix)
    np.testing.assert_allclose(gauss_newton(shape, design.weight), covariance, rtol=1e-6)


def verdict(design: ClosedDesign) -> list[tuple[str, tuple[str, ...]]]:
    optima = search_closed(design)
    shape = closed_curvature(design, optima[0].theta, np.inf)
    allowed = 2.0 * chi_square_unit(shape, design.weight)
    loose = identify(design, optima, delta=np.inf, allowed=allowed)
    return [(reason.reason, tuple(design.parameters[i] for i in reason.places)) for reason in loose]


def test_what_the_data_determine_is_not_called_loose() -> None:
    assert verdict(designed(CASES["chinchilla"])) == []
    assert verdict(designed(CASES["parscale"])) == []


def test_two_coefficients_of_one_thing_are_singular() -> None:
    law = add(p("E"), multiply(p("A"), p("k"), power(N, number(-0.3))))
    found = verdict(designed(Case(law, {"E": 1.8, "A": 20.0, "k": 10.0})))
    assert ("singular", ("A", "k")) in found


def test_a_scale_beyond_the_data_runs_off() -> None:
    """1 - exp(-x/g) is x/g while g is far above x: only A/g can be told."""
    law = add(p("E"), multiply(p("A"), add(ONE, negate(exp(negate(over(X, p("g"))))))))
    case = Case(law, {"E": 1.0, "A": 500.0, "g": 500.0}, log_space=False, free=("E",))
    assert any(reason == "runs off" and "g" in names for reason, names in verdict(designed(case)))


def chinchilla_design(text: str) -> ClosedDesign:
    frame = load_dataset("chinchilla").nsmallest(240, "loss", keep="first").reset_index(drop=True)
    law = parse_law(text).decided(list(frame.columns))
    assert isinstance(law, GeneralLaw)
    return build_closed(law, frame).design


def test_starts_beyond_kinks_have_another_side_in_some_row() -> None:
    design = chinchilla_design("loss ~ E + max(A/params^alpha, B/tokens^beta)")
    best = search_closed(design, delta=1e-3)[0]
    starts = beyond_kinks(Misfit(design.centred), design.centred.from_vector(best.theta[None])[0], 1e-3)

    def sides(theta: np.ndarray) -> np.ndarray:
        own = {name: np.exp(theta[block]) for name, block in design.blocks.items() if name != "E"}
        terms = [
            own[a] / design.columns[of] ** own[b] for a, of, b in (("A", "params", "alpha"), ("B", "tokens", "beta"))
        ]
        return np.asarray(terms[0] > terms[1])

    crossed = [np.count_nonzero(sides(start) != sides(best.theta)) for start in design.centred.to_vector(starts)]
    assert len(crossed) > 20
    assert np.mean(np.array(crossed) > 0) > 0.9
    # 200 other starts, descended by another code, end at 0.0052656361 or above
    assert best.value <= 0.00526525564 * (1 + 1e-7)


def test_kinks_at_which_only_columns_meet_need_no_starts() -> None:
    design = chinchilla_design("loss ~ E + A/min(params, tokens)^alpha")
    z = design.centred.from_vector(search_closed(design)[0].theta[None])[0]
    assert beyond_kinks(Misfit(design.centred), z, np.inf).shape == (0, 3)
