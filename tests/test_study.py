"""Reading a study file: what is accepted, and what every refusal says."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from scalefit.errors import LawError, StudyError
from scalefit.report.reader import read_study
from scalefit.report.sections import check_kinds
from scalefit.report.study import Card, Section, Study, with_defaults

ROOT = Path(__file__).resolve().parent.parent
SMALL = 'title = "Runs"\n[[fit]]\nname = "main"\ndata = "chinchilla"\nlaw = "chinchilla"\n'


def study(tmp_path: Path, text: str) -> Study:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return read_study(path)


def test_smallest_study(tmp_path: Path) -> None:
    read = study(tmp_path, SMALL)
    assert read.title == "Runs"
    assert read.date is None
    assert read.spec("main").law == "chinchilla"
    assert dict(read.spec("main").options) == {}


def test_defaults_follow_from_the_fits(tmp_path: Path) -> None:
    full = with_defaults(study(tmp_path, SMALL))
    assert full.card == (
        Card("Exponent $alpha$", "main", ("alpha",)),
        Card("Exponent $beta$", "main", ("beta",)),
    )
    assert full.section == (Section("main", "main"),)
    assert full.answer[0].rule == "law"
    assert full.front.fits == ("main",)


def test_keys_of_fit_and_defaults_are_merged(tmp_path: Path) -> None:
    text = SMALL + 'loss = "huber"\nbootstrap = 10\n[defaults]\nbootstrap = 99\nseed = 3\n'
    options = study(tmp_path, text).spec("main").options
    assert dict(options) == {"bootstrap": 10, "seed": 3, "loss": "huber"}


def test_the_shipped_study_is_valid() -> None:
    read = read_study(ROOT / "reports" / "refit" / "study.toml")
    check_kinds(read)
    assert read.date == datetime.date(2026, 11, 22)
    assert [one.kind for one in read.section] == ["law"] * 3


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("drop_higest_loss = 5\n", r"\[\[fit\]\] 1: unknown key 'drop_higest_loss'; did you mean 'drop_highest_loss'"),
        ("throw = false\n", "unknown key 'throw'"),
        ("[defaults]\nbootstraps = 5\n", r"\[defaults\]: unknown key 'bootstraps'; did you mean 'bootstrap'"),
        ('[[sections]]\ntitle = "x"\n', "top level: unknown key 'sections'; did you mean 'section'"),
        ('[[section]]\ntitle = "x"\n', "study.toml, section 1: 'fit' is missing"),
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
        ('[[section]]\ntitle = "x"\nfit = "main"\nkind = "lore"\n', "no kind of section 'lore'; Choices: law"),
        ('[[answer]]\nrule = "refernce"\nfit = "main"\n', "no rule for an answer 'refernce'; did you mean 'reference'"),
        ('[[answer]]\nrule = "pooled"\nfit = "main"\n', "rule 'pooled' needs a parameter"),
        ('[[answer]]\nrule = "reference"\nfit = "main"\nparameter = "alpha"\n', "needs a reference, such as 1"),
        ('[[section]]\ntitle = "x"\nfit = "main"\nfigures = [{ kind = "term" }]\n', "no figure 'term'; did you mean"),
    ],
)  # fmt: skip
def test_unknown_kinds_are_refused_before_anything_runs(tmp_path: Path, extra: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        check_kinds(study(tmp_path, SMALL + extra))


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no study"):
        read_study(tmp_path / "missing.toml")
    with pytest.raises(StudyError, match="is not valid TOML"):
        study(tmp_path, "title = ")
    with pytest.raises(StudyError, match="a study needs at least one"):
        study(tmp_path, 'title = "x"\n')
    with pytest.raises(StudyError, match="'title' is missing"):
        study(tmp_path, SMALL.partition("\n")[2])
    with pytest.raises(StudyError, match="paper is 'a5'"):
        study(tmp_path, 'paper = "a5"\n' + SMALL)
    with pytest.raises(LawError, match="cannot read the law"):
        study(tmp_path, SMALL.replace('law = "chinchilla"', 'law = "loss ~ E - A/params"'))
