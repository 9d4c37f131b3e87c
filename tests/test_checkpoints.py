"""From a folder of checkpoints to an exponent and a verdict, by the verbs alone: heads, losses, fit, superposition."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalefit.models import measure_heads, shift_head
from scalefit.models.checkpoint import find_head, open_checkpoint, read_rows
from scalefit.models.losses import measure_losses
from scalefit.overlap import mean_square_overlap

for library in ("torch", "transformers", "tokenizers", "safetensors"):
    pytest.importorskip(library, reason="needs the extra models")

from tests import tiny_models as tiny  # noqa: E402

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with tiny.one_thread():
        yield


def test_a_folder_of_checkpoints_becomes_an_exponent_and_a_verdict(run: Run, tiny_models: Path) -> None:
    folders = [tiny_models / f"{family}-{width}" for family in tiny.FAMILIES for width in tiny.WIDTHS]

    code, out, _ = run("heads", *folders, "--out", "heads.csv")
    assert code == 0
    assert len(out.splitlines()) == 12
    text = ("--text", tiny_models / "held_out.txt", "--context", 32, "--out", "runs.csv")
    code, out, err = run("losses", *folders, *text)
    assert (code, err) == (0, "")
    heads, losses = pd.read_csv("heads.csv"), pd.read_csv("runs.csv")
    assert list(heads["run"]) == list(losses["run"])
    assert list(heads["family"]) == list(losses["family"])
    assert list(heads["width"]) == list(losses["width"])
    for _, family in losses.groupby("family"):
        assert family["loss"].iloc[-1] < family["loss"].iloc[0] - 0.1

    law = "loss ~ A[family]/width^a"
    code, out, _ = run("fit", "runs.csv", law, "--uncertainty", "hc3", "--json")
    fit = json.loads(out)
    assert (code, fit["status"], fit["n_rows"]) == (0, "converged", 12)
    assert 0.02 < fit["estimate"]["a"] < 0.2
    assert 0 < fit["se"]["a"] < fit["estimate"]["a"]
    worst = max(losses["loss"] - heads["width"] ** -fit["estimate"]["a"] * losses["family"].map(
        {family: fit["estimate"][f"A[{family}]"] for family in tiny.FAMILIES}
    ))  # fmt: skip
    assert worst < 0.3

    code, out, _ = run("superposition", "heads.csv", "--losses", "runs.csv", "--json")
    assert code == 0
    test = json.loads(out)
    assert test["heads"] == 12
    assert test["overlap"] == "overlap_ms_effective"
    assert 0.2 < test["slope"]["estimate"]["a"] < 1.1
    sentences = [verdict["sentence"] for verdict in test["verdict"]]
    assert sentences[0].startswith("Overlap falls as effective width to the power of")
    assert any(
        sentence.startswith("With each of 12 models left out in turn, its loss is off by") for sentence in sentences
    )
    assert {row["run"] for row in test["losses"]["left_out"]} == set(losses["run"])


def test_raw_overlap_moves_where_no_loss_does(tiny_models: Path, tmp_path: Path) -> None:
    """The head of a trained model with a vector added to every row: raw overlap is not a property of the model."""
    folder, text = tiny_models / "llama-32", tiny_models / "held_out.txt"
    shift_head(folder, tmp_path / "shifted", size=2.0)
    before, after = measure_heads([folder, tmp_path / "shifted"])
    assert after.overlap_ms > 1.5 * before.overlap_ms
    assert after.overlap_ms_effective == pytest.approx(before.overlap_ms_effective, rel=1e-5)
    losses = measure_losses([folder, tmp_path / "shifted"], [text], context=32)["loss"]
    assert losses[0] == pytest.approx(losses[1], abs=1e-7)


def test_measured_counts_weight_the_rows_of_a_head(run: Run, tiny_models: Path) -> None:
    """Tokens that the text never has count for nothing; frequent ones for most of the weighted overlap."""
    folder = tiny_models / "gpt2-16"
    text = ("--text", tiny_models / "held_out.txt")
    assert run("frequencies", "--tokenizer", folder, *text, "--out", "counts.csv")[0] == 0
    code, _, err = run("heads", folder, "--counts", "counts.csv", "--out", "heads.csv")
    assert code == 0, err
    heads, counts = pd.read_csv("heads.csv").iloc[0], pd.read_csv("counts.csv")
    head = find_head(open_checkpoint(folder)).tensor
    weights = np.zeros(head.shape[0])
    weights[counts["id"]] = counts["count"]
    assert heads["overlap_ms_weighted"] == pytest.approx(mean_square_overlap(read_rows(head), weights), rel=1e-9)
    assert heads["overlap_ms_weighted"] != pytest.approx(heads["overlap_ms"], rel=0.05)
