"""Read a study file: every key is checked, and every refusal names the file, the table and the nearest key."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from scalefit.data.datasets import dataset_names
from scalefit.data.sources import DATASET, locate
from scalefit.errors import DataError, StudyError, closest
from scalefit.files import parse_toml
from scalefit.law.additive import Law
from scalefit.names import parse_name, split_names
from scalefit.posterior import parse_prior
from scalefit.report.runners import ENGINES, Engine, parameter_names
from scalefit.report.steps import STEPS
from scalefit.report.study import LEAST_SQUARES, FitSpec, StepSpec, Study

__all__ = ["STEP_KEYS", "read_study"]

PAPERS = ("a4", "us-letter")
_OWN_KEYS = ("name", "data", "law", "label", "engine", "instead")
STEP_KEYS: Mapping[str, tuple[str, ...]] = types.MappingProxyType(
    {
        "sensitivity": ("name", "label", "data", "law", "needs"),
        "calibration": ("name", "label", "data", "law", "needs"),
        "toy": ("name", "label", "data", "grid"),
        "heads": ("name", "label", "data", "losses"),
    }
)
_TABLES = ("mapping", "pool", "priors")
_ONE_FIT = ("fit", "clustered")
_SEVERAL_FITS = ("fits", "alternatives", "laws", "also", "among")


def read_study(path: str | Path) -> Study:
    """Read and check a study; nothing is computed.

    Parameters
    ----------
    path : path
        A TOML file.

    Returns
    -------
    Study
        As written, without defaults.

    Raises
    ------
    StudyError
        For a missing file, broken TOML, an unknown key or name, or a value of the wrong type.
    LawError
        For a law that cannot be read.
    """
    path = Path(path)
    try:
        table = parse_toml(path)
    except FileNotFoundError:
        raise StudyError(f"there is no study {str(path)!r}; give the path of a study.toml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{str(path)!r} cannot be read ({error}); a study is a TOML file") from None
    except ValueError as error:
        raise StudyError(f"{str(path)!r} is not valid TOML: {error}") from None
    reader = _Reader(path.name)
    defaults = reader.defaults(table.pop("defaults", {}))
    made: dict[str, Any] = {"fit": reader.fits(table.pop("fit", None), defaults), "path": path}
    made |= {kind: reader.steps(kind, table.pop(kind, []), defaults) for kind in STEPS}
    known = {one.name for one in fields(Study) if one.name not in ("path", "draft")}
    reader.check_keys(table, {*known, "defaults"}, "top level")
    study: Study = reader.build(Study, table | made, "top level")
    if study.paper not in PAPERS:
        raise StudyError(f"{path.name}: paper is {study.paper!r}; {closest(study.paper, PAPERS)}")
    _check_references(study)
    return study


@dataclass(frozen=True)
class _Reader:
    """Turn TOML tables into dataclasses; every refusal names the file and the table."""

    file: str

    def fits(self, tables: Any, defaults: Mapping[str, Any]) -> tuple[FitSpec, ...]:
        if not isinstance(tables, list) or not tables:
            raise StudyError(f"{self.file}: a study needs at least one [[fit]] with name, data and law")
        return tuple(self._fit(table, defaults, f"[[fit]] {i}") for i, table in enumerate(tables, start=1))

    def _fit(self, table: Any, defaults: Mapping[str, Any], where: str) -> FitSpec:
        engine = table.get("engine", LEAST_SQUARES) if isinstance(table, dict) else LEAST_SQUARES
        if not isinstance(engine, str) or engine not in ENGINES:
            raise StudyError(f"{self.file}, {where}: engine is {engine!r}; {closest(str(engine), ENGINES)}")
        known = ENGINES[engine].known
        place = where if engine == LEAST_SQUARES else f"{where}, engine {engine!r}"
        self.check_keys(table, {*_OWN_KEYS, *known}, place)
        options = {key: value for key, value in defaults.items() if key in known}
        options |= {key: value for key, value in table.items() if key not in _OWN_KEYS}
        spec: FitSpec = self.build(FitSpec, {key: table[key] for key in _OWN_KEYS if key in table}, where)
        if not spec.name.isidentifier():
            raise StudyError(f"{self.file}, {where}: name is {spec.name!r}; it must be one word, such as main_fit")
        for key in _TABLES:
            self._check_words(options.get(key, {}), f"{where}, {key}")
        self._check_types(options, ENGINES[engine], where)
        spec = replace(spec, options=types.MappingProxyType(options))
        self._check_priors(spec, where)
        return spec

    def steps(self, kind: str, tables: Any, defaults: Mapping[str, Any]) -> tuple[StepSpec, ...]:
        """Read the work beside the fits of one kind."""
        if not isinstance(tables, list):
            raise StudyError(f"{self.file}: {kind} is a list of tables; write [[{kind}]]")
        return tuple(self._step(kind, table, defaults, f"[[{kind}]] {i}") for i, table in enumerate(tables, start=1))

    def _step(self, kind: str, table: Any, defaults: Mapping[str, Any], where: str) -> StepSpec:
        known, own = STEPS[kind].engine.known, STEP_KEYS[kind]
        self.check_keys(table, {*own, *known}, where)
        options = {key: value for key, value in defaults.items() if key in known}
        options |= {key: value for key, value in table.items() if key not in own}
        self._check_types(options, STEPS[kind].engine, where)
        found = {key: table[key] for key in own if key in table}
        spec: StepSpec = self.build(StepSpec, found | {"kind": kind}, where)
        if not spec.name.isidentifier():
            raise StudyError(f"{self.file}, {where}: name is {spec.name!r}; it must be one word, such as main_step")
        lacking = [key for key in ("data", "law") if key in own and kind != "toy" and not getattr(spec, key)]
        if kind == "toy" and bool(spec.data) == bool(spec.grid):
            raise StudyError(f"{self.file}, {where}: needs either data, a sweep that is there, or grid, one to train")
        if lacking:
            raise StudyError(f"{self.file}, {where}: {lacking[0]!r} is missing")
        names = [coef.name for coef in Law.parse(spec.law).parameters] if spec.law else []
        asked = self._coefficient(str(options.get("param", "")), where)
        if kind == "sensitivity" and asked not in names:
            raise StudyError(f"{self.file}, {where}: param is {asked!r}; {closest(asked, names)}")
        return replace(spec, options=types.MappingProxyType(options))

    def _coefficient(self, name: str, where: str) -> str:
        """Return a parameter's name in the law, without its level."""
        try:
            return parse_name(name)[0]
        except ValueError as error:
            raise StudyError(f"{self.file}, {where}: {error}") from None

    def _check_types(self, options: Mapping[str, Any], engine: Engine, where: str) -> None:
        """Refuse values of other types than the options have."""
        fault = engine.type_fault(options)
        if fault:
            raise StudyError(f"{self.file}, {where}: {fault}")

    def _check_words(self, table: Any, where: str) -> None:
        if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
            raise StudyError(
                f'{self.file}, {where}: expected a table of words such as {{ alpha = "..." }}, got {table!r}'
            )

    def _check_priors(self, spec: FitSpec, where: str) -> None:
        """Refuse priors and pooling that the law has no place for."""
        try:
            known = parameter_names(spec)
            for name, text in spec.options.get("priors", {}).items():
                if self._coefficient(name, where) not in known:
                    raise DataError(f"there is no parameter {name!r} to give a prior; {closest(name, known)}")
                parse_prior(text)
        except DataError as error:
            raise StudyError(f"{self.file}, {where}: {error}") from None

    def defaults(self, table: Any) -> dict[str, Any]:
        known = {key for engine in ENGINES.values() for key in engine.known}
        known |= {key for step in STEPS.values() for key in step.engine.known}
        self.check_keys(table, known, "[defaults]")
        return dict(table)

    def check_keys(self, table: Any, known: set[str], where: str) -> None:
        if not isinstance(table, dict):
            raise StudyError(f"{self.file}, {where}: expected a table of keys, got {table!r}")
        for key in table:
            if key not in known:
                raise StudyError(f"{self.file}, {where}: unknown key {key!r}; {closest(key, known)}")

    def build(self, kind: type[Any], table: Mapping[str, Any], where: str) -> Any:
        """Make a dataclass of a table, its fields checked by their annotations."""
        hints = get_type_hints(kind)
        self.check_keys(dict(table), set(hints), where)
        for one in fields(kind):
            required = one.default is MISSING and one.default_factory is MISSING
            if required and one.name not in table:
                raise StudyError(f"{self.file}, {where}: {one.name!r} is missing")
        place = "" if where == "top level" else f"{where}, "
        return kind(**{key: self._value(hints[key], value, f"{place}{key}") for key, value in table.items()})

    def _value(self, hint: Any, value: Any, where: str) -> Any:
        if get_origin(hint) in (Union, types.UnionType):
            hint = next(one for one in get_args(hint) if one is not type(None))
        if get_origin(hint) is tuple:
            inner = get_args(hint)[0]
            if not isinstance(value, list | tuple):
                raise StudyError(f"{self.file}, {where}: expected a list, got {value!r}")
            return tuple(self._value(inner, one, f"{where} {i}") for i, one in enumerate(value, start=1))
        if is_dataclass(hint):
            if isinstance(value, hint):  # type: ignore[arg-type]
                return value
            self.check_keys(value, {one.name for one in fields(hint)}, where)
            return self.build(hint, value, where)  # type: ignore[arg-type]
        if hint is float and type(value) is int:
            return float(value)
        if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
            raise StudyError(f"{self.file}, {where}: expected {hint.__name__}, got {value!r}")
        return value


