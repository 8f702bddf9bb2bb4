"""The recipe of the embedded pair: pretrain a target, distil a draft from it.

Shapes are chosen for a CPU, where per-layer overhead dominates: a deep and
narrow target with a one-layer draft has a cost ratio near 0.1, as large
models have on a GPU (docs/decisions/0001-embedded-pair.md).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from engine.training.corpus import HELD_OUT, Document, clean, package_documents, stdlib_documents
from engine.training.data import Stream, encode_stream, evaluation_batches, sample_batch
from engine.training.tokenizer import save_tokenizer, train_tokenizer
from engine.training.trainer import Budget, Progress, make_optimizers, train

SHARD_SIZE = "14MB"


@dataclass(frozen=True)
class PairRecipe:
    """Everything that decides what the embedded pair becomes.

    Attributes
    ----------
    vocab_size, context : int
        Tokenizer size and longest sequence. [tokens]
    hidden, intermediate, heads : int
        Widths shared by target and draft.
    target_layers, draft_layers : int
    batch, length : int
        Training windows per step and tokens per window.
    stdlib_weight : float
        Share of training windows drawn from the standard library.
    package_bytes : int
        How much package source enters the corpus. [bytes]
    """

    vocab_size: int = 4096
    context: int = 1024
    hidden: int = 256
    intermediate: int = 640
    heads: int = 4
    target_layers: int = 16
    draft_layers: int = 1
    batch: int = 8
    length: int = 512
    stdlib_weight: float = 0.35
    package_bytes: int = 40_000_000

    def config(self, layers: int, vocab_size: int) -> LlamaConfig:
        """Transformers configuration of a model with this many layers."""
        return LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=self.hidden,
            intermediate_size=self.intermediate,
            num_hidden_layers=layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=self.context,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
            initializer_range=0.02,
        )


@dataclass(frozen=True)
class Corpus:
    """The tokenizer and the two token streams a recipe trains on."""

    tokenizer: PreTrainedTokenizerFast
    streams: list[Stream]
    description: dict[str, object]


def build_corpus(recipe: PairRecipe, work: Path) -> Corpus:
    """Collect, clean and encode the corpus; cached in work."""
    seen: set[str] = set()
    stdlib = clean(stdlib_documents(), seen)
    packages = _subset(clean(package_documents(), seen), recipe.package_bytes)
    folder = work / "tokenizer"
    if (folder / "tokenizer.json").exists():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    else:
        sample = [d.text for d in stdlib] + [d.text for d in packages][::4]
        tokenizer = train_tokenizer(sample, recipe.vocab_size, recipe.context)
        save_tokenizer(tokenizer, folder)
    streams = [
        Stream(encode_stream(stdlib, tokenizer, work / "stdlib.npy"), recipe.stdlib_weight),
        Stream(encode_stream(packages, tokenizer, work / "packages.npy"), 1 - recipe.stdlib_weight),
    ]
    description = {
        "stdlib_files": len(stdlib),
        "stdlib_tokens": len(streams[0].tokens),
        "package_files": len(packages),
        "package_tokens": len(streams[1].tokens),
        "held_out_modules": list(HELD_OUT),
    }
    return Corpus(tokenizer, streams, description)


def train_target(
    recipe: PairRecipe,
    corpus: Corpus,
    budget: Budget,
    work: Path,
    *,
    device: str = "cpu",
    seed: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
) -> LlamaForCausalLM:
    """Pretrain the target on next-token prediction and save it under work/target."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(recipe.config(recipe.target_layers, len(corpus.tokenizer)))
    model.to(device).train()
    held_out = evaluation_batches(corpus.streams, 8, recipe.length, 2)

    def loss_on(batch: torch.Tensor) -> torch.Tensor:
        batch = batch.to(device)
        logits = _logits(model, batch[:, :-1], device)
        return F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        return loss_on(sample_batch(corpus.streams, recipe.batch, recipe.length, rng))

    last = train(
        model,
        make_optimizers(model, matrix_rate=4e-3, other_rate=3e-3),
        loss_of,
        lambda: _mean_loss(loss_on, held_out),
        budget,
        work / "target.pt",
        seed=seed,
        report=report,
    )
    _save_model(model, corpus, recipe, last, "next-token cross-entropy", work / "target")
    return model


