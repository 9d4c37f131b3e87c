"""Build a study's PDF: read, check, fit (or fetch from the cache), write, set in type."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from scalefit import __version__
from scalefit.errors import DataError
from scalefit.law import Law
from scalefit.leastsq.fit import Progress
from scalefit.report.compile import check_extra, typeset_report
from scalefit.report.engines import check_engine, fingerprint, run_spec
from scalefit.report.gallery import Gallery
from scalefit.report.provenance import data_files, data_hash
from scalefit.report.reader import read_study
from scalefit.report.sections import check_kinds, compose
from scalefit.report.study import FitSpec, Study, with_defaults
from scalefit.results import Fit
from scalefit.storage import load_fit, save_fit, write_atomically

__all__ = ["build_report", "run_study"]

CACHE = ".cache"


def build_report(
    study: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Run the fits of a study and write its report.

    Parameters
    ----------
    study : path
        A study.toml.
    out : path, optional
        The PDF. Beside the study when omitted, named after its folder (or after the file, unless that is
        called study.toml).
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Path
        The PDF.

    Raises
    ------
    StudyError
        When the study cannot be read or refers to something that does not exist.
    DataError, LawError
        When a table or a law cannot be used, or the PDF cannot be written; nothing was computed in that case.
    MissingExtra
        When the packages of the report, or those that a fit asks for, are not installed.
    """
    check_extra()
    plan = with_defaults(read_study(Path(study)))
    check_kinds(plan)
    for one in plan.fit:
        check_engine(one)
    target = Path(out) if out is not None else _beside(plan.path)
    _check_writable(target)
    fits = run_study(plan, progress=progress)
    if progress is not None:
        progress("writing the report", 0, 0)
    labels = {one.name: one.label or one.name.replace("_", " ") for one in plan.fit}
    gallery = Gallery(fits, labels, {one.name: one for one in plan.fit}, plan.path.parent)
    document = _page(plan) | {"blocks": compose(plan, fits, gallery)}
    write_atomically(target, typeset_report(document, gallery.files, plan.date))
    return target


def run_study(study: Study, *, progress: Progress | None = None) -> dict[str, Fit]:
    """Run the fits of a study, or fetch those that were run before from the cache beside it.

    Parameters
    ----------
    study : Study
        The study.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    dict
        Fits by name, whatever their status.
    """
    return {one.name: _fetch(study, one, progress) for one in study.fit}


def _fetch(study: Study, spec: FitSpec, progress: Progress | None) -> Fit:
    cached = study.path.parent / CACHE / f"{_key(study, spec)}.fit"
    try:
        return load_fit(cached)
    except DataError:
        pass  # not there, or written by another release

    fit = run_spec(spec, study.path.parent, progress)
    _keep(fit, cached)
    return fit


def _key(study: Study, spec: FitSpec) -> str:
    """Name a fit by everything that it depends on."""
    options = {key: _plain(value) for key, value in sorted(spec.options.items())}
    label = spec.label or spec.name
    law = str(Law.parse(spec.law))
    content = [data_hash(study, spec), spec.data, law, label, spec.engine, options, fingerprint(spec)]
    return sha256(json.dumps(content).encode()).hexdigest()[:32]


def _keep(fit: Fit, path: Path) -> None:
    """Store a fit for next time; a read-only folder only means that next time it is run again."""
    try:
        path.parent.mkdir(exist_ok=True)
        (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        save_fit(fit, path)
    except (OSError, DataError):
        return


def _page(study: Study) -> dict[str, Any]:
    """Return the title and the page set-up for the template."""
    files = [f"{one.name} {one.sha256[:12]}" for one in data_files(study)]
    return {
        "title": study.title,
        "subtitle": study.subtitle,
        "short_title": study.short_title or study.title,
        "date": study.date.isoformat() if study.date else "",
        "made": _made(study),
        "paper": study.paper,
        "footer": ", ".join(files),
    }


def _made(study: Study) -> str:
    """Say what was fitted, by what and when."""
    tables = len({one.data for one in study.fit})
    count = [f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((len(study.fit), "fit"), (tables, "table"))]
    made = f"{count[0]} to {count[1]}, scalefit {__version__}"
    return made + (f", {study.date.day} {study.date:%B %Y}" if study.date else "")


def _beside(path: Path) -> Path:
    stem = path.resolve().parent.name if path.name == "study.toml" else path.stem
    return path.with_name(f"{stem or 'report'}.pdf")


def _check_writable(path: Path) -> None:
    """Refuse a path before the computing starts."""
    folder = path.parent
    if not folder.is_dir():
        raise DataError(
            f"cannot write {str(path)!r}: there is no folder {str(folder)!r}; create it or give another path"
        )
    if path.is_dir():
        raise DataError(f"cannot write {str(path)!r}: it is a folder; give the name of a PDF file")
    probe = path.with_name(path.name + ".partial")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataError(
            f"cannot write {str(path)!r}: {error.strerror}; give a path in a folder you can write"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