def _check_references(study: Study) -> None:
    """Every fit that is referred to exists, and has the parameter that is asked for."""
    specs: dict[str, FitSpec] = {}
    for one in study.fit:
        if one.name in specs:
            raise StudyError(f"{study.path.name}: two fits are called {one.name!r}; rename one")
        specs[one.name] = one
        _check_data(study, f"fit {one.name!r}", one.data, folders=False)
    _check_steps(study, set(specs))
    labels = list(study.labels.values())
    for label in labels:
        if labels.count(label) > 1:
            raise StudyError(f"{study.path.name}: two fits have the label {label!r}; tables tell them apart by it")
    for where, name in _names(study):
        if name not in specs:
            raise StudyError(f"{study.path.name}, {where}: there is no fit {name!r}; {closest(name, specs)}")
    for one in study.fit:
        for name in one.instead:
            if Law.parse(specs[name].law) != Law.parse(one.law):
                raise StudyError(
                    f"{study.path.name}, fit {one.name!r}, instead: {name!r} fits another law; name a fit of {one.law}"
                )
    steps = [one.name for one in study.steps]
    for where, name in _steps(study):
        if name not in steps:
            raise StudyError(
                f"{study.path.name}, {where}: there is no step {name!r}; {closest(name, steps or ['none'])}"
            )
    for where, name, asked in _parameters(study):
        known = parameter_names(specs[name])
        try:
            coefficients = {parse_name(one)[0] for one in asked}
        except ValueError as error:
            raise StudyError(f"{study.path.name}, {where}: {error}") from None
        if not coefficients & set(known):
            words = " or ".join(map(repr, asked))
            raise StudyError(
                f"{study.path.name}, {where}: fit {name!r} has no parameter {words}; {closest(asked[0], known)}"
            )


