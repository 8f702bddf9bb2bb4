"""Save a trained denoiser beside its card, and load it for the target it was trained for.

A folder holds ``model.safetensors`` (bfloat16; embedding and head are the
target's and not stored) and ``drafter.json``: shape, target, fingerprints of
tokenizer and embedding, and how it was trained.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.diffusion.lean import LeanDenoiser
from engine.diffusion.network import Denoiser, DenoiserConfig
from engine.errors import InputError
from engine.model import ZOO, Model

DEFAULT_DIFFUSION = "python-diffusion"
KIND = "speculens diffusion drafter"


def save_diffusion(
    denoiser: Denoiser,
    folder: Path,
    target_name: str,
    tokenizer: PreTrainedTokenizerBase | None,
    training: dict[str, Any],
) -> None:
    """Write weights and card into folder."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.detach().to("cpu", torch.bfloat16).contiguous()
        for name, value in denoiser.state_dict().items()
    }
    save_file(weights, folder / "model.safetensors")
    card = {
        "kind": KIND,
        "target": target_name,
        "tokenizer_sha256": None if tokenizer is None else vocabulary_digest(tokenizer),
        "embedding_probe": embedding_probe(denoiser.embedding),
        "shape": asdict(denoiser.config),
        "training": training,
    }
    (folder / "drafter.json").write_text(json.dumps(card, indent=1) + "\n")


def load_diffusion(source: str, target: Model) -> LeanDenoiser:
    """Load a zoo name or a folder, in the target's dtype and on its device.

    Raises
    ------
    InputError
        If the folder is not a diffusion drafter, or was trained for another target: the hidden
        size, vocabulary, tokenizer or embedding differs.
    """
    folder = _locate(source)
    try:
        card = json.loads((folder / "drafter.json").read_text())
        if card.get("kind") != KIND:
            raise InputError(f"'{source}' is not a diffusion drafter: kind {card.get('kind')!r}")
        config = DenoiserConfig(**card["shape"])
        weights = load_file(folder / "model.safetensors")
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"cannot load a diffusion drafter from '{source}': {reason}") from None
    check_fits(card, config, target)
    return LeanDenoiser(_rebuild(config, weights, target.hf, source), target.context, target.dtype)


def check_fits(card: dict[str, Any], config: DenoiserConfig, target: Model) -> None:
    """Refuse a target that the drafter was not trained for, in one line."""
    made_for = f"the diffusion drafter was trained for {card.get('target')}"
    embedding = target.hf.get_input_embeddings().weight
    rows, width = embedding.shape
    if config.width != width:
        raise InputError(
            f"{made_for} with hidden size {config.width}; {target.name} has hidden size {width}"
        )
    if config.vocab_size != rows:
        raise InputError(
            f"{made_for} with a vocabulary of {config.vocab_size} tokens; {target.name} has {rows}"
        )
    known = card.get("tokenizer_sha256")
    if known and target.tokenizer is not None and vocabulary_digest(target.tokenizer) != known:
        raise InputError(f"{made_for}; the tokenizer of {target.name} gives tokens other ids")
    probe = torch.tensor(card["embedding_probe"])
    if not torch.allclose(torch.tensor(embedding_probe(embedding)), probe, rtol=0.02, atol=1e-4):
        raise InputError(f"{made_for}; {target.name} has another embedding, train it a drafter")


def vocabulary_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 of all tokens and their ids."""
    entries = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def embedding_probe(embedding: torch.Tensor) -> list[float]:
    """A few numbers that tell embeddings apart whatever dtype they are held in."""
    values = embedding.detach().float()
    spread = torch.linspace(0, len(values) - 1, 7).long()
    return [round(float(x), 4) for x in (*values[spread].norm(dim=1), values.std())]


def _rebuild(
    config: DenoiserConfig, weights: dict[str, torch.Tensor], target: PreTrainedModel, source: str
) -> Denoiser:
    head = target.get_output_embeddings().weight
    denoiser = Denoiser(config, target.get_input_embeddings().weight, head)
    try:
        denoiser.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(f"the weights in '{source}' do not fit its card: {reason}") from None
    return denoiser.to(head.device).eval()


def _locate(source: str) -> Path:
    for folder in (ZOO / source, Path(source).expanduser()):
        if (folder / "drafter.json").is_file():
            return folder
    raise InputError(f"no diffusion drafter '{source}': neither a folder with one nor in the zoo")
