"""The gallery: a command for every plot, and the page that shows them.

``docs/gallery.md`` and its pictures are committed, so that they can be read without building the site;
``python -m tests.reference.gallery`` draws and writes them. A test compares the page with this list, and the list with
the registries of plots and with the verbs that draw.
"""

from __future__ import annotations

from typing import NamedTuple

from scalefit.plots import KINDS
from scalefit.plots.toy import KINDS as TOY_KINDS

__all__ = ["ALIASES", "PICTURES", "PREPARED", "PREPARED_CODE", "SECTIONS", "Plot", "page"]

PICTURES = "pictures"
ALIASES = {"fit": "observed"}  # two names of one plot

PREPARED = (
    "scalefit fit chinchilla chinchilla --loss huber --drop-highest-loss 5 --out epoch.fit",
    "scalefit fit parscale parscale --out parscale.fit",
    "scalefit bayes chinchilla width_depth --drop-highest-loss 5 --cluster shape --path fast --out wd.fit",
    'scalefit bayes llm_families "loss ~ E[family, eval_set] + A/width^a[family]" --pool a=partial --path fast '
    "--out pooled.fit",
    "scalefit fit datablations data_constrained --loss huber --uncertainty profile --out repeated.fit",
)
"""Commands that make the fits which the others draw."""

PREPARED_CODE = """\
import scalefit
import scalefit.plots

question = {"data": "chinchilla", "law": "width_depth", "drop_highest_loss": 40}
fits = {
    "posterior": scalefit.bayes(**question, likelihood="normal", path="fast"),
    "least squares": scalefit.fit(**question),
}
print(*fits)
"""
"""The fits of the pictures that Python draws."""


class Plot(NamedTuple):
    """A picture, what it shows, and the command that draws it, in which PICTURE stands for the file.

    A command of ``--by`` writes a folder, BY, in which the picture is ``forest.svg``. Where the command draws a single
    fit and the plot is made for several, ``code`` draws these into PICTURE, by Python, and is what is shown.
    """

    name: str
    about: str
    command: str
    code: str = ""

    @property
    def picture(self) -> str:
        """The file of the picture."""
        return f"{self.name}.png"


def _first_line(function: object) -> str:
    line = (function.__doc__ or "").strip().partition("\n")[0].removesuffix(".").removeprefix("Draw ")
    return line[:1].upper() + line[1:]


_FITS = {"effect": "parscale.fit", "optima": "repeated.fit", "pooling": "pooled.fit"}
_ABOUT = {
    "pooling": "Groups that are partly pooled, and their common value; in Python, `none=` adds each group alone",
}
_CODE = dict.fromkeys(
    ("densities", "forest"),
    """\
axes = scalefit.plots.KIND(
    fits, name="a_m", reference=1, words="1/width", published={"Liu et al. 2026": (0.977, 0.083)}
)
scalefit.plots.save_figure(axes, "PICTURE")
print(fits["posterior"]["a_m"])
""",
)
_POSTERIOR = ("density", "densities", "joint", "predictive", "priors")
_START_0 = "bias_start == 'zero' and norm == 'free' and batch == 256 and gamma == -1"
_WHERE = {
    "glance": "alpha == 1 and n_features == 1000 and gamma == -1 and batch == 2048",
    "losses": f"{_START_0} and n_features == 1000",
    "slopes": f"{_START_0} and n_features == 1000 and alpha == 1",
    "map": "",
    "convergence": "batch == 256 and n_features == 256",
    "training": "alpha == 1 and n_features == 1000",
}
_TOY_DATA = {
    "convergence": "toy_training", "map": "toy_map", "alive": "sweep", "norms": "sweep", "represented": "sweep",
    "training": "sweep", "glance": "toy_starts toy_strong",
}  # fmt: skip


def _shown(kind: str) -> str:
    fit = _FITS.get(kind, "wd.fit" if kind in _POSTERIOR else "epoch.fit")
    return f"scalefit show {fit} --plot {kind} --out PICTURE"


def _toy(kind: str) -> str:
    data = _TOY_DATA.get(kind, "toy_starts")
    where = "" if data == "sweep" else _WHERE.get(kind, f"{_START_0} and n_features == 1000 and alpha == 1")
    return f"scalefit toy show {data} --plot {kind}" + (f' --where "{where}"' if where else "") + " --out PICTURE"


