"""Typeset a report: blocks and figures through typst into an accessible, archivable PDF."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from scalefit.errors import MissingExtra, StudyError
from scalefit.escape import visible
from scalefit.plots.fonts import Face, drawable, font_folder, lacking

__all__ = ["check_extra", "typeset_report"]

# Together they make the compiler reject a picture or an equation without alternative text.
STANDARDS: Final = ("a-2a", "ua-1")
SPARSE: Final = 0.5  # of the height of the last page, below which less space between lines is tried
TIGHT: Final[dict[str, Any]] = {"sys_inputs": {"tight": "yes"}}
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
        When the compiler rejects the document.
    """
    fonts = check_extra()
    import typst

    moment = _EPOCH if date is None else datetime.datetime(date.year, date.month, date.day, tzinfo=datetime.UTC)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        template = resources.files("scalefit.report").joinpath("template.typ").read_bytes()
        (root / "main.typ").write_bytes(template)
        content = _shown({**document, "blocks": [_printed(block) for block in document["blocks"]]})
        letters = json.dumps(content, ensure_ascii=False) + b"".join(figures.values()).decode()
        others = list(lacking("".join(set(letters))))
        content["fonts"] = [other.family for other in others]
        (root / "report.json").write_text(json.dumps(content), encoding="utf-8")
        for name, content in figures.items():
            (root / name).write_bytes(content)
        source: dict[str, Any] = {
            "input": str(root / "main.typ"), "root": str(root), "ignore_system_fonts": True,
            "font_paths": [str(fonts), *_folders(others, root)],
        }  # fmt: skip
        pdf: dict[str, Any] = {
            "format": "pdf", "pdf_standards": list(STANDARDS), "timestamp": int(moment.timestamp()),
        }  # fmt: skip
        try:
            out = typst.compile(**source, **pdf)
            page, filled = _end(source)
            if page > 1 and filled < SPARSE and _end(source | TIGHT)[0] < page:
                out = typst.compile(**source, **TIGHT, **pdf)
        except typst.TypstError as error:
            raise StudyError(f"the report could not be typeset: {error}") from None
    return bytes(out)


def _end(source: Mapping[str, Any]) -> tuple[int, float]:
    """Return the page on which a report ends, and the share of its height that is taken by then."""
    import typst

    end = json.loads(typst.query(selector="<end>", field="value", one=True, **source))
    return int(end["page"]), float(end["y"])


def _folders(faces: Sequence[Face], root: Path) -> list[str]:
    """Put each font into a separate folder: the compiler takes folders, and their order must be the same everywhere."""
    folders = []
    for number, face in enumerate(faces):
        folder = root / f"font-{number}"
        folder.mkdir()
        shutil.copyfile(face.path, folder / face.path.name)
        folders.append(str(folder))
    return folders


def _printed(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block without what only a screen shows."""
    return {key: value for key, value in block.items() if key != "points"}


def _shown(value: Any) -> Any:
    """Write every text of a document so that its fonts can show it; typst reads no markup in data."""
    if isinstance(value, str):
        return drawable(visible(value))
    if isinstance(value, Mapping):
        return {key: _shown(item) for key, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, list | tuple) else value
