"""Draw every picture of the gallery by its command, write ``docs/gallery.md``, and take page one of the report.

Run ``python -m tests.reference.gallery``, by hand, after a change of a plot; ``--only NAME...`` draws some. Pictures
have one scale, and 64 colours, which keeps them small.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import typst
from PIL import Image

from docs.generate.gallery import PICTURES, PREPARED, PREPARED_CODE, SECTIONS, page
from scalefit.plots.fonts import font_folder

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCALE = 0.75  # a figure of the full width is 1,050 pixels wide
CLOSE: dict[str, Any] = {"kmeans": 4, "dither": Image.Dither.NONE}  # without means a thin red line turns brown


def run(command: str, folder: Path) -> None:
    """Run one command; exit code 1 says that a result is not identified, which a picture may show."""
    words = shlex.split(command)[1:]
    words = [match for word in words for match in (sorted(map(str, folder.glob(word))) if "*" in word else [word])]
    code = f"import sys; sys.argv = ['scalefit', *{words!r}]; from scalefit.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command}\n{done.stderr}")


def rendered(vector: Path, picture: Path) -> None:
    """Turn an SVG file into pixels, with the typeface of the figures."""
    source = vector.with_suffix(".typ")
    source.write_text(f'#set page(width: auto, height: auto, margin: 4pt)\n#image("{vector.name}")', encoding="utf-8")
    typst.compile(source, output=picture, format="png", ppi=200, font_paths=[str(font_folder())])


def shrink(picture: Path, target: Path) -> None:
    """Write a picture with few colours, as wide as a page at most."""
    with Image.open(picture) as image:
        size = round(image.width * SCALE), round(image.height * SCALE)
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).quantize(64, **CLOSE).save(target, optimize=True)


def page_one(folder: Path) -> None:
    """Turn page one of the committed report into the picture of README.md, by pdftoppm of Poppler."""
    pdf = DOCS.parent / "reports" / "chinchilla-width" / "chinchilla-width.pdf"
    subprocess.run(
        ["pdftoppm", "-r", "150", "-f", "1", "-l", "1", "-singlefile", "-png", pdf, folder / "one"], check=True
    )
    with Image.open(folder / "one.png") as image:
        image.convert("RGB").quantize(64, **CLOSE).save(DOCS / "page-one.png", optimize=True)


def main() -> None:
    """Draw the pictures, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="*", help="names of pictures, also page-one; all without it")
    parser.add_argument("--folder", type=Path, help="where fits, sweep and models are, or are put; else a new one")
    given = parser.parse_args()
    (DOCS / PICTURES).mkdir(exist_ok=True)
    folder = (given.folder or Path(tempfile.mkdtemp(prefix="gallery-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    plots = [one for plots in SECTIONS.values() for one in plots if given.only is None or one.name in given.only]
    commands = " ".join(one.command for one in plots)
    for command in PREPARED:
        name = command.split()[-1]
        if name in commands and not (folder / name).exists():
            run(command, folder)
    if "toy show sweep" in commands and not (folder / "sweep").exists():
        run("scalefit toy sweep default --out sweep", folder)
    if "models" in commands and not (folder / "models").exists():
        from tests.tiny_models import make_models

        (folder / "models").mkdir()
        make_models(folder / "models")
    namespace: dict[str, Any] = {}
    os.chdir(folder)
    if any(one.code for one in plots):
        exec(PREPARED_CODE, namespace)
    for one in plots:
        print(one.name, flush=True)
        run(one.command.replace("PICTURE", one.picture).replace("BY", one.name), folder)
        exec(one.code.replace("PICTURE", one.picture), namespace)
        if one.command.endswith("BY"):
            rendered(folder / one.name / "forest.svg", folder / one.picture)
        shrink(folder / one.picture, DOCS / PICTURES / one.picture)
    if given.only is None or "page-one" in given.only:
        page_one(folder)
    (DOCS / "gallery.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
