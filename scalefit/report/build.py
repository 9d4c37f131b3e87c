"""Build a study's PDF: read, check, compute (or fetch from the cache), write, set in type."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal, NamedTuple, TypeAlias

from scalefit.blas import one_thread
from scalefit.errors import DataError
from scalefit.files import plain_json, write_atomically
from scalefit.numbers import counted, to_digits
from scalefit.options import Bayes
from scalefit.progress import Progress
from scalefit.report.checks import check_study
from scalefit.report.compile import check_extra, typeset_report
from scalefit.report.html import html_report
from scalefit.report.provenance import data_files
from scalefit.report.reader import read_study
from scalefit.report.resolve import drafted, resolved_hash, resolved_text
from scalefit.report.runners import check_engine
from scalefit.report.sections import compose
from scalefit.report.spec import PredictionAnswer, StepAnswer, ValuesAnswer
from scalefit.report.standin import stand_in
from scalefit.report.study import Study, with_defaults
from scalefit.report.tables_file import SUFFIXES, tables_text
from scalefit.report.work import Work
from scalefit.storage import fit_record
from scalefit.version import __version__

__all__ = ["Built", "build_report", "build_study"]

Tables: TypeAlias = Literal["markdown", "latex"] | None
Html: TypeAlias = bool | Literal["static", "interactive"] | None

_PAPERS = {"a4": "a4", "letter": "us-letter"}  # as the typesetter calls them
_KEPT = (
    "law", "table", "n_rows", "loss", "cluster", "objective", "status", "message", "estimate", "se", "interval",
    "method", "seed",
)  # fmt: skip
OPTIMUM, POSTERIOR = 10, 5  # digits of numbers in the file next to a report; those behind depend on rounding errors
MOST_FILES = 4  # whose hashes fit at the bottom of a page


class Built(NamedTuple):
    """A report that was written.

    Parameters
    ----------
    pdf : Path
        The file.
    also : tuple of Path
        The other files that were asked for.
    unanswered : str
        The status of the fit behind the first answer, if neither it nor a replacement has an answer; else empty.
    """

    pdf: Path
    also: tuple[Path, ...]
    unanswered: str


def build_report(
    study: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    html: Html = None,
    tables: Tables = None,
    draft: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Run the fits and steps of a study and write its report.

    Results are kept in a cache in the folder of the study, by content: a changed template typesets the report again,
    a changed law recomputes what depends on it, and an interrupted build resumes where it stopped. The study with
    every default written out is saved next to the PDF, which names its hash.

    Parameters
    ----------
    study : path
        A study.toml.
    out : path, optional
        The PDF. In the folder of the study when omitted, named after that folder (or after the file, unless that is
        called study.toml), with ``-draft`` for a draft.
    html : bool or {"static", "interactive"}, optional
        Also write the report as one self-contained HTML file next to the PDF; true means static. In an interactive one
        the points of figures say which run they are, under the pointer or with arrow keys.
    tables : {"markdown", "latex"}, optional
        Also write the tables into one file next to the PDF; LaTeX needs the package booktabs.
    draft : bool
        Take seconds: few draws, no toy models trained; every page says that it is a draft.
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
        When a table or a law cannot be used, or the PDF cannot be written; nothing has been computed in that case.
    MissingExtra
        When the packages of the report, or those that a fit needs, are not installed.
    """
    return build_study(study, out=out, html=html, tables=tables, draft=draft, progress=progress).pdf


