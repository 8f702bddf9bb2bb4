"""Several processes on one search: who measures what, and what is left of a killed one?"""

import json
import multiprocessing
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from engine.errors import InputError
from measurements import load_search_runs, merge_search_runs
from profiler.search import Sharing, rank_records, search
from profiler.search_claims import CLAIM, Watch, claim
from profiler.search_settings import settings_of, suggest, trial_parameters
from profiler.search_study import open_study
from tests.profiler.shared_search import NUM_SETTINGS, PROMPTS, SPACE, counted_work, work
from tests.profiler.toy_search import TOY, Noisy

PARAMETERS = {setting.label: trial_parameters(setting) for setting in settings_of(SPACE)}


def labelled(trial):
    return suggest(trial, SPACE).label


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module", params=["journal", "database"])
def shared(request, tmp_path_factory):
    """Three workers, one of them killed in the middle: its diary and the folders of records."""
    folder = tmp_path_factory.mktemp(request.param)
    place = {"journal": f"{folder}/j.log", "database": f"sqlite:///{folder}/study.db"}
    diary = folder / "diary.jsonl"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.profiler.shared_search"])  # imports once, not thrice
    barrier, stuck = context.Barrier(3), context.Event()
    workers = [
        context.Process(
            target=work,
            args=(place[request.param], folder / name, diary, name, barrier, event),
        )
        for name, event in (("a", stuck), ("b", None), ("c", None))
    ]
    for worker in workers:
        worker.start()
    assert stuck.wait(100), [worker.exitcode for worker in workers]
    workers[0].kill()
    for worker in workers:
        worker.join(100)
    assert [worker.exitcode for worker in workers] == [-9, 0, 0]
    lines = [json.loads(line) for line in diary.read_text().splitlines()]
    return lines, [folder / name for name in "abc"]


def test_no_setting_is_measured_twice(shared) -> None:
    lines, _ = shared
    ended = Counter((line["setting"], line["prompt"]) for line in lines if line["what"] == "end")
    assert set(ended.values()) == {1}
    assert len(ended) == NUM_SETTINGS * PROMPTS
    assert len({line["who"] for line in lines}) == 3


def test_the_killed_workers_setting_is_taken_up_where_it_stopped(shared) -> None:
    lines, _ = shared
    mine = [line for line in lines if line["who"] == "a"]
    last = mine[-1]
    assert last["what"] == "begin"  # killed while it measured
    of_it = [line for line in lines if line["setting"] == last["setting"]]
    ends = {line["who"] for line in of_it if line["what"] == "end"}
    assert ends > {"a"}  # its prompts were kept, another process measured the rest
    again = [line for line in of_it if line["who"] != "a" and line["what"] == "begin"]
    assert len(again) == PROMPTS - 2
    assert min(line["at"] for line in again) > last["at"]


def test_merged_records_equal_those_of_a_single_run(shared, tmp_path: Path) -> None:
    _, folders = shared
    alone = tmp_path / "alone"
    search(
        SPACE, counted_work(), PROMPTS, tmp_path / "j.log", num_trials=NUM_SETTINGS,
        identity={"pair": "tiny"}, records=alone, seed=3,
    )  # fmt: skip
    merged = tmp_path / "merged"
    assert merge_search_runs(folders, merged) == NUM_SETTINGS
    assert names(merged) == names(alone)
    assert rank_records(load_search_runs(merged)) == rank_records(load_search_runs(alone))
    assert merge_search_runs([alone], merged) == 0


def test_of_two_that_want_one_setting_the_later_steps_back(tmp_path: Path) -> None:
    """The other claims it after this one looked for a free setting, before it wrote its claim."""
    mine, other = (open_study(tmp_path / "j.log", {}, seed) for seed in (0, 1))
    rng = np.random.default_rng(0)
    theirs = []

    def overtaken(trial):
        label = suggest(trial, SPACE).label
        if not theirs:
            other.enqueue_trial(PARAMETERS[label])
            theirs.append(claim(other, PARAMETERS, 9, labelled, rng))
            assert theirs[0].user_attrs[CLAIM] == label
        return label

    got = claim(mine, PARAMETERS, NUM_SETTINGS, overtaken, rng)
    assert got.user_attrs[CLAIM] != theirs[0].user_attrs[CLAIM]


def test_claims_end_when_enough_settings_are_taken(tmp_path: Path) -> None:
    study, rng = open_study(tmp_path / "j.log", {}, 0), np.random.default_rng(0)
    claims = [claim(study, PARAMETERS, 7, labelled, rng) for _ in range(8)]
    labels = {trial.user_attrs[CLAIM] for trial in claims[:-1]}
    assert len(labels) == 7 and claims[-1] is None


def test_only_silence_that_was_watched_frees_a_setting(tmp_path: Path) -> None:
    study, rng, now = open_study(tmp_path / "j.log", {}, 0), np.random.default_rng(0), [0.0]
    watch = Watch(beat_s=1.0, grace_s=3.0, clock=lambda: now[0])
    alive, dead = (claim(study, PARAMETERS, 9, labelled, rng) for _ in range(2))
    freed = [watch.free_silent(study)]
    now[0] = 1000.0  # the watcher slept: nobody's silence
    freed.append(watch.free_silent(study))
    for second in range(3):
        now[0] += 1.0
        alive.set_user_attr("pulse", second)
        freed.append(watch.free_silent(study))
    assert freed == [[], [], [], [dead.number], []], freed
    rest = iter(lambda: claim(study, PARAMETERS, NUM_SETTINGS, labelled, rng), None)
    assert dead.user_attrs[CLAIM] in {trial.user_attrs[CLAIM] for trial in rest}


def test_a_process_whose_setting_was_taken_over_drops_it(tmp_path: Path) -> None:
    journal, noisy, asked = tmp_path / "j.log", Noisy(0), []

    def measure(setting, prompt):
        if len(asked) == 3:  # as another process does that believes this one dead
            other = open_study(journal, {"number of prompts": 4, "space": listed}, 0)
            other.tell(0, state=TrialState.FAIL)
        asked.append((setting, prompt))
        return noisy(setting, prompt)

    listed = {m: {name: list(v) for name, v in of.items()} for m, of in TOY.items()}
    standings = search(TOY, measure, 4, journal, num_trials=2, records=tmp_path / "r", seed=1)
    assert len(standings) == 2 == len(names(tmp_path / "r"))
    assert asked[3][0] not in {s.setting for s in standings} or len(set(asked)) < len(asked)


def test_a_database_resumes_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path}/study.db"
    first, more = Noisy(0), Noisy(1)
    search(TOY, first, 2, place, num_trials=2, seed=0)
    assert len(search(TOY, more, 2, place, num_trials=3, seed=1)) == 3
    assert len(first.asked) == 4 and len(more.asked) == 2
    with pytest.raises(InputError, match="cannot be opened as a database"):
        search(TOY, first, 2, "nosuch://host/name", num_trials=1)
    with pytest.raises(InputError, match="another pair"):
        search(TOY, first, 2, place, num_trials=1, identity={"pair": "other"})
    with pytest.raises(InputError, match="0 < beat < grace, not 2 and 1 s"):
        Sharing(beat_s=2, grace_s=1)
