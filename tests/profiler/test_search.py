"""The search over measured points, on an objective whose best setting is known."""

import multiprocessing
import sys
from pathlib import Path

import pytest

from engine.decode import Request
from engine.errors import InputError
from profiler.search import search
from profiler.search_ranking import MIN_PROMPTS, Setting
from profiler.search_space import SPACE, method_of, paired_decodes
from tests.profiler.toy_search import (
    BEST,
    PROMPTS,
    QUICK,
    TOY,
    Noisy,
    true_speedup,
    work,
    work_until_stuck,
)
from tests.tiny_models import tiny_pair


def test_the_best_setting_is_found_and_slow_ones_are_given_up(tmp_path: Path) -> None:
    measure = Noisy(0)
    standings = search(TOY, measure, PROMPTS, tmp_path / "j.log", num_trials=32, seed=1)
    best = standings[0]
    assert best.setting == BEST
    assert best.speedup == pytest.approx(2.0, rel=0.05)  # 4 sd: 4 * 0.03 * sqrt(2/12)
    slow = [s for s in standings if true_speedup(s.setting) < 1.3 and s.num_prompts < PROMPTS]
    assert slow and min(s.num_prompts for s in slow) == MIN_PROMPTS
    assert not any(s.close_to_best for s in slow)
    assert len(measure.asked) == len(set(measure.asked)) < 25 * PROMPTS * 0.8  # 25 settings
    for standing in standings:  # 4 sd of a difference on 6 prompts are 7 %
        truth = true_speedup(standing.setting) / 2.0
        assert standing.relative == pytest.approx(truth, rel=0.07)


def test_the_same_seed_makes_the_same_search(tmp_path: Path) -> None:
    one, two = Noisy(0), Noisy(0)
    for name, measure in (("one", one), ("two", two)):
        search(TOY, measure, PROMPTS, tmp_path / name, num_trials=8, seed=3)
    assert one.asked == two.asked


def test_an_interrupted_search_goes_on_where_it_stopped(tmp_path: Path) -> None:
    journal = tmp_path / "j.log"
    first = Noisy(0, stop_at=50)
    with pytest.raises(KeyboardInterrupt):
        search(TOY, first, PROMPTS, journal, num_trials=12, seed=1)
    second = Noisy(1)
    standings = search(TOY, second, PROMPTS, journal, num_trials=12, seed=2)
    assert 0 < len(second.asked) < 12 * PROMPTS
    measured = {(s, p) for s, p in first.asked + second.asked}
    assert {s.setting for s in standings} <= {s for s, _ in measured}
    kept = {s for s, p in first.asked} & {s.setting for s in standings}
    assert len(kept) >= 3  # 50 measurements are at least 4 whole trials of 12; one was cut short
    third = Noisy(2)
    again = search(TOY, third, PROMPTS, journal, num_trials=12, seed=3)
    assert third.asked == []  # the budget is spent
    assert again == standings


def test_two_processes_share_one_journal(tmp_path: Path) -> None:
    journal = tmp_path / "j.log"
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=work, args=(str(journal), seed)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
        assert worker.exitcode == 0
    nothing = Noisy(3)
    standings = search(TOY, nothing, PROMPTS, journal, num_trials=16, sharing=QUICK)
    assert nothing.asked == []
    assert true_speedup(standings[0].setting) >= 1.88  # the best, or beside it
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(journal)))
    (study,) = storage.get_all_studies()
    measured = [t for t in storage.get_all_trials(study._study_id) if "times" in t.user_attrs]
    labels = [t.user_attrs["claim"] for t in measured]
    assert 16 <= len(labels) == len(set(labels)) <= 17


def test_a_killed_process_costs_the_trial_under_way(tmp_path: Path) -> None:
    journal = tmp_path / "j.log"
    spawn = multiprocessing.get_context("spawn")
    stuck = spawn.Event()
    worker = spawn.Process(target=work_until_stuck, args=(str(journal), stuck))
    worker.start()
    assert stuck.wait(120)
    worker.kill()
    worker.join(60)
    rest = Noisy(2)
    standings = search(TOY, rest, PROMPTS, journal, num_trials=6, seed=2, sharing=QUICK)
    # 30 measurements: two whole trials of 12, and one cut short behind its sixth prompt
    assert len(rest.asked) <= 3 * PROMPTS + 6
    assert len(standings) == 6 and {s.setting for s in standings} > {s for s, _ in rest.asked}


def test_bad_journals_spaces_and_numbers_are_refused(tmp_path: Path) -> None:
    journal = tmp_path / "j.log"
    search({"lookup": {}}, Noisy(0), PROMPTS, journal, num_trials=1)
    with pytest.raises(InputError, match="belongs to a search with another space"):
        search(TOY, Noisy(0), PROMPTS, journal, num_trials=1)
    foreign = tmp_path / "foreign.log"
    foreign.write_text("not a journal\n")
    with pytest.raises(InputError, match=r"foreign\.log is no journal of a search"):
        search(TOY, Noisy(0), PROMPTS, foreign, num_trials=1)
    with pytest.raises(InputError, match="a space needs >= 1 method"):
        search({}, Noisy(0), PROMPTS, journal, num_trials=1)
    with pytest.raises(InputError, match="chain needs >= 1 value of num_draft_tokens, not 0"):
        search({"chain": {"num_draft_tokens": ()}}, Noisy(0), 4, journal, num_trials=1)
    with pytest.raises(InputError, match="need >= 1 prompt and trial, not 0 and 1"):
        search(TOY, Noisy(0), 0, journal, num_trials=1)


def test_a_missing_optuna_is_one_clear_line(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match="searching needs Optuna: pip install"):
        search(TOY, Noisy(0), PROMPTS, tmp_path / "j.log", num_trials=1)


def test_a_real_pair_is_searched(tmp_path: Path) -> None:
    """Wiring only: random weights say nothing about speed."""
    target, draft = tiny_pair()
    requests = [Request([1, 2, 3 + i], 12) for i in range(3)]
    space = {
        "chain": {"num_draft_tokens": range(1, 4)},
        "tree": {"tree": ("4-2-1", "grown")},
        "staged": {"num_draft_tokens": (2,), "lower": ("lookup",)},
        "lookup": {"num_draft_tokens": range(1, 4)},
    }
    seen = []

    def make(setting):  # type: ignore[no-untyped-def]
        seen.append(setting)
        return method_of(target, draft, setting)

    measure = paired_decodes(target, make, requests)
    standings = search(space, measure, 3, tmp_path / "j.log", num_trials=8, seed=0)
    assert len(seen) == len(set(seen)) == len(standings)
    assert all(s.num_prompts == 3 and s.speedup > 0 and s.close_to_best for s in standings)
    assert set(space) < set(SPACE)
    with pytest.raises(InputError, match="method must be one of chain, tree, staged"):
        method_of(target, draft, Setting("guess"))
