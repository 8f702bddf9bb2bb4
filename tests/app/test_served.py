"""Are the tables of servers right where everything about the servers is known?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.figures import served_against_foretold
from app.served import foretold, points, summary
from app.served_errors import served_errors
from measurements import MeasuredPredicted, RecordError, ServedAnswer, ServedWave, ServerRecord
from profiler.server_record import text_sha256
from profiler.server_trace import ServedTrace
from simulator import DRAFTS_EXPONENT
from tests.factories import profile_header

NUM_PROMPTS, NEW_TOKENS, LONGEST = 8, 40, 10
BATCHES = (1, 4)
TEXTS = [[7 * prompt + at for at in range(NEW_TOKENS)] for prompt in range(NUM_PROMPTS)]


def accepted(prompt: int) -> np.ndarray:
    """Whether the draft agrees with each token of a prompt's text."""
    rng = np.random.default_rng(prompt)
    return rng.random(NEW_TOKENS + LONGEST) < 0.55 + 0.04 * prompt


def round_seconds(drafts: int, active: int) -> float:
    """The engine's clock: a plain step, more with drafts, more with company."""
    plain = 0.010 + 0.002 * active
    return (
        plain if not drafts else plain + 0.003 + drafts**DRAFTS_EXPONENT * (0.002 + 0.0005 * active)
    )


def rounds_of(prompt: int, drafts: int) -> list[int]:
    """Drafts kept in each round, counted one by one."""
    flags, at, kept = accepted(prompt), 1, []
    while at < NEW_TOKENS:
        keeps = 0
        while keeps < drafts and flags[at + keeps]:
            keeps += 1
        kept.append(keeps)
        at += keeps + 1
    return kept


def wave(unit: int, drafts: int, prompts: range) -> ServedWave:
    """What would be seen of the engine."""
    kept = {prompt: rounds_of(prompt, drafts) for prompt in prompts}
    arrivals = {prompt: [0.05] for prompt in prompts}
    now = 0.05
    for step in range(max(map(len, kept.values()))):
        running = [prompt for prompt in prompts if len(kept[prompt]) > step]
        now += round_seconds(drafts, len(running))
        for prompt in running:
            arrivals[prompt].append(now)
    everything = [k for rounds in kept.values() for k in rounds]
    answers = []
    for prompt in prompts:
        sizes = [1, *(k + 1 for k in kept[prompt])]
        sizes[-1] -= sum(sizes) - NEW_TOKENS  # the text ends inside the last round
        answers.append(
            ServedAnswer(
                prompt=prompt, prompt_tokens=9, sent_s=0.0, arrivals_s=arrivals[prompt],
                sizes=sizes, text_sha256=text_sha256(TEXTS[prompt]),
            )
        )  # fmt: skip
    return ServedWave(
        unit=unit, num_draft_tokens=drafts, batch=len(prompts), answers=answers,
        drafts=len(everything) if drafts else 0, drafted=drafts * len(everything),
        accepted_by_position=[sum(k > i for k in everything) for i in range(drafts)],
    )  # fmt: skip


def record(*drafts: int, **fields: Any) -> ServerRecord:
    header = profile_header()
    parts = [range(n, n + batch) for batch in BATCHES for n in range(0, NUM_PROMPTS, batch)]
    waves = [wave(unit, d, part) for unit, part in enumerate(parts) for d in (0, *drafts)]
    return ServerRecord(
        id="server-float32-20260102T030405Z-0a1b2c", created=header.created,
        machine=header.machine, dtype="float32", prompts=header.prompts, new_tokens=NEW_TOKENS,
        complete=True, engine="vLLM", engine_version="0", model="big", speculation="draft-model",
        draft="small", waves=waves, **fields,
    )  # fmt: skip


def trace() -> ServedTrace:
    kept = []
    for prompt in range(NUM_PROMPTS):
        flags = [*accepted(prompt), False]
        for at in range(1, len(flags) - 1):
            run = next(n for n in range(len(flags)) if not flags[at + n])
            kept.append(min(run, LONGEST))
    number = len(kept) // NUM_PROMPTS
    return ServedTrace(
        tuple(map(tuple, TEXTS)), np.array(kept), np.full(len(kept), LONGEST),
        np.full(NUM_PROMPTS, number),
    )  # fmt: skip


def test_times_of_rounds_are_the_engines() -> None:
    for point in points(record(4, 10).waves):
        expected = round_seconds(point.num_draft_tokens, point.active)
        assert point.seconds == pytest.approx(expected, rel=1e-9), point
        assert point.drafted == point.num_draft_tokens