def _check_data(study: Study, where: str, name: str, *, folders: bool) -> None:
    """Every table that is named is a shipped set or lies beside the study, and not both."""
    path, place = study.path.parent / name, f"{study.path.name}, {where}"
    if not name.startswith(DATASET) and name not in dataset_names() and not _lies_there(path, folders):
        raise StudyError(
            f"{place}: data {name!r} is neither a file beside the study nor a shipped set; "
            f"{closest(name, dataset_names())}"
        )
    try:
        locate(name, study.path.parent)
    except DataError as error:
        raise StudyError(f"{place}: {error}") from None


def _lies_there(path: Path, folders: bool) -> bool:
    try:
        return path.exists() if folders else path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        return False


def _check_steps(study: Study, fits: set[str]) -> None:
    """Every step has a name of its own and reads something that is there."""
    seen = set(fits)
    for one in study.steps:
        if one.name in seen:
            raise StudyError(f"{study.path.name}: two parts of the study are called {one.name!r}; rename one")
        seen.add(one.name)
        if one.losses:
            _check_data(study, f"{one.kind} {one.name!r}, losses", one.losses, folders=False)
        if not one.grid:
            _check_data(study, f"{one.kind} {one.name!r}", one.data, folders=True)
        elif not _lies_there(study.path.parent / one.grid, folders=True):
            raise StudyError(
                f"{study.path.name}, {one.kind} {one.name!r}: grid {one.grid!r} is not beside the study; "
                "correct the name"
            )


def _parts(study: Study) -> Iterator[tuple[str, Any]]:
    """Every part that refers to fits, with its place in words."""
    for kind in ("answer", "card", "section"):
        for i, part in enumerate(getattr(study, kind), start=1):
            yield f"[[{kind}]] {i}", part
            for figure in getattr(part, "figures", ()):
                yield f"[[{kind}]] {i}, figures", figure
            for claim in getattr(part, "claims", ()):
                yield f"[[{kind}]] {i}, claims", claim
    yield "[front]", study.front
    if study.front.figure:
        yield "[front.figure]", study.front.figure


def _names(study: Study) -> Iterator[tuple[str, str]]:
    for where, part in _parts(study):
        for key in _ONE_FIT:
            if getattr(part, key, ""):
                yield where, getattr(part, key)
        for key in _SEVERAL_FITS:
            for name in getattr(part, key, ()):
                yield where, name
    for one in study.fit:
        yield from ((f"fit {one.name!r}, instead", name) for name in one.instead)
    for step in study.steps:
        if step.needs:
            yield f"{step.kind} {step.name!r}, needs", step.needs


def _steps(study: Study) -> Iterator[tuple[str, str]]:
    for where, part in _parts(study):
        for name in getattr(part, "steps", ()):
            yield where, name


def _parameters(study: Study) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Every fit that is asked for a parameter, and the names that it may have there."""
    for where, part in _parts(study):
        main = getattr(part, "fit", "")
        if main:
            yield from ((where, main, (one,)) for one in getattr(part, "parameters", ()))
        asked = split_names(getattr(part, "parameter", ""))
        if asked:
            fits = [main] if main else []
            fits += [name for key in ("fits", "also", "among") for name in getattr(part, key, ())]
            yield from ((where, name, asked) for name in fits)
