"""What a study asks for, checked before anything is computed: kinds that exist, and what each of them needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from scalefit.errors import StudyError, closest
from scalefit.report.figures import FIGURES, POSTERIOR_FIGURES, TOY_FIGURES
from scalefit.report.spec import Answer, Section
from scalefit.report.study import BAYES, LEAST_SQUARES, Study

__all__ = ["check_kinds"]

# What each kind of section needs beside its title.
_NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "calibration": ("steps",),
        "claims": ("claims",),
        "comparison": ("fits", "parameter"),
        "heads": ("steps",),
        "law": ("fit",),
        "optimum": ("fit",),
        "posterior": ("fit",),
        "sensitivity": ("steps",),
        "toy": ("steps",),
    }
)
_OF_ONE_ENGINE: Mapping[str, str] = MappingProxyType({"law": LEAST_SQUARES, "posterior": BAYES})


def check_kinds(study: Study, sections: Collection[str], answers: Collection[str]) -> None:
    """Refuse an unknown kind, one that lacks what it needs, or one for another engine.

    Parameters
    ----------
    study : Study
        With its defaults filled in.
    sections, answers : collection of str
        The kinds that can be written.

    Raises
    ------
    StudyError
        Naming the nearest kind.
    """
    figures = [(figure, one.fit) for one in study.section for figure in one.figures]
    figures += [(study.front.figure, study.fit[0].name)] if study.front.figure else []
    for word, known, what in (
        *((one.kind, sections, "kind of section") for one in study.section),
        *((one.rule, answers, "rule for an answer") for one in study.answer),
        *((figure.kind, FIGURES, "figure") for figure, _ in figures),
    ):
        if word not in known:
            raise StudyError(f"{study.path.name}: there is no {what} {word!r}; {closest(word, known)}")
    for answer in study.answer:
        _check_answer(study, answer)
    for section in study.section:
        _check_section(study, section)
    for figure, default in figures:
        name = figure.fit or default
        if figure.kind in TOY_FIGURES and any(study.step(step).kind != "toy" for step in figure.steps):
            raise StudyError(f"{study.path.name}: a figure of kind {figure.kind!r} needs steps of [[toy]]")
        if figure.kind in POSTERIOR_FIGURES:
            _check_engine(study, f"a figure of kind {figure.kind!r}", BAYES, [name])
        if figure.kind == "pooling" and "partial" not in study.spec(name).options.get("pool", {}).values():
            text = f"{study.path.name}: a figure of kind 'pooling' needs pool = {{ alpha = \"partial\" }}; "
            raise StudyError(f"{text}fit {name!r} pools nothing in part")


def _check_answer(study: Study, answer: Answer) -> None:
    what = f"an answer by rule {answer.rule!r}"
    if answer.rule != "law" and not answer.parameter:
        raise StudyError(f"{study.path.name}: {what} needs a parameter")
    if answer.rule in ("reference", "posterior") and answer.reference is None:
        raise StudyError(f"{study.path.name}: {what} needs a reference, such as 1")
    if answer.rule == "posterior":
        _check_within(study, what, answer)
        _check_engine(study, what, BAYES, [answer.fit, *answer.also])


def _check_section(study: Study, section: Section) -> None:
    what = f"section {section.title!r} of kind {section.kind!r}"
    lacking = [need for need in _NEEDS[section.kind] if not getattr(section, need)]
    if lacking:
        raise StudyError(f"{study.path.name}: {what} needs {' and '.join(lacking)}")
    if section.kind in _OF_ONE_ENGINE:
        clustered = [section.clustered] if section.clustered else []
        _check_engine(study, what, _OF_ONE_ENGINE[section.kind], [section.fit, *clustered, *section.alternatives])
        _check_engine(study, f"the ranking of laws in {what}", BAYES, section.laws)
    for name in section.steps:
        if study.step(name).kind != section.kind:
            raise StudyError(f"{study.path.name}: {what} needs [[{section.kind}]] steps; {name!r} is another")
    if section.reference is not None:
        _check_within(study, what, section)


def _check_engine(study: Study, what: str, engine: str, names: Sequence[str]) -> None:
    for name in names:
        if study.spec(name).engine != engine:
            raise StudyError(f"{study.path.name}: {what} needs fits with engine = {engine!r}; {name!r} has another")


def _check_within(study: Study, what: str, asked: Answer | Section) -> None:
    if asked.within < 0 or (asked.reference == 0 and not asked.within):
        raise StudyError(f"{study.path.name}: {what} needs within, how near to {asked.reference:g} counts, such as 0.1")
