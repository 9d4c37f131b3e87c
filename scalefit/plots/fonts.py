"""The fonts of figures and reports: one typeface, and other fonts or substitutes for the letters that it lacks.

Fira Sans is the typeface. Noto fonts for other scripts, symbols and emoji come with the extra ``report``; DejaVu Sans
comes with matplotlib and is always there. Only these files are used, never those of the system, so that the same text
looks the same on every machine. A character that none of them has is written as its code point.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from scalefit.escape import code_point

__all__ = ["Face", "drawable", "fallback_faces", "font_folder", "in_typeface", "lacking", "register"]

FAMILY: Final = "Fira Sans"
SECOND_FAMILY: Final = "DejaVu Sans"
_TYPEFACE: Final = "fontpkg_fira_sans"
_WEIGHTS: Final = ("Regular", "Italic", "Medium", "SemiBold", "SemiBoldItalic")
_SCRIPTS: Final = "manimgx_fonts"  # Noto Sans for the scripts that Fira Sans lacks, Noto Sans Symbols, Noto Emoji
_HAN: Final = "noto_cjk_sans_jp_regular"  # Chinese, Japanese and Korean
_FIRST: Final = "NotoSans[wght]"  # of the scripts: the plain letters of many languages
_SLANTED: Final = "Italic"
# The names of the control characters, whose symbols no font here draws.
_NAMES: Final = (
    "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS "
    "US SP DEL"
)
_CONTROLS: Final = dict(zip(map(chr, range(0x2400, 0x2422)), _NAMES.split(), strict=True))


class Face(NamedTuple):
    """A font that is used for letters that the typeface lacks.

    Parameters
    ----------
    family : str
        Its name.
    path : Path
        Its file, TrueType or OpenType.
    """

    family: str
    path: Path


def _package(name: str) -> Path | None:
    """Return the folder of a package of fonts without importing it; None when it is not installed."""
    spec = importlib.util.find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def font_folder() -> Path | None:
    """Return the folder of the typeface, or None when its package is not installed."""
    folder = _package(_TYPEFACE)
    return None if folder is None else folder / "files"


@cache
def fallback_faces() -> tuple[Face, ...]:
    """Return the fonts for letters that the typeface lacks, in the order in which they are tried.

    DejaVu Sans is the first: the Arabic of Noto draws dots as separate glyphs, so that text copied from a PDF would
    contain those letters twice.

    Returns
    -------
    tuple of Face
        The installed ones.
    """
    scripts, han = _package(_SCRIPTS), _package(_HAN)
    files = [] if scripts is None else sorted(scripts.glob("*.ttf"), key=lambda file: (file.stem != _FIRST, file.name))
    files += [] if han is None else sorted(han.glob("*.otf"))
    always = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return tuple(
        Face(str(FT2Font(str(file)).family_name), file) for file in [always, *files] if _SLANTED not in file.stem
    )


@cache
def register() -> tuple[str, ...]:
    """Register the fonts with matplotlib, once.

    Returns
    -------
    tuple of str
        The families in which a text is drawn: each letter in the first that has it.
    """
    folder = font_folder()
    if folder is not None:
        for weight in _WEIGHTS:
            font_manager.fontManager.addfont(folder / f"FiraSans-{weight}.ttf")
    for face in fallback_faces()[1:]:
        font_manager.fontManager.addfont(face.path)
    return (*([] if folder is None else [FAMILY]), *(face.family for face in fallback_faces()))


@cache
def _letters(path: Path) -> frozenset[int]:
    """Return the code points for which a font has a glyph."""
    return frozenset(FT2Font(str(path)).get_charmap())


def _typeface() -> Path:
    folder = font_folder()
    return fallback_faces()[0].path if folder is None else folder / "FiraSans-Regular.ttf"


def in_typeface(text: str) -> bool:
    """Whether the typeface alone has every letter of a text, as formulas of matplotlib require."""
    return text.isascii() or {ord(character) for character in text} <= _letters(_typeface())


def lacking(text: str) -> dict[Face, str]:
    """Return which other fonts a text needs, and the letters that each supplies.

    Parameters
    ----------
    text : str
        Every character that is to be shown.

    Returns
    -------
    dict
        The letters by font; each letter under the first font that has it.
    """
    left = {character for character in text if not character.isascii()} - {chr(code) for code in _letters(_typeface())}
    needed: dict[Face, str] = {}
    for face in fallback_faces():
        own = {character for character in left if ord(character) in _letters(face.path)} if left else set()
        if own:
            needed[face] = "".join(sorted(own))
        left -= own
    return needed


def drawable(text: str) -> str:
    """Replace characters that no font has by code points, so that every character is shown.

    Parameters
    ----------
    text : str
        Text without invisible characters; see :mod:`scalefit.escape`.

    Returns
    -------
    str
        The text, ``‹U+12000›`` in place of a letter without a glyph and ``‹ESC›`` in place of a control symbol.
    """
    if text.isascii():
        return text
    known = set().union(*lacking(text).values())
    return "".join(
        character if character in known or in_typeface(character) else _substitute(character) for character in text
    )


def _substitute(character: str) -> str:
    if character in _CONTROLS:
        return f"‹{_CONTROLS[character]}›"
    return " " if character.isspace() else code_point(character)  # blanks of unusual width
