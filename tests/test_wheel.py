"""The wheel alone, away from the checkout: complete, and able to fit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import scalefit
from scalefit.data.datasets import dataset_names

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.slow

LOAD_EVERYTHING = """
import json, scalefit
rows = {name: len(scalefit.load_dataset(name)) for name in scalefit.dataset_names()}
print(json.dumps({"home": scalefit.__file__, "version": scalefit.__version__, "rows": rows}))
"""


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, project_files: tuple[Path, ...]) -> Path:
    """A wheel built from a copy, which holds nothing that git ignores; the checkout stays as it was."""
    source = tmp_path_factory.mktemp("source")
    for path in project_files:
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", cwd=source)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel and nothing else."""
    target = tmp_path_factory.mktemp("installed")
    install = (sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet")
    run(*install, "--target", target, wheel, cwd=target)
    return target


@pytest.fixture
def away(installed: Path) -> dict[str, str]:
    """An environment in which the installed folder comes before the editable install of the checkout."""
    return os.environ | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}


def test_wheel_is_complete(wheel: Path) -> None:
    assert wheel.name == f"scalefit_reanalysis-{scalefit.__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"scalefit/_data/{name}/{file}" for name in dataset_names() for file in ("table.csv", "SOURCE.md")}
    expected |= {"scalefit/_data/manifest.toml", "scalefit/_data/schema.toml", "scalefit/py.typed"}
    expected |= {f"scalefit_reanalysis-{scalefit.__version__}.dist-info/licenses/LICENSE"}
    assert expected <= names, sorted(expected - names)
    assert any(name.startswith("scalefit/report/") and name.endswith(".typ") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"scalefit", "scalefit_reanalysis"}
    assert not [name for name in names if "__pycache__" in name]


def test_wheel_loads_every_data_set(installed: Path, away: dict[str, str], tmp_path: Path) -> None:
    said = json.loads(run(sys.executable, "-c", LOAD_EVERYTHING, cwd=tmp_path, env=away))
    assert Path(said["home"]).parent.parent == installed
    assert said["version"] == scalefit.__version__
    assert tuple(said["rows"]) == dataset_names()
    assert said["rows"]["chinchilla"] == 245


def test_wheel_fits_from_the_command_line(installed: Path, away: dict[str, str], tmp_path: Path) -> None:
    law = "loss ~ E + A/params^alpha + B/tokens^beta"
    options = ("--loss", "huber", "--drop-highest-loss", "5", "--bootstrap", "50", "--json")
    script = installed / "bin" / "scalefit"
    fit = json.loads(run(sys.executable, script, "fit", "chinchilla", law, *options, cwd=tmp_path, env=away))
    assert fit["status"] == "converged"
    assert fit["n_rows"] == 240
    assert fit["objective"] == pytest.approx(0.0010182740178, rel=1e-10)
    assert fit["estimate"]["alpha"] == pytest.approx(0.3473105, abs=5e-8)
