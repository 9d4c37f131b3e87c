"""Resources embedded in an HTML page: its typeface, reduced to the letters it uses, and its figures."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from scalefit.errors import MissingExtra
from scalefit.escape import visible
from scalefit.plots.fonts import FAMILY, SECOND_FAMILY, font_folder, lacking

__all__ = ["font_faces", "inline_figure"]

_FACES: Final = {
    "Regular": (400, "normal"),
    "Italic": (400, "italic"),
    "Medium": (500, "normal"),
    "SemiBold": (600, "normal"),
}
_OTHERS: Final = "Report Letters"  # for letters that the typeface lacks; page.css names it too
_SECOND: Final = f"'{SECOND_FAMILY}'"
_FEATURES: Final = ("ccmp", "kern", "liga", "mark", "tnum")
_LICENCE: Final = (0, 1, 2, 13, 14)  # of the font's names: copyright, family, style, licence and where to read it
_LONG: Final = re.compile(r"-?\d+\.\d{3,}")
_POSITIONS: Final = ("x", "y", "d")
_WHOLE: Final = re.compile(r"(?<!-)opacity")  # would count for the group as one
_REFERENCE: Final = re.compile(r"url\(#([^)]+)\)|^#(.+)$")


def font_faces(letters: str) -> str:
    """Return CSS with the sans typeface of the report.

    Parameters
    ----------
    letters : str
        Every character that may be shown; the rest of the typeface is omitted. Letters that it lacks are taken from
        other fonts, under the family name ``Report Letters``.

    Returns
    -------
    str
        One ``@font-face`` per weight and style and per other font, with the font as data. Equal letters give equal
        text.

    Raises
    ------
    MissingExtra
        When the typeface is not installed.
    """
    folder = font_folder()
    if folder is None:
        raise MissingExtra("The HTML report", "report")
    faces = [
        _face(
            FAMILY,
            f"font-weight: {weight}; font-style: {style}",
            _subset(folder / f"FiraSans-{name}.ttf", letters, _FEATURES),
        )
        for name, (weight, style) in _FACES.items()
    ]
    for other, own in lacking(letters).items():
        codes = ", ".join(f"U+{ord(character):04X}" for character in own)
        faces.append(_face(_OTHERS, f"font-weight: 100 900; unicode-range: {codes}", _subset(other.path, own)))
    return "\n".join(faces)


def _face(family: str, descriptors: str, font: bytes) -> str:
    return (
        f'@font-face {{ font-family: "{family}"; {descriptors}; font-display: block; '
        f'src: url("data:font/woff;base64,{b64encode(font).decode()}") format("woff"); }}'
    )


def _subset(path: Path, letters: str, features: Sequence[str] = ()) -> bytes:
    """Reduce a font to some letters; without ``features`` it keeps those that its scripts need."""
    from fontTools.subset import Options, Subsetter  # type: ignore[import-untyped]
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    options = Options(flavor="woff", hinting=False, name_IDs=list(_LICENCE))
    if features:
        options.layout_features = list(features)
    options.drop_tables += ["FFTM"]  # a time stamp of an editor
    cutter = Subsetter(options)
    cutter.populate(text=letters)
    out = io.BytesIO()
    with TTFont(path, recalcTimestamp=False) as font:
        cutter.subset(font)
        font.flavor = "woff"
        font.save(out)
    return out.getvalue()


def inline_figure(svg: bytes, name: str, words: str, sets: Mapping[str, Sequence[int]] | None = None) -> str:
    """Return a figure as an element of a page.

    Parameters
    ----------
    svg : bytes
        A figure as matplotlib writes it, with live text.
    name : str
        Unique in the page. Names within the figure, which other figures use too, become ``name-1``, ``name-2``...
    words : str
        Alternative text for screen readers.
    sets : mapping, optional
        Places in a table of the points of each scatter, by its name in the SVG; each point gets its place.

    Returns
    -------
    str
        An ``svg`` element as wide as the page allows; ``--width`` is its width in points. Positions are rounded
        to 0.01 points.
    """
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        if "style" in element.attrib and not "".join(element.itertext()).isascii():
            element.attrib["style"] = element.attrib["style"].replace(_SECOND, f"{_SECOND}, '{_OTHERS}'")
    for scatter, places in (sets or {}).items():
        _place_points(root, scatter, places)
    _drop(root, {"metadata", "style"})  # page.css has the style, which is for a figure on a page without others
    used = dict.fromkeys(
        name for element in root.iter() for value in element.attrib.values() for name in _referred(value)
    )
    names = {old: f"{name}-{number}" for number, old in enumerate(used, start=1)}
    for element in root.iter():
        _shorten(element, names)
        _share_style(element)
    box = root.attrib["viewBox"]
    root.attrib = {
        "viewBox": box,
        "role": "img",
        "aria-label": visible(words),
        "style": f"--width: {float(box.split()[2]):.0f}",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _place_points(root: ElementTree.Element, scatter: str, places: Sequence[int]) -> None:
    """Write into each marker of a scatter which place it has in the table of its figure."""
    group = next((element for element in root.iter() if element.get("id") == scatter), None)
    markers = [] if group is None else [element for element in group.iter() if _bare(element.tag) == "use"]
    if len(markers) != len(places):
        raise AssertionError(f"{scatter} has {len(markers)} markers in the figure and {len(places)} rows")
    for marker, place in zip(markers, places, strict=True):
        marker.set("data-row", str(place))


def _drop(parent: ElementTree.Element, tags: set[str]) -> None:
    for child in list(parent):
        if _bare(child.tag) in tags:
            parent.remove(child)
        else:
            _drop(child, tags)


def _referred(value: str) -> list[str]:
    return [match[1] or match[2] for match in _REFERENCE.finditer(value)]


def _shorten(element: ElementTree.Element, names: Mapping[str, str]) -> None:
    """Drop name spaces, blanks between elements and names without references; round positions."""
    element.tag, element.tail = _bare(element.tag), None
    if len(element):
        element.text = None
    attributes = {_bare(key): value for key, value in element.attrib.items()}
    name = names.get(attributes.pop("id", ""))
    for key, value in attributes.items():
        if key in _POSITIONS:
            value = " ".join(_LONG.sub(lambda match: f"{float(match[0]):.2f}", value).split())
        attributes[key] = _REFERENCE.sub(lambda match: match[0].replace(old := match[1] or match[2], names[old]), value)
    element.attrib = attributes | ({"id": name} if name else {})


def _share_style(group: ElementTree.Element) -> None:
    """Write the style of equal markers once, on their group: this halves the size of a cloud of draws."""
    style = group[0].get("style", "") if len(group) else ""
    equal = all(_bare(marker.tag) == "use" and marker.get("style") == style for marker in group)
    if not style or not equal or group.get("style") or _WHOLE.search(style):
        return
    group.set("style", style)
    for marker in group:
        del marker.attrib["style"]


def _bare(name: str) -> str:
    """Return a name without its name space."""
    return name.rpartition("}")[2]
