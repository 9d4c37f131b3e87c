"""The computations of a study and their cache: fits, steps, and the parts of the report written from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Generic, TypeVar

from scalefit.data.datasets import data_directory
from scalefit.files import read_kept, write_atomically
from scalefit.jobs import run_jobs
from scalefit.law.general import parse_law
from scalefit.options import Bayes, LeastSquares, Rows, plain, restore
from scalefit.progress import Progress
from scalefit.records import CONVERGED
from scalefit.report.blocks import Block
from scalefit.report.provenance import data_hash, versions
from scalefit.report.runners import code_hash, fingerprint, run_spec
from scalefit.report.steps import StepFailed, StepResult, jobs_folder, run_step, step_key
from scalefit.report.study import CalibrationStep, FitSpec, SensitivityStep, Study, as_plain, options_of
from scalefit.results import Fit
from scalefit.storage import load_fit, save_fit

__all__ = ["Computed", "Work", "run_fit"]

CACHE = ".cache"
KINDS: Final[Mapping[str, type[LeastSquares | Bayes]]] = {kind.engine: kind for kind in (LeastSquares, Bayes)}
MANY = 6  # fits from which on starting processes pays
T = TypeVar("T")
Written = tuple[list[Block], dict[str, bytes]]


class Computed(Mapping[str, T], Generic[T]):
    """Results by name, fetched on first use; records which were used.

    Parameters
    ----------
    keys : mapping
        Name to the hash of everything that the result depends on.
    fetch : callable
        Returns the result of a name.
    """

    def __init__(self, keys: Mapping[str, str], fetch: Callable[[str], T]) -> None:
        self.content = keys
        self.used: set[str] = set()
        self._fetch = fetch
        self._found: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self.content:
            raise KeyError(name)
        self.used.add(name)
        if name not in self._found:
            self._found[name] = self._fetch(name)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)


@dataclass
class Work:
    """The results of one study, computed or read from its cache.

    Parameters
    ----------
    study : Study
        The study.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    """

    study: Study
    progress: Progress | None = None
    fits: Computed[Fit] = field(init=False)
    steps: Computed[StepResult] = field(init=False)

    def __post_init__(self) -> None:
        folder = self.study.path.parent
        self._cache = _cache_beside(folder)
        self.fits = Computed({spec.name: _fit_key(self.study, spec) for spec in self.study.fit}, self._fit)
        self.steps = Computed({step.name: step_key(step, folder) for step in self.study.steps}, self._step)

    def run(self) -> None:
        """Compute every fit that the cache does not have; finished fits are kept when this is interrupted.

        Many fits are distributed over processes. A fit that fails there is run again here, where its error is raised.
        """
        missing = {name: self._path(name) for name in self.fits if not self._path(name).is_file()}
        if len(missing) >= MANY:
            # the slowest first: posteriors with a pool may need NUTS
            cells = {name: self._cell(name, path) for name, path in sorted(missing.items(), key=self._work)}
            run_jobs(run_fit, cells, stage="fits", progress=self.progress)
        for done, name in enumerate(missing):
            if self.progress is not None:
                self.progress("fits", done, len(missing))
            self.fits[name]
        self.fits.used.clear()

    def _work(self, item: tuple[str, Path]) -> tuple[bool, bool]:
        """Sort posteriors with pooling first, then posteriors."""
        options = self.study.spec(item[0]).options
        return not isinstance(options, Bayes) or options.pool is None, not isinstance(options, Bayes)

    def _cell(self, name: str, path: Path) -> dict[str, Any]:
        spec = self.study.spec(name)
        own = {"name": spec.name, "data": spec.data, "law": spec.law, "label": spec.label}
        options = {"engine": spec.engine, "selection": plain(spec.selection), "options": plain(spec.options)}
        return {"spec": own, **options, "folder": str(self.study.path.parent), "path": str(path)}

    def part(self, about: Any, write: Callable[[], Written]) -> Written:
        """Write a part of the report, or read it from the cache when none of its inputs has changed.

        Parameters
        ----------
        about : dataclass
            The specification of the part.
        write : callable
            Returns its blocks and the files of its figures.

        Returns
        -------
        tuple
            Blocks, and SVG by file name.
        """
        key = sha256(json.dumps([_writers(), as_plain(about)], default=str).encode()).hexdigest()[:32]
        path = self._shelf(f"{key}.part")
        stored = read_kept(path, _read_part)
        if stored is not None and self._is_fresh(stored["used"]):
            return stored["blocks"], {name: text.encode() for name, text in stored["files"].items()}
        self.fits.used.clear()
        self.steps.used.clear()
        blocks, files = write()
        used = {
            "fits": {name: self.fits.content[name] for name in self.fits.used},
            "steps": {name: self.steps.content[name] for name in self.steps.used},
        }
        texts = {name: content.decode() for name, content in files.items()}
        content = json.dumps({"used": used, "blocks": blocks, "files": texts})
        write_atomically(path, f"{sha256(content.encode()).hexdigest()}\n{content}".encode())
        return json.loads(content)["blocks"], files

    def _is_fresh(self, used: Mapping[str, Mapping[str, str]]) -> bool:
        now = {"fits": self.fits.content, "steps": self.steps.content}
        return all(now[kind].get(name) == key for kind, names in used.items() for name, key in names.items())

    def _fit(self, name: str) -> Fit:
        path = self._path(name)
        if path.exists():
            stored = read_kept(path, load_fit)
            if stored is not None:
                return stored
        fit = run_spec(self.study.spec(name), self.study.path.parent, self.progress)
        save_fit(fit, path)
        return fit

    def _path(self, name: str) -> Path:
        return self._shelf(f"{self.fits.content[name]}.fit")

    def _step(self, name: str) -> StepResult:
        spec, folder = self.study.step(name), self.study.path.parent
        needs = spec.needs if isinstance(spec, SensitivityStep | CalibrationStep) else ""
        if needs and self.fits[needs].status != CONVERGED:
            label, status = self.study.labels[needs], self.fits[needs].status
            return StepFailed(f"it is omitted because it is based on the fit “{label}”, which is {status}.")
        return run_step(spec, folder, self._shelf(jobs_folder(spec, folder)), self.progress)

    def _shelf(self, name: str) -> Path:
        return Path(self._cache.name) / name if isinstance(self._cache, TemporaryDirectory) else self._cache / name


def run_fit(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Run one fit in a separate process and save it in the cache.

    Parameters
    ----------
    cell : mapping
        ``spec`` without options, its ``engine``, ``selection`` and ``options``, ``folder`` of the study, ``path`` of
        the file.

    Returns
    -------
    dict
        Its status.
    """
    selection, options = restore(Rows, cell["selection"]), restore(KINDS[cell["engine"]], cell["options"])
    fit = run_spec(FitSpec(**cell["spec"], selection=selection, options=options), Path(cell["folder"]), None)
    save_fit(fit, cell["path"])
    return {"status": fit.status}


