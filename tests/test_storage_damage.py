"""Saved fits that are damaged, or made by somebody else: each is loaded equal, or refused in one sentence."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalefit import archive, load_fit, storage
from scalefit.errors import DataError
from scalefit.leastsq import fit
from scalefit.posterior import bayes
from scalefit.results import Fit, PosteriorFit
from scalefit.storage import fit_record

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "a.fit"
    fit("llm_families", "family_width", space="linear", bootstrap=30, cluster="run").save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def sampled(levels: Fit, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sampled") / "b.fit"
    levels.save(path)
    return path.read_bytes()


def unpacked(content: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(content)) as archived:
        return {name: archived.read(name) for name in archived.namelist()}


def packed(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archived:
        for name, content in members.items():
            archived.writestr(name, content)
    return out.getvalue()


def with_record(content: bytes, change: Callable[[dict[str, Any]], Any], name: str = "fit.json") -> bytes:
    members = unpacked(content)
    record = json.loads(members[name])
    change(record)
    return packed(members | {name: json.dumps(record).encode()})


def with_arrays(content: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    members = unpacked(content)
    arrays = dict(np.load(io.BytesIO(members["arrays.npz"])))
    change(arrays)
    out = io.BytesIO()
    np.savez(out, **arrays)
    return packed(members | {"arrays.npz": out.getvalue()})


def loaded(content: bytes, folder: Path) -> Fit:
    path = folder / "x.fit"
    path.write_bytes(content)
    return load_fit(path)


def refusal(content: bytes, folder: Path) -> str:
    with pytest.raises(DataError, match=r"x\.fit' is not a saved fit") as caught:
        loaded(content, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed_or_harmless(
    place: float, bit: int, saved: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    damaged = bytearray(saved)
    damaged[int(place * len(saved))] ^= 1 << bit
    check_equal_or_refused(bytes(damaged), saved, tmp_path_factory.mktemp("flipped"))


@given(start=st.floats(0, 1), length=st.floats(0, 1))
def test_a_file_that_lacks_bytes_is_noticed_or_harmless(
    start: float, length: float, saved: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = int(start * len(saved))
    damaged = saved[:first] + saved[first + int(length * (len(saved) - first)) :]
    check_equal_or_refused(damaged, saved, tmp_path_factory.mktemp("cut"))


def check_equal_or_refused(damaged: bytes, whole: bytes, folder: Path) -> None:
    original = loaded(whole, folder)
    try:
        again = loaded(damaged, folder)
    except DataError:
        return
    assert fit_record(again) == fit_record(original)
    pd.testing.assert_frame_equal(again.rows, original.rows)
    np.testing.assert_array_equal(again.uncertainty.draws, original.uncertainty.draws)


def test_a_bomb_is_not_unpacked(saved: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = b"0" * (archive.LARGEST_JSON + 1)
    assert "bytes, more than is read" in refusal(packed(unpacked(saved) | {"rows.json": zeros}), tmp_path)
    inner = packed({f"{name}.npy": b"0" * 2_000_000 for name in "ab"})
    monkeypatch.setattr(archive, "LARGEST", 3_000_000)
    assert "bytes, more than is read" in refusal(packed(unpacked(saved) | {"arrays.npz": inner}), tmp_path)
    monkeypatch.setattr(archive, "LARGEST", len(saved) - 1)
    assert "more than the" in refusal(saved, tmp_path)


def test_what_load_would_refuse_is_not_saved(saved: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = loaded(saved, tmp_path)
    monkeypatch.setattr(storage, "LARGEST", 1000)
    with pytest.raises(DataError, match=r"takes more than the .* MiB that a saved fit may have"):
        result.save(tmp_path / "large.fit")
    assert not (tmp_path / "large.fit").exists()


class Evil:
    """Would leave a mark when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("unpickled", "w"))


