"""Set a report in type: blocks and figures through typst into an accessible, archivable PDF."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from scalefit.errors import MissingExtra, StudyError
from scalefit.plots.style import font_folder

__all__ = ["check_extra", "typeset_report"]

# Together they make the compiler refuse a picture or an equation without words for those who cannot see it.
STANDARDS: Final = ("a-2a", "ua-1")
_EPOCH: Final = datetime.datetime(1980, 1, 1, tzinfo=datetime.UTC)


def check_extra() -> Path:
    """Return the folder of the report's typeface.

    Returns
    -------
    Path
        A folder of TrueType files.

    Raises
    ------
    MissingExtra
        When the compiler or the typeface is not installed.
    """
    try:
        import typst  # noqa: F401
    except ImportError:
        raise MissingExtra("The PDF report", "report") from None
    folder = font_folder()
    if folder is None:
        raise MissingExtra("The PDF report", "report")
    return folder


def typeset_report(document: Mapping[str, Any], figures: Mapping[str, bytes], date: datetime.date | None) -> bytes:
    """Compile a report.

    Parameters
    ----------
    document : mapping
        Title, page set-up and blocks, as JSON values.
    figures : mapping
        SVG by file name.
    date : date or None
        Written into the file as its date of creation, so that the same input gives the same bytes.

    Returns
    -------
    bytes
        PDF/A-2a and PDF/UA-1.

    Raises
    ------
    MissingExtra
        When the compiler or the typeface is not installed.
    StudyError
        When the compiler refuses the document.
    """
    fonts = check_extra()
    import typst

    moment = _EPOCH if date is None else datetime.datetime(date.year, date.month, date.day, tzinfo=datetime.UTC)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        template = resources.files("scalefit.report").joinpath("template.typ").read_bytes()
        (root / "main.typ").write_bytes(template)
        (root / "report.json").write_text(json.dumps(document), encoding="utf-8")
        for name, content in figures.items():
            (root / name).write_bytes(content)
        try:
            out = typst.compile(
                str(root / "main.typ"), root=str(root), font_paths=[str(fonts)], ignore_system_fonts=True,
                format="pdf", pdf_standards=list(STANDARDS), timestamp=int(moment.timestamp()),
            )  # fmt: skip
        except typst.TypstError as error:
            raise StudyError(f"the report could not be typeset: {error}") from None
    return bytes(out)
