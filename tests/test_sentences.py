"""Each rule that turns numbers into a sentence, on fits made up for the purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scalefit import fit
from scalefit.data.tables import Dropped
from scalefit.data.where import parse_where
from scalefit.errors import StudyError
from scalefit.law.additive import Law
from scalefit.options import LeastSquares, Rows
from scalefit.plots.specification import choice_words
from scalefit.problem import Parameter
from scalefit.records import Finding, LocalOptimum, Source, Uncertainty
from scalefit.report import sentences as say
from scalefit.report.figures import _residuals
from scalefit.report.method import _derived, _selected
from scalefit.report.posterior_words import Hypothesis, comparable_sentence, estimand
from scalefit.report.provenance import DataFile
from scalefit.report.published import PublishedPoint, objective_at, published_point
from scalefit.report.reader import read_study
from scalefit.report.spec import Published, ResidualsFigure
from scalefit.report.step_sections import _shares
from scalefit.report.tables import files_blocks
from scalefit.report.text import fill, join, runs, spoken
from scalefit.results import Fit, LeastSquaresFit

LAW = Law.parse("loss ~ E + A/width^alpha")


def made(alpha: float = 0.9, se: float = 0.1, **changes: object) -> Fit:
    """A fit of one width term whose exponent is as asked; E is 2 and A is 50, both exactly."""
    width = np.array([100.0, 200.0, 400.0, 800.0, 1600.0])
    rows = pd.DataFrame({"loss": (2 + 50 / width**alpha) * np.exp([0.01, -0.01, 0.0, 0.01, -0.02]), "width": width})
    point = np.array([2.0, np.log(50.0), alpha])
    spread = np.array([0.02, 0.1, se])
    kinds = ("floor", "coefficient", "exponent")
    fit = LeastSquaresFit(
        law=LAW, options=LeastSquares(), selection=Rows(), value=7e-4,
        parameters=tuple(Parameter(coef, (), kind) for coef, kind in zip(LAW.parameters, kinds, strict=True)),
        point=point, findings=(), source=Source("runs", "0" * 64, 5), rows=rows,
        uncertainty=Uncertainty(
            "pairs bootstrap", 0.95, spread, point - 2 * spread, point + 2 * spread, np.diag(spread**2), spread / 2
        ),
        optima=(LocalOptimum(7e-4, tuple(point), 9, True),), version="0",
    )  # fmt: skip
    return replace(fit, **changes)  # type: ignore[arg-type]


OTHERS = Source("others", "1" * 64, 5)
BROKEN = made(findings=(Finding("x", "not identified", "The floor is 0."),))


def test_role_names_the_column() -> None:
    assert say.role(made(), "alpha") == "exponent of width"
    assert say.role(made(), "A") == "coefficient of width"
    assert say.role(made(), "E") == "floor"
    assert say.words("params") == "parameters"


def test_status_comes_first_when_there_is_no_answer() -> None:
    assert say.status_sentence(made()) == ""
    assert say.status_sentence(BROKEN) == "No answer: the fit is not identified. The floor is 0."
    warned = made(findings=(Finding("x", "warning", "width spans little."),))
    assert say.status_sentence(warned) == "Width spans little."


def test_law_sentence() -> None:
    assert (
        say.law_sentence(made())
        == "On 5 rows of runs the exponent of width is 0.90 ± 0.10 and the floor is 2.000 ± 0.020."
    )
    assert "no answer" in say.law_sentence(BROKEN)


def test_reference_allowed_but_not_established() -> None:
    text = say.reference_sentence(made(), "alpha", 1.0)
    assert "95% interval [0.70, 1.10] includes 1." in text
    assert text.endswith("The data are compatible with 1, but also with 0.70 to 1.10.")


def test_reference_included_or_excluded() -> None:
    assert say.reference_sentence(made(1.0, 0.02), "alpha", 1.0).endswith("includes 1.")
    assert say.reference_sentence(made(0.5, 0.02), "alpha", 1.0).endswith("excludes 1.")
    both = say.reference_sentence(made(0.5, 0.02), "alpha", 1.0, {"other": made(0.6, 0.02)})
    assert both.endswith("excludes 1. Every other analysis of the same runs agrees.")


def test_reference_that_depends_on_the_analysis_stays_open() -> None:
    text = say.reference_sentence(made(), "alpha", 1.0, {"a cut": made(0.5, 0.02)})
    assert text.endswith("The answer depends on the analysis: “a cut” excludes it.")
    text = say.reference_sentence(made(0.5, 0.02), "alpha", 1.0, {"a": made(), "b": made()})
    assert "“a” and “b” include it" in text


def test_reference_of_a_fit_without_an_answer() -> None:
    assert "cannot be answered: the fit is not identified" in say.reference_sentence(BROKEN, "alpha", 1.0)


def test_pooled_groups_that_disagree() -> None:
    among = {"a": made(0.4, 0.05), "b": made(2.0, 0.1, source=OTHERS)}
    text = say.pooled_sentence(made(), "alpha", among, 1.0)
    assert "from 0.400 ± 0.050 (a) to 2.00 ± 0.10 (b), which differ beyond their errors (p <0.001)" in text
    assert text.endswith("2 of 2 exclude 1 (a and b).")


def test_pooled_groups_that_agree() -> None:
    text = say.pooled_sentence(made(), "alpha", {"a": made(0.9), "b": made(1.0, source=OTHERS)}, 1.0)
    assert ", no farther apart than by chance (p 0.48)" in text
    assert text.endswith("None of 2 excludes 1.")


def test_other_fits_of_the_same_groups_are_listed_with_what_they_exclude() -> None:
    others = {"logs": made(0.8), "posterior": made(0.8, 0.05)}
    listed = "Other analyses of the same groups give 0.80 ± 0.10 (logs) and 0.800 ± 0.050 (posterior)"
    assert say.other_fits_sentence(others, "alpha") == f"{listed}."
    assert say.other_fits_sentence(others, "alpha", 1.0) == f"{listed}; 1 is outside the interval of posterior."
    assert say.other_fits_sentence(others, "alpha", 0.8) == f"{listed}, none of which excludes 0.8."


def test_alternatives_name_the_largest_move() -> None:
    text = say.alternatives_sentence(made(), ["alpha"], {"near": made(0.95), "far": made(1.2)})
    assert text == "Other choices move $alpha$ by at most 3.0 standard errors (“far”)."
    assert say.alternatives_sentence(made(), ["alpha"], {}) == ""


def test_nested_alternatives_cost() -> None:
    fixed = replace(made(), parameters=made().parameters[:2], value=7.7e-4)
    assert (
        say.nested_sentence(made(), {"fixed": fixed}) == "“fixed” has 1 parameter fewer and an objective 10.0% higher."
    )
    assert say.nested_sentence(made(), {"linear": replace(fixed, options=LeastSquares(space="linear"))}) == ""


def test_clusters_widen() -> None:
    selection = Rows(cluster="shape")
    text = say.cluster_sentence(made(), made(se=0.2, selection=selection), "alpha")
    assert "whole levels of shape widens the error of $alpha$ by a factor of 2.00" in text
    assert "hardly changes the error" in say.cluster_sentence(made(), made(selection=selection), "alpha")


def test_published_numbers_far_and_near() -> None:
    near = PublishedPoint("Paper", {"alpha": 0.91}, {}, complete=False)
    assert say.published_sentence(made(), near) == (
        "The printed exponents of Paper are within 0.10 standard errors of this optimum."
    )
    far = PublishedPoint("Paper", {"E": 2.0, "A": 50.0, "alpha": 1.4}, {}, complete=True)
    text = say.published_sentence(made(), far)
    assert "$alpha$ by 5.0 standard errors; at the printed point the objective is" in text


def test_published_numbers_of_another_optimum_are_traced_to_it() -> None:
    point = PublishedPoint("Paper", {"alpha": 0.5}, {}, complete=False)
    text = say.nearest_sentence(point, {"this": made(), "that": made(0.5)})
    assert text.startswith("They are nearer to the optimum of “that”")
    assert say.nearest_sentence(point, {"that": made(0.5), "this": made()}) == ""


def test_optima_and_rows() -> None:
    assert (
        say.optima_sentence(made())
        == "Of the 9 starts followed to their end, 9 ended at this optimum and none below it."
    )
    two = (LocalOptimum(7e-4, (), 8, True), LocalOptimum(7.7e-4, (), 1, True))
    assert say.optima_sentence(made(optima=two)) == (
        "Of the 9 starts followed to their end, 8 ended at this optimum and none below it. "
        "One other local optimum was found, the lowest 10.0% above it."
    )
    far = (LocalOptimum(7e-4, (), 8, True), LocalOptimum(7e-2, (), 1, True))
    assert say.optima_sentence(made(optima=far)).endswith("optimum was found, the lowest at 100 times its objective.")
    assert say.rows_sentence(made()) == "All 5 rows of runs are used."
    source = Source("runs", "0" * 64, 7, (Dropped("drop_invalid", 2, "loss is zero"),))
    assert say.rows_sentence(made(source=source)) == (
        "5 of the 7 rows of runs are used; dropped are 2 because loss is zero."
    )
    cut = Source("runs", "0" * 64, 7, (Dropped("drop_highest_loss", 2, "high", "1, ties=drop"),))
    highest = made(source=cut, selection=Rows(drop_highest_loss=1))
    assert "dropped are 2 with the highest losses (1 and those tied with them)." in say.rows_sentence(highest)
    one = Source("runs", "0" * 64, 7, (Dropped("where", 2, "no", "my_col >= 3"),))
    assert "dropped are 2 outside the condition my col ≥ 3." in say.rows_sentence(made(source=one))


def test_scatter_and_residuals() -> None:
    assert "by a factor of 2.00 for $alpha$" in say.scatter_sentence(made())
    calm = replace(made().uncertainty, gauss_newton=made().uncertainty.se)
    assert say.scatter_sentence(made(uncertainty=calm)) == ""
    sentence = say.residual_sentence(made())
    assert sentence.startswith(
        "Half of the residuals are below 1.00%; the largest is 2.00%. Rows scatter by 1.89% (root mean"
    )


def test_objective_at_is_the_objective_of_the_fit() -> None:
    fit = made()
    assert objective_at(fit, fit.values) == pytest.approx(7e-4, rel=1e-12)
    huber = replace(fit, options=LeastSquares(loss="huber"))
    assert objective_at(huber, fit.values) == pytest.approx(1e-3 * (0.05 - 4 * 5e-4), rel=1e-12)
    assert objective_at(fit, fit.values, absolute=True) == pytest.approx(0.05, rel=1e-12)


def test_published_point_without_a_value_is_refused() -> None:
    with pytest.raises(StudyError, match="no published value begins with 'nobody1999'"):
        published_point(made(), Published("Nobody", "nobody1999"))


def test_text_becomes_runs() -> None:
    mathml = "<msub><mi>a</mi><mrow><mi>m</mi></mrow></msub>"
    symbol = {"math": "a_(m)", "mathml": mathml, "latex": "a_{m}", "alt": "a m"}
    assert runs("**Well.** $a_m$ is 1 ± 2, [3, 4]") == [
        {"strong": "Well."}, " ", symbol, " is 1\u00a0±\u00a02, [3,\u00a04]",
    ]  # fmt: skip
    assert spoken(LAW) == "loss equals E plus A over width to the power alpha"
    assert join(["a", "b", "c"]) == "a, b and c"


def test_places_are_filled() -> None:
    fits = {"main": made()}
    text = "{main.alpha}; {main.alpha:value}; {main.alpha:se}; {main.alpha:interval}; {main.alpha:plain}; {main.rows}"
    assert fill(text, fits) == "0.90 ± 0.10; 0.90; 0.10; [0.70, 1.10]; 0.050; 5"
    assert fill("{hoffmann2022.alpha}", fits) == "0.34"
    assert fill("{besiroglu2024.alpha}", fits) == "0.348 ± 0.02"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{main.alpa}", "did you mean 'alpha'"),
        ("{mian.alpha}", "no fit is called 'mian'"),
        ("{main.alpha:error}", "'error' is not a part of a number"),
    ],
)
def test_places_that_name_nothing(text: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        fill(text, {"main": made()})


def test_rounding_is_a_source_of_difference_of_its_own() -> None:
    best = {"E": 2.0, "A": 50.4, "alpha": 0.9}  # along A
    fit = made(value=objective_at(made(), best))
    near = PublishedPoint("a paper", best | {"A": 50.6}, {}, True)
    far = PublishedPoint("its page", best | {"A": 51.0}, {}, True)
    assert say.rounds_to(near, far)
    assert not say.rounds_to(far, near)
    assert not say.rounds_to(near, PublishedPoint("another", best | {"A": 52.0}, {}, True))
    # the excess is quadratic in the distance from the optimum, 0.2 and 0.6: a ninth of it is there without rounding
    text = say.rounding_sentence(fit, (near, far))
    assert text.endswith("rounded as printed 2.54%, so that 89% of the excess is rounding.")
    assert say.rounding_sentence(fit, (near,)) == ""
    lucky = PublishedPoint("its page", best | {"A": 50.0}, {}, True)
    worse = PublishedPoint("a paper", best | {"A": 49.6}, {}, True)
    assert "of the excess" not in say.rounding_sentence(fit, (worse, lucky))


def test_a_parameter_measures_what_stands_next_to_it() -> None:
    alone, beside = made(), made(0.4, 0.05, source=OTHERS)
    with_tokens = made(law=Law.parse("loss ~ E[set] + A/width^alpha + B/tokens^beta"))
    assert estimand(alone, ["a_m", "alpha"]) == "width alone"
    assert estimand(with_tokens, ["alpha"]) == "width, with tokens, offsets by set"
    assert estimand(with_tokens, ["E"]) == ""
    question = Hypothesis.ask("alpha", 1.0, 0.1)
    assert comparable_sentence({"one": alone, "two": beside}, question) == ""  # the verdict on all of them says it
    text = comparable_sentence({"one": alone, "two": beside, "three": with_tokens}, question)
    alike = "Of the same quantity (width alone), the sources disagree (chi-square 20.0 on 1, p <0.001)"
    assert text.startswith(f"These are 2 different quantities. {alike}")
    assert comparable_sentence({"one": alone}, question).startswith("These are 1 different quantities, and no two")


def test_choices_and_conditions_become_words() -> None:
    assert choice_words([("likelihood", "normal"), ("where", "width <= 2600")]) == "normal errors, width ≤ 2600"
    assert choice_words([]) == "base"
    for condition, words in (
        ('eval_set == "c4_val" and depth != 3', "eval set = c4 val and depth ≠ 3"),
        ("params != 603888888.8888888 and tokens >= 4.0669e9", "params ≠ 603.9M and tokens ≥ 4.067B"),
        ('run == "a-1e9" and loss < 3.25', "run = a-1e9 and loss < 3.25"),
        ('not (kept or subset in ["a_b", "c >= 2"])', "not (kept or subset in [a b, c >= 2])"),
    ):
        assert parse_where(condition).in_words() == words
        assert choice_words([("where", condition)]) == words
    assert choice_words([("mapping", "params=params_non_embedding")]) == "params = params non embedding"


def test_one_file_of_the_user_is_named_in_the_footer_alone() -> None:
    mine = DataFile("runs", "runs.csv", "runs.csv", None, "ab" * 32, ())
    shipped = DataFile(
        "porian", "data/porian/table.csv", "Porian", 9, "cd" * 32, ("arXiv:2406.19146",), ("github.com/a/b",)
    )
    assert files_blocks([mine], {}) == []
    (block,) = files_blocks([mine, shipped], {mine.file: 41})
    assert block["kind"] == "table"
    assert [(row[1], row[3]) for row in block["rows"]] == [(["41"], []), (["9"], ["arXiv:2406.19146"])]


def test_excluded_rows_are_shown_only_where_they_are_fewer() -> None:
    law, spec = Law.parse("loss ~ E + A/params^alpha"), ResidualsFigure()
    g = np.random.default_rng(0)
    size = np.geomspace(1e6, 1e9, 30)
    rows = pd.DataFrame({"params": size, "loss": (2 + 50 * size**-0.3) * np.exp(g.normal(0, 0.01, 30))})
    some = fit(rows.iloc[:20], law, bootstrap=0)
    assert "Gold" in _residuals(spec, some, "some", rows.iloc[20:]).caption
    few = fit(rows.iloc[:12], law, bootstrap=0)
    words = _residuals(spec, few, "few", rows.iloc[12:]).caption
    assert "Gold" not in words
    assert words.endswith("The 18 excluded rows, more than the 12 used, are not shown.")


def test_derived_columns_and_selection_by_the_response_are_stated(tmp_path) -> None:
    (tmp_path / "study.toml").write_text(
        'title = "T"\n[[fit]]\nname = "a"\ndata = "chinchilla"\nlaw = "chinchilla"\ndrop_highest_loss = 5\n'
        '[[fit]]\nname = "b"\ndata = "chinchilla"\nlaw = "width"\nwhere = "loss < 3"\n'
        '[[fit]]\nname = "c"\ndata = "gemstones"\nlaw = "chinchilla"\nderive = ["params"]\n',
        encoding="utf-8",
    )
    study = read_study(tmp_path / "study.toml")
    assert _derived(study) == (
        "Some columns are not measured: in chinchilla tokens are flops / (6 params) and parameters are computed where "
        "the table has none. An error of what they are computed from is theirs, too."
    )
    assert _selected(study).startswith(
        "Rows are selected by the response: 1 of 3 fits drop the 5 highest losses and 1 of 3 have a condition on the "
        "response."
    )
    plain = replace(study, fit=study.fit[2:3])
    assert (_derived(replace(plain, fit=(replace(plain.fit[0], selection=Rows()),))), _selected(plain)) == ("", "")


def test_many_levels_without_coverage_are_a_range() -> None:
    names = [f"E[{letter}]" for letter in "abcd"]
    rows = pd.DataFrame(
        {"param": [*names, "alpha"], "coverage": [0.5, 0.6, 0.7, 0.8, 0.4], "coverage_lo": 0.3, "coverage_hi": 0.9}
    )
    assert _shares(rows) == ["4 levels of $E$ 50% to 80%", "$alpha$ 40% [30%, 90%]"]
    assert _shares(rows.iloc[[0, 4]])[0] == "$E$ a 50% [30%, 90%]"
