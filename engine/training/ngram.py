"""Count n-grams in sampled text and make a Katz trigram of them.

Good and Turing's estimate needs how many n-grams were seen once, twice, ...
six times. It is taken before rare n-grams are left out to save space; what is
left out counts as unseen and is reached by backing off.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import InputError
from engine.katz import KatzTrigram, Trie, save_ngram, vocabulary_sha256
from engine.model import Model
from engine.training.sampled_text import TextRecipe, sample_texts

CUT = 5
"""Counts above this are reliable and keep everything (Katz 1987)."""

MAX_BYTES = 3_000_000
"""Of all arrays on disk. [bytes]"""


def train_ngram(
    model: Model,
    num_tokens: int,
    work: Path,
    *,
    recipe: TextRecipe | None = None,
    minutes: float | None = None,
    max_bytes: int = MAX_BYTES,
    report: Callable[[int], None] = lambda tokens: None,
) -> KatzTrigram:
    """Sample text from a draft model and save the trigram counted in it under work/ngram.

    Parameters
    ----------
    model : Model
        The draft whose choices are to be guessed.
    num_tokens : int
        To sample; an interrupted run keeps the text it has. [tokens]
    work : Path
    recipe : TextRecipe, optional
    minutes : float, optional
        Sampling ends with the text it has by then. [min]
    max_bytes : int
        See ``build_ngram``. [bytes]
    report : callable
        Receives the tokens sampled so far.
    """
    recipe = recipe or TextRecipe()
    files = sample_texts(model, recipe, work / "text", num_tokens, minutes=minutes, report=report)
    made = {
        "sampled_from": model.name,
        "temperature": recipe.temperature,
        "text_length": recipe.length,
        "seed": recipe.seed,
        "vocabulary_sha256": vocabulary_sha256(model.tokenizer),
    }
    texts = (np.load(path) for path in files)
    ngram = build_ngram(texts, model.vocab_size, max_bytes=max_bytes, made=made)
    save_ngram(ngram, work / "ngram")
    return ngram


def build_ngram(
    texts: Iterable[np.ndarray],
    vocab_size: int,
    *,
    min_count: int | None = None,
    max_bytes: int = MAX_BYTES,
    made: dict[str, Any] | None = None,
) -> KatzTrigram:
    """Count texts [rows, length]; no n-gram reaches over the end of a row.

    Parameters
    ----------
    texts : iterable of np.ndarray [rows, length]
    vocab_size : int
        [tokens]
    min_count : int, optional
        Pairs and triples seen less often are left out; by default the least that fits.
    max_bytes : int
        All arrays together, where min_count is left open. [bytes]
    made : dict, optional
        What else the card should say.

    Raises
    ------
    InputError
        If there is no text, or a token lies outside the vocabulary.
    """
    unigrams, pairs, triples = _count(texts, vocab_size)
    discounts = {"pairs": kept_shares(pairs[1]), "triples": kept_shares(triples[1])}
    least = min_count or 1
    trie = _trie(unigrams, _frequent(pairs, least), _frequent(triples, least))
    while min_count is None and _size(trie) > max_bytes:
        least += 1
        trie = _trie(unigrams, _frequent(pairs, least), _frequent(triples, least))
    card = {
        "kind": "Katz back-off",
        "order": 3,
        "vocab_size": vocab_size,
        "tokens": int(unigrams.sum()),
        "cut": CUT,
        "discounts": {order: shares.tolist() for order, (shares, _) in discounts.items()},
        "discounting": {order: method for order, (_, method) in discounts.items()},
        "least_count_kept": least,
        "pairs": {"seen": len(pairs[0]), "kept": len(trie.pair_tokens)},
        "triples": {"seen": len(triples[0]), "kept": len(trie.triple_tokens)},
        **(made or {}),
    }
    return _with_best(trie, card)


def kept_shares(counts: np.ndarray) -> tuple[np.ndarray, str]:
    """Share of its count that an n-gram seen 0, 1, ..., CUT times keeps, and the method.

    Notes
    -----
    Katz 1987: d_r = (r*/r - x) / (1 - x) with Turing's
    r* = (r + 1) n_{r+1} / n_r and x = (CUT + 1) n_{CUT+1} / n_1. Where a count of
    counts is missing or a share leaves (0, 1], as on small texts, the whole
    order takes absolute discounting instead, d_r = 1 - D/r with
    D = n_1 / (n_1 + 2 n_2), or 1/2 without n_1 (Ney, Essen, Kneser 1994).

    Examples
    --------
    >>> kept_shares(np.array([1, 1, 2]))[1]
    'absolute'
    """
    of_counts = np.bincount(np.minimum(counts, CUT + 2), minlength=CUT + 3)[: CUT + 2]
    n = of_counts.astype(np.float64)
    shares = np.ones(CUT + 1)
    r = np.arange(1, CUT + 1)
    if (n[1:] > 0).all():
        common = (CUT + 1) * n[CUT + 1] / n[1]
        turing = (r + 1) * n[2:] / (r * n[1:-1])
        if common < 1:
            shares[1:] = (turing - common) / (1 - common)
            if ((shares > 0) & (shares <= 1)).all():
                return shares, "Good-Turing"
    taken = n[1] / (n[1] + 2 * n[2]) if n[1] > 0 else 0.5
    shares[1:] = 1 - min(taken, 0.5) / r  # at most 1/2: with n_2 = 0 singletons would vanish
    return shares, "absolute"


Counted = tuple[np.ndarray, np.ndarray]
"""n-grams as ascending numbers in base vocab_size, and how often each was seen."""


def _count(texts: Iterable[np.ndarray], vocab_size: int) -> tuple[np.ndarray, Counted, Counted]:
    unigrams = np.zeros(vocab_size, dtype=np.int64)
    pairs, triples = [], []
    for text in texts:
        if text.size and int(text.max()) >= vocab_size:
            raise InputError(
                f"token {int(text.max())} of the text is outside the vocabulary of {vocab_size}"
            )
        unigrams += np.bincount(text.ravel(), minlength=vocab_size)
        wide = text.astype(np.uint64)
        pair = wide[:, :-1] * np.uint64(vocab_size) + wide[:, 1:]
        pairs.append(np.unique(pair, return_counts=True))
        triple = pair[:, :-1] * np.uint64(vocab_size) + wide[:, 2:]
        triples.append(np.unique(triple, return_counts=True))
    if not unigrams.sum():
        raise InputError("there is no text to count n-grams in")
    return unigrams, _merge(pairs), _merge(triples)


def _merge(parts: list[Counted]) -> Counted:
    """Counts of all parts added up."""
    keys, where = np.unique(np.concatenate([keys for keys, _ in parts]), return_inverse=True)
    counts = np.bincount(where, weights=np.concatenate([c for _, c in parts]))
    return keys, counts.astype(np.int64)


def _frequent(counted: Counted, least: int) -> Counted:
    keys, counts = counted
    return keys[counts >= least], counts[counts >= least]


def _trie(unigrams: np.ndarray, pairs: Counted, triples: Counted) -> Trie:
    """Sorted arrays; a triple's pair is seen at least as often, so it is there too."""
    vocab = np.uint64(len(unigrams))
    token = np.uint16 if len(unigrams) <= 1 << 16 else np.uint32
    first_of_pair = pairs[0] // vocab
    pair_of_triple = np.searchsorted(pairs[0], triples[0] // vocab)
    return Trie(
        unigram_counts=unigrams.astype(np.uint32),
        pair_starts=np.searchsorted(first_of_pair, np.arange(len(unigrams) + 1)).astype(np.uint32),
        pair_tokens=(pairs[0] % vocab).astype(token),
        pair_counts=_narrow(pairs[1]),
        triple_starts=np.searchsorted(pair_of_triple, np.arange(len(pairs[0]) + 1)).astype(
            np.uint32
        ),
        triple_tokens=(triples[0] % vocab).astype(token),
        triple_counts=_narrow(triples[1]),
    )


def _narrow(counts: np.ndarray) -> np.ndarray:
    """The narrowest unsigned integers that hold every count."""
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))


def _size(trie: Trie) -> int:
    """All arrays on disk, the best tokens included. [bytes]"""
    best = trie.pair_tokens.nbytes + len(trie.unigram_counts) * trie.pair_tokens.itemsize
    headers = 128 * (len(vars(trie)) + 2)
    return sum(array.nbytes for array in vars(trie).values()) + best + headers


def _with_best(trie: Trie, card: dict[str, Any]) -> KatzTrigram:
    """Look up the likeliest successor of every token and pair once and for all."""
    kind, vocab = trie.pair_tokens.dtype, len(trie.unigram_counts)
    none = KatzTrigram(trie, card, np.zeros(len(trie.pair_tokens), kind), np.zeros(vocab, kind))
    after_one = np.array([none.law([token]).argmax() for token in range(vocab)], dtype=kind)
    after_pair = after_one[trie.pair_tokens]
    for first in range(vocab):
        for pair in range(*map(int, trie.pair_starts[first : first + 2])):
            if trie.triple_starts[pair] < trie.triple_starts[pair + 1]:
                after_pair[pair] = none.law([first, int(trie.pair_tokens[pair])]).argmax()
    return KatzTrigram(trie, card, after_pair, after_one)
