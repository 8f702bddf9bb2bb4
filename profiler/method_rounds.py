"""What does a round of every method cost?

Rounds are timed inside real decodes, by the engine's own clock. In a block
every method decodes the same text for some rounds in a row, in shuffled order:
what a shared machine does to one it does to all. The first rounds of a row are
not kept, the last are shorter where the text ends.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from engine.clock import Lap, StageClock
from engine.decode import Request
from engine.events import Round
from engine.model import Model
from engine.sampling import Sampling
from measurements import canonical_parameters
from profiler.methods import AUTOREGRESSIVE, Method
from profiler.proposals import draft_calls

ROW, NOT_KEPT = 10, 4
"""Rounds in a row of one method, and how many of them, from the first, are not kept: behind another
method they find the caches cold."""
PLAIN_ROWS = 3
"""Rows of autoregressive steps in a block: every speedup is a ratio to them."""
ROW_TOKENS = 56
"""Tokens after which a row ends anyway: now and then a round is cut, as at every text's end."""


def time_methods(
    target: Model,
    methods: Sequence[Method],
    text: list[int],
    context: int,
    block: int,
    sampling: Sampling,
    seed: int,
    limit: int,
) -> pd.DataFrame:
    """One block: a row of rounds of every method, in shuffled order.

    Parameters
    ----------
    target : Model
    methods : sequence of Method
    text : list of int
        Prompt material; repeated or cut to ``context`` tokens.
    context, block : int
        Tokens cached when a row begins, and the column ``block``.
    sampling : Sampling
    seed : int
    limit : int
        Longest text that all models take. [tokens]

    Returns
    -------
    pandas.DataFrame
        Columns of ``measurements.ROUNDS_SCHEMA``: the seconds of each stage of
        a round, summed, and of the ``round`` itself.
    """
    rng = np.random.default_rng((seed, context, block))
    prompt = (text * -(-context // len(text)))[:context]
    tokens = min(ROW_TOKENS, limit - context)
    request = Request(prompt, tokens, sampling, seed=int(rng.integers(2**31)))
    rows: list[dict[str, object]] = []
    planned = [(m, row) for m in methods for row in range(PLAIN_ROWS if m == AUTOREGRESSIVE else 1)]
    for index in rng.permutation(len(planned)):
        method, number = planned[index]
        shared = {
            "method": method.name,
            "parameters": canonical_parameters(method.parameters),
            "mode": sampling.mode,
            "block": block,
        }
        rows += [shared | row for row in _row(target, method, request, number)]
    return pd.DataFrame(rows)


def _row(target: Model, method: Method, request: Request, number: int) -> list[dict[str, object]]:
    """Stage times of the kept rounds of one decode, the method's ``number``-th of its block."""
    clock = StageClock(target.device)
    rounds: list[Round] = []

    def another(done: Round) -> bool:
        rounds.append(done)
        return len(rounds) < ROW

    method.decode(target, request, clock, another)
    seconds: list[dict[str, float]] = [defaultdict(float) for _ in rounds]
    laps: list[list[Lap]] = [[] for _ in rounds]
    for lap in clock.laps():
        if lap.round >= 0:
            laps[lap.round].append(lap)
            seconds[lap.round]["round"] += lap.seconds
            if lap.stage != "rest":
                seconds[lap.round][lap.stage] += lap.seconds
    return [
        {
            "round": number * ROW + index,
            "context": len(request.prompt) - 1 + done.start,
            "num_drafted": done.num_draft_tokens,
            "draft_calls": math.nan
            if method.drafter is None
            else draft_calls(method.drafter, laps[index]),
            "stage": stage,
            "seconds": spent,
        }
        for index, done in enumerate(rounds)
        if index >= NOT_KEPT
        for stage, spent in seconds[index].items()
    ]
