"""Reading a study file: what is accepted, and what every refusal says."""

from __future__ import annotations

import datetime
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from docs.generate.studies import parameters
from scalefit.errors import LawError, StudyError
from scalefit.options import Bayes, LeastSquares, Rows
from scalefit.report.checks import check_study
from scalefit.report.reader import read_study
from scalefit.report.resolve import resolved_text
from scalefit.report.spec import FAMILIES, Card, LawSection, PairsFigure, TermsFigure, with_words
from scalefit.report.study import Study, with_defaults

ROOT = Path(__file__).resolve().parent.parent
SMALL = 'title = "Runs"\n[[fit]]\nname = "main"\ndata = "chinchilla"\nlaw = "chinchilla"\n'
SAMPLED = '[[fit]]\nname = "sampled"\nengine = "bayes"\ndata = "chinchilla"\nlaw = "chinchilla"\n'


def study(tmp_path: Path, text: str) -> Study:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return read_study(path)


def test_smallest_study(tmp_path: Path) -> None:
    read = study(tmp_path, SMALL)
    assert read.title == "Runs"
    assert read.date is None
    assert read.spec("main").law == "chinchilla"
    assert (read.spec("main").selection, read.spec("main").options) == (Rows(), LeastSquares())


def test_defaults_follow_from_the_fits(tmp_path: Path) -> None:
    full = with_defaults(study(tmp_path, SMALL))
    assert full.card == (
        Card("Exponent $alpha$", "main", ("alpha",)),
        Card("Exponent $beta$", "main", ("beta",)),
    )
    assert full.section == (LawSection(title="main", fit="main"),)
    assert full.answer[0].rule == "law"
    assert full.front.fits == ("main",)


def test_keys_of_fit_and_defaults_are_merged(tmp_path: Path) -> None:
    text = SMALL + 'loss = "huber"\nbootstrap = 10\n[defaults]\nbootstrap = 99\nseed = 3\n'
    options = study(tmp_path, text).spec("main").options
    assert options == LeastSquares(bootstrap=10, seed=3, loss="huber")


