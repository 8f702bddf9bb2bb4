"""Load a causal language model and run it over a cache."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from engine.batch_cache import BatchStep
from engine.cache import KVCache
from engine.errors import InputError
from engine.lean_gpt2 import LeanGPT2
from engine.lean_llama import LeanLlama
from engine.location import DEFAULT_DRAFT as DEFAULT_DRAFT
from engine.location import DEFAULT_TARGET as DEFAULT_TARGET
from engine.location import ZOO as ZOO
from engine.location import locate
from engine.masks import Layout
from engine.self_check import require_own_logits
from engine.static_forward import StaticForward
from engine.transformers_model import TransformersForward

LEAN_FAMILIES = (LeanLlama, LeanGPT2)

ForwardKind = Literal["auto", "lean", "graphs", "transformers"]
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Forward(Protocol):
    """What a decode loop needs of a model's forward."""

    context: int
    cache_dtype: torch.dtype

    def forward(
        self,
        tokens: torch.Tensor,
        cache: KVCache,
        num_logits: int,
        layout: Layout | None = None,
        want_features: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Append tokens [num_tokens] to cache.

        Parameters
        ----------
        tokens : torch.Tensor [num_tokens], int64
        cache : KVCache
        num_logits : int
            Rows of logits wanted, from the end.
        layout : Layout, optional
            Positions and mask; by default each token sees all before it.
        want_features : bool

        Returns
        -------
        logits : torch.Tensor [num_logits, vocab]
        features : torch.Tensor [num_tokens, width] or None
            Last hidden states, behind the final norm.
        """
        ...

    def forward_batch(self, tokens: torch.Tensor, step: BatchStep) -> torch.Tensor:
        """Logits [rows, n, vocab] of tokens [rows, n], written to the cache of a batch."""
        ...


@dataclass(frozen=True)
class Model:
    """A causal LM ready to decode.

    Attributes
    ----------
    name : str
        Zoo name, hub id or last part of the folder it came from.
    hf : PreTrainedModel
        The Transformers model; shares its weights with ``forward``.
    forward_kind : {"lean", "graphs", "transformers"}
        Which forward runs.
    tokenizer : PreTrainedTokenizerBase or None
    """

    name: str
    hf: PreTrainedModel
    run: Forward
    forward_kind: str
    tokenizer: PreTrainedTokenizerBase | None = None

    @property
    def vocab_size(self) -> int:
        """Rows of the output head. [tokens]"""
        return int(self.hf.config.vocab_size)

    @property
    def context(self) -> int:
        """Longest sequence. [tokens]"""
        return self.run.context

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights; caches and logits may be wider (``Forward.cache_dtype``)."""
        return self.hf.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.hf.device

    @property
    def num_parameters(self) -> int:
        """Parameters, tied ones counted once."""
        return sum(p.numel() for p in self.hf.parameters())

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights. [bytes]"""
        return sum(p.numel() * p.element_size() for p in self.hf.parameters())

    def new_cache(self, capacity: int, spare: int = 0) -> KVCache:
        """Empty cache of this model's shape for texts of capacity tokens.

        ``spare`` tokens more may be held at a time: branches of a tree beside its path.

        Raises
        ------
        InputError
            If capacity exceeds the model's context.
        """
        if capacity > self.context:
            raise InputError(
                f"{capacity} tokens exceed the context of {self.name}: {self.context} tokens"
            )
        config = self.hf.config
        heads = config.num_attention_heads
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
        kv_heads = getattr(config, "num_key_value_heads", None) or heads

        def make(room: int) -> KVCache:
            return KVCache(
                config.num_hidden_layers,
                kv_heads,
                head_dim,
                room,
                dtype=self.run.cache_dtype,
                device=self.device,
            )

        if isinstance(self.run, StaticForward):
            return self.run.new_cache(capacity + spare, make)
        return make(capacity + spare)

    def forward(
        self,
        tokens: torch.Tensor,
        cache: KVCache,
        num_logits: int,
        layout: Layout | None = None,
    ) -> torch.Tensor:
        """Append tokens [num_tokens] to cache; the last num_logits rows, [num_logits, vocab]."""
        cache.require(tokens.shape[0])
        return self.run.forward(tokens, cache, num_logits, layout)[0]

    def forward_with_features(
        self,
        tokens: torch.Tensor,
        cache: KVCache,
        num_logits: int,
        layout: Layout | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As ``forward``, and the last hidden states of all tokens [num_tokens, width]."""
        cache.require(tokens.shape[0])
        logits, features = self.run.forward(tokens, cache, num_logits, layout, want_features=True)
        assert features is not None
        return logits, features


def wrap(
    name: str,
    hf: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None = None,
    forward: ForwardKind = "auto",
) -> Model:
    """A Model around a Transformers model that is already in memory.

    Raises
    ------
    InputError
        If the lean forward is asked for and does not support the model, or the model cannot
        be decoded over a cache that branches and rolls back (``engine.self_check``).
    """
    hf.eval()
    lean = next((family for family in LEAN_FAMILIES if family.supports(hf)), None)
    if forward in ("lean", "graphs") and lean is None:
        raise InputError(
            f"the lean forward does not support this model of type '{hf.config.model_type}'"
        )
    if lean is not None and forward == "graphs":
        static = StaticForward(lean(hf), captured=hf.device.type == "cuda")
        return Model(name, hf, static, "graphs", tokenizer)
    if lean is not None and forward != "transformers":
        return Model(name, hf, lean(hf), "lean", tokenizer)
    model = Model(name, hf, TransformersForward(hf), "transformers", tokenizer)
    if lean is None:
        require_own_logits(model)
    return model


def load_model(
    source: str,
    *,
    device: str = "auto",
    dtype: str = "float32",
    forward: ForwardKind = "auto",
) -> Model:
    """Load a zoo name, a local folder or a hub id.

    Parameters
    ----------
    source : str
    device : {"auto", "cpu", "cuda"}
    dtype : {"float32", "bfloat16", "float16"}
    forward : {"auto", "lean", "graphs", "transformers"}
        auto takes the lean forward where it supports the model; graphs replays it as CUDA
        graphs (``engine.static_forward``).

    Raises
    ------
    InputError
        If the folder is missing or is not a causal LM, the device is not
        there, or the dtype is unknown.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype must be one of {', '.join(DTYPES)}, not '{dtype}'")
    where = resolve_device(device)
    location = locate(source)
    try:
        config = AutoConfig.from_pretrained(location)
        hf = AutoModelForCausalLM.from_pretrained(location, config=config, dtype=DTYPES[dtype])
        tokenizer = AutoTokenizer.from_pretrained(location)
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        if not Path(location).is_dir():
            reason += "; a folder that holds the model works without network"
        raise InputError(f"cannot load a causal language model from '{source}': {reason}") from None
    return wrap(Path(source).name, hf.to(where), tokenizer, forward)


def resolve_device(device: str) -> torch.device:
    """The torch device for auto, cpu or cuda; refuses cuda where there is none."""
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device must be auto, cpu or cuda, not '{device}'")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("device cuda was asked for, but torch finds no CUDA device here")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def check_same_tokenizer(target: Model, draft: Model) -> None:
    """Refuse a draft whose token ids mean something else than the target's.

    Raises
    ------
    InputError
        If vocabularies differ in size or in any entry.
    """
    if target.vocab_size != draft.vocab_size:
        raise InputError(
            f"draft {draft.name} has a vocabulary of {draft.vocab_size} tokens, "
            f"target {target.name} one of {target.vocab_size}"
        )
    if target.tokenizer is None or draft.tokenizer is None:
        return
    ours, theirs = target.tokenizer.get_vocab(), draft.tokenizer.get_vocab()
    if ours != theirs:
        differing = {t for t in ours.keys() | theirs.keys() if ours.get(t) != theirs.get(t)}
        example = min(differing)
        raise InputError(
            f"tokenizers of {target.name} and {draft.name} differ in {len(differing)} tokens, "
            f"for example {example!r}: {ours.get(example)} and {theirs.get(example)}"
        )
