"""Prompt lookup: what it finds, and that drafting with it changes no text."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.decode import Request, decode_autoregressive, decode_speculative
from engine.drafters.lookup import LookupDrafter
from engine.errors import InputError
from engine.randomness import Randomness
from engine.rules import Greedy, Match, Rejection
from engine.sampling import Sampling
from engine.trees import Growth, Shape, Tree
from engine.verification import Verdict
from tests.laws import TableModel, largest_error
from tests.tiny_models import tiny_pair

EXACT = 1e-12
SHAPES: dict[str, Shape] = {
    "chain": Tree.chain(2),
    "tree": Tree((-1, -1, 0)),
    "grown": Growth(budget=3, depth=2, beam=2, width=2),
}
GREEDY = Greedy(Sampling())


def naive(
    text: list[int], num_tokens: int, max_ngram: int, recent: bool, min_ngram: int = 1
) -> list[int] | None:
    """Scan the whole text for the longest suffix that occurred before."""
    for n in range(min(max_ngram, len(text)), min_ngram - 1, -1):
        places = [i for i in range(len(text) - n) if text[i : i + n] == text[-n:]]
        if places:
            begin = places[-1 if recent else 0] + n
            whole = list(text)
            for place in range(begin, begin + num_tokens):
                whole.append(whole[place])
            return whole[len(text) :]
    return None


def proposal(drafter: LookupDrafter, pending: int, num_tokens: int) -> list[int] | None:
    draft = drafter.propose(torch.tensor([pending]), Tree.chain(num_tokens), GREEDY, None)
    return None if draft is None else draft.tokens.tolist()


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=30),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 6),
    st.booleans(),
)
def test_it_finds_what_a_scan_finds(
    text: list[int], one: int, other: int, num_tokens: int, recent: bool
) -> None:
    shortest, longest = sorted((one, other))
    drafter = LookupDrafter(longest, min_ngram=shortest, recent=recent)
    drafter.start(text, 100)
    wanted = naive(text, num_tokens, longest, recent, shortest)
    assert proposal(drafter, text[-1], num_tokens) == wanted


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 6), st.booleans()
)  # fmt: skip
def test_without_its_own_copy_it_stops_where_the_text_ends(
    text: list[int], num_tokens: int, recent: bool
) -> None:
    drafter = LookupDrafter(3, recent=recent, through_copy=False)
    drafter.start(text, 100)
    whole = naive(text, num_tokens, 3, recent)
    found = proposal(drafter, text[-1], num_tokens)
    if whole is None:
        assert found is None
        return
    assert found is not None and whole[: len(found)] == found
    # one token more would come from the copy: it repeats at the distance of the copy
    places = [i for i in range(1, len(text)) if text[i : i + len(found)] == found]
    assert len(found) == num_tokens or any(i + len(found) == len(text) for i in places)


@given(st.data())
def test_its_index_follows_commits_skips_and_rewinds(data: st.DataObject) -> None:
    text = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=8))
    drafter = LookupDrafter(3)
    drafter.start(text, 100)
    for _ in range(data.draw(st.integers(1, 8))):
        found = proposal(drafter, text[-1], 3)
        assert found == naive(text, 3, 3, True)
        if found is None:
            drafter.skip(torch.tensor(text[-1:]))
        else:
            kept = data.draw(st.integers(0, 3))
            drafter.commit(list(range(kept)))
            text += found[:kept]
        back = data.draw(st.integers(0, min(3, len(text))))
        drafter.rewind(back)
        text = [*text[: len(text) - back], data.draw(st.integers(0, 2))]
    fresh = LookupDrafter(3)
    fresh.start(text, 100)
    assert drafter._text == fresh._text
    assert dict(drafter._ends) == dict(fresh._ends)


def test_the_longest_suffix_wins_and_hits_are_counted() -> None:
    drafter = LookupDrafter()
    drafter.start([1, 2, 3, 9, 7, 3, 8, 1, 2, 3], 100)
    assert proposal(drafter, 3, 2) == [9, 7]  # after 1 2 3, not the later lone 3
    drafter.commit([])
    assert proposal(drafter, 5, 2) is None
    assert (drafter.hits, drafter.misses) == (1, 1)


def test_a_loop_is_drafted_at_full_length() -> None:
    drafter = LookupDrafter()
    drafter.start([5, 6, 5, 6], 100)
    assert proposal(drafter, 6, 5) == [5, 6, 5, 6, 5]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_exact_law(seed: int, shape: Shape) -> None:
    for sampling in (Sampling(1.0), Sampling(0.6, top_k=2)):

        def match(randomness: Randomness, sampling: Sampling = sampling) -> Match:
            return Match(sampling, randomness)

        target = TableModel(seed)
        assert largest_error(target, LookupDrafter, shape, 4, sampling) < EXACT
        assert largest_error(target, LookupDrafter, shape, 3, sampling, match) < EXACT


def test_keeping_every_proposal_is_noticed() -> None:
    class Gullible(Rejection):
        def verify(self, draft, logits):  # type: ignore[no-untyped-def]
            last = self.next_token(logits[-1:])
            drafted = draft.tokens.tolist()
            return Verdict(list(range(len(drafted))), drafted, int(last), last, True)

    plain = Sampling(1.0)
    wrong = largest_error(
        TableModel(0), LookupDrafter, Tree.chain(1), 4, plain, lambda r: Gullible(plain, r)
    )
    assert wrong > 1e-3


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_text_is_the_autoregressive_one(shape: Shape, temperature: float) -> None:
    target, _ = tiny_pair()
    request = Request([1, 2, 3, 1, 2], 60, Sampling(temperature), seed=3, rule="coupled")
    drafter = LookupDrafter()
    ours = decode_speculative(target, drafter, request, shape)
    assert ours.tokens == decode_autoregressive(target, request).tokens
    assert drafter.hits > 0 and drafter.misses > 0
    drafted = sum(r.num_draft_tokens > 0 for r in ours.rounds)
    assert drafted == drafter.hits


def test_a_suffix_of_no_tokens_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1 token, not 0"):
        LookupDrafter(0)
