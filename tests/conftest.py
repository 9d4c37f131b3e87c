"""What the tests share: how hypothesis draws, how figures are drawn, and a few tables."""

from __future__ import annotations

import fnmatch
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from scalefit.cli import main
from scalefit.data.datasets import load_dataset
from scalefit.leastsq import fit
from scalefit.posterior import bayes
from scalefit.results import Fit

ROOT = Path(__file__).resolve().parent.parent

# Inherited by every subprocess too; nothing here imports matplotlib.
os.environ["MPLBACKEND"] = "Agg"

# Tables are printed for a page of any width, whatever terminal the tests are started from.
os.environ.pop("COLUMNS", None)

# MKL's sums may depend on where an array lies in memory, which "alone or in company bit-equal" must not see; it reads
# this once, when torch is imported.
os.environ.setdefault("MKL_CBWR", "COMPATIBLE")

# The fast profile draws the same examples on every machine; HYPOTHESIS_PROFILE=long looks for new ones.
settings.register_profile("fast", max_examples=50, derandomize=True, deadline=None)
settings.register_profile("long", max_examples=5000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

TRUTH = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2000.0, "beta": 0.37}
"""The law behind ``synthetic`` and ``my_csv``: ``loss ~ E + A/params^alpha + B/tokens^beta``."""


def _grid(sizes: tuple[float, ...], budgets: tuple[float, ...], *, noise: float, seed: int) -> pd.DataFrame:
    """Runs of every size at every budget under `TRUTH`, with log-normal scatter of the loss."""
    params, tokens = (axis.ravel() for axis in np.meshgrid(sizes, budgets, indexing="ij"))
    law = TRUTH["E"] + TRUTH["A"] / params ** TRUTH["alpha"] + TRUTH["B"] / tokens ** TRUTH["beta"]
    scatter = np.random.default_rng(seed).normal(0.0, noise, params.size)
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": law * np.exp(scatter)})


@pytest.fixture
def chinchilla() -> pd.DataFrame:
    """All 245 digitised runs."""
    return load_dataset("chinchilla")


@pytest.fixture
def synthetic() -> pd.DataFrame:
    """56 runs under `TRUTH` with 0.3% scatter."""
    return _grid(
        (44e6, 130e6, 400e6, 1.2e9, 3.5e9, 10e9, 30e9),
        (1e9, 3e9, 1e10, 3e10, 1e11, 3e11, 1e12, 3e12),
        noise=3e-3,
        seed=20,
    )


@pytest.fixture
def my_csv(tmp_path: Path) -> Path:
    """A user's ``my.csv``: 42 runs under `TRUTH` as ``run, N, D, val_loss, notes``, sizes such as 1.3B."""
    sizes = {"70M": 70e6, "160M": 160e6, "410M": 410e6, "1.3B": 1.3e9, "2.8B": 2.8e9, "6.9B": 6.9e9}
    budgets = {"2B": 2e9, "8B": 8e9, "20B": 2e10, "60B": 6e10, "200B": 2e11, "600B": 6e11, "2e12": 2e12}
    runs = _grid(tuple(sizes.values()), tuple(budgets.values()), noise=2e-3, seed=21)
    labels = [(size, budget) for size in sizes for budget in budgets]
    lines = ["run,N,D,val_loss,notes"]
    for number, ((size, budget), loss) in enumerate(zip(labels, runs["loss"], strict=True), start=1):
        note = '"restarted, twice"' if number == 7 else ""
        lines.append(f"r{number:02},{size},{budget},{loss:.5f},{note}")
    path = tmp_path / "my.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def project_files() -> tuple[Path, ...]:
    """Every file of the project but those that .gitignore names; git itself need not be there."""
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    return tuple(_walk(ROOT, (".git", *(pattern.rstrip("/") for pattern in ignored))))


def _walk(folder: Path, ignored: tuple[str, ...]) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if any(fnmatch.fnmatch(entry.name, pattern) for pattern in ignored):
            continue
        if entry.is_dir():
            yield from _walk(entry, ignored)
        else:
            yield entry


def take_ctrl_c() -> None:
    """Let a child process take Ctrl-C (as ``preexec_fn``), whatever the tests themselves were started with.

    A job that a script starts in the background ignores SIGINT, and so would all its children.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


COMPARED = {"likelihood": "normal", "drop_highest_loss": 40, "ties": "keep"}


@pytest.fixture(scope="session")
def wide():
    return bayes("chinchilla", "width_depth", label="width and depth", **COMPARED)


@pytest.fixture(scope="session")
def fixed():
    return bayes("chinchilla", "width_depth_fixed", label="fixed", **COMPARED)


@pytest.fixture(scope="session")
def sized():
    return bayes("chinchilla", "chinchilla", label="parameters", **COMPARED)


@pytest.fixture(scope="session")
def shifted():
    return bayes("chinchilla", "width_depth", label="shift", cluster="shape", **COMPARED)


@pytest.fixture(scope="session")
def small():
    """A law of two parameters on few rows, so that other ways to compute a number are affordable."""
    rng = np.random.default_rng(5)
    width = np.repeat([64.0, 128, 256, 512, 1024, 2048], 3)
    shape = np.repeat(list("abcdef"), 3)
    noise = 0.03 * rng.standard_normal(18) + np.repeat(0.02 * rng.standard_normal(6), 3)
    return pd.DataFrame({"width": width, "shape": shape, "loss": 40 * width**-0.4 * np.exp(noise)})


@pytest.fixture(scope="session")
def levels():
    """One slope per lab, drawn from the same posterior: x and y differ by 0.2, the others by nothing."""
    rng = np.random.default_rng(8)
    rows = [
        {"lab": lab, "width": w, "loss": 5 * w**-slope * math.exp(0.02 * rng.standard_normal())}
        for lab, slope in (("x", 0.5), ("y", 0.3), ("z", 0.3)) for w in (64, 128, 256, 512, 1024, 2048)
    ]  # fmt: skip
    return bayes(pd.DataFrame(rows), "loss ~ A[lab]/width^alpha[lab]", likelihood="normal", path="fast")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Call the command line in an empty folder: returns exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["scalefit", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as leave:
            code = leave.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def huber() -> Fit:
    """Chinchilla in parameters and tokens by Huber's loss, as its replication fitted it."""
    return fit("chinchilla", "chinchilla", loss="huber", drop_highest_loss=5, bootstrap=400, label="Huber")


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained models of three architectures at four widths, and a text that they have not seen; do not change them."""
    for library in ("torch", "transformers", "tokenizers", "safetensors"):
        pytest.importorskip(library, reason="needs the extra models")
    from tests.tiny_models import make_models

    return make_models(tmp_path_factory.mktemp("models"))