def distil_draft(
    recipe: PairRecipe,
    corpus: Corpus,
    target: LlamaForCausalLM,
    budget: Budget,
    work: Path,
    *,
    device: str = "cpu",
    seed: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
) -> LlamaForCausalLM:
    """Distil a draft on the target's distribution and save it under work/draft.

    The loss is KL(target || draft) per position: a bound on the total
    variation, hence on the rejection rate. Embedding, final norm and first
    layer start as the target's.
    """
    torch.manual_seed(seed)
    draft = LlamaForCausalLM(recipe.config(recipe.draft_layers, len(corpus.tokenizer)))
    draft.model.embed_tokens.load_state_dict(target.model.embed_tokens.state_dict())
    draft.model.norm.load_state_dict(target.model.norm.state_dict())
    for mine, theirs in zip(draft.model.layers, target.model.layers, strict=False):
        mine.load_state_dict(theirs.state_dict())
    draft.to(device).train()
    target.to(device).eval()
    held_out = evaluation_batches(corpus.streams, 8, recipe.length, 2)

    def loss_on(batch: torch.Tensor) -> torch.Tensor:
        batch = batch.to(device)
        with torch.no_grad():
            wanted = _logits(target, batch[:, :-1], device).log_softmax(-1)
        got = _logits(draft, batch[:, :-1], device).log_softmax(-1)
        return F.kl_div(got, wanted, log_target=True, reduction="none").sum(-1).mean()

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        return loss_on(sample_batch(corpus.streams, recipe.batch, recipe.length, rng))

    last = train(
        draft,
        make_optimizers(draft, matrix_rate=4e-3, other_rate=3e-3),
        loss_of,
        lambda: _mean_loss(loss_on, held_out),
        budget,
        work / "draft.pt",
        seed=seed,
        report=report,
    )
    _save_model(draft, corpus, recipe, last, "KL from the target", work / "draft")
    return draft


def _logits(model: LlamaForCausalLM, tokens: torch.Tensor, device: str) -> torch.Tensor:
    with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
        return model(input_ids=tokens, use_cache=False).logits.float()


def _mean_loss(
    loss_on: Callable[[torch.Tensor], torch.Tensor], batches: list[torch.Tensor]
) -> float:
    with torch.no_grad():
        return float(np.mean([float(loss_on(batch)) for batch in batches]))


def _subset(documents: list[Document], max_bytes: int) -> list[Document]:
    """Evenly spaced documents, so that every package keeps its share."""
    total = sum(len(d.text) for d in documents)
    stride = max(1, -(-total // max_bytes))
    return documents[::stride]


def _save_model(
    model: LlamaForCausalLM,
    corpus: Corpus,
    recipe: PairRecipe,
    last: Progress,
    objective: str,
    folder: Path,
) -> None:
    """Write bfloat16 safetensors shards, tokenizer and model card."""
    saved = LlamaForCausalLM(model.config)
    saved.load_state_dict(model.state_dict())
    saved.to(torch.bfloat16).save_pretrained(folder, max_shard_size=SHARD_SIZE)
    save_tokenizer(corpus.tokenizer, folder)
    card = {
        "objective": objective,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": last.step,
        "training_tokens": last.step * recipe.batch * recipe.length,
        "training_minutes": round(last.worked_s / 60, 1),
        "held_out_loss_nats_per_token": round(last.evaluation or float("nan"), 4),
        "corpus": corpus.description,
    }
    (folder / "training.json").write_text(json.dumps(card, indent=1) + "\n")
