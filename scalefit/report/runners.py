"""The functions that a study can run: their keys, the commands that repeat them, what their results depend on."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scalefit.errors import MissingExtra
from scalefit.law import Law
from scalefit.leastsq import fit as least_squares
from scalefit.leastsq.fit import Progress
from scalefit.posterior import bayes
from scalefit.posterior.defaults import extra_parameters
from scalefit.posterior.pooling import apply_pool
from scalefit.report.study import BAYES, LEAST_SQUARES, FitSpec
from scalefit.results import Fit
from scalefit.sources import locate

__all__ = [
    "ENGINES",
    "Engine",
    "check_engine",
    "code_hash",
    "command",
    "command_line",
    "fingerprint",
    "option_names",
    "parameter_names",
    "run_spec",
    "sampler_versions",
]

_NOT_IN_STUDY = frozenset({"data", "law", "throw", "progress", "label", "sampler"})  # the report's own, or no option
_COMPUTING = ("numpy", "scipy", "numba", "pandas")
_SAMPLERS = ("pymc", "nutpie", "arviz")


@dataclass(frozen=True)
class Engine:
    """A function of the library that a study can run.

    Parameters
    ----------
    run : callable
        The function; its keywords are the keys of a fit or a step.
    verb : str
        Of the command line.
    folders : tuple of str
        Packages of scalefit that its numbers come from.
    flags : mapping
        Keyword to flag, where they differ.
    repeated : frozenset of str
        Keywords whose flag is given once for each value.
    """

    run: Any
    verb: str
    folders: tuple[str, ...]
    flags: Mapping[str, str]
    repeated: frozenset[str] = frozenset()


ENGINES: Mapping[str, Engine] = MappingProxyType(
    {
        LEAST_SQUARES: Engine(least_squares, "fit", ("solver", "leastsq"), {"mapping": "map"}),
        BAYES: Engine(
            bayes, "bayes", ("solver", "bayes"), {"mapping": "map", "priors": "prior"}, frozenset({"priors", "pool"})
        ),
    }
)


def option_names(engine: str) -> tuple[str, ...]:
    """Return the keys of a fit by an engine, beside name, data, law and label."""
    return tuple(name for name in inspect.signature(ENGINES[engine].run).parameters if name not in _NOT_IN_STUDY)


def parameter_names(spec: FitSpec) -> tuple[str, ...]:
    """Return what a fit's parameters are called, without levels, before it is run.

    Raises
    ------
    LawError, DataError
        When law or pooling cannot be read.
    """
    law = Law.parse(spec.law)
    if spec.engine == LEAST_SQUARES:
        return tuple(coef.name for coef in law.parameters)
    law, pooled = apply_pool(law, spec.options.get("pool"))
    student = spec.options.get("likelihood", "student_t") == "student_t"
    extra = extra_parameters(student, spec.options.get("cluster") is not None, pooled)
    return tuple(dict.fromkeys([*(coef.name for coef in law.parameters), *(one.coef.name for one in extra)]))


def check_engine(spec: FitSpec) -> None:
    """Refuse a fit whose packages are not installed, before anything is computed.

    Raises
    ------
    MissingExtra
        When NUTS is asked for without PyMC.
    """
    if spec.engine == BAYES and spec.options.get("path") == "full" and find_spec("pymc") is None:
        raise MissingExtra(f'Fit {spec.name!r}, which asks for path = "full",', "bayes")


def run_spec(spec: FitSpec, folder: Path, progress: Progress | None) -> Fit:
    """Run one fit of a study.

    Parameters
    ----------
    spec : FitSpec
        The fit.
    folder : Path
        Where the user's tables lie.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Fit
        Whatever its status.
    """

    def report(stage: str, done: int, total: int) -> None:
        if progress is not None:
            progress(f"{spec.name}: {stage}", done, total)

    data = locate(spec.data, folder)
    run = ENGINES[spec.engine].run
    fit: Fit = run(data, spec.law, label=spec.label or spec.name, throw=False, progress=report, **spec.options)
    return fit


def command(spec: FitSpec) -> str:
    """Write a fit as the command line that repeats it.

    Parameters
    ----------
    spec : FitSpec
        The fit.

    Returns
    -------
    str
        Such as ``scalefit fit chinchilla "loss ~ ..." --loss huber --drop-highest-loss 5``.
    """
    return command_line(ENGINES[spec.engine], spec.data, spec.law, spec.options)


def command_line(engine: Engine, data: str, law: str, options: Mapping[str, Any]) -> str:
    """Write a call of an engine as the command line that repeats it; what equals its default is left out."""
    defaults = {name: one.default for name, one in inspect.signature(engine.run).parameters.items()}
    words = ["scalefit", engine.verb, shlex.quote(data), f'"{Law.parse(law)}"']
    for name, value in options.items():
        if value != defaults.get(name):
            words += _flag(engine, name, value)
    return " ".join(words)


def fingerprint(spec: FitSpec) -> str:
    """Return a hash of the code and packages that a fit's numbers come from, so that a cache never outlives them."""
    packages = "" if spec.engine == LEAST_SQUARES or spec.options.get("path") == "fast" else sampler_versions()
    return sha256(f"{code_hash(ENGINES[spec.engine].folders)} {packages}".encode()).hexdigest()


@cache
def code_hash(folders: tuple[str, ...]) -> str:
    """Return a hash of the code at the top of the package and in some of its folders, and of what computes for it."""
    package = Path(__file__).resolve().parents[1]
    files = [*package.glob("*.py"), *(path for folder in folders for path in package.glob(f"{folder}/*.py"))]
    numbers = " ".join(f"{name} {version(name)}" for name in _COMPUTING)
    return sha256(b"".join(path.read_bytes() for path in sorted(files)) + numbers.encode()).hexdigest()


def sampler_versions() -> str:
    """Versions of the sampler's packages: without them the path "auto" is another one."""
    found = []
    for name in _SAMPLERS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def _flag(engine: Engine, name: str, value: Any) -> list[str]:
    flag = f"--{engine.flags.get(name, name).replace('_', '-')}"
    if value is True:
        return [flag]
    if isinstance(value, Mapping):
        pairs = [f"{key}={_joined(one)}" for key, one in value.items()]
        if name in engine.repeated:
            return [word for pair in pairs for word in (flag, shlex.quote(pair))]
        value = pairs
    return [flag, shlex.quote(_joined(value))]


def _joined(value: Any) -> str:
    """Write a list as an option takes it: apart by semicolons where its items have commas."""
    if not isinstance(value, list | tuple):
        return str(value)
    texts = [str(one) for one in value]
    return (";" if any("," in text for text in texts) else ",").join(texts)
