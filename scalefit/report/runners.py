"""The functions that a study can run: their keys, the commands that repeat them, and what their results depend on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scalefit.data.sources import locate
from scalefit.errors import DataError, MissingExtra
from scalefit.law.general import parse_law, sum_of_powers
from scalefit.leastsq import fit as least_squares
from scalefit.options import BAYES as BAYES_OPTIONS
from scalefit.options import FIT, Bayes, Jobs, LeastSquares, Options, Part, gather
from scalefit.options import command as option_words
from scalefit.options.base import Described, type_fault
from scalefit.posterior import bayes
from scalefit.posterior.defaults import extra_parameters
from scalefit.posterior.pooling import apply_pool
from scalefit.progress import Progress
from scalefit.report.study import BAYES, LEAST_SQUARES, FitSpec, options_of
from scalefit.results import Fit

__all__ = [
    "ENGINES",
    "Runner",
    "check_engine",
    "code_hash",
    "command",
    "command_line",
    "fingerprint",
    "parameter_names",
    "run_spec",
    "sampler_versions",
]

_COMPUTING = ("numpy", "scipy", "numba", "pandas")
_SAMPLERS = ("pymc", "nutpie", "arviz")


@dataclass(frozen=True)
class Runner:
    """A function of the library that a study can run.

    Parameters
    ----------
    run : callable
        The function; its keywords are the keys of a fit or a step.
    verb : str
        Of the command line.
    parts : tuple of Part
        Its options.
    folders : tuple of str
        Packages of scalefit that its numbers depend on.
    """

    run: Any
    verb: str
    parts: tuple[Part, ...]
    folders: tuple[str, ...]

    @property
    def known(self) -> dict[str, Described]:
        """The keys of a fit or step by name, without the options for running jobs, which a study does not set."""
        return {name: option for each in self._own for name, option in each.described().items()}

    def read(self, keys: Mapping[str, Any]) -> tuple[Options, ...]:
        """Make options from the keys of a fit or a step.

        Parameters
        ----------
        keys : mapping
            The keys of :attr:`known` that it sets.

        Returns
        -------
        tuple of Options
            A value of each class.

        Raises
        ------
        DataError
            For a value of another type than its key needs, or an impossible one.
        """
        for name, value in keys.items():
            fault = type_fault(self.known[name], tuple(value) if isinstance(value, list) else value)
            if fault or (self.known[name].kinds == (int,) and type(value) is not int):
                raise DataError(f"{name} is {value!r}; {fault or 'it must be a whole number'}")
        values: tuple[Options, ...] = gather(self._own, (), keys)
        return values

    def write(self, values: Sequence[Options]) -> dict[str, Any]:
        """Return every key of a fit or a step with its value, required keys first, so that :meth:`read` reads them."""
        by_class = {type(value): value for value in values}
        keys = dict(pair for part in self._own for pair in _keys(part, by_class[part.kind]))
        required = {name: keys.pop(name) for name, option in self.known.items() if option.default is MISSING}
        return required | keys

    @property
    def _own(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.kind is not Jobs)


def _keys(part: Part, value: Options) -> Iterator[tuple[str, Any]]:
    """Yield the keys of one class; None is written as a word where omitting the key means something else."""
    for name, option in part.described().items():
        own = getattr(value, name)
        yield name, "none" if own is None and option.default not in (None, MISSING) else own


_FITTING = ("data", "law", "options", "solver")

ENGINES: Mapping[str, Runner] = MappingProxyType(
    {
        LEAST_SQUARES: Runner(least_squares, "fit", FIT, (*_FITTING, "leastsq")),
        BAYES: Runner(bayes, "bayes", BAYES_OPTIONS, (*_FITTING, "posterior")),
    }
)


def parameter_names(spec: FitSpec, folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of a fit's parameters, without levels, before it is run.

    Parameters
    ----------
    spec : FitSpec
        The fit.
    folder : Path, optional
        The folder of the user's tables: in a law that is not a sum of powers, names that are not columns are
        parameters; without it, those that the law declares.

    Returns
    -------
    tuple of str
        Those of the law, and those that the posterior adds.

    Raises
    ------
    LawError, DataError
        When law or pooling cannot be read.
    """
    law = parse_law(spec.law)
    if not law.is_decided and folder is not None:
        law, _ = spec.selection.bind(locate(spec.data, folder), law, space="linear")
    if isinstance(spec.options, LeastSquares):
        return tuple(coef.name for coef in law.parameters)
    law, pooled = apply_pool(sum_of_powers(law, "bayes"), spec.options.pool)
    student = spec.options.likelihood == "student_t"
    extra = extra_parameters(student, spec.selection.cluster is not None, pooled)
    return tuple(
        dict.fromkeys([*(coef.name for coef in law.parameters), *(parameter.coef.name for parameter in extra)])
    )


