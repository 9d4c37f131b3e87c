"""Write a report for a screen: the blocks and figures of the PDF as one self-contained HTML file."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import resources
from itertools import takewhile
from string import Template, ascii_letters, digits
from typing import Any, Final

from scalefit.errors import StudyError
from scalefit.escape import markup, visible
from scalefit.report.blocks import Block
from scalefit.report.embed import font_faces, inline_figure
from scalefit.report.text import PageRuns

__all__ = ["html_report"]

_LINKS: Final = re.compile(r"\barXiv:(?P<paper>\d{4}\.\d{4,5})|\bgithub\.com/[\w-]+/[\w.-]*\w")

_TIED: Final = re.compile(r"(?P<before>[^\s>]*)<math[^>]*>(?:(?!</math>).)*</math>(?P<after>(?:[^\s<]|\u00a0)*)")
_WORDY: Final = 12  # letters


def html_report(document: Mapping[str, Any], figures: Mapping[str, bytes], *, interactive: bool = False) -> bytes:
    """Write a report as an HTML page.

    Parameters
    ----------
    document : mapping
        Title and blocks, as for the PDF.
    figures : mapping
        SVG by file name.
    interactive : bool
        Whether the points of figures answer to pointer and keys, by a small script inside the page.

    Returns
    -------
    bytes
        One HTML file in UTF-8 with typeface, figures and style inside, which loads nothing; the same input gives the
        same bytes. Without ``interactive`` it has no script.

    Raises
    ------
    MissingExtra
        When the typeface is not installed.
    StudyError
        When a block is of an unknown kind.
    """
    page = _Page(figures, interactive)
    blocks = document["blocks"]
    front = list(takewhile(lambda block: block["kind"] != "heading", blocks))
    head = ("title", "subtitle", "date", "made", "footer")
    body = {
        **{key: markup(document[key]) for key in head},
        "author": f'<p class="author">{markup(document["author"])}</p>\n' if document["author"] else "",
        "draft": f'<p class="draft" role="note">{markup(document["draft"])}</p>' if document["draft"] else "",
        "front": page.set(front),
        "rest": page.set(blocks[len(front) :]),
    }
    body["contents"] = "\n".join(f'<li><a href="#{name}">{words}</a></li>' for name, words in page.headings.items())
    template, style = (_file(name) for name in ("page.html", "page.css"))
    letters = "".join(sorted({*ascii_letters, *digits, *"".join(body.values())}))
    script, allowed = _script() if interactive else ("", "")
    style += _file("points.css") if interactive else ""
    made = body | {"style": style, "fonts": font_faces(letters), "script": script, "allowed": allowed}
    return Template(template).substitute(made).encode()


def _script() -> tuple[str, str]:
    """Return the script of an interactive page, and what allows it and no other to run."""
    code = f"\n{_file('points.js')}"
    digest = b64encode(sha256(code.encode()).digest()).decode()
    return f"<script>{code}</script>\n", f"; script-src 'sha256-{digest}'"


def _file(name: str) -> str:
    return resources.files("scalefit.report").joinpath(name).read_text(encoding="utf-8")


@dataclass
class _Page:
    """Writes blocks one after the other; keeps their numbers and the headings for the table of contents."""

    figures: Mapping[str, bytes]
    interactive: bool = False
    headings: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def set(self, blocks: Sequence[Block]) -> str:
        setters: dict[str, Callable[[Block], str]] = {
            "answer": _answer,
            "cards": _cards,
            "equations": _equations,
            "figure": self.figure,
            "heading": self.heading,
            "new page": lambda _: "",
            "note": lambda block: f'<p class="note">{_prose(block["runs"])}</p>',
            "references": _references,
            "paragraph": lambda block: f"<p>{_prose(block['runs'])}</p>",
            "table": self.table,
        }
        unknown = {block["kind"] for block in blocks} - setters.keys()
        if unknown:
            raise StudyError(f"the page cannot be written: unknown kinds of blocks: {', '.join(sorted(unknown))}")
        return "\n".join(filter(None, (setters[block["kind"]](block) for block in blocks)))

    def heading(self, block: Block) -> str:
        words = markup(block["text"])
        stem = "-".join(re.findall(r"\w+", block["text"].lower()))
        name = f"section-{len(self.headings) + 1}-{stem}"
        self.headings[name] = words
        return f'<h2 id="{name}">{words} <a class="anchor" href="#{name}" aria-label="Link to this section">#</a></h2>'

    def figure(self, block: Block) -> str:
        name, caption = self._captioned("Figure", block)
        points = block.get("points") if self.interactive else None
        svg = inline_figure(self.figures[block["file"]], name, block["alt"], points and points["sets"])
        data = f"\n{_data(points)}" if points else ""
        return f'<figure class="figure" id="{name}">\n{_scrolled(svg, name)}\n{caption}{data}\n</figure>'

    def table(self, block: Block) -> str:
        name, caption = self._captioned("Table", block)
        classes = [_column_class(block, column) for column in range(len(block["header"]))]
        head = "".join(
            f'<th scope="col" class="{style}">{_prose(cell)}</th>'
            for style, cell in zip(classes, block["header"], strict=True)
        )
        rows = "\n".join(f"<tr>{_row(row, classes)}</tr>" for row in block["rows"])
        wide = ' class="wide"' if block["fill"] is not None else ""
        body = (
            f'<table{wide} aria-labelledby="{name}-caption">\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
        )
        return f'<figure class="table" id="{name}">\n{caption}\n{_scrolled(body, name)}\n</figure>'

    def _captioned(self, kind: str, block: Block) -> tuple[str, str]:
        """Return the name of a figure or table in the page and its numbered caption."""
        number = self.counts[kind] = self.counts.get(kind, 0) + 1
        name = f"{kind.lower()}-{number}"
        words = f"<b>{kind} {number}.</b> {_prose(block['caption'])}"
        return name, f'<figcaption id="{name}-caption">{words}</figcaption>'


def _data(points: Mapping[str, Any]) -> str:
    """Write the table of a figure as data for the script; no text in it can end the element."""
    text = json.dumps({key: value for key, value in points.items() if key != "sets"}, ensure_ascii=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json">{visible(text)}</script>'


def _answer(block: Block) -> str:
    paragraphs = "\n".join(f"<p>{_prose(item)}</p>" for item in block["items"])
    if block.get("verdict"):
        paragraphs = f'<p class="verdict">{_prose(block["verdict"])}</p>\n{paragraphs}'
    return f'<section class="answer" aria-label="The answer">\n{paragraphs}\n</section>'


def _references(block: Block) -> str:
    items = "\n".join(f"<li>{_prose(item)}</li>" for item in block["items"])
    title = '<h2 id="references">References</h2>'
    return f'<section aria-label="References">\n{title}\n<ul class="references">\n{items}\n</ul>\n</section>'


def _cards(block: Block) -> str:
    items = "\n".join(
        f"<div><dt>{_prose(item['title'])}</dt>"
        f'<dd class="value">{markup(item["value"])}</dd><dd>{_prose(item["detail"])}</dd></div>'
        for item in block["items"]
    )
    return f'<dl class="cards">\n{items}\n</dl>'


def _equations(block: Block) -> str:
    items = "\n".join(f"<div>{_maths(item, display=True)}</div>" for item in block["items"])
    return f'<div class="equations">\n{items}\n</div>'


def _row(row: Sequence[PageRuns], classes: Sequence[str]) -> str:
    """Write the cells of a row; words in the first column are its heading."""
    cells = [
        (("th", ' scope="row"') if i == 0 and "left" in style else ("td", ""), style) for i, style in enumerate(classes)
    ]
    return "".join(
        f'<{tag}{scope} class="{style}">{_prose(cell)}</{tag}>'
        for ((tag, scope), style), cell in zip(cells, row, strict=True)
    )


def _column_class(block: Block, column: int) -> str:
    """Return the style classes of a column: its alignment, and whether its words need a minimum width."""
    side = str(block["align"][column])
    if column == block["fill"]:
        return f"{side} fill"
    texts = ("".join(run for run in row[column] if isinstance(run, str)) for row in block["rows"])
    longest = max((len(line) for text in texts for line in text.split("\n")), default=0)
    return f"{side} words" if side == "left" and longest > _WORDY else side


def _scrolled(content: str, name: str) -> str:
    """Let wide content scroll in its box, also with the keyboard."""
    return f'<div class="scroll" role="region" aria-labelledby="{name}-caption" tabindex="0">{content}</div>'


def _prose(runs: PageRuns) -> str:
    """Write runs of text and symbols; a comma or a hard blank keeps what follows on the line of its symbol."""
    return _TIED.sub(_held, "".join(_run(run) for run in runs))


def _held(match: re.Match[str]) -> str:
    return f'<span class="held">{match[0]}</span>' if match["before"] or match["after"] else match[0]


def _run(run: str | dict[str, str]) -> str:
    if isinstance(run, str):
        return _LINKS.sub(_link, markup(run, quote=False)).replace("\n", "<br/>")
    return f"<strong>{markup(run['strong'], quote=False)}</strong>" if "strong" in run else _maths(run)


def _link(match: re.Match[str]) -> str:
    address = f"arxiv.org/abs/{match['paper']}" if match["paper"] else match[0]
    return f'<a href="https://{address}">{match[0]}</a>'


def _maths(run: dict[str, str], *, display: bool = False) -> str:
    block = ' display="block"' if display else ""
    return f'<math{block} alttext="{markup(run["alt"])}">{run["mathml"]}</math>'
