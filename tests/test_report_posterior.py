"""Posteriors in a report: what the sentences say, and what stands in the PDF."""

from __future__ import annotations

import importlib.util
import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader
from scipy import stats

from scalefit.bayes import fit as sampling
from scalefit.bayes import result as summarising
from scalefit.cli import main
from scalefit.datasets import PublishedValue
from scalefit.errors import MissingExtra, StudyError
from scalefit.law import Law
from scalefit.problem import Parameter
from scalefit.records import (
    CONVERGED,
    NOT_CONVERGED,
    NOT_IDENTIFIED,
    Finding,
    Objective,
    Posterior,
    Source,
    Uncertainty,
)
from scalefit.report import build_report, engines, read_study
from scalefit.report import posterior_words as say
from scalefit.report.posterior_tables import priors_table
from scalefit.report.posterior_words import Question
from scalefit.report.published import printed_number
from scalefit.report.study import FitSpec, Published
from scalefit.results import Fit

LAW = Law.parse("loss ~ E + A/width^alpha")
ONE = Question.ask("alpha,a_m", 1.0, 0.0)


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
        "fast", "Importance sampling represents the posterior.", (("E", "Uniform(0, 2.03125)"), ("A", "HalfNormal(1)")),
        (), np.full(4, 900.0), np.full(4, 800.0), np.full(4, np.nan), khat=0.2,
    )  # fmt: skip
    fit = Fit(
        law=LAW, engine="bayes", objective=Objective("student_t", None, "log"), value=1.0,
        parameters=(*parameters, scale), point=point, findings=(), source=Source(table, table, 5), rows=rows,
        uncertainty=Uncertainty(
            "posterior", 0.95, spread, point - 2 * spread, point + 2 * spread, np.diag(spread**2), np.zeros(4), draws
        ),
        optima=(), seed=0, version="0", label=table, posterior=found,
    )  # fmt: skip
    return replace(fit, **changes)  # type: ignore[arg-type]


def with_finding(severity: str, message: str) -> Fit:
    return posterior(findings=(Finding("x", severity, message),))


# Sentences -------------------------------------------------------------------------------------------------


def test_a_question_has_a_region_of_a_tenth_unless_told() -> None:
    assert (ONE.names, ONE.region, ONE.near) == (("alpha", "a_m"), (0.9, 1.1), "within 0.1 of 1")
    assert Question.ask("x", 2.0, 0.5).region == (1.5, 2.5)
    assert Question.ask("x", None, 0.0).near == ""


def test_names_become_symbols_unless_they_are_words() -> None:
    text = "A posterior of E piles up; alpha[OPT] = 1, sd(alpha), A = 2 and an alphabet, E-BFMI, width."
    assert say.with_symbols(text, posterior()) == (
        "A posterior of $E$ piles up; $alpha$ OPT = 1, sd($alpha$), $A$ = 2 and an alphabet, E-BFMI, width."
    )
    assert say.with_symbols("E stays") == "E stays"


def test_status_tells_failure_from_what_the_data_leave_open() -> None:
    assert say.posterior_status(posterior()) == ""
    failed = say.posterior_status(with_finding(NOT_CONVERGED, "k-hat is 0.9."))
    assert failed == "No answer: these draws do not represent the posterior. k-hat is 0.9."
    open_floor = say.posterior_status(with_finding(NOT_IDENTIFIED, "The posterior of E piles up at 0."))
    assert open_floor == "Not everything is identified. The posterior of $E$ piles up at 0."
    assert say.posterior_status(with_finding("warning", "A prior leads.")) == "A prior leads."


def test_the_model_is_told_in_words() -> None:
    assert say.model_sentence(posterior()) == "Residuals of ln\u00a0loss follow Student’s t."
    shifted = posterior(objective=Objective("normal", None, "log"), source=Source("runs", "0", 5, cluster="shape"))
    assert (
        say.model_sentence(shifted) == "Residuals of ln\u00a0loss are normal; rows of one shape share a random shift."
    )


