"""The folder of a checkpoint in the Hugging Face layout, and the digest that identifies it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scalefit.errors import DataError
from scalefit.files import brief, parse_json
from scalefit.progress import Progress

__all__ = ["DIGITS", "CheckpointFolder", "digest", "run_names"]


WEIGHTS: Final = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
TOKENIZERS: Final = (
    "tokenizer.json", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tekken.json",
)  # fmt: skip
MERGED: Final = ("vocab.json", "merges.txt")  # usable only together
TOKENIZER_PARTS: Final = (
    *TOKENIZERS, *MERGED, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip
POINTER: Final = b"version https://git-lfs.github.com/spec/"
BLOCK: Final = 1 << 22  # bytes
DIGITS: Final = 16  # hexadecimal digits of a SHA-256 that are kept


@dataclass(frozen=True)
class CheckpointFolder:
    """The folder of a checkpoint, whose files exist but have not been loaded.

    Parameters
    ----------
    path : Path
        The folder.
    config : dict
        Its config.json.
    weights : tuple of Path
        The files of the weights.
    tokenizer : tuple of Path
        The files of the tokenizer.
    """

    path: Path
    config: dict[str, Any]
    weights: tuple[Path, ...]
    tokenizer: tuple[Path, ...]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> CheckpointFolder:
        """Find the files of a folder.

        Parameters
        ----------
        path : path
            A folder with config.json, weights and a tokenizer.

        Returns
        -------
        CheckpointFolder
            The folder and its files.

        Raises
        ------
        DataError
            When one is missing, cut off, or cannot be read.
        """
        path = Path(path)
        if not path.is_dir():
            what = "is a file" if path.exists() else "does not exist"
            raise DataError(
                f"{str(path)!r} {what}; give the folder of a checkpoint, with config.json, weights and a tokenizer"
            )
        config = _read_json(path / "config.json", "it names the architecture of the weights")
        _refuse_partial(path, config)
        tokenizer = tuple(path / name for name in TOKENIZER_PARTS if (path / name).is_file())
        names = {file.name for file in tokenizer}
        if not names & set(TOKENIZERS) and not names >= set(MERGED):
            raise DataError(
                f"{str(path)!r} holds no tokenizer; copy that of the model into it, such as tokenizer.json and "
                "tokenizer_config.json"
            )
        weights = _weight_files(path)
        for file in (*weights, *tokenizer):
            _refuse_pointer(file)
        return cls(path, config, weights, tokenizer)

    def digest(self, progress: Progress | None = None) -> str:
        """Return the digest of weights, configuration and tokenizer, on which the loss on a text depends.

        Parameters
        ----------
        progress : callable, optional
            Called as ``progress(stage, done, total)``, in MiB.

        Returns
        -------
        str
            Equal for equal contents, whatever the name of the folder.
        """
        return digest((self.path / "config.json", *self.tokenizer, *self.weights), progress)


def digest(files: Sequence[Path], progress: Progress | None = None) -> str:
    """Return the start of a SHA-256 over the names and contents of some files.

    Parameters
    ----------
    files : sequence of Path
        The files, in an order that does not change.
    progress : callable, optional
        Called as ``progress(stage, done, total)``, in MiB.

    Returns
    -------
    str
        ``sha256:`` and 16 hexadecimal digits; the prefix keeps tables from reading digits as a number.
    """
    whole, done, total = hashlib.sha256(), 0, sum(file.stat().st_size for file in files)
    for path in files:
        content = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                content.update(block)
                done += len(block)
                if progress is not None:
                    progress(f"reading {path.name}", done >> 20, total >> 20)
        whole.update(f"{path.name}\0{content.hexdigest()}\n".encode())
    return f"sha256:{whole.hexdigest()[:DIGITS]}"


def run_names(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Name checkpoints by their folders, with as much of the path as is needed to distinguish them.

    Parameters
    ----------
    paths : sequence of path
        Folders; each once.

    Returns
    -------
    list of str
        Such as ``small`` and ``large``, or ``a/checkpoint-500`` and ``b/checkpoint-500``.

    Raises
    ------
    DataError
        When a folder is named twice.

    Examples
    --------
    >>> run_names(["/models/a/checkpoint-500", "/models/b/checkpoint-500", "/models/small"])
    ['a/checkpoint-500', 'b/checkpoint-500', 'small']
    >>> run_names(["/cache/models--EleutherAI--pythia-70m/snapshots/a39f36b1"])
    ['pythia-70m']
    """
    parts = [Path(os.path.realpath(path)).parts for path in paths]
    twice = [str(path) for place, path in enumerate(paths) if parts[place] in parts[:place]]
    if twice:
        raise DataError(f"{twice[0]!r} is given twice; give each checkpoint once")
    named = [_model_of_cache(folders) for folders in parts]
    parts = named if len(set(named)) == len(parts) else parts
    kept = [1] * len(parts)
    while True:
        names = ["/".join(folders[-length:]) for folders, length in zip(parts, kept, strict=True)]
        count = Counter(names)
        if max(count.values(), default=1) == 1:
            return names
        kept = [length + (count[name] > 1) for length, name in zip(kept, names, strict=True)]


def _model_of_cache(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Replace the revision by the name of the model for a folder in the cache of Hugging Face."""
    if len(parts) > 2 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return (*parts[:-3], *parts[-3].split("--")[1:])
    return parts


def _read_json(path: Path, why: str) -> dict[str, Any]:
    try:
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{str(path.parent)!r} holds no {path.name}; {why}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be read ({brief(error)}); fetch it again") from None
    if not isinstance(content, dict):
        raise DataError(f"{str(path)!r} is not a JSON object; fetch it again")
    return content


def _refuse_partial(path: Path, config: dict[str, Any]) -> None:
    """Reject an adapter, which needs files that are not in the folder, and quantised weights."""
    if (path / "adapter_config.json").exists():
        raise DataError(
            f"{str(path)!r} holds an adapter; merge it into its model and save that, then measure the result"
        )
    quantised = config.get("quantization_config")
    if quantised:
        kind = quantised.get("quant_method") if isinstance(quantised, dict) else None
        raise DataError(
            f"the weights in {str(path)!r} are quantised{f' ({kind})' if kind else ''}, which changes the loss; "
            "give the checkpoint in float32, float16 or bfloat16"
        )


def _weight_files(path: Path) -> tuple[Path, ...]:
    """Return the files of the weights: safetensors before pickles, one file before shards, as transformers does."""
    name = next((name for name in WEIGHTS if (path / name).is_file()), None)
    if name is None:
        raise DataError(f"{str(path)!r} holds no weights; one of these is needed: {', '.join(WEIGHTS)}")
    if not name.endswith(".index.json"):
        return (path / name,)
    _refuse_pointer(path / name)
    shards = _read_json(path / name, "it lists the files of the weights").get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(shard, str) for shard in shards.values()):
        raise DataError(f"{str(path / name)!r} lists no files of weights; fetch it again")
    files = tuple(path / shard for shard in sorted(set(shards.values())))
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise DataError(f"{len(missing)} of {len(files)} files of weights are missing in {str(path)!r}: {missing[0]}")
    return files


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(POINTER))
    if start == POINTER:
        raise DataError(f"{str(path)!r} is a pointer of Git LFS and not the file; fetch the file with: git lfs pull")
    if not start:
        raise DataError(f"{str(path)!r} is empty; fetch it again")