def check_engine(spec: FitSpec) -> None:
    """Reject a fit whose packages are not installed, before anything is computed.

    Parameters
    ----------
    spec : FitSpec
        The fit.

    Raises
    ------
    MissingExtra
        When NUTS is requested without PyMC.
    """
    if isinstance(spec.options, Bayes) and spec.options.path == "full" and find_spec("pymc") is None:
        raise MissingExtra(f'Fit {spec.name!r}, which has path = "full",', "bayes")


def run_spec(spec: FitSpec, folder: Path, progress: Progress | None) -> Fit:
    """Run one fit of a study.

    Parameters
    ----------
    spec : FitSpec
        The fit.
    folder : Path
        The folder of the user's tables.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Fit
        With any status.
    """

    def report(stage: str, done: int, total: int) -> None:
        if progress is not None:
            progress(f"{spec.name}: {stage}", done, total)

    data = locate(spec.data, folder)
    run, keywords = ENGINES[spec.engine].run, {"label": spec.label or spec.name, "throw": False, "progress": report}
    fit: Fit = run(data, spec.law, spec.selection, spec.options, **keywords)
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
    return command_line(ENGINES[spec.engine], spec.data, spec.law, options_of(spec))


def command_line(runner: Runner, data: str, law: str, options: Sequence[Options]) -> str:
    """Write a call of a function as the command line that repeats it; options with their default values are omitted.

    Parameters
    ----------
    runner : Runner
        The function.
    data, law : str
        Its table and its law.
    options : sequence of Options
        Its options.

    Returns
    -------
    str
        Quoted for a shell.
    """
    words = [shlex.quote(word) for word in option_words(runner.parts, runner.write(options))]
    return " ".join(["scalefit", runner.verb, shlex.quote(data), f'"{parse_law(law)}"', *words])


def fingerprint(spec: FitSpec) -> str:
    """Return a hash of the code and packages that a fit's numbers depend on, so that a cache never outlives them."""
    sampled = isinstance(spec.options, Bayes) and spec.options.path != "fast"
    packages = sampler_versions() if sampled else ""
    return sha256(f"{code_hash(ENGINES[spec.engine].folders)} {packages}".encode()).hexdigest()


@cache
def code_hash(folders: tuple[str, ...]) -> str:
    """Return a hash of the code at the top of the package and in some of its folders, and of numerical packages."""
    package = Path(__file__).resolve().parents[1]
    missing = [folder for folder in folders if folder != "**" and not (package / folder).is_dir()]
    if missing:  # a hash of no files would never change, and results would be kept for ever
        raise AssertionError(f"there is no package {', '.join(missing)} in scalefit")
    files = [*package.glob("*.py"), *(path for folder in folders for path in package.glob(f"{folder}/*.py"))]
    numbers = " ".join(f"{name} {version(name)}" for name in _COMPUTING)
    return sha256(b"".join(path.read_bytes() for path in sorted(files)) + numbers.encode()).hexdigest()


def sampler_versions() -> str:
    """Return the versions of the sampler's packages, on which the path "auto" depends."""
    parts = []
    for name in _SAMPLERS:
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            parts.append(f"no {name}")
    return ", ".join(parts)
