"""Read a study file and check that everything it names exists: fits, steps, tables and parameters."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final, get_args

from scalefit.data.datasets import dataset_names
from scalefit.data.many import files_of
from scalefit.data.sources import DATASET, locate
from scalefit.errors import DataError, StudyError, closest
from scalefit.files import parse_toml
from scalefit.law.general import parse_law
from scalefit.names import parse_name, split_names
from scalefit.options import Bayes
from scalefit.posterior import parse_prior
from scalefit.report.runners import ENGINES, Runner, parameter_names
from scalefit.report.spec import mentions
from scalefit.report.steps import STEPS
from scalefit.report.study import (
    LEAST_SQUARES,
    CalibrationStep,
    FitSpec,
    HeadsStep,
    SensitivityStep,
    Step,
    Study,
    ToyStep,
    option_fields,
)
from scalefit.report.typed import TOP, TypedReader

__all__ = ["INTERNAL", "read_study"]

INTERNAL: Final = ("path", "draft")  # fields of a study that a file cannot set
_TABLES: Final = ("mapping", "pool", "priors")
_STEP_TYPES: Mapping[str, type[Any]] = types.MappingProxyType({arg.kind: arg for arg in get_args(Step)})


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
    reader.check_keys(table, {field.name for field in fields(Study) if field.name not in INTERNAL} | {"defaults"}, TOP)
    defaults = reader.defaults(table.pop("defaults", {}))
    made: dict[str, Any] = {"fit": reader.fits(table.pop("fit", None), defaults), "path": path}
    made |= {kind: reader.steps(kind, table.pop(kind, []), defaults) for kind in STEPS}
    study: Study = reader.build(Study, table | made, TOP)
    _check_references(study)
    return study


class _Reader(TypedReader):
    """Also read fits and steps, whose keys include the options of their functions."""

    def fits(self, tables: Any, defaults: Mapping[str, Any]) -> tuple[FitSpec, ...]:
        if not isinstance(tables, list) or not tables:
            raise StudyError(f"{self.file}: a study needs at least one [[fit]] with name, data and law")
        return tuple(self._fit(table, defaults, f"[[fit]] {i}") for i, table in enumerate(tables, start=1))

    def _fit(self, table: Any, defaults: Mapping[str, Any], where: str) -> FitSpec:
        self.check_table(table, where)
        name = table.get("engine", LEAST_SQUARES)
        if not isinstance(name, str) or name not in ENGINES:
            raise StudyError(f"{self.file}, {where}: engine is {name!r}; {closest(str(name), ENGINES)}")
        keys = {key: value for key, value in table.items() if key != "engine"}
        place = where if name == LEAST_SQUARES else f"{where}, engine {name!r}"
        spec: FitSpec = self._runnable(FitSpec, ENGINES[name], keys, defaults, where, place)
        self._check_priors(spec, where)
        return spec

    def steps(self, kind: str, tables: Any, defaults: Mapping[str, Any]) -> tuple[Step, ...]:
        """Read the steps of one kind."""
        if not isinstance(tables, list):
            raise StudyError(f"{self.file}: {kind} is a list of tables; write [[{kind}]]")
        return tuple(self._step(kind, table, defaults, f"[[{kind}]] {i}") for i, table in enumerate(tables, start=1))

    def _step(self, kind: str, table: Any, defaults: Mapping[str, Any], where: str) -> Step:
        step: Step = self._runnable(_STEP_TYPES[kind], STEPS[kind], table, defaults, where, where)
        if isinstance(step, ToyStep) and bool(step.data) == bool(step.grid):
            raise StudyError(f"{self.file}, {where}: needs either data, an existing sweep, or grid, a sweep to train")
        law = parse_law(step.law) if isinstance(step, SensitivityStep | CalibrationStep) else None
        if isinstance(step, SensitivityStep) and law is not None:
            names = [coef.name for coef in law.parameters]
            parameter = self._coefficient(str(step.question.param), where)
            if parameter not in names:
                raise StudyError(f"{self.file}, {where}: param is {parameter!r}; {closest(parameter, names)}")
        return step

    def _runnable(
        self, kind: type[Any], runner: Runner, table: Any, defaults: Mapping[str, Any], where: str, place: str
    ) -> Any:
        """Make a fit or a step from its keys and the options of its runner."""
        fields_of_options = option_fields(kind)
        own = [field.name for field in fields(kind) if field.name not in fields_of_options.values()]
        also = ["engine"] if kind is FitSpec else []
        self.check_keys(table, {*own, *also, *runner.known}, place)
        keys = {key: value for key, value in defaults.items() if key in runner.known}
        keys |= {key: value for key, value in table.items() if key not in own}
        for key, option in runner.known.items():
            if option.default is MISSING and key not in keys:
                raise StudyError(f"{self.file}, {where}: {key!r} is missing")
        for key in _TABLES:
            self._check_words(keys.get(key, {}), f"{where}, {key}")
        try:
            options = {fields_of_options[type(value)]: value for value in runner.read(keys)}
        except DataError as error:
            raise StudyError(f"{self.file}, {where}: {error}") from None
        given = {key: table[key] for key in own if table.get(key, "") != ""}  # an empty text is a missing one
        spec = self.build(kind, given | options, where)
        if not spec.name.isidentifier():
            what = "main_fit" if kind is FitSpec else "main_step"
            raise StudyError(f"{self.file}, {where}: name is {spec.name!r}; it must be one word, such as {what}")
        return spec

    def _coefficient(self, name: str, where: str) -> str:
        """Return a parameter's name in the law, without its level."""
        try:
            return parse_name(name)[0]
        except ValueError as error:
            raise StudyError(f"{self.file}, {where}: {error}") from None

    def _check_words(self, table: Any, where: str) -> None:
        if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
            raise StudyError(
                f'{self.file}, {where}: expected a table of words such as {{ alpha = "..." }}, got {table!r}'
            )

    def _check_priors(self, spec: FitSpec, where: str) -> None:
        """Reject priors and pooling of parameters that the law does not have."""
        try:
            known = parameter_names(spec)
            priors = spec.options.priors if isinstance(spec.options, Bayes) else None
            for name, text in (priors or {}).items():
                if self._coefficient(name, where) not in known:
                    raise DataError(f"there is no parameter {name!r} to give a prior; {closest(name, known)}")
                parse_prior(text)
        except DataError as error:
            raise StudyError(f"{self.file}, {where}: {error}") from None

    def defaults(self, table: Any) -> dict[str, Any]:
        known = {key for runner in ENGINES.values() for key in runner.known}
        known |= {key for runner in STEPS.values() for key in runner.known}
        self.check_keys(table, known, "[defaults]")
        return dict(table)


