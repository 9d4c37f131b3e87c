"""Where everything came from: files and hashes, rows dropped, versions, the command of each fit."""

from __future__ import annotations

import inspect
import platform
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from scalefit import __version__
from scalefit.datasets import dataset_names, describe_dataset
from scalefit.law import Law
from scalefit.leastsq import fit as run_fit
from scalefit.report.study import FitSpec, Study

__all__ = ["DataFile", "code_hash", "command", "data_files", "data_hash", "versions"]

_FLAGS: Mapping[str, str] = {"mapping": "map"}


@dataclass(frozen=True)
class DataFile:
    """A table that a study uses.

    Parameters
    ----------
    name, file, title : str
        What it is called, where it lies, what it holds.
    rows : int or None
        Rows shipped; None for a user's file.
    sha256 : str
        Of its bytes.
    sources : str
        Papers and repositories; empty for a user's file.
    """

    name: str
    file: str
    title: str
    rows: int | None
    sha256: str
    sources: str


def data_files(study: Study) -> list[DataFile]:
    """Return each table that the study uses, once, in order."""
    return [_data_file(study, name) for name in dict.fromkeys(one.data for one in study.fit)]


def data_hash(study: Study, spec: FitSpec) -> str:
    """Return the sha256 of the bytes that a fit reads."""
    return _data_file(study, spec.data).sha256


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
    defaults = {name: one.default for name, one in inspect.signature(run_fit).parameters.items()}
    words = ["scalefit", "fit", shlex.quote(spec.data), f'"{Law.parse(spec.law)}"']
    for name, value in spec.options.items():
        if value != defaults.get(name):
            words += _flag(name, value)
    return " ".join(words)


def versions() -> str:
    """Say which software computed the numbers."""
    names = ("numpy", "scipy", "numba", "pandas", "typst")
    found = [f"{name} {_version(name)}" for name in names]
    return ", ".join([f"scalefit {__version__}", f"Python {platform.python_version()}", *found])


@cache
def code_hash() -> str:
    """Return a fingerprint of the code that makes fits, so that a cache never outlives it."""
    package = Path(__file__).resolve().parents[1]
    files = sorted([*package.glob("*.py"), *package.glob("solver/*.py"), *package.glob("leastsq/*.py")])
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _data_file(study: Study, name: str) -> DataFile:
    if name in dataset_names():
        info = describe_dataset(name)
        sources = "; ".join(info.sources)
        return DataFile(name, f"data/{name}/table.csv", info.title, info.rows, info.sha256, sources)
    content = (study.path.parent / name).read_bytes()
    digest = sha256(content).hexdigest()
    return DataFile(Path(name).stem, name, Path(name).name, None, digest, "")


def _flag(name: str, value: Any) -> list[str]:
    flag = f"--{_FLAGS.get(name, name).replace('_', '-')}"
    if value is True:
        return [flag]
    if isinstance(value, Mapping):
        value = ",".join(f"{key}={column}" for key, column in value.items())
    elif isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    return [flag, shlex.quote(str(value))]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
