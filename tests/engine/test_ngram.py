"""The n-gram draft: Katz's law, its files, and that drafting with it changes no text."""

import itertools
import json
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.decode import Request, decode_autoregressive, decode_speculative
from engine.drafters.ngram import NgramDrafter
from engine.errors import InputError
from engine.katz import KatzTrigram, check_same_vocabulary, load_ngram, save_ngram
from engine.model import ZOO, wrap
from engine.rules import Match, Rejection, RuleName
from engine.sampling import Sampling
from engine.training.ngram import CUT, build_ngram, kept_shares, train_ngram
from engine.training.sampled_text import TextRecipe, sample_texts
from engine.trees import Growth, Shape, Tree
from tests.laws import VOCAB, TableModel, exact_law, largest_error
from tests.tiny_models import tiny_llama, tiny_tokenizer

EXACT = 1e-12
SHAPES: dict[str, Shape] = {
    "chain": Tree.chain(2),
    "siblings": Tree((-1, -1)),
    "uneven": Tree((-1, -1, 0)),
    "grown": Growth(budget=3, depth=2, beam=2, width=2),
}


def some_text(vocab: int, rows: int, length: int, seed: int = 0) -> np.ndarray:
    """Text with a few frequent tokens and some structure."""
    rng = np.random.default_rng(seed)
    text = np.minimum(rng.geometric(0.25, (rows, length)) - 1, vocab - 1)
    text[:, 1::3] = (text[:, ::3][:, : text[:, 1::3].shape[1]] * 2 + 1) % vocab
    return text.astype(np.uint16)


@cache
def small_ngram(vocab: int = VOCAB, seed: int = 0, **settings: object) -> KatzTrigram:
    return build_ngram([some_text(vocab, 6, 12, seed)], vocab, **settings)  # type: ignore[arg-type]


class SlowKatz:
    """Katz's recursion over dictionaries, word for word."""

    def __init__(self, text: np.ndarray, vocab: int, least: int) -> None:
        self.vocab = vocab
        counted: list[Counter] = [Counter(), Counter(), Counter()]
        for row in text.tolist():
            for order in (1, 2, 3):
                counted[order - 1].update(
                    tuple(row[i : i + order]) for i in range(len(row) - order + 1)
                )
        self.shares = [{}] + [self.discounts(Counter(c.values())) for c in counted[1:]]
        self.counts = [counted[0]] + [
            Counter({gram: n for gram, n in c.items() if n >= least}) for c in counted[1:]
        ]
        self.behind: list[dict[tuple[int, ...], dict[int, int]]] = [{}, {}, {}]
        for order in (1, 2):
            for gram, times in self.counts[order].items():
                self.behind[order].setdefault(gram[:-1], {})[gram[-1]] = times

    def discounts(self, n: Counter) -> dict[int, float]:
        """Good and Turing's where they make sense, else absolute discounting."""
        try:
            common = (CUT + 1) * n[CUT + 1] / n[1]
            shares = {
                r: ((r + 1) * n[r + 1] / n[r] / r - common) / (1 - common)
                for r in range(1, CUT + 1)
            }
            useful = all(n[r] > 0 for r in range(1, CUT + 2)) and common < 1
            if useful and all(0 < share <= 1 for share in shares.values()):
                return shares
        except ZeroDivisionError:
            pass
        taken = min(0.5, n[1] / (n[1] + 2 * n[2])) if n[1] else 0.5
        return {r: 1 - taken / r for r in range(1, CUT + 1)}

    def probability(self, context: tuple[int, ...], token: int) -> float:
        order = len(context) + 1
        if order == 1:
            total = sum(self.counts[0].values()) + self.vocab
            return (self.counts[0][token,] + 1) / total
        seen = self.behind[order - 1].get(context, {})
        shorter = context[1:]
        if not seen:
            return self.probability(shorter, token)
        total = self.counts[order - 2][context]
        direct = {c: self.shares[order - 1].get(n, 1.0) * n / total for c, n in seen.items()}
        left = 1 - sum(direct.values())
        unseen = 1 - sum(self.probability(shorter, c) for c in seen)
        if left <= 1e-12 or unseen <= 1e-12:
            return direct.get(token, 0.0) / sum(direct.values())
        if token in direct:
            return direct[token]
        return left / unseen * self.probability(shorter, token)


