"""Tests of the theory on heads: the published figure, made-up truths, and the join with losses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalefit.data.datasets import load_dataset
from scalefit.errors import DataError
from scalefit.models import measure_heads, shift_head
from scalefit.models.theory import superposition
from scalefit.models.words import sentence
from scalefit.overlap import welch_bound
from tests.safetensors_files import write_checkpoint

Run = Callable[..., tuple[Any, str, str]]


def test_the_published_figure() -> None:
    test = superposition("llm_heads", "llm_families")
    a = test.exponent
    assert (round(a.value, 2), round(a.se, 2)) == (1.28, 0.22)
    assert a.lo < 1 < a.hi
    prefactors = {x.level: round(x.value) for x in test.random.estimates}
    assert prefactors == {("GPT-2",): 32, ("OPT",): 37, ("Pythia",): 13, ("Qwen2.5",): 26}
    assert all(x.lo > 1 for fit in (test.random, test.welch) if fit for x in fit.estimates)
    assert test.losses is not None
    assert test.losses.partial is not None
    assert len(test.losses.models) == test.losses.partial.models == 21
    assert round(test.losses.partial.value, 2) == -0.24
    # Fisher's z with one variable held: standard error 1/sqrt(21 - 1 - 3)
    z = np.arctanh(test.losses.partial.value)
    ends = np.tanh([z - 1.959964 / np.sqrt(17), z + 1.959964 / np.sqrt(17)])
    assert (test.losses.partial.lo, test.losses.partial.hi) == pytest.approx(ends)
    table = load_dataset("llm_heads")
    bounds = [welch_bound(n, m) for n, m in zip(table["vocab"], table["width"], strict=True)]
    assert test.rows["frame_width"].to_numpy() == pytest.approx(1 / np.array(bounds))
    gap, error = test.losses.difference
    assert gap > 2 * error
    text = str(test)
    for words in (
        "Overlap falls as width to the power of −1.28 ± 0.22",
        "which contains 1.",
        "It is 5.1 to 99 (median 23) times that of random directions, 1/width",
        "all 95% intervals lie above 1, the value of random directions",
        "which are not a property of the model",
        "the loss follows the width (4.0 standard errors)",
        "the partial correlation is −0.24",
    ):
        assert words in text


def test_left_out_errors_are_those_of_a_refit_by_hand() -> None:
    heads, losses = load_dataset("llm_heads"), load_dataset("llm_families")
    test = superposition(heads, losses)
    assert test.losses is not None
    joined = losses.merge(heads[heads["run"] != ""][["run", "overlap_ms"]], on="run")
    run = "opt-6.7b"
    others, inside = joined[joined["run"] != run], joined[joined["run"] == run]
    from scalefit.leastsq import fit

    refit = fit(others, "loss ~ E[family, eval_set] + A/width^a", uncertainty="hc3")
    miss = np.log(inside["loss"] / refit.predict(inside)["predicted"])
    place = test.losses.models.index(run)
    assert test.losses.width_error[place] == pytest.approx(np.sqrt(np.mean(miss**2)), rel=1e-6)


@pytest.mark.parametrize("follows", ["width", "overlap"])
def test_the_law_that_made_the_losses_is_named(follows: str) -> None:
    rng = np.random.default_rng(3)
    width = np.repeat([256, 512, 1024, 2048, 4096], 3)
    overlap = np.exp(rng.normal(0, 0.7, 15)) * 10 / width
    part = 100 / width**0.9 if follows == "width" else 8 * overlap
    runs = [f"m{i}" for i in range(15)]
    heads = pd.DataFrame({"run": runs, "width": width, "overlap_ms": overlap})
    losses = pd.DataFrame({"run": runs, "width": width, "loss": (2 + part) * np.exp(rng.normal(0, 1e-3, 15))})
    test = superposition(heads, losses).losses
    assert test is not None
    assert (test.verdict.kind, test.verdict.threshold) == (follows, 2.0)
    assert f"the loss follows the {follows}" in str(test.verdict)
    assert test.verdict.numbers["difference"] == pytest.approx(np.mean(test.overlap_error - test.width_error))
    assert test.partial is not None
    assert (test.partial.lo > 0) is (follows == "overlap")


def test_prefactors_are_counted_by_whether_their_intervals_contain_1() -> None:
    width = np.tile([64, 128, 256, 512], 2)
    noise = np.exp(0.01 * np.array([1, -1, 1, -1, 1, -1, -1, 1]))
    for factors, kind in (((1, 1), "all"), ((3, 5), "none"), ((1, 4), "some")):
        overlap = np.repeat(factors, 4) / width * noise
        heads = pd.DataFrame({"family": list("aaaabbbb"), "width": width, "overlap_ms_effective": overlap})
        found = superposition(heads).verdict[1]
        assert found.kind == kind
        assert [factor[0] for factor in found.numbers["factors"].values()] == pytest.approx(factors, rel=0.02)


def test_random_heads_are_random(tmp_path: Path) -> None:
    """Gaussian heads measured and tested: exponent and prefactor are 1, and above the bound by what the rows leave."""
    widths = (8, 12, 16, 24, 32, 48)
    folders = [
        write_checkpoint(tmp_path / f"m{m}", {"lm_head.weight": np.random.default_rng(m).standard_normal((900, m))})
        for m in widths
    ]
    heads = measure_heads(folders, out=tmp_path / "heads.csv", family="random")
    test = superposition(tmp_path / "heads.csv")
    assert test.overlap == "overlap_ms_effective"
    assert test.exponent.value == pytest.approx(1, abs=0.01)
    assert test.random["A"].value == pytest.approx(1, abs=0.01)
    assert test.welch is not None
    expected = np.exp(np.mean([-np.log(1 - head.width / 900) for head in heads]))
    assert test.welch["A"].value == pytest.approx(expected, abs=0.01)
    assert "not a property" not in str(test)


def test_the_command(run: Run, tmp_path: Path) -> None:
    code, out, err = run("superposition", "llm_heads", "--losses", "llm_families", "--plot", tmp_path / "p.svg")
    assert code == 0, err
    assert "a                        1.28 ± 0.22" in out
    assert (tmp_path / "p.svg").read_bytes().startswith(b"<?xml")
    code, out, err = run("superposition", "llm_heads", "--json")
    record = json.loads(out)
    assert (record["heads"], record["losses"]) == (25, None)


@pytest.mark.parametrize(
    ("heads", "losses", "words"),
    [
        (("run", "width"), None, "has no column 'overlap_ms'"),
        (("run", "width", "overlap_ms"), ("run",), "has no column 'loss'"),
        (("width", "overlap_ms"), ("run", "loss"), "has no column 'run'"),
        (("run", "width", "overlap_ms"), ("other", "loss"), "0 models of .* at least 6 are needed"),
        (("twice", "width", "overlap_ms"), ("run", "loss"), "has two heads of the model 'm0'"),
    ],
)
def test_tables_that_cannot_be_used(heads: tuple[str, ...], losses: tuple[str, ...] | None, words: str) -> None:
    columns = {
        "run": [f"m{i}" for i in range(8)], "width": [2**i for i in range(3, 11)],
        "loss": [3 + 0.5**i for i in range(8)],
        "overlap_ms": [2.0**-i for i in range(3, 11)],
    }  # fmt: skip
    table = pd.DataFrame({name: columns.get(name, [f"x{i}" for i in range(8)]) for name in heads})
    table = table.rename(columns={"twice": "run"})
    if "twice" in heads:
        table["run"] = ["m0", "m0", *columns["run"][2:]]
    other = None
    if losses is not None:
        other = pd.DataFrame({name: columns.get(name, [f"y{i}" for i in range(8)]) for name in losses})
        other = other.rename(columns={"other": "run"})
    with pytest.raises(DataError, match=words):
        superposition(table, other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": "wide"}, "row 1, column 'width': 'wide' is not a number"),
        ({"width": 8}, "column 'width' is constant"),
        ({"overlap_ms": 0.0}, "row 1, column 'overlap_ms': zero"),
        ({"family": list("abcdefgh")}, "rows cannot determine the 9 parameters"),
    ],
)
def test_values_that_cannot_be_used(change: dict[str, Any], words: str) -> None:
    table = pd.DataFrame({"width": [2**i for i in range(3, 11)], "overlap_ms": [2.0**-i for i in range(3, 11)]})
    with pytest.raises(DataError, match=words):
        superposition(table.assign(**change))


def test_an_exponent_without_an_answer_says_so_first(run: Run, tmp_path: Path) -> None:
    heads = pd.DataFrame({"family": list("aabb"), "width": [8, 16, 8, 32], "overlap_ms": [0.2, 0.1, 0.15, 0.05]})
    first, second, *_ = superposition(heads).verdict
    assert first.kind == "no answer"
    assert str(first).startswith("The exponent has no answer yet: An exponent is not identified")
    a = superposition(heads).exponent
    assert second.record()["interval"] == [a.lo, a.hi]
    heads.to_csv(tmp_path / "heads.csv", index=False)
    code, out, _ = run("superposition", tmp_path / "heads.csv")
    assert code == 1
    assert "no answer yet" in out


def test_runs_of_one_name_in_two_families_are_two_models() -> None:
    rng = np.random.default_rng(5)
    family, run_name, width = (
        np.repeat(["a", "b"], 5),
        np.tile([f"m{i}" for i in range(5)], 2),
        np.tile(2 ** np.arange(5, 10), 2),
    )
    heads = pd.DataFrame(
        {"family": family, "run": run_name, "width": width, "overlap_ms": np.exp(rng.normal(0, 0.5, 10)) / width}
    )
    loss = np.where(family == "a", 2.0, 3.0) + 20 / width * np.exp(rng.normal(0, 0.01, 10))
    test = superposition(heads, heads[["family", "run", "width"]].assign(loss=loss)).losses
    assert test is not None
    assert test.models == tuple(f"{label}/{name}" for label, name in zip(family, run_name, strict=True))
    assert len(test.by_width.rows) == 10


def test_effective_rows_under_a_layer_norm_are_random_in_one_dimension_less(tmp_path: Path) -> None:
    folders = [
        write_checkpoint(
            tmp_path / f"m{m}",
            {
                "lm_head.weight": np.random.default_rng(m).standard_normal((3000, m)),
                "transformer.ln_f.weight": np.ones(m), "transformer.ln_f.bias": np.zeros(m),
            },
            model_type="gpt2", tie_word_embeddings=False,
        )
        for m in (8, 12, 16, 24, 32, 48, 64)
    ]  # fmt: skip
    heads = measure_heads(folders, out=tmp_path / "heads.csv", family="random")
    assert {head.final_norm for head in heads} == {"LayerNorm"}
    test = superposition(tmp_path / "heads.csv")
    assert test.exponent.value == pytest.approx(1, abs=0.01)
    assert test.random["A"].value == pytest.approx(1, abs=0.01)
    assert "It is 1.0 times that of random directions, 1/effective width" in str(test)
    times = sentence(heads[0]).split(" times after")[0].rsplit(" ", 1)[1]
    assert float(times) == pytest.approx(1, abs=0.01)


def test_a_large_error_of_logs_is_a_factor() -> None:
    test = superposition("llm_heads", "llm_families").losses
    assert test is not None
    large = test._replace(overlap_error=np.linspace(3.0, 3.2, len(test.models)))
    assert "by a factor of 22 on average" in str(large.verdict)
    assert "%" in str(large.verdict)


# A vector added to every row


@pytest.fixture
def untied(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    weights = {
        "lm_head.weight": rng.standard_normal((60, 8)).astype("<f4"), "model.norm.weight": np.ones(8, "<f4"),
        "model.embed_tokens.weight": rng.standard_normal((60, 8)).astype("<f4"),
    }  # fmt: skip
    return write_checkpoint(
        tmp_path / "model", weights, model_type="llama", tie_word_embeddings=False, rms_norm_eps=1e-6
    )


def test_a_shifted_head_has_another_raw_overlap_and_the_same_effective_one(
    untied: Path, tmp_path: Path, run: Run
) -> None:
    code, out, err = run("shift-head", untied, "--out", tmp_path / "moved", "--size", "2")
    assert code == 0, err
    assert "is added to every row of lm_head.weight" in out
    before, after = measure_heads([untied, tmp_path / "moved"])
    assert after.overlap_ms > 3 * before.overlap_ms
    assert after.overlap_ms_effective == pytest.approx(before.overlap_ms_effective, rel=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "moved"]


def test_a_shifted_head_gives_the_same_loss(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(2)
    config = transformers.GPTNeoXConfig(
        vocab_size=90, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    transformers.GPTNeoXForCausalLM(config).save_pretrained(tmp_path / "before")
    shift_head(tmp_path / "before", tmp_path / "after", size=3)
    ids = torch.randint(0, 90, (4, 24))
    losses = []
    for name in ("before", "after"):
        model = transformers.GPTNeoXForCausalLM.from_pretrained(tmp_path / name, local_files_only=True).double().eval()
        with torch.no_grad():
            losses.append(float(model(ids, labels=ids).loss))
    before, after = measure_heads([tmp_path / "before", tmp_path / "after"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-7)
    assert after.overlap_ms > 5 * before.overlap_ms
    assert after.overlap_ms_effective == pytest.approx(before.overlap_ms_effective, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("tied", "is the embedding too"),
        ("half", "is stored as F16"),
        ("there", "exists already"),
        ("capped", "are soft-capped"),
    ],
)
def test_heads_that_are_not_shifted(untied: Path, tmp_path: Path, run: Run, change: str, words: str) -> None:
    W = np.random.default_rng(0).standard_normal((60, 8)).astype("<f2" if change == "half" else "<f4")
    if change == "tied":
        write_checkpoint(untied, {"model.embed_tokens.weight": W}, tie_word_embeddings=True)
    elif change == "half":
        write_checkpoint(untied, {"lm_head.weight": W}, tie_word_embeddings=False)
    elif change == "capped":
        inner = {"final_logit_softcapping": 30.0}
        write_checkpoint(untied, {"lm_head.weight": W}, tie_word_embeddings=False, text_config=inner)
        (head,) = measure_heads([untied])
        assert any("not what its softmax sees" in remark for remark in head.remarks)
    else:
        (tmp_path / "out").mkdir()
    code, out, err = run("shift-head", untied, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert words in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"] + (["out"] if change == "there" else [])
