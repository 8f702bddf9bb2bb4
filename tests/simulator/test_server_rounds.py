"""Do a server's rounds follow from a trace?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import chain_windows, lookup_windows, replay_chain, served_rounds


def walked(accepted: np.ndarray, num_draft_tokens: int, wanted: int) -> tuple[int, list[int]]:
    """Steps, and drafts kept by position, counted round by round like an engine."""
    at, steps, kept = 0, 0, [0] * num_draft_tokens
    while at < wanted:
        keeps = 0
        while keeps < num_draft_tokens and accepted[at + keeps]:
            kept[keeps] += 1
            keeps += 1
        at += keeps + 1
        steps += 1
    return steps, kept


@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(1, 6), st.integers(1, 20), st.integers(1, 3))
def test_rounds_are_those_of_an_engine_that_runs_over_the_end(data, drafts, wanted, texts) -> None:
    length = wanted + drafts
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=length, max_size=texts * length)))
    texts = flags.size // length
    flags = flags[: texts * length].reshape(texts, length)
    served = served_rounds(
        chain_windows(flags.ravel().astype(float), [length] * texts, drafts), drafts, wanted
    )
    each = [walked(np.append(row, False), drafts, wanted) for row in flags]
    assert served.steps.tolist() == [steps for steps, _ in each]
    assert served.accepted.tolist() == np.sum([kept for _, kept in each], axis=0).tolist()
    assert served.drafts == sum(steps for steps, _ in each)
    assert served.drafted_per_step == drafts
    assert served.tau == pytest.approx(1 + served.survival.sum())


def test_far_from_the_end_the_counting_is_replays() -> None:
    accept = np.random.default_rng(3).uniform(0.3, 1.0, 4000)
    served = served_rounds(chain_windows(accept, [4000], 4), 4, 3900)
    # the texts end differently, by less than one round in a thousand
    assert served.tau == pytest.approx(replay_chain(accept, [4000], 4).tau, rel=2e-3)


def test_a_step_without_a_match_is_no_draft() -> None:
    windows = lookup_windows([0, 2, 0, 0, 0, 0, 0, 0], [0, 2, 2, 2, 2, 2, 2, 2], [8])
    served = served_rounds(windows, 2, 5)
    # starts at 0 (no match), 1 (keeps 2) and 4 (keeps none)
    assert served.steps.tolist() == [3.0]
    assert (served.drafts, served.drafted) == (2.0, 4.0)
    assert served.accepted.tolist() == [1.0, 1.0]
    assert served.tau == 2.0


def test_a_text_too_short_for_its_last_round_is_refused() -> None:
    with pytest.raises(ValueError, match="go on for 8 tokens behind their first, not 7"):
        served_rounds(chain_windows(np.ones(7), [7], 3), 3, 5)
