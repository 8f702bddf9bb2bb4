"""A Katz back-off trigram over token ids, memory-mapped from disk.

Katz, "Estimation of Probabilities from Sparse Data for the Language Model
Component of a Speech Recognizer", IEEE Trans. ASSP 35(3), 1987. What was seen
after two tokens keeps its count, small counts discounted by Good and Turing's
estimate; the mass this frees goes to what was not seen there, in proportion to
the law after one token, and so down to single tokens.

Counts lie in a trie of sorted arrays: for every first token its second ones,
for every such pair its third ones. ``engine/training/ngram.py`` makes them.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from engine.errors import InputError
from engine.model import ZOO, Model

DEFAULT_NGRAM = "python-ngram"
CARD = "ngram.json"
ARRAYS = (
    "unigram_counts",
    "pair_starts",
    "pair_tokens",
    "pair_counts",
    "triple_starts",
    "triple_tokens",
    "triple_counts",
    "best_after_pair",
    "best_after_one",
)


@dataclass(frozen=True)
class Trie:
    """Counts of n-grams up to order 3, rare ones left out.

    Attributes
    ----------
    unigram_counts : np.ndarray [vocab]
    pair_starts : np.ndarray [vocab + 1]
        Pairs that begin with token a are entries pair_starts[a] to pair_starts[a + 1].
    pair_tokens, pair_counts : np.ndarray [pairs]
        Second token, ascending for each first one, and how often the pair was seen.
    triple_starts : np.ndarray [pairs + 1]
        Triples that begin with pair i.
    triple_tokens, triple_counts : np.ndarray [triples]
        Third token, ascending for each pair.
    """

    unigram_counts: np.ndarray
    pair_starts: np.ndarray
    pair_tokens: np.ndarray
    pair_counts: np.ndarray
    triple_starts: np.ndarray
    triple_tokens: np.ndarray
    triple_counts: np.ndarray


class KatzTrigram:
    """The law of the next token after two tokens.

    Attributes
    ----------
    card : dict
        How it was made; see ``engine.training.ngram``.
    vocab_size : int
        [tokens]
    trie : Trie
    arrays : dict
        All there is on disk, by name.
    """

    def __init__(
        self,
        trie: Trie,
        card: dict[str, Any],
        best_after_pair: np.ndarray,
        best_after_one: np.ndarray,
    ) -> None:
        self.trie, self.card = trie, card
        self.vocab_size = len(trie.unigram_counts)
        self._kept = {order: np.array(card["discounts"][order]) for order in ("pairs", "triples")}
        single = trie.unigram_counts.astype(np.float64) + 1  # one more each: no law is zero
        self._singles = single / single.sum()
        self._after_one = lru_cache(maxsize=256)(self._law_after_one)
        # an entry of a memoryview is read faster than one of an array, and is a Python int
        self._pair_starts, self._pair_tokens = trie.pair_starts.data, trie.pair_tokens.data
        self._best_after_pair, self._best_after_one = best_after_pair.data, best_after_one.data
        self.arrays = {
            **vars(trie),
            "best_after_pair": best_after_pair,
            "best_after_one": best_after_one,
        }

    def law(self, context: Sequence[int]) -> np.ndarray:
        """Probabilities [vocab], float64, of the token behind a text; its last two tokens count."""
        if not len(context):
            return self._singles.copy()
        last = context[-1]
        lower = self._after_one(last)
        pair = self._pair(context[-2], last) if len(context) > 1 else None
        if pair is None:
            return lower.copy()
        first, end = self.trie.triple_starts[pair : pair + 2]
        tokens = self.trie.triple_tokens[first:end]
        counts = self.trie.triple_counts[first:end]
        total = float(self.trie.pair_counts[pair])
        return _back_off(tokens, counts, total, self._kept["triples"], lower)

    def best(self, a: int, b: int) -> int:
        """The likeliest token behind a, b; the lowest of equals.

        Examples
        --------
        >>> ngram = load_ngram("python-ngram")
        >>> bool(ngram.best(7, 8) == ngram.law([7, 8]).argmax())
        True
        """
        end = self._pair_starts[a + 1]
        place = bisect_left(self._pair_tokens, b, self._pair_starts[a], end)
        if place < end and self._pair_tokens[place] == b:
            return self._best_after_pair[place]
        return self._best_after_one[b]

    def chain(self, a: int | None, b: int, num_tokens: int) -> list[int]:
        """The likeliest token behind a, b, then the likeliest behind b and it, and so on."""
        tokens: list[int] = []
        for _ in range(num_tokens):
            c = self._best_after_one[b] if a is None else self.best(a, b)
            tokens.append(c)
            a, b = b, c
        return tokens

    def _pair(self, a: int, b: int) -> int | None:
        """Entry of a pair, or None where it was too rare."""
        end = self._pair_starts[a + 1]
        place = bisect_left(self._pair_tokens, b, self._pair_starts[a], end)
        return place if place < end and self._pair_tokens[place] == b else None

    def _law_after_one(self, token: int) -> np.ndarray:
        first, end = self.trie.pair_starts[token : token + 2]
        tokens, counts = self.trie.pair_tokens[first:end], self.trie.pair_counts[first:end]
        total = float(self.trie.unigram_counts[token])
        return _back_off(tokens, counts, total, self._kept["pairs"], self._singles)


def _back_off(
    tokens: np.ndarray, counts: np.ndarray, total: float, kept: np.ndarray, lower: np.ndarray
) -> np.ndarray:
    """Discounted shares of what was seen; the rest is spread like ``lower``.

    Parameters
    ----------
    tokens, counts : np.ndarray [seen]
    total : float
        Times the context was seen, at least the sum of counts.
    kept : np.ndarray [cut + 1]
        Share that a count of 0, 1, ..., cut keeps; larger ones keep all.
    lower : np.ndarray [vocab]
        Law after the shorter context.
    """
    if not len(tokens):
        return lower.copy()
    small = np.minimum(counts, len(kept) - 1)
    seen = np.where(counts < len(kept), kept[small], 1.0) * counts / total
    left, unseen = 1 - seen.sum(), 1 - lower[tokens].sum()
    if left <= 1e-12 or unseen <= 1e-12:  # nothing freed, or nobody to give it to
        law = np.zeros_like(lower)
        law[tokens] = seen / seen.sum()
        return law
    law = lower * (left / unseen)
    law[tokens] = seen
    return law


def load_ngram(source: str, model: Model | None = None) -> KatzTrigram:
    """Open a zoo name or a local folder.

    Parameters
    ----------
    source : str
    model : Model, optional
        Refused if it reads other tokens than the n-grams were counted in.

    Raises
    ------
    InputError
        If there is no such n-gram, a file is damaged, or vocabularies differ.
    """
    folder = ZOO / source if (ZOO / source / CARD).is_file() else Path(source).expanduser()
    if not (folder / CARD).is_file():
        known = ", ".join(sorted(p.parent.name for p in ZOO.glob(f"*/{CARD}"))) or "none"
        raise InputError(f"no n-gram '{source}': no folder with {CARD}, and the zoo has {known}")
    try:
        card = json.loads((folder / CARD).read_text())
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        best = arrays.pop("best_after_pair"), arrays.pop("best_after_one")
        trie = Trie(**arrays)
        _check_trie(trie, card, best)
        ngram = KatzTrigram(trie, card, *best)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"cannot read the n-gram in '{folder}': {reason}") from None
    if model is not None:
        check_same_vocabulary(ngram, model)
    return ngram


def save_ngram(ngram: KatzTrigram, folder: Path) -> None:
    """Write arrays and card; the card last, so that a folder with one is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    for name, array in ngram.arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / CARD).write_text(json.dumps(ngram.card, indent=1) + "\n")


