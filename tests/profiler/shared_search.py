"""A search over tiny models by several processes, with work instead of time, so that it repeats."""

import json
import time
from pathlib import Path

from engine.decode import Request
from profiler.methods import AUTOREGRESSIVE
from profiler.search import Sharing, search
from profiler.search_settings import settings_of
from profiler.search_space import method_of
from tests.tiny_models import tiny_pair

SPACE = {
    "chain": {"num_draft_tokens": range(1, 6)},
    "staged": {"num_draft_tokens": (2, 4), "lower": ("lookup",)},
    "lookup": {"num_draft_tokens": (2, 4)},
}
NUM_SETTINGS = len(list(settings_of(SPACE)))
PROMPTS = 4  # too few to give a setting up early
STUCK_AT = PROMPTS + 3  # measurements: in the middle of a worker's second setting
SHARING = Sharing(beat_s=0.2, grace_s=3.0, poll_s=0.05)


def counted_work():
    """Decode for real; a round counts as 1 s and a drafted token as 0.1 s."""
    target, draft = tiny_pair()
    requests = [Request([1, 2, 3 + i], 16) for i in range(PROMPTS)]

    def measure(setting, prompt):
        made = method_of(target, draft, setting).decode(target, requests[prompt])
        plain = AUTOREGRESSIVE.decode(target, requests[prompt])
        drafted = sum(r.num_draft_tokens for r in made.rounds)
        return len(made.rounds) + 0.1 * drafted, float(len(plain.rounds))

    return measure


def work(place: str, records: Path, diary: Path, name: str, barrier, stuck=None) -> None:
    """Search with the others; write into the diary when each measurement begins and ends."""
    measure, begun = counted_work(), 0

    def note(what, setting, prompt):
        line = {"who": name, "what": what, "setting": setting.label, "prompt": prompt}
        with diary.open("a") as file:
            file.write(json.dumps({**line, "at": time.monotonic()}) + "\n")

    def noted(setting, prompt):
        nonlocal begun
        begun += 1
        note("begin", setting, prompt)
        if stuck is not None and begun == STUCK_AT:
            stuck.set()
            time.sleep(600)
        taken = measure(setting, prompt)
        time.sleep(0.02)  # so that the others get their share
        note("end", setting, prompt)
        return taken

    barrier.wait(120)
    search(
        SPACE, noted, PROMPTS, place, num_trials=NUM_SETTINGS, identity={"pair": "tiny"},
        records=records, sharing=SHARING,
    )  # fmt: skip
