"""Windows along the target's own text: walked, they are the engine's rounds."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.clock import StageClock
from engine.decode import Request, decode_autoregressive
from engine.errors import InputError
from engine.model import Model, wrap
from engine.rules import RuleName
from engine.sampling import Sampling
from measurements import as_windows
from profiler.methods import AUTOREGRESSIVE, Method
from profiler.own_text import write_alone
from profiler.proposals import drafts_with_a_model
from profiler.windows import prompt_windows
from tests.profiler.method_kinds import methods_of
from tests.tiny_models import noisy_copy, tiny_llama

HOT = Sampling(0.7)


@pytest.fixture(scope="module")
def pair() -> tuple[Model, Model]:
    hf = tiny_llama(num_key_value_heads=4)
    return wrap("target", hf), wrap("draft", noisy_copy(hf, 0.1))


def requests(sampling: Sampling) -> list[Request]:
    rng = np.random.default_rng(0)
    prompts = [rng.integers(0, 64, size=size).tolist() for size in (1, 2, 9)]
    return [Request(p, 24, sampling, seed=5 + i) for i, p in enumerate(prompts)]


def walked(survival: list[np.ndarray]) -> list[int]:
    """Starts of rounds where it is known what each keeps."""
    starts, position = [], 0
    while position < len(survival):
        assert set(survival[position]) <= {0.0, 1.0}
        starts.append(position)
        position += int(sum(survival[position]))
    return starts


def assert_rounds_are_walked(target: Model, methods: list[Method], request: Request) -> None:
    frame = prompt_windows(target, methods, request, 3)
    as_windows(frame)
    assert len(frame) == len(methods) * request.max_new_tokens
    for method in methods:
        mine = frame[frame["method"] == method.name].reset_index(drop=True)
        clock = StageClock(target.device)
        rounds = method.decode(target, request, clock).rounds
        starts = walked(list(mine["survival"]))
        assert [r.start for r in rounds] == starts, method.name
        assert [r.num_draft_tokens for r in rounds] == mine["num_drafted"][starts].tolist()
        calls = Counter(lap.round for lap in clock.laps() if lap.stage == "draft")
        if method.drafter is not None and drafts_with_a_model(method.drafter):
            wanted = [calls[i] for i in range(len(rounds))]
            assert mine["draft_calls"][starts].tolist() == wanted, method.name
        else:
            assert mine["draft_calls"].isna().all()
        assert mine["exact"].all()


def test_at_temperature_zero_walked_windows_are_the_engines_rounds(
    pair: tuple[Model, Model],
) -> None:
    target, draft = pair
    for request in requests(Sampling()):
        assert_rounds_are_walked(target, methods_of(target, draft), request)


@pytest.mark.parametrize("rule", ["match", "coupled"])
def test_guesses_above_temperature_zero_are_walked_too(
    rule: RuleName, pair: tuple[Model, Model]
) -> None:
    """With the seed of the text: a target that compares draws the same tokens in every round."""
    target, draft = pair
    for request in requests(HOT):
        methods = methods_of(target, draft, rule)
        assert_rounds_are_walked(target, methods, request)


def test_fixed_guesses_under_rejection_are_walked(pair: tuple[Model, Model]) -> None:
    target, draft = pair
    fixed = {"ngram", "ngram tree", "lookup", "lookup, else ngram", "diffusion, guesses"}
    methods = [m for m in methods_of(target, draft) if m.name in fixed]
    assert len(methods) == len(fixed)
    for request in requests(HOT):
        assert_rounds_are_walked(target, methods, request)


def test_a_window_of_another_position_is_not_the_engines_round(pair: tuple[Model, Model]) -> None:
    """Negative control: windows shifted by one position give other rounds."""
    target, draft = pair
    request = requests(Sampling())[2]
    method = methods_of(target, draft)[0]
    survival = list(prompt_windows(target, [method], request, 0)["survival"])
    starts = [r.start for r in method.decode(target, request).rounds]
    assert walked(survival) == starts
    assert walked([*survival[1:], survival[-1]]) != starts


def test_a_text_is_the_one_that_autoregressive_decoding_gives(pair: tuple[Model, Model]) -> None:
    target = pair[0]
    for request in [*requests(HOT), *(replace(r, rule="coupled") for r in requests(HOT))]:
        text = write_alone(target, request)
        assert text.tokens.tolist() == decode_autoregressive(target, request).tokens
        whole = torch.tensor(request.prompt + text.tokens.tolist())
        logits, features = target.forward_with_features(
            whole[:-1], target.new_cache(len(whole)), len(text)
        )
        assert torch.allclose(text.logits, logits, atol=1e-4)
        assert torch.allclose(text.features, features[-len(text) :], atol=1e-4)


def test_autoregressive_decoding_has_no_windows(pair: tuple[Model, Model]) -> None:
    with pytest.raises(InputError, match="method autoregressive drafts nothing"):
        prompt_windows(pair[0], [AUTOREGRESSIVE], requests(HOT)[0], 0)


def test_rounds_above_temperature_zero_are_predicted_from_the_text_alone(
    pair: tuple[Model, Model],
) -> None:
    """Trees of three children, whose third child's chance is sampled, over 1,200 tokens a side.

    Predicted on one text a prompt, decoded on another: five standard errors of
    the paired difference, about 4 % of the mean. A correct prediction fails
    once in two million seeds, and the seeds are fixed.
    """
    target, draft = pair
    sampling, rng = Sampling(1.0), np.random.default_rng(1)
    prompts = [rng.integers(0, 64, size=4).tolist() for _ in range(50)]
    methods = [m for m in methods_of(target, draft) if m.name in ("tree", "hydra tree")]
    for method in methods:
        predicted, measured, shifted = [], [], []
        for index, prompt in enumerate(prompts):
            frame = prompt_windows(target, [method], Request(prompt, 24, sampling, index), 0)
            survival = list(frame["survival"])
            predicted.append(expected_rounds(survival))
            shifted.append(expected_rounds([s[:1] for s in survival]))
            request = Request(prompt, 24, sampling, seed=10_000 + index)
            measured.append(len(method.decode(target, request).rounds))
        difference = np.array(predicted) - measured
        error = difference.std(ddof=1) / math.sqrt(len(prompts))
        assert error < 0.05 * np.mean(measured)
        assert abs(difference.mean()) < 5 * error, method.name
        # negative control: windows that keep nothing
        assert abs(np.mean(shifted) - np.mean(measured)) > 5 * error, method.name


def expected_rounds(survival: list[list[float]]) -> float:
    """The renewal process, one round after the other. [rounds]"""
    start = np.zeros(len(survival) + 1)
    start[0] = 1.0
    for position, row in enumerate(survival):
        for kept, chance in enumerate(-np.diff([*row, 0.0])):
            if chance > 0:
                start[position + kept + 1] += start[position] * chance
    return float(start[:-1].sum())
