"""Expression nodes: sharing, simplification, derivatives against complex steps and differences, batches."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from scalefit.law.tree import (
    Node,
    Program,
    add,
    column,
    columns_of,
    derivative,
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
    sigmoid,
    softplus,
    substitute,
)

A, B, E, K, X, Y = parameter("A"), parameter("B"), parameter("E"), parameter("k"), column("x"), column("y")
ONE, MINUS = number(1), number(-1)


def over(top: Node, bottom: Node) -> Node:
    return multiply(top, power(bottom, MINUS))


# Laws that use every operation, and a point at which they are smooth.
LAWS = {
    "power": add(E, over(A, power(X, B))),
    "streams": add(E, power(over(A, multiply(X, add(ONE, multiply(K, log(Y))))), B)),
    "broken": multiply(A, power(X, negate(B)), power(add(ONE, power(over(X, K), over(ONE, E))), negate(E))),
    "sigmoid": add(E, multiply(A, sigmoid(negate(multiply(K, add(X, negate(B))))))),
    "repeats": multiply(minimum(X, multiply(A, Y)), add(ONE, negate(exp(negate(over(maximum(X, B), K)))))),
    "soft": softplus(add(multiply(A, X), negate(B))),
    "nested": exp(multiply(negate(A), power(log(add(X, E)), B))),
}
COLUMNS = {"x": np.array([1.5, 2.0, 7.0]), "y": np.array([2.5, 3.0, 1.5])}
POINT = {"A": 0.7, "B": 0.4, "E": 1.2, "k": 0.9}


def shaped(values: dict[str, float]) -> dict[str, np.ndarray]:
    return {name: np.array([[value]]) for name, value in values.items()}


def value(node: Node, point: dict[str, float]) -> np.ndarray:
    return np.broadcast_to(evaluate(node, COLUMNS, shaped(point)), (1, 3))[0]


def test_equal_expressions_are_one_object() -> None:
    assert add(A, multiply(B, X)) is add(A, multiply(B, X))
    assert column("A") is not A
    law = LAWS["broken"]
    assert pickle.loads(pickle.dumps(law)) is law
    assert copy.deepcopy(law) is law


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (add(A, number(0)), A),
        (add(number(1), A, number(2)), add(number(3), A)),
        (add(A, negate(A)), number(0)),
        (add(A, A), multiply(number(2), A)),
        (add(add(A, B), E), add(A, add(B, E))),
        (multiply(A, number(0)), number(0)),
        (multiply(A, power(A, MINUS)), ONE),
        (multiply(A, number(2), B), multiply(number(2), A, B)),
        (negate(negate(A)), A),
        (power(A, ONE), A),
        (power(A, number(0)), ONE),
        (power(number(4), number(0.5)), number(2)),
        (power(power(X, A), MINUS), power(X, negate(A))),
        (power(exp(A), B), exp(multiply(B, A))),
        (log(exp(A)), A),
        (minimum(A, A), A),
        (maximum(number(1), number(2)), number(2)),
        (number(-0.0), number(0.0)),
    ],
)
def test_simplification(node: Node, expected: Node) -> None:
    assert node is expected


def test_what_has_no_real_value_is_not_folded() -> None:
    assert power(number(-1), number(0.5)).kind == "power"
    assert power(number(0), MINUS).kind == "power"
    with pytest.raises(ValueError, match="NaN is not a number"):
        number(float("nan"))


def test_names_come_in_order_of_appearance() -> None:
    assert parameters_of(LAWS["streams"]) == ("E", "A", "k", "B")
    assert columns_of(LAWS["streams"]) == ("x", "y")


def test_substitution_is_simultaneous() -> None:
    swapped = substitute(over(A, power(X, B)), {"A": B, "B": A})
    assert swapped is over(B, power(X, A))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_derivatives_equal_central_differences(law: Node) -> None:
    for name in parameters_of(law):
        first = derivative(law, name)
        for other in parameters_of(law):
            step = 1e-6
            up, down = ({**POINT, other: POINT[other] + sign * step} for sign in (1, -1))
            second = (value(first, up) - value(first, down)) / (2 * step)
            np.testing.assert_allclose(value(derivative(first, other), POINT), second, rtol=2e-6, atol=1e-7)
        up, down = ({**POINT, name: POINT[name] + sign * 1e-6} for sign in (1, -1))
        slope = (value(law, up) - value(law, down)) / 2e-6
        np.testing.assert_allclose(value(first, POINT), slope, rtol=1e-6, atol=1e-8)


def test_power_of_zero_has_a_slope() -> None:
    """x^b at x = 0 is 0 for every positive b, and so is its derivative by b."""
    law = power(X, B)
    columns, point = {"x": np.array([0.0, 2.0])}, {"B": np.array([[0.3]])}
    np.testing.assert_allclose(evaluate(law, columns, point), [[0.0, 2**0.3]])
    np.testing.assert_allclose(evaluate(derivative(law, "B"), columns, point), [[0.0, 2**0.3 * np.log(2)]])


def test_minimum_is_differentiated_piece_by_piece() -> None:
    law = minimum(multiply(A, X), B)
    point = {"A": np.array([[1.0]]), "B": np.array([[3.0]])}
    assert evaluate(derivative(law, "A"), {"x": np.array([2.0, 4.0])}, point).tolist() == [[2.0, 0.0]]
    assert evaluate(derivative(law, "B"), {"x": np.array([2.0, 4.0])}, point).tolist() == [[0.0, 1.0]]


def test_sigmoid_keeps_its_digits_in_both_tails() -> None:
    soft = evaluate(softplus(A), {}, {"A": np.array([-40.0, 0.0, 800.0])})
    np.testing.assert_allclose(soft, [np.exp(-40.0), np.log(2), 800.0], rtol=1e-15)
    tails = evaluate(sigmoid(A), {}, {"A": np.array([-800.0, -40.0, 0.0, 800.0])})
    np.testing.assert_allclose(tails, [0.0, np.exp(-40.0), 0.5, 1.0], rtol=1e-15)


def test_a_batch_equals_single_points_and_values_may_differ_by_row() -> None:
    rng = np.random.default_rng(0)
    law = LAWS["streams"]
    nodes = [law, *(derivative(law, name) for name in parameters_of(law))]
    program = Program(nodes, COLUMNS)
    points = {name: at * rng.uniform(0.9, 1.1, (5, 1)) for name, at in POINT.items()}
    together = program(points)
    for i in range(5):
        alone = program({name: at[i : i + 1] for name, at in points.items()})
        for batch, single in zip(together, alone, strict=True):
            np.testing.assert_array_equal(batch[i] if batch.ndim else batch, single[0] if single.ndim else single)
    by_row = {name: np.broadcast_to(at, (5, 3)) for name, at in points.items()}
    np.testing.assert_array_equal(program(by_row)[0], together[0])


def test_undefined_values_are_not_finite_and_do_not_warn() -> None:
    assert np.isnan(evaluate(log(A), {}, {"A": np.array([-1.0])})).all()
    assert np.isinf(evaluate(power(X, MINUS), {"x": np.array([0.0])}, {})).all()


def test_depth_costs_no_recursion() -> None:
    node = A
    for _ in range(5000):
        node = exp(negate(node))
    assert parameters_of(node) == ("A",)
    assert derivative(node, "B") is number(0)