def check_same_vocabulary(ngram: KatzTrigram, model: Model) -> None:
    """Refuse n-grams counted in tokens that mean something else to the model.

    Raises
    ------
    InputError
        If vocabularies differ in size or, where the model has a tokenizer, in any entry.
    """
    if ngram.vocab_size != model.vocab_size:
        raise InputError(
            f"the n-gram has a vocabulary of {ngram.vocab_size} tokens, "
            f"{model.name} one of {model.vocab_size}"
        )
    counted_in, wanted = ngram.card.get("vocabulary_sha256"), vocabulary_sha256(model.tokenizer)
    if counted_in and wanted and counted_in != wanted:
        raise InputError(
            f"the n-gram was counted in tokens of another tokenizer than {model.name}'s: "
            f"vocabulary {counted_in[:12]}, not {wanted[:12]}"
        )


def vocabulary_sha256(tokenizer: PreTrainedTokenizerBase | None) -> str | None:
    """Digest of a tokenizer's entries with their ids; None without a tokenizer."""
    if tokenizer is None:
        return None
    entries = sorted(tokenizer.get_vocab().items())
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def _check_trie(trie: Trie, card: dict[str, Any], best: tuple[np.ndarray, np.ndarray]) -> None:
    """Sizes fit one another and the card."""
    vocab, pairs = len(trie.unigram_counts), len(trie.pair_tokens)
    sizes = {
        "vocabulary of the card": (card["vocab_size"], vocab),
        "pair_starts": (len(trie.pair_starts), vocab + 1),
        "pairs": (int(trie.pair_starts[-1]), pairs),
        "pair_counts": (len(trie.pair_counts), pairs),
        "triple_starts": (len(trie.triple_starts), pairs + 1),
        "triples": (int(trie.triple_starts[-1]), len(trie.triple_tokens)),
        "triple_counts": (len(trie.triple_counts), len(trie.triple_tokens)),
        "best_after_pair": (len(best[0]), pairs),
        "best_after_one": (len(best[1]), vocab),
    }
    for name, (found, wanted) in sizes.items():
        if found != wanted:
            raise ValueError(f"{name}: {found} entries where {wanted} belong")
