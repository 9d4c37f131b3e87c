"""Formulas as MathML, made while the site is built: no script and no font is fetched when a page is read."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor


class _Formula(InlineProcessor):
    """``$...$`` within a line, ``$$...$$`` set apart."""

    def __init__(self, pattern: str, md: Markdown, display: str) -> None:
        super().__init__(pattern, md)
        self.display = display

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[Element | str, int, int]:  # noqa: ARG002, N802
        return self.md.htmlStash.store(convert(m[1].strip(), display=self.display)), m.start(0), m.end(0)


class Formulas(Extension):
    """The extension, for ``markdown_extensions``."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Register both forms before anything that reads underscores and stars, after code."""
        apart, within = r"\$\$([^$]+)\$\$", r"(?<![\\\w$])\$(?=\S)([^$\n]+?)(?<=\S)\$(?!\w)"
        md.inlinePatterns.register(_Formula(apart, md, "block"), "display formula", 187)
        md.inlinePatterns.register(_Formula(within, md, "inline"), "formula", 186)
