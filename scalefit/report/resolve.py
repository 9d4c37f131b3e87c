"""The resolved study: with every default written out, or reduced for a draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, TypeVar

from scalefit.report.budget import affordable
from scalefit.report.provenance import data_files
from scalefit.report.runners import ENGINES, Runner, command
from scalefit.report.spec import LEAST_SQUARES, Figure, Section, StepAnswer, family_of, mentions
from scalefit.report.steps import STEPS, step_command
from scalefit.report.study import (
    CalibrationStep,
    FitSpec,
    SensitivityStep,
    Step,
    Study,
    as_plain,
    option_fields,
    options_of,
)
from scalefit.version import __version__

__all__ = ["drafted", "resolved_hash", "resolved_text"]

PartT = TypeVar("PartT", Section, Figure)
SpecT = TypeVar("SpecT", FitSpec, SensitivityStep, CalibrationStep)

_MOST: Final[Mapping[str, int]] = MappingProxyType({"bootstrap": 200, "draws": 1000, "n": 10})  # in a draft


def drafted(study: Study) -> Study:
    """Reduce a study to what takes seconds: few draws, importance sampling only, no training, no long steps.

    Parameters
    ----------
    study : Study
        With its defaults filled in.

    Returns
    -------
    Study
        Marked as a draft.
    """
    study = replace(
        study,
        fit=tuple(map(_fewer, study.fit)),
        sensitivity=tuple(map(_fewer, study.sensitivity)),
        calibration=tuple(map(_fewer, study.calibration)),
    )
    trained = {step.name for step in study.toy if step.grid}
    dropped, notes = affordable(study)
    out = trained | dropped
    sections = (_without(section, out) for section in study.section)
    answers = (answer for answer in study.answer if not (isinstance(answer, StepAnswer) and answer.step in out))
    toys = (f"A draft trains no toy models: {', '.join(sorted(trained))}.",) if trained else ()
    return replace(
        study,
        sensitivity=tuple(step for step in study.sensitivity if step.name not in out),
        calibration=tuple(step for step in study.calibration if step.name not in out),
        toy=tuple(step for step in study.toy if step.name not in out),
        section=tuple(section for section in sections if section is not None),
        answer=tuple(answers),
        front=replace(study.front, figure=_without(study.front.figure, out) if study.front.figure else None),
        left_out=(*study.left_out, *toys, *notes),
        draft=True,
    )


def resolved_text(study: Study) -> str:
    """Write a study with every default, as a study file that can be built again.

    Parameters
    ----------
    study : Study
        With its defaults filled in.

    Returns
    -------
    str
        TOML, with the hashes of the tables, and the command of each fit and step, in comments.
    """
    import tomli_w

    table = {key: value for key, value in _non_default(study).items() if key not in ("path", "draft", "fit", *STEPS)}
    table["fit"] = [_spec(spec, ENGINES[spec.engine]) for spec in study.fit]
    for kind, runner in STEPS.items():
        specs = [_spec(step, runner) for step in study.steps if step.kind == kind]
        table |= {kind: specs} if specs else {}
    hashes = [
        f"# {'; '.join([f'{file.name}: sha256 {file.sha256}', *file.sources, *file.repositories])}"
        for file in data_files(study)
    ]
    commands = [command(spec) for spec in study.fit] + [line for step in study.steps for line in step_command(step)]
    lead = [
        f"# Every choice of the study, as scalefit {__version__} read it. Tables:",
        *hashes,
        "# Each fit and step by itself:",
        *(f"#   {line}" for text in commands for line in text.splitlines()),
    ]
    return "\n".join([*lead, "", tomli_w.dumps(_without_none(table))])


def resolved_hash(study: Study) -> str:
    """Return the sha256 of :func:`resolved_text`."""
    return sha256(resolved_text(study).encode()).hexdigest()


def _without(part: PartT, out: set[str]) -> PartT | None:
    """Return a section or a figure without steps that a draft does not have; None when nothing remains."""
    named = [mention.name for mention in mentions(part) if mention.key == "steps"]
    kept = tuple(name for name in named if name not in out)
    if named and not kept:
        return None
    changed: dict[str, Any] = {"steps": kept} if named else {}
    inner = [_without(figure, out) for figure in getattr(part, "figures", ())]
    changed |= {"figures": tuple(figure for figure in inner if figure is not None)} if inner else {}
    return replace(part, **changed)


def _fewer(spec: SpecT) -> SpecT:
    """Limit the draws of one fit or step, and use importance sampling only."""
    changed = {}
    for name in option_fields(type(spec)).values():
        value = getattr(spec, name)
        capped = {key: min(getattr(value, key), most) for key, most in _MOST.items() if hasattr(value, key)}
        changed[name] = replace(value, **capped, **({"path": "fast"} if hasattr(value, "path") else {}))
    return replace(spec, **changed)


def _spec(spec: FitSpec | Step, runner: Runner) -> dict[str, Any]:
    """Return a fit or step with the default of every keyword that it does not set."""
    options = option_fields(type(spec)).values()
    own = {key: value for key, value in _non_default(spec).items() if key not in options}
    own |= {"engine": spec.engine} if isinstance(spec, FitSpec) and spec.engine != LEAST_SQUARES else {}
    plain: dict[str, Any] = as_plain(runner.write(options_of(spec)))
    return own | plain


def _non_default(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that are not their defaults, and those of the dataclasses in them."""
    out = {}
    family = family_of(type(value))
    for field in fields(value):
        content = getattr(value, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        is_tag = family is not None and field.name == family.tag  # which decides what the other fields mean
        if content == default and not is_tag:
            continue
        out[field.name] = _plain_non_default(content)
    return out


def _plain_non_default(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return _non_default(value)
    if isinstance(value, tuple | list):
        return [_plain_non_default(item) for item in value]
    return as_plain(value)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value
