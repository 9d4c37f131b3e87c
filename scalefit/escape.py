"""Escape text from outside for the place where it is shown: one function for each kind of place.

A label, a column, a title or a file name may contain anything that a Python string can. Every place that shows text
interprets some characters as commands: a terminal reads escape sequences, matplotlib reads ``$``, HTML and SVG read
``<``, typst reads quotes. The functions here take any string and return text that appears literally in that place;
characters that are invisible, or that would move or hide their neighbours, are shown as symbols. Places that draw text
with fonts also need a glyph for every character: see :mod:`scalefit.plots.fonts`.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

__all__ = [
    "code_point",
    "latex",
    "literal",
    "markdown",
    "markup",
    "mathtext",
    "one_line",
    "shortened",
    "shown_characters",
    "typst_string",
    "visible",
]

_PICTURES: Final = 0x2400  # the symbols of U+0000 to U+001F, in order
_DELETE: Final = 0x7F
_DELETE_PICTURE: Final = "␡"
_BYTES: Final = range(0xDC80, 0xDD00)  # Python's substitutes for the bytes of a file name that is not UTF-8
_JOINERS: Final = frozenset("\u200c\u200d")  # spell words in Persian and Hindi and put emoji together
_SIGNS: Final = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
# Letters and marks by their category, which show nothing: fillers and joiners of old encodings.
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
_SELECTORS: Final = range(0xFE00, 0xFE10)  # choose between forms of the character before them
_MORE_SELECTORS: Final = range(0xE0100, 0xE01F0)
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})  # controls, unassigned, private, surrogates

_DOLLAR: Final = re.compile(r"\$")
# The marks of a report's prose, and their substitutes in literal text: characters that Unicode reserves for internal
# use by a program, which visible() converts back.
_HIDE: Final = str.maketrans("$*", "\ufdd0\ufdd1")
_LATEX: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "±": r"$\pm$", "×": r"$\times$",
        "∞": r"$\infty$", "\u202f": r"\,", "\u00a0": "~",
    }
)  # fmt: skip
_REVEAL: Final = str.maketrans("\ufdd0\ufdd1", "$*")


def code_point(character: str) -> str:
    r"""Spell a character that cannot be shown.

    Parameters
    ----------
    character : str
        One character.

    Returns
    -------
    str
        Its code point, or the byte of a file name that a surrogate of Python represents.

    Examples
    --------
    >>> code_point("\u202e"), code_point("\udcff")
    ('‹U+202E›', '‹0xFF›')
    """
    code = ord(character)
    return f"‹0x{code - 0xDC00:02X}›" if code in _BYTES else f"‹U+{code:04X}›"


def visible(text: str) -> str:
    r"""Show every character of a text; line breaks stay. The result is safe to print on a terminal.

    Parameters
    ----------
    text : str
        Any text, lone surrogates included.

    Returns
    -------
    str
        The text with symbols for control characters (``␛``, ``␉``) and code points for other characters that are
        invisible or affect their neighbours (marks of direction, blanks of no width, private characters). Letters,
        marks, emoji and spaces of every script are unchanged. A second application changes nothing.

    Examples
    --------
    >>> visible("\x1b[31mred\x1b[0m"), visible("abc\u202edef"), visible("模型 שלום 🚀")
    ('␛[31mred␛[0m', 'abc‹U+202E›def', '模型 שלום 🚀')
    """
    if text.isascii() and text.replace("\n", " ").isprintable():
        return text
    text = text.translate(_REVEAL)
    return "".join(
        character if character == "\n" else shown for character, shown in zip(text, shown_characters(text), strict=True)
    )


def shown_characters(text: str) -> list[str]:
    r"""Return how each character of a text is shown; one that can be seen, and a joiner in its place, is itself.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    list of str
        As many as the text has characters.

    Examples
    --------
    >>> shown_characters("a\tb")
    ['a', '␉', 'b']
    """
    return [_shown(text, place) for place in range(len(text))]


def one_line(text: str) -> str:
    r"""Show every character of a text, line breaks as symbols too: a label within a line or a cell of a table.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The text on one line.

    Examples
    --------
    >>> one_line("two\nlines")
    'two␊lines'
    """
    return visible(text).replace("\n", "␊")


def _shown(text: str, place: int) -> str:
    character = text[place]
    if character.isascii():
        code = ord(character)
        if code == _DELETE:
            return _DELETE_PICTURE
        return chr(_PICTURES + code) if code < 0x20 else character
    if character in _SIGNS:
        return character
    if character in _JOINERS or ord(character) in _SELECTORS:
        # Between letters that they shape they are part of the spelling; next to plain text they would be hidden.
        before = text[place - 1] if place else ""
        return character if before and not before.isascii() and not before.isspace() else code_point(character)
    unseen = unicodedata.category(character) in _UNSEEN or character in _BLANK or ord(character) in _MORE_SELECTORS
    return code_point(character) if unseen else character


def literal(text: str) -> str:
    """Escape text for the prose of a report, which has marks for symbols and for strong words.

    Parameters
    ----------
    text : str
        A label, a column, the name of a file, a message that names one.

    Returns
    -------
    str
        One line, with substitutes for the marks that only :func:`visible` converts back. A second application changes
        nothing.

    Examples
    --------
    >>> literal("a $x$").isascii(), visible(literal("a $x$ **b**"))
    (False, 'a $x$ **b**')
    """
    return one_line(text).translate(_HIDE)


def mathtext(text: str) -> str:
    r"""Escape text for matplotlib, which reads text between dollar signs as a formula.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        One line, with every dollar sign escaped; matplotlib removes the backslashes whether or not the same label
        also contains a formula.

    Examples
    --------
    >>> mathtext("50% of $x_1$")
    '50% of \\$x_1\\$'
    """
    return _DOLLAR.sub(r"\\$", one_line(text))


def markup(text: str, *, quote: bool = True) -> str:
    """Escape text for HTML, SVG and MathML, within elements and attributes; line breaks stay.

    Parameters
    ----------
    text : str
        Any text.
    quote : bool
        Whether quotation marks are escaped too, as attributes require.

    Returns
    -------
    str
        Also well-formed in XML, which has no control characters.

    Examples
    --------
    >>> markup('<b>&amp;"')
    '&lt;b&gt;&amp;amp;&quot;'
    """
    return html.escape(visible(text), quote=quote)


def latex(text: str) -> str:
    r"""Escape text for LaTeX, and write the signs of numbers in math mode.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        One line. Letters of other scripts stay, for engines that read UTF-8.

    Examples
    --------
    >>> print(latex("a_m & 50% −0.3 ± 0.1"))
    a\_m \& 50\% $-$0.3 $\pm$ 0.1
    """
    return one_line(text).translate(_LATEX)


def markdown(text: str) -> str:
    r"""Escape text for a cell of a table in Markdown.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        One line, in which marks of Markdown and HTML appear literally.

    Examples
    --------
    >>> print(markdown("a|b *c* <i>"))
    a\|b \*c\* \<i>
    """
    return re.sub(r"([\\`*_|<\[~])", r"\\\1", one_line(text))


def typst_string(text: str) -> str:
    r"""Write text as a string of typst's language, with its quotation marks.

    Text that is handed to typst as data needs no escaping, only :func:`visible`.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        A string literal.

    Examples
    --------
    >>> typst_string('#"x"')
    '"#\\"x\\""'
    """
    escaped = visible(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def shortened(text: str, most: int) -> str:
    """Replace the middle of a long text by an ellipsis: labels often differ at their ends.

    Parameters
    ----------
    text : str
        Any text.
    most : int
        The largest number of letters; Chinese, Japanese and Korean ones count twice, because they are wide.

    Returns
    -------
    str
        The text, or its beginning and end around an ellipsis.

    Examples
    --------
    >>> shortened("a-very-long-label-of-run-17", 16)
    'a-very-lon…un-17'
    """
    if _width(text) <= most:
        return text
    tail = most // 3
    start = next(n for n in range(len(text), 0, -1) if _width(text[:n]) <= most - tail - 1)
    end = next(n for n in range(len(text)) if _width(text[n:]) <= tail)
    return f"{text[:start]}…{text[end:]}"


def _width(text: str) -> int:
    return len(text) + sum(
        unicodedata.east_asian_width(character) in "WF" for character in text if not character.isascii()
    )
