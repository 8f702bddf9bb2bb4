"""What the models of a pair are and how they are trained: plain data, no training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from transformers import GPT2Config, LlamaConfig, PretrainedConfig

from engine.errors import InputError

Family = Literal["llama", "gpt2"]


@dataclass(frozen=True)
class ModelRecipe:
    """One model of a pair, and how fast it learns.

    Attributes
    ----------
    name : str
        Of the folder it is saved in.
    family : {"llama", "gpt2"}
    layers, hidden, intermediate, heads : int
    matrix_rate, other_rate : float
        Learning rates; see ``engine.training.trainer.make_optimizers``.
    """

    name: str
    family: Family
    layers: int
    hidden: int
    intermediate: int
    heads: int
    matrix_rate: float = 4e-3
    other_rate: float = 3e-3

    def config(self, vocab_size: int, context: int) -> PretrainedConfig:
        """Transformers configuration; embedding and output head share their weights."""
        common: dict[str, Any] = {
            "vocab_size": vocab_size, "bos_token_id": 0, "eos_token_id": 0,
            "initializer_range": 0.02, "tie_word_embeddings": True,
        }  # fmt: skip
        if self.family == "gpt2":
            return GPT2Config(
                n_positions=context, n_embd=self.hidden, n_layer=self.layers, n_head=self.heads,
                n_inner=self.intermediate, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                # gelu_new in one operator, which keeps one tensor for its gradient, not five
                activation_function="gelu_pytorch_tanh", **common,
            )  # fmt: skip
        return LlamaConfig(
            hidden_size=self.hidden, intermediate_size=self.intermediate,
            num_hidden_layers=self.layers, num_attention_heads=self.heads,
            num_key_value_heads=self.heads, max_position_embeddings=context, **common,
        )  # fmt: skip


EMBEDDED_TARGET = ModelRecipe("python-13m", "llama", 16, 256, 640, 4)
EMBEDDED_DRAFT = ModelRecipe("python-draft-2m", "llama", 1, 256, 640, 4)


@dataclass(frozen=True)
class PairRecipe:
    """Everything that decides what a pair becomes; the defaults make the embedded one.

    Attributes
    ----------
    target, draft : ModelRecipe
    vocab_size, context : int
        Tokenizer size and longest sequence. [tokens]
    batch, length : int
        Training windows per step and tokens per window.
    micro_batch : int or None
        Windows per forward; gradients of a step's forwards are added up. None: all at once.
    optimizer : {"muon", "adamw"}
        For the matrices inside layers; AdamW for the rest.
    checkpoint_every_s : float
        Work between two checkpoints. [s]
    shard_size : str
        Largest file of saved weights.
    stdlib_weight : float
        Share of training windows drawn from the standard library.
    package_bytes : int
        How much package source enters the corpus; 0 leaves packages out. [bytes]
    tokenizer_stride : int
        Every so many-th package file teaches the tokenizer.
    """

    target: ModelRecipe = EMBEDDED_TARGET
    draft: ModelRecipe = EMBEDDED_DRAFT
    vocab_size: int = 4096
    context: int = 1024
    batch: int = 8
    length: int = 512
    micro_batch: int | None = None
    optimizer: Literal["muon", "adamw"] = "muon"
    checkpoint_every_s: float = 120.0
    shard_size: str = "14MB"
    stdlib_weight: float = 0.35
    package_bytes: int = 40_000_000
    tokenizer_stride: int = 4

    def __post_init__(self) -> None:
        if self.batch % self.windows_per_forward:
            raise InputError(
                f"a step of {self.batch} windows cannot be cut into forwards of "
                f"{self.windows_per_forward}"
            )

    @property
    def windows_per_forward(self) -> int:
        """Windows that go through the model at a time."""
        return self.micro_batch or self.batch

    @property
    def tokens_per_step(self) -> int:
        """[tokens]"""
        return self.batch * self.length


# GPT-2 Large and a 40M draft as in the staged paper (arXiv:2308.04623, section 4), with a
# tokenizer of their own. Rates: those of GPT-2 models of these sizes, not tuned here.
GPT2_LARGE_PYTHON = PairRecipe(
    target=ModelRecipe("gpt2-large-python", "gpt2", 36, 1280, 5120, 20, 4e-4, 4e-4),
    draft=ModelRecipe("gpt2-40m-python", "gpt2", 7, 512, 2048, 8, 1e-3, 1e-3),
    vocab_size=32_768,
    batch=64,
    length=1024,
    micro_batch=8,
    optimizer="adamw",
    checkpoint_every_s=300.0,
    shard_size="2GB",
    package_bytes=400_000_000,
    tokenizer_stride=16,
)

# everything the large preset does, in seconds on a CPU; what it learns is of no use
TINY = PairRecipe(
    target=ModelRecipe("tiny-target", "gpt2", 2, 64, 128, 2),
    draft=ModelRecipe("tiny-draft", "gpt2", 1, 32, 64, 2),
    vocab_size=512,
    batch=4,
    length=32,
    micro_batch=2,
    optimizer="adamw",
    package_bytes=0,
)

PAIRS: Mapping[str, PairRecipe] = {
    "embedded": PairRecipe(),
    "gpt2-large-python": GPT2_LARGE_PYTHON,
    "tiny": TINY,
}
