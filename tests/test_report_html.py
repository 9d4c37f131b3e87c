"""The page for a screen: whole, self-contained, escaped, and the same figures, tables and maths as the PDF."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from typing import Any
from xml.etree import ElementTree

import pytest
from fontTools.ttLib import TTFont

from scalefit.errors import MissingExtra, StudyError
from scalefit.law.additive import Law
from scalefit.law.typeset import to_mathml
from scalefit.plots.style import new_panels, svg_bytes
from scalefit.report import embed
from scalefit.report.blocks import (
    align_errors,
    cards,
    equations,
    heading,
    note,
    paragraph,
    table,
)  # fmt: skip
from scalefit.report.html import html_report
from scalefit.report.text import equation, runs

NASTY = """<b>&"'</b>"""
NUMBERS = align_errors(["0.91 ± 0.11", "480 ± 120"])
LAWS = [Law.parse("loss ~ E[family, eval_set] + A/width^alpha"), Law.parse("loss ~ E + A/params^alpha")]


def drawn(points: int) -> bytes:
    """A figure of two panels, the second with a cloud of points; figures share the names of their parts."""
    left, right = new_panels(1, 2, height=40)
    left.plot([0, 1], [0, 1], label="line")
    left.set_title(f"{NASTY} $\\alpha_m$")
    right.scatter(range(points), range(points), alpha=0.2)
    right.plot([0.5], [0.5], "o", markerfacecolor="white")
    figure = left.get_figure(root=True)
    assert figure is not None
    return svg_bytes(figure)


def picture(file: str, alt: str, caption: str) -> dict[str, Any]:
    """A figure as it stands in a document, once its file has a name."""
    return {"kind": "figure", "file": file, "alt": alt, "caption": runs(caption), "floating": True}


