"""Where findings begin: for each limit a case just inside and one just outside."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scalefit.law.additive import Law
from scalefit.leastsq import fit
from scalefit.leastsq.diagnose import FitState, diagnose
from scalefit.problem import build_problem
from scalefit.records import Uncertainty
from scalefit.solver.curvature import curvature_at
from scalefit.solver.search import Minimum, search
from scalefit.verdicts import Name

SLOPES = "y ~ A/x^a + B/z^b"


@pytest.fixture(scope="module")
def evidence():
    """A law of two terms on 40 rows with errors of a hundredth."""
    rng = np.random.default_rng(2)
    x, z = np.geomspace(1, 1e3, 40), rng.permutation(np.geomspace(1, 1e4, 40))
    frame = pd.DataFrame({"x": x, "z": z, "y": (2 / x**0.5 + 3 / z**0.4) * np.exp(0.01 * rng.standard_normal(40))})
    problem = build_problem(Law.parse(SLOPES), frame)
    (best, *_) = search(problem.design)
    point = problem.design.to_natural(best.theta)
    se = np.full(4, 0.01)
    spread = Uncertainty("HC3", 0.95, se, point - 2 * se, point + 2 * se, np.diag(se**2), se)
    return FitState(problem, (best,), point, curvature_at(problem.design, best.theta, np.inf), spread, frame)


def codes(evidence):
    return [finding.code for finding in diagnose(evidence)]


def test_the_case_that_the_others_vary_has_no_findings(evidence):
    assert codes(evidence) == []


@pytest.mark.parametrize(("correlation", "reported"), [(0.949, False), (0.951, True), (-0.949, False), (-0.951, True)])
def test_exponents_trade_off_beyond_a_correlation_of_095(evidence, correlation, reported):
    names = list(evidence.problem.names)
    a, b = names.index("a"), names.index("b")
    covariance = evidence.spread.covariance.copy()
    covariance[a, b] = covariance[b, a] = correlation * 0.01**2
    changed = evidence._replace(spread=replace(evidence.spread, covariance=covariance))
    assert codes(changed) == (["exponents_trade_off"] if reported else [])
    for found in diagnose(changed):
        assert (found.numbers, found.threshold) == ({"correlation": pytest.approx(correlation)}, 0.95)
        assert [str(run) for run in found.runs if isinstance(run, Name)] == ["a", "b"]


@pytest.mark.parametrize("scatter", [1.0, 1e-3])
@pytest.mark.parametrize(("level", "reported"), [(0.949, True), (0.951, False)])
def test_an_optimum_that_a_test_at_95_percent_does_not_reject_competes(evidence, level, reported, scatter):
    """The sum of squares of a hypothesis of one degree of freedom exceeds the least by chi-square times s^2."""
    residual = scatter * evidence.shape.residual
    shape = evidence.shape._replace(residual=residual, psi=residual)
    squares = float(residual @ residual)
    more = stats.chi2.ppf(level, 1) * squares / (40 - 4)
    best = evidence.optima[0]._replace(value=squares / 2)
    moved = evidence.point + 0.05 * np.array(
        [parameter.kind == "exponent" for parameter in evidence.problem.parameters]
    )
    other = Minimum(evidence.problem.design.from_natural(moved), (squares + more) / 2, True, 1)
    changed = evidence._replace(optima=(best._replace(hits=5), other), shape=shape)
    assert ("optima_disagree" in codes(changed)) == reported


@pytest.mark.parametrize(("distance", "reported"), [(0.009, False), (0.011, True)])
def test_an_optimum_within_a_standard_error_is_no_other_answer(evidence, distance, reported):
    moved = evidence.point + distance * np.array(
        [parameter.kind == "exponent" for parameter in evidence.problem.parameters]
    )
    best = evidence.optima[0]._replace(hits=5)
    other = Minimum(evidence.problem.design.from_natural(moved), best.value * 1.002, True, 1)
    assert ("optima_disagree" in codes(evidence._replace(optima=(best, other)))) == reported


@pytest.mark.parametrize(("share", "reported"), [(1.1e-6, False), (0.9e-6, True)])
def test_a_term_below_a_millionth_of_every_prediction_has_vanished(evidence, share, reported):
    parts = np.column_stack([np.ones(40), np.full(40, 1e-9)])
    parts[7, 1] = share  # the row in which it is largest
    changed = evidence._replace(shape=evidence.shape._replace(share=parts))
    assert codes(changed) == (["term_vanished"] if reported else [])
    if reported:
        assert diagnose(changed)[0].about == (("B", ()), ("b", ()))


@pytest.mark.parametrize(("exponent", "reported"), [(3.9, False), (4.1, True)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_exponent_beyond_four_is_steep(exponent, reported, sign):
    x = np.geomspace(1, 20, 30)
    noise = np.exp(1e-3 * np.cos(7 * np.arange(30)))
    frame = pd.DataFrame({"x": x, "y": 5 * x ** (-sign * exponent) * noise})
    result = fit(frame, "y ~ c/x^a", exponents="free", bootstrap=0)
    assert result["a"].value == pytest.approx(sign * exponent, abs=0.01)
    assert [finding.code for finding in result.findings] == (["steep_exponent"] if reported else [])


@pytest.mark.parametrize(("factor", "reported"), [(9.9, True), (10.1, False)])
def test_an_exponent_from_less_than_a_decade_is_reported(factor, reported):
    x = np.geomspace(3, 3 * factor, 30)
    frame = pd.DataFrame({"x": x, "y": 5 * x**-0.5 * np.exp(1e-3 * np.cos(7 * np.arange(30)))})
    assert [finding.code for finding in fit(frame, "y ~ c/x^a", bootstrap=0).findings] == (
        ["short_range"] if reported else []
    )


@pytest.mark.parametrize(("ratio", "reported"), [(1.49, False), (1.51, True)])
def test_an_error_beyond_one_and_a_half_of_gauss_newtons_is_reported(evidence, ratio, reported):
    spread = replace(evidence.spread, se=np.array([0.01, 0.01, 0.01, ratio * 0.01]))
    assert codes(evidence._replace(spread=spread)) == (["unequal_scatter"] if reported else [])


@pytest.mark.parametrize(("width", "reported"), [(1.99, False), (2.01, True)])
def test_an_exponent_known_to_no_better_than_two_is_not_identified(evidence, width, reported):
    names = list(evidence.problem.names)
    lo, hi = evidence.spread.lo.copy(), evidence.spread.hi.copy()
    lo[names.index("a")], hi[names.index("a")] = 0.1, 0.1 + width
    assert ("wide_exponent" in codes(evidence._replace(spread=replace(evidence.spread, lo=lo, hi=hi)))) == reported


@pytest.mark.parametrize(("decades", "reported"), [(1.99, False), (2.01, True)])
def test_a_coefficient_open_by_two_decades_at_the_centre_is_not_identified(evidence, decades, reported):
    """Normal errors: 2 x 1.96 standard errors of the log of a term's size, apart from those of its exponent."""
    design = evidence.problem.design
    a = next(i for i, parameter in enumerate(evidence.problem.parameters) if parameter.kind == "coefficient")
    error = decades * np.log(10) / (2 * stats.norm.ppf(0.975))
    centred = np.zeros((4, 4))
    centred[a, a] = error**2
    covariance = design.natural_matrix() @ centred @ design.natural_matrix().T
    changed = evidence._replace(spread=replace(evidence.spread, covariance=covariance))
    assert ("open_coefficient" in codes(changed)) == reported


@pytest.mark.parametrize(("share", "reported"), [(0.024, False), (0.026, True)])
def test_a_floor_that_is_zero_in_more_refits_than_lie_beyond_one_end_is_reported(share, reported):
    """At a level of 0.95 a fortieth of the refits lies below the interval."""
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0, 8.0, 16.0], "y": [2.1, 1.4, 1.3, 1.1, 1.0]})
    problem = build_problem(Law.parse("y ~ E + 1/x^1"), frame)
    (best, *_) = search(problem.design)
    point = problem.design.to_natural(best.theta)
    draws = np.where(np.arange(1000) < 1000 * share, 0.0, 1.0)[:, None]
    se = np.full(1, 0.1)
    spread = Uncertainty("pairs", 0.95, se, point - se, point + se, np.diag(se**2), se, draws=draws)
    shape = curvature_at(problem.design, best.theta, np.inf)
    assert ("floor_reaches_zero" in codes(FitState(problem, (best,), point, shape, spread, frame))) == reported
