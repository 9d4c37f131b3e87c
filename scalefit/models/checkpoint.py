"""Checkpoints on disk: the tensors of a folder, which of them is the output head, and the rows of that head.

A safetensors file starts with 8 bytes (the length of a header, little endian) and the header, which is JSON: for each
tensor its dtype, shape and bytes. Nothing else is needed to read a head, neither torch nor safetensors.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.errors import DataError, closest
from scalefit.files import brief, parse_json
from scalefit.models.gguf import Q8_0, read_gguf
from scalefit.numbers import exact

__all__ = [
    "EMBEDDINGS", "Checkpoint", "FinalNorm", "Head", "Tensor", "find_head", "is_named", "open_checkpoint", "raw_bytes",
    "read_header", "read_rows", "token_ids",
]  # fmt: skip

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

HEADER_MOST: Final = 100_000_000  # bytes; the limit of the safetensors format
JSON_MOST: Final = 256 << 20  # bytes of a config, an index or a tokenizer; the largest tokenizers take 35 MB

READ: Final = ("F64", "F32", "F16", "BF16", "Q8_0")  # dtypes that are read; the last is accurate enough for overlaps
FLOATS: Final = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
SIZES: Final = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1,
    "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip

# Suffixes of the names of head, embedding and final norm; the first that exists is used.
OUTPUTS: Final = ("lm_head.weight", "embed_out.weight", "output.weight", "output_layer.weight", "proj_out.weight")
EMBEDDINGS: Final = (
    "embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight", "tok_embeddings.weight",
    "backbone.embeddings.weight", "shared.weight", "token_embedding.weight", "token_embd.weight",
)  # fmt: skip
NORMS: Final = (
    "ln_f.weight", "norm_f.weight", "final_layer_norm.weight", "final_layernorm.weight", "decoder.layer_norm.weight",
    "norm.weight", "output_norm.weight",
)  # fmt: skip
NOT_A_HEAD: Final = {"encoder", "vision_model", "vision_tower", "visual", "audio_tower", "attention", "mlp"}

# Norms whose kind follows neither from a bias nor from a key of the config, by model_type.
CENTRING: Final = {"cohere", "cohere2", "mpt", "dbrx", "olmo", "nemotron"}  # LayerNorm without a bias
NOT_CENTRING: Final = {"mamba", "mamba2", "falcon_mamba", "t5", "mt5"}  # RMSNorm, although the key says layer_norm
GAIN_FROM_ONE: Final = {  # the stored weight is the gain minus 1
    "gemma", "gemma2", "gemma3", "gemma3_text", "recurrent_gemma", "qwen3_next", "nemotron",
}  # fmt: skip

UNTIED: Final = {"llama", "mistral", "mixtral", "gpt_neox", "gptj", "phi", "phi3", "qwen2", "qwen3", "olmo", "olmo2"}
ENCODERS: Final = {
    "bert", "roberta", "xlm-roberta", "distilbert", "albert", "electra", "deberta", "deberta-v2", "camembert", "mpnet",
    "modernbert", "ernie", "esm", "nomic_bert",
}  # fmt: skip
ENCODER_ENDS: Final = (
    "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice",
    "EncoderModel",
)  # fmt: skip
LARGEST_GAIN: Final = 1e100  # its square times that of a row fits in float64
GGUF: Final = ".gguf"
PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


class Tensor(NamedTuple):
    """A tensor in a file, not yet read.

    Parameters
    ----------
    name : str
        Its name in the file.
    dtype : str
        Its dtype as named in the file, such as ``"BF16"``.
    shape : tuple of int
        Its axes.
    path : Path
        The file.
    offset, nbytes : int
        Position of its first byte, and number of bytes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    offset: int
    nbytes: int


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one model on disk.

    Parameters
    ----------
    path : Path
        The folder, or the single file.
    tensors : mapping of str to Tensor
        By name.
    config : mapping
        config.json, or the part for the text model; the metadata of a GGUF file; empty for other files.
    own_tokens : int
        Tokens of the tokenizer in a GGUF file; 0 without one.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    own_tokens: int = 0

    @property
    def name(self) -> str:
        """A label of the model: the name of the folder, or of the file without its suffix."""
        path = self.path.absolute() if self.path.name not in ("", "..") else self.path.resolve()
        if path.is_file():
            return path.stem
        if path.parent.name == "snapshots" and path.parents[1].name.startswith("models--"):  # the cache of the hub
            return path.parents[1].name.rpartition("--")[2]
        return path.name

    def first(self, *names: str) -> Any:
        """Return the value of the first of some keys that the config has; None without any."""
        return next((self.config[name] for name in names if self.config.get(name) is not None), None)

    def count(self, *names: str) -> int | None:
        """Return :meth:`first` if it is a whole number, else None."""
        value = self.first(*names)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def capped(self) -> bool:
        """Whether the logits are soft-capped, so that a number added to all of them changes predictions."""
        return bool(self.first("final_logit_softcapping"))

    @property
    def model_type(self) -> str:
        """The architecture's name in config.json; empty without one."""
        return str(self.config.get("model_type") or "")

    @cached_property
    def tokens(self) -> Ids | None:
        """Ids of the tokenizer in the folder, ascending; None without a tokenizer."""
        if self.own_tokens:
            return np.arange(self.own_tokens)
        return token_ids(self.path) if self.path.is_dir() else None

    @property
    def is_gguf(self) -> bool:
        """Whether it is a GGUF file: a missing head is tied to the embedding, and gains are stored in full."""
        return self.path.suffix == GGUF


