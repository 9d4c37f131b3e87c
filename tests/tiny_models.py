"""Language models that train in seconds: GPT-2, Llama and NeoX at four widths, with a tokenizer, as folders on disk.

Everything is made from configurations, seeds and a text that is written here; nothing is fetched. Import it inside a
fixture or a test, behind ``pytest.importorskip``: torch, transformers and tokenizers are not always installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import GPT2Config, GPTNeoXConfig, LlamaConfig
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from scalefit.models.loading import quiet

VOCAB = 400
CONTEXT = 64
WIDTHS = (8, 16, 32, 64)
FAMILIES = ("gpt2", "llama", "gpt_neox")
BOS = "<|begin|>"


def write_text(n_words: int, seed: int) -> str:
    """Sentences of made-up words: their frequencies fall as 1/rank, and a word depends on the one before it."""
    rng = np.random.default_rng(seed)
    syllables = ["ka", "lo", "mi", "ter", "sun", "da", "ri", "po", "ve", "nul", "eß", "ça"]
    letters = np.random.default_rng(1)  # the language is the same for every text
    words = ["".join(letters.choice(syllables, 1 + rank % 3)) + str(rank % 7 or "") for rank in range(300)]
    often = 1 / np.arange(1, 301)
    often /= often.sum()
    following = np.argsort(letters.random((300, 300)), axis=1)[:, :4]
    text, word = [], 0
    for place in range(n_words):
        word = following[word, rng.integers(4)] if rng.random() < 0.6 else rng.choice(300, p=often)
        text.append(words[word] + (".\n" if place % 11 == 10 else " "))
    return "".join(text)


def train_tokenizer(text: str, *, begins: bool) -> tokenizers.Tokenizer:
    """Byte-level BPE with one special token, which is put before a text if ``begins``."""
    tokenizer = tokenizers.Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=VOCAB, special_tokens=[BOS], initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    if begins:
        tokenizer.post_processor = TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 0)])
    return tokenizer


def save_tokenizer(tokenizer: tokenizers.Tokenizer, folder: Path) -> None:
    """Write a tokenizer as transformers reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": BOS, "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))


def config(family: str, width: int, *, vocab: int = VOCAB, depth: int = 2, **changes: Any) -> Any:
    """A small configuration of an architecture."""
    common = {"vocab_size": vocab, "bos_token_id": 0, "eos_token_id": 0, "initializer_range": 0.4 * width**-0.5}
    if family == "gpt2":
        silent = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
        return GPT2Config(n_positions=CONTEXT, n_embd=width, n_layer=depth, n_head=2, **(common | silent | changes))
    shape = {
        "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": depth, "num_attention_heads": 2,
        "max_position_embeddings": CONTEXT, "tie_word_embeddings": False,
    }  # fmt: skip
    return (LlamaConfig if family == "llama" else GPTNeoXConfig)(**(common | shape | changes))


def new_model(settings: Any, *, seed: int = 0) -> Any:
    """A model with random weights."""
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(settings, dtype=torch.float32).eval()


def save_model(model: Any, folder: Path, **options: Any) -> None:
    """Write a model as a folder of Hugging Face."""
    with quiet():
        model.save_pretrained(folder, **options)


def train(model: Any, ids: np.ndarray, *, steps: int, seed: int = 0) -> None:
    """Train on stretches of a text."""
    rng = np.random.default_rng(seed)
    rate = 0.02 * (8 / model.config.hidden_size) ** 0.5
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, div_factor=10)
    text = torch.as_tensor(ids)
    model.train()
    for _ in range(steps):
        starts = rng.integers(0, len(ids) - 33, 8)
        batch = torch.stack([text[start : start + 33] for start in starts])
        logits = model(batch[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    model.eval()


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread: products this small take up to eighty times as long with two, when other processes run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def make_models(folder: Path, *, steps: int = 120) -> Path:
    """Train every family at every width, and write them to ``folder/FAMILY-WIDTH``, next to ``held_out.txt``."""
    text = write_text(12_000, seed=2)
    (folder / "held_out.txt").write_bytes(write_text(1_500, seed=3).encode())
    plain, begins = (train_tokenizer(text, begins=flag) for flag in (False, True))
    ids = np.array(plain.encode(text).ids)
    with one_thread():
        for family in FAMILIES:
            for width in WIDTHS:
                model = new_model(config(family, width), seed=width)
                train(model, ids, steps=steps)
                save_model(model, folder / f"{family}-{width}")
                save_tokenizer(begins if family == "llama" else plain, folder / f"{family}-{width}")
    return folder
