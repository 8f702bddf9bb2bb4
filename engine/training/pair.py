"""Train a pair: pretrain a target, distil a draft from it.

Shapes of the embedded pair are chosen for a CPU, where per-layer overhead dominates: a deep and
narrow target with a one-layer draft has a cost ratio near 0.1, as large
models have on a GPU (docs/decisions/0001-embedded-pair.md).
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from engine.training.corpus import HELD_OUT, Document, clean, package_documents, stdlib_documents
from engine.training.data import Stream, encode_stream, evaluation_batches, sample_batch
from engine.training.recipes import ModelRecipe, PairRecipe
from engine.training.tokenizer import save_tokenizer, train_tokenizer
from engine.training.trainer import Budget, Progress, make_optimizers, train

CORPUS = "corpus.json"


@dataclass(frozen=True)
class Corpus:
    """The tokenizer and the two token streams a recipe trains on."""

    tokenizer: PreTrainedTokenizerFast
    streams: list[Stream]
    description: dict[str, object]


def build_corpus(recipe: PairRecipe, work: Path) -> Corpus:
    """Collect, clean and encode the corpus; what work holds already is not read again."""
    folder = work / "tokenizer"
    if (work / CORPUS).exists():
        return _cached_corpus(work)
    seen: set[str] = set()
    documents = {"stdlib": clean(stdlib_documents(), seen)}
    weights = {"stdlib": 1.0}
    if recipe.package_bytes:
        packages = _subset(clean(package_documents(), seen), recipe.package_bytes)
        documents["packages"] = packages
        weights = {"stdlib": recipe.stdlib_weight, "packages": 1 - recipe.stdlib_weight}
    if (folder / "tokenizer.json").exists():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    else:
        strides = {"stdlib": 1, "packages": recipe.tokenizer_stride}
        sample = [d.text for name, some in documents.items() for d in some[:: strides[name]]]
        tokenizer = train_tokenizer(sample, recipe.vocab_size, recipe.context)
        save_tokenizer(tokenizer, folder)
    lengths = {
        name: len(encode_stream(some, tokenizer, work / f"{name}.npy"))
        for name, some in documents.items()
    }
    description: dict[str, object] = {"held_out_modules": list(HELD_OUT)}
    for name, some in documents.items():
        kind = name.removesuffix("s")
        description |= {f"{kind}_files": len(some), f"{kind}_tokens": lengths[name]}
    known = json.dumps({"weights": weights, "description": description})
    partial = (work / CORPUS).with_suffix(".partial")
    partial.write_text(known)
    partial.replace(work / CORPUS)
    return _cached_corpus(work)


def _cached_corpus(work: Path) -> Corpus:
    known = json.loads((work / CORPUS).read_text())
    streams = [
        Stream(np.load(work / f"{name}.npy", mmap_mode="r"), weight)
        for name, weight in known["weights"].items()
    ]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")
    return Corpus(tokenizer, streams, known["description"])


def train_target(
    recipe: PairRecipe,
    corpus: Corpus,
    budget: Budget,
    work: Path,
    *,
    device: str = "cpu",
    seed: int = 0,
    compiled: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> PreTrainedModel:
    """Pretrain the target on next-token prediction and save it under work/target.

    ``compiled`` runs it through torch.compile, which pays for itself on a GPU after a minute.
    """
    model = _new_model(recipe.target, recipe, corpus, seed, device)
    forward = torch.compile(model) if compiled else model

    def loss_on(batch: torch.Tensor) -> torch.Tensor:
        batch = _to(batch, device)
        logits = _logits(forward, batch[:, :-1], device)
        return F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())

    last = _fit(model, recipe.target, recipe, corpus, loss_on, budget, work / "target.pt",
                seed, report)  # fmt: skip
    _save_model(model, corpus, recipe, last, "next-token cross-entropy", work / "target")
    return model


def distil_draft(
    recipe: PairRecipe,
    corpus: Corpus,
    target: PreTrainedModel,
    budget: Budget,
    work: Path,
    *,
    device: str = "cpu",
    seed: int = 0,
    compiled: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> PreTrainedModel:
    """Distil a draft on the target's distribution and save it under work/draft.

    The loss is KL(target || draft) per position: a bound on the total
    variation, hence on the rejection rate. In the Llama family, where widths agree, embedding,
    final norm and first layers start as the target's.
    """
    draft = _new_model(recipe.draft, recipe, corpus, seed, device)
    target.to(device).eval()
    alike = recipe.draft.family == "llama" and recipe.draft.hidden == recipe.target.hidden
    if alike and recipe.target.family == "llama":
        draft.model.embed_tokens.load_state_dict(target.model.embed_tokens.state_dict())
        draft.model.norm.load_state_dict(target.model.norm.state_dict())
        for mine, theirs in zip(draft.model.layers, target.model.layers, strict=False):
            mine.load_state_dict(theirs.state_dict())
    forward, teacher = (torch.compile(m) if compiled else m for m in (draft, target))

    def loss_on(batch: torch.Tensor) -> torch.Tensor:
        batch = _to(batch, device)
        with torch.no_grad():
            wanted = _logits(teacher, batch[:, :-1], device).log_softmax(-1)
        got = _logits(forward, batch[:, :-1], device).log_softmax(-1)
        return F.kl_div(got, wanted, log_target=True, reduction="none").sum(-1).mean()

    last = _fit(draft, recipe.draft, recipe, corpus, loss_on, budget, work / "draft.pt",
                seed, report)  # fmt: skip
    _save_model(draft, corpus, recipe, last, "KL from the target", work / "draft")
    return draft


def _new_model(
    model: ModelRecipe, recipe: PairRecipe, corpus: Corpus, seed: int, device: str
) -> PreTrainedModel:
    """A model with fresh weights, in float32."""
    torch.manual_seed(seed)
    config = model.config(len(corpus.tokenizer), recipe.context)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32).train()


def _fit(
    model: PreTrainedModel,
    one: ModelRecipe,
    recipe: PairRecipe,
    corpus: Corpus,
    loss_on: Callable[[torch.Tensor], torch.Tensor],
    budget: Budget,
    checkpoint: Path,
    seed: int,
    report: Callable[[Progress], None],
) -> Progress:
    windows = recipe.windows_per_forward
    held_out = evaluation_batches(corpus.streams, windows, recipe.length, max(2, 16 // windows))

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        return loss_on(sample_batch(corpus.streams, windows, recipe.length, rng))

    return train(
        model,
        make_optimizers(model, one.matrix_rate, one.other_rate, recipe.optimizer),
        loss_of,
        lambda: _mean_loss(loss_on, held_out),
        budget,
        checkpoint,
        seed=seed,
        accumulate=recipe.batch // windows,
        checkpoint_every_s=recipe.checkpoint_every_s,
        report=report,
    )


def _to(batch: torch.Tensor, device: str) -> torch.Tensor:
    """The batch on the device, copied while it is still busy with what came before."""
    if torch.device(device).type != "cuda":
        return batch.to(device)
    return batch.pin_memory().to(device, non_blocking=True)


def _logits(model: Callable[..., Any], tokens: torch.Tensor, device: str) -> torch.Tensor:
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
    model: PreTrainedModel,
    corpus: Corpus,
    recipe: PairRecipe,
    last: Progress,
    objective: str,
    folder: Path,
) -> None:
    """Write bfloat16 safetensors shards, tokenizer and model card."""
    saved = copy.deepcopy(model).to(torch.bfloat16)
    saved.save_pretrained(folder, max_shard_size=recipe.shard_size)
    save_tokenizer(corpus.tokenizer, folder)
    card = {
        "objective": objective,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": last.step,
        "training_tokens": last.step * recipe.tokens_per_step,
        "training_minutes": round(last.worked_s / 60, 1),
        "held_out_loss_nats_per_token": round(last.evaluation or float("nan"), 4),
        "corpus": corpus.description,
    }
    (folder / "training.json").write_text(json.dumps(card, indent=1) + "\n")
