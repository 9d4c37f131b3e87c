"""Losses of checkpoints: known answers, each token once, resuming, silence, and bad input in words."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalefit.errors import DataError, MissingExtra
from scalefit.models.folder import run_names
from scalefit.models.losses import COLUMNS, measure_losses, score_windows
from scalefit.models.windows import cut_windows
from scalefit.options import Scoring

torch = pytest.importorskip("torch", reason="needs the extra models")
transformers = pytest.importorskip("transformers", reason="needs the extra models")
tokenizers = pytest.importorskip("tokenizers", reason="needs the extra models")

from tests import tiny_models as tiny  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
Run = Callable[..., tuple[int, str, str]]
SHORT = Scoring(context=32, stride=16, max_tokens=300)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with tiny.one_thread():
        yield


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(tiny.write_text(150, seed=4).encode())
    return path


@pytest.fixture
def copied(tiny_models: Path, tmp_path: Path) -> Path:
    """A checkpoint that a test may damage."""
    return Path(shutil.copytree(tiny_models / "gpt2-8", tmp_path / "copied"))


def saved(model: Any, folder: Path, tokenizer: Path) -> Path:
    """A folder with a model and the tokenizer of another."""
    tiny.save_model(model, folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder / name)
    return folder


# Each token once


@given(st.integers(1, 300), st.integers(2, 40), st.data())
def test_each_token_is_scored_once_and_read_where_it_must_be(n: int, context: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, context - 1))
    bos = data.draw(st.booleans())
    if n < 2 and not bos:
        with pytest.raises(DataError, match="nothing to predict"):
            cut_windows(n, context, stride, bos=bos)
        return
    windows = cut_windows(n, context, stride, bos=bos)
    scored = [place for window in windows for place in range(window.first, window.end)]
    assert scored == list(range(0 if bos else 1, n))
    for window in windows:
        assert window.end - window.begin + bos <= context
        assert window.begin + (not bos) <= window.first < window.end
    for window in windows[1:]:  # what a small stride is for
        assert window.first - window.begin >= context - stride - bos


@pytest.mark.parametrize(
    ("context", "stride", "words"),
    [
        (8, 8, "stride is 8 and the context 8; with a stride above 7"),
        (1, 1, "context is 1; it must be at least 2"),
        (8, 0, "stride is 0; it must be at least 1"),
    ],
)
def test_a_stride_that_leaves_tokens_out_is_refused(context: int, stride: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        cut_windows(100, context, stride, bos=False)


# Known answers


def by_hand(model: Any, ids: list[int], context: int, stride: int, bos: int | None) -> float:
    """The loss of each token by itself, in float64 from the weights on, added up in plain Python."""
    length = context - (bos is not None)
    losses, begin = [], 0
    for place in range(0 if bos is not None else 1, len(ids)):
        if place >= begin + length:
            begin += stride
        before = ([] if bos is None else [bos]) + ids[begin:place]
        with torch.no_grad():
            logits = [float(logit) for logit in model(torch.tensor([before]), use_cache=False).logits[0, -1]]
        top = max(logits)
        losses.append(top + math.log(math.fsum(math.exp(logit - top) for logit in logits)) - logits[ids[place]])
    return math.fsum(losses) / len(losses)


@pytest.mark.parametrize("name", ["gpt2-16", "gpt_neox-16", "llama-16"])
def test_the_loss_is_that_of_a_sum_written_by_hand(tiny_models: Path, text: Path, name: str) -> None:
    folder = tiny_models / name
    (row,) = measure_losses([folder], [text], Scoring(context=24, stride=10, max_tokens=90)).to_dict("records")
    with tiny.quiet():
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    ids = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(
        text.read_bytes().decode(), add_special_tokens=False
    )
    bos = 0 if name.startswith("llama") else None
    assert row["bos"] == ("no" if bos is None else "yes")
    expected = by_hand(model, ids.ids[:90], 24, 10, bos)
    windows = cut_windows(90, 24, 10, bos=bos is not None)
    exact = score_windows(model, np.array(ids.ids[:90]), windows, bos=bos, batch=2).sum() / row["tokens_scored"]
    assert exact == pytest.approx(expected, abs=1e-12)
    assert row["loss"] == pytest.approx(expected, abs=1e-7)  # the model itself computes in float32
    assert row["tokens_scored"] == 90 - (bos is None)
    start = ids.offsets[0 if bos is not None else 1][0]
    assert row["bytes"] == len(text.read_bytes().decode()[start : ids.offsets[89][1]].encode())
    assert row["bits_per_byte"] == pytest.approx(expected * row["tokens_scored"] / row["bytes"] / math.log(2), abs=1e-7)


def test_a_head_of_zeros_gives_the_log_of_the_vocabulary(tiny_models: Path, tmp_path: Path, text: Path) -> None:
    model = tiny.new_model(tiny.config("llama", 8))
    model.lm_head.weight.data.zero_()
    folder = saved(model, tmp_path / "zero", tiny_models / "llama-8")
    (row,) = measure_losses([folder], [text], SHORT).to_dict("records")
    assert row["loss"] == pytest.approx(math.log(tiny.VOCAB), abs=1e-7)
    assert row["loss_se"] < 1e-9


def test_a_table_of_pairs_written_as_weights_gives_its_entropy() -> None:
    """One-hot embeddings, layers that add nothing, log p(next | token) as the head; RMSNorm brings a factor sqrt(V)."""
    rng = np.random.default_rng(5)
    size = 12
    chances = rng.dirichlet(np.full(size, 0.4), size) * 0.95 + 0.05 / size
    settings = tiny.config("llama", size, vocab=size, depth=1, rms_norm_eps=1e-12, max_position_embeddings=512)
    model = tiny.new_model(settings)
    for name, value in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            value.data.zero_()
    model.model.embed_tokens.weight.data = torch.eye(size)
    model.model.norm.weight.data.fill_(1.0)
    model.lm_head.weight.data = torch.tensor(np.log(chances).T / math.sqrt(size), dtype=torch.float32)
    ids = [0]
    for _ in range(20_000):
        ids.append(int(rng.choice(size, p=chances[ids[-1]])))
    text = np.array(ids)
    windows = cut_windows(len(text), 400, 399, bos=False)
    loss = score_windows(model, text, windows).sum() / (len(text) - 1)
    assert loss == pytest.approx(-np.log(chances[text[:-1], text[1:]]).mean(), abs=1e-6)
    values, vectors = np.linalg.eig(chances.T)
    stationary = np.abs(np.real(vectors[:, np.argmax(np.real(values))]))
    entropy = -(stationary / stationary.sum()) @ (chances * np.log(chances)).sum(axis=1)
    assert loss == pytest.approx(entropy, abs=4 * np.log(chances[text[:-1], text[1:]]).std() / math.sqrt(len(text)))


def test_a_vector_added_to_all_rows_of_the_head_changes_no_loss(tiny_models: Path, tmp_path: Path, text: Path) -> None:
    with tiny.quiet():
        model = transformers.AutoModelForCausalLM.from_pretrained(tiny_models / "llama-16")
    with torch.no_grad():
        model.lm_head.weight += torch.linspace(-1, 1, 16)
    moved = saved(model, tmp_path / "moved", tiny_models / "llama-16")
    table = measure_losses([tiny_models / "llama-16", moved], [text], SHORT)
    assert table["loss"][0] == pytest.approx(table["loss"][1], abs=1e-7)


@pytest.mark.parametrize("batch", [2, 3, 64])
def test_windows_scored_together_lose_as_much_as_alone(tiny_models: Path, text: Path, batch: int) -> None:
    def losses(size: int) -> pd.DataFrame:
        return measure_losses(
            [tiny_models / "gpt_neox-16"], [text], Scoring(context=32, stride=16, max_tokens=300, batch=size)
        )

    alone, together = losses(1), losses(batch)
    assert together["loss"][0] == pytest.approx(alone["loss"][0], abs=1e-7)
    assert together["loss_se"][0] == pytest.approx(alone["loss_se"][0], abs=1e-7)


def test_more_context_and_more_precision_do_what_they_should(tiny_models: Path) -> None:
    folder, text = [tiny_models / "llama-64"], [tiny_models / "held_out.txt"]
    blocks = measure_losses(folder, text, Scoring(context=8))["loss"][0]
    assert measure_losses(folder, text, Scoring(context=48, stride=8))["loss"][0] < blocks - 0.02
    rough = measure_losses(folder, text, Scoring(context=8, dtype="bfloat16"))["loss"][0]
    assert 0 < abs(rough - blocks) < 0.01


def test_the_error_is_that_of_independent_windows(tiny_models: Path) -> None:
    """Its square is the variance of the mean over windows, which here all have as many tokens."""
    (row,) = measure_losses(
        [tiny_models / "gpt2-8"], [tiny_models / "held_out.txt"], Scoring(context=17, max_tokens=1601)
    ).to_dict("records")
    with tiny.quiet():
        model = transformers.AutoModelForCausalLM.from_pretrained(tiny_models / "gpt2-8")
    text = (tiny_models / "held_out.txt").read_bytes().decode()
    ids = np.array(tokenizers.Tokenizer.from_file(str(tiny_models / "gpt2-8/tokenizer.json")).encode(text).ids[:1601])
    means = score_windows(model, ids, cut_windows(1601, 17, 16, bos=False)) / 16
    assert (row["windows"], row["tokens_scored"]) == (100, 1600)
    assert row["loss_se"] == pytest.approx(means.std(ddof=1) / 10, rel=1e-6)


def test_sizes_are_those_of_the_configuration(tiny_models: Path, text: Path) -> None:
    names = [f"{family}-16" for family in tiny.FAMILIES]
    table = measure_losses([tiny_models / name for name in names], [text], SHORT).set_index("run")
    block = 12 * 16**2 + 13 * 16  # of GPT-2: attention, feed-forward with four times the width, two norms
    gpt2 = 2 * block + 2 * 16
    assert table["params_non_embedding"]["gpt2-16"] == gpt2
    assert table["params"]["gpt2-16"] == gpt2 + (tiny.VOCAB + tiny.CONTEXT) * 16  # the head is the embedding
    for name in ("llama-16", "gpt_neox-16"):
        assert table["params"][name] - table["params_non_embedding"][name] == 2 * tiny.VOCAB * 16
    assert set(table["width"]) == {16}
    assert set(table["depth"]) == {2}
    assert set(table["vocab"]) == {tiny.VOCAB}
    assert list(table["family"]) == list(tiny.FAMILIES)


def test_unknown_tokens_are_counted(tiny_models: Path, copied: Path, tmp_path: Path) -> None:
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<unk>": 0, "a": 1, "b": 2}, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(copied / "tokenizer.json"))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}
    (copied / "tokenizer_config.json").write_text(json.dumps(about))
    (tmp_path / "abc.txt").write_text("a b c a é b")
    (row,) = measure_losses([copied], [tmp_path / "abc.txt"], SHORT).to_dict("records")
    assert (row["unknown"], row["tokens_scored"], row["bytes"]) == (2, 5, 10)


# Tokens


def test_a_tokenizer_is_taken_as_its_file_has_it(tiny_models: Path, tmp_path: Path, text: Path) -> None:
    """transformers has rules of its own for tokens of Qwen, whatever the file says."""
    settings = transformers.Qwen2Config(
        vocab_size=tiny.VOCAB, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    folder = saved(tiny.new_model(settings), tmp_path / "qwen", tiny_models / "gpt2-8")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    ids = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text.read_bytes().decode()).ids
    table = measure_losses([folder], [text], Scoring(context=32))
    assert table["tokens_scored"][0] == len(ids) - 1


def test_a_tokenizer_of_two_files_gives_the_tokens_of_one(tiny_models: Path, tmp_path: Path, text: Path) -> None:
    whole = Path(shutil.copytree(tiny_models / "gpt2-8", tmp_path / "whole"))
    tokens = tokenizers.ByteLevelBPETokenizer()
    tokens.train_from_iterator([text.read_bytes().decode()], vocab_size=300, show_progress=False)
    tokens.save(str(whole / "tokenizer.json"))
    parts = Path(shutil.copytree(whole, tmp_path / "parts"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (parts / name).unlink()
    tokens.save_model(str(parts))
    table = measure_losses([whole, parts], [text], SHORT)
    assert table["loss"][0] == table["loss"][1]
    (parts / "merges.txt").unlink()
    with pytest.raises(DataError, match="holds no tokenizer"):
        measure_losses([parts], [text], SHORT)


@pytest.mark.parametrize(
    ("family", "add", "choice", "used"),
    [
        ("llama", None, "auto", "yes"),
        ("gpt2", None, "auto", "no"),
        ("gpt2", True, "auto", "yes"),
        ("llama", False, "auto", "no"),
        ("llama", None, "no", "no"),
        ("gpt2", None, "yes", "yes"),
    ],
)
def test_a_beginning_is_marked_as_the_tokenizer_says(
    tiny_models: Path, tmp_path: Path, text: Path, family: str, add: bool | None, choice: str, used: str
) -> None:
    folder = Path(shutil.copytree(tiny_models / f"{family}-8", tmp_path / "own"))
    if add is not None:
        edited(folder, "tokenizer_config.json", add_bos_token=add)
    (row,) = measure_losses([folder], [text], Scoring(context=32, max_tokens=50, bos=choice)).to_dict("records")
    assert (row["bos"], row["tokens_scored"]) == (used, 50 if used == "yes" else 49)


def test_a_beginning_that_has_no_token_is_refused(copied: Path, text: Path) -> None:
    edited(copied, "tokenizer_config.json", bos_token=None)
    with pytest.raises(DataError, match="has no token for the beginning of a text; use bos=no"):
        measure_losses([copied], [text], Scoring(context=32, bos="yes"))


# Resuming


def test_a_run_that_is_cut_short_goes_on_to_the_same_bytes(tiny_models: Path, text: Path, tmp_path: Path) -> None:
    folders = [tiny_models / f"gpt2-{width}" for width in tiny.WIDTHS]
    measure_losses(folders, [text, tiny_models / "held_out.txt"], SHORT, out=tmp_path / "whole.csv")
    scored: list[str] = []

    def stop(stage: str, done: int, total: int) -> None:
        if " on " in stage and stage not in scored:
            if len(scored) == 3:
                raise KeyboardInterrupt
            scored.append(stage)

    with pytest.raises(KeyboardInterrupt):
        measure_losses(folders, [text, tiny_models / "held_out.txt"], SHORT, out=tmp_path / "cut.csv", progress=stop)
    assert len(pd.read_csv(tmp_path / "cut.csv")) == 3
    again: list[str] = []
    table = measure_losses(
        folders, [text, tiny_models / "held_out.txt"], SHORT, out=tmp_path / "cut.csv",
        progress=lambda stage, *_: again.append(stage),
    )  # fmt: skip
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not set(scored) & set(again)
    assert list(table.columns) == list(COLUMNS)
    pd.testing.assert_frame_equal(table, measure_losses(folders, [text, tiny_models / "held_out.txt"], SHORT))
    assert not list(tmp_path.glob("*.partial"))


def test_what_is_in_the_table_stays_and_another_setting_is_another_row(tiny_models: Path, tmp_path: Path) -> None:
    text, out = [tiny_models / "held_out.txt"], tmp_path / "runs.csv"
    first = measure_losses([tiny_models / "gpt2-8"], text, SHORT, out=out, family="ours")
    other = Scoring(context=16, stride=8, max_tokens=300)
    measure_losses([tiny_models / "gpt2-8"], text, other, out=out)
    measure_losses([tiny_models / "gpt2-16"], text, SHORT, out=out)
    kept = pd.read_csv(out)
    assert list(zip(kept["run"], kept["context"], kept["family"], strict=True)) == [
        ("gpt2-8", 32, "ours"), ("gpt2-8", 16, "gpt2"), ("gpt2-16", 32, "gpt2"),
    ]  # fmt: skip
    measure_losses([tiny_models / "gpt2-8"], text, SHORT, out=out, family="theirs")
    kept = pd.read_csv(out)
    assert list(kept["family"]) == ["theirs", "gpt2", "gpt2"]
    assert kept["loss"][0] == first["loss"][0]


@pytest.mark.parametrize("change", ["weights", "config", "tokenizer", "text"])
def test_a_change_in_what_is_measured_is_measured_again(copied: Path, text: Path, tmp_path: Path, change: str) -> None:
    out = tmp_path / "runs.csv"
    measure_losses([copied], [text], SHORT, out=out)
    if change == "weights":
        with tiny.quiet():
            model = transformers.AutoModelForCausalLM.from_pretrained(copied)
        with torch.no_grad():
            model.transformer.wte.weight[5] += 1
        tiny.save_model(model, copied)
    elif change == "text":
        text.write_bytes(text.read_bytes() + b"more")
    else:
        path = copied / {"config": "config.json", "tokenizer": "tokenizer_config.json"}[change]
        path.write_text(json.dumps(json.loads(path.read_text()) | {"note": 1}))
    measure_losses([copied], [text], SHORT, out=out)
    assert len(pd.read_csv(out)) == 2


@pytest.mark.parametrize(
    "change", [{"context": 31}, {"stride": 15}, {"max_tokens": 299}, {"bos": "yes"}, {"dtype": "bfloat16"}]
)
def test_a_change_in_how_it_is_measured_is_measured_again(
    tiny_models: Path, text: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    first, again = (
        measure_losses([tiny_models / "gpt2-8"], [text], SHORT, out=tmp_path / "runs.csv", **options)["loss"][0]
        for options in ({}, change)
    )
    assert first != again
    assert list(pd.read_csv(tmp_path / "runs.csv")["loss"]) == [first, again]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_run_goes_on_to_the_same_bytes(tiny_models: Path, tmp_path: Path) -> None:
    folders = [str(tiny_models / f"llama-{width}") for width in tiny.WIDTHS]

    def start(out: str) -> subprocess.Popen[bytes]:
        options = ("--text", tiny_models / "held_out.txt", "--context", "16", "--stride", "3", "--out", out)
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "scalefit", "losses", *folders, *map(str, options)],
            cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    process = start("cut.csv")
    until = time.monotonic() + 240
    while not (tmp_path / "cut.csv").exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 1 <= len(pd.read_csv(tmp_path / "cut.csv")) <= 4
    for name in ("cut.csv", "whole.csv"):
        process = start(name)
        complaint = process.communicate(timeout=240)[1]
        assert process.returncode == 0, complaint
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


# Files of other kinds


def test_shards_and_pickles_lose_as_much_as_one_safe_file(tiny_models: Path, text: Path, tmp_path: Path) -> None:
    name = tiny_models / "gpt_neox-16"
    with tiny.quiet():
        model = transformers.AutoModelForCausalLM.from_pretrained(name)
    shards = saved(model, tmp_path / "shards", name)
    (shards / "model.safetensors").unlink()
    tiny.save_model(model, shards, max_shard_size="20KB")
    assert len(list(shards.glob("*.safetensors"))) > 2
    pickle = saved(model, tmp_path / "pickle", name)
    (pickle / "model.safetensors").unlink()
    torch.save(model.state_dict(), pickle / "pytorch_model.bin")
    table = measure_losses([name, shards, pickle], [text], SHORT)
    assert set(table["loss"]) == {table["loss"][0]}


class Payload:
    """A pickle that runs code when it is loaded carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.mark),))