def _check_references(study: Study) -> None:
    """Check that every fit that is referred to exists and has the parameter that is needed."""
    specs: dict[str, FitSpec] = {}
    for spec in study.fit:
        if spec.name in specs:
            raise StudyError(f"{study.path.name}: two fits are called {spec.name!r}; rename one")
        specs[spec.name] = spec
        _check_data(study, f"fit {spec.name!r}", spec.data, folders=True)
    _check_steps(study, set(specs))
    labels = list(study.labels.values())
    for label in labels:
        if labels.count(label) > 1:
            raise StudyError(f"{study.path.name}: two fits have the label {label!r} in tables; change one")
    for where, name in _names(study, "fit"):
        if name not in specs:
            raise StudyError(f"{study.path.name}, {where}: there is no fit {name!r}; {closest(name, specs)}")
    for spec in study.fit:
        for name in spec.instead:
            if parse_law(specs[name].law) != parse_law(spec.law):
                raise StudyError(
                    f"{study.path.name}, fit {spec.name!r}, instead: {name!r} fits another law; "
                    f"name a fit of {spec.law}"
                )
    steps = [step.name for step in study.steps]
    for where, name in _names(study, "step"):
        if name not in steps:
            raise StudyError(
                f"{study.path.name}, {where}: there is no step {name!r}; {closest(name, steps or ['none'])}"
            )
    for where, name, candidates in _parameters(study):
        known = parameter_names(specs[name], study.path.parent)
        try:
            coefficients = {parse_name(candidate)[0] for candidate in candidates}
        except ValueError as error:
            raise StudyError(f"{study.path.name}, {where}: {error}") from None
        if not coefficients & set(known):
            words = " or ".join(map(repr, candidates))
            raise StudyError(
                f"{study.path.name}, {where}: fit {name!r} has no parameter {words}; {closest(candidates[0], known)}"
            )


