"""At temperature 1, does every method keep as many tokens per round as its windows say?

Windows along texts of some seeds, decodes of the same prompts with others. An hour of
decoding, so left out of the ordinary run: ``pytest -m proof -s tests/proofs``.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.model import DEFAULT_DRAFT, DEFAULT_TARGET, load_model
from engine.prompts import read_prompts
from engine.sampling import Sampling
from measurements import canonical_parameters
from profiler.catalogue import catalogue
from profiler.methods import Method
from profiler.run import ProfilePlan
from profiler.windows import prompt_windows
from simulator import replay_windows
from simulator.method_prediction import read_method_traces

HUMANEVAL = Path(__file__).parents[3] / "shared" / "data" / "humaneval-100.jsonl"
NEW_TOKENS = 128
TEXTS, DECODES = 2, 2
"""Seeds of each side."""
SETTINGS = (
    'chain {"num_draft_tokens":6}',
    'chain {"num_draft_tokens":6,"rule":"block"}',
    'chain {"num_draft_tokens":6,"rule":"coupled"}',
    'chain {"candidates":8,"num_draft_tokens":6}',
    'tree {"nodes":20,"tree":"4-2-1"}',
    'tree {"rule":"match","tree":"4-2-1"}',
    'tree {"rule":"coupled","tree":"4-2-1"}',
    'tree {"nodes":12,"tree":"grown"}',
    'staged {"lower":"ngram-T1","num_draft_tokens":8}',
    'ngram {"counted":"ngram-T1","num_draft_tokens":2}',
    'lookup {"num_draft_tokens":4}',
    'diffusion {"num_draft_tokens":8,"steps":2}',
    'medusa {"nodes":16}',
    'hydra {"nodes":16}',
    'mtp {"num_draft_tokens":4}',
)

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not HUMANEVAL.exists(), reason="the HumanEval prompts are not here"),
]


def key(method: Method) -> str:
    return f"{method.name} {canonical_parameters(method.parameters)}"


def test_windows_say_what_the_engine_keeps() -> None:
    """Within 2 % of tau, as far as so many tokens can tell (three standard errors)."""
    target, draft = (
        load_model(name, device="cpu", dtype="bfloat16") for name in (DEFAULT_TARGET, DEFAULT_DRAFT)
    )
    methods = {key(m): m for m in catalogue(target, draft, ["all"]) if key(m) in SETTINGS}
    assert set(methods) == set(SETTINGS)
    assert target.tokenizer is not None
    prompts = read_prompts(HUMANEVAL).encode(target.tokenizer)
    predicted = {name: np.zeros((0, len(prompts))) for name in methods}
    measured = {name: np.zeros((0, len(prompts))) for name in methods}
    sampling = Sampling(1.0)
    for seed in range(DECODES):
        plan = ProfilePlan((sampling,), NEW_TOKENS, seed=1_000_003 * (seed + 1))
        requests = [plan.request(p, sampling, i) for i, p in enumerate(prompts)]
        for name, method in methods.items():
            rounds = [[len(method.decode(target, request).rounds) for request in requests]]
            measured[name] = np.vstack([measured[name], rounds])
        if seed < TEXTS:
            plan = ProfilePlan((sampling,), NEW_TOKENS, seed=777_000_007 + seed)
            frames = [
                prompt_windows(target, list(methods.values()), plan.request(p, sampling, i), i)
                for i, p in enumerate(prompts)
            ]
            table = pd.concat(frames).sort_values(["method", "parameters", "prompt", "position"])
            for (name, parameters), trace in read_method_traces(table, "T1").items():
                rounds = [replay_windows(trace.windows).rounds_per_prompt]
                predicted[f"{name} {parameters}"] = np.vstack(
                    [predicted[f"{name} {parameters}"], rounds]
                )
        for name in methods:
            report(name, predicted[name], measured[name])
    for name in methods:
        error, spread = error_of_tau(predicted[name], measured[name])
        assert abs(error) <= 0.02 + 3 * spread, name


def error_of_tau(predicted: np.ndarray, measured: np.ndarray) -> tuple[float, float]:
    """Error of log tau and its standard error over prompts: both sides' rounds of the same text."""
    mine, true = predicted.mean(axis=0), measured.mean(axis=0)
    error = np.log(true.sum() / mine.sum())
    influence = true / true.sum() - mine / mine.sum()
    return float(error), float(np.sqrt(len(mine) * influence.var() * len(mine) / (len(mine) - 1)))


def report(name: str, predicted: np.ndarray, measured: np.ndarray) -> None:
    error, spread = error_of_tau(predicted, measured)
    tau = NEW_TOKENS * measured.shape[1] / measured.mean(axis=0).sum()
    print(
        f"{len(measured)} decodes, {len(predicted)} texts: {name}: tau {tau:.3f}, "
        f"error of L2 {error:+.2%} ± {spread:.2%}",
        flush=True,
    )