@pytest.mark.parametrize(
    ("values", "end"),
    [
        ([(1.0, 0.02)], "is >0.999 (“0”): it is."),
        ([(1.0, 0.02), (1.01, 0.02)], "every analysis says that it is."),
        ([(0.5, 0.02)], "is <0.001 (“0”): it is not."),
        ([(0.5, 0.02), (0.6, 0.02)], "every analysis says that it is not."),
        ([(1.0, 0.1)], "is 0.68 (“0”): these runs do not settle it."),
        ([(1.0, 0.1), (0.99, 0.1)], "these runs do not settle it."),
        (
            [(1.0, 0.02), (0.5, 0.02)],
            "the answer hangs on the choice of rows and errors, and these runs do not settle it.",
        ),
    ],
)
def test_probability_of_a_reference(values: list[tuple[float, float]], end: str) -> None:
    fits = {str(i): posterior(*one) for i, one in enumerate(values)}
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
    assert "is >0.999 (“good”): it is. Without an answer: “bad” (not converged)." in text


def test_printed_numbers_are_shown_and_not_counted() -> None:
    paper = printed_number(Published("Liu et al.", "liu2025"), ("a_m", "alpha"))
    assert isinstance(paper, PublishedValue)
    found = say.sources_of({"a": posterior(1.0, table="a"), "b": posterior(1.01, table="b")}, ONE, {"print": paper})
    assert [one.kind for one in found.beliefs] == ["posterior", "posterior", "published"]
    assert found.agreement is not None
    assert found.agreement.labels == ("a", "b")
    assert "sources agree within their errors" in say.agreement_sentence(found)
    assert say.intervals_sentence(found.beliefs, 1.0) == "Of the 2 fitted intervals none exclude 1."
    with pytest.raises(StudyError, match=r"no published value liu2025.beta for 'Liu et al.'"):
        printed_number(Published("Liu et al.", "liu2025"), ("beta",))


def test_sources_that_disagree_are_said_to() -> None:
    fits = {"a": posterior(1.0, table="a"), "b": posterior(0.3, table="b")}
    fits["open"] = posterior(0.5, table="c", findings=(Finding("x", NOT_IDENTIFIED, "The data leave alpha open."),))
    found = say.sources_of(fits, ONE)
    text = say.agreement_sentence(found)
    assert "sources disagree" in text
    assert text.endswith("Not counted, because they have no answer: open (not identified).")
    assert say.intervals_sentence(found.beliefs, 1.0) == "Of the 3 fitted intervals 2 exclude 1 (b and open)."
    alone = say.sources_of({"a": posterior(table="a"), "again": posterior(table="a")}, ONE)
    assert "whether they agree cannot be asked" in say.agreement_sentence(alone)


def test_rules_become_words() -> None:
    assert say.rule_words("params >= 2.00668e+09") == "parameters ≥ 2.007B"
    assert say.rule_words("width > 3 and depth < 5") == "width > 3 and depth < 5"


def test_the_default_prior_of_a_floor_is_told_by_its_rule() -> None:
    block = priors_table({"one": posterior(), "two": posterior()})
    assert block["rows"][0][0] == ["Uniform(0, lowest loss of its rows)"]
    assert block["rows"][0][2] == ["all that have it"]
    other = posterior()
    assert other.posterior is not None
    other = replace(other, posterior=replace(other.posterior, priors=(("E", "Uniform(0, 1)"),)))
    rows = priors_table({"one": posterior(), "two": other})["rows"]
    assert [row[2] for row in rows if "Uniform(0, 1)" in row[0]] == [["“two”"]]


# The PDF ---------------------------------------------------------------------------------------------------

