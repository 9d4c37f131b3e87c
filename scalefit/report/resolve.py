"""What a study means in full: with every default written out, and cut down for a draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from scalefit.report.budget import affordable
from scalefit.report.provenance import data_files
from scalefit.report.runners import ENGINES, Engine
from scalefit.report.spec import Figure
from scalefit.report.steps import STEPS
from scalefit.report.study import FitSpec, StepSpec, Study, as_plain
from scalefit.version import __version__

__all__ = ["drafted", "resolved_hash", "resolved_text"]

_MOST: Final[Mapping[str, int]] = MappingProxyType({"bootstrap": 200, "draws": 1000, "n": 10})  # in a draft


def drafted(study: Study) -> Study:
    """Cut a study down to what takes seconds: few draws, importance sampling only, no sweep to train, no step too long.

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
        fit=tuple(replace(one, options=_fewer(one.options, ENGINES[one.engine])) for one in study.fit),
        sensitivity=_fewer_in(study.sensitivity),
        calibration=_fewer_in(study.calibration),
    )
    trained = {one.name for one in study.toy if one.grid}
    dropped, notes = affordable(study)
    out = trained | dropped
    sections = []
    for one in study.section:
        steps = tuple(name for name in one.steps if name not in out)
        figures = tuple(_without(figure, out) for figure in one.figures)
        kept = tuple(figure for figure in figures if figure is not None)
        if steps or not one.steps:
            sections.append(replace(one, steps=steps, figures=kept))
    toys = (f"A draft trains no toy models: {', '.join(sorted(trained))}.",) if trained else ()
    return replace(
        study,
        sensitivity=tuple(one for one in study.sensitivity if one.name not in out),
        calibration=tuple(one for one in study.calibration if one.name not in out),
        toy=tuple(one for one in study.toy if one.name not in out),
        section=tuple(sections),
        left_out=(*study.left_out, *toys, *notes),
        draft=True,
    )


def resolved_text(study: Study) -> str:
    """Write a study with every default, as a study that can be built again.

    Parameters
    ----------
    study : Study
        With its defaults filled in.

    Returns
    -------
    str
        TOML; the hashes of the tables stand in comments.
    """
    import tomli_w

    table = {key: value for key, value in _told(study).items() if key not in ("path", "draft", "fit", *STEPS)}
    table["fit"] = [_spec(one, ENGINES[one.engine]) for one in study.fit]
    for kind, step in STEPS.items():
        found = [_spec(one, step.engine) for one in study.steps if one.kind == kind]
        if found:
            table[kind] = [{key: value for key, value in one.items() if key != "kind"} for one in found]
    hashes = [f"# {one.name}: sha256 {one.sha256}" for one in data_files(study)]
    lead = [f"# Every choice of the study, as scalefit {__version__} read it. Tables:", *hashes]
    return "\n".join([*lead, "", tomli_w.dumps(_without_none(table))])


def resolved_hash(study: Study) -> str:
    """Return the sha256 of :func:`resolved_text`."""
    return sha256(resolved_text(study).encode()).hexdigest()


def _fewer_in(steps: tuple[StepSpec, ...]) -> tuple[StepSpec, ...]:
    return tuple(replace(one, options=_fewer(one.options, STEPS[one.kind].engine)) for one in steps)


def _without(figure: Figure, trained: set[str]) -> Figure | None:
    """Return a figure without the sweeps that a draft does not train; None when nothing is left of it."""
    steps = tuple(name for name in figure.steps if name not in trained)
    return replace(figure, steps=steps) if steps or not figure.steps else None


def _fewer(options: Mapping[str, Any], engine: Engine) -> Mapping[str, Any]:
    """Cap the draws of one fit or step, and keep to importance sampling."""
    known = engine.known
    capped = {key: min(int(options.get(key, known[key].default)), most) for key, most in _MOST.items() if key in known}
    return MappingProxyType({**options, **capped, **({"path": "fast"} if "path" in known else {})})


def _spec(spec: FitSpec | StepSpec, engine: Engine) -> dict[str, Any]:
    """Return a fit or step with the default of every keyword that it does not set."""
    given = {name: one.default for name, one in engine.known.items() if one.default is not MISSING}
    own = {key: value for key, value in _told(spec).items() if key != "options"}
    plain: dict[str, Any] = as_plain({**given, **spec.options})
    return own | plain


def _told(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that are not their defaults, and those of the dataclasses in them."""
    out = {}
    for one in fields(value):
        found = getattr(value, one.name)
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        if found == default:
            continue
        out[one.name] = _plain_told(found)
    return out


def _plain_told(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return _told(value)
    if isinstance(value, tuple | list):
        return [_plain_told(one) for one in value]
    return as_plain(value)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, list) else value