class FinalNorm(NamedTuple):
    """The norm between the last layer and the head.

    Parameters
    ----------
    kind : {"LayerNorm", "RMSNorm", "none"}
        A LayerNorm subtracts the mean over the dimensions, so the head cannot use the ones direction.
    gain : array, shape (m,), or None
        Its gain; None for a norm without one.
    tensor : str
        Name of the gain's tensor; empty without one.
    remark : str
        Why no norm was found; empty when one was.
    """

    kind: str
    gain: Array | None = None
    tensor: str = ""
    remark: str = ""


class Head(NamedTuple):
    """The output head of a checkpoint.

    Parameters
    ----------
    tensor : Tensor
        Of shape (vocabulary, width).
    tied : bool or None
        Whether it is also the embedding; None if the checkpoint does not say.
    norm : FinalNorm
        The norm before the head.
    """

    tensor: Tensor
    tied: bool | None
    norm: FinalNorm


def open_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """List the tensors of a checkpoint, and read its config.

    Parameters
    ----------
    path : path
        A Hugging Face folder (config.json and one or several safetensors files), one safetensors file, or a GGUF file.

    Returns
    -------
    Checkpoint
        Headers are read and compared with the sizes of the files; weights are not read.

    Raises
    ------
    DataError
        When something is missing, cut, or in another format; the message says what to do.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"there is no checkpoint {str(path)!r}; give a folder with config.json, or a .safetensors file")
    if path.suffix == GGUF:
        header = read_gguf(path)
        tensors = {name: Tensor(name, *entry[:2], path, *entry[2:]) for name, entry in header.tensors.items()}
        return Checkpoint(path, tensors, header.config, header.tokens)
    if not path.is_dir():
        return Checkpoint(path, read_header(path))
    config = _config(path)
    tensors = {}
    for file in _weight_files(path):
        for name, tensor in read_header(file).items():
            if name in tensors:
                raise DataError(
                    f"{str(path)!r} has the tensor {name!r} twice, in {tensors[name].path.name} and {file.name}; "
                    "name the file that is used, or remove the other"
                )
            tensors[name] = tensor
    return Checkpoint(path, tensors, config)


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        return {}
    config = _json(file)
    inner = config.get("text_config")  # of multimodal models
    return config | inner if isinstance(inner, dict) else config


def _weight_files(folder: Path) -> list[Path]:
    """Return the files with the weights of a folder, by its index or by their names."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if index.is_file():
        named = _json(index).get("weight_map")
        if not isinstance(named, dict) or not named or not all(_plain(file) for file in named.values()):
            raise DataError(f"{str(index)!r} has no usable weight_map; download it again")
        files = [folder / name for name in sorted(set(named.values()))]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise DataError(
                f"{str(folder)!r} lacks {', '.join(missing[:5])}{' and more' if len(missing) > 5 else ''}, of the "
                f"{len(files)} files that its index names; download it again, or give the file with the head alone"
            )
        return files
    files = sorted(folder.glob("*.safetensors"))
    if files:
        return files
    for file in sorted(folder.iterdir()):
        if file.suffix == GGUF:
            raise DataError(f"{str(folder)!r} holds no safetensors; give its GGUF file itself: {str(file)!r}")
        if file.suffix in PICKLES:
            raise DataError(_pickled(file))
    raise DataError(f"{str(folder)!r} holds no .safetensors file; give the folder that save_pretrained wrote")


