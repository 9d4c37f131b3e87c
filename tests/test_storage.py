"""Saved fits: equal after loading, the same bytes twice, old files still open, bad files refused."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scalefit
from scalefit import __version__, load_fit
from scalefit.errors import DataError
from scalefit.files import write_atomically
from scalefit.leastsq import fit
from scalefit.storage import fit_record

SAVED = Path(__file__).parent / "saved"


@pytest.fixture(scope="module")
def result():
    return fit("llm_families", "family_width", space="linear", bootstrap=50, cluster="run", label="families")


def test_a_loaded_fit_is_the_saved_one(result, tmp_path):
    path = tmp_path / "a.fit"
    result.save(path)
    again = load_fit(path)
    assert str(again) == str(result)
    assert fit_record(again) == fit_record(result)
    assert again.findings == result.findings
    assert any(finding.numbers for finding in again.findings)
    assert again.label == "families"
    np.testing.assert_array_equal(again.uncertainty.draws, result.uncertainty.draws)
    pd.testing.assert_frame_equal(again.rows, result.rows)
    np.testing.assert_array_equal(again.predict(prob=0.9), result.predict(prob=0.9))


def test_the_same_fit_gives_the_same_bytes(result, tmp_path):
    result.save(tmp_path / "a.fit")
    load_fit(tmp_path / "a.fit").save(tmp_path / "b.fit")
    assert (tmp_path / "a.fit").read_bytes() == (tmp_path / "b.fit").read_bytes()


@pytest.mark.parametrize("path", sorted(SAVED.glob("*.fit")), ids=lambda path: path.name)
def test_fits_of_earlier_releases_open(path):
    old = load_fit(path)
    assert old.status == "converged"
    assert old["alpha"].value == pytest.approx(0.3473105, abs=1e-7)
    assert "0.347" in old.summary()


def test_there_is_a_saved_fit_of_this_release():
    assert (SAVED / f"fit-{__version__}.fit").exists()


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        load_fit(tmp_path / "none.fit")
    (tmp_path / "text.fit").write_text("not a zip")
    with pytest.raises(DataError, match="is not a saved fit"):
        load_fit(tmp_path / "text.fit")


def test_a_newer_format_is_refused(result, tmp_path):
    path = tmp_path / "a.fit"
    result.save(path)
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "fit.json":
                content = json.dumps(json.loads(content) | {"format_version": 99}).encode()
            new.writestr(name, content)
    path.write_bytes(out.getvalue())
    with pytest.raises(DataError, match="install a newer scalefit"):
        load_fit(path)


def test_writing_is_all_or_nothing(tmp_path):
    with pytest.raises(DataError, match="cannot write"):
        write_atomically(tmp_path / "no" / "such" / "file", b"x")
    write_atomically(tmp_path / "file", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_is_followed_not_replaced(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_saved_fit_in_place_of_a_table_and_the_other_way_round(tmp_path: Path) -> None:
    fit("chinchilla", "chinchilla", bootstrap=0).save(tmp_path / "my.fit")
    for verb in (scalefit.look, scalefit.read_table, scalefit.isoflop):
        with pytest.raises(DataError, match=r"my\.fit' is a saved fit, and a table is needed here"):
            verb(tmp_path / "my.fit")
    (tmp_path / "runs.csv").write_text("params,loss\n1,2\n")
    with pytest.raises(
        DataError, match=r"runs.csv' is not a saved fit \(a table\); fit a law to it first, scalefit fit "
    ):
        scalefit.load_fit(tmp_path / "runs.csv")
    with pytest.raises(DataError, match=r"\(a folder\); name a fit in it, '.*my.fit'"):
        scalefit.load_fit(tmp_path)
