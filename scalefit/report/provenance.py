"""Provenance: files and hashes, rows dropped, versions, the command of each fit."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scalefit.data.datasets import describe_dataset
from scalefit.data.many import WILD, files_of
from scalefit.data.sources import dataset_of, locate
from scalefit.report.study import FitSpec, Study
from scalefit.version import __version__

__all__ = ["DataFile", "data_files", "data_hash", "file_digest", "versions"]


@dataclass(frozen=True)
class DataFile:
    """A table that a study uses.

    Parameters
    ----------
    name, file, title : str
        Its name, its path, what it contains.
    rows : int or None
        Rows shipped; None for a user's file.
    sha256 : str
        Of its bytes.
    sources : tuple of str
        Papers, or how it was computed; empty for a user's file.
    repositories : tuple of str
        Where its numbers were taken from, with commits; empty for a user's file.
    derived : tuple of (str, str)
        Columns that were computed from others, with the formula; empty for a user's file.
    """

    name: str
    file: str
    title: str
    rows: int | None
    sha256: str
    sources: tuple[str, ...]
    repositories: tuple[str, ...] = ()
    derived: tuple[tuple[str, str], ...] = ()


def data_files(study: Study) -> list[DataFile]:
    """Return each table that the study uses, once, in order."""
    names = [spec.data for spec in study.fit]
    names += [step.data for step in study.levels]
    names += [step.data for step in study.sensitivity] + [step.data for step in study.calibration]
    names += [step.data for step in study.forecast] + [step.data for step in study.isoflop]
    names += [step.grid or step.data for step in study.toy] + [step.data for step in study.heads]
    names += [step.losses for step in study.heads if step.losses]
    return [_data_file(study, name) for name in dict.fromkeys(names)]


def data_hash(study: Study, spec: FitSpec) -> str:
    """Return the sha256 of the bytes that a fit reads."""
    return _data_file(study, spec.data).sha256


def versions(*more: str) -> str:
    """Name the software that computed the numbers; ``more`` names further packages."""
    names = ("numpy", "scipy", "numba", "pandas", *more, "typst")
    packages = [f"{name} {_version(name)}" for name in names]
    return ", ".join([f"scalefit {__version__}", f"Python {platform.python_version()}", *packages])


def file_digest(folder: Path, name: str) -> str:
    """Return the sha256 of a shipped table, of a file in ``folder``, or of all files of a folder in it."""
    located = locate(name, folder)
    if (shipped := dataset_of(located)) is not None:
        return describe_dataset(shipped).sha256
    path = Path(located)
    several = path.glob("**/*") if path.is_dir() else files_of(path) or [path]
    files = sorted(file for file in several if file.is_file())
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _data_file(study: Study, name: str) -> DataFile:
    shipped = dataset_of(locate(name, study.path.parent))
    if shipped is not None:
        info = describe_dataset(shipped)
        return DataFile(
            shipped,
            f"data/{shipped}/table.csv",
            info.title,
            info.rows,
            info.sha256,
            info.sources,
            info.repositories,
            info.derived,
        )
    digest = file_digest(study.path.parent, name)
    stem = Path(name).parts[0] if WILD.search(name) else Path(name).stem
    return DataFile(stem, name, name, None, digest, ())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