def _cache_beside(folder: Path) -> Path | TemporaryDirectory[str]:
    """Return the cache of a study; a temporary one for this run if the folder cannot be written."""
    try:
        (folder / CACHE).mkdir(exist_ok=True)
        (folder / CACHE / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError:
        return TemporaryDirectory()
    return folder / CACHE


def _fit_key(study: Study, spec: FitSpec) -> str:
    """Return a key from everything that a fit depends on."""
    options = [plain(value) for value in options_of(spec)]
    law = str(parse_law(spec.law))
    content = [data_hash(study, spec), spec.data, law, spec.label or spec.name, spec.engine, options, fingerprint(spec)]
    return sha256(json.dumps(content).encode()).hexdigest()[:32]


def _writers() -> str:
    """Return a hash of everything other than results that text, tables and figures depend on."""
    data = (data_directory() / "manifest.toml").read_bytes()
    packages = versions("matplotlib", "pymc", "nutpie", "arviz")  # the method section prints them
    return sha256(f"{code_hash(('**',))} {packages}".encode() + data).hexdigest()


def _read_part(path: Path) -> Any:
    """Read a stored part, whose first line is the digest of the rest."""
    digest, _, content = path.read_bytes().partition(b"\n")
    if digest.decode() != sha256(content).hexdigest():
        raise ValueError("it is damaged")
    return json.loads(content)
