"""How far were the drafts of real rounds kept?

Read from what a decode says of its tokens: a round's kept drafts stand in front
of the one token that the target adds.
"""

from collections.abc import Sequence

from profiler.runs import Run

ADDED = ("recovered", "bonus", "target")
"""Who made the token that ends a round; see ``engine.events``."""


def kept_per_round(run: Run) -> list[int]:
    """Drafts kept in each round of a decode, in order. [tokens]"""
    kept, rounds = 0, []
    for source in run.provenance:
        if source in ADDED:
            rounds.append(kept)
            kept = 0
        else:
            kept += 1
    return rounds


def kept_shares(runs: Sequence[Run], depth: int) -> list[float]:
    """Share of rounds that keep at least 1, 2, ... depth drafts.

    Parameters
    ----------
    runs : sequence of Run
        Of one method whose drafts are as deep as ``depth``.
    depth : int, >= 1
        [tokens]

    Returns
    -------
    list of float
        Position j counts only rounds that began with room for j drafts: the last
        of a text draft fewer. 0 where no round had room. [unitless]
    """
    kept, possible = [0] * depth, [0] * depth
    for run in runs:
        room = len(run.tokens) - 1
        for number in kept_per_round(run):
            for j in range(min(depth, room)):
                possible[j] += 1
                kept[j] += number > j
            room -= number + 1
    return [k / p if p else 0.0 for k, p in zip(kept, possible, strict=True)]