def test_the_shipped_study_is_valid() -> None:
    read = read_study(ROOT / "reports" / "chinchilla-width" / "study.toml")
    check_study(read)
    assert read.date == datetime.date(2026, 11, 29)
    assert {section.kind for section in read.section} | {"forecast", "levels"} == set(
        FAMILIES[0].members
    )  # these ask for more


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("drop_higest_loss = 5\n", r"\[\[fit\]\] 1: unknown key 'drop_higest_loss'; did you mean 'drop_highest_loss'"),
        ("throw = false\n", "unknown key 'throw'"),
        ('engine = "baysian"\n', "engine is 'baysian'; did you mean 'bayes'"),
        ('likelihood = "normal"\n', r"\[\[fit\]\] 1: unknown key 'likelihood'"),
        ("[defaults]\nbootstraps = 5\n", r"\[defaults\]: unknown key 'bootstraps'; did you mean 'bootstrap'"),
        ('[[sections]]\ntitle = "x"\n', "top level: unknown key 'sections'; did you mean 'section'"),
        ('[[section]]\ntitle = "x"\nfit = "mian"\n', "there is no fit 'mian'; did you mean 'main'"),
        ('[[section]]\ntitle = "x"\nfit = 3\n', "fit: expected str, got 3"),
        ('[[section]]\ntitle = "x"\nfit = "main"\ntext = "one"\n', "text: expected a list, got 'one'"),
        ('[[card]]\ntitle = "x"\nfit = "main"\nparameters = ["a_m"]\n', "fit 'main' has no parameter 'a_m'"),
        ('[[section]]\ntitle = "x"\nfit = "main"\nfigures = [{ kind = "terms", color = "red" }]\n',
         "figures 1: unknown key 'color'"),
        ('[[fit]]\nname = "two words"\ndata = "chinchilla"\nlaw = "width"\n', "it must be one word"),
        ('[[fit]]\nname = "main"\ndata = "chinchilla"\nlaw = "width"\nlabel = "other"\n', "two fits are called 'main'"),
        ('[[fit]]\nname = "b"\nlabel = "main"\ndata = "chinchilla"\nlaw = "width"\n', "two fits have the label 'main'"),
        ('[[fit]]\nname = "other"\ndata = "chinchila"\nlaw = "width"\n', "did you mean 'chinchilla'"),
    ],
)  # fmt: skip
def test_refusals_name_the_place_and_the_nearest_key(tmp_path: Path, extra: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        study(tmp_path, SMALL + extra)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ('[[section]]\ntitle = "x"\nfit = "main"\nkind = "prose"\n',
         r"no kind of section 'prose'; .*Choices: calibration, claims, comparison, forecast"),
        ('[[answer]]\nrule = "refernce"\nfit = "main"\n', "no rule for an answer 'refernce'; did you mean 'reference'"),
        ('[[answer]]\nrule = "pooled"\nfit = "main"\n', "rule 'pooled' needs a parameter"),
        ('[[answer]]\nrule = "reference"\nfit = "main"\nparameter = "alpha"\n', "needs a reference, such as 1"),
        ('[[section]]\ntitle = "x"\nfit = "main"\nfigures = [{ kind = "term" }]\n', "no figure 'term'; did you mean"),
        ('[front.figure]\nkind = "pooling"\nfit = "sampled"\n', "'sampled' has no partial pooling"),
        ('[front.figure]\nkind = "pears"\n', "no figure 'pears'; did you mean 'pairs'"),
        ('[[section]]\ntitle = "x"\n', "section 'x' of kind 'law' needs fit"),
        ('[[section]]\ntitle = "x"\nkind = "comparison"\nfits = ["main"]\n', "needs parameter"),
        ('[[section]]\ntitle = "x"\nkind = "posterior"\nfit = "main"\n',
         "of kind 'posterior' needs fits with engine = 'bayes'; 'main' has another"),
        ('[[section]]\ntitle = "x"\nfit = "sampled"\n', "of kind 'law' needs fits with engine = 'least squares'"),
        ('[[section]]\ntitle = "x"\nfit = "main"\nfigures = [{ kind = "priors" }]\n',
         "a figure of kind 'priors' needs fits with engine = 'bayes'"),
        ('[[section]]\ntitle = "x"\nkind = "posterior"\nfit = "sampled"\nlaws = ["main"]\n', "the ranking of laws in"),
        ('[[answer]]\nrule = "posterior"\nfit = "sampled"\nparameter = "alpha"\n', "needs a reference, such as 1"),
        ('[[answer]]\nrule = "posterior"\nfit = "sampled"\nparameter = "alpha"\nreference = 0\n', "needs within, the"),
        ('[[answer]]\nrule = "posterior"\nfit = "main"\nparameter = "alpha"\nreference = 1\n',
         "an answer by rule 'posterior' needs fits with engine = 'bayes'"),
    ],
)  # fmt: skip
def test_unknown_kinds_are_refused_before_anything_runs(tmp_path: Path, extra: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        check_study(study(tmp_path, SMALL + SAMPLED + extra))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ('[[section]]\ntitle = "x"\nkind = "optimum"\nfit = "main"\nclustered = "main"\n',
         r"section 1: unknown key 'clustered' in section 'x' of kind 'optimum'; .*Choices: alternatives"),
        ('[[section]]\ntitle = "x"\nfit = "main"\nalternative = ["main"]\n', "did you mean 'alternatives'"),
        ('[[answer]]\nrule = "law"\nfit = "main"\nparameter = "alpha"\n',
         "answer 1: unknown key 'parameter' in an answer by rule 'law'"),
        ('[[answer]]\nfit = "main"\n', "answer 1: 'rule' is missing"),
        ('[front.figure]\nkind = "observed"\nheight = 40\n',
         "figure: unknown key 'height' in a figure of kind 'observed'; choices: fit, kind"),
        ('[front.figure]\nkind = "forest"\n',
         'a figure of kind \'forest\' needs a parameter, such as parameter = "alpha"'),
        ('[front.figure]\nkind = "toy_map"\nsteps = []\n', "a figure of kind 'toy_map' needs steps, such as"),
        ('[front.figure]\nkind = "pairs"\nnames = [["E", "A", "B"]]\n', r"figure, names 1: expected 2 values, got \["),
        ('[front.figure]\nkind = 3\n', "figure, kind: expected str, got 3"),
    ],
)  # fmt: skip
def test_a_key_that_a_kind_does_not_have_is_refused(tmp_path: Path, extra: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        study(tmp_path, SMALL + extra)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("bootstrap = 1\n", r"study.toml, \[\[fit\]\] 1: bootstrap is 1; it must be 0 \(none\) or at least 2"),
        ("level = 1.5\n", "level is 1.5; it must lie between 0 and 1"),
        ('[[sensitivity]]\nname = "s"\ndata = "chinchilla"\nlaw = "chinchilla"\n',
         r"\[\[sensitivity\]\] 1: 'param' is missing"),
        ('[[sensitivity]]\nname = "s"\ndata = ""\nlaw = "chinchilla"\nparam = "alpha"\n', "'data' is missing"),
    ],
)  # fmt: skip
def test_impossible_options_are_refused_when_read(tmp_path: Path, extra: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        study(tmp_path, SMALL + extra)


def test_the_resolved_study_reads_as_the_same_values(tmp_path: Path) -> None:
    plan = with_defaults(read_study(ROOT / "reports" / "chinchilla-width" / "study.toml"))
    (tmp_path / "toy.toml").write_bytes((plan.path.parent / "toy.toml").read_bytes())
    again = with_defaults(study(tmp_path, resolved_text(plan)))
    assert replace(again, path=plan.path) == plan
    assert plan.calibration[0].simulation.fit_cluster is None  # "none" in the file, which is not the default


def test_every_kind_has_a_type_with_its_own_keys() -> None:
    for family in FAMILIES:
        for tag, kind in family.members.items():
            assert tag in get_args(get_type_hints(kind)[family.tag])
            assert parameters(kind).keys() <= {field.name for field in fields(kind)}


def test_a_section_lends_its_words_to_figures_that_mark_its_reference() -> None:
    assert with_words(PairsFigure(reference=1.0), "one").words == "one"  # type: ignore[union-attr]
    for figure in (PairsFigure(), PairsFigure(reference=1.0, words="own"), TermsFigure()):
        assert with_words(figure, "one") == figure


def test_each_engine_takes_its_own_keys_and_its_share_of_the_defaults(tmp_path: Path) -> None:
    read = study(tmp_path, SMALL + SAMPLED + "[defaults]\nbootstrap = 10\ndraws = 200\nseed = 3\n")
    assert read.spec("main").options == LeastSquares(bootstrap=10, seed=3)
    assert read.spec("sampled").options == Bayes(draws=200, seed=3)
    assert with_defaults(read).section[1].kind == "posterior"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("bootstrap = 5\n", r"\[\[fit\]\] 2, engine 'bayes': unknown key 'bootstrap'"),
        ('clusters = "shape"\n', "engine 'bayes': unknown key 'clusters'; did you mean 'cluster'"),
        ('sampler = "stan"\n', "sampler is 'stan'; .*choices: nutpie, pymc"),
        ('priors = { alpah = "HalfNormal(1)" }\n', r"fit\]\] 2: there is no parameter 'alpah'.* did you mean 'alpha'"),
        ('priors = { alpha = "HalfNorml(1)" }\n', "did you mean 'HalfNormal'"),
        ("priors = { alpha = 1 }\n", "2, priors: expected a table of words"),
        ('pool = { alpha = "partial" }\n', "cannot pool 'alpha'"),
        ('pool = "partial"\n', "pool: expected a table of words"),
    ],
)  # fmt: skip
def test_keys_of_a_bayesian_fit_are_checked_when_read(tmp_path: Path, extra: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        study(tmp_path, SMALL + SAMPLED + extra)


def test_a_parameter_may_have_another_name_in_each_fit(tmp_path: Path) -> None:
    width = SMALL + '[[fit]]\nname = "wide"\ndata = "chinchilla"\nlaw = "width_depth"\n'
    figure = '[front.figure]\nkind = "forest"\nfits = ["main", "wide"]\nparameter = "alpha{}"\n'
    assert study(tmp_path, width + figure.format(",a_m")).front.figure
    with pytest.raises(StudyError, match=r"front.figure\]: fit 'wide' has no parameter 'alpha'"):
        study(tmp_path, width + figure.format(""))


def test_parameters_of_the_error_model_can_be_asked_for(tmp_path: Path) -> None:
    card = '[[card]]\ntitle = "x"\nfit = "{}"\nparameters = ["nu"]\n'
    assert study(tmp_path, SMALL + SAMPLED + card.format("sampled")).card
    with pytest.raises(StudyError, match="fit 'main' has no parameter 'nu'"):
        study(tmp_path, SMALL + card.format("main"))


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no study"):
        read_study(tmp_path / "missing.toml")
    with pytest.raises(StudyError, match="is not valid TOML"):
        study(tmp_path, "title = ")
    with pytest.raises(StudyError, match="a study needs at least one"):
        study(tmp_path, 'title = "x"\n')
    with pytest.raises(StudyError, match="'title' is missing"):
        study(tmp_path, SMALL.partition("\n")[2])
    with pytest.raises(StudyError, match="front: expected a table of keys, got 3"):
        study(tmp_path, "front = 3\n" + SMALL)
    with pytest.raises(StudyError, match="template is 'a5'"):
        study(tmp_path, 'template = "a5"\n' + SMALL)
    with pytest.raises(LawError, match="cannot read the law"):
        study(tmp_path, SMALL.replace('law = "chinchilla"', 'law = "loss ~ E - A/"'))