def _check_data(study: Study, where: str, name: str, *, folders: bool) -> None:
    """Check that a table is either a shipped set or a file in the folder of the study, and not both."""
    path, place = study.path.parent / name, f"{study.path.name}, {where}"
    if not name.startswith(DATASET) and name not in dataset_names() and not _lies_there(path, folders):
        raise StudyError(
            f"{place}: data {name!r} is neither a file in the folder of the study nor a shipped set; "
            f"{closest(name, dataset_names())}"
        )
    try:
        locate(name, study.path.parent)
    except DataError as error:
        raise StudyError(f"{place}: {error}") from None


def _lies_there(path: Path, folders: bool) -> bool:
    try:
        return (path.exists() or bool(files_of(path))) if folders else path.is_file()
    except (OSError, ValueError, DataError):  # a name that is too long or contains a zero byte
        return False


def _check_steps(study: Study, fits: set[str]) -> None:
    """Check that every step has a unique name and reads something that exists."""
    seen = set(fits)
    for step in study.steps:
        if step.name in seen:
            raise StudyError(f"{study.path.name}: two parts of the study are called {step.name!r}; rename one")
        seen.add(step.name)
        where = f"{step.kind} {step.name!r}"
        if isinstance(step, HeadsStep) and step.losses:
            _check_data(study, f"{where}, losses", step.losses, folders=False)
        if not isinstance(step, ToyStep) or step.data:
            _check_data(study, where, step.data, folders=True)
        elif not _lies_there(study.path.parent / step.grid, folders=True):
            text = f"{study.path.name}, {where}: grid {step.grid!r} is not in the folder of the study"
            raise StudyError(f"{text}; correct the name")


def _parts(study: Study) -> Iterator[tuple[str, Any]]:
    """Yield every part that may refer to fits and steps, with its place for messages."""
    for kind in ("answer", "card", "section"):
        for i, part in enumerate(getattr(study, kind), start=1):
            yield f"[[{kind}]] {i}", part
            for key in ("figures", "claims"):
                yield from ((f"[[{kind}]] {i}, {key}", name) for name in getattr(part, key, ()))
    yield "[front]", study.front
    if study.front.figure:
        yield "[front.figure]", study.front.figure


def _names(study: Study, what: str) -> Iterator[tuple[str, str]]:
    """Yield every fit, or every step, that is named anywhere, with its place for messages."""
    for where, part in _parts(study):
        yield from ((where, mention.name) for mention in mentions(part) if mention.name and mention.refers.to == what)
    if what == "fit":
        yield from ((f"fit {spec.name!r}, instead", name) for spec in study.fit for name in spec.instead)
        needing = (step for step in study.steps if isinstance(step, SensitivityStep | CalibrationStep) and step.needs)
        yield from ((f"{step.kind} {step.name!r}, needs", step.needs) for step in needing)


def _parameters(study: Study) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield every fit of which a parameter is needed, and the names that it may have there."""
    for where, part in _parts(study):
        fits = [mention for mention in mentions(part) if mention.name and mention.refers.with_parameter]
        main = [fit.name for fit in fits if fit.key == "fit"]
        yield from ((where, name, (parameter,)) for name in main for parameter in getattr(part, "parameters", ()))
        candidates = split_names(getattr(part, "parameter", ""))
        yield from ((where, fit.name, candidates) for fit in fits if candidates)
