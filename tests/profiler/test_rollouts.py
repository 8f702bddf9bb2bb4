"""Rounds that are played and taken back: the law of a round, and nothing left behind."""

from functools import cache
from itertools import islice

import numpy as np
import pytest

from engine.decode import Request, decode_speculative
from engine.drafters.language_model import LanguageModelDrafter
from engine.randomness import Randomness
from engine.rules import Rejection
from engine.sampling import Sampling
from engine.trees import Growth
from measurements import as_windows
from profiler.methods import Method
from profiler.own_text import write_alone
from profiler.rollouts import kept_in_rollouts
from profiler.windows import Window, prompt_windows
from tests.laws import PROMPT, Branching, TableModel, exact_law, target_law
from tests.profiler.method_kinds import methods_of
from tests.profiler.test_window_laws import LENGTH, renewal, starts_by_text
from tests.tiny_models import tiny_pair

GROWN = Growth(budget=3, depth=2, beam=2, width=2)
PLAIN = Sampling(1.0)
TEXT = (1, 0, 2, 2)


def drafter(seed: int = 1) -> LanguageModelDrafter:
    return LanguageModelDrafter(TableModel(seed + 100))  # type: ignore[arg-type]


@cache
def law_of_kept(text: tuple[int, ...], length: int, seed: int = 1) -> np.ndarray:
    """P(0, 1, 2 drafts kept) in a round behind some text, of length in all, enumerated."""
    request = Request([*PROMPT, *text], length - len(text), PLAIN)

    def program(randomness: Randomness) -> int:
        return (
            decode_speculative(
                TableModel(seed),  # type: ignore[arg-type]
                drafter(seed),
                request,
                GROWN,
                rule=Rejection(PLAIN, randomness),
                on_round=lambda done: False,
            )
            .rounds[0]
            .num_accepted
        )

    law = exact_law(program)
    return np.array([law.get(kept, 0.0) for kept in range(3)])


def test_kept_drafts_have_the_law_of_a_round() -> None:
    """300 passes over one text, within five standard errors at every position and count."""
    target, method = TableModel(1), Method("tree", {}, drafter(), GROWN)
    request = Request(PROMPT, len(TEXT), PLAIN)
    script = Rejection(PLAIN, Branching(list(TEXT)))
    text = write_alone(target, request, script)  # type: ignore[arg-type]
    passes = 300
    kept = np.zeros((len(TEXT), 3))
    for seed in range(passes):
        played = Request(PROMPT, len(TEXT), PLAIN, seed=seed)
        rounds = islice(kept_in_rollouts(target, method, text, played), len(TEXT))  # type: ignore[arg-type]
        for position, done in enumerate(rounds):
            kept[position, done.kept] += 1 / passes

    def within(position: int, wanted: np.ndarray) -> bool:
        error = np.sqrt(wanted * (1 - wanted) / passes)
        return bool((np.abs(kept[position] - wanted) <= 5 * error + 1e-12).all())

    laws = [law_of_kept(TEXT[:position], len(TEXT)) for position in range(len(TEXT))]
    assert all(within(position, law) for position, law in enumerate(laws))
    assert not within(0, laws[1])  # negative control


def test_rounds_from_the_law_of_kept_drafts_are_near_the_truth_and_not_exact() -> None:
    """What a grown tree keeps is averaged over texts, not taken given the text: a small bias.

    Expected rounds over all texts of one random table, both sides enumerated. The
    bound is what the worst of six tables shows, rounded up: a pin, not a law.
    """
    seed = 6
    texts = target_law(TableModel(seed), LENGTH, PLAIN)
    starts = starts_by_text(TableModel(seed), lambda: drafter(seed), GROWN, "rejection", PLAIN)
    true = sum(chance * starts[text].sum() for text, chance in texts.items())
    estimated = 0.0
    for text, chance in texts.items():
        kept = [law_of_kept(text[:s], LENGTH, seed) for s in range(LENGTH)]
        survival = [np.cumsum(law[::-1])[::-1].tolist() for law in kept]
        estimated += chance * renewal([Window(0, s, 0.0) for s in survival]).sum()
    assert 0.001 < abs(estimated / true - 1) < 0.02


@pytest.mark.parametrize("prompt", [[7], [3, 17, 42, 5, 9]])
def test_at_temperature_zero_rounds_played_are_rounds_walked(prompt: list[int]) -> None:
    target, draft = tiny_pair(num_key_value_heads=4)  # type: ignore[arg-type]
    request = Request(prompt, 24)
    text = write_alone(target, request)
    for method in methods_of(target, draft):
        windows = prompt_windows(target, [method], request, 0)
        played = list(kept_in_rollouts(target, method, text, request))
        assert [r.kept for r in played] == [int(sum(s)) - 1 for s in windows["survival"]]
        assert [r.num_drafted for r in played] == windows["num_drafted"].tolist()


def test_windows_say_which_of_them_are_estimates() -> None:
    target, draft = tiny_pair(num_key_value_heads=4)  # type: ignore[arg-type]
    request = Request([3, 17, 42], 12, Sampling(1.0))
    methods = methods_of(target, draft)
    typical = Method("typical", {}, methods[0].drafter, methods[0].shape, "typical")
    frame = prompt_windows(target, [*methods, typical], request, 0)
    as_windows(frame)
    estimates = set(frame.loc[~frame["exact"], "method"])
    assert estimates == {"grown tree", "staged grown tree", "mtp grown tree", "typical"}
    assert frame.loc[frame["method"] == "chain", "exact"].all()
