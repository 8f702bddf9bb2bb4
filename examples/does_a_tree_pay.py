"""Does a token tree pay on this machine, or is a chain as good?

Reads the newest profile under a folder of records (default: the recorded data).
Trees are shaped by the ranks in its trace at temperature 0, scored by replaying
it, and weighed against the measured stage times; nothing is decoded.

    python examples/does_a_tree_pay.py runs
"""

import sys
from functools import cache
from pathlib import Path

import numpy as np

from measurements import DATA, load_profile, scan
from simulator import Calibration, choose_tree, rank_shares, ranked_tree_windows, replay_windows

SIZES = (0, 1, 2, 3, 4, 6, 8, 12, 16)
MAX_DEPTH = 8


def main(root: Path) -> None:
    path, record = next((p, r) for p, r in scan(root).profiles if r.complete)
    info = next(t for t in record.traces if t.sampling.temperature == 0)
    profile = load_profile(path)
    trace = profile.trace(info.sampling)
    calibration = Calibration.from_tables(profile.stages, trace, "greedy")
    costs, context = calibration.costs, float(calibration.trace.cached.mean())
    ranks = trace["draft_rank"].to_numpy()

    @cache
    def replayed(parents: tuple[int, ...]) -> float:
        return replay_windows(ranked_tree_windows(ranks, calibration.lengths, parents)).tau

    nodes, depths = np.arange(max(SIZES) + 1), np.arange(MAX_DEPTH + 1)
    after = (costs.verification, costs.commit, costs.rest)
    verify = costs.target.seconds(nodes + 1, context) + sum(
        c.seconds(nodes, context) for c in after
    )
    # one draft call a level: as long as a level is narrow, a call costs what it costs in a chain
    drafting = np.append(0.0, costs.draft.seconds(depths[1:], context))
    shares = np.minimum.accumulate(rank_shares(ranks, 8))
    print(f"{record.target.name} + {record.draft.name}, {record.dtype}, {record.machine.slug}")
    print("nodes  depth  tokens/round  tokens/s  target time")
    for size in SIZES[1:]:
        choice = choose_tree(shares, verify, drafting, sizes=[0, size], tau_of=replayed)
        best = choice.tree
        origin = costs.target.provenance(len(best.parents) + 1, context)
        speed, row = best.tokens_per_second, f"{len(best.parents):5d}{best.depth:7d}"
        print(f"{row}{best.tau:14.2f}{speed:10.0f}  {origin}")
    choice = choose_tree(shares, verify, drafting, sizes=SIZES, tau_of=replayed)
    chain, tree = choice.chain, choice.tree
    verdict = "no tree beats it" if choice.chain_wins else f"a tree gains {choice.gain - 1:.1%}"
    print(f"Best chain γ = {chain.depth}, {chain.tokens_per_second:.0f} tokens/s; {verdict}")
    print(f"(fastest: {len(tree.parents)} tokens, {tree.depth} deep).")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
