"""Checkpoints opened with transformers: only from local files, without running their code, and without output.

Cases in which transformers only warns are errors here: a missing tensor, which it fills with random numbers; an
unexpected tensor; an architecture that sees the tokens that it should predict; a tokenizer without a vocabulary.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from scalefit.errors import DataError, MissingExtra
from scalefit.files import brief
from scalefit.models.folder import CheckpointFolder
from scalefit.models.tokens import WHOLE, beginning, read_tokenizer, untruncated

__all__ = ["LanguageModel", "Size", "check_device", "lacks_memory", "need_libraries", "quiet"]

FEATURE: Final = "measuring the losses of checkpoints"
CUT_SHORT: Final = ("PytorchStreamReader", "unexpected EOF")  # messages of torch for a truncated pickle
PROBE: Final = 8  # tokens with which a model is tested for seeing later ones
SEES_LATER: Final = MappingProxyType({"float32": 1e-4, "bfloat16": 3e-2})  # relative to the spread of the logits


def lacks_memory(error: BaseException) -> bool:
    """Whether an error of torch means that there was not enough memory, on the CPU or a GPU."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


class Size(NamedTuple):
    """The size of a model.

    Parameters
    ----------
    params : int
        All parameters; a head that is tied to the embedding is counted once.
    params_non_embedding : int
        Without embeddings of tokens and positions, and without the output head.
    width : int
        Dimensions of the residual stream.
    depth : int
        Blocks.
    vocab : int
        Rows of the output head.
    """

    params: int
    params_non_embedding: int
    width: int
    depth: int
    vocab: int


def need_libraries() -> None:
    """Raise :class:`MissingExtra` unless torch and transformers are installed."""
    try:
        with quiet():
            import tokenizers  # noqa: F401
            import torch  # noqa: F401
            import transformers  # noqa: F401
    except ImportError:
        raise MissingExtra(FEATURE, "models") from None


def check_device(device: str) -> None:
    """Raise :class:`DataError` for a device that does not exist."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise DataError("device is 'cuda', but torch finds no CUDA device here; use cpu")


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings and progress of transformers; the relevant cases are checked here."""
    try:
        from transformers.utils import logging
    except ImportError:
        raise MissingExtra(FEATURE, "models") from None
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