@pytest.mark.parametrize("vocab, rows, length", [(3, 6, 12), (5, 40, 30), (60, 100, 40)])
@pytest.mark.parametrize("least", [1, 2])
def test_the_law_is_katzs(vocab: int, rows: int, length: int, least: int) -> None:
    text = some_text(vocab, rows, length)
    ngram = build_ngram([text[: rows // 2], text[rows // 2 :]], vocab, min_count=least)
    slow = SlowKatz(text, vocab, least)
    pairs = list(itertools.product(range(vocab), repeat=2))[:: 1 + vocab // 4]
    contexts: list[tuple[int, ...]] = [(), *((a,) for a in range(vocab)), *pairs]
    for context in contexts:
        law = ngram.law(context)
        wanted = [slow.probability(context, token) for token in range(vocab)]
        assert law == pytest.approx(wanted, abs=1e-12), context
        assert law.sum() == pytest.approx(1, abs=1e-12)
        assert (law >= 0).all()
        if len(context) == 2:
            assert law[ngram.best(*context)] == law.max()


def test_both_ways_of_discounting_are_tested_above() -> None:
    methods = {
        method
        for vocab, rows, length in [(3, 6, 12), (5, 40, 30), (60, 100, 40)]
        for method in build_ngram([some_text(vocab, rows, length)], vocab)
        .card["discounting"]
        .values()
    }
    assert methods == {"Good-Turing", "absolute"}


def test_discounts_free_the_mass_turing_gives_to_unseen_ngrams() -> None:
    """Katz's condition: sum over r of n_r (1 - d_r) r = n_1, the mass of all unseen n-grams."""
    n = np.array([400, 150, 80, 50, 35, 25])  # seen 1 to 6 times
    counts = np.repeat(np.arange(1, 7), n)
    shares, method = kept_shares(counts)
    assert method == "Good-Turing"
    r = np.arange(1, CUT + 1)
    assert (n[:5] * (1 - shares[1:]) * r).sum() == pytest.approx(400)


@pytest.mark.parametrize("counts", [[1], [1, 1, 1], [2, 3, 4], [9, 9], [1, 2, 3, 4, 5, 6]])
def test_missing_counts_of_counts_fall_back(counts: list[int]) -> None:
    shares, method = kept_shares(np.array(counts))
    assert method == "absolute"
    assert ((shares > 0) & (shares <= 1)).all()


def test_a_chain_is_the_likeliest_successor_again_and_again() -> None:
    ngram = small_ngram(8)
    a, b, wanted = 3, 1, []
    for _ in range(5):
        a, b = b, int(ngram.law([a, b]).argmax())
        wanted.append(b)
    assert ngram.chain(3, 1, 5) == wanted
    assert ngram.chain(None, 1, 1) == [int(ngram.law([1]).argmax())]


def test_files_are_mapped_and_hold_the_same(tmp_path: Path) -> None:
    ngram = small_ngram(12, min_count=2)
    save_ngram(ngram, tmp_path)
    again = load_ngram(str(tmp_path))
    assert isinstance(again.trie.triple_counts, np.memmap)
    assert again.card == ngram.card
    for a, b in itertools.product(range(12), repeat=2):
        assert (again.law([a, b]) == ngram.law([a, b])).all()
        assert again.best(a, b) == ngram.best(a, b)


def test_rare_ngrams_are_left_out_until_it_fits() -> None:
    text = [some_text(200, 400, 60)]
    whole, small = build_ngram(text, 200), build_ngram(text, 200, max_bytes=12_000)
    assert small.card["least_count_kept"] > whole.card["least_count_kept"] == 1
    assert sum(array.nbytes for array in small.arrays.values()) <= 12_000
    assert small.card["discounts"] == whole.card["discounts"]  # taken before leaving out
    assert small.law([1, 2]).sum() == pytest.approx(1)


# drafting


@pytest.mark.parametrize("sampled", [False, True], ids=["guesses", "sampled"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("seed", range(2))
def test_exact_law(seed: int, shape: Shape, sampled: bool) -> None:
    ngram = small_ngram(seed=seed)

    def error(sampling: Sampling, num_tokens: int, rule=None) -> float:  # type: ignore[no-untyped-def]
        target = TableModel(seed)
        return largest_error(
            target, lambda: NgramDrafter(ngram, sampled=sampled), shape, num_tokens, sampling, rule
        )

    length = 3 if shape.size == 2 else 2
    for sampling in (Sampling(1.0), Sampling(0.6, top_k=2)):
        assert error(sampling, length) < EXACT
        assert error(sampling, 2, lambda r, s=sampling: Match(s, r)) < EXACT


def test_laws_that_are_not_what_was_drawn_from_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-gram drafts from the law behind the wrong token pair, but reports the right one."""
    ngram = small_ngram(seed=1)

    class Mistaken(Rejection):
        def choose(self, logits, depth, width):  # type: ignore[no-untyped-def]
            choice = super().choose(logits, depth, width)
            return type(choice)(choice.tokens, choice.laws.roll(1, dims=1))

    plain = Sampling(1.0)
    wrong = largest_error(
        TableModel(0), lambda: NgramDrafter(ngram, sampled=True), Tree.chain(2), 3, plain,
        lambda r: Mistaken(plain, r),
    )  # fmt: skip
    assert wrong > 1e-3


def test_its_context_is_the_text() -> None:
    """Rounds of every kind behind one another; the drafter's text must be the real one."""
    target, ngram = TableModel(0), small_ngram()
    texts = []

    def program(randomness):  # type: ignore[no-untyped-def]
        drafter = NgramDrafter(ngram)
        rule = Rejection(Sampling(1.0), randomness)
        request = Request([1, 0], 3, Sampling(1.0))
        generation = decode_speculative(target, drafter, request, Tree((-1, -1)), rule=rule)
        whole = [1, 0, *generation.tokens]
        texts.append(drafter._text == whole[: len(drafter._text)])
        assert len(drafter._text) >= 3
        return tuple(generation.tokens)

    exact_law(program)
    assert all(texts)


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("sampled", [False, True], ids=["guesses", "sampled"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_text_is_the_autoregressive_one(
    shape: Shape, sampled: bool, temperature: float
) -> None:
    target = wrap("target", tiny_llama())
    ngram = small_ngram(64)
    request = Request([1, 2, 3], 40, Sampling(temperature), seed=5, rule="coupled")
    drafter = NgramDrafter(ngram, sampled=sampled)
    ours = decode_speculative(target, drafter, request, shape)
    assert ours.tokens == decode_autoregressive(target, request).tokens
    assert {source for _, source in ours.with_provenance()} <= {
        "ngram",
        "recovered",
        "bonus",
        "target",
    }


@pytest.mark.parametrize("rule", ["rejection", "block"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_float64_laws_meet_float32_targets(shape: Shape, rule: RuleName) -> None:
    """Tables have float64 laws, models float32 ones; trees once refused the mixture."""
    if rule == "block" and shape is not SHAPES["chain"]:
        pytest.skip("block verification judges chains")
    target = wrap("target", tiny_llama())
    request = Request([1, 2, 3], 40, Sampling(1.0), seed=5, rule=rule)
    drafter = NgramDrafter(small_ngram(64), sampled=True)
    ours = decode_speculative(target, drafter, request, shape)
    assert len(ours.tokens) == 40


def test_one_token_prompts_work() -> None:
    target = wrap("target", tiny_llama())
    request = Request([1], 12)
    ours = decode_speculative(target, NgramDrafter(small_ngram(64)), request, Tree.chain(3))
    assert ours.tokens == decode_autoregressive(target, request).tokens


# making


def test_an_interrupted_sampling_ends_with_the_same_text(tmp_path: Path) -> None:
    model = wrap("draft", tiny_llama(vocab=20))
    recipe = TextRecipe(batch=4, length=16)
    sample_texts(model, recipe, tmp_path / "cut", 64)
    cut = sample_texts(model, recipe, tmp_path / "cut", 160)
    whole = sample_texts(model, recipe, tmp_path / "whole", 160)
    assert len(cut) == len(whole) == 3
    for ours, theirs in zip(cut, whole, strict=True):
        assert (np.load(ours) == np.load(theirs)).all()


def test_sampled_text_has_the_models_law(tmp_path: Path) -> None:
    """Second tokens of 4,096 texts against the model's law: chi-square, 1 in 10^4 false alarms."""
    model = wrap("draft", tiny_llama(vocab=12))
    recipe = TextRecipe(temperature=1.5, batch=4096, length=3)
    [path] = sample_texts(model, recipe, tmp_path, 1)
    seen = np.bincount(np.load(path)[:, 1], minlength=12)
    logits = model.hf(input_ids=torch.tensor([[0]])).logits[0, 0]
    wanted = 4096 * (logits / 1.5).softmax(-1).detach().numpy()
    assert ((seen - wanted) ** 2 / wanted).sum() < 37.4  # 11 degrees of freedom


def test_training_makes_a_folder_that_loads(tmp_path: Path) -> None:
    model = wrap("draft", tiny_llama(vocab=20))
    made = train_ngram(model, 2000, tmp_path, recipe=TextRecipe(batch=8, length=32))
    loaded = load_ngram(str(tmp_path / "ngram"), model)
    assert loaded.card["tokens"] == made.card["tokens"] >= 2000
    assert loaded.card["temperature"] == 1.5
    assert loaded.law([3, 4]).sum() == pytest.approx(1)


# the embedded one


def test_the_embedded_ngram_is_small_and_fits_the_embedded_models() -> None:
    folder = ZOO / "python-ngram"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 3_000_000
    ngram = load_ngram("python-ngram")
    assert ngram.card["temperature"] == 1.5
    assert ngram.card["tokens"] >= 5_000_000
    rng = np.random.default_rng(0)
    for a, b in rng.integers(ngram.vocab_size, size=(50, 2)).tolist():
        law = ngram.law([a, b])
        assert law.sum() == pytest.approx(1)
        assert law[ngram.best(a, b)] == law.max()


# refusals


def test_other_vocabularies_are_refused() -> None:
    ngram = small_ngram(20)
    with pytest.raises(InputError, match="vocabulary of 20 tokens, target one of 64"):
        check_same_vocabulary(ngram, wrap("target", tiny_llama()))
    drafter = NgramDrafter(ngram)
    with pytest.raises(InputError, match="token 63 of the prompt is outside"):
        drafter.start([1, 63], 10)


def test_other_tokenizers_are_refused(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    model = wrap("target", tiny_llama(vocab=len(tokenizer)), tokenizer)
    text = [some_text(len(tokenizer), 6, 12)]
    ngram = build_ngram(text, len(tokenizer), made={"vocabulary_sha256": "0" * 64})
    save_ngram(ngram, tmp_path)
    with pytest.raises(InputError, match="another tokenizer than target's"):
        load_ngram(str(tmp_path), model)


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no n-gram 'nowhere'"):
        load_ngram("nowhere")
    save_ngram(small_ngram(8), tmp_path)
    counts = tmp_path / "triple_counts.npy"
    np.save(counts, np.load(counts)[:-1])
    with pytest.raises(InputError, match="triple_counts"):
        load_ngram(str(tmp_path))
    counts.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="cannot read the n-gram"):
        load_ngram(str(tmp_path))
    (tmp_path / "ngram.json").write_text(json.dumps({"order": 3}))
    with pytest.raises(InputError, match="cannot read the n-gram"):
        load_ngram(str(tmp_path))


def test_bad_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="token 9 of the text is outside the vocabulary of 5"):
        build_ngram([np.array([[1, 9]])], 5)
    with pytest.raises(InputError, match="no text"):
        build_ngram([], 5)
    with pytest.raises(InputError, match="exceed the context of draft: 256"):
        sample_texts(wrap("draft", tiny_llama()), TextRecipe(length=300), tmp_path, 1)
    with pytest.raises(InputError, match="temperature must be above 0"):
        TextRecipe(temperature=0)