def _plain(name: Any) -> bool:
    return isinstance(name, str) and Path(name).name == name


def _pickled(file: Path) -> str:
    return (
        f"{str(file)!r} is a pickle, which can run any code as it loads; write it as safetensors, such as with "
        "transformers' from_pretrained(folder), then save_pretrained"
    )


def _json(file: Path) -> dict[str, Any]:
    """Read a JSON file of a checkpoint, which must be an object."""
    try:
        size = file.stat().st_size
        if size > JSON_MOST:
            raise ValueError(f"it takes {exact(size >> 20)} MiB")
        value = parse_json(file.read_bytes())
        if not isinstance(value, dict):
            raise TypeError("it is not an object")
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{str(file)!r} cannot be read as JSON ({brief(error)}); download it again") from None
    return value


def read_header(file: Path) -> dict[str, Tensor]:
    """Read the header of a safetensors file.

    Parameters
    ----------
    file : Path
        The file.

    Returns
    -------
    dict of str to Tensor
        By name, in the order of the file.

    Raises
    ------
    DataError
        When it is not a complete safetensors file.
    """
    size = file.stat().st_size
    if file.suffix in PICKLES:
        raise DataError(_pickled(file))
    with file.open("rb") as stream:
        start = stream.read(8)
        if start == b"version " and b"git-lfs" in stream.read(64):
            raise DataError(f"{str(file)!r} is a Git LFS pointer, not the weights; fetch them with: git lfs pull")
        if start[:4] == b"GGUF":
            raise DataError(f"{str(file)!r} is a GGUF file; let its name end with .gguf")
        if start[:2] == b"PK" or start[:1] == b"\x80":  # torch.save, as an archive or as a bare pickle
            raise DataError(_pickled(file))
        if len(start) < 8:
            raise DataError(f"{str(file)!r} is {'empty' if not start else 'cut'} ({size} bytes); download it again")
        (length,) = struct.unpack("<Q", start)
        if not 2 <= length <= HEADER_MOST:
            raise DataError(f"{str(file)!r} is not a safetensors file: its first 8 bytes give no header length")
        if 8 + length > size:
            raise DataError(f"{str(file)!r} is cut within its header, after {exact(size)} bytes; download it again")
        stream.seek(8)
        content = stream.read(length)
    try:
        header = parse_json(content)
        tensors = [_tensor(file, 8 + length, name, entry) for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise DataError(f"{str(file)!r} has a damaged header ({brief(error)}); download it again") from None
    if not tensors:
        raise DataError(f"{str(file)!r} holds no tensor")
    end = max(tensor.offset + tensor.nbytes for tensor in tensors)
    if end > size:
        raise DataError(f"{str(file)!r} is cut: it has {exact(size)} of {exact(end)} bytes; download it again")
    return {tensor.name: tensor for tensor in tensors}


def _tensor(file: Path, base: int, name: str, entry: dict[str, Any]) -> Tensor:
    """Check one entry of a header; raise ValueError, TypeError or KeyError if it is invalid."""
    dtype, shape, (lo, hi) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if not all(type(number) is int and 0 <= number < 2**62 for number in (*shape, lo, hi)):
        raise ValueError(f"{name!r} has an axis or an offset that is not a count")
    if dtype in SIZES and hi - lo != math.prod(shape) * SIZES[dtype]:
        raise ValueError(f"{name!r} has {hi - lo} bytes for {dtype} of {list(shape)}")
    return Tensor(name, str(dtype), shape, file, base + lo, hi - lo)


def token_ids(folder: Path) -> Ids | None:
    """Return the ids of the tokenizer in a folder.

    Parameters
    ----------
    folder : Path
        A folder with tokenizer.json, or vocab.json and perhaps added_tokens.json.

    Returns
    -------
    array of int, or None
        Ascending, including added tokens. None without such a file.

    Raises
    ------
    DataError
        For a file without a vocabulary.
    """
    whole, old, added = folder / "tokenizer.json", folder / "vocab.json", folder / "added_tokens.json"
    try:
        if whole.is_file():
            content = _json(whole)
            vocab = content["model"]["vocab"]  # pieces to ids; for unigram models a list of pieces in order
            ids = [*(vocab.values() if isinstance(vocab, dict) else range(len(vocab)))]
            ids += [token["id"] for token in content.get("added_tokens") or ()]
        elif old.is_file():
            ids = [*_json(old).values(), *(_json(added).values() if added.is_file() else ())]
        else:
            return None
        unique = np.unique(np.array(ids, dtype=object).astype(np.int64)) if ids else np.zeros(0, np.int64)
        if not len(unique) or unique[0] < 0:
            raise ValueError("no ids")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        file = whole if whole.is_file() else old
        raise DataError(
            f"{str(file)!r} holds no vocabulary ({brief(error)}); download it again, or count all rows: --rows all"
        ) from None
    return unique


def find_head(checkpoint: Checkpoint, tensor: str | None = None) -> Head:
    """Find the output head of a checkpoint, and the norm that feeds it.

    Parameters
    ----------
    checkpoint : Checkpoint
        As opened.
    tensor : str, optional
        Name of the head's tensor; found by name when omitted.

    Returns
    -------
    Head
        With two axes and a dtype that can be read.

    Raises
    ------
    DataError
        When there is no head, or one that cannot be read exactly.
    """
    if tensor is None:
        chosen, tied = _by_name(checkpoint)
    elif tensor in checkpoint.tensors:
        chosen = checkpoint.tensors[tensor]
        tied = checkpoint.config.get("tie_word_embeddings") is True if is_named(tensor, EMBEDDINGS) else None
    else:
        raise DataError(f"{str(checkpoint.path)!r} has no tensor {tensor!r}; {closest(tensor, checkpoint.tensors)}")
    _check_head(checkpoint, chosen)
    return Head(chosen, tied, _final_norm(checkpoint, chosen.shape[1]))


def _by_name(checkpoint: Checkpoint) -> tuple[Tensor, bool | None]:
    """Return the head's tensor, and whether it is the embedding."""
    path, tensors = str(checkpoint.path), checkpoint.tensors
    _refuse_encoder(checkpoint)
    ties = checkpoint.config.get("tie_word_embeddings")
    output, embedding = _matrix(checkpoint, OUTPUTS), _matrix(checkpoint, EMBEDDINGS)
    if output is not None and embedding is not None and ties is True and not _same(output, embedding):
        raise DataError(
            f"{path!r} says that head and embedding are tied, and {output.name!r} and {embedding.name!r} differ; "
            "name the one that is used with --tensor"
        )
    if output is not None:
        return output, ties if isinstance(ties, bool) else None
    packed = [name for name in tensors if is_named(name, tuple(end.replace(".weight", ".qweight") for end in OUTPUTS))]
    if packed:
        raise DataError(_quantised(checkpoint, tensors[packed[0]]))
    if embedding is not None and not checkpoint.config:
        return embedding, None
    if embedding is not None:
        if ties is False or (ties is None and not checkpoint.is_gguf and checkpoint.model_type in UNTIED):
            raise DataError(
                f"{path!r} has no output head, and its config does not tie one to the embedding; give a checkpoint "
                f"with lm_head.weight, or measure the embedding itself: --tensor {embedding.name}"
            )
        return embedding, True
    matrices = [tensor for tensor in tensors.values() if len(tensor.shape) == 2]
    if len(tensors) == 1 and matrices:
        return matrices[0], None
    if len(tensors) == 1:
        return next(iter(tensors.values())), None  # rejected later for its axes
    raise DataError(f"{path!r} has no output head under a known name; name it with --tensor; {closest('', tensors)}")


def _refuse_encoder(checkpoint: Checkpoint) -> None:
    named = checkpoint.config.get("architectures")
    names = [str(name) for name in named] if isinstance(named, list) else []
    encodes = any(name.endswith(ENCODER_ENDS) for name in names) or (
        checkpoint.model_type in ENCODERS and checkpoint.config.get("is_decoder") is not True
    )
    if encodes:
        raise DataError(
            f"{str(checkpoint.path)!r} is an encoder ({', '.join(names) or checkpoint.model_type}), which predicts no "
            "next token; give a language model with an output head, or name the matrix to measure with --tensor"
        )


def is_named(name: str, ends: tuple[str, ...]) -> bool:
    """Whether the name of a tensor has one of some suffixes, outside numbered layers and encoders of images and sound.

    Parameters
    ----------
    name : str
        Its name.
    ends : tuple of str
        Such as ``("lm_head.weight",)``.

    Returns
    -------
    bool
        Also True if the name is equal to a suffix.
    """
    parts = name.split(".")
    outside = not any(part.isdigit() for part in parts) and not NOT_A_HEAD & set(parts)
    return outside and any(name == end or name.endswith(f".{end}") for end in ends)


def _matrix(checkpoint: Checkpoint, ends: tuple[str, ...]) -> Tensor | None:
    """Return the tensor with the first of some suffixes; of several, that of the decoder, else the shortest name."""
    for end in ends:
        named = [tensor for name, tensor in checkpoint.tensors.items() if is_named(name, (end,))]
        if named:
            return min(
                named, key=lambda tensor: ("decoder" not in tensor.name.split("."), len(tensor.name), tensor.name)
            )
    return None


def _same(first: Tensor, second: Tensor) -> bool:
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    return all(a == b for a, b in zip(raw_bytes(first), raw_bytes(second), strict=True))


def _check_head(checkpoint: Checkpoint, tensor: Tensor) -> None:
    path = str(checkpoint.path)
    if tensor.dtype not in READ:
        raise DataError(_quantised(checkpoint, tensor))
    if len(tensor.shape) != 2:
        axes = "one axis" if len(tensor.shape) == 1 else f"{len(tensor.shape)} axes"
        raise DataError(
            f"{tensor.name!r} of {path!r} has {axes} ({list(tensor.shape)}); a head has two, vocabulary and width: "
            "name another with --tensor"
        )
    rows, columns = tensor.shape
    if rows < 2 or columns < 2:
        raise DataError(f"{tensor.name!r} of {path!r} has {rows} rows of {columns}; a head needs at least two of each")
    vocab = checkpoint.count("vocab_size")
    if vocab is not None and columns == vocab != rows:
        raise DataError(
            f"{tensor.name!r} of {path!r} is {rows} by {columns}, and the vocabulary has {vocab} tokens: it is "
            "transposed; store it with a row per token"
        )


def _quantised(checkpoint: Checkpoint, tensor: Tensor) -> str:
    options = checkpoint.config.get("quantization_config")
    options = options if isinstance(options, dict) else {}
    bits = 4 if options.get("load_in_4bit") else options.get("bits")
    stored = f"in {bits} bits" if isinstance(bits, int) else f"as {tensor.dtype}"
    return (
        f"{tensor.name!r} of {str(checkpoint.path)!r} is stored {stored}, quantised, which moves overlaps (by 2.6% at "
        "4 bits); give the checkpoint before quantising, in F16, BF16, F32 or F64, or GGUF in Q8_0"
    )


def _final_norm(checkpoint: Checkpoint, width: int) -> FinalNorm:
    """Find the norm before the head by its name, and its kind from the config."""
    tensors, kind = checkpoint.tensors, checkpoint.model_type
    if any(is_named(name, ("project_out.weight",)) for name in tensors):
        return FinalNorm("none", remark="there is a projection between the last norm and the head")
    gain = _vector(checkpoint, width)
    if gain is None:
        if kind == "olmo":  # LayerNorm without parameters
            return FinalNorm("LayerNorm")
        return FinalNorm("none", remark="no final norm of the head's width is stored under a known name")
    centring = _centring(checkpoint, gain)
    if centring is None:
        remark = f"the config does not say whether {gain.name} belongs to a LayerNorm or an RMSNorm"
        return FinalNorm("none", remark=remark)
    values = read_rows(gain)[0] + (1.0 if kind in GAIN_FROM_ONE and not checkpoint.is_gguf else 0.0)
    if not (np.abs(values) < LARGEST_GAIN).all():
        raise DataError(
            f"{gain.name!r} of {str(checkpoint.path)!r} has a gain of {np.abs(values).max()}; download it again"
        )
    return FinalNorm("LayerNorm" if centring else "RMSNorm", values, gain.name)


def _centring(checkpoint: Checkpoint, gain: Tensor) -> bool | None:
    """Whether a norm subtracts the mean; None when this is unknown."""
    kind = checkpoint.model_type
    if kind in CENTRING or kind in NOT_CENTRING:
        return kind in CENTRING
    if f"{gain.name.removesuffix('weight')}bias" in checkpoint.tensors:  # an RMSNorm has none
        return True
    if checkpoint.first("rms_norm_eps") is not None or kind in GAIN_FROM_ONE:
        return False
    return True if checkpoint.first("layer_norm_eps", "layer_norm_epsilon") is not None else None


def _vector(checkpoint: Checkpoint, width: int) -> Tensor | None:
    for end in NORMS:
        named = [
            tensor
            for name, tensor in checkpoint.tensors.items()
            if is_named(name, (end,)) and tensor.shape == (width,) and tensor.dtype in FLOATS
        ]
        if named:
            return min(
                named, key=lambda tensor: ("decoder" not in tensor.name.split("."), len(tensor.name), tensor.name)
            )
    return None


def raw_bytes(tensor: Tensor, block: int = 1 << 24) -> Iterator[bytes]:
    """Read the bytes of a tensor, a block at a time.

    Parameters
    ----------
    tensor : Tensor
        The tensor.
    block : int
        Bytes of a block.

    Yields
    ------
    bytes
        As stored.
    """
    with tensor.path.open("rb") as stream:
        stream.seek(tensor.offset)
        for start in range(0, tensor.nbytes, block):
            yield stream.read(min(block, tensor.nbytes - start))


def read_rows(tensor: Tensor, lo: int = 0, hi: int | None = None) -> Array:
    """Read some rows of a tensor.

    Parameters
    ----------
    tensor : Tensor
        With one or two axes, and a floating-point dtype.
    lo, hi : int
        First row, and the row after the last; a tensor of one axis is one row.

    Returns
    -------
    array, shape (hi - lo, columns)
        float64, which represents every stored number exactly.
    """
    rows, columns = tensor.shape if len(tensor.shape) == 2 else (1, *tensor.shape)
    hi = rows if hi is None else hi
    if tensor.dtype == "Q8_0":
        return _read_q8(tensor, lo, hi)
    kind = np.dtype(FLOATS[tensor.dtype])
    with tensor.path.open("rb") as stream:  # not mmap, whose pages would count as memory of this process
        stream.seek(tensor.offset + lo * columns * kind.itemsize)
        stored = np.frombuffer(stream.read((hi - lo) * columns * kind.itemsize), dtype=kind)
    if tensor.dtype == "BF16":  # the upper half of a float32
        stored = (stored.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(invalid="ignore"):  # NaN is rejected when the rows are checked
        return stored.reshape(hi - lo, columns).astype(np.float64)


def _read_q8(tensor: Tensor, lo: int, hi: int) -> Array:
    columns = tensor.shape[-1]
    if columns % 32:
        raise DataError(
            f"{tensor.name!r} of {str(tensor.path)!r} has {columns} columns, not a multiple of 32; it is damaged"
        )
    per_row = columns // 32
    with tensor.path.open("rb") as stream:
        stream.seek(tensor.offset + lo * per_row * Q8_0.itemsize)
        blocks = np.frombuffer(stream.read((hi - lo) * per_row * Q8_0.itemsize), dtype=Q8_0)
    with np.errstate(invalid="ignore"):  # as in read_rows
        numbers = blocks["steps"].astype(np.float64) * blocks["scale"].astype(np.float64)[:, None]
    return numbers.reshape(hi - lo, columns)
