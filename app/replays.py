"""How many rounds does each method need along the target's own texts behind some prompts?

Windows of many methods on many prompts take long; one line of JSON per prompt and
sampling is kept, so that an interrupted run goes on.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator import replay_windows
from simulator.method_costs import Setting
from simulator.method_prediction import read_method_traces

if TYPE_CHECKING:
    from engine.model import Model
    from profiler.methods import Method
    from profiler.run import ProfilePlan


def replayed_rounds(
    target: Model,
    methods: Sequence[Method],
    encoded: Sequence[list[int]],
    plan: ProfilePlan,
    path: Path,
    identity: Mapping[str, Any],
    show: Callable[[str, int, int], None],
) -> dict[tuple[str, Setting], np.ndarray]:
    """Expected rounds of each prompt [num_prompts], by sampling label and setting.

    Parameters
    ----------
    target : Model
    methods : sequence of Method
    encoded : sequence of list of int
        Prompts as token ids.
    plan : ProfilePlan
        Samplings, tokens per prompt and seeds.
    path : Path
        What was replayed so far; made when absent, made anew when of something else.
    identity : mapping
        What it is of, JSON-ready.
    show : callable
        Receives what is worked on, units done, units in all.
    """
    from profiler.windows import prompt_windows

    done = _read(path, identity)
    keys = [(s, prompt) for prompt in range(len(encoded)) for s in plan.samplings]
    rounds: dict[tuple[str, Setting], np.ndarray] = defaultdict(lambda: np.zeros(len(encoded)))
    with path.open("a", encoding="utf-8") as file:
        for number, (sampling, prompt) in enumerate(keys, start=1):
            key = (sampling.label, prompt)
            if key not in done:
                request = plan.request(encoded[prompt], sampling, prompt)
                frame = prompt_windows(target, methods, request, prompt)
                done[key] = [
                    (setting, float(replay_windows(trace.windows).expected_rounds))
                    for setting, trace in read_method_traces(frame, sampling.label).items()
                ]
                file.write(json.dumps([*key, done[key]]) + "\n")
                file.flush()
            for setting, expected in done[key]:
                rounds[sampling.label, setting][prompt] = expected
            show(f"texts of these prompts, {sampling.label}", number, len(keys))
    return dict(rounds)


def _read(
    path: Path, identity: Mapping[str, Any]
) -> dict[tuple[str, int], list[tuple[Setting, float]]]:
    """What an earlier run left of the same; a line cut short is left out."""
    wanted = json.dumps(identity, sort_keys=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    done: dict[tuple[str, int], list[tuple[Setting, float]]] = {}
    if lines and lines[0] == wanted:
        for line in lines[1:]:
            try:
                label, prompt, rows = json.loads(line)
            except ValueError:
                continue
            done[label, prompt] = [((name, parameters), n) for (name, parameters), n in rows]
    kept = [wanted, *(json.dumps([*key, rows]) for key, rows in done.items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return done
