"""Text with the target's last hidden states, cached on disk: what heads learn from.

Half the windows are corpus text; the others begin with corpus text and are
continued by the target itself, because that is the text on which heads draft
(self-distillation, arXiv:2401.10774, section 2.3.2). A window costs one
target forward per token once, however often heads are trained on it.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from engine.cache import KVCache, as_transformers_cache
from engine.masks import causal_mask
from engine.model import Model
from engine.sampling import Sampling, distribution, draw
from engine.training.data import Stream, evaluation_batches, sample_batch
from engine.training.trainer import Budget

PROMPT_LENGTH = 96
"""Corpus tokens in front of what the target continues. [tokens]"""

CONTINUED = (Sampling(0.0), Sampling(1.0))
"""How the target continues: rows of a chunk take turns."""

PROGRESS = "progress.json"


@dataclass(frozen=True)
class Windows:
    """Equally long texts and what the target's last layer says to them.

    Attributes
    ----------
    tokens : torch.Tensor [num_windows, length], int64
    features : torch.Tensor [num_windows, length, width]
        Behind the final norm.
    """

    tokens: torch.Tensor
    features: torch.Tensor


class FeatureStore:
    """Chunks of windows in a folder, read row by row.

    Parameters
    ----------
    folder : Path
        As left by ``collect``.
    """

    def __init__(self, folder: Path) -> None:
        count = _progress(folder)[0]
        chunks = [_chunk_paths(folder, i) for i in range(count)]
        self._tokens = [np.load(tokens, mmap_mode="r") for tokens, _ in chunks]
        self._features = [np.load(features, mmap_mode="r") for _, features in chunks]

    @property
    def num_tokens(self) -> int:
        """Tokens in all windows. [tokens]"""
        return sum(chunk.size for chunk in self._tokens)

    def sample(self, batch: int, length: int, rng: np.random.Generator) -> Windows:
        """Random pieces of windows, with replacement; all of a window where it is no longer."""
        picks = []
        for chunk in rng.integers(len(self._tokens), size=batch).tolist():
            rows, whole = self._tokens[chunk].shape
            start = int(rng.integers(max(0, whole - length) + 1))
            picks.append((chunk, int(rng.integers(rows)), slice(start, start + length)))
        tokens = np.stack([self._tokens[c][row, place] for c, row, place in picks])
        features = np.stack([self._features[c][row, place] for c, row, place in picks])
        tokens = tokens.astype(np.int64)
        return Windows(torch.from_numpy(tokens), torch.from_numpy(features).view(torch.bfloat16))


def collect(
    target: Model,
    streams: list[Stream],
    folder: Path,
    budget: Budget,
    *,
    batch: int = 32,
    length: int = 256,
    prompt_length: int = PROMPT_LENGTH,
    seed: int = 0,
    report: Callable[[float], None] = lambda share: None,
) -> FeatureStore:
    """Write chunks of windows until the budget (minutes, or chunks as its steps) is used.

    Continues where it was interrupted; chunk i is the same in any run.

    Parameters
    ----------
    target : Model
    streams : list of Stream
    folder : Path
    budget : Budget
    batch, length : int
        Windows per chunk; tokens per window.
    prompt_length : int
        [tokens]
    seed : int
    report : callable
        Receives the share of the budget used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chunk, worked_s = _progress(folder)
    while (share := budget.progress(chunk, worked_s)) < 1.0:
        report(share)
        started = time.perf_counter()
        rng = np.random.default_rng((seed, chunk))
        windows = sample_batch(streams, batch, length, rng)[:, :length]
        if chunk % 2:
            made = continued(target, windows[:, :prompt_length], length, rng)
        else:
            made = described(target, windows)
        _save(made, *_chunk_paths(folder, chunk))
        chunk += 1
        worked_s += time.perf_counter() - started
        _replace(folder / PROGRESS, json.dumps({"chunks": chunk, "worked_s": worked_s}))
    return FeatureStore(folder)


@torch.no_grad()
def described(target: Model, tokens: torch.Tensor, rows: int = 8) -> Windows:
    """Windows [num_windows, length] with the target's features; ``rows`` windows at a time."""
    parts = [
        _base(target.hf)(input_ids=part.to(target.device), use_cache=False).last_hidden_state
        for part in tokens.split(rows)
    ]
    return Windows(tokens, torch.cat(parts).to("cpu", torch.bfloat16))


@torch.no_grad()
def continued(
    target: Model,
    prompts: torch.Tensor,
    length: int,
    rng: np.random.Generator,
    samplings: tuple[Sampling, ...] = CONTINUED,
) -> Windows:
    """Prompts [num_windows, prompt_length] continued by the target to ``length`` tokens.

    Row i is sampled as ``samplings[i % len(samplings)]`` says.
    """
    batch, device = prompts.shape[0], target.device
    plain = target.new_cache(1)
    layers, _, heads, _, width = plain.keys.shape
    cache = KVCache(layers, heads, width, length, dtype=target.dtype, device=device, batch=batch)
    output = target.hf.get_output_embeddings()
    tokens, features = [prompts.to(device)], []
    while cache.length < length:
        new = tokens[-1]
        n, past = new.shape[1], cache.length
        mask = causal_mask(n, past, target.dtype, device)
        hidden = _base(target.hf)(
            input_ids=new,
            attention_mask=mask.expand(batch, 1, n, past + n),
            position_ids=torch.arange(past, past + n, device=device)[None].expand(batch, n),
            past_key_values=as_transformers_cache(cache),
            use_cache=True,
        ).last_hidden_state
        cache.advance(n)
        features.append(hidden.to("cpu", torch.bfloat16))
        uniforms = torch.from_numpy(rng.random(batch)).to(device)
        chosen = torch.empty(batch, dtype=torch.int64, device=device)
        logits = output(hidden[:, -1])
        for turn, sampling in enumerate(samplings):
            rows = slice(turn, None, len(samplings))
            chosen[rows] = draw(distribution(logits[rows], sampling), uniforms[rows])
        tokens.append(chosen[:, None])
    return Windows(torch.cat(tokens[:-1], dim=1).cpu(), torch.cat(features, dim=1))


def held_out_windows(
    target: Model,
    streams: list[Stream],
    *,
    batch: int = 16,
    length: int = 256,
    prompt_length: int = PROMPT_LENGTH,
    seed: int = 0,
) -> tuple[Windows, Windows]:
    """Corpus text that is never trained on, and the target's greedy continuations of it."""
    text = evaluation_batches(streams, batch, length, 1)[0][:, :length]
    rng = np.random.default_rng(seed)
    greedy = continued(target, text[:, :prompt_length], length, rng, (Sampling(0.0),))
    return described(target, text), greedy


def _base(hf: PreTrainedModel) -> PreTrainedModel:
    """The model without its output head; its last hidden state is behind the final norm."""
    return hf.base_model


def _chunk_paths(folder: Path, chunk: int) -> tuple[Path, Path]:
    return folder / f"tokens-{chunk:05d}.npy", folder / f"features-{chunk:05d}.npy"


def _progress(folder: Path) -> tuple[int, float]:
    """Whole chunks in the folder, and the work they took. [s]"""
    path = folder / PROGRESS
    if not path.exists():
        return 0, 0.0
    state = json.loads(path.read_text())
    return int(state["chunks"]), float(state["worked_s"])


def _save(windows: Windows, tokens_path: Path, features_path: Path) -> None:
    np.save(tokens_path, windows.tokens.numpy().astype(np.int32))
    np.save(features_path, windows.features.view(torch.uint16).numpy())


def _replace(path: Path, text: str) -> None:
    """Write a file that is never seen half written."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)