STUDY = """
title = "Posteriors"
date = 2026-01-02

[defaults]
bootstrap = 40
draws = 1000

[[fit]]
name = "main"
label = "Student-t"
engine = "bayes"
data = "runs.csv"
law = "loss ~ A/width^alpha"
priors = { alpha = "HalfNormal(2)" }

[[fit]]
name = "shapes"
label = "by shape"
engine = "bayes"
data = "runs.csv"
law = "loss ~ A/width^alpha"
likelihood = "normal"
cluster = "shape"

[[fit]]
name = "fixed"
label = "fixed at 0.4"
engine = "bayes"
data = "runs.csv"
law = "loss ~ A/width^0.4"

[[fit]]
name = "floor"
label = "with a floor"
engine = "bayes"
data = "runs.csv"
law = "loss ~ E + A/width^alpha"

[[fit]]
name = "squares"
data = "others.csv"
law = "loss ~ A/width^b"

[[answer]]
rule = "posterior"
fit = "main"
parameter = "alpha"
reference = 0.4
also = ["shapes"]

[[answer]]
rule = "agreement"
fit = "main"
parameter = "alpha,b"
also = ["squares"]

[[section]]
kind = "posterior"
title = "The exponent"
fit = "main"
parameter = "alpha"
reference = 0.4
alternatives = ["shapes", "floor"]
laws = ["main", "fixed"]
hold_out = "width"
text = ["It is {main.alpha:value}."]
figures = [
    { kind = "priors" },
    { kind = "joint" },
    { kind = "distributions", fits = ["main", "shapes"], parameter = "alpha", reference = 0.4 },
]

[[section]]
kind = "posterior"
title = "A floor"
fit = "floor"

[[section]]
kind = "comparison"
title = "Together"
fits = ["main", "shapes", "floor", "squares"]
parameter = "alpha,b"
reference = 0.4
published = [{ label = "Besiroglu et al. 2024", key = "besiroglu2024" }]
"""


def write_runs(folder: Path) -> None:
    """A power law without a floor, runs of one shape sharing an error, and the same again with other errors."""
    for name, seed in (("runs", 5), ("others", 6)):
        rng = np.random.default_rng(seed)
        width, shape = np.repeat([64.0, 128, 256, 512, 1024, 2048], 3), np.repeat(list("abcdef"), 3)
        noise = 0.03 * rng.standard_normal(18) + np.repeat(0.02 * rng.standard_normal(6), 3)
        table = pd.DataFrame({"width": width, "shape": shape, "loss": 40 * width**-0.4 * np.exp(noise)})
        table.to_csv(folder / f"{name}.csv", index=False)


def text_of(pdf: Path) -> str:
    """All text, with every run of blanks as one space."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study, its tables and its report."""
    folder = tmp_path_factory.mktemp("posteriors")
    write_runs(folder)
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    build_report(folder / "study.toml", out=folder / "report.pdf")
    return folder


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    """What the report says."""
    return text_of(folder / "report.pdf")


def test_report_of_posteriors_says_what_was_found(text: str) -> None:
    for words in (
        "5 fits to 2 tables",
        "The probability that the exponent of width is within 0.04 of 0.4 is",
        "sources agree within their errors",
        "Residuals of ln loss follow Student’s t.",
        "Importance sampling represents the posterior: effective draws",
        "mean ± sd 95% interval prior effective draws",
        "Bayes factor for",
        "HalfNormal(2) (of the fit)",
        "Laws by the log predictive density of each row given the others (18)",
        "predicting those with width ≥ 2048",
        "Not everything is identified. The posterior of 𝐸 piles up at 0",
        "with a floor posterior",
        "squares bootstrap",
        "bootstrap: share of replicates, not a probability",
        "Besiroglu et al. 2024 published 0.348 ± 0.020",
        "a bootstrap distribution is no posterior",
        "How each posterior was sampled",
        "Uniform(0, lowest loss of its rows) 𝐸 all that have it",
        "--likelihood normal --cluster shape",
    ):
        assert words in text, words


def test_a_bayes_factor_stands_beside_at_least_two_other_priors(text: str) -> None:
    table = text[text.index("HalfNormal(2) (of the fit)") :]
    assert all(f"{prior} 0." in table[:600] for prior in ("HalfNormal(0.5)", "HalfNormal(1)", "Uniform(0, 3)"))


