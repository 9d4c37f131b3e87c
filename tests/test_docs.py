"""The documentation: pages exist, links lead somewhere, code runs; the site itself is built where mkdocs is there."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import pytest

import scalefit
from docs.generate import api, commands, everything, expanded, gallery, lessons, studies, texts
from scalefit.plots import KINDS
from scalefit.plots.toy import KINDS as TOY_KINDS
from tests.test_readme import commands as commands_of
from tests.test_readme import run

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
WRITTEN = sorted(path.name for path in DOCS.glob("*.md"))
MESSY = "messy_tables.md"  # whose lines all run, in their order
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`[^`\n]+`")


@cache
def made() -> dict[str, str | bytes]:
    """Every file that is generated."""
    return everything()


@cache
def pages() -> dict[str, str]:
    """Every page of the site as Markdown, by path."""
    written = {name: texts.filled((DOCS / name).read_text(encoding="utf-8"), name) for name in WRITTEN}
    return written | {path: text for path, text in made().items() if isinstance(text, str)}


def read_nav() -> list[Any]:
    """The navigation as mkdocs.yml has it; the test tools bring no reader of YAML."""
    block = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2].partition("\n\n")[0]
    nav: list[Any] = []
    for line in block.splitlines():
        title, _, page = line.strip().removeprefix("- ").partition(":")
        if line.startswith("      "):
            nav[-1][next(iter(nav[-1]))].append({title: page.strip()})
        else:
            nav.append({title: page.strip() or []})
    return nav


def leaves(nav: Any) -> Iterator[str]:
    for page in nav if isinstance(nav, list) else nav.values():
        if isinstance(page, str):
            yield page
        else:
            yield from leaves(page)


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", INLINE.sub("`", FENCED.sub("", text)))


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as Python-Markdown makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def broken(path: str, text: str) -> list[str]:
    """Links of a page that lead nowhere."""
    known = {path.relative_to(DOCS).as_posix(): "" for path in DOCS.rglob("*")} | made() | pages()
    found = []
    for link in links(text):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        place = os.path.normpath(PurePosixPath(path).parent / target) if target else path
        if place not in known:
            found.append(f"{path}: {link}")
        elif anchor and anchor not in anchors(known[place]):
            found.append(f"{path}: {link} has no such heading")
    references = re.findall(r"\]\[([\w.]+)\]", text)
    return found + [f"{path}: {reference}" for reference in references if reference not in api.on_pages()]


def test_the_navigation_names_every_page_once():
    named = list(leaves(expanded(read_nav())))
    assert sorted(named) == sorted(pages())


def test_links_between_pages_lead_somewhere():
    assert sum(len(links(text)) for text in pages().values()) > 50
    assert not [fault for path, text in pages().items() for fault in broken(path, text)]


@pytest.mark.parametrize("text", ["[a](nowhere.md)", "[a](fits.md#nothing)", "[a][scalefit.no.such]"])
def test_a_broken_link_is_found(text):
    assert broken("law.md", text)
    assert not broken("law.md", "[a](fits.md#coordinates), `[b](c.md)` and [d][scalefit.law.additive.Law.parse]")


def test_every_public_name_has_a_place_on_an_api_page():
    placed = api.public_names()
    assert set(placed) == set(scalefit.__all__) - {"__version__"}
    assert all(placed.values()), [name for name, at in placed.items() if not at]
    for name, at in placed.items():
        assert f"[`scalefit.{name}`][{at}]" in pages()["api/index.md"]
        module = next(end for end in api.modules() if at == f"{end}.{at.rpartition('.')[2]}")
        directive = re.search(
            rf"^::: {re.escape(module)}\n(.*\n)*?.*members: (.*)", pages()[f"api/{at.split('.')[1]}.md"], re.M
        )
        assert directive
        assert f"'{at.rpartition('.')[2]}'" in directive[2]


def test_an_overloaded_function_is_on_its_page_once():
    assert api.members("scalefit.allocation.profiles").count("isoflop") == 1


def test_everything_on_an_api_page_is_explained():
    silent = [name for name in api.on_pages() if not api.explained(name)]
    assert not silent
    assert api.explained("scalefit.thresholds.GOOD_KHAT")
    assert "BAYES" in api.verb_options("scalefit.options.verbs")


def test_the_inside_of_the_package_has_no_page():
    assert "scalefit.leastsq.fit.fit" in api.on_pages()
    assert "scalefit.leastsq.resample.jackknife" in api.documented()
    assert "scalefit.leastsq.resample.jackknife" not in api.on_pages()
    assert not [page for page in pages() if page.startswith("api/solver")]
    assert api.to_markdown(":func:`scalefit.leastsq.resample.jackknife`") == "`jackknife`"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("see :func:`scalefit.fit`", "see [`scalefit.fit`][scalefit.leastsq.fit.fit]"),
        ("by :meth:`Law.parse`", "by [`Law.parse`][scalefit.law.additive.Law.parse]"),
        (":mod:`scalefit.plots` and ``x``", "[`scalefit.plots`][scalefit.plots] and `x`"),
        ("see :func:`numpy.exp`::", "see `numpy.exp`:"),
    ],
)
def test_references_in_docstrings_become_links(said, meant):
    assert api.to_markdown(said) == meant


def test_no_reference_in_a_docstring_of_the_package_is_lost():
    """A role that names something of this package has a page to lead to."""
    lost = [
        f"{module}: {found[1]}"
        for module in api.modules()
        for found in api.ROLE.finditer(Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8"))
        if not api.resolve(found[1], module) and found[1].startswith("scalefit.")
    ]
    assert not lost


def test_every_verb_is_on_the_page_of_the_command_line():
    page = pages()["command_line.md"]
    for name, command in commands.commands():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for option in (word for param in command.params for word in param.opts if word.startswith("--")):
            assert option == "--help" or f"`{option}`" in section


def test_every_key_of_a_study_is_explained():
    page = studies.keys()
    for key in ("title", "drop", "rule", "leave_out", "reference", "template"):
        assert (f"| `{key}` |" in page) == (key != "drop")
    assert "| `path` |" not in page  # of the study itself; posteriors have an option of that name


def test_a_notebook_keeps_its_pictures():
    for name in lessons.names():
        shown = [link for link in links(pages()[f"notebooks/{name}.md"]) if link.endswith(".png")]
        assert shown
        assert all(made()[f"notebooks/{character}"].startswith(b"\x89PNG") for character in shown)


@pytest.mark.parametrize("name", [name for name in WRITTEN if not name.startswith("tutorial_") and name != MESSY])
def test_the_code_of_a_page_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / name).read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, name, "exec"), namespace)
        assert capsys.readouterr().out.strip(), "an example shows something"
    verbs = dict(commands.commands())
    for line in re.findall(r"^\$ (scalefit .*)$", text.replace("\\\n", " "), re.MULTILINE):
        words = shlex.split(line)
        verb = " ".join(words[:3]) if words[1] == "toy" else " ".join(words[:2])
        known = {word for param in verbs[verb].params for word in param.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_every_line_of_the_page_on_messy_tables_runs_as_it_is_pasted(tmp_path, monkeypatch, capsys):
    """From top to bottom in an empty folder, commands in its tables too; the page makes the files that it reads."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "page"}
    text = (DOCS / MESSY).read_text(encoding="utf-8")
    done = []
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$|`(scalefit [^`]*)` \|$", text, re.MULTILINE | re.DOTALL):
        language, block, cell = found.groups()
        if language == "python":
            exec(compile(block, MESSY, "exec"), namespace)
            assert capsys.readouterr().out.strip(), "an example shows something"
            continue
        for arguments, _ in commands_of(block or f"$ {cell}\n"):
            code, out = run(arguments, monkeypatch, capsys)
            assert code == 0, arguments
            assert out.strip(), arguments
            done.append(arguments[0])
    assert len(done) >= 17
    assert {"look", "fit", "compare", "sensitivity", "predict"} <= set(done)
    assert (tmp_path / "levels" / "forest.svg").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WRITTEN if name.startswith("tutorial_")])
def test_a_tutorial_runs_and_prints_what_it_shows(name, tmp_path, monkeypatch, capsys):
    """From top to bottom in an empty folder with the table of the site; README's commands are run by its tests."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(DOCS / "runs.csv", "runs.csv")
    namespace: dict[str, Any] = {"__name__": "page"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = (DOCS / name).read_text(encoding="utf-8")
    shown_anywhere = 0
    for language, block in re.findall(r"^```(console|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if language == "python":
            exec(compile(block, name, "exec"), namespace)
            assert capsys.readouterr().out.strip(), "an example shows something"
            continue
        for arguments, shown in commands_of(block):
            line = shlex.join(["scalefit", *arguments])
            if arguments[0] == "report" or (not shown and line in readme):
                continue
            code, out = run(arguments, monkeypatch, capsys)
            assert code == int(shown.startswith("not identified")), line
            assert out.startswith(shown.removesuffix("...\n")), line
            shown_anywhere += len(shown)
    assert shown_anywhere > 300


def test_a_sentence_that_a_tutorial_quotes_is_printed_word_by_word():
    """Quotations are copied from what the page's commands print, which the page cuts."""
    quoted = {name: re.findall(r"^> (.*)$", (DOCS / name).read_text(encoding="utf-8"), re.M) for name in WRITTEN}
    assert sum(map(len, quoted.values())) >= 3
    paper = scalefit.fit("chinchilla", "chinchilla", loss="huber", drop_highest_loss=5)
    mine = scalefit.fit(DOCS / "runs.csv", "chinchilla", where="loss < 5")
    printed = "\n".join(
        [
            str(scalefit.optimum(paper, compute=[5.76e23])),
            str(scalefit.optimum(mine, compute=[1e21])),
            str(scalefit.fit(DOCS / "runs.csv", "chinchilla", drop_invalid=True)),
        ]
    )
    missing = [line for lines in quoted.values() for line in lines if line not in printed]
    assert not missing


def test_the_gallery_shows_every_plot_with_a_command_that_exists():
    """Plots of fits and sweeps from their registries; plots of other verbs by the options that write a picture."""
    plots = [plot for part in gallery.SECTIONS.values() for plot in part]
    drawn = {words[words.index("--plot") + 1] for plot in plots if "--plot" in (words := plot.command.split())}
    assert (set(KINDS) | set(TOY_KINDS)) - drawn == set(gallery.ALIASES)
    called = {tuple(shlex.split(plot.command)[1:3]) if "toy" in plot.command.split()[1:2] else plot.command.split()[1]
              for plot in plots}  # fmt: skip
    verbs = dict(commands.commands())
    for name, command in verbs.items():
        draws = any("svg, png" in (param.help or "") for param in command.params if param.param_type_name == "option")
        if draws or any(param.name == "plot" for param in command.params):
            words = tuple(name.split()[1:])
            assert (words if len(words) > 1 else words[0]) in called, f"the gallery shows nothing of {name}"
    for one in [*gallery.PREPARED, *(plot.command for plot in plots)]:
        words = shlex.split(one)
        known = {
            flag for param in verbs[" ".join(words[: 3 if words[1] == "toy" else 2])].params for flag in param.opts
        }
        assert {word for word in words if word.startswith("--")} <= known, one


def test_the_gallery_is_written_and_has_its_pictures():
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == gallery.page(), "run python -m tests.reference.gallery"
    shown = {plot.picture for part in gallery.SECTIONS.values() for plot in part}
    assert {path.name for path in (DOCS / gallery.PICTURES).iterdir()} == shown


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match="asks for 'nothing'; there are presets"):
        texts.filled("{{ nothing }}", "law.md")


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("README.md", "index.md"),
        ("notebooks", "notebooks/index.md"),
        ("notebooks/toy_model.ipynb", "notebooks/toy_model.md"),
        ("data/chinchilla/SOURCE.md", "data/chinchilla.md"),
        ("docs/law.md", "law.md"),
        ("LICENSE", "files/LICENSE"),
    ],
)
def test_files_of_the_repository_have_a_place_on_the_site(target, place):
    assert texts.moved(f"[a]({target})", "README.md") == f"[a]({place})"
    assert place in pages() or place.startswith(texts.COPIES)


def test_a_text_with_links_is_a_page_and_no_copy_of_a_file():
    """A copy keeps its links, which mean other places there."""
    assert not [path for path in made() if path.startswith(texts.COPIES) and path.endswith(".md")]


def test_a_link_to_a_file_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"README.md links to reports/none.toml, which does not exist"):
        texts.moved("[data](reports/none.toml)", "README.md")


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("mkdocs"), reason="the extra docs is not installed")
def test_the_site_builds_strictly_and_fetches_nothing(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=600
    )
    assert built.returncode == 0, built.stdout + built.stderr
    html = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert len(html) > len(pages())
    fetched = r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=\"(?:https?:)?//"
    assert not [path.name for path, text in html.items() if re.search(fetched, text)]
    assert not [path.name for path, text in html.items() if re.search(r":(?:func|class|meth|mod|data):", text)]
    assert "<math" in html[tmp_path / "fits.html"]
    local = re.compile(r'(?:href|src)="(?!\w+:|#)([^"#]+)')
    lost = {
        f"{path.name}: {target}"
        for path, text in html.items()
        for target in local.findall(text)
        if path.name != "404.html" and not (path.parent / unquote(target)).exists()
    }
    assert not lost
