"""A noisy objective whose fastest setting is known; light enough to import in every process."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from profiler.search import Sharing, search
from profiler.search_ranking import Setting

TOY = {
    "chain": {"num_draft_tokens": range(1, 9)},
    "diffusion": {"num_draft_tokens": range(1, 9), "steps": (1, 2)},
    "lookup": {},
}
BEST = Setting("chain", (("num_draft_tokens", 5),))
PROMPTS = 12
QUICK = Sharing(beat_s=0.2, grace_s=2.0, poll_s=0.05)
HARDNESS = np.random.default_rng(5).lognormal(0, 0.3, PROMPTS)


def true_speedup(setting):
    values = dict(setting.parameters)
    if setting.method == "chain":
        return 2.0 - 0.12 * abs(values["num_draft_tokens"] - 5)
    return 1.1 - 0.02 * values["num_draft_tokens"] if values else 1.2


class Noisy:
    """Times with 3 % noise; counts what was asked, and may be interrupted."""

    def __init__(self, seed, stop_at=None):
        self.rng, self.stop_at, self.asked = np.random.default_rng(seed), stop_at, []

    def __call__(self, setting, prompt):
        if len(self.asked) == self.stop_at:
            raise KeyboardInterrupt
        self.asked.append((setting, prompt))
        plain, drift = HARDNESS[prompt], self.rng.lognormal(0, 0.5)
        noise = self.rng.lognormal(0, 0.03, 2)
        return drift * noise[0] * plain / true_speedup(setting), drift * noise[1] * plain


def work(journal: str, seed: int) -> None:
    search(TOY, Noisy(seed), PROMPTS, Path(journal), num_trials=16, seed=seed, sharing=QUICK)


def work_until_stuck(journal: str, stuck: Any) -> None:
    """Search, tell after 30 measurements, and hang until killed."""
    noisy = Noisy(1)

    def measure(setting, prompt):
        if len(noisy.asked) == 30:
            stuck.set()
            time.sleep(600)
        return noisy(setting, prompt)

    search(TOY, measure, PROMPTS, Path(journal), num_trials=6, seed=1, sharing=QUICK)
