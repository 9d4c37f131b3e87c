"""What a page carries within itself: its typeface, cut down to the letters it uses, and its figures."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree

from scalefit.errors import MissingExtra
from scalefit.plots.style import font_folder

__all__ = ["font_faces", "inline_figure"]

_FACES: Final = {
    "Regular": (400, "normal"),
    "Italic": (400, "italic"),
    "Medium": (500, "normal"),
    "SemiBold": (600, "normal"),
}
_FEATURES: Final = ("ccmp", "kern", "liga", "mark", "tnum")
_LICENCE: Final = (0, 1, 2, 13, 14)  # of the font's names: copyright, family, style, licence and where to read it
_LONG: Final = re.compile(r"-?\d+\.\d{3,}")
_POSITIONS: Final = ("x", "y", "d")
_WHOLE: Final = re.compile(r"(?<!-)opacity")  # would count for the group as one
_REFERENCE: Final = re.compile(r"url\(#([^)]+)\)|^#(.+)$")


def font_faces(letters: str) -> str:
    """Return CSS that carries the report's sans typeface.

    Parameters
    ----------
    letters : str
        Every character that may have to be shown; the rest of the typeface is left out.

    Returns
    -------
    str
        One ``@font-face`` per weight and style, with the font as data. Equal letters give equal text.

    Raises
    ------
    MissingExtra
        When the typeface is not installed.
    """
    return "\n".join(
        f'@font-face {{ font-family: "Fira Sans"; font-weight: {weight}; font-style: {style}; font-display: block; '
        f'src: url("data:font/woff;base64,{b64encode(_subset(name, letters)).decode()}") format("woff"); }}'
        for name, (weight, style) in _FACES.items()
    )


def _subset(name: str, letters: str) -> bytes:
    from fontTools.subset import Options, Subsetter  # type: ignore[import-untyped]
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    folder = font_folder()
    if folder is None:
        raise MissingExtra("The HTML report", "report")
    options = Options(flavor="woff", hinting=False, layout_features=list(_FEATURES), name_IDs=list(_LICENCE))
    cutter = Subsetter(options)
    cutter.populate(text=letters)
    out = io.BytesIO()
    with TTFont(folder / f"FiraSans-{name}.ttf", recalcTimestamp=False) as font:
        cutter.subset(font)
        font.flavor = "woff"
        font.save(out)
    return out.getvalue()


def inline_figure(svg: bytes, name: str, words: str) -> str:
    """Return a figure as an element of a page.

    Parameters
    ----------
    svg : bytes
        A figure as matplotlib writes it, with live text.
    name : str
        Unique in the page. Names within the figure, which other figures use too, become ``name-1``, ``name-2``...
    words : str
        For readers who cannot see it.

    Returns
    -------
    str
        An ``svg`` element as wide as the page lets it be; ``--width`` is its width in points. Positions are rounded
        to 0.01 points.
    """
    root = ElementTree.fromstring(svg)
    _drop(root, {"metadata", "style"})  # the style is for a figure that is alone on its page; page.css has it
    used = dict.fromkeys(found for one in root.iter() for value in one.attrib.values() for found in _referred(value))
    names = {old: f"{name}-{number}" for number, old in enumerate(used, start=1)}
    for one in root.iter():
        _shorten(one, names)
        _share_style(one)
    box = root.attrib["viewBox"]
    root.attrib = {"viewBox": box, "role": "img", "aria-label": words, "style": f"--width: {float(box.split()[2]):.0f}"}
    return ElementTree.tostring(root, encoding="unicode")


def _drop(parent: ElementTree.Element, tags: set[str]) -> None:
    for child in list(parent):
        if _bare(child.tag) in tags:
            parent.remove(child)
        else:
            _drop(child, tags)


def _referred(value: str) -> list[str]:
    return [found[1] or found[2] for found in _REFERENCE.finditer(value)]


def _shorten(one: ElementTree.Element, names: Mapping[str, str]) -> None:
    """Drop name spaces, blanks between elements and names that nobody refers to; round positions."""
    one.tag, one.tail = _bare(one.tag), None
    if len(one):
        one.text = None
    attributes = {_bare(key): value for key, value in one.attrib.items()}
    name = names.get(attributes.pop("id", ""))
    for key, value in attributes.items():
        if key in _POSITIONS:
            value = " ".join(_LONG.sub(lambda found: f"{float(found[0]):.2f}", value).split())
        attributes[key] = _REFERENCE.sub(lambda found: found[0].replace(old := found[1] or found[2], names[old]), value)
    one.attrib = attributes | ({"id": name} if name else {})


def _share_style(group: ElementTree.Element) -> None:
    """Write the style of equal markers once, on their group: a cloud of draws takes half the room."""
    style = group[0].get("style", "") if len(group) else ""
    equal = all(_bare(one.tag) == "use" and one.get("style") == style for one in group)
    if not style or not equal or group.get("style") or _WHOLE.search(style):
        return
    group.set("style", style)
    for one in group:
        del one.attrib["style"]


def _bare(name: str) -> str:
    """Return a name without its name space."""
    return name.rpartition("}")[2]