def test_nothing_is_unpickled(saved: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    objects = np.array([Evil()] * 3, dtype=object)
    evil = with_arrays(saved, lambda arrays: arrays.update({"point": objects}))
    assert "something other than numbers" in refusal(evil, tmp_path)
    assert not (tmp_path / "unpickled").exists()


HEADER = b"\x93NUMPY\x01\x00"


def npy(shape: str, dtype: str = "<f8", body: bytes = b"") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return HEADER + len(text).to_bytes(2, "little") + text + body


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (npy("(1000000000000,)"), "does not have the size that it declares"),
        (npy("(4, 4, 99999999999999999999)"), "does not have the size"),
        (npy("(-1,)"), "something other than numbers"),
        (npy("(2,)", "|O", b"0" * 16), "something other than numbers"),
        (npy("(2,)", "<M8[s]", b"0" * 16), "something other than numbers"),
        (npy("__import__('os').abort()"), "something other than numbers"),
        (HEADER + b"\xff\xff", "is not an array"),
        (b"", "is not an array"),
    ],
)
def test_an_array_that_lies_about_itself_allocates_nothing(
    saved: bytes, tmp_path: Path, array: bytes, message: str
) -> None:
    members = unpacked(saved)
    inner = unpacked(members["arrays.npz"]) | {"point.npy": array}
    assert message in refusal(packed(members | {"arrays.npz": packed(inner)}), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(law="loss ~ A/width^a"), "parameters"),
        (lambda r: r.update(law="loss ~"), "cannot be read"),
        (lambda r: r.update(law=[]), "law is list, not str"),
        (lambda r: r.update(engine="magic"), "engine is 'magic'"),
        (lambda r: r.update(engine="bayes"), "Bayes: there is no option"),
        (lambda r: r["parameters"].pop(), "parameters are not those of its law"),
        (lambda r: r["parameters"].append(r["parameters"][0]), "occurs twice"),
        (lambda r: r["parameters"][0].update(level=["OPT", "nowhere"]), "parameters are not those of its law"),
        (lambda r: r["parameters"][0].update(kind="exponent"), "parameters are not those of its law"),
        (lambda r: r["parameters"].append({"name": "sigma", "level": [], "kind": "scale"}), "its law does not have"),
        (lambda r: r["options"].update(loss="cubed"), "loss is 'cubed'"),
        (lambda r: r["options"].update(more=1), "LeastSquares: there is no option 'more'"),
        (lambda r: r["options"].update(bootstrap=2.5), "bootstrap is 2.5; it must be a whole number"),
        (lambda r: r["uncertainty"].update(level=95), "level is 95"),
        (lambda r: r["uncertainty"].update(level="0.95"), "level is str, not float"),
        (lambda r: r["selection"].update(cluster="nobody"), "lacks the column 'nobody'"),
        (lambda r: r["findings"].append({"code": "x", "severity": "fatal", "message": ""}), "severity is 'fatal'"),
        (
            lambda r: r["findings"].append({"code": "x", "severity": "note", "message": "", "names": [[0, 0]]}),
            "its Finding names a parameter where it has none",
        ),
        (
            lambda r: r["findings"].append({"code": "x", "severity": "note", "message": "", "numbers": [1]}),
            "its numbers is list, not dict",
        ),
        (lambda r: r.update(optima=[]), "optima are missing"),
        (lambda r: r["options"].update(seed=True), "seed is True; it must be a whole number"),
        (lambda r: r.pop("label"), "it lacks 'label'"),
        (lambda r: r.update(format="other"), "its format is 'other'"),
        (lambda r: r.update(format_version="2"), "version '2'"),
    ],
)  # fmt: skip
def test_a_record_is_compared_with_its_law(
    saved: bytes, tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    assert message in refusal(with_record(saved, change), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.update(point=a["point"][:-1]), "its point has the shape"),
        (lambda a: a.update(point=a["point"] * np.nan), "estimates are not finite"),
        (lambda a: a.update(se=a["se"].astype(np.float32)), "its se has the shape"),
        (lambda a: a.update(covariance=a["covariance"][:, :-1]), "its covariance has the shape"),
        (lambda a: a.update(draws=a["draws"][:, :-1]), "its draws has the shape"),
        (lambda a: a.pop("lo"), "lacks 'lo'"),
        (lambda a: a.pop("rows:index"), "lacks 'rows:index'"),
        (lambda a: a.update({"rows:index": a["rows:index"] * 0}), "row numbers"),
        (lambda a: a.update({"rows:0": a["rows:0"][:-1]}), "differs in length from its table"),
        (lambda a: a.update({"rows:0": -a["rows:0"]}), "column 'loss' has values that no fit can use"),
        (lambda a: a.update({"rows:1": a["rows:1"] * np.inf}), "column 'width' has values that no fit can use"),
    ],
)  # fmt: skip
def test_arrays_are_compared_with_the_parameters(
    saved: bytes, tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    assert message in refusal(with_arrays(saved, change), tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: packed(m | {"../evil": b""}), "it contains '../evil'"),
        (lambda m: packed({name: m[name] for name in ("fit.json", "rows.json")}), "lacks 'arrays.npz'"),
        (lambda m: packed(m, zipfile.ZIP_LZMA), "uses a compression that scalefit never writes"),
        (lambda m: packed(m | {"fit.json": b"[" * 1_000_000}), "nested too deeply"),
        (lambda m: packed(m | {"rows.json": b'{"a":' * 1_000_000}), "nested too deeply"),
        (lambda m: packed(m | {"fit.json": b"[]"}), "fit.json is list, not dict"),
        (lambda m: packed(m | {"fit.json": b'{"seed": ' + b"9" * 5000 + b"}"}), "not a saved fit"),
        (lambda m: packed(m | {"rows.json": b'{"index": null, "columns": [3]}'}), "not a saved fit"),
        (lambda m: m["arrays.npz"], "it contains"),
        (lambda m: m["fit.json"], "not a zip"),
        (lambda _: b"", "not a zip"),
    ],
)  # fmt: skip
def test_another_file_is_no_fit(saved: bytes, tmp_path: Path, make: Callable[[Members], bytes], message: str) -> None:
    assert message in refusal(make(unpacked(saved)), tmp_path)