SECTIONS: dict[str, tuple[Plot, ...]] = {
    "A table": (
        Plot("look", "The loss against each column of a table", "scalefit look chinchilla --plot PICTURE"),
        Plot(
            "by", "One fit for each label of a column: the folder has the fits, and this forest as `forest.svg`",
            "scalefit fit marin_isoflop chinchilla --by train_set --bootstrap 200 --out BY",
        ),
    ),
    "A fit": tuple(
        Plot(kind, _ABOUT.get(kind, _first_line(draw)), _shown(kind), _CODE.get(kind, "").replace("KIND", kind))
        for kind, draw in KINDS.items()
        if kind not in ALIASES
    ),
    "Judging": (
        Plot(
            "sensitivity", "One parameter under other choices",
            "scalefit sensitivity chinchilla width_depth --param a_m --reference 1 --region 0.9,1.1 "
            "--drop-highest-loss 40 --path fast --draws 500 --out PICTURE",
        ),
        Plot(
            "calibrate", "Ranks of the truth among the draws, and coverage of the intervals",
            "scalefit calibrate chinchilla chinchilla --drop-highest-loss 5 --n 20 --path fast --draws 500 "
            "--out PICTURE",
        ),
        Plot("optimum", "The best sizes at each budget", "scalefit optimum epoch.fit --compute 5.76e23 --out PICTURE"),
    ),
    "Forecasts": (
        Plot(
            "forecast", "Runs and forecasts against compute",
            'scalefit forecast chinchilla --where "flops < 2e19 and loss < 4" --at params=7B,tokens=1T --plot PICTURE',
        ),
        Plot(
            "backtest", "How often 90% intervals held, and the median error, by distance from the data",
            "scalefit backtest chinchilla --methods forecast --methods huber --plot PICTURE",
        ),
        Plot(
            "plan", "Runs, candidates and choices under a budget",
            'scalefit plan chinchilla --where "flops < 2.1e19" --target params=7B,tokens=140B --budget 1e20 '
            "--plot PICTURE",
        ),
    ),
    "Toy models": tuple(Plot(f"toy-{kind}", _first_line(draw), _toy(kind)) for kind, draw in TOY_KINDS.items()),
    "Checkpoints": (
        Plot(
            "heads", "Overlaps, norms and eigenvalues of heads",
            "scalefit heads models/llama-* --out heads.csv --plot PICTURE",
        ),
        Plot(
            "frequencies", "Counts of tokens against rank, with the fitted power law",
            "scalefit frequencies --tokenizer models/llama-32 --text models/held_out.txt --out counts.csv "
            "--plot PICTURE",
        ),
        Plot(
            "superposition", "Overlaps of published heads against width",
            "scalefit superposition llm_heads --plot PICTURE",
        ),
    ),
}  # fmt: skip


def page() -> str:
    """Write the page."""
    blocks = [
        "# Gallery",
        "Every plot, with the command that draws it. A figure is written as svg, png or pdf, by the end of its name. "
        "In Python, `fit.plot(kind)` draws a fit, and results have a method `plot`.",
        "The commands below use these fits:",
        "\n".join(["```console", *(f"$ {one}" for one in PREPARED), "```"]),
        f"and, where several fits are drawn, these:\n\n```python\n{PREPARED_CODE}```",
    ]
    for title, plots in SECTIONS.items():
        blocks.append(f"## {title}")
        for one in plots:
            also = next((f", also called `{other}`" for other, same in ALIASES.items() if same == one.name), "")
            command = one.command.replace("PICTURE", one.picture).replace("BY", one.name)
            code = one.code.replace("PICTURE", one.picture)
            blocks += [
                f"### {one.name}{also}",
                f"{one.about}.",
                f"```console\n$ {command}\n```",
                *([f"Several fits are drawn in Python:\n\n```python\n{code}```"] if code else []),
                f"![{one.about.replace('`', '')}]({PICTURES}/{one.picture})",
            ]
    notes = (
        "The folder `sweep` of the toy plots is that of `scalefit toy sweep default --out sweep`. The folder `models` "
        "stands for your checkpoints and text, here for language models that train in seconds."
    )
    return "\n\n".join([*blocks, notes]) + "\n"