def test_a_pickle_with_code_is_refused_and_does_nothing(copied: Path, text: Path, tmp_path: Path) -> None:
    (copied / "model.safetensors").unlink()
    torch.save({"x": Payload(tmp_path / "was_here")}, copied / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"the weights in .*copied' are a pickle with something other than") as refused:
        measure_losses([copied], [text], SHORT)
    assert "nothing in it has been run. Use the checkpoint as safetensors" in str(refused.value)
    assert "weights_only" not in str(refused.value)  # the advice of torch is to run the code
    assert not (tmp_path / "was_here").exists()


def test_a_pickle_of_a_whole_model_is_refused_in_the_same_words(copied: Path, text: Path) -> None:
    torch.save(transformers.AutoModelForCausalLM.from_pretrained(copied), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"something other than tensors in it.*Use the checkpoint as safetensors"):
        measure_losses([copied], [text], SHORT)


@pytest.mark.parametrize("damage", ["half", "half of an old one", "text", "list"])
def test_a_file_that_is_no_pickle_of_tensors_is_refused(copied: Path, text: Path, damage: str) -> None:
    weights = copied / "pytorch_model.bin"
    tensors = {"lm_head.weight": torch.zeros(90, 8)}
    torch.save([1, 2] if damage == "list" else tensors, weights, _use_new_zipfile_serialization="old" not in damage)
    whole = weights.read_bytes()
    if damage != "list":
        weights.write_bytes(b"hello" if damage == "text" else whole[: len(whole) // 2])
    (copied / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"copied' are not a complete pickle of named tensors") as refused:
        measure_losses([copied], [text], SHORT)
    assert "fetch them again, or use the checkpoint as safetensors" in str(refused.value)


@pytest.mark.parametrize("known", [True, False])
def test_code_of_a_checkpoint_is_never_run(copied: Path, text: Path, tmp_path: Path, known: bool) -> None:
    mark = tmp_path / "was_here"
    (copied / "own.py").write_text(f"import os\nos.mkdir({str(mark)!r})\n")
    about = json.loads((copied / "config.json").read_text())
    about["auto_map"] = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    if known:  # transformers has the architecture, and the code is not needed
        (copied / "config.json").write_text(json.dumps(about))
        assert len(measure_losses([copied], [text], SHORT)) == 1
    else:
        (copied / "config.json").write_text(json.dumps(about | {"model_type": "own"}))
        with pytest.raises(DataError, match=r"needs Python code that comes with the checkpoint .* never run here"):
            measure_losses([copied], [text], SHORT)
    assert not mark.exists()


def test_nothing_is_asked_of_the_network(tiny_models: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        asked.append(arguments)
        raise OSError("no network here")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for family in tiny.FAMILIES:
        measure_losses([tiny_models / f"{family}-8"], [text], SHORT)
    assert asked == []


# Bad input


def edited(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def without_a_layer(folder: Path) -> None:
    edited(folder, "config.json", n_layer=1)


def with_an_extra_layer(folder: Path) -> None:
    edited(folder, "config.json", n_layer=3)


def as_pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


def cut(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def with_nan(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["transformer.wte.weight"][7, 3] = math.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def with_large_vocabulary(folder: Path) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens([".\n"])
    tokenizer.save(str(folder / "tokenizer.json"))


def as_encoder(folder: Path) -> None:
    settings = transformers.BertConfig(
        vocab_size=tiny.VOCAB, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64,
    )  # fmt: skip
    with tiny.quiet():
        transformers.BertForMaskedLM(settings).save_pretrained(folder)


def as_translator(folder: Path) -> None:
    edited(folder, "config.json", model_type="t5")


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (without("config.json"), "holds no config.json; it names the architecture"),
    "no weights": (without("model.safetensors"), "holds no weights; one of these is needed: model.safetensors"),
    "no tokenizer": (without("tokenizer.json"), "holds no tokenizer; copy that of the model into it"),
    "a pointer": (as_pointer, "is a pointer of Git LFS and not the file; fetch the file with: git lfs pull"),
    "cut weights": (cut, "the weights in '{folder}' cannot be used"),
    "NaN": (with_nan, "the loss of copied on text is not finite"),
    "a layer too few": (without_a_layer, "have no use in this architecture for transformer.h.1"),
    "a layer too many": (with_an_extra_layer, "the weights in '{folder}' lack transformer.h.2"),
    "a larger tokenizer": (with_large_vocabulary, "the tokenizer of copied gives token 400, and the model has 400"),
    "an encoder": (as_encoder, "sees the tokens that come after (bert, an encoder?)"),
    "a translator": (as_translator, "is of an architecture that does not predict the next token (t5)"),
    "no architecture": (lambda folder: edited(folder, "config.json", model_type=None), "has no model_type"),
    "a new architecture": (
        lambda folder: edited(folder, "config.json", model_type="gpt9"), "transformers knows no architecture 'gpt9'"
    ),
    "quantised": (
        lambda folder: edited(folder, "config.json", quantization_config={"quant_method": "gptq"}),
        "are quantised (gptq), which changes the loss",
    ),
    "an adapter": (lambda folder: (folder / "adapter_config.json").write_text("{}"), "holds an adapter; merge it"),
    "a broken config": (lambda folder: (folder / "config.json").write_text("{"), "config.json' cannot be read"),
    "a broken tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "is not a tokenizer"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(DAMAGES))
def test_a_damaged_checkpoint_is_refused_in_words(run: Run, copied: Path, text: Path, name: str) -> None:
    damage, words = DAMAGES[name]
    damage(copied)
    code, out, err = run("losses", copied, "--text", text, "--out", "runs.csv", "--context", 32)
    assert (code, out) == (2, "")
    assert words.replace("{folder}", str(copied)) in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not Path("runs.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--context", "65"], "context is 65, and gpt2-8 has been made for at most 64 positions"),
        (["--context", "8", "--stride", "8"], "stride is 8 and the context 8"),
        (["--context", "8", "--device", "tpu"], "device is 'tpu'; did you mean 'cpu'? Choices: cpu, cuda"),
        (["--context", "8", "--dtype", "float16"], "dtype is 'float16'; did you mean 'bfloat16'?"),
        (["--context", "8", "--bos", "maybe"], "bos is 'maybe'"),
        (["--context", "8", "--batch", "0"], "batch is 0; it must be at least 1"),
        (["--context", "8", "--max-tokens", "1"], "max_tokens is 1; it must be at least 2"),
        (["--context", "8", "--text", "empty.txt"], "'empty.txt' is empty; give a file of text"),
        (["--context", "8", "--text", "latin.txt"], "'latin.txt' is not UTF-8 (byte 2); convert it"),
        (["--context", "8", "--text", "no.txt"], "'no.txt' cannot be read: No such file"),
        (["--context", "8", "--text", "one.txt"], "'one.txt' is 1 token for gpt2-8; at least 2 are needed"),
        (["--context", "8", "--text", "sub/text.txt"], "two texts are called 'text'"),
    ],
)  # fmt: skip
def test_an_option_or_a_text_that_cannot_be_used_is_refused(
    run: Run, tiny_models: Path, text: Path, options: list[str], words: str
) -> None:
    Path("empty.txt").touch()
    Path("latin.txt").write_bytes("né".encode("latin-1"))
    Path("one.txt").write_text("k")
    Path("sub").mkdir()
    shutil.copy(text, "sub/text.txt")
    texts = [] if "one.txt" in options else ["--text", text]
    code, out, err = run("losses", tiny_models / "gpt2-8", *texts, "--out", "runs.csv", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert not Path("runs.csv").exists()


def test_a_file_that_is_something_else_is_not_written_over(run: Run, tiny_models: Path, text: Path) -> None:
    Path("runs.csv").write_text("run,loss\na,1\n")
    command = ("losses", tiny_models / "gpt2-8", "--text", text, "--context", 32, "--out", "runs.csv")
    code, _, err = run(*command)
    assert code == 2
    assert "'runs.csv' exists and is not a table of losses; give another file as out" in err
    assert Path("runs.csv").read_text() == "run,loss\na,1\n"


@pytest.mark.parametrize("name", ["text.txt", "copied/config.json", "copied/model.safetensors"])
def test_an_input_is_not_written_over(run: Run, copied: Path, text: Path, tmp_path: Path, name: str) -> None:
    mine = tmp_path / "text.txt"
    mine.exists() or shutil.copy(text, mine)
    before = (tmp_path / name).read_bytes()
    code, out, err = run("losses", copied, "--text", mine, "--context", 32, "--out", tmp_path / name)
    assert (code, out) == (2, "")
    assert "is an input of this command and would be written over; name another file" in err
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("path", ["nowhere", "text.txt"])
def test_a_place_without_a_checkpoint_is_refused(run: Run, text: Path, path: str) -> None:
    code, _, err = run("losses", path, "--text", text, "--out", "runs.csv")
    assert code == 2
    assert "give the folder of a checkpoint, with config.json, weights and a tokenizer" in err


def test_a_gpu_that_is_not_there_is_refused(tiny_models: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DataError, match="torch finds no CUDA device here; use cpu"):
        measure_losses([tiny_models / "gpt2-8"], [text], Scoring(context=32, device="cuda"))


def test_memory_that_is_not_enough_is_said(tiny_models: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "logsumexp", full)
    with pytest.raises(DataError, match="not enough memory on cpu for 5 windows of 32 tokens; give a smaller batch"):
        measure_losses([tiny_models / "gpt2-8"], [text], Scoring(context=32, batch=5))


@pytest.mark.parametrize("library", ["torch", "transformers", "tokenizers"])
def test_without_the_extra_its_name_is_given(
    tiny_models: Path, text: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r'pip install "\.\[models\]"'):
        measure_losses([tiny_models / "gpt2-8"], [text], SHORT)


# The verb


def test_the_verb_prints_a_table_and_writes_it(run: Run, tiny_models: Path) -> None:
    folders = [tiny_models / "gpt2-8", tiny_models / "gpt2-64"]
    command = ("losses", *folders, "--text", tiny_models / "held_out.txt", "--context", 32, "--out", "runs.csv")
    code, out, err = run(*command)
    assert (code, err) == (0, "")
    assert "gpt2-64   held_out      64      129\u202f792" in out
    assert "2 rows are in runs.csv; errors are over windows of the text" in out
    table = pd.read_csv("runs.csv")
    assert list(table.columns) == list(COLUMNS)
    code, again, _ = run(*command)
    assert again == out
    code, out, err = run(*command, "--json")
    assert (code, err) == (0, "")
    records = json.loads(out)["rows"]
    assert [record["loss"] for record in records] == pytest.approx(table["loss"], rel=1e-12)
    assert records[0]["max_tokens"] is None


def test_rows_of_earlier_calls_are_pointed_out(run: Run, tiny_models: Path, text: Path) -> None:
    command = ("losses", tiny_models / "gpt2-8", "--text", text, "--out", "runs.csv", "--context")
    assert run(*command, 32)[2] == ""
    code, out, err = run(*command, 16)
    assert code == 0
    assert "1 row is in runs.csv" in out
    assert "runs.csv has 1 more from earlier calls; where these differ in context" in err
    assert "--where 'context == 16'" in err


def test_tokens_of_different_kinds_are_pointed_out(run: Run, tiny_models: Path, copied: Path, text: Path) -> None:
    tiny.save_tokenizer(tiny.train_tokenizer("short " * 20, begins=False), copied)
    folders = (copied, tiny_models / "gpt2-8")
    code, _, err = run("losses", *folders, "--text", text, "--context", 32, "--out", "runs.csv")
    assert code == 0
    assert "the tokenizers differ: compare bits per byte" in err


def test_names_are_as_long_as_they_must_be() -> None:
    assert run_names(["/m/a", "/m/b/"]) == ["a", "b"]
    assert run_names(["/x/a/last", "/y/a/last", "/z/last"]) == ["x/a/last", "y/a/last", "z/last"]
    cache = "/cache/models--org--name/snapshots"
    assert run_names([f"{cache}/1"]) == ["name"]
    assert run_names([f"{cache}/1", f"{cache}/2"]) == ["1", "2"]
    with pytest.raises(DataError, match=r"'/m/b/\.\./a' is given twice"):
        run_names(["/m/a", "/m/b/../a"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_losses(tiny_models: Path, text: Path) -> None:
    folders = [tiny_models / f"{family}-64" for family in tiny.FAMILIES]
    here, there = (measure_losses(folders, [text], SHORT, device=device) for device in ("cpu", "cuda"))
    assert np.allclose(here["loss"], there["loss"], atol=1e-5)