class LanguageModel:
    """A language model in a folder; configuration, tokenizer and weights are loaded on first use.

    Parameters
    ----------
    folder : CheckpointFolder
        Its files.
    dtype : {"float32", "bfloat16"}
        Precision of the weights.
    device : {"cpu", "cuda"}
        Where the model runs.

    Raises
    ------
    DataError
        For an architecture that is not a language model of the kind that predicts the next token, or that needs code
        from the folder.
    """

    def __init__(self, folder: CheckpointFolder, *, dtype: str = "float32", device: str = "cpu") -> None:
        need_libraries()
        self.folder, self.dtype, self.device = folder, dtype, device
        self._refuse_foreign()

    @property
    def name(self) -> str:
        """The name of the folder in messages."""
        return repr(str(self.folder.path))

    @contextmanager
    def _saying(self, part: str) -> Iterator[None]:
        """Turn an exception of a library about a part of the folder into a message.

        The readers of safetensors and of tokenizers raise bare ``Exception``, so all exceptions are caught.
        """
        try:
            yield
        except (DataError, MemoryError):
            raise
        except Exception as error:
            if lacks_memory(error):
                raise MemoryError(f"for {self.name} on {self.device}") from None
            if isinstance(error, pickle.UnpicklingError):  # the message of torch would advise to load it with code
                raise DataError(
                    f"{part} {self.name} are a pickle with something other than tensors in it, such as code, or a "
                    "damaged one; nothing in it has been run. Use the checkpoint as safetensors: from its publisher, "
                    "or converted, if you trust its source"
                ) from None
            raise DataError(f"{part} {self.name} cannot be used: {brief(error)}") from None

    @contextmanager
    def _reading_pickle(self) -> Iterator[None]:
        """Report a pickle that is truncated, empty or another file, which the exception of the reader does not say."""
        try:
            yield
        except (OSError, EOFError, LookupError, TypeError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not any(words in str(error) for words in CUT_SHORT):
                raise
            raise DataError(
                f"the weights in {self.name} are not a complete pickle of named tensors ({type(error).__name__}); "
                "fetch them again, or use the checkpoint as safetensors"
            ) from None

    def _refuse_foreign(self) -> None:
        with quiet():
            from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
            from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

        kind = self.folder.config.get("model_type")
        if not isinstance(kind, str):
            raise DataError(
                f"the config.json of {self.name} has no model_type, the architecture of the weights; add it"
            )
        if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            if self.folder.config.get("is_encoder_decoder"):
                raise DataError(f"{self.name} is an encoder with a decoder ({kind}); it does not score a text alone")
            return
        if self.folder.config.get("auto_map"):
            raise DataError(
                f"{self.name} needs Python code that comes with the checkpoint (auto_map in config.json), and such "
                "code is never run here; give a checkpoint of an architecture that transformers has"
            )
        if kind in CONFIG_MAPPING_NAMES:
            raise DataError(f"{self.name} is of an architecture that does not predict the next token ({kind})")
        raise DataError(f"transformers knows no architecture {kind!r}, that of {self.name}; a newer release may")

    @cached_property
    def config(self) -> Any:
        """The configuration of transformers."""
        from transformers import AutoConfig

        with self._saying("the config.json of"), quiet():
            return AutoConfig.from_pretrained(self.folder.path, local_files_only=True, trust_remote_code=False)

    @property
    def longest(self) -> int | None:
        """The largest number of positions of the model; None without such a limit."""
        limit = getattr(self.config.get_text_config(), "max_position_embeddings", None)
        return limit if isinstance(limit, int) and limit > 0 else None

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer: that of tokenizer.json unchanged, or what transformers makes of other files.

        transformers replaces some rules of the file according to the name of the architecture. A model of that
        architecture that was trained with another tokenizer would then be scored on tokens that it never saw.
        """
        from transformers import AutoTokenizer

        if (self.folder.path / WHOLE).is_file():
            return read_tokenizer(self.folder.path / WHOLE)
        with self._saying("the tokenizer of"), quiet():
            made = AutoTokenizer.from_pretrained(
                self.folder.path, local_files_only=True, trust_remote_code=False, use_fast=True
            )
        if not made.is_fast:
            raise DataError(f"the tokenizer of {self.name} does not say where its tokens lie; add a tokenizer.json")
        return untruncated(made.backend_tokenizer)

    def beginning(self, choice: str) -> int | None:
        """Return the token that marks the beginning of a text; None where none is used.

        Parameters
        ----------
        choice : {"auto", "yes", "no"}
            With ``"auto"`` it is used if the tokenizer puts it before a text by default.

        Returns
        -------
        int or None
            Its id.

        Raises
        ------
        DataError
            When it is asked for and the tokenizer has none.
        """
        puts, token = beginning(self.tokenizer, self.folder.path)
        if choice == "no" or (choice == "auto" and not puts):
            return None
        if token is None:
            raise DataError(f"the tokenizer of {self.name} has no token for the beginning of a text; use bos=no")
        return token

    @cached_property
    def model(self) -> Any:
        """The model of transformers, in evaluation mode."""
        import torch
        from transformers import AutoModelForCausalLM

        pickled = self.folder.weights[0].suffix != ".safetensors"
        reading = self._reading_pickle() if pickled else nullcontext()
        with self._saying("the weights in"), reading, quiet():
            model, notes = AutoModelForCausalLM.from_pretrained(
                self.folder.path, config=self.config, dtype=getattr(torch, self.dtype), local_files_only=True,
                trust_remote_code=False, use_safetensors=not pickled, weights_only=True, output_loading_info=True,
            )  # fmt: skip
            model = model.eval().requires_grad_(False).to(self.device)
        for what, words in (("missing_keys", "lack"), ("unexpected_keys", "have no use in this architecture for")):
            names = sorted(notes[what])
            if names:
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                raise DataError(
                    f"the weights in {self.name} {words} {names[0]}{more}; give a checkpoint whose config.json "
                    "describes its weights, head included"
                )
        self._refuse_seeing(model)
        return model

    def _refuse_seeing(self, model: Any) -> None:
        """Reject an encoder, whose loss would be meaningless because it sees the token that it should predict."""
        import torch

        rows = model.get_input_embeddings().weight.shape[0]
        ids = torch.arange(PROBE, device=self.device) % rows
        changed = ids.clone()
        changed[-1] = (ids[-1] + rows // 2) % rows
        with torch.inference_mode(), quiet():
            before, after = (model(tokens[None], use_cache=False).logits[0, :-1].double() for tokens in (ids, changed))
        if (before - after).abs().max() > SEES_LATER[self.dtype] * before.std():
            raise DataError(
                f"{self.name} sees the tokens that come after ({self.folder.config['model_type']}, an encoder?), so "
                "that it does not predict them; give a model that predicts the next token"
            )

    def close(self) -> None:
        """Free the weights."""
        self.__dict__.pop("model", None)

    @property
    def size(self) -> Size:
        """The size of the model."""
        import torch

        config, model = self.config.get_text_config(), self.model
        whole = {id(weight): weight.numel() for weight in model.parameters()}
        tables = [part for part in model.modules() if isinstance(part, torch.nn.Embedding)]
        outside = {
            id(weight)
            for part in (*tables, model.get_output_embeddings())
            if part is not None
            for weight in part.parameters()
        }
        inner = sum(count for key, count in whole.items() if key not in outside)
        try:
            width, depth, vocab = config.hidden_size, config.num_hidden_layers, config.vocab_size
        except AttributeError as error:
            raise DataError(f"the config.json of {self.name} does not say its size: {brief(error)}") from None
        return Size(sum(whole.values()), inner, width, depth, vocab)