def build_study(
    study: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    html: Html = None,
    tables: Tables = None,
    draft: bool = False,
    progress: Progress | None = None,
) -> Built:
    """Do the work of :func:`build_report`, and also return whether the main question of the study has an answer.

    Parameters
    ----------
    study, out, html, tables, draft, progress
        As for :func:`build_report`, which also lists the errors.

    Returns
    -------
    Built
        The PDF, and the status of the main question.
    """
    check_extra()
    path = Path(study)
    plan = with_defaults(read_study(path / "study.toml" if path.is_dir() else path))
    plan = drafted(plan) if draft else plan
    check_study(plan)
    for spec in plan.fit:
        check_engine(spec)
    target = Path(out) if out is not None else _beside(plan)
    _check_writable(target)
    if html and target.suffix == ".html":
        raise DataError(f"{str(target)!r} would be both the PDF and the page; end the PDF's name with .pdf")
    work = Work(plan, progress)
    with one_thread():  # the same digits, whether fits are computed here or in processes, and on any number of cores
        work.run()
        blocks, files = compose(plan, work)
    if progress is not None:
        progress("writing the report", 0, 0)
    document = _page(plan) | {"blocks": blocks}
    pdf = typeset_report(document, files, plan.date)
    also: dict[Path, bytes] = {}
    if html:
        also[target.with_suffix(".html")] = html_report(document, files, interactive=html == "interactive")
    if tables is not None:
        also[target.with_name(f"{target.stem}-tables{SUFFIXES[tables]}")] = tables_text(blocks, tables).encode()
    write_atomically(target.with_suffix(".resolved.toml"), resolved_text(plan).encode())
    write_atomically(target.with_suffix(".numbers.json"), _numbers(plan, work))
    for name, content in also.items():
        write_atomically(name, content)
    write_atomically(target, pdf)
    return Built(target, tuple(also), _unanswered(plan, work))


def _numbers(study: Study, work: Work) -> bytes:
    """Write every fit with many digits, by name: what a page has no room for, and what checks another solver."""
    kept: dict[str, Any] = {}
    for spec in study.fit:
        record = plain_json(fit_record(work.fits[spec.name]))
        digits = POSTERIOR if isinstance(spec.options, Bayes) else OPTIMUM
        kept[spec.name] = _to_digits({key: record[key] for key in _KEPT}, digits)
    return (json.dumps(kept, ensure_ascii=False, indent=1) + "\n").encode()


def _to_digits(value: Any, digits: int) -> Any:
    """Round the floats of plain JSON to significant digits."""
    match value:
        case dict():
            return {key: _to_digits(item, digits) for key, item in value.items()}
        case list():
            return [_to_digits(item, digits) for item in value]
        case float():
            return to_digits(value, digits)
    return value


def _unanswered(study: Study, work: Work) -> str:
    """Return the status of the fit of the first answer that has one, where no fit answers for it."""
    asked = next(
        (answer.fit for answer in study.answer if not isinstance(answer, StepAnswer | ValuesAnswer | PredictionAnswer)),
        "",
    )
    if not asked:
        return ""
    answering = stand_in(asked, work.fits, {spec.name: spec for spec in study.fit})
    return "" if answering.identified else work.fits[asked].status


def _page(study: Study) -> dict[str, Any]:
    """Return the title and the page set-up for the template."""
    files = [f"{file.name} {file.sha256[:12]}" for file in data_files(study)]
    if len(files) > MOST_FILES:
        files = [f"{study.path.name} {resolved_hash(study)[:12]}", f"{len(files)} tables read"]
    return {
        "title": study.title,
        "subtitle": study.subtitle,
        "short_title": study.short_title or study.title,
        "date": study.date.isoformat() if study.date else "",
        "made": _made(study),
        "author": study.author,
        "paper": _PAPERS[study.template],
        "footer": ", ".join(files),
        "draft": "Draft: few draws, numbers will change" if study.draft else "",
    }


def _made(study: Study) -> str:
    """Describe what was fitted, with which version and when."""
    tables = len({spec.data for spec in study.fit})
    made = f"{counted(len(study.fit), 'fit')} to {counted(tables, 'table')}, scalefit {__version__}"
    return made + (f", {study.date.day} {study.date:%B %Y}" if study.date else "")


def _beside(study: Study) -> Path:
    path = study.path
    stem = path.resolve().parent.name if path.name == "study.toml" else path.stem
    return path.with_name(f"{stem or 'report'}{'-draft' if study.draft else ''}.pdf")


def _check_writable(path: Path) -> None:
    """Reject a path that cannot be written before anything is computed."""
    folder = path.parent
    if not folder.is_dir():
        raise DataError(
            f"cannot write {str(path)!r}: there is no folder {str(folder)!r}; create it or give another path"
        )
    if path.is_dir():
        raise DataError(f"cannot write {str(path)!r}: it is a folder; give the name of a PDF file")
    try:
        with NamedTemporaryFile(prefix=f".{path.name}-", dir=folder):  # a name that no other build has
            pass
    except OSError as error:
        raise DataError(
            f"cannot write {str(path)!r}: {error.strerror}; give a path in a folder you can write"
        ) from None
