"""Two accounts of a tree that nobody profiled: replay of a draft's ranks, and the engine."""

import numpy as np
import pandas as pd
import pytest

from engine.decode import Request
from engine.model import DEFAULT_DRAFT, DEFAULT_TARGET, Model, load_model
from engine.prompts import held_out_prompts
from profiler.methods import static_tree
from profiler.traces import trace_prompt
from simulator.replay import replay_windows
from simulator.tree_search import KeptChildren
from tests.tiny_models import tiny_pair

TREES = ("-1,-1", "-1,-1,0", "-1,-1,0,2,3,4", "-1,-1,-1,0,0,1,3,3,6")


def assert_rounds_equal(target: Model, draft: Model, prompts: list[list[int]], new: int) -> float:
    """Of every tree on every prompt; the share of tokens that only a second or third child is."""
    requests = [Request(prompt, new) for prompt in prompts]
    frame = pd.concat([trace_prompt(target, draft, r, i) for i, r in enumerate(requests)])
    ranks = frame["draft_rank"].to_numpy()
    kept = KeptChildren(ranks, np.full(len(prompts), new), frame["context"].to_numpy(float))
    for text in TREES:
        method = static_tree(draft, text)
        assert method.shape is not None
        parents = tuple(int(part) for part in text.split(","))
        replayed = replay_windows(kept.windows(parents)).rounds_per_prompt
        for index, request in enumerate(requests):
            got = method.decode(target, request)
            assert got.tokens == frame.loc[frame["prompt"] == index, "token"].tolist()
            assert replayed[index] == len(got.rounds), (text, index)
    return float(((ranks > 0) & (ranks < 3)).mean())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_any_trees_rounds_at_temperature_zero_are_predicted_exactly(family: str) -> None:
    target, draft = tiny_pair(family, noise=0.2)
    rng = np.random.default_rng(0)
    prompts = [rng.integers(0, 64, size=rng.integers(1, 12)).tolist() for _ in range(6)]
    assert assert_rounds_equal(target, draft, prompts, 41) > 0.01  # siblings matter


def test_any_trees_rounds_of_the_embedded_pair_are_predicted_exactly() -> None:
    target, draft = (load_model(name, device="cpu") for name in (DEFAULT_TARGET, DEFAULT_DRAFT))
    assert target.tokenizer is not None
    prompts = held_out_prompts().take(3).encode(target.tokenizer)
    assert assert_rounds_equal(target, draft, prompts, 32) > 0.01