@pytest.fixture(scope="module")
def figures() -> dict[str, bytes]:
    return {"figure-1.svg": drawn(7), "figure-2.svg": drawn(5)}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return {
        "title": f"A title {NASTY}",
        "subtitle": "Under it",
        "short_title": "short",
        "date": "2026-01-02",
        "author": "An author",
        "made": "3 fits",
        "paper": "a4",
        "footer": f"runs {NASTY} 3029ea183e18",
        "draft": "",
        "blocks": [
            {"kind": "answer", "items": [paragraph("**So.** $a_m$ is 1.")["runs"], paragraph("It is.")["runs"]]},
            cards([(f"card {NASTY}", "0.9 ± 0.1", "of $alpha$")]),
            equations([equation(law) for law in LAWS]),
            picture("figure-1.svg", f"Words {NASTY}.", f"First caption {NASTY}."),
            {"kind": "new page"},
            heading(f"Same name {NASTY}"),
            paragraph(f"A label {NASTY}, and $a_m$, then."),
            note("Beware of $E$."),
            table("A table.", ["", f"n {NASTY}"], [["$a_m$", NUMBERS[0]], ["$A$", NUMBERS[1]]], align="lr"),
            heading(f"Same name {NASTY}"),
            table(
                "Sources.", ["what", "where"],
                [["runs\n245 rows", f"arXiv:2203.15556; github.com/a-b/c.d at 92; {NASTY}"]], align="ll", fill=1,
            ),
            picture("figure-2.svg", "Other words.", "Second caption."),
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def page(document: dict[str, Any], figures: dict[str, bytes]) -> str:
    return html_report(document, figures).decode()


@pytest.fixture(scope="module")
def root(page: str) -> ElementTree.Element:
    """The page read as XML, which is stricter than HTML."""
    return ElementTree.fromstring(page)


def every(root: ElementTree.Element, tag: str, **attributes: str) -> list[ElementTree.Element]:
    return [element for element in root.iter(tag) if attributes.items() <= element.attrib.items()]


def words(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


def test_page_is_html_as_well_as_xml(page: str, root: ElementTree.Element) -> None:
    assert page.startswith("<!DOCTYPE html>\n")
    assert root.attrib == {"lang": "en"}
    outside = re.sub(r"<(svg|math)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert set(re.findall(r"<(\w+)[^<>]*/>", outside)) == {"meta", "br"}, "HTML knows no other empty elements here"
    assert set(re.findall(r"&\w+;", page)) <= {"&amp;", "&lt;", "&gt;", "&quot;"}


def test_page_needs_nothing_else(page: str, root: ElementTree.Element) -> None:
    assert not [
        element.tag for element in root.iter() if element.tag in {"script", "link", "img", "iframe", "object", "use "}
    ]
    addresses = [
        (element.tag, key, value) for element in root.iter() for key, value in element.attrib.items() if "//" in value
    ]
    assert addresses == [
        ("a", "href", "https://arxiv.org/abs/2203.15556"),
        ("a", "href", "https://github.com/a-b/c.d"),
    ]
    (style,) = every(root, "style")
    assert set(re.findall(r"url\(.{6}", words(style))) == {'url("data:'}
    assert "@import" not in words(style)
    assert "default-src 'none'" in page


def test_same_input_gives_same_bytes(page: str, document: dict[str, Any], figures: dict[str, bytes]) -> None:
    assert html_report(document, figures).decode() == page


def test_names_are_unique_and_every_link_leads_somewhere(root: ElementTree.Element) -> None:
    names = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(set(names)) == len(names)
    inner = [
        value for element in root.iter() for key, value in element.attrib.items() if key == "href" and value[0] == "#"
    ]
    clips = re.findall(r"url\(#([^)]+)\)", " ".join(v for element in root.iter() for v in element.attrib.values()))
    labels = [element.attrib["aria-labelledby"] for element in root.iter() if "aria-labelledby" in element.attrib]
    assert clips
    assert {value[1:] for value in inner} | set(clips) | set(labels) <= set(names)


def test_contents_list_the_headings(root: ElementTree.Element) -> None:
    (contents,) = every(root, "nav")
    links = [(element.attrib["href"], words(element)) for element in contents.iter("a")]
    headings = [(f"#{element.attrib['id']}", (element.text or "").strip()) for element in every(root, "h2")]
    assert links == headings
    assert [text for _, text in links] == [f"Same name {NASTY}"] * 2
    assert words(every(root, "title")[0]) == words(every(root, "h1")[0]) == f"A title {NASTY}"


def test_figures_have_words_and_captions(root: ElementTree.Element) -> None:
    svgs = every(root, "svg", role="img")
    assert [svg.attrib["aria-label"] for svg in svgs] == [f"Words {NASTY}.", "Other words."]
    captions = [
        words(element)
        for figure in every(root, "figure", **{"class": "figure"})
        for element in figure.iter("figcaption")
    ]
    assert captions == [f"Figure 1. First caption {NASTY}.", "Figure 2. Second caption."]
    assert NASTY in words(svgs[0])


def test_tables_are_there_and_can_be_scrolled_by_keys(root: ElementTree.Element) -> None:
    first, second = every(root, "figure", **{"class": "table"})
    assert words(next(first.iter("figcaption"))) == "Table 1. A table."
    rows = [[words(cell) for cell in row] for row in first.iter("tr")]
    held = [number.replace(" ± ", "\u00a0±\u00a0") for number in NUMBERS]
    assert rows == [["", f"n {NASTY}"], ["am", held[0]], ["A", held[1]]]
    assert [element.attrib["scope"] for element in first.iter("th")] == ["col", "col", "row", "row"]
    assert held[1].endswith("\u2008"), "a blank in place of the decimal point"
    sources = f"arXiv:2203.15556; github.com/a-b/c.d at 92; {NASTY}"
    assert [words(cell) for cell in next(second.iter("tbody"))[0]] == ["runs245\u00a0rows", sources]
    boxes = every(root, "div", **{"class": "scroll"})
    assert len(boxes) == 4
    assert {(box.attrib["role"], box.attrib["tabindex"]) for box in boxes} == {("region", "0")}


def test_prose_cards_notes_and_commands_are_there(root: ElementTree.Element) -> None:
    assert words(every(root, "section")[0]).split() == ["So.", "am", "is", "1.", "It", "is."]
    assert [words(element) for element in every(root, "dl")[0].iter("dd")] == ["0.9\u00a0±\u00a00.1", "of α"]
    assert f"A label {NASTY}, and am, then." in [words(element) for element in every(root, "p")]
    assert words(every(root, "p", **{"class": "note"})[0]) == "Beware of E."
    assert words(every(root, "footer")[0]) == f"runs {NASTY} 3029ea183e18"


def test_symbols_stay_with_what_is_tied_to_them(root: ElementTree.Element) -> None:
    assert "am," in [words(element) for element in every(root, "span", **{"class": "held"})]


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        ("loss ~ E + A/params^alpha", "L = E + A/(N^(α))"),
        ("loss ~ E[family, eval_set] + c_m/width^1", "L = E_(family,eval set) + c_(m)/m"),
        ("y ~ b1*x^0.5 + 2/n_layers^(1/3)", "y = b1⁢x^(0.5) + 2/(n_(layers)^(1/3))"),
        ("loss ~ 1.69 + sigma_2/depth^a_l", "L = 1.69 + σ_(2)/(l^(a_(l)))"),
    ],
)
def test_mathml_says_what_the_law_says(law: str, expected: str) -> None:
    tree = ElementTree.fromstring(f"<math>{to_mathml(Law.parse(law))}</math>")
    assert linear(tree) == expected.replace(" ", "").replace("evalset", "eval set")


def linear(node: ElementTree.Element) -> str:
    """Write presentation MathML on one line; every element takes the children that the standard gives it."""
    parts = [linear(child) for child in node]
    if node.tag in {"math", "mrow"}:
        return "".join(parts)
    if node.tag in {"msub", "msup"}:
        base, script = parts
        return f"{base}{'_' if node.tag == 'msub' else '^'}({script})"
    if node.tag == "mfrac":
        above, below = parts
        return f"{above}/({below})" if len(node[1]) else f"{above}/{below}"
    assert node.tag in {"mi", "mn", "mo", "mtext", "mspace"}
    assert not parts
    return node.text or ""


def test_laws_are_set_as_mathml_with_words(root: ElementTree.Element) -> None:
    displayed = every(root, "math", display="block")
    assert [linear(element) for element in displayed] == ["L=E_(family,eval set)+A/(m^(α))", "L=E+A/(N^(α))"]
    assert displayed[1].attrib["alttext"] == "loss equals E plus A over params to the power alpha"
    assert all(element.attrib["alttext"] for element in every(root, "math"))


def placed(root: ElementTree.Element) -> list[tuple[str, str, float, float]]:
    """Markers and letters of a figure: kind, effective style, place."""
    out = []

    def walk(node: ElementTree.Element, style: str) -> None:
        style = style if node is root else node.get("style") or style
        tag = node.tag.rpartition("}")[2]
        if tag in {"use", "text", "tspan"} and "x" in node.attrib:
            out.append((tag, style, float(node.attrib["x"]), float(node.attrib["y"])))
        for child in node:
            walk(child, style)

    walk(root, "")
    return out


def test_figures_are_drawn_as_they_were(root: ElementTree.Element, figures: dict[str, bytes]) -> None:
    for svg, before in zip(every(root, "svg"), figures.values(), strict=True):
        original = ElementTree.fromstring(before)
        old, new = placed(original), placed(svg)
        assert [number[:2] for number in new] == [number[:2] for number in old]
        assert [number[2:] for number in new] == [pytest.approx(number[2:], abs=0.0051) for number in old]
        assert [letter for letter in letters(svg) if letter] == [letter for letter in letters(original) if letter]


def letters(root: ElementTree.Element) -> list[str]:
    return [
        (element.text or "").strip() for element in root.iter() if element.tag.rpartition("}")[2] in {"text", "tspan"}
    ]


def test_typeface_has_every_letter(page: str, root: ElementTree.Element) -> None:
    fonts = re.findall(r'font-weight: (\d+); font-style: (\w+); .*?base64,([^"]+)"', page)
    assert [font[:2] for font in fonts] == [("400", "normal"), ("400", "italic"), ("500", "normal"), ("600", "normal")]
    shown = set(words(every(root, "body")[0])) - set("\n")
    with TTFont(io.BytesIO(b64decode(fonts[0][2]))) as font:
        assert {ord(character) for character in shown} - set(font.getBestCmap()) == set()
        assert {record.FeatureTag for record in font["GSUB"].table.FeatureList.FeatureRecord} >= {"tnum"}
        assert "Mozilla Foundation" in font["name"].getDebugName(0)


def test_draft_is_marked_and_stays_in_sight(root: ElementTree.Element, document: dict[str, Any]) -> None:
    draft = html_report(document | {"draft": f"Draft {NASTY}", "blocks": []}, {}).decode()
    marks = [words(element) for element in every(ElementTree.fromstring(draft), "p", **{"class": "draft"})]
    assert marks == [f"Draft {NASTY}"]
    assert not every(root, "p", **{"class": "draft"})
    assert re.search(r"^\.draft \{[^}]*position: sticky", draft, flags=re.MULTILINE)


def test_missing_typeface_is_an_extra(monkeypatch: pytest.MonkeyPatch, document: dict[str, Any]) -> None:
    monkeypatch.setattr(embed, "font_folder", lambda: None)
    with pytest.raises(MissingExtra, match="The HTML report"):
        html_report(document | {"blocks": []}, {})


def test_unknown_block_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match="unknown kinds of blocks: video"):
        html_report(document | {"blocks": [{"kind": "video"}]}, {})