def test_a_folder_and_a_device_are_no_fits(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(DataError, match=r"is not a saved fit \(it is not a regular file"):
            load_fit(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(posterior=None), "has a posterior but was not sampled, or"),
        (lambda r: r["posterior"].update(khat="low"), "khat is str, not float"),
        (lambda r: r["posterior"].update(priors=[["a"]]), "not a saved fit"),
        (lambda r: r["posterior"].update(surprise=1), "Posterior has 'surprise'"),
        (lambda r: r["parameters"][-1].update(kind="tilt"), "parameters that its law does not have"),
    ],
)
def test_a_posterior_is_checked_too(
    sampled: bytes, tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    assert isinstance(loaded(sampled, tmp_path), PosteriorFit)
    assert message in refusal(with_record(sampled, change), tmp_path)


def odd_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Columns that no fit needs, of all the kinds that JSON lines, Parquet and notebooks bring."""
    n = len(table)
    return table.assign(
        betas=[[0.9, 0.95]] * n, config=[{"lr": 1e-3}] * n, raw=[b"\x00"] * n, weights=[np.zeros(2)] * n,
        flag=pd.array([True, None] * (n // 2) + [False] * (n % 2), dtype="boolean"),
        count=pd.array([1, None] * (n // 2) + [2] * (n % 2), dtype="Int64"),
        day=pd.date_range("2026-01-01", periods=n), shard=pd.Categorical(["a", "b"] * (n // 2) + ["a"] * (n % 2)),
        mixed=[1, "x"] * (n // 2) + [None] * (n % 2), imaginary=np.full(n, 1j), long=["x" * 50] * n,
    )  # fmt: skip


@pytest.mark.parametrize("engine", [fit, bayes])
def test_columns_that_nobody_uses_never_stop_a_save(
    engine: Callable[..., Fit], synthetic: pd.DataFrame, tmp_path: Path
) -> None:
    table, law = odd_columns(synthetic), "loss ~ E + A/params^alpha + B/tokens^beta"
    options: dict[str, Any] = {"bootstrap": 10} if engine is fit else {"path": "fast", "draws": 200, "throw": False}
    engine(table, law, **options).save(tmp_path / "read.fit")  # as readers bring the columns in
    assert load_fit(tmp_path / "read.fit").n_rows == len(table)
    result = engine(synthetic, law, **options)
    result = replace(result, rows=odd_columns(result.rows))  # and as they are, whatever readers do
    result.save(tmp_path / "a.fit")
    again = load_fit(tmp_path / "a.fit")
    kept = {"params", "tokens", "loss", "flag", "count", "day", "shard", "mixed", "imaginary", "long"}
    assert set(again.rows) == kept
    assert again.rows["flag"].tolist()[:2] == ["True", None]
    assert again.rows["count"].isna().sum() == len(table) // 2
    assert fit_record(again) == fit_record(result)
    again.save(tmp_path / "b.fit")
    assert (tmp_path / "a.fit").read_bytes() == (tmp_path / "b.fit").read_bytes()


def test_long_texts_that_nobody_uses_are_left_out(
    synthetic: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "LABELS", 5000)
    table = synthetic.assign(note="short", log="x" * 100, run=[f"{'r' * 200}{i // 2}" for i in range(len(synthetic))])
    fit(table, "loss ~ E + A/params^alpha", bootstrap=10, cluster="run", throw=False).save(tmp_path / "a.fit")
    assert set(load_fit(tmp_path / "a.fit").rows) == {"params", "tokens", "loss", "note", "run"}
