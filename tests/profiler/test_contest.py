"""Turns between engines: order, resumption, ratios."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import InputError
from profiler.contest import (
    WARM_UP_TOKENS,
    Contestant,
    Unit,
    contest_ratios,
    contest_rows,
    group_numbers,
    hold,
    turns,
)
from profiler.contest_log import ContestLog

PROMPTS = [[1], [2, 2], [3, 3, 3], [4, 4, 4, 4], [5]]
NEW_TOKENS = 12


def contestants(events: list[tuple], short: str = "") -> list[Contestant]:
    """Two settings of two engines that note when they wake, decode and fall asleep."""

    def make(engine: str, method: str) -> Contestant:
        def decode(prompts: Sequence[list[int]], new_tokens: int) -> list[list[int]]:
            events.append(("decode", engine, method, len(prompts), new_tokens))
            cut = new_tokens - (1 if short == engine else 0)
            return [[len(prompt)] * cut for prompt in prompts]

        @contextmanager
        def awake() -> Iterator[None]:
            events.append(("wakes", engine, method))
            yield
            events.append(("sleeps", engine, method))

        return Contestant(engine, method, method, decode, awake)

    return [make(e, m) for e in ("ours", "theirs") for m in ("autoregressive", "chain")]


def test_every_group_is_decoded_by_everyone_in_rotating_order_one_awake(tmp_path: Path) -> None:
    events: list[tuple] = []
    those = contestants(events)
    log = ContestLog(tmp_path / "log.jsonl", {"of": 1})
    units = hold({1: those, 2: those}, PROMPTS, NEW_TOKENS, log)
    assert sorted((u.batch, u.number) for u in units) == sorted(group_numbers(5, (1, 2)))
    asleep = True
    for event in events:
        if event[0] == "wakes":
            assert asleep
        asleep = {"wakes": False, "sleeps": True}.get(event[0], asleep)
        assert event[0] != "decode" or not asleep
    for unit in units:
        assert list(unit.seconds) == [one.label for one in turns(those, unit.number)]
        lengths = [len(p) for p in PROMPTS[unit.number * unit.batch :][: unit.batch]]
        for texts in unit.texts.values():
            assert texts == [[length] * NEW_TOKENS for length in lengths]
    first = {next(iter(unit.seconds)) for unit in units if unit.batch == 1}
    assert len(first) == len(those)
    # every timed decode stands right behind a short one of the same prompts
    decodes = [event for event in events if event[0] == "decode"]
    short = [index for index, event in enumerate(decodes) if event[4] == WARM_UP_TOKENS]
    assert len(short) == len(units) * len(those)
    assert all(decodes[i + 1] == (*decodes[i][:4], NEW_TOKENS) for i in short)


def test_what_is_logged_is_not_decoded_again(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    those = contestants([])
    whole = hold({1: those}, PROMPTS, NEW_TOKENS, ContestLog(path, {"of": 1}))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:20])  # cut short in its third group
    events: list[tuple] = []
    again = hold({1: contestants(events)}, PROMPTS, NEW_TOKENS, ContestLog(path, {"of": 1}))
    assert [u.number for u in again] == [u.number for u in whole]
    assert [u.seconds for u in again[:2]] == [u.seconds for u in whole[:2]]
    timed = [e for e in events if e[0] == "decode" and e[4] == NEW_TOKENS]
    assert len(timed) == len(those) * (3 + 1)  # three groups, and one to warm up
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 6
    with pytest.raises(InputError, match="another of; name another"):
        ContestLog(path, {"of": 2})
    path.write_text("no log\n")
    with pytest.raises(InputError, match="is not a log of a contest"):
        ContestLog(path, {"of": 1})


def test_a_short_text_and_impossible_batches_are_refused(tmp_path: Path) -> None:
    log = ContestLog(tmp_path / "log.jsonl", {})
    with pytest.raises(InputError, match="theirs: autoregressive wrote 11 tokens, not 12"):
        hold({1: contestants([], short="theirs")}, PROMPTS, NEW_TOKENS, log)
    for batch in (0, 6):
        with pytest.raises(InputError, match=f"1 to the 5 prompts, not {batch}"):
            group_numbers(5, (batch,))


def test_ratios_are_of_plain_decoding_and_of_the_best_of_either() -> None:
    those = contestants([])
    seconds = {
        "ours: autoregressive": 2.0, "ours: chain": 1.0,
        "theirs: autoregressive": 3.0, "theirs: chain": 4.0,  # drafts that do not pay
    }  # fmt: skip
    texts = {one.label: [[7] * 10] for one in those} | {"theirs: chain": [[8] * 10]}
    units = [
        Unit(1, number, {k: v * (1 + number) for k, v in seconds.items()}, texts)
        for number in range(3)
    ]
    ratios = contest_ratios(those, units, "ours", "theirs")
    plain, best = ratios["autoregressive"], ratios["best"]
    assert plain["low"] == pytest.approx(1.5) == plain["high"]
    assert best["median"] == pytest.approx(3.0)
    assert (best["ours"], best["theirs"]) == ("chain", "autoregressive")
    swapped = contest_ratios(those, units, "theirs", "ours")
    assert swapped["best"]["median"] == pytest.approx(1 / 3)
    rows = {row["engine"] + row["method"]: row for row in contest_rows(those, units)}
    assert rows["ourschain"]["tokens_per_s"] == pytest.approx(30 / 6)
    assert rows["theirschain"]["speedup"]["median"] == pytest.approx(0.75)
    assert rows["theirsautoregressive"]["identical"] == rows["ourschain"]["texts"] == 3
    assert rows["theirschain"]["identical"] == 0
