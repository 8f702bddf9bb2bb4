"""Token streams for training, cached on disk.

A stream is one flat ``uint16`` array of documents separated by the
end-of-text token. The tail of each stream is set aside for evaluation.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from engine.training.corpus import Document

EVALUATION_SHARE = 0.02
"""Share of each stream, from its end, that is never trained on."""


@dataclass(frozen=True)
class Stream:
    """One flat token array and how often it is drawn from.

    Attributes
    ----------
    tokens : np.ndarray [num_tokens], uint16
    weight : float
        Relative probability that a training window comes from this stream.
    """

    tokens: np.ndarray
    weight: float

    @property
    def split(self) -> int:
        """Index where the evaluation tail begins. [tokens]"""
        return int(len(self.tokens) * (1 - EVALUATION_SHARE))


def encode_stream(
    documents: list[Document], tokenizer: PreTrainedTokenizerFast, path: Path
) -> np.ndarray:
    """Tokens of all documents as one array, read from path if it was encoded before."""
    if path.exists():
        return np.load(path, mmap_mode="r")
    end = tokenizer.eos_token_id
    pieces: list[np.ndarray] = []
    for first in range(0, len(documents), 256):
        texts = [d.text for d in documents[first : first + 256]]
        for encoding in tokenizer.backend_tokenizer.encode_batch(texts):
            pieces.append(np.asarray([*encoding.ids, end], dtype=np.uint16))
    tokens = np.concatenate(pieces)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npy")
    np.save(partial, tokens)
    partial.replace(path)
    return tokens


def sample_batch(
    streams: list[Stream], batch: int, length: int, rng: np.random.Generator
) -> torch.Tensor:
    """Random training windows.

    Returns
    -------
    torch.Tensor [batch, length + 1], int64
        Inputs and, shifted by one, labels.
    """
    weights = np.array([s.weight for s in streams])
    choice = rng.choice(len(streams), size=batch, p=weights / weights.sum())
    starts = [int(rng.integers(0, streams[i].split - length - 1)) for i in choice]
    rows = [streams[i].tokens[s : s + length + 1] for i, s in zip(choice, starts, strict=True)]
    return torch.from_numpy(np.stack(rows).astype(np.int64))


def evaluation_batches(
    streams: list[Stream], batch: int, length: int, num_batches: int
) -> list[torch.Tensor]:
    """Fixed windows from the evaluation tails, evenly spaced, all streams alike.

    Returns
    -------
    list of torch.Tensor [batch, length + 1], int64
    """
    per_stream = -(-batch * num_batches // len(streams))
    rows = []
    for stream in streams:
        starts = np.linspace(
            stream.split, len(stream.tokens) - length - 1, per_stream, dtype=np.int64
        )
        rows += [stream.tokens[s : s + length + 1].astype(np.int64) for s in starts]
    rows = rows[: batch * num_batches]
    stacked = torch.from_numpy(np.stack(rows))
    return list(stacked.split(batch))