def test_the_fit_tells_plain_steps_from_drafts() -> None:
    found = summary(record(4, 10))
    by_number = {row["sequences"]: row for row in found["fit"]}
    for active, row in by_number.items():
        assert row["draft_token_seconds"] == pytest.approx(0.002 + 0.0005 * active)
        assert row["fixed_seconds"] == pytest.approx(0.013 + 0.002 * active)
    assert by_number[1]["speculating_seconds"] == pytest.approx(0.003)
    for row in found["servers"]:
        assert row["rounds_seen"] == row["rounds_counted"] or not row["num_draft_tokens"]


def test_drafts_that_were_never_measured_are_foretold_exactly() -> None:
    measured, profile = record(1, 2, 3, 5, 8), record(4, 10)
    settings = foretold(measured, profile, trace(), [text_sha256(text) for text in TEXTS])
    assert [(s.num_draft_tokens, s.batch) for s in settings] == [
        (drafts, batch) for drafts in (1, 2, 3, 5, 8) for batch in BATCHES
    ]
    for setting in settings:
        assert setting.tau.error == pytest.approx(0.0, abs=1e-12)
        assert setting.survival_predicted == pytest.approx(setting.survival_measured)
        assert setting.seconds_per_token.error == pytest.approx(0.0, abs=1e-9)
        assert setting.speedup is not None
        assert setting.speedup.error == pytest.approx(0.0, abs=1e-9)
        assert setting.texts_as_traced == NUM_PROMPTS
        assert setting.extrapolated == (setting.num_draft_tokens < 4)


def test_pieces_that_came_together_do_not_lengthen_rounds() -> None:
    whole = wave(0, 4, range(1))
    answer = whole.answers[0]
    merged = answer.model_copy(
        update={
            "arrivals_s": [*answer.arrivals_s[:3], *answer.arrivals_s[4:]],
            "sizes": [*answer.sizes[:3], answer.sizes[3] + answer.sizes[4], *answer.sizes[5:]],
        }
    )
    (point,) = points([whole.model_copy(update={"answers": [merged]})])
    assert point.seconds == pytest.approx(round_seconds(4, 1))


@pytest.mark.parametrize(
    ("drafts", "told"), [((4,), "two numbers of drafts and a plain one, not of 4 alone")]
)
def test_a_profile_that_cannot_foretell_is_refused(drafts: tuple[int, ...], told: str) -> None:
    texts = [text_sha256(text) for text in TEXTS]
    with pytest.raises(RecordError, match=told):
        foretold(record(2), record(*drafts), trace(), texts)


def test_errors_of_servers_are_told_apart_by_what_was_profiled() -> None:
    settings = foretold(record(1, 5), record(4, 10), trace(), [text_sha256(t) for t in TEXTS])
    assert served_errors(settings).speedup_worst == pytest.approx(0.0, abs=1e-9)
    off = {1: 1.3, 5: 0.9}
    wrong = [
        one.model_copy(update={"speedup": MeasuredPredicted(
            measured=one.speedup.measured,
            predicted=one.speedup.measured * off[one.num_draft_tokens])})
        for one in settings if one.speedup is not None
    ]  # fmt: skip
    found = served_errors(wrong)
    assert found is not None
    assert (found.settings, found.profiled) == (4, 2)
    assert found.speedup_worst == pytest.approx(0.3)
    assert found.profiled_worst == pytest.approx(0.1)
    assert found.speedup_median == pytest.approx(0.2)
    assert served_errors([one.model_copy(update={"speedup": None}) for one in wrong]) is None


def test_the_chart_of_servers_shows_every_setting_and_whose_it_is() -> None:
    settings = foretold(record(1, 5), record(4, 10), trace(), [text_sha256(t) for t in TEXTS])
    marks = [
        one for one in served_against_foretold(settings, "vLLM 0").data if one.mode == "markers"
    ]
    assert [one.name for one in marks] == ["batch 1", "batch 4"]
    for mark, batch in zip(marks, BATCHES, strict=True):
        mine = [one for one in settings if one.batch == batch]
        assert list(mark.x) == [one.speedup.measured for one in mine if one.speedup]
        assert list(mark.marker.symbol) == [mark.marker.symbol[1] + "-open", mark.marker.symbol[1]]
        for one, story in zip(mine, mark.customdata, strict=True):
            assert f"vLLM 0, K = {one.num_draft_tokens}, batch = {batch}" in story