def test_same_input_same_bytes_with_the_cache(folder: Path, tmp_path: Path) -> None:
    again = build_report(folder / "study.toml", out=tmp_path / "again.pdf")
    assert again.read_bytes() == (folder / "report.pdf").read_bytes()


def test_the_printed_command_repeats_the_posterior(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = read_study(folder / "study.toml")
    monkeypatch.chdir(folder)
    words = shlex.split(engines.command(study.spec("main")))
    assert words[1:3] == ["bayes", "runs.csv"]
    assert words[-2:] == ["--prior", "alpha=HalfNormal(2)"]
    monkeypatch.setattr("sys.argv", [*words, "--json"])
    with pytest.raises(SystemExit, match="0"):
        main()
    fit = engines.run_spec(study.spec("main"), folder, None)
    assert json.loads(capsys.readouterr().out)["mean"] == pytest.approx(fit.values, rel=1e-12)
    assert fit.status == CONVERGED


def test_every_option_of_a_posterior_is_in_its_command() -> None:
    options = {
        "priors": {"a": "HalfNormal(2)", "b": "Uniform(0, 3)"},
        "pool": {"a": "none"},
        "path": "fast",
        "draws": 4000,
    }
    assert engines.command(
        FitSpec("x", "runs.csv", "loss ~ A/width^a + B/depth^b", engine="bayes", options=options)
    ) == (
        "scalefit bayes runs.csv \"loss ~ A/width^a + B/depth^b\" --prior 'a=HalfNormal(2)' --prior 'b=Uniform(0, 3)' "
        "--pool a=none --path fast"
    )


def one_posterior(folder: Path, more: str = "") -> Path:
    write_runs(folder)
    study = folder / "study.toml"
    law = 'law = "loss ~ A/width^alpha"\n'
    text = 'title = "x"\n[[fit]]\nname = "mine"\nengine = "bayes"\ndata = "runs.csv"\n'
    study.write_text(text + law + "draws = 500\n" + more, encoding="utf-8")
    return study


def test_the_smallest_study_of_a_posterior(tmp_path: Path) -> None:
    text = text_of(build_report(one_posterior(tmp_path)))
    assert "(posterior mean ± standard deviation)" in text
    assert "the draws represent every posterior" in text.lower()
    assert "Would the model of “mine” make data like these?" in text


def test_nuts_without_its_packages_is_refused_before_the_computing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "pymc" else real(name))
    monkeypatch.setattr(engines, "run_spec", None)
    with pytest.raises(MissingExtra, match=r"Fit 'mine', which asks for path = \"full\".*scalefit-reanalysis\[bayes\]"):
        build_report(one_posterior(tmp_path, 'path = "full"\n'))


def test_a_report_without_pymc_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "find_spec", lambda _: None)
    monkeypatch.setattr(sampling, "GOOD_KHAT", -9.0)
    text = text_of(build_report(one_posterior(tmp_path)))
    assert 'To go on, install the full path with: pip install "scalefit-reanalysis[bayes]"' in text


def test_draws_that_do_not_represent_the_posterior_give_no_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summarising, "GOOD_KHAT", -9.0)
    front = '[front.figure]\nkind = "pairs"\nnames = [["alpha", "A"]]\n'
    study = one_posterior(tmp_path, f'path = "fast"\n{front}')
    with (study).open("a", encoding="utf-8") as file:
        file.write(
            '[[section]]\nkind = "posterior"\ntitle = "It"\nfit = "mine"\nparameter = "alpha"\nreference = 0.4\n'
        )
        file.write('[[section]]\nkind = "comparison"\ntitle = "All"\nfits = ["mine"]\nparameter = "alpha"\n')
    text = text_of(build_report(study))
    assert "No answer: these draws do not represent the posterior." in text
    assert "“mine” has no answer:" in text
    assert "no answer the fit is not converged" in text
    assert "mean ± sd" not in text
    assert "Bayes factor for" not in text
