"""Posteriors in the PDF: a small study of synthetic runs, from its file to its pages."""

from __future__ import annotations

import importlib.util
import json
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader

from scalefit.cli import main
from scalefit.errors import MissingExtra
from scalefit.law.additive import Law
from scalefit.options import Bayes
from scalefit.posterior import fit as sampling
from scalefit.posterior import result as summarising
from scalefit.records import (
    CONVERGED,
)
from scalefit.report import build_report, read_study, runners
from scalefit.report.posterior_words import Hypothesis
from scalefit.report.study import FitSpec

LAW = Law.parse("loss ~ E + A/width^alpha")
ONE = Hypothesis.ask("alpha,a_m", 1.0, 0.0)


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
        "with a floor width alone posterior",
        "squares width alone bootstrap",
        "bootstrap: share of replicates, not a probability",
        "Besiroglu et al. 2024 published 0.348 ± 0.020",
        "a bootstrap distribution is not a posterior",
        "How each posterior was sampled",
        "Uniform(0, lowest loss of its rows) for 𝐸",
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
    words = shlex.split(runners.command(study.spec("main")))
    assert words[1:3] == ["bayes", "runs.csv"]
    assert words[4:6] == ["--prior", "alpha=HalfNormal(2)"]
    monkeypatch.setattr("sys.argv", [*words, "--json"])
    with pytest.raises(SystemExit, match="0"):
        main()
    fit = runners.run_spec(study.spec("main"), folder, None)
    assert json.loads(capsys.readouterr().out)["estimate"] == pytest.approx(fit.values, rel=1e-12)
    assert fit.status == CONVERGED


def test_every_option_of_a_posterior_is_in_its_command() -> None:
    priors = {"a": "HalfNormal(2)", "b": "Uniform(0, 3)"}
    options = Bayes(priors=priors, pool={"a": "none"}, path="fast", draws=4000)
    assert runners.command(FitSpec("x", "runs.csv", "loss ~ A/width^a + B/depth^b", options=options)) == (
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
    assert "Posterior predictive check of “mine”" in text


def test_nuts_without_its_packages_is_refused_before_the_computing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(runners, "find_spec", lambda name: None if name == "pymc" else real(name))
    monkeypatch.setattr(runners, "run_spec", None)
    with pytest.raises(MissingExtra, match=r"Fit 'mine', which has path = \"full\".*pip install \"\.\[bayes\]\""):
        build_report(one_posterior(tmp_path, 'path = "full"\n'))


def test_a_report_without_pymc_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "find_spec", lambda _: None)
    monkeypatch.setattr(sampling, "GOOD_KHAT", -9.0)
    text = text_of(build_report(one_posterior(tmp_path)))
    assert "To continue, install the full path in the folder of your clone" in text
    assert 'pip install ".[bayes]"' in text


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
