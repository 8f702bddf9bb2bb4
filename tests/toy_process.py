"""A toy decoder with known costs: what would a profiler and a decoder have written?

Nothing here comes from the simulator. Acceptance follows a latent difficulty
that drifts along the text, stage times are lognormal around fixed laws, and
rounds are played out one by one, so a record made of it behaves like a real one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from measurements import STAGES_SCHEMA

NUM_PROMPTS = 20
NEW_TOKENS = 128
DRAFT_LENGTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12)
CONTEXTS = (64, 192, 320)
NOISE = 0.04  # standard deviation of the log of a stage time

# Seconds of a toy machine; n tokens, context c, gamma drafts per round.
STAGE_SECONDS = {
    "target": lambda n, c, gamma: 6.1e-3 * (1 + 0.022 * (n - 1)) * (1 + 1.2e-4 * c),
    "draft": lambda n, c, gamma: 5.2e-4 * (1 + 0.08 * (n - 1)) * (1 + 5e-5 * c),
    "draft_sampling": lambda n, c, gamma: 5.0e-5,
    "sampling": lambda n, c, gamma: 7.0e-5,
    "verification": lambda n, c, gamma: 9.0e-5 + 1.2e-5 * gamma,
    "commit": lambda n, c, gamma: 4.0e-5,
    "rest": lambda n, c, gamma: 6.0e-5,
}


def stages_table(seed: int = 3, repeats: int = 6) -> pd.DataFrame:
    """Raw stage samples over draft lengths and contexts, both modes."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, int, int, int, int, int, float]] = []
    for mode in ("greedy", "sampled"):
        for gamma in (0, *DRAFT_LENGTHS, 16):
            for context in CONTEXTS:
                for repeat in range(repeats):
                    calls = round_calls(gamma, two_token_start=repeat % 2 == 1)
                    times = [stage_seconds(s, n, context, gamma, rng) for s, n in calls]
                    rest = stage_seconds("rest", 0, context, gamma, rng)
                    calls.append(("round", gamma + 1))
                    times.append(sum(times) + rest)
                    rows += [
                        (stage, mode, gamma, n, context, 1, repeat, seconds)
                        for (stage, n), seconds in zip(calls, times, strict=True)
                    ]
    return pd.DataFrame(rows, columns=STAGES_SCHEMA.names)


def round_calls(gamma: int, two_token_start: bool = False) -> list[tuple[str, int]]:
    """The stages of one round in order, with the tokens each one processes."""
    if gamma == 0:
        return [("target", 1), ("sampling", 1), ("commit", 1)]
    calls = []
    for j in range(gamma):
        calls += [("draft", 2 if j == 0 and two_token_start else 1), ("draft_sampling", 1)]
    return [*calls, ("target", gamma + 1), ("verification", gamma), ("commit", 1)]


def stage_seconds(
    stage: str, num_tokens: int, context: int, gamma: int, rng: np.random.Generator
) -> float:
    """One noisy sample of a stage. [s]"""
    return float(STAGE_SECONDS[stage](num_tokens, context, gamma) * rng.lognormal(0.0, NOISE))


def trace_table(greedy: bool, seed: int = 5) -> pd.DataFrame:
    """One autoregressive trace with the draft's probabilities beside it."""
    rng = np.random.default_rng(seed)
    frames = [_trace_of_prompt(prompt, greedy, rng) for prompt in range(NUM_PROMPTS)]
    return pd.concat(frames, ignore_index=True)


def _trace_of_prompt(prompt: int, greedy: bool, rng: np.random.Generator) -> pd.DataFrame:
    n = NEW_TOKENS
    drift = np.empty(n)
    drift[0] = rng.normal()
    for t in range(1, n):
        drift[t] = 0.7 * drift[t - 1] + 0.7 * rng.normal()
    ease = 1.7 if greedy else 1.0
    overlap = 1 / (1 + np.exp(-(ease + rng.normal(0, 0.5) + 1.1 * drift)))
    sure = rng.random(n) < overlap**1.4
    mean_otherwise = (overlap - overlap**1.4) / (1 - overlap**1.4)
    unsure = rng.beta(3 * mean_otherwise + 1e-3, 3 * (1 - mean_otherwise) + 1e-3)
    accept = np.where(sure, 1.0, unsure)
    target_prob = np.clip(rng.beta(1.2, 1.0, n), 0.02, 1.0)
    draft_prob = np.where(sure, target_prob ** rng.uniform(0.4, 1, n), accept * target_prob)
    rank = np.where(sure, 0, rng.geometric(0.4, n))
    if greedy:
        accept = (rng.random(n) < overlap).astype(float)
        target_prob, draft_prob, overlap = np.ones(n), accept, accept
        rank = np.where(accept == 1, 0, rng.geometric(0.4, n))
    tops = rng.integers(0, 4096, (n, 4))
    weights = -np.sort(-rng.dirichlet(np.full(4, 0.5), n), axis=1)
    start = int(rng.integers(60, 190))
    return pd.DataFrame(
        {
            "prompt": prompt,
            "position": np.arange(n),
            "context": start + np.arange(n),
            "token": rng.integers(0, 4096, n),
            "target_prob": target_prob,
            "draft_prob": draft_prob,
            "overlap": overlap,
            "draft_rank": rank,
            "draft_entropy": rng.gamma(2.0, 0.6, n).astype("float32"),
            "draft_top_tokens": list(tops.astype("int32")),
            "draft_top_probs": list(weights.astype("float32")),
        }
    )


@dataclass(frozen=True)
class Decoded:
    """What one prompt cost: rounds, and seconds by stage."""

    num_tokens: int
    num_rounds: int
    seconds: dict[str, float]

    @property
    def total_seconds(self) -> float:
        """Wall time of the prompt's decoding. [s]"""
        return sum(self.seconds.values())


def decode(trace: pd.DataFrame, gamma: int, seed: int, drift: float = 1.0) -> list[Decoded]:
    """Play out every prompt's rounds along its trace; ``drift`` slows the whole machine."""
    rng = np.random.default_rng(seed)
    results = []
    for _, rows in trace.groupby("prompt"):
        accept = np.minimum(1.0, rows["draft_prob"] / rows["target_prob"]).to_numpy()
        context = rows["context"].to_numpy()
        t, rounds, all_kept = 0, 0, False
        seconds: dict[str, float] = {}
        while t < len(accept):
            drafts = min(gamma, len(accept) - t - 1)
            for stage, n in [*round_calls(drafts, all_kept), ("rest", 0)]:
                spent = stage_seconds(stage, n, int(context[t]), drafts, rng) * drift
                seconds[stage] = seconds.get(stage, 0.0) + spent
            kept = accepted_prefix(accept[t : t + drafts], rng)
            all_kept = 0 < drafts == kept
            t, rounds = t + kept + 1, rounds + 1
        results.append(Decoded(len(accept), rounds, seconds))
    return results


def accepted_prefix(accept: np.ndarray, rng: np.random.Generator) -> int:
    """Drafts kept before the first rejection."""
    refused = rng.random(len(accept)) >= accept
    return int(np.argmax(refused)) if refused.any() else len(accept)
