"""Posteriors in a report: what the sentences say of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scalefit.comparison.extrapolate import HeldOut, Split
from scalefit.data.datasets import PublishedValue
from scalefit.errors import StudyError
from scalefit.escape import literal
from scalefit.law.additive import Law
from scalefit.options import Bayes, Rows
from scalefit.problem import Parameter
from scalefit.records import (
    NOT_CONVERGED,
    NOT_IDENTIFIED,
    Finding,
    Posterior,
    Source,
    Uncertainty,
)
from scalefit.report import posterior_words as say
from scalefit.report.posterior_tables import held_out_table, priors_sentence, sampling_table
from scalefit.report.posterior_words import Hypothesis
from scalefit.report.published import printed_number
from scalefit.report.spec import Published
from scalefit.report.text import marked
from scalefit.results import Fit, PosteriorFit
from scalefit.verdicts import Name, Part

LAW = Law.parse("loss ~ E + A/width^alpha")
ONE = Hypothesis.ask("alpha,a_m", 1.0, 0.0)


def posterior(alpha: float = 1.0, se: float = 0.02, *, table: str = "runs", **changes: object) -> Fit:
    """A posterior of one width exponent, normal with the mean and deviation asked for."""
    width = np.array([100.0, 200.0, 400.0, 800.0, 1600.0])
    rows = pd.DataFrame({"loss": 2 + 50 / width, "width": width})
    point, spread = np.array([2.0, np.log(50.0), alpha, 0.01]), np.array([0.02, 0.1, se, 0.001])
    kinds = ("floor", "coefficient", "exponent")
    parameters = [Parameter(coef, (), kind) for coef, kind in zip(LAW.parameters, kinds, strict=True)]
    scale = Parameter(Law.parse("loss ~ sigma/width").parameters[0], (), "scale")
    standard = stats.norm.ppf((np.arange(1000) + 0.5) / 1000)
    draws = point + np.stack([np.random.default_rng(i).permutation(standard) for i in range(4)], axis=1) * spread
    found = Posterior(
        "fast", "Importance sampling represents the posterior.",
        ((("E", ()), "Uniform(0, 2.03125)"), (("A", ()), "HalfNormal(1)")),
        (), np.full(4, 900.0), np.full(4, 800.0), np.full(4, np.nan), khat=0.2,
    )  # fmt: skip
    fit = PosteriorFit(
        law=LAW, options=Bayes(), selection=Rows(), value=1.0,
        parameters=(*parameters, scale), point=point, findings=(), source=Source(table, table, 5), rows=rows,
        uncertainty=Uncertainty(
            "posterior", 0.95, spread, point - 2 * spread, point + 2 * spread, np.diag(spread**2), np.zeros(4), draws
        ),
        optima=(), version="0", label=table, posterior=found,
    )  # fmt: skip
    return replace(fit, **changes)  # type: ignore[arg-type]


def with_finding(severity: str, *parts: Part) -> Fit:
    return posterior(findings=(Finding.of("x", severity, *parts),))


# Sentences -------------------------------------------------------------------------------------------------


def test_a_question_has_a_region_of_a_tenth_unless_told() -> None:
    assert (ONE.names, ONE.region, ONE.near) == (("alpha", "a_m"), (0.9, 1.1), "within 0.1 of 1")
    assert Hypothesis.ask("x", 2.0, 0.5).region == (1.5, 2.5)
    assert Hypothesis.ask("x", None, 0.0).near == ""


def test_names_become_symbols_and_words_do_not() -> None:
    one = Finding.of(
        "x", "warning", "A posterior of ", Name(("A", ())), " is near ", Name(("E", ("OPT", "c4"))), ", E-BFMI."
    )
    assert one.message == "A posterior of A is near E[OPT,c4], E-BFMI."
    assert one.about == (("A", ()), ("E", ("OPT", "c4")))
    assert marked(one.runs) == "A posterior of $A$ is near $E$ OPT, c4, E-BFMI."
    assert marked(("costs 5 $x$", Name(("a_m", ())))) == literal("Costs 5 $x$") + "$a_m$"


def test_status_tells_failure_from_what_the_data_leave_open() -> None:
    assert say.posterior_status(posterior()) == ""
    failed = say.posterior_status(with_finding(NOT_CONVERGED, "k-hat is 0.9."))
    assert failed == "No answer: these draws do not represent the posterior. k-hat is 0.9."
    open_floor = say.posterior_status(
        with_finding(NOT_IDENTIFIED, "The posterior of ", Name(("E", ())), " piles up at 0.")
    )
    assert open_floor == "Not everything is identified. The posterior of $E$ piles up at 0."
    assert say.posterior_status(with_finding("warning", "A prior leads.")) == "A prior leads."


def test_the_table_of_samplers_names_posteriors_whose_tails_may_be_missing() -> None:
    doubtful = posterior(findings=(Finding.of("doubtful_khat", "warning", "The draws may miss tails."),))
    caption = str(sampling_table({"one": doubtful, "two": posterior()})["caption"])
    assert "Above 0.5, the k-hat of “one” leaves spreads in doubt: tails may be missing." in caption
    assert "in doubt" not in str(sampling_table({"two": posterior()})["caption"])
    assert say.posterior_status(doubtful) == "The draws may miss tails."


def test_the_model_is_told_in_words() -> None:
    assert say.model_sentence(posterior()) == "Residuals of ln\u00a0loss follow Student’s t."
    shifted = posterior(options=Bayes(likelihood="normal"), selection=Rows(cluster="shape"))
    assert (
        say.model_sentence(shifted) == "Residuals of ln\u00a0loss are normal; rows of one shape share a random shift."
    )


@pytest.mark.parametrize(
    ("values", "end"),
    [
        ([(1.0, 0.02)], "is >0.999 (“0”): it is established."),
        ([(1.0, 0.02), (1.01, 0.02)], "every analysis establishes it."),
        ([(0.5, 0.02)], "is <0.001 (“0”): it is excluded."),
        ([(0.5, 0.02), (0.6, 0.02)], "every analysis excludes it."),
        ([(1.0, 0.1)], "is 0.68 (“0”): it is neither established nor excluded."),
        ([(1.0, 0.1), (0.99, 0.1)], "it is neither established nor excluded."),
        (
            [(1.0, 0.02), (0.5, 0.02)],
            "the answer depends on the analysis.",
        ),
    ],
)
def test_probability_of_a_reference(values: list[tuple[float, float]], end: str) -> None:
    fits = {str(i): posterior(*value) for i, value in enumerate(values)}
    text = say.probability_sentence(fits, ONE)
    assert text.startswith("The probability that the exponent of width is within 0.1 of 1 is ")
    assert text.endswith(end)


def test_a_fit_without_an_answer_gives_no_probability() -> None:
    bad = with_finding(NOT_CONVERGED, "x")
    assert say.probability_sentence({"bad": bad}, ONE) == (
        "The probability that the exponent of width is within 0.1 of 1 has no answer here. "
        "Without an answer: “bad” (not converged)."
    )
    text = say.probability_sentence({"good": posterior(), "bad": bad}, ONE)
    assert "is >0.999 (“good”): it is established. Without an answer: “bad” (not converged)." in text


def test_printed_numbers_are_shown_and_not_counted() -> None:
    paper = printed_number(Published("Liu et al.", "liu2025"), ("a_m", "alpha"))
    assert isinstance(paper, PublishedValue)
    found = say.sources_of({"a": posterior(1.0, table="a"), "b": posterior(1.01, table="b")}, ONE, {"print": paper})
    assert [source.estimate.spread for source in found.sources] == ["posterior", "posterior", "published"]
    assert found.agreement is not None
    assert found.agreement.labels == ("a", "b")
    assert "sources agree within their errors" in say.agreement_sentence(found)
    assert say.intervals_sentence(found.sources, 1.0) == "Of the 2 fitted intervals none exclude 1."
    with pytest.raises(StudyError, match=r"no published value liu2025.beta for 'Liu et al.'"):
        printed_number(Published("Liu et al.", "liu2025"), ("beta",))


def test_sources_that_disagree_are_said_to() -> None:
    fits = {"a": posterior(1.0, table="a"), "b": posterior(0.3, table="b")}
    fits["open"] = posterior(0.5, table="c", findings=(Finding("x", NOT_IDENTIFIED, "The data leave alpha open."),))
    found = say.sources_of(fits, ONE)
    text = say.agreement_sentence(found)
    assert "sources disagree" in text
    assert text.endswith("Not counted, because they have no answer: open (not identified).")
    assert say.intervals_sentence(found.sources, 1.0) == "Of the 3 fitted intervals 2 exclude 1 (b and open)."
    alone = say.sources_of({"a": posterior(table="a"), "again": posterior(table="a")}, ONE)
    assert "whether they agree cannot be tested" in say.agreement_sentence(alone)


def test_rules_become_words() -> None:
    score = HeldOut("law", 20, 5, 0.01, 0.0, 1.0, 0.9, "converged")
    nobody = np.zeros(5, bool)
    largest = held_out_table((score,), Split("params >= 2.00668e+09", nobody, "params", 2.00668e9))
    assert "parameters ≥ 2.007B" in str(largest["caption"])
    given = held_out_table((score,), Split("width > 3 and depth < 5", nobody))
    assert "width > 3 and depth < 5" in str(given["caption"])


def test_the_default_prior_of_a_floor_is_told_by_its_rule() -> None:
    alike = priors_sentence({"one": posterior(), "two": posterior()})
    assert "Uniform(0, lowest loss of its rows) for $E$;" in alike
    other = posterior()
    assert isinstance(other, PosteriorFit)
    other = replace(other, posterior=replace(other.posterior, priors=((("E", ()), "Uniform(0, 1)"),)))
    apart = priors_sentence({"one": posterior(), "two": other})
    assert "Uniform(0, 1) for $E$ in “two”" in apart
    assert "Uniform(0, lowest loss of its rows) for $E$ in “one”" in apart
